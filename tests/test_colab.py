"Badges, and the edition of the lessons for Colab."

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest
import yaml
from helpers import ROOT, packages_after
from IPython.core.inputtransformer2 import TransformerManager

from mnist_course.making.colab import (
    _BRANCH,
    _needed,
    badges,
    binder_url,
    colab_url,
    write_colab,
)
from mnist_course.making.repository import settings
from mnist_course.teaching.notebooks import code_cells, learner_notebooks, read_notebook

LESSONS = learner_notebooks()
by_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def edition(tmp_path_factory) -> Path:
    "A folder with the Colab edition, as the workflow makes it."
    folder = tmp_path_factory.mktemp("colab")
    assert write_colab(folder) == [folder / path.name for path in LESSONS]
    return folder


def test_badges_point_to_files_that_exist(edition):
    known = settings()
    for path in LESSONS:
        colab = urlsplit(colab_url(path.name)).path.split("/")
        assert colab[1:6] == ["github", known["user"], known["repo"], "blob", _BRANCH]
        assert (edition / unquote("/".join(colab[6:]))).is_file()
        folder, name = parse_qs(urlsplit(binder_url(path.name)).query)["labpath"][0].split("/")
        assert folder == "my_course" and name in {lesson.name for lesson in LESSONS}
    for url in re.findall(
        r"\]\((https://(?:colab|mybinder|codespaces)[^)]+)\)",
        (ROOT / "README.md").read_text("utf-8"),
    ):
        assert url in badges()


def test_addresses_are_those_of_a_fork_too(monkeypatch):
    known = {"user": "uni", "repo": "digits", "branch": "trunk"}
    monkeypatch.setattr("mnist_course.making.colab.settings", lambda: known)
    assert colab_url("03 a.ipynb") == (
        "https://colab.research.google.com/github/uni/digits/blob/colab/03%20a.ipynb"
    )
    assert binder_url("03_shapes.ipynb") == (
        "https://mybinder.org/v2/gh/uni/digits/trunk?labpath=my_course%2F03_shapes.ipynb"
    )
    text = badges("03_shapes.ipynb", "../badges")
    for name, address in (
        ("colab", colab_url("03_shapes.ipynb")),
        ("binder", binder_url("03_shapes.ipynb")),
        ("codespaces", "https://codespaces.new/uni/digits?quickstart=1"),
    ):
        assert f"(../badges/{name}.svg)]({address})" in text


def test_only_what_colab_lacks_is_installed(monkeypatch):
    known = {
        "requirements": "torch>=2 safetensors>=0.4 numpy",
        "course_requirements": "torchinfo>=1.8 ipython<9 traitlets-more>=1",
    }
    monkeypatch.setattr("mnist_course.making.colab.settings", lambda: known)
    assert _needed() == ["safetensors>=0.4", "torchinfo>=1.8", "traitlets-more>=1"]
    del known["course_requirements"]
    assert _needed() == ["safetensors>=0.4"]


def test_an_edition_has_a_note_and_a_cell_that_installs_behind_its_title(tmp_path, monkeypatch):
    known, few = settings(), [LESSONS[0], LESSONS[3]]
    monkeypatch.setattr("mnist_course.making.colab.learner_notebooks", lambda: few)
    assert write_colab(str(tmp_path / "out")) == [tmp_path / "out" / path.name for path in few]
    for path in few:
        text = (tmp_path / "out" / path.name).read_text("utf-8")
        title, note, install, *_ = json.loads(text)["cells"]
        assert "".join(title["source"]).startswith("# ")
        assert (note["cell_type"], note["id"]) == ("markdown", "colab-note")
        assert "Colab edition" in "".join(note["source"])
        code = "".join(install["source"])
        assert f"--no-deps git+{known['git_url']}@{known['branch']}\n" in code
        assert '"safetensors>=' in code and '"torch>=' not in code and "{" not in code
        assert install["source"][1:] and install["id"] == "colab-install"
        made = json.loads(text)
        assert made["metadata"]["colab"] == {"provenance": []}
        # the branch's history shows what has changed, and no more
        assert text == json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def test_the_workflow_makes_the_branch_that_the_badges_point_to():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text("utf-8"))[
        "jobs"
    ]
    made = [step["run"] for step in jobs["build"]["steps"] if "making colab" in step.get("run", "")]
    upload, download = (
        next(
            step["with"]
            for step in jobs[job]["steps"]
            if action in step.get("uses", "") and step["with"].get("name") == "colab"
        )
        for job, action in (("build", "upload-artifact@"), ("colab", "download-artifact@"))
    )
    push = jobs["colab"]["steps"][-1]
    assert made[0].split()[-1] == upload["path"]
    assert download["path"] == push["working-directory"]
    assert f"--initial-branch={_BRANCH}\n" in push["run"]
    assert push["run"].splitlines()[-1].split()[-1] == _BRANCH


def test_badges_are_pictures_of_our_own():
    pictures = re.findall(r"\[!\[([^\]]+)\]\(badges/(\w+)\.svg\)\]", badges())
    assert len(pictures) == 3
    for _, name in pictures:
        tree = ElementTree.fromstring((ROOT / "nbs" / "badges" / f"{name}.svg").read_text("utf-8"))
        assert len(tree.get("aria-label")) > 10
    readme = (ROOT / "README.md").read_text("utf-8")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme):
        assert "://" not in picture or picture.startswith(
            settings()["git_url"].replace("github.com", "raw.githubusercontent.com")
        ), picture


def test_the_copies_are_not_kept():
    assert not (ROOT / "colab").exists()


@by_lesson
def test_the_colab_edition_of_a_lesson(edition, path):
    notebook = nbformat.read(edition / path.name, 4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert not any(
        line.startswith("#|") for cell in notebook.cells for line in cell.source.splitlines()
    )
    assert (
        "%pip install" in next(cell for cell in notebook.cells if cell.cell_type == "code").source
    )


def test_the_first_cell_installs_nothing_where_the_course_is(edition):
    install = code_cells(read_notebook(edition / LESSONS[0].name))[0]
    code = TransformerManager().transform_cell(install)
    assert "get_ipython().run_line_magic('pip'" in code
    # there is no get_ipython here: a call would raise NameError
    exec(compile(code, "first cell", "exec"), {})


def test_the_edition_is_made_without_what_it_does_not_need(tmp_path):
    "The workflow needs no torch for it."
    code = "from mnist_course.making.__main__ import main; assert main(['colab', 'out']) == 0"
    assert not packages_after(code, tmp_path) & {"torch", "matplotlib", "nbdev", "numpy"}
    assert len(list((tmp_path / "out").glob("*.ipynb"))) == len(LESSONS)
