"From any image to MNIST's 28 x 28, and to an answer: what goes in, what is refused, every step, and the doubts."

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageOps
from torch import nn

from mnist_course.data import load_mnist, normalize
from mnist_course.engine.predict import ReferenceStatistics, load_reference
from mnist_course.model import Net, load_pretrained
from mnist_course.predict import STEP_NAMES, center, crop, predict, prepare, resize, steps, to_ink


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


def png() -> bytes:
    file = io.BytesIO()
    seven().save(file, "PNG")
    return file.getvalue()


def in_every_way(path: Path) -> list[tuple[object, str]]:
    "A file as people hand it over: its path, its bytes, a file object; and what a message calls it."
    content = path.read_bytes()
    named = io.BytesIO(content)
    named.name = "upload.png"
    return [
        (path, path.name),
        (str(path), path.name),
        (content, "the file"),
        (io.BytesIO(content), "the file"),
        (named, "upload.png"),
    ]


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
    torch.testing.assert_close(x, normalize(torch.from_numpy(steps(seven())["centered"])[None]))


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
    "transparent, gray": ALPHA,
    "transparent, color": ALPHA.convert("RGBA"),
    "white ink on transparent": Image.merge(
        "LA", (Image.new("L", (200, 200), 255), ImageOps.invert(seven()))
    ),
    "shifted": seven().transform(
        (260, 240), Image.Transform.AFFINE, (1, 0, -50, 0, 1, -20), fillcolor=255
    ),
    "gray on gray": seven("L", 180, 90),
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


@pytest.mark.parametrize("name", ["7.png", "7.bmp", "7.gif", "7.tiff", "7.webp", "7.jpg"])
def test_bytes_and_open_files_are_read_as_the_file_is(tmp_path, name):
    path = tmp_path / name
    seven().save(path, **({"lossless": True} if name.endswith("webp") else {}))
    content = path.read_bytes()
    with open(path, "rb") as file:
        for image in (content, bytearray(content), memoryview(content), io.BytesIO(content), file):
            assert torch.equal(prepare(image), prepare(path))
    assert path.read_bytes() == content


class OnlyRead:
    "A stream as from a socket: it can be read once, and never goes back."

    def __init__(self, content: bytes):
        self.rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.rest.read(size)


def test_a_file_object_is_read_from_its_beginning_and_stays_where_it_was(net):
    body = io.BytesIO()
    seven().save(body, "png")  # and now it stands at its end, as after an upload was copied into it
    end = body.tell()
    assert predict(net, body).label == 7 and body.tell() == end
    assert predict(net, body).label == predict(net, body.getvalue()).label == 7
    body.seek(5)
    assert torch.equal(prepare(body), prepare(seven())) and body.tell() == 5
    assert torch.equal(prepare(OnlyRead(png())), prepare(seven()))
    with tempfile.SpooledTemporaryFile() as upload:  # what web frameworks hand over
        upload.write(png())
        assert torch.equal(prepare(upload), prepare(seven()))


def test_an_upload_with_an_exif_rotation_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    body = io.BytesIO()
    seven().transpose(Image.Transpose.ROTATE_90).save(body, "jpeg", exif=exif, quality=95)
    assert alike(body, seven()) > 0.9 and alike(body.getvalue(), seven()) > 0.9


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
    assert max(pictures["gray"].shape) < 2000
    assert alike(pictures["centered"], seven()) > 0.9


def test_a_decompression_bomb(tmp_path, monkeypatch):
    seven().save(tmp_path / "7.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for image, name in in_every_way(tmp_path / "7.png"):
        with pytest.raises(ValueError, match=f"{name} has too many pixels"):
            prepare(image)


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
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    for image, name in in_every_way(path):
        with pytest.raises(ValueError, match=name) as caught:
            prepare(image)
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
    for image, name in in_every_way(tmp_path / "page"):
        with pytest.raises(ValueError, match=f"{name} {message}"):
            prepare(image)


def test_an_animated_gif_is_read_by_its_first_picture(tmp_path):
    frames = [seven(), Image.new("L", (200, 200), 255), ImageOps.invert(seven())]
    frames[0].save(tmp_path / "7.gif", save_all=True, append_images=frames[1:])
    assert torch.equal(prepare(tmp_path / "7.gif"), prepare(seven()))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*nothing\.png"):
        prepare(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        prepare(tmp_path)


class Waits:
    "A file as an asynchronous web framework has it: what read() gives has to be awaited."

    async def read(self) -> bytes:
        return png()


def test_a_file_object_that_gives_no_bytes(tmp_path):
    (tmp_path / "7.png").write_bytes(png())
    (tmp_path / "7.txt").write_text("seven")
    for name in ("7.png", "7.txt"):
        with (
            open(tmp_path / name, encoding="utf-8") as text,
            pytest.raises(
                ValueError, match=rf"{name} is open as text: open it with open\(path, 'rb'\)"
            ),
        ):
            prepare(text)
    with pytest.raises(ValueError, match="the file is open as text"):
        prepare(io.StringIO("seven"))
    closed = io.BytesIO(png())
    closed.close()
    with pytest.raises(ValueError, match=r"the file cannot be read as a picture: .*closed"):
        prepare(closed)
    with (
        pytest.warns(RuntimeWarning, match="never awaited"),
        pytest.raises(ValueError, match="the file gives a coroutine where bytes are needed"),
    ):
        prepare(Waits())


def test_a_pillow_image_whose_file_is_cut():
    with pytest.raises(ValueError, match="cannot be read"):
        prepare(Image.open(io.BytesIO(png()[: len(png()) // 2])))


# --- the steps


def test_to_ink_is_the_same_for_both_polarities():
    gray = BYTES.astype(np.float32) / 255
    np.testing.assert_allclose(to_ink(gray), to_ink(1 - gray), atol=1e-6)
    assert to_ink(gray)[0, 0] == 0 and to_ink(gray).max() == 1


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
    assert steps(lit, skip="light")["centered"].any()


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
    for step in STEP_NAMES:
        assert steps(image, skip={step})["centered"].shape == (28, 28)
    assert (
        steps(image, skip="ink")["ink"].mean() > 0.5
        and steps(image, skip="crop")["cropped"].shape == whole["gray"].shape
    )
    assert steps(image, skip=["resize"])["20 x 20"].shape[0] == 28
    off = steps(image, skip="center")["centered"]
    assert (
        off[4].any()
        and not off[3].any()
        and not off[24].any()
        and not np.array_equal(off, whole["centered"])
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
def test_resize_keeps_the_proportions(shape, expected):
    small = resize(np.full(shape, 0.5))
    assert small.shape == expected and small.dtype == np.uint8 and (small == 255).all()


def test_center_balances_and_never_cuts():
    lone = center(np.full((1, 1), 255, np.uint8))
    assert lone[14, 14] == 255 and lone.sum() == 255
    lopsided = np.zeros((20, 20), np.uint8)
    lopsided[:, 0], lopsided[0, 19] = 255, 1
    assert center(lopsided).sum() == lopsided.astype(int).sum()


# --- the answer


def test_predict_reads_a_seven(net):
    answer = predict(net, seven())
    assert answer.label == 7 and answer.is_digit and "7" in answer.message and answer.reason == ""
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
    assert not answer.is_digit and answer.reason == "blank" and "blank" in answer.message


def test_a_solid_block_is_no_digit(net):
    image = np.zeros((100, 100), np.uint8)
    image[20:80, 20:80] = 255
    answer = predict(net, image)
    assert (
        not answer.is_digit and answer.reason == "too much ink" and "too much ink" in answer.message
    )


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
        and answer.reason == "unsure"
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


# --- what is unlike a digit


def test_scribbles_are_unlike_digits(net):
    rng = np.random.default_rng(0)
    page = Image.new("L", (280, 280))
    ImageDraw.Draw(page).line([tuple(p) for p in rng.uniform(30, 250, (12, 2))], fill=255, width=14)
    answer = predict(net, page)
    assert (
        not answer.is_digit
        and answer.ood_score > 1
        and answer.reason == "out of distribution"
        and "unlike the digits it learned from" in answer.message
    )
    assert predict(net, seven()).ood_score < 1


def test_a_model_that_nobody_knows_is_read_with_the_other_reasons(net):
    answer = predict(Fixed(*range(10)), seven())
    assert answer.ood_score is None
    other = Net()
    assert predict(other, seven()).ood_score is None
    own = load_reference()
    mine = ReferenceStatistics(
        own.means, own.whitening, own.coefficients, other.fc2.weight.detach()
    )
    assert mine.belong_to(other) and predict(other, seven(), mine).ood_score is not None
