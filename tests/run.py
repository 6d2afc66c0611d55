"""Run everything that CI runs, in the order of cost, and say how long each step took: python tests/run.py

Or only some steps, by their names: python tests/run.py lint quick"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
WORKERS = min(os.cpu_count() or 1, 4)

# Several workers with several threads each would wait for each other; the sample needs no network.
ENVIRONMENT = {
    **os.environ,
    "MNIST_COURSE_DATA": "sample",
    "OMP_NUM_THREADS": "1",
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
}

# the tests of a file share what they made, so they go to one worker; the longest files begin
TESTS = [sys.executable, "-m", "pytest", "-n", WORKERS, "--dist", "loadfile"]
TESTS += ["--no-loadscope-reorder"]

NOTEBOOKS = [BIN / "nbdev_test", "--n_workers", WORKERS]
# What the tests ask of the modules made from these, or ask as well: two processes train as one does.
ELSEWHERE = ["--skip_folder_re", r"^[_.]|^(answers|engine|workshop)$"]
ELSEWHERE += ["--skip_file_re", r"^[_.]|^several_processes"]

STEPS = {  # what CI runs
    "lint": [BIN / "ruff", "check", "."],
    "format": [BIN / "ruff", "format", "--check", "."],
    "spelling": [BIN / "typos"],
    "types": [BIN / "mypy"],
    "notebooks": [*NOTEBOOKS, *ELSEWHERE],
    "tests": TESTS,
}

PARTS = {  # what is run by its name only
    "quick": [*TESTS, "-m", "not slow"],
    "every-notebook": NOTEBOOKS,
    "whole": [*TESTS, "--whole"],
    "coverage": [*TESTS, "--cov", "--cov-report=term:skip-covered"],
}


def run(name: str, command: list) -> bool:
    "Run one step in the repository's root; True when it passed."
    print(f"--- {name}: {' '.join(str(word) for word in command[1:])}", flush=True)
    start = time.perf_counter()
    passed = (
        subprocess.run([str(word) for word in command], cwd=ROOT, env=ENVIRONMENT).returncode == 0
    )
    print(
        f"--- {name}: {'passed' if passed else 'FAILED'} in {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return passed


if __name__ == "__main__":
    failed = [name for name in sys.argv[1:] or STEPS if not run(name, (STEPS | PARTS)[name])]
    print(f"failed: {', '.join(failed)}" if failed else "everything passed")
    sys.exit(1 if failed else 0)
