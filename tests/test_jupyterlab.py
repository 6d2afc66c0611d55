"""The lessons as a learner meets them: in JupyterLab, in a real browser."""

import json

from mnist_course.progress import FILE


def test_an_exercise_answers_back(lab, lab_server):
    lab.open("03_shapes.ipynb")
    lab.run(lab.find("import torch\nfrom torch import nn"))
    lab.run(lab.find("from mnist_course.checks import check"))
    card = lab.find('check("03.team_params"')
    assert lab.run(card) == "03.team_params: not attempted yet"
    said = lab.run(card, 'team_params = 51_200\n\ncheck("03.team_params", team_params)')
    assert said.startswith("✗ 03.team_params: failed (bias_forgotten)") and "Each kernel has one number more." in said
    broken = 'def same_padding(kernel_size, dilation=1):\n    return kernel_size / 0\n\n\ncheck("03.same_padding", same_padding)'
    said = lab.run(lab.find('check("03.same_padding"'), broken)
    assert "ZeroDivisionError" in said and "line 2: return kernel_size / 0" in said and "same_padding(3)" in said
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
    lab.run(lab.find("import torch\nfrom torch import nn"))
    lab.run(lab.find("from mnist_course.checks import check"))
    cell = lab.find('guess("03.places"')
    assert "no guess yet" in lab.run(cell)
    assert lab.run(cell, 'guess("03.places", 23, sure=0.9)') == "03.places: you say 23, and you are 90% sure."
    said = lab.run(lab.find('reveal("03.places"'))
    assert said.startswith("03.places: you said 23, 90% sure: not this time") and "there are 24 places" in said
    assert "A little more doubt would pay." in lab.run(lab.find('calibration("03")'))
