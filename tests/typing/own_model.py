"""A model of one's own, which gives logits, trained and tested with the course's loop."""

from typing import assert_type

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mnist_course.plotting import plot_history
from mnist_course.training import History, fit, test, train


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


torch.manual_seed(0)
x = torch.randn(600, 20)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
loader = DataLoader(TensorDataset(x, y), 32, shuffle=True)
model = Small()
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)

history = fit(
    model, loader, loader, optimizer, scheduler, epochs=3, loss_fn=F.cross_entropy, progress=False
)
assert_type(history, History)
assert_type(history.train_loss, list[float])
assert history.train_loss[0] > history.train_loss[-1] > 0

loss, accuracy = test(model, loader, loss_fn=F.cross_entropy)
assert_type(accuracy, float)
assert loss < history.train_loss[0] and accuracy > 0.5

batches = [(x[i : i + 50], y[i : i + 50]) for i in range(0, 600, 50)]  # a list is a loader, too
assert_type(train(model, batches, optimizer, loss_fn=F.cross_entropy), tuple[float, float])
plot_history(history).savefig("curves.png")
