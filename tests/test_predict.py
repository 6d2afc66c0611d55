import io
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageOps
from torch import nn

from mnist_course.data import load_mnist, normalize
from mnist_course.model import Net, load_pretrained
from mnist_course.predict import (
    STEPS,
    Familiar,
    centre,
    class_distance,
    class_statistics,
    crop,
    expected_calibration_error,
    fit,
    fit_temperature,
    judge,
    lit_paper,
    load_familiar,
    look,
    plot_reliability,
    predict,
    prepare,
    reliability,
    steps,
    to_ink,
)


@pytest.fixture(scope="module")
def net():
    return load_pretrained()


@pytest.fixture(scope="module")
def digits():
    return load_mnist(source="sample")[1]


def seven(mode: str = "L", paper="white", pen="black", size: int = 200) -> Image.Image:
    image = Image.new(mode, (size, size), paper)
    points = [(0.3 * size, 0.2 * size), (0.7 * size, 0.2 * size), (0.45 * size, 0.85 * size)]
    ImageDraw.Draw(image).line(points, fill=pen, width=max(1, size // 14), joint="curve")
    return image


BYTES = np.asarray(seven())  # uint8 (200, 200), light paper


def page(image) -> torch.Tensor:
    "The prepared picture as whole numbers from 0 to 255."
    return (prepare(image) * 0.3081 + 0.1307).mul(255).round().to(torch.int64)[0, 0]


def close(a, b, tolerance: int) -> bool:
    return bool((page(a) - page(b)).abs().max() <= tolerance)


def alike(a, b) -> float:
    "The cosine of the angle between two prepared pictures: 1 for equal ones."
    return torch.cosine_similarity(
        page(a).flatten().double(), page(b).flatten().double(), dim=0
    ).item()


# --- what comes out


def test_mnist_itself_comes_back(net, digits):
    images, labels = digits.images[:500], digits.labels[:500]  # the lesson does it for all of them
    batch = torch.cat([prepare(image) for image in images])
    with torch.inference_mode():
        accuracy = [
            (net(x).argmax(1) == labels).double().mean().item() for x in (normalize(images), batch)
        ]
    assert accuracy[1] >= 0.985 and abs(accuracy[0] - accuracy[1]) <= 0.002
    assert (batch == normalize(images)).flatten(1).all(1).double().mean() > 0.5


def test_the_page_is_laid_out_as_in_mnist():
    ready = page(seven()).double()
    assert ready.shape == (28, 28) and ready.max() == 255
    rows, columns = (ready.amax(axis).nonzero().flatten() for axis in (1, 0))
    assert rows[-1] - rows[0] + 1 == 20 and columns[-1] - columns[0] + 1 < 20
    place = torch.arange(28.0, dtype=torch.float64)
    assert abs(ready.sum(1) @ place / ready.sum() - 14) <= 0.5
    assert abs(ready.sum(0) @ place / ready.sum() - 14) <= 0.5


def test_prepare_gives_a_batch_of_one():
    x = prepare(seven())
    assert x.shape == (1, 1, 28, 28) and x.dtype == torch.float32
    torch.testing.assert_close(x, normalize(torch.from_numpy(steps(seven())["centred"])[None]))


# --- what goes in


ALPHA = Image.merge(
    "LA", (Image.new("L", (200, 200), 0), ImageOps.invert(seven()))
)  # black ink on a transparent sheet
SAME = {
    "inverted": ImageOps.invert(seven()),
    "RGB": seven("RGB"),
    "one bit": seven("1", 1, 0),
    "palette": seven("RGB").convert("P", palette=Image.Palette.ADAPTIVE),
    "CMYK": seven("RGB").convert("CMYK"),
    "16 bits": Image.fromarray(BYTES.astype(np.uint16) * 257),
    "32 bits": Image.fromarray(BYTES.astype(np.int32)),
    "float": Image.fromarray(BYTES.astype(np.float32)),
    "transparent, grey": ALPHA,
    "transparent, colour": ALPHA.convert("RGBA"),
    "white ink on transparent": Image.merge(
        "LA", (Image.new("L", (200, 200), 255), ImageOps.invert(seven()))
    ),
    "shifted": seven().transform(
        (260, 240), Image.Transform.AFFINE, (1, 0, -50, 0, 1, -20), fillcolor=255
    ),
    "grey on grey": seven("L", 180, 90),
    "array": BYTES,
    "array, dark paper": 255 - BYTES,
    "array (H, W, 1)": BYTES[..., None],
    "array (1, H, W)": BYTES[None],
    "array (H, W, 3)": np.stack([BYTES] * 3, 2),
    "array (3, H, W)": np.stack([BYTES] * 3),
    "array (H, W, 4)": np.asarray(ALPHA.convert("RGBA")),
    "array, not contiguous": np.asfortranarray(BYTES)[::1, ::1],
    "mask": BYTES < 128,
    "mask of 0 and 1": (BYTES < 128).astype(np.uint8),
    "fractions": BYTES / 255,
    "floats to 255": BYTES.astype(np.float64),
    "16-bit array": BYTES.astype(np.uint16) * 257,
    "overshoot": BYTES / 255 * 1.04 - 0.02,
    "-1 to 1": BYTES / 127.5 - 1,
    "tensor": torch.tensor(BYTES),
    "tensor (1, H, W), normalized": normalize(torch.tensor(BYTES)[None])[0],
    "tensor with gradients": torch.tensor(BYTES / 255, requires_grad=True),
    "bfloat16": torch.tensor(BYTES / 255).to(torch.bfloat16),
    "list": (BYTES < 128).tolist(),
}


@pytest.mark.parametrize("image", SAME.values(), ids=SAME)
def test_the_same_picture_in_other_forms(image):
    assert close(image, seven(), 30)


@pytest.mark.parametrize("name", ["7.png", "7.bmp", "7.gif", "7.tiff", "7.webp"])
def test_files(tmp_path, name):
    seven().save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    assert torch.equal(prepare(tmp_path / name), prepare(seven()))
    assert torch.equal(prepare(str(tmp_path / name)), prepare(seven()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, orientation):
    undo = {
        2: 0,
        3: 3,
        4: 1,
        5: 5,
        6: 2,
        7: 6,
        8: 4,
    }  # the transposition that a camera would have made
    image = seven().transpose(Image.Transpose(undo[orientation])) if orientation > 1 else seven()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "7.jpg", exif=exif, quality=95)
    assert alike(tmp_path / "7.jpg", seven()) > 0.9
    large = image.resize((2400, 2400))
    large.save(tmp_path / "large.png", exif=exif)
    assert alike(tmp_path / "large.png", seven()) > 0.9
    if orientation > 1:
        assert alike(image, seven()) < 0.8  # the test would notice a picture that was not turned


def test_the_picture_that_is_given_stays_as_it_is():
    image = seven("RGBA")
    image.getexif()[0x0112] = 6
    before, size, exif = image.tobytes(), image.size, dict(image.getexif())
    prepare(image)
    assert (image.tobytes(), image.size, image.mode, dict(image.getexif())) == (
        before,
        size,
        "RGBA",
        exif,
    )
    plain = seven()
    prepare(plain)
    assert dict(plain.getexif()) == {}
    array = BYTES.astype(np.float32)
    copy = array.copy()
    prepare(array)
    np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_ten_thousand_pixels_a_side(tmp_path, suffix):
    path = tmp_path / f"7.{suffix}"
    seven().resize((10_000, 10_000)).save(
        path, **({"compress_level": 1} if suffix == "png" else {})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = steps(path)
    assert max(pictures["grey"].shape) < 2000
    assert alike(pictures["centred"], seven()) > 0.9


def test_a_decompression_bomb(tmp_path, monkeypatch):
    seven().save(tmp_path / "7.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"7.png has too many pixels"):
        prepare(tmp_path / "7.png")


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_any_bytes_make_a_page(image):
    x = prepare(image)
    assert x.shape == (1, 1, 28, 28) and x.isfinite().all()
    ready = page(image)
    assert ready.max() in (0, 255) and ready.min() == 0
    lowest = -0.1307 / 0.3081
    assert x.min() >= lowest - 1e-5 and x.max() <= lowest + 1 / 0.3081 + 1e-5


@pytest.mark.parametrize("shape", [(3, 400), (400, 3), (1, 1), (1, 50)])
def test_odd_shapes(shape):
    image = np.zeros(shape, np.uint8)
    image[shape[0] // 2, shape[1] // 2] = 255
    assert prepare(image).shape == (1, 1, 28, 28)


# --- what is refused


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 28)), "no pixels"),
        (np.zeros(28), r"got \(28,\)"),
        (np.zeros((2, 28, 28)), r"got \(2, 28, 28\)"),
        (np.zeros((1, 1, 28, 28)), r"images\[0\]"),
        (np.float64(3), r"got \(\)"),
        (None, r"got \(\)"),
        ({"a": 1}, r"got \(\)"),
        ([[1, 2], [3]], "not a picture"),
        (np.full((28, 28), np.nan), "NaN"),
        (np.where(np.eye(28) > 0, np.inf, 0), "NaN or infinite"),
        (torch.full((28, 28), torch.nan), "NaN"),
        (np.full((28, 28), "x"), "must be numbers"),
        (np.zeros((28, 28), complex), "must be numbers"),
        (np.full((28, 28), 1e9), "0..65535"),
    ],
)
def test_arrays_that_are_no_picture(image, message):
    with pytest.raises(ValueError, match=message):
        prepare(image)


def png() -> bytes:
    file = io.BytesIO()
    seven().save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a text, not a picture", "is not a picture"),
        (b"", "is not a picture"),
        (png()[:20], "cannot be read|is not a picture"),
        (png()[: len(png()) // 2], "cannot be read"),
        (png()[:200] + b"damage" + png()[206:], "cannot be read"),
    ],
    ids=["text", "empty", "cut in the header", "cut in the middle", "damaged"],
)
def test_files_that_are_no_picture(tmp_path, content, message):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png") as caught:
        prepare(tmp_path / "bad.png")
    assert caught.match(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7\n%and so on", "is a PDF: save the page as a PNG"),
        (b"\0\0\0\x18ftypheic\0\0", "is an HEIC photograph: save it as a JPEG"),
    ],
)
def test_files_that_are_no_picture_for_pillow(tmp_path, content, message):
    (tmp_path / "page").write_bytes(content)
    with pytest.raises(ValueError, match=f"page {message}"):
        prepare(tmp_path / "page")


def test_an_animated_gif_is_read_by_its_first_picture(tmp_path):
    frames = [seven(), Image.new("L", (200, 200), 255), ImageOps.invert(seven())]
    frames[0].save(tmp_path / "7.gif", save_all=True, append_images=frames[1:])
    assert torch.equal(prepare(tmp_path / "7.gif"), prepare(seven()))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*nothing\.png"):
        prepare(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        prepare(tmp_path)


def test_a_pillow_image_whose_file_is_cut():
    with pytest.raises(ValueError, match="cannot be read"):
        prepare(Image.open(io.BytesIO(png()[: len(png()) // 2])))


# --- the steps


def test_to_ink_is_the_same_for_both_polarities():
    grey = BYTES.astype(np.float32) / 255
    np.testing.assert_allclose(to_ink(grey), to_ink(1 - grey), atol=1e-6)
    assert to_ink(grey)[0, 0] == 0 and to_ink(grey).max() == 1


def test_little_contrast_is_no_ink():
    assert not to_ink(0.5 + 0.1 * BYTES / 255).any()
    assert to_ink(0.5 + 0.2 * BYTES / 255).any()


def in_bad_light(image: Image.Image, factor: float) -> np.ndarray:
    "Light that falls from 1 at the left to `factor` at the right."
    light = np.linspace(1, factor, image.width)
    return (np.asarray(image) * light).round().astype(np.uint8)


@pytest.mark.parametrize("factor", [0.9, 0.7, 0.5])
def test_uneven_light_makes_no_ink(factor):
    image = seven(pen=40)
    lit = in_bad_light(image, factor)
    assert alike(lit, image) > 0.97
    assert alike(255 - lit, image) > 0.97
    assert steps(lit, skip="light")["centred"].any()


def test_paper_is_what_is_there_without_ink():
    light = in_bad_light(Image.new("L", (200, 200), 240), 0.6) / 255
    page = in_bad_light(seven(paper=240, pen=30), 0.6) / 255
    off = np.abs(lit_paper(page) - light)
    assert (
        off[:, 40:160].max() < 0.05 and off.max() < 0.1
    )  # at the dark edge it takes the light from further inside
    assert (
        lit_paper(np.full((3, 70), 0.5)).shape == (3, 70)
        and (lit_paper(np.full((1, 1), 0.5)) == 0.5).all()
    )


def test_grain_is_no_ink():
    noisy = (
        (np.asarray(seven(paper=200, pen=60)) + np.random.default_rng(0).normal(0, 6, (200, 200)))
        .clip(0, 255)
        .astype(np.uint8)
    )
    assert alike(noisy, seven()) > 0.95


def test_a_digit_that_touches_the_frame_stays_whole():
    tight = seven().crop((56, 33, 147, 176))
    assert alike(tight, seven()) > 0.95 and alike(ImageOps.invert(tight), seven()) > 0.95


def test_a_step_can_be_left_out():
    image = seven().transform(
        (260, 240), Image.Transform.AFFINE, (1, 0, -50, 0, 1, -20), fillcolor=255
    )
    whole = steps(image)
    for step in STEPS:
        assert steps(image, skip={step})["centred"].shape == (28, 28)
    assert (
        steps(image, skip="ink")["ink"].mean() > 0.5
        and steps(image, skip="crop")["cropped"].shape == whole["grey"].shape
    )
    assert steps(image, skip=["fit"])["20 x 20"].shape[0] == 28
    off = steps(image, skip="centre")["centred"]
    assert (
        off[4].any()
        and not off[3].any()
        and not off[24].any()
        and not np.array_equal(off, whole["centred"])
    )
    with pytest.raises(ValueError, match="no step 'blur' to skip: choose among light, ink"):
        steps(image, skip={"blur"})


def test_crop():
    ink = np.zeros((9, 7))
    ink[2, 3], ink[5, 4], ink[0, 0] = 1, 0.5, 0.1  # the last one is too faint to count
    assert crop(ink).shape == (4, 2)
    assert crop(np.zeros((3, 5))).shape == (3, 5)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50), (20, 10)), ((50, 100), (10, 20)), ((5, 5), (20, 20)), ((300, 2), (20, 1))],
)
def test_fit_keeps_the_proportions(shape, expected):
    small = fit(np.full(shape, 0.5))
    assert small.shape == expected and small.dtype == np.uint8 and (small == 255).all()


def test_centre_balances_and_never_cuts():
    lone = centre(np.full((1, 1), 255, np.uint8))
    assert lone[14, 14] == 255 and lone.sum() == 255
    lopsided = np.zeros((20, 20), np.uint8)
    lopsided[:, 0], lopsided[0, 19] = 255, 1
    assert centre(lopsided).sum() == lopsided.astype(int).sum()


# --- the answer


def test_predict_reads_a_seven(net):
    answer = predict(net, seven())
    assert answer.label == 7 and answer.is_digit and "7" in answer.message
    assert len(answer.probabilities) == 10 and sum(answer.probabilities) == pytest.approx(1)
    assert answer.probability == max(answer.probabilities) == answer.probabilities[7]
    assert (
        type(answer.label) is int
        and type(answer.probability) is float
        and type(answer.is_digit) is bool
    )


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_picture_is_no_digit(net, value):
    noise = np.random.default_rng(0).integers(-8, 9, (100, 100))
    answer = predict(net, (value + noise).clip(0, 255).astype(np.uint8))
    assert not answer.is_digit and "blank" in answer.message


def test_a_solid_block_is_no_digit(net):
    image = np.zeros((100, 100), np.uint8)
    image[20:80, 20:80] = 255
    answer = predict(net, image)
    assert not answer.is_digit and "too much ink" in answer.message


class Fixed(nn.Module):
    "Answers with the same numbers always."

    def __init__(self, *numbers):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.numbers = torch.tensor([numbers])

    def forward(self, x):
        return self.dropout(self.numbers)


def test_a_guess_is_no_digit():
    answer = predict(Fixed(*([0.0] * 3 + [2.0, 1.9] + [0.0] * 5)), seven())
    assert (
        answer.label == 3
        and not answer.is_digit
        and "perhaps 3" in answer.message
        and "or 4" in answer.message
    )


def test_logits_and_log_probabilities_give_the_same():
    logits = torch.arange(10.0)
    a, b = (
        predict(Fixed(*numbers.tolist()), seven()) for numbers in (logits, logits.log_softmax(0))
    )
    assert a.probabilities == pytest.approx(b.probabilities)
    assert a.probabilities == pytest.approx(logits.softmax(0).tolist())


def test_the_model_is_left_as_it_was():
    model = Fixed(*range(10)).train()
    model.dropout.eval()
    assert predict(model, seven()).label == 9
    assert model.training and not model.dropout.training


def test_precision_of_the_model():
    assert predict(load_pretrained().to(torch.bfloat16), seven()).label == 7
    assert predict(load_pretrained().double(), seven()).label == 7


@pytest.mark.parametrize("numbers", [[1.0] * 9, [torch.nan] * 10])
def test_a_model_that_does_not_give_ten_numbers(numbers):
    with pytest.raises(ValueError, match="ten finite numbers"):
        predict(Fixed(*numbers), seven())


# --- calibration


def test_reliability_by_hand():
    probabilities = torch.tensor([[0.6, 0.4], [0.7, 0.3], [0.68, 0.32], [0.05, 0.95], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 1, 0])
    confidence, accuracy, count = reliability(probabilities, labels, bins=5)
    assert (
        count.tolist() == [0, 0, 0, 3, 2]
        and np.isnan(confidence[:3]).all()
        and np.isnan(accuracy[:3]).all()
    )
    np.testing.assert_allclose(confidence[3:], [0.66, 0.975], atol=1e-6)
    np.testing.assert_allclose(accuracy[3:], [2 / 3, 1])
    expected = (3 * abs(2 / 3 - 0.66) + 2 * 0.025) / 5
    assert expected_calibration_error(probabilities, labels, bins=5) == pytest.approx(
        expected, abs=1e-6
    )


def drawn(n: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    "Logits of a network that is too sure by this factor, and labels drawn from what it should have said."
    torch.manual_seed(0)
    logits = torch.randn(n, 10) * 2
    return logits * temperature, torch.multinomial(logits.softmax(1), 1)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature):
    logits, labels = drawn(20_000, temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    assert fit_temperature(logits.log_softmax(1), labels) == pytest.approx(found, rel=1e-4)
    assert expected_calibration_error((logits / found).softmax(1), labels) < 0.02
    loss = [
        nn.functional.cross_entropy(logits / t, labels) for t in (found * 0.97, found, found * 1.03)
    ]
    assert loss[1] == min(loss)


def test_the_temperature_of_what_is_known_by_heart_is_very_low():
    logits = torch.eye(10) * 5
    assert fit_temperature(logits, torch.arange(10)) < 0.2  # where the loss is 0 in float64
    assert fit_temperature(logits, (torch.arange(10) + 1) % 10) == pytest.approx(20)


@pytest.mark.parametrize("measure", [reliability, expected_calibration_error, fit_temperature])
def test_calibration_needs_labels_for_its_digits(measure):
    for scores, labels in (
        (torch.zeros(0, 10), torch.zeros(0).long()),
        (torch.zeros(3, 10), torch.zeros(2).long()),
    ):
        with pytest.raises(ValueError, match="needs"):
            measure(scores, labels)


def test_the_plot_of_reliability_says_what_it_shows():
    logits, labels = drawn(500, 2.0)
    figure = plot_reliability(
        {"boasts": logits.softmax(1), "helped": (logits / 2).softmax(1)}, labels
    )
    assert (
        len(figure.axes) == 2
        and len(plot_reliability({str(i): logits.softmax(1) for i in range(3)}, labels).axes) == 3
    )
    assert figure.axes[0].get_xlabel() == "confidence"
    error = expected_calibration_error(logits.softmax(1), labels)
    assert (
        f"boasts, expected calibration error {error:.1%}" in figure.description
        and "helped" in figure.description
    )


# --- what is unlike a digit


def test_distance_is_counted_in_the_digits_own_spread():
    torch.manual_seed(0)
    labels = torch.arange(10).repeat(400)
    spread = torch.tensor([0.1, 5.0, 1.0])
    z = torch.randn(4000, 3) * spread + 100 * torch.nn.functional.one_hot(labels, 10)[:, :3]
    means, whitening = class_statistics(z, labels, blend=0)
    away = means[3:4] + torch.tensor([[0.5, 0, 0], [0, 5.0, 0], [0, 0, 0]])
    torch.testing.assert_close(
        class_distance(away, means[3:4], whitening),
        torch.tensor([5.0, 1.0, 0.0]),
        rtol=0.1,
        atol=0.01,
    )


def test_what_ships_belongs_to_the_weights_that_ship(net):
    familiar = load_familiar()
    assert familiar.fits(net) and familiar.fits(load_pretrained().to(torch.bfloat16))
    assert not familiar.fits(Net()) and not familiar.fits(Fixed(*range(10)))


def test_the_limit_refuses_one_true_digit_in_a_hundred(net, digits):
    share = (load_familiar().strangeness(look(net, normalize(digits.images))) > 1).double().mean()
    assert 0.005 < share < 0.015


def test_scribbles_are_unlike_digits(net):
    rng = np.random.default_rng(0)
    page = Image.new("L", (280, 280))
    ImageDraw.Draw(page).line([tuple(p) for p in rng.uniform(30, 250, (12, 2))], fill=255, width=14)
    answer = predict(net, page)
    assert (
        not answer.is_digit
        and answer.strangeness > 1
        and "unlike the digits it learned from" in answer.message
    )
    assert predict(net, seven()).strangeness < 1


def test_a_model_that_nobody_knows_is_read_with_the_other_reasons(net):
    answer = predict(Fixed(*range(10)), seven())
    assert answer.strangeness is None
    other = Net()
    assert predict(other, seven()).strangeness is None
    own = load_familiar()
    mine = Familiar(own.means, own.whitening, own.recipe, other.fc2.weight.detach())
    assert mine.fits(other) and predict(other, seven(), mine).strangeness is not None


def test_judge_gives_the_first_reason():
    sure, unsure = [0.99] + [0.01 / 9] * 9, [0.5, 0.4] + [0.1 / 8] * 8
    assert (
        "blank" in judge(sure, 0, 2.0).message and "too much ink" in judge(sure, 0.4, 2.0).message
    )
    assert judge(unsure, 0.1, 2.0).message == "unlike the digits it learned from; the nearest is 0"
    assert (
        "not sure" in judge(unsure, 0.1, 0.5).message
        and judge(sure, 0.1, 1.0).is_digit
        and judge(sure, 0.1).strangeness is None
    )


def test_look_leaves_the_model_as_it_was(net, digits):
    model = load_pretrained().train()
    seen = look(model, normalize(digits.images[:3]))
    assert {name: tuple(part.shape) for name, part in seen.items()} == {
        "output": (3, 10),
        "conv3": (3, 128),
        "fc1": (3, 50),
        "fc2": (3, 10),
    }
    assert model.training and not any(part._forward_hooks for part in model.modules())
    torch.testing.assert_close(seen["fc2"].log_softmax(1), seen["output"])
    with pytest.raises(ValueError, match="Net expects"):
        look(model, torch.zeros(1, 1, 5, 5))
    assert model.training and not any(part._forward_hooks for part in model.modules())
    assert set(look(Fixed(*range(10)), torch.zeros(1, 1, 28, 28))) == {"output"}
