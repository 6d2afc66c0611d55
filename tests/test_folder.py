"""The learner's folder, and the promise that nothing of theirs is overwritten."""

import json

import pytest

import mnist_course.teaching.folder as own_folder
from mnist_course.teaching.folder import write_course


def notebook(*sources: str) -> dict:
    cells = [
        {
            "cell_type": "code",
            "source": [s],
            "metadata": {"tags": ["x"]},
            "outputs": [1],
            "execution_count": 3,
        }
        for s in sources
    ]
    return {
        "cells": cells,
        "metadata": {"mnist_course": {"code": "x"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def course(tmp_path, monkeypatch):
    "Two lessons that a test may change, and the learner's folder."
    source = tmp_path / "nbs"
    source.mkdir()
    for name in ("00_a.ipynb", "01_b.ipynb"):
        (source / name).write_text(json.dumps(notebook(f"print('{name}')")))
    monkeypatch.setattr(own_folder, "learner_notebooks", lambda: sorted(source.glob("*.ipynb")))
    return source, tmp_path / "my_course"


def test_first_and_second_time(course):
    assert write_course(course[1]) == ["00_a.ipynb: new", "01_b.ipynb: new"]
    assert write_course(course[1]) == []


def test_update_of_an_untouched_lesson(course):
    source, folder = course
    write_course(folder)
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    assert write_course(folder) == ["01_b.ipynb: updated"]
    assert "better" in (folder / "01_b.ipynb").read_text()


def test_update_of_a_changed_lesson(course):
    source, folder = course
    write_course(folder)
    (folder / "01_b.ipynb").write_text("mine")
    assert write_course(folder) == []
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    assert write_course(folder) == ["your 01_b.ipynb is kept; 01_b.new.ipynb: new"]
    assert (folder / "01_b.ipynb").read_text() == "mine"
    assert "better" in (folder / "01_b.new.ipynb").read_text()
    assert write_course(folder) == []
    (folder / "01_b.new.ipynb").write_text("mine too")
    (source / "01_b.ipynb").write_text(json.dumps(notebook("best")))
    assert write_course(folder) == ["your 01_b.ipynb is kept; 01_b.new2.ipynb: new"]
    assert (folder / "01_b.new.ipynb").read_text() == "mine too"


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": 3}', '{"version": "1"}'])
def test_a_damaged_manifest_loses_nothing(course, manifest):
    source, folder = course
    write_course(folder)
    (folder / "00_a.ipynb").write_text("mine")
    (folder / ".mnist_course.json").write_text(manifest)
    (source / "00_a.ipynb").write_text(json.dumps(notebook("better")))
    write_course(folder)
    assert (folder / "00_a.ipynb").read_text() == "mine"


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "my_course").write_text("not a folder")
    with pytest.raises(NotADirectoryError, match="give the name of a folder"):
        write_course(tmp_path / "my_course")
    assert (tmp_path / "my_course").read_text() == "not a folder"
