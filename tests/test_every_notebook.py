"""Each notebook runs from top to bottom: lessons and pages every day, what is tested as a module as well once a week."""

import re
from pathlib import Path

import pytest
from helpers import ROOT

from mnist_course.teaching.notebooks import all_notebooks

# What the tests ask of the modules made from these, or ask as well: two processes train as one does.
ELSEWHERE = re.compile(r"(answers|engine|workshop)/|instructors/several_processes")


def place(path: Path) -> str:
    return path.relative_to(ROOT / "nbs").with_suffix("").as_posix()


def run_notebook(path: Path) -> None:
    "As nbdev_test does, in this process."
    from nbdev.config import get_config
    from nbdev.test import test_nb

    passed, _ = test_nb(path, skip_flags=get_config().tst_flags.split(), basepath=ROOT)
    assert passed


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.long] * bool(ELSEWHERE.match(place(path))))
        for path in all_notebooks()
    ],
    ids=place,
)
def test_a_notebook_runs(path, apart):
    status, said = apart(path.parent, run_notebook, path)
    assert status == 0, said
