"Diagrams: what is drawn is what the numbers say, every reader gets it, and the letters stay on the paper, in the light and in the dark."

import re
from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import is_approved
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnist_course.arithmetic import ledger
from mnist_course.model import Net
from mnist_course.widgets.diagrams import (
    _COLORS,
    _DARK,
    _LIGHT,
    Diagram,
    _contrast,
    _cuts,
    _ink_on,
    _mosaic,
    _plain,
    _spread,
    _sure,
    areas,
    convolution,
    looking,
    preparation,
    shapes,
    to_scale,
    training_loop,
    views,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawings() -> dict[str, Diagram]:
    "One of each kind, and some that are hard to place."
    random = torch.Generator().manual_seed(0)
    whole = [torch.randint(-3, 4, size, generator=random) for size in ((2, 5, 5), (2, 3, 3))]
    many = nn.Sequential(
        *(nn.Conv2d(1 if i == 0 else 4, 4, 3) for i in range(11)),
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, 10),
    )
    waves = np.sin(np.arange(1200) / 60) / 2 + 0.5
    steps = {
        "grey": waves[:, None] * waves[None, :900],
        "ink": np.eye(9, 40),
        "last": np.arange(784, dtype=np.uint8).reshape(28, 28),
    }
    maps = {
        name: torch.rand(count, side, side, generator=random)
        for name, count, side in (("a", 4, 26), ("b", 300, 4))
    }
    return {
        "to scale": to_scale(ledger(Net())),
        "to scale, twelve layers": to_scale(ledger(many)),
        "shapes": shapes(ledger(Net())),
        "shapes, twelve layers": shapes(ledger(many)),
        "convolution": convolution(*whole, bias=3, place=(1, 2)),
        "convolution of one channel": convolution(whole[0][:1], whole[1][:1] / 3),
        "training loop": training_loop(12_345, 200),
        "preparation": preparation(steps),
        "preparation, empty": preparation({"a blank page": np.zeros((5, 5), np.uint8)}),
        "looking": looking(torch.eye(28), maps, torch.tensor([0.995, 0.004, 0.001, *[0] * 7])),
        "areas": areas(("a dense layer", 16_981_120), ("conv1", 320)),
        "areas, a question": areas(("a dense layer", 16_981_120), ("conv1", 320), tell=False),
        "areas, a small difference": areas(("this", 6_000), ("that", 1_000)),
        "views": views(torch.eye(28), {"conv1": 3, "pool2": 16, "all": 30}, middle=(1, 27)),
        "looking, no idea": looking(
            torch.eye(28),
            dict.fromkeys(("conv1", "conv2", "conv3", "conv4"), maps["b"]),
            torch.full((10,), 0.1),
        ),
    }


@pytest.fixture(scope="module")
def all_drawings() -> dict[str, Diagram]:
    return drawings()


def texts(sheet: Diagram) -> list[str]:
    return [element.text for element in ElementTree.fromstring(sheet.svg()).iter(f"{SVG}text")]


def test_every_diagram_is_an_svg_that_says_what_it_shows(all_drawings):
    for name, sheet in all_drawings.items():
        root = ElementTree.fromstring(sheet.svg())
        assert root.tag == f"{SVG}svg" and root.get("role") == "img", name
        assert root[0].tag == f"{SVG}title" and root[1].tag == f"{SVG}desc", name
        assert (
            len(root[1].text) > 60
            and root[1].text.endswith(".")
            and root[0].text not in root[1].text
        ), name
        data, metadata = sheet._repr_mimebundle_()
        assert (
            metadata["image/svg+xml"]["alt"]
            == data["text/plain"]
            == f"{root[0].text}. {root[1].text}"
        ), name


def test_a_page_can_show_many_and_nothing_is_fetched(all_drawings):
    for name, sheet in all_drawings.items():
        svg = sheet.svg()
        assert " id=" not in svg and "url(" not in svg and "<script" not in svg, name
        assert all(
            link.startswith("data:image/png;base64,") for link in re.findall(r'href="([^"]+)"', svg)
        ), name
        assert len(svg) < 40_000, name


def test_the_same_numbers_give_the_same_file(all_drawings):
    assert {name: sheet.svg() for name, sheet in drawings().items()} == {
        name: sheet.svg() for name, sheet in all_drawings.items()
    }


def test_colours_can_be_told_apart_and_read():
    assert (
        _contrast("#000000", "#ffffff") == pytest.approx(21)
        and _contrast("#777777", "#777777") == 1
    )
    assert _contrast("#767676", "#ffffff") == pytest.approx(
        4.54, abs=0.01
    )  # the textbook's example of just enough
    for theme in (_LIGHT, _DARK):
        for under in ("paper", "shade"):
            assert min(_contrast(theme[ink], theme[under]) for ink in ("ink", "quiet")) > 4.5
        assert _contrast(theme["rule"], theme["paper"]) > 3
        assert (
            min(_contrast(colour, theme["paper"]) for colour in _COLORS) > 2
        )  # the outline does the rest
    assert min(_contrast(colour, _ink_on(colour)) for colour in _COLORS) > 4.5
    assert _LIGHT.keys() == _DARK.keys()


def test_words_are_escaped_and_silence_is_refused():
    sheet = Diagram("a < b", 100, 50)
    sheet.text(1, 20, "x & <y>")
    for sentence in ("", "  \n"):
        with pytest.raises(ValueError, match="needs a sentence"):
            sheet.describe(sentence)
    with pytest.raises(ValueError, match="describe the diagram"):
        sheet.svg()
    assert texts(sheet.describe('1 < 2 & "3".')) == ["x & <y>"]


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12).map(sorted), st.floats(5, 25))
def test_labels_keep_their_distance(wishes, room):
    places = _spread(wishes, room, 0, 300)
    assert all(b - a >= room - 1e-6 for a, b in pairwise(places))
    assert min(places) >= -1e-6 and max(places) <= 300 + 1e-6
    assert _spread(places, room, 0, 300) == pytest.approx(
        places
    )  # whoever stands well is left alone


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=9).filter(any))
def test_a_column_is_cut_in_proportion(values):
    pieces = _cuts(values, 10, 400)
    assert pieces[0][0] == 10 and pieces[-1][1] == pytest.approx(410)
    assert [high - low for low, high in pieces] == pytest.approx(
        [400 * value / sum(values) for value in values]
    )


def test_the_network_to_scale_is_to_scale():
    rows = ledger(Net())
    sheet = to_scale(rows)
    height: dict[str, list[float]] = {"190": [], "370": []}
    for points in re.findall(r'<polygon points="([^"]+)"(?! fill-opacity)', sheet.svg()):
        corners = [tuple(map(float, point.split(","))) for point in points.split()]
        left = f"{corners[0][0]:g}"
        if left in height and corners[1][0] - corners[0][0] == 40:
            height[left].append(corners[2][1] - corners[0][1])
    layers = [row for row in rows if row.params]
    assert height["190"] == pytest.approx(
        [340 * row.params / rows.params for row in layers], abs=0.02
    )
    assert height["370"] == pytest.approx([340 * row.macs / rows.macs for row in layers], abs=0.02)
    assert {f"{row.params:,}" for row in layers} | {f"{row.macs:,}" for row in layers} | {
        "593,200",
        f"{rows.macs:,}",
    } <= set(texts(sheet))
    assert (
        "fc1 34.5% and 0.5%" in sheet.description and "fc2 0.1% and under 0.1%" in sheet.description
    )


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="nothing to draw"):
        to_scale([SimpleNamespace(name="relu", params=0, macs=0)])


def test_shapes_names_every_tensor():
    said = texts(shapes(ledger(Net())))
    assert said[:3] == ["image", "1 x 28 x 28", "784 numbers"]
    assert {"32 x 26 x 26", "256 x 4 x 4", "4,096 numbers", "50 numbers", "10 numbers"} <= set(said)
    assert len([s for s in said if s.endswith("numbers")]) == 10


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (-0.0, "0"), (-0.001, "0"), (0.25, "0.2"), (-1.96, "-2.0"), (12.999, "13")],
)
def test_numbers_as_a_pencil_writes_them(value, text):
    assert _plain(value) == text


def test_the_convolution_is_torchs():
    random = torch.Generator().manual_seed(1)
    x, weight = (torch.randint(-4, 5, size, generator=random) for size in ((3, 4, 6), (3, 2, 3)))
    result = F.conv2d(x[None].float(), weight[None].float())[0, 0] + 2
    sheet = convolution(x, weight, bias=2, place=(2, 3))
    assert f"together {int(result[2, 3])}, one number of a map of 3 x 4." in sheet.description
    said = texts(sheet)
    start = said.index("map") + 1
    assert said[start : start + result.numel()] == [_plain(v) for v in result.flatten().tolist()]
    total = next(text for text in said if "(bias)" in text)
    terms, end = total.split(" = ")
    assert eval(terms.replace("2 (bias)", "2")) == int(end) == int(result[2, 3])


@pytest.mark.parametrize(
    ("sizes", "place"),
    [
        (((2, 4, 4), (1, 3, 3)), (0, 0)),
        (((4, 4), (3, 3)), (0, 0)),
        (((1, 4, 4), (1, 3, 3)), (0, 2)),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused(sizes, place):
    with pytest.raises(ValueError, match=r"same channels|not on the map"):
        convolution(*(torch.zeros(size) for size in sizes), place=place)


def test_the_last_picture_says_where_its_ink_balances():
    page = np.zeros((28, 28), np.uint8)
    page[10:13, 20] = 255
    assert (
        "balances on row 11.0, column 20.0" in preparation({"a": page / 255, "b": page}).description
    )
    assert "The last is empty" in preparation({"a": np.zeros((4, 4))}).description
    for wrong in ({}, {"a": np.zeros((1, 4, 4))}, {"a": np.zeros((0, 4))}):
        with pytest.raises(ValueError, match="at least one picture"):
            preparation(wrong)


def test_a_mosaic_shows_the_maps_with_the_most_contrast_in_their_order():
    maps = torch.zeros(9, 24, 24)
    for i, strength in ((1, 2.0), (4, 8.0), (6, 4.0), (8, 1.0)):
        maps[i, 0, 0] = strength
    sheet = _mosaic(maps, 2)
    assert sheet.shape == (48, 48) and [
        sheet[r, c] for r in (0, 24) for c in (0, 24)
    ] == pytest.approx([2 / 8, 1, 4 / 8, 1 / 8])
    assert not _mosaic(torch.zeros(4, 4, 4), 2).any()  # a layer that says nothing


def test_looking_tells_the_three_best_answers_and_never_more_than_it_knows():
    sheet = looking(
        torch.zeros(28, 28),
        {"conv1": torch.rand(32, 26, 26)},
        torch.tensor([0, 0.2, 0, 0, 0.75, 0, 0, 0, 0, 0.05]),
    )
    assert "9 of the 32 maps of 26 x 26 after conv1" in sheet.description
    assert sheet.description.endswith("three best answers: 4 (75%), 1 (20%), 9 (5%).")
    assert [_sure(p) for p in (1.0, 0.999, 0.99, 0.5, 0.01, 0.0)] == [
        "over 99%",
        "over 99%",
        "99%",
        "50%",
        "1%",
        "under 1%",
    ]
    for image, layers, answer in [
        (torch.zeros(1, 28, 28), {}, torch.ones(10)),
        (torch.zeros(28, 28), {"conv1": torch.zeros(1, 32, 26, 26)}, torch.ones(10)),
        (torch.zeros(28, 28), {}, torch.ones(1, 10)),
    ]:
        with pytest.raises(ValueError, match="looking needs"):
            looking(image, layers, answer)


LOOK = """() => {
    const sheet = document.querySelector("svg").getBoundingClientRect()
    const boxes = [...document.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()])
    const out = boxes.filter(([, b]) => b.left < sheet.left || b.right > sheet.right || b.top < sheet.top || b.bottom > sheet.bottom)
    const over = []
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
        const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left), high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top)
        if (wide > 0 && high > 4) over.push(a + " / " + b)
    }))
    const paper = getComputedStyle(document.querySelector("polygon")).fill, ink = getComputedStyle(document.querySelector("text")).fill
    return {out: out.map(([t]) => t), over, paper, ink, images: [...document.images].every((i) => i.naturalWidth > 0)}
}"""


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_letters_stay_on_the_paper_and_off_each_other_in_both_themes(chromium, all_drawings):
    for scheme, theme in (("light", _LIGHT), ("dark", _DARK)):
        context = chromium.new_context(color_scheme=scheme, viewport={"width": 900, "height": 900})
        page = context.new_page()
        for name, sheet in all_drawings.items():
            page.set_content(f"<body>{sheet.svg()}</body>")
            seen = page.evaluate(LOOK)
            assert not seen["out"] and not seen["over"], (name, seen)
            assert seen["paper"] == rgb(theme["paper"]) and seen["ink"] in {
                rgb(theme["ink"]),
                rgb(theme["quiet"]),
            }, name
        context.close()


def test_a_diagram_fits_on_a_phone(chromium, all_drawings):
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    for name, sheet in all_drawings.items():
        page.set_content(
            f'<meta name="viewport" content="width=device-width"><body>{sheet.svg()}</body>'
        )
        width, smallest = page.evaluate(
            """() => [document.documentElement.scrollWidth,
                Math.min(...[...document.querySelectorAll("text")].map((t) => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a))]"""
        )
        assert width <= 390 and smallest >= 7.5, (name, width, smallest)
    context.close()


@pytest.mark.parametrize(("many", "few"), [(2_000, 20), (90_000, 7), (6_000, 1_000)])
def test_areas_are_to_scale_and_a_question_keeps_its_answer(many, few):
    told, asked = (areas(("large", many), ("small", few), tell=tell) for tell in (True, False))
    ends = re.findall(r'<polygon points="([\d.]+),[\d.]+ ([\d.]+),', told.svg())
    paper, large, small = (float(right) - float(left) for left, right in ends[:3])
    assert paper > large >= small
    assert (large / small) ** 2 == pytest.approx(many / few, rel=0.05)
    assert f"{many:,}" in texts(told) and "?" in texts(asked)
    assert f"{many:,}" not in asked.svg()


def test_areas_refuse_what_is_no_area():
    for many, few in ((1, 2), (3, 0), (3, -1), (599, 100)):
        with pytest.raises(ValueError, match="at most large / 6"):
            areas(("a", many), ("b", few))


def test_views_show_each_field_where_it_is():
    image = torch.rand(20, 28)
    fields = {"first": 3, "second": 9, "everything": 40}
    diagram = views(image, fields, middle=(2, 25))
    boxes = [rect.attrib for rect in ElementTree.fromstring(diagram.svg()).iter(f"{SVG}rect")]
    pixel = 214 / 28
    expected = [(3, 3), (9, 9), (28, 20)]  # never larger than the image
    for box, (wide, high) in zip(boxes, expected, strict=True):
        assert float(box["width"]) == pytest.approx(wide * pixel, abs=0.02)
        assert float(box["height"]) == pytest.approx(high * pixel, abs=0.02)
    assert "first 3 x 3, second 9 x 9, everything 40 x 40" in diagram.description
    with pytest.raises(ValueError, match="at least one field"):
        views(image, {})
    with pytest.raises(ValueError, match="an image"):
        views(image[None], fields)


def test_every_diagram_is_the_one_that_was_looked_at(tmp_path):
    for name, sheet in drawings().items():
        is_approved(f"diagram: {name}", sheet.svg(), tmp_path)
