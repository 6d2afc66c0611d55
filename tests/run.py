"""Run everything that CI runs, and say how long each step took: python tests/run.py

Or only some steps, by their names: python tests/run.py lint quick"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
# Workers wait for browsers, servers and kernels now and then: three keep two cores busy.
WORKERS = min(max(os.cpu_count() or 1, 3), 4)

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
NOTEBOOKS = "tests/test_every_notebook.py"

STEPS = {  # what CI runs
    "lint": [BIN / "ruff", "check", "."],
    "format": [BIN / "ruff", "format", "--check", "."],
    "spelling": [BIN / "typos"],
    "types": [BIN / "mypy"],
    "tests": TESTS,  # and the notebooks
}

PARTS = {  # what is run by its name only
    "quick": [*TESTS, "-m", "not slow"],
    "notebooks": [*TESTS, NOTEBOOKS, "--whole"],
    "whole": [*TESTS, "--whole"],
    "coverage": [*TESTS, "--ignore", NOTEBOOKS, "--cov", "--cov-report=term:skip-covered"],
}


def run(name: str, command: list, output: int | None = None) -> bool:
    "Run one step in the repository's root; True when it passed. With a pipe, all is told at the end."
    words, start = [str(word) for word in command], time.perf_counter()
    first = f"--- {name}: {' '.join(words[1:])}"
    if output is None:
        print(first, flush=True)
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=output,
        stderr=output and subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    passed, seconds = done.returncode == 0, time.perf_counter() - start
    last = f"--- {name}: {'passed' if passed else 'FAILED'} in {seconds:.0f} s"
    print(last if output is None else f"\n{first}\n{done.stdout}{last}", flush=True)
    return passed


def run_all(names: list[str]) -> list[str]:
    """Run some steps; the names of those that failed. Tests begin by collecting, and wait for a
    browser now and then: the other steps run meanwhile, and each tells all at its end."""
    commands = {name: (STEPS | PARTS)[name] for name in names}
    tests = [name for name in names if commands[name][:3] == TESTS[:3]]
    with ThreadPoolExecutor(1) as meanwhile:
        others = {
            name: meanwhile.submit(run, name, commands[name], subprocess.PIPE if tests else None)
            for name in names
            if name not in tests
        }
        passed = {name: run(name, commands[name]) for name in tests}
    passed |= {name: one.result() for name, one in others.items()}
    return [name for name in names if not passed[name]]


if __name__ == "__main__":
    failed = run_all(sys.argv[1:] or list(STEPS))
    print(f"failed: {', '.join(failed)}" if failed else "everything passed")
    sys.exit(1 if failed else 0)
