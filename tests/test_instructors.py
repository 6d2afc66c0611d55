"The instructors' pages: what they name is there. The Dockerfile, as far as it can be checked without Docker."

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from mnist_course.base import asset
from mnist_course.checks import exercises
from mnist_course.teaching.notebooks import read_notebook
from mnist_course.training import History

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "nbs" / "instructors").glob("*.ipynb"))


def text_of(path: Path, kind: str) -> str:
    return "\n\n".join(
        "".join(cell["source"])
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == kind
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_between_the_pages_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+\.ipynb)", text_of(path, "markdown")):
        if not target.startswith("http"):
            assert (path.parent / target).exists() or (ROOT / "nbs" / target).exists(), target


TEACHING = ROOT / "nbs" / "instructors" / "teaching.ipynb"


def test_likely_wrong_answers_are_those_of_the_registry():
    known = {item.id: item for item in exercises()}
    named = re.findall(r'"(\d\d\.\w+)/(\w+)"', text_of(TEACHING, "code"))
    assert len(named) > 60 and len(set(named)) == len(named)
    shown = "\n".join(
        "".join(output.get("data", {}).get("text/markdown", []))
        for cell in read_notebook(TEACHING)["cells"]
        for output in cell.get("outputs", [])
    )
    for id, misconception in named:
        assert misconception in known[id].misconceptions, (id, misconception)
        assert known[id].reasons[misconception] in shown, (
            f"{id}/{misconception} has other words now: mnist-course notebooks teaching"
        )


def test_every_lesson_has_a_section_that_names_each_of_its_exercises():
    sections = re.findall(r"^## (\d\d) ", text_of(TEACHING, "markdown"), re.M)
    assert sections == [f"{i:02}" for i in range(15)]
    named = {id for id, _ in re.findall(r'"(\d\d\.\w+)/(\w+)"', text_of(TEACHING, "code"))}
    assert {item.id for item in exercises() if item.lesson in sections} == named


def test_the_run_on_clothes_is_a_history():
    record = json.loads(asset("runs", "fashion.json").read_text("utf-8"))
    history = History(**record["history"])
    assert len(history) == history.settings["epochs"] == 20 and len(record["classes"]) == 10
    right = sum(row[i] for i, row in enumerate(record["confusion"]))
    assert (
        sum(map(sum, record["confusion"])) == 10_000
        and abs(right / 10_000 - history.test_acc[-1]) < 1e-3
    )


def instructions() -> list[tuple[str, str]]:
    "The Dockerfile's instructions, with continued lines joined."
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")
    ]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def test_the_dockerfile_is_well_formed_and_its_files_are_here():
    steps = instructions()
    known = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "USER", "WORKDIR"}
    assert {name for name, _ in steps} <= known and steps[0][0] == "FROM"
    assert (
        [name for name, _ in steps].count("CMD")
        == [name for name, _ in steps].count("ENTRYPOINT")
        == 1
    )
    copied = set()
    for name, rest in steps:
        if name == "COPY":
            *sources, target = rest.split()
            assert target.startswith("/src")
            copied |= set(sources)
    assert all((ROOT / source).exists() for source in copied)
    assert {
        "setup.py",
        "settings.ini",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "mnist_course",
        "nbs",
    } <= copied
    names = [name for name, _ in steps]
    assert names.index("USER") > max(
        i for i, name in enumerate(names) if name == "RUN"
    )  # a learner is not root


def test_the_entrypoint_writes_the_lessons_and_then_runs_what_was_asked_for(tmp_path):
    entry, default = (json.loads(dict(instructions())[name]) for name in ("ENTRYPOINT", "CMD"))
    assert default == ["jupyterhub-singleuser"]
    stub = tmp_path / "mnist-course"
    stub.write_text('#!/bin/sh\necho "course: $@"\n')
    stub.chmod(0o755)
    own = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        [*entry, "printf", "%s|", "two words", "--ip=0.0.0.0"],
        env=own,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "course: start my_course --write-only\ntwo words|--ip=0.0.0.0|"
