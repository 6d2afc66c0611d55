"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import re
from xml.etree import ElementTree

import pytest
import torch

from mnist_course.backprop import Value, backward
from mnist_course.loss import numerical_gradient
from mnist_course.widgets.moving import blame_wave, show_graph, sliding_score

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


# ---- blame that travels

PIXELS = torch.tensor([1.0, 0.5, -1.0])
W1 = torch.tensor([[1.0, 2.0, 0.5], [-1.0, -2.0, 0.25]])  # the second is shut
W2 = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.0, 0.0]])


def test_the_wave_ends_with_the_slopes_that_nudging_finds():
    diagram = blame_wave(PIXELS, W1, W2, label=2)
    words = re.findall(r">(-?[\d.]+)</text></g>", diagram.svg())

    def loss(w1):
        return -(W2.double() @ (w1 @ PIXELS.double()).relu()).log_softmax(0)[2]

    for slope in numerical_gradient(loss, W1.double()).flatten().tolist():
        assert f"{round(slope, 2) + 0:g}" in words
    assert "hidden numbers are 1.5, 0," in diagram.description


def test_the_wave_stands_still_where_somebody_prefers_that():
    svg = blame_wave(PIXELS, W1, W2, label=0, names="abc").svg()
    ElementTree.fromstring(svg)
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    moving = set(re.findall(r"\.(mc\d+\w+)\{(?:opacity|animation)", svg))
    assert {name.strip(".") for name in calm.split(",")} == moving
    assert len(moving) == 1 + 2 * (3 * 2 + 2 * 3 + 3)  # what appears, and a dot each way


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((PIXELS, W1[:, :2], W2, 0), r"w1 must be \(H, 3\), got \(2, 2\)"),
        ((PIXELS, W1, W2.T, 0), r"w2 must be \(C, 2\), got \(2, 3\)"),
        ((PIXELS, W1, W2, 3), "3 scores need a label below that"),
        ((PIXELS, W1, W2, 0, "ab"), "and as many names or none"),
    ],
)
def test_a_wave_whose_parts_do_not_fit(parts, words):
    with pytest.raises(ValueError, match=words):
        blame_wave(*parts)


def test_a_graph_shows_each_value_once_with_its_slope():
    a, b = Value(2.0), Value(torch.ones(2, 3))
    c = a * a + b.sum()
    backward(c)
    diagram = show_graph(c, {"a": a, "c": c})
    ElementTree.fromstring(diagram.svg())
    assert diagram.description.startswith("5 values. ")
    for words in ("a: 2, slope 4", "a number: 2 x 3, slope 2 x 3", "c = +: 10, slope 1"):
        assert words in diagram.description


def test_a_graph_that_no_sheet_can_hold():
    y = Value(1.0)
    for _ in range(12):
        y = y + y
    with pytest.raises(ValueError, match="13 values in 13 columns are too many to draw"):
        show_graph(y)
