"""The command lines of a radar configuration (`.cfg`), kept byte for byte.

`str(CfgText.parse(text)) == text` for every text: line ends, blank lines, trailing spaces, comments and unknown
commands stay as they are, and an edit touches one word only. Numbers are never rewritten: a slope of 70.006 sent as
70.01 would change the range scale.

Grammar (mmWave SDK demo, cli.c): words split on spaces; a line is shorter than 256 bytes; `%` in front makes a comment
(some files use `#`, which the demo answers as an unknown command).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmsar.errors import FormatError

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Command(NamedTuple):
    """One command: line number from 1, name, words."""

    line_no: int
    name: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class CfgText:
    """A configuration text as its lines, line ends included."""

    lines: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "CfgText":
        """Split a text; nothing is lost."""
        return cls(tuple(_LINE.findall(text)))

    def __str__(self) -> str:
        return "".join(self.lines)

    @property
    def commands(self) -> tuple[Command, ...]:
        """Every line that is neither blank nor a comment."""
        found = []
        for number, line in enumerate(self.lines, start=1):
            words = [word for word in line.rstrip("\r\n").split(" ") if word]
            if words and words[0][0] not in "%#" and line.strip():
                found.append(Command(number, words[0], tuple(words[1:])))
        return tuple(found)

    @property
    def comments(self) -> tuple[tuple[int, str], ...]:
        """(line number, text behind the mark) of every comment."""
        stripped = ((number, line.strip()) for number, line in enumerate(self.lines, start=1))
        return tuple((number, line[1:].strip()) for number, line in stripped if line[:1] in ("%", "#"))

    def named(self, name: str) -> tuple[Command, ...]:
        """The commands of one name, in order."""
        return tuple(command for command in self.commands if command.name == name)

    def with_word(self, line_no: int, index: int, word: str) -> "CfgText":
        """The same text with argument `index` (from 0) of the command on a line replaced."""
        line = self.lines[line_no - 1]
        spans = [m.span() for m in re.finditer(r"[^ \r\n]+", line)]
        if index + 1 >= len(spans):
            raise FormatError(f"line {line_no}: got {len(spans) - 1} values, wanted at least {index + 1}")
        start, end = spans[index + 1]
        lines = list(self.lines)
        lines[line_no - 1] = line[:start] + word + line[end:]
        return CfgText(tuple(lines))


def read_text(path: str | Path) -> str:
    """The text of a configuration file, line ends untouched.

    Raises
    ------
    FormatError
        A byte order mark, text that is not UTF-8, or zero bytes.
    OSError
        A file that cannot be read.
    """
    raw = Path(path).read_bytes()
    if raw.startswith(_BOMS):
        raise FormatError(f"{path}: got a byte order mark, wanted plain UTF-8; save it again without one")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FormatError(
            f"{path}: got byte 0x{raw[error.start]:02x} on line {line}, wanted UTF-8; save it again as UTF-8"
        ) from None
    if "\0" in text:
        raise FormatError(f"{path}: got zero bytes, wanted text; this is no configuration")
    return text
