"""Processes that end themselves, or find no room, at a moment that was chosen: really in the middle.

`python -m tests.long.victim` loads everything once. Then it takes orders, a line of JSON each, and forks a
process for each, so that fifty kills don't import torch fifty times."""

import fcntl
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

TASKS: dict[str, Callable[[Path], int | None]] = {}


def task(work: Callable[[Path], int | None]) -> Callable[[Path], int | None]:
    "Something that writes into a folder, known by its name. What comes back is the exit status."
    TASKS[work.__name__] = work
    return work


# ---- what is killed


@task
def start(folder: Path) -> int:
    from mnist_course.cli import main
    from mnist_course.teaching import folder as module

    as_it_is = module.learner_edition

    def edition(notebook: dict) -> dict:
        made = as_it_is(notebook)
        made["cells"][0]["source"] += [os.environ.get("WORDS", "")]
        return made

    module.learner_edition = edition
    return main(["start", "--write-only", str(folder)])


@task
def record(folder: Path) -> None:
    from mnist_course.progress import record

    for i in range(20):
        record(f"03.x{i}", "passed")


@task
def check(folder: Path) -> None:
    "What a check says, and whether the progress holds it."
    from mnist_course.checks import check, progress

    os.chdir(folder)
    print(
        check("03.same_padding", lambda kernel_size, dilation=1: dilation * (kernel_size - 1) // 2)
    )
    print(progress())


@task
def weights(folder: Path) -> None:
    from mnist_course.engine.training import save_weights
    from mnist_course.model import Net

    for name in ("a", "b", "c"):
        save_weights(folder / f"{name}.safetensors", Net())


@task
def export(folder: Path) -> int:
    from mnist_course.cli import main

    return main(["export", str(folder / "digits.safetensors"), "--format", "int8"])


@task
def papers(folder: Path) -> int:
    from mnist_course.cli import main

    sheet = main(["sheet", "03", "--key", "--out", str(folder / "sheet.md")])
    quiz = main(["quiz", "03", "--out", str(folder / "quiz.zip")])
    return sheet or quiz or main(["slides", "03", "--out", str(folder / "slides")])


@task
def predict(folder: Path) -> int:
    from PIL import Image

    from mnist_course.cli import main
    from mnist_course.data import load_mnist

    digit = load_mnist(source="sample")[1].images[0]
    Image.fromarray(255 - digit.numpy()).save(folder / "digit.png")
    return main(["predict", str(folder / "digit.png")])


@task
def tables(folder: Path) -> None:
    "A class's tables and pages; a learner's answers are new each time, as after a second deadline."
    from mnist_course.base import alone_in
    from mnist_course.checks import exercises
    from mnist_course.teaching.grading.classroom import _write
    from mnist_course.teaching.grading.gradebook import Course, Record, Results

    said = {
        "status": "passed",
        "misconception": None,
        "message": os.environ["WORDS"],
        "evidence": "",
    }
    results = {item.id: dict(said) for item in exercises() if item.lesson == "03"}
    with alone_in(folder, "grading"):
        ledger = Results(folder, Path("/class"), say=print)
        records = [Record(name, name, "", name, [], results, []) for name in ("Ada", "Bob", "Cy")]
        for one in records:
            ledger.add(one)
        records = ledger.keep([one.key for one in records])
        _write(records, Course(lessons=("03",)), ledger, [], (), None, {}, True)


@task
def grade(folder: Path) -> int:
    "Grade the class beside the folder. Whose notebook is run is noted there; with QUICK none is."
    from mnist_course.cli import main
    from mnist_course.teaching.grading import classroom

    really = classroom.grade_learners

    def told(everyone, *arguments, done, **more):
        def noted(one) -> None:
            with open(f"{folder}.ran", "a") as file:
                file.write(f"{one.learner}\n")
            done(one)

        if not os.environ.get("QUICK"):
            return really(everyone, *arguments, done=noted, **more)
        return [noted(classroom.Grade(name)) for name in everyone]

    classroom.grade_learners = told
    words = [f"{folder}.class", "--out", str(folder), "--lessons", "03", "--jobs", "2"]
    return main(["grade", *words, *os.environ.get("WORDS", "").split()])


STEPS = 5  # in each of the epochs of `train`


@task
def train(folder: Path) -> int:
    "As somebody does who finds a run in the folder, or none; WORDS are options."
    from mnist_course import data
    from mnist_course.cli import main

    whole = data.load_mnist

    def few(**source: str) -> tuple[data.DigitDataset, data.DigitDataset]:
        sizes = zip(whole(source="sample"), (64 * STEPS, 100), strict=True)
        parts = [data.DigitDataset(p.images[:n], p.labels[:n], "MNIST") for p, n in sizes]
        return parts[0], parts[1]

    data.load_mnist = few
    begun = (folder / "settings.json").exists()
    place = ["--resume" if begun else "--out", str(folder)]
    return main(["train", *place, *([] if begun else os.environ["WORDS"].split())])


@task
def digits(folder: Path) -> None:
    "Ask for MNIST where it isn't, and where no mirror answers."
    from mnist_course.data import load_mnist
    from mnist_course.engine import data

    data.MIRRORS["MNIST"] = ("http://127.0.0.1:9/",)
    print(*map(len, load_mnist()))


@task
def download(folder: Path) -> None:
    "Fetch a tiny data set, which is taken for the published one, from the server at ADDRESS."
    from mnist_course import base
    from mnist_course.engine import data

    base.MD5["MNIST"] = tuple(os.environ["SUMS"].split())
    base.SIZES |= {"train": 60, "test": 10}
    data.MIRRORS["MNIST"] = (os.environ["ADDRESS"],)
    data.download(folder)
    print(*sorted(base.verified_files(folder)))


@task
def notebooks(folder: Path) -> int:
    "Run the notebooks of a small repository in the folder that are stale, and write their outputs back."
    from nbclient import NotebookClient

    from mnist_course.making import outputs, readme
    from mnist_course.making.__main__ import main

    pages = sorted((folder / "nbs").glob("*.ipynb"))
    for module in (outputs, readme):
        module.root = lambda: folder
    outputs.all_notebooks, outputs.lessons = lambda: pages, lambda: []
    outputs.follow_settings = list
    if os.environ.get("QUICK"):
        NotebookClient.execute = pretend
    return main(["notebooks"])


def pretend(client) -> None:
    "What a kernel would have said, had there been one."
    import nbformat

    for number, cell in enumerate(client.nb.cells[1:], 1):
        said = f"{number} of {len(cell.source)} letters\n" * 400
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=said)]


# ---- how


EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")


def inside(path: object, folder: str) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(folder)


class Watch:
    "Counts what a process does in a folder, and acts at the moment that was chosen."

    def __init__(self, folder: str, kind: str = "", number: int = 0, fault: int = 0):
        self.folder, self.kind, self.number, self.fault = folder, kind, number, fault
        self.second = 0  # the step at which another process comes to the same folder
        self.counts = {"operation": 0, "byte": 0, "step": 0, "last": 0}
        self.opened: set[str] = set()

    def hook(self, event: str, arguments: tuple) -> None:
        if event not in EVENTS or not inside(arguments[0], self.folder):
            return
        path = os.fsdecode(arguments[0])
        if event == "open":
            if not arguments[2] & (os.O_WRONLY | os.O_RDWR):
                return
            self.opened.add(path)
        elif event == "os.rename" and path in self.opened:
            self.counts["byte"] = max(self.counts["byte"], os.stat(path).st_size)
        self.note("operation")
        if event not in ("open", "os.mkdir"):
            return
        self.counts["last"] = self.counts["operation"]  # that needs room
        if self.fault and self.kind == "operation" and self.counts["operation"] >= self.number:
            raise OSError(self.fault, os.strerror(self.fault), path)

    def note(self, kind: str) -> None:
        self.counts[kind] += 1
        if kind == "step" and self.counts[kind] == self.second:
            another("train", self.folder)
        if (kind, self.counts[kind]) == (self.kind, self.number) and not self.fault:
            os.kill(os.getpid(), signal.SIGKILL)

    def limit(self) -> None:
        "At that byte of a file, the system itself ends the process, or says that there is no more."
        if self.kind == "byte":
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.number, self.number))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if self.fault else signal.SIG_DFL)

    def finished(self) -> dict[str, int]:
        left = [os.stat(path).st_size for path in self.opened if os.path.exists(path)]
        return self.counts | {"byte": max([self.counts["byte"], *left])}


def another(name: str, folder: str) -> None:
    "The same task once more, in a process of its own: how it ended."
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = TASKS[name](Path(folder))
        sys.stdout.flush()
        os._exit(status or 0)
    print("second:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def child(order: dict, told: int) -> int:
    "Do a task as ordered. The counts go to `told`, when it has come so far."
    for name, value in order.get("environment", {}).items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    if user := order.get("user"):
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.chdir(order.get("here") or order["folder"])
    if ago := order.get("clock"):
        now = time.time
        time.time = lambda: now() - ago
    if locks := order.get("locks"):

        def no_locks(*_: object) -> None:
            raise OSError(locks, os.strerror(locks))

        fcntl.flock = no_locks
    if order.get("no_patience"):
        from mnist_course.teaching import folder as module

        alone_in = module.alone_in
        module.alone_in = lambda place, what, wait=0: alone_in(place, what)
    if order.get("no_temp"):
        tempfile.tempdir = None
        tempfile._candidate_tempdir_list = lambda: ["/nowhere"]
    from torch.optim import optimizer

    watch = Watch(order["folder"], *order.get("moment", []), fault=order.get("fault", 0))
    watch.second = order.get("second", 0)
    sys.addaudithook(watch.hook)
    watch.limit()
    for register in (
        optimizer.register_optimizer_step_pre_hook,
        optimizer.register_optimizer_step_post_hook,
    ):
        register(lambda *_: watch.note("step"))
    status = TASKS[order["task"]](Path(order["folder"]))
    os.write(told, json.dumps(watch.finished()).encode())
    return status or 0


def forked(order: dict) -> dict:
    "What became of a process that did what was ordered: status, words, counts."
    pipes = [os.pipe(), os.pipe()]
    pid = os.fork()
    if not pid:
        status = 1
        try:
            for number in (1, 2):
                os.dup2(pipes[0][1], number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            status = child(order, pipes[1][1])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    for _, end in pipes:
        os.close(end)
    _, status = os.waitpid(pid, 0)
    read = [read_all(end) for end, _ in pipes]
    return {
        "status": os.waitstatus_to_exitcode(status),
        "said": read[0].decode(errors="replace"),
        "counts": json.loads(read[1] or b"{}"),
    }


def read_all(end: int) -> bytes:
    "What is in a pipe. Whoever still holds its other end isn't waited for."
    found = b""
    while select.select([end], [], [], 0)[0] and (part := os.read(end, 2**16)):
        found += part
    os.close(end)
    return found


OURS = "cli progress checks data predict teaching.folder teaching.grading"
NEEDS = {  # what a task would load, loaded before it's forked; "": what all do
    "": ["filelock", "matplotlib.font_manager", "psutil", "torch", *OURS.split()],
    "train": [
        "torch._dynamo",
        "matplotlib.backends.backend_agg",
        "distributed",
        "fast",
        "plotting",
    ],
    "export": ["export"],
    "papers": ["nbconvert", "teaching.quiz", "teaching.slides", "teaching.worksheet"],
    "notebooks": ["nbclient", "nbdev.clean", "matplotlib.backends.backend_agg", "making.outputs"],
    "download": ["pooch", "requests"],
}


def load(name: str) -> None:
    ours = importlib.util.find_spec(f"mnist_course.{name.partition('.')[0]}")
    importlib.import_module(f"mnist_course.{name}" if ours else name)


def serve() -> None:
    "Load what the tasks need, then do as told."
    for line in sys.stdin:
        order = json.loads(line)
        for name in [*NEEDS[""], *NEEDS.get(order["task"], [])]:
            load(name)
        print(json.dumps(forked(order)), flush=True)


if __name__ == "__main__":
    serve()
    sys.stdout.flush()
    os._exit(0)  # nothing of it has to be put away
