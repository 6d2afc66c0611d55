"What counts in a class: course.toml."

import contextlib

from mnist_course.base import DataError
from mnist_course.teaching.grading.gradebook import read_course
from tests.fuzz.place import put


def seeds() -> list[bytes]:
    text = 'title = "a"\nlessons = ["03", "5"]\ndue = 2024-01-31 23:59:00\nlate_penalty = 20\n'
    return [
        (
            text + 'repeated = "best"\npoints = { "03.same_padding" = 2 }\nweights = { "03" = 1.5 }'
        ).encode()
    ]


def one(data: bytes) -> None:
    with contextlib.suppress(DataError):
        read_course(put("course.toml", data))
