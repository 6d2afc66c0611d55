"Nearest neighbors and the figures of lesson 10: right, and clear about what they cannot use or draw."

import pytest
import torch
from torch.testing import assert_close

from mnist_course.data import normalize
from mnist_course.engine.interpret import (
    neighbors,
    plot_embedding,
    plot_feature_maps,
    plot_heat,
)
from mnist_course.interpret import feature_maps
from mnist_course.model import Net, load_pretrained


@pytest.fixture(scope="module")
def net() -> Net:
    return load_pretrained()


@pytest.fixture(scope="module")
def digits(sample) -> torch.Tensor:
    return normalize(sample[1].images[:6])


def test_neighbors_are_the_nearest_and_in_order():
    queries, bank = torch.randn(7, 4), torch.randn(30, 4)
    distances, places = neighbors(queries, bank, 6)
    assert distances.shape == places.shape == (7, 6)
    for i, query in enumerate(queries):
        expected = sorted((float((query - row).norm()), j) for j, row in enumerate(bank))[:6]
        assert_close(
            distances[i], torch.tensor([distance for distance, _ in expected]), rtol=1e-4, atol=1e-4
        )
        assert places[i].tolist() == [j for _, j in expected]
    assert neighbors(bank[:2], bank, 1)[1].tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("queries", "bank", "k"),
    [((4,), (9, 4), 1), ((2, 4), (9, 5), 1), ((2, 4), (9, 4), 0), ((2, 4), (9, 4), 10)],
)
def test_neighbors_name_what_they_cannot_use(queries, bank, k):
    with pytest.raises(
        ValueError, match=r"queries \(Q, D\), a bank \(N, D\) and k from 1 to N are needed"
    ):
        neighbors(torch.zeros(queries), torch.zeros(bank), k)


# --- figures


def test_figures_say_what_they_show(net, digits, sample):
    maps = plot_feature_maps(feature_maps(net, digits[4:5]), 5)
    assert (
        "conv3: 128 maps of 10 x 10" in maps.description
        and "The 5 strongest maps of each layer" in maps.description
    )
    heat = torch.zeros(2, 28, 28)
    heat[0, 3, 5] = -2.5
    both = plot_heat(digits[:2], heat, ["first", "second"])
    assert (
        "first: -2.5 at row 3, column 5" in both.description
        and "second: 0 everywhere" in both.description
    )
    points = torch.tensor([[0.0, 0.0], [2.0, 2.0], [9.0, 9.0], [1.0, 0.0]])
    said = plot_embedding(points, torch.tensor([3, 3, 8, 5])).description
    assert (
        "4 digits" in said
        and "3 at (1.0, 1.0)" in said
        and "Nearest to each other: 3 and 5." in said
    )
    for figure in (maps, both, plot_heat(digits[:3], torch.rand(3, 8, 8), sees=(14, 2), columns=2)):
        assert figure.png().startswith(b"\x89PNG")


def test_a_number_is_drawn_where_it_looks(digits):
    figure = plot_heat(digits[:1], torch.rand(1, 8, 8), sees=(14, 2))
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    assert (left, right, bottom, top) == (
        5.5,
        21.5,
        21.5,
        5.5,
    )  # the first number looks at pixels 0 to 13: middle 6.5, and it is 2 wide
    figure = plot_heat(digits[:1], torch.rand(1, 7, 7))
    assert figure.axes[0].images[0].get_extent() == [-0.5, 27.5, 27.5, -0.5]


def test_figures_name_what_they_cannot_draw(digits):
    with pytest.raises(ValueError, match="no maps"):
        plot_feature_maps({"fc1": torch.zeros(50)})
    for images, heats, titles in (
        (digits[:2], torch.zeros(3, 28, 28), ()),
        (digits[:0], torch.zeros(0, 28, 28), ()),
        (digits, torch.zeros(6, 8, 8), ["a"]),
    ):
        with pytest.raises(ValueError, match="needed are N images"):
            plot_heat(images, heats, titles)
    with pytest.raises(ValueError, match="heats hold NaN"):
        plot_heat(digits[:1], torch.full((1, 8, 8), torch.nan))
    with pytest.raises(ValueError, match=r"coordinates must be \(N, 2\)"):
        plot_embedding(torch.zeros(4, 3), torch.zeros(4))
