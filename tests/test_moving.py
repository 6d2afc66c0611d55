"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch

from mnist_course.widgets.moving import _panes, flowing_digit, sliding_score

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


# --- a digit that flows through the layers

TEN = torch.tensor([0.02, 0.03, 0.05, 0.6, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05])


def layers(*sizes: tuple[int, int]) -> dict[str, torch.Tensor]:
    return {f"layer {i}": torch.rand(c, s, s) + 0.1 for i, (c, s) in enumerate(sizes, 1)}


def test_each_layer_comes_after_the_one_before_and_the_answer_comes_last():
    svg = flowing_digit(torch.eye(8), layers((4, 6), (9, 4), (30, 2)), TEN, seconds=8).svg()
    ElementTree.fromstring(svg)
    times = re.findall(r"\.mc\d+p(\d)\{animation:mc\d+k\d ([\d.]+)s ease-in-out ([\d.]+)s", svg)
    assert [int(i) for i, *_ in times] == [1, 2, 3, 4]
    spans = [(float(start), float(start) + float(length)) for _, length, start in times]
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert spans[-1][1] == 8
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    assert len(calm.split(",")) == 2 * 4  # each pane, and what is written above it


def test_the_maps_with_the_largest_single_number_are_shown():
    maps = torch.full((9, 5, 5), 0.5)  # as sums, these are larger
    maps[[2, 3, 5, 7]] = 0
    maps[[2, 3, 5, 7], 1, 1] = torch.tensor([1.0, 2, 4, 3])
    panes = _panes(maps, 2)
    assert panes.shape == (10, 10) and panes.count_nonzero() == 4
    assert [panes[1, 1], panes[1, 6], panes[6, 1], panes[6, 6]] == [4, 3, 2, 1]
    assert "up to 4.00" in flowing_digit(torch.eye(5), {"one": maps}, TEN).description


def test_the_bars_are_the_probabilities_and_the_best_is_said():
    diagram = flowing_digit(torch.eye(5), layers((4, 3)), TEN, seconds=0)
    svg = diagram.svg()
    assert "animation" not in svg and "60%" in svg and "the 3 has the largest, 0.60" in svg
    assert diagram.description.startswith("One after the other: the digit, 4 of 4 maps, 3 x 3")


@pytest.mark.parametrize(
    ("image", "maps", "ten"),
    [
        (torch.eye(5)[None], torch.rand(4, 3, 3), TEN),
        (torch.eye(5), torch.rand(1, 4, 3, 3), TEN),
        (torch.eye(5), torch.rand(4, 3, 3), TEN[None]),
    ],
)
def test_shapes_that_do_not_fit_a_flow(image, maps, ten):
    with pytest.raises(ValueError, match="flowing_digit needs an image"):
        flowing_digit(image, {"one": maps}, ten)
