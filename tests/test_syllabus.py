"Plans that are computed from the lessons."

import itertools
import json
import re
from types import SimpleNamespace

import pytest
from helpers import ROOT

from mnist_course.checks import exercises
from mnist_course.teaching.notebooks import lessons, read_notebook
from mnist_course.teaching.syllabus import (
    Unit,
    _upto,
    card_with_minutes,
    cut_evenly,
    hours,
    objectives,
    outline,
    reading_minutes,
    roads,
    term,
    units,
    week,
)

LESSONS = lessons()


def test_the_syllabus_shows_todays_lessons():
    every = units()
    said = json.dumps(read_notebook(ROOT / "nbs" / "instructors" / "syllabus.ipynb")["cells"])
    for text in (week(every), week(every, difficulty=3), term(every), outline(every[:3], 1, 210)):
        for line in text.splitlines():
            assert json.dumps(line)[1:-1] in said, (
                "run it again: python -m mnist_course.making notebooks instructors/syllabus"
            )


def test_units_read_the_cards():
    every = units()
    assert [unit.number for unit in every] == [path.name[:2] for path in LESSONS]
    assert all(
        15 <= unit.minutes <= 120
        and unit.exercises
        and set(unit.needs) < {other.number for other in every}
        for unit in every
    )
    assert sum(unit.work() for unit in every) == sum(item.minutes for item in exercises())
    assert all(unit.work(2) <= unit.work(4) <= unit.work() for unit in every)


@pytest.mark.parametrize("parts", range(1, 7))
def test_cuts_are_even_and_keep_the_order(parts):
    sizes = [41, 79, 88, 92, 94, 88]
    cut = cut_evenly(sizes, parts)
    assert [i for places in cut for i in places] == list(range(len(sizes))) and len(cut) == parts
    longest = max(sum(sizes[i] for i in places) for places in cut)
    assert longest <= sum(sizes) / parts + max(sizes)


def test_plans_that_cannot_be():
    every = units()
    for plan, message in [
        (lambda: cut_evenly([1, 2], 3), "2 lessons cannot be spread over 3 days"),
        (lambda: outline(every[1:], 5, 10_000), "needs 00 first"),
        (lambda: outline(every, 5, 60), "there are 1 h"),
        (lambda: term(every, room=20), "and a meeting has 20"),
    ]:
        with pytest.raises(ValueError, match=message):
            plan()


def test_a_term_holds_every_exercise_once():
    text = term(units())
    for item in exercises():
        assert text.count(f"`{item.name}`") == sum(other.name == item.name for other in exercises())


def test_short_roads_take_as_long_as_their_names_say():
    rows = roads("../").splitlines()[2:]
    minutes = {}
    for row in rows:
        road, steps, time = (part.strip() for part in row.strip("| ").split(" | "))
        found = re.findall(r"(\d+) (h|min)", time)
        minutes[road] = sum(int(n) * (60 if unit == "h" else 1) for n, unit in found)
        assert all((ROOT / "nbs" / name).exists() for name in re.findall(r"\(\.\./(\S+)\)", steps))
    assert 150 <= minutes["**three hours**"] <= 180
    assert all(60 <= n <= 130 for road, n in minutes.items() if "evenings" in road)
    assert minutes["**the whole**"] == sum(unit.minutes + unit.work() for unit in units())


def test_a_road_that_ends_at_no_heading_is_seen():
    with pytest.raises(ValueError, match="has no heading 'Nowhere'"):
        _upto(read_notebook(lessons()[0]), "Nowhere")


def test_every_exercise_serves_an_objective_and_every_objective_has_an_exercise():
    every = objectives()
    assert list(every) == [path.name[:2] for path in LESSONS]
    served = {id for table in every.values() for ids in table.values() for id in ids}
    assert served == {item.id for item in exercises()}
    for table in every.values():
        assert len(table) >= 3 and all(table.values())
    shown = json.dumps(read_notebook(ROOT / "nbs" / "instructors" / "teaching.ipynb")["cells"])
    assert all(json.dumps(can)[1:-1] in shown for table in every.values() for can in table)


# ---- computed by hand, for lessons that there are not


def made_up(number: str, minutes: int, *work: tuple[int, int], needs: tuple[str, ...] = ()) -> Unit:
    "A lesson with exercises of so much (difficulty, minutes)."
    tasks = tuple(
        SimpleNamespace(name=f"task{number}{letter}", difficulty=hard, minutes=long)
        for letter, (hard, long) in zip("abcdef", work, strict=False)
    )
    return Unit(number, f"Title {number}", minutes, 3, needs, "", tasks)


def cells_of(table: str) -> list[list[str]]:
    "The rows of a table in Markdown, without its head."
    return [[part.strip() for part in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "0 min"),
        (5, "5 min"),
        (59.6, "1 h"),
        (60, "1 h"),
        (61, "1 h 1 min"),
        (155, "2 h 35 min"),
    ],
)
def test_minutes_are_said_as_people_say_them(minutes, said):
    assert hours(minutes) == said


@pytest.mark.parametrize("sizes", [[3, 1, 1, 3], [9, 1, 1, 1, 9], [5, 5, 5], [1, 2, 3, 4, 5, 6]])
def test_no_other_cut_has_a_smaller_largest_part(sizes):
    for parts in range(1, len(sizes) + 1):
        found = cut_evenly(sizes, parts)
        assert [i for places in found for i in places] == list(range(len(sizes)))
        cuts = itertools.combinations(range(1, len(sizes)), parts - 1)
        every = [itertools.pairwise((0, *cut, len(sizes))) for cut in cuts]
        best = min(max(sum(sizes[a:b]) for a, b in one) for one in every)
        assert max(sum(sizes[i] for i in places) for places in found) == best
    for parts in (0, len(sizes) + 1):
        with pytest.raises(ValueError, match="a day needs at least one"):
            cut_evenly(sizes, parts)


def of(*cells: str | tuple[str, dict]) -> dict:
    "A notebook of Markdown, and of code: pairs of its source and what its metadata says."
    return {
        "cells": [
            {"cell_type": "markdown", "source": [one], "metadata": {}}
            if isinstance(one, str)
            else {"cell_type": "code", "source": [one[0]], "metadata": one[1], "outputs": []}
            for one in cells
        ]
    }


def words(number: int) -> str:
    return "word " * number


def code(lines: int) -> tuple[str, dict]:
    return "\n\n".join(["x = 1"] * lines), {}


@pytest.mark.parametrize(
    ("cells", "minutes"),
    [
        ([words(1000)], 5),
        ([words(1200)], 10),
        ([words(600), words(600)], 10),
        ([words(1000), code(12)], 10),
        ([words(1000), code(5)], 5),
        ([words(1000), "**Predict.**"], 10),
        ([words(400), "**Make.**"], 5),
        ([words(400), "**Modify.**\n\n**Predict**"], 10),
        ([words(1000), "<b class='x y z'>" * 200], 5),
        ([words(1000), "| --- | :-: |\n" * 100], 5),
        ([words(1000), f"## Sources\n{words(900)}"], 5),
        ([words(1000), f"## Exercises\n{words(900)}", words(900), code(99)], 5),
        ([f"## Exercises\n{words(900)}\n## Recap\n{words(1200)}"], 10),
        ([words(1000), ("#| hide\n" + code(99)[0], {})], 5),
        ([words(1000), (code(99)[0] + "\ncheck('x', x)", {})], 5),
    ],
    ids=range(15),
)
def test_the_minutes_of_a_lesson(cells, minutes):
    "One for 200 words, 12 lines or a prediction, three for what is to be made; to the next five."
    assert reading_minutes(of(*cells)) == minutes


def test_a_card_gets_its_minutes_anew():
    work = sum(item.minutes for item in exercises() if item.lesson == "03")
    card = "# Title\n\n| 99 (9 to read, 90 for exercises) | 3 of 5 | 02 | a net |\n"
    right = f"# Title\n\n| {5 + work} (5 to read, {work} for exercises) | 3 of 5 | 02 | a net |\n"
    notebook = of("x", card, words(900))
    assert card_with_minutes(notebook, "03") == (1, right)
    assert card_with_minutes(of("x", right, words(900)), "03") is None  # so already
    assert card_with_minutes(of("x", "no card"), "03") is None
    assert card_with_minutes(of("x", "y", "z", card), "03") is None  # it is among the first three


def test_a_sitting_says_when_each_lesson_is_done():
    first = made_up("01", 50, (1, 10), (4, 100))
    second = made_up("02", 30, (2, 5), (3, 15), needs=("01",))
    assert cells_of(outline([first, second], 2, 95)) == [
        ["01 Title 01", "50", "10", "1 h"],
        ["02 Title 02", "30", "5", "1 h 35 min"],
    ]
    with pytest.raises(ValueError, match="this takes 1 h 35 min, and there are 1 h 34 min"):
        outline([first, second], 2, 94)
    with pytest.raises(ValueError, match="lesson 02 needs 01 first"):
        outline([second, first], 2, 500)
    assert len(cells_of(outline([], 2, 0))) == 0


def test_a_week_adds_up_what_each_day_takes():
    chosen = [made_up("01", 50, (1, 10), (4, 100)), made_up("02", 30, (2, 5)), made_up("03", 20)]
    assert cells_of(week(chosen, 2, 3)) == [
        ["1", "01 Title 01", "50 min", "10 min", "1 h"],
        ["2", "02 Title 02, 03 Title 03", "50 min", "5 min", "55 min"],
    ]
    assert [row[3] for row in cells_of(week(chosen, 2))] == ["1 h 50 min", "5 min"]
    with pytest.raises(ValueError, match="3 lessons cannot be spread over 5 days"):
        week(chosen)


def test_in_class_comes_what_is_easy_and_fits_and_the_rest_is_homework():
    first = made_up("01", 60, (2, 20), (1, 10), (1, 5), (3, 1))
    second = made_up("02", 40, (1, 5))
    third = made_up("03", 35, (1, 90))
    assert cells_of(term([first, second, third])) == [
        [
            "1",
            "01 Title 01",
            "1 h 15 min",
            "`task01c`, `task01b`",
            "`task01a`, `task01d`",
            "21 min",
        ],
        ["2", "02 Title 02, 03 Title 03", "1 h 20 min", "`task02a`", "`task03a`", "1 h 30 min"],
        ["3", "learners show something of their own", "1 h 30 min", "", "", ""],
    ]
    # with 16 minutes to spare, the two don't share a meeting any more
    assert len(cells_of(term([first, second, third], spare=16))) == 4
    with pytest.raises(ValueError, match="lesson 01 takes 60 minutes, and a meeting has 59"):
        term([first], room=59)
    assert len(cells_of(term([first], room=60))) == 2
