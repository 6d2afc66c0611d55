"""What the documents beside the code name is there: paths, commands, exercises, variables, versions."""

import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from mnist_course.checks import COURSE, check, exercises, mistake

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PAGES = sorted(path for path in ROOT.glob("*.md") if path.name != "README.md")
GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```$", GUIDE, re.M | re.S)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", GUIDE, flags=re.M | re.S))
CODE = "\n".join([*SPANS, *(text for _, text in BLOCKS)])


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    "What settings.ini says."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(config["DEFAULT"])


@pytest.fixture(scope="module")
def sources() -> str:
    "All cells of all notebooks."
    notebooks = [json.loads(path.read_text("utf-8")) for path in (ROOT / "nbs").rglob("*.ipynb")]
    return "\n".join(
        "".join(cell["source"]) for notebook in notebooks for cell in notebook["cells"]
    )


# ---- CONTRIBUTING.md


def test_paths_of_the_guide_are_there():
    words = {
        word
        for word in re.findall(r"[\w./-]+", CODE)
        if not word.startswith((".venv", "/")) and "NN_" not in word
    }
    paths = {word for word in words if re.search(r"\w/|\.(ini|ipynb|js|md|py|qmd|yml)$", word)}
    assert len(paths) > 30
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_make_targets_of_the_guide_are_there():
    heads = re.findall(r"^([\w. /-]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.M)
    targets = {name for head in heads for name in head.split()}
    asked = set(re.findall(r"\bmake ([a-z][\w-]*)", CODE))
    assert asked >= {"quick", "export", "lint", "test", "coverage", "notebooks"}
    assert sorted(asked - targets) == []


def test_tools_of_the_guide_are_there():
    tools = set(re.findall(r"\.venv/bin/([\w-]+)", CODE))
    assert "python" in tools and "nbdev_merge" in tools
    assert [tool for tool in sorted(tools) if not shutil.which(tool, path=BIN)] == []
    scripts = json.loads((ROOT / "package.json").read_text("utf-8"))["scripts"]
    assert set(re.findall(r"npm run (\w+)", CODE)) == scripts.keys()


def test_what_the_guide_selects_with_k_is_there():
    known = "".join(item.id for item in exercises())
    asked = re.findall(r"pytest (tests/\w+\.py) -k (\w+)", CODE)
    assert len(asked) >= 3
    for path, word in asked:
        assert word in (ROOT / path).read_text("utf-8") or word in known, (path, word)


def test_exercises_of_the_guide_are_there_and_quoted_as_they_are(sources):
    named = set(re.findall(r"\b\d\d\.[a-z]\w+", CODE))
    assert named and named <= {item.id for item in exercises()}
    quotes = [span for span in SPANS if re.match(r"@exercise\(|audit\(|check\(|### Exercise", span)]
    assert len(quotes) >= 3
    assert [quote for quote in quotes if quote not in sources] == []


def test_the_misconception_of_the_guide_is_found_by_its_name(monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")
    example = next(text for kind, text in BLOCKS if kind == "python")
    space: dict = {"mistake": mistake}
    list(exercises())  # the answers are imported
    item = COURSE["03.same_padding"]
    before = dict(item.misconceptions), dict(item.reasons)
    try:
        exec("\n".join(line.removeprefix("   ") for line in example.splitlines()), space)
        assert check(item.id, space["always_one"], seed=0).misconception == "always_one"
        assert "always_one" not in before[0], (
            "now it is in the course: the guide needs another example"
        )
    finally:
        item.misconceptions, item.reasons = before


def test_every_variable_of_the_package_is_in_the_table():
    table = re.findall(r"^\| `(MNIST_COURSE_\w+)` \|", GUIDE, re.M)
    files = [*(ROOT / "mnist_course").rglob("*.py"), ROOT / "Makefile", ROOT / "setup.py"]
    used = {
        name
        for path in files
        for name in re.findall(r"MNIST_COURSE_[A-Z]+", path.read_text("utf-8"))
    }
    assert sorted(table) == sorted(used)


# ---- the others


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path, settings):
    text = path.read_text("utf-8")
    heads = {
        re.sub(r"[^\w -]", "", head).lower().replace(" ", "-")
        for head in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in heads, target
        else:
            assert target.startswith("https://") or (ROOT / target).is_file(), target
    for address in re.findall(r"[\w.-]+@[\w.-]+\.\w+", text):
        assert address == settings["author_email"]
    for owner in re.findall(r"https://github\.com/([\w-]+/\w+)", text):
        assert owner == f"{settings['user']}/{settings['repo']}"


def test_the_changelog_begins_with_what_is_to_come_and_names_the_version(settings):
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(r"^## (.+)$", text, re.M)
    assert sections[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(settings['version'])}\] - \d{{4}}-\d\d-\d\d", sections[1])
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }


def test_the_citation_says_what_settings_ini_says(settings):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (
        citation["cff-version"] == "1.2.0"
        and citation["message"]
        and citation["license"] == "Apache-2.0"
    )
    assert citation["version"] == settings["version"]
    assert citation["authors"] == [{"name": settings["author"], "email": settings["author_email"]}]
    assert citation["repository-code"] == settings["git_url"]
    assert citation["url"] == settings["doc_host"] + settings["doc_baseurl"]


def test_the_pythons_of_pypi_are_those_of_ci(settings):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert settings["tested_python"].split() == tested and tested[0] == settings["min_python"]


def test_forms_for_issues_are_well_formed():
    forms = [
        path
        for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
        if path.stem != "config"
    ]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text("utf-8"))
        assert form["name"] and form["description"] and form["labels"]
        asked = [part for part in form["body"] if part["type"] != "markdown"]
        assert all(part["attributes"]["label"] for part in asked)
        assert len({part["id"] for part in asked}) == len(asked) > 0
        assert any(part.get("validations", {}).get("required") for part in asked)


@pytest.mark.parametrize(
    "name",
    [
        "_quarto.yml",
        ".pre-commit-config.yaml",
        ".github/dependabot.yml",
        ".github/ISSUE_TEMPLATE/config.yml",
    ],
)
def test_yaml_can_be_read(name):
    assert isinstance(yaml.safe_load((ROOT / name).read_text("utf-8")), dict)


def test_hooks_are_tools_of_the_environment():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repo["repo"] == "local", "nothing is fetched"
    for hook in repo["hooks"]:
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert hook["language"] == "system" and shutil.which(tool, path=BIN), hook["id"]


def test_what_is_generated_is_marked_as_generated():
    listed = subprocess.run(
        ["git", "ls-files", "mnist_course/*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    asked = subprocess.run(
        ["git", "check-attr", "linguist-generated", "--", *listed],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    marked = {line.split(": ")[0]: line.endswith(": set") for line in asked.stdout.splitlines()}
    made = {
        name: "AUTOGENERATED" in (ROOT / name).read_text("utf-8")[:1000]
        or name.endswith("_modidx.py")
        for name in listed
        if (ROOT / name).is_file()
    }
    assert len(made) > 40
    assert {name for name in made if made[name]} == {name for name in made if marked[name]}
