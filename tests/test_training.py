"Training: what an epoch, a recipe and a run promise, and what they say when they are given something else."

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training_runs import Interrupt, curves, few, run, small_net, values

import mnist_course.engine.training as engine
from mnist_course.base import CourseError
from mnist_course.data import BatchLoader, DigitDataset
from mnist_course.environment import seed_everything
from mnist_course.model import Net
from mnist_course.training import (
    DivergedError,
    History,
    Recipe,
    fit,
    initial_weights,
    make_recipe,
    one_cycle_recipe,
    register_recipe,
    seed_recipe,
    test,
    train,
)


@pytest.fixture(scope="module")
def digits(sample):
    return few(sample)


# one epoch


@pytest.mark.slow
def test_net_learns_in_two_epochs(sample):
    some = [
        DigitDataset(d.images[:n], d.labels[:n]) for d, n in zip(sample, (2000, 500), strict=True)
    ]
    history = fit(*run(some, epochs=2, net=Net, batch_size=32), progress=False)
    assert history.test_acc[-1] > 0.85  # 0.93 with each of two seeds


def test_means_are_per_sample(digits):
    model = small_net()
    whole = test(model, BatchLoader(digits[0], 300))
    for size in (1, 7, 64, 299):
        assert test(model, BatchLoader(digits[0], size)) == pytest.approx(whole, rel=1e-5)


def test_train_is_per_sample_and_measured_before_each_step(digits):
    model = small_net().eval()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    model[3].p = 0.0
    assert train(model, BatchLoader(digits[0], 64), frozen) == pytest.approx(
        test(model, BatchLoader(digits[0], 300)), rel=1e-5
    )


def test_train_takes_the_steps_of_the_five_lines(digits):
    model, twin = small_net().eval(), small_net()  # whoever has tested in between trains as well
    twin.load_state_dict(model.state_dict())
    loader = BatchLoader(digits[0], 64)
    seed_everything(3)
    train(model, loader, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    seed_everything(3)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    twin.train()
    for x, y in loader:
        loss = nn.functional.nll_loss(twin(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True)
    )


def test_loss_is_read_once_a_batch(digits, monkeypatch):
    reads = []
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: reads.append(1) or item(self))
    loader, model = BatchLoader(digits[0], 64), small_net()
    train(model, loader, torch.optim.SGD(model.parameters(), lr=0.01))
    assert len(reads) == len(loader)


def test_evaluation_restores_every_mode_keeps_no_gradient_and_repeats_itself(digits):
    model = small_net()
    model[1].eval()
    modes = [m.training for m in model.modules()]
    loader = BatchLoader(digits[1], 64)
    assert test(model, loader) == test(model, loader)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match="no batch"):
        test(model, [])
    assert [m.training for m in model.modules()] == modes
    assert test(model.requires_grad_(False), loader)[0] > 0


def test_torch_dataloader_gives_the_same_result(digits):
    ours, theirs = [small_net() for _ in range(2)]
    ours[3].p = theirs[3].p = (
        0.0  # DataLoader draws a random number of its own, so dropout would differ
    )
    theirs.load_state_dict(ours.state_dict())
    for model, loader in ((ours, BatchLoader(digits[0], 64)), (theirs, DataLoader(digits[0], 64))):
        seed_everything(0)
        model.result = train(model, loader, torch.optim.SGD(model.parameters(), lr=0.1))
    assert ours.result == pytest.approx(theirs.result, rel=1e-5)


class PlainSGD:
    "Not a torch optimizer: param_groups, step, zero_grad, state_dict and load_state_dict are all that it has."

    def __init__(self, parameters, lr):
        self.param_groups = [{"params": list(parameters), "lr": lr}]

    def zero_grad(self):
        for p in self.param_groups[0]["params"]:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            p -= self.param_groups[0]["lr"] * p.grad

    def state_dict(self):
        return {"lr": self.param_groups[0]["lr"]}

    def load_state_dict(self, state):
        self.param_groups[0]["lr"] = state["lr"]


def test_any_optimizer_with_the_right_methods(digits, tmp_path):
    def go(epochs, **kwargs):
        model, a, b, *_ = run(digits)
        return fit(
            model, a, b, PlainSGD(model.parameters(), 0.1), epochs=epochs, progress=False, **kwargs
        )

    whole = go(3)
    go(1, checkpoint=tmp_path / "a.pt")
    assert curves(go(3, checkpoint=tmp_path / "a.pt", resume=True)) == curves(whole)
    assert whole.train_loss[-1] < whole.train_loss[0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([1, 10]), "from 0 to 9, got 1 to 10; do they start at 1"),
        (torch.tensor([-1, 3]), "got -1 to 3"),
        (torch.tensor([0.0, 1.0]), "whole numbers"),
        (torch.eye(10)[:2].long(), r"got torch.int64 \(2, 10\)"),
    ],
)
def test_wrong_labels_are_named(labels, message):
    model = small_net()
    batch = [(torch.zeros(2, 1, 28, 28), labels)]
    with pytest.raises(ValueError, match=message):
        train(model, batch, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match=message):
        test(model, batch)


def test_other_whole_number_labels_will_do():
    x, model = torch.zeros(2, 1, 28, 28), small_net()
    assert test(model, [(x, torch.tensor([1, 2], dtype=torch.uint8))]) == test(
        model, [(x, torch.tensor([1, 2]))]
    )


def test_empty_loader_and_exhausted_generator(digits):
    model, _, tests, optimizer, *_ = run(digits)
    with pytest.raises(ValueError, match="no batch"):
        fit(
            model,
            DataLoader(TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0).long())),
            tests,
            optimizer,
            progress=False,
        )
    once = (batch for batch in BatchLoader(digits[0], 64))
    with pytest.raises(ValueError, match="read only once"):
        fit(model, once, tests, optimizer, epochs=2, progress=False)


def test_unknown_precision(digits):
    model, loader, _, optimizer, *_ = run(digits)
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16"):
        train(model, loader, recipe=Recipe(optimizer, precision="float8"))
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16"):
        test(model, loader, precision="float8")


def test_bfloat16_learns_and_leaves_float32_weights(digits):
    model, loader, tests, *parts = run(digits)
    recipe = Recipe(*parts[:2], "batch", precision="bfloat16")
    history = fit(model, loader, tests, epochs=3, recipe=recipe, progress=False)
    assert history.train_loss[-1] < history.train_loss[0] and model[1].weight.dtype == torch.float32
    assert history.settings["precision"] == "bfloat16"


def test_no_bar_where_nobody_looks(digits, capsys, monkeypatch):
    model, loader, _, optimizer, *_ = run(digits)
    train(model, loader, optimizer)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(engine, "_watched", lambda: True)
    train(model, loader, optimizer)
    out, err = capsys.readouterr()
    assert "train" in out and out.endswith("\r") and not out.split("\r")[-2].strip() and not err


# models that do not give log-probabilities


def blobs(n: int = 300) -> list[tuple[torch.Tensor, torch.Tensor]]:
    "Batches of points in four classes, by the signs of two numbers: not pictures, and soon learned."
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(0))
    y = 2 * (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    return list(zip(x.split(32), y.split(32), strict=True))


def net_with(*end: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4), *end)


@pytest.mark.parametrize("end", [(), (nn.Softmax(dim=1),)], ids=["logits", "probabilities"])
@pytest.mark.parametrize("loss_fn", [nn.functional.nll_loss, nn.NLLLoss()])
def test_a_negative_loss_is_refused_with_words(end, loss_fn):
    model, batches = net_with(*end), blobs()
    parts = model, batches, torch.optim.Adam(model.parameters(), 1e-2)
    with pytest.raises(
        ValueError, match=r"the loss is negative.* log_softmax\(dim=1\).* loss_fn=F.cross_entropy"
    ):
        fit(parts[0], batches, *parts[1:], loss_fn=loss_fn, epochs=3, progress=False)
    with pytest.raises(ValueError, match="the loss is negative"):
        train(*parts, loss_fn=loss_fn)
    with pytest.raises(ValueError, match="the loss is negative"):
        test(model, batches, loss_fn)


@pytest.mark.parametrize("loss_fn", [nn.functional.cross_entropy, nn.CrossEntropyLoss()])
def test_a_model_that_gives_logits_learns_with_a_loss_of_its_own(loss_fn):
    model, batches = net_with(), blobs()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    history = fit(model, batches, batches, optimizer, epochs=8, loss_fn=loss_fn, progress=False)
    assert history.test_acc[-1] > 0.9 and history.train_loss[-1] < 0.5 * history.train_loss[0]
    loss, accuracy = train(model, batches, optimizer, loss_fn=loss_fn)
    assert test(model, batches, loss_fn)[0] < loss and accuracy > 0.9


def test_a_loss_that_may_be_negative_is_let_through():
    model, batches = net_with(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    loss, _ = train(model, batches, optimizer, loss_fn=lambda scores, y: scores.mean() - 5)
    assert loss < -4


def test_rounding_below_zero_is_let_through():
    nearly = torch.log(torch.eye(4)[torch.tensor([0, 1])] + 1e-6)  # p + a little, as people write
    model = nn.Sequential(nn.Identity(), nn.ParameterList([torch.zeros(1)]))
    model.forward = lambda x: nearly
    assert test(model, [(torch.zeros(2, 1), torch.tensor([0, 1]))])[1] == 1


def test_pytest_does_not_take_test_for_a_test():
    assert test.__test__ is False  # and this file imports it under its own name


# recipes


@pytest.mark.parametrize("name", ["seed", "one-cycle"])
def test_a_recipe_leaves_the_weights_alone(name):
    model = small_net()
    before = values(model)
    make_recipe(name, model, 10, 2)
    assert values(model) == before
    initial_weights(name, model)
    assert (values(model) == before) == (name == "seed")


def test_training_goes_on_from_the_weights_that_are_there(digits):
    model, loader, tests, *rest = run(digits, epochs=3)
    trained = fit(model, loader, tests, *rest, progress=False).test_loss[-1]
    on = fit(model, loader, tests, recipe="one-cycle", progress=False)
    assert on.train_loss[0] < 1.2 * trained and on.settings["recipe"] == "one-cycle"


def test_a_recipe_can_be_registered_under_a_name(digits, monkeypatch):
    monkeypatch.setattr(engine, "RECIPES", dict(engine.RECIPES))

    @register_recipe("adam", epochs=2, initialize=lambda model: nn.init.zeros_(model[1].bias))
    def adam(model, steps, epochs):
        return Recipe(torch.optim.Adam(model.parameters(), lr=1e-3))

    model, loader, tests, *_ = run(digits)
    history = fit(model, loader, tests, recipe="adam", progress=False)
    assert len(history) == 2 and history.settings["recipe"] == "adam"
    initial_weights("adam", model)
    assert not model[1].bias.any()


def test_an_unknown_recipe_says_which_there_are_and_how_to_get_fast(digits, monkeypatch):
    monkeypatch.setattr(engine, "RECIPES", {"seed": engine.RECIPES["seed"]})
    model, loader, tests, *_ = run(digits, recipe="seed")
    for ask in (
        lambda: make_recipe("fast", model, 1, 1),
        lambda: fit(model, loader, tests, recipe="fast"),
    ):
        with pytest.raises(ValueError, match=r"one of seed, got 'fast'; import mnist_course\.fast"):
            ask()
    with pytest.raises(ValueError, match=r"one of seed, got 'slow'$"):
        initial_weights("slow", model)


def test_a_recipe_refuses_settings_that_make_no_sense():
    optimizer = torch.optim.SGD(small_net().parameters(), lr=0.1)
    for wrong, message in (
        ({"step_every": "day"}, 'step_every must be "epoch" or "batch", got \'day\''),
        ({"fraction": 0}, "fraction must be above 0 and at most 1, got 0"),
        ({"fraction": 1.5}, "got 1.5"),
        ({"precision": "half"}, "precision must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            Recipe(optimizer, **wrong)


def test_a_fraction_of_the_batches_and_a_forward_pass_of_its_own(digits):
    model, loader, tests, optimizer, *_ = run(digits)
    seen = []

    def forward(model, x, y, precision):
        seen.append(len(y))
        scores = model(x)
        return scores, y, nn.functional.nll_loss(scores, y) - 10  # its own business: no check

    recipe = Recipe(optimizer, forward=forward, fraction=0.4, epochs=1)
    history = fit(model, loader, tests, recipe=recipe, progress=False)
    assert seen == [64, 64] and len(history) == 1 and history.train_loss[0] < -5


# two clocks, two names


def test_a_scheduler_for_epochs_is_no_scheduler_for_batches(digits):
    model, loader, _, optimizer, *_ = run(digits)
    steps = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.1)
    with pytest.raises(TypeError, match="scheduler"):
        train(model, loader, optimizer, scheduler=steps)
    train(model, loader, optimizer, batch_scheduler=steps)  # five batches
    assert steps.last_epoch == 5 and optimizer.param_groups[0]["lr"] == pytest.approx(
        0.05 / 25 / 100
    )


def test_train_leaves_the_epochs_clock_to_fit(digits):
    model, loader, tests, *_ = run(digits)
    recipe = seed_recipe(model)
    train(model, loader, recipe=recipe)
    assert recipe.scheduler.last_epoch == 0
    fit(model, loader, tests, recipe=recipe, epochs=2, progress=False)
    assert recipe.scheduler.last_epoch == 2


def test_an_optimizer_or_a_recipe(digits):
    model, loader, tests, optimizer, *_ = run(digits)
    recipe = Recipe(optimizer)
    for wrong in ({}, {"optimizer": optimizer, "recipe": recipe}):
        with pytest.raises(ValueError, match="give an optimizer or a recipe"):
            train(model, loader, **wrong)
        with pytest.raises(ValueError, match="give an optimizer or a recipe"):
            fit(model, loader, tests, **wrong)


def test_seed_recipe():
    recipe = seed_recipe(small_net())
    group = recipe.optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (
        0.01,
        0.9,
        False,
        0,
    )
    assert (recipe.scheduler.step_size, recipe.scheduler.gamma, recipe.step_every) == (
        15,
        0.1,
        "epoch",
    )


def test_rates_of_a_run(digits):
    args = run(digits, recipe="seed", epochs=17)
    assert fit(*args, progress=False).lr == pytest.approx([0.01] * 15 + [0.001] * 2)
    cycle = fit(*run(digits, epochs=3), progress=False).lr
    assert cycle[0] == pytest.approx(0.05 / 25) and max(cycle) < 0.05


def test_one_cycle_peaks_and_ends_near_zero():
    recipe, seen = one_cycle_recipe(small_net(), 10, 3), []
    for _ in range(30):
        seen.append(recipe.optimizer.param_groups[0]["lr"])
        recipe.optimizer.step()
        recipe.scheduler.step()
    assert max(seen) == pytest.approx(0.05, rel=0.02) and seen[-1] < 1e-5


# runs


def test_a_run_is_not_written_over_another(digits, tmp_path):
    path = tmp_path / "run.pt"
    fit(*run(digits, epochs=2), checkpoint=path, progress=False)
    for content in (path.read_bytes(), b"my diary"):  # a run, or anything else
        path.write_bytes(content)
        args = run(digits, epochs=1)
        before = values(args[0])
        with pytest.raises(ValueError, match=r"resume=True, or give another file \(or delete"):
            fit(*args, checkpoint=path, progress=False)
        assert path.read_bytes() == content and values(args[0]) == before


def test_going_on_with_a_lower_learning_rate(digits, tmp_path):
    path = tmp_path / "run.pt"

    def parts(lr):
        model, loader, tests, *_ = run(digits, recipe="seed")
        return model, loader, tests, torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    first = fit(*parts(0.1), epochs=2, checkpoint=path, progress=False, settings={"note": "fast"})
    with pytest.raises(ValueError, match=r"lr \(group 0\): 0.1, .*resume=\"weights\""):
        fit(*parts(0.01), epochs=3, checkpoint=path, resume=True)
    slow = {"epochs": 3, "checkpoint": path, "progress": False, "settings": {"note": "slow"}}
    on = fit(*(args := parts(0.01)), resume="weights", **slow)
    assert on.lr == [0.1, 0.1, 0.01] and on.train_loss[:2] == first.train_loss
    assert on.train_loss[2] < first.train_loss[0] and on.settings["note"] == "slow"
    again = parts(0.01)  # and what was written is a run that goes on exactly
    fit(*again, resume=True, **(slow | {"epochs": 4}))
    fit(*args, epochs=4, resume=True, checkpoint=path, progress=False)
    assert torch.equal(args[0][1].weight, again[0][1].weight)


def test_going_on_with_another_optimizer_and_a_schedule_for_the_rest(digits, tmp_path):
    fit(*run(digits, epochs=2), checkpoint=tmp_path / "run.pt", progress=False)
    model, loader, tests, *_ = run(digits, seed=3, recipe="seed")
    told = {"checkpoint": tmp_path / "run.pt", "progress": False}
    with pytest.raises(ValueError, match="another network"):
        other = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
        fit(other, loader, tests, recipe="seed", epochs=3, resume="weights", **told)
    on = fit(model, loader, tests, recipe="one-cycle", epochs=3, resume="weights", **told)
    assert len(on) == 3 and on.lr[2] == pytest.approx(0.05 / 25)  # one cycle for the third epoch
    adam = torch.optim.Adam(model.parameters())
    assert len(fit(model, loader, tests, adam, epochs=4, resume="weights", **told)) == 4


def test_an_unknown_way_to_resume(digits, tmp_path):
    with pytest.raises(ValueError, match="resume must be False, True or \"weights\", got 'all'"):
        fit(*run(digits), checkpoint=tmp_path / "run.pt", resume="all")


def test_same_seed_same_numbers(digits):
    a, b, c = (fit(*run(digits, seed), progress=False) for seed in (0, 0, 1))
    assert curves(a) == curves(b) and curves(a) != curves(c)


def test_one_line_an_epoch_and_the_device(digits, capsys):
    fit(*run(digits, epochs=2))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "training on cpu in float32" and [line[:9] for line in lines[1:]] == [
        "epoch 1/2",
        "epoch 2/2",
    ]
    fit(*run(digits, epochs=1), progress=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("with_generator", [False, True])
@pytest.mark.parametrize("recipe", ["seed", "one-cycle"])
def test_resume_gives_the_very_same_numbers(digits, tmp_path, recipe, with_generator):
    def args(seed):
        return run(
            digits,
            seed,
            recipe,
            generator=torch.Generator().manual_seed(seed) if with_generator else None,
        )

    whole = fit(*(first := args(0)), progress=False)
    model, loader, *rest = args(0)
    with pytest.warns(UserWarning, match="Stopped by you in epoch 2"):  # 5 batches an epoch
        stopped = fit(
            model, Interrupt(loader, 8), *rest, checkpoint=tmp_path / "c.pt", progress=False
        )
    assert len(stopped) == 1 and curves(stopped) == {k: v[:1] for k, v in curves(whole).items()}
    resumed = fit(*(second := args(5)), checkpoint=tmp_path / "c.pt", resume=True, progress=False)
    assert curves(resumed) == curves(whole)
    assert all(
        torch.equal(a, b)
        for a, b in zip(first[0].parameters(), second[0].parameters(), strict=True)
    )


def test_resume_restores_python_and_numpy_too(digits, tmp_path):
    args = run(digits, epochs=1)
    fit(*args, checkpoint=tmp_path / "c.pt", progress=False)
    expected = random.random(), np.random.rand()
    seed_everything(9)
    fit(*run(digits, 4, epochs=1), checkpoint=tmp_path / "c.pt", resume=True, progress=False)
    assert (random.random(), np.random.rand()) == expected


STOPPED = "Stopped by you in epoch 3: the history holds the 2 finished before."


def test_ctrl_c_keeps_the_history_and_says_so_where_lines_are_wanted(digits, capsys):
    model, loader, *rest = run(digits)
    assert len(fit(model, Interrupt(loader, 12), *rest)) == 2
    assert STOPPED in capsys.readouterr().out


def test_without_lines_the_notice_of_ctrl_c_is_a_warning(digits, capsys):
    model, loader, *rest = run(digits)
    with pytest.warns(UserWarning, match=STOPPED) as warned:
        assert len(fit(model, Interrupt(loader, 12), *rest, progress=False)) == 2
    assert warned[0].filename == __file__  # it points at the caller
    assert capsys.readouterr() == ("", "")


def test_divergence_stops_with_advice_and_history(digits):
    model, loader, tests, *_ = run(digits, net=Net)
    with pytest.raises(
        DivergedError, match=r"learning rate 100\. Try a learning rate ten times smaller"
    ) as caught:
        fit(
            model,
            loader,
            tests,
            torch.optim.SGD(model.parameters(), lr=100, momentum=0.9),
            progress=False,
        )
    assert isinstance(caught.value.history, History) and len(caught.value.history) == 0
    assert isinstance(caught.value, CourseError) and isinstance(caught.value, RuntimeError)


def test_a_finished_run_gives_its_history_and_weights(digits, tmp_path, capsys):
    done = fit(*(first := run(digits)), checkpoint=tmp_path / "c.pt", progress=False)
    again = fit(*(second := run(digits, 3)), checkpoint=tmp_path / "c.pt", resume=True)
    assert again == done and torch.equal(first[0][1].weight, second[0][1].weight)
    assert capsys.readouterr().out.splitlines() == ["going on from c.pt, after epoch 3"]


def test_resume_without_a_file_begins(digits, tmp_path):
    assert (
        len(
            fit(*run(digits, epochs=1), checkpoint=tmp_path / "new.pt", resume=True, progress=False)
        )
        == 1
    )


def test_requests_that_make_no_sense(digits, tmp_path):
    model, loader, tests, optimizer, scheduler, *_ = run(digits)
    other = run(digits)

    def refused(message, *args, **kwargs):
        with pytest.raises(ValueError, match=message):
            fit(*args, progress=False, **kwargs)

    refused("step_every must be", model, loader, tests, optimizer, step_every="day")
    refused("needs a checkpoint", model, loader, tests, optimizer, resume=True)
    refused("holds no parameter of this model", model, loader, tests, other[3])
    refused("belongs to another optimizer", model, loader, tests, optimizer, other[4])
    refused(
        "4 epochs are 20 steps of the scheduler, which was made for 15",
        model,
        loader,
        tests,
        optimizer,
        scheduler,
        4,
        "batch",
    )
    with pytest.raises(
        TypeError, match=r"settings\['net'\] must be a number, a word, .* got Linear"
    ):
        fit(model, loader, tests, optimizer, progress=False, settings={"net": nn.Linear(1, 1)})


def test_train_takes_a_recipe_and_not_its_name(digits):
    model, loader, *_ = run(digits)
    with pytest.raises(TypeError, match="recipe must be a Recipe, got str"):
        train(model, loader, recipe="seed")


def test_a_class_is_no_model_to_be_tested(digits):
    with pytest.raises(TypeError, match="model must be a Module"):
        test(Net, BatchLoader(digits[1], 64))
