"Plans that are computed from the lessons."

import json
import re

import pytest
from helpers import ROOT

from mnist_course.checks import exercises
from mnist_course.teaching.notebooks import lessons, read_notebook
from mnist_course.teaching.syllabus import (
    _upto,
    cut_evenly,
    objectives,
    outline,
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
