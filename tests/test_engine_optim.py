"Random numbers of every kind come back as they were; the valleys of the lesson are what they say."

import random
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.colors import to_hex

from mnist_course.data import BatchLoader
from mnist_course.engine.optim import (
    LastLayer,
    check_learns,
    keep_random,
    puzzle_range,
    random_states,
    read_batches,
    set_random_states,
    show_runs,
    show_valley,
    small_net,
)
from mnist_course.figure import GREEN


def draw(loader) -> list[float]:
    "One number of each kind."
    own = loader.generator
    return [
        random.random(),
        np.random.rand(),
        torch.rand(1).item(),
        torch.rand(1, generator=own).item(),
    ]


@pytest.fixture
def loader(small):
    return BatchLoader(small[1], 64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("fails", [False, True])
def test_random_numbers_are_kept(loader, fails):
    before = random_states(loader)
    try:
        with keep_random(loader):
            inside = draw(loader)
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert draw(loader) == inside != draw(loader)
    set_random_states(before, loader)
    assert draw(loader) == inside


def test_states_survive_a_file(loader, tmp_path):
    torch.save(random_states(loader), tmp_path / "states.pt")
    first = draw(loader)
    set_random_states(torch.load(tmp_path / "states.pt", weights_only=True), loader)
    assert draw(loader) == first
    set_random_states(random_states(), loader)  # of a run without a loader: its own stays
    assert draw(loader)[3] != first[3]


def test_random_numbers_of_gpus_that_are_not_here_are_left_out(monkeypatch):
    there = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, i: there.append((i, state)))
    set_random_states(random_states() | {"cuda": ["of the first", "of the second"]})
    assert there == [(0, "of the first")]


def test_a_model_without_numbers_is_told_apart_from_one_that_is_frozen():
    layer = torch.nn.Linear(3, 4, device="meta")
    with pytest.raises(ValueError, match="on the device meta"):
        check_learns(layer, layer.parameters())
    two = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    two[0].requires_grad_(False)
    with pytest.raises(ValueError, match="every parameter that the optimizer holds"):
        check_learns(two, two[0].parameters())
    check_learns(two, two.parameters())
    with pytest.raises(ValueError, match="the optimizer holds no parameter of this model"):
        check_learns(two, torch.nn.Linear(3, 4).parameters())
    with pytest.raises(ValueError, match="every parameter has requires_grad=False"):
        check_learns(two.requires_grad_(False), two.parameters())


@pytest.mark.parametrize(
    ("loader", "kind", "says"),
    [
        ([], ValueError, "the loader gave no batch: is its dataset empty?"),
        (3, TypeError, "loader must give batches (x, y), got int"),
        (
            BatchLoader,
            TypeError,
            "loader must give batches (x, y), got the class BatchLoader itself",
        ),
        ({"x": 1}, TypeError, "loader must give batches (x, y), got dict"),
        ("digits", TypeError, "loader must give batches (x, y), got str"),
        (
            torch.optim.SGD([torch.zeros(1)]),
            TypeError,
            "loader must give batches (x, y), got SGD: are loader and optimizer swapped?",
        ),
    ],
    ids=str,
)
def test_what_gives_no_batches_is_refused_and_named(loader, kind, says):
    with pytest.raises(kind) as refused:
        next(read_batches(loader))
    assert str(refused.value) == says


@pytest.fixture
def last():
    torch.manual_seed(0)
    hidden, labels = torch.randn(40, 3, dtype=torch.float64).relu(), torch.randint(4, (40,))
    return LastLayer(hidden, labels), torch.randn(4, 4, dtype=torch.float64)


def test_the_last_layer_has_the_loss_and_the_slopes_of_autograd(last):
    head, w = last
    layer = torch.nn.Linear(3, 4).double()
    packed = head.weights(layer)
    logits = layer(head.inputs[:, :3])
    torch.testing.assert_close(head.loss(packed), F.cross_entropy(logits, head.labels))
    slopes = torch.autograd.functional.jacobian(head.loss, w)
    torch.testing.assert_close(head.gradient(w), slopes)
    assert head.loss(torch.stack([w, packed])).shape == (2,)


def test_the_sharpest_direction_is_the_top_of_the_hessian(last):
    head, w = last
    hessian = torch.autograd.functional.hessian(head.loss, w).reshape(16, 16)
    sharp = head.sharpest(w, rounds=500)
    torch.testing.assert_close(
        torch.tensor(head.curvature(w, sharp)).double(), torch.linalg.eigvalsh(hessian)[-1]
    )
    d = torch.randn(4, 4, dtype=torch.float64)
    bend = (d.flatten() @ hessian @ d.flatten() / (d * d).sum()).item()
    assert head.curvature(w, 3 * d) == pytest.approx(bend)


def test_a_plane_has_right_angles_and_its_own_slopes(last):
    head, w = last
    across, along = torch.randn(2, 4, 4, dtype=torch.float64)
    loss, slopes = head.plane(w, across, along)
    torch.testing.assert_close(loss(torch.zeros(2)), head.loss(w))
    xy = torch.tensor([0.3, -0.7], dtype=torch.float64)
    torch.testing.assert_close(slopes(xy), torch.autograd.functional.jacobian(loss, xy))
    step = across / across.norm()
    torch.testing.assert_close(loss(torch.tensor([0.5, 0.0])), head.loss(w + 0.5 * step))
    frame = torch.linalg.qr(torch.stack([across.flatten(), along.flatten()], 1)).Q
    up = frame[:, 1] * (frame[:, 1] @ along.flatten()).sign()  # to the side of `along`
    torch.testing.assert_close(loss(torch.tensor([0.0, 0.5])), head.loss(w + 0.5 * up.view(4, 4)))


def test_a_valley_is_drawn_on_one_scale_and_described():
    path = torch.tensor([[1.0, 2.0], [-1.0, 1.5]])
    figure = show_valley(lambda w: (w**2).sum(-1), [path, path], ["one", "two"])
    assert all(ax.get_aspect() == 1 for ax in figure.axes)
    assert "two: from (1.00, 2.00) to (-1.00, 1.50) in 1 steps" in figure.description
    (start, goal) = [len(line.get_xdata()) for line in figure.axes[0].lines[1:]]
    assert (start, goal) == (1, 1) and not figure.axes[0].texts
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    for ax in figure.axes:
        assert ax.get_xlabel() == "x, across" and ax.lines[0].get_xydata().tolist() == path.tolist()
        assert ax.lines[2].get_xydata().tolist() == [[0, 0]]
        assert to_hex(ax.lines[2].get_color()) == GREEN.lower()
        gaps = np.diff(np.sqrt(ax.collections[0].levels))  # lines for each step of the root
        assert len(gaps) == 13 and gaps == pytest.approx(gaps[0], rel=1e-3)
    arrow = torch.tensor([0.0, -2.0])
    bare = show_valley(lambda w: (w**2).sum(-1) - 0.01, [path], ["one"], goal=None, arrows=[arrow])
    assert len(bare.axes[0].lines) == 2  # the path, and where it begins
    (drawn,) = bare.axes[0].texts
    assert drawn.xy == pytest.approx([-1.0, 1.5 - 3.4], abs=1e-6)  # along the arrow, at any length
    with pytest.raises(ValueError, match="need as many titles"):
        show_valley(lambda w: (w**2).sum(-1), [path], ["one", "two"])


def test_runs_are_described_and_small_nets_leave_no_trace():
    figure = show_runs({"0.1": ([2.3, 0.5], 91.25), "0.2": ([2.3, 0.25], 93.0)})
    assert "The loss over 2 steps." in figure.description
    assert "lr 0.2: from 2.30 to 0.250" in figure.description
    (ax,) = figure.axes
    assert ax.get_xlabel() == "step" and ax.get_ylabel() == "loss of 500 training digits"
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2.3, 0.5], [2.3, 0.25]]
    before = torch.get_rng_state()
    first, again, other = (small_net(seed)[0].weight for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    net = small_net(0)
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in net.parameters()) == 13_610


def test_the_lowest_dot_of_the_puzzle_lies_off_its_curve():
    figure = puzzle_range()
    dots, curve = figure.axes[0].lines
    low = int(np.argmin(dots.get_ydata()))
    assert dots.get_ydata()[low] == 0.3 and curve.get_ydata()[low] > 0.6
    at_least = float(curve.get_xdata()[int(np.argmin(curve.get_ydata()))])
    assert at_least == pytest.approx(0.2, rel=0.1) and dots.get_xdata()[low] < at_least / 2
    assert figure.description.endswith("The lowest single batch, 0.3, is at 0.06.")
    assert dots.get_xdata()[low] == pytest.approx(0.06, rel=0.1)
    told = re.findall(r"([\d.]+) at ([\d.]+)(?=[,;])", figure.description)
    heights = np.interp([float(lr) for _, lr in told], *curve.get_data())
    assert heights == pytest.approx([float(loss) for loss, _ in told], abs=0.02)
    assert {"0.01", "0.05", "0.1", "0.2", "0.4"} <= {lr for _, lr in told}
    width, height = figure.get_size_inches()
    assert width > height
