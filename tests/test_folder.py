"""The learner's folder, and the promise that nothing of theirs is overwritten."""

import hashlib
import json

import pytest

import mnist_course.teaching.folder as own_folder
from mnist_course.progress import MANIFEST, events
from mnist_course.teaching.folder import write_course
from mnist_course.teaching.notebooks import learner_notebooks


def notebook(*sources: str) -> dict:
    cells = [
        {
            "cell_type": "code",
            "source": [s],
            "metadata": {"tags": ["x"]},
            "outputs": [1],
            "execution_count": 3,
        }
        for s in sources
    ]
    return {
        "cells": cells,
        "metadata": {"mnist_course": {"code": "x"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def course(tmp_path, monkeypatch):
    "Two lessons that a test may change, and the learner's folder."
    source = tmp_path / "nbs"
    source.mkdir()
    for name in ("00_a.ipynb", "01_b.ipynb"):
        (source / name).write_text(json.dumps(notebook(f"print('{name}')")))
    monkeypatch.setattr(own_folder, "learner_notebooks", lambda: sorted(source.glob("*.ipynb")))
    return source, tmp_path / "my_course"


def test_first_and_second_time(course):
    assert write_course(course[1]) == ["00_a.ipynb: new", "01_b.ipynb: new"]
    assert write_course(course[1]) == []


def test_update_of_an_untouched_lesson(course):
    source, folder = course
    write_course(folder)
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    assert [line.partition(" (")[0] for line in write_course(folder)] == ["01_b.ipynb: updated"]
    assert "better" in (folder / "01_b.ipynb").read_text()


def test_update_of_a_changed_lesson(course):
    source, folder = course
    write_course(folder)
    (folder / "01_b.ipynb").write_text("mine")
    assert write_course(folder) == []
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    said = ["01_b.ipynb: yours is kept, and the new edition 01_b.new.ipynb waits beside it"]
    for _ in range(3):  # it's named as long as it waits, and there is one of it
        assert [line.partition(" (")[0] for line in write_course(folder)] == said
    assert (folder / "01_b.ipynb").read_text() == "mine"
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better still")))
    write_course(folder)
    assert [path.name for path in folder.glob("01_b.new*")] == ["01_b.new.ipynb"]
    (folder / "01_b.new.ipynb").write_text("mine too")
    (source / "01_b.ipynb").write_text(json.dumps(notebook("best")))
    assert "01_b.new2.ipynb waits" in write_course(folder)[0]
    assert (folder / "01_b.new.ipynb").read_text() == "mine too"
    (folder / "01_b.new2.ipynb").unlink()  # no, thank you
    assert write_course(folder) == []


def as_jupyterlab_saves(path, ran: bool) -> None:
    "A lesson that was opened, or run to its end; nobody typed anything."
    found = json.loads(path.read_text())
    found["metadata"]["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "name": "python3"}
    found["metadata"]["language_info"] = {"name": "python", "version": "3.13.1"}
    for cell in found["cells"]:
        cell["source"] = "".join(cell["source"])
        if ran:
            cell |= {"execution_count": 7, "outputs": [{"output_type": "stream", "text": ["7"]}]}
            cell["metadata"] = {"scrolled": True, "trusted": True}
    if ran:  # Shift-Enter in the last cell makes an empty one
        found["cells"].append({"cell_type": "code", "id": "e", "source": [], "metadata": {}})
    path.write_text(json.dumps(found, indent=2) + "\n")


@pytest.mark.parametrize("ran", [False, True])
def test_a_lesson_that_was_only_opened_or_run_is_ours(course, ran):
    source, folder = course
    write_course(folder)
    as_jupyterlab_saves(folder / "01_b.ipynb", ran)
    assert write_course(folder) == []
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    assert [line.partition(" (")[0] for line in write_course(folder)] == ["01_b.ipynb: updated"]
    assert not [*folder.glob("*.new*")]


def test_one_letter_is_a_change(course):
    source, folder = course
    write_course(folder)
    text = (folder / "01_b.ipynb").read_text()
    (folder / "01_b.ipynb").write_text(text.replace("print(", "print(1, "))
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    assert "yours is kept" in write_course(folder)[0]


def sections(**parts: str) -> str:
    cells = [
        {"cell_type": "markdown", "source": f"## {head}\n\n{text}", "metadata": {}}
        for head, text in parts.items()
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def test_what_is_new_is_said(course):
    source, folder = course
    (source / "01_b.ipynb").write_text(sections(Kernels="a", Padding="b", Pools="c"))
    write_course(folder)
    (source / "01_b.ipynb").write_text(sections(Kernels="a", Strides="b", Pools="now c"))
    what = "(new: Strides; changed: Pools; gone: Padding)"
    (folder / "00_a.ipynb").unlink()
    assert write_course(folder) == ["00_a.ipynb: written again", f"01_b.ipynb: updated {what}"]
    (folder / "01_b.ipynb").write_text("mine")
    (source / "01_b.ipynb").write_text(sections(Kernels="a", Strides="b"))
    for _ in range(2):
        (said,) = write_course(folder)
        assert said.endswith("01_b.new.ipynb waits beside it (gone: Pools)")
    (folder / "01_b.new.ipynb").replace(folder / "01_b.ipynb")  # taken over
    assert write_course(folder) == [] and not [*folder.glob("*.new*")]


def test_who_copies_the_new_edition_needs_it_no_more(course):
    source, folder = course
    write_course(folder)
    (folder / "01_b.ipynb").write_text("mine")
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    write_course(folder)
    (folder / "01_b.ipynb").write_bytes((folder / "01_b.new.ipynb").read_bytes())
    assert write_course(folder) == [] and not [*folder.glob("*.new*")]


def test_a_folder_of_before(course):
    "The bytes were remembered then, and progress was in sight."
    source, folder = course
    write_course(folder)
    ours = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.ipynb")
    }
    (folder / MANIFEST).write_text(json.dumps({"version": "0.1.0", "files": ours}))
    event = {"kind": "check", "id": "01.x", "status": "passed", "lessons": 16}
    (folder / "progress.jsonl").write_text(json.dumps(event))
    assert events(folder) == [event]
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    assert write_course(folder) == ["01_b.ipynb: updated"]
    assert events(folder) == [event]
    assert not [
        path for path in folder.iterdir() if "progress" in path.name and path.name[0] != "."
    ]
    (folder / "progress.jsonl").write_text(json.dumps({**event, "id": "01.y"}))  # an open kernel
    write_course(folder)
    assert {one["id"] for one in events(folder)} == {"01.x", "01.y"}


def test_some_lessons(tmp_path):
    folder = tmp_path / "my_course"
    said = write_course(folder, ["01-03", "5"])
    names = sorted(path.name[:2] for path in folder.glob("*.ipynb"))
    assert names == ["01", "02", "03", "05"] and len(said) == 4
    assert write_course(folder) == []  # the choice is remembered
    assert [line[:2] for line in write_course(folder, ["06"])] == ["06"]
    assert len(write_course(folder, ["all"])) == len(learner_notebooks()) - 5
    for wrong in (["99"], ["03-99"], ["shapes"], ["05-03"]):
        with pytest.raises(ValueError, match=r"no lesson|goes backwards"):
            write_course(folder, wrong)


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": 3}', '{"version": "1"}'])
def test_a_damaged_manifest_loses_nothing(course, manifest):
    source, folder = course
    write_course(folder)
    (folder / "00_a.ipynb").write_text("mine")
    (folder / ".mnist_course.json").write_text(manifest)
    (source / "00_a.ipynb").write_text(json.dumps(notebook("better")))
    write_course(folder)
    assert (folder / "00_a.ipynb").read_text() == "mine"


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "my_course").write_text("not a folder")
    with pytest.raises(NotADirectoryError, match="give the name of a folder"):
        write_course(tmp_path / "my_course")
    assert (tmp_path / "my_course").read_text() == "not a folder"


@pytest.mark.parametrize("edition", ["first", "second"])
@pytest.mark.parametrize("last", [0, 1, 2, 3])
def test_a_call_that_is_broken_off_is_finished_by_the_next_one(course, monkeypatch, edition, last):
    "Stopped after each file in turn, also where the learner's own version stays beside the new one."
    source, folder = course
    if edition == "second":
        write_course(folder)
        (folder / "00_a.ipynb").write_text("mine")
        for path in source.glob("*"):
            path.write_text(json.dumps(notebook("better")))
    write = own_folder.write_atomically
    done = []

    def stops(path, content):
        if len(done) == last:
            raise KeyboardInterrupt
        done.append(path)
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(own_folder, "write_atomically", stops)
        to_json = lambda path, value: stops(path, json.dumps(value).encode())  # noqa: E731
        patch.setattr(own_folder, "write_json", to_json)
        with pytest.raises(KeyboardInterrupt):
            write_course(folder)
    write_course(folder)
    names = {path.name for path in folder.glob("*.ipynb")}
    beside = {"00_a.new.ipynb"} if edition == "second" else set()
    assert names == {"00_a.ipynb", "01_b.ipynb"} | beside
    assert all("00_a.new.ipynb waits beside it" in line for line in write_course(folder))


@pytest.mark.parametrize(
    "manifest", ["[" * 100_000, '{"files": {"00_a.ipynb": Infinity}}', "\ud800"]
)
def test_a_manifest_of_odd_things_counts_as_none(course, manifest):
    folder = course[1]
    write_course(folder)
    (folder / ".mnist_course.json").write_bytes(manifest.encode("utf-8", "surrogatepass"))
    assert write_course(folder) == []
