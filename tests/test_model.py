"""Net and what is around it: shapes, numbers of parameters, errors, trace, and the checkpoint that ships."""

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from mnist_course.base import asset
from mnist_course.data import load_mnist, normalize
from mnist_course.environment import seed_everything
from mnist_course.model import (
    Net,
    check_input,
    count_parameters,
    forward,
    load_pretrained,
    trace,
)

SHAPES = {
    "conv1.weight": (32, 1, 3, 3),
    "conv1.bias": (32,),
    "conv2.weight": (64, 32, 3, 3),
    "conv2.bias": (64,),
    "conv3.weight": (128, 64, 3, 3),
    "conv3.bias": (128,),
    "conv4.weight": (256, 128, 3, 3),
    "conv4.bias": (256,),
    "fc1.weight": (50, 4096),
    "fc1.bias": (50,),
    "fc2.weight": (10, 50),
    "fc2.bias": (10,),
}
STAGES = {
    "input": (1, 28, 28),
    "conv1": (32, 26, 26),
    "conv1.relu": (32, 26, 26),
    "conv2": (64, 24, 24),
    "conv2.relu": (64, 24, 24),
    "conv2.max_pool2d": (64, 12, 12),
    "conv3": (128, 10, 10),
    "conv3.relu": (128, 10, 10),
    "conv4": (256, 8, 8),
    "conv4.relu": (256, 8, 8),
    "conv4.max_pool2d": (256, 4, 4),
    "conv4.reshape": (4096,),
    "fc1": (50,),
    "fc1.relu": (50,),
    "fc2": (10,),
    "fc2.log_softmax": (10,),
}


@pytest.fixture(scope="module")
def net() -> Net:
    seed_everything(0)
    return Net().eval()


@pytest.fixture(scope="module")
def pretrained() -> Net:
    return load_pretrained()


@pytest.fixture(scope="module")
def test_set():
    return load_mnist(source="sample")[1]


def digits(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def by_hand(net: Net, x: torch.Tensor) -> dict[str, torch.Tensor]:
    "The forward pass of the original script, written out once more, with the name that trace gives to each step."
    steps = {"input": x}
    steps["conv1"] = F.conv2d(x, net.conv1.weight, net.conv1.bias)
    steps["conv1.relu"] = steps["conv1"].clamp(min=0)
    steps["conv2"] = F.conv2d(steps["conv1.relu"], net.conv2.weight, net.conv2.bias)
    steps["conv2.relu"] = steps["conv2"].clamp(min=0)
    steps["conv2.max_pool2d"] = steps["conv2.relu"].reshape(len(x), 64, 12, 2, 12, 2).amax((3, 5))
    steps["conv3"] = F.conv2d(steps["conv2.max_pool2d"], net.conv3.weight, net.conv3.bias)
    steps["conv3.relu"] = steps["conv3"].clamp(min=0)
    steps["conv4"] = F.conv2d(steps["conv3.relu"], net.conv4.weight, net.conv4.bias)
    steps["conv4.relu"] = steps["conv4"].clamp(min=0)
    steps["conv4.max_pool2d"] = steps["conv4.relu"].reshape(len(x), 256, 4, 2, 4, 2).amax((3, 5))
    steps["conv4.reshape"] = steps["conv4.max_pool2d"].flatten(1)
    steps["fc1"] = steps["conv4.reshape"] @ net.fc1.weight.T + net.fc1.bias
    steps["fc1.relu"] = steps["fc1"].clamp(min=0)
    steps["fc2"] = steps["fc1.relu"] @ net.fc2.weight.T + net.fc2.bias
    steps["fc2.log_softmax"] = steps["fc2"] - steps["fc2"].logsumexp(1, keepdim=True)
    return steps


# --- Net


def test_the_names_and_shapes_of_a_checkpoint_are_fixed(net):
    assert {name: tuple(p.shape) for name, p in net.state_dict().items()} == SHAPES
    assert list(net.state_dict()) == list(SHAPES)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in net.parameters())


def test_parameters_per_layer_are_those_of_the_original_script(net):
    counts = {
        name: sum(p.numel() for p in layer.parameters()) for name, layer in net.named_children()
    }
    assert counts == {
        "conv1": 320,
        "conv2": 18_496,
        "conv3": 73_856,
        "conv4": 295_168,
        "fc1": 204_850,
        "fc2": 510,
    }
    assert sum(counts.values()) == count_parameters(net) == 593_200


def test_parameters_are_counted_as_far_as_a_module_knows_of_them(net):
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = [nn.Linear(3, 4)]
            self.plain = torch.zeros(7)
            self.own = nn.Parameter(torch.zeros(2, 5))
            self.inner = nn.ModuleList([nn.Linear(3, 4), nn.BatchNorm1d(4)])

    assert count_parameters(Bag()) == 10 + 16 + 8
    assert count_parameters(nn.ReLU()) == 0


def test_the_method_is_the_function_that_the_lesson_builds(net):
    x = digits(2)
    assert Net.forward is forward and torch.equal(forward(net, x), net(x))


@settings(max_examples=15, deadline=None)
@given(n=st.integers(0, 9), seed=st.integers(0, 1000), spread=st.floats(0, 4))
def test_the_output_is_log_probabilities(n, seed, spread):
    seed_everything(seed)
    with torch.no_grad():
        out = Net()((digits(n, seed) * spread).clamp(-20, 20))
    assert out.shape == (n, 10) and out.dtype == torch.float32
    assert (out <= 0).all()
    assert_close(out.exp().sum(1), torch.ones(n))


def test_an_empty_batch_gives_an_empty_answer_and_a_gradient_of_zero():
    model = Net()
    out = model(torch.zeros(0, 1, 28, 28))
    assert out.shape == (0, 10)
    out.sum().backward()
    assert all((p.grad == 0).all() for p in model.parameters())


def test_the_gradient_reaches_every_parameter_and_the_input():
    seed_everything(0)
    model, x = Net(), digits(8).requires_grad_()
    F.nll_loss(model(x), torch.arange(8)).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0, name
    assert x.grad.abs().sum() > 0


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    outputs = []
    for seed in (3, 3, 4):
        seed_everything(seed)
        outputs.append(Net()(digits(2)))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_images_of_a_batch_do_not_influence_each_other(net):
    x = digits(5)
    assert_close(net(x)[3:4], net(x[3:4]))
    assert_close(net(x.flip(0)), net(x).flip(0))


def test_train_and_eval_mode_give_the_same(net):
    x = digits(3)
    expected = net.eval()(x)
    assert_close(net.train()(x), expected, rtol=0, atol=0)
    net.eval()


def test_channels_last_memory_gives_the_same_numbers(net):
    x = digits(4)
    model = Net()
    model.load_state_dict(net.state_dict())
    last = {"memory_format": torch.channels_last}
    assert_close(model.to(**last)(x.to(**last)), net(x))


def test_float64_and_bfloat16_weights_take_an_input_of_their_own_type(net):
    x = digits(2)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.bfloat16, 0.05)):
        model = Net()
        model.load_state_dict(net.state_dict())
        out = model.to(dtype)(x.to(dtype))
        assert out.dtype == dtype
        assert_close(out.float(), net(x), rtol=0, atol=tolerance)
        with pytest.raises(ValueError, match=f"expects {dtype}.* got torch.float32"):
            model(x)


def test_bfloat16_autocast_trains(net):
    model, x = Net(), digits(4)
    model.load_state_dict(net.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
        F.nll_loss(out, torch.arange(4)).backward()
    assert_close(out.float(), net(x), rtol=0, atol=0.05)
    assert all(p.grad.abs().sum() > 0 and p.grad.dtype == torch.float32 for p in model.parameters())


# --- wrong inputs


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (
            torch.zeros(28, 28),
            r"got torch.float32 \(28, 28\): a batch of one image is x\[None, None\]",
        ),
        (
            torch.zeros(1, 28, 28),
            r"got torch.float32 \(1, 28, 28\): a batch of one image is x\[None\]",
        ),
        (
            torch.zeros(7, 28, 28),
            r"got torch.float32 \(7, 28, 28\): the channel is missing, x\[:, None\] adds it",
        ),
        (
            torch.zeros(7, 28, 28, 1),
            r"\(7, 28, 28, 1\): the channel comes second, x.permute\(0, 3, 1, 2\)",
        ),
        (torch.zeros(7, 3, 28, 28), r"got torch.float32 \(7, 3, 28, 28\)$"),
        (torch.zeros(7, 1, 32, 32), r"got torch.float32 \(7, 1, 32, 32\)$"),
        (torch.zeros(7, 784), r"got torch.float32 \(7, 784\)$"),
        (torch.zeros(7, 32, 32), r"got torch.float32 \(7, 32, 32\)$"),
        (torch.tensor(1.0), r"got torch.float32 \(\)$"),
        (torch.zeros(7, 1, 28, 28, dtype=torch.uint8), r"got torch.uint8 .*: normalize\(images\)"),
        (torch.zeros(7, 28, 28, dtype=torch.uint8), r"got torch.uint8 .*: normalize\(images\)"),
        (torch.zeros(7, 1, 28, 28, dtype=torch.float64), r"got torch.float64 \(7, 1, 28, 28\)$"),
        (torch.full((2, 1, 28, 28), 255.0), "values from 255 to 255, .* raw pixels?"),
        (
            torch.full((2, 1, 28, 28), -21.0),
            "values from -21 to -21, .*: was something divided by 0?",
        ),
        (torch.full((2, 1, 28, 28), torch.inf), "values from inf to inf, "),
        (
            torch.zeros(2, 1, 28, 28).index_fill(3, torch.tensor([5]), torch.nan),
            "values from nan to nan, ",
        ),
        ([[0.0] * 28] * 28, "got a list, not a tensor"),
        (None, "got a NoneType, not a tensor"),
        (torch.zeros(1, 1, 28, 28).numpy(), "got a ndarray, not a tensor"),
    ],
)
def test_a_wrong_input_is_named_with_what_net_expects(net, x, says):
    kind = ValueError if isinstance(x, torch.Tensor) else TypeError
    with pytest.raises(kind, match=says) as error:
        net(x)
    assert str(error.value).startswith(
        "Net expects torch.float32 (N, 1, 28, 28), normalized as load_mnist does; got "
    )
    with pytest.raises(kind, match=says):
        check_input(x)


def test_each_named_remedy_works(net, test_set):
    images = test_set.images[:3]
    right = normalize(images)
    for x in (
        right[0, 0][None, None],
        right[0][None],
        right[:, 0][:, None],
        right.permute(0, 2, 3, 1).permute(0, 3, 1, 2),
    ):
        assert_close(net(x), net(right)[: len(x)])


def test_real_and_noisy_digits_pass_the_check(test_set):
    x = normalize(test_set.images[:50])
    for batch in (x, x + torch.randn_like(x), x.requires_grad_(), x[:0]):
        assert check_input(batch) is None
    for edge in (-20.0, 20.0):
        assert check_input(torch.full((1, 1, 28, 28), edge)) is None


def test_where_values_would_have_to_be_waited_for_only_type_and_shape_are_looked_at():
    assert check_input(torch.empty(2, 1, 28, 28, device="meta")) is None
    with pytest.raises(ValueError, match="the channel is missing"):
        check_input(torch.empty(2, 28, 28, device="meta"))


def test_a_large_value_is_found_wherever_it_is():
    x = torch.zeros(3, 1, 28, 28)
    x[2, 0, 27, 27] = 20.5
    with pytest.raises(ValueError, match=r"values from 0 to 20\.5"):
        check_input(x)


# --- trace


def test_trace_names_every_step_and_its_shape(net):
    assert {name: tuple(x.shape) for name, x in trace(net, digits(3)).items()} == {
        k: (3, *v) for k, v in STAGES.items()
    }


def test_trace_equals_a_forward_pass_by_hand(net):
    x = digits(2)
    steps = trace(net, x)
    expected = by_hand(net, x)
    assert list(steps) == list(expected)
    for name, tensor in steps.items():
        assert_close(tensor, expected[name], msg=lambda m, name=name: f"{name}: {m}")
    assert torch.equal(steps["fc2.log_softmax"], net(x))


@pytest.mark.parametrize("training", [True, False])
def test_trace_leaves_the_model_and_the_input_as_they_were(training):
    model, x = Net().train(training), digits(2)
    model.conv1.eval()  # a mixed state must stay as it is
    before, start = {k: v.clone() for k, v in model.state_dict().items()}, x.clone()
    trace(model, x)
    assert (
        model.training is training and not model.conv1.training and model.conv2.training is training
    )
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(x, start)


def test_trace_leaves_no_hooks_behind_when_the_model_fails():
    model = Net()
    with pytest.raises(ValueError, match="Net expects"):
        trace(model, torch.zeros(1, 28, 28))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert model(digits(1)).shape == (1, 10)


def test_trace_wants_a_tensor(net):
    with pytest.raises(TypeError, match="x must be a Tensor, got list"):
        trace(net, [[0.0]])


def test_trace_gives_copies_without_gradients(net):
    x = digits(2).requires_grad_()
    steps = trace(net, x)
    for tensor in steps.values():
        assert not tensor.requires_grad
    again = net(x)
    for tensor in steps.values():
        tensor.fill_(1e6)
    assert torch.equal(net(x), again) and x.detach().abs().max() < 20


def test_trace_of_a_sequential_names_steps_by_their_place():
    chain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
    x = digits(2)
    steps = trace(chain, x)
    assert list(steps) == ["input", "0", "1", "2", "3"]
    assert_close(steps["1"], chain[0](x).clamp(min=0))
    assert torch.equal(steps["3"], chain(x))


def test_an_in_place_step_corrupts_neither_the_steps_before_it_nor_the_input():
    chain = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3), nn.ReLU(inplace=True))
    x = torch.tensor([[-1.0, 2.0, -3.0, 4.0]])
    steps = trace(chain, x)
    assert x.tolist() == steps["input"].tolist() == [[-1, 2, -3, 4]]
    assert steps["0"].tolist() == [[0, 2, 0, 4]]
    linear = chain[1](torch.tensor([[0.0, 2.0, 0.0, 4.0]]))
    assert_close(steps["1"], linear.detach())
    assert_close(steps["2"], linear.detach().clamp(min=0))


# --- the checkpoint


def test_the_checkpoint_is_a_net_in_eval_mode_on_the_cpu(pretrained):
    assert type(pretrained) is Net and not pretrained.training
    assert all(
        p.device.type == "cpu" and p.dtype == torch.float32 and p.isfinite().all()
        for p in pretrained.parameters()
    )
    first, second = load_pretrained(), load_pretrained()
    with torch.no_grad():
        first.fc2.bias.add_(1)
    assert torch.equal(second.fc2.bias, pretrained.fc2.bias)  # each call gives a network of its own


@pytest.mark.slow
def test_the_checkpoint_reads_at_least_99_3_percent_of_the_samples_test_digits(
    pretrained, test_set
):
    with torch.no_grad():
        guesses = torch.cat(
            [pretrained(normalize(images)).argmax(1) for images in test_set.images.split(250)]
        )
    assert len(guesses) == 2_000
    assert (guesses == test_set.labels).float().mean() >= 0.993


def test_the_weights_are_small_and_their_settings_are_told():
    assert asset("weights", "net.safetensors").stat().st_size < 3_000_000
    told = json.loads(asset("weights", "net.json").read_text())
    assert {"recipe", "seed", "epochs", "batch_size", "torch"} <= set(told["settings"])
    epochs = told["settings"]["epochs"]
    assert all(
        len(told[curve]) == epochs
        for curve in ("train_loss", "train_acc", "test_loss", "test_acc", "lr")
    )
    assert told["test_acc"][-1] >= 0.993
