"""The tests themselves: each asserts something, none looks at a clock, and every excused mutant is one."""

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from conftest import _not_drawn
from helpers import ROOT

TESTS = sorted((ROOT / "tests").glob("*.py"))
# what fails by itself when something is not as it should be
RAISES = {"raises", "warns", "fail", "mutants", "assert_allclose", "assert_close", "assert_equal"}
RAISES |= {"check_returncode", "gradcheck", "wait_for_function", "wait_for_selector"}


def always_true(test: ast.expr) -> bool:
    "True for what holds whatever was computed: a constant, or something or a constant."
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(map(always_true, test.values))
    return isinstance(test, ast.Constant) and bool(test.value)


@cache
def defined(path: Path) -> dict[str, ast.FunctionDef]:
    "Every function of a file, methods too, by its name."
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def asserts(
    node: ast.AST, around: dict[str, ast.FunctionDef], seen: frozenset = frozenset()
) -> bool:
    "True if some code asserts, expects an error, or calls or is given something around it that does."
    said = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Assert) and not always_true(one.test):
            return True
        if isinstance(one, ast.Call):
            function = one.func
            name = getattr(function, "attr", getattr(function, "id", ""))
            if name in RAISES:
                return True
            if any(key.arg == "check" and ast.unparse(key.value) == "True" for key in one.keywords):
                return True
            said.add(name)
        if isinstance(one, ast.Raise):
            return True
    if isinstance(node, ast.FunctionDef):
        said |= {arg.arg for arg in node.args.args}  # fixtures
    return any(
        asserts(around[name], around, seen | {name})
        for name in said
        if name in around and name not in seen
    )


def silent(path: Path) -> list[str]:
    "The tests of a file in which nothing can fail but by an accident."
    around = {**defined(ROOT / "tests" / "conftest.py"), **defined(ROOT / "tests" / "helpers.py")}
    around |= defined(path)
    return [
        name
        for name, node in defined(path).items()
        if name.startswith("test_")
        and not any("fixture" in ast.unparse(one) for one in node.decorator_list)
        and not asserts(node, around)
    ]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_test_can_fail(path):
    assert not silent(path), "these assert nothing"


def test_a_test_that_asserts_nothing_is_found(tmp_path):
    made = tmp_path / "test_made.py"
    made.write_text(
        "def test_runs():\n    print(1)\n"
        "def test_says_yes():\n    assert True\n"
        "def test_says_yes_after_all():\n    assert f(1) == 2 or True\n"
        "def helper(x):\n    assert x == 1\n"
        "def test_by_a_helper():\n    helper(1)\n"
        "def test_that_waits_for_an_error():\n    with pytest.raises(ValueError):\n        int('x')\n"
    )
    assert silent(made) == ["test_runs", "test_says_yes", "test_says_yes_after_all"]


CLOCKS = re.compile(r"time\.(monotonic|perf_counter|time|time_ns|perf_counter_ns)\(")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_no_test_is_decided_by_a_clock_on_the_wall(path):
    "A machine that others use too may stand still for a minute. What computes is measured in CPU time, with room."
    if path.stem in ("run", "fresh_processes"):
        pytest.skip("programs that tell how long they took")
    for name, node in defined(path).items():
        assert not (name.startswith("test_") and CLOCKS.search(ast.unparse(node))), name


# ---- samples


class Case:
    "What is asked of a case of a test: its name, and how many of its like are drawn."

    def __init__(self, nodeid: str, *number: int, **of: str):
        self.nodeid, self.args, self.kwargs = nodeid, number, of

    def get_closest_marker(self, name: str):
        return self if name == "drawn" and self.args else None


def test_each_seed_draws_as_many_cases_and_in_time_every_case_is_drawn():
    cases = [Case(f"test_x.py::test_y[{i}]", 3) for i in range(10)] + [Case("test_x.py::test_z")]
    runs = [set(cases) - _not_drawn(cases, f"seed {i}") for i in range(60)]
    assert {len(run) for run in runs} == {3 + 1} and set().union(*runs) == set(cases)
    assert _not_drawn(cases, "seed 7") == _not_drawn(cases, "seed 7")
    assert _not_drawn(cases[:2], "seed 7") == set()  # chosen by their names


def test_tests_of_one_name_are_drawn_together():
    cases = [Case(f"test_{x}.py::test_y", 2, of="torchrun") for x in "abcd"] + [Case("e::e", 2)]
    runs = [set(cases) - _not_drawn(cases, f"seed {i}") for i in range(40)]
    assert {len(run) for run in runs} == {2 + 1} and set().union(*runs) == set(cases)


def test_the_same_things_are_shared_out_in_each_run_of_a_test(share):
    first, again = share(range(1000), 5), share(range(1000), 5)
    assert first == again == sorted(set(first)) and len(first) in (5, 1000)


# ---- mutants of our own modules


@pytest.fixture(scope="module")
def tool():
    sys.path.insert(0, str(ROOT / "tools"))
    import mutants

    yield mutants
    sys.path.remove(str(ROOT / "tools"))


def test_what_a_module_may_be_changed_to(tool):
    source = (
        "__all__ = ['grade']\n"
        "LIMIT = 3\n\n\n"
        "def grade(n, best=LIMIT):\n"
        '    "n of 3."\n'
        "    if n > best:  # none is better\n"
        "        raise ValueError(f'{n + 1} is too much')\n"
        "    return n / best\n\n\n"
        "@mistake('x')\n"
        "def wrong(n):\n    return n + 1\n"
    )
    found = {one.change: one for one in tool.mutants(source)}
    assert "3 -> (4) in: LIMIT = 3" in found  # outside of functions too
    assert "n > best -> (n >= best) in: if n > best:" in found
    change = found["n / best -> (n * best) in: return n / best"]
    assert change.lines == (9, 9) and "return (n * best)\n" in change.source
    assert change.source.replace("(n * best)", "n / best") == source  # and nothing else is touched
    assert not any("__all__" in change or change.startswith("n + 1") for change in found)
    assert not any(one.lines[0] > 11 for one in found.values())  # a mistake is wrong on purpose
    # what runs at import is read anew, what a function does is put into the function
    assert change.in_a_function and not found["3 -> (4) in: LIMIT = 3"].in_a_function
    assert {one.in_a_function for one in found.values() if one.lines[0] == 5} <= {False}


def test_nothing_is_changed_that_could_end_or_take_the_whole_machine(tool):
    source = (
        "def end():\n    os.kill(-1, 9)\n\n\n"
        "def become(user):\n    os.setgid(user)\n    os.setuid(user)\n\n\n"
        "def run(user):\n"
        "    if user is not None:\n        make_stranger(user, home='x')\n"
        "    end_all(None, user)\n"
        "    return 3\n"
    )
    assert {one.lines for one in tool.mutants(source)} == {(14, 14)}
    for name in ("room", "limits", "worker"):
        place = ROOT / tool.path_of(f"teaching.grading.{name}")
        for one in tool.mutants(place.read_text("utf-8")):
            assert not re.search(r"kill\(-1|end_all\(|_stranger\(user|setuid", one.change), (
                one.change
            )


def test_a_function_is_given_its_mutants_code(tool):
    source = "def outer():\n    def inner(n):\n        return n + 1\n    return inner\n\n\nmade = outer()\n"
    space: dict = {}
    old = compile(source, "made", "exec")
    exec(old, space)
    (change,) = [one for one in tool.mutants(source) if one.text == "(n - 1)"]
    for before, after in tool.pairs(old, compile(change.source, "made", "exec")):
        for function in (space["outer"], space["made"]):
            if function.__code__ == before:
                function.__code__ = after
    assert space["made"](5) == space["outer"]()(5) == 4  # those that were made before, too
    with pytest.raises(ValueError):
        list(tool.pairs(old, compile("made = 3\n", "made", "exec")))


def test_a_method_that_cannot_be_given_its_mutants_code_is_read_anew(tool):
    "Without `super()` it holds other names of the class than before."
    source = "class A(Exception):\n    def __init__(self, n):\n        {}\n"
    old, new = (
        compile(source.format(line), "made", "exec") for line in ("super().__init__(n)", "(n)")
    )
    with pytest.raises(ValueError):
        list(tool.pairs(old, new))
    source = "def outer(n):\n    return {}\n"
    old, new = (compile(source.format(line), "made", "exec") for line in ("(lambda: n)()", "n"))
    assert [one.co_name for one, _ in tool.pairs(old, new)] == ["outer"]


def test_what_an_exercise_draws_is_told_from_what_it_asks(tool):
    source = "def cases(rng):\n    return [(rng.randrange(9),)]\n\n\ndef solution(n):\n    return n + 1\n"
    found = {one.text: one.draws for one in tool.mutants(source)}
    assert found["(10)"] and not found["(n - 1)"]
    assert tool.read_excuses("checks.shapes")[1] and not tool.read_excuses("data")[1]


def test_the_sample_is_the_same_every_time_and_another_with_another_seed(tool):
    first, again, other = (tool.sample("optim", 20, seed) for seed in (0, 0, 1))
    assert first == again and len(set(first)) == 20 and first != other


def test_every_excuse_belongs_to_a_mutant_and_says_why(tool):
    entries = tomllib.loads(tool.EXCUSES.read_text("utf-8")).get("excused", [])
    possible = {}
    for entry in entries:
        assert len(entry["reason"]) > 20
        if "draws" in entry:
            continue
        module = entry["module"]
        if module not in possible:
            source = (ROOT / tool.path_of(module)).read_text("utf-8")
            possible[module] = {one.change for one in tool.mutants(source)}
        assert entry["change"] in possible[module], f"{module} has changed: {entry['change']}"


def test_the_tests_of_a_room_have_its_name(tool):
    assert tool.tests_of("engine.data") == ["tests/test_data.py", "tests/test_engine_data.py"]
    assert "tests/test_checks_engine.py" in tool.tests_of("checks.sandbox")
    assert tool.selection("checks.shapes") == ["-k", "03."]
    assert tool.selection("checks.engine") == []
