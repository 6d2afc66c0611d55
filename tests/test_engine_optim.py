"Random numbers of every kind come back as they were."

import random

import numpy as np
import pytest
import torch

from mnist_course.data import BatchLoader
from mnist_course.engine.optim import keep_random, random_states, set_random_states


def draw(loader) -> list[float]:
    "One number of each kind."
    own = loader.generator
    return [
        random.random(),
        np.random.rand(),
        torch.rand(1).item(),
        torch.rand(1, generator=own).item(),
    ]


@pytest.fixture
def loader(small):
    return BatchLoader(small[1], 64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("fails", [False, True])
def test_random_numbers_are_kept(loader, fails):
    before = random_states(loader)
    try:
        with keep_random(loader):
            inside = draw(loader)
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert draw(loader) == inside != draw(loader)
    set_random_states(before, loader)
    assert draw(loader) == inside


def test_states_survive_a_file(loader, tmp_path):
    torch.save(random_states(loader), tmp_path / "states.pt")
    first = draw(loader)
    set_random_states(torch.load(tmp_path / "states.pt", weights_only=True), loader)
    assert draw(loader) == first
    set_random_states(random_states(), loader)  # of a run without a loader: its own stays
    assert draw(loader)[3] != first[3]
