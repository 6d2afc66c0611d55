"Networks side by side: each computes, learns and answers as it would alone."

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mnist_course.engine.many as engine
from mnist_course.data import BatchLoader, DigitDataset
from mnist_course.engine.many import Many, accuracies, train_many
from mnist_course.model import Net
from mnist_course.training import test as accuracy_of
from mnist_course.zoo import NETWORKS, BetterNet


class Shared(nn.Module):
    "One convolution under two names, used three times."

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=2)
        self.again = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.last = nn.ModuleDict({"again": self.again, "fc": nn.Linear(4, 10)})

    def forward(self, x):
        x = F.relu(self.first(x))
        x = F.relu(self.again(self.again(x)))
        return self.last["fc"](self.last["again"](x).mean((2, 3)))


def plain():
    layers = (nn.Conv2d(1, 3, 5, stride=3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(192, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 10))


SHAPES = {
    "layers of every kind": plain,
    "one linear layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False)),
    "a layer used again": Shared,
    "tiny, of lesson 13": NETWORKS["tiny"].network,
    "shortcuts and pooling": partial(BetterNet, 2, batch_norm=True, gap=True, residual=True),
}


def several(make, count=3, dtype=torch.float64):
    torch.manual_seed(0)
    return [make().to(dtype) for _ in range(count)]


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 1, 28, 28, dtype=torch.float64, generator=generator)
    return x, torch.arange(6)


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_each_answers_and_learns_as_it_does_alone(batch, make):
    x, y = batch
    alone = several(make)
    many = Many(alone)
    assert many.training
    for _ in range(3):  # with momentum, three steps differ from one three times as long
        for one in alone:
            one.zero_grad()
        many.zero_grad()
        F.nll_loss(many(x).flatten(0, 1), y.repeat_interleave(3)).mul(3).backward()
        for one in alone:
            F.nll_loss(one(x).log_softmax(1), y).backward()
        with torch.no_grad():
            for module in (many, *alone):
                for p in module.parameters():
                    p -= 0.1 * p.grad
    for mode in (True, False):
        wanted = torch.stack([one.train(mode)(x).log_softmax(1) for one in alone], 1)
        assert torch.allclose(many.train(mode)(x), wanted, atol=1e-9), f"training: {mode}"
    for found, one in zip(many.networks(), alone, strict=True):
        state = one.state_dict()
        assert {*state} == {*found.state_dict()}
        for name, value in found.state_dict().items():
            assert torch.allclose(value, state[name], atol=1e-9), name
        assert not found.training


def test_a_network_that_is_one_layer(batch):
    x = batch[0].flatten(1)
    alone = several(lambda: nn.Linear(784, 10))
    wanted = torch.stack([one(x).log_softmax(1) for one in alone], 1)
    assert torch.allclose(Many(alone, (784,))(x), wanted)


def test_the_networks_that_came_are_left_alone(batch):
    alone = several(plain)
    before = copy.deepcopy([one.state_dict() for one in alone])
    many = Many(alone)
    with torch.no_grad():
        for p in many.parameters():
            p.zero_()
    many(batch[0])
    for one, state in zip(alone, before, strict=True):
        assert one.training
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    for p in many.networks()[0].parameters():
        p.data.fill_(1)
    assert not any(p.any() for p in many.parameters())


def test_frozen_weights_stay_frozen():
    alone = several(plain)
    for one in alone:
        one[0].weight.requires_grad_(False)
    assert [p.requires_grad for p in Many(alone).parameters()] == [
        p.requires_grad for p in alone[0].parameters()
    ]


class Mixing(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.fc = how, nn.Linear(784, 10)

    def forward(self, x):
        return self.how(self.fc(x.flatten(1)))


@pytest.mark.parametrize(
    ("networks", "told"),
    [
        ([], "no network"),
        ([nn.Linear(784, 10), nn.Linear(784, 10, bias=False)], "network 1 has other layers"),
        ([nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3, stride=2)], "network 1 has other layers"),
        ([Net(), Net()], "reshape"),
        ([nn.Sequential(nn.Flatten(), nn.LayerNorm(784))] * 2, "LayerNorm"),
        ([nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1))] * 2, "Softmax"),
        ([nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")] * 2, "pads with zeros"),
        ([Mixing(lambda x: x.softmax(1)) for _ in range(2)], "other answers"),
        ([Mixing(lambda x: x.roll(1, 1)) for _ in range(2)], "other answers"),
        ([Mixing(lambda x: x.view(-1, 5)) for _ in range(2)], "other answers"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused(networks, told):
    with pytest.raises(ValueError, match=told):
        Many(networks)


def test_each_has_a_learning_rate_of_its_own(sample):
    train_set = sample[0]
    rates = [0.02, 0.1, 0.3]
    start = several(SHAPES["tiny, of lesson 13"], 1)[0]
    many = Many([start] * 3)
    train_many(many, train_set, rates, seed=4, epochs=0.2, precision="float32")
    assert not many.training
    for rate, found in zip(rates, many.networks(), strict=True):
        alone = Many([start])
        train_many(alone, train_set, rate, seed=4, epochs=0.2, precision="float32")
        for a, b in zip(found.parameters(), alone.networks()[0].parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_one_that_diverges_harms_no_other(sample):
    start = several(plain, 1, torch.float32)[0]
    many = Many([start] * 3)
    train_many(many, sample[0], [0.05, 1e30, 0.05], epochs=0.1, precision="float32")
    good, lost, same = many.networks()
    assert all(p.isfinite().all() for p in good.parameters())
    assert not all(p.isfinite().all() for p in lost.parameters())
    for a, b in zip(good.parameters(), same.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_they_learn_and_are_counted_one_by_one(sample):
    train_set, test_set = sample
    many = Many(several(SHAPES["one linear layer"], 2, torch.float32))
    before = accuracies(many, test_set)
    train_many(many, train_set, 0.02, epochs=2)
    found = accuracies(many.train(), test_set)
    assert many.training
    assert min(found) > max(before) + 0.3
    loader = BatchLoader(test_set, 50)
    for share, one in zip(found, many.networks(), strict=True):
        assert accuracy_of(one, loader, F.cross_entropy)[1] == pytest.approx(share)


def test_a_small_part_of_a_pass_is_one_step_that_helps(sample):
    "One cycle ends near a rate of 0; a cycle of a single step must not be that end."
    few = DigitDataset(sample[0].images[:50], sample[0].labels[:50])
    x, y = next(iter(BatchLoader(few, 50)))
    many = Many(several(SHAPES["one linear layer"], 2, torch.float32))

    def loss():
        return F.nll_loss(many(x).flatten(0, 1), y.repeat_interleave(2)).item()

    before = loss()
    train_many(many, few, 0.01, epochs=0.01, precision="float32")
    assert loss() < before - 0.05


def test_those_that_came_in_eval_mode_learn_in_training_mode(sample):
    few = DigitDataset(sample[0].images[:50], sample[0].labels[:50])
    many = Many([one.eval() for one in several(plain, 2, torch.float32)])
    train_many(many, few, 0.01, epochs=0.01)
    for one in many.networks():
        assert one[1].num_batches_tracked == 1 and one[1].running_mean.any()
        assert not one.training


@pytest.mark.parametrize("asked", ["float32", "bfloat16", None])
@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_they_compute_in_the_precision_that_is_asked_for_or_is_faster_here(
    sample, monkeypatch, asked, faster
):
    few = DigitDataset(sample[0].images[:50], sample[0].labels[:50])
    many = Many(several(SHAPES["one linear layer"], 2, torch.float32))
    seen = set()
    many.network.register_forward_hook(lambda module, x, scores: seen.add(scores.dtype))
    monkeypatch.setattr(engine, "faster_precision", lambda device: faster)
    train_many(many, few, 0.01, epochs=0.01, precision=asked)
    assert seen == {getattr(torch, asked or faster)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"rates": [0.1]}, "rates must be 2 numbers"),
        ({"rates": [0.1, 0]}, "above 0"),
        ({"rates": float("nan")}, "above 0"),
        ({"epochs": 0}, "epochs must be above 0"),
        ({"epochs": float("inf")}, "epochs must be above 0"),
        ({"precision": "float8"}, "precision must be one of"),
    ],
)
def test_settings_out_of_range_are_refused(sample, wrong, told):
    many = Many(several(SHAPES["one linear layer"], 2, torch.float32))
    before = copy.deepcopy(many.state_dict())
    with pytest.raises(ValueError, match=told):
        train_many(many, sample[0], **{"rates": 0.1, **wrong})
    assert all(torch.equal(value, before[name]) for name, value in many.state_dict().items())


def test_a_network_of_which_nothing_learns_is_refused(sample):
    networks = several(SHAPES["one linear layer"], 2, torch.float32)
    for one in networks:
        one.requires_grad_(False)
    with pytest.raises(ValueError, match="none of the networks' weights learns"):
        train_many(Many(networks), sample[0], 0.1)
