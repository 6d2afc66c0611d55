"Small runs for the tests of training: a network that learns in no time, the arguments of `fit`, and Ctrl-C at a certain batch."

from itertools import islice

import torch
from torch import nn

from mnist_course.data import DigitDataset, make_loaders
from mnist_course.engine.training import COLUMNS
from mnist_course.environment import seed_everything
from mnist_course.training import initial_weights, make_recipe


def small_net(hidden: int = 16) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, hidden),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(hidden, 10),
        nn.LogSoftmax(dim=1),
    )


def few(sample) -> tuple[DigitDataset, DigitDataset]:
    "300 training and 150 test digits."
    return tuple(
        DigitDataset(d.images[:n], d.labels[:n], d.source)
        for d, n in zip(sample, (300, 150), strict=True)
    )


def run(digits, seed=0, recipe="one-cycle", epochs=3, net=small_net, generator=None, batch_size=64):
    "The arguments of fit, for a fresh run."
    seed_everything(seed)
    loaders = make_loaders(*digits, batch_size=batch_size, generator=generator)
    model = net()
    initial_weights(recipe, model)
    r = make_recipe(recipe, model, len(loaders[0]), epochs)
    return model, *loaders, r.optimizer, r.scheduler, epochs, r.step_every


def values(model, *stateful):
    "Everything that could change, as one comparable text."
    return repr([s.state_dict() for s in (model, *stateful) if s is not None]) + repr(
        torch.get_rng_state().sum()
    )


def curves(history):
    return {name: getattr(history, name) for name in COLUMNS if name != "seconds"}


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
