"Nearest neighbors and the figures of lesson 10: right, and clear about what they cannot use or draw."

import pytest
import torch
from torch.testing import assert_close

from mnist_course.data import normalize
from mnist_course.engine.interpret import (
    differentiable,
    growing_run,
    neighbors,
    output_of,
    pca,
    plot_heat,
    show_crowds,
    show_looks,
    unit_value,
)
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
    heat = torch.zeros(2, 28, 28)
    heat[0, 3, 5] = -2.5
    both = plot_heat(digits[:2], heat, ["first", "second"])
    assert (
        "first: -2.5 at row 3, column 5" in both.description
        and "second: 0 everywhere" in both.description
    )
    points = torch.tensor([[0.0, 0.0], [2.0, 2.0], [9.0, 9.0], [1.0, 0.0]])
    crowds = {"here": points, "there": points.flip(1) * 3}
    said = show_crowds(crowds, torch.tensor([3, 3, 8, 5])).description
    assert said.count("4 digits in two dimensions") == 2 and "100% of the spread" in said
    assert said.count("Nearest to each other: 3 and 5.") == 2 and "there, " in said
    alone = show_crowds({"one kind": points}, torch.full((4,), 7))
    assert "Nearest" not in alone.description and len(alone.axes[0].collections) == 1
    looks = show_looks(digits[:2], {"one": heat, "two": -heat}, ["a", "b"], size=1)
    assert "a, two: 2.5 at row 3, column 5" in looks.description
    for figure in (
        both,
        looks,
        plot_heat(digits[:3], torch.rand(3, 8, 8), sees=(14, 2), columns=2),
    ):
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


@pytest.mark.parametrize(
    ("heat", "colors", "scale"),
    [
        ([0.0, 0.5, 2.0], "viridis", (0, 2)),
        ([-2.0, 0.5, 1.0], "PuOr", (-2, 2)),
        ([-0.5, 0.5, 2.0], "PuOr", (-2, 2)),
    ],
)
def test_zero_has_the_same_color_in_every_map_of_a_kind(heat, colors, scale):
    image = torch.zeros(1, 3, 3)
    image[0, 1, 1] = 4
    ax = plot_heat(image, torch.tensor(heat).expand(1, 3, 3), ["a"]).axes[0]
    assert ax.images[0].get_cmap().name == colors and ax.images[0].get_clim() == scale
    assert ax.get_title() == "a\nup to 2"
    (outline,) = ax.collections  # half as bright as the digit
    assert outline.levels.tolist() == [2] and len(outline.get_paths()[0].vertices) > 4
    blank = plot_heat(torch.zeros(1, 3, 3), torch.tensor(heat).expand(1, 3, 3)).axes[0]
    assert not blank.collections and blank.get_title() == "no. 1\nup to 2"
    nothing = plot_heat(image, torch.zeros(1, 3, 3)).axes[0].images[0]
    assert nothing.get_cmap().name == "viridis" and nothing.get_clim() == (0, 1)


def test_maps_stand_in_rows_below_their_digits(digits):
    maps = torch.rand(2, 24, 24)
    figure = show_looks(digits[:2], {"one": maps, "two": -maps}, [3, 8])
    panels = figure.axes
    assert len(panels) == 6 and [ax.get_title() for ax in panels[:2]] == ["3", "8"]
    for k, ax in enumerate(panels):
        assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0
        assert ax.get_ylabel() == {2: "one", 4: "two"}.get(k, "")
    for k in (0, 1):
        assert panels[k].images[0].get_cmap().name == "gray"
        for below in (panels[2 + k], panels[4 + k]):
            assert below.get_title() == f"up to {maps[k].max():.2g}"
            assert below.images[0].get_extent() == [1.5, 25.5, 25.5, 1.5]  # where 5 x 5 fits
    one = show_looks(digits[:1], {"one": maps[:1]}, [3])
    assert [ax.get_ylabel() for ax in one.axes] == ["", "one"]


def test_figures_name_what_they_cannot_draw(digits):
    with pytest.raises(ValueError, match="2 images need as many maps in each row"):
        show_looks(digits[:2], {"one": torch.zeros(3, 24, 24)}, ["a", "b"])
    with pytest.raises(ValueError, match=r"maps in each row, got \(2, 1, 24, 24\)"):
        show_looks(digits[:2], {"one": torch.zeros(2, 1, 24, 24)}, ["a", "b"])
    with pytest.raises(ValueError, match="2 images need as many titles, got 1"):
        show_looks(digits[:2], {"one": torch.zeros(2, 24, 24)}, ["a"])
    for images, heats, titles in (
        (digits[:2], torch.zeros(3, 28, 28), ()),
        (digits[:0], torch.zeros(0, 28, 28), ()),
        (digits, torch.zeros(6, 8, 8), ["a"]),
    ):
        with pytest.raises(ValueError, match="needed are N images"):
            plot_heat(images, heats, titles)
    with pytest.raises(ValueError, match="heats hold NaN"):
        plot_heat(digits[:1], torch.full((1, 8, 8), torch.nan))
    with pytest.raises(ValueError, match="second hold NaN"):
        nothing = torch.full((2, 24, 24), torch.nan)
        show_looks(digits[:2], {"first": torch.zeros(2, 24, 24), "second": nothing}, ["a", "b"])
    with pytest.raises(ValueError, match="4 points need as many labels"):
        show_crowds({"here": torch.rand(4, 3)}, torch.zeros(5))
    with pytest.raises(ValueError, match="all points are the same"):
        show_crowds({"here": torch.ones(4, 3)}, torch.zeros(4))


def test_a_layer_has_a_name_and_a_map_has_a_middle(net, digits):
    for name in ([], None, 3, "conv9"):
        with pytest.raises(ValueError, match=r"there is no layer .*; there are conv1, conv2"):
            output_of(net, digits, name)
    maps = torch.arange(2 * 4 * 5.0).reshape(2, 4, 5)
    assert unit_value(maps, 1) == maps[1, 2, 2] and unit_value(maps[:, 0, 0], 1) == maps[1, 0, 0]


def test_two_points_spread_in_one_direction():
    spots, directions, shares = pca(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), 1)
    assert_close(directions, torch.tensor([[0.6, 0.8]]))
    assert_close(spots.flatten(), torch.tensor([-2.5, 2.5]))
    assert_close(shares, torch.ones(1))


def test_images_that_are_differentiated_are_a_copy_without_a_past(net, digits):
    learned = digits.clone().requires_grad_() * 1
    copy = differentiable(net, learned)
    assert copy.is_leaf and copy.requires_grad and copy.data_ptr() != learned.data_ptr()
    assert torch.equal(copy, learned)


def test_the_growing_network_is_kernels_and_points():
    run = growing_run()
    moments = len(run.steps)
    assert run.kernels.shape == (moments, 32, 3, 3) and run.points.shape == (moments, 200, 2)
    assert len(run.right) == moments and run.right[-1] > 0.95 > 0.3 > run.right[0]


def test_figures_are_as_large_as_what_they_show(digits):
    maps = torch.rand(3, 7, 7)
    three = plot_heat(digits[:3], maps, columns=2)
    assert three.get_size_inches().tolist() == pytest.approx([4.6, 5.2])
    assert [ax.get_visible() for ax in three.axes] == [True, True, True, False]
    looks = show_looks(digits[:3], {"one": maps, "two": maps}, [7, 2, 1])
    assert looks.get_size_inches().tolist() == pytest.approx([6.6, 7.2])
    points = torch.tensor([[0.0, 0.0], [2.0, 2.0], [9.0, 9.0]])
    crowds = show_crowds({"here": points, "there": -points}, torch.tensor([3, 3, 8]))
    assert crowds.get_size_inches().tolist() == pytest.approx([10, 4.6])


def test_an_outline_lies_in_the_middle_of_dark_and_bright():
    image = torch.full((1, 4, 6), -2.0)
    image[0, 1:3, 2:4] = 4
    ax = plot_heat(image, torch.ones(1, 4, 6)).axes[0]
    assert [outline.levels.tolist() for outline in ax.collections] == [[1.0]]
    assert ax.get_xlim() == (-0.5, 5.5) and ax.get_ylim() == (3.5, -0.5)
