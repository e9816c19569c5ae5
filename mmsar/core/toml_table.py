"""TOML tables that know which keys were asked for, so that a misspelt key never passes as a default.

Every complaint is one line that names file, table and key, what was there and what was wanted.
"""

import tomllib
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.errors import FormatError, MmsarError


def load_table(path: Path, wanted: str) -> "Table":
    """The top table of a TOML file; `wanted` says what kind of file it should be.

    Raises
    ------
    FormatError
        Not TOML.
    OSError
        When the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: not a TOML file ({error}); wanted {wanted}") from None
    return Table(content, f"{path}")


class Table:
    """A TOML table that knows which of its keys were asked for."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self.content, self.where = content, where
        self.known: dict[str, None] = {}

    def take(self, key: str, default: Any = ..., *, wanted: str = "a value") -> Any:
        """The value of `key`, or `default`; refused when it is missing and there is no default."""
        self.known[key] = None
        if key not in self.content and default is ...:
            near = get_close_matches(key, self.content, 1, 0.7)
            hint = f"; is `{near[0]}` a misspelling of it?" if near else ""
            raise FormatError(f"{self.where} {key}: missing, wanted {wanted}{hint}")
        return self.content.get(key, None if default is ... else default)

    def has(self, key: str) -> bool:
        """Whether `key` is there."""
        self.known[key] = None
        return key in self.content

    def number(self, key: str, default: float = ...) -> float:  # type: ignore[assignment]
        """A number."""
        value = self.take(key, default, wanted="a number")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted a number")
        if not abs(value) < 1e300:  # inf and nan are numbers to TOML, whole ones have no end
            raise FormatError(f"{self.where} {key}: got {value}, wanted a finite number")
        return float(value)

    def whole(self, key: str, default: int = ...) -> int:  # type: ignore[assignment]
        """A whole number."""
        value = self.take(key, default, wanted="a whole number")
        if isinstance(value, bool) or not isinstance(value, int):
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted a whole number")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted true or false")
        return value

    def text(self, key: str, default: str = ...) -> str:  # type: ignore[assignment]
        value = self.take(key, default, wanted="a text")
        if not isinstance(value, str):
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted a text in quotes")
        return value

    def numbers(self, key: str, default: Any = ..., *, unit: float = 1.0) -> np.ndarray:
        """A list of numbers (or of lists), times `unit`."""
        value = self.take(key, default, wanted="a list of numbers")
        try:
            array = np.array(value, dtype=float)
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.size == 0 or array.ndim == 0 or np.array(value).dtype.kind not in "iuf":
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted a list of numbers")
        return array * unit

    def table(self, key: str, *, required: bool = True) -> "Table":
        """A table within; an empty one when it is missing and not required."""
        value = self.take(key, ... if required else {}, wanted=f"a table [{key}]")
        if not isinstance(value, dict):
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted a table [{key}]")
        return Table(value, f"{self.where} [{key}]")

    def tables(self, key: str) -> list["Table"]:
        """One or more tables of the same name."""
        value = self.take(key, wanted=f"one or more tables [[{key}]]")
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted one or more tables [[{key}]]")
        return [Table(v, f"{self.where} [[{key}]] {i + 1}") for i, v in enumerate(value)]

    def choice(self, key: str, readers: dict[str, Any]) -> Any:
        """One of `readers` by the name the file gives."""
        value = self.text(key)
        if value not in readers:
            near = get_close_matches(value, readers, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise FormatError(f"{self.where} {key}: got {value!r}, wanted one of {', '.join(readers)}{hint}")
        return readers[value]

    def positive(self, key: str, default: float = ...) -> float:  # type: ignore[assignment]
        """A number above 0."""
        value = self.number(key, default)
        if not value > 0:
            raise FormatError(f"{self.where} {key}: got {value:g}, wanted a number above 0")
        return value

    def finish(self) -> None:
        """Refuse keys nobody asked for."""
        for key in self.content:
            if key not in self.known:
                near = get_close_matches(key, self.known, 1, 0.5)
                hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(self.known)}"
                raise FormatError(f"{self.where}: unknown key `{key}`; {hint}")


def read_table(table: Table, reader: Callable[[Table], Any]) -> Any:
    """What `reader` makes of a table, with the place in front of any complaint of the model."""
    try:
        value = reader(table)
    except FormatError:
        raise
    except MmsarError as error:
        raise FormatError(f"{table.where}: {error}") from None
    table.finish()
    return value
