"""The site as it is published: built in copies of the repository, then read as HTML and in a real browser."""

import gzip
import html.parser
import itertools
import json
import os
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from helpers import ROOT, copy_repository, run_in

from mnist_course.making.server import site_server
from mnist_course.making.site.api import _signature
from mnist_course.making.site.overviews import exercise_cards
from mnist_course.making.site.pages import _glossary, linked, modules, public_names
from mnist_course.making.site.polish import _for_everyone, _with_switched_diagrams, finish
from mnist_course.teaching.notebooks import all_notebooks, lessons, read_notebook

BASE = "https://site.test/mnist_course/"
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
def built(tmp_path_factory) -> Path:
    "The site, built in a copy: its folder. What the command said is in said.txt beside it."
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
    return {
        path.relative_to(built).as_posix(): Parsed(path.read_text("utf-8"))
        for path in sorted(built.rglob("*.html"))
    }


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
def test_the_build_says_how_it_was_made(built):
    said = (built.parent / "said.txt").read_text()
    assert "smalldocs, which is pure Python" in said and "make docs-preview" in said
    assert "warning" not in said.lower()


@pytest.mark.slow
def test_built_twice_is_the_same(built, tmp_path_factory):
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


def test_nbdevs_own_commands_make_the_same_site_and_change_nothing(built, tmp_path):
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
    ours, theirs = (
        {path.relative_to(place) for path in place.rglob("*.html")}
        for place in (built, folder / "_docs")
    )
    assert ours == theirs
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
    "A page and the files that a browser loads with it. Of a font in several formats it takes the first."
    files = {built / name} | {
        found[0] for url in page.loads if (found := inside(built, name, page, url))
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
    told([(name, size) for name, size in weights.items() if size > 1_000_000])
    assert weights["index.html"] < 350_000


# ---- what must be on them


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_lessons_page_shows_the_outputs_of_the_notebook(built, pages, path):
    name, faults = f"{path.stem}.html", []
    source, text = (built / name).read_text("utf-8"), squeezed("".join(pages[name].text))
    shown = 0
    for cell in read_notebook(path)["cells"]:
        hidden = "#| hide" in "".join(cell["source"])
        for output in [] if hidden or cell["cell_type"] != "code" else cell["outputs"]:
            data, shown = output.get("data", {}), shown + 1
            if "image/png" in data:
                picture = squeezed("".join(data["image/png"]))
                alt = output["metadata"]["image/png"]["alt"]
                if picture not in source or " ".join(alt.split()) not in [
                    " ".join((image.get("alt") or "").split()) for image in pages[name].images
                ]:
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
            elif (
                squeezed(said := "".join(output.get("text", data.get("text/plain", ""))))
                not in text
            ):
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


def test_a_page_for_machines(built, pages):
    listed = (built / "llms.txt").read_text("utf-8")
    for path in lessons():
        assert (
            f"{path.stem}.llms.md" in listed
            and (built / f"{path.stem}.llms.md").stat().st_size > 5_000
        )
    entries = json.loads((built / "search.json").read_text("utf-8"))
    told([entry["href"] for entry in entries if entry["href"].split("#")[0] not in pages])


# ---- in a browser


@pytest.fixture
def visit(chromium, address):
    "Opens a page; the test fails when a page wrote an error, or asked another host for anything."
    faults, contexts = [], []

    def opener(**options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append((page.url, str(error))))
        page.on(
            "console",
            lambda message: (
                faults.append((page.url, message.text))
                if message.type in ("error", "warning")
                else None
            ),
        )
        # a request that was still under way when the page was left is no fault
        page.on(
            "requestfailed",
            lambda one: (
                faults.append((page.url, one.url, one.failure))
                if "ERR_ABORTED" not in str(one.failure)
                else None
            ),
        )
        page.on(
            "request",
            lambda one: (
                faults.append(one.url)
                if not one.url.startswith((address, "data:", "blob:", "file:"))
                else None
            ),
        )
        return page

    yield opener
    for context in contexts:
        context.close()
    told(faults)


def test_every_page_opens_in_silence_and_fits_a_phone(visit, pages, address):
    page, wide = visit(viewport={"width": 390, "height": 800}), []
    for name in pages:
        if name != "404.html":  # opened by its own test
            page.goto(address + name)
            if page.evaluate("document.documentElement.scrollWidth") > 390:
                wide.append(name)
    told(wide)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 900)])
def test_the_first_screen_shows_what_this_is_and_how_to_begin(visit, address, width, height):
    page = visit(viewport={"width": width, "height": height})
    page.goto(address + "index.html")
    places = [
        "h1",
        ".description",
        "svg[role=img]",
        "pre >> nth=0",
        "td img >> nth=0",
        "td img >> nth=1",
    ]
    boxes = [page.locator(f"main {place}").bounding_box() for place in places]
    assert [box["y"] for box in boxes[:5]] == sorted(box["y"] for box in boxes[:5])
    assert boxes[4]["y"] == pytest.approx(boxes[5]["y"], abs=20), (
        "the two pictures stand side by side"
    )
    for place, box in zip(
        places, boxes, strict=True
    ):  # a little may be missing where letters are wider than here
        assert (
            box["x"] >= 0
            and box["x"] + box["width"] <= width
            and box["y"] + 0.8 * box["height"] <= height
        ), place
    assert (
        "make learn" in page.locator("main pre").first.inner_text()
        and "make test" in page.locator("main pre").first.inner_text()
    )


def kinds(names: list[str], all_lessons: bool) -> list[str]:
    "One page of each kind, and every lesson: what a template gets wrong, it gets wrong on all of its pages."
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
        "03_shapes.html",
    ]
    return [name for name in names if name in few or (all_lessons and re.match(r"\d\d_", name))]


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("light", 390), ("dark", 1280), ("dark", 390)]
)
def test_axe_finds_nothing(visit, pages, address, violations, scheme, width):
    page, faults = visit(color_scheme=scheme, viewport={"width": width, "height": 900}), []
    for name in kinds(list(pages), all_lessons=(scheme, width) in [("light", 1280), ("dark", 390)]):
        page.goto(address + name)
        if name == "try/index.html":
            page.wait_for_selector(".mc-canvas")
        faults += [(name, *found) for found in violations(page)]
    told(faults)


def test_search_finds_and_leads_there(visit, address):
    page = visit()
    page.goto(address + "answers/03_shapes.html")
    page.get_by_role("searchbox").first.fill("receptive field")
    page.locator(".search-result").first.wait_for()
    page.locator(".search-result").first.click()
    page.wait_for_url(re.compile("(shapes|arithmetic|glossary)"))


def test_light_and_dark_can_be_chosen_and_are_remembered(visit, address):
    page = visit(color_scheme="light")
    page.goto(address + "03_shapes.html")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Toggle dark mode").click()
    page.wait_for_function(f"{colour} !== '{light}'")
    page.goto(address + "04_network.html")
    assert page.evaluate(colour) != light


def test_a_folded_section_opens_by_keyboard(visit, address):
    page = visit()
    page.goto(address + "index.html")
    page.locator("#quarto-sidebar a", has_text="Lessons").first.press("Enter")
    page.locator("#quarto-sidebar a", has_text="03 · Shapes").first.wait_for(state="visible")
    page.locator("#quarto-sidebar a", has_text="03 · Shapes").first.click()
    assert page.url.endswith("03_shapes.html")


def test_a_lost_address_gets_a_page_with_its_styles(chromium, address):
    page = chromium.new_page()
    assert page.goto(address + "no/such/page.html").status == 404
    assert page.get_by_role("heading", level=1).inner_text() == "This page is not here"
    page.get_by_role("link", name="lesson 00").click()
    assert page.url == address + "00_start_here.html"
    page.close()


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
    assert (
        page
        == "<svg><style>.quarto-dark .a, .quarto-dark .b{fill:#fff}.quarto-dark .c{x:1}</style></svg><style>p{x:1}</style>"
    )


@pytest.mark.parametrize(
    "place",
    [
        'url("https://x.test/f.css?w@0,400;0,700&display=swap")',
        "url(//x.test/f.css?w@0,400;0,700)",
        "url(https://x.test/f.css) screen",
        "'https://x.test/f.css;a'",
    ],
)
def test_styles_ask_no_other_host_for_fonts(tmp_path, place):
    css = tmp_path / "site_libs" / "theme.css"
    css.parent.mkdir()
    css.write_text(f'/* a */@import {place};@import "own.css";:root{{x:url("data:image/png;y")}}')
    finish(tmp_path)
    assert css.read_text() == '/* a */@import "own.css";:root{x:url("data:image/png;y")}'


def test_another_host_is_found(tmp_path):
    (tmp_path / "theme.css").write_text(".a{background:url(//x.test/a.png)}")
    with pytest.raises(ValueError, match=r"theme.css loads from another host: url\(//x.test"):
        finish(tmp_path)


def test_a_page_that_is_finished_twice_is_the_same(built, tmp_path):
    for name in ("index.html", "03_shapes.html", "404.html"):
        (tmp_path / name).write_text((built / name).read_text("utf-8"), "utf-8")
    finish(tmp_path)
    told([p.name for p in tmp_path.iterdir() if p.read_bytes() != (built / p.name).read_bytes()])


def test_a_repair_changes_what_it_is_for_and_nothing_else():
    assert _for_everyone('<i class="bi-x"></i>') == '<i class="bi-x" aria-hidden="true"></i>'
    assert _for_everyone("<th></th><th>a</th>") == "<td></td><th>a</th>"
    page = '<main><p>text</p><pre tabindex="0">code</pre></main>'
    assert _for_everyone(page) == page


def test_signatures_are_those_of_the_source():
    from mnist_course.arithmetic import output_size
    from mnist_course.model import Net
    from mnist_course.teaching.grading import Limits

    assert "padding: int = 0,  # pixels added on EACH side\n" in _signature(output_size)
    assert _signature(output_size).endswith(") -> int:")
    assert _signature(Limits).startswith("class Limits:\n    seconds: float = 60.0  # for one cell")
    assert "def __init__(self)" in _signature(Net)


def test_every_public_name_has_its_place_in_the_library(built, pages):
    for name in modules():
        assert set(public_names(name)) <= set(pages[f"api/{name}.html"].ids), name
