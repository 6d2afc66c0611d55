"Killed at random moments: the next call ends as if nothing had happened. Each kill is checked to have hit."

import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from helpers import idx_file

from mnist_course.base import STEMS
from mnist_course.progress import FILE
from tests.long.conftest import content
from tests.long.victim import STEPS

LONG = pytest.mark.long  # not every day; `make kill` does all
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX"),
]


@pytest.mark.parametrize(
    ("before", "killed", "after"),
    [
        pytest.param("", "1", "1", marks=LONG),
        pytest.param("", "1", "2", marks=LONG),
        pytest.param("1", "2", "2", marks=LONG),
        ("1", "2", "3"),
    ],
)
def test_lessons_are_never_doubled_nor_half(victims, moments, folders, before, killed, after):
    "Editions of the lessons: there before, written when the process was killed, and written next."

    def had(folder: Path) -> Path:
        if before:
            victims.whole("start", folder, WORDS=before)
            (folder / "03_shapes.ipynb").write_bytes(b"mine")
        return folder

    expected = had(next(folders))
    victims.whole("start", expected, WORDS=after)
    assert (expected / "03_shapes.new.ipynb").exists() == bool(before)
    undisturbed = victims.whole("start", had(next(folders)), WORDS=killed)
    for moment in moments(undisturbed):
        folder = had(next(folders))
        victims.killed("start", folder, moment, WORDS=killed)
        victims.whole("start", folder, WORDS=after)
        assert content(folder) == content(expected), moment


@LONG
@pytest.mark.parametrize(("task", "files"), [("weights", 3), ("export", 1), ("papers", 4)])
def test_files_are_the_old_ones_or_the_new_ones(victims, moments, folders, task, files):
    folder = next(folders)
    undisturbed = victims.whole(task, folder)
    before = content(folder)
    assert len(before) == files
    for moment in moments(undisturbed):
        victims.killed(task, folder, moment)
        seen = {name: data for name, data in content(folder).items() if name in before}
        assert {name: len(data) for name, data in seen.items()} == {
            name: len(data) for name, data in before.items()
        }
        victims.whole(task, folder)
        assert {*content(folder)} == {*before}, moment


def test_a_record_is_there_or_not_and_never_half(victims, moments, folders):
    undisturbed = victims.whole("record", next(folders))
    for moment in moments(undisturbed):
        folder = next(folders)
        victims.killed("record", folder, moment)
        victims.whole("record", folder)
        last = []
        for line in (folder / FILE).read_bytes().splitlines()[-20:]:
            last.append(json.loads(line)["id"])
        assert last == [f"03.x{i}" for i in range(20)], moment


def test_tables_and_pages_of_a_class_stay_ours(victims, moments, folders):
    "Whoever grades again after two kills, also with other answers, finds no copy moved aside."
    expected = next(folders)
    victims.whole("tables", expected, WORDS="first")
    undisturbed = victims.whole("tables", expected, WORDS="second")
    later = moments(undisturbed, 100)[::-1]
    for moment, next_one in zip(moments(undisturbed), later, strict=False):
        folder = next(folders)
        victims.whole("tables", folder, WORDS="first")
        victims.killed("tables", folder, moment, WORDS="second")
        victims.killed("tables", folder, next_one, WORDS="thirds")
        victims.whole("tables", folder, WORDS="fourth")
        victims.whole("tables", folder, WORDS="second")
        assert content(folder) == content(expected), (moment, next_one)


def test_what_somebody_changed_is_still_moved_aside_after_a_kill(victims, tmp_path):
    total = victims.whole("tables", tmp_path, WORDS="first").counts["operation"]
    victims.killed("tables", tmp_path, ("operation", total - 3), WORDS="second")
    (tmp_path / "feedback" / "Ada.md").write_text("mine")
    victims.whole("tables", tmp_path, WORDS="third")
    assert (tmp_path / "feedback" / "Ada.yours-1.md").read_text() == "mine"


def a_class(folder: Path, answer: str) -> None:
    "A class beside the folder: Ada, Bob and Cy have answered 03.same_padding."
    lines = [f"def same_padding(kernel_size, dilation=1):\n    return {answer}\n"]
    lines += ['check("03.same_padding", same_padding)']
    cells = [
        {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": []}
        | {"source": "\n".join(["from mnist_course.checks import check", *lines])}
    ]
    made = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for name in ("Ada", "Bob", "Cy"):
        path = Path(f"{folder}.class") / name / "03_shapes.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made | {"metadata": {"who": name}}))


RIGHT = "dilation * (kernel_size - 1) // 2"


def regrade(victims, folders, moment, **how: str) -> None:
    "A class hands in again, and grading is killed: the next call runs those who are left, and nobody else."

    def graded_once() -> Path:
        folder = next(folders)
        a_class(folder, "0")
        victims.whole("grade", folder, **how)
        a_class(folder, RIGHT)
        Path(f"{folder}.ran").unlink()
        return folder

    undisturbed = graded_once()
    done = victims.whole("grade", undisturbed, **how)
    for chosen in moment(done):
        folder = graded_once()
        victims.killed("grade", folder, chosen, **how)
        victims.whole("grade", folder, **how)
        ran = Path(f"{folder}.ran").read_text().split()
        twice = {name for name in ran if ran.count(name) > 1}
        assert {*ran} == {"Ada", "Bob", "Cy"} and len(ran) <= 4, (chosen, ran)
        assert len(twice) <= 1  # whose line wasn't finished
        here, there = content(folder), content(undisturbed)
        results = [sorted(one.pop("results.jsonl").splitlines()[1:]) for one in (here, there)]
        assert results[0] == results[1] and here == there, chosen
        shutil.rmtree(folder)


def test_a_class_that_is_graded_again_goes_on_where_it_was(victims, moments, folders):
    regrade(victims, folders, moments, QUICK="1")


@LONG
def test_a_killed_grader_leaves_no_process_that_keeps_the_next_one_out(
    victims, moments, folders, kills
):
    "With real notebooks, in real rooms: a tenth of the kills, which take a minute each."

    def some(done) -> list:
        operations = [one for one in moments(done) if one[0] == "operation"]
        return operations[: max(1, kills // 10)]

    regrade(victims, folders, some)


@LONG
def test_a_second_run_in_a_folder_is_refused_and_the_first_is_unharmed(victims, folders):
    "The second one comes in the middle of an epoch of the first."
    how = {"WORDS": f"--recipe {RECIPES[0]} --batch-size 64 --precision float32"}
    expected, folder = next(folders), next(folders)
    victims.whole("train", expected, **how)
    done = victims.whole("train", folder, second=7, **how)
    assert "another process is training in" in done.said and "second: 1" in done.said
    assert trained(folder) == trained(expected)


RECIPES = ("seed --epochs 3", "one-cycle --epochs 2", "fast --epochs 2")  # in float32


def trained(folder: Path) -> tuple:
    "What a run has come to, without how long it took."
    history = json.loads((folder / "history.json").read_text())
    seconds = history.pop("seconds")
    weights = (folder / "model.safetensors").read_bytes()
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    state["history"].pop("seconds")
    rest = {"checkpoint.pt", "model.safetensors", "history.json", "settings.json", "curves.png"}
    assert {*content(folder)} == rest
    return len(seconds), history, hashlib.md5(weights).hexdigest(), repr(state)


@pytest.mark.parametrize(
    "recipe", [RECIPES[0], *(pytest.param(r, marks=LONG) for r in RECIPES[1:])]
)
def test_training_goes_on_to_the_bit(victims, moments, folders, kills, recipe):
    words = {"WORDS": f"--recipe {recipe} --batch-size 64 --precision float32"}
    expected = next(folders)
    undisturbed = victims.whole("train", expected, **words)
    epochs = int(recipe.split()[2])
    steps = undisturbed.counts["step"] // epochs  # of an epoch, before each and after it
    assert steps == 2 * STEPS or recipe.startswith("fast")  # which trains on a part of the digits
    for moment in moments(undisturbed, -(-kills // len(RECIPES))):
        folder = next(folders)
        victims.killed("train", folder, moment, **words)
        if moment[0] == "step":  # in the middle of which epoch?
            over = (moment[1] - 1) // steps
            assert (folder / "checkpoint.pt").exists() == bool(over)
        again = victims.whole("train", folder, **words)
        if moment[0] == "step":
            said = f"going on from checkpoint.pt, after epoch {over}"
            assert (said in again.said) == bool(over)
            assert again.counts["step"] == steps * (epochs - over)
        assert trained(folder) == trained(expected), moment
        shutil.rmtree(folder)


def a_repository(folder: Path) -> Path:
    "A small one, with three notebooks of three cells each that have never run."
    (folder / "nbs" / "index_files").mkdir(parents=True)
    keys = "lib_name = tiny\nnbs_path = nbs\nallowed_metadata_keys = mnist_course"
    (folder / "settings.ini").write_text(f"[DEFAULT]\n{keys}\n")
    for name in ("a", "b", "index"):
        empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
        cells = [empty | {"id": f"{name}{i}", "source": f"{i} + 1"} for i in range(3)]
        made = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (folder / "nbs" / f"{name}.ipynb").write_text(json.dumps(made))
    return folder


@LONG
def test_outputs_of_notebooks_are_the_old_ones_or_the_new_ones(victims, moments, folders):
    expected = a_repository(next(folders))
    undisturbed = victims.whole("notebooks", expected, QUICK="1")
    assert "3 of 5 letters" in (expected / "README.md").read_text()
    for moment in moments(undisturbed):
        folder = a_repository(next(folders))
        victims.killed("notebooks", folder, moment, QUICK="1")
        for path in (folder / "nbs").glob("*.ipynb"):
            assert len(json.loads(path.read_text())["cells"]) == 3
        victims.whole("notebooks", folder, QUICK="1")
        assert content(folder) == content(expected), moment


@pytest.fixture
def mirror(tmp_path, serve) -> dict[str, str]:
    "A server of a data set of 60 and 10 digits: what a victim has to know of it."
    random, sums = torch.Generator().manual_seed(0), []
    (tmp_path / "mirror").mkdir()
    for stem in STEMS:
        n = 60 if stem.startswith("train") else 10
        values = torch.randint(256, (n, 28, 28), generator=random, dtype=torch.uint8)
        packed = gzip.compress(idx_file(values if "images" in stem else values[:, 0, 0] % 10))
        (tmp_path / "mirror" / f"{stem}.gz").write_bytes(packed)
        sums.append(hashlib.md5(packed).hexdigest())
    return {"ADDRESS": f"{serve(tmp_path / 'mirror')}/", "SUMS": " ".join(sums)}


def test_a_download_is_finished_by_the_next(victims, moments, folders, mirror):
    expected = next(folders)
    undisturbed = victims.whole("download", expected, **mirror)
    for moment in moments(undisturbed):
        folder = next(folders)
        victims.killed("download", folder, moment, **mirror)
        victims.whole("download", folder, **mirror)
        assert content(folder) == content(expected), moment
