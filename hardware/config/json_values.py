"""Values out of a foreign JSON file, with one wording for what is wrong: `file: key: got X, wanted Y`."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmsar.errors import FormatError


def parse_json(text: str, name: str) -> Mapping[str, Any]:
    """The JSON object in a text; raises FormatError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: got {error}, wanted JSON; correct it") from None
    if not isinstance(value, dict):
        raise FormatError(f"{name}: got {type(value).__name__}, wanted a JSON object")
    return value


class Node:
    """A JSON object that knows its place, so that a message can name it."""

    def __init__(self, value: Mapping[str, Any], where: str) -> None:
        self.value = value
        self.where = where

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self.value.get(key) is not None

    def error(self, key: str, wanted: str, hint: str = "correct it") -> FormatError:
        """The error for the value of a key."""
        return FormatError(f"{self.where}: {key}: got {self.value.get(key)!r}, wanted {wanted}; {hint}")

    def node(self, key: str) -> "Node":
        """The object of a key."""
        if not isinstance(self.value.get(key), dict):
            raise self.error(key, "an object")
        return Node(self.value[key], f"{self.where}: {key}")

    def nodes(self, key: str) -> list["Node"]:
        """The objects of a list."""
        found = self.value.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(v, dict) for v in found):
            raise self.error(key, "a list of objects")
        return [Node(v, f"{self.where}: {key}[{k}]") for k, v in enumerate(found)]

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number, or a text of one (hexadecimal as "0xF" too)."""
        value = self.value.get(key, default)
        if value is None and default is not None:
            value = default
        try:
            if isinstance(value, bool):
                raise ValueError
            if isinstance(value, str) and value.strip().lower().startswith("0x"):
                return float(int(value, 16))
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise self.error(key, "a number") from None
        if not math.isfinite(number):
            raise self.error(key, "a finite number")
        return number

    def whole(self, key: str, *, low: int = 0, high: int | None = None, default: int | None = None) -> int:
        """A whole number in a range."""
        value = self.number(key, default)
        if value != int(value) or value < low or (high is not None and value > high):
            raise self.error(key, f"a whole number, {low} or more" if high is None else f"{low} to {high}")
        return int(value)

    def text(self, key: str, choices: Sequence[str] | None = None, *, default: str | None = None) -> str:
        """A text, one of `choices` when given (any case)."""
        value = self.value.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, "a text" if choices is None else f"one of {', '.join(choices)}")
        if choices is None:
            return value
        found = next((c for c in choices if c.lower() == value.lower()), None)
        if found is None:
            raise self.error(key, f"one of {', '.join(choices)}")
        return found
