"Pages that are alive: what a lesson's page shows and leaves out, guesses by mouse and keyboard, widgets without a kernel, the front page."

import copy
import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from fastcore.basics import AttrDict
from helpers import ROOT, is_approved

from mnist_course.data import load_mnist, normalize
from mnist_course.making.revealed import revealed
from mnist_course.making.site import live
from mnist_course.making.site.live import (
    LivePage,
    _split_at_next_step,
    choices,
    facts,
    instrument_page,
    toy_pages,
    without_calls,
    write_live,
)
from mnist_course.model import load_pretrained, trace
from mnist_course.progress import QUESTIONS, _as_asked, _same
from mnist_course.teaching.notebooks import lesson_number, lessons, read_notebook
from mnist_course.widgets.explorer import write_drawing_page
from mnist_course.widgets.momentum import RollingBall, roll_ball

LEFTOVERS = ("not attempted yet", "no guess yet", "this is our version", "No guesses to look back")


def page_of(path: Path, cells: list | None = None) -> list:
    "The cells that a lesson's page has."
    notebook = copy.deepcopy(read_notebook(path))
    if cells is not None:
        notebook["cells"] = cells
    cells = [AttrDict({**one, "source": "".join(one["source"])}) for one in notebook["cells"]]
    page = AttrDict(cells=cells, metadata=notebook["metadata"], path_=path)
    LivePage(page).end()
    return page.cells


@functools.cache
def shown_of(path: Path) -> list:
    "The same for a lesson as it is; made once."
    return page_of(path)


def code(source: str, *outputs: dict, id: str = "c") -> dict:
    return {"cell_type": "code", "id": id, "metadata": {}, "source": source, "outputs": [*outputs]}


def prose(source: str, id: str = "m") -> dict:
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": source}


def says(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


# ---- what a page leaves out


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ('a = 1\nreveal("03.x", a)\nprint(a)', "a = 1\nprint(a)"),
        ('reveal(\n    "09.x",\n    "a" if b else "c",\n)\nb', "b"),
        ('if seed == 0:\n    reveal("04.x", 1)\nprint(1)', "print(1)"),
        ('if a:\n    b = 2\n    reveal("04.x", b)', "if a:\n    b = 2"),
        ('for a in b:\n    if a:\n        reveal("1", a)\n    c(a)', "for a in b:\n    c(a)"),
        ('f = yours("02.f", f)\nf(1)', "f(1)"),
        ('x = reveal_all("03.x")', 'x = reveal_all("03.x")'),
        ('print(reveal("03.x", 1))', 'print(reveal("03.x", 1))'),
        ('%time reveal("03.x", 1)', '%time reveal("03.x", 1)'),
        ("#| echo: false\nyours('1', f)\ng", "#| echo: false\ng"),
    ],
)
def test_a_call_goes_and_everything_else_stays(source, left):
    assert without_calls(source, {"reveal", "yours"}) == left


def test_a_nested_if_that_becomes_empty_goes_with_it():
    source = 'for a in b:\n    if a:\n        reveal("1", a)'
    assert without_calls(source, {"reveal"}) == ""


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_nothing_of_a_lessons_page_speaks_of_the_notebook(path):
    shown = shown_of(path)
    text = json.dumps([[one.source, one.get("outputs")] for one in shown])
    assert not [words for words in LEFTOVERS if words in text]
    sources = [one.source for one in shown if one.cell_type == "code"]
    exported = [one for one in sources if "#| export" not in one]
    calls = r"^\s*(?:guess|reveal|calibration|\w+ = yours)\("
    assert not [one for one in exported if re.search(calls, one, re.M)]


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_lessons_page_keeps_every_other_output(path):
    kept = json.dumps([one.get("outputs") for one in shown_of(path)])
    for cell in read_notebook(path)["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data or "image/svg+xml" in data:
                assert json.dumps(data) in kept
            for line in "".join(output.get("text", "")).splitlines():
                if not any(words in line for words in LEFTOVERS):
                    assert json.dumps(line)[1:-1] in kept


def test_a_line_that_only_looks_like_a_leftover_stays(tmp_path):
    cells = [
        prose("# T"),
        code("f()", says("relu: this is our version\nnot attempted yet, said she\n")),
    ]
    shown = page_of(ROOT / "nbs" / "03_shapes.ipynb", cells)
    assert [one["text"] for one in shown[-2].outputs] == [
        "relu: this is our version\nnot attempted yet, said she\n"
    ]


def test_a_stub_keeps_its_task_and_loses_its_check():
    open_ = {
        "output_type": "display_data",
        "data": {"text/markdown": "**03.a: not attempted yet**"},
    }
    stub = 'def a(x):\n    "Doc."\n    return ...\n\n\ncheck("03.a", a)'
    cells = [
        prose("# T"),
        code(stub, open_, id="s"),
        code('b = [..., ...]\n\ncheck("03.b", b)', open_),
    ]
    shown = page_of(ROOT / "nbs" / "03_shapes.ipynb", cells)
    sources = [one.source for one in shown if one.cell_type == "code"]
    assert sources == ['def a(x):\n    "Doc."\n    return ...']
    assert sum("ml-checked" in one.source for one in shown) == 2


def test_a_check_that_shows_something_stays():
    said = {"output_type": "display_data", "data": {"text/markdown": "**03.a: failed**"}}
    cells = [prose("# T"), code('check("03.a", 1)', said)]
    shown = page_of(ROOT / "nbs" / "03_shapes.ipynb", cells)
    assert 'check("03.a", 1)' in [one.source for one in shown]


# ---- questions


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_every_question_has_a_card_and_its_answer(path):
    "When it fails: python -m mnist_course.making notebooks NN, which notes what the lesson reveals."
    number = lesson_number(path)
    ids = {id for id in QUESTIONS if id.startswith(f"{number}.")}
    data = next(one.source for one in shown_of(path) if "ml-questions" in one.source)
    questions = json.loads(re.search(r">(\{.*\})</script>", data)[1].replace("<\\/", "</"))
    assert {one["id"] for one in questions["cards"]} == ids
    assert not [one["id"] for one in questions["cards"] if "actual" not in one]
    for one in questions["cards"]:  # the answer is one that could be given
        kept, problem = _as_asked(one["takes"], one["actual"])
        assert not problem and _same(kept, one["actual"], one["within"]), one


def test_a_lesson_that_has_changed_since_judges_nobody():
    notebook = read_notebook(lessons()[3])
    code = notebook["metadata"]["mnist_course"]["code"]
    assert revealed("03", code)["03.places"]["actual"] == 24
    assert revealed("03", "0123") == {} == revealed("77", code)


def test_choices_are_read_from_the_question():
    asked = "Before. (a) no. **Predict.** Is *it* (a) `worse`, much worse; (b) just as good, or (c) better? (Look.)"
    assert choices("a b c", asked) == ["(a) worse, much worse", "(b) just as good", "(c) better"]
    asked = "**Predict.** What? (a) It names all [ten](x.html). (b) It isn't sure. (c) Quite sure."
    assert choices("a b c", asked) == [
        "(a) It names all ten",
        "(b) It isn't sure",
        "(c) Quite sure",
    ]
    assert choices("a b", "**Predict.** Which row?") == ["A", "B"]
    assert choices(
        "a b c", '- `"a"` averages\n- `"b"` forgot\n- `"c"` built\n\n**Predict.** Who?'
    ) == ["a", "b", "c"]
    assert choices("held_out learned", "**Predict.** Which?") == ["held out", "learned"]
    assert choices("number never", "**Predict.** Where?") == ["never"]
    assert choices("number", "**Predict.** (a) one or (b) two?") == []
    # two of three were found: better the bare letters than a button that misleads
    assert choices("a b c", "**Predict.** (a) one or (b) two?") == ["A", "B", "C"]


def test_an_answer_ends_where_the_next_step_begins():
    assert _split_at_next_step("So.\n\n## Next\n\nx") == ("So.", "## Next\n\nx")
    assert _split_at_next_step("So.\n\n**Predict.** Two?") == ("So.", "**Predict.** Two?")
    assert _split_at_next_step("So.\n\n```\n## no\n```\n\nEnd.") == (
        "So.\n\n```\n## no\n```\n\nEnd.",
        "",
    )
    folded = "<details><summary>x</summary>\n\n## no\n\n</details>"
    assert _split_at_next_step(f"{folded}\n\n**Make.** y") == (folded, "**Make.** y")
    assert _split_at_next_step("## At once") == ("", "## At once")


def test_an_answer_stands_between_its_marks_with_all_of_its_pictures():
    cells = [
        prose("# T"),
        prose("**Predict.** How many?"),
        code('guess("03.places", ..., sure=...)', id="g"),
        code('a()\nreveal("03.places", 24)', says("24\n"), id="r"),
        code('#| echo: false\na()\nreveal("03.places", 24)', says("picture\n"), id="r-1"),
        prose("So it's 24.\n\n## What now?", id="p"),
    ]
    shown = [one.source for one in page_of(ROOT / "nbs" / "03_shapes.ipynb", cells)]
    marks = [i for i, one in enumerate(shown) if "data-answer-" in one]
    assert [one.count("\n") for one in shown[marks[0] + 1 : marks[1]]] == [0, 1, 0]
    assert shown[marks[1] - 1] == "So it's 24." and shown[marks[1] + 1] == "## What now?"


def test_a_question_after_a_question_waits_for_it():
    cells = [
        prose("# T"),
        prose("**Predict.** How many?"),
        code('guess("03.places", ..., sure=...)', id="g"),
        code('reveal("03.places", 24)\na', id="r"),
        prose("So it's 24.\n\n**Predict.** And now?", id="p"),
        code('guess("03.dense", ..., sure=...)', id="g2"),
        code("b", id="b"),
        code('reveal("03.dense", 1)\nc', id="r2"),
        prose("So.\n\n## What now?", id="p2"),
    ]
    shown = "\n".join(one.source for one in page_of(ROOT / "nbs" / "03_shapes.ipynb", cells))
    order = [
        'from="03.places"',
        "24.",
        "And now",
        'guess="03.dense"',
        "b",
        'from="03.dense"',
        "So.",
    ]
    order += ['to="03.dense"', 'to="03.places"', "## What now"]
    at = 0
    for part in order:
        assert part in shown[at:], part
        at = shown.index(part, at)


# ---- widgets in their places


def test_every_widget_has_its_place():
    "When it fails, a lesson was told anew: give the widget another cell in _WIDGETS."
    found = {}
    for path in lessons():
        places = "".join(one.source for one in shown_of(path))
        found[lesson_number(path)] = re.findall(r'data-live="(\w+)"', places)
    static = {path.stem for path in (ROOT / "mnist_course/widgets/static").glob("*.js")}
    wanted = {
        number: [one[0] for one in places if one[0] in static]
        for number, places in live._WIDGETS.items()
    }
    assert {number: found[number] for number in wanted} == wanted
    assert not any(places for number, places in found.items() if number not in wanted)


def test_what_a_page_needs_is_written(tmp_path):
    write_drawing_page(tmp_path / "try")
    write_live(tmp_path)
    names = {
        path.relative_to(tmp_path / "live").as_posix() for path in (tmp_path / "live").rglob("*.*")
    }
    assert {"live_start.js", "live.js", "live.css", "file/live.js", "file/network.js"} <= names
    for path in (tmp_path / "live").glob("*.js"):
        for needed in re.findall(r'"\./(\w+\.js)"', path.read_text("utf-8")):
            assert needed in names, f"{path.name} needs {needed}"
    for path in (tmp_path / "live" / "file").glob("*.js"):
        text = path.read_text("utf-8")
        assert not re.search(r"^(?:import|export)\b|import\.meta", text, re.M), path.name
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "live").rglob("*.*")}
    write_live(tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "live").rglob("*.*")}


def test_every_toy_leads_on():
    pages = toy_pages()
    assert {"toys/stepper.qmd", "toys/shapes.qmd", "toys/momentum.qmd"} <= pages.keys()
    for name, text in pages.items():
        for target in re.findall(r"\]\(([\w./]+)\)", text):
            if target.startswith("../") and target != "../try/index.html":
                assert (ROOT / "nbs" / target.removeprefix("../")).exists(), (name, target)
            elif not target.startswith("../"):
                assert f"toys/{target}" in pages


# ---- the same numbers as torch


def test_a_function_rolls_as_the_lesson_does():
    w, v = torch.tensor([2.0, 10.0]).double(), torch.zeros(2).double()
    for place in roll_ball(steps=40, momentum=0.6, lr=0.075)[1:]:
        v = 0.6 * v + torch.tensor([25.0, 1.0]).double() * w
        w = w - 0.075 * v
        assert torch.allclose(w, place, rtol=0, atol=1e-12)
    assert torch.equal(RollingBall(lr=0.02).path, roll_ball(lr=0.02))


@pytest.fixture(scope="module")
def site(tmp_path_factory, serve) -> str:
    "A site of a few pages, in the shapes that the renderers write: its address."
    folder = tmp_path_factory.mktemp("live")
    write_drawing_page(folder / "try")
    write_live(folder)
    for name, page in fixture_pages().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(page, "utf-8")
    (folder / "index.html").write_text(instrument_page(), "utf-8")
    return serve(folder) + "/"


LESSON = [
    prose("# T", id="t"),
    prose("Intro.\n\n**Predict.** How many places are there?", id="q1"),
    code('guess("03.places", ..., sure=...)', id="g1"),
    code('print(24)\nreveal("03.places", 24)', says("24 places\n"), id="r1"),
    prose("So there are 24.\n\n## Which?", id="p1"),
    prose("**Predict.** Is it (a) worse, (b) just as good, or (c) better?", id="q2"),
    code('guess("01.scrambled", ..., sure=...)', id="g2"),
    code('reveal("01.scrambled", "b")\nprint("same")', says("the same\n"), id="r2"),
    prose("It's the same.", id="p2"),
    code('guess("04.registered", ..., sure=...)', id="g3"),
    code('reveal("04.registered", [0, 830])\n1', says("[0, 830]\n"), id="r3"),
    code('guess("07.settles", ..., sure=...)', id="g4"),
    code('reveal("07.settles", 10)\n1', says("ten\n"), id="r4"),
    prose("End.\n\n## Recap", id="p4"),
    code('calibration("03")', id="k"),
]
ANSWERS = {
    "03.places": {"actual": 24, "within": 0},
    "01.scrambled": {"actual": "b", "within": 0},
    "04.registered": {"actual": [0, 830], "within": 0},
    "07.settles": {"actual": 9.99973, "within": 0.01},
}


def fixture_pages() -> dict[str, str]:
    "A lesson's page as smalldocs writes it, and as Quarto does."
    notebook = AttrDict(
        cells=[AttrDict(one) for one in copy.deepcopy(LESSON)],
        metadata={},
        path_=ROOT / "nbs" / "03_shapes.ipynb",
    )
    page = LivePage(notebook)
    page.answers = ANSWERS
    page.end()
    shapes = {}
    for renderer, shell in {
        "smalldocs": '<div id="cell-{id}" class="cell"><div class="code-copy-outer-scaffold"><div class="sourceCode">'
        '<pre class="sourceCode python cell-code"><code>{code}</code></pre></div></div>{out}</div>',
        "quarto": '<div id="{id}" class="cell" data-execution_count="1"><div class="sourceCode cell-code" id="cb1">'
        '<pre class="sourceCode python"><code><span>{code}</span></code></pre></div>{out}</div>',
    }.items():
        body = ""
        for cell in notebook.cells:
            if cell.cell_type == "code":
                out = "".join(
                    f'<div class="cell-output cell-output-stdout"><pre><code>{one["text"]}</code></pre></div>'
                    for one in cell.outputs
                )
                body += shell.format(id=cell.id, code=cell.source, out=out) + "\n"
            elif cell.source.startswith("```{=html}"):
                body += cell.source.removeprefix("```{=html}\n").removesuffix("\n```") + "\n"
            else:
                for part in cell.source.split("\n\n"):
                    if part.startswith("## "):
                        body += f'</section><section id="s{len(body)}" class="level2"><h2>{part[3:]}</h2>\n'
                    elif not part.startswith("# "):
                        body += f"<p>{part}</p>\n"
        shapes[f"{renderer}.html"] = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>{renderer}</title></head>'
            f'<body><main><h1>Shapes</h1><section class="level2"><h2>First</h2>{body}</section></main></body></html>'
        )
    return shapes


@pytest.fixture
def visit(new_page, site):
    "Open a page of the site in a fresh window."

    def open_it(name: str, **options):
        page = new_page(site, **options)
        page.goto(name if ":" in name else site + name)
        return page

    return open_it


both_shapes = pytest.mark.parametrize("shape", ["smalldocs", "quarto"])


def card(page, id: str):
    return page.locator(f'[data-guess="{id}"] .ml-guess')


def is_seen(page, text: str) -> bool:
    "Can somebody read it? (What is skipped by content-visibility takes no room.)"
    return page.get_by_text(text, exact=True).evaluate(
        "(one) => one.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
    )


@both_shapes
def test_a_guess_by_keyboard_alone(visit, shape):
    page = visit(f"{shape}.html")
    card(page, "03.places").wait_for()
    assert not is_seen(page, "24 places") and not is_seen(page, "So there are 24.")
    page.get_by_role("textbox").first.focus()
    page.keyboard.type("about 28")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert card(page, "03.places").locator("output").inner_text() == "60%"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    verdict = card(page, "03.places").locator(".ml-verdict")
    assert verdict.inner_text() == "Not this time. You said 28, and you were 60% sure. It’s 24."
    assert verdict.evaluate("(one) => one === document.activeElement")
    assert is_seen(page, "24 places") and is_seen(page, "So there are 24.")
    # letters: the arrows choose, Enter commits
    page.get_by_role("radio", name="(a) worse").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    told = card(page, "01.scrambled").locator(".ml-verdict").inner_text()
    assert told == "Right. You said (b) just as good, and you were 50% sure."
    # kept: it's all there when one comes back
    page.reload()
    assert verdict.inner_text().startswith("Not this time. You said 28") and is_seen(
        page, "24 places"
    )
    assert not is_seen(page, "[0, 830]")
    back = page.locator(".ml-back")
    assert (
        "2 of 4 guesses: you were 55% sure on average, and 50% of them were right. That is well judged."
        in back.inner_text()
    )
    assert f"1 right of 2 guessed, of {len(QUESTIONS)} questions" in back.inner_text()
    # and forgotten, when one says so twice
    back.get_by_role("button", name="Forget all my guesses").press("Enter")
    assert verdict.is_visible()
    page.get_by_role("button", name="Really forget all of them?").press("Enter")
    assert not verdict.is_visible() and not is_seen(page, "24 places")
    assert "None yet" in back.inner_text()


def test_what_is_no_guess_is_asked_for_again(visit):
    page = visit("smalldocs.html")
    for id, text, problem in [
        ("03.places", "many", "Type a number."),
        ("03.places", "", "Type a number."),
        ("04.registered", "830", "Type 2 numbers, with commas between them."),
        ("04.registered", "1, 2, 3", "Type 2 numbers, with commas between them."),
    ]:
        card(page, id).get_by_role("textbox").fill(text)
        card(page, id).get_by_role("button", name="That’s my guess").click()
        assert card(page, id).locator(".ml-problem").inner_text() == problem
        assert card(page, id).locator("[aria-invalid=true]").count() == 1
    card(page, "01.scrambled").get_by_role("button", name="That’s my guess").click()
    assert card(page, "01.scrambled").locator(".ml-problem").inner_text() == "Choose one of them."
    card(page, "04.registered").get_by_role("textbox").fill("0 and 830")
    card(page, "04.registered").get_by_role("textbox").press("Enter")
    assert (
        card(page, "04.registered")
        .locator(".ml-verdict")
        .inner_text()
        .startswith("Right. You said [0, 830]")
    )


def test_a_word_beside_the_field(visit):
    page = visit("smalldocs.html")
    one = card(page, "07.settles")
    one.get_by_role("radio", name="never").check(force=True)
    one.get_by_role("textbox").fill("10.001")  # the last word counts
    assert not one.get_by_role("radio").is_checked()
    one.get_by_role("button", name="That’s my guess").click()
    assert one.locator(".ml-verdict").inner_text().startswith("Right. You said 10")
    one.get_by_role("button", name="Forget this guess").click()
    one.get_by_role("radio", name="never").check(force=True)
    one.get_by_role("button", name="That’s my guess").click()
    assert (
        one.locator(".ml-verdict").inner_text()
        == "Not this time. You said never, and you were 50% sure. It’s about 10."
    )


def test_an_answer_can_be_seen_without_a_guess(visit):
    page = visit("quarto.html")
    card(page, "03.places").get_by_role("button", name="Show me without a guess").click()
    assert is_seen(page, "24 places") and not is_seen(page, "the same")
    page.get_by_label("show answers without a guess").check()
    assert is_seen(page, "the same") and is_seen(page, "[0, 830]")
    page.reload()
    card(page, "03.places").wait_for()
    assert is_seen(page, "the same"), "a wish that is kept"


def test_without_javascript_everything_can_be_read(visit):
    page = visit("smalldocs.html", java_script_enabled=False)
    for text in ("24 places", "So there are 24.", "the same", "[0, 830]", "ten"):
        assert page.get_by_text(text, exact=True).is_visible()
    assert page.get_by_text("Make up your mind before you read on.").count() == 4


def test_on_paper_everything_can_be_read(visit):
    page = visit("smalldocs.html")
    card(page, "03.places").wait_for()
    page.emulate_media(media="print")
    assert is_seen(page, "24 places") and is_seen(page, "the same")


@pytest.mark.parametrize(
    "broken",
    [
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied', 'SecurityError') }})",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
        "Storage.prototype.getItem = () => { throw new DOMException('denied', 'SecurityError') }",
    ],
)
def test_where_nothing_may_be_kept_it_lasts_as_long_as_the_page(visit, site, broken):
    page = visit("about:blank")
    page.add_init_script(broken)
    page.goto(site + "smalldocs.html")
    card(page, "03.places").get_by_role("textbox").fill("24")
    card(page, "03.places").get_by_role("textbox").press("Enter")
    assert card(page, "03.places").locator(".ml-verdict").inner_text().startswith("Right.")
    assert "1 of 4 guesses" in page.locator(".ml-back").inner_text()


@pytest.mark.drawn(4)
@pytest.mark.parametrize(
    "kept",
    [
        "",
        "null",
        "7",
        "[]",
        "{",
        '{"guesses": 7}',
        '{"guesses": null}',
        '{"guesses": {"03.places": 1}}',
    ]
    + [
        f'{{"guesses": {{"03.places": {one}}}}}'
        for one in (
            "null",
            "[]",
            '{"value": null, "sure": 1}',
            '{"value": 1, "sure": 7}',
            '{"value": 1}',
        )
    ]
    + ['{"guesses": {"__proto__": {"value": 1, "sure": 1}}, "open": "yes"}'],
)
def test_what_others_have_put_there_does_no_harm(visit, site, kept):
    page = visit("smalldocs.html")
    page.evaluate("(kept) => localStorage.setItem('mnist_course guesses 1 /', kept)", kept)
    page.reload()
    card(page, "03.places").get_by_role("button", name="That’s my guess").wait_for()
    assert "None yet" in page.locator(".ml-back").inner_text()


def test_two_windows_agree(visit):
    one = visit("smalldocs.html")
    other = one.context.new_page()
    other.goto(one.url.replace("smalldocs", "quarto"))
    card(one, "03.places").get_by_role("textbox").fill("24")
    card(one, "03.places").get_by_role("textbox").press("Enter")
    other.wait_for_function(
        "() => document.querySelector('.ml-verdict')?.innerText.startsWith('Right.')"
    )
    assert card(other, "03.places").locator(".ml-verdict").is_visible()


def test_a_link_into_an_answer_opens_it(visit, site):
    page = visit("smalldocs.html")
    card(page, "03.places").wait_for()
    page.evaluate("document.querySelector('.ml-answer p').id = 'inside'")
    page.evaluate("location.hash = 'inside'")
    page.wait_for_function("!document.querySelector('.ml-answer').hasAttribute('hidden')")
    assert is_seen(page, "So there are 24.")


def test_what_a_screen_reader_hears_of_a_card(visit):
    page = visit("quarto.html")
    card(page, "01.scrambled").wait_for()
    tree = card(page, "01.scrambled").aria_snapshot()
    for part in (
        'group "Your guess"',
        'radio "(a) worse"',
        'radio "(b) just as good"',
        'radio "(c) better"',
        'slider "How sure are you?',
        'button "That’s my guess"',
        'button "Show me without a guess"',
    ):
        assert part in tree, tree


@pytest.mark.drawn(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(visit, violations, scheme, width):
    size = {"width": width, "height": 800}
    # an answer that is still coming is pale
    page = visit("smalldocs.html", color_scheme=scheme, viewport=size, reduced_motion="reduce")
    card(page, "03.places").get_by_role("textbox").fill("23")
    card(page, "03.places").get_by_role("textbox").press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


# ---- the same rules as in Python

TYPED = [
    "24", " 24 ", "24.0", "2.4e1", "18,496", "18 496", "18'496", "1_000", "16,981,120", "0,5", "-1.75", "−1.75",
    "about 24", "~24", "x = 24", "≈ 24", "40%", "40 %", "7.5 percent", "1/3", "1/0", "3, 5", "[3, 5]", "(3,5)", "3 and 5",
    "3x5", "3 x 5", "3×5", "5 28 28", "[1, 28, 28]", "24 pixels", "conv2 24", "nothing", "", "   ", "a", "A", "(b)", '"c"', "'a'",
    "b, c", "never", "NEVER", "held out", "held_out", "Held Out", "yes", "Yes.", "0 and 830", "0, 830", "1e999", "12,34", "1,2345", "+7",
    ".5", "5.", "..", "--3", "3-5", "1 2 3 4", "0.75, 1.5, -0.5, -1", "1.186.400", "1,186,400", "17 million", "1.1864 Million", "million", "x" * 300, "∞", "NaN", "true", "[24]", "[[1]]",
]  # fmt: skip
KINDS = [
    "number",
    "numbers",
    "2 numbers",
    "4 numbers",
    "a b c",
    "a b",
    "yes no",
    "number never",
    "held_out learned",
    "word",
    "A C",
]


def test_a_card_reads_what_is_typed_as_the_notebook_does(visit):
    page = visit("smalldocs.html")
    found = page.evaluate(
        "async ([kinds, typed]) => { const {asAsked} = await import('./live/guess_rules.js');"
        " return kinds.map((kind) => typed.map((text) => asAsked(kind, text))) }",
        [KINDS, TYPED],
    )
    for kind, answers in zip(KINDS, found, strict=True):
        for text, told in zip(TYPED, answers, strict=True):
            kept, problem = _as_asked(kind, text)
            if kind == "word" and not text.strip():
                continue  # a page asks for a word; in a notebook, "" was typed on purpose
            assert told == (None if problem else kept), (kind, text)


def test_a_card_judges_as_the_notebook_does(visit):
    cases = [
        (kept, actual, within)
        for kept in (24, 24.0001, 0.5, "a", "never", [0, 830], [0], [], -1.75, 1e300)
        for actual in (24, 24.5, 0.51, "a", "A", "held_out", [0, 830], [0.004, 829.999], [0], -1.75)
        for within in (0, 0.01, 0.5, 600)
        if isinstance(kept, list) == isinstance(actual, list)  # a list only where one is asked for
    ]
    page = visit("smalldocs.html")
    told = page.evaluate(
        "async (cases) => { const {isRight} = await import('./live/guess_rules.js');"
        " return cases.map((one) => isRight(...one)) }",
        cases,
    )
    for case, right in zip(cases, told, strict=True):
        assert right == _same(*case), case


def test_the_ball_rolls_as_torchs_does(visit):
    draw = torch.Generator().manual_seed(0)
    cases = []
    for _ in range(60):
        a, b, c, d, e, f = torch.rand(6, generator=draw).tolist()
        settings = {
            "start": [6 * a - 3, 24 * b - 12],
            "steep": [100 * c + 0.1, 2 * d],
            "lr": 0.1 * e,
        }
        cases.append({**settings, "momentum": 0.99 * f, "steps": 50})
    page = visit("smalldocs.html")
    found = page.evaluate(
        "async (cases) => { const {roll} = await import('./live/momentum.js'); return cases.map(roll) }",
        cases,
    )
    for case, path in zip(cases, found, strict=True):
        assert torch.allclose(
            torch.tensor(path, dtype=torch.float64), roll_ball(**case), rtol=1e-9, atol=1e-9
        ), case


# ---- the instrument


def pixels(page, selector: str) -> list[str]:
    return page.locator(selector).evaluate_all("(all) => all.map((one) => one.toDataURL())")


def test_the_network_wakes_up_under_the_first_stroke(visit, site):
    asked = []
    page = visit("about:blank")
    page.on("request", lambda one: asked.append(one.url))
    page.goto(site + "index.html")
    page.wait_for_selector(".ml-glance .ml-eye")
    page.wait_for_load_state("networkidle")
    assert not [url for url in asked if "net.f16" in url], "593,200 numbers wait for a touch"
    before = pixels(page, ".ml-eye")
    assert page.locator(".ml-said").inner_text() == "7"
    box = page.locator(".mc-canvas").bounding_box()
    x, y, side = box["x"], box["y"], box["width"]
    page.mouse.move(x + 0.5 * side, y + 0.15 * side)
    page.mouse.down()
    page.mouse.move(x + 0.5 * side, y + 0.85 * side, steps=12)
    page.mouse.up()
    page.wait_for_selector("[data-seen]")
    page.wait_for_function("() => document.querySelector('.ml-said').innerText.startsWith('1')")
    assert [url for url in asked if "net.f16" in url]
    after = pixels(page, ".ml-eye")
    assert len(after) == 5 and not set(before) & set(after), "every layer saw something else"
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("() => document.querySelector('.ml-said').innerText === '–'")
    assert pixels(page, ".ml-eye")[0] != after[0]


def test_a_worker_reads_so_that_no_stroke_waits(visit):
    page = visit("index.html")
    page.wait_for_selector(".ml-glance .ml-eye")
    assert len(page.workers) == 1 and page.workers[0].url.endswith("/live/reader.js")
    page.get_by_role("button", name="A sample digit").click()
    page.wait_for_selector("[data-seen]")


def test_the_first_answer_is_what_the_network_says(visit, site):
    "What is shown before a touch was computed when the page was made: the browser comes to the same."
    page = visit("index.html")
    page.wait_for_selector(".ml-glance .ml-eye")
    first = page.locator(".ml-eye").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    for _ in range(8):  # the sample digits come in order, and the eighth is the 7 of the beginning
        page.get_by_role("button", name="A sample digit").click()
    page.wait_for_selector("[data-seen]")
    page.wait_for_function("() => document.querySelector('.ml-said').innerText === '7'")
    then = page.locator(".ml-eye").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    shares = [[int(re.search(r"(\d+)%", one)[1]) for one in labels[1:]] for labels in (first, then)]
    assert all(abs(a - b) <= 12 for a, b in zip(*shares, strict=True)), shares


def test_what_a_screen_reader_hears_of_the_instrument(visit):
    page = visit("index.html")
    page.wait_for_selector(".ml-glance .ml-eye")
    tree = page.locator(".ml-glance").aria_snapshot()
    for part in (
        'application "Pad to draw a digit on"',
        'group "The network, layer by layer"',
        'img "The digit as the network gets it: 28 x 28 pixels"',
        "img /9 maps of conv1: \\d+% of their numbers are above 0/",
        'link "conv4"',
        'link "answer"',
    ):
        wanted = re.compile(part[5:-1]) if part.startswith("img /") else re.compile(re.escape(part))
        assert wanted.search(tree), f"{part} in {tree}"


def test_it_works_from_a_file(chromium, tmp_path):
    write_drawing_page(tmp_path / "try")
    write_live(tmp_path)
    for name, text in {**fixture_pages(), "index.html": instrument_page()}.items():
        (tmp_path / name).write_text(text, "utf-8")
    faults = []
    page = chromium.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / "smalldocs.html").as_uri())
    card(page, "03.places").get_by_role("textbox").fill("24")
    card(page, "03.places").get_by_role("textbox").press("Enter")
    assert card(page, "03.places").locator(".ml-verdict").inner_text().startswith("Right.")
    page.goto((tmp_path / "index.html").as_uri())
    page.get_by_role("button", name="A sample digit").click()
    page.wait_for_selector("[data-seen]")
    page.wait_for_function("() => document.querySelector('.ml-said').innerText === '0'")
    page.close()
    assert not faults


def test_making_the_front_page_leaves_no_trace_in_anybodys_progress(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", str(tmp_path / "progress.jsonl"))
    assert "Each kernel has one more number." in live._proof()
    assert not (tmp_path / "progress.jsonl").exists()


def test_the_front_pages_numbers_are_counted():
    number = facts()
    assert number["lessons"] == len(lessons()) and number["questions"] == len(QUESTIONS)
    hero, proof = live._hero(), live._proof()
    assert "593,200" in hero and f"{number['mistakes']} wrong answers" in proof
    assert re.findall(r"(\d\d\.\d\d)%", proof)
    assert "99.4%" in proof and "100.0%" not in proof


# ---- what it's made of


@pytest.mark.parametrize("name", ["_band", "_frontier"])
def test_the_front_pages_charts_are_those_that_were_looked_at(name, tmp_path):
    is_approved(f"front page: {name}", getattr(live, name)(), tmp_path)


def test_the_strip_shows_the_maps_that_differ_most_from_digit_to_digit():
    state, net = live._glance_state(), load_pretrained()
    test = load_mnist(source="sample")[1]
    seven = test.images[int((test.labels == 7).nonzero()[0])]
    assert state["first"]["page"] == seven.numpy().tobytes()
    seen = trace(net, normalize(seven[None]))
    firsts = [next(i for i, label in enumerate(test.labels) if label == d) for d in range(10)]
    ten = trace(net, normalize(test.images[firsts]))
    for layer, (name, count) in live._LAYERS.items():
        shown, maps = state["channels"][layer], seen[name][0]
        assert len(shown) == count and shown == sorted(set(shown))
        spread = ten[name].amax((2, 3)).std(0)
        left_out = spread[[i for i in range(len(maps)) if i not in shown]]
        assert spread[shown].min() >= left_out.max()
        first = state["first"]["maps"][layer]
        assert (first["count"], first["size"]) == tuple(maps.shape[:2])
        pixels = np.frombuffer(first["maps"], np.uint8).reshape(count, *maps.shape[1:])
        wanted = (maps[shown] / first["top"] * 255).numpy()
        assert np.abs(pixels - wanted).max() <= 0.51 and pixels.max() == 255
    answer = state["first"]["answer"]
    assert answer["label"] == 7 and sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert answer["probability"] == max(answer["probabilities"]) == answer["probabilities"][7]


def test_a_module_becomes_a_script_without_imports():
    script = live._script("momentum")
    assert script.startswith('"use strict"') and "momentum: momentum_js" in script
    assert len(script) > 2000 and not re.search(r"^(import|export) |import\.meta", script, re.M)


def test_values_travel_as_json_and_bytes_as_base64():
    script = live._values("mine", {"a": b"\x00\xff", "b": [1, "ü"]})
    text = script.partition("mine: ")[2].rpartition("}")[0]
    assert json.loads(text) == {"a": {"base64": "AP8="}, "b": [1, "ü"]} and "ü" in script
    with pytest.raises(TypeError, match="set"):
        live._values("mine", {"a": {1}})


def test_only_code_that_calls_for_the_figures_gets_them():
    cells = [
        AttrDict(cell_type=kind, source=source, id=str(i))
        for i, (kind, source) in enumerate(
            [("markdown", "proof() is a word"), ("code", "x = 1"), ("code", "proof()")]
        )
    ]
    made = live._front_cells(cells)
    assert made[:2] == cells[:2] and "ml-" in "".join(made[2].source)


@pytest.mark.parametrize("source", ["x += check(1)", "def f():\n    return check(1)", "x: int = 3"])
def test_what_only_holds_a_call_stays(source):
    assert without_calls(source, {"check"}).strip() == source


@pytest.mark.parametrize("takes", ["number", "3 numbers", "two numbers", "word"])
def test_what_takes_a_number_has_no_buttons(takes):
    assert choices(takes, "**Predict.** (a) one, (b) two, or (c) three?") == []


def test_a_toys_page_has_its_styles_and_the_instruments_page_its_own():
    for page in toy_pages().values():
        assert 'href="../live/live.css"' in page and 'src="../live/live_start.js"' in page
    assert "<style>body { margin: 1rem;" in instrument_page()
