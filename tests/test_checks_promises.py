"""What a stub's docstring promises, held against what its check draws."""

import ast
import re

import numpy as np
import pytest
import torch
from test_checks import ALL, lesson_path, no_hurry, no_progress, stubs  # noqa: F401

from mnist_course.checks import COURSE
from mnist_course.checks.engine import _arguments, _draw_cases, _expect
from mnist_course.teaching.notebooks import read_notebook

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


@pytest.mark.parametrize(
    "id", ["12.gradient_lengths", "12.by_heart", "08.train", "08.train_in_parts"]
)
def test_networks_give_log_probabilities(id):
    for case in drawn(COURSE[id], 1):
        batches = case.get("batches") or [(case["x"], case["y"])]
        for x, y in batches:
            shares = case["model"](x).exp()
            assert torch.allclose(shares.sum(dim=1), torch.ones(len(y)))


@pytest.mark.parametrize("item", WRITTEN, ids=lambda item: item.id)
def test_the_solution_has_an_answer_for_every_case(item):
    "Where it raised, whoever raises the same would pass."
    for seed in SEEDS:
        cases, expected = _expect(item, seed)
        assert cases and not [one.said for one in expected if one.error]


@pytest.mark.parametrize("item", WRITTEN, ids=lambda item: item.id)
def test_every_edge_is_drawn_with_every_seed(item):
    for name, edge in item.edges.items():
        if callable(edge):
            for seed in range(10):
                cases = _draw_cases(item, seed)
                assert any(edge(*case) for case in cases), f"{name}, seed {seed}"


# ---- hints that describe a mistake

HINTED = {  # what a folded hint of an exercise is headed -> the mistake that it describes
    "00.accuracy": {"I get a number above 1": "how_many"},
    "01.averages": {"I get one number for each digit": "one_number_each"},
    "01.batch_sizes": {"It fails only when the batches come out even": "empty_one_at_the_end"},
    "03.field_width": {"I get 10": "jumps_ignored"},
    "03.flat_features": {"My number is far too small": "channels_forgotten"},
    "03.same_padding": {
        "My maps grow": "both_sides_at_once",
        "It's right until dilation comes in": "dilation_forgotten",
    },
    "04.runner_up": {"My shape is (N, 1)": "kept_as_columns"},
    "05.smooth_loss": {"I get inf": "share_made_first"},
    "06.in_order": {"It never ends, or some values appear twice": "each_time_it_is_used"},
    "06.layer_slopes": {"My first table is on its side": "on_its_side"},
    "07.decoupled_step": {
        "The new v is right, but the new w is a little off": "decay_after_the_move"
    },
    "07.sgd_step": {"It says I'm going uphill": "goes_uphill"},
    "08.train": {"My steps are right, but the mean isn't": "mean_of_batches"},
    "08.fit": {"My rates are one epoch ahead": "rate_noted_late"},
    "08.lr_column": {"My third number is twice what it should be": "clock_wound_back"},
    "08.class_accuracy": {
        "I get nan": "mean_of_batches",
        "My shares are right, but it still fails": "notes_kept",
    },
    "08.early_stop": {"My runs are one epoch too long": "one_too_many"},
    "08.train_in_parts": {
        "It's right for equal batches, but a little off for others": "mean_over_the_group",
        "My steps are several times too long": "sum_of_means",
    },
    "09.accuracy_interval": {"My interval is as wide above 0.97 as below": "around_itself"},
    "09.fives": {"I get 0.78": "accuracy_twice"},
    "09.commonest_mistake": {"It gives the same digit twice": "right_answers_count"},
    "09.f1_scores": {"I get nan": "not_a_number"},
    "10.occlusion": {"My signs are all wrong": "rises"},
    "10.mean_output": {"It works, but the check still finds a hook": "open_after_an_error"},
    "10.against": {"My map is 0 or below everywhere": "turned_last"},
    "10.contrast": {"My maps get paler with more images": "batch_mean"},
    "11.answered": {
        "My accuracy falls when the limit rises": "of_all",
        "It fails in just one case": "limit_excluded",
    },
    "11.crop": {"My digit loses its last row": "ends_too_soon"},
    "11.center": {"My numbers are far too small": "bytes_overflow"},
    "12.by_heart": {"My losses are right at first, and then they aren't": "heart_never_emptied"},
    "12.gradient_lengths": {"My numbers are too large the second time": "older_ones_too"},
    "12.last_batch": {"My accuracy is below 0.95": "only_the_last"},
    "12.first_bad": {
        "My function names the last bad layer, or the whole network": "last_bad",
        "It names the right layer, but still fails": "hooks_left",
    },
    "12.pins_accuracy": {
        "My test lets everything pass": "never_asserts",
        "It lets one wrong tester pass": "equal_batches",
        "It fails on a right one": "to_the_last_digit",
    },
    "13.interval": {"My interval is a little too narrow": "over_all"},
    "14.amdahl": {"I averaged 3 and 1": "average_of_gains"},
    "14.fair_medians": {
        "My first job looks too fast, or the last one too slow": "one_after_the_other",
        "It's right for three rounds, but not for four": "upper_median",
    },
    "14.step_cost": {"I get 114 for the first": "three_times_all"},
    "14.one_cycle": {"My two ends are right, but the middle isn't": "straight_lines"},
    "15.int8_bytes": {"I get a number just below": "steps_forgotten"},
    "15.dequantize": {"It says the sizes must match": "scaled_columns"},
    "15.rings_at": {
        "It rings too early": "impatient",
        "It rings late, or never": "in_blocks",
        "It's off by window - 1": "start_of_the_window",
    },
    "15.tail": {"I get a number that isn't among the twenty": "between_two"},
}


def hints(item):
    "What the folded hints of an exercise are headed."
    cells = read_notebook(lesson_path(item.lesson))["cells"]
    written = ["".join(cell["source"]) for cell in cells]
    at = next(i for i, source in enumerate(written) if f'\ncheck("{item.id}"' in source)
    return re.findall(r"<summary>(.*?)</summary>", written[at + 1], re.S)


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.id)
def test_a_folded_hint_that_describes_a_mistake_has_its_name(item):
    known, folded = HINTED.get(item.id, {}), hints(item)
    assert set(known) <= set(folded)
    assert set(known.values()) <= item.misconceptions.keys()
    if item.lesson >= "08":  # of the lessons before, some hints describe several mistakes
        first_words = r"(My |I get |I averaged|It |It's |Some of my |The expected )"
        assert {hint for hint in folded if re.match(first_words, hint)} == known.keys()
