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


OURS = {
    "git": "github.com/old-one/digits",
    "site": "https://old-one.github.io/digits",
    "title": "digits",
    "author": "The authors",
    "author_email": "us@old.example",
}
INI = """[DEFAULT]
user = {user}
repo = digits
title = {title}
author = The authors
author_email = us@old.example
git_url = https://github.com/%(user)s/%(repo)s/
doc_host = https://%(user)s.github.io
doc_baseurl = /%(repo)s
note = a: b
"""
CITATION = """title: "digits: a course"
authors:
  - name: "The authors"
    email: "us@old.example"
repository-code: "https://github.com/old-one/digits"
url: "https://old-one.github.io/digits"
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    "A repository of a few files."
    (tmp_path / "settings.ini").write_text(INI.format(user="old-one", title="digits"), "utf-8")
    (tmp_path / "CITATION.cff").write_text(CITATION, "utf-8")
    monkeypatch.setattr(repository, "root", lambda: tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_both_files_say_the_same_of_a_repository(small):
    assert repository._cited() == repository._configured() == OURS
    assert settings()["note"] == "a: b" and follow_settings() == []
    text = CITATION.replace('"The authors"', "The authors").replace('"us@old.example"', "us@x.y")
    (small / "CITATION.cff").write_text(text, "utf-8")
    assert repository._cited() == {**OURS, "author_email": "us@x.y"}


def test_what_a_citation_does_not_tell_any_more_is_named(small):
    lines = CITATION.splitlines()
    (small / "CITATION.cff").write_text("\n".join([*lines[:2], *lines[4:5]]), "utf-8")
    with pytest.raises(ValueError, match="doesn't tell its site, author, author_email any more"):
        follow_settings()


def test_a_fork_is_renamed_where_it_means_the_repository_and_nowhere_else(small):
    text = (
        "See https://old-one.github.io/digits/a.html, old-one.github.io, "
        "git clone https://github.com/old-one/digits and old-one/digits.\n"
    )
    other = "my-old-one/digits old-one/digits2 bold-one.github.io.x github.com/old-one/digits-x\n"
    files = {
        "README.md": text + other,
        "nbs/a.ipynb": text,
        ".github/workflows/x.yml": text,
        "LICENSE": "by old-one/digits",
        "nbs/.ipynb_checkpoints/a.ipynb": text,
        "nbs/picture.png": text,
        "elsewhere/a.md": text,
        "nbs/none.md": "nothing",
    }
    for name, content in files.items():
        (small / name).parent.mkdir(parents=True, exist_ok=True)
        (small / name).write_text(content, "utf-8")
    (small / "nbs" / "latin.md").write_bytes(b"\xff old-one/digits")
    (small / "nbs" / "folder.md").mkdir()
    (small / "settings.ini").write_text(INI.format(user="New", title="digits"), "utf-8")
    settings.cache_clear()
    assert follow_settings() == [
        "LICENSE",
        "README.md",
        "nbs/a.ipynb",
        ".github/workflows/x.yml",
        "CITATION.cff",
    ]
    now = (
        "See https://New.github.io/digits/a.html, New.github.io, "
        "git clone https://github.com/New/digits and New/digits.\n"
    )
    assert (small / "README.md").read_text("utf-8") == now + other
    assert (small / "nbs" / "a.ipynb").read_text("utf-8") == now
    for name in ("nbs/.ipynb_checkpoints/a.ipynb", "nbs/picture.png", "elsewhere/a.md"):
        assert (small / name).read_text("utf-8") == text
    assert (
        'repository-code: "https://github.com/New/digits"' in (small / "CITATION.cff").read_text()
    )
    assert repository._cited() == repository._configured()


def test_a_new_title_changes_the_citation_alone(small):
    (small / "README.md").write_text("digits: a course", "utf-8")
    (small / "settings.ini").write_text(INI.format(user="old-one", title=r"a\1 & b"), "utf-8")
    settings.cache_clear()
    assert follow_settings() == ["CITATION.cff"]
    assert (small / "CITATION.cff").read_text("utf-8").startswith(r'title: "a\1 & b: a course"')


def test_without_a_clone_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setattr(repository, "clone", lambda: None)
    with pytest.raises(ValueError, match="git clone it first"):
        repository.root()
