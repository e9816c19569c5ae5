r"""How far the tracker's clock is off the radar's, from what both saw of the same motion.

The range of a strong scatterer at an unknown place x, as the radar saw it at its times t_i, and as the track's poses
would have it at t_i + d_i,

    r_i = b + (|tx(t_i + d_i) - x| + |rx(t_i + d_i) - x|) / 2,   d_i = offset + drift (t_i - t_mid),

agree for one offset only, if the hand moved enough. For each offset of a coarse grid x and b (range bias and unknown
half wavelengths) are solved by Gauss-Newton; the best is refined together with them (and with the drift, in scans
longer than a minute) by robust least squares. The radial motion is known to some hundredths of the wavelength, so
0.1 m/s tells the offset to some tens of microseconds. Constant latencies of card and tracker are part of the offset.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

from mmsar.core.checks import finite_number, real_array
from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.echo_track import EchoTrack
from mmsar.hardware.positions.track import PoseTrack

GRID = 0.01
"""Step of the coarse search [s]."""
DRIFT_AFTER = 60.0
"""Length of a scan from which the drift is estimated too [s]."""
MAX_RESIDUAL = 1 / 8
"""Largest RMS residual that is believed [wavelengths]."""
CONTRAST = 2.0
"""How much worse than the best every other offset has to fit."""
RESAMPLE_NS = 1_000_000
NS = 1e9


@dataclass(frozen=True, kw_only=True)
class OffsetEstimate:
    """Track time = radar time + offset + drift (radar time - reference)."""

    offset: float
    """At the reference time [s]."""
    sigma: float
    """Standard error of the offset [s], from the residuals."""
    drift_ppm: float
    """Change of the offset [1e-6 s/s]; 0 when the scan was too short to tell."""
    reference_ns: int
    """Radar time the offset is for: the middle of the scan [ns]."""
    guess_ns: int
    """Offset that was given beforehand and is not in `offset` [ns]."""
    place: tuple[float, float, float]
    """The scatterer in the track's world [m]."""
    residual_rms: float
    """RMS of radar range less track range [m]."""
    contrast: float
    """RMS residual of the best offset elsewhere over that of the estimate."""
    speed_rms: float
    """RMS speed towards the scatterer [m/s]."""

    def to_track(self, time_ns: np.ndarray) -> np.ndarray:
        """Radar times as times of the track's clock [ns], int64."""
        times = np.asarray(time_ns, dtype=np.int64)
        since = (times - self.reference_ns) * (self.drift_ppm * 1e-6)
        return times + self.guess_ns + np.rint(self.offset * NS + since).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Motion:
    """Antennas over track time, as splines."""

    time: np.ndarray
    spline: CubicSpline
    valid: np.ndarray

    def antennas(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = self.spline(time)
        return both[:, :3], both[:, 3:]

    def known(self, time: np.ndarray) -> np.ndarray:
        """Whether the track is valid on both sides of each time."""
        step = self.time[1] - self.time[0]
        left = np.floor((time - self.time[0]) / step).astype(int)
        inside = (left >= 0) & (left < len(self.time) - 1)
        left = np.clip(left, 0, len(self.time) - 2)
        return inside & self.valid[left] & self.valid[left + 1]


def estimate_offset(
    echo: EchoTrack,
    track: PoseTrack,
    *,
    tx: np.ndarray,
    rx: np.ndarray,
    boresight: np.ndarray = (0.0, 0.0, 1.0),
    max_offset: float = 1.0,
    guess_ns: int = 0,
    estimate_drift: bool | None = None,
) -> OffsetEstimate:
    """The offset between the radar's and the tracker's clock.

    Parameters
    ----------
    echo : EchoTrack
        Range to a strong scatterer that stands still, from one channel, on the radar's clock.
    track : PoseTrack
        Poses of the board's frame (mounting already applied) on the tracker's clock.
    tx, rx : array_like
        Antennas of that channel in the board's frame [m], (3,).
    boresight : array_like
        Rough direction of the scatterer in the board's frame, (3,); where the search for it starts.
    max_offset : float
        How far from `guess_ns` to look [s].
    guess_ns : int
        Track time less radar time as far as it is known [ns].
    estimate_drift : bool, optional
        Default: for scans longer than a minute.

    Raises
    ------
    GeometryError
        A track that does not cover the echoes.
    CaptureError
        A motion that does not fit at any offset, or at several.
    """
    max_offset = finite_number("estimate_offset max_offset", max_offset, "s", above=0.0)
    origin = int(echo.time_ns[0])
    motion = _motion(
        track, np.stack([real_array(n, v, (3,), "m") for n, v in (("tx", tx), ("rx", rx))]), origin, guess_ns
    )
    time, measured = (echo.time_ns - origin) / NS, echo.range_m
    middle = float(time.mean())
    keep = np.unique(np.linspace(0, len(time) - 1, min(len(time), 500)).round().astype(int))
    offsets = np.arange(-max_offset, max_offset + GRID / 2, GRID)
    start = _first_place(motion, track, echo, boresight)
    costs, places = [], []
    for offset in offsets:
        cost, place = _solve(motion, time[keep] + offset, measured[keep], start)
        costs.append(cost)
        places.append(place)
    costs = np.array(costs)
    if not np.isfinite(costs).any():
        raise GeometryError(
            f"estimate_offset: got a track that covers the echoes at no offset up to {max_offset:g} s, wanted one of "
            "the same minutes; check the clocks, or give a guess"
        )
    best = int(np.argmin(costs))
    drift = bool(time[-1] - time[0] > DRIFT_AFTER) if estimate_drift is None else estimate_drift
    known = motion.known(time + offsets[best])
    used, value = time[known], measured[known]

    def residual(p: np.ndarray) -> np.ndarray:
        at = used + p[4] + (p[5] * (used - middle) * 1e-6 if drift else 0.0)
        return _range(motion, at, p[:3]) + p[3] - value

    first = np.array([*places[best], offsets[best], *([0.0] if drift else [])])
    scale = np.array([0.1, 0.1, 0.1, 0.1, 0.01, *([10.0] if drift else [])])
    fit = least_squares(residual, first, x_scale=scale, loss="soft_l1", f_scale=echo.wavelength / 16)
    rest = residual(fit.x)
    rms = float(np.sqrt(np.mean(rest**2)))
    if rms > MAX_RESIDUAL * echo.wavelength:
        raise CaptureError(
            f"time offset: got radar and track apart by {rms * 1e3:.3g} mm RMS at the best offset, wanted at most "
            f"{MAX_RESIDUAL * echo.wavelength * 1e3:.3g} mm; check the mounting, the track and that the scatterer "
            "stood still"
        )
    away = np.abs(offsets - fit.x[4]) > 5 * GRID
    rivals = _dips(costs, away)
    floor = max(rms, 1e-9)
    contrast = float(min(rivals, default=np.inf) / floor)
    poses = int(np.sum(track.valid)) * (time[-1] - time[0]) / ((track.time_ns[-1] - track.time_ns[0]) / NS)
    repeated = max(1.0, len(used) / max(poses, 1.0))  # chirps between two poses share their errors
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * float(np.mean(rest**2)) * repeated
    speed = np.gradient(value, used) if len(used) > 2 else np.zeros(1)
    speed_rms = float(np.sqrt(np.mean(speed**2)))
    if contrast < CONTRAST:
        raise CaptureError(
            f"time offset: got another offset that fits {contrast:.2g} times worse only, wanted {CONTRAST:g} times; "
            "move the radar more and less regularly, or look in a smaller interval"
        )
    return OffsetEstimate(
        offset=float(fit.x[4]),
        sigma=float(np.sqrt(covariance[4, 4])),
        drift_ppm=float(fit.x[5]) if drift else 0.0,
        reference_ns=origin + round(middle * NS),
        guess_ns=int(guess_ns),
        place=tuple(float(v) for v in fit.x[:3]),
        residual_rms=rms,
        contrast=contrast,
        speed_rms=speed_rms,
    )


def _motion(track: PoseTrack, elements: np.ndarray, origin: int, guess_ns: int) -> _Motion:
    """Antennas (2, 3) in the board's frame along the track, on seconds after `origin` + `guess_ns`."""
    times = track.time_ns[track.valid]
    if len(times) < 4:
        raise GeometryError(f"estimate_offset track: got {len(times)} valid poses, wanted four or more")
    grid = np.arange(int(times[0]), int(times[-1]) + 1, RESAMPLE_NS)
    poses = track.at(grid)
    valid = np.asarray(poses.valid)
    if valid.sum() < 4:
        raise GeometryError("estimate_offset track: got gaps nearly everywhere, wanted a track without them")
    turned = _rotate(poses.rotation[valid], elements) + poses.position[valid][:, None, :]
    seconds = (grid - origin - guess_ns) / NS
    return _Motion(time=seconds, spline=CubicSpline(seconds[valid], turned.reshape(-1, 6)), valid=valid)


def _rotate(rotation: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (m, 3) turned by unit quaternions x, y, z, w (n, 4): (n, m, 3)."""
    from scipy.spatial.transform import Rotation

    return np.einsum("nij,mj->nmi", Rotation.from_quat(rotation).as_matrix(), points)


def _range(motion: _Motion, time: np.ndarray, place: np.ndarray) -> np.ndarray:
    tx, rx = motion.antennas(time)
    return (np.linalg.norm(tx - place, axis=1) + np.linalg.norm(rx - place, axis=1)) / 2


def _first_place(motion: _Motion, track: PoseTrack, echo: EchoTrack, boresight: np.ndarray) -> np.ndarray:
    """Place and range constant to start from: along the mean boresight at the echo's coarse range."""
    look = real_array("estimate_offset boresight", boresight, (3,), "1")
    rows = np.flatnonzero(track.valid)[:: max(1, int(track.valid.sum()) // 200)]
    direction = _rotate(track.rotation[rows], look[None, :]).mean(axis=(0, 1))
    length = np.linalg.norm(direction)
    direction = look if length < 1e-6 else direction / length
    tx, rx = motion.antennas(motion.time[motion.valid])
    distance = float(np.median(echo.coarse_m))
    constant = float(np.median(echo.range_m - echo.coarse_m))
    return np.array([*((tx + rx).mean(axis=0) / 2 + distance * direction), constant])


def _solve(motion: _Motion, time: np.ndarray, measured: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
    """RMS residual and (x, y, z, b) of the best place for times on the track; infinite without most of the track."""
    known = motion.known(time)
    if known.mean() < 0.7 or known.sum() < 20:
        return np.inf, start
    tx, rx = motion.antennas(time[known])
    value, p = measured[known], start.copy()
    rms, damping = np.inf, 1e-3
    for _ in range(60):
        a, b = tx - p[:3], rx - p[:3]
        ra, rb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        rest = value - (ra + rb) / 2 - p[3]
        now = float(np.sqrt(np.mean(rest**2)))
        if now < rms * (1 + 1e-12):
            better, change = p.copy(), rms - now
            rms, damping = now, damping / 4
            jacobian = np.column_stack([-(a / ra[:, None] + b / rb[:, None]) / 2, np.ones(len(rest))])
            normal, right = jacobian.T @ jacobian, jacobian.T @ rest
            if change < 1e-6 * rms:
                break
        else:
            damping *= 8
            if damping > 1e6:
                break
        p = better + np.linalg.solve(normal + damping * np.diag(np.diag(normal)) + 1e-12 * np.eye(4), right)
    return rms, better


def _dips(costs: np.ndarray, away: np.ndarray) -> list[float]:
    """Local minima of the costs where `away`."""
    padded = np.concatenate([[np.inf], costs, [np.inf]])
    low = (padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]) & away & np.isfinite(costs)
    return [float(c) for c in costs[low]]
