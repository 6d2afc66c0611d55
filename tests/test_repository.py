"""Promises that the repository makes about itself: what is generated is up to date, and the lessons keep their form."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers import ROOT, copy_repository, packages_after
from packaging.specifiers import SpecifierSet
from PIL import Image

from mnist_course.data import load_mnist
from mnist_course.making.outputs import is_stale
from mnist_course.teaching.notebooks import (
    all_notebooks,
    code_cells,
    markdown_cells,
    read_notebook,
)
from mnist_course.teaching.syllabus import card_with_minutes

NOTEBOOKS = all_notebooks()
LESSONS = [
    path for path in NOTEBOOKS if path.parent.name == "nbs" and re.match(r"\d\d_", path.name)
]
FULL_LESSONS = LESSONS
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
by_lesson = pytest.mark.parametrize("path", FULL_LESSONS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    read = {"code": code_cells, "markdown": markdown_cells}[kind]
    return read(read_notebook(path))


def outputs(path: Path) -> list[dict]:
    return [
        output
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]


@pytest.fixture
def copy(tmp_path) -> Path:
    "The repository, where a command may change it."
    return copy_repository(tmp_path)


@pytest.mark.parametrize(
    ("command", "pattern"),
    [("nbdev_export", "mnist_course/**/*.py"), ("nbdev_clean", "nbs/**/*.ipynb")],
)
def test_nbdev_leaves_no_change(copy, command, pattern):
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    subprocess.run(
        [Path(sys.executable).parent / command],
        cwd=copy,
        env=environment,
        check=True,
        capture_output=True,
    )
    names = {
        path.relative_to(ROOT)
        for path in ROOT.glob(pattern)
        if ".ipynb_checkpoints" not in path.parts
    }
    assert names
    assert names == {path.relative_to(copy) for path in copy.glob(pattern)}
    changed = [
        str(name)
        for name in sorted(names)
        if (ROOT / name).read_text("utf-8") != (copy / name).read_text("utf-8")
    ]
    assert not changed, f"run {command} and commit: {changed}"


@by_name
def test_outputs_belong_to_the_code_and_to_what_it_read(path):
    assert not is_stale(read_notebook(path)), (
        "the code, or what it read, changed since the outputs were made: make notebooks"
    )


def test_every_lesson_is_on_the_way_that_lesson_00_shows():
    rows = re.findall(
        r"^\| (?:\[)?(\d\d) [A-Z]",
        "\n\n".join(cells(ROOT / "nbs" / "00_start_here.ipynb", "markdown")),
        re.M,
    )
    assert rows == [path.name[:2] for path in LESSONS]


@by_name
def test_outputs_are_for_every_reader(path):
    for output in outputs(path):
        assert output["output_type"] != "error", output.get("evalue")
        data = output.get("data", {})
        assert not {
            "text/html",
            "application/javascript",
            "application/vnd.jupyter.widget-view+json",
        } & set(data)
        if "image/png" in data:
            alt = output["metadata"].get("image/png", {}).get("alt", "")
            assert len(alt) >= 15, "a picture without a description: DescribedFigure.describe"
        if "image/svg+xml" in data:
            svg = ElementTree.fromstring("".join(data["image/svg+xml"]))
            title, sentence = (
                svg.findtext(f"{{http://www.w3.org/2000/svg}}{tag}", "")
                for tag in ("title", "desc")
            )
            alt = output["metadata"].get("image/svg+xml", {}).get("alt", "")
            assert svg.get("role") == "img" and title and len(sentence) >= 15, (
                "an SVG without title and desc: Diagram.describe"
            )
            assert alt == "".join(data["text/plain"]) == f"{title}. {sentence}", (
                "what stands in an SVG stands beside it as well"
            )
    assert not re.search(r"(?<![~\w])/(home|root|Users|work|tmp)/", json.dumps(outputs(path))), (
        "a path of one machine"
    )
    assert path.stat().st_size < 900_000


@by_lesson
def test_the_form_of_a_lesson(path):
    prose, code = cells(path, "markdown"), cells(path, "code")
    assert prose[0].startswith("# ") and "\n> " in prose[0]
    headings = re.findall(r"^## (.+)$", "\n\n".join(prose), re.M)
    wanted = ["Warm-up", "Traps", "Exercises", "Recap", "Sources"]
    if path.name.startswith("00"):
        wanted.remove("Warm-up")
    assert [heading for heading in headings if heading in wanted] == wanted
    text = "\n\n".join(prose)
    assert "| minutes | difficulty | you need | you will build |" in text
    assert text.count("<details>") == text.count("</details>") > 0
    assert text.count("**Predict.**") >= 3
    exercises = [source for source in prose if source.startswith("### Exercise ")]
    assert len(exercises) >= 3
    assert 30 <= len(prose) + len(code) - 3 * len(exercises) <= 75  # a card has three cells
    shown = [source for source in code if not source.startswith("#| hide")]
    assert max(len(source.splitlines()) for source in shown if "import " not in source) <= 30


@by_lesson
def test_the_minutes_of_a_card_are_counted(path):
    assert card_with_minutes(read_notebook(path), path.name[:2]) is None, (
        "count again: python -m mnist_course.making notebooks index"
    )


@by_lesson
def test_predictions_are_asked_for_answered_and_looked_back_on(path):
    code, lesson = cells(path, "code"), path.name[:2]
    place: dict[str, dict[str, int]] = {"guess": {}, "reveal": {}}
    for i, source in enumerate(code):
        for what, id in re.findall(r'\b(guess|reveal)\(\s*"([\w.]+)"', source, re.M):
            assert id.startswith(f"{lesson}.") and id not in place[what], id
            place[what][id] = i
    assert len(place["guess"]) >= 3 and place["guess"].keys() == place["reveal"].keys()
    for id, i in place["guess"].items():
        assert f'guess("{id}", ..., sure=...)' == code[i], "a guess has a cell of its own"
        assert place["reveal"][id] > i
    assert code.index(f'calibration("{lesson}")') > max(place["reveal"].values())


@by_lesson
def test_in_the_lesson_as_it_ships_no_exercise_is_attempted(path):
    said = [
        (re.search(r'^check\("([\w.]+)"', "".join(cell["source"]), re.M), cell["outputs"])
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == "code"
    ]
    cards = {found[1]: outputs for found, outputs in said if found}
    assert len(cards) >= 3
    for id, outputs in cards.items():
        assert "".join(outputs[-1]["data"]["text/plain"]) == f"{id}: not attempted yet"


def test_constraints_can_be_met_by_the_oldest_python_that_is_promised():
    oldest = f"{re.search(r'min_python = (.+)', (ROOT / 'settings.ini').read_text('utf-8'))[1]}.0"
    pinned = dict(
        re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    )
    if metadata.version("torch") != pinned["torch"]:
        pytest.skip("what is installed here isn't what constraints.txt says")
    seen = 0
    for name, version in pinned.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            if metadata.version(name) == version:
                wanted = metadata.metadata(name).get("Requires-Python") or ""
                assert SpecifierSet(wanted).contains(oldest), (
                    f"{name} {version} needs Python {wanted}"
                )
                seen += 1
    assert seen > 0.9 * len(pinned)


def test_import_is_cheap():
    "What the command line needs before it knows what is asked: nothing but Python."
    assert packages_after("import mnist_course, mnist_course.cli") == {"mnist_course"}


def picture_of_a_seven() -> bytes:
    test_set = load_mnist(source="sample")[1]
    image = test_set.images[int((test_set.labels == 7).nonzero()[0])]
    buffer = io.BytesIO()
    Image.fromarray(image.numpy()).save(buffer, "png")
    return buffer.getvalue()


def links_of_the_project_page(text: str) -> None:
    "On PyPI a relative link leads nowhere, and a relative picture is not shown."
    settings = dict(re.findall(r"^(\w+) = (.+)$", (ROOT / "settings.ini").read_text("utf-8"), re.M))
    home = (
        settings["git_url"]
        .replace("%(user)s", settings["user"])
        .replace("%(repo)s", settings["repo"])
    )
    found = [
        (bool(mark), target) for mark, target in re.findall(r"(!?)\[[^\[\]]*\]\(([^)\s]+)\)", text)
    ]
    found += [
        (False, target) for target in re.findall(r"\]\([^)]*\)\]\(([^)\s]+)\)", text)
    ]  # a picture that is a link
    assert sum(picture for picture, _ in found) >= 5 and len(found) > 25
    for picture, target in found:
        assert target.startswith("https://"), target
        if target.startswith(home + "/"):
            kind, tag, path = target.removeprefix(home + "/").split("/", 2)
            assert (kind, tag) == ("raw" if picture else "blob", f"v{settings['version']}") and (
                ROOT / path
            ).is_file(), target
        else:
            assert not picture, f"{target}: a picture from another host"


@pytest.mark.slow
def test_wheel_holds_lessons_and_assets(copy, tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(target),
        str(copy),
    ]
    subprocess.run(build, check=True, capture_output=True)
    site = target / "site"
    wheel = next(target.glob("*.whl"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(site),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    assert {path.name for path in (site / "mnist_course" / "lessons").iterdir()} == {
        "one_page.ipynb"
    } | {path.name for path in LESSONS}
    assert not (site / "mnist_course" / "making").exists()  # for maintainers, in a clone
    for asset in (
        "sample/LICENSE.txt",
        "weights/net.safetensors",
        "runs/seed-1-bfloat16.json",
        "widgets/static/pad.js",
        "teaching/static/sheet.html",
        "teaching/static/slides/reveal.js",
        "constraints.txt",
        "py.typed",
    ):
        assert (site / "mnist_course" / asset).exists()
    with zipfile.ZipFile(wheel) as archive:
        said = archive.read(
            next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        ).decode()
    links_of_the_project_page(said.partition("\n\n")[2])
    environment = {**os.environ, "PYTHONPATH": str(site), "MNIST_COURSE_DATA": "sample"}

    def command(*words: str) -> subprocess.CompletedProcess:
        "The command line of the wheel, where there is no clone."
        code = (
            "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
        )
        code += f"import mnist_course.cli as c; assert 'site' in c.__file__; raise SystemExit(c.main({list(words)}))"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=target,
            env=environment,
            capture_output=True,
            text=True,
        )

    written = command("start", "class/learner", "--write-only")
    assert written.returncode == 0 and len(written.stdout.splitlines()) == len(LESSONS) + 1
    (target / "digit.png").write_bytes(picture_of_a_seven())
    for words, said in [
        (["--help"], "COMMAND"),
        (["doctor"], "torch"),
        (["predict", "digit.png"], "digit.png: 7"),
        (["progress", "class/learner"], "minutes left"),
        (["sheet", "03"], "exercises.html: "),
        (["grade", "class"], "learner: 0 passed"),
    ]:
        done = command(*words)
        assert said in done.stdout, (words, done.stdout, done.stderr)
    done = command("slides", "03")  # the wheel has no outputs to show
    assert done.returncode == 2 and "use a clone of the repository" in done.stderr
