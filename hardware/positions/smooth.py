"""Smoothing of a track, only when asked for, and never without saying what it took away.

Savitzky-Golay (cubic) over each run without long gaps, first brought to even steps by interpolation. The window of
2 M + 1 samples is the longest whose response has half its power or more at the cut-off, so that a hand's tremor below
15 Hz stays. Runs shorter than the window cannot be smoothed and are marked as not valid.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import savgol_coeffs, savgol_filter
from scipy.spatial.transform import Rotation

from mmsar.core.checks import finite_number
from mmsar.errors import GeometryError
from mmsar.hardware.positions.track import MAX_GAP, PoseTrack

ORDER = 3
TREMOR = 15.0
"""Highest frequency of a hand [Hz]."""


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """What a smoothing took away, at the rows of the track before."""

    cutoff: float
    """[Hz]"""
    window: int
    """Samples."""
    position_rms: float
    """[m]"""
    position_worst: float
    """[m]"""
    rotation_rms: float
    """[rad]"""
    rows_lost: int
    """Valid rows in runs too short to smooth."""


def smooth(track: PoseTrack, *, cutoff: float = TREMOR, max_gap: float = MAX_GAP) -> tuple[PoseTrack, Smoothing]:
    """A smoothed track on even steps of the track's period, and what was taken away.

    Raises
    ------
    GeometryError
        A cut-off below a tremor's 15 Hz or beyond what the rate allows; no run long enough.
    """
    cutoff = finite_number("smooth cutoff", cutoff, "Hz", above=0.0)
    if cutoff < TREMOR:
        raise GeometryError(
            f"smooth cutoff: got {cutoff:g} Hz, wanted at least {TREMOR:g}: a hand's motion reaches there"
        )
    window = _window(cutoff / track.rate) if np.isfinite(track.period) else 0
    if window <= ORDER + 1:
        raise GeometryError(f"smooth cutoff: got {cutoff:g} Hz at {track.rate:.4g} poses a second; it would do nothing")
    step = track.period * 1e9
    parts, lost = [], 0
    for rows in track.segments(max_gap):
        first, last = track.time_ns[rows[[0, -1]]]
        count = int((last - first) / step + 1e-6) + 1
        if count < window:
            lost += len(rows)
            continue
        even = track.at(first + np.rint(np.arange(count) * step).astype(np.int64), max_gap=max_gap)
        signs = np.where(np.einsum("ij,ij->i", even.rotation[1:], even.rotation[:-1]) < 0, -1.0, 1.0)
        q = even.rotation * np.cumprod(np.insert(signs, 0, 1.0))[:, None]
        q = savgol_filter(q, window, ORDER, axis=0)
        parts.append((even.time_ns, savgol_filter(even.position, window, ORDER, axis=0), q))
    if not parts:
        raise GeometryError(f"smooth: got no run of {window} poses or more ({window * track.period:.3g} s), wanted one")
    time_ns, position, rotation = (np.concatenate(part) for part in zip(*parts, strict=True))
    rotation /= np.linalg.norm(rotation, axis=1, keepdims=True)
    smoothed = replace(
        track,
        time_ns=time_ns,
        position=position,
        rotation=rotation,
        valid=np.ones(len(time_ns), dtype=bool),
        source=f"{track.source}, smoothed below {cutoff:g} Hz",
    )
    back = smoothed.at(track.time_ns[track.valid], max_gap=max_gap)
    both = back.valid
    away = np.linalg.norm(back.position[both] - track.position[track.valid][both], axis=1)
    turn = Rotation.from_quat(track.rotation[track.valid][both]).inv() * Rotation.from_quat(back.rotation[both])
    report = Smoothing(
        cutoff=cutoff,
        window=window,
        position_rms=float(np.sqrt(np.mean(away**2))),
        position_worst=float(away.max()),
        rotation_rms=float(np.sqrt(np.mean(turn.magnitude() ** 2))),
        rows_lost=lost,
    )
    return smoothed, report


def _window(frequency: float) -> int:
    """Longest window whose gain at `frequency` [cycles per sample] is at least 1 / sqrt(2); 1 where there is none."""
    window = 1
    while frequency < 0.5:
        half = (window + 1) // 2
        wave = np.cos(2 * np.pi * frequency * np.arange(-half, half + 1))
        if 2 * half > ORDER and savgol_coeffs(2 * half + 1, ORDER) @ wave < np.sqrt(0.5):
            break
        window = 2 * half + 1
    return window
