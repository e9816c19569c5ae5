"""OptiTrack Motive CSV exports (format 1.2x): rigid bodies and markers in columns, six to eight header rows.

The first row holds key,value pairs; the header rows that name the columns vary in number and order between versions,
so the table is found by its `Frame` row and the rows above it by what they hold. Blank cells are occlusions. Times are
relative to the start of the take (clock "take"); the start itself is local time without a zone, so stamps become Unix
time only when a zone is declared. Motive's world is right-handed with y up. Its Euler angles XYZ are relative, that is
about the moving axes (NaturalPoint, "Changes in Motive's Reported Euler Angles").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.text import nanoseconds, need_rows, numbers, read_text, rows_of
from mmsar.hardware.positions.track import PoseTrack
from mmsar.hardware.positions.turns import quaternions

USES = frozenset(("body", "zone", "frame"))
TYPES = ("Rigid Body", "Rigid Body Marker", "Marker", "Bone", "Bone Marker", "Skeleton")
LENGTHS = {"meters": 1.0, "centimeters": 1e-2, "millimeters": 1e-3}
HEADER_ROWS = 12
FRAME = "OptiTrack world, right-handed, y up"


@dataclass
class Asset:
    """A tracked thing: the columns of its rotation (x, y, z, w or x, y, z) and position (x, y, z)."""

    type: str
    name: str
    rotation: dict[str, int] = field(default_factory=dict)
    position: dict[str, int] = field(default_factory=dict)


def read(path: str, told: Declared) -> PoseTrack:
    """The track of one rigid body, or of one marker named as the body.

    Raises
    ------
    FormatError
        No `Frame` row, unknown units or rotation type, several bodies and none chosen, a body that is not there.
    """
    rows = rows_of(read_text(path), path)
    meta = dict(zip(rows[0][::2], rows[0][1::2], strict=False))
    top = next((i for i, row in enumerate(rows[: HEADER_ROWS + 1]) if row and row[0].startswith("Frame")), None)
    if "Format Version" not in meta or top is None or len(rows[top]) < 3:
        raise FormatError(f"{path}: got no Format Version and Frame rows, wanted a Motive CSV export")
    assets = _assets(path, rows[1:top], rows[top])
    asset = choose(path, assets, told.body)
    scale = LENGTHS.get(meta.get("Length Units", "").lower())
    if scale is None:
        got = meta.get("Length Units", "no unit")
        raise FormatError(f"{path}: Length Units: got {got!r}, wanted Meters, Centimeters or Millimeters")
    data = [(i, row) for i, row in enumerate(rows[top + 1 :], start=top + 2) if any(row)]
    need_rows(path, len(data))
    time_ns = np.array([nanoseconds(_cell(row, 1), 9, f"{path}, line {i}") for i, row in data], dtype=np.int64)
    if not set("XYZ") <= set(asset.position):
        raise FormatError(f"{path}: {asset.name}: got no position columns X, Y, Z; export positions too")
    position = numbers(data, [asset.position[c] for c in "XYZ"], path) * scale
    rotation = _rotation(path, asset, meta.get("Rotation Type", ""), data)
    clock = "take"
    if told.zone is not None:
        time_ns, clock = time_ns + _start(path, meta, told.zone), "unix"
    return PoseTrack.from_log(
        time_ns,
        position,
        np.tile([0.0, 0.0, 0.0, 1.0], (len(data), 1)) if rotation is None else rotation,
        clock=clock,
        frame=told.frame or FRAME,
        sigma=told.sigma,
        source=f"motive-csv {asset.type} {asset.name!r} {path}",
        rotation_measured=rotation is not None,
    )


def choose(path: str, assets: Sequence[Asset], body: str | None) -> Asset:
    """The asset of that name; without a name the only rigid body. FormatError listing what there is otherwise."""
    bodies = [a for a in assets if a.type == "Rigid Body"]
    listed = ", ".join(repr(a.name) for a in bodies or assets) or "nothing"
    if body is None:
        if len(bodies) == 1:
            return bodies[0]
        what = f"{len(bodies)} rigid bodies" if bodies else f"no rigid body but {len(assets)} other assets"
        raise FormatError(f"{path}: got {what}, wanted one chosen; give --body, one of {listed}")
    named = [a for a in assets if a.name == body]
    named = [a for a in named if a.type == "Rigid Body"] or named
    if len(named) != 1:
        found = f"{len(named)} assets" if named else "no body"
        raise FormatError(f"{path}: got {found} of the name {body!r}, wanted one; there are {listed}")
    return named[0]


def _assets(path: str, header: list[list[str]], names: list[str]) -> list[Asset]:
    """Assets by (type, name, id), from the rows between the first and the `Frame` row."""
    header = [row for row in header if any(row)]
    kinds = next((i for i, row in enumerate(header) if any(cell in TYPES for cell in row[2:])), None)
    parts = next((i for i, row in enumerate(header) if any(cell in ("Rotation", "Position") for cell in row[2:])), None)
    if kinds is None or parts is None or parts <= kinds + 1:
        raise FormatError(f"{path}: got no rows of types, names and Rotation/Position above Frame; export it again")
    labels = [row[1] if len(row) > 1 else "" for row in header]
    name_row = header[labels.index("Name") if "Name" in labels else kinds + 1]
    id_row = header[labels.index("ID")] if "ID" in labels else None
    found: dict[tuple[str, str, str], Asset] = {}
    for column in range(2, len(names)):
        kind, name, part = (_cell(row, column) for row in (header[kinds], name_row, header[parts]))
        if kind in TYPES and part in ("Rotation", "Position"):
            key = (kind, name, "" if id_row is None else _cell(id_row, column))
            asset = found.setdefault(key, Asset(kind, name))
            (asset.rotation if part == "Rotation" else asset.position)[names[column].upper()] = column
    return list(found.values())


def _rotation(path: str, asset: Asset, kind: str, data: list[tuple[int, list[str]]]) -> np.ndarray | None:
    """Quaternions (n, 4), or None for an asset without rotation columns."""
    columns = asset.rotation
    if not columns:
        return None
    if kind.lower() == "quaternion" and set("XYZW") <= set(columns):
        return numbers(data, [columns[c] for c in "XYZW"], path)
    if kind.upper() == "XYZ" and set("XYZ") <= set(columns):
        return quaternions(np.radians(numbers(data, [columns[c] for c in "XYZ"], path)), "euler-xyz")
    raise FormatError(
        f"{path}: Rotation Type: got {kind!r} with columns {', '.join(columns)}, wanted Quaternion or XYZ; export again"
    )


def zone_of(text: str) -> tzinfo:
    """A time zone of an IANA name or of an offset as +02:00; GeometryError otherwise."""
    offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", text)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise GeometryError(f"zone: got {text!r}, wanted a time zone as Europe/Berlin or +02:00") from None


def _start(path: str, meta: Mapping[str, str], zone: str) -> int:
    """Unix time of the take's start [ns]."""
    text = meta.get("Capture Start Time", "")
    for form in ("%Y-%m-%d %I.%M.%S.%f %p", "%Y-%m-%d %H.%M.%S.%f"):
        try:
            start = datetime.strptime(text, form).replace(tzinfo=zone_of(zone))
        except ValueError:
            continue
        since = start - datetime(1970, 1, 1, tzinfo=UTC)
        return (since // timedelta(microseconds=1)) * 1000
    raise FormatError(f"{path}: Capture Start Time: got {text!r}, wanted as 2025-08-01 01.04.35.176 PM; leave zone out")


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""
