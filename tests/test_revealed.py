"What a lesson reveals is noted while it runs, and a page finds it again."

import json

import pytest
import torch

import mnist_course.making.revealed as kept
from mnist_course import progress
from mnist_course.making.revealed import keep_revealed, listening_cell, revealed


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_file", lambda: tmp_path / "revealed.json")
    return tmp_path / "revealed.json"


def test_the_file_lies_in_the_package_and_knows_every_lesson_that_asks():
    known = json.loads(kept._file().read_text("utf-8"))
    assert {"01", "03", "07"} <= set(known)
    assert revealed("03", known["03"]["code"]) == known["03"]["answers"] != {}


@pytest.mark.parametrize(
    "listen", [lambda told: exec(listening_cell(told), {}), lambda told: kept._listen(str(told))]
)
def test_a_cell_notes_what_is_revealed_after_it(tmp_path, monkeypatch, listen):
    shown = []
    monkeypatch.setattr(progress, "reveal", lambda *args: shown.append(args) or "shown")
    told = tmp_path / "told.jsonl"
    told.touch()
    listen(told)
    assert progress.reveal("03.a", 3) == "shown"
    assert progress.reveal("03.b", torch.tensor([1.5, 2.0]), within=0.5) == "shown"
    assert progress.reveal("03.ü", "yes", 1) == "shown"
    assert [json.loads(line) for line in told.read_text("utf-8").splitlines()] == [
        {"id": "03.a", "actual": 3, "within": 0},
        {"id": "03.b", "actual": [1.5, 2.0], "within": 0.5},
        {"id": "03.ü", "actual": "yes", "within": 1},
    ]
    assert shown[0] == ("03.a", 3, 0) and shown[1][1:] == (pytest.approx([1.5, 2.0]), 0.5)
    assert shown[2] == ("03.ü", "yes", 1)


def test_a_page_gets_what_its_code_revealed_and_nothing_of_other_code(file):
    lines = [
        {"id": "03.a", "actual": 1234.56789, "within": 0.1234567},
        {"id": "03.b", "actual": [1 / 3, [2, "é"]], "within": 0},
        {"id": "03.c", "actual": 1234567, "within": 0},
    ]
    keep_revealed("03", "code-3", "".join(json.dumps(line) + "\n" for line in lines))
    keep_revealed("01", "code-1", "")
    answers = {
        "03.a": {"actual": 1234.57, "within": 0.123457},
        "03.b": {"actual": [0.333333, [2, "é"]], "within": 0},
        "03.c": {"actual": 1234567, "within": 0},  # a whole number keeps all of its digits
    }
    assert revealed("03", "code-3") == answers
    assert revealed("03", "code-4") == revealed("02", "code-3") == {}
    assert isinstance(revealed("03", "code-3")["03.b"]["actual"][0], float)
    text = file.read_text("utf-8")
    assert [*json.loads(text)] == ["01", "03"]  # a change of one lesson moves no other
    assert text.startswith('{\n "01": {\n') and text.endswith("}\n") and "é" in text
    keep_revealed("03", "code-5", json.dumps(lines[2]))
    assert revealed("03", "code-5") == {"03.c": answers["03.c"]} and revealed("01", "code-1") == {}
