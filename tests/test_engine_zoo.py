"""Plans, small networks, Student's factor and the figures of lesson 13."""

import dataclasses
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from torch import nn

from mnist_course.data import BatchLoader, DigitDataset, normalize
from mnist_course.engine.zoo import (
    Interval,
    LinearNet,
    Plan,
    SmallNet,
    _decay_groups,
    _frontier,
    conv_block,
    fold_norms,
    half_widths,
    measured_networks,
    plot_frontier,
    plot_half_widths,
    plot_intervals,
    plot_rates,
    random_affine,
    random_flip,
    random_subset,
    smoothed_loss,
    student_t,
    train_plan,
    turned,
)
from mnist_course.figure import BLUE, ORANGE
from mnist_course.training import DivergedError
from mnist_course.training import test as score
from mnist_course.zoo import BetterNet


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="module")
def digits(sample) -> DigitDataset:
    return random_subset(sample[0], 512)


quick = Plan(partial(SmallNet, ((4,), (8,))), epochs=1, lr=0.1)


@pytest.mark.parametrize("model", [BetterNet(2), SmallNet(((2,),))], ids=["better", "small"])
def test_networks_say_what_they_expect(model):
    with pytest.raises(ValueError, match="expects"):
        model(torch.zeros(1, 28, 28, 1))


@pytest.mark.parametrize("widths", [(), ((),), ((0,),), ((2,),) * 5])
def test_small_net_refuses_other_widths(widths):
    with pytest.raises(ValueError, match="groups of channels"):
        SmallNet(widths)


@pytest.mark.parametrize("separable", [False, True])
def test_a_block_of_layers_keeps_the_size(separable):
    for channels in (1, 4):
        block = nn.Sequential(*conv_block(channels, 6, separable))
        assert block(torch.zeros(2, channels, 9, 7)).shape == (2, 6, 9, 7)


@pytest.mark.parametrize("more", [{}, {"gap": True}, {"residual": True}])
def test_folded_norms_leave_answers_as_they_were_and_no_trace(digits, more):
    torch.manual_seed(0)
    model, x = BetterNet(width=4, batch_norm=True, **more), normalize(digits.images[:64])
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    model(x)  # the statistics are no longer 0 and 1
    before = model.eval()(x)
    folded = fold_norms(model)
    torch.testing.assert_close(folded(x), before, rtol=1e-4, atol=1e-4)
    assert [p.shape for p in folded.state_dict().values()] == [
        p.shape for p in BetterNet(width=4, **more).state_dict().values()
    ]
    plain = BetterNet(width=4).eval()
    said = plain(x)
    assert torch.equal(fold_norms(plain)(x), said)


def test_norms_in_training_mode_are_not_folded():
    with pytest.raises(AssertionError, match="eval"):
        fold_norms(BetterNet(width=2, batch_norm=True))


def test_random_flip_mirrors_about_half(digits):
    x = normalize(digits.images)
    torch.manual_seed(0)
    flipped = random_flip(x)
    same, mirrored = (flipped == x).flatten(1).all(1), (flipped == x.flip(3)).flatten(1).all(1)
    assert (same | mirrored).all() and 0.4 < same.double().mean() < 0.6


@given(st.floats(0, 0.9), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_smoothed_loss_is_torchs(smoothing, n):
    logits, y = torch.randn(n, 10), torch.randint(0, 10, (n,))
    expected = F.cross_entropy(logits, y, label_smoothing=smoothing)
    torch.testing.assert_close(
        smoothed_loss(logits.log_softmax(1), y, smoothing), expected, rtol=1e-4, atol=1e-5
    )


def test_smoothed_loss_refuses_labels_that_are_none():
    with pytest.raises(ValueError, match="from 0 to 9"):
        smoothed_loss(torch.zeros(2, 10), torch.tensor([1, 10]))


def test_only_weights_decay():
    model = SmallNet()
    weights, others = _decay_groups(model, 0.1)
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in weights["params"]} == {2, 4} and {p.ndim for p in others["params"]} == {
        1
    }
    assert sum(p.numel() for group in (weights, others) for p in group["params"]) == count(model)
    model.fc.weight.requires_grad_(False)
    assert (
        sum(p.numel() for group in _decay_groups(model, 0.1) for p in group["params"])
        == count(model) - 160
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing": 1.0},
        {"ema_decay": 1.0},
        {"weight_decay": -1},
        {"epochs": 0},
        {"batch_size": 0},
        {"lr": 0},
        {"lr": math.nan},
        {"lr": math.inf},
        {"ema_decay": -0.1},
    ],
    ids=str,
)
def test_plans_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Plan(LinearNet, **wrong)


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
    assert score(first, BatchLoader(digits, 256))[1] > 0.8


def test_averaged_weights_come_with_their_statistics(digits):
    plan = dataclasses.replace(quick, ema_decay=0.9, epochs=3)
    plain, averaged = (
        train_plan(dataclasses.replace(plan, ema_decay=0.0), digits),
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


def test_a_random_subset(digits):
    few = random_subset(digits, 100, seed=3)
    assert len(few) == 100 and torch.equal(few.images, random_subset(digits, 100, seed=3).images)
    assert not torch.equal(few.images, random_subset(digits, 100, seed=4).images)
    assert len(random_subset(digits, 512)) == 512
    for n in (0, 513):
        with pytest.raises(ValueError, match="between 1 and 512"):
            random_subset(digits, n)


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


@pytest.mark.parametrize("args", [(0,), (math.nan,), (math.inf,), (4, 0), (4, 1)])
def test_student_t_refuses(args):
    with pytest.raises(ValueError, match="df must be"):
        student_t(*args)


def test_frontier():
    points = {
        "a": (10, 0.5),
        "b": (20, 0.9),
        "c": (30, 0.8),
        "d": (40, 0.95),
        "e": (20, 0.7),
        "f": (50, 0.95),
    }
    assert _frontier(points) == ["a", "b", "d"]
    assert _frontier({}) == []


def test_pictures_say_what_they_show():
    told = plot_intervals(
        {"a": Interval(0.01, 0.005, 0.015), "b": Interval(-0.01, -0.02, 0.0)}
    ).description
    assert "a +1.00 (+0.50 to +1.50); b -1.00 (-2.00 to +0.00)" in told
    figure = plot_frontier(
        {"linear": (7850, [0.92, 0.93]), "perfect": (9000, [1.0])}, {"mine": (100, [0.5])}
    )
    assert (
        "mine: 100 parameters, 50.00% wrong; linear: 7,850 parameters, 7.50% wrong"
        in figure.description
        and figure.png()
    )


def test_an_interval_is_filled_where_it_leaves_zero_out():
    better, open_ = Interval(0.01, 0.005, 0.015), Interval(-0.001, -0.004, 0.002)
    figure = plot_intervals(
        {"better": better, "open": open_, "worse": Interval(-0.04, -0.05, -0.03)}
    )
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["worse", "open", "better"]
    bars, dots = ax.lines[0:6:2], ax.lines[1:6:2]
    ends = [[-5, -3], [-0.4, 0.2], [0.5, 1.5]]
    assert [list(bar.get_xdata()) for bar in bars] == [pytest.approx(two) for two in ends]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([-4, -0.1, 1])
    assert [bar.get_color() for bar in bars] == [dot.get_color() for dot in dots]
    assert [dot.get_markerfacecolor() for dot in dots] == [ORANGE, "white", BLUE]
    (note,) = ax.texts  # its dot lies beyond the edge
    assert note.get_text() == "mean -4.0" and ax.get_xlim() == (-2.5, 2.5)
    assert note.get_ha() == "left" and note.get_position()[0] == pytest.approx(-2.4)
    assert not plot_intervals({"better": better}).axes[0].texts
    assert plot_intervals({"better": better}).axes[0].get_xlim()[1] < 2
    just_beyond = plot_intervals({"better": Interval(0.02, 0.015, 0.0251)})
    assert just_beyond.axes[0].get_xlim() == (-2.5, 2.5)


def test_what_pairs_save_is_drawn_beside_their_correlation():
    figure = plot_half_widths({"crossed": (0.005, 0.003, -0.6), "steady": (0.001, 0.004, 0.98)})
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["crossed", "steady"]
    dots = [
        (line.get_color(), line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1
    ]
    assert [color for color, _ in dots] == [BLUE, ORANGE] * 2
    assert [place for _, place in dots] == pytest.approx([0.5, 0.3, 0.1, 0.4])
    assert [text.get_text() for text in ax.texts] == ["-0.60", "+0.98", "correlation"]
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["in pairs", "without pairs"]


def test_rates_have_a_dot_for_each_run_and_a_line_through_the_medians():
    rates = {0.01: {0: 0.95, 1: 0.93, 2: 0.90}, 0.1: {0: 0.1}}
    (ax,) = plot_rates({"a": rates}).axes
    first, second, line = ax.lines
    assert list(first.get_ydata()) == pytest.approx([95, 93, 90])
    assert list(second.get_ydata()) == [ax.get_ylim()[0]]  # it broke down
    assert list(line.get_ydata()) == pytest.approx([93, 10]) and list(line.get_xdata()) == [
        0.01,
        0.1,
    ]
    assert list(ax.get_xticks()) == [0.01, 0.1] and ax.get_xscale() == "log"
    assert ax.get_ylim() == (88, 99)


def test_the_frontier_goes_through_the_best_medians():
    others = {"linear": (7850, [0.92, 0.93, 0.91]), "waste": (9000, [0.9])}
    figure = plot_frontier({**others, "perfect": (90_000, [1.0])}, {"mine": (100, [0.5])})
    (ax,) = figure.axes
    (line,) = ax.lines
    assert line.get_xydata().tolist() == [
        pytest.approx([100, 50]), pytest.approx([7850, 8]), pytest.approx([90_000, 0.01])
    ]  # fmt: skip
    large = [dots for dots in ax.collections if dots.get_sizes()[0] == 36]
    assert [dots.get_offsets()[0][0] for dots in large] == [7850, 9000, 90_000, 100]
    colors = [to_hex(dots.get_facecolor()[0]) for dots in large]
    assert colors == [BLUE.lower()] * 3 + [ORANGE.lower()]
    assert {text.get_text(): text.xy for text in ax.texts} == {
        "linear": pytest.approx((7850, 8)), "waste": pytest.approx((9000, 10)),
        "perfect": pytest.approx((90_000, 0.01)), "mine": pytest.approx((100, 50)),
    }  # fmt: skip


def test_pairs_help_where_luck_is_shared_and_cost_where_it_is_not():
    base = {0: 0.90, 1: 0.92, 2: 0.94, 3: 0.96}
    pairs, alone, shared = half_widths({k: v + 0.01 for k, v in base.items()}, base)
    assert pairs == pytest.approx(0, abs=1e-9) and shared == pytest.approx(1) and alone > 0.02
    crossed = {0: 0.96, 1: 0.90, 2: 0.96, 3: 0.90}  # seeds matter, and share little
    pairs, alone, shared = half_widths(crossed, base)
    assert pairs > alone and shared < 0
    # by hand: differences of 2, 4, 6 points have a deviation of 2; both groups have one of 1 and 3
    pairs, alone, _ = half_widths({5: 0.03, 6: 0.06, 7: 0.09}, {7: 0.03, 6: 0.02, 5: 0.01})
    assert pairs == pytest.approx(4.303 * 0.02 / 3**0.5, rel=1e-3)
    assert alone == pytest.approx(2.776 * (0.0010 / 3) ** 0.5, rel=1e-3)


def test_a_turned_digit_turns_clockwise():
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 2:5, 12:16] = 1  # at the top
    turns = turned(x, [0, 90, 180, 270])
    assert turns.shape == (4, 1, 28, 28) and torch.allclose(turns[:1], x, atol=1e-5)
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    places = [
        (float((t * rows).sum() / t.sum()), float((t * columns).sum() / t.sum()))
        for t in turns[:, 0]
    ]
    top, right, bottom, left = places
    assert top[0] < 4 < 23 < bottom[0] and left[1] < 4 < 23 < right[1]
    paper = torch.full((1, 1, 28, 28), -0.42)
    assert torch.allclose(turned(paper, [45.0]), paper)


def test_measured_networks_have_one_count_of_the_net():
    found = measured_networks()
    assert "brief" not in found and len(found["script"][1]) == 5 and len(found["shipped"][1]) == 1
    assert {found[name][0] for name in ("full", "script", "shipped")} == {593_200}
    assert all(0.9 < score < 1 for _, scores in found.values() for score in scores)


def test_figures_of_pairs_and_rates_say_their_numbers():
    said = plot_half_widths({"steady": (0.001, 0.004, 0.98), "crossed": (0.005, 0.003, -0.6)})
    assert "steady 0.10 and 0.40, correlation +0.98; crossed 0.50" in said.description
    said = plot_rates({"a": {0.01: {0: 0.95, 1: 0.94}, 0.1: {0: 0.1}}})
    assert "a at 0.01: 95.0, 94.0; a at 0.1: 10.0" in said.description
    lowest = said.axes[0].get_yticklabels()[0].get_text()
    assert lowest == "≤ 88"  # where a run that broke down is drawn


@pytest.mark.parametrize("df", [10**5, 10**7, 10**9, 10**12])
def test_student_t_goes_on_to_the_normal_distribution(df):
    assert student_t(df) == pytest.approx(1.95996, abs=1e-3)
    assert student_t(df, 0.999) == pytest.approx(3.29053, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_affine_takes_any_floats_and_no_digits_at_all(dtype):
    x = torch.rand(3, 1, 28, 28, dtype=dtype)
    moved = random_affine(x)
    assert moved.dtype == dtype and moved.shape == x.shape
    assert random_affine(x[:0]).shape == (0, 1, 28, 28)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 28, 28), torch.zeros(2, 1, 28, 28).byte()])
def test_random_affine_names_what_it_cannot_turn(wrong):
    with pytest.raises(ValueError, match=r"x must be normalized digits"):
        random_affine(wrong)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, math.nan])
def test_smoothed_loss_refuses_fractions_that_are_none(smoothing):
    with pytest.raises(ValueError, match="smoothing must lie from 0 to 1"):
        smoothed_loss(torch.zeros(2, 10).log_softmax(1), torch.tensor([1, 2]), smoothing)


def test_what_is_no_plan_and_no_width_is_named(digits):
    before = torch.get_rng_state()
    with pytest.raises(TypeError, match="plan must be a Plan, got str"):
        train_plan("small", digits)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ValueError, match="width must be a whole number of at least 1, got 0"):
        BetterNet(0)
