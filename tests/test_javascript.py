"""The widgets' JavaScript: linted and formatted by Biome, where Node.js and Biome are (npm ci)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIOME = ROOT / "node_modules" / "@biomejs" / "biome" / "bin" / "biome"
OURS = sorted(
    path
    for kind in ("*.js", "*.mjs")
    for path in (ROOT / "mnist_course").rglob(kind)
    if not path.name.startswith("reveal.")  # not ours
)


@pytest.fixture(scope="module")
def biome():
    "Run Biome: a function from its arguments to what came of it."
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine: Biome, which lints the JavaScript, needs it")
    if not BIOME.is_file():
        # CI has installed it: a skip there would hide every fault
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("Biome is not installed: npm ci")

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [node, str(BIOME), *words, "--colors=off"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")

    return run


def test_javascript_is_linted_and_formatted(biome):
    done = biome("ci", "--error-on-warnings")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nnpm run format mends most of it"
    assert f"Checked {len(OURS) + 1} files" in done.stderr, "every file of ours, and biome.json"


def test_biome_finds_a_fault(biome, tmp_path):
    shutil.copy(ROOT / "biome.json", tmp_path)
    faulty = tmp_path / "mnist_course" / "faulty.js"
    faulty.parent.mkdir()
    faulty.write_text("const one = 1, two = 2;\n", encoding="utf-8")
    done = biome("ci", "--error-on-warnings", f"--config-path={tmp_path}", str(faulty))
    assert done.returncode != 0
    assert "useSingleVarDeclarator" in done.stderr and "formatting" in done.stderr


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_line_is_longer_than_100_columns(path):
    # the formatter leaves comments and texts alone
    lines = path.read_text("utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 100] == []


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")
def test_a_widget_says_in_words_when_its_kernel_is_gone():
    module = (ROOT / "mnist_course" / "widgets" / "static" / "kernel.js").as_uri()
    script = f"""
        let told
        globalThis.MutationObserver = class {{
          constructor(look) {{ told = look }}
          observe() {{}}
          disconnect() {{ told = null }}
        }}
        globalThis.document = {{createElement: () => ({{setAttribute(name, value) {{ this[name] = value }}}})}}
        const {{withKernel}} = await import("{module}")
        const el = {{gone: false, closest() {{ return this.gone ? this : null }}, prepend(note) {{ this.note = note }}}}
        const ends = []
        const end = withKernel(({{model}}) => () => ends.push(model))({{model: 7, el}})
        const seen = [[el.note.hidden, el.note.textContent ?? ""]]
        for (el.gone of [true, false]) {{ told(); seen.push([el.note.hidden, el.note.textContent]) }}
        end()
        console.log(JSON.stringify([seen, ends, told, el.note.role]))
    """
    run = subprocess.run(
        ["node", "--input-type=module", "--eval", script],
        capture_output=True,
        text=True,
        check=True,
    )
    (before, gone, back), ends, told, role = json.loads(run.stdout)
    assert before == [True, ""] and back == [True, ""] and gone[0] is False
    assert "the kernel was stopped or restarted" in gone[1] and "run this cell again" in gone[1]
    assert (ends, told, role) == ([7], None, "status")
