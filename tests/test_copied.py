"An answer that comes out of the course's checks is remarked, whatever the way; an honest one isn't."

import functools
import inspect
import json
import linecache
import os
import sys
import sysconfig
import types

import pytest

from mnist_course.checks import COURSE, Exercise
from mnist_course.teaching.grading import Limits, copied, grade_folder
from mnist_course.teaching.grading.copied import is_copied, is_taken

SOLUTIONS = {item.id: item.solution for item in COURSE.values() if callable(item.solution)}


@pytest.mark.parametrize("id", SOLUTIONS)
def test_a_solution_is_taken_in_whatever_is_put_around_it(id):
    theirs = SOLUTIONS[id]

    class Holder:
        def __init__(self):
            self.inside = theirs

        def __call__(self, *args):
            return self.inside(*args)

    def by_default(*args, made=theirs):
        return made(*args)

    by_global = eval("lambda *args: made(*args)", {"made": theirs})
    by_module = eval(
        "lambda *args: c.COURSE[0](*args)", {"c": __import__("mnist_course.checks", fromlist=["x"])}
    )
    for answer in (
        theirs,
        lambda *args: theirs(*args),
        functools.partial(theirs),
        functools.partial(lambda made, *args: made(*args), theirs),
        functools.wraps(len)(lambda *args: [theirs][0](*args)),
        Holder(),
        Holder().__call__,
        by_default,
        by_global,
        by_module,
        {"made": theirs},
    ):
        assert is_taken(answer), answer
    assert is_taken(type("Mine", (theirs,), {})) if isinstance(theirs, type) else True


HONEST = {
    "03.same_padding": "def same_padding(kernel_size, dilation=1):\n    return dilation * (kernel_size - 1) // 2",
    "03.flat_features": "def flat_features(size, channels, kernels):\n    for k in kernels:\n        size = (size - k + 1) // 2\n    return channels * size ** 2",
    "03.team_params": "team_params = 128 * (16 * 25 + 1)",
    "03.field_width": "field_width = 19",
}


def test_an_honest_answer_is_neither_taken_nor_copied():
    for id, code in HONEST.items():
        names = {}
        exec(code, names)
        answer = names[COURSE[id].name]
        assert not is_taken(answer) and not is_copied(COURSE[id], answer)
    for value in (3, "CHGBFE", [1, 2], None, ..., object(), len, int):
        assert not is_taken(value) and not is_copied(COURSE["03.team_params"], value)


def test_a_copy_is_one_whatever_its_names():
    import re
    import textwrap

    long = [id for id, one in SOLUTIONS.items() if inspect.isfunction(one)]
    seen = 0
    for id in long:
        item = COURSE[id]
        source = textwrap.dedent(inspect.getsource(item.solution))
        source = source[re.search(r"^def ", source, re.M).start() :]
        names = dict(vars(inspect.getmodule(item.solution)))
        names["__name__"] = "__main__"
        exec(source, names)
        copied = names[item.solution.__name__]
        assert copied is not item.solution
        seen += is_copied(item, copied)
    assert seen >= 12  # of the others there's often just one way to write them


def test_what_holds_a_solution_is_taken_again_and_again():
    theirs = SOLUTIONS["03.flat_features"]
    renamed = types.FunctionType(theirs.__code__, {"range": range})
    forged = eval("lambda *args: made(*args)", {"made": theirs, "__name__": "mine"})
    forged.__module__ = "torch"  # it may say anything of itself
    for answer in (types.SimpleNamespace(inside=theirs), renamed, {(1): [renamed]}, forged) * 2:
        assert is_taken(answer)


def test_what_uses_the_course_or_torch_is_honest():
    import torch

    import mnist_course

    names = {"mnist_course": mnist_course, "torch": torch, "__name__": "__main__"}
    for source in ("lambda x: mnist_course.data.normalize(x)", "lambda x: torch.relu(x).sum()"):
        assert not is_taken(eval(source, names))
    assert not is_taken(torch.nn.Sequential(torch.nn.Linear(2, 2))) and not is_taken(torch.relu)


def short_ones() -> dict[str, types.FunctionType]:
    "Solutions that may be a copy only if the names are the same, too."
    functions = {id: one for id, one in SOLUTIONS.items() if inspect.isfunction(one)}
    return {
        id: one
        for id, one in functions.items()
        if copied._SHORT <= len(copied._steps(one.__code__)) < copied._LONG
    }


def test_the_same_steps_with_another_number_or_other_names_are_no_copy():
    seen = 0
    for id, theirs in short_ones().items():
        code = theirs.__code__
        own = len(code.co_varnames) - code.co_argcount  # names that nobody asked for
        same = types.FunctionType(code.replace(co_name="mine"), {})
        assert is_copied(COURSE[id], same) == (own >= 2)
        if own < 2:
            continue
        seen += 1
        others = tuple(f"{name}_" for name in code.co_varnames)
        assert not is_copied(
            COURSE[id], types.FunctionType(code.replace(co_varnames=others), {}, closure=None)
        )
        numbers = [one for one in code.co_consts if isinstance(one, int) and one is not True]
        if numbers:
            consts = tuple(99 if one == numbers[0] else one for one in code.co_consts)
            changed = types.FunctionType(code.replace(co_consts=consts), {})
            assert not is_copied(COURSE[id], changed)
    assert seen >= 3


# ---- what is remarked


@pytest.fixture
def watched(monkeypatch):
    "What is said, and the watcher of events, which can't be taken down again."
    said, hooks = [], []
    monkeypatch.setattr(sys, "addaudithook", hooks.append)
    monkeypatch.setattr(linecache, "getlines", linecache.getlines)
    monkeypatch.setattr(Exercise, "__getattribute__", Exercise.__getattribute__)
    copied.watch(said.append)
    (hook,) = hooks
    return said, hook


def run_as(file: str, source: str, **names: object) -> dict:
    exec(compile(source, file, "exec"), names)
    return names


CELL = "/tmp/ipykernel_7/1234567.py"
LIBRARY = os.path.join(sysconfig.get_paths()["stdlib"], "pathlib.py")
THEIR_FILE = "/x/mnist_course/checks/shapes.py"
EVENTS = [  # what a cell does, and what is said
    ("item.solution", "it reads the answers of 03.flat_features in the course"),
    ("item.ways()", "it reads the answers of 03.flat_features in the course"),
    ("item.title, item.id, item.lesson", None),
    (f"lines.getlines({THEIR_FILE!r})", "it reads the source of the course's checks"),
    ("lines.getlines('/x/mine.py')", None),
    (f"hook('open', ({THEIR_FILE!r}, 'r', 0))", "it opens a file of the course's checks"),
    ("hook('open', ('C:\\\\a\\\\answers\\\\03_shapes.ipynb', 'r', 0))", "it opens a file of the"),
    ("hook('open', ('/x/notes.txt', 'r', 0))", None),
    (
        "hook('subprocess.Popen', ('python', ['-c', 'import mnist_course.checks'], None, None))",
        "it runs a program that reads the course's checks",
    ),
    ("hook('os.system', (b'cat mnist_course/checks/x.py',))", "it runs a program that reads"),
    ("hook('os.system', (b'ls',))", None),
    ("hook('gc.get_objects', (-1,))", "it looks through all objects of the process"),
    ("hook('gc.get_referrers', ([],))", "it looks through all objects of the process"),
    ("hook('gc.collect', ())", None),
    (
        "hook('object.__getattr__', (answer, '__code__'))",
        "it looks into the answer of 03.flat_features",
    ),
    ("hook('object.__getattr__', (len, '__code__'))", None),
]


@pytest.mark.parametrize(("source", "words"), EVENTS)
def test_a_cell_is_remarked_once_and_the_course_itself_is_not(watched, source, words):
    said, hook = watched
    names = {"hook": hook, "lines": linecache, "item": COURSE["03.flat_features"]}
    names |= {"answer": SOLUTIONS["03.flat_features"]}
    packages = "/venv/lib/site-packages/theirs.py", "/usr/lib/python3/dist-packages/theirs.py"
    for file in (os.path.join(os.path.dirname(copied._PACKAGE), "mnist_course", "x.py"), *packages):
        run_as(file, source, **names)
    assert said == []
    run_as(CELL, source, **names)
    run_as(CELL, source, **names)
    assert len(said) == (words is not None) and (not said or said[0].startswith(words))


@pytest.mark.parametrize("between", [LIBRARY, "<string>", "<frozen os>", "/x/IPython/core/open.py"])
def test_what_a_cell_lets_pythons_library_do_is_its_own_doing(watched, between):
    said, hook = watched
    act = run_as(between, "def act(): hook('gc.get_objects', ())", hook=hook)["act"]
    run_as(os.path.join(copied._PACKAGE, "x.py"), "act()", act=act)
    assert said == []
    run_as(CELL, "act()", act=act)
    assert said == ["it looks through all objects of the process"]


OPENING = "import mnist_course, sys\nfrom mnist_course.checks import check\n"
ROOM = "mnist_course" + ".che"  # the words of a cell say nothing
WAYS = {
    "imported": ("from mnist_course.checks.shapes import flat_features", "own solution"),
    "by_import_module": (
        f"import importlib\nroom = importlib.import_module('{ROOM}' + 'cks.sha' + 'pes')\n"
        "flat_features = getattr(room, 'flat_fea' + 'tures')",
        "own solution",
    ),
    "wrapped": (
        f"made = getattr(sys.modules['{ROOM}' + 'cks.sha' + 'pes'], 'flat_fea' + 'tures')\n"
        "def flat_features(size, channels, kernels):\n    return made(size, channels, kernels)",
        "own solution",
    ),
    "source_read": (
        "import inspect\n"
        f"made = getattr(sys.modules['{ROOM}' + 'cks.sha' + 'pes'], 'flat_fea' + 'tures')\n"
        "text = inspect.getsource(made)\ntext = text[text.index('def '):]\nexec(text)",
        "reads the source",
    ),
    "file_opened": (
        "folder = mnist_course.__path__[0] + '/che' + 'cks/sha' + 'pes.py'\n"
        "text = open(folder).read()\ntext = 'def ' + text.split('def flat_features')[1]\n"
        "text = 'def flat_features' + text[4:].split('\\n\\n')[0]\nexec(text)",
        "opens a file",
    ),
    "path_read": (
        "from pathlib import Path\n"
        "folder = Path(mnist_course.__file__).parent / ('che' + 'cks') / 'shapes.py'\n"
        "text = folder.read_text()\n" + HONEST["03.flat_features"],
        "opens a file",
    ),
    "program": (
        "import subprocess\n"
        "folder = mnist_course.__path__[0] + '/che' + 'cks/sha' + 'pes.py'\n"
        "text = subprocess.run(['cat', folder], capture_output=True)\n"
        + HONEST["03.flat_features"],
        "runs a program",
    ),
    "code_object": (
        "import types\n"
        f"made = getattr(sys.modules['{ROOM}' + 'cks.sha' + 'pes'], 'flat_fea' + 'tures')\n"
        "code = made.__code__.replace(co_name='mine')\n"
        "flat_features = types.FunctionType(code, {'range': range})",
        "looks into the answer of 03.flat_features",
    ),
    "all_objects": (
        "import gc\nfound = [one for one in gc.get_objects() if callable(one)][:1]\n"
        + HONEST["03.flat_features"],
        "looks through all objects",
    ),
    "value_read": (
        "known = check.__globals__['COU' + 'RSE']\n"
        "team_params = getattr(known['03.team_params'], 'solu' + 'tion')",
        "reads the answers of 03.team_params",
    ),
    "value_by_vars": (
        "from mnist_course import checks\n"
        "team_params = [vars(one)['solu' + 'tion'] for one in checks.exercises()"
        " if one.id == '03.team_params'][0]",
        "reads the answers of 03.team_params",
    ),
    "papers_drawn": (
        "from mnist_course.teaching import papers\nteam_params = 51_328",
        "reaches for the solutions",
    ),
    "key_printed": (
        "from mnist_course.teaching.worksheet import write_sheet\nteam_params = 51_328",
        "reaches for the solutions",
    ),
}


@pytest.mark.drawn(3, of="classes")
@pytest.mark.slow
def test_each_way_to_a_solution_is_remarked_and_honest_work_is_not(tmp_path, share):
    "Five ways, each commit others; with --whole all."
    ways = dict(share(WAYS.items(), 5))

    def hand_in(name, *cells):
        folder = tmp_path / "class" / name
        folder.mkdir(parents=True)
        made = [{"cell_type": "code", "source": c, "metadata": {}, "outputs": []} for c in cells]
        text = json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        (folder / "03_shapes.ipynb").write_text(text)

    for name, (code, _) in ways.items():
        what = "team_params" if "team_params" in code else "flat_features"
        hand_in(name, OPENING, f'{code}\ncheck("03.{what}", {what})')
    checked = [f'{code}\n\n\ncheck("{id}", {id[3:]})' for id, code in HONEST.items()]
    more = [
        "import dataclasses, inspect, torch\nfrom mnist_course.model import Net\n"
        "print(inspect.getsource(Net)[:80], len(torch.__file__))",
        "from mnist_course.checks import progress\nprogress()",
        'check("03.flat_features", lambda *a: 1 / 0)\ncheck("03.nothing", 3)',
        "%matplotlib inline\nimport subprocess\nsubprocess.run(['true'])",
    ]
    hand_in("honest", OPENING, *checked, *more)
    hand_in(
        "slips",
        OPENING,
        "def flat_features(s, c, k):\n    return s / 0\n" + checked[1].split("\n\n\n")[1],
    )
    grades = grade_folder(tmp_path / "class", 1, Limits(seconds=30), say=lambda line: None)
    said = {grade.learner: " | ".join(grade.remarks) for grade in grades}
    for name, (_, words) in ways.items():
        assert words in said[name], (name, said[name])
    by_name = {grade.learner: grade for grade in grades}
    assert by_name["honest"].passed == 4
    for name in ("honest", "slips"):
        rest = [one for one in by_name[name].remarks if "no cell answers" not in one]
        assert not rest, rest
