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


# Each picture's mean. Were they drawn in another way, what lesson 11 says and what is recorded
# would be of other pictures.
DRAWN = {
    "thin pen": [247.9, 4.2, 246.7, 7.9],
    "pen": [230.0, 243.9, 234.7, 234.2],
    "thick pen": [212.5, 34.4, 41.3, 46.4],
    "printed": [35.7, 241.5, 234.2, 21.1],
    "off-centre": [11.5, 249.5, 242.4, 245.2],
    "small": [1.7, 253.8, 1.4, 253.5],
    "turned": [235.7, 245.1, 233.4, 29.9],
    "low resolution": [226.0, 15.0, 32.4, 229.4],
    "photograph": [173.9, 186.0, 154.6, 156.5],
    "squared paper": [215.7, 229.1, 217.2, 227.8],
    "blank": [205.3, 179.3, 165.2, 192.9],
    "noise": [133.3, 75.5, 37.7, 126.7],
    "scribble": [50.0, 76.4, 67.8, 16.2],
    "letter": [32.0, 31.6, 20.8, 41.1],
    "letter like a digit": [29.3, 8.7, 19.6, 21.6],
}


def test_the_pictures_are_those_that_were_measured():
    found = {}
    for made in (foreign_digits(40), non_digits(20)):
        for picture in made:
            found.setdefault(picture.kind, []).append(picture.image.mean())
    assert list(found) == list(DRAWN)
    for kind, means in found.items():
        assert means == pytest.approx(DRAWN[kind], abs=0.3), kind


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
    straight = _curve([(1.0, 1.0), (2.0, 3.0), (3.0, 5.0)], parts=4)  # evenly, to both its ends
    np.testing.assert_allclose(straight, np.linspace([1, 1], [3, 5], 9), atol=1e-12)


@pytest.mark.parametrize(("kind", "off"), [("pen", 0), ("off-centre", 0.2), ("small", 0.3)])
def test_some_digits_stand_off_the_middle_each_in_a_direction_of_its_own(kind, off):
    places = []
    for picture in foreign_digits(60, kinds=[kind]):
        ink = picture.image.astype(float)
        ink = 255 - ink if ink[0, 0] > 128 else ink
        down, right = (np.arange(_SIDE) @ ink.sum(axis) / ink.sum() for axis in (1, 0))
        places.append((right / _SIDE - 0.5, down / _SIDE - 0.5))
    across, along = np.array(places).T
    for way in (across, along):
        assert abs(way.mean()) < 0.1
        assert way.std() == pytest.approx(off / 3**0.5, abs=0.04)  # of numbers from -off to off
    if off:
        assert abs(np.corrcoef(across, along)[0, 1]) < 0.4


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
