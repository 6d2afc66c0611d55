"""Mutation testing: change a module in one small place, run its room's tests, and see whether one fails.

    python tools/mutants.py data engine.data     60 mutants each, the same ones every time
    python tools/mutants.py checks               every module of a package

Why our own: mutmut puts each function's mutants behind a function of another signature, and leaves out what is decorated and
what stands outside of functions, which is what a check's lesson is made of. Cosmic-ray starts Python, and so PyTorch, anew for every mutant,
changes the working copy itself, and stops by the clock on the wall. Here a copy of the repository is changed, a process that has
loaded PyTorch is forked, and the tests that reach the changed line run first. The changes are those that the checks are tried with.
"""

import argparse
import ast
import compileall
import contextlib
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXCUSES = ROOT / "tools" / "mutants.toml"
STRICT = {"engine", "checks"}  # and the lessons and what they share: 90 %; elsewhere 80 %
NEIGHBORS = {  # tests that have another name than their module
    "checks": "checks*",
    "teaching.grading": "grading gradebook submissions",
    "teaching.folder": "folder old_files",
    "making.site": "site documents mathml",
}
STANDSTILL = 120  # seconds without any computing: what waits for ever is ended


@dataclass(frozen=True)
class Mutant:
    "A module with one change."

    change: str  # such as "a < b -> a <= b in: if a < b:"
    lines: tuple[int, int]  # where
    source: str  # of the whole module


@dataclass
class Room:
    "What a module's tests reach, and how long each takes."

    tests: dict[str, float] = field(default_factory=dict)  # node id -> CPU seconds
    reach: dict[int, set[str]] = field(default_factory=dict)  # line -> node ids


def path_of(module: str) -> Path:
    "A module's file, under any root: engine.data is mnist_course/engine/data.py."
    place = Path("mnist_course", *module.split("."))
    return place / "__init__.py" if (ROOT / place).is_dir() else place.with_suffix(".py")


def modules_of(name: str) -> list[str]:
    "A module itself, or the modules of a package."
    place = ROOT / "mnist_course" / name.replace(".", "/")
    if not place.is_dir():
        return [name]
    return [f"{name}.{path.stem}" for path in sorted(place.glob("*.py")) if path.stem[0] != "_"]


def tests_of(module: str) -> list[str]:
    "The test files of a module's room, and for a lesson's checks which of their tests."
    package, _, name = module.rpartition(".")
    words = NEIGHBORS.get(module) or NEIGHBORS.get(package) or f"{name} engine_{name}"
    found = {path for word in words.split() for path in (ROOT / "tests").glob(f"test_{word}.py")}
    if package == "checks" and name not in ("compare", "engine", "lanes", "sandbox", "snapshot"):
        found -= {ROOT / "tests" / "test_checks_engine.py"}
    return sorted(str(path.relative_to(ROOT)) for path in found)


def selection(module: str) -> list[str]:
    "For a lesson's checks: the tests that have one of its exercises in their name."
    made_from = (ROOT / path_of(module)).read_text("utf-8").partition("nbs/answers/")[2]
    return ["-k", f"{made_from[:2]}."] if made_from else []


# ---- the changes


def _unchanged(node: ast.AST) -> bool:
    "True for what is no code to be tested: lists of names, mistakes made on purpose, types."
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        said = " ".join(ast.unparse(one).partition("(")[0] for one in node.decorator_list)
        return any(word in said for word in ("mistake", "variant", "overload"))
    if isinstance(node, ast.Assign):
        return getattr(node.targets[0], "id", "") in ("__all__", "_all_")
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
    return isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom)


def _places(node: ast.AST, statement: ast.stmt | None = None) -> Iterator[tuple]:
    "Every statement and expression that may be changed, with the statement that it belongs to."
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST) and not _unchanged(part):
                inside = part if isinstance(part, ast.stmt) else statement
                if isinstance(part, ast.stmt | ast.expr):
                    yield part, inside
                yield from _places(part, inside)


def mutants(source: str) -> list[Mutant]:
    "Every module that differs from this one by one small change, in the order of their places."
    from mnist_course.checks.lanes import _others

    lines = source.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:n])) for n in range(len(lines))]
    found, names = [], Counter()
    for part, statement in _places(ast.parse(source)):
        start = starts[part.lineno - 1] + part.col_offset
        end = starts[part.end_lineno - 1] + part.end_col_offset
        old = " ".join(ast.unparse(part).split())
        for new in _others(part):
            body = new if isinstance(new, list) else [new]
            text = "\n".join(ast.unparse(ast.fix_missing_locations(one)) for one in body)
            if " ".join(text.split()) == old:
                continue
            if isinstance(part, ast.stmt):
                text = text.replace("\n", "\n" + " " * part.col_offset)
            else:
                text = f"({text})"
            changed = (source.encode()[:start] + text.encode() + source.encode()[end:]).decode()
            try:
                compile(changed, "mutant", "exec")
            except SyntaxError:
                continue
            first = ast.unparse(statement).splitlines()[0]
            change = f"{old[:90]} -> {' '.join(text.split())[:90]} in: {first[:90]}"
            names[change] += 1
            if names[change] > 1:
                change += f" ({names[change]})"
            found.append(Mutant(change, (part.lineno, part.end_lineno), changed))
    return found


def sample(module: str, number: int, seed: int) -> list[Mutant]:
    "So many mutants of a module, drawn with a seed; all where there are no more."
    everyone = mutants((ROOT / path_of(module)).read_text("utf-8"))
    return random.Random(f"{seed} {module}").sample(everyone, min(number, len(everyone)))


def excuses() -> dict[str, dict[str, str]]:
    "Module -> change -> why no test can tell it from the module itself, or none needs to."
    found: dict[str, dict[str, str]] = {}
    for entry in tomllib.loads(EXCUSES.read_text("utf-8")).get("excused", []):
        found.setdefault(entry["module"], {})[entry["change"]] = entry["reason"]
    return found


# ---- running the tests, in a fork


def copy_of_the_repository(target: Path) -> Path:
    "What git knows of, where it may be changed."
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(lambda name: (ROOT / name).is_file(), listed.splitlines()):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    compileall.compile_dir(target / "mnist_course", quiet=2)
    return target


def prepare() -> None:
    "Load what every test needs, once. Nothing of ours: that is read anew in every fork."
    for name in ("torch", "torchvision", "matplotlib.pyplot", "IPython", "hypothesis", "pytest"):
        importlib.import_module(name)
    assert "mnist_course" not in sys.modules


def in_a_fork(folder: Path, job, cpu: float) -> int:
    """Call a function in a forked process, in a folder that comes first on Python's path. Its exit
    status; negative where it was ended, for having computed for too long or standing still."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 5))
            os.chdir(folder)
            sys.path[:0] = [str(folder)]
            os.environ["PYTHONPATH"] = str(folder)
            silent = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(silent, number)
            code = int(job())
        finally:
            os._exit(code)
    import psutil

    last, since = -1.0, time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
        if time.monotonic() - since > STANDSTILL:
            computed = 0.0
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(child)
                for one in [process, *process.children(recursive=True)]:
                    computed += sum(one.cpu_times()[:2])
            if computed - last < 0.5:
                os.killpg(child, signal.SIGKILL)
            last, since = computed, time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whatever it has left running
    return os.waitstatus_to_exitcode(status)


class _Contexts:
    "A plugin of pytest: which test is running, and how long it computes."

    def __init__(self, cover, tests: dict[str, float]) -> None:
        self.cover = cover
        self.tests = tests

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.cover.switch_context(nodeid)
        self.started = time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.tests[nodeid] = time.process_time() - self.started
        self.cover.switch_context("")


QUIET = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]


def undisturbed(folder: Path, module: str, marks: list[str]) -> Room:
    "Run the tests of a room as they are. Ends the program where one of them fails."
    told = folder / "reach.json"

    def job() -> int:
        import coverage
        import pytest

        tests: dict[str, float] = {}
        place = str(folder / path_of(module))
        cover = coverage.Coverage(data_file=None, include=[place], config_file=False)
        cover.start()
        words = [*QUIET, *marks, *selection(module), *tests_of(module)]
        code = pytest.main(words, plugins=[_Contexts(cover, tests)])
        cover.stop()
        reach = cover.get_data().contexts_by_lineno(place)
        told.write_text(json.dumps([int(code), tests, reach]), "utf-8")
        return 0

    in_a_fork(folder, job, 3600)
    code, tests, reach = json.loads(told.read_text("utf-8"))
    if code != 0:
        sys.exit(f"{module}: the tests of {tests_of(module)} fail as they are (status {code})")
    lines = {int(line): set(filter(None, names)) for line, names in reach.items()}
    return Room(tests, lines)


def survives(folder: Path, module: str, mutant: Mutant, room: Room, marks: list[str]) -> bool:
    "True if every test of the room passes: first those that reach the line, the fastest first."
    place = folder / path_of(module)
    original = place.read_text("utf-8")
    near = set().union(
        *(room.reach.get(n, ()) for n in range(mutant.lines[0], mutant.lines[1] + 1))
    )
    near = sorted(near, key=room.tests.get)
    rest = [name for name in room.tests if name not in near]
    place.write_text(mutant.source, "utf-8")
    try:
        for names in (near, rest):
            if not names:
                continue

            def job(names=names) -> int:
                import pytest

                sys.dont_write_bytecode = True
                os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
                return int(pytest.main([*QUIET, *marks, *names]))

            cpu = 30 + 10 * sum(map(room.tests.get, names))
            if in_a_fork(folder, job, cpu) != 0:
                return False
        return True
    finally:
        place.write_text(original, "utf-8")


def run(module: str, drawn: list[Mutant], marks: list[str], folder: Path) -> tuple[int, int, int]:
    "Try a module's mutants: how many were killed, are excused, and survived. Each survivor is printed."
    for cached in folder.rglob(f"mnist_course/**/{path_of(module).stem}.*.pyc"):
        cached.unlink()  # its time and size may be a mutant's too
    room = undisturbed(folder, module, marks)
    for cached in folder.rglob(f"mnist_course/**/{path_of(module).stem}.*.pyc"):
        cached.unlink()
    mine = excuses().get(module, {})
    killed = excused = survived = 0
    for mutant in drawn:
        if not survives(folder, module, mutant, room, marks):
            killed += 1
        elif mutant.change in mine:
            excused += 1
        else:
            survived += 1
            print(f"  {module}, line {mutant.lines[0]}: {mutant.change}", flush=True)
    return killed, excused, survived


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="+", help="modules or packages, such as data or checks")
    parser.add_argument("--number", type=int, default=60, help="mutants of each module (60)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (0)")
    parser.add_argument("--fast", action="store_true", help="without the tests marked slow")
    asked = parser.parse_args()
    os.environ |= {"MNIST_COURSE_DATA": "sample", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    os.environ |= {"MNIST_COURSE_PROGRESS": "off"}
    marks = ["-m", "not slow"] if asked.fast else []
    modules = [one for name in asked.rooms for one in modules_of(name)]
    # in a process of its own: this one is forked, and must not have loaded mnist_course
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        drawn = {one: apart.submit(sample, one, asked.number, asked.seed) for one in modules}
        drawn = {one: waiting.result() for one, waiting in drawn.items()}
    prepare()
    weak = []
    print("module                    mutants  killed  excused  survived   score", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = copy_of_the_repository(Path(place).resolve())
        for module in modules:
            killed, excused, survived = run(module, drawn[module], marks, folder)
            number = killed + excused + survived
            score = killed / (number - excused) if number > excused else 1.0
            numbers = f"{number:9}{killed:8}{excused:9}{survived:10}{100 * score:7.0f} %"
            print(f"{module:24}{numbers}", flush=True)
            strict = module.partition(".")[0] in STRICT or "." not in module
            if score < (0.9 if strict else 0.8):
                weak.append(module)
    print(f"too few are killed: {', '.join(weak)}" if weak else "enough are killed everywhere")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
