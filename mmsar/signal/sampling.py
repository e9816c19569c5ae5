"""What a scan can resolve, and where its sampling fails: aperture, pitch, ghosts, resolution, ranges, motion.

A phase centre moved by p turns the echo from direction theta by 4 pi p sin(theta) / lambda. With pitch p, directions
whose sines differ by lambda / 2p look alike: a target straight ahead has ghosts at sin(theta) = lambda / 2p, and
echoes from beyond sin(theta) = lambda / 4p fold back into view. At p <= lambda/4 neither can happen. Cross-range
resolution lambda z / 2D (not below lambda/4), range resolution c / 2B, unambiguous range fs c / 2 slope.
lambda is the wavelength at the centre frequency.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mmsar.core.checks import finite_number
from mmsar.model import Scan

MAX_QUERIES = 400
FIRST_NEIGHBOURS = 32
MAX_NEIGHBOURS = 2048
SAME_PLACE = 1 / 50
"""Phase centres closer than this many wavelengths count as one."""

TOLERANCE = 1.02
"""Pitches up to this many times lambda/4 count as lambda/4."""


@dataclass(frozen=True, kw_only=True)
class AxisSampling:
    """Sampling along one axis of the aperture; lengths in m, angles in rad, None where there is only one position."""

    extent: float
    """Size of the aperture: spread of the phase centres."""
    pitch: float | None
    """Median distance to the next phase centre along the axis."""
    widest: float | None
    """95th percentile of that distance: the typical size of the gaps."""
    fold_angle: float | None
    """Direction from which echoes fold back; None when the pitch is fine enough."""
    ghost_angle: float | None
    """Direction of the ghosts of a target straight ahead; None when there are none in front."""
    resolution: float | None
    """lambda z / 2D, not below lambda/4."""


@dataclass(frozen=True, kw_only=True)
class SamplingReport:
    """The answers of `sampling_report`, SI units and radians."""

    z: float
    """Distance the cross-range resolution is given for [m]."""
    wavelength: float
    """At the centre frequency [m]."""
    quarter: float
    """A quarter of the wavelength [m]: the pitch that is always fine."""
    x: AxisSampling
    y: AxisSampling
    depth: float
    """Spread of the phase centres along z [m]."""
    rotation: float
    """Largest rotation of a pose against the mean one [rad]."""
    tdm_motion: float
    """Largest distance the board moves between the first and the last transmit slot of a pose [m]."""
    baseline: float
    """Largest distance between a transmitter and a receiver [m]."""
    range_resolution: float
    range_max: float
    """Unambiguous one-way range [m]."""
    n_channels: int
    valid: float
    """Fraction of the channels that are valid."""
    nbytes: int
    """The signal as complex64 [bytes]."""
    warnings: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "warnings": list(self.warnings)}


def sampling_report(scan: Scan, *, z: float = 0.3) -> SamplingReport:
    """What a scan can resolve and where it is sampled too coarsely. The signal is not read.

    Parameters
    ----------
    scan : Scan
        The scan.
    z : float
        Distance from the aperture to give the cross-range resolution for [m].

    Raises
    ------
    GeometryError
        `z` not above 0.
    """
    z = finite_number("sampling_report z", z, "m", above=0.0)
    chirp = scan.chirp
    points = scan.virtual_position[scan.valid]
    spread = np.ptp(points, axis=0)
    axes = [_axis(points, axis, spread, chirp.wavelength, z) for axis in (0, 1)]
    delay = float(np.ptp(scan.tx_delay))
    first = scan.trajectory.after(float(scan.tx_delay.min())).position
    moved = np.linalg.norm(scan.trajectory.after(float(scan.tx_delay.max())).position - first, axis=1)
    report = SamplingReport(
        z=z,
        wavelength=chirp.wavelength,
        quarter=chirp.wavelength / 4,
        x=axes[0],
        y=axes[1],
        depth=float(spread[2]),
        rotation=rotation_spread(scan.trajectory.rotation),
        tdm_motion=float(moved.max()) if delay > 0 else 0.0,
        baseline=float(np.linalg.norm(scan.array.baseline, axis=-1).max()),
        range_resolution=chirp.range_resolution,
        range_max=chirp.range_max,
        n_channels=int(np.prod(scan.shape[:3])),
        valid=float(scan.valid.mean()),
        nbytes=scan.nbytes,
    )
    object.__setattr__(report, "warnings", tuple(_warnings(report)))
    return report


def pitch_along(points: np.ndarray, axis: int, *, same: float) -> tuple[float, float] | None:
    """Median and 95th percentile of the distance to the next point along an axis.

    The next point of a point is the nearest one in front of it within 45 degrees of the axis, so that rows with
    jitter, arrays moved in steps and irregular clouds are all measured alike; the last points have none.

    Parameters
    ----------
    points : ndarray
        Positions [m], (n, 3); only x and y count.
    axis : int
        0 for x, 1 for y.
    same : float
        Points closer than this are one point [m].

    Returns
    -------
    (median, 95th percentile) [m], or None when no point has another in front of it.
    """
    from scipy.spatial import cKDTree

    plane = np.asarray(points)[:, :2]
    plane = plane[np.unique(np.round(plane / same).astype(np.int64), axis=0, return_index=True)[1]]
    if len(plane) < 2:
        return None
    tree = cKDTree(plane)
    waiting = np.unique(np.linspace(0, len(plane) - 1, min(len(plane), MAX_QUERIES)).astype(int))
    found: list[np.ndarray] = []
    count = FIRST_NEIGHBOURS
    while waiting.size:
        k = min(count, len(plane))
        _, index = tree.query(plane[waiting], k=k)
        offset = plane[index.reshape(len(waiting), k)] - plane[waiting][:, None]
        ahead, across = offset[..., axis], np.abs(offset[..., 1 - axis])
        distance = np.hypot(ahead, across)
        distance = np.where((across <= ahead) & (distance > same), distance, np.inf)
        nearest = distance.min(axis=1)
        found.append(nearest[np.isfinite(nearest)])
        if k == len(plane) or count >= MAX_NEIGHBOURS:
            break
        waiting = waiting[~np.isfinite(nearest)]
        count *= 4
    steps = np.concatenate(found) if found else np.empty(0)
    return (float(np.median(steps)), float(np.percentile(steps, 95))) if steps.size else None


def rotation_spread(rotation: np.ndarray) -> float:
    """Largest angle between a pose and the mean pose [rad], for unit quaternions x, y, z, w (n, 4)."""
    aligned = rotation * np.where(rotation @ rotation[0] < 0, -1.0, 1.0)[:, None]
    mean = aligned.mean(axis=0)
    length = np.linalg.norm(mean)
    if length < 1e-9:
        return float(np.pi)
    sine = np.linalg.norm(aligned - (aligned @ mean)[:, None] * mean / length**2, axis=1)
    return float(2 * np.arctan2(sine, aligned @ mean / length).max())


def _axis(points: np.ndarray, axis: int, spread: np.ndarray, wavelength: float, z: float) -> AxisSampling:
    extent = float(spread[axis])
    same = wavelength * SAME_PLACE
    steps = pitch_along(points, axis, same=same) if extent > same else None
    pitch, widest = steps if steps is not None else (None, None)
    fold = ghost = None
    if pitch is not None and pitch > TOLERANCE * wavelength / 4:
        fold = float(np.arcsin(min(1.0, wavelength / (4 * pitch))))
        ghost = float(np.arcsin(wavelength / (2 * pitch))) if wavelength <= 2 * pitch else None
    return AxisSampling(
        extent=extent,
        pitch=pitch,
        widest=widest,
        fold_angle=fold,
        ghost_angle=ghost,
        resolution=max(wavelength / 4, wavelength * z / (2 * extent)) if extent > same else None,
    )


def _warnings(report: SamplingReport) -> list[str]:
    found = []
    quarter = report.quarter
    for name in "xy":
        axis: AxisSampling = getattr(report, name)
        if axis.pitch is None:
            found.append(f"{name}: one position only, so no resolution along {name}")
            continue
        if axis.fold_angle is not None:
            text = (
                f"{name}: pitch {axis.pitch * 1e3:.2f} mm is coarser than lambda/4 = {quarter * 1e3:.2f} mm: echoes "
                f"from beyond {np.rad2deg(axis.fold_angle):.0f} degrees fold back as ghosts"
            )
            if axis.ghost_angle is not None:
                text += f"; a target straight ahead has its ghosts at {np.rad2deg(axis.ghost_angle):.0f} degrees"
            found.append(text)
        elif axis.widest is not None and axis.widest > 2 * quarter:
            found.append(
                f"{name}: gaps of {axis.widest * 1e3:.2f} mm in the sampling (median {axis.pitch * 1e3:.2f} mm): "
                "expect raised sidelobes"
            )
    slack = report.wavelength / 16
    if report.depth > slack:
        found.append(
            f"the aperture is {report.depth * 1e3:.1f} mm deep in z (over lambda/16 = {slack * 1e3:.2f} mm): planar "
            "migration (rma) will blur; use nufft or bpa"
        )
    if report.tdm_motion > slack:
        found.append(
            f"the board moves {report.tdm_motion * 1e3:.2f} mm between the transmit slots of a pose (over lambda/16 = "
            f"{slack * 1e3:.2f} mm): methods that ignore it will blur"
        )
    if report.baseline > report.z / 4:
        found.append(
            f"transmitter and receiver are up to {report.baseline * 1e3:.0f} mm apart at {report.z * 1e3:.0f} mm "
            "range: monostatic approximations fail; use bpa"
        )
    if report.range_max < report.z:
        found.append(
            f"{report.z * 1e3:.0f} mm is beyond the unambiguous range of {report.range_max * 1e3:.0f} mm: echoes alias"
        )
    if report.valid < 1:
        found.append(f"{100 * (1 - report.valid):.2g} % of the channels are marked invalid")
    return found
