"The parts of the site by themselves: what the search looks through, the frame of a page, the lists, the API's words."

import base64
import html
import io
import itertools
import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from fastcore.basics import AttrDict
from helpers import ROOT
from matplotlib.colors import to_rgb
from PIL import Image

import mnist_course.making.site.api as api
import mnist_course.making.site.build as build
import mnist_course.making.site.content as content
import mnist_course.making.site.frame as frame
import mnist_course.making.site.overviews as overviews
import mnist_course.making.site.pages as pages
import mnist_course.making.site.polish as polish
import mnist_course.making.site.search as search
from mnist_course.checks import exercises
from mnist_course.figure import BLUE
from mnist_course.making.repository import settings
from mnist_course.making.site.content import Text, text_of
from mnist_course.making.site.frame import Place, framed, places
from mnist_course.teaching.notebooks import lesson_number, lessons, read_notebook, title_of

KNOWN = settings()
SITE = f"{KNOWN['doc_host']}{KNOWN['doc_baseurl']}"


# ---- what the search looks through

PAGE = """<nav>not me</nav><main class="x"><h1>The  <b>title</b></h1>
<p class="description">About  it</p><pre>code()</pre><figure>drawn</figure>
<section id="one"><h2>First <a class="anchor">#</a></h2><p>Some <strong>Stride</strong> and
<strong>so much that nobody would look for all of it</strong>.</p>
<section id="inner"><h3>Inner</h3>Deep words.</section></section>
<section id="two"><h2>Sources of it</h2>never found</section>
<section><h2>Without an address</h2>lost</section>
<section id="three">no heading</section>
<div class="cell-output-stdout">printed</div>
<dl><dt><span class="term" id="pad">Padding</span></dt><dd>what is  added</dd></dl>
</main><footer>foot</footer>"""


def test_a_page_is_found_by_its_sections_and_what_they_explain():
    found = {entry[0]: entry[1:] for entry in search._entries(PAGE, "a/b.html", "Lessons")}
    assert [*found] == ["a/b.html#pad", "a/b.html#inner", "a/b.html#one", "a/b.html"]
    assert found["a/b.html#pad"] == ["The title", "Padding", "what is added", ["padding"], 0]
    assert found["a/b.html#inner"] == ["The title", "Inner", "Deep words.", [], 0]
    one = ["The title", "First", found["a/b.html#one"][2], ["stride"], 0]
    assert found["a/b.html#one"] == one and one[2].startswith("Some Stride and so much")
    words = found["a/b.html"][2]
    assert found["a/b.html"][1] == "" and "About it" in words and "added" in words
    for left_out in ("not me", "code()", "drawn", "printed", "foot", "never", "Deep", "Some"):
        assert left_out not in words


@pytest.mark.parametrize(
    ("section", "kind", "most"),
    [
        ("Lessons", 0, 3000),
        ("Practice", 1, 3000),
        ("For teachers", 2, 400),
        ("The library", 3, 400),
        ("Answers", 4, 400),
        ("How the course is made", 5, 400),
    ],
)
def test_pages_that_few_look_for_are_kept_short(section, kind, most):
    page = f'<main><p>{"a" * 5000}</p><section id="x"><h2>X</h2>{"b" * 5000}</section></main>'
    inside, whole = search._entries(page, "p.html", section)
    assert inside == ["p.html#x", "p.html", "X", "b" * most, [], kind]
    assert whole[3] == ("a" * most if kind < 5 else "")  # nobody looks for how it is made
    described = page.replace("<p>", '<p class="description">')
    assert [*search._entries(described, "p.html", section)][1][3] == "a" * most
    assert [*search._entries("<p>no main</p>", "p.html", section)] == [
        ["p.html", "p.html", "", "", [], kind]
    ]


def test_the_index_is_a_script_in_the_order_of_what_is_looked_for(tmp_path, monkeypatch):
    known = (Place("b.html", "B", "Lessons"), Place("a.html", "A", "Answers"))
    monkeypatch.setattr(search, "places", lambda: known)
    for name in ("a.html", "b.html", "sub/c.html", "404.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"<main><h1>{name}</h1>ü words</main>", "utf-8")
    (tmp_path / "search.json").touch()
    for _ in range(2):
        search.write_index(tmp_path)
    text = (tmp_path / "assets" / "search-index.js").read_text("utf-8")
    assert text.startswith("window.courseIndex = [\n[") and text.endswith("]\n]\n")
    entries = json.loads(text.removeprefix("window.courseIndex = "))
    assert [(entry[0], entry[5]) for entry in entries] == [
        ("b.html", 0),
        ("a.html", 4),
        ("sub/c.html", 5),
    ]
    assert '"b.html","b.html","","b.html ü words",[],0]' in text
    assert not (tmp_path / "search.json").exists()


def test_lists_for_machines_hold_the_pages_that_there_are(tmp_path, monkeypatch):
    known = [Place("index.html", "Front"), Place("b.html", "B · b", "Lessons")]
    known += [Place("c.html", "C", "Lessons"), Place("gone.html", "Gone", "Lessons")]
    known += [Place("sub/d.html", "D", "Answers")]
    monkeypatch.setattr(search, "places", lambda: known)
    (tmp_path / "sub").mkdir()
    for name in ("index.html", "index.llms.md", "b.html", "b.llms.md", "c.html", "sub/d.html"):
        (tmp_path / name).touch()
    (tmp_path / "sub" / "d.llms.md").touch()
    search.write_lists(tmp_path)
    map_of_site = (tmp_path / "sitemap.xml").read_text("utf-8")
    names = ["index.html", "b.html", "c.html", "sub/d.html"]
    assert re.findall(r"<url><loc>(.*)</loc></url>", map_of_site) == [f"{SITE}/{n}" for n in names]
    assert map_of_site.startswith("<?xml") and map_of_site.endswith("</urlset>\n")
    assert (tmp_path / "llms.txt").read_text("utf-8").splitlines() == [
        f"# {KNOWN['title']}",
        "",
        f"> {KNOWN['description']}",
        "",
        "## Begin",
        "",
        f"- [Front]({SITE}/index.llms.md)",
        "",
        "## Lessons",
        "",
        f"- [B · b]({SITE}/b.llms.md)",
        "",
        "## Answers",
        "",
        f"- [D]({SITE}/sub/d.llms.md)",
    ]


# ---- the frame of a page


def page(address: str, title: str = "T", **more) -> str:
    text = Text(title, more.pop("description", ""), "<p>body</p>", **more.pop("text", {}))
    return framed(address, text, **more)


def links(part: str) -> list[tuple[str, str]]:
    "The address and the words of each link in a piece of HTML."
    found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', part)
    return [(address, html.unescape(re.sub("<[^>]+>", "", words))) for address, words in found]


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def test_every_page_has_a_way_to_every_other_one():
    (mine,) = [place for place in places() if place.address == "engine/01_data.html"]
    made = page(mine.address)
    listed = between(made, '<nav id="site-nav"', "</nav>")
    found = links(listed.partition("</ul>")[2])
    assert [address for address, _ in found] == [f"../{place.address}" for place in places()]
    plain = [place.words.replace(" · ", " ") for place in places()]
    assert [words.replace(" · ", " ") for _, words in found] == plain
    here = re.findall(r'href="([^"]*)" aria-current="page"', listed)
    assert here == [f"../{mine.address}"]
    sections = re.findall(r"<details( open)?><summary>(.*?)</summary>", listed)
    known = dict.fromkeys(place.section for place in places() if place.section)
    assert [html.unescape(name) for _, name in sections] == [*known]
    opened = {html.unescape(name) for is_open, name in sections if is_open}
    assert opened == {"Lessons", mine.section}
    assert '<p class="group">Engines of the lessons</p>' in listed


def test_a_lesson_says_where_it_is():
    sections = [(2, "a", "A & b"), (3, "x", "inner"), (2, "c", "C")]
    made = page("03_shapes.html", "03 · Shapes", text={"sections": sections})
    assert "<title>03 · Shapes – mnist_course</title>" in made
    assert (
        '<h1 class="title"><span class="lesson-number">03<span class="dot"> · </span></span>'
        "Shapes</h1>" in made
    )
    inside = between(made, '<ol class="here" aria-label="On this page">', "</ol>")
    assert links(inside) == [("#a", "A & b"), ("#c", "C")]
    assert made.count('<ol class="here"') == 1
    assert 'class="here"' not in page("03_shapes.html", text={"sections": sections[:2]})
    before, after = links(between(made, '<nav class="next-pages"', "</nav>"))
    own = [place for place in places() if place.section == "Lessons"]
    at = next(i for i, place in enumerate(own) if place.address == "03_shapes.html")
    assert before == (own[at - 1].address, f"Before {own[at - 1].words}")
    assert after == (own[at + 1].address, f"Next {own[at + 1].words}")
    first = links(between(page(own[0].address), '<nav class="next-pages"', "</nav>"))
    assert [words.split()[0] for _, words in first] == ["Next"]
    last = links(between(page(own[-1].address), '<nav class="next-pages"', "</nav>"))
    assert [words.split()[0] for _, words in last] == ["Before"]
    for address in ("index.html", "nowhere.html"):
        assert "next-pages" not in page(address)


def test_the_bar_leads_to_its_pages_from_anywhere():
    bar = yaml.safe_load((ROOT / "_quarto.yml").read_text("utf-8"))["website"]["navbar"]["left"]
    expected = [(re.sub(r"\.(ipynb|qmd)$", ".html", one["href"]), one["text"]) for one in bar]
    for address, up in (("index.html", ""), ("engine/data.html", "../"), ("a/b/c.html", "../../")):
        made = page(address)
        found = links(between(made, '<nav class="bar-links"', "</nav>"))
        assert found == [(f"{up}{target}", words) for target, words in expected]
        assert f'<a class="brand" href="{up}index.html">' in made
        assert f'<link rel="stylesheet" href="{up}assets/site.css">' in made
        assert f'<script src="{up}assets/site.js" data-root="{up}" defer></script>' in made
        assert f'href="{up}favicon.svg"' in made


def test_the_bar_marks_the_section_of_a_page():
    for address, marked in (
        ("exercises.html", "exercises.html"),
        ("glossary.html", frame._current("glossary.html")),
        ("nowhere.html", ""),
    ):
        found = re.findall(
            r'href="([^"]*)" aria-current="page"',
            between(page(address), '<nav class="bar-links"', "</nav>"),
        )
        assert found == ([marked] if marked else [])
    bar = [address for address, _ in frame._bar()]
    assert frame._current("03_shapes.html") in bar
    teachers = next(place.address for place in places() if place.section == "For teachers")
    assert frame._current(teachers) in bar


def test_a_page_says_what_networks_and_search_engines_read():
    made = page("03_shapes.html", "03 · <em>Shapes</em> &amp; so", description='Say "a" & b')
    found = {
        name: html.unescape(said)
        for name, said in re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)">', made)
    }
    assert found["description"] == found["og:description"] == 'Say "a" & b'
    assert found["og:title"] == found["twitter:title"] == "03 · Shapes & so"
    assert found["og:url"] == f"{SITE}/03_shapes.html" and found["og:type"] == "article"
    assert found["og:image"] == found["twitter:image"] == f"{SITE}/social/03_shapes.png"
    assert found["og:image:alt"] == "03 · Shapes & so: a picture from the lesson."
    assert (found["og:image:width"], found["og:image:height"]) == ("1200", "630")
    assert '<p class="description">Say &quot;a&quot; &amp; b</p>' in made
    other = page("glossary.html", "Glossary")
    assert f'"og:image" content="{SITE}/social.png"' in other and '"website"' in other
    assert '<p class="description">' not in other and '"og:description"' not in other


def test_the_foot_leads_to_the_source_of_a_page():
    git, branch = KNOWN["git_url"], KNOWN["branch"]
    foot = between(page("03_shapes.html"), '<footer class="site-foot">', "</footer>")
    assert (f"{git}/edit/{branch}/nbs/03_shapes.ipynb", "Edit this page") in links(foot)
    foot = between(page("record.html"), '<footer class="site-foot">', "</footer>")
    assert (f"{git}/edit/{branch}/nbs/record.qmd", "Edit this page") in links(foot)
    foot = between(page("api/data.html"), '<footer class="site-foot">', "</footer>")
    assert "Edit this page" not in foot
    assert links(foot)[-1] == (f"{git}/issues/new", "Report an issue") and "](" not in foot


def test_small_things_of_a_page():
    made = page("404.html")
    assert f'<base href="{KNOWN["doc_baseurl"]}/">' in made and "<base" not in page("index.html")
    assert '<main id="content" class="content" tabindex="-1" lang="de">' in page(
        "translations/de/02_convolution.html"
    )
    assert 'tabindex="-1">' in page("index.html")
    assert '<body class="article">' in made and '<body class="wide">' in page("a.html", kind="wide")
    with_all = page("a.html", head="<style>a</style>", after="<script>b</script>", picture="<img>")
    assert "<style>a</style>\n</head>" in with_all and "<script>b</script>\n</body>" in with_all
    assert '<header class="title-block with-picture">' in with_all and "</div><img>" in with_all
    assert '<header class="title-block">' in made
    assert '<p class="where">Practice</p>' in page("glossary.html")
    assert 'class="where"' not in page("03_shapes.html") + page("index.html")


def test_a_card_links_the_lessons_that_there_are():
    card = '<a href="lesson:02">02</a>, <a href="lesson:98">98</a>'
    made = page("engine/shapes.html", text={"card": card})
    own = next(place.address for place in places() if place.address.startswith("02_"))
    assert f'<a href="../{own}">02</a>, 98' in made


def test_what_a_page_is_called_in_the_list():
    assert frame._title("03_shapes.ipynb") == f"03 · {title_of(read_notebook(lessons()[3]))}"
    assert frame._title("glossary.qmd") == "Glossary"
    names = ["exercises.qmd", "map.qmd", "api/index.qmd"]  # made with the site
    assert [frame._title(n) for n in names] == ["All exercises", "Map of the course", "The library"]
    listed = [
        "map.qmd",
        {"href": "x/y.ipynb", "text": "Y"},
        {"section": "S", "contents": ["glossary.qmd", {"section": "G", "contents": ["map.qmd"]}]},
    ]
    assert [*frame._places(listed)] == [
        Place("map.html", "Map of the course"),
        Place("x/y.html", "Y"),
        Place("glossary.html", "Glossary", "S"),
        Place("map.html", "Map of the course", "S", "G"),
    ]


# ---- exercises, the map, the list of pages


def test_the_page_of_exercises_shows_each_with_its_facts():
    text = overviews.exercises_page()
    cards = [card for _, card in overviews.exercise_cards()]
    known = {one.id: one for one in exercises()}
    hours = sum(card.minutes for card in cards) / 60
    mistakes = sum(len(known[card.id].misconceptions) for card in cards) / len(cards)
    assert f"{len(cards)} exercises, about {hours:.0f} hours." in text
    assert f"knows {mistakes:.0f} usual mistakes" in text
    headings = re.findall(r"^### \[(.*)\]\((.*)\)$", text, re.M)
    assert headings == [
        (f"{card.number} · {card.title}", f"{path.name}#exercise-{known[card.id].name}")
        for path, card in overviews.exercise_cards()
    ]
    facts = re.findall(r"^::: \{\.facts\}\n(.*)\n:::$", text, re.M)
    assert facts == [
        f"{known[card.id].kind} · difficulty {card.difficulty} of 5 · {card.minutes} minutes"
        for card in cards
    ]
    assert "<details" not in text  # hints stay in the lesson
    asked = {one.lesson for one in exercises()}
    assert {lesson_number(path) for path, _ in overviews.exercise_cards()} == asked
    sections = re.findall(r"^## Lesson (\d\d): (.*)$", text, re.M)
    own = {path for path, _ in overviews.exercise_cards()}
    assert sections == [
        (lesson_number(path), title_of(read_notebook(path))) for path in lessons() if path in own
    ]
    assert text.startswith("---\n") and text.endswith("\n") and not text.endswith("\n\n")


def test_what_code_imports_of_the_course():
    code = (
        "%matplotlib inline\nimport mnist_course.data\nfrom mnist_course.data import a, b\n"
        "from mnist_course.engine.data import c\nfrom mnist_course.data import b, d as e\n"
        "from os import path\nfrom . import x\n!ls\n"
    )
    assert overviews._course_imports(code) == {"data": ["a", "b", "d"], "engine.data": ["c"]}


def test_a_need_that_another_need_has_anyway_is_not_drawn():
    graph = {"00": {}, "01": {"00": []}, "02": {"00": [], "01": []}, "03": {"00": [], "02": []}}
    assert overviews._direct_needs(graph) == {"00": [], "01": ["00"], "02": ["01"], "03": ["02"]}
    assert overviews._direct_needs({"00": {}, "01": {}, "02": {"01": [], "00": []}})["02"] == [
        "00",
        "01",
    ]


def test_the_map_leads_to_every_lesson_and_says_what_it_shows():
    drawn = overviews._course_map()
    found = re.findall(
        r'<a href="(.*?)">.*?y="(\d+)"><tspan class="number">(\d\d)</tspan> (.*?)</text>', drawn
    )
    assert [(address, number) for address, _, number, _ in found] == [
        (f"{path.stem}.html", lesson_number(path)) for path in lessons()
    ]
    assert [html.unescape(title) for *_, title in found] == [
        title_of(read_notebook(path)) for path in lessons()
    ]
    heights = [int(y) for _, y, *_ in found]
    assert {b - a for a, b in itertools.pairwise(heights)} == {40}
    graph = overviews._direct_needs(overviews._needs())
    number = sum(map(len, graph.values()))
    assert drawn.count('class="need"') == drawn.count('class="tip"') == number
    arrows = re.findall(r'class="need" d="M118 (\d+) C(\d+) \1 \2 (\d+) 113 \3"', drawn)
    assert len(arrows) == number
    bends = {(int(end) - int(start) + 14) // 40: int(bend) for start, bend, end in arrows}
    assert bends[1] == 84 and [bends[n] for n in sorted(bends)] == sorted(
        bends.values(), reverse=True
    )  # the further an arrow leads, the wider is its bow
    assert len(set(bends.values())) == len(bends) > 1
    (label,) = re.findall(r'aria-label="(.*?)"', drawn)
    for lesson, needed in graph.items():
        said = f"Lesson {lesson} needs {' and '.join(needed)}."
        assert (said in label) == bool(needed)
    assert f'viewBox="0 0 400 {40 * len(graph) + 10}"' in drawn


def test_the_map_as_a_table_says_what_is_used():
    text = overviews.map_page()
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert len(rows) == len(lessons()) and "nothing" in rows[0]
    for row, (number, needed) in zip(rows, overviews._needs().items(), strict=True):
        assert row.startswith(f"| [{number} ")
        for other, names in needed.items():
            assert other < number
            assert f"{other}: " + ", ".join(f"`{name}`" for name in names) in row
    assert overviews._course_map() in text and text.endswith(" |\n")


def test_the_sidebar_lists_every_notebook_once():
    listed = [place.address for place in places()]
    assert len(listed) == len(set(listed))
    for folder in ("answers", "engine", "instructors", "workshop", "."):
        for path in (ROOT / "nbs" / folder).glob("*.ipynb"):
            name = path.relative_to(ROOT / "nbs").with_suffix(".html").as_posix()
            assert name in listed, name
    sections = [*dict.fromkeys(place.section for place in places())]
    assert sections[:4] == ["", "Lessons", "Practice", "For teachers"]
    titles = {place.address: place.words for place in places()}
    assert titles["answers/03_shapes.html"] == f"03 · {title_of(read_notebook(lessons()[3]))}"
    assert titles["api/engine.data.html"] == "engine.data"
    assert titles["translations/de/02_convolution.html"].startswith("Deutsch: 02 ")
    groups = {place.address: place.group for place in places()}
    assert groups["workshop/bundle.html"] == "Widgets" and groups["workshop/index.html"] == ""
    assert groups["instructors/grading.html"] == "In class"


def test_the_list_of_pages_is_made_of_sections():
    made = json.loads(overviews.sidebar())["website"]["sidebar"]
    assert made["style"] == "docked" and made["collapse-level"] == 1
    front, map_of_course, *sections = made["contents"]
    assert front == {"href": "index.ipynb", "text": "Front page"}
    assert map_of_course == {"href": "map.qmd", "text": "Map of the course"}
    known = {one["section"]: one["contents"] for one in sections}
    assert [*known] == [
        "Lessons",
        "Practice",
        "For teachers",
        "Other languages",
        "The library",
        "Answers",
        "How the course is made",
    ]
    assert "03_shapes.ipynb" in known["Lessons"] and "exercises.qmd" in known["Practice"]
    groups = {one["section"]: one["contents"] for one in known["For teachers"]}
    assert next(iter(groups)) == "In class" and groups["In class"][0] == "instructors/begin.ipynb"
    placed = [name for pages in groups.values() for name in pages]
    there = {f"instructors/{path.name}" for path in (ROOT / "nbs" / "instructors").glob("*.ipynb")}
    assert set(placed) == there and len(placed) == len(there)
    german = known["Other languages"][0]
    assert german["href"] == "translations/de/02_convolution.ipynb"
    assert german["text"].startswith("Deutsch: 02 ")
    index, *rooms = known["The library"]
    assert index == "api/index.qmd"
    listed = {one["href"]: one["text"] for room in rooms for one in room["contents"]}
    assert listed["api/engine.data.qmd"] == "engine.data"
    first, *workshop = known["How the course is made"]
    assert first == "workshop/index.ipynb" and "workshop/base.ipynb" in workshop
    inside = {one["section"]: one["contents"] for one in workshop if isinstance(one, dict)}
    names = ["Checks", "Widgets", "Teaching", "Making", "Engines of the lessons"]
    assert [*inside] == names and "workshop/bundle.ipynb" in inside["Widgets"]
    engines = {one["href"]: one["text"] for one in inside["Engines of the lessons"]}
    own = title_of(read_notebook(ROOT / "nbs" / "engine" / "01_data.ipynb"))
    assert engines["engine/01_data.ipynb"] == f"01 · {own}"


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of torch, for Matplotlib
def test_the_card_for_links_shows_a_digit_and_one_sure_answer():
    card = Image.open(io.BytesIO(overviews.social_card())).convert("RGB")
    assert card.size == (1200, 630) and card.getpixel((2, 2)) == (255, 255, 255)
    blue = tuple(round(255 * part) for part in to_rgb(BLUE))
    places = [
        (x, y) for x in range(0, 1200, 4) for y in range(0, 630, 4) if card.getpixel((x, y)) == blue
    ]
    across, down = ([place[i] for place in places] for i in (0, 1))
    # the bar of the seven: from the middle nearly to the edge, and no other one is as long
    assert 595 < min(across) < 615 and 1080 < max(across) < 1160
    assert min(down) > 400 and max(down) < 520
    dark = [card.getpixel((x, y)) for x in range(80, 470, 10) for y in range(180, 570, 10)]
    assert sum(max(one) < 40 for one in dark) > len(dark) / 2  # the digit's black ground
    words = [card.getpixel((x, 75)) for x in range(60, 800)]
    assert any(max(one) < 60 for one in words)


# ---- the API's words


def test_a_docstring_means_itself():
    text = "a_b *c* `d_e` [f](g) <h> $i$ #j {k} | ~l ^ \\m"
    made = api._literal(text)
    assert "`d_e`" in made and "a\\_b \\*c\\*" in made and "\\\\m" in made
    assert re.sub(r"\\(.)", r"\1", made) == text


def test_values_are_short_and_the_same_on_every_machine():
    assert api._value({"b", "a", "c"}) == "`['a', 'b', 'c']`"
    assert api._value("x" * 38) == f"`'{'x' * 38}'`"
    assert api._value("x" * 39) == f"`'{'x' * 36}...`"
    assert api._value(len) == "`len`"
    assert re.fullmatch(r"`<object object>`", api._value(object()))


class Sample:
    "A class with fields."

    size: int  # of it
    name = "no field"

    def __init__(
        self,
        size: int,  # in pixels
    ) -> None:
        "Made."
        self.size = size

    def shown(self, n: int = 3) -> str:  # in words
        "Words."
        return str(n)

    def _own(self) -> None:
        "Nobody's."

    def silent(self) -> None:
        pass


def test_a_signature_is_the_source_with_its_comments():
    assert api._signature(Sample.shown) == "def shown(self, n: int = 3) -> str:  # in words"
    assert api._signature(Sample).splitlines() == [
        "class Sample:",
        "    size: int  # of it",
        "    def __init__(",
        "        self,",
        "        size: int,  # in pixels",
        "    ) -> None:",
    ]
    assert api._signature(links).splitlines() == ["def links(part: str) -> list[tuple[str, str]]:"]


def test_only_methods_that_say_what_they_do_are_described():
    here = SimpleNamespace(__file__=Sample.shown.__code__.co_filename)
    assert [name for name, _ in api._methods(here, Sample)] == ["shown"]
    assert [*api._methods(SimpleNamespace(__file__="elsewhere.py"), Sample)] == []
    assert api._home(json.loads) == "json" and api._home(3) == ""
    assert api._home(framed) == "making.site.frame"


def test_a_description_leads_to_the_lines_of_the_source():
    heading, code, words, link = api._described(framed, "##", "framed")
    assert heading == "## `framed` {#framed}" and code.startswith("```python\ndef framed(\n")
    assert "# the page's own styles, HTML" in code and words == "A page as it is published."
    found = re.fullmatch(
        r"\[Source of framed\]\((.*)/blob/(.*)/(mnist_course/.*)#L(\d+)-L(\d+)\)\{\.source-link\}",
        link,
    )
    assert found[1] == KNOWN["git_url"] and found[2] == KNOWN["branch"]
    lines = (ROOT / found[3]).read_text("utf-8").splitlines()
    assert lines[int(found[4]) - 1] == "def framed("
    assert lines[int(found[5]) - 1] == '    return page.replace("POLICY", meta, 1)'


def test_a_modules_page_holds_its_public_names():
    text = api.api_page("widgets.momentum")
    assert "exported from [" in text and "](../workshop/momentum.ipynb)." in text
    assert "## `roll_ball` {#roll_ball}" in text and "## `RollingBall` {#RollingBall}" in text
    assert "## Values" not in text and "## From other rooms" not in text
    text = api.api_page("widgets.shapes")
    methods = re.findall(r"^### `ShapeExplorer\.(\w+)` \{#ShapeExplorer\.\1\}$", text, re.M)
    assert methods == ["explore", "build"]
    assert text.index("## `ShapeExplorer`") < text.index("### `ShapeExplorer.explore`")
    text = api.api_page("arithmetic")
    assert "exported from [lesson 03, Shapes](../03_shapes.ipynb)." in text
    assert "## From other rooms {#from-other-rooms}" in text
    assert "[]{#Field}[`Field`](engine.arithmetic.qmd#Field) of `engine.arithmetic`" in text
    text = api.api_page("data")
    rows = text.partition("## Values {#values}")[2].split("\n\n")[1].splitlines()
    assert [part.strip() for part in rows[0].strip("|").split("|")] == ["name", "value"]
    assert any(row.startswith("| []{#STD}`STD`") for row in rows)


def test_the_library_lists_each_module_in_its_room():
    text = api.api_index()
    rooms = {
        room: set(re.findall(r"^\[([\w.]+)\]\(\1\.qmd\)", part, re.M))
        for room, part in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    }
    assert {"data", "engine.data", "arithmetic"} <= rooms["From the lessons, and their engines"]
    assert all(name.startswith("checks") for name in rooms["Checks"])
    assert "widgets.bundle" in rooms["Widgets"] and "base" in rooms["For all lessons"]
    assert "teaching.slides" in rooms["For people who teach"]
    assert "[arithmetic](arithmetic.qmd) (lesson 03)\n:   " in text
    assert "[base](base.qmd)\n:   " in text


# ---- a rendered site becomes ours


def is_like(found: tuple[int, ...], color: str, most: int = 6) -> bool:
    wanted = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
    return all(abs(a - b) <= most for a, b in zip(found, wanted, strict=True))


def inked(card: Image.Image, box: tuple[int, int, int, int], color: str) -> tuple | None:
    "Around what has a color inside of a box."
    part = np.asarray(card.crop(box)).astype(int)
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    rows, columns = np.nonzero((np.abs(part - wanted) <= 6).all(2))
    if not len(rows):
        return None
    x, y = box[:2]
    return (x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1)


WHOLE = (0, 85, 1200, 630)
LONG = "A title of many words that can't stand in one line " * 2


def test_a_card_has_its_words_on_the_left_in_their_sizes_and_colors():
    card = polish._card("07 · Steps downhill", "What does one step change?", None)
    assert card.size == (1200, 630) and is_like(card.getpixel((5, 5)), "#17131f")
    assert inked(card, (0, 0, 1200, 84), "#f4f0fa")[0] in range(58, 66)
    number, title = (inked(card, WHOLE, color) for color in ("#5b2a9d", "#201c28"))
    below = (0, title[3] + 5, 1200, 630)  # the edges of dark letters have the color, too
    promise = inked(card, below, "#625b6b")
    for part in (number, title, promise):
        assert part[0] in range(58, 70) and part[2] < 1140
    assert number[1] < number[3] < title[1] and promise[3] < 400
    tall = [bottom - top for _, top, _, bottom in (number, title, promise)]
    assert tall[1] > 1.5 * tall[0] and tall[1] > 1.5 * tall[2]
    bold, plain = (polish._letters(76, weight=w).getlength("Steps") for w in (600, 400))
    assert bold > 1.02 * plain


@pytest.mark.parametrize("size", [(100, 50), (50, 100), (2000, 1000), (30, 30)])
def test_a_card_shows_its_picture_on_the_right_as_large_as_there_is_room(tmp_path, size):
    path = tmp_path / "picture.png"
    Image.new("RGBA", size, (255, 0, 0, 255)).convert("P").save(path)
    card = polish._card(LONG, LONG, path)
    left, top, right, bottom = inked(card, WHOLE, "#fb0000")
    wide, high = right - left, bottom - top
    assert right == 1140 and abs((top - 84) - (630 - bottom)) <= 1
    assert wide == 480 or high == 440
    assert wide / high == pytest.approx(size[0] / size[1], rel=0.02)
    for color in ("#201c28", "#625b6b"):
        assert inked(card, WHOLE, color)[2] <= 620  # words end before the picture begins
    alone = polish._card(LONG, LONG, None)
    assert inked(alone, WHOLE, "#201c28")[2] > 800


def test_words_are_broken_only_where_a_line_is_full():
    letters, words = polish._letters(36), "one two three four incomprehensibilities five"
    for room in (1, 150, 200, 300, 2000):
        lines = polish._lines(words, letters, room)
        assert " ".join(lines) == words and all(lines)
        for line, following in itertools.pairwise(lines):
            longer = f"{line} {following.split()[0]}"
            assert letters.getlength(longer) > room
            assert letters.getlength(line) <= room or " " not in line
    assert len(polish._lines(words, letters, 2000)) == 1


RENDERED = """<!DOCTYPE html><html><head><meta name="generator" content="smalldocs"><title>x</title>
</head><body><main class="content" id="quarto-document-content"><h1 class="title">{title}</h1>
<p>{words}</p></main></body></html>"""
OWN = """<!DOCTYPE html><html><head><title>Shapes</title><style>.mine {color: red}</style>
<style>body {margin: 0}</style><link rel="preload" href="x.js"></head>
<body><main><h1>Shapes</h1><p>What   comes out?</p><div id="w"></div></main>
<script src="x.js"></script></body></html>"""


def rendered_site(folder, words="Four files."):
    (folder / "site_libs").mkdir()
    (folder / "site_libs" / "theirs.css").write_text(
        "@import url(https://elsewhere.example/a.css);"
    )
    (folder / "sub").mkdir()
    (folder / "01_data.html").write_text(RENDERED.format(title="01 · Data", words=words))
    (folder / "sub" / "07_sgd.html").write_text(RENDERED.format(title="Steps", words="Down."))
    (folder / "shapes.html").write_text(OWN)
    return folder


def test_a_rendered_site_gets_our_frame_once_and_nothing_of_theirs(tmp_path):
    out = rendered_site(tmp_path)
    polish.finish(out)
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert not (out / "site_libs").exists() and (out / "assets" / "site.css").is_file()
    for name in ("01_data", "sub/07_sgd", "shapes"):
        page = (out / f"{name}.html").read_text("utf-8")
        assert 'content="mnist_course"' in page and "Content-Security-Policy" in page
    own = (out / "shapes.html").read_text("utf-8")
    assert ".mine {color: red}" in own and "body {margin: 0}" not in own
    assert own.count('<script src="x.js"></script>') == 1 and 'href="x.js"' in own
    assert '<p class="description">What comes out?</p>' in own and own.count("comes out?<") == 1
    assert [path.name for path in (out / "social").iterdir()] == ["01_data.png"]
    with Image.open(out / "social" / "01_data.png") as card:
        assert card.size == (1200, 630) and inked(card.convert("RGB"), WHOLE, "#5b2a9d")
    (out / "social" / "01_data.png").write_bytes(b"one that somebody made")
    polish.finish(out)
    again = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert again.pop(out / "social" / "01_data.png") == b"one that somebody made"
    first.pop(out / "social" / "01_data.png")
    assert first == again


def test_a_page_that_loads_from_elsewhere_is_named(tmp_path):
    out = rendered_site(tmp_path, '<img src="https://elsewhere.example/x.png">')
    with pytest.raises(ValueError, match=r"01_data\.html loads from another host: <img"):
        polish.finish(out)


def test_the_readme_that_nbdev_makes_is_ours(tmp_path):
    (tmp_path / "index_files").mkdir()
    (tmp_path / "README.md").write_text("theirs")
    polish.finish(tmp_path)
    made = (tmp_path / "README.md").read_text("utf-8")
    assert made == (ROOT / "README.md").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


# ---- notebooks on their way to the site


def cell_of(kind, source, directives=(), **more):
    "A cell as nbdev hands it to a processor."
    return AttrDict(
        cell_type=kind,
        source=source,
        metadata=more.pop("metadata", {}),
        directives_={name: [] for name in directives},
        id=more.pop("id", "c1"),
        **more,
    )


def page_of(path, *cells):
    "The cells of the page that is made of a notebook at nbs/path."
    notebook = SimpleNamespace(
        path_=ROOT / "nbs" / path, cells=list(cells), metadata={"widgets": 1, "kernelspec": 2}
    )
    page = pages.CoursePage(notebook)
    for cell in cells:
        page(cell)
    page.end()
    assert notebook.metadata == {"kernelspec": 2}  # no widgets, which load from another host
    return notebook.cells


def output_of(kind, content="...", alt=""):
    return {"data": {kind: content}, "metadata": {kind: {"alt": alt}} if alt else {}}


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("03_shapes.ipynb", "03 · Size: in and out"),
        ("index.ipynb", "Size: in and out"),
        ("engine/03_shapes.ipynb", "Size: in and out"),
    ],
)
def test_the_first_cell_of_a_notebook_is_the_head_of_its_page(path, title):
    text = '# Size: in and out\n\n> What "comes" out?\n\nSome text.\n'
    raw = cell_of("raw", "as it is")
    head, rest, last = page_of(path, cell_of("markdown", text), raw)
    front, rules = head.source.strip("-"), head.source.splitlines()
    assert head.cell_type == "raw" and rules[0] == rules[-1] == "---" and last is raw
    assert yaml.safe_load(front) == {"title": title, "description": 'What "comes" out?'}
    assert rest.source == "Some text." and rest.cell_type == "markdown"
    (alone,) = page_of(path, cell_of("markdown", "# Size: in and out\n"))
    assert yaml.safe_load(alone.source.strip("-")) == {"title": title}


def test_front_matter_is_yaml_whatever_is_said():
    said = 'Text: "a" – b\n  # no comment'
    head = pages.front_matter(said, said, toc_depth=2, page_layout="full")
    assert yaml.safe_load(head.strip("-")) == {
        "title": 'Text: "a" – b # no comment',
        "description": 'Text: "a" – b # no comment',
        "toc-depth": 2,
        "page-layout": "full",
    }
    assert yaml.safe_load(pages.front_matter("A", "").strip("-")) == {"title": "A"}


def test_words_are_linked_in_a_lesson_up_to_its_sources_and_names_everywhere():
    prose = "A kernel, and `output_size`."
    cells = [cell_of("markdown", one) for one in ("## A", prose, prose, "## Sources", "Labels.")]
    now = [cell.source for cell in page_of("03_shapes.ipynb", *cells)]
    linked = "A [kernel](glossary.qmd#kernel), and [`output_size`](api/arithmetic.qmd#output_size)."
    assert now == ["## A", linked, prose, "## Sources", "Labels."]  # each once
    (engine,) = page_of("engine/03_shapes.ipynb", cell_of("markdown", prose))
    assert engine.source == "A kernel, and [`output_size`](../api/arithmetic.qmd#output_size)."


def test_an_exercise_has_an_address_if_something_below_checks_it():
    task, text = "### Exercise 03.1 · Width (2 of 5, 8 min)\nDo it.", cell_of("markdown", "More.")
    check, gap = cell_of("code", 'x = 1\ncheck("03.keep_width", x)'), cell_of("raw", None)
    above = cell_of("code", 'check("03.other", x)')
    given = [above, cell_of("markdown", task), text, gap, check]
    now = page_of("03_shapes.ipynb", *given)
    assert now[1].source == (
        "### Exercise 03.1 · Width (2 of 5, 8 min) {#exercise-keep_width}\nDo it."
    )
    assert len(now) == 4  # what says nothing is left out
    heading = cell_of("markdown", "## Another place")
    assert page_of("03_shapes.ipynb", cell_of("markdown", task), heading, check)[0].source == task
    assert page_of("03_shapes.ipynb", above, cell_of("markdown", task))[1].source == task
    assert page_of("engine/03_shapes.ipynb", *given)[1].source == task
    other = cell_of("markdown", "### About the exercise\nDo it.")
    assert page_of("03_shapes.ipynb", other, check)[0].source == other.source


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("def a():\n    def b(): pass\n\nclass C: pass\nx = 1", "Show the code of a, C"),
        ("import a\nimport b\nfrom c import d\nimport e", "Show the imports"),
        ("import a\nimport b\nfrom c import d", "Show the code"),
        ("import a\nimport b\nimport c\nx = 1", "Show the code"),
        ("%matplotlib inline", "Show the code"),
    ],
)
def test_a_fold_says_what_is_in_it(source, summary):
    fold = f'#| code-fold: true\n#| code-summary: "{summary}"\n{source}'
    hidden = cell_of("code", source, metadata={"jupyter": {"source_hidden": True}})
    (now,) = page_of("03_shapes.ipynb", hidden)
    assert now.source == now["source"] == fold and hidden.source == source
    (open_,) = page_of("03_shapes.ipynb", cell_of("code", source))
    assert open_.source == (fold if summary == "Show the imports" else source)


def test_long_code_is_folded_for_teachers_alone_and_set_up_is_left_out():
    eight, seven = "\n".join("abcdefgh"), "\n".join("abcdefg")
    fold = '#| code-fold: true\n#| code-summary: "Show the code"\n'
    at = "instructors/running.ipynb"
    given = [cell_of("code", one) for one in (eight, seven)]
    assert [cell.source for cell in page_of(at, *given)] == [fold + eight, seven]
    assert [cell.source for cell in page_of("03_shapes.ipynb", *given)] == [eight, seven]
    (shown,) = page_of(at, cell_of("code", eight, ["echo:"]))
    assert shown.source == eight
    left_out = [cell_of("code", "x", [name]) for name in ("hide", "default_exp")]
    assert page_of(at, *left_out) == []
    assert len(page_of(at, cell_of("code", "x", ["export"]))) == 1


def test_each_picture_of_a_cell_has_its_own_words():
    outputs = [
        output_of("text/plain", "first"),
        output_of("image/png", alt='A "one"'),
        output_of("text/plain", "between"),
        output_of("image/png", alt="A two"),
        output_of("image/png"),
    ]
    now = page_of("03_shapes.ipynb", cell_of("code", "show()", outputs=outputs))
    assert [cell.source for cell in now] == [
        '#| fig-alt: "A \\"one\\""\nshow()',
        '#| fig-alt: "A two"\n#| echo: false\nshow()',
        "#| echo: false\nshow()",
    ]
    assert [cell["outputs"] for cell in now] == [outputs[:3], outputs[3:4], outputs[4:]]
    assert [cell["id"] for cell in now] == ["c1", "c1-1", "c1-2"]


@pytest.mark.parametrize("path", ["03_shapes.ipynb", "engine/03_shapes.ipynb"])
@pytest.mark.parametrize("source", ["DrawingPad(net)", "ActivationViewer(net)", "Stepper(net)"])
def test_a_widget_that_needs_a_kernel_has_a_note_below_it(path, source):
    shown, note = page_of(path, cell_of("code", source, ["eval:"]))
    assert shown.source == source and (note.cell_type, note.id) == ("markdown", "c1-note")
    assert note.source.startswith("::: {.widget-note}\nThe cell above shows a widget in Jupyter")
    assert note.source.endswith("\n:::")
    up = "../" if "/" in path else ""
    assert (f"({up}try/index.html)" in note.source) == (not source.startswith("Stepper"))


def test_a_name_leads_to_the_one_module_that_defines_it():
    found = pages._api_names()
    assert found["output_size"] == "arithmetic" and found["load_mnist"] == "engine.data"
    assert pages.public_names("checks") and pages._module_file("checks").name == "__init__.py"
    assert "load_mnist" not in pages._imported_names("engine.data")


def test_public_names_are_those_of_the_list_wherever_it_stands(monkeypatch, tmp_path):
    module = tmp_path / "m.py"
    monkeypatch.setattr(pages, "_module_file", lambda name: module)
    for source in ("x = 1\n__all__ = ['a', 'b']", "__all__ = ['a', 'b']\nx = 1"):
        module.write_text(source)
        assert pages.public_names("m") == ["a", "b"]
    module.write_text("from c import d, e as f\nx = 1")
    assert pages.public_names("m") == [] and pages._imported_names("m") == {"d", "f"}


GLOSSARY = """
[first]{#first .term}
:   A word that is a term from its lesson on. [Lesson 02](02_convolution.ipynb).

[shape]{#shape .term .everyday data-also="shapes|forms" data-unless="cloud"}
:   A word in one lesson only,
    told in two lines. [Lesson 03](03_shapes.ipynb).

[always]{#always .term}
:   A word without a lesson.
"""


def test_the_glossary_says_where_a_word_is_a_term(monkeypatch, tmp_path):
    (tmp_path / "nbs").mkdir()
    (tmp_path / "nbs" / "glossary.qmd").write_text(GLOSSARY)
    monkeypatch.setattr(pages, "root", lambda: tmp_path)
    found = pages._glossary.__wrapped__()
    assert {form: (id, lessons) for form, (id, lessons, _) in found.items()} == {
        "first": ("first", range(2, 100)),
        **dict.fromkeys(["shape", "shapes", "forms"], ("shape", range(3, 4))),
        "always": ("always", range(100)),
    }
    monkeypatch.setattr(pages, "_glossary", lambda: found)
    for text in ("Of a cloud. Shapes are here.", "Shapes are here. A cloud too."):
        assert "[Shapes](glossary.qmd#shape)" in pages.linked(text, "", set(), "03")
        assert pages.linked(text, "", set(), "02") == pages.linked(text, "", set(), "04") == text
    for text in ("The cloud has shapes.", "The shapes of a cloud."):
        assert pages.linked(text, "", set(), "03") == text


def test_modules_with_a_page_are_lessons_first_each_before_its_engine():
    found = pages.modules.__wrapped__()
    numbered = [name for name, path in found.items() if lesson_number(path)]
    assert list(found)[: len(numbered)] == numbered
    numbers = [lesson_number(found[name]) for name in numbered]
    assert numbers == sorted(numbers)
    for before, name in itertools.pairwise(numbered):
        if name.startswith("engine."):
            assert lesson_number(found[before]) == lesson_number(found[name])
    assert "cli" not in found and not any(name.startswith("making") for name in found)
    assert found["figure"].parent.name == "workshop" and "" not in found


# ---- the steps from notebooks to a site


@pytest.fixture
def steps(monkeypatch, tmp_path):
    "A place without a course, where each step only says that it was taken."
    taken = []
    (tmp_path / "nbs").mkdir()
    monkeypatch.setattr(build, "root", lambda: tmp_path)
    monkeypatch.setattr(build, "sidebar", lambda: "the sidebar")
    for name in ("MNIST_COURSE_RENDERER", "MNIST_COURSE_PAGES", "QUARTO_PROJECT_RENDER_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("QUARTO_PROJECT_DIR", "QUARTO_PROJECT_OUTPUT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return taken


@pytest.mark.parametrize(
    ("wish", "there", "chosen"),
    [
        ("", True, "quarto"),
        ("", False, "smalldocs"),
        ("smalldocs", True, "smalldocs"),
        ("quarto", False, "quarto"),
    ],
)
def test_a_renderer_is_chosen_or_found(steps, monkeypatch, wish, there, chosen):
    monkeypatch.setenv("MNIST_COURSE_RENDERER", wish)
    monkeypatch.setattr(build.shutil, "which", lambda name: (there and name == "quarto") or None)
    assert build._renderer() == chosen
    monkeypatch.setenv("MNIST_COURSE_RENDERER", "sphinx")
    with pytest.raises(ValueError, match="is quarto or smalldocs, not sphinx"):
        build._renderer()


def test_pages_that_code_writes_are_written_where_they_are_new(steps, monkeypatch, tmp_path):
    monkeypatch.setattr(build, "social_card", lambda: b"PNG")
    monkeypatch.setattr(build, "toy_pages", lambda: {"toys/a.qmd": "a toy"})
    monkeypatch.setattr(build, "modules", lambda: {"data": 1, "engine.data": 2})
    monkeypatch.setattr(build, "api_page", lambda name: f"about {name} –")
    for name in ("exercises_page", "map_page", "record_page", "api_index"):
        monkeypatch.setattr(build, name, lambda name=name: name)
    for name in ("write_drawing_page", "write_live", "write_trainer_page"):
        monkeypatch.setattr(build, name, lambda place, name=name: steps.append((name, place)))
    out = tmp_path / "out"
    build.write_pages(out)
    assert {
        str(path.relative_to(out)): path.read_text("utf-8")
        for path in out.rglob("*")
        if path.is_file()
    } == {
        "exercises.qmd": "exercises_page",
        "map.qmd": "map_page",
        "record.qmd": "record_page",
        "sidebar.yml": "the sidebar",
        "api/index.qmd": "api_index",
        "api/data.qmd": "about data –",
        "api/engine.data.qmd": "about engine.data –",
        "toys/a.qmd": "a toy",
        "social.png": "PNG",
    }
    assert sorted(steps) == [
        ("write_drawing_page", out / "try"),
        ("write_live", out),
        ("write_trainer_page", out / "train"),
    ]
    for path in out.rglob("*.qmd"):
        os.utime(path, (1, 1))
    (out / "map.qmd").write_text("old")
    build.write_pages(out)
    new = {path.name for path in out.rglob("*.qmd") if path.stat().st_mtime > 1}
    assert new == {"map.qmd"} and (out / "map.qmd").read_text() == "map_page"


def test_nothing_of_an_earlier_version_is_processed(steps, monkeypatch, tmp_path):
    (tmp_path / "_proc" / "old").mkdir(parents=True)
    monkeypatch.setattr("nbdev.quarto.refresh_quarto_yml", lambda: steps.append("yml"))

    def proc_nbs(n_workers):
        steps.append((n_workers, (tmp_path / "_proc").exists()))
        return tmp_path / "_proc"

    monkeypatch.setattr("nbdev.serve.proc_nbs", proc_nbs)
    assert build._process() == tmp_path / "_proc" and steps == ["yml", (0, False)]
    assert (tmp_path / "nbs" / "sidebar.yml").read_text() == "the sidebar"


@pytest.mark.parametrize("how", ["quarto", "smalldocs"])
def test_the_renderer_finds_this_python_and_only_what_is_unexpected_is_told(
    steps, monkeypatch, tmp_path, how, capsys
):
    def run(words, cwd, env, capture_output, text):
        steps.append((words, cwd, env, capture_output))
        said = "pre-render x\nunknown: html-math-method\npage a: no image-alt\nno such file\n"
        return SimpleNamespace(stderr=said if capture_output else None, returncode=status)

    status = 0
    monkeypatch.setattr(build.subprocess, "run", run)
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setenv("MNIST_COURSE_OTHER", "kept")
    build._render(how, tmp_path)
    ((words, cwd, env, captured),) = steps
    assert words[-1] in ("--no-cache", "--quiet") and cwd == tmp_path
    assert words[0] == {"quarto": "quarto", "smalldocs": sys.executable}[how]
    assert "render" in words and captured == (how == "smalldocs")
    assert env["PATH"] == os.pathsep.join([os.path.dirname(sys.executable), "/somewhere"])
    assert env["MNIST_COURSE_PAGES"] == "written" and env["MNIST_COURSE_OTHER"] == "kept"
    assert capsys.readouterr().out == ("no such file\n" if captured else "")
    status = 1
    with pytest.raises(ValueError, match=f"{how} could not make the site"):
        build._render(how, tmp_path)


@pytest.mark.parametrize("how", ["quarto", "smalldocs"])
def test_a_site_takes_the_place_of_the_one_before(steps, monkeypatch, tmp_path, how, capsys):
    (tmp_path / "_docs").mkdir()
    (tmp_path / "_docs" / "old.html").write_text("old")
    (tmp_path / "_proc").mkdir()

    def render(name, cache):
        steps.append((name, cache))
        (cache / "_docs" / "sub").mkdir(parents=True)
        for page in ("index.html", "sub/a.html"):
            (cache / "_docs" / page).write_text("new")
        (cache / "_docs" / "a.png").write_bytes(bytes(3 * 2**20))

    def process():
        steps.append(os.getcwd())
        return tmp_path / "_proc"

    monkeypatch.setattr(build, "_renderer", lambda: how)
    monkeypatch.setattr(build, "_process", process)
    monkeypatch.setattr(build, "write_pages", steps.append)
    monkeypatch.setattr(build, "_render", render)
    monkeypatch.chdir(tmp_path / "nbs")
    assert build.build_site() == tmp_path / "_docs"
    cache = tmp_path / "_proc"
    assert steps == [str(tmp_path), cache, (how, cache)]
    assert os.getcwd() == str(tmp_path / "nbs")
    assert sorted(path.name for path in (tmp_path / "_docs").iterdir()) == [
        "a.png",
        "index.html",
        "sub",
    ]
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"Making the site with {how}")
    assert ("pure Python" in first) == (how == "smalldocs")
    assert re.match(r"2 pages, 3 MB, in \d s: _docs/index.html; make docs-preview ", last)

    def fail(name, cache):
        raise ValueError("no site")

    monkeypatch.setattr(build, "_render", fail)
    with pytest.raises(ValueError, match="no site"):
        build.build_site()
    assert os.getcwd() == str(tmp_path / "nbs") and (tmp_path / "_docs" / "index.html").is_file()


@pytest.mark.parametrize(
    ("environment", "written"),
    [
        ({}, []),
        ({"QUARTO_PROJECT_RENDER_ALL": "1"}, [Path(".")]),
        ({"QUARTO_PROJECT_RENDER_ALL": "1", "QUARTO_PROJECT_DIR": "p"}, [Path("p")]),
        ({"QUARTO_PROJECT_RENDER_ALL": "1", "MNIST_COURSE_PAGES": "written"}, []),
        ({"QUARTO_PROJECT_DIR": "p"}, []),
    ],
)
def test_pages_are_written_once_before_a_whole_site(steps, monkeypatch, environment, written):
    monkeypatch.setattr(build, "write_pages", steps.append)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    build.before_rendering()
    assert steps == written


def test_what_was_rendered_is_finished_where_the_renderer_says(steps, monkeypatch):
    monkeypatch.setattr(build, "finish", steps.append)
    build.after_rendering()
    monkeypatch.setenv("QUARTO_PROJECT_DIR", "p")
    build.after_rendering()
    monkeypatch.setenv("QUARTO_PROJECT_OUTPUT_DIR", "out")
    build.after_rendering()
    assert steps == [Path("_docs"), Path("p/_docs"), Path("p/out")]


def test_a_finished_site_is_served_at_its_port(steps, monkeypatch, tmp_path, capsys):
    server = SimpleNamespace(serve_forever=lambda: steps.append("serves"))

    def site_server(folder, port):
        steps.append((folder, port))
        return server, f"http://127.0.0.1:{port}/mnist_course/"

    monkeypatch.setattr(build, "site_server", site_server)
    build.preview_site()
    assert steps == [(tmp_path / "_docs", 4200), "serves"]
    assert "http://localhost:4200/mnist_course/ (Ctrl-C" in capsys.readouterr().out


# ---- the text of a page, in one form


def text_in(folder, body, **more):
    return text_of(f"<html><main>{body}</main></html>", folder, "a_files", **more)


def test_a_heading_above_the_text_is_its_title_and_comments_are_gone(tmp_path):
    text = text_in(tmp_path, "<h1>A &amp; <code>é</code></h1><!-- note --><p>Words.</p>")
    assert (text.title, text.description) == ("A &amp; <code>é</code>", "")
    assert text.body == "<p>Words.</p>"
    assert text_in(tmp_path, "<p>Words.</p>").title == ""
    with pytest.raises(ValueError, match="no main part"):
        text_of("<p>Words.</p>", tmp_path, "a_files")


def test_the_same_picture_is_one_file_and_another_is_another(tmp_path):
    data = []
    for color in ("red", "blue"):
        buffer = io.BytesIO()
        Image.new("RGB", (3, 2), color).save(buffer, "png")
        data.append(buffer.getvalue())
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files" / "known.png").write_bytes(data[0])
    urls = [f"data:image/png;base64,{base64.b64encode(one).decode()}" for one in data]
    body = "".join(f'<p><img src="{url}" alt=""></p>' for url in [*urls, urls[1]])
    found = re.findall(r'src="([^"]+)"', text_in(tmp_path, body).body)
    assert found[0] == "a_files/known.png" and found[1] == found[2] != found[0]
    assert [(tmp_path / name).read_bytes() for name in found[:2]] == data
    assert len(list((tmp_path / "a_files").iterdir())) == 2


def test_sections_are_named_by_all_their_words(tmp_path):
    body = (
        '<section id="s"><h2>The <code>relu</code> of <em>it</em></h2><h3>Not this</h3></section>'
    )
    text = text_in(tmp_path, f"{body}<h3 id='t'>That</h3>")
    assert text.sections[0] == (2, "s", "The relu of it") and text.sections[-1] == (3, "t", "That")
    assert text.body.count('class="anchor"') == len(text.sections)


def test_a_heading_that_only_looks_like_an_exercise_is_left(tmp_path):
    title = "Exercise 03.1 · Width (2 of 5, 8 min)"
    body = f"<section><h3>{title}</h3></section><section><h3>About</h3></section><h3>{title}</h3>"
    made = text_in(tmp_path, body).body
    assert made.count('class="exercise"') == 1 and made.count("8 minutes") == 1
    assert "<h3>About</h3>" in made and f"<h3>{title}</h3>" in made


def test_facts_of_an_exercise_are_small_and_hard_is_in_dots(tmp_path):
    facts = '<div class="facts">code · difficulty 4 · 9 min</div>'
    made = text_in(tmp_path, f"<section>{facts}</section>").body
    assert "●●●●○" in made and 'class="exercise"' in made and "facts" not in made
    assert '<li class="chip">9 min</li><li class="chip">code</li>' in made


def test_results_come_first_for_those_who_want_them(tmp_path):
    fold = '<details class="code-fold"><summary>Show</summary><pre>x</pre></details>'
    inner = "<details><summary>More</summary></details>"
    cell = f'<div class="cell">{fold}<div class="out"><p>7</p>{inner}</div></div>'
    for first in (True, False):
        body = text_in(tmp_path, cell, results_first=first).body
        assert (body.index("<p>7</p>") < body.index("<summary>Show")) == first
        assert body.index("<p>7</p>") < body.index("<summary>More")
    two = f'<div class="cell">{fold}</div>'
    assert text_in(tmp_path, two + two).body.count("<details") == 1
    body = text_in(tmp_path, "<p>a</p>" + two + f'<div class="cell"><p>b</p></div>{two}').body
    assert body.count("<details") == 2


def test_what_a_cell_says_stays_as_it_is_without_left_overs(tmp_path):
    said = '<div class="cell-output"><pre><code>\n  <b>7</b> is\n\n</code></pre></div>'
    empty = '<div class="cell-output"></div>'
    body = text_in(tmp_path, said + empty).body
    assert "<b>7</b> is" in body and body.count("cell-output") == 2


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("Seven.", ""),
        ("3 panels: a curve that falls and a curve that rises.", ""),
        ("A curve that falls, and another that rises.", None),
    ],
)
def test_a_caption_is_neither_short_nor_a_count(said, caption):
    assert content._caption(said) == (said if caption is None else caption)
