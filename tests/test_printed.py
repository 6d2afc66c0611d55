"The course on paper: what is asked for, and what is missing. tests/test_site.py prints a lesson."

import base64
import contextlib
import html
import io
import re

import pytest

import mnist_course.making.printed as printed
import mnist_course.making.server as server
from mnist_course.making.__main__ import main
from mnist_course.making.printed import _chapters
from mnist_course.making.repository import root, settings
from mnist_course.teaching.notebooks import lessons, read_notebook, title_of


def test_the_book_has_the_lessons_in_their_order_and_what_belongs_to_them():
    chapters = list(_chapters([]))
    assert chapters[:-2] == [f"{path.stem}.html" for path in lessons()]
    assert chapters[-2:] == ["one_page.html", "glossary.html"]
    assert list(_chapters(["glossary", "03", "1"]))[:2] == ["03_shapes.html", "10_inside.html"]
    assert len(set(_chapters([]).values())) == len(chapters)


@pytest.mark.parametrize("words", ["--chapters 03 16", "--chapters shapes"])
def test_a_chapter_that_there_is_not(words, tmp_path, capsys):
    out = tmp_path / "course.pdf"
    assert main(["pdf", str(out), *words.split()]) == 1
    wrong = words.split()[-1]
    assert (
        f"there is no chapter {wrong}; there are 00_start_here, 01_data" in capsys.readouterr().err
    )
    assert not out.exists()


def test_without_a_site_it_says_how_to_make_one(tmp_path, capsys):
    assert main(["pdf", str(tmp_path / "course.pdf"), "--site", str(tmp_path)]) == 1
    assert "00_start_here.html: make the site first, with make docs" in capsys.readouterr().err


def test_without_chromium_it_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(server, "_find_chromium", lambda: None)
    (tmp_path / "03_shapes.html").write_text("<main></main>")
    words = ["pdf", str(tmp_path / "a.pdf"), "--chapters", "03", "--site", str(tmp_path)]
    assert main(words) == 1
    assert "a PDF needs Chromium: apt-get install chromium" in capsys.readouterr().err
    assert not (tmp_path / "a.pdf").exists()


# ---- without a browser


def test_the_book_is_one_page_with_its_contents():
    made = {
        "c-03": {"title": 'Shapes & "so"', "promise": "<a promise>", "html": "<p>three</p>"},
        "c-04": {"title": "Four", "promise": "", "html": "<p>four</p>"},
    }
    text = printed._book(made, {"c-03": 7}, "http://x/", "Letter")
    known = settings()
    entries = re.findall(
        r'<li><a href="#(.*?)" data-page="(\d+)">(.*?)</a><p class="promise">(.*?)</p></li>', text
    )
    assert entries == [
        ("c-03", "7", "Shapes &amp; &quot;so&quot;", "&lt;a promise&gt;"),
        ("c-04", "0", "Four", ""),
    ]
    chapters = re.findall(r'<section class="chapter" id="(.*?)">(.*?)</section>', text)
    assert chapters == [("c-03", "<p>three</p>"), ("c-04", "<p>four</p>")]
    assert '@page c-03 { @top-right { content: "Shapes & \\"so\\""; ' in text
    assert "#c-04 { page: c-04; }" in text and "@page { size: Letter; }" in text
    assert f'--book: "{known["title"]} {known["version"]}"' in text
    assert '<link rel="stylesheet" href="http://x/assets/site.css">' in text
    front = read_notebook(root() / "nbs" / "index.ipynb")
    title = html.escape(title_of(front))
    assert f"<title>{title}</title>" in text and f"<h1>{title}</h1>" in text
    (promise,) = re.findall(
        r'<h1>[^<]*</h1><p class="promise">(.*?)</p>\n<p class="imprint">', text
    )
    assert promise and not promise.startswith("&gt;")
    assert "> " + html.unescape(promise) in "".join(front["cells"][0]["source"])
    site = f"{known['doc_host']}{known['doc_baseurl']}/"
    assert f'<a href="{site}">' in text and html.escape(known["author"]) in text


class Place:
    "A widget on a page, as playwright sees it."

    def __init__(self, page: "Page") -> None:
        self.page = page

    def scroll_into_view_if_needed(self) -> None:
        self.page.done.append("seen")

    def wait_for_selector(self, what: str) -> None:
        self.page.done.append(f"wait {what}")

    def query_selector(self, what: str) -> "Place":
        assert what == ".ml-here"
        return self

    def screenshot(self) -> bytes:
        self.page.done.append("picture")
        return b"png"

    def evaluate(self, script: str, png: str) -> None:
        assert "replaceWith" in script
        self.page.done.append(png)


class Page:
    "A browser, a context and a page of it, as playwright has them: what was done, in order."

    def __init__(self, pages: list[bytes] | None = None) -> None:
        self.done: list = []
        self.pages, self.contexts, self.routes = pages or [], [], {}

    def new_context(self, **options) -> "Page":
        self.contexts.append(options)
        return self

    def new_page(self) -> "Page":
        self.done.append("new page")
        return self

    def close(self) -> None:
        self.done.append("closed")

    def goto(self, url: str, wait_until: str) -> None:
        assert wait_until == "networkidle"
        self.done.append(url)
        if url in self.routes:
            self.routes[url](self)

    def wait_for_load_state(self, state: str) -> None:
        self.done.append(state)

    def query_selector_all(self, what: str) -> list[Place]:
        return [Place(self), Place(self)] if what == "[data-live]" else []

    def route(self, url: str, answer) -> None:
        self.routes[url] = answer

    def unroute(self, url: str) -> None:
        del self.routes[url]

    def fulfill(self, body: str, content_type: str) -> None:
        self.done.append((content_type, body))

    def evaluate(self, script: str, given: dict | None = None) -> dict:
        self.done.append(given)
        key = given["key"] if given else ""
        return {"title": f"Title {key}", "promise": "", "html": f"<p>{key}</p>"}

    def pdf(self, **options) -> bytes:
        self.done.append(options)
        return self.pages.pop(0)


def test_a_widget_becomes_a_picture_when_it_has_come():
    page = Page()
    printed._photograph_widgets(page)
    one = ["seen", "wait .ml-here", "networkidle", "picture", base64.b64encode(b"png").decode()]
    assert page.done == [*one, *one]


def pdf_with(**places: int) -> bytes:
    "A PDF in which chapters begin at these pages."
    made = pytest.importorskip("pypdf").PdfWriter()
    for _ in range(max(places.values()) + 1):
        made.add_blank_page(100, 100)
    for name, number in places.items():
        made.add_named_destination(f"/{name.replace('_', '-', 1)}", number)
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


def test_a_course_is_printed_twice_for_its_page_numbers_come_from_the_first(tmp_path, monkeypatch):
    names = {"c_03_shapes": 3, "c_glossary": 5}
    second = pdf_with(**{name: number + 1 for name, number in names.items()})
    page = Page([pdf_with(**names), second])
    looked: list = []

    @contextlib.contextmanager
    def browser_at(folder, what):
        looked.append((folder, what))
        yield page, "http://x/"

    monkeypatch.setattr(printed, "browser_at", browser_at)
    for name in ("03_shapes.html", "glossary.html"):
        (tmp_path / name).touch()
    out = tmp_path / "course.pdf"
    number = printed.print_course(out, ["03", "glossary"], "Letter", tmp_path)
    assert number == 7 and out.read_bytes() == second
    assert looked == [(tmp_path, "a PDF")] and page.contexts[0]["bypass_csp"] is True
    visited = [one for one in page.done if isinstance(one, str) and one.startswith("http")]
    whole = "http://x/the-whole-course"
    assert visited == ["http://x/03_shapes.html", "http://x/glossary.html", whole, whole]
    asked = [one for one in page.done if isinstance(one, dict) and "key" in one]
    assert [one["key"] for one in asked] == ["c-03_shapes", "c-glossary"]
    assert asked[0]["chapters"] == {
        "03_shapes.html": "c-03_shapes",
        "glossary.html": "c-glossary",
    }
    assert asked[0]["site"] == f"{settings()['doc_host']}{settings()['doc_baseurl']}"
    books = [text for kind, text in (one for one in page.done if isinstance(one, tuple))]
    assert [re.findall(r'data-page="(\d+)"', text) for text in books] == [["0", "0"], ["4", "6"]]
    assert all("size: Letter" in text and "<p>c-glossary</p>" in text for text in books)
    assert page.done.count("closed") == 2 and whole not in page.routes
    options = [one for one in page.done if isinstance(one, dict) and "outline" in one]
    assert all(one["tagged"] and one["prefer_css_page_size"] for one in options)
    page.routes["**/live/guess.js"](page)  # on paper no answer waits for a guess
    assert page.done[-1][0] == "text/javascript" and "attachGuesses" in page.done[-1][1]
