"Questions for a learning platform."

import re
import xml.etree.ElementTree as ET
import zipfile

import pytest

from mnist_course.checks import check, exercises
from mnist_course.cli import main
from mnist_course.teaching.notebooks import lessons, read_notebook, warm_ups
from mnist_course.teaching.quiz import questions_of, write_quiz

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


@pytest.mark.parametrize("words", [["quiz", "--out", "quiz.pdf"], ["quiz", "99"], ["quiz", "5-2"]])
def test_a_quiz_that_cannot_be_is_told_in_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2 and len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
