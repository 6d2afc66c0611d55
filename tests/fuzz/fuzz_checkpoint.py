"Files of torch.save: checkpoints, and weights alone."

import contextlib
import io

import torch

from mnist_course.engine.training import CHECKPOINT_FORMAT, COLUMNS, read_checkpoint, read_weights
from tests.fuzz.place import put


def seeds() -> list[bytes]:
    made = []
    parts = {name: {} for name in ("made_with", "model", "optimizer", "random")}
    whole = {
        "format": CHECKPOINT_FORMAT,
        "scheduler": None,
        "history": {name: [] for name in COLUMNS},
    }
    for contents in ({**parts, **whole}, {"a.weight": torch.ones(2, 2)}):
        file = io.BytesIO()
        torch.save(contents, file)
        made.append(file.getvalue())
    return made


def one(data: bytes) -> None:
    path = put("run.pt", data)
    for reader in (read_checkpoint, read_weights):
        with contextlib.suppress(ValueError):
            reader(path)
