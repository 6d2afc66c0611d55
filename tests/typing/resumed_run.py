"""A run that is interrupted, resumed with its checkpoint, and read again."""

from pathlib import Path
from typing import assert_type

import torch

from mnist_course.data import DigitDataset, load_mnist, make_loaders
from mnist_course.model import Net
from mnist_course.training import History, fit, load_checkpoint

train, test = load_mnist(source="sample")
assert_type(train, DigitDataset)
small = DigitDataset(train.images[:128], train.labels[:128])
path = Path("run.pt")


def run(epochs: int, resume: bool) -> History:
    torch.manual_seed(1)
    loaders = make_loaders(small, small)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return fit(
        model, *loaders, optimizer, epochs=epochs, checkpoint=path, resume=resume, progress=False
    )


assert len(run(1, resume=False).test_acc) == 1
history = run(2, resume=True)
assert len(history.test_acc) == len(history.seconds) == 2
model = Net()
assert_type(load_checkpoint(path, model), History)
history.save("history.json")
assert History.load("history.json").train_loss == history.train_loss
