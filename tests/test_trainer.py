"""The trainer: its engine against torch in Node and in a browser, runs and their files, the page as a visitor uses it."""

import json
import math
import os
import shutil
import subprocess

import pytest
import torch
import torch.nn.functional as F
import traitlets

from mnist_course.base import asset
from mnist_course.plotting import plot_history
from mnist_course.training import History, load_weights
from mnist_course.widgets.trainer import (
    TrainerNet,
    _digit_bytes,
    _small_digits,
    trainer,
    write_trainer_page,
)

STATIC = asset("widgets", "static")
MODULES = ("engine", "files", "run", "settings")


# ---- arithmetic: Node and Chromium run the same functions on the same numbers

LEARN = """
async (base, bytes, one) => {
  const {Network, scheduledRate} = await import(base + "trainer_engine.js")
  const {layPixels, unpackDigits} = await import(base + "trainer_run.js")
  const {train} = unpackDigits(bytes)
  const network = new Network(one.maps, one.batch)
  network.weights.set(one.weights)
  const x = new Float64Array(one.batch * 784)
  const found = {losses: [], right: []}
  one.batches.forEach((places, i) => {
    places.forEach((place, n) => { layPixels(x, n * 784, train.pixels, place) })
    const labels = Uint8Array.from(places, (place) => train.labels[place])
    network.forward(x, labels, places.length)
    network.grads.fill(0)
    network.backward(x, labels, places.length)
    if (i === 0) found.first = {logits: [...network.logits], grads: [...network.grads]}
    network.step(scheduledRate(one.schedule, one.lr, Math.floor(i / 10), 5), one.momentum, one.decay)
    found.losses.push(network.loss)
    found.right.push(network.right)
  })
  return {...found, weights: [...network.weights]}
}
"""

CASES = {  # name: maps, digits in a batch, momentum, decay, schedule
    "as it comes": ((8, 16), 32, 0.9, 0.0, "StepLR"),
    "small, one by one": ((4, 8), 1, 0.0, 0.0, "constant"),
    "small, odd": ((4, 8), 7, 0.5, 0.01, "CosineAnnealingLR"),
    "large": ((16, 32), 20, 0.95, 0.001, "ExponentialLR"),
    "wide batch": ((8, 16), 128, 0.9, 0.0, "constant"),
}


def schedulers(optimizer) -> dict:
    "What the page's schedules are called in torch, for a run of five epochs."
    kinds = torch.optim.lr_scheduler
    return {
        "constant": kinds.LambdaLR(optimizer, lambda epoch: 1.0),
        "StepLR": kinds.StepLR(optimizer, math.ceil(5 * 3 / 4), 0.1),
        "ExponentialLR": kinds.ExponentialLR(optimizer, 0.8),
        "CosineAnnealingLR": kinds.CosineAnnealingLR(optimizer, 5),
    }


def case(name: str) -> dict:
    "Weights and 50 batches, of which each tenth is short."
    maps, batch, momentum, decay, schedule = CASES[name]
    torch.manual_seed(len(name))
    weights = torch.cat([p.detach().flatten() for p in TrainerNet(*maps).parameters()])
    order = torch.randperm(6000).repeat(2)
    sizes = [batch if i % 10 < 9 else max(1, batch // 3) for i in range(50)]
    return {
        "maps": maps,
        "batch": batch,
        "momentum": momentum,
        "decay": decay,
        "schedule": schedule,
        "lr": 0.01,
        "weights": weights.tolist(),
        "batches": [part.tolist() for part in order[: sum(sizes)].split(sizes)],
    }


def by_torch(one: dict, dtype: torch.dtype) -> dict:
    "What torch makes of a case."
    images, labels = _small_digits()[:2]
    model = TrainerNet(*one["maps"]).to(dtype)
    torch.nn.utils.vector_to_parameters(
        torch.tensor(one["weights"], dtype=dtype), model.parameters()
    )
    settings = {"momentum": one["momentum"], "weight_decay": one["decay"]}
    optimizer = torch.optim.SGD(model.parameters(), lr=one["lr"], **settings)
    scheduler = schedulers(optimizer)[one["schedule"]]
    for group in optimizer.param_groups:  # each scheduler set it when it was made
        group["lr"] = one["lr"]
    found: dict = {"losses": [], "right": []}
    for i, places in enumerate(one["batches"]):
        x, y = images[places].to(dtype), labels[places]
        scores = model(x)
        loss = F.nll_loss(scores, y)
        optimizer.zero_grad()
        loss.backward()
        if i == 0:
            grads = [p.grad.flatten() for p in model.parameters()]
            found["first"] = {"scores": scores.detach(), "grads": torch.cat(grads)}
        optimizer.step()
        if i % 10 == 9:
            scheduler.step()
        found["losses"].append(loss.item())
        found["right"].append(int((scores.argmax(1) == y).sum()))
    found["weights"] = torch.cat([p.detach().flatten() for p in model.parameters()])
    return found


def apart(found: dict, wanted: dict) -> dict[str, float]:
    "The largest differences: of the first batch forward and backward, of fifty losses, of weights."
    scores = wanted["first"]["scores"]
    logits = torch.as_tensor(found["first"].get("logits", scores), dtype=torch.float64).flatten()
    pairs = {
        "forward": (logits[: scores.numel()].reshape(scores.shape).log_softmax(1), scores),
        "backward": (found["first"]["grads"], wanted["first"]["grads"]),
        "losses": (found["losses"], wanted["losses"]),
        "weights": (found["weights"], wanted["weights"]),
    }
    return {
        name: float((torch.as_tensor(a, dtype=torch.float64) - torch.as_tensor(b)).abs().max())
        for name, (a, b) in pairs.items()
    }


def agree(found: dict, one: dict) -> None:
    "Fifty steps are torch's in double precision, and as near to its float32 as that is to it."
    double, single = by_torch(one, torch.float64), by_torch(one, torch.float32)
    differences = apart(found, double)
    assert max(differences.values()) < 1e-6, differences
    first = apart(found, single)
    assert max(first["forward"], first["backward"]) < 1e-4, first
    # In float32 a pool may choose another winner than in double precision, and from there on
    # torch parts with itself. Here JavaScript is as far from the one as the other is.
    own = apart(double, single)
    assert all(first[name] <= own[name] + 1e-6 for name in ("losses", "weights")), (first, own)
    assert sum(found["right"]) == sum(double["right"])


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    "Run JavaScript in Node: a function from a module's body and a value, `given`, to what it gives."
    program = shutil.which("node")
    if program is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("no Node.js on this machine")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "digits.bin").write_bytes(_digit_bytes())
    for name in MODULES:
        shutil.copy(STATIC / f"trainer_{name}.js", folder)
    imports = "\n".join(
        f'import * as {name} from "./trainer_{name}.js"' for name in MODULES if name != "settings"
    )
    start = (
        f'import fs from "node:fs"\n{imports}\nconst given = JSON.parse(fs.readFileSync(0))\n'
        'const bytes = new Uint8Array(fs.readFileSync("digits.bin"))\n'
        "const digits = run.unpackDigits(bytes)\nconst tell = (value) => console.log(JSON.stringify(value))\n"
    )

    def execute(body: str, given: object = None):
        (folder / "main.js").write_text(start + body)
        done = subprocess.run(
            [program, "main.js"],
            cwd=folder,
            input=json.dumps(given),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return execute


@pytest.mark.drawn(2)
@pytest.mark.parametrize("name", CASES)
def test_forward_backward_and_fifty_steps_are_torchs(node, name):
    one = case(name)
    found = node(f'tell(await ({LEARN})("./", bytes, given))', one)
    agree(found, one)


def test_float32_keeps_to_the_same_fifty_steps(node):
    "Where no pool is in doubt, torch's float32 ends within 1e-4, too."
    one = case("as it comes")
    found = node(f'tell(await ({LEARN})("./", bytes, given))', one)
    differences = apart(found, by_torch(one, torch.float32))
    assert max(differences.values()) < 1e-4, differences


def test_fifty_steps_are_torchs_in_a_browser(chromium, serve):
    page = chromium.new_page()
    base = serve(STATIC) + "/"
    page.goto(base + "trainer_settings.js")
    one = case("small, odd")
    found = page.evaluate(
        f"([base, digits, one]) => ({LEARN})(base, Uint8Array.from(digits), one)",
        [base, list(_digit_bytes()), one],
    )
    page.close()
    agree(found, one)


def test_schedules_are_torchs(node):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    for name in schedulers(optimizer):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        for group in optimizer.param_groups:
            group.pop("initial_lr", None)
        scheduler = schedulers(optimizer)[name]
        optimizer.param_groups[0]["lr"] = 0.3
        wanted = []
        for _ in range(5):
            wanted.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        found = node(
            "tell([0, 1, 2, 3, 4].map((epoch) => engine.scheduledRate(given, 0.3, epoch, 5)))", name
        )
        assert found == pytest.approx(wanted, rel=1e-9), name


def test_digits_arrive_as_they_left(node):
    found = node(
        """
        const x = new Float64Array(784)
        run.layPixels(x, 0, digits.test.pixels, 41)
        tell({x: [...x], labels: [...digits.train.labels, ...digits.test.labels], n: digits.train.pixels.length})
        """
    )
    images, labels, test_images, test_labels = _small_digits()
    assert found["n"] == images.numel()
    assert found["labels"] == [*labels.tolist(), *test_labels.tolist()]
    assert torch.allclose(torch.tensor(found["x"]), test_images[41].flatten(), atol=1e-6)


# ---- runs

RUN = """
function train(given, steps) {
  const one = new run.Run(run.readSettings(given).settings, digits.train)
  for (let i = 0; i < steps && !one.finished; i++) one.advance()
  return one
}
"""


def test_the_same_seed_gives_the_same_run_and_one_can_go_back(node):
    found = node(
        RUN
        + """
        const of = (one) => [...one.network.weights.subarray(0, 300), one.whole.loss, one.batchLoss]
        const settings = {digits: 100, batch: 32, seed: 5}
        const first = train(settings, 9)
        const kept = first.snapshot()
        const there = of(first)
        for (let i = 0; i < 5; i++) first.advance()
        const later = of(first)
        first.restore(kept)
        const back = of(first)
        for (let i = 0; i < 5; i++) first.advance()
        tell({there, later, back, again: of(first), twin: of(train(settings, 9)),
          other: of(train({...settings, seed: 6}, 9))})
        """
    )
    assert found["there"] == found["twin"] == found["back"]
    assert found["later"] == found["again"] != found["there"]
    assert found["other"] != found["there"]


def test_an_epoch_sees_each_digit_once_and_weighs_each_alike(node):
    found = node(
        RUN
        + """
        const one = train({digits: 70, batch: 32}, 0)
        const losses = []
        for (let i = 0; i < 3; i++) { one.advance(); losses.push([one.count, one.batchLoss]) }
        tell({losses, mean: one.means(one.whole).loss, orders: [0, 1].map((epoch) => [...one.order(epoch)]),
          steps: one.stepsPerEpoch})
        """
    )
    sizes = [n for n, _ in found["losses"]]
    assert sizes == [32, 32, 6] and found["steps"] == 3
    assert found["mean"] == pytest.approx(sum(n * loss for n, loss in found["losses"]) / 70)
    assert [sorted(order) for order in found["orders"]] == [list(range(70))] * 2
    assert found["orders"][0] != found["orders"][1]


def test_bugs_do_what_they_say(node):
    found = node(
        RUN
        + """
        const size = {digits: 200, batch: 50}
        const forgetful = train({...size, bugs: ["no zero_grad"], lr: 0.00001, momentum: 0}, 0)
        const careful = train({...size, lr: 0.00001, momentum: 0}, 0)
        const sums = new Float64Array(forgetful.network.count)
        for (let i = 0; i < 3; i++) {
          forgetful.advance()
          careful.network.weights.set(forgetful.network.weights)
          const before = careful.step
          careful.advance()
        }
        const shuffled = train({...size, bugs: ["shuffled labels"]}, 0)
        const fast = train({...size, bugs: ["lr x 100"]}, 0)
        const sorted = train({...size, bugs: ["sorted digits"]}, 0)
        const means = train({digits: 110, batch: 50, bugs: ["mean of means"]}, 0)
        const batches = []
        for (let i = 0; i < 3; i++) { means.advance(); batches.push(means.batchLoss) }
        tell({
          growth: [forgetful, careful].map((one) => Math.hypot(...one.network.grads)),
          labels: [[...shuffled.labels], [...careful.labels]],
          rates: [fast.rate(0), careful.rate(0)],
          orders: [0, 3].map((epoch) => [...sorted.order(epoch)].map((i) => sorted.labels[i])),
          reported: means.means(means.whole).loss, batches,
        })
        """
    )
    forgetful, careful = found["growth"]
    assert forgetful > 2 * careful  # three batches' gradients, which point much the same way
    moved, right = found["labels"]
    assert sorted(moved) == sorted(right)
    assert sum(a == b for a, b in zip(moved, right, strict=True)) < 50  # by chance about 20 of 200
    assert found["rates"] == [pytest.approx(2), 0.00001]
    assert all(order == sorted(order) for order in found["orders"])
    assert found["reported"] == pytest.approx(sum(found["batches"]) / 3)


def test_mean_of_means_gives_a_leftover_digit_a_batchs_weight(node):
    found = node(
        RUN
        + """
        const one = train({digits: 300}, 9)
        const examiner = new run.Examiner([8, 16], digits.test)
        const weights = one.network.weights
        const {predicted, ...honest} = examiner.look(weights)
        tell({honest, wrong: examiner.look(weights, 333).acc, predicted: [...predicted]})
        """
    )
    right = torch.tensor(found["predicted"]) == _small_digits()[3]
    assert found["honest"]["acc"] == pytest.approx(right.double().mean().item())
    means = [part.double().mean().item() for part in right.split(333)]
    assert len(means) == 4 and means[3] in (0.0, 1.0)
    assert found["wrong"] == pytest.approx(sum(means) / 4)


def test_divergence_is_noticed_in_losses_and_in_weights(node):
    found = node(
        RUN
        + """
        const wild = train({digits: 300, lr: 10, decay: 0.1, bugs: ["lr x 100"], epochs: 50}, 5000)
        const poisoned = train({digits: 300}, 1)
        poisoned.network.weights[0] = Number.NaN // ReLU and pool would hide it from the loss
        poisoned.advance()
        tell({wild: [wild.diverged, wild.finished, wild.step], poisoned: poisoned.diverged})
        """
    )
    assert found["poisoned"]
    diverged, finished, step = found["wild"]
    assert diverged and finished and step < 50 * 10


# ---- settings, links, files

BAD = [
    {"lr": 0},
    {"lr": "0.1"},
    {"lr": None},
    {"momentum": 1},
    {"batch": 2.5},
    {"batch": 0},
    {"epochs": 51},
    {"schedule": "steplr"},
    {"size": "8+16"},
    {"digits": 6001},
    {"seed": -1},
    {"bugs": ["no zero grad"]},
    {"bugs": "lr x 100"},
    {"decay": True},
]


@pytest.mark.drawn(5)
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_settings_that_cannot_be_are_refused_by_both(node, bad):
    found = node("tell(run.readSettings(given))", bad)
    assert found["refused"] == list(bad)
    assert found["settings"] == node("tell(run.readSettings({}).settings)")
    with pytest.raises(traitlets.TraitError):
        trainer(**bad)


def test_python_and_javascript_begin_alike(node):
    assert node("tell(run.readSettings({}).settings)") == trainer().settings
    with pytest.raises(traitlets.TraitError, match="there is no setting momentun"):
        trainer(momentun=0.5)


def test_a_link_holds_what_differs_and_brings_it_back(node):
    settings = {"lr": 0.1, "seed": 7, "size": "16 + 32", "bugs": ["sorted digits", "lr x 100"]}
    found = node(
        """
        const {settings} = run.readSettings(given)
        const link = files.toFragment(settings)
        tell({settings, link, back: files.fromFragment("#" + link), usual: files.toFragment(run.readSettings({}).settings)})
        """,
        settings,
    )
    assert found["usual"] == ""
    assert found["back"] == {"settings": found["settings"], "refused": []}
    assert set(found["link"].replace("=", "&").split("&")[::2]) == set(settings)


@pytest.mark.parametrize(
    ("link", "refused"),
    [
        ("#lr=0.05&lr=x", ["lr"]),
        ("#batch=", ["batch"]),
        ("#seed=1e400&epochs=0x10", ["seed"]),
        ("#__proto__=1&constructor=2", ["__proto__", "constructor"]),
        ("#%E0%A4%A&<script>alert(1)</script>", None),
        ("#bugs=lr x 100,nonsense", ["bugs"]),
    ],
)
def test_a_link_from_anybody_is_checked(node, link, refused):
    found = node("tell(files.fromFragment(given))", link)
    if refused is None:
        assert found["refused"]
    else:
        assert sorted(found["refused"]) == sorted(refused)
    assert list(found["settings"]) == list(trainer().settings)


def test_curves_and_weights_are_read_by_the_course(node, tmp_path):
    found = node(
        RUN
        + """
        const one = train({digits: 500, epochs: 2, seed: 3}, 0)
        const examiner = new run.Examiner([8, 16], digits.test)
        const marks = []
        while (!one.finished) {
          one.advance()
          if (one.step % one.stepsPerEpoch) continue
          const {loss, acc} = examiner.look(one.network.weights)
          marks.push({step: one.step, ends: true, whole: one.means(one.whole), test: {loss, acc}, lr: one.rate(marks.length), seconds: 0.5})
        }
        const seen = examiner.look(one.network.weights)
        marks.push({...marks[1], whole: {loss: Number.NaN, acc: 0.1}})
        tell({history: files.toHistory(one.settings, marks), loss: seen.loss, predicted: [...seen.predicted],
          weights: [...files.toSafetensors(one.network.layers, one.network.weights, one.settings)]})
        """
    )
    (tmp_path / "history.json").write_text(json.dumps(found["history"]))
    history = History.load(tmp_path / "history.json")
    assert len(history) == 3 and math.isnan(history.train_loss[2])
    assert history.test_acc[1] > history.test_acc[0] > 0.2
    assert history.settings["seed"] == 3 and history.settings["model"].endswith("TrainerNet(8, 16)")
    assert plot_history(history).axes
    (tmp_path / "model.safetensors").write_bytes(bytes(found["weights"]))
    model = TrainerNet()
    load_weights(tmp_path / "model.safetensors", model)
    images, labels = _small_digits()[2:]
    with torch.no_grad():
        scores = model(images)
    assert scores.argmax(1).tolist() == found["predicted"]
    assert F.nll_loss(scores, labels).item() == pytest.approx(found["loss"], abs=1e-5)


def test_all_settings_learn_a_little(node):
    "Each size and schedule, on few digits: loss goes down. Guessing gives 2.303."
    found = node(
        RUN
        + """
        tell(given.map((one) => {
          const done = train({digits: 200, batch: 20, epochs: 3, ...one}, 30)
          return done.means(done.whole).loss
        }))
        """,
        [{"size": size} for size in ("4 + 8", "8 + 16", "16 + 32")]
        + [{"schedule": name} for name in ("constant", "ExponentialLR", "CosineAnnealingLR")],
    )
    assert max(found) < 1.5


# ---- the page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainer")
    assert all(path.is_file() for path in write_trainer_page(folder))
    return folder


@pytest.fixture(scope="module")
def site(folder, serve):
    return serve(folder)


SMALL = {"digits": 200, "batch": 50, "epochs": 3, "seed": 4}
LINK = "#digits=200&batch=50&epochs=3&seed=4"


@pytest.fixture
def visit(new_page, site):
    "Open the trainer in a fresh window."

    def open_it(link: str = "", address: str = site, **options):
        page = new_page(address, **{"viewport": {"width": 1280, "height": 1000}, **options})
        page.goto(f"{address}/index.html{link}")
        page.wait_for_function("() => window.model")
        return page

    return open_it


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page) -> str:
    return page.get_by_role("status").inner_text()


def wait_for_words(page, words: str) -> None:
    page.wait_for_function(
        "(words) => document.querySelector('[role=status]').innerText.includes(words)", arg=words
    )


def curves(page) -> dict:
    found = page.evaluate("model.get('curves')")
    found.pop("seconds", None)
    return found


def test_a_run_on_the_page_is_the_run_in_node(visit, node, folder):
    "Also from a bare file, and twice the same."
    wanted = node(
        RUN
        + """
        const one = train(given, 0)
        const examiner = new run.Examiner([8, 16], digits.test)
        const marks = []
        while (!one.finished) {
          one.advance()
          if (one.step % one.stepsPerEpoch) continue
          const {loss, acc} = examiner.look(one.network.weights)
          const lr = one.rate(marks.length)
          marks.push({ends: true, whole: one.means(one.whole), test: {loss, acc}, lr, seconds: 0})
        }
        tell(files.toHistory(one.settings, marks))
        """,
        SMALL,
    )
    wanted.pop("seconds")
    for address in ({}, {"address": folder.as_uri()}):
        page = visit(LINK, **address)
        assert "Press Train to see it again" in said(page)
        press(page, "Train")
        wait_for_words(page, "Done: after 3 epochs")
        found = curves(page)
        assert found.pop("settings") == wanted["settings"]
        for name, column in found.items():
            assert column == pytest.approx(wanted[name], abs=1e-9), name


def test_one_batch_at_a_time_and_back(visit):
    page = visit(LINK)
    facts = page.locator(".mc-facts")
    before = facts.inner_text()
    press(page, "One batch")
    wait_for_words(page, "Batch 1: loss")
    after = facts.inner_text()
    assert after != before
    press(page, "One batch")
    wait_for_words(page, "Batch 2: loss")
    twice = facts.inner_text()
    slider = page.get_by_role("slider", name="Go back to")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    wait_for_words(page, "Back at batch 1")
    assert facts.inner_text() == after
    press(page, "One batch")
    wait_for_words(page, "Batch 2: loss")
    assert facts.inner_text() == twice
    slider.focus()
    page.keyboard.press("Home")
    wait_for_words(page, "Back at the beginning")
    assert facts.inner_text() == before


def test_a_gradient_is_what_a_nudge_says_and_with_the_bug_it_is_not(visit):
    for link, words in (("", "they agree"), ("&bugs=no+zero_grad", "the sum of all batches")):
        page = visit(LINK + link)
        for batch in (1, 2, 3):
            press(page, "One batch")
            wait_for_words(page, f"Batch {batch}: loss")
        page.get_by_label("One weight of").select_option("fc.bias")
        press(page, "Check the gradient: nudge this weight")
        wait_for_words(page, "The gradient was checked")
        assert words in page.locator(".mc-verdict").inner_text()


def test_a_cell_of_a_kernel_is_chosen_by_mouse_and_keyboard(visit):
    page = visit(LINK)
    name = page.locator(".mc-facts dt").first
    box = page.locator(".mc-kernel").nth(5).bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.1 * box["height"])
    assert name.inner_text() == "conv1.weight[5, 0, 0, 3]"
    page.locator(".mc-kernels").focus()
    for key in ("PageDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert name.inner_text() == "conv1.weight[6, 0, 1, 2]"
    page.get_by_role("spinbutton", name="row").fill("9")
    assert page.get_by_role("spinbutton", name="row").get_attribute("aria-invalid") == "true"
    assert name.inner_text() == "conv1.weight[6, 0, 1, 2]"


def test_when_it_diverges_the_page_says_so_and_one_can_go_back(visit):
    page = visit(LINK + "&lr=10&decay=0.1&epochs=50&bugs=lr+x+100")
    press(page, "Train")
    wait_for_words(page, "It diverged at batch")
    assert "Switch the bug off" in said(page)
    assert page.get_by_role("button", name="One batch").is_disabled()
    slider = page.get_by_role("slider", name="Go back to")
    slider.focus()
    page.keyboard.press("Home")
    wait_for_words(page, "Back at the beginning")
    assert page.get_by_role("button", name="One batch").is_enabled()


def test_a_run_that_learns_nothing_is_told_so(visit):
    page = visit(LINK + "&lr=1&bugs=lr+x+100")
    press(page, "Train")
    wait_for_words(page, "Done")
    assert "to every test digit" in said(page) and "guessing gives 2.30" in said(page)


def test_runs_are_compared_and_named_by_what_differs(visit):
    page = visit(LINK)
    press(page, "Train")
    wait_for_words(page, "Done")
    page.get_by_role("combobox", name="Learning rate").select_option("0.05")
    page.get_by_label("Shuffle the labels").check()
    assert "lr 0.05" in page.locator(".mc-pending").inner_text()
    press(page, "Start this run")
    wait_for_words(page, "Done")
    rows = page.locator(".mc-runs tbody tr th").all_inner_texts()
    assert len(rows) == 2 and "lr 0.05" in rows[1] and "shuffled labels" in rows[1]
    picture = page.locator(".mc-curves")
    assert "run 1 (" in picture.get_attribute("aria-label")
    assert picture.locator("polyline").count() == 8
    page.get_by_label("Show run 1 in the chart").uncheck()
    page.wait_for_function("() => document.querySelectorAll('.mc-curves polyline').length === 4")
    page.get_by_role("button", name="Use the settings of run 1").click()
    assert page.get_by_role("combobox", name="Learning rate").input_value() == "0.02"
    assert not page.get_by_label("Shuffle the labels").is_checked()


def test_what_is_changed_first_is_started_where_it_was_changed(visit):
    page = visit(LINK, viewport={"width": 390, "height": 700})
    assert not page.locator(".mc-pending").is_visible()
    press(page, "Break it on purpose ↓")
    page.wait_for_function("() => scrollY > 500")
    page.get_by_label("Shuffle the labels").check()
    pending = page.locator(".mc-pending")
    assert "shuffled labels" in pending.inner_text()
    box = pending.bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] <= 700, "it's in sight"
    press(page, "Start this run")
    wait_for_words(page, "Done")
    assert page.locator(".mc-runs tbody tr").count() == 1
    assert not pending.is_visible() and page.get_by_role("button", name="Train").is_visible()


def test_a_link_that_asks_too_much_is_answered(visit):
    page = visit("#lr=1000&batch=64&who=me")
    assert "lr, who" in said(page)
    assert page.get_by_role("combobox", name="Learning rate").input_value() == "0.02"
    assert page.get_by_role("combobox", name="Digits in a batch").input_value() == "64"


def test_files_that_the_page_saves_are_read_by_the_course(visit, tmp_path):
    page = visit(LINK, accept_downloads=True)
    press(page, "Train")
    wait_for_words(page, "Done")
    for button, name in (
        ("Save the curves (JSON)", "history.json"),
        ("Save the weights (safetensors)", "model.safetensors"),
    ):
        with page.expect_download() as waiting:
            press(page, button)
        assert waiting.value.suggested_filename == name
        waiting.value.save_as(tmp_path / name)
    history = History.load(tmp_path / "history.json")
    assert len(history) == 3 and all(second > 0 for second in history.seconds)
    model = TrainerNet()
    load_weights(tmp_path / "model.safetensors", model)
    images, labels = _small_digits()[2:]
    with torch.no_grad():
        right = (model(images).argmax(1) == labels).double().mean().item()
    assert right == pytest.approx(history.test_acc[-1], abs=0.0015)  # float32 may tip one digit


def test_a_screen_reader_finds_its_way(visit):
    page = visit(LINK)
    tree = page.locator("main").aria_snapshot()
    for line in (
        'heading "Train a network" [level=1]',
        'group "The run"',
        'button "Train"',
        'button "One batch"',
        'slider "Go back to"',
        "progressbar",
        "status",
        'region "Twenty test digits"',
        'img "Loss and accuracy on training and test digits',
        'heading "What is it learning?" [level=2]',
        "application",
        'combobox "Learning rate"',
        'spinbutton "Random seed"',
        'checkbox "Forget zero_grad"',
        'region "Your runs"',
    ):
        assert line in tree, line
    assert page.locator("[aria-live], [role=status], [role=alert]").count() == 1
    press(page, "One batch")
    wait_for_words(page, "Batch 1")
    page.wait_for_selector(".mc-tests li.mc-wrong")
    assert ", read as " in page.locator(".mc-tests").aria_snapshot()


@pytest.mark.drawn(2)
@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(visit, violations, light, width):
    page = visit(LINK, viewport={"width": width, "height": 800}, color_scheme=light)
    press(page, "Train")
    wait_for_words(page, "Done")
    assert not violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [digit.bounding_box() for digit in page.locator(".mc-tests li").all()]
    assert len(boxes) == 20 and min(box["width"] for box in boxes) > 28, "the digits can be read"


def test_the_switch_turns_the_light(visit):
    page = visit()
    color = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(color)
    press(page, "Light or dark")
    assert page.evaluate(color) != before


def test_the_page_weighs_little_at_the_start(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1.5e6
