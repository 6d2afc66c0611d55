"""A class of made-up submissions: whatever one of them does, all are graded, and what went wrong is told."""

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest
from helpers import PATIENCE

import mnist_course.teaching.grading.run as run_of
from mnist_course.checks import exercises
from mnist_course.cli import main
from mnist_course.teaching.folder import write_course
from mnist_course.teaching.grading import Limits, grade_class
from mnist_course.teaching.grading.gradebook import Record
from mnist_course.teaching.grading.limits import Watch
from mnist_course.teaching.grading.room import OPEN, best_room, clean_environment, try_container
from mnist_course.teaching.grading.run import Grade, _as_they_come, _submissions, grade_folder

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
NEEDED = "nn = None\n"  # a cell that binds what an answer uses is run
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
    write(folder / "dan", NEEDED + "import os\nos.abort()", *right_cells())  # crashes
    write(
        folder / "eve",
        NEEDED + "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        *right_cells(),
    )  # hangs
    write(
        folder / "lou", NEEDED + "while True: pass", *right_cells()
    )  # hangs, but can be interrupted
    write(folder / "fay", NEEDED + "import os\nwhile True:\n    os.fork()", *right_cells())  # forks
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
        NEEDED + "for _ in range(50_000):\n    print('x' * 1000)\n'y' * 10_000_000",
        *right_cells(),
    )  # prints a flood
    (folder / "jon").mkdir()  # wrong file types
    (folder / "jon" / "03_shapes.ipynb").write_text(
        "Dear teacher, my homework is in the other file."
    )
    (folder / "jon" / "homework.docx").write_bytes(b"PK\x03\x04")
    write(
        folder / "kim",
        NEEDED + "hog = []\nwhile True:\n    hog.append(bytearray(50_000_000))",
        *right_cells(),
    )  # fills the memory


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> tuple[dict[str, Record], Path]:
    folder = tmp_path_factory.mktemp("grading")
    make_class(folder / "class")
    words = ["grade", str(folder / "class"), "--out", str(folder / "out"), "--lessons", "03"]
    words += ["--time-limit", "5", "--memory-limit", "1"]
    kept: list[Record] = []

    def grade(*args, **options):
        records, files = grade_class(*args, **options)
        kept.extend(records)
        return records, files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnist_course.teaching.grading.grade_class", grade)
        # as in a job that a script started with &
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert main(words) == 0
        finally:
            signal.signal(signal.SIGINT, before)
    return {record.name: record for record in kept}, folder / "out"


def passed(record: Record) -> int:
    return sum(result["status"] == "passed" for result in record.results.values())


def statuses(grade: Grade | Record) -> list[str]:
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
    assert passed(grades["ada"]) == len(IDS) and grades["ada"].remarks == []
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
        ("eve", "cell 1 was still running after 5 s"),
        ("fay", "cell 1 had started"),
        ("kim", "cell 1 filled the memory"),
        ("lou", "cell 1: stopped at its time limit"),
        ("ivy", None),
    ],
)
def test_what_one_cell_does_costs_no_other_answer(graded, learner, told):
    grade = graded[0][learner]
    assert passed(grade) == len(IDS)
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
    assert hal.results["03.field_width"] | {"message": "", "evidence": ""} == {
        "status": "failed",
        "misconception": "jumps_ignored",
        "message": "",
        "evidence": "",
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
    assert [row["name"] for row in rows] == list(grades)
    assert list(rows[0]) == ["name", "id", "email", "points", "maximum", "percent", *IDS]
    assert rows[0]["percent"] == "100" and rows[1]["points"] == "0"
    assert rows[0]["points"] == rows[0]["maximum"] == rows[3]["maximum"]
    assert rows[2]["03.team_params"] == rows[6]["03.small_net"] == "0" != rows[0]["03.small_net"]
    report = (out / "report.md").read_text("utf-8")
    for part in (
        "`+++++x..`",
        "`++++++--`",
        "bias_forgotten",
        "was still running after 5 s",
        "homework.docx",
    ):
        assert part in report, part


FLAT = RIGHT["03.flat_features"]
LINE = line("03.flat_features")
INDENTED = "".join("    " + one + "\n" for one in FLAT.splitlines())
SOCKETS = "import os, socket, stat\nopen_ones = [n for n in range(3, 200) if os.path.exists(f'/proc/self/fd/{n}') and stat.S_ISSOCK(os.fstat(n).st_mode)]\n"
FORGED = 'b\'{"id": "03.flat_features", "status": "passed", "misconception": null, "message": "", "evidence": ""}\\n{"done": true}\\n\''

# what JupyterLab runs, and what a notebook of any age and any editor looks like: (files, status of 03.flat_features, remark)
AS_IN_JUPYTER = {
    "inline": ({"03_shapes.ipynb": ["%matplotlib inline\n" + FLAT + LINE]}, "passed"),
    "beside": (
        {
            "03_shapes.ipynb": [
                "from helper import after",
                "def flat_features(size, channels, kernels):\n    for k in kernels: size = after(size, k)\n    return channels * size**2"
                + LINE,
            ],
            "helper.py": "def after(size, k): return (size - k + 1) // 2\n",
        },
        "passed",
    ),
    "shell": ({"03_shapes.ipynb": ["files = !ls\n" + FLAT + LINE]}, "passed"),
    "help": ({"03_shapes.ipynb": ["len?\n" + FLAT + LINE]}, "passed"),
    "indented magic": (
        {"03_shapes.ipynb": ["def other():\n    %time 1\n" + FLAT + LINE]},
        "passed",
    ),
    "if": ({"03_shapes.ipynb": ["if True:\n" + INDENTED + LINE]}, "passed"),
    "with": (
        {
            "03_shapes.ipynb": [
                "from contextlib import nullcontext\nwith nullcontext():\n" + INDENTED + LINE
            ]
        },
        "passed",
    ),
    "for": ({"03_shapes.ipynb": ["for _ in range(2):\n" + INDENTED + LINE]}, "passed"),
    "timed": ({"03_shapes.ipynb": ["%%time\n" + FLAT + LINE]}, "passed"),
    "run": ({"03_shapes.ipynb": ["%run mine.py\n" + LINE], "mine.py": FLAT + "\n"}, "passed"),
    "written": (
        {
            "03_shapes.ipynb": [
                "%%writefile made.py\n" + FLAT + "\n",
                "from made import flat_features" + LINE,
            ]
        },
        "passed",
    ),
    "await": (
        {"03_shapes.ipynb": ["import asyncio\nawait asyncio.sleep(0.01)\n" + FLAT + LINE]},
        "passed",
    ),
    "asks": ({"03_shapes.ipynb": ["name = input('Your name? ')\n" + FLAT + LINE]}, "passed"),
    "workers": (
        {
            "03_shapes.ipynb": [
                "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\nfor _ in range(2):\n    for batch in DataLoader(TensorDataset(torch.zeros(8, 1)), 4, num_workers=2): pass\n"
                + FLAT
                + LINE
            ]
        },
        "passed",
    ),
    "thread": (
        {
            "03_shapes.ipynb": [
                "import threading, time\nthreading.Thread(target=lambda: time.sleep(1e5)).start()\n"
                + FLAT
                + LINE
            ]
        },
        "passed",
    ),
    "lost": ({"03_shapes.ipynb": [FLAT + LINE + "\n1 / 0"]}, "passed"),
    "by another name": ({"03_shapes.ipynb": [f"exec({FLAT!r})" + LINE]}, "passed"),
    "colon": ({"03_shapes.ipynb": [FLAT.replace("kernels):", "kernels)") + LINE]}, "failed"),
    "never ends": (
        {"03_shapes.ipynb": [FLAT.replace("return", "while True: pass\n    return") + LINE]},
        "failed",
    ),
    "too late": ({"03_shapes.ipynb": ["1 / 0\n" + FLAT + LINE]}, "failed"),
    "deep": ({"03_shapes.ipynb": ["x = " + "-" * 100_000 + "1", FLAT + LINE]}, "passed"),
    "capital.IPYNB": ({"03_shapes.IPYNB": [FLAT + LINE]}, "passed"),
    "mailed": ({"03_shapes.ipynb.txt": [FLAT + LINE]}, "passed"),
    "mark": ({"03_shapes.ipynb": ("utf-8-sig", [FLAT + LINE])}, "passed"),
    "powershell": ({"03_shapes.ipynb": ("utf-16", [FLAT + LINE])}, "passed"),
    "elsewhere": ({"solutions of M\u00fcller.ipynb": [FLAT + LINE]}, "passed"),
}

# what a submission may try
ATTACKS = {
    "forges": (
        [
            "def flat_features(*a): return 3" + LINE,
            SOCKETS + f"for n in open_ones: os.write(n, {FORGED})\nos._exit(0)\nflat_features = 1",
        ],
        "failed",
    ),
    "lies on": (
        [
            "def flat_features(*a): return 3" + LINE,
            SOCKETS
            + f"flat_features = 2\nfor n in open_ones: os.write(n, {FORGED})\nimport time\ntime.sleep(30)",
        ],
        "failed",
    ),
    "replaces": (
        [
            "import mnist_course.checks.engine as e\ne._check_function = lambda item, *a: e.Result(item.id, 'passed')\ndef flat_features(*a): return 3"
            + LINE
        ],
        "failed",
    ),
    # says that it passed, on whatever leads out of here, and leaves before anybody can ask
    "speaks for us": (
        [
            "import json, os\nflat_features = 1\n"
            "said = {'id': '03.flat_features', 'status': 'passed', 'exam': 'same'}\n"
            "line = json.dumps(said).encode() + b'\\n'\n"
            "for number in range(3, 64):\n    try:\n        os.write(number, line)\n    except OSError:\n        pass\n"
            "os._exit(0)" + LINE
        ],
        "failed",
    ),
    # first, and there is one room: whoever is next finds nothing of it
    "a mess": (
        [
            "import os, pathlib\nleft = [pathlib.Path(one) / 'left' for one in ('/tmp', '/dev/shm', os.path.expanduser('~'), '..')]\n"
            "found = [one for one in left if one.exists()]\n"
            "for one in left:\n    try:\n        one.write_text('x')\n    except OSError:\n        pass\n"
            + FLAT.replace("channels * size**2", "channels * size**2 + 1000 * len(found)")
            + LINE
        ],
        "passed",
    ),
    "fills the disk": (
        [
            "import os\nbig = 0\nwhile big < 40:\n    try:\n        with open(f'{big}.bin', 'wb') as file:\n            file.write(bytes(2**26))\n    except OSError:\n        break\n    big += 1\n"
            + FLAT.replace("channels * size**2", "channels * size**2 + 1000 * (big == 40)")
            + LINE
        ],
        "passed",
    ),
    "kills": (["import os\nfor pid in (os.getppid(), 1): os.kill(pid, 9)\n" + FLAT + LINE], None),
    "looks around": (
        [
            "found = []\nfor path in ('/proc/1/environ', CLASS):\n    try:\n        found.append(open(path).read())\n    except OSError:\n        pass\n"
            + FLAT.replace("channels * size**2", "channels * size**2 + 1000 * len(found)")
            + LINE
        ],
        "passed",
    ),
    "calls home": (
        [
            "import socket\ntry:\n    socket.create_connection(('127.0.0.1', PORT), 2)\n    off = 1\nexcept OSError:\n    off = 0\n"
            + FLAT.replace("channels * size**2", "channels * size**2 + off")
            + LINE
        ],
        "passed",
    ),
    "imports": (["from mnist_course.checks.shapes import flat_features" + LINE], "passed"),
    "reads": (
        [
            "from mnist_course.checks import exercises\nflat_features = {i.name: i.solution for i in exercises()}['flat_features']"
            + LINE
        ],
        "passed",
    ),
}
# two rooms, and three who leave a mess: one of them comes into a room where another one was
ATTACKS |= {f"{name} again": ATTACKS["a mess"] for name in ("a mess", "and")}


def put(folder: Path, files: dict) -> None:
    for name, content in files.items():
        if isinstance(content, str):
            (folder / name).write_text(content)
            continue
        encoding, sources = content if isinstance(content, tuple) else ("utf-8", content)
        path = write(folder, "from mnist_course.checks import check", *sources, name=name)
        path.write_bytes(path.read_text().encode(encoding))


@pytest.fixture(scope="module")
def odd(request, tmp_path_factory) -> tuple[dict[str, Grade], Path]:
    "A class in which everybody does something of their own, if a test will ask for it."
    folder = tmp_path_factory.mktemp("odd") / "class"
    listener = socket.create_server(("127.0.0.1", 0))
    here = [one for one in request.session.items if one.module is request.module]
    asked = [one.callspec.params.get("name") for one in here if hasattr(one, "callspec")]
    for name, (files, _) in AS_IN_JUPYTER.items():
        if name in [*asked, "mark"]:
            put(folder / name, files)
    for name, (sources, _) in ATTACKS.items():
        secret = str(folder / "mark" / "03_shapes.ipynb")
        named = [
            one.replace("CLASS", repr(secret)).replace("PORT", str(listener.getsockname()[1]))
            for one in sources
        ]
        put(folder / name, {"03_shapes.ipynb": named})
    (folder / "grades.xlsx").write_bytes(b"PK")
    os.mkdir(os.fsencode(folder) + b"/M\xfcller")
    put(folder / os.fsdecode(b"M\xfcller"), {"03_shapes.ipynb": [FLAT + LINE]})
    os.mkfifo(folder / "mark" / "pipe.ipynb")
    (folder / "mark" / "zero.ipynb").symlink_to("/dev/zero")
    told: list[str] = []
    grades = grade_folder(folder, 2, Limits(seconds=5), say=told.append)
    listener.close()
    return {grade.learner: grade for grade in grades}, folder


def flat(grade: Grade) -> str:
    return grade.results["03.flat_features"]["status"]


@posix
@pytest.mark.drawn(10)
@pytest.mark.parametrize("name", AS_IN_JUPYTER)
def test_what_runs_in_jupyter_runs_here(odd, name):
    grade = odd[0][name]
    assert flat(grade) == AS_IN_JUPYTER[name][1], grade
    if name == "colon":
        assert "SyntaxError: expected ':' (line 1)" in grade.results["03.flat_features"]["message"]


@posix
def test_files_that_are_no_notebook_are_named_and_no_learner(odd):
    grades, _ = odd
    assert "grades.xlsx" not in grades
    assert flat(grades["M\ufffdller"]) == "passed"
    assert any(
        remark.startswith("pipe.ipynb: this is no ordinary file")
        for remark in grades["mark"].remarks
    )


closed = pytest.mark.skipif(
    os.name != "posix" or best_room() == OPEN, reason="this machine makes no closed rooms"
)


@closed
@pytest.mark.parametrize("name", ATTACKS)
def test_what_a_submission_may_try(odd, name):
    grades, _ = odd
    expected = ATTACKS[name][1]
    assert expected is None or flat(grades[name]) == expected, grades[name]
    if name in ("imports", "reads"):
        assert any("the course's own solution" in remark for remark in grades[name].remarks)


STORMS = {
    "of shells": "import os\nos.system('f() { f & f & wait; }; f')",
    # Python's hooks see nothing of it
    "through C": "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True:\n    libc.fork()",
}


@closed
@pytest.mark.drawn(1)
@pytest.mark.parametrize("name", STORMS)
@pytest.mark.skipif(
    hasattr(os, "geteuid")
    and os.geteuid() == 0
    and tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 14),
    reason="before Linux 6.14, nothing counts the processes of an administrator",
)
def test_a_storm_of_processes_ends_with_its_room(tmp_path, name):
    answer = "team_params = 51_328\n"
    write(tmp_path / "class" / "ada", answer + STORMS[name] + line("03.team_params"))
    write(tmp_path / "class" / "ben", *right_cells("03.team_params"))
    grades = grade_folder(tmp_path / "class", 1, Limits(seconds=PATIENCE), say=lambda text: None)
    ada, ben = sorted(grades, key=lambda grade: grade.learner)
    # a storm that finds no room for more may also die down by itself
    stopped = any(re.search("processes|GB of memory", remark) for remark in ada.remarks)
    assert stopped or ada.passed == 1, ada
    assert ben.passed == 1
    left = [one for one in psutil.process_iter(["cmdline"]) if "f & f" in str(one.info["cmdline"])]
    assert left == []


# Each answer is right only where its notebook got no further than it may.
STRANGERS = {
    "a_number": "import os\nteam_params = 51_328 if os.getuid() >= 60_000 else os.getuid()",
    "b_leaves": "import os\nopen(os.path.expanduser('~/left'), 'w').close()\n"
    "os.system('setsid sleep 4711 &')\nteam_params = 51_328",
    "c_finds": "import os\nteam_params = 0 if os.path.exists(os.path.expanduser('~/left')) else 51_328",
    "d_kills": "import os\nos.kill(-1, 9)\nteam_params = 51_328",
    "e_looks": "import os, pathlib\nteam_params = 51_328\nfor place in pathlib.Path.cwd().parents[1:-1]:\n"
    "    if place != pathlib.Path('/tmp') and os.access(place, os.W_OK):\n        team_params = place",
    "f_storm": f"team_params = 51_328\n{STORMS['through C']}",
    "g_after": "team_params = 51_328",
}
AS_A_STRANGER = """
import json, os, sys
from pathlib import Path
from mnist_course.teaching.grading import Limits, room, run

needed = room._needed()
closed = {one for path in needed for one in path.parents if not one.stat().st_mode & 1}
if closed and room._libc().unshare(0x20000) == 0:  # our own view, in which Python can be reached
    room._mount("none", "/", "", room._REC | room._PRIVATE)
    held = {path: os.open(path, os.O_RDONLY) for path in needed}
    for top in (one for one in closed if not closed & set(one.parents)):
        room._mount("none", str(top), "tmpfs", 0, "size=1m,mode=755")
        for path in needed:
            if top in path.parents:
                os.makedirs(path, exist_ok=True)
                room._mount(f"/proc/self/fd/{held[path]}", str(path), "", room._BIND)
os.chdir("/")
if not room.strangers_can_work():
    sys.exit("nobody else can work here")
run.best_room = lambda: room.OPEN
copy, modes, said = run._copy, set(), []


def seen_copy(folder, here):
    copy(folder, here)
    modes.add(oct(here.parent.stat().st_mode & 0o777))


run._copy = seen_copy
grades = run.grade_folder(sys.argv[1], 1, Limits(seconds=float(sys.argv[2])), said.append)
told = {grade.learner: [grade.passed, grade.remarks] for grade in grades}
print(json.dumps([said[0], told, list(modes)]))
"""


@pytest.mark.drawn(3, of="classes")
@pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root becomes somebody else"
)
def test_without_a_closed_room_root_gives_each_notebook_a_user_of_its_own(tmp_path):
    for name, code in STRANGERS.items():
        write(tmp_path / "class" / name, code + line("03.team_params"))
    words = [sys.executable, "-c", AS_A_STRANGER, str(tmp_path / "class"), str(PATIENCE)]
    done = subprocess.run(words, capture_output=True, text=True)
    if "nobody else can work here" in done.stderr:
        pytest.skip("another user can't be made able to read Python here")
    assert done.returncode == 0, done.stderr
    first, grades, modes = json.loads(done.stdout)
    assert "as another user" in first
    assert modes == ["0o700"]  # nobody else reads it before it's given away
    (_, storm), *_ = [grades.pop("f_storm")]
    assert re.search("processes|GB of memory", " ".join(storm)), storm
    assert {name: passed for name, (passed, _) in grades.items()} == dict.fromkeys(grades, 1), (
        grades
    )
    left = [one for one in psutil.process_iter() if one.uids().real in range(60_578, 61_184)]
    assert left == []


@posix
@pytest.mark.parametrize(("apart", "mode"), [(True, 0o711), (False, 0o700)])
def test_only_for_strangers_may_others_go_through_the_graders_folder(
    tmp_path, monkeypatch, apart, mode
):
    modes = []

    def looked(self, order, folder):
        modes.append(self.base.parent.stat().st_mode & 0o777)
        return [], ""

    monkeypatch.setattr(run_of, "best_room", lambda: OPEN)
    monkeypatch.setattr(run_of, "strangers_can_work", lambda: apart)
    monkeypatch.setattr(run_of._Host, "run", looked)
    write(tmp_path / "class" / "ada", *right_cells("03.team_params"))
    said: list[str] = []
    grade_folder(tmp_path / "class", 1, say=said.append)
    assert {*modes} == {mode}
    assert ("as another user" in said[0]) == apart and ("with your rights" in said[0]) != apart


OUTRUN = """
import subprocess, sys
import psutil
from mnist_course.teaching.grading.limits import end_all
from mnist_course.teaching.grading.room import adopt_orphans

adopt_orphans()
words = ["sh", "-c", "sleep 1000 & echo $!; sleep 1000 & echo $!; wait"]
first = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True)
later = [psutil.Process(int(first.stdout.readline())) for _ in range(2)]
looks = [[psutil.Process(first.pid)]]
psutil.Process.children = lambda *_, **how: looks.pop() if looks else []
end_all(None)
left = psutil.wait_procs(later, timeout=float(sys.argv[1]))[1]
print("left:", len(left))
for one in left:
    one.kill()
"""


@posix
def test_a_group_ends_as_one_also_those_that_no_look_has_seen():
    "A storm grows between a look and the kill: only the system ends all of a group at once."
    words = [sys.executable, "-c", OUTRUN, str(PATIENCE)]
    assert subprocess.run(words, capture_output=True, text=True).stdout == "left: 0\n"


@posix
def test_nothing_is_left_running(graded, odd):
    left = [
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
        and "mnist_course.teaching.grading" in " ".join(process.cmdline())
    ]
    assert left == []


@pytest.mark.drawn(3, of="classes")
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
        "a: no notebook was handed in" in text.replace("**", "")
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


def test_one_slow_notebook_holds_up_nobody_elses_result():
    paths = {name: Path(name) for name in ("slow", "quick", "again")}
    tasks: dict[Path, Future] = {path: Future() for path in paths.values()}
    everyone = {
        "slow": [paths["slow"]],
        "two": [paths["quick"], paths["again"]],
        "none": [Path("x.pdf")],
    }
    coming = _as_they_come(everyone, tasks)
    assert next(coming) == "none"
    for name in ("quick", "again"):
        tasks[paths[name]].set_result(None)
    assert next(coming) == "two"
    tasks[paths["slow"]].set_result(None)
    assert list(coming) == ["slow"]


def test_the_fresh_process_gets_none_of_our_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("API_KEY", "secret")
    found = clean_environment(tmp_path)
    assert "API_KEY" not in found and found["MNIST_COURSE_DATA"] == "sample"


@posix
def test_a_watch_counts_what_a_process_computes_once(monkeypatch):
    "Else a cell would be stopped after half of its time."
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        own = psutil.Process(process.pid)
        while own.cpu_times().user < 0.3:
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)  # from here on its clock stands still
        while own.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        monkeypatch.setattr(Watch, "_family", lambda _: [own])  # not what other tests have started
        seen = Watch(process.pid, Limits())._seconds()
        times = own.cpu_times()
        process.kill()
    assert seen == pytest.approx(times.user + times.system) and seen >= 0.3


@pytest.fixture
def engine(tmp_path, monkeypatch):
    "A stand-in for Podman: it runs what it's told to run, outside of any container."
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{tmp_path}/said"\n'
        'while [ "$1" != course ]; do\n'
        '  [ "$1" = gone ] && { echo "Error: gone: image not known" >&2; exit 125; }\n'
        '  [ "$1" = old ] && { echo 0.0.1; exit 0; }\n'
        '  [ "$1" = --workdir ] && cd "$2"\n'
        "  shift\ndone\nshift\n"
        f'[ "$1" = python ] && shift\nexec "{sys.executable}" "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_container_is_looked_at_before_the_first_learner(engine):
    try_container("course", engine)
    with pytest.raises(ValueError, match="gone can't be used: Error: gone: image not known"):
        try_container("gone", engine)
    with pytest.raises(ValueError, match=r"holds version 0\.0\.1 of the course.*build the image"):
        try_container("old", engine)


@pytest.mark.drawn(3, of="classes")
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_class_in_a_container(engine):
    for name in ("ada", "ben"):
        write(engine / "class" / name, NEEDED, *right_cells("03.team_params"))
        write(engine / "class" / name, *right_cells("03.field_width"), name="03_shapes-1.ipynb")
    grades = grade_folder(engine / "class", 1, Limits(seconds=PATIENCE), container="course")
    assert [grade.passed for grade in grades] == [2, 2]
    lines = (engine / "said").read_text().splitlines()
    ways = [line for line in lines if line.startswith("run")]
    assert len(ways) == 3 == len({line.split("--name ")[1].split()[0] for line in ways})
    for line_of in ways:  # one to look at the image, and one for each learner
        for words in (
            "--network none",
            "--read-only",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            "--pids-limit 256",
            f"--memory {6 * 2**30} --memory-swap {6 * 2**30}",
            "--user 65534:65534" if os.getuid() == 0 else f"--user {os.getuid()}:{os.getgid()}",
        ):
            assert words in line_of
        mounted = line_of.split("--volume ")[1].split()[0]
        assert str(engine / "class") not in mounted  # results and the others' files stay outside
        assert ("--userns keep-id" in line_of) == bool(os.getuid())
        assert line_of.split("--volume ")[1].split()[0].endswith(":ro,z")
