"What every room needs: words for people, arguments, assets. The files of MNIST are tested with their loading."

from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_course.base import (
    CourseError,
    CourseWarning,
    DataError,
    asset,
    check_type,
    damaged,
    real_number,
    short,
    tilde,
    whole_number,
)


def test_asset_points_into_the_package():
    assert asset("weights", "net.safetensors").is_file()
    assert asset("no", "such.file") == asset() / "no" / "such.file"  # where it would be


def test_tilde(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert tilde(tmp_path / "a" / "b.png") == "~/a/b.png"
    assert tilde(tmp_path.parent) == str(tmp_path.parent)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert tilde(tmp_path) == str(tmp_path)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a\nb"), "a"),
        (ValueError(), "ValueError"),
        (OSError(13, "Denied", "/x"), "Denied"),
        (ValueError("x" * 300), "x" * 117 + "..."),
    ],
)
def test_short(error, text):
    assert short(error) == text


# --- errors and arguments


def test_data_errors_are_value_errors_and_the_courses_own():
    error = damaged(Path("some-file"), "is cut off")
    assert isinstance(error, DataError) and issubclass(DataError, (ValueError, CourseError))
    assert str(error) == "some-file is cut off: delete it and load the data again"
    assert issubclass(DataError, CourseError) and issubclass(CourseWarning, UserWarning)


@pytest.mark.parametrize("value", [3, True, np.int64(3), torch.tensor(3)])
def test_whole_numbers(value):
    assert whole_number("n", value, least=1) == int(value)
    assert type(whole_number("n", value)) is int


@pytest.mark.parametrize("value", [3.0, "3", None, [3], torch.tensor(3.0), np.float64(3)])
def test_what_is_no_whole_number_is_named(value):
    with pytest.raises(TypeError, match=r"^n must be a whole number, got "):
        whole_number("n", value)
    with pytest.raises(TypeError, match=r"^n must be a whole number of at least 0, got "):
        whole_number("n", value, least=0)


def test_a_whole_number_that_is_too_small():
    with pytest.raises(ValueError, match=r"^n must be a whole number of at least 2, got 1$"):
        whole_number("n", 1, least=2)
    assert whole_number("n", -5) == -5


@pytest.mark.parametrize("value", [0.5, 2, np.float32(0.5), torch.tensor(0.5)])
def test_real_numbers(value):
    assert real_number("x", value) == float(value)


@pytest.mark.parametrize("value", ["0.5", None, [0.5], 1j])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match=r"^x must be a number, got "):
        real_number("x", value)


def test_another_type_is_named():
    assert check_type("x", Path("."), Path) is None
    with pytest.raises(TypeError, match=r"^x must be a Path, got str$"):
        check_type("x", ".", Path)
