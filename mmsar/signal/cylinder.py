"""Scans round a target: phase centres in cylindrical coordinates about the world's y axis, and their compensation.

A target on a turntable sees the antennas go round it. With the phase centre of a pair at (R_v cos a, y, R_v sin a) and
its separation split into d_t along the circle and d_y along the axis, imagers of rotation want 2 R0', the way to and
from the point of the cylinder of radius R0 at the same angle and height. What is taken out by exp(-j k phi):

    taylor      phi = 2 (R_v - R0) + (d_t^2 + d_y^2) / (4 R0)         (Near-field MIMO-ISAR, arXiv 2305.02030: d_y only)
    reference   phi = |c - x_T| + |c - x_R| - 2 |c - v0|               exact for the point c of the axis

Far away (`far_field`) nothing is to be taken out: the samples are referred to the axis already.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import one_of
from mmsar.errors import GeometryError
from mmsar.model.scan import Geometry
from mmsar.signal.multistatic import PHASES
from mmsar.signal.pitch import lines

TURN = 4
"""Mean number of samples at one height from which on they are turns."""
CLOSED = np.deg2rad(3.0)
"""A gap up to this angle [rad] does not open a circle, however fine the steps are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cylinder:
    """Phase centres about the world's y axis."""

    radius: float
    """Mean distance of the phase centres that count from the axis, R0 [m]."""
    deviation: float
    """Largest |R_v - R0| of the phase centres that count [m]."""
    distance: np.ndarray
    """R_v of every channel [m], (n_pose, n_tx, n_rx)."""
    angle: np.ndarray
    """a of every channel, atan2(z, x) [rad], -pi to pi, (n_pose, n_tx, n_rx)."""
    height: np.ndarray
    """y of every channel [m], (n_pose, n_tx, n_rx)."""
    span: float
    """Angle that is covered: a full turn less the widest gap, or a full turn when no gap is wider than four steps or
    three degrees [rad]."""
    step: float
    """Median step between neighbouring angles [rad]; 0 for one angle."""
    cut: float = np.pi
    """Angle in the middle of the widest gap, where `unrolled` cuts the cylinder open [rad], -pi to pi."""

    @property
    def closed(self) -> bool:
        """Whether the angles go all the way round."""
        return self.span >= 2 * np.pi


def cylinder_of(geometry: Geometry) -> Cylinder:
    """Describe the phase centres of a geometry about the y axis; channels of weight 0 do not count.

    Raises
    ------
    GeometryError
        A phase centre on the axis itself, where the angle means nothing.
    """
    x, y, z = np.moveaxis(geometry.virtual_position, -1, 0)
    used = geometry.weight != 0
    distance = np.hypot(x, z)
    radius = float(distance[used].mean())
    if float(distance[used].min()) < 1e-3 * max(radius, 1e-3):
        raise GeometryError(
            "rotation: got a phase centre on the axis of rotation (x = z = 0), wanted the antennas on a circle round "
            "it; check the radius"
        )
    angle = np.arctan2(z, x)
    ordered = np.sort(angle[used])
    covered = 2 * np.pi - float(_steps_round(ordered).max())
    same = min(geometry.chirp.wavelength / (64 * radius), covered / (4 * len(angle)))
    ordered = ordered[np.concatenate([[True], np.diff(ordered) > same])]
    steps = _steps_round(ordered)
    step = float(np.median(steps)) if len(ordered) > 1 else 0.0
    widest = int(np.argmax(steps))
    gap = float(steps[widest])
    closed = len(ordered) > 2 and gap <= max(4 * step, CLOSED)
    return Cylinder(
        radius=radius,
        deviation=float(np.abs(distance[used] - radius).max()),
        distance=distance,
        angle=angle,
        height=y,
        span=2 * np.pi if closed else 2 * np.pi - gap,
        step=step,
        cut=float((ordered[widest] + gap / 2 + np.pi) % (2 * np.pi) - np.pi),
    )


def _steps_round(ordered: np.ndarray) -> np.ndarray:
    """From each of rising angles to the next, the last one to the first [rad]."""
    return np.diff(np.append(ordered, ordered[0] + 2 * np.pi))


def round_of(geometry: Geometry) -> Cylinder | None:
    """The cylinder that the phase centres lie on when they go round the y axis, else None.

    They do when they fit a circle about the axis at least twice as well as any straight line (or plane parallel to the
    axis): the standard deviation of their distances from the axis against that from the line. An arc no deeper than a
    thousandth of a wavelength is a line.
    """
    x, _, z = np.moveaxis(geometry.virtual_position, -1, 0)
    used = geometry.weight != 0
    distance = np.hypot(x, z)[used]
    off_line = float(np.sqrt(max(np.linalg.eigvalsh(np.cov(x[used], z[used], bias=True))[0], 0.0)))
    if off_line < geometry.chirp.wavelength / 1000 or distance.std() > off_line / 2:
        return None
    return cylinder_of(geometry) if distance.min() > distance.mean() / 2 else None


def unrolled(cylinder: Cylinder) -> np.ndarray:
    """The phase centres with the cylinder rolled out flat: R0 a, y, R_v - R0 [m], (n_pose, n_tx, n_rx, 3).

    It is cut open at `cylinder.cut`; where it is closed, R0 a goes on at the other edge after 2 pi R0. A product grid
    of angles and heights becomes a planar raster.
    """
    angle = (cylinder.angle - cylinder.cut) % (2 * np.pi)
    return np.stack([cylinder.radius * angle, cylinder.height, cylinder.distance - cylinder.radius], axis=-1)


def turns_of(points: np.ndarray, wavelength: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Which turn each of unrolled phase centres (n, 2 or 3) [m] belongs to, (n,), and the heights of the turns [m].

    None when they are no turns, each at one height, but a helix or a cloud.
    """
    turn, heights = lines(points[:, 1], wavelength / 40)
    level = float(np.abs(points[:, 1] - heights[turn]).max()) <= wavelength / 40
    return (turn, heights) if level and len(points) >= TURN * len(heights) else None


def cylinder_path_difference(
    geometry: Geometry,
    cylinder: Cylinder,
    *,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    phase: str = "reference",
) -> np.ndarray:
    """phi of every channel [m], (n_pose, n_tx, n_rx).

    Parameters
    ----------
    geometry : Geometry
        Positions of the pairs.
    cylinder : Cylinder
        Its phase centres, from `cylinder_of`.
    centre : (x, y, z)
        The point c that "reference" is exact for [m].
    phase : "reference" or "taylor"
        Which formula.
    """
    one_of("phase", phase, PHASES)
    cosine, sine = np.cos(cylinder.angle), np.sin(cylinder.angle)
    if phase == "taylor":
        separation = geometry.tx_position - geometry.rx_position
        tangential = separation[..., 2] * cosine - separation[..., 0] * sine
        lateral = tangential**2 + separation[..., 1] ** 2
        return 2 * (cylinder.distance - cylinder.radius) + lateral / (4 * cylinder.radius)
    point = np.asarray(centre, dtype=float)
    legs = np.linalg.norm(point - geometry.tx_position, axis=-1) + np.linalg.norm(point - geometry.rx_position, axis=-1)
    return legs - 2 * np.linalg.norm(point - on_cylinder(cylinder), axis=-1)


def on_cylinder(cylinder: Cylinder) -> np.ndarray:
    """The points v0 of the cylinder of radius R0 at the angle and height of every channel, (..., 3) [m]."""
    return np.stack(
        [cylinder.radius * np.cos(cylinder.angle), cylinder.height, cylinder.radius * np.sin(cylinder.angle)], axis=-1
    )
