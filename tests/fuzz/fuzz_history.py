"Saved histories: what can be loaded can be saved."

import json

from mnist_course.engine.training import COLUMNS, History
from tests.fuzz.place import FOLDER, put


def seeds() -> list[bytes]:
    full = {name: [0.5, None] for name in COLUMNS}
    return [
        json.dumps(full | {"settings": {"seed": 1, "a": [1, "b"]}}).encode(),
        json.dumps(full).encode(),
    ]


def one(data: bytes) -> None:
    try:
        history = History.load(put("history.json", data))
    except ValueError:
        return
    history.save(FOLDER / "again.json")
