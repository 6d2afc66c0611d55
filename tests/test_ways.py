"""The ways into the course: badges, containers, the wheelhouse, paper, slides, plans, and the workflows."""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections import namedtuple
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager

import mnist_course.teaching.wheelhouse as wheelhouse
from mnist_course import __version__
from mnist_course.base import STEMS
from mnist_course.checks import exercises
from mnist_course.cli import main, make_parser
from mnist_course.making.colab import BADGES, badges, binder_url, colab_url, repository, ways_files
from mnist_course.teaching.notebooks import lessons
from mnist_course.teaching.slides import (
    SCREEN,
    blocks,
    deck_notebook,
    quarto_notebook,
    slides_of,
    write_slides,
)
from mnist_course.teaching.syllabus import cut_evenly, outline, table, term, units, week
from mnist_course.teaching.worksheet import (
    IN_HTML,
    pick_lessons,
    read_cards,
    with_mathml,
    write_sheet,
)

ROOT = Path(__file__).parent.parent
LESSONS = lessons()
by_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
posix = pytest.mark.skipif(sys.platform == "win32", reason="a script for POSIX")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


# ---- workflows

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
by_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def test_the_workflows_that_there_are():
    assert {path.stem for path in WORKFLOWS} >= {"test", "deploy", "weekly", "release"}


@by_workflow
def test_actions_are_pinned_to_commits(path):
    used = re.findall(r"uses: *(.+)", path.read_text("utf-8"))
    assert used
    for line in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_one_commit_for_one_action():
    pins = {}
    for path in WORKFLOWS:
        for action, commit in re.findall(r"uses: *([^@\s]+)@(\w+)", path.read_text("utf-8")):
            pins.setdefault(action, set()).add(commit)
    assert all(len(commits) == 1 for commits in pins.values()), pins


@by_workflow
def test_permissions_are_minimal(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 120
        allowed = {
            "deploy": {"pages": "write", "id-token": "write"},
            "publish": {"id-token": "write"},
        }.get(name, {})
        assert job.get("permissions", {}) == allowed
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", ""), "what comes from outside goes through env"
            assert not allowed or "run" not in step, "a job that may write runs no code of ours"
    assert "secrets." not in path.read_text(
        "utf-8"
    ) and "pull_request_target" not in path.read_text("utf-8")


def test_quarto_is_pinned():
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text("utf-8"))[
        "jobs"
    ]["build"]["steps"]
    version = next(
        step["with"]["version"] for step in steps if "quarto-actions/setup" in step.get("uses", "")
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_weekly_runs_without_constraints():
    runs = [
        step.get("run", "")
        for step in yaml.safe_load(
            (ROOT / ".github" / "workflows" / "weekly.yml").read_text("utf-8")
        )["jobs"]["newest"]["steps"]
    ]
    assert any("pip install" in run for run in runs) and not any(
        "-c constraints.txt" in run for run in runs
    )


def test_dependabot():
    settings = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))
    assert settings["version"] == 2
    assert [update["package-ecosystem"] for update in settings["updates"]] == ["github-actions"]


# ---- Binder and development containers


def test_binder():
    folder = ROOT / ".binder"
    version = re.fullmatch(r"python-(\d+\.\d+)\n", (folder / "runtime.txt").read_text("utf-8"))[1]
    assert tuple(map(int, version.split("."))) >= tuple(
        map(int, repository()["min_python"].split("."))
    )
    lines = [
        line
        for line in (folder / "requirements.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert (
        "-e ." in lines
        and (folder / next(line for line in lines if line.startswith("-c")).split()[1]).is_file()
    )
    commands = [
        line.split()
        for line in (folder / "postBuild").read_text("utf-8").splitlines()
        if line.startswith("mnist-course")
    ]
    args = make_parser().parse_args(commands[0][1:])
    assert args.write_only and args.folder == "my_course"  # where the badge leads to
    if sys.platform != "win32":
        assert os.access(folder / "postBuild", os.X_OK)


def test_devcontainer():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8")
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
    assert re.search(r"python:\d\.\d+-", container["image"])
    make, start = container["postCreateCommand"].split(" && ")
    assert re.search(
        rf"^{re.escape(make.split()[1])}\b", (ROOT / "Makefile").read_text("utf-8"), re.M
    )
    assert make_parser().parse_args(start.split()[1:]).write_only


# ---- badges and the Colab edition


def test_badges_point_to_files_that_exist():
    settings = repository()
    for path in LESSONS:
        colab = urlsplit(colab_url(path.name)).path.split("/")
        assert colab[1:6] == [
            "github",
            settings["user"],
            settings["repo"],
            "blob",
            settings["branch"],
        ]
        assert (ROOT / unquote("/".join(colab[6:]))).is_file()
        folder, name = parse_qs(urlsplit(binder_url(path.name)).query)["labpath"][0].split("/")
        assert folder == "my_course" and name in {lesson.name for lesson in LESSONS}
    for url in re.findall(
        r"\]\((https://(?:colab|mybinder|codespaces)[^)]+)\)",
        (ROOT / "README.md").read_text("utf-8"),
    ):
        assert url in badges()


def test_badges_are_pictures_of_our_own():
    assert badges().count(".svg") == len(BADGES)
    for name, (text, _) in BADGES.items():
        tree = ElementTree.fromstring((ROOT / "nbs" / "badges" / f"{name}.svg").read_text("utf-8"))
        assert tree.get("aria-label") == text
    readme = (ROOT / "README.md").read_text("utf-8")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme):
        assert "://" not in picture or picture.startswith(
            repository()["git_url"].replace("github.com", "raw.githubusercontent.com")
        ), picture


def test_the_colab_edition_is_up_to_date():
    files = ways_files()
    stale = [
        path.name
        for path, text in files.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert not stale, f"make notebooks: {stale}"
    assert set((ROOT / "colab").glob("*.ipynb")) == {
        path for path in files if path.parent.name == "colab"
    }


@by_lesson
def test_the_colab_edition_of_a_lesson(path):
    notebook = nbformat.read(ROOT / "colab" / path.name, 4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert not any(
        line.startswith("#|") for cell in notebook.cells for line in cell.source.splitlines()
    )
    assert (
        "%pip install" in next(cell for cell in notebook.cells if cell.cell_type == "code").source
    )


def test_the_first_cell_installs_nothing_where_the_course_is():
    install = next(
        cell
        for cell in read(ROOT / "colab" / LESSONS[0].name)["cells"]
        if cell["cell_type"] == "code"
    )
    code = TransformerManager().transform_cell("".join(install["source"]))
    assert "get_ipython().run_line_magic('pip'" in code
    exec(
        compile(code, "first cell", "exec"), {}
    )  # there is no get_ipython here: a call would raise NameError


# ---- wheelhouse

Usage = namedtuple("Usage", "total used free")
HERE = f"cp{sys.version_info[0]}{sys.version_info[1]}"


def stub_wheels(folder: Path, cpu: bool) -> None:
    "A wheel of the right name that stands for the course, and a file that stands for PyTorch's."
    (folder / f"torch-2.15.0-{HERE}-{HERE}-manylinux_2_28_x86_64.whl").write_bytes(b"PyTorch")
    name = f"mnist_course-{__version__}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mnist_course/__init__.py", "")
        wheel.writestr(
            "mnist_course/base.py",
            "import os, pathlib\ndef cache_folder(): return pathlib.Path(os.environ['STUB_CACHE'])\n",
        )
        wheel.writestr(
            "mnist_course/cli.py", "import sys\ndef main(): print('asked:', *sys.argv[1:])\n"
        )
        wheel.writestr(
            f"{name}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: mnist_course\nVersion: {__version__}\n",
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(
            f"{name}.dist-info/entry_points.txt",
            "[console_scripts]\nmnist-course=mnist_course.cli:main\n",
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")


def test_what_a_wheelhouse_holds(tmp_path):
    said = wheelhouse.make_wheelhouse(tmp_path / "stick", get_wheels=stub_wheels)
    assert "2 wheels" in said and "Linux (glibc 2.28 or newer), x86_64" in said
    assert {path.name for path in (tmp_path / "stick").iterdir()} == {
        "wheels",
        "install.sh",
        "install.cmd",
        "README.txt",
        "constraints.txt",
    }
    assert (tmp_path / "stick" / "constraints.txt").read_bytes() == (
        ROOT / "constraints.txt"
    ).read_bytes()
    for name in ("install.sh", "install.cmd", "README.txt"):
        text = (tmp_path / "stick" / name).read_bytes()
        assert (
            not re.search(rb"@[A-Z]+@", text)
            and f"{sys.version_info[0]}.{sys.version_info[1]}".encode() in text
        )
        assert (b"\r\n" in text) == (name != "install.sh")
    again = wheelhouse.make_wheelhouse(tmp_path / "stick", get_wheels=stub_wheels)
    assert again == said


@posix
def test_the_script_installs_from_the_folder_alone(tmp_path):
    stick, target = tmp_path / "my stick", tmp_path / "a folder"
    wheelhouse.make_wheelhouse(stick, get_wheels=stub_wheels)
    (stick / "data" / "MNIST" / "raw").mkdir(parents=True)
    (stick / "data" / "MNIST" / "raw" / "digits.gz").write_text("digits")
    misleading = {
        "PIP_INDEX_URL": "https://nowhere.invalid/simple",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PYTHON": sys.executable,
    }
    environment = {**os.environ, **misleading, "STUB_CACHE": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        ["sh", stick / "install.sh", target],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (
        f"asked: start --write-only {target}/my_course" in done.stdout and "To begin" in done.stdout
    )
    assert (tmp_path / "cache" / "MNIST" / "raw" / "digits.gz").read_text() == "digits"


@posix
def test_the_script_says_which_python_is_missing(tmp_path):
    wheelhouse.make_wheelhouse(tmp_path / "stick", get_wheels=stub_wheels)
    script = tmp_path / "stick" / "install.sh"
    script.write_text(re.sub(r'"3\.\d+"\.split', '"3.2".split', script.read_text()))
    done = subprocess.run(["sh", script, tmp_path / "target"], capture_output=True, text=True)
    assert (
        done.returncode == 1
        and "which was not found" in done.stderr
        and not (tmp_path / "target").exists()
    )


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder.write_text("notes"), "is a file; give the name of a folder"),
        (
            lambda folder: (folder / "thesis").mkdir(parents=True),
            "holds other files: give a new folder",
        ),
    ],
)
def test_a_folder_that_is_something_else(tmp_path, capsys, prepare, message):
    prepare(tmp_path / "there")
    assert main(["wheelhouse", str(tmp_path / "there")]) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1


def test_a_disk_that_is_too_full(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(wheelhouse.shutil, "disk_usage", lambda folder: Usage(10e9, 9e9, 1e9))
    assert main(["wheelhouse", str(tmp_path / "stick")]) == 2
    assert "1.0 GB free, and up to 8 GB may be needed; --cpu needs less" in capsys.readouterr().err


def test_pip_that_fails(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        wheelhouse.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1)
    )
    monkeypatch.setattr(wheelhouse, "ROOM", {True: 0, False: 0})
    assert main(["wheelhouse", str(tmp_path / "stick")]) == 2
    assert "pip could not do it, and says why above: pip wheel" in capsys.readouterr().err


@pytest.mark.parametrize("cpu", [True, False])
def test_what_pip_is_asked(tmp_path, monkeypatch, cpu):
    asked = []
    monkeypatch.setattr(
        wheelhouse, "pip", lambda *words: asked.append([str(word) for word in words])
    )
    monkeypatch.setattr(wheelhouse, "own_wheel", lambda folder: folder / "own.whl")
    wheelhouse.download_wheels(tmp_path, cpu)
    words = " ".join(asked[0])
    assert (
        "--only-binary=:all:" in words
        and f"--constraint {ROOT / 'constraints.txt'}" in words
        and words.endswith("own.whl")
    )
    assert (wheelhouse.CPU_INDEX in words) == cpu


def test_an_installed_course_fetches_its_published_wheel(tmp_path, monkeypatch):
    asked = []

    def pip(*words):
        asked.append(words)
        stub_wheels(tmp_path, True)

    monkeypatch.setattr(wheelhouse, "clone", lambda: None)
    monkeypatch.setattr(wheelhouse, "pip", pip)
    assert wheelhouse.own_wheel(tmp_path).name == f"mnist_course-{__version__}-py3-none-any.whl"
    assert asked[0][-1] == f"mnist_course=={__version__}"
    assert (
        wheelhouse.constraints_file() == ROOT / "mnist_course" / "constraints.txt"
    )  # where setup.py puts it into the wheel


def test_digits_of_this_machine_go_on_the_stick(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    for stem in STEMS:
        (tmp_path / "here" / stem).write_bytes(b"unpacked")
    monkeypatch.setenv("MNIST_COURSE_DATA", str(tmp_path / "here"))
    wheelhouse.put_digits(tmp_path / "stick")
    assert {path.name for path in (tmp_path / "stick" / "MNIST" / "raw").iterdir()} == set(STEMS)


# ---- paper


@by_lesson
def test_cards_are_the_lessons_exercises(path):
    cards = read_cards(read(path))
    known = {item.id: item for item in exercises() if item.lesson == path.name[:2]}
    assert {card.id for card in cards} == set(known)
    for i, card in enumerate(cards, 1):
        item = known[card.id]
        assert card.number == f"{item.lesson}.{i}"
        assert (card.title, card.minutes, card.difficulty) == (
            item.title,
            item.minutes,
            item.difficulty,
        )
        assert (
            card.task
            and "..." in card.code
            and "check(" not in card.code
            and "<details" not in card.task
        )
        assert bool(card.picture) == (item.kind == "read a plot") == bool(card.alt)


def test_a_sheet_is_one_file(tmp_path):
    assert "exercises" in write_sheet(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text("utf-8")
    assert not re.search(r"<script|<link|@import|(src|href)=\"(?!data:)", page)
    assert all(f'id="{item.id}"' in page for item in exercises())


def test_a_sheet_of_some_lessons_in_markdown(tmp_path):
    write_sheet(tmp_path / "sheet.md", ["3", "08_curves"])
    text = (tmp_path / "sheet.md").read_text("utf-8")
    assert (
        re.findall(r"^## (\d\d)", text, re.M) == ["03", "08"]
        and "data:image/png" in text
        and "<" not in re.sub(r"```.*?```", "", text, flags=re.S)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sheet", "99"], "there is no lesson 99: choose from 00, 01"),
        (["sheet", "--out", "sheet.pdf"], "written as .html or .md, and sheet.pdf is neither"),
        (["slides", "shapes"], "there is no lesson shapes: choose from 00, 01"),
        (["slides", "03", "--out", "taken"], "taken is a file; give the name of a folder"),
    ],
)
def test_what_an_instructor_can_mend_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("mnist-course: ") and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_formulas_become_mathml_in_markdown_and_on_pages():
    from latex2mathml.converter import convert

    formula, block = convert("a < b_1"), convert("a < b_1", display="block")
    assert (
        with_mathml("so $a < b_1$, `$a$` and\n\n$$\na < b_1\n$$")
        == f"so {formula}, `$a$` and\n\n{block}"
    )
    page = '<p>so <span class="math inline">\\(a &lt; b_1\\)</span>, $5 and $6, <span class="math display">\\[a &lt;\nb_1\\]</span></p>'
    assert with_mathml(page, IN_HTML) == f"<p>so {formula}, $5 and $6, {block}</p>"
    assert "<msub>" in formula and 'display="block"' in block


def test_formulas_without_latex2mathml(monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml", None)
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    assert (
        with_mathml(r"a $e^{x} < 2$ b `$HOME` and 5$")
        == "a <code>e^{x} &lt; 2</code> b `$HOME` and 5$"
    )


def test_the_sheet_prints_well(tmp_path, chromium, violations):
    write_sheet(tmp_path / "sheet.html")
    page = chromium.new_page(
        viewport={"width": 673, "height": 994}
    )  # what A4 leaves between its margins: 178 x 263 mm
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "sheet.html").as_uri())
    page.emulate_media(media="print")
    heights = page.evaluate(
        "[...document.querySelectorAll('.card')].map((card) => [card.id, card.offsetHeight, card.scrollWidth - card.clientWidth])"
    )
    assert not [(id, height) for id, height, over in heights if height > 994 or over > 0]
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert violations(page) == []
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


# ---- slides


@by_lesson
def test_slides_leave_nothing_out_but_what_is_the_learners_own(path):
    notebook, deck = read(path), deck_notebook(read(path))
    shown = "\n".join("".join(cell["source"]) for cell in deck["cells"])
    prose = [
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    ]
    for heading in re.findall(
        r"^#{1,3} (.+)$", re.sub(r"```.*?```", "", "\n".join(prose), flags=re.S), re.M
    ):
        assert heading in shown
    assert shown.count("**Predict.**") == "\n".join(prose).count("**Predict.**")
    assert not re.search(r"^(check|guess|reveal|calibration)\(|^#\|", shown, re.M)
    pictures = sum(
        "image/png" in output.get("data", {})
        for cell in deck["cells"]
        for output in cell.get("outputs", [])
    )
    assert pictures == sum(
        "image/png" in output.get("data", {})
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
    )


@by_lesson
def test_a_question_ends_its_slide(path):
    for slide in slides_of(read(path)):
        places = [
            i for i, piece in enumerate(slide.pieces) if piece.text.startswith("**Predict.**")
        ]
        assert all(i == len(slide.pieces) - 1 for i in places)
        assert slide.lines <= SCREEN or len(slide.pieces) == 1


def test_blocks():
    assert blocks("a\nb\n\nc") == ["a\nb", "c"]
    assert blocks("```\na\n\nb\n```\n<!-- note -->") == ["```\na\n\nb\n```\n<!-- note -->"]
    assert blocks("<!-- note -->\n\n<details>\n\nx\n\n</details>") == [
        "<details>\n\nx\n\n</details>"
    ]
    assert blocks("") == []


def test_slides_of_an_installed_course(monkeypatch, tmp_path):
    notebook = read(LESSONS[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    (tmp_path / LESSONS[0].name).write_text(json.dumps(notebook))
    monkeypatch.setattr(
        "mnist_course.teaching.slides.pick_lessons", lambda names: [tmp_path / LESSONS[0].name]
    )
    with pytest.raises(ValueError, match="use a clone of the repository"):
        list(write_slides(["00"], tmp_path / "slides"))


@by_lesson
def test_a_notebook_for_quarto(path):
    deck = nbformat.reads(json.dumps(quarto_notebook(read(path))), 4)
    nbformat.validate(deck)
    assert deck.cells[0].cell_type == "raw"
    options = yaml.safe_load(deck.cells[0].source.strip().strip("-"))
    assert (
        options["format"]["revealjs"]["embed-resources"] is True
        and options["execute"]["enabled"] is False
    )
    assert all(
        re.match(r"## ", cell.source)
        for cell in deck.cells[1:]
        if cell.source.startswith("#") and cell.cell_type == "markdown"
    )


@posix
def test_quarto_is_used_where_it_is_installed(tmp_path, monkeypatch, capsys):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "quarto").write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\n')
    (tmp_path / "bin" / "quarto").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert main(["slides", "3", "--quarto", "--out", str(tmp_path / "slides")]) == 0
    assert (tmp_path / "asked").read_text() == "render 03_shapes.ipynb\n"
    assert "rendered as 03_shapes.html" in capsys.readouterr().out
    assert shutil.which("quarto", path=str(tmp_path / "bin"))


@by_lesson
def test_slides_in_a_browser(path, tmp_path, chromium, violations):
    "Every slide fits the screen, every picture says what it shows, and nothing is loaded."
    list(write_slides([path.name[:2]], tmp_path))
    page, faults = chromium.new_page(viewport={"width": 1280, "height": 720}), []
    page.on(
        "request",
        lambda request: (
            faults.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    page.on(
        "console", lambda message: faults.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / f"{path.stem}.html").as_uri())
    page.wait_for_function("Reveal.isReady()")
    seen = page.evaluate(
        """() => {
            const seen = []
            for (let i = 0; i < Reveal.getTotalSlides(); i++) {
                const slide = Reveal.getCurrentSlide(), box = slide.getBoundingClientRect()
                const pictures = [...slide.querySelectorAll("img")]
                seen.push([
                    slide.querySelector("h1, h2").innerText, slide.classList.contains("scrolls"), Math.round(box.top), Math.round(box.bottom),
                    pictures.every((picture) => picture.alt.length > 14 && picture.naturalWidth > 0), slide.scrollWidth - slide.clientWidth,
                ])
                Reveal.next()
            }
            return seen
        }"""
    )
    assert len(seen) == sum(1 for _ in slides_of(read(path)))
    assert len({title for title, *_ in seen}) > 8
    for title, _, top, bottom, described, over in seen:
        assert 0 <= top < bottom <= 720 and described and over <= 1, title
    assert sum(scrolls for _, scrolls, *_ in seen) <= 1
    assert violations(page) == []
    assert not faults
    page.close()


# ---- plans


def test_the_syllabus_shows_todays_lessons():
    every = units()
    said = json.dumps(read(ROOT / "nbs" / "instructors" / "syllabus.ipynb")["cells"])
    for text in (week(every), week(every, difficulty=3), term(every), outline(every[:4], 1, 210)):
        for line in text.splitlines():
            assert json.dumps(line)[1:-1] in said, "run it again: mnist-course notebooks syllabus"


def test_units_read_the_cards():
    every = units()
    assert [unit.number for unit in every] == [path.name[:2] for path in LESSONS]
    assert all(
        15 <= unit.minutes <= 120
        and unit.exercises
        and set(unit.needs) < {other.number for other in every}
        for unit in every
    )
    assert sum(unit.work() for unit in every) == sum(item.minutes for item in exercises())
    assert all(unit.work(2) <= unit.work(4) <= unit.work() for unit in every)


@pytest.mark.parametrize("parts", range(1, 7))
def test_cuts_are_even_and_keep_the_order(parts):
    sizes = [41, 79, 88, 92, 94, 88]
    cut = cut_evenly(sizes, parts)
    assert [i for places in cut for i in places] == list(range(len(sizes))) and len(cut) == parts
    longest = max(sum(sizes[i] for i in places) for places in cut)
    assert longest <= sum(sizes) / parts + max(sizes)


def test_plans_that_cannot_be():
    every = units()
    for plan, message in [
        (lambda: cut_evenly([1, 2], 3), "2 lessons cannot be spread over 3 days"),
        (lambda: outline(every[1:], 5, 10_000), "needs 00 first"),
        (lambda: outline(every, 5, 60), "there are 1 h"),
        (lambda: term(every, room=20), "and a meeting has 20"),
    ]:
        with pytest.raises(ValueError, match=message):
            plan()


def test_a_term_holds_every_exercise_once():
    text = term(units())
    for item in exercises():
        assert text.count(f"`{item.name}`") == sum(other.name == item.name for other in exercises())
    assert table(["a"], [[1]]) == "| a |\n| --- |\n| 1 |"


def test_lessons_are_picked_by_number():
    assert [path.name[:2] for path in pick_lessons(["3", "04", "05_loss"])] == ["03", "04", "05"]
    assert pick_lessons([]) == pick_lessons() == LESSONS
