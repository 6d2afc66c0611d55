"Files, batches and splits; and downloads, from a real HTTP server on this machine that misbehaves in many ways."

import errno
import gzip
import multiprocessing
import os
import struct
import threading
import time
from collections import Counter
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from mnist_course import data
from mnist_course.data import (
    MEAN,
    PARTS,
    STD,
    STEMS,
    BatchLoader,
    DataError,
    DigitDataset,
    load_mnist,
    make_loaders,
    normalize,
    read_idx,
    split,
)

NAMES = [f"{stem}.gz" for stem in STEMS]
DATASETS = ("MNIST", "FashionMNIST", "KMNIST")


def idx(values: torch.Tensor) -> bytes:
    "A tensor of bytes as an IDX file."
    return (
        b"\0\0\x08"
        + struct.pack(f">B{values.ndim}I", values.ndim, *values.shape)
        + values.numpy().tobytes()
    )


def numbered(n: int) -> DigitDataset:
    "n images that can be told apart, and labels that go round."
    numbers = torch.arange(n)
    images = torch.stack([numbers % 256, numbers // 256], dim=1).to(torch.uint8)
    return DigitDataset(torch.nn.functional.pad(images, (0, 782)).reshape(n, 28, 28), numbers % 10)


@pytest.fixture
def files(monkeypatch) -> dict[str, dict[str, bytes]]:
    "Three small datasets as gz files, which `data` takes for the published ones."
    made = {}
    for seed, dataset in enumerate(DATASETS):
        random = torch.Generator().manual_seed(seed)
        contents = []
        for n in (60, 10):
            contents.append(torch.randint(256, (n, 28, 28), generator=random, dtype=torch.uint8))
            contents.append(torch.arange(n, dtype=torch.uint8) % 10)
        made[dataset] = {
            name: gzip.compress(idx(values), mtime=0)
            for name, values in zip(NAMES, contents, strict=True)
        }
    monkeypatch.setattr(data, "SIZES", {"train": 60, "test": 10})
    monkeypatch.setattr(
        data,
        "MD5",
        {
            dataset: tuple(md5(raw).hexdigest() for raw in made[dataset].values())
            for dataset in made
        },
    )
    return made


class Server(ThreadingHTTPServer):
    "Serves dictionaries of files under /MIRROR/DATASET/, keeps a list of what was asked for, and fails as told."

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: dict[str, dict[str, bytes]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.got, self.fault = files, [], {}  # fault: mirror -> what goes wrong there

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
        self.answer(body=True)

    def answer(self, body: bool):
        _, mirror, dataset, name = self.path.split("/")
        fault, content = self.server.fault.get(mirror), self.server.files[dataset][name]
        if fault == "silent" or (fault == "stalls" and body):
            time.sleep(60)
        if fault == "404":
            return self.send_error(404)
        content = b"<html>please log in</html>" if fault == "wrong" else content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)


@pytest.fixture
def server(files, monkeypatch):
    with Server(files) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setattr(data, "MIRRORS", server.mirrors("first", "second"))
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    "An empty cache folder, nothing asked for in the environment, and no memory of failures."
    monkeypatch.delenv("MNIST_COURSE_DATA", raising=False)
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(data, "FAILED", {})
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


# Reading IDX


@pytest.mark.parametrize("shape", [(3, 28, 28), (7,), (0, 28, 28), (2, 3, 4, 5)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["unpacked", "gz"])
def test_read_idx_gives_back_what_was_written(tmp_path, shape, pack):
    values = torch.randint(256, shape, dtype=torch.uint8)
    (tmp_path / "x").write_bytes(pack(idx(values)))
    assert (
        torch.equal(read_idx(tmp_path / "x"), values)
        and read_idx(str(tmp_path / "x")).dtype == torch.uint8
    )


GOOD = idx(torch.zeros(3, 28, 28, dtype=torch.uint8))
PACKED = gzip.compress(
    GOOD, mtime=0
)  # with the hour in it, every worker would have another name for its test


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "starts with nothing"),
        (b"<html>", "starts with 3c 68 74 6d"),
        (b"\0\0\x0d" + GOOD[3:], "not an IDX file of bytes"),
        (GOOD[:9], "cut off inside its header"),
        (GOOD[:-1], "holds 2,367 bytes, its header promises 2,368"),
        (GOOD + b"\0", "holds 2,369 bytes"),
        (PACKED[:-9], "is damaged"),
        (PACKED[:20] + b"\xff" + PACKED[21:], "is damaged"),
        (b"\x1f\x8bnonsense", "is damaged"),
    ],
)
def test_read_idx_names_the_damaged_file(tmp_path, raw, message):
    (tmp_path / "some-file").write_bytes(raw)
    with pytest.raises(DataError, match="some-file") as caught:
        read_idx(tmp_path / "some-file")
    assert message in str(caught.value)


def test_read_idx_of_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


# Datasets and batches


def test_normalize_is_torchvisions_arithmetic():
    images = torch.arange(256, dtype=torch.uint8).repeat(784).reshape(-1, 28, 28)
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.ToTensor(), torchvision.transforms.Normalize((MEAN,), (STD,))]
    )
    before = images.clone()
    assert torch.equal(
        normalize(images), torch.stack([transform(image.numpy()[:, :, None]) for image in images])
    )
    assert torch.equal(images, before)


def test_normalize_refuses_what_is_normalized():
    with pytest.raises(DataError, match=r"got torch\.float32: are they normalized already"):
        normalize(normalize(numbered(2).images)[:, 0])


def test_items_of_the_dataset(sample):
    train, test = sample
    assert (len(train), len(test)) == (10_000, 2_000)
    assert train.images.dtype == torch.uint8 and train.images.shape == (10_000, 28, 28)
    assert train.labels.dtype == torch.int64 and train.labels.shape == (10_000,)
    x, y = train[-1]
    assert x.shape == (1, 28, 28) and x.dtype == torch.float32 and type(y) is int
    assert torch.equal(x[0], normalize(train.images)[-1, 0]) and y == train.labels[-1]
    with pytest.raises(IndexError):
        train[10_000]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            torch.zeros(2, 28, 28),
            torch.zeros(2),
            r"images must be uint8 \(N, 28, 28\), got torch.float32 \(2, 28, 28\)",
        ),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2), "images must be uint8"),
        (
            torch.zeros(2, 28, 28, dtype=torch.uint8),
            torch.zeros(3, dtype=torch.int64),
            r"2 images need 2 labels, got \(3,\)",
        ),
        (
            torch.zeros(2, 28, 28, dtype=torch.uint8),
            torch.tensor([0, 10]),
            "whole numbers from 0 to 9",
        ),
        (
            torch.zeros(2, 28, 28, dtype=torch.uint8),
            torch.tensor([0, -1]),
            "whole numbers from 0 to 9",
        ),
        (
            torch.zeros(2, 28, 28, dtype=torch.uint8),
            torch.tensor([0, 0.5]),
            "whole numbers from 0 to 9",
        ),
    ],
)
def test_dataset_refuses(images, labels, message):
    with pytest.raises(DataError, match=message):
        DigitDataset(images, labels)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 300), batch_size=st.integers(1, 320), shuffle=st.booleans())
def test_every_item_once_an_epoch(n, batch_size, shuffle):
    dataset = numbered(n)
    loader = BatchLoader(dataset, batch_size, shuffle)
    batches = list(loader)
    assert len(batches) == len(loader) == -(-n // batch_size)
    assert all(len(x) == len(y) == batch_size for x, y in batches[:-1])
    rows = {tuple(row): i for i, row in enumerate(normalize(dataset.images)[:, 0, 0, :2].tolist())}
    seen = [
        (rows[tuple(row)], label.item())
        for x, y in batches
        for row, label in zip(x[:, 0, 0, :2].tolist(), y, strict=True)
    ]
    assert sorted(seen) == [(i, i % 10) for i in range(n)]
    assert shuffle or seen == sorted(seen)


def test_order_comes_from_the_generator():
    def orders(seed):
        loader = BatchLoader(
            numbered(500), 500, shuffle=True, generator=torch.Generator().manual_seed(seed)
        )
        return [next(iter(loader))[0][:, 0, 0, 0].tolist() for epoch in range(2)]

    assert orders(0) == orders(0) != orders(1)
    assert orders(0)[0] != orders(0)[1]


def test_transform_changes_x_only():
    plain, changed = (
        next(iter(BatchLoader(numbered(5), transform=transform)))
        for transform in (None, lambda x: x + 1)
    )
    assert torch.equal(changed[0], plain[0] + 1) and torch.equal(changed[1], plain[1])


def test_batch_size_zero():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        BatchLoader(numbered(5), batch_size=0)


def test_dataloader_gives_the_same_batches(sample):
    dataset = DigitDataset(sample[0].images[:200], sample[0].labels[:200])
    for (x1, y1), (x2, y2) in zip(DataLoader(dataset, 64), BatchLoader(dataset, 64), strict=True):
        assert torch.equal(x1, x2) and torch.equal(y1, y2)
    assert sum(len(y) for _, y in DataLoader(dataset, 64, num_workers=1)) == 200


def test_make_loaders():
    train, test = make_loaders(
        numbered(130), numbered(30), 64, generator=torch.Generator().manual_seed(0)
    )
    assert (len(train), train.shuffle, len(test), test.shuffle, test.batch_size) == (
        3,
        True,
        1,
        False,
        1000,
    )


@settings(max_examples=30, deadline=None)
@given(n=st.integers(20, 400), fraction=st.floats(0.05, 0.95), seed=st.integers(0, 2**32 - 1))
def test_split_is_stratified_and_loses_nothing(n, fraction, seed):
    dataset = numbered(n)
    first, second = split(dataset, fraction, seed)
    numbers = [
        (part.images[:, 0, 0].int() + 256 * part.images[:, 0, 1].int()).tolist()
        for part in (first, second)
    ]
    assert sorted(numbers[0] + numbers[1]) == list(range(n))
    whole, part = (
        torch.bincount(labels, minlength=10) for labels in (dataset.labels, second.labels)
    )
    assert (part - fraction * whole).abs().max() <= 0.5 + 1e-4
    assert split(dataset, fraction, seed)[1].images.equal(second.images)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 5])
def test_split_refuses(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split(numbered(20), fraction)


# Folders


def test_sums_and_mirrors_are_torchvisions():
    for dataset in DATASETS:
        theirs = getattr(torchvision.datasets, dataset)
        assert list(zip(NAMES, data.MD5[dataset], strict=True)) == theirs.resources
        assert list(data.MIRRORS[dataset]) == theirs.mirrors


@pytest.mark.parametrize("up", [0, 1, 2], ids=["raw", "MNIST", "root"])
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
def test_folders_in_any_layout(folder, files, monkeypatch, up, packed):
    if not packed:
        unpack(folder)
    root = [folder, *folder.parents][up]
    train, test = load_mnist(root)
    assert (len(train), len(test)) == (60, 10) and train.source.startswith("full MNIST from ")
    for part, dataset in (("train", train), ("test", test)):
        images, labels = (gzip.decompress(files["MNIST"][f"{stem}.gz"]) for stem in PARTS[part])
        assert (
            dataset.images.numpy().tobytes() == images[16:]
            and bytes(dataset.labels.tolist()) == labels[8:]
        )
    monkeypatch.setenv("MNIST_COURSE_DATA", str(root))
    assert load_mnist()[0].images.equal(train.images) and data.describe_source() == train.source


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
    for act in (load_mnist, data.describe_source):
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
    with pytest.raises(
        DataError,
        match="is not the published MNIST file" if packed else "another file under this name",
    ) as caught:
        load_mnist(folder)
    assert str(a) in str(caught.value)


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


def test_where_to_look_first(folder, cache, monkeypatch, sample):
    monkeypatch.setenv("MNIST_COURSE_DATA", "sample")
    assert (
        load_mnist()[0].source == "MNIST sample"
        and data.describe_source() == "the sample, as MNIST_COURSE_DATA asks"
    )
    assert len(load_mnist(folder)[0]) == 60  # root comes before the variable
    monkeypatch.setenv("MNIST_COURSE_DATA", str(folder))
    assert load_mnist(source="sample")[0].labels.equal(sample[0].labels)
    monkeypatch.delenv("MNIST_COURSE_DATA")
    assert data.describe_source() == "a download at the first use, or else the sample"
    folder.parents[1].rename(cache)
    assert data.describe_source() == load_mnist()[0].source
    assert not (cache / "MNIST" / "raw" / ".lock").exists()  # a full cache is only read


def test_arguments_that_do_not_exist():
    with pytest.raises(ValueError, match="one of MNIST, FashionMNIST, KMNIST, got 'mnist'"):
        load_mnist(dataset="mnist")
    with pytest.raises(ValueError, match="got 'internet'"):
        load_mnist(source="internet")
    with pytest.raises(DataError, match="the sample holds MNIST only"):
        load_mnist(dataset="KMNIST", source="sample")


def test_the_sample_is_balanced_as_the_full_set(sample):
    full = torch.tensor([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert (torch.bincount(sample[0].labels) - full / 6).abs().max() < 1


# Downloads


@pytest.mark.parametrize("dataset", DATASETS)
def test_download_then_cache(server, cache, dataset, capsys):
    train, _ = load_mnist(dataset=dataset)
    assert len(train) == 60 and train.source.startswith(f"full {dataset} from ")
    assert server.names() == Counter(NAMES) and {path.split("/")[2] for path in server.got} == {
        dataset
    }
    assert left(cache) == set(NAMES) and "sample" not in capsys.readouterr().out
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
    [("404", "404"), ("wrong", "its MD5 sum differs"), ("cut", "IncompleteRead|broken")],
)
def test_when_all_mirrors_fail(server, cache, capsys, fault, reason):
    server.fault |= {"first": fault, "second": fault}
    with pytest.raises(DataError, match=reason) as caught:
        load_mnist(source="download")
    assert all(word in str(caught.value) for word in (NAMES[0], "/first/", "/second/"))
    assert load_mnist()[0].source == "MNIST sample"
    notice = capsys.readouterr().out
    assert (
        notice.count("\n") == 1
        and notice.startswith("Using the sample")
        and 'source="download"' in notice
    )
    assert left(cache) == set()
    asked = len(server.got)
    assert (
        load_mnist()[0].source == "MNIST sample" and len(server.got) == asked
    )  # one try for each process
    with pytest.raises(DataError, match=reason):
        load_mnist(dataset="KMNIST")
    server.fault.clear()
    assert len(load_mnist(source="download")[0]) == 60  # and a call that asks for it tries again
    assert len(load_mnist()[0]) == 60


@pytest.mark.parametrize("fault", ["silent", "stalls"])
def test_a_mirror_that_hangs(server, cache, capsys, monkeypatch, fault):
    download = data.download
    monkeypatch.setattr(
        data, "download", lambda dataset, timeout: download(dataset=dataset, timeout=timeout / 10)
    )
    server.fault |= {"first": fault, "second": fault}
    start = time.perf_counter()
    assert load_mnist()[0].source == "MNIST sample"
    assert (
        time.perf_counter() - start < 1.5 + 1.5
    )  # a tenth of the 15 s that a learner may wait, and the loading
    assert capsys.readouterr().out.startswith("Using the sample") and left(cache) == set()


def test_a_name_that_cannot_be_looked_up_in_time(monkeypatch):
    given_up = threading.Event()

    def look_up(*args, **kwargs):
        given_up.wait(30)
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    start = time.perf_counter()
    assert data.reachable(["http://a.invalid/x", "http://b.invalid/x"], 0.3) == []
    assert time.perf_counter() - start < 3
    given_up.set()


def test_a_dead_first_mirror_costs_no_time(server, cache):
    server.fault["first"] = "silent"
    start = time.perf_counter()
    assert len(load_mnist()[0]) == 60
    assert time.perf_counter() - start < 4 and all(
        path.startswith("/second/") for path in server.got
    )


def full_disk(self, url, output_file, pooch, check_only=False):
    if check_only:
        return True
    Path(output_file).write_bytes(b"half a file")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(server, cache, capsys, monkeypatch):
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", full_disk)
    with pytest.raises(
        DataError, match=r"No space left.*free some space, or give a folder of your own"
    ):
        load_mnist(source="download")
    assert load_mnist()[0].source == "MNIST sample" and left(cache) == set()
    assert "No space left" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written(server, cache, capsys):
    cache.write_text("a file where the folder should be, which stops even an administrator")
    with pytest.raises(DataError, match="cannot be used"):
        load_mnist(source="download")
    assert load_mnist()[0].source == "MNIST sample" and "cannot be used" in capsys.readouterr().out


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


# What each process runs: as text, so that none of them has to import this file.
TOGETHER = "from mnist_course import data; data.MD5, data.MIRRORS = sums, mirrors; barrier.wait(60); data.download(root)"


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(),
    reason="needs a fast start of processes",
)
def test_eight_processes_at_once(server, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mnist_course.data", "pooch", "requests", "filelock"])
    barrier = context.Barrier(8)
    names = {"barrier": barrier, "root": tmp_path, "sums": data.MD5, "mirrors": data.MIRRORS}
    processes = [context.Process(target=exec, args=(TOGETHER, names)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    assert server.names() == Counter(NAMES)
    assert left(tmp_path) == set(NAMES) and len(load_mnist(tmp_path)[0]) == 60
