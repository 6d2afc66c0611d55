"Made-up classes in the shape of each platform's export: one learner is one person, and what isn't looked at is named."

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from mnist_course.base import DataError
from mnist_course.teaching.folder import MANIFEST
from mnist_course.teaching.grading.submissions import (
    _EXPORTS,
    Handed,
    choose,
    gather,
    match,
    read_roster,
)

NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
CLASS = [
    ("Ada Lovelace", "101"),
    ("Emmy Noether", "102"),
    ("Jean-Luc Picard", "103"),
    ("Siân O'Brien", "104"),
    ("Anna van der Berg", "105"),
    ("李 明", "106"),
]
FILES = ("03_shapes.ipynb", "helper.py", "05_loss.ipynb")


def flat_name(name: str) -> str:  # as Canvas writes it: the last name first
    first, _, last = name.partition(" ")
    return "".join(one for one in last + first if one.isalnum()).lower()


def platform(shape: str) -> dict[str, bytes]:
    "A class's export: the path of each file, and what is in it."
    made = {}
    for i, (name, id) in enumerate(CLASS):
        user = f"u{id}"
        for file in FILES:
            late = "LATE_" if i == 1 else ""
            suffix = Path(file).suffix
            made[
                {
                    "moodle": f"{name}_{id}_assignsubmission_file_/{file}",
                    "moodle flat": f"{name}_{id}_assignsubmission_file_{file}",
                    "canvas": f"{flat_name(name)}_{late}{id}_{900 + i}_{Path(file).stem}-{i}{suffix}",
                    "google": f"{name} - {file}",
                    "blackboard": f"Lab_3_{user}_attempt_2024-01-31-13-45-{10 + i}_{file}",
                    "brightspace": f"{id}-77 - {name} - Jan 31, 2024 145 PM/{file}",
                    "brightspace flat": f"{id}-77 - {name}- 31 January, 2024 1345 - {file}",
                    "github": f"lab-3-{user}/{file}",
                    "plain": f"{name}/{file}",
                }[shape]
            ] = NOTEBOOK.encode()
        if shape == "blackboard":
            made[f"Lab_3_{user}_attempt_2024-01-31-13-45-{10 + i}.txt"] = (
                f"Name: {name} ({user})\nAssignment: Lab 3\n".encode()
            )
        if shape == "github":
            made[f"lab-3-{user}/.git/config"] = b""
        if shape.startswith("brightspace"):
            made["index.html"] = b"<html>"
    return made


SHAPES = [
    "moodle",
    "moodle flat",
    "canvas",
    "google",
    "blackboard",
    "brightspace",
    "brightspace flat",
    "github",
    "plain",
]


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def read(source: Path, tmp_path: Path, **options) -> Handed:
    into = tmp_path / f"into{len(list(tmp_path.iterdir()))}"
    into.mkdir()
    return gather(source, into, **options)


def names(handed: Handed) -> list[str]:
    return [one.name for one in handed.learners]


def files(handed: Handed) -> dict[str, set[str]]:
    return {one.name: {path.name for path in one.files} for one in handed.learners}


def shown(shape: str) -> set[str]:
    "What the learners are called without a roster."
    return {
        flat_name(name) if shape == "canvas" else f"u{id}" if shape == "github" else name
        for name, id in CLASS
    }


@pytest.mark.parametrize(
    "packed", ["folder", "zip", "zip with a folder in it", "folder with a zip in it"]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_one_learner_is_one_person_whatever_the_export(tmp_path, shape, packed):
    made = platform(shape)
    if packed == "folder":
        source = lay(tmp_path / "class", made)
    elif packed == "folder with a zip in it":
        source = lay(tmp_path / "class", {"download.zip": zipped(made)})
    else:
        top = "Lab 3/" if "in it" in packed else ""
        source = tmp_path / "class.zip"
        source.write_bytes(zipped({top + name: content for name, content in made.items()}))
    handed = read(source, tmp_path)
    # without .git, which zips leave out, only a roster tells repositories from folders
    known = "plain" if shape == "github" and packed != "folder" else shape.partition(" ")[0]
    assert handed.export == known and known in _EXPORTS
    if known == shape.partition(" ")[0]:
        assert set(names(handed)) == shown(shape) and len(handed.learners) == len(CLASS)
    assert "6 learners" in handed.said[0]
    for one in handed.learners:
        stems = {path.name.split(".")[0].rsplit("-", 1)[0] for path in one.files}
        assert stems == {"03_shapes", "helper", "05_loss"}, one
        assert len({path.parent for path in one.files}) == 1  # so that modules are found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_roster_gives_names_and_says_who_handed_in_nothing(tmp_path, shape):
    handed = read(lay(tmp_path / "class", platform(shape)), tmp_path)
    rows = "".join(f"{name},{id},u{id},{id}@uni.example\n" for name, id in CLASS)
    roster = tmp_path / "roster.csv"
    roster.write_text(
        f"Full name,ID number,Username,Email address\n{rows}Grace Hopper,107,u107,g@uni.example\n",
        "utf-8",
    )
    said = match(handed, read_roster(roster))
    assert {one.name: one.email for one in handed.learners} == {
        name: f"{id}@uni.example" for name, id in CLASS
    } | {"Grace Hopper": "g@uni.example"}
    assert said == ["1 of the roster handed in nothing: Grace Hopper"]
    assert [one.remarks for one in handed.learners if one.name == "Grace Hopper"] == [
        ["handed in nothing"]
    ]


def test_late_again_and_when(tmp_path):
    made = {
        "curiemarie_LATE_7_91_03_shapes-2.ipynb": b"{}",
        "curiemarie_7_92_03_shapes.ipynb": b"{}",
        "bohrniels_8_93_03_shapes-1.ipynb": b"{}",
        "bohrniels_8_94_helper-1.py": b"x = 1",
    }
    handed = read(lay(tmp_path / "class", made), tmp_path)
    bohr, curie = handed.learners
    assert (bohr.id, curie.id) == ("8", "7") and not bohr.late
    assert {path.name for path in bohr.files} == {"03_shapes-1.ipynb", "helper.py"}
    assert [path.name for path in curie.late] == ["03_shapes-2.ipynb"]
    last = sorted(curie.order, key=curie.order.get)[-1]
    assert last.name == "03_shapes-2.ipynb"
    handed = read(lay(tmp_path / "board", platform("blackboard")), tmp_path)
    assert {when for one in handed.learners for when, _, _ in one.order.values()} == {
        f"2024-01-31 13:45:1{i}" for i in range(6)
    }
    for shape in ("brightspace", "brightspace flat"):
        handed = read(lay(tmp_path / shape, platform(shape)), tmp_path)
        assert {when for one in handed.learners for when, _, _ in one.order.values()} == {
            "2024-01-31 13:45:00"
        }


def test_archives_within_archives(tmp_path):
    deeper = zipped({"07_sgd.ipynb": b"{}", "deepest.zip": b"PK"})
    inner = zipped(
        {
            "mine/03_shapes.ipynb": b"{}",
            "mine/helper.py": b"x = 1",
            "__MACOSX/._x": b"",
            "deep.zip": zipped({"05_loss.ipynb": b"{}", "deeper.zip": deeper}),
        }
    )
    made = {
        "Ada_1_assignsubmission_file_/work.zip": inner,
        "Ben_2_assignsubmission_file_work.zip": inner,
    }
    handed = read(lay(tmp_path / "class", made), tmp_path)
    inside = {"03_shapes.ipynb", "helper.py", "05_loss.ipynb"}
    assert files(handed) == {name: inside | {"07_sgd.ipynb"} for name in ("Ada", "Ben")}
    assert all("aren't opened" in one.remarks[0] for one in handed.learners)
    handed = read(lay(tmp_path / "zips", {"ada.zip": inner, "ben.zip": inner}), tmp_path)
    assert names(handed) == ["ada", "ben"]
    (tmp_path / "all.zip").write_bytes(zipped({"ada.zip": inner, "ben.zip": inner}))
    handed = read(tmp_path / "all.zip", tmp_path)
    assert files(handed) == {"ada": inside, "ben": inside}  # the export is one of the three levels


def hostile() -> dict[str, bytes]:
    "Zips that want something else than to be read."
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../outside.ipynb", "{}")
        archive.writestr("/etc/outside.ipynb", "{}")
        archive.writestr("C:\\outside.ipynb", "{}")
        archive.writestr("..\\outside.ipynb", "{}")
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("03_shapes.ipynb", "{}")
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("03_shapes.ipynb", "w", force_zip64=True) as file,
    ):
        for _ in range(310):
            file.write(bytes(2**20))
    many = zipped({f"{i}.txt": b"" for i in range(20_001)})
    broken = bytearray(zipped({"03_shapes.ipynb": b"{}" * 1000}))
    broken[60:80] = bytes(20)
    return {
        "paths": out.getvalue(),
        "bomb": bomb.getvalue(),
        "many": many,
        "broken": bytes(broken),
        "none": b"hello",
    }


def test_no_archive_does_more_than_hold_files(tmp_path):
    handed = read(
        lay(tmp_path / "class", {f"{name}/work.zip": raw for name, raw in hostile().items()}),
        tmp_path,
    )
    told = {one.name: " ".join(one.remarks) for one in handed.learners}
    assert files(handed)["paths"] == {"03_shapes.ipynb"}
    assert (
        told["paths"].count("it would land outside") == 4 and "a link or a device" in told["paths"]
    )
    assert "more is in it than anybody hands in" in told["bomb"] and "more is in it" in told["many"]
    assert "damaged" in told["broken"] and "damaged" in told["none"]
    inside = tmp_path / "into1"
    assert not [path for path in tmp_path.rglob("outside*")] and inside.is_dir()
    for name in ("none", "broken"):
        lay(tmp_path, {f"{name}.zip": hostile()[name]})
        with pytest.raises(ValueError, match=rf"{name}\.zip: this zip is damaged"):
            read(tmp_path / f"{name}.zip", tmp_path)


@pytest.mark.parametrize("encoding", ["cp437", "latin-1", "utf-8"])
def test_names_in_archives_that_do_not_say_how_they_are_written(tmp_path, encoding):
    raw = bytearray(zipped({"Jurgen/03_shapes.ipynb": b"{}", "Zoe/03_shapes.ipynb": b"{}"}))
    raw = raw.replace(b"Jurgen", "Jürgn".encode(encoding).ljust(6, b"_")).replace(
        b"Zoe", "Zoë".encode(encoding)[:3]
    )
    (tmp_path / "class.zip").write_bytes(raw)
    handed = read(tmp_path / "class.zip", tmp_path)
    assert any(name.startswith("Jürgn") for name in names(handed)), names(handed)


def test_what_is_no_file_is_told(tmp_path):
    folder = lay(
        tmp_path / "class",
        {
            "ada/03_shapes.ipynb": b"{}",
            "ada/.hidden/x.ipynb": b"{}",
            "ben/work.rar": b"Rar!",
            "notes.docx": b"PK",
        },
    )
    (folder / "ada" / "link.ipynb").symlink_to("/dev/zero")
    (folder / "mallory").symlink_to("/etc")
    os.mkfifo(folder / "ben" / "pipe.ipynb")
    os.makedirs(os.fsencode(folder) + b"/J\xfcrgen/in")
    handed = read(folder, tmp_path)
    assert names(handed) == ["ada", "ben", "Jürgen"]
    assert handed.learners[0].remarks == ["link.ipynb: a link, and not followed"]
    assert sorted(handed.learners[1].remarks) == [
        "pipe.ipynb: this is no ordinary file, and not looked at",
        "work.rar: only zips are opened, so ask for one of those",
    ]
    assert {
        "mallory: a link, and not followed",
        "notes.docx: no folder, notebook or zip, and so nobody's work",
    } <= set(handed.said)


def test_plain_notebooks_belong_to_whom_they_are_named_after(tmp_path):
    made = dict.fromkeys(
        [
            "ada_03_shapes.ipynb",
            "05_loss_ada.ipynb",
            "Ada/helper.ipynb",
            "ben.ipynb",
            "cleo 03.ipynb",
        ],
        b"{}",
    )
    handed = read(lay(tmp_path / "class", made), tmp_path)
    assert files(handed) == {
        "ada": {"ada_03_shapes.ipynb", "05_loss_ada.ipynb", "helper.ipynb"},
        "ben": {"ben.ipynb"},
        "cleo": {"cleo 03.ipynb"},
    }


def test_one_learners_folder_is_no_class(tmp_path):
    for i, made in enumerate(
        [
            {"03_shapes.ipynb": b"{}", "05_loss-Copy1.ipynb": b"{}", "helper.py": b""},
            {MANIFEST: b"{}", "a.ipynb": b"{}", "more/b.ipynb": b"{}"},
        ]
    ):
        handed = read(lay(tmp_path / str(i) / "ada", made), tmp_path)
        assert names(handed) == ["ada"] and "one learner's folder, and no class" in handed.said


def test_a_pattern_of_ones_own(tmp_path):
    made = dict.fromkeys(
        [
            "week3/7-lovelace/late/03_shapes.ipynb",
            "week3/8-noether/03_shapes.ipynb",
            "week3/readme.txt",
        ],
        b"{}",
    )
    handed = read(
        lay(tmp_path / "class", made),
        tmp_path,
        learner=r"(?P<id>\d+)-(?P<name>\w+)/(?P<late>late/)?(?P<file>.+)",
    )
    assert [(one.name, one.id, bool(one.late)) for one in handed.learners] == [
        ("lovelace", "7", True),
        ("noether", "8", False),
    ]
    assert "week3/readme.txt: --learner doesn't match, so it isn't looked at" in handed.said
    for bad, said in (
        ("(", "no regular expression"),
        ("x", "needs a group"),
        ("(?P<id>zzz)", "nobody's work was found"),
    ):
        with pytest.raises(ValueError, match=said):
            read(tmp_path / "class", tmp_path, learner=bad)
    with pytest.raises(ValueError, match="choose from"):
        read(tmp_path / "class", tmp_path, export="webct")


def test_what_we_write_ourselves_is_nobodys_work(tmp_path):
    made = {
        "ada/03_shapes.ipynb": b"{}",
        "grades/results.jsonl": b"",
        "grades/feedback/ada.html": b"",
        "out/x.ipynb": b"{}",
        "course.toml": b"",
        "roster.csv": b"",
    }
    folder = lay(tmp_path / "class", made)
    assert names(read(folder, tmp_path, ours=[folder / "out"])) == ["ada"]


def test_two_people_of_one_name(tmp_path):
    made = dict.fromkeys(
        [
            "Li Ming_1_assignsubmission_file_/03_shapes.ipynb",
            "Li Ming_2_assignsubmission_file_/03_shapes.ipynb",
        ],
        b"{}",
    )
    handed = read(lay(tmp_path / "class", made), tmp_path)
    assert names(handed) == ["Li Ming (1)", "Li Ming (2)"]
    roster = tmp_path / "r.csv"
    roster.write_text(
        "Identifier,Full name,Email address\nParticipant 1,Li Ming,a@x\nParticipant 2,Li Ming,b@x\n"
    )
    assert match(handed, read_roster(roster)) == [] and [one.email for one in handed.learners] == [
        "a@x",
        "b@x",
    ]
    handed = read(
        lay(tmp_path / "g", {"Li Ming - 03_shapes.ipynb": b"{}"}), tmp_path, export="google"
    )
    assert "no id tells which" in match(handed, read_roster(roster))[0]


def test_which_of_several_files_counts(tmp_path):
    def handed(**options):
        made = {
            "x_LATE_1_9_03_shapes-1.ipynb": b"{}",
            "x_1_8_03_shapes.ipynb": b"{}",
            "x_1_7_05_loss.ipynb": b"{}",
            "x_1_6_03.pdf": b"",
            "x_1_5_one_page.ipynb": b"{}",
        }
        (one,) = read(lay(tmp_path / "class", made), tmp_path).learners
        late = choose(one, wanted={"03"}, **options)
        return {path.name for path in one.files}, late, " ".join(one.remarks)

    kept, late, said = handed(rule="best")
    assert kept == {"03_shapes-1.ipynb", "03_shapes.ipynb", "03.pdf"} and late == {"03": False}
    assert "the better answer to each exercise counts" in said and "05_loss.ipynb" in said
    kept, late, said = handed(rule="last")
    assert kept == {"03_shapes-1.ipynb", "03.pdf"} and late == {"03": True}
    assert "03_shapes.ipynb: not looked at, since 03_shapes-1.ipynb is the last one" in said
    kept, late, said = handed(rule="last", on_time_first=True)
    assert kept == {"03_shapes.ipynb", "03.pdf"} and late == {"03": False} and "it was late" in said


ROSTERS = {
    "moodle": 'Identifier,"Full name","Email address",Status,Grade\n"Participant 71","Ada Lovelace",ada@x,"Submitted for grading - 2 hours late",\n',
    "canvas": 'Student,ID,SIS User ID,SIS Login ID,Section,Lab 3 (55)\n,,,,,Manual Posting\n    Points Possible,,,,,10\n"Lovelace, Ada",71,s71,ada,A,\n"Student, Test",99,,,A,\n',
    "google": "Last Name,First Name,Email Address,Lab 3\nDate,,,2024-01-31\nPoints,,,10\nLovelace,Ada,ada@x,\n",
    "github": '"identifier","github_username","github_id","name"\n"Ada Lovelace","ada","71",""\n',
    "blackboard": "Last Name\tFirst Name\tUsername\tStudent ID\tLast Access\tAvailability\tLab 3 [Total Pts: 10 Score] |9\nLovelace\tAda\tada\t71\t\tYes\t\n",
    "brightspace": "OrgDefinedId,Username,Last Name,First Name,Email,Lab 3 Points Grade <Numeric MaxPoints:10>,End-of-Line Indicator\n#71,#ada,Lovelace,Ada,ada@x,,#\n",
    "plain": "first name;LAST NAME;E-Mail\nAda;Lovelace;ada@x\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("kind", ROSTERS)
def test_rosters_of_each_platform(tmp_path, kind, encoding):
    (tmp_path / "r.csv").write_bytes(
        ROSTERS[kind].replace("Ada L", "Adä L").replace("Ada,L", "Adä,L").encode(encoding)
    )
    roster = read_roster(tmp_path / "r.csv")
    (ada,) = roster.people
    assert roster.kind == kind and roster.rows[ada.row]
    assert ada.name.replace("ä", "a") in ("Ada Lovelace", "ada") or kind == "canvas"
    assert ada.late == (kind == "moodle")
    assert kind in ("plain", "google") or ada.ids & {"71", "ada"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"a,b\n1,2\n",
        b"Full name\n",
        b"PK\x03\x04\xff\xfe\x00",
        b"\xff\xfe\x00",
        b'Full name\n"' + b"x" * 200_000,
    ],
)
def test_a_file_that_is_no_roster_is_told(tmp_path, raw):
    (tmp_path / "r.csv").write_bytes(raw)
    with pytest.raises(DataError, match=r"r\.csv"):
        read_roster(tmp_path / "r.csv")


def test_repositories_without_git_are_told_apart_by_the_roster(tmp_path):
    (tmp_path / "class.zip").write_bytes(zipped(platform("github")))
    handed = read(tmp_path / "class.zip", tmp_path)
    (tmp_path / "r.csv").write_text(
        "Full name,Username\n" + "".join(f"{name},u{id}\n" for name, id in CLASS), "utf-8"
    )
    assert match(handed, read_roster(tmp_path / "r.csv")) == []
    assert set(names(handed)) == {name for name, _ in CLASS}


def test_files_of_one_name_and_large_ones_are_all_there(tmp_path):
    made = {
        "ada/03_shapes.ipynb": b" " * 2**20,
        "ada/notes.ipynb.txt": b"1",
        "ada/a.zip": zipped({"03_shapes.ipynb": b"{}", "notes.ipynb.txt": b"2"}),
        "ada/b.zip": zipped({"03_shapes.ipynb": b"[]"}),
    }
    (ada,) = read(lay(tmp_path / "class", made), tmp_path).learners
    sizes = {path.name: path.stat().st_size for path in ada.files}
    assert sizes == {
        "03_shapes.ipynb": 2**20,
        "03_shapes (2).ipynb": 2,
        "03_shapes (3).ipynb": 2,
        "notes.ipynb.txt": 1,
        "notes (2).ipynb.txt": 1,
    } and not (ada.remarks or ada.late)


def test_two_folders_of_one_person_count_together(tmp_path):
    made = {"Ada Lovelace/03_shapes.ipynb": b"{}", "lovelaceada/05_loss.ipynb": b"{}"}
    handed = read(lay(tmp_path / "class", made), tmp_path)
    marks = {one.mark for one in handed.learners}
    (tmp_path / "r.csv").write_text("Full name,ID\nAda Lovelace,7\n")
    (said,) = match(handed, read_roster(tmp_path / "r.csv"))
    assert "are one person in the roster: their files count together" in said
    (ada,) = handed.learners
    assert {path.name for path in ada.files} == {"03_shapes.ipynb", "05_loss.ipynb"}
    assert set(ada.order) == set(ada.files) and ada.id == "7"
    assert ada.mark not in marks and all(mark in ada.mark for mark in marks)


def test_who_is_known_by_an_address_is_found_by_the_name_in_it(tmp_path):
    handed = read(lay(tmp_path / "class", {"lab-1-ada/03_shapes.ipynb": b"{}"}), tmp_path)
    (tmp_path / "r.csv").write_text("Full name,Username\nAda Lovelace,ada@uni.example\n")
    assert match(handed, read_roster(tmp_path / "r.csv")) == []
    assert names(handed) == ["Ada Lovelace"]


def entries(names: list[str]) -> bytes:
    "A zip with a notebook and with small files of these names."
    return zipped({"03_shapes.ipynb": b"{}"} | dict.fromkeys(names, b"x"))


def test_no_name_leads_out_of_a_learners_folder(tmp_path):
    "A blank before the dots is gone when a name is cleaned: what is cleaned is looked at again."
    out = [f"{blank}../" * 6 + "outside.py" for blank in (" ", "\u00a0", "\u3000", "\x1f", "\x85")]
    out += [" . /outside.py", "  /outside.py", " ..\\ ..\\ ..\\outside.py"]
    made = {f"mallory{i}/work.zip": entries([one]) for i, one in enumerate(out)}
    made["eve/ ../ ../ ../ ../outside.py"] = b"x"
    handed = read(lay(tmp_path / "class", made), tmp_path)
    found = [path for path in tmp_path.rglob("outside*") if "class" not in path.parts]
    homes = (tmp_path / "into1" / "opened", tmp_path / "into1" / "learners")
    assert len(found) >= len(out) and all(any(h in one.parents for h in homes) for one in found)
    for one in handed.learners:
        home = {path.relative_to(tmp_path / "into1").parts[:2] for path in one.files}
        assert len(home) == 1 and not any(".." in path.parts for path in one.files)


def test_folders_without_end_long_names_and_shut_doors_cost_one_learner_a_remark(
    tmp_path, monkeypatch
):
    deep = tmp_path / "class" / "deep"
    for _ in range(3):
        deep = deep.joinpath(*["a"] * 90)
        deep.mkdir(parents=True)
    stairs = ["a/" * level + "f.txt" for level in range(100, 400, 100)]
    made = {
        "ben/03_shapes.ipynb": b"{}",
        "zip/work.zip": entries(stairs),
        "long/work.zip": entries(["/".join(["ö" * 90] * 20) + "/f.txt"]),
        "twice/x." + "é" * 120: b"x",
        "twice/y." + "é" * 120: b"y",
        "shut/inside/x.txt": b"x",
        "many/work.zip": entries([f"../{i}" for i in range(300)]),
    }
    folder = lay(tmp_path / "class", made)
    seen = Path.iterdir

    def iterdir(path):
        if path.name == "inside":
            raise PermissionError(13, "Permission denied", str(path))
        return seen(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    handed = read(folder, tmp_path)
    told = {one.name: " ".join(one.remarks) for one in handed.learners}
    assert files(handed)["ben"] == {"03_shapes.ipynb"} and not told["ben"]
    assert len(files(handed)["twice"]) == 2
    assert "too deep" in told["deep"] and "too deep" in told["zip"] and "too deep" in told["long"]
    assert "it can't be read (Permission denied)" in told["shut"]
    assert told["many"].count("outside") == 50 and told["many"].endswith(
        "and 250 more of this kind"
    )


def test_an_archives_list_is_no_longer_than_what_may_be_in_it(tmp_path, monkeypatch):
    raw = entries([])
    end = raw.rindex(b"PK\5\6")  # the list itself is repeated, and its length says so
    start = int.from_bytes(raw[end + 16 : end + 20], "little")
    listed = raw[start:end] * (8 * 2**20 // (end - start))
    tail = bytearray(raw[end:])
    tail[12:16] = len(listed).to_bytes(4, "little")
    made = {"ada/work.zip": raw[:start] + listed + bytes(tail), "ben/work.zip": raw}
    folder = lay(tmp_path / "class", made)
    read_entries = []

    class Counted(zipfile.ZipInfo):
        def __init__(self, *args):
            read_entries.append(args)
            super().__init__(*args)

    monkeypatch.setattr(zipfile, "ZipInfo", Counted)
    handed = read(folder, tmp_path)
    told = {one.name: " ".join(one.remarks) for one in handed.learners}
    assert "more is in it than anybody hands in" in told["ada"] and not told["ben"]
    assert len(read_entries) < 10  # and not a hundred thousand


def test_names_that_differ_in_more_than_capitals_are_two_learners(tmp_path):
    two = ["José", "Jose", "Ann-Marie", "Annmarie", "सीता", "सुत", "กา", "กี"]
    made = dict.fromkeys([f"{name}/03_shapes.ipynb" for name in two], b"{}")
    handed = read(lay(tmp_path / "class", made), tmp_path)
    assert sorted(names(handed)) == sorted(two)
    (tmp_path / "r.csv").write_text("Full name,ID\nसीता,7\nJOSÉ,8\n", "utf-8")
    said = match(handed, read_roster(tmp_path / "r.csv"))
    assert next(one for one in handed.learners if one.id == "7").name == "सीता"
    assert "सुत: not in the roster" in said


def test_blackboards_user_names_may_have_underscores_and_files_name_nobody_else(tmp_path):
    when = "attempt_2024-01-31-13-45-10"
    made = dict.fromkeys(
        [
            f"Lab_3_j_smith_{when}_03_shapes.ipynb",
            f"Lab_3_k_smith_{when}_03_shapes.ipynb",
            f"Lab_3_mallory_{when}_x_ada_attempt_2025-01-31-13-45-10_03_shapes.ipynb",
            f"Lab_3_ada_{when}_03_shapes.ipynb",
        ],
        b"{}",
    )
    handed = read(lay(tmp_path / "class", made), tmp_path)
    assert names(handed) == ["ada", "j_smith", "k_smith", "mallory"]
    assert all(len(one.files) == 1 for one in handed.learners)


def test_what_lies_beside_or_inside_a_learners_folder_hides_nobody(tmp_path):
    made = {
        f"{name}_{i}_assignsubmission_file_/03_shapes.ipynb": b"{}" for i, name in enumerate("ab")
    }
    handed = read(lay(tmp_path / "moodle", made | {"03_shapes.ipynb": b"{}"}), tmp_path)
    assert {"a", "b"} < set(names(handed)) and handed.export == "moodle"
    made = {"ada/03_shapes.ipynb": b"{}", "ada/results.jsonl": b"{}", "ben/03_shapes.ipynb": b"{}"}
    assert names(read(lay(tmp_path / "plain", made), tmp_path)) == ["ada", "ben"]


def test_of_a_hundred_notebooks_for_a_lesson_the_last_ones_are_run(tmp_path):
    made = {f"ada/03_shapes ({i:03}).ipynb": b"{}" for i in range(100)}
    (ada,) = read(
        lay(tmp_path / "class", made | {"ben/03_shapes.ipynb": b"{}"}), tmp_path
    ).learners[:1]
    choose(ada, "best", {"03"})
    assert sorted(path.name for path in ada.files) == [
        f"03_shapes ({i:03}).ipynb" for i in range(80, 100)
    ]
    assert "lesson 03: of 100 notebooks, only the last 20 are looked at" in ada.remarks


def test_a_row_that_is_there_twice_is_one_person_and_a_name_tells_two_of_one_id_apart(tmp_path):
    made = {"Ada_7_assignsubmission_file_/03_shapes.ipynb": b"{}", "x/y.txt": b""}
    folder = lay(tmp_path / "class", made)
    for rows in ("Ada,7\nAda,7\n", "Ada,7\nBen,7\n"):
        handed = read(folder, tmp_path)
        (tmp_path / "r.csv").write_text("Full name,ID\n" + rows)
        match(handed, read_roster(tmp_path / "r.csv"))
        (ada,) = [one for one in handed.learners if one.files and one.row is not None]
        assert ada.row == 0 and ada.name.startswith("Ada") and "nothing" not in str(ada.remarks)
    (tmp_path / "r.csv").write_text("Full name\nAda\n")
    with pytest.raises(DataError, match="nobody in this roster who has an id or an e-mail"):
        read_roster(tmp_path / "r.csv")
