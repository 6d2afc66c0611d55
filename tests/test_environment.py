"Lesson 00: what the module imports, the addresses of what its engine does, and the two functions that it builds."

import subprocess
import sys

import pytest
import torch

from mnist_course import environment
from mnist_course.engine import environment as engine
from mnist_course.environment import accuracy, runner_up


def test_the_import_does_not_start_torch():
    code = "import sys, mnist_course.environment; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    "name",
    ["Finding", "Report", "available_devices", "default_device", "doctor", "examine", "seed_everything"],
)  # fmt: skip
def test_what_people_import_from_here_keeps_its_address(name):
    assert getattr(environment, name) is getattr(engine, name) and name in environment.__all__


@pytest.mark.parametrize(
    ("answers", "labels", "right"),
    [([3], [3], 1), ([3], [5], 0), ([1, 2, 3, 4, 5], [1, 2, 0, 4, 0], 0.6), ([0] * 8, [0] * 8, 1)],
)
def test_accuracy(answers, labels, right):
    found = accuracy(torch.tensor(answers), torch.tensor(labels))
    assert type(found) is float and found == pytest.approx(right)


def test_the_second_largest_of_each_row():
    rows = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.3001, 0.4], [-5.0, -1.0, -3.0]])
    assert runner_up(rows).tolist() == [1, 1, 2]
    assert runner_up(torch.tensor([[0.1, 0.9]])).tolist() == [0]
