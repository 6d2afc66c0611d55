"""Make .venv, or mend it, and install the course into it: python3 tools/install.py course (or docs, or dev)

Every target of the Makefile begins with this; it needs nothing but Python. It may be stopped at any moment, by Ctrl-C or by a flat battery:
what was left half done is not trusted, and the next call begins again, with whatever pip or uv have downloaded by then.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
UNFINISHED = VENV / "unfinished"  # a file that is there from the first change to the last

# What make looks at: each is touched when all that it stands for is installed.
STAMPS = {
    "course": ["learner"],
    "docs": ["learner", "docs"],
    "dev": ["learner", "docs", "developer"],
}

# GB to download, as the index tells for the versions of constraints.txt.
WITH_CUDA = {"course": 3.1, "docs": 3.1, "dev": 3.2}  # Linux
WITHOUT_CUDA = {"course": 0.2, "docs": 0.2, "dev": 0.3}  # macOS and Windows

CPU_INDEX = (
    "https://download.pytorch.org/whl/cpu"  # PyTorch without CUDA, which for Linux is not on PyPI
)


def run(*command: object) -> bool:
    "Run a command in the repository's root, and let it speak. True when it did what it should."
    return (
        subprocess.run([str(word) for word in command], cwd=ROOT, close_fds=False).returncode == 0
    )


def quietly(*command: object) -> bool:
    "Run a command of which nobody needs to hear."
    return subprocess.run([str(word) for word in command], capture_output=True).returncode == 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    "Wait for another installation that is at work in .venv, where the system can tell: on Windows it can't."
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = os.open(VENV, os.O_RDONLY)
    os.set_inheritable(
        folder, True
    )  # pip and uv hold it too: one that has lost us is still at work
    try:
        with contextlib.suppress(OSError):  # some network drives know no locks
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Something else is being installed here: waiting for it ...", flush=True)
                fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def usable(uv: str | None) -> bool:
    "Is there an environment that can be installed into?"
    if UNFINISHED.exists():
        return False
    return PYTHON.exists() and (
        quietly(PYTHON, "-c", "") if uv else quietly(PYTHON, "-m", "pip", "--version")
    )


def make_environment() -> None:
    "A fresh .venv, in place of whatever is there. Raises SystemExit when Python can't make one."
    for path in VENV.iterdir():
        if path == UNFINISHED:  # stays to the end: it says that the rest can't be trusted
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    python = getattr(
        sys, "_base_executable", sys.executable
    )  # and not that of the .venv that was just removed
    print(f"Making .venv with {python} ...", flush=True)
    if not run(python, "-m", "venv", VENV):
        sys.exit("Python could not make .venv, and says why above.")


def has_nvidia_gpu() -> bool:
    "Does this Linux see an NVIDIA GPU?"
    return Path("/proc/driver/nvidia/version").exists() or bool(shutil.which("nvidia-smi"))


def answers(url: str, seconds: float = 5) -> bool:
    "Does this address answer in time? Asked in the background, since looking up a name has no time limit of its own."
    found = []

    def ask() -> None:
        with contextlib.suppress(Exception), urllib.request.urlopen(url, timeout=seconds):
            found.append(url)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(found)


def choose_torch(what: str) -> bool:
    "Shall PyTorch come from its index of builds for the CPU? Says what is downloaded. No word where a PyTorch is installed: it stays what it is."
    installed = [
        *VENV.glob("lib/python*/site-packages/torch-*.dist-info"),
        *VENV.glob("Lib/site-packages/torch-*.dist-info"),
    ]
    if installed:
        return any("+cpu" in path.name for path in installed)
    if not sys.platform.startswith("linux"):
        print(
            f"To download, where no cache has it: about {WITHOUT_CUDA[what]} GB, most of it PyTorch.",
            flush=True,
        )
        return False
    if has_nvidia_gpu():
        print(
            f"To download, where no cache has it: about {WITH_CUDA[what]} GB, most of it PyTorch with CUDA.",
            flush=True,
        )
        return False
    if answers(f"{CPU_INDEX}/torch/"):
        print(
            f"No NVIDIA GPU here, so PyTorch comes without CUDA: a few hundred MB to download, not {WITH_CUDA[what]} GB.",
            flush=True,
        )
        return True
    print(
        f"{CPU_INDEX} can't be reached, so PyTorch comes with CUDA: about {WITH_CUDA[what]} GB to download.",
        flush=True,
    )
    return False


def install(what: str, uv: str | None) -> None:
    "Install the course and an extra of it: with uv where it is, which takes a quarter of the time, or else with pip. Raises SystemExit when neither can."
    wanted = ["-c", "constraints.txt", "-e", f".[{what}]"]
    quiet = (
        [] if sys.stdout.isatty() else ["--quiet"]
    )  # who watches sees the bars that pip and uv draw
    cpu = choose_torch(what)
    if uv and run(
        uv,
        "pip",
        "install",
        *quiet,
        "--python",
        PYTHON,
        *(["--torch-backend", "cpu"] if cpu else []),
        *wanted,
    ):
        return
    # Without --no-compile, pip compiles thousands of modules that nobody will import.
    pip = [PYTHON, "-m", "pip", "install", *quiet, "--disable-pip-version-check", "--no-compile"]
    if not run(*pip, *(["--extra-index-url", CPU_INDEX] if cpu else []), *wanted):
        sys.exit(
            "pip could not install the course, and says why above. When that is mended, the same command goes on."
        )


def main(what: str) -> None:
    "Make sure that .venv is there and holds the course with one of its extras."
    start = time.monotonic()
    uv = shutil.which("uv")
    VENV.mkdir(exist_ok=True)
    with one_at_a_time():
        if UNFINISHED.exists():
            print(
                "The last installation was stopped half way: starting again, with what was downloaded.",
                flush=True,
            )
        ready = usable(uv)
        UNFINISHED.touch()
        for stamp in STAMPS["dev"]:
            (VENV / stamp).unlink(missing_ok=True)
        if not ready:
            make_environment()
        install(what, uv)
        UNFINISHED.unlink()
        for stamp in STAMPS[what]:
            (VENV / stamp).touch()
    print(f"Ready after {time.monotonic() - start:.0f} s.")


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed.")
    if sys.argv[1:] not in [[what] for what in STAMPS]:
        sys.exit(f"What shall be installed? One of {', '.join(STAMPS)}.")
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("\nStopped. The same command goes on from here.")
