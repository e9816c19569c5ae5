"""Tables of numbers beside the data, .csv or .npz: positions and angles."""

import csv
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError


def columns_of(path: Path) -> dict[str, np.ndarray]:
    """Columns by name, in lower case, of a .csv file with a header line or of a .npz file.

    Raises
    ------
    FormatError
        Not such a file, values that are no numbers, or columns of different lengths.
    """
    return _npz_columns(path) if path.suffix == ".npz" else _csv_columns(path)


def _csv_columns(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: cannot be read as .csv ({error}); wanted text with a header line") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    values = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            values.append([float(cell) for cell in row])
        except ValueError:
            raise FormatError(f"{path}: line {number}: got {','.join(row)!r}, wanted numbers") from None
        if len(row) != len(names):
            raise FormatError(f"{path}: line {number}: got {len(row)} values, wanted {len(names)} ({','.join(names)})")
    return dict(zip(names, np.array(values).reshape(len(values), len(names)).T, strict=True))


def _npz_columns(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            columns = {name.lower(): np.asarray(data[name], dtype=float).ravel() for name in data.files}
    except Exception as error:
        raise FormatError(f"{path}: cannot be read as .npz ({error})") from error
    if len({len(column) for column in columns.values()}) > 1:
        raise FormatError(f"{path}: got columns of different lengths, wanted one value for every pose in each")
    return columns
