"""Equations as MathML, which browsers draw themselves: no script and no picture has to be loaded."""

import re
from html import escape

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

SIZES = re.compile(r"\\[bB]igg?[lrm]?(?![a-zA-Z])")
"""Commands for the size of brackets: MathML's grow by themselves."""


def mathml(node: nodes.math | nodes.math_block, block: bool) -> str:
    """The equation of a node; with a warning where it has a command that docutils does not know."""
    try:
        text = re.sub(r"\\dots(?![a-zA-Z])", r"\\ldots", SIZES.sub("", node.astext()))
        return tex2mathml(text, as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning(f"equation: {error}", location=node)
        return f"<code>{escape(node.astext())}</code>"


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """An equation within a line."""
    self.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """An equation of its own."""
    self.body.append(f'<div class="math">{mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Make it the renderer of the html builder."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config["html_math_renderer"] = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
