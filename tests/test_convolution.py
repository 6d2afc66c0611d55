"""The convolution of lesson 02 against PyTorch: values, gradients, and what happens with input that does not fit."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from mnist_course import convolution
from mnist_course.convolution import (
    KERNELS,
    conv2d_loops,
    conv2d_unfold,
    conv_layer,
    max_pool2d,
    relu,
    slide,
    starts,
)

BOTH = pytest.mark.parametrize("conv", [conv2d_loops, conv2d_unfold])
MANY = settings(max_examples=40, deadline=None)


def randn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@st.composite
def conv_cases(draw):
    "Shapes and settings where the kernel fits: n, c, o, h, w, kh, kw, stride, padding, bias, seed."
    padding = draw(st.integers(0, 3))
    kh, kw = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    h, w = (draw(st.integers(max(1, k - 2 * padding), 8)) for k in (kh, kw))
    n, c, o = draw(st.integers(0, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return (
        n,
        c,
        o,
        h,
        w,
        kh,
        kw,
        draw(st.integers(1, 4)),
        padding,
        draw(st.booleans()),
        draw(st.integers(0, 999)),
    )


@BOTH
@MANY
@given(case=conv_cases())
def test_convolution_equals_torch(conv, case):
    n, c, o, h, w, kh, kw, stride, padding, has_bias, seed = case
    x, weight = randn(n, c, h, w, seed=seed), randn(o, c, kh, kw, seed=seed + 1)
    bias = randn(o, seed=seed + 2) if has_bias else None
    assert_close(conv(x, weight, bias, stride, padding), F.conv2d(x, weight, bias, stride, padding))


@BOTH
def test_convolution_keeps_dtype_and_leaves_its_input_alone(conv):
    x, weight = randn(1, 2, 5, 6).float(), randn(3, 2, 3, 2).float()
    before = x.clone(), weight.clone()
    y = conv(x, weight, padding=1)
    assert y.dtype == torch.float32 and y.shape == (1, 3, 5, 7)
    assert torch.equal(x, before[0]) and torch.equal(weight, before[1])


@BOTH
def test_convolution_has_the_gradients_of_torch(conv):
    inputs = [randn(2, 2, 5, 4), randn(3, 2, 3, 2, seed=1), randn(3, seed=2)]
    grads = []
    for f in (conv, F.conv2d):
        leaves = [t.clone().requires_grad_() for t in inputs]
        f(*leaves, stride=2, padding=1).square().sum().backward()
        grads.append([t.grad for t in leaves])
    assert_close(*grads)


@BOTH
def test_input_that_is_not_contiguous(conv):
    x, weight = randn(2, 6, 5, 3).permute(0, 3, 1, 2), randn(4, 3, 3, 3).flip(-1)
    assert_close(conv(x, weight), F.conv2d(x, weight))


x, weight = torch.zeros(2, 3, 5, 6), torch.zeros(4, 3, 3, 3)
BAD = {
    "image without batch": ((x[0], weight), {}, r"x must be \(N, C, H, W\).*\(3, 5, 6\)"),
    "kernels without channels": ((x, weight[:, 0]), {}, r"weight \(O, C, kh, kw\).*\(4, 3, 3\)"),
    "channels": ((x, weight[:, :2]), {}, "x has 3 channels, but each kernel has 2"),
    "bytes": ((x.to(torch.uint8), weight), {}, "floats of the same dtype, got torch.uint8"),
    "bytes twice": ((x.to(torch.uint8), weight.to(torch.uint8)), {}, "floats of the same dtype"),
    "two dtypes": ((x, weight.double()), {}, "torch.float32 and torch.float64"),
    "bias too short": ((x, weight, torch.zeros(3)), {}, r"bias must be torch.float32 \(4,\)"),
    "bias of two dimensions": ((x, weight, torch.zeros(4, 1)), {}, "one number a kernel"),
    "bias of another dtype": ((x, weight, torch.zeros(4).double()), {}, "got torch.float64"),
    "kernel too high": (
        (x, torch.zeros(4, 3, 6, 3)),
        {},
        "6 x 3 fits nowhere in an image of 5 x 6 with padding 0",
    ),
    "kernel too wide": (
        (x, torch.zeros(4, 3, 3, 9)),
        {"padding": 1},
        "3 x 9 fits nowhere .* padding 1",
    ),
    "kernel too high, with its padding": (
        (x, torch.zeros(4, 3, 8, 3)),
        {"padding": 1},
        "8 x 3 fits nowhere",
    ),
    "empty kernel": ((x, torch.zeros(4, 3, 0, 3)), {}, "0 x 3 fits nowhere"),
    "stride 0": ((x, weight), {"stride": 0}, "stride must be a whole number of at least 1, got 0"),
    "padding below 0": (
        (x, weight),
        {"padding": -1},
        "padding must be a whole number of at least 0",
    ),
}


ANOTHER_KIND = {
    "stride of a fraction": ((x, weight), {"stride": 1.5}, "stride must be a whole number"),
    "stride pair": ((x, weight), {"stride": (1, 2)}, r"stride .* got \(1, 2\)"),
    "image in a list": ((x.tolist(), weight), {}, "x must be a Tensor, got list"),
    "kernel in an array": ((x, weight.numpy()), {}, "weight must be a Tensor, got ndarray"),
    "bias of one number": ((x, weight, 0.5), {}, "bias must be a Tensor, got float"),
}


@BOTH
@pytest.mark.parametrize(("args", "options", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_a_value_error_that_says_why(conv, args, options, message):
    with pytest.raises(ValueError, match=message):
        conv(*args, **options)


@BOTH
@pytest.mark.parametrize(("args", "options", "message"), ANOTHER_KIND.values(), ids=ANOTHER_KIND)
def test_another_kind_of_thing_is_a_type_error_that_names_it(conv, args, options, message):
    with pytest.raises(TypeError, match=message):
        conv(*args, **options)


@MANY
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.data())
def test_max_pool_equals_torch(n, h, w, data):
    size = data.draw(st.integers(1, min(h, w)))
    stride = data.draw(st.none() | st.integers(1, 4))
    image = randn(n, 2, h, w, seed=data.draw(st.integers(0, 999)))
    assert_close(max_pool2d(image, size, stride), F.max_pool2d(image, size, stride))


def test_max_pool_takes_any_number_of_dimensions_before_the_image():
    images = randn(2, 3, 4, 5, 6)
    expected = F.max_pool2d(images.flatten(0, 2), 2).reshape(2, 3, 4, 2, 3)
    for there in ((), (0,), (0, 0), (1, 2, 3)):
        assert torch.equal(max_pool2d(images[there], 2), expected[there])


def test_max_pool_has_the_gradient_of_torch_where_there_is_one_largest_number():
    grads = []
    for f in (max_pool2d, F.max_pool2d):
        leaf = randn(2, 3, 7, 6).requires_grad_()
        f(leaf, 3, 2).square().sum().backward()
        grads.append(leaf.grad)
    assert_close(*grads)


@pytest.mark.parametrize(
    ("image", "size", "stride", "message"),
    [
        (x[0, 0, 0], 2, None, r"x must be \(H, W\), .*got \(6,\)"),
        (x, 6, None, "6 x 6 fits nowhere in an image of 5 x 6"),
        (x, 0, None, "kernel_size must be a whole number of at least 1"),
        (x, 2, 0, "stride must be a whole number of at least 1"),
    ],
)
def test_max_pool_with_bad_input(image, size, stride, message):
    with pytest.raises(ValueError, match=message):
        max_pool2d(image, size, stride)


@pytest.mark.parametrize(
    ("image", "size", "stride", "message"),
    [
        (x.numpy(), 2, None, "x must be a Tensor, got ndarray"),
        (x, (2, 2), None, r"kernel_size must be a whole number of at least 1, got \(2, 2\)"),
        (x, 2, 1.0, "stride must be a whole number"),
    ],
)
def test_max_pool_of_another_kind_of_thing(image, size, stride, message):
    with pytest.raises(TypeError, match=message):
        max_pool2d(image, size, stride)


def test_relu_equals_torch_also_at_zero_infinity_and_nan():
    numbers = torch.tensor([-float("inf"), -1.0, -0.0, 0.0, 0.5, float("inf"), float("nan")])
    grads = []
    for f in (relu, torch.relu):
        leaf = numbers.clone().requires_grad_()
        y = f(leaf)
        assert_close(y, torch.relu(numbers), equal_nan=True)
        y[:5].sum().backward()
        grads.append(leaf.grad)
    assert_close(*grads)
    assert torch.equal(numbers[:2], torch.tensor([-float("inf"), -1.0]))  # the input is not changed


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_starts_are_all_the_places_that_fit(size, kernel_size, stride):
    assert list(starts(size, kernel_size, stride)) == [
        i for i in range(0, size, stride) if i + kernel_size <= size
    ]


def test_named_kernels():
    flat, ramp = (
        torch.ones(1, 1, 3, 3),
        torch.arange(3.0).expand(1, 1, 3, 3),
    )  # one brightness; brighter to the right
    on_flat = {name: conv2d_unfold(flat, k[None, None]).item() for name, k in KERNELS.items()}
    on_ramp = {name: conv2d_unfold(ramp, k[None, None]).item() for name, k in KERNELS.items()}
    keep = {
        "identity",
        "blur",
        "sharpen",
    }  # those that leave a flat image as it is; the others answer 0
    assert on_flat == {name: pytest.approx(float(name in keep), abs=1e-6) for name in KERNELS}
    assert on_ramp["vertical edge"] == 8 and on_ramp["horizontal edge"] == 0
    assert torch.equal(KERNELS["horizontal edge"], KERNELS["vertical edge"].T)


def test_a_layer_agrees_with_pytorch_and_leaves_slide_alone(monkeypatch):
    "In the lesson, `slide` is the reader's own by then, and may well know one sheet only."
    monkeypatch.setattr(convolution, "slide", None)
    for c, o, kh, kw in (1, 1, 1, 2), (3, 2, 2, 3), (2, 5, 3, 1):
        maps, weight = randn(c, 5, 6), randn(o, c, kh, kw, seed=1)
        bias = randn(o, seed=2)
        assert_close(conv_layer(maps, weight, bias), F.conv2d(maps, weight, bias))


def test_slide_is_a_kernel_on_one_image():
    image, kernel = randn(5, 6), randn(2, 3, seed=1)
    assert_close(slide(image, kernel), F.conv2d(image[None, None], kernel[None, None])[0, 0])
