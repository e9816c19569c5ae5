"""Weights of the networks that come with the package, by name; MODEL_CARD.md says what they are."""

import os
from pathlib import Path

from mmsar.errors import MmsarError

FOLDER = Path(__file__).parent
DEFAULT = "gatenet"
"""The network that is used unless another one is named."""


def shipped() -> list[str]:
    """Names of the networks that are there."""
    return sorted(path.stem for path in FOLDER.glob("*.onnx"))


def find(model: str | os.PathLike[str] = DEFAULT) -> Path:
    """The file of a network.

    Parameters
    ----------
    model : str or path
        A name of `shipped()`, or a file ending in .onnx, which need not exist.

    Raises
    ------
    MmsarError
        A name that is not shipped.
    """
    path = Path(model)
    if path.suffix.lower() == ".onnx":
        return path
    names = shipped()
    if str(model) in names:
        return FOLDER / f"{model}.onnx"
    there = f"one of {', '.join(names)}, or a file" if names else "a file (no weights come with this installation)"
    raise MmsarError(f"network: got {str(model)!r}, wanted {there} ending in .onnx, as mmsar.enhance.train exports it")
