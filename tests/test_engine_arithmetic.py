"Eval mode and back, for everybody who only looks."

import pytest
from torch import nn

from mnist_course.engine.arithmetic import evaluating


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
