"The workflows: least permissions, pinned actions, and what they run."

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

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
            "colab": {"contents": "write"},
            "publish": {"id-token": "write"},
        }.get(name, {})
        assert job.get("permissions", {}) == allowed
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
                assert not allowed, "a job that may write does not even have our code"
            assert "${{" not in step.get("run", ""), "what comes from outside goes through env"
            if allowed and "run" in step:  # nothing but git, which pushes what another job has made
                commands = step["run"].splitlines()
                assert allowed == {"contents": "write"}
                assert all(command.startswith("git ") for command in commands), commands
                assert not re.search(r"[;&|`]|\$\(", step["run"]), "one command a line"
    assert "secrets." not in path.read_text(
        "utf-8"
    ) and "pull_request_target" not in path.read_text("utf-8")


def test_zizmor_finds_nothing_to_attack():
    "Injections, loose permissions, caches that somebody may poison. Without asking anybody."
    zizmor = Path(sys.executable).with_name("zizmor")
    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", ROOT / ".github"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_would_find_something(tmp_path):
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "on: issues\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.issue.title }}\n"
    )
    zizmor = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([zizmor, "--offline", bad], capture_output=True, text=True)
    assert done.returncode != 0 and "template-injection" in done.stdout


def test_quarto_is_pinned():
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text("utf-8"))[
        "jobs"
    ]["build"]["steps"]
    version = next(
        step["with"]["version"] for step in steps if "quarto-actions/setup" in step.get("uses", "")
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_only_a_site_that_passed_its_tests_is_published():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text("utf-8"))
    steps = workflow["jobs"]["build"]["steps"]
    kinds = [step.get("run", step.get("uses", "")) for step in steps]
    tested = next(i for i, one in enumerate(kinds) if "tests/test_site.py --site _docs" in one)
    made = next(i for i, one in enumerate(kinds) if one.startswith("make docs"))
    handed = next(i for i, one in enumerate(kinds) if "upload-pages-artifact" in one)
    assert made < tested < handed
    assert any(step.get("with", {}).get("path") == "_docs" for step in steps[:tested]), "a preview"
    for job in ("deploy", "colab"):
        assert workflow["jobs"][job]["needs"] == "build"
        assert workflow["jobs"][job]["if"] == "github.event_name != 'pull_request'"
    assert steps[handed]["if"] == "github.event_name != 'pull_request'"


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


def test_the_long_suites_run_by_themselves():
    "What takes too long for every push runs once a week: mutants of rooms in turn, the oldest versions, known holes."
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "weekly.yml").read_text("utf-8"))
    runs = "\n".join(
        step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]
    )
    assert "make matrix" in runs and "--oldest" in runs
    assert "make mutants ROOM=" in runs
    assert "make fuzz MINUTES=" in runs and "make kill" in runs
    assert "pip-audit" in runs and "constraints.txt" in runs


def test_dependabot():
    settings = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))
    assert settings["version"] == 2
    assert [update["package-ecosystem"] for update in settings["updates"]] == [
        "github-actions",
        "npm",
    ]


# ---- Binder and development containers
