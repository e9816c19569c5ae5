"""Sphinx settings of the documentation site: `make docs` builds it into out/site, warnings are errors.

Nothing is fetched, neither while it is built nor while it is read: equations are MathML, fonts are the reader's own.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "extensions")]

from mmsar import __version__  # noqa: E402

project = "mmsar"
author = "the mmsar authors"
copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "mathml",
    "outside_links",
    "percent_notebooks",
    "plain_docstrings",
]
exclude_patterns = ["extensions", "figures"]
templates_path: list[str] = []

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
suppress_warnings = [
    "ref.python",  # a name in backticks is linked where only one thing has it
]


percent_notebooks_from = str(ROOT / "notebooks")
outside_links = {
    "README.md": None,
    "CHANGELOG.md": "changelog.md",
    "data/README.md": "data.md",
    "data/sessions": "data.md",
    "examples/README.md": "examples.md",
    "notebooks/README.md": "notebooks.md",
}

html_theme = "furo"
html_title = f"mmsar {release}"
html_static_path = ["static"]
html_css_files = ["mmsar.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
