"A ball in a valley: where it goes is what the rule says, and its knobs have ends."

import pytest
import torch
import traitlets

from mnist_course.widgets.momentum import RollingBall, roll_ball


def by_the_rule(start, steep, lr, momentum, steps):
    "The same with nothing but arithmetic."
    place, speed = [*start], [0.0, 0.0]
    path = [[*place]]
    for _ in range(steps):
        for i in (0, 1):
            speed[i] = momentum * speed[i] + steep[i] * place[i]
            place[i] -= lr * speed[i]
        path.append([*place])
    return torch.tensor(path, dtype=torch.float64)


@pytest.mark.parametrize(
    ("start", "steep", "lr", "momentum", "steps"),
    [
        ((2.0, 10.0), (25.0, 1.0), 0.075, 0.6, 40),
        ((-1.3, 4.1), (3.7, 0.3), 0.1, 0.0, 7),
        ((0.1, -0.7), (9.0, 2.0), 0.05, 0.9, 1),
    ],
)
def test_a_ball_rolls_by_the_rule(start, steep, lr, momentum, steps):
    path = roll_ball(start, steep, lr, momentum, steps)
    expected = by_the_rule(start, steep, lr, momentum, steps)
    assert path.dtype == torch.float64 and not path.requires_grad
    assert torch.allclose(path, expected, rtol=1e-12, atol=0) and len(path) == steps + 1


def test_function_and_widget_begin_alike_and_stay_alike():
    expected = by_the_rule((2.0, 10.0), (25.0, 1.0), 0.075, 0.6, 40)
    for path in (roll_ball(), RollingBall().path):
        assert torch.allclose(path, expected, rtol=1e-12, atol=0)
    ball = RollingBall(start=[1.0, 2.0], steep=[3.0, 4.0], lr=0.01, momentum=0.3, steps=5)
    ball.momentum = 0.5
    assert torch.equal(ball.path, roll_ball([1.0, 2.0], [3.0, 4.0], 0.01, 0.5, 5))


@pytest.mark.parametrize(
    ("name", "fits", "beyond"),
    [
        ("lr", [0.0, 0.5, 3.0], [-0.001]),
        ("momentum", [0.0, 1.0], [-0.001, 1.001]),
        ("steps", [1, 1000], [0, 1001]),
        ("start", [[0.0, -3.0]], [[1.0], [1.0, 2.0, 3.0], ["a", "b"]]),
        ("steep", [[1.0, 30.0]], [[1.0], [1.0, 2.0, 3.0], ["a", "b"]]),
    ],
)
def test_each_knob_has_its_ends(name, fits, beyond):
    ball = RollingBall()
    for value in fits:
        setattr(ball, name, value)
        assert getattr(ball, name) == value
    for value in beyond:
        with pytest.raises(traitlets.TraitError):
            setattr(ball, name, value)


def test_knobs_go_both_ways_without_an_echo():
    "An echo that comes late would undo a newer turn of the knob."
    traits = RollingBall.class_traits(sync=True, echo_update=False)
    assert {"lr", "momentum", "steps", "start", "steep"} <= set(traits)
    assert ".mc-" in RollingBall._css and ".ml-" in RollingBall._css
