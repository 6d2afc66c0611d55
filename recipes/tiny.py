"""The smallest network of lesson 13, with 682 parameters. It's small because its convolutions look
at one channel at a time, and it ends with an average over the image.
"""

from torch import nn

from mnist_course.data import DigitDataset
from mnist_course.zoo import NETWORKS, Plan, train_plan

EPOCHS = 15


def network() -> nn.Module:
    return NETWORKS["tiny"].network()


def train(network: nn.Module, digits: DigitDataset, seed: int) -> None:
    light = NETWORKS["tiny"].transform
    plan = Plan(lambda: network, light, ema_decay=0.999, epochs=EPOCHS, lr=0.3)
    averaged = train_plan(plan, digits, seed)
    network.load_state_dict(averaged.state_dict())
