"""The explorer: every number of the network taken apart, against torch; and the page in a browser."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_course.base import asset
from mnist_course.data import normalize
from mnist_course.model import Net, load_pretrained
from mnist_course.widgets.explorer import half_weights

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
    return model


@torch.inference_mode()
def numbers_of(model: Net, page: torch.Tensor) -> dict[str, torch.Tensor]:
    "Every number of the network, as torch computes it: each (maps, rows, columns)."
    pool = torch.nn.functional.max_pool2d
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
    print(worst)
