"""The engine behind the checks: whose error it is, when the time is up, what counts as right, what a call leaves behind, and how it's said."""

import abc
import contextlib
import functools
import inspect
import itertools
import json
import os
import random
import re
import runpy
import subprocess
import sys
import threading
from collections import deque
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import fresh_processes
import numpy as np
import pytest
import torch
from helpers import PATIENCE, ROOT
from torch import nn

from mnist_course.base import asset
from mnist_course.checks import Registry, Wrong, engine, messages, run_check, sandbox, snapshot
from mnist_course.checks.compare import difference, keep, kind_of, letters_of, nearly, quote, show
from mnist_course.checks.engine import _sentence
from mnist_course.progress import SESSION
from mnist_course.teaching.notebooks import code_cells, module_of, read_notebook

ANSWERS = sorted((ROOT / "nbs" / "answers").glob("*.ipynb"))
MINE = "only the learner's own code says this"


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")


def course(solution, **options) -> Registry:
    "A registry with one exercise, `x.task`."
    mine = Registry()
    options.setdefault("time_limit", PATIENCE)
    if callable(solution):
        options.setdefault("cases", lambda rng: [(1,), (2,), (5,)])
        mine.exercise("x.task", "Task", 1, 1, **options)(solution)
    else:
        mine.exercise("x.task", "Task", 1, 1, answer=solution, **options)
    return mine


def said(solution, answer, **options) -> str:
    "The status and the message for an answer."
    result = course(solution, **options).check("x.task", answer, seed=1)
    return f"{result.status}: {result.message}"


# ---- whose error is it?


class Touchy:
    "Whatever anybody does with it raises."


def touchy(name):
    def method(self, *args, **kwargs):
        raise RuntimeError(MINE)

    return method


for name in [
    "eq",
    "ne",
    "lt",
    "bool",
    "len",
    "iter",
    "int",
    "float",
    "index",
    "repr",
    "str",
    "hash",
    "getattr",
    "array",
    "contains",
]:
    setattr(Touchy, f"__{name}__", touchy(name))


class SaysYes(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class TouchyList(list):
    __iter__ = __len__ = __getitem__ = __eq__ = __repr__ = touchy("")


class Liar:
    "Says that it is a tensor; torch believes it, and crashes."

    __class__ = property(lambda self: torch.Tensor)


class TouchyType(type):
    __eq__ = __repr__ = __instancecheck__ = touchy("")
    __hash__ = type.__hash__


class OfTouchyType(metaclass=TouchyType):
    pass


ENDLESS = [lambda: itertools.count(), lambda: (n for n in itertools.count())]
ODD = {
    "touchy": Touchy,
    "touchy list": lambda: TouchyList([1, 2]),
    "liar": Liar,
    "of a touchy type": OfTouchyType,
    "itself": lambda: functools.reduce(lambda a, _: a.append(a) or a, range(1), []),
    "deep": lambda: functools.reduce(lambda a, _: [a], range(5_000), []),
    "huge": lambda: 10**5_000,
    "huge fraction": lambda: Fraction(10**400, 3),
    "signalling": lambda: Decimal("sNaN"),
    "expanded": lambda: torch.zeros(1).expand(10**12),
    "meta": lambda: torch.ones(2, device="meta"),
    "sparse": lambda: torch.eye(2).to_sparse(),
    "objects": lambda: np.array([None, "x"], dtype=object),
    "endless": ENDLESS[0],
    "endless generator": ENDLESS[1],
    "a class": lambda: type,
    "markup": lambda: "<img src=x onerror=alert(1)> ``` **bold** \n# h",
    "surrogate": lambda: "\ud800",
    "not comparable": lambda: NotImplemented,
}
SOLUTIONS = {
    "a number": lambda n: n + 1,
    "a tensor": lambda n: torch.arange(float(n)),
    "a list": lambda n: [n, n + 1],
    "letters": lambda n: "ab",
    "a dict": lambda n: {"a": n},
    "nothing": lambda n: None,
}


@pytest.mark.parametrize("solution", SOLUTIONS.values(), ids=SOLUTIONS)
@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_whatever_a_function_gives_is_answered_in_words(solution, make):
    value = make()
    told = said(solution, lambda n: value)
    assert told.startswith("failed: ")
    if MINE not in told:  # whose class raises when it is looked at has raised
        assert "raised" not in told
    result = course(solution).check("x.task", lambda n: value)
    assert len(repr(result) + result._repr_markdown_()) < 6_000


@pytest.mark.parametrize("solution", [7, [7, 8], "AB", 0.5], ids=str)
@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_whatever_is_handed_in_for_a_value_is_answered_in_words(solution, make):
    told = said(solution, make())
    assert told.startswith("failed: ") and len(told) > 20


def test_a_value_that_says_yes_to_everything_is_compared_all_the_same():
    assert said(lambda n: n + 1, lambda n: SaysYes(n)).startswith("failed: `task(1)` should be 2")
    assert said(lambda n: n + 1, lambda n: SaysYes(n + 1)).startswith("passed")


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("the inner one")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("digit"), "KeyError ('digit')"),
        (SystemExit(3), "SystemExit (3)"),
        (KeyboardInterrupt(), "KeyboardInterrupt at"),
        (BaseException("low"), "BaseException (low)"),
        (ExceptionGroup("two", [ValueError("a")]), "ExceptionGroup (two (1 sub-exception))"),
        (Unspeakable(), "Unspeakable at"),
        (ValueError("<script>"), "ValueError (`<script>`)"),
    ],
    ids=lambda case: type(case).__name__,
)
def test_an_error_of_the_learners_is_named_with_its_line(error, words):
    def answer(n):
        raise error

    told = said(lambda n: n, answer)
    assert told.startswith(f"failed: Your code raised {words}") and "raise error" in told
    assert "inner" not in told


def test_an_error_on_the_way_to_a_library_is_still_the_learners():
    told = said(lambda n: n, lambda n: torch.zeros(2) @ torch.zeros(3))
    assert "Your code raised RuntimeError" in told and "torch.zeros(2) @" in told
    assert "Your code raised TypeError" in said(lambda n: n, len)  # a library's function, handed in


def test_a_generator_that_breaks_half_way_is_the_learners_error():
    def answer(n):
        yield n
        raise KeyError(MINE)

    assert f"Your code raised KeyError ('{MINE}')".replace("'", "", 0) in said(
        lambda n: [n, n], answer
    ).replace('"', "'")


def test_an_error_of_the_check_is_never_the_learners():
    def run(answer, n):
        return answer(n).numel()

    told = said(lambda n: torch.zeros(n), lambda n: 3, run=run)
    assert "Your answer gives an int, and the check can't do anything with that" in told
    assert "numel" not in told and "raised" not in told
    SESSION.clear()
    result = course(lambda n: n, run=run).check("x.task", lambda n: n)
    assert result.status == "not attempted" and "The check itself has a fault" in result.message
    assert result.headline == "x.task: not judged" and not result and SESSION == []


def test_a_judge_that_breaks_is_at_fault_and_one_that_breaks_on_an_answer_says_so():
    def judge(made, rng):
        if made.in_features > 9:
            raise Wrong("It's too wide.")

    options = {"cases": None, "judge": judge}
    assert said(lambda: nn.Linear(2, 2), lambda: nn.Linear(20, 2), **options).endswith("too wide.")
    assert "Your answer gives a ReLU" in said(lambda: nn.Linear(2, 2), nn.ReLU, **options)
    assert "itself has a fault" in said(lambda: 3, lambda: 4, **options)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: 3, "calls your function with 2 inputs, and yours takes none"),
        (lambda a: 3, "calls your function with 2 inputs, and yours takes 1"),
        (lambda a, c: a + c, "passed"),  # another name, in the same place
        (lambda a, *, c: 3, "it needs a parameter of that name"),
        (functools.partial(lambda z, a, b: a + b, 0), "passed"),
    ],
)
def test_how_a_function_is_called(answer, words):
    told = said(lambda a, b: a + b, answer, cases=lambda rng: [(1, {"b": 2})])
    assert words in told or ("calls your function with" in told and "takes 1" in told)
    assert "positional" not in told


# ---- when is the time up?


def test_the_solution_goes_first_so_that_everything_is_loaded():
    order = []
    mine = course(lambda n: order.append("solution"))
    mine.check("x.task", lambda n: order.append("answer"))
    assert order == ["solution"] * 3 + ["answer"] * 3


def test_waiting_for_a_processor_costs_nothing_and_computing_does():
    watch = sandbox._Watch(threading.current_thread(), 5, None)
    watch.clock = iter([1.0, 3.0, *[5.9] * 6, 6.1]).__next__
    assert [watch.is_over() for _ in range(9)] == [False] * 8 + [True]


def test_a_loop_is_named_however_seldom_the_machine_lets_us_look():
    "The limit is long over, and eight looks are taken all the same."
    watch = sandbox._Watch(threading.current_thread(), 0.1, None)
    watch.clock = map(float, itertools.count()).__next__
    assert [watch.is_over() for _ in range(9)] == [False] * 8 + [True]


def test_what_an_import_computes_is_not_the_answers(monkeypatch):
    "Up to the first look that finds it over."
    inside = iter([True, True, False, False])
    monkeypatch.setattr(sandbox, "_is_loading", lambda frame: next(inside))
    watch = sandbox._Watch(threading.current_thread(), 5, None)
    watch.clock = iter([0.0, 10.0, 20.0, 30.0, 40.0]).__next__
    assert not any(watch.is_over() for _ in range(5))
    assert (watch.loaded, watch.spent) == (30, 10)


def test_a_machine_that_stands_still_is_not_an_answer_that_waits(monkeypatch):
    "Four looks in which an hour passed each, asleep: that is the machine's doing. A hundred short ones add up."
    hours = itertools.count(0, 3600)
    monkeypatch.setattr(sandbox.time, "monotonic", lambda: float(next(hours)))
    monkeypatch.setattr(sandbox, "_is_asleep", lambda thread: True)
    watch = sandbox._Watch(threading.current_thread(), 2, None)
    watch.clock = lambda: 7.0
    looks = [watch.is_over() for _ in range(90)]
    assert not any(looks[:79]) and looks[81]  # 80 looks of a tenth of a second: four times 2 s


def test_an_audit_has_sixty_times_the_time_of_an_answer(monkeypatch):
    limits = set()
    limited = engine.limited

    def noted(function, seconds=float("inf"), home=None):
        limits.add(seconds)
        return limited(function, seconds, home)

    monkeypatch.setattr(engine, "limited", noted)
    mine = course(lambda n: 2 * n, time_limit=2)
    mine.mistake("x.task", "That is the square.", "squared")(lambda n: n * n)
    for one in ("x.task", mine["x.task"]):
        assert mine.audit(one).passed and 120 in limits and 2 not in limits
        limits.clear()
    assert mine.check("x.task", lambda n: 2 * n) and 2 in limits and 120 not in limits


def test_a_loop_is_called_one_only_where_it_was_seen():
    def endless(n):
        while True:
            n += 1

    told = said(lambda n: n, endless, time_limit=0.2)
    assert re.search(r"still running after 0.2 s of computing, at line \d+", told)
    assert "The solution takes less than 0.01 s." in told
    assert re.search(r"keeps going round lines (\d+) to \d+\. Is that a loop", told)

    def waits(n):
        threading.Event().wait(60)

    told = said(lambda n: n, waits, time_limit=0.01)
    assert "It was waiting most of the time" in told and "loop" not in told


def frames_of(*places):
    "Frames as a debugger sees them, the innermost first: each a file, or a file and a function."
    frame = None
    for place in reversed(places):
        filename, name = place if isinstance(place, tuple) else (place, "f")
        code = sandbox.call.__code__ if filename == "call" else None
        code = code or SimpleNamespace(co_filename=filename, co_name=name)
        frame = SimpleNamespace(f_code=code, f_back=frame)
    return frame


TORCH = str(Path(torch.__file__).parent)
LAYER, TENSOR, OTHER = f"{TORCH}/nn/functional.py", f"{TORCH}/_tensor.py", f"{TORCH}/hub.py"
OURS, JSON = sandbox.__file__, json.__file__
BELOW = ((threading.__file__, "run"), (threading.__file__, "_bootstrap_inner"))


@pytest.mark.parametrize(
    ("places", "in_any_case", "in_the_end"),
    [
        ((), False, False),
        (("<stdin>", "call", OURS, *BELOW), True, True),
        (("<stdin>", "<stdin>", OURS, "call"), True, True),
        (("<stdin>", JSON, "call", *BELOW), False, True),  # json may be halfway through
        (("<stdin>", *BELOW), True, True),  # a thread of the learner's
        ((LAYER, "<stdin>", "call"), False, True),
        ((LAYER, TENSOR, contextlib.__file__, "<stdin>"), False, True),
        ((LAYER, OTHER, "<stdin>"), False, False),
        ((OTHER, "<stdin>"), False, False),
        ((JSON, "<stdin>"), False, False),
        (((TENSOR, "__del__"), "<stdin>"), False, False),
        ((LAYER, TENSOR), False, False),
        (("<frozen importlib._bootstrap>", "<stdin>"), False, False),
        (("<stdin>", "<frozen importlib._bootstrap>", "<stdin>"), False, False),
    ],
)
def test_an_answer_is_stopped_where_that_harms_nobody(places, in_any_case, in_the_end):
    frame = frames_of(*places)
    assert sandbox._may_stop(frame, None, purely=True) == in_any_case
    assert sandbox._may_stop(frame, None, purely=False) == in_the_end


def test_nothing_is_thrown_into_a_thread_where_it_could_harm(monkeypatch):
    "It's left behind, and once."
    thrown, over = [], threading.Event()
    monkeypatch.setattr(sandbox, "_throw", lambda thread, what: thrown.append(what))
    monkeypatch.setattr(sandbox, "_LEFT", [])
    monkeypatch.setattr(sandbox, "_may_stop", lambda frame, home, purely: False)
    thread = threading.Thread(target=over.wait, args=(PATIENCE,), daemon=True)
    thread.start()
    for _ in range(2):
        sandbox._stop(thread, None, 0.05)
    assert not thrown and [(thread, None)] == sandbox._LEFT
    seen = []
    monkeypatch.setattr(sandbox, "_may_stop", lambda frame, home, purely: seen.append(purely) or 1)
    sandbox._stop(thread, "home", 0.3)
    assert set(thrown) == {sandbox.Stop} and seen[0] and not seen[-1]  # at first with more care
    answers = itertools.cycle([True, False])  # it went on between the look and the throw
    monkeypatch.setattr(sandbox, "_may_stop", lambda frame, home, purely: next(answers))
    thrown.clear()
    sandbox._stop(thread, None, 0.05)
    assert thrown[:2] == [sandbox.Stop, None]
    over.set()
    thread.join(PATIENCE)
    sandbox._stop(thread, "third", 0.05)
    assert [(thread, None), (thread, "home")] == sandbox._LEFT


def test_threads_that_are_left_are_stopped_before_python_ends(monkeypatch):
    stopped = []
    monkeypatch.setattr(sandbox, "_LEFT", [("thread", "home"), ("other", None)])
    monkeypatch.setattr(sandbox, "_stop", lambda *given: stopped.append(given))
    sandbox._stop_what_is_left()
    assert stopped == [("thread", "home", 1.0), ("other", None, 1.0)]


def test_whose_file_it_is_depends_on_the_folder_that_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sandbox._is_theirs("base.py")
    monkeypatch.chdir(asset())
    assert not sandbox._is_theirs("base.py")


def test_a_class_of_any_kind_is_at_home_where_it_was_written():
    class Plain:
        def __call__(self, n):
            return n

    class Abstract(Plain, abc.ABC):
        def __call__(self, n):
            return n

    for one in (Plain, Plain(), Abstract, Abstract()):
        assert sandbox.home_of(one) == __file__
    assert sandbox.home_of(3) is sandbox.home_of(len) is None


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ([(1, (3, 5))] * 8, "lines 3 to 5"),
        ([(1, (3, 5))] * 7 + [(1, (4, 6))], "lines 3 to 6"),
        ([(1, (4, 4))] * 8, "line 4"),
        ([(2, (1, 9)), *[(1, (4, 4))] * 8], "line 4"),
        ([(1, (4, 4))] * 7, ""),
        ([(1, (4, 4))] * 7 + [(2, (4, 4))], ""),
        ([(1, (4, 4))] * 7 + [(1, None)], ""),
    ],
)
def test_a_loop_is_where_the_last_eight_looks_were(seen, words):
    watch = sandbox._Watch(threading.current_thread(), 1, None)
    watch.seen = seen
    assert watch.round() == words


def test_a_look_sees_the_innermost_frame_of_the_learners(monkeypatch):
    monkeypatch.setattr(sandbox, "_loop_of", lambda frame: frame.f_code.co_filename)
    watch = sandbox._Watch(threading.current_thread(), 1, "/home of the answer.py")
    outer = frames_of("/home of the answer.py")
    for inner in (JSON, OURS):
        frame = frames_of(inner)
        frame.f_back = outer
        watch._look(frame)
    watch._look(frames_of(JSON))
    watch._look(None)
    assert watch.seen == [(id(outer), "/home of the answer.py")] * 2


def test_of_what_is_printed_the_beginning_is_kept():
    for n, rest in ((200, ""), (201, " ... (201 characters in all)")):
        run = sandbox.limited(lambda n=n: sys.stdout.write("x" * n), PATIENCE)
        assert run.printed == "x" * 200 + rest


def test_no_line_is_named_that_is_not_the_learners():
    frames = [type("F", (), {"filename": "<string>", "lineno": 3})]
    assert sandbox._own_line(frames, None) == ""


STOPPED = {
    "in a hook of autograd": """
w = torch.ones(3, requires_grad=True)
y = w * 2
def hook(g):
    while True:
        pass
y.register_hook(hook)
y.sum().backward()
""",
    "in backward, over and over": """
w = torch.ones(3, requires_grad=True)
while True:
    (w * 2).sum().backward()
""",
    "in a function of autograd": """
class Slow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, g):
        while True:
            g = g + 0
w = torch.ones(3, requires_grad=True)
Slow.apply(w).sum().backward()
""",
    "in a network": """
net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(9)])
while True:
    net(torch.ones(1, 3))
""",
    "while PyTorch loads": """
import torch.func
opt = torch.optim.SGD([torch.ones(3, requires_grad=True)], lr=0.1)
while True:
    opt.step()
""",
    "in a key": "sorted(range(9), key=lambda x: [None for _ in iter(int, 1)])",
}


AFTERWARDS = """
said = mine.check('x.task', answer)
assert 'still running after 0.3 s' in said.message, said
torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1).step()
w = torch.ones(2, requires_grad=True)
w.sum().backward()
assert mine.check('x.task', lambda n: n)
"""


@pytest.mark.slow
@pytest.mark.drawn(3)
@pytest.mark.parametrize("place", STOPPED)
def test_stopping_an_answer_does_not_end_the_process(place, tmp_path, apart):
    "Whatever it is in the middle of: afterwards PyTorch is whole."
    path = tmp_path / "answer.py"
    body = "\n".join(f"    {line}" for line in STOPPED[place].strip().splitlines())
    path.write_text(
        "import torch\nfrom torch import nn\nfrom mnist_course.checks import Registry\n"
        f"def answer(n):\n{body}\n"
        "mine = Registry()\n"
        "mine.exercise('x.task', 'Task', 1, 1, cases=lambda rng: [(1,)], time_limit=0.3)(lambda n: n)\n"
        + AFTERWARDS
    )
    if place == "while PyTorch loads":  # so that there is something to load
        ran = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
    else:
        status, told = apart(tmp_path, runpy.run_path, str(path))
        assert status == 0, told


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of one process")
def test_right_answers_pass_in_fresh_processes(share):
    "Three, each commit others; with --whole all. The long version is `python tests/fresh_processes.py --processes 200`."
    script = Path(__file__).with_name("fresh_processes.py")
    ids = share(fresh_processes.ANSWERS, 3)
    flags = ["--processes", str(len(ids)), "--at-once", "4", "--busy", "2", "--fork"]
    ran = subprocess.run([sys.executable, script, *ids, *flags], capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    assert f"{len(ids)} processes: {{'passed': {len(ids)}}}" in said, said


# ---- right in any style


@pytest.mark.parametrize(
    ("right", "typed"),
    [
        (12_345, (12, 345)),
        (12_345, "12,345"),
        (12_345, "12 345"),
        (12_345, "12_345"),
        (12_345, "12\u202f345"),
        (1_234_567, "1,234,567"),
        (12_345, 12_345.0),
        (12_345, np.int32(12_345)),
        (12_345, [12_345]),
        (12_345, "12345 pixels"),
        (0.75, "75%"),
        (0.75, "75 %"),
        (0.75, "0,75"),
        (0.75, ".75"),
        (0.75, "3/4"),
        (0.75, Fraction(3, 4)),
        (0.75, Decimal("0.75")),
        (75, "75%"),
        ([3, 5], "3, 5"),
        ([3, 5], "(3, 5)"),
        ([3, 5], "3 x 5"),
        ((3, 5), [3, 5]),
        ((3, 5), np.array([3, 5])),
        ((3, 5), torch.tensor([3.0, 5.0])),
        ((3, 5), (n for n in (3, 5))),
        ((3, 5), ["3", 5]),
        ([75, 2], ["75%", 2]),
        (["c", "d"], "cd"),
        (["c", "d"], "C, D"),
        (["c", "d"], ("C", "D")),
        ("CD", ["c", "d"]),
        ("CD", "c -> d"),
        ("CD", "C and D"),
    ],
    ids=lambda value: type(value).__name__ if inspect.isgenerator(value) else str(value),
)
def test_a_right_value_passes_however_it_is_typed(right, typed):
    assert said(right, typed).startswith("passed")


def test_a_value_that_had_to_be_read_hears_how_to_type_it():
    assert "We read that as `12345`" in said(12_345, (12, 345))
    assert "Did you type a comma, as in `12,999`?" in said(12_345, (12, 999))


def test_the_order_of_letters_counts_where_the_exercise_says_so():
    assert said("CD", "dc").startswith("failed")
    assert said("CD", "dc", ordered=False).startswith("passed")
    assert said(["c", "d"], "D C", ordered=False).startswith("passed")
    assert said([3, 5], [5, 3], ordered=False).startswith("passed")


class Adds:
    def __call__(self, n):
        return n + 1

    def method(self, n):
        return n + 1


@pytest.mark.parametrize(
    "answer",
    [
        Adds(),
        Adds().method,
        functools.partial(lambda k, n: n + k, 1),
        lambda n: float(n + 1),
        lambda n: np.float32(n + 1),
        lambda n: torch.tensor([n + 1]),
        lambda n: np.array(n + 1),
        lambda n: Fraction(n + 1),
        lambda n: [n + 1],
        functools.lru_cache(lambda n: n + 1),
    ],
)
def test_a_right_function_passes_in_any_style(answer):
    assert said(lambda n: n + 1, answer).startswith("passed")


def test_a_judge_sees_letters_and_lists_in_the_form_of_the_solution():
    seen = []

    def judge(made, rng):
        seen.append(made)

    for answer in (["b", "A"], "b, a", ("B", "a"), "BA"):
        said("AB", answer, judge=judge)
    assert seen[1::2] == ["BA"] * 4
    seen.clear()
    said([1, 2], np.array([3, 4]), judge=judge)
    assert seen[-1] == [3, 4] and type(seen[-1][0]) is int


def test_the_type_counts_where_a_mistake_or_the_exercise_says_so():
    mine = course(lambda n: n // 1)
    assert mine.check("x.task", lambda n: n / 1)
    mine.mistake("x.task", "The number is right, and it's a float.", "a_float")(lambda n: n / 1)
    assert mine.check("x.task", lambda n: n / 1).misconception == "a_float"
    assert mine.check("x.task", lambda n: np.int64(n))
    assert said(lambda n: n, lambda n: n, exact="Say `int`.").startswith("passed")
    told = said(lambda n: torch.ones(n), lambda n: torch.ones(n).double(), exact="Say `.float()`.")
    assert "The numbers are right, but torch.float32 is asked for" in told and "`.float()`" in told


@pytest.mark.parametrize(
    ("right", "typed", "words"),
    [
        (0.62, 62, "100 times too large. Is that in percent"),
        (62, 0.62, "100 times too small. Is that a share"),
        (-0.62, 0.62, "right but for the sign"),
        (0.6234, 0.62, "Don't round so early: give four decimals."),
        ([3, 8], [8, 3], "Both values are right, but they're swapped."),
        ([3, 8, 5], [8, 3, 5], "in each other's places"),
        ([0.5, 0.25], [50, 25], "Your numbers are 100 times too large"),
        ([0.5, 0.25, 3], [50, 0.25, 3], "The first is 100 times too large"),
        (7, (7, 7), "7 is right, and once is enough"),
    ],
)
def test_what_is_nearly_right_hears_so_and_gets_no_hint(right, typed, words):
    told = said(right, typed, hint="A hint for the others.", rtol=1e-4)
    assert told.startswith("failed") and words in told and "A hint" not in told
    far = 991 if isinstance(right, int | float) else list(range(991, 991 + len(right)))
    assert "A hint" in said(right, far, hint="A hint for the others.", rtol=1e-4)


@pytest.mark.parametrize(
    ("right", "typed", "words"),
    [
        (torch.ones(2, 1), torch.ones(2), "in another shape: (2, 1) is asked for, not (2,)."),
        (torch.ones(2, 1), torch.zeros(2), ""),
        (torch.tensor([1, 0]), torch.tensor([1.0, 0.0]), "whole numbers (such as torch.int64) are"),
        (torch.tensor([0.5]), torch.tensor([50.0]), "100 times too large"),
        (-1, 1, "right but for the sign"),
        ([1, 2, 3], [3, 1, 2], "All the values are right, but some are in each other's places."),
        (0.0, 1e-5, ""),
        (105, 100, ""),
        (2.04, 2, ""),
        (0.6234, 0.62, "as far as it goes"),
        ([0.6234, 0.1234], [0.62, 0.12], "right as far as they go. Don't round so early"),
        ([1, "a"], [1, "b"], ""),
        ("ab", 3, ""),
    ],
)
def test_what_would_make_a_function_right(right, typed, words):
    told = nearly(right, typed, 1e-4, 1e-6)
    assert words in told and bool(told) == bool(words)


def test_once_is_enough_only_where_each_is_right():
    assert "once is enough" in said(7, (7, 7))
    for typed in ((7, 8), (8, 8), (7, "x"), [7]):
        assert "once is enough" not in said(7, typed)
    assert "once is enough" not in said(lambda n: 7, lambda n: (7, 7))


def test_far_from_right_is_not_called_near():
    assert nearly(0.02, 0.0, 1e-4, 0) == nearly(3, 5, 1e-4, 0) == nearly([1, 2], [1, 5], 0, 0) == ""
    assert nearly(2.5, 2, 1e-4, 0) == "" and nearly(0.6234, 0.64, 1e-4, 0) == ""


# ---- what a call leaves behind


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))


def leaves_eval(model):
    model.eval()


def leaves_layer_in_eval(model):
    model[2].eval()


def freezes(model):
    model.requires_grad_(False)


def leaves_hook(model):
    model[0].register_forward_pre_hook(lambda *a: None)


def takes_hook(model):
    model[1]._forward_hooks.clear()


def leaves_gradients(model):
    model.eval()(torch.ones(1, 2)).sum().backward()
    model.train()


def moves_statistics(model):
    with torch.no_grad():
        model(torch.randn(4, 2))


def changes_weight(model):
    model[0].weight.data += 1


def adds_layer(model):
    model.append(nn.ReLU())


def switches_off(model):
    torch.set_grad_enabled(False)


def sets_dtype(model):
    torch.set_default_dtype(torch.float64)


@pytest.mark.parametrize(
    ("does", "words", "kind"),
    [
        (leaves_eval, "the model came in training mode and leaves in eval mode", "mode"),
        (leaves_layer_in_eval, "layer '2' came in training mode", "mode"),
        (freezes, "parameter '0.weight' is now frozen, and wasn't", "frozen"),
        (leaves_hook, "a hook still hangs on layer '0'", "hooks"),
        (takes_hook, "a hook that hung on layer '1' before is gone", "hooks"),
        (leaves_gradients, "the gradients of '0.weight' aren't what they were", "gradients"),
        (moves_statistics, "buffer '1.running_mean' was changed", "buffers"),
        (changes_weight, "parameter '0.weight' was changed", "weights"),
        (adds_layer, "comes back with other layers", "layers"),
        (switches_off, "switch for gradients was on before the call and is off", "switches"),
        (sets_dtype, "switch for the default dtype was torch.float32", "switches"),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)
def test_what_a_call_leaves_behind_is_said(does, words, kind):
    def model():
        made = net()
        made[1].register_forward_hook(lambda *a: None)
        return made

    def answer(model):
        does(model)
        return 3

    options = {"cases": lambda rng: [(model(),)]}
    told = said(lambda model: 3, answer, **options)
    assert told.startswith("failed: The result is right, but") and words in told
    assert kind in snapshot.KINDS
    assert said(lambda model: 3, answer, mutates={kind}, **options).startswith("passed")
    assert said(answer, answer, **options).startswith("passed")  # the solution does it too
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_an_optimizer_and_a_gradient_that_was_there_are_looked_at_too():
    def case(rng):
        model = nn.Linear(1, 1)
        model.weight.grad = torch.ones(1, 1)
        return [(model, torch.optim.SGD(model.parameters(), lr=0.1))]

    def empties(model, optimizer):
        optimizer.zero_grad()

    def slows(model, optimizer):
        optimizer.param_groups[0]["lr"] /= 2

    assert "gradients of 'weight'" in said(lambda m, o: None, empties, cases=case)
    assert "the optimizer isn't what it was" in said(lambda m, o: None, slows, cases=case)
    everything = {"cases": case, "mutates": True}
    assert said(lambda m, o: None, slows, **everything).startswith("passed")


def test_random_numbers_are_left_alone_where_the_task_says_so():
    options = {"cases": lambda rng: [(1,)]}
    for draws in (lambda n: torch.rand(1) * 0, lambda n: np.random.rand() * 0):
        assert said(lambda n: 0.0, draws, **options).startswith("passed")
        assert "it drew random numbers" in said(lambda n: 0.0, draws, keeps={"random"}, **options)


def test_a_list_a_dict_and_an_array_are_compared_as_well():
    cases = {"cases": lambda rng: [([3, 1], {"a": 1}, np.ones(2), torch.ones(2))]}

    def sorts(a, b, c, d):
        a.sort()

    def adds(a, b, c, d):
        b["c"] = 2

    def writes(a, b, c, d):
        c[0] = 7

    def records(a, b, c, d):
        d.requires_grad_()

    for answer in (sorts, adds, writes):
        assert "changed its input" in said(lambda *a: None, answer, **cases)
    assert "switches `requires_grad` on" in said(lambda *a: None, records, **cases)


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda: torch.set_num_threads(1 + torch.get_num_threads()), "for the number of threads"),
        (lambda: torch.set_autocast_enabled("cpu", True), "for autocast was off before the call"),
        (lambda: torch.set_default_device("meta"), "for the default device was cpu before"),
        (lambda: torch.set_float32_matmul_precision("medium"), "matrix products was highest"),
        (lambda: torch.autograd.set_detect_anomaly(True), "for anomaly detection was off"),
        (lambda: torch.use_deterministic_algorithms(True), "for deterministic algorithms was off"),
    ],
)
def test_every_switch_of_torchs_is_looked_at_and_turned_back(turn, words):
    def answer(n):
        turn()
        return n

    switches = snapshot.Switches()
    turn()
    assert words in switches.turned()
    switches.restore()
    before = snapshot.Switches().found
    assert before == switches.found and not switches.turned()
    assert words in said(lambda n: n, answer)
    assert said(lambda n: n, answer, mutates={"switches"}).startswith("passed")
    assert snapshot.Switches().found == before


def test_a_default_device_that_is_turned_back_leaves_nothing_that_watches_every_call():
    "A default device that's named, even the CPU, is asked at each call of torch from then on."
    before = torch._C._len_torch_function_stack()
    switches = snapshot.Switches()
    torch.set_default_device("meta")
    switches.restore()
    assert torch.ones(1).device.type == "cpu"
    assert torch._C._len_torch_function_stack() == before


def test_random_numbers_go_on_as_if_nothing_had_been():
    def answer(n):
        random.seed(5), np.random.seed(5), torch.manual_seed(5)
        return n

    for draw in (random.random, np.random.rand, lambda: torch.rand(1).item()):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        expected = [draw(), draw()]
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        assert draw() == expected[0]
        assert run_check(course(lambda n: n)["x.task"], answer, 0)
        assert draw() == expected[1]


@pytest.mark.parametrize(
    "draws",
    [
        lambda: random.random(),
        lambda: np.random.rand(),
        lambda: np.random.seed(3),
        lambda: torch.rand(1),
        lambda: torch.manual_seed(3),
    ],
)
def test_each_kind_of_random_number_counts_where_none_may_be_drawn(draws):
    def answer(n):
        draws()
        return n

    told = said(lambda n: n, answer, keeps={"random"})
    assert "it drew random numbers, or set a seed, for everybody after it" in told
    assert said(lambda n: n, lambda n: n, keeps={"random"}).startswith("passed")


def trained(momentum=0.9):
    "A model, an optimizer that has taken a step, and a scheduler."
    torch.manual_seed(1)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
    optimizer.param_groups[0]["betas"] = (0.9, 0.99)
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2)


def stretches(m, o, s):
    next(iter(o.state.values()))["momentum_buffer"].mul_(2)


def drops(m, o, s):
    o.state.clear()


def moves_on(m, o, s):
    s.last_epoch += 1


def adds_group(m, o, s):
    o.add_param_group({"params": [nn.Parameter(torch.ones(1))]})


def mistypes(m, o, s):
    o.param_groups[0]["betas"] = 0.5


@pytest.mark.parametrize(
    ("does", "word"),
    [
        (stretches, "optimizer"),
        (mistypes, "optimizer"),
        (drops, "optimizer"),
        (adds_group, "optimizer"),
        (moves_on, "scheduler"),
    ],
)
def test_what_an_optimizer_and_a_scheduler_remember_is_looked_at(does, word):
    cases = {"cases": lambda rng: [trained()]}
    assert f"the {word} isn't what it was" in said(lambda *a: None, does, **cases)
    assert said(lambda *a: None, lambda *a: None, **cases).startswith("passed")


def test_gradients_that_were_there_are_lent_too_and_zeros_are_as_good_as_none():
    def case(rng):
        model = nn.Linear(1, 1)
        model.weight.grad = torch.full((1, 1), 3.0)
        return [([{"net": model}],)]

    assert said(lambda x: 3.0, lambda x: x[0]["net"].weight.grad.item(), cases=case).startswith(
        "passed"
    )

    def zeros(x):
        x[0]["net"].bias.grad = torch.zeros(1)
        return 3.0

    def ones(x):
        x[0]["net"].bias.grad = torch.ones(1)
        return 3.0

    assert said(lambda x: 3.0, zeros, cases=case).startswith("passed")
    assert "the gradients of 'bias' aren't what they were" in said(lambda x: 3.0, ones, cases=case)


def thaws(model):
    model[1].requires_grad_(True)


def new_type(model):
    model[0] = nn.Identity()


def new_weight(model):
    model[0].weight = nn.Parameter(torch.zeros(3, 3))


def backward_hook(model):
    model[0].register_full_backward_hook(lambda *a: None)


def backward_pre_hook(model):
    model[0].register_full_backward_pre_hook(lambda *a: None)


def leaves_training(model):
    model.train()


def trains_and_changes(model):
    model.train()
    model[0].weight.data += 1


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (thaws, "the model's parameter '1.weight' is now not frozen anymore"),
        (new_type, "the model comes back with other layers"),
        (new_weight, "the model's parameter '0.weight' was changed"),
        (backward_hook, "a hook still hangs on layer '0'"),
        (backward_pre_hook, "a hook still hangs on layer '0'"),
        (trains_and_changes, "the model's parameter '0.weight' was changed"),
        (leaves_training, "the model came in eval mode and leaves in training mode"),
    ],
)
def test_more_of_what_is_done_to_a_model_is_said(does, words):
    def case(rng):
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).eval()
        model[1].requires_grad_(False)
        return [(model,)]

    assert words in said(lambda model: None, does, cases=case)


def test_of_several_changes_the_first_is_said():
    def answer(x, model):
        x.add_(1)
        model.eval()

    told = said(lambda x, model: None, answer, cases=lambda rng: [(torch.ones(2), nn.ReLU())])
    assert told.startswith("failed: Your function changed its input. Work on a copy")


NAN = float("nan")


@pytest.mark.parametrize(
    ("case", "does"),
    [
        (torch.ones(2), lambda x: x.resize_(3)),
        (torch.ones(2), lambda x: setattr(x, "data", torch.ones(2, dtype=torch.float64))),
        (torch.tensor([NAN, 1]), lambda x: x.fill_(1)),
        (torch.tensor([NAN, 1]), lambda x: x[1:].fill_(NAN)),
        (torch.tensor([NAN, 1]).double(), lambda x: x.fill_(1)),
        (np.array([NAN, 1]), lambda x: x.fill(1)),
        (np.array([NAN, 1]), lambda x: x.fill(NAN)),
        ([NAN, 1], lambda x: x.append(2)),
        ([NAN, 1], lambda x: x.__setitem__(1, True)),
        ({"a": [1]}, lambda x: x["a"].append(1)),
        ({"a": [1]}, lambda x: x.clear()),
        (deque([1, 2]), lambda x: x.rotate()),
        ({1, 2}, lambda x: x.add(3)),
        (bytearray(b"ab"), lambda x: x.reverse()),
        ([torch.ones(1)], lambda x: x[0].zero_()),
    ],
)
def test_inputs_of_every_kind_are_looked_at(case, does):
    def untouched(x):
        return None

    def answer(x):
        does(x)

    options = {"cases": lambda rng: [(case, {})]}
    assert "Your function changed its input." in said(untouched, answer, **options)
    assert said(untouched, untouched, **options).startswith("passed")


def test_a_gradient_that_a_tensor_comes_back_with_is_said():
    def answer(x):
        x.sum().backward()

    cases = {"cases": lambda rng: [(torch.ones(2, requires_grad=True),)]}
    assert "a tensor that it was given comes back with another `.grad`" in said(
        lambda x: None, answer, **cases
    )

    def frees(x):
        x.requires_grad_(False)

    told = said(lambda x: None, frees, **cases)
    assert "it switches `requires_grad` off for a tensor that isn't its own" in told
    assert said(lambda x: None, lambda x: None, **cases).startswith("passed")


# ---- edges, names, words


def test_edges_are_drawn_with_every_seed_and_the_audit_counts_them():
    mine = course(
        lambda n: n and 12 // n,
        cases=lambda rng: [(1,), (rng.randrange(2, 5),)],
        edges={"none": (0,), "an even one": lambda n: n % 2 == 0, "beyond": lambda n: n > 9},
    )
    assert not mine.check("x.task", lambda n: 12 // n)
    report = mine.audit("x.task", range(8))
    assert report.edges["none"] == report.edges["an even one"] == 8 and report.edges["beyond"] == 0
    assert "(edge: beyond)" in repr(report) and "drawn with 0 of 8 seeds" in repr(report)


def test_a_mistake_is_found_in_each_way_of_writing_it():
    mine = course(lambda n: n * 2)
    mine.mistake("x.task", "You squared it.", "squared")(lambda n: n * n)
    mine.variant("x.task", "squared")(lambda n: n**2 + (n == 2))
    assert mine.audit("x.task").caught == 2
    assert mine.check("x.task", lambda n: n**2 + (n == 2)).misconception == "squared"
    with pytest.raises(KeyError):
        mine.variant("x.task", "unknown")


def test_the_same_mistake_with_a_slip_in_one_case_is_asked_about():
    mine = course(lambda n: n * 2, cases=lambda rng: [(1,), (2,), (3,), (4,), (5,)])
    mine.mistake("x.task", "You squared it.", "squared")(lambda n: n * n)
    mine.mistake("x.task", "You gave it back.", "as_it_came")(lambda n: n)
    result = mine.check("x.task", lambda n: n * n if n < 5 else 0)
    assert result.misconception == "squared" and "does this sound familiar? You squared" in repr(
        result
    )
    assert mine.check("x.task", lambda n: n * 3).misconception is None


def test_a_mistake_in_half_of_the_places_of_a_tensor_is_asked_about():
    mine = course(lambda n: torch.arange(4.0) + n)
    mine.mistake("x.task", "You forgot to add.", "bare")(lambda n: torch.arange(4.0))
    some = torch.tensor([1.0, 1, 1, 0])
    assert (
        mine.check("x.task", lambda n: torch.arange(4.0) + 9 * (1 - some)).misconception == "bare"
    )


def test_the_nearest_mistake_is_named_and_only_a_near_one():
    mine = course(0.2, rtol=0.25)
    mine.mistakes("x.task", {"a": (0.5, "Half of it is."), "b": (0.55, "More than half is.")})
    found = {x: mine.check("x.task", x).misconception for x in (0.5, 0.51, 0.54, 0.55, 0.6, 0.7)}
    assert found == {0.5: "a", 0.51: "a", 0.54: "b", 0.55: "b", 0.6: None, 0.7: None}
    mine.mistake("x.task", "A third is.", "c", 1 / 3)
    assert (
        mine.check("x.task", 0.333).misconception == mine.check("x.task", 0.33).misconception == "c"
    )


def test_parts_have_names():
    def solution(n):
        return n, 7

    parts = ("best epoch", "last epoch")
    told = said(solution, lambda n: (n, 8), parts=parts)
    assert "The last epoch should be 7, and yours is 8." in told
    assert "Look again at the last epoch." in said([3, 7], [3, 90], parts=parts)
    assert "Look again at the second." in said([3, 7], [3, 90])


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (7, "pear", "The answer should be one whole number, and this is a string."),
        (0.5, None, "The answer should be one number, and this is None."),
        ([1, 2], 3, "The answer should be a list of 2 values, and this is an int."),
        ([1, 2], [1, 2, 3], "2 values are asked for; there are 3."),
        ([1, 2, 3], [1, 5, 9], "Look again at the second and the third."),
        ([1, 2], [5, 9], "Look again at both numbers."),
        ("AB", 3, "The answer should be 2 letters in quotation marks, and this is an int."),
        ("AB", "BA", "`'BA'` is not it."),
    ],
)
def test_words_for_wrong_values(right, wrong, words):
    assert said(right, wrong, hint="Think again.") == f"failed: {words} Think again."


def test_a_large_tensor_is_shown_by_its_shape_and_a_small_one_in_full():
    assert show(torch.zeros(41)) == "a float32 tensor of shape (41,)"
    assert show(torch.zeros(2, requires_grad=True)) == "tensor([0., 0.])"


def test_no_sentence_ends_twice_and_no_article_is_wrong():
    assert kind_of(torch.ones(2, dtype=torch.uint8)) == "a uint8 tensor of shape (2,)"
    assert kind_of(torch.ones(2, dtype=torch.int64)) == "an int64 tensor of shape (2,)"
    told = said(lambda n: [n], lambda n: None)
    assert "Expected a list, got None. Is there a `return`?\n" in told
    assert quote("a`b") == "`` 'a`b' ``" and quote(3.5) == "3.5" and quote("x") == "`'x'`"


def test_a_result_in_markdown_holds_whatever_the_learner_wrote():
    result = course(lambda n: "ab").check("x.task", lambda n: "```<b>**x**")
    words, block = result._repr_markdown_().split("\n\n")[1:]
    assert (
        "```` '```<b>**x**' ````" in words
    )  # code, with a fence that is longer than what it holds
    assert block.startswith("````text\n") and block.endswith("\n````")


def test_kept_values_are_safe_to_look_at():
    assert keep(TouchyList([1, SaysYes(2)])) == [1, 2]
    assert type(keep(SaysYes(2))) is int and difference(3, SaysYes(2), 0, 0)
    kept = keep(Touchy)
    assert "class" in kept.kind
    tensor = torch.ones(2, requires_grad=True)
    copy = keep(tensor)
    assert not copy.requires_grad and copy.data_ptr() != tensor.data_ptr()
    assert letters_of(" a,B ;c ") == "ABC" and letters_of(["a", 1]) is None


def test_every_message_is_in_one_table():
    mine = course(7, hint="Count again.", after="Well counted.")
    mine.mistake("x.task", "You left one out.", "one_less", 6)
    assert messages(mine) == [
        ("x.task", "(right)", "Well counted."),
        ("x.task", "(another)", "Count again."),
        ("x.task", "one_less", "You left one out."),
    ]
    assert "Well counted." in repr(messages(mine)) and messages(mine, "y") == []


def test_run_check_puts_back_what_an_answer_turned():
    def answer(n):
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(1 + torch.get_num_threads())
        torch.autograd.set_detect_anomaly(True)
        np.random.seed(3)
        return n

    before, state = snapshot.Switches().found, np.random.get_state()[1].tolist()
    run_check(course(lambda n: n)["x.task"], answer, 0)
    assert snapshot.Switches().found == before and np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train_loss: expected a list", "train_loss: expected a list."),
        ("parameters() lists 3 numbers", "parameters() lists 3 numbers."),
        ("x.grad is None", "x.grad is None."),
        ("careful: that's a tuple", "Careful: that's a tuple."),
        ("wrong.", "Wrong."),
    ],
)
def test_a_message_begins_with_a_capital_but_a_name_is_written_as_it_is(words, said):
    assert _sentence(words) == said


def test_an_exercise_that_is_registered_again_keeps_its_other_numbers():
    "An answers' notebook that is run registers its own again; the numbers come from elsewhere."
    registry = Registry()
    registry.exercise("x.sum", "A sum", 1, 1, answer=3)
    registry.other_numbers("x.sum", (1, 2), lambda rng: (rng.randrange(9), 2))(
        lambda a, b: engine.Version(f"{a} + {b}?", a + b, {})
    )
    registry.exercise("x.sum", "A sum", 1, 1, answer=3)
    mine = engine.variant_of(registry["x.sum"], "Ada")
    assert mine.task == f"{mine.solution - 2} + 2?"


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_an_answers_notebook_gives_the_course_its_own_back(path):
    "Else what a notebook has registered is tried by those that run after it, in one process."
    notebook = read_notebook(path)
    assert (
        f'_ = reload(import_module("mnist_course.{module_of(notebook)}"))'
        in code_cells(notebook)[-1]
    )


# ---- what is asked of a check in the wrong way


@pytest.mark.parametrize("seed", [-1, "3", 1.5, [1]])
def test_a_seed_is_a_whole_number_from_0_up(seed):
    result = course(7).check("x.task", 7, seed=seed)
    assert result.status == "not attempted" and "a whole number from 0 up" in result.message
    assert course(7).check("x.task", 7, seed=0)


def test_exercises_and_registries_read_well():
    mine = course(7)
    mine.mistake("x.task", "One less.", "one_less", 6)
    assert repr(mine) == "Registry(1 exercises)"
    assert repr(mine["x.task"]) == "Exercise('x.task', 'Task', 1 misconceptions)"


def test_a_mistake_needs_a_name_and_words():
    mine = course(lambda n: n)
    with pytest.raises(ValueError, match="needs a name, such as bias_forgotten"):
        mine.mistake("x.task", "It's the double.")(lambda n: 2 * n)
    with pytest.raises(ValueError, match="what should the learner be told"):
        mine.mistake("x.task", " ", "doubled")(lambda n: 2 * n)
    with pytest.raises(KeyError, match=r"no exercise 'x\.tusk' here: @exercise comes first"):
        mine.mistake("x.tusk", "It's the double.", "doubled")
    assert not mine["x.task"].misconceptions


def test_an_edition_without_answers_says_who_will_look():
    result = run_check(replace(course(7)["x.task"], solution=engine._KEPT), 7, 0)
    assert result.status == "not attempted" and "your teacher's grader will look" in result.message


# ---- what is compared is made by the exercise itself


def twice(answer):
    if not callable(answer):
        raise Wrong(f"a function is asked for, and this is {kind_of(answer)}")
    return answer(2) + len(answer(3) * [0])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: n, "passed"),
        (lambda n: n + 1, "7 is too large"),
        (lambda n: 1 / 0, "Your code raised ZeroDivisionError (division by zero) at line"),
        (3, "A function is asked for, and this is an int."),
        (lambda n: "no number", "Your answer gives a function, and the check can't do anything"),
        (lambda n: [n for _ in iter(int, 1)], "still running after 0.2 s"),
    ],
)
def test_a_value_that_the_exercise_makes_of_the_answer(answer, words):
    limit = 0.2 if "0.2 s" in words else PATIENCE
    told = said(lambda n: n, answer, cases=None, run=twice, time_limit=limit)
    assert words in told


def test_words_for_what_cannot_be_compared_are_the_exercises_own():
    def run(answer, n):
        if not isinstance(made := answer(n), list):
            raise Wrong(f"x: a list is asked for; this is {quote(made)}")
        return made

    told = said(lambda n: [n], lambda n: 3, run=run)
    assert told.startswith("failed: x: a list is asked for; this is 3.\ntask(1)\nthe same inputs")
    assert said(lambda n: [n], lambda n: [n], run=run).startswith("passed")


# ---- errors


def test_an_error_that_is_asked_for():
    def solution(n):
        if n > 2:
            raise ValueError("too large")
        return n

    def another(n):
        return n if n < 3 else {}[n]

    assert said(solution, solution).startswith("passed")
    told = said(solution, lambda n: n)
    assert told.startswith("failed: Here your code should raise ValueError.\ntask(5)")
    assert "  expected  raise ValueError\n  got       5" in told
    assert "  got       KeyError" in said(solution, another)


class Endless(Exception):
    def __str__(self):
        while True:
            pass


def test_an_error_that_never_says_what_it_is_is_stopped():
    def answer(n):
        raise Endless

    assert "still running after 0.2 s" in said(lambda n: n, answer, time_limit=0.2)


def test_a_long_error_is_cut():
    def answer(n):
        raise ValueError(" ".join(["so"] * 500))

    told = said(lambda n: n, answer)
    assert 280 < told.index(" ...)") < 400 and len(told) < 600


def test_what_is_beyond_recognition_was_changed():
    def answer(model):
        vars(model).clear()
        return 3

    told = said(lambda model: 3, answer, cases=lambda rng: [(nn.Linear(1, 1),)])
    assert "what it was given can't be used anymore" in told


def test_a_function_with_too_many_parameters_hears_which_name_is_missing():
    told = said(lambda a, b: a, lambda a, c, d: a, cases=lambda rng: [(1, {"b": 2})])
    assert "calls your function with `b`: it needs a parameter of that name." in told


# ---- names of mistakes


def test_an_answer_that_is_open_in_one_case_is_wrong_there_and_has_no_name():
    mine = course(lambda n: n)
    mine.mistake("x.task", "It's one for all.", "one")(lambda n: 1)
    result = mine.check("x.task", lambda n: 1 if n < 5 else ...)
    assert result.status == "failed" and "task(2)" in result.message
    assert not mine.check("x.task", lambda n: n if n < 5 else ...).misconception


def test_of_two_mistakes_that_are_the_same_the_first_is_named():
    mine = course(lambda n: n)
    mine.mistake("x.task", "It's the double.", "doubled")(lambda n: 2 * n)
    mine.mistake("x.task", "You added it to itself.", "added")(lambda n: n + n)
    assert mine.check("x.task", lambda n: 2 * n).misconception == "doubled"


def test_who_raises_as_a_mistake_does_is_told_of_the_mistake():
    mine = course(lambda n: n)
    mine.mistake("x.task", "There's no such place.", "no_place")(lambda n: [][n])
    result = mine.check("x.task", lambda n: (1,)[n])
    assert result.misconception == "no_place"
    assert "There's no such place." in result.message and "task(1)" in result.message
    assert mine.check("x.task", lambda n: {}[n]).misconception is None


# ---- values and judges


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("conv_1", 3, "The answer should be a string, and this is an int."),
        ("conv_1", "conv_2", "`'conv_2'` is not it."),
        ({"a": 1}, {"a": 2}, "`{'a': 2}` is not it."),
        ("A", 3, "The answer should be one letter in quotation marks, and this is an int."),
        ("AB", "ABC", "`'ABC'` is not it."),
        (["a", "b"], "abc", "2 values are asked for; there are 3."),
        (["a", "b"], "a", "2 values are asked for; there is one."),
        (7, float("nan"), "nan is not it."),
        (7, 8, "8 is too large."),
        (7, 6, "6 is too small."),
        ([3, 5], np.array([3, 9]), "Look again at the second."),
        ("AB", [], "The answer should be 2 letters in quotation marks, and this is a list."),
        (7, print, "A value is asked for, and this is a function. Hand over what it gives."),
    ],
)
def test_more_words_for_wrong_values(right, wrong, words):
    assert said(right, wrong, hint="Think again.") == f"failed: {words} Think again."


def test_where_the_order_does_not_count_no_place_is_named():
    assert "`[3, 9]` is not it." in said([3, 5], [3, 9], ordered=False)
    assert "Look again at the second." in said([3, 5], [3, 9])


def test_what_a_judge_cannot_read_it_sees_as_it_is():
    seen = []

    def judge(made, rng):
        seen.append(made)

    for right, answer in (([1, 2], "none"), ("AB", 3), (3, "many"), (3, [4]), ([1, 2], 3)):
        said(right, answer, judge=judge)
    assert seen[1::2] == ["none", 3, "many", 4, 3]


def test_a_judged_answer_leaves_torch_as_it_was_too():
    def answer():
        torch.set_grad_enabled(False)
        return nn.Linear(1, 1)

    told = said(lambda: nn.Linear(1, 1), answer, cases=None, judge=lambda made, rng: None)
    assert "torch's switch for gradients was on before the call and is off after it" in told
    assert torch.is_grad_enabled()


def test_an_audit_says_when_the_solution_does_not_pass():
    drawn = iter(range(100))
    report = course(lambda n: next(drawn)).audit("x.task", range(2))
    assert not report.passed and "NOT PASSED" in repr(report) and "NOT PASSED" in report.table()
    mine = course(7, edges={"there": lambda: True})
    mine.mistake("x.task", "One less.", "one_less", 6)
    report = mine.audit("x.task", range(2))
    assert report.passed and report.edges == {"there": 2} and report.caught == 1
    words = report._repr_markdown_()
    assert "| one_less" in words and "One less." in words and "(the solution)" in words


# ---- for the grader: what was said to a case, and whether it's the same


def test_replies_agree_with_the_solutions_or_do_not():
    item = course(lambda n: 12 / (n - 2))["x.task"]
    cases, expected = engine.draw(item, 3)
    assert cases == [(1,), (2,), (5,)] and [one.error for one in expected] == [
        "",
        "ZeroDivisionError",
        "",
    ]
    assert expected[2].value == 4.0
    for answer, same in ((lambda n: 12 / (n - 2), [1, 1, 1]), (lambda n: n - 1, [0, 0, 1])):
        got = engine.replies(item, answer, cases, 3)
        assert [engine.agree(item, a, b) for a, b in zip(expected, got, strict=True)] == same
    assert engine.replies(course(7)["x.task"], np.int64(7), None, 3) == [engine.Reply(7)]


# ---- answers and faults, more of them


def test_a_number_where_a_function_is_asked_for():
    told = said(lambda n: n, 3)
    assert (
        told
        == "failed: A function is asked for, and this is an int. Hand over its name, without brackets."
    )


def test_a_fault_of_the_checks_own_is_not_the_learners(monkeypatch):
    def broken(error, home):
        raise LookupError("ours")

    mine = course(lambda n: n)
    with monkeypatch.context() as patched:
        patched.setattr(engine, "line_of", broken)
        result = mine.check("x.task", lambda n: 1 / 0)
    assert result.status == "not attempted" and "has a fault (LookupError)" in result.message
    mine = course(lambda n: n, cases=lambda rng: [(1,)], run=lambda answer, n: answer(n).numel())
    result = mine.check("x.task", lambda n: n)
    assert result.status == "not attempted" and "has a fault (RuntimeError)" in result.message


def test_half_of_a_mistake_is_seen_in_a_dict_too():
    mine = course(lambda n: {"a": n, "b": n, "c": n})
    mine.mistake("x.task", "You doubled them.", "doubled")(
        lambda n: {"a": 2 * n, "b": 2 * n, "c": n}
    )
    result = mine.check("x.task", lambda n: {"a": 2 * n, "b": 7 * n, "c": n})
    assert result.misconception == "doubled" and "sound familiar?" in result.message
    assert not mine.check("x.task", lambda n: {"a": 3 * n, "b": 7 * n, "c": n}).misconception


@pytest.mark.parametrize(
    "draws", [lambda n: random.random(), lambda n: np.random.rand(), lambda n: torch.rand(1)]
)
def test_an_answer_draws_the_random_numbers_that_the_solution_draws(draws):
    def solution(n):
        return draws(n)

    assert said(solution, lambda n: draws(n)).startswith("passed")


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (
            0.5,
            (1, 2),
            "should be one number, and this is a tuple. Did you type a comma, as in `1,2`?",
        ),
        (7, (1, 2), "should be one whole number, and this is a tuple. Did you type a comma"),
    ],
)
def test_a_comma_that_makes_a_tuple_is_asked_about(right, wrong, words):
    assert words in said(right, wrong)


def test_values_without_numbers_are_no_nearer_to_one_mistake_than_to_another():
    mine = course([1, "x_1"])
    mine.mistake("x.task", "The second.", "second", [2, "x_2"])
    assert mine.check("x.task", [2, "x_2"]).misconception == "second"
    result = mine.check("x.task", [2, "x_3"])
    assert result.status == "failed" and not result.misconception
    mine = course("x_1")
    mine.mistake("x.task", "The second.", "second", "x_2")
    assert mine.check("x.task", "x_2").misconception == "second"
    assert mine.check("x.task", "x_3").misconception is None


def test_what_was_printed_before_the_time_was_up_is_shown():
    def answer(n):
        print("going round")
        while True:
            n += 1

    told = said(lambda n: n, answer, time_limit=0.2)
    assert "still running" in told and told.endswith("it printed: going round\n")


def test_the_call_that_did_not_end_is_shown():
    def answer(n):
        while n == 5:
            pass
        return n

    told = said(lambda n: n, answer, time_limit=0.2)
    assert "still running" in told and "\ntask(5)\n" in told


def test_a_function_of_pythons_own_is_called_as_it_is():
    assert said(lambda a, b: max(a, b), max, cases=lambda rng: [(1, 2), (4, 3)]).startswith(
        "passed"
    )
    told = said(lambda a, b: max(a, b), min, cases=lambda rng: [(1, 2), (4, 3)])
    assert "`task(1, 2)` should be 2, and yours gives 1." in told
