"""What several tests share. Every test runs on the sample, without a network."""

import contextlib
import functools
import http.server
import itertools
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ["MNIST_COURSE_DATA"] = "sample"
# on a busy machine several threads spend most of their time waiting for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
from helpers import PATIENCE, ROOT, into_file

from mnist_course.data import DigitDataset, load_mnist
from mnist_course.progress import SESSION

# jsonschema does without, and its grammars take three seconds to load in each worker
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

# A shared machine can stand still for minutes: no example fails for being slow.
hypothesis.settings.register_profile(
    "course", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("course")


# Files of which most tests take more than a second or two: `make quick` leaves them out, and so it
# does with every test that uses a browser, the built site or JupyterLab.
SLOW_FILES = {
    "test_diagnose",
    "test_distributed",
    "test_every_notebook",
    "test_grading",
    "test_typing",
}
# Workers take whole files: one that begins last would let the others wait for it.
LONGEST = ["site", "grading", "distributed", "trainer", "diagnose", "jupyterlab", "explorer"]
LONGEST += ["checks_engine", "engine_diagnose", "site_live", "checks", "slides", "checks_lanes"]
LONGEST += [
    "repository",
    "cli",
    "copied",
    "typing",
    "shapes",
    "stepper",
    "pad",
    "install",
    "moving",
]
# Nothing is shared between tests of these: a worker takes one at a time.
APART = {"test_every_notebook"}
# What takes long to import: torch._dynamo comes with the first step of an optimizer.
PRELOADED = ["torch._dynamo", "mnist_course.checks", "mnist_course.engine.interpret"]
PRELOADED += ["matplotlib.pyplot", "ipywidgets", "nbdev.test"]
SLOW_FIXTURES = {"chromium", "open_page", "lab", "lab_server", "site", "built"}


def pytest_addoption(parser: pytest.Parser) -> None:
    "`--site FOLDER`: look at a site that somebody has built, with any renderer, instead of building one."
    parser.addoption(
        "--site",
        metavar="FOLDER",
        default=os.environ.get("MNIST_COURSE_SITE", ""),
        help="a finished site for tests/test_site.py; MNIST_COURSE_SITE says the same",
    )
    parser.addoption(
        "--kills", type=int, default=2, help="how many in each test of tests/long; make kill: 50"
    )
    parser.addoption(
        "--whole", action="store_true", help="all of what is else a sample; make long does that"
    )
    parser.addoption(
        "--seed", default=None, help="of what is a sample; unset: the commit, and what runs it"
    )


def _commit() -> str:
    """The commit that is checked out, and what runs it: the twelve of CI's matrix draw samples of their
    own. Where git knows of no commit it's always the same one."""
    try:
        git = ["git", "rev-parse", "--short=10", "HEAD"]
        commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ""
    return f"{commit or 'none'}-{sys.platform}-{sys.version_info.major}.{sys.version_info.minor}"


def pytest_configure(config: pytest.Config) -> None:
    "Each commit draws its own sample: again the same one at the same commit, others with the next."
    given = getattr(config, "workerinput", {}).get("seed")
    if config.option.seed is None:
        config.option.seed = given if given is not None else _commit()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    "Workers take whole files, whose tests share what they made; of `APART` they take one test."
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return nodeid if Path(file).stem in APART else file

    return Files(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    "Workers of pytest-xdist draw what the first process draws."
    node.workerinput["seed"] = node.config.option.seed


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    "What was found in a sample is found again in the same one."
    if terminalreporter.stats.get("failed") and not config.option.whole:
        terminalreporter.write_line(f"samples were drawn with --seed {config.option.seed}")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    "How many processes a test kills."
    return request.config.getoption("--kills")


def _not_drawn(items: list[pytest.Item], seed: str) -> set[pytest.Item]:
    "Of each test that is marked so, or of all that `of` names together, the cases that were not drawn."
    cases: dict[tuple[str, int], list[pytest.Item]] = {}
    for item in items:
        if mark := item.get_closest_marker("drawn"):
            name = mark.kwargs.get("of") or item.nodeid.partition("[")[0]
            cases.setdefault((name, *mark.args), []).append(item)
    left_out: set[pytest.Item] = set()
    for (name, number), all_cases in cases.items():
        few = random.Random(f"{seed} {name}").sample(all_cases, min(number, len(all_cases)))
        left_out |= set(all_cases) - set(few)
    return left_out


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]):
    """Mark the slow tests, leave out the long ones and what was not drawn, and begin with the files
    that take longest."""
    for item in items:
        if item.path.stem in SLOW_FILES or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    yield  # here -k and -m choose: whoever names one case gets it
    if not config.getoption("--whole"):
        left_out = {item for item in items if item.get_closest_marker("long")}
        left_out |= _not_drawn([one for one in items if one not in left_out], config.option.seed)
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]
    order = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    order |= dict.fromkeys(APART, len(order) + 1)  # what is short fills the end
    items.sort(key=lambda item: order.get(item.path.stem, len(order) - len(APART)))


@pytest.fixture
def share(request: pytest.FixtureRequest) -> Callable[[Iterable, int], list]:
    """Some of many things, in their order: `share(names, 10)` draws ten, always the same ones in the
    same test of one commit, others in another; with --whole all of them."""

    def drawn(things: Iterable, number: int) -> list:
        everything = list(things)
        if request.config.getoption("--whole") or number >= len(everything):
            return everything
        seed = f"{request.config.option.seed} {request.node.name}"
        places = random.Random(seed).sample(range(len(everything)), number)
        return [everything[place] for place in sorted(places)]

    return drawn


@pytest.fixture(autouse=True)
def nothing_is_kept():
    "What one test has passed is no progress of the next."
    yield
    SESSION.clear()


@pytest.fixture(scope="session")
def sample() -> tuple[DigitDataset, DigitDataset]:
    "The sample: 10,000 training and 2,000 test digits."
    return load_mnist(source="sample")


@pytest.fixture(scope="session")
def small(sample) -> tuple[DigitDataset, DigitDataset]:
    "640 training and 200 test digits, for tests that train."
    return tuple(
        DigitDataset(part.images[:n], part.labels[:n], "small sample")
        for part, n in zip(sample, (640, 200), strict=True)
    )


@pytest.fixture(scope="session")
def apart(tmp_path_factory):
    """Call a function in a process of its own, in a folder: its exit status, and what it printed. The
    process has imported what takes long and used nothing of it: where the system can, it is a copy of
    one that waits for this, and begins in no time."""
    if sys.platform == "linux":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
    else:
        context = multiprocessing.get_context("spawn")
    folder, environment = tmp_path_factory.mktemp("apart"), dict(os.environ)
    number = itertools.count()

    def call(where: Path, function: Callable, *args: object) -> tuple[int, str]:
        said = folder / f"{next(number)}.txt"
        process = context.Process(target=into_file, args=(said, where, environment, function, args))
        process.start()
        process.join()
        return process.exitcode, said.read_text("utf-8", "replace") if said.exists() else ""

    return call


# ---- a real browser


@pytest.fixture(scope="session")
def chromium():
    "Chromium without a window. Where there is none these tests are skipped, but never in CI."
    from mnist_course.making.server import _find_chromium

    found = _find_chromium()
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no Chromium on this machine: apt-get install chromium"
        )
    from playwright.sync_api import sync_playwright

    def patient(make):
        def made(**options):
            new = make(**options)
            new.set_default_timeout(1000 * PATIENCE)
            return new

        return made

    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=quiet, timeout=1000 * PATIENCE
        )
        browser.new_context = patient(browser.new_context)
        browser.new_page = patient(browser.new_page)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve():
    "Serve a folder on this machine: a function from the folder to its address."
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    def start(folder: Path) -> str:
        servers.append(
            http.server.ThreadingHTTPServer(
                ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
            )
        )
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture
def new_page(chromium):
    """A page in a fresh window: a function of the address that it may ask, and of options for the
    window. The test fails when a page wrote an error or a warning, or asked for anything elsewhere."""
    contexts, faults = [], []

    def opened(home: str, **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page, near = context.new_page(), (home, "data:", "blob:", "file:")

        def fault(*what) -> None:
            faults.append((page.url, *what))

        page.on("pageerror", lambda error: fault(str(error)))
        page.on(
            "console", lambda one: fault(one.text) if one.type in ("error", "warning") else None
        )
        # a request that was still under way when the page was left is no fault
        page.on(
            "requestfailed",
            lambda one: None if "ERR_ABORTED" in str(one.failure) else fault(one.url, one.failure),
        )
        page.on("request", lambda one: None if one.url.startswith(near) else fault(one.url))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def open_page(new_page, site):
    "Open the page of a module's `site` in a fresh window, and wait for its widget."

    def open_it(**options):
        page = new_page(site, **{"viewport": {"width": 1280, "height": 1000}, **options})
        page.goto(site)
        page.wait_for_selector(".mc")
        return page

    return open_it


@pytest.fixture(scope="session")
def violations():
    "What axe finds on a page: a function that gives the name of each rule and what breaks it."
    from axe_playwright_python.sync_playwright import Axe

    return lambda page: [
        (one["id"], [node["html"][:160] for node in one["nodes"]])
        for one in Axe().run(page).response["violations"]
    ]


@pytest.fixture
def finger():
    "Touch a page: a function that gives press, move and release for it."

    def on(page):
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *place: float) -> None:
            points = [{"x": place[0], "y": place[1]}] if place else []
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        return tuple(
            functools.partial(touch, kind) for kind in ("touchStart", "touchMove", "touchEnd")
        )

    return on


def answers_at(url: str, server: subprocess.Popen, log: Path) -> None:
    "Wait until a server answers. One that has ended never will."
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=PATIENCE)
            return
        assert server.poll() is None, log.read_text()
        time.sleep(0.25)


class Lab:
    "A notebook of the learner's, open in JupyterLab."

    def __init__(self, page, address: str, token: str):
        self.page, self.address, self.token = page, address, token

    def open(self, notebook: str) -> None:
        "Open a notebook, and wait until its kernel is idle."
        self.page.goto(f"{self.address}/doc/tree/{notebook}?reset&token={self.token}")
        self.page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady"
        )
        self.idle()

    def idle(self) -> None:
        "Wait until nothing is running and no cell is waiting for its turn."
        self.page.wait_for_function(
            """() => {
                const panel = jupyterapp.shell.currentWidget
                return panel.sessionContext.session?.kernel?.status === "idle"
                    && panel.content.widgets.every((cell) => !(cell.promptNode ?? cell.node).innerText.includes("[*]"))
            }"""
        )

    def find(self, text: str) -> int:
        "The number of the cell whose source holds a text."
        number = self.page.evaluate(
            "(text) => jupyterapp.shell.currentWidget.content.widgets.findIndex((cell) => cell.model.sharedModel.source.includes(text))",
            text,
        )
        assert number >= 0, f"no cell holds {text!r}"
        return number

    def run(self, number: int, source: str | None = None) -> str:
        "Put a source into a cell if one is given, run it, and return what it shows, as text."
        self.page.evaluate(
            """async ([number, source]) => {
                const notebook = jupyterapp.shell.currentWidget.content
                notebook.activeCellIndex = number
                if (source !== null) notebook.activeCell.model.sharedModel.setSource(source)
                await jupyterapp.commands.execute("notebook:run-cell")
            }""",
            [number, source],
        )
        self.idle()
        return "\n".join(
            part.inner_text()
            for part in self.output(number).query_selector_all(".jp-OutputArea-output")
        ).strip()

    def output(self, number: int):
        "Where a cell's output stands, scrolled into view."
        self.page.evaluate(
            "(number) => jupyterapp.shell.currentWidget.content.scrollToItem(number)", number
        )
        handle = self.page.evaluate_handle(
            "(number) => jupyterapp.shell.currentWidget.content.widgets[number].outputArea.node",
            number,
        )
        return handle.as_element()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    "JupyterLab in a learner's folder, as `mnist-course start` makes it: its address, token and folder."
    from mnist_course.teaching.folder import _QUIET, _lab_environment, write_course

    folder, home = tmp_path_factory.mktemp("my_course"), tmp_path_factory.mktemp("home")
    write_course(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "OMP_NUM_THREADS": "1",
    }
    own |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    token = "a-token-of-the-tests"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        *_QUIET,
    ]
    command += [
        "--LabApp.expose_app_in_browser=True",
        f"--IdentityProvider.token={token}",
        "--allow-root",
    ]
    with open(home / "log.txt", "w") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**_lab_environment(), **own},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            answers_at(f"http://127.0.0.1:{port}/api?token={token}", server, home / "log.txt")
            yield f"http://127.0.0.1:{port}", token, folder
        finally:
            server.terminate()
            server.wait()


@pytest.fixture
def lab(chromium, lab_server):
    "A fresh page in JupyterLab. The test fails when the page wrote an error to the console, or asked another host for anything."
    address, token, _ = lab_server
    context = chromium.new_context(viewport={"width": 1100, "height": 1000}, has_touch=True)
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            faults.append(request.url)
            if not request.url.startswith((address, "data:", "blob:", "ws:"))
            else None
        ),
    )
    yield Lab(page, address, token)
    context.close()
    assert not faults
