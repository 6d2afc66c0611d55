"What kills and full disks share: the process that forks victims, and the table at the end of `make kill`."

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from helpers import ROOT

from mnist_course.progress import FILE

TALLY: dict[str, Counter] = {}  # what was done to, and how often by kind


@dataclass
class Outcome:
    "What became of a victim."

    status: int
    said: str
    counts: dict[str, int]


class Victims:
    "Has tasks done, undisturbed or not. Which there are is said in victim.py."

    def __init__(self, server: subprocess.Popen):
        self.server = server

    def __call__(self, task: str, folder: Path, **order: object) -> Outcome:
        environment = {"MNIST_COURSE_PROGRESS": str(folder / FILE)}
        environment |= {name: order.pop(name) for name in [*order] if name.isupper()}
        words = {"task": task, "folder": str(folder), "environment": environment, **order}
        self.server.stdin.write(json.dumps(words) + "\n")
        self.server.stdin.flush()
        return Outcome(**json.loads(self.server.stdout.readline()))

    def whole(self, task: str, folder: Path, **order: object) -> Outcome:
        "An undisturbed call."
        done = self(task, folder, **order)
        assert done.status == 0, done.said
        return done

    def killed(self, task: str, folder: Path, moment: tuple[str, int], **order: object) -> Outcome:
        "A call that was ended at a moment: really, and there."
        done = self(task, folder, moment=moment, **order)
        by = signal.SIGXFSZ if moment[0] == "byte" else signal.SIGKILL
        assert done.status == -by, (moment, done)
        TALLY.setdefault(f"killed: {task}", Counter())[moment[0]] += 1
        return done


@pytest.fixture(scope="session")
def victims() -> Iterator[Victims]:
    own = {"MNIST_COURSE_DATA": "sample", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    own |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.long.victim"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=ROOT, env={**os.environ, **own}, **pipes) as server:
        yield Victims(server)
        server.stdin.close()


@pytest.fixture
def moments(kills: int, request: pytest.FixtureRequest) -> Callable[[Outcome], list]:
    """Moments in the middle of what an undisturbed call did: before its operation number n, within a
    file after byte n, at a training step. The kinds take turns; always the same in the same test."""

    def drawn(done: Outcome, number: int = 0, writes: bool = False) -> list[tuple[str, int]]:
        trains = done.counts["step"] > 0 and not writes
        kinds = ["step"] * trains + ["operation", "byte"]
        chosen = []
        for i in range(number or kills):
            kind = kinds[i % len(kinds)]
            most = done.counts[kind] - (kind == "byte")  # the last byte is no middle
            if writes and kind == "operation":
                most = done.counts["last"]
            place = random.Random(f"{request.node.name} {i}").randint(1, most)
            chosen.append((kind, place))
        return chosen

    return drawn


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    "New, empty folders of one name, one after the other."

    def made() -> Iterator[Path]:
        for number in count():
            folder = tmp_path / str(number) / "own"
            folder.mkdir(parents=True)
            yield folder

    return made()


def content(folder: Path) -> dict[str, bytes]:
    "All files but the locks, which are empty and stay."
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.endswith(".lock")}


def pytest_terminal_summary(terminalreporter) -> None:
    "What was really done, as a table."
    if TALLY and terminalreporter.config.getoption("--kills") > 2:
        terminalreporter.write_sep("-", "how often it was really done, in the middle of what")
        for name, kinds in sorted(TALLY.items()):
            said = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
            terminalreporter.write_line(f"| {name} | {kinds.total()} | {said} |")
