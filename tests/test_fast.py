"The fast recipe and its parts: equal results where they are promised, and the bench that measures them."

import json
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mnist_course.fast as fast
import mnist_course.making.benchmark as benchmark
from mnist_course.arithmetic import ledger
from mnist_course.base import asset
from mnist_course.cli import main
from mnist_course.data import BatchLoader, DigitDataset, make_loaders, normalize
from mnist_course.environment import seed_everything
from mnist_course.fast import (
    FastForward,
    Muon,
    ahead,
    fair_seconds,
    fast_log_probs,
    fast_recipe,
    fast_weights,
    faster_precision,
    forward_macs,
    matmul_rate,
    middle,
    orthogonal,
    plan,
    plot_parts,
    step_macs,
    where_time_goes,
)
from mnist_course.making.benchmark import PARTS, epochs_to, run_bench, say_bench
from mnist_course.model import Net
from mnist_course.training import (
    RECIPES,
    fit,
    initial_weights,
    load_weights,
    make_recipe,
    save_weights,
)

# the forward pass


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x(small):
    return normalize(small[0].images[:16])


def test_pooling_before_relu_changes_nothing(net, x):
    torch.testing.assert_close(fast_log_probs(net, x), net(x))
    fast_log_probs(net, x)[:, 3].sum().backward()
    slopes = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(x)[:, 3].sum().backward()
    for name, (p, slope) in zip(
        [n for n, _ in net.named_parameters()],
        zip(net.parameters(), slopes, strict=True),
        strict=True,
    ):
        torch.testing.assert_close(p.grad, slope, msg=lambda said, name=name: f"{name}: {said}")


def test_the_middle_is_what_the_middle_weights_of_fc1_see(net, x):
    "With zeros around the middle cells, the network gives the same for a picture and for its middle: exactly the 20 x 20 pixels they see."
    fast_weights(net)
    torch.testing.assert_close(fast_log_probs(net, middle(x, 20)), net(x))
    changed = x.clone()
    changed[:, :, :4] = changed[:, :, 24:] = 2.0
    torch.testing.assert_close(net(changed), net(x))
    changed[:, :, 4] = 2.0
    assert not torch.allclose(net(changed), net(x))


def test_fast_weights_have_kaimings_spread(net):
    fast_weights(net)
    for layer, inputs in ((net.conv1, 9), (net.conv4, 128 * 9)):
        assert (
            layer.weight.std().item() == pytest.approx(math.sqrt(2 / inputs), rel=0.15)
            and not layer.bias.any()
        )
    cells = net.fc1.weight.detach().view(50, 256, 4, 4)
    assert cells[:, :, 1:3, 1:3].std().item() == pytest.approx(math.sqrt(2 / 1024), rel=0.05)
    assert (cells != 0).sum() <= 50 * 256 * 4


@pytest.mark.parametrize(
    ("rest", "sleeping"),
    [(0, []), (1, ["conv1"]), (2, ["conv1", "conv2"]), (3, ["conv1", "conv2", "conv3"])],
)
def test_layers_at_rest_have_no_slope_and_change_nothing_else(net, x, rest, sleeping):
    torch.testing.assert_close(fast_log_probs(net, x, rest), net(x))
    fast_log_probs(net, x, rest)[:, 0].sum().backward()
    assert {n.split(".")[0] for n, p in net.named_parameters() if p.grad is None} == set(sleeping)
    assert all(p.requires_grad for p in net.parameters())
    with torch.no_grad():
        assert not fast_log_probs(net, x, rest).requires_grad


def test_forward_macs_are_the_ledgers(net):
    assert forward_macs() == [row.macs for row in ledger(net) if row.params]
    for side in (20, 24):
        maps = middle(torch.zeros(1, 1, 28, 28), side)
        sizes = [net.conv1(maps).shape[-1], net.conv2(net.conv1(maps)).shape[-1]]
        assert forward_macs(side)[:2] == [9 * 32 * sizes[0] ** 2, 9 * 32 * 64 * sizes[1] ** 2]
    with pytest.raises(ValueError, match="16, 20, 24 or 28 pixels, got 12"):
        forward_macs(12)


def test_step_macs_by_hand():
    macs = forward_macs()
    assert step_macs() == 3 * sum(macs) - macs[0]  # nobody asks for the pixels' slope
    assert step_macs(rest=2) == 3 * sum(macs) - 2 * macs[0] - 2 * macs[1] - macs[2]
    assert step_macs(20, 3) < step_macs(20) < step_macs(28) / 3 + 1e6


# the optimizer


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


def test_muon_steps_are_orthogonal_and_skip_what_rests():
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


# the recipe


def test_the_plan_goes_one_way():
    plans = [plan(i / 100) for i in range(100)]
    assert plans[0] == (20, 0) and plans[-1] == (28, 3) and plans == sorted(plans)


def test_the_forward_pass_follows_the_plan(net, x, small, monkeypatch):
    recipe, seen = fast_recipe(net, 20), []
    real = fast.fast_log_probs
    monkeypatch.setattr(
        fast,
        "fast_log_probs",
        lambda model, x, rest: seen.append((x.shape[-1], rest)) or real(model, x, rest),
    )
    for _ in range(recipe.steps(20)):
        log_probs, y, loss = recipe.forward(net, x, small[0].labels[:16], "float32")
        recipe.optimizer.step()
        recipe.scheduler.step()
    assert seen[0] == (20, 0) and seen[-1] == (28, 3) and len(seen) == round(fast.SHARE * 20)
    assert recipe.optimizer.dtype is None
    recipe.forward(net, x, small[0].labels[:16], "bfloat16")
    assert recipe.optimizer.dtype is torch.bfloat16  # Muon follows the run, whatever is faster here
    smooth = -(0.9 * log_probs.gather(1, y[:, None])[:, 0] + 0.1 * log_probs.mean(1)).mean()
    torch.testing.assert_close(loss, smooth)


@pytest.fixture
def no_bfloat16(monkeypatch):
    "The tests take float32, whatever is faster here: they compare digits behind the point."
    monkeypatch.setattr(fast, "faster_precision", lambda device="cpu": "float32")


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
    assert len(seen) == round(fast.SHARE * 40)


def test_resuming_gives_the_same_numbers(small, tmp_path, no_bfloat16, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", torch.get_num_threads)
    whole, history = run(small, epochs=2)
    stops = Stops(small[0], 16)
    seed_everything(0)
    model = Net()
    initial_weights("fast", model)
    tests = BatchLoader(small[1], 1000)
    fit(model, stops, tests, recipe="fast", epochs=2, progress=False, checkpoint=tmp_path / "c.pt")
    seed_everything(5)
    again = Net()
    loader = BatchLoader(small[0], 16, shuffle=True)
    resumed = fit(
        again,
        loader,
        tests,
        recipe="fast",
        epochs=2,
        progress=False,
        checkpoint=tmp_path / "c.pt",
        resume=True,
    )
    assert resumed.train_loss == history.train_loss
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True)
    )


class Stops(BatchLoader):
    "Ctrl-C at the beginning of the second epoch."

    def __init__(self, dataset, batch_size):
        super().__init__(dataset, batch_size, shuffle=True)
        self.epochs = 0

    def __iter__(self):
        self.epochs += 1
        if self.epochs == 2:
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
    assert main(["train", "--recipe", "fast", "--out", "run"]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (
        settings["recipe"],
        settings["epochs"],
        settings["precision"],
        settings["batch_size"],
    ) == ("fast", 1, "float32", 128)


# measuring


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
    times = iter(
        [0, 0, 1, 0, 99, 0, 2]
    )  # of the first call, which is not counted, the start; then start and end
    monkeypatch.setattr(fast, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    assert fair_seconds({"a": lambda: None}, rounds=3) == {"a": 2}


def test_matmul_rate(monkeypatch):
    assert 1e8 < matmul_rate(size=256, rounds=3) < 1e15
    with pytest.raises(ValueError, match="precision must be one of"):
        matmul_rate("float8")


@pytest.mark.parametrize(
    ("bfloat16", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (4.0, "float32")]
)
def test_the_faster_precision_is_measured(monkeypatch, bfloat16, chosen):
    monkeypatch.setattr(
        fast, "fair_seconds", lambda jobs, rounds: {"float32": 1.0, "bfloat16": bfloat16}
    )
    faster_precision.cache_clear()
    assert faster_precision("cpu") == chosen
    faster_precision.cache_clear()


def test_measuring_draws_no_random_numbers():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    faster_precision.cache_clear()
    assert faster_precision("cpu") in ("float32", "bfloat16")
    assert torch.equal(torch.get_rng_state(), state)


def test_where_time_goes_sums_to_one(net, x, small):
    def job():
        F.nll_loss(net(x), small[0].labels[:16]).backward()

    shares = where_time_goes(job)
    assert sum(shares.values()) == pytest.approx(1) and list(shares.values()) == sorted(
        shares.values(), reverse=True
    )
    assert (
        shares["convolutions, backward"] > 0.2
        and shares["convolutions, forward"] > 0.1
        and shares["max pooling"] > 0
    )
    assert "convolutions, backward" in plot_parts(shares, "a step").description


def test_ahead_gives_the_same_batches(small):
    loader = BatchLoader(small[0], 100)
    for (x, y), (u, v) in zip(loader, ahead(loader, "cpu"), strict=True):
        assert torch.equal(x, u) and torch.equal(y, v)
    assert list(ahead([], "cpu")) == []


# the bench


def test_epochs_of_the_recorded_runs():
    assert epochs_to(0.99) == [3, 4, 3, 3, 3]


@pytest.fixture
def tiny(small, monkeypatch, no_bfloat16):
    data = tuple(
        DigitDataset(d.images[:n], d.labels[:n]) for d, n in zip(small, (640, 64), strict=True)
    )
    monkeypatch.setattr(benchmark, "load_mnist", lambda data_folder=None: data)
    monkeypatch.setattr(benchmark, "faster_precision", lambda device="cpu": "float32")
    return data


def test_the_bench_writes_part_by_part_and_goes_on(tiny, tmp_path, monkeypatch, capsys):
    calls = []
    for name in PARTS:
        monkeypatch.setitem(
            PARTS, name, lambda data, rounds, quick, name=name: calls.append(name) or {"over": 1}
        )
    path = tmp_path / "bench.json"
    assert (
        main(
            ["bench", "--out", str(path), "--parts", "linear", "memory", "--rounds", "2", "--quick"]
        )
        == 0
    )
    assert calls == ["linear", "memory"] and json.loads(path.read_text())["linear"] | {
        "took": 0
    } == {
        "rounds": 2,
        "quick": True,
        "over": 1,
        "took": 0,
    }
    found = run_bench(path, ["memory", "batches"], rounds=1)
    assert calls[2:] == ["batches"] and found.keys() == {
        "machine",
        "provisional",
        "linear",
        "memory",
        "batches",
    }
    run_bench(path, ["memory"], again=True)
    assert calls[3:] == ["memory"] and json.loads(path.read_text()).keys() == found.keys()
    run_bench(path, again=True, rounds=1, provisional=True)
    assert calls[4:] == list(PARTS) and json.loads(path.read_text())["provisional"]
    run_bench(path, again=True)
    assert not json.loads(path.read_text())["provisional"]  # nothing of the old file is left
    path.write_text(json.dumps(found | {"machine": {"processor": "abacus"}}))
    assert main(["bench", "--out", str(path)]) == 2 and "another machine" in capsys.readouterr().err
    assert (
        main(["bench", "--out", str(path), "--parts", "luck"]) == 2
        and "there is no part 'luck'" in capsys.readouterr().err
    )


def test_parts_measure_something(tiny):
    training = benchmark.part_training(tiny, 1, True)
    assert (
        training["ratio"] > 1 and training["seed_estimated"] and len(training["fast_accuracy"]) == 1
    )
    throughput = benchmark.part_throughput(tiny, 1, True)["float32"]
    assert throughput["share"]["28"] == throughput["steps"]["28"] / throughput["matmul"] > 0
    batches = benchmark.part_batches(tiny, 1, True)
    assert (
        batches["train_ms"].keys() < batches["test_ms"].keys()
        and min(batches["train_ms"].values()) > 0
    )


def test_the_bench_in_words(bench):
    said = say_bench(bench)
    assert (
        f"{bench['training']['ratio']:.1f} times" in said
        and "ms a digit" in said
        and "torch.compile" in said
        and "a second in float32" in said
    )


@pytest.fixture(scope="module")
def bench():
    return json.loads(asset("runs", "bench.json").read_text(encoding="utf-8"))


def test_the_file_that_ships_is_whole(bench):
    assert set(PARTS) <= set(bench)
    assert (
        len(bench["training"]["fast_seconds"])
        == len(bench["training"]["fast_accuracy"])
        == bench["training"]["rounds"]
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_without_a_gpu_its_part_says_so(tiny, tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["bench", "--out", str(path), "--parts", "gpu"]) == 2
    assert "no GPU" in capsys.readouterr().err and not path.exists()


def test_the_gpus_file_is_measured_and_said():
    found = json.loads(asset("runs", "bench-gpu.json").read_text(encoding="utf-8"))
    part = found["gpu"]
    race = part["training"]
    assert (
        found["machine"]["gpu"] == part["name"] and not found["provisional"] and part["rounds"] >= 5
    )
    assert (race["digits"], race["unseen"]) == (60_000, 10_000) and len(
        race["fast_accuracy"]
    ) == part["rounds"]
    assert part["float32_ms"].keys() == part["bfloat16_ms"].keys() >= {"64", "256", "1024", "4096"}
    assert f"on {part['name']}: {race['median']['fast']:.2f} s" in say_bench(found)


def test_the_files_that_ship_are_measured(bench):
    "With enough rounds, on a machine that did nothing else."
    assert not bench["provisional"], "mnist-course bench --quick --again, on a quiet machine"
    assert all(bench[name]["rounds"] >= 5 for name in PARTS)
    assert (bench["training"]["digits"], bench["training"]["unseen"]) == (60_000, 10_000) and bench[
        "machine"
    ]["threads"] == 2
