"""The command line, from the words that a user types to the exit status and the files."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import PATIENCE

import mnist_course.data
from mnist_course import cli
from mnist_course.base import CourseError, alone_in
from mnist_course.cli import _COMMANDS, _make_parser, main
from mnist_course.distributed import LostError
from mnist_course.training import History


@pytest.fixture(autouse=True)
def quick(small, monkeypatch, tmp_path):
    "Small data, one thread, and a folder of its own."
    monkeypatch.setattr(mnist_course.data, "load_mnist", lambda *args, **kwargs: small)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_train_writes_a_run(capsys, tmp_path):
    assert main(["train", "--epochs", "2", "--out", "run", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    for part in (
        "data: small sample, 640 training and 200 test digits",
        "device: ",
        "Conv2d-4",
        "593,200",
        "epoch 2/2",
        "test accuracy",
    ):
        assert part in said
    history = History.load(tmp_path / "run" / "history.json")
    assert (
        len(history) == 2
        and history.settings["seed"] == 3
        and history.settings["digits"] == [640, 200]
    )
    assert (
        f"test accuracy {history.test_acc[-1]:.2%}: {round(200 * history.test_acc[-1])} of 200 digits"
        in said
    )
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "settings.json",
        "history.json",
        "checkpoint.pt",
        "model.safetensors",
        "curves.png",
        ".lock",
    }


@pytest.mark.slow
def test_resume_gives_the_same_numbers(capsys, tmp_path):
    assert main(["train", "--epochs", "2", "--out", "whole"]) == 0
    assert main(["train", "--epochs", "1", "--out", "parts"]) == 0
    assert main(["train", "--epochs", "2", "--resume", "parts"]) == 0
    whole, parts = (History.load(tmp_path / name / "history.json") for name in ("whole", "parts"))
    assert (whole.train_loss, whole.test_loss, whole.test_acc) == (
        parts.train_loss,
        parts.test_loss,
        parts.test_acc,
    )
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (
        tmp_path / "parts" / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_resume_with_other_data(capsys, monkeypatch, small):
    assert main(["train", "--epochs", "1", "--out", "run"]) == 0
    monkeypatch.setattr(
        mnist_course.data, "load_mnist", lambda *args, **kwargs: (small[1], small[1])
    )
    assert main(["train", "--epochs", "2", "--resume", "run"]) == 2
    assert "begun with [640, 200] digits" in capsys.readouterr().err


def test_fast_recipe(tmp_path):
    assert main(["train", "--recipe", "fast", "--out", "run"]) == 0
    assert len(History.load(tmp_path / "run" / "history.json")) == 1


SETTINGS = {
    "recipe": "seed",
    "epochs": 1,
    "data": None,
    "seed": 0,
    "device": None,
    "precision": "float32",
    "batch_size": 64,
}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--epochs", "0"], "--epochs and --batch-size must be at least 1"),
        (["train", "--resume", "nowhere"], "not a run that can be resumed"),
        (
            ["train", "--resume", ""],
            "is empty: name a file or a folder",
        ),  # "$RUN", and nobody set it
        (["train", "--out", ""], "is empty: name a file or a folder"),
        (["start", ""], "folder is empty"),
        (["progress", ""], "is empty: name a file or a folder"),
        (["predict", "digit.png", "--model", ""], "is empty: name a file or a folder"),
        (["export", "a.onnx", "--model", ""], "is empty: name a file or a folder"),
        (["sheet", "03", "--roster", ""], "roster is empty"),
        (["record", "one.py", "--table", ""], "is empty"),
        (["train", "--device", "toaster"], "device 'toaster' is not available here"),
        (["train", "--out", "old"], "go on with --resume old"),
        (["train", "--resume", "old", "--seed", "5"], "was begun with seed 0"),
        (["train", "--resume", "old", "--recipe", "fast"], "was begun with recipe seed"),
        (["predict", "digit.png", "--model", "notes.txt"], "not a safetensors file"),
        (["predict", "digit.png", "--model", "missing.safetensors"], "missing.safetensors"),
    ],
)
def test_what_a_user_can_mend_is_one_line(words, message, capsys, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "settings.json").write_text(json.dumps(SETTINGS))
    (tmp_path / "notes.txt").write_text("not a model")
    before = sorted(tmp_path.rglob("*"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("mnist-course: ") and len(said.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


RUN = {
    "recipe": "one-cycle",
    "epochs": 2,
    "data": None,
    "seed": 0,
    "device": None,
    "precision": "float32",
    "batch_size": 1,
}


@pytest.mark.parametrize(
    ("changed", "words", "message"),
    [
        ({}, ["--epochs", "3"], "was begun with epochs 2: it cannot go on with 3"),
        ({}, ["--seed", "5"], "was begun with seed 0: it cannot go on with 5"),
        ({"seed": None}, [], "settings.json is missing or damaged"),
        ({"epochs": 0}, [], "settings.json is missing or damaged"),
        ({"batch_size": True}, [], "settings.json is missing or damaged"),
        ({"recipe": "slow"}, [], "settings.json is missing or damaged"),
        ({"precision": "float8"}, [], "settings.json is missing or damaged"),
        ({"digits": ["many", "few"]}, [], "settings.json is missing or damaged"),
        ({"epochs": ...}, [], "settings.json is missing or damaged"),
    ],
)
def test_what_a_run_cannot_go_on_with_is_told(changed, words, message, capsys, tmp_path):
    settings = {name: value for name, value in (RUN | changed).items() if value is not ...}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text(json.dumps(settings))
    assert main(["train", "--resume", "run", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("precision", [None, "float32", "bfloat16"])
def test_what_was_asked_for_is_written_down_before_the_work(precision, monkeypatch, tmp_path):
    monkeypatch.setattr("mnist_course.distributed.fit_together", lambda *args: History())
    words = ["--recipe", "one-cycle", "--precision", precision] if precision else []
    assert main(["train", "--out", "run", *words]) == 130  # as if stopped in the first epoch
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["recipe"], settings["epochs"]) == (("one-cycle", 1) if words else ("seed", 20))
    assert settings["precision"] in ([precision] if precision else ["float32", "bfloat16"])
    assert settings["digits"] == [640, 200] and settings["seed"] == 0


def test_a_folder_in_which_somebody_trains_is_left_alone(capsys, tmp_path):
    with alone_in(tmp_path / "run", "training"):
        assert main(["train", "--epochs", "1", "--out", "run"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("mnist-course: another process is training in run: wait for it")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]  # it stays


def test_checkpoint_of_another_network(capsys, tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    assert main(["predict", "digit.png", "--model", "other.safetensors"]) == 2
    assert "belongs to another network" in capsys.readouterr().err


def test_divergence_is_told(capsys, monkeypatch):
    import mnist_course.training as training

    def hot(model, steps, epochs):
        optimizer = torch.optim.SGD(model.parameters(), lr=1e6)
        return training.Recipe(optimizer, None, "epoch")

    monkeypatch.setitem(training.RECIPES, "seed", replace(training.RECIPES["seed"], make=hot))
    assert main(["train", "--out", "run"]) == 1
    assert "learning rate ten times smaller" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_keeps_the_history(capsys, monkeypatch, tmp_path):
    import mnist_course.training as training

    real, calls = training.test, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(training, "test", interrupted)
    assert main(["train", "--epochs", "3", "--out", "run"]) == 130
    assert "Stopped by you in epoch 2" in capsys.readouterr().out
    assert len(History.load(tmp_path / "run" / "history.json")) == 1
    monkeypatch.setattr(training, "test", real)
    assert main(["train", "--resume", "run"]) == 0
    assert len(History.load(tmp_path / "run" / "history.json")) == 3


def test_predict(capsys, tmp_path, sample):
    from PIL import Image

    test_set = sample[1]
    Image.fromarray(test_set.images[0].numpy()).save(tmp_path / "digit.png")
    (tmp_path / "notes.txt").write_text("seven")
    assert main(["predict", "digit.png", "notes.txt", "missing.png"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f"digit.png: {test_set.labels[0]}  ")
    assert (
        len(captured.err.splitlines()) == 2
        and "notes.txt" in captured.err
        and "missing.png" in captured.err
    )


def test_predict_answers_a_folder_part_by_part(capsys, monkeypatch, tmp_path, sample):
    from PIL import Image

    from mnist_course.engine import predict as engine

    count = 2 * engine.TOGETHER + 3
    names = [f"{i:03}.png" for i in range(count)]
    for name, image in zip(names, sample[1].images, strict=False):
        Image.fromarray(image.numpy()).save(tmp_path / name)
    names[5:5] = ["missing.png"]
    names += names[:2]  # the same again
    real, sizes = engine.answers_of, []

    def counted(model, pages, *more):
        sizes.append(len(pages))
        return real(model, pages, *more)

    monkeypatch.setattr(engine, "answers_of", counted)
    assert main(["predict", *names]) == 1
    captured = capsys.readouterr()
    said = [line.partition(":")[0] for line in captured.out.splitlines()]
    assert said == [name for name in names if name != "missing.png"], "in the order given"
    assert captured.err == "missing.png: there is no file missing.png\n"
    assert sum(sizes) == count + 2
    assert max(sizes) <= engine.TOGETHER, "and never more of them in memory"


def test_predict_reads_a_folder(capsys, tmp_path, sample):
    from PIL import Image

    folder = tmp_path / "my digits"
    (folder / "inner").mkdir(parents=True)
    images = {
        "b.PNG": 1,
        "a.jpg": 2,
        "inner/c.png": 3,
        ".hidden.png": 4,
        "d.png": 5,
        "$HOME.png": 6,
    }
    for name, place in images.items():
        Image.fromarray(sample[1].images[place].numpy()).save(folder / name)
    (folder / "notes.txt").write_text("what I wrote when")
    (folder / "e.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (folder / "folder.png").mkdir()
    assert main(["predict", "my digits", "my digits/d.png"]) == 1
    captured = capsys.readouterr()
    names = [line.partition(":")[0] for line in captured.out.splitlines()]
    assert names == [
        os.path.join("my digits", name) for name in ("$HOME.png", "a.jpg", "b.PNG", "d.png")
    ] + ["my digits/d.png"]
    assert "e.heic" in captured.err and len(captured.err.splitlines()) == 1


def test_predict_goes_on_after_a_folder_without_images(capsys, tmp_path, sample):
    from PIL import Image

    Image.fromarray(sample[1].images[0].numpy()).save(tmp_path / "digit.png")
    (tmp_path / "empty").mkdir()
    assert main(["predict", "empty", "digit.png"]) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        "empty: no image is in this folder: give one with PNG or JPEG files in it\n"
    )
    assert captured.out.startswith("digit.png: ")


def drawn_seven(path: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.new("L", (90, 90), 255)
    ImageDraw.Draw(image).line([(25, 20), (65, 20), (40, 75)], fill=0, width=7, joint="curve")
    image.save(path)


def in_a_shell(command: str, **variables: str) -> subprocess.CompletedProcess:
    "`predict` in a shell of its own; the folder of this Python may have a blank in its name."
    called = 'predict() { "$PYTHON" -m mnist_course predict "$@"; }'
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {called}; {command}"],
        env={**os.environ, "PYTHON": sys.executable, **variables},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def test_one_bad_picture_does_not_stop_the_others(capsys, tmp_path):
    from PIL import Image

    drawn_seven(tmp_path / "7.png")
    Image.new("L", (30, 30), 255).save(tmp_path / "empty.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "7.png").read_bytes()[:90])
    (tmp_path / "two\nlines.png").write_bytes(b"%PDF-1.4")
    (tmp_path / "folder").mkdir()
    names = ["cut.png", "7.png", "folder", "two\nlines.png", "nowhere.png", "empty.png", "7.png"]
    assert main(["predict", *names]) == 1
    captured = capsys.readouterr()
    answers = captured.out.splitlines()
    assert [line.split(":")[0] for line in answers] == ["7.png", "empty.png", "7.png"]
    assert "7  " in answers[0] and "blank" in answers[1]
    told = captured.err.splitlines()
    assert len(told) == 4
    folders_first = ["folder", "cut.png", "two\\nlines.png", "nowhere.png"]
    for line, name in zip(told, folders_first, strict=True):
        assert name in line
    assert main(["predict", "7.png", "empty.png"]) == 0  # a doubt is an answer


def test_a_network_at_fault_is_not_a_bad_picture(capsys, tmp_path):
    from mnist_course.model import Net
    from mnist_course.training import save_weights

    drawn_seven(tmp_path / "7.png")
    model = Net()
    with torch.no_grad():
        model.fc2.bias[3] = torch.nan
    save_weights("broken.safetensors", model)
    assert main(["predict", "7.png", "--model", "broken.safetensors"]) == 2
    captured = capsys.readouterr()
    assert not captured.out and len(captured.err.splitlines()) == 1
    assert captured.err.startswith("mnist-course: ") and "7.png" not in captured.err


def test_home_is_understood_in_both_paths(capsys, monkeypatch, tmp_path):
    from mnist_course.model import load_pretrained
    from mnist_course.training import save_weights

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    drawn_seven(tmp_path / "7.png")
    save_weights(tmp_path / "mine.safetensors", load_pretrained())
    assert main(["predict", "~/7.png", "--model", "~/mine.safetensors"]) == 0
    assert capsys.readouterr().out.startswith("~/7.png: 7  ")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the shell is a Unix one")
def test_an_output_that_fails_is_not_a_bad_picture(tmp_path):
    drawn_seven(tmp_path / "7\u2192.png")
    done = in_a_shell("predict *.png *.png", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and done.stdout.count("7\\u2192.png: 7  ") == 2 and not done.stderr
    many = " ".join(["*.png"] * 60)  # answers come 25 at a time
    done = in_a_shell(f"predict {many} | head -n 1")
    assert done.returncode == 141 and done.stdout.count("\n") == 1 and not done.stderr
    if Path("/dev/full").exists():
        done = in_a_shell("predict *.png *.png > /dev/full")
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
        assert "the answers can't be written: No space left" in done.stderr


def test_start_writes_the_lessons(capsys, tmp_path):
    assert main(["start", "here", "--write-only"]) == 0
    assert "00_start_here.ipynb: new" in capsys.readouterr().out
    assert main(["start", "here", "--write-only"]) == 0
    assert "every lesson is up to date" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform == "win32", reason="process groups are stopped in another way on Windows"
)
def test_start_opens_jupyterlab_at_the_first_lesson(tmp_path):
    "A real server, asked for the first lesson as a browser would ask, and its notebook through Jupyter's API."
    words = ["start", "here", "--no-browser", "--", "--port=0", "--IdentityProvider.token=secret"]
    command = [sys.executable, "-c", f"from mnist_course.cli import main; main({words})"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            url = next(
                match[0]
                for line in server.stderr
                if (match := re.search(r"http://\S+/lab/tree/00_start_here.ipynb", line))
            )
            ask = urllib.request.Request(
                url.replace("/lab/tree/", "/api/contents/"),
                headers={"Authorization": "token secret"},
            )
            while True:  # the address is printed a moment before the server answers
                try:
                    notebook = json.load(urllib.request.urlopen(ask, timeout=PATIENCE))["content"]
                    break
                except urllib.error.URLError:
                    assert server.poll() is None
                    time.sleep(0.2)
            assert notebook["cells"][0]["source"].startswith("# Start here")
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def test_doctor(capsys):
    assert main(["doctor"]) in (0, 1)
    assert "Python" in capsys.readouterr().out


def test_version_and_help(capsys):
    for word in ("--version", "--help"):
        with pytest.raises(SystemExit, match="0"):
            main([word])
    said = capsys.readouterr().out
    assert "mnist_course" in said
    assert not re.search(r"notebooks|bench|wheelhouse", said)  # what learners never need


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_says_what_it_does_and_every_option_what_it_is_for(command):
    (commands,) = _make_parser()._subparsers._group_actions
    made = commands.choices[command]
    assert made.description and all(action.help for action in made._actions)


def handed_on(monkeypatch, function: str, answer: object, *words: str) -> dict:
    "With what a command calls a function."
    asked = {}

    def called(*args, **more):
        asked.update(more, args=args)
        return answer

    monkeypatch.setattr(f"mnist_course.{function}", called)
    assert main([*words]) == 0
    return asked


def test_grade_hands_on_what_was_asked_and_says_what_was_written(monkeypatch, capsys):
    from mnist_course.teaching.grading import Limits

    place, answer = "teaching.grading.grade_class", (None, ["out/class.html", "out/points.csv"])
    asked = handed_on(monkeypatch, place, answer, "grade", "class.zip")
    assert capsys.readouterr().out == "written: out/class.html, out/points.csv\n"
    nothing = ("course", "roster", "export", "learner", "variants", "jobs", "container")
    assert asked == {
        "args": ("class.zip", "grades"),
        **dict.fromkeys(nothing),
        **{name: [] for name in ("lessons", "exercises", "only", "back")},
        "again": False,
        "names": True,
        "limits": Limits(seconds=60, memory=2 * 2**30),
    }
    words = (
        "--out o --lessons 03 04 --exercises 05.x --only Ada --back moodle canvas --course c.toml "
        "--roster r.csv --export moodle --learner (?P<name>.*) --again --no-names --variant id "
        "--container image --jobs 3 --time-limit 1.5 --memory-limit 0.5"
    )
    asked = handed_on(monkeypatch, place, answer, "grade", "folder", *words.split())
    assert asked == {
        "args": ("folder", "o"),
        "lessons": ["03", "04"],
        "exercises": ["05.x"],
        "only": ["Ada"],
        "back": ["moodle", "canvas"],
        "course": "c.toml",
        "roster": "r.csv",
        "export": "moodle",
        "learner": "(?P<name>.*)",
        "again": True,
        "names": False,
        "variants": "id",
        "container": "image",
        "jobs": 3,
        "limits": Limits(seconds=1.5, memory=2**29),
    }


def test_record_hands_on_what_was_asked(monkeypatch):
    from mnist_course.cli import _answer

    place = "record.record_recipes"
    asked = handed_on(monkeypatch, place, None, "record", "a.py", "b.py")
    rest = (5, False, [{}], None, False, 3600, None, None, None)
    assert asked == {"args": (["a.py", "b.py"], *rest), "say": _answer}
    words = (
        "--validate --seeds 2 --set N=1,2 --goal 99 --again --limit 60 --data sample --table t "
        "--cluster tcp://a:1"
    )
    asked = handed_on(monkeypatch, place, None, "record", "a.py", *words.split())
    rest = (2, True, [{"N": "1"}, {"N": "2"}], 0.99, True, 60, "sample", "t", "tcp://a:1")
    assert asked == {"args": (["a.py"], *rest), "say": _answer}


def test_sheet_hands_on_what_was_asked(monkeypatch, capsys):
    place = "teaching.worksheet.write_sheet"
    asked = handed_on(monkeypatch, place, "sheet.html: 3 exercises", "sheet")
    assert capsys.readouterr().out == "sheet.html: 3 exercises\n"
    assert asked == {
        "args": ("exercises.html", [], []),
        "course": None,
        "difficulty": 5,
        "minutes": None,
        "points": False,
        "key": False,
        "title": "",
    }
    words = "--difficulty 3 --minutes 90 --points --key --title Exam --out e.md --course c.toml"
    monkeypatch.setattr("mnist_course.teaching.papers.readers", lambda *args: args)
    asked = handed_on(
        monkeypatch,
        place,
        "",
        "sheet",
        "03",
        *words.split(),
        "--variant",
        "A",
        "B",
        "--roster",
        "r",
    )
    assert asked == {
        "args": ("e.md", ["03"], (["A", "B"], "r", "c.toml")),
        "course": "c.toml",
        "difficulty": 3,
        "minutes": 90,
        "points": True,
        "key": True,
        "title": "Exam",
    }


def test_export_reads_the_file_back_and_says_how_many_digits_are_right(capsys, tmp_path):
    from mnist_course.model import Net
    from mnist_course.training import save_weights

    save_weights("mine.safetensors", Net())  # knows nothing yet
    for words, least, most in (([], 190, 200), (["--model", "mine.safetensors"], 0, 80)):
        assert main(["export", "out.safetensors", *words]) == 0
        first, second = capsys.readouterr().out.splitlines()
        size = (tmp_path / "out.safetensors").stat().st_size
        assert first == f"out.safetensors: safetensors, {size:,} bytes"
        right, of, itself = map(int, re.findall(r"\b\d+\b(?!\.)", second)[:3])
        assert least <= right == itself <= most and of == 200
        assert second.endswith("no probability is off by more than 0")


# --- places and files


@pytest.mark.parametrize("command", ["grade", "train", "export", "sheet", "slides"])
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    monkeypatch, tmp_path, capsys, command
):
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "class" / "ada").mkdir(parents=True)

    def work(*args, **kwargs):
        raise AssertionError("the work began")

    for place in (
        "teaching.grading.classroom.gather",
        "distributed.fit_together",
        "export.save_model",
        "teaching.worksheet.pick_lessons",
        "teaching.slides.pick_lessons",
    ):
        monkeypatch.setattr(f"mnist_course.{place}", work)
    words = {
        "grade": ["class", "--out", "taken"],
        "train": ["--out", "taken/run"],
        "export": ["taken/net.safetensors"],
        "sheet": ["--out", "taken/sheet.html"],
        "slides": ["--out", "taken"],
    }
    assert main([command, *words[command]]) == 2
    assert "taken" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "class"}
    assert not any((tmp_path / "class" / "ada").iterdir())


def test_home_in_the_words_of_a_command(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert main(["sheet", "03", "--out", "~/sheet.html"]) == 0
    assert main(["start", "~/lessons", "--write-only"]) == 0
    assert (tmp_path / "home" / "sheet.html").exists()
    assert (tmp_path / "home" / "lessons" / "00_start_here.ipynb").exists()


@pytest.mark.parametrize(
    "change",
    [
        None,  # no settings at all
        {"recipe": "slow"},
        {"recipe": None},
        {"epochs": 0},
        {"epochs": True},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"seed": "3"},
        {"data": 3},
        {"precision": "float16"},
        {"digits": [640, "many"]},
        {"digits": 640},
    ],
    ids=str,
)
def test_a_run_whose_settings_are_damaged_is_not_gone_on_with(change, capsys, tmp_path):
    (tmp_path / "run").mkdir()
    settings = ["a list"] if change is None else SETTINGS | change
    (tmp_path / "run" / "settings.json").write_text(json.dumps(settings))
    assert main(["train", "--resume", "run"]) == 2
    said = capsys.readouterr().err
    assert "run is not a run that can be resumed: settings.json is missing or damaged" in said
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["settings.json"]


def test_a_run_that_is_to_be_started_again_by_itself_needs_a_folder(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert main(["train", "--epochs", "1"]) == 2
    assert "name its folder with --out, so that it goes on there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_every_process_needs_a_digit_of_each_batch(tmp_path):
    args = Namespace(**dict.fromkeys(SETTINGS), out="run", resume=None)
    args.batch_size = 7
    assert cli._begin_run(args, 7) == (
        Path("run"),
        SETTINGS | {"epochs": 20, "batch_size": 7, "precision": None},
    )
    with pytest.raises(ValueError, match="a batch of 7 digits is too small for 8 processes"):
        cli._begin_run(args, 8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grade", "class", "--jobs", "0"], "--jobs must be at least 1"),
        (["grade", "class", "--time-limit", "0"], "must be numbers above 0"),
        (["grade", "class", "--memory-limit", "inf"], "must be numbers above 0"),
        (["audit", "lab.py", "--seeds", "0"], "--seeds must be at least 1"),
    ],
)
def test_a_number_that_cannot_be_is_told_before_anything_is_read(words, message, capsys, tmp_path):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_start_opens_what_it_wrote(monkeypatch, capsys):
    from mnist_course.teaching import folder

    opened, asked = [], []
    monkeypatch.setattr(folder, "write_course", lambda *given: asked.append(given) or ["wrote 01"])
    monkeypatch.setattr(folder, "open_lab", lambda *given: opened.append(given) or 7)
    assert main(["start", "here", "--write-only", "--lessons", "00-02, 05"]) == 0
    assert asked == [("here", ["00-02", "05"])] and opened == []
    assert capsys.readouterr().out == "wrote 01\n"
    assert main(["start", "here", "--no-browser", "--", "--port=8890"]) == 7
    assert opened == [("here", ["--no-browser", "--port=8890"])]
    said = capsys.readouterr().out
    assert said == "wrote 01\nJupyterLab opens in here; stop it with Ctrl-C here.\n"
    monkeypatch.setattr(folder, "write_course", lambda *given: [])
    assert main(["start", "there"]) == 7 and opened[-1] == ("there", [])
    assert capsys.readouterr().out.startswith("every lesson is up to date\n")


def test_quiz_says_where_it_is(monkeypatch, capsys):
    from mnist_course.teaching import quiz

    asked = []
    monkeypatch.setattr(quiz, "write_quiz", lambda *given: asked.append(given) or "q.xml: 9 items")
    assert main(["quiz", "01", "--out", "q.xml"]) == 0
    assert capsys.readouterr().out == "q.xml: 9 items\n" and asked[0][0] == "q.xml"


def test_a_folder_that_cannot_be_read_is_told(monkeypatch, capsys, tmp_path):
    (tmp_path / "pictures").mkdir()
    real = os.scandir

    def refused(place="."):
        if str(place).endswith("pictures"):
            raise PermissionError(13, "Permission denied")
        return real(place)

    monkeypatch.setattr(os, "scandir", refused)
    assert main(["predict", "pictures"]) == 1
    assert "the folder can't be read: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "kind"), [("NET.ONNX", "onnx"), ("a.SafeTensors", "safetensors"), ("b.onnx", "onnx")]
)
def test_the_ending_of_a_name_says_what_it_is_in_any_letters(name, kind):
    assert cli._export_format(Namespace(file=name, format=None, model=None)) == kind


def test_a_console_that_lacks_a_letter_shows_its_number(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(cli, "_make_parser", lambda: Namespace(parse_args=lambda words: given))
    given = Namespace(run=lambda args: print("from 00\u201302") or 0)
    assert main([]) == 0
    assert shown.buffer.getvalue() == b"from 00\\u201302\n"


def test_a_run_says_what_it_has_read_and_how_much_of_it_is_right(capsys, tmp_path, small):
    lines = []
    history = History(
        *([1.0, 0.5], [0.6, 0.7], [1.0, 0.5], [0.6, 0.734], [0.01, 0.01], [1.0, 2.4]),
        settings={"recipe": "one-cycle"},
    )
    cli._say_results(tmp_path, history, 500)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "test accuracy 73.40%: 367 of 500 digits, after 2 epochs, 3 s"
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_a_command_whose_output_is_closed_does_its_work(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", None)  # as after >&- in a shell
    assert main(["start", "mine", "--write-only", "--lessons", "00"]) == 0
    assert (tmp_path / "mine" / "00_start_here.ipynb").exists()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (ValueError("three is too many"), 2, "mnist-course: three is too many\n"),
        (FileNotFoundError(2, "No such file", "a.pt"), 2, "mnist-course: a.pt: No such file\n"),
        (CourseError("it didn't learn"), 1, "mnist-course: it didn't learn\n"),
    ],
)
def test_how_a_command_ends(monkeypatch, capsys, error, status, said):
    def run(args):
        raise error

    parser = Namespace(parse_args=lambda words: Namespace(run=run))
    monkeypatch.setattr(cli, "_make_parser", lambda: parser)
    assert main(["predict", "a.png"]) == status
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("error", "kind", "words", "forgets"),
    [
        (OSError(28, "No space left"), CourseError, "can't be written: No space left$", [True]),
        (BrokenPipeError(), BrokenPipeError, "", []),
    ],
)
def test_an_answer_that_cannot_be_written_is_not_the_pictures_fault(
    monkeypatch, error, kind, words, forgets
):
    forgotten = []

    def write(*words, flush):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("builtins.print", write)
        patched.setattr(cli, "_forget_output", lambda: forgotten.append(True))
        with pytest.raises(kind, match=words or None):
            cli._answer("3  99 %")
    assert forgotten == forgets


@pytest.mark.parametrize(
    ("begun", "finished", "words"),
    [
        (False, False, "process 1 has lost another one$"),
        (True, False, "lost another one; no epoch was finished: go on with --resume run$"),
        (True, True, "one; what was finished is in checkpoint.pt: go on with --resume run$"),
    ],
)
def test_a_run_that_lost_a_process_says_how_to_go_on(
    monkeypatch, capsys, tmp_path, begun, finished, words
):
    lost = LostError("process 1 has lost another one")

    def fails(*given):
        raise lost

    monkeypatch.setattr(cli, "_train_run" if begun else "_begin_run", fails)
    if finished:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "checkpoint.pt").touch()
        monkeypatch.setattr(cli, "_begin_run", lambda args, size: (Path("run"), {}))
    assert main(["train", "--out", "run"]) == 1
    assert re.search(words, capsys.readouterr().err.strip())
