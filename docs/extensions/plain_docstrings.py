"""Docstrings are written for a terminal: a bar stands for itself, and an indented block is an equation.

reStructuredText would take |I|^2 for a substitution and indented text for a quotation.
"""

import re
from typing import Any

from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx
from sphinx.application import Sphinx

BAR = re.compile(r"(?<![\\`|])\|(?![`|])")


def plain(lines: list[str], equations: bool) -> list[str]:
    """The lines with bars escaped and, where indented blocks are equations, these made literal."""
    out: list[str] = []
    literal = False
    for line in lines:
        if line and not line.startswith("    "):
            literal = False
        elif equations and line and not literal and len(out) > 1 and not out[-1] and not out[-2].startswith(" "):
            out += ["::", ""]
            literal = True
        out.append(line if literal else BAR.sub(r"\|", line))
    return out


def on_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """A docstring before numpydoc reads it. Only modules have equations: elsewhere indents belong to sections."""
    lines[:] = plain(lines, what == "module")


def share_template() -> None:
    """numpydoc makes an environment and compiles its template for every docstring: a quarter of the whole build."""
    made: list[SandboxedEnvironment] = []

    def environment(loader: Any) -> SandboxedEnvironment:
        if not made:
            made.append(SandboxedEnvironment(loader=loader))
        return made[0]

    docscrape_sphinx.SandboxedEnvironment = environment


def setup(app: Sphinx) -> dict[str, bool]:
    """Before numpydoc, whose priority is 500."""
    share_template()
    app.connect("autodoc-process-docstring", on_docstring, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
