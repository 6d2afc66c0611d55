"Histories, checkpoints and weights: whole or not at all, and read without running what is in them."

import errno
import json
import math
import os
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from training_runs import Interrupt, few, run, small_net, values

from mnist_course.base import write_atomically, write_json
from mnist_course.data import BatchLoader
from mnist_course.engine.training import (
    CHECKPOINT_FORMAT,
    History,
    Recipe,
    load_checkpoint,
    load_weights,
    read_checkpoint,
    save_checkpoint,
    save_weights,
    versions,
)
from mnist_course.model import Net
from mnist_course.training import fit, one_cycle_recipe


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
