"A file that leaves the house says what it is, comes back as it went, and is refused when it is damaged or meant for something else."

import copy
import json
import math
import os
import re
import shutil
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import mnist_course.export as export
from mnist_course.base import asset
from mnist_course.cli import main
from mnist_course.data import DigitDataset, normalize
from mnist_course.engine.foreign import foreign_digits, non_digits
from mnist_course.engine.predict import look
from mnist_course.export import (
    PREPROCESSING,
    STORED,
    Drift,
    Signals,
    card,
    dequantize,
    drift,
    fingerprint,
    largest_difference,
    largest_gap,
    latency,
    load_model,
    measure,
    pack,
    percentile,
    quantize,
    read_about,
    save_model,
    save_onnx,
    signals,
    stored_as,
    unpack,
)
from mnist_course.making.recorded import browser_answers, measure_pictures, write_card
from mnist_course.model import Net, load_pretrained
from mnist_course.predict import predict
from mnist_course.training import load_weights, save_weights

by_stored = pytest.mark.parametrize("stored", STORED)


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


# ---- files


@by_stored
def test_a_network_comes_back_as_it_was_stored(net, digits, tmp_path, stored):
    path, before = tmp_path / "net.safetensors", fingerprint(net.state_dict())
    about = save_model(path, net, stored, accuracy=0.9965, trained="by hand")
    again, expected = load_model(path), stored_as(net, stored)
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), expected.state_dict().values(), strict=True)
    )
    assert read_about(path) == about and about["accuracy"] == 0.9965 and about["stored"] == stored
    assert (
        isinstance(again, Net)
        and not again.training
        and {p.dtype for p in again.parameters()} == {torch.float32}
    )
    assert fingerprint(net.state_dict()) == before
    assert (
        largest_difference(net, again, normalize(digits.images[:50]))
        <= {"float32": 0, "float16": 1e-3, "int8": 0.02}[stored]
    )
    assert (
        path.stat().st_size < {"float32": 2_380_000, "float16": 1_190_000, "int8": 600_000}[stored]
    )
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


@by_stored
def test_another_network_and_its_buffers(tmp_path, stored):
    model = Pocket().train()
    model(torch.randn(5, 1, 28, 28))  # moves the running statistics
    save_model(tmp_path / "a.safetensors", model, stored)
    with pytest.raises(ValueError, match=r"holds a .*Pocket: build one, and give it as model="):
        load_model(tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors", Pocket())
    x = torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(again(x), model.eval()(x), rtol=0, atol=0.05)
    assert (
        again.body[1].num_batches_tracked == 1
        and again.body[1].num_batches_tracked.dtype == torch.int64
    )
    with pytest.raises(
        ValueError, match=r"holds a .*Pocket, and the model is a mnist_course.model.Net"
    ):
        load_model(tmp_path / "a.safetensors", Net())


def test_other_tools_can_read_it(net, tmp_path):
    save_model(tmp_path / "a.safetensors", net)
    assert load_file(tmp_path / "a.safetensors").keys() == net.state_dict().keys()
    assert torch.equal(load_weights(tmp_path / "a.safetensors", Net()).fc1.bias, net.fc1.bias)


def test_a_file_that_says_nothing(net, tmp_path):
    save_weights(tmp_path / "bare.safetensors", net)
    assert read_about(tmp_path / "bare.safetensors") == {}
    with pytest.raises(ValueError, match="does not say what it is"):
        load_model(tmp_path / "bare.safetensors")
    assert torch.equal(
        load_model(tmp_path / "bare.safetensors", bare=True).fc2.weight, net.fc2.weight
    )
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="belongs to another network"):
        load_model(tmp_path / "other.safetensors", bare=True)


def retold(path, **changes) -> None:
    "Write the file again, with something else in what it says of itself."
    about, tensors = {**read_about(path), **changes}, load_file(path)
    save_file(tensors, path, {"format": "pt", "about": json.dumps(about)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"preprocessing": {**PREPROCESSING, "mean": 0.5}},
            "prepared with mean 0.5, and mnist_course prepares them with 0.1307",
        ),
        (
            {"preprocessing": {**PREPROCESSING, "ink": "black on white"}},
            "prepared with ink black on white",
        ),
        ({"preprocessing": None}, "prepared with size None"),
        ({"architecture": "resnet.ResNet"}, "holds a resnet.ResNet: build one"),
        ({"architecture": None}, "holds a None: build one"),
        ({"architecture": ["a"]}, "build one"),
        ({"format": "mnist_course weights 99"}, "does not say what it is"),
        ({"fingerprint": "0" * 64}, "is damaged: its weights are not those"),
        ({"fingerprint": None}, "is damaged"),
    ],
)
def test_what_does_not_fit_is_named(net, tmp_path, changes, message):
    path, model = tmp_path / "a.safetensors", Net()
    save_model(path, net)
    retold(path, **changes)
    before = fingerprint(model.state_dict())
    with pytest.raises(ValueError, match=re.escape(message)):
        load_model(path)
    if "architecture" not in changes:
        with pytest.raises(ValueError, match=re.escape(message)):
            load_model(path, model)
    assert fingerprint(model.state_dict()) == before


def test_one_flipped_bit_is_found(net, tmp_path):
    path = tmp_path / "a.safetensors"
    save_model(path, net, "int8")
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match="is damaged: its weights are not those that it was written with"
    ):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"seven", b"\x80\x04N.", b"\xff" * 100])
def test_what_is_no_safetensors_file(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    for read in (read_about, load_model):
        with pytest.raises(ValueError, match="is not a safetensors file, or is damaged"):
            read(tmp_path / "a.safetensors")
    with pytest.raises(FileNotFoundError, match="missing"):
        load_model(tmp_path / "missing.safetensors")


def test_missing_and_additional_tensors(net, tmp_path):
    path = tmp_path / "a.safetensors"
    packed = pack(net, "int8")
    for change in (
        {"conv1.weight.step": torch.ones(3)},
        {"fc2.bias": torch.ones(11)},
        {"fc2.bias": torch.full((10,), math.nan)},
        {"x": torch.ones(1)},
    ):
        tensors = packed | change
        about = export.describe_model(net, {"stored": "int8", "fingerprint": fingerprint(tensors)})
        save_file(tensors, path, {"about": json.dumps(about)})
        with pytest.raises(
            ValueError,
            match=next(iter(change)).removesuffix(".step")
            if "step" not in next(iter(change))
            else "is damaged",
        ):
            load_model(path)


def test_what_is_not_worth_keeping_is_not_written(net, tmp_path):
    odd, large = copy.deepcopy(net), copy.deepcopy(net)
    odd.conv2.weight.data[0, 0, 0, 0] = math.inf
    large.fc1.weight.data[0, 0] = 1e6
    for model, stored, facts, message in (
        (odd, "float32", {}, "conv2.weight holds NaN or infinite"),
        (large, "float16", {}, "fc1.weight holds values beyond 65,504"),
        (net, "int4", {}, "not as 'int4'"),
        (net, "float32", {"loss": math.nan}, "facts must be numbers"),
        (net, "float32", {"loss": torch.ones(1)}, "facts must be numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            save_model(tmp_path / "a.safetensors", model, stored, **facts)
    assert not list(tmp_path.iterdir())
    save_model(tmp_path / "a.safetensors", large, "float32")


def test_a_failed_write_leaves_the_old_file(net, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_model(path, net)
    old = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="was not written"):
        save_model(path, net, "int8")
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1


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


# ---- quantization


@given(st.integers(2, 8), st.integers(0, 2**31), st.floats(1e-6, 1e4))
def test_no_weight_is_off_by_more_than_half_a_step(bits, seed, size):
    weight = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(seed)) * size
    whole, step = quantize(weight, bits)
    top = 2 ** (bits - 1) - 1
    assert whole.dtype == torch.int8 and whole.shape == weight.shape and step.shape == (3,)
    assert (whole.flatten(1).abs().amax(1) == top).all()  # each channel uses its whole range
    assert ((dequantize(whole, step) - weight).abs() <= step[:, None, None] * 0.5001).all()
    again, same = quantize(dequantize(whole, step), bits)
    assert torch.equal(again, whole) and torch.allclose(same, step)


def test_torch_rounds_the_same_way():
    weight = torch.randn(6, 4, 3, 3)
    whole, step = quantize(weight)
    theirs = torch.fake_quantize_per_channel_affine(
        weight, step, torch.zeros(6, dtype=torch.int32), 0, -127, 127
    )
    torch.testing.assert_close(theirs, dequantize(whole, step))


def test_channels_of_zeros_and_odd_input():
    whole, step = quantize(torch.tensor([[0.0, 0.0], [2.0, -1.0]]))
    assert whole.tolist() == [[0, 0], [127, -64]] and step[0] == 1
    assert dequantize(whole, step)[0].tolist() == [0, 0]
    for weight, bits, message in (
        (torch.ones(3), 8, "two axes or more"),
        (torch.tensor([[math.nan]]), 8, "finite"),
        (torch.ones(2, 2), 1, "between 2 and 8"),
        (torch.ones(2, 2), 16, "between 2 and 8"),
    ):
        with pytest.raises(ValueError, match=message):
            quantize(weight, bits)
    with pytest.raises(ValueError, match="needs 2 steps"):
        dequantize(torch.ones(2, 3, dtype=torch.int8), torch.ones(3))


def test_pack_and_unpack_are_inverse_for_float32(net):
    back = unpack(pack(net))
    assert back.keys() == net.state_dict().keys() and all(
        torch.equal(back[k], v) for k, v in net.state_dict().items()
    )
    assert {t.dtype for t in pack(net, "int8").values()} == {torch.int8, torch.float32}


# ---- measurements


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


def test_pictures_from_elsewhere(net):
    kinds = ("pen", "printed")
    found = measure_pictures(net, foreign_digits(40, seed=3, kinds=kinds))
    assert found.keys() == set(kinds) and all(
        row["pictures"] == 20 and row["right"] >= 17 for row in found.values()
    )
    others = measure_pictures(net, non_digits(25, seed=3))
    assert all(
        row["right"] == 0 and 0 <= row["taken_for_a_digit"] <= row["pictures"] == 5
        for row in others.values()
    )


# ---- latency


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=50), st.floats(0.01, 1))
def test_percentile_is_the_nearest_rank(values, share):
    found = percentile(values, share)
    n = len(values)
    assert found in values and sum(v <= found for v in values) >= share * n - 1e-9
    assert sum(v < found for v in values) < share * n
    assert found == np.percentile(values, 100 * share, method="inverted_cdf")


def test_percentile_of_nothing():
    for values, share in (([], 0.5), ([1.0], 0), ([1.0], 95)):
        with pytest.raises(ValueError, match="percentile needs"):
            percentile(values, share)


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


# ---- drift


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


def test_largest_gap():
    a, b = np.array([1.0, 2, 3]), np.array([1.0, 2, 3, 4])
    assert (
        largest_gap(a, a) == 0
        and largest_gap(a, a + 10) == 1
        and largest_gap(a, b) == pytest.approx(0.25)
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(0.3, 1.2, 60)
    points = np.concatenate([x, y])
    assert largest_gap(x, y) == pytest.approx(
        max(abs((x <= p).mean() - (y <= p).mean()) for p in points)
    )


def made(rng, n: int, ink: float = 0.12, sure: float = 0.9, doubt: float = 0.02) -> Signals:
    return Signals(
        rng.normal(ink, 0.03, n),
        rng.integers(0, 10, n),
        rng.beta(20 * sure, 20 * (1 - sure), n),
        rng.random(n) < doubt,
    )


def test_few_false_alarms_and_no_missed_flood():
    rng = np.random.default_rng(1)
    usual = made(rng, 2000)
    quiet = [drift(usual, made(rng, 200), chance=0.01) for _ in range(300)]
    for name in ("ink", "probability", "doubtful"):
        assert sum(found[name].alarm for found in quiet) <= 15, name  # 3 are expected
    assert not any(
        found[name].alarm
        for found in (drift(usual, made(rng, 200)) for _ in range(100))
        for name in found
    )
    assert all(drift(usual, made(rng, 200, ink=0.15))["ink"].alarm for _ in range(20))
    assert all(drift(usual, made(rng, 200, doubt=0.3))["doubtful"].alarm for _ in range(20))
    assert all(drift(usual, made(rng, 200, sure=0.7))["probability"].alarm for _ in range(20))


def test_drift_without_any_doubt_or_with_too_little():
    rng = np.random.default_rng(2)
    calm = made(rng, 500, doubt=0)
    found = drift(calm, calm)
    assert all(
        part.distance == 0 and not part.alarm and 0 < part.limit < 1 for part in found.values()
    )
    assert Drift(0.1, 0.2, 0.3, 0.2).alarm
    for args in ((calm, made(rng, 49)), (made(rng, 10), calm), (calm, calm, 0), (calm, calm, 1)):
        with pytest.raises(ValueError, match="drift needs"):
            drift(*args)


def test_a_scanner_that_fades_rings(net, sample):
    images = sample[1].images
    usual = signals(net, images[:300])
    assert not any(part.alarm for part in drift(usual, signals(net, images[300:500])).values())
    faded = drift(usual, signals(net, (images[300:500] * 0.5).to(torch.uint8)))
    assert faded["ink"].alarm and faded["ink"].now < 0.6 * faded["ink"].usual


# ---- ONNX


@pytest.fixture(scope="module")
def onnx_file(net, tmp_path_factory):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(
            package, reason=f"{package} is not installed: pip install 'mnist_course[onnx]'"
        )
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    save_onnx(path, net, accuracy=0.9965)
    return path


def test_onnx_gives_torchs_answers(net, digits, onnx_file):
    other = export.OnnxNetwork(onnx_file)
    for n in (1, 2, 7):
        x = normalize(digits.images[:n])
        torch.testing.assert_close(other(x), net(x).detach(), rtol=1e-4, atol=1e-4)
    assert other.about["preprocessing"] == PREPROCESSING and other.about["accuracy"] == 0.9965
    assert largest_difference(net, other, normalize(digits.images[:50])) < 1e-4
    assert predict(other, digits.images[0]).label == digits.labels[0]
    assert latency(other, normalize(digits.images[:1]), 3, 1).median > 0


def test_onnx_files_of_others(tmp_path, onnx_file):
    (tmp_path / "a.onnx").write_bytes(b"seven")
    with pytest.raises(ValueError, match="is not an ONNX file, or is damaged"):
        export.OnnxNetwork(tmp_path / "a.onnx")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        export.OnnxNetwork(tmp_path / "b.onnx")


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


# ---- the command


@pytest.mark.parametrize(
    ("kind", "size"), [("safetensors", 2_374_000), ("float16", 1_187_000), ("int8", 598_000)]
)
def test_export_writes_a_file_that_predict_reads(tmp_path, capsys, sample, kind, size):
    from PIL import Image

    path = tmp_path / "new folder" / "digits.safetensors"
    assert main(["export", str(path), "--format", kind]) == 0
    said = capsys.readouterr().out
    assert (
        f"{path}: {kind}, {path.stat().st_size:,} bytes" in said
        and "of 500 sample digits right" in said
    )
    assert size < path.stat().st_size < size + 2_000 and len(list(path.parent.iterdir())) == 1
    Image.fromarray(sample[1].images[0].numpy()).save(tmp_path / "digit.png")
    assert main(["predict", str(tmp_path / "digit.png"), "--model", str(path)]) == 0
    assert f"digit.png: {sample[1].labels[0]}  " in capsys.readouterr().out


def test_export_of_ones_own_weights(tmp_path, capsys):
    torch.manual_seed(0)
    mine = Net()
    save_weights(tmp_path / "mine.safetensors", mine)
    assert (
        main(
            [
                "export",
                str(tmp_path / "out.safetensors"),
                "--model",
                str(tmp_path / "mine.safetensors"),
            ]
        )
        == 0
    )
    assert torch.equal(load_model(tmp_path / "out.safetensors").fc2.bias, mine.fc2.bias)


def test_export_to_onnx(tmp_path, capsys, onnx_file):
    assert main(["export", str(tmp_path / "digits.onnx")]) == 0
    assert "digits.onnx: onnx, " in capsys.readouterr().out and [
        p.name for p in tmp_path.iterdir()
    ] == ["digits.onnx"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits"], "end its name in .safetensors or .onnx"),
        (
            ["digits.bin", "--format", "int8"],
            "a file of the format int8 should end in .safetensors",
        ),
        (["digits.onnx", "--format", "float16"], "should end in .safetensors"),
        (["digits.safetensors", "--format", "onnx"], "should end in .onnx"),
        (["a.safetensors", "--model", "notes.txt"], "not a safetensors file"),
        (["a.safetensors", "--model", "missing.safetensors"], "missing.safetensors"),
        (
            ["notes.safetensors", "--model", "notes.safetensors"],
            "would be written over the weights",
        ),
        (["notes.txt/a.safetensors"], "notes.txt"),
    ],
)
def test_export_asked_wrongly(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("notes.txt", "notes.safetensors"):
        (tmp_path / name).write_text("not a model")
    assert main(["export", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("mnist-course: ") and len(said.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "notes.safetensors"}


# ---- the card


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads(asset("weights", "measured.json").read_text("utf-8"))


def test_the_card_belongs_to_the_weights(net, facts):
    assert facts["weights"]["fingerprint"] == fingerprint(net.state_dict()), (
        "the weights are new: mnist-course record card"
    )
    assert (
        facts["trained"] == json.loads(asset("weights", "net.json").read_text("utf-8"))["settings"]
    ), "mnist-course record card"


def test_the_card_is_made_from_the_measurements(facts):
    text = asset("weights", "README.md").read_text("utf-8")
    assert text == write_card(facts), "mnist-course record card"
    assert facts["weights"]["fingerprint"] in text and facts["trained"]["recipe"] in text


def test_the_measurements_are_of_the_full_test_set(facts, net, digits):
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
def test_the_browsers_network_gives_torchs_answers(net, digits):
    theirs, times = browser_answers(net, digits.images[:20])
    ours = look(net, normalize(digits.images[:20]))["output"].exp()
    torch.testing.assert_close(theirs, ours, rtol=0, atol=2e-3)
    half = look(stored_as(net, "float16"), normalize(digits.images[:20]))["output"].exp()
    torch.testing.assert_close(theirs, half, rtol=0, atol=1e-5)
    assert len(times) == 20


def test_record_card(tmp_path, monkeypatch, digits, facts):
    import mnist_course.making.recorded as record

    few = DigitDataset(digits.images[:40], digits.labels[:40])
    for name in ("net.json", "net.safetensors"):
        shutil.copy(asset("weights", name), tmp_path / name)
    monkeypatch.setattr(record, "load_mnist", lambda data: (few, few))
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path / parts[-1])
    monkeypatch.setattr(record, "measure_formats", lambda model, test_set: facts["formats"])
    monkeypatch.setattr(record, "measure_browser", lambda model, test_set: facts["browser"])
    record.record_card(n=10)
    found = json.loads((tmp_path / "measured.json").read_text("utf-8"))
    assert found["test"]["total"] == 40 and found["weights"] == facts["weights"]
    assert record.write_card(found) == (tmp_path / "README.md").read_text("utf-8")
    record.record_card(times=True)
    again = json.loads((tmp_path / "measured.json").read_text("utf-8"))
    assert again["test"] == found["test"] and again["latency"] != found["latency"]
    (tmp_path / "measured.json").write_text(
        json.dumps({**found, "weights": {"fingerprint": "another"}})
    )
    with pytest.raises(ValueError, match="about other weights: make the whole card"):
        record.record_card(times=True)
