"What a program can see of a lesson that reads well. (Whether it does is for people to say.)"

import ast
import json
import re
from pathlib import Path
from statistics import median

import pytest

from mnist_course.teaching.notebooks import is_folded, learner_notebooks, read_notebook

TOLD = learner_notebooks()
LESSONS = [path for path in TOLD if path.stem != "one_page"]
by_page = pytest.mark.parametrize("path", TOLD, ids=lambda path: path.stem)
by_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)

CELLS = range(40, 67)  # one of them may be the directive that names the module
WORDS = range(1800, 2801)
FACTS = {"60,000", "70,000"}  # how many digits MNIST has, to learn from and in all
STIFF = {  # words that give a translation away, and what is said in place of them
    r"\bbehind (the|its|it|conv|fc|a|each|every)\b(?! (door|scenes|back))": "after",
    r"\b[Ss]tands? (in the|on|above|below|beside|at)\b": "is",
    r"\bshall\b": "will, should",
    r"\b[Ll]ies? (in|on|at|between|within) (the|a)\b": "is, falls",
    r"\b[Tt]he seed('s)? (network|script|recipe|document|table|summary|prints|flattens|uses)": (
        "the original script, our network"
    ),
    r"\b(is|are) none\b": "isn't one, aren't any",
    r"\bat which place\b|\bto be had\b|\bfor want of\b|\bbelongs? into\b|\bin the least\b": "plainly",
    r"\b(are|is) told (by|of|apart)\b": "hears, learns, is distinguished",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b\w*(colour|grey|centre|metre|behaviour|favour)\w*\b": "American spelling",
    r"\b(normal|recogn|organ|optim|initial|general|regular|visual)is(e|ation|ing)": (
        "American spelling"
    ),
    r"\d %": "53%, without a blank",
}


def told(path: Path) -> list[dict]:
    "The cells that a reader sees."
    cells = read_notebook(path)["cells"]
    return [cell for cell in cells if "#| hide" not in "".join(cell["source"])]


def prose(path: Path, upto: str = "") -> str:
    "The Markdown of a page, up to a heading if one is given."
    text = "\n\n".join(
        "".join(cell["source"]) for cell in told(path) if cell["cell_type"] == "markdown"
    )
    return re.split(rf"^## {upto}", text, flags=re.M)[0] if upto else text


def plain(text: str) -> str:
    "Markdown without code, formulas, addresses and tags."
    return re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)|<[^>]+>", " ", text, flags=re.S)


def code(path: Path) -> list[tuple[dict, str]]:
    return [(c, "".join(c["source"])) for c in told(path) if c["cell_type"] == "code"]


@by_page
def test_it_sounds_like_somebody_talking(path):
    said = plain(prose(path, upto="Sources"))
    found = [
        f"...{said[max(0, hit.start() - 40) : hit.end() + 30]!r}... {better}?"
        for pattern, better in STIFF.items()
        for hit in re.finditer(pattern, said)
    ]
    assert not found, "\n".join(found)
    assert len(re.findall(r"If you (said|wrote|answered|predicted)", said)) <= 3


@by_lesson
def test_a_lesson_is_as_long_as_an_evening_allows(path):
    words = len(plain(prose(path, upto="Sources")).split())
    assert len(read_notebook(path)["cells"]) in CELLS and words in WORDS, words


@by_lesson
def test_headings_over_a_guess_ask(path):
    "A heading that states what comes out answers the question below it."
    heading, wrong = "", []
    for cell in told(path):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = (re.findall(r"^##+ (.+)$", source, re.M) or [heading])[-1]
        elif source.startswith("guess(") and heading and not heading.endswith("?"):
            wrong.append(heading)
    assert not wrong


@by_page
def test_code_is_short_and_fits_the_page(path):
    shown = [source for cell, source in code(path) if not is_folded(cell)]
    lengths = [len(source.splitlines()) for source in shown]
    assert max(lengths) <= 20
    assert median(lengths) <= 6 or path.stem == "one_page"  # a script comes in functions
    long = [line for _, source in code(path) for line in source.splitlines() if len(line) > 80]
    assert not long


@by_lesson
def test_a_lesson_exports_nothing_that_its_reader_did_not_build(path):
    "What is exported and folded is one way to write what was just asked for; or imports."
    for cell, source in code(path):
        if not is_folded(cell) or not source.startswith("#| export"):
            continue
        body = ast.parse(source).body
        imports = all(
            isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr) for node in body
        )
        assert imports or "# One way to write it" in source.splitlines()[1], source[:200]


@by_page
def test_pictures_say_what_they_show(path):
    for cell in told(path):
        assert not re.search(r"!\[\s*\]\(", "".join(cell["source"]))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in {"image/png", "image/jpeg"} & data.keys():
                assert output["metadata"].get(kind, {}).get("alt"), "".join(cell["source"])
            if "image/svg+xml" in data:
                assert "<title" in "".join(data["image/svg+xml"])


@by_page
def test_numbers_in_the_text_come_from_the_page(path):
    "Each percentage, and each number with a comma, is in some cell, in code or in an output."
    cells = read_notebook(path)["cells"]
    shown = json.dumps([c.get("outputs", []) for c in cells]) + "".join(
        "".join(c["source"]) for c in cells if c["cell_type"] == "code"
    )
    shown = re.sub(r"(?<=\d)[,_](?=\d{3})", "", shown)
    said = plain(re.sub(r"<details>.*?</details>", " ", prose(path, upto="Traps"), flags=re.S))
    numbers = re.findall(
        r"(?<![\w.])(\d+(?:\.\d+)?)%|(?<![\w.,])(\d{1,3}(?:,\d{3})+)(?![\w,])", said
    )
    lost = [
        percent or count
        for percent, count in numbers
        if count not in FACTS and not _in(shown, percent or count)
    ]
    assert not lost


def _in(shown: str, number: str) -> bool:
    """Is the number among those of the page, as it is, as a share of one, or rounded?"""
    wanted = number.replace(",", "")
    places = len(wanted.partition(".")[2])
    value = float(wanted)
    for found in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?", shown):
        for scale in (1, 100):
            if abs(round(float(found) * scale, places) - value) < 10.0**-6:
                return True
    return False
