"Notebooks that learners hand in: which cells answer what."

import json

from mnist_course.teaching.grading.read import answer_cells, cells_of, lesson_of, needed_cells
from tests.fuzz.place import put


def seeds() -> list[bytes]:
    cells = [
        "%pip list\nx = 1",
        "def same_padding(k, d=1):\n    return x",
        'check("03.same_padding", same_padding)',
    ]
    made = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": one} for one in cells]
    new = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    old = {
        "worksheets": [
            {"cells": [{"cell_type": "code", "input": "1", "language": "python", "outputs": []}]}
        ]
    }
    return [
        json.dumps(one).encode()
        for one in (new, old | {"nbformat": 3, "nbformat_minor": 0, "metadata": {}})
    ]


def one(data: bytes) -> None:
    path = put("03_a.ipynb", data)
    try:
        cells = cells_of(path)
    except ValueError:
        return
    if lesson := lesson_of(path, cells):
        answers, _ = answer_cells(cells, lesson)
        needed_cells(cells, [number for numbers in answers.values() for number in numbers])
