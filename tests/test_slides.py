"Lessons as slides."

import json
import re

import pytest

from mnist_course.cli import main
from mnist_course.teaching.notebooks import lessons, markdown_cells, read_notebook
from mnist_course.teaching.slides import (
    Piece,
    Slide,
    _as_cells,
    _at_most,
    _blocks,
    _code_piece,
    _deck,
    _first_sentence,
    _minutes,
    _output_lines,
    _prose_lines,
    _shown_code,
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


# ---- small lessons, of which every slide is known


def code(source: str, *outputs: dict, folded: bool = False) -> dict:
    return {
        "cell_type": "code",
        "source": [source],
        "metadata": {"jupyter": {"source_hidden": True}} if folded else {},
        "execution_count": None,
        "outputs": list(outputs),
        "id": "x",
    }


def printed(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


PICTURE = {"output_type": "display_data", "data": {"image/png": "", "text/plain": "<Figure>"}}


def lesson(*cells: str | dict) -> dict:
    "A notebook of Markdown and code cells, under a title and its promise."
    made = [
        {"cell_type": "markdown", "source": [cell], "metadata": {}, "id": "y"}
        if isinstance(cell, str)
        else cell
        for cell in ("# Title\n\n> Promise.\n\n| card |", *cells)
    ]
    return {"cells": made, "metadata": {"kernelspec": {"name": "python3"}}}


def on_screen(slide: Slide) -> list[str]:
    "What a slide shows: its prose, its code, and how many outputs there are."
    return [
        piece.text
        if piece.cell is None
        else f"{piece.cell['source']}[{len(piece.cell['outputs'])}]"
        for piece in slide.pieces
    ]


def test_a_lesson_begins_with_its_promise():
    (first,) = slides_of(lesson("Said only."), {"": ["general"], "Title": ["about it"]})
    assert (first.title, first.new, on_screen(first)) == ("Title", True, ["> Promise."])
    assert first.notes == ["about it", "general", "Said only."]  # and nothing of the card


def test_a_question_its_picture_and_what_it_says():
    deck = slides_of(
        lesson(
            "## Look\n\nBefore. And more.\n\n**Predict.** What comes?",
            code('guess("00.x", ...)'),
            code("draw()\nreveal('00.x', 3)", PICTURE),
            "This is what the picture shows to everybody who looks. The rest is said.",
        )
    )
    assert [on_screen(slide) for slide in deck[1:]] == [
        ["**Predict.** What comes?"],
        ["[1]", "This is what the picture shows to everybody who looks."],
    ]
    question, answer = deck[1:]
    assert question.new and question.asks and question.notes == ["Before. And more."]
    assert not answer.new and not answer.asks
    assert answer.notes == ["```python\ndraw()\n```", "The rest is said."]


def test_what_a_question_asks_about_is_shown_with_it():
    text = "**Predict.** What comes?\n\n```\na\n```\n\nAnd this is said."
    question = slides_of(lesson(f"## Look\n\n{text}"))[1]
    assert on_screen(question) == ["**Predict.** What comes?", "```\na\n```"]
    assert question.notes == ["And this is said."]


def test_a_question_goes_below_the_picture_that_it_is_about():
    deck = slides_of(
        lesson("## Look", code("draw()", PICTURE), "**Predict.** Why?", code("x", printed("1\n")))
    )
    assert [on_screen(slide) for slide in deck[1:]] == [["[1]", "**Predict.** Why?"], ["x[1]"]]
    assert deck[1].asks and not deck[2].asks
    full = "**Predict.** Why?\n" + "\n".join(["line"] * 6)  # too much for this screen
    deck = slides_of(lesson("## Look", code("draw()", PICTURE), full))
    assert [on_screen(slide) for slide in deck[1:]] == [["[1]"], [full]]


def test_numbers_that_nobody_was_asked_about_are_said():
    deck = slides_of(lesson("## Look\n\n**Make.** Do it.", code("x", printed("1\n"), printed("2"))))
    assert on_screen(deck[2]) == ["x[2]"]
    (first, second) = slides_of(lesson("## Look", code("a", PICTURE), code("b", printed("1"))))
    assert on_screen(second) == ["[1]"] and second.notes == [
        "```python\na\n```",
        "```python\nb\n```",
    ]
    assert first.notes == []


def test_long_code_is_said_and_its_result_shown():
    for lines, shown in ((8, "x\n" * 7 + "x[1]"), (9, "[1]")):
        source = "\n".join(["x"] * lines)
        deck = slides_of(lesson("## Look\n\n**Predict.** What?", code(source, printed("1"))))
        assert on_screen(deck[2]) == [shown]
        assert deck[2].notes == ([] if lines == 8 else [f"```python\n{source}\n```"])


def test_a_stub_stands_below_its_task():
    stub = "def f():\n    return ...\n\n\ncheck('00.f', f)"
    deck = slides_of(
        lesson("## Write\n\n**Make.** Write it.", code(stub, printed("not attempted")))
    )
    assert on_screen(deck[1]) == ["**Make.** Write it.", "def f():\n    return ...[0]"]
    (first,) = slides_of(lesson(code(stub, printed("not attempted"))))
    assert first.notes == ["```python\ndef f():\n    return ...\n```"]


def test_one_result_right_after_another_shares_its_slide():
    cells = ["## Look\n\n**Predict.** What?", code("a", printed("1")), code("b", PICTURE)]
    deck = slides_of(lesson(*cells))
    assert on_screen(deck[2]) == ["a[1]", "[1]"] and deck[2].notes == ["```python\nb\n```"]
    deck = slides_of(lesson(*cells, code("c", PICTURE)))  # which would be too much
    assert [on_screen(slide) for slide in deck[2:]] == [["a[1]", "[1]"], ["[1]"]]


def test_a_section_without_anything_to_see_is_said_on_the_slide_before():
    deck = slides_of(lesson("## Quiet\n\nOne.\n\nTwo.", "## Loud\n\n**Predict.** What?"))
    assert [slide.title for slide in deck] == ["Title", "Loud"]
    assert deck[0].notes == ["One.\n\nTwo."] and deck[1].notes == []


def test_sections_that_are_one_slide():
    deck = slides_of(
        lesson(
            "## Recap\n\nSo:\n\n- one\n- two\n\n| a | b |\n\nThat's it.",
            "## Sources\n\nA story.",
        )
    )
    recap = deck[1]
    assert on_screen(recap) == ["- one\n- two\n\n| a | b |"]
    assert recap.notes == ["So:", "That's it.", "A story."] and len(deck) == 2


def test_links_to_other_notebooks_lead_nowhere_from_a_slide():
    text = "**Predict.** See [lesson](01_a.ipynb#x), [site](https://x.y) and ![p](a.png)."
    shown = on_screen(slides_of(lesson(f"## Look\n\n{text}"))[1])
    assert shown == ["**Predict.** See lesson, [site](https://x.y) and ![p](a.png)."]


def test_folds_are_for_the_speaker():
    fold = "<details>\n<summary>Hint</summary>\n\nTry it.\n\n</details>"
    (first,) = slides_of(lesson(fold))
    assert re.sub(r"\s+", " ", first.notes[0]) == "Hint Try it."


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (code("#| hide\nx", PICTURE), None),
        (code("#| eval: false\nx"), None),
        (code("guess('00.a', ...)", PICTURE), None),
        (code("calibration('00')", PICTURE), None),
        (code("import a\nfrom b import (\n    c,\n)"), None),
        (code("x = 1", folded=True), None),
        (code("x = 1", PICTURE, folded=True), ("", 1)),
        (code("#| echo: true\nx = 1"), ("x = 1", 0)),
        (code("f = yours('00.f', f)\nx"), ("x", 0)),
        (
            code("reveal(\n    '00.a',\n    3,\n)\nx\ncheck('00.a', 1) + 1", PICTURE),
            ("x\ncheck('00.a', 1) + 1", 0),
        ),
        (code("check('a', 1)\nx\ncheck(\n    'b',\n)\nreveal('c', 3)\ny"), ("x\ny", 0)),
        (code("%time x\nreveal('00.a', 3)"), ("%time x", 0)),
        (code("x\n  %magic\nreveal('00.a', 3)"), ("x\n  %magic\nreveal('00.a', 3)", 0)),
        (code("check('00.f', f)", printed("not attempted")), None),
        (code("x", {"output_type": "error", "ename": "E"}, printed("1")), ("x", 1)),
        (code("x", printed("Yours takes over\n")), ("x", 0)),
    ],
    ids=range(16),
)
def test_what_is_shown_of_a_cell(cell, shown):
    found = _shown_code(cell)
    assert (found and (found["source"], len(found["outputs"]))) == shown


def test_what_tells_a_learner_whose_function_works_is_left_out():
    output = printed("1\nYours takes over from here\n2\n")
    (shown,) = _shown_code(code("x", output))["outputs"]
    assert shown["text"] == "1\n2\n" and "Yours" in output["text"][0]


def test_how_full_a_screen_is():
    assert _prose_lines("a") == 1.4 and _prose_lines("a\n\nb") == 3.4
    assert _prose_lines("a" * 88) == 1.4 and _prose_lines("a" * 89) == 2.4
    assert _prose_lines("|" + "a" * 99) == 1.4 and _prose_lines("|" + "a" * 100) == 2.4
    assert _prose_lines("```\na\n```") == pytest.approx(2.8)
    assert _output_lines(PICTURE) == 10
    assert _output_lines(printed("1\n2\n")) == pytest.approx(1.8)
    plain = {"output_type": "execute_result", "data": {"text/plain": ["1\n", "2"]}}
    assert _output_lines(plain) == pytest.approx(1.8)
    table = {"output_type": "execute_result", "data": {"text/markdown": ["| a |\n", "| b |"]}}
    assert _output_lines(table) == pytest.approx(2.4)
    piece = _code_piece({"source": "a\nb", "outputs": [PICTURE, printed("1")]})
    assert piece.lines == pytest.approx(2 * 0.85 + 0.6 + 10 + 1.05)
    assert _code_piece({"source": "", "outputs": [PICTURE]}).lines == 10
    assert Slide("t", True, [Piece("a", lines=2), Piece("b", lines=0.5)]).lines == 2.5


def filled(lines: float, *, asks: bool = False, new: bool = False) -> Slide:
    text = f"{lines}{asks}"
    return Slide("t", new, [Piece(text, lines=lines)], [f"said {text}"], asks)


def test_too_many_slides_share_their_screens():
    first, answer, question, other = (
        filled(1),
        filled(3),
        filled(2, asks=True),
        filled(1, asks=True),
    )
    slides = [first, answer, question, other]
    assert _at_most(slides, 4) == slides
    both = _at_most(slides, 3)
    assert [len(slide.pieces) for slide in both] == [1, 2, 1]  # an answer, and the next question
    assert both[1].pieces == answer.pieces + question.pieces and both[1].asks
    assert both[1].notes == answer.notes + question.notes
    few = _at_most(slides, 1)  # the first one stays, and all others go together
    assert [len(slide.pieces) for slide in few] == [1, 3] and slides[1].pieces == answer.pieces
    full = [first, filled(15), filled(5.1, asks=True)]
    assert _at_most(full, 2) == full  # smaller letters wouldn't be read
    assert len(_at_most([first, filled(15), filled(4.9, asks=True)], 2)) == 2
    begins = [first, answer, filled(2, asks=True, new=True)]
    assert _at_most(begins, 2) == begins
    told = [first, answer, filled(2)]
    assert _at_most(told, 2) == told


def test_whoever_asks_waits_for_an_answer():
    slides = [filled(1), filled(1, asks=True), filled(1), filled(1)]
    assert _minutes(slides, 50) == [0, 10, 30, 40]


def test_a_slide_as_cells():
    first = Slide(
        "A", True, [Piece("> Promise $x$"), Piece(cell=code("", PICTURE))], ["n", "", "$m$"]
    )
    title, promise, picture, notes = _as_cells(first, 0)
    assert title["source"] == "# A"
    assert title["metadata"] == {"slideshow": {"slide_type": "slide"}}
    assert promise["source"].startswith("> Promise <math") and promise["metadata"] == {}
    picture["source"] = ""
    assert notes["source"].startswith("**Minute 0 of 50**\n\nn\n\n<math ")
    assert notes["metadata"] == {"slideshow": {"slide_type": "notes"}}
    shown = {**code("x", PICTURE), "source": "x", "metadata": {"tags": ["a"]}}
    hidden = {**shown, "source": ""}
    second = Slide("B", False, [Piece(cell=shown), Piece(cell=hidden)])
    title, plain, alone, notes = _as_cells(second, 7)
    assert title == {
        "cell_type": "markdown",
        "metadata": {"slideshow": {"slide_type": "subslide"}},
        "source": "## B",
    }
    assert plain["metadata"] == {} and alone["metadata"] == {"transient": {"remove_source": True}}
    assert shown["metadata"] == {"tags": ["a"]}  # the lesson's own cell stays as it is
    assert notes["source"] == "**Minute 7 of 50**"


def test_a_deck_is_a_notebook():
    notebook = lesson("## Look\n\n**Predict.** What?")
    made = _deck(notebook, slides_of(notebook))
    assert [cell["id"] for cell in made["cells"]] == [f"slide-{i}" for i in range(6)]
    assert made["cells"][5]["source"].startswith("**Minute 17 of 50**")
    assert made["metadata"] == {"kernelspec": {"name": "python3"}} and made["nbformat"] == 4


def test_what_the_teaching_page_says_comes_under_its_headings(tmp_path, monkeypatch):
    page = tmp_path / "nbs" / "instructors" / "teaching.ipynb"
    page.parent.mkdir(parents=True)
    monkeypatch.setattr("mnist_course.teaching.slides.asset", lambda: tmp_path / "package")
    assert _teachers_notes("03") == {}
    cells = ["Before.", "## 02 Other\n\nno", "## 03 Mine\n\nAll of [it](a.ipynb).\n\n**Why?** So."]
    made = lesson(
        *cells, "**Why?** And so.\n\n### x", code("t", {"data": {"text/markdown": ["| a |"]}})
    )
    made["cells"] += lesson("## Z End", "no", code("u", {"data": {"text/markdown": "no"}}))[
        "cells"
    ][1:]
    page.write_text(json.dumps(made))
    assert _teachers_notes("03") == {
        "": ["All of it."],
        "Why?": ["So.", "And so."],
        "Exercises": ["| a |"],
    }
