"Parts of `diagnose`, without a training: what follows from what an experiment says."

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers import figure_is_approved
from torch import nn

from mnist_course.engine import diagnose
from mnist_course.engine.diagnose import Clue

# ---- learning rates


def rate_clue(monkeypatch, works, rates=(0.1,), losses=(), group=None, **case):
    "The clue where a training with (rate, changed settings) works as told, and what was tried."
    tried = []

    def learns(case, lr, draws=2, **changed):
        tried.append((lr, changed) if changed else lr)
        return works(lr, changed)

    monkeypatch.setattr(diagnose, "_learns", learns)
    monkeypatch.setattr(diagnose, "_rates", lambda case: [*rates])
    monkeypatch.setattr(diagnose, "_numbers", lambda case, name: [*losses])
    monkeypatch.setattr(diagnose, "_make_optimizer", lambda *given, **changed: None)
    told = {"learned": False, "poor": False, "fresh": lambda: False, "fresh_model": lambda: None}
    told["optimizer"] = SimpleNamespace(param_groups=[group or {"lr": rates[0]}] if rates else [])
    return diagnose._check_rate(SimpleNamespace(**told | case)), tried


def test_rates_that_are_lower_and_higher_are_tried_in_turn(monkeypatch):
    clue, tried = rate_clue(monkeypatch, lambda lr, changed: False)
    assert tried == pytest.approx([0.1, 0.01, 0.001, 0.0001, 1.0])
    words = "in 90 steps nothing falls, with no rate from 0.0001 to 1"
    assert clue == Clue("learning rate", "-", words)
    _, tried = rate_clue(monkeypatch, lambda lr, changed: False, (1e-4,))
    assert tried == pytest.approx([1e-4, 1e-5, 1e-6, 1e-7, 1e-3, 1e-2, 1e-1, 1.0])
    _, tried = rate_clue(monkeypatch, lambda lr, changed: False, (1e-6,))
    assert tried == pytest.approx([1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    _, tried = rate_clue(monkeypatch, lambda lr, changed: False, (0.0,))
    assert tried == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])  # with 0 nothing can fall


@pytest.mark.parametrize(
    ("lr", "works_at", "case", "verdict", "fault"),
    [
        (0.1, 0.001, {}, "FIX", "learning rate too high"),
        (0.1, 0.001, {"fresh": lambda: True}, "FIX", "learning rate too high"),
        (0.1, 0.001, {"group": {"lr": 0.1, "initial_lr": 1}}, "FIX", "learning rate too high"),
        (
            0.1,
            0.001,
            {"group": {"lr": 0.1, "initial_lr": 1}, "fresh": lambda: True},
            "hint",
            "learning rate too high",
        ),
        (1e-4, 0.01, {}, "FIX", "learning rate too low"),
        (1e-4, 0.01, {"learned": None}, "hint", "learning rate too low"),
        (0.0, 0.01, {"learned": None}, "FIX", "learning rate too low"),
    ],
)
def test_a_rate_is_too_high_or_too_low(monkeypatch, lr, works_at, case, verdict, fault):
    clue, _ = rate_clue(monkeypatch, lambda rate, _: math.isclose(rate, works_at), (lr,), **case)
    assert (clue.verdict, clue.fault) == (verdict, fault)
    assert f"with {lr:g} the loss does not fall; with {works_at:g} it does" in clue.seen


@pytest.mark.parametrize(
    ("rates", "learned", "verdict"),
    [
        ((0.1, 0.0005), False, "FIX"),
        ((0.1, 0.0005), None, "ok"),
        ((0.1, 0.002), False, "ok"),
        ((0.1,), False, "ok"),
    ],
)
def test_a_rate_that_works_may_have_fallen_too_early(monkeypatch, rates, learned, verdict):
    clue, tried = rate_clue(monkeypatch, lambda *given: True, rates, learned=learned)
    assert clue.verdict == verdict and tried == [0.1]
    assert clue.fault == ("learning rate too low" if verdict == "FIX" else "")


def test_settings_beside_the_rate_can_be_the_fault(monkeypatch):
    group = {"lr": 0.1, "momentum": 0.999, "weight_decay": 0.1, "dampening": 0.0}
    clue, tried = rate_clue(monkeypatch, lambda lr, changed: "weight_decay" in changed, group=group)
    assert tried == [0.1, (0.1, {"momentum": 0.9}), (0.1, {"weight_decay": 0.0})]
    assert (clue.verdict, clue.fault) == ("FIX", "optimizer settings")
    assert clue.seen == "with weight_decay=0.1 the loss does not fall; with 0 it does"


def test_where_a_rate_is_not_asked_for_none_is_tried(monkeypatch):
    clue, tried = rate_clue(monkeypatch, None, ())
    assert clue.verdict == "-" and not tried
    clue, tried = rate_clue(monkeypatch, None, losses=[2.0, 0.25], learned=True)
    assert (clue.verdict, clue.seen) == ("ok", "with 0.1 the loss fell to 0.25") and not tried
    clue, tried = rate_clue(monkeypatch, None, learned=True)
    assert clue.seen == "with 0.1 the run learned"

    def cannot(*given, **changed):
        raise TypeError("params are missing")

    clue, tried = rate_clue(monkeypatch, None, learned=True, poor=False)
    monkeypatch.setattr(diagnose, "_make_optimizer", cannot)
    case = SimpleNamespace(learned=False, poor=False, fresh_model=lambda: None)
    clue = diagnose._check_rate(case)
    assert clue == Clue(
        "learning rate", "-", "the optimizer cannot be built anew: params are missing"
    )


def test_an_optimizer_is_built_anew_with_the_shares_of_its_groups():
    model, twin = nn.Linear(2, 1), nn.Linear(2, 1)
    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.02}]
    optimizer = torch.optim.SGD(groups, momentum=0.5)
    case = SimpleNamespace(optimizer=optimizer, parameters=list(model.parameters()))
    for lr, rates in ((None, [0.1, 0.02]), (0.5, [0.5, 0.1])):
        made = diagnose._make_optimizer(case, twin, lr, momentum=0.9)
        assert [group["lr"] for group in made.param_groups] == pytest.approx(rates)
        assert made.param_groups[0]["params"][0] is twin.weight
        assert {group["momentum"] for group in made.param_groups} == {0.9}
    optimizer.param_groups[0]["initial_lr"] = 1.0  # a schedule has lowered it
    made = diagnose._make_optimizer(case, twin, 0.5)
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.5, 0.01])
    case.optimizer = None
    (plain,) = diagnose._make_optimizer(case, twin).param_groups
    assert (plain["lr"], plain["momentum"]) == (0.01, 0.9)


# ---- a short training


def trial(losses):
    "A trial whose steps have these losses, where a blind guess has 1."
    given = iter(losses)
    model = nn.Linear(1, 1)
    case = SimpleNamespace(
        data=SimpleNamespace(blind_loss=lambda: 1.0),
        batches=[(torch.zeros(3, 1), torch.zeros(3))],
        loss=lambda model, x, y: torch.tensor(next(given)),
    )
    return diagnose._try(case, model, torch.optim.SGD(model.parameters(), 0.1))


def test_ten_low_steps_in_a_row_are_enough():
    found = trial([0.1] * 90)
    assert found.learned and len(found.losses) == 10
    found = trial([0.1] * 6 + [30.0] + [0.1] * 90)
    smoothed = diagnose.smooth(found.losses, 0.8)
    assert found.learned and all(value < 0.65 for value in smoothed[-10:])
    assert smoothed[-11] >= 0.65 and len(found.losses) > 17
    found = trial([0.7] * 90)
    assert not found.learned and len(found.losses) == 90
    found = trial([0.1] * 5 + [math.nan] * 3)
    assert not found.learned and len(found.losses) == 6
    assert str(trial([2.0] + [1.0] * 89)).startswith("2.00 to 1.00 in 89 steps")


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [([130], [64, 64, 2]), ([129, 64], [64, 64, 64]), ([1], [1]), ([1, 3], [3])],
)
def test_batches_of_a_trial_are_small_and_never_one_digit(sizes, pieces):
    batches = [(torch.zeros(n, 1), torch.zeros(n)) for n in sizes]
    found = diagnose._trial_batches(SimpleNamespace(batches=batches))
    assert [len(y) for _, y in found] == pieces


# ---- layers


class TwoWays(nn.Module):
    "A layer that is used, one that isn't, and a bias of 0."

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)
        nn.init.zeros_(self.used.bias)

    def forward(self, x):
        return self.used(x)


def layers(model):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    return SimpleNamespace(
        model=model,
        x=x,
        y=torch.arange(8) % 3,
        classes=3,
        loss=lambda model, x, y: F.cross_entropy(model(x), y),
        log_probs=lambda model, x: model(x).log_softmax(1),
    )


def test_whether_a_layer_is_used_is_asked_of_the_weights_as_they_were(monkeypatch):
    model, asked = TwoWays(), []
    moves = diagnose._moves_answers

    def noted(case, changed, name):
        pairs = zip(changed.parameters(), model.parameters(), strict=True)
        asked.append((name, all(torch.equal(ours, theirs) for ours, theirs in pairs)))
        return moves(case, changed, name)

    monkeypatch.setattr(diagnose, "_moves_answers", noted)
    clue = diagnose._check_alive(layers(model))
    words = "no answer depends on unused.weight, unused.bias"
    assert clue == Clue("gradients", "hint", words, "unused layer")
    assert [name for name, _ in asked] == ["unused.weight", "unused.bias"] and asked[0][1]


@pytest.mark.parametrize(
    ("name", "moves"), [("used.weight", True), ("used.bias", True), ("unused.weight", False)]
)
def test_answers_move_with_what_they_depend_on_also_with_zeros(name, moves):
    model = TwoWays()
    assert diagnose._moves_answers(layers(model), model, name) == moves


def test_a_fresh_copy_leaves_what_is_frozen():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen, self.layer = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.arange(50.0))

    model = Own()
    fresh = diagnose.fresh_copy(model)
    assert torch.equal(fresh.frozen.weight, model.frozen.weight)
    assert torch.equal(fresh.frozen.bias, model.frozen.bias)
    assert not torch.equal(fresh.layer.weight, model.layer.weight)
    assert not torch.equal(fresh.scale, model.scale)  # no layer draws it anew: it's shuffled
    assert torch.equal(fresh.scale.detach().sort()[0], model.scale)


# ---- a learner's own loop


def loop_clue(train, **more):
    "The clue on a `train`, for a layer and six times the same batch."
    case = layers(nn.Linear(4, 3))
    case.train, case.batches = train, [(case.x, case.y)]
    torch.manual_seed(0)
    fresh = nn.Linear(4, 3)
    case.fresh_model = lambda: fresh
    return diagnose._check_train(SimpleNamespace(**vars(case) | more))


def a_loop(before=lambda model, optimizer: optimizer.zero_grad(), scale=1.0, after=None):
    def train(model, batches, optimizer):
        print("epoch 1")
        for x, y in batches:
            before(model, optimizer)
            (scale * F.cross_entropy(model(x), y)).backward()
            optimizer.step()
            if after:
                after(model)

    return train


def forget(model):
    model.weight.data.add_(1.0)


def never(model, batches, optimizer):
    pass


def breaks(model, batches, optimizer):
    raise KeyError("epochs")


@pytest.mark.parametrize(
    ("train", "verdict", "fault", "words"),
    [
        (a_loop(), "ok", "", "one batch 6 times: the last gradient is 1.0 times the first"),
        (a_loop(lambda *given: None), "FIX", "missing zero_grad", "is 6.0 times the first"),
        (a_loop(after=forget), "FIX", "weights reset", "6 steps at a learning rate of 0, and yet"),
        (never, "FIX", "no step", "0 steps for 6 batches, with a gradient of 0"),
        (a_loop(scale=0.0), "FIX", "no step", "6 steps for 6 batches, with a gradient of 0"),
        (a_loop(scale=-1.0), "FIX", "uphill", "cosine -1.00"),
        (a_loop(scale=1e-4), "FIX", "no step", "get 0.0001 of the gradient's length"),
        (breaks, "-", "", "train raised KeyError: 'epochs'"),
        (None, "-", "", "give train="),
    ],
)
def test_a_loop_is_watched_with_one_batch(train, verdict, fault, words, capsys):
    clue = loop_clue(train)
    assert (clue.check, clue.verdict, clue.fault) == ("train", verdict, fault)
    assert words in clue.seen and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("loss", "learned", "works", "found"),
    [
        (1.0, False, True, True),
        (0.95, False, True, True),
        (0.5, False, True, False),
        (1.0, None, True, False),
        (1.0, False, False, False),
    ],
)
def test_a_loop_that_learns_nothing_where_our_steps_do(monkeypatch, loss, learned, works, found):
    monkeypatch.setattr(diagnose, "_learns", lambda case, lr, draws: works)
    monkeypatch.setattr(diagnose, "_rates", lambda case: [0.1, 0.3])
    monkeypatch.setattr(diagnose, "_make_optimizer", lambda case, model, lr: lr)
    seen = []
    case = layers(nn.Linear(4, 3).train())
    case.learned, case.batches = learned, [(case.x, case.y)]
    case.fresh_model = lambda: case.model
    case.data = SimpleNamespace(blind_loss=lambda: 1.0)
    case.train = lambda model, batches, optimizer: seen.append((model, len(batches), optimizer))
    case.loss = lambda model, x, y: torch.tensor(loss + model.training)  # eval mode is asked
    clue = diagnose._check_loop(case)
    assert (clue is not None) == found
    if clue:
        words = f"90 batches: after my steps the loss is low, after yours {loss:.2f}"
        assert clue == Clue("own steps", "FIX", words, "training loop")
        assert seen == [(case.model, 90, 0.3)]


@pytest.mark.parametrize(("factor", "fault"), [(1, ""), (10, "missing zero_grad")])
@pytest.mark.parametrize("told", [True, False])
def test_gradients_that_were_left_are_compared_with_those_of_a_batch(factor, fault, told):
    model = nn.Linear(4, 3)
    case = layers(model)
    case.batches = [(case.x, case.y)]
    case.data = SimpleNamespace(blind_loss=lambda: 1.0)
    case.optimizer = torch.optim.SGD(model.parameters(), 0.1) if told else None
    case.parameters = [nn.Parameter(p.detach().clone()) for p in model.parameters()]
    if told:
        case.optimizer.param_groups[0]["params"] = case.parameters
    case.loss(model, case.x, case.y).backward()
    for own, twin in zip(case.parameters, model.parameters(), strict=True):
        assert own is not twin
        twin.grad *= factor
    clue = diagnose._check_leftover(SimpleNamespace(**vars(case)))
    words = f"{factor} times the longest of 1 batches"
    assert clue == Clue("gradients left", "FIX" if fault else "ok", words, fault)
    for twin in model.parameters():
        twin.grad = None
    assert diagnose._check_leftover(SimpleNamespace(**vars(case))).verdict == "-"


# ---- training and test digits


def worlds(monkeypatch, n=100, answers=(), **case):
    "The clues on two sets of n digits, where mean images name them right as often as told."
    y = torch.arange(n) % 10
    x = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    given = iter(answers)

    def read(seen, asked):
        right = round(next(given) * len(asked[1]))
        return torch.where(torch.arange(len(asked[1])) < right, asked[1], (asked[1] + 1) % 10)

    monkeypatch.setattr(diagnose, "_read_by_means", read)
    told = {"learned": None, "history": None, "fresh": lambda: True, "device": torch.device("cpu")}
    told |= {"x": x, "y": y, "data": SimpleNamespace(labels=y)}
    told["test_data"] = SimpleNamespace(batches=[(x, y)], labels=y)
    return diagnose._check_worlds(SimpleNamespace(**told | case))


def test_few_digits_say_nothing_about_both_sides(monkeypatch):
    one, both = worlds(monkeypatch, 99)
    assert one.verdict == "ok"
    words = "needs 100 digits of several classes on both sides"
    assert both == Clue("both sides", "-", words)


def test_a_view_in_which_test_digits_are_read_better_is_named(monkeypatch):
    "Their own means name 90%, the training digits' 30%: half the way is 60%."
    *_, clue = worlds(monkeypatch, 100, [0.9, 0.3, 0.5, 0.58, 0.7])
    assert (clue.verdict, clue.fault) == ("FIX", "two worlds")
    assert clue.seen.endswith("and 70% when the test digits are seen mirrored")
    assert "training digits name 30% of the test digits, their own 90%" in clue.seen


def test_shapes_are_compared_on_one_scale(monkeypatch):
    asked = []
    y = torch.arange(200) % 10
    x = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    case = {"x": x, "y": y, "test_data": SimpleNamespace(batches=[(9 * x - 4, y)], labels=y)}
    read = diagnose._read_by_means
    monkeypatch.setattr(
        diagnose, "_read_by_means", lambda seen, given: asked.append(given[0]) or read(seen, given)
    )
    told = {"learned": None, "history": None, "fresh": lambda: True, "device": torch.device("cpu")}
    case |= told | {"data": SimpleNamespace(labels=y)}
    monkeypatch.setattr(diagnose, "_check_noise", lambda case, right: [])
    one, both = diagnose._check_worlds(SimpleNamespace(**case))
    assert (one.fault, both.verdict) == ("two worlds", "ok")
    assert "mean 0.5" in one.seen and "spread 0.29 and 2.58" in one.seen
    torch.testing.assert_close(asked[1], x, rtol=0, atol=1e-5)


def test_mean_images_name_the_nearest_kind():
    x = torch.tensor([[[0.0, 0.0]], [[0.0, 2.0]], [[9.0, 9.0]]])
    named = diagnose._read_by_means((x, torch.tensor([4, 4, 7])), (x + 0.5, torch.zeros(3)))
    assert named.tolist() == [4, 4, 7]
    assert diagnose._read_by_means((x, torch.tensor([1, 2, 3])), (x, x)).tolist() == [1, 2, 3]


# ---- a picture


def test_its_picture_is_approved(tmp_path):
    questions = {"is it high?": lambda v: v > 0.5, "is it low?": lambda v: v < 0.001}
    answers = {"one run": [0.75, 0.0], "another": [0.25, 0.0004], "third": [0.5, 0.3]}
    figure = diagnose.show_fingerprints(questions, answers)
    assert "one run" in figure.description
    figure_is_approved("plot: fingerprints", figure, tmp_path)
