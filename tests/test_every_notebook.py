"""Each notebook runs from top to bottom: lessons and pages every day, what is tested as a module as well once a week."""

import multiprocessing
import os
import re
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from mnist_course.teaching.notebooks import all_notebooks

# What the tests ask of the modules made from these, or ask as well: two processes train as one does.
ELSEWHERE = re.compile(r"(answers|engine|workshop)/|instructors/several_processes")


def place(path: Path) -> str:
    return path.relative_to(ROOT / "nbs").with_suffix("").as_posix()


def run_it(path: Path, said: Path) -> None:
    "Run a notebook as nbdev_test does, in this process."
    from nbdev.config import get_config
    from nbdev.test import test_nb

    os.chdir(path.parent)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(1, 2)
    passed, _ = test_nb(path, skip_flags=get_config().tst_flags.split(), basepath=ROOT)
    sys.exit(not passed)


@pytest.fixture(scope="session")
def processes():
    "Processes that begin with what every notebook imports, where the system can copy one."
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nbdev.test", "mnist_course.checks", "matplotlib.pyplot"])
    return context


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.long] * bool(ELSEWHERE.match(place(path))))
        for path in all_notebooks()
    ],
    ids=place,
)
def test_a_notebook_runs(path, processes, tmp_path):
    said = tmp_path / "said.txt"
    process = processes.Process(target=run_it, args=(path, said))
    process.start()
    process.join()
    assert process.exitcode == 0, said.read_text("utf-8", "replace")
