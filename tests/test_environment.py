"Lesson 00: what the module imports, seeds, and the choice of a device."

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import machine

from mnist_course.environment import default_device, seed_everything


def test_the_import_does_not_start_torch():
    code = "import sys, mnist_course.environment; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- seeds


def draw():
    return random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), 2**32 - 1])
def test_same_seed_same_numbers(seed):
    seed_everything(seed)
    first = draw()
    assert draw() != first
    seed_everything(seed)
    assert draw() == first


def test_other_seed_other_numbers():
    drawn = []
    for seed in (0, 1):
        seed_everything(seed)
        drawn.append(draw())
    assert all(a != b for a, b in zip(*drawn, strict=True))


def test_seed_reaches_cuda_and_mps(monkeypatch):
    seen = {}
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: seen.update(cuda=seed))
    monkeypatch.setattr("torch.mps.manual_seed", lambda seed: seen.update(mps=seed))
    seed_everything(11)
    assert seen == {"cuda": 11, "mps": 11}
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, 0.5, "0", None, np.float32(1)])
def test_bad_seeds_are_refused_before_anything_is_seeded(seed):
    state = torch.get_rng_state(), random.getstate()
    error = ValueError if isinstance(seed, int) else TypeError
    with pytest.raises(error, match="seed must"):
        seed_everything(seed)
    assert torch.equal(torch.get_rng_state(), state[0]) and random.getstate() == state[1]


# --- devices


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda"), (1, True, "cuda")],
)
def test_the_best_device(monkeypatch, cuda, mps, best):
    machine(monkeypatch, cuda, mps)
    assert default_device() == torch.device(best)


@pytest.mark.parametrize(
    "name", ["cpu", torch.device("cpu"), "cuda", "cuda:1", torch.device("cuda:0")]
)
def test_a_device_that_is_here(monkeypatch, name):
    machine(monkeypatch, cuda=2)
    assert default_device(name) == torch.device(name)


@pytest.mark.parametrize(
    "name", ["mps", "cuda:2", "abacus", "", "cuda:x", "CUDA", "meta", torch.device("cuda:5")]
)
def test_a_device_that_is_not_here(monkeypatch, name):
    machine(monkeypatch, cuda=2)
    with pytest.raises(ValueError, match="not available here; choose from: cuda, cpu"):
        default_device(name)


@pytest.mark.parametrize("name", [1.5, ["cpu"]])
def test_what_names_no_device(name):
    with pytest.raises(TypeError, match='name must be a device, such as "cuda:1", got'):
        default_device(name)
