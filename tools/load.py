"""The course under load, once: thirty kernels run a lesson, a class of 300 is graded, 200 processes ask for the data at once.

    python tools/load.py                      all three, half an hour on two cores
    python tools/load.py kernels --number 12
    python tools/load.py data --record        and keep the numbers, in mnist_course/runs/load.json

Prints what it took; the exit status is 1 where something died or went wrong. Nothing here is a test by the clock.
"""

import argparse
import functools
import http.server
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from mnist_course.base import asset, this_machine, write_json

LESSON = "07_sgd"
RECORD = asset("runs", "load.json")
ANSWERS = {  # to lesson 03: right, and each wrong in a way that has a name
    "output_size": "def output_size(size, kernel_size, stride=1, padding=0, dilation=1):\n"
    "    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1",
    "linear_params": "def linear_params(in_features, out_features, bias=True):\n"
    "    return out_features * (in_features + bias)",
    "team_params": "team_params = 51_328",
}
ASK = """
import collections, os, sys, traceback
from mnist_course.engine import data

data.MIRRORS["MNIST"] = ({address!r},)
asking = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train, test = data.load_mnist({root!r}, source="download")
            sums = int(train.labels.sum()), int(test.labels.sum())
            status = 0 if sums == (267236, 44434) else 2  # of all 60,000 and 10,000 labels
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    asking.append(child)
ends = collections.Counter(os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in asking)
print("exit status and how many:", dict(ends))
sys.exit(set(ends) != {{0}})
"""


def cpu() -> float:
    "CPU seconds so far: of this process, and of those that it has started and that have ended."
    return sum(os.times()[:4])


def kernels(number: int) -> tuple[bool, dict]:
    "So many learners run lesson 07 at the same time, each in a kernel."
    import psutil

    from mnist_course.making.capacity import _measure_lesson
    from mnist_course.teaching.notebooks import lessons

    path = next(path for path in lessons() if path.stem == LESSON)
    alone = _measure_lesson(path, 1, data="sample")
    needed = (alone.shared + number * alone.peak[0]) / 1000
    free = psutil.virtual_memory().available / 1e9
    print(f"one kernel: {alone.peak[0]:.0f} MB of its own, {alone.cpu[0]:.0f} CPU s", flush=True)
    if needed > free:  # not all are at their peak at once
        number = int((free * 1000 - alone.shared) / alone.peak[0])
        print(
            f"{needed:.1f} GB are needed and {free:.1f} GB are free: {number} kernels", flush=True
        )
    use = _measure_lesson(path, number, data="sample", every=2)
    print(
        f"{number} kernels: {use.together / 1000:.1f} GB together, each {max(use.peak):.0f} MB at "
        f"most, {statistics.median(use.cpu):.0f} CPU s, {max(use.seconds):.0f} s on the clock, "
        f"{use.errors} errors, {len(use.seconds)} came to the end"
    )
    taken = {
        "lesson": use.lesson,
        "kernels": number,
        "together_mb": round(use.together),
        "shared_mb": round(use.shared),
        "largest_mb": round(max(use.peak)),
        "cpu_s": round(statistics.median(use.cpu), 1),
        "errors": use.errors,
        "ended": len(use.seconds),
    }
    return use.errors == 0 and len(use.seconds) == number, taken


def grading(number: int) -> tuple[bool, dict]:
    "A class of so many hands in lesson 03: every third has one answer wrong, every tenth never ends."
    from mnist_course.teaching.grading import Limits, grade_class

    with tempfile.TemporaryDirectory() as place:
        expected: Counter = Counter()
        for i in range(number):
            mine = dict(ANSWERS)
            if i % 3 == 1:
                mine["team_params"] = "team_params = 51_200"
            if i % 10 == 5:
                mine["linear_params"] = "while True:\n    pass"
            expected[3 - (i % 3 == 1) - (i % 10 == 5)] += 1
            cells = ["from mnist_course.checks import check"]
            cells += [f'{code}\n\n\ncheck("03.{name}", {name})' for name, code in mine.items()]
            code = [
                {"cell_type": "code", "source": one, "metadata": {}, "outputs": []} for one in cells
            ]
            folder = Path(place) / "class" / f"learner {i:03}"
            folder.mkdir(parents=True)
            notebook = {"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            (folder / "03_shapes.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        start = time.perf_counter()
        records, _ = grade_class(
            Path(place) / "class",
            Path(place) / "grades",
            exercises=[f"03.{name}" for name in ANSWERS],
            limits=Limits(seconds=5),
            say=lambda line: None,
        )
        # no CPU seconds: rooms are killed, and what they computed is never counted as ours
        took = time.perf_counter() - start
    got = Counter(
        sum(one["status"] == "passed" for one in record.results.values()) for record in records
    )
    print(f"{len(records)} submissions in {took:.0f} s; so many with so many right: {dict(got)}")
    if got != expected:
        print(f"expected: {dict(expected)}")
    taken = {
        "submissions": len(records),
        "right": {str(right): got[right] for right in sorted(got)},
    }
    return got == expected, taken


def data(number: int) -> tuple[bool, dict]:
    """So many processes ask for the full MNIST, which has to be here or to come from the network, in
    one empty folder at once. A server on this machine counts how often each file is fetched."""
    from mnist_course.engine import data as engine

    asked: Counter = Counter()
    with tempfile.TemporaryDirectory() as place:
        mirror, cache = Path(place) / "mirror", Path(place) / "cache"
        mirror.mkdir()
        for path in engine.data_files(None, source="download").values():
            (mirror / path.name).symlink_to(path.resolve())

        class Counting(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *words: object) -> None:
                asked[f"{self.command} {self.path}"] += 1

        handler = functools.partial(Counting, directory=str(mirror))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        start, before = time.perf_counter(), cpu()
        code = ASK.format(address=address, root=str(cache))
        # a fork each: two hundred that load PyTorch by themselves would need 60 GB
        parent = subprocess.run(
            [sys.executable, "-c", code, str(number)], capture_output=True, text=True, check=False
        )
        took, used = time.perf_counter() - start, cpu() - before
        server.shutdown()
    print(parent.stdout.strip()[-2000:], parent.stderr.strip()[-2000:])
    fetched = {what: n for what, n in asked.items() if what.startswith("GET")}
    print(f"{number} processes in {took:.0f} s, {used:.0f} CPU s; fetched: {fetched}")
    good = parent.returncode == 0 and len(fetched) == 4 and set(fetched.values()) == {1}
    return good, {"processes": number, "cpu_s": round(used), "fetched": sum(fetched.values())}


PARTS = {"kernels": (kernels, 30), "grading": (grading, 300), "data": (data, 200)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="all three, if none is named"
    )
    parser.add_argument("--number", type=int, help="of kernels, submissions or processes")
    parser.add_argument("--record", action="store_true", help="keep the numbers of what went well")
    asked = parser.parse_args()
    failed = False
    for name in asked.parts or PARTS:
        work, usual = PARTS[name]
        print(f"--- {name}", flush=True)
        good, taken = work(asked.number or usual)
        failed |= not good
        if asked.record and good:
            kept = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
            write_json(RECORD, {**kept, name: {**taken, "machine": this_machine()}})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
