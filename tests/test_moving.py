"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import re
from xml.etree import ElementTree

import pytest
import torch

from mnist_course.widgets.moving import growing_clouds, sliding_score

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


def test_every_run_drops_one_dot_and_the_bar_ends_from_lowest_to_highest():
    rows = {"a": [91.2, 90.1, 92.7, 91.2], "b": [95.0, 95.0]}
    diagram = growing_clouds(rows, seconds=4)
    svg = diagram.svg()
    ElementTree.fromstring(svg)
    dots = [float(x) for x in re.findall(r'<circle class="mc\d+d" cx="([\d.]+)"', svg)]
    assert len(dots) == 6 and dots[0] == dots[3] and dots[4] == dots[5]
    heights = re.findall(r'<circle class="mc\d+d" cx="[\d.]+" cy="([\d.]+)"', svg)
    assert heights[0] != heights[3] and heights[4] != heights[5]  # they pile up
    (end,) = re.findall(
        r"\.mc\d+r0\{transform:translate\(([\d.]+)px,\d+px\) scale\(([\d.]+),1\)\}", svg
    )
    left, wide = map(float, end)
    assert abs(left - dots[1]) <= 5 and abs(left + wide - dots[2]) <= 5  # half a dot
    assert "a: 4 runs from 90.10% to 92.70%, mean 91.30%" in diagram.description
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    moving = set(re.findall(r"\.(mc\d+\w+)\{animation:", svg))
    assert {name.strip(".") for name in calm.split(",")} == moving and len(moving) == 4


def test_one_run_is_a_cloud_too_and_none_is_not():
    assert growing_clouds({"one": [88.0]}).svg().count("<circle") == 1
    for rows in ({}, {"empty": []}):
        with pytest.raises(ValueError, match="at least one"):
            growing_clouds(rows)
