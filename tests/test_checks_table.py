"""The table of what is passed, the table of all messages, and what a page goes on with."""

from types import SimpleNamespace

import pytest

import mnist_course.checks as checks
from mnist_course.base import DataError
from mnist_course.checks import Registry, check, messages, progress, yours


@pytest.fixture
def two():
    "Three exercises in two lessons."
    mine = Registry()
    mine.exercise("b.first", "First", 1, 5, answer=1, after="That's one.")
    words = {"hint": "Count again.", "exact": "Type `2`.", "after": "Two it is."}
    mine.exercise("a.second", "Second", 1, 7, answer=2, **words)
    mine.exercise("b.third", "Third", 1, 9, answer=3)
    mine.mistake("b.third", "You counted from 0.", "from_zero", 2)
    return mine


def state(rows):
    return {row.id: row.state for row in rows}


def test_what_was_passed_once_stays_passed_and_what_was_tried_is_not_open(two, monkeypatch):
    seen = []
    monkeypatch.setattr(checks.table, "events", lambda folder=None: seen)
    assert state(progress(registry=two)) == dict.fromkeys(two, "open")
    seen.append({"kind": "check", "id": "b.first", "status": "failed"})
    seen.append({"kind": "quiz", "id": "b.third", "status": "passed"})
    assert state(progress(registry=two))["b.first"] == "tried"
    seen.append({"kind": "check", "id": "b.first", "status": "passed"})
    seen.append({"kind": "check", "id": "b.first", "status": "failed"})
    assert state(progress(registry=two)) == {
        "a.second": "open",
        "b.first": "passed",
        "b.third": "open",
    }


def test_the_table_has_a_line_for_each_lesson_and_says_what_comes_next(two, monkeypatch):
    done = [{"kind": "check", "id": "b.first", "status": "passed"}]
    done += [{"kind": "check", "id": "b.third", "status": "failed"}]
    monkeypatch.setattr(checks.table, "events", lambda folder=None: done)
    rows = progress(registry=two)
    lines = [line.split() for line in repr(rows).splitlines()]
    assert lines[2:] == [
        ["a", "0", "0", "1", "7", "a.second"],
        ["b", "1", "1", "0", "9", "b.third"],
        ["all", "1", "1", "1", "16"],
    ]
    assert "passed" in repr(rows).splitlines()[0] and "minutes left" in repr(rows).splitlines()[0]
    assert "| b        |        1 |       1 |" in rows._repr_markdown_()
    columns = rows._repr_markdown_().splitlines()[1].split("|")[1:-1]
    assert [column[0] == ":" for column in columns] == [True, *4 * [False], True]  # on the left
    done.append({"kind": "check", "id": "b.third", "status": "passed"})
    assert repr(progress(registry=two)).splitlines()[3].split() == ["b", "2", "0", "0", "0"]


def test_a_lesson_keeps_its_number_as_it_is_written():
    mine = Registry()
    mine.exercise("03.first", "First", 1, 5, answer=1)
    lines = repr(progress(registry=mine)).splitlines()
    assert lines[2].startswith("03  ") and lines[2].endswith("03.first")
    numbers, words = lines[0].index("minutes left") + len("minutes left"), lines[0].index("next")
    assert lines[2][:numbers].endswith(" 5") and lines[2][words:] == "03.first"


def test_the_table_of_messages_holds_them_all_and_may_be_of_one_lesson(two):
    assert messages(two) == [
        ("a.second", "(right)", "Two it is."),
        ("a.second", "(type)", "Type `2`."),
        ("a.second", "(another)", "Count again."),
        ("b.first", "(right)", "That's one."),
        ("b.third", "from_zero", "You counted from 0."),
    ]
    assert [row[0] for row in messages(two, "b")] == ["b.first", "b.third"]
    assert "| b.third    | from_zero | You counted from 0. |" in messages(two)._repr_markdown_()
    two["a.second"].hint = "word " * 60
    assert max(map(len, repr(messages(two)).splitlines())) < 140  # long words are broken
    assert len(messages(two)._repr_markdown_().splitlines()) == 2 + 5  # and here they aren't


def test_a_mistake_of_a_function_is_in_the_table_by_its_words_alone(two):
    two.exercise("c.fourth", "Fourth", 1, 1, cases=lambda rng: [(1,), (2,)])(lambda n: n + 0)
    two.mistake("c.fourth", "You doubled it.", "doubled")(lambda n: 2 * n)
    two.mistake("c.fourth", "Nobody finds this one.", "unfound")(lambda n: n)
    assert messages(two, "c") == [
        ("c.fourth", "doubled", "You doubled it."),
        ("c.fourth", "unfound", "c.fourth: passed"),
    ]


def test_a_page_goes_on_with_the_learners_own_once_it_has_passed(capsys, monkeypatch):
    monkeypatch.setattr(checks, "_PASSED", {})
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")

    def ours(k, d=1):
        return d * (k - 1) // 2

    def mine(k, d=1):
        return (k - 1) * d // 2

    assert not check("03.same_padding", lambda k, d=1: k)
    assert yours("03.same_padding", ours) is ours
    assert capsys.readouterr().out.startswith("same_padding: this is our version.")
    assert check("03.same_padding", mine)
    assert yours("03.same_padding", ours) is mine
    assert capsys.readouterr().out == "same_padding: from here on, this page runs on yours.\n"


# ---- the course's own functions


@pytest.fixture
def loaded(monkeypatch):
    "How often exercises of one's own were looked for; they can't be read where `broken` says why."
    said = SimpleNamespace(times=0, broken="")

    def load():
        said.times += 1
        if said.broken:
            raise DataError(said.broken)

    monkeypatch.setattr(checks, "load_own", load)
    monkeypatch.setattr(checks, "_PASSED", {})
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")
    return said


def test_ones_own_exercises_are_looked_for_where_the_id_is_no_lessons(loaded):
    loaded.broken = "lab.py, line 3: a word too many"
    for times, id in enumerate(("lab.half", "", "x7"), 1):
        result = checks.check(id, 3)
        assert loaded.times == times
        assert (result.id, result.status, result.message) == (id, "not attempted", loaded.broken)
    for id in ("03.nothing", "3", 7, None):
        assert not checks.check(id, 3) and loaded.times == 3


def test_only_an_answer_that_passed_is_kept(loaded):
    assert checks.check("03.team_params", 51_328, seed=1).status == "passed"
    assert not checks.check("03.flat_features", None)
    assert checks._PASSED == {"03.team_params": 51_328}


def test_an_exercises_check_gets_all_that_it_was_given(loaded, monkeypatch):
    asked = []
    monkeypatch.setattr(checks.COURSE, "check", lambda *given: asked.append(given) or False)
    monkeypatch.setattr(checks.COURSE, "audit", lambda *given: asked.append(given) or "audited")
    assert checks.check("03.x", 4, 5, "Ada") is False
    assert checks.audit("03.x") == checks.audit("lab.y", [7]) == "audited"
    assert asked == [("03.x", 4, 5, "Ada"), ("03.x", range(3)), ("lab.y", [7])]
    assert loaded.times == 2  # for the audits


def test_whoever_lists_exercises_is_heard(loaded, monkeypatch):
    heard = []
    monkeypatch.setattr(checks, "sys", SimpleNamespace(audit=heard.append))
    assert [one.id for one in checks.exercises()] == [one.id for one in checks.COURSE.exercises()]
    assert heard == ["checks.exercises"] and loaded.times == 1
