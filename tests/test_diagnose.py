"Each fault of the museum is called by its name, a healthy run raises no alarm, and nothing that was examined is changed."

import copy
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mnist_course.data import BatchLoader, DigitDataset, make_loaders, normalize
from mnist_course.diagnose import Clue, Diagnosis, by_heart, diagnose, gradient_lengths, mixing
from mnist_course.engine.diagnose import REMEDIES, show_fingerprints
from mnist_course.environment import seed_everything
from mnist_course.model import Net, load_pretrained
from mnist_course.training import DivergedError, History, fit, test, train


def by_seed(test):
    "With each of three seeds; each of them trains, so every commit tries some."
    return pytest.mark.drawn(10, of="faults by seed")(
        pytest.mark.parametrize("seed", [0, 1, 2])(test)
    )


class Pocket(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(784, 32)
        self.fc2 = nn.Linear(32, 10)
        self.drop = nn.Identity()

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.drop(F.relu(self.fc1(x.flatten(1))))
        return F.log_softmax(self.fc2(x), dim=1)


class Dropping(Pocket):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)


class Overwrites(Pocket):
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x), 2), 2)
        x = F.max_pool2d(F.relu(self.conv2(x), 2), 2)
        return F.log_softmax(self.fc2(F.relu(self.fc1(x.flatten(1)))), dim=1)


class Swallows(Pocket):
    def forward(self, x):
        x = F.relu(self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2)))
        return F.log_softmax(self.fc2(F.relu(self.fc1(x.view(-1, 784)))), dim=1)


class Shares(Pocket):
    def forward(self, x):
        return super().forward(x).exp()


class Logits(Pocket):
    def forward(self, x):
        return 3 * super().forward(x)


class Detached(Pocket):
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2))), 2).detach()
        return F.log_softmax(self.fc2(F.relu(self.fc1(x.flatten(1)))), dim=1)


class Mixes(Pocket):
    def forward(self, x):
        return F.log_softmax(super().forward(x) + super().forward(x).mean(0), dim=1)


def norm_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16),
        nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10), nn.LogSoftmax(dim=1),
    )  # fmt: skip


def linear_net() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(dim=1))


# ---- loops, right and wrong


def forgetful_train(model, loader, optimizer):
    model.train()
    loss_sum = right = count = 0
    for x, y in loader:
        log_probs = model(x)
        loss = F.nll_loss(log_probs, y)
        loss.backward()
        optimizer.step()
        loss_sum, right, count = (
            loss_sum + loss.item() * len(y),
            right + (log_probs.argmax(1) == y).sum().item(),
            count + len(y),
        )
    return loss_sum / count, right / count


@torch.no_grad()
def no_eval_test(model, loader):
    loss_sum = right = count = 0
    for x, y in loader:
        log_probs = model(x)
        loss_sum += F.nll_loss(log_probs, y, reduction="sum").item()
        right, count = right + (log_probs.argmax(1) == y).sum().item(), count + len(y)
    return loss_sum / count, right / count


@torch.no_grad()
def mean_of_means_test(model, loader):
    model.eval()
    rows = [
        (F.nll_loss(out, y).item(), (out.argmax(1) == y).float().mean().item())
        for x, y in loader
        for out in [model(x)]
    ]
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def probability_loop(loss_fn, training):
    def loop(model, loader, optimizer=None):
        model.train(training)
        loss_sum = right = count = 0
        for x, y in loader:
            with torch.set_grad_enabled(training):
                out = model(x)
                loss = loss_fn(out, y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum, right, count = (
                loss_sum + loss.item() * len(y),
                right + (out.argmax(1) == y).sum().item(),
                count + len(y),
            )
        return loss_sum / count, right / count

    return loop


def wobble(x):
    return torch.roll(x, tuple(torch.randint(-3, 4, (2,)).tolist()), dims=(2, 3))


@pytest.fixture(scope="module")
def parts(sample):
    return tuple(
        DigitDataset(part.images[:n], part.labels[:n])
        for part, n in zip(sample, (2000, 1000), strict=True)
    )


def run(parts, seed, make=Pocket, lr=0.03, epochs=3, step=train, look=test, **options):
    "A short run: everything that a learner has in hand afterwards."
    seed_everything(seed)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    loader, test_loader = (
        BatchLoader(parts[0], 64, shuffle=True),
        BatchLoader(parts[1], 64, **options),
    )
    history = History()
    for _ in range(epochs):
        try:
            values = (*step(model, loader, optimizer), *look(model, test_loader), lr, 1.0)
        except DivergedError:
            values = (math.nan, 0.1, math.nan, 0.1, lr, 1.0)
        for name, value in zip(
            ("train_loss", "train_acc", "test_loss", "test_acc", "lr", "seconds"),
            values,
            strict=True,
        ):
            getattr(history, name).append(value)
    return model, loader, history, {"test_loader": test_loader, "optimizer": optimizer}


# ---- the twelve


@by_seed
def test_relu_with_a_second_argument(parts, seed):
    model, loader, history, more = run(parts, seed, Overwrites, epochs=1)
    assert (
        diagnose(model, loader, history, **more).faults
        == ["in place"]
        == diagnose(Overwrites(), loader).faults
    )


@by_seed
def test_test_data_with_training_transforms(parts, seed):
    model, loader, history, more = run(parts, seed, transform=wobble)
    assert diagnose(model, loader, history, **more).faults == ["random test data"]


@by_seed
def test_a_list_appended_to_itself(parts, seed):
    model, loader, history, more = run(parts, seed, epochs=2)
    history.test_acc = []
    for _ in range(3):
        history.test_acc.append(history.test_acc)
    found = diagnose(model, loader, history, **more)
    assert found.faults == ["odd history"] and "test_acc holds itself in epoch 1" in repr(found)
    assert diagnose(model, loader, vars(history)).faults == ["odd history"]


@by_seed
def test_a_mean_of_batch_means(parts, seed):
    model, loader, history, more = run(parts, seed, look=mean_of_means_test)
    assert set(diagnose(model, loader, history, **more, test=mean_of_means_test).faults) == {
        "mean of batch means"
    }
    assert set(diagnose(model, loader, history, **more).faults) == {
        "mean of batch means"
    }  # by its digits alone
    assert diagnose(Pocket(), loader, test=mean_of_means_test).faults == ["mean of batch means"]


@by_seed
def test_the_summary_of_an_untrained_model(parts, seed):
    _, loader, history, more = run(parts, seed)
    del more["optimizer"]
    assert (
        diagnose(Pocket(), loader, history, **more).faults
        == ["another model"]
        == diagnose(Pocket(), loader, history).faults
    )


@by_seed
def test_missing_zero_grad(parts, seed):
    model, loader, history, more = run(parts, seed, step=forgetful_train)
    assert (
        diagnose(model, loader, history, **more).faults[0] == "missing zero_grad"
    )  # by what it left behind
    assert diagnose(model, loader, history, train=forgetful_train).faults[0] == "missing zero_grad"
    assert diagnose(Pocket(), loader, train=forgetful_train).faults == ["missing zero_grad"]


@by_seed
def test_softmax_before_cross_entropy(parts, seed):
    loops = {
        "step": probability_loop(F.cross_entropy, True),
        "look": probability_loop(F.cross_entropy, False),
    }
    model, loader, history, more = run(parts, seed, Shares, **loops)
    assert diagnose(model, loader, history, **more, loss_fn=F.cross_entropy).faults == [
        "softmax before the loss"
    ]
    assert diagnose(Shares(), loader, loss_fn=nn.CrossEntropyLoss()).faults == [
        "softmax before the loss"
    ]


@by_seed
def test_missing_eval(parts, seed):
    model, loader, history, more = run(parts, seed, Dropping, look=no_eval_test)
    assert set(diagnose(model, loader, history, **more, test=no_eval_test).faults) == {
        "missing eval"
    }
    assert diagnose(model, loader, history, **more).faults == [
        "missing eval"
    ]  # by the gap between history and model
    assert diagnose(Dropping(), loader, test=no_eval_test).faults == ["missing eval"]


@by_seed
def test_a_learning_rate_ten_times_too_high(parts, seed):
    model, loader, history, more = run(parts, seed, lr=0.3)
    assert diagnose(model, loader, history, **more).faults[0] == "learning rate too high"
    fresh = Pocket()
    wild = torch.optim.SGD(fresh.parameters(), lr=0.3, momentum=0.9)
    assert diagnose(fresh, loader, optimizer=wild).faults == ["learning rate too high"]


@by_seed
def test_shuffled_labels(parts, seed):
    torch.manual_seed(seed)
    shuffled = DigitDataset(parts[0].images, parts[0].labels[torch.randperm(len(parts[0]))])
    model, loader, history, more = run((shuffled, parts[1]), seed)
    assert (
        diagnose(model, loader, history, **more).faults
        == ["shuffled labels"]
        == diagnose(Pocket(), loader).faults
    )


@by_seed
def test_a_view_that_swallows_a_wrong_shape(parts, seed):
    seed_everything(seed)
    found = diagnose(Swallows(), BatchLoader(parts[0], 64, shuffle=True))
    assert found.faults == ["swallowed shape"] and "(256, 10) for 64 digits" in repr(found)


def test_verbose_is_the_one_that_leaves_no_trace():
    "The twelfth: it stops the script before there is a run."
    optimizer = torch.optim.SGD(Pocket().parameters(), lr=0.01)
    with pytest.raises((TypeError, UserWarning)):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            torch.optim.lr_scheduler.StepLR(optimizer, 15, verbose=True)


# ---- the healthy


@by_seed
@pytest.mark.drawn(2)
@pytest.mark.parametrize("make", [Pocket, Dropping, norm_net, linear_net])
def test_a_healthy_run_raises_no_alarm(parts, seed, make):
    model, loader, history, more = run(parts, seed, make, lr=0.01 if make is linear_net else 0.03)
    found = diagnose(model, loader, history, **more, train=train, test=test)
    assert found.ok and found.faults == [], found
    assert (
        diagnose(model, loader, history).ok
        and diagnose(model, loader).ok
        and diagnose(make(), loader).ok
    )


@by_seed
def test_a_fresh_network_of_the_course_raises_no_alarm(parts, seed):
    seed_everything(seed)
    model = Net()
    loader = BatchLoader(parts[0], 64, shuffle=True)
    assert diagnose(
        model, loader, test_loader=BatchLoader(parts[1], 1000), train=train, test=test
    ).ok


def test_the_network_that_ships_raises_no_alarm(sample):
    from mnist_course.base import asset

    history = History.load(asset("weights", "net.json"))
    loaders = make_loaders(*sample)
    found = diagnose(load_pretrained(), loaders[0], history, test_loader=loaders[1])
    assert found.ok, found


def test_a_run_that_is_long_over_raises_no_alarm(small):
    "After many epochs the loss is nearly 0, and one hard batch may have a gradient far longer than the others."
    model, loader, history, more = run(small, 0, epochs=25)
    found = diagnose(model, loader, history, **more, train=train, test=test)
    assert found.ok and history.train_loss[-1] < 0.05, found


def test_other_loaders_and_other_losses(parts):
    x, y = normalize(parts[0].images), parts[0].labels
    loader = DataLoader(TensorDataset(x, y), 50, shuffle=True)
    test_loader = DataLoader(TensorDataset(normalize(parts[1].images), parts[1].labels), 100)
    assert diagnose(Pocket(), loader, test_loader=test_loader).ok
    assert diagnose(Pocket(), [(x[:200], y[:200])]).ok
    assert diagnose(Logits(), loader, loss_fn=F.cross_entropy).ok
    assert diagnose(Logits(), loader).faults == ["logits in nll_loss"]


def test_a_rate_that_falls_by_schedule_is_judged_by_its_beginning(parts):
    model = Pocket()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    loaders = make_loaders(*parts)
    history = fit(model, *loaders, optimizer, scheduler, epochs=3, progress=False)
    assert diagnose(model, loaders[0], history, test_loader=loaders[1], optimizer=optimizer).ok


# ---- more than twelve


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        ("odd pixels", lambda x, y: (x * 78 + 33, y)),
        ("odd labels", lambda x, y: (x, y + 1)),
        ("odd labels", lambda x, y: (x, torch.where(y < 7, 0, y))),
    ],
    ids=["raw", "labels from 1", "one label everywhere"],
)
def test_odd_data(parts, fault, made):
    batches = [made(*batch) for batch in BatchLoader(parts[0], 64)]
    assert diagnose(Pocket(), batches).faults[0] == fault


OTHER_KINDS = {
    "narrower": (lambda x: x[..., :27], "float32 (1, 28, 27)"),
    "doubles": (lambda x: x.double(), "float64 (1, 28, 28)"),
    "no channel": (lambda x: x[:, 0], "float32 (28, 28)"),
    "colors": (lambda x: x.repeat(1, 3, 1, 1), "float32 (3, 28, 28)"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
@pytest.mark.parametrize("told", [False, True], ids=["no history", "history"])
def test_test_digits_of_another_kind_are_found_and_never_raise(parts, name, told):
    change, seen = OTHER_KINDS[name]
    loader = BatchLoader(parts[0], 64)
    others = [(change(x), y) for x, y in BatchLoader(parts[1], 100)]
    history = {"train_acc": [0.5, 0.9], "test_acc": [0.5, 0.9]} if told else None
    found = diagnose(Pocket(), loader, history, test_loader=others)
    assert found.faults[0] == "two worlds" and f"test digits torch.{seen}" in repr(found)


def test_a_class_that_only_the_test_digits_have(parts):
    x, y = normalize(parts[0].images[:600]), parts[0].labels[:600]
    known = y != 4
    found = diagnose(Pocket(), [(x[known], y[known])], test_loader=list(BatchLoader(parts[1], 100)))
    assert found.faults == ["other classes"]
    assert "test digits of class 4, and no training digit of it" in repr(found)


def test_what_cannot_be_looked_at_is_no_fault(parts):
    few = [(normalize(parts[0].images[:60]), parts[0].labels[:60])]
    shuffled = BatchLoader(parts[1], 100, shuffle=True)
    found = diagnose(Pocket(), few, test_loader=shuffled, optimizer=object())
    assert found.ok
    for words in ("60 are too few to judge", "test loader shuffles", "it has no param_groups"):
        assert words in repr(found)


def test_a_test_loader_without_digits_is_refused(parts):
    with pytest.raises(ValueError, match="test_loader gave no batch"):
        diagnose(Pocket(), BatchLoader(parts[0], 64), test_loader=[])


def test_alarms_are_colored_and_told_for_each_run():
    figure = show_fingerprints(
        {"is it flat?": lambda v: v < 0.1, "is it huge?": lambda v: v > 9},
        {"healthy": [0.5, 1.0], "dead": [0.0, 1.0], "wild": [0.0004, 1234.0]},
    )
    assert figure.description == (
        "2 questions put to each run. Alarms: healthy: none; dead: is it flat?; "
        "wild: is it flat?, is it huge?."
    )
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == [
        "0.50",
        "1.00",
        "0",
        "1.00",
        "4e-04",
        "1234.00",
    ]
    alarms = [tuple(area.get_facecolor()[0]) for area in ax.collections]
    assert len({alarms[i] for i in (2, 4, 5)}) == len({alarms[i] for i in (0, 1, 3)}) == 1
    assert alarms[0] != alarms[2]


def test_pixels_from_0_to_1_are_a_hint(parts):
    batches = [(0.3081 * x + 0.1307, y) for x, y in BatchLoader(parts[0], 64)]
    found = diagnose(Pocket(), batches)
    assert found.ok and "hint pictures" in repr(found) and "-> odd pixels" in repr(found)


def test_raw_pixels_are_named_though_the_network_refuses_them(parts):
    found = diagnose(Net(), [(parts[0].images[:200, None].float(), parts[0].labels[:200])])
    assert found.faults == ["odd pixels", "model raises"]


def test_leak_mixing_detach_and_an_optimizer_of_another_model(parts):
    loader = BatchLoader(parts[0], 64, shuffle=True)
    leaked = DigitDataset(
        torch.cat([parts[1].images, parts[0].images[:50]]),
        torch.cat([parts[1].labels, parts[0].labels[:50]]),
    )
    assert diagnose(Pocket(), loader, test_loader=BatchLoader(leaked, 100)).faults == ["leak"]
    assert diagnose(Mixes(), loader).faults[0] == "digits mix"
    assert "dead layer" in diagnose(Detached(), loader).faults
    other = torch.optim.SGD(Pocket().parameters(), lr=0.03, momentum=0.9)
    assert diagnose(Pocket(), loader, optimizer=other).faults == ["other parameters"]


def test_a_first_loss_that_is_too_high_and_a_network_full_of_nan(parts):
    loader, large, broken = BatchLoader(parts[0], 64), Pocket(), Pocket()
    with torch.no_grad():
        large.fc2.weight.mul_(300)
        broken.conv1.weight.fill_(math.nan)
    assert diagnose(large, loader).faults == ["first loss"]
    found = diagnose(broken, loader)
    assert found.faults == ["stuck weights"] and "not a number in conv1.weight" in repr(found)


@pytest.mark.parametrize(
    "loop",
    [
        lambda m, b, o: [F.nll_loss(m(x), y) for x, y in b],
        lambda m, b, o: [(F.nll_loss(m(x), y).backward(), o.zero_grad(), o.step()) for x, y in b],
    ],
    ids=["no step", "emptied too soon"],
)
def test_loops_that_do_not_train(parts, loop):
    assert diagnose(Pocket(), BatchLoader(parts[0], 64), train=loop).faults == ["no step"]


def test_a_loop_that_breaks_is_no_fault_of_the_run(parts):
    found = diagnose(Pocket(), BatchLoader(parts[0], 64), train=lambda: None, test=lambda: None)
    assert (
        found.ok
        and "train raised TypeError" in repr(found)
        and "test raised TypeError" in repr(found)
    )


def test_a_tester_that_looks_at_another_model(parts):
    other = Pocket()
    assert diagnose(
        Pocket(), BatchLoader(parts[0], 64), test=lambda m, b: test(other, b)
    ).faults == ["another model"]


@pytest.mark.parametrize("history", [{"test_acc": [97.0]}, {"test_loss": [math.nan]}, {"test_acc": [torch.tensor(0.9)]}, {"test_acc": ["0.9"]},
                                     {"test_acc": [0.9], "test_loss": [0.3, 0.2]}], ids=str)  # fmt: skip
def test_odd_histories(parts, history):
    assert diagnose(Pocket(), BatchLoader(parts[0], 64), history).faults[0] == "odd history"


def test_accuracies_of_numpy_are_numbers(parts):
    history = {"test_acc": [np.float32(0.11), np.float64(0.12)], "train_acc": [0.1, 0.1]}
    found = diagnose(Pocket(), BatchLoader(parts[0], 64), history)
    assert "odd history" not in found.faults and "test_acc 0.12" in repr(found)


# ---- without a trace


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed(parts, training):
    generator = torch.Generator().manual_seed(3)
    model, _, history, more = run(parts, 0, norm_net, epochs=1)
    loader = BatchLoader(parts[0], 64, shuffle=True, generator=generator)
    model.train(training)
    model[9].eval()
    before = copy.deepcopy([model.state_dict(), more["optimizer"].state_dict(), vars(history)])
    gradients = [p.grad.clone() for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    states = [
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].copy(),
        generator.get_state(),
    ]
    found = diagnose(model, loader, history, **more, train=train, test=test)
    assert len(found) > 15
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all() and torch.equal(
        generator.get_state(), states[3]
    )
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    now = [model.state_dict(), more["optimizer"].state_dict(), vars(history)]
    assert (
        all(torch.equal(a, b) for a, b in zip(before[0].values(), now[0].values(), strict=True))
        and before[2] == now[2]
    )
    for key, state in before[1]["state"].items():
        assert torch.equal(state["momentum_buffer"], now[1]["state"][key]["momentum_buffer"])
    assert before[1]["param_groups"] == now[1]["param_groups"]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_same_again(parts):
    loader = BatchLoader(parts[0], 64)
    model = Pocket()
    assert repr(diagnose(model, loader, train=train)) == repr(diagnose(model, loader, train=train))


def test_a_train_that_prints_is_kept_quiet(parts, capsys):
    def loud(model, loader, optimizer):
        print("hello")
        return train(model, loader, optimizer, progress=False)

    assert diagnose(Pocket(), BatchLoader(parts[0], 64), train=loud).ok
    assert capsys.readouterr().out == ""


# ---- what cannot be examined


X, Y = torch.zeros(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ([], "gave no batch"),
        (
            BatchLoader(
                DigitDataset(
                    torch.zeros(0, 28, 28, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64)
                )
            ),
            "gave no batch",
        ),
        (((X, Y) for _ in range(3)), "only once"),
        (3, "must give batches"),
        (None, "must give batches"),
        ("digits", "must give batches"),
        (X, "must give batches"),
        ([X], "batches (x, y)"),
        ([(X, Y, Y)], "batches (x, y)"),
        ([(X, [0, 1, 2, 3])], "batches (x, y)"),
        ([(X, Y[:3])], "(4, 1, 28, 28)"),
        ([(X, Y.float())], "float32"),
        ([(X, Y[:, None])], "(4, 1)"),
        ([(X[:0], Y[:0])], "(0, 1, 28, 28)"),
        ([(Y, Y)], "(4,)"),
    ],
    ids=[
        "empty",
        "empty dataset",
        "generator",
        "number",
        "nothing",
        "text",
        "tensor",
        "no labels",
        "three",
        "list",
        "too few",
        "floats",
        "2d",
        "no digits",
        "flat",
    ],
)
def test_bad_loaders_are_refused_in_words(loader, words):
    with pytest.raises(ValueError) as error:
        diagnose(Pocket(), loader)
    assert words in str(error.value) and "loader" in str(error.value)
    if loader is not None:
        with pytest.raises(ValueError, match="test_loader"):
            diagnose(Pocket(), [(X, Y)], test_loader=loader if loader != [] else [])


@pytest.mark.parametrize(
    "model", [None, 3, "net", lambda x: x, nn.ReLU()], ids=lambda one: type(one).__name__
)
def test_what_is_no_network_is_refused(model):
    with pytest.raises(ValueError, match="model must be"):
        diagnose(model, [(X, Y)])


@pytest.mark.parametrize("history", [3, "history", [0.9], 0.9], ids=str)
def test_what_is_no_history_is_refused(history):
    with pytest.raises(ValueError, match="history must be"):
        diagnose(Pocket(), [(X, Y)], history)


def test_a_batch_that_the_model_cannot_take_is_a_clue(parts):
    found = diagnose(Pocket(), [(torch.randn(100, 3, 28, 28), torch.arange(100) % 10)])
    assert "model raises" in found.faults and "RuntimeError" in repr(found)


# ---- the report


def test_the_report_reads_well_as_text_and_as_markdown():
    found = Diagnosis([Clue("pictures", "ok", "a | b"), Clue("answers", "FIX", "(256, 10) for 64 digits", "swallowed shape"),
                       Clue("leak", "-", "give test_loader="), Clue("test data", "-", "give test_loader=")])  # fmt: skip
    assert not found.ok and found.faults == ["swallowed shape"]
    lines = repr(found).splitlines()
    assert (
        lines[0].startswith("ok   pictures")
        and lines[1].startswith("FIX  answers")
        and lines[2].startswith("     -> swallowed shape: x.flatten(1)")
    )
    assert lines[3] == "not looked at: leak, test data (give test_loader=)"
    table = found._repr_markdown_()
    assert (
        "| FIX | answers | (256, 10) for 64 digits | **swallowed shape**: x.flatten(1)" in table
        and "a \\| b" in table
    )
    assert Diagnosis().ok and repr(Diagnosis()) == ""


def test_every_fault_has_advice():
    assert all(len(words) > 15 for words in REMEDIES.values())
    with pytest.raises(KeyError):
        _ = Clue("x", "FIX", "y", "no such fault").advice


# ---- what the reader builds


def test_a_healthy_network_learns_by_heart_and_one_without_steps_stays(parts):
    x, y = next(iter(BatchLoader(parts[0], 64)))
    for lr, learned in ((0.03, True), (0.0, False)):
        seed_everything(1)
        model = Pocket()
        sgd = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
        losses = by_heart(model, sgd, x[:12], y[:12], steps=60)
        assert len(losses) == 60 and abs(losses[0] - math.log(10)) < 0.2
        assert {type(loss) for loss in losses} == {float}  # no graph hangs on them
        assert (losses[-1] < 0.5) == learned


def test_eighty_steps_are_taken_where_nobody_says_how_many():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    sgd = torch.optim.SGD(model.parameters(), 0.01)
    assert len(by_heart(model, sgd, torch.rand(2, 1, 28, 28), torch.tensor([3, 7]))) == 80


def test_gradients_are_measured_afresh_and_show_where_slopes_end(parts):
    x, y = next(iter(BatchLoader(parts[0], 64)))
    model = Detached()
    model.fc2.bias.requires_grad_(False)
    F.nll_loss(model(x), y).backward()
    found = gradient_lengths(model, x[:8], y[:8])
    alive = {name for name, length in found.items() if length > 0}
    assert alive == {"fc1.weight", "fc1.bias", "fc2.weight"} and len(found) == 8
    assert found == pytest.approx(gradient_lengths(model, x[:8], y[:8]))
    assert found["fc1.bias"] == pytest.approx(model.fc1.bias.grad.pow(2).sum().sqrt().item())


def test_who_depends_on_the_neighbors(parts):
    x, _ = next(iter(BatchLoader(parts[0], 64)))
    assert mixing(Pocket(), x[:9]) < 1e-5 < 1e-3 < mixing(Mixes(), x[:9])
    batch_norm = norm_net()
    assert mixing(batch_norm.eval(), x[:9]) < 1e-5
    assert mixing(Mixes(), x[:1]) < 1e-5


@pytest.mark.parametrize("sign", [1, -1])
def test_mixing_counts_whether_company_makes_an_answer_larger_or_smaller(sign):
    class Crowd(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 10), float(sign * len(x)))

    found = mixing(Crowd(), torch.zeros(9, 1, 28, 28))
    assert found == 8 and type(found) is float
