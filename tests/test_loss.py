"mnist_course.loss against torch.nn.functional and autograd, at extreme scores, and with everything that it refuses."

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from mnist_course.engine.loss import show_answers, spread
from mnist_course.figure import GREEN
from mnist_course.loss import (
    check_gradient,
    cross_entropy,
    log_softmax,
    nll_loss,
    numerical_gradient,
    softmax,
)

INF, NAN = float("inf"), float("nan")
PAIRS = [(softmax, F.softmax), (log_softmax, F.log_softmax)]
DTYPES = [torch.float64, torch.float32]


def batch(
    dtype: torch.dtype = torch.float64,
    n: int = 5,
    classes: int = 10,
    scale: float = 3,
    seed: int = 0,
):
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(n, classes, dtype=torch.float64, generator=generator)
    return scores.to(dtype), torch.randint(classes, (n,), generator=generator)


floats = st.floats(-1e4, 1e4, allow_subnormal=False)
tables = st.integers(1, 6).flatmap(
    lambda c: st.lists(st.lists(floats, min_size=c, max_size=c), min_size=1, max_size=5)
)


# ---- values: ours and torch's


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1, 30, 1000])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_softmaxes_equal_torch_on_random_scores(ours, theirs, scale, dtype):
    x, _ = batch(dtype, scale=scale)
    torch.testing.assert_close(ours(x), theirs(x, dim=1))
    assert ours(x).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_softmaxes_equal_torch_at_the_edges(ours, theirs, dtype):
    rows = [
        [1000.0, 0.0, -1000.0],
        [1000.0, 1000.0, 1000.0],
        [-1000.0, -1000.0, -1001.0],
        [0.0, -INF, 2.0],  # -inf is a class that is ruled out
        [-INF, -INF, 7.0],
        [-INF, -INF, -INF],  # all are ruled out: nan
        [INF, 0.0, 1.0],  # nan
        [NAN, 0.0, 1.0],
    ]
    x = torch.tensor(rows, dtype=dtype)
    torch.testing.assert_close(ours(x), theirs(x, dim=1), equal_nan=True)
    assert ours(x)[:5].isnan().sum() == 0


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_softmaxes_take_any_dimension_of_any_shape(ours, theirs, dim):
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(x, dim=dim), theirs(x, dim=dim))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_softmaxes_take_an_empty_batch_and_half_precision(ours, theirs):
    assert ours(torch.zeros(0, 10)).shape == (0, 10)
    x = batch(torch.bfloat16)[0]
    torch.testing.assert_close(ours(x), theirs(x, dim=1), atol=0.05, rtol=0.02)
    assert ours(x).dtype == torch.bfloat16


def test_log_softmax_keeps_what_log_of_softmax_loses():
    x = torch.tensor([[200.0, 0.0]])
    assert softmax(x).log()[0, 1] == -INF
    assert log_softmax(x)[0, 1] == -200


@given(tables)
@settings(max_examples=60, deadline=None)
def test_softmax_gives_shares_and_ignores_a_common_shift(rows):
    x = torch.tensor(rows, dtype=torch.float64)
    shares = softmax(x)
    assert ((shares >= 0) & (shares <= 1)).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(len(x), dtype=torch.float64))
    torch.testing.assert_close(softmax(x + 512), shares)  # a power of two keeps the rounding small
    assert (log_softmax(x) <= 0).all()
    torch.testing.assert_close(log_softmax(log_softmax(x)), log_softmax(x))


@given(tables, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_cross_entropy_equals_torch(rows, random):
    x = torch.tensor(rows, dtype=torch.float64)
    target = torch.tensor([random.randrange(x.shape[1]) for _ in rows])
    torch.testing.assert_close(cross_entropy(x, target), F.cross_entropy(x, target))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss_equals_torch(reduction, dtype):
    x, target = batch(dtype, scale=1000)
    log_probs = F.log_softmax(x, dim=1)
    torch.testing.assert_close(
        nll_loss(log_probs, target, reduction), F.nll_loss(log_probs, target, reduction=reduction)
    )


def test_ruled_out_classes_cost_nothing_unless_they_are_the_label():
    log_probs = log_softmax(torch.tensor([[0.0, -INF, 0.0]]))
    assert nll_loss(log_probs, torch.tensor([0])) == pytest.approx(math.log(2))
    assert nll_loss(log_probs, torch.tensor([1])) == INF


def test_nan_passes_so_that_training_can_report_it():
    assert cross_entropy(torch.tensor([[NAN, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])).isnan()


def test_no_preference_costs_the_logarithm_of_the_number_of_classes():
    for classes in (1, 2, 10, 1000):
        assert cross_entropy(
            torch.zeros(3, classes), torch.zeros(3, dtype=torch.int64)
        ).item() == pytest.approx(math.log(classes))


def test_the_mean_is_over_rows_and_the_sum_of_nothing_is_zero():
    x, target = batch(n=7)
    losses = nll_loss(log_softmax(x), target, "none")
    assert losses.shape == (7,)
    torch.testing.assert_close(nll_loss(log_softmax(x), target), losses.sum() / 7)
    assert nll_loss(torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64), "sum") == 0


def test_softmax_twice_has_a_floor():
    right = torch.arange(10)
    assert cross_entropy(torch.eye(10), right).item() == pytest.approx(
        math.log(1 + 9 / math.e), abs=1e-6
    )
    assert cross_entropy(torch.eye(10), (right + 3) % 10).item() == pytest.approx(
        math.log(9 + math.e), abs=1e-6
    )


# ---- gradients


@pytest.mark.parametrize("scale", [1, 100])
def test_the_gradient_at_the_logits_is_p_minus_one_hot(scale):
    x, target = batch(scale=scale)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(x, target), x)
    torch.testing.assert_close(gradient, (softmax(x) - F.one_hot(target, 10)).detach() / len(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_equal_those_of_torch_at_the_edges(dtype):
    x = torch.tensor(
        [[1000.0, -1000.0, 3.0], [0.0, -INF, 2.0], [5.0, 5.0, 5.0]], dtype=dtype, requires_grad=True
    )
    target = torch.tensor([1, 2, 0])
    gradients = [torch.autograd.grad(f(x, target), x)[0] for f in (cross_entropy, F.cross_entropy)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].isfinite().all()


@pytest.mark.parametrize("f", [softmax, log_softmax])
@pytest.mark.parametrize("dim", [0, 1])
def test_softmaxes_pass_gradcheck(f, dim):
    x = batch(n=3, classes=4)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda t: f(t, dim=dim), x)
    assert torch.autograd.gradgradcheck(lambda t: f(t, dim=dim), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss_passes_gradcheck(reduction):
    x, target = batch(n=3, classes=4)
    log_probs = log_softmax(x).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: nll_loss(t, target, reduction), log_probs)


def test_numerical_gradient_measures_known_slopes():
    x = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=torch.float64)
    before = x.clone()
    torch.testing.assert_close(numerical_gradient(lambda t: (t**2).sum(), x), 2 * x)
    assert numerical_gradient(lambda t: (t**2).sum(), x.T).equal(
        numerical_gradient(lambda t: (t**2).sum(), x).T
    )  # not contiguous
    assert x.equal(before)
    assert numerical_gradient(lambda t: 3.0, x).abs().max() == 0  # a plain number does, too
    plain = numerical_gradient(lambda t: float((t**2).sum()), x)
    torch.testing.assert_close(plain, 2 * x)  # and loses no digits
    assert numerical_gradient(
        lambda t: t * 5, torch.tensor(2.0, dtype=torch.float64)
    ).item() == pytest.approx(5)
    assert numerical_gradient(lambda t: t.sum(), torch.zeros(0, 3, dtype=torch.float64)).shape == (
        0,
        3,
    )


def test_numerical_gradient_leaves_a_larger_step_to_the_caller():
    x = torch.tensor([0.0], dtype=torch.float64)
    assert numerical_gradient(lambda t: (t**3).sum(), x, eps=0.5).item() == pytest.approx(
        0.25
    )  # eps squared: what the bend adds
    assert (
        numerical_gradient(lambda t: (t**3).sum(), x).item() < 1e-9
    )  # by itself it takes small ones


@given(st.integers(0, 10_000), st.sampled_from([0.1, 1, 10]))
@settings(max_examples=25, deadline=None)
def test_check_gradient_accepts_the_library(seed, scale):
    x, target = batch(n=3, classes=5, scale=scale, seed=seed)
    assert check_gradient(lambda t: cross_entropy(t, target), x) < 1e-5


def test_check_gradient_ignores_where_x_came_from():
    x, target = batch()
    assert check_gradient(lambda t: cross_entropy(t, target), x.requires_grad_() * 1) < 1e-5
    assert x.grad is None


def detached_sum(t):
    return t - t.exp().sum(1, keepdim=True).log().detach()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: nll_loss(detached_sum(t), torch.tensor([0, 1, 2])),  # right value, wrong slope
        lambda t: (t.detach() * t).sum(),  # half of the slope of t squared
        lambda t: (t**2).sum().detach() + 0 * t.sum(),  # no slope at all
    ],
)
def test_check_gradient_finds_wrong_slopes_behind_right_values(wrong):
    assert check_gradient(wrong, batch(n=3, classes=5)[0]) > 0.1


def test_check_gradient_finds_one_wrong_slope_among_many():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, t):
            return t.sum()

        @staticmethod
        def backward(ctx, g):
            wrong = torch.ones(20, dtype=torch.float64)
            wrong[7] = 1.01
            return g * wrong

    assert check_gradient(Doubled.apply, torch.zeros(20, dtype=torch.float64)) == pytest.approx(
        0.01, rel=0.02
    )


@pytest.mark.parametrize(("seen", "really"), [(-2.0, 1.0), (2.0, -1.0), (1.0, -2.0), (-1.0, 2.0)])
def test_check_gradient_divides_by_the_larger_slope_whichever_way_it_goes(seen, really):
    def f(t):
        return (seen * t + ((really - seen) * t).detach()).sum()

    assert check_gradient(f, torch.zeros(1, dtype=torch.float64)) == pytest.approx(1.5)


@pytest.mark.parametrize(("small", "expected"), [(0.05, 0.5), (0.001, 0.05)])
def test_check_gradient_measures_small_slopes_against_a_hundredth_of_the_largest(small, expected):
    weights = torch.tensor([1.0, small], dtype=torch.float64)
    half = torch.tensor([1.0, 0.5], dtype=torch.float64)  # autograd sees half of the small slope

    def f(t):
        kept = t * half
        return (weights * (kept + (t - kept).detach())).sum()

    assert check_gradient(f, torch.zeros(2, dtype=torch.float64)) == pytest.approx(
        expected, rel=1e-3
    )


def test_check_gradient_of_something_flat_is_zero():
    assert check_gradient(lambda t: 0 * t.sum(), torch.ones(3, dtype=torch.float64)) == 0


def test_check_gradient_counts_a_function_of_something_else_as_flat():
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    assert check_gradient(lambda t: w.sum(), torch.ones(3, dtype=torch.float64)) == 0


def test_check_gradient_does_not_hide_nan():
    assert math.isnan(check_gradient(lambda t: (t * NAN).sum(), torch.ones(3, dtype=torch.float64)))


# ---- everything that is refused, with words that help


@pytest.mark.parametrize("f", [softmax, log_softmax])
@pytest.mark.parametrize(
    ("x", "dim", "words"),
    [
        ([[1.0, 2.0]], 1, "tensor of floats, got list"),
        (torch.ones(2, 3, dtype=torch.int64), 1, "tensor of floats, got torch.int64"),
        (torch.ones(2, 3, dtype=torch.bool), 1, "tensor of floats, got torch.bool"),
        (torch.ones(10), 1, r"shape \(10,\) has no dim=1.*x\[None\]"),
        (torch.ones(2, 3), -3, "no dim=-3"),
        (torch.tensor(1.0), 0, "no dim=0"),
        (torch.ones(2, 0), 1, "no scores along dim=1"),
    ],
)
def test_scores_that_are_refused(f, x, dim, words):
    with pytest.raises(ValueError if isinstance(x, torch.Tensor) else TypeError, match=words):
        f(x, dim=dim)


@pytest.mark.parametrize("f", [softmax, log_softmax])
def test_a_dim_that_is_no_whole_number_is_named(f):
    with pytest.raises(TypeError, match=r"dim must be a whole number, got 1\.0"):
        f(torch.ones(2, 3), dim=1.0)


LOG_PROBS, TARGET = log_softmax(batch()[0]), batch()[1]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (TARGET.tolist(), "int64 class numbers, got list"),
        (TARGET.float(), r"got torch.float32.*target.long\(\)"),
        (TARGET.int(), r"got torch.int32.*target.long\(\)"),
        (TARGET[:4], r"5 rows need a target of shape \(5,\), got \(4,\)"),
        (TARGET[:, None], r"got \(5, 1\)"),
        (TARGET[0], r"got \(\)"),
        (F.one_hot(TARGET, 10), r"got \(5, 10\).*argmax\(dim=1\)"),
        (torch.tensor([0, 1, 2, 3, 10]), "from 0 to 9, got 10"),
        (torch.tensor([0, 1, 2, 3, -1]), "from 0 to 9, got -1"),
        (
            torch.tensor([0, 1, 2, 3, -100]),
            "got -100",
        ),  # torch's ignore_index is not taught, and not silently obeyed
    ],
)
def test_targets_that_are_refused(target, words):
    error = ValueError if isinstance(target, torch.Tensor) else TypeError
    for call in (lambda: nll_loss(LOG_PROBS, target), lambda: cross_entropy(LOG_PROBS, target)):
        with pytest.raises(error, match=words):
            call()


@pytest.mark.parametrize(
    ("log_probs", "words"),
    [
        (LOG_PROBS.tolist(), r"floats \(N, C\).*got list"),
        (LOG_PROBS.long(), r"got torch.int64 \(5, 10\)"),
        (LOG_PROBS[0], r"got torch.float64 \(10,\)"),
        (LOG_PROBS[:, :, None], r"got torch.float64 \(5, 10, 1\)"),
        (LOG_PROBS.exp(), "row 0 sums to .*look like probabilities"),
        (torch.full((5, 10), 0.1), "look like probabilities"),
        (batch()[0], "look like logits"),
        (1000 * batch()[0], "row 0 sums to inf: these look like logits"),
        (batch()[0] - 50, "look like logits"),  # not one is positive
        (log_softmax(batch()[0], dim=0), "log_softmax over dim=0"),
        (-LOG_PROBS, "look like logits"),
        (torch.cat([LOG_PROBS[:4], batch()[0][4:]]), "row 4 sums to"),
    ],
)
def test_things_that_are_not_log_probabilities(log_probs, words):
    error = ValueError if isinstance(log_probs, torch.Tensor) else TypeError
    with pytest.raises(error, match=words):
        nll_loss(log_probs, TARGET)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [0.1, 10, 1000])
def test_real_log_probabilities_raise_no_false_alarm(scale, dtype):
    x, target = batch(n=200, scale=scale)
    assert nll_loss(log_softmax(x.to(dtype)), target).isfinite()
    assert nll_loss(F.log_softmax(x.to(dtype), dim=1), target).isfinite()
    assert nll_loss((F.softmax(x, dim=1) + 1e-9).log().to(dtype), target).isfinite()


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match='"mean", "sum" or "none", got \'average\''):
        nll_loss(LOG_PROBS, TARGET, "average")


def test_the_mean_of_an_empty_batch_is_refused():
    for f in (nll_loss, cross_entropy):
        with pytest.raises(ValueError, match="the batch is empty"):
            f(torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("f", [numerical_gradient, check_gradient])
def test_gradients_that_cannot_be_measured(f):
    x = torch.ones(3, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"float64, got torch.float32: x.double\(\)"):
        f(torch.sum, x.float())
    with pytest.raises(TypeError, match="x must be float64, got list"):
        f(sum, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"one number, such as a loss, got shape \(3,\)"):
        f(lambda t: 2 * t, x)
    for eps in (0, -1e-6, NAN):
        with pytest.raises(ValueError, match="eps must be positive"):
            f(torch.sum, x, eps=eps)
    with pytest.raises(TypeError, match="eps must be a number, got 'small'"):
        f(torch.sum, x, eps="small")


@pytest.mark.parametrize(
    "cut",
    [lambda t: t.detach().sum(), lambda t: t.sum().item(), lambda t: torch.tensor(t.sum().item())],
)
def test_check_gradient_says_when_a_function_is_cut_off(cut):
    with pytest.raises(ValueError, match="cut off from autograd"):
        check_gradient(cut, torch.ones(3, dtype=torch.float64))


# ---- the lesson's pictures


def test_what_a_network_said_is_told_to_everybody():
    values = torch.tensor([[0.01] * 9 + [0.91], [0.1] * 10])
    figure = show_answers(
        torch.zeros(2, 28, 28), values, torch.tensor([9, 3]), ["sure", "torn"], "share", log=True
    )
    assert "sure: 0.91 for the label 9, at most 0.91 for 9" in figure.description
    assert "torn: 0.1 for the label 3, at most 0.1 for 0" in figure.description
    assert len(figure.axes) == 4 and figure.axes[2].get_yscale() == "log"
    assert figure.axes[2].get_ylim()[0] <= 1e-4  # so small a share still shows


def test_below_each_image_are_its_ten_numbers_and_the_labels_is_green():
    values, labels, titles = torch.rand(2, 10), torch.tensor([9, 3]), ["first", "second"]
    figure = show_answers(torch.rand(2, 28, 28), values, labels, titles)
    for column, title in enumerate(titles):
        image, ax = figure.axes[column], figure.axes[2 + column]
        assert image.get_title() == title and not image.axison
        assert image.images[0].get_cmap().name == "gray"
        assert [bar.get_height() for bar in ax.patches] == pytest.approx(values[column].tolist())
        green = [to_hex(bar.get_facecolor()) == GREEN.lower() for bar in ax.patches]
        assert green == [digit == labels[column] for digit in range(10)]
        assert ax.get_xlabel() == "digit" and [*ax.get_xticks()] == [*range(10)]


def test_what_a_bet_leaves_is_shared_by_the_others():
    probs = spread({6: 0.7, 0: 0.2})
    assert probs[[6, 0]].tolist() == pytest.approx([0.7, 0.2])
    others = [k for k in range(10) if k not in (6, 0)]
    assert probs[others].tolist() == pytest.approx([0.0125] * 8)
    assert spread({3: 1.0}).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert spread({}).tolist() == pytest.approx([0.1] * 10)
    everything = {k: k / 45 for k in range(10)}
    assert spread(everything).tolist() == pytest.approx(list(everything.values()))


@pytest.mark.parametrize("bet", [{10: 0.5}, {-1: 0.1}, {3: -0.1}, {3: 0.7, 4: 0.5}, {3: 70}])
def test_a_bet_that_is_no_bet_is_refused(bet):
    with pytest.raises(ValueError, match=r"a bet is \{digit: share\}"):
        spread(bet)


def test_scores_are_shown_on_an_even_scale():
    figure = show_answers(torch.zeros(1, 28, 28), torch.eye(10)[2:3], torch.tensor([2]), ["one"])
    assert figure.axes[1].get_yscale() == "linear"
    row = show_answers(torch.zeros(6, 28, 28), torch.rand(6, 10), torch.arange(6), [*"abcdef"])
    assert figure.get_size_inches()[0] < 8 and row.get_size_inches()[0] < 13
    assert figure.description.startswith("1 digit, and the score of each class.")
