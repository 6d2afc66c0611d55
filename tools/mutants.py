"""Mutation testing: change a module in one small place, run its room's tests, and see whether one fails.

    python tools/mutants.py data engine.data     60 mutants each, the same ones every time
    python tools/mutants.py checks               every module of a package

Why our own: mutmut puts each function's mutants behind a function of another signature, and leaves out what is decorated and
what stands outside of functions, which is what a check's lesson is made of. Cosmic-ray starts Python, and so PyTorch, anew for every mutant,
changes the working copy itself, and stops by the clock on the wall. Here a copy of the repository is changed. What stands in a
function is changed in a fork of a process that has collected the tests already: the function gets its new code, and only tests that
reach the changed line run, the fastest first. What runs at import is changed in the file, and a fork that has loaded PyTorch
collects anew. The changes are those that the checks are tried with.
"""

import argparse
import ast
import compileall
import contextlib
import gc
import importlib
import inspect
import itertools
import json
import linecache
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType

ROOT = Path(__file__).resolve().parent.parent
EXCUSES = ROOT / "tools" / "mutants.toml"
STRICT = {"engine", "checks"}  # and the lessons and what they share: 90 %; elsewhere 80 %
NEIGHBORS = {  # tests that have another name than their module
    "base": "base data engine_data engine_environment progress",
    "checks": "checks*",
    "cli": "cli checks_own export progress",
    "distributed": "distributed team",
    "engine.diagnose": "diagnose diagnose_parts engine_diagnose",
    "teaching.grading": "grading gradebook submissions grading_parts",
    "teaching.grading.submissions": "submissions",
    "teaching.grading.gradebook": "gradebook",
    "teaching.grading.classroom": "classroom",
    "teaching.grading.feedback": "feedback",
    "teaching.grading.exam": "grading grading_parts",
    "teaching.grading.read": "grading grading_parts translation",
    "teaching.grading.limits": "grading grading_parts",
    "teaching.grading.room": "grading_room grading grading_parts",
    "teaching.grading.run": "grading grading_parts",
    "teaching.grading.worker": "grading grading_parts",
    "teaching.grading.words": "gradebook",
    "teaching.grading.copied": "copied",
    "making.outputs": "making outputs",
    "making.repository": "repository_fork",
    "making.server": "server printed",
    "making.site.search": "site_parts",
    "making.site.frontier": "record",
    "making.site.live": "site_live",
    "teaching.folder": "folder old_files",
    "making.site": "site site_parts",
}
STANDSTILL = 120  # seconds without any computing: what waits for ever is ended


@dataclass(frozen=True)
class Mutant:
    "A module with one change."

    change: str  # such as "a < b -> a <= b in: if a < b:"
    lines: tuple[int, int]  # where its statement stands
    original: bytes  # of the whole module
    place: tuple[int, int]  # what is changed in it: the first byte, and the one after the last
    text: str  # what stands there now
    in_a_function: bool  # and not in what runs at import
    draws: bool  # in a function that draws inputs from a generator `rng`

    @property
    def source(self) -> str:
        "The changed module."
        start, end = self.place
        return (self.original[:start] + self.text.encode() + self.original[end:]).decode()


@dataclass
class Room:
    "What a module's tests reach, and how long each takes."

    tests: dict[str, float] = field(default_factory=dict)  # node id -> CPU seconds
    reach: dict[int, set[str]] = field(default_factory=dict)  # line -> node ids
    at_import: set[int] = field(default_factory=set)  # lines that run before any test does
    wide: set[str] = field(default_factory=set)  # node ids that start processes: they reach all
    broken: list[str] = field(default_factory=list)  # node ids that fail without any change


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

# calls of what ends all processes of a user, or makes somebody else the owner of files
_RISKY = {"end_all", "end_stranger", "make_stranger"}


def _unchanged(node: ast.AST) -> bool:
    "True for what is no code to be tested: lists of names, mistakes made on purpose, types."
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        said = " ".join(ast.unparse(one).partition("(")[0] for one in node.decorator_list)
        if re.search(r"kill\(-1|\bchown\(|\bsetuid\(", ast.unparse(node)):
            # a change could end the whole machine, or own it
            return isinstance(node, ast.FunctionDef)
        return any(word in said for word in ("mistake", "variant", "overload"))
    if isinstance(node, ast.Assign):
        return getattr(node.targets[0], "id", "") in ("__all__", "_all_")
    if isinstance(node, ast.If | ast.Expr) and _RISKY & {
        getattr(call.func, "id", "") for call in ast.walk(node) if isinstance(call, ast.Call)
    }:
        return True
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

    tree, original = ast.parse(source), source.encode()
    functions = [
        (node.body[0].lineno, node.end_lineno, "rng" in [one.arg for one in node.args.args])
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = original.splitlines(keepends=True)
    starts = [sum(map(len, lines[:n])) for n in range(len(lines))]
    found, names = [], Counter()
    for part, statement in _places(tree):
        place = (
            starts[part.lineno - 1] + part.col_offset,
            starts[part.end_lineno - 1] + part.end_col_offset,
        )
        last = part.end_lineno if hasattr(statement, "body") else statement.end_lineno
        around = [rng for a, b, rng in functions if a <= part.lineno and part.end_lineno <= b]
        old = " ".join(ast.unparse(part).split())
        first = ast.unparse(statement).splitlines()[0]
        for new in _others(part):
            body = new if isinstance(new, list) else [new]
            text = "\n".join(ast.unparse(ast.fix_missing_locations(one)) for one in body)
            if " ".join(text.split()) == old:
                continue
            if isinstance(part, ast.stmt):
                text = text.replace("\n", "\n" + " " * part.col_offset)
            else:
                text = f"({text})"
            change = f"{old[:90]} -> {' '.join(text.split())[:90]} in: {first[:90]}"
            names[change] += 1
            if names[change] > 1:
                change += f" ({names[change]})"
            where = (statement.lineno, last)
            found.append(Mutant(change, where, original, place, text, bool(around), any(around)))
    return found


def compiles(mutant: Mutant) -> bool:
    "True if a mutant is Python."
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(mutant.source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def sample(module: str, number: int, seed: int) -> list[Mutant]:
    "So many mutants of a module, drawn with a seed; all where there are no more."
    everyone = mutants((ROOT / path_of(module)).read_text("utf-8"))
    random.Random(f"{seed} {module}").shuffle(everyone)
    return list(itertools.islice(filter(compiles, everyone), number))


def read_excuses(module: str) -> tuple[set[str], bool]:
    """The changes of a module that are excused, for no test can tell them from the module itself,
    or none needs to; and whether every change is that draws inputs."""
    entries = tomllib.loads(EXCUSES.read_text("utf-8")).get("excused", [])
    changes = {one["change"] for one in entries if one.get("module") == module}
    return changes, any(module.startswith(one.get("draws", "nothing")) for one in entries)


# ---- running the tests, in a fork


def copy_of_the_repository(target: Path) -> Path:
    "What git knows of, where it may be changed."
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(lambda name: (ROOT / name).is_file(), listed.splitlines()):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    for part in ("mnist_course", "tests"):
        compileall.compile_dir(target / part, quiet=2)
    return target


def prepare() -> None:
    "Load what every test needs, once. Nothing of ours: that is read anew in every fork."
    for name in ("torch", "torchvision", "matplotlib.pyplot", "IPython", "hypothesis", "pytest"):
        importlib.import_module(name)
    assert "mnist_course" not in sys.modules
    # one example that fails is enough, however long it is
    importlib.import_module("hypothesis.internal.conjecture.engine").MAX_SHRINKS = 0


def apart(job: Callable[[], object]):
    "What a function returns in a forked process, for this one must not load mnist_course."
    reading, writing = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            writing.send(job())
        finally:
            os._exit(0)
    writing.close()
    found = reading.recv()
    os.waitpid(child, 0)
    return found


def in_a_fork(job: Callable[[], int], standstill: float = STANDSTILL) -> int:
    """Call a function in a forked process. Its exit status; negative where it was ended, for
    having computed for too long or standing still."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            code = int(job())
        finally:
            os._exit(code)
    import psutil

    last, since = -1.0, time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.02)
        if time.monotonic() - since > standstill:
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


def may_compute(seconds: float) -> None:
    "End this process when it has computed for so much longer."
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, hard))


def pytest_in(folder: Path, module: str, marks: list[str], plugin: object) -> int:
    "Run a room's tests in a folder that comes first on Python's path. Silent."
    import pytest

    os.chdir(folder)
    sys.path[:0] = [str(folder)]
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)
    words = ["-q", "--whole", "--no-header", "--tb=no", "--assert=plain"]
    words += [f"--basetemp={folder.parent}/tmp"]
    words += ["-o", "tmp_path_retention_policy=none"]
    # the last one collects garbage twice, which takes as long as most of the tests
    unused = ("cacheprovider", "xdist", "cov", "unraisableexception")
    words += [part for name in unused for part in ("-p", f"no:{name}")]
    return int(pytest.main([*words, *marks, *selection(module), *tests_of(module)], [plugin]))


def run_items(session, items: list, room: Room) -> int:
    "Run tests until one fails, computes for too long, or none is left: 0 if none has failed."
    for item, following in zip(items, [*items[1:], None], strict=False):
        may_compute(10 + 5 * room.tests.get(item.nodeid, 10.0))
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def in_order(items: list, room: Room, near: set[str]) -> list:
    "Tests that pass without any change: first those near it, the fastest first."
    found = [item for item in items if item.nodeid not in room.broken]
    return sorted(
        found, key=lambda item: (item.nodeid not in near, room.tests.get(item.nodeid, 0.0))
    )


def near(mutant: Mutant, room: Room) -> set[str]:
    "The tests that reach a mutant's statement."
    first, last = mutant.lines
    return set().union(*(room.reach.get(n, ()) for n in range(first, last + 1)))


class Anew:
    "A plugin of pytest: tests run in an order, and the first that fails ends all."

    def __init__(self, room: Room, near: set[str]) -> None:
        self.room = room
        self.near = near

    def pytest_runtestloop(self, session) -> bool:
        code = 2
        try:
            if not session.testsfailed:  # else something could not be imported
                code = run_items(session, in_order(session.items, self.room, self.near), self.room)
        finally:
            os._exit(code)


def survives_anew(folder: Path, module: str, mutant: Mutant, room: Room, marks: list[str]) -> bool:
    "True if every test of the room passes where the module is read anew."
    place = folder / path_of(module)
    original = place.read_text("utf-8")
    place.write_text(mutant.source, "utf-8")

    def job() -> int:
        may_compute(60)
        return pytest_in(folder, module, marks, Anew(room, near(mutant, room)))

    try:
        return in_a_fork(job) == 0
    finally:
        place.write_text(original, "utf-8")


def pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    "The code of each function in one module and in its mutant. ValueError: they aren't alike."
    parts = [[one for one in code.co_consts if isinstance(one, CodeType)] for code in (old, new)]
    if [one.co_name for one in parts[0]] != [one.co_name for one in parts[1]]:
        raise ValueError
    for first, second in zip(*parts, strict=True):
        if first.co_freevars != second.co_freevars:
            raise ValueError
        yield first, second
        try:
            yield from pairs(first, second)
        except ValueError:  # a lambda has come or gone: it is made when its function runs
            if not first.co_flags & inspect.CO_OPTIMIZED:  # but not what a class holds
                raise


class Host:
    """A plugin of pytest: what has been collected stays, a fork runs the tests as they are, and
    another one for each mutant in a function gives the function its new code, and runs those
    that reach it. Then it ends the process."""

    def __init__(self, folder: Path, module: str, drawn: list[Mutant], told: int) -> None:
        import coverage

        self.place = folder / path_of(module)
        self.drawn = drawn
        self.told = told  # a descriptor: a line of JSON for each mutant
        self.cover = coverage.Coverage(data_file=None, include=[str(self.place)], config_file=False)
        self.cover.start()

    def tell(self, what: object) -> None:
        os.write(self.told, (json.dumps(what) + "\n").encode())

    def pytest_runtestloop(self, session) -> bool:
        try:
            self.cover.stop()
            if session.testsfailed:
                self.tell("the tests can't be collected")
            else:
                at_import = self.cover.get_data().lines(str(self.place)) or []
                room = self.undisturbed(session, set(at_import))
                self.try_all(session, room)
        finally:
            os._exit(0)

    def undisturbed(self, session, at_import: set[int]) -> Room:
        "Run every test as it is, in a fork: what it reaches, and how long it takes."
        session.config._tmp_path_factory.getbasetemp()  # one for all forks
        answer = self.place.parent / "reach.json"

        def job() -> int:
            import coverage

            room = Room(at_import=at_import)
            place = str(self.place)
            cover = coverage.Coverage(data_file=None, include=[place], config_file=False)
            cover.start()
            for item, following in zip(session.items, [*session.items[1:], None], strict=True):
                cover.switch_context(item.nodeid)
                failed, started = session.testsfailed, time.process_time()
                children = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                room.tests[item.nodeid] = time.process_time() - started
                more = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - children
                room.tests[item.nodeid] += more
                if more:
                    room.wide.add(item.nodeid)
                if session.testsfailed > failed:
                    room.broken.append(item.nodeid)
            cover.stop()
            reach = cover.get_data().contexts_by_lineno(place)
            room.reach = {line: sorted(filter(None, names)) for line, names in reach.items()}
            answer.write_text(json.dumps({**vars(room), "at_import": [], "wide": [*room.wide]}))
            return 0

        in_a_fork(job, float("inf"))
        said = json.loads(answer.read_text())
        answer.unlink()
        reach = {int(line): set(names) for line, names in said["reach"].items()}
        self.tell(said)
        return Room(said["tests"], reach, at_import, set(said["wide"]), said["broken"])

    def try_all(self, session, room: Room) -> None:
        "Tell of each mutant whether it survives; None where the module must be read anew."
        original = self.place.read_text("utf-8")
        old = compile(original, str(self.place), "exec")
        alive: dict[CodeType, list[FunctionType]] = {}
        for one in gc.get_objects():
            if type(one) is FunctionType and one.__code__.co_filename == str(self.place):
                alive.setdefault(one.__code__, []).append(one)
        for mutant in self.drawn:
            lines = range(mutant.lines[0], mutant.lines[1] + 1)
            new = compile(mutant.source, str(self.place), "exec")
            try:
                changed = list(pairs(old, new))
            except ValueError:
                changed = None
            if not mutant.in_a_function or changed is None or room.at_import & set(lines):
                self.tell(None)
                continue
            reached = near(mutant, room)
            chosen = [one for one in session.items if one.nodeid in reached | room.wide]

            def job(changed=changed, chosen=chosen, reached=reached) -> int:
                linecache.clearcache()
                for before, after in changed:
                    for function in alive.get(before, []):
                        function.__code__ = after
                return run_items(session, in_order(chosen, room, reached), room)

            self.place.write_text(mutant.source, "utf-8")
            try:
                self.tell(in_a_fork(job) == 0)
            finally:
                self.place.write_text(original, "utf-8")


def run(module: str, drawn: list[Mutant], marks: list[str], folder: Path) -> Counter:
    "Try a module's mutants: how many were killed, are excused, and survived. Each survivor is printed."
    for cached in folder.rglob(f"mnist_course/**/{path_of(module).stem}.*.pyc"):
        cached.unlink()  # its time and size may be a mutant's too
    changes, draws = read_excuses(module)
    tried = [one for one in drawn if one.change not in changes and not (draws and one.draws)]
    numbers = Counter(excused=len(drawn) - len(tried))

    def count(mutant: Mutant, survived: bool) -> None:
        numbers["survived" if survived else "killed"] += 1
        if survived:
            print(f"  {module}, line {mutant.lines[0]}: {mutant.change}", flush=True)

    reading, writing = os.pipe()
    host = os.fork()
    if host == 0:
        try:
            os.close(reading)
            pytest_in(folder, module, marks, Host(folder, module, tried, writing))
        finally:
            os._exit(3)
    os.close(writing)
    anew = []
    with open(reading, encoding="utf-8") as answers:
        said = json.loads(answers.readline() or '"no test could be run"')
        if isinstance(said, str):
            print(f"  {module}: {said}", flush=True)
            return Counter(survived=len(drawn))
        room = Room(said["tests"], {int(n): set(x) for n, x in said["reach"].items()})
        room.broken = said["broken"]
        if room.broken:
            print(f"  {module}: left out, for they fail as they are: {room.broken}", flush=True)
        for mutant, answer in zip(tried, answers, strict=True):
            survived = json.loads(answer)
            if survived is None:
                anew.append(mutant)
            else:
                count(mutant, survived)
    os.waitpid(host, 0)
    for mutant in anew:
        count(mutant, survives_anew(folder, module, mutant, room, marks))
    return numbers


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
    prepare()
    weak = []
    print("module                    mutants  killed  excused  survived   score", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = copy_of_the_repository(Path(place).resolve() / "copy")
        for module in modules:
            drawn = apart(lambda module=module: sample(module, asked.number, asked.seed))
            found = run(module, drawn, marks, folder)
            killed, excused, survived = map(found.get, ("killed", "excused", "survived"), (0, 0, 0))
            score = killed / (killed + survived) if killed + survived else 1.0
            numbers = f"{found.total():9}{killed:8}{excused:9}{survived:10}{100 * score:7.0f} %"
            print(f"{module:24}{numbers}", flush=True)
            strict = module.partition(".")[0] in STRICT or "." not in module
            if score < (0.9 if strict else 0.8):
                weak.append(module)
    print(f"too few are killed: {', '.join(weak)}" if weak else "enough are killed everywhere")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
