"A file that leaves the house says what it is, comes back as it went, and is refused when it is damaged or meant for something else."

import copy
import json
import math
import os
import re
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file
from torch import nn

from mnist_course.cli import main
from mnist_course.data import DigitDataset, normalize
from mnist_course.engine.export import (
    _PREPROCESSING,
    STORED,
    describe_model,
    one_file,
    rebuilt,
    scanner_days,
)
from mnist_course.export import (
    Drift,
    Signals,
    data_url,
    dequantize,
    drift,
    fingerprint,
    largest_difference,
    load_model,
    pack,
    quantize,
    read_about,
    read_header,
    save_model,
    signals,
    unpack,
)
from mnist_course.model import Net, load_pretrained
from mnist_course.training import load_weights, save_weights

by_stored = pytest.mark.parametrize("stored", STORED)


class Pocket(nn.Module):
    "A small network with batch norm, whose count of batches is a q number."

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


@by_stored
def test_a_network_comes_back_as_it_was_stored(net, digits, tmp_path, stored):
    path, before = tmp_path / "net.safetensors", fingerprint(net.state_dict())
    about = save_model(path, net, stored, accuracy=0.9965, trained="by hand")
    again, expected = load_model(path), rebuilt(net, unpack(pack(net, stored)))
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


def test_a_network_with_other_weights_is_ready_to_answer():
    model = Pocket().double().train()
    other = rebuilt(model, Pocket().state_dict())
    assert not other.training and {p.dtype for p in other.parameters()} == {torch.float32}
    assert model.training and {p.dtype for p in model.parameters()} == {torch.float64}


def test_other_tools_can_read_it(net, tmp_path):
    save_model(tmp_path / "a.safetensors", net)
    assert load_file(tmp_path / "a.safetensors").keys() == net.state_dict().keys()
    assert torch.equal(load_weights(tmp_path / "a.safetensors", Net()).fc1.bias, net.fc1.bias)


def test_a_file_says_how_digits_are_prepared(net, tmp_path):
    save_model(tmp_path / "a.safetensors", net)
    said = read_about(tmp_path / "a.safetensors")["preprocessing"]
    ink = "white on black, 0 to 1"
    assert said == {"size": [28, 28], "ink": ink, "mean": 0.1307, "std": 0.3081}


def test_a_file_that_says_nothing(net, tmp_path):
    save_weights(tmp_path / "bare.safetensors", net)
    assert read_about(tmp_path / "bare.safetensors") == {}
    with pytest.raises(ValueError, match="does not say what it is"):
        load_model(tmp_path / "bare.safetensors")
    assert torch.equal(
        load_model(tmp_path / "bare.safetensors", bare=True).fc2.weight, net.fc2.weight
    )
    torch.save(net.state_dict(), tmp_path / "net.pt")
    assert torch.equal(load_model(tmp_path / "net.pt", bare=True).fc2.weight, net.fc2.weight)
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
            {"preprocessing": {**_PREPROCESSING, "mean": 0.5}},
            "prepared with mean 0.5, and mnist_course prepares them with 0.1307",
        ),
        (
            {"preprocessing": {**_PREPROCESSING, "ink": "black on white"}},
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
    for bare in (False, True):
        with pytest.raises(ValueError, match=re.escape(message)):
            load_model(path, bare=bare)
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
        with pytest.raises(
            ValueError, match=r"is not a safetensors file, or is damaged|is damaged \("
        ):
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
        about = describe_model(net, {"stored": "int8", "fingerprint": fingerprint(tensors)})
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


@given(st.integers(2, 8), st.integers(0, 2**31), st.floats(1e-6, 1e4))
def test_no_weight_is_off_by_more_than_half_a_step(bits, seed, size):
    weight = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(seed)) * size
    q, scale = quantize(weight, bits)
    top = 2 ** (bits - 1) - 1
    assert q.dtype == torch.int8 and q.shape == weight.shape and scale.shape == (3,)
    assert (q.flatten(1).abs().amax(1) == top).all()  # each channel uses its whole range
    assert ((dequantize(q, scale) - weight).abs() <= scale[:, None, None] * 0.5001).all()
    again, same = quantize(dequantize(q, scale), bits)
    assert torch.equal(again, q) and torch.allclose(same, scale)


def test_torch_rounds_the_same_way():
    weight = torch.randn(6, 4, 3, 3)
    q, scale = quantize(weight)
    theirs = torch.fake_quantize_per_channel_affine(
        weight, scale, torch.zeros(6, dtype=torch.int32), 0, -127, 127
    )
    torch.testing.assert_close(theirs, dequantize(q, scale))


def test_channels_of_zeros_and_odd_input():
    q, scale = quantize(torch.tensor([[0.0, 0.0], [2.0, -1.0]]))
    assert q.tolist() == [[0, 0], [127, -64]] and scale[0] == 1
    assert dequantize(q, scale)[0].tolist() == [0, 0]
    for weight, bits, message in (
        (torch.ones(3), 8, "two axes or more"),
        (torch.tensor([[math.nan]]), 8, "finite"),
        (torch.ones(2, 2), 1, "between 2 and 8"),
        (torch.ones(2, 2), 16, "between 2 and 8"),
    ):
        with pytest.raises(ValueError, match=message):
            quantize(weight, bits)
    with pytest.raises(ValueError, match="needs 2 scales"):
        dequantize(torch.ones(2, 3, dtype=torch.int8), torch.ones(3))


def test_pack_and_unpack_are_inverse_for_float32(net):
    back = unpack(pack(net))
    assert back.keys() == net.state_dict().keys() and all(
        torch.equal(back[k], v) for k, v in net.state_dict().items()
    )
    assert {t.dtype for t in pack(net, "int8").values()} == {torch.int8, torch.float32}


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


def test_the_limits_of_drift_are_those_in_the_books():
    "Smirnov's: 2 exp(-2 limit^2 / (1/N + 1/M)) is the chance. The normal one: 1.96 deviations are 5 %."
    rng = np.random.default_rng(3)
    usual, now = made(rng, 400, doubt=0), made(rng, 50, doubt=0)
    usual.doubtful[:80], now.doubtful[:9] = True, True
    found = drift(usual, now, chance=0.05)
    for name in ("ink", "probability"):
        assert 2 * np.exp(-2 * found[name].limit ** 2 / (1 / 400 + 1 / 50)) == pytest.approx(0.05)
    share = 90 / 452  # of both, with one doubtful and one sure image more
    deviation = (share * (1 - share) * (1 / 400 + 1 / 50)) ** 0.5
    assert found["doubtful"].distance == pytest.approx(0.02)
    assert found["doubtful"].limit == pytest.approx(1.96 * deviation + 0.5 / 50, rel=1e-4)


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


def test_a_header_says_where_each_tensor_is(net):
    content = save(net.state_dict(), {"about": "seven"})
    header = read_header(content)
    assert header.pop("__metadata__") == {"about": "seven"}
    assert header.keys() == net.state_dict().keys()
    start = len(content) - max(entry["data_offsets"][1] for entry in header.values())
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        held = np.frombuffer(content[start + begin : start + end], "<f4")
        assert np.array_equal(held.reshape(entry["shape"]), net.state_dict()[name])
    with pytest.raises(json.JSONDecodeError):
        read_header(content[:20])
    said = b'{"w": {"dtype": "U8"}}'  # to the last byte, and no byte of the numbers after it
    assert read_header(len(said).to_bytes(8, "little") + said + b"}}") == {"w": {"dtype": "U8"}}


@given(st.binary(max_size=100))
def test_a_url_holds_all_bytes(content):
    with urlopen(data_url(content)) as answer:
        assert answer.read() == content


def test_a_page_in_one_file_asks_for_nothing(tmp_path):
    contents = {
        "index.html": '<link rel="stylesheet" href="a.css">\n<script type="module">\n'
        'import {start} from "./go.js"\nstart()\n</script>',
        "a.css": "p { margin: 0 }",
        "go.js": "",
        "net.bin": "seven",
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text, "utf-8")
    script = (
        'const go_js = (() => {const start = () => fetch(new URL("net.bin", import.meta.url))\n'
        '// "</script>"\nreturn {start}})()\nexport default {render: go_js.render}'
    )
    page = one_file([tmp_path / name for name in contents], script, data_url)
    assert "<style>\np { margin: 0 }" in page and data_url(b"seven") in page
    for gone in ("<link", "import {", "import.meta", "export default", "go.js"):
        assert gone not in page
    assert page.count("</script>") == 1 and page.index("const held") < page.index("const go_js")
    assert (
        page.index("const go_js") < page.index("const {start} = go_js") < page.index("start()\n<")
    )
    with pytest.raises(ValueError, match=r"index\.html, got net\.bin"):
        one_file([tmp_path / "net.bin"], script, data_url)
    (tmp_path / "index.html").write_text("<p>", "utf-8")
    with pytest.raises(ValueError, match="imports nothing"):
        one_file([tmp_path / "index.html"], script, data_url)


def test_the_page_for_a_friend_is_one_file_with_the_network_in_it(net, tmp_path):
    from mnist_course.widgets.bundle import bundle
    from mnist_course.widgets.explorer import half_weights, write_drawing_page

    files = write_drawing_page(tmp_path, net, plain=True)
    page = one_file(files, bundle("try_it"), data_url)
    assert data_url(half_weights(net)) in page and "fetch(held[" in page
    for path in files:
        if path.suffix in (".js", ".css"):
            assert f'"{path.name}"' not in page and f'"./{path.name}"' not in page


def test_days_of_a_scanner(sample):
    images = sample[1].images[:20]
    days = scanner_days(images)
    assert all(day.shape == images.shape and day.dtype == torch.uint8 for day in days.values())
    quiet, askew, weak, thick = (day.double() for day in days.values())
    assert torch.equal(quiet, images.double()) and (thick >= quiet).all()
    assert (weak - quiet / 2).abs().max() < 1
    around = torch.nn.functional.pad(quiet, [1] * 4).unfold(1, 3, 1).unfold(2, 3, 1)
    assert torch.equal(thick, around.amax((3, 4)))  # a pixel more on every side
    assert (askew.sum() / quiet.sum() - 1).abs() < 0.02 and not torch.equal(askew, quiet)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("weight", "bits", "error", "words"),
    [
        (None, 8, TypeError, "weight must be a Tensor, got NoneType"),
        (torch.ones(2, 2).numpy(), 8, TypeError, "torch.from_numpy makes one"),
        (torch.ones(2, 2), 8.0, TypeError, "bits must be a whole number"),
        (torch.ones(3, 0), 8, ValueError, r"two axes or more, got \(3, 0\)"),
    ],
    ids=["nothing", "array", "bits", "no weights"],
)
def test_what_cannot_be_quantized_is_named(weight, bits, error, words):
    with pytest.raises(error, match=words):
        quantize(weight, bits)
