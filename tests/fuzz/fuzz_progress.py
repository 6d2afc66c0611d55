"A learner's progress: lines that are no event are skipped, whatever they are."

import contextlib
import io
import json

from mnist_course.checks import progress
from mnist_course.progress import calibration, events, reveal
from tests.fuzz.place import FOLDER, put


def seeds() -> list[bytes]:
    lines = [{"kind": "check", "id": "03.same_padding", "status": "passed", "misconception": None}]
    lines += [{"kind": "guess", "id": "03.places", "value": [1], "sure": 0.7}]
    lines += [{"kind": "reveal", "id": "03.places", "right": True, "sure": 0.7, "time": 3}]
    return ["\n".join(map(json.dumps, lines)).encode()]


def one(data: bytes) -> None:
    path = put("progress.jsonl", data)
    import os

    os.environ["MNIST_COURSE_PROGRESS"] = str(path)
    events(FOLDER)
    str(progress(FOLDER))
    str(calibration())
    with contextlib.redirect_stdout(io.StringIO()):
        reveal("03.places", 3)
