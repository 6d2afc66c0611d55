"""The original script's network with the fast recipe of lesson 14. It's quick because it looks at
about half of the digits, once, small at first, and takes larger steps with Muon.
"""

from torch import nn

from mnist_course.data import BatchLoader, DigitDataset
from mnist_course.environment import default_device
from mnist_course.fast import ahead
from mnist_course.model import Net
from mnist_course.training import initial_weights, make_recipe
from mnist_course.training import train as train_epoch


def network() -> nn.Module:
    return Net()


def train(network: nn.Module, digits: DigitDataset, seed: int) -> None:
    device = default_device()
    network.to(device)
    initial_weights("fast", network)
    loader = BatchLoader(digits, 128, shuffle=True)
    recipe = make_recipe("fast", network, len(loader), 1)
    some = zip(range(recipe.steps(len(loader))), ahead(loader, device), strict=False)
    train_epoch(network, (batch for _, batch in some), recipe=recipe, progress=False)
