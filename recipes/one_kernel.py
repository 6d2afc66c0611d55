"""One convolution of 27 channels, used five times: 7,408 parameters.

A layer that's used again costs no new parameters, only time. Its batch norms are its own each time,
so it can do something else at each depth. When it reads, the network looks at each image five times.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mnist_course.data import DigitDataset
from mnist_course.engine.fast import faster_precision
from mnist_course.engine.sprint import FiveLooks
from mnist_course.zoo import NETWORKS, Plan, train_plan

CHANNELS = 27
TIMES = 5
EPOCHS = 15


class Again(nn.Module):
    "A first layer with stride 2, and one convolution again and again."

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1, bias=False)  # (N, 27, 14, 14)
        self.again = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS) for _ in range(1 + TIMES))
        self.fc = nn.Linear(CHANNELS, 10)

    def forward(
        self, x: torch.Tensor
    ) -> torch.Tensor:  # (N, 1, 28, 28) -> log-probabilities (N, 10)
        x = F.relu(self.norms[0](self.first(x)))
        for n in range(1, 1 + TIMES):
            x = F.relu(self.norms[n](self.again(x)))
            if n == 2:
                x = F.max_pool2d(x, 2)  # (N, 27, 7, 7)
        return F.log_softmax(self.fc(x.mean((2, 3))), dim=1)


def network() -> nn.Module:
    return FiveLooks(Again())


def train(network: nn.Module, digits: DigitDataset, seed: int) -> None:
    light = NETWORKS["small"].transform  # turned, scaled and moved a little
    plan = Plan(lambda: network, light, ema_decay=0.999, epochs=EPOCHS, lr=0.1)
    averaged = train_plan(plan, digits, seed, faster_precision("cpu"))
    network.load_state_dict(averaged.state_dict())
