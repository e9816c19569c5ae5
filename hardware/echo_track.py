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
    window = taper("hann", chirp.n_samples)
    window = window / window.sum()
    moving = samples - samples.mean(axis=0) if steady else samples
    profile = np.fft.fft(moving * window, PAD * chirp.n_samples, axis=-1)
    power = profile.real**2 + profile.imag**2
    cell = chirp.range_max / power.shape[1]
    axis = np.arange(power.shape[1]) * cell
    if near is None:
        near = float(axis[np.argmax(power.mean(axis=0) * (axis > 2 * chirp.range_resolution))])
    inside = np.flatnonzero(np.abs(axis - near) <= reach)
    if len(inside) < 3:
        raise GeometryError(f"track_scatterer near: got {near:g} m, wanted a range below {chirp.range_max:g} m")
    peak = np.argmax(power[:, inside], axis=1) + inside[0]
    top = power[np.arange(len(power)), peak]
    good = top > 10 ** (LEAST_DB / 10) * np.median(power, axis=1)
    if good.mean() < 0.5 or good.sum() < LEAST_CHIRPS:
        raise GeometryError(
            f"track_scatterer: got a scatterer {LEAST_DB:.0f} dB above the rest in {100 * good.mean():.0f} % of the "
            f"chirps, wanted most of them; look near its range (now {near:.3f} m), or use a stronger reflector"
        )
    coarse = (peak + _vertex(power, peak))[good] * cell
    length = round(SMOOTH * 1e9 / float(np.median(np.diff(times[good])))) // 2 * 2 + 1
    length = int(np.clip(length, 5, (len(coarse) - 1) // 2 * 2 + 1))
    smooth = savgol_filter(median_filter(coarse, 5, mode="nearest"), length, 2)
    turn = 2 * (chirp.k - 2 * np.pi * chirp.f_centre / C0)
    matched = (moving[good] * window * np.exp(-1j * np.outer(smooth, turn))).sum(axis=1)
    k = 2 * np.pi * chirp.f_centre / C0
    rest = np.unwrap(np.angle(matched * np.exp(-2j * k * smooth)))
    return EchoTrack(
        time_ns=times[good].astype(np.int64),
        range_m=smooth + rest / (2 * k),
        coarse_m=coarse,
        wavelength=chirp.wavelength,
        seen=float(good.mean()),
    )


def _vertex(power: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Offset of the true maximum from bin `peak` by a parabola through the logarithms, (n,) bins."""
    row, n = np.arange(len(power)), power.shape[1]
    left, middle, right = (np.log(power[row, (peak + d) % n] + 1e-300) for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    return np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0).clip(-1, 1)
