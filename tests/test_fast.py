"The fast recipe and its optimizer: equal results where they are promised, and a fair clock."

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mnist_course.engine.fast as engine
from mnist_course.arithmetic import ledger
from mnist_course.cli import main
from mnist_course.data import BatchLoader, DigitDataset, make_loaders, normalize
from mnist_course.engine.fast import FastForward
from mnist_course.environment import seed_everything
from mnist_course.fast import (
    FRACTION,
    Muon,
    center_crop,
    fair_seconds,
    fast_log_probs,
    fast_recipe,
    fast_weights,
    forward_macs,
    orthogonal,
)
from mnist_course.model import Net
from mnist_course.training import (
    RECIPES,
    fit,
    initial_weights,
    load_weights,
    make_recipe,
    save_weights,
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x(small):
    return normalize(small[0].images[:16])


def test_the_middle_is_what_the_middle_weights_of_fc1_see(net, x):
    "With zeros around the middle cells, the network gives the same for a picture and for its middle: exactly the 20 x 20 pixels they see."
    fast_weights(net)
    torch.testing.assert_close(fast_log_probs(net, center_crop(x, 20)), net(x))
    changed = x.clone()
    changed[:, :, :4] = changed[:, :, 24:] = 2.0
    torch.testing.assert_close(net(changed), net(x))
    changed[:, :, 4] = 2.0
    assert not torch.allclose(net(changed), net(x))


def test_forward_macs_are_the_ledgers(net):
    assert forward_macs() == [row.macs for row in ledger(net) if row.params]
    for side in (20, 24):
        maps = center_crop(torch.zeros(1, 1, 28, 28), side)
        sizes = [net.conv1(maps).shape[-1], net.conv2(net.conv1(maps)).shape[-1]]
        assert forward_macs(side)[:2] == [9 * 32 * sizes[0] ** 2, 9 * 32 * 64 * sizes[1] ** 2]
    with pytest.raises(ValueError, match="16, 20, 24 or 28 pixels, got 12"):
        forward_macs(12)


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (5, 5)])
def test_orthogonal_keeps_directions_and_levels_lengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    made = orthogonal(matrix)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ made @ v.T  # in the matrix's own directions
    assert made.shape == shape and (inside.diag() > 0.5).all() and (inside.diag() < 1.5).all()
    assert (inside - inside.diag().diag()).abs().max() < 1e-3
    torch.testing.assert_close(
        orthogonal(100 * matrix), made, rtol=1e-3, atol=1e-4
    )  # only the directions count
    assert not orthogonal(torch.zeros(shape)).any()


def test_muon_without_matrices_is_sgd_with_nesterov():
    torch.manual_seed(0)
    ours, theirs = (nn.Linear(4, 3) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    a = Muon([{"params": ours.parameters()}], lr=0.1)
    b = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(5):
        x = torch.randn(8, 4)
        for model, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_muon_steps_are_orthogonal_and_skip_what_is_frozen():
    layer, still = nn.Conv2d(2, 4, 3, bias=False), nn.Linear(2, 2)
    before = layer.weight.detach().clone(), still.weight.detach().clone()
    optimizer = Muon(
        [{"params": layer.parameters(), "orthogonal": True}, {"params": still.parameters()}], lr=0.5
    )
    layer(torch.randn(3, 2, 6, 6)).square().sum().backward()
    optimizer.step()
    lengths = torch.linalg.svdvals((layer.weight.detach() - before[0]).flatten(1))
    assert torch.equal(still.weight, before[1]) and lengths.min() > 0.25 and lengths.max() < 0.75
    with pytest.raises(ValueError, match="lr must be greater than 0"):
        Muon(layer.parameters(), lr=0)


def test_directions_need_few_digits():
    torch.manual_seed(0)
    matrix = torch.randn(64, 288)
    exact, coarse = orthogonal(matrix), orthogonal(matrix, dtype=torch.bfloat16)
    assert coarse.dtype == torch.float32 and not torch.equal(exact, coarse)
    assert F.cosine_similarity(exact.flatten(), coarse.flatten(), dim=0) > 0.99


def test_the_forward_pass_follows_the_plan(net, x, small, monkeypatch):
    recipe, seen = fast_recipe(net, 20), []
    real = engine.fast_log_probs
    monkeypatch.setattr(
        engine,
        "fast_log_probs",
        lambda model, x, frozen: seen.append((x.shape[-1], frozen)) or real(model, x, frozen),
    )
    for _ in range(recipe.steps(20)):
        log_probs, y, loss = recipe.forward(net, x, small[0].labels[:16], "float32")
        recipe.optimizer.step()
        recipe.scheduler.step()
    assert seen[0] == (20, 1) and seen[-1] == (28, 3) and len(seen) == round(FRACTION * 20)
    smooth = -(0.9 * log_probs.gather(1, y[:, None])[:, 0] + 0.1 * log_probs.mean(1)).mean()
    torch.testing.assert_close(loss, smooth)


@pytest.fixture
def no_bfloat16(monkeypatch):
    "The tests take float32, whatever is faster here: they compare digits behind the point."
    monkeypatch.setattr(engine, "faster_precision", lambda device="cpu": "float32")


def run(small, seed=0, epochs=1, **more):
    seed_everything(seed)
    model = Net()
    loaders = make_loaders(*small, batch_size=16)
    initial_weights("fast", model)
    return model, fit(model, *loaders, recipe="fast", epochs=epochs, progress=False, **more)


def test_fit_takes_the_name_and_gives_an_ordinary_net(small, tmp_path, no_bfloat16):
    model, history = run(small)
    assert (
        history.settings == {"recipe": "fast", "precision": "float32", "dataset": "DigitDataset"}
        and history.test_acc[-1] > 0.15
    )
    save_weights(tmp_path / "net.safetensors", model)
    again = load_weights(tmp_path / "net.safetensors", Net())
    x = normalize(small[1].images[:50])
    torch.testing.assert_close(
        again(x), model(x), rtol=1e-4, atol=1e-4
    )  # channels last, so other sums
    assert sum(p.numel() for p in again.parameters()) == 593_200


def test_a_share_of_the_batches(small, no_bfloat16):
    seen = []

    class Counting(BatchLoader):
        def __iter__(self):
            for batch in super().__iter__():
                seen.append(len(batch[1]))
                yield batch

    fit(Net(), Counting(small[0], 16), BatchLoader(small[1], 100), recipe="fast", progress=False)
    assert len(seen) == round(FRACTION * 40)


def test_the_last_step_gives_the_mean_of_the_last_fifth(net, small):
    recipe, before = fast_recipe(net, 18), []
    x, y = normalize(small[0].images[:4]), small[0].labels[:4]
    for step in range(1, 11):  # 55 % of 18
        recipe.compute(net, x, y)[2].backward()
        recipe.optimizer.step()
        before.append([p.detach().clone() for p in net.parameters()])
        recipe.tick("epoch")  # another clock
        recipe.tick("batch")
        if step < 10:
            assert all(map(torch.equal, before[-1], net.parameters()))
    means = [(a + b) / 2 for a, b in zip(*before[-2:], strict=True)]
    for mean, p in zip(means, net.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), mean)
    assert not torch.equal(before[-1][-1], p)  # the bias of fc2 moves to the end
    assert not any("mean" in state for state in recipe.optimizer.state.values())


def test_the_learning_rate_ends_at_a_quarter_of_its_top(net):
    schedule = fast_recipe(net, 100).scheduler
    rates = []
    for _ in range(55):
        rates.append(schedule.get_last_lr())
        schedule.optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx([0.04, 0.05], rel=0.01)
    assert rates[0] == pytest.approx([0.0016, 0.002])
    assert rates[-1] == pytest.approx([0.01, 0.0125])


@pytest.mark.slow
@pytest.mark.parametrize(("digits", "epochs", "stop"), [(640, 2, 2), (64, 10, 10)])
def test_resuming_gives_the_same_numbers(small, tmp_path, no_bfloat16, digits, epochs, stop):
    "In ten epochs of two steps, the last two epochs are averaged, and Ctrl-C comes between them."
    few = DigitDataset(small[0].images[:digits], small[0].labels[:digits])
    whole, history = run((few, small[1]), epochs=epochs)
    stops = Stops(few, stop)
    seed_everything(0)
    model = Net()
    initial_weights("fast", model)
    tests = BatchLoader(small[1], 1000)
    checkpoint = {"checkpoint": tmp_path / "c.pt", "progress": False, "epochs": epochs}
    with pytest.warns(match="Stopped by you"):
        fit(model, stops, tests, recipe="fast", **checkpoint)
    seed_everything(5)
    again = Net()
    loader = BatchLoader(few, 16, shuffle=True)
    resumed = fit(again, loader, tests, recipe="fast", resume=True, **checkpoint)
    assert resumed.train_loss == history.train_loss and resumed.test_loss == history.test_loss
    assert all(map(torch.equal, whole.parameters(), again.parameters()))


class Stops(BatchLoader):
    "Ctrl-C at the beginning of an epoch."

    def __init__(self, dataset, stop):
        super().__init__(dataset, 16, shuffle=True)
        self.stop, self.epochs = stop, 0

    def __iter__(self):
        self.epochs += 1
        if self.epochs == self.stop:
            raise KeyboardInterrupt
        return super().__iter__()


def test_what_the_recipe_refuses(small):
    other = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    with pytest.raises(
        ValueError, match='made for Net, got a Sequential: recipe="one-cycle" takes any network'
    ):
        fast_recipe(other, 10)
    loaders = make_loaders(*small)
    with pytest.raises(
        ValueError, match="recipe must be one of seed, one-cycle, fast, got 'quick'"
    ):
        fit(other, *loaders, recipe="quick")
    with pytest.raises(ValueError, match="made for Net"):
        initial_weights("fast", other)
    with pytest.raises(
        ValueError, match=r"an optimizer or a recipe \(seed, one-cycle, fast\), and not both"
    ):
        fit(other, *loaders)
    with pytest.raises(ValueError, match="not both"):
        fit(other, *loaders, torch.optim.SGD(other.parameters(), lr=0.1), recipe="seed")


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_can_be_made_by_name(name, no_bfloat16):
    recipe = make_recipe(name, Net(), 10, 2)
    assert recipe.step_every == ("epoch" if name == "seed" else "batch") and isinstance(
        recipe.forward, FastForward
    ) == (name == "fast")


def test_the_command_line_chooses_the_precision(small, tmp_path, monkeypatch, no_bfloat16):
    import mnist_course.data

    monkeypatch.setattr(mnist_course.data, "load_mnist", lambda *args, **kwargs: small)
    monkeypatch.chdir(tmp_path)
    for recipe, batch_size in (("fast", 128), ("seed", 64)):
        assert main(["train", "--recipe", recipe, "--epochs", "1", "--out", recipe]) == 0
        settings = json.loads((tmp_path / recipe / "settings.json").read_text())
        assert (
            settings["recipe"],
            settings["epochs"],
            settings["precision"],
            settings["batch_size"],
        ) == (recipe, 1, "float32", batch_size)


def test_fair_seconds_takes_turns_and_does_not_count_the_first():
    calls, clock = [], iter(range(1000))

    def job(name):
        calls.append(name)

    seconds = fair_seconds({"a": lambda: job("a"), "b": lambda: job("b")}, rounds=3)
    assert (
        calls == ["a", "b"] * 4
        and seconds.keys() == {"a", "b"}
        and min(seconds.values()) >= 0
        and next(clock) == 0
    )
    with pytest.raises(ValueError, match="at least one job and one round"):
        fair_seconds({}, 3)


def test_medians_of_a_clock_that_jumps(monkeypatch):
    # the first call isn't counted; then start and end of each
    times = iter([0, 50, 0, 1, 0, 99, 0, 2])
    monkeypatch.setattr(engine, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    assert fair_seconds({"a": lambda: None}, rounds=3) == {"a": 2}


def test_muon_computes_in_the_recipes_precision_and_a_forward_pass_changes_nothing(
    net, x, small, no_bfloat16
):
    recipe = fast_recipe(net, 20)
    assert recipe.optimizer.dtype is None
    other = replace(recipe, precision="bfloat16")
    assert other.optimizer is recipe.optimizer and other.optimizer.dtype is torch.bfloat16
    other.forward(net, x, small[0].labels[:16], "float32")
    assert other.optimizer.dtype is torch.bfloat16
