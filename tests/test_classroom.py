"A class from its export to its tables, without a notebook being run: who is graded, what is said, what is written."

import csv
import io
import json
from pathlib import Path

import pytest
from test_gradebook import BY_ID, IDS, result

from mnist_course.base import DataError
from mnist_course.teaching.grading import Limits, classroom, grade_class
from mnist_course.teaching.grading.classroom import (
    _course_file,
    _fresh,
    _labels,
    _only,
    _variants,
)
from mnist_course.teaching.grading.gradebook import Course
from mnist_course.teaching.grading.run import Grade
from mnist_course.teaching.grading.submissions import Submission


def rows_of(path: Path, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding))))


# ---- before anything runs


def test_a_course_lies_in_the_folder_of_its_class_or_beside_it(tmp_path):
    source = tmp_path / "class"
    source.mkdir()
    assert _course_file(source) is None
    (tmp_path / "course.toml").touch()
    assert _course_file(source) == tmp_path / "course.toml"
    (source / "course.toml").touch()
    assert _course_file(source) == source / "course.toml"


def test_everybody_has_a_name_of_their_own():
    people = [Submission(name) for name in ("Li", "Ada", "Li", "Li", "Ben")]
    labels = _labels(people)
    assert [*labels] == ["Li", "Ada", "Li (2)", "Li (3)", "Ben"]
    assert [*labels.values()] == people and [one.name for one in people] == [*labels]


def test_learners_are_chosen_by_name_id_or_address():
    labels = _labels([Submission("Ada L", "7", "a@x"), Submission("Ben"), Submission("7", "9")])
    assert _only(labels, ["ada l", "BEN"]) == {"Ada L", "Ben"}
    assert _only(labels, ["A@X"]) == _only(labels, ["7"]) == {"Ada L"}  # the first who has it
    assert _only(labels, ["9", "9"]) == {"7"}
    for name, said in (("bem", r"--only bem: nobody .* did you mean ben\?"), ("", "nobody")):
        with pytest.raises(ValueError, match=said):
            _only(labels, ["ada l", name])


def test_own_numbers_are_drawn_from_what_a_learner_is_called():
    people = [Submission("Li (7)", "7", "a@x"), Submission("Li (2)", "", "b@x")]
    people += [Submission("Ada (x)", "9", "c@x")]
    labels = _labels(people)
    assert [*_variants(labels, "name").values()] == ["Li", "Li", "Ada (x)"]
    assert [*_variants(labels, "email").values()] == ["a@x", "b@x", "c@x"]
    with pytest.raises(ValueError, match=r"drawn from the id, and there's none for Li \(2\): a"):
        _variants(labels, "id")
    for many, few in ((5, "L0, L1, L2, L3, L4:"), (6, r"L0, L1, L2, L3, L4 \.\.\.:")):
        with pytest.raises(ValueError, match=few):
            _variants(_labels([Submission(f"L{i}") for i in range(many)]), "id")


def handed(tmp_path: Path, *names: str, **more) -> Submission:
    files = [tmp_path / name for name in names]
    for path in files:
        path.write_text('{"cells": []}')
    order = {path: (f"2024-01-3{i}", 0, 0.0) for i, path in enumerate(files)}
    return Submission("Ada", "7", "a@x", files, order=order, mark="m", **more)


def test_what_is_known_of_a_learner_before_the_notebooks_run(tmp_path):
    one = handed(tmp_path, "03_shapes.ipynb", "05_loss.ipynb", remarks=["r"])
    record = _fresh(one, Course(lessons=("03", "05"), due="2024-01-30"), Limits(), "Ada")
    assert (record.name, record.id, record.email, record.variant) == ("Ada", "7", "a@x", "Ada")
    assert record.late == ["05"] and record.results == {} and record.remarks == ["r"]
    assert len(record.mark) == 32
    empty = _fresh(Submission("Ben"), Course(lessons=("03",)), Limits(), "")
    assert empty.mark == "" and empty.late == []


def test_late_files_count_where_lateness_costs_nothing(tmp_path):
    names = ("03_shapes.ipynb", "03_shapes-1.ipynb")
    for penalty, kept, late in ((0, 2, []), (20, 1, [])):
        one = handed(tmp_path, *names)
        course = Course(lessons=("03",), due="2024-01-30", late_penalty=penalty)
        assert _fresh(one, course, Limits(), "").late == late and len(one.files) == kept


def test_a_learner_is_graded_again_when_anything_that_counts_has_changed(tmp_path):
    def mark(course: Course, limits: Limits = Limits(), variant: str = "", **more) -> str:  # noqa: B008
        one = handed(tmp_path, "03_shapes.ipynb", "helper.py")
        vars(one).update(more)
        return _fresh(one, course, limits, variant).mark

    first = Course(lessons=("03",))
    marks = [
        mark(first),
        mark(first, mark="n"),
        mark(Course(lessons=("03", "05"))),
        mark(first, Limits(seconds=5)),
        mark(first, variant="Ada"),
        mark(Course(lessons=("03",), secret="s"), variant="Ada"),
        mark(first, files=[tmp_path / "03_shapes.ipynb"]),
    ]
    assert len(set(marks)) == len(marks)
    assert mark(Course(lessons=("03",), secret="s")) == marks[0]  # nobody's numbers depend on it
    assert mark(Course(lessons=("03",), title="Lab", maximum=9)) == marks[0]  # only counted anew


# ---- from end to end


@pytest.fixture
def graded(monkeypatch):
    "Grading that takes no time: what each learner's notebook says in `right` passes. All calls."
    calls: list[dict] = []

    def run(everyone, folder, jobs, limits, say, **more):
        calls.append({"names": [*everyone], "jobs": jobs, "limits": limits} | more)
        for name, files in everyone.items():
            text = "".join(path.read_text() for path in files)
            found = {id: result("passed" if id in text else "failed") for id in IDS}
            more["done"](Grade(name, found, [f"{name} was run"]))

    monkeypatch.setattr(classroom, "grade_learners", run)
    return calls


def moodle(folder: Path, **right: str) -> Path:
    "A class in which each learner has so many exercises right, as Moodle exports it."
    for i, (name, ids) in enumerate(right.items()):
        place = folder / f"{name}_{i}_assignsubmission_file_"
        place.mkdir(parents=True, exist_ok=True)
        (place / "03_shapes.ipynb").write_text(json.dumps({"cells": [], "right": ids}))
    return folder


def test_everything_is_written_and_said(tmp_path, graded):
    folder = moodle(tmp_path / "class", Ada=" ".join(IDS), Ben=IDS[0])
    (tmp_path / "course.toml").write_text('lessons = ["03"]\nsecret = "s"\n')
    (tmp_path / "r.csv").write_text(
        "Identifier,Full name,Email address,Grade,Maximum Grade\n"
        "Participant 0,Ada,a@x,,20\nParticipant 1,Bén,b@x,,20\n",
        "utf-16",
    )
    told: list[str] = []
    out = tmp_path / "out"
    records, written = grade_class(
        folder,
        out,
        roster=tmp_path / "r.csv",
        variants="email",
        back=["moodle", "canvas"],
        jobs=3,
        limits=Limits(seconds=7),
        container="image",
        say=told.append,
    )
    (call,) = graded
    assert call["names"] == ["Ada", "Bén"] and call["jobs"] == 3 and call["container"] == "image"
    assert call["limits"] == Limits(seconds=7) and call["secret"] == "s"
    assert call["variants"] == {"Ada": "a@x", "Bén": "b@x"}
    hidden = [folder, out, tmp_path / "r.csv", tmp_path / "course.toml"]
    assert [Path(one) for one in call["hidden"]] == hidden
    assert [(one.name, one.variant, one.remarks) for one in records] == [
        ("Ada", "a@x", ["Ada was run"]),
        ("Bén", "b@x", ["Bén was run"]),
    ]
    names = ["grades.csv", "moodle.csv", "canvas.csv", "report.md", "class.html", "feedback"]
    assert written == [out / name for name in names]
    assert {path.name for path in (out / "feedback").iterdir()} == {
        "Ada.html",
        "Ada.md",
        "Bén.html",
        "Bén.md",
    }
    assert next(row["percent"] for row in rows_of(out / "grades.csv")) == "100"
    grades = [row["Grade"] for row in rows_of(out / "moodle.csv", "utf-16")]  # as it came
    most = sum(BY_ID[id].difficulty for id in IDS)
    assert grades[0] == "20" and float(grades[1]) == pytest.approx(
        20 * BY_ID[IDS[0]].difficulty / most, abs=0.01
    )
    said = "\n".join(told)
    assert f"what counts is in {tmp_path / 'course.toml'}" in told
    assert "each learner has numbers of their own, drawn from the email" in told
    assert "canvas.csv: made without Canvas's own roster" in said
    assert "of several files" not in said and "no lessons were named" not in said
    report = (out / "report.md").read_text("utf-8")
    assert "what counts is in" in report and "Ada was run" in report


def test_what_cannot_be_used_is_told_before_anything_is_written(tmp_path, graded):
    folder = moodle(tmp_path / "class", Ada="")
    for options, said in (
        ({"back": ["moodle", "webct"]}, "there is no platform 'webct': choose from moodle"),
        ({"only": ["Cleo"]}, "nobody in this class"),
        ({"lessons": ["77"]}, "there is no lesson 77"),
    ):
        with pytest.raises(ValueError, match=said):
            grade_class(folder, tmp_path / "out", **options)
    with pytest.raises(NotADirectoryError):
        grade_class(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        grade_class(folder, tmp_path / "file")
    assert not graded and {path.name for path in tmp_path.iterdir()} == {"class", "file"}


def test_without_lessons_those_count_that_somebody_answered(tmp_path, graded):
    folder = moodle(tmp_path / "class", Ada=IDS[0])
    told: list[str] = []
    grade_class(folder, tmp_path / "out", say=told.append)
    assert "no lessons were named, so those count that somebody has answered: 03" in told
    (row,) = rows_of(tmp_path / "out" / "grades.csv")
    assert [*row][6:] == IDS
    assert "no lessons were named" in (tmp_path / "out" / "report.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("repeated", "rule"), [("best", "the better answer to each exercise"), ("last", "the last one")]
)
def test_of_several_files_it_is_said_which_counts(tmp_path, graded, repeated, rule):
    folder = moodle(tmp_path / "class", Ada=IDS[0])
    (folder / "Ada_0_assignsubmission_file_" / "03_shapes-1.ipynb").write_text('{"cells": []}')
    (tmp_path / "c.toml").write_text(f'lessons = ["03"]\nrepeated = "{repeated}"\n')
    told: list[str] = []
    grade_class(folder, tmp_path / "out", course=tmp_path / "c.toml", say=told.append)
    assert f"of several files for one lesson, {rule} counts" in told


def test_who_is_graded_already_is_told(tmp_path, graded):
    folder, out = moodle(tmp_path / "class", Ada=IDS[0], Ben="", Cleo=""), tmp_path / "out"
    told: list[str] = []
    options = {"lessons": ["03"], "say": told.append}
    grade_class(folder, out, **options)
    assert not any("already" in line for line in told)
    grade_class(folder, out, **options)
    assert told[-1] == (
        "everybody is graded already, and the files are the same (--again grades all anew)"
    )
    moodle(folder, Ada="x")
    records, _ = grade_class(folder, out, **options)
    assert told[-1] == (
        "2 learners are graded already, and their files are the same: going on with 1 "
        "(--again grades all anew)"
    )
    assert [call["names"] for call in graded] == [["Ada", "Ben", "Cleo"], ["Ada"]]
    assert records[0].remarks == ["Ada was run"]
    grade_class(folder, out, again=True, **options)
    assert graded[-1]["names"] == ["Ada", "Ben", "Cleo"]
    grade_class(folder, out, only=["ben"], **options)
    assert graded[-1]["names"] == ["Ben"]


def test_who_comes_later_costs_nobody_a_second_run(tmp_path, graded):
    folder, out = moodle(tmp_path / "class", Ada="a", Cleo="c"), tmp_path / "out"
    grade_class(folder, out, lessons=["03"])
    place = folder / "Ben_9_assignsubmission_file_"
    place.mkdir()
    (place / "03_shapes.ipynb").write_text('{"cells": [], "right": "b"}')
    records, _ = grade_class(folder, out, lessons=["03"])
    assert [call["names"] for call in graded] == [["Ada", "Cleo"], ["Ben"]]
    assert [one.name for one in records] == ["Ada", "Ben", "Cleo"]


@pytest.mark.parametrize(
    ("gone", "few"), [(5, "L0, L1, L2, L3, L4"), (6, "L0, L1, L2, L3, L4 ...")]
)
def test_who_has_left_is_left_out_and_told(tmp_path, graded, gone, few):
    folder, out = (
        moodle(tmp_path / "class", **{f"L{i}": f"{i}" for i in range(gone + 1)}),
        tmp_path / "out",
    )
    told: list[str] = []
    grade_class(folder, out, lessons=["03"], say=told.append)
    for path in sorted(folder.iterdir())[:gone]:
        (path / "03_shapes.ipynb").unlink()
        path.rmdir()
    records, _ = grade_class(folder, out, lessons=["03"], say=told.append)
    assert f"no longer in the class, and left out: {few}" in told
    assert [one.name for one in records] == [f"L{gone}"]
    assert {path.stem for path in (out / "feedback").iterdir()} == {f"L{gone}"}
    assert f"left out: {few}" in (out / "report.md").read_text("utf-8").replace("\\", "")


def test_two_names_that_files_cannot_tell_apart_have_a_page_each(tmp_path, graded):
    folder = moodle(tmp_path / "class", **{"A b": "", "A:b": "", "a b": ""})
    grade_class(folder, tmp_path / "out", lessons=["03"])
    assert len([*(tmp_path / "out" / "feedback").iterdir()]) == 6


def test_without_names_nothing_leads_to_anybody(tmp_path, graded):
    folder = moodle(tmp_path / "Zoraidas class", Zoraida=IDS[0])
    grade_class(folder, tmp_path / "out", lessons=["03"], names=False)
    report = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "Zoraida" not in report and "Learner 1" in report
    assert [row["name"] for row in rows_of(tmp_path / "out" / "grades.csv")] == ["Zoraida"]


def test_what_a_learner_calls_course_toml_says_nothing(tmp_path, monkeypatch):
    "It might name exercises of its own, and those are run."
    source = tmp_path / "class" / "ada"
    source.mkdir(parents=True)
    (source / "course.toml").write_text('own_exercises = "lab.py"')
    assert _course_file(source) == source / "course.toml"  # a class that nobody is in yet
    (source / "03_shapes (2).ipynb").touch()
    assert _course_file(source) is None
    (tmp_path / "class" / "course.toml").touch()
    assert _course_file(source) == tmp_path / "class" / "course.toml"
    monkeypatch.chdir(source)
    for place in (Path(), source):
        with pytest.raises(ValueError, match="handed in with the rest"):
            _course_file(place)


def test_a_course_toml_among_loose_notebooks_runs_no_code(tmp_path, graded, monkeypatch):
    "Where nobody has a folder, a learner may have sent it, under that name."
    source = tmp_path / "class"
    source.mkdir()
    (source / "03_shapes - Ada.ipynb").touch()
    (tmp_path / "lab.py").write_text("raise SystemExit('it was run')")
    named = 'own_exercises = "../lab.py"'
    for text in (named, "\"own_e\\u0078ercises\" = '../lab.py'"):  # TOML knows both
        (source / "course.toml").write_text(text)
        for place in (source, Path()):
            with monkeypatch.context() as patch:
                if place == Path():
                    patch.chdir(source)
                with pytest.raises(DataError, match="name it with --course"):
                    grade_class(place, tmp_path / "grades", lessons=["03"])
    assert not (tmp_path / "grades").exists()
    (source / "course.toml").write_text("late_penalty = 10")  # what counts may be said there
    assert _course_file(source) == source / "course.toml"
    assert classroom._lies_among_work(source / "course.toml", source)
    assert not classroom._lies_among_work(tmp_path / "course.toml", source)
    (source / "course.toml").rename(tmp_path / "course.toml")
    (tmp_path / "course.toml").write_text('own_exercises = "lab.py"')
    with pytest.raises((SystemExit, DataError), match=r"it was run|lab"):
        grade_class(source, tmp_path / "grades", lessons=["03"])  # beside the folder, it's ours


def test_who_has_the_same_files_keeps_remarks_of_their_own(tmp_path, graded):
    source = moodle(tmp_path / "class", Ada="", Ben="")
    (source / "Ada_0_assignsubmission_file_" / "diary").symlink_to(tmp_path)
    said = []
    for _ in range(2):  # the second time nobody is run
        records, _ = classroom.grade_class(source, tmp_path / "grades", lessons=["03"])
        said.append({one.name: [*one.remarks] for one in records})
    assert "diary: a link, and not followed" in said[0]["Ada"] and said[0] == said[1]
    assert not any("diary" in one for one in said[1]["Ben"])
