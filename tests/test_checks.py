"""The checks are checked: every solution passes, every stub is open, every known mistake is found by its name, and no garbage hurts."""

import ast
import builtins
import contextlib
import re
import statistics
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import PATIENCE
from IPython.core.interactiveshell import InteractiveShell

from mnist_course.base import asset
from mnist_course.checks import COURSE as registry
from mnist_course.checks import (
    Exercise,
    Registry,
    Wrong,
    audit,
    check,
    exercise,
    exercises,
    mistake,
    progress,
    run_check,
    sandbox,
)
from mnist_course.checks.compare import difference, ordinals
from mnist_course.model import Net
from mnist_course.teaching.notebooks import read_notebook

ROOT = Path(__file__).parent.parent
ALL = list(exercises())
LESSONS = sorted({item.lesson for item in ALL})
by_exercise = pytest.mark.parametrize("item", ALL, ids=lambda item: item.id)
by_lesson = pytest.mark.parametrize("lesson", LESSONS)


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    "On a busy machine a right answer takes longer than a learner would wait. These tests wait."
    for item in ALL:
        monkeypatch.setattr(item, "time_limit", PATIENCE)


@pytest.fixture(scope="module")
def training_step() -> float:
    "CPU seconds of a training step with 64 images: a yardstick that is as slow as the machine is."
    model = Net()
    images = torch.randn(64, 1, 28, 28)
    taken = []
    for _ in range(5):
        start = time.process_time()
        model(images).sum().backward()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def lesson_path(lesson: str) -> Path:
    return next((ROOT / "nbs").glob(f"{lesson}_*.ipynb"))


def sources(path: Path, kind: str) -> list[str]:
    return [
        "".join(cell["source"])
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == kind
    ]


def names_bound(source: str) -> set[str]:
    "Names that the top level of a cell binds."
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        for name in ast.walk(node) if not isinstance(node, ast.FunctionDef | ast.ClassDef) else ():
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                found.add(name.id)
    return found


@cache
def stubs(lesson: str) -> dict[str, str]:
    "The code cells of a lesson that call a check, by the exercise's id."
    return {
        found[1]: code
        for code in sources(lesson_path(lesson), "code")
        if (found := re.search(r'^check\("([\w.]+)", \w+\)', code, re.M))
    }


KINDS = {"build", "by hand", "write", "predict", "fix", "read a plot", "order", "design"}

# ---- answers and mistakes


@by_exercise
def test_the_solution_passes_and_every_mistake_is_found_by_its_name(item, training_step, share):
    report = audit(item.id, share(range(3), 1))
    assert report.passed, check(item.id, item.solution, seed=0)
    for name, found, _ in report:
        assert found == [name], f"{name} was found as {found}"
    assert report.seconds < 2 * training_step


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: f"{lesson}.answers")
def test_what_the_answers_page_computes_in_another_way_agrees_with_its_solutions(lesson):
    "Mistakes are told from a solution; that the solution is right is asserted there, mostly with PyTorch."
    (page,) = (ROOT / "nbs" / "answers").glob(f"{lesson}_*.ipynb")
    space = dict(vars(import_module(f"mnist_course.checks.{page.stem[3:]}")))
    cells = [code for code in sources(page, "code") if code.startswith("#| hide")]
    assert any("assert" in code for code in cells)
    for code in cells:
        if "reload(" not in code:
            exec(code, space)


# The library's take more care than the exercise asks for, and refuse or clean what it hands in.
MORE_CAREFUL = {"10.saliency", "10.occlusion", "11.to_ink"}


@pytest.mark.parametrize(
    "item", [item for item in ALL if item.kind == "build"], ids=lambda item: item.id
)
def test_the_version_in_the_library_passes(item):
    (page,) = (ROOT / "nbs").glob(f"{item.lesson}_*.ipynb")
    name = re.search(r"#\| default_exp (\w+)", "\n".join(sources(page, "code")))[1]
    ours = getattr(import_module(f"mnist_course.{name}"), item.name, None)
    if ours is None or item.id in MORE_CAREFUL:
        pytest.skip("the page itself checks one that fits")
    result = check(item.id, ours, seed=2)
    assert result.status == "passed", result


@by_exercise
def test_an_exercise_is_complete(item):
    assert re.fullmatch(r"\d\d\.[a-z][a-z0-9_]*", item.id)
    assert 1 <= item.difficulty <= 5 and 1 <= item.minutes <= 30
    assert item.kind in KINDS
    assert len(item.misconceptions) >= 2 and item.misconceptions.keys() == item.reasons.keys()
    assert all(len(reason) > 20 and reason[0].isupper() for reason in item.reasons.values())
    assert len(set(item.reasons.values())) == len(item.reasons)
    if item.cases is None and item.judge is None:
        assert item.hint, "a value that no misconception explains needs a hint"
    if not callable(item.solution):
        assert item.after, "whoever has found a value is told why it's right"


def test_there_are_enough_of_them():
    assert len(ALL) >= 45
    assert sum(len(item.misconceptions) for item in ALL) >= 3 * len(ALL)
    for lesson in [f"{number:02}" for number in range(16)]:
        assert sum(item.lesson == lesson for item in ALL) >= 3, lesson
    assert {item.kind for item in ALL} == KINDS


# ---- learners


@by_exercise
def test_the_card_says_what_the_registry_says(item):
    cards = "\n".join(sources(lesson_path(item.lesson), "markdown"))
    numbered = re.findall(
        r"^### Exercise (\d\d)\.(\d+) · (.+) \((\d) of 5, (\d+) min\)$", cards, re.M
    )
    mine = [other for other in ALL if other.lesson == item.lesson and other.kind != "build"]
    expected = [
        (o.lesson, str(i), o.title, str(o.difficulty), str(o.minutes))
        for i, o in enumerate(mine, 1)
    ]
    assert numbered == expected
    built = [other.id for other in ALL if other.lesson == item.lesson and other.kind == "build"]
    assert list(stubs(item.lesson)) == built + [other.id for other in mine]  # as the page goes


@by_exercise
def test_the_stub_stands_in_the_lesson_and_its_name_is_its_own(item):
    stub = stubs(item.lesson)[item.id]
    assert item.name in names_bound(stub) and "..." in stub
    assert f'check("{item.id}", {item.name})' in stub
    for code in sources(lesson_path(item.lesson), "code"):
        if item.kind == "build":  # the page goes on with the learner's, or with what is exported
            code = code.replace(f'{item.name} = yours("{item.id}", {item.name})\n', "")
            if "# One way to write it" in code:
                continue
        if code != stub:
            assert item.name not in names_bound(
                "\n".join(line for line in code.splitlines() if not line.startswith(("%", "!")))
            )


@pytest.mark.parametrize(
    "item", [item for item in ALL if item.kind == "build"], ids=lambda item: item.id
)
def test_what_a_learner_built_is_what_the_page_goes_on_with(item):
    code = sources(lesson_path(item.lesson), "code")
    stub = code.index(stubs(item.lesson)[item.id])
    (ours,) = [
        i for i, c in enumerate(code) if re.search(rf"^def {item.name}\(", c, re.M) and i != stub
    ]
    goes_on = next(i for i, c in enumerate(code) if f'{item.name} = yours("{item.id}"' in c)
    assert stub < ours < goes_on  # what no other room needs isn't exported
    assert re.match(r"(#\| export\n)?# One way to write it", code[ours])
    for between in code[stub + 1 : goes_on]:
        assert item.name not in names_bound(between) or between == code[ours]


@by_exercise
def test_an_untouched_stub_is_not_attempted(item):
    "Each lesson runs from top to bottom in tests/test_every_notebook.py; here the stub alone, as it stands."
    stub = stubs(item.lesson)[item.id].split("\ncheck(")[0]
    space: dict = {"nn": torch.nn, "torch": torch, "F": torch.nn.functional, "np": np}
    exec("from __future__ import annotations\n" + stub, space)
    result = check(item.id, space[item.name])
    assert result.status == "not attempted" and not result and not result.misconception
    assert repr(result) == f"{item.id}: not attempted yet"


# ---- garbage


def raises(*args, **kwargs):
    raise KeyError("digit")


def leaves(*args, **kwargs):
    sys.exit(3)


def hangs(*args, **kwargs):
    n = 0
    while True:
        n += 1


def hangs_and_catches(*args, **kwargs):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


def mutates(*args, **kwargs):
    for arg in args:
        if isinstance(arg, torch.Tensor) and arg.dtype.is_floating_point:
            arg.data.fill_(7.0)
        if isinstance(arg, list):
            arg.clear()
    return torch.zeros(3)


def floods(*args, **kwargs):
    for _ in range(20_000):
        print("x" * 100)
    return "done"


class Strange:
    "Nothing that one does with a value works."

    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no eq")

    __hash__ = None

    def __bool__(self):
        raise RuntimeError("no bool")

    def __len__(self):
        raise RuntimeError("no len")

    def __iter__(self):
        raise RuntimeError("no iter")

    def __call__(self, *args, **kwargs):
        return self


VALUES = {
    "None": None,
    "string": "28",
    "empty string": "",
    "nan": float("nan"),
    "infinity": float("inf"),
    "huge": 10**400,
    "complex": 1j,
    "bytes": b"28",
    "dict": {"a": 1},
    "empty list": [],
    "nested list": [[1], [2, [3]]],
    "list of None": [None, None],
    "wrong shape": torch.zeros(3, 5, 7),
    "empty tensor": torch.zeros(0),
    "nan tensor": torch.full((2, 2), float("nan")),
    "bool tensor": torch.tensor([True, False]),
    "array": np.zeros((2, 3)),
    "array of objects": np.array([None, "x"], dtype=object),
    "class": Exercise,
    "module": torch,
    "network": torch.nn.Linear(2, 2),
    "strange": Strange(),
    "wrong signature": lambda: 3,
}
FUNCTIONS = {f.__name__: f for f in (raises, leaves, mutates, floods, print)}


# The folder of the package, wherever the clone is and whatever it is called.
OURS = {str(asset()), str(asset().resolve())}


@pytest.mark.slow
@by_exercise
def test_garbage_is_answered_in_words(item, capsys, share):
    answers = (
        VALUES
        | FUNCTIONS
        | {
            f"returns {name}": (lambda *a, value=value, **k: value)
            for name, value in VALUES.items()
        }
    )
    for name, garbage in share(answers.items(), 8):
        result = check(item.id, garbage, seed=1)
        assert result.status == "failed" and result.message, f"{name}: {result}"
        text = repr(result) + result._repr_markdown_()
        assert "Traceback" not in text and not any(place in text for place in OURS), name
        assert len(text) < 6_000, name
    assert capsys.readouterr().out == ""


@pytest.mark.drawn(20)
@by_exercise
def test_an_answer_that_hangs_is_stopped(item, monkeypatch):
    if item.cases is None and item.judge is None and item.run is None:
        pytest.skip("the answer is a value, and is not called")
    monkeypatch.setattr(item, "time_limit", 0.1)
    before = set(threading.enumerate())
    result = check(item.id, hangs, seed=1)
    assert result.status == "failed" and "still running after" in result.message
    assert "line " in result.message and "a loop that never ends?" in result.message
    assert set(threading.enumerate()) <= before  # nothing was left behind


@pytest.mark.parametrize("hanging", [hangs, hangs_and_catches])
def test_a_limit_runs_out_by_itself_and_the_loop_is_ended(hanging):
    before = set(threading.enumerate())
    assert sandbox.limited(hanging, 0.01).timed_out
    assert set(threading.enumerate()) <= before
    assert sandbox.limited(lambda: 3, PATIENCE).value == 3


@pytest.mark.parametrize(
    ("filename", "theirs"),
    [
        ("mnist_course/checks/mnist_course/answer.py", True),  # in a clone of that name
        ("<stdin>", True),
        (asset("checks", "shapes.py"), False),
        (asset("..", "mnist_course", "predict.py"), False),
        (torch.nn.functional.__file__, False),
        (threading.__file__, False),
    ],
)
def test_whose_line_it_is_does_not_depend_on_the_name_of_the_clone(
    tmp_path, monkeypatch, filename, theirs
):
    monkeypatch.chdir(tmp_path)
    frames = [SimpleNamespace(filename=str(filename), lineno=3)]
    assert sandbox._own_line(frames, None) == ("line 3" if theirs else "")
    # An answer that is written there is the learner's, wherever that is.
    assert sandbox._own_line(frames, str(filename)).startswith("line 3")


# ---- the machinery itself, on exercises made for it


@pytest.fixture
def lay():
    "Register exercises that go away again."
    before = dict(registry)
    yield exercise
    registry.clear()
    registry.update(before)


def test_messages_show_the_smallest_failing_case_and_the_learners_own_line(lay):
    lay("99.half", "Half", 1, 1, cases=lambda rng: [(2,), (3,), (rng.randrange(5, 99, 2),)])(
        lambda n: n // 2
    )
    result = check("99.half", lambda n: n / 2 if n % 2 else n // 2, seed=4)
    assert (
        "half(3)" in result.message
        and "expected  1" in result.message
        and "got       1.5" in result.message
    )

    def half(n):
        return n // (n - 3)

    result = check("99.half", half, seed=4)
    assert "expected  1" in result.message and "got       -2" in result.message

    def half(n):
        return [n // 2][n // 2]

    result = check("99.half", half, seed=4)
    assert (
        "IndexError" in result.message
        and "return [n // 2][n // 2]" in result.message
        and "half(2)" in result.message
    )


def test_an_import_is_never_cut_short(lay, tmp_path, monkeypatch):
    "It takes longer than the limit, and that is not the answer's fault."
    over, looks = threading.Event(), []
    (tmp_path / "slow_to_load.py").write_text("while not OVER():\n    pass\nHALF = 2\n")
    monkeypatch.setattr(builtins, "OVER", over.is_set, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    lay("99.half", "Half", 1, 1, cases=lambda rng: [(2,)], time_limit=0.01)(lambda n: n // 2)
    is_over = sandbox._Watch.is_over

    def looked(watch):
        "The import ends when the clock was looked at twenty times, far beyond the limit."
        looks.append(watch.loading)
        if sum(looks) > 20:
            over.set()
        return is_over(watch)

    monkeypatch.setattr(sandbox._Watch, "is_over", looked)
    monkeypatch.setattr(sandbox._Watch, "PATIENCE", 1e9)

    def half(n):
        import slow_to_load

        return n // slow_to_load.HALF

    assert check("99.half", half) and sum(looks) > 20


def test_fresh_inputs_each_time_and_the_same_ones_on_demand(lay):
    seen = []
    lay("99.fresh", "Fresh", 1, 1, cases=lambda rng: [(rng.random(),)])(lambda x: x)
    for seed in (None, None, 7, 7):
        check("99.fresh", lambda x: seen.append(x) or x, seed=seed)
    assert seen[0] != seen[1] and seen[2] == seen[3]


def test_the_learners_random_numbers_are_left_alone(lay):
    lay("99.noise", "Noise", 1, 1, cases=lambda rng: [(3,)])(lambda n: torch.rand(n))
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    assert check("99.noise", lambda n: torch.rand(n))
    assert torch.equal(torch.rand(2), expected)


def test_an_answer_that_changes_its_input_is_found_out(lay):
    lay("99.copy", "Copy", 1, 1, cases=lambda rng: [(torch.ones(3),)])(lambda x: x + 1)
    result = check("99.copy", lambda x: x.add_(1))
    assert result.status == "failed" and "changed its input" in result.message


def test_mistakes_that_look_alike_on_some_inputs_are_told_apart_by_more(lay):
    lay("99.twins", "Twins", 1, 1, cases=lambda rng: [(rng.choice([1, 2]),)])(lambda n: 0)
    mistake("99.twins", "This one doubles.", "doubles")(lambda n: 2 * n)
    mistake("99.twins", "This one squares.", "squares")(lambda n: n * n)
    assert {check("99.twins", lambda n: n * n, seed=s).misconception for s in range(9)} == {
        "squares"
    }
    assert {check("99.twins", lambda n: n + n, seed=s).misconception for s in range(9)} == {
        "doubles"
    }


def test_an_answer_with_two_faults_is_not_given_the_name_of_one(lay):
    lay("99.two", "Two", 1, 1, cases=lambda rng: [(2, 5), (3, 7)])(lambda a, b: a + b)
    mistake("99.two", "The second was forgotten.", "first_only")(lambda a, b: a)
    assert check("99.two", lambda a, b: a + 1).misconception is None
    assert check("99.two", lambda a, b: a).misconception == "first_only"


def test_a_judge_may_name_the_mistake(lay):
    def judge(made, rng):
        if made < 10:
            raise Wrong("It is small.", "too_small")

    lay("99.judge", "Judge", 1, 1, "design", judge=judge)(lambda: 12)
    mistake("99.judge", "Ten is the least.", "too_small")(lambda: 3)
    assert check("99.judge", lambda: 11) and check("99.judge", 11)
    result = check("99.judge", lambda: 9)
    assert (result.status, result.misconception) == (
        "failed",
        "too_small",
    ) and "Ten is the least. It is small." in result.message
    assert check("99.judge", lambda: ...).status == "not attempted"


def test_results_read_well_as_text_and_as_markdown(lay):
    lay("99.half", "Half", 1, 1, cases=lambda rng: [(2,)], after="Well halved.")(lambda n: n // 2)
    mistake("99.half", "That is the double, and the half was asked for.", "doubled")(
        lambda n: n * 2
    )
    wrong = check("99.half", lambda n: n * 2, seed=1)
    assert repr(wrong).splitlines()[:2] == [
        "99.half: failed (doubled)",
        "That is the double, and the half was asked for.",
    ]
    assert (
        "✗ **99.half: failed (doubled)**" in wrong._repr_markdown_()
        and "```text\nhalf(2)" in wrong._repr_markdown_()
    )
    right = check("99.half", lambda n: n // 2)
    assert right and repr(right) == "99.half: passed\nWell halved."


@pytest.mark.parametrize("id", ["03.same-padding", "nonsense", "", None, 3])
def test_an_unknown_exercise_is_no_traceback(id):
    result = check(id, 3)
    assert result.status == "failed" and result.message


def test_the_line_is_the_learners_in_a_notebook_too(lay):
    lay("99.cell", "Cell", 1, 1, cases=lambda rng: [(2,)])(lambda n: n)
    shell = InteractiveShell()
    shell.run_cell("def wrong(n):\n    m = n - 2\n    return 1 / m")
    message = check("99.cell", shell.user_ns["wrong"]).message
    assert "ZeroDivisionError" in message and "line 3: return 1 / m" in message


def test_what_an_answer_prints_is_kept_short(lay, capsys):
    lay("99.loud", "Loud", 1, 1, cases=lambda rng: [(2,)])(lambda n: n)
    result = check("99.loud", lambda n: print("abc " * 100_000))
    assert (
        "it printed: abc abc" in result.message
        and "400,001 characters in all" in result.message
        and len(result.message) < 700
    )
    assert capsys.readouterr().out == ""
    assert run_check(registry["99.loud"], lambda n: n, 0).status == "passed"


# ---- a course of one's own


@pytest.fixture
def mine():
    "A registry with one exercise, which is not the course's."
    mine = Registry()

    @mine.exercise("mine.double", "Double it", 1, 2, cases=lambda rng: [(1,), (2,), (3,)])
    def double(n):
        return 2 * n

    mine.mistake("mine.double", "That is the square.", "squared")(lambda n: n * n)
    return mine


def test_a_course_of_ones_own_stays_by_itself(mine):
    assert "mine.double" not in {item.id for item in exercises()}
    assert "mine.double" not in {row.id for row in progress()}
    assert check("mine.double", lambda n: 2 * n).status == "failed"  # the course has none
    assert progress(registry=mine)[0].state == "open"
    assert mine.check("mine.double", lambda n: 2 * n)
    assert [row.state for row in progress(registry=mine)] == ["passed"]
    assert [found for _, found, _ in mine.audit("mine.double")] == [["squared"]]


def test_the_same_inputs_again_are_for_the_answer_that_was_handed_in(mine):
    def tripled(n):
        return 3 * n

    said = mine.check("mine.double", tripled, seed=3).message
    assert said.endswith("the same inputs again: check('mine.double', tripled, seed=3)")
    said = mine.check("mine.double", lambda n: 3 * n, seed=3).message
    assert said.endswith("the same inputs again: check('mine.double', your_answer, seed=3)")


@pytest.mark.parametrize(
    ("id", "lesson", "name"),
    [
        ("03.output_size", "03", "output_size"),
        ("double", "", "double"),
        ("mine.part2.double", "mine.part2", "double"),
    ],
)
def test_an_id_may_look_as_one_likes(id, lesson, name):
    mine = Registry()
    mine.exercise(id, "Double it", 1, 2, answer=4)
    assert (mine[id].lesson, mine[id].name) == (lesson, name)
    assert mine.check(id, 4) and not mine.check(id, 5)


def test_an_array_is_no_error_of_the_learners(mine):
    "Compared with the dots of a stub, an array gives an array, of which nobody can say whether it is true."
    said = mine.check("mine.double", lambda n: np.full(3, 2 * n), seed=1).message
    assert said.startswith("Expected one whole number, got a numpy array of shape (3,).")
    assert "raised" not in said


# ---- two values, compared


class SaysLess(complex):
    def __eq__(self, other):
        return False

    __hash__ = complex.__hash__


@dataclass
class Place:
    row: int


ENDLESS: list = []  # it holds itself
ENDLESS.append(ENDLESS)
MATRIX = "expected a float32 tensor of shape (2, 2), got {}"
WHOLE = "expected whole numbers (such as torch.int64), got torch.float64"


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        (26, 26.0, ""),
        (26, np.int64(26), ""),
        (26, torch.tensor([26]), ""),
        (26, Fraction(52, 2), ""),
        (0.25, Decimal("0.25"), ""),
        (26, True, "expected one whole number, got a bool"),
        (26, None, "expected one whole number, got None. Is there a `return`?"),
        (0.5, 0.50001, ""),
        (0.5, 0.6, "expected 0.5, got 0.6"),
        (float("nan"), float("nan"), ""),
        (True, np.bool_(True), ""),
        (True, 1, "expected True, got 1"),
        (None, 0, "expected None, got 0"),
        ("a b", "AB", ""),
        ("ab", ["B", "a"], "expected a string, got a list"),
        ("ab", ("A", "b"), ""),
        ("ab", 3, "expected a string, got an int"),
        ([1, 2], (1, 2), ""),
        ([1, 2], (n for n in (1, 2)), ""),
        ([1, 2], np.array([1.0, 2.0]), ""),
        (["c", "d"], "C, D", ""),
        ([1, 2], [1, 2, 3], "expected 2 values, got 3"),
        (
            [1, (2, 3)],
            [1, [2, 4]],
            "the second value: the second value should be 3, and yours is 4",
        ),
        ({"a": 1}, {"a": 2}, "a: expected 1, got 2"),
        ({"a": 1}, {"b": 1}, "expected a dict with the keys ['a'], got `{'b': 1}`"),
        (torch.ones(2), torch.ones(3), "expected the shape (2,), got (3,)"),
        (torch.ones(2), torch.ones(2).double(), ""),
        (torch.ones(2), [1, 1], ""),
        (torch.ones(2), np.ones(2), ""),
        (torch.tensor(0.5), [0.5], ""),
        (
            torch.tensor([1, 2]),
            torch.tensor([1.0, 2.0]),
            "expected whole numbers (such as torch.int64), got torch.float32",
        ),
        (torch.ones(2), torch.tensor([1.0, 2.0]), "1 of 2 values differ"),
        (torch.ones(2), "11", "expected a float32 tensor of shape (2,), got a string"),
        (torch.full((2,), float("nan")), torch.full((2,), float("nan")), ""),
        ({1, 2}, {2, 1}, ""),
        (3, [10**5000], "expected 3, got a number of about 5,000 digits"),
        ({1, 2}, frozenset([1, 2]), ""),
        ({1, 2}, [1, 3], "other entries than expected"),
        ({1, 2}, [1], "expected a set, got a list"),
        (np.bool_(True), True, ""),
        (np.bool_(True), 1, "expected True, got 1"),
        (len, len, ""),
        (len, max, "expected a function, got a function"),
        (torch.ones(2), [torch.tensor(1.0), 1], ""),
        (torch.ones(2, 2), [torch.ones(2), torch.ones(3)], MATRIX.format("a list")),
        (torch.ones(2, 2), [torch.ones(2), "x"], MATRIX.format("a list")),
        (
            torch.ones(2),
            torch.ones(2, dtype=torch.complex64),
            "expected decimal numbers (such as torch.float32), got torch.complex64",
        ),
        (torch.tensor([1j, 2]), np.array([1j, 2]), ""),
        (
            torch.tensor([True, False]),
            [1, 0],
            "expected True and False (torch.bool), got torch.int64",
        ),
        (torch.tensor([1, 2]), [1.0, 2.0], ""),
        (torch.tensor([1, 2]), [1.5, 2.0], WHOLE),
        (torch.tensor([0.123456789]), torch.tensor([2.0]), "expected 0.123457, got 2"),
        (torch.tensor(3), 3, ""),
        (2 + 1j, SaysLess(2 + 1j), ""),
        (
            2,
            np.broadcast_to(0, (10**8,)),
            "expected one whole number, got a numpy array of shape (100000000,)",
        ),
        ({"a": [1, 2], 3: 4}, {"a": [1, 2], 3: 5}, "3: expected 4, got 5"),
        ("two words", "Two  Words", ""),
        ({1, 2}, [2, 1], ""),
        ({"a": 1}, OrderedDict(a=1), ""),
        (2 + 1j, 2 - 1j, "expected a complex, got a complex"),
        (b"ab", b"ab", ""),
        (b"ab", b"ba", "expected a bytes, got a bytes"),
        (Place(1), Place(1), ""),
        (Place(1), Place(2), "expected a Place, got a Place"),
        (Place(1), 3, "expected a Place, got an int"),
        (3, ENDLESS, "expected one whole number, got a list"),
    ],
)
def test_a_difference_is_told_by_kind_shape_and_value(expected, got, said):
    assert difference(expected, got, 1e-4, 1e-6) == said


def test_what_may_come_in_any_order_may_be_a_set():
    assert not difference([1, 2], {2, 1}, 0, 0, ordered=False)
    assert not difference([1, 2], [2, 1], 0, 0, ordered=False)
    said = difference([1, 2], {1, 3}, 0, 0, ordered=False)
    assert said == "the second value should be 2, and yours is 3"
    assert difference([1, 2], [2, 1], 0, 0) == "the first value should be 1, and yours is 2"
    assert difference([1, 2], {2, 1}, 0, 0) == "expected a list, got a set"


def test_the_tolerance_is_a_share_of_the_right_value():
    for make in (float, lambda x: torch.tensor([x])):
        assert not difference(make(100.0), make(50.1), 0.5, 0)
        assert difference(make(50.1), make(100.0), 0.5, 0)


def test_places_of_a_sequence_in_words():
    assert ordinals([9], 12) == "the tenth" and ordinals([10], 12) == "number 11"
    assert (
        ordinals([0, 1], 2) == "both numbers" and ordinals([0, 1], 3) == "the first and the second"
    )
    assert ordinals([0, 1, 2], 3) == "all three numbers"
    assert ordinals(range(12), 12) == "all 12 numbers"
    assert ordinals(range(6), 12) == "6 of the 12, beginning with the first"
    assert ordinals([0, 1], 2, ["the mean", "last"]) == "the mean and the last"
