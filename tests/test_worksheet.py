"The exercises on paper."

import re

import pytest
import torch
from helpers import ROOT

from mnist_course.checks import exercises
from mnist_course.cli import main
from mnist_course.teaching import worksheet
from mnist_course.teaching.notebooks import markdown_cells, read_notebook
from mnist_course.teaching.papers import Reader
from mnist_course.teaching.worksheet import picked, write_sheet


def test_a_sheet_is_one_file(tmp_path):
    assert "exercises" in write_sheet(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text("utf-8")
    assert not re.search(r"<script|<link|@import|(src|href)=\"(?!data:)", page)
    assert all(f'id="{item.id}"' in page for item in exercises() if item.kind != "build")


def test_a_sheet_of_some_lessons_in_markdown(tmp_path):
    write_sheet(tmp_path / "sheet.md", ["3", "09_curves"])
    text = (tmp_path / "sheet.md").read_text("utf-8")
    assert (
        re.findall(r"^## (\d\d)", text, re.M) == ["03", "09"]
        and "data:image/png" in text
        and "<" not in re.sub(r"```.*?```", "", text, flags=re.S)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sheet", "99"], "there is no lesson 99: choose from 00, 01"),
        (["sheet", "--out", "sheet.pdf"], "written as .html or .md, and sheet.pdf is neither"),
    ],
)
def test_a_sheet_that_cannot_be_is_told_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("mnist-course: ") and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def minutes_of(path):
    return sum(map(int, re.findall(r"of 5, (\d+) min", path.read_text("utf-8"))))


def test_options_choose_and_the_key_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            [
                "sheet",
                "02-04",
                "--difficulty",
                "2",
                "--minutes",
                "25",
                "--points",
                "--key",
                "--out",
                "exam.md",
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    text, key = ((tmp_path / name).read_text("utf-8") for name in ("exam.md", "exam-key.md"))
    assert 0 < minutes_of(tmp_path / "exam.md") <= 25 and "exam-key.md: the key" in said
    assert set(re.findall(r"Difficulty (\d)", text)) <= {"1", "2"}
    total = sum(map(int, re.findall(r"min, (\d+) points?,", text)))
    assert f"{total} points" in said and total > 0
    asked = re.findall(r"^### (\S+)", text, re.M)
    assert asked == re.findall(r"^### (\S+)", key, re.M)
    assert "5, 0, 4" in key and "5, 0, 4" not in text  # 02.one_stage
    known = {item.id: item for item in exercises()}
    assert known["02.one_stage"].reasons["relu_forgotten"] in key


def test_every_exercise_has_a_key(tmp_path):
    write_sheet(tmp_path / "all.html", key=True, points=True)
    page = (tmp_path / "all-key.html").read_text("utf-8")
    assert all(f'id="{item.id}"' in page for item in exercises() if item.kind != "build")
    assert 'class="line"' not in page and "Name:" not in page
    plain = re.sub(r"<(pre|code)>.*?</\1>", "", page, flags=re.S)
    assert " | " not in plain and "tensor(" not in plain  # no table is torn by what is in it
    assert "<strong>[-1, -1, 2], [-1, 2, -1], [2, -1, -1]</strong>" in page  # 02.slant


def test_the_plan_for_an_afternoon_prints_what_it_promises(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    prose = "\n".join(markdown_cells(read_notebook(ROOT / "nbs/instructors/syllabus.ipynb")))
    (words,) = re.findall(r"`mnist-course (sheet [^`]+)`", prose)
    assert main(words.split()) == 0
    printed = minutes_of_sheet(capsys.readouterr().out)
    chosen = [item for item in exercises() if item.lesson in ("00", "01", "02")]
    easy = [item for item in chosen if item.difficulty == 1 and item.kind != "build"]
    assert printed == sum(item.minutes for item in easy) > 0


ONE = 'exercises = ["03.same_padding"]\npoints = {"03.same_padding" = 1}\n'


@pytest.fixture
def one(tmp_path):
    "A course of one exercise, which is worth one point."
    (tmp_path / "course.toml").write_text(ONE)
    return tmp_path


def test_one_is_told_as_one(one):
    said = write_sheet(one / "e.md", course=one / "course.toml", points=True)
    assert said == f"{one / 'e.md'}: 1 exercise, 8 minutes in all, 1 point"
    text = (one / "e.md").read_text("utf-8")
    first, _, rest = text.partition("\n\n")
    assert first == "# Exercises of mnist_course"
    assert rest.startswith("## 03 Shapes") and ": 1 exercise, 8 min, 1 point\n\n### 03." in rest
    assert "*Difficulty 2 of 5, 8 min, 1 point, write, `03.same_padding`*" in text
    assert text.endswith("Text and pictures: CC BY 4.0.\n") and "mnist_course " in text
    said = write_sheet(one / "e.md", ["03"], course=one / "course.toml", key=True, title="Mine")
    assert said.splitlines() == [
        f"{one / 'e.md'}: 1 exercise, 8 minutes in all",
        f"{one / 'e-key.md'}: the key",
    ]
    assert (one / "e.md").read_text("utf-8").startswith("# Mine\n\n## 03")
    assert (one / "e-key.md").read_text("utf-8").startswith("# Mine: the key\n\n## 03")


def test_readers_whose_numbers_are_the_same_have_no_table_in_the_key(one):
    people = [Reader("Ada", "Ada"), Reader("Grace", "Grace")]
    said = write_sheet(one / "e.md", (), people, course=one / "course.toml", key=True)
    assert "8 minutes in all, for 2 people\n" in said
    key = (one / "e-key.md").read_text("utf-8")
    assert "Ada" not in key and key.count("def same_padding") == 1
    said = write_sheet(one / "e.md", (), people[:1], course=one / "course.toml")
    assert said.endswith("8 minutes in all, for Ada")


def test_every_rubric_gives_all_the_points():
    kinds = {item.kind for item in exercises()}
    assert worksheet._RUBRIC.keys() == kinds - {"by hand", "predict", "read a plot"}
    for rubric in (worksheet._BY_VALUE, *worksheet._RUBRIC.values()):
        shares = [share for share, _ in rubric]
        assert sum(shares) == 1 and min(shares) > 0
        assert shares == sorted(shares, reverse=True)


LINES = {"by hand": 4, "order": 2, "predict": 2, "read a plot": 3, "fix": 4}


def test_there_is_room_to_write(tmp_path):
    "A few lines for a value; for code five to twelve, a line a minute."
    write_sheet(tmp_path / "all.html")
    page = (tmp_path / "all.html").read_text("utf-8")
    assert f"Name: {'_' * 38} &nbsp; Date: {'_' * 20}</p>" in page
    cards = dict(re.findall(r'<section class="card" id="([^"]+)">(.*?)</section>', page, re.S))
    known = {item.id: item for item in exercises()}
    for id, inside in cards.items():
        item = known[id]
        wanted = LINES.get(item.kind, sorted((5, item.minutes, 12))[1])
        assert inside.count('<div class="line"></div>') == wanted, id


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (51_328, "51,328"),
        (4.0, "4"),
        (2 / 3, "0.666667"),
        ([5, 0, 4], "5, 0, 4"),
        ([[1, 2], [3.5]], "[1, 2], [3.5]"),
        ((10, 20), "10, 20"),
        ("CHGB", "CHGB"),
        (["a", "b"], "a, b"),
        (torch.tensor([[1.0, -1.0]]), "[1, -1]"),
        ([], "[]"),
    ],
)
def test_a_value_is_written_as_somebody_would_by_hand(value, written):
    assert worksheet._plain(value) == written


def test_only_what_is_easy_enough_and_the_easiest_first():
    "Time is given to the easiest and shortest, and the order on paper stays the lessons'."
    tasks = [task for _, some in picked(["03", "00"], difficulty=2) for task in some]
    assert {task.card.difficulty for task in tasks} == {1, 2}
    assert [task.card.id[:2] for task in tasks] == sorted(
        (task.card.id[:2] for task in tasks), reverse=True
    )
    easiest = sorted(tasks, key=lambda task: (task.card.difficulty, task.card.minutes))
    enough = sum(task.card.minutes for task in easiest[:2])
    few = [task.card.id for _, some in picked(["03", "00"], 2, enough) for task in some]
    assert sorted(few) == sorted(task.card.id for task in easiest[:2])
    with pytest.raises(ValueError, match="goes from 1 to 5, and this is 6"):
        picked(difficulty=6)
    with pytest.raises(ValueError, match="goes from 1 to 5, and this is 0"):
        picked(difficulty=0)


def minutes_of_sheet(said):
    return int(re.search(r"(\d+) minutes in all", said)[1])


@pytest.mark.parametrize(
    "words", ["sheet 3-1", "sheet 00 --difficulty 0", "sheet 03 --minutes 1", "sheet 03-99"]
)
def test_options_that_cannot_be_are_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2 and len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_sheet_prints_well(tmp_path, chromium, violations):
    write_sheet(tmp_path / "sheet.html")
    page = chromium.new_page(
        viewport={"width": 673, "height": 994}
    )  # what A4 leaves between its margins: 178 x 263 mm
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "sheet.html").as_uri())
    page.emulate_media(media="print")
    heights = page.evaluate(
        "[...document.querySelectorAll('.card')].map((card) => [card.id, card.offsetHeight, card.scrollWidth - card.clientWidth])"
    )
    assert not [(id, height) for id, height, over in heights if height > 994 or over > 0]
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert violations(page) == []
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


def test_the_page_for_instructors_shows_todays_card(tmp_path):
    write_sheet(tmp_path / "sheet.md", ["03"])
    card = "### " + (tmp_path / "sheet.md").read_text("utf-8").split("\n### ")[1]
    cells = read_notebook(ROOT / "nbs" / "instructors" / "sheet.ipynb")["cells"]
    said = [
        "".join(out["text"]) for cell in cells for out in cell.get("outputs", []) if "text" in out
    ]
    assert [text.strip() for text in said] == [card.strip()], (
        "run it again: python -m mnist_course.making notebooks instructors/sheet"
    )
