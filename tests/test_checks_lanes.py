"""Answers that nobody thought of: each solution with one small change, and in other styles."""

import ast
import textwrap
import tomllib
from pathlib import Path

import pytest
import torch

from mnist_course.checks import COURSE, Registry, exercises, lanes
from mnist_course.checks.compare import difference
from mnist_course.checks.lanes import mutants, styles, try_mutants, try_styles

EXCUSED: dict[str, set[str]] = {}
for entry in tomllib.loads((Path(__file__).parent / "mutants.toml").read_text()).get("excused", []):
    assert entry["reason"].strip(), entry
    EXCUSED.setdefault(entry["exercise"], set()).add(entry["change"])

FUNCTIONS = [item for item in exercises() if callable(item.solution)]


@pytest.mark.parametrize("item", FUNCTIONS, ids=lambda item: item.id)
def test_a_solution_with_one_small_change_is_refused_with_every_seed(item, share, monkeypatch):
    "Four of the changes with one of three seeds, each commit others; with --whole all."
    everyone = list(mutants(item.solution))
    drawn = share(everyone, 4)
    monkeypatch.setattr(lanes, "mutants", lambda solution: drawn)
    excused = EXCUSED.get(item.id, set())
    assert excused <= {mutant.change for mutant in everyone}
    excused &= {mutant.change for mutant in drawn}
    trial = try_mutants(item, seeds=share(range(3), 1), excuses=excused)
    assert trial.mutants == len(drawn) >= 1
    assert not trial.survived and not trial.wavered
    assert trial.excused == len(excused), "an excuse that is needed no more"


@pytest.mark.drawn(50)
@pytest.mark.parametrize("item", list(exercises()), ids=lambda item: item.id)
def test_a_solution_in_another_style_is_accepted(item, share):
    assert not try_styles(item, share(range(3), 1)).refused


def test_every_excuse_belongs_to_an_exercise():
    assert EXCUSED.keys() <= COURSE.keys()


# ---- a course of one's own, whose check is known to be weak

OWN = Registry()


@OWN.exercise("9.at_least", "At least", 1, 1, cases=lambda rng: [(1, 4), (9, 4)])
def at_least(a, b):
    if a > b:
        return a
    return b


def test_a_gap_in_a_check_is_found():
    trial = try_mutants(OWN["9.at_least"])
    assert "a > b -> a >= b in: if a > b:" in trial.survived  # and no mistake: a and b are the same
    assert trial.survived == ["a > b -> a >= b in: if a > b:"]
    assert trial.killed == trial.mutants - 1 >= 5


def test_changes_are_named_and_each_is_another_one():
    changes = [mutant.change for mutant in mutants(at_least)]
    assert len(changes) == len(set(changes))
    assert "return b -> pass in: return b" in changes


def test_a_style_that_the_check_refuses_is_told():
    strict = Registry()

    @strict.exercise(
        "9.pair", "Pair", 1, 1, run=lambda f, x: type(f(x)).__name__, cases=lambda r: [1]
    )
    def pair(x):
        return [x, x]

    trial = try_styles(strict["9.pair"])
    assert "a tuple" in trial.refused and "a lambda" not in trial.refused


def test_styles_change_how_it_reads_and_not_what_it_does():
    by_name = {style.name: style.answer for style in styles(at_least)}
    assert by_name["comparisons turned round"](3, 2) == by_name["a lambda"](3, 2) == 3


# ---- what the changes and the styles are


def others(code):
    "What may stand in place of a piece of code."
    node = ast.parse(textwrap.dedent(code)).body[0]
    node = node.value if isinstance(node, ast.Expr) else node
    return [lanes._words(one) for one in lanes._others(node)]


CHANGES = {
    "a < b": ["a <= b", "a >= b"],
    "a <= b": ["a < b", "a > b"],
    "a > b": ["a >= b", "a <= b"],
    "a >= b": ["a > b", "a < b"],
    "a == b": ["a != b"],
    "a != b": ["a == b"],
    "a in b": ["a not in b"],
    "a not in b": ["a in b"],
    "a is b": ["a is not b"],
    "a is not b": ["a is b"],
    "a < b < c": [],
    "a + b": ["a - b", "a", "b"],
    "a * b": ["a / b", "a", "b"],
    "a - b": ["a + b", "a", "b", "b - a"],
    "a / b": ["a * b", "a", "b", "b / a"],
    "a // b": ["a / b", "a", "b", "b // a"],
    "a % b": ["a // b", "a", "b", "b % a"],
    "a ** b": ["a * b", "a", "b", "b ** a"],
    "a @ b": ["a * b", "a", "b", "b @ a"],
    "a | b": ["a", "b", "b | a"],
    "-a": ["a"],
    "not a": ["a"],
    "~a": ["a"],
    "+a": [],
    "a and b": ["a or b", "a", "b"],
    "a or b or c": ["a and b and c", "a", "b", "c"],
    "a if b else c": ["a", "c"],
    "3": ["4", "2"],
    "0.5": ["0.75", "-0.5", "1.5"],
    "True": ["False"],
    "'text'": [],
    "None": [],
    "f(a, b)": ["f(b, a)", "a"],
    "f(*a, b)": [],
    "f(a, b=1, c=2)": ["f(a, c=2)", "f(a, b=1)", "a"],
    "a.f(b, c, d)": ["a.f(c, b, d)", "a", "b"],
    "f()": [],
    "a.max": ["a.min"],
    "softmax": ["log_softmax"],
    "something": [],
    "(a, b)": ["(b, a)"],
    "(a, b, c)": [],
    "[a for b in c if d if e]": ["[a for b in c]"],
    "{a for b in c for d in e if f}": ["{a for b in c for d in e}"],
    "list(a for b in c)": ["(a for b in c)"],
    "if a:\n    b": ["b", "pass"],
    "if a:\n    b\nelse:\n    c": ["b", "c"],
    "with a:\n    b": ["b"],
    "try:\n    a\nexcept b:\n    c\nfinally:\n    d": ["a; d", "a"],
    "for a in b:\n    c": [
        "for a in list(b)[1:]: c",
        "for a in list(b)[:-1]: c",
        "for a in b: c break",
    ],
    "a += b": ["a -= b", "a = b", "pass"],
    "a |= b": ["a = b", "pass"],
    "a = b": ["pass"],
    "return a": ["pass"],
    "raise a": ["pass"],
    "del a": ["pass"],
    "assert a": [],
}


@pytest.mark.parametrize("code", CHANGES)
def test_what_may_stand_in_place_of_code(code):
    assert others(code) == CHANGES[code]


def test_a_slice_may_lose_each_of_its_ends():
    (part,) = [one for one in ast.walk(ast.parse("a[b:c:d]")) if isinstance(one, ast.Slice)]
    assert [lanes._words(one) for one in lanes._others(part)] == [":c:d", "b::d"]


class Doubles:
    "Nothing but a class."

    def __init__(self, by: int = 2):
        self.by = by

    def __call__(self, n: int) -> int:
        print(n)
        n += 0
        return n * self.by


def test_a_class_has_mutants_too_and_docstrings_and_types_none():
    found = {mutant.change: mutant.function for mutant in mutants(Doubles)}
    assert not any("Nothing" in change or change[:3] == "int" for change in found)
    assert found["2 -> 3 in: def __init__(self, by: int=2):"]()(5) == 15
    assert found["n * self.by -> n / self.by in: return n * self.by"]()(5) == 2.5
    assert "print(n) -> pass in: print(n)" in found and "print(n) -> n in: print(n)" in found


def repeated(a):
    b = a + 1
    b = a + 1
    return max(b, b)


def test_the_same_change_in_two_places_has_two_names():
    changes = [mutant.change for mutant in mutants(repeated)]
    assert "a + 1 -> a - 1 in: b = a + 1" in changes
    assert "a + 1 -> a - 1 in: b = a + 1 (2)" in changes
    assert not any(change.startswith("max(b, b) -> max(b, b)") for change in changes)


STYLES = {
    "[1, 2]": {"a tuple", "a NumPy array", "a tensor"},
    "(0.5, 2)": {"a list", "a NumPy array", "a tensor"},
    "[[1, 2], [3, 4]]": {"a tuple", "a NumPy array", "a tensor"},
    "[[1, 2], [3]]": {"a tuple"},
    "[1, 'a']": {"a tuple"},
    "[]": {"a tuple"},
    "['a', 'b']": {"a tuple", "letters in a word"},
    "3": {"a NumPy number", "a tensor of one number", "a Fraction", "a float for a whole number"},
    "0": {"a NumPy number", "a tensor of one number", "a Fraction", "a float for a whole number"},
    "0.5": {"a NumPy number", "a tensor of one number", "a Fraction"},
    "True": {"a NumPy bool"},
    "'ab'": {"letters as a list", "letters with commas"},
    "'a'": {"letters as a list"},
    "'a b'": set(),
    "torch.tensor(0.5)": {
        "a Python number",
        "float64",
        "a tensor with a graph",
        "a tensor with gaps",
    },
    "torch.arange(3)": {"a tensor with gaps"},
    "None": set(),
}


@pytest.mark.parametrize("value", STYLES)
def test_a_value_in_other_styles_is_the_same(value):
    given = eval(value)
    made = list(styles(given))
    assert {style.name for style in made} == STYLES[value]
    for style in made:
        assert style.used and not difference(given, style.answer, 0, 0), style.name
        assert style.answer is not given


def test_tensors_in_other_styles():
    made = {style.name: style.answer for style in styles(torch.ones(3, 2))}
    assert made["a tensor with gaps"].stride() == (4, 2)
    assert made["float64"].dtype == torch.float64
    assert made["a tensor with a graph"].requires_grad
    (again,) = [
        style.answer
        for style in styles(made["a tensor with a graph"])
        if style.name == "a tensor with a graph"
    ]
    assert again.requires_grad and again.grad_fn is not None


def counts(items):
    total = 0
    for item in items:
        total += item
    return [total, total > 0, total == 0, 0 < total < 9]


def test_a_function_in_other_styles_gives_the_same():
    made = {style.name: style for style in styles(counts)}
    for style in made.values():
        used = style.used
        assert list(style.answer([3, 4])) == [7, True, False, True], style.name
        assert list(style.answer(items=[3, 4])) == [7, True, False, True], style.name
        assert style.used == (used or style.name in ("a tuple", "a generator"))
    for name in ("x = x + 1", "other names", "comparisons turned round"):
        assert name in made and made[name].answer.__name__ == "counts"
    assert made["an object"].answer.__class__.__name__ == "Answer"
    assert made["a partial"].answer.func is counts
    assert made["decorated"].answer.__wrapped__ is counts
    assert "total_" in made["other names"].answer.__code__.co_varnames
    assert "items" in made["other names"].answer.__code__.co_varnames
    assert {style.name for style in styles(Doubles)} == {"x = x + 1"}


def test_a_change_that_some_seeds_let_pass_is_told_and_an_excuse_is_counted():
    mine = Registry()

    @mine.exercise("9.at", "At", 1, 1, cases=lambda rng: [(rng.choice([1, 2]), 3), (3, 3)])
    def at(n, limit):
        if n < 2:
            return 0
        return limit

    seeds = range(20)
    trial = try_mutants(mine["9.at"], seeds)
    assert "2 -> 1 in: if n < 2:" in trial.wavered and "2 -> 1 in: if n < 2:" not in trial.survived
    assert trial.killed == trial.mutants - len(trial.wavered) - len(trial.survived)
    again = try_mutants(mine["9.at"], seeds, excuses=["2 -> 1 in: if n < 2:"])
    assert again.excused == 1 and again.killed == trial.killed
    assert len(again.wavered) == len(trial.wavered) - 1


def test_a_style_that_the_exercise_says_it_wants_is_no_refusal():
    mine = Registry()
    words = "The page goes on with it."

    @mine.exercise("9.whole", "Whole", 1, 1, cases=lambda rng: [(3,), (4,)], exact=words)
    def whole(n):
        return n // 2

    assert not mine.check("9.whole", lambda n: float(n // 2), seed=0)
    trial = try_styles(mine["9.whole"])
    assert not trial.refused and trial.styles >= 8


@pytest.mark.parametrize("seeds", [(1, 0), (0, 1)])
def test_styles_are_tried_with_every_seed(seeds):
    "Of the two numbers that are drawn the type of the answer counts for one."
    mine = Registry()

    def run(answer, n):
        return answer(n) if n < 0.5 else type(answer(n)).__name__

    @mine.exercise("9.pair", "Pair", 1, 1, run=run, cases=lambda rng: [(rng.random(),)])
    def pair(n):
        return [n, n]

    assert try_styles(mine["9.pair"], seeds).refused.keys() >= {"a tuple", "a tensor"}
    assert not try_styles(mine["9.pair"], [1]).refused
