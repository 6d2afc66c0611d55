"What grading does before and after a notebook runs: reading it, what is said to and fro, and which result counts."

import ast
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import psutil
import pytest
import torch
from helpers import PATIENCE

import mnist_course.teaching.grading.run as run_of
from mnist_course.checks import exercises
from mnist_course.checks.engine import run_check
from mnist_course.teaching.folder import MANIFEST
from mnist_course.teaching.grading import limits as limits_of
from mnist_course.teaching.grading import read, worker
from mnist_course.teaching.grading.exam import (
    _decode,
    _encode,
    _Unfit,
    can_be_asked,
    differs,
    question,
    reply_to,
    write_line,
)
from mnist_course.teaching.grading.limits import Limits, Watch
from mnist_course.teaching.grading.run import (
    Grade,
    _collect,
    _copy,
    _files_of,
    _grade_learner,
    _grade_notebook,
    _run_through,
    _submissions,
)
from mnist_course.teaching.notebooks import code_cells, learner_edition, lessons, read_notebook

BY_ID = {item.id: item for item in exercises()}
LESSON_03 = next(path for path in lessons() if path.name.startswith("03"))
GIVEN = code_cells(learner_edition(read_notebook(LESSON_03)))


# ---- an answer's values on their way to the grader

PLAIN = [
    None,
    True,
    "ü",
    3,
    -(2**63) + 1,
    2**63 - 1,
    2**63,
    -(2**70),
    2**9_999,
    0.1,
    -0.0,
    float("-inf"),
    float("nan"),
    1 - 2j,
    b"\0\xff",
    Fraction(-1, 3),
    Decimal("0.760"),
    [],
    (1, [2.5, (None,)]),
    {3},
    frozenset({"a"}),
    {"a": 1, 2: (b"x", 0.5)},
    {("a", 1): {"deep": [{}]}},
]
KINDS = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
KINDS += [torch.uint16, torch.uint32, torch.uint64]
KINDS += [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64]


def there_and_back(value):
    return _decode(json.loads(write_line({"value": _encode(value)}))["value"])


@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_a_plain_value_arrives_as_it_was(value):
    got = there_and_back(value)
    assert type(got) is type(value) and repr(got) == repr(value)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_tensor_arrives_as_it_was(kind):
    for value in (
        torch.tensor([[0, 1, 2], [3, 4, 5]]).to(kind),
        torch.tensor([[0, 1, 2], [3, 4, 5]]).to(kind).T,  # in another order in memory
        torch.tensor(1).to(kind),
        torch.empty(0, 3, dtype=kind),
    ):
        got = there_and_back(value)
        assert got.dtype == kind and got.shape == value.shape and torch.equal(got, value)


def test_tensors_with_slopes_few_numbers_or_a_sign_to_come_arrive_as_their_numbers():
    slopes = torch.tensor([1.5, -2.0], requires_grad=True)
    few = torch.tensor([[0.0, 3.0], [0.0, 0.0]]).to_sparse()
    turned = torch.tensor([1 + 2j]).conj()
    for value in (slopes, few, turned, turned.imag):
        got = there_and_back(value)
        assert not got.requires_grad and torch.equal(got, value.detach().resolve_conj().to_dense())


@pytest.mark.parametrize(
    "value",
    [
        np.array([[1, 2], [3, 4]], dtype=np.int16),
        np.asfortranarray([[1.5, 2], [3, 4]]),
        np.array(2.5),
        np.zeros((0, 2), np.float32),
        np.float32(1.5),
        np.bool_(True),
        np.int64(-3),
    ],
)
def test_numpys_values_arrive_as_they_were(value):
    got = there_and_back(value)
    assert type(got) is type(value) and got.dtype == value.dtype and got.shape == value.shape
    assert np.array_equal(got, value)


class Word(str):
    "A learner's own kind of text, which may do anything when it is looked at."

    __slots__ = ()


def nested(depth: int, innermost: object = None) -> object:
    for _ in range(depth):
        innermost = [innermost]
    return innermost


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Word("a"),
        print,
        [1, {"a": object()}],
        {Word("a"): 1},
        1 << 10_000,
        np.array(["a"]),
        np.array([object()]),
        torch.zeros(1, dtype=torch.complex128),
        torch.zeros(1).expand(4_000_001),
        nested(21),
        {"a": nested(20)},
    ],
    ids=range(12),
)
def test_what_is_no_plain_data_is_not_sent(value):
    with pytest.raises(_Unfit):
        _encode(value)


def test_as_much_as_may_be_sent_arrives():
    assert there_and_back((1 << 10_000) - 1) == (1 << 10_000) - 1
    assert there_and_back(nested(20)) == nested(20)
    deep = {"a": {"b": nested(18)}}
    assert there_and_back(deep) == deep
    assert there_and_back(torch.zeros(1, dtype=torch.bool).expand(4_000_000)).numel() == 4_000_000


@pytest.mark.parametrize(
    "found",
    [
        0.5,  # a float is written to the last bit
        [1],
        {},
        {"int": "0x1", "float": "0x1p0"},
        {"unknown": 1},
        {"int": "zz"},
        {"int": 3},
        {"float": "x"},
        {"bytes": "QQ== "},
        {"fraction": ["0x1", "0x0"]},
        {"list": 3},
        {"set": [{"list": []}]},
        {"dict": [["a"]]},
        {"dict": [[{"list": []}, 1]]},
        {"tensor": ["torch.int9", [0], ""]},
        {"tensor": ["torch.int16", [2], "AAA="]},
        {"tensor": ["torch.int8", [2], "A A A A A A A A"]},
        {"tensor": ["torch.int8", [1] * 26, "AA=="]},
        {"number": ["torch.int8", [2]]},
    ],
    ids=str,
)
def test_words_that_nobody_here_has_written_are_refused(found):
    with pytest.raises(_Unfit):
        _decode(found)


def test_lists_without_end_are_refused():
    found: object = None
    for _ in range(23):
        found = {"list": [found]}
    with pytest.raises(_Unfit):
        _decode(found)


# ---- an answer that passed is asked once more


def asked_and_said(id: str, answer: object) -> tuple[dict, str]:
    "What comes back over the wire, and what the grader makes of it."
    asked, expected = question(BY_ID[id])
    over = json.loads(write_line(asked))
    said = json.loads(write_line(reply_to(over, BY_ID[id], answer)))
    return said, differs(BY_ID[id], expected, said)


def test_the_course_own_answers_hold_from_outside():
    for id in ("03.same_padding", "03.flat_features", "05.softmax"):
        said, wrong = asked_and_said(id, BY_ID[id].solution)
        assert wrong == "" and len(said["replies"]) > 3
    assert asked_and_said("03.team_params", 51_328) == ({"value": 51_328}, "")


@pytest.mark.parametrize(
    ("id", "answer", "wrong"),
    [
        ("03.same_padding", lambda kernel_size, dilation=1: 1, "differs"),
        ("03.same_padding", lambda kernel_size, dilation=1: object(), "unfit"),
        ("03.same_padding", lambda: 1, "differs"),  # an error for every case
        ("03.team_params", 51_200, "differs"),
        ("03.team_params", "many", "differs"),
        ("03.team_params", object(), "unfit"),
    ],
)
def test_an_answer_that_only_seemed_right_does_not_hold(id, answer, wrong):
    assert asked_and_said(id, answer)[1] == wrong


@pytest.mark.parametrize(
    "kind",
    [np.uint16, np.uint64, np.longdouble, np.float16, Fraction, Decimal, torch.tensor],
    ids=lambda kind: kind.__name__,
)
def test_whatever_kind_of_number_is_right_inside_is_right_outside_too(kind):
    "Else a right answer would fail, now that what can't be sent doesn't pass."
    for id, answer in (
        ("01.fair_accuracy", kind(0.76) if kind not in (np.uint16, np.uint64) else 0.76),
        ("01.batch_sizes", lambda *given, **named: [kind(n) for n in SIZES(*given, **named)]),
    ):
        item = BY_ID[id]
        assert run_check(item, answer, 3).status == "passed", id
        asked, expected = question(item)
        assert differs(item, expected, reply_to(asked, item, answer)) == "", id


SIZES = BY_ID["01.batch_sizes"].solution


def test_a_question_is_another_one_every_time():
    asked = [question(BY_ID["03.same_padding"])[0] for _ in range(4)]
    assert len({one["seed"] for one in asked}) > 1 and {one["ask"] for one in asked} == {
        "03.same_padding"
    }
    assert question(BY_ID["03.team_params"]) == ({"ask": "03.team_params"}, [])


def test_a_reply_that_is_none_differs():
    item = BY_ID["03.same_padding"]
    asked, expected = question(item)
    right = reply_to(asked, item, item.solution)["replies"]
    assert differs(item, expected, {"replies": right}) == ""
    for said in (
        {},
        {"replies": 3},
        {"replies": [[None]]},
        {"replies": right[:-1]},
        {"replies": [*right[:-1], ["ValueError", None]]},
        {"replies": [*right[:-1], ["", {"int": "zz"}]]},
        {"unfit": 3},
    ):
        assert differs(item, expected, said) == "differs"
    for said in ({}, {"value": {"int": "zz"}}, {"replies": []}):
        assert differs(BY_ID["03.team_params"], [], said) == "differs"


def test_what_is_judged_in_its_own_way_cannot_be_asked_from_outside():
    "Many networks are right, and a network that learns is more than numbers."
    assert [can_be_asked(BY_ID[f"03.{name}"]) for name in ("team_params", "same_padding")] == [
        True,
        True,
    ]
    assert not can_be_asked(BY_ID["03.small_net"])  # a judge
    assert not can_be_asked(BY_ID["08.train"])  # a run of its own


# ---- reading a notebook


def notebook(*cells: str) -> str:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return nbformat.writes(made)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("03_shapes.ipynb", True),
        ("X.IPYNB", True),
        ("x.ipynb.txt", True),
        ("x.ipynb (2).json", True),
        ("x.ipynb_checkpoints", True),
        ("x.ipynb2", False),
        ("x.py", False),
        ("ipynb", False),
    ],
)
def test_a_notebook_is_known_by_its_name(name, is_one):
    assert read.is_notebook(Path(name)) == is_one


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_notebook_of_any_encoding_is_read(tmp_path, encoding):
    path = tmp_path / "x.ipynb"
    path.write_bytes(notebook("x = 'ü'", "y").encode(encoding))
    assert read.cells_of(path) == ["x = 'ü'", "y"]


def test_a_notebook_of_before_2015_is_read(tmp_path):
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell("x = 1")])]
    )
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(old | {"nbformat": 3, "nbformat_minor": 0}))
    assert read.cells_of(path) == ["x = 1"]
    path.write_text(json.dumps({"worksheets": 3, "nbformat": 3}))
    with pytest.raises(ValueError, match="of an old format, and damaged"):
        read.cells_of(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Dear teacher", "it cannot be read as JSON"),
        (b"\xff\xfe\0", "it cannot be read as JSON"),
        (b"[" * 100_000, "it cannot be read as JSON"),
        (b"[1, 2]", "no notebook of format 4"),
        (b'{"cells": [{"cell_type": "code", "source": 3}]}', "no notebook of format 4"),
    ],
    ids=range(5),
)
def test_what_is_no_notebook_is_told_in_words(tmp_path, content, said):
    (tmp_path / "x.ipynb").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read.cells_of(tmp_path / "x.ipynb")


def test_a_folder_or_a_file_of_many_megabytes_is_not_opened(tmp_path):
    with pytest.raises(ValueError, match="no ordinary file"):
        read.cells_of(tmp_path)
    with (tmp_path / "x.ipynb").open("wb") as file:
        file.truncate(51 * 2**20)
    with pytest.raises(ValueError, match="has 51 MB, too many"):
        read.cells_of(tmp_path / "x.ipynb")


@pytest.mark.parametrize(
    ("of", "cell"),
    [
        ("needed", "\n" * 200_000 + "x = 1"),
        ("answers", "(\n" + "output_size:\n" * 20_000 + "output_size = 3"),
        ("answers", "a = %x\n" * 501 + "output_size = 3"),
        ("answers", "x?\n" * 2_000 + "output_size = 3"),
        ("checks", 'check("03.output_size", output_size, variant=\n' * 60_000),
        ("solutions", "sheet " * 200_000),
    ],
    ids=range(6),
)
def test_no_cell_is_read_for_hours(of, cell):
    "Reading is the grader's own work, which no limit stops: it grows with a cell, and not with its square."
    begun = time.process_time()
    if of == "needed":
        assert read.needed_cells([cell, "y = 2"], [1]) == [1]
    elif of == "answers":
        assert read.answer_cells([cell], "03")[0]["03.output_size"] == [0]
    elif of == "checks":
        assert read.edited_checks([cell], {"03.output_size": [0]}) == ["03.output_size"]
    else:
        assert not read.reads_solutions([cell])
    assert time.process_time() - begun < 5  # it was minutes, or hours


def test_more_code_than_anybody_writes_is_not_looked_at(tmp_path):
    (tmp_path / "x.ipynb").write_text(notebook(*["x = 1\n" * 45_000] * 12))
    with pytest.raises(ValueError, match="3,240,000 characters of code, too many"):
        read.cells_of(tmp_path / "x.ipynb")
    long = "output_size = lambda: 3\n" + "x = 1\n" * 60_000  # is found, and not read as Python
    assert read.answer_cells([long], "03")[0]["03.output_size"] == [0]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("x = %timeit -o f()\ny: int = 3", {"x", "y"}),
        ("files = !ls\nfirst = files[0]", {"files", "first"}),
        ("if True:\n    !ls\n    y = 3 % 2", {"y"}),
        ("x?\nlen??\n?print\n%matplotlib inline\nz = 1", {"z"}),
        (">>> a = 1\n>>> %time b\n>>> c = a", {"a", "c"}),
        ("  %cd ..\n  y = 1", {"y"}),
        ("%%capture out\nx = 1\n!ls", {"x"}),
        ("%%html\n<p>x = 1", set()),
        ("y = await f()", {"y"}),
        ("x = 5\n%time y = (x\n   % 2)", None),
    ],
)
def test_jupyters_own_lines_are_read_as_far_as_names_go(cell, names):
    tree = read._parsed(cell)
    assert (tree and read._binds(tree)) == names


CELLS = {
    "imports": "import torch.nn as nn, os.path",
    "from": "from math import pi as number, tau",
    "data": "x = number * 2",
    "unused": "unused = print('no')",
    "list": "kept = []",
    "append": "kept.append(x)",
    "part": "kept[0] = 1",
    "attribute": "kept.name = 2",
    "deep": "kept.rows[3]().add(4)",
    "look": "kept[0]; kept.rows",
    "async": "async def g(): pass",
    "function": "def f():\n    inside = 3\n    return g()",
    "class": "class Net: pass",
    "loop": "for i in range(3): pass",
    "except": "try: pass\nexcept ValueError as error: pass",
    "match": "match 3:\n    case found: pass",
    "broken": "x = = 3",
    "magic": "%time z = 3",
    "around": "%%time\nw = os.getcwd()",
    "shell": "!pip list",
    "path": "import sys\nsys.path.append('.')",
    "star": "from os import *",
    "inner": "inside = 5",
}


@pytest.mark.parametrize(
    ("answer", "needed"),
    [
        ("y = 1", ""),
        ("nn.Linear(2, 3)", "imports"),
        ("os.sep", "imports"),
        ("x + 1", "from data"),
        ("tau", "from"),
        ("kept[1]", "from data list append part attribute deep"),
        ("def answer():\n    return f", "function async"),
        ("Net()", "class"),
        ("print(i)", "loop"),
        ("error", "except"),
        ("found", "match"),
        ("w", "imports around"),
        ("inside", "inner"),
    ],
)
def test_the_cells_that_an_answer_needs(answer, needed):
    "And those of which nobody can tell: a shell's, Jupyter's own, a path's, and imports of everything."
    cells = [*CELLS.values(), answer, "after = y"]
    found = read.needed_cells(cells, [len(CELLS)])
    always = {"shell", "magic", "path", "star"}
    assert found == sorted(found) and found[-1] == len(CELLS)
    assert {list(CELLS)[i] for i in found[:-1]} == always | set(needed.split())
    assert read.needed_cells(cells, []) == []


@pytest.mark.parametrize(
    ("name", "cells", "lesson"),
    [
        ("03_shapes.ipynb", [], "03"),
        ("03.ipynb", ['check("03.team_params", 3)', 'check("05.softmax", 3)'], "03"),
        ("03_shapes.ipynb", ['check("05.softmax", softmax)'], "05"),
        ("homework.ipynb", ['check("05.softmax", softmax)', "x = 1"], "05"),
        ("homework.ipynb", ['check("old.softmax", 1)\ncheck("05.nll_loss", 2)'], "05"),
        (
            "homework.ipynb",
            ['check("05.softmax", 1)', "check( '03.team_params', 1)\ncheck('03.field_width', 2)"],
            "03",
        ),
        ("2024-03.ipynb", [], None),
        ("031.ipynb", [], None),
        ("77_nothing.ipynb", [], None),
        ("homework.ipynb", ['print("03.team_params")'], None),
    ],
)
def test_the_lesson_of_a_notebook(name, cells, lesson):
    assert read.lesson_of(Path(name), cells) == lesson


def test_a_lesson_that_nobody_has_touched_has_cells_for_all_exercises_and_no_answer():
    answers, untouched = read.answer_cells(GIVEN, "03")
    ids = {item.id for item in exercises() if item.lesson == "03"}
    assert set(answers) == ids == untouched
    for id, numbers in answers.items():
        assert numbers and all(f'check("{id}"' in GIVEN[i] for i in numbers)
    assert not read.is_edited(GIVEN, "03")
    assert read.edited_checks(GIVEN, answers) == [] and not read.reads_solutions(GIVEN)


def test_an_answer_is_found_wherever_it_stands():
    stub = next(i for i, cell in enumerate(GIVEN) if 'check("03.team_params"' in cell)
    cells = [*GIVEN, "team_params = 3"]
    answers, untouched = read.answer_cells(cells, "03")
    assert answers["03.team_params"] == [stub, len(GIVEN)]
    assert "03.team_params" not in untouched and "03.field_width" in untouched
    assert read.is_edited(cells, "03")
    cells[stub] = '"Mine."\nteam_params = = 3\n\ncheck("03.team_params", team_params)'
    assert read.answer_cells(cells[:-1], "03")[0]["03.team_params"] == [stub]  # it can't run
    cells[stub] = "x = 1"
    assert read.answer_cells(cells[:-1], "03")[0]["03.team_params"] == []


def test_comments_docstrings_and_layout_make_no_answer():
    stub = next(i for i, cell in enumerate(GIVEN) if 'check("03.same_padding"' in cell)
    cells = [*GIVEN]
    cells[stub] = (
        "def same_padding(kernel_size: int, dilation: int = 1) -> int:\n"
        "    'Polsterung.'\n    return ...  # noch nichts\n\n\n"
        'check("03.same_padding", same_padding)\n'
    )
    answers, untouched = read.answer_cells(cells, "03")
    assert answers["03.same_padding"] == [stub] and "03.same_padding" in untouched
    cells[stub] = cells[stub].replace("...", "1")
    assert "03.same_padding" not in read.answer_cells(cells, "03")[1]
    assert not read.is_edited([f"\n{cell}  " for cell in GIVEN], "03")


def test_an_exam_answers_exercises_of_other_lessons_too():
    cells = ["def softmax(x): return x", 'check("05.softmax", softmax)', "nll_loss = 3"]
    answers, untouched = read.answer_cells(cells, "03")
    assert answers["05.softmax"] == [0] and "05.nll_loss" not in answers and not untouched


def test_a_check_line_that_was_changed_is_noticed():
    answers = {"03.team_params": [0], "03.field_width": [1], "03.output_size": []}
    cells = ["check('03.team_params', team_params)", 'check("03.field_width", 19)']
    assert read.edited_checks(cells, answers) == ["03.field_width"]
    cells[1] = 'check("03.field_width", field_width, variant="Ada")  # 19'
    assert read.edited_checks(cells, answers) == []
    cells[1] = '# check("03.field_width", field_width)'
    assert read.edited_checks(cells, answers) == ["03.field_width"]


def test_the_lessons_own_names_are_no_answers():
    names = read.course_names("03")
    assert {"torch", "nn", "net", "output_size", "conv2d_params"} <= names
    assert not {"team_params", "field_width", "small_net", "same_padding"} & names
    assert read.course_names("99") == set()


@pytest.mark.parametrize(
    ("cell", "reads"),
    [
        ("from mnist_course.checks import check, yours", False),
        ("from mnist_course.checks import progress", False),
        ("my_solution = 3", False),
        ("from mnist_course.checks import COURSE", True),
        ("from mnist_course.checks import checks_of", True),
        ("import mnist_course.checks.shapes", True),
        ("open('mnist_course/checks/shapes.py')", True),
        ("item.solution(3)", True),
        ("from mnist_course.teaching import papers", True),
        ("!mnist-course worksheet 03", False),
        ("!mnist-course sheet 03 --key", True),
    ],
)
def test_who_reaches_for_the_solutions_is_seen(cell, reads):
    assert read.reads_solutions(["x = 1", cell]) == reads


# ---- what counts


def passed(status: str = "passed", misconception: str | None = None, **more) -> dict:
    words = {"misconception": misconception, "message": "", "evidence": ""}
    return {"status": status, **words, **more}


def nobody_answered(*ids: str) -> dict[str, dict]:
    return {id: passed("not attempted") for id in ids}


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (["not attempted", "failed"], "failed"),
        (["failed", "not attempted"], "failed"),
        (["failed", "passed"], "passed"),
        (["passed", "failed"], "failed"),  # who goes on after a right answer means the later one
        (["passed", "not attempted"], "passed"),
    ],
)
def test_the_last_attempt_in_a_notebook_counts(told, status):
    results = nobody_answered("03.team_params")
    said = [{"id": "03.team_params", "status": one, "message": one} for one in told]
    assert _collect(said, results) == []
    assert results["03.team_params"]["status"] == status == results["03.team_params"]["message"]


def test_what_a_process_tells_is_taken_with_care():
    results = nobody_answered("03.team_params", "03.field_width")
    said = [
        {"remark": "cell 1: stopped"},
        {"id": "03.output_size", "status": "passed"},  # nobody asked for it
        {"id": "03.nothing", "status": "passed"},
        {"id": "03.field_width", "status": "great"},
        {"id": "03.team_params", "status": "failed", "misconception": "bias_forgotten"},
        {"done": True},
        {"cell": 3},
    ]
    assert _collect(said, results) == ["cell 1: stopped"]
    assert results["03.team_params"]["misconception"] == "bias_forgotten"
    assert results["03.field_width"] == passed("not attempted") and len(results) == 2


@pytest.mark.parametrize(
    ("exam", "status", "words"),
    [
        ("same", "passed", ""),
        ("unfit", "failed", "lists, arrays or tensors."),
        ("differs", "failed", "it was wrong."),
        ("silent", "failed", "it said nothing."),
    ],
)
def test_an_answer_must_hold_when_it_is_asked_from_outside(exam, status, words):
    results = {"03.team_params": passed(), "03.field_width": passed("failed", message="no")}
    said = [{"id": id, "exam": exam} for id in results]
    remarks = _collect(said, results)
    found = results["03.team_params"]
    assert found["status"] == status and found["exam"] == exam and found["message"].endswith(words)
    only = ["03.team_params: passed in its own process, but not from outside"]
    assert remarks == only * (status == "failed")
    assert results["03.field_width"]["message"] == "no"


class Played:
    "A stand-in for the process that runs cells: each run tells what is said here."

    def __init__(self, *runs: tuple[list[dict], str]) -> None:
        self.runs, self.orders = list(runs), []

    def __call__(self, order: dict) -> tuple[list[dict], str]:
        self.orders.append(order)
        return self.runs.pop(0)


def through(run: Played, results: dict, answers: dict[str, list[int]], again: int = 3) -> list[str]:
    return _run_through([0, 1, 2], {"answers": answers}, results, run, again)


SAME = [{"id": "03.team_params", "exam": "same"}]
RIGHT = {"id": "03.team_params", "status": "passed"}


def test_a_run_without_trouble_is_one_run():
    run = Played(([{"cell": 0}, RIGHT, {"remark": "a"}, {"remark": "a"}, *SAME], ""))
    results = nobody_answered("03.team_params")
    assert through(run, results, {"03.team_params": [1]}) == ["a"]
    assert [one["chosen"] for one in run.orders] == [[0, 1, 2]]
    assert results["03.team_params"]["status"] == "passed"


def test_a_cell_that_takes_the_process_down_is_left_out_the_next_time():
    run = Played(([{"cell": 0}, {"cell": 1}], "ran too long"), ([{"cell": 2}, RIGHT, *SAME], ""))
    results = nobody_answered("03.team_params", "03.field_width")
    remarks = through(run, results, {"03.team_params": [2], "03.field_width": [1]})
    assert remarks == ["cell 2 ran too long"]
    assert [one["chosen"] for one in run.orders] == [[0, 1, 2], [0, 2]]
    assert results["03.field_width"] == passed(
        "failed", message="The cell with this answer ran too long."
    )
    assert results["03.team_params"]["status"] == "passed"


def test_after_so_many_runs_it_is_enough():
    down = [([{"cell": i}], "crashed") for i in range(3)]
    run = Played(*down)
    results = nobody_answered("03.team_params")
    remarks = through(run, results, {"03.team_params": [2]}, again=1)
    assert remarks == ["cell 1 crashed", "cell 2 crashed"] and len(run.orders) == 2
    assert results["03.team_params"]["status"] == "not attempted"
    run = Played(([{"cell": 0}], "crashed"), ([{"cell": 0}], "crashed"))  # the same one again
    assert through(run, results, {"03.team_params": [2]}) == ["cell 1 crashed"] * 2
    run = Played(([{"remark": "odd"}], "crashed"))
    assert through(run, results, {}) == ["it crashed before its first cell", "odd"]


def test_who_was_right_and_then_gone_has_not_passed():
    run = Played(([{"cell": 2}, RIGHT], "crashed"), ([], "crashed"))
    results = nobody_answered("03.team_params")
    remarks = through(run, results, {"03.team_params": [2]})
    assert results["03.team_params"]["status"] == "failed"
    assert "before we could ask it from outside" in results["03.team_params"]["message"]
    assert remarks[-1] == "03.team_params: passed in its own process, and then it was gone"


def test_after_a_silent_answer_the_others_are_asked_without_it():
    ids = {"03.team_params": [0], "03.field_width": [1]}
    both = [RIGHT, {"id": "03.field_width", "status": "passed"}]
    silent = {"id": "03.team_params", "exam": "silent"}
    answered = {"id": "03.field_width", "exam": "same"}
    results = nobody_answered(*ids)
    run = Played(([{"cell": 0}, *both, silent], ""), ([{"cell": 0}, both[1], answered], ""))
    through(run, results, ids)
    assert [[*one["answers"]] for one in run.orders] == [[*ids], ["03.field_width"]]
    assert {id: one["status"] for id, one in results.items()} == {
        "03.team_params": "failed",
        "03.field_width": "passed",
    }


# ---- a learner's files


def lay(folder: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_ordinary_files_come_along(tmp_path, monkeypatch):
    made = lay(tmp_path / "ada", "a.py", "more/b.csv", ".env", ".git/config", "__pycache__/c.pyc")
    (made / "link.py").symlink_to(made / "a.py")
    (made / "empty").mkdir()
    _copy(made, tmp_path / "here")
    assert names_in(tmp_path / "here") == {"a.py", "more/b.csv"}
    _copy(None, tmp_path / "nothing")
    assert list((tmp_path / "nothing").iterdir()) == []
    assert {path.name for path in _files_of(made)} == {"a.py", "b.csv"}
    run = "mnist_course.teaching.grading.run"
    monkeypatch.setattr(f"{run}._EACH", 3)
    lay(made, "big.bin", content=b"1234")
    lay(made, "fits.bin", content=b"123")
    _copy(made, tmp_path / "small")
    assert names_in(tmp_path / "small") == {"a.py", "more/b.csv", "fits.bin"}


@pytest.mark.parametrize(("files", "size", "kept"), [(2, 100, 2), (100, 4, 2), (5, 10, 5)])
def test_more_than_anybody_needs_does_not_come_along(tmp_path, monkeypatch, files, size, kept):
    made = lay(tmp_path / "ada", *(f"{i}.txt" for i in range(5)), content=b"12")
    monkeypatch.setattr("mnist_course.teaching.grading.run._FILES", files)
    monkeypatch.setattr("mnist_course.teaching.grading.run._BYTES", size)
    _copy(made, tmp_path / "here")
    assert len(names_in(tmp_path / "here")) == kept


def test_a_class_is_a_folder_or_a_notebook_for_each_learner(tmp_path):
    made = lay(
        tmp_path / "class", "ada/a.ipynb", "ada/b.py", "ben.ipynb", "notes.txt", ".x/y.ipynb"
    )
    found = _submissions(made)
    assert {name: [path.name for path in files] for name, files in found.items()} == {
        "ada": ["a.ipynb", "b.py"],
        "ben.ipynb": ["ben.ipynb"],
    }
    lay(made / "ada", MANIFEST)
    assert [*_submissions(made / "ada")] == ["ada"]  # one learner's folder is no class
    with pytest.raises(NotADirectoryError, match=r"ben\.ipynb is not a folder"):
        _submissions(made / "ben.ipynb")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="is empty; it should hold a folder"):
        _submissions(tmp_path / "none")


def test_two_names_that_look_alike_are_two_learners(tmp_path):
    made = lay(tmp_path / "class", "a\x01/x.ipynb", "a\x02/x.ipynb")
    assert len(_submissions(made)) == 2


def test_of_two_notebooks_the_better_result_counts(tmp_path):
    lay(tmp_path, "1.ipynb", "2.ipynb", "helper.py", "essay.docx")
    told = {
        "1.ipynb": ({"a": passed(), "b": passed("failed"), "c": passed("missing")}, ["1: x\ty"]),
        "2.ipynb": ({"a": passed("failed"), "b": passed(), "c": passed("not attempted")}, []),
    }
    grade = _grade_learner("ada", sorted(tmp_path.iterdir()), lambda path: told[path.name])
    assert {id: one["status"] for id, one in grade.results.items()} == {
        "a": "passed",
        "b": "passed",
        "c": "not attempted",
    }
    assert grade.passed == 2 and grade.learner == "ada"
    assert grade.remarks == ["essay.docx: not a notebook, and not looked at", "1: x y"]
    grade = _grade_learner("ben", [tmp_path / "helper.py"], lambda path: ({}, []))
    assert grade == Grade("ben", {}, ["no notebook was handed in"])


def graded(tmp_path: Path, cells: list[str], *runs: tuple[list[dict], str]):
    "What becomes of a notebook, and what was run for it."
    path = tmp_path / "03_shapes.ipynb"
    path.write_text(notebook(*cells))
    run = Played(*runs)
    return *_grade_notebook(path, Limits(), run, {"variant": "Ada", "secret": "s"}), run.orders


def test_a_notebook_in_which_nothing_was_answered_is_not_run(tmp_path):
    results, remarks, orders = graded(tmp_path, GIVEN)
    assert orders == [] and remarks == []
    assert {one["status"] for one in results.values()} == {"not attempted"}


def test_only_what_an_answer_needs_is_run(tmp_path):
    cells = ["unused = 1", "team_params = 3", 'check("03.team_params", team_params)', "y = 2"]
    results, remarks, orders = graded(tmp_path, cells, ([RIGHT, *SAME], ""), ([], ""))
    assert [one["chosen"] for one in orders] == [[1], [0, 1, 2, 3]]
    # the second time, for what no cell answers by its name
    first, second = orders
    assert first["answers"] == {"03.team_params": [1]} and first["late"] == []
    assert second["answers"] == {} and "03.field_width" in second["late"]
    assert "03.output_size" not in second["late"]  # the lesson makes one of its own
    assert first["variant"] == "Ada" and first["limits"]["seconds"] == 60
    assert results["03.team_params"]["status"] == "passed"
    (missing,) = remarks
    assert missing.startswith("03_shapes.ipynb: no cell answers 03.") and "team" not in missing


def test_an_answer_that_failed_without_a_reason_gets_the_whole_notebook(tmp_path):
    cells = [*GIVEN, "team_params = 3"]
    for misconception, times in ((None, 2), ("bias_forgotten", 1)):
        wrong = {"id": "03.team_params", "status": "failed", "misconception": misconception}
        runs = [([wrong], ""), ([RIGHT, *SAME], "")]
        results, remarks, orders = graded(tmp_path, cells, *runs)
        assert len(orders) == times and remarks == []
        assert (results["03.team_params"]["status"] == "passed") == (times == 2)
    assert orders[0]["chosen"] != [*range(len(cells))]


def test_remarks_of_a_notebook_carry_its_name(tmp_path):
    cells = ["team_params = COURSE[3]", 'check("03.team_params", 3)']
    found = graded(tmp_path, cells, ([RIGHT, *SAME, {"remark": "odd"}], ""), ([], ""))
    text = "\n".join(found[1])
    assert all(line.startswith("03_shapes.ipynb: ") for line in found[1])
    assert "check line was changed or deleted: 03.team_params (graded" in text
    assert "reaches for the solutions" in text
    (tmp_path / "x.ipynb").write_text("no")
    assert _grade_notebook(tmp_path / "x.ipynb", Limits(), Played(), {}) == (
        {},
        ["x.ipynb: this is no notebook: it cannot be read as JSON"],
    )
    (tmp_path / "x.ipynb").write_text(notebook("x = 1"))
    assert _grade_notebook(tmp_path / "x.ipynb", Limits(), Played(), {})[1] == [
        "x.ipynb: not a lesson of this course"
    ]


# ---- the process that runs notebooks, played by a small program

PLAYED = """
import json, os, sys

def say(**words):
    print(json.dumps(words), flush=True)

first = json.loads(sys.stdin.readline())
open("first.json", "w").write(json.dumps([first, sys.argv[1:], dict(os.environ), os.getcwd()]))
if os.path.exists(os.path.join(os.path.dirname(first["place"]), "refuse")):
    say(fault="no room")
    sys.exit()
say(ready=True)
for line in sys.stdin:
    order = json.loads(line)
    say(cell=0, here=order["here"], files=sorted(os.listdir(order["here"])), pid=os.getpid())
    if order["do"] == "leave":
        sys.exit()
    if order["do"] == "nonsense":
        print("no JSON", flush=True)
    if order["do"] == "fail":
        say(fault="broken")
    if order["do"] == "stop":
        say(stopped="was slow")
        say(stopped="was too slow")
    if order["do"] == "pass":
        say(stopped="")
    say(end=order["number"] - 1)
    say(end=order["number"])
"""


@pytest.fixture
def played(tmp_path, monkeypatch):
    "Make a host whose process is that program: `played(container)`. How often it was led out."
    (tmp_path / "base").mkdir()
    (tmp_path / "play.py").write_text(PLAYED)
    hosts, led_out = [], []
    way = [sys.executable, str(tmp_path / "play.py")]
    monkeypatch.setattr(run_of, "way_in", lambda *words: led_out.append(words) or way)
    monkeypatch.setattr(run_of, "way_out", lambda words: led_out.append(words))

    def make(container: str | None = None) -> run_of._Host:
        hosts.append(run_of._Host(tmp_path / "base", "closed", [tmp_path / "hidden"], container))
        return hosts[-1]

    make.led_out, make.base = led_out, tmp_path / "base"
    yield make
    for one in hosts:
        one.end()


def ordered(do: str) -> dict:
    return {"do": do, "limits": {"seconds": PATIENCE, "memory": 7}}


@pytest.mark.skipif(sys.platform == "win32", reason="grading is for POSIX systems")
def test_a_host_runs_one_notebook_after_another(played, tmp_path):
    host = played()
    mine = lay(tmp_path / "ada", "a.py", "03.ipynb")
    pids = set()
    for do, said in (
        ("pass", ""),
        ("stop", "was too slow"),
        ("say nothing", "ended the process that watches it"),
        ("fail", "could not be run: broken"),
    ):
        told, stopped = host.run(ordered(do), mine)
        assert stopped == said and told[0]["files"] == ["03.ipynb", "a.py"]
        assert not Path(told[0]["here"]).parent.exists()  # nothing is left of it
        pids.add(told[0]["pid"])
    assert len(pids) == 1 and host.run(ordered("pass"), None)[0][0]["files"] == []
    place = host.place
    first, words, environment, folder = json.loads((place / "first.json").read_text())
    assert first["room"] == "closed" and first["place"] == str(place) == folder
    home = str(Path.home())
    assert first["hidden"] == [str(tmp_path / "hidden"), str(played.base), home]
    assert "/tmp" in first["scratch"] and first["threads"] > 0 and first["own"] == []
    assert words[:4] == [sys.executable, "-P", "-s", "-c"] and "worker import host" in words[4]
    assert environment["HOME"] == str(place / "home")
    assert played.led_out == [("closed", None, place, 7 + 4 * 2**30)]
    host.end()
    host.end()
    assert host.process is None and not place.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="grading is for POSIX systems")
def test_a_host_that_is_gone_is_replaced(played):
    host = played()
    pids = []
    for do, why in (("leave", "it ended"), ("nonsense", "Expecting value"), ("pass", "")):
        told, stopped = host.run(ordered(do), None)
        pids.append(told[0]["pid"])
        assert why in stopped and stopped.startswith("ended the process that runs notebooks (") == (
            do != "pass"
        )
    assert len(set(pids)) == 3
    (played.base / "refuse").touch()
    host.end()
    assert host.run(ordered("pass"), None) == (
        [],
        "ended the process that runs notebooks (no room)",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="grading is for POSIX systems")
def test_a_container_is_for_one_learner_and_led_out(played):
    for container, own in ((None, 1), ("image", 2)):
        host, pids = played(container), []
        for learner in ("ada", "ada", "ben"):
            host.serve(learner)
            told, stopped = host.run(ordered("pass"), None)
            assert stopped == ""
            pids.append(told[0]["pid"])
        assert len(set(pids)) == own and pids[0] == pids[1]
        words = json.loads((host.place / "first.json").read_text())[1]
        assert words[0] == ("python" if container else sys.executable)


class Quick:
    "A stand-in for a host: it passes what a notebook's first cell says."

    made: "list[Quick]" = []  # noqa: RUF012

    def __init__(self, base, room, hidden, container) -> None:
        assert base.is_dir()
        self.about, self.served, self.ended, self.folders = (room, hidden, container), [], 0, []
        Quick.made.append(self)

    def serve(self, learner: str) -> None:
        self.served.append(learner)

    def run(self, order: dict, folder: Path | None) -> tuple[list[dict], str]:
        self.folders.append(folder)
        self.order = order
        if "boom" in order["cells"][0]:
            raise RuntimeError("boom")
        ids = [id for id in order["answers"] if "right" in order["cells"][0]]
        said = [{"cell": 0}, *({"id": id, "status": "passed"} for id in ids)]
        return [*said, *({"id": id, "exam": "same"} for id in ids)], ""

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
def a_class(tmp_path, monkeypatch):
    "A folder with three learners, and hosts that take no time."
    Quick.made.clear()
    monkeypatch.setattr(run_of, "_Host", Quick)
    monkeypatch.setattr(run_of, "best_room", lambda: "closed")
    answer = 'team_params = 3  # {}\ncheck("03.team_params", team_params)'
    for name, word in (("ada", "right"), ("ben", "wrong"), ("cleo", "boom")):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "03_shapes.ipynb").write_text(notebook(answer.format(word)))
    return tmp_path / "class"


def test_a_class_is_graded_and_a_fault_of_ours_costs_one_notebook(a_class):
    told, done = [], []
    grades = run_of.grade_folder(
        a_class, 2, Limits(seconds=7), told.append, done=done.append, hidden=["/x"]
    )
    assert [grade.learner for grade in grades] == ["ada", "ben", "cleo"]
    assert [grade.passed for grade in grades] == [1, 0, 0] and sorted(
        grade.learner for grade in done
    ) == ["ada", "ben", "cleo"]
    assert grades[2].remarks == ["03_shapes.ipynb: could not be graded: RuntimeError: boom"]
    assert sorted(told) == ["ada: 1 passed", "ben: 0 passed", "cleo: 0 passed; 1 remark"]
    assert len(Quick.made) == 2 and all(one.ended == 1 for one in Quick.made)
    assert sorted(name for one in Quick.made for name in one.served) == ["ada", "ben", "cleo"]
    for one in Quick.made:
        assert one.about == ("closed", [a_class.absolute(), Path("/x")], None)
        assert all(folder.parent == a_class for folder in one.folders)
        assert one.order["limits"]["seconds"] == 7 and "variant" not in one.order


def test_learners_who_are_known_are_left_out(a_class):
    grades = run_of.grade_folder(a_class, 1, say=lambda text: None, known=["ada", "cleo"])
    assert [grade.learner for grade in grades] == ["ben"]


def test_a_notebook_beside_the_folders_brings_no_files_along(a_class):
    path = a_class / "dan.ipynb"
    path.write_text((a_class / "ada" / "03_shapes.ipynb").read_text())
    told = []
    run_of.grade_folder(a_class, 1, say=told.append, known=["ada", "ben", "cleo"])
    assert {*Quick.made[0].folders} == {None} and told == ["dan.ipynb: 1 passed"]
    lay(a_class, MANIFEST)  # one learner's folder: everything in it is theirs
    Quick.made.clear()
    run_of.grade_folder(a_class, 1, say=told.append)
    assert a_class in Quick.made[0].folders


def test_each_learner_may_have_numbers_of_their_own(a_class):
    everyone = {"ada": [a_class / "ada" / "03_shapes.ipynb"]}
    options = {"variants": {"ada": "a@x"}, "secret": "s", "say": lambda text: None}
    run_of.grade_learners(everyone, a_class, 1, **options)
    assert (Quick.made[0].order["variant"], Quick.made[0].order["secret"]) == ("a@x", "s")


@pytest.mark.parametrize(("may", "who"), [(True, "as another user"), (False, "with your rights")])
def test_without_a_closed_room_it_is_said_with_whose_rights_notebooks_run(
    a_class, monkeypatch, may, who
):
    monkeypatch.setattr(run_of, "best_room", lambda: "open")
    monkeypatch.setattr(run_of, "strangers_can_work", lambda: may)
    told = []
    run_of.grade_folder(a_class, 1, say=told.append)
    assert told[0].startswith("this machine has no closed rooms") and who in told[0]
    assert Quick.made[0].about[0] == "open" and len(told) == 4


def test_a_container_is_tried_before_anybody_is_graded(a_class, monkeypatch):
    tried = []
    monkeypatch.setattr(
        run_of, "try_container", lambda image, place: tried.append((image, place.is_dir()))
    )
    run_of.grade_folder(a_class, 1, say=lambda text: None, container="image")
    assert tried == [("image", True)]
    assert Quick.made[0].about[0] == "container" and Quick.made[0].about[2] == "image"


def test_grading_that_is_broken_off_ends_its_processes(a_class):
    def stop(grade: Grade) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of.grade_folder(a_class, 1, say=lambda text: None, done=stop)
    assert all(one.ended for one in Quick.made)


# ---- what a learner's process may say


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        ({"done": True}, {"done": True}),
        ({"done": 1}, None),
        ({"cell": 3}, {"cell": 3}),
        ({"cell": 0}, {"cell": 0}),
        ({"cell": 99_999}, {"cell": 99_999}),
        ({"cell": 100_000}, None),
        ({"cell": -1}, None),
        ({"cell": True}, None),
        ({"cell": "3"}, None),
        ({"remark": "a\x1b[1m\nb"}, {"remark": "a\ufffd[1m\nb"}),
        ({"stopped": "x" * 400}, {"stopped": "x" * 300}),
        ({"remark": 3}, None),
        ({"id": "99.nothing", "status": "passed"}, None),
        ({"id": ["03.team_params"], "status": "passed"}, None),
        ({"id": "03.team_params", "status": "great"}, None),
        ({"id": "03.team_params"}, None),
    ],
    ids=str,
)
def test_what_is_let_in(entry, known):
    assert worker.let_in(entry, BY_ID) == known


def test_a_result_is_let_in_with_words_of_a_bounded_length():
    entry = {"id": "03.team_params", "status": "failed", "misconception": "bias_forgotten"}
    more = {"message": "a\tb" + "x" * 3000, "evidence": 3, "exam": "same", "points": 100}
    found = worker.let_in(entry | more, BY_ID)
    assert found == entry | {"message": found["message"], "evidence": ""}
    assert found["message"].startswith("a       bxx") and 2000 <= len(found["message"]) < 2010
    for misconception in ("jumps_ignored", 3, None):  # another exercise's, or none
        found = worker.let_in(entry | {"misconception": misconception}, BY_ID)
        assert found["misconception"] is None


def test_an_error_is_one_line():
    with pytest.raises(SyntaxError) as told:
        ast.parse("x = 1\ny = = 2")
    assert worker._say_error(told.value) == "SyntaxError: invalid syntax (line 2)"
    assert worker._say_error(ValueError("a\n  b " + "x" * 200)) == f"ValueError: a b {'x' * 146}"
    assert worker._say_error(KeyError("a")) == "KeyError: 'a'"


def test_lines_come_whole_and_what_is_no_line_is_left_out():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lines = worker._Lines(ours)
        assert lines.ready(0) == []
        theirs.sendall(b'{"cell": 1}\n[1]\nno\n{"cel')
        assert lines.ready(1) == [{"cell": 1}]
        theirs.sendall(b'l": 2}\n{"done": true}\n')
        assert lines.ready(1) == [{"cell": 2}, {"done": True}]
        lines.send({"ask": "ü"})
        assert json.loads(theirs.recv(100)) == {"ask": "ü"}
        assert not lines.ended
        theirs.close()
        assert lines.ready(1) == [] and lines.ended and lines.ready(0) == []
        lines.send({"ask": "nobody"})  # who has gone reads nothing


@pytest.mark.parametrize("name", ["_LINE", "_ALL"])
def test_a_flood_is_no_line(monkeypatch, name):
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(worker, name, 10)
    with ours, theirs:
        lines = worker._Lines(ours)
        theirs.sendall(b"0123456789")
        assert lines.ready(1) == []
        theirs.sendall(b"a")
        with pytest.raises(OverflowError, match="wrote a flood"):
            lines.ready(1)


class Silent:
    "A watch that never sees anything, or stops what it watches."

    def __init__(self, stops: str = "", gone: bool = False) -> None:
        self.stops, self.gone, self.begun = stops, gone, 0

    def begin(self) -> None:
        self.begun += 1

    def look(self) -> str:
        return self.stops

    def ended(self) -> bool:
        return self.gone


class Asked:
    "A stand-in for the learner's end of the wire: it answers with these values."

    def __init__(self, **answers: object) -> None:
        self.answers, self.sent = answers, []

    def send(self, words: dict) -> None:
        self.sent.append(words)

    def ready(self, seconds: float) -> list[dict]:
        id = self.sent[-1]["ask"]
        return [{"cell": 3}, {"value": self.answers[id[3:]]}] if id[3:] in self.answers else []


def test_each_answer_that_passed_is_asked_and_a_silent_one_is_the_last():
    said: list[dict] = []
    ids = ["03.small_net", "03.team_params", "03.field_width"]
    watch = Silent()
    asked = Asked(team_params=51_328, field_width=3)
    worker._examine(ids, BY_ID, asked, watch, lambda **known: said.append(known))
    assert said == [
        {"id": "03.team_params", "exam": "same"},
        {"id": "03.field_width", "exam": "differs"},
    ]
    assert watch.begun == 2
    for watch in (Silent(stops="was still running"), Silent(gone=True)):
        said.clear()
        worker._examine(ids, BY_ID, Asked(), watch, lambda **known: said.append(known))
        assert said == [{"id": "03.team_params", "exam": "silent"}]


def test_the_learners_own_numbers_are_asked_for_where_they_have_some():
    order = {"answers": {"03.team_params": [1]}, "late": ["03.field_width"]}
    plain = worker._exercises_for(order)
    assert plain["03.team_params"] is BY_ID["03.team_params"] and set(plain) == set(BY_ID)
    own = worker._exercises_for(order | {"variant": "Ada", "secret": "s"})
    changed = {id for id in own if own[id] is not BY_ID[id]}
    assert changed == {"03.team_params", "03.field_width"}


# ---- a learner's process and its judge, in copies of this one

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading is for POSIX systems")


def in_a_copy(work) -> tuple[int, list[dict]]:
    """What `work(tell)` tells in a copy of this process, which it may change as it likes: how that
    ended, and the words."""
    with tempfile.TemporaryFile() as lines:  # no pipe: somebody may be left who holds its end
        pid = os.fork()
        if pid == 0:
            try:
                work(lambda **words: os.write(lines.fileno(), json.dumps(words).encode() + b"\n"))
            finally:
                os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        lines.seek(0)
        return code, [json.loads(line) for line in lines]


def cells_told(
    *cells: str, answers: dict[int, list[str]] | None = None, late=()
) -> tuple[int, list]:
    by_number = {i: [BY_ID[id] for id in ids] for i, ids in (answers or {}).items()}

    def work(tell) -> None:
        asked = [BY_ID[id] for id in late]
        kept = worker._run_cells([*cells], [*range(len(cells))], by_number, asked, tell)
        tell(kept={id: repr(answer) for id, answer in kept.items()})

    return in_a_copy(work)


@posix
def test_each_cell_is_told_before_it_runs_and_its_answers_after():
    code, told = cells_told(
        "import os\nprint(input('?'))\n1",
        "team_params = 51_328",
        "field_width = 3",
        answers={1: ["03.team_params"], 2: ["03.field_width"]},
    )
    assert code == 0 and [one["cell"] for one in told if "cell" in one] == [0, 1, 2]
    team, field = (one for one in told if "status" in one)
    assert told.index(team) == 2 and team == {
        "id": "03.team_params",
        "status": "passed",
        "misconception": None,
        "message": team["message"],
        "evidence": "",
    }
    assert field["status"] == "failed" and "status" not in told[-2]
    assert told[-2:] == [
        {"done": True},
        {"kept": {"03.team_params": "51328", "03.field_width": "3"}},
    ]


@posix
def test_a_cell_that_fails_is_told_and_so_is_its_answer():
    answers = {1: ["03.team_params"], 2: ["03.field_width"], 3: ["03.team_params"]}
    _, told = cells_told(
        "1 / 0",
        "team_params = 51_328\n1 / 0",  # it was made before
        "field_width = nothing",
        "y = = 1",
        answers=answers,
    )
    assert [one["remark"] for one in told if "remark" in one] == [
        "cell 1: ZeroDivisionError: division by zero",
        "cell 2: ZeroDivisionError: division by zero",
        "cell 3: NameError: name 'nothing' is not defined",
        "cell 4: SyntaxError: invalid syntax (line 1)",
    ]
    first, second, third = (one for one in told if "status" in one)
    assert (first["id"], first["status"]) == ("03.team_params", "passed")
    assert second == {
        "id": "03.field_width",
        "status": "failed",
        "misconception": None,
        "message": "Your code stopped before it made field_width. "
        "NameError: name 'nothing' is not defined",
        "evidence": "",
    }
    assert third["status"] == "failed"  # its cell made nothing new


@posix
def test_cells_that_were_stopped_or_filled_the_memory():
    code, told = cells_told("raise KeyboardInterrupt", "raise MemoryError", "x = 1")
    assert code == 1 and told == [
        {"cell": 0},
        {"remark": "cell 1: stopped at its time limit"},
        {"cell": 1},
        {"stopped": "filled the memory that it may use"},
    ]


@posix
def test_an_answer_under_its_name_is_found_at_the_end():
    _, told = cells_told("team_params = 51_328", late=["03.team_params", "03.field_width"])
    assert [one["id"] for one in told if "status" in one] == ["03.team_params"]
    taken = "from mnist_course.checks.shapes import flat_features"
    assert not [one for one in cells_told(taken, late=["03.flat_features"])[1] if "status" in one]


@posix
def test_whose_answer_it_is_is_remarked():
    taken = "from mnist_course.checks.shapes import flat_features"
    wrong = "def flat_features(size, channels, kernels):\n    return 0"
    for cell, words in ((taken, "is the course's own solution, or calls it"), (wrong, None)):
        _, told = cells_told(cell, answers={0: ["03.flat_features"]})
        said = [one["remark"] for one in told if "own" in one.get("remark", "")]
        assert said == ([f"03.flat_features: the answer {words}"] if words else [])


@posix
def test_of_a_process_and_its_copies_only_one_goes_on():
    _, told = cells_told("import os\nchild = os.fork()", "team_params = 3")
    assert told == [{"cell": 0}, {"cell": 1}, {"done": True}, {"kept": {}}]


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Judge a notebook in a copy of this process, in which nobody but the learner can be ended and
    nobody becomes somebody else: `judged(*cells, answers=...)` gives what was said."""

    def end(process, alone=False, user=None) -> bool:
        assert alone is False and user is None
        with contextlib.suppress(psutil.Error):  # it has ended by itself
            process.kill()
        return True

    monkeypatch.setattr(worker, "end_all", end)
    monkeypatch.setattr(worker, "make_stranger", lambda user, home: os._exit(7))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()

    def judge(*cells: str, answers: dict[str, list[int]] | None = None, **limits) -> list[dict]:
        order = {
            "cells": [*cells],
            "chosen": [*range(len(cells))],
            "answers": answers or {},
            "late": [],
            "limits": vars(Limits(**{"seconds": PATIENCE} | limits)),
            "here": str(tmp_path / "work"),
            "threads": 10_000,
            "alone": False,
            "user": None,
        }
        return in_a_copy(lambda tell: worker._judge(order, tell))[1]

    return judge


NOTHING = """
import os
nothing = os.stat(os.devnull).st_rdev
assert [os.fstat(n).st_rdev for n in range(3)] == [nothing] * 3
"""


@posix
def test_a_notebook_reads_no_orders_and_writes_into_nobodys_output(judged):
    assert judged(NOTHING) == [{"cell": 0}, {"stopped": ""}]


FLOOD = """
import contextlib, os, stat
ours = [n for n in range(3, 99) if os.path.exists(f"/dev/fd/{n}")]
for pipe in [n for n in ours if stat.S_ISSOCK(os.fstat(n).st_mode)]:
    with contextlib.suppress(OSError):
        os.write(pipe, b"".join(b'{"remark": "%d"}\\n' % i for i in range(20_001)))
"""


@posix
def test_more_remarks_than_cells_could_have_are_a_flood(judged, tmp_path):
    told = judged(FLOOD, "x = 1")
    assert told[-1] == {"stopped": "wrote a flood into the grader's pipe"}
    remarks = [f"x: {i}" for i in range(300)]
    files = [tmp_path / "x.ipynb"]
    kept = _grade_learner("ada", files, lambda path: ({}, remarks)).remarks
    assert kept == [*remarks[:200], "x.ipynb: and 100 more remarks"]


@posix
def test_a_right_answer_is_asked_again_and_says_the_same(judged, tmp_path):
    (tmp_path / "work" / "beside.py").write_text("answer = 51_328")
    told = judged(
        "from beside import answer\nprint(answer)",
        "team_params = answer",
        "field_width = 3",
        "def same_padding(kernel_size, dilation=1):\n    return dilation * (kernel_size - 1) // 2",
        answers={"03.team_params": [1], "03.field_width": [2], "03.same_padding": [3]},
    )
    assert [one["cell"] for one in told if "cell" in one] == [0, 1, 2, 3]
    assert [(one["id"], one["status"]) for one in told if "status" in one] == [
        ("03.team_params", "passed"),
        ("03.field_width", "failed"),
        ("03.same_padding", "passed"),
    ]
    asked = [one for one in told if "exam" in one]
    assert asked == [
        {"id": "03.team_params", "exam": "same"},
        {"id": "03.same_padding", "exam": "same"},
    ]
    assert told[-1] == {"stopped": ""}


@posix
def test_a_notebook_that_leaves_or_says_results_of_its_own(judged):
    told = judged("team_params = 51_328", "import os\nos._exit(3)", answers={"03.team_params": [0]})
    assert told[-1] == {"stopped": "ended the process (exit status 3)"}
    assert not [one for one in told if "exam" in one]
    own = (
        "import os, socket\n"
        "for number in range(3, 200):\n"
        "    try:\n"
        '        socket.socket(fileno=os.dup(number)).sendall(b\'{"status": "passed"}\\n\')\n'
        "    except OSError:\n        pass"
    )
    told = judged(own)
    words = "the notebook wrote results of its own, which don't count"
    assert {"remark": words} in told and told[-1] == {"stopped": ""}


@posix
def test_a_flood_stops_its_notebook(judged, monkeypatch):
    monkeypatch.setattr(worker, "_ALL", 300)
    told = judged(*["x = 1"] * 40)
    assert told[-1] == {"stopped": "wrote a flood into the grader's pipe"}


# ---- limits


@posix
def test_a_process_may_start_only_so_many_others(monkeypatch):
    monkeypatch.setattr(limits_of, "_STARTS", {"os.fork": 2, "subprocess.Popen": 1})

    def starts(tell) -> None:
        def fork() -> str:
            try:
                pid = os.fork()
            except PermissionError as error:
                return str(error)
            if pid:
                os.waitpid(pid, 0)
            return "parent" if pid else "child"

        limits_of.no_process_storm()
        for _ in range(3):
            said = fork()
            if said == "child":  # which may start none itself
                tell(inner=fork())
                os._exit(0)
            tell(outer=said)
        for _ in range(2):
            try:
                subprocess.Popen([sys.executable, "-c", ""]).wait()
                tell(started=True)
            except PermissionError as error:
                tell(started=str(error))

    code, told = in_a_copy(starts)
    too_many = "a notebook that is being graded may call os.fork only 2 times"
    assert code == 0 and told == [
        {"inner": too_many},
        {"outer": "parent"},
        {"inner": too_many},
        {"outer": "parent"},
        {"outer": too_many},
        {"started": True},
        {"started": too_many.replace("os.fork only 2", "subprocess.Popen only 1")},
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't say what a process holds")
def test_a_process_may_grow_by_so_much_and_no_more():
    import resource

    def grow(tell) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits_of.limit_memory(300 * 2**20)
        tell(more=round((resource.getrlimit(resource.RLIMIT_AS)[0] - pages) / 2**20 / 300, 1))
        for name in ("RLIMIT_CORE", "RLIMIT_FSIZE"):
            tell(**{name: resource.getrlimit(getattr(resource, name))})
        bytearray(200 * 2**20)
        try:
            bytearray(400 * 2**20)
        except MemoryError:
            tell(full=True)
        limits_of.limit_processes(123)
        tell(processes=resource.getrlimit(resource.RLIMIT_NPROC))
        for error in (OSError, ValueError):  # where the system can't say so, the watch looks

            def refuse(*words, error=error) -> None:
                raise error

            resource.setrlimit = refuse
            limits_of.limit_processes(5)
            limits_of.limit_memory(5)
        tell(done=True)

    assert in_a_copy(grow) == (
        0,
        [
            {"more": 1.0},
            {"RLIMIT_CORE": [0, 0]},
            {"RLIMIT_FSIZE": [2**30, 2**30]},
            {"full": True},
            {"processes": [123, 123]},
            {"done": True},
        ],
    )


class Process:
    "A process as psutil describes it."

    def __init__(self, seconds: float = 0.0, rss: int = 0, pss: int | None = None) -> None:
        self.seconds, self.rss, self.pss = seconds, rss, pss

    def cpu_times(self):
        quarter = self.seconds / 4
        return SimpleNamespace(
            user=quarter, system=quarter, children_user=quarter, children_system=quarter
        )

    def memory_info(self):
        return SimpleNamespace(rss=self.rss)

    def memory_full_info(self):
        return SimpleNamespace(rss=self.rss) if self.pss is None else SimpleNamespace(pss=self.pss)


@pytest.fixture
def watched(monkeypatch):
    """A watch of this process with a family and a clock of our own: (watch, family, clock, signals)."""
    family: list[Process] = [Process()]
    clock, signals = [100.0], []
    monkeypatch.setattr(Watch, "_family", lambda self: family)
    monkeypatch.setattr(limits_of.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(limits_of.os, "kill", lambda pid, number: signals.append(number))
    watch = Watch(os.getpid(), Limits(seconds=10, memory=2**30, processes=3))
    return watch, family, clock, signals


def test_a_process_within_its_limits_goes_on(watched):
    watch, family, clock, signals = watched
    family[:] = [Process(3, 100), Process(7, 100), Process(0, 100)]
    clock[0] += 110
    assert watch.look() == "" and signals == []


def test_a_cell_that_has_had_its_time_is_interrupted_and_then_stopped(watched):
    watch, family, _, signals = watched
    family[0].seconds = 10.5
    assert watch.look() == "" and len(signals) == 1
    family[0].seconds = 13
    assert watch.look() == "" and len(signals) == 1
    family[0].seconds = 13.6
    assert watch.look() == "was still running after 10 s"
    watch.begin()  # a new cell has all of its time again
    family[0].seconds = 23.5
    assert watch.look() == "" and len(signals) == 1


def test_a_cell_that_waits_is_interrupted_too_but_much_later(watched):
    watch, _, clock, signals = watched
    clock[0] += 110
    assert watch.look() == "" and signals == []
    clock[0] += 1
    assert watch.look() == "" and len(signals) == 1
    clock[0] += 40
    assert watch.look() == ""
    clock[0] += 1
    assert watch.look() == "was still running after 10 s"


def test_a_notebook_has_ten_times_as_much_as_a_cell_and_a_minute(watched):
    watch, family, _, _ = watched
    for seconds in range(9, 160, 9):
        family[0].seconds = seconds
        watch.begin()
        assert watch.look() == ""
    family[0].seconds = 161
    watch.begin()
    assert watch.look() == "left the notebook running for 100 s"


def test_a_notebook_may_wait_only_so_long_however_often_it_says_that_a_cell_begins(watched):
    watch, _, clock, signals = watched
    for _ in range(16):
        clock[0] += 100
        watch.begin()
        assert watch.look() == "" and not signals
    clock[0] += 1
    watch.begin()
    assert watch.look() == "left the notebook waiting for 1600 s"


def test_time_that_was_seen_once_stays_seen(watched):
    "Whoever starts a process and loses sight of it gains no time."
    watch, family, _, signals = watched
    family.append(Process(9))
    assert watch.look() == ""
    family.pop()
    assert watch._seconds() == 9 and watch.look() == ""
    family[0].seconds = 11
    assert watch.look() == "" and len(signals) == 1


def test_too_many_processes_or_too_much_memory_end_it_at_once(watched):
    watch, family, _, _ = watched
    family[:] = [Process() for _ in range(4)]
    assert watch.look() == "had started 4 processes"
    own = 1_500 * 2**20
    family[:] = [Process(rss=2**30 + own)]
    assert watch.look() == ""
    family[0].rss += 1
    assert watch.look() == "used more than 1 GB of memory"


def test_pages_that_a_family_shares_are_counted_once(watched):
    watch, _, _, _ = watched
    shared = [Process(rss=2**30, pss=2**29), Process(rss=2**30, pss=2**29)]
    assert watch._bytes(shared) == 2**30
    assert watch._bytes([Process(rss=2**30, pss=5)]) == 2**30  # alone, it shares with nobody
    small = 2**28 - 1  # not worth the longer look
    assert watch._bytes([Process(rss=small, pss=5), Process(rss=2**28, pss=7)]) == small + 7
    assert watch._bytes([Process(rss=2**30), Process(rss=0)]) == 2**30  # where nobody can say


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of POSIX systems")
@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (lambda: os._exit(3), "ended the process (exit status 3)"),
        (lambda: os.kill(os.getpid(), 9), "ended the process (signal 9)"),
    ],
)
def test_how_a_process_ended_is_told(ending, words):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(reading, 1)
            ending()
        finally:
            os._exit(99)
    watch = Watch(pid, Limits())
    assert not watch.ended() and watch.status is None
    os.write(writing, b"x")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has buried it
    assert watch.ended() and watch.ended() and watch.how_it_ended() == words and watch.look() == ""
    for one in (reading, writing):
        os.close(one)
