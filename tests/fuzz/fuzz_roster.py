"Lists of a class, as platforms give them."

import contextlib

from mnist_course.base import DataError
from mnist_course.teaching.grading.submissions import read_roster
from tests.fuzz.place import put


def seeds() -> list[bytes]:
    moodle = "Identifier,Full name,Email address,Status,Grade,Maximum Grade\nParticipant 7,Ada L,a@b.c,Late,,10\n"
    canvas = 'Student;ID;SIS Login ID\n"Lovelace, Ada";7;ada\n'
    return [
        moodle.encode(),
        canvas.encode("utf-16"),
        "Name\tE-Mail\nM\xfcller\tm@b.c".encode("latin-1"),
    ]


def one(data: bytes) -> None:
    with contextlib.suppress(DataError):
        read_roster(put("roster.csv", data))
