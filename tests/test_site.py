"""The site as it is published: built in copies of the repository, then read as HTML and in a real browser.

`pytest tests/test_site.py --site _docs` looks at a site that was built before, whoever rendered it."""

import base64
import functools
import gzip
import html.parser
import io
import itertools
import json
import os
import re
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import numpy as np
import pytest
import torch
from helpers import ROOT, copy_repository, run_in
from matplotlib.patches import Rectangle
from PIL import Image
from pypdf import PdfReader

from mnist_course.checks import exercises
from mnist_course.engine.export import policy_of
from mnist_course.figure import show_panels
from mnist_course.making.repository import root, settings
from mnist_course.making.server import site_server
from mnist_course.making.site.api import _signature
from mnist_course.making.site.content import (
    _for_dark,
    _with_switched_diagrams,
    text_of,
    without_left_overs,
)
from mnist_course.making.site.frame import framed, places
from mnist_course.making.site.overviews import exercise_cards
from mnist_course.making.site.pages import (
    _glossary,
    linked,
    modules,
    public_names,
)
from mnist_course.making.site.polish import finish
from mnist_course.teaching.grading.feedback import _reading_place
from mnist_course.teaching.notebooks import (
    all_notebooks,
    lessons,
    markdown_cells,
    read_notebook,
)

BASE = "https://site.test/mnist_course/"
ONE_FILE = "try/draw_a_digit.html"  # to keep and to pass on: without a frame, and with all inside
VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
}
UNCLOSED = {
    "p",
    "li",
    "dt",
    "dd",
    "td",
    "th",
    "tr",
    "tbody",
    "thead",
    "option",
}  # HTML closes these itself


@dataclass
class Parsed(html.parser.HTMLParser):
    "What the tests ask of a page."

    source: str
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # href of a
    loads: list[str] = field(default_factory=list)  # what the browser fetches
    images: list[dict] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    base: str = ""

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.level = [], [], 0
        self.feed(self.source)
        self.faults += [f"<{tag}> is not closed" for tag in self.open if tag not in UNCLOSED]

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.faults += [
            f"{name} twice in <{tag}>"
            for name, count in Counter(name for name, _ in attrs).items()
            if count > 1
        ]
        if given.get("id"):
            self.ids.append(given["id"])
        if tag == "base":
            self.base = given["href"]
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon"):
            self.loads.append(given["href"])
        if tag == "img" or (tag == "svg" and "aria-hidden" not in given):
            self.images.append({"tag": tag, **given})
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
            self.level = int(tag[1])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if re.fullmatch(r"h[1-6]", tag):
            self.level = 0
        while self.open and self.open[-1] != tag and self.open[-1] in UNCLOSED:
            self.open.pop()
        if not self.open or self.open[-1] != tag:
            self.faults.append(
                f"</{tag}> at line {self.getpos()[0]}, where {self.open[-3:]} are open"
            )
        else:
            self.open.pop()

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)
        if {"title", "desc"} & set(self.open[-1:]) and "svg" in self.open:
            self.images[-1]["said"] = self.images[-1].get("said", "") + data
        if self.level and self.headings:
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)


@pytest.fixture(scope="session")
def given(pytestconfig) -> Path | None:
    "The folder of a site that was built before these tests; None to build one."
    folder = pytestconfig.getoption("--site")
    if folder:
        assert (Path(folder) / "index.html").is_file(), f"there is no site in {folder}"
    return Path(folder).resolve() if folder else None


@pytest.fixture
def ours(given) -> None:
    "For tests of the building itself."
    if given:
        pytest.skip("the site was built before these tests")


@pytest.fixture(scope="session")
def built(given, tmp_path_factory) -> Path:
    "The site's folder: the one that is given, or one built in a copy. What the command said is in said.txt beside that."
    if given:
        return given
    folder = copy_repository(tmp_path_factory.mktemp("one"))
    said = run_in(
        folder,
        sys.executable,
        "-m",
        "mnist_course.making",
        "site",
        MNIST_COURSE_RENDERER="smalldocs",
        PYTHONHASHSEED="1",
    )
    (folder / "said.txt").write_text(said)
    return folder / "_docs"


@pytest.fixture(scope="session")
def pages(built) -> dict[str, Parsed]:
    "Every page, by its address from the root."
    found = {
        path.relative_to(built).as_posix(): Parsed(path.read_text("utf-8"))
        for path in sorted(built.rglob("*.html"))
    }
    assert len(found) > 200  # without a page nothing could be wrong with one
    return found


@pytest.fixture(scope="session")
def address(built):
    "The site on a server of this machine."
    server, address = site_server(built)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address
    server.shutdown()


def told(faults: list) -> None:
    "Fail with all faults, not the first one only."
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(map(str, faults[:40]))


def inside(built: Path, page: str, parsed: Parsed, target: str) -> tuple[Path, str] | None:
    "The file and the fragment that an address on a page means; None for another host."
    if urlsplit(target).scheme in ("http", "https", "mailto", "data", "blob"):
        return None
    start = urljoin(BASE, parsed.base) if parsed.base else urljoin(BASE, page)
    whole, fragment = urldefrag(urljoin(start, target))
    assert whole.startswith(BASE), f"{page}: {target} leads out of the site"
    file = built / unquote(urlsplit(whole).path.removeprefix("/mnist_course/"))
    return (file / "index.html" if file.is_dir() else file), unquote(fragment)


# ---- the build


@pytest.mark.slow
def test_the_build_says_how_it_was_made(ours, built):
    said = (built.parent / "said.txt").read_text()
    assert "smalldocs, which is pure Python" in said and "make docs-preview" in said
    assert "warning" not in said.lower()


@pytest.mark.slow
def test_the_renderer_gets_lists_of_lines(ours, built):
    "Quarto splits a source that is one string and joins it without its line ends."
    notebooks = sorted((built.parent / "_proc").rglob("*.ipynb"))
    assert len(notebooks) > 60
    sources = [
        cell["source"]
        for path in notebooks
        for cell in json.loads(path.read_text("utf-8"))["cells"]
    ]
    told([one for one in sources if one != "".join(one).splitlines(keepends=True)])


@pytest.mark.slow
@pytest.mark.long
def test_built_twice_is_the_same(ours, built, tmp_path_factory):
    folder = copy_repository(tmp_path_factory.mktemp("a_second_place"))
    run_in(
        folder,
        sys.executable,
        "-m",
        "mnist_course.making",
        "site",
        MNIST_COURSE_RENDERER="smalldocs",
        PYTHONHASHSEED="2",
    )
    again = folder / "_docs"
    names = {path.relative_to(built) for path in built.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    told(
        [
            name
            for name in sorted(names)
            if (built / name).read_bytes() != (again / name).read_bytes()
        ]
    )


QUARTO = """\
import os, subprocess, sys
if "README.md" in sys.argv:
    os.makedirs("_docs", exist_ok=True)
    open("_docs/README.md", "w").write("another README")
    env = dict(os.environ, QUARTO_PROJECT_DIR=os.getcwd(), QUARTO_PROJECT_OUTPUT_DIR="_docs")
    sys.exit(subprocess.run([sys.executable, "-m", "mnist_course.making", "site", "finish"], env=env).returncode)
if os.path.exists("_docs/README.md"):
    os.remove("_docs/README.md")
sys.exit(subprocess.run([sys.executable, "-m", "smalldocs.cli", "render", "--quiet"]).returncode)
"""


@pytest.mark.long
def test_nbdevs_own_commands_make_the_same_site_and_change_nothing(ours, built, tmp_path):
    "With a stand-in for Quarto that calls the steps in _quarto.yml as Quarto does."
    folder = copy_repository(tmp_path / "clone")
    stand_in = tmp_path / "bin" / "quarto"
    stand_in.parent.mkdir()
    program = stand_in.with_suffix(".py")
    program.write_text(QUARTO)
    # a shebang line can't name a Python whose path has a blank
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    stand_in.chmod(0o755)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t.test"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        run_in(folder, *git, *words)
    path = f"{stand_in.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.utime(
        folder / "nbs" / "index.ipynb"
    )  # newer than README.md: nbdev_docs makes the README, too
    run_in(folder, "nbdev_docs", "--n_workers", "0", PATH=path)
    assert run_in(folder, "git", "status", "--short") == ""
    one, other = (
        {path.relative_to(place) for path in place.rglob("*.html")}
        for place in (built, folder / "_docs")
    )
    assert one == other
    run_in(folder, "nbdev_readme", PATH=path)
    assert run_in(folder, "git", "status", "--short") == ""


# ---- every page, as HTML


def test_html_parses(pages):
    told([(name, fault) for name, page in pages.items() for fault in page.faults])
    told(
        [
            (name, id)
            for name, page in pages.items()
            for id, count in Counter(page.ids).items()
            if count > 1
        ]
    )


def test_links_lead_somewhere(built, pages):
    faults = []
    for name, page in pages.items():
        for target in {*page.links, *page.loads}:
            found = inside(built, name, page, target)
            if found is None:
                continue
            file, fragment = found
            if not file.is_file():
                faults.append((name, target))
            elif (
                fragment
                and file.suffix == ".html"
                and fragment not in pages[file.relative_to(built).as_posix()].ids
            ):
                faults.append((name, target, "no such place on that page"))
    told(faults)
    assert sum(len(page.links) for page in pages.values()) > 2_000


def test_nothing_is_loaded_from_another_host(built, pages):
    told(
        [(name, url) for name, page in pages.items() for url in page.loads if urlsplit(url).netloc]
    )
    told(
        [
            (path.name, url)
            for path in built.rglob("*.css")
            for url in re.findall(
                r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"';]*", path.read_text("utf-8")
            )
        ]
    )


def test_every_picture_has_a_text_that_says_something(pages):
    faults = []
    for name, page in pages.items():
        for image in page.images:
            if image.get("role") == "presentation" and image.get("alt") == "":
                continue  # it stands in the lesson too, and is described there
            text = (
                image.get("alt")
                if image["tag"] == "img"
                else image.get("aria-label") or image.get("said")
            ) or ""
            if len(text) < (
                15 if image["tag"] == "svg" or image["src"].startswith("data:") else 10
            ) or re.search(r"\.(png|svg|jpe?g)$", text):
                faults.append((name, image["tag"], text))
    told(faults)
    assert sum(len(page.images) for page in pages.values()) > 40


def test_headings_are_in_order(pages):
    faults = []
    for name, page in pages.items():
        levels = [level for level, _ in page.headings if level]
        if levels.count(1) != 1:
            faults.append((name, f"{levels.count(1)} headings of the first level"))
        faults += [
            (name, f"level {b} follows {a}") for a, b in itertools.pairwise(levels) if b > a + 1
        ]
        faults += [(name, "an empty heading") for _, text in page.headings if not text.strip()]
    told(faults)


def loaded(built: Path, name: str, page: Parsed) -> set[Path]:
    "A page and the files that a browser loads with it in the light. Of a font in several formats it takes the first."
    dark = {image.get("src") for image in page.images if "in-dark" in (image.get("class") or "")}
    files = {built / name} | {
        found[0]
        for url in page.loads
        if url not in dark and (found := inside(built, name, page, url))
    }
    for css in [file for file in files if file.suffix == ".css"]:
        text = css.read_text("utf-8")
        fonts = [re.split("url", face)[:2] for face in re.findall(r"@font-face\s*\{[^}]*\}", text)]
        rest = re.sub(r"@font-face\s*\{[^}]*\}", "", text)
        for part in [*("url".join(face) for face in fonts), rest]:
            files |= {
                (css.parent / re.split("[?#]", url)[0]).resolve()
                for url in re.findall(r"url\([\"']?(?!data:|#)([^)\"']+)", part)
            }
    return files


def travels(file: Path) -> int:
    "Bytes that a server sends: GitHub Pages compresses text."
    content = file.read_bytes()
    text = file.suffix in (".html", ".css", ".js", ".svg")
    return len(gzip.compress(content, mtime=0)) if text else len(content)


def test_pages_are_light(built, pages):
    "On a slow line: 2 MB take 16 s at 1 Mbit/s, the front page's 350 kB not quite 3. Styles, scripts and the font of icons, 240 kB, come once for all pages."
    weights = {name: sum(map(travels, loaded(built, name, page))) for name, page in pages.items()}
    weights.pop(ONE_FILE)  # has the whole network inside
    told([(name, size) for name, size in weights.items() if size > 1_000_000])
    assert weights["index.html"] < 350_000


# ---- what must be on them


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_lessons_page_shows_the_outputs_of_the_notebook(built, pages, path):
    name, faults = f"{path.stem}.html", []
    source, text = (built / name).read_text("utf-8"), squeezed("".join(pages[name].text))
    pictures = [
        ((built / image["src"]).read_bytes(), " ".join(image["alt"].split()))
        for image in pages[name].images
        if image["tag"] == "img" and ":" not in image["src"]
    ]
    shown = 0
    for cell in read_notebook(path)["cells"]:
        hidden = "#| hide" in "".join(cell["source"])
        for output in [] if hidden or cell["cell_type"] != "code" else cell["outputs"]:
            data, shown = output.get("data", {}), shown + 1
            said = "".join(
                output.get("text", data.get("text/markdown", data.get("text/plain", "")))
            )
            if said.strip() and not without_left_overs(said).strip():
                continue  # nobody was there to answer
            if "image/png" in data:
                picture = base64.b64decode("".join(data["image/png"]))
                alt = " ".join(output["metadata"]["image/png"]["alt"].split())
                if (picture, alt) not in pictures:
                    faults.append(alt)
            elif "image/svg+xml" in data:
                drawn = re.sub(
                    r"<style>.*?</style>", "", "".join(data["image/svg+xml"]), flags=re.S
                )
                faults += [
                    part
                    for part in re.findall(r"<(?:text|title|desc|path|rect)[^>]*>[^<]*", drawn)
                    if squeezed(part) not in squeezed(source)
                ]
            elif "text/markdown" in data:
                words = re.findall(
                    r"[\w,.]{4,}",
                    re.sub(
                        r"`|\*\*|</?\w+>|\]\([^)]*\)|&\w+;", " ", "".join(data["text/markdown"])
                    ),
                )
                faults += [
                    word
                    for word in words
                    if squeezed(word) not in text and word.strip(".,") not in text
                ]
            elif squeezed(without_left_overs(said)) not in text:
                faults.append(said[:200])
    told(faults)
    assert shown >= 15


def test_every_notebook_is_in_the_sidebar(pages):
    links = {unquote(link) for link in pages["index.html"].links}
    wanted = {
        path.relative_to(ROOT / "nbs").with_suffix(".html").as_posix() for path in all_notebooks()
    }
    assert not wanted - links - {"index.html"}
    assert {
        "map.html",
        "exercises.html",
        "glossary.html",
        "try/index.html",
        "api/index.html",
    } <= links


def test_every_exercise_is_on_the_page_of_exercises(pages):
    from mnist_course.checks import exercises

    on_page = {
        link.split("#exercise-")[1]
        for link in pages["exercises.html"].links
        if "#exercise-" in link
    }
    assert (
        on_page
        == {one.name for one in exercises() if one.kind != "build"}  # those stand in the text
        == {card.id.split(".")[1] for _, card in exercise_cards()}
    )


def test_feedback_leads_to_places_that_there_are(pages):
    faults = []
    for item in exercises():
        words, address = _reading_place(item)
        name, _, place = address.partition("mnist_course/")[2].partition("#")
        if place not in pages[name].ids:
            faults.append((item.id, words, address))
    told(faults)


def test_lessons_link_the_glossary_once_for_each_term(pages):
    for path in lessons():
        links = Counter(
            link for link in pages[f"{path.stem}.html"].links if link.startswith("glossary.html#")
        )
        enough = 2 if path.stem == "00_start_here" else 3  # it only begins to earn words
        assert len(links) >= enough and set(links.values()) == {1}, path.stem
    used = {
        link.split("#")[1]
        for path in lessons()
        for link in pages[f"{path.stem}.html"].links
        if link.startswith("glossary.html#")
    }
    assert len(used) >= 0.7 * len({id for id, *_ in _glossary().values()})


def test_the_api_shows_docments_errors_and_sources(pages):
    page = pages["api/arithmetic.html"]
    text = " ".join("".join(page.text).split())
    for words in (
        "pixels added on EACH side",
        "Raises ValueError when it fits nowhere",
        "ceil_mode: bool = False",
    ):
        assert words in text


def test_source_links_lead_to_the_lines_that_they_name(pages):
    faults, seen = [], 0
    for name, page in pages.items():
        for link in page.links if name.startswith("api/") else ():
            if found := re.search(r"/blob/main/(mnist_course/.+\.py)#L(\d+)-L\d+$", link):
                line = (ROOT / found[1]).read_text("utf-8").splitlines()[int(found[2]) - 1]
                seen += 1
                if not re.match(r" *(def|class) |@|    @", line):
                    faults.append((name, link, line))
    told(faults)
    assert seen > 300


def test_edit_links_lead_to_files_that_exist(pages):
    edits = {
        name: link for name, page in pages.items() for link in page.links if "/edit/main/" in link
    }
    told(
        [
            (name, link)
            for name, link in edits.items()
            if not (ROOT / link.split("/edit/main/")[1]).exists()
        ]
    )
    assert len(edits) >= len(all_notebooks())
    assert not [name for name in edits if name in ("map.html", "exercises.html") or "api/" in name]


def test_a_page_for_machines(built, pages):
    listed = (built / "llms.txt").read_text("utf-8")
    for path in lessons():
        assert (
            f"{path.stem}.llms.md" in listed
            and (built / f"{path.stem}.llms.md").stat().st_size > 5_000
        )
    text = (built / "assets" / "search-index.js").read_text("utf-8")
    found = [entry[0].partition("#") for entry in json.loads(text.split("=", 1)[1])]
    told([name for name, _, place in found if name not in pages])
    told([(name, place) for name, mark, place in found if mark and place not in pages[name].ids])
    assert len(found) > 1_000 and not [name for name, _, place in found if place == "sources"]


def test_lists_for_machines_have_the_order_of_the_sidebar(built, pages):
    site = "https://mnist-course.github.io/mnist_course/"
    mapped = re.findall(rf"<loc>{site}(.*?)</loc>", (built / "sitemap.xml").read_text("utf-8"))
    assert mapped == [place.address for place in places()]
    assert set(pages) - set(mapped) == {"404.html", ONE_FILE}
    listed = re.findall(rf"\({site}(.*?)\.llms\.md\)", (built / "llms.txt").read_text("utf-8"))
    numbers = [name[:2] for name in listed if re.match(r"\d\d_", name)]
    assert numbers == sorted(numbers) and len(numbers) == len(lessons())
    assert "<lastmod>" not in (built / "sitemap.xml").read_text("utf-8")


# ---- in a browser


@pytest.fixture
def visit(new_page, address):
    "Opens a window on the site."
    return functools.partial(new_page, address)


@pytest.mark.parametrize("width", [390, 320])  # 320: a desk's window at 400 percent
def test_every_page_opens_in_silence_and_fits_a_phone(visit, pages, address, width, share):
    page, wide = visit(viewport={"width": width, "height": 800}), []
    few = kinds(list(pages), share(lesson_pages(pages), 6))
    for name in sorted({*few, *share(pages, 30)}) if width == 390 else few:
        if name != "404.html":  # opened by its own test
            page.goto(address + name, wait_until="domcontentloaded")
            page.evaluate(
                "document.querySelectorAll('details').forEach(one => { one.open = true })"
            )
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append(name)
    told(wide)


def lesson_pages(pages: Iterable[str]) -> list[str]:
    return [name for name in pages if re.match(r"\d\d_", name)]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 900)])
def test_the_first_screen_shows_what_this_is_and_how_to_begin(visit, address, width, height):
    page = visit(viewport={"width": width, "height": height})
    page.goto(address + "index.html")
    places = ["main h1", "main .mc-canvas", "main .ml-door >> nth=0"]
    boxes = [page.locator(place).first.bounding_box() for place in places]
    assert boxes[0]["y"] < boxes[1]["y"], "the title comes before the pad"
    for place, box in zip(places[: 3 if width > 1000 else 2], boxes, strict=False):
        # a little may be missing where letters are wider than here
        assert (
            box["x"] >= 0
            and box["x"] + box["width"] <= width
            and box["y"] + 0.8 * box["height"] <= height
        ), place
    assert page.locator(".ml-strip").count() and page.locator(".ml-door").count() == 3
    words = " ".join(page.locator("main pre").all_inner_texts())
    assert "make learn" in words and "make test" in words


def kinds(names: list[str], lessons: Container[str]) -> list[str]:
    "One page of each kind, and some lessons: what a template gets wrong, it gets wrong on all of its pages. MNIST_COURSE_SITE_PAGES=all: every page."
    if os.environ.get("MNIST_COURSE_SITE_PAGES") == "all":
        return names
    few = [
        "index.html",
        "map.html",
        "exercises.html",
        "glossary.html",
        "404.html",
        "try/index.html",
        "api/index.html",
        "api/arithmetic.html",
    ]
    few += [
        "api/training.html",
        "answers/03_shapes.html",
        "answers/08_training.html",
        "instructors/publishing.html",
        "instructors/begin.html",
        "instructors/teaching.html",
        "workshop/site_polish.html",
        "03_shapes.html",
    ]
    return [name for name in names if name in few or name in lessons]


@pytest.mark.drawn(1)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(visit, pages, address, violations, scheme, width, share):
    "On each kind of page, and on other lessons with each commit; before a site is published, on all pages."
    page, faults = visit(color_scheme=scheme, viewport={"width": width, "height": 900}), []
    for name in kinds(list(pages), share(lesson_pages(pages), 3)):
        page.goto(address + name)
        if name == "try/index.html":
            page.wait_for_selector(".mc-canvas")
        faults += [(name, *found) for found in violations(page)]
    told(faults)


CONTROLS = {"button", "link", "slider", "checkbox", "combobox", "spinbutton", "textbox", "radio"}


@pytest.mark.parametrize(
    "name",
    ["try/index.html", "train/index.html", "toys/stepper.html", "toys/shapes.html"],
)
def test_what_can_be_used_has_a_name_for_a_screen_reader(visit, address, name):
    page = visit()
    page.goto(address + name, wait_until="networkidle")
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    said = [
        (one["role"]["value"], one.get("name", {}).get("value", "").strip())
        for one in tree
        if not one.get("ignored")
        and one["role"]["value"] in CONTROLS | {"image", "application", "region"}
    ]
    told([role for role, words in said if not words])
    assert sum(role in CONTROLS - {"link"} for role, _ in said) >= 10


def search_for(page, words: str) -> list[str]:
    "The addresses that a search finds, best first."
    if not page.locator("dialog.search").is_visible():
        page.keyboard.press("/")
    page.get_by_role("searchbox").fill(words)
    page.locator(f".search-results[data-for='{words}'] .search-result").first.wait_for()
    return page.locator(".search-result").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )


@pytest.mark.drawn(4)
@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("receptive field", r"03_shapes\.html#"),
        ("stride", r"03_shapes\.html#"),
        ("max pooling", r"02_convolution\.html#"),
        ("momentum", r"07_sgd\.html#"),
        ("learning rate", r"0[57]_\w+\.html#"),
        ("softmax", r"05_loss\.html#"),
        ("saliency", r"(10_inside|glossary)\.html#"),
        ("output_size", r"(03_shapes|api/arithmetic)\.html#"),
        ("18496", r"03_shapes\.html#"),
        ("what does padding do?", r"03_shapes\.html#"),
        ("gradients", r"0\d_\w+\.html#"),
        ("which lesson explains pooling", r"(02_convolution|glossary)\.html#"),
    ],
)
def test_search_finds_what_explains_a_word_first(visit, address, words, first):
    page = visit()
    page.goto(address + "answers/03_shapes.html")
    found = search_for(page, words)
    assert re.match(rf"\.\./{first}", found[0]), found[:5]
    assert not [one for one in found if one.endswith("#sources")]
    places = [i for i, one in enumerate(found) if re.match(r"\.\./\d\d_", one)]
    library = [i for i, one in enumerate(found) if "/api/" in one]
    assert "_" in words or not library or places[0] < library[0], "lessons come first"


def test_search_says_when_no_place_has_all_words_or_any(visit, address):
    page = visit()
    page.goto(address + "map.html")
    search_for(page, "padding xylophone")
    assert (
        page.locator(".search-said").inner_text().startswith("Nothing has all of these words. Some")
    )
    page.get_by_role("searchbox").fill("xylophone")
    page.locator(".search-said", has_text="Nothing has any of these words.").wait_for()
    assert page.locator(".search-result").count() == 0


def test_search_works_by_keyboard_and_leads_there(visit, address):
    page = visit()
    page.goto(address + "answers/03_shapes.html")
    search_for(page, "receptive field")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.className") == "search-result"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("03_shapes.html#"))


COLOR = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_until_the_switch_speaks(visit, address, scheme):
    page = visit(color_scheme=scheme)
    page.goto(address + "03_shapes.html")
    system = page.evaluate(COLOR)
    drawn = "getComputedStyle(document.querySelector('main svg .mc-fill-ink')).fill"
    ink = page.evaluate(drawn)
    page.get_by_role("button", name="Toggle dark mode").click()
    page.wait_for_function(f"{COLOR} !== '{system}'")
    assert page.evaluate(drawn) != ink, "the diagrams go with it"
    page.goto(address + "04_network.html")
    chosen = page.evaluate(COLOR)
    assert chosen != system, "it is remembered"
    other = visit(color_scheme={"light": "dark", "dark": "light"}[scheme])
    other.goto(address + "03_shapes.html")
    assert other.evaluate(COLOR) == chosen, "the switch and the system lead to the same light"
    assert other.evaluate(drawn) != ink


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_a_page_follows_the_system_and_hides_nothing(visit, address, scheme):
    page = visit(
        color_scheme=scheme, java_script_enabled=False, viewport={"width": 390, "height": 800}
    )
    page.goto(address + "03_shapes.html")
    box = page.locator("h1").bounding_box()
    bar = page.locator(".site-bar").bounding_box()
    assert box["y"] >= bar["y"] + bar["height"], "the bar hides no title"
    corner = page.screenshot(clip={"x": 0, "y": 400, "width": 4, "height": 4})
    brightness = sum(Image.open(io.BytesIO(corner)).convert("L").tobytes()) / 16
    assert (brightness > 200) == (scheme == "light")
    assert not page.locator(".scheme-button").is_visible(), "what needs a script isn't offered"
    assert not page.locator(".search-button").is_visible()


def test_a_lesson_on_paper(visit, address):
    "White paper whatever the screen was, the figures of a light page, room for a guess, and nothing that can only be pressed."
    page = visit(color_scheme="dark", viewport={"width": 700, "height": 1000})
    page.goto(address + "05_loss.html")
    page.locator(".ml-guess").first.wait_for()
    page.emulate_media(media="print")
    assert page.evaluate(COLOR) == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    for what in (
        "img.in-dark",
        ".site-bar",
        "#site-nav",
        ".copy",
        ".code-fold:not([open])",
        "form",
    ):
        assert not [one for one in page.locator(what).all() if one.is_visible()], what
    room = "getComputedStyle(document.querySelector('.ml-guess'), '::after').content"
    assert "Your guess: ____" in page.evaluate(room)
    ink = page.evaluate("getComputedStyle(document.querySelector('main section > p')).color")
    assert max(map(int, re.findall(r"\d+", ink)[:3])) < 80, "dark letters"


def test_the_first_stop_of_a_keyboard_leads_to_the_text(visit, address):
    page = visit()
    for name in ("03_shapes.html", "api/arithmetic.html", "index.html"):
        page.goto(address + name)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the text"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_the_list_of_pages_on_a_desk_and_on_a_phone(visit, address):
    page = visit()
    page.goto(address + "00_start_here.html")
    page.locator("#site-nav a", has_text="Shapes").first.click()
    assert page.url.endswith("03_shapes.html")
    assert page.locator("#site-nav [aria-current=page]").last.inner_text().endswith("Shapes")
    page.locator("#site-nav summary", has_text="Answers").press("Enter")
    page.locator("#site-nav a[href='answers/03_shapes.html']").wait_for(state="visible")
    phone = visit(viewport={"width": 390, "height": 800})
    phone.goto(address + "03_shapes.html")
    assert not phone.locator("#site-nav").is_visible()
    phone.get_by_role("button", name="All pages").click()
    phone.locator("#site-nav").wait_for(state="visible")
    phone.keyboard.press("Escape")
    phone.locator("#site-nav").wait_for(state="hidden")
    phone.get_by_role("button", name="All pages").click()
    phone.locator("#site-nav .only-narrow a", has_text="Glossary").click()
    assert phone.url.endswith("glossary.html")


def test_the_bar_marks_where_a_page_belongs(pages):
    marked = {}
    for name, page in pages.items():
        if name == ONE_FILE:
            continue
        bar = re.search(r'<nav class="bar-links".*?</nav>', page.source, re.S)[0]
        marked[name] = re.findall(r'<a href="([^"]*)" aria-current="page">', bar)
    assert marked["map.html"] == ["map.html"] and marked["index.html"] == []
    assert marked["05_loss.html"] == ["00_start_here.html"]
    assert marked["instructors/syllabus.html"] == ["../instructors/begin.html"]
    assert marked["api/arithmetic.html"] == ["../api/index.html"]
    assert marked["glossary.html"] == ["glossary.html"]


def test_boxes_of_the_map_lead_to_the_lessons(visit, address):
    page = visit()
    page.goto(address + "map.html")
    page.locator(".course-map a", has_text="Shapes").click()
    assert page.url.endswith("03_shapes.html")


def test_code_fits_its_box(visit, address):
    "No block of code in a lesson is wider than its column on a desk."
    page, faults = visit(), []
    for path in lessons():
        page.goto(f"{address}{path.stem}.html")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        faults += page.evaluate(
            """name => [...document.querySelectorAll("main pre")]
                .filter(one => one.scrollWidth > one.clientWidth + 1)
                .map(one => [name, one.scrollWidth - one.clientWidth,
                    one.textContent.split("\\n").sort((a, b) => b.length - a.length)[0]])""",
            path.stem,
        )
    told(faults)


def test_nothing_of_the_machinery_is_left_on_a_lessons_page(pages):
    faults = []
    for path in lessons():
        page = pages[f"{path.stem}.html"]
        text = "".join(page.text)
        for words in ("no guess yet", "not attempted yet", "No guesses to look back"):
            if words in text:
                faults.append((path.stem, words))
        folds = re.findall(
            r'<details class="code-fold">.*?</details>\s*</div>\s*(.{30})', page.source, re.S
        )
        faults += [(path.stem, "two folds in a row") for after in folds if "code-fold" in after]
    told(faults)


def test_cards_for_those_who_share_a_link_are_there(built, pages):
    site = "https://mnist-course.github.io/mnist_course/"
    for name, page in pages.items():
        if name == ONE_FILE:
            continue
        for key in ("og:image", "twitter:image"):
            (target,) = re.findall(rf'<meta \w+="{key}" content="([^"]*)"', page.source)
            assert target.startswith(site), (name, target)
            with Image.open(built / target.removeprefix(site)) as card:
                assert card.size == (1200, 630), (name, target)


def test_the_policy_of_every_page_is_strict_and_fits_its_scripts(pages):
    for name, page in pages.items():
        source = page.source
        (policy,) = re.findall(
            r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', source
        )
        wanted = policy_of(source, "data:") if name == ONE_FILE else policy_of(source)
        assert policy == wanted, name
        assert "default-src 'none'" in policy and "script-src 'self' 'sha256-" in policy, name
        assert not re.search(r"https?:|\*|unsafe-eval|script-src[^;]*unsafe", policy), name
        assert source.index("Content-Security-Policy") < source.index("<script"), name
        plain = re.sub(r"<script.*?</script>", "", source, flags=re.S)
        assert not re.search(r"<[a-z][^>]*\son\w+=", plain), name


def test_the_browser_enforces_the_policy(chromium, address):
    page = chromium.new_page()
    page.goto(address + "03_shapes.html")
    said = []
    page.on("console", lambda message: said.append(message.text))
    with page.expect_console_message(lambda one: "elsewhere.test" in one.text):
        page.evaluate(
            """() => {
                const script = document.createElement("script")
                script.textContent = "window.ran = true"
                document.head.append(script)
                new Image().src = "https://elsewhere.test/a.png"
            }"""
        )
    assert page.evaluate("window.ran") is None
    page.close()


def test_a_lost_address_gets_a_page_with_its_styles(chromium, address):
    page = chromium.new_page()
    assert page.goto(address + "no/such/page.html").status == 404
    assert page.get_by_role("heading", level=1).inner_text() == "This page is not here"
    page.get_by_role("link", name="lesson 00").click()
    assert page.url == address + "00_start_here.html"
    page.close()


def test_the_course_on_paper(built, chromium, tmp_path):
    out = tmp_path / "course.pdf"  # of one lesson; in a process of its own: it opens a browser
    command = [sys.executable, "-m", "mnist_course.making", "pdf", str(out), "--paper", "Letter"]
    command += ["--chapters", "02", "glossary", "--site", str(built)]
    said = run_in(root(), *command)
    reader = PdfReader(out)
    pages = [" ".join(page.extract_text().split()) for page in reader.pages]
    assert f"{len(pages)} pages" in said and 12 < len(pages) < 40
    sizes = {(float(one.mediabox.width), float(one.mediabox.height)) for one in reader.pages}
    assert sizes == {(612, 792)}
    # the contents name the pages where the chapters begin, and the pages bear these numbers
    begins = {
        name: int(number) for name, number in re.findall(r"(02 · \w+|Glossary) (\d+)", pages[1])
    }
    assert list(begins) == ["02 · Convolution", "Glossary"] and begins["02 · Convolution"] == 3
    for number, page in enumerate(pages[1:], 2):
        foot = f"{number}{settings()['title']}{settings()['version']}"
        assert foot in page.replace(" ", ""), page[:80]
    assert "Teach a computer" in pages[2] or "02 · Convolution" in pages[2]
    assert "Glossary" in pages[begins["Glossary"] - 1]
    outline = (
        [one.title for one in reader.outline[-1]] if isinstance(reader.outline[-1], list) else []
    )
    assert reader.metadata.title and reader.root_object.get("/Lang"), outline
    # nothing that only a screen can do: what is folded away has moved to the end, with a number
    text = " ".join(pages)
    assert "Loading" not in text and "Show the code" not in text and "note 1" in text
    lesson = read_notebook(root() / "nbs" / "02_convolution.ipynb")
    hints = re.findall(r"<summary>(.*?)</summary>", "".join(markdown_cells(lesson)))
    assert all(text.count(" ".join(re.sub("<.*?>", "", hint).split())) >= 2 for hint in hints[:5])
    # links lead into the book, or to the site that everybody can reach
    links = [
        note.get_object()["/A"]
        for page in reader.pages
        for note in page.get("/Annots", [])
        if "/A" in note.get_object()
    ]
    addresses = [str(one["/URI"]) for one in links if "/URI" in one]
    assert addresses and not [
        one for one in addresses if "127.0.0.1" in one or one.startswith("file")
    ]
    assert any(one.startswith("https://mnist-course.github.io/mnist_course/") for one in addresses)


def test_pages_open_from_a_stick(visit, built):
    page = visit()
    for name in ("index.html", "03_shapes.html", "api/arithmetic.html"):
        page.goto((built / name).as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "arithmetic"


# ---- the steps alone


def test_terms_are_linked_once_and_only_in_prose():
    text = "## A kernel\n\nA `kernel`, [a kernel](x.md), $kernel$, <b title='kernel'>x</b>, kernel-like, Kernel and kernels.\n\n| kernel |\n"
    assert (
        linked(text, "../", set(), "02").count("../glossary.qmd#kernel")
        == 1
        == linked(text, "../", set(), "02").count("[Kernel]")
    )
    assert linked(text, "", {"kernel"}, "02") == text and linked(text, "", set()) == text
    assert linked("`output_size`, `output_size()`, `x.output_size`", "", set()) == (
        "[`output_size`](api/arithmetic.qmd#output_size), `output_size()`, `x.output_size`"
    )


@pytest.mark.parametrize(
    ("lesson", "text"),
    [
        ("01", "You restart the kernel, and run it again."),  # Jupyter's
        ("07", "The ball strides along the slope."),
        ("10", "Those answers stay wrong until the kernel is restarted."),
        ("09", "Which shape: a straight line, or a curve?"),
        ("13", "The same pooling learns."),  # global average pooling
        ("04", "A bias of the writer, and a drift to the right."),
        ("05", "> A 3x3 isotropic gradient operator"),  # a quotation
    ],
)
def test_a_word_in_another_sense_is_no_term(lesson, text):
    assert linked(text, "", set(), lesson) == text


def test_an_everyday_word_is_a_term_where_it_is_earned():
    assert "#stride" in linked("The stride is 2.", "", set(), "03")
    assert "#shape" in linked("What's its shape?", "", set(), "00")
    assert "#gradient" in linked("The gradient of all.", "", set(), "12")


def test_no_page_holds_a_formula_that_needs_a_script(pages):
    shown = {name for name, page in pages.items() if re.search(r"<math[ >]", page.source)}
    assert {"05_loss.html", "11_your_digits.html", "exercises.html"} <= shown
    told(
        [
            name
            for name, page in pages.items()
            if re.search(r'<(?:script|link)[^>]*katex|class="math ', page.source, re.I)
        ]
    )


def test_diagrams_follow_the_switch():
    page = _with_switched_diagrams(
        "<svg><style>@media (prefers-color-scheme:dark){.a,.b{fill:#fff}.c{x:1}}</style></svg><style>p{x:1}</style>"
    )
    assert page == (
        "<svg><style>.quarto-dark .a, .quarto-dark .b{fill:#fff}.quarto-dark .c{x:1}@media (prefers-color-scheme: dark) "
        "{ html:not([class]) .a, html:not([class]) .b{fill:#fff}html:not([class]) .c{x:1} }</style></svg><style>p{x:1}</style>"
    )


def test_another_host_is_found(tmp_path):
    (tmp_path / "theme.css").write_text(".a{background:url(//x.test/a.png)}")
    with pytest.raises(ValueError, match=r"theme.css loads from another host: url\(//x.test"):
        finish(tmp_path)


def test_a_site_that_is_finished_twice_is_the_same(built, tmp_path):
    again = shutil.copytree(built, tmp_path / "again")
    finish(again)
    files = [path for path in sorted(again.rglob("*")) if path.is_file()]
    assert len(files) > 500
    told([p.name for p in files if p.read_bytes() != (built / p.relative_to(again)).read_bytes()])


# ---- what Quarto writes: small pages with the structure of real ones


QUARTO_PAGE = """\
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en" xml:lang="en"><head>
<meta charset="utf-8">
<meta name="generator" content="quarto-1.11.0">
<script src="site_libs/quarto-nav/quarto-nav.js"></script>
<link href="site_libs/bootstrap/bootstrap.min.css" rel="stylesheet" class="quarto-color-scheme" data-mode="light">
<meta property="og:image" content="https://mnist-course.github.io/mnist_course/a_files/figure-html/cell-2-output-1.svg">
</head>
<body class="nav-sidebar docked nav-fixed quarto-light">
<header id="quarto-header"><nav class="navbar" data-bs-theme="dark"><a class="nav-link active" href="./00_start_here.html" aria-current="page">Begin</a>
<a href="" class="quarto-color-scheme-toggle" onclick="window.quartoToggleColorScheme(); return false;" title="Toggle dark mode"><i class="bi"></i></a></nav></header>
<div id="quarto-content" class="page-columns">
<div class="toc-actions"><ul><li><a href="https://github.com/mnist-course/mnist_course/edit/main/nbs/map.qmd" class="toc-action"><i class="bi bi-github"></i>Edit this page</a></li></ul></div>
<main class="content" id="quarto-document-content">
<header id="title-block-header" class="quarto-title-block default"><nav class="quarto-page-breadcrumbs quarto-title-breadcrumbs" aria-label="breadcrumb"><ol class="breadcrumb"><li><a href="./00_start_here.html">Lessons</a></li></ol></nav>
<div class="quarto-title">
<h1 class="title">TITLE</h1>
</div>
<div>
  <div class="description">
    What it&#39;s about.
  </div>
</div>
</header>
BODY
</main> <!-- /main -->
<script id="quarto-html-after-body" type="application/javascript">window.x = 1</script>
</div></body></html>
"""

QUARTO_CARD = """\
<table class="caption-top table">
<colgroup><col style="width: 25%"><col style="width: 25%"><col style="width: 25%"><col style="width: 25%"></colgroup>
<thead><tr class="header"><th>minutes</th><th>difficulty</th><th>you need</th><th>you will build</th></tr></thead>
<tbody><tr class="odd"><td>61 (41 to read, 20 for exercises)</td><td>3 of 5</td><td>lessons 01 and 02, a pencil</td><td><code>relu</code>: a line</td></tr></tbody>
</table>
"""
QUARTO_FOLD = """\
<div id="a1b2c3d{n}" class="cell">
<details class="code-fold">
<summary>Show the imports</summary>
<div class="code-copy-outer-scaffold"><div class="sourceCode cell-code" id="cb{n}"><pre class="sourceCode python code-with-copy"><code class="sourceCode python"><span id="cb{n}-1"><a href="#cb{n}-1" aria-hidden="true" tabindex="-1"></a><span class="im">import</span> torch</span>
<span id="cb{n}-2"><a href="#cb{n}-2" aria-hidden="true" tabindex="-1"></a>x <span class="op">=</span> {n}</span></code></pre></div><button title="Copy to Clipboard" class="code-copy-button"><i class="bi"></i></button></div>
</details>
</div>
"""
QUARTO_DRAWN = """\
<div id="e2" class="cell"><div class="cell-output cell-output-display"><div><figure class="figure">
<p><img src="SOURCE" class="img-fluid figure-img"ALT></p>
</figure></div></div></div>
"""
DRAWING = """\
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" role="img" width="20" height="10" viewBox="0 0 20 10" style="max-width:100%">
<title>A box</title>
<desc>One box, twice as wide as it is high. Nothing is in it.</desc>
<style>@media (prefers-color-scheme:dark){.mc-fill-paper{fill:#14171c}}</style>
<linearGradient id="g"/><rect class="mc-fill-paper" fill="#fff" width="20" height="10"/></svg>
"""


def from_quarto(folder: Path, name: str, body: str, title: str = "A page", **files: str) -> str:
    "A page as `finish` makes it from what Quarto wrote."
    page = folder / name
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(QUARTO_PAGE.replace("TITLE", title).replace("BODY", body), "utf-8")
    (folder / "site_libs").mkdir(exist_ok=True)
    finish(folder)
    return page.read_text("utf-8")


def test_a_page_of_quartos_gets_our_frame_and_nothing_of_its_own_is_left(tmp_path):
    page = from_quarto(
        tmp_path, "map.html", '<p>See <a href="./glossary.html#kernel">kernel</a>.</p>'
    )
    parsed = Parsed(page)
    assert not parsed.faults and len([1 for level, _ in parsed.headings if level == 1]) == 1
    assert "site_libs" not in page and "quarto-nav" not in page and "onclick" not in page
    assert '<a href="glossary.html#kernel">' in page and "What it's about." in " ".join(parsed.text)
    assert "Edit this page" not in page, "the map is made by code"
    assert 'content="https://mnist-course.github.io/mnist_course/social.png"' in page
    assert ".svg" not in re.findall(r'og:image" content="([^"]*)"', page)[0]
    assert page.count('aria-current="page"') == 3, "in the bar, on a phone, and in the list"
    assert not (tmp_path / "site_libs").exists()


def test_diagrams_of_quartos_come_into_the_page(tmp_path):
    place = tmp_path / "a_files" / "figure-html" / "cell-2-output-1.svg"
    place.parent.mkdir(parents=True)
    place.write_text(DRAWING)
    source = "a_files/figure-html/cell-2-output-1.svg"
    page = from_quarto(
        tmp_path, "a.html", QUARTO_DRAWN.replace("SOURCE", source).replace("ALT", "")
    )
    assert "<img src" not in page.split("<main")[1] and "<?xml" not in page
    assert (
        '<figure class="plate drawn"><svg xmlns=' in page
        and "viewBox" in page
        and "linearGradient" in page
    )
    assert ".quarto-dark .mc-fill-paper{fill:#14171c}" in page
    assert "Nothing is in it.</figcaption>" in page
    assert Parsed(page).images[-1]["said"].startswith("A box")


def test_a_drawing_that_says_nothing_stays_an_image(tmp_path):
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files" / "b.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><path d=""/></svg>'
    )
    body = QUARTO_DRAWN.replace("SOURCE", "a_files/b.svg").replace(
        "ALT", ' alt="A curve that falls, then rises."'
    )
    assert 'alt="A curve that falls, then rises."' in from_quarto(tmp_path, "a.html", body)


def test_tables_of_quartos_scroll_and_their_types_are_types(tmp_path):
    body = """<table class="caption-top table"><thead><tr class="header"><th style="text-align: right;">type</th><th></th></tr></thead>
        <tbody><tr class="odd"><td style="text-align: right;"><code>int \\| tuple[int, int] \\| None</code></td><td>a \\ b</td></tr></tbody></table>"""
    page = from_quarto(tmp_path, "a.html", body)
    assert '<div class="table-box" tabindex="0"><table>' in page
    assert "<code>int | tuple[int, int] | None</code>" in page and "a \\ b" in page
    assert (
        '<th class="to-right">type</th><td></td>' in page
        and "text-align" not in page.split("<main")[1]
    )


def test_the_card_of_a_lesson_is_a_row_of_facts(tmp_path):
    page = from_quarto(tmp_path, "03_shapes.html", QUARTO_CARD + "<p>Text.</p>", "03 · Shapes")
    head = re.search(r'<header class="title-block.*?</header>', page, re.S)[0]
    assert "61 minutes · 41 to read, 20 for exercises" in head and "3 of 5" in head
    assert (
        '<a href="01_data.html">01</a> and <a href="02_convolution.html">02</a>, a pencil' in head
    )
    assert "<code>relu</code>: a line" in head and "<table" not in page
    assert "●●●○○" in head


def test_folds_in_a_row_are_one(tmp_path):
    body = (
        QUARTO_FOLD.format(n=1) + QUARTO_FOLD.format(n=2) + "<p>Text.</p>" + QUARTO_FOLD.format(n=3)
    )
    page = from_quarto(tmp_path, "a.html", body)
    assert page.count("<summary>Show the imports</summary>") == 2
    assert page.count('<pre class="code in-python" tabindex="0">') == 3
    assert "cb1" not in page and "code-copy" not in page
    assert "import</span> torch\nx <span" in page


def test_an_exercise_is_a_card(tmp_path):
    body = """<section id="exercise-keep_width" class="level3">
        <h3 class="anchored" data-anchor-id="exercise-keep_width">Exercise 03.1 · Keep the width (2 of 5, 8 min)</h3><p>Do it.</p></section>"""
    page = from_quarto(tmp_path, "a.html", body)
    assert 'class="level3 exercise"' in page and "8 minutes" in page and "●●○○○" in page
    assert [text.strip("#") for level, text in Parsed(page).headings if level == 3] == [
        "Exercise 03.1 Keep the width"
    ]


def test_what_only_a_notebook_says_is_left_out(tmp_path):
    body = """<div class="cell"><pre><code>guess("03.a", ...)</code></pre><div class="cell-output cell-output-markdown"><p>03.a: no guess yet. Put your answer in place of the dots.</p></div></div>
        <div class="cell"><div class="cell-output cell-output-stdout"><pre><code>relu: the course's own steps in, until yours passes its check.
A: 2.34 to 2.05</code></pre></div></div>
        <div class="cell"><div class="cell-output cell-output-markdown"><p><strong>03.a</strong>: 7 is right</p></div></div>"""
    page = from_quarto(tmp_path, "a.html", body)
    assert "no guess yet" not in page and "steps in" not in page
    assert (
        "A: 2.34 to 2.05" in page
        and "7 is right" in page
        and page.count("cell-output-markdown") == 1
    )


def test_nothing_is_left_of_what_quarto_writes_for_itself(tmp_path):
    "Each kind of thing that stands on its pages, all on one page: none of its own names is left, every word is."
    picture = io.BytesIO()
    Image.new("L", (60, 20), 255).save(picture, "png")
    data = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    hidden = QUARTO_FOLD.format(n=4).replace(
        'class="cell">',
        """class="cell" data-quarto-private-1='{"key":"jupyter","value":{"source_hidden":true}}'>""",
    )
    body = "\n".join(
        [
            '<section id="why" class="level2"><h2 class="anchored" data-anchor-id="why">Why?</h2>',
            '<p><a href="./glossary.html#kernel" class="quarto-xref">A kernel</a> of <code>int \\| None</code>.</p>',
            QUARTO_CARD.replace("minutes", "columns"),
            QUARTO_DRAWN.replace("SOURCE", data).replace(
                "ALT", ' alt="A wide white sheet of paper."'
            ),
            hidden,
            '<div class="cell-output cell-output-stderr"><pre><code>a warning</code></pre></div>',
            '<p><a href="b.html"><img src="badge.png" alt="Open it in Colab" class="img-fluid"></a></p>',
            "</section>",
        ]
    )
    main = from_quarto(tmp_path, "a.html", body).split("<main")[1].split("</main>")[0]
    names = {name for names in re.findall(r'class="([^"]*)"', main) for name in names.split()}
    told(
        sorted(
            name
            for name in names
            if re.match(
                r"quarto-(?!xref)|anchored|sourceCode|caption|img-|figure-img|toc-|nav-", name
            )
        )
    )
    told(re.findall(r"data-(?:quarto|anchor|bs)[\w-]*|onclick|style=", main))
    assert main.count('tabindex="0"') == 3, "a table and two blocks can be scrolled by keyboard"
    for words in (
        "Why?",
        "A kernel",
        "a warning",
        "lessons 01 and 02, a pencil",
        "Open it in Colab",
    ):
        assert words in main, words


def test_both_renderers_lead_to_the_same_text(tmp_path):
    "The same cell, as each of them writes it."
    quarto = """<div id="dfe4" class="cell"><div class="code-copy-outer-scaffold"><div class="sourceCode cell-code" id="cb3"><pre class="sourceCode python code-with-copy"><code class="sourceCode python"><span id="cb3-1"><a href="#cb3-1" aria-hidden="true" tabindex="-1"></a>f(<span class="dv">1</span>)</span></code></pre></div><button title="Copy to Clipboard" class="code-copy-button"><i class="bi"></i></button></div>
<div class="cell-output cell-output-stdout">
<pre><code>2</code></pre>
</div>
</div>"""
    smalldocs = """<div id="dfe4" class="cell"><div class="code-copy-outer-scaffold"><div class="sourceCode" id="cb3"><pre tabindex="0" class="sourceCode python code-with-copy cell-code"><code class="sourceCode python">f(<span class="dv">1</span>)</code></pre></div><button title="Copy to Clipboard" class="code-copy-button"><i class="bi" aria-hidden="true"></i></button></div>
<div class="cell-output cell-output-stdout">
<pre tabindex="0"><code>2</code></pre>
</div>
</div>"""
    one, other = (
        text_of(
            f'<main class="content"><h1 class="title">T</h1>{part}</main>', tmp_path, "t_files"
        ).body
        for part in (quarto, smalldocs)
    )
    assert one == other and '<pre class="said" tabindex="0"><code>2</code></pre>' in one


def test_pictures_become_files_with_a_size_and_a_caption(tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (60, 20), 255).save(buffer, "png")
    data = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    said = "Two curves that fall together for ten epochs. Then one rises."
    for source in (data, "a_files/figure-html/x.png"):
        folder = tmp_path / str(len(source))
        (folder / "a_files" / "figure-html").mkdir(parents=True)
        (folder / "a_files" / "figure-html" / "x.png").write_bytes(buffer.getvalue())
        page = from_quarto(
            folder,
            "a.html",
            QUARTO_DRAWN.replace("SOURCE", source).replace("ALT", f' alt="{said}"'),
        )
        (image,) = [one for one in Parsed(page).images if one["tag"] == "img"]
        assert (image["width"], image["height"], image["alt"]) == ("60", "20", said)
        assert (folder / image["src"]).read_bytes() == buffer.getvalue()
        assert f'<figcaption aria-hidden="true">{said}</figcaption>' in page


def test_figures_come_for_both_lights(tmp_path):
    "In the dark: no paper, light letters, colors that can be told from it; images as they are."
    digit = torch.zeros(28, 28)
    digit[8:20, 12:16] = 1
    figure = show_panels([digit], [torch.eye(3)], ["a stroke", "a map"])
    light = figure.png()
    data = base64.b64encode(light).decode()
    source = QUARTO_DRAWN.replace("SOURCE", f"data:image/png;base64,{data}")
    page = from_quarto(tmp_path, "a.html", source.replace("ALT", ' alt="A stroke, and a map."'))
    one, other = [image for image in Parsed(page).images if image["tag"] == "img"]
    assert (one["class"], other["class"]) == ("in-light", "in-dark")
    assert one["alt"] == other["alt"] == "A stroke, and a map."
    assert (one["width"], one["height"]) == (other["width"], other["height"])
    assert (tmp_path / one["src"]).read_bytes() == light
    with Image.open(tmp_path / other["src"]) as image, Image.open(io.BytesIO(light)) as before:
        assert image.mode == "RGBA"
        dark, was = np.asarray(image), np.asarray(before.convert("RGB"))
        panels = json.loads(before.info["panels"])
    height, width = was.shape[:2]
    outside = np.ones((height, width), bool)
    for left, bottom, right, top in panels:
        place = (
            slice(round((1 - top) * height), round((1 - bottom) * height)),
            slice(round(left * width), round(right * width)),
        )
        assert (dark[place][..., :3] == was[place]).all() and (dark[place][..., 3] == 255).all()
        outside[place] = False
    paper, letters = outside & (was == 255).all(2), outside & (was == 0).all(2)
    assert paper.mean() > 0.1 and letters.sum() > 20
    assert (dark[paper][:, 3] == 0).all() and (dark[letters] == 255).all()


@pytest.mark.parametrize(
    "color", ["BLUE", "ORANGE", "GREEN", "PINK", "SKY", "AMBER", "BLACK"], ids=str.lower
)
def test_every_color_of_the_palette_can_be_told_from_a_dark_page(color):
    "At least 3 to 1, as WCAG 2.2 asks of graphics (1.4.11)."
    from mnist_course import figure as of

    drawn = of.DescribedFigure(2, 1)
    drawn.add_artist(Rectangle((0, 0), 1, 1, color=getattr(of, color)))
    with Image.open(io.BytesIO(_for_dark(drawn.png()))) as image:
        red, green, blue, opaque = image.getpixel((100, 50))
    page = (0x17, 0x15, 0x1D)
    mixed = [
        a * opaque / 255 + b * (1 - opaque / 255)
        for a, b in zip((red, green, blue), page, strict=True)
    ]

    def luminance(rgb):
        parts = [c / 255 for c in rgb]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    assert (luminance(mixed) + 0.05) / (luminance(page) + 0.05) >= 3


def test_a_picture_of_somebody_elses_stays_on_its_paper(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (60, 20), "white").save(buffer, "png")
    assert _for_dark(buffer.getvalue()) == b"" == _for_dark(b"GIF89a")
    data = base64.b64encode(buffer.getvalue()).decode()
    source = QUARTO_DRAWN.replace("SOURCE", f"data:image/png;base64,{data}")
    page = from_quarto(tmp_path, "a.html", source.replace("ALT", ' alt="An empty sheet."'))
    assert "in-dark" not in page and "in-light" not in page


def test_a_caption_does_not_repeat_what_everybody_sees():
    from mnist_course.making.site.content import _caption

    assert _caption("2 panels side by side: a seven, the same seven.") == ""
    assert (
        _caption("One panel, large.") == _caption("9 kernels of 3 x 3 numbers, from -1 to 1.") == ""
    )
    assert _caption("A path that overshoots, comes back, and stops at the star.").startswith(
        "A path"
    )
    long = "A first sentence that says it all about the curve. " + "B" * 400 + "."
    assert _caption(long) == "A first sentence that says it all about the curve."


def test_finishing_again_changes_nothing(tmp_path):
    from_quarto(tmp_path, "03_shapes.html", QUARTO_CARD + QUARTO_FOLD.format(n=1), "03 · Shapes")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    finish(tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_page_with_an_instrument_brings_its_styles_and_scripts_into_the_frame(tmp_path):
    (tmp_path / "try").mkdir()
    (tmp_path / "try" / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Draw</title><link rel="stylesheet" href="widgets.css">'
        "<style data-alone>body { margin: 9px }</style><style>.mc-x { color: red }</style>"
        '<main><h1>Draw a digit</h1><p>All of it happens here.</p><div id="t"></div></main>'
        '<script type="module">window.y = 1</script></html>'
    )
    finish(tmp_path)
    page = (tmp_path / "try" / "index.html").read_text("utf-8")
    assert (
        "margin: 9px" not in page
        and ".mc-x { color: red }" in page
        and 'href="widgets.css"' in page
    )
    assert page.count("window.y = 1") == 1 and policy_of(page) in page
    assert '<div id="t"></div>' in page and 'class="site-bar"' in page and "../map.html" in page


def test_scripts_of_a_page_are_allowed_by_their_hash_and_no_other():
    page = framed(
        "a.html", text_of("<main><h1>T</h1><script>one()</script></main>", Path("."), "f")
    )
    changed = page.replace("one()", "two()")
    assert policy_of(page) in page and policy_of(changed) not in changed


def test_signatures_are_those_of_the_source():
    from mnist_course.arithmetic import output_size
    from mnist_course.model import Net
    from mnist_course.teaching.grading import Limits

    assert "padding: int = 0,  # pixels added on EACH side\n" in _signature(output_size)
    assert _signature(output_size).endswith(") -> int:")
    assert _signature(Limits).startswith("class Limits:\n    seconds: float = 60.0  # of")
    assert "def __init__(self)" in _signature(Net)


def test_every_public_name_has_its_place_in_the_library(built, pages):
    for name in modules():
        assert set(public_names(name)) <= set(pages[f"api/{name}.html"].ids), name
