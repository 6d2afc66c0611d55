"The data of lesson 01: IDX files, datasets, batches and splits."

import gzip

import numpy as np
import pytest
import torch
import torchvision
from helpers import idx_file
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from mnist_course.base import asset
from mnist_course.data import (
    MEAN,
    STD,
    BatchLoader,
    DataError,
    DigitDataset,
    averages,
    batch_sizes,
    make_loaders,
    nearest_average,
    normalize,
    read_idx,
    split,
)
from mnist_course.engine.data import written_by_students


def numbered(n: int) -> DigitDataset:
    "n images that can be told apart, and labels that go round."
    numbers = torch.arange(n)
    images = torch.stack([numbers % 256, numbers // 256], dim=1).to(torch.uint8)
    return DigitDataset(torch.nn.functional.pad(images, (0, 782)).reshape(n, 28, 28), numbers % 10)


# Reading IDX


@pytest.mark.parametrize("shape", [(3, 28, 28), (7,), (0, 28, 28), (2, 3, 4, 5), (1,) * 64])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["unpacked", "gz"])
def test_read_idx_gives_back_what_was_written(tmp_path, shape, pack):
    values = torch.randint(256, shape, dtype=torch.uint8)
    (tmp_path / "x").write_bytes(pack(idx_file(values)))
    assert (
        torch.equal(read_idx(tmp_path / "x"), values)
        and read_idx(str(tmp_path / "x")).dtype == torch.uint8
    )


GOOD = idx_file(torch.zeros(3, 28, 28, dtype=torch.uint8))
PACKED = gzip.compress(
    GOOD, mtime=0
)  # with the hour in it, every worker would have another name for its test


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "starts with nothing"),
        (b"<html>", "starts with 3c 68 74 6d"),
        (b"\0\0\x0d" + GOOD[3:], "not an IDX file of bytes"),
        (GOOD[:4], "cut off inside its header"),
        (GOOD[:9], "cut off inside its header"),
        (GOOD[:-1], "holds 2,367 bytes, its header promises 2,368"),
        (GOOD + b"\0", "holds more than the 2,368 bytes that its header promises"),
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


def test_normalized_digits_have_a_mean_of_zero_and_a_spread_of_one(sample):
    x = normalize(sample[0].images)
    assert x.mean().item() == pytest.approx(0, abs=0.01)
    assert x.std().item() == pytest.approx(1, abs=0.01)


def test_normalize_refuses_what_is_normalized():
    with pytest.raises(
        DataError, match=r"got torch\.float32 \(2, 28, 28\): are they normalized already"
    ):
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


def test_another_kind_of_thing_is_named():
    images = numbered(2).images
    with pytest.raises(TypeError, match="images must be a Tensor, got list"):
        normalize(images.tolist())
    with pytest.raises(TypeError, match=r"images must be one tensor, got a list of 2: torch.stack"):
        DigitDataset(list(images), torch.zeros(2))
    for other, named in ((None, "NoneType"), ([], "list"), (images.tolist(), "list")):
        with pytest.raises(TypeError, match=f"images must be a Tensor, got {named}"):
            DigitDataset(other, torch.zeros(2))
    with pytest.raises(TypeError, match="labels must be a Tensor, got str"):
        DigitDataset(images, "7")
    with pytest.raises(TypeError, match="labels must be whole numbers from 0 to 9, got a list of"):
        DigitDataset(images, ["zero", "one"])
    for other, named in ((list(images), "list"), (DigitDataset, "the class itself")):
        with pytest.raises(TypeError, match=f"dataset must be a DigitDataset, got {named}: "):
            next(iter(BatchLoader(other)))
    with pytest.raises(TypeError, match="fraction must be a number, got 'half'"):
        split(numbered(20), "half")


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


@pytest.mark.parametrize(("batch_size", "error"), [(0, ValueError), (2.5, TypeError)])
def test_a_batch_size_that_is_refused(batch_size, error):
    with pytest.raises(error, match=f"batch_size .* at least 1, got {batch_size}"):
        BatchLoader(numbered(5), batch_size=batch_size)


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
        250,
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


# What people hand in


def test_arrays_and_lists_are_taken():
    x, y = numbered(4).images, [0, 1, 2, 3]
    for images in (x.numpy(), x.numpy()[::-1][::-1], np.asfortranarray(x.numpy())):
        assert torch.equal(normalize(images), normalize(x))
    for labels in (
        y,
        tuple(y),
        np.array(y, np.uint8),
        np.array(y, np.int32),
        torch.tensor(y).byte(),
    ):
        made = DigitDataset(x, labels)
        assert made.labels.tolist() == y and made.labels.dtype == torch.int64
    frozen = x.numpy().copy()
    frozen.flags.writeable = False
    assert torch.equal(DigitDataset(frozen, y).images, x)
    nothing = DigitDataset(x[:0], [])
    assert len(nothing) == 0 and nothing.labels.dtype == torch.int64


def test_unasked_a_batch_is_of_64():
    assert [len(y) for _, y in BatchLoader(numbered(100))] == [64, 36]


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (torch.zeros(28, 28, dtype=torch.uint8), r"images\[None\] makes a batch"),
        (torch.zeros(784, dtype=torch.uint8), r"got torch\.uint8 \(784,\)$"),
        (torch.zeros(5, 784, dtype=torch.uint8), r"reshape\(-1, 28, 28\)"),
        (torch.zeros(5, 28, 28, 1, dtype=torch.uint8), r"images\[\.\.\., 0\]"),
        (torch.full((2, 28, 28), 200.0), r"images\.to\(torch\.uint8\)"),
        (torch.full((2, 28, 28), 200), r"images\.to\(torch\.uint8\)"),
        (torch.full((2, 28, 28), 2.0), r"images\.to\(torch\.uint8\)"),
        (torch.full((2, 28, 28), 256.0), "are they normalized already"),
        (torch.full((2, 28, 28), 200 + 0j), "are they normalized already"),
        (np.random.rand(2, 28, 28), "are they normalized already"),
    ],
)
def test_images_in_another_form_are_told_what_to_do(images, advice):
    for call in (normalize, lambda x: DigitDataset(x, [0] * len(x))):
        with pytest.raises(DataError, match=advice):
            call(images)


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (torch.eye(10)[:3], r"from one-hot rows or scores, \.argmax\(1\)"),
        (torch.zeros(3, 1, dtype=torch.int64), r"\.flatten\(\) makes one row"),
        (torch.tensor([1.0, 2.0, 3.0]), r"\.long\(\) makes them whole"),
        (torch.tensor([1.0, 2.5, 3.0]), r"got torch\.float32 \(3,\): \[1\.0, 2\.5, 3\.0\]$"),
        (torch.tensor([True, False, True]), r"got torch\.bool"),
        (torch.tensor([1, 10, 2]), "do they start at 1"),
        ([1, 2], r"3 images need 3 labels, got \(2,\)"),
        (np.array([1, 2, -3]), "from 0 to 9, got -3 to 2"),
    ],
)
def test_labels_of_other_kinds_are_told_what_to_do(labels, advice):
    with pytest.raises(DataError, match=advice):
        DigitDataset(numbered(3).images, labels)


@pytest.mark.parametrize("i", [slice(0, 2), [0, 1], torch.tensor([0, 1]), 1.0, "0", None])
def test_one_digit_at_a_time(i):
    with pytest.raises(TypeError, match=r"one digit at a time"):
        numbered(3)[i]
    assert numbered(3)[np.int64(1)][1] == numbered(3)[torch.tensor(1)][1] == 1


@pytest.mark.parametrize(
    "start", [b"PK\x03\x04" + b"\0" * 40, b"7z\xbc\xaf\x27", b"\n<!DOCTYPE html>"]
)
def test_what_a_file_is_instead_of_idx(tmp_path, start):
    (tmp_path / "some-file").write_bytes(start)
    with pytest.raises(DataError, match=r"zip|7z|web page"):
        read_idx(tmp_path / "some-file")


# The reader of lesson 01


def test_averages_are_means_digit_by_digit():
    labels = torch.tensor([3, *range(10), 3, 7])
    images = torch.rand(13, 4, 5)
    ten = averages(images, labels)
    torch.testing.assert_close(ten[3], (images[0] + images[4] + images[11]) / 3)
    assert ten.shape == (10, 4, 5) and torch.equal(ten[9], images[10])


def test_the_nearest_average_is_the_one_with_the_smallest_gap():
    images, ten = torch.rand(50, 3, 7), torch.rand(10, 3, 7)
    gaps = torch.stack([((images - one) ** 2).sum((1, 2)) for one in ten], dim=1)
    assert torch.equal(nearest_average(images, ten), gaps.argmin(1))
    assert torch.equal(nearest_average(ten, ten), torch.arange(10))


def test_it_reads_three_digits_in_four_and_sees_no_shape(sample):
    (train, test), order = sample, torch.randperm(784)

    def score(see) -> float:
        ten = averages(see(train.images / 255), train.labels)
        return (nearest_average(see(test.images / 255), ten) == test.labels).double().mean().item()

    plain = score(lambda images: images)
    assert plain == pytest.approx(0.7575, abs=0.001)
    scrambled = score(lambda images: images.flatten(1)[:, order].reshape(-1, 28, 28))
    assert scrambled == pytest.approx(plain, abs=0.0011)  # two near ties may be rounded otherwise


@given(n=st.integers(0, 400), size=st.integers(1, 90), drop_last=st.booleans())
def test_batch_sizes_are_those_of_a_data_loader(n, size, drop_last):
    loader = DataLoader(range(n), size, drop_last=drop_last)
    assert batch_sizes(n, size, drop_last) == [len(batch) for batch in loader]
    assert batch_sizes(n, size) == [len(batch) for batch in DataLoader(range(n), size)]


def test_who_wrote_the_sample(sample):
    "Students' digits are harder to read; by those averages, by more than ten points."
    train, students = sample[0], written_by_students()
    assert students.dtype == torch.bool and students.shape == (10_000,) and students.sum() == 4_999
    said = nearest_average(train.images / 255, averages(train.images / 255, train.labels))
    right = (said == train.labels).double()
    assert right[~students].mean() - right[students].mean() > 0.1
    assert "QMNIST" in asset("sample", "LICENSE.txt").read_text()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: x.to_sparse(), r"a sparse one: .+\.to_dense\(\)"),
        (lambda x: x.to("meta"), "there are shapes and no numbers"),
        (lambda x: torch.nested.nested_tensor([x, x]), r"a nested tensor: .+padded"),
    ],
    ids=["sparse", "meta", "nested"],
)
def test_a_tensor_without_plain_numbers_is_named(make, words):
    digits = numbered(4)
    with pytest.raises(TypeError, match=f"images must be a plain tensor, .*{words}"):
        DigitDataset(make(digits.images), digits.labels)
    with pytest.raises(TypeError, match=f"labels must be a plain tensor, .*{words}"):
        DigitDataset(digits.images, make(digits.labels))


@pytest.mark.parametrize(
    "wrong", [None, [1, 2], "digits", (numbered(2), numbered(2)), DigitDataset]
)
def test_only_a_dataset_is_split(wrong):
    with pytest.raises(TypeError, match="dataset must be a DigitDataset, got"):
        split(wrong, 0.5)


@pytest.mark.parametrize(
    ("fraction", "error", "words"),
    [
        (torch.tensor([0.1, 0.2]), TypeError, "fraction must be one number"),
        (np.array([0.1, 0.2]), TypeError, "fraction must be one number"),
        (torch.tensor(0.1, device="meta"), TypeError, "fraction must be one number"),
        (10**400, ValueError, "fraction must be a number, and this one is too large"),
    ],
    ids=["tensor", "array", "meta", "huge"],
)
def test_a_fraction_is_one_number(fraction, error, words):
    with pytest.raises(error, match=words):
        split(numbered(20), fraction)


def test_a_seed_is_no_generator_and_a_word_no_transform():
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator, got 3: torch.Gen"):
        make_loaders(numbered(4), numbered(4), generator=3)
    with pytest.raises(TypeError, match="transform must be a function of a batch, got 'flip'"):
        BatchLoader(numbered(4), transform="flip")
