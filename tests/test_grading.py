"""A class of made-up submissions: whatever one of them does, all are graded, and what went wrong is told."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from helpers import PATIENCE

from mnist_course.checks import exercises
from mnist_course.cli import main
from mnist_course.teaching.folder import write_course
from mnist_course.teaching.grading import Limits, grade_folder, write_grades
from mnist_course.teaching.grading.limits import clean_environment, supervise
from mnist_course.teaching.grading.report import _grades_csv, _grades_report
from mnist_course.teaching.grading.run import Grade, _submissions

posix = pytest.mark.skipif(
    os.name != "posix", reason="signals, fork and memory limits are those of POSIX systems"
)
IDS = [item.id for item in exercises() if item.lesson == "03"]
RIGHT = {
    "03.output_size": "def output_size(size, kernel_size, stride=1, padding=0, dilation=1):\n"
    "    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1",
    "03.conv2d_params": "def conv2d_params(in_channels, out_channels, kernel_size, bias=True):\n"
    "    return out_channels * (in_channels * kernel_size**2 + bias)",
    "03.linear_params": "def linear_params(in_features, out_features, bias=True):\n"
    "    return out_features * (in_features + bias)",
    "03.same_padding": "def same_padding(kernel_size, dilation=1):\n    return dilation * (kernel_size - 1) // 2",
    "03.flat_features": "def flat_features(size, channels, kernels):\n    for k in kernels:\n        size = (size - k + 1) // 2\n"
    "    return channels * size**2",
    "03.team_params": "team_params = 51_328",
    "03.field_width": "field_width = 19",
    "03.small_net": "def small_net():\n    layers = []\n    for a, b in [(1, 8), (8, 8), (8, 16)]:\n"
    "        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]\n"
    "    return nn.Sequential(*layers, nn.Conv2d(16, 4, 3, padding=1), nn.Flatten(), nn.Linear(36, 10))",
}
IMPORTS = "from torch import nn\nfrom mnist_course.checks import check"


def line(id: str) -> str:
    return f'\n\n\ncheck("{id}", {id[3:]})'


def right_cells(*ids: str) -> list[str]:
    return [IMPORTS, *(RIGHT[id] + line(id) for id in ids or IDS)]


def write(folder: Path, *sources: str, name: str = "03_shapes.ipynb") -> Path:
    "A notebook with these code cells."
    folder.mkdir(parents=True, exist_ok=True)
    cells = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for source in sources
    ]
    (folder / name).write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    return folder / name


def solve(path: Path, answers: dict[str, str]) -> None:
    "Put answers in the place of a lesson's stubs."
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        found = re.search(r'^check\("([\w.]+)"', "".join(cell["source"]), re.M)
        if found and found[1] in answers:
            cell["source"] = answers[found[1]] + line(found[1])
    path.write_text(json.dumps(notebook), "utf-8")


def make_class(folder: Path) -> None:
    for name in ("ada", "ben", "cleo"):
        write_course(folder / name)
        for path in (folder / name).glob("*.ipynb"):
            if not path.name.startswith("03"):
                path.unlink()
    solve(folder / "ada" / "03_shapes.ipynb", RIGHT)  # perfect
    half = {id: RIGHT[id] for id in IDS[:5]} | {"03.team_params": "team_params = 51_200"}
    solve(folder / "cleo" / "03_shapes.ipynb", half)  # ben's is empty
    write(folder / "dan", "import os\nos.abort()", *right_cells())  # crashes
    write(
        folder / "eve",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        *right_cells(),
    )  # hangs
    write(folder / "lou", "while True: pass", *right_cells())  # hangs, but can be interrupted
    write(folder / "fay", "import os\nwhile True:\n    os.fork()", *right_cells())  # forks
    write(folder / "gus", *right_cells(*IDS[:6]))  # deleted cells
    cheat = "import mnist_course.checks\nmnist_course.checks.check = print\nfield_width = 10\nprint('03.field_width: passed')"
    write(
        folder / "hal",
        cheat,
        RIGHT["03.team_params"] + "\n\n\n" + 'check("03.team_params", 51_328)',
    )  # edited checks
    (
        folder / "hal" / "mnist_course"
    ).mkdir()  # and a package of their own, which says yes to everything
    (folder / "hal" / "mnist_course" / "__init__.py").write_text(
        "raise SystemExit('the wrong package')"
    )
    write(
        folder / "ivy",
        "for _ in range(300_000):\n    print('x' * 1000)\n'y' * 100_000_000",
        *right_cells(),
    )  # prints a flood
    (folder / "jon").mkdir()  # wrong file types
    (folder / "jon" / "03_shapes.ipynb").write_text(
        "Dear teacher, my homework is in the other file."
    )
    (folder / "jon" / "homework.docx").write_bytes(b"PK\x03\x04")
    write(
        folder / "kim",
        "hog = []\nwhile True:\n    hog.append(bytearray(50_000_000))",
        *right_cells(),
    )  # fills the memory


class WorkClock(threading.local):
    "A clock that each watch looks at: it goes on as its notebook's process computes, and stands still while the machine does other things."

    def supervise(self, process, *args):
        self.process = psutil.Process(process.pid)
        self.now = 0.0
        return supervise(process, *args)

    def monotonic(self) -> float:
        try:
            times = self.process.cpu_times()
        except psutil.Error:  # it has ended
            return self.now
        self.now = times.user + times.system
        return self.now


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> tuple[dict[str, Grade], Path]:
    folder = tmp_path_factory.mktemp("grading")
    make_class(folder / "class")
    clock = WorkClock()
    words = [
        "grade",
        str(folder / "class"),
        "--out",
        str(folder / "out"),
        "--time-limit",
        "15",
        "--memory-limit",
        "1",
    ]
    grades: list[Grade] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mnist_course.teaching.grading.write_grades",
            lambda made, out: grades.extend(made) or write_grades(made, out),
        )
        patch.setattr("mnist_course.teaching.grading.run.supervise", clock.supervise)
        patch.setattr(
            "mnist_course.teaching.grading.limits.time",
            SimpleNamespace(monotonic=clock.monotonic, sleep=time.sleep),
        )
        # as in a job that a script started with &
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert main(words) == 0
        finally:
            signal.signal(signal.SIGINT, before)
    return {grade.learner: grade for grade in grades}, folder / "out"


def statuses(grade: Grade) -> list[str]:
    return [grade.results[id]["status"] for id in IDS]


@posix
def test_everyone_is_graded(graded):
    grades, _ = graded
    assert list(grades) == [
        "ada",
        "ben",
        "cleo",
        "dan",
        "eve",
        "fay",
        "gus",
        "hal",
        "ivy",
        "jon",
        "kim",
        "lou",
    ]
    assert grades["ada"].passed == len(IDS) and grades["ada"].remarks == []
    assert statuses(grades["ben"]) == ["not attempted"] * len(IDS) and grades["ben"].remarks == []
    assert statuses(grades["cleo"]) == [
        *["passed"] * 5,
        "failed",
        "not attempted",
        "not attempted",
    ]
    assert (
        grades["cleo"].results["03.team_params"]["misconception"] == "bias_forgotten"
        and grades["cleo"].remarks == []
    )


@posix
@pytest.mark.parametrize(
    ("learner", "told"),
    [
        ("dan", "cell 1 ended the process (signal 6)"),
        ("eve", "cell 1 was still running after 15 s"),
        ("fay", "cell 1: PermissionError"),
        ("kim", "cell 1 filled the memory"),
        ("lou", "cell 1: stopped at its time limit"),
        ("ivy", None),
    ],
)
def test_what_one_cell_does_costs_no_other_answer(graded, learner, told):
    grade = graded[0][learner]
    assert grade.passed == len(IDS)
    assert (told is None and grade.remarks == []) or any(
        told in remark for remark in grade.remarks
    ), grade.remarks


@posix
def test_deleted_cells_and_edited_checks_are_told(graded):
    grades, _ = graded
    assert statuses(grades["gus"]) == ["passed"] * 6 + ["missing"] * 2
    assert any(
        "no cell answers 03.field_width, 03.small_net" in remark for remark in grades["gus"].remarks
    )
    hal = grades["hal"]
    assert hal.results["03.field_width"] | {"message": ""} == {
        "status": "failed",
        "misconception": "jumps_ignored",
        "message": "",
    }
    assert (
        hal.results["03.team_params"]["status"] == "passed"
    )  # the answer is right, whatever the line behind it says
    assert any(
        "check line was changed or deleted: 03.team_params, 03.field_width" in remark
        for remark in hal.remarks
    )
    assert grades["jon"].results == {}
    assert any("cannot be read as JSON" in remark for remark in grades["jon"].remarks)
    assert any("homework.docx: not a notebook" in remark for remark in grades["jon"].remarks)


@posix
def test_the_table_and_the_report(graded):
    grades, out = graded
    rows = list(csv.DictReader(io.StringIO((out / "grades.csv").read_text("utf-8-sig"))))
    assert [row["learner"] for row in rows] == list(grades)
    assert (
        rows[0]["03.small_net"] == "passed"
        and rows[0]["passed"] == str(len(IDS))
        and rows[1]["03.small_net"] == "open"
    )
    assert (
        rows[2]["03.team_params"] == "failed: bias_forgotten"
        and rows[6]["03.small_net"] == "missing"
        and rows[9]["03.small_net"] == ""
    )
    assert set(row["of"] for row in rows) == {str(len(list(exercises())))}
    report = (out / "report.md").read_text("utf-8")
    for part in (
        "`+++++x..`",
        "`++++++--`",
        "bias_forgotten",
        "was still running after 15 s",
        "homework.docx",
    ):
        assert part in report, part


@posix
def test_nothing_is_left_running(graded):
    left = []
    for process in psutil.process_iter():
        try:
            if (
                "MNIST_COURSE_GRADING" in process.environ()
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                left.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    assert left == []


@posix
def test_leaving_early_is_told(tmp_path):
    write(
        tmp_path / "class" / "lea",
        "import sys\nsys.exit(0)",
        *right_cells("03.team_params"),
        "import os\nos._exit(0)",
        RIGHT["03.field_width"],
    )
    (grade,) = grade_folder(
        tmp_path / "class", jobs=1, limits=Limits(seconds=PATIENCE), say=lambda text: None
    )
    assert [grade.results[id]["status"] for id in ("03.team_params", "03.field_width")] == [
        "passed",
        "passed",
    ]
    assert any("ended the process (exit status 0)" in remark for remark in grade.remarks)


@posix
def test_a_forged_line_in_the_results_is_no_crash(tmp_path):
    forge = "import glob, json, os\nfor path in glob.glob('../*.jsonl'):\n    open(path, 'ab').write(b'[1]\\n{\"id\": \"03.team_params\", \"status\": 7}\\n\\xff\\n')"
    write(tmp_path / "class" / "max", forge, *right_cells("03.team_params"))
    (grade,) = grade_folder(
        tmp_path / "class", jobs=1, limits=Limits(seconds=PATIENCE), say=lambda text: None
    )
    assert grade.results["03.team_params"]["status"] == "passed"


def test_grading_is_told_what_it_cannot_grade(tmp_path, capsys):
    assert (
        main(["grade", str(tmp_path / "nowhere")]) == 2
        and "is not a folder" in capsys.readouterr().err
    )
    assert main(["grade", str(tmp_path)]) == 2 and "is empty" in capsys.readouterr().err
    for words in (
        ["--jobs", "0"],
        ["--time-limit", "0"],
        ["--memory-limit", "nan"],
        ["--time-limit", "inf"],
    ):
        assert main(["grade", str(tmp_path), *words]) == 2 and "must be" in capsys.readouterr().err
    (tmp_path / "a").mkdir()
    write(tmp_path, "x = 1", name="notes.ipynb")
    (tmp_path / "b.ipynb").write_text("[1, 2]")
    assert main(["grade", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert (
        "no notebook was handed in" in text
        and "not a lesson of this course" in text
        and "but no notebook of format 4" in text
    )


def test_links_are_not_followed_and_hidden_files_are_no_submission(tmp_path):
    write(tmp_path / "class" / "ada", "x = 1")
    write(tmp_path / "class" / "ada" / ".ipynb_checkpoints", "x = 1")
    write(tmp_path / "elsewhere", "x = 1")
    (tmp_path / "class" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "class" / ".hidden").mkdir()
    found = _submissions(tmp_path / "class")
    assert {name: [path.name for path in files] for name, files in found.items()} == {
        "ada": ["03_shapes.ipynb"]
    }


def test_names_and_words_of_learners_are_harmless_in_the_tables():
    grades = [
        Grade("=cmd|' /C calc'!A0", {}, ["x.ipynb: cell 1: NameError: <script>|[a](b)\n# big"])
    ]
    row = next(csv.DictReader(io.StringIO(_grades_csv(grades))))
    assert row["learner"] == "'=cmd|' /C calc'!A0"
    report = _grades_report(grades)
    assert (
        "<script>" not in report.replace("\\<", "") and "\n# big" not in report and "\\|" in report
    )


def test_the_fresh_process_gets_none_of_our_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("API_KEY", "secret")
    assert (
        "API_KEY" not in clean_environment(tmp_path, "token")
        and clean_environment(tmp_path, "token")["MNIST_COURSE_DATA"] == "sample"
    )
    assert sys.executable


@posix
def test_a_machine_that_stood_still_does_not_take_the_time_to_stop_from_a_cell(
    tmp_path, monkeypatch
):
    told = tmp_path / "told"
    told.write_text("{}")
    clock = iter([0, 0.1, 0.2])
    source = "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job started with & ignores interrupts
    source += "try:\n    print('ready', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    time.sleep(0.5)"
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        # past the limit and the grace in one step
        monkeypatch.setattr(time, "monotonic", lambda: next(clock, 50))
        stopped = supervise(process, told, Limits(seconds=5))
    assert stopped == "" and process.returncode == 0
