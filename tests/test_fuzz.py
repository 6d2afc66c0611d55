"Each reader gets a few damaged inputs here, always the same ones; make fuzz goes on from there."

import itertools
import shutil

import pytest

from tests.fuzz.harness import NAMES, inputs, load
from tests.fuzz.place import FOLDER


@pytest.mark.parametrize("name", NAMES)
def test_damaged_input_raises_what_is_documented(name, monkeypatch):
    for variable in ("MNIST_COURSE_DATA", "MNIST_COURSE_PROGRESS"):  # some inputs are settings
        monkeypatch.setenv(variable, "sample")
    shutil.rmtree(FOLDER, ignore_errors=True)  # one reader's files are no other's
    FOLDER.mkdir()
    one = load(name)
    tried = [one(data) for data in itertools.islice(inputs(name, 1), 30)]
    assert len(tried) == 30
