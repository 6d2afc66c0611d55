"Eval mode and back, for everybody who only looks."

import pytest
import torch
from torch import nn

from mnist_course.arithmetic import ledger, record_calls
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


class Averaged(nn.Module):
    "A convolution whose maps are multiplied by something and averaged."

    def __init__(self, change):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.scale = nn.Parameter(torch.ones(1))
        self.weights = nn.Parameter(torch.ones(4, 26, 26))
        self.change = change

    def forward(self, x):
        return self.change(self, self.conv(x)).mean((2, 3))


@pytest.mark.parametrize(
    "change",
    [lambda model, maps: maps * model.scale, lambda model, maps: maps * maps],
    ids=["by one number", "by itself"],
)
def test_a_scaled_or_squared_map_has_a_mean_that_costs_nothing(change):
    table = ledger(Averaged(change), (1, 28, 28))
    assert [(row.name, row.macs) for row in table] == [("conv", 24_336), ("conv.mean", 0)]


def test_a_weighted_mean_is_refused_and_its_place_named():
    with pytest.raises(NotImplementedError, match=r"no rule for mean \(after conv\)$"):
        ledger(Averaged(lambda model, maps: maps * model.weights), (1, 28, 28))


@pytest.mark.parametrize(
    ("size", "places", "sees", "jump"), [(13, 4, 4, 3), (12, 2, 6, 6), (5, 1, 5, 5), (3, 3, 1, 1)]
)
def test_windows_of_adaptive_pooling_are_as_far_apart_as_they_must_be(size, places, sees, jump):
    (row,) = ledger(nn.Sequential(nn.AdaptiveMaxPool2d(places)), (1, size, size))
    assert (row.output_shape, row.receptive_field, row.jump) == ((1, places, places), sees, jump)


def test_of_what_was_no_image_nothing_is_seen_also_where_it_becomes_one():
    model = nn.Sequential(nn.Linear(12, 48), nn.Unflatten(1, (3, 4, 4)), nn.Conv2d(3, 1, 3))
    assert [(row.receptive_field, row.jump) for row in ledger(model, (12,))] == [(None, None)] * 3
