"""Images as HDF5 files (layout: `mmsar.io.schema`): checked on reading, atomic writing, history kept."""

import os
from pathlib import Path
from typing import Any

from mmsar._version import __version__
from mmsar.errors import FormatError, GeometryError
from mmsar.io.h5file import attribute, create_h5, group, open_h5, read_field, read_json, scan_digest, write_json
from mmsar.io.h5file import write_field as _write_field
from mmsar.io.schema import GRID_UNITS, IMAGE_DATA
from mmsar.model import Image, ImageGrid

__all__ = ["load_history", "load_image", "save_image", "scan_digest"]


def save_image(image: Image, path: str | os.PathLike[str], *, scan_path: str | os.PathLike[str] | None = None) -> None:
    """Write an image to `path` (.h5); the file appears only when it is complete.

    Parameters
    ----------
    image : Image
        Stored as it is, complex64 or float32. A history without an mmsar version gets one.
    path : path
        An existing file of that name is replaced.
    scan_path : path, optional
        The scan file the image was made from: its name and sha256 are added to the history.

    Raises
    ------
    FormatError
        The path cannot be written, or the history holds what JSON cannot.
    """
    history = list(image.history)
    if scan_path is not None:
        history.append({"step": "source", "scan": Path(scan_path).name, "sha256": scan_digest(scan_path)})
    if not any("version" in step for step in history):
        history.append({"step": "save", "version": __version__})
    with create_h5(path, "image") as file:
        _write_field(file, "data", IMAGE_DATA, image.data)
        grid = file.create_group("grid")
        for name, value in image.grid.to_dict().items():
            grid.attrs[name] = value
        grid.attrs["units"] = ",".join(GRID_UNITS.values())
        write_json(file, "history", history)


def load_history(path: str | os.PathLike[str]) -> tuple[dict[str, Any], ...]:
    """The history of an image file, without its voxels. Errors are those of `load_image`."""
    with open_h5(path, "image") as file:
        return tuple(_history(file, Path(path)))


def _history(file: Any, source: Path) -> list[dict[str, Any]]:
    history = read_json(file, "history", list)
    if not all(isinstance(step, dict) for step in history):
        raise FormatError(f"{source}: @history: got steps that are not objects, wanted a list of JSON objects")
    return history


def load_image(path: str | os.PathLike[str]) -> Image:
    """Read an image.

    Raises
    ------
    FormatError
        Not an mmsar image, truncated, of a newer schema, with missing or wrong parts, or not finite.
    """
    source = Path(path)
    with open_h5(source, "image") as file:
        values = {name: attribute(group(file, "grid"), name) for name in GRID_UNITS}
        try:
            grid = ImageGrid(**values)
            sizes = dict(zip(IMAGE_DATA.axes, grid.shape, strict=True))
            history = _history(file, source)
            return Image(data=read_field(file, "data", IMAGE_DATA, sizes), grid=grid, history=tuple(history))
        except GeometryError as error:
            raise FormatError(f"{source}: {error}") from error
