"""The package's types hold, and programs of people who use it are typed, and run. The step "types" of tests/run.py asks
mypy the same of the package and the programs each time, so that here only --whole does."""

import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted((ROOT / "tests" / "typing").glob("*.py"))
by_program = pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)


@cache
def complaints() -> list[str]:
    "What mypy says of the package and the programs, a line each; the settings are in pyproject.toml."
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@pytest.mark.long
def test_the_package_has_no_errors_of_type():
    assert not [line for line in complaints() if line.startswith("mnist_course")]


@pytest.mark.long
@by_program
def test_a_program_has_no_errors_of_type(path):
    assert not [line for line in complaints() if line.startswith(f"tests/typing/{path.name}")]


def program(path: Path) -> None:
    os.environ |= {"MNIST_COURSE_DATA": "sample", "MNIST_COURSE_PROGRESS": "off"}
    runpy.run_path(str(path), run_name="__main__")


@by_program
def test_a_program_runs(path, tmp_path, apart):
    status, told = apart(tmp_path, program, path)
    assert status == 0, told


def test_a_wrong_type_is_seen(tmp_path):
    "The decorators keep the types of what they decorate: without that, nothing in a course of one's own is checked."
    program = tmp_path / "wrong.py"
    program.write_text(
        "from mnist_course.checks import Registry\n"
        "mine = Registry()\n"
        "@mine.exercise('mine.double', 'Double it', 1, 2, cases=lambda rng: [(1,)])\n"
        "def double(n: int) -> int:\n"
        "    return 2 * n\n"
        "double('two')\n"
        "mine.exercise('mine.half', 'Half of it', 1, 2, answer=21, rtoll=1e-3)\n"
        "mine.check('mine.double', double).stat\n"
    )
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert set(re.findall(r"wrong\.py:(\d+): error", said)) == {"6", "7", "8"}, said
