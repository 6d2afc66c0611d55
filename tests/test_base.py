"What every room needs: words for people, arguments, assets. The files of MNIST are tested with their loading."

import contextlib
import errno
import gzip
import json
import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_course import base
from mnist_course.base import (
    STEMS,
    CourseError,
    CourseWarning,
    DataError,
    MissingExtraError,
    _beside,
    alone_in,
    as_path,
    asset,
    check_place,
    check_type,
    clone,
    damaged,
    draft,
    find_files,
    from_json,
    locked,
    need_extra,
    read_file,
    real_number,
    short,
    this_machine,
    tilde,
    unpacked,
    utf8_name,
    whats_wrong,
    whole_number,
    write_atomically,
)


def test_asset_points_into_the_package():
    assert asset("weights", "net.safetensors").is_file()
    assert asset("no", "such.file") == asset() / "no" / "such.file"  # where it would be


def test_a_package_that_was_installed_from_a_wheel_has_no_repository(tmp_path, monkeypatch):
    assert clone() == asset().parent
    monkeypatch.setattr(base, "asset", lambda: tmp_path / "mnist_course")
    assert clone() is None
    (tmp_path / "settings.ini").touch()
    assert clone() is None
    (tmp_path / "nbs").mkdir()
    (tmp_path / "nbs" / "index.ipynb").touch()
    assert clone() == tmp_path


def test_a_measurement_says_where_it_was_made():
    said = json.loads(json.dumps(this_machine()))
    assert list(said) == ["processor", "cores", "memory_gb", "system", "python", "torch"]
    assert said["processor"] and said["cores"] >= 1 and 0 < said["memory_gb"] < 1e5


def test_tilde(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert tilde(tmp_path / "a" / "b.png") == "~/a/b.png"
    assert tilde(tmp_path.parent) == str(tmp_path.parent)
    monkeypatch.chdir(tmp_path)
    assert tilde("b.png") == "~/b.png"

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
        (ValueError("x" * 120), "x" * 120),
        (ValueError("x" * 121), "x" * 117 + "..."),
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
    real = tmp_path / "$MY_RUNS"  # a file that is really called so
    real.touch()
    assert as_path(kind(real)) == as_path(kind("~/$MY_RUNS")) == real
    write_atomically(kind("~/new/a.txt"), b"here")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"here"
    with pytest.raises(TypeError, match=r"^checkpoint must be a path, .* got True$"):
        as_path(True, "checkpoint")


@pytest.mark.parametrize("path", ["~", "~/lessons"])
def test_without_a_home_there_is_no_folder_called_tilde(monkeypatch, path):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(DataError, match=r"^~.* set HOME$"):
        as_path(path)
    assert as_path("~somebody/a") == Path("~somebody/a") and as_path("a~") == Path("a~")


def test_a_draft_becomes_the_file_at_the_end_and_only_then(tmp_path):
    path = tmp_path / "new" / "deep" / "a.bin"
    with draft(path) as made:
        made.write_bytes(b"first")
        assert made.parent == path.parent and not path.exists()
    assert path.read_bytes() == b"first"
    with pytest.raises(RuntimeError), draft(path) as made:
        made.write_bytes(b"second")
        raise RuntimeError
    with (
        pytest.raises(OSError, match=r"a.bin was not written \(No space left") as caught,
        draft(path),
    ):
        raise OSError(errno.ENOSPC, "in other words")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"a.bin was not written \(No such file"), draft(path):
        pass  # nothing was written
    assert path.read_bytes() == b"first" and [*path.parent.iterdir()] == [path]


def test_a_place_is_tried_and_left_as_it_was(tmp_path):
    assert check_place(tmp_path / "new" / "deep" / "a.json") == tmp_path / "new" / "deep" / "a.json"
    assert check_place(tmp_path / "more", folder=True) == tmp_path / "more"
    (tmp_path / "taken").write_text("a file")
    for target, folder in (("taken/a", False), ("taken", True), ("taken/b", True), (".", False)):
        with pytest.raises(OSError, match=r"taken is a file|is a folder: give the name of a file"):
            check_place(tmp_path / target, folder)
    with pytest.raises(OSError, match="can't be written") as raised:
        check_place(tmp_path / ("x" * 300))
    assert raised.value.errno == errno.ENAMETOOLONG
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_and_a_device_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DataError, match="not an ordinary file"):
            read_file(path)
    (tmp_path / "long").write_bytes(bytes(9))
    with pytest.raises(DataError, match="too large"):
        read_file(tmp_path / "long", 8)
    assert read_file(tmp_path / "long", 9) == bytes(9)
    tracemalloc.start()
    read_file(tmp_path / "long")  # nine bytes: no more is asked for than the file has
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_json_that_is_nested_too_deep_is_a_value_error():
    for text in ("[" * 100_000, '{"a":' * 100_000, b"\xff", "9" * 5000):
        with pytest.raises(ValueError):
            from_json(text)
    assert from_json(b'{"a": [1]}') == {"a": [1]}


def test_what_a_killed_process_left_goes_away_and_what_a_living_one_writes_stays(tmp_path):
    path = tmp_path / "a.json"
    rest = _beside(path)
    living = _beside(path)
    gone = rest.with_name(rest.name.replace(f"-{os.getpid()}-", "-999999999-"))
    for file in (gone, living, tmp_path / ".a.json.mine"):
        file.write_bytes(b"half")
    write_atomically(path, b"whole")
    assert {file.name for file in tmp_path.iterdir()} == {"a.json", living.name, ".a.json.mine"}


def test_one_process_at_a_time_in_a_folder(tmp_path):
    with (
        alone_in(tmp_path / "run", "training"),
        pytest.raises(CourseError, match="another process is training in"),
        alone_in(tmp_path / "run", "training"),
    ):
        pass
    with alone_in(tmp_path / "run", "training"):
        (tmp_path / "run" / "a").touch()
    # the lock stays, out of sight: a file that is taken away locks nobody out
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"a", ".lock"}


def test_whoever_waits_for_a_folder_gets_it_and_is_alone_then(tmp_path):
    "Eight threads wait for one that holds it, and then for each other."
    inside, most = [], []

    def work():
        with alone_in(tmp_path, "writing", wait=60):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    with alone_in(tmp_path, "training"):
        for thread in threads:
            thread.start()
        assert most == []
    for thread in threads:
        thread.join()
    assert most == [1] * 8


@pytest.mark.parametrize(
    ("why", "gets_in"), [(errno.ENOLCK, True), (errno.EOPNOTSUPP, True), (errno.EACCES, False)]
)
def test_only_a_disk_that_has_no_locks_lets_everybody_in(tmp_path, monkeypatch, why, gets_in):
    def cannot(*args, **options):
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr("filelock.FileLock.acquire", cannot)
    ends = contextlib.nullcontext() if gets_in else pytest.raises(OSError, match="Permission")
    with ends, locked(tmp_path / "a.lock", 1):
        (tmp_path / "a").touch()
    assert (tmp_path / "a").exists() == gets_in


def test_whoever_has_waited_long_enough_for_a_lock_is_told(tmp_path):
    with (
        locked(tmp_path / "a.lock", 0),
        pytest.raises(TimeoutError),
        locked(tmp_path / "a.lock", 0),
    ):
        pass


def test_where_files_cannot_be_locked_everybody_gets_in(tmp_path, monkeypatch):
    def cannot(*args, **options):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", cannot)
    with alone_in(tmp_path, "training"), alone_in(tmp_path, "training"):
        (tmp_path / "a").touch()
    assert (tmp_path / "a").exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every name is Unicode there")
@pytest.mark.parametrize("name", ["déjà".encode(), "déjà".encode("latin-1")])
def test_whoever_takes_utf8_only_finds_a_file_in_any_folder(tmp_path, name):
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    (folder / "a").write_bytes(b"here")
    with utf8_name(folder / "a") as found:
        assert Path(found.encode().decode()).read_bytes() == b"here"


# --- the files of a dataset


def test_where_the_four_files_are_looked_for_first(tmp_path):
    "Of several sets the one in the nearest place, and of two in one folder the packed one."
    places = [tmp_path / part for part in ("MNIST/raw", "raw", ".", "elsewhere/old")]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for stem in STEMS:
            (place / stem).touch()
            (place / f"{stem}.gz").touch()
    for place in places:
        for suffix in (".gz", ""):
            assert find_files(tmp_path) == {stem: place / f"{stem}{suffix}" for stem in STEMS}
            for stem in STEMS:
                (place / f"{stem}{suffix}").unlink()
    assert find_files(tmp_path) == {}


def test_other_files_beside_the_four_make_no_difference(tmp_path):
    for name in ("ABOUT.txt", *STEMS):
        (tmp_path / name).touch()
    assert find_files(tmp_path) == {stem: tmp_path / stem for stem in STEMS}
    (tmp_path / "old" / "FashionMNIST").mkdir(parents=True)
    (tmp_path / STEMS[0]).rename(tmp_path / "old" / "FashionMNIST" / STEMS[0])
    assert list(find_files(tmp_path)) == STEMS[1:]


def test_what_is_missing_is_named_with_the_extra_that_brings_it():
    need_extra("course", "json", "pytest")
    with pytest.raises(MissingExtraError, match=r'^nothing_of_ours is .*mnist_course\[grading\]"$'):
        need_extra("grading", "json", "nothing_of_ours")


@pytest.mark.parametrize(
    ("place", "found"), [("1/2/3/4/5/6/7/8", 4), ("1/2/3/4/5/6/7/8/9", 0), (".trash", 0)]
)
def test_hidden_folders_and_very_deep_ones_are_not_searched(tmp_path, place, found):
    (tmp_path / place).mkdir(parents=True)
    for stem in STEMS:
        (tmp_path / place / stem).touch()
    assert len(find_files(tmp_path)) == found


def test_a_small_file_that_unpacks_to_a_huge_one_does_not_fill_the_memory():
    packed = gzip.compress(bytes(2**25), 1)
    tracemalloc.start()
    assert unpacked(packed, 4) == bytes(4)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_what_is_wrong_with_a_file_is_said_in_words(tmp_path):
    path = tmp_path / STEMS[0]
    unread = "is not the published MNIST file (it can't be read: No such file or directory)"
    assert whats_wrong(path, STEMS[0]) == unread
    path.write_bytes(b"<html>please log in</html>")
    assert whats_wrong(path, STEMS[0]) == "is a web page, and not the file"
    path.write_bytes(b"pixels")
    assert whats_wrong(path, STEMS[0]).startswith("doesn't begin like 60,000 images")
