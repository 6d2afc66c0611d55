"What lessons take from a server: measured, recorded, and multiplied for a class."

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from helpers import PATIENCE

import mnist_course.making.capacity as capacity
from mnist_course.base import asset
from mnist_course.making.capacity import (
    _measure_lesson,
    _taken_by,
    longest_wait,
    memory_needed,
)
from mnist_course.teaching.notebooks import code_cells

FOUND = json.loads(asset("runs", "capacity.json").read_text("utf-8"))


def test_a_process_is_seen_with_its_children_and_a_dead_one_is_nothing():
    held = "x = bytearray(150_000_000); print(1, flush=True); input()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    with subprocess.Popen(
        [os.sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        taken = _taken_by(process.pid)
        process.communicate(b"\n")
    assert 150 < taken.own < 300 and taken.cpu > 0
    assert _taken_by(process.pid).own == 0


@pytest.mark.slow
def test_measure_sees_what_a_lesson_takes(monkeypatch, tmp_path):
    seen = tmp_path / "seen"
    hold = f"""
import os, pathlib, time
x = bytearray(200_000_000)
while not pathlib.Path({str(seen)!r}, str(os.getpid())).exists():
    time.sleep(0.01)"""
    work = "sum(i for i in range(10_000_000))"
    cells = [hold, "del x", "1 / 0", work]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})
    (tmp_path / "00_small.ipynb").write_text(notebook)

    def write(folder):
        folder.mkdir(parents=True)
        (folder / "00_small.ipynb").write_text(notebook)

    def look(pid):
        taken = _taken_by(pid)
        if taken.own > 200:  # and only now may this learner's first cell come to its end
            (seen / str(pid)).touch()
        return taken

    seen.mkdir()
    monkeypatch.setattr(capacity, "write_course", write)
    monkeypatch.setattr(capacity, "_taken_by", look)
    use = _measure_lesson(tmp_path / "00_small.ipynb", learners=2, every=0.02)
    assert code_cells(json.loads(notebook)) == cells
    assert (
        use.errors == 2
        and len(use.peak)
        == len(use.rest)
        == len(use.cpu)
        == len(use.longest)
        == len(use.seconds)
        == 2
    )
    assert all(peak > rest for peak, rest in zip(use.peak, use.rest, strict=True))
    start = time.process_time()
    exec(work)
    taken = time.process_time() - start  # the same sum, here
    assert all(
        taken / 10 < longest <= cpu for longest, cpu in zip(use.longest, use.cpu, strict=True)
    )
    assert max(use.peak) < use.together <= sum(use.peak) + use.shared + 1


def test_the_record_is_of_whole_lessons():
    later = {"06"}  # came in after the measurement
    assert {use["lesson"][:2] for use in FOUND["alone"]} >= {f"{i:02}" for i in range(12)} - later
    assert not any(use["errors"] for use in FOUND["alone"] + FOUND["crowded"])
    assert {"processor", "cores", "memory_gb", "torch"} <= FOUND["machine"].keys()


def test_memory_and_waits_are_what_the_page_says():
    thirty, sixty, one = (memory_needed(FOUND, n) for n in (30, 60, 1))
    assert sixty - thirty == pytest.approx(30 / 29 * (thirty - one))
    assert (
        memory_needed(FOUND, 30, open_kernels=1) < thirty < memory_needed(FOUND, 30, open_kernels=3)
    )
    assert longest_wait(FOUND, 30, 8) == pytest.approx(longest_wait(FOUND, 60, 16))
    assert longest_wait(FOUND, 1, 8) == max(max(use["longest"]) for use in FOUND["alone"])
    for wrong in ({"learners": 0}, {"learners": 3, "open_kernels": 0}):
        with pytest.raises(ValueError, match="at least one learner"):
            memory_needed(FOUND, **wrong)
    with pytest.raises(ValueError, match="99_none was not measured, only 00_"):
        longest_wait(FOUND, 30, 8, "99_none")


def test_the_most_that_a_process_held_is_not_forgotten():
    code = "from mnist_course.making.capacity import peak_memory; before = peak_memory(); x = bytearray(300_000_000); "
    code += "del x; print(peak_memory() - before)"
    grown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert 250e6 < int(grown) < 400e6


# ---- without a kernel or a server


def process(own: float, shared: float, seconds: float, *, tells: bool = True):
    "A process as psutil describes it; on some systems it doesn't tell what it shares."
    parts = {"rss": int(1e6 * (own + shared))} | ({"shared": int(1e6 * shared)} if tells else {})
    return SimpleNamespace(
        memory_info=lambda: SimpleNamespace(**parts),
        memory_full_info=lambda: SimpleNamespace(uss=int(1e6 * own)),
        cpu_times=lambda: SimpleNamespace(user=seconds / 4, system=3 * seconds / 4),
    )


@pytest.mark.parametrize("tells", [True, False])
def test_a_family_takes_what_each_has_alone_and_its_largest_files(monkeypatch, tells):
    def gone():
        raise psutil.NoSuchProcess(3)

    dead = SimpleNamespace(memory_info=gone)
    parent = process(100, 50, 2, tells=tells)
    parent.children = lambda recursive: [dead, process(30, 70, 6, tells=tells)] * recursive
    monkeypatch.setattr(psutil, "Process", lambda pid: {7: parent}[pid])
    assert _taken_by(7) == capacity._Taken(130.0, 70.0, 8.0)


class Kernel:
    "A stand-in for a kernel, its manager and its client: what it was asked, and how it answers."

    def __init__(self) -> None:
        self.asked, self.stopped = [], []
        self.provisioner = SimpleNamespace(process=SimpleNamespace(pid=7))

    def start(self, **options) -> "tuple[Kernel, Kernel]":
        self.options = options
        return self, self

    def execute_interactive(self, source: str, **options) -> dict:
        assert options["allow_stdin"] is False and options["output_hook"]({}) is None
        self.asked.append(source)
        return {"content": {"status": "error" if "1 / 0" in source else "ok"}}

    def stop_channels(self) -> None:
        self.stopped.append("channels")

    def shutdown_kernel(self, now: bool) -> None:
        self.stopped.append(now)


@pytest.mark.parametrize("data", [None, "sample"])
def test_a_learner_runs_cells_whatever_they_raise(tmp_path, monkeypatch, data):
    kernel, seconds = Kernel(), iter([1.0, 3.0, 3.0, 10.0, 10.0, 11.0])
    monkeypatch.setattr("jupyter_client.manager.start_new_kernel", kernel.start)
    monkeypatch.setattr(capacity, "write_course", lambda folder: folder.mkdir())
    monkeypatch.setattr(capacity, "_taken_by", lambda pid: capacity._Taken(cpu=next(seconds)))
    monkeypatch.setenv("MNIST_COURSE_DATA", "before")
    learner = capacity._Learner(tmp_path / "ada", 3, data)
    assert learner.pid == 7 and (tmp_path / "ada").is_dir()
    assert kernel.options["cwd"] == str(tmp_path / "ada")
    environment = kernel.options["env"]
    assert environment["OMP_NUM_THREADS"] == "3" and environment["PATH"] == os.environ["PATH"]
    assert environment["MNIST_COURSE_DATA"] == (data or "before")
    taken, longest, errors = learner.run(["a", "1 / 0", "b"])
    assert kernel.asked == ["a", "1 / 0", "b"] and (longest, errors) == (7.0, 1) and taken >= 0
    learner.stop()
    assert kernel.stopped == ["channels", True]


@pytest.mark.parametrize(("failures", "starts"), [(0, 1), (2, 3), (9, 3)])
def test_a_kernel_whose_port_was_taken_is_started_again(tmp_path, monkeypatch, failures, starts):
    kernel, tried = Kernel(), []

    def start(**options):
        tried.append(options["cwd"])
        if len(tried) <= failures:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return kernel.start(**options)

    monkeypatch.setattr("jupyter_client.manager.start_new_kernel", start)
    monkeypatch.setattr(capacity, "write_course", lambda folder: None)
    with contextlib.nullcontext() if failures < 3 else pytest.raises(RuntimeError, match="died"):
        assert capacity._Learner(tmp_path, 1, None).pid == 7
    assert tried == [str(tmp_path)] * starts


def test_the_most_of_each_and_of_all_together_is_kept(monkeypatch):
    looks = {1: [(10, 5, 1), (30, 6, 2), (20, 4, 3)], 2: [(15, 9, 1), (1, 2, 5), (2, 3, 6)]}
    seen = threading.Event()
    left = {pid: list(of) for pid, of in looks.items()}

    def taken(pid: int) -> capacity._Taken:
        now = left[pid].pop(0) if len(left[pid]) > 1 else left[pid][0]
        if len(left[2]) == 1:
            seen.set()
        return capacity._Taken(*now)

    monkeypatch.setattr(capacity, "_taken_by", taken)
    use = capacity._Use("a", 2, 1)
    people = [SimpleNamespace(pid=1), SimpleNamespace(pid=2)]
    with capacity._watching(people, use, 0.001):
        assert seen.wait(PATIENCE)
    assert use.peak == [30, 15] and use.rest == [20, 2] and use.cpu == [3, 6]
    assert use.shared == 9 and use.together == 31 + 9
    left = {1: [(10, 5, 1)], 2: [(15, 9, 1)]}  # one look, at the end
    with pytest.raises(KeyError), capacity._watching(people, use, PATIENCE):
        raise KeyError
    assert use.rest == use.peak == [10, 15] and use.together == 40


def test_a_lesson_is_measured_by_learners_at_the_same_time(tmp_path, monkeypatch):
    people, watched = [], []

    class Learner:
        def __init__(self, folder, threads, data) -> None:
            folder.mkdir()
            (folder / "03_a.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "x"}]}')
            self.folder, self.about, self.stopped = folder, (folder.name, threads, data), 0
            people.append(self)

        def run(self, cells):
            assert cells == ["x"]
            if self.about[2] == "broken":
                raise RuntimeError
            return 10.0, 3.0, 2

        def stop(self) -> None:
            self.stopped += 1

    @contextlib.contextmanager
    def watching(people, use, every):
        watched.append((len(people), every))
        yield

    monkeypatch.setattr(capacity, "_Learner", Learner)
    monkeypatch.setattr(capacity, "_watching", watching)
    use = _measure_lesson(tmp_path / "03_a.ipynb", 2, 3, "sample", 0.5)
    assert (use.lesson, use.learners, use.threads) == ("03_a", 2, 3)
    assert (use.seconds, use.longest, use.errors) == ([10.0, 10.0], [3.0, 3.0], 4)
    assert sorted(one.about for one in people) == [
        ("learner-0", 3, "sample"),
        ("learner-1", 3, "sample"),
    ]
    assert watched == [(2, 0.5)]
    with pytest.raises(RuntimeError):
        _measure_lesson(tmp_path / "03_a.ipynb", data="broken")
    assert [one.stopped for one in people] == [1, 1, 1]


def test_a_server_has_a_home_and_a_port_of_its_own(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **how: started.append((words, how)))
    made = [capacity._start_server(("a", "b"), tmp_path / str(i)) for i in range(2)]
    for i, ((_, address), (words, how)) in enumerate(zip(made, started, strict=True)):
        home = tmp_path / str(i)
        port = address.removeprefix("http://127.0.0.1:").removesuffix("/lab?token=t")
        assert words[:4] == [sys.executable, "-m", "a", "b"] and f"--port={port}" in words
        assert "--IdentityProvider.token=t" in words and how["cwd"] == home and home.is_dir()
        own = {name: how["env"][name] for name in ("HOME", "JUPYTER_CONFIG_DIR", "PATH")}
        assert own == {
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(home),
            "PATH": os.environ["PATH"],
        }
        assert how["env"]["JUPYTER_RUNTIME_DIR"] == str(home / "run")


def test_a_server_is_waited_for_unless_it_has_ended(monkeypatch):
    tried, slept = [], []
    answer = SimpleNamespace(read=lambda: tried.append("read"))

    def urlopen(address: str, timeout: float):
        tried.append(address)
        if len(tried) < 4:
            raise OSError
        return answer

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr(capacity.time, "sleep", slept.append)
    alive = SimpleNamespace(poll=lambda: None)
    capacity._wait_for(alive, "http://x")
    assert tried == ["http://x"] * 4 + ["read"] and slept == [0.5] * 3
    tried.clear()
    ended = SimpleNamespace(poll=lambda: 3, returncode=3)
    with pytest.raises(RuntimeError, match="the server ended with exit status 3"):
        capacity._wait_for(ended, "http://x")
    assert tried == ["http://x"]


def test_servers_are_measured_together_and_ended(monkeypatch):
    done = []

    def start(command, home):
        assert command == ("jupyterlab",) and not home.exists()
        pid = int(home.name[-1])
        return (
            SimpleNamespace(
                pid=pid,
                terminate=lambda: done.append(f"end {pid}"),
                wait=lambda seconds: done.append(f"wait {pid}"),
            ),
            f"address {pid}",
        )

    monkeypatch.setattr(capacity, "_start_server", start)
    monkeypatch.setattr(capacity, "_wait_for", lambda process, address: done.append(address))
    monkeypatch.setattr(capacity, "_taken_by", lambda pid: capacity._Taken(own=100 + 10 * pid))
    assert capacity._measure_servers(2) == 105
    assert done == ["address 0", "address 1", "end 0", "end 1", "wait 0", "wait 1"]


def test_a_record_holds_every_lesson_the_crowds_and_the_servers(tmp_path, monkeypatch):
    measured, seconds = [], iter([5.0, 4.0, 9.0, 9.5])

    def measure(lesson, learners=1, data=None):
        measured.append((lesson.stem, learners, data))
        cpu = [next(seconds)] if learners == 1 else [1.0]
        together = 200.0 if lesson.stem == "01_b" else 100.0
        return capacity._Use(lesson.stem, learners, 1, together=together * learners, cpu=cpu)

    monkeypatch.setattr(
        capacity, "lessons", lambda: [tmp_path / "00_a.ipynb", tmp_path / "01_b.ipynb"]
    )
    monkeypatch.setattr(capacity, "_measure_lesson", measure)
    monkeypatch.setattr(capacity, "_measure_servers", lambda count: 10.0 * count)
    monkeypatch.setattr(capacity, "this_machine", lambda: {"cores": 4})
    told: list[str] = []
    found = capacity.record_capacity(tmp_path / "c.json", (2, 3), "sample", say=told.append)
    assert json.loads((tmp_path / "c.json").read_text()) == found
    alone = [("00_a", 1, "sample")] * 2 + [("01_b", 1, "sample")] * 2
    assert measured == [*alone, ("01_b", 2, "sample"), ("01_b", 3, "sample")]
    assert [use["cpu"] for use in found["alone"]] == [[4.0], [9.0]]  # the least of two tries
    assert [use["learners"] for use in found["crowded"]] == [2, 3]
    assert found["servers"] == {"1": 10.0, "2": 20.0, "3": 30.0} and found["machine"] == {
        "cores": 4
    }
    assert told == [
        "00_a: 100 MB, 4 CPU s",
        "01_b: 200 MB, 9 CPU s",
        "2 learners in 01_b: 400 MB",
        "3 learners in 01_b: 600 MB",
    ]


def test_what_a_class_needs_by_hand():
    found = {
        "alone": [
            {"lesson": "a", "peak": [300, 500], "rest": [100], "shared": 400, "longest": [3]},
            {"lesson": "b", "peak": [200], "rest": [50, 150], "shared": 300, "longest": [2, 8]},
        ],
        "servers": {"1": 90, "2": 100},
    }
    # the system, files once, and for each a server, a kernel at work and one left open
    assert memory_needed(found, 10) == pytest.approx(2 + (400 + 10 * (100 + 500 + 150)) / 1000)
    assert memory_needed(found, 1, 3, 1) == pytest.approx(1 + (400 + 100 + 500 + 300) / 1000)
    assert memory_needed(found | {"trial": {"server_mb": 200}}, 1, 1, 0) == pytest.approx(1.1)
    assert longest_wait(found, 8, 4) == 16 and longest_wait(found, 2, 4) == 8
    assert longest_wait(found, 8, 4, "a") == 6
