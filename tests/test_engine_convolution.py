"The pictures of lesson 02: a kernel at one place of an image, and readers of digits that have moved."

import pytest
import torch
import torch.nn.functional as F
from helpers import figure_is_approved, stands_out

from mnist_course.engine.convolution import moved_runs, plot_readers, show_place


@pytest.mark.parametrize(("top", "left"), [(0, 0), (2, 4), (3, 1)])
def test_one_place_shows_the_sum_that_a_convolution_has_there(top, left):
    image = torch.rand(6, 7, generator=torch.Generator().manual_seed(3))
    kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    figure = show_place(image, kernel, top, left)
    total = F.conv2d(image[None, None], kernel[None, None])[0, 0, top, left].item()
    assert f"row {top}, column {left}" in figure.description
    assert f"add up to {total:.2f}." in figure.description
    whole, *parts = figure.axes
    assert whole.get_title() == f"row {top}, column {left}"
    (frame,) = whole.patches
    assert frame.get_xy() == (left - 0.5, top - 0.5) and frame.get_width() == 3
    patch, numbers, products = ([float(text.get_text()) for text in ax.texts] for ax in parts)
    assert numbers == kernel.flatten().tolist()
    assert [text.get_text() for text in parts[1].texts[:3]] == ["1", "0", "-1"]
    assert patch == pytest.approx(image[top : top + 3, left : left + 3].flatten(), abs=0.006)
    assert sum(products) == pytest.approx(total, abs=0.05)


@pytest.mark.parametrize(("size", "count"), [((3, 3), "nine"), ((5, 5), "25"), ((1, 4), "4")])
def test_the_words_count_the_pixels_of_this_kernel(size, count):
    figure = show_place(torch.zeros(6, 7), torch.ones(size), 0, 0)
    assert f"{count} pixels, the kernel's {count} numbers" in figure.description
    assert figure.axes[1].get_title() == f"{count} pixels"


@pytest.mark.parametrize("pixels", [[0.0, 0.3, 0.55, 0.9], [0.55, 0.7, 0.8, 0.9]])
@pytest.mark.parametrize("kernel", [[1.0, -1.0, 0.5, 0.1], [-1.0, 0.55, 0.4, -0.5]])
def test_every_number_stands_out_from_the_color_under_it(pixels, kernel):
    square = torch.tensor([pixels, kernel]).reshape(2, 2, 2)
    assert all(map(stands_out, show_place(*square, 0, 0).axes[1:]))


@pytest.mark.parametrize(("top", "left"), [(-1, 0), (0, -2), (4, 0), (0, 5)])
def test_a_kernel_that_hangs_over_an_edge_is_refused(top, left):
    with pytest.raises(ValueError, match=f"not fit at row {top}, column {left} of an .* 6 x 7"):
        show_place(torch.zeros(6, 7), torch.ones(3, 3), top, left)


def test_the_record_of_moved_digits_is_complete():
    runs = moved_runs()
    assert len(runs) == 4
    for curves in runs.values():
        assert len(curves) == 5 and all(len(curve) == 9 for curve in curves)
        assert all(0 <= right <= 1 for curve in curves for right in curve)


def test_a_reader_is_drawn_as_its_median_and_its_range():
    alone = [[0.9, 0.7, 0.5, 0.3, 0.2]]
    several = [[0.9, 0.9, 0.8, 0.8, 0.6], [1.0, 0.9, 0.9, 0.9, 0.7], [0.8, 0.8, 0.8, 0.7, 0.5]]
    figure = plot_readers({"one": alone, "many": several})
    assert "one: 90% unmoved, 20% at 4 pixels" in figure.description
    assert "many: 90% unmoved, 60% at 4 pixels" in figure.description
    (ax,) = figure.axes
    assert list(ax.lines[1].get_ydata()) == pytest.approx([90, 90, 80, 80, 60])
    (band,) = ax.collections  # one curve has no range
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(50) and heights.max() == pytest.approx(100)


def test_its_pictures_are_approved(tmp_path):
    image = torch.rand(6, 7, generator=torch.Generator().manual_seed(3))
    kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    figure_is_approved("plot: a place", show_place(image, kernel, 1, 2), tmp_path)
    alone = [[0.9, 0.7, 0.5, 0.3, 0.2]]
    several = [[0.9, 0.9, 0.8, 0.8, 0.6], [1.0, 0.9, 0.9, 0.9, 0.7]]
    figure_is_approved("plot: readers", plot_readers({"one": alone, "two": several}), tmp_path)
