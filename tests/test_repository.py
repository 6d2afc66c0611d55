"""Promises that the repository makes about itself: what is generated is up to date, and the lessons keep their form."""

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.specifiers import SpecifierSet

from mnist_course.making.outputs import is_stale, make_readme
from mnist_course.making.readme import lessons_table
from mnist_course.teaching.notebooks import all_notebooks, read_notebook

ROOT = Path(__file__).parent.parent
NOTEBOOKS = all_notebooks()
LESSONS = [
    path for path in NOTEBOOKS if path.parent.name == "nbs" and re.match(r"\d\d_", path.name)
]
FULL_LESSONS = LESSONS
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
by_lesson = pytest.mark.parametrize("path", FULL_LESSONS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    return [
        "".join(cell["source"])
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == kind
    ]


def outputs(path: Path) -> list[dict]:
    return [
        output
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]


@pytest.fixture
def copy(tmp_path) -> Path:
    "The files that belong to the repository, in a folder where a command may change them."
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


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
def test_outputs_belong_to_the_code(path):
    assert not is_stale(read_notebook(path)), (
        "the code changed since the outputs were made: make notebooks"
    )


def test_readme_is_the_front_page():
    text, pictures = make_readme(read_notebook(ROOT / "nbs" / "index.ipynb"))
    assert (ROOT / "README.md").read_text("utf-8") == text, "make notebooks"
    made = {
        path.name: path.read_bytes() for path in (ROOT / "nbs" / "index_files").glob("figure-*")
    }
    assert made == pictures and made


def test_every_lesson_is_on_the_way_that_lesson_00_shows():
    rows = re.findall(
        r"^\| (?:\[)?(\d\d) [A-Z]",
        "\n\n".join(cells(ROOT / "nbs" / "00_start_here.ipynb", "markdown")),
        re.M,
    )
    assert rows == [path.name[:2] for path in LESSONS]


def test_the_front_page_shows_todays_lessons():
    shown = [
        "".join(output["data"].get("text/markdown", ""))
        for output in outputs(ROOT / "nbs" / "index.ipynb")
        if "data" in output
    ]
    assert lessons_table() in shown, "run it again: mnist-course notebooks index.ipynb"


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


ORDER = [
    "figure",
    *(
        re.search(r"#\| default_exp (\w+)", "\n".join(cells(path, "code"))).group(1)
        for path in LESSONS
    ),
]


MACHINERY = {
    "checks",
    "diagrams",
    "draw",
    "explore",
    "foreign",
    "progress",
    "stepper",
}  # what a lesson may use beside the modules of the lessons; no module imports it


def course_imports(code: str) -> set[str]:
    "Modules of the course that some code imports."
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnist_course."):
            found.add(node.module.split(".")[1])
        if isinstance(node, ast.Import):
            found |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("mnist_course.")
            }
    return found


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_earlier_lessons(module):
    later = course_imports((ROOT / "mnist_course" / f"{module}.py").read_text("utf-8")) - set(
        ORDER[: ORDER.index(module)]
    )
    assert not later


@pytest.mark.parametrize(
    "path", [path for path in LESSONS if not path.name.startswith("00")], ids=lambda path: path.stem
)
def test_a_lesson_imports_only_from_earlier_lessons(path):
    code = "\n".join(
        line
        for line in "\n".join(cells(path, "code")).splitlines()
        if not line.lstrip().startswith(("%", "!"))
    )
    earlier = set(ORDER[: ORDER.index(re.search(r"#\| default_exp (\w+)", code).group(1)) + 1])
    assert not course_imports(code) - earlier - MACHINERY


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
    assert max(len(source.splitlines()) for source in code) <= 25


@by_lesson
def test_predictions_are_asked_for_answered_and_looked_back_on(path):
    code, lesson = cells(path, "code"), path.name[:2]
    place: dict[str, dict[str, int]] = {"guess": {}, "reveal": {}}
    for i, source in enumerate(code):
        for what, id in re.findall(r'^ *(guess|reveal)\("([\w.]+)"', source, re.M):
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


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", ["python3", "python3.14", "python3.12", "python"])
def test_make_finds_python_under_any_of_its_names(tmp_path, name):
    (tmp_path / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / name).chmod(0o755)
    command = [shutil.which("make"), "--dry-run", "--always-make", "learn"]
    said = subprocess.run(
        command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert f"Making .venv with {name} ..." in said.stdout and not said.stderr


def test_import_is_cheap():
    "Without torch: what the command line needs before it knows what is asked."
    code = "import sys, time; t = time.perf_counter(); import mnist_course, mnist_course.cli, mnist_course.environment; "
    code += "print(time.perf_counter() - t, 'torch' in sys.modules or 'matplotlib' in sys.modules)"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert {heavy for _, heavy in runs} == {"False"}
    assert min(float(seconds) for seconds, _ in runs) < 0.2


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
    assert sum(picture for picture, _ in found) >= 6 and len(found) > 25
    for picture, target in found:
        assert target.startswith("https://"), target
        if target.startswith(home + "/"):
            kind, tag, path = target.removeprefix(home + "/").split("/", 2)
            assert (kind, tag) == ("raw" if picture else "blob", f"v{settings['version']}") and (
                ROOT / path
            ).is_file(), target
        else:
            assert not picture, f"{target}: a picture from another host"


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
        path.name for path in LESSONS
    }
    for asset in (
        "sample/LICENSE.txt",
        "weights/net.safetensors",
        "runs/seed-1-bfloat16.json",
        "widgets/static/pad.js",
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
    code = "import mnist_course.teaching.folder as c; assert 'site' in c.__file__; print(len(c.write_course('learner')))"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    written = subprocess.run(
        [sys.executable, "-c", code],
        cwd=target,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert int(written) == len(LESSONS)
