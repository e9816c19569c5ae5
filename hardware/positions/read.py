"""Reading a position log: find its format, check what was declared, call its reader."""

import os
from collections.abc import Callable
from importlib import import_module

from mmsar.core.checks import one_of
from mmsar.hardware.positions.columns import KINDS as NAMED
from mmsar.hardware.positions.columns import USES as NAMED_USES
from mmsar.hardware.positions.columns import reader
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.sniff import KINDS, sniff
from mmsar.hardware.positions.track import PoseTrack

MODULES = {
    "tum": "tum",
    "euroc": "euroc",
    "motive-csv": "motive_csv",
    "motive-json": "motive_json",
    "vicon-csv": "vicon",
    "rosbag": "ros",
    "t265-csv": "t265",
    "arkit-json": "arkit",
    "turntable-csv": "turntable",
}
"""Kind -> module with `read(path, told)` and `USES`; the other kinds are read by `columns`."""


def read_track(
    path: str | os.PathLike[str], *, kind: str | None = None, body: str | None = None, **told: object
) -> PoseTrack:
    """The track of a log as it stands in it: lost, damaged and misplaced rows marked, nothing else changed.

    Parameters
    ----------
    path : path
        The log; text may be gzipped.
    kind : str, optional
        One of `sniff.KINDS`. Default: found by what stands in the file.
    body : str, optional
        Which body of several.
    told
        What the file does not say: the other fields of `Declared` (rotation, units, time_unit, zone, clock, topic,
        frame, sigma, radius, start, direction).

    Raises
    ------
    FormatError
        An unknown or ambiguous format, a damaged file, a choice that is missing.
    GeometryError
        A declaration that this format has no use for, or outside its choices.
    """
    facts = Declared(body=body, **told)
    name = sniff(path).kind if kind is None else one_of("read_track kind", kind, KINDS)
    read, uses = _reader(name)
    facts.refuse_unused(name, uses)
    return read(os.fspath(path), facts)


def _reader(kind: str) -> tuple[Callable[[str, Declared], PoseTrack], frozenset[str]]:
    """Reader and usable declarations of a kind."""
    if kind in NAMED and kind not in MODULES:
        return reader(kind), NAMED_USES
    module = import_module(f"mmsar.hardware.positions.{MODULES[kind]}")
    return module.read, module.USES
