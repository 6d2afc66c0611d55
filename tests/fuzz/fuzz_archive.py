"A class's zip: nothing lands outside, and what can't be unpacked is told."

import io
import shutil
import zipfile

from mnist_course.base import DataError
from mnist_course.teaching.grading.submissions import choose, gather
from tests.fuzz.place import FOLDER, put


def seeds() -> list[bytes]:
    made = []
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", way) as archive:
            archive.writestr(
                "Ada Lovelace_7_assignsubmission_file_/03_shapes.ipynb", '{"cells": []}'
            )
            archive.writestr("../outside", "x")
        made.append(file.getvalue())
    return made


def one(data: bytes) -> None:
    work = FOLDER / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    path = put("class.zip", data)
    try:
        for learner in gather(path, work).learners:
            choose(learner, "best", {"03"}, on_time_first=False)
    except (DataError, ValueError, OSError):
        pass
    assert not (FOLDER / "outside").exists()
