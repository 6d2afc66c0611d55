"The one reader of notebooks: which there are, what is in them, the learner's edition, exercise cards."

import ast
import builtins
import json
import re

import pytest

from mnist_course.checks import exercises
from mnist_course.teaching.notebooks import (
    all_notebooks,
    code_cells,
    learner_edition,
    learner_notebooks,
    lessons,
    markdown_cells,
    module_of,
    pick_lessons,
    read_cards,
    read_notebook,
    title_of,
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
