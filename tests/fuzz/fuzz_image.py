"Pictures of every format that we read, and of some that we don't."

import contextlib
import io

import numpy as np
from PIL import Image

from mnist_course.engine.predict import PICTURES, to_gray
from tests.fuzz.place import put

FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "EPS", "TGA"]


def seeds() -> list[bytes]:
    image = Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12))
    made = []
    for kind in FORMATS:
        file = io.BytesIO()
        image.save(file, kind)
        made.append(file.getvalue())
    turned = Image.Exif()
    turned[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=turned)
    return [*made, file.getvalue()]


def one(data: bytes) -> None:
    assert PICTURES
    for given in (data, put("a.png", data)):
        with contextlib.suppress(ValueError):
            to_gray(given)
