"The grader's own lines, and a process's lines about itself."

import json
from dataclasses import asdict
from pathlib import Path

from mnist_course.teaching.grading.gradebook import Record, Results
from tests.fuzz.place import FOLDER, put


def seeds() -> list[bytes]:
    passed = {"status": "passed", "misconception": None, "message": "", "evidence": ""}
    lines = [
        {"class": str(Path("/class")), "version": "1", "written": {"grades.csv": "0"}},
        {"begun": {"a": "b"}},
    ]
    lines.append(
        asdict(Record("Ada", "7", "a@b.c", "m", [], {"03.same_padding": passed}, ["late"]))
    )
    return ["\n".join(map(json.dumps, lines)).encode()]


def one(data: bytes) -> None:
    put("results.jsonl", data)
    try:
        Results(FOLDER, Path("/class"), say=lambda _: None).close()
    except ValueError as error:
        assert "holds the grades of" in str(error)
