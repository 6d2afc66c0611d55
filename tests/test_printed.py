"The course on paper: what is asked for, and what is missing. tests/test_site.py prints a lesson."

import pytest

import mnist_course.making.server as server
from mnist_course.making.__main__ import main
from mnist_course.making.printed import _chapters
from mnist_course.teaching.notebooks import lessons


def test_the_book_has_the_lessons_in_their_order_and_what_belongs_to_them():
    chapters = list(_chapters([]))
    assert chapters[:-2] == [f"{path.stem}.html" for path in lessons()]
    assert chapters[-2:] == ["one_page.html", "glossary.html"]
    assert list(_chapters(["glossary", "03", "1"]))[:2] == ["03_shapes.html", "10_inside.html"]
    assert len(set(_chapters([]).values())) == len(chapters)


@pytest.mark.parametrize("words", ["--chapters 03 16", "--chapters shapes"])
def test_a_chapter_that_there_is_not(words, tmp_path, capsys):
    out = tmp_path / "course.pdf"
    assert main(["pdf", str(out), *words.split()]) == 1
    wrong = words.split()[-1]
    assert (
        f"there is no chapter {wrong}; there are 00_start_here, 01_data" in capsys.readouterr().err
    )
    assert not out.exists()


def test_without_a_site_it_says_how_to_make_one(tmp_path, capsys):
    assert main(["pdf", str(tmp_path / "course.pdf"), "--site", str(tmp_path)]) == 1
    assert "00_start_here.html: make the site first, with make docs" in capsys.readouterr().err


def test_without_chromium_it_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(server, "_find_chromium", lambda: None)
    (tmp_path / "03_shapes.html").write_text("<main></main>")
    words = ["pdf", str(tmp_path / "a.pdf"), "--chapters", "03", "--site", str(tmp_path)]
    assert main(words) == 1
    assert "a PDF needs Chromium: apt-get install chromium" in capsys.readouterr().err
    assert not (tmp_path / "a.pdf").exists()
