"""Remedies, networks with parts to add, and what may be said after five seeds."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_course.data import DigitDataset, normalize
from mnist_course.engine.zoo import LinearNet, SmallNet, random_subset
from mnist_course.model import Net
from mnist_course.zoo import (
    NETWORKS,
    VARIANTS,
    BetterNet,
    Interval,
    by_seed,
    drop,
    interval,
    paired,
    random_affine,
    recorded,
    train_plan,
)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="module")
def digits(sample) -> DigitDataset:
    return random_subset(sample[0], 512)


@pytest.mark.parametrize(
    "parts",
    [{}, {"dropout": 0.5}, {"batch_norm": True}, {"gap": True}, {"residual": True}],
    ids=str,
)
def test_better_net_gives_log_probabilities(parts):
    model = BetterNet(width=4, **parts)
    out = model(torch.zeros(3, 1, 28, 28))
    assert out.shape == (3, 10) and torch.allclose(out.exp().sum(1), torch.ones(3), atol=1e-5)
    assert model(torch.zeros(0, 1, 28, 28)).shape == (0, 10)


def test_better_net_without_parts_is_net():
    better, net = BetterNet(), Net()
    assert count(better) == count(net) == 593_200
    with torch.no_grad():
        for p, q in zip(
            better.parameters(), net.parameters(), strict=True
        ):  # the same tensors in the same order
            p.copy_(q)
    x = torch.randn(5, 1, 28, 28).clamp(-2, 2)
    assert torch.allclose(better(x), net(x), atol=1e-5)


def test_a_shortcut_alone_hands_the_middle_pixel_on():
    model = BetterNet(width=2, residual=True)
    pair = model.pair1
    for conv in (pair.conv_a, pair.conv_b):
        nn.init.zeros_(conv.weight), nn.init.zeros_(conv.bias)
    x = torch.rand(1, 1, 28, 28)
    expected = F.max_pool2d(F.relu(pair.shortcut(x)[:, :, 2:-2, 2:-2]), 2)
    assert torch.allclose(pair(x), expected)


def test_random_affine_moves_digits_a_little(digits):
    x = normalize(digits.images[:64])
    torch.manual_seed(0)
    moved = random_affine(x)
    assert moved.shape == x.shape and not torch.equal(moved, x)
    assert moved.min() >= x.min() - 1e-4 and moved.max() <= x.max() + 1e-4
    ink, before = (moved - x.min()).sum((1, 2, 3)), (x - x.min()).sum((1, 2, 3))
    # a change of size by at most a tenth changes the area by at most 21 %, and edges blur
    assert ((ink / before - 1).abs() < 0.35).all()
    assert torch.allclose(random_affine(x, degrees=0, scale=0, shift=0), x, atol=1e-4)


def test_a_pure_shift_shifts():
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 14, 14] = 1
    places = set()
    for seed in range(20):
        torch.manual_seed(seed)
        moved = random_affine(x, degrees=0, scale=0, shift=3)
        places.add(divmod(int(moved.argmax()), 28))
        assert moved.sum() == pytest.approx(1, abs=1e-4)
    assert len(places) > 5 and all(
        abs(row - 14) <= 3 and abs(column - 14) <= 3 for row, column in places
    )


def test_turned_and_slanted_digits_have_as_much_ink():
    x = torch.zeros(64, 1, 28, 28)
    x[..., 11:17, 11:17] = 1
    torch.manual_seed(0)
    moved = random_affine(x, degrees=45, scale=0, shift=2, shear=0.5)
    assert (moved - x).abs().flatten(1).sum(1).min() > 1
    ink = moved.sum((1, 2, 3))
    torch.testing.assert_close(ink, torch.full((64,), 36.0), rtol=0.05, atol=0)


def test_a_sheared_line_leans_and_stays_where_it_was():
    x = torch.zeros(32, 1, 28, 28)
    x[..., 4:24, 13:15] = 1
    torch.manual_seed(0)
    leaning = random_affine(x, degrees=0, scale=0, shift=0, shear=0.3)[:, 0]
    column = torch.arange(28.0)
    centres = (leaning * column).sum(2)[:, 6:22] / leaning.sum(2)[:, 6:22]  # of the ink, row by row
    lean = centres.diff(dim=1)
    assert (
        lean.abs().max() < 0.3 + 1e-3
        and lean.mean(1).abs().max() > 0.2
        and lean.std(1).max() < 0.06
    )
    torch.testing.assert_close(centres.mean(1), torch.full((32,), 13.5), rtol=0, atol=0.02)
    torch.manual_seed(0)
    first = random_affine(x, shear=0)
    torch.manual_seed(0)
    assert torch.equal(first, random_affine(x))  # without shear it draws no number for it


@pytest.mark.parametrize(("settings", "p"), [({}, 0.5), ({"p": 0.2}, 0.2), ({"p": 0.0}, 0.0)])
def test_what_is_not_dropped_makes_up_for_it(settings, p):
    torch.manual_seed(0)
    x = torch.randn(100, 80)
    kept = drop(x, **settings)
    gone = kept == 0
    assert gone.double().mean().item() == pytest.approx(p, abs=0.02)
    torch.testing.assert_close(kept[~gone], x[~gone] / (1 - p))
    torch.manual_seed(3)
    ours = drop(x, 0.3)
    torch.manual_seed(3)
    torch.testing.assert_close(ours, torch.where(torch.rand(100, 80) < 0.3, 0.0, x / 0.7))


def test_an_interval_by_hand():
    found = interval([1.0, 2.0, 3.0])
    assert (
        found.mean == 2
        and found.high - 2 == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
        and 2 - found.low == pytest.approx(found.high - 2)
    )
    assert interval([0.5, 0.5]) == Interval(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least two"):
        interval([0.9])


def test_intervals_cover_as_often_as_they_say():
    generator = torch.Generator().manual_seed(0)
    found = [interval(torch.randn(5, generator=generator).tolist()) for _ in range(400)]
    assert 0.92 < sum(i.low <= 0 <= i.high for i in found) / 400 < 0.98


def rows(name: str, accuracies: dict[int, float]) -> list[dict]:
    return [{"name": name, "seed": seed, "accuracy": a} for seed, a in accuracies.items()]


def test_pairs_are_made_by_seed():
    runs = rows("baseline", {0: 0.90, 1: 0.95, 2: 0.80}) + rows(
        "x", {2: 0.81, 1: 0.96, 0: 0.91, 7: 0.1}
    )
    found = paired(runs, "x")
    assert found.mean == pytest.approx(0.01) and found.high - found.low < 1e-9
    assert by_seed(runs, "x") == {0: 0.91, 1: 0.96, 2: 0.81, 7: 0.1}
    broke = [*runs, {"name": "x", "seed": 9, "accuracy": None}]  # its loss was no number
    assert by_seed(broke, "x") == by_seed(runs, "x")
    with pytest.raises(ValueError, match="no run of 'y'; there are baseline, x"):
        paired(runs, "y")
    with pytest.raises(ValueError, match="at least two"):
        paired(rows("baseline", {0: 0.9}) + rows("x", {0: 0.9}), "x")


def test_the_sizes_that_the_lesson_states():
    assert (
        count(SmallNet()),
        count(NETWORKS["tiny"].network()),
        count(LinearNet()),
        count(BetterNet(8)),
    ) == (
        7_578,
        682,
        7_850,
        76_144,
    )
    assert count(BetterNet(gap=True)) == 593_200 - 3840 * 50
    assert (
        count(BetterNet(batch_norm=True)) == 593_200 + 480
    )  # a scale in addition to the shift, which takes the bias's place
    sizes = {
        "full": 593_680,
        "brief": 593_680,
        "deep": 553_722,
        "half": 278_890,
        "small": 7_578,
        "tiny": 682,
        "linear": 7_850,
    }
    assert {name: count(plan.network()) for name, plan in NETWORKS.items()} == sizes
    folded, net = NETWORKS["full"].finish(NETWORKS["full"].network().eval()), Net().eval()
    assert [p.shape for p in folded.parameters()] == [p.shape for p in net.parameters()] and count(
        folded
    ) == 593_200


def test_every_variant_and_network_can_be_trained(digits):
    for plan in [*VARIANTS.values(), *NETWORKS.values()]:
        short = dataclasses.replace(plan, epochs=1, batch_size=64)
        model = train_plan(short, random_subset(digits, 64))
        assert not model.training
        assert all(bool(p.isfinite().all()) for p in model.parameters()), plan
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_networks_are_trained_as_those_that_were_measured():
    "Were they trained in another way, what is recorded would be of other networks."
    assert {name: (p.epochs, p.batch_size, p.lr) for name, p in NETWORKS.items()} == {
        "linear": (5, 128, 0.02),
        "tiny": (15, 64, 0.3),
        "small": (15, 64, 0.3),
        "half": (20, 64, 0.15),
        "deep": (60, 256, 0.3),
        "brief": (12, 64, 0.1),
        "full": (40, 64, 0.1),
    }


def test_what_is_recorded_belongs_to_the_plans():
    ablations, networks = (recorded(name)["runs"] for name in ("ablations", "networks"))
    assert {run["name"] for run in ablations} == set(VARIANTS)
    assert all(sorted(by_seed(ablations, name)) == [0, 1, 2, 3, 4] for name in VARIANTS)
    assert {run["tested_on"] for run in ablations} == {5_000} and {
        run["tested_on"] for run in networks
    } == {10_000}
    for run in ablations + networks:
        plan = {**VARIANTS, **NETWORKS}[run["name"]]
        assert (
            run["parameters"] == count(plan.finish(plan.network().eval()))
            and run["epochs"] == plan.epochs
        )
        assert run["seconds"] > 0 and {"python", "torch", "processor", "threads"} <= set(
            run["made_with"]
        )


def test_the_rates_are_of_the_same_runs_at_other_rates():
    runs, rates = recorded("ablations")["runs"], recorded("rates")["runs"]
    assert len(rates) == 45 and {run["seed"] for run in rates} == set(range(5))
    same = {run["name"]: run for run in runs}
    for run in rates:
        name, rate = run["name"].split(" at ")
        assert rate in ("0.01", "0.02", "0.1") and VARIANTS[name].lr == 0.05
        if run["accuracy"] is not None:
            for what in ("parameters", "epochs", "trained_on", "tested_on"):
                assert run[what] == same[name][what]


@pytest.mark.parametrize("name", ["../record", "nothing", "", None, []])
def test_runs_that_were_not_recorded_are_named(name):
    with pytest.raises(ValueError, match=r"no recorded runs .*; there are ablations, bench"):
        recorded(name)
