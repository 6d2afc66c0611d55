"Weights as safetensors, and what such a file says about itself."

import contextlib

import torch
from safetensors.torch import save

from mnist_course.engine.export import read_about
from mnist_course.engine.training import read_weights
from tests.fuzz.place import put


def seeds() -> list[bytes]:
    return [
        save({"a": torch.ones(2, 3)}, {"about": '{"classes": [1]}'}),
        save({"b": torch.ones(1)}),
    ]


def one(data: bytes) -> None:
    path = put("a.safetensors", data)
    for reader in (read_weights, read_about):
        with contextlib.suppress(ValueError):
            assert isinstance(reader(path), dict)
