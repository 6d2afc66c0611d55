"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import re
from xml.etree import ElementTree

import pytest
import torch

from mnist_course.widgets.moving import sliding_score, turning_right

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


ANSWERS = torch.tensor([[3, 3], [1, 3], [1, 3], [7, 4], [1, 4]])  # five moments, of a 1 and a 4


def turning(seconds=10, **other):
    parts = {
        "images": torch.zeros(2, 4, 4),
        "labels": torch.tensor([1, 4]),
        "answers": ANSWERS,
        "steps": range(0, 50, 10),
        "losses": [2.4, 2.0, 1.2, 1.8, 0.6],
    }
    return turning_right(**parts | other, seconds=seconds)


def spans(svg: str) -> list[tuple[float, float | None, str]]:
    "What is shown: from which second, for how many of them (None: it stays), and its last words."
    groups = re.findall(r'<g class="mc\d+[sw]" style="([^"]+)">(.*?)</g>', svg, re.S)
    found = []
    for style, inside in groups:
        at = float(re.search(r"--at:([\d.]+)s", style)[1])
        length = re.search(r"--for:([\d.]+)s", style)
        words = re.findall(r">([^<]+)</text>", inside)[-1]
        found.append((at, float(length[1]) if length else None, words))
    return found


def test_each_answer_is_shown_for_as_long_as_it_was_given():
    svg = turning().svg()
    ElementTree.fromstring(svg)
    shown = spans(svg)
    assert [one for one in shown if one[2] in "134 7"] == [
        (0, 2, "3"),
        (2, 4, "1"),
        (6, 2, "7"),
        (8, None, "1"),
        (0, 6, "3"),
        (6, None, "4"),
    ]
    assert [one for one in shown if "of 2" in one[2]] == [
        (0, 2, "0 of 2 right"),
        (2, 6, "1 of 2 right"),
        (8, None, "2 of 2 right"),
    ]
    assert [one[:2] for one in shown if "step" in one[2]] == [
        (0, 2),
        (2, 2),
        (4, 2),
        (6, 2),
        (8, None),
    ]
    green = svg.count('rx="4" fill="#009E73"')
    assert green == 3  # twice the 1, once the 4


def test_the_last_answers_stay_where_nothing_should_move():
    diagram = turning()
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", diagram.svg())
    assert {name[-1] for name in calm.split(",")} == {"s", "w", "d"}
    assert "After step 0 it reads 0 of them" in diagram.description
    assert "after step 40 2, while the loss goes from 2.40 to 0.60" in diagram.description


@pytest.mark.parametrize(
    "other",
    [
        {"labels": torch.tensor([1])},
        {"answers": ANSWERS[:3]},
        {"answers": ANSWERS[:, :1]},
        {"losses": [2.4]},
        {"steps": [0], "answers": ANSWERS[:1], "losses": [2.4]},
    ],
)
def test_digits_answers_and_losses_that_do_not_belong_together(other):
    with pytest.raises(ValueError, match="2 images"):
        turning(**other)
