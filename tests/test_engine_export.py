"What a card says is measured, a clock leaves the warm-up out, and other languages give the same answers."

import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import mnist_course.engine.export as export
from mnist_course.cli import main
from mnist_course.data import DigitDataset, normalize
from mnist_course.engine.export import (
    _PREPROCESSING,
    OnnxNetwork,
    _largest_gap,
    fingerprint,
    largest_difference,
    latency,
    measure,
    percentile,
    save_onnx,
    signals,
)
from mnist_course.export import card
from mnist_course.model import Net, load_pretrained
from mnist_course.predict import look, predict


class Pocket(nn.Module):
    "A small network with batch norm, whose count of batches is a whole number."

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(324, 10),
        )

    def forward(self, x):
        return self.body(x).log_softmax(1)


@pytest.fixture(scope="module")
def net() -> Net:
    return load_pretrained()


@pytest.fixture(scope="module")
def digits(sample) -> DigitDataset:
    return DigitDataset(sample[1].images[:300], sample[1].labels[:300], "300 digits")


def test_fingerprint():
    a = {"x": torch.ones(2, 3), "y": torch.zeros(2)}
    assert (
        fingerprint(a)
        == fingerprint(dict(reversed(a.items())))
        == fingerprint({"x": torch.ones(3, 2).T, "y": torch.zeros(2)})
    )
    others = [
        {"x": torch.ones(3, 2), "y": torch.zeros(2)},
        {"x": torch.ones(2, 3).half(), "y": torch.zeros(2)},
        {"z": a["x"], "y": a["y"]},
    ]
    assert len({fingerprint(other) for other in (a, *others, {"x": a["x"]})}) == 5


def test_measure_counts_what_can_be_counted(net, digits):
    found = measure(net, digits)
    answers = look(net, normalize(digits.images))["output"].argmax(1)
    right = answers == digits.labels
    assert (
        found["right"] == right.sum()
        and found["total"] == 300
        and found["low"] < found["accuracy"] <= found["high"] + 1e-9
    )
    assert sum(part["total"] for part in found["per_digit"].values()) == 300 and list(
        found["per_digit"]
    ) == list("0123456789")
    assert sum(part["right"] for part in found["per_digit"].values()) == found["right"]
    assert sum(row["digits"] for row in found["calibration"]["table"]) == 300
    assert found["calibration"]["error"] == pytest.approx(
        sum(
            abs(row["confidence"] - row["accuracy"]) * row["digits"]
            for row in found["calibration"]["table"]
        )
        / 300
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    text = card(found)
    assert f"{found['right']} of 300 right" in text and text.count("\n| ") >= 14
    own = found["per_digit"]["3"]
    assert f"\n| 3 | {own['right']} | {own['total']} | {own['accuracy']:.2%} (" in text


def test_measure_takes_other_networks_and_few_digits(digits):
    torch.manual_seed(0)
    model = Pocket()
    found = measure(model, digits)
    assert (
        0 < found["right"] < 300
        and len(found["taken_for"]) == 5
        and len(found["surest_mistakes"]) == 5
        and model.training
    )
    assert [m["times"] for m in found["taken_for"]] == sorted(
        (m["times"] for m in found["taken_for"]), reverse=True
    )
    only = DigitDataset(digits.images[:1], digits.labels[:1])
    assert list(measure(model, only)["per_digit"]) == [str(int(digits.labels[0]))]
    with pytest.raises(ValueError, match="no digit"):
        measure(model, DigitDataset(digits.images[:0], digits.labels[:0]))


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=50), st.floats(0.01, 1))
def test_percentile_is_the_nearest_rank(values, fraction):
    found = percentile(values, fraction)
    n = len(values)
    assert found in values and sum(v <= found for v in values) >= fraction * n - 1e-9
    assert sum(v < found for v in values) < fraction * n
    assert found == np.percentile(values, 100 * fraction, method="inverted_cdf")


def test_percentile_of_nothing():
    for values, fraction in (([], 0.5), ([1.0], 0), ([1.0], 95)):
        with pytest.raises(ValueError, match="percentile needs"):
            percentile(values, fraction)


def test_latency_leaves_the_warm_up_out(monkeypatch):
    now, calls = [0.0], []

    def slow(x):
        calls.append(len(x))
        now[0] += 1.0 if len(calls) == 1 else 0.004 if len(calls) == 13 else 0.002
        return x

    monkeypatch.setattr(export.time, "perf_counter", lambda: now[0])
    found = latency(slow, torch.zeros(2, 1, 28, 28), times=10, warm_up=3)
    assert len(calls) == 13 and len(found.milliseconds) == 10
    assert (found.first, found.median, found.p95) == pytest.approx((1000, 2, 4))
    assert found.digits_per_second == pytest.approx(1000) and str(found).startswith(
        "2 digits a call: median 2.00 ms, p95 4.00 ms"
    )


def test_latency_of_nothing(net):
    for x, times, warm_up in (
        (torch.zeros(0, 1, 28, 28), 3, 1),
        (torch.zeros(1, 1, 28, 28), 0, 1),
        (torch.zeros(1, 1, 28, 28), 3, -1),
    ):
        with pytest.raises(ValueError, match="latency needs"):
            latency(net, x, times, warm_up)


def test_signals_are_those_of_predict(net, digits):
    seen = signals(net, digits.images[:40])
    for i in range(0, 40, 8):
        one = signals(net, digits.images[i : i + 1])
        assert (seen.answer[i], seen.doubtful[i]) == (one.answer[0], one.doubtful[0])
        assert seen.probability[i] == pytest.approx(one.probability[0], abs=1e-4)
    assert len(seen) == 40 and seen.ink[0] == pytest.approx(
        digits.images[0].double().mean().item() / 255
    )
    assert signals(net, torch.zeros(2, 28, 28, dtype=torch.uint8)).doubtful.all()
    with pytest.raises(ValueError, match="no picture"):
        signals(net, digits.images[:0])


def test_signals_of_scores_are_those_of_their_log_probabilities(digits):
    torch.manual_seed(0)
    scores = Pocket().eval().body
    ours, theirs = (
        signals(nn.Sequential(scores, *end), digits.images[:20]) for end in ([], [nn.LogSoftmax(1)])
    )
    np.testing.assert_allclose(ours.probability, theirs.probability, rtol=1e-6)
    assert (ours.answer == theirs.answer).all() and (ours.probability <= 1).all()


def test_largest_gap():
    a, b = np.array([1.0, 2, 3]), np.array([1.0, 2, 3, 4])
    assert (
        _largest_gap(a, a) == 0
        and _largest_gap(a, a + 10) == 1
        and _largest_gap(a, b) == pytest.approx(0.25)
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(0.3, 1.2, 60)
    points = np.concatenate([x, y])
    assert _largest_gap(x, y) == pytest.approx(
        max(abs((x <= p).mean() - (y <= p).mean()) for p in points)
    )


@pytest.fixture(scope="module")
def onnx_file(net, tmp_path_factory):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(
            package, reason=f"{package} is not installed: pip install 'mnist_course[onnx]'"
        )
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    save_onnx(path, net, accuracy=0.9965)
    return path


@pytest.mark.slow
def test_onnx_gives_torchs_answers(net, digits, onnx_file):
    other = OnnxNetwork(onnx_file)
    for n in (1, 2, 7):
        x = normalize(digits.images[:n])
        torch.testing.assert_close(other(x), net(x).detach(), rtol=1e-4, atol=1e-4)
    assert other.about["preprocessing"] == _PREPROCESSING and other.about["accuracy"] == 0.9965
    assert largest_difference(net, other, normalize(digits.images[:50])) < 1e-4
    assert predict(other, digits.images[0]).label == digits.labels[0]
    assert latency(other, normalize(digits.images[:1]), 3, 1).median > 0


@pytest.mark.slow
def test_onnx_files_of_others(tmp_path, onnx_file):
    (tmp_path / "a.onnx").write_bytes(b"seven")
    with pytest.raises(ValueError, match="is not an ONNX file, or is damaged"):
        OnnxNetwork(tmp_path / "a.onnx")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        OnnxNetwork(tmp_path / "b.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_what_onnx_needs_is_said(net, tmp_path, monkeypatch, capsys, package):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(
            sys.modules, name, None if name == package else export
        )  # None: not there
    with pytest.raises(
        ImportError, match=rf"ONNX needs the package {package}: pip install 'mnist_course\[onnx\]'"
    ):
        save_onnx(tmp_path / "a.onnx", net)
    assert main(["export", str(tmp_path / "a.onnx")]) == 2
    assert f"mnist-course: ONNX needs the package {package}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_export_to_onnx(tmp_path, capsys, onnx_file):
    assert main(["export", str(tmp_path / "digits.onnx")]) == 0
    assert "digits.onnx: onnx, " in capsys.readouterr().out and [
        p.name for p in tmp_path.iterdir()
    ] == ["digits.onnx"]
