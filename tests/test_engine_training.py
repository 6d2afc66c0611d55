"Histories, checkpoints and weights: whole or not at all, and read without running what is in them."

import errno
import json
import math
import os
import pickle
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn
from torch.utils.data import TensorDataset
from training_runs import Interrupt, few, run, small_net, values

from mnist_course.base import write_atomically, write_json
from mnist_course.data import BatchLoader
from mnist_course.engine.training import (
    CHECKPOINT_FORMAT,
    COLUMNS,
    Average,
    History,
    Recipe,
    history_columns,
    kept_for_backward,
    load_checkpoint,
    load_weights,
    make_recipe,
    matching_state,
    plot_losses,
    power_cut,
    read_checkpoint,
    read_weights,
    save_checkpoint,
    save_weights,
    show_strip,
    versions,
)
from mnist_course.figure import GREEN
from mnist_course.model import Net
from mnist_course.training import fit, one_cycle_recipe, seed_recipe, train
from mnist_course.training import test as evaluate


@pytest.fixture(scope="module")
def digits(sample):
    return few(sample)


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
        (json.dumps(GOOD | {"lr": 0.1}), "lr must be a list with one entry an epoch"),
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


# checkpoints that do not fit


@pytest.fixture
def written(digits, tmp_path):
    "A checkpoint after the first of three epochs of the one-cycle recipe, and its path."
    model, loader, tests, optimizer, scheduler, epochs, every = run(digits)
    model_args = (model, Interrupt(loader, 6), tests, optimizer, scheduler, epochs, every)
    with pytest.warns(UserWarning, match="Stopped by you in epoch 2"):
        fit(
            *model_args,
            checkpoint=tmp_path / "c.pt",
            progress=False,
            settings={"recipe": "one-cycle", "seed": 0},
        )
    return tmp_path / "c.pt"


def refuses(path, message, model, optimizer=None, scheduler=None, loader=None):
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
    refuses(written, "another network: the file lacks conv1.weight, .* 9 more; the model", Net())
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
    with pytest.warns(UserWarning, match="Stopped by you in epoch 2"):
        fit(model, Interrupt(loader, 8), *args, checkpoint=tmp_path / "c.pt", progress=False)
    assert (
        len(fit(model, loader, *args, checkpoint=tmp_path / "c.pt", resume=True, progress=False))
        == 3
    )


def test_other_settings_are_told(digits, written):
    with pytest.raises(ValueError, match="seed: 0, and now it is 1"):
        fit(*run(digits, 1), checkpoint=written, resume=True, settings={"seed": 1})
    with pytest.raises(ValueError, match="precision: float32, and now it is bfloat16"):
        model, loader, tests, *parts = run(digits, 1)
        recipe = Recipe(*parts[:2], "batch", precision="bfloat16")
        fit(model, loader, tests, epochs=3, recipe=recipe, checkpoint=written, resume=True)
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
        "dataset": "MNIST",
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
    torch.save({"format": CHECKPOINT_FORMAT, "model": Bomb(crater)}, path)
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


@pytest.mark.parametrize("lr", [None, "0.1"])
def test_a_checkpoint_without_a_learning_rate_changes_nothing(digits, written, lr):
    contents = read_checkpoint(written)
    group = contents["optimizer"]["param_groups"][0]
    group |= {"lr": lr}
    torch.save(contents, written)
    model, loader, _, optimizer, scheduler, *_ = run(digits, 7)
    refuses(written, "its optimizer has no lr, which must", model, optimizer, scheduler, loader)


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


# --- batches and answers, each looked at


def tiny(*end: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 4), *(end or (nn.LogSoftmax(1),)))


X, Y = torch.rand(6, 1, 3, 3), torch.arange(6) % 4


def one_step(batches, model=None, loss_fn=nn.functional.nll_loss):
    model = model or tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return train(model, batches, optimizer, loss_fn=loss_fn, progress=False)


class Answering(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.net = tiny()
        self.answer = answer

    def forward(self, x):
        return self.answer(self.net(x))


@pytest.mark.parametrize(
    "batch",
    [
        (X.numpy(), Y.numpy()),
        [X, Y.tolist()],
        (X, Y.to(torch.uint8)),
        (X, Y.int()),
        (X, tuple(Y.tolist())),
    ],
)
def test_batches_of_every_usual_kind_are_taken(batch):
    loss, accuracy = one_step([batch])
    assert loss > 0 and 0 <= accuracy <= 1


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        (TensorDataset(X, Y), "a single image with its label: is this a data set"),
        ([{"pixels": X, "target": Y}], "got a dict with 'pixels', 'target'"),
        ([(X, Y, Y)], "got 3 parts"),
        ([(X,)], "got 1 part$"),
        ([X], "got one tensor"),
        ([(X, Y[:5])], r"has 6 images \(6, 1, 3, 3\) and 5 labels"),
        ([(X, torch.eye(4)[Y])], r"one-hot rows or scores, \.argmax\(1\)"),
        ([(X, Y.float())], r"\.long\(\)"),
        ([(X, Y[:, None])], r"\.flatten\(\)"),
        ([(X, Y > 1)], "torch.bool"),
        ([(X, Y - 1)], "from 0 to 3, got -1 to 2"),
        ([(X, ["a"] * 6)], "a list of other things"),
        ([(list(X), Y)], "torch.stack"),
        ([(X[:0], Y[:0])], "is empty: leave it out"),
        ([(X.double(), Y)], r"takes float32 images, got torch.float64: x.to\(torch.float32\)"),
        ([((255 * X).byte(), Y)], "takes float32 images, got torch.uint8: normalize"),
        ("digits", "got str"),
        (None, "got NoneType"),
        (
            torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1),
            "are loader and optimizer swapped",
        ),
        ([], "gave no batch"),
        (iter([]), "gave no batch"),
    ],
)
def test_the_first_wrong_batch_is_named(batches, words):
    for call in (lambda: one_step(batches), lambda: evaluate(tiny(), batches)):
        with pytest.raises((TypeError, ValueError), match=words):
            call()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda out: (out, out), "got tuple of 2: return the scores alone"),
        (lambda out: {"logits": out}, "got dict with 'logits'"),
        (lambda out: None, "got NoneType"),
        (lambda out: out.argmax(1), "leave argmax out"),
        (lambda out: out[:, :1], "one number for each image can't name a class"),
        (lambda out: out[:, 0], "one number for each image"),
        (lambda out: out.repeat(2, 1), "for 6 images: does a reshape put images into one another"),
        (lambda out: out[:, :, None, None], r"\.flatten\(1\)"),
        (lambda out: out.exp(), "the loss is negative, since the model gives probabilities"),
        (lambda out: out + 3, "the loss is negative, or will be"),
        (lambda out: out - 3, "doesn't give log-probabilities"),
    ],
)
def test_the_first_wrong_answer_is_named(answer, words):
    for call in (lambda m: one_step([(X, Y)], m), lambda m: evaluate(m, [(X, Y)])):
        with pytest.raises((TypeError, ValueError), match=words):
            call(Answering(answer))


@pytest.mark.parametrize(
    ("loss_fn", "words"),
    [
        (
            nn.CrossEntropyLoss,
            r"got the class CrossEntropyLoss itself: CrossEntropyLoss\(\) makes one",
        ),
        ("nll", "got str"),
        (lambda s, y: nn.functional.nll_loss(s, y).item(), r"leave \.item\(\) out"),
        (nn.CrossEntropyLoss(reduction="none"), r"one number, got \(6,\)"),
        (lambda s, y: nn.functional.nll_loss(s.detach(), y), "cut off from the weights"),
    ],
)
def test_a_loss_that_can_teach_nothing(loss_fn, words):
    with pytest.raises((TypeError, ValueError), match=words):
        one_step([(X, Y)], loss_fn=loss_fn)


# --- known before the first batch


def parts_of(model, **optimizer):
    return torch.optim.SGD(model.parameters(), **({"lr": 0.1} | optimizer))


def stale(model):
    optimizer = parts_of(model)
    model[1] = nn.Linear(9, 4)
    return optimizer


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda m: {"optimizer": torch.optim.LBFGS(m.parameters())}, "LBFGS.step needs a closure"),
        (
            lambda m: {
                "optimizer": (o := parts_of(m)),
                "scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau(o),
            },
            "ReduceLROnPlateau.step needs metrics",
        ),
        (lambda m: {"optimizer": torch.optim.SGD}, "got the class SGD itself"),
        (lambda m: {"optimizer": "adam"}, "got str"),
        (
            lambda m: {"optimizer": parts_of(m), "scheduler": torch.optim.lr_scheduler.StepLR},
            "the class StepLR",
        ),
        (lambda m: {"optimizer": parts_of(m.requires_grad_(False))}, "nothing here can learn"),
        (lambda m: {"optimizer": stale(m)}, "holds no parameter of this model"),
        (
            lambda m: {"recipe": "seed", "epochs": -2},
            "epochs must be a whole number of at least 0, got -2",
        ),
        (lambda m: {"recipe": "seed", "epochs": 2.0}, "epochs must be a whole number .* got 2.0"),
        (lambda m: {"recipe": seed_recipe}, r"seed_recipe\(model, \.\.\.\) makes one"),
        (
            lambda m: {"recipe": "seed", "settings": {"x": math.nan}},
            r"settings\['x'\] must be a finite",
        ),
        (
            lambda m: {"recipe": "seed", "settings": {"x": {1, 2}}},
            r"settings\['x'\] must be a number",
        ),
        (lambda m: {"recipe": "seed", "settings": ["x"]}, "settings must be a dict"),
        (
            lambda m: {"recipe": "seed", "checkpoint": Path(__file__) / "c.pt"},
            "is a file, and not a folder",
        ),
        (
            lambda m: {"recipe": "seed", "checkpoint": Path(__file__).parent},
            "is a folder: give the name",
        ),
    ],
)
def test_what_is_known_before_is_said_before(asked, words):
    model = tiny()
    read = []
    loader = [(X, Y)]
    hook = model.register_forward_hook(lambda *args: read.append(1))
    with pytest.raises((TypeError, ValueError, OSError), match=words):
        fit(model, loader, loader, **({"epochs": 2, "progress": False} | asked(model)))
    assert not read
    hook.remove()


def test_a_generator_is_read_once_only():
    model = tiny()
    batches = ((X, Y) for _ in range(3))
    with pytest.raises(
        ValueError, match="train_loader is a generator, which can be read only once"
    ):
        fit(model, batches, [(X, Y)], parts_of(model), epochs=2, progress=False)
    assert (
        len(fit(model, batches, [(X, Y)], parts_of(model), epochs=np.int64(1), progress=False)) == 1
    )


def test_a_model_without_parameters_is_tested_and_not_trained():
    still = nn.Sequential(nn.Flatten(), nn.LogSoftmax(1))
    assert evaluate(still, [(X, Y)])[0] > 0
    with pytest.raises(ValueError, match="has no parameters"):
        train(still, [(X, Y)], parts_of(tiny()), progress=False)
    with pytest.raises(TypeError, match=r"got the class Flatten itself: Flatten\(\) makes one"):
        train(nn.Flatten, [(X, Y)], parts_of(tiny()), progress=False)


# --- numbers of other kinds


def test_settings_and_histories_hold_numpy_and_torch(tmp_path):
    model = tiny()
    settings = {
        "seed": np.int64(3),
        "rate": np.float32(0.5),
        "t": torch.tensor(2),
        "on": np.bool_(True),
    }
    settings |= {
        "folder": tmp_path,
        "device": torch.device("cpu"),
        "list": np.arange(2),
        "in": {"x": (1,)},
    }
    done = fit(
        model, [(X, Y)], [(X, Y)], parts_of(model), epochs=1, settings=settings, progress=False
    )
    done.lr = np.array(done.lr)
    done.seconds = [torch.tensor(2.5)]
    done.save(tmp_path / "h.json")
    again = History.load(tmp_path / "h.json")
    assert (
        again.settings["seed"] == 3
        and again.settings["on"] is True
        and again.settings["list"] == [0, 1]
    )
    assert (
        again.settings["folder"] == str(tmp_path) and again.seconds == [2.5] and again.lr == [0.1]
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"test_acc": [97.5]},
            "test_acc must lie between 0 and 1, got 97.5: divide percent by 100",
        ),
        ({"train_acc": [-0.1]}, "between 0 and 1, got -0.1$"),
        ({"lr": [0.1, 0.1]}, "differ in length"),
        ({"lr": ["0.1"]}, "must hold numbers"),
        ({"lr": [10**400]}, "must hold numbers"),
        ({"lr": [True]}, "must hold numbers"),
        ({"lr": 0.1}, "lr must be a list"),
    ],
)
def test_what_cannot_be_read_again_is_not_written(tmp_path, changed, words):
    good = {name: [0.5] for name in COLUMNS}
    with pytest.raises(ValueError, match=words):
        History(**(good | changed)).save(tmp_path / "h.json")
    assert not (tmp_path / "h.json").exists()
    (tmp_path / "h.json").write_text(json.dumps(good | changed))
    with pytest.raises(ValueError, match=words.removesuffix("$")):
        History.load(tmp_path / "h.json")


def test_a_history_that_is_nested_too_deep(tmp_path):
    (tmp_path / "h.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not a saved History"):
        History.load(tmp_path / "h.json")


# --- weights from everywhere


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


WRAPS = {
    "parallel": nn.DataParallel,
    "compiled": lambda m: torch.compile(m, backend="eager"),
    "both": lambda m: torch.compile(nn.DataParallel(m), backend="eager"),
    "the other way": lambda m: nn.DataParallel(torch.compile(m, backend="eager")),
    "averaged": torch.optim.swa_utils.AveragedModel,
}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("name", WRAPS)
def test_a_wrapper_makes_no_difference(tmp_path, name):
    net = tiny()
    save_weights(tmp_path / "w.safetensors", WRAPS[name](net))
    assert same(load_weights(tmp_path / "w.safetensors", tiny()), net)
    torch.save(WRAPS[name](net).state_dict(), tmp_path / "w.pt")  # as somebody else does
    if name != "averaged":
        assert same(load_weights(tmp_path / "w.pt", tiny()), net)
        assert same(load_weights(tmp_path / "w.pt", WRAPS[name](tiny())), net)


def test_a_part_that_is_compiled(tmp_path):
    net = tiny()
    net[1] = torch.compile(net[1], backend="eager")
    save_weights(tmp_path / "w.safetensors", net)
    assert same(load_weights(tmp_path / "w.safetensors", tiny()), net)


def test_shared_weights_are_saved_and_loaded(tmp_path):
    tied, fresh = Tied(), Tied()
    save_weights(tmp_path / "w.safetensors", tied)
    load_weights(tmp_path / "w.safetensors", fresh)
    assert same(fresh, tied) and fresh.b.weight is fresh.a.weight
    once = {name: t for name, t in tied.state_dict().items() if name != "b.weight"}
    torch.save(once, tmp_path / "once.pt")  # as those do who keep each only once
    assert same(load_weights(tmp_path / "once.pt", Tied()), tied)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read(tmp_path, dtype):
    net = tiny()
    torch.save({"epoch": 3, "model_state_dict": net.to(dtype).state_dict()}, tmp_path / "w.tar")
    read = load_weights(tmp_path / "w.tar", tiny())
    assert read[1].weight.dtype == torch.float32 and torch.equal(
        read[1].weight.to(dtype), net[1].weight
    )


def test_the_folder_of_a_run_and_its_checkpoint(tmp_path):
    net = tiny()
    loader = [(X, Y)]
    fit(
        net,
        loader,
        loader,
        parts_of(net),
        epochs=1,
        checkpoint=tmp_path / "checkpoint.pt",
        progress=False,
    )
    for path in (tmp_path, tmp_path / "checkpoint.pt", str(tmp_path)):
        assert same(load_weights(path, tiny()), net)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: torch.save(tiny(), p), r"state_dict\(\), path\) writes the weights alone"),
        (lambda p: torch.save([1, 2], p), "holds list, and not the weights"),
        (lambda p: torch.jit.save(torch.jit.trace(tiny(), X), p), "TorchScript"),
        (lambda p: np.savez(p.open("wb"), a=np.zeros(2)), "holds NumPy arrays"),
        (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n"), "HDF5, as Keras writes it"),
        (lambda p: p.write_bytes(b"<html>404"), "is a web page"),
        (lambda p: p.write_bytes(b"version https://git-lfs"), "Git LFS"),
        (lambda p: p.mkdir(), "is a folder without model.safetensors"),
        (lambda p: None, "there is no file"),
    ],
)
def test_what_holds_no_weights_is_named(tmp_path, make, words):
    make(tmp_path / "weights")
    with pytest.raises((ValueError, OSError), match=words):
        load_weights(tmp_path / "weights", tiny())


def test_all_differences_are_listed(tmp_path):
    other = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.Linear(5, 4))
    save_weights(tmp_path / "w.safetensors", other)
    with pytest.raises(ValueError) as caught:
        load_weights(tmp_path / "w.safetensors", tiny(nn.BatchNorm1d(4)))
    said = str(caught.value)
    assert "1.weight is (4, 9) in this model and (5, 9) in the file" in said
    assert "the file lacks 2.running_mean" in said and "belongs to another network" in said
    whole = {name: t.long() for name, t in tiny().state_dict().items()}
    torch.save(whole, tmp_path / "int.pt")
    with pytest.raises(
        ValueError, match=r"1.weight is torch.int64, where the model has torch.float32"
    ):
        load_weights(tmp_path / "int.pt", tiny())


def test_home_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    net, loader = tiny(), [(X, Y)]
    done = fit(net, loader, loader, parts_of(net), epochs=1, checkpoint="~/r/c.pt", progress=False)
    save_weights("~/w.safetensors", net)
    done.save(Path("~") / "h.json")
    assert {path.name for path in tmp_path.rglob("*.*")} == {"c.pt", "w.safetensors", "h.json"}
    assert same(load_weights("~/w.safetensors", tiny()), net) and History.load("~/h.json") == done
    assert len(load_checkpoint("~/r/c.pt", tiny())) == 1


# what the lesson shows of a run


def test_what_is_kept_for_backward_is_what_the_layers_need():
    images = torch.zeros(20_000, 1, 10, 10)  # 8 MB
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 50, bias=False), nn.ReLU())
    assert kept_for_backward(model, images) == 12  # the images, and what ReLU gives
    assert kept_for_backward(model.eval(), images) == 12
    with torch.no_grad():
        assert kept_for_backward(model, images) == 0
    assert kept_for_backward(nn.Sequential(nn.ReLU(), nn.ReLU()), images) == 0  # no weights


def test_the_power_fails_after_the_step_that_was_named():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=0.25)
    power_cut(optimizer, after=3)
    weight.grad = torch.tensor([1.0])
    optimizer.step()
    optimizer.step()
    with pytest.raises(OSError, match="after 3 steps"):
        optimizer.step()
    assert weight.item() == 0.25  # the third was taken
    optimizer.step()  # the light is on again


def test_the_strip_counts_what_is_right():
    labels, answers = torch.tensor([1, 4, 7]), torch.tensor([[7, 7, 7], [1, 4, 7]])
    figure = show_strip(torch.zeros(3, 5, 5), labels, answers, [0, 40])
    assert "1 after step 0, 3 after step 40" in figure.description and len(figure.png()) > 1000
    for wrong in (labels[:2], labels[None]):
        with pytest.raises(ValueError, match="3 images need as many labels"):
            show_strip(torch.zeros(3, 5, 5), wrong, answers, [0, 40])


def test_each_answer_stands_in_its_square_below_its_digit():
    labels, answers = torch.tensor([1, 4, 7]), torch.tensor([[7, 7, 7], [1, 4, 7]])
    (ax,) = show_strip(torch.zeros(3, 5, 5), labels, answers, [0, 1000]).axes
    words = [text.get_text() for text in ax.texts]
    assert words == ["7", "7", "7", "0", "1", "1", "4", "7", "1,000", "3", "step", "right"]
    said = [text for text in ax.texts if text.get_ha() == "center"]
    for text, square in zip(said, ax.patches, strict=True):
        assert square.get_bbox().contains(*text.get_position())
    green = [to_hex(square.get_facecolor()) == GREEN.lower() for square in ax.patches]
    assert green == (answers == labels).flatten().tolist()
    for k, image in enumerate(ax.images):
        left, right, bottom, top = image.get_extent()
        assert k <= left < right <= k + 1 and ax.get_ylim()[1] <= top < bottom <= 0
    assert not ax.axison


def test_losses_of_short_runs_are_told():
    figure = plot_losses({"with": [2.3, 0.1], "without": [2.3, 7.5]}, "step")
    assert (
        "with: 2.30 to 0.10, at most 2.3; without: 2.30 to 7.50, at most 7.5" in figure.description
    )
    assert [line.get_label() for line in figure.axes[0].lines[:2]] == ["with", "without"]


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path):
    "Forty megabytes of nothing in forty kilobytes: torch.save packs nothing, so somebody else did."
    with zipfile.ZipFile(tmp_path / "run.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("run/data/0", bytes(40_000_000))
    for reader in (read_checkpoint, read_weights):
        with pytest.raises(ValueError, match="is packed"):
            reader(tmp_path / "run.pt")


def test_an_archive_on_several_disks_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "run.pt", "w") as archive:
        archive.writestr("run/data.pkl", b"")
    end = (tmp_path / "run.pt").read_bytes()[-22:]
    locator = b"PK\x06\x07" + (0).to_bytes(4, "little") + bytes(8) + (2).to_bytes(4, "little")
    (tmp_path / "run.pt").write_bytes(locator + end)
    for reader in (read_checkpoint, read_weights):
        with pytest.raises(ValueError, match=r"run\.pt"):
            reader(tmp_path / "run.pt")


def test_a_mean_begins_at_nothing():
    average = Average()
    average.add(2.0, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 1]))
    average.add(5.0, torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    assert average.result() == (3.0, 2 / 3)


@pytest.mark.parametrize("name", [[], None, 3, "Seed", "sead"])
def test_what_is_no_name_of_a_recipe_is_said_in_words(name):
    with pytest.raises(ValueError, match="recipe must be one of seed, one-cycle"):
        make_recipe(name, tiny(), 10, 1)


def test_what_has_no_name_makes_no_recipe_either():
    with pytest.raises(TypeError, match=r"got int$"):
        fit(tiny(), [(X, Y)], [(X, Y)], recipe=3)


def test_batches_to_test_on_are_looked_at_under_their_own_name():
    with pytest.raises((TypeError, ValueError), match="test_loader"):
        fit(tiny(), [(X, Y)], 5, recipe="seed", epochs=1, progress=False)


def test_one_cycle_knows_how_long_it_is():
    recipe = one_cycle_recipe(tiny(), 10, 3)
    rates = []
    for _ in range(30):
        rates.append(recipe.optimizer.param_groups[0]["lr"])
        recipe.optimizer.step()
        recipe.scheduler.step()
    assert recipe.epochs == 3 and max(rates) == pytest.approx(0.05) and rates[-1] < 1e-3


@pytest.mark.parametrize(("accuracy", "hint"), [(1.5, ": divide"), (150, "$"), (-0.1, "$")])
def test_accuracies_lie_between_0_and_1(accuracy, hint):
    with pytest.raises(
        ValueError, match=f"test_acc must lie between 0 and 1, got {accuracy}{hint}"
    ):
        history_columns({name: [0.5] for name in COLUMNS} | {"test_acc": [accuracy]})


def test_settings_keep_their_fractions(tmp_path):
    History(settings={"lr": 0.25, "of": [0.5, {"x": 1.5}]}).save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json").settings == {"lr": 0.25, "of": [0.5, {"x": 1.5}]}


def test_one_name_before_all_of_them_makes_no_difference():
    state = {f"model.{name}": value for name, value in tiny().state_dict().items()}
    assert matching_state(tiny(), state, "file").keys() == tiny().state_dict().keys()


def test_three_differences_are_told_and_the_others_counted():
    wide = nn.Sequential(*[nn.Linear(3, 2) for _ in range(2)])
    long = nn.Sequential(*[nn.Linear(3, 4) for _ in range(2)])
    with pytest.raises(ValueError) as caught:
        matching_state(wide, long.state_dict(), "file")
    parts = str(caught.value).partition("network: ")[2].split("; ")
    assert len(parts) == 4 and parts[-1] == "1 more have another shape"


def test_a_setting_that_holds_itself():
    model, endless = tiny(), []
    endless.append(endless)
    with pytest.raises(ValueError, match="is nested too deep: does it hold itself"):
        fit(
            model,
            [(X, Y)],
            [(X, Y)],
            parts_of(model),
            epochs=1,
            settings={"a": endless},
            progress=False,
        )


def test_a_model_without_numbers_is_neither_tested_nor_loaded(tmp_path):
    save_weights(tmp_path / "w.safetensors", tiny())
    nowhere = tiny().to("meta")
    with pytest.raises(ValueError, match="the model is on the device meta"):
        evaluate(nowhere, [(X, Y)])
    with pytest.raises(ValueError, match="the model is on the device meta"):
        load_weights(tmp_path / "w.safetensors", nowhere)


@pytest.mark.parametrize(
    ("make", "words"),
    [(torch.Tensor.to_sparse, "is sparse"), (lambda w: w.to("meta"), "is on the device meta")],
    ids=["sparse", "meta"],
)
def test_weights_without_plain_numbers_are_named(tmp_path, make, words):
    torch.save({name: make(w) for name, w in tiny().state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=f"{words}.*: save it as a plain tensor"):
        load_weights(tmp_path / "w.pt", tiny())
