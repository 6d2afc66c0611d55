"Moving pictures: what moves is what the numbers say, and it ends where a still would show it."

import base64
import io
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers import is_approved
from PIL import Image

from mnist_course.arithmetic import output_size
from mnist_course.backprop import Value, backward
from mnist_course.engine.interpret import growing_run
from mnist_course.loss import numerical_gradient
from mnist_course.widgets.moving import (
    _panes,
    blame_wave,
    coarser_weights,
    flowing_digit,
    growing_average,
    growing_clouds,
    growing_curves,
    growing_digit,
    growing_kernels,
    parting_crowds,
    prepared,
    show_graph,
    shrinking_bars,
    sliding_cover,
    sliding_kernel,
    sliding_score,
    stepping_kernel,
    strokes,
    turning_digit,
    turning_right,
    two_balls,
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


def test_curves_grow_to_the_end_and_are_named_after_that():
    losses = {"flat": [2.0, 2.0, 2.0], "leaps": [2.0, 9.0, 1.0]}
    svg = growing_curves(losses, [2.0, 1.0, 0.5], seconds=5, top=4, columns=2).svg()
    ElementTree.fromstring(svg)
    drawn = re.findall(r'<polyline pathLength="1" points="([^"]+)"', svg)
    assert len(drawn) == 2
    heights = [[float(pair.split(",")[1]) for pair in points.split()] for points in drawn]
    assert len(set(heights[0])) == 1 and heights[1][1] < heights[1][0] < heights[1][2]
    (delay,) = re.findall(r"n 0\.6s ([\d.]+)s both", svg)
    assert float(delay) > 5 and "prefers-reduced-motion" in svg
    assert "flat, 2.00; leaps, 1.00" in svg
    with pytest.raises(ValueError, match="two steps"):
        growing_curves({}, [1.0, 2.0])


# A drawing on its way to 28 x 28


def test_a_drawing_ends_as_the_page_that_was_prepared():
    gray = torch.ones(60, 90)
    gray[20:50, 50:60] = 0.2
    ink = (gray < 0.5).float()
    page = torch.zeros(28, 28, dtype=torch.uint8)
    page[4:24, 11:18] = 255
    frames = prepared(gray, ink, (20, 50, 30, 10), page, moments=4)
    assert frames.shape == (4 * 4 + 1, 28, 28) and frames.dtype == torch.uint8
    assert torch.equal(frames[-1], page) and frames[0].float().mean() > 200  # light paper
    assert frames[4].float().mean() < 60  # it's ink on black by now
    assert (frames[8] == 255).all()  # cropped: nothing but ink
    covered = (frames[-2].double() * page.double()).sum() / frames[-2].double().sum() / 255
    assert covered > 0.9  # the last move ends where the page has its ink


def test_captions_take_turns():
    frames = torch.zeros(5, 9, 9, dtype=torch.uint8)
    svg = growing_digit(frames, torch.ones(5, 10) / 10, captions=("one", "two")).svg()
    first, second = (
        [int(n) for n in re.findall(r"scale\((\d)\)", rule)]
        for rule in re.findall(r"@keyframes mc\d+c\d\{(.*?\})\}", svg)
    )
    assert first == [1, 1, 0, 0, 0] and second == [0, 0, 1, 1, 1]


# Weights that take fewer bits


def test_weights_move_to_the_values_that_are_left():
    weights = torch.tensor([-0.6, 0.25, 0.5])
    rounded = {32: weights, 3: torch.tensor([-0.6, 0.2, 0.4]), 2: torch.tensor([-0.6, 0.0, 0.6])}
    svg = coarser_weights(rounded, {32: 4, 3: 5, 2: 900}, 1000, seconds=6).svg()
    ElementTree.fromstring(svg)
    for k, path in enumerate(torch.stack([*rounded.values()]).T.tolist()):
        (frames,) = re.findall(rf"@keyframes mc\d+d{k}{{(.*?)to{{", svg)
        moved = [float(x) for x in re.findall(r"translateX\((-?[\d.]+)px\)", frames)]
        assert [round(x / moved[0] * path[0], 2) for x in moved] == [round(w, 2) for w in path]
        (last,) = re.findall(rf"d{k}{{transform:translateX\((-?[\d.]+)px\)", svg)
        assert float(last) == moved[-1]  # a still shows the end
    assert svg.count("<circle") == 3 and "prefers-reduced-motion" in svg
    assert "4 with 32, 5 with 3, 900 with 2" in svg and "2 bits: 3 values" in svg
    for few, counts in (
        ({8: weights}, {8: 1}),
        (rounded, {32: 4, 2: 5}),
        ({8: weights, 4: weights[:2]}, {8: 1, 4: 2}),
        ({8: weights, 1: weights}, {8: 1, 1: 2}),
    ):
        with pytest.raises(ValueError, match="2 or more"):
            coarser_weights(few, counts, 10)


def test_a_digit_turns_and_bars_follow():
    shares = torch.tensor([[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]])
    sheet = turning_digit(torch.rand(9, 9), [0, 40, 90], shares, [1, 0])
    svg = sheet.svg()
    ElementTree.fromstring(svg)
    assert "rotate(0deg)" in svg and "rotate(90deg)" in svg and svg.count("@keyframes") == 3
    assert "scaleY(0.750)" in svg and "prefers-reduced-motion" in svg
    assert "40 degrees, 1 with 75%; 90 degrees, 0 with 100%" in sheet.description


@pytest.mark.parametrize(
    ("degrees", "shape", "classes"),
    [([0], (1, 2), [0]), ([0, 9], (3, 2), [0]), ([0, 9], (2, 2), [2]), ([0, 9], (2, 2), [])],
)
def test_a_turning_digit_needs_an_answer_at_each_angle(degrees, shape, classes):
    with pytest.raises(ValueError, match="shares"):
        turning_digit(torch.rand(9, 9), degrees, torch.rand(shape), classes)


ROAD = {"all of it": 1, "fewer digits": 0.25, "less work": 0.1}


def test_a_bar_shrinks_from_what_was_there_to_what_is_left():
    diagram = shrinking_bars(ROAD)
    svg = diagram.svg()
    ElementTree.fromstring(svg)
    starts = re.findall(r"from\{transform:scaleX\(([\d.]+)\)\}to\{transform:scaleX\(1\)", svg)
    assert [float(one) for one in starts] == [4, 2.5]
    filled = [float(one) for one in re.findall(r'width="([\d.]+)" height="30" fill="#', svg)]
    assert filled == [560, 140, 56]
    outlines = re.findall(r'width="([\d.]+)" height="30" fill="none"', svg)
    assert [float(one) for one in outlines] == [560, 140]  # each as long as the bar before
    assert "4.0 times as fast" in svg and "10.0 times as fast" in diagram.description


def test_a_shrinking_bar_stands_still_where_somebody_prefers_that():
    svg = shrinking_bars(ROAD).svg()
    moving = set(re.findall(r"@keyframes (mc\d+\w+)", svg))
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    assert moving == {name.strip(".") for name in calm.split(",")} and len(moving) == 3


@pytest.mark.parametrize("shares", [{"one": 1}, {"a": 1, "b": 0}, {"a": 1, "b": 1.5}])
def test_shares_that_cannot_be(shares):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        shrinking_bars(shares)


# Kernels that grow, and digits that find their heap

NOISE = torch.rand(16, 3, 3, generator=torch.Generator().manual_seed(1)) - 0.5
GROWN = torch.stack([NOISE, NOISE + 0.25, NOISE + 0.5])


def test_both_sides_begin_and_end_with_what_the_kernels_are_and_what_was_added():
    diagram = growing_kernels(GROWN, ["step 0", "step 5", "step 9"])
    svg = diagram.svg()
    ElementTree.fromstring(svg)
    most = GROWN.abs().max()
    wanted = [*GROWN, *(GROWN - GROWN[0])]
    for picture, kernels in zip(drawn(svg), wanted, strict=True):
        rows = kernels.unflatten(0, (2, 8)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
        shown = picture.astype(float) / 255
        assert np.abs(shown - (0.5 + rows / (2 * most)).numpy()).max() < 0.004
    assert "At first: step 0. In the end: step 9." in diagram.description
    assert stands_still(svg) and svg.count(">step ") == 3


def stands_still(svg: str) -> bool:
    "Whether all that moves is told to stand still, for print and for those who prefer it."
    moving = set(re.findall(r"\.(mc\d+\w+)\{[^}]*animation:(?!none)", svg))
    (calm,) = re.findall(r"@media print,\(prefers-reduced-motion:reduce\)\{(.*?)\{", svg)
    return bool(moving) and moving == {name.strip(".") for name in calm.split(",")}


HEAPS = (
    torch.tensor([[0.0, 0.1], [0.1, 0.0], [-0.1, 0.0]]) * torch.tensor([1, 30, 80])[:, None, None]
)
DIGITS = torch.tensor([7, 1, 7])


def test_each_numeral_travels_through_its_places_and_stays_at_the_last():
    diagram = parting_crowds(HEAPS, DIGITS, torch.eye(28), 1, ["a · b", "c · d", "e · f"])
    svg = diagram.svg()
    ElementTree.fromstring(svg)
    ways = re.findall(r'<text class="mc\d+m" style="([^"]*)" y="2.7" >(\d)</text>', svg)
    assert [digit for _, digit in ways] == ["1", "7", "7"]
    places = torch.tensor(
        [[[int(n) for n in at.split(":")[1].replace("px", "").split()] for at in way.split(";")]
         for way, _ in ways]
    )  # (N, moments, 2)  # fmt: skip
    across, up = places[..., 0].double(), -places[..., 1].double()
    order = [1, 0, 2]
    for seen, true in ((across, HEAPS[:, order, 0]), (up, HEAPS[:, order, 1])):
        scale = 200 / (HEAPS.amax((0, 1)) - HEAPS.amin((0, 1))).max()  # about as many steps
        apart = (seen.T[1:] - seen.T[:1]) / (true[1:] - true[:1]).where(true[1:] != true[:1], 1)
        assert ((apart[true[1:] != true[:1]] / scale - 1).abs() < 0.1).all()
    assert re.search(r"m\{translate:var\(--2\);animation", svg)
    (ring,) = re.findall(r'<g class="mc\d+m" style="([^"]*)" ><circle', svg)
    assert ring == ways[0][0]
    assert "follow this 1" in svg and stands_still(svg)
    assert "At first: a · b" in diagram.description and "In the end: e · f" in diagram.description


def test_growing_pictures_whose_parts_do_not_fit():
    for kernels, notes in ((GROWN[:, :15], "abc"), (GROWN, "ab"), (GROWN[:1], "a"), (NOISE, "a")):
        with pytest.raises(ValueError, match="a multiple of 8"):
            growing_kernels(kernels, notes)
    for points, labels, follow, notes in (
        (HEAPS, DIGITS[:2], 0, "abc"),
        (HEAPS, DIGITS, 3, "abc"),
        (HEAPS, DIGITS, 0, "ab"),
        (HEAPS[..., :1], DIGITS, 0, "abc"),
        (HEAPS[:1], DIGITS, 0, "a"),
        (HEAPS[0], DIGITS, 0, "abc"),
    ):
        with pytest.raises(ValueError, match="are needed"):
            parting_crowds(points, labels, torch.eye(28), follow, notes)


def test_the_pictures_of_the_recorded_run_are_small(sample):
    run = growing_run()
    notes = [
        f"step {step} · reads {share:.0%}" for step, share in zip(run.steps, run.right, strict=True)
    ]
    image, labels = sample[1].images[47] / 255, sample[1].labels[:200]
    assert len(growing_kernels(run.kernels, notes).svg()) < 60_000
    assert len(parting_crowds(run.points, labels, image, 47, notes).svg()) < 60_000


# What has been looked at

SMALL = torch.arange(81.0).reshape(9, 9) / 80
SHARES = torch.tensor([[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]])
PICTURES = {
    "sliding kernel": lambda: sliding_kernel(SMALL, SMALL[:3, :3] - 0.1),
    "sliding score": lambda: sliding_score(LOGITS, label=2, reach=4),
    "growing digit": lambda: growing_digit(
        strokes([(2, 2), (2, 7)], frames=4, side=10), GROWING, captions=("one", "two")
    ),
    "growing average": lambda: growing_average(SMALL.repeat(9, 1, 1), counts=(1, 3, 9)),
    "growing average, as it comes": lambda: growing_average(SMALL.repeat(1000, 1, 1)),
    "stepping kernel": lambda: stepping_kernel(7, 3, 2, 1),
    "flowing digit": lambda: flowing_digit(
        torch.eye(8), {"one": torch.arange(24.0).reshape(6, 2, 2), "two": torch.eye(3)[None]}, TEN
    ),
    "two balls": lambda: two_balls(STEEP, PATHS, names=("plain", "heavy")),
    "growing clouds": lambda: growing_clouds({"one": [88.0, 92.5, 90.0], "two": [95.0, 96.0]}),
    "blame wave": lambda: blame_wave(PIXELS, W1, W2, label=2, names="abc"),
    "graph": lambda: show_graph((Value(2.0) * Value(3.0) + Value(1.0)) * Value(-1.0)),
    "turning right": turning,
    "sliding cover": lambda: sliding_cover(
        SMALL, SHARES.repeat(2, 1).reshape(3, 2, 2), [0, 1], size=3, stride=2
    ),
    "growing curves": lambda: growing_curves(
        {"flat": [2.0, 2.0, 2.0], "leaps": [2.0, 9.0, 1.0], "falls": [2.0, 1.0, 0.5]},
        [2.0, 1.0, 0.5],
        columns=2,
    ),
    "coarser weights": lambda: coarser_weights(
        {32: torch.tensor([-0.6, 0.25, 0.5]), 3: torch.tensor([-0.6, 0.2, 0.4])}, {32: 4, 3: 5}, 100
    ),
    "turning digit": lambda: turning_digit(SMALL, [0, 40, 90], SHARES, [1, 0]),
    "shrinking bars": lambda: shrinking_bars(ROAD),
    "growing kernels": lambda: growing_kernels(
        torch.linspace(-1, 1, 432).reshape(3, 16, 3, 3), ["step 0", "step 5", "step 9"]
    ),
    "parting crowds": lambda: parting_crowds(
        HEAPS, DIGITS, torch.eye(28), 1, ["a · b", "c · d", "e · f"]
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_moving_picture_is_the_one_that_was_looked_at(name, tmp_path):
    is_approved(f"moving: {name}", PICTURES[name]().svg(), tmp_path)
