"The maintainers' commands: a typo or --help starts nothing, and each command calls what it should."

import json

import pytest

import mnist_course.making.benchmark as benchmark
import mnist_course.making.outputs as outputs
import mnist_course.making.recorded as recorded
import mnist_course.making.site.build as build
from mnist_course.making.__main__ import _COMMANDS, main
from mnist_course.making.repository import root, settings
from mnist_course.teaching.notebooks import read_notebook


@pytest.fixture(autouse=True)
def calls(monkeypatch) -> list:
    "What was called in place of the long work: a name and its arguments."
    made: list = []

    def stand_in(name):
        return lambda *args, **kwargs: made.append((name, args, kwargs))

    for module, names in (
        (build, ["build_site", "preview_site", "before_rendering", "after_rendering"]),
        (outputs, ["run_notebooks"]),
        (benchmark, ["run_bench", "say_bench"]),
        (recorded, [name for name in vars(recorded) if name.startswith("record_")]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, stand_in(name))
    return made


@pytest.mark.parametrize("words", [["site", "previews"], ["sight"], [], ["record", "wheel"]])
def test_a_typo_starts_nothing(words, calls, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: python -m mnist_course.making" in capsys.readouterr().err and not calls


@pytest.mark.parametrize("name", ["", *_COMMANDS])
def test_help_starts_nothing(name, calls, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*name.split(), "--help"])
    assert "usage: python -m mnist_course.making" in capsys.readouterr().out and not calls


@pytest.mark.parametrize(
    ("words", "called"),
    [
        ("site", "build_site"),
        ("site build", "build_site"),
        ("site preview", "preview_site"),
        ("site pages", "before_rendering"),
        ("site finish", "after_rendering"),
        ("notebooks 03", "run_notebooks"),
        ("record sample", "record_sample"),
        ("record run", "record_run"),
        ("record weights --epochs 3", "record_weights"),
        ("record familiar", "record_familiar"),
        ("record card --times", "record_card"),
        ("record ablations --seed 1", "record_ablations"),
        ("record rates --seed 1", "record_rates"),
        ("record networks tiny --validate", "record_networks"),
        ("bench --quick --parts gpu", "run_bench"),
    ],
)
def test_a_command_calls_what_it_says(words, called, calls):
    assert main(words.split()) == 0
    assert calls[0][0] == called


def test_options_arrive(calls):
    assert main(["notebooks", "03", "index"]) == 0
    assert main(["record", "weights", "--epochs", "3", "--precision", "bfloat16"]) == 0
    assert calls[0][1] == (["03", "index"],)
    assert calls[1][1:] == ((0,), {"precision": "bfloat16", "data": None, "epochs": 3})


def test_what_a_maintainer_can_fix_is_one_line(monkeypatch, capsys):
    def broken(*args):
        raise ValueError("smalldocs could not make the site")

    monkeypatch.setattr(build, "build_site", broken)
    assert main(["site"]) == 1
    assert capsys.readouterr().err == "mnist_course.making: smalldocs could not make the site\n"


def test_making_needs_a_clone(monkeypatch):
    monkeypatch.setattr("mnist_course.making.repository.clone", lambda: None)
    with pytest.raises(ValueError, match="git clone it first"):
        root()
    settings.cache_clear()
    with pytest.raises(ValueError, match="git clone it first"):
        settings()


def test_the_commands_are_those_of_the_makefile():
    text = (root() / "Makefile").read_text("utf-8")
    used = [
        line.split("mnist_course.making ")[1].split()[0]
        for line in text.splitlines()
        if "mnist_course.making " in line
    ]
    assert {"site", "notebooks", "bench"} <= set(used) <= set(_COMMANDS)


READS = [
    "import json, subprocess, sys\nfrom pathlib import Path\n\nprint(Path('recorded.json').read_text())",
    "json.loads(Path('other.ipynb').read_text())['metadata']",
    "from module import held\n\nheld",
    "subprocess.run([sys.executable, '-c', \"open('listed.csv').read()\"], check=True)",
    "Path('mine.txt').write_text('1')\nPath('mine.txt').read_text()",
    "from mnist_course.checks import exercises\n\nlen([*exercises()])",
]


def test_outputs_are_stale_when_what_a_notebook_read_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "root", lambda: tmp_path)
    files = {
        "recorded.json": "[1]",
        "listed.csv": "a,b",
        "beside.txt": "nobody reads it",
        "held.txt": "read by an import",
        "module.py": "held = open('held.txt').read()",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def notebook(name: str, sources: list[str], printed: str = "") -> None:
        said = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
        cell = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": said}
        cells = [cell | {"id": f"cell{i}", "source": one} for i, one in enumerate(sources)]
        about = {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}}
        made = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / name).write_text(json.dumps(made))

    notebook("other.ipynb", ["1 + 1"])
    notebook("page.ipynb", READS)
    outputs._run_notebook(tmp_path / "page.ipynb")
    page = read_notebook(tmp_path / "page.ipynb")
    reads = page["metadata"]["mnist_course"]["reads"]
    assert {*reads} == {"recorded.json", "listed.csv", "other.ipynb", "the exercises"}
    assert not outputs.is_stale(page)
    notebook("other.ipynb", ["1 + 1"], printed="2")  # it was run, and says the same
    (tmp_path / "beside.txt").write_text("changed")
    (tmp_path / "held.txt").write_text("changed")
    assert not outputs.is_stale(page)
    notebook("other.ipynb", ["1 + 2"])
    (tmp_path / "listed.csv").unlink()
    assert outputs._changed_reads(page) == ["listed.csv", "other.ipynb"] and outputs.is_stale(page)
    monkeypatch.setattr(outputs.COURSE, "exercises", lambda: iter(()))
    assert "the exercises" in outputs._changed_reads(page)
