"""Mistakes written as a learner would write them, line by line: each is called by its name."""

import inspect
import sys
import textwrap

import pytest
from test_checks import no_hurry, no_progress  # noqa: F401

from mnist_course.checks import COURSE, check

MEANS = [
    ("F.nll_loss(log_probs, y).item() * len(y)", "F.nll_loss(log_probs, y).item()"),
    ("== y).sum()", "== y).float().mean()"),
    ("count += len(y)", "count += 1"),
]  # a mean of the batches' means
LAST = [("total += ", "total = "), ("right += ", "right = "), ("count += ", "count = ")]
SUMS = [("total / count, right / count", "total, right")]
SWAPPED = [("total / count, right / count", "right / count, total / count")]
PERCENT = [("right / count", "100 * right / count")]
EMPTY = "        optimizer.zero_grad()\n"
BACK = "        loss.backward()\n"
STEP = "        optimizer.step()\n"
AGAIN = "        log_probs = model(x)\n        loss = F.nll_loss(log_probs, y)\n"
TICK = "        scheduler.step()\n"
RATE = '        history.lr.append(optimizer.param_groups[0]["lr"])\n'
LEARN = "        loss, acc = train(model, train_batches, optimizer)\n"
LEARN += "        history.train_loss.append(loss)\n        history.train_acc.append(acc)\n"
LOOK = "        loss, acc = test(model, test_batches)\n"
LOOK += "        history.test_loss.append(loss)\n        history.test_acc.append(acc)\n"
ZEROS = "    for value in values:\n        value.grad = "
ZEROS += "torch.full_like(value.data, value is result)\n"
NEAREST_FIRST = """    values = [result]
    for value in values:
        values += [one for one in dict.fromkeys(value.parents) if one not in values]
    values.reverse()
"""
HALF = "student_t(len(values) - 1) * stdev(values) / math.sqrt(len(values))"
PAIR = "t * stdev(differences) / math.sqrt(len(differences))"
GAP = "(together - alone).abs().max()"

# exercise -> mistake -> what somebody writes who makes it: in the solution, old -> new
SLIPS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "06.pass_back": {
        "its_own_number": [("[g * b, g * a]", "[g * a, g * b]")],
        "gate_on_the_slope": [("(a > 0)", "(g > 0)")],
        "gate_ajar": [("(a > 0)", "(a >= 0)")],
        "gate_left_out": [("[g * (a > 0)]", "[g]")],
        "number_for_its_power": [("a.exp()", "a")],
        "log_again": [("[g / a]", "[g * a.log()]")],
        "upside_down": [("[g / a]", "[g * a]")],
        "tables_not_turned": [("[g @ b.T, a.T @ g]", "[g @ b, a @ g]")],
        "one_number_each": [("[g @ b.T, a.T @ g]", "[g * b, g * a]")],
        "slope_left_out": [
            ("[g * b, g * a]", "[b, a]"),
            ("[g @ b.T, a.T @ g]", "[torch.ones_like(g) @ b.T, a.T @ torch.ones_like(g)]"),
            ("[g * (a > 0)]", "[1.0 * (a > 0)]"),
            ("[g * a.exp()]", "[a.exp()]"),
            ("[g / a]", "[1 / a]"),
        ],
    },
    "06.backward": {
        "overwritten": [("parent.grad + slope", "slope")],
        "never_emptied": [(ZEROS, "    result.grad = torch.ones_like(result.data)\n")],
        "begins_with_nothing": [("value is result", "0")],
        "from_the_front": [("values.pop()", "values.pop(0)")],
        "passed_on_too_early": [("    values = in_order(result)\n", NEAREST_FIRST)],
        "only_the_first": [("zip(value.parents, slopes)", "zip(value.parents[:1], slopes)")],
    },
    "06.network_slopes": {
        "no_gate": [("back * (before > 0)", "back")],
        "gate_ajar": [("before > 0", "before >= 0")],
        "averaged_over_the_table": [("slopes / len(labels)", "slopes / slopes.numel()")],
        "label_left_out": [("    slopes[range(len(labels)), labels] -= 1\n", "")],
    },
    "08.train": {
        "never_emptied": [(EMPTY, "")],
        "emptied_too_soon": [(EMPTY, ""), (BACK, BACK + EMPTY)],
        "never_stepped": [(STEP, "")],
        "first_batch_only": [("    return total", "        return total")],
        "mean_of_batches": [("loss.item() * len(y)", "loss.item()"), *MEANS[1:]],
        "last_batch_told": LAST,
        "never_divided": SUMS,
        "divided_by_batches": [("count += len(y)", "count += 1")],
        "tensors_added": [("loss.item()", "loss")],
        "looked_afterwards": [(STEP, STEP + AGAIN)],
        "swapped": SWAPPED,
        "in_percent": PERCENT,
    },
    "08.test": {
        "mode_forgotten": [("    model.eval()\n", "")],
        "left_in_eval": [("    model.train(before)\n", "")],
        "always_back_to_training": [("model.train(before)", "model.train()")],
        "layers_left_behind": [("model.train(before)", "model.training = before")],
        "notes_kept": [("torch.no_grad()", "torch.enable_grad()")],
        "mean_of_batches": MEANS,
        "last_batch_told": LAST,
        "never_divided": SUMS,
        "swapped": SWAPPED,
        "in_percent": PERCENT,
    },
    "08.fit": {
        "tick_every_batch": [(TICK, "        for _ in train_batches:\n    " + TICK)],
        "tick_forgotten": [(TICK, "")],
        "tick_first": [(TICK, ""), (RATE, TICK + RATE)],
        "rate_noted_late": [(RATE, ""), (TICK, TICK + RATE)],
        "tested_first": [(LEARN, ""), (LOOK, LOOK + LEARN)],
        "tested_on_training": [("test(model, test_batches)", "test(model, train_batches)")],
        "trained_on_test": [("train(model, train_batches,", "train(model, test_batches,")],
        "history_made_anew": [(RATE, "        history = History()\n" + RATE)],
        "one_too_few": [("range(epochs)", "range(1, epochs)")],
    },
    "12.by_heart": {
        "heart_never_emptied": [(EMPTY, "")],
        "heart_never_stepped": [(STEP, "")],
        "heart_afterwards": [
            ("        losses.append(loss.item())\n", ""),
            (STEP, STEP + "        losses.append(F.nll_loss(model(x), y).item())\n"),
        ],
        "last_loss_only": [("return losses", "return losses[-1]")],
        "losses_with_notes": [("loss.item()", "loss")],
    },
    "12.gradient_lengths": {
        "older_ones_too": [("    model.zero_grad()\n", "")],
        "trained_ones_only": [
            ("0.0 if p.grad is None else ", ""),
            ("named_parameters()\n", "named_parameters() if p.grad is not None\n"),
        ],
        "lengths_of_weights": [("p.grad.norm()", "p.norm()"), ("if p.grad is None", "if False")],
        "largest_slope": [("p.grad.norm()", "p.grad.abs().max()")],
        "mean_slope": [("p.grad.norm()", "p.grad.mean()")],
    },
    "12.mixing": {
        "signed_difference": [(GAP, "(together - alone).max()")],
        "mean_difference": [(GAP, "(together - alone).abs().mean()")],
        "first_digit_only": [(GAP, "(together[0] - alone[0]).abs().max()")],
        "asked_twice": [("torch.cat([model(x[i : i + 1]) for i in range(len(x))])", "model(x)")],
        "sum_of_differences": [(GAP, "(together - alone).abs().sum()")],
    },
    "13.interval": {
        "over_all": [("stdev(values)", "pstdev(values)")],
        "no_root": [(" / math.sqrt(len(values))", "")],
        "over_n": [("math.sqrt(len(values))", "len(values)")],
        "large_samples": [("student_t(len(values) - 1)", "1.96")],
        "student_of_n": [("student_t(len(values) - 1)", "student_t(len(values))")],
        "one_error": [("student_t(len(values) - 1) * ", "")],
        "without_mean": [("return mean(values), ", "return ")],
        "around_zero_ends": [("mean(values) - half, mean(values) + half", "-half, half")],
    },
    "13.pair_interval": {
        "no_root": [(PAIR, "t * stdev(differences)")],
        "no_root_of_n": [(PAIR, "t * stdev(differences) / len(differences)")],
        "one_root_too_many": [(PAIR, "t * stdev(differences) / math.sqrt(len(differences) - 1)")],
        "the_other_way_round": [
            ("variant[seed] - baseline[seed]", "baseline[seed] - variant[seed]")
        ],
        "always_two": [("half = t * ", "half = 1.96 * ")],
        "around_zero": [("mean(differences) - half, mean(differences) + half", "-half, half")],
        "mean_and_half": [("mean(differences) - half, mean(differences) + half", "mean(differences), half")],
    },
    "14.fair_medians": {
        "cold_start": [("            if turn > 0:\n    ", "")],
        "mean": [("statistics.median(", "statistics.mean(")],
        "best_of_all": [("statistics.median(", "min(")],
        "lower_median": [("statistics.median(", "statistics.median_low(")],
    },
}  # fmt: skip


def written(id, edits=()):
    "The solution's code with some changes, as a function of its own."
    solution = COURSE[id].solution
    source = textwrap.dedent(inspect.getsource(solution))
    source = source[source.index(f"def {solution.__name__}(") :]
    for old, new in edits:
        assert source.count(old) == 1, (id, old)
        source = source.replace(old, new)
    space = dict(vars(sys.modules[solution.__module__]))
    exec("from __future__ import annotations\n" + source, space)
    return space[solution.__name__]


@pytest.mark.parametrize("id", SLIPS)
def test_the_code_as_it_is_passes(id):
    assert check(id, written(id), seed=1)


@pytest.mark.parametrize(("id", "name"), [(id, name) for id in SLIPS for name in SLIPS[id]])
def test_a_slip_in_a_line_is_called_by_its_name(id, name):
    answer = written(id, SLIPS[id][name])
    for seed in range(3):
        result = check(id, answer, seed=seed)
        assert result.misconception == name, result
