"The list of what is ours in a learner's folder: a damaged one counts as none."

import json

from mnist_course.base import write_json
from mnist_course.progress import MANIFEST
from mnist_course.teaching.folder import _read_manifest
from tests.fuzz.place import FOLDER, put


def seeds() -> list[bytes]:
    return [json.dumps({"version": "1", "files": {"00_a.ipynb": "0" * 64}}).encode()]


def one(data: bytes) -> None:
    put(MANIFEST, data)
    write_json(FOLDER / "again.json", _read_manifest(FOLDER))
