"""Which format a position log is in, by what stands in it, with the reason; never by a guess.

Each format has marks that another does not have: magic bytes, a key of its first row, a row of names, the width of its
rows. A log that bears the marks of none or of several is refused, and the formats in question are named.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from mmsar.errors import FormatError
from mmsar.hardware.positions import turntable
from mmsar.hardware.positions.columns import find
from mmsar.hardware.positions.kinds import KINDS
from mmsar.hardware.positions.text import BLANK, read_text, rows_of

MAGIC = {b"#ROSBAG V": "ROS 1 bag", b"SQLite format 3\0": "SQLite file", b"\x89MCAP0\r\n": "MCAP file"}
HEAD = 1 << 16
NS_DIGITS = 16
"""Fewest digits of a stamp taken for nanoseconds: as seconds it would be 30 million years."""


@dataclass(frozen=True)
class Sniffed:
    """A format and the mark it was known by."""

    kind: str
    reason: str


def sniff(path: str | os.PathLike[str]) -> Sniffed:
    """The format of a log.

    Raises
    ------
    FormatError
        A log that looks like no known format, or like several; the message names them.
    """
    path = Path(path)
    if path.is_dir() and (path / "metadata.yaml").exists():
        return Sniffed("rosbag", "a folder with metadata.yaml")
    if not path.is_dir():
        with open(path, "rb") as stream:
            start = stream.read(16)
        for magic, name in MAGIC.items():
            if start.startswith(magic):
                return Sniffed("rosbag", name)
    found = _text(read_text(path, limit=HEAD), path)
    if not found:
        raise FormatError(f"{path}: looks like no known position log; give --kind, one of {', '.join(KINDS)}")
    if len(found) > 1:
        names = ", ".join(one.kind for one in found)
        raise FormatError(f"{path}: could be {names} ({found[0].reason}); give --kind, one of these")
    return found[0]


def _text(head: str, path: Path) -> list[Sniffed]:
    """Every format that the start of a text fits."""
    first = head.lstrip()[:1]
    if first in "{[":
        return _json(head)
    rows = rows_of(head[: head.rfind("\n") + 1] or head, path)
    if rows[0][:1] == ["Format Version"]:
        return [Sniffed("motive-csv", "first row begins with Format Version")]
    if any(row[:2] == ["Stream Type", "F#"] for row in rows):
        return [Sniffed("t265-csv", "a row Stream Type, F#")]
    if any(row[:2] == ["Frame", "Sub Frame"] for row in rows):
        return [Sniffed("vicon-csv", "a row Frame, Sub Frame")]
    if head.lstrip().startswith("#") and len(plain := _numbers(head)) == 1:
        return plain
    header = find(rows[0])
    if header is not None:
        if header.confidence is not None:
            return [Sniffed("t265-csv", "a column tracker_confidence")]
        if not header.rotation:
            return [Sniffed("gantry-csv", "columns of time and x, y, z without rotation")]
        why = "named columns of time, position and quaternion"
        return [Sniffed(kind, why) for kind in ("arkit-csv", "arcore-csv", "t265-csv")]
    if turntable.find(rows[0]) is not None:
        return [Sniffed("turntable-csv", "columns of time and angle")]
    return _numbers(head)


def _json(head: str) -> list[Sniffed]:
    """Formats of the start of a JSON text."""
    if '"rigidBodies"' in head and '"frames"' in head:
        return [Sniffed("motive-json", "frames with rigidBodies")]
    if any(f'"{key}"' in head for key in ("transform", "camera_transform", "cameraTransform")):
        return [Sniffed("arkit-json", "frames with a transform")]
    return []


def _numbers(head: str) -> list[Sniffed]:
    """Formats of rows of plain numbers."""
    line = next((text for text in head.splitlines() if text.strip() and not text.lstrip().startswith("#")), "")
    commas = "," in line
    cells = [cell.strip() for cell in (line.split(",") if commas else line.split())]
    if not cells or not all(_is_number(cell) for cell in cells):
        return []
    nanoseconds = cells[0].isdigit() and len(cells[0]) >= NS_DIGITS
    if commas and len(cells) in (8, 17) and nanoseconds:
        return [Sniffed("euroc", f"{len(cells)} columns that begin with whole nanoseconds")]
    if len(cells) == 8 and "." in cells[0]:
        return [Sniffed("tum", "8 columns that begin with seconds")]
    if len(cells) == 8 and not nanoseconds:
        kinds = ("tum", "euroc") if commas else ("tum",)
        return [Sniffed(kind, "8 columns that begin with a whole number") for kind in kinds]
    return []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.lower() in BLANK
    return True
