"A closed room as Linux is asked for it: which folders are covered, which rights go, which words Docker and Podman get. What it keeps in is tried for real in test_grading."

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import mnist_course
from mnist_course.teaching.grading import room

BIND, REC, PRIVATE, REMOUNT, READ_ONLY = 0x1000, 0x4000, 0x40000, 0x20, 1  # linux/mount.h
STRANGERS = range(60_578, 61_184)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="rooms are made of what Linux has")


class Libc:
    "Notes what the C library is asked to do, and refuses what it is told to refuse."

    def __init__(self, monkeypatch, refuses=()):
        self.asked = []
        self.refuses = [*refuses]  # names, or the first two words
        monkeypatch.setattr(room, "_libc", lambda: self)

    def __getattr__(self, name):
        def ask(*words):
            self.asked.append((name, *words))
            return -1 if name in self.refuses or words[:2] in self.refuses else 0

        return ask


@pytest.fixture
def mounts(monkeypatch):
    "The mounts that were asked for."
    asked = []

    def mount(source, target, kind="", flags=0, data=""):
        asked.append((source, str(target), kind, flags, data))

    monkeypatch.setattr(room, "_mount", mount)
    return asked


# ---- mounts


def test_a_mount_that_fails_names_its_place(monkeypatch):
    libc = Libc(monkeypatch, ["mount"])
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EPERM)
    with pytest.raises(PermissionError) as raised:
        room._mount("none", "/x", "tmpfs", 0, "size=1m")
    assert raised.value.filename == "/x"
    libc.refuses.clear()
    room._mount("none", "/y", "", BIND)
    assert libc.asked == [
        ("mount", b"none", b"/x", b"tmpfs", 0, b"size=1m"),
        ("mount", b"none", b"/y", None, BIND, None),
    ]


def test_what_python_is_made_of_is_there_twice_where_it_is_a_link(monkeypatch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "link"), str(tmp_path / "gone")])
    needed = room._needed()
    assert {tmp_path / "link", tmp_path / "real"} < set(needed) and needed == sorted(needed)
    assert Path(mnist_course.__file__).parent in needed and Path(sys.prefix) in needed
    assert not {Path("."), tmp_path / "gone"} & set(needed)


def test_a_hidden_folder_keeps_what_python_needs(mounts, tmp_path):
    for name in ("home/ada/.ssh", "home/ada/course/src", "home/ben"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "home" / "ada" / "notes").write_text("secret")
    (tmp_path / "home" / "ada" / "link").symlink_to(tmp_path)
    room._hide(tmp_path / "home", [tmp_path / "home" / "ada" / "course"])
    empty = ("tmpfs", 0, "size=1m,mode=755")
    assert mounts == [
        ("none", str(tmp_path / "home/ada/.ssh"), *empty),
        ("/dev/null", str(tmp_path / "home/ada/notes"), "", BIND, ""),
        ("none", str(tmp_path / "home/ben"), *empty),
    ]
    mounts.clear()
    for whole in ("home/ada/course", "home/ada/course/src", "home/gone", "home/ada/link"):
        room._hide(tmp_path / whole, [tmp_path / "home" / "ada" / "course"])
    assert not mounts


def test_scratch_is_empty_but_where_python_lies_in_it(mounts, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_needed", lambda: [tmp_path / "one" / "python"])
    for name in ("one/python", "two"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    room._clear([str(tmp_path / name) for name in ("one", "two", "file", "gone")])
    data = "size=256m,nr_inodes=20000,mode=1777"
    assert mounts == [("none", str(tmp_path / "two"), "tmpfs", 0, data)]


# ---- closing


@pytest.fixture
def disks(monkeypatch):
    "A machine with three disks, one of which is mounted with nosuid and relatime."
    flags = {"/": 0, "/home one": 2 | 4096, "/gone": None}

    def statvfs(target):
        if flags[target] is None:
            raise OSError(errno.ENOENT, "gone")
        return SimpleNamespace(f_flag=flags[target])

    lines = ["1 0 8:1 / / rw", r"2 1 8:2 / /home\040one rw", "3 1 8:3 / /gone rw"]
    read = Path.read_text
    monkeypatch.setattr(room.os, "statvfs", statvfs)
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *rest: (
            "\n".join([*lines, "4 1 0:4 / /proc/sys rw"])
            if str(path) == "/proc/self/mountinfo"
            else read(path, *rest)
        ),
    )
    return flags


def test_a_closed_room_is_read_only_but_for_the_learners_files(
    mounts, disks, monkeypatch, tmp_path
):
    told = []
    for name in ("_settle", "_loopback"):
        monkeypatch.setattr(room, name, lambda name=name: told.append(name))
    place, hidden, scratch = tmp_path / "place", tmp_path / "hidden", tmp_path / "scratch"
    for folder in (place, hidden, scratch):
        folder.mkdir()
    monkeypatch.setattr(room.os, "access", lambda path, how: False)
    held = []
    opened, closed = os.open, os.close
    monkeypatch.setattr(
        room.os, "open", lambda *words: held.append(opened(*words)) or held[-1], raising=True
    )
    shut = []
    monkeypatch.setattr(room.os, "close", lambda number: shut.append(number) or closed(number))
    room.close(str(place), [str(hidden)], [str(scratch)])
    again = REMOUNT | BIND | READ_ONLY
    assert mounts == [
        ("none", "/", "", REC | PRIVATE, ""),
        ("none", "/", "", again, ""),
        ("none", "/home one", "", again | 2 | 1 << 21, ""),
        ("none", str(hidden), "tmpfs", 0, "size=1m,mode=755"),
        ("none", str(scratch), "tmpfs", 0, "size=256m,nr_inodes=20000,mode=1777"),
        (f"/proc/self/fd/{held[0]}", str(place), "", BIND, ""),
        ("none", str(place), "", REMOUNT | BIND, ""),
    ]
    assert told == ["_settle", "_loopback"] and shut == held


def test_a_room_without_files_holds_none(mounts, disks, monkeypatch):
    monkeypatch.setattr(room, "_settle", lambda: None)
    monkeypatch.setattr(room, "_loopback", lambda: None)
    monkeypatch.setattr(room.os, "access", lambda path, how: False)
    room.close("/nowhere", [], [])
    assert len(mounts) == 3 and not any("/nowhere" in one for one in mounts)


def test_a_disk_that_stays_writable_is_no_closed_room(mounts, disks, monkeypatch, tmp_path):
    monkeypatch.setattr(room, "_settle", lambda: None)
    with pytest.raises(OSError, match="can't be made read-only"):
        room.close(str(tmp_path), [], [])


@pytest.mark.parametrize(
    ("release", "limited"),
    [("6.14.0-rc1", True), ("7.0", True), ("6.13.9", False), ("5.20.1", False), ("strange", False)],
)
def test_processes_are_counted_by_rooms_where_linux_does(monkeypatch, release, limited):
    monkeypatch.setattr(room.os, "uname", lambda: SimpleNamespace(release=release))
    written = {}

    def write(path, text):
        written[str(path)] = text
        raise PermissionError(errno.EPERM, "no")  # as in a container: that's no reason to fail

    monkeypatch.setattr(Path, "write_text", write)
    room._settle()
    assert written.pop("/proc/sys/user/max_user_namespaces") == "0"
    assert written == ({"/proc/sys/kernel/pid_max": "600"} if limited else {})


def test_the_network_of_a_room_has_the_room_in_it(monkeypatch):
    asked = []
    monkeypatch.setattr("fcntl.ioctl", lambda socket, what, data: asked.append((what, data)))
    room._loopback()
    ((what, data),) = asked
    assert what == 0x8914  # SIOCSIFFLAGS of linux/sockios.h; struct ifreq: 16 bytes, 2 of flags
    assert data[:16] == b"lo" + bytes(14) and data[16:18] == (0x41).to_bytes(2, sys.byteorder)
    assert len(data) == 32


# ---- a desk


def test_a_desk_is_a_copy_on_an_empty_disk(mounts, monkeypatch, tmp_path):
    place, files = tmp_path / "place", tmp_path / "place" / "ada"
    files.mkdir(parents=True)
    (files / "lesson.ipynb").write_text("hers")
    (tmp_path / "scratch").mkdir()
    libc = Libc(monkeypatch)
    mount = room._mount

    def hide(source, target, kind="", flags=0, data=""):
        mount(source, target, kind, flags, data)
        if target == str(place):  # what is mounted there covers it
            place.rename(tmp_path / "covered")
            place.mkdir()

    monkeypatch.setattr(room, "_mount", hide)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    here = room.desk(room.CLOSED, str(place), str(files), [str(tmp_path / "scratch")])
    assert here == str(place / "work") and (place / "home").is_dir()
    assert (place / "work" / "lesson.ipynb").read_text() == "hers"
    assert [one[1] for one in mounts] == [str(tmp_path / "scratch"), str(place)]
    assert mounts[-1][2:] == ("tmpfs", 0, f"size={768 * 2**20},nr_inodes=50000,mode=755")
    assert libc.asked == [("unshare", 0x20000)]  # CLONE_NEWNS
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after == before  # nothing is left open


def test_a_desk_in_a_container_is_its_own_disk_and_without_a_room_there_is_none(tmp_path):
    (tmp_path / "lesson.ipynb").write_text("hers")
    here = Path(room.desk(room.CONTAINER, "/place", str(tmp_path), []))
    assert here.name == "work" and (here / "lesson.ipynb").read_text() == "hers"
    assert here.parent.parent == Path(tempfile.gettempdir())
    shutil.rmtree(here.parent)
    assert room.desk(room.OPEN, "/place", str(tmp_path), []) == str(tmp_path)


def test_a_desk_that_cannot_be_laid_is_an_error(monkeypatch, tmp_path):
    Libc(monkeypatch, ["unshare"])
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EPERM)
    with pytest.raises(PermissionError):
        room.desk(room.CLOSED, str(tmp_path), str(tmp_path), [])


# ---- ways in and out


@pytest.mark.parametrize(
    ("engine", "user", "asked", "kept"),
    [
        ("/usr/bin/docker", 0, "65534:65534", False),
        ("/usr/bin/docker", 1000, "1000:1000", False),
        ("/usr/bin/podman", 0, "65534:65534", False),
        ("/usr/bin/podman", 1000, "1000:1000", True),
    ],
)
def test_a_container_gets_no_rights_that_it_does_not_need(monkeypatch, engine, user, asked, kept):
    monkeypatch.setattr(shutil, "which", lambda name: engine if name in engine else None)
    for name in ("getuid", "getgid"):
        monkeypatch.setattr(room.os, name, lambda: user)
    words = room.way_in(room.CONTAINER, "course", Path("/the class"), 2**30)
    name = words[words.index("--name") + 1]
    assert name.startswith("mnist-grading-") and len(name) == 30
    assert room.way_in(room.CONTAINER, "course", Path("/x"))[words.index("--name") + 1] != name
    said = " ".join(words)
    for part in (
        f"{engine} run --rm --interactive --network none --read-only --cap-drop ALL",
        "--pids-limit 256 --security-opt no-new-privileges",
        f"--memory {2**30} --memory-swap {2**30}",
        f"--tmpfs /tmp:rw,mode=1777,size={768 * 2**20} --shm-size 256m --workdir /tmp",
        "--volume /the class:/the class:ro,z",
        f"--user {asked}",
    ):
        assert part in said
    assert ("--userns keep-id" in said) == kept and words[-1] == "course"


def test_without_docker_and_podman_it_is_said(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="needs Podman or Docker"):
        room.way_in(room.CONTAINER, "course", Path("/x"))


def test_the_way_into_a_closed_room_is_through_unshare(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    words = room.way_in(room.CLOSED)
    assert words[0] == "/bin/unshare" and room.way_in(room.OPEN) == []
    assert {"--user", "--net", "--pid", "--ipc", "--mount", "--fork", "--kill-child"} < {*words}
    assert {"--map-root-user", "--mount-proc"} < {*words}


@pytest.mark.parametrize("fails", [None, OSError(), subprocess.TimeoutExpired("docker", 60)])
def test_a_container_is_ended_by_its_name(monkeypatch, fails):
    run = []

    def runs(command, **options):
        run.append((command, options["timeout"]))
        if fails:
            raise fails

    monkeypatch.setattr(subprocess, "run", runs)
    room.way_out(["docker", "run", "--name", "mnist-grading-12", "course"])
    assert run == [(["docker", "rm", "--force", "mnist-grading-12"], 60)]
    room.way_out(["unshare", "--user"])
    room.way_out([])
    assert len(run) == 1


@pytest.fixture
def answers(monkeypatch):
    "What the next process answers, and which were started."
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    said = SimpleNamespace(returncode=0, stdout="", stderr="", started=[], fails=None, ended=[])

    def runs(command, **options):
        said.started.append((command, options))
        if said.fails:
            raise said.fails
        return said

    monkeypatch.setattr(subprocess, "run", runs)
    monkeypatch.setattr(room, "way_out", said.ended.append)
    room.best_room.cache_clear()
    yield said
    room.best_room.cache_clear()


@pytest.mark.parametrize(
    ("status", "fails", "best"),
    [
        (0, None, "closed"),
        (1, None, "open"),
        (0, OSError(), "open"),
        (0, subprocess.TimeoutExpired("unshare", 60), "open"),
    ],
)
def test_the_best_room_is_tried_once(answers, status, fails, best):
    answers.returncode, answers.fails = status, fails
    assert room.best_room() == room.best_room() == best
    ((command, options),) = answers.started
    assert command[0] == "/bin/unshare" and sys.executable in command
    assert options["timeout"] == 60 and options["env"]["HOME"] == "/"
    assert "['close']('/nowhere', [], [])" in command[-1]


def test_without_unshare_no_room_is_tried(answers, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert room.best_room() == "open" and not answers.started


def test_an_image_is_tried_before_the_first_learner(answers, tmp_path):
    answers.stdout = f"{mnist_course.__version__}\n"
    room.try_container("course", tmp_path)
    ((command, options),) = answers.started
    assert command[0] == "/bin/podman" and "course" in command and options["text"]
    assert f"{tmp_path}:{tmp_path}:ro,z" in command and str(tmp_path) in command[-1]
    answers.stdout = "0.0.1"
    with pytest.raises(ValueError, match=r"holds version 0\.0\.1 of the course, and this is"):
        room.try_container("course", tmp_path)
    answers.returncode, answers.stderr = 125, "Trying\n\n   no such image  \n  \n"
    with pytest.raises(ValueError, match=r"course can't be used: no such image$"):
        room.try_container("course", tmp_path)
    answers.fails = subprocess.TimeoutExpired("podman", 300)
    with pytest.raises(ValueError, match=r"--container course: .*timed out"):
        room.try_container("course", tmp_path)
    assert len(answers.ended) == 1 and options["timeout"] == 300


# ---- rights


def test_rights_are_dropped_to_the_last_that_there_is(monkeypatch):
    libc = Libc(monkeypatch, [(24, 41)])
    room.drop_rights()
    names = [words[:3] for words in libc.asked]
    assert names[0] == ("prctl", 38, 1)  # PR_SET_NO_NEW_PRIVS of linux/prctl.h
    assert names[1:-1] == [("prctl", 24, number) for number in range(42)]  # PR_CAPBSET_DROP
    name, header, rights = libc.asked[-1]
    assert name == "capset" and list(header) == [0x20080522, 0] and list(rights) == [0] * 6


def test_orphans_are_adopted_and_nobody_looks_in(monkeypatch):
    libc = Libc(monkeypatch)
    room.adopt_orphans()
    room.keep_out()
    # PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE
    assert libc.asked == [("prctl", 36, 1, 0, 0, 0), ("prctl", 4, 0, 0, 0, 0)]


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_system_without_these_calls_is_no_reason_to_fail(monkeypatch, error):
    def libc():
        raise error("not here")

    monkeypatch.setattr(room, "_libc", libc)
    for ask in (room.drop_rights, room.adopt_orphans, room.keep_out):
        ask()


# ---- strangers


class Process:
    "A process of some user's, which may end while it's asked."

    def __init__(self, user):
        self.user = user

    def uids(self):
        if self.user is None:
            raise psutil.NoSuchProcess(1)
        return SimpleNamespace(real=self.user)


def test_a_stranger_has_no_process_here(monkeypatch):
    busy = [None, 0, *(user for user in STRANGERS if user != 60_600)]
    monkeypatch.setattr(psutil, "process_iter", lambda: map(Process, busy))
    assert room.stranger() == 60_600
    monkeypatch.setattr(psutil, "process_iter", lambda: [])
    assert {room.stranger() for _ in range(20)} <= set(STRANGERS)


@pytest.mark.parametrize(("user", "status", "can"), [(0, 0, True), (0, 1, False), (1000, 0, False)])
def test_strangers_work_where_they_can_read_python(answers, monkeypatch, user, status, can):
    room.strangers_can_work.cache_clear()
    monkeypatch.setattr(room.os, "geteuid", lambda: user)
    answers.returncode = status
    assert room.strangers_can_work() == can
    room.strangers_can_work.cache_clear()
    if user:
        assert not answers.started
        return
    ((command, options),) = answers.started
    assert (options["user"], options["group"], options["extra_groups"]) == (60_578, 60_578, [])
    assert command[4:] == [str(one) for one in room._needed()] and options["cwd"] == "/"
    answers.fails = PermissionError()
    assert not room.strangers_can_work()
    room.strangers_can_work.cache_clear()
