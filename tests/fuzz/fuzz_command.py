"Command lines, settings of a run, and environment variables."

import contextlib
import io
import json
import os

from mnist_course.base import DataError, describe_source
from mnist_course.cli import _make_parser, _old_settings
from tests.fuzz.place import FOLDER, put

PARSER = _make_parser()


def seeds() -> list[bytes]:
    settings = {
        "recipe": "seed",
        "epochs": 1,
        "data": "sample",
        "seed": 0,
        "device": None,
        "precision": None,
        "batch_size": 64,
    }
    lines = [
        "train\0--epochs\x003\0--resume\0runs/a",
        "grade\0a\0--only\0Ada",
        "predict\0a.png",
        "slides\x0003",
    ]
    return [json.dumps(settings).encode(), *(line.encode() for line in lines), b"~nobody/$HOME/x"]


def one(data: bytes) -> None:
    words = data.decode("utf-8", "surrogateescape").split("\0")
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        contextlib.suppress(SystemExit),
    ):
        PARSER.parse_args(words)
    put("settings.json", data)
    with contextlib.suppress(ValueError):
        _old_settings(FOLDER, PARSER.parse_args(["train", "--resume", str(FOLDER)]))
    os.environ["MNIST_COURSE_DATA"] = words[0][:200] or "sample"
    with contextlib.suppress(DataError):
        describe_source()
    os.environ["MNIST_COURSE_DATA"] = "sample"
