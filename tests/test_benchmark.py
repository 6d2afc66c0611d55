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
