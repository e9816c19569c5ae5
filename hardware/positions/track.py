"""A pose track: where a tracked body was and how it was turned, as a tracker, a phone or a stage logged it.

One type for every log format. Times are whole nanoseconds (int64) on a named clock, so that epoch stamps lose nothing;
a body-frame point b sits at R(q) b + p in the log's own world, q a unit quaternion (x, y, z, w). Rows keep the order
and the number they have in the log: what is occluded, damaged or out of order is marked in `valid`, never filled in,
moved or dropped. `at` interpolates between valid rows and never extrapolates.
"""

import os
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmsar.core.checks import check_shape
from mmsar.errors import GeometryError

if TYPE_CHECKING:
    from mmsar.hardware.positions.findings import Finding

NORM_TOLERANCE = 1e-3
"""How far from 1 the length of a logged quaternion may be."""
FARTHEST = 1e9
"""Positions beyond this are damaged numbers [m]."""
MAX_GAP = 0.05
"""Longest time between valid rows that is bridged [s]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseTrack:
    """Poses of one body over time.

    Raises
    ------
    GeometryError
        Wrong shapes or types; among the valid rows: values that are not finite, quaternions off unit length by more
        than 1e-3, times that do not increase.
    """

    time_ns: np.ndarray
    """Time of every row [ns], (n,) int64; strictly increasing over the valid rows."""
    position: np.ndarray
    """Origin of the body frame in the log's world [m], (n, 3); NaN where the log is blank."""
    rotation: np.ndarray
    """Body to world, unit quaternion x, y, z, w, (n, 4), signs as logged; NaN where the log is blank."""
    valid: np.ndarray | None = None
    """Rows that may be used, (n,) bool. Default: all."""
    clock: str = "unknown"
    """Whose time: "unix", "monotonic", "boot", "device", "take" (seconds since a take began) or "unknown"."""
    frame: str = "world"
    """The world the poses are in, with its axes where the format tells them."""
    sigma: float | None = None
    """Standard error of a position [m], when somebody knows it."""
    source: str = ""
    """Format, body and file the track was read from."""
    rotation_measured: bool = True
    """False when the log holds no rotation (a single marker) and `rotation` is a placeholder of no rotation."""

    def __post_init__(self) -> None:
        time_ns = np.array(self.time_ns)
        if time_ns.dtype.kind not in "iu" or time_ns.ndim != 1 or len(time_ns) == 0:
            raise GeometryError(
                f"PoseTrack.time_ns: got {time_ns.dtype} of shape {time_ns.shape}, wanted whole nanoseconds, (n,) int64"
            )
        time_ns = time_ns.astype(np.int64)
        n = len(time_ns)
        position = np.array(self.position, dtype=np.float64, order="C")
        rotation = np.array(self.rotation, dtype=np.float64, order="C")
        valid = np.ones(n, dtype=bool) if self.valid is None else np.array(self.valid)
        check_shape("PoseTrack.position", position.shape, (n, 3))
        check_shape("PoseTrack.rotation", rotation.shape, (n, 4))
        if valid.dtype != bool or valid.shape != (n,):
            raise GeometryError(f"PoseTrack.valid: got {valid.dtype} of shape {valid.shape}, wanted bool ({n},)")
        if not (np.isfinite(position[valid]).all() and np.isfinite(rotation[valid]).all()):
            raise GeometryError("PoseTrack: got valid rows that are not finite, wanted them marked as not valid")
        length = lengths(rotation[valid])
        if np.any(np.abs(length - 1) > NORM_TOLERANCE):
            worst = length[np.argmax(np.abs(length - 1))]
            raise GeometryError(f"PoseTrack.rotation: got a length of {worst:.4g}, wanted unit quaternions x, y, z, w")
        if np.any(np.diff(time_ns[valid]) <= 0):
            raise GeometryError("PoseTrack.time_ns: got valid rows whose times do not increase; mark them as not valid")
        rotation[valid] /= length[:, None]
        for name, value in zip(
            ("time_ns", "position", "rotation", "valid"), (time_ns, position, rotation, valid), strict=True
        ):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def seconds(self) -> np.ndarray:
        """Times since the first row [s], (n,) float64."""
        return (self.time_ns - self.time_ns[0]) / 1e9

    @property
    def period(self) -> float:
        """Time between rows [s]: mean of the steps within half of their median; NaN for rows that do not move on."""
        step = np.diff(self.time_ns)
        median = np.median(step) if len(step) else 0
        if median <= 0:
            return float("nan")
        near = step[np.abs(step - median) <= 0.5 * median]
        return float(near.mean() if len(near) else median) / 1e9

    @property
    def rate(self) -> float:
        """Rows per second [Hz]."""
        return 1 / self.period

    def segments(self, max_gap: float = MAX_GAP) -> list[np.ndarray]:
        """Runs of valid rows, each an array of row numbers, between gaps longer than `max_gap` [s]."""
        rows = np.flatnonzero(self.valid)
        cuts = np.flatnonzero(np.diff(self.time_ns[rows]) > round(max_gap * 1e9)) + 1
        return [run for run in np.split(rows, cuts) if len(run)]

    def masked(self, rows: np.ndarray) -> "PoseTrack":
        """The same rows, with those of the numbers `rows` marked as not valid."""
        valid = self.valid.copy()
        valid[np.asarray(rows, dtype=np.intp)] = False
        return replace(self, valid=valid)

    def shifted(self, offset_ns: int, *, clock: str) -> "PoseTrack":
        """The same poses on another clock, which reads `offset_ns` more than this one."""
        return replace(self, time_ns=self.time_ns + np.int64(offset_ns), clock=clock)

    def at(self, time_ns: np.ndarray, *, max_gap: float = MAX_GAP) -> "PoseTrack":
        """Poses at other times; not valid outside the track and in gaps longer than `max_gap` [s].

        Parameters
        ----------
        time_ns : array_like
            Strictly increasing times on the track's clock [ns], integers.

        Raises
        ------
        GeometryError
            Times that are not whole numbers or do not increase.

        See `mmsar.hardware.positions.interpolate` for how.
        """
        from mmsar.hardware.positions.interpolate import interpolate

        return interpolate(self, time_ns, max_gap=max_gap)

    @classmethod
    def from_log(cls, time_ns: np.ndarray, position: np.ndarray, rotation: np.ndarray, **rest: object) -> "PoseTrack":
        """A track of raw rows: valid are those that are finite, on Earth, of unit quaternion, and in order of time.

        Of rows whose times do not increase, as few as possible are marked (a longest increasing run is kept).
        `rest` are the other fields; a `valid` among them can only take rows away.
        """
        position, rotation = np.asarray(position, dtype=np.float64), np.asarray(rotation, dtype=np.float64)
        valid = np.isfinite(position).all(axis=1) & np.isfinite(rotation).all(axis=1)
        valid[valid] &= np.abs(position[valid]).max(axis=1, initial=0.0) < FARTHEST
        valid[valid] &= np.abs(lengths(rotation[valid]) - 1) <= NORM_TOLERANCE
        told = rest.pop("valid", None)
        if told is not None:
            valid &= np.asarray(told, dtype=bool)
        rows = np.flatnonzero(valid)
        keep = longest_increasing(np.asarray(time_ns)[rows])
        valid[:] = False
        valid[rows[keep]] = True
        return cls(time_ns=time_ns, position=position, rotation=rotation, valid=valid, **rest)


def lengths(rotation: np.ndarray) -> np.ndarray:
    """Lengths of quaternions (n, 4), of damaged numbers too: those are cut where their squares would overflow."""
    return np.linalg.norm(np.clip(rotation, -1e100, 1e100), axis=1)


def longest_increasing(values: np.ndarray) -> np.ndarray:
    """Indices of a longest strictly increasing subsequence of `values` (n,), ascending."""
    if np.all(np.diff(values) > 0):
        return np.arange(len(values))
    tails: list[int] = []  # smallest end of an increasing run of each length
    ends: list[int] = []
    before = np.full(len(values), -1, dtype=np.intp)
    for i, value in enumerate(values.tolist()):
        place = bisect_left(tails, value)
        if place:
            before[i] = ends[place - 1]
        if place == len(tails):
            tails.append(value)
            ends.append(i)
        else:
            tails[place], ends[place] = value, i
    chain = [ends[-1]]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1], dtype=np.intp)


def read_track(
    path: str | os.PathLike[str], *, kind: str | None = None, body: str | None = None, **told: object
) -> PoseTrack:
    """Read a position log of any known format; see `mmsar.hardware.positions.read.read_track`."""
    from mmsar.hardware.positions.read import read_track as read

    return read(path, kind=kind, body=body, **told)


def check_track(track: PoseTrack, *, max_gap: float = MAX_GAP) -> "list[Finding]":
    """What is wrong or doubtful in a track; see `mmsar.hardware.positions.check.check_track`."""
    from mmsar.hardware.positions.check import check_track as check

    return check(track, max_gap=max_gap)
