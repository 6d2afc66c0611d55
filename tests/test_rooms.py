"The house: which room may import from which, what a room shows of itself, and that one name means one thing."

import ast
import json
import re
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mnist_course"

LESSONS = [
    "environment",
    "data",
    "convolution",
    "arithmetic",
    "model",
    "loss",
    "backprop",
    "optim",
    "training",
    "plotting",
    "interpret",
    "predict",
    "diagnose",
    "zoo",
    "fast",
    "export",
]
# module -> the lesson it goes with
BONUS = {
    "engine.foreign": "predict",
    "engine.many": "fast",
    "engine.sprint": "fast",
    "distributed": "fast",
    "record": "fast",
}
PACKAGES = ("checks", "widgets", "teaching", "making")  # after the lessons, in this order


def rank(module: str) -> float:
    "How far to the right a room is: a module imports from rooms with a smaller number only."
    if module == "base":
        return 0
    if module in ("figure", "progress"):
        return 1
    if module in BONUS:
        return 10 + 2 * LESSONS.index(BONUS[module]) + (-0.5 if module == "engine.foreign" else 1.5)
    first, _, rest = module.partition(".")
    if first == "engine":
        return 10 + 2 * LESSONS.index(rest)
    if first in LESSONS:
        return 11 + 2 * LESSONS.index(first)
    if first in PACKAGES:
        return 100 + PACKAGES.index(first)
    if module in ("cli", "__main__"):
        return 200 + (module == "__main__")
    raise ValueError(f"{module} is in no room: add it to the house's plan, or move it")


def wrong_arrows(graph: grimp.ImportGraph) -> list[str]:
    "Imports that go from a room to one on its right, lazy ones too, each with its line."
    found = []
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            here, there = (name.removeprefix("mnist_course.") for name in (importer, imported))
            if here in FACES or there in FACES or there == "_modidx":
                continue
            inside = here.split(".")[0] == there.split(".")[0] in PACKAGES
            if not inside and rank(there) >= rank(here):
                details = graph.get_import_details(importer=importer, imported=imported)
                found += [
                    f"{here} line {one['line_number']}: {one['line_contents']}" for one in details
                ]
    return sorted(found)


FACES = {"mnist_course", "engine", "_modidx"}  # empty __init__ files, and nbdev's index


@cache
def the_graph() -> grimp.ImportGraph:
    return grimp.build_graph("mnist_course", cache_dir=None)


@cache
def circles(graph: grimp.ImportGraph) -> list[str]:
    "Modules that import each other, over however many steps."
    found = []
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            if graph.chain_exists(importer=other, imported=module):
                found.append(f"{module} <-> {other}")
    return sorted(found)


def test_every_module_is_in_a_room():
    for module in the_graph().modules:
        name = module.removeprefix("mnist_course.")
        if name not in FACES:
            rank(name)


def test_a_room_imports_only_from_rooms_to_its_left():
    assert not wrong_arrows(the_graph())


def test_nothing_goes_round_in_a_circle():
    assert not circles(the_graph())


def test_one_arrow_that_is_turned_round_is_found():
    "Also a lazy one, deep inside a function: grimp reads the source, not what happened to be imported."
    graph = grimp.build_graph("mnist_course", cache_dir=None)
    graph.add_import(
        importer="mnist_course.base",
        imported="mnist_course.training",
        line_number=7,
        line_contents="from .training import fit",
    )
    assert wrong_arrows(graph) == ["base line 7: from .training import fit"]
    assert "mnist_course.base <-> mnist_course.training" in circles(graph)


def notebook_imports(path: Path) -> set[str]:
    "The modules of the course that a notebook's cells import."
    found = set()
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
                    module = node.module.removeprefix(PREFIX)
                    inside = [f"{module}.{name.name}" for name in node.names]
                    found |= set(inside) if module == "engine" else {module}
                if isinstance(node, ast.Import):
                    found |= {name.name for name in node.names if name.name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX) for name in found}


PREFIX = "mnist_course."


@pytest.mark.parametrize("lesson", LESSONS[1:])  # the first one shows what all the others make
def test_a_lesson_uses_what_came_before_and_checks_and_widgets(lesson):
    used = notebook_imports(notebook_of(PACKAGE / f"{lesson}.py"))
    met = notebook_imports(notebook_of(PACKAGE / f"{LESSONS[0]}.py"))  # the finished network
    later = {name for name in used - met if rank(name) > rank(lesson)}
    assert not {name for name in later if name.split(".")[0] not in ("checks", "widgets")}


def notebook_of(module: Path) -> Path:
    "The notebook that a module is exported from."
    named = re.search(r"File to edit: (\S+\.ipynb)", module.read_text("utf-8"))[1]
    return (module.parent / named).resolve()


# ---- no import by a name in a string

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_modidx.py")
NAME = re.compile(r"^\s*(from|import) +mnist_course|^mnist_course(\.[a-z_]\w*)+(:\w+)?$", re.M)


def string_imports(source: str) -> list[str]:
    "Strings that name a module of ours so that something imports it, and calls of import_module with one."
    tree = ast.parse(source)
    quiet = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }  # docstrings
    for node in ast.walk(tree):  # `python -m mnist_course.x`: a process, not an import
        if isinstance(node, ast.List | ast.Tuple):
            for flag, module in zip(node.elts, node.elts[1:], strict=False):
                if isinstance(flag, ast.Constant) and flag.value == "-m":
                    quiet.add(module)
    found = []
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and node not in quiet else ""
        if isinstance(text, str) and NAME.search(text):
            found.append(f"line {node.lineno}: {text[:80]!r}")
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__", "iter_modules", "run_module"):
                found.append(f"line {node.lineno}: {name}(...)")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_is_imported_by_its_name_in_a_string(path):
    if path.parts[-3:-1] == ("making", "site"):
        return  # the API pages describe whatever modules there are
    assert not string_imports(path.read_text("utf-8"))


def test_string_imports_are_found():
    assert string_imports("import_module('json')\nx = 'mnist_course.fast:recipe'")
    assert string_imports(
        "def f():\n    'says something'\n    exec('from mnist_course.data import x')"
    )
    assert not string_imports(
        "def f():\n    'See mnist_course.data'\n    run(['python', '-m', 'mnist_course.cli'])"
    )


# ---- small faces


def face(path: Path) -> list[str]:
    "The names in a module's __all__."
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def defined(path: Path) -> set[str]:
    "The names that a module itself defines at its top level."
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.Assign):
            names |= {
                one.id
                for target in node.targets
                for one in ast.walk(target)
                if isinstance(one, ast.Name)
            }
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def words_of(tree: ast.AST) -> set[str]:
    "Every name that some code says: variables, attributes, imports."
    said = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            said.add(node.id)
        elif isinstance(node, ast.Attribute):
            said.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            said |= {alias.name for alias in node.names}
    return said


@cache
def said_by_modules() -> dict[Path, set[str]]:
    return {path: words_of(ast.parse(path.read_text("utf-8"))) for path in MODULES}


@cache
def said_by_pages() -> set[str]:
    "Names in cells that export nothing, in code within prose, and in the documents."
    said: set[str] = set()
    texts = [
        path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "nbs").glob("*.qmd")]
    ]
    for path in (ROOT / "nbs").rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts:
            continue
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                texts.append(source)
            elif not re.search(r"^#\| *export", source, re.M):
                said |= set(re.findall(r"[A-Za-z_]\w*", source))
    for text in texts:
        for code in re.findall(r"```.*?```|`[^`\n]+`", text, re.S):
            said |= set(re.findall(r"[A-Za-z_]\w*", code))
    return said


def shown_by_its_own_face(path: Path, names: list[str]) -> set[str]:
    "Classes that a public function or class of the same module gives back, takes or derives from, and errors."
    shown = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            parts = (
                [node.returns, *(arg.annotation for arg in node.args.args)]
                if isinstance(node, ast.FunctionDef)
                else node.bases
            )
            for inner in ast.walk(node) if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef):
                    parts = [*parts, inner.returns]
                if isinstance(inner, ast.AnnAssign):
                    parts = [*parts, inner.annotation]
            for part in filter(None, parts):
                shown |= {one.id for one in ast.walk(part) if isinstance(one, ast.Name)}
                shown |= {
                    word
                    for one in ast.walk(part)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                    for word in re.findall(r"\w+", one.value)
                }
    return shown | {name for name in names if name.endswith("Error")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_all_holds_what_others_call(path):
    names = face(path)
    others = set().union(*(said for other, said in said_by_modules().items() if other != path))
    unused = set(names) - others - said_by_pages() - shown_by_its_own_face(path, names)
    assert not unused, (
        "nobody outside calls these: begin their names with _, or show them where a user reads"
    )


def test_one_name_means_one_thing():
    places: dict[str, set[str]] = {}
    for path in MODULES:
        for name in set(face(path)) & defined(path):
            places.setdefault(name, set()).add(str(path.relative_to(PACKAGE)))
    assert not {
        name: sorted(found) for name, found in places.items() if len(found) > 1 and name != "main"
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_is_small_and_folds_nothing_that_it_exports(lesson):
    "A module of about 120 lines, and each of them before the reader's eyes."
    source = (PACKAGE / f"{lesson}.py").read_text("utf-8")
    folded = []
    for cell in json.loads(notebook_of(PACKAGE / f"{lesson}.py").read_text("utf-8"))["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.search(r"^#\| *export", code, re.M):
            only_imports = all(
                isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)
                for node in ast.parse(code).body
            )
            # what a learner was just asked to write is folded, so that it isn't read first
            written = "# One way to write it" in code
            hidden = cell["metadata"].get("jupyter", {}).get("source_hidden")
            if hidden and not only_imports and not written:
                folded.append(code.splitlines()[:3])
    assert not folded
    assert _lines_of_substance(source) <= 125


def _lines_of_substance(source: str) -> int:
    "Lines of a module without blank ones, comments of the export, imports, and lists of names."
    left_out = set()
    for node in ast.parse(source).body:
        target = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else ""
        if isinstance(node, ast.AugAssign):
            target = getattr(node.target, "id", "")
        if isinstance(node, ast.Import | ast.ImportFrom) or target in ("__all__", "_all_"):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.startswith("# ") and i not in left_out
        for i, line in enumerate(source.splitlines(), 1)
    )
