"Lessons as slides."

import json
import re

import pytest

from mnist_course.cli import main
from mnist_course.teaching.notebooks import lessons, markdown_cells, read_notebook
from mnist_course.teaching.slides import (
    _blocks,
    _first_sentence,
    _teachers_notes,
    slides_of,
    write_slides,
)

LESSONS = lessons()
by_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@by_lesson
def test_slides_are_a_talk_and_leave_out_only_what_is_the_learners_own(path):
    notebook = read_notebook(path)
    deck = slides_of(notebook)
    assert 20 <= len(deck) <= 30
    shown = "\n".join(piece.text for slide in deck for piece in slide.pieces)
    heard = "\n".join("\n".join(slide.notes) for slide in deck)
    prose = re.sub(r"```.*?```", "", "\n\n".join(markdown_cells(notebook)), flags=re.S)
    assert shown.count("**Predict.**") == prose.count("**Predict.**")
    assert shown.count("**Make.**") == prose.count("**Make.**")
    assert not re.search(r"^(check|guess|reveal|calibration)\(|^#\|", shown, re.M)
    everything = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", f"{shown} {heard}")
    everything = re.sub(r"\s+", " ", everything)
    told = prose.partition("\n## Exercises")[0].partition("\n\n")[2]
    for block in _blocks(told):
        words = re.sub(r"<[^>]+>|\[([^\]]+)\]\([^)]+\)", r"\1", block).split()
        if block[0] not in "|#$>`" and not block.startswith(("<", "**", "- ", "1.")):
            assert " ".join(words[-2:]) in everything, block


@by_lesson
def test_a_question_ends_its_slide(path):
    for slide in slides_of(read_notebook(path)):
        places = [
            i for i, piece in enumerate(slide.pieces) if piece.text.startswith("**Predict.**")
        ]
        after = slide.pieces[places[-1] + 1 :] if places else []
        assert not any(piece.cell and piece.cell["outputs"] for piece in after), slide.title


def test_many_words_are_said_and_not_shown():
    for path in LESSONS:
        deck = slides_of(read_notebook(path))
        words = [len(" ".join(piece.text for piece in slide.pieces).split()) for slide in deck]
        told = sum(len(" ".join(slide.notes).split()) for slide in deck)
        assert told > sum(words), path.stem


def test_notes_come_from_the_teaching_page_and_their_headings_are_the_lessons():
    anchored = 0
    for path in LESSONS:
        notes = _teachers_notes(path.name[:2])
        headings = re.findall(
            r"^#{1,2} (.+)$", "\n".join(markdown_cells(read_notebook(path))), re.M
        )
        assert notes[""] and set(notes) - {""} <= set(headings), path.stem
        heard = " ".join(" ".join(slide.notes) for slide in slides_of(read_notebook(path), notes))
        assert all(one in heard for blocks in notes.values() for one in blocks), path.stem
        anchored += len(set(notes) - {"", "Exercises"})
    assert anchored >= 7


def test_first_sentences():
    assert _first_sentence("Ouch. You'd get 10% with your eyes shut. Really.") == (
        "Ouch. You'd get 10% with your eyes shut.",
        "Really.",
    )
    block = "It is (as I said. Before that, in lesson 01) quite so, and we know. More."
    assert _first_sentence(block)[1] == "More."
    assert _first_sentence("no end") == ("no end", "")


def test_blocks():
    assert _blocks("a\nb\n\nc") == ["a\nb", "c"]
    assert _blocks("```\na\n\nb\n```\n<!-- note -->") == ["```\na\n\nb\n```\n<!-- note -->"]
    assert _blocks("<!-- note -->\n\n<details>\n\nx\n\n</details>") == [
        "<details>\n\nx\n\n</details>"
    ]
    assert _blocks("") == []


def test_slides_of_an_installed_course(monkeypatch, tmp_path):
    notebook = read_notebook(LESSONS[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    (tmp_path / LESSONS[0].name).write_text(json.dumps(notebook))
    monkeypatch.setattr(
        "mnist_course.teaching.slides.pick_lessons", lambda names: [tmp_path / LESSONS[0].name]
    )
    with pytest.raises(ValueError, match="use a clone of the repository"):
        list(write_slides(["00"], tmp_path / "slides"))


@pytest.mark.drawn(4)
@by_lesson
def test_slides_in_a_browser(path, tmp_path, chromium, violations):
    "Every slide fits the screen, every picture says what it shows, and nothing is loaded."
    list(write_slides([path.name[:2]], tmp_path))
    page, faults = chromium.new_page(viewport={"width": 1280, "height": 720}), []
    page.on(
        "request",
        lambda request: (
            faults.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    page.on(
        "console", lambda message: faults.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / f"{path.stem}.html").as_uri())
    page.wait_for_function("Reveal.isReady()")
    seen = page.evaluate(
        """() => {
            const seen = []
            for (let i = 0; i < Reveal.getTotalSlides(); i++) {
                const slide = Reveal.getCurrentSlide(), box = slide.getBoundingClientRect()
                const pictures = [...slide.querySelectorAll("img:not(.known-by)")]
                seen.push([
                    slide.querySelector("h1, h2").innerText, slide.classList.contains("scrolls"), Math.round(box.top), Math.round(box.bottom),
                    pictures.every((picture) => picture.alt.length > 14 && !picture.alt.startsWith("No description") && picture.naturalWidth > 0), slide.scrollWidth - slide.clientWidth,
                ])
                Reveal.next()
            }
            return seen
        }"""
    )
    assert len(seen) == len(slides_of(read_notebook(path)))
    notes = page.locator("aside.notes")
    assert notes.count() == len(seen) and "Minute 0 of 50" in notes.first.inner_text()
    assert path.name[:2] in page.locator(".of").inner_text()
    assert len({title for title, *_ in seen}) > 8
    for title, _, top, bottom, described, over in seen:
        assert 0 <= top < bottom <= 720 and described and over <= 1, title
    assert sum(scrolls for _, scrolls, *_ in seen) <= 1
    assert violations(page) == []
    assert not faults
    page.close()


@pytest.mark.parametrize("path", LESSONS[2:4], ids=lambda path: path.stem)
def test_slides_begin_with_the_lessons_picture_and_use_the_screen(path, tmp_path, chromium):
    list(write_slides([path.name[:2]], tmp_path))
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.goto((tmp_path / f"{path.stem}.html").as_uri())
    page.wait_for_function("Reveal.isReady()")
    box = page.locator(".present .known-by").bounding_box()
    words = page.locator(".present h1").bounding_box()
    assert box["width"] > 400 and box["x"] > words["x"] + words["width"]
    sizes = page.evaluate(
        """() => Reveal.getSlides().map(one => [one.innerText.length, parseInt(one.style.fontSize)])"""
    )
    little = [size for length, size in sizes if length < 150]
    assert little and sum(size > 120 for size in little) > len(little) / 2
    page.close()


def test_slides_on_a_phone_are_a_page(tmp_path, chromium, violations):
    (path,) = [one for one in LESSONS if one.name.startswith("03")]
    list(write_slides(["03"], tmp_path))
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto((tmp_path / f"{path.stem}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.documentElement.scrollHeight") > 5_000
    small = page.evaluate(
        """() => [...document.querySelectorAll(".slides p, .slides li, .slides pre")]
            .filter(one => parseFloat(getComputedStyle(one).fontSize) < 12 || !one.checkVisibility()
                && !one.closest("details, aside.notes"))
            .map(one => one.textContent.slice(0, 60))"""
    )
    assert small == []
    assert violations(page) == []
    page.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["slides", "shapes"], "there is no lesson shapes: choose from 00, 01"),
        (["slides", "03", "--out", "taken"], "taken is a file; give the name of a folder"),
    ],
)
def test_slides_that_cannot_be_are_told_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("mnist-course: ") and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
