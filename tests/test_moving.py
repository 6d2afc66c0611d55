"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import re
from xml.etree import ElementTree

import pytest
import torch

from mnist_course.arithmetic import output_size
from mnist_course.widgets.moving import sliding_score, stepping_kernel

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


@pytest.mark.parametrize(
    "settings", [(28, 5), (28, 5, 3), (11, 3, 2, 1), (12, 4, 3, 2, 3), (9, 1, 2), (6, 6)]
)
def test_a_stepping_kernel_counts_its_places_and_says_what_it_never_reads(settings):
    size, kernel_size, *rest = settings
    stride, padding, dilation = [*rest, *(1, 0, 1)[len(rest) :]]
    diagram = stepping_kernel(*settings)
    svg = diagram.svg()
    root = ElementTree.fromstring(svg)
    places = output_size(*settings)
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    numbered = [word for word in words if word and word.isdigit()]
    assert numbered[-places:] == [str(place + 1) for place in range(places)]
    assert len(numbered) == size + 2 * padding + places
    row = torch.zeros(1, 1, 1, size, requires_grad=True)
    kernel = torch.ones(1, 1, 1, kernel_size)
    out = torch.nn.functional.conv2d(row, kernel, None, stride, (0, padding), dilation)
    out.sum().backward()
    never = [str(i) for i in range(size) if row.grad[0, 0, 0, i] == 0]
    assert out.shape[-1] == places
    said = f"pixels never read: {', '.join(never)}" if never else f"{places} place"
    assert said in diagram.description and ("never read" in diagram.description) == bool(never)
    assert ("steps(" in svg) == (places > 1)  # one place: nothing moves


def test_a_kernel_that_fits_nowhere_takes_no_step():
    with pytest.raises(ValueError, match="does not fit"):
        stepping_kernel(5, 3, dilation=3)
