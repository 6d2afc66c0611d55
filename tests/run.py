"""Run everything that CI runs, in the order of cost, and say how long each step took: python tests/run.py"""

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

STEPS = [
    ("lint", [BIN / "ruff", "check", "."]),
    ("format", [BIN / "ruff", "format", "--check", "."]),
    ("spelling", [BIN / "typos"]),
    ("types", [BIN / "mypy"]),
    ("notebooks", [BIN / "nbdev_test", "--n_workers", WORKERS]),
    (
        "tests",
        [sys.executable, "-m", "pytest", "-n", WORKERS, "--dist", "loadfile"],
    ),  # the tests of a file share what they made
]


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
    failed = [name for name, command in STEPS if not run(name, command)]
    print(f"failed: {', '.join(failed)}" if failed else "everything passed")
    sys.exit(1 if failed else 0)
