"""What is imported is declared, in the room where it is needed: the bare library is small, and the lessons' tools come with extras."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mnist_course"

config = ConfigParser(delimiters=["="])
config.read(ROOT / "settings.ini", encoding="utf-8")
SETTINGS = config["DEFAULT"]


def canonical(name: str) -> str:
    "A distribution's name as indexes compare it."
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*keys: str) -> set[str]:
    return {
        canonical(re.match(r"[\w.-]+", word)[0]) for key in keys for word in SETTINGS[key].split()
    }


BASE = declared("requirements")
ONNX = BASE | declared("onnx_requirements")
CLUSTER = BASE | declared("cluster_requirements")
COURSE = ONNX | declared("course_requirements")
DEV = COURSE | CLUSTER | declared("dev_requirements", "docs_requirements")
FUZZ = declared("fuzz_requirements")  # not for every developer: no wheels for every system

# Rooms and modules that need more than the bare library.
NEEDS = {
    "engine/export.py": ONNX,
    "record.py": CLUSTER,
    "widgets": COURSE,
    "teaching": COURSE,
    "making": DEV,
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_modidx.py")
NOTEBOOKS = sorted(
    path for path in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def room(path: Path) -> str:
    "The key of NEEDS that a module comes under; its first folder or file where it has none."
    name = path.relative_to(PACKAGE).as_posix()
    return name if name in NEEDS else name.split("/")[0].removesuffix(".py")


def imports(code: str) -> set[str]:
    "The distributions, Python and the course left out, that some code imports, in functions too."
    code = "\n".join(
        "pass" if line.lstrip().startswith(("%", "!")) else line for line in code.splitlines()
    )
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    tops = (
        {name.partition(".")[0] for name in names}
        - sys.stdlib_module_names
        - {"mnist_course", "google"}
    )  # google.colab
    return {canonical(DISTRIBUTIONS.get(top, [top])[0]) for top in tops}


def with_what_they_need(names: set[str]) -> set[str]:
    "Distributions, and all that is installed with them here."
    found, more = set(), set(names)
    while more := more - found:
        found |= more
        needs = [
            Requirement(line) for name in more for line in importlib.metadata.requires(name) or []
        ]
        more = {
            canonical(need.name)
            for need in needs
            if need.marker is None or need.marker.evaluate({"extra": ""})
        }
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_what_its_room_declares(path):
    assert imports(path.read_text("utf-8")) - NEEDS.get(room(path), BASE) == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_what_is_declared(path):
    lesson = path.parent.name not in ("instructors", "workshop")  # what a learner's folder holds
    cells = [
        "".join(cell["source"])
        for cell in json.loads(path.read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    wanted = set().union(*map(imports, cells))
    assert wanted - (COURSE if lesson else DEV) == set()


def test_tests_import_what_is_declared():
    ours = {path.stem for place in ("tests", "tools") for path in (ROOT / place).glob("*.py")}
    ours |= {"tests", "slow_to_load"}  # the second: made by a test
    for path in (ROOT / "tests").rglob("*.py"):
        code = path.read_text("utf-8")
        code = re.sub(rf"^( *)(from|import) ({'|'.join(ours)})\b.*$", r"\1pass", code, flags=re.M)
        assert imports(code) - DEV - FUZZ == set(), path.name


def test_the_bare_library_needs_all_that_it_declares():
    assert BASE - set().union(*(imports(path.read_text("utf-8")) for path in MODULES)) == set()


def test_no_requirement_is_declared_twice():
    assert declared("course_requirements") & BASE == set()
    assert declared("dev_requirements") & COURSE == set()


@pytest.mark.slow
def test_the_bare_library_works_without_the_extras(tmp_path):
    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in MODULES
        if room(path) not in NEEDS
    ]
    extras = DEV - with_what_they_need(BASE)
    absent = sorted(top for top, names in DISTRIBUTIONS.items() if canonical(names[0]) in extras)
    assert {"jupyterlab", "anywidget", "torchvision", "IPython"} <= set(absent)
    code = f"""
import importlib, sys

for name in {absent!r}:
    sys.modules[name] = None  # as if it were not installed
for name in {[name.removesuffix(".__init__") for name in modules if not name.endswith("__main__")]!r}:
    importlib.import_module(name)

from mnist_course.arithmetic import ledger
from mnist_course.data import load_mnist
from mnist_course.model import load_pretrained
from mnist_course.predict import predict
from mnist_course.training import fit

digits = load_mnist(source="sample")[1]
model = load_pretrained()
try:
    import mnist_course.widgets.pad
except ImportError as error:
    assert str(error).endswith('pip install "mnist_course[course]"'), error
from mnist_course.cli import main
assert main(["start"]) == 1
print(ledger(model)[-1].name, predict(model, digits.images[0]).label, callable(fit))
"""
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert told.stdout == "fc2 7 True\n", told.stderr
