"""What scan and image files share: opening with checks, attributes, datasets with units and axes, history as JSON."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mmsar._version import __version__
from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path
from mmsar.io.schema import AXIS_LENGTH, KIND_ATTR, SCHEMA, SCHEMA_ATTR, Field


def file_kind(path: str | os.PathLike[str]) -> str:
    """What an mmsar file holds: "scan", "image" or "calibration".

    Raises
    ------
    FormatError
        Not an mmsar file, truncated, or of a newer schema.
    """
    with open_h5(path) as file:
        return str(file.attrs[KIND_ATTR])


def scan_digest(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file's bytes, in hexadecimal: names the exact scan an image was made from."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_h5(path: str | os.PathLike[str], kind: str | None = None) -> Iterator[h5py.File]:
    """Open an mmsar file for reading, checked for format, schema and (if given) kind.

    Raises
    ------
    FormatError
        Missing, not HDF5, truncated, HDF5 but not mmsar's, of a newer schema, or of another kind.
    """
    source = Path(path)
    if not source.exists():
        raise FormatError(f"{source}: no such file; check the path")
    if source.is_dir():
        raise FormatError(f"{source}: got a folder, wanted an mmsar .h5 file (raw data: use mmsar import)")
    if not h5py.is_hdf5(source):
        raise FormatError(f"{source}: not an HDF5 file, wanted an mmsar .h5 file (raw data: use mmsar import)")
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise FormatError(
                f"{source}: truncated HDF5 file; copy it again or repeat the step that made it"
            ) from error
        raise FormatError(f"{source}: cannot be opened as HDF5 ({error}); copy it again") from error
    with file:
        schema = file.attrs.get(SCHEMA_ATTR)
        if schema is None:
            raise FormatError(
                f"{source}: HDF5 but not an mmsar file (no @{SCHEMA_ATTR}); use mmsar import for raw data"
            )
        if not isinstance(schema, np.integer | int) or schema < 1:
            raise FormatError(f"{source}: got @{SCHEMA_ATTR} {schema!r}, wanted a whole number from 1 to {SCHEMA}")
        if schema > SCHEMA:
            raise FormatError(
                f"{source}: schema {int(schema)} is newer than this mmsar {__version__} reads (up to {SCHEMA}); "
                "update mmsar"
            )
        got = attribute(file, KIND_ATTR)
        if kind is not None and got != kind:
            raise FormatError(f"{source}: of kind {got}, wanted {kind}")
        yield file


@contextmanager
def create_h5(path: str | os.PathLike[str], kind: str) -> Iterator[h5py.File]:
    """A new mmsar file under a temporary name, renamed to `path` when the block ends without an error."""
    with atomic_path(path) as part, h5py.File(part, "w") as file:
        file.attrs[SCHEMA_ATTR] = SCHEMA
        file.attrs[KIND_ATTR] = kind
        file.attrs["mmsar_version"] = __version__
        file.attrs["created"] = datetime.now(UTC).isoformat(timespec="seconds")
        yield file


def write_field(file: h5py.File, name: str, field: Field, data: np.ndarray) -> None:
    """Write one dataset with its units and axes."""
    label(file.create_dataset(name, data=data), field)


def label(dataset: h5py.Dataset, field: Field) -> None:
    """Give a dataset its units and axes."""
    dataset.attrs["units"] = field.units
    dataset.attrs["axes"] = ",".join(field.axes)


def find_field(file: h5py.File, name: str, field: Field, sizes: dict[str, int]) -> h5py.Dataset:
    """A dataset of `file`, checked for kind of number, units, axes and shape.

    Parameters
    ----------
    sizes : dict
        Length of every axis known so far, by name; axes met for the first time are added.

    Raises
    ------
    FormatError
        Missing, or at odds with the schema or with the other datasets.
    """
    where = f"{file.filename}: /{name}"
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise FormatError(f"{where}: missing, wanted a dataset ({', '.join(field.axes)}); write the file again")
    if dataset.dtype.kind not in field.kinds:
        raise FormatError(f"{where}: got {dataset.dtype}, wanted numpy kind {' or '.join(field.kinds)}")
    for key, wanted in (("units", field.units), ("axes", ",".join(field.axes))):
        got = dataset.attrs.get(key)
        if got != wanted:
            raise FormatError(f"{where}: got @{key} {got!r}, wanted {wanted!r}")
    wanted_shape = tuple(AXIS_LENGTH.get(axis, sizes.get(axis)) for axis in field.axes)
    fits = len(dataset.shape) == len(wanted_shape) and all(
        g >= 1 and w in (None, g) for g, w in zip(dataset.shape, wanted_shape, strict=True)
    )
    if not fits:
        text = ", ".join(f"{a} {'n' if w is None else w}" for a, w in zip(field.axes, wanted_shape, strict=True))
        raise FormatError(f"{where}: got shape {dataset.shape}, wanted ({text})")
    sizes.update(zip(field.axes, dataset.shape, strict=True))
    return dataset


def read_field(file: h5py.File, name: str, field: Field, sizes: dict[str, int]) -> np.ndarray:
    """The whole of a checked dataset (see `find_field`)."""
    return read_part(find_field(file, name, field, sizes))


def read_part(dataset: h5py.Dataset, part: Any = ()) -> np.ndarray:
    """A part of a dataset, by default all of it.

    Raises
    ------
    FormatError
        Damaged, or more than fits in memory.
    """
    where = f"{dataset.file.filename}: {dataset.name}"
    try:
        return dataset[part]
    except OSError as error:
        raise FormatError(f"{where}: cannot be read ({error}); the file is damaged") from error
    except (MemoryError, ValueError) as error:  # numpy refuses sizes beyond the addresses by ValueError
        size = " x ".join(str(n) for n in dataset.shape)
        raise FormatError(f"{where}: {size} of {dataset.dtype} do not fit in memory; make a smaller one") from error


def attribute(item: h5py.Group, name: str) -> Any:
    """An attribute as a plain Python value or a list.

    Raises
    ------
    FormatError
        When it is missing.
    """
    if name not in item.attrs:
        place = item.name.rstrip("/")
        raise FormatError(f"{item.file.filename}: {place}@{name}: missing attribute; write the file again")
    value = item.attrs[name]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def group(file: h5py.File, name: str) -> h5py.Group:
    """A group that has to be there."""
    item = file.get(name)
    if not isinstance(item, h5py.Group):
        raise FormatError(f"{file.filename}: /{name}: missing group; write the file again")
    return item


def write_json(file: h5py.Group, name: str, value: Any) -> None:
    """Write an attribute as JSON; numpy numbers and arrays become plain ones.

    Raises
    ------
    FormatError
        A value JSON cannot hold.
    """
    try:
        file.attrs[name] = json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{name}: got a value a file cannot keep ({error}), wanted plain JSON values") from error


def read_json(file: h5py.Group, name: str, kind: type) -> Any:
    """Read a JSON attribute of the given type (dict or list); an empty one when the attribute is not there."""
    text = file.attrs.get(name)
    if text is None:
        return kind()
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{file.file.filename}: @{name}: not valid JSON ({error})") from error
    if not isinstance(value, kind):
        raise FormatError(f"{file.file.filename}: @{name}: got {type(value).__name__}, wanted {kind.__name__} in JSON")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__}: {value!r}")
