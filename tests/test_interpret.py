"""Looking inside: windows that close, gradients that are right, Grad-CAM against one written without hooks, errors in words."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from mnist_course.data import DigitDataset, normalize
from mnist_course.engine.interpret import _find_layer, unit_value
from mnist_course.environment import seed_everything
from mnist_course.interpret import (
    INK,
    PAPER,
    SCORES,
    embed,
    erase,
    excite,
    feature_maps,
    grad_cam,
    occlusion,
    pca,
    pick,
    saliency,
    watch_layers,
)
from mnist_course.model import Net, load_pretrained, trace


@pytest.fixture(scope="module")
def net() -> Net:
    return load_pretrained()


@pytest.fixture(scope="module")
def digits(sample) -> torch.Tensor:
    return normalize(sample[1].images[:6])


def scores_of(net: Net, x: torch.Tensor) -> torch.Tensor:
    "The ten scores, by the layers themselves: nothing of the module under test."
    x = F.max_pool2d(F.relu(net.conv2(F.relu(net.conv1(x)))), 2)
    return scores_from(net, F.relu(net.conv4(F.relu(net.conv3(x)))))


def scores_from(net: Net, maps: torch.Tensor) -> torch.Tensor:
    "The ten scores, from conv4's maps after their ReLU."
    return net.fc2(F.relu(net.fc1(F.max_pool2d(maps, 2).flatten(1))))


def hooks(model: nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in model.modules()
    )


# --- windows


def test_a_window_shows_the_layers_output_and_closes():
    model = Net().train()
    model.conv2.eval()  # a mixed state must stay as it is
    x = torch.randn(2, 1, 28, 28)
    with watch_layers(model, "conv1", "fc2") as seen:
        assert not model.training and hooks(model) == 2
        model(x)
    assert (
        hooks(model) == 0 and model.training and not model.conv2.training and model.conv3.training
    )
    assert list(seen) == ["conv1", "fc2"]
    assert_close(seen["conv1"], model.conv1(x))
    assert_close(seen["fc2"].log_softmax(1), model(x))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_it_closes_after_an_error_of_any_kind(error):
    model = Net().train()
    with (
        pytest.raises(error),
        watch_layers(model, "conv1"),
        watch_layers(model, "conv1", "conv4", relu=True),
    ):
        assert hooks(model) == 3
        raise error
    assert hooks(model) == 0 and all(m.training for m in model.modules())


def test_a_layer_that_does_not_exist_is_named_and_no_window_is_left_open(net):
    for name in ("conv5", "", None, 3, "conv1.weight"):
        with pytest.raises(
            ValueError,
            match=r"there is no layer .*; there are conv1, conv2, conv3, conv4, fc1, fc2$",
        ):
            _find_layer(net, name)
        with pytest.raises(ValueError, match="there is no layer"), watch_layers(net, "conv1", name):
            pass
    assert hooks(net) == 0 and _find_layer(net, "fc1") is net.fc1
    with pytest.raises(ValueError, match="there are none"):
        _find_layer(nn.ReLU(), "0")


def test_hooks_of_others_stay():
    model, calls = Net(), []
    theirs = model.conv1.register_forward_hook(lambda *call: calls.append(1))
    with watch_layers(model, "conv1"):
        model(torch.zeros(1, 1, 28, 28))
    assert hooks(model) == 1 and calls == [1]
    theirs.remove()


def test_looking_after_the_relu_changes_no_answer(net, digits):
    with torch.no_grad(), watch_layers(net, "conv1", "conv4", relu=True) as seen:
        answer = net(digits)
    steps = trace(net, digits)
    assert_close(answer, steps["fc2.log_softmax"])
    assert_close(seen["conv4"], steps["conv4.relu"])
    assert_close(seen["conv1"], steps["conv1.relu"])


def test_an_in_place_step_does_not_change_what_was_seen():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
    x = torch.randn(4, 3)
    with torch.no_grad(), watch_layers(model, "0") as seen:
        model(x)
    assert_close(seen["0"], model[0](x))


# --- maps


def test_feature_maps_are_those_of_a_trace(net, digits):
    maps, steps = feature_maps(net, digits[:1]), trace(net, digits[:1])
    assert list(maps) == ["conv1", "conv2", "conv3", "conv4", "fc1", "fc2"]
    assert [tuple(x.shape) for x in maps.values()] == [
        (32, 26, 26),
        (64, 24, 24),
        (128, 10, 10),
        (256, 8, 8),
        (50,),
        (10,),
    ]
    for name, x in maps.items():
        assert_close(x, steps[name][0])
        assert not x.requires_grad


WRONG_IMAGES = [
    (torch.zeros(28, 28), r"expects torch.float32 \(N, 1, 28, 28\).*x\[None, None\]"),
    (torch.zeros(1, 28, 28), r"expects .* got torch.float32 \(1, 28, 28\)"),
    (torch.zeros(1, 1, 32, 32), "expects"),
    (torch.zeros(1, 1, 28, 28, dtype=torch.uint8), "normalize"),
    (torch.full((1, 1, 28, 28), 255.0), "raw pixels"),
    ("4", "got a str, not a tensor"),
]


@pytest.mark.parametrize("look", [feature_maps, saliency, grad_cam, occlusion])
@pytest.mark.parametrize(("image", "says"), WRONG_IMAGES)
def test_a_wrong_image_is_named(net, look, image, says):
    with pytest.raises(TypeError if isinstance(image, str) else ValueError, match=says):
        look(net, image)
    assert hooks(net) == 0


@pytest.mark.parametrize("look", [feature_maps, occlusion])
def test_one_image_is_one_image(net, digits, look):
    for n in (0, 3):
        with pytest.raises(ValueError, match=rf"one image is needed, \(1, 1, 28, 28\), got {n}"):
            look(net, digits[:n])


# --- exciting a unit


@pytest.mark.parametrize(
    ("layer", "field"), [("conv1", 3), ("conv2", 5), ("conv3", 10), ("conv4", 14)]
)
def test_only_the_receptive_field_is_inked(net, layer, field):
    image = excite(net, layer, 5, steps=8)
    ink = (image[0, 0] > PAPER + 0.5).nonzero()
    assert image.shape == (1, 1, 28, 28) and len(ink)
    assert (ink.max(0).values - ink.min(0).values + 1).max() <= field


def test_the_unit_rises_and_pixels_stay_pixels(net):
    def value(image, layer, unit):
        return unit_value(feature_maps(net, image)[layer], unit)

    for layer, unit in (("conv2", 3), ("conv4", 200), ("fc1", 2), (SCORES, 7)):
        before, after = excite(net, layer, unit, steps=0), excite(net, layer, unit, steps=25)
        assert value(after, layer, unit) > value(before, layer, unit) + 1
        for image in (before, after):
            assert image.min() >= PAPER - 1e-6 and image.max() <= INK + 1e-6
    assert net(excite(net, SCORES, 7)).argmax() == 7


def test_a_seed_gives_one_picture_and_leaves_the_random_numbers_alone(net):
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, again, other = (excite(net, "conv3", 1, steps=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.rand(2), expected)
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("unit", [-1, 32, 1.0, True, None])
def test_a_unit_that_does_not_exist_is_named(net, unit):
    with pytest.raises(
        ValueError, match=r"this layer gives \(32, 26, 26\): its units are 0 to 31, got"
    ):
        excite(net, "conv1", unit, steps=1)


# --- saliency


@pytest.mark.parametrize("choice", [None, 3, torch.tensor([0, 1, 2, 3, 4, 9])])
def test_saliency_is_the_size_of_the_scores_gradient(net, digits, choice):
    x = digits.clone().requires_grad_()
    scores = scores_of(net, x)
    chosen = scores.argmax(1) if choice is None else torch.as_tensor(choice).expand(6)
    for i in range(6):  # one image after the other
        (gradient,) = torch.autograd.grad(scores[i, chosen[i]], x, retain_graph=True)
        assert_close(saliency(net, digits, choice)[i], gradient[i, 0].abs(), rtol=1e-3, atol=1e-5)


def test_saliency_is_the_change_that_a_pixel_makes(net, digits):
    "Central differences, in float64, at the pixels that are felt most."
    exact = Net().double().eval()
    exact.load_state_dict(net.state_dict())
    x = digits[:1].double() + 0.01 * torch.randn(
        1, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )  # no ties for max
    felt = saliency(exact, x, 4)[0]
    for place in felt.flatten().topk(5).indices:
        step = (
            torch.zeros(784, dtype=torch.float64).index_fill(0, place, 1e-6).reshape(1, 1, 28, 28)
        )
        slope = (scores_of(exact, x + step) - scores_of(exact, x - step))[0, 4] / 2e-6
        assert_close(felt.flatten()[place], slope.abs(), rtol=1e-4, atol=1e-7)


def test_looking_leaves_no_trace(net, digits):
    x, before = digits.clone(), {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():  # it must work here too
        for look in (saliency, grad_cam):
            out = look(net, x)
            assert out.shape == (6, 28, 28) and not out.requires_grad and (out >= 0).all()
    assert torch.equal(x, digits) and not x.requires_grad and hooks(net) == 0
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    "wrong",
    [
        10,
        -1,
        2.0,
        True,
        torch.tensor([1, 2]),
        torch.tensor([1.0] * 6),
        torch.full((6,), 10),
        torch.zeros(6, 1).long(),
    ],
)
def test_digits_that_do_not_exist_are_named(net, digits, wrong):
    with pytest.raises(ValueError, match="digits must be a whole number from 0 to 9, or 6 of them"):
        pick(scores_of(net, digits), wrong)
    for look in (saliency, grad_cam):
        with pytest.raises(ValueError, match="digits must be"):
            look(net, digits, wrong)
    assert hooks(net) == 0


@pytest.mark.parametrize("look", [saliency, grad_cam])
def test_no_image_gives_no_map(net, digits, look):
    assert look(net, digits[:0]).shape == (0, 28, 28)


# --- Grad-CAM


def by_hand(net: Net, x: torch.Tensor, digit: int) -> torch.Tensor:
    "Grad-CAM of one image (1, 1, 28, 28), without a hook, channel by channel and pixel by pixel."
    h = F.max_pool2d(F.relu(net.conv2(F.relu(net.conv1(x)))), 2)
    maps = F.relu(net.conv4(F.relu(net.conv3(h)))).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(scores_from(net, maps)[0, digit], maps)
    heat = torch.zeros(8, 8)
    for k in range(256):
        weight = sum(gradient[0, k, i, j] for i in range(8) for j in range(8)) / 64
        heat += weight * maps.detach()[0, k]
    return heat.clamp(min=0)


def enlarge(small: torch.Tensor, size: int) -> torch.Tensor:
    "Bilinear interpolation between the middles of the pixels, written out."
    n = len(small)
    at = [min(max((i + 0.5) * n / size - 0.5, 0), n - 1) for i in range(size)]
    out = torch.zeros(size, size)
    for i, y in enumerate(at):
        for j, x in enumerate(at):
            top, left = min(int(y), n - 2), min(int(x), n - 2)
            dy, dx = y - top, x - left
            rows = small[top : top + 2, left : left + 2] * torch.tensor([[1 - dy], [dy]])
            out[i, j] = (rows * torch.tensor([[1 - dx, dx]])).sum()
    return out


@pytest.mark.parametrize(("i", "digit"), [(0, 7), (4, 4), (4, 9), (5, 1)])
def test_grad_cam_equals_one_written_without_hooks(net, digits, i, digit):
    expected = by_hand(net, digits[i : i + 1], digit)
    assert expected.max() > 0
    assert_close(
        grad_cam(net, digits[i : i + 1], digit, stretch=False)[0], expected, rtol=1e-3, atol=1e-6
    )
    assert_close(
        grad_cam(net, digits[i : i + 1], digit)[0], enlarge(expected, 28), rtol=1e-3, atol=1e-6
    )


def test_grad_cam_of_a_batch_is_that_of_each_image(net, digits):
    chosen = torch.tensor([7, 2, 1, 0, 4, 1])
    together = grad_cam(net, digits, chosen)
    for i in range(6):
        assert_close(
            together[i], grad_cam(net, digits[i : i + 1], int(chosen[i]))[0], rtol=1e-3, atol=1e-6
        )


def test_grad_cam_at_other_layers(net, digits):
    for layer, size in (("conv1", 26), ("conv2", 24), ("conv3", 10)):
        assert grad_cam(net, digits[:2], layer=layer, stretch=False).shape == (2, size, size)


def test_grad_cam_refuses_layers_without_maps_or_without_a_relu(net, digits):
    with pytest.raises(
        ValueError,
        match=r"needs a layer that gives maps, with a ReLU after it; fc1 gives \(6, 50\)",
    ):
        grad_cam(net, digits, layer="fc1")
    with pytest.raises(ValueError, match="there is no layer 'conv9'"):
        grad_cam(net, digits, layer="conv9")

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv4, self.fc2 = nn.Conv2d(1, 3, 3), nn.Linear(3 * 26 * 26, 10)

        def forward(self, x):
            return self.fc2(self.conv4(x).flatten(1)).log_softmax(1)

    seed_everything(0)
    model = Linear()
    with pytest.raises(ValueError, match="with a ReLU after it; conv4 gives"):
        grad_cam(model, digits)
    assert hooks(model) == hooks(net) == 0


# --- occlusion


@settings(max_examples=8)
@given(size=st.integers(1, 28), stride=st.integers(4, 9), fill=st.sampled_from([PAPER, INK, 0.0]))
def test_occlusion_is_what_covering_by_hand_costs(net, digits, size, stride, fill):
    x = digits[4:5]
    drops = occlusion(net, x, 9, size, stride, fill)
    places = len(range(0, 28 - size + 1, stride))
    assert drops.shape == (places, places)
    with torch.no_grad():
        for i, j in {(0, 0), (places // 2, places - 1), (places - 1, 0)}:
            covered = x.clone()
            covered[0, 0, i * stride : i * stride + size, j * stride : j * stride + size] = fill
            assert_close(
                drops[i, j],
                (scores_of(net, x) - scores_of(net, covered))[0, 9],
                rtol=1e-3,
                atol=1e-3,
            )


def test_covering_paper_with_paper_costs_nothing(net, sample):
    x = normalize(sample[1].images[4:5])
    corner = occlusion(net, x, size=3)[0, 0]
    assert_close(corner, torch.tensor(0.0), rtol=0, atol=1e-4)


def test_unasked_it_is_the_answer_for_the_whole_image_that_is_covered(net, digits):
    for x in digits[:, None]:
        answer = int(scores_of(net, x).argmax())
        assert_close(occlusion(net, x, size=28), occlusion(net, x, answer, size=28))
    assert_close(occlusion(net, x), occlusion(net, x, answer, size=5, stride=1))


def test_a_patch_that_does_not_fit_is_named(net, digits):
    for options, says in (
        ({"size": 29}, "does not fit"),
        ({"size": 0}, "at least 1"),
        ({"stride": 0}, "stride must be at least 1"),
    ):
        with pytest.raises(ValueError, match=says):
            occlusion(net, digits[:1], **options)
    with pytest.raises(ValueError, match="digits must be"):
        occlusion(net, digits[:1], 10)
    assert hooks(net) == 0


# --- the fifty numbers


def test_embed_gives_what_fc2_reads(net, small):
    dataset = DigitDataset(small[0].images[:520], small[0].labels[:520])  # more than one batch
    fifty = embed(net, dataset)
    x = normalize(dataset.images)
    assert fifty.shape == (520, 50) and fifty.dtype == torch.float32 and not fifty.requires_grad
    with torch.no_grad():
        assert_close(net.fc2(fifty), scores_of(net, x), rtol=1e-3, atol=1e-3)
    assert embed(net, DigitDataset(dataset.images[:3], dataset.labels[:3]), "conv4").shape == (
        3,
        256 * 64,
    )
    with pytest.raises(ValueError, match="no layer 'fc3'"):
        embed(net, dataset, "fc3")
    with pytest.raises(ValueError, match="holds no digit"):
        embed(net, DigitDataset(dataset.images[:0], dataset.labels[:0]))


@settings(max_examples=25)
@given(n=st.integers(3, 30), d=st.integers(2, 8), seed=st.integers(0, 99))
def test_pca_finds_the_eigenvectors_of_the_covariance(n, d, seed):
    points = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    k = min(n, d)
    coordinates, directions, shares = pca(points, k)
    values, vectors = torch.linalg.eigh(torch.cov(points.T))
    values, vectors = values.flip(0)[:k].clamp(min=0), vectors.flip(1)[:, :k]
    assert_close(shares, values / values.sum())
    assert_close(directions @ directions.T, torch.eye(k, dtype=torch.float64))
    assert_close(coordinates.T @ coordinates / (n - 1), torch.diag(values), rtol=1e-6, atol=1e-8)
    spread = values > 1e-9
    assert_close(
        (directions[spread] * vectors.T[spread]).sum(1).abs(),
        torch.ones(int(spread.sum()), dtype=torch.float64),
        rtol=1e-5,
        atol=1e-5,
    )
    assert (directions.gather(1, directions.abs().argmax(1, keepdim=True)) > 0).all()
    if k == d:  # nothing was lost
        assert_close(coordinates @ directions + points.mean(0), points)


def test_pca_does_not_depend_on_the_order_or_the_origin():
    points = torch.randn(40, 5) * torch.tensor([9.0, 5, 2, 1, 0.1])
    order = torch.randperm(40)
    first, second = pca(points)[0], pca(points[order] + 100)[0]
    assert_close(first[order], second, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("points", "k"),
    [
        (torch.zeros(5), 1),
        (torch.rand(1, 4), 1),
        (torch.rand(5, 3), 0),
        (torch.rand(5, 3), 4),
        (torch.full((4, 3), torch.nan), 2),
    ],
)
def test_pca_names_what_it_cannot_use(points, k):
    with pytest.raises(ValueError, match=r"points must be \(N, D\)"):
        pca(points, k)


@pytest.mark.parametrize(
    ("points", "error", "words"),
    [
        (None, TypeError, "points must be a Tensor, got NoneType"),
        (torch.rand(5, 3).numpy(), TypeError, "torch.from_numpy makes one"),
        (torch.ones(5, 3).long(), ValueError, r"must be floats.+points.float\(\)"),
    ],
    ids=["nothing", "array", "whole numbers"],
)
def test_pca_says_what_makes_points(points, error, words):
    with pytest.raises(error, match=words):
        pca(points)


def test_pca_of_one_point_many_times():
    with pytest.raises(ValueError, match="all points are the same"):
        pca(torch.ones(5, 3))


# --- erasing


def test_erasing_takes_the_most_important_pixels_of_each_image_and_no_others(digits):
    importance = torch.rand(6, 28, 28)
    before = digits.clone()
    left = erase(digits + 5, importance, 30)  # nothing is black before
    gone = left[:, 0] == PAPER
    assert (gone.flatten(1).sum(1) == 30).all() and torch.equal(digits, before)
    for i in range(6):
        assert importance[i][gone[i]].min() > importance[i][~gone[i]].max()
    assert torch.equal(left[:, 0][~gone], (digits + 5)[:, 0][~gone])


# --- networks without numbers


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (None, TypeError, "model must be a Module, got NoneType"),
        (Net, TypeError, r"got the class Net itself: Net\(\) makes one"),
        (Net().to("meta"), ValueError, "on the device meta"),
        (nn.Sequential(nn.Flatten(), nn.LogSoftmax(1)), ValueError, "has no parameters"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), ValueError, "has a lazy layer"),
    ],
    ids=["nothing", "class", "meta", "no weights", "lazy"],
)
@pytest.mark.parametrize(
    "look",
    [
        saliency,
        grad_cam,
        lambda model, x: feature_maps(model, x[:1]),
        lambda model, x: occlusion(model, x[:1]),
        lambda model, x: excite(model, "conv1", 0, steps=1),
        lambda model, x: embed(model, DigitDataset(torch.zeros(1, 28, 28).byte(), [0])),
    ],
    ids=["saliency", "grad_cam", "feature_maps", "occlusion", "excite", "embed"],
)
def test_what_cannot_be_looked_into_is_named(digits, look, model, error, words):
    with pytest.raises(error, match=words):
        look(model, digits)
