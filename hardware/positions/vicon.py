"""Vicon Nexus CSV exports: blocks "Segments", "Trajectories" and others, one below the other.

    Segments
    100                                     frames per second
    ,,subject:segment,,,,,,next...          names over their first column
    Frame,Sub Frame,RX,RY,RZ,TX,TY,TZ,...
    ,,deg,deg,deg,mm,mm,mm,...
    1,0,...

Blank cells and exact zeros are lost frames. Time is (frame + sub frame x rate) / rate on the clock "take". Whether RX,
RY, RZ are a helical vector or Euler angles is a choice of the export that no number in the file tells: it must be
declared.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.declared import LENGTHS, Declared
from mmsar.hardware.positions.text import nanoseconds, need_rows, numbers, read_text, rows_of
from mmsar.hardware.positions.track import PoseTrack
from mmsar.hardware.positions.turns import quaternions

USES = frozenset(("body", "rotation", "frame"))
ANGLES = {"deg": np.pi / 180, "rad": 1.0}
PLAIN = re.compile(r"[A-Za-z][A-Za-z ]*")


@dataclass(frozen=True)
class Block:
    """One block: title, rate as text, bodies (name -> column of its first cell and column names), units, rows."""

    title: str
    rate: str
    bodies: dict[str, tuple[int, tuple[str, ...]]]
    units: list[str]
    rows: list[tuple[int, list[str]]]


def read(path: str, told: Declared) -> PoseTrack:
    """The track of one segment, or of one marker named as the body.

    Raises
    ------
    FormatError
        No block of poses, several bodies and none chosen, rotations whose kind was not declared, unknown units.
    """
    blocks = _blocks(path)
    found = {name: (block, *place) for block in reversed(blocks) for name, place in block.bodies.items()}
    segments = [name for name, (_, _, columns) in found.items() if "RX" in columns]
    body = told.body
    if body is None:
        choice = segments or list(found)
        if len(choice) != 1:
            raise FormatError(
                f"{path}: got {len(choice)} bodies, wanted one chosen; give --body, one of {_list(choice)}"
            )
        body = choice[0]
    if body not in found:
        raise FormatError(f"{path}: got no body {body!r}; there are {_list(found)}")
    block, first, columns = found[body]
    need_rows(path, len(block.rows))
    where = {name: first + i for i, name in enumerate(columns)}
    turning = [where[c] for c in ("RX", "RY", "RZ") if c in where]
    moving = [where[c] for c in (("TX", "TY", "TZ") if "TX" in where else ("X", "Y", "Z")) if c in where]
    if len(moving) != 3 or len(turning) not in (0, 3):
        raise FormatError(f"{path}: {body}: got columns {', '.join(columns)}, wanted RX RY RZ TX TY TZ or X Y Z")
    scale = _unit(path, block, moving, LENGTHS)
    raw = numbers(block.rows, [*turning, *moving], path)
    lost = (raw[:, -3:] == 0).all(axis=1)
    raw[lost] = np.nan
    rotation = np.tile([0.0, 0.0, 0.0, 1.0], (len(raw), 1))
    if turning:
        if told.rotation is None:
            raise FormatError(
                f"{path}: RX, RY, RZ: helical vector or Euler angles, which the numbers cannot tell; "
                "give --rotation helical, euler-xyz or euler-xyz-fixed as set in the export"
            )
        rotation = quaternions(raw[:, :3] * _unit(path, block, turning, ANGLES), told.rotation)
    elif told.rotation is not None:
        raise FormatError(f"{path}: rotation: got {told.rotation!r} for {body!r}, which has no rotation columns")
    return PoseTrack.from_log(
        _times(path, block),
        raw[:, -3:] * scale,
        rotation,
        clock="take",
        frame=told.frame or "Vicon world",
        sigma=told.sigma,
        source=f"vicon-csv {body!r} {path}",
        rotation_measured=bool(turning),
    )


def _blocks(path: str) -> list[Block]:
    """All blocks whose column row begins with Frame."""
    rows = rows_of(read_text(path), path)
    heads = [i for i, row in enumerate(rows) if len(row) > 2 and row[0] == "Frame" and i >= 3]
    blocks = []
    for k, head in enumerate(heads):
        stop = heads[k + 1] - 3 if k + 1 < len(heads) else len(rows)
        title, rate = ("".join(rows[head - k][:1]) for k in (3, 2))
        names = rows[head - 1]
        if not PLAIN.fullmatch(title):
            raise FormatError(f"{path}, line {head - 2}: got {title!r}, wanted the name of a block, as Segments")
        columns = [c.upper() for c in rows[head]]
        starts = [i for i, name in enumerate(names) if name and i >= 2]
        ends = [*starts[1:], len(columns)][: len(starts)]
        bodies = {
            names[a]: (a, tuple(columns[a:b]))
            for a, b in zip(starts, ends, strict=True)
            if {"TX", "TY", "TZ"} <= set(columns[a:b]) or {"X", "Y", "Z"} == set(columns[a:b]) - {""}
        }
        units = rows[head + 1] if head + 1 < len(rows) else []
        data = [(i + 1, rows[i]) for i in range(head + 2, stop) if rows[i] and rows[i][0]]
        if bodies:
            blocks.append(Block(title, rate, bodies, units, data))
    if not blocks:
        raise FormatError(f"{path}: got no block of segments or trajectories, wanted a Vicon Nexus CSV export")
    return blocks


def _times(path: str, block: Block) -> np.ndarray:
    """Times of the rows since frame 0 [ns], exact to the nanosecond."""
    try:
        rate = Decimal(block.rate)
        if not (rate.is_finite() and rate > 0):
            raise InvalidOperation
    except InvalidOperation:
        raise FormatError(f"{path}: {block.title}: got the rate {block.rate!r}, wanted frames per second") from None
    out = []
    for line, row in block.rows:
        frame, sub = row[0], "".join(row[1:2])
        if not frame.isdecimal() or sub not in ("0", ""):
            raise FormatError(f"{path}, line {line}: got frame {frame}.{sub}, wanted a frame number, sub frame 0")
        out.append(nanoseconds(str(int(row[0]) / rate), 9, f"{path}, line {line}"))
    return np.array(out, dtype=np.int64)


def _unit(path: str, block: Block, columns: Sequence[int], known: dict[str, float]) -> float:
    """Factor to SI units of some columns, from the units row."""
    units = {block.units[c] if c < len(block.units) else "" for c in columns}
    if len(units) != 1 or not units <= set(known):
        raise FormatError(f"{path}: units: got {', '.join(sorted(units)) or 'none'}, wanted one of {', '.join(known)}")
    return known[units.pop()]


def _list(names: object) -> str:
    return ", ".join(repr(name) for name in names)
