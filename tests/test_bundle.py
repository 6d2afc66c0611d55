"JavaScript in one piece for a notebook, and beside a page: all that is needed, each part once, in order."

import base64
import hashlib
import json
import re

import pytest
import traitlets

import mnist_course.widgets.bundle as bundles
from mnist_course.widgets.bundle import bundle, sample_digits, synced_bytes, write_widget_page

MODULES = {
    "common.js": "export const one = 1\nexport async function late() {}\nexport class Thing {}\n",
    "paint.js": 'import { one as first, late } from "./common.js"\nexport function paint() { return first }\n',
    "work.js": 'import {one} from "./common.js"\npostMessage("</script>" + one)\n',
    "main.js": 'import {paint} from "./paint.js"\nimport {one} from "./common.js"\n'
    'export function render() { return new Worker(new URL("./work.js", import.meta.url)) }\n'
    "export function start() {}\nexport default {render}\n",
    "kernel.js": "export function withKernel(render) { return render }\n",
    "widgets.css": "p {}",
    "scheme.js": "dark()",
    "page.html": "POLICY|$title|$about|$id|$more|$alone|$module|<script>$scheme</script>|$start|$style|POLICY",
}


@pytest.fixture
def static(tmp_path, monkeypatch):
    "A folder of small modules in place of the course's own."
    folder = tmp_path / "package" / "widgets" / "static"
    folder.mkdir(parents=True)
    for name, text in MODULES.items():
        (folder / name).write_text(text, "utf-8")
    monkeypatch.setattr(bundles, "asset", lambda *parts: (tmp_path / "package").joinpath(*parts))
    return folder


def test_each_module_comes_once_and_after_what_it_needs(static):
    assert bundles._dependencies("common") == ["common"]
    assert bundles._dependencies("main") == ["common", "paint", "main"]
    assert bundles._workers(["common", "main"]) == ["work"]


def test_a_bundle_is_one_module_that_imports_nothing(static):
    text = bundle("main")
    parts = re.findall(r"^const (\w+)_js = \(\(\) => \{", text, re.M)
    assert parts == ["common", "paint", "main", "kernel"]
    assert not re.search(r"^import |^export (?!default )|import\.meta", text, re.M)
    last = "export default {render: kernel_js.withKernel(main_js.render)}"
    assert text.splitlines()[-1] == last and text.count("export default") == 1
    assert "const { one: first, late } = common_js\n" in text
    assert "return {one, late, Thing}\n})()" in text and "return {render, start}\n})()" in text
    assert "const one = 1\nasync function late() {}\nclass Thing {}" in text


def test_a_worker_travels_as_a_text(static):
    (found,) = re.findall(
        r"new Worker\(URL\.createObjectURL\(new Blob\(\[(.+?)\], \{", bundle("main")
    )
    assert "</script" not in found  # else the page would end there
    assert json.loads(found) == bundles._joined("work")
    assert "const {one} = common_js" in json.loads(found)
    assert '{type: "text/javascript"}))' in bundle("main")


def test_a_page_brings_all_that_it_needs(static, tmp_path):
    files = {"data.json": b"{}"}
    words = {"title": "A title", "about": "<b>about</b>", "id": "place"}
    written = write_widget_page(str(tmp_path / "out"), "main", files, **words)
    names = ["index.html", "data.json", "widgets.css"]
    names += [f"{name}.js" for name in ("common", "paint", "main", "work")]
    assert written == [tmp_path / "out" / name for name in names]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)
    for name in names[2:]:
        assert (tmp_path / "out" / name).read_text() == MODULES[name]
    assert (tmp_path / "out" / "data.json").read_bytes() == b"{}"
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    policy, *parts, last = page.split("|")
    assert last == "POLICY"  # only the first one is a place for it
    assert parts[:7] == [
        "A title",
        "<b>about</b>",
        "place",
        "",
        "",
        "main",
        "<script>dark()</script>",
    ]
    mark = base64.b64encode(hashlib.sha256(b"dark()").digest()).decode()
    assert f"'sha256-{mark}'" in policy
    assert 'import {start} from "./main.js"' in parts[7] and 'getElementById("place")' in parts[7]
    styles = [f'<link rel="modulepreload" href="{name}">' for name in names[3:]]
    assert parts[8].splitlines() == ['<link rel="stylesheet" href="widgets.css">', *styles]
    words |= {"more": "and more", "alone": "alone.html"}
    write_widget_page(tmp_path / "out", "main", {}, **words)
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert page.split("|")[4:6] == ["and more", "alone.html"]


def test_ten_digits_are_one_of_each(sample):
    digits = sample_digits()
    assert len(digits) == 10 * 28 * 28
    for digit in range(10):
        first = sample[1].images[sample[1].labels.tolist().index(digit)]
        assert digits[784 * digit : 784 * (digit + 1)] == bytes(first.flatten().tolist())


def test_bytes_come_from_a_page_as_bytes_or_as_nothing():
    class Held(traitlets.HasTraits):
        strokes = synced_bytes()

    (trait,) = Held.class_traits(sync=True, echo_update=False).values()
    read = trait.metadata["from_json"]
    assert [read(value, None) for value in (None, memoryview(b"ab"), b"")] == [b"", b"ab", b""]
    assert Held(strokes=b"a").strokes == b"a"
    with pytest.raises(traitlets.TraitError):
        Held(strokes="a")
