"Numbers of each learner's own: for hundreds of names the answer passes, and each mistake is named."

import itertools
import math
import re
from collections import Counter

import pytest

from mnist_course.checks import COURSE, Registry, Version, check, run_check
from mnist_course.checks.compare import difference, items_of, keep, number_of
from mnist_course.checks.engine import variant_of, with_numbers

DRAWN = [item for item in COURSE.values() if item.version]
EACH = pytest.mark.parametrize("item", DRAWN, ids=lambda item: item.id)
NAMES = [f"learner {number}" for number in range(300)]


def test_every_exercise_by_hand_has_other_numbers():
    by_hand = {item.id for item in COURSE.values() if item.kind == "by hand" and not item.origin}
    assert by_hand <= {item.id for item in DRAWN}


@EACH
def test_with_the_courses_numbers_it_says_what_the_course_says(item):
    own = with_numbers(item, item.numbers)
    assert not difference(keep(item.solution), keep(own.solution), 1e-9, 1e-12)
    assert own.misconceptions.keys() == item.misconceptions.keys()
    for name, wrong in item.misconceptions.items():
        assert not difference(keep(wrong), keep(own.misconceptions[name]), 1e-6, 1e-9), name
    # a mistake's words change only where they hold numbers of the card
    plain = item.version(*item.numbers)
    for name, wrong in plain.mistakes.items():
        if own.reasons[name] == item.reasons[name]:
            continue
        assert isinstance(wrong, tuple), name


@EACH
def test_a_variants_answer_passes_and_its_mistakes_are_named(item, share):
    for name in share(NAMES[:40], 10):
        mine = variant_of(item, name)
        assert run_check(mine, mine.solution, 0), (name, mine.task)
        for mistake, wrong in mine.ways():
            said = run_check(mine, wrong, 0)
            assert said.misconception == mistake, (name, mistake, wrong)
            assert said.message.startswith(mine.reasons[mistake])


def numbers_in(value):
    kept = keep(value)
    return [*map(number_of, items_of(kept) or [])] if isinstance(kept, list | tuple) else [kept]


@EACH
def test_numbers_are_others_for_everybody_and_none_is_degenerate(item):
    answers, tasks = Counter(), set()
    for name in NAMES:
        mine = variant_of(item, name)
        tasks.add(mine.task)
        answers[repr(keep(mine.solution))] += 1
        assert difference(keep(item.solution), keep(mine.solution), item.rtol, item.atol), name
        numbers = numbers_in(mine.solution)
        assert all(math.isfinite(number) for number in numbers), (name, mine.solution)
        assert any(numbers), (name, "all of it is 0")
        wrong = [repr(keep(value)) for value in mine.misconceptions.values()]
        assert len({*wrong, repr(keep(mine.solution))}) == len(wrong) + 1
        words = " ".join([mine.task, mine.hint, mine.after, *mine.reasons.values()])
        assert not re.search(r"\d\.\d{7}|\d{4}\.0\b|e-\d|\bnan\b|\{|None", words), words
    assert len(tasks) >= 20 and len(answers) >= 7
    assert max(answers.values()) <= len(NAMES) / 4  # a neighbor's answer seldom helps


@EACH
def test_a_neighbors_answer_and_the_courses_own_fail(item):
    by_answer = {}
    for name in NAMES[:30]:
        mine = variant_of(item, name)
        by_answer.setdefault(repr(keep(mine.solution)), (name, mine))
    pairs = list(by_answer.values())
    assert not any(run_check(mine, item.solution, 0) for _, mine in pairs)
    for (_, mine), (_, other) in itertools.pairwise(pairs):
        assert not run_check(mine, other.solution, 0)


@pytest.mark.parametrize(
    "other",
    [
        "ada lovelace",
        "ADA  LOVELACE",
        "Lovelace, Ada",
        "Áda Lovelace",
        " Ada\tLovelace\n",
        "Ａda Lovelace",
    ],
)
def test_a_name_is_the_same_however_it_is_written(other):
    item = COURSE["04.row_place"]
    assert variant_of(item, other).task == variant_of(item, "Ada Lovelace").task


def test_names_in_any_script_have_numbers_and_none_are_told():
    item = COURSE["04.row_place"]
    names = ["王秀英", "Софья", "प्रिया", "محمد", "Ng", "O'Neil", "x" * 5000, "7", "Ł", "\ud800a"]
    assert len({variant_of(item, name).task for name in names}) == len(names)
    for name in ("", "  ", "---", "\u200b"):
        with pytest.raises(ValueError, match="holds no name"):
            variant_of(item, name)
    said = check("04.row_place", 3, variant="?!")
    assert said.status == "not attempted" and "holds no name" in said.message
    assert "a name is a text" in check("04.row_place", 3, variant=7).message


def test_a_secret_changes_the_numbers_and_the_same_secret_does_not():
    item = COURSE["14.step_cost"]
    tasks = {secret: variant_of(item, "Ada", secret).task for secret in ("", "plum", "Plum")}
    assert len(set(tasks.values())) == 3
    assert variant_of(item, "Ada", "plum").task == tasks["plum"]


def test_check_follows():
    mine = variant_of(COURSE["03.team_params"], "Ada Lovelace")
    assert check("03.team_params", mine.solution, variant="Lovelace, Ada")
    assert not check("03.team_params", mine.solution)
    assert not check("03.team_params", 51_328, variant="Ada Lovelace")
    wrong = check("03.team_params", mine.misconceptions["one_kernel"], variant="Ada Lovelace")
    assert wrong.misconception == "one_kernel"
    assert check(
        "03.same_padding", lambda k, d=1: d * (k - 1) // 2, variant="Ada"
    )  # always the same


def test_drawing_leaves_random_numbers_alone():
    import random

    random.seed(1)
    state = random.getstate()
    variant_of(COURSE["15.tail"], "Ada")
    assert random.getstate() == state


def test_numbers_that_tell_nothing_apart_are_refused():
    mine = Registry()
    mine.exercise("lab.sum", "A sum", 1, 1, "by hand", answer=4)
    mine.mistake("lab.sum", "You multiplied.", "product", answer=4.5)
    mine.other_numbers("lab.sum", (2, 2), lambda rng: (2, rng.choice([2, 3])))(
        lambda a, b: Version(f"{a} + {b}?", a + b, {"product": a * b})
    )
    assert variant_of(mine["lab.sum"], "anybody").solution == 5  # 2 + 2 is 2 x 2
    mine["lab.sum"].draw = lambda rng: (2, 2)
    with pytest.raises(ValueError, match="no numbers were found"):
        variant_of(mine["lab.sum"], "anybody")
    mine.other_numbers("lab.sum", (2, 2), lambda rng: (2, 3))(
        lambda a, b: Version(f"{a} + {b}?", a + b, {"unheard_of": a * b})
    )
    with pytest.raises(ValueError, match="has no mistake 'unheard_of'"):
        variant_of(mine["lab.sum"], "anybody")
