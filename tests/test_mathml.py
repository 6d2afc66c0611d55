"Formulas as MathML, in Markdown and on finished pages."

import sys

from mnist_course.teaching.mathml import IN_HTML, with_mathml


def test_formulas_become_mathml_in_markdown_and_on_pages():
    from latex2mathml.converter import convert

    formula, block = convert("a < b_1"), convert("a < b_1", display="block")
    assert (
        with_mathml("so $a < b_1$, `$a$` and\n\n$$\na < b_1\n$$")
        == f"so {formula}, `$a$` and\n\n{block}"
    )
    page = '<p>so <span class="math inline">\\(a &lt; b_1\\)</span>, $5 and $6, <span class="math display">\\[a &lt;\nb_1\\]</span></p>'
    assert with_mathml(page, IN_HTML) == f"<p>so {formula}, $5 and $6, {block}</p>"
    assert "<msub>" in formula and 'display="block"' in block


def test_formulas_without_latex2mathml(monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml", None)
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    assert (
        with_mathml(r"a $e^{x} < 2$ b `$HOME` and 5$")
        == "a <code>e^{x} &lt; 2</code> b `$HOME` and 5$"
    )
