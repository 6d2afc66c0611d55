"Outputs belong to the code beside them: how they are made, and when they are made again."

import json

import nbformat
import pytest

import mnist_course.making.outputs as outputs
from mnist_course.making.outputs import is_stale, run_notebooks


def notebook(*cells: tuple[str, str], **known) -> dict:
    made = nbformat.v4.new_notebook()
    for kind, source in cells:
        new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        made.cells.append(new(source))
    if known:
        made.metadata["mnist_course"] = known
    return json.loads(nbformat.writes(made))


@pytest.fixture
def place(tmp_path, monkeypatch):
    "A repository of our own, in which nothing else is made."
    (tmp_path / "nbs").mkdir()
    monkeypatch.setattr(outputs, "root", lambda: tmp_path)
    return tmp_path


def test_only_code_and_its_order_make_another_fingerprint():
    first = notebook(("code", "a = 1"), ("markdown", "b"), ("code", "c"))
    same = notebook(("markdown", "x"), ("code", "a = 1"), ("code", "c"))
    turned = notebook(("code", "c"), ("code", "a = 1"))
    joined = notebook(("code", "a = 1c"))
    marks = [outputs._code_fingerprint(one) for one in (first, same, turned, joined)]
    assert marks[0] == marks[1] and len(set(marks)) == 3
    assert all(len(mark) == 16 for mark in marks)


def test_what_was_read_is_known_by_what_is_in_it(place):
    (place / "a.csv").write_bytes(b"1,2")
    path = place / "nbs" / "a.ipynb"
    path.write_text(json.dumps(notebook(("code", "a = 1"))))
    marks = {name: outputs._fingerprint_of(name) for name in ("a.csv", "nbs/a.ipynb")}
    assert outputs._fingerprint_of("nowhere.csv") == outputs._fingerprint_of("nbs") == ""
    assert {len(mark) for mark in marks.values()} == {12} and len(set(marks.values())) == 2
    exercises = outputs._fingerprint_of("the exercises")
    assert len(exercises) == 12 and exercises not in marks.values()
    # outputs and metadata are no part of what somebody reads in a notebook
    path.write_text(json.dumps(notebook(("code", "a = 1"), reads={})))
    assert outputs._fingerprint_of("nbs/a.ipynb") == marks["nbs/a.ipynb"]
    path.write_text(json.dumps(notebook(("code", "a = 2"))))
    (place / "a.csv").write_bytes(b"1,3")
    assert all(outputs._fingerprint_of(name) != mark for name, mark in marks.items())


def test_a_notebook_is_stale_when_its_code_or_what_it_read_has_changed(place):
    (place / "a.csv").write_bytes(b"1,2")
    mark = outputs._fingerprint_of("a.csv")
    fresh = notebook(("code", "a"))
    code = outputs._code_fingerprint(fresh)
    for known, stale in (
        ({}, True),
        ({"code": code}, False),
        ({"code": code, "reads": {"a.csv": mark}}, False),
        ({"code": "other", "reads": {"a.csv": mark}}, True),
        ({"code": code, "reads": {"a.csv": "other"}}, True),
        ({"code": code, "reads": {"a.csv": mark, "gone.csv": mark}}, True),
    ):
        assert is_stale(notebook(("code", "a"), **known)) == stale, known
    many = notebook(("code", "a"), code=code, reads={"a.csv": mark, "b": "x", "c": "y"})
    assert outputs._changed_reads(many) == ["b", "c"]


def test_what_a_kernel_read_is_kept_and_what_it_wrote_is_not(place):
    for name in ("a.csv", "b.csv", "own.ipynb", "c.py", "nbs/.cache", "_docs/x.html", "e.pyc"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(name)
    lines = ["r a.csv", "r b.csv", "w b.csv", "r own.ipynb", "r c.py", "r nbs/.cache", "r a.csv"]
    lines += ["r _docs/x.html", "r e.pyc", "r gone.csv", "odd"]
    mark = outputs._fingerprint_of("a.csv")
    assert outputs._reads("\n".join(lines), "own.ipynb") == {"a.csv": mark}
    found = outputs._reads("\n".join(["the exercises", *lines]), "own.ipynb")
    assert [*found] == ["a.csv", "the exercises"]


class Client:
    "A stand-in for nbclient: it notes what it gets, and what a kernel would tell."

    made: "list[Client]" = []  # noqa: RUF012

    def __init__(self, notebook, **options) -> None:
        self.notebook, self.options = notebook, options
        Client.made.append(self)

    def execute(self) -> None:
        self.sources = [cell.source for cell in self.notebook.cells]
        self.tags = [cell.metadata.get("tags", []) for cell in self.notebook.cells]
        space: dict = {}
        exec(
            self.sources[0].replace("sys.addaudithook(hook)", "kept.append(told)"),
            {"kept": []},
            space,
        )
        for cell in self.notebook.cells[1:]:
            if "1 / 0" in cell.source:
                raise ZeroDivisionError
            if cell.cell_type == "code":
                cell.outputs = [nbformat.v4.new_output("stream", text="done\n")]
                cell.execution_count = 7


@pytest.fixture
def run(place, monkeypatch):
    "Run a notebook without a kernel: `run(notebook)` gives its path, and the stand-in."
    monkeypatch.setattr("nbclient.NotebookClient", Client)
    monkeypatch.setattr(outputs, "lessons", lambda: [])
    monkeypatch.setattr(outputs, "listening_cell", lambda told: f"told_at = {str(told)!r}\n")
    monkeypatch.setattr(outputs, "_watching_cell", lambda opened: f"opened = {str(opened)!r}\n")
    Client.made.clear()

    def made(one: dict, name: str = "a.ipynb"):
        path = place / "nbs" / name
        path.write_text(json.dumps(one))
        assert outputs._run_notebook(path) >= 0
        return path, Client.made[-1]

    return made


def test_a_notebook_keeps_its_outputs_and_nothing_of_the_machinery(run):
    one = notebook(("markdown", "# A"), ("code", "a = 1"), ("code", "#| eval: false\nb"))
    one["metadata"]["widgets"] = {"state": {}}
    path, client = run(one)
    assert client.sources[0].startswith("told_at = ") and "opened = " in client.sources[0]
    assert client.sources[1:] == ["# A", "a = 1", "#| eval: false\nb"]
    assert client.tags[1:] == [
        [],
        [],
        ["skip-execution"],
    ]  # it runs only in the learner's JupyterLab
    assert client.options["resources"] == {"metadata": {"path": str(path.parent)}}
    assert client.store_widget_state is False and client.options["timeout"] == 1800
    text = path.read_text("utf-8")
    kept = json.loads(text)
    assert [cell["cell_type"] for cell in kept["cells"]] == ["markdown", "code", "code"]
    assert kept["cells"][1]["outputs"][0]["text"] == ["done\n"]
    assert kept["cells"][1]["execution_count"] is None and kept["cells"][2]["metadata"] == {}
    code = outputs._code_fingerprint(one)
    assert kept["metadata"]["mnist_course"] == {"code": code, "reads": {}}
    assert "widgets" not in kept["metadata"] and not is_stale(kept)
    assert text.startswith('{\n "cells"') and text.endswith("}\n") and not text.endswith("\n\n")


def test_a_cell_that_fails_leaves_the_file_as_it_was(run, place):
    with pytest.raises(ZeroDivisionError):
        run(notebook(("code", "a = 1"), ("code", "1 / 0")))
    kept = json.loads((place / "nbs" / "a.ipynb").read_text())
    assert all(not cell["outputs"] for cell in kept["cells"])


def test_a_lesson_notes_what_it_revealed(run, place, monkeypatch):
    noted = []
    monkeypatch.setattr(outputs, "keep_revealed", lambda *args: noted.append(args))
    run(notebook(("code", "a")))
    assert noted == []
    monkeypatch.setattr(outputs, "lessons", lambda: [place / "nbs" / "03_a.ipynb"])
    one = notebook(("code", "a"))
    run(one, "03_a.ipynb")
    assert noted == [("03", outputs._code_fingerprint(one), "")]


def test_minutes_are_written_only_where_they_changed(place, monkeypatch):
    paths = [place / "nbs" / f"0{i}_a.ipynb" for i in (1, 2)]
    for path in paths:
        path.write_text(json.dumps(notebook(("markdown", "# ü"), ("markdown", "card"))))
    new = {"01": None, "02": (1, "new\ncard")}
    monkeypatch.setattr(outputs, "lessons", lambda: paths)
    monkeypatch.setattr(outputs, "card_with_minutes", lambda notebook, number: new[number])
    before = paths[0].read_bytes()
    outputs._write_minutes()
    assert paths[0].read_bytes() == before
    text = paths[1].read_text("utf-8")
    assert json.loads(text)["cells"][1]["source"] == ["new\n", "card"]
    assert "ü" in text and text.startswith('{\n "cells": [') and text.endswith("}\n")


@pytest.fixture
def all_of_it(place, monkeypatch):
    "Three notebooks, of which the second one is stale: what is called, in its order."
    called: list[str] = []
    for name in ("a", "b", "c"):
        one = notebook(("code", name))
        reads = {"x.csv": "other", "y.csv": "other"} if name == "b" else {}
        one["metadata"]["mnist_course"] = {"code": outputs._code_fingerprint(one), "reads": reads}
        (place / "nbs" / f"{name}.ipynb").write_text(json.dumps(one))
    monkeypatch.setattr(outputs, "all_notebooks", lambda: sorted((place / "nbs").glob("*.ipynb")))
    monkeypatch.setattr(outputs, "follow_settings", lambda: called.append("settings") or [])
    monkeypatch.setattr(outputs, "_write_minutes", lambda: called.append("minutes"))
    monkeypatch.setattr(outputs, "write_curves", lambda: called.append("curves"))
    monkeypatch.setattr(outputs, "write_readme", lambda: called.append("readme"))
    monkeypatch.setattr(outputs, "_run_notebook", lambda path: called.append(path.stem) or 2.6)
    return called


@pytest.mark.parametrize(
    ("names", "ran"), [(None, ["b"]), (["nbs/a", "c"], ["a", "c"]), (["zz"], [])]
)
def test_stale_notebooks_are_run_or_those_that_are_named(all_of_it, capsys, names, ran):
    run_notebooks(names)
    assert all_of_it == ["settings", "minutes", "curves", *ran, "readme"]
    said = capsys.readouterr().out
    why = " (changed: x.csv, y.csv)" if ran == ["b"] else ""
    assert said == "".join(f"nbs/{name}.ipynb{why} ... 3 s\n" for name in ran)


def test_a_fork_is_told_what_was_renamed(all_of_it, monkeypatch, capsys):
    for number, few in ((2, "0, 1"), (5, "0, 1, 2, 3, 4"), (7, "0, 1, 2, 3, 4 and 2 more")):
        monkeypatch.setattr(
            outputs, "follow_settings", lambda number=number: [str(i) for i in range(number)]
        )
        run_notebooks(["zz"])
        assert capsys.readouterr().out == f"names and addresses as in settings.ini: {few}\n"
