"Points, tables and pages of made-up classes; runs that are broken off; and other people's words, wherever they end up."

import csv
import html
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from helpers import PATIENCE
from test_grading import IDS, posix, right_cells, write

from mnist_course.base import DataError
from mnist_course.checks import exercises
from mnist_course.cli import main
from mnist_course.teaching.grading import Limits, classroom, grade_class
from mnist_course.teaching.grading.feedback import (
    _reading_place,
    _talk_about,
    class_html,
    feedback_html,
    feedback_markdown,
    nameless,
    report_markdown,
)
from mnist_course.teaching.grading.gradebook import (
    PLATFORMS,
    Course,
    Record,
    Results,
    back_csv,
    grades_csv,
    points_of,
    read_course,
    worth,
)
from mnist_course.teaching.grading.run import Grade
from mnist_course.teaching.grading.submissions import read_roster
from mnist_course.teaching.grading.words import (
    fence,
    for_csv,
    for_file,
    for_html,
    for_markdown,
    for_terminal,
)

BY_ID = {item.id: item for item in exercises()}


def result(
    status: str, misconception: str | None = None, message: str = "", evidence: str = ""
) -> dict:
    return {
        "status": status,
        "misconception": misconception,
        "message": message,
        "evidence": evidence,
    }


def record(name: str, *states: str, **more) -> Record:
    "A learner with one result an exercise of lesson 03: p, a wrong answer w, a misconception m, open o."
    results = {}
    for id, state in zip(IDS, "".join(states), strict=False):
        known = next(iter(BY_ID[id].misconceptions)) if state == "m" else None
        status = {"p": "passed", "w": "failed", "m": "failed", "o": "not attempted"}[state]
        results[id] = result(
            status, known, "said", "case(1)\n  expected 2" if state in "wm" else ""
        )
    return Record(name, results=results, **more)


LESSON = Course(lessons=("03",))
ITEMS = LESSON.chosen()


# ---- what counts


def toml(folder: Path, text: str) -> Path:
    (folder / "course.toml").write_text(text, "utf-8")
    return folder / "course.toml"


def test_points_are_the_difficulty_unless_somebody_says_otherwise(tmp_path):
    assert [worth(LESSON, ITEMS)[item.id] for item in ITEMS] == [item.difficulty for item in ITEMS]
    course = read_course(
        toml(
            tmp_path,
            'lessons = ["3"]\nmaximum = 50\n[points]\n"03.team_params" = 10\n[weights]\n"03" = 2\n',
        )
    )
    full = worth(course, course.chosen())
    raw = sum(item.difficulty for item in ITEMS) - BY_ID["03.team_params"].difficulty + 10
    assert sum(full.values()) == pytest.approx(50) and full["03.team_params"] == pytest.approx(
        10 * 50 / raw
    )


@pytest.mark.parametrize(
    ("state", "late", "share"),
    [
        ("p", [], 1),
        ("m", [], 0.5),
        ("w", [], 0),
        ("o", [], 0),
        ("p", ["03"], 0.8),
        ("m", ["03"], 0.4),
        ("p", ["05"], 1),
    ],
)
def test_late_work_and_named_misconceptions(state, late, share):
    course = Course(lessons=("03",), late_penalty=20, partial_credit=50)
    got = points_of(record("ada", state * len(IDS), late=late), course, ITEMS)
    assert got.percent == pytest.approx(100 * share)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('leson = ["03"]', "no key 'leson': did you mean lessons?"),
        ('lessons = ["77"]', "lessons: there is no lesson 77"),
        ('lessons = "03"', "must be a list"),
        ('exercises = ["03.samepadding"]', "did you mean 03.same_padding?"),
        ("late_penalty = 120", "must be a number from 0 to 100"),
        ("partial_credit = nan", "must be a number"),
        ("maximum = 0", "must be a number from 0.01"),
        ("maximum = true", "must be a number"),
        ("maximum = inf", "must be a number from 0.01 to 1,000,000"),
        ("maximum = 1" + 400 * "0", "must be a number from 0.01"),
        ('repeated = "worst"', 'must be "best" or "last"'),
        ('due = "tomorrow"', "must be a date and a time"),
        ('[points]\n"03.nothing" = 1', "no exercise"),
        ("points = [1]", "must be a table"),
        ("weights = 2", "must be a table"),
        ('variants = "mood"', 'must be "name", "id" or "email"'),
        ("title = 3", "must be a short text"),
        ("= 3", "is no TOML"),
        ("a = " + "[" * 5000, "is no TOML"),
    ],
)
def test_a_course_that_cannot_be_understood_is_told(tmp_path, text, said):
    with pytest.raises(DataError, match=re.escape(said)) as told:
        read_course(toml(tmp_path, text))
    assert "course.toml" in str(told.value)


def test_lessons_and_their_weights_may_be_a_range(tmp_path):
    text = 'lessons = ["02-04", "3", "9"]\n[weights]\n"02-03" = 2\n"9" = 0.5\n'
    course = read_course(toml(tmp_path, text))
    assert course.lessons == ("02", "03", "04", "09")
    assert course.weights == {"02": 2, "03": 2, "09": 0.5}


def test_what_a_course_says_is_what_counts(tmp_path):
    text = 'repeated = "last"\nvariants = "id"\nexercises = ["05.softmax", "03.team_params"]\n'
    course = read_course(toml(tmp_path, text))
    assert (course.repeated, course.variants) == ("last", "id")
    assert course.wanted() == {"03", "05"}
    assert [item.id for item in course.chosen()] == ["03.team_params", "05.softmax"]
    assert Course(lessons=("03",)).wanted() == {"03"} and {"03", "05"} < Course().wanted()


def test_the_command_line_comes_before_the_file(tmp_path):
    path = toml(tmp_path, 'lessons = ["03"]\ntitle = "Lab"\ndue = 2024-01-31 23:59:00\n')
    course = read_course(path, lessons=["5"], exercises=[])
    assert (course.lessons, course.title, course.due) == (("05",), "Lab", "2024-01-31 23:59:00")
    with pytest.raises(DataError, match="--lessons"):
        read_course(None, lessons=["banana"])


# ---- tables


def rows_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_the_table_holds_what_was_set():
    course = Course(exercises=("03.team_params", "03.field_width"))
    (row,) = rows_of(
        grades_csv([record("Ada", "pppppppm", id="7", email="a@x")], course, course.chosen())
    )
    worth_both = BY_ID["03.team_params"].difficulty + BY_ID["03.field_width"].difficulty
    assert row == {"name": "Ada", "id": "7", "email": "a@x", "points": str(worth_both), "maximum": str(worth_both), "percent": "100",
                   "03.team_params": str(BY_ID["03.team_params"].difficulty), "03.field_width": str(BY_ID["03.field_width"].difficulty)}  # fmt: skip


ROSTERS = {
    "moodle": 'Identifier,Full name,Email address,Status,Grade,Maximum Grade,Feedback comments\nParticipant 1,"Ada, L",a@x,,,100.00,=keep\nParticipant 2,Ben,b@x,,7,100.00,\n',
    "canvas": 'Student,ID,SIS User ID,SIS Login ID,Section,Lab 2 (5),Lab 3 (6),Final Score\n,,,,,Manual Posting,,(read only)\n    Points Possible,,,,,10,20,(read only)\n"L, Ada",1,s1,ada,A;B,9,,4\n"B, Ben",2,s2,ben,A,8,5,3\n',
    "google": "Last Name,First Name,Email Address,Lab 3\nPoints,,,20\nL,Ada,a@x,\nB,Ben,b@x,5\n",
    "blackboard": "Last Name,First Name,Username,Student ID,Last Access,Availability,Weighted Total [Total Pts: 30 Score] |1,Lab 2 [Total Pts: 10 Score] |7,Lab 3 [Total Pts: 40 Score] |8\nL,Ada,ada,1,,Yes,,9,\nB,Ben,ben,2,,Yes,,8,5\n",
    "brightspace": "OrgDefinedId,Username,Last Name,First Name,Email,Lab 2 Points Grade <Numeric MaxPoints:10>,Lab 3 Points Grade <Numeric MaxPoints:5 Weight:10>,Lab 3 Text Grade <Text>,Calculated Final Grade Numerator,End-of-Line Indicator\n#1,#ada,L,Ada,a@x,9,,,,#\n#2,#ben,B,Ben,b@x,8,5,,,#\n",
}
_OUT_OF = {"moodle": 100, "canvas": 20, "google": 20, "blackboard": 40, "brightspace": 5}


@pytest.mark.parametrize("platform", ROSTERS)
def test_a_platforms_own_rows_and_headers_come_back_to_the_letter(tmp_path, platform):
    (tmp_path / "r.csv").write_text(ROSTERS[platform])
    roster = read_roster(tmp_path / "r.csv")
    ada, ben = record("Ada L", "p" * 8), Record("Ben")  # who handed in nothing keeps what is there
    rows = {roster.people[0].row: ada, roster.people[1].row: ben}
    course = Course(lessons=("03",), column="Lab 3")
    text, _ = back_csv(platform, [ada, ben], course, ITEMS, roster, rows)
    before, after = (list(csv.reader(io.StringIO(one))) for one in (ROSTERS[platform], text))
    place = next(i for i, name in enumerate(before[0]) if name.startswith(("Grade", "Lab 3")))
    changed = [
        (i, j) for i, row in enumerate(before) for j, cell in enumerate(row) if after[i][j] != cell
    ]
    assert changed == [(roster.people[0].row + 1, place)]
    assert after[changed[0][0]][place] == str(_OUT_OF[platform])
    half = Course(lessons=("03",), column="Lab 3", maximum=10)  # of ten here, and of more there
    text, said = back_csv(platform, [ada, ben], half, ITEMS, roster, rows)
    assert [*csv.reader(io.StringIO(text))][changed[0][0]][place] == str(_OUT_OF[platform])
    assert any("scaled from 10 to" in one for one in said)


def test_which_column_is_asked_for_if_it_could_be_several(tmp_path):
    (tmp_path / "r.csv").write_text(ROSTERS["canvas"])
    roster = read_roster(tmp_path / "r.csv")
    with pytest.raises(ValueError, match=r"'Lab 2 \(5\)', 'Lab 3 \(6\)' as `column`"):
        back_csv("canvas", [], LESSON, ITEMS, roster, {})
    (tmp_path / "r.csv").write_text("Student,ID,Section\n    Points Possible,,\nAda,1,A\n")
    roster = read_roster(tmp_path / "r.csv")
    text, said = back_csv(
        "canvas", [], Course(title="New", lessons=("03",)), ITEMS, roster, {1: record("Ada", "p")}
    )
    assert (
        rows_of(text)[0]["New"] == "20" and rows_of(text)[1]["New"] == "3" and "is new" in said[0]
    )
    both = Course(exercises=("03.team_params", "03.field_width", "05.softmax"))
    text, _ = back_csv("canvas", [], both, both.chosen(), roster, {})
    assert "mnist_course 03 05" in rows_of(text)[0]  # without a title, its lessons
    (tmp_path / "r.csv").write_text("Username,Email,End-of-Line Indicator\n#ada,a@x,#\n")
    roster = read_roster(tmp_path / "r.csv")
    new = Course(title="New", lessons=("03",))
    text, _ = back_csv("brightspace", [], new, ITEMS, roster, {0: record("Ada", "p")})
    assert text == "Username,Email,New Points Grade,End-of-Line Indicator\n#ada,a@x,3,#\n"


@pytest.mark.parametrize(
    ("platform", "first"),
    [
        ("moodle", {"Identifier": "Participant 7", "Grade": "20"}),
        ("canvas", {"Student": "Lovelace, Ada", "ID": "7"}),
        ("google", {"Last Name": "Lovelace", "First Name": "Ada"}),
        ("blackboard", {"Last Name": "Lovelace", "Username": "7"}),
        ("brightspace", {"Last Name": "Lovelace", "End-of-Line Indicator": "#"}),
    ],
)
def test_without_a_roster_a_table_has_the_platforms_headers(platform, first):
    text, said = back_csv(platform, [record("Ada Lovelace", "p" * 8, id="7")], LESSON, ITEMS)
    row = rows_of(text)[-1]
    assert first.items() <= row.items() and "without" in said[0]


# ---- what is kept


def test_results_are_kept_and_what_is_half_written_is_told(tmp_path):
    said: list[str] = []
    ledger = Results(tmp_path / "out", tmp_path / "class")
    for name in ("ada", "ben"):
        ledger.add(record(name, "pm", mark=name))
    path = tmp_path / "out" / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-20])  # the power failed
    again = Results(tmp_path / "out", tmp_path / "class", said.append)
    assert (
        list(again.records.values()) == [record("ada", "pm", mark="ada")]
        and "1 lines can't be read" in said[0]
    )
    bad = [
        3,
        {"name": 1},
        {"name": "x"},
        {**vars(record("x", "p")), "results": {IDS[0]: {"status": "great"}}},
        {**vars(record("y", "p")), "results": {"99.zz": result("passed")}},
    ]
    with path.open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in bad)
    assert [
        one.results
        for one in Results(tmp_path / "out", tmp_path / "class", said.append).records.values()
    ] == [record("ada", "pm").results, {}]


def test_another_class_is_refused_and_what_somebody_changed_is_moved_aside(tmp_path):
    ledger = Results(tmp_path / "out", tmp_path / "class")
    ledger.put("grades.csv", b"first")
    ledger.close()
    for other, way in (("class/ada", "--only ada"), ("other", "--out")):
        with pytest.raises(ValueError, match=way):
            Results(tmp_path / "out", tmp_path / other)
    told: list[str] = []
    ledger = Results(tmp_path / "out", tmp_path / "class", told.append)
    ledger.put("grades.csv", b"second")
    assert not told
    (tmp_path / "out" / "grades.csv").write_text("my own marks")
    ledger.put("grades.csv", b"third")
    assert (
        tmp_path / "out" / "grades.yours-1.csv"
    ).read_text() == "my own marks" and "changed by somebody" in told[0]
    ledger.put("feedback/a.html", b"a")
    ledger.put("feedback/b.html", b"b")
    (tmp_path / "out" / "feedback" / "b.html").write_text("mine")
    ledger.drop(set(), "feedback/")
    assert [path.name for path in (tmp_path / "out" / "feedback").iterdir()] == ["b.html"]


def test_everything_that_somebody_changed_is_moved_to_a_place_of_its_own(tmp_path):
    ledger = Results(tmp_path / "out", tmp_path / "class", lambda words: None)
    for i in range(3):
        (tmp_path / "out" / "grades.csv").write_text(f"mine {i}")
        ledger.put("grades.csv", b"ours")
    kept = [(tmp_path / "out" / f"grades.yours-{i}.csv").read_text() for i in (1, 2, 3)]
    assert kept == ["mine 0", "mine 1", "mine 2"]


def test_who_is_not_kept_is_forgotten_at_once(tmp_path):
    ledger = Results(tmp_path / "out", tmp_path / "class")
    for name in ("ada", "ben", "cleo"):
        ledger.add(record(name, "p"))
    assert [one.name for one in ledger.keep(["|cleo", "|ada", "|emmy"])] == ["cleo", "ada"]
    again = Results(tmp_path / "out", tmp_path / "class")  # as if the power had failed here
    assert [one.name for one in again.records.values()] == ["cleo", "ada"]


def test_remarks_and_marks_that_are_no_words_become_some(tmp_path):
    Results(tmp_path / "out", tmp_path / "class").add(record("ada", "p"))
    path = tmp_path / "out" / "results.jsonl"
    head, line = path.read_text().splitlines()
    odd = json.loads(line) | {"remarks": [3, None], "late": [3]}
    path.write_text(f"{json.dumps(json.loads(head) | {'written': [1]})}\n{json.dumps(odd)}\n")
    (found,) = Results(tmp_path / "out", tmp_path / "class").records.values()
    assert (found.remarks, found.late) == (["3", "None"], ["3"])


# ---- a run, without notebooks being run


@pytest.fixture
def quick(monkeypatch):
    "Grading that takes no time: an answer is right if the notebook says `right`. The names graded so far."
    ran: list[str] = []

    def run(everyone, folder, jobs, limits, say, *, done, hidden, container, variants, secret):
        for name, files in everyone.items():
            if ran.count("stop") and len(ran) > 3:
                raise KeyboardInterrupt
            ran.append(name)
            text = "".join(path.read_text() for path in files if path.suffix == ".ipynb")
            done(
                Grade(
                    name,
                    {id: result("passed" if "right" in text else "failed") for id in IDS}
                    if files
                    else {},
                )
            )

    monkeypatch.setattr(classroom, "grade_learners", run)
    return ran


def classroom_of(folder: Path, names: str, right: str = "right") -> Path:
    for i, name in enumerate(names):
        path = folder / f"{name}_{i}_assignsubmission_file_" / "03_shapes.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(
                {
                    "cells": [],
                    "metadata": {"x": right, "who": name},
                    "nbformat": 4,
                    "nbformat_minor": 5,
                }
            )
        )
    return folder


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, quick):
    folder, out = classroom_of(tmp_path / "class", "abcdef"), tmp_path / "out"
    quick.append("stop")
    with pytest.raises(KeyboardInterrupt):
        grade_class(folder, out, lessons=["03"])
    assert quick == ["stop", "a", "b", "c"]
    quick.clear()
    told: list[str] = []
    records, _ = grade_class(folder, out, lessons=["03"], say=told.append)
    assert quick == ["d", "e", "f"] and [one.name for one in records] == list("abcdef")
    assert any("going on with 3" in one for one in told)
    quick.clear()
    grade_class(folder, out, lessons=["03"])
    assert quick == []
    grade_class(folder, out, lessons=["03"], again=True)
    assert quick == list("abcdef")


def test_only_some_are_graded_again_and_the_others_keep_what_they_have(tmp_path, quick):
    folder, out = classroom_of(tmp_path / "class", "abc"), tmp_path / "out"
    grade_class(folder, out, lessons=["03"])
    classroom_of(folder, "abc", "wrong")
    quick.clear()
    records, _ = grade_class(folder, out, lessons=["03"], only=["b"])
    assert quick == ["b"] and [points_of(one, LESSON, ITEMS).percent for one in records] == [
        100,
        0,
        100,
    ]
    assert len(rows_of((out / "grades.csv").read_text("utf-8-sig"))) == 3
    with pytest.raises(ValueError, match="did you mean"):
        grade_class(folder, out, lessons=["03"], only=["bb"])
    table = (out / "grades.csv").read_bytes()
    with pytest.raises(ValueError, match="--only"):
        grade_class(folder / "a_0_assignsubmission_file_", out)
    assert (out / "grades.csv").read_bytes() == table


def test_a_roster_that_comes_later_costs_no_results(tmp_path, quick):
    folder, out = tmp_path / "class", tmp_path / "out"
    folder.mkdir()
    for i, name in enumerate(("lovelaceada", "noetheremmy")):
        (folder / f"{name}_{i}_9_03_shapes.ipynb").write_text(f'{{"cells": [], "right": "{name}"}}')
    grade_class(folder, out, lessons=["03"])
    (tmp_path / "r.csv").write_text("Full name,ID\nAda Lovelace,0\nEmmy Noether,1\n")
    quick.clear()
    told: list[str] = []
    options = {"lessons": ["03"], "roster": tmp_path / "r.csv", "say": told.append}
    records, _ = grade_class(folder, out, only=["ada lovelace"], **options)
    assert quick == ["Ada Lovelace"]
    assert [(one.name, points_of(one, LESSON, ITEMS).percent) for one in records] == [
        ("Ada Lovelace", 100),
        ("Emmy Noether", 100),
    ]
    assert not any("no longer" in one for one in told)
    (folder / "noetheremmy_1_9_03_shapes.ipynb").unlink()
    (tmp_path / "r.csv").write_text("Full name,ID\nAda Lovelace,0\n")
    records, _ = grade_class(folder, out, **options)
    assert len(records) == 1 and any(
        "no longer in the class, and left out: Emmy Noether" in one for one in told
    )


def test_a_changed_file_is_graded_again_and_a_new_rule_too(tmp_path, quick):
    folder, out = classroom_of(tmp_path / "class", "abc"), tmp_path / "out"
    grade_class(folder, out, lessons=["03"])
    quick.clear()
    classroom_of(folder, "a", "wrong")
    grade_class(folder, out, lessons=["03"])
    assert quick == ["a"]


def test_grades_within_the_class_a_roster_and_the_absent(tmp_path, quick, monkeypatch):
    folder = classroom_of(tmp_path / "class", "ab")
    monkeypatch.chdir(folder)
    roster = folder / "roster.csv"
    roster.write_text(
        "Identifier,Full name,Email address,Grade,Maximum Grade\nParticipant 0,a,a@x,,20\nParticipant 1,b,b@x,,20\nParticipant 9,=c,c@x,,20\n"
    )
    toml(folder, 'lessons = ["03"]\ntitle = "Lab 3"\n')
    for _ in range(2):
        assert main(["grade", ".", "--roster", "roster.csv", "--back", "moodle"]) == 0
        rows = rows_of((folder / "grades" / "grades.csv").read_text("utf-8-sig"))
        assert [(row["name"], row["email"], row["percent"]) for row in rows] == [
            ("a", "a@x", "100"),
            ("b", "b@x", "100"),
            ("'=c", "c@x", "0"),
        ]
    back = rows_of((folder / "grades" / "moodle.csv").read_text())
    assert [(row["Full name"], row["Grade"]) for row in back] == [
        ("a", "20"),
        ("b", "20"),
        ("=c", ""),
    ]
    assert {path.name for path in (folder / "grades" / "feedback").iterdir()} == {
        "a.html",
        "a.md",
        "b.html",
        "b.md",
        "c.html",
        "c.md",
    }


@pytest.mark.parametrize("most", ["inf", "nan", "1e999", "-20", "many"])
def test_a_maximum_that_no_points_can_reach_scales_nothing(tmp_path, quick, most):
    folder, got = classroom_of(tmp_path / "class", "a"), []
    for maximum in ("", most):
        roster = tmp_path / "roster.csv"
        head = "Identifier,Full name,Email address,Grade,Maximum Grade"
        roster.write_text(f"{head}\nParticipant 0,a,a@x,,{maximum}\n")
        grade_class(folder, tmp_path / "out", lessons=["03"], roster=roster, back=["moodle"])
        (row,) = rows_of((tmp_path / "out" / "moodle.csv").read_text())
        got.append(row["Grade"])
    assert got[0] == got[1] and float(got[0]) > 0


def test_what_came_after_the_due_date_is_late(tmp_path, quick):
    folder = tmp_path / "class"
    folder.mkdir()
    for name, when in (("ada", "2024-01-31-13-00-00"), ("ben", "2024-02-01-09-00-00")):
        (folder / f"Lab_{name}_attempt_{when}_03_shapes.ipynb").write_text(
            f'{{"cells": [], "right": "{name}"}}'
        )
    course = toml(tmp_path, 'lessons = ["03"]\ndue = 2024-01-31 23:59:00\nlate_penalty = 25\n')
    records, _ = grade_class(folder, tmp_path / "out", course=course)
    what = read_course(course)
    assert [points_of(one, what, ITEMS).percent for one in records] == [100, 75]


def test_without_names(tmp_path, quick):
    folder = classroom_of(tmp_path / "class", ["Zoraida", "Wilhelmine"])
    records, _ = grade_class(folder, tmp_path / "out", lessons=["03"], names=False)
    for name in ("class.html", "report.md"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        assert "Zoraida" not in text and "Learner 1" in text and "Learner 2" in text
    order = [record("x", "oo"), record("y", "pp")]
    assert [one.results for one in nameless(order)] == [order[1].results, order[0].results]
    assert len(records) == 2


# ---- pages


def test_a_page_says_what_was_right_the_mistake_the_case_and_where_to_read():
    wrong = "03.flat_features"
    name = "one_side_only"
    ada = record("Ada", "pppp")
    ada.results[wrong] = result(
        "failed",
        name,
        "said\ncase(1)\n  got 2",
        "case(1)\n  got 2\nthe same inputs again: check('x', y)",
    )
    reason = BY_ID[wrong].reasons[name]
    page, text = feedback_html(ada, LESSON, ITEMS), feedback_markdown(ada, LESSON, ITEMS)
    for item in ITEMS:
        assert html.escape(item.title) in page and for_markdown(item.title) in text
    assert html.escape(reason) in page and "case(1)\n  got 2" in page and "case(1)\n  got 2" in text
    assert "the same inputs again" not in page + text
    words, address = _reading_place(BY_ID["03.output_size"])
    assert "What if it needs more room?" in words and address.endswith(
        "/03_shapes.html#what-if-it-needs-more-room"
    )
    assert page.count("Read again:") == text.count("Read again:") == len(ITEMS) - 4


def test_remarks_are_for_whom_they_concern():
    said = [
        "03.ipynb: no cell answers 03.team_params, 03.small_net",
        "03.ipynb: no cell answers 03.small_net",
    ]
    ada = record(
        "Ada", "p", remarks=[*said, "x.pdf: not a notebook", "it reaches for the solutions"]
    )
    course = Course(exercises=("03.team_params",))
    page, text, report = (
        feedback_html(ada, course, course.chosen()),
        feedback_markdown(ada, course, course.chosen()),
        report_markdown([ada], course, course.chosen()).replace("\\_", "_"),
    )
    assert (
        "no cell answers 03.team_params<" in page
        and "solutions" not in page + text
        and "x.pdf" in page
    )
    assert "small_net" not in page + report and "reaches for the solutions" in report


def test_the_class_hears_about_what_most_of_it_got_wrong():
    records = [
        record("a", "mppppppp"),
        record("b", "mwpppppp"),
        record("c", "pwpppppo"),
        record("d", "ppppppoo"),
        record("e", "pppppppo"),
        Record("f"),
    ]
    first, *rest = _talk_about(records, ITEMS)
    assert (
        BY_ID[IDS[0]].title in first
        and "2 of 5 made the same mistake" in first
        and BY_ID[IDS[0]].reasons[next(iter(BY_ID[IDS[0]].reasons))] in first
    )
    assert (
        any(BY_ID[IDS[7]].title in one and "3 of 5 left it open" in one for one in rest)
        and len(rest) <= 2
    )
    assert _talk_about([record("a", "p" * 8)], ITEMS) == [] == _talk_about([], ITEMS)
    page = class_html(records, LESSON, ITEMS)
    assert page.count('<td class="m"') == 2 and page.count('<td class="f"') == 2
    assert class_html([], LESSON, []) and report_markdown([], LESSON, [])


# ---- other people's words

WORST = [
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://x")',
    "  =1+1",
    "\u200c=1+1",
    "\uff1d1+1",
    "+1\t-1\r@x",
    "@SUM(A1)",
    "-2+3",
    "\x1b[31mred\x1b]0;title\x07",
    "a\udcffb\ud800",
    "\u202egnp.exe\u2066",
    "[a](javascript:alert(1)) ![b](http://x/y.png)",
    "x | y\n# big\n---\n* * *",
    "`` ` ``` code",
    "1. one",
    "http://x.y/z www.x.y a@b.c",
    "</pre></section><h1>",
    "$name ${title} $$",
    "\0\x7f\u2028\u2029\ufeff",
    "n" * 5000,
]


@pytest.mark.parametrize("worst", WORST, ids=range(len(WORST)))
def test_the_worst_words_are_harmless_everywhere(worst):
    terminal = for_terminal(worst)
    assert (
        terminal.replace("\u200c", "").isprintable()
        and "\n" not in terminal
        and terminal.encode("utf-8")
    )
    assert not set("<>\"'") & set(for_html(worst))
    first = for_csv(worst).lstrip(" \ufffd\u200c")[:1]
    assert first not in set("=+-@\uff1d\uff0b\uff0d\uff20")
    import mistune

    for text in (
        f"- {for_markdown(worst)}",
        for_markdown(worst),
        f"| a |\n| --- |\n| {for_markdown(worst)} |",
    ):
        made = mistune.create_markdown(plugins=["table", "url", "strikethrough"])(text)
        tags = set(re.findall(r"</?(\w+)", made))
        assert tags <= {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}, made
        assert made.count("<td") <= 1 and made.count("<li") <= 1
    assert set(re.findall(r"</?(\w+)", mistune.html(fence(worst)))) == {"pre", "code"}
    name = for_file(worst)
    assert (
        0 < len(name.encode()) <= 120
        and re.fullmatch(r"[\w.-]+", name)
        and not name.startswith((".", "-"))
    )


def shape_of(page: str) -> list[str]:
    return re.findall(r"<(/?\w+)", re.sub(r"<style>.*?</style>", "", page, flags=re.S))


@pytest.mark.parametrize("worst", WORST, ids=range(len(WORST)))
def test_the_worst_words_change_no_page(worst):
    def made(words: str) -> list[Record]:
        one = Record(
            words,
            words,
            words,
            remarks=[words],
            results={id: result("failed", None, words, words) for id in IDS},
        )
        one.results[IDS[0]]["misconception"] = next(iter(BY_ID[IDS[0]].misconceptions))
        return [one, one]

    course = Course(title=worst, lessons=("03",))
    plain = Course(title="title", lessons=("03",))
    bad, good = made(worst), made("words")
    code = worst.count("`") > 1  # two backticks make code of what's between them, and nothing else
    pages = [
        (
            shape_of(feedback_html(bad[0], course, ITEMS)),
            shape_of(feedback_html(good[0], plain, ITEMS)),
        )
    ]
    pages.append(
        (shape_of(class_html(bad, course, ITEMS)), shape_of(class_html(good, plain, ITEMS)))
    )
    for ours, expected in pages:
        assert [one for one in ours if not (code and one.strip("/") == "code")] == [
            one for one in expected if not (code and one.strip("/") == "code")
        ]
    for text in (
        feedback_markdown(bad[0], course, ITEMS),
        report_markdown(bad, course, ITEMS),
        grades_csv(bad, course, ITEMS),
        json.dumps(vars(bad[0])),
    ):
        text.encode("utf-8")
    rows = list(csv.reader(io.StringIO(grades_csv(bad, course, ITEMS))))
    assert [len(row) for row in rows] == [6 + len(ITEMS)] * 3


def test_file_names_are_never_two_on_one():
    taken: set[str] = set()
    names = [
        "Ada",
        "ada",
        "ADA",
        "A/d/a",
        "A:d:a",
        "..",
        "",
        "CON",
        "nul.txt",
        "é",
        "e\u0301",
        "x" * 300,
        "x" * 299,
        "李",
        "\u202e",
    ]
    for name in names:
        one = for_file(name, taken)
        assert one.casefold() not in taken
        taken.add(one.casefold())
    assert not taken & {"con", "nul.txt"} and len(taken) == len(names)


def test_words_of_any_kind_become_one_line_or_keep_their_lines():
    assert for_terminal(3) == for_terminal(3, lines=True) == "3"
    assert for_terminal(" a \n b\t c ") == "a b c"
    assert for_terminal("a\nb\x1b\tc", lines=True) == "a\nb\ufffd\ufffdc"
    assert for_html("<\x1b[1m\nb>") == "&lt;\ufffd[1m b&gt;"
    assert for_html("a\n&", lines=True) == "a\n&amp;"


def test_markdown_says_the_words_and_makes_no_link_of_them():
    "GitHub makes links of more than brackets: of addresses, of what begins with www, of @names."
    words = "see http://x.y, www.x.y, a@b.c | <b> & 1*2"
    made = for_markdown(words)
    assert not any(one in made for one in ("://", "www.", "@", "|", "<", ">"))
    assert html.unescape(made.replace("\\", "")) == words
    for words in ("12. a", "3) a", "+ a", "= a", "- a"):
        made = for_markdown(words)
        assert html.unescape(made) == words and made != words


@pytest.mark.parametrize(
    ("words", "marks"), [("", 3), ("a `b` ``c``", 3), ("a ``` b", 4), ("`````\n``", 6)]
)
def test_a_fence_is_longer_than_what_is_in_it(words, marks):
    assert fence(words) == f"{'`' * marks}text\n{words}\n{'`' * marks}"


def test_a_file_is_named_as_its_learner_as_far_as_it_can_be():
    assert [
        for_file(name) for name in ("Ada L.", " .Ada/Ben- ", "...", "Con", "lpt1.x", "const")
    ] == [
        "Ada_L",
        "Ada_Ben",
        "learner",
        "_Con",
        "_lpt1.x",
        "const",
    ]
    assert for_file("x" * 120) == "x" * 120 == for_file("x" * 121)
    assert for_file("é" * 100) == "é" * 60  # of two bytes each


def test_one_name_for_many_learners_gives_each_a_file_of_its_own():
    taken, made = set(), []
    for _ in range(5):
        made.append(for_file("Ada", taken))
        taken.add(made[-1].casefold())
    first, second, *others = made
    assert first == "Ada" and re.fullmatch("Ada-[0-9a-f]{6}", second)
    assert others == [f"{second}-3", f"{second}-4", f"{second}-5"]
    assert for_file("ada", {"ada"}) != for_file("Ada", {"ada"})  # each has a mark of its own


# ---- from end to end


@pytest.mark.drawn(3, of="classes")
@posix
@pytest.mark.slow
def test_a_class_of_six_from_the_export_to_the_feedback(tmp_path, capsys):
    folder = tmp_path / "lab3"
    work = {
        "Ada Lovelace": right_cells(),
        "Emmy Noether": [
            *right_cells(*IDS[:5]),
            'team_params = 51_200\n\n\ncheck("03.team_params", team_params)',
        ],
        "José Müller": ["def flat_features(size, channels, kernels)\n    return 1"],
        "Li Ming": right_cells(*IDS[:2]),
        "Jean-Luc Picard": ["x = 1"],
    }
    for i, (name, cells) in enumerate(work.items()):
        write(folder / f"{name}_{i}_assignsubmission_file_", *cells)
    (folder / "Kim_9_assignsubmission_file_").mkdir()
    (folder / "Kim_9_assignsubmission_file_" / "homework.pdf").write_bytes(b"%PDF")
    words = ["grade", str(folder), "--out", str(tmp_path / "out"), "--lessons", "03", "--jobs", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "Moodle's export, 6 learners" in said
    rows = {
        row["name"]: row
        for row in rows_of((tmp_path / "out" / "grades.csv").read_text("utf-8-sig"))
    }
    whole = sum(item.difficulty for item in ITEMS)
    assert {name: row["points"] for name, row in rows.items()} == {
        "Ada Lovelace": str(whole),
        "Emmy Noether": str(sum(BY_ID[id].difficulty for id in IDS[:5])),
        "José Müller": "0",
        "Li Ming": str(sum(BY_ID[id].difficulty for id in IDS[:2])),
        "Jean-Luc Picard": "0",
        "Kim": "0",
    }
    page = (tmp_path / "out" / "feedback" / "Emmy_Noether.html").read_text("utf-8")
    assert html.escape(BY_ID["03.team_params"].reasons["bias_forgotten"]) in page
    assert "SyntaxError" in (tmp_path / "out" / "feedback" / "José_Müller.md").read_text("utf-8")
    assert "homework.pdf" in (tmp_path / "out" / "report.md").read_text("utf-8")
    assert main(words) == 0 and "everybody is graded already" in capsys.readouterr().out


ONE_SIDE = "def flat_features(size, channels, kernels):\n    for k in kernels:\n        size = (size - k + 1) // 2\n    return channels * size"
SQUARE = f"{ONE_SIDE} * size"
CHECKED = '\n\n\ncheck("03.flat_features", flat_features)'
ACCIDENTS = {  # what somebody hands in: the cells, and their result
    "Ada Lovelace": ([SQUARE + CHECKED], "passed"),
    "Grace O'Hara": (["%matplotlib inline\n" + SQUARE + CHECKED], "passed"),  # and in UTF-16
    "José Müller": ([SQUARE.replace("):", "", 1) + CHECKED], "failed"),  # the bracket is missing
    "Kim van der Berg": ([ONE_SIDE + CHECKED], "failed"),
    "Li Ming": (["if True:\n    " + SQUARE.replace("\n", "\n    ")], "passed"),  # and no check
    "Noa Late": ([SQUARE + CHECKED], "passed"),
    "Sam Killer": ([SQUARE + CHECKED, "import os\nos.kill(os.getppid(), 9)\nos._exit(0)"], "passed"),
    "Uma Zip": ([SQUARE + CHECKED], "passed"),  # in an archive in an archive
}  # fmt: skip


def class_of_eight(folder: Path, shape: str) -> Path:
    "An export with an accident in each submission, and the platform's list of the class beside it."
    rows = []
    for i, (name, (cells, _)) in enumerate(ACCIDENTS.items()):
        user, last = f"u{i}", name.rpartition(" ")[2]
        late = last == "Late"
        home = folder / "made" / user
        path = write(home, "from mnist_course.checks import check", *cells)
        if last == "O'Hara":
            path.write_bytes(path.read_text().encode("utf-16"))
        if last == "Zip":
            for _ in range(2):
                with zipfile.ZipFile(home / "next", "w") as archive:
                    archive.write(path, f"work/{path.name}")
                path = (home / "next").rename(home / f"{path.name}.zip")
        if shape == "blackboard":
            start = f"Lab 3_{user}_attempt_2024-0{2 if late else 1}-05-10-00-00"
            target = folder / "lab3" / f"{start}_{path.name}"
            target.parent.mkdir(exist_ok=True)
            (target.parent / f"{start}.txt").write_text(f"Name: {name} ({user})\n", "utf-8")
        else:
            day = "Feb 5" if late else "Jan 5"
            target = (
                folder / "lab3" / f"{70 + i}-{90 + i} - {name} - {day}, 2024 1000 AM" / path.name
            )
            target.parent.mkdir(parents=True)
        path.rename(target)
        first = name[: -len(last)].strip()
        rows.append(
            [last, first, user, "", "#"]
            if shape == "brightspace"
            else [last, first, user, "Yes", ""]
        )
    head = ["Last Name", "First Name", "Username"]
    if shape == "brightspace":
        head += ["Lab 3 Points Grade <Numeric MaxPoints:10>", "End-of-Line Indicator"]
    else:
        head += ["Availability", "Lab 3 [Total Pts: 10 Score] |7"]
    file = folder / "roster.csv"
    with file.open("w", encoding="utf-16" if shape == "blackboard" else "utf-8", newline="") as out:
        csv.writer(out, "excel-tab" if shape == "blackboard" else "excel").writerows([head, *rows])
    return file


@posix
@pytest.mark.slow
@pytest.mark.drawn(1)
@pytest.mark.parametrize("shape", ["blackboard", "brightspace"])
def test_a_class_of_eight_with_an_accident_each_gets_what_it_earned(tmp_path, shape):
    roster = class_of_eight(tmp_path, shape)
    course = toml(
        tmp_path,
        'title = "Lab 3"\nexercises = ["03.flat_features"]\nmaximum = 5\nlate_penalty = 20\n'
        "due = 2024-02-01 00:00:00\n",
    )
    records, _ = grade_class(
        tmp_path / "lab3",
        tmp_path / "out",
        course=course,
        roster=roster,
        back=[shape],
        jobs=1,
        limits=Limits(seconds=PATIENCE),
        say=lambda line: None,
    )
    got = {one.name: one.results["03.flat_features"] for one in records}
    assert {name: one["status"] for name, one in got.items()} == {
        name: status for name, (_, status) in ACCIDENTS.items()
    }
    assert "SyntaxError" in got["José Müller"]["message"]
    assert got["Kim van der Berg"]["misconception"] == "one_side_only"
    assert [one.name for one in records if one.late] == ["Noa Late"]
    before, after = (
        [*csv.reader(file.open(encoding=code, newline=""), dialect)]
        for code, dialect in [
            ("utf-16", "excel-tab") if shape == "blackboard" else ("utf-8", "excel")
        ]
        for file in (roster, tmp_path / "out" / f"{shape}.csv")
    )
    place = next(i for i, name in enumerate(before[0]) if name.startswith("Lab 3"))
    points = [row.pop(place) for row in after]
    assert after == [[*row[:place], *row[place + 1 :]] for row in before]
    assert points[1:] == ["10", "10", "0", "0", "10", "8", "10", "10"]


@pytest.mark.parametrize("name", ["Ben =1+1", "x;=1+1;y", 'x;"=1', "=1 @2", "a; \uff1d1"])
def test_no_cell_of_any_table_is_a_formula_wherever_it_is_cut(name):
    "A last name stands alone, and a spreadsheet in German or French also begins a cell behind a ;."
    whole = [record(name, "p" * 8, id=name)]
    for platform in PLATFORMS:
        for delimiter in ",;":
            for row in csv.reader(
                io.StringIO(back_csv(platform, whole, LESSON, ITEMS)[0]), delimiter=delimiter
            ):
                assert not [one for one in row if one.lstrip()[:1] in set("=+-@\uff1d")], row
    assert for_csv("Ben = Bär; Ada") == "Ben = Bär; Ada"
