"""The shape explorer: Python and JavaScript agree to the letter, on a page without a kernel and in JupyterLab."""

import functools
import json
import random

import pytest
import torch
import traitlets
from torch import nn

from mnist_course.arithmetic import ledger
from mnist_course.model import Net
from mnist_course.widgets.shapes import (
    _KINDS,
    _MOST,
    _MOST_LAYERS,
    _RANGES,
    NET,
    ShapeExplorer,
    _check_layers,
    _fill_in,
    _linear_words,
    _name_layers,
    build,
    explore,
    write_explorer_page,
)

ERRORS = {  # what PyTorch can say, and a piece of how it says it
    "in_features": "mat1 and mat2 shapes cannot be multiplied",
    "in_channels": "channels instead",
    "conv too large": "Kernel size can't be greater than actual input size",
    "pool too large": "Output size is too small",
    "pool padding": "pad should be at most half of effective kernel size",
    "conv on a row": "Expected 3D (unbatched) or 4D (batched) input to conv2d",
    "max pool on a row": "non-empty 3D or 4D (batch mode) tensor expected",
    "average pool on a row": "Dimension out of range",
}


def random_layer(rng: random.Random, kind: str) -> dict:
    some = functools.partial(rng.choices, k=1)
    if kind == "Conv2d":
        settings = {
            "out_channels": rng.randint(1, 6),
            "kernel_size": rng.randint(1, 5),
            "stride": some([1, 2, 3], [6, 2, 1])[0],
        }
        settings |= {
            "padding": some([0, 1, 2], [4, 2, 1])[0],
            "dilation": some([1, 2, 3], [6, 2, 1])[0],
        }
        return {"kind": kind, **settings, "in_channels": some([None, rng.randint(1, 6)], [9, 1])[0]}
    if kind.endswith("Pool2d"):
        settings = {
            "kernel_size": rng.randint(1, 4),
            "stride": some([None, 1, 2, 3], [4, 1, 1, 1])[0],
        }
        return {"kind": kind, **settings, "padding": some([0, 1, 2], [6, 2, 1])[0]}
    if kind == "Linear":
        return {
            "kind": kind,
            "in_features": some([None, rng.randint(1, 40)], [3, 1])[0],
            "out_features": rng.randint(1, 20),
        }
    return {"kind": kind}


def random_network(rng: random.Random) -> tuple[list[dict], list[int]]:
    "Mostly a sensible order, sometimes none at all."
    maps = rng.choices(
        ["Conv2d", "ReLU", "MaxPool2d", "AvgPool2d"], [5, 3, 2, 2], k=rng.randint(0, 7)
    )
    kinds = [*maps, "Flatten", *rng.choices(["Linear", "ReLU"], k=rng.randint(0, 3))]
    if rng.random() < 0.3:
        kinds = rng.choices(list(_KINDS), k=rng.randint(0, 8))
    sides = (
        [rng.randint(1, 40)] * 2 if rng.random() < 0.7 else [rng.randint(1, 40), rng.randint(1, 40)]
    )
    return [random_layer(rng, kind) for kind in kinds], [rng.randint(1, 3), *sides]


def networks(count: int) -> list[tuple[list[dict], list[int]]]:
    rng = random.Random(0)
    return [random_network(rng) for _ in range(count)]


def as_rows(found) -> dict:
    "An Exploration in the form of the JavaScript's answer."

    def plain(value):
        return list(value) if isinstance(value, tuple) else value

    names = {
        "name": "name",
        "kind": "kind",
        "outputShape": "output_shape",
        "params": "params",
        "macs": "macs",
    }
    names |= {"receptiveField": "receptive_field", "jump": "jump"}
    rows = [
        {theirs: plain(getattr(row, ours)) for theirs, ours in names.items()} for row in found.rows
    ]
    error = None
    if found.error:
        error = {
            "index": len(rows),
            "name": found.failed,
            "type": found.error_type,
            "text": found.error,
        }
    return {"rows": rows, "error": error, "params": found.params, "macs": found.macs}


def run_in_torch(layers: list[dict], size: list[int]) -> tuple[list[tuple[int, ...]], str | None]:
    "The shapes that real layers on the CPU make, and what stops them: the judge of `explore`."
    x, shapes = torch.zeros(1, *size), []
    for layer in _check_layers(layers):
        try:
            x = getattr(nn, layer["kind"])(**_fill_in(layer, tuple(x.shape[1:])))(x)
        except Exception as error:
            return shapes, str(error)
        shapes.append(tuple(x.shape[1:]))
    return shapes, None


# ---- Python


def test_the_courses_net_is_where_it_starts():
    found = explore()
    assert found.params == 593_200 == sum(p.numel() for p in Net().parameters())
    assert found.macs == ledger(Net()).macs and found.error is found.failed is None
    assert [p.shape for p in build().parameters()] == [p.shape for p in Net().parameters()]
    assert build()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert "593,200" in repr(found) and "| total" in found._repr_markdown_()


def test_explore_says_what_torch_says():
    cases, said = networks(400), []
    for layers, size in cases:
        found = explore(layers, size)
        shapes, error = run_in_torch(layers, size)
        assert [row.output_shape for row in found.rows] == shapes and found.error == error, (
            layers,
            size,
        )
        said.append(error)
    for name, piece in ERRORS.items():
        assert sum(piece in (text or "") for text in said) >= 2, name
    assert said.count(None) > 100


def test_explore_agrees_with_the_ledger_of_the_real_network():
    compared = 0
    for layers, size in networks(150):
        found = explore(layers, size)
        if found.error or not layers:
            continue
        model = build(layers, size)
        assert sum(p.numel() for p in model.parameters()) == found.params
        try:
            expected = ledger(model, tuple(size))
        except NotImplementedError:  # a Linear on maps
            assert found.notes and found.rows[-1].receptive_field is None
            continue
        assert list(found.rows) == list(expected) and found.macs == expected.macs
        compared += 1
    assert compared > 30


@pytest.mark.parametrize("keeps_notes", [True, False])
def test_the_famous_errors(keeps_notes):
    with torch.set_grad_enabled(keeps_notes):
        found = explore(input_size=(1, 32, 32))
    assert found.failed == "fc1" and found.error_type == "RuntimeError"
    assert (
        found.error
        == f"{_linear_words()}mat1 and mat2 shapes cannot be multiplied (1x6400 and 4096x50)"
    )
    assert found.error in repr(found) and found.error in found._repr_markdown_()
    for width in (2, 9):  # 9: only the rows are too few
        conv = {"kind": "Conv2d", "out_channels": 8, "kernel_size": 3}
        found = explore([conv], (8, 2, width))
        assert found.failed == "conv1" and found.params == 0
        assert found.error == (
            f"Calculated padded input size per channel: (2 x {width}). Kernel size: (3 x 3). Kernel size can't be greater than actual input size"
        )
    pools = [
        {"kind": "Conv2d", "out_channels": 256, "kernel_size": 28},
        {"kind": "MaxPool2d", "kernel_size": 2},
    ]
    assert (
        explore(pools).error
        == "Given input size: (256x1x1). Calculated output size: (256x0x0). Output size is too small"
    )
    padded = explore([{"kind": "AvgPool2d", "kernel_size": 3, "padding": 2}])
    assert (
        padded.error
        == "pad should be at most half of effective kernel size, but got pad=2, kernel_size=3 and dilation=1"
    )
    with pytest.raises(ValueError, match=r"fc1 cannot run: .*mat1 and mat2"):
        build(input_size=(1, 32, 32))


REFUSED = [
    ("ReLU", "a list of dicts"),
    ({"kind": "ReLU"}, "a list of dicts"),
    (None, "a list of dicts"),
    (
        [{"kind": "Dense"}],
        r'layer 1: expected a dict whose "kind" is one of Conv2d, ReLU, .*; got .*Dense',
    ),
    ([{"kind": ["ReLU"]}], "layer 1"),
    ([{"kind": "ReLU"}, "ReLU"], "layer 2"),
    ([{"kind": "ReLU", "size": 3}], "layer 1, ReLU: there is no setting 'size'; it has none"),
    ([{"kind": "Linear"}], "layer 1, Linear: out_features is missing"),
    (
        [{"kind": "Linear", "out_features": 2.5}],
        "out_features must be a whole number from 1 to 100,000, got 2.5",
    ),
    ([{"kind": "Linear", "out_features": True}], "must be a whole number"),
    ([{"kind": "Linear", "out_features": None}], "must be a whole number"),
    ([{"kind": "Linear", "out_features": "50"}], "must be a whole number"),
    (
        [{"kind": "MaxPool2d", "kernel_size": 0}],
        "kernel_size must be a whole number from 1 to 255, got 0",
    ),
    ([{"kind": "MaxPool2d", "kernel_size": (2, 2)}], "kernel_size must be a whole number"),
    (
        [{"kind": "MaxPool2d", "kernel_size": 2, "stride": 0}],
        "stride must be a whole number from 1 to 255, got 0",
    ),
    (
        [{"kind": "Conv2d", "out_channels": 10**9, "kernel_size": 3}],
        "out_channels must be a whole number from 1 to 4,096",
    ),
    (
        [{"kind": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": -1}],
        "padding must be a whole number from 0",
    ),
    ([{"kind": "ReLU"}] * (_MOST_LAYERS + 1), "at most 60 layers, got 61"),
]


@pytest.mark.parametrize(("layers", "words"), REFUSED)
def test_what_is_no_list_of_layers_is_told(layers, words):
    with pytest.raises(ValueError, match=words):
        explore(layers)
    explorer = ShapeExplorer()
    with pytest.raises(traitlets.TraitError, match=words):
        explorer.layers = layers
    assert explorer.layers == _check_layers(NET)
    with pytest.raises(traitlets.TraitError, match=words):
        ShapeExplorer(layers)


@pytest.mark.parametrize(
    "size", [28, (28, 28), "abc", (1, 28, 0), (1, 28, 28.0), (1, 28, 5000), (True, 28, 28)]
)
def test_what_is_no_input_size_is_told(size):
    with pytest.raises(ValueError, match="input_size"):
        explore(NET, size)
    explorer = ShapeExplorer()
    with pytest.raises(traitlets.TraitError, match="input_size"):
        explorer.input_size = size
    assert explorer.input_size == (1, 28, 28)


def test_the_traits_follow():
    explorer, heard = ShapeExplorer(), []
    explorer.observe(lambda change: heard.append(change["name"]))
    layers = explorer.layers
    layers[0]["kernel_size"] = 5  # of a copy: nothing happens yet
    assert explorer.layers[0]["kernel_size"] == 3 and not heard
    explorer.layers = layers
    layers[0]["kernel_size"] = 7
    assert explorer.layers[0]["kernel_size"] == 5 and heard == ["layers"]
    assert "(1x2304 and 4096x50)" in explorer.explore().error
    explorer.input_size = [1, 30, 30]
    assert explorer.input_size == (1, 30, 30) and explorer.explore().error is None
    assert explorer.build()(torch.zeros(1, 1, 30, 30)).shape == (1, 10)
    explorer.set_state(
        {"layers": [{"kind": "Flatten"}], "input_size": [3, 4, 5]}
    )  # as a browser does
    assert explorer.explore().rows[-1].output_shape == (60,)


LIMITS = [  # layers, an image, the first layer that asks too much, and for how much of what
    (
        [{"kind": "Conv2d", "out_channels": 64, "kernel_size": 255}],
        (64, 300, 300),
        ("conv1", "parameters", 64 * (64 * 255**2 + 1)),
    ),
    (
        [{"kind": "Flatten"}, {"kind": "Linear", "out_features": 70_000}],
        (4, 32, 32),
        ("fc1", "parameters", 70_000 * (4 * 32 * 32 + 1)),
    ),
    (
        [
            {"kind": "ReLU"},
            {"kind": "Conv2d", "out_channels": 200, "kernel_size": 99, "padding": 49},
            {"kind": "Flatten"},
        ],
        (64, 512, 512),
        ("conv1", "MACs", 200 * 512 * 512 * 64 * 99**2),
    ),
    (
        [{"kind": "AvgPool2d", "kernel_size": 2, "stride": 200, "padding": 1}] * 5,
        (1, 64, 64),
        ("pool4", "pixels", 200**4),
    ),
]


@pytest.mark.parametrize(("layers", "size", "limit"), LIMITS)
def test_it_stops_at_the_first_layer_that_asks_too_much(layers, size, limit):
    found = explore(layers, size)
    name, what, number = limit
    assert (found.failed, found.error_type) == (name, None)
    assert found.error == (
        f"the explorer stops here: {name} comes to {number:,} {what}, and {_MOST[what]:,} "
        "is its limit"
    )
    assert [row.name for row in found.rows] == _name_layers(layers)[: len(found.rows)]
    assert len(found.rows) == _name_layers(layers).index(name)
    assert found.layers == _check_layers(layers) and found.input_size == size


def test_as_many_layers_as_there_may_be_are_taken():
    assert len(explore([{"kind": "ReLU"}] * _MOST_LAYERS).rows) == _MOST_LAYERS
    with pytest.raises(ValueError, match=f"at most {_MOST_LAYERS} layers, got"):
        explore([{"kind": "ReLU"}] * (_MOST_LAYERS + 1))


def test_in_markdown_an_error_is_code():
    found = explore(
        [{"kind": "Linear", "out_features": 3}, {"kind": "MaxPool2d", "kernel_size": 40}]
    )
    assert found.notes == [note for note in found.notes if "fc1 reads every row" in note] != []
    assert found._repr_markdown_().endswith(
        f"\n\n`{found.failed} cannot run. {found.error_type}: {found.error}`"
    )
    assert repr(found).endswith(f"\n\n{found.failed} cannot run. {found.error_type}: {found.error}")


def test_a_linear_layer_after_flatten_needs_no_note():
    assert explore().notes == []


def test_the_browser_gets_the_program_and_the_words():
    explorer = ShapeExplorer()
    assert explorer.get_state()["words"] == _linear_words() != ""
    assert "export default" in explorer._esm or "as default" in explorer._esm
    assert (
        _linear_words()
        in explore(
            [{"kind": "Flatten"}, {"kind": "Linear", "in_features": 3, "out_features": 2}]
        ).error
    )


# ---- a page without a kernel


@pytest.fixture(scope="module")
def site(tmp_path_factory, serve):
    "The page, on a server of its own: its address."
    folder = tmp_path_factory.mktemp("explorer")
    write_explorer_page(folder)
    return serve(folder)


def in_javascript(page, cases) -> list[dict]:
    return page.evaluate(
        "async ([cases, words]) => { const {explore} = await import('./arithmetic.js');"
        " return cases.map(([layers, size]) => explore(layers, size, words)) }",
        [[(_check_layers(layers), list(size)) for layers, size in cases], _linear_words()],
    )


def conv(out, kernel, **settings):
    return {"kind": "Conv2d", "out_channels": out, "kernel_size": kernel, **settings}


LARGE = [  # where the explorer itself stops
    ([conv(4096, 255, in_channels=64)], (64, 1024, 1024), "parameters"),
    ([conv(4096, 1, padding=255)], (1, 1024, 1024), "numbers"),
    ([conv(64, 101), conv(64, 51)], (64, 1024, 1024), "MACs"),
    (
        [conv(1, 1, stride=255, padding=127), *[conv(1, 255, stride=255, padding=255)] * 8],
        (1, 9, 9),
        "pixels",
    ),
    (
        [
            conv(4096, 3),
            conv(4096, 3),
            {"kind": "ReLU"},
            {"kind": "Flatten"},
            {"kind": "Linear", "out_features": 99_999},
        ],
        (1, 12, 12),
        "parameters",
    ),
    (
        [
            {"kind": "Flatten"},
            {"kind": "Linear", "in_features": 10_000_000, "out_features": 100_000},
        ],
        (1, 28, 28),
        "parameters",
    ),
    (
        [conv(1, 101, padding=50), conv(64, 255, in_channels=1, padding=127), conv(4, 101)],
        (1, 1024, 1024),
        "MACs",
    ),
]


def test_both_sides_count_alike_to_the_letter(open_page):
    cases = [
        *networks(500),
        (NET, [1, 28, 28]),
        (NET, [1, 32, 32]),
        (NET, [3, 224, 200]),
        ([], [1, 28, 28]),
    ]
    cases += [(layers, size) for layers, size, _ in LARGE]
    ours = [as_rows(explore(layers, size)) for layers, size in cases]
    for case, a, b in zip(cases, ours, in_javascript(open_page(), cases), strict=True):
        assert a == b, case
    said = [found["error"]["text"] if found["error"] else None for found in ours]
    for name, piece in ERRORS.items():
        assert sum(piece in (text or "") for text in said) >= 2, name
    for (*_, what), text in zip(LARGE, said[-len(LARGE) :], strict=True):
        assert (
            text.startswith("the explorer stops here: ")
            and f" {what}, and {_MOST[what]:,} is its limit" in text
        )
    assert said.count(None) > 120


def test_both_sides_know_the_same_layers_and_ranges(open_page):
    theirs = open_page().evaluate(
        "async () => { const a = await import('./arithmetic.js');"
        " return [a.KINDS, a.RANGES, a.MOST, a.MOST_LAYERS, a.NET, a.nameLayers(a.NET)] }"
    )
    assert theirs == json.loads(
        json.dumps([_KINDS, _RANGES, _MOST, _MOST_LAYERS, _check_layers(NET), _name_layers(NET)])
    )
    assert theirs[0] == _KINDS and all(
        list(theirs[0][kind]) == list(_KINDS[kind]) for kind in _KINDS
    )


def on_page(page, what: str):
    return page.evaluate(f"model.get('{what}')")


def live(page) -> str:
    return page.get_by_role("status").inner_text()


def enter(field, text: str) -> None:
    "Type a value and say that this is it."
    field.fill(text)
    field.press("Enter")


def shown_rows(page) -> list[list[str]]:
    "What stands in the rows of the table, for a reader: name, output shape, parameters, MACs, sees."
    return page.evaluate(
        "[...document.querySelectorAll('.mc-ledger tbody tr:not(.mc-said)')].map((row) =>"
        " [row.querySelector('th span').textContent, ...[...row.querySelectorAll('.mc-number')].map((cell) => cell.textContent)])"
    )


def test_the_table_shows_what_explore_says(open_page):
    page = open_page()
    found = explore()
    assert shown_rows(page) == [
        [
            row.name,
            " x ".join(map(str, row.output_shape)),
            f"{row.params:,}",
            f"{row.macs:,}",
            str(row.receptive_field),
        ]
        for row in found.rows
    ]
    assert page.locator("tfoot").inner_text().split() == ["total", "593,200", f"{found.macs:,}"]
    assert (
        live(page)
        == f"The network runs: 1 x 28 x 28 in, 10 out, 593,200 parameters, {found.macs:,} MACs."
    )
    assert page.get_by_label("in_channels of conv2").get_attribute("placeholder") == "32"
    assert page.locator(".mc-said:not([hidden])").count() == 0


def test_a_wrong_number_is_told_at_the_layer_where_it_bites(open_page):
    page = open_page()
    enter(page.get_by_label("kernel_size of conv1"), "5")
    layers = _check_layers(NET)
    layers[0]["kernel_size"] = 5
    assert on_page(page, "layers") == layers
    error = explore(layers).error
    assert live(page) == f"fc1 cannot run. RuntimeError: {error}"
    assert (
        page.evaluate(
            "document.querySelector('.mc-said:not([hidden])').previousElementSibling.querySelector('th span').textContent"
        )
        == "fc1"
    )
    assert page.locator(".mc-said:not([hidden])").inner_text() == f"RuntimeError: {error}"
    assert [row[1] for row in shown_rows(page)][-3:] == ["–"] * 3 and page.locator(
        "tfoot"
    ).inner_text().startswith("total so far")
    enter(page.get_by_label("in_features of fc1"), "")  # let it be filled in
    assert on_page(page, "layers")[11]["in_features"] is None and live(page).startswith(
        "The network runs"
    )
    assert page.get_by_label("in_features of fc1").get_attribute("placeholder") == "2304"
    enter(page.get_by_label("height of the input"), "5")
    assert "conv2 cannot run" in live(page) and on_page(page, "input_size") == [1, 5, 28]
    page.get_by_role("button", name="The course's Net").click()
    assert on_page(page, "layers") == _check_layers(NET) and on_page(page, "input_size") == [
        1,
        28,
        28,
    ]
    assert page.get_by_label("height of the input").input_value() == "28" and "593,200" in live(
        page
    )


def test_a_number_that_is_none_is_not_taken(open_page):
    page = open_page()
    field = page.get_by_label("kernel_size of conv1")
    runs = live(page)
    for text in ("", "0", "2.5", "256", "-3"):
        field.fill(text)
        page.locator("[aria-invalid=true]").wait_for()  # once the typing has stopped
        assert on_page(page, "layers") == _check_layers(NET)
        assert (
            live(page) == "kernel_size of conv1 stays 3: it must be a whole number from 1 to 255."
        )
        field.press(
            "Tab"
        )  # the number of before stands there again, and so does what is true of it
        assert field.input_value() == "3" and field.get_attribute("aria-invalid") is None
        assert live(page) == runs
    enter(field, "7")
    assert on_page(page, "layers")[0]["kernel_size"] == 7
    assert page.get_by_label("kernel_size of conv1").evaluate(
        "one => one === document.activeElement"
    )


@pytest.mark.parametrize("typed", ["99999", "4096", "70000"])
def test_what_is_on_the_way_to_a_number_is_no_value(open_page, typed):
    page = open_page()
    page.evaluate(
        "window.seen = []; model.on('change:layers', () => seen.push(model.get('layers')[0].kernel_size))"
    )
    # key by key, and all within one turn: no machine is too slow for that
    keys = """(one, text) => {
        for (let i = 1; i <= text.length; i++) {
            one.value = text.slice(0, i)
            one.dispatchEvent(new Event("input", {bubbles: true}))
        }
    }"""
    field = page.get_by_label("kernel_size of conv1")
    field.evaluate(keys, typed)
    page.locator("[aria-invalid=true]").wait_for()
    assert page.evaluate("seen") == [] and "stays 3" in live(page)
    field.evaluate(keys, "11")
    page.wait_for_function("() => seen.length")
    assert page.evaluate("seen") == [11] and "stays" not in live(page)


def test_no_layers_have_a_sentence_of_their_own(open_page):
    page = open_page()
    page.evaluate("model.set('layers', [])")
    assert live(page) == "There are no layers: 1 x 28 x 28 in, 1 x 28 x 28 out."
    page.get_by_role("button", name="Add", exact=True).click()
    assert "runs" in live(page)
    page.get_by_role("button", name="Remove conv1").click()
    assert live(page).startswith("There are no layers")


def test_layers_are_added_moved_and_removed(open_page):
    page = open_page()
    page.get_by_role("button", name="Remove flatten1").click()
    assert "fc1 cannot run" in live(page) and "(1024x4 and 4096x50)" in live(page)
    enter(page.get_by_label("in_features of fc1"), "")
    assert (
        "a Flatten before it" in page.locator(".mc-said:not([hidden])").first.inner_text()
    )  # fc1 and, behind it, fc2
    enter(page.get_by_label("in_features of fc1"), "4096")
    page.get_by_label("Add a layer of this kind").select_option("Flatten")
    page.get_by_label("behind which layer").select_option("pool2")
    page.get_by_role("button", name="Add", exact=True).click()
    assert on_page(page, "layers") == _check_layers(NET)
    page.get_by_role("button", name="Move flatten1 down").click()
    kinds = [layer["kind"] for layer in on_page(page, "layers")]
    assert kinds[10:12] == ["Linear", "Flatten"]
    page.get_by_role("button", name="Move flatten1 up").click()
    assert on_page(page, "layers") == _check_layers(NET)
    for _ in NET:
        page.locator(".mc-moves button").last.click()
    assert on_page(page, "layers") == [] and page.get_by_role(
        "button", name="Add", exact=True
    ).evaluate("e => e === document.activeElement")
    for kind in _KINDS:
        page.get_by_label("Add a layer of this kind").select_option(kind)
        page.get_by_role("button", name="Add", exact=True).click()
    assert on_page(page, "layers") == [
        {"kind": kind, **settings} for kind, settings in _KINDS.items()
    ]
    assert live(page).startswith("The network runs")
    page.evaluate("model.set('layers', Array.from({length: 60}, () => ({kind: 'ReLU'})))")
    assert page.get_by_role("button", name="Add", exact=True).is_disabled()


def test_the_keyboard_alone_is_enough(open_page):
    page = open_page()
    page.get_by_label("width of the input").focus()
    page.keyboard.press("Tab")
    assert (
        page.evaluate("document.activeElement.getAttribute('aria-label')") == "in_channels of conv1"
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert on_page(page, "layers")[0]["kernel_size"] == 4
    page.keyboard.press("ArrowDown")
    assert on_page(page, "layers") == _check_layers(NET)
    page.get_by_role("button", name="Move relu1 down").focus()
    for _ in range(2):
        page.keyboard.press("Enter")  # the focus travels with the layer
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Move relu2 down"
    assert [layer["kind"] for layer in on_page(page, "layers")[:4]] == [
        "Conv2d",
        "Conv2d",
        "ReLU",
        "ReLU",
    ]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert len(on_page(page, "layers")) == 13
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove pool1"
    page.get_by_role("button", name="Move conv1 down").focus()
    page.keyboard.press("Shift+Tab")
    assert (
        page.evaluate("document.activeElement.getAttribute('aria-label')") == "dilation of conv1"
    )  # "up" is off for the first layer


def test_it_follows_what_is_set_from_outside(open_page):
    page = open_page()
    field = page.get_by_label("padding of conv1")
    field.focus()
    page.evaluate(
        "model.set('layers', model.get('layers').map((layer, i) => (i ? layer : {...layer, padding: 2})))"
    )
    assert field.input_value() == "2" and shown_rows(page)[0][1] == "32 x 30 x 30"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "padding of conv1"
    page.evaluate("model.set('layers', [{kind: 'Flatten'}]); model.set('input_size', [3, 10, 20])")
    assert shown_rows(page) == [["flatten1", "600", "0", "0", "10 x 20"]]


def test_two_on_a_page_do_not_share_ids_and_one_can_be_taken_away(open_page):
    page = open_page()
    page.evaluate(
        "async () => { const {render} = await import('./shapes.js'); const second = document.createElement('div');"
        " document.querySelector('main').append(second); window.stop = render({model: window.model, el: second}) }"
    )
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))
    enter(page.get_by_label("kernel_size of conv1").first, "4")
    assert page.get_by_label("kernel_size of conv1").last.input_value() == "4"
    page.evaluate("stop()")
    enter(page.get_by_label("kernel_size of conv1").first, "6")
    assert page.get_by_label("kernel_size of conv1").last.input_value() == "4"


def test_it_works_by_touch_on_a_small_screen(open_page):
    page = open_page(has_touch=True, viewport={"width": 390, "height": 800}, is_mobile=True)
    page.get_by_role("button", name="Move relu1 down").tap()
    assert [layer["kind"] for layer in on_page(page, "layers")[:3]] == ["Conv2d", "Conv2d", "ReLU"]
    enter(page.get_by_label("kernel_size of conv1"), "5")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        "[...document.querySelectorAll('.mc button, .mc input, .mc select')].filter((e) => e.offsetHeight < 24 || e.offsetWidth < 24).length"
    )
    assert small == 0


@pytest.mark.drawn(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 800, 1280])
def test_axe_finds_nothing(open_page, violations, scheme, width):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    field = page.get_by_label("kernel_size of conv1")
    for kernel in ("3", "5"):  # all is well, an error
        enter(field, kernel)
        assert violations(page) == []
    field.fill("0")  # a number that is none
    page.locator("[aria-invalid=true]").wait_for()
    assert violations(page) == []


# ---- in JupyterLab


@pytest.mark.drawn(4, of="JupyterLab")
def test_python_and_the_widget_see_what_the_other_changes(lab):
    lab.open("03_shapes.ipynb")
    first, second = (
        lab.find("from mnist_course.engine.arithmetic import ("),
        lab.find("def reader(size, arriving):"),
    )
    lab.run(
        first,
        "from mnist_course.widgets.shapes import ShapeExplorer\nexplorer = ShapeExplorer()\nexplorer",
    )
    lab.output(first)
    field = lab.page.get_by_label("kernel_size of conv1")
    field.wait_for()
    enter(field, "5")
    said = lab.run(
        second,
        "found = explorer.explore()\nprint(explorer.layers[0]['kernel_size'], found.failed, found.error)",
    )
    assert said == f"5 fc1 {explore([conv(32, 5), *NET[1:]]).error}"
    lab.output(first)
    assert (
        lab.page.locator(".mc-live").inner_text()
        == f"fc1 cannot run. RuntimeError: {said.removeprefix('5 fc1 ')}"
    )

    down = lab.page.get_by_role("button", name="Move relu1 down")
    down.focus()
    lab.page.keyboard.press(
        "Enter"
    )  # not a key of the notebook's while a button of the widget has the focus
    lab.page.wait_for_function(
        "() => document.activeElement.getAttribute('aria-label') === 'Move relu1 down'"
    )
    said = lab.run(
        second, "print(*[layer['kind'] for layer in explorer.layers[:3]], len(explorer.layers))"
    )
    assert said == "Conv2d Conv2d ReLU 14"

    said = lab.run(
        second,
        "explorer.layers = [{'kind': 'MaxPool2d', 'kernel_size': 4}, {'kind': 'Flatten'}]\nexplorer.input_size = (3, 32, 32)",
    )
    assert said == ""
    lab.page.wait_for_function(
        "() => document.querySelector('.mc-live').textContent.startsWith('The network runs: 3 x 32 x 32 in, 192 out')"
    )
    assert lab.page.get_by_label("kernel_size of pool1").input_value() == "4"
    said = lab.run(
        second,
        "try:\n    explorer.layers = [{'kind': 'Dense'}]\nexcept Exception as error:\n    print(type(error).__name__, error)",
    )
    assert said.startswith('TraitError layer 1: expected a dict whose "kind" is one of Conv2d')
    assert lab.page.get_by_label("kernel_size of pool1").input_value() == "4"
