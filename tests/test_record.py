"The public record: what a recipe may do, what its entry says, and that nothing wrong gets into the table."

import collections
import concurrent.futures
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from helpers import ROOT, is_approved

import mnist_course
import mnist_course.record as record
from mnist_course.base import CourseError, DataError
from mnist_course.cli import main
from mnist_course.record import (
    Entry,
    _read_submission,
    _write_entry,
    read_record,
    read_settings,
    record_recipes,
)

GOOD = '''"""One linear layer and two batches. It's quick; it isn't good."""

import torch

from mnist_course.data import BatchLoader

RATE = 0.1


def network():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))


def train(network, digits, seed):
    loader = BatchLoader(digits, 64, shuffle=True)
    for _, (x, y) in zip(range(2), loader, strict=False):
        torch.nn.functional.cross_entropy(network(x), y).backward()
        with torch.no_grad():
            for p in network.parameters():
                p -= RATE * p.grad
                p.grad = None
'''
NETWORK = GOOD[GOOD.index("    return torch") : GOOD.index("\n\n\ndef train")]
START = "    loader = "


@pytest.fixture
def recipe(tmp_path):
    "Writes a recipe into a folder of its own, with something else in place of something."

    def write(*change: str, name: str = "linear", text: str = GOOD) -> Path:
        path = tmp_path / f"{name}.py"
        assert not change or change[0] in text
        path.write_text(text.replace(*change, 1) if change else text, "utf-8")
        return path

    return write


@pytest.fixture
def table(tmp_path):
    return tmp_path / "table" / "record.json"


@pytest.fixture
def answered(monkeypatch):
    "In place of processes: what each seed would have answered. Gives the orders."
    orders = []
    rights = [900, 950, 970, 910, 920]

    def answer(order):
        orders.append(order)
        run = {"seed": order["seed"], "right": rights[order["seed"] % 5], "others": 0.0}
        run["seconds"] = 2.0 + order["seed"]
        machine = {"processor": "abacus", "cores": 1, "threads": 1, "mnist_course": "0"}
        facts = {"parameters": 7850, "trained_on": 60_000, "tested_on": 1000}
        return {"run": run, "machine": machine, **facts}

    monkeypatch.setattr(record, "_in_own_process", answer)
    return orders


def run_here(path: Path, **other: object) -> dict:
    "One seed in this process, on the sample. Raises CourseError with what its author would read."
    order = {"name": path.stem, "source": _read_submission(path).source, "settings": {}, "seed": 0}
    order |= {"data": "sample", "whole": False, "validate": False, **other}
    threads = torch.get_num_threads()
    try:
        return record._run_here(order)
    except BaseException as error:
        raise CourseError(record._in_words(error, path.stem)) from None
    finally:
        torch.set_num_threads(threads)


# ---- a file


def test_a_recipe_is_read_and_not_run(recipe):
    found = _read_submission(recipe("RATE = 0.1", "RATE = 1 / 0"))
    assert (found.name, found.says) == ("linear", "One linear layer and two batches.")
    again = _read_submission(recipe("RATE = 0.1", "RATE = 1 / 0", name="other"))
    assert again.sha256 == found.sha256 != _read_submission(recipe()).sha256
    windows = recipe(name="windows")
    windows.write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert _read_submission(windows).sha256 == _read_submission(recipe()).sha256


NO_RECIPE = {
    "no docstring": (('"""One linear layer and two batches. It\'s quick; it isn\'t good."""', ""), "has no docstring"),
    "another library": (("import torch\n", "import torch\nimport pandas\n"), "imports pandas"),
    "hidden in a function": ((START, "    from urllib import request\n" + START), "imports urllib"),
    "a neighbor": (("import torch\n", "import torch\nfrom . import other\n"), "imports ."),
    "no train": (("def train(", "def fit("), r"has no function train\(network, digits, seed\)"),
    "no network": (("def network(", "def net("), r"has no function network\(\)"),
    "too few arguments": (("digits, seed)", "digits)"), "can't be called as train"),
    "too many": (("def network()", "def network(width)"), r"can't be called as network\(\)"),
    "a slip": (("RATE = 0.1", "RATE = = 0.1"), "isn't Python: .*line 7"),
    "a zero byte": (("RATE = 0.1", "RATE = '\0'"), "isn't Python"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), NO_RECIPE.values(), ids=NO_RECIPE)
def test_a_file_that_is_no_recipe(recipe, change, said):
    with pytest.raises(CourseError, match=said):
        _read_submission(recipe(*change))


def test_what_is_no_file(tmp_path):
    with pytest.raises(OSError):
        _read_submission(tmp_path / "nowhere.py")
    (tmp_path / "latin.py").write_bytes(b'"""\xe9"""')
    with pytest.raises(CourseError, match="not a text in UTF-8"):
        _read_submission(tmp_path / "latin.py")


def test_defaults_and_annotations_are_fine(recipe):
    _read_submission(recipe("def network()", "def network(width: int = 3)"))
    _read_submission(recipe("def train(network, digits, seed)", "def train(*given)"))


# ---- one seed


def test_a_good_recipe(recipe):
    found = run_here(recipe())
    assert (found["parameters"], found["trained_on"], found["tested_on"]) == (7850, 10_000, 2_000)
    assert found["run"]["right"] > 600 and found["run"]["seconds"] > 0
    again = run_here(recipe())
    assert again["run"]["right"] == found["run"]["right"] and found["machine"]["processor"]
    assert run_here(recipe(), seed=1)["run"]["right"] != found["run"]["right"]


def test_digits_to_validate_on_are_training_digits(recipe):
    found = run_here(recipe(), validate=True)
    assert found["trained_on"] + found["tested_on"] == 10_000 and found["tested_on"] == 833


def test_the_test_digits_are_loaded_after_training(recipe, monkeypatch):
    calls = []
    real = record._digits

    def spy(order):
        calls.append(len([one for one in calls if one == "trained"]))
        return real(order)

    monkeypatch.setattr(record, "_digits", spy)
    monkeypatch.setattr(record, "timed", lambda job: (job(), calls.append("trained"), 1.0)[-1])
    run_here(recipe())
    assert calls == [0, "trained", 1]


def test_a_constant_is_set(recipe):
    right = run_here(recipe())["run"]["right"]
    assert run_here(recipe(), settings={"RATE": "0.1"})["run"]["right"] == right
    assert run_here(recipe(), settings={"RATE": "1e-9"})["run"]["right"] < 500
    with pytest.raises(CourseError, match="no constant WIDTH"):
        run_here(recipe(), settings={"WIDTH": "3"})


MODULE = "class Odd(torch.nn.Linear):\n    def forward(self, x):\n        {}\n\n\ndef network():\n    return Odd(784, 10)"
PLAIN = f"def network():\n{NETWORK}"


def odd(line: str) -> tuple[str, str]:
    "A network that answers in its own way."
    return PLAIN, MODULE.format(line)


WRONG = {
    "an error": ((START, "    1 / 0\n" + START), r"stopped with ZeroDivisionError: .*\(line 15\)"),
    "it leaves": ((START, "    raise SystemExit(0)\n" + START), "stopped with SystemExit"),
    "at its top": (("RATE = 0.1", "RATE = [][1]"), r"stopped with IndexError: .*\(line 7\)"),
    "no module": ((NETWORK, "    return lambda x: x"), "gives a function and not a torch.nn.Module"),
    "a class": ((NETWORK, "    return torch.nn.Linear"), "gives a type and not"),
    "nothing to learn": ((NETWORK, "    return torch.nn.Flatten()"), "no parameters"),
    "the same twice": ((PLAIN, f"def make():\n{NETWORK}\n\n\nONE = make()\n\n\ndef network():\n    return ONE"), "the same weights twice"),
    "nine scores": ((START, "    network[1] = torch.nn.Linear(784, 9)\n    return\n" + START), r"gives \(1000, 9\) for 1000 digits"),
    "one answer a digit": (odd("y = super().forward(x.flatten(1))\n        return y if self.training else y.argmax(1)"), r"gives \(1000,\)"),
    "a pair": (odd("y = super().forward(x.flatten(1))\n        return y if self.training else (y, 0)"), "gives a tuple"),
    "no numbers": ((START, "    network[1].bias.data += float('nan')\n    return\n" + START), "no finite numbers"),
    "it looks aside": (odd("y = super().forward(x.flatten(1))\n        return y - 9 * y.mean(0)"), "beside it"),
    "it goes on learning": (odd("self.bias.data += 1 - self.training\n        return super().forward(x.flatten(1))"), "changes while it's tested"),
    "other digits": ((START, "    digits.images[0] = 0\n" + START), "changes the digits"),
    "other labels": ((START, "    digits.labels += 0 * digits.labels + 1\n    digits.labels %= 10\n" + START), "changes the digits"),
    "it talks": ((START, "    print('x' * 10_001)\n" + START), "prints more than 10,000"),
    "it talks and hides it": ((START, "    try:\n        print('x' * 10_001)\n    except Exception:\n        pass\n" + START), "prints more than 10,000"),
    "the network": ((START, "    torch.hub.load_state_dict_from_url('http://localhost:9/x')\n" + START), "uses the network"),
    "and hides it": ((START, "    try:\n        torch.hub.load_state_dict_from_url('http://localhost:9/x')\n    except BaseException:\n        pass\n" + START), "uses the network"),
    "other weights": ((START, "    torch.load('other.pt')\n" + START), "opens other.pt"),
    "the test digits": ((START, "    import mnist_course.data as d; d.load_mnist(source='sample')\n" + START), r"opens t10k-images|opens train-images"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_recipe_that_cannot_be_taken(recipe, change, said, monkeypatch):
    monkeypatch.setattr(record.time, "sleep", lambda seconds: None)
    with pytest.raises(CourseError, match=said):
        run_here(recipe(*change))


def test_a_little_printing_is_dropped(recipe, capfd):
    run_here(recipe(START, "    print('hello')\n" + START))
    assert capfd.readouterr().out == ""


def test_nothing_is_watched_afterwards(recipe, tmp_path):
    with pytest.raises(CourseError):
        run_here(recipe(START, "    torch.load('other.pt')\n" + START))
    torch.save({}, tmp_path / "mine.pt")
    assert torch.load(tmp_path / "mine.pt") == {}


def test_the_record_wants_all_of_mnist(recipe):
    with pytest.raises(CourseError, match="about all of MNIST, and this is the MNIST sample"):
        run_here(recipe(), whole=True)


# ---- processes


@pytest.mark.drawn(1, of="measured recipes")
@pytest.mark.slow
def test_a_recipe_becomes_an_entry(recipe, table, capsys):
    words = ["record", str(recipe()), "--data", "sample", "--table", str(table)]
    assert main([*words, "--seeds", "1"]) == 0
    said = capsys.readouterr().out
    (entry,) = read_record(table)
    assert "linear, seed 0: " in said
    assert f"linear: median {entry.accuracy:.2%}" in said and "7,850 parameters" in said
    assert [run["seed"] for run in entry.runs] == [0]
    assert entry.runs[0]["right"] == run_here(recipe())["run"]["right"]
    assert entry.sha256 == _read_submission(recipe()).sha256 and entry.says in GOOD
    assert {"processor", "cores", "threads", "python", "torch", "mnist_course"} <= {*entry.machine}


@pytest.mark.slow
@pytest.mark.drawn(1)
@pytest.mark.parametrize(
    ("line", "limit", "said"),
    [
        ("__import__('os')._exit(7)", 600, "its process ended with status 7"),
        ("__import__('os').kill(__import__('os').getpid(), 11)", 600, "ended with SIGSEGV"),
        ("while True: pass", 0.5, "wasn't done after 0.5 seconds"),
    ],
    ids=["it ends", "it crashes", "it hangs"],
)
def test_a_process_that_gives_no_answer(recipe, table, line, limit, said):
    path = recipe(START, f"    {line}\n" + START)
    before = set(psutil.Process().children(recursive=True))  # other tests' servers
    with pytest.raises(CourseError, match=f"linear, seed 0: .*{said}"):
        record_recipes([path], 1, data="sample", limit=limit, table=table)
    assert not table.exists()
    new = set(psutil.Process().children(recursive=True)) - before
    assert not [one for one in new if one.status() != "zombie"]


def test_arguments_without_names_are_arguments(recipe):
    path = recipe("def train(network, digits, seed)", "def train(network, digits, seed, /)")
    assert _read_submission(path).name == "linear"


@pytest.mark.parametrize("text", ['"""\0"""', "x = " + "(" * 5000 + "1" + ")" * 5000, "def :"])
def test_what_python_cannot_read_is_said_in_words(recipe, text):
    with pytest.raises(CourseError, match="isn't Python"):
        _read_submission(recipe(text=text))


def test_only_files_with_data_may_not_be_opened(recipe, tmp_path):
    (tmp_path / "notes.txt").write_text("a note")
    plain = recipe(START, f"    open({str(tmp_path / 'notes.txt')!r}).read()\n" + START)
    assert run_here(plain)["run"]["right"] > 0
    weights = recipe(START, f"    open({str(tmp_path / 'mine.pt')!r})\n" + START)
    with pytest.raises(CourseError, match=r"opens mine\.pt"):
        run_here(weights)


@pytest.mark.parametrize(("own", "cores"), [(0.0, 1.5), (1.0, 1.0), (3.0, 0.0), (4.0, 0.0)])
def test_what_others_computed_is_counted_in_cores(monkeypatch, own, cores):
    Times = collections.namedtuple("Times", "user system idle iowait")
    seen = iter([Times(100, 10, 500, 7), Times(102, 11, 501, 8)])
    used, clock = iter([5.0, 5.0 + own]), iter([40.0, 42.0])
    monkeypatch.setattr(record.psutil, "cpu_times", lambda: next(seen))
    monkeypatch.setattr(record.time, "process_time", lambda: next(used))
    monkeypatch.setattr(record.time, "perf_counter", lambda: next(clock))
    assert record._cores_of_others()() == cores


# ---- the table


def test_an_entry_says_what_the_seeds_did(recipe, table, answered):
    (entry,) = record_recipes([recipe()], 5, table=table, goal=0.9)
    assert entry.accuracies == [0.9, 0.95, 0.97, 0.91, 0.92]
    assert (entry.accuracy, entry.seconds, entry.goal) == (0.92, 4.0, 0.9)
    assert read_record(table) == [entry]
    assert len(answered) == 5 and {one["whole"] for one in answered} == {False}


def test_a_busy_machine_has_no_seconds(recipe, table, answered):
    (entry,) = record_recipes([recipe()], 2, table=table)
    busy = [run | {"others": 1.0} for run in entry.runs]
    assert replace(entry, runs=busy).seconds is None


def test_what_was_measured_is_not_measured_again(recipe, table, answered):
    lines = []
    record_recipes([recipe()], 2, table=table)
    assert record_recipes([recipe()], 2, table=table, say=lines.append) == []
    assert record_recipes([recipe(name="copy")], 2, table=table, say=lines.append) == []
    assert len(answered) == 2 and len(lines) == 2 and "--again" in lines[0]
    with pytest.raises(CourseError, match="with other content"):
        record_recipes([recipe("0.1", "0.2")], 2, table=table)
    assert len(answered) == 2
    record_recipes([recipe()], 1, validate=True, table=table)  # as often as one likes
    before = read_record(table)
    (new,) = record_recipes([recipe("0.1", "0.2")], 3, again=True, table=table)
    assert read_record(table) == [new] and before[0].sha256 != new.sha256


def test_the_same_recipe_on_another_machine_has_an_entry_of_its_own(recipe, table, answered):
    (entry,) = record_recipes([recipe()], 2, table=table)
    other = replace(entry, machine=entry.machine | {"gpu": "an abacus with 1,000 rows"})
    _write_entry(table, other)
    _write_entry(table, other)
    assert [one.machine.get("gpu") for one in read_record(table)] == [None, other.machine["gpu"]]


def test_to_validate_writes_nothing(recipe, table, answered):
    (entry,) = record_recipes([recipe()], 1, True, table=table)
    assert entry.accuracy == 0.9 and not table.exists() and not table.parent.exists()


def test_settings_are_all_tried(recipe, table, answered):
    lines = []
    settings = read_settings(["RATE=0.1,0.2", "NAME='a'"])
    assert settings == [{"RATE": "0.1", "NAME": "'a'"}, {"RATE": "0.2", "NAME": "'a'"}]
    record_recipes([recipe()], 2, True, settings, table=table, say=lines.append)
    assert [(one["settings"]["RATE"], one["seed"]) for one in answered] == [
        ("0.1", 0), ("0.1", 1), ("0.2", 0), ("0.2", 1)
    ]  # fmt: skip
    assert lines[-1].startswith("linear RATE=0.2 NAME='a': median")


@pytest.mark.parametrize("word", ["RATE", "RATE=", "=3", "RATE=f()", "a b=3", "RATE=1]+[2"])
def test_settings_of_another_form(word):
    with pytest.raises(ValueError, match="such as EPOCHS=2,3"):
        read_settings([word])


def test_one_that_fails_does_not_stop_the_others(recipe, table, answered):
    bad = recipe("def train", "def fit", name="bad")
    with pytest.raises(CourseError, match=r"bad\.py has no function train"):
        record_recipes([bad, recipe()], 2, table=table)
    assert [one.name for one in read_record(table)] == ["linear"]


def test_a_missed_goal_is_an_exit_status(recipe, table, answered, capsys):
    words = ["record", str(recipe()), "--table", str(table), "--goal", "99"]
    assert main(words) == 1
    assert "linear: 92.00% misses the goal of 99.00%" in capsys.readouterr().err
    assert read_record(table)[0].goal == 0.99  # the test is spent: the table says so


def test_an_entry_is_whole_or_not_at_all(recipe, table, answered, monkeypatch):
    real = record._in_own_process

    def dies(order):
        if order["seed"] == 1:
            raise CourseError("linear, seed 1: no")
        return real(order)

    monkeypatch.setattr(record, "_in_own_process", dies)
    with pytest.raises(CourseError, match="seed 1"):
        record_recipes([recipe()], 3, table=table)
    assert not table.exists()


@pytest.fixture
def interrupted(answered, monkeypatch):
    "The third seed isn't answered: somebody presses Ctrl+C."
    real = record._in_own_process

    def until_then(order):
        if order["seed"] == 2:
            raise KeyboardInterrupt
        return real(order)

    with monkeypatch.context() as patch:
        patch.setattr(record, "_in_own_process", until_then)
        yield patch


def test_an_interrupted_run_goes_on_where_it_was(recipe, table, answered, interrupted):
    with pytest.raises(KeyboardInterrupt):
        record_recipes([recipe()], 5, table=table)
    assert not table.exists() and [order["seed"] for order in answered] == [0, 1]
    interrupted.undo()
    lines = []
    (entry,) = record_recipes([recipe()], 5, table=table, say=lines.append)
    assert [order["seed"] for order in answered] == [0, 1, 2, 3, 4]
    assert entry.accuracies == [0.9, 0.95, 0.97, 0.91, 0.92]
    assert [", before it was interrupted" in line for line in lines[:5]] == [True] * 2 + [False] * 3
    assert not [*table.parent.glob("*.seeds"), *table.parent.glob(".*.seeds")]  # nothing is left


@pytest.mark.parametrize("change", ["recipe", "data", "version", "machine", "threads", "damaged"])
def test_seeds_of_something_else_are_not_taken(
    recipe, table, answered, interrupted, monkeypatch, change
):
    with pytest.raises(KeyboardInterrupt):
        record_recipes([recipe()], 5, table=table)
    interrupted.undo()
    path, data = recipe(), None
    if change == "recipe":
        path = recipe("0.1", "0.2")
    elif change == "data":
        data = "sample"
    elif change == "version":
        monkeypatch.setattr(record, "__version__", "99")
    elif change == "machine":
        monkeypatch.setattr(record, "this_machine", lambda: {"processor": "abacus"})
    elif change == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    else:
        (kept,) = table.parent.glob(".*.seeds")
        kept.write_bytes(kept.read_bytes()[:-9])
    record_recipes([path], 5, table=table, data=data)
    assert [order["seed"] for order in answered] == [0, 1, 0, 1, 2, 3, 4]


def test_to_validate_takes_no_seeds_of_the_test_and_leaves_none(
    recipe, table, answered, interrupted
):
    for validate in (False, True):
        with pytest.raises(KeyboardInterrupt):
            record_recipes([recipe()], 5, validate, table=table)
    assert [order["seed"] for order in answered] == [0, 1, 0, 1]
    interrupted.undo()
    record_recipes([recipe()], 3, table=table)
    assert [order["seed"] for order in answered] == [0, 1, 0, 1, 2]


def test_a_full_disk_leaves_the_old_table(recipe, table, answered, monkeypatch):
    record_recipes([recipe()], 2, table=table)
    before = table.read_bytes()

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="was not written"):
        record_recipes([recipe("0.1", "0.2", name="new")], 2, table=table)
    assert table.read_bytes() == before


def test_two_who_write_at_once_lose_nothing(recipe, table, answered):
    (entry,) = record_recipes([recipe()], 2, table=table)
    names = [f"recipe{i}" for i in range(8)]
    threads = [
        threading.Thread(target=_write_entry, args=(table, replace(entry, name=name)))
        for name in names
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.name for one in read_record(table)} == {"linear", *names}


def test_seeds_that_are_not_about_the_same(recipe, table, answered, monkeypatch):
    real = record._in_own_process
    monkeypatch.setattr(
        record, "_in_own_process", lambda order: real(order) | {"trained_on": 9 + order["seed"]}
    )
    with pytest.raises(CourseError, match="the seeds differ"):
        record_recipes([recipe()], 2, table=table)
    assert not table.exists() and not [*table.parent.iterdir()]  # no seeds for the next time


def test_the_rules_of_the_courses_own_table(recipe, monkeypatch):
    with pytest.raises(ValueError, match="at least 5 seeds, got 4"):
        record_recipes([recipe()], 4)
    with pytest.raises(ValueError, match="add --validate"):
        record_recipes([recipe()], settings=[{"RATE": "1"}])
    for wrong in ({"seeds": 0}, {"limit": 0}, {"goal": 1.5}):
        with pytest.raises(ValueError, match="there must be a seed"):
            record_recipes([recipe()], **wrong)
    monkeypatch.setattr(record, "clone", lambda: None)
    with pytest.raises(ValueError, match="name another file with --table"):
        record_recipes([recipe()])


def some_entry() -> Entry:
    runs = [{"seed": 0, "right": 9, "seconds": 1.0, "others": 0.0}]
    return Entry("a", "It's a.", "0" * 64, "2026-11-30", 7, 60, 10, None, {"processor": "p"}, runs)


DAMAGE = {
    "not JSON": lambda found: "{",
    "a list": lambda found: [found],
    "another schema": lambda found: found | {"schema": 2},
    "no entries": lambda found: {"schema": 1},
    "a name too many": lambda found: found | {"entries": [asdict(some_entry()) | {"x": 1}]},
    "no runs": lambda found: found | {"entries": [asdict(replace(some_entry(), runs=[]))]},
    "too many right": lambda found: found | {"entries": [asdict(replace(some_entry(), tested_on=8))]},
    "no parameters": lambda found: found | {"entries": [asdict(replace(some_entry(), parameters=0))]},
    "a number as text": lambda found: found | {"entries": [asdict(replace(some_entry(), parameters="7"))]},
    "a truth as a number": lambda found: found | {"entries": [asdict(replace(some_entry(), parameters=True))]},
    "less than nothing": lambda found: json.dumps(found).replace("1.0", "-0.5"),
    "a goal in percent": lambda found: found | {"entries": [asdict(replace(some_entry(), goal=99))]},
    "no processor": lambda found: found | {"entries": [asdict(replace(some_entry(), machine={}))]},
    "seconds that never end": lambda found: json.dumps(found).replace("1.0", "Infinity"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_table_is_named(table, damage):
    _write_entry(table, some_entry())
    found = damage(json.loads(table.read_text()))
    table.write_text(found if isinstance(found, str) else json.dumps(found))
    with pytest.raises(DataError, match=r"record\.json is not a table of the record"):
        read_record(table)


def test_no_table_has_no_entries(tmp_path):
    assert read_record(tmp_path / "nowhere.json") == []


# ---- what is in the repository


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes").glob("*.py")), ids=lambda path: path.stem
)
def test_the_courses_own_recipes_are_recipes(path):
    assert _read_submission(path).says.endswith((".", "!", "?"))


def test_every_recipe_has_its_entry_and_every_entry_its_recipe():
    files = [_read_submission(path) for path in (ROOT / "recipes").glob("*.py")]
    entries = {(entry.name, entry.sha256) for entry in read_record()}
    assert entries == {(one.name, one.sha256) for one in files}


def test_the_shipped_table_can_be_read():
    for entry in read_record():
        assert (ROOT / "recipes" / f"{entry.name}.py").exists()
        assert len(entry.runs) >= 5 and entry.tested_on == 10_000


# ---- the page


def some_entries() -> list[Entry]:
    "Of three recipes; one of them on two machines, another on a busy one."
    base = {"processor": "abacus <2>", "cores": 2, "threads": 1, "torch": "2", "python": "3"}

    def entry(name: str, parameters: int, right: int, seconds: float, others: float = 0.0, **more):
        runs = [
            {"seed": n, "right": right + n, "seconds": seconds, "others": others} for n in range(5)
        ]
        says = f"It's {name} <b>&</b> [short](x)."
        machine = base | more
        return Entry(
            name, says, "ab" * 32, "2026-11-30", parameters, 60_000, 10_000, 0.99, machine, runs
        )

    return [
        entry("small_one", 700, 9_700, 30.0),
        entry("quick", 9_000, 9_900, 3.0),
        entry("quick", 9_000, 9_901, 0.5, gpu="H200"),
        entry("busy", 90_000, 9_950, 9.0, others=1.5),
    ]


def test_the_plots_lead_to_the_recipes():
    from mnist_course.making.site.frontier import record_parts

    page = record_parts(some_entries())
    sizes, seconds = re.findall(r"<svg.*?</svg>", page, re.S)
    assert re.findall('href="#([^"]+)"', sizes) == [
        "recipe-small_one",
        "recipe-quick",
        "recipe-busy",
    ]
    assert re.findall('href="#([^"]+)"', seconds) == [
        "recipe-small_one",
        "recipe-quick",
        "recipe-quick",
    ]
    assert "quick (GPU)" in seconds and "quick: 9,000, 0.98% wrong" in sizes
    for name in ("small_one", "quick", "busy"):
        assert page.count(f"{{#recipe-{name}}}") == 1
    places = {m[1]: (float(m[2]), float(m[3])) for m in re.finditer(
        r'href="#recipe-(\w+)"><circle cx="([\d.]+)" cy="([\d.]+)"', sizes)}  # fmt: skip
    assert places["small_one"][0] < places["quick"][0] < places["busy"][0]
    assert places["small_one"][1] < places["quick"][1] < places["busy"][1]  # fewer misread: lower
    assert seconds.count('class="front"') == 2  # one for each machine


def crowded_entries() -> list[Entry]:
    "Points that are close together and at the edges, with long names; one of more than a million."
    (old,) = [one for one in some_entries() if one.name == "busy"]
    facts = [  # name, parameters, right, seconds
        ("a_recipe_with_a_long_name", 300, 9_100, 0.02),
        ("beside_it", 310, 9_110, 0.021),
        ("above_it", 305, 9_140, 0.019),
        ("below", 330, 9_120, 0.023),
        ("worse_and_larger", 50_000, 9_050, 40.0),
        ("at_the_far_end_of_everything", 2_500_000, 9_979, 3_000.0),
    ]
    return [
        replace(
            old,
            name=name,
            parameters=parameters,
            runs=[{"seed": 0, "right": right, "seconds": seconds, "others": 0.0}],
        )
        for name, parameters, right, seconds in facts
    ]


@pytest.mark.parametrize("which", ["some", "crowded", "one", "two"])
def test_the_plots_are_those_that_were_looked_at(which, tmp_path):
    from mnist_course.making.site.frontier import record_parts

    some, crowded = some_entries(), crowded_entries()
    entries = {"some": some, "crowded": crowded, "one": some[:1], "two": crowded[:2]}[which]
    for number, plot in enumerate(re.findall(r"<svg.*?</svg>", record_parts(entries), re.S)):
        is_approved(f"record: {which} {number}", plot, tmp_path)


def test_what_another_recipe_beats_at_both_is_not_on_the_front():
    from mnist_course.making.site.frontier import record_parts

    page = record_parts(crowded_entries())
    sizes = re.search(r"<svg.*?</svg>", page, re.S)[0]
    front = re.search(r'class="front" d="M([^"]+)"', sizes)[1].split("L")
    spots = dict(re.findall(r'#recipe-(\w+)"><circle cx="([\d.]+)"', sizes))
    assert [place.split()[0] for place in front] == [
        spots[name]
        for name in ("a_recipe_with_a_long_name", "above_it", "at_the_far_end_of_everything")
    ]
    assert page.index("## Where do we stand?") < page.index("## What does each seed say?")
    assert "1 thread, 2 cores, python 3, torch 2. SHA-256" in page


def test_the_page_shows_every_seed_and_no_markup_of_others():
    from mnist_course.making.site.frontier import record_parts

    page = record_parts(some_entries())
    assert "| 4 | 97.04% | 30.00 |" in page and "| 4 | 99.54% |  |" in page
    assert "97.02% | 97.00–97.04% | 700 | 30.00 |" in page
    assert "<b>" not in page and "abacus <2>" not in page and "[short](x)" not in page
    assert "The goal was 99.00%" in page and "/recipes/small_one.py)" in page
    assert f"`{'ab' * 8}`" in page


def test_one_point_can_be_drawn():
    from mnist_course.making.site.frontier import record_parts

    perfect = replace(some_entry(), tested_on=9)
    assert "nan" not in record_parts([perfect]) and "0.01% wrong" in record_parts([perfect])


def test_the_page_has_its_words_also_before_anything_was_measured(tmp_path):
    from mnist_course.making.site.frontier import record_page

    page = record_page(tmp_path / "nowhere.json")
    assert page.startswith("---\ntitle: The record") and "Nothing has been measured yet" in page
    _write_entry(tmp_path / "record.json", some_entry())
    assert "{#recipe-a}" in record_page(tmp_path / "record.json")


def test_the_rules_say_what_the_command_does(recipe):
    words = (ROOT / "nbs" / "record.qmd").read_text("utf-8")
    example = re.search(r"```py\n(.*?)```", words, re.S)[1]
    assert run_here(recipe(name="example", text=example))["run"]["right"] > 1600
    with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
        main(["record", "--help"])
    for option in re.findall(r"--[a-z]+", words):
        assert option in said.getvalue() or option == "--nthreads"  # Dask's own
    assert "At least five, 0 to 4" in words and record._SEEDS == 5
    assert "a quarter of a core or more" in words and record._QUIET == 0.25
    assert (
        "a twelfth of the training digits, about 5,000" in words and round(60_000 / 12, -3) == 5_000
    )
    assert "`--set EPOCHS=1,2,4 --set WIDTH=8,16` runs all six" in words
    assert len(read_settings(["EPOCHS=1,2,4", "WIDTH=8,16"])) == 6


# ---- several machines


def test_an_address_where_nobody_is():
    pytest.importorskip("distributed", reason='this needs pip install "mnist_course[cluster]"')
    for address in ("tcp://127.0.0.1:9", "nonsense://here"):
        with pytest.raises(CourseError, match=f"no Dask scheduler at {address}"):
            record_recipes([], cluster=address, validate=True)


def test_without_dask_it_says_what_to_install(recipe, monkeypatch):
    monkeypatch.setattr("mnist_course.base.find_spec", lambda name: None)
    with pytest.raises(CourseError, match=r'pip install "mnist_course\[cluster\]"'):
        record_recipes([recipe()], cluster="tcp://127.0.0.1:9", validate=True)


@pytest.mark.drawn(1, of="measured recipes")
@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_seed(recipe, table, tmp_path):
    distributed = pytest.importorskip(
        "distributed", reason='this needs pip install "mnist_course[cluster]"'
    )
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    # each seed says that it is at work, and goes on when it may
    wait = (
        f"    import torch\n    torch.os.mkdir(f'{waiting}/{{seed}}-{{torch.os.getpid()}}')\n"
        f"    while not torch.os.path.exists('{tmp_path}/go'):\n        __import__('time').sleep(0.1)\n"
    )
    path = recipe(START, wait + START)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        victim = cluster.workers[0].pid

        def kill():
            while len(list(waiting.iterdir())) < 2:
                time.sleep(0.1)
            os.kill(victim, signal.SIGKILL)
            (tmp_path / "go").touch()

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        (entry,) = record_recipes(
            [path], 3, data="sample", table=table, cluster=cluster.scheduler_address
        )
        killer.join()
        assert not psutil.pid_exists(victim)
    tried = [one.name.split("-") for one in waiting.iterdir()]
    assert {seed for seed, _ in tried} == {"0", "1", "2"} and len(tried) == 4  # one again
    assert not [pid for _, pid in tried if psutil.pid_exists(int(pid))]
    here = [run_here(path, seed=n)["run"]["right"] for n in range(3)]
    assert [run["right"] for run in entry.runs] == here
    assert read_record(table) == [entry]


def test_an_error_of_ours_is_its_own_words():
    said = record._in_words(CourseError("opens mine.pt"), "linear")
    assert said == "opens mine.pt"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'mnist_course'"), "a worker lacks what this machine"),
        (concurrent.futures.CancelledError("lost"), "the scheduler at tcp://there:1 is gone: lost"),
        (ValueError("as it is"), "^as it is$"),
    ],
)
def test_what_breaks_among_the_workers_is_said_in_words(monkeypatch, error, words):
    distributed = pytest.importorskip("distributed")

    class Client(contextlib.nullcontext):
        def __init__(self, address, timeout, set_as_default):
            super().__init__(self)
            assert (address, set_as_default) == ("tcp://there:1", False)

    monkeypatch.setattr(distributed, "Client", Client)
    with (
        pytest.raises(ValueError if isinstance(error, ValueError) else CourseError, match=words),
        record._workers("tcp://there:1"),
    ):
        raise error


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"nope\.py: No such file or directory"):
        record_recipes([tmp_path / "nope.py"], validate=True)


# ---- a seed's process, without one


@pytest.fixture
def process(monkeypatch):
    "In place of a process: it leaves what `leaves` says in its folder, and ends with `status`."
    said = SimpleNamespace(leaves={}, status=0, waits=None, ended=[], asked=[])

    class Process:
        pid = 7

        def __init__(self, command, **streams):
            self.folder = Path(command[-1])
            said.asked.append((command[:-1], json.loads((self.folder / "order.json").read_text())))
            assert streams["stdin"] == subprocess.PIPE and streams["start_new_session"]
            assert streams["stdout"] is streams["stderr"]

        def wait(self, limit):
            said.waits = limit
            for name, text in said.leaves.items():
                (self.folder / name).write_text(text)
            self.returncode = said.status
            if said.status is None:
                raise subprocess.TimeoutExpired("x", limit)

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(record, "_end", lambda one: said.ended.append(type(one)))
    yield said
    assert len(said.ended) == len(said.asked) == 1


ORDER = {"name": "linear", "seed": 3, "limit": 12.5}


def test_a_seeds_process_is_told_what_to_do_and_asked_for_its_answer(process):
    process.leaves = {"answer.json": '{"run": {"seed": 3}}'}
    assert record._in_own_process(ORDER) == {"run": {"seed": 3}}
    assert process.asked == [([sys.executable, "-m", "mnist_course.record"], ORDER)]
    assert process.waits == 12.5


@pytest.mark.parametrize(
    ("status", "leaves", "words"),
    [
        (0, {"answer.json": '{"wrong": "it has no network"}'}, "linear, seed 3: it has no network"),
        (0, {}, "linear, seed 3: its process ended with status 0"),
        (3, {"said": "first\nlast\n\n"}, "linear, seed 3: its process ended with status 3: last"),
        (-9, {"said": ""}, "linear, seed 3: its process ended with SIGKILL"),
        (-15, {"answer.json": "{"}, "linear, seed 3: its process ended with SIGTERM"),
        (None, {}, "linear, seed 3: wasn't done after 12.5 seconds: --limit gives it more"),
    ],
)
def test_a_seeds_process_that_gives_no_answer_is_told(process, status, leaves, words):
    process.status, process.leaves = status, leaves
    with pytest.raises(CourseError) as raised:
        record._in_own_process(ORDER)
    assert str(raised.value) == words


@pytest.mark.parametrize("fails", [False, True])
def test_the_process_writes_its_answer_and_leaves(tmp_path, monkeypatch, fails):
    (tmp_path / "order.json").write_text(json.dumps(ORDER))
    threads, streams = [], []
    monkeypatch.setattr(
        record.threading,
        "Thread",
        lambda target, daemon: SimpleNamespace(start=lambda: threads.append(daemon)),
    )

    def leave(status):
        raise SystemExit(status)

    ours = dict(vars(os)) | {  # pytest needs the real ones
        "_exit": leave,
        "dup2": lambda new, old: streams.append(old) or os.close(new),
    }
    monkeypatch.setattr(record, "os", SimpleNamespace(**ours))

    def run(order):
        if fails:
            sys.exit("away")
        return {"did": order}

    monkeypatch.setattr(record, "_run_here", run)
    with pytest.raises(SystemExit) as raised:
        record._main(str(tmp_path))
    assert raised.value.code == 0 and threads == [True] and streams == [1, 2]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer == ({"wrong": "stopped with SystemExit: away"} if fails else {"did": ORDER})


def test_a_machine_is_told_with_threads_and_version(recipe):
    machine = run_here(recipe())["machine"]
    assert machine.keys() > {"processor", "cores", "memory_gb", "python", "torch"}
    assert isinstance(machine["threads"], int) and machine["threads"] >= 1
    assert machine["mnist_course"] == mnist_course.__version__


def test_a_file_that_python_gives_up_on_is_said_in_words(recipe, monkeypatch):
    def parse(source):
        raise RecursionError("too deep")

    monkeypatch.setattr(record.ast, "parse", parse)
    with pytest.raises(CourseError, match=r"linear\.py isn't Python: too deep$"):
        _read_submission(recipe())


def test_a_table_is_in_the_order_of_parameters_and_names(table):
    for name, parameters in (("b", 7), ("large", 900), ("a", 7), ("small", 2)):
        _write_entry(table, replace(some_entry(), name=name, parameters=parameters))
    assert [one.name for one in read_record(table)] == ["small", "a", "b", "large"]
