"What lesson 11 needs besides the steps: paper in bad light, calibration, the OOD score, answers and doubts."

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from mnist_course.data import load_mnist, normalize
from mnist_course.engine.predict import (
    TOGETHER,
    answers_of,
    at_limit,
    class_distance,
    class_statistics,
    expected_calibration_error,
    faintest,
    fit_temperature,
    grain_of,
    in_middle,
    judge,
    lit_paper,
    load_reference,
    log_probabilities,
    look,
    percent,
    plot_doubt,
    plot_reliability,
    reliability,
    resize,
    show_reading,
    shrink,
    to_gray,
    without_frame,
)
from mnist_course.model import Net, load_pretrained
from mnist_course.predict import page_of, predict


@pytest.fixture(scope="module")
def net():
    return load_pretrained()


@pytest.fixture(scope="module")
def digits():
    return load_mnist(source="sample")[1]


class Fixed(nn.Module):
    "Answers with the same numbers always."

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = torch.tensor([numbers])

    def forward(self, x):
        return self.numbers


# --- paper


def in_bad_light(image: Image.Image, factor: float) -> np.ndarray:
    "Light that falls from 1 at the left to `factor` at the right; 0..1."
    light = np.linspace(1, factor, image.width)
    return (np.asarray(image) * light).round().astype(np.uint8) / 255


def test_paper_is_what_is_there_without_ink():
    light = in_bad_light(Image.new("L", (200, 200), 240), 0.6)
    drawn = Image.new("L", (200, 200), 240)
    points = [(60, 40), (140, 40), (90, 170)]
    ImageDraw.Draw(drawn).line(points, fill=30, width=14, joint="curve")
    page = in_bad_light(drawn, 0.6)
    off = np.abs(lit_paper(page) - light)
    assert (
        off[:, 40:160].max() < 0.05 and off.max() < 0.1
    )  # at the dark edge it takes the light from further inside
    assert (
        lit_paper(np.full((3, 70), 0.5)).shape == (3, 70)
        and (lit_paper(np.full((1, 1), 0.5)) == 0.5).all()
    )


@pytest.mark.parametrize("shape", [(90, 61), (28, 300), (200, 200)])
def test_between_cells_the_light_changes_along_straight_lines(shape):
    size = -(-max(shape) // 28)
    rows, columns = (-(-pixels // size) for pixels in shape)
    light = np.add.outer(np.linspace(0.3, 0.9, rows), np.linspace(0, 0.1, columns))
    page = np.kron(light, np.ones((size, size)))[: shape[0], : shape[1]]  # brighter to the right
    lit = lit_paper(page)
    down, across = (np.arange(n) for n in (rows, columns))
    places = [(np.arange(pixels) + 0.5) / size - 0.5 for pixels in shape]
    middles = lit_paper(light)  # one pixel a cell
    by_rows = np.stack([np.interp(places[0], down, column) for column in middles.T])
    expected = np.stack([np.interp(places[1], across, row) for row in by_rows.T])
    np.testing.assert_allclose(lit, expected, atol=1e-5)


# --- calibration


def test_reliability_by_hand():
    probabilities = torch.tensor([[0.6, 0.4], [0.7, 0.3], [0.68, 0.32], [0.05, 0.95], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 1, 0])
    confidence, accuracy, count = reliability(probabilities, labels, bins=5)
    assert (
        count.tolist() == [0, 0, 0, 3, 2]
        and np.isnan(confidence[:3]).all()
        and np.isnan(accuracy[:3]).all()
    )
    np.testing.assert_allclose(confidence[3:], [0.66, 0.975], atol=1e-6)
    np.testing.assert_allclose(accuracy[3:], [2 / 3, 1])
    expected = (3 * abs(2 / 3 - 0.66) + 2 * 0.025) / 5
    assert expected_calibration_error(probabilities, labels, bins=5) == pytest.approx(
        expected, abs=1e-6
    )


def drawn(n: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    "Logits of a network that is too sure by this factor, and labels drawn from what it should have said."
    torch.manual_seed(0)
    logits = torch.randn(n, 10) * 2
    return logits * temperature, torch.multinomial(logits.softmax(1), 1)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature):
    logits, labels = drawn(20_000, temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    assert fit_temperature(logits.log_softmax(1), labels) == pytest.approx(found, rel=1e-4)
    assert expected_calibration_error((logits / found).softmax(1), labels) < 0.02
    loss = [
        nn.functional.cross_entropy(logits / t, labels) for t in (found * 0.97, found, found * 1.03)
    ]
    assert loss[1] == min(loss)


def test_the_temperature_of_what_is_known_by_heart_is_very_low():
    logits = torch.eye(10) * 5
    assert fit_temperature(logits, torch.arange(10)) < 0.2  # where the loss is 0 in float64
    assert fit_temperature(logits, (torch.arange(10) + 1) % 10) == pytest.approx(20)


@pytest.mark.parametrize("measure", [reliability, expected_calibration_error, fit_temperature])
def test_calibration_needs_labels_for_its_digits(measure):
    for scores, labels in (
        (torch.zeros(0, 10), torch.zeros(0).long()),
        (torch.zeros(3, 10), torch.zeros(2).long()),
    ):
        with pytest.raises(ValueError, match="needs"):
            measure(scores, labels)


def test_the_plot_of_reliability_says_what_it_shows():
    logits, labels = drawn(500, 2.0)
    figure = plot_reliability(
        {"boasts": logits.softmax(1), "helped": (logits / 2).softmax(1)}, labels
    )
    assert (
        len(figure.axes) == 2
        and len(plot_reliability({str(i): logits.softmax(1) for i in range(3)}, labels).axes) == 3
    )
    assert figure.axes[0].get_xlabel() == "confidence"
    error = expected_calibration_error(logits.softmax(1), labels)
    assert (
        f"boasts, expected calibration error {error:.1%}" in figure.description
        and "helped" in figure.description
    )


# --- the OOD score


def test_distance_is_counted_in_the_digits_own_spread():
    torch.manual_seed(0)
    labels = torch.arange(10).repeat(400)
    spread = torch.tensor([0.1, 5.0, 1.0])
    z = torch.randn(4000, 3) * spread + 100 * torch.nn.functional.one_hot(labels, 10)[:, :3]
    means, whitening = class_statistics(z, labels, shrinkage=0)
    away = means[3:4] + torch.tensor([[0.5, 0, 0], [0, 5.0, 0], [0, 0, 0]])
    torch.testing.assert_close(
        class_distance(away, means[3:4], whitening),
        torch.tensor([5.0, 1.0, 0.0]),
        rtol=0.1,
        atol=0.01,
    )


def test_what_ships_belongs_to_the_weights_that_ship(net):
    reference = load_reference()
    assert reference.belong_to(net) and reference.belong_to(load_pretrained().to(torch.bfloat16))
    assert not reference.belong_to(Net()) and not reference.belong_to(Fixed(*range(10)))


@pytest.mark.slow
def test_the_limit_refuses_one_true_digit_in_a_hundred(net, digits):
    share = (load_reference().ood_score(look(net, normalize(digits.images))) > 1).double().mean()
    assert 0.005 < share < 0.015


def test_judge_gives_the_first_reason():
    sure, unsure = [0.99] + [0.01 / 9] * 9, [0.5, 0.4] + [0.1 / 8] * 8
    assert "blank" in judge(sure, 0, 2.0).message and judge(sure, 0, 2.0).reason == "blank"
    full = judge(sure, 0.4, 2.0)
    assert "too much ink" in full.message and full.reason == "too much ink"
    assert judge(unsure, 0.1, 2.0).reason == "out of distribution"
    assert judge(unsure, 0.1, 0.5).reason == "unsure" and judge(sure, 0.1, 0.5).reason == ""
    assert judge(unsure, 0.1, 2.0).message == "unlike the digits it learned from; the nearest is 0"
    assert (
        "not sure" in judge(unsure, 0.1, 0.5).message
        and judge(sure, 0.1, 1.0).is_digit
        and judge(sure, 0.1).ood_score is None
    )


def test_judge_says_what_was_seen_before_the_network():
    sure = [0.99] + [0.01 / 9] * 9
    assert judge(sure, 0.1, 0.5, "pale").message == (
        "too pale to be sure: perhaps 0 (99%); draw it darker"
    )
    assert judge(sure, 0.1, 2.0, "pale").message == "blank, or too pale to read"
    assert judge(sure, 0.1, None, "two digits").reason == "two digits"
    assert judge(sure, 0.5, 2.0, "frame").reason == "frame"
    assert judge(sure, 0, 2.0, "pale").reason == "blank"


def test_log_probabilities_of_a_batch_are_told_row_by_row():
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    expected = logits.log_softmax(1)
    for output in (logits, expected, logits.softmax(1), logits + 100):
        torch.testing.assert_close(log_probabilities(output), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="a minus too many"):
        log_probabilities(-expected)
    odd = torch.cat([logits, torch.eye(10)[:1]])  # one row alone looks like probabilities
    torch.testing.assert_close(log_probabilities(odd), odd.log_softmax(1))


def test_look_leaves_the_model_as_it_was(net, digits):
    model = load_pretrained().train()
    seen = look(model, normalize(digits.images[:3]))
    assert {name: tuple(part.shape) for name, part in seen.items()} == {
        "output": (3, 10),
        "conv3": (3, 128),
        "fc1": (3, 50),
        "fc2": (3, 10),
    }
    assert model.training and not any(part._forward_hooks for part in model.modules())
    torch.testing.assert_close(seen["fc2"].log_softmax(1), seen["output"])
    with pytest.raises(ValueError, match="Net expects"):
        look(model, torch.zeros(1, 1, 5, 5))
    assert model.training and not any(part._forward_hooks for part in model.modules())
    assert set(look(Fixed(*range(10)), torch.zeros(1, 1, 28, 28))) == {"output"}


# --- sizes, limits and figures


def test_shrink_stretches_and_resize_does_not():
    ink = np.zeros((40, 20), np.float32)
    ink[10:, :10] = 0.5
    assert shrink(ink).shape == (28, 28) and shrink(ink, 7).max() == 128
    assert resize(ink).shape == (20, 10) and resize(ink).max() == 255


@pytest.mark.parametrize("shape", [(20, 7), (6, 20), (28, 28), (1, 1)])
def test_the_box_is_in_the_middle(shape):
    rows, columns = (np.flatnonzero(in_middle(np.full(shape, 9, np.uint8)).any(k)) for k in (1, 0))
    for place, side in zip((rows, columns), shape, strict=True):
        assert len(place) == side and abs(place[0] - (27 - place[-1])) <= 1


def test_a_limit_costs_answers_and_saves_mistakes():
    best = torch.tensor([0.3, 0.6, 0.8, 0.9])
    right = torch.tensor([False, True, False, True])
    assert at_limit(best, right, 0) == (0, 0.5)
    assert at_limit(best, right, 0.6) == (0.25, pytest.approx(1 / 3))
    assert at_limit(best, right, 0.9) == (0.75, 0) and np.isnan(at_limit(best, right, 1)[1])


def test_the_figures_of_the_lesson_say_what_they_show(digits):
    net = load_pretrained()
    page = digits.images[0].numpy()  # a 7
    figure = show_reading(net, page, {"as it is": page, "blank": 0 * page})
    assert "as it is, the network reads it as a 7" in figure.description
    assert figure.axes[0].get_title() == "what you see"
    answers = [judge([0.9] + [0.1 / 9] * 9, 0.1, score) for score in (0.5, 1.5, 2.0)]
    assert (
        "some, 3 dots: 3 at least 80% sure, 2 right of 1"
        in plot_doubt({"some": answers}).description
    )


def test_together_they_get_the_answers_that_each_gets_alone(net, digits):
    pages = [digits.images[i].numpy() for i in range(TOGETHER - 5)]
    pages[3] = 255 - pages[3]
    pages[4] = pages[4] // 12  # pale
    two = np.concatenate([digits.images[k].numpy()[:, 4:24] for k in (0, 2)], 1)
    shades = np.random.default_rng(0).random((60, 60))
    pages += [two, np.kron(pages[7], np.ones((9, 9))), np.zeros((30, 30)), shades, shades > 0.5]
    alone = [predict(net, page) for page in pages]
    together = answers_of(net, [page_of(page) for page in pages])
    assert {"", "two digits", "blank"} < {one.reason for one in alone}
    for one, other in zip(alone, together, strict=True):
        assert (one.label, one.reason) == (other.label, other.reason)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert one.ood_score == pytest.approx(other.ood_score, abs=1e-4)


# --- corners


@pytest.mark.parametrize(
    ("share", "decimals", "said"),
    [
        (0.9999, 1, "> 99.9%"),
        (0.00001, 1, "< 0.1%"),
        (0.999999, 2, "> 99.99%"),
        (0.0000001, 3, "< 0.001%"),
        (1.0, 1, "100.0%"),
        (0.0, 1, "0.0%"),
        (0.999, 0, "> 99%"),
    ],
)
def test_only_a_certainty_is_called_one(share, decimals, said):
    assert percent(share, decimals) == said


@pytest.mark.parametrize("high", [1.5, 0.5])
def test_logits_may_sum_to_one(high):
    logits = torch.tensor([[high, 1 - high - 0.8, 0.8] + [0.0] * 7])
    assert logits.sum() == pytest.approx(1) and (logits < 0).any()
    torch.testing.assert_close(log_probabilities(logits), logits.log_softmax(1))


def test_empty_bins_are_no_reason_to_warn(recwarn):
    confidence, accuracy, _ = reliability(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), 5)
    assert np.isnan(confidence[:4]).all() and np.isnan(accuracy[:4]).all() and not list(recwarn)


def test_a_panel_of_reliability_stands_beside_the_next_and_every_dot_has_its_bar():
    logits, labels = drawn(500, 2.0)
    cases = {"one": logits.softmax(1), "two": (logits / 2).softmax(1)}
    figure = plot_reliability(cases, labels)
    assert figure.get_size_inches()[0] > 2 * figure.get_size_inches()[1]
    for ax, probabilities in zip(figure.axes, cases.values(), strict=True):
        filled = np.flatnonzero(reliability(probabilities, labels)[2])
        bars = ax.lines[1:]  # after the diagonal
        assert len(bars) == len(filled) > 3
        for bar, dot in zip(bars, ax.collections, strict=True):
            across, up = dot.get_offsets()[0]
            assert set(bar.get_xdata()) == {across}
            assert min(bar.get_ydata()) <= up <= max(bar.get_ydata())


def test_a_name_in_a_message_is_one_line():
    with pytest.raises(ValueError, match=r"a\\nb\\x07\.png"):
        to_gray("a\nb\x07.png")


def test_bytes_that_mean_nothing_are_not_called_text():
    with pytest.raises(ValueError) as caught:
        to_gray(bytes([1, 2, 3, 4] * 9))
    assert "text" not in str(caught.value)


def test_rows_of_a_picture_may_be_tensors_that_learn():
    rows = torch.rand(28, 28, requires_grad=True)
    np.testing.assert_allclose(to_gray(list(rows)), rows.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(4200, 40), (40, 4200)])
def test_a_long_picture_is_made_smaller_too(size):
    assert max(to_gray(Image.new("L", size, 255)).shape) == max(size) // 4


def test_a_color_in_which_little_changes_does_not_count():
    rng = np.random.default_rng(0)
    red = rng.random((28, 28)).astype(np.float32)
    dull = 0.5 + 0.02 * rng.random((28, 28)).astype(np.float32)
    assert to_gray(np.stack([red, red, dull])).shape == (28, 28)
    with pytest.raises(ValueError):
        to_gray(np.stack([red, red, rng.random((28, 28)).astype(np.float32)]))


def test_light_is_smoothed_over_three_cells():
    light = np.full((28, 28), 0.4, np.float32)
    light[:, 14:] = 1.0
    np.testing.assert_allclose(
        lit_paper(light)[5, 11:17], [0.4, 0.4, 0.6, 0.8, 1.0, 1.0], atol=1e-6
    )


def test_the_grain_is_five_deviations_of_the_frame_and_at_most_a_half():
    ink = np.random.default_rng(0).normal(0, 0.02, (400, 400))
    assert grain_of(ink) == pytest.approx(0.1 * 0.675 * 1.4826, rel=0.1)
    assert grain_of(np.zeros((9, 9))) == 0.0 and grain_of(ink * 50) == 0.5


def test_on_clean_paper_three_hundredths_are_ink():
    assert faintest(np.ones((28, 28))) == 0.03


def test_a_box_around_something_else_than_paper_stays():
    inside = np.random.default_rng(0).choice([0.0, 1.0], (60, 60)).astype(np.float32)
    box = np.pad(inside, 2, constant_values=0.0)
    assert without_frame(box) is box
    paper = np.pad(np.ones((60, 60), np.float32), 2, constant_values=0.0)
    assert without_frame(paper).min() == 1.0 and without_frame(paper).shape < paper.shape
