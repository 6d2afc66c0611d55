import io
import json
import pickle

import matplotlib.figure
import matplotlib.image
import numpy as np
import pytest
import torch
from PIL import Image

from mnist_course.figure import DescribedFigure, show_digits, show_maps, show_panels


def drawn(figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]


def test_the_sentence_is_the_plain_text_and_the_alt_text():
    figure = DescribedFigure(2, 1).describe("A line from 1 to 2.")
    data, metadata = figure._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == "A line from 1 to 2."
    assert data["image/png"].startswith(b"\x89PNG")


def test_a_figure_is_one_of_matplotlibs_and_can_be_kept():
    figure = show_digits(torch.rand(2, 28, 28), [3, 4])
    assert isinstance(figure, matplotlib.figure.Figure)
    again = pickle.loads(pickle.dumps(figure))
    assert type(again) is DescribedFigure
    assert again.description == figure.description
    np.testing.assert_array_equal(drawn(again), drawn(figure))


def test_the_picture_has_the_size_asked_for_and_white_paper(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(DescribedFigure(2, 1)._repr_mimebundle_()[0]["image/png"])
    picture = matplotlib.image.imread(path)
    assert picture.shape[:2] == (110, 220)
    assert (picture == 1).all()


def test_a_file_says_where_its_images_and_color_scales_are():
    figure = show_panels([torch.zeros(28, 28)], [torch.eye(3)], ["black", "a map"])
    with Image.open(io.BytesIO(figure.png())) as image:
        panels, rgb = json.loads(image.info["panels"]), np.asarray(image.convert("RGB"))
    assert len(panels) == 3, "an image, a map and its color scale"
    assert all(place == round(place, 5) for panel in panels for place in panel)  # a short text
    left, bottom, right, top = panels[0]
    height, width = rgb.shape[:2]
    rows = slice(round((1 - top) * height), round((1 - bottom) * height))
    columns = slice(round(left * width), round(right * width))
    assert (rgb[rows, columns] == 0).all()
    around = rgb.copy()
    edge = [slice(part.start - 1, part.stop + 1) for part in (rows, columns)]
    around[*edge] = 255  # matplotlib up to 3.9 also draws a pixel that is only begun
    assert (
        around[rows.start - 2 : rows.stop + 2, columns.start - 2 : columns.stop + 2] == 255
    ).all()
    chart = DescribedFigure(2, 1)
    chart.subplots().plot([1, 2])
    with Image.open(io.BytesIO(chart.png())) as image:
        assert json.loads(image.info["panels"]) == []


def test_style_does_not_leak():
    import matplotlib as mpl

    before = mpl.rcParams["axes.grid"], mpl.rcParams["axes.spines.top"]
    axes = DescribedFigure().subplots()
    assert not axes.spines["top"].get_visible() and not axes.spines["right"].get_visible()
    assert axes.xaxis.get_gridlines()[0].get_visible() and axes.get_axisbelow() is True
    assert (mpl.rcParams["axes.grid"], mpl.rcParams["axes.spines.top"]) == before


@pytest.mark.parametrize("sentence", ["", "  \n"])
def test_an_empty_sentence_is_refused(sentence):
    with pytest.raises(ValueError, match="needs a sentence"):
        DescribedFigure().describe(sentence)


def test_show_digits_draws_every_image_and_names_the_titles():
    images = torch.arange(3 * 28 * 28).reshape(3, 28, 28) % 256
    figure = show_digits(images.to(torch.uint8), torch.tensor([7, 2, 1]), columns=2)
    assert figure.description == "3 images of digits: 7, 2, 1."
    assert len(figure.axes) == 4  # two rows of two, the last one empty
    np.testing.assert_array_equal(np.stack(drawn(figure)), images.numpy())


def test_show_digits_uses_one_scale():
    images = torch.stack([torch.zeros(28, 28), torch.full((28, 28), 0.5), torch.ones(28, 28)])
    scales = {image.get_clim() for ax in show_digits(images).axes for image in ax.images}
    assert scales == {(0, 1)}  # a grey image stays grey beside a white one


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 1, 28, 28, requires_grad=True),
        torch.zeros(1, 28, 28, dtype=torch.bfloat16),
        np.zeros((1, 28, 28), np.uint8),
    ],
    ids=["with gradients", "bfloat16", "numpy"],
)
def test_show_digits_takes_what_comes(images):
    figure = show_digits(images)
    assert figure.description == "1 image of digits."
    figure._repr_mimebundle_()


@pytest.mark.parametrize("shape", [(28, 28), (0, 28, 28), (2, 3, 28, 28), (1, 1, 1, 28, 28)])
def test_show_digits_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="at least one image"):
        show_digits(torch.zeros(shape))


@pytest.mark.parametrize("titles", [[1], [1, 2, 3]])
def test_titles_must_fit(titles):
    with pytest.raises(ValueError, match="2 images need as many titles"):
        show_digits(torch.zeros(2, 28, 28), titles)


@pytest.mark.parametrize("columns", [0, -1])
def test_columns_must_be_positive(columns):
    with pytest.raises(ValueError, match="columns"):
        show_maps(torch.zeros(2, 3, 3), columns=columns)


@pytest.mark.parametrize(
    ("maps", "limits", "colors"),
    [
        (torch.tensor([[[0.0, 2.0]]]), (0, 2), "viridis"),
        (torch.tensor([[[-3.0, 2.0]]]), (-3, 3), "PuOr"),
        (torch.tensor([[[-1.0, -2.0]]]), (-2, 2), "PuOr"),
    ],
)
def test_show_maps_chooses_the_scale_from_the_data(maps, limits, colors):
    picture = show_maps(maps).axes[0].images[0]
    assert picture.get_clim() == limits
    assert picture.get_cmap().name == colors


def test_show_maps_describes_the_data():
    maps = torch.tensor([[[0.0, 1.5]], [[0.25, 0.5]]], requires_grad=True)
    assert (
        show_maps(maps, name="kernel").description == "2 kernels of 1 x 2 numbers, from 0 to 1.5."
    )


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3), (1, 0, 3), (2, 8, 3, 3)])
def test_show_maps_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"maps must be \(C, H, W\)") as refused:
        show_maps(torch.zeros(shape))
    advised = "choose one image with maps[0]" in str(refused.value)
    assert advised == (len(shape) == 4)  # the maps of several images


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_cannot_be_drawn_are_refused(value):
    for show in (show_maps, show_digits):
        with pytest.raises(ValueError, match="NaN or infinite"):
            show(torch.full((1, 28, 28), value))


def test_show_panels_lays_images_and_maps_out():
    images = [torch.full((4, 6), 0.5)] * 3
    maps = [torch.tensor([[-0.5, 2.0]]), torch.tensor([[1.0, -1.0]])]
    figure = show_panels(images, maps, titles=list("abcde"))
    pictures = [ax.images[0] for ax in figure.axes if ax.images]
    assert [one.get_cmap().name for one in pictures] == ["gray"] * 3 + ["PuOr"] * 2
    assert [one.get_clim() for one in pictures] == [(0, 1)] * 3 + [(-2, 2)] * 2
    assert [ax.get_title() for ax in figure.axes[:5]] == list("abcde")
    assert figure.get_size_inches() == pytest.approx([4 * 1.8 + 0.6, 2 * (1.8 + 0.3)])
    assert figure.description == "5 panels side by side: a, b, c, d, e."
    assert len(figure.axes) == 2 * 4 + 1  # the last is the color scale of the maps
    assert not any(ax.axison for ax in figure.axes[:8])
    assert len(show_panels(images).axes) == 3
    for left, right in zip(drawn(figure), [*images, *maps], strict=False):
        assert left.tolist() == right.tolist()


def test_small_images_in_rows():
    images = torch.zeros(3, 28, 28)
    assert show_digits(images, columns=1).get_size_inches() == pytest.approx([0.8, 2.4])
    figure = show_maps(images, columns=2, titles="abc")
    assert figure.get_size_inches() == pytest.approx([1.6, 2.0])
    assert [ax.get_title() for ax in figure.axes[:3]] == list("abc")
    assert len(figure.axes) == 2 * 2 + 1  # and a color scale
    *small, scale = figure.axes
    assert not any(ax.axison for ax in small)
    figure.draw_without_rendering()
    assert scale.get_position().x0 > max(ax.get_position().x1 for ax in small)
    assert show_digits(torch.zeros(12, 28, 28)).get_size_inches() == pytest.approx([8, 1.6])


def test_a_few_panels_take_no_more_room_than_they_need():
    images = [torch.zeros(3, 3)] * 2
    assert show_panels(images[:1]).get_size_inches() == pytest.approx([1.8, 1.8])
    assert show_panels(images[:1]).description == "One panel, large."
    assert show_panels(images, size=1).get_size_inches() == pytest.approx([2, 1])
    assert show_panels(images).description == "2 panels side by side."
    for top, limit in ((None, 1), (0.25, 0.25)):  # a map of zeros has a scale, too
        (picture,) = show_panels(maps=images[:1], top=top).axes[0].images
        assert picture.get_clim() == (-limit, limit)


def test_show_panels_refuses_what_does_not_fit():
    for images in ([], [torch.zeros(3)], [torch.zeros(0, 3)], [torch.zeros(1, 3, 3)]):
        with pytest.raises(ValueError, match=r"each map must be \(H, W\)"):
            show_panels(images)
    with pytest.raises(ValueError, match="2 panels need as many titles, or none; got 1"):
        show_panels([torch.zeros(3, 3)] * 2, titles=["a"])
