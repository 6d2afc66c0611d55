"""How the files that ship with the package are made, and what those files are."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mnist_course.making.recorded as record
from mnist_course.base import asset
from mnist_course.data import DigitDataset, normalize, read_idx
from mnist_course.making.recorded import random_affine, record_sample, stratified, write_idx
from mnist_course.training import History

FULL = torch.tensor(
    [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
)  # MNIST's 60,000 training labels


@given(st.lists(st.integers(0, 9), min_size=1, max_size=200), st.floats(0, 1))
def test_stratified_keeps_the_shares(labels, share):
    labels = torch.tensor(labels)
    n = round(share * len(labels))
    index = stratified(labels, n)
    assert (
        len(index) == n
        and len(set(index.tolist())) == n
        and index.tolist() == sorted(index.tolist())
    )
    wanted = labels.bincount(minlength=10) * n / len(labels)
    assert ((labels[index].bincount(minlength=10) - wanted).abs() < 1).all()


def test_the_sample_has_the_full_sets_shares(sample):
    assert ((sample[0].labels.bincount() - FULL / 6).abs() < 1).all()
    assert (len(sample[0]), len(sample[1])) == (10_000, 2_000)
    assert sum(path.stat().st_size for path in asset("sample").iterdir()) < 2_500_000
    assert "Attribution-ShareAlike 3.0" in asset("sample", "LICENSE.txt").read_text()


def test_write_idx_is_read_back_and_has_no_date(tmp_path):
    values = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4)
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, values)
    assert torch.equal(read_idx(tmp_path / "a.gz"), values)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_record_sample_writes_what_load_sample_reads(tmp_path, monkeypatch, sample):
    monkeypatch.setattr(record, "load_mnist", lambda data: sample)
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path.joinpath(*parts))
    record_sample()
    written = read_idx(tmp_path / "sample" / "t10k-labels-idx1-ubyte.gz")
    assert torch.equal(written.long(), sample[1].labels)


def test_random_affine_moves_digits_a_little(small):
    x = torch.stack([small[0][i][0] for i in range(64)])
    torch.manual_seed(0)
    moved = random_affine(x)
    assert moved.shape == x.shape and not torch.equal(moved, x)
    assert moved.min() >= x.min() - 1e-4 and moved.max() <= x.max() + 1e-4
    ink, before = (moved - x.min()).sum((1, 2, 3)), (x - x.min()).sum((1, 2, 3))
    assert (
        (ink / before - 1).abs() < 0.35
    ).all()  # a change of size by at most a tenth changes the area by at most 21 %, and edges blur
    assert torch.allclose(random_affine(x, degrees=0, scale=0, shift=0), x, atol=1e-4)


def test_a_pure_shift_shifts():
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 14, 14] = 1
    places = set()
    for seed in range(20):
        torch.manual_seed(seed)
        moved = random_affine(x, degrees=0, scale=0, shift=3)
        places.add(divmod(int(moved.argmax()), 28))
        assert moved.sum() == pytest.approx(1, abs=1e-4)
    assert len(places) > 5 and all(
        abs(row - 14) <= 3 and abs(column - 14) <= 3 for row, column in places
    )


def test_shipped_weights_say_how_they_were_made():
    history = History.load(asset("weights", "net.json"))
    assert history.test_acc[-1] >= 0.995
    assert {"recipe", "seed", "epochs", "batch_size", "precision", "torch", "threads"} <= set(
        history.settings
    )
    total = sum(
        path.stat().st_size for folder in ("weights", "runs") for path in asset(folder).iterdir()
    )
    assert total < 4_000_000


def test_record_run_writes_settings_and_goes_on(tmp_path, monkeypatch, small):
    tiny = tuple(DigitDataset(part.images[:64], part.labels[:64]) for part in small)
    monkeypatch.setattr(record, "load_mnist", lambda data: tiny)
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.chdir(tmp_path)
    record.record_run(7, epochs=1)
    record.record_run(7, epochs=1)  # finished already: read back from its checkpoint
    saved = json.loads((tmp_path / "runs" / "seed-7-float32.json").read_text())
    assert (
        saved["settings"]["seed"] == 7
        and saved["settings"]["data"] == "MNIST, 64 + 64"
        and len(saved["test_acc"]) == 1
    )


def test_record_familiar_writes_what_load_reference_reads(tmp_path, monkeypatch, sample):
    from safetensors.torch import load_file

    from mnist_course.engine.predict import ReferenceStatistics, look

    small = DigitDataset(sample[0].images[:1500], sample[0].labels[:1500], "small sample")
    monkeypatch.setattr(record, "load_mnist", lambda source: (small, small))
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path / parts[-1])
    record.record_familiar()
    reference = ReferenceStatistics(**load_file(tmp_path / "reference.safetensors"))
    net = record.load_pretrained()
    assert (
        reference.belong_to(net) and (tmp_path / "reference.safetensors").stat().st_size < 100_000
    )
    strange = reference.ood_score(look(net, normalize(sample[1].images[:500])))
    assert (
        (strange < 1).double().mean()
        > 0.95
        > (reference.ood_score(look(net, torch.randn(100, 1, 28, 28))) < 1).double().mean()
    )
