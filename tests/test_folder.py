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


# ---- the words


def parts(*names: str, mark: str = "1") -> dict[str, str]:
    return dict.fromkeys(names, mark)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, parts("A"), ""),  # nobody knows what was there
        (parts("A", "B"), parts("A", "B"), ""),
        (parts("A"), parts("A", "B", "C", "D"), "new: B, C, D"),
        (parts("A"), parts("A", *"BCDEF"), "new: B, C, D and 2 more"),
        (parts("", "A"), {"": "2", "A": "1"}, "changed: its beginning"),
        (parts("A", "B", "C"), parts("C"), "gone: A, B"),
        (parts("A", "B"), {"B": "2", "C": "1"}, "new: C; changed: B; gone: A"),
    ],
)
def test_news_are_told_in_a_few_words(old, new, said):
    assert own_folder._news(old, new) == said


def test_a_section_ends_at_the_next_heading_and_only_prose_has_headings():
    page = json.loads(sections(Kernels="a", Padding="b"))
    code = {"cell_type": "code", "source": ["## no heading"], "metadata": {}}
    page["cells"].insert(1, code)
    page["cells"].insert(0, {"cell_type": "markdown", "source": "# Title", "metadata": {}})
    page["cells"].append({"cell_type": "markdown", "source": [" \n"], "metadata": {}})
    assert own_folder._said(page) == [
        ("", "# Title"),
        ("Kernels", "## Kernels\n\na"),
        ("Kernels", "## no heading"),
        ("Padding", "## Padding\n\nb"),
    ]


def test_where_a_link_leads_to_on_the_site_is_no_change():
    page = json.loads(sections(A="See [it](https://example.org/x/01_data.html#top)."))
    other = json.loads(sections(A="See [it](01_data.ipynb#top)."))
    another = json.loads(sections(A="See [it](02_convolution.ipynb#top)."))
    marks = [own_folder._mark(one) for one in (page, other, another)]
    assert marks[0] == marks[1] != marks[2] and all(len(mark) == 64 for mark in marks)


# ---- the files


def test_a_lesson_is_written_as_jupyter_writes_it(course):
    "Letters as they are, one space deep, a line end at the end: Git shows few lines as changed."
    source, folder = course
    (source / "01_b.ipynb").write_text(json.dumps(notebook("x = 'Größe'")))
    write_course(folder)
    text = (folder / "01_b.ipynb").read_text("utf-8")
    edition = json.loads(text)
    assert text == json.dumps(edition, indent=1, ensure_ascii=False) + "\n" and "Größe" in text
    assert edition["cells"][0]["outputs"] == []


def test_several_new_editions_become_one(course):
    source, folder = course
    write_course(folder)
    (folder / "01_b.ipynb").write_text("mine")
    (source / "01_b.ipynb").write_text(json.dumps(notebook("better")))
    write_course(folder)
    waiting = (folder / "01_b.new.ipynb").read_bytes()
    for name in ("01_b.new2.ipynb", "01_b.new3.ipynb"):
        (folder / name).write_bytes(waiting)
    manifest = json.loads((folder / MANIFEST).read_text())
    mark = manifest["files"]["01_b.new.ipynb"]
    manifest["files"] |= {"01_b.new2.ipynb": mark, "01_b.new3.ipynb": mark}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (source / "01_b.ipynb").write_text(json.dumps(notebook("best")))
    assert "the new edition 01_b.new.ipynb waits" in write_course(folder)[0]
    assert [path.name for path in folder.glob("*.new*")] == ["01_b.new.ipynb"]
    assert "best" in (folder / "01_b.new.ipynb").read_text()
    (folder / "01_b.new2.ipynb").write_bytes((folder / "01_b.new.ipynb").read_bytes())
    (folder / "01_b.ipynb").unlink()  # whoever takes the course's own needs none of them
    assert write_course(folder) == ["01_b.ipynb: written again (changed: its beginning)"]
    assert [path.name for path in folder.glob("*.new.ipynb")] == []


def test_a_manifest_remembers_files_sections_and_what_was_asked_for(course):
    source, folder = course
    (source / "01_b.ipynb").write_text(sections(Kernels="a"))
    write_course(folder, ["01"])
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest) == {"version", "files", "sections", "lessons"}
    assert manifest["lessons"] == ["01"] and set(manifest["files"]) == {"01_b.ipynb"}
    assert set(manifest["sections"]["01_b.ipynb"]) == {"Kernels"}
    write_course(folder, ["00"])  # what is there is still looked after
    assert set(json.loads((folder / MANIFEST).read_text())["files"]) == {"00_a.ipynb", "01_b.ipynb"}
    (source / "01_b.ipynb").write_text(sections(Kernels="b"))
    assert write_course(folder) == ["01_b.ipynb: updated (changed: Kernels)"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("files", [1]), ("sections", {"01_b.ipynb": 3}), ("lessons", "01"), ("lessons", [1, None])],
)
def test_a_part_of_a_manifest_that_is_odd_counts_as_none(course, key, value):
    source, folder = course
    write_course(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {key: value}))
    (source / "01_b.ipynb").write_text(sections(Kernels="a"))
    (said,) = write_course(folder)
    assert ("yours is kept" in said) == (key == "files")
    assert ("(new: Kernels; gone: its beginning)" in said) == (key != "sections")


def test_a_folder_in_the_place_of_a_lesson_is_the_learners(course):
    folder = course[1]
    (folder / "01_b.ipynb").mkdir(parents=True)
    said = ["00_a.ipynb: new", "01_b.ipynb: yours is kept, and the new edition 01_b.new.ipynb "]
    assert [line.partition("waits")[0] for line in write_course(folder)] == said
    assert (folder / "01_b.ipynb").is_dir() and (folder / "01_b.new.ipynb").is_file()


# ---- JupyterLab


def test_jupyterlab_is_told_where_to_begin_and_that_root_is_meant(monkeypatch):
    monkeypatch.setattr(own_folder.os, "geteuid", lambda: 1000, raising=False)
    words = own_folder._lab_command("03_shapes.ipynb", ["--port=8890"])
    assert words[:4] == [
        own_folder.sys.executable,
        "-m",
        "jupyterlab",
        "--LabApp.default_url=/lab/tree/03_shapes.ipynb",
    ]
    assert words[-1] == "--port=8890" and "--allow-root" not in words
    assert set(own_folder._QUIET) < set(words)
    monkeypatch.setattr(own_folder.os, "geteuid", lambda: 0)
    assert "--allow-root" in own_folder._lab_command()
    monkeypatch.delattr(own_folder.os, "geteuid")  # Windows has none
    assert "--allow-root" not in own_folder._lab_command()


def test_jupyterlabs_settings_are_ours_and_the_learners(monkeypatch):
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    ours = own_folder._lab_environment()["JUPYTER_CONFIG_PATH"]
    assert own_folder.os.pathsep not in ours and own_folder.os.path.isdir(ours)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "theirs")
    both = own_folder._lab_environment()
    assert both["JUPYTER_CONFIG_PATH"].split(own_folder.os.pathsep) == ["theirs", ours]
    assert both["PATH"] == own_folder.os.environ["PATH"]


@pytest.mark.skipif(own_folder.os.name != "posix", reason="there the process stays")
@pytest.mark.parametrize(
    ("there", "first"), [([], "00_start_here"), (["05_loss", "03_shapes"], "03_shapes")]
)
def test_jupyterlab_takes_the_place_of_the_process_in_the_learners_folder(
    tmp_path, monkeypatch, there, first
):
    started = []
    monkeypatch.chdir(tmp_path)
    for name in there:
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / f"{name}.ipynb").touch()
    (tmp_path / "mine").mkdir(exist_ok=True)

    def replaced(program, words, environment):
        started.append((program, words, environment, own_folder.os.getcwd()))
        raise SystemExit

    monkeypatch.setattr(own_folder.os, "execve", replaced)
    with pytest.raises(SystemExit):
        own_folder.open_lab("mine", ["--no-browser"])
    ((program, words, environment, where),) = started
    assert program == words[0] == own_folder.sys.executable and words[-1] == "--no-browser"
    assert f"--LabApp.default_url=/lab/tree/{first}.ipynb" in words
    assert where == str((tmp_path / "mine").resolve()) and "JUPYTER_CONFIG_PATH" in environment


def test_where_no_process_can_become_another_ctrl_c_is_jupyterlabs(tmp_path, monkeypatch):
    "It is the one to say when it's over, and its status is ours."
    seen = []

    class Lab:
        interrupted = False

        def __init__(self, words, cwd, env):
            seen.append((words[0], cwd, env["JUPYTER_CONFIG_PATH"]))

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *error: None  # noqa: E731

        def wait(self):
            if not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return 7

    with monkeypatch.context() as patch:
        patch.setattr(own_folder.os, "name", "elsewhere")
        patch.setattr(own_folder.subprocess, "Popen", Lab)
        assert own_folder.open_lab(tmp_path) == 7
    assert [(one[0], one[1]) for one in seen] == [(own_folder.sys.executable, tmp_path)]
