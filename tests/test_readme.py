"The first screen: its pictures say what they show, and what they show is so."

import re
import threading

import pytest
from helpers import ROOT
from PIL import Image

import mnist_course.making.readme as readme
from mnist_course.engine.export import policy_of
from mnist_course.making.__main__ import main
from mnist_course.making.readme import (
    _CURVES,
    PAGE,
    _draw_seven,
    _with_words,
    _words_of,
    curves,
    front_picture,
    lessons_table,
    make_readme,
    picture_file,
    proof,
)
from mnist_course.making.server import site_server
from mnist_course.making.site.live import facts, instrument_page, write_live
from mnist_course.teaching.notebooks import lessons, read_notebook
from mnist_course.widgets.explorer import write_drawing_page


def test_pictures_carry_their_words(tmp_path):
    buffer = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(buffer)
    with pytest.raises(ValueError, match=r"a.png does not say what it shows"):
        _words_of(buffer)
    buffer.write_bytes(_with_words(buffer.read_bytes(), "A red square, wide as “8 px” – not more."))
    assert _words_of(buffer) == "A red square, wide as “8 px” – not more."
    assert Image.open(buffer).convert("RGB").getpixel((4, 4)) == (255, 0, 0)


def test_the_curves_are_todays():
    assert _words_of(picture_file(_CURVES)) == curves().description, (
        "python -m mnist_course.making notebooks index"
    )


def test_the_curves_are_written_only_when_they_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "picture_file", lambda name: tmp_path / name)
    readme.write_curves()
    first = (tmp_path / _CURVES).stat()
    readme.write_curves()
    assert (tmp_path / _CURVES).stat() == first
    (tmp_path / _CURVES).write_bytes(_with_words((tmp_path / _CURVES).read_bytes(), "old"))
    readme.write_curves()
    assert _words_of(tmp_path / _CURVES) == curves().description


def test_pictures_are_small_and_lead_somewhere():
    for name, size in ((_CURVES, 40_000), (PAGE, 80_000)):
        assert picture_file(name).stat().st_size < size and not re.search(
            r"[\[\]|\n]", _words_of(picture_file(name))
        )
    assert front_picture().endswith(f"(index_files/{PAGE})](try/index.html)")
    number = facts()
    for said in (f"{number['worst']:.2%}", f"{number['best']:.2%}", f"{number['mistakes']} wrong"):
        assert said in proof()


def test_the_page_answers_as_its_picture_says(tmp_path, new_page):
    write_drawing_page(tmp_path / "try")
    write_live(tmp_path)
    instrument = instrument_page()
    assert f'Security-Policy" content="{policy_of(instrument)}"' in instrument
    (tmp_path / "index.html").write_text(instrument, "utf-8")
    server, address = site_server(tmp_path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = new_page(address, viewport={"width": 760, "height": 900})
    page.goto(f"{address}index.html")
    page.wait_for_selector(".mc-canvas")
    said = _draw_seven(page)
    assert said.startswith("7 (") and f"It says: {said}." in _words_of(picture_file(PAGE)), (
        "python -m mnist_course.making readme"
    )
    server.shutdown()


def test_a_photograph_needs_a_browser_and_says_so(monkeypatch, capsys):
    pytest.importorskip("playwright")
    monkeypatch.setattr("mnist_course.making.server._find_chromium", lambda: None)
    before = picture_file(PAGE).read_bytes()
    assert main(["readme"]) == 1 and "needs Chromium" in capsys.readouterr().err
    assert picture_file(PAGE).read_bytes() == before


def test_the_table_holds_every_lesson():
    first, *rows = lessons_table("../").splitlines()[2:]
    assert "](../one_page.ipynb)" in first and len(rows) == len(lessons())
    for row, path in zip(rows, lessons(), strict=True):
        assert (
            row.startswith(f"| [{path.name[:2]} ")
            and f"(../{path.name}) `" in row
            and len(row.split(" | ")) == 3
        )


# ---- the README


def test_readme_is_the_front_page():
    text, pictures = make_readme(read_notebook(ROOT / "nbs" / "index.ipynb"))
    assert (ROOT / "README.md").read_text("utf-8") == text, "make notebooks"
    made = {
        path.name: path.read_bytes() for path in (ROOT / "nbs" / "index_files").glob("figure-*")
    }
    assert made == pictures


def test_the_front_page_shows_todays_lessons():
    shown = [
        "".join(output["data"].get("text/markdown", ""))
        for cell in read_notebook(ROOT / "nbs" / "index.ipynb")["cells"]
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert lessons_table() in shown, "run it again: python -m mnist_course.making notebooks index"


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target
