"What every room needs: words for people, arguments, assets. The files of MNIST are tested with their loading."

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_course.base import (
    CourseError,
    CourseWarning,
    DataError,
    as_path,
    asset,
    check_place,
    check_type,
    damaged,
    real_number,
    short,
    tilde,
    whole_number,
    write_atomically,
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


@pytest.mark.parametrize("kind", [Path, str])
def test_home_and_variables_in_a_path(monkeypatch, tmp_path, kind):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MY_RUNS", "first")
    assert as_path(kind("~/$MY_RUNS/a.pt")) == tmp_path / "first" / "a.pt"
    assert as_path(kind("$NOT_SET/a")) == Path("$NOT_SET/a")
    write_atomically(kind("~/new/a.txt"), b"here")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"here"
    with pytest.raises(TypeError, match=r"^checkpoint must be a path, .* got True$"):
        as_path(True, "checkpoint")


def test_a_place_is_tried_and_left_as_it_was(tmp_path):
    assert check_place(tmp_path / "new" / "deep" / "a.json") == tmp_path / "new" / "deep" / "a.json"
    assert check_place(tmp_path / "more", folder=True) == tmp_path / "more"
    (tmp_path / "taken").write_text("a file")
    for target, folder in (("taken/a", False), ("taken", True), ("taken/b", True), (".", False)):
        with pytest.raises(OSError, match=r"taken is a file|is a folder: give the name of a file"):
            check_place(tmp_path / target, folder)
    with pytest.raises(OSError, match="can't be written"):
        check_place(tmp_path / ("x" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is not a file"):
        write_atomically(tmp_path / "pipe", b"x")


def test_a_class_in_place_of_an_instance_is_named():
    with pytest.raises(
        TypeError, match=r"model must be a Path, got the class PosixPath itself|Path"
    ):
        check_type("model", type(Path(".")), Path)
    with pytest.raises(TypeError, match=r"^x must be a Tensor, got ndarray: torch.from_numpy"):
        check_type("x", np.zeros(2), torch.Tensor)
