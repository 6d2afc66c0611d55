"Training, histories and checkpoints: what they promise, and what they say when they are given something else."

import contextlib
import errno
import io
import json
import math
import os
import pickle
import random
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import mnist_course.training as training
from mnist_course.base import write_atomically, write_json
from mnist_course.data import BatchLoader, DigitDataset, load_mnist, make_loaders
from mnist_course.environment import seed_everything
from mnist_course.model import Net
from mnist_course.training import (
    COLUMNS,
    RECIPES,
    Average,
    DivergedError,
    History,
    fit,
    load_checkpoint,
    load_weights,
    one_cycle_recipe,
    read_checkpoint,
    save_checkpoint,
    save_weights,
    seed_recipe,
    train,
    versions,
)
from mnist_course.training import (
    test as evaluate,
)


def small_net(hidden: int = 16) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, hidden),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(hidden, 10),
        nn.LogSoftmax(dim=1),
    )


@pytest.fixture(scope="module")
def sample():
    return load_mnist(source="sample")


@pytest.fixture(scope="module")
def digits(sample):
    return tuple(
        DigitDataset(d.images[:n], d.labels[:n]) for d, n in zip(sample, (300, 150), strict=True)
    )


def run(digits, seed=0, recipe="one-cycle", epochs=3, net=small_net, generator=None, batch_size=64):
    "The arguments of fit, for a fresh run."
    seed_everything(seed)
    loaders = make_loaders(*digits, batch_size=batch_size, generator=generator)
    model = net()
    r = RECIPES[recipe](model, len(loaders[0]), epochs)
    return model, *loaders, r.optimizer, r.scheduler, epochs, r.step_every


def values(model, *stateful):
    "Everything that could change, as one comparable text."
    return repr([s.state_dict() for s in (model, *stateful) if s is not None]) + repr(
        torch.get_rng_state().sum()
    )


def curves(history):
    return {name: getattr(history, name) for name in COLUMNS if name != "seconds"}


# one epoch


def test_net_learns_in_two_epochs(sample):
    some = [
        DigitDataset(d.images[:n], d.labels[:n]) for d, n in zip(sample, (2000, 500), strict=True)
    ]
    history = fit(*run(some, epochs=2, net=Net, batch_size=32), progress=False)
    assert history.test_acc[-1] > 0.85  # 0.93 with each of two seeds


def test_means_are_per_sample(digits):
    model = small_net()
    whole = evaluate(model, BatchLoader(digits[0], 300))
    for size in (1, 7, 64, 299):
        assert evaluate(model, BatchLoader(digits[0], size)) == pytest.approx(whole, rel=1e-5)


def test_train_is_per_sample_and_measured_before_each_step(digits):
    model = small_net().eval()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    model[3].p = 0.0
    assert train(model, BatchLoader(digits[0], 64), frozen) == pytest.approx(
        evaluate(model, BatchLoader(digits[0], 300)), rel=1e-5
    )


def test_train_takes_the_steps_of_the_five_lines(digits):
    model, twin = small_net(), small_net()
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
    assert evaluate(model, loader) == evaluate(model, loader)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match="no batch"):
        evaluate(model, [])
    assert [m.training for m in model.modules()] == modes
    assert evaluate(model.requires_grad_(False), loader)[0] > 0


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
        (torch.tensor([1, 10]), "between 0 and 9, got 1 to 10; do they start at 1"),
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
        evaluate(model, batch)


def test_other_whole_number_labels_will_do():
    x, model = torch.zeros(2, 1, 28, 28), small_net()
    assert evaluate(model, [(x, torch.tensor([1, 2], dtype=torch.uint8))]) == evaluate(
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
    with pytest.raises(ValueError, match="no batch"):
        Average().result()


def test_unknown_precision(digits):
    model, loader, _, optimizer, *_ = run(digits)
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16"):
        train(model, loader, optimizer, precision="float8")


def test_bfloat16_learns_and_leaves_float32_weights(digits):
    history = fit(*(args := run(digits)), precision="bfloat16", progress=False)
    assert (
        history.train_loss[-1] < history.train_loss[0] and args[0][1].weight.dtype == torch.float32
    )
    assert history.settings["precision"] == "bfloat16"


def test_no_bar_where_nobody_looks(digits, capsys, monkeypatch):
    model, loader, _, optimizer, *_ = run(digits)
    train(model, loader, optimizer)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(training, "watched", lambda: True)
    train(model, loader, optimizer)
    out, err = capsys.readouterr()
    assert "train" in out and out.endswith("\r") and not out.split("\r")[-2].strip() and not err


# histories


def test_history_round_trip_with_nan(tmp_path):
    history = History(
        [0.5, math.nan],
        [0.1, 0.2],
        [math.inf, 1.0],
        [0.1, 0.2],
        [0.01, 0.01],
        [1.0, 2.0],
        {"seed": 3},
    )
    history.save(tmp_path / "a" / "h.json")
    text = (tmp_path / "a" / "h.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = History.load(tmp_path / "a" / "h.json")
    assert (
        again.train_loss[0] == 0.5
        and math.isnan(again.train_loss[1])
        and math.isnan(again.test_loss[0])
    )
    assert again.settings == {"seed": 3} and len(again) == 2


GOOD = asdict(History([1.0], [0.1], [1.0], [0.1], [0.01], [1.0]))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("not json", "Expecting value"),
        ("[1, 2]", "expected the names train_loss"),
        (json.dumps({"train_loss": []}), "expected the names"),
        (json.dumps(GOOD | {"more": 1}), "expected the names"),
        (json.dumps(GOOD | {"lr": [0.1, 0.1]}), "differ in length"),
        (json.dumps(GOOD | {"lr": 0.1}), "differ in length"),
        (json.dumps(GOOD | {"lr": ["0.1"]}), "must hold numbers"),
        (json.dumps(GOOD | {"settings": []}), "settings"),
    ],
)
def test_damaged_histories_are_refused(tmp_path, contents, message):
    path = tmp_path / "h.json"
    path.write_text(contents)
    with pytest.raises(ValueError, match=message) as caught:
        History.load(path)
    assert "h.json is not a saved History" in str(caught.value)


def test_shipped_history():
    from mnist_course.base import asset

    assert len(History.load(asset("weights", "net.json"))) == 10


# recipes


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
    stopped = fit(
        model, Interrupt(loader, 8), *rest, checkpoint=tmp_path / "c.pt", progress=False
    )  # 5 batches an epoch
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


class Interrupt:
    "The batches of a loader, and Ctrl-C instead of batch number `at`."

    def __init__(self, loader, at):
        self.loader, self.at, self.generator = loader, at, loader.generator

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        yield from islice(self.loader, min(self.at - 1, len(self)))
        self.at -= len(self)
        if self.at <= 0:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_history(digits, capsys):
    model, loader, *rest = run(digits)
    assert len(fit(model, Interrupt(loader, 12), *rest, progress=False)) == 2
    assert (
        "Stopped by you in epoch 3: the history holds the 2 finished before."
        in capsys.readouterr().out
    )


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
    with pytest.raises(TypeError, match="not JSON serializable"):
        fit(model, loader, tests, optimizer, progress=False, settings={"folder": tmp_path})


# checkpoints that do not fit


@pytest.fixture
def written(digits, tmp_path):
    "A checkpoint after the first of three epochs of the one-cycle recipe, and its path."
    model, loader, tests, optimizer, scheduler, epochs, every = run(digits)
    model_args = (model, Interrupt(loader, 6), tests, optimizer, scheduler, epochs, every)
    with contextlib.redirect_stdout(io.StringIO()):
        fit(
            *model_args,
            checkpoint=tmp_path / "c.pt",
            progress=False,
            settings={"recipe": "one-cycle", "seed": 0},
        )
    return tmp_path / "c.pt"


def refuses(path, message, model, optimizer=None, scheduler=None, loader=()):
    "load_checkpoint says so, and leaves everything as it was."
    before = values(model, optimizer, scheduler)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(path, model, optimizer, scheduler, loader)
    assert values(model, optimizer, scheduler) == before


def test_other_networks_and_recipes_are_refused(digits, written):
    model, loader, _, optimizer, scheduler, *_ = run(digits, 7)
    refuses(
        written,
        r"another network: 1.weight is \(8, 784\) in this model and \(16, 784\)",
        small_net(8),
    )
    refuses(written, "another network: conv1.weight", Net())
    refuses(
        written,
        "optimizer: SGD, and now it is Adam",
        model,
        torch.optim.Adam(model.parameters()),
        scheduler,
    )
    refuses(written, "scheduler: OneCycleLR, and now it is none", model, optimizer)
    steps = torch.optim.lr_scheduler.StepLR(optimizer, 15)
    refuses(written, "scheduler: OneCycleLR, and now it is StepLR", model, optimizer, steps)
    groups = torch.optim.SGD([{"params": [p]} for p in model.parameters()], lr=0.05, momentum=0.9)
    refuses(
        written,
        "number of parameter groups: 1, and now it is 4",
        model,
        groups,
        torch.optim.lr_scheduler.OneCycleLR(groups, 0.05, 15),
    )
    longer = one_cycle_recipe(small_net(), 5, 9)
    refuses(
        written,
        r"total_steps \(scheduler\): 15, and now it is 45",
        model,
        longer.optimizer,
        longer.scheduler,
    )
    flat = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5, nesterov=True)
    refuses(
        written, r"momentum \(group 0\): 0.9, and now it is 0.5", model, flat, cycle_scheduler(flat)
    )
    refuses(
        written,
        "batches an epoch: 5, and now it is 10",
        model,
        *fresh(model),
        BatchLoader(digits[0], 32),
    )
    refuses(
        written,
        "own generator: no, and now it is yes",
        model,
        *fresh(model),
        BatchLoader(digits[0], 64, generator=torch.Generator()),
    )
    load_checkpoint(written, model, *fresh(model), loader)  # and the right one is accepted


def cycle_scheduler(optimizer):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, 15, cycle_momentum=False)


def fresh(model):
    recipe = one_cycle_recipe(model, 5, 3)
    return recipe.optimizer, recipe.scheduler


def test_a_scheduler_where_there_was_none(digits, tmp_path):
    model, loader, *_ = run(digits)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    save_checkpoint(tmp_path / "c.pt", model, optimizer, None, History(), loader)
    refuses(
        tmp_path / "c.pt",
        "scheduler: none, and now it is StepLR",
        model,
        optimizer,
        torch.optim.lr_scheduler.StepLR(optimizer, 5),
    )
    slower = torch.optim.SGD(model.parameters(), lr=0.01)
    refuses(tmp_path / "c.pt", r"lr \(group 0\): 0.1, and now it is 0.01", model, slower)


@pytest.mark.parametrize("cycle_momentum", [False, True])
def test_resuming_with_the_objects_of_the_same_process(digits, tmp_path, cycle_momentum):
    model, loader, tests, optimizer, *_ = run(digits)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.05, 15, cycle_momentum=cycle_momentum
    )
    args = (tests, optimizer, scheduler, 3, "batch")
    fit(model, Interrupt(loader, 8), *args, checkpoint=tmp_path / "c.pt", progress=False)
    assert (
        len(fit(model, loader, *args, checkpoint=tmp_path / "c.pt", resume=True, progress=False))
        == 3
    )


def test_other_settings_are_told(digits, written):
    with pytest.raises(ValueError, match="seed: 0, and now it is 1"):
        fit(*run(digits, 1), checkpoint=written, resume=True, settings={"seed": 1})
    with pytest.raises(ValueError, match="precision: float32, and now it is bfloat16"):
        fit(*run(digits, 1), checkpoint=written, resume=True, precision="bfloat16")
    history = fit(
        *run(digits),
        checkpoint=written,
        resume=True,
        settings={"seed": 0, "name": "x"},
        progress=False,
    )
    assert history.settings == {
        "recipe": "one-cycle",
        "seed": 0,
        "name": "x",
        "precision": "float32",
    }


def test_fewer_epochs_than_are_finished(digits, tmp_path):
    fit(*run(digits, recipe="seed", epochs=2), checkpoint=tmp_path / "c.pt", progress=False)
    args = run(digits, recipe="seed", epochs=1)
    before = values(args[0], args[3], args[4])
    with pytest.raises(ValueError, match="holds 2 finished epochs, more than epochs=1"):
        fit(*args, checkpoint=tmp_path / "c.pt", resume=True)
    assert values(args[0], args[3], args[4]) == before


def test_only_the_model(written):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    model = small_net()
    state = torch.get_rng_state()
    assert len(load_checkpoint(written, model)) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model[1].weight, read_checkpoint(written)["model"]["1.weight"])


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_executed(tmp_path):
    path, crater = tmp_path / "c.pt", tmp_path / "crater"
    torch.save({"format": training.FORMAT, "model": Bomb(crater)}, path)
    refuses(path, "nothing of it was executed", small_net())
    path.write_bytes(pickle.dumps(Bomb(crater)))
    refuses(path, "not a checkpoint", small_net())
    assert not crater.exists()
    pickle.loads(path.read_bytes())  # and the bomb is a real one
    assert crater.exists()


def test_files_that_are_no_checkpoint(written, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "nothing.pt", small_net())
    other = tmp_path / "other.pt"
    other.write_text("Dear Net")
    refuses(other, "not a checkpoint, or was cut off", small_net())
    whole = written.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        other.write_bytes(whole[:length])
        refuses(other, "not a checkpoint|damaged", small_net())
    torch.save(small_net().state_dict(), other)
    refuses(other, "not a checkpoint that save_checkpoint wrote", small_net())
    contents = read_checkpoint(written)
    for name in ("model", "random", "scheduler", "made_with"):
        torch.save({k: v for k, v in contents.items() if k != name}, other)
        refuses(other, "parts missing", small_net())


@pytest.mark.parametrize("part", ["optimizer", "random", "history"])
def test_a_damaged_part_changes_nothing(digits, written, part):
    contents = read_checkpoint(written)
    key = {"optimizer": "state", "random": "torch", "history": "lr"}[part]
    torch.save(contents | {part: {k: v for k, v in contents[part].items() if k != key}}, written)
    model, loader, _, optimizer, scheduler, *_ = run(digits, 7)
    refuses(written, "damaged", model, optimizer, scheduler, loader)


# files


def test_a_full_disk_leaves_the_old_file(digits, written, monkeypatch):
    before = written.read_bytes()
    model, loader, _, optimizer, scheduler, *_ = run(digits)
    write = Path.write_bytes

    def disk_fills_up(path, content):
        write(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_fills_up)
    for save in (
        lambda: save_checkpoint(written, model, optimizer, scheduler, History(), loader),
        lambda: save_weights(written, model),
        lambda: History().save(written),
    ):
        with pytest.raises(OSError, match=r"c.pt was not written \(No space left") as caught:
            save()
        assert caught.value.errno == errno.ENOSPC
        assert written.read_bytes() == before and [p.name for p in written.parent.iterdir()] == [
            "c.pt"
        ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_no_trace(tmp_path, monkeypatch, error):
    def interrupted(source, target):
        assert source.read_bytes() == b"whole"
        raise error

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(error):
        write_atomically(tmp_path / "new" / "file", b"whole")
    assert not list((tmp_path / "new").iterdir())


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OSError, match="was not written"):
        write_atomically(tmp_path / "run" / "file", b"x")
    assert (tmp_path / "run").read_text() == "mine"


def test_write_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": math.nan})
    assert not list(tmp_path.iterdir())


def test_weights_round_trip(tmp_path):
    model = small_net()
    save_weights(tmp_path / "w.safetensors", model)
    again = load_weights(tmp_path / "w.safetensors", small_net())
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
    other = small_net(8)
    before = values(other)
    with pytest.raises(ValueError, match="another network"):
        load_weights(tmp_path / "w.safetensors", other)
    (tmp_path / "w.safetensors").write_text("Dear Net")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_weights(tmp_path / "w.safetensors", other)
    assert values(other) == before


def test_versions_are_plain():
    assert json.loads(json.dumps(versions(small_net())))["device"] == "cpu"
