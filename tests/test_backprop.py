"mnist_course.backprop against torch's autograd, on graphs that fork; and what its operations refuse."

import random

import pytest
import torch
import torch.nn.functional as F

from mnist_course.backprop import Value, backward, in_order, layer_slopes, pass_back
from mnist_course.engine.backprop import after_step, compute, multiplications
from mnist_course.loss import numerical_gradient


def twins(*shapes, seed: int = 0):
    "The same numbers as Values and as tensors that torch watches."
    generator = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [Value(number) for number in numbers], [n.clone().requires_grad_() for n in numbers]


def agree(ours: list[Value], theirs: list[torch.Tensor]) -> None:
    for value, tensor in zip(ours, theirs, strict=True):
        torch.testing.assert_close(value.grad, tensor.grad, rtol=1e-12, atol=1e-14)


# ---- equal to torch


@pytest.mark.parametrize("seed", range(4))
def test_every_operation_passes_back_what_torch_does(seed):
    ours, theirs = twins((4, 3), (3, 2), (4, 2), seed=seed)

    def network(x, w, y):
        h = (x @ w).relu() * y + y
        return ((h * h).sum() + (h.exp().sum()).log()) * h.sum()

    backward(network(*ours))
    network(*theirs).backward()
    agree(ours, theirs)


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (7, 3)])
def test_a_cross_entropy_made_from_them(n, classes):
    ours, theirs = twins((n, 5), (5, 4), (4, classes), seed=n)
    labels = torch.arange(n) % classes
    scores = (ours[0] @ ours[1]).relu() @ ours[2]
    logs = (scores.exp() @ Value(torch.ones(classes, 1))).log()
    picked = (scores * Value(-torch.eye(classes)[labels])).sum()
    loss = (logs.sum() + picked) * Value(1 / n)
    backward(loss)
    other = F.cross_entropy((theirs[0] @ theirs[1]).relu() @ theirs[2], labels)
    other.backward()
    assert loss.data.item() == pytest.approx(other.item(), rel=1e-12)
    agree(ours, theirs)


@pytest.mark.parametrize("seed", range(5))
def test_graphs_at_random_whose_values_are_used_again_and_again(seed):
    rng = random.Random(seed)
    ours, theirs = twins((), (), (), seed=seed)
    leaves = [*ours], [*theirs]
    for _ in range(12):
        i, j, op = rng.randrange(len(ours)), rng.randrange(len(ours)), rng.choice("+*re")
        for values, minus in ((ours, Value(-1.0)), (theirs, -1.0)):
            a, b = values[i], values[j]
            made = {
                "+": lambda a, b: a + b,
                "*": lambda a, b: a * b,
                "r": lambda a, b: a.relu() + b,
                "e": lambda a, b, minus=minus: (a * a * minus).exp() + b,
            }
            values.append(made[op](a, b))
    backward(sum(ours[1:], ours[0]))
    sum(theirs[1:], theirs[0]).backward()
    agree(*leaves)


def test_relu_is_shut_at_0_as_torch_has_it():
    x = Value(torch.tensor([-1.0, 0.0, 2.0]))
    backward(x.relu().sum())
    assert x.grad.tolist() == [0, 0, 1]


def test_a_layer_by_hand_is_what_nudging_finds():
    generator = torch.Generator().manual_seed(3)
    w, x, s = (torch.randn(n, generator=generator).double() for n in ((4, 3), (3,), (4,)))
    of_weight, of_inputs = layer_slopes(s, w, x)
    torch.testing.assert_close(numerical_gradient(lambda t: s @ (t @ x), w), of_weight)
    torch.testing.assert_close(numerical_gradient(lambda t: s @ (w @ t), x), of_inputs)


# ---- the walk


def test_each_value_is_visited_once_however_many_roads_lead_to_it():
    x = y = Value(1.5)
    for _ in range(60):
        y = y + y
    values = in_order(y)
    assert len(values) == 61 and values[0] is x and values[-1] is y
    backward(y)
    assert x.grad.item() == 2**60


def test_parents_come_before_their_children():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    d = c + a
    values = in_order(d * c)
    place = {value: i for i, value in enumerate(values)}
    assert len(values) == len(place) == 5
    assert all(place[parent] < place[value] for value in values for parent in value.parents)


def test_called_again_it_begins_at_0_and_leaves_others_alone():
    x, other = Value(3.0), Value(5.0)
    square = x * x
    other.grad = torch.tensor(7.0, dtype=torch.float64)
    for _ in range(3):
        backward(square)
        assert x.grad == 6 and square.grad == 1
    backward(x + x)
    assert x.grad == 2 and other.grad == 7
    fourth = square * square
    for _ in range(2):
        backward(fourth)
        assert square.grad == 18 and x.grad == 108


def test_a_value_that_was_made_from_nothing():
    x = Value([1.0, 2.0])
    assert x.grad.tolist() == [0, 0]
    assert in_order(x) == [x]
    backward(x)
    assert x.grad.tolist() == [1, 1]


def test_a_value_has_numbers_of_its_own():
    mine = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    value = Value(mine)
    value.data += 1
    assert mine.tolist() == [1, 2] and not value.data.requires_grad
    assert Value(0.1).data.item() == 0.1  # no detour through float32


# ---- what is refused


@pytest.mark.parametrize(
    ("op", "shapes", "words"),
    [
        ("+", [(2, 3), (3,)], r"a \+ b takes two of the same shape, got \(2, 3\) and \(3,\)"),
        ("*", [(), (1,)], r"a \* b takes two of the same shape, got \(\) and \(1,\)"),
        ("@", [(3,), (3, 2)], r"an \(N, K\) and a \(K, M\), got \(3,\) and \(3, 2\): one row is"),
        ("@", [(2, 3), (2, 3)], r"got \(2, 3\) and \(2, 3\)"),
        ("@", [(1, 2, 3), (3, 2)], r"got \(1, 2, 3\) and \(3, 2\)"),
    ],
)
def test_shapes_that_would_be_stretched(op, shapes, words):
    a, b = (Value(torch.ones(shape)) for shape in shapes)
    with pytest.raises(ValueError, match=words):
        a.then(op, b)


def test_an_operation_that_nobody_knows():
    with pytest.raises(ValueError, match=r"op must be one of .*log, sum, got 'tanh'"):
        compute("tanh", torch.ones(2))


def test_a_rule_gives_one_slope_for_each_number_that_went_in():
    for op, count in {"+": 2, "*": 2, "@": 2, "relu": 1, "exp": 1, "log": 1, "sum": 1}.items():
        a = torch.ones(2, 2)
        g = torch.tensor(3.0) if op == "sum" else torch.ones(2, 2)
        found = pass_back(op, g, *[a] * count)
        assert len(found) == count and all(slope.shape == (2, 2) for slope in found)


# ---- the engine


def test_multiplications_there_and_back(capsys):
    x = torch.randn(5, 4)
    first, second = (torch.randn(n, requires_grad=True) for n in ((4, 3), (3, 2)))
    there, back = multiplications(lambda: ((x @ first).relu() @ second).sum())
    assert there == 5 * 4 * 3 + 5 * 3 * 2
    assert back == 2 * 5 * 3 * 2 + 5 * 4 * 3  # nobody asks for the slopes of x
    assert type(there) is type(back) is int and capsys.readouterr().out == ""


def test_a_step_has_its_length_and_is_taken_by_a_copy():
    model = torch.nn.Linear(3, 2)
    before = [p.detach().clone() for p in model.parameters()]
    directions = [torch.randn_like(p) for p in model.parameters()]
    moved = after_step(model, directions, 0.25)
    gone = [b - p.detach() for p, b in zip(moved.parameters(), before, strict=True)]
    assert sum((g**2).sum() for g in gone).sqrt().item() == pytest.approx(0.25, rel=1e-4)
    assert all((g * d).sum() > 0 for g, d in zip(gone, directions, strict=True))
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
