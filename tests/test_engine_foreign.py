"Digits from elsewhere: the same for everybody, of every kind and digit, read by the network; and things that are no digits."

import numpy as np
import pytest
import torch

from mnist_course.engine.foreign import (
    _LOOKALIKES,
    _SIDE,
    _WAYS,
    CLEAN_KINDS,
    DIGIT_KINDS,
    NON_DIGIT_KINDS,
    _curve,
    _draw_lines,
    foreign_digits,
    non_digits,
)
from mnist_course.engine.predict import look
from mnist_course.model import load_pretrained
from mnist_course.predict import predict, prepare


@pytest.fixture(scope="module")
def net():
    return load_pretrained()


def test_the_same_for_everybody():
    a, b, other = foreign_digits(40), foreign_digits(20), foreign_digits(20, seed=1)
    assert all(
        np.array_equal(x.image, y.image) and x[1:] == y[1:] for x, y in zip(a, b, strict=False)
    )
    assert not any(np.array_equal(x.image, y.image) for x, y in zip(b, other, strict=True))
    assert all(
        np.array_equal(x.image, y.image)
        for x, y in zip(non_digits(20), non_digits(10), strict=False)
    )


def test_every_kind_and_digit_has_its_share():
    digits = foreign_digits(200)
    counts = {
        kind: [sum(p.label == digit for p in digits if p.kind == kind) for digit in range(10)]
        for kind in DIGIT_KINDS
    }
    assert set(map(tuple, counts.values())) == {(2,) * 10}
    assert all(p.image.shape == (_SIDE, _SIDE) and p.image.dtype == np.uint8 for p in digits)
    corners = [p.image[0, 0] > 128 for p in digits if p.kind in CLEAN_KINDS]
    assert 0.3 < np.mean(corners) < 0.7  # light paper and dark paper
    others = non_digits(130)
    assert {p.kind for p in others} == set(NON_DIGIT_KINDS) and not any(
        isinstance(p.label, int) for p in others
    )
    assert {p.label for p in others if p.kind == "letter like a digit"} == set(_LOOKALIKES)
    assert not {p.label for p in others if p.kind == "letter"} & set(_LOOKALIKES)


def test_an_unknown_kind_is_told():
    with pytest.raises(ValueError, match="no kind 'crayon': choose among thin pen"):
        foreign_digits(3, kinds=["pen", "crayon"])
    assert foreign_digits(0) == []


def test_a_curve_passes_through_its_points():
    points = [(0.0, 0.0), (1.0, 2.0), (3.0, 1.0), (4.0, 4.0)]
    line = np.array(_curve(points, parts=5))
    assert len(line) == 16 and all(np.abs(line - point).sum(1).min() < 1e-9 for point in points)
    closed = np.array(_curve([*points, points[0]]))
    np.testing.assert_allclose(closed[0], closed[-1])
    assert _curve(points[:2]) == points[:2]


def test_a_pen_is_as_wide_as_it_says():
    ink = _draw_lines([[(50, 140), (230, 140)]], pen=20) / 255
    assert (
        abs(ink[:, 140].sum() - 20) < 1.5 and ink[140, 35:45].sum() > 3 and not ink[140, :35].any()
    )
    assert {len(strokes) > 0 for strokes in _WAYS.values()} == {True} and set(_WAYS) == set(
        range(10)
    )


@pytest.mark.parametrize("kind", DIGIT_KINDS)
def test_digits_from_elsewhere_are_read(net, kind):
    digits = foreign_digits(50, seed=9, kinds=[kind])
    said = look(net, torch.cat([prepare(p.image) for p in digits]))["output"].argmax(1)
    assert np.mean(said.numpy() == [p.label for p in digits]) >= (
        0.95 if kind in CLEAN_KINDS else 0.9
    )


@pytest.mark.slow
def test_who_is_refused_and_who_passes(net):
    passed = {}
    for picture in foreign_digits(100, seed=9) + non_digits(200, seed=9):
        passed.setdefault(picture.kind, []).append(predict(net, picture.image).is_digit)
    share = {kind: np.mean(said) for kind, said in passed.items()}
    assert np.mean([share[kind] for kind in CLEAN_KINDS]) >= 0.95
    assert (
        share["blank"] <= 0.1
        and share["noise"] <= 0.05
        and share["scribble"] <= 0.3
        and share["letter"] <= 0.5
    ), share
