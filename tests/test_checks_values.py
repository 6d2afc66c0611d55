"""What answers are worth: how exact they must be, which of their parts is named when it's wrong, and what known mistakes give."""

import ast
import itertools

import pytest
import torch
from test_checks import lesson_path, no_hurry, no_progress  # noqa: F401

from mnist_course.checks import COURSE, check, ship_it
from mnist_course.engine.optim import puzzle_range
from mnist_course.teaching.notebooks import read_cards, read_notebook

# ---- how exact

ENOUGH = [
    ("01.fair_accuracy", 0.7613),
    ("05.batch_loss", 1.39),
    ("07.start_rate", 0.0249),
    ("07.start_rate", 0.0151),
    ("12.last_batch", [18, 0.968]),
    ("13.lowest", [0.91, 0.01, 0.5]),
    ("14.amdahl", [1.67, 1.43, 2.5]),
]  # rounded as the card allows
TOO_ROUGH = [
    ("01.fair_accuracy", 0.75),
    ("05.batch_loss", 1.38),
    ("05.batch_loss", 1.4),
    ("06.zero_slopes", 31_551),
    ("06.zero_slopes", 31_553),
    ("07.start_rate", 0.026),
    ("07.start_rate", 0.014),
    ("12.last_batch", [18, 0.97]),
    ("13.lowest", [0.91, 0.01, 0.51]),
    ("14.amdahl", [1.7, 1.4, 2.5]),
]


@pytest.mark.parametrize(("id", "answer"), ENOUGH)
def test_a_number_may_be_rounded_as_the_card_says(id, answer):
    assert check(id, answer, seed=1)


@pytest.mark.parametrize(("id", "answer"), TOO_ROUGH)
def test_a_number_that_is_off_by_more_is_refused(id, answer):
    assert check(id, answer, seed=1).status == "failed"


# ---- answers with several parts

PARTS = {
    "00.wiped_bar": "height, digit",
    "04.row_place": "map, row, column",
    "04.runner_up": "class, probability",
    "06.bias_back": "slope of a, slope of bias",
    "06.layer_slopes": "slopes of weight, slopes of inputs",
    "06.network_slopes": "slopes of w1, slopes of w2",
    "07.decoupled_step": "new w, new v",
    "07.momentum_step": "new w, new v",
    "08.early_stop": "best epoch, epoch after which the run ends",
    "08.lr_column": "first rate, second rate, third rate",
    "09.accuracy_interval": "low, high",
    "09.commonest_mistake": "true digit, answer",
    "09.fives": "recall, precision",
    "09.paired_difference": "low, high",
    "09.which_epochs": "epoch by the loss, epoch by the accuracy",
    "11.answered": "share that is answered, accuracy of the answers",
    "12.last_batch": "right ones of the third batch, accuracy",
    "13.account": "convolutions, batch norms, linear layer",
    "13.interval": "mean, low end, high end",
    "13.lowest": "label's target, target of each other digit, lowest loss",
    "13.pair_interval": "low end, high end",
    "14.amdahl": "first gain, second gain, third gain",
    "14.step_cost": "first number, second number, third number",
    "15.tail": "p95, median",
}  # in the order in which the cards ask for them


def test_every_answer_with_parts_is_in_the_table():
    assert {item.id for item in COURSE.values() if item.parts} == PARTS.keys()


def with_one_wrong(values, place):
    "The same parts, and one of them far off."
    wrong = list(values)
    wrong[place] = wrong[place] + 1711
    return wrong


@pytest.mark.parametrize("id", PARTS)
def test_the_part_that_is_wrong_is_named(id):
    right = COURSE[id].solution
    for place, name in enumerate(PARTS[id].split(", ")):
        if callable(right):
            answer = lambda *args, place=place: with_one_wrong(right(*args), place)  # noqa: E731
        else:
            answer = with_one_wrong(right, place)
        said = check(id, answer, seed=1).message
        assert said.startswith((f"Look again at the {name}.", f"The {name} ", f"The {name}:")), said


# ---- numbers that a card's figure shows, and what known mistakes make of them


def shown(id):
    "The numbers of an exercise's figure, as its lesson draws it, by their names."
    cells = read_notebook(lesson_path(id[:2]))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    end = next(i for i, source in enumerate(sources) if f'\ncheck("{id}"' in source)
    start = max(i for i in range(end) if sources[i].startswith("### Exercise"))
    space = {}
    for source in sources[start + 1 : end]:
        for line in ast.parse(source).body:
            if isinstance(line, ast.Assign) and not any(
                isinstance(part, ast.Call) for part in ast.walk(line)
            ):
                exec(compile(ast.Module([line], []), id, "exec"), space)
    return space


@pytest.mark.parametrize("id", ["15.tail"])
def test_the_times_are_those_on_the_card(id):
    cards = [card for card in read_cards(read_notebook(lesson_path(id[:2]))) if card.id == id]
    assert f"`{', '.join(map(str, ship_it._CALLS))}`" in cards[0].task


def wiped_bar():
    heights = shown("00.wiped_bar")["heights"]
    missing = 100 - sum(heights)
    bars = [*heights, missing]
    digit, seen = bars.index(max(bars)), heights.index(max(heights))
    yield None, [missing, digit]
    yield "read_as_drawn", [0, seen]
    yield "answer_as_drawn", [missing, seen]
    yield "height_for_place", [missing, max(bars)]
    yield "counted_from_one", [missing, digit + 1]
    yield "wrong_way_round", [digit, missing]
    yield "all_but_the_highest", [100 - max(heights), digit]
    yield "sum_of_the_rest", [sum(heights), digit]
    yield "as_a_fraction", [missing / 100, digit]


def inside_d():
    "The card's program, run."
    made = {}
    for seed, names in ((1, "ab"), (2, "c")):
        torch.manual_seed(seed)
        made |= {name: torch.rand(2) for name in names}
    torch.manual_seed(1)
    d = torch.rand(4)
    for two in itertools.permutations(made, 2):
        if torch.equal(torch.cat([made[name] for name in two]), d):
            yield None, list(two)
            yield "wrong_way_round", list(two[::-1])
    drawn = list(made)  # in their order
    yield "always_the_same", [drawn[0]] * 2
    yield "last_two_draws", drawn[-2:]
    yield "newest_first", drawn[:-3:-1]
    yield "one_of_each_seed", [drawn[0], drawn[2]]


def start_rate():
    dots, line = puzzle_range().axes[0].lines
    rates, means = line.get_data()
    lowest = rates[means.argmin()]  # of the line
    luckiest = rates[dots.get_ydata().argmin()]
    falls = means[:-1] - means[1:]
    yield None, lowest / 10
    yield "on_the_brink", lowest
    yield "lowest_dot", luckiest / 10
    yield "the_dot_itself", luckiest
    yield "first_fall", rates[(means < means[0] - 0.03).argmax()]  # as soon as it can be seen
    yield "steepest_fall", rates[falls.argmax()]
    yield "a_tenth_of_the_end", rates[-1] / 10


def more_than_luck():
    dots = shown("09.more_than_luck")["dots"]
    reference = dots.pop("reference")
    above = {name for name in dots if min(dots[name]) > max(reference)}
    below = {name for name in dots if max(dots[name]) < min(reference)}
    five = {name for name in dots if len(dots[name]) == len(reference)}
    yield None, "".join(sorted((above | below) & five))
    yield "only_better", "".join(sorted(above & five))
    yield "only_worse", "".join(sorted(below & five))
    yield "outside_the_band", "".join(sorted(above | below))
    yield "above_the_band", "".join(sorted(above))
    yield "five_are_enough", "".join(sorted(five))
    yield "everything_differs", "".join(sorted(dots))
    for nothing in ("", "none", "no", "-"):
        yield "nothing_is_sure", nothing


def which_epochs():
    losses, accuracies = shown("09.which_epochs")["curves"].values()
    by_loss = [curve.index(min(curve)) + 1 for curve in losses]  # training, validation
    by_accuracy = [curve.index(max(curve)) + 1 for curve in accuracies]
    loss, accuracy = by_loss[1], by_accuracy[1]
    yield None, [loss, accuracy]
    yield "training_curves", [by_loss[0], by_accuracy[0]]
    yield "training_loss", [by_loss[0], accuracy]
    yield "training_accuracy", [loss, by_accuracy[0]]
    yield "counted_from_zero", [loss - 1, accuracy - 1]
    yield "one_for_both", [loss, loss]
    yield "accuracy_for_both", [accuracy, accuracy]
    yield "swapped", [accuracy, loss]
    yield "values_read", [min(losses[1]), max(accuracies[1])]


def best_limit():
    drawn = shown("11.best_limit")
    limits, doubted, mistaken = drawn["limits"], drawn["doubted"], drawn["mistaken"]
    i = max(i for i, share in enumerate(doubted) if share <= 5)
    apart = [abs(a - b) for a, b in zip(doubted, mistaken, strict=True)]
    yield None, limits[i]
    yield "no_budget", limits[mistaken.index(min(mistaken))]
    yield "fewest_doubted", limits[doubted.index(min(doubted))]
    yield "over_budget", limits[i + 1]
    yield "a_step_short", limits[i - 1]
    yield "crossing", limits[apart.index(min(apart))]
    yield "share_for_a_limit", doubted[i]
    part = (5 - doubted[i]) / (doubted[i + 1] - doubted[i])
    yield "between_the_dots", round(limits[i] + part * (limits[i + 1] - limits[i]), 2)
    yield "between_the_dots", 0.82  # as exactly as one can read it


FIGURES = {
    "00.inside_d": inside_d,
    "00.wiped_bar": wiped_bar,
    "07.start_rate": start_rate,
    "09.more_than_luck": more_than_luck,
    "09.which_epochs": which_epochs,
    "11.best_limit": best_limit,
}


@pytest.mark.parametrize("id", FIGURES)
def test_what_a_mistake_makes_of_a_figure_is_told_by_its_name(id):
    named = set()
    for name, value in FIGURES[id]():
        result = check(id, value, seed=1)
        assert (result.status, result.misconception) == ("failed" if name else "passed", name)
        named.add(name)
    assert named == {None, *COURSE[id].misconceptions}
