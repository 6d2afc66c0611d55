"""The lessons as a learner meets them: in JupyterLab, in a real browser."""

import json

import pytest

from mnist_course.progress import FILE

pytestmark = pytest.mark.drawn(4, of="JupyterLab")


def test_an_exercise_answers_back(lab, lab_server):
    lab.open("03_shapes.ipynb")
    lab.run(lab.find("from mnist_course.checks import check"))
    card = lab.find('check("03.team_params"')
    assert lab.run(card) == "03.team_params: not attempted yet"
    said = lab.run(card, 'team_params = 51_200\n\ncheck("03.team_params", team_params)')
    assert (
        said.startswith("✗ 03.team_params: failed (bias_forgotten)")
        and "Each kernel has one more number." in said
    )
    broken = 'def same_padding(kernel_size, dilation=1):\n    return kernel_size / 0\n\n\ncheck("03.same_padding", same_padding)'
    said = lab.run(lab.find('check("03.same_padding"'), broken)
    assert (
        "ZeroDivisionError" in said
        and "line 2: return kernel_size / 0" in said
        and "same_padding(3)" in said
    )
    assert "Traceback" not in said and "mnist_course" not in said
    said = lab.run(card, 'team_params = 51_328\n\ncheck("03.team_params", team_params)')
    assert said.startswith("✓ 03.team_params: passed")
    lines = [json.loads(line) for line in (lab_server[2] / FILE).read_text().splitlines()]
    assert [(line["id"], line["status"]) for line in lines][-3:] == [
        ("03.team_params", "failed"),
        ("03.same_padding", "failed"),
        ("03.team_params", "passed"),
    ]


def test_a_prediction_is_noted_and_answered(lab):
    lab.open("03_shapes.ipynb")
    lab.run(lab.find("from mnist_course.checks import check"))
    cell = lab.find('guess("03.places"')
    assert "no guess yet" in lab.run(cell)
    assert (
        lab.run(cell, 'guess("03.places", 23, sure=0.9)')
        == "03.places: you say 23, and you are 90% sure."
    )
    said = lab.run(lab.find('reveal("03.places"'))
    assert said.startswith("03.places: you said 23, 90% sure: not this time")
    assert "A little more doubt would pay." in lab.run(lab.find('calibration("03")'))


def put_pad(lab, code: str):
    "Run some code in a cell of lesson 11 that shows a pad, and return the pad's canvas, scrolled into view."
    lab.open("11_your_digits.ipynb")
    cell = lab.find("print(predict(net, mine).message)")
    lab.run(cell, code)
    lab.output(cell)
    canvas = lab.page.locator(".mc-canvas")
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    return cell, canvas


PAD = "from mnist_course.widgets.pad import DrawingPad\nfrom mnist_course.model import load_pretrained\npad = DrawingPad(load_pretrained())\npad"
VIEWER = "from mnist_course.widgets.explorer import ActivationViewer\nfrom mnist_course.model import load_pretrained\nviewer = ActivationViewer(load_pretrained())\nviewer"
SEVEN = [
    (0.3, 0.25),
    (0.45, 0.25),
    (0.6, 0.25),
    (0.7, 0.25),
    (0.65, 0.4),
    (0.6, 0.5),
    (0.55, 0.65),
    (0.5, 0.8),
]


def another(lab) -> int:
    "The number of a second cell of lesson 11."
    return lab.find("from collections.abc import Collection")


def wait_for(lab, text: str) -> None:
    lab.page.wait_for_function(
        "(text) => document.querySelector('.mc-live').textContent.startsWith(text)",
        arg=text,
    )


def test_a_digit_drawn_with_the_mouse_is_read_by_the_learners_model(lab):
    _, canvas = put_pad(lab, PAD)
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    lab.page.mouse.move(*places[0])
    lab.page.mouse.down()
    for place in places[1:]:
        lab.page.mouse.move(*place, steps=4)
    lab.page.mouse.up()
    wait_for(lab, "7 (")
    lab.page.get_by_label("Which digit did you draw?").select_option("7")
    lab.page.get_by_role("button", name="Keep").click()
    wait_for(lab, "kept: 1 drawings")
    said = lab.run(
        another(lab),
        "print(pad.answer['label'], pad.array.shape, pad.array.max(), len(pad.drawings), pad.drawings.accuracy(pad.model))",
    )
    assert said == "7 (280, 280) 255 1 1.0"


def test_a_digit_drawn_by_touch_is_read_by_the_learners_model(lab, finger):
    _, canvas = put_pad(lab, PAD)
    box = canvas.bounding_box()
    press, move, release = finger(lab.page)
    for i, (x, y) in enumerate(SEVEN):
        (move if i else press)(box["x"] + x * box["width"], box["y"] + y * box["height"])
    release()
    wait_for(lab, "7 (")


def test_python_lays_a_digit_on_the_viewer_and_reads_its_answer(lab):
    cell, _ = put_pad(lab, VIEWER)
    second = another(lab)
    lab.run(
        second,
        "from mnist_course.data import load_mnist\nviewer.put(load_mnist(source='sample')[1].images[0])",
    )
    wait_for(lab, "7 (")
    lab.output(cell)
    white = "() => { const c = document.querySelector('.mc-canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
    assert (
        lab.page.evaluate(
            white + " return d.filter((value, i) => i % 4 === 0 && value > 127).length }"
        )
        > 1_000
    )
    assert lab.page.locator(".mc-map").count() >= 8
    said = lab.run(
        second,
        "print(viewer.answer['label'], len(viewer.answer['probabilities']), viewer.milliseconds > 0)",
    )
    assert said == "7 10 True"


def test_nobody_is_asked_about_news(lab):
    lab.open("00_start_here.ipynb")
    lab.page.wait_for_timeout(4000)  # the question comes when everything else is there
    assert lab.page.get_by_text("Jupyter news").count() == 0
    lab.page.get_by_role("tab", name="File Browser").click()
    lab.page.locator(".jp-DirListing-item").first.wait_for(state="attached")
    shown = lab.page.locator(".jp-DirListing-item").all_text_contents()
    assert shown and not [name for name in shown if "progress" in name]
