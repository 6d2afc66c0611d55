"Networks of any shape: the first layer that never learns, shifts, five looks, the loop, and the recipe files that use them."

import inspect
from itertools import pairwise
from pathlib import Path
from runpy import run_path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mnist_course.engine.sprint as engine
from mnist_course.data import BatchLoader, DigitDataset, normalize
from mnist_course.engine.sprint import FiveLooks, Strokes, shifted, sprint, stroke_kernels
from mnist_course.environment import seed_everything
from mnist_course.training import test as accuracy_of

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.py"))


@pytest.fixture(scope="module")
def images(sample):
    return normalize(sample[0].images[:64])


def test_strokes_come_in_pairs_at_right_angles():
    kernels = stroke_kernels(18).flatten(1)
    assert torch.allclose(kernels[::2], -kernels[1::2])
    assert torch.allclose(kernels[::2] @ kernels[::2].T, 2 * torch.eye(9), atol=1e-6)
    assert kernels[0].std() < 1e-6  # the plainest is first
    assert torch.equal(stroke_kernels(16).flatten(1), kernels[:16])
    changes = []  # of sign, along a row and along a column: the plainest has none
    for pattern in kernels[::2].reshape(9, 3, 3):
        lines = [pattern[pattern.abs().sum(1).argmax()], pattern[:, pattern.abs().sum(0).argmax()]]
        signs = [[x > 0 for x in line.tolist() if abs(x) > 1e-6] for line in lines]
        changes.append(sum(a != b for line in signs for a, b in pairwise(line)))
    assert changes == [0, 1, 1, 2, 2, 2, 3, 3, 4]
    for wrong in (0, 19):
        with pytest.raises(ValueError, match="18 strokes"):
            stroke_kernels(wrong)


@pytest.mark.parametrize(("side", "kernels"), [(24, 16), (28, 18), (20, 5)])
def test_the_first_layer_is_a_convolution_relu_and_pooling(images, side, kernels):
    layer = Strokes(kernels, side)
    edge = (28 - side) // 2
    middle = images[:, :, edge : edge + side, edge : edge + side]
    usual = F.relu(F.max_pool2d(F.conv2d(middle, stroke_kernels(kernels)), 2))
    found = layer(images)
    assert torch.allclose(found, usual, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last) and not found.requires_grad
    assert sum(p.numel() for p in layer.parameters()) == 9 * kernels


def test_a_first_layer_that_cannot_be_is_refused(images):
    for side in (2, 25, 24.5):
        with pytest.raises((ValueError, TypeError), match="side"):
            Strokes(side=side)
    with pytest.raises(ValueError, match="28 pixels a side"):
        Strokes(side=28)(images[:, :, :20])


def test_shifts_reach_every_place_and_keep_the_ink(images):
    generator = torch.Generator().manual_seed(0)
    dot = torch.zeros(2000, 1, 7, 9)
    dot[:, :, 3, 4] = 1
    moved = shifted(dot, 2, generator)
    places = moved.flatten(1).argmax(1)
    wanted = {9 * row + column for row in range(1, 6) for column in range(2, 7)}
    assert set(places.tolist()) == wanted and moved.sum() == 2000
    same = [shifted(images, 1, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*same) and same[0].shape == images.shape
    assert torch.equal(shifted(images, 0), images)
    usual = shifted(dot, generator=generator).flatten(1).argmax(1)  # by a pixel
    assert set(usual.tolist()) == {9 * row + column for row in (2, 3, 4) for column in (3, 4, 5)}


def test_an_edge_is_repeated_not_filled_with_gray():
    blank = torch.full((50, 1, 5, 5), -0.42)
    assert torch.equal(shifted(blank, 2), blank)


def test_five_looks_in_eval_mode_and_one_in_training(images):
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    net = FiveLooks(inner)
    assert torch.equal(net(images), inner(images))
    net.eval()
    up = images.roll(-1, 2)
    looks = [inner(x).log_softmax(1) for x in (images, images, up, images.roll(1, 2))]
    looks += [inner(images.roll(step, 3)).log_softmax(1) for step in (-1, 1)]
    assert torch.allclose(net(images), sum(looks) / 6, atol=1e-5)


def a_network():
    seed_everything(0)
    return nn.Sequential(Strokes(), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(648, 10))


def test_the_order_belongs_to_the_seed_alone(small):
    states = []
    for seed, luck in ((1, 5), (1, 6), (2, 5)):
        network = a_network()
        torch.manual_seed(luck)  # what the caller has drawn before doesn't matter
        sprint(network, small[0], seed, shift=1)
        states.append(network[1].weight.detach().clone())
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_strokes_stay_and_all_else_learns(small):
    before, network = a_network().state_dict(), a_network()
    sprint(network, small[0], 0)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) == (name == "0.kernels"), name


def test_epochs_are_passes_over_the_digits_in_a_new_order(small):
    seen = []

    class Watch(nn.Linear):
        def forward(self, x):
            seen.append(x.detach().float().flatten(1))
            return super().forward(x.flatten(1))

    digits = small[0]  # 640
    sprint(Watch(784, 10), digits, 0, epochs=1.5, batch_size=100)
    rows = torch.cat(seen)
    assert [len(batch) for batch in seen] == [100] * 6 + [40] + [100] * 3  # of 10.5 batches
    known = normalize(digits.images).flatten(1)
    order = torch.cdist(rows, known).argmin(1)
    assert sorted(order[:640].tolist()) == list(range(640))
    assert len(set(order[640:].tolist())) == 300 and order[640:].tolist() != order[:300].tolist()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_where_nobody_says_otherwise_it_is_one_pass_in_what_is_faster_here(
    small, monkeypatch, precision
):
    seen = []

    class Watch(nn.Linear):
        def forward(self, x):
            scores = super().forward(x.flatten(1))
            seen.append((len(x), scores.dtype))
            return scores

    monkeypatch.setattr(engine, "faster_precision", lambda device: precision)
    sprint(Watch(784, 10), small[0], 0)  # 640 digits
    assert seen == [(128, getattr(torch, precision))] * 5


def test_the_momentum_stays_while_the_rates_rise_and_fall(small, monkeypatch):
    seen = []

    class Watched(engine.Muon):
        def step(self):
            seen.append([(group["momentum"], group["lr"]) for group in self.param_groups])
            return super().step()

    monkeypatch.setattr(engine, "Muon", Watched)
    sprint(a_network(), small[0], 0)
    assert len(seen) == 5 and {momentum for step in seen for momentum, _ in step} == {0.8}
    for rates in zip(*([lr for _, lr in step] for step in seen), strict=True):
        assert rates[0] < rates[-1] < max(rates)


def test_one_step_is_enough(small):
    few = DigitDataset(small[0].images[:50], small[0].labels[:50])
    network, steps = a_network(), []
    network.register_forward_hook(lambda module, x, scores: steps.append(len(scores)))
    sprint(network, few, 0, epochs=0.1)
    assert steps == [50]
    assert not torch.equal(network[1].weight, a_network()[1].weight)
    assert all(p.isfinite().all() for p in network.parameters())


def test_what_cannot_be_trained_is_refused(small):
    only_biases = a_network()
    for layer in only_biases[1::2]:
        layer.weight.requires_grad_(False)
    for network in (nn.Sequential(Strokes()), only_biases):
        with pytest.raises(ValueError, match="no convolution"):
            sprint(network, small[0], 0)
    with pytest.raises(ValueError, match="epochs"):
        sprint(a_network(), small[0], 0, epochs=0)
    with pytest.raises(ValueError, match="most"):
        sprint(a_network(), small[0], 0, shift=-1)


# ---- the recipe files


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_file_has_its_shape(path):
    source = path.read_text("utf-8")
    recipe = run_path(str(path))
    assert recipe["__doc__"].count(".") >= 2 and len(source.splitlines()) < 100
    assert list(inspect.signature(recipe["network"]).parameters) == []
    assert list(inspect.signature(recipe["train"]).parameters) == ["network", "digits", "seed"]
    seed_everything(0)
    network = recipe["network"]().eval()
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


LEAST = {"one_cycle": 0.86, "ninety_nine": 0.91, "ninety_nine_four": 0.94}  # of 5,000 digits


@pytest.mark.parametrize("name", LEAST)
def test_a_recipe_file_learns_the_sample(sample, name):
    digits, unseen = sample
    recipe = run_path(str(RECIPES[0].parent / f"{name}.py"))
    seed_everything(0)
    network = recipe["network"]()
    some = DigitDataset(digits.images[:5000], digits.labels[:5000])
    recipe["train"](network, some, 0)
    few = DigitDataset(unseen.images[:1000], unseen.labels[:1000])
    assert accuracy_of(network, BatchLoader(few, 500), F.cross_entropy)[1] > LEAST[name]


@pytest.mark.parametrize("name", LEAST)
def test_a_recipe_file_repeats_itself(small, name):
    recipe = run_path(str(RECIPES[0].parent / f"{name}.py"))
    x = normalize(small[1].images)
    scores = []
    for seed in (0, 0, 1):
        seed_everything(0)
        network = recipe["network"]()
        recipe["train"](network, small[0], seed)
        with torch.no_grad():
            scores.append(network.eval()(x))
    assert torch.equal(scores[0], scores[1]) and not torch.equal(scores[0], scores[2])
