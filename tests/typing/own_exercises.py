"""Exercises of one's own: a function, a value, and a task with many right answers."""

import random
from typing import assert_type

from mnist_course.checks import Exercise, Progress, Registry, Result, Wrong, progress

mine = Registry()


@mine.exercise("mine.double", "Double it", 1, 2, cases=lambda rng: [(1,), (rng.randrange(3, 50),)])
def double(n: int) -> int:
    return 2 * n


@mine.mistake("mine.double", "That is the square: it agrees with the double at 2 only.")
def squared(n: int) -> int:
    return n * n


assert_type(double(3), int)
assert_type(squared(3), int)

dozen = mine.exercise("mine.dozen", "A dozen", 1, 1, "by hand", answer=12, hint="As eggs are sold.")
assert_type(dozen, int)
mine.mistake("mine.dozen", "A baker's one. Which is the usual?", "bakers", 13)


def judge(made: object, rng: random.Random) -> None:
    if not isinstance(made, int) or made % 2:
        raise Wrong("That is not even.", "odd")


mine.exercise("mine.even", "Something even", 1, 1, "design", answer=4, judge=judge)
mine.mistake("mine.even", "Divide it by two.", "odd", 3)

result = mine.check("mine.double", lambda n: n * n)
assert_type(result, Result)
assert not result and result.misconception == "squared"
assert mine.check("mine.dozen", 12) and mine.check("mine.even", 5).misconception == "odd"

items: list[Exercise] = list(mine.exercises())
assert [item.name for item in items] == ["double", "dozen", "even"]
assert all(mine.audit(item.id).passed for item in items)
table = progress(registry=mine)
assert_type(table, Progress)
assert table[1].state == "passed"
