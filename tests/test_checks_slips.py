"""Mistakes written as a learner would write them, line by line: each is called by its name."""

import inspect
import sys
import textwrap

import pytest
import torch
from test_checks import no_hurry, no_progress  # noqa: F401
from torch import nn

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

POWERS, SAFE = "logits.exp()", "(logits - logits.max()).exp()"
TOP = "    top = round(14 - float(share.sum(1) @ np.arange(height)))\n"
LEFT = "    left = round(14 - float(share.sum(0) @ np.arange(width)))\n"
ROWS, COLUMNS = "np.arange(height, dtype=np.uint8)[:, None]", "np.arange(width, dtype=np.uint8)"
ACROSS = "(ink * columns).sum() / ink.sum()"
CUT = (".round()", ".round().clamp(-128, 127)")  # to what a byte holds

MOST = "    return divmod(int(torch.bincount(pairs[labels != answers]).argmax()), classes)"
TABLE = "    table = torch.bincount(pairs[labels != answers], minlength=classes**2)\n"
TABLE += "    table = table.reshape(classes, classes)\n"

# exercise -> mistake -> what somebody writes who makes it: in the solution, old -> new
SLIPS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "04.channel_gain": {
        "plain_tensor": [("nn.Parameter(torch.ones(channels, 1, 1))", "torch.ones(channels, 1, 1)")],
        "no_gradient": [("channels, 1, 1)", "channels, 1, 1), requires_grad=False")],
        "one_for_all": [("channels, 1, 1", "1")],
        "along_the_columns": [("channels, 1, 1", "channels")],
        "along_the_rows": [("channels, 1, 1", "channels, 1")],
        "along_the_batch": [("channels, 1, 1", "channels, 1, 1, 1")],
        "starts_at_zero": [("torch.ones", "torch.zeros")],
        "starts_at_random": [("torch.ones", "torch.randn")],
    },
    "04.forward": {
        **{
            f"relu_forgotten, {layer}": [(f"F.relu(self.{layer}(x))", f"self.{layer}(x)")]
            for layer in ("conv1", "conv2", "conv3", "conv4")
        },
        "relu_forgotten, fc1": [("F.relu(self.fc1(x.flatten(1)))", "self.fc1(x.flatten(1))")],
        "relu_on_the_scores": [("self.fc2(x)", "F.relu(self.fc2(x))")],
        "mean_pooled": [
            (f"F.max_pool2d(F.relu(self.{layer}(x)), 2)", f"F.avg_pool2d(F.relu(self.{layer}(x)), 2)")
            for layer in ("conv2", "conv4")
        ],
        "strided": [
            (f"F.max_pool2d(F.relu(self.{layer}(x)), 2)", f"F.relu(self.{layer}(x))[:, :, ::2, ::2]")
            for layer in ("conv2", "conv4")
        ],
        "still_scores": [("F.log_softmax(self.fc2(x), dim=1)", "self.fc2(x)")],
        "probabilities": [("log_softmax", "softmax")],
        "softmax_twice": [("self.fc2(x)", "self.fc2(x).softmax(1)")],
        "digits_compete": [("dim=1", "dim=0")],
    },
    "05.logit_slopes": {
        "overflow_kept": [("logits.softmax(dim=1)", f"{POWERS} / {POWERS}.sum(1, keepdim=True)")],
        "one_largest_for_all": [
            ("logits.softmax(dim=1)", f"{SAFE} / {SAFE}.sum(1, keepdim=True)"),
        ],
        "down_the_column": [("dim=1", "dim=0")],
        "every_row_pays": [("slopes[range(len(target)), target]", "slopes[:, target]")],
        "label_forgotten": [("    slopes[range(len(target)), target] -= 1\n", "")],
        "sum_of_the_batch": [("slopes / len(target)", "slopes")],
        "divided_by_all_numbers": [("slopes / len(target)", "slopes / slopes.numel()")],
        "pushed_the_wrong_way": [("return slopes", "return -slopes")],
    },
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
    "09.paired_difference": {
        "the_other_way_round": [
            ("ours.double() - theirs.double()", "theirs.double() - ours.double()")
        ],
        "scatter_of_one": [(" / math.sqrt(len(apart))", "")],
        "over_n": [("math.sqrt(len(apart))", "len(apart)")],
        "one_error": [("1.96 * ", "")],
        "middle_only": [("half = ", "half = 0 * ")],
        "middle_and_half": [
            (
                "float(apart.mean()) - half, float(apart.mean()) + half",
                "float(apart.mean()), half",
            )
        ],
    },
    "09.commonest_mistake": {
        "row_is_the_answer": [("classes * labels + answers", "classes * answers + labels")],
        "both_ways": [(MOST, f"{TABLE}    return divmod(int((table + table.T).argmax()), classes)")],
        "hardest_digit_first": [
            (MOST, f"{TABLE}    row = int(table.sum(1).argmax())\n    return row, int(table[row].argmax())")
        ],
    },
    "09.f1_scores": {
        "recall_alone": [
            ("2 * matrix.diag() / both.clamp(min=1)", "matrix.diag() / matrix.sum(1).clamp(min=1)")
        ],
    },
    "10.saliency": {
        "signs_left_on": [("slopes.abs()", "slopes")],
        "of_log_probabilities": [("output_of(model, x)", "model(x)")],
        "of_probabilities": [("output_of(model, x)", "model(x).exp()")],
        "mean_over_images": [("digits].sum()", "digits].mean()")],
        "all_scores": [("scores[range(len(digits)), digits].sum()", "scores.sum()")],
        "every_row_answers": [("scores[range(len(digits)), digits]", "scores[:, digits]")],
        "times_the_input": [("slopes.abs()", "(slopes * images).abs()")],
        "channel_kept": [(".amax(dim=1)", "")],
    },
    "10.erase": {
        "painted_gray": [("PAPER", "0.0")],
        "least_important": [("topk(n)", "topk(n, largest=False)")],
        "one_too_few": [("topk(n)", "topk(n - 1)")],
        "shape_lost": [(".reshape(images.shape)", "")],
    },
    "10.occlusion": {
        "rises": [("scores[0] - scores[1:]", "scores[1:] - scores[0]")],
        "scores_themselves": [("(scores[0] - scores[1:])", "scores[1:]")],
        "gray_square": [("= PAPER", "= 0")],
        "window_instead": [
            ("image.clone()", "torch.full_like(image, PAPER)"),
            ("= PAPER\n", "= image[..., i : i + size, j : j + size]\n"),
        ],
        "squares_pile_up": [
            ("            covered = image.clone()\n", ""),
            ("[image]\n", "[image]\n    covered = image.clone()\n"),
            ("append(covered)", "append(covered.clone())"),
        ],
        "on_its_side": [(".reshape(rows, columns)", ".reshape(rows, columns).T")],
        "log_probabilities_fall": [("output_of(model, torch.cat(images))", "model(torch.cat(images))")],
    },
    "10.contrast": {
        "rival_forgotten": [(" - log_probs[:, rival]", "")],
        "rival_alone": [("log_probs[:, digit] - ", "")],
        "after_softmax": [("model(x)", "model(x).exp()")],
        "sign_kept": [("gradient.abs()", "gradient")],
        "batch_mean": [(".sum()", ".mean()")],
        "squared": [("gradient.abs()", "gradient.square()")],
    },
    "11.crop": {
        "ends_too_soon": [("rows[-1] + 1", "rows[-1]"), ("columns[-1] + 1", "columns[-1]")],
        "any_trace": [("> 0.2).any(1)", "> 0).any(1)"), ("> 0.2).any(0)", "> 0).any(0)")],
        "rows_only": [(", columns[0] : columns[-1] + 1]", "]")],
        "one_extra": [
            ("rows[0] : rows[-1] + 1", "max(rows[0] - 1, 0) : rows[-1] + 2"),
            ("columns[0] : columns[-1] + 1", "max(columns[0] - 1, 0) : columns[-1] + 2"),
        ],
        "blackened": [("return ink[", "return (ink > 0.2)[")],
        "squeezed": [
            ("rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]", "rows][:, columns]")
        ],
    },
    "11.center": {
        "box_in_the_middle": [
            ("round(14 - float(share.sum(1) @ np.arange(height)))", "(28 - height) // 2"),
            ("round(14 - float(share.sum(0) @ np.arange(width)))", "(28 - width) // 2"),
        ],
        "around_13_5": [
            ("14 - float(share.sum(1)", "13.5 - float(share.sum(1)"),
            ("14 - float(share.sum(0)", "13.5 - float(share.sum(0)"),
        ],
        "ink_not_weighed_here": [("small / small.sum()", "(small > 0) / (small > 0).sum()")],
        "other_axis": [(TOP, ""), (LEFT, LEFT.replace("left", "top") + TOP.replace("top", "left"))],
        "starts_there": [
            ("round(14 - float(share.sum(1)", "round(0 + float(share.sum(1)"),
            ("round(14 - float(share.sum(0)", "round(0 + float(share.sum(0)"),
        ],
        "bytes_overflow": [
            ("share.sum(1) @ np.arange(height)", f"(small * {ROWS}).sum() / small.sum()"),
            ("share.sum(0) @ np.arange(width)", f"(small * {COLUMNS}).sum() / small.sum()"),
        ],
    },
    "11.slant": {
        "not_centred": [("rows - (ink * rows).sum() / ink.sum()", "rows")],
        "ink_not_weighed": [("    rows = ", "    ink = (ink > 0).float()\n    rows = ")],
        "wrong_spread": [("(down * rows)", f"(ink * columns * (columns - {ACROSS}))")],
        "not_divided": [(" / (down * rows).sum()", "")],
        "box_centred": [
            ("[:, None]", "[:, None] - (ink.shape[0] - 1) / 2"),
            ("torch.arange(ink.shape[1])", "torch.arange(ink.shape[1]) - (ink.shape[1] - 1) / 2"),
            ("(rows - (ink * rows).sum() / ink.sum())", "rows"),
        ],
        "the_other_way": [("return (", "return -(")],
        "an_angle": [("return (", "return math.degrees(math.atan(("), (".item()", ".item()))")],
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
    "12.first_bad": {
        "last_bad": [("found[0]", "found[-1]")],
        "only_nan": [("not output.isfinite().all()", "output.isnan().any()")],
        "hooks_left": [("            hook.remove()\n", "            pass\n")],
        "containers_in_turn": [("if not list(module.children())", "if True")],
        "left_in_eval": [("        model(x)\n", "        model.eval()\n        model(x)\n")],
        "kind_of_layer": [("found.append(name)", "found.append(type(module).__name__)")],
    },
    "12.pins_accuracy": {
        "one_batch": [
            ("[(log_probs[:5], labels[:5]), (log_probs[5:], labels[5:])]", "[(log_probs, labels)]")
        ],
        "all_right": [("0, 0, 0, 0, 1, 0, 1", "0, 0, 0, 0, 0, 0, 0"), ("5 / 7", "1")],
        "only_the_range": [("abs(got - 5 / 7) < 1e-5", "0 <= got <= 1")],
        "to_the_last_digit": [("abs(got - 5 / 7) < 1e-5", "got == 5 / 7")],
        "never_asserts": [("assert abs(got - 5 / 7) < 1e-5, got", "abs(got - 5 / 7) < 1e-5")],
        "gives_its_verdict": [("assert abs(got - 5 / 7) < 1e-5, got", "return abs(got - 5 / 7) < 1e-5")],
        "another_error": [
            ("assert abs(got - 5 / 7) < 1e-5, got", "if abs(got - 5 / 7) > 1e-5: raise ValueError(got)")
        ],
        "too_much_room": [("< 1e-5", "< 0.1")],
        "empty_list": [("< 1e-5, got", "< 1e-5, got\n    assert accuracy([]) == 0")],
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
    "13.moved": {
        "zeros_come_in": [("x.min().item()", "0.0")],
        "another_paper": [("x.min().item()", "-1.0")],
        "the_other_way": [("5 - down[i], 5 - right[i]", "5 + down[i], 5 + right[i]")],
        "rows_for_columns": [("5 - down[i], 5 - right[i]", "5 - right[i], 5 - down[i]")],
        "one_move_for_all": [("5 - down[i], 5 - right[i]", "5 - down[0], 5 - right[0]")],
        "sizes_only": [("5 - down[i], 5 - right[i]", "5 - abs(down[i]), 5 - abs(right[i])")],
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
    "15.eight_bits": {
        "largest_without_sign": [("rows.abs()", "rows"), CUT],
        "by_128": [("/ 127", "/ 128"), CUT],
        "sign_and_128": [("rows.abs()", "rows"), ("/ 127", "/ 128"), CUT],
        "cut_off": [(".round()", "")],
    },
}  # fmt: skip


class Gain(nn.Module):
    "A learner's own layer."

    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        return x * self.gain


def written(id, edits=()):
    "The solution's code with some changes, as a function of its own."
    solution = COURSE[id].solution
    source = textwrap.dedent(inspect.getsource(solution))
    source = source[source.index(f"def {solution.__name__}(") :]
    for old, new in edits:
        assert source.count(old) == 1, (id, old)
        source = source.replace(old, new)
    space = {**vars(sys.modules[solution.__module__]), "Gain": Gain}
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
        assert result.misconception == name.partition(",")[0], result
        assert "same in every case" not in result.message, result  # it's named for sure


# ---- layers of learners' own


class WithShift(Gain):
    def __init__(self, channels):
        super().__init__(nn.Parameter(torch.ones(channels, 1, 1)))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x):
        return x * self.gain + self.shift


class WritesIntoIt(Gain):
    def forward(self, x):
        x *= self.gain
        return x


class Adds(Gain):
    def forward(self, x):
        return x + self.gain


class CutOff(Gain):
    def forward(self, x):
        return x * self.gain.detach()


class Unprepared(nn.Module):
    def __init__(self, channels):
        self.gain = nn.Parameter(torch.ones(channels, 1, 1))


def ones(channels):
    return nn.Parameter(torch.ones(channels, 1, 1))


LAYERS = {
    "learns_more": WithShift,
    "writes_into_its_input": lambda channels: WritesIntoIt(ones(channels)),
    "added": lambda channels: Adds(nn.Parameter(torch.zeros(channels, 1, 1))),
    "no_gradient": lambda channels: CutOff(ones(channels)),
    "no_bookkeeping": Unprepared,
}


@pytest.mark.parametrize(("id", "name"), [("04.channel_gain", name) for name in LAYERS])
def test_a_layer_with_a_slip_is_called_by_its_name(id, name):
    result = check(id, LAYERS[name], seed=1)
    assert result.misconception == name, result
    assert ("'its input': 'changed'" in result.message) == (name == "writes_into_its_input")
