"""Write the .ipynb of every notebook from its .py: without outputs, and with cell ids that do not change by chance.

python tests/notebooks/sync.py
"""

from pathlib import Path

import jupytext

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def main() -> None:
    """Write all of them."""
    for source in sorted(FOLDER.glob("*.py")):
        notebook = jupytext.read(source)
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"
        jupytext.write(notebook, source.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
