"A paper for each learner, the key to it, and the grader that follows."

import json
import re

import pytest

from mnist_course.checks import COURSE, Registry
from mnist_course.checks.engine import variant_of
from mnist_course.cli import main
from mnist_course.teaching import papers
from mnist_course.teaching.notebooks import Card
from mnist_course.teaching.papers import Reader, card_for, own_cards, readers

EXAM = """title = "Midterm"
exercises = ["03.team_params", "04.row_place", "03.same_padding"]
variants = "name"
secret = "plum tree"
"""


@pytest.fixture
def exam(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exam.toml").write_text(EXAM)
    return tmp_path


def mine(id, name="Ada Lovelace"):
    return variant_of(COURSE[id], name, "plum tree")


def test_each_reader_gets_numbers_of_their_own(exam):
    names = ["Ada Lovelace", "Grace Hopper"]
    assert main(["sheet", "--course", "exam.toml", "--out", "e.md", "--variant", *names]) == 0
    papers = (exam / "e.md").read_text("utf-8").split("# Midterm: ")[1:]
    assert [paper.split("\n")[0] for paper in papers] == names
    for name, paper in zip(names, papers, strict=True):
        assert mine("03.team_params", name).task in paper
        assert len(re.findall(r"^### ", paper, re.M)) == 3
        assert str(mine("03.team_params", name).solution) not in paper
    assert mine("03.team_params").task not in papers[1]


def test_the_page_gives_each_reader_a_sheet_and_repeats_no_id(exam):
    words = ["sheet", "--course", "exam.toml", "--variant", "Ada", "Ben & <Co>", "--out", "e.html"]
    assert main(words) == 0
    page = (exam / "e.html").read_text("utf-8")
    assert page.count('<section class="paper">') == 2 and "Ben &amp; &lt;Co&gt;" in page
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 3 and "<title>Midterm</title>" in page


def test_the_key_has_the_answer_and_what_each_mistake_gives(exam):
    words = ["sheet", "--key", "--points", "--course", "exam.toml", "--out", "e.md", "--variant"]
    assert main([*words, "Ada Lovelace"]) == 0
    sheet, key = ((exam / name).read_text("utf-8") for name in ("e.md", "e-key.md"))
    item = mine("03.team_params")
    assert f"**{item.solution:,}**" in key and "def same_padding" in key
    for name, wrong in item.misconceptions.items():
        assert f"| {wrong:,} | `{name}` | {item.reasons[name]}" in key
    assert item.task in sheet and f"{item.solution:,}" not in sheet
    assert main([*words, "Ada Lovelace", "Grace Hopper"]) == 0
    key = (exam / "e-key.md").read_text("utf-8")
    for name in ("Ada Lovelace", "Grace Hopper"):
        part = key.split(f"## {name}\n")[1].split("\n## ")[0]
        item = mine("03.team_params", name)
        assert (
            f"**{item.solution:,}**" in part and f"{item.misconceptions['one_kernel']:,} " in part
        )
    assert key.count("def same_padding") == 1
    # what stands once: a rubric for every task, and no answers where they differ
    assert re.findall(r"^### (\S+)", key, re.M) == ["03.1", "03.3", "04.1"]
    assert "Kernels in teams (2 points)\n\n- 1.5 points: The answer is right" in key
    assert f"{COURSE['03.team_params'].solution:,}" not in key


def test_time_points_and_a_title_go_with_numbers_of_a_readers_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "sheet 02-05 --minutes 60 --points --key --title Midterm --out m.md --variant"
    assert main([*words.split(), "Emmy Noether"]) == 0
    sheet, key = ((tmp_path / name).read_text("utf-8") for name in ("m.md", "m-key.md"))
    assert sheet.startswith("# Midterm: Emmy Noether\n")
    assert key.startswith("# Midterm: the key for Emmy Noether\n")
    assert sum(map(int, re.findall(r"of 5, (\d+) min", sheet))) <= 60
    heads = [re.findall(r"^## .+", text, re.M) for text in (sheet, key)]
    total = sum(int(re.search(r", (\d+) points$", head)[1]) for head in heads[0])
    assert heads[0] == heads[1]
    assert f"{total} points, for Emmy Noether\n" in capsys.readouterr().out
    asked = re.findall(r"`(\d\d\.\w+)`\*$", sheet, re.M)
    own = [id for id in asked if COURSE[id].version]
    assert len(own) > 2 and len(re.findall(r"^### .+ points?\)$", key, re.M)) == len(asked)
    for id in own:
        item = variant_of(COURSE[id], "Emmy Noether")
        assert item.task in sheet and item.after in key


def test_points_on_paper_are_those_of_the_grader(exam):
    (exam / "exam.toml").write_text(EXAM + 'maximum = 20\npoints = { "04.row_place" = 6 }\n')
    assert main(["sheet", "--course", "exam.toml", "--points", "--key", "--out", "e.md"]) == 0
    for name, said in (
        ("e.md", r"of 5, \d+ min, (\d+) points"),
        ("e-key.md", r"^### .+\((\d+) points\)$"),
    ):
        text = (exam / name).read_text("utf-8")
        assert re.findall(said, text, re.M) == ["4", "4", "12"]


def test_the_key_to_the_course_itself(exam):
    assert main(["sheet", "03", "--key", "--out", "e.html"]) == 0
    page = (exam / "e-key.html").read_text("utf-8")
    assert "51,328" in page and "<table>" in page and "bias_forgotten" in page


def test_a_name_is_text_on_the_key_too(exam):
    words = ["sheet", "--course", "exam.toml", "--key", "--variant", "Ada", "Ben & <Co>"]
    assert main([*words, "--out", "e.html"]) == 0
    page = (exam / "e-key.html").read_text("utf-8")
    assert "<h2>Ben &amp; &lt;Co&gt;</h2>" in page and "<Co>" not in page
    assert main([*words[:-2], "Ben & <Co>", "--out", "e.html"]) == 0
    assert "the key for Ben &amp; &lt;Co&gt;</h1>" in (exam / "e-key.html").read_text("utf-8")


def test_a_roster_is_a_class_and_numbers_come_from_what_course_toml_says(exam):
    (exam / "people.csv").write_text(
        "Name,ID,Email\nAda Lovelace,17,a@b.c\nGrace Hopper,18,g@b.c\n"
    )
    found = readers([], "people.csv", "exam.toml")
    assert [(one.name, one.drawn_from) for one in found] == [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Grace Hopper", "Grace Hopper"),
    ]
    (exam / "exam.toml").write_text(EXAM.replace('"name"', '"id"'))
    assert [one.drawn_from for one in readers([], "people.csv", "exam.toml")] == ["17", "18"]
    (exam / "exam.toml").write_text(EXAM.replace('"name"', '"email"'))
    (exam / "people.csv").write_text("Name,ID,Email\nAda Lovelace,17,a@b.c\nGrace Hopper,18,\n")
    with pytest.raises(ValueError, match="drawn from the email, and Grace Hopper has none"):
        readers([], "people.csv", "exam.toml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--variant", "!"], "holds no name"),
        (["--course", "no.toml"], "no.toml"),
        (["--roster", "no.csv", "--course", "exam.toml"], "no.csv"),
        (["04", "--course", "other.toml"], "no exercise with a card"),
        (["--course", "bad.toml"], 'must be "name", "id" or "email"'),
    ],
)
def test_what_cannot_be_is_told_in_one_line(exam, capsys, words, said):
    (exam / "other.toml").write_text('exercises = ["03.team_params"]')
    (exam / "bad.toml").write_text('variants = "shoe size"')
    assert main(["sheet", "--out", "x.md", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1 and not (exam / "x.md").exists()


def hand_in(folder, cells):
    folder.mkdir(parents=True)
    made = [{"cell_type": "code", "source": c, "metadata": {}, "outputs": []} for c in cells]
    text = json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (folder / "exam.ipynb").write_text(text)


@pytest.mark.drawn(3, of="classes")
@pytest.mark.slow
def test_the_grader_draws_the_same_numbers(exam, capsys):
    ids = ["03.team_params", "04.row_place"]
    ada = {id: mine(id).solution for id in ids}
    people = {
        "Ada Lovelace": ada,
        "Lovelace, Augusta": ada,  # wrote it down from her neighbor
        "Grace Hopper": {id: COURSE[id].solution for id in ids},  # from the site
        "Emmy Noether": {
            "03.team_params": mine(ids[0], "Emmy Noether").misconceptions["one_kernel"],
            "04.row_place": mine(ids[1], "Emmy Noether").solution,
        },
    }
    for name, answers in people.items():
        cells = [f'{id[3:]} = {value!r}\ncheck("{id}", {id[3:]})' for id, value in answers.items()]
        hand_in(exam / "class" / name, ["from mnist_course.checks import check", *cells])
    words = ["grade", "class", "--course", "exam.toml", "--jobs", "1"]
    assert main([*words, "--exercises", *ids]) == 0, capsys.readouterr()
    rows = (exam / "grades" / "grades.csv").read_text("utf-8-sig").splitlines()
    assert {
        row.rsplit(",", 2)[0].split(",,,")[0].strip('"'): row.rsplit(",", 2)[1:] for row in rows[1:]
    } == {
        "Ada Lovelace": ["2", "2"],
        "Lovelace, Augusta": ["0", "0"],
        "Grace Hopper": ["0", "0"],
        "Emmy Noether": ["0", "2"],
    }
    emmy = (exam / "grades" / "feedback" / "Emmy_Noether.md").read_text("utf-8")
    item = mine(ids[0], "Emmy Noether")
    assert item.reasons["one_kernel"] in emmy
    # the same files under another secret are graded anew, and nobody's numbers fit
    (exam / "exam.toml").write_text(EXAM.replace("plum", "pear"))
    assert main([*words, "--exercises", *ids]) == 0
    rows = (exam / "grades" / "grades.csv").read_text("utf-8-sig").splitlines()
    assert all(row.endswith(",0,0") for row in rows[1:])
    # an id that nobody has is told before anything runs
    capsys.readouterr()
    assert main([*words, "--variant", "id"]) == 2
    assert "drawn from the id, and there's none for Ada Lovelace" in capsys.readouterr().err


# ---- cards for a teacher's own exercises


@pytest.fixture
def teachers(monkeypatch):
    "Four exercises of a teacher's, of two lessons, among one of the course's."
    mine = Registry()

    @mine.exercise("lab.twice", "Twice", 2, 5, cases=lambda rng: [(1,)])
    def twice(n: int, times: int = 2) -> int:
        "Give so many times the number."
        return times * n

    task = "Two numbers, please."
    mine.exercise("lab.pair", "A pair", 1, 3, answer=[1, 2], parts=("low", "high"), task=task)
    mine.exercise("lab.word", "A word", 3, 4, answer="ab", task="One word.")
    mine.exercise("bio.cell", "A cell", 1, 1, answer=4)
    for item in mine.values():
        item.origin = "lab.py"
    mine.exercise("lab.course", "Not theirs", 1, 1, answer=4)
    monkeypatch.setattr(papers, "exercises", lambda: iter(mine.values()))
    return mine


def test_a_teachers_exercises_have_cards_in_their_order(teachers):
    assert own_cards("lab") == [
        Card(
            id="lab.twice",
            number="lab.1",
            title="Twice",
            difficulty=2,
            minutes=5,
            task="Give so many times the number.",
            code="def twice(n: int, times: int = 2) -> int:\n    ...",
        ),
        Card(
            "lab.pair",
            "lab.2",
            "A pair",
            1,
            3,
            "Two numbers, please.",
            "pair = [..., ...]  # low, high",
        ),
        Card("lab.word", "lab.3", "A word", 3, 4, "One word.", "word = ..."),
    ]
    assert [card.id for card in own_cards("bio")] == ["bio.cell"] and own_cards("chem") == []


@pytest.mark.parametrize(
    ("id", "stub"),
    [
        ("00.strip_shape", "strip_shape = ..."),
        ("09.fives", "fives = [..., ...]  # recall, precision"),
        ("09.more_than_luck", "more_than_luck = ..."),
        ("03.conv2d_params", "def conv2d_params(in_channels: int, out_channels: int, "),
    ],
)
def test_a_stub_says_what_is_asked_for(id, stub):
    assert papers._stub_of(COURSE[id]).startswith(stub)


def test_a_card_has_a_readers_numbers_and_no_picture_of_others():
    card = Card("03.team_params", "03.3", "T", 2, 5, "task", "stub", "picture", "what it shows")
    item = Reader("Ada Lovelace", "Ada Lovelace", "plum tree").asked(COURSE["03.team_params"])
    assert item.task == mine("03.team_params").task != COURSE["03.team_params"].task
    own = card_for(card, item)
    assert (own.task, own.code, own.picture, own.alt) == (item.task, "team_params = ...", "", "")
    assert (own.id, own.number, own.title) == (card.id, card.number, card.title)
    assert card_for(card, COURSE["03.same_padding"]) is card  # always the same


def test_readers_are_those_named_then_those_on_the_list(exam):
    (exam / "people.csv").write_text("Name,ID,Email\nAda Lovelace,17,a@b.c\n")
    (exam / "exam.toml").write_text(EXAM.replace('"name"', '"id"'))
    assert readers(["Grace"], "people.csv", "exam.toml") == [
        Reader("Grace", "Grace", "plum tree"),
        Reader("Ada Lovelace", "17", "plum tree"),
    ]
    assert readers(["Grace"]) == [Reader("Grace", "Grace")] and readers() == []
    (exam / "people.csv").write_text("Name,ID,Email\nAda,17,a@b.c\n")
    assert [one.drawn_from for one in readers((), "people.csv")] == ["Ada"]
    for names in (["Ada", "?"], ["?", "Ada"]):
        with pytest.raises(ValueError, match="holds no name"):
            readers(names)
