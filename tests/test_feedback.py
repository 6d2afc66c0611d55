"What a learner reads and what a class's page counts, for records that were made up and counted by hand."

import html
import re
from types import SimpleNamespace

import pytest
from test_gradebook import BY_ID, IDS, ITEMS, LESSON, record, result

from mnist_course.teaching.grading.feedback import (
    _anchor,
    _by_lesson,
    _case_alone,
    _headings,
    _mistakes_met,
    _reading_place,
    _talk_about,
    class_html,
    feedback_html,
    feedback_markdown,
    nameless,
    report_markdown,
)
from mnist_course.teaching.grading.gradebook import Course, Record
from mnist_course.teaching.grading.words import for_markdown

PAIR = Course(exercises=("03.team_params", "03.field_width"), title="Lab *3*")
TEAM, FIELD = (BY_ID[id] for id in PAIR.exercises)
REASON = FIELD.reasons["jumps_ignored"]


def wrong(said: str = "no", evidence: str = "", name: str | None = None) -> dict:
    return result("failed", name, said, evidence)


def ada(**more) -> Record:
    "One exercise right, and a mistake that has a name."
    case = "field_width\n\n  got 10\nthe same again: check('03.field_width', x)"
    results = {
        TEAM.id: result("passed", message="Well done."),
        FIELD.id: wrong(f"That's `10`. {case}", case, "jumps_ignored"),
    }
    return Record("Ada", results=results, **more)


def test_a_page_as_text_says_all_of_it_in_its_order():
    words, address = _reading_place(FIELD)
    text = feedback_markdown(ada(remarks=["x.pdf: odd", "its check line"]), PAIR, PAIR.chosen())
    assert text.split("\n\n") == [
        "# Lab \\*3\\*: Ada",
        f"1 of 2 right, {TEAM.difficulty} of {TEAM.difficulty + FIELD.difficulty} points.",
        f"## ✓ {for_markdown(TEAM.title)}: right, {TEAM.difficulty} of {TEAM.difficulty}",
        "Well done.",
        f"## ✗ {for_markdown(FIELD.title)}: not yet, 0 of {FIELD.difficulty}",
        for_markdown(f"{REASON} That's `10`."),
        "```text\nfield_width\n  got 10\n```",
        f"Read again: [{for_markdown(words)}]({address})",
        "## About your files",
        "- x.pdf: odd\n",
    ]
    assert "About your files" not in feedback_markdown(ada(), PAIR, PAIR.chosen())
    nobody = feedback_markdown(Record("Ben"), Course(exercises=PAIR.exercises), PAIR.chosen())
    assert nobody.startswith("# mnist\\_course: Ben\n\n0 of 2 right, 0 of")
    assert nobody.count("not handed in") == 2 == nobody.count("Read again")


SECTION = re.compile(
    r'<section class="([\w-]+)"><h3><span class="mark" aria-hidden="true">(.)</span> '
    r"(.*?) <small>(.*?)</small></h3>(.*?)</section>",
    re.S,
)


def test_a_page_says_the_same_in_html():
    words, address = _reading_place(FIELD)
    page = feedback_html(ada(remarks=["x.pdf: <odd>"], late=["03"]), PAIR, PAIR.chosen())
    first, second = SECTION.findall(page)
    most = TEAM.difficulty, FIELD.difficulty
    assert first[:4] == ("passed", "✓", html.escape(TEAM.title), f"right, {most[0]} of {most[0]}")
    assert first[4] == "<p>Well done.</p>"
    assert second[:4] == ("failed", "✗", html.escape(FIELD.title), f"not yet, 0 of {most[1]}")
    assert second[4] == (
        f"<p>{html.escape(REASON)} That&#x27;s <code>10</code>.</p>"
        "<pre>field_width\n  got 10</pre>"
        f'<p class="again">Read again: <a href="{address}">{html.escape(words)}</a></p>'
    )
    assert page.count("<h2>") == 2 and "<h2>03 Shapes (handed in late)</h2>" in page
    assert "<h2>About your files</h2><ul><li>x.pdf: &lt;odd&gt;</li></ul>" in page
    assert (
        "<title>Lab *3*: Ada</title>" in page and f"1 of 2 right, {most[0]} of {sum(most)}" in page
    )
    page = feedback_html(record("Ben", "po"), Course(lessons=("03",)), ITEMS[:3])
    assert [one[:2] for one in SECTION.findall(page)] == [
        ("passed", "✓"),
        ("not-attempted", "○"),
        ("missing", "○"),
    ]
    assert "<p>" not in SECTION.findall(page)[2][4] and "About your files" not in page
    assert "(handed in late)" not in page and "<title>mnist_course: Ben" in page


def test_each_lesson_has_its_heading_once():
    both = Course(exercises=("03.team_params", "05.softmax", "05.nll_loss"))
    page = feedback_html(Record("Ada", late=["05"]), both, both.chosen())
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["03 Shapes", "05 The loss (handed in late)"]


def test_only_exercises_that_were_set_are_missed():
    said = ["a.ipynb: no cell answers 03.team_params, 05.softmax", "b: no cell answers 05.softmax"]
    text = feedback_markdown(Record("Ada", remarks=said), PAIR, PAIR.chosen())
    assert text.endswith("## About your files\n\n- a.ipynb: no cell answers 03.team\\_params\n")


def test_a_reason_is_said_once():
    said = record("Ada", "p" * 8)
    said.results[FIELD.id] = wrong(f"{REASON} Really.", "", "jumps_ignored")
    text = feedback_markdown(said, PAIR, PAIR.chosen())
    assert text.count(for_markdown(REASON)) == 1 and "Really." in text


def test_where_to_read_again():
    site = "https://mnist-course.github.io/mnist_course"
    words, address = _reading_place(BY_ID["03.same_padding"])
    assert words == "lesson 03, Shapes: Exercise 03.1 · Keep the width"  # without its minutes
    assert address == f"{site}/03_shapes.html#exercise-same_padding"
    assert _reading_place(BY_ID["03.linear_params"]) == (
        "lesson 03, Shapes: What does a layer learn?",
        f"{site}/03_shapes.html#what-does-a-layer-learn",
    )
    own = SimpleNamespace(id="lab.x", lesson="lab", name="x")
    assert _reading_place(own) == ("what your teacher gave you, lab", "")
    assert set(_headings("03")) == set(IDS)
    assert _anchor("3. What's new, in 2026?") == "whats-new-in-2026"


def test_a_case_stands_alone():
    assert _case_alone("a\n\n  b\nagain: check('x', y)\n\nc") == "a\n  b\nc"


def test_mistakes_are_counted_and_the_first_case_of_each_is_kept():
    one, other = IDS[0], IDS[1]
    name, second = (next(iter(BY_ID[id].misconceptions)) for id in (one, other))
    records = [
        Record("a", results={one: wrong("x", "", name), "99.gone": wrong("x", "", "y")}),
        Record("b", results={one: wrong("x", "\nf(2)\n" + "z" * 500, name)}),
        Record("c", results={one: wrong("x", "f(3)", name), other: wrong("x", "", second)}),
        Record("d", results={other: wrong("x", "f(4)"), one: result("passed")}),
    ]
    first, last = _mistakes_met(records, ITEMS)
    assert (first.item.id, first.name, first.times) == (one, name, 3)
    assert first.example == "f(2)\n" + "z" * 395 and first.reason == BY_ID[one].reasons[name]
    assert (last.item.id, last.name, last.times, last.example) == (other, second, 1, "")
    assert _mistakes_met(records[1:2], ITEMS[1:]) == []


def test_reasons_speak_of_the_courses_own_numbers():
    ids = (TEAM.id, "03.linear_params")
    names = [next(iter(BY_ID[id].misconceptions)) for id in ids]
    results = {id: wrong("x", "", name) for id, name in zip(ids, names, strict=True)}
    plain = _mistakes_met([Record("a", results=results)], ITEMS)
    own = _mistakes_met([Record("a", results=results), Record("b", variant="b")], ITEMS)
    said = {one.item.id: one.reason.endswith("(Said of the course's own numbers.)") for one in own}
    assert said == {TEAM.id: True, "03.linear_params": False}
    assert not any("own numbers" in one.reason for one in plain)


def states(*rows: str) -> list[Record]:
    return [record(f"learner {i}", row) for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "topics"),
    [
        (["p", "p"], []),
        (["m", "p", "p", "p"], ["1 of 4 made the same mistake"]),
        (["m", "p", "p", "p", "p"], []),  # one of five is nothing to talk about
        (["m", "m", "p", "p", "p"], ["2 of 5 made the same mistake"]),
        (["w", "p", "p"], []),  # not more than a third
        (["w", "w", "p", "p", "p"], ["2 of 5 got it wrong."]),
        (["o", "o", "p"], ["2 of 3 left it open."]),
        (["w", "o", "p"], ["1 of 3 got it wrong and 1 of 3 left it open."]),
        (
            ["pw", "pw", "wp"],
            [
                "2 of 3 got it wrong.",
            ],
        ),
        (["ppw", "pww", "www", "wpp"], ["3 of 4", "2 of 4", "2 of 4"]),
        (["wwww"] * 2, ["2 of 2"] * 3),  # three are enough
        (["wm", "wm", "pm"], ["3 of 3 made the same mistake", "2 of 3 got it wrong."]),
    ],
)
def test_what_there_is_to_talk_about(rows, topics):
    items = ITEMS[: len(rows[0])]
    found = _talk_about([*states(*rows), Record("absent")], items)
    assert len(found) == len(topics)
    assert all(part in one for part, one in zip(topics, found, strict=True)), found


def test_what_most_got_wrong_comes_first_and_then_the_order_of_the_lesson():
    found = _talk_about(states("wwo", "wwo", "pwp"), ITEMS[:3])
    titles = [re.match('"(.+?)":', one)[1] for one in found]
    ids = sorted((ITEMS[0].id, ITEMS[2].id))
    assert titles == [ITEMS[1].title, *(BY_ID[id].title for id in ids)]


def test_the_share_of_right_answers_lesson_by_lesson():
    both = [BY_ID[id] for id in ("03.team_params", "03.field_width", "05.softmax")]
    first = Record("a", results={id.id: result("passed") for id in both})
    second = Record("b", results={both[0].id: result("passed"), both[2].id: wrong()})
    assert _by_lesson([first, second, Record("absent")], both) == [("03", 0.75), ("05", 0.5)]
    assert _by_lesson([Record("absent")], both) == [("03", 0.0), ("05", 0.0)]


def test_the_page_of_a_class_shows_each_answer_once():
    records = [*states("pmwo", "pppp"), Record("absent")]
    records[0].name = "<Ada>"
    page = class_html(records, LESSON, ITEMS[:4])
    head = re.findall(r'<th scope="col" title="(.*?)"><span>(.*?)</span></th>', page)
    assert head == [(html.escape(item.title), item.id) for item in ITEMS[:4]]
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>((?:<td.*?</td>)+)</tr>', page)
    cells = [re.findall(r'<td class="(\w)"(?: title="(.*?)")?>(.*?)</td>', row) for _, row in rows]
    assert [name for name, _ in rows[:4]] == ["&lt;Ada&gt;", "learner 1", "absent", "right"]
    marks = [[(kind, mark) for kind, _, mark in row] for row in cells[:3]]
    full = sum(item.difficulty for item in ITEMS[:4])
    assert marks == [
        [("p", "✓"), ("m", "✗"), ("f", "×"), ("o", "·"), ("n", str(ITEMS[0].difficulty))],
        [("p", "✓")] * 4 + [("n", str(full))],
        [("o", "·")] * 4 + [("n", "–")],
    ]
    name = records[0].results[ITEMS[1].id]["misconception"]
    assert cells[0][1][1] == html.escape(f"{ITEMS[1].title}: not yet, {name}")
    assert cells[2][0][1] == html.escape(f"{ITEMS[0].title}: not handed in")
    assert [mark for _, _, mark in cells[3]] == ["2", "1", "1", "1"]
    assert "3 learners, 2 with something to grade, 4 exercises." in page
    assert f"At least half of them have all {full} points." in page
    assert 'style="width:62%"></span></td><td class="n">62%</td>' in page
    assert '<th scope="row">03 Shapes</th>' in page


def test_the_page_of_a_class_counts_its_mistakes():
    records = states("m", "m", "m", "p")
    records += states("pm")
    page = class_html(records, LESSON, ITEMS[:2])
    shares = re.findall(r'--share:([\d.]+)">(\d)</td><td>(.*?)<br><code>(.*?)</code>', page)
    assert [(share, times) for share, times, *_ in shares] == [("1.00", "3"), ("0.33", "1")]
    assert shares[0][2] == html.escape(ITEMS[0].title)
    assert "<pre>case(1)\n  expected 2</pre>" in page and "<ol><li>" in page
    for one in records:
        for answer in one.results.values():
            answer["evidence"] = ""
    assert "<pre>" not in class_html(records, LESSON, ITEMS[:2])
    page = class_html(states("pp", "pp"), LESSON, ITEMS[:2])
    assert "Nobody made a mistake that has a name." in page and "Nothing stands out" in page


def test_the_middle_of_a_class():
    for rows, middle in ((["p", "pp", "ppp"], 2), (["p", "ppp"], 3), (["pp"], 2)):
        most = sum(item.difficulty for item in ITEMS[:3])
        points = sum(item.difficulty for item in ITEMS[:middle])
        half = f"all {most} points" if points == most else f"{points} of {most} points or more"
        page = class_html([*states(*rows), Record("absent")], LESSON, ITEMS[:3])
        assert f"At least half of them have {half}." in page
    assert "half of them have 0 of" in class_html([Record("absent")], LESSON, ITEMS[:3])


def table(text: str, heading: str) -> list[list[str]]:
    "The rows of the table below a heading, or of the first one."
    lines = text.partition(heading)[2].strip().splitlines()
    lines = lines[next(i for i, line in enumerate(lines) if line.startswith("|")) :]
    rows = [line for line in lines if line.startswith("|")]
    end = next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[part.strip() for part in line.strip("|").split("|")] for line in rows[2:end]]


def test_the_report_counts_a_class():
    both = Course(exercises=(*IDS[:4], "05.softmax"), title="Lab")
    items = both.chosen()
    one = record("Ada", "pmwo", remarks=["x: odd", "no cell answers 05.softmax, 05.nll_loss"])
    two = record("Ben", "pp")
    two.results["05.softmax"] = result("missing")
    text = report_markdown([one, two, Record("Cleo")], both, items, ["read as *moodle*", "b"])
    most = sum(item.difficulty for item in items)
    assert text.startswith(f"# Lab\n\n- read as \\*moodle\\*\n- b\n\nPoints of {most}. One mark")
    points = [str(sum(item.difficulty for item in ITEMS[:n])) for n in (1, 2)]
    assert table(text, "# Lab") == [
        ["Ada", points[0], "`+xx.`", ""],
        ["Ben", points[1], "`++  `", "`-`"],
        ["Cleo", "0", "", ""],
    ]
    each = table(text, "## Exercises")
    assert [row[0] for row in each] == [item.id for item in items]
    assert [row[2:] for row in each] == [
        ["2", "0", "0"],
        ["1", "1", "0"],
        ["0", "1", "1"],
        ["0", "0", "2"],
        ["0", "0", "2"],
    ]
    name = one.results[IDS[1]]["misconception"]
    (met,) = table(text, "## Misconceptions met")
    assert met == [IDS[1], name, "1", for_markdown(ITEMS[1].reasons[name])]
    assert "## Three things to talk about tomorrow\n\n1. " in text and "\n2. " in text
    assert text.endswith("## Remarks\n\n- **Ada**: x: odd\n- **Ada**: no cell answers 05.softmax\n")
    quiet = report_markdown(states("p", "p"), Course(), ITEMS[:1])
    assert quiet.startswith("# Grades\n\nPoints of ") and "Nothing stands out." in quiet
    assert "## Misconceptions met\n\nNone.\n\n## Remarks\n\nNone.\n" in quiet


def test_without_names_the_best_is_the_first():
    found = nameless(
        [record("x", "po", late=["03"], remarks=["x"]), record("y", "pp"), Record("z")]
    )
    assert [one.name for one in found] == ["Learner 1", "Learner 2", "Learner 3"]
    passed = [sum(r["status"] == "passed" for r in one.results.values()) for one in found]
    assert passed == [2, 1, 0] and found[1].late == ["03"] and not any(o.remarks for o in found)
