"A teacher's own exercises: read, refused with the line, kept apart, graded; and looked over."

import json
import os
import re
import sys

import pytest

from mnist_course.base import DataError
from mnist_course.checks import COURSE, audit, check, exercises, own, progress
from mnist_course.cli import main

HEAD = "from mnist_course.checks import Version, exercise, exercises, mistake, other_numbers, variant\n\n"
ONE = """@exercise("lab.double", "Twice", 2, 5, cases=lambda rng: [(1,), (rng.randrange(3, 9),)])
def double(n):
    "Give twice the number."
    return 2 * n


@mistake("lab.double", "You squared it.")
def squared(n):
    return n * n
"""
GOOD = HEAD + ONE


@pytest.fixture(autouse=True)
def nothing_of_ours(monkeypatch, tmp_path):
    "Before and after each test, no file of exercises is known; we are in an empty folder."
    monkeypatch.delenv("MNIST_COURSE_EXERCISES", raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    for origin in list(own._KNOWN):
        own._forget(origin)
    own._KNOWN.clear()
    own._ASKED.clear()
    assert not [item for item in COURSE.values() if item.origin] and COURSE.inbox is None


def written(tmp_path, text=GOOD, name="lab.py"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / name


def own_ids():
    return [item.id for item in exercises() if item.origin]


# ---- where it is found


def test_a_variable_a_line_in_course_toml_and_a_command_name_the_file(tmp_path, monkeypatch):
    path = written(tmp_path)
    assert check("lab.double", lambda n: 2 * n).status == "failed"  # nobody has named it yet
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    assert check("lab.double", lambda n: 2 * n)
    monkeypatch.delenv("MNIST_COURSE_EXERCISES")
    for origin in list(own._KNOWN):
        own._forget(origin)
    own._KNOWN.clear()
    (tmp_path / "course.toml").write_text('own_exercises = ["lab.py"]')
    assert own_ids() == ["lab.double"]
    assert check("lab.double", lambda n: n * n).misconception == "squared"
    assert [row.id for row in progress(tmp_path)][-1] == "lab.double"


def test_two_files_and_a_learners_folder(tmp_path, monkeypatch):
    written(tmp_path)
    written(tmp_path, GOOD.replace("lab.", "bio2."), "bio.py")
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", os.pathsep.join(["lab.py", "bio.py"]))
    assert own_ids() == ["bio2.double", "lab.double"]
    folder = tmp_path / "mine"
    folder.mkdir()
    written(folder, GOOD.replace("lab.", "third."), "third.py")
    (folder / "course.toml").write_text('own_exercises = "third.py"')
    assert "third.double" in [row.id for row in progress(folder)]


def test_an_entry_point_is_read(monkeypatch, tmp_path):
    (tmp_path / "our_lab.py").write_text(GOOD)
    monkeypatch.syspath_prepend(tmp_path)
    point = own.importlib.metadata.EntryPoint("lab", "our_lab", own._GROUP)
    monkeypatch.setattr(own, "_INSTALLED", [point])
    assert own_ids() == ["lab.double"] and own.own_texts() == [["package our_lab", ""]]


def test_a_file_that_was_changed_is_read_again(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    assert check("lab.double", lambda n: 2 * n)
    written(tmp_path, GOOD.replace("2 * n", "3 * n + 0").replace("double", "triple"))
    assert own_ids() == ["lab.triple"] and check("lab.triple", lambda n: 3 * n)


# ---- what is refused, with its line

REFUSED = {
    "def f(:\n": (3, "this isn't Python"),
    ONE.replace("lab.", "03."): (3, "numbers before the dot are the course's own lessons"),
    ONE.replace("lab.", "16."): (3, "numbers before the dot"),
    ONE.replace("lab.", "3b."): (3, "numbers before the dot"),
    ONE.replace("lab.", "Lab."): (3, "is no id"),
    ONE.replace("lab.", "my lab."): (3, "is no id"),
    ONE.replace("lab.double", "double"): (3, "is no id"),
    ONE.replace("lab.double", "lab.class"): (3, "Python needs the word itself"),
    ONE + "\n\n" + ONE: (14, "earlier in this file"),
    ONE + "\n\n" + ONE.split("\n\n\n")[1]: (14, "'squared' already"),
    ONE.replace('    "Give twice the number."\n', ""): (3, "what is asked?"),
    ONE.replace("cases=", "hint=") + "": (3, "needs cases="),
    ONE.replace("2, 5,", "6, 5,"): (3, "from 1 to 5"),
    ONE.replace("2, 5,", "True, 5,"): (3, "from 1 to 5"),
    ONE.replace("2, 5,", "2, 0,"): (3, "from 1 up"),
    ONE.replace("2, 5,", '2, 5, "riddle",'): (3, "the kind is one of"),
    ONE.replace("cases=", "case="): (3, "exercise() got an unexpected keyword"),
    ONE.replace('mistake("lab.double"', 'mistake("lab.triple"'): (9, "no exercise 'lab.triple'"),
    ONE.replace('mistake("lab.double"', 'mistake("03.team_params"'): (9, "no exercise '03.team"),
    ONE.replace('"You squared it."', '" "'): (9, "what should the learner be told?"),
    ONE + '\n\nvariant("lab.double", "unknown_one")(abs)\n': (14, "has no mistake 'unknown_one'"),
    ONE + "\n\ndef f(x):\n    return x.missing\n\n\nf(3)\n": (15, "AttributeError"),
    ONE + "\n\nraise SystemExit(3)\n": (14, "SystemExit"),
    ONE + "\n\nimport a_module_that_is_not_there\n": (14, "ModuleNotFoundError"),
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: REFUSED[text][1])
def test_what_is_wrong_is_told_with_its_line_and_nothing_is_kept(text, tmp_path, monkeypatch):
    line, words = REFUSED[text]
    path = written(tmp_path, HEAD + text)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    with pytest.raises(
        DataError, match=f"^{re.escape(str(path))}, line {line}: .*{re.escape(words)}"
    ):
        exercises()
    said = check("lab.double", lambda n: 2 * n)
    assert said.status == "not attempted" and f"line {line}" in said.message
    assert check("03.team_params", 51_328)  # the course's own aren't touched


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no exercise in it"),
        (b"# \xe9\n", "isn't text in UTF-8"),
        (None, "can't be read: No such file"),
    ],
)
def test_a_file_that_is_none(text, words, tmp_path, monkeypatch, capsys):
    if text is not None:
        written(tmp_path, text)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", "lab.py")
    assert main(["sheet", "--out", "x.md"]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1 and not (tmp_path / "x.md").exists()


@pytest.mark.parametrize(
    ("toml", "words"),
    [("own_exercises = 3", "must be a file"), ("own_exercises =", "is no TOML"), ("a = 1", "")],
)
def test_a_course_toml_that_cannot_be(toml, words, tmp_path):
    (tmp_path / "course.toml").write_text(toml)
    if not words:
        assert not [item for item in exercises() if item.origin]
        return
    with pytest.raises(DataError, match=words):
        exercises()


def test_two_files_with_the_same_id_name_each_other(tmp_path, monkeypatch):
    written(tmp_path)
    written(tmp_path, GOOD, "other.py")
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", os.pathsep.join(["lab.py", "other.py"]))
    with pytest.raises(
        DataError, match=r"other\.py, line 3: .*'lab\.double' already, in .*lab\.py"
    ):
        exercises()


def test_a_number_stays_a_lessons_even_where_a_name_is_the_same(tmp_path, monkeypatch):
    written(tmp_path, GOOD.replace("double", "flat_features"))
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", "lab.py")
    assert own_ids() == ["lab.flat_features"]
    assert check("04.flat_features", 3).id == "03.flat_features"  # as before a renumbering
    assert check("lab.nothing", 3).status == "failed"


def test_audit_reads_what_is_named_and_who_asks_for_the_exercises_is_heard(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(written(tmp_path)))
    assert audit("lab.double").caught == 1
    heard = []
    monkeypatch.setattr(sys, "audit", lambda *event: heard.append(event))
    exercises()
    assert ("checks.exercises",) in heard


def test_audit_takes_an_exercise_and_names_one_that_is_not_there():
    assert audit(COURSE["03.team_params"]).passed
    with pytest.raises(ValueError, match=r"did you mean '03\.team_params'"):
        audit("03.team_param")


# ---- the grader, the sheet


@pytest.mark.drawn(3, of="classes")
@pytest.mark.slow
def test_a_class_with_exercises_of_its_own_is_graded_in_a_room_of_its_own(tmp_path, capsys):
    written(tmp_path)
    (tmp_path / "course.toml").write_text('own_exercises = "lab.py"\nlessons = ["lab"]\n')
    for name, answer in {"ada": "2 * n", "ben": "n * n", "eve": "..."}.items():
        folder = tmp_path / "class" / name
        folder.mkdir(parents=True)
        cells = [
            "from mnist_course.checks import check",
            f'def double(n):\n    return {answer}\n\n\ncheck("lab.double", double)',
        ]
        made = [{"cell_type": "code", "source": c, "metadata": {}, "outputs": []} for c in cells]
        notebook = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (folder / "lab.ipynb").write_text(json.dumps(notebook))
        # what a learner hands in is nobody's instruction
        (folder / "course.toml").write_text('own_exercises = "evil.py"')
        (folder / "evil.py").write_text(GOOD.replace("2 * n", "n * n"))
    assert main(["grade", "class", "--jobs", "1"]) == 0, capsys.readouterr()
    rows = (tmp_path / "grades" / "grades.csv").read_text("utf-8-sig").splitlines()
    assert [row.split(",")[0::3] for row in rows[1:]] == [
        ["ada", "2", "2"],
        ["ben", "0", "0"],
        ["eve", "0", "0"],
    ]
    feedback = (tmp_path / "grades" / "feedback" / "ben.md").read_text()
    assert "You squared it." in feedback and "what your teacher gave you" in feedback
    assert "not yet" in feedback
    assert main(["sheet", "lab", "--out", "lab.md"]) == 0
    sheet = (tmp_path / "lab.md").read_text()
    assert "Give twice the number." in sheet and "def double(n):\n    ..." in sheet
    assert "2 * n" not in sheet
    # another text of the same exercises is graded anew
    capsys.readouterr()
    written(tmp_path, GOOD.replace("You squared it.", "Squared, not doubled."))
    assert main(["grade", "class", "--jobs", "1"]) == 0
    assert "are the same" not in capsys.readouterr().out


# ---- looked over


def test_a_sound_exercise_has_nothing_to_mend(tmp_path, capsys):
    more = '\n\n@mistake("lab.double", "You added two.")\ndef added(n):\n    return n + 2\n'
    written(tmp_path, GOOD + more)
    assert main(["audit", "lab.py"]) == 0
    said = capsys.readouterr().out
    assert "found by their names: 2 of 2" in said and "nothing has to be mended" in said
    assert re.search(r"(\d+) of \1 small changes are refused", said)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("2 * n", "n + n if n < 9 else 1 / 0"), None),
        (("(1,), (rng.randrange(3, 9),)", "(2,)"), "squared is found as passed"),
        (("return n * n", "return 2 * n"), "squared is found as passed"),
        (("cases=", 'edges={"none": lambda n: n == 0}, cases='), "'none' was never drawn"),
        (("return 2 * n", "return None"), "passes"),
    ],
)
def test_what_is_wrong_with_an_exercise_is_found(change, words, tmp_path, capsys):
    written(tmp_path, GOOD.replace(*change))
    status = main(["audit", "lab.py"])
    said = capsys.readouterr().out
    assert (status == 1 and words in said) if words else status == 0, said


def test_audit_without_a_file_asks_which(capsys):
    assert main(["audit"]) == 2 and "which file?" in capsys.readouterr().err


def test_a_file_that_is_gone_takes_its_exercises_along(tmp_path):
    from mnist_course.checks.own import use_own

    path = tmp_path / "lab.py"
    path.write_text(
        "from mnist_course.checks import exercise\n\n"
        'exercise("gone.three", "Three", 1, 1, task="What is 1 + 2?", answer=3)\n'
        'exercise("gone.four", "Four", 1, 1, task="What is 2 + 2?", answer=4)\n'
    )
    use_own([path])
    assert own_ids() == ["gone.three", "gone.four"]
    path.unlink()
    assert own_ids() == [] and own.own_texts() == []


BY_HAND = """exercise("lab.sum", "A sum", 1, 1, "by hand", task="What is 2 + 3?", answer=5)
mistake("lab.sum", "You multiplied.", "product", 6)
mistake("lab.sum", "You took away.", "taken", -1)


@other_numbers("lab.sum", (2, 3), lambda rng: (rng.randrange(3, 90), rng.randrange(3, 90)))
def version(a, b):
    return Version(f"What is {a} + {b}?", a + b, {"product": a * b, "taken": a - b})
"""


def looked_over(tmp_path, capsys, text):
    "The exit status of `audit`, and what it says."
    written(tmp_path, HEAD + text)
    status = main(["audit", "lab.py"])
    told = capsys.readouterr()
    return status, told.out + told.err


def test_numbers_for_everybody_are_looked_over(tmp_path, capsys):
    status, said = looked_over(tmp_path, capsys, BY_HAND)
    assert status == 0 and "to look at: 0" in said, said
    number = int(re.search(r"variants for 100 people have (\d+) different answers", said)[1])
    assert 40 < number <= 100 and "small changes" not in said
    assert "4 other styles pass" in said and "the solution passes with 3 seeds" in said


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (("a + b, {", "a + b + 1, {"), 1, "other_numbers gives 6, and the answer is 5"),
        (("rng.randrange(3, 90), rng.randrange(3, 90)", "2, 3"), 1, "no numbers were found"),
        (("rng.randrange(3, 90))", "4)"), 0, None),
        (
            ("rng.randrange(3, 90), rng.randrange(3, 90)", "rng.randrange(3, 6), 4"),
            0,
            "neighbors will often have the same numbers",
        ),
        (('mistake("lab.sum", "You took away.", "taken", -1)\n', ""), 2, "no mistake 'taken'"),
    ],
)
def test_what_is_wrong_with_numbers_for_everybody_is_found(change, status, words, tmp_path, capsys):
    found, said = looked_over(tmp_path, capsys, BY_HAND.replace(*change))
    assert found == status and (words or "to look at: 0") in said, said


FUNCTION = """@exercise("lab.small", "Small", 1, 1, {options})
def small(n):
    "Is n small?"
    return n < 3
"""


@pytest.mark.parametrize(
    ("options", "more", "status", "words"),
    [
        ("cases=lambda rng: [(rng.random(),)]", "", 0, "? passes although it was changed: 3 -> 4"),
        ("cases=lambda rng: [(rng.choice([1, 3]),), (9,)]", "", 0, "? passes with some seeds: "),
        ("cases=lambda rng: [(2,), (3,)]", "", 0, "? fewer than two mistakes have a name"),
        (
            "cases=lambda rng: [(2,), (4,)]",
            'mistake("lab.small", "At most.", "at_most", lambda n: n <= 3)\n'
            'mistake("lab.small", "More.", "more", lambda n: n < 4)\n',
            1,
            "the mistake at_most is found as passed: draw a case that tells them apart",
        ),
        (
            "cases=lambda rng: [(2,), (3,)], run=lambda f, n: {True: 1, False: 0}[f(n)]",
            "",
            0,
            "other styles pass",
        ),
        ("cases=lambda rng: [(2,)], run=lambda f, n: f(n) is True", "", 1, "right, but refused as"),
        (
            "cases=lambda rng: [(2,)], run=lambda f, n: 7",
            "",
            1,
            "a function that gives None passes",
        ),
        (
            "judge=lambda made, rng: None",
            "",
            0,
            "? a function that gives None passes\n  ? '' passes",
        ),
    ],
)
def test_what_deserves_a_look_is_said(options, more, status, words, tmp_path, capsys):
    text = FUNCTION.format(options=options)
    if "judge" in options:
        text = text.replace("small(n)", "small()").replace("n < 3", "2 < 3")
    found, said = looked_over(tmp_path, capsys, text + more)
    assert found == status and words in said, said


def test_a_solution_that_does_not_pass_is_all_that_is_said(tmp_path, capsys):
    judged = FUNCTION.format(options="judge=refuse").replace("(n)", "()").replace("n <", "2 <")
    text = 'def refuse(made, rng):\n    raise Wrong("Nothing is right.")\n\n\n' + judged
    status, said = looked_over(tmp_path, capsys, "from mnist_course.checks import Wrong\n" + text)
    assert status == 1 and "its own solution doesn't pass: " in said
    assert "small changes" not in said and "styles" not in said


@pytest.mark.parametrize("solution", ["\n    lambda n: n < 3\n", "lambda n: n < 3", "math.isnan"])
def test_a_solution_without_a_def_has_no_small_changes(solution, tmp_path, capsys):
    text = 'exercise("lab.small", "Small", 1, 1, task="?", cases=lambda rng: [(2,), (3,)])('
    status, said = looked_over(tmp_path, capsys, f"import math\n\n{text}{solution})\n")
    assert status == 0 and "? no small changes were tried: the solution should be a def" in said


@pytest.mark.parametrize(("more", "status"), [("answer=0", 0), ("answer=5, atol=6", 1)])
def test_what_is_no_answer_does_not_pass_unless_it_is_the_right_one(more, status, tmp_path, capsys):
    found, said = looked_over(
        tmp_path, capsys, f'exercise("lab.n", "How many", 1, 1, task="How many?", {more})\n'
    )
    assert found == status and ("✗ 0 passes" in said) == bool(status), said


def test_a_variant_that_its_own_judge_refuses_is_found(tmp_path, capsys):
    judge = "def judge(made, rng):\n    if made != 5:\n        raise ValueError\n\n\n"
    text = judge + BY_HAND.replace("answer=5", "answer=5, judge=judge")
    status, said = looked_over(tmp_path, capsys, text)
    assert status == 1 and "✗ this variant's answer doesn't pass: What is" in said


# ---- read once, read elsewhere


def test_a_title_is_needed_and_a_stop_is_no_fault_of_the_file(tmp_path, monkeypatch):
    path = written(tmp_path, GOOD.replace('"Twice"', '" "'))
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    with pytest.raises(DataError, match=r"line 3: lab\.double: the title is missing"):
        exercises()
    written(tmp_path, GOOD + "\n\nraise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        exercises()
    assert COURSE.inbox is None and "lab.double" not in COURSE


def test_a_file_may_look_at_the_courses_exercises_while_it_is_read(tmp_path, monkeypatch):
    asks = "number = len([item.id for item in exercises() if not item.origin])\n\n\n"
    path = written(tmp_path, HEAD + asks + ONE.replace("2, 5,", "2, number,"))
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    assert own_ids() == ["lab.double"] and COURSE["lab.double"].minutes >= 45


def test_a_file_and_a_package_are_read_once(tmp_path, monkeypatch):
    note = "open('read.txt', 'a').write('.')\n\n\n"
    path = written(tmp_path, HEAD + note + ONE)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    (tmp_path / "our_other_lab.py").write_text(HEAD + note + ONE.replace("lab.", "other."))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "our_last_lab.py").write_text(HEAD + ONE.replace("lab.", "last."))
    points = [
        own.importlib.metadata.EntryPoint(name, name, own._GROUP)
        for name in ("our_other_lab", "our_last_lab")
    ]
    monkeypatch.setattr(own, "_INSTALLED", points)
    for _ in range(3):
        assert own_ids() == ["lab.double", "last.double", "other.double"]
    assert (tmp_path / "read.txt").read_text() == ".."


def test_what_was_read_is_read_elsewhere_from_its_text_and_nothing_else_is(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    (tmp_path / "our_third_lab.py").write_text(GOOD.replace("lab.", "third."))
    monkeypatch.syspath_prepend(tmp_path)
    point = own.importlib.metadata.EntryPoint("lab", "our_third_lab", own._GROUP)
    monkeypatch.setattr(own, "_INSTALLED", [point])
    exercises()
    texts = own.own_texts()
    assert texts == [[str(path), GOOD], ["package our_third_lab", ""]]
    for origin in list(own._KNOWN):
        own._forget(origin)
    sys.modules.pop("our_third_lab")
    path.unlink()
    (tmp_path / "course.toml").write_text('own_exercises = "evil.py"')
    monkeypatch.setattr(own, "_SHUT", False)
    own.take_own(texts)
    assert own_ids() == ["lab.double", "third.double"]
    assert check("lab.double", lambda n: n * n).misconception == "squared"
    assert own.own_texts() == texts


def test_the_same_names_in_two_files_do_not_meet(tmp_path, monkeypatch):
    folders = [tmp_path / "a", tmp_path / "b"]
    paths = []
    for i, folder in enumerate(folders):
        folder.mkdir()
        text = ONE.replace("lab.", f"lab{i}.").replace("2 * n", f"FACTOR * n + {i} * 0")
        paths.append(written(folder, HEAD + f"FACTOR = {i + 2}\n\n\n" + text))
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", os.pathsep.join(map(str, paths)))
    assert own_ids() == ["lab0.double", "lab1.double"]
    assert check("lab0.double", lambda n: 2 * n) and check("lab1.double", lambda n: 3 * n)


@pytest.mark.parametrize(
    "toml",
    ['own_exercises = ["lab.py", ""]', "own_exercises = [3]", 'own_exercises = {"lab.py" = 1}'],
)
def test_names_of_files_are_texts(toml, tmp_path):
    (tmp_path / "course.toml").write_text(toml)
    with pytest.raises(DataError, match="own_exercises must be a file, or a list of files"):
        exercises()


def test_files_of_a_command_are_read_again_when_they_change(tmp_path):
    paths = [written(tmp_path, GOOD.replace("lab.", f"{c}."), f"{c}.py") for c in "ab"]
    own.use_own(paths)
    assert own_ids() == ["a.double", "b.double"]
    for c in "ab":
        written(tmp_path, GOOD.replace("lab.double", f"{c}.triple"), f"{c}.py")
    assert own_ids() == ["a.triple", "b.triple"]
    own.use_own(paths)  # once more is no fault
    assert own_ids() == ["a.triple", "b.triple"]


def test_who_names_a_file_that_is_not_there_is_told(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"^the command names .*nowhere\.py, and it can't be read"):
        own.use_own(["nowhere.py"])
    assert own_ids() == []
    (tmp_path / "course.toml").write_text("# " + 1000 * "x" + '\nown_exercises = "nowhere.py"')
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'course.toml'} names ")):
        exercises()
    (tmp_path / "course.toml").unlink()
    path = written(tmp_path)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", f"{path}{os.pathsep} {os.pathsep}")
    assert own_ids() == ["lab.double"]


def test_a_file_knows_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "factor.txt").write_text("2")
    text = GOOD.replace("2 * n", 'int(Path(__file__).with_name("factor.txt").read_text()) * n')
    path = written(tmp_path, "from pathlib import Path\n\n" + text)
    monkeypatch.setenv("MNIST_COURSE_EXERCISES", str(path))
    assert own_ids() == ["lab.double"] and check("lab.double", lambda n: 2 * n)
