"""The original script: its network of 593,200 parameters, and twenty epochs of SGD with StepLR.
It's neither quick nor small. It's what all the others are compared with.
"""

from torch import nn

from mnist_course.data import BatchLoader, DigitDataset
from mnist_course.environment import default_device
from mnist_course.model import Net
from mnist_course.training import seed_recipe
from mnist_course.training import train as train_epoch

EPOCHS = 20


def network() -> nn.Module:
    return Net()


def train(network: nn.Module, digits: DigitDataset, seed: int) -> None:
    network.to(default_device())
    recipe = seed_recipe(network)
    loader = BatchLoader(digits, 64, shuffle=True)
    for _ in range(EPOCHS):
        train_epoch(network, loader, recipe=recipe, progress=False)
        recipe.tick("epoch")
