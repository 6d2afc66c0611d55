"The files of the datasets: found, checked, and downloaded from a real HTTP server on this machine that misbehaves in many ways."

import bz2
import errno
import gzip
import io
import multiprocessing
import os
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import torch
import torchvision
from helpers import PATIENCE, idx_file

from mnist_course.base import (
    _UNPACKED_MD5,
    FILES,
    MD5,
    SIZES,
    STEMS,
    CourseWarning,
    describe_files,
    describe_source,
    find_files,
)
from mnist_course.data import DataError, download, load_mnist
from mnist_course.engine import data

NAMES = [f"{stem}.gz" for stem in STEMS]
DATASETS = ("MNIST", "FashionMNIST", "KMNIST")

# a notice that no test asks for is a fault
pytestmark = pytest.mark.filterwarnings("error::mnist_course.base.CourseWarning")


@pytest.fixture
def files(monkeypatch) -> dict[str, dict[str, bytes]]:
    "Three small datasets as gz files, which the course takes for the published ones."
    made = {}
    for seed, dataset in enumerate(DATASETS):
        random = torch.Generator().manual_seed(seed)
        contents = []
        for n in (60, 10):
            contents.append(torch.randint(256, (n, 28, 28), generator=random, dtype=torch.uint8))
            contents.append((torch.arange(n, dtype=torch.uint8) + seed) % 10)
        made[dataset] = {
            name: gzip.compress(idx_file(values), mtime=0)
            for name, values in zip(NAMES, contents, strict=True)
        }
    for part, size in (("train", 60), ("test", 10)):
        monkeypatch.setitem(SIZES, part, size)
    for dataset, contents in made.items():
        sums = tuple(md5(raw).hexdigest() for raw in contents.values())
        monkeypatch.setitem(MD5, dataset, sums)
    inside = (gzip.decompress(raw) for raw in made["MNIST"].values())
    monkeypatch.setitem(_UNPACKED_MD5, "MNIST", tuple(md5(raw).hexdigest() for raw in inside))
    return made


class Server(ThreadingHTTPServer):
    "Serves dictionaries of files under /MIRROR/DATASET/, keeps a list of what was asked for, and fails as told."

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: dict[str, dict[str, bytes]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.got: list[str] = []  # the paths that were asked for
        self.encodings: set[str] = set()  # in which they were asked for
        self.fault: dict[str, str] = {}  # mirror -> what goes wrong there
        self.over = threading.Event()  # ends the waiting of those that got no answer
        self.kept_waiting = 0  # how many were left without an answer
        self.gave_up_waiting = 0  # and how many of them waited until they got one

    def names(self) -> Counter:
        "How often each file was downloaded, from whichever mirror answered first."
        return Counter(path.rsplit("/", 1)[1] for path in self.got)

    def mirrors(self, *names: str) -> dict[str, tuple[str, ...]]:
        return {
            dataset: tuple(
                f"http://127.0.0.1:{self.server_port}/{name}/{dataset}/" for name in names
            )
            for dataset in DATASETS
        }


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.server.got.append(self.path)
        self.server.encodings.add(self.headers["Accept-Encoding"])
        self.answer(body=True)

    def answer(self, body: bool):
        _, mirror, dataset, name = self.path.split("/")
        fault, content = self.server.fault.get(mirror), self.server.files[dataset][name]
        if fault == "silent" or (fault == "stalls" and body):
            self.server.kept_waiting += 1
            self.server.over.wait(PATIENCE)
            self.server.gave_up_waiting += not self.server.over.is_set()
        if fault == "404":
            return self.send_error(404)
        content = b"<html>please log in</html>" if fault == "wrong" else content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)


DOWNLOAD = data.download


def waits(seconds: float):
    "The download, waiting so long for an answer."
    return lambda root=None, dataset="MNIST", timeout=0: DOWNLOAD(root, dataset, seconds)


@pytest.fixture
def server(files, monkeypatch):
    with Server(files) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for dataset, addresses in server.mirrors("first", "second").items():
            monkeypatch.setitem(data.MIRRORS, dataset, addresses)
        # A mirror that answers is heard, however busy this machine is.
        monkeypatch.setattr(data, "download", waits(PATIENCE))
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    "An empty cache folder, nothing asked for in the environment, and no memory of failures."
    monkeypatch.delenv("MNIST_COURSE_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr(data, "_failed", {})
    return tmp_path / "cache"


@pytest.fixture
def folder(files, tmp_path) -> Path:
    "A folder in torchvision's layout with the small MNIST."
    raw = tmp_path / "given" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in files["MNIST"].items():
        (raw / name).write_bytes(content)
    return raw


def unpack(raw: Path) -> None:
    for path in raw.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


def left(cache: Path) -> set[str]:
    "Names of all files in the cache, less the lock."
    return {path.name for path in cache.rglob("*") if path.is_file()} - {".lock"}


# Folders


def test_sums_and_mirrors_are_torchvisions():
    for dataset in DATASETS:
        theirs = getattr(torchvision.datasets, dataset)
        assert list(zip(NAMES, MD5[dataset], strict=True)) == theirs.resources
        assert sorted(data.MIRRORS[dataset]) == sorted(
            theirs.mirrors
        )  # older ones: in another order


@pytest.mark.parametrize("up", [0, 1, 2], ids=["raw", "MNIST", "root"])
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
def test_folders_in_any_layout(folder, files, monkeypatch, up, packed):
    if not packed:
        unpack(folder)
    root = [folder, *folder.parents][up]
    train, test = load_mnist(root)
    assert (len(train), len(test)) == (60, 10) and train.source.startswith("full MNIST from ")
    for part, dataset in (("train", train), ("test", test)):
        images, labels = (gzip.decompress(files["MNIST"][f"{stem}.gz"]) for stem in FILES[part])
        assert (
            dataset.images.numpy().tobytes() == images[16:]
            and bytes(dataset.labels.tolist()) == labels[8:]
        )
    monkeypatch.setenv("MNIST_COURSE_DATA", str(root))
    assert load_mnist()[0].images.equal(train.images) and describe_source() == train.source


def test_torchvision_reads_the_same(folder):
    unpack(folder)
    theirs = torchvision.datasets.MNIST(folder.parents[1], train=False)
    ours = load_mnist(folder.parents[1])[1]
    assert torch.equal(theirs.data, ours.images) and torch.equal(theirs.targets, ours.labels)


@pytest.mark.parametrize("what", ["no such folder", "an empty folder"])
def test_folder_without_files(tmp_path, monkeypatch, what):
    root = tmp_path / what
    if what == "an empty folder":
        root.mkdir()
    with pytest.raises(DataError) as caught:
        load_mnist(root)
    assert all(
        word in str(caught.value) for word in (str(root), *STEMS, "MNIST/raw", 'source="download"')
    )
    monkeypatch.setenv("MNIST_COURSE_DATA", str(root))
    for act in (load_mnist, describe_source):
        with pytest.raises(DataError, match="no complete MNIST"):
            act()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "corrupted", "empty"])
def test_a_bad_gz_file_is_named(folder, name, damage):
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(
        {"truncated": raw[:-10], "corrupted": raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:]}.get(
            damage, b""
        )
    )
    if damage == "missing":
        (folder / name).unlink()
    with pytest.raises(DataError) as caught:
        load_mnist(folder)
    said = str(caught.value)
    assert (name.removesuffix(".gz") if damage == "missing" else str(folder / name)) in said
    assert ("not found" if damage == "missing" else "delete it and load the data again") in said
    assert sum(stem in said for stem in STEMS) == 1


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 3), (2, 3)])
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
def test_swapped_files_are_named(folder, one, other, packed):
    if not packed:
        unpack(folder)
    suffix = ".gz" if packed else ""
    a, b = (folder / f"{STEMS[i]}{suffix}" for i in (one, other))
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    with pytest.raises(DataError, match=f"holds MNIST's {STEMS[other]}") as caught:
        load_mnist(folder)
    assert str(a) in str(caught.value)


@pytest.mark.parametrize("name", STEMS)
@pytest.mark.parametrize("damage", ["empty", "cut in its header", "cut", "too long"])
def test_a_bad_unpacked_file_is_named(folder, monkeypatch, name, damage):
    unpack(folder)
    raw = (folder / name).read_bytes()
    damaged = {"empty": b"", "cut in its header": raw[:6], "cut": raw[:-1], "too long": raw + b"0"}
    (folder / name).write_bytes(damaged[damage])
    with pytest.raises(DataError, match="delete it and load the data again") as caught:
        load_mnist(folder)
    assert str(folder / name) in str(caught.value)
    monkeypatch.setenv("MNIST_COURSE_DATA", str(folder))
    with pytest.raises(DataError) as again:  # the doctor sees it, too
        describe_source()
    assert str(again.value) == str(caught.value)


def test_a_gz_file_under_the_name_of_the_unpacked_one(folder):
    "Some browsers take the suffix off and leave the packing on."
    path = folder / NAMES[0]
    path = path.rename(folder / STEMS[0])
    assert len(load_mnist(folder)[0]) == 60
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match=f"{STEMS[0]} is not the published MNIST file"):
        load_mnist(folder)


def test_a_label_above_nine_is_named(folder):
    unpack(folder)
    path = folder / STEMS[1]
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match="holds the label 10, expected 0 to 9") as caught:
        load_mnist(folder)
    assert str(path) in str(caught.value)


def test_another_datasets_folder_is_not_this_one(folder):
    unpack(folder)  # unpacked files have no MD5 sum to tell them apart
    for root in (folder, folder.parent, folder.parents[1]):
        with pytest.raises(DataError, match="no complete KMNIST"):
            load_mnist(root, dataset="KMNIST")


def test_a_folder_without_files_is_not_described(tmp_path):
    (tmp_path / "notes.txt").write_text("no digits")
    with pytest.raises(DataError, match="none of KMNIST's files were found"):
        describe_files(find_files(tmp_path), "KMNIST")


def test_a_file_without_a_sum_of_its_own_belongs_to_the_dataset_of_its_folder(tmp_path, files):
    "Fashion-MNIST's sums are known for its packed files only, and all datasets have one form."
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in files["FashionMNIST"].items():
        (raw / name).write_bytes(content)
    unpack(raw)
    assert len(load_mnist(tmp_path, dataset="FashionMNIST")[0]) == 60
    with pytest.raises(DataError, match="is in a folder of FashionMNIST"):
        load_mnist(tmp_path, dataset="KMNIST")


def test_where_to_look_first(folder, cache, monkeypatch, sample):
    monkeypatch.setenv("MNIST_COURSE_DATA", "sample")
    assert (
        load_mnist()[0].source == "MNIST sample"
        and describe_source() == "the sample, as MNIST_COURSE_DATA asks"
    )
    assert len(load_mnist(folder)[0]) == 60  # root comes before the variable
    monkeypatch.setenv("MNIST_COURSE_DATA", str(folder))
    assert load_mnist(source="sample")[0].labels.equal(sample[0].labels)
    monkeypatch.delenv("MNIST_COURSE_DATA")
    assert describe_source() == "a download at the first use, or else the sample"
    folder.parents[1].rename(cache)
    assert describe_source() == load_mnist()[0].source
    assert not (cache / "MNIST" / "raw" / ".lock").exists()  # a full cache is only read


def test_arguments_that_do_not_exist():
    with pytest.raises(ValueError, match="one of MNIST, FashionMNIST, KMNIST, got 'mnist'"):
        load_mnist(dataset="mnist")
    with pytest.raises(ValueError, match="got 'internet'"):
        load_mnist(source="internet")
    with pytest.raises(DataError, match="the sample holds MNIST only"):
        load_mnist(dataset="KMNIST", source="sample")
    with pytest.raises(TypeError, match="root must be the path of a folder, got 5"):
        load_mnist(5)
    for wrong in ("mnist", ["MNIST"], None):
        with pytest.raises(ValueError, match="one of MNIST, FashionMNIST, KMNIST, got"):
            download(dataset=wrong)
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout must be a number of seconds above 0"):
            download(timeout=timeout)
    for source in ("auto", "download"):
        with pytest.raises(DataError, match="root is empty: name a file or a folder"):
            load_mnist("", source=source)
    with pytest.raises(DataError, match="root can't hold a null character, got"):
        load_mnist("a\0b")
    with pytest.raises(DataError, match="which isn't there"):
        load_mnist("a" * 5000)


def test_the_sample_is_balanced_as_the_full_set(sample):
    full = torch.tensor([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert (torch.bincount(sample[0].labels) - full / 6).abs().max() < 1


# Downloads


@pytest.mark.parametrize("dataset", DATASETS)
def test_download_then_cache(server, cache, dataset):
    train, _ = load_mnist(dataset=dataset)
    assert len(train) == 60 and train.source.startswith(f"full {dataset} from ")
    assert server.names() == Counter(NAMES) and {path.split("/")[2] for path in server.got} == {
        dataset
    }
    assert left(cache) == set(NAMES)
    assert server.encodings == {"identity"}  # a server that packs them once more changes their sums
    assert load_mnist(dataset=dataset)[0].images.equal(train.images)
    assert load_mnist(dataset=dataset, source="download")[0].images.equal(train.images)
    assert len(server.got) == 4


def test_download_into_a_folder(server, cache, tmp_path):
    assert len(load_mnist(tmp_path / "mine", source="download")[1]) == 10
    assert left(tmp_path / "mine" / "MNIST" / "raw") == set(NAMES) and not cache.exists()
    assert (
        os.name == "nt" or (tmp_path / "mine" / "MNIST" / "raw" / NAMES[0]).stat().st_mode & 0o044
    )  # others may read it


def test_a_file_that_is_there_is_not_fetched_again(server, folder):
    (folder / NAMES[1]).unlink()
    (folder / STEMS[2]).write_bytes(gzip.decompress((folder / NAMES[2]).read_bytes()))
    (folder / NAMES[2]).unlink()
    assert len(load_mnist(folder.parents[1], source="download")[0]) == 60
    assert server.names() == Counter([NAMES[1]])


@pytest.mark.parametrize("fault", ["404", "wrong", "cut"])
def test_the_second_mirror_stands_in(server, cache, fault):
    server.fault["first"] = fault
    assert len(load_mnist()[0]) == 60
    assert {f"/second/MNIST/{name}" for name in NAMES} <= set(server.got) and left(cache) == set(
        NAMES
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("404", "404"),
        ("wrong", r"sent a web page, .* \(its MD5 sum differs"),
        ("cut", "IncompleteRead|broken"),
    ],
)
def test_when_all_mirrors_fail(server, cache, fault, reason):
    server.fault |= {"first": fault, "second": fault}
    with pytest.raises(DataError, match=reason) as caught:
        load_mnist(source="download")
    assert all(word in str(caught.value) for word in (NAMES[0], "/first/", "/second/"))
    with pytest.warns(CourseWarning) as notices:
        assert load_mnist()[0].source == "MNIST sample"
    # older versions of PyTorch warn on their own
    (notice,) = (one for one in notices if one.category is CourseWarning)
    text = str(notice.message)
    assert text.startswith("Using the sample") and 'source="download"' in text and "\n" not in text
    assert notice.filename == __file__  # it points at the caller's line, not at one of ours
    assert left(cache) == set()
    asked = len(server.got)
    # one try and one notice for each process
    assert load_mnist()[0].source == "MNIST sample" and len(server.got) == asked
    with pytest.raises(DataError, match=reason):
        load_mnist(dataset="KMNIST")
    server.fault.clear()
    assert len(load_mnist(source="download")[0]) == 60  # and a call that asks for it tries again
    assert len(load_mnist()[0]) == 60


def test_a_failed_download_of_another_dataset_is_not_tried_again(server, cache):
    server.fault |= {"first": "404", "second": "404"}
    for _ in range(2):
        with pytest.raises(DataError, match="404"):
            load_mnist(dataset="KMNIST")
    assert len(server.got) == 2  # one file, from each mirror once
    with pytest.warns(CourseWarning, match="Using the sample"):
        load_mnist()


@pytest.mark.parametrize("fault", ["silent", "stalls"])
def test_a_mirror_that_hangs(server, cache, monkeypatch, fault):
    monkeypatch.setattr(data, "download", waits(0.3))
    server.fault |= {"first": fault, "second": fault}
    with pytest.warns(CourseWarning, match="Using the sample"):
        assert load_mnist()[0].source == "MNIST sample"
    assert server.kept_waiting >= 2 and not server.gave_up_waiting
    assert left(cache) == set()


def test_a_name_that_cannot_be_looked_up_in_time(server, tmp_path, monkeypatch):
    over = threading.Event()
    looked_up = []

    def look_up(*args, **kwargs):
        over.wait(PATIENCE)
        looked_up.append(args)
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setitem(data.MIRRORS, "MNIST", ("http://a.invalid/", "http://b.invalid/"))
    with pytest.raises(DataError, match="no mirror answered"):
        waits(0.3)(tmp_path)
    assert not looked_up
    over.set()


@pytest.mark.slow
def test_a_lookup_that_hangs_does_not_keep_python_from_ending(tmp_path):
    code = """
import pathlib, socket, sys, threading
from mnist_course.engine import data
def look_up(*args, **kwargs):
    threading.Event().wait()  # for ever
socket.getaddrinfo = look_up
try:
    data.download(sys.argv[1], timeout=0.3)
except data.DataError:
    print("given up")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.stdout == "given up\n" and done.returncode == 0


def test_a_dead_first_mirror_costs_no_time(server, cache):
    server.fault["first"] = "silent"
    assert len(load_mnist()[0]) == 60
    assert server.kept_waiting and not server.gave_up_waiting
    assert all(path.startswith("/second/") for path in server.got)


def full_disk(self, url, output_file, pooch, check_only=False):
    if check_only:
        return True
    Path(output_file).write_bytes(b"half a file")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(server, cache, monkeypatch):
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", full_disk)
    with pytest.raises(
        DataError, match=r"No space left.*free some space, or give a folder of your own"
    ):
        load_mnist(source="download")
    with pytest.warns(CourseWarning, match="No space left"):
        assert load_mnist()[0].source == "MNIST sample"
    assert left(cache) == set()


def test_a_cache_that_cannot_be_written(server, cache):
    cache.write_text("a file where the folder should be, which stops even an administrator")
    with pytest.raises(DataError, match="cannot be used"):
        load_mnist(source="download")
    with pytest.warns(CourseWarning, match="cannot be used"):
        assert load_mnist()[0].source == "MNIST sample"


def test_damage_in_the_cache_is_not_papered_over(server, cache):
    load_mnist()
    path = cache / "MNIST" / "raw" / NAMES[0]
    path.write_bytes(path.read_bytes()[:-5])
    asked = len(server.got)
    for missing in (None, NAMES[3]):
        if missing:
            (path.parent / missing).unlink()
        with pytest.raises(DataError, match=f"{NAMES[0]} is not the published MNIST file"):
            load_mnist()
    assert len(server.got) == asked
    assert len(load_mnist(source="download")[0]) == 60  # which replaces what is damaged or missing
    assert len(load_mnist()[0]) == 60 and len(server.got) == asked + 2


def test_an_interrupted_download_is_finished_by_the_next(server, cache, monkeypatch):
    def interrupt(self, url, output_file, pooch, check_only=False):
        if not check_only and "labels" in url:
            Path(output_file).write_bytes(b"half a file")
            raise KeyboardInterrupt
        return original(self, url, output_file, pooch, check_only=check_only)

    from pooch import HTTPDownloader

    original = HTTPDownloader.__call__
    with monkeypatch.context() as patch:
        patch.setattr(HTTPDownloader, "__call__", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_mnist()
    assert left(cache) == {NAMES[0]}
    (cache / "MNIST" / "raw" / f".{NAMES[1]}.part").write_bytes(
        b"what a process that was killed leaves behind"
    )
    assert len(load_mnist()[0]) == 60
    assert left(cache) == set(NAMES) and server.names() == Counter(NAMES)


def test_files_that_another_process_brings_after_the_first_look_are_not_asked_for(
    server, cache, monkeypatch
):
    looked = data.verified_files

    def too_early(root, dataset):
        monkeypatch.setattr(data, "verified_files", looked)
        data.download(root, dataset)
        raise DataError("nothing here")

    monkeypatch.setattr(data, "verified_files", too_early)
    assert data.download(cache) == cache
    assert left(cache) == set(NAMES) and server.names() == Counter(NAMES)


# What each process runs: as text, so that none of them has to import this file.
TOGETHER = """
from mnist_course import base
from mnist_course.engine import data
base.MD5.update(sums)
data.MIRRORS.update(mirrors)
barrier.wait()
data.download(root, timeout=patience)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(),
    reason="needs a fast start of processes",
)
def test_eight_processes_at_once(server, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mnist_course.engine.data", "pooch", "requests", "filelock"])
    barrier = context.Barrier(8)
    names = {
        "barrier": barrier,
        "root": tmp_path,
        "sums": MD5,
        "mirrors": data.MIRRORS,
        "patience": PATIENCE,
    }
    processes = [context.Process(target=exec, args=(TOGETHER, names)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert server.names() == Counter(NAMES)
    assert left(tmp_path) == set(NAMES) and len(load_mnist(tmp_path)[0]) == 60


# Names and packings in the wild


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(name: str, *contents: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for i, content in enumerate(contents):
            archive.writestr(f"{name}{i or ''}", content)
    return stream.getvalue()


WILD = {
    "underscores": lambda stem, raw: {f"{stem.replace('-', '_')}.GZ": gzip.compress(raw, 1)},
    "a download twice": lambda stem, raw: {f"{stem} (1).gz": raw},
    "a folder for each": lambda stem, raw: {f"archive/{stem}/{stem}": raw},
    "short names": lambda stem, raw: {f"a/b/{stem.split('-idx')[0]}": raw},
    "capitals": lambda stem, raw: {stem.upper(): raw},
    "bzip2": lambda stem, raw: {f"{stem}.bz2": bz2.compress(raw)},
    "a zip for each": lambda stem, raw: {f"{stem}.zip": zipped(stem, raw)},
    "packed twice": lambda stem, raw: {f"{stem}.gz": gzip.compress(gzip.compress(raw, 2))},
    "with macOS's shadows": lambda stem, raw: {stem: raw, f"._{stem}": b"\0\5\x16\7"},
}


@pytest.mark.parametrize("name", WILD)
def test_good_files_are_read_whatever_their_names_and_packing(tmp_path, files, name):
    for stem in STEMS:
        put(tmp_path, WILD[name](stem, gzip.decompress(files["MNIST"][f"{stem}.gz"])))
    train, test = load_mnist(tmp_path)
    assert (len(train), len(test)) == (60, 10)
    inside = gzip.decompress(files["MNIST"][NAMES[0]])[16:]
    assert train.images.numpy().tobytes() == inside


def test_a_complete_set_wins_over_what_lies_before_it(folder, files):
    for stem in STEMS:
        put(folder.parents[1] / "backup", {stem: gzip.decompress(files["MNIST"][f"{stem}.gz"])})
    for name in NAMES[:3]:
        (folder / name).write_bytes(b"cut")
    (folder / NAMES[3]).unlink()
    assert len(load_mnist(folder.parents[1])[0]) == 60


def test_files_that_are_not_read_are_named_with_the_reason(tmp_path, files):
    raw = {stem: gzip.decompress(files["MNIST"][f"{stem}.gz"]) for stem in STEMS}
    put(tmp_path, {"mnist.zip": zipped("x", b"1", b"2"), "mnist.npz": b"PK", "a.txt": b"hello"})
    put(tmp_path, {STEMS[0]: raw[STEMS[0]], STEMS[1]: raw[STEMS[3]], "y/train.csv": b"label"})
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path)
    said = str(caught.value)
    assert f"no complete MNIST in {tmp_path}: {', '.join(STEMS[1:])}" in said
    for part in (
        "mnist.zip is an archive: unpack it there",
        "mnist.npz holds NumPy arrays",
        f"{STEMS[1]} holds MNIST's {STEMS[3]}",
        "train.csv isn't in IDX",
        "1 other file",
    ):
        assert part in said
    with pytest.raises(DataError, match="is a file, a zip archive"):
        load_mnist(tmp_path / "mnist.zip")


def test_one_digit_changed_is_not_the_published_file(folder):
    unpack(folder)
    path = folder / STEMS[0]
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"{STEMS[0]} is not the published MNIST file"):
        load_mnist(folder)


def test_home_and_variables_in_the_name_of_a_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parents[2]))
    monkeypatch.setenv("USERPROFILE", str(folder.parents[2]))
    monkeypatch.setenv("GIVEN", "given")
    for root in ("~/given", "~/$GIVEN/MNIST", Path("~") / "given"):
        assert len(load_mnist(root)[1]) == 10
    monkeypatch.setenv("MNIST_COURSE_DATA", "~/$GIVEN")
    assert len(load_mnist()[1]) == 10


# Why a download failed


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), "REQUESTS_CA_BUNDLE"),
        (
            requests.exceptions.InvalidSchema("Missing dependencies for SOCKS"),
            "pip install pysocks",
        ),
        (requests.exceptions.ProxyError("Unable to connect to proxy"), "the proxy in HTTP_PROXY"),
        (ValueError("Failed to parse: http://me:secret@p:x"), "the proxy in HTTP_PROXY"),
        (ValueError("Invalid URL 'http://me:secret@': No host"), "the proxy in HTTP_PROXY"),
        (OSError("Could not find a suitable TLS CA certificate bundle: /x"), "names a file"),
        (requests.exceptions.ConnectionError("[Errno 111] Connection refused"), "was refused"),
        (requests.exceptions.ConnectionError("it depends: connection refused"), "was refused"),
    ],
)
def test_a_download_names_its_own_cause(cache, monkeypatch, error, words):
    def fails(self, url, output_file, pooch, check_only=False):
        raise error

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fails)
    with pytest.raises(DataError) as caught:
        load_mnist(source="download")
    said = str(caught.value)
    assert words in said and "online" not in said and "secret" not in said


@pytest.mark.parametrize(
    "text",
    [
        "Failed to resolve 'a.b' (Name or service not known)",
        "[Errno 101] unreachable",
        "HTTPConnectionPool: Read timed out.",
    ],
)
def test_offline_is_said_when_it_is(cache, monkeypatch, text):
    def fails(self, url, output_file, pooch, check_only=False):
        raise requests.exceptions.ConnectionError(text)

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fails)
    with pytest.raises(DataError, match="no mirror answered; is this computer online"):
        load_mnist(source="download")
