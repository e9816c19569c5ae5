"""Text of position logs: plain or gzipped files, exact decimal times, numbers with blank cells.

Times are read as decimal numbers and turned to whole nanoseconds without passing through a float: an epoch in
nanoseconds has more digits than a float64 holds.
"""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError

BLANK = frozenset(("", "nan", "none", "null", "-nan", "nan(ind)", "-nan(ind)"))
EPOCHS = (946_684_800 * 10**9, 4_102_444_800 * 10**9)
"""Unix times of the years 2000 and 2100 [ns]."""


def read_text(path: str | os.PathLike[str], *, limit: int | None = None) -> str:
    """A file's text, unpacked if it is gzipped, without a byte-order mark; at most `limit` characters.

    Raises
    ------
    FormatError
        An empty file, or one that is not text.
    """
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"{path}: got a folder, wanted a position log")
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if packed else open(path, "rb") as stream:
            data = stream.read() if limit is None else stream.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"{path}: damaged gzip file ({error}); copy it again") from None
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = data.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    if "\0" in text:
        raise FormatError(f"{path}: got binary data, wanted a position log in text")
    if not text.strip():
        raise FormatError(f"{path}: got an empty file, wanted a position log")
    return text


def rows_of(text: str, path: object) -> list[list[str]]:
    """Cells of a CSV text, stripped of blanks; FormatError where it is none."""
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text))]
    except csv.Error as error:
        raise FormatError(f"{path}: not a CSV file: {error}") from None


def nanoseconds(text: str, power: int, where: str) -> int:
    """A decimal number of the unit 10**power ns as whole nanoseconds, rounded half to even.

    Raises
    ------
    FormatError
        Not a finite number, or one that does not fit 64 bits.
    """
    try:
        value = Decimal(text).scaleb(power)
        whole = int(value.to_integral_value())
    except (ArithmeticError, ValueError):
        raise FormatError(f"{where}: got the time {text!r}, wanted a number") from None
    if not -(2**62) < whole < 2**62:
        raise FormatError(f"{where}: got the time {text}, wanted less than 146 years from its clock's zero")
    return whole


def number(cell: str, where: str) -> float:
    """A cell as a number; NaN where it is blank.

    Raises
    ------
    FormatError
        Text that is neither a number nor blank.
    """
    try:
        return float(cell)
    except ValueError:
        if cell.lower() in BLANK:
            return float("nan")
        raise FormatError(f"{where}: got {cell!r}, wanted a number or a blank cell") from None


def numbers(rows: Iterable[tuple[int, Sequence[str]]], columns: Sequence[int], path: object) -> np.ndarray:
    """Columns of numbered rows, (n_rows, n_columns) float64; blank or absent cells are NaN."""
    table = []
    for line, row in rows:
        table.append([number(row[c], f"{path}, line {line}") if c < len(row) else float("nan") for c in columns])
    return np.array(table, dtype=np.float64).reshape(len(table), len(columns))


def epoch_clock(time_ns: np.ndarray) -> str:
    """ "unix" when all stamps lie in the years 2000 to 2100 of Unix time, else "unknown"."""
    low, high = EPOCHS
    return "unix" if low <= int(np.min(time_ns)) and int(np.max(time_ns)) < high else "unknown"


def need_rows(path: object, count: int) -> None:
    """Raise FormatError unless a log has two poses or more."""
    if count < 2:
        raise FormatError(f"{path}: got {count} poses, wanted at least 2")
