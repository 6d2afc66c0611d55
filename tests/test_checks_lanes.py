"""Answers that nobody thought of: each solution with one small change, and in other styles."""

import tomllib
from pathlib import Path

import pytest

from mnist_course.checks import COURSE, Registry, exercises, lanes
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
