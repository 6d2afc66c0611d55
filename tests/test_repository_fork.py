"A fork is called what its settings.ini says, everywhere."

import re
import shutil
import subprocess

import pytest
from helpers import ROOT

import mnist_course.making.repository as repository
from mnist_course.making.repository import follow_settings, settings

FORKS = {
    "a name of one's own": {"user": "uni-example"},
    "all of it": {
        "user": "Prof-O.Neill",
        "repo": "digits_2027",
        "title": "Digits & letters",
        "doc_host": "https://digits.uni.example",
        "doc_baseurl": "/",
        "author": "Ada Lovelace",
        "author_email": "ada@uni.example",
    },
    "a name with the old one in it": {"user": "mnist-course-fork", "repo": "mnist_course_2"},
}
OLD = [
    re.escape(settings()["git_url"].partition("://")[2]) + r"(?![\w-])",
    rf"(?<![\w-]){re.escape(settings()['user'])}/",
    rf"(?<![\w-]){re.escape(settings()['doc_host'].partition('://')[2])}",
]
EMAIL = settings()["author_email"]


def copy_of_the_repository(place):
    "What is under version control."
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in files.stdout.decode().split("\0")[:-1]:
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)


def read(place):
    "All texts of a fork, by name."
    for path in place.rglob("*"):
        if path.is_file():
            try:
                yield path.relative_to(place).as_posix(), path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this needs git's list of files")
@pytest.mark.parametrize("changed", FORKS.values(), ids=FORKS)
def test_nothing_of_the_old_names_is_left(tmp_path, monkeypatch, changed):
    copy_of_the_repository(tmp_path)
    ini = (tmp_path / "settings.ini").read_text("utf-8")
    for key, value in changed.items():
        ini = re.sub(rf"^{key} = .*$", lambda _, line=f"{key} = {value}": line, ini, flags=re.M)
    (tmp_path / "settings.ini").write_text(ini, "utf-8")
    before = dict(read(tmp_path))
    monkeypatch.setattr(repository, "root", lambda: tmp_path)
    settings.cache_clear()
    try:
        done = follow_settings()
        assert {"README.md", "CITATION.cff", "SECURITY.md", "nbs/index.ipynb"} <= {*done}
        after = dict(read(tmp_path))
        left = [
            f"{name}: {match[0]}"
            for name, text in after.items()
            for old in OLD
            for match in re.finditer(old, text)
        ]
        assert not left
        assert {name for name in after if after[name] != before[name]} == {*done}
        now = settings()
        assert f"git clone {now['git_url']}\n" in after["README.md"]
        assert (
            f"colab.research.google.com/github/{now['user']}/{now['repo']}/" in after["README.md"]
        )
        assert f'title: "{now["title"]}: ' in after["CITATION.cff"]
        for name, text in after.items():
            if name != "settings.ini" and "author_email" in changed:
                assert EMAIL not in text, name
        assert follow_settings() == []  # and a second call finds nothing to do
    finally:
        settings.cache_clear()


def test_here_everything_is_as_settings_ini_says():
    assert repository._cited() == repository._configured()
