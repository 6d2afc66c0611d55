"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import re
from xml.etree import ElementTree

import pytest
import torch

from mnist_course.widgets.moving import sliding_score, two_balls

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


STEEP = torch.tensor([9.0, 1.0])
PATHS = [
    torch.tensor([[1.0, 4.0], [-1.0, 3.0], [0.5, 2.0]]),
    torch.tensor([[1.0, 4.0], [-1.0, 3.0], [0.0, 0.0]]),
]


def places(svg: str, ball: str) -> torch.Tensor:
    "Where a ball is, in the order of time, in units of the sheet."
    (rule,) = re.findall(rf"@keyframes mc\d+{ball}\{{(.*?\}})\}}", svg)
    found = re.findall(r"translate\(([-\d.]+)px,([-\d.]+)px\)", rule)
    return torch.tensor([[float(x), float(y)] for x, y in found])


def test_each_ball_follows_its_path_on_one_scale_and_ends_where_the_still_shows_it():
    svg = two_balls(STEEP, PATHS).svg()
    ElementTree.fromstring(svg)
    for k, path in enumerate(PATHS):
        moved = places(svg, f"b{k}")
        wanted = (path - path[0]) * torch.tensor([1.0, -1.0])  # down the page
        scale = (moved[1, 1] - moved[0, 1]) / wanted[1, 1]
        torch.testing.assert_close(moved - moved[0], scale * wanted, atol=0.2, rtol=0)
        (still,) = re.findall(rf"\.mc\d+b{k}\{{transform:translate\(([-\d.]+)px,([-\d.]+)px", svg)
        torch.testing.assert_close(torch.tensor([float(number) for number in still]), moved[-1])


def test_the_trails_grow_with_the_steps_and_nothing_moves_for_those_who_prefer_that():
    diagram = two_balls(STEEP, PATHS, names=("plain", "heavy"))
    svg = diagram.svg()
    for k in range(2):
        (rule,) = re.findall(rf"@keyframes mc\d+t{k}\{{(.*?\}})\}}", svg)
        left = [float(part) for part in re.findall(r"dashoffset:([\d.]+)", rule)]
        assert left == sorted(left, reverse=True) and left[0] > 0 == left[-1]
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    assert len(calm.split(",")) == 4
    assert "plain, it is 2.1 from the star after 2 steps" in diagram.description


def test_balls_that_cannot_race():
    with pytest.raises(ValueError, match="need as many names"):
        two_balls(STEEP, PATHS, names=("one",))
    with pytest.raises(ValueError, match="equally long"):
        two_balls(STEEP, [PATHS[0], PATHS[1][:2]])
