"""Percent-format notebooks as pages: their text and their code, not executed (.ci/run executes them).

Every `NAME.py` of `percent_notebooks_from` becomes `generated/notebooks/NAME.md`, before Sphinx reads its sources.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

CELL = re.compile(r"^# %%(.*)$", re.M)


def page(source: str) -> str:
    """Markdown of a percent-format notebook: text cells as they are, code cells fenced, the header left out."""
    parts = CELL.split(source)[1:]
    cells = []
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        body = body.strip("\n")
        if "[markdown]" in title:
            cells.append(re.sub(r"^# ?", "", body, flags=re.M))
            continue
        body = re.sub(r"^# %.*\n*", "", body, flags=re.M)  # magics, as jupytext keeps them
        if body:
            cells.append(f"```python\n{body}\n```")
    return "\n\n".join(cells) + "\n"


def write_pages(app: Sphinx) -> None:
    """Write the pages that are new or differ, take away those without a source."""
    folder = Path(app.srcdir) / "generated" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    sources = {path.stem: path for path in sorted(Path(app.config.percent_notebooks_from).glob("*.py"))}
    for old in folder.glob("*.md"):
        if old.stem not in sources:
            old.unlink()
    for name, path in sources.items():
        text, target = page(path.read_text(encoding="utf-8")), folder / f"{name}.md"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def list_pages(app: Sphinx, name: str, content: list[str]) -> None:
    """The page `notebooks` ends with a list of those that there are."""
    if name == "notebooks" and any((Path(app.srcdir) / "generated" / "notebooks").glob("*.md")):
        content[0] += "\n```{toctree}\n:glob:\n:maxdepth: 1\n\ngenerated/notebooks/*\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the value and the hook."""
    app.add_config_value("percent_notebooks_from", "", "env", [str])
    app.connect("builder-inited", write_pages)
    app.connect("source-read", list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
