"""What a stub's docstring promises, held against what its check draws."""

import ast
import re

import numpy as np
import pytest
import torch
from test_checks import ALL, no_hurry, no_progress, stubs  # noqa: F401

from mnist_course.checks import COURSE, run_check
from mnist_course.checks.engine import _arguments, _draw_cases

SEEDS = range(3)
WRITTEN = [item for item in ALL if item.cases is not None and item.judge is None]
DTYPE = r"(?:u?int\d+|float\d*|bool)"


def stub_of(item):
    "The function of a stub: its node in the tree of the cell."
    body = ast.parse(stubs(item.lesson)[item.id]).body
    return next(n for n in body if getattr(n, "name", None) == item.name)


def promised(doc, names):
    "(argument, dtype or None, shape or None) for everything that a docstring says of an argument."
    for name in names:
        told = (
            rf"\b{name}(?: and \w+|, \w+)*\b[:,]?(?: is| are)? "
            rf"(?:({DTYPE}),? )?\(((?:\w+, ?)*\w*)\)"
        )
        for found in re.finditer(told, doc):
            sizes = [size.strip() for size in found[2].split(",") if size.strip()]
            yield name, found[1], sizes


def drawn(item, seed):
    "Each case that is drawn, as names and values."
    names = [arg.arg for arg in stub_of(item).args.args]
    for case in _draw_cases(item, seed):
        args, options = _arguments(case)
        yield dict(zip(names, args, strict=False)) | options


def dtype_fits(value, dtype):
    return value.is_floating_point() if dtype == "float" else str(value.dtype) == f"torch.{dtype}"


@pytest.mark.parametrize("item", WRITTEN, ids=lambda item: item.id)
def test_shapes_and_dtypes_are_as_the_stub_says(item):
    "A letter or word is one size within a case, and the size of the argument of that name."
    stub = stub_of(item)
    doc = " ".join((ast.get_docstring(stub) or "").split())
    told = list(promised(doc, [arg.arg for arg in stub.args.args]))
    for seed in SEEDS:
        for case in drawn(item, seed):
            sizes = {name: value for name, value in case.items() if isinstance(value, int)}
            for name, dtype, shape in told:
                value = case.get(name)
                value = torch.as_tensor(value) if isinstance(value, np.ndarray) else value
                assert isinstance(value, torch.Tensor), f"{name}: {type(value)}"
                if dtype:
                    assert dtype_fits(value, dtype), f"{name} is {value.dtype}, not {dtype}"
                assert value.ndim == len(shape), f"{name}{tuple(value.shape)} for {shape}"
                for size, word in zip(value.shape, shape, strict=True):
                    known = int(word) if word.isdigit() else sizes.setdefault(word, size)
                    assert size == known, f"{word} is {known} and {size}"


RESULTS = {
    "02.pooling_weight": ["(channels, channels, size, size)"],
    "02.mended_conv": ["(O, rows, columns)"],
    "04.runner_up": ["int64 (N,)", "(N,)"],
    "05.logit_slopes": ["(N, C)"],
    "09.f1_scores": ["(classes,)"],
    "10.cosine": ["(Q, N)"],
    "10.contrast": ["(N, H, W)"],
    "10.against": ["(size, size)"],
    "11.network_input": ["float32 (1, 1, H, W)"],
    "13.moved": ["(N, 1, 28, 28)"],
}  # what stubs say of what comes back


@pytest.mark.parametrize("id", RESULTS)
def test_what_comes_back_is_as_the_stub_says(id):
    "The solution's results have these shapes, in the sizes of the arguments."
    item = COURSE[id]
    stub = stub_of(item)
    doc = " ".join((ast.get_docstring(stub) or "").split())
    told = list(promised(doc, [arg.arg for arg in stub.args.args]))
    for case in drawn(item, 1):
        sizes = {name: value for name, value in case.items() if isinstance(value, int)}
        for name, _, shape in told:
            sizes |= dict(zip(shape, case[name].shape, strict=True))
        results = item.solution(**case)
        results = results if isinstance(results, tuple) else (results,)
        assert len(results) == len(RESULTS[id])
        for result, words in zip(results, RESULTS[id], strict=True):
            assert words in doc
            dtype, shape = re.fullmatch(rf"({DTYPE})? ?\((.+?),?\)", words).groups()
            assert not dtype or dtype_fits(result, dtype)
            expected = [word.strip() for word in shape.split(",")]
            assert result.ndim == len(expected)
            for size, word in zip(result.shape, expected, strict=True):
                assert size == (int(word) if word.isdigit() else sizes.setdefault(word, size)), word


RANGES = {
    "from 0 to 1": lambda value: 0 <= value <= 1,
    "from 0 to 1, both excluded": lambda value: 0 < value < 1,
    "odd": lambda value: value % 2 == 1,
}


@pytest.mark.parametrize("item", WRITTEN, ids=lambda item: item.id)
def test_ranges_hold_and_what_may_be_empty_is_drawn_with_every_seed(item):
    stub = stub_of(item)
    doc = " ".join((ast.get_docstring(stub) or "").split())
    for name in [arg.arg for arg in stub.args.args]:
        told = re.search(rf"\b{name} (from 0 to 1(?:, both excluded)?|is odd|for odd)", doc)
        may_be = re.search(rf"\b{name}(?: is \w+, and)? may be ([\w\[\]. ]+?)(?:[.;]|$)", doc)
        allowed = [ast.literal_eval(word) for word in may_be[1].split(" or ")] if may_be else []
        for seed in SEEDS:
            values = [case[name] for case in drawn(item, seed) if name in case]
            if told:
                holds = RANGES[told[1].removeprefix("is ")]
                assert all(map(holds, values)), name
            for one in allowed:
                assert one in values, f"{name} may be {one}, and never is"


@pytest.mark.parametrize("item", WRITTEN, ids=lambda item: item.id)
def test_every_edge_is_drawn_with_every_seed(item):
    for name, edge in item.edges.items():
        if callable(edge):
            for seed in range(10):
                cases = _draw_cases(item, seed)
                assert any(edge(*case) for case in cases), f"{name}, seed {seed}"


# ---- hints that describe a mistake

HINTED = {
    "01.batch_sizes": {"when the batches come out even": "empty_one_at_the_end"},
    "03.field_width": {"I get 10": "jumps_ignored"},
    "03.flat_features": {"My number is far too small": "channels_forgotten"},
    "03.same_padding": {
        "My maps grow": "both_sides_at_once",
        "right until dilation": "dilation_forgotten",
    },
    "04.runner_up": {"My shape is (N, 1)": "kept_as_columns"},
    "05.batch_loss": {"1.23": "mean_of_the_shares"},
    "05.lead_for": {"only works for two classes": "one_rival"},
    "05.logit_slopes": {"too large for more": "sum_of_the_batch"},
    "05.smooth_loss": {"I get inf": "share_made_first"},
    "07.decoupled_step": {"the new w is a little off": "decay_after_the_move"},
}


@pytest.mark.parametrize("id", HINTED)
def test_a_hint_that_describes_a_mistake_has_its_name(id):
    from test_checks import lesson_path, sources

    item = COURSE[id]
    page = "\n".join(sources(lesson_path(item.lesson), "markdown"))
    for hint, name in HINTED[id].items():
        summaries = re.findall(r"<summary>(.*?)</summary>", page, re.S)
        assert any(hint in summary for summary in summaries), hint
        for seed in SEEDS:
            assert run_check(item, item.misconceptions[name], seed).misconception == name
