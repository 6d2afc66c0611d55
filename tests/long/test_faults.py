"No room, no rights, no home, another clock: a clear word, the old file as it was, and the next call is whole."

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from mnist_course.base import alone_in
from mnist_course.progress import FILE
from tests.long.conftest import TALLY, content
from tests.long.test_kills import RIGHT, a_class, a_repository, trained

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="limits and users of POSIX"),
]

AS_ROOT = os.name == "posix" and os.geteuid() == 0
NOBODY = 65534
# what another user, too, has to read: the course, and Python itself
PLACES = [Path(__file__), Path(sys.prefix), Path(sys.base_prefix)]
REACHED = all(one.stat().st_mode & 1 for path in PLACES for one in path.resolve().parents)
by_others = pytest.mark.skipif(
    AS_ROOT and not REACHED, reason="other users can't get to this clone"
)
TRAIN = {"WORDS": "--recipe seed --epochs 2 --batch-size 64 --precision float32"}
PREPARED: dict[str, Callable[[Path], None]] = {  # what has to be there before
    "grade": lambda folder: a_class(folder, RIGHT),
    "notebooks": lambda folder: a_repository(folder),
}
TASKS = {  # what is tried -> how
    "start": {"WORDS": "1"},
    "train": TRAIN,
    "export": {},
    "papers": {},
    "grade": {"QUICK": "1"},
    "notebooks": {"QUICK": "1"},
}


def prepare(task: str, folder: Path) -> Path:
    PREPARED.get(task, lambda folder: None)(folder)
    return folder


def noted(fault: str, task: str, kind: str) -> None:
    TALLY.setdefault(f"{fault}: {task}", Counter())[kind] += 1


def one_clear_line(said: str, why: str) -> bool:
    "Whether the last of what a command said is one line of its own that says why, and no traceback."
    last = said.strip().splitlines()[-1]
    began = re.match(r"(\S+ \.\.\. )?mnist[-_]course", last)
    return "Traceback" not in said and began is not None and why in last


def same(task: str, here: Path, there: Path) -> bool:
    "Whether two folders hold the same, but for seconds."
    if task == "train":
        return trained(here) == trained(there)
    found = [content(here), content(there)]
    for one in found:  # its lines come in the order of the grading, and its first names the class
        if rows := one.pop("results.jsonl", None):
            one["results"] = b"\n".join(sorted(rows.splitlines()[1:]))
    return found[0] == found[1]


FULL = {"operation": errno.ENOSPC, "byte": errno.EFBIG}


def daily(*few: object, of: Iterable[object]) -> list:
    "Some of the tasks every day, the others with --whole, as `make kill` does."
    return [one if one in few else pytest.param(one, marks=pytest.mark.long) for one in of]


@pytest.mark.parametrize("task", daily("start", "grade", of=TASKS))
def test_no_room_at_some_write(victims, moments, folders, task):
    "From the n-th write on there is none, or no file may be larger than n bytes: half of it is there, then."
    how = TASKS[task]
    expected = prepare(task, next(folders))
    undisturbed = victims.whole(task, expected, **how)
    for kind, number in moments(undisturbed, writes=True):
        folder = prepare(task, next(folders))
        before = content(folder)
        order = {"moment": (kind, number), "fault": FULL[kind], **how}
        done = victims(task, folder, **order)
        assert done.status in (1, 2), (kind, number, done)
        assert one_clear_line(done.said, os.strerror(FULL[kind])), (kind, number, done.said)
        for name, data in content(folder).items():
            assert not Path(name).name.startswith(".") or not re.search(r"-\d+-", name), name
            assert before.get(name, data) == data or task == "notebooks"
        victims.whole(task, folder, **how)
        assert same(task, folder, expected), (kind, number)
        noted("no room", task, kind)


def test_no_room_for_progress(victims, moments, folders):
    "A check says what it says. What wasn't kept is said, too, and the next lines are whole."
    undisturbed = victims.whole("record", next(folders))
    for kind, number in moments(undisturbed, writes=True):
        folder = next(folders)
        order = {"moment": (kind, number), "fault": FULL[kind]}
        assert "progress was not written" in victims.whole("record", folder, **order).said
        victims.whole("record", folder)
        lines = (folder / FILE).read_text().splitlines()
        assert [line.split('"id": "')[1][:6].strip('",') for line in lines[-20:]] == [
            f"03.x{i}" for i in range(20)
        ]
        noted("no room", "record", kind)


# ---- a disk that is really full


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    "A disk of so many kilobytes: a function that gives a new one."
    mounted = []

    def made(size: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}k,mode=777", "tmpfs", str(place)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield made
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)])


@pytest.mark.skipif(not AS_ROOT or not shutil.which("mount"), reason="only root can mount a disk")
@pytest.mark.parametrize("task", daily("grade", of=["start", "train", "export", "grade"]))
def test_a_full_disk(victims, disk, folders, kills, task):
    "A real one: filled up but for a little, more each time, until there's room."
    how = TASKS[task]
    expected = prepare(task, next(folders))
    victims.whole(task, expected, **how)
    pages = sum(-(-len(data) // 4096) for data in content(expected).values()) + 2
    for free in sorted({pages * i // kills for i in range(kills)}):
        place = disk(4 * (4 * pages + 8))
        folder = place / "own"
        folder.mkdir()
        if task == "grade":
            a_class(folder, RIGHT)
        with open(place / "ballast", "wb", buffering=0) as ballast:
            with contextlib.suppress(OSError):
                while ballast.write(bytes(4096)):
                    pass
            ballast.truncate(4096 * max(0, ballast.tell() // 4096 - free))
        done = victims(task, folder, **how)
        assert done.status in (1, 2), (free, done)
        assert one_clear_line(done.said, os.strerror(errno.ENOSPC)), (free, done.said)
        assert not [name for name in content(folder) if re.search(r"-\d+-\w{8}$", name)]
        (place / "ballast").unlink()
        victims.whole(task, folder, **how)
        assert same(task, folder, expected), free
        noted("full disk", task, "pages left")


# ---- rights, homes, clocks


@pytest.fixture
def open_folder() -> Iterator[Path]:
    "A folder that every user can get to."
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield Path(place)


@by_others
@pytest.mark.parametrize("task", daily("start", "grade", of=[*TASKS][:-1]))
def test_a_folder_that_somebody_else_owns(victims, open_folder, task):
    "Root may do everything, so another user tries; whoever isn't root takes the rights away."
    user = NOBODY if AS_ROOT else 0
    folder = open_folder / "own"
    folder.mkdir()
    if task == "grade":
        a_class(folder, RIGHT)
    if AS_ROOT:
        victims.whole(task, folder, **TASKS[task])
    before = content(folder)
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for place in places:
        place.chmod(0o555)
    how = TASKS[task] | {"user": user, "here": str(open_folder)}
    if task == "start":
        how |= {"WORDS": "2"}  # a newer edition
    done = victims(task, folder, **how)
    assert done.status in (1, 2) and one_clear_line(done.said, "Permission denied"), done
    assert content(folder) == before
    for place in places:
        place.chmod(0o777)
    noted("read-only", task, "as another user")


@by_others
def test_progress_that_belongs_to_somebody_else(victims, open_folder):
    open_folder.chmod(0o555)
    user = NOBODY if AS_ROOT else 0
    done = victims.whole("check", open_folder, user=user)
    assert "passed" in done.said and "progress was not written" in done.said
    assert (
        "1 of" in done.said.split("| ")[-1] or "03" in done.said
    )  # it lasts as long as the process
    open_folder.chmod(0o755)
    assert content(open_folder) == {}


PLAIN = ("start", "check", "train", "predict", "export", "papers")
NO_HOME = dict.fromkeys(["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "USER"])


@pytest.mark.skipif(not AS_ROOT, reason="only root becomes a user that the system doesn't know")
@by_others
@pytest.mark.parametrize("task", daily("start", "predict", of=PLAIN))
@pytest.mark.parametrize("home", daily(None, of=[None, "/nonexistent"]))
def test_nobody_has_a_home(victims, open_folder, task, home):
    folder = open_folder / "own"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    how = {**TASKS.get(task, {}), **NO_HOME, "HOME": home, "MNIST_COURSE_DATA": None}
    victims.whole(task, folder, user=54321, **how)
    assert not [*open_folder.rglob("~*")]  # no folder of that name
    noted("no home", task, str(home))


@pytest.mark.skipif(not AS_ROOT, reason="only root becomes a user that the system doesn't know")
@by_others
def test_a_download_without_a_home_says_what_to_set(victims, open_folder):
    how = {**NO_HOME, "MNIST_COURSE_DATA": None, "user": 54321}
    done = victims("digits", open_folder, **how)
    assert done.status == 0 and "set HOME" in done.said and "10000" in done.said
    assert not [*open_folder.rglob("~*")]


YEAR = 365 * 24 * 3600


@pytest.mark.parametrize("task", daily("start", "record", "grade", of=[*TASKS, "record", "tables"]))
def test_a_clock_that_was_set_back(victims, folders, task):
    "By a year, between a call that was killed and the next one; and what lies there is from the future."
    how = TASKS.get(task, {"WORDS": "1"})
    expected = prepare(task, next(folders))
    undisturbed = victims.whole(task, expected, **how)
    folder = prepare(task, next(folders))
    victims.killed(task, folder, ("operation", undisturbed.counts["operation"] // 2), **how)
    for path in folder.rglob("*"):
        os.utime(path, (time.time() + YEAR, time.time() + YEAR))
    again = victims.whole(task, folder, clock=YEAR, **how)
    if task == "record":
        ids = re.findall(rb'"03.x\d+"', (folder / FILE).read_bytes())
        assert ids[-20:] == [f'"03.x{i}"'.encode() for i in range(20)]
    else:
        assert same(task, folder, expected)
    if task == "train":
        assert "going on from checkpoint.pt" in again.said
    if task == "start":
        assert "up to date" in victims.whole(task, folder, clock=2 * YEAR, **how).said
    if task == "grade":
        Path(f"{folder}.ran").unlink()
        victims.whole(task, folder, clock=2 * YEAR, **how)
        assert not Path(f"{folder}.ran").exists()  # nobody is graded twice
    noted("clock set back", task, "by a year")


@pytest.mark.parametrize("task", daily("start", of=PLAIN))
def test_no_place_for_temporary_files(victims, folders, task):
    victims.whole(task, next(folders), no_temp=True, **TASKS.get(task, {}))
    noted("no folder for temporary files", task, "times")


def test_grading_without_a_place_for_temporary_files_says_so(victims, folders):
    done = victims("grade", prepare("grade", next(folders)), no_temp=True, **TASKS["grade"])
    assert done.status == 2 and one_clear_line(done.said, "No usable temporary directory")


NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@pytest.mark.parametrize("locks", daily(errno.ENOLCK, of=NO_LOCKS))
@pytest.mark.parametrize("task", daily("start", "record", of=["start", "record", "grade"]))
def test_a_disk_that_cannot_lock_files(victims, folders, task, locks):
    "As some network disks: everybody gets in, also after a kill, and nothing is lost."
    how = TASKS.get(task, {})
    expected = prepare(task, next(folders))
    undisturbed = victims.whole(task, expected, **how)
    folder = prepare(task, next(folders))
    middle = ("operation", undisturbed.counts["operation"] // 2)
    victims.killed(task, folder, middle, locks=locks, **how)
    done = victims.whole(task, folder, locks=locks, **how)
    assert "not written" not in done.said
    assert task == "record" or same(task, folder, expected)
    noted("no locks", task, errno.errorcode[locks])


ODD = ("start", "train", "export", "papers", "predict", "grade")
LATIN = os.fsdecode(b"M\xfcller und S\xf6hne")


@pytest.mark.parametrize("task", daily("start", "grade", "record", of=[*ODD, "record"]))
@pytest.mark.parametrize("name", daily(LATIN, of=[LATIN, "x" * 255, "/".join(["deep" * 50] * 16)]))
def test_names_that_are_no_utf8_or_very_long(victims, folders, task, name):
    folder = next(folders) / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"this disk takes no such name: {error.strerror}")
    beside = folder / "a"  # so that names made of it have room
    beside.mkdir()
    victims.whole(task, prepare(task, beside), **TASKS.get(task, {}))
    victims.whole(task, beside, **TASKS.get(task, {}))
    noted("odd names", task, "times")


# ---- two at once


@pytest.mark.parametrize("task", ["start", "grade"])
def test_whoever_comes_second_is_told_or_waits(victims, folders, task):
    folder = prepare(task, next(folders))
    with alone_in(folder, "working"):
        done = victims(task, folder, no_patience=True, **TASKS[task])
    assert done.status == 1 and one_clear_line(done.said, "another process is"), done
    assert content(folder) == {}
    victims.whole(task, folder, **TASKS[task])
