"""What several tests share. Every test runs on the sample, without a network."""

import os

os.environ["MNIST_COURSE_DATA"] = "sample"

import hypothesis
import pytest

from mnist_course.data import DigitDataset, load_mnist

# A shared machine can stand still for a moment: no example fails for being slow.
hypothesis.settings.register_profile("course", deadline=None)
hypothesis.settings.load_profile("course")


@pytest.fixture(scope="session")
def sample() -> tuple[DigitDataset, DigitDataset]:
    "The sample: 10,000 training and 2,000 test digits."
    return load_mnist(source="sample")


@pytest.fixture(scope="session")
def small(sample) -> tuple[DigitDataset, DigitDataset]:
    "640 training and 200 test digits, for tests that train."
    return tuple(DigitDataset(part.images[:n], part.labels[:n], "small sample") for part, n in zip(sample, (640, 200), strict=True))
