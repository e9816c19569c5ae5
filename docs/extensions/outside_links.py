"""Links of pages to files outside docs/ lead to the page of the site that shows the file.

On disk and on a code host `../data/README.md` is the right link; on the site it is the page `data`. The value
`outside_links` maps files, relative to the repository, to pages, relative to docs/; None: to the first page.
Notebooks have pages of their names (`percent_notebooks`). Other files are offered as they are.
"""

import os
import re
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx

LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def lead_inside(text: str, folder: Path, root: Path, pages: dict[str, str | None], docs: str = "docs") -> str:
    """The text of a page that stands in `folder`, with links to the files of `pages` turned to their pages."""

    def turned(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match[1]))
        name = target.relative_to(root).as_posix() if target.is_relative_to(root) else ""
        if name.startswith("notebooks/") and target.suffix in (".py", ".ipynb"):
            return f"/generated/notebooks/{target.stem}.md"
        if name in pages:
            return "/" + (pages[name] or "index.md")
        if folder == root / docs or not name:
            return match[1]
        return "/" + PurePosixPath(os.path.relpath(target, root / docs)).as_posix()

    return LINK.sub(turned, text)


def on_read(app: Sphinx, name: str, content: list[str]) -> None:
    """A page as Sphinx reads it."""
    path = Path(app.env.doc2path(name))
    if path.suffix == ".md":
        root = Path(app.srcdir).parent
        made = path.parent.name == "notebooks"  # from the notebooks' own folder, which links are relative to
        content[0] = lead_inside(
            content[0], root / "notebooks" if made else path.parent, root, app.config.outside_links
        )


def on_include(app: Sphinx, path: Path, _name: str, content: list[str]) -> None:
    """A file as it is included in a page."""
    folder = Path(app.srcdir, path).resolve().parent
    content[0] = lead_inside(content[0], folder, Path(app.srcdir).parent, app.config.outside_links)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the value and the hooks."""
    app.add_config_value("outside_links", {}, "env", [dict])
    app.connect("source-read", on_read)
    app.connect("include-read", on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
