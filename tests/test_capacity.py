"What lessons take from a server: measured, recorded, and multiplied for a class."

import json
import os
import subprocess
import sys
import time

import pytest

import mnist_course.making.capacity as capacity
from mnist_course.base import asset
from mnist_course.making.capacity import (
    _measure_lesson,
    _taken_by,
    longest_wait,
    memory_needed,
)
from mnist_course.teaching.notebooks import code_cells

FOUND = json.loads(asset("runs", "capacity.json").read_text("utf-8"))


def test_a_process_is_seen_with_its_children_and_a_dead_one_is_nothing():
    held = "x = bytearray(150_000_000); print(1, flush=True); input()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    with subprocess.Popen(
        [os.sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        taken = _taken_by(process.pid)
        process.communicate(b"\n")
    assert 150 < taken.own < 300 and taken.cpu > 0
    assert _taken_by(process.pid).own == 0


@pytest.mark.slow
def test_measure_sees_what_a_lesson_takes(monkeypatch, tmp_path):
    seen = tmp_path / "seen"
    hold = f"""
import os, pathlib, time
x = bytearray(200_000_000)
while not pathlib.Path({str(seen)!r}, str(os.getpid())).exists():
    time.sleep(0.01)"""
    work = "sum(i for i in range(10_000_000))"
    cells = [hold, "del x", "1 / 0", work]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})
    (tmp_path / "00_small.ipynb").write_text(notebook)

    def write(folder):
        folder.mkdir(parents=True)
        (folder / "00_small.ipynb").write_text(notebook)

    def look(pid):
        taken = _taken_by(pid)
        if taken.own > 200:  # and only now may this learner's first cell come to its end
            (seen / str(pid)).touch()
        return taken

    seen.mkdir()
    monkeypatch.setattr(capacity, "write_course", write)
    monkeypatch.setattr(capacity, "_taken_by", look)
    use = _measure_lesson(tmp_path / "00_small.ipynb", learners=2, every=0.02)
    assert code_cells(json.loads(notebook)) == cells
    assert (
        use.errors == 2
        and len(use.peak)
        == len(use.rest)
        == len(use.cpu)
        == len(use.longest)
        == len(use.seconds)
        == 2
    )
    assert all(peak > rest for peak, rest in zip(use.peak, use.rest, strict=True))
    start = time.process_time()
    exec(work)
    taken = time.process_time() - start  # the same sum, here
    assert all(
        taken / 10 < longest <= cpu for longest, cpu in zip(use.longest, use.cpu, strict=True)
    )
    assert max(use.peak) < use.together <= sum(use.peak) + use.shared + 1


def test_the_record_is_of_whole_lessons():
    later = {"06"}  # came in after the measurement
    assert {use["lesson"][:2] for use in FOUND["alone"]} >= {f"{i:02}" for i in range(12)} - later
    assert not any(use["errors"] for use in FOUND["alone"] + FOUND["crowded"])
    assert {"processor", "cores", "memory_gb", "torch"} <= FOUND["machine"].keys()


def test_memory_and_waits_are_what_the_page_says():
    thirty, sixty, one = (memory_needed(FOUND, n) for n in (30, 60, 1))
    assert sixty - thirty == pytest.approx(30 / 29 * (thirty - one))
    assert (
        memory_needed(FOUND, 30, open_kernels=1) < thirty < memory_needed(FOUND, 30, open_kernels=3)
    )
    assert longest_wait(FOUND, 30, 8) == pytest.approx(longest_wait(FOUND, 60, 16))
    assert longest_wait(FOUND, 1, 8) == max(max(use["longest"]) for use in FOUND["alone"])
    for wrong in ({"learners": 0}, {"learners": 3, "open_kernels": 0}):
        with pytest.raises(ValueError, match="at least one learner"):
            memory_needed(FOUND, **wrong)
    with pytest.raises(ValueError, match="99_none was not measured, only 00_"):
        longest_wait(FOUND, 30, 8, "99_none")


def test_the_most_that_a_process_held_is_not_forgotten():
    code = "from mnist_course.making.capacity import peak_memory; before = peak_memory(); x = bytearray(300_000_000); "
    code += "del x; print(peak_memory() - before)"
    grown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert 250e6 < int(grown) < 400e6
