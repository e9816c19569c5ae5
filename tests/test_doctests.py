"""The examples in the docstrings do what they show."""

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_with_examples() -> list[str]:
    """Names of the modules of mmsar and mmsar.hardware with a prompt in some docstring."""
    found = []
    for top, prefix in (("mmsar", ()), ("hardware", ("mmsar",))):
        for path in sorted((ROOT / top).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if ">>> " in text and any(">>> " in (ast.get_docstring(node) or "") for node in documented(text)):
                parts = [*prefix, *path.relative_to(ROOT).with_suffix("").parts]
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def documented(text: str) -> list[ast.Module | ast.ClassDef | ast.FunctionDef]:
    """What may have a docstring."""
    return [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]


EXAMPLES = modules_with_examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name):
    failed, tried = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0


def test_the_main_names_have_examples():
    import mmsar

    values = ("Chirp", "AntennaArray", "Trajectory", "Scan", "ImageGrid", "Image", "Calibration", "reconstruct")
    for name in values:
        assert ">>> " in getattr(mmsar, name).__doc__, name
    for module in ("simulate.forward", "simulate.scene", "metrics.point", "metrics.compare", "metrics.focus"):
        assert f"mmsar.{module}" in EXAMPLES
