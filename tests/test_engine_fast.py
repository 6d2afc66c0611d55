"The forward pass that is sooner and the same, and what a machine can do: the parts of the fast recipe."

import math

import pytest
import torch
import torch.nn.functional as F

import mnist_course.engine.fast as fast
from mnist_course.data import BatchLoader, normalize
from mnist_course.engine.fast import (
    ahead,
    fast_log_probs,
    fast_weights,
    faster_precision,
    forward_macs,
    matmul_rate,
    phase,
    plot_parts,
    step_macs,
    where_time_goes,
)
from mnist_course.model import Net


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x(small):
    return normalize(small[0].images[:16])


def test_pooling_before_relu_changes_nothing(net, x):
    torch.testing.assert_close(fast_log_probs(net, x), net(x))
    fast_log_probs(net, x)[:, 3].sum().backward()
    slopes = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(x)[:, 3].sum().backward()
    for name, (p, slope) in zip(
        [n for n, _ in net.named_parameters()],
        zip(net.parameters(), slopes, strict=True),
        strict=True,
    ):
        torch.testing.assert_close(p.grad, slope, msg=lambda said, name=name: f"{name}: {said}")


def test_fast_weights_have_kaimings_spread(net):
    fast_weights(net)
    for layer, inputs in ((net.conv1, 9), (net.conv4, 128 * 9)):
        assert (
            layer.weight.std().item() == pytest.approx(math.sqrt(2 / inputs), rel=0.15)
            and not layer.bias.any()
        )
    patterns = net.conv1.weight.detach()[:18].flatten(1)
    torch.testing.assert_close(patterns[:9] @ patterns[:9].T, 2 * torch.eye(9))
    assert torch.equal(patterns[9:], -patterns[:9])
    flat, slope, bend = patterns[0], patterns[1], patterns[6].view(3, 3)
    assert flat.std() < 1e-6 and torch.equal(slope, slope.view(3, 3)[0].repeat(3))
    torch.testing.assert_close(bend[1], -2 * bend[0])  # a lying line
    cells = net.fc1.weight.detach().view(50, 256, 4, 4)
    assert cells[:, :, 1:3, 1:3].std().item() == pytest.approx(math.sqrt(2 / 1024), rel=0.05)
    assert (cells != 0).sum() <= 50 * 256 * 4


@pytest.mark.parametrize(
    ("frozen", "names"),
    [(0, []), (1, ["conv1"]), (2, ["conv1", "conv2"]), (3, ["conv1", "conv2", "conv3"])],
)
def test_frozen_layers_have_no_gradient_and_change_nothing_else(net, x, frozen, names):
    torch.testing.assert_close(fast_log_probs(net, x, frozen), net(x))
    fast_log_probs(net, x, frozen)[:, 0].sum().backward()
    assert {n.split(".")[0] for n, p in net.named_parameters() if p.grad is None} == set(names)
    assert all(p.requires_grad for p in net.parameters())
    with torch.no_grad():
        assert not fast_log_probs(net, x, frozen).requires_grad


def test_step_macs_by_hand():
    macs = forward_macs()
    assert step_macs() == 3 * sum(macs) - macs[0]  # nobody asks for the pixels' slope
    assert step_macs(frozen=2) == 3 * sum(macs) - 2 * macs[0] - 2 * macs[1] - macs[2]
    assert step_macs(20, 3) < step_macs(20) < step_macs(28) / 3 + 1e6


def test_the_plan_goes_one_way():
    plans = [phase(i / 100) for i in range(100)]
    assert plans[0] == (20, 1) and plans[-1] == (28, 3) and plans == sorted(plans)


def test_matmul_rate(monkeypatch):
    found = []
    monkeypatch.setattr(fast, "timed", lambda job: found.append(job()) or 0.5)
    assert matmul_rate(size=256, rounds=3) == 256**3 / 0.5
    assert len(found) == 4  # the first warms up
    assert all(torch.equal(product, torch.full((256, 256), 256.0)) for product in found)
    with pytest.raises(ValueError, match="precision must be one of"):
        matmul_rate("float8")


@pytest.mark.parametrize(
    ("bfloat16", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (4.0, "float32")]
)
def test_the_faster_precision_is_measured(monkeypatch, bfloat16, chosen):
    seconds = {None: 1.0, torch.bfloat16: bfloat16}
    monkeypatch.setattr(fast, "timed", lambda job: seconds[job.args[0]])
    faster_precision.cache_clear()
    assert faster_precision("cpu") == chosen
    faster_precision.cache_clear()


def test_a_call_that_was_disturbed_does_not_choose_the_precision(monkeypatch):
    disturbed = iter([*[4.0] * 8, 0.5, 4.0])
    monkeypatch.setattr(fast, "timed", lambda job: next(disturbed) if job.args[0] else 1.0)
    faster_precision.cache_clear()
    assert faster_precision("cpu") == "bfloat16"
    faster_precision.cache_clear()


def test_a_slow_moment_of_the_machine_meets_both_precisions(monkeypatch):
    "Calls in a row could all fall into it: then the slower one would be chosen, and other numbers come out."
    calls = iter([0.1] * 4 + [1.0] * 16)

    def timed(job):
        return next(calls) * (1.0 if job.args[0] is None else 0.5)

    monkeypatch.setattr(fast, "timed", timed)
    faster_precision.cache_clear()
    assert faster_precision("cpu") == "bfloat16"
    faster_precision.cache_clear()


def test_measuring_draws_no_random_numbers():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    faster_precision.cache_clear()
    assert faster_precision("cpu") in ("float32", "bfloat16")
    assert torch.equal(torch.get_rng_state(), state)


def test_where_time_goes_sums_to_one(net, x, small):
    def job():
        F.nll_loss(net(x), small[0].labels[:16]).backward()

    looks = [where_time_goes(job) for _ in range(5)]
    for shares in looks:
        assert sum(shares.values()) == pytest.approx(1)
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
        assert shares["max pooling"] > 0
    # a machine that does other things may spoil some looks
    assert max(shares["convolutions, backward"] for shares in looks) > 0.2
    assert max(shares["convolutions, forward"] for shares in looks) > 0.1
    assert "convolutions, backward" in plot_parts(shares, "a step").description


def test_ahead_gives_the_same_batches(small):
    loader = BatchLoader(small[0], 100)
    for (x, y), (u, v) in zip(loader, ahead(loader, "cpu"), strict=True):
        assert torch.equal(x, u) and torch.equal(y, v)
    assert list(ahead([], "cpu")) == []
    assert {part.device.type for batch in ahead(loader, "meta") for part in batch} == {"meta"}


def test_calls_are_counted_and_views_are_not():
    x = torch.zeros(3, 4)
    assert fast.count_calls(lambda: (x.view(4, 3).t() + 1).relu()) == 2
    layer = torch.nn.Linear(4, 2)
    layer(x).sum().backward()
    counts = []
    for way in ({"foreach": False}, {"foreach": True}, {"fused": True}):
        sgd = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, **way)
        sgd.step()
        counts.append(fast.count_calls(sgd.step))
    assert counts == [6, 3, 1]  # two tensors with three operations each; each for all; one


def measured(accuracy=0.99, ratio=20, seconds=25.0, over=1e9, share=0.8):
    "What a benchmark found: each goal just reached, where nothing else is said."
    throughput = {"float32": {"share": {"28": 0.9, "20": 0.8}}, "rounds": 5}
    throughput["bfloat16"] = {"share": {"28": 0.9, "20": share}}
    median = {"accuracy": accuracy, "fast": seconds}
    race = {"median": median, "goal": 0.99, "ratio": ratio, "fast_accuracy": [0.99]}
    return {"training": race, "memory": {"over": over}, "throughput": throughput}


@pytest.mark.parametrize(
    ("number", "missed", "words"),
    [
        ("accuracy", 0.9899, "99% of the test digits"),
        ("ratio", 19.9, "20 times as fast"),
        ("seconds", 25.1, "25 s of training"),
        ("over", 1_000_000_001, "1,000 MB of memory"),
        ("share", 0.79, "large matrix product, bfloat16: 79%"),
    ],
)
def test_a_goal_that_was_missed_stays_in_the_list(number, missed, words):
    found = fast.goals(measured(**{number: missed}))
    assert len(found) == 6 and all(fast.goals(measured()).values())
    (goal,) = [goal for goal, reached in found.items() if not reached]
    assert words in goal


def test_directions_are_drawn_against_the_longest():
    thin = torch.diag(torch.tensor([4.0, 2.0, 1.0]))
    told = fast.plot_directions({"thin": thin, "even": torch.eye(3)}).description
    assert "thin: the middle one 0.50, the last 0.250" in told
    assert "even: the middle one 1.00, the last 1.000" in told
