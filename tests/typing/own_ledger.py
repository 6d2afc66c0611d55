"""The ledger of a model of one's own, for images in color."""

from typing import assert_type

from torch import nn

from mnist_course.arithmetic import conv2d_params, ledger, linear_params, output_size

model = nn.Sequential(
    nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 15 * 15, 10)
)
rows = ledger(model, (3, 32, 32))
for row in rows:
    assert_type(row.name, str)
    assert_type(row.kind, str)
    assert_type(row.output_shape, tuple[int, ...])
    assert_type(row.macs, int)
heaviest = max(rows, key=lambda row: row.params)
assert heaviest.kind == "Linear" and heaviest.params == linear_params(8 * 15 * 15, 10)
assert rows[0].output_shape == (8, output_size(32, 3, stride=2), 15)
assert_type(sum(row.params for row in rows), int)
assert sum(row.params for row in rows) == conv2d_params(3, 8, 3) + heaviest.params
