"The instructors' pages: what they name is there. The Dockerfile, as far as it can be checked without Docker."

import json
import re
from pathlib import Path

import pytest
from helpers import ROOT

from mnist_course.base import asset
from mnist_course.checks import exercises
from mnist_course.cli import main
from mnist_course.teaching.grading.gradebook import read_course
from mnist_course.teaching.grading.room import clean_environment
from mnist_course.teaching.notebooks import code_cells, markdown_cells, read_notebook
from mnist_course.training import History

PAGES = sorted((ROOT / "nbs" / "instructors").glob("*.ipynb"))


def prose_of(path: Path) -> str:
    return "\n\n".join(markdown_cells(read_notebook(path)))


def code_of_page(path: Path) -> str:
    return "\n\n".join(code_cells(read_notebook(path)))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_for_people_who_teach_exports_nothing(path):
    assert not re.search(r"^#\| *(default_exp|export)", code_of_page(path), re.M)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_between_the_pages_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+\.ipynb)", prose_of(path)):
        if not target.startswith("http"):
            assert (path.parent / target).exists() or (ROOT / "nbs" / target).exists(), target


TEACHING = ROOT / "nbs" / "instructors" / "teaching.ipynb"


def test_likely_wrong_answers_are_those_of_the_registry():
    known = {item.id: item for item in exercises()}
    named = re.findall(r'"(\d\d\.\w+)/(\w+)"', code_of_page(TEACHING))
    assert len(named) > 60 and len(set(named)) == len(named)
    shown = "\n".join(
        "".join(output.get("data", {}).get("text/markdown", []))
        for cell in read_notebook(TEACHING)["cells"]
        for output in cell.get("outputs", [])
    )
    for id, misconception in named:
        assert misconception in known[id].misconceptions, (id, misconception)
        assert known[id].reasons[misconception] in shown, (
            f"{id}/{misconception} has other words now: python -m mnist_course.making notebooks teaching"
        )


def test_every_lesson_has_a_section_that_names_each_of_its_exercises():
    sections = re.findall(r"^## (\d\d) ", prose_of(TEACHING), re.M)
    assert sections == [f"{i:02}" for i in range(16)]
    named = {id for id, _ in re.findall(r'"(\d\d\.\w+)/(\w+)"', code_of_page(TEACHING))}
    every = {item.id for item in exercises()}
    builds = {item.id for item in exercises() if item.kind == "build"}  # may be named, too
    assert every - builds <= named <= every


def test_the_run_on_clothes_is_a_history():
    record = json.loads(asset("runs", "fashion.json").read_text("utf-8"))
    history = History(**record["history"])
    assert len(history) == history.settings["epochs"] == 20 and len(record["classes"]) == 10
    right = sum(row[i] for i, row in enumerate(record["confusion"]))
    assert (
        sum(map(sum, record["confusion"])) == 10_000
        and abs(right / 10_000 - history.test_acc[-1]) < 1e-3
    )


GRADING = ROOT / "nbs" / "instructors" / "grading.ipynb"


def test_the_course_file_on_the_page_on_grading_is_understood(tmp_path):
    (shown,) = re.findall(r"```toml\n(.+?)```", prose_of(GRADING), re.S)
    (tmp_path / "course.toml").write_text(shown)
    course = read_course(tmp_path / "course.toml")
    named = set(re.findall(r"^(\w+) = ", shown, re.M)) | set(re.findall(r"^\[(\w+)\]", shown, re.M))
    assert named | {"exercises"} == set(vars(course))  # every key is shown, but for one


def test_the_container_on_the_page_on_grading_has_what_a_notebook_gets_elsewhere(tmp_path):
    (recipe,) = re.findall(r"```dockerfile\n(.+?)```", prose_of(GRADING), re.S)
    for sources in re.findall(r"^COPY (.+) \S+$", recipe, re.M):
        assert all((ROOT / source).exists() for source in sources.split())
    inside = dict(re.findall(r"(\w+)=(\S+)", recipe.partition("ENV ")[2]))
    outside = clean_environment(tmp_path)
    kept = set(outside) - {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT"}
    assert set(inside) == kept - {"PYTHONPATH", "USERPROFILE"}
    home = str(tmp_path)
    assert all(value == "/tmp" or value == outside[name] for name, value in inside.items())
    assert {name for name in inside if outside[name] == home} == {
        name for name, value in inside.items() if value == "/tmp"
    }
    assert re.search(r"^USER (?!root|0\b)", recipe, re.M)


def test_every_option_of_grade_is_on_its_page_or_speaks_for_itself(capsys):
    with pytest.raises(SystemExit):
        main(["grade", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    told = set(re.findall(r"--[a-z-]+", prose_of(GRADING)))
    assert options - told <= {"--help", "--course", "--jobs", "--time-limit", "--memory-limit"}
