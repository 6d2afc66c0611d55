"""Try every world that settings.ini allows: each Python with the oldest and with the newest of every dependency.

    python tools/matrix.py                  all that this machine has a Python for
    python tools/matrix.py 3.12 --oldest    one Python, one end

Each gets an environment in .matrix/ (about 6 GB with CUDA, most of it shared by uv's links), imports every module, runs the fast
tests, and executes three lessons. What is installed comes as wheels only: the oldest version means the oldest that a user
of that Python needs no compiler for.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".matrix"
LESSONS = ("01_data", "03_shapes", "05_loss")
ENDS = {"oldest": ["--resolution", "lowest-direct"], "newest": []}
# -W would only mean the module with exactly this name, and none of those inside it
IMPORT = """
import importlib, sys, warnings
for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
    warnings.filterwarnings("error", category=kind, module="mnist_course")
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
BIN = "Scripts" if os.name == "nt" else "bin"


def pythons() -> list[str]:
    "The versions that settings.ini promises, such as 3.12."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]["tested_python"].split()


def find(version: str) -> str | None:
    "A Python of this version: on the path, of pyenv's, or of uv's. pyenv's stand-ins only run the version that is chosen."
    places = [shutil.which(f"python{version}")]
    places += sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    places += sorted((Path.home() / ".local/share/uv/python").glob(f"*-{version}.*/bin/python3"))
    for place in filter(None, places):
        said = subprocess.run([place, "-V"], capture_output=True, text=True, check=False)
        if said.returncode == 0 and said.stdout.startswith(f"Python {version}."):
            return str(place)
    return None


def uv() -> str:
    "uv: the one on the path, or the one that the developer's environment holds."
    found = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    return found or sys.exit("uv is missing: .venv/bin/python -m pip install uv")


def modules() -> list[str]:
    "Every module of the package."
    names = (path.relative_to(ROOT) for path in sorted((ROOT / "mnist_course").rglob("*.py")))
    dotted = [
        re.sub(r"\.(py|__init__)", "", ".".join(name.with_suffix("").parts)) for name in names
    ]
    return [name for name in dotted if not name.endswith(("__main__", "_modidx"))]


def steps(python: str, folder: Path, end: str, workers: int) -> dict[str, list]:
    "What is done in one environment, by its name."
    mine = folder / BIN / "python"
    tests = [mine, "-m", "pytest", "-m", "not slow", "-n", workers, "--dist", "loadfile"]
    wheels = ["--only-binary", ":all:", "--no-binary", "mnist_course"]
    lessons = [ROOT / "nbs" / f"{name}.ipynb" for name in LESSONS]
    return {
        "environment": [uv(), "venv", "-q", "--clear", "--python", python, folder],
        "install": [uv(), "pip", "install", "--python", mine, *wheels, *ENDS[end], "-e", ".[dev]"],
        "import": [mine, "-c", IMPORT, *modules()],
        "tests": [*tests, "-rs", "-p", "no:cacheprovider"],  # also why some were skipped
        **{path.stem: [folder / BIN / "nbdev_test", "--path", path] for path in lessons},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="*", help="such as 3.12; all of settings.ini")
    parser.add_argument("--oldest", action="store_true", help="only the oldest dependencies")
    parser.add_argument("--newest", action="store_true", help="only the newest")
    asked = parser.parse_args()
    ends = [end for end in ENDS if getattr(asked, end)] or list(ENDS)
    said, failed = [], False
    for version in asked.versions or pythons():
        python = find(version)
        if python is None:
            said.append(f"{version}: no such Python here (uv python install {version}), not tried")
            continue
        for end in ends:
            folder = PLACE / f"{version}-{end}"
            environment = {
                **{key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"},
                "MNIST_COURSE_DATA": "sample",
                "OMP_NUM_THREADS": "1",
                "MPLBACKEND": "Agg",
                "PATH": f"{folder / BIN}{os.pathsep}{os.environ['PATH']}",
            }
            parts, start = [], time.perf_counter()
            for name, command in steps(python, folder, end, min(os.cpu_count() or 1, 4)).items():
                log = PLACE / f"{version}-{end}-{name}.log"
                log.parent.mkdir(exist_ok=True)
                with log.open("w", encoding="utf-8") as out:
                    done = subprocess.run(
                        list(map(str, command)),
                        cwd=ROOT,
                        env=environment,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        check=False,
                    )
                parts.append(name if done.returncode == 0 else f"{name} FAILED ({log})")
                if done.returncode != 0:
                    failed = True
                    if name in ("environment", "install"):
                        break
            took = f"{time.perf_counter() - start:.0f} s"
            said.append(f"{version} {end}: {', '.join(parts)} ({took})")
            print(said[-1], flush=True)
    print("\n".join(["", *said]))
    return failed


if __name__ == "__main__":
    sys.exit(main())
