"The maintainers' commands: a typo or --help starts nothing, and each command calls what it should."

import pytest

import mnist_course.making.benchmark as benchmark
import mnist_course.making.outputs as outputs
import mnist_course.making.recorded as recorded
import mnist_course.making.site.build as build
from mnist_course.making.__main__ import _COMMANDS, main
from mnist_course.making.repository import root, settings


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
