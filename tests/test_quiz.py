"Questions for a learning platform."

import base64
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace

import pytest

from mnist_course.checks import check, exercises
from mnist_course.cli import main
from mnist_course.teaching import quiz
from mnist_course.teaching.notebooks import Card, lessons, read_notebook, warm_ups
from mnist_course.teaching.quiz import Question, questions_of, write_quiz

EVERY = [question for path in lessons() for question in questions_of(path)]
MARKED = [question for question in EVERY if question.right]
QTI = "{http://www.imsglobal.org/xsd/imsqti_v2p1}"


def near(question, given, wanted):
    pairs = zip(given, wanted, question.tolerances, strict=True)
    return all(a == b if isinstance(b, str) else abs(a - b) <= off for a, b, off in pairs)


@pytest.mark.parametrize("question", MARKED, ids=lambda question: question.id)
def test_right_answers_pass_the_check_and_slips_do_not_pass_for_right(question):
    kind = next(item for item in exercises() if item.id == question.id)
    for way in question.right:
        if isinstance(kind.solution, str):
            assert check(question.id, way[0])
    for wrong, words in question.wrong:
        assert words and not any(near(question, wrong, right) for right in question.right)


def test_warm_ups_are_all_there():
    asked = [pair for path in lessons() for pair in warm_ups(read_notebook(path))]
    assert len(asked) > 30 and len(EVERY) == len(asked) + len(MARKED)
    assert {path.name[:2] for path in lessons() if warm_ups(read_notebook(path))} >= {"07", "14"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quiz")
    write_quiz(folder / "quiz.xml")
    write_quiz(folder / "quiz.zip")
    return folder


def test_moodle_has_each_question_with_its_answers(files):
    bank = ET.parse(files / "quiz.xml").getroot()
    made = [one for one in bank.iter("question") if one.get("type") != "category"]
    assert [one.findtext("name/text") for one in made] == [question.title for question in EVERY]
    for one, question in zip(made, EVERY, strict=True):
        kind, text = one.get("type"), one.findtext("questiontext/text")
        if kind in ("numerical", "shortanswer"):
            best = [a.findtext("text") for a in one.iter("answer") if a.get("fraction") == "100"]
            assert len(best) == len(question.right)
            feedback = [a.findtext("feedback/text") for a in one.iter("answer")]
            assert all(feedback[len(best) :])
        elif kind == "cloze":
            gaps = re.findall(r"\{1:(?:NUMERICAL|SHORTANSWER):=", text)
            assert len(gaps) == len(question.tolerances)
            assert not re.search(r"(?<!\\)}[^ <]", text.partition("{1:")[2])
        else:
            assert one.findtext("graderinfo/text")
        ET.fromstring(f"<div>{text}</div>")
    assert len(list(bank.iter("file"))) == sum(bool(question.picture) for question in EVERY) > 3


def accepts(rule, given):
    "A condition of QTI, worked out."
    name = rule.tag.removeprefix(QTI)
    if name in ("and", "or"):
        return (all if name == "and" else any)(accepts(one, given) for one in rule)
    value = given[rule.find(f"{QTI}variable").get("identifier")]
    wanted = rule.findtext(f"{QTI}baseValue")
    if name == "stringMatch":
        return value.casefold() == wanted.casefold()
    low, high = map(float, rule.get("tolerance").split())
    return float(wanted) - low <= value <= float(wanted) + high


def answer_of(item, given):
    for case in item.find(f"{QTI}responseProcessing/{QTI}responseCondition"):
        if case.tag == f"{QTI}responseElse" or accepts(case[0], given):
            return {
                one.get("identifier"): one[0].text for one in case.iter(f"{QTI}setOutcomeValue")
            }


def test_qti_accepts_what_is_right_and_names_what_is_wrong(files):
    with zipfile.ZipFile(files / "quiz.zip") as archive:
        names = set(archive.namelist())
        listed = set(re.findall(r'<file href="([^"]+)"', archive.read("imsmanifest.xml").decode()))
        assert listed == names - {"imsmanifest.xml"}
        for question in MARKED:
            item = ET.fromstring(archive.read(f"q{question.id.replace('.', '_')}.xml"))
            said = {
                one.get("identifier"): "".join(one.itertext())
                for one in item.iter(f"{QTI}modalFeedback")
            }
            for parts in question.right:
                given = {f"RESPONSE{i}": part for i, part in enumerate(parts, 1)}
                assert answer_of(item, given) == {"SCORE": "1", "FEEDBACK": "right"}
            for parts, _ in question.wrong:
                given = {f"RESPONSE{i}": part for i, part in enumerate(parts, 1)}
                got = answer_of(item, given)
                assert got["SCORE"] == "0" and said[got["FEEDBACK"]].strip()
            odd = {
                f"RESPONSE{i}": "zz" if isinstance(p, str) else -7.77e9
                for i, p in enumerate(parts, 1)
            }
            assert answer_of(item, odd) == {"SCORE": "0"}


# ---- made-up questions, one of each kind

NUMBER = Question(
    "99.number",
    "99.1 A number",
    "How *many*? 1 < 2",
    base64.b64encode(b"a picture").decode(),
    'Bars & "lines"',
    ((0.5,),),
    (0.0025,),
    (((0.25,), "Half of it."), ((50.0,), "In **percent**.")),
    "One of two.",
)
LETTERS = Question(
    "99.letters",
    "99.2 Letters",
    "Which?",
    "",
    "",
    (("AB",), ("BA",)),
    (0.0,),
    ((("C",), "No."),),
    "",
)
BOXES = Question(
    "99.boxes",
    "99.3 Boxes",
    "Two boxes.",
    "",
    "",
    ((4.0, "A"),),
    (0.0, 0.0),
    (((4.0, "B"), "See {1} ~ 5#/2."), ((3.0, "B"), "Both are off.")),
    "Four, and A.",
)
WORDS = Question("99.warm_up_1", "99 warm-up 1", "Why?", "", "", (), (), (), "For that.")
MADE = [NUMBER, LETTERS, BOXES, WORDS]


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    "The four questions, as a lesson's: written as .xml and as .zip."
    monkeypatch.setattr(quiz, "questions_of", lambda path: MADE)
    for name in ("quiz.xml", "quiz.zip"):
        said = write_quiz(tmp_path / name, ["03"])
        assert said.endswith(
            "4 questions; 3 are marked by the platform, with an answer to 5 known slips"
        )
    return tmp_path


def answers_in(one):
    return [
        (
            part.get("fraction"),
            part.findtext("text"),
            part.findtext("tolerance"),
            part.findtext("feedback/text"),
        )
        for part in one.iter("answer")
    ]


def test_moodle_gets_each_kind_of_question_as_it_wants_it(made_up):
    bank = ET.parse(made_up / "quiz.xml").getroot()
    category, number, letters, boxes, words = bank
    title = read_notebook(lessons()[3])["cells"][0]["source"][0].removeprefix("# ").strip()
    assert category.findtext("category/text") == f"$course$/mnist_course/03 {title}"
    kinds = [one.get("type") for one in (number, letters, boxes, words)]
    assert kinds == ["numerical", "shortanswer", "cloze", "essay"]
    text = number.findtext("questiontext/text")
    assert text.startswith("<p>How <em>many</em>? 1 &lt; 2</p>")
    image = ET.fromstring(f"<div>{text}</div>").find(".//img")
    assert image.attrib == {"src": "@@PLUGINFILE@@/99.number.png", "alt": 'Bars & "lines"'}
    file = number.find("questiontext/file")
    assert base64.b64decode(file.text) == b"a picture"
    assert file.attrib == {"name": "99.number.png", "path": "/", "encoding": "base64"}
    slips = "<p>Half of it.</p>\n", "<p>In <strong>percent</strong>.</p>\n"
    assert answers_in(number) == [
        ("100", "0.5", "0.0025", ""),
        ("0", "0.25", "0.0025", slips[0]),
        ("0", "50", "0.0025", slips[1]),
    ]
    assert "One of two." in number.findtext("generalfeedback/text")
    assert answers_in(letters)[:2] == [
        ("100", "AB", None, ""),
        ("100", "BA", None, ""),
    ]
    assert answers_in(letters)[2][:3] == ("0", "C", None)
    assert [one.findtext("usecase") for one in (number, letters)] == [None, "0"]
    gaps = boxes.findtext("questiontext/text").split("<p>")[-1].removesuffix("</p>")
    said = r"See {1\} \~ 5\#\/2."
    assert gaps == (
        f"1. {{1:NUMERICAL:=4:0~%0%3:0#Both are off.}} 2. {{1:SHORTANSWER:=A~%0%B#{said}}}"
    )
    assert not answers_in(boxes) and not answers_in(words)
    assert "For that." in words.findtext("graderinfo/text")
    assert words.findtext("responseformat") == "editor"


def test_qti_gets_each_kind_of_question_as_it_wants_it(made_up):
    with zipfile.ZipFile(made_up / "quiz.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        assert {one.date_time for one in archive.infolist()} == {(2020, 1, 1, 0, 0, 0)}
    names = ["q99_number", "q99_letters", "q99_boxes", "q99_warm_up_1"]
    assert list(files) == [
        "imsmanifest.xml",
        "test.xml",
        "q99_number.xml",
        "q99_number.png",
        *(f"{name}.xml" for name in names[1:]),
    ]
    assert files["q99_number.png"] == b"a picture"
    assert all(b"<?xml" in text[:5] for name, text in files.items() if name.endswith("xml"))
    number, letters, boxes, words = (ET.fromstring(files[f"{name}.xml"]) for name in names)
    assert number.get("title") == "99.1 A number" and number.get("identifier") == names[0]
    declared = [
        [
            (one.get("identifier"), one.get("baseType"))
            for one in item.iter(f"{QTI}responseDeclaration")
        ]
        for item in (number, letters, boxes, words)
    ]
    assert declared == [
        [("RESPONSE1", "float")],
        [("RESPONSE1", "string")],
        [("RESPONSE1", "float"), ("RESPONSE2", "string")],
        [("RESPONSE1", "string")],
    ]
    best = [one.text for one in boxes.findall(f".//{QTI}correctResponse/{QTI}value")]
    assert best == ["4", "A"] and words.find(f".//{QTI}correctResponse") is None
    entries = boxes.findall(f".//{QTI}textEntryInteraction")
    assert [one.get("responseIdentifier") for one in entries] == ["RESPONSE1", "RESPONSE2"]
    lines = ["".join(one.itertext()) for one in boxes.find(f"{QTI}itemBody").findall(f"{QTI}p")]
    assert lines == ["Two boxes.", "1. ", "2. "]
    assert not "".join(number.find(f"{QTI}itemBody").findall(f"{QTI}p")[-1].itertext())
    assert number.find(f".//{QTI}img").attrib == {"src": "q99_number.png", "alt": 'Bars & "lines"'}
    asked = words.find(f".//{QTI}extendedTextInteraction")
    assert asked.get("responseIdentifier") == "RESPONSE1"
    assert words.find(f".//{QTI}textEntryInteraction") is None
    said = {one.get("identifier"): one for one in letters.iter(f"{QTI}modalFeedback")}
    assert {name: "".join(one.itertext()).strip() for name, one in said.items()} == {
        "right": "Right.",
        "slip1": "No.",
    }
    for one in said.values():
        assert (one.get("outcomeIdentifier"), one.get("showHide")) == ("FEEDBACK", "show")
    assert answer_of(letters, {"RESPONSE1": "ba"}) == {"SCORE": "1", "FEEDBACK": "right"}
    assert answer_of(boxes, {"RESPONSE1": 3, "RESPONSE2": "b"})["FEEDBACK"] == "slip2"
    shown = words.find(f"{QTI}responseProcessing/{QTI}setOutcomeValue")
    assert (shown.get("identifier"), shown[0].text) == ("FEEDBACK", "right")


def test_the_package_lists_what_is_in_it(made_up):
    with zipfile.ZipFile(made_up / "quiz.zip") as archive:
        test, manifest = (ET.fromstring(archive.read(f"{n}.xml")) for n in ("test", "imsmanifest"))
    (part,) = test.findall(f"{QTI}testPart")
    assert part.attrib == {
        "identifier": "all",
        "navigationMode": "nonlinear",
        "submissionMode": "individual",
    }
    (section,) = part
    assert section.get("identifier") == "lesson03" and section.get("title").startswith("03 ")
    names = [one.get("identifier") for one in section]
    assert names == ["q99_number", "q99_letters", "q99_boxes", "q99_warm_up_1"]
    assert [one.get("href") for one in section] == [f"{name}.xml" for name in names]
    package = "{http://www.imsglobal.org/xsd/imscp_v1p1}"
    assert manifest.tag == f"{package}manifest"
    about = [one.text for one in manifest.find(f"{package}metadata")]
    assert about == ["QTIv2.1 Package", "1.0.0"]
    first, *others = manifest.find(f"{package}resources")
    assert [one.get("type") for one in (first, *others)] == ["imsqti_test_xmlv2p1"] + [
        "imsqti_item_xmlv2p1"
    ] * 4
    needs = [one.get("identifierref") for one in first.findall(f"{package}dependency")]
    assert needs == names == [one.get("identifier") for one in others]
    held = [[file.get("href") for file in one.iter(f"{package}file")] for one in (first, *others)]
    assert held == [["test.xml"], ["q99_number.xml", "q99_number.png"]] + [
        [f"{name}.xml"] for name in names[1:]
    ]


def test_the_same_questions_give_the_same_bytes(made_up, tmp_path):
    before = (made_up / "quiz.zip").read_bytes()
    write_quiz(tmp_path / "again.zip", ["03"])
    assert (tmp_path / "again.zip").read_bytes() == before


def test_markup_in_a_task_is_text_and_a_table_stays_a_table():
    page = quiz._html("a <b>c</b>\n\n| x | y |\n|---|:-:|\n| 1 | 2 |\n")
    assert "a &lt;b&gt;c&lt;/b&gt;" in page and "<table>" in page and "style" not in page


EXERCISES = {item.id: item for item in exercises()}
BY_ID = {question.id: question for question in EVERY}


@pytest.mark.parametrize(
    ("id", "tolerances"),
    [
        ("03.team_params", [0]),  # a whole number, exactly
        ("05.batch_loss", [0.005 * 1.3862943611]),  # half a percent, where people round
        ("07.start_rate", [0.25 * 0.02 + 1e-6]),  # read off a plot
        ("00.strip_shape", [0, 0]),
        ("03.same_padding", None),
        ("09.more_than_luck", [0]),  # letters
    ],
)
def test_a_number_may_be_off_by_as_much_as_the_check_allows_and_no_slip_is_near(id, tolerances):
    if tolerances is None:
        assert id not in BY_ID  # code is no question
    else:
        assert BY_ID[id].tolerances == pytest.approx(tolerances, rel=1e-4)


def test_other_orders_that_an_exercise_accepts_are_right_too():
    assert BY_ID["09.more_than_luck"].right == (("CD",), ("DC",))
    assert BY_ID["05.five_faults"].right == (("EBADC",),)
    assert "01.honest_order" not in BY_ID  # several orders are right: their check runs them


def test_what_to_type_is_said_below_a_task():
    assert BY_ID["00.wiped_bar"].text.endswith(
        "\n\n*Answer: the height in percent, the answer*"
        "\n\nNo brackets and no quotation marks, and a box for each part."
    )
    assert BY_ID["15.int8_bytes"].text.endswith("\n\n*Answer: a whole number*")
    assert "*Answer:" not in BY_ID["06.zero_slopes"].text


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (4, (4.0,)),
        ("AB", ("AB",)),
        ([1, "a"], (1.0, "a")),
        ("", None),
        ([1, None], None),
        ({}, None),
    ],
)
def test_what_can_be_typed_into_boxes(value, parts):
    assert quiz._parts(value) == parts


def test_a_picture_that_is_not_there_is_no_question():
    item = EXERCISES["00.wiped_bar"]
    card = Card(item.id, "00.3", item.title, 2, 4, "task", "wiped_bar = ...", "QUJD", "bars")
    assert quiz._by_hand(card, item).picture == "QUJD"
    assert quiz._by_hand(replace(card, picture=""), item) is None


def test_slips_of_another_form_are_left_out():
    "An answer with three sizes has no boxes in a question with two."
    question = BY_ID["00.strip_shape"]
    assert question.right == ((10.0, 20.0),)
    kept = {parts for parts, _ in question.wrong}
    assert (11.0, 21.0) in kept and all(len(parts) == 2 for parts in kept)
    assert dict(question.wrong)[20.0, 10.0] == EXERCISES[question.id].reasons["wrong_way_round"]


@pytest.mark.parametrize("words", [["quiz", "--out", "quiz.pdf"], ["quiz", "99"], ["quiz", "5-2"]])
def test_a_quiz_that_cannot_be_is_told_in_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2 and len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
