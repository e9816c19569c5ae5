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
from mmsar.signal.pitch import AxisSampling, axis_sampling
from mmsar.signal.round_sampling import RoundSampling, round_sampling


@dataclass(frozen=True, kw_only=True)
class SamplingReport:
    """The answers of `sampling_report`, SI units and radians."""

    z: float
    """Distance the cross-range resolution is given for [m]."""
    wavelength: float
    """At the centre frequency [m]."""
    quarter: float
    """A quarter of the wavelength [m]: the pitch that is always fine."""
    x: AxisSampling | None
    y: AxisSampling | None
    """Along x and y of a plane; None where the aperture goes round the y axis."""
    round: RoundSampling | None
    """Of an aperture that goes round the y axis, else None."""
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
    cylinder = round_sampling(scan)
    flat = cylinder is None
    x, y = (axis_sampling(points, axis, chirp.wavelength, z) if flat else None for axis in (0, 1))
    delay = float(np.ptp(scan.tx_delay))
    first = scan.trajectory.after(float(scan.tx_delay.min())).position
    moved = np.linalg.norm(scan.trajectory.after(float(scan.tx_delay.max())).position - first, axis=1)
    report = SamplingReport(
        z=z,
        wavelength=chirp.wavelength,
        quarter=chirp.wavelength / 4,
        x=x,
        y=y,
        round=cylinder,
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


def rotation_spread(rotation: np.ndarray) -> float:
    """Largest angle between a pose and the mean pose [rad], for unit quaternions x, y, z, w (n, 4)."""
    aligned = rotation * np.where(rotation @ rotation[0] < 0, -1.0, 1.0)[:, None]
    mean = aligned.mean(axis=0)
    length = np.linalg.norm(mean)
    if length < 1e-9:
        return float(np.pi)
    sine = np.linalg.norm(aligned - (aligned @ mean)[:, None] * mean / length**2, axis=1)
    return float(2 * np.arctan2(sine, aligned @ mean / length).max())


def _warnings(report: SamplingReport) -> list[str]:
    found = _planar_warnings(report) if report.round is None else list(report.round.warnings)
    slack = report.wavelength / 16
    if report.tdm_motion > slack:
        found.append(
            f"the board moves {report.tdm_motion * 1e3:.2f} mm between the transmit slots of a pose (over lambda/16 = "
            f"{slack * 1e3:.2f} mm): methods that ignore it will blur"
        )
    if report.round is None or not report.round.far_field:
        found += _distance_warnings(report, report.z if report.round is None else report.round.radius)
    if report.valid < 1:
        found.append(f"{100 * (1 - report.valid):.2g} % of the channels are marked invalid")
    return found


def _distance_warnings(report: SamplingReport, distance: float) -> list[str]:
    """What is wrong at the distance of the scene [m]."""
    found = []
    if report.baseline > distance / 4:
        found.append(
            f"transmitter and receiver are up to {report.baseline * 1e3:.0f} mm apart at {distance * 1e3:.0f} mm "
            "range: monostatic approximations fail; use bpa"
        )
    if report.range_max < distance:
        found.append(
            f"{distance * 1e3:.0f} mm is beyond the unambiguous range of {report.range_max * 1e3:.0f} mm: echoes alias"
        )
    return found


def _planar_warnings(report: SamplingReport) -> list[str]:
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
    return found
