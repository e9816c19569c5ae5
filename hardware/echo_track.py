r"""How the range to one strong scatterer changes from chirp to chirp, to a fraction of the wavelength.

The tapered range profile of a chirp peaks at the scatterer's range; its interpolated peak is good to a part of a
range cell (coarse), the phase there, 2 k_c R at mid band, to a part of the wavelength but only modulo half of it
(fine). The fine range follows the coarse one: what is left of the phase after taking out the smoothed coarse range
changes slowly and is unwrapped. The first range's half wavelengths stay unknown, so ranges have a common offset.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from mmsar.constants import C0
from mmsar.core.checks import check_shape
from mmsar.errors import GeometryError
from mmsar.model.chirp import Chirp
from mmsar.signal.window import taper

PAD = 8
LEAST_DB = 12.0
"""How far a chirp's peak must stand above the median of its profile to count [dB]."""
LEAST_CHIRPS = 22
LEAST_STEP = 0.5e-3
"""Chirps closer together than this are thinned out [s]: a hand moves less than a tenth of a wavelength in it."""
BLOCK = 2048
"""Chirps looked at together."""
SMOOTH = 0.25
"""Time over which the coarse range is smoothed [s]: its slope has to be good to a quarter wavelength per chirp only."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EchoTrack:
    """Range to a scatterer over time."""

    time_ns: np.ndarray
    """Middle of every chirp that saw it [ns], (n,) int64, increasing."""
    range_m: np.ndarray
    """Half of the path transmitter, scatterer, receiver, plus an unknown constant [m], (n,)."""
    coarse_m: np.ndarray
    """The same from the peak's place, instrument bias included but no other constant [m], (n,)."""
    wavelength: float
    """At mid band [m]."""
    seen: float
    """Share of the chirps that saw it."""


def track_scatterer(
    samples: np.ndarray,
    time_ns: np.ndarray,
    chirp: Chirp,
    *,
    near: float | None = None,
    reach: float = 0.15,
    steady: bool = True,
) -> EchoTrack:
    """Follow the strongest scatterer through the chirps of one channel.

    Parameters
    ----------
    samples : (n, n_samples) complex array
        Chirps of one transmitter and receiver, in order of time; those of lost data left out.
    time_ns : (n,) int array
        Middle of every chirp [ns].
    near : float, optional
        Range to look around, instrument bias included [m]. Default: where the mean power peaks.
    reach : float
        How far from there it may be [m].
    steady : bool
        Take out what is the same in all chirps (leakage, the mount) first. Not for a scatterer that hardly moves.

    Raises
    ------
    GeometryError
        Shapes that disagree, times out of order, too few chirps, or no scatterer in most of them.
    """
    samples, times = np.asarray(samples), np.asarray(time_ns)
    check_shape("track_scatterer samples", samples.shape, (None, chirp.n_samples))
    if times.shape != (len(samples),) or times.dtype.kind not in "iu" or np.any(np.diff(times) <= 0):
        raise GeometryError(
            "track_scatterer time_ns: got other than one rising time for each chirp, wanted (n,) int [ns]"
        )
    if len(samples) < LEAST_CHIRPS:
        raise GeometryError(f"track_scatterer: got {len(samples)} chirps, wanted {LEAST_CHIRPS} or more")
    stride = max(1, round(LEAST_STEP * 1e9 / float(np.median(np.diff(times)))))
    samples, times = samples[::stride], times[::stride]
    window = taper("hann", chirp.n_samples)
    window = window / window.sum()
    mean = samples.mean(axis=0) if steady else np.zeros(chirp.n_samples)
    if near is None:
        some = (samples[:: max(1, len(samples) // 500)] - mean) * window
        axis = np.arange(PAD * chirp.n_samples) * (chirp.range_max / (PAD * chirp.n_samples))
        power = np.abs(np.fft.fft(some, len(axis), axis=-1)) ** 2
        near = float(axis[np.argmax(power.mean(axis=0) * (axis > 2 * chirp.range_resolution))])
    step = chirp.range_max / (PAD * chirp.n_samples)
    bins = np.arange(np.ceil(max(near - reach, 0.0) / step), np.floor(min(near + reach, chirp.range_max) / step) + 1)
    if len(bins) < 3:
        raise GeometryError(f"track_scatterer near: got {near:g} m, wanted a range below {chirp.range_max:g} m")
    turn = 2 * (chirp.k - 2 * np.pi * chirp.f_centre / C0)
    matched = window[:, None] * np.exp(-1j * np.outer(turn, bins * step))
    top, peak, floor = np.empty(len(samples)), np.empty(len(samples)), np.empty(len(samples))
    for first in range(0, len(samples), BLOCK):
        rows = slice(first, first + BLOCK)
        moving = samples[rows] - mean
        power = np.abs(moving @ matched) ** 2
        at = np.argmax(power, axis=1)
        top[rows], peak[rows] = power[np.arange(len(at)), at], bins[at] + _vertex(power, at)
        floor[rows] = np.median(np.abs(np.fft.fft(moving * window, axis=-1)) ** 2, axis=1)
    good = top > 10 ** (LEAST_DB / 10) * floor
    if good.mean() < 0.5 or good.sum() < LEAST_CHIRPS:
        raise GeometryError(
            f"track_scatterer: got a scatterer {LEAST_DB:.0f} dB above the rest in {100 * good.mean():.0f} % of the "
            f"chirps, wanted most of them; look near its range (now {near:.3f} m), or use a stronger reflector"
        )
    coarse = peak[good] * step
    smooth = _smoothed((times[good] - times[good][0]) / 1e9, median_filter(coarse, 5, mode="nearest"))
    seen, echo = np.flatnonzero(good), np.empty(len(coarse), complex)
    for first in range(0, len(seen), BLOCK):
        rows = slice(first, first + BLOCK)
        away = np.exp(-1j * np.outer(smooth[rows], turn))
        echo[rows] = ((samples[seen[rows]] - mean) * window * away).sum(axis=1)
    k = 2 * np.pi * chirp.f_centre / C0
    rest = np.unwrap(np.angle(echo * np.exp(-2j * k * smooth)))
    return EchoTrack(
        time_ns=times[good].astype(np.int64),
        range_m=smooth + rest / (2 * k),
        coarse_m=coarse,
        wavelength=chirp.wavelength,
        seen=float(good.mean()),
    )


def _smoothed(time: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Values (n,) at rising times (n,) [s], smoothed over `SMOOTH`; chirps may come in bursts."""
    width = max(0.01, float(np.quantile(np.diff(time), 0.95)))
    bin_of = np.floor(time / width).astype(int)
    count = np.bincount(bin_of)
    used = count > 0
    centre, mean = (np.bincount(bin_of, weights=v)[used] / count[used] for v in (time, value))
    grid = np.arange(len(count)) * width + width / 2
    length = int(np.clip(round(SMOOTH / width) // 2 * 2 + 1, 5, max(5, (len(grid) - 1) // 2 * 2 + 1)))
    even = np.interp(grid, centre, mean)
    if len(even) >= length:
        even = savgol_filter(even, length, 2)
    return np.interp(time, grid, even)


def _vertex(power: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Offset of the true maximum from bin `peak` by a parabola through the logarithms, (n,) bins; 0 at the ends."""
    row, last = np.arange(len(power)), power.shape[1] - 1
    inside = (peak > 0) & (peak < last)
    centre = np.clip(peak, 1, last - 1)
    left, middle, right = (np.log(power[row, centre + d] + 1e-300) for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    usable = inside & (bend < 0)
    return np.where(usable, 0.5 * (left - right) / np.where(usable, bend, -1.0), 0.0).clip(-1, 1)
