"""The notebooks as committed: both files of a pair agree, nothing is run in them, each teaches and checks something."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("*.py"))
jupytext = pytest.importorskip("jupytext", reason="needs jupytext: pip install 'mmsar[notebooks]'")


def cells(notebook) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_every_notebook_has_its_other_half_and_is_listed():
    assert [path.stem[:3] for path in SOURCES] == ["101", "102", "103", "104", "105", "106"]
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in SOURCES}
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d+\w*)\.ipynb\)", text) == [path.stem for path in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_both_files_of_a_pair_say_the_same_and_hold_no_outputs(source):
    """make notebooks-sync puts this right."""
    other = source.with_suffix(".ipynb")
    assert cells(jupytext.read(other)) == cells(jupytext.read(source))
    for cell in json.loads(other.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_teaches_checks_it_and_ends_with_exercises(source):
    told = cells(jupytext.read(source))
    kind, first = told[0]
    assert kind == "markdown" and first.startswith(f"# {source.stem[:3]} ") and "What you will learn" in first
    kind, last = told[-1]
    assert kind == "markdown" and last.startswith("## Exercises")
    assert last.count("<summary>Hint</summary>") == len(re.findall(r"^\d+\. ", last, re.M)) >= 3
    assert any(kind == "code" and re.search(r"^ *assert ", text, re.M) for kind, text in told)
