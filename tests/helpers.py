"What several test files use and no fixture can give: the repository's files, commands in a fresh process, pictures that somebody has looked at."

import base64
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.collections
import matplotlib.colors
import matplotlib.offsetbox
import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).parent.parent

# No test passes or fails by this number: it only ends a wait that would never end.
PATIENCE = 300  # seconds


def copy_repository(target: Path) -> Path:
    "Copy the files that belong to the repository, links as links, to where a command may change them."
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in listed.splitlines():
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name, follow_symlinks=False)
    return target


def run_in(folder: Path, *command: str, **environment: str) -> str:
    "Run a command with the package of a copy; its output. Fails with that output when the command fails."
    own = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=folder, env={**own, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def into_file(
    said: Path, folder: Path, environment: dict[str, str], function: Callable, args: tuple
) -> None:
    "Call a function in a folder, with all that it prints written to a file; for the fixture `apart`."
    os.environ.clear()  # what another test had set when this process was prepared
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.chdir(folder)
    function(*args)


def packages_after(code: str, folder: Path | None = None) -> set[str]:
    "The packages, Python's own left out, that a fresh process has loaded when it has run some code."
    code = f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before)"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    names = said.splitlines()[-1].split()
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def stands_out(ax) -> bool:
    "True where every number of a table is written in a color far from the one under it."
    (picture,) = ax.images
    shades = []
    for text, value in zip(ax.texts, picture.get_array().flatten(), strict=True):
        color = matplotlib.colors.to_rgb(text.get_color())
        shades.append(sum(color) / 3 - sum(picture.to_rgba(value)[:3]) / 3)
    return min(map(abs, shades)) > 0.3


def idx_file(values: torch.Tensor) -> bytes:
    "A tensor of bytes as an IDX file."
    return (
        b"\0\0\x08"
        + struct.pack(f">B{values.ndim}I", values.ndim, *values.shape)
        + values.flatten().numpy().tobytes()  # NumPy 1 knows 32 dimensions at most
    )


def machine(monkeypatch, cuda: int = 0, mps: bool = False) -> None:
    "Let torch say that this machine has so many NVIDIA GPUs, and Apple's or not."
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def figure_is_approved(name: str, figure, folder: Path) -> None:
    """Fails when a figure of Matplotlib's isn't the one that somebody has looked at: in what is
    drawn, where, how large and in which color, and not in how one version or another draws it."""
    _compare(name, "\n".join(_strokes(figure)), folder / "new.png", figure.png)


def _strokes(artist, depth: int = 0) -> list[str]:
    "What an artist and all in it draw, a line each. Ticks and frames draw themselves."
    said = []
    for part in artist.get_children():
        kind = next(one.__name__ for one in type(part).__mro__ if one.__name__ != _NEW_KIND)
        if kind in ("XAxis", "YAxis", "Spines", "Spine"):
            if kind.endswith("Axis"):
                ticks = [tick.get_text() for tick in part.get_ticklabels()]
                said += [f"{kind} {part.label.get_text()!r} {part.label.get_fontsize()} {ticks}"]
            continue
        facts = {}
        if not isinstance(part, matplotlib.offsetbox.OffsetBox):  # what draws, and no mere frame
            asked = {name: getattr(part, f"get_{name}", None) for name in _FACTS}
            facts = {name: _fact(ask()) for name, ask in asked.items() if ask}
        if kind == "Axes":
            facts["shown"] = str(part.axison)
        if isinstance(
            part, matplotlib.collections.PathCollection | matplotlib.collections.PolyCollection
        ):
            facts["paths"] = " ".join(_fact(path.vertices) for path in part.get_paths())
        told = " ".join(f"{name}={fact}" for name, fact in facts.items() if fact)
        said += [f"{'  ' * depth}{kind} {told}", *_strokes(part, depth + 1)]
    return [f"{_fact(artist.get_size_inches())} inches", *said] if depth == 0 else said


_NEW_KIND = "FillBetweenPolyCollection"  # which Matplotlib 3.9 calls PolyCollection
_FACTS = [
    "text",
    "position",
    "fontsize",
    "color",
    "ha",
    "va",
    "rotation",
    "weight",
    "xydata",
    "marker",
    "markersize",
    "linestyle",
    "linewidth",
    "alpha",
    "visible",
    "facecolor",
    "edgecolor",
    "offsets",
    "xy",
    "width",
    "height",
    "extent",
    "clim",
    "array",
    "xlim",
    "ylim",
    "xscale",
    "yscale",
    "segments",
    "levels",
    "sizes",
]


def _fact(value: object) -> str:
    "Any property in a few characters; nothing where there is none."
    if value is None or callable(value):
        return ""
    if isinstance(value, str | bool):
        return repr(value)
    if isinstance(value, matplotlib.colors.Colormap):
        return value.name
    try:
        numbers = np.ma.asarray(value, dtype=float)
    except (TypeError, ValueError):  # a list of curves, or of words and numbers
        return " ".join(map(_fact, value)) if isinstance(value, list | tuple) else str(value)
    flat = [f"{number:.3f}" for number in np.ma.filled(numbers, np.nan).flat]
    short = " ".join(flat) if len(flat) < 9 else hashlib.sha256(" ".join(flat).encode()).hexdigest()
    return f"{numbers.shape}:{short[:60]}"


def is_approved(name: str, svg: str, folder: Path) -> None:
    """Fails when a drawing is another one than the one that somebody has looked at, to a tenth of a
    pixel, and puts the new one into the folder. What two versions of PyTorch, Pillow or zlib make
    different in bytes and the same to the eye makes no difference here."""
    text = re.sub(r"\bmc\d+", "mc", svg)  # numbered in the order of drawing
    text = re.sub(r'data:image/png;base64,([^"]+)', lambda found: _pixels_of(found[1]), text)
    text = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}", text)
    _compare(name, text, folder / "new.svg", svg.encode)


def _compare(name: str, text: str, new: Path, draw: Callable[[], bytes]) -> None:
    "Fails, and leaves the new drawing, when its text isn't that of the one that was looked at."
    found = hashlib.sha256(text.encode()).hexdigest()[:16]
    known = Path(__file__).with_name("approved_pictures.json")
    if json.loads(known.read_text("utf-8")).get(name) != found:
        new.write_bytes(draw())
        raise AssertionError(
            f"{name!r} is drawn differently now. Look at {new}; if it's right, "
            f'write "{name}": "{found}" into {known.name}'
        )


def _pixels_of(base64_text: str) -> str:
    "A picture as text: its size, and its values in steps of 8."
    with Image.open(io.BytesIO(base64.b64decode(base64_text))) as image:
        values = np.asarray(image.convert("RGBA"))
    return f"{values.shape} {hashlib.sha256((values // 8).tobytes()).hexdigest()}"


def team_of(monkeypatch, **place):
    "A team as torchrun would place it, whose others were never started."
    of_two = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2}
    for name, value in (of_two | place).items():
        monkeypatch.setenv(name, str(value))
    from mnist_course.distributed import Team  # only here: it loads much

    return Team()
