"The one reader of notebooks: which there are, what is in them, the learner's edition, exercise cards."

import ast
import builtins
import json
import re

import pytest

from mnist_course.checks import exercises
from mnist_course.teaching import notebooks
from mnist_course.teaching.notebooks import (
    Card,
    all_notebooks,
    code_cells,
    course_site,
    directives,
    is_folded,
    learner_edition,
    learner_notebooks,
    lessons,
    markdown_cells,
    module_of,
    pick_lessons,
    picture_of,
    read_cards,
    read_notebook,
    title_of,
    warm_ups,
    without_directives,
)

LESSONS = lessons()
by_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def notebook(*sources: str) -> dict:
    cells = [
        {
            "cell_type": "code",
            "source": [s],
            "metadata": {"tags": ["x"]},
            "outputs": [1],
            "execution_count": 3,
        }
        for s in sources
    ]
    return {
        "cells": cells,
        "metadata": {"mnist_course": {"code": "x"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_lessons_are_picked_by_number():
    assert [path.name[:2] for path in pick_lessons(["3", "04", "05_loss"])] == ["03", "04", "05"]
    assert pick_lessons([]) == pick_lessons() == LESSONS


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["00-02"], ["00", "01", "02"]),
        (["4-4", "04"], ["04"]),
        (["15", "0-1"], ["15", "00", "01"]),
        (["03_shapes", "02-04"], ["03", "02", "04"]),
    ],
)
def test_lessons_come_in_the_order_of_their_names_and_each_once(names, numbers):
    assert [path.name[:2] for path in pick_lessons(names)] == numbers


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("5-2", "5-2 goes backwards: write 02-05"),
        ("03-99", "there is no lesson 03-99: choose from 00, 01"),
        ("shapes", "there is no lesson shapes: choose from"),
        ("", "there is no lesson : choose from"),
    ],
)
def test_a_name_that_is_no_lesson_is_refused(name, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        pick_lessons(["00", name])


def test_checkpoints_are_no_notebooks_and_folders_are_looked_through(tmp_path, monkeypatch):
    names = ["b.ipynb", "engine/a.ipynb", ".ipynb_checkpoints/b-checkpoint.ipynb", "engine/c.py"]
    for name in names:
        (tmp_path / "nbs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "nbs" / name).touch()
    monkeypatch.setattr(notebooks, "asset", lambda *parts: tmp_path.joinpath("package", *parts))
    found = [path.relative_to(tmp_path / "nbs").as_posix() for path in all_notebooks()]
    assert found == ["b.ipynb", "engine/a.ipynb"]


def test_without_a_clone_the_lessons_are_those_in_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "asset", lambda *parts: tmp_path.joinpath("package", *parts))
    for name in ("01_data.ipynb", "00_start_here.ipynb", "one_page.ipynb"):
        (tmp_path / "package/lessons").mkdir(parents=True, exist_ok=True)
        (tmp_path / "package/lessons" / name).touch()
    assert [path.name for path in lessons()] == ["00_start_here.ipynb", "01_data.ipynb"]
    assert learner_notebooks()[0].name == "one_page.ipynb"
    assert all(path.parent.name == "lessons" for path in learner_notebooks())


def test_what_is_no_notebook_is_told(tmp_path):
    (tmp_path / "a.ipynb").write_text("Dear teacher")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_notebook(tmp_path / "a.ipynb")
    for wrong in ([1, 2], {"cells": 3}, {"cells": [{"source": "x"}]}):
        for cells in (code_cells, markdown_cells):
            with pytest.raises(ValueError, match="no notebook of format 4"):
                cells(wrong)
    with pytest.raises(ValueError, match="has no title"):
        title_of(notebook("# not prose"))


def test_the_module_of_a_notebook():
    assert module_of(notebook("#| default_exp engine.data", "1")) == "engine.data"
    assert module_of(notebook("#|default_exp checks.__init__")) == "checks"
    assert module_of(notebook("x = 1")) == ""


def test_real_lessons_become_clean():
    for path in lessons():
        edition = learner_edition(json.loads(path.read_text("utf-8")))
        code = ["".join(cell["source"]) for cell in edition["cells"] if cell["cell_type"] == "code"]
        assert code and not any("#|" in source for source in code)
        assert not any(cell.get("outputs") for cell in edition["cells"])


def test_directives():
    lesson = notebook("#| hide\n1", "#|export\nx = 2", "#| default_exp data", "3")
    lesson["cells"][3]["metadata"]["jupyter"] = {"source_hidden": True}
    edition = learner_edition(lesson)
    assert [(cell["source"], cell["metadata"]) for cell in edition["cells"]] == [
        (["x = 2"], {}),
        (["3"], {"jupyter": {"source_hidden": True}}),
    ]
    assert "mnist_course" not in edition["metadata"]


def prose(*lines: str) -> dict:
    return {"cell_type": "markdown", "source": [*lines], "metadata": {}}


def code(source: str, *outputs: dict, **metadata) -> dict:
    cell = {"cell_type": "code", "source": source.splitlines(keepends=True)}
    return cell | {"outputs": [*outputs], "metadata": metadata, "execution_count": 7}


def picture(png: str | list[str], alt: str = "") -> dict:
    metadata = {"image/png": {"alt": alt}} if alt else {}
    return {"data": {"image/png": png, "text/plain": "x"}, "metadata": metadata}


def test_text_and_code_are_told_apart():
    page = {"cells": [prose("# The ", "title\n", "words"), code("x = 1\ny = 2"), prose("# More")]}
    assert markdown_cells(page) == ["# The title\nwords", "# More"]
    assert code_cells(page) == ["x = 1\ny = 2"]
    assert title_of(page) == "The title"


def test_directives_are_read_and_taken_away():
    source = "#| export\n#|echo: false\n\nx = 1  #| no directive\n# one line\n"
    assert directives(source) == ["export", "echo: false"]
    assert without_directives(source) == "x = 1  #| no directive\n# one line"


def test_a_folded_cell_is_known_by_its_metadata():
    assert is_folded(code("1", jupyter={"source_hidden": True}))
    for open_one in ({}, {"jupyter": {}}, {"jupyter": {"source_hidden": False}}):
        assert not is_folded(code("1", **open_one))


def test_a_learners_edition_keeps_lines_and_leads_to_the_site(monkeypatch):
    "One hidden directive among others hides a cell; outputs and counts are gone."
    text = ["See [the engine](engine/data.ipynb#loaders)\n", "and [data](01_data.ipynb)."]
    page = {
        "cells": [
            prose(*text),
            code("#| echo: false\n#| hide\nsecret = 1"),
            code("#| export\nx = 1\nx", picture("A"), tags=["b"]),
            prose("The ", "end."),
        ],
        "metadata": {"kernelspec": {}, "mnist_course": {}},
    }
    before = json.loads(json.dumps(page))
    monkeypatch.setattr(notebooks, "course_site", lambda: "https://example.org/course")
    edition = learner_edition(page)
    assert page == before
    first, second, third = edition["cells"]
    assert first["source"] == [
        "See [the engine](https://example.org/course/engine/data.html#loaders)\n",
        "and [data](01_data.ipynb).",
    ]
    assert second["source"] == ["x = 1\n", "x"] and second["metadata"] == {}
    assert (second["outputs"], second["execution_count"]) == ([], None)
    assert third["source"] == ["The end."] and edition["metadata"] == {"kernelspec": {}}
    monkeypatch.setattr(notebooks, "course_site", lambda: "")
    assert learner_edition(page)["cells"][0]["source"] == text


def test_the_site_is_what_the_installation_says(monkeypatch):
    said = ["Homepage, https://a.org", "Documentation, https://b.org/course/"]
    found = {"Project-URL": said}
    monkeypatch.setattr(
        notebooks, "metadata", lambda name: type("M", (), {"get_all": staticmethod(found.get)})
    )
    assert course_site() == "https://b.org/course"
    found["Project-URL"] = None
    assert course_site() == ""


def test_a_lesson_is_known_by_a_picture():
    "By the one with known words; else by the largest but the first; else by the only one."
    known = "Three kernels: identity, blur, sharpen"
    large, small = picture(["AAAA\n", "AAAA\n"]), picture("BB\n", "B")
    page = {"cells": [prose("x"), code("1", small), code("2", large, picture("C", known))]}
    assert picture_of(page) == ("C", known)
    page = {"cells": [code("1", picture("D" * 20), small), code("2", large, {"text": "no"})]}
    assert picture_of(page) == ("AAAAAAAA", "")
    assert picture_of({"cells": [code("1", small)]}) == ("BB", "B")
    assert picture_of({"cells": [prose("x"), code("1")]}) is None


def test_a_card_is_read_from_its_heading_to_its_check():
    drawn = [picture("first", "no"), {"text": "x"}, picture(["QUJD\n", "REVG\n"], "Two bars.")]
    stub = (
        "# pass lists to it\nfrom mnist_course.checks import check\n\nbars = [..., ...]  # a, b\n"
    )
    page = {
        "cells": [
            code('check("01.early", early)'),
            prose(
                "### Exercise 01.2 · Two bars (3 of 5, 12 min)\n", "\n", "How tall?\n", "Say it.\n"
            ),
            code("# figure", *drawn),
            prose("<details>a hint</details>"),
            code(stub + '\ncheck("01.two_bars", bars)', {"text": "no picture"}),
            code('check("01.two_bars", again)'),
            prose("### Exercise 01.3 · No picture (1 of 5, 2 min)\n\nThink."),
            code('answer = ...\n\ncheck("01.plain", answer)'),
        ]
    }
    first, second = read_cards(page)
    assert first == Card(
        id="01.two_bars",
        number="01.2",
        title="Two bars",
        difficulty=3,
        minutes=12,
        task="How tall?\nSay it.",
        code="bars = [..., ...]  # a, b",
        picture="QUJDREVG",
        alt="Two bars.",
    )
    assert (second.id, second.task, second.code) == ("01.plain", "Think.", "answer = ...")
    assert (second.picture, second.alt, second.minutes) == ("", "", 2)


def test_warm_ups_are_questions_with_their_answers():
    text = "## Warm-up\n\n**1.** How many? *Three, of *all* of them.*\n\nWhy so? *Because.*\n"
    page = {"cells": [prose("# T"), prose(text), prose("## Next\n", "Who? *Not this.*")]}
    assert warm_ups(page) == [("How many?", "Three, of *all* of them."), ("Why so?", "Because.")]
    assert warm_ups({"cells": [prose("## Next\n", "Who? *Nobody.*")]}) == []


@by_lesson
def test_cards_are_the_lessons_exercises(path):
    cards = read_cards(read_notebook(path))
    here = [item for item in exercises() if item.lesson == path.name[:2]]
    known = {item.id: item for item in here if item.kind != "build"}  # those stand in the text
    assert {card.id for card in cards} == set(known)
    for i, card in enumerate(cards, 1):
        item = known[card.id]
        assert card.number == f"{item.lesson}.{i}"
        assert (card.title, card.minutes, card.difficulty) == (
            item.title,
            item.minutes,
            item.difficulty,
        )
        assert (
            card.task
            and "..." in card.code
            and "check(" not in card.code
            and "<details" not in card.task
        )
        assert bool(card.picture) == (item.kind == "read a plot") == bool(card.alt)


def test_every_link_of_a_learners_lesson_leads_somewhere():
    "In their folder are these pages and nothing else; all others are on the site."
    names = {path.name for path in learner_notebooks()}
    elsewhere = 0
    for path in learner_notebooks():
        edition = learner_edition(read_notebook(path))
        for text in markdown_cells(edition):
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
                if target.startswith("http"):
                    elsewhere += "/engine/" in target
                else:
                    assert target.split("#")[0] in ("", *names), f"{path.stem}: {target}"
    assert elsewhere > 4


def joined_lines(path) -> list[str]:
    "The cells of a notebook whose source isn't a list of lines, as Quarto and Jupyter write it: other readers lose line ends."
    faults = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = cell["source"]
        if not isinstance(source, list) or source != "".join(source).splitlines(keepends=True):
            faults.append(f"{path.name}: {str(source)[:60]}")
    return faults


def test_whoever_writes_a_notebook_writes_lists_of_lines(tmp_path):
    from mnist_course.making.colab import write_colab
    from mnist_course.teaching.folder import write_course

    write_course(tmp_path / "my_course")
    written = [*write_colab(tmp_path / "colab"), *(tmp_path / "my_course").rglob("*.ipynb")]
    assert len(written) > 30
    assert [fault for path in [*written, *all_notebooks()] for fault in joined_lines(path)] == []


def unknown_names(cells: list[str]) -> set[str]:
    "The names that some cells use and none of them binds, in whatever place."
    used, bound = set(), {"display", "get_ipython", *dir(builtins)}
    for cell in cells:
        lines = [line for line in cell.splitlines() if not line.lstrip().startswith(("%", "!"))]
        for node in ast.walk(ast.parse("\n".join(lines))):
            match node:
                case ast.Name(id=name, ctx=ast.Load()):
                    used.add(name)
                case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                    bound.add(name)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.MatchAs(name=name):
                    bound.add(name)
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    bound |= {(one.asname or one.name).split(".")[0] for one in names}
    return used - bound


@pytest.mark.parametrize("path", learner_notebooks(), ids=lambda path: path.stem)
def test_a_learner_has_every_name_that_a_lesson_uses(path):
    assert not unknown_names(code_cells(learner_edition(read_notebook(path))))


def test_a_name_that_nobody_gave_is_found():
    assert unknown_names(["def f(x):\n    return x + y", "z = f(1)"]) == {"y"}
