"The exercises on paper."

import re

import pytest
from helpers import ROOT

from mnist_course.checks import exercises
from mnist_course.cli import main
from mnist_course.teaching.notebooks import read_notebook
from mnist_course.teaching.worksheet import write_sheet


def test_a_sheet_is_one_file(tmp_path):
    assert "exercises" in write_sheet(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text("utf-8")
    assert not re.search(r"<script|<link|@import|(src|href)=\"(?!data:)", page)
    assert all(f'id="{item.id}"' in page for item in exercises() if item.kind != "build")


def test_a_sheet_of_some_lessons_in_markdown(tmp_path):
    write_sheet(tmp_path / "sheet.md", ["3", "09_curves"])
    text = (tmp_path / "sheet.md").read_text("utf-8")
    assert (
        re.findall(r"^## (\d\d)", text, re.M) == ["03", "09"]
        and "data:image/png" in text
        and "<" not in re.sub(r"```.*?```", "", text, flags=re.S)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sheet", "99"], "there is no lesson 99: choose from 00, 01"),
        (["sheet", "--out", "sheet.pdf"], "written as .html or .md, and sheet.pdf is neither"),
    ],
)
def test_a_sheet_that_cannot_be_is_told_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("mnist-course: ") and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_sheet_prints_well(tmp_path, chromium, violations):
    write_sheet(tmp_path / "sheet.html")
    page = chromium.new_page(
        viewport={"width": 673, "height": 994}
    )  # what A4 leaves between its margins: 178 x 263 mm
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "sheet.html").as_uri())
    page.emulate_media(media="print")
    heights = page.evaluate(
        "[...document.querySelectorAll('.card')].map((card) => [card.id, card.offsetHeight, card.scrollWidth - card.clientWidth])"
    )
    assert not [(id, height) for id, height, over in heights if height > 994 or over > 0]
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert violations(page) == []
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


def test_the_page_for_instructors_shows_todays_card(tmp_path):
    write_sheet(tmp_path / "sheet.md", ["03"])
    card = "### " + (tmp_path / "sheet.md").read_text("utf-8").split("\n### ")[1]
    cells = read_notebook(ROOT / "nbs" / "instructors" / "sheet.ipynb")["cells"]
    said = [
        "".join(out["text"]) for cell in cells for out in cell.get("outputs", []) if "text" in out
    ]
    assert [text.strip() for text in said] == [card.strip()], (
        "run it again: python -m mnist_course.making notebooks instructors/sheet"
    )
