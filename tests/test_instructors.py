"The instructors' pages: what they name is there, and what they measure is measured."

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from helpers import ROOT

import mnist_course.making.capacity as capacity
from mnist_course.base import asset
from mnist_course.checks import exercises
from mnist_course.making.capacity import code_of, longest_wait, measure, memory_needed, taken_by
from mnist_course.teaching.notebooks import code_cells, markdown_cells, read_notebook
from mnist_course.training import History

PAGES = sorted((ROOT / "nbs" / "instructors").glob("*.ipynb"))
FOUND = json.loads(asset("runs", "capacity.json").read_text("utf-8"))


def prose_of(path: Path) -> str:
    return "\n\n".join(markdown_cells(read_notebook(path)))


def code_of_page(path: Path) -> str:
    return "\n\n".join(code_cells(read_notebook(path)))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_for_people_who_teach_exports_nothing(path):
    assert not re.search(r"^#\| *(default_exp|export)", code_of_page(path), re.M)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_between_the_pages_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+\.ipynb)", prose_of(path)):
        if not target.startswith("http"):
            assert (path.parent / target).exists() or (ROOT / "nbs" / target).exists(), target


TEACHING = ROOT / "nbs" / "instructors" / "teaching.ipynb"


def test_likely_wrong_answers_are_those_of_the_registry():
    known = {item.id: item for item in exercises()}
    named = re.findall(r'"(\d\d\.\w+)/(\w+)"', code_of_page(TEACHING))
    assert len(named) > 60 and len(set(named)) == len(named)
    shown = "\n".join(
        "".join(output.get("data", {}).get("text/markdown", []))
        for cell in read_notebook(TEACHING)["cells"]
        for output in cell.get("outputs", [])
    )
    for id, misconception in named:
        assert misconception in known[id].misconceptions, (id, misconception)
        assert known[id].reasons[misconception] in shown, (
            f"{id}/{misconception} has other words now: python -m mnist_course.making notebooks teaching"
        )


def test_every_lesson_has_a_section_that_names_each_of_its_exercises():
    sections = re.findall(r"^## (\d\d) ", prose_of(TEACHING), re.M)
    assert sections == [f"{i:02}" for i in range(15)]
    named = {id for id, _ in re.findall(r'"(\d\d\.\w+)/(\w+)"', code_of_page(TEACHING))}
    assert {item.id for item in exercises() if item.lesson in sections} == named


def test_a_process_is_seen_with_its_children_and_a_dead_one_is_nothing():
    held = "x = bytearray(150_000_000); print(1, flush=True); input()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    with subprocess.Popen(
        [os.sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        taken = taken_by(process.pid)
        process.communicate(b"\n")
    assert 150 < taken.own < 300 and taken.cpu > 0
    assert taken_by(process.pid).own == 0


def test_measure_sees_what_a_lesson_takes(monkeypatch, tmp_path):
    cells = ["x = bytearray(200_000_000)", "del x", "1 / 0", "sum(i for i in range(10_000_000))"]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})
    (tmp_path / "00_small.ipynb").write_text(notebook)

    def write(folder):
        folder.mkdir(parents=True)
        (folder / "00_small.ipynb").write_text(notebook)

    monkeypatch.setattr(capacity, "write_course", write)
    use = measure(tmp_path / "00_small.ipynb", learners=2, every=0.02)
    assert code_of(tmp_path / "00_small.ipynb") == cells
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
    assert all(0.1 < longest <= cpu for longest, cpu in zip(use.longest, use.cpu, strict=True))
    assert max(use.peak) < use.together <= sum(use.peak) + use.shared + 1


def test_the_record_is_of_whole_lessons():
    assert {use["lesson"][:2] for use in FOUND["alone"]} >= {f"{i:02}" for i in range(12)}
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


def test_the_run_on_clothes_is_a_history():
    record = json.loads(asset("runs", "fashion.json").read_text("utf-8"))
    history = History(**record["history"])
    assert len(history) == history.settings["epochs"] == 20 and len(record["classes"]) == 10
    right = sum(row[i] for i, row in enumerate(record["confusion"]))
    assert (
        sum(map(sum, record["confusion"])) == 10_000
        and abs(right / 10_000 - history.test_acc[-1]) < 1e-3
    )
