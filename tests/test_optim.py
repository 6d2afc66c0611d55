"Our SGD and StepLR against torch's, checkpoints, and the learning-rate range test."

import copy
import io
import itertools
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_course.data import BatchLoader, load_mnist
from mnist_course.figure import DescribedFigure
from mnist_course.optim import (
    SGD,
    LRRange,
    StepLR,
    lr_range_test,
    momentum_step,
    plot_lr_range,
    sgd_step,
    smooth,
    step_lr,
)
from mnist_course.training import fit

SETTINGS = [
    {"lr": 0.05, "momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    for momentum, nesterov, decay in itertools.product((0.0, 0.5, 0.9), (False, True), (0.0, 1e-2))
    if momentum or not nesterov
]


@pytest.fixture(scope="module")
def train():
    return load_mnist(source="sample")[0]


def small_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10), nn.LogSoftmax(dim=1)
    )


def run(model, optimizer, steps: int, seed: int = 1, scheduler=None) -> torch.Tensor:
    "Random batches, not digits: quick, and as good for comparing two optimizers."
    random_numbers = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(8, 1, 28, 28, generator=random_numbers)
        y = torch.randint(10, (8,), generator=random_numbers)
        optimizer.zero_grad()
        F.nll_loss(model(x), y).backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def lrs_of(optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_hundred_steps_equal_torch(settings):
    ours, theirs = small_net(), small_net()
    start = nn.utils.parameters_to_vector(ours.parameters()).detach().clone()
    a = run(ours, SGD(ours.parameters(), **settings), 100)
    b = run(theirs, torch.optim.SGD(theirs.parameters(), **settings), 100)
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert not torch.allclose(a, start, atol=1e-2)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_the_functions_of_the_lesson_walk_as_torch_does(momentum):
    curvature = torch.tensor([3.0, 0.5, 20.0])
    theirs = nn.Parameter(torch.tensor([1.0, -2.0, 0.3]))
    optimizer = torch.optim.SGD([theirs], lr=0.04, momentum=momentum)
    w, v, plain = theirs.detach().clone(), torch.zeros(3), theirs.detach().clone()
    for _ in range(30):
        theirs.grad = curvature * theirs.detach()
        optimizer.step()
        w, v = momentum_step(w, curvature * w, v, 0.04, momentum)
        plain = sgd_step(plain, curvature * plain, 0.04)
        torch.testing.assert_close(w, theirs.detach())
        if momentum == 0:  # at every step: what walks the other way is right every second time
            torch.testing.assert_close(plain, w)
    assert torch.allclose(plain, w) == (momentum == 0)


@pytest.mark.parametrize("step_size, gamma", [(1, 0.9), (4, 0.2), (15, 0.1)])
def test_the_stairs_of_the_lesson_are_those_of_torch(step_size, gamma):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size, gamma)
    optimizer.step()  # or torch warns
    for epoch in range(40):
        assert step_lr(epoch, 0.3, step_size, gamma) == pytest.approx(lrs_of(optimizer)[0])
        schedule.step()


def test_every_setting_matters():
    results = []
    for settings in SETTINGS:
        model = small_net()
        results.append(run(model, SGD(model.parameters(), **settings), 20))
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(results, 2))


def test_a_parameter_without_gradient_stays():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = SGD([used, unused], lr=0.1, weight_decay=0.1)
    used.sum().backward()
    optimizer.step()
    assert torch.equal(unused, torch.ones(2)) and not torch.equal(used, torch.ones(2))
    optimizer.zero_grad()
    assert used.grad is None


def test_lr_can_be_changed_between_steps():
    w = nn.Parameter(torch.zeros(1))
    optimizer = SGD([w], lr=0.1)
    w.sum().backward()
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert w.item() == -0.5


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[-1]], ids=str)
def test_checkpoint_goes_on_as_if_nothing_had_happened(settings):
    model = small_net()
    optimizer = SGD(model.parameters(), **settings)
    run(model, optimizer, 10)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    straight = run(model, optimizer, 10, seed=2)

    file.seek(0)
    saved = torch.load(file, weights_only=True)  # as lesson 08 reads a checkpoint
    resumed = small_net(seed=5)
    resumed.load_state_dict(saved["model"])
    other = SGD(resumed.parameters(), lr=9, momentum=0.1)
    other.load_state_dict(saved["optimizer"])
    assert torch.equal(run(resumed, other, 10, seed=2), straight)
    assert other.param_groups[0]["lr"] == settings["lr"]


def test_two_optimizers_share_no_velocity():
    model = small_net()
    first = SGD(model.parameters(), lr=0.1, momentum=0.9)
    run(model, first, 2)
    second = SGD(model.parameters(), lr=0.1, momentum=0.9)
    second.load_state_dict(first.state_dict())
    before = copy.deepcopy(first.state_dict()["state"][0]["momentum_buffer"])
    run(model, second, 2)
    assert torch.equal(first.state_dict()["state"][0]["momentum_buffer"], before)


def test_goes_on_from_a_state_of_torch():
    settings = SETTINGS[-1]
    theirs = small_net()
    their_optimizer = torch.optim.SGD(theirs.parameters(), **settings)
    run(theirs, their_optimizer, 5)
    ours = copy.deepcopy(theirs)
    our_optimizer = SGD(ours.parameters(), lr=1)
    our_optimizer.load_state_dict(their_optimizer.state_dict())
    torch.testing.assert_close(
        run(ours, our_optimizer, 20), run(theirs, their_optimizer, 20), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"lr": 0}, "lr"),
        ({"lr": -0.1}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"lr": math.inf}, "lr"),
        ({"lr": 0.1, "momentum": -0.1}, "momentum"),
        ({"lr": 0.1, "momentum": 1}, "momentum"),
        ({"lr": 0.1, "nesterov": True}, "nesterov"),
        ({"lr": 0.1, "weight_decay": -1}, "weight_decay"),
    ],
)
def test_wrong_settings_are_named(settings, named):
    with pytest.raises(ValueError, match=named):
        SGD([nn.Parameter(torch.zeros(1))], **settings)


def test_settings_of_another_kind_are_named():
    w = nn.Parameter(torch.zeros(1))
    for wrong in ({"lr": "0.1"}, {"lr": 0.1, "momentum": None}, {"lr": 0.1, "weight_decay": True}):
        name, value = list(wrong.items())[-1]
        with pytest.raises(TypeError, match=f"^{name} must be a number, got {value!r}$"):
            SGD([w], **wrong)
    with pytest.raises(TypeError, match="step_size must be a number, got '3'"):
        StepLR(SGD([w], lr=1), "3")
    with pytest.raises(TypeError, match="gamma must be a number"):
        StepLR(SGD([w], lr=1), 3, gamma="0.1")
    assert SGD([w], lr=np.float32(0.1)).param_groups[0]["lr"] == np.float32(0.1)
    assert SGD([w], lr=torch.tensor(0.5)).param_groups[0]["lr"] == 0.5
    with pytest.raises(TypeError, match="lr must be a number, got tensor"):
        SGD([w], lr=torch.ones(2))


def test_wrong_parameters():
    w = nn.Parameter(torch.zeros(1))
    parameters = small_net().parameters()
    list(parameters)  # used up
    with pytest.raises(ValueError, match="empty parameter list"):
        SGD(parameters, lr=0.1)
    with pytest.raises(TypeError, match="iterable of Tensors"):
        SGD(w, lr=0.1)


def test_groups_of_parameters_have_their_own_settings():
    slow, fast = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = SGD([{"params": [slow]}, {"params": [fast], "lr": 0.5}], lr=0.1)
    (slow + fast).sum().backward()
    optimizer.step()
    assert [slow.item(), fast.item()] == pytest.approx([-0.1, -0.5])


def test_a_state_of_another_network_changes_nothing():
    model = small_net()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    run(model, optimizer, 1)
    fewer = SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    with pytest.raises(ValueError, match="size of optimizer's group"):
        fewer.load_state_dict(optimizer.state_dict())
    assert lrs_of(fewer) == [0.3] and not fewer.state


@pytest.mark.parametrize("step_size, gamma", [(1, 0.9), (3, 0.1), (15, 0.5)])
@pytest.mark.parametrize("make", [SGD, torch.optim.SGD])
def test_step_lr_equals_torch(make, step_size, gamma):
    ours, theirs = (m([nn.Parameter(torch.zeros(1))], lr=0.3) for m in (make, torch.optim.SGD))
    our_scheduler = StepLR(ours, step_size, gamma)
    their_scheduler = torch.optim.lr_scheduler.StepLR(theirs, step_size, gamma)
    ours.step()  # or torch warns
    theirs.step()
    for _ in range(60):
        assert (
            our_scheduler.get_last_lr()
            == their_scheduler.get_last_lr()
            == lrs_of(ours)
            == lrs_of(theirs)
        )
        our_scheduler.step()
        their_scheduler.step()


def test_step_lr_lowers_every_group():
    optimizer = torch.optim.SGD(
        [
            {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.1},
            {"params": [nn.Parameter(torch.zeros(1))]},
        ],
        lr=1,
    )
    scheduler = StepLR(optimizer, 1, 0.5)
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == lrs_of(optimizer) == [0.05, 0.5]


@pytest.mark.parametrize("make_scheduler", [StepLR, torch.optim.lr_scheduler.StepLR])
def test_step_lr_resumes(make_scheduler):
    def fresh(make, **settings):
        optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        return optimizer, make(optimizer, **settings)

    optimizer, straight = fresh(make_scheduler, step_size=3)
    expected = []
    for epoch in range(10):
        if epoch == 4:
            saved = copy.deepcopy((optimizer.state_dict(), straight.state_dict()))
        optimizer.step()
        straight.step()
        expected.append(straight.get_last_lr())
    optimizer, resumed = fresh(StepLR, step_size=99)
    optimizer.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    for lr in expected[4:]:
        optimizer.step()
        resumed.step()
        assert resumed.get_last_lr() == lr


def test_step_lr_before_the_optimizer_warns():
    scheduler = StepLR(SGD([nn.Parameter(torch.zeros(1))], lr=1), 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_schedulers_of_torch_work_with_our_sgd():
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1, total_steps=10)
    optimizer.step()
    scheduler.step()
    assert 0 < lrs_of(optimizer)[0] < 1 and optimizer.param_groups[0]["momentum"] < 0.95


@pytest.mark.parametrize(
    "settings, named",
    [
        ((0,), "step_size"),
        ((-1,), "step_size"),
        ((1.5,), "step_size"),
        ((1, 0), "gamma"),
        ((1, -1), "gamma"),
    ],
)
def test_step_lr_wrong_settings(settings, named):
    with pytest.raises(ValueError, match=named):
        StepLR(SGD([nn.Parameter(torch.zeros(1))], lr=1), *settings)


def test_optimizer_and_scheduler_together_equal_torch():
    ours, theirs = small_net(), small_net()
    a, b = (
        SGD(ours.parameters(), lr=0.1, momentum=0.9),
        torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9),
    )
    left = run(ours, a, 40, scheduler=StepLR(a, 10))
    right = run(theirs, b, 40, scheduler=torch.optim.lr_scheduler.StepLR(b, 10))
    torch.testing.assert_close(left, right, rtol=0, atol=1e-6)


def test_fit_resumes_with_our_parts(small, tmp_path):
    def run_to(epochs, folder, resume=False):
        model = small_net(seed=9 if resume else 0)
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        loader = BatchLoader(
            small[0], 64, shuffle=True, generator=torch.Generator().manual_seed(9 if resume else 3)
        )
        history = fit(
            model,
            loader,
            BatchLoader(small[1], 100),
            optimizer,
            StepLR(optimizer, step_size=2),
            epochs=epochs,
            checkpoint=folder / "run.pt",
            resume=resume,
            progress=False,
        )
        return nn.utils.parameters_to_vector(model.parameters()).detach(), history

    (tmp_path / "straight").mkdir()
    straight, expected = run_to(4, tmp_path / "straight")
    run_to(1, tmp_path)
    resumed, history = run_to(4, tmp_path, resume=True)
    assert torch.equal(resumed, straight)
    assert history.lr == expected.lr == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert history.train_loss == expected.train_loss and history.test_acc == expected.test_acc
    assert history.train_loss[-1] < history.train_loss[0]


class WithState(nn.Module):
    "Batch norm has buffers, dropout draws random numbers."

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 10)
        )
        self.register_buffer("calls", torch.zeros(1), persistent=False)

    def forward(self, x):
        self.calls += 1
        return F.log_softmax(self.layers(x), dim=1)


@pytest.mark.parametrize("fails", [False, True])
def test_range_test_leaves_no_trace(train, fails):
    model = WithState().eval()
    model.layers[3].train()  # a mixed mode must come back too
    F.nll_loss(model(torch.zeros(2, 1, 28, 28)), torch.tensor([0, 1])).backward()
    generator = torch.Generator().manual_seed(3)

    def noisy(x):  # random numbers of all three kinds
        return (
            x
            + random.random() * 0.01
            + torch.from_numpy(np.random.rand(1).astype(np.float32))
            + 0.01 * torch.randn(1)
        )

    loader = BatchLoader(train, 16, shuffle=True, generator=generator, transform=noisy)

    def snapshot():
        tensors = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters())]
        modes = [m.training for m in model.modules()]
        return (
            [t.clone() for t in tensors],
            modes,
            random.getstate(),
            np.random.get_state()[1].copy(),
            torch.get_rng_state(),
            generator.get_state(),
        )

    def loss_fn(log_probs, y):
        if fails and torch.rand(1) < 0.3:
            raise RuntimeError("in the middle")
        return F.nll_loss(log_probs, y)

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    before = snapshot()
    if fails:
        with pytest.raises(RuntimeError, match="in the middle"):
            lr_range_test(model, loader, loss_fn, steps=30)
    else:
        result = lr_range_test(model, loader, loss_fn, steps=30)
        assert (
            lr_range_test(model, loader, loss_fn, steps=30) == result
        )  # the random numbers came back
    after = snapshot()
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:3] == after[1:3]
    assert (
        (before[3] == after[3]).all()
        and torch.equal(before[4], after[4])
        and torch.equal(before[5], after[5])
    )


def test_range_test_follows_the_seed(train):
    def result(seed):
        torch.manual_seed(seed)
        return lr_range_test(model, BatchLoader(train, 16, shuffle=True), steps=10)

    model = small_net()
    assert result(1) == result(1) != result(2)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_range_test_suggests_within_a_decade_of_the_best(train, momentum):
    def loss_after_training(lr):
        model = small_net()
        optimizer, losses = SGD(model.parameters(), lr, momentum), []
        for x, y in itertools.islice(BatchLoader(train, 32, shuffle=True), 120):
            loss = F.nll_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return sum(losses[-30:])

    best = min([10 ** (k / 2) for k in range(-8, 2)], key=loss_after_training)
    model = small_net()
    result = lr_range_test(model, BatchLoader(train, 32, shuffle=True), momentum=momentum, high=10)
    assert best / 10 <= result.suggestion <= best * 10
    assert min(result.losses) < 0.8 * result.losses[0]


def test_range_test_stops_when_the_loss_explodes(train):
    result = lr_range_test(small_net(), BatchLoader(train, 32, shuffle=True), high=1e4, steps=80)
    assert len(result.lrs) == len(result.losses) == len(result.raw) < 80
    assert (
        all(map(math.isfinite, result.raw))
        and result.lrs[0] == 1e-5
        and result.lrs == sorted(result.lrs)
    )


def test_range_test_begins_again_when_the_loader_is_short():
    x, y = torch.randn(4, 1, 28, 28), torch.arange(4)
    result = lr_range_test(small_net(), [(x, y)], steps=20, high=1e-2)
    assert len(result.lrs) == 20 and result.lrs[-1] == pytest.approx(1e-2)


def test_range_test_errors():
    model, batch = small_net(), (torch.randn(4, 1, 28, 28), torch.arange(4))
    for settings in ({"low": 0}, {"low": 1, "high": 0.1}, {"high": math.inf}, {"steps": 1}):
        with pytest.raises(ValueError, match="low"):
            lr_range_test(model, [batch], **settings)
    with pytest.raises(ValueError, match="no batch"):
        lr_range_test(model, [])
    with pytest.raises(ValueError, match="not a finite number"):
        lr_range_test(model, [(batch[0] * math.nan, batch[1])])
    with pytest.raises(ValueError, match="not a finite number"):
        lr_range_test(model, [batch], lambda log_probs, y: log_probs.sum() * math.inf)


def test_smooth():
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smooth([0.0, 1.0], beta=0.5) == pytest.approx(
        [0.0, 2 / 3]
    )  # (0.25 * 0 + 0.5 * 1) / 0.75


def test_plot_says_what_it_shows():
    figure = plot_lr_range(LRRange([0.01, 0.1, 1.0], [2.0, 1.0, 3.0], [2.0, 0.9, 4.0]))
    assert (
        isinstance(figure, DescribedFigure)
        and "0.01" in figure.description
        and "1.00" in figure.description
    )
    assert figure.axes[0].get_xlabel() and figure.axes[0].get_ylabel()
    never = LRRange([0.01, 0.1], [2.0, 3.0], [2.0, 4.0])
    assert never.suggestion is None and "no suggestion" in plot_lr_range(never).description
    assert plot_lr_range(never).axes[0].get_ylim() == pytest.approx((1.5, 2.7))


def test_plot_is_as_high_as_the_loss_falls_not_as_it_explodes():
    figure = plot_lr_range(LRRange([0.01, 0.1, 1.0], [6.0, 2.0, 20.0], [6.0, 1.9, 40.0]))
    low, high = figure.axes[0].get_ylim()
    assert low < 2 < 6 < high < 10


@pytest.mark.parametrize("beta", [-0.1, 1, 2, math.nan])
def test_a_running_mean_keeps_a_fraction(beta):
    with pytest.raises(ValueError, match="beta must lie from 0 to below 1"):
        smooth([1.0, 2.0], beta)
