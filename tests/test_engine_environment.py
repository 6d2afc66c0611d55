"The doctor on a healthy machine and on broken ones; seeds, the choice of a device, and the ballot."

import builtins
import random
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import machine

from mnist_course.base import short
from mnist_course.engine import environment
from mnist_course.engine.environment import (
    Finding,
    Report,
    available_devices,
    ballot,
    check_disk,
    check_package,
    check_python,
    default_device,
    doctor,
    examine,
    minimum,
    seed_everything,
)


def line(report: Report, what: str) -> Finding:
    (finding,) = [finding for finding in report if finding.what == what]
    return finding


def test_a_healthy_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_COURSE_DATA", "sample")
    report = doctor(tmp_path)
    assert [f.what for f in report] == [
        "Python", "torch", "torchvision", "matplotlib", "jupyterlab", "device", "course files", "data", "disk", "write access",
    ]  # fmt: skip
    assert all(f.ok for f in report if f.what not in ("jupyterlab", "disk"))
    assert "sample" in line(report, "data").found


def test_doctor_names_bad_data(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_COURSE_DATA", str(tmp_path / "nowhere"))
    finding = line(doctor(tmp_path), "data")
    assert (
        not finding.ok and "no complete MNIST in" in finding.found and "nowhere" in finding.advice
    )
    assert finding.advice == f"fix or unset MNIST_COURSE_DATA, which is '{tmp_path / 'nowhere'}'"


def test_doctor_names_damaged_data(monkeypatch, tmp_path):
    for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{stem}-ubyte").write_bytes(b"not IDX")
    monkeypatch.setenv("MNIST_COURSE_DATA", str(tmp_path))
    finding = line(doctor(tmp_path), "data")
    assert not finding.ok and "MNIST_COURSE_DATA" in finding.advice


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch.so: not found"),
        OSError(2, "No such library"),
        RuntimeError("\n\ncrash\nmore"),
    ],
)
def test_doctor_survives_a_broken_torch(monkeypatch, tmp_path, error):
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "torch":
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    report = doctor(tmp_path)
    monkeypatch.undo()
    finding = line(report, "device")
    assert (
        not finding.ok
        and "torch" in finding.advice
        and finding.found in ("libtorch.so: not found", "No such library", "crash")
    )


def test_doctor_survives_a_device_that_does_not_compute(monkeypatch, tmp_path):
    machine(monkeypatch, cuda=1)  # there is none, so using it fails
    monkeypatch.setattr(
        torch.cuda, "_lazy_init", lambda: (_ for _ in ()).throw(RuntimeError("driver too old"))
    )
    finding = line(doctor(tmp_path), "device")
    assert not finding.ok


def test_doctor_survives_missing_packages(monkeypatch, tmp_path):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "version", nothing)
    report = doctor(tmp_path)
    assert line(report, "torchvision") == Finding(
        "torchvision", False, "not installed", "pip install torchvision"
    )


def test_doctor_survives_damaged_metadata(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "version", lambda name: None)
    finding = line(doctor(tmp_path), "matplotlib")
    assert not finding.ok and finding.advice == "pip install --force-reinstall matplotlib"


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_doctor_survives_a_bad_folder(tmp_path, kind):
    folder = tmp_path / "x"
    if kind == "a file":
        folder.write_text("")
    finding = line(doctor(folder), "write access")
    assert not finding.ok and finding.advice == "work in a folder of your own that exists"


def test_doctor_survives_an_unwritable_folder(monkeypatch, tmp_path):
    def refuse(**kwargs):
        raise PermissionError(13, "Permission denied", str(kwargs["dir"]))

    monkeypatch.setattr(environment.tempfile, "TemporaryFile", refuse)
    assert line(doctor(tmp_path), "write access").found == "Permission denied"


def test_doctor_survives_a_working_folder_that_was_deleted(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert not line(doctor(), "write access").ok


def test_doctor_misses_files_of_the_course(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "asset", lambda *parts: tmp_path.joinpath(*parts))
    finding = line(doctor(tmp_path), "course files")
    assert (
        not finding.ok
        and "net.safetensors" in finding.found
        and "t10k-labels-idx1-ubyte.gz" in finding.found
    )


@pytest.mark.parametrize(
    ("installed", "ok"),
    [("2.5.1", False), ("2.6", True), ("2.15.0+cu132", True), ("3.0a1", True), ("1.13", False)],
)
def test_a_package_that_is_too_old(monkeypatch, installed, ok):
    monkeypatch.setattr(environment, "version", lambda name: installed)
    monkeypatch.setattr(
        environment, "requires", lambda name: ["torchvision>=0.21", "torch>=2.6", "numpy"]
    )
    finding = check_package("torch")
    assert (
        finding.ok == ok
        and finding.found == installed
        and finding.advice == 'pip install "torch>=2.6"'
    )


def test_minimum_without_installation(monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "requires", nothing)
    assert minimum("torch") == "0"
    monkeypatch.setattr(environment, "requires", lambda name: None)  # it says nothing of others
    assert minimum("torch") == "0"


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 10, 2))
    assert not check_python().ok


def test_a_full_disk(tmp_path):
    finding = check_disk(tmp_path, need=1e9)
    assert not finding.ok and "free at least" in finding.advice


@pytest.mark.parametrize(("free", "ok"), [(1.24e9, True), (0.5e9, True), (0.4e9, False)])
def test_half_a_gigabyte_is_enough(monkeypatch, tmp_path, free, ok):
    disk = SimpleNamespace(total=1e12, used=1e12 - free, free=free)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda folder: disk)
    finding = check_disk(tmp_path)
    assert (finding.ok, finding.found) == (ok, f"{free / 1e9:.1f} GB free")
    assert finding.advice == "free at least 0.5 GB"


def test_examine_turns_an_error_into_a_finding():
    def check(x):
        return Finding("sum", True, str(x + 1))

    assert examine("sum", check, 1).found == "2"
    assert examine("sum", check, "1", advice="give a number") == Finding(
        "sum",
        False,
        short(TypeError('can only concatenate str (not "int") to str')),
        "give a number",
    )


def test_the_report_prints_in_the_terminal_and_in_a_notebook():
    report = Report(
        [Finding("a", True, "fine", "not shown"), Finding("bb", False, "x | y", "mend it")]
    )
    assert not report.ok and Report(report[:1]).ok and Report().ok
    assert str(report).splitlines() == [
        "     what  found  what to do",
        "ok   a     fine",
        "FIX  bb    x | y  mend it",
    ]
    assert report._repr_markdown_().splitlines()[2:] == [
        "| ok | a | fine |  |",
        "| FIX | bb | x \\| y | mend it |",
    ]
    assert str(Report()).split() == ["what", "found", "what", "to", "do"]


def test_available_devices_with_the_best_first(monkeypatch):
    machine(monkeypatch, cuda=2, mps=True)
    assert list(available_devices().items()) == [("cuda", 2), ("mps", 1), ("cpu", 1)]
    machine(monkeypatch)
    assert available_devices() == {"cpu": 1}


# --- seeds


def draw():
    return random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), 2**32 - 1])
def test_same_seed_same_numbers(seed):
    seed_everything(seed)
    first = draw()
    assert draw() != first
    seed_everything(seed)
    assert draw() == first


def test_other_seed_other_numbers():
    drawn = []
    for seed in (0, 1):
        seed_everything(seed)
        drawn.append(draw())
    assert all(a != b for a, b in zip(*drawn, strict=True))


def test_seed_reaches_cuda_and_mps(monkeypatch):
    seen = {}
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: seen.update(cuda=seed))
    monkeypatch.setattr("torch.mps.manual_seed", lambda seed: seen.update(mps=seed))
    seed_everything(11)
    assert seen == {"cuda": 11, "mps": 11}
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, 0.5, "0", None, np.float32(1)])
def test_bad_seeds_are_refused_before_anything_is_seeded(seed):
    state = torch.get_rng_state(), random.getstate()
    error = ValueError if isinstance(seed, int) else TypeError
    with pytest.raises(error, match="seed must"):
        seed_everything(seed)
    assert torch.equal(torch.get_rng_state(), state[0]) and random.getstate() == state[1]


# --- devices


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda"), (1, True, "cuda")],
)
def test_the_best_device(monkeypatch, cuda, mps, best):
    machine(monkeypatch, cuda, mps)
    assert default_device() == torch.device(best)


@pytest.mark.parametrize(
    "name", ["cpu", torch.device("cpu"), "cuda", "cuda:1", torch.device("cuda:0")]
)
def test_a_device_that_is_here(monkeypatch, name):
    machine(monkeypatch, cuda=2)
    assert default_device(name) == torch.device(name)


@pytest.mark.parametrize(
    "name", ["mps", "cuda:2", "abacus", "", "cuda:x", "CUDA", "meta", torch.device("cuda:5")]
)
def test_a_device_that_is_not_here(monkeypatch, name):
    machine(monkeypatch, cuda=2)
    with pytest.raises(ValueError, match="not available here; choose from: cuda, cpu"):
        default_device(name)


@pytest.mark.parametrize("name", [1.5, ["cpu"]])
def test_what_names_no_device(name):
    with pytest.raises(TypeError, match='name must be a device, such as "cuda:1", got'):
        default_device(name)


# --- the ballot


@pytest.mark.parametrize(
    ("votes", "read"),
    [
        ("71.0", [7, 1, -1, 0]),
        (" 7 1, .;0", [7, 1, -1, 0]),
        ("????", [-1] * 4),
        (4027, [4, 0, 2, 7]),
    ],
)
def test_votes_as_people_type_them(votes, read):
    counted = ballot(votes, 4)
    assert counted.tolist() == read and counted.dtype == torch.int64


def test_a_leading_zero_is_a_vote():
    assert ballot("01", 2).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        ("123", "4 votes are needed, a digit or a dot for each, got 3"),
        ("", "got 0"),
        ("7l10", "votes are digits, with a dot for none, got '7l10'"),
        (["7", "1"], "votes are digits"),
    ],
)
def test_votes_that_cannot_be_counted(votes, said):
    with pytest.raises(ValueError, match=said):
        ballot(votes, 4)
