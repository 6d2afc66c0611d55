"""How the files that ship with the package are made, and what those files are."""

import itertools
import json
import shutil
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mnist_course.making.recorded as record
from mnist_course.base import asset
from mnist_course.data import BatchLoader, DigitDataset, normalize, read_idx
from mnist_course.engine.export import fingerprint, rebuilt
from mnist_course.engine.foreign import foreign_digits, non_digits
from mnist_course.engine.zoo import Plan, SmallNet, random_subset
from mnist_course.export import pack, unpack
from mnist_course.making.recorded import (
    _browser_answers,
    _measure_pictures,
    _stratified,
    _write_card,
    _write_idx,
    record_sample,
)
from mnist_course.model import Net, load_pretrained
from mnist_course.predict import look
from mnist_course.training import History, load_weights
from mnist_course.training import test as evaluate

FULL = torch.tensor(
    [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
)  # MNIST's 60,000 training labels


@given(st.lists(st.integers(0, 9), min_size=1, max_size=200), st.floats(0, 1))
def test_stratified_keeps_the_shares(labels, share):
    labels = torch.tensor(labels)
    n = round(share * len(labels))
    index = _stratified(labels, n)
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
        _write_idx(tmp_path / name, values)
    assert torch.equal(read_idx(tmp_path / "a.gz"), values)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.slow
def test_record_sample_writes_what_load_sample_reads(tmp_path, monkeypatch, sample):
    monkeypatch.setattr(record, "load_mnist", lambda data: sample)
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path.joinpath(*parts))
    record_sample()
    written = read_idx(tmp_path / "sample" / "t10k-labels-idx1-ubyte.gz")
    assert torch.equal(written.long(), sample[1].labels)
    images = read_idx(tmp_path / "sample" / "train-images-idx3-ubyte.gz")
    assert torch.equal(images, sample[0].images)


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


@pytest.mark.slow
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


def test_runs_are_recorded_one_by_one(tmp_path, monkeypatch, sample, capsys):
    quick = Plan(partial(SmallNet, ((4,), (8,))), epochs=1, lr=0.1)
    digits = random_subset(sample[0], 512)
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path.joinpath(parts[-1]))
    monkeypatch.setattr(record, "load_mnist", lambda data: (digits, random_subset(digits, 50)))
    monkeypatch.setattr(record, "VARIANTS", {"baseline": quick, "other": quick})
    monkeypatch.setattr(record, "NETWORKS", {"linear": quick})
    record.record_ablations(3, digits=64, held_out=40)
    runs = json.loads((tmp_path / "ablations.json").read_text())["runs"]
    assert [(r["name"], r["seed"], r["trained_on"], r["tested_on"]) for r in runs] == [
        ("baseline", 3, 64, 40),
        ("other", 3, 64, 40),
    ]
    assert {"accuracy", "loss", "parameters", "seconds", "core_seconds", "made_with"} <= set(
        runs[0]
    ) and "torch" in runs[0]["made_with"]
    capsys.readouterr()
    record.record_ablations(3, digits=64, held_out=40)
    assert (
        capsys.readouterr().out.count(
            "recorded already; to do it again, take that run out of ablations.json"
        )
        == 2
    )
    capsys.readouterr()
    three = ("baseline", "small affine changes", "global average pooling")
    monkeypatch.setattr(record, "VARIANTS", dict.fromkeys(three, quick))
    monkeypatch.setattr(record, "_RATES", (0.1, 1e30))  # no loss survives the second
    record.record_rates(3, digits=64, held_out=40)
    rates = {r["name"]: r for r in json.loads((tmp_path / "rates.json").read_text())["runs"]}
    assert set(rates) == {f"{name} at {rate}" for name in three for rate in (0.1, 1e30)}
    assert rates["baseline at 0.1"]["accuracy"] == runs[0]["accuracy"]
    record.record_networks("linear", 1, validate=True)
    assert not (tmp_path / "networks.json").exists()
    record.record_networks("linear", 1)
    assert json.loads((tmp_path / "networks.json").read_text())["runs"][0]["tested_on"] == 50
    before = (tmp_path / "networks.json").read_bytes()
    capsys.readouterr()
    record.record_networks("linear", 1)
    assert (tmp_path / "networks.json").read_bytes() == before
    assert capsys.readouterr().out.startswith("linear, seed 1: recorded already")
    with pytest.raises(ValueError, match="the network must be one of linear, got 'nothing'"):
        record.record_networks("nothing", 0)


# ---- the card


@pytest.fixture(scope="module")
def net() -> Net:
    return load_pretrained()


def test_pictures_from_elsewhere(net):
    kinds = ("pen", "printed")
    found = _measure_pictures(net, foreign_digits(40, seed=3, kinds=kinds))
    assert found.keys() == set(kinds) and all(
        row["pictures"] == 20 and row["right"] >= 17 for row in found.values()
    )
    others = _measure_pictures(net, non_digits(25, seed=3))
    assert all(
        row["right"] == 0 and 0 <= row["taken_for_a_digit"] <= row["pictures"] == 5
        for row in others.values()
    )


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads(asset("weights", "measured.json").read_text("utf-8"))


def test_the_card_belongs_to_the_weights(net, facts):
    assert facts["weights"]["fingerprint"] == fingerprint(net.state_dict()), (
        "the weights are new: python -m mnist_course.making record card"
    )
    assert (
        facts["trained"] == json.loads(asset("weights", "net.json").read_text("utf-8"))["settings"]
    ), "python -m mnist_course.making record card"


def test_the_card_is_made_from_the_measurements(facts):
    text = asset("weights", "README.md").read_text("utf-8")
    assert text == _write_card(facts), "python -m mnist_course.making record card"
    assert facts["weights"]["fingerprint"] in text and facts["trained"]["recipe"] in text


def test_the_measurements_are_of_the_full_test_set(facts):
    assert facts["test"]["total"] == 10_000 and facts["test"]["accuracy"] >= 0.996
    assert (
        facts["test"]["accuracy"]
        == json.loads(asset("weights", "net.json").read_text("utf-8"))["test_acc"][-1]
    )
    rows = {row["stored"]: row for row in facts["formats"]}
    assert (
        rows.keys() == {"float32", "float16", "int8", "onnx"}
        and rows["int8"]["bytes"] < 0.26 * rows["float32"]["bytes"]
    )
    assert all(abs(row["right"] - facts["test"]["right"]) <= 5 for row in rows.values())
    assert facts["browser"]["digits"] == facts["browser"]["same_answer"] == 10_000


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_browsers_network_gives_torchs_answers(net, sample):
    images = sample[1].images[:20]
    theirs, times = _browser_answers(net, images)
    ours = look(net, normalize(images))["output"].exp()
    torch.testing.assert_close(theirs, ours, rtol=0, atol=2e-3)
    half = look(rebuilt(net, unpack(pack(net, "float16"))), normalize(images))["output"].exp()
    torch.testing.assert_close(theirs, half, rtol=0, atol=1e-5)
    assert len(times) == 20


@pytest.mark.slow
def test_record_card(tmp_path, monkeypatch, sample, facts):
    few = DigitDataset(sample[1].images[:40], sample[1].labels[:40])
    for name in ("net.json", "net.safetensors"):
        shutil.copy(asset("weights", name), tmp_path / name)
    monkeypatch.setattr(record, "load_mnist", lambda data: (few, few))
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path / parts[-1])
    monkeypatch.setattr(record, "_measure_formats", lambda model, test_set: facts["formats"])
    monkeypatch.setattr(record, "_measure_browser", lambda model, test_set: facts["browser"])
    record.record_card(n=10)
    found = json.loads((tmp_path / "measured.json").read_text("utf-8"))
    assert found["test"]["total"] == 40 and found["weights"] == facts["weights"]
    assert record._write_card(found) == (tmp_path / "README.md").read_text("utf-8")
    record.record_card(times=True)
    again = json.loads((tmp_path / "measured.json").read_text("utf-8"))
    assert again["test"] == found["test"] and again["latency"] != found["latency"]
    (tmp_path / "measured.json").write_text(
        json.dumps({**found, "weights": {"fingerprint": "another"}})
    )
    with pytest.raises(ValueError, match="about other weights: make the whole card"):
        record.record_card(times=True)


@pytest.mark.slow
def test_the_growing_network_is_what_the_command_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path / parts[-1])
    record.record_growing(moments=(0, 2, 5))  # the first steps of the same run
    made, shipped = (
        json.loads(path.read_text())
        for path in (tmp_path / "growing.json", asset("runs", "growing.json"))
    )
    assert shipped["seed"] == 0 and shipped["steps"][:2] == [0, 5] and len(shipped["steps"]) == 12
    assert made["right"][0] == pytest.approx(shipped["right"][0], abs=0.003)
    for mine, theirs in ((0, 0), (2, 1)):
        ours, recorded = (torch.tensor(run["kernels"]) for run in (made, shipped))
        assert recorded.shape == (12, 32, 9)
        torch.testing.assert_close(ours[mine], recorded[theirs], atol=2e-3, rtol=0)
    points = torch.tensor(shipped["points"])
    assert torch.tensor(made["points"]).mean(1).abs().max() < 0.1
    assert points.shape == (12, 200, 2) and torch.tensor(made["points"]).shape == (3, 200, 2)
    assert points.mean(1).abs().max() < 0.1  # around their middle
    spread = points[-1].std(0)
    assert spread[0] > spread[1] > 1 and shipped["right"][-1] > 0.97
    assert asset("runs", "growing.json").stat().st_size < 70_000


# ---- the weights, and the steps on the way to them


@pytest.fixture
def workshop(tmp_path, monkeypatch, small):
    "A folder in place of the package's, and 130 digits in place of MNIST: three batches an epoch."
    digits = tuple(DigitDataset(one.images[:130], one.labels[:130]) for one in (small[0], small[0]))
    monkeypatch.setattr(record, "load_mnist", lambda data=None: digits)
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(record, "_STOPS", (0, 1, 2, 3, 4))
    (tmp_path / "weights" / "stops").mkdir(parents=True)
    (tmp_path / "weights" / "measured.json").write_text('{"test": {"accuracy": 0.99}}')
    return tmp_path / "weights"


def test_the_weights_are_those_of_the_training_that_is_written_beside_them(workshop):
    record.record_weights(seed=5, epochs=2)
    history = History.load(workshop / "net.json")
    assert (history.settings["seed"], history.settings["epochs"], len(history)) == (5, 2, 2)
    assert history.settings["recipe"] == "one-cycle with random_affine"
    digits = record.load_mnist()[1]
    model = load_weights(workshop / "net.safetensors", Net())
    assert evaluate(model, BatchLoader(digits, 1000))[0] == pytest.approx(history.test_loss[-1])
    first = (workshop / "net.safetensors").read_bytes()
    record.record_weights(seed=5, epochs=2)
    assert (workshop / "net.safetensors").read_bytes() == first
    record.record_weights(seed=2, epochs=5)
    assert (workshop / "net.safetensors").read_bytes() != first


def test_stops_are_moments_of_the_training_that_made_the_weights(workshop):
    record.record_weights(seed=5, epochs=2)
    record.record_stops(seed=5, epochs=2, precision="float32")
    about = json.loads((workshop / "stops" / "stops.json").read_text("utf-8"))
    assert [stop["steps"] for stop in about["stops"]] == [0, 1, 2, 3, 4, 6]
    assert [stop["short"] for stop in about["stops"]] == ["0", "1", "2", "1 epoch", "4", "2 epochs"]
    assert about["stops"][-1]["accuracy"] == 0.99 and about["stops"][-1]["file"] is None
    digits = BatchLoader(record.load_mnist()[1], 1000)
    networks = []
    for stop in about["stops"][:-1]:
        packed = (workshop / "stops" / stop["file"]).read_bytes()
        assert len(packed) == stop["bytes"]
        networks.append(record._unpacked(packed))
        assert evaluate(networks[-1], digits)[1] == stop["accuracy"]
        assert abs(stop["accuracy_float32"] - stop["accuracy"]) < 0.05
    weights = [one.conv1.weight for one in networks]
    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(weights))
    recorded = json.loads((workshop / "net.json").read_text("utf-8"))["test_loss"][0]
    assert evaluate(networks[3], digits)[0] == pytest.approx(recorded, rel=0.05)


@pytest.mark.parametrize("off", [0.01, -0.01])
def test_stops_of_another_training_are_refused(workshop, off):
    record.record_weights(seed=5, epochs=2)
    made = json.loads((workshop / "net.json").read_text("utf-8"))
    made["test_loss"][0] += off
    (workshop / "net.json").write_text(json.dumps(made))
    with pytest.raises(ValueError, match="this machine rounds otherwise"):
        record.record_stops(seed=5, epochs=2, precision="float32")
    assert not [*(workshop / "stops").glob("stops.json")]


def test_digits_are_shifted_to_the_right_and_paper_comes_in(tmp_path, monkeypatch, sample, net):
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path / parts[-1])
    few = DigitDataset(sample[1].images[:150], sample[1].labels[:150])
    monkeypatch.setattr(record, "load_mnist", lambda data=None, source=None: (sample[0], few))
    monkeypatch.setattr(record, "_MOVED", {"as it is": None})
    monkeypatch.setattr(record, "train_plan", lambda plan, digits, seed: net)
    record.record_shifts(0, digits=100, farthest=3)
    (run,) = json.loads((tmp_path / "shifts.json").read_text("utf-8"))["runs"]
    images, labels = few.images, few.labels
    for shift, share in enumerate(run["accuracy"]):
        moved = torch.zeros_like(images)
        moved[:, :, shift:] = images[:, :, : 28 - shift]
        right = evaluate(net, BatchLoader(DigitDataset(moved, labels), 1000))[1]
        assert share == pytest.approx(right, abs=1e-4)
    assert len(run["accuracy"]) == 4 and run["trained_on"] == 100


def test_what_a_form_of_a_file_costs_is_counted(net, sample):
    few = DigitDataset(sample[1].images[:30], sample[1].labels[:30])
    rows = {row["stored"]: row for row in record._measure_formats(net, few)}
    assert json.loads(json.dumps(rows)) == rows  # numbers, and no tensors
    assert list(rows)[-1] == "onnx" and {"float32", "float16", "int8"} <= {*rows}
    right = int((look(net, normalize(few.images))["output"].argmax(1) == few.labels).sum())
    assert rows["float32"]["difference"] < 1e-6 < rows["int8"]["difference"] < 0.2
    assert rows["float32"]["right"] == right and rows["onnx"]["right"] == right
    assert rows["int8"]["bytes"] < rows["float16"]["bytes"] < rows["float32"]["bytes"]


def test_how_far_the_browser_is_from_torch_is_counted(net, sample, monkeypatch):
    few = DigitDataset(sample[1].images[:4], sample[1].labels[:4])
    theirs = look(net, normalize(few.images))["output"].exp()
    theirs[1] = theirs[1].roll(1)
    monkeypatch.setattr(record, "_browser_answers", lambda *given: (theirs, [5.0, 1.0, 3.0]))
    found = record._measure_browser(net, few)
    assert (found["digits"], found["same_answer"], found["median"]) == (4, 3, 3.0)
    assert 0.9 < found["difference"] <= 1 and json.loads(json.dumps(found)) == found


def test_the_time_of_one_digit_and_of_many_is_taken(net, sample, monkeypatch):
    asked = []

    def taken(model, x, times, warm_up):
        asked.append((tuple(x.shape), times))
        return SimpleNamespace(batch=len(x), median=2.0, p95=3.0, first=4.0, other=5.0)

    monkeypatch.setattr(record, "latency", taken)
    rows = record._measure_speed(net, sample[1], times=640)
    assert asked == [((1, 1, 28, 28), 640), ((64, 1, 28, 28), 10), ((1000, 1, 28, 28), 5)]
    assert rows[1] == {"batch": 64, "median": 2.0, "p95": 3.0, "first": 4.0} and len(rows) == 3
