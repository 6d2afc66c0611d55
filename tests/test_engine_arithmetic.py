"Eval mode and back, for everybody who only looks."

import pytest
import torch
from torch import nn

from mnist_course.arithmetic import record_calls
from mnist_course.engine.arithmetic import Row, evaluating, make_rows


@pytest.mark.parametrize("fails", [False, True])
def test_every_layer_is_back_in_its_own_mode(fails):
    model = nn.Sequential(
        nn.BatchNorm1d(2).eval(), nn.Dropout(), nn.Sequential(nn.Dropout()).eval()
    )
    before = [module.training for module in model.modules()]
    try:
        with evaluating(model) as same:
            assert same is model and not any(module.training for module in model.modules())
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert [module.training for module in model.modules()] == before


def test_a_function_that_changes_nothing_gets_no_row():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            return torch.relu(self.conv(x) * 2)  # two functions that look at one number each

    x = torch.zeros(1, 1, 5, 5)
    calls = record_calls(Doubled(), x)
    assert [call.name for call in calls] == ["conv", "conv.mul", "conv.relu"]
    assert make_rows(calls, x.shape[1:]) == [Row("conv", "Conv2d", (2, 3, 3), 20, 162, 3, 1)]
