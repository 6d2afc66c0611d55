"A process that ends itself, by SIGKILL, at a chosen file operation of its own in a chosen folder: really in the middle."

import os
import signal
import sys
from pathlib import Path

TASKS = {
    "start": "from mnist_course.teaching.folder import write_course; write_course(folder)",
    "record": "from mnist_course.progress import record\nfor i in range(20): record(f'03.x{i}', 'passed')",
    "export": "from tests.long.victim import save_weights; save_weights(folder)",
    "grades": "from tests.long.victim import grades; grades(folder)",
}
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")


def save_weights(folder: Path) -> None:
    from mnist_course.engine.training import save_weights as save
    from mnist_course.model import Net

    for name in ("a", "b", "c"):
        save(folder / f"{name}.safetensors", Net())


def grades(folder: Path) -> None:
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


def main() -> None:
    task, folder, fatal = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    count = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal count
        if event not in EVENTS or not str(arguments[0]).startswith(str(folder)):
            return
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    exec(TASKS[task], {"folder": folder})
    print(f"operations {count}")


if __name__ == "__main__":
    main()
