"""The explorer: every number of the network taken apart, against torch; and the page in a browser."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mnist_course.base import asset
from mnist_course.data import normalize
from mnist_course.engine.predict import load_reference
from mnist_course.model import Net, load_pretrained
from mnist_course.widgets import explorer
from mnist_course.widgets.bundle import bundle
from mnist_course.widgets.explorer import (
    half_weights,
    packed_weights,
    write_drawing_file,
    write_drawing_page,
)

STATIC = asset("widgets", "static")
SHAPES = {
    "input": (1, 28, 28),
    "conv1": (32, 26, 26),
    "conv2": (64, 24, 24),
    "pool1": (64, 12, 12),
    "conv3": (128, 10, 10),
    "conv4": (256, 8, 8),
    "pool2": (256, 4, 4),
    "fc1": (50, 1, 1),
    "fc2": (10, 1, 1),
    "log_softmax": (10, 1, 1),
}


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """Run JavaScript that imports the modules of static/, in Node.js: a function from the script,
    which has `input`, and what it gets, to what it returns."""
    found = shutil.which("node")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no Node.js on this machine"
        )
    folder = tmp_path_factory.mktemp("modules")
    for path in STATIC.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "net.f16").write_bytes(half_weights(load_pretrained()))

    def run(script: str, given: object = None) -> object:
        (folder / "input.json").write_text(json.dumps(given))
        (folder / "script.js").write_text(
            'import {readFileSync} from "node:fs"\n'
            "const buffer = (name) => { const b = readFileSync(name);"
            " return b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) }\n"
            'const input = JSON.parse(readFileSync("input.json", "utf8"))\n'
            f"const answer = await (async () => {{ {script} }})()\n"
            "console.log(JSON.stringify(answer))\n"
        )
        done = subprocess.run(
            [found, "script.js"], cwd=folder, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run.folder = folder
    return run


def as_travelled(model: Net) -> Net:
    "With the half-precision weights that the browser gets."
    model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    return model.requires_grad_(False)


@torch.no_grad()
def numbers_of(model: Net, page: torch.Tensor) -> dict[str, torch.Tensor]:
    "Every number of the network, as torch computes it: each (maps, rows, columns)."
    pool = F.max_pool2d
    found = {"input": normalize(page[None])}
    found["conv1"] = model.conv1(found["input"]).relu()
    found["conv2"] = model.conv2(found["conv1"]).relu()
    found["pool1"] = pool(found["conv2"], 2)
    found["conv3"] = model.conv3(found["pool1"]).relu()
    found["conv4"] = model.conv4(found["conv3"]).relu()
    found["pool2"] = pool(found["conv4"], 2)
    found["fc1"] = model.fc1(found["pool2"].flatten(1)).relu()
    found["fc2"] = model.fc2(found["fc1"])
    found["log_softmax"] = found["fc2"].log_softmax(1)
    assert torch.allclose(found["log_softmax"], model(found["input"]), atol=1e-5)
    return {name: value.reshape(SHAPES[name]) for name, value in found.items()}


TAKE_APART = """
const {Network} = await import("./cnn.js")
const {takeApart} = await import("./anatomy.js")
const network = new Network(weights)
const sum = (list) => list.reduce((a, b) => a + b, 0)
const found = {}
for (const [layer, places] of Object.entries(input.places)) {
  found[layer] = places.map(([picture, map, row, column], i) => {
    if (picture !== last) { page = Uint8Array.from(input.pages[picture]); last = picture; seen = {...network.look(page), page} }
    const made = takeApart(network, seen, {layer, map, row, column})
    // added up here from the smallest parts, as a visitor would
    let adds = made.value
    if (made.terms) {
      const all = made.terms.flatMap((term) => term.values.map((value, k) => {
        if (value * term.weights[k] !== term.products[k]) throw new Error("product")
        return term.products[k]
      }))
      adds = sum(all) + made.bias
      if (made.relu) adds = Math.max(0, adds)
    } else if (made.kind === "pool") adds = Math.max(...made.values)
    else if (made.kind === "softmax") adds = made.logits[map] - Math.log(sum(made.logits.map(Math.exp)))
    else adds = (page[28 * row + column] / 255 - 0.1307) / 0.3081
    return [made.value, adds, made.winner ?? -1, made.stored ?? made.value]
  })
}
return found
"""


def some_places(pictures: int, count: int, seed: int = 0) -> dict[str, list[list[int]]]:
    "Random numbers of each layer: the picture, the map, the row, the column. By picture."
    rng = np.random.default_rng(seed)
    return {
        name: sorted(
            [int(rng.integers(pictures)), *(int(rng.integers(n)) for n in shape)]
            for _ in range(count)
        )
        for name, shape in SHAPES.items()
    }


def compare(found: dict, places: dict, pages: torch.Tensor) -> dict[str, float]:
    "The largest difference to torch, in each layer."
    model = as_travelled(load_pretrained())
    ours = [numbers_of(model, page) for page in pages]
    worst = {}
    for layer, rows in found.items():
        wanted = torch.tensor([ours[p][layer][m, r, c] for p, m, r, c in places[layer]])
        got = torch.tensor(rows)
        worst[layer] = max((got[:, i] - wanted).abs().max().item() for i in (0, 1, 3))
    return worst


def test_a_thousand_numbers_of_every_layer_are_what_their_parts_add_up_to(node, sample):
    pages = sample[1].images[40:60]
    places = some_places(len(pages), 1000)
    found = node(
        'const weights = buffer("net.f16"); let last = -1; let page; let seen\n' + TAKE_APART,
        {"pages": pages.flatten(1).tolist(), "places": places},
    )
    assert {name: len(rows) for name, rows in found.items()} == dict.fromkeys(SHAPES, 1000)
    worst = compare(found, places, pages)
    assert max(worst.values()) < 1e-3, worst
    # and none of this is a comparison of zeros
    assert all(sum(abs(row[0]) > 0.01 for row in rows) > 50 for rows in found.values())


def test_what_a_number_sees_is_what_can_change_it(node):
    "The field that lights up, against torch's gradient: outside of it no pixel matters."
    fields = node(
        'const {fieldOf, ORDER} = await import("./anatomy.js");'
        "return input.map(([layer, row, column]) => fieldOf(layer, row, column))",
        places := [
            ["conv1", 0, 25],
            ["conv2", 3, 7],
            ["pool1", 11, 0],
            ["conv3", 9, 4],
            ["conv4", 0, 0],
            ["conv4", 7, 2],
            ["pool2", 3, 3],
            ["pool2", 1, 0],
            ["fc1", 0, 0],
        ],
    )
    model = Net()
    for parameter in model.parameters():  # so that nothing hides: all positive
        parameter.data = parameter.data.abs() + 1e-3
    for (layer, row, column), boxes in zip(places, fields, strict=True):
        x = torch.rand(1, 1, 28, 28, requires_grad=True)
        seen = {"input": x}
        seen["conv1"] = model.conv1(x).relu()
        seen["conv2"] = model.conv2(seen["conv1"]).relu()
        seen["pool1"] = F.avg_pool2d(seen["conv2"], 2)  # any of four may win
        seen["conv3"] = model.conv3(seen["pool1"]).relu()
        seen["conv4"] = model.conv4(seen["conv3"]).relu()
        seen["pool2"] = F.avg_pool2d(seen["conv4"], 2)
        seen["fc1"] = model.fc1(seen["pool2"].flatten(1))[..., None, None]
        inner = [seen[box["layer"]] for box in boxes]
        slopes = torch.autograd.grad(seen[layer][0, 0, row, column], inner)
        assert boxes[-1]["layer"] == "input"
        for box, slope in zip(boxes, slopes, strict=True):
            rows, columns = (slope[0].abs().sum(0) > 0).nonzero().T
            found = [rows.min(), columns.min(), rows.max(), columns.max()]
            assert [box[k] for k in ("top", "left", "bottom", "right")] == found


def test_an_answer_comes_apart_into_numbers_and_maps(node, sample):
    "The 50 products and the maps behind them, against torch, for each digit and each pair."
    pages = sample[1].images[:6]
    found = node(
        """
        const {Network} = await import("./cnn.js")
        const {speakersOf} = await import("./anatomy.js")
        const network = new Network(buffer("net.f16"))
        return input.map((page, i) => {
          const seen = network.look(Uint8Array.from(page))
          return [null, (i + 5) % 10].map((other) => speakersOf(network, seen, i, other))
        })
        """,
        pages.flatten(1).tolist(),
    )
    model = as_travelled(load_pretrained())
    for digit, (page, answers) in enumerate(zip(pages, found, strict=True)):
        ours = numbers_of(model, page)
        logits, fc1 = ours["fc2"].flatten(), ours["fc1"].flatten()
        for made, other in zip(answers, (None, (digit + 5) % 10), strict=True):
            weight, score = model.fc2.weight[digit], logits[digit]
            if other is not None:
                weight, score = weight - model.fc2.weight[other], score - logits[other]
            products = torch.zeros(50)
            for one in made["numbers"]:
                products[one["number"]] = one["product"]
            assert torch.allclose(products, (weight * fc1).detach(), atol=1e-4)
            assert sum(products) + made["bias"] == pytest.approx(score.item(), abs=1e-3)
            assert made["score"] == pytest.approx(score.item(), abs=1e-3)
            # a map's part is what the score loses when ReLU decides as before and the map is 0
            heard = (fc1 > 0).float()
            through = ((weight * heard) @ model.fc1.weight).reshape(256, -1)
            wanted = (through * ours["pool2"].reshape(256, -1)).sum(1).detach()
            maps = torch.zeros(256)
            for one in made["maps"]:
                maps[one["map"]] = one["product"]
            assert torch.allclose(maps, wanted, atol=1e-3)
            assert maps.sum() + made["fixed"] == pytest.approx(score.item(), abs=1e-3)
            for part in ("numbers", "maps"):
                order = [one["product"] for one in made[part]]
                assert order == sorted(order, reverse=True)


def changed(model: Net, edits: list[dict]) -> tuple[Net, dict[str, list[int]]]:
    "The same changes in torch: the network with its new kernels, and the maps that are silent."
    kernels = {
        "Sobel, horizontal edges": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
        "Sobel, vertical edges": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
        "a blur": [[1, 1, 1]] * 3,
    }
    silent = {}
    for edit in edits:
        if edit["kind"] == "silence":
            silent.setdefault(edit["layer"], []).append(edit["map"])
            continue
        weight = model.get_submodule(edit["layer"]).weight.data[edit["map"]]
        kernel = torch.tensor(kernels[edit["kernel"]], dtype=torch.float32)
        strength = weight.flatten(1).norm(dim=1) / kernel.norm()
        weight.copy_(strength[:, None, None] * kernel)
    return model, silent


@torch.no_grad()
def read_with(model: Net, silent: dict[str, list[int]], page: torch.Tensor) -> torch.Tensor:
    def mute(name, x):
        x[:, silent.get(name, [])] = 0
        return x

    x = mute("conv1", model.conv1(normalize(page[None])).relu())
    x = mute("pool1", F.max_pool2d(mute("conv2", model.conv2(x).relu()), 2))
    x = mute("conv3", model.conv3(x).relu())
    x = mute("pool2", F.max_pool2d(mute("conv4", model.conv4(x).relu()), 2))
    return model.fc2(mute("fc1", model.fc1(x.flatten(1)).relu())).softmax(1)[0]


def test_what_somebody_tries_changes_the_network_as_it_would_in_torch(node, sample):
    tries = [
        [{"kind": "silence", "layer": "conv1", "map": 7}],
        [{"kind": "silence", "layer": "pool1", "map": m} for m in range(30)],
        [{"kind": "silence", "layer": "fc1", "map": m} for m in range(30)],
        [{"kind": "swap", "layer": "conv1", "map": 3, "kernel": "Sobel, horizontal edges"}],
        [
            {"kind": "swap", "layer": "conv3", "map": 100, "kernel": "Sobel, vertical edges"},
            {"kind": "silence", "layer": "conv2", "map": 5},
            {"kind": "swap", "layer": "conv4", "map": 255, "kernel": "a blur"},
        ],
    ]
    page = sample[1].images[11]
    found = node(
        """
        const {Network} = await import("./cnn.js")
        const network = new Network(buffer("net.f16"))
        const page = Uint8Array.from(input.page)
        const before = network.look(page).probabilities
        const after = input.tries.map((edits) => network.changed(edits).look(page).probabilities)
        const again = network.look(page).probabilities
        return {before, after, again}
        """,
        {"page": page.flatten().tolist(), "tries": tries},
    )
    assert found["before"] == found["again"], "a change of a copy changed the network"
    for edits, theirs in zip(tries, found["after"], strict=True):
        ours = read_with(*changed(as_travelled(load_pretrained()), edits), page)
        assert (torch.tensor(theirs) - ours).abs().max() < 1e-3
        assert theirs != found["before"]


def test_the_moments_of_training_are_small_and_read_as_well_as_it_says_beside_them(
    node, sample, share
):
    folder = asset("weights", "stops")
    stops = json.loads((folder / "stops.json").read_text("utf-8"))["stops"]
    assert [one["steps"] for one in stops] == [0, 10, 100, 938, 1000, 9380]
    assert stops[-1]["file"] is None and stops[-1]["accuracy"] > 0.995
    images, labels = sample[1].images[:300], sample[1].labels[:300]
    accuracies = [one["accuracy"] for one in stops]
    assert accuracies == sorted(accuracies) and accuracies[0] < 0.2 < 0.9 < accuracies[2]
    for one in share(stops[:-1], 2):
        content = (folder / one["file"]).read_bytes()
        assert len(content) == one["bytes"] < 600_000
        assert abs(one["accuracy"] - one["accuracy_float32"]) < 0.01
        (node.folder / "stop.i8").write_bytes(content)
        read = node(
            'const {Network} = await import("./cnn.js");'
            'const network = new Network(buffer("stop.i8"));'
            "return input.map((page) => network.look(Uint8Array.from(page)).logits)",
            images.flatten(1).tolist(),
        )
        right = (torch.tensor(read).argmax(1) == labels).float().mean().item()
        assert abs(right - one["accuracy"]) < 0.06


def test_packed_weights_are_one_byte_a_weight_and_half_a_step_off(node):
    model = load_pretrained()
    (node.folder / "packed.i8").write_bytes(packed := packed_weights(model))
    assert len(packed) == 593_200 - 540 + 8 * 540
    layers = node(
        'const {readWeights} = await import("./cnn.js");'
        'const read = readWeights(buffer("packed.i8"));'
        "return Object.fromEntries(Object.entries(read).map("
        "([name, {weight, bias}]) => [name, [Array.from(weight), Array.from(bias)]]))"
    )
    for name, (weight, bias) in layers.items():
        layer = model.get_submodule(name)
        rows = layer.weight.detach().flatten(1)
        off = (torch.tensor(weight).reshape(rows.shape) - rows).abs()
        step = rows.abs().amax(1, keepdim=True) / 127
        assert (off <= 0.501 * step).all()
        assert torch.equal(torch.tensor(bias), layer.bias.detach())
    with pytest.raises(ValueError, match="another network"):
        packed_weights(torch.nn.Linear(2, 2))


def test_a_look_stops_where_nobody_looks_further(node, sample):
    found = node(
        """
        const {Network} = await import("./cnn.js")
        const network = new Network(buffer("net.f16"))
        const page = Uint8Array.from(input)
        const whole = network.look(page)
        return ["conv1", "pool1", "conv3", "fc1"].map((last) => {
          const seen = network.look(page, last)
          const same = seen.activations[last].data.every((v, i) => v === whole.activations[last].data[i])
          return [Object.keys(seen.activations), same, seen.logits === undefined]
        })
        """,
        sample[1].images[2].flatten().tolist(),
    )
    names = list(SHAPES)
    for (seen, same, no_logits), last in zip(
        found, ("conv1", "pool1", "conv3", "fc1"), strict=True
    ):
        assert seen == names[: names.index(last) + 1] and same and no_logits


@pytest.mark.drawn(4)
@pytest.mark.parametrize(
    ("share", "one", "none"),
    [
        (1, "100.0%", "100%"),
        (0.99999, "> 99.9%", "> 99%"),
        (0.9996, "> 99.9%", "> 99%"),
        (0.9994, "99.9%", "> 99%"),
        (0.994, "99.4%", "99%"),
        (0.5, "50.0%", "50%"),
        (0.004, "0.4%", "< 1%"),
        (0.0004, "< 0.1%", "< 1%"),
        (1e-30, "< 0.1%", "< 1%"),
        (0, "0.0%", "0%"),
    ],
)
def test_no_share_is_rounded_to_a_certainty(node, share, one, none):
    from mnist_course.engine.predict import percent

    assert [percent(share), percent(share, 0)] == [one, none]
    assert node(
        'const {percent} = await import("./common.js"); return [percent(input), percent(input, 0)]',
        share,
    ) == [one, none]


# ---- the page


@pytest.fixture(scope="module")
def site(tmp_path_factory, serve):
    "The page, on a server of its own: its address."
    folder = tmp_path_factory.mktemp("site")
    write_drawing_page(folder)
    return serve(folder)


def begin(page, digit: int = 7) -> None:
    "Put a sample digit on the pad, and wait for the answer."
    page.get_by_role("button", name=f"Sample digit {digit + 1} of 10").click()
    page.wait_for_function(
        f"() => document.querySelector('.mc-answer').textContent.startsWith('{digit} (')"
    )


def pick(page, layer: str, *place: int) -> None:
    "Choose a number by the four fields."
    page.get_by_label("layer", exact=True).select_option(layer)
    for name, value in zip(("map", "row", "column"), place, strict=False):
        page.get_by_label(name, exact=True).fill(str(value))
        page.get_by_label(name, exact=True).press("Enter")


def open_panel(page) -> None:
    page.locator("[data-layer=conv1] .mc-maps").click()
    page.locator(".mc-inspector h2").wait_for()


def shown_number(page, start: str) -> float:
    "The number in the heading, once it's about this one."
    page.wait_for_function(
        "(start) => document.querySelector('.mc-inspector h2').textContent.startsWith(start)",
        arg=start,
    )
    return float(page.locator(".mc-inspector h2").inner_text().rsplit(" ", 1)[1])


def seen_page(page) -> torch.Tensor:
    "The 28 x 28 pixels that the page's network got."
    return torch.tensor(
        page.evaluate(
            """async () => {
                const {prepare} = await import("./prepare.js")
                const image = window.model.get("image")
                return Array.from(prepare(new Uint8Array(image.buffer), 280, 280))
            }"""
        ),
        dtype=torch.uint8,
    ).reshape(28, 28)


def test_in_a_browser_too_every_number_is_what_its_parts_add_up_to(open_page, sample):
    pages = sample[1].images[80:84]
    places = some_places(len(pages), 100, seed=1)
    found = open_page().evaluate(
        "async (input) => { const weights = await (await fetch('./net.f16')).arrayBuffer();"
        f" let last = -1; let page; let seen; {TAKE_APART} }}",
        {"pages": pages.flatten(1).tolist(), "places": places},
    )
    assert max(compare(found, places, pages).values()) < 1e-3


@pytest.mark.parametrize("width", [1280, 390])
def test_a_pressed_number_comes_apart_and_what_it_sees_lights_up(open_page, width):
    page = open_page(viewport={"width": width, "height": 900})
    begin(page)
    assert page.locator(".mc-field").first.is_hidden()
    for name, (layer, place) in {
        "pressed": ("conv2", (0.53, 0.43)),
        "again": ("conv4", (0.2, 0.7)),
    }.items():
        maps = page.locator(f"[data-layer={layer}] .mc-maps")
        maps.scroll_into_view_if_needed()
        box = maps.bounding_box()
        position = {"x": place[0] * box["width"], "y": place[1] * box["height"]}
        maps.click(position=position)
        value = shown_number(page, f"{layer}[")
        index = page.locator(".mc-inspector h2").inner_text().split("[")[1].split("]")[0]
        spot = tuple(int(part) for part in index.split(", "))
        ours = numbers_of(as_travelled(load_pretrained()), seen_page(page))[layer]
        assert value == pytest.approx(ours[spot].item(), abs=6e-4), name
        total = page.locator(".mc-total").inner_text()
        assert f"{SHAPES[{'conv2': 'conv1', 'conv4': 'conv3'}[layer]][0] * 9:,} products" in total
        assert page.locator(".mc-paper .mc-field").is_visible()
        assert page.locator(".mc-page .mc-field").is_visible()
        for earlier in list(SHAPES)[1 : list(SHAPES).index(layer) + 1]:
            drawn = page.evaluate(
                """(name) => {
                    const c = document.querySelector(`[data-layer=${name}] .mc-lines`)
                    const copy = new OffscreenCanvas(c.width, c.height).getContext("2d")
                    copy.drawImage(c, 0, 0)
                    const {data} = copy.getImageData(0, 0, c.width, c.height)
                    return data.some((value) => value > 0)
                }""",
                earlier,
            )
            assert drawn, f"nothing lights up in {earlier}"
        # the slices that are shown and the rest add up on the page, as it rounds them
        parts = page.locator(".mc-parthead b, .mc-rest:not(.mc-sumline) b").all_inner_texts()
        before = float(page.locator(".mc-sumline b").inner_text())
        assert sum(map(float, parts)) == pytest.approx(before, abs=0.0005 * (len(parts) + 1))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Back").click()
    shown_number(page, "conv2[")
    page.get_by_role("button", name="Close").click()
    assert page.locator(".mc-inspector").is_hidden() and page.locator(".mc-field").first.is_hidden()


def test_a_visitor_finds_a_number_by_its_name_and_follows_it_down_to_the_pixels(open_page):
    "What is the number at row 3, column 5 of map 12 of conv2 made of? By keyboard alone."
    page = open_page()
    begin(page)
    page.locator("[data-layer=conv1] .mc-maps").press("Enter")
    page.locator(".mc-inspector h2").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H2"
    pick(page, "conv2", 12, 3, 5)
    value = shown_number(page, "conv2[12, 3, 5]")
    ours = numbers_of(as_travelled(load_pretrained()), seen_page(page))
    assert value == pytest.approx(ours["conv2"][12, 3, 5].item(), abs=6e-4)
    page.get_by_role("button", name="Show all 32").press("Enter")
    assert page.locator(".mc-parts > li").count() == 32
    page.locator(".mc-parthead button").first.press("Enter")
    shown_number(page, "conv1[")
    page.locator(".mc-parthead button").first.press("Enter")
    pixel = shown_number(page, "pixel[")
    index = page.locator(".mc-inspector h2").inner_text().split("[")[1].split("]")[0]
    row, column = map(int, index.split(", "))
    assert pixel == pytest.approx(ours["input"][0, row, column].item(), abs=6e-4)
    page.locator(".mc-big").press("ArrowRight")
    shown_number(page, f"pixel[{row}, {min(column + 1, 27)}]")
    live = page.locator("[aria-live]")
    assert live.count() == 1 and live.inner_text().startswith("pixel[")
    # what doesn't exist is the nearest that does
    pick(page, "pool2", 999, -3, 7)
    shown_number(page, "pool2[255, 0, 3]")
    assert "Of four numbers the largest goes on" in page.locator(".mc-total").inner_text()
    page.get_by_role("button", name="Take the winner apart").press("Enter")
    assert shown_number(page, "conv4[255, ") == pytest.approx(
        ours["pool2"][255, 0, 3].item(), abs=6e-4
    )
    pick(page, "log_softmax", 7)
    assert shown_number(page, "log_softmax[7]") == pytest.approx(
        ours["log_softmax"][7].item(), abs=6e-4
    )


def test_an_answer_says_what_spoke_for_it_and_against(open_page):
    page = open_page()
    begin(page)
    page.get_by_role("button", name="What speaks for 7").click()
    page.locator(".mc-fed button").first.wait_for()
    ours = numbers_of(as_travelled(load_pretrained()), seen_page(page))
    score = ours["fc2"].flatten()
    assert f"that's a score of {score[7].item():.3f}" in page.locator(".mc-total").inner_text()
    rival = score.argsort(descending=True)[1].item()
    page.get_by_label("Compared with").select_option(str(rival))
    page.wait_for_function(
        f"() => document.querySelector('.mc-inspector h2').textContent === 'Why 7 and not {rival}?'"
    )
    lead = score[7].item() - score[rival].item()
    assert f"7 is ahead of {rival} by {lead:.3f}" in page.locator(".mc-total").inner_text()
    page.locator(".mc-rows button").first.click()
    page.wait_for_function(
        "() => document.querySelector('.mc-inspector h2').textContent.startsWith('fc1[')"
    )
    assert "4,096 products" in page.locator(".mc-total").inner_text()


def test_what_if_changes_the_answer_in_words_and_bars_and_can_be_undone(open_page):
    page = open_page()
    begin(page)
    open_panel(page)
    before = page.locator(".mc-bars").inner_text()
    pick(page, "fc1", 0)
    loud = numbers_of(as_travelled(load_pretrained()), seen_page(page))["fc1"].flatten()
    silenced = loud.argsort(descending=True)[:6].tolist()
    for number in silenced:
        pick(page, "fc1", number)
        page.get_by_role("button", name=f"Silence number {number}", exact=True).click()
        page.wait_for_function(
            f"() => document.querySelector('.mc-tried').textContent.includes('number {number} of fc1')"
        )
    words = page.locator(".mc-tried").inner_text()
    model, silent = as_travelled(load_pretrained()), {"fc1": silenced}
    ours = read_with(model, silent, seen_page(page))
    from mnist_course.engine.predict import percent

    best = int(ours.argmax())
    assert words.endswith(f"{best} ({percent(ours[best].item())}).") and "7 (> 99.9%)" in words
    assert page.locator("[aria-live]").inner_text() == words
    assert page.locator(".mc-was").first.is_visible()
    assert page.locator(".mc-bars").inner_text() != before
    page.get_by_role("button", name="Undo this").click()
    page.wait_for_function(
        f"() => !document.querySelector('.mc-tried').textContent.includes('number {silenced[-1]} of')"
    )
    page.get_by_role("button", name="Put everything back").click()
    page.wait_for_function("() => document.querySelector('.mc-whatif').hidden")
    assert page.locator(".mc-bars").inner_text() == before
    pick(page, "conv1", 3)
    page.get_by_label("Swap its kernel for").select_option("Sobel, vertical edges")
    page.get_by_role("button", name="Swap its kernel").click()
    page.wait_for_function(
        "() => document.querySelector('.mc-tried').textContent.includes('kernel 3 of conv1 swapped')"
    )


def test_an_answer_that_comes_while_somebody_types_takes_nothing_away(open_page):
    page = open_page()
    begin(page)
    open_panel(page)
    pick(page, "conv1", 3, 14, 12)
    shown_number(page, "conv1[3, 14, 12]")
    field = page.get_by_label("map", exact=True)
    field.fill("4")
    before = page.locator(".mc-inspector h2").inner_text()
    page.locator(".mc-digits button").nth(8).evaluate("(button) => button.click()")
    page.wait_for_function(
        "(before) => document.querySelector('.mc-inspector h2').textContent !== before", arg=before
    )
    assert field.input_value() == "4"
    field.press("Enter")
    shown_number(page, "conv1[4")


def test_the_slider_goes_back_to_before_the_network_had_learned(open_page):
    page = open_page()
    begin(page)
    page.wait_for_function("() => document.querySelectorAll('.mc-strip b')[5].textContent === '7'")
    asked = "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('.i8')).length"
    assert page.evaluate(asked) == 0
    slider = page.get_by_role("slider", name="How long the network has learned")
    assert slider.get_attribute("aria-valuetext").startswith("after 10 epochs")
    slider.press("Home")
    page.wait_for_function(
        "() => document.querySelector('.mc-answer').textContent.startsWith('not sure')"
    )
    assert page.evaluate(asked) == 1
    assert slider.get_attribute("aria-valuetext").startswith("before it learned anything: reads 9.")
    assert "before it learned anything" in page.locator("[aria-live]").inner_text()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    page.wait_for_function(
        "() => document.querySelector('.mc-moment').textContent.includes('100 steps')"
    )
    page.wait_for_function("() => document.querySelectorAll('.mc-strip b')[2].textContent === '7'")
    slider.press("End")
    page.wait_for_function(
        "() => document.querySelector('.mc-answer').textContent.startsWith('7 (> 99')"
    )


def test_a_moment_that_does_not_arrive_is_said_and_the_network_stays(chromium, site):
    page = chromium.new_page()
    page.route("**/*.i8", lambda route: route.fulfill(status=404))
    page.goto(site)
    begin(page)
    page.get_by_role("slider").press("Home")
    page.wait_for_function(
        "() => document.querySelector('.mc-moment').textContent.includes('could not be loaded')"
    )
    assert page.locator(".mc-answer").inner_text().startswith("7 (")
    page.close()


@pytest.mark.parametrize("how", ["none", "forbidden"])
def test_without_workers_the_page_reads_all_the_same(new_page, site, how):
    page = new_page(site)
    page.add_init_script(
        "delete globalThis.Worker"
        if how == "none"
        else "globalThis.Worker = class { postMessage() { setTimeout(() => this.onerror(new Event('error', {cancelable: true}))) } terminate() {} }"
    )
    page.goto(site)
    begin(page)
    page.get_by_role("button", name="What speaks for 7").click()
    page.locator(".mc-fed button").first.wait_for()


def test_a_stroke_never_waits_for_the_network(new_page, open_page, site):
    "The network is in a worker; and while that says nothing at all, the pen draws."
    page = open_page()
    begin(page)
    assert len(page.workers) == 1
    page = new_page(site)
    page.add_init_script("globalThis.Worker = class { postMessage() {} terminate() {} }")
    page.goto(site)
    box = page.locator(".mc-canvas").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 240, box["y"] + 90, steps=10)
    white = page.evaluate(
        """() => {
            const {data} = document.querySelector(".mc-canvas").getContext("2d").getImageData(0, 0, 280, 280)
            return data.reduce((sum, value, i) => sum + (i % 4 === 0 && value > 127), 0)
        }"""
    )
    page.mouse.up()
    assert white > 3500
    page.get_by_role("button", name="Undo", exact=True).click()
    assert page.get_by_role("button", name="Undo", exact=True).is_disabled()


def test_the_page_in_one_file_opens_without_a_server(chromium, tmp_path):
    path = write_drawing_file(tmp_path / "digit.html")
    assert path.stat().st_size < 2.1e6
    context = chromium.new_context()
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    policy = re.search(r'Security-Policy" content="([^"]*)"', path.read_text("utf-8"))[1]
    assert "connect-src data:;" in policy and not re.search("https?:|unsafe-eval", policy)
    page.goto(path.as_uri())
    begin(page)
    page.get_by_role("button", name="What speaks for 7").click()
    page.locator(".mc-fed button").first.wait_for()
    assert not faults and all(u.startswith(("file:", "blob:", "data:")) for u in asked), faults
    assert page.locator(".mc-training").count() == 0
    # and the page of files leads there, where a browser loads no modules
    write_drawing_page(tmp_path / "try")
    page.goto((tmp_path / "try" / "index.html").as_uri())
    page.wait_for_url("**/draw_a_digit.html")
    context.close()


@pytest.mark.parametrize(
    "renderer", ["mnist_course-scheme", "quarto-color-scheme", "smalldocs-scheme"]
)
def test_light_and_dark_are_as_chosen_on_the_site(new_page, site, renderer):
    page = new_page(site, color_scheme="light")
    page.goto(site)
    color = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(color)
    word = "dark" if renderer == "mnist_course-scheme" else "alternate"
    page.evaluate("([key, word]) => localStorage.setItem(key, word)", [renderer, word])
    page.reload()
    dark = page.evaluate(color)
    assert dark != light
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(color) == light
    page.reload()
    assert page.evaluate(color) == light


@pytest.mark.drawn(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_on_a_network_taken_apart(open_page, violations, scheme, width):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    begin(page)
    open_panel(page)
    page.get_by_role("button", name="Silence map").click()
    page.wait_for_function("() => !document.querySelector('.mc-whatif').hidden")
    assert violations(page) == []
    page.get_by_role("button", name="What speaks for 7").click()
    page.locator(".mc-fed button").first.wait_for()
    assert violations(page) == []


def test_what_a_screen_reader_is_told(open_page):
    page = open_page()
    begin(page)
    page.get_by_role("button", name="What speaks for 7").click()
    page.locator(".mc-fed button").first.wait_for()
    tree = page.locator("main").aria_snapshot()
    for line in (
        'heading "Draw a digit, and take the network apart" [level=1]',
        'application "Pad to draw a digit on"',
        'group "Tools"',
        'list "How probable each digit is"',
        'button "What speaks for 7"',
        'region "What each layer makes of it"',
        'slider "How long the network has learned"',
        'region "Taken apart"',
        'heading "What speaks for 7?" [level=2]',
        'combobox "Compared with"',
        "status: 7",
    ):
        assert line.split(":")[0] in tree, f"{line}\n{tree}"
    for name, (count, _, _) in SHAPES.items():
        if name not in ("input", "fc2", "log_softmax"):
            assert f'application "{name}, {count} ' in tree


def test_the_notebook_gets_the_explorer_as_one_text():
    text = bundle("viewer")
    assert "import.meta" not in text and "import {" not in text
    assert text.count("URL.createObjectURL(new Blob([") == 1
    assert len(text) < 300_000


def test_others_weights_have_no_past(tmp_path):
    torch.manual_seed(0)
    names = {path.name for path in write_drawing_page(tmp_path, Net())}
    assert not any(name.endswith(".i8") for name in names)
    assert json.loads((tmp_path / "stops.json").read_text()) == {"stops": []}


def test_the_page_has_the_moments_of_training_and_what_the_browser_doubts_with(tmp_path):
    written = {path.name for path in write_drawing_page(tmp_path)}
    about = json.loads((tmp_path / "stops.json").read_text("utf-8"))["stops"]
    files = [stop["file"] for stop in about if stop["file"]]
    assert len(files) == len(about) - 1 > 3 and {*files, "stops.json", "net.f16"} <= written
    kept = np.frombuffer((tmp_path / "reference.f32").read_bytes(), "<f4")
    reference = load_reference()
    parts = (reference.means, reference.whitening, reference.coefficients)
    np.testing.assert_array_equal(kept, torch.cat([part.flatten() for part in parts]).numpy())


def test_the_page_says_how_large_its_copy_in_one_file_is(tmp_path):
    written = write_drawing_page(f"{tmp_path}/page")
    copy = tmp_path / "page" / "draw_a_digit.html"
    assert written[-1] == copy
    words = f"this page in one file, {copy.stat().st_size / 1e6:.1f} MB, that opens anywhere"
    assert words in (tmp_path / "page" / "index.html").read_text("utf-8")
    mark = '<head>\n<meta name="generator" content="mnist_course">'
    assert copy.read_text("utf-8").count(mark) == 1  # a page that is finished


def test_a_plain_page_stands_alone_and_a_package_without_moments_has_none(tmp_path, monkeypatch):
    names = {path.name for path in write_drawing_page(tmp_path / "plain", plain=True)}
    assert "draw_a_digit.html" not in names and "stops.json" in names
    (page,) = (tmp_path / "plain").glob("index.html")
    assert "draw_a_digit" not in page.read_text("utf-8")
    (tmp_path / "empty").mkdir()
    real = explorer.asset
    monkeypatch.setattr(
        explorer,
        "asset",
        lambda *parts: tmp_path / "empty" if parts == ("weights", "stops") else real(*parts),
    )
    assert explorer._stops(None) == {"stops.json": b'{"stops": []}'}
