"The benchmark: it goes on where it stopped, each part measures something, and the files that ship are whole."

import itertools
import json
from types import SimpleNamespace

import pytest
import torch

import mnist_course.engine.fast
import mnist_course.making.benchmark as benchmark
from mnist_course.base import asset
from mnist_course.data import DigitDataset
from mnist_course.making.benchmark import (
    _MEASUREMENTS,
    _ON_DEMAND,
    _epochs_to,
    _time_steps,
    record_processes,
    ring_seconds,
    run_bench,
    say_bench,
    step_seconds,
)


def test_epochs_of_the_recorded_runs():
    assert _epochs_to(0.99) == [3, 4, 3, 3, 3]


@pytest.fixture
def tiny(small, monkeypatch):
    data = tuple(
        DigitDataset(d.images[:n], d.labels[:n]) for d, n in zip(small, (640, 64), strict=True)
    )
    monkeypatch.setattr(benchmark, "load_mnist", lambda data_folder=None: data)
    for room in (benchmark, mnist_course.engine.fast):
        monkeypatch.setattr(room, "faster_precision", lambda device="cpu": "float32")
    return data


def test_the_bench_writes_part_by_part_and_goes_on(tiny, tmp_path, monkeypatch):
    calls = []
    for name in _MEASUREMENTS:
        monkeypatch.setitem(
            _MEASUREMENTS,
            name,
            lambda data, rounds, quick, name=name: calls.append(name) or {"over": 1},
        )
    path = tmp_path / "bench.json"
    run_bench(path, ["linear", "memory"], rounds=2, quick=True)
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
    assert calls[4:] == list(_MEASUREMENTS) and json.loads(path.read_text())["provisional"]
    run_bench(path, again=True)
    assert not json.loads(path.read_text())["provisional"]  # nothing of the old file is left
    path.write_text(json.dumps(found | {"machine": {"processor": "abacus"}}))
    with pytest.raises(ValueError, match="another machine"):
        run_bench(path)
    with pytest.raises(ValueError, match="there is no part 'luck'"):
        run_bench(path, ["luck"])


@pytest.mark.slow
def test_the_race_is_a_ratio_of_medians(tiny, monkeypatch):
    "With a clock that goes on by one at each look, one batch takes as long as a whole fast run."
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr(benchmark, "time", clock)
    monkeypatch.setattr(mnist_course.engine.fast, "time", clock)
    training = _MEASUREMENTS["training"](tiny, 1, True)
    assert training["ratio"] == 640 / 64 * 3
    assert training["seed_estimated"] and len(training["fast_accuracy"]) == 1


@pytest.mark.slow
def test_parts_measure_something(tiny):
    throughput = _MEASUREMENTS["throughput"](tiny, 1, True)["float32"]
    assert throughput["share"]["28"] == throughput["steps"]["28"] / throughput["matmul"] > 0
    batches = _MEASUREMENTS["batches"](tiny, 1, True)
    assert (
        batches["train_ms"].keys() < batches["test_ms"].keys()
        and min(batches["train_ms"].values()) > 0
    )


def test_recipe_files_take_turns(tiny, monkeypatch):
    run, turns = benchmark._run_recipe, []

    def watched(name, digits, seed):
        turns.append((name, len(digits), seed))
        return run(name, digits, seed)

    monkeypatch.setattr(benchmark, "_run_recipe", watched)
    monkeypatch.setattr(benchmark, "_RECIPES", ("one_cycle", "ninety_nine"))
    part = _ON_DEMAND["networks"](tiny, 2, True)
    names = ["one_cycle", "ninety_nine"]
    assert [turn[0] for turn in turns] == names * 3
    assert [turn[2] for turn in turns] == [0, 0, 0, 0, 1, 1]
    assert (part["digits"], part["unseen"]) == (640, 64) and list(part["recipes"]) == names
    assert part["recipes"]["one_cycle"]["parameters"] == 624 + 6_944 + 205_056 + 2_570
    for row in part["recipes"].values():
        assert len(row["accuracy"]) == len(row["test_seconds"]) == 2 and min(row["seconds"]) > 0


def test_the_recipe_files_in_words():
    row = {"parameters": 1234, "seconds": [3.0, 1.0, 2.0], "accuracy": [0.99, 0.991, 0.9893]}
    machine = {"processor": "abacus", "threads": 2, "torch": "1"}
    said = say_bench({"machine": machine, "networks": {"recipes": {"beads": row}}})
    assert "1,234 parameters" in said
    assert "2.0 s (1.0 to 3.0)" in said and "99.00% (98.93% to 99.10%)" in said


def test_recipe_files_need_a_clone(tiny, monkeypatch):
    monkeypatch.setattr("mnist_course.making.repository.clone", lambda: None)
    with pytest.raises(ValueError, match="needs a clone"):
        _ON_DEMAND["networks"](tiny, 1, True)


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
    assert set(_MEASUREMENTS) <= set(bench)
    assert (
        len(bench["training"]["fast_seconds"])
        == len(bench["training"]["fast_accuracy"])
        == bench["training"]["rounds"]
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_without_a_gpu_its_part_says_so(tiny, tmp_path):
    path = tmp_path / "bench.json"
    with pytest.raises(ValueError, match="no GPU"):
        run_bench(path, ["gpu"])
    assert not path.exists()


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
    assert not bench["provisional"], "make bench ARGS=--again, on a quiet machine"
    assert all(bench[name]["rounds"] >= 5 for name in _MEASUREMENTS)
    assert (bench["training"]["digits"], bench["training"]["unseen"]) == (60_000, 10_000) and bench[
        "machine"
    ]["threads"] == 2


def test_what_the_latest_changes_brought_is_kept_in_pairs():
    found = json.loads(asset("runs", "fast-changes.json").read_text(encoding="utf-8"))
    assert len(found["validation"]) == 3 and all(0.98 < a < 1 for a in found["validation"].values())
    lengths = {len(column) for way in found["test"].values() for column in way.values()}
    assert found["test"].keys() == {"before", "now"} and len(lengths) == 1 and min(lengths) >= 3
    assert {"processor", "torch"} <= found["machine"].keys() and found["about"]


# several processes


def test_a_ring_adds_up_and_its_time_is_that_of_its_messages():
    n, size = 5, 20
    held = [
        [rank * size + i for i in range(size)] for rank in range(n)
    ]  # each process's numbers, in n pieces of 4
    right, piece, messages = [sum(column) for column in zip(*held, strict=True)], size // n, 0
    for turn in range(2 * (n - 1)):
        for rank in range(
            n
        ):  # all at once in truth: no process sends what it gets in the same turn
            k = (rank - turn) % n if turn < n - 1 else (rank + 1 - (turn - n + 1)) % n
            for i in range(k * piece, k * piece + piece):
                held[(rank + 1) % n][i] = held[rank][i] + (
                    held[(rank + 1) % n][i] if turn < n - 1 else 0
                )
        messages += 1
    assert held == [right] * n
    assert ring_seconds(n, 4 * size, 10, 0.5) == pytest.approx(messages * (4 * piece / 10 + 0.5))
    assert ring_seconds(1, 4 * size, 10, 0.5) == 0
    with pytest.raises(ValueError, match="at least 1"):
        ring_seconds(0, 1, 1, 1)
    assert (
        step_seconds(4, 10, 1.0, 0.25, 1e9, 0.0, 0) == 3.25
    )  # who has most digits, three, decides


def test_steps_are_timed_and_the_record_is_whole(capsys):
    found = _time_steps((4,), 2)
    assert json.loads(capsys.readouterr().out) == found
    ((steps,),) = [row["marks"] for row in found["batches"]]
    assert len(steps) == 2 and all(
        len(points) == 5 and points == sorted(points) for points in steps
    )
    record = json.loads(asset("runs", "processes.json").read_text("utf-8"))
    assert {(row["processes"], row["threads"]) for row in record["rows"]} == {
        (1, 1),
        (1, 2),
        (2, 1),
    }
    assert (
        all(len(row["trace"]) == row["processes"] for row in record["rows"])
        and {"processor", "torch"} <= record["machine"].keys()
    )


def test_each_change_keeps_those_before_it(tiny):
    setups = benchmark._setups()
    assert list(setups) == [name for name, _ in benchmark._CHANGES if name != "bfloat16"]
    assert setups["pooling before ReLU"] == benchmark._SAME_RESULT
    last = setups["Muon in place of SGD"]
    assert (last.in_memory, last.batch_size, last.side, last.frozen, last.muon) == (
        True,
        128,
        20,
        1,
        True,
    )


def test_a_record_of_processes_is_made_of_all_runs(tmp_path, monkeypatch):
    "Two runs of each way, two steps, in processes of which the second is a second late."

    def start(processes, threads, *words):
        steps = [[10 * n + moment for moment in (0.0, 1.0, 2.0, 4.0, 5.0)] for n in range(2)]
        late = [[moment + 1 for moment in step] for step in steps]
        marks = [steps, late][:processes]
        row = {"batch": 8, "marks": marks, "cpu": 0.5} | ({"alone": marks} if processes > 1 else {})
        sums = [0.25] if processes > 1 else []
        return "said by torchrun\n" + json.dumps(
            {"processes": processes, "threads": threads, "batches": [row], "sums": sums}
        )

    monkeypatch.setattr(benchmark, "_start_processes", start)
    found = record_processes(tmp_path / "p.json", ((1, 2), (2, 1)), rounds=2, batches=(8,), steps=2)
    one, two = found["rows"]
    assert (one["processes"], one["threads"], one["batch"], one["ms"], one["cpu_ms"]) == (
        1,
        2,
        8,
        5000,
        500,
    )
    assert two["ms"] == 6000 and two["backward_alone_ms"] == 2000 and found["sum_ms"] == 250
    assert two["trace"] == [[0, 1000, 2000, 4000, 5000], [1000, 2000, 3000, 5000, 6000]]
    assert json.loads((tmp_path / "p.json").read_text()) == found and "backward_alone_ms" not in one


# what is measured, with a clock that counts digits


class Digits:
    "A clock that shows how many digits were trained on or tested, and a note of every such run."

    def __init__(self, monkeypatch, tests=()):
        self.count, self.trained, self.tested, self.rounds = 0, [], [], []
        self.accuracies = iter(tests)
        monkeypatch.setattr(benchmark, "train", self.train)
        monkeypatch.setattr(benchmark, "test", self.test)
        monkeypatch.setattr(benchmark, "timed", self.timed)
        monkeypatch.setattr(benchmark, "fair_seconds", self.fair_seconds)

    def train(self, model, batches, optimizer=None, recipe=None, progress=True):
        assert not progress and (optimizer is None) != (recipe is None)
        labels = [y.tolist() for _, y in batches]
        self.count += sum(map(len, labels))
        used = recipe.optimizer if recipe else optimizer
        rate = used.param_groups[0]["lr"]
        used.step()  # of a network without gradients: it stays as it is
        self.trained.append(SimpleNamespace(model=model, labels=labels, recipe=recipe, rate=rate))

    def test(self, model, loader):
        self.tested.append((model, [len(y) for _, y in loader]))
        self.count += sum(self.tested[-1][1])
        return 0.1, next(self.accuracies, 0.5)

    def timed(self, job):
        before = self.count
        job()
        return self.count - before

    def fair_seconds(self, jobs, rounds=5):
        self.rounds.append(rounds)
        return {name: self.timed(job) for name, job in jobs.items()}


def many(n):
    "Digits whose labels are their numbers, modulo ten."
    return DigitDataset(torch.zeros(n, 28, 28, dtype=torch.uint8), torch.arange(n) % 10)


@pytest.mark.parametrize(
    ("quick", "sizes"), [(True, [640, 1280, 2560, 3840]), (False, [2560, 5120, 10240, 20480])]
)
def test_seconds_are_those_of_so_many_digits(monkeypatch, quick, sizes):
    clock = Digits(monkeypatch)
    found = _MEASUREMENTS["linear"]((many(20_480), many(1)), 6, quick)
    assert found == {"digits": sizes, "seconds": sizes} and clock.rounds == [3]
    assert {len(labels) for run in clock.trained for labels in run.labels} == {64}


@pytest.mark.parametrize(("quick", "batches"), [(True, 8), (False, 30)])
def test_a_change_is_told_in_milliseconds_a_digit(monkeypatch, quick, batches):
    monkeypatch.setattr(benchmark, "faster_precision", lambda device="cpu": "bfloat16")
    clock = Digits(monkeypatch)
    found = _MEASUREMENTS["changes"]((many(4096), many(1)), 2, quick)
    assert [row["change"] for row in found["rows"]] == [name for name, _ in benchmark._CHANGES]
    assert all(row["ms"] == 1000 for row in found["rows"])
    assert [row.get("gain") for row in found["rows"]] == [None] + [1] * 8
    assert found["precision_ms"] == {"float32": 1000, "bfloat16": 1000} and clock.rounds == [2, 1]
    sizes = [{len(labels) for labels in run.labels} for run in clock.trained]
    assert sizes == [{64}] * 4 + [{128}] * 5 + [{64}] * 2
    assert [run.recipe.precision for run in clock.trained] == ["float32"] * 8 + [
        "bfloat16",
        "float32",
        "bfloat16",
    ]
    assert {sum(map(len, run.labels)) for run in clock.trained[:9]} == {64 * batches}
    for run in clock.trained:  # shuffled
        assert run.labels[0] != [n % 10 for n in range(len(run.labels[0]))]


def test_a_changed_step_computes_what_its_name_says(monkeypatch):
    "The original's answers with pooling first; smaller images; nothing learned where it's frozen."
    clock = Digits(monkeypatch)
    setup = benchmark._Setup
    setups = [setup(), setup(pool_first=True), setup(pool_first=True, frozen=1, side=20)]
    x, y = torch.rand(4, 1, 28, 28), torch.tensor([1, 2, 3, 4])
    answers = []
    for one in (*setups, setup(precision="bfloat16")):
        benchmark._steps(many(64), 1, one)()
        run = clock.trained[-1]
        log_probs, labels, loss = run.recipe.forward(run.model, x, y, one.precision)
        assert labels is y and loss.item() == pytest.approx(
            -log_probs[range(4), y].float().mean().item()
        )
        loss.backward()
        answers.append(log_probs.detach().float())
        assert (run.model.conv1.weight.grad is None) == (one.frozen > 0)
        assert run.recipe.step_every == "epoch"
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(answers[0], answers[2])  # it sees the middle only
    assert 0 < (answers[0] - answers[3]).abs().max() < 0.05


@pytest.mark.parametrize(("quick", "n"), [(True, 1024), (False, 4096)])
def test_batches_of_several_sizes(monkeypatch, quick, n):
    clock = Digits(monkeypatch)
    found = _MEASUREMENTS["batches"]((many(5000), many(5000)), 1, quick)
    sizes = ["4", "16", "64", "128", "256"]
    assert found["train_ms"] == dict.fromkeys(sizes, 1000) and clock.rounds == [1, 1]
    assert found["test_ms"] == dict.fromkeys([*sizes, "1000"], 1000)
    assert [str(len(run.labels[0])) for run in clock.trained] == sizes
    assert {sum(map(len, run.labels)) for run in clock.trained} == {n}
    assert [str(parts[0]) for _, parts in clock.tested] == [*sizes, "1000"]


def test_throughput_is_a_share_of_a_matrix_products(monkeypatch):
    monkeypatch.setattr(benchmark, "faster_precision", lambda device="cpu": "bfloat16")
    rates = {"float32": iter([50.0, 100.0, 900.0]), "bfloat16": iter([7.0] * 3)}
    monkeypatch.setattr(benchmark, "matmul_rate", lambda name, rounds: next(rates[name]))
    monkeypatch.setattr(benchmark, "step_macs", lambda side: 1000 * side)
    clock = Digits(monkeypatch)
    found = _MEASUREMENTS["throughput"]((many(2000), many(1)), 3, True)
    both = {"28": 28_000, "20": 20_000}  # 512 digits in 512 seconds
    assert found["float32"] == {
        "matmul": 100,
        "steps": both,
        "share": {side: value / 100 for side, value in both.items()},
    }
    assert found["bfloat16"]["matmul"] == 7 and found["bfloat16"]["steps"] == both
    assert clock.rounds == [1] * 6
    assert [len(labels) for run in clock.trained for labels in run.labels] == [128] * 4 * 12
    precisions = [run.recipe.precision for run in clock.trained]
    assert precisions == ["float32"] * 6 + ["bfloat16"] * 6
    assert {run.recipe.forward.__name__ for run in clock.trained} == {"forward"}


def test_one_epoch_of_the_script_for_each_that_is_needed(monkeypatch):
    clock = Digits(monkeypatch, [0.5, 0.989, 0.991])
    assert benchmark._script_run((many(640), many(500)), 0, 0.99, "cpu") == (3 * 640, 3)
    assert [parts for _, parts in clock.tested] == [[250, 250]] * 3
    never = Digits(monkeypatch)
    assert benchmark._script_run((many(64), many(1)), 0, 0.99, "cpu") == (20 * 64, 20)
    assert len(never.tested) == 20
    assert never.trained[0].rate > never.trained[-1].rate  # the schedule goes on


def test_the_scripts_digits_are_shuffled_and_the_fast_runs_too(monkeypatch):
    clock = Digits(monkeypatch)
    assert benchmark._script_seconds(many(640), 3, "cpu") == 3 * 64
    seconds, model = benchmark._fast_run(many(640), 0)
    assert seconds > 0 and clock.trained[1].model is model
    for run, size in zip(clock.trained, (64, 128), strict=True):
        assert {len(labels) for labels in run.labels} == {size}
        assert run.labels[0] != [n % 10 for n in range(size)]


def test_the_race_has_medians_and_a_ratio(monkeypatch):
    Digits(monkeypatch, [0.99, 0.95, 0.991])
    times = iter([(30.0, 3), (90.0, 4), (33.0, 2)])
    monkeypatch.setattr(benchmark, "_script_run", lambda data, turn, goal, device: next(times))
    runs = iter([3.0, 1.0, 9.0])
    monkeypatch.setattr(benchmark, "_fast_run", lambda digits, turn, device: (next(runs), turn))
    found = _MEASUREMENTS["training"]((many(640), many(64)), 3, False)
    assert found["median"] == {"seed": 33.0, "fast": 3.0, "accuracy": 0.99}
    assert found["ratio"] == 11 and found["seed_epochs"] == [3, 4, 2]
    assert found["seed_seconds"] == [30, 90, 33] and found["fast_seconds"] == [3, 1, 9]
    assert (found["digits"], found["unseen"], found["seed_estimated"]) == (640, 64, False)
    assert len(found["test_seconds"]) == 3 and min(found["test_seconds"]) >= 0


def test_a_quick_race_goes_by_a_tenth_of_an_epoch(monkeypatch):
    clock = Digits(monkeypatch)
    monkeypatch.setattr(benchmark, "_fast_run", lambda digits, turn, device: (64.0, None))
    found = _MEASUREMENTS["training"]((many(1280), many(64)), 1, True)
    assert found["seed_seconds"] == [1280 * 3] and found["ratio"] == 60  # the median of epochs
    assert found["seed_epochs"] == [3, 4, 3, 3, 3] and len(clock.trained[0].labels) == 2


def test_memory_is_what_comes_over_torchs(monkeypatch):
    said = {("capacity",): "300", ("benchmark", "fast_peak"): "720"}
    monkeypatch.setattr(
        benchmark, "_elsewhere", lambda *words, check: SimpleNamespace(stdout=said[words])
    )
    found = _MEASUREMENTS["memory"](None, 1, True)
    assert found == {"import_torch": 300, "fast_run": 720, "over": 420}


def test_the_peak_is_that_of_ten_thousand_digits(monkeypatch):
    clock = Digits(monkeypatch)
    monkeypatch.setattr(benchmark, "load_mnist", lambda: (many(12_000), many(500)))
    runs = []
    monkeypatch.setattr(benchmark, "_fast_run", lambda *given: runs.append(given) or (1, "net"))
    assert benchmark._fast_peak() > 1e8
    assert len(runs[0][0]) == 10_000 and clock.tested == [("net", [250, 250])]


def test_a_compiled_step_is_timed_beside_the_plain_one(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    asked = []

    def fair_seconds(jobs, rounds):
        asked.append((list(jobs), rounds))
        return {name: benchmark.timed(job) for name, job in jobs.items()}

    monkeypatch.setattr(benchmark, "fair_seconds", fair_seconds)
    found = benchmark._compiled_step(2)
    assert list(found) == ["compile_seconds", "plain", "compiled"] and min(found.values()) > 0
    assert asked == [(["plain", "compiled"], 4)]


def test_where_compiling_fails_the_reason_is_kept(monkeypatch):
    said = SimpleNamespace(returncode=1, stderr="a\nno compiler\n", stdout="")
    monkeypatch.setattr(benchmark, "_elsewhere", lambda *words, **options: said)
    assert _MEASUREMENTS["compile"](None, 1, True) == {"failed": "no compiler"}
    said.stderr = ""
    assert _MEASUREMENTS["compile"](None, 1, True) == {"failed": "nothing was said"}
    said.returncode, said.stdout = 0, 'made by torch\n{"plain": 2}\n'
    assert _MEASUREMENTS["compile"](None, 1, True) == {"plain": 2}


def test_all_parts_anew_may_be_measured_on_another_machine(tiny, tmp_path, monkeypatch):
    for name in _MEASUREMENTS:
        monkeypatch.setitem(_MEASUREMENTS, name, lambda data, rounds, quick: {"value": 1})
    path = tmp_path / "bench.json"
    run_bench(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": {"processor": "abacus"}}))
    with pytest.raises(ValueError, match="another machine"):
        run_bench(path, ["linear"], again=True)
    found = run_bench(path, again=True)
    assert found["machine"] == benchmark._machine() and found.keys() >= _MEASUREMENTS.keys()


def test_unasked_the_packages_own_file_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "asset", lambda *parts: tmp_path.joinpath(*parts[1:]))
    row = {"batch": 8, "marks": [[[0.0, 1, 2, 4, 5]]], "cpu": 0.5}
    said = json.dumps({"batches": [row], "sums": []})
    monkeypatch.setattr(benchmark, "_start_processes", lambda *words: said)
    found = record_processes(None, ((1, 1),), rounds=1, batches=(8,), steps=1)
    assert json.loads((tmp_path / "processes.json").read_text()) == found


def test_a_step_costs_what_is_fixed_and_each_digit():
    assert step_seconds(4, 10, 0.5, 0.25, 1e9, 0.0, 0) == 0.25 + 3 * 0.5


def test_from_the_command_line(monkeypatch, capsys):
    told = []
    monkeypatch.setattr(benchmark, "_time_steps", lambda *given: told.append(given))
    benchmark._main("time_steps", "4,8", "2")
    assert told == [([4, 8], 2)]
    monkeypatch.setattr(benchmark, "_fast_peak", lambda: 7)
    benchmark._main("fast_peak")
    monkeypatch.setattr(benchmark, "_compiled_step", lambda rounds: {"rounds": rounds})
    benchmark._main("compiled_step", "3")
    assert capsys.readouterr().out == '7\n{"rounds": 3}\n'
    with pytest.raises(ValueError, match="nothing called 'luck'"):
        benchmark._main("luck")
