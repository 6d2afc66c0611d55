"""From a clone to JupyterLab: what make offers, an installation that may be stopped at any moment, and what CI runs."""

import contextlib
import http.server
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import packages_after

ROOT = Path(__file__).parent.parent
MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(os.name == "nt" or not MAKE, reason="needs make")
posix = pytest.mark.skipif(os.name == "nt", reason="locks and scripts of POSIX")


class Stopped(BaseException):
    "Ctrl-C, or a power cut."


class Machine:
    "Python, pip and uv that only leave marks in .venv. They are slow: each of their commands has a first and a second half."

    def __init__(self, folder: Path):
        self.venv, self.asked, self.number, self.fails = folder / ".venv", [], 0, ()
        self.python = self.venv / "bin" / "python"

    def run(self, *command: object) -> bool:
        words = [str(word) for word in command]
        self.asked.append(words)
        if "venv" in words:
            self.python.parent.mkdir(exist_ok=True)
            self.python.write_text(f"{self.number}")
            (self.venv / "pip").write_text(f"{self.number}")
            return True
        if Path(words[0]).name in self.fails:
            return False
        (self.venv / "half").write_text(f"{self.number}")
        (self.venv / "site").mkdir(exist_ok=True)
        (self.venv / "site" / "torch").write_text(f"{self.number}")
        (self.venv / "half").unlink()
        return True

    def quietly(self, *command: object) -> bool:
        return (self.venv / "pip").exists()


@pytest.fixture
def install(tmp_path, monkeypatch):
    "tools/install.py, in a folder of its own on a machine without uv, a GPU or a network."
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    machine = Machine(tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", machine.venv)
    monkeypatch.setattr(module, "PYTHON", machine.python)
    monkeypatch.setattr(module, "UNFINISHED", machine.venv / "unfinished")
    monkeypatch.setattr(module, "run", machine.run)
    monkeypatch.setattr(module, "quietly", machine.quietly)
    monkeypatch.setattr(module, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(module, "answers", lambda url: False)
    monkeypatch.setattr(
        module,
        "sys",
        SimpleNamespace(
            platform="linux", stdout=sys.stdout, exit=sys.exit, executable=sys.executable
        ),
    )
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    module.machine = machine
    return module


def holds(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def stop_at_line(number: int, module) -> None:
    "Install, and be stopped when so many lines of the installer, and of the programs that it starts, have run."
    left = number

    def trace(frame, event, arg):
        nonlocal left
        if frame.f_code.co_filename not in (module.__file__, __file__):
            return None
        left -= event == "line"
        if left < 0:
            raise Stopped
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        module.main("course")
    finally:
        sys.settrace(before)


@pytest.mark.slow
@pytest.mark.parametrize("before", ["nothing", "a good one", "one without pip"])
def test_stopped_at_any_line_the_next_call_goes_on(install, monkeypatch, capsys, before):
    "Whatever was left half done is gone, and what make looks at is there only when all is."
    monkeypatch.setattr(
        install, "one_at_a_time", contextlib.nullcontext
    )  # a lock ends with its process, and this one goes on
    machine, lines, stopped = install.machine, 0, 0
    while True:
        shutil.rmtree(machine.venv, ignore_errors=True)
        if before != "nothing":
            machine.number = 0
            install.main("dev")
        if (
            before == "one without pip"
        ):  # what Ctrl-C at the wrong moment left behind, before there were marks
            (machine.venv / "pip").unlink()
            for stamp in install.STAMPS["dev"]:
                (machine.venv / stamp).unlink()
        machine.number, lines = 1, lines + 1
        try:
            stop_at_line(lines, install)
            break
        except Stopped:
            stopped += 1
        if (machine.venv / "learner").exists():  # make would not call the installer again
            assert (
                holds(machine.venv) >= {"bin", "pip", "site"}
                and not (machine.venv / "half").exists()
            )
        broken = (machine.venv / "unfinished").exists()
        machine.number = 2
        install.main("course")
        assert holds(machine.venv) >= {"bin", "pip", "site", "learner"} and not holds(
            machine.venv
        ) & {"half", "unfinished"}
        if broken:  # nothing of it is left
            files = (machine.python, machine.venv / "pip", machine.venv / "site" / "torch")
            assert [path.read_text() for path in files] == ["2", "2", "2"]
    assert stopped > 40


def test_a_second_installation_keeps_the_environment_and_says_what_is_there(install):
    install.main("course")
    (install.VENV / "mine").write_text("a package of my own")
    install.main("dev")
    assert holds(install.VENV) == {"bin", "pip", "site", "mine", "learner", "docs", "developer"}
    install.main("course")  # which has taken nothing away, but knows of nothing else
    assert holds(install.VENV) == {"bin", "pip", "site", "mine", "learner"}


def test_what_pip_cannot_do_is_no_success(install, capsys):
    install.machine.fails = ("python",)
    with pytest.raises(SystemExit, match="pip could not install"):
        install.main("course")
    assert not holds(install.VENV) & {"learner", "developer", "docs"}


def test_where_uv_fails_pip_goes_on(install, monkeypatch):
    monkeypatch.setattr(
        install.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "uv" else None
    )
    install.machine.fails = ("uv",)
    install.main("course")
    _, uv, pip = install.machine.asked
    assert uv[:3] == ["/usr/bin/uv", "pip", "install"] and pip[1:4] == ["-m", "pip", "install"]
    assert uv[-4:] == pip[-4:] == ["-c", "constraints.txt", "-e", ".[course]"]


@pytest.mark.parametrize(
    ("platform", "gpu", "reached", "cpu", "said"),
    [
        (
            "linux",
            False,
            True,
            True,
            "No NVIDIA GPU here, so PyTorch comes without CUDA: a few hundred MB to download, not 3.1 GB.",
        ),
        (
            "linux",
            False,
            False,
            False,
            "https://download.pytorch.org/whl/cpu can't be reached, so PyTorch comes with CUDA: about 3.1 GB",
        ),
        ("linux", True, True, False, "about 3.1 GB, most of it PyTorch with CUDA"),
        ("darwin", False, True, False, "about 0.2 GB, most of it PyTorch."),
    ],
)
@pytest.mark.parametrize("uv", [True, False])
def test_which_pytorch_and_how_much(
    install, monkeypatch, capsys, platform, gpu, reached, cpu, said, uv
):
    monkeypatch.setattr(install.sys, "platform", platform)
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: gpu)
    monkeypatch.setattr(
        install,
        "answers",
        lambda url: reached and url == "https://download.pytorch.org/whl/cpu/torch/",
    )
    monkeypatch.setattr(
        install.shutil, "which", lambda name: "/usr/bin/uv" if uv and name == "uv" else None
    )
    install.main("course")
    words = " ".join(install.machine.asked[-1])
    assert ("--torch-backend cpu" in words) == (cpu and uv) and (
        f"--extra-index-url {install.CPU_INDEX}" in words
    ) == (cpu and not uv)
    lines = capsys.readouterr().out.splitlines()
    assert sum(said in line for line in lines) == 1 and sum("GB" in line for line in lines) == 1


@pytest.mark.parametrize(("version", "cpu"), [("2.15.0", False), ("2.15.0+cpu", True)])
def test_a_pytorch_that_is_there_stays_what_it_is(install, monkeypatch, capsys, version, cpu):
    (install.VENV / "lib" / "python3.12" / "site-packages" / f"torch-{version}.dist-info").mkdir(
        parents=True
    )
    monkeypatch.setattr(install, "answers", lambda url: pytest.fail("nobody needs to know"))
    assert install.choose_torch("course") == cpu and capsys.readouterr().out == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_who_watches_sees_the_bars(install, monkeypatch, terminal):
    install.VENV.mkdir()
    monkeypatch.setattr(install.sys, "stdout", SimpleNamespace(isatty=lambda: terminal))
    install.install("course", None)
    assert ("--quiet" in install.machine.asked[0]) != terminal


@pytest.fixture
def index():
    "An index on this machine: its address, and the event that ends its silence under /silent."
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/silent":
                over.wait()
            self.send_response(404 if self.path == "/missing" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        over.set()
        server.shutdown()


def test_an_index_answers_or_it_does_not(index):
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.answers(f"{index}/torch/", 1800)
    assert not module.answers(f"{index}/missing", 1800)
    assert not module.answers(f"{index}/silent", 0.05)
    assert not module.answers("http://127.0.0.1:9/torch/", 1800)


@posix
def test_two_at_once_work_one_after_the_other(install, capsys):
    import fcntl

    install.VENV.mkdir()
    other = os.open(install.VENV, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    waits, lock = threading.Event(), fcntl.flock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            fcntl,
            "flock",
            lambda folder, how: (waits.set() if how == fcntl.LOCK_EX else None, lock(folder, how)),
        )
        second = threading.Thread(target=install.main, args=("course",))
        second.start()
        waits.wait()
        assert install.machine.asked == []
        os.close(other)  # the first has ended, however it did
        second.join()
    assert (install.VENV / "learner").exists() and "waiting for it" in capsys.readouterr().out


def test_a_wrong_word_is_told():
    for words in ([], ["everything"], ["course", "dev"]):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / "install.py", *words], capture_output=True, text=True
        )
        assert done.returncode == 1 and "One of course, docs, dev." in done.stderr


# ---- make


@needs_make
def test_make_alone_prints_what_there_is():
    # Not as a make within make test, which would tell where it is.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        [MAKE], cwd=ROOT, env=own, capture_output=True, text=True, check=True
    ).stdout
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, re.M)[1].split()
    assert [line.split()[0] for line in said.splitlines()[1:]] == phony
    assert all(len(line.split()) > 3 for line in said.splitlines()[1:])
    assert (
        set(phony)
        == set(re.findall(r"^([a-z-]+):(?!=)", text, re.M))
        >= {"learn", "test", "quick", "export", "lint", "coverage"}
    )


@needs_make
@pytest.mark.parametrize("name", ["python3", "python3.14", "python3.12", "python"])
def test_make_finds_python_under_any_of_its_names(tmp_path, name):
    (tmp_path / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / name).chmod(0o755)
    command = [MAKE, "--dry-run", "--always-make", "learn"]
    said = subprocess.run(
        command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert f"\n{name} tools/install.py course\n" in said.stdout and not said.stderr


def test_the_steps_that_make_names_are_there():
    text = (ROOT / "Makefile").read_text("utf-8")
    named = {
        word for words in re.findall(r"tests/run\.py(.*)$", text, re.M) for word in words.split()
    }
    code = "import sys; sys.path.insert(0, 'tests'); import run; print(*run.STEPS, *run.PARTS)"
    known = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert named <= set(known) and {"quick", "coverage", "lint"} <= named


# ---- what CI runs


@pytest.mark.slow
@posix
@pytest.mark.parametrize("status", [0, 3])
def test_ci_runs_make_test_in_a_clone_of_the_readme_and_cleans_up(tmp_path, status):
    programs, places = tmp_path / "programs", tmp_path / "places"
    for folder in (programs, places):
        folder.mkdir()
    for program in ("chromium", "npm"):
        (programs / program).write_text("#!/bin/sh\n")
    (programs / "make").write_text(
        f'#!/bin/sh\necho "$PWD" "$@"\nls -A .. >&2\ngit ls-files\nexit {status}\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(places),
    }
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    where, *files = done.stdout.splitlines()
    assert re.fullmatch(rf"{re.escape(str(places))}/[^/]+/some where/mnist_course test", where), (
        where
    )
    assert done.stderr.split() == ["mnist_course"]  # and nothing beside it
    assert (
        files
        == subprocess.run(
            ["git", "ls-tree", "-r", "--name-only", "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
    )
    assert done.returncode == status and list(places.iterdir()) == []


# ---- start

START = """
import os, sys
from mnist_course.cli import main

class Replaced(BaseException):
    "This process is JupyterLab from now on."

def execve(path, words, environment):
    raise Replaced(path, words)

os.execve = execve
try:
    main(["start", "here", "--no-browser"])
except Replaced as now:
    assert now.args[0] == sys.executable and "jupyterlab" in now.args[1] and "--no-browser" in now.args[1]
    assert os.path.basename(os.getcwd()) == "here" and os.path.exists("00_start_here.ipynb")
"""


@posix
def test_start_holds_nothing_while_jupyterlab_runs(tmp_path):
    "It writes the lessons with Python alone, and makes way for JupyterLab."
    assert not packages_after(START, tmp_path) & {
        "torch",
        "numpy",
        "matplotlib",
        "IPython",
        "jupyterlab",
    }
