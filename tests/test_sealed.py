"The edition without answers."

import base64
import hashlib
import subprocess
import sys
import zipfile

import pytest

from mnist_course.checks import COURSE
from mnist_course.making.sealed import _sealed, seal


def test_nothing_of_an_answer_is_left():
    text = "\n".join(_sealed().values())
    assert all(f"'{id}'" in text for id in COURSE)
    assert (
        "@mistake" not in text
        and "mistake(" not in text
        and "51328" not in text
        and "def " not in text
    )
    assert len(_sealed()) == len({item.lesson for item in COURSE.values()}) + 1


def wheel(folder, version="0.1.0"):
    "A wheel with the modules that are replaced, as far as it matters here."
    path = folder / f"mnist_course-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as target:
        for name in [*_sealed(), "mnist_course/base.py"]:
            target.writestr(name, "answer = 51_328\n")
        inside = f"mnist_course-{version}.dist-info"
        target.writestr(f"{inside}/METADATA", f"Metadata-Version: 2.1\nVersion: {version}\n\nx")
        target.writestr(f"{inside}/RECORD", "")
    return path


def test_a_wheel_is_rewritten_and_says_so(tmp_path):
    new = seal(wheel(tmp_path))
    assert new.name == "mnist_course-0.1.0+exam-py3-none-any.whl"
    with zipfile.ZipFile(new) as made:
        names = made.namelist()
        assert "51_328" not in made.read("mnist_course/checks/shapes.py").decode()
        assert made.read("mnist_course/base.py") == b"answer = 51_328\n"
        assert b"Version: 0.1.0+exam\n" in made.read("mnist_course-0.1.0+exam.dist-info/METADATA")
        record = made.read("mnist_course-0.1.0+exam.dist-info/RECORD").decode().splitlines()
    assert sorted(line.split(",")[0] for line in record) == sorted(names)


def test_a_sealed_module_names_its_exercises_and_registers_them():
    text = _sealed()["mnist_course/checks/shapes.py"]
    said = []
    code = text.replace("from .engine import _KEPT, exercise", "")
    exec(code, {"exercise": lambda *about, answer: said.append((about, answer)), "_KEPT": "kept"})
    items = [item for item in COURSE.values() if item.lesson == "03"]
    assert said == [
        ((one.id, one.title, one.difficulty, one.minutes, one.kind), "kept") for one in items
    ]
    assert text.startswith('"""The exercises of lesson 03,') and text.endswith("answer=_KEPT)\n")
    compile(_sealed()["mnist_course/checks/variants.py"], "variants.py", "exec")


def test_the_record_of_a_sealed_wheel_is_what_an_installer_computes(tmp_path):
    new = seal(str(wheel(tmp_path)), str(tmp_path / "exam"))
    assert new == tmp_path / "exam" / "mnist_course-0.1.0+exam-py3-none-any.whl"
    inside = "mnist_course-0.1.0+exam.dist-info"
    with zipfile.ZipFile(new) as made:
        assert {one.compress_type for one in made.infolist()} == {zipfile.ZIP_DEFLATED}
        lines = made.read(f"{inside}/RECORD").decode().split("\n")
        assert lines[-2:] == [f"{inside}/RECORD,,", ""]
        for line in lines[:-2]:
            name, mark, size = line.split(",")
            content = made.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
            assert mark == f"sha256={digest.rstrip('=')}" and int(size) == len(content)
        assert made.read(f"{inside}/METADATA") == (
            b"Metadata-Version: 2.1\nVersion: 0.1.0+exam\n\nx"
        )
        for name, text in _sealed().items():
            assert made.read(name).decode() == text
        assert not any(name.startswith("mnist_course-0.1.0.dist-info") for name in made.namelist())


def test_what_is_no_wheel_of_the_course_is_refused(tmp_path):
    for name in ("other-1.0-py3-none-any.whl", "mnist_course.zip"):
        with pytest.raises(ValueError, match="no wheel of this course"):
            seal(tmp_path / name)
    path = tmp_path / "mnist_course-0.0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("mnist_course/base.py", "")
    with pytest.raises(ValueError, match="another version"):
        seal(path)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.slow
def test_the_course_works_without_answers(tmp_path):
    "The package as it is here, with the sealed modules in place."
    import shutil

    import mnist_course

    package = tmp_path / "mnist_course"
    shutil.copytree(
        mnist_course.__path__[0], package, ignore=shutil.ignore_patterns("__pycache__", "making")
    )
    for name, text in _sealed().items():
        (tmp_path / name).write_text(text)
    code = (
        "from mnist_course.checks import check, exercises, progress, yours\n"
        "said = check('03.team_params', 51328)\n"
        "assert said.status == 'not attempted' and 'grader will look' in said.message, said\n"
        "assert check('03.same_padding', lambda k: 1).status == 'not attempted'\n"
        "assert check('03.team_params', 1, variant='Ada').status == 'not attempted'\n"
        "assert len(list(exercises())) == len(progress()) and not any(\n"
        "    one.misconceptions or callable(one.solution) for one in exercises())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
