"The machinery behind lesson 09: what is said about a confusion matrix, what a model says about a dataset, many small runs, and a game."

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import stands_out
from torch import nn

from mnist_course.data import normalize
from mnist_course.engine.plotting import (
    SmallRuns,
    best_on_some,
    coin_does_that,
    describe_confusion,
    plot_confusion,
    predictions,
    show_climbs,
    show_game,
    show_losses,
    show_votes,
    small_runs,
    unpaired_difference,
)
from mnist_course.model import Net
from mnist_course.plotting import confusion_matrix, paired_difference


def testdescribe_confusion():
    matrix = confusion_matrix(torch.tensor([4, 4, 4, 7, 1]), torch.tensor([9, 9, 4, 2, 1]))
    assert (
        describe_confusion(matrix)
        == "Confusion matrix: 2 of 5 right. Most common mistakes: 4 taken for 9: 2; 7 taken for 2: 1."
    )
    assert (
        describe_confusion(torch.eye(10).long()) == "Confusion matrix: 10 of 10 right. No mistake."
    )
    figure = plot_confusion(matrix)
    assert figure.description == describe_confusion(matrix)
    assert [text.get_text() for text in figure.axes[0].texts].count("2") == 1


def test_the_table_of_mistakes_can_be_read():
    matrix = torch.tensor([[90, 10, 0], [4, 80, 7], [5, 1, 70]])
    (ax,) = plot_confusion(matrix).axes
    numbers = [text.get_text() for text in ax.texts]
    assert numbers == ["90", "10", "·", "4", "80", "7", "5", "1", "70"] and stands_out(ax)
    assert ax.images[0].get_array().tolist() == [[0, 10, 0], [4, 0, 7], [5, 1, 0]]
    assert ax.images[0].get_clim() == (0, 10)  # what never happened is as white as the paper
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "true digit")
    counts = torch.ones(3, 3).long()
    for wrong in (counts[:2], counts[0], counts.float(), counts[None], counts[:0, :0], -counts):
        for tell in (plot_confusion, describe_confusion):
            with pytest.raises(ValueError, match=r"matrix must hold whole counts \(classes, "):
                tell(wrong)
    assert describe_confusion(matrix.numpy()) == describe_confusion(matrix)


def test_a_model_without_numbers_predicts_nothing(small):
    with pytest.raises(ValueError, match="on the device meta"):
        predictions(Net().to("meta"), small[1])


def test_predictions_leave_the_model_as_it_was(small):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(784, 10), nn.LogSoftmax(dim=1))
    assert torch.equal(predictions(model, small[1]), predictions(model, small[1]))  # no dropout
    assert model.training
    model[1].eval()  # one layer frozen: it stays so
    predictions(model, small[1])
    assert [module.training for module in model] == [True, False, True, True]
    assert predictions(Net().eval(), small[1]).shape == (200, 10)


# twenty small runs at once


def test_a_small_run_is_what_pytorchs_own_layers_would_do(sample):
    "One seed, three rounds, again with nn.Linear and a loop: the same losses, the same digits read."
    train, test = sample
    runs = small_runs(train, test, seeds=3, digits=700, hidden=12, rounds=3, weight_decay=0.01)
    generator = torch.Generator().manual_seed(2)
    layers = [nn.Linear(196, 12).double(), nn.Linear(12, 10).double()]
    for layer in layers:
        into, out = layer.in_features, layer.out_features
        weight, bias = (
            torch.rand(rows, out, generator=generator, dtype=torch.float64) for rows in (into, 1)
        )
        layer.weight.data = ((2 * weight - 1) / math.sqrt(into)).T.contiguous()
        layer.bias.data = ((2 * bias - 1) / math.sqrt(into)).flatten()
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    x = F.avg_pool2d(normalize(train.images[:700]), 2).flatten(1).double()
    unseen = F.avg_pool2d(normalize(test.images), 2).flatten(1).double()
    order = torch.cat([torch.randperm(700, generator=generator) for _ in range(9)])[:6_000]
    losses = []
    for step, chosen in enumerate(order.split(50)):
        loss = F.cross_entropy(model(x[chosen]), train.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 40 == 39:
            logits, i = model(unseen), step // 40
            assert sum(losses[-40:]) / 40 == pytest.approx(runs.train_loss[2, i].item())
            assert F.cross_entropy(logits, test.labels).item() == pytest.approx(
                runs.test_loss[2, i].item()
            )
            assert torch.equal(logits.argmax(1) == test.labels, runs.right[2, i])
    assert runs.final[2] == pytest.approx(100 * runs.right[2, 2].double().mean().item())
    assert runs.accuracy.shape == (3, 3)


def test_a_trick_is_played_in_training_and_not_in_tests(sample):
    train, test = sample
    few, seen = {"seeds": 2, "digits": 100, "hidden": 8, "rounds": 1}, []

    def look(x):
        seen.append(tuple(x.shape))
        return x

    plain = small_runs(train, test, **few)
    watched = small_runs(train, test, **few, change=look, drop=look)
    assert torch.equal(plain.right, watched.right) and len(seen) == 80  # 40 steps, twice
    assert set(seen) == {(2, 50, 14, 14), (2, 50, 8)}
    blind = small_runs(train, test, **few, change=torch.zeros_like)
    assert blind.final.max() < 20 < plain.final.min()
    cut = small_runs(train, test, **few, drop=torch.zeros_like)  # only the last bias learns
    assert cut.train_loss.min() > 2.2 > plain.train_loss.max()


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"rounds": 0}, {"digits": 0}, {"digits": 10_001}])
def test_small_runs_need_something_to_do(sample, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        small_runs(*sample, **wrong)


def test_the_best_round_looks_better_where_it_was_chosen():
    "Three rounds that are equally good, by a coin: what was chosen is lucky, and worth no more."
    right = torch.rand(40, 3, 1_000, generator=torch.Generator().manual_seed(1)) < 0.8
    found = best_on_some(SmallRuns(right, right, right), digits=100)
    chosen, worth, last = found
    assert {type(share) for share in found} == {float}
    assert chosen > 82 and abs(worth - 80) < 1 and abs(last - 80) < 1
    same = right[:, :1].expand(-1, 3, -1)
    chosen, worth, last = best_on_some(SmallRuns(same, same, same), digits=100)
    assert worth == pytest.approx(last)


def test_pairs_help_only_where_something_is_shared():
    generator = torch.Generator().manual_seed(0)
    shared, a, b = torch.randn(3, 500, generator=generator)

    def width(interval):
        return interval[1] - interval[0]

    ours, theirs = shared + 0.1 * a, shared + 0.1 * b
    assert width(paired_difference(ours, theirs)) < width(unpaired_difference(ours, theirs)) / 5
    assert width(paired_difference(a, b)) == pytest.approx(
        width(unpaired_difference(a, b)), rel=0.1
    )
    low, high = unpaired_difference(ours + 3, theirs[:400])
    middle = (ours + 3).mean() - theirs[:400].mean()
    assert (low + high) / 2 == pytest.approx(middle.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("wins", "differ", "share"),
    [(0, 0, 1), (1, 1, 1), (3, 3, 0.25), (0, 4, 0.125), (5, 6, 14 / 64)],
)
def test_a_coin_is_as_lopsided_as_the_binomial_says(wins, differ, share):
    assert coin_does_that(wins, differ) == coin_does_that(differ - wins, differ)
    assert coin_does_that(wins, differ) == pytest.approx(share)


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3)])
def test_a_coin_cannot_win_more_than_there_is(counts):
    with pytest.raises(ValueError, match="wins must lie between 0 and 3"):
        coin_does_that(*counts)


def test_a_game_shows_what_somebody_missed_and_says_the_score():
    labels = torch.tensor([3, 1, 4, 1])
    you, network = torch.tensor([3, 7, 4, 2]), torch.tensor([3, 1, 9, 2])
    figure = show_game(torch.zeros(4, 28, 28), labels, you, network)
    said = "You read 2 of 4, the network 2. Only you: 1, only the network: 1."
    assert (
        figure.description.startswith(said) and "4: you said 4, the network 9" in figure.description
    )
    assert sum(bool(ax.get_title()) for ax in figure.axes) == 3
    shown = [ax.get_title() for ax in figure.axes if ax.images]
    assert shown[0] == "1: you said 7,\nthe network 1" and not any(ax.axison for ax in figure.axes)
    assert figure.get_suptitle() == said
    clean = show_game(torch.zeros(4, 28, 28), labels, labels, labels)
    assert clean.description.endswith("Misread by one or both: none.")


def test_votes_are_blue_where_a_run_reads_the_digit():
    right = torch.tensor([[True, False], [True, True], [False, False]])
    figure = show_votes(torch.zeros(2, 28, 28), right)
    colors = [[patch.get_facecolor() for patch in ax.patches] for ax in figure.axes[:2]]
    first, second = colors
    assert first[0] == first[1] == second[1] and first[2] == second[0] == second[2] != first[0]
    assert figure.description.endswith("3 runs read each: 2, 1.")
    for ax, title in zip(figure.axes, ["read by 2", "read by 1", "", "", ""], strict=True):
        assert ax.get_title() == title and not ax.axison
    places = [patch.get_xy() for patch in figure.axes[0].patches]
    edges = [edge for place in places for edge in (place[:, 0].min(), place[:, 0].max())]
    assert edges == sorted(edges) and 0 <= edges[0] < edges[-1] <= 28  # side by side
    assert figure.axes[0].images[0].get_extent() == [0, 28, 28, 0]  # as wide as the strip
    for place in places:  # below the image, and in the picture
        assert place[:, 1].min() >= 28
        assert place[:, 1].max() <= figure.axes[0].get_ylim()[0]


def test_climbs_are_the_numbers_that_they_were_given():
    climbs = {"mine": torch.tensor([70.0, 80.5]), "hers": torch.tensor([60.0, 75.0, 90.25])}
    figure = show_climbs(climbs)
    lines = figure.axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [one.tolist() for one in climbs.values()]
    assert lines[0].get_color() != lines[1].get_color()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["mine", "hers"]
    assert figure.description.endswith("mine ends at 80.5% and hers ends at 90.2%.")


def test_losses_are_drawn_run_by_run_on_one_scale():
    right = torch.ones(3, 2, 5, dtype=torch.bool)
    small, large = torch.full((3, 2), 0.25), torch.full((3, 2), 0.5)
    figure = show_losses({"a": SmallRuns(right, small, large), "b": SmallRuns(right, large, small)})
    left, other = figure.axes
    assert len(left.lines) == len(other.lines) == 6 and left.get_yscale() == "log"
    assert left.get_ylim() == other.get_ylim()
    assert (left.get_title(), left.get_ylabel(), other.get_ylabel()) == ("a", "loss (nats)", "")
    assert [line.get_ydata()[0] for line in left.lines] == [0.25] * 3 + [0.5] * 3
    assert [text.get_text() for text in other.get_legend().get_texts()] == ["training", "test"]
    assert "3 runs in each panel" in figure.description
    assert "b, training loss from 0.5 to 0.5" in figure.description
