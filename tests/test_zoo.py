"""Networks with parts to add, plans to train them by, and what may be said after five seeds."""

import dataclasses
import json
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mnist_course.making.recorded as record
import mnist_course.zoo as zoo
from mnist_course.cli import main
from mnist_course.data import BatchLoader, DigitDataset, load_mnist, normalize
from mnist_course.model import Net
from mnist_course.training import DivergedError, test
from mnist_course.zoo import (
    NETWORKS,
    VARIANTS,
    BetterNet,
    Interval,
    LinearNet,
    Plan,
    SmallNet,
    by_seed,
    decay_groups,
    draw,
    frontier,
    interval,
    paired,
    plot_frontier,
    plot_intervals,
    random_affine,
    random_flip,
    smoothed_loss,
    student_t,
    tiny_net,
    train_plan,
)  # fmt: skip


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="module")
def digits() -> DigitDataset:
    return draw(load_mnist(source="sample")[0], 512)


quick = Plan(partial(SmallNet, ((4,), (8,))), epochs=1, lr=0.1)


# ---- networks


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


def test_the_sizes_that_the_lesson_states():
    assert (count(SmallNet()), count(tiny_net()), count(LinearNet()), count(BetterNet(8))) == (
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


def test_a_shortcut_alone_hands_the_middle_pixel_on():
    model = BetterNet(width=2, residual=True)
    pair = model.pair1
    for conv in (pair.conv_a, pair.conv_b):
        nn.init.zeros_(conv.weight), nn.init.zeros_(conv.bias)
    x = torch.rand(1, 1, 28, 28)
    expected = F.max_pool2d(F.relu(pair.shortcut(x)[:, :, 2:-2, 2:-2]), 2)
    assert torch.allclose(pair(x), expected)


@pytest.mark.parametrize("model", [BetterNet(2), SmallNet(((2,),))], ids=["better", "small"])
def test_networks_say_what_they_expect(model):
    with pytest.raises(ValueError, match="expects"):
        model(torch.zeros(1, 28, 28, 1))


@pytest.mark.parametrize("widths", [(), ((),), ((0,),), ((2,),) * 5])
def test_small_net_refuses_other_widths(widths):
    with pytest.raises(ValueError, match="groups of channels"):
        SmallNet(widths)


# ---- augmentation


@pytest.mark.parametrize("more", [{}, {"gap": True}, {"residual": True}])
def test_folded_norms_leave_answers_as_they_were_and_no_trace(digits, more):
    torch.manual_seed(0)
    model, x = BetterNet(width=4, batch_norm=True, **more), normalize(digits.images[:64])
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    model(x)  # the statistics are no longer 0 and 1
    before = model.eval()(x)
    folded = zoo.fold_norms(model)
    torch.testing.assert_close(folded(x), before, rtol=1e-4, atol=1e-4)
    assert [p.shape for p in folded.state_dict().values()] == [
        p.shape for p in BetterNet(width=4, **more).state_dict().values()
    ]
    plain = BetterNet(width=4).eval()
    said = plain(x)
    assert torch.equal(zoo.fold_norms(plain)(x), said)


def test_norms_in_training_mode_are_not_folded():
    with pytest.raises(AssertionError, match="eval"):
        zoo.fold_norms(BetterNet(width=2, batch_norm=True))


def test_random_affine_moves_digits_a_little(digits):
    x = normalize(digits.images[:64])
    torch.manual_seed(0)
    moved = random_affine(x)
    assert moved.shape == x.shape and not torch.equal(moved, x)
    assert moved.min() >= x.min() - 1e-4 and moved.max() <= x.max() + 1e-4
    assert torch.allclose(random_affine(x, degrees=0, scale=0, shift=0), x, atol=1e-4)
    assert record.random_affine is random_affine


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


def test_random_flip_mirrors_about_half(digits):
    x = normalize(digits.images)
    torch.manual_seed(0)
    flipped = random_flip(x)
    same, mirrored = (flipped == x).flatten(1).all(1), (flipped == x.flip(3)).flatten(1).all(1)
    assert (same | mirrored).all() and 0.4 < same.double().mean() < 0.6


# ---- loss and weight decay


@given(st.floats(0, 0.9), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_smoothed_loss_is_torchs(smoothing, n):
    logits, y = torch.randn(n, 10), torch.randint(0, 10, (n,))
    expected = F.cross_entropy(logits, y, label_smoothing=smoothing)
    torch.testing.assert_close(
        smoothed_loss(logits.log_softmax(1), y, smoothing), expected, rtol=1e-4, atol=1e-5
    )


def test_smoothed_loss_refuses_labels_that_are_none():
    with pytest.raises(ValueError, match="between 0 and 9"):
        smoothed_loss(torch.zeros(2, 10), torch.tensor([1, 10]))


def test_only_weights_decay():
    model = SmallNet()
    weights, others = decay_groups(model, 0.1)
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in weights["params"]} == {2, 4} and {p.ndim for p in others["params"]} == {
        1
    }
    assert sum(p.numel() for group in (weights, others) for p in group["params"]) == count(model)
    model.fc.weight.requires_grad_(False)
    assert (
        sum(p.numel() for group in decay_groups(model, 0.1) for p in group["params"])
        == count(model) - 160
    )


# ---- plans


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing": 1.0},
        {"average": 1.0},
        {"weight_decay": -1},
        {"epochs": 0},
        {"batch_size": 0},
        {"lr": 0},
        {"average": -0.1},
    ],
    ids=str,
)
def test_plans_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Plan(**wrong)


def test_a_plan_trains_and_one_seed_gives_one_network(digits):
    plan = Plan(LinearNet, epochs=3, batch_size=32, lr=0.02)
    first, second, other = (
        train_plan(plan, digits, 1),
        train_plan(plan, digits, 1),
        train_plan(plan, digits, 2),
    )
    assert not first.training
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert not torch.equal(first.fc.weight, other.fc.weight)
    assert test(first, BatchLoader(digits, 256))[1] > 0.8


def test_averaged_weights_come_with_their_statistics(digits):
    plan = dataclasses.replace(quick, average=0.9, epochs=3)
    plain, averaged = (
        train_plan(dataclasses.replace(plan, average=0.0), digits),
        train_plan(plan, digits),
    )
    assert type(averaged) is SmallNet and not averaged.training
    assert not torch.equal(plain.fc.weight, averaged.fc.weight)
    norm = averaged.features[1]
    assert not torch.equal(norm.running_var, torch.ones(4)) and not torch.equal(
        norm.running_var, plain.features[1].running_var
    )


def test_augmentation_is_given_every_batch(digits):
    seen = []
    train_plan(
        dataclasses.replace(quick, transform=lambda x: seen.append(len(x)) or x, batch_size=200),
        digits,
    )
    assert seen == [200, 200, 112]


def test_a_run_that_diverges_says_so(digits):
    with pytest.raises(DivergedError, match="learning rate"):
        train_plan(dataclasses.replace(Plan(partial(BetterNet, width=2)), lr=1e30), digits)
    with pytest.raises(ValueError, match="no digits"):
        train_plan(quick, DigitDataset(digits.images[:0], digits.labels[:0]))
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16"):
        train_plan(quick, digits, precision="half")


def test_a_plan_in_bfloat16_learns_the_same_but_for_rounding(digits):
    one, other = (train_plan(quick, digits, 0, precision) for precision in ("float32", "bfloat16"))
    assert all(p.dtype == torch.float32 for p in other.parameters())
    assert not torch.equal(one.fc.weight, other.fc.weight)
    torch.testing.assert_close(one.fc.weight, other.fc.weight, rtol=0, atol=0.05)


def test_every_variant_and_network_can_be_trained(digits):
    for plan in [*VARIANTS.values(), *NETWORKS.values()]:
        train_plan(dataclasses.replace(plan, epochs=1, batch_size=64), draw(digits, 64))


def test_draw(digits):
    few = draw(digits, 100, seed=3)
    assert len(few) == 100 and torch.equal(few.images, draw(digits, 100, seed=3).images)
    assert not torch.equal(few.images, draw(digits, 100, seed=4).images)
    assert len(draw(digits, 512)) == 512
    for n in (0, 513):
        with pytest.raises(ValueError, match="between 1 and 512"):
            draw(digits, n)


# ---- intervals


@pytest.mark.parametrize(  # from the tables of Student's t, two-sided
    ("df", "level", "t"),
    [
        (1, 0.95, 12.706),
        (4, 0.95, 2.776),
        (9, 0.95, 2.262),
        (4, 0.99, 4.604),
        (30, 0.9, 1.697),
        (10_000, 0.95, 1.960),
    ],
)
def test_student_t_is_the_tables(df, level, t):
    assert student_t(df, level) == pytest.approx(t, abs=2e-3)


@pytest.mark.parametrize("args", [(0,), (4, 0), (4, 1)])
def test_student_t_refuses(args):
    with pytest.raises(ValueError, match="df must be"):
        student_t(*args)


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
    with pytest.raises(ValueError, match="no run of 'y'; there are baseline, x"):
        paired(runs, "y")
    with pytest.raises(ValueError, match="at least two"):
        paired(rows("baseline", {0: 0.9}) + rows("x", {0: 0.9}), "x")


# ---- pictures


def test_frontier():
    points = {
        "a": (10, 0.5),
        "b": (20, 0.9),
        "c": (30, 0.8),
        "d": (40, 0.95),
        "e": (20, 0.7),
        "f": (50, 0.95),
    }
    assert frontier(points) == ["a", "b", "d"]
    assert frontier({}) == []


def test_pictures_say_what_they_show():
    told = plot_intervals(
        {"a": Interval(0.01, 0.005, 0.015), "b": Interval(-0.01, -0.02, 0.0)}
    ).description
    assert "a +1.00 (+0.50 to +1.50); b -1.00 (-2.00 to +0.00)" in told
    figure = plot_frontier(
        {"linear": (7850, [0.92, 0.93]), "perfect": (9000, [1.0])}, {"mine": (100, [0.5])}
    )
    assert (
        "mine: 100 parameters, 50.00 % wrong; linear: 7,850 parameters, 7.50 % wrong"
        in figure.description
        and figure.png()
    )


# ---- recording


def test_runs_are_recorded_one_by_one(tmp_path, monkeypatch, digits, capsys):
    monkeypatch.setattr(record, "asset", lambda *parts: tmp_path.joinpath(parts[-1]))
    monkeypatch.setattr(record, "load_mnist", lambda data: (digits, draw(digits, 50)))
    monkeypatch.setattr(record, "VARIANTS", {"baseline": quick, "other": quick})
    monkeypatch.setattr(record, "NETWORKS", {"linear": quick})
    record.record_ablations(3, digits=64, held_out=40)
    runs = json.loads((tmp_path / "ablations.json").read_text())["runs"]
    assert [(r["name"], r["seed"], r["trained_on"], r["tested_on"]) for r in runs] == [
        ("baseline", 3, 64, 40),
        ("other", 3, 64, 40),
    ]
    assert {"accuracy", "loss", "parameters", "seconds", "core_seconds", "made_with"} <= set(
        runs[0]
    ) and "torch" in runs[0]["made_with"]
    capsys.readouterr()
    record.record_ablations(3, digits=64, held_out=40)
    assert (
        capsys.readouterr().out.count(
            "recorded already; to do it again, take that run out of ablations.json"
        )
        == 2
    )
    assert (
        main(["record", "networks", "linear", "--seed", "1", "--validate"]) == 0
        and not (tmp_path / "networks.json").exists()
    )
    assert main(["record", "networks", "linear", "--seed", "1"]) == 0
    assert json.loads((tmp_path / "networks.json").read_text())["runs"][0]["tested_on"] == 50
    before = (tmp_path / "networks.json").read_bytes()
    capsys.readouterr()
    assert (
        main(["record", "networks", "linear", "--seed", "1"]) == 0
        and (tmp_path / "networks.json").read_bytes() == before
    )
    assert capsys.readouterr().out.startswith("linear, seed 1: recorded already")
    assert main(["record", "networks", "nothing"]) == 2


def test_what_is_recorded_belongs_to_the_plans():
    ablations, networks = (zoo.recorded(name)["runs"] for name in ("ablations", "networks"))
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
