"A finished site on this machine, under its path on GitHub Pages."

import contextlib
import threading
import urllib.error
import urllib.request

import pytest
from helpers import PATIENCE

import mnist_course.making.server as server_of
from mnist_course.making.repository import settings
from mnist_course.making.server import browser_at, site_server


@pytest.fixture
def served(tmp_path):
    "A site that is served, and how an address of it answers: (folder, get)."
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text("front")
    (tmp_path / "a" / "index.html").write_text("page a")
    server, address = site_server(tmp_path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = address.removesuffix(f"{settings()['doc_baseurl']}/")
    assert host == f"http://127.0.0.1:{server.server_port}"

    def get(path: str) -> tuple[int, str, str]:
        try:
            with urllib.request.urlopen(host + path) as answer:
                return answer.status, answer.read().decode(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers["Content-Type"]

    yield tmp_path, get
    server.shutdown()
    server.server_close()


def test_pages_lie_under_the_sites_path_and_nowhere_else(served, capfd):
    _, get = served
    base = settings()["doc_baseurl"]
    assert get(f"{base}/")[:2] == get(base)[:2] == (200, "front")
    assert get(f"{base}/a/index.html")[:2] == get(f"{base}/a/")[:2] == (200, "page a")
    assert get(f"{base}/a/index.html?x=1#y")[:2] == (200, "page a")
    for lost in ("/", "/index.html", "/a/index.html", f"{base}x/index.html", f"{base}/b.html"):
        assert get(lost)[0] == 404, lost
    assert get(f"{base}/../../etc/passwd")[0] == 404
    assert capfd.readouterr() == ("", "")  # and nothing is said about it


def test_a_lost_address_gets_the_sites_own_page(served):
    folder, get = served
    base = settings()["doc_baseurl"]
    assert "own words" not in get(f"{base}/b.html")[1]
    (folder / "404.html").write_text("own words: ü", "utf-8")
    assert get(f"{base}/b.html") == (404, "own words: ü", "text/html; charset=utf-8")
    assert get("/")[:2] == (404, "own words: ü")


def test_other_errors_are_no_lost_addresses(served):
    folder, _ = served
    (folder / "404.html").write_text("own words")
    server, address = site_server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(address, data=b"x")  # nobody takes what is sent here
    with told.value as error:
        assert error.code == 501 and b"own words" not in error.read()
    server.shutdown()
    server.server_close()


class Played:
    "A stand-in for a server, and for playwright and its browser: what was done to it, in order."

    def __init__(self) -> None:
        self.done, self.serving = [], threading.Event()
        self.chromium = self

    def serve_forever(self) -> None:
        self.serving.set()

    def shutdown(self) -> None:
        self.done.append("server down")

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.done.append("playwright closed")

    def launch(self, executable_path: str, args: list[str]):
        self.done.append(executable_path)
        assert "--no-sandbox" in args
        return self

    def close(self) -> None:
        self.done.append("browser closed")


def test_a_browser_finds_the_site_and_both_end_with_the_work(tmp_path, monkeypatch):
    played = Played()
    monkeypatch.setattr("playwright.sync_api.sync_playwright", lambda: played)
    monkeypatch.setattr(server_of, "site_server", lambda folder: (played, f"http://{folder}"))
    monkeypatch.setattr(server_of, "_find_chromium", lambda: "/bin/chromium")
    with browser_at(tmp_path, "a PDF") as (browser, address):
        assert browser is played and address == f"http://{tmp_path}"
        assert played.serving.wait(PATIENCE) and played.done == ["/bin/chromium"]
    assert played.done[1:] == ["browser closed", "playwright closed", "server down"]
    played.done.clear()
    with pytest.raises(KeyError), browser_at(tmp_path, "a PDF"):
        raise KeyError
    assert played.done[-1] == "server down"


def test_two_sites_at_once_have_ports_of_their_own(tmp_path):
    first, address = site_server(tmp_path)
    second, other = site_server(tmp_path)
    with contextlib.closing(first.socket), contextlib.closing(second.socket):
        assert address != other
        port = first.server_port
    again, address = site_server(tmp_path, port)
    with contextlib.closing(again.socket):
        assert again.server_port == port and f":{port}/" in address


def test_without_a_browser_it_is_said_what_cannot_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr(server_of.shutil, "which", lambda name: None)
    assert server_of._find_chromium() is None
    with (
        pytest.raises(ValueError, match="a PDF needs Chromium: apt-get install chromium"),
        browser_at(tmp_path, "a PDF"),
    ):
        pass
    there = {"google-chrome": "/bin/chrome", "chromium-browser": "/bin/browser"}
    monkeypatch.setattr(server_of.shutil, "which", there.get)
    assert server_of._find_chromium() == "/bin/browser"
