"""Notebooks run from top to bottom: some with each commit, others with the next, all of them once a week. What changed in a
notebook or in what it read has been run before: see test_outputs_belong_to_the_code_and_to_what_it_read."""

import re
from pathlib import Path

import pytest
from helpers import ROOT

from mnist_course.teaching.notebooks import all_notebooks

# What the tests ask of the modules made from these, or ask as well: two processes train as one does.
ELSEWHERE = re.compile(r"(answers|engine|workshop)/|instructors/several_processes")
LESSON = re.compile(r"\d\d_")


def place(path: Path) -> str:
    return path.relative_to(ROOT / "nbs").with_suffix("").as_posix()


def when(path: Path) -> pytest.MarkDecorator:
    "How often it runs: three of the lessons, two of the other pages, or once a week."
    if ELSEWHERE.match(place(path)):
        return pytest.mark.long
    return pytest.mark.drawn(3 if LESSON.match(place(path)) else 2)


def run_notebook(path: Path) -> None:
    "As nbdev_test does, in this process."
    from nbdev.config import get_config
    from nbdev.test import test_nb

    passed, _ = test_nb(path, skip_flags=get_config().tst_flags.split(), basepath=ROOT)
    assert passed


# those that train the whole network begin
LONGEST = ("one_page", "08_training", "13_better", "14_faster")
PATHS = sorted(all_notebooks(), key=lambda path: path.stem not in LONGEST)


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=when(path)) for path in PATHS], ids=map(place, PATHS)
)
def test_a_notebook_runs(path, apart):
    status, said = apart(path.parent, run_notebook, path)
    assert status == 0, said
