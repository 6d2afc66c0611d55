"The containers in which the course starts elsewhere: Binder, development containers, and the Dockerfile, as far as it can be checked without Docker."

import json
import os
import re
import subprocess
import sys

from helpers import ROOT

from mnist_course.cli import _make_parser
from mnist_course.making.repository import settings


def test_binder():
    folder = ROOT / ".binder"
    version = re.fullmatch(r"python-(\d+\.\d+)\n", (folder / "runtime.txt").read_text("utf-8"))[1]
    assert tuple(map(int, version.split("."))) >= tuple(
        map(int, settings()["min_python"].split("."))
    )
    lines = [
        line
        for line in (folder / "requirements.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert (
        "-e .[course]" in lines
        and (folder / next(line for line in lines if line.startswith("-c")).split()[1]).is_file()
    )
    commands = [
        line.split()
        for line in (folder / "postBuild").read_text("utf-8").splitlines()
        if line.startswith("mnist-course")
    ]
    args = _make_parser().parse_args(commands[0][1:])
    assert args.write_only and args.folder == "my_course"  # where the badge leads to
    if sys.platform != "win32":
        assert os.access(folder / "postBuild", os.X_OK)


def test_devcontainer():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8")
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
    assert re.search(r"python:\d\.\d+-", container["image"])
    make, start = container["postCreateCommand"].split(" && ")
    assert re.search(
        rf"^{re.escape(make.split()[1])}\b", (ROOT / "Makefile").read_text("utf-8"), re.M
    )
    assert _make_parser().parse_args(start.split()[1:]).write_only


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
