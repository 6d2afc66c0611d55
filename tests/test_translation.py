"Translated lessons: each is in step with its original, runs, and its checks work."

import json
import re
import shutil
from pathlib import Path

import pytest

from mnist_course.making.__main__ import main
from mnist_course.making.repository import root
from mnist_course.making.translation import settle, translation_faults, translations
from mnist_course.teaching.grading import grade_folder, read
from mnist_course.teaching.notebooks import read_notebook

ALL = translations()
by_file = pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}/{path.stem}")
GERMAN = root() / "nbs" / "translations" / "de" / "02_convolution.ipynb"


@by_file
def test_a_translation_is_in_step_with_its_original(path):
    assert not translation_faults(path), "python -m mnist_course.making translation"


@by_file
def test_everything_that_is_read_is_translated(path):
    original = {
        cell["id"]: "".join(cell["source"])
        for cell in read_notebook(root() / "nbs" / path.name)["cells"]
    }
    left = [
        cell["id"]
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == "markdown" and original.get(cell["id"]) == "".join(cell["source"])
    ]
    assert not left


@pytest.fixture
def copy(monkeypatch, tmp_path):
    "The German lesson and its original, where a test may change them."
    nbs = tmp_path / "nbs"
    (nbs / "translations" / "de").mkdir(parents=True)
    shutil.copy(root() / "nbs" / GERMAN.name, nbs)
    monkeypatch.setattr("mnist_course.making.translation.root", lambda: tmp_path)
    shutil.copy(GERMAN.with_suffix(".json"), nbs / "translations" / "de")
    return Path(shutil.copy(GERMAN, nbs / "translations" / "de"))


def change(path, old: str, new: str) -> None:
    "Replace a text in the sources of a notebook, once."
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if old in text:
            cell["source"] = text.replace(old, new, 1).splitlines(keepends=True)
            path.write_text(json.dumps(notebook), "utf-8")
            return
    raise AssertionError(f"{old} isn't there")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("75,7 %", "77,5 %", "lost the number 757"),
        ("nur noch für 19", "nur noch für 18", "has the number 18, which the original hasn't"),
        ("`normalize`", "`normalisiere`", "lost code normalize"),
        ("-2  0  2", "-2  0  1", "lost a block of code"),
        ('check("02.slide", slide)', 'check("02.relu", slide)', "does something else"),
        ("def moved(images, right)", "def bewegt(images, right)", "does something else"),
        ("F.pad(images, (right, 0))", "F.pad(images, (0, right))", "does something else"),
        ("def slide(image, kernel):", "#| export\ndef slide(image, kernel):", "exports, and only"),
    ],
)
def test_what_must_not_be_translated_is_found(copy, old, new, said):
    change(copy, old, new)
    assert said in "\n".join(translation_faults(copy))


def test_words_in_code_and_comments_may_differ(copy):
    change(copy, "dieselbe Sieben", "die gleiche")
    change(copy, "# So kann man es schreiben", "# Zum Beispiel so")
    change(copy, "um {s} verschoben: ", "{s} weiter: ")
    assert not translation_faults(copy)


def test_a_change_of_the_original_is_told_until_it_is_settled(copy, capsys):
    original = copy.parents[2] / copy.name
    change(original, "Ouch. You'd get", "Ouch! You'd get")
    assert [one for one in translation_faults(copy) if "Ouch" in one and "has changed since" in one]
    assert main(["translation", str(copy)]) == 1
    said = capsys.readouterr()
    assert ": 1 fault\n" in said.out and "--settle" in said.err
    assert main(["translation", "--settle", str(copy)]) == 0
    assert "no faults" in capsys.readouterr().out and settle(copy) == 21


def test_cells_that_went_or_moved_are_named(copy):
    notebook = json.loads(copy.read_text("utf-8"))
    first, second, *rest = notebook["cells"]
    copy.write_text(json.dumps({**notebook, "cells": [first, *rest[:3], second, *rest[5:]]}))
    said = "\n".join(translation_faults(copy))
    assert "another order" in said and f"cell {rest[3]['id']} was translated, and isn't" in said


def test_a_file_that_translates_nothing(tmp_path, capsys):
    stray = shutil.copy(GERMAN, tmp_path / "02_faltung.ipynb")
    assert main(["translation", str(stray)]) == 1
    assert "translates no lesson: there is no nbs/02_faltung.ipynb" in capsys.readouterr().err


RIGHT = """def slide(image, kernel):
    h, w = kernel.shape
    rows, columns = image.shape[0] - h + 1, image.shape[1] - w + 1
    return torch.stack([torch.stack([(image[i:i+h, j:j+w] * kernel).sum()
        for j in range(columns)]) for i in range(rows)])"""
WRONG = RIGHT.replace("* kernel)", "* kernel.flip(0, 1))")


@pytest.mark.slow
@pytest.mark.drawn(1)
@pytest.mark.parametrize(
    ("answer", "status", "mistake"),
    [(RIGHT, "passed", None), (WRONG, "failed", "kernel_turned"), (None, "not attempted", None)],
)
def test_the_german_lesson_runs_and_its_check_works(tmp_path, answer, status, mistake):
    (tmp_path / "class" / "Ada").mkdir(parents=True)
    path = Path(shutil.copy(GERMAN, tmp_path / "class" / "Ada"))
    code = "\n\n".join("".join(cell["source"]) for cell in read_notebook(path)["cells"])
    if answer:
        change(
            path, re.search(r"def slide\(image, kernel\):\n.*?return \.\.\.", code, re.S)[0], answer
        )
    (grade,) = grade_folder(tmp_path / "class", jobs=1)
    result = grade.results["02.slide"]  # the course's own version, folded below, is no answer
    assert (result["status"], result["misconception"]) == (status, mistake), grade
    assert not [one for one in grade.remarks if "Error" in one or "memory" in one]


def test_other_words_for_people_are_no_answer_and_a_forgotten_return_is_one(monkeypatch):
    cell = 'def flat_features(size):\n    {}\n\n\ncheck("03.flat_features", flat_features)'
    monkeypatch.setattr(read, "_original_cells", lambda lesson: [cell.format("...  # yours")])
    answers = ["...  # yours", '"Wie viele?"\n    ...  # hier', "2304", "2304  # yours"]
    given = [read.answer_cells([cell.format(one)], "03")[1] for one in answers]
    assert given == [{"03.flat_features"}, {"03.flat_features"}, set(), set()]
