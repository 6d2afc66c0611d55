"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from mnist_course.widgets.moving import (
    growing_average,
    growing_digit,
    sliding_cover,
    sliding_score,
    strokes,
)

LOGITS = torch.tensor([1.5, 0.5, -0.5, 0.0])


def states(svg: str, part: str) -> list[float]:
    "The numbers through which a part is scaled, in the order of time."
    (rule,) = re.findall(rf"@keyframes mc\d+{part}\{{(.*?\}})\}}", svg)
    return [float(scale) for scale in re.findall(r"scaleY\(([\d.]+)\)", rule)]


def test_bars_are_the_probabilities_and_arrows_what_is_missing_or_too_much():
    svg = sliding_score(LOGITS, label=2, reach=4).svg()
    bars = torch.tensor([states(svg, f"b{k}") for k in range(4)])
    arrows = torch.tensor([states(svg, f"s{k}") for k in range(4)])
    torch.testing.assert_close(bars.sum(0), torch.ones(bars.shape[1]), atol=3e-4, rtol=0)
    torch.testing.assert_close(bars[:, 0], LOGITS.softmax(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(bars[:, -1], bars[:, 0])  # there and back
    lowest = LOGITS - torch.tensor([0.0, 0, 4, 0])
    torch.testing.assert_close(bars[:, bars[2].argmin()], lowest.softmax(0), atol=1e-4, rtol=0)
    wrong = [0, 1, 3]
    torch.testing.assert_close(arrows[wrong], bars[wrong])
    torch.testing.assert_close(arrows[2], arrows[wrong].sum(0), atol=3e-4, rtol=0)  # they balance


def test_it_stands_still_where_somebody_prefers_that_and_is_described():
    diagram = sliding_score(LOGITS, label=2, names="abcd")
    svg = diagram.svg()
    ElementTree.fromstring(svg)
    moving = set(re.findall(r"\.(mc\d+\w+)\{transform-origin", svg))
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    assert {name.strip(".") for name in calm.split(",")} == moving and len(moving) == 3 * 4 + 1
    assert "the label c slides" in diagram.description and "c 0.08" in diagram.description


def test_two_on_one_page_keep_their_rules_apart():
    names = [set(re.findall(r"@keyframes (\w+)", sliding_score(LOGITS, 0).svg())) for _ in range(2)]
    assert names[0] and not names[0] & names[1]


@pytest.mark.parametrize(("label", "names"), [(4, ""), (-1, ""), (0, "ab")])
def test_a_label_or_names_that_do_not_fit(label, names):
    with pytest.raises(ValueError, match="4 logits need a label below that"):
        sliding_score(LOGITS, label, names)


def test_a_pen_leaves_ink_behind_and_takes_none_away():
    pages = strokes([(4, 4), (4, 16), (16, 16)], frames=7, side=20, width=2.4)
    assert pages.shape == (7, 20, 20) and pages.dtype == torch.uint8
    assert (pages[1:] >= pages[:-1]).all()
    assert pages[0, 4, 4] == 255 and pages[0, 4, 6] == 0
    assert (pages[3, 4, 4:17] == 255).all() and pages[3, 6:, 16].max() == 0  # half of the way
    assert (pages[-1, 4:17, 16] == 255).all() and pages[-1, 18, 16] == 0


def test_a_pen_that_rests_on_a_point_draws_a_dot():
    pages = strokes([(5, 5), (5, 5)], frames=2, side=10)
    assert torch.equal(pages[0], pages[1]) and pages[0, 5, 5] == 255


GROWING = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]])


def test_bars_follow_and_the_last_page_and_answer_are_what_stays():
    pages = strokes([(2, 2), (2, 7)], frames=4, side=10)
    diagram = growing_digit(pages, GROWING)
    svg = diagram.svg()
    ElementTree.fromstring(svg)
    bars = torch.tensor([states(svg, f"b{k}") for k in range(3)])
    torch.testing.assert_close(bars, GROWING.T, atol=1e-4, rtol=0)
    assert svg.count("<image") == 4
    ends = dict(re.findall(r"\.mc\d+a(\d)\{[^}]*?;transform:scale\((\d)\)", svg))
    assert ends == {"0": "1", "1": "0"}  # 2 is never the answer
    assert "at first 0, then 1, then 0. In the end it is 90.0%" in diagram.description


def test_it_stands_still_as_it_ends_where_somebody_prefers_that():
    svg = growing_digit(strokes([(2, 2), (2, 7)], frames=4, side=10), GROWING).svg()
    moving = set(re.findall(r"@keyframes (mc\d+\w+)", svg))
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    assert moving <= {name.strip(".") for name in calm.split(",")} and len(moving) == 1 + 3 + 2


@pytest.mark.parametrize(("pages", "rows"), [(4, 3), (1, 1)])
def test_moments_that_do_not_fit(pages, rows):
    with pytest.raises(ValueError, match="two moments or more"):
        growing_digit(torch.zeros(pages, 9, 9, dtype=torch.uint8), torch.ones(rows, 10) / 10)


# An average that grows


def drawn(svg: str) -> list[np.ndarray]:
    "The pictures of an SVG, in the order in which they're drawn."
    found = re.findall(r"data:image/png;base64,([\w+/=]+)", svg)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_each_panel_ends_with_the_average_of_its_count():
    images = torch.rand(9, 5, 6)
    svg = growing_average(images, counts=(1, 3, 9)).svg()
    ElementTree.fromstring(svg)
    averages = [(255 * images[:n].double().mean(0)).round().numpy() for n in (1, 3, 9)]
    panels: dict[str, np.ndarray] = {}  # the last picture at a place covers the others
    places = re.findall(r'<image[^>]*? x="([\d.]+)"', svg)
    for place, picture in zip(places, drawn(svg), strict=True):
        panels[place] = picture
    for picture, average in zip(panels.values(), averages, strict=True):
        assert np.abs(picture.astype(float) - average).max() <= 1
    assert "prefers-reduced-motion" in svg and "@media print" in svg


@pytest.mark.parametrize("counts", [(), (0, 2), (2, 1), (2, 2), (1, 10)])
def test_counts_that_do_not_grow_or_ask_for_too_many(counts):
    with pytest.raises(ValueError, match=r"counts must grow|10 images"):
        growing_average(torch.rand(9, 4, 4), counts)


def test_a_square_walks_and_ends_where_the_last_class_gets_most():
    shares = torch.rand(3, 4, 5).softmax(dim=2)
    shares[1, 2] = torch.tensor([0.1, 0.1, 0.1, 0.1, 0.6])
    sheet = sliding_cover(torch.rand(9, 9), shares, [0, 4], size=3, stride=2)
    svg = sheet.svg()
    ElementTree.fromstring(svg)
    walk = states(svg, "b1")
    torch.testing.assert_close(torch.tensor(walk[:12]), shares[..., 4].flatten(), atol=1e-3, rtol=0)
    assert walk[-1] == 0.6 and states(svg, "b0")[-1] == 0.1
    (places,) = re.findall(r"@keyframes mc\d+q\{(.*?\})\}", svg)
    moves = re.findall(r"translate\((\d+)px,(\d+)px\)", places)
    assert len(set(moves)) == 12 and moves[0] == ("0", "0") and moves[-1] == ("36", "18")
    assert "row 2, column 4" in sheet.description and "4 60.0%" in sheet.description


@pytest.mark.parametrize(
    ("shape", "classes"),
    [((4, 4), [0]), ((4, 4, 3), [3]), ((4, 4, 3), []), ((5, 4, 3), [0]), ((0, 4, 3), [0])],
)
def test_a_square_that_leaves_the_image_or_classes_that_do_not_exist(shape, classes):
    with pytest.raises(ValueError, match=r"shares \(rows, columns, C\) are needed"):
        sliding_cover(torch.rand(9, 9), torch.rand(shape), classes, size=3, stride=2)
