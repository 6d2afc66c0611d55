"""Curves, confusion and mistakes: what is drawn, and what is said about it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnist_course.data import DigitDataset, make_loaders
from mnist_course.model import Net
from mnist_course.plotting import (
    accuracy_interval,
    confusion_matrix,
    gap,
    paired_difference,
    plot_confusion,
    plot_history,
    predictions,
    reference_runs,
    worst_mistakes,
)
from mnist_course.training import COLUMNS, History, fit


def history(n: int = 3) -> History:
    steps = [(i + 1) / (n + 1) for i in range(n)]
    return History(
        [1 - s for s in steps],
        steps,
        [2 - s for s in steps],
        [s / 2 for s in steps],
        [0.1] * n,
        [1.0] * n,
    )


def test_reference_runs_are_the_seeds_recipe():
    runs = reference_runs()
    assert len(runs) >= 5 and len({run.settings["seed"] for run in runs}) == len(runs)
    for run in runs:
        settings = run.settings
        assert (settings["recipe"], settings["epochs"], settings["batch_size"]) == ("seed", 20, 64)
        assert settings["data"] == "MNIST, 60,000 + 10,000" and len(run) == 20
        assert [round(lr, 9) for lr in run.lr] == [0.01] * 15 + [0.001] * 5
        assert all(round(10_000 * accuracy, 6) % 1 == 0 for accuracy in run.test_acc)


def test_plot_history_draws_the_numbers():
    run = history()
    figure = plot_history(run, ())
    axes = figure.axes
    assert [ax.get_title() for ax in axes] == [
        "Training loss",
        "Test loss",
        "Training accuracy",
        "Test accuracy",
    ]
    drawn = [line.get_ydata().tolist() for ax in axes for line in ax.get_lines()]
    assert drawn == [
        run.train_loss,
        run.test_loss,
        [100 * a for a in run.train_acc],
        [100 * a for a in run.test_acc],
    ]
    assert all(ax.get_ylabel() for ax in axes) and all(ax.get_xlabel() for ax in axes[2:])
    assert axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 2)


def test_the_band_spans_the_reference_runs():
    low, high = history(), history()
    high.train_loss = [loss + 1 for loss in high.train_loss]
    band = plot_history(history(2), [low, high]).axes[0].collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (min(low.train_loss), max(high.train_loss))
    assert (band.x0, band.x1) == (1, 3)
    assert len(plot_history(history(), ()).axes[0].collections) == 0


def bands(run: History) -> int:
    return len(plot_history(run).axes[0].collections)


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ({"dataset": "MNIST"}, 1),
        ({}, 1),
        ({"recipe": "seed", "seed": 0}, 1),  # of the version before, which was MNIST's
        ({"dataset": "FashionMNIST"}, 0),
        ({"dataset": "TensorDataset"}, 0),
    ],
)
def test_the_recorded_band_is_mnists(settings, drawn):
    run = history()
    run.settings = settings
    assert bands(run) == drawn


def test_fit_notes_what_the_run_was_on(small):
    def run_on(source: str) -> History:
        loaders = make_loaders(*(DigitDataset(d.images[:64], d.labels[:64], source) for d in small))
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(dim=1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return fit(model, *loaders, optimizer, epochs=1, progress=False)

    assert bands(run_on("full MNIST from ~/mnist")) == bands(run_on("part of MNIST sample")) == 1
    assert bands(run_on("full FashionMNIST from ~/fashion")) == bands(run_on("memory")) == 0


@pytest.mark.parametrize(("n", "said"), [(1, "Four points after 1 epoch."), (3, "over 3 epochs.")])
def test_the_description_comes_from_the_numbers(n, said):
    run = history(n)
    text = plot_history(run, ()).description
    assert (
        said in text
        and f"{run.train_loss[0]:.4f}" in text
        and f"{run.test_acc[-1]:.2%}" in text
        and (n == 1 or f"in epoch {n}." in text)
    )


def test_an_empty_history():
    with pytest.raises(ValueError, match="not one epoch"):
        plot_history(History())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60))
def test_confusion_matrix_counts_pairs(pairs):
    labels, answers = torch.tensor(pairs).T
    matrix = confusion_matrix(labels, answers)
    assert matrix.shape == (10, 10)
    assert all(matrix[a, b] == pairs.count((a, b)) for a in range(10) for b in range(10))


def test_confusion_matrix_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        confusion_matrix(torch.zeros(3).long(), torch.zeros(2).long())


@given(st.integers(1, 20_000), st.floats(0, 1))
def test_accuracy_interval_holds_the_rate(total, share):
    correct = round(share * total)
    low, high = accuracy_interval(correct, total)
    assert -1e-9 <= low <= correct / total + 1e-9 and correct / total - 1e-9 <= high <= 1 + 1e-9


def test_accuracy_interval_is_wilsons():
    "9,935 of 10,000, worked out from the roots of (p - rate)^2 = z^2 p (1 - p) / n."
    rate, n, z = 0.9935, 10_000, 1.96
    a, b, c = 1 + z * z / n, -(2 * rate + z * z / n), rate * rate
    root = math.sqrt(b * b - 4 * a * c)
    assert accuracy_interval(9_935, n) == pytest.approx(
        ((-b - root) / (2 * a), (-b + root) / (2 * a))
    )


@pytest.mark.parametrize(("correct", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_accuracy_interval_errors(correct, total):
    with pytest.raises(ValueError, match="between 0 and total"):
        accuracy_interval(correct, total)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=300))
def test_pairs_of_answers_count_only_where_they_differ(pairs):
    "McNemar's: only ours n10, only theirs n01; the variance of a difference that is 1, 0 or -1."
    ours, theirs = torch.tensor(pairs).T
    n10, n01, n = int((ours & ~theirs).sum()), int((theirs & ~ours).sum()), len(pairs)
    middle = (n10 - n01) / n
    half = 1.96 * math.sqrt(max(0.0, ((n10 + n01) / n - middle**2) / (n - 1)))
    found = paired_difference(ours, theirs)
    assert found == pytest.approx((middle - half, middle + half), abs=1e-7)
    assert {type(end) for end in found} == {float}


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((1,), (1,)), ((2, 2), (2, 2))])
def test_pairs_that_are_none(shapes):
    with pytest.raises(ValueError, match="N >= 2; got"):
        paired_difference(*(torch.zeros(shape) for shape in shapes))


def test_the_gap_is_test_minus_training():
    run = history()
    assert gap(run.train_loss, run.test_loss) == [
        b - a for a, b in zip(run.train_loss, run.test_loss, strict=True)
    ]
    with pytest.raises(ValueError, match="zip"):
        gap([0.5], [0.5, 0.4])


def test_worst_mistakes_are_sorted_and_wrong(sample):
    dataset = DigitDataset(sample[1].images[:4], torch.tensor([1, 2, 3, 4]))
    log_probs = torch.full((4, 10), 0.01)
    for row, (answer, probability) in enumerate([(1, 0.9), (5, 0.6), (6, 0.91), (7, 0.7)]):
        log_probs[row, answer] = probability
    mistakes = worst_mistakes(log_probs.log(), dataset, n=2)
    assert [(m.index, m.label, m.answer) for m in mistakes] == [(2, 3, 6), (3, 4, 7)]
    assert [m.probability for m in mistakes] == pytest.approx([0.91, 0.7])


# odd histories, labels and answers


def of(*values: float, **changed: list[float]) -> History:
    return History(**({name: list(values) for name in COLUMNS} | changed))


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (of(88.0, 91.5), "train_acc must lie between 0 and 1, got 88: divide percent by 100"),
        (of(0.5, test_acc=[0.5, 0.6]), "differ in length"),
        (of(), "the history is empty"),
        ({"loss": [0.5], "val_loss": [0.4]}, "train_loss, .* not found in loss, val_loss"),
        ([0.5, 0.6], "must be a History, as fit gives one, got list"),
        (of(0.5, lr=["high"]), "must hold numbers"),
    ],
)
def test_a_history_that_cannot_be_drawn_is_told(history, words):
    with pytest.raises((TypeError, ValueError), match=words):
        plot_history(history, ())
    if history != of():
        with pytest.raises((TypeError, ValueError), match=words):
            plot_history(of(0.5), [history])


def test_it_is_told_which_history_cannot_be_drawn():
    good, bad = of(0.5), of(0.5, test_acc=[0.5, 0.6])
    with pytest.raises(ValueError, match=r"^history can't be drawn: "):
        plot_history(bad, [good])
    with pytest.raises(ValueError, match=r"^reference run 1 can't be drawn: "):
        plot_history(good, [good, bad])


@pytest.mark.parametrize("reference", ["seed-0.json", 5])
def test_what_cannot_be_a_band_is_named(reference):
    said = f"^reference must be Histories, got {type(reference).__name__}$"
    with pytest.raises(TypeError, match=said):
        plot_history(of(0.5), reference)


def test_the_best_epoch_is_one_with_a_number():
    told = plot_history(of(math.nan, 0.7, 0.6), ()).description
    assert told.endswith("best 70.00% in epoch 2.")
    assert "in epoch 1" in plot_history(of(0.9, math.nan), ()).description


def test_dictionaries_arrays_and_single_references_are_drawn():
    plain = {name: np.array([0.5, 0.6]) for name in COLUMNS}
    one = plot_history(plain, of(0.4, math.nan))
    assert one.description == plot_history(of(0.5, 0.6), [of(0.4, 0.4)]).description
    assert plot_history(of(0.5), {name: [0.4] for name in COLUMNS}).description.startswith(
        "Four points"
    )


@pytest.mark.parametrize(
    ("labels", "answers", "words"),
    [
        ([3], [11], r"answers must be whole numbers from 0 to 9, got 11"),
        ([3, 4], [-1, 4], r"answers must .* got -1 to 4"),
        ([12, 1], [1, 1], r"labels must be whole numbers from 0 to 9, got 1 to 12"),
        ([1, 2], torch.eye(10)[:2], r"answers must be class numbers .* \.argmax\(1\)"),
        (torch.tensor([1.0]), [1], r"labels must be whole numbers"),
        ([1, 2], [1], r"must both be \(N,\)"),
    ],
)
def test_only_what_is_a_class_is_counted(labels, answers, words):
    with pytest.raises(ValueError, match=words):
        confusion_matrix(labels, answers)
    assert confusion_matrix([2, 2], np.array([2, 1], np.uint8), classes=3).tolist()[2] == [0, 1, 1]


def test_counts_and_answers_of_other_kinds():
    with pytest.raises(TypeError, match=r"correct must be a whole number, got 0.97"):
        accuracy_interval(0.97, 100)
    data = DigitDataset(torch.zeros(2, 28, 28, dtype=torch.uint8), [1, 2])
    with pytest.raises(ValueError, match="2 digits need 2 rows of log_probs, got 3"):
        worst_mistakes(torch.zeros(3, 10).log_softmax(1), data)
    with pytest.raises(ValueError, match="log_probs must be at most 0"):
        worst_mistakes(torch.ones(2, 10), data)
    with pytest.raises(TypeError, match=r"got the class Net itself: Net\(\) makes one"):
        predictions(Net, data)
    with pytest.raises(ValueError, match="whole counts"):
        plot_confusion(torch.ones(3, 3) / 3)


def test_reference_runs_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    run = of(0.5)
    run.settings["seed"] = 4
    run.save("~/mine/seed-4.json")
    assert [one.settings["seed"] for one in reference_runs("~/mine")] == [4]
