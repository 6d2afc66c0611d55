"Killed at random moments: the next call ends as if nothing had happened. Each kill is checked to have hit."

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_course.progress import FILE, MANIFEST
from tests.helpers import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX"),
]


def run(task: str, folder: Path, fatal: int = 0, **more: str) -> subprocess.CompletedProcess:
    own = {**os.environ, "MNIST_COURSE_PROGRESS": str(folder / FILE), "WORDS": "first", **more}
    words = [sys.executable, "-m", "tests.long.victim", task, str(folder), str(fatal)]
    return subprocess.run(words, cwd=ROOT, env=own, capture_output=True, text=True)


def whole(task: str, folder: Path, **more: str) -> int:
    "An undisturbed call: how many file operations it makes."
    done = run(task, folder, **more)
    assert done.returncode == 0, done.stderr
    return int(re.search(r"operations (\d+)", done.stdout)[1])


def content(folder: Path) -> dict[str, bytes]:
    "All files but the locks, which are empty and stay."
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.endswith(".lock")}


def moments(total: int, kills: int, seed: str) -> list[int]:
    return [random.Random(f"{seed} {i}").randint(1, total) for i in range(kills)]


def older(folder: Path) -> None:
    "Make all lessons those of an edition before, one of them changed by the learner."
    manifest = json.loads((folder / MANIFEST).read_text())
    import hashlib

    for name in manifest["files"]:
        (folder / name).write_bytes(b"{}")
        manifest["files"][name] = hashlib.sha256(b"{}").hexdigest()
    (folder / "03_shapes.ipynb").write_bytes(b"mine")
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("before", ["nothing", "an edition before"])
def test_lessons_are_never_doubled_nor_half(tmp_path, kills, before):
    expected = tmp_path / "expected"
    expected.mkdir()
    total = whole("start", expected)
    if before != "nothing":
        older(expected)
        total = whole("start", expected)
        assert (expected / "03_shapes.new.ipynb").exists()
    for i, fatal in enumerate(moments(total, kills, before)):
        folder = tmp_path / str(i)
        folder.mkdir()
        if before != "nothing":
            whole("start", folder)
            older(folder)
        assert run("start", folder, fatal).returncode == -signal.SIGKILL
        whole("start", folder)
        assert content(folder) == content(expected), fatal


def test_weights_are_the_old_ones_or_the_new_ones(tmp_path, kills):
    total = whole("export", tmp_path)
    size = (tmp_path / "a.safetensors").stat().st_size
    for fatal in moments(total, kills, "export"):
        assert run("export", tmp_path, fatal).returncode == -signal.SIGKILL
        assert all(path.stat().st_size == size for path in tmp_path.glob("?.safetensors"))
        whole("export", tmp_path)
        assert len(content(tmp_path)) == 3


def test_a_record_is_there_or_not_and_never_half(tmp_path, kills):
    total = whole("record", tmp_path)
    for i, fatal in enumerate(moments(total, kills, "record")):
        folder = tmp_path / str(i)
        folder.mkdir()
        assert run("record", folder, fatal).returncode == -signal.SIGKILL
        whole("record", folder)
        lines = (folder / FILE).read_bytes().splitlines()
        assert [json.loads(line)["id"] for line in lines][-20:] == [f"03.x{i}" for i in range(20)]


def test_tables_and_pages_of_a_class_stay_ours(tmp_path, kills):
    "Whoever grades again after a kill, also with other answers, finds no copy moved aside."
    expected = tmp_path / "expected"
    expected.mkdir()
    whole("grades", expected)
    total = whole("grades", expected, WORDS="second")
    for i, fatal in enumerate(moments(total, kills, "grades")):
        folder = tmp_path / str(i)
        folder.mkdir()
        whole("grades", folder)
        assert run("grades", folder, fatal, WORDS="second").returncode == -signal.SIGKILL
        whole("grades", folder, WORDS="third")
        whole("grades", folder, WORDS="second")
        assert content(folder) == content(expected), fatal


def test_what_somebody_changed_is_still_moved_aside_after_a_kill(tmp_path):
    total = whole("grades", tmp_path)
    assert run("grades", tmp_path, total - 3, WORDS="second").returncode == -signal.SIGKILL
    (tmp_path / "feedback" / "Ada.md").write_text("mine")
    whole("grades", tmp_path, WORDS="third")
    assert (tmp_path / "feedback" / "Ada.yours-1.md").read_text() == "mine"
