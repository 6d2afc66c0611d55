"""A web handler: an upload comes in as bytes, or as an open file, and an answer goes out as JSON."""

import io
import json
from pathlib import Path
from typing import BinaryIO, assert_type

from PIL import Image

from mnist_course.base import CourseError
from mnist_course.data import load_mnist
from mnist_course.model import load_pretrained
from mnist_course.predict import predict, prepare

MODEL = load_pretrained()


def answer(upload: bytes | BinaryIO) -> str:
    try:
        found = predict(MODEL, upload)
    except (ValueError, CourseError) as error:
        return json.dumps({"error": str(error)})
    assert_type(found.label, int)
    assert_type(found.probability, float)
    assert_type(found.is_digit, bool)
    return json.dumps({"digit": found.label, "sure": found.probability, "ok": found.is_digit})


_, test = load_mnist(source="sample")
image = Image.fromarray(test.images[0].numpy())
body = io.BytesIO()
image.save(body, "png")
assert json.loads(answer(body.getvalue()))["digit"] == int(test.labels[0])
assert json.loads(answer(io.BytesIO(body.getvalue())))["digit"] == int(test.labels[0])
assert "error" in json.loads(answer(b"no image"))

Path("digit.png").write_bytes(body.getvalue())
assert prepare("digit.png").shape == prepare(image).shape == (1, 1, 28, 28)
