"""No hidden layer: each pixel votes for each digit, 7,850 parameters in all. It's quick because
there's so little to compute, and lesson 13 shows where it stops.
"""

from torch import nn

from mnist_course.data import DigitDataset
from mnist_course.zoo import NETWORKS, Plan, train_plan

EPOCHS = 5


def network() -> nn.Module:
    return NETWORKS["linear"].network()


def train(network: nn.Module, digits: DigitDataset, seed: int) -> None:
    plan = Plan(lambda: network, epochs=EPOCHS, batch_size=128, lr=0.02)
    train_plan(plan, digits, seed)
