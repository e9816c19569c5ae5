"""How far rows driven backwards are shifted against rows driven forwards, from the echoes themselves.

On a serpentine raster the table lags behind its reports by backlash and latency, differently per direction: a row
driven at velocity v is off by `latency * v`, plus `backlash` when v < 0. So neighbouring rows of opposite direction see
the same scene shifted by o = backlash - 2 * latency * |v|. With range profiles f (forwards) and b (backwards) along a
row, o maximises

    sum over range bins of | sum over x of conj(f(x + o)) b(x) |^2  /  sum over range bins and x of |f(x + o)|^2

with x away from the ends by the largest shift looked for, so that every shift compares as much. The sum is coherent,
because the cross-range detail of raw SAR data is in its phase; the constant phase between two rows drops out. A scene
that leans shifts every row a little further the same way, which counts with one sign from forward to backward rows and
with the other back: both kinds of pairs are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number
from mmsar.errors import GeometryError

_FINE = 32
"""Steps of the search per sample."""


@dataclass(frozen=True, kw_only=True)
class RowOffset:
    """Shift of backward rows against forward rows."""

    offset: float
    """True minus reported position, backward rows against forward rows [m]: `Axis.backlash` where latency is 0."""
    spread: float
    """Standard error from the spread of the pairs [m]; nan with fewer than four pairs."""
    n_pairs: int
    """Pairs of neighbouring rows."""


def row_offset(
    rows: np.ndarray, step: float, backward: Sequence[bool] | np.ndarray, *, largest: float = 5e-3
) -> RowOffset:
    """Estimate the shift from rows on one reported grid.

    Parameters
    ----------
    rows : ndarray
        Samples of one channel at equally spaced *reported* positions, complex, (n_rows, n_x, n_samples); ascending
        positions in every row, whatever way it was driven.
    step : float
        Distance of the positions [m]; below half a wavelength, or the phases alias.
    backward : sequence of bool
        Which rows were driven towards lower positions, (n_rows,).
    largest : float
        Largest shift to look for [m].

    Raises
    ------
    GeometryError
        Wrong shapes, values that are not finite, no neighbouring rows of opposite direction, or a shift at the edge of
        the search.
    """
    rows = np.asarray(rows)
    step = finite_number("row_offset step", step, "m", above=0)
    largest = finite_number("row_offset largest", largest, "m", above=0)
    back = np.asarray(backward, dtype=bool)
    if rows.ndim != 3 or back.shape != rows.shape[:1]:
        raise GeometryError(
            f"row_offset rows: got shape {rows.shape} with {back.size} directions, wanted (n_rows, n_x, n_samples)"
        )
    if not np.isfinite(rows).all():
        raise GeometryError("row_offset rows: got values that are not finite, wanted finite samples")
    pairs = [k for k in range(len(rows) - 1) if back[k] != back[k + 1]]
    if not pairs:
        raise GeometryError("row_offset backward: got no neighbouring rows of opposite direction, wanted some")
    n, margin = rows.shape[1], int(np.ceil(largest / step))
    if n < 4 * margin:
        raise GeometryError(
            f"row_offset rows: got {n} positions, wanted at least {4 * margin} to look {largest:g} m to both sides"
        )
    profiles = np.fft.fft(rows - rows.mean(axis=1, keepdims=True), axis=2)
    inner = profiles.copy()
    inner[:, :margin] = inner[:, n - margin :] = 0
    whole, inner = (np.fft.fft(values, 2 * n, axis=1) for values in (profiles, inner))
    power = np.fft.fft((np.abs(profiles) ** 2).sum(axis=2), 2 * n, axis=1)
    window = np.fft.fft(np.pad(np.ones(n - 2 * margin), (margin, margin + n)))
    k = 2 * np.pi * np.fft.fftfreq(2 * n, step)
    count = margin * _FINE
    shifts = np.arange(-count, count + 1) * (step / _FINE)
    ramps = np.exp(-1j * np.outer(shifts, k))
    found: dict[bool, list[float]] = {False: [], True: []}
    for first in pairs:
        f, b = (first + 1, first) if back[first] else (first, first + 1)
        match = (np.abs(ramps @ (np.conj(whole[f]) * inner[b])) ** 2).sum(axis=1)
        energy = np.maximum((ramps @ (np.conj(power[f]) * window)).real, 0)
        match = np.divide(match, energy, out=np.zeros_like(match), where=energy > 1e-12 * energy.max(initial=1e-300))
        found[bool(back[first])].append(_peak(shifts, match, largest))
    kinds = [values for values in found.values() if values]
    everything = np.concatenate(kinds)
    spread = (
        np.sqrt(sum(np.var(v, ddof=1) / len(v) for v in kinds)) / len(kinds) if min(map(len, kinds)) > 1 else np.nan
    )
    return RowOffset(
        offset=float(np.mean([np.median(values) for values in kinds])), spread=float(spread), n_pairs=len(everything)
    )


def _peak(shifts: np.ndarray, match: np.ndarray, largest: float) -> float:
    """The highest place of a curve, between its samples."""
    i = int(np.argmax(match))
    if i in (0, len(match) - 1) or match[i] <= 0:
        raise GeometryError(
            f"row_offset: got no best shift within {largest:g} m, wanted one inside; the rows do not match, or "
            "`largest` is too small"
        )
    a, b, c = match[i - 1 : i + 2]
    bend = a - 2 * b + c
    return float(shifts[i] + (shifts[1] - shifts[0]) * (0.5 * (a - c) / bend if bend < 0 else 0.0))


def split_offset(offsets: Sequence[float], speeds: Sequence[float]) -> tuple[float, float]:
    """(backlash [m], latency [s]) from shifts measured at two or more speeds [m/s]: o = backlash - 2 latency v.

    Raises
    ------
    GeometryError
        Fewer than two different speeds.
    """
    o, v = np.asarray(offsets, dtype=np.float64), np.asarray(speeds, dtype=np.float64)
    if (
        o.shape != v.shape
        or o.ndim != 1
        or np.unique(v).size < 2
        or not (np.isfinite(o).all() and np.isfinite(v).all())
    ):
        raise GeometryError(
            f"split_offset: got {o.size} shifts at {np.unique(v).size} speeds, wanted two speeds or more"
        )
    slope, backlash = np.polyfit(v, o, 1)
    return float(backlash), float(-slope / 2)
