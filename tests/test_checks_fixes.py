"""Every state of a fix on the way; and lessons 08 to 15, answered as learners would: answers, right and wrong, that are in no list."""

import itertools
import math
import re
import statistics
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_course.checks import COURSE, check, engine, exercises
from mnist_course.checks.compare import kind_of
from mnist_course.data import MEAN, STD
from mnist_course.export import quantize
from mnist_course.interpret import watch_layers
from mnist_course.teaching.notebooks import read_notebook

ROOT = Path(__file__).parent.parent
MINE = [item for item in exercises() if "08" <= item.lesson <= "15"]
SPACE = {
    "F": F,
    "MEAN": MEAN,
    "STD": STD,
    "math": math,
    "mean": statistics.mean,
    "nn": nn,
    "np": np,
    "statistics": statistics,
    "torch": torch,
}


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")


def cells(lesson):
    path = next((ROOT / "nbs").glob(f"{lesson}_*.ipynb"))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in read_notebook(path)["cells"]]


def code_of(id):
    "The cell of an exercise's stub, without its check."
    lesson = id.partition(".")[0]
    codes = (source for kind, source in cells(lesson) if kind == "code")
    return next(code for code in codes if f'\ncheck("{id}"' in code).split("\ncheck(")[0]


def made(id, source):
    space = dict(SPACE)
    exec("from __future__ import annotations\n" + source, space)
    return space[COURSE[id].name]


# ---- tasks that give broken code: each of its faults, as (broken, fixed); a fault may take two edits

FAULTS = {
    "00.margin": [
        [("[0]", "[-1]")],
        [("[1]", "[-2]")],
    ],
    "01.mended_batch": [
        [
            ("    y = labels[torch.randperm(len(labels))[:batch_size]]\n", ""),
            (
                "x = images[torch.randperm(len(images))[:batch_size]]",
                "i = torch.randperm(len(images))[:batch_size]\n    x, y = images[i], labels[i]",
            ),
        ],
        [("(x - MEAN) / STD / 255", "(x / 255 - MEAN) / STD")],
        [("x[None]", "x[:, None]")],
    ],
    "02.mended_conv": [
        [("[padding, padding]", "[padding] * 4")],
        [("kw, kh =", "kh, kw =")],
        [("y + bias", "y + bias[:, None, None]")],
    ],
    "04.mended_net": [
        [
            (
                "self.convs = [nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3)]",
                "self.convs = nn.ModuleList([nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3)])",
            )
        ],
        [("F.relu(self.fc(x))", "self.fc(x)")],
        [("dim=0", "dim=1")],
    ],
    "05.logit_slopes": [
        [
            ("    powers = logits.exp()\n", ""),
            ("powers / powers.sum(dim=1, keepdim=True)", "logits.softmax(dim=1)"),
        ],
        [("p[:, target]", "p[range(len(target)), target]")],
        [("return p", "return p / len(target)")],
    ],
    "06.network_slopes": [
        [("before.T @ slopes", "hidden.T @ slopes")],
        [("(back > 0)", "(before > 0)")],
        [("labels] -= 1\n", "labels] -= 1\n    slopes = slopes / len(labels)\n")],
    ],
    "07.rate_at": [
        [("peak * step / warm", "peak * (step + 1) / warm")],
        [("(step // every)", "((step - warm) // every)")],
    ],
    "08.early_stop": [
        [("waited > patience", "waited == patience")],
        [
            ("best, waited = epoch, 0", "best, lowest, waited = epoch, loss, 0"),
            ("        lowest = loss\n", ""),
        ],
    ],
    "09.commonest_mistake": [
        [("matrix[answer, label] += 1", "matrix[label, answer] += 1")],
        [("divmod(int(matrix.argmax()), classes)", "divmod(int(off(matrix).argmax()), classes)")],
    ],
    "10.mean_output": [
        [
            ("    module.register", "    hook = module.register"),
            ("    model(x)\n", "    try:\n        model(x)\n    finally:\n        hook.remove()\n"),
        ]
    ],
    "11.network_input": [
        [("(page.float() - MEAN) / STD / 255", "(page.float() / 255 - MEAN) / STD")],
        [("pixels[None]", "pixels[None, None]")],
    ],
    "13.pair_interval": [
        [
            (
                "    pairs = zip(variant.values(), baseline.values(), strict=False)\n",
                "    pairs = [(variant[s], baseline[s]) for s in variant if s in baseline]\n",
            )
        ],
        [("statistics.pstdev", "statistics.stdev")],
        [("len(variant)", "len(variant.keys() & baseline.keys())")],
    ],
    "14.fair_medians": [
        [
            ("range(rounds)", "range(rounds + 1)"),
            ("        medians[", "        seconds = seconds[1:]\n        medians["),
        ],
        [
            (
                "    for name, job in jobs.items():\n        seconds = []\n        for _ in",
                "    table = {name: [] for name in jobs}\n    for _ in",
            ),
            (
                "):\n            start",
                "):\n        for name, job in jobs.items():\n            start",
            ),
            (
                "            seconds.append(clock() - start)\n",
                "            table[name].append(clock() - start)\n"
                "    for name, seconds in table.items():\n",
            ),
        ],
        [("sorted(seconds)[len(seconds) // 2]", "statistics.median(seconds)")],
    ],
    "15.eight_bits": [
        [("rows.amax", "rows.abs().amax")],
        [("/ 128", "/ 127")],
        [("(rows / step[:, None]).to", "(rows / step[:, None]).round().to")],
    ],
}


def off(matrix):
    return matrix * (1 - torch.eye(len(matrix), dtype=torch.int64))


def fixed_in_part(id, fixed):
    "The code of a stub with some of its faults fixed, and the line that keeps it open taken away."
    code = re.sub(r"\n +return \.\.\.  #[^\n]*", "", code_of(id))
    for number in fixed:
        for broken, mended in FAULTS[id][number]:
            assert code.count(broken) == 1, (id, broken)
            code = code.replace(broken, mended)
    function = made(id, code)
    function.__globals__["off"] = off
    return function


STATES = [
    (id, fixed)
    for id, faults in FAULTS.items()
    for n in range(len(faults) + 1)
    for fixed in itertools.combinations(range(len(faults)), n)
]


def test_every_task_that_gives_broken_code_is_in_the_table():
    assert {item.id for item in exercises() if item.kind == "fix"} == FAULTS.keys()


@pytest.mark.parametrize(("id", "fixed"), STATES)
def test_every_state_on_the_way_of_a_fix_is_named(id, fixed):
    answer = fixed_in_part(id, fixed)
    for seed in range(5):
        result = check(id, answer, seed=seed)
        if len(fixed) == len(FAULTS[id]):
            assert result, result
        else:
            assert result.misconception, result
            assert "same in every case" not in result.message, result  # named for sure


# ---- edges


@pytest.mark.parametrize("item", [item for item in MINE if item.edges], ids=lambda item: item.id)
def test_the_edges_are_drawn_with_every_seed(item):
    for seed in range(12):
        cases = engine._draw_cases(item, seed)
        missing = [name for name, edge in item.edges.items() if not any(edge(*c) for c in cases)]
        assert not missing, (seed, missing)


# ---- right answers, in ways of their own


def accuracy_by_hand(model, batches, classes):
    was = model.training
    model.train(False)
    hits, all_of_them = [0] * classes, [0] * classes
    with torch.inference_mode():
        for x, y in batches:
            for row, label in zip(model(x), y.tolist(), strict=True):
                all_of_them[label] += 1
                hits[label] += int(row.argmax()) == label
    model.train(was)
    return [a / b for a, b in zip(hits, all_of_them, strict=True)]


def parts_with_scaled_gradients(model, optimizer, batches, every):
    model.train()
    for first in range(0, len(batches), every):
        optimizer.zero_grad(set_to_none=False)
        seen = 0
        for x, y in batches[first : first + every]:
            (-model(x)[torch.arange(len(y)), y]).sum().backward()
            seen += len(y)
        for p in model.parameters():
            p.grad /= seen
        optimizer.step()


def f1_from_recall_and_precision(matrix):
    scores = []
    for c in range(len(matrix)):
        right = float(matrix[c, c])
        if right == 0:
            scores.append(0)
            continue
        recall, precision = right / float(matrix[c].sum()), right / float(matrix[:, c].sum())
        scores.append(statistics.harmonic_mean([recall, precision]))
    return np.array(scores)


def output_with_eval_and_back(model, layer, x):
    kept, was = {}, model.training
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, inputs, out: kept.update(mean=out.mean())
    )
    model.eval()
    try:
        model(x)
    finally:
        handle.remove()
        model.train(was)
    return kept["mean"]


def contrast_by_backward(model, images, digit, rival):
    x = images.double().float().requires_grad_()
    y = model(x)
    (y[:, digit] - y[:, rival]).sum().backward()
    return x.grad.abs().squeeze(1)


def first_bad_by_subclass(model, x):
    names = {module: name for name, module in model.named_modules()}
    first = []

    def look(module, inputs, out):
        if first or any(True for _ in module.children()):
            return
        if not torch.isfinite(out).all():
            first.append(names[module])

    handles = [module.register_forward_hook(look) for module in names]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return next(iter(first), None)


def pins_with_three_batches(accuracy):
    sizes, wrong = (6, 3, 1), (1, 2, 0)
    batches = []
    for n, m in zip(sizes, wrong, strict=True):
        labels = torch.arange(n)
        said = torch.where(labels < m, labels + 1, labels)
        batches.append((F.one_hot(said, 10).float().log_softmax(1), labels))
    assert math.isclose(accuracy(batches), 7 / 10, abs_tol=1e-4)


def moved_by_rolling(x, down, right):
    out = []
    for image, d, r in zip(x, down.tolist(), right.tolist(), strict=True):
        new = torch.roll(image, (d, r), (1, 2))
        new[:, :d] = x.min() if d > 0 else new[:, :d]
        if d < 0:
            new[:, d:] = x.min()
        if r > 0:
            new[:, :, :r] = x.min()
        if r < 0:
            new[:, :, r:] = x.min()
        out.append(new)
    return torch.stack(out)


def averaged_by_lerp(average, state, keep):
    new = {}
    for name in average:
        if average[name].dtype.is_floating_point:
            new[name] = torch.lerp(state[name], average[name], keep)
        else:
            new[name] = state[name]
    return new


def interval_by_numpy(variant, baseline, t):
    both = sorted(set(variant) & set(baseline))
    d = np.array([variant[s] for s in both]) - np.array([baseline[s] for s in both])
    half = t * d.std(ddof=1) / np.sqrt(len(both))
    return d.mean() + np.array([-half, half])


def medians_by_rounds(jobs, rounds, clock):
    table = []
    for _ in range(1 + rounds):
        row = {}
        for name in jobs:
            begin = clock()
            jobs[name]()
            row[name] = clock() - begin
        table.append(row)
    return {name: float(np.median([row[name] for row in table[1:]])) for name in jobs}


def bits_by_loop(weight):
    whole, steps = torch.empty_like(weight, dtype=torch.int8), []
    for i, row in enumerate(weight):
        steps.append(float(row.abs().max()) / 127)
        whole[i] = torch.round(row / steps[-1])
    return [whole, torch.tensor(steps)]


def rings_by_queue(doubtful, window, limit):
    last = []
    for i, flagged in enumerate(doubtful):
        last = [*last, flagged][-window:]
        if len(last) == window and np.mean(last) > limit:
            return np.int64(i)


def batches_as_lists(images, labels, size):
    return [list(pair) for pair in COURSE["14.batches"].solution(images, labels, size)]


def paths_by_recursion(parents, start):
    children = [(parent, child) for child, made_from in parents.items() for parent in made_from]

    @cache
    def paths(value):
        below = [child for parent, child in children if parent == value]
        return sum(map(paths, below)) + (value == list(parents)[-1])

    return paths(start)


RIGHT = [
    ("06.count_paths", paths_by_recursion),
    ("08.loop_order", "f, c, e, d, a, b"),
    ("08.loop_order", ["C", "F", "E", "D", "A", "B"]),
    ("08.lr_column", np.array([0.8, 0.2, 0.025])),
    ("08.class_accuracy", accuracy_by_hand),
    ("08.train_in_parts", parts_with_scaled_gradients),
    ("09.fives", ("30/40", "60%")),
    ("09.more_than_luck", "D and C"),
    ("09.f1_scores", f1_from_recall_and_precision),
    ("10.mean_output", output_with_eval_and_back),
    ("10.mean_output", partial(output_with_eval_and_back)),
    ("10.cosine", lambda a, b: F.cosine_similarity(a[:, None], b[None], dim=2)),
    ("10.contrast", contrast_by_backward),
    ("11.slant", lambda ink: slope_by_polyfit(ink)),
    ("12.first_bad", first_bad_by_subclass),
    ("12.slopes_end", ("C", "B", "D", "A")),
    ("12.pins_accuracy", pins_with_three_batches),
    ("13.moved", moved_by_rolling),
    ("13.averaged", averaged_by_lerp),
    ("13.pair_interval", interval_by_numpy),
    ("13.supported", [1, 3, 4]),
    ("13.supported", "4, 3 and 1"),
    ("13.supported", 134),
    ("14.fair_medians", medians_by_rounds),
    ("14.batches", batches_as_lists),
    ("14.may_swap", {"E", "A", "C"}),
    ("15.eight_bits", bits_by_loop),
    ("15.eight_bits", partial(bits_by_loop)),
    ("15.rings_at", rings_by_queue),
    ("15.int8_bytes", "4,136"),
    ("11.best_limit", "80%"),
]


def slope_by_polyfit(ink):
    rows, columns = np.nonzero(ink.numpy())
    return np.polyfit(rows, columns, 1, w=np.sqrt(ink.numpy()[rows, columns]))[0]


@pytest.mark.parametrize(("id", "answer"), RIGHT)
def test_a_right_answer_of_ones_own_passes(id, answer):
    for seed in range(6):
        assert check(id, answer, seed=seed), check(id, answer, seed=seed)


# ---- wrong answers, and what they are called; None: refused, without a name


def joined_by_hand(model, optimizer, batches, every):
    while batches:
        group, batches = batches[:every], batches[every:]
        images = torch.cat([x for x, _ in group])
        labels = torch.cat([y for _, y in group])
        loss = F.nll_loss(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def one_backward_by_hand(model, optimizer, batches, every):
    for i in range(0, len(batches), every):
        losses, n = 0, 0
        for x, y in batches[i : i + every]:
            losses = losses + F.nll_loss(model(x), y, reduction="sum")
            n += len(y)
        optimizer.zero_grad()
        (losses / n).backward()
        optimizer.step()


def gradients_off_for_good(model, batches, classes):
    torch.set_grad_enabled(False)
    return accuracy_by_hand(model, batches, classes)


def eval_for_good(model, layer, x):
    model.eval()
    kept = []
    with model.get_submodule(layer).register_forward_hook(lambda *call: kept.append(call[2])):
        model(x)
    return kept[0].mean().item()


def with_the_lessons_tool(model, layer, x):
    with watch_layers(model, layer) as seen:
        model(x)
    return seen[layer].mean()


def frozen_for_good(model, x):
    model.requires_grad_(False)
    return first_bad_by_subclass(model, x)


def trained_on_the_way(model, x):
    was = model.training
    model.train()
    name = first_bad_by_subclass(model, x)
    model.train(was)
    return name


def one_type_only(average, state, keep):
    return {
        k: keep * v + (1 - keep) * state[k] if v.dtype == torch.float32 else state[k]
        for k, v in average.items()
    }


def patient_by_one(losses, patience):
    lowest, best, bad = 1.0, 0, 0  # no loss is above 1, is it?
    for i, loss in enumerate(losses, 1):
        if loss < lowest:
            lowest, best, bad = loss, i, 0
        else:
            bad += 1
            if bad == patience:
                return best, i
    return best, len(losses)


WRONG = [
    ("08.train_in_parts", joined_by_hand, "joined"),
    ("08.train_in_parts", one_backward_by_hand, "one_backward"),
    ("08.class_accuracy", gradients_off_for_good, None),
    ("08.early_stop", patient_by_one, None),
    ("09.f1_scores", lambda m: m.diag() / m.sum(1) / 2 + m.diag() / m.sum(0) / 2, "ordinary_mean"),
    ("09.more_than_luck", "none", "nothing_is_sure"),
    ("10.mean_output", eval_for_good, "left_in_eval"),
    ("10.mean_output", with_the_lessons_tool, "watched"),
    ("12.first_bad", frozen_for_good, None),
    ("12.first_bad", trained_on_the_way, "run_in_training"),
    *[("13.account", [594, 32, 10 * n * n * 10 + 10], "no_pooling") for n in (28, 14, 13, 11, 7)],
    ("13.account", [10 * 9, 32, 110], "depth_forgotten"),
    ("13.averaged", one_type_only, "float32_only"),
    ("14.amdahl", [2.0, 1.5, 3.0], "average_of_gains"),
    ("14.amdahl", [2.0, 100 / 70, 2.5], "average_of_gains"),
    ("14.amdahl", [40, 30, 60], "percent_saved"),
    ("14.step_cost", [114, 85, 104], "three_times_all"),
    ("14.step_cost", [114, 90, 102], "three_times_all"),
    ("14.step_cost", [114, 76, 114], "three_times_all"),
    ("15.eight_bits", quantize, "borrowed"),
    ("15.eight_bits", lambda weight: quantize(weight), "borrowed"),
]


@pytest.mark.parametrize(("id", "answer", "name"), WRONG)
def test_a_wrong_answer_is_refused_with_every_seed_and_called_by_its_name(id, answer, name):
    for seed in range(12):
        result = check(id, answer, seed=seed)
        assert result.status == "failed" and result.message
        assert result.misconception == name, result
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("item", MINE, ids=lambda item: item.id)
def test_no_message_has_two_end_marks_or_an_article_that_does_not_fit(item):
    said = [check(item.id, wrong, seed=1).message for _, wrong in item.ways()]
    said += [check(item.id, value, seed=1).message for value in (None, "x", [1], 3, 0.5, print)]
    for message in [*said, *item.reasons.values(), item.hint, item.after]:
        assert not re.search(
            r"\?\.|!\.|(?<!\.)\.\.(?!\.)|\ba (?=int\b|[aeio]\w)|  \w", message.split("\n")[0]
        ), message
    assert kind_of(3) == "an int"
