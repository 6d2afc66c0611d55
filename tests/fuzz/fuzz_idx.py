"IDX files, packed or not."

import gzip
import struct

from mnist_course.base import DataError
from mnist_course.engine.data import read_idx
from tests.fuzz.place import put


def seeds() -> list[bytes]:
    plain = struct.pack(">IIII", 0x803, 2, 3, 4) + bytes(24)
    return [
        plain,
        struct.pack(">II", 0x801, 5) + bytes(5),
        gzip.compress(plain, mtime=0),
        b"\0\0\x08\0",
    ]


def one(data: bytes) -> None:
    try:
        found = read_idx(put("a-idx3-ubyte", data))
    except DataError:
        return
    assert found.numel() <= 1000 * len(data) + 1
