"What the version before wrote still loads, and its run goes on. (Its files are in tests/old.)"

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from training_runs import curves, few

from mnist_course.data import make_loaders
from mnist_course.engine.training import History, load_checkpoint, load_weights, make_recipe
from mnist_course.environment import seed_everything
from mnist_course.plotting import plot_history
from mnist_course.training import fit

OLD = Path(__file__).parent / "old"


def tiny() -> nn.Module:
    "The network of the old files."
    return nn.Sequential(
        nn.AvgPool2d(7), nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 10), nn.LogSoftmax(dim=1)
    )


def test_an_old_history():
    history = History.load(OLD / "history.json")
    assert len(history) == 3 and history.settings["recipe"] == "one-cycle"
    assert plot_history(history).axes[0].collections  # MNIST's band: no other data were there


def test_old_weights():
    model = load_weights(OLD / "weights.safetensors", tiny())
    other = tiny()
    assert len(load_checkpoint(OLD / "run.pt", other)) == 1
    assert (model[3].weight == other[3].weight).all()


def drops_as_it_did() -> bool:
    "True where dropout draws what it drew when the run was made: PyTorch 2.6 drew others."
    torch.manual_seed(7)
    drawn = nn.functional.dropout(torch.ones(12))
    return drawn.bool().tolist() == [bool(int(digit)) for digit in "110000100011"]


def test_an_old_run_goes_on_as_it_would_have(sample, tmp_path):
    near = 1e-4 if drops_as_it_did() else 0.02
    shutil.copy(OLD / "run.pt", tmp_path)
    seed_everything(7)
    loaders, model = make_loaders(*few(sample)), tiny()
    recipe = make_recipe("one-cycle", model, len(loaders[0]), 3)
    history = fit(
        model,
        *loaders,
        epochs=3,
        recipe=recipe,
        checkpoint=tmp_path / "run.pt",
        resume=True,
        settings={"recipe": "one-cycle", "seed": 0},
        progress=False,
    )
    whole = History.load(OLD / "history.json")
    for name, values in curves(whole).items():
        assert getattr(history, name) == pytest.approx(values, rel=near, abs=near)
    assert history.settings == whole.settings | {"dataset": "MNIST"}


@pytest.mark.parametrize(("lesson", "said"), [("03", "100% of them were right"), ("07", "0% of")])
def test_old_progress(monkeypatch, tmp_path, lesson, said):
    from mnist_course.progress import calibration

    shutil.copy(OLD / "progress.jsonl", tmp_path)
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", str(tmp_path / "progress.jsonl"))
    assert said in repr(calibration(lesson))
