"""Lesson 03's arithmetic against torch: shapes, parameters, MACs, receptive fields, and a ledger that leaves no trace."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mnist_course.arithmetic import (
    Field,
    conv2d_macs,
    conv2d_params,
    ledger,
    linear_macs,
    linear_params,
    output_size,
    record_calls,
    seed_summary,
)
from mnist_course.model import Net

few = settings(max_examples=60, deadline=None)
small = st.integers(1, 4)


def numbers(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def widths_agree(ours, torchs) -> None:
    "Both give the same width, or both refuse."
    try:
        expected = torchs().shape[-1]
    except RuntimeError:
        with pytest.raises(ValueError, match="does not fit"):
            ours()
    else:
        assert ours() == expected


# --- shapes


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 30), st.integers(1, 7), st.integers(1, 5), st.integers(0, 4), st.integers(1, 4)
)
def test_output_size_is_torchs(size, kernel_size, stride, padding, dilation):
    x, weight = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel_size, kernel_size)
    widths_agree(
        lambda: output_size(size, kernel_size, stride, padding, dilation),
        lambda: F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation),
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_pooling_with_and_without_ceil_mode_is_torchs(data):
    size, kernel_size, stride, dilation = (data.draw(st.integers(1, top)) for top in (30, 6, 6, 3))
    padding, ceil_mode = data.draw(st.integers(0, kernel_size // 2)), data.draw(st.booleans())
    x = torch.zeros(1, 1, size, size)
    args = kernel_size, stride, padding, dilation, ceil_mode
    widths_agree(lambda: output_size(size, *args), lambda: F.max_pool2d(x, *args))


@pytest.mark.parametrize("name", ["size", "kernel_size", "stride", "dilation", "padding"])
def test_output_size_names_the_number_that_makes_no_sense(name):
    with pytest.raises(ValueError, match=f"^{name} must be at least"):
        output_size(**({"size": 28, "kernel_size": 3} | {name: -1}))
    for value in (2.5, 3.0, "3", None):
        with pytest.raises(TypeError, match=f"^{name} must be a whole number, got {value!r}$"):
            output_size(**({"size": 28, "kernel_size": 3} | {name: value}))


def test_the_other_counts_name_the_number_too():
    for wrong, named in (
        (lambda: conv2d_params("3", 4, 3), "in_channels must be a whole number, got '3'"),
        (lambda: conv2d_params(3, 4, (3, 2.0)), "width must be a whole number, got 2.0"),
        (lambda: conv2d_macs(1, 4, 3, 2.5), "height must be a whole number"),
        (lambda: conv2d_macs(1, 4, 3, (2, 2.5)), "width must be a whole number, got 2.5"),
        (lambda: linear_params(10, None), "out_features must be a whole number, got None"),
    ):
        with pytest.raises(TypeError, match=named):
            wrong()
    with pytest.raises(ValueError, match=r"one number, or \(height, width\), got \(3, 3, 3\)"):
        conv2d_params(1, 1, (3, 3, 3))


# --- parameters and MACs


@few
@given(small, small, small, st.tuples(small, small), st.booleans())
def test_conv2d_counts_are_torchs(in_a_group, out_a_group, groups, kernel_size, bias):
    channels = in_a_group * groups, out_a_group * groups
    layer = nn.Conv2d(*channels, kernel_size, bias=bias, groups=groups)
    counted = conv2d_params(*channels, kernel_size, bias=bias, groups=groups)
    assert counted == numbers(layer) and type(counted) is int  # 320, and not 320.0
    with FlopCounterMode(display=False) as counter:
        out = layer(torch.zeros(1, channels[0], 7, 6))
    assert (
        2 * conv2d_macs(*channels, kernel_size, out.shape[2:], groups=groups)
        == counter.get_total_flops()
    )


@few
@given(st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_linear_counts_are_torchs(in_features, out_features, bias):
    layer = nn.Linear(in_features, out_features, bias=bias)
    assert linear_params(in_features, out_features, bias) == numbers(layer)
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, in_features))
    assert 2 * linear_macs(in_features, out_features) == counter.get_total_flops()


def test_counts_refuse_what_torch_refuses():
    for channels in ((3, 4), (4, 3)):
        with pytest.raises(ValueError, match="groups=2 must divide"):
            conv2d_params(*channels, 3, groups=2)
        with pytest.raises(ValueError):
            nn.Conv2d(*channels, 3, groups=2)
    with pytest.raises(ValueError, match="in_channels"):
        conv2d_params(0, 4, 3)
    with pytest.raises(ValueError, match="height"):
        conv2d_macs(1, 1, 3, 0)
    for count in (linear_params, linear_macs):
        with pytest.raises(ValueError, match="in_features"):
            count(0, 4)
        with pytest.raises(ValueError, match="out_features"):
            count(4, 0)


def test_what_nobody_says_is_as_torch_has_it():
    assert output_size(28, 5) == nn.Conv2d(1, 1, 5)(torch.zeros(1, 28, 28)).shape[-1] == 24
    assert output_size(28, 5, 3) == 8  # a pixel is left over, and makes no place
    assert conv2d_params(2, 32, 3) == numbers(nn.Conv2d(2, 32, 3)) == 608
    assert conv2d_macs(2, 32, 3, 26) == 26 * 26 * (608 - 32)
    assert linear_params(4, 3) == numbers(nn.Linear(4, 3)) == 15


# --- the ledger


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "squeezenet1_0", "resnet18"])
def test_ledger_of_torchvisions_networks_is_torchs_own_account(name):
    model, shapes = torchvision.models.get_model(name, weights=None).eval(), {}
    rows = ledger(model, (3, 224, 224))
    for path, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda m, args, out, path=path: shapes.setdefault(path, []).append(
                    tuple(out.shape[1:])
                )
            )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = model(torch.zeros(1, 3, 224, 224))
    assert rows.params == numbers(model) == sum(row.params for row in rows) and not rows.unseen
    assert 2 * rows.macs == counter.get_total_flops()
    by_name, modules = {row.name: row for row in rows}, dict(model.named_modules())
    for path, outs in shapes.items():
        for i, shape in enumerate(outs, 1):
            assert by_name[path if i == 1 else f"{path}_{i}"].output_shape == shape
        assert (
            by_name[path].params == numbers(modules[path])
            and by_name[path].kind == type(modules[path]).__name__
        )
    assert rows[-1].output_shape == tuple(out.shape[1:])


def test_receptive_field_of_resnet18():
    rows = {
        row.name: row for row in ledger(torchvision.models.resnet18(weights=None), (3, 224, 224))
    }
    assert (
        rows["layer4.1.conv2"].receptive_field
        == 7 + 2 * 2 + 8 * 4 + 2 * 4 + 6 * 8 + 2 * 8 + 6 * 16 + 2 * 16 + 6 * 32
        == 435
    )
    assert rows["layer4.1.conv2"].jump == 32


def test_the_seeds_summary_to_the_digit():
    rows = ledger(Net())
    text = "".join(seed_summary(rows).split())
    for line in ("Conv2d-1|[-1,32,26,26]|320|", "Conv2d-2|[-1,64,24,24]|18,496|", "Conv2d-3|[-1,128,10,10]|73,856|",
                 "Conv2d-4|[-1,256,8,8]|295,168|", "Linear-5|[-1,50]|204,850|", "Linear-6|[-1,10]|510|",
                 "Totalparams:593,200Trainableparams:593,200Non-trainableparams:0"):  # fmt: skip
        assert line in text
    assert "pool" not in text.lower()
    frozen = Net()
    frozen.conv1.requires_grad_(False)
    assert "Trainable params: 592,880\n\nNon-trainable params: 320" in seed_summary(ledger(frozen))


@st.composite
def stacks(draw) -> nn.Sequential:
    "A few convolutions and poolings with positive weights, one channel, and steps of different length in each direction."
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride, dilation = (
            draw(st.tuples(*[st.integers(1, top)] * 2)) for top in (3, 2, 2)
        )
        if draw(st.booleans()):
            padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
            layers.append(nn.AvgPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans())))
        else:
            layers.append(nn.Conv2d(1, 1, kernel, stride, draw(st.integers(0, 2)), dilation))
            nn.init.uniform_(layers[-1].weight, 0.5, 1)
    return nn.Sequential(*layers).double()


@few
@given(stacks())
def test_receptive_field_and_jump_are_where_the_gradient_is(model):
    row = ledger(model, (1, 64, 64))[-1]
    sees, jumps = ((v, v) if isinstance(v, int) else v for v in (row.receptive_field, row.jump))
    x = torch.ones(1, 1, 64, 64, dtype=torch.double, requires_grad=True)
    out = model(x)
    middle = out.shape[2] // 2, out.shape[3] // 2
    for direction in (0, 1):
        first = []
        for step in (0, 1):
            place = [middle[d] + (step if d == direction else 0) for d in (0, 1)]
            grad = torch.autograd.grad(out[0, 0, place[0], place[1]], x, retain_graph=True)[0][0, 0]
            seen = (grad.sum(1 - direction) > 0).nonzero().flatten()
            first.append(seen[0].item())
            assert seen[-1] - seen[0] + 1 == sees[direction]
        assert first[1] - first[0] == jumps[direction]


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d((2, 3), ceil_mode=True),
        nn.MaxPool2d(3, 2, 1, return_indices=False),
    ],
)
def test_max_pooling_sees_what_average_pooling_sees(pool):
    same = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
    ours, theirs = (
        ledger(nn.Sequential(nn.Conv2d(1, 2, 3), p), (1, 20, 21))[-1] for p in (pool, same)
    )
    assert (ours.output_shape, ours.receptive_field, ours.jump) == (
        theirs.output_shape,
        theirs.receptive_field,
        theirs.jump,
    )
    assert (ours.kind, theirs.kind) == ("MaxPool2d", "AvgPool2d")


@given(st.integers(1, 20), st.integers(1, 20))
@few
def test_adaptive_pooling_sees_its_widest_window(size, places):
    row = ledger(nn.Sequential(nn.AdaptiveAvgPool2d(places), nn.Identity()), (1, size, size))[0]
    x = torch.ones(1, 1, size, size, requires_grad=True)
    out = F.adaptive_avg_pool2d(x, places)
    grads = [
        torch.autograd.grad(out[0, 0, 0, i], x, retain_graph=True)[0][0, 0, 0]
        for i in range(places)
    ]
    widest = max(int((grad > 0).sum()) for grad in grads)
    assert row.receptive_field == widest and row.output_shape == (1, places, places)


def test_field_by_hand():
    assert Field().through(3).through(3).through(2, 2).through(3) == Field(10, 2)
    assert Field().through(3, dilation=2) == Field(5, 1)


class Odd(nn.Module):
    "Branches that join, a layer used twice, a function that pools, weights without a layer, and a layer never called."

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, (3, 5), stride=(1, 2), padding="valid")
        self.twice = nn.Conv2d(4, 4, 3, padding="same")
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout()
        self.table = nn.Parameter(torch.zeros(3, 8))
        self.spare = nn.Linear(100, 10)

    def forward(self, x):
        x = self.drop(F.relu_(self.norm(self.stem(x))))
        x = torch.cat([x, self.twice(self.twice(x))], dim=1)
        x = F.max_pool2d(x, 2).amax((2, 3))
        return {"scores": F.linear(x, self.table), "size": 3}


def test_ledger_of_an_odd_model():
    rows = ledger(Odd(), (1, 20, 30))
    found = {
        row.name: (row.output_shape, row.params, row.receptive_field, row.jump) for row in rows
    }
    assert found["stem"] == ((4, 18, 13), 64, (3, 5), (1, 2))
    assert found["twice"] == ((4, 18, 13), 148, (5, 9), (1, 2))
    assert found["twice_2"] == ((4, 18, 13), 0, (7, 13), (1, 2))  # its parameters are counted once
    assert found["twice_2.cat"] == (
        (8, 18, 13),
        0,
        (7, 13),
        (1, 2),
    )  # the branch that has seen more
    assert found["twice_2.max_pool2d"] == ((8, 9, 6), 0, (8, 15), (2, 4))
    assert found["twice_2.amax"] == ((8,), 0, (8 + 8 * 2, 15 + 5 * 4), None)
    assert rows[-1].name == "twice_2.linear" and rows[-1].macs == 24
    assert rows.macs == 60 * 18 * 13 + 2 * 144 * 18 * 13 + 24
    assert rows.unseen == {"table": 24, "spare.weight": 1000, "spare.bias": 10}
    assert rows.params == numbers(Odd()) == sum(row.params for row in rows) + 1034
    assert "in no row" in repr(rows) and "spare.weight" in repr(rows) and "1,034" in repr(rows)
    assert "in no row" not in repr(ledger(Net()))


def test_same_padding_keeps_the_size():
    row = ledger(
        nn.Sequential(nn.Conv2d(1, 2, 5, padding="same", dilation=2), nn.ReLU()), (1, 9, 12)
    )[0]
    assert row.output_shape == (2, 9, 12) and row.receptive_field == 9


def test_tied_layers_count_once():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8, bias=False))
    model[1].weight = model[2].weight = model[0].weight
    rows = ledger(model, (8,))
    assert rows.params == numbers(model) == 80 and [row.params for row in rows] == [72, 8, 0]


def test_a_layer_alone_and_a_table_for_notebooks():
    rows = ledger(nn.Conv2d(3, 4, 3), (3, 8, 9))
    assert (rows[0].name, rows[0].output_shape, rows[0].macs) == ("model", (4, 6, 7), 4 * 27 * 42)
    lines = rows._repr_markdown_().splitlines()
    assert lines[1].startswith("|:--") and len(lines) == 4 and lines[-1].startswith("| total")


def test_names_do_not_collide():
    class Names(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_1, self.conv = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.conv(self.conv(self.conv_1(x)))

    assert [row.name for row in ledger(Names(), (1, 4, 4))] == ["conv_1", "conv", "conv_2"]


# --- what the ledger leaves behind: nothing


def state_of(model: nn.Module):
    modes = [module.training for module in model.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    return (
        modes,
        hooks,
        {name: t.clone() for name, t in copy.deepcopy(model.state_dict()).items()},
        [p.grad for p in model.parameters()],
    )


@pytest.mark.parametrize(
    "size", [(1, 12, 12), (1, 13, 13)]
)  # one that fits, one that raises in the last layer
def test_ledger_leaves_the_model_unchanged(size):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(200, 3)
    )
    model[1].eval()  # a mode of its own
    model[0].register_forward_hook(lambda *args: None)  # the owner's hook stays
    before = state_of(model)
    if size == (1, 12, 12):
        assert ledger(model, size)[-1].output_shape == (3,)
    else:
        with pytest.raises(ValueError, match="does not fit layer 4, Linear"):
            ledger(model, size)
    after = state_of(model)
    assert before[:2] == after[:2] and before[3] == after[3]
    torch.testing.assert_close(before[2], after[2], rtol=0, atol=0)


@pytest.mark.parametrize("size", [(1, 1, 28, 28), (), (1, 0, 28), (1, 28.0, 28), "1, 28, 28"])
def test_input_size_must_be_one_image(size):
    with pytest.raises(ValueError, match="without the batch"):
        ledger(Net(), size)


def test_errors_name_the_place():
    with pytest.raises(
        ValueError, match=r"input_size=\(3, 28, 28\) does not fit layer 0, Conv2d\(1, 2"
    ):
        ledger(nn.Sequential(nn.Conv2d(1, 2, 3)), (3, 28, 28))
    with pytest.raises(ValueError, match="the step after input: Net expects"):
        ledger(Net(), (1, 32, 32))
    with pytest.raises(ValueError, match="lazy"):
        ledger(nn.Sequential(nn.LazyConv2d(2, 3)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(1, 1, 3),
        nn.Upsample(scale_factor=2),
        nn.Linear(28, 28),
        nn.PixelUnshuffle(2),
    ],
)
def test_no_rule_is_an_error_and_not_a_guess(layer):
    with pytest.raises(NotImplementedError, match=r"no rule for .*1"):
        ledger(nn.Sequential(nn.Identity(), layer))


# --- record_calls


def test_record_calls_in_order_with_copies_and_parents():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    x = torch.randn(2, 1, 8, 8)
    calls = record_calls(model, x)
    assert [(call.name, call.kind, call.parents) for call in calls] == [
        ("0", "Conv2d", ()),
        ("1", "ReLU", (0,)),
        ("2", "MaxPool2d", (1,)),
    ]
    torch.testing.assert_close(calls[0].output, model[0](x))  # not touched by the in-place ReLU
    assert calls[0].macs == 2 * 2 * 9 * 36  # for the whole batch


def test_record_calls_leaves_out_what_the_output_does_not_need():
    class Detour(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.aside = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = x * 2
            self.aside(x)
            return torch.relu(self.used(x))

    calls = record_calls(Detour(), torch.zeros(1, 4))
    assert [(call.name, call.parents) for call in calls] == [
        ("input.mul", ()),
        ("used", (0,)),
        ("used.relu", (1,)),
    ]
    assert ledger(Detour(), (4,)).unseen == {"aside.weight": 16, "aside.bias": 4}
    pooled, _ = nn.MaxPool2d(2, return_indices=True)(torch.zeros(1, 1, 4, 4))
    assert (
        record_calls(nn.MaxPool2d(2, return_indices=True), torch.zeros(1, 1, 4, 4))[0].output.shape
        == pooled.shape
    )


# --- what has a rule, and everything else


class Given(nn.Module):
    "A network made of a function and the parts that it uses."

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        return x @ w


class Clamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)


def flat(x):
    return x.flatten(1)


def into_a_buffer(model, x):
    out = torch.empty(1, 6)
    torch.mm(flat(x), model.w, out=out)
    return out


PRODUCTS = {
    "operator": lambda m, x: flat(x) @ m.w,
    "out=": into_a_buffer,
    "in place": lambda m, x: torch.zeros(1, 6).addmm_(flat(x), m.w),
    "einsum": lambda m, x: torch.einsum("ni,io->no", flat(x), m.w),
    "multi_dot": lambda m, x: torch.linalg.multi_dot([flat(x), m.w, m.w.T]),
    "bilinear": lambda m, x: F.bilinear(flat(x), flat(x), torch.ones(2, 64, 64)),
    "outer": lambda m, x: torch.outer(flat(x)[0], m.w[:, 0]),
    "by broadcasting": lambda m, x: (flat(x)[:, :, None] * m.w).sum(1),
    "number by number": lambda m, x: (flat(x) * m.w[:, 0]).sum(1),
    "distances": lambda m, x: torch.cdist(flat(x), m.w.T),
    "fft": lambda m, x: torch.fft.fft2(x).abs(),
    "decomposition": lambda m, x: torch.linalg.svdvals(x),
    "autograd function": lambda m, x: Product.apply(flat(x), m.w),
    "past torch": lambda m, x: torch.ops.aten.mm(flat(x), m.w),
    "vmap": lambda m, x: torch.func.vmap(lambda row: row @ m.w)(flat(x)),
    "sparse": lambda m, x: torch.sparse.mm(m.w.T.to_sparse(), flat(x).T),
    "channels by multiplying": lambda m, x: x * torch.ones(3, 1, 1),
    "weights alone": lambda m, x: F.linear(flat(x), (m.w @ m.w.T @ m.w).T),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_without_a_rule_is_refused(name):
    model = Given(PRODUCTS[name], w=nn.Parameter(torch.ones(64, 6)))
    with pytest.raises(NotImplementedError, match="no rule for"):
        ledger(model, (1, 8, 8))


@pytest.mark.parametrize(
    "layer",
    [nn.GRU(8, 4), nn.LSTM(8, 4), nn.MultiheadAttention(8, 2), nn.TransformerEncoderLayer(8, 2, 4)],
)
def test_layers_for_sequences_are_refused(layer):
    def call(model, x):
        y = model.layer(x, x, x) if isinstance(layer, nn.MultiheadAttention) else model.layer(x)
        return y[0] if isinstance(y, tuple) else y

    with pytest.raises(NotImplementedError, match="no rule for"):
        ledger(Given(call, layer=layer), (5, 8))


@pytest.mark.parametrize(
    ("moves", "name"),
    [
        (lambda m, x: x.flip(-1), "flip"),
        (lambda m, x: x.mT, "mT"),
        (lambda m, x: x.roll(1, 2), "roll"),
        (lambda m, x: x.softmax(-1), "softmax"),
        (lambda m, x: x.sort(-1)[0], "sort"),
        (lambda m, x: x[..., 0, 0], "__getitem__"),
        (lambda m, x: x.cumsum(2), "cumsum"),
    ],
)
def test_what_a_map_shows_afterward_is_not_guessed(moves, name):
    with pytest.raises(NotImplementedError, match=f"no rule for {name} "):
        ledger(Given(moves), (1, 8, 8))


FREE = {
    "argmax": lambda m, x: m.fc(flat(x)).argmax(1),
    "inside a dictionary": lambda m, x: {"scores": {"all": [m.fc(flat(x))]}},
    "an object": lambda m, x: SimpleNamespace(logits=m.fc(flat(x))),
    "written into a tensor": lambda m, x: m.fc(
        torch.zeros(1, 64).index_put_((torch.tensor([0]),), flat(x))
    ),
    "an autograd function": lambda m, x: m.fc(Clamped.apply(flat(x))),
    "in place": lambda m, x: F.hardswish(m.fc(flat(x)).mul_(2).add_(1), inplace=True),
    "read for a test": lambda m, x: m.fc(flat(x)) if x.max() < 5 else x,
}


@pytest.mark.parametrize("name", FREE)
def test_every_way_to_give_an_answer_is_followed(name):
    rows = ledger(Given(FREE[name], fc=nn.Linear(64, 6)), (1, 8, 8))
    assert rows.macs == 384 and not rows.unseen


def test_numbers_beside_the_weights_do_not_say_what_goes_in():
    places = nn.Parameter(torch.arange(64), requires_grad=False)
    model = Given(lambda m, x: m.fc(flat(x)[:, m.places]), places=places, fc=nn.Linear(64, 6))
    assert ledger(model, (1, 8, 8))[-1].macs == 384


def test_a_gate_keeps_the_step_of_the_map():
    def gated(model, x):
        x = model.conv(x)
        return torch.sigmoid(x.mean((2, 3), keepdim=True)) * x

    last = ledger(Given(gated, conv=nn.Conv2d(1, 2, 3, stride=2)), (1, 9, 9))[-1]
    assert last.jump == 2 and last.receptive_field >= 9


def test_a_map_that_is_written_into_another_brings_along_what_it_has_seen():
    def patched(model, x):
        x = model.first(x)
        more = model.second(x)
        x = x.clone()
        x[:, :1] = more
        return x

    parts = {"first": nn.Conv2d(1, 2, 3, padding=1), "second": nn.Conv2d(2, 1, 3, padding=1)}
    rows = ledger(Given(patched, **parts), (1, 8, 8))
    assert [(row.name, row.receptive_field) for row in rows] == [
        ("first", 3),
        ("second", 5),
        ("second.__setitem__", 5),
    ]


@pytest.mark.parametrize(
    "lost",
    [
        lambda m, x: torch.from_numpy(m.fc(flat(x)).numpy().copy()),
        lambda m, x: torch.tensor(m.fc(flat(x)).tolist()),
        lambda m, x: flat(x).mean(1) * m.fc(flat(x))[0, 0].item(),
        lambda m, x: m.fc(torch.zeros(1, 64)),
    ],
)
def test_numbers_that_leave_torch_are_not_lost_without_a_word(lost):
    with pytest.raises(NotImplementedError, match=r"leave torch|don't come from the input"):
        ledger(Given(lost, fc=nn.Linear(64, 6)), (1, 8, 8))


@pytest.mark.parametrize(
    "answer",
    [
        lambda m, x: None,
        lambda m, x: torch.zeros(1, 10),
        lambda m, x: x.new_tensor([[1.0, 2.0]]),
        lambda m, x: "7",
    ],
)
def test_an_answer_that_does_not_come_from_the_input(answer):
    with pytest.raises(ValueError, match="the answer does not come from the input"):
        ledger(Given(answer, fc=nn.Linear(64, 6)), (1, 8, 8))


def test_the_right_thing_is_blamed():
    class Two(nn.Module):
        def forward(self, x, mask):
            return x

    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("no coffee")

    with pytest.raises(TypeError, match=r"got the class Two itself: Two\(\) makes one"):
        ledger(Two)
    with pytest.raises(ValueError, match=r"one input only, and Two.forward takes \(x, mask\)"):
        ledger(Two())
    with pytest.raises(ValueError, match=r"the network stops in layer model, .*: no coffee"):
        ledger(Broken())
    with pytest.raises(ValueError, match="a ModuleList can't be called"):
        ledger(nn.ModuleList([nn.Linear(2, 2)]))
    with pytest.raises(ValueError, match="TorchScript program"):
        ledger(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), (2,))


def test_of_rows_nothing_is_said_about_what_they_see():
    assert {
        row.receptive_field for row in ledger(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), (8,))
    } == {None}
    turned = Given(lambda m, x: m.fc(flat(x.view(-1, 1, 8, 8).flip(-1))), fc=nn.Linear(64, 6))
    rows = ledger(turned, (64,))  # in pictures, nobody would know what is seen after the flip
    assert [row.kind for row in rows] == ["view", "flatten", "Linear"]
    compiled = torch.compile(nn.Sequential(nn.Flatten(), nn.Linear(64, 6)), backend="eager")
    assert ledger(compiled, (1, 8, 8)).macs == 384
