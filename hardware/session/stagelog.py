"""Where the stage really was: its reports with their times, kept beside every recording.

Poses come from these reports by linear interpolation, never from what was commanded and never beyond the first or last
report. On the part of a sweep that is driven at constant speed, what a straight line leaves of the reports is the
error of the log itself.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

import numpy as np

from mmsar.errors import CaptureError, FormatError

MAX_GAP = 1.0
"""Reports further apart than this [s] leave a gap: nothing between them is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StageLog:
    """Reported places of a stage over time."""

    time_ns: np.ndarray
    """CLOCK_REALTIME of the reports [ns], (n,), int64, increasing."""
    place: Mapping[str, np.ndarray]
    """Coordinate of every axis, (n,) [m] or [rad]."""

    def __len__(self) -> int:
        return len(self.time_ns)

    def at(self, time_ns: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Places at other times, and whether they are known.

        Parameters
        ----------
        time_ns : array_like
            CLOCK_REALTIME [ns], (n,).

        Returns
        -------
        place : dict of ndarray, (n,)
            Interpolated coordinates [m] or [rad]; the nearest report's where they are not known.
        known : ndarray of bool, (n,)
            False before the first report, after the last one, and in gaps longer than a second.
        """
        wanted = np.asarray(time_ns, dtype=np.int64)
        t = (self.time_ns - self.time_ns[0]) * 1e-9
        u = (wanted - self.time_ns[0]) * 1e-9
        left = np.clip(np.searchsorted(t, u, side="right") - 1, 0, max(len(t) - 2, 0))
        right = np.minimum(left + 1, len(t) - 1)
        known = (u >= t[0]) & (u <= t[-1]) & (t[right] - t[left] <= MAX_GAP)
        return {axis: np.interp(u, t, values) for axis, values in self.place.items()}, known

    def line_residual(self, axis: str, first: float, last: float) -> float:
        """RMS of the reports between two coordinates about uniform motion [m] or [rad]; nan with fewer than 4."""
        low, high = min(first, last), max(first, last)
        inside = (self.place[axis] >= low) & (self.place[axis] <= high)
        if np.count_nonzero(inside) < 4:
            return float("nan")
        t = (self.time_ns[inside] - self.time_ns[0]) * 1e-9
        line = np.polyfit(t - t.mean(), self.place[axis][inside], 1)
        return float(np.std(self.place[axis][inside] - np.polyval(line, t - t.mean())))


class StageLogWriter:
    """Appends reports to a .csv as they come; every line is flushed, so that a crash costs none.

    Raises
    ------
    CaptureError
        The file cannot be written.
    """

    def __init__(self, path: Path, axes: tuple[str, ...]) -> None:
        self.path, self.axes = path, axes
        self._last = 0
        try:
            self._file: TextIO = open(path, "w", encoding="utf-8", newline="")
            self._write(["time_ns", *axes])
        except OSError as error:
            raise CaptureError(f"{path}: the stage log cannot be written ({error.strerror}); check the disk") from error

    def add(self, time_ns: int, place: Mapping[str, float]) -> None:
        """One report; one that is not newer than the last is left out."""
        if time_ns <= self._last:
            return
        self._last = time_ns
        try:
            self._write([str(int(time_ns)), *(f"{place[axis]:.9f}" for axis in self.axes)])
        except OSError as error:
            raise CaptureError(
                f"{self.path}: the stage log cannot be written ({error.strerror}); free space and resume"
            ) from error

    def _write(self, row: list[str]) -> None:
        self._file.write(",".join(row) + "\n")
        self._file.flush()

    def __enter__(self) -> "StageLogWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._file.close()


def read_stage_log(path: Path) -> StageLog:
    """Read a stage log; a last line cut short by a crash is left out.

    Raises
    ------
    FormatError
        Missing, empty, or not a stage log.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        raise FormatError(f"{path}: no such stage log; the sweep has to be recorded again") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: the stage log cannot be read ({error})") from None
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(whole.splitlines()))
    if not rows or rows[0][:1] != ["time_ns"] or len(rows[0]) < 2:
        raise FormatError(f"{path}: not a stage log; wanted a header line time_ns,x,...")
    axes = rows[0][1:]
    try:
        time = np.array([int(row[0]) for row in rows[1:]], dtype=np.int64)
        values = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]]).reshape(len(time), -1)
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path}: a line that is not numbers ({error}); wanted {','.join(rows[0])}") from None
    if len(time) < 2 or values.shape[1] != len(axes) or not np.isfinite(values).all() or np.any(np.diff(time) <= 0):
        raise FormatError(f"{path}: got {len(time)} reports, wanted two or more, finite and in order of time")
    return StageLog(time_ns=time, place={axis: values[:, i] for i, axis in enumerate(axes)})
