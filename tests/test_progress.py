"""Progress: a plain file that survives crashes and two writers; predictions, and what they say about the learner."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mnist_course.progress
from mnist_course.base import CourseWarning
from mnist_course.checks import check, exercises, progress
from mnist_course.cli import main
from mnist_course.progress import (
    FILE,
    MANIFEST,
    OLD_FILE,
    QUESTIONS,
    SESSION,
    append,
    calibration,
    events,
    guess,
    progress_file,
    readings,
    record,
    reveal,
)


@pytest.fixture(autouse=True)
def questions(monkeypatch):
    "Three questions of these tests' own, beside the lessons'."
    own = {
        "99.one_letter": "a b c d",
        "99.two_letters": "2 of a b c",
        "99.two_numbers": "2 numbers",
    }
    for id, takes in own.items():
        monkeypatch.setitem(mnist_course.progress.QUESTIONS, id, takes)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    "A learner's folder that we stand in."
    (tmp_path / MANIFEST).write_text("{}")
    monkeypatch.delenv("MNIST_COURSE_PROGRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(id: str) -> str:
    return next(row[3] for row in progress() if row[1] == id)


def test_checks_are_kept_in_the_learners_folder(folder):
    assert state("03.team_params") == "open"
    check("03.team_params", 51_200)
    assert state("03.team_params") == "tried"
    check("03.team_params", 51_328)
    check("03.team_params", 3)
    assert state("03.team_params") == "passed"  # once passed, always passed
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    assert [line["misconception"] for line in lines] == ["bias_forgotten", None, None]


def test_an_untouched_stub_leaves_no_trace(folder):
    check("03.team_params", ...)
    assert not (folder / FILE).exists()


def test_a_folder_inside_the_learners_folder_counts_as_it(folder, monkeypatch):
    (folder / "runs" / "first").mkdir(parents=True)
    monkeypatch.chdir(folder / "runs" / "first")
    assert progress_file() == folder / FILE
    (folder / "runs" / MANIFEST).write_text("{}")  # one in the other: the nearest counts
    assert progress_file() == folder / "runs" / FILE
    monkeypatch.chdir(folder / "runs")
    assert progress_file() == folder / "runs" / FILE


def test_outside_of_a_learners_folder_it_lasts_as_long_as_the_process(folder, monkeypatch):
    (folder / MANIFEST).unlink()
    check("03.field_width", 19)
    assert progress_file() is None and state("03.field_width") == "passed"


def test_a_line_that_a_crash_cut_short_costs_that_line_only(folder):
    check("03.team_params", 51_328)
    with open(folder / FILE, "ab") as file:
        file.write(b'\n{"kind": "check", "id": "03.fie')
    check("03.same_padding", lambda k, d=1: 3)
    assert [event["id"] for event in events()] == ["03.team_params", "03.same_padding"]
    (folder / FILE).write_bytes(b"\xff\xfe\n[1]\n{}\n" + (folder / FILE).read_bytes())
    assert state("03.team_params") == "passed" and state("03.same_padding") == "tried"


def test_a_file_of_the_version_before_goes_on(folder):
    "It ended each line, where this one begins each with the newline."
    event = {"kind": "check", "id": "03.team_params", "status": "passed", "misconception": None}
    old = json.dumps(event).encode() + b"\n"
    (folder / FILE).write_bytes(old + b'{"kind": "check", "id": "03.fie')
    check("03.same_padding", lambda k, d=1: 3)
    assert [event["id"] for event in events()] == ["03.team_params", "03.same_padding"]
    (folder / FILE).write_bytes(old)
    check("03.same_padding", lambda k, d=1: 3)
    assert [event["id"] for event in events()] == ["03.team_params", "03.same_padding"]


def test_two_notebooks_may_write_at_once(folder):
    code = """
import filelock
from mnist_course.progress import append

# On a busy machine ten seconds may pass before it is one's turn.
lock = filelock.FileLock
filelock.FileLock = lambda path, timeout, mode: lock(path, timeout=-1, mode=mode)
for i in range(100):
    append({"kind": "check", "id": "03.x", "status": "failed", "n": i})
"""
    writers = [subprocess.Popen([sys.executable, "-c", code], cwd=folder) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(event["n"] for event in events()) == sorted(list(range(100)) * 3)


def test_a_folder_that_cannot_be_written_costs_no_answer(folder, capsys):
    (folder / FILE).mkdir()  # a file of this name cannot be opened
    with pytest.warns(CourseWarning, match="progress was not written"):
        assert check("03.team_params", 51_328)
    assert SESSION[-1]["status"] == "passed"  # it lasts as long as the process
    with pytest.warns(CourseWarning, match="progress was not read"):
        assert [event["status"] for event in events()] == ["passed"]
    assert capsys.readouterr().out == ""


def test_the_command_shows_it(folder, capsys, monkeypatch):
    check("03.team_params", 51_328)
    assert main(["progress"]) == 0
    said = capsys.readouterr().out
    row = next(line.split() for line in said.splitlines() if line.startswith("03"))
    three = [item for item in exercises() if item.lesson == "03"]
    minutes = sum(item.minutes for item in three if item.id != "03.team_params")
    assert row == ["03", "1", "0", str(len(three) - 1), str(minutes), "03.output_size"]
    (folder / "elsewhere").mkdir()
    assert (
        main(["progress", str(folder / "elsewhere")]) == 2
        and "is no folder that" in capsys.readouterr().err
    )
    assert main(["progress", str(folder)]) == 0


def test_a_guess_and_what_became_of_it(folder, capsys):
    assert "no guess yet" in guess("03.places", ..., sure=...).text
    reveal("03.places", 24)
    assert capsys.readouterr().out == "" and events() == []
    assert "80% sure" in guess("03.places", 23, sure=0.8).text
    assert (
        guess("03.places", 24, sure=0.7).text == "03.places: you say 24, and you are 70% sure."
    )  # changed their mind
    reveal("03.places", 24)
    assert capsys.readouterr().out == "03.places: you said 24, 70% sure: right\n"
    reveal("03.places", 24)  # the cell is run again
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sure", [-0.1, 1.5, 80, float("nan"), "very", None])
def test_how_sure_is_a_probability(sure):
    assert "is no probability" in guess("03.places", 24, sure=sure).text and events() == []


@pytest.mark.parametrize(
    ("guessed", "actual", "within", "right"),
    [
        (24, 24, 0, True),
        (24.0, 24, 0, True),
        ("B", "b", 0, True),
        ("b ", "b", 0, True),
        (2.31, 2.3026, 0.02, True),
        (2.4, 2.3026, 0.02, False),
        ([28, 28], [28, 28], 0, True),
        ((28, 28), [28, 28], 0, True),
        (torch.tensor(24), 24, 0, True),
        (torch.Size([28, 28]), torch.zeros(28, 28).shape, 0, True),
        ([28], [28, 28], 0, False),
        ("many", 3, 0, False),
        (None, 3, 0, False),
        ("18,496", 18_496, 0, True),
        ("17 million", 17_000_000, 0, True),
        ("1.1864 million", 1_186_400, 0, True),
        ("about 2 Thousand", 2_000, 0, True),
        ("a million", 1_000_000, 0, False),
        ([18, 496], 18_496, 0, True),
        ("c b", "cb", 0, True),
        (".6", 0.6, 0, True),
        ("60%", 0.6, 0, True),
        (0.11, 0.1, 0.01, True),
        (True, "b", 0, False),
    ],
)
def test_what_counts_as_right(capsys, guessed, actual, within, right):
    guess("01.x", guessed, sure=0.5)
    reveal("01.x", actual, within)
    assert capsys.readouterr().out.endswith("right\n" if right else "not this time\n")


@pytest.mark.parametrize(
    ("id", "typed", "kept"),
    [
        ("03.conv2_learns", (18, 496), 18_496),
        ("03.conv2_learns", ("18,496",), 18_496),
        ("03.conv2_learns", ("18 496",), 18_496),
        ("03.places", ("24 places",), 24),
        ("03.places", ([24],), 24),
        ("03.places", (torch.tensor(24),), 24),
        ("07.first_step", (".6",), 0.6),
        ("07.first_step", ("0,6",), 0.6),
        ("07.settles", ("Never",), "never"),
        ("07.settles", (10,), 10),
        ("99.two_letters", ("c b",), "cb"),
        ("99.two_letters", (["C", "B"],), "cb"),
        ("99.two_letters", ("c", "b"), "cb"),
        ("99.one_letter", (" C ",), "c"),
        ("99.one_letter", ("(c)",), "c"),
        ("11.reads_the_seven", ("Yes",), "yes"),
        ("11.higher_temperature", ("Held out",), "held out"),
        ("13.best", (["label smoothing"],), "label smoothing"),
        ("99.two_numbers", ("4, 1",), [4, 1]),
        ("99.two_numbers", (4, 1), [4, 1]),
        ("99.two_numbers", ((4, 1),), [4, 1]),
        ("00.one_digit", ("[1, 28, 28]",), [1, 28, 28]),
        ("15.unnormalized", ("45%",), 45),
    ],
)
def test_a_guess_is_read_as_people_type_it(id, typed, kept):
    assert f"you say {kept}," in guess(id, *typed, sure=0.5).text
    assert events()[0]["value"] == kept


@pytest.mark.parametrize(
    ("id", "typed", "words"),
    [
        ("99.one_letter", 2.3, "answer a, b, c or d, in quotation marks"),
        ("99.one_letter", "e", "answer a, b, c or d"),
        ("99.two_letters", "c", "2 letters of a, b or c are asked for"),
        ("03.places", "many", "a number is asked for, such as `24`"),
        ("03.places", None, "a number is asked for"),
        ("03.places", True, "a number is asked for"),
        ("99.two_numbers", 4, "2 numbers are asked for, in square brackets"),
        ("00.one_digit", 4, "a list of numbers is asked for, in square brackets"),
        ("07.settles", "soon", "type never in quotation marks, or a number"),
        ("13.best", 3, "a word is asked for"),
        ("11.box_of_a_7", "middle", "answer higher or lower"),
        ("03.places", 10**400, "a number is asked for"),
    ],
)
def test_what_is_no_answer_to_the_question_is_not_kept(id, typed, words):
    assert words in guess(id, typed, sure=0.5).text and events() == []


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ([18, 496], [18496, 18.496]),
        ((0, 5), [0.5]),  # no number begins with 0,
        ([18, 999], [18999, 18.999]),
        ([18, 1000], [18.1]),  # nor has four digits after a comma
        ([1000, 5], [1000.5]),
        ([1, 2, 3], [1002003]),
        ([-999, 0], [-999000, -999.0]),
        ([1, -1], []),
        ([1, 2.5], []),
        (["5", "7"], [[5, 7], [5, "7"], ["5", 7], ["5", "7"]]),
        ([7], [7]),
        (["1/2", 3], [[0.5, 3], ["1/2", 3]]),
        (["a", "b"], []),
        ("(5)", [[5]]),
        ("5", [5]),
        (5, []),
        ("0" * 199 + "7", [7]),
        ("0" * 200 + "7", []),  # too long for a number that anyone would type
    ],
)
def test_what_a_list_or_a_text_can_mean(typed, read):
    assert readings(typed) == read


def test_six_halves_are_read_and_seven_would_be_too_many():
    assert readings(["1/2"] * 6)[0] == [0.5] * 6 and readings(["1/2"] * 7) == []


def test_how_sure_is_asked_for_where_it_is_missing():
    assert "Add it after your answer, such as `sure=0.7`" in guess("03.places", 24).text
    assert "Did you mean `sure=0.8`?" in guess("03.places", 24, sure=80).text
    assert events() == [] and "80% sure" in guess("03.places", 24, sure="80%").text


@pytest.mark.parametrize(
    "odd", [float("nan"), object(), {"a": {1}}, b"x", 1j, ["a", [None]], "x" * 999]
)
def test_odd_guesses_do_no_harm(odd, capsys):
    for id in ("03.places", "99.one_letter", "99.two_numbers", "13.best", "my.own"):
        guess(id, odd, sure=0.5)
        reveal(id, 3)
    itself = []
    itself.append(itself)
    assert "can't be kept" in guess("my.own", itself, sure=0.5).text


def test_every_question_of_the_lessons_says_what_it_takes():
    asked, revealed = set(), set()
    for path in (Path(__file__).parent.parent / "nbs").glob("[0-9][0-9]_*.ipynb"):
        text = path.read_text("utf-8")
        asked |= set(re.findall(r'guess\(\\"([\w.]+)\\"', text))
        revealed |= set(re.findall(r'reveal\(\\"([\w.]+)\\"', text))
    lessons = {id for id in QUESTIONS if not id.startswith("99.")}
    assert len(asked) > 50 and asked == lessons and revealed <= asked


def test_calibration_looks_back_on_first_guesses():
    assert "No guesses" in calibration("03").text
    for i, (value, sure) in enumerate([(1, 0.9), (0, 0.9), (0, 0.9), (1, 0.9)]):
        guess(f"03.q{i}", value, sure=sure)
        reveal(f"03.q{i}", 1)
    guess("03.q1", 1, sure=1)
    reveal("03.q1", 1)  # the second time one knows
    text = calibration("03").text
    assert (
        "4 guesses: you were 90% sure on average, and 50% of them were right. A little more doubt would pay."
        in text
    )
    assert "No guesses" in calibration("04").text


def test_events_keep_their_time(folder):
    append({"kind": "check", "id": "03.x", "status": "failed"})
    assert events()[0]["time"] > 1_700_000_000


def test_what_was_written_before_lesson_06_came_in_still_counts(tmp_path, monkeypatch):
    "Its id is the new one; own exercises, the lessons before, and what is written today stay."
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", str(tmp_path / "progress.jsonl"))
    old = ["05.gap", "06.equal_stride", "09.cosine", "14.tail", "15.x", "mine.06", "061.x"]
    lines = [json.dumps({"kind": "check", "id": id, "status": "passed"}) for id in old]
    (tmp_path / "progress.jsonl").write_text("\n".join(lines))
    append({"kind": "check", "id": "07.equal_stride", "status": "failed"})
    new = ["05.gap", "07.equal_stride", "10.cosine", "15.tail", "15.x", "mine.06", "061.x"]
    assert [event["id"] for event in events()] == [*new, "07.equal_stride"]
    assert "07.equal_stride" in {row.id for row in progress() if row.state == "passed"}


def test_a_notebook_of_before_asks_by_the_old_id():
    result = check("06.equal_stride", -1)
    assert result.id == "07.equal_stride" and result.status == "failed"
    assert "no exercise" in check("06.nothing_of_the_kind", 1).message


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"id": "03.x", "kind": "reveal"}',
        '{"id": "03.x", "kind": "reveal", "right": 1, "sure": 0.5}',
        '{"id": "03.x", "kind": "guess", "sure": "much"}',
        '{"id": "03.x", "kind": ["check"]}',
        '{"id": "03.x", "kind": "check", "status": []}',
        '{"id": "03.x", "kind": "check", "status": 5}',
        "9" * 5000,
    ],
    ids=range(8),
)
def test_a_line_that_is_no_event_costs_that_line_only(folder, line):
    record("03.good", "passed")
    path = folder / FILE
    path.write_text(f"{line}\n{path.read_text()}\n{line}")
    (folder / OLD_FILE).write_text(line)  # of before version 0.2
    assert [event["id"] for event in events()] == ["03.good"]
    calibration()


def test_an_event_says_of_how_many_lessons_its_course_was():
    guess("03.places", 24, sure=0.5)
    assert events()[0]["lessons"] == len({item.lesson for item in exercises()}) == 16
