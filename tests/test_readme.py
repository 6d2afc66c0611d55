"The first screen: its pictures say what they show, and what they show is so."

import contextlib
import io
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


def code(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "source": [source], "outputs": list(outputs), "metadata": {}}


def test_a_front_page_becomes_a_readme(monkeypatch):
    known = {"doc_host": "https://host", "doc_baseurl": "/base"}
    monkeypatch.setattr(readme, "settings", lambda: known)
    words = "[a](03_shapes.ipynb) [b](badges/x.svg) [c](try/index.html) [d](map.qmd) [e](https://x)"
    svg = {"data": {"image/svg+xml": ["<svg/>"], "text/plain": "no"}}
    drawn = svg | {"metadata": {"image/svg+xml": {"alt": "Drawn"}}}
    png = {"data": {"image/png": "UE5H"}, "metadata": {}}
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# A\n", "\n", words], "metadata": {}},
            code("#| hide\nsecret", png),
            code("#| echo: false\nquiet", {"data": {"text/markdown": ["| a |\n", "| b |"]}}),
            code("shown", drawn, png, {"text": ["printed \n", "\n"]}, {"text": [" \n"]}),
            code("plain", {"data": {"text/plain": ["3"]}}),
        ]
    }
    text, pictures = make_readme(notebook)
    first, *parts = text.split("\n\n")
    assert first.startswith("<!-- Made from nbs/index.ipynb")
    assert parts == [
        "# A",
        "[a](nbs/03_shapes.ipynb) [b](nbs/badges/x.svg) [c](https://host/base/try/index.html) "
        "[d](https://host/base/map.html) [e](https://x)",
        "| a |\n| b |",
        "```python\nshown\n```",
        "![Drawn](nbs/index_files/figure-1.svg)",
        "![](nbs/index_files/figure-2.png)",
        "```\nprinted\n```",
        "```python\nplain\n```",
        "```\n3\n```\n",
    ]
    assert pictures == {"figure-1.svg": b"<svg/>", "figure-2.png": b"PNG"}


def test_a_readme_is_written_with_its_pictures_and_without_old_ones(tmp_path, monkeypatch):
    folder = tmp_path / "nbs" / "index_files"
    folder.mkdir(parents=True)
    for name in ("figure-1.png", "figure-2.png", PAGE):
        (folder / name).write_bytes(b"old")
    (tmp_path / "nbs" / "index.ipynb").write_text('{"cells": []}')
    monkeypatch.setattr(readme, "root", lambda: tmp_path)
    monkeypatch.setattr(readme, "make_readme", lambda notebook: ("ü", {"figure-1.png": b"new"}))
    readme.write_readme()
    assert (tmp_path / "README.md").read_text("utf-8") == "ü"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "figure-1.png": b"new",
        PAGE: b"old",
    }


def test_the_proof_says_what_was_measured_and_links_it(monkeypatch):
    found = {
        "runs": 7,
        "worst": 0.9912,
        "best": 0.9954,
        "networks": {"tiny": (1234, 0.981), "small": (45678, 0.994)},
        "checks": 90,
        "mistakes": 300,
    }
    monkeypatch.setattr(readme, "facts", lambda: found)
    picture, empty, *points = proof().split("\n")
    assert picture.startswith("[![") and picture.endswith(
        f"(index_files/{_CURVES})](09_curves.ipynb)"
    )
    assert empty == "" and len(points) == 3 and all(one.startswith("- **") for one in points)
    assert "trained 7 times" in points[0] and "99.12% to 99.54%" in points[0]
    assert "1,234 parameters read 98.1%" in points[1] and "45,678 read 99.4%" in points[1]
    assert "90 checks know 300 wrong answers" in points[2]


class Page:
    "A page of playwright's: where the mouse was, and what was asked for."

    def __init__(self) -> None:
        self.done: list = []
        self.mouse = self.first = self

    def locator(self, what: str) -> "Page":
        self.done.append(what)
        return self

    def hover(self) -> None:
        self.done.append("hover")

    def bounding_box(self) -> dict:
        return {"x": 10.0, "y": 20.0, "width": 560.0, "height": 560.0}

    def move(self, x: float, y: float, steps: int = 1) -> None:
        self.done.append((x, y, steps))

    def down(self) -> None:
        self.done.append("down")

    def up(self) -> None:
        self.done.append("up")

    def wait_for_selector(self, what: str) -> None:
        self.done.append(what)

    def evaluate(self, script: str) -> None:
        self.done.append(script)

    def inner_text(self) -> str:
        return "7 (99%)"

    def goto(self, address: str) -> None:
        self.done.append(address)

    def new_page(self, **options) -> "Page":
        assert options["color_scheme"] == "light"
        return self

    def screenshot(self) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), "blue").save(buffer, "png")
        return buffer.getvalue()


def test_a_seven_is_drawn_in_one_stroke_on_the_whole_pad():
    page = Page()
    assert _draw_seven(page) == "7 (99%)"
    places = [one for one in page.done if isinstance(one, tuple)]
    assert places[0] == (154.0, 176.0, 1) and places[1] == (154.0, 176.0, 8)  # twice its size
    assert places[-1] == (1, 1, 1) and len(places) == 9
    at = {one: page.done.index(one) for one in ("hover", "down", "up")}
    assert at["hover"] < at["down"] < page.done.index(places[1]) < at["up"]
    assert page.done.index("[data-live][data-seen]") > at["up"]  # the network has answered


def test_a_photograph_says_what_the_page_said(monkeypatch, tmp_path):
    page, made = Page(), []

    @contextlib.contextmanager
    def browser_at(folder, what):
        made.append((folder / "index.html").read_text("utf-8"))
        yield page, "http://x/"

    monkeypatch.setattr(readme, "browser_at", browser_at)
    monkeypatch.setattr(readme, "write_drawing_page", lambda folder: made.append(folder.name))
    monkeypatch.setattr(readme, "write_live", lambda folder: made.append("live"))
    monkeypatch.setattr(readme, "instrument_page", lambda: "the instrument")
    path = tmp_path / "a.png"
    path.write_bytes(readme.photograph_page())
    assert made == ["try", "live", "the instrument"] and page.done[0] == "http://x/index.html"
    assert _words_of(path).endswith("It says: 7 (99%).") and page.done[-1] == ".ml-glance"
