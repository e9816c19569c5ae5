"""What a scan round the y axis can resolve, and where its sampling fails: angles, heights, the compensation.

From one angle a to the next, by da, the echo of a point at the distance rho from the axis turns by up to 2 k rho da: it
is unambiguous for da <= lambda / (4 rho). The angles seen fill an arc of span s of the horizontal plane of wavenumbers,
of radius 2 k: the resolution is lambda / (4 sin(s/2)) across the middle direction and 2 pi / (2 k_max - 2 k_min
cos(s/2)) along it; a full circle gives a point the shape J0(2 k rho), 1.126 lambda / 2 pi = 0.18 lambda wide at -3 dB.
Along the axis it is lambda R0 / (2 D_y) and a pitch of lambda/4, as for a plane. k and lambda are those of the centre
frequency, except that aliasing is reckoned with the highest one.
"""

from dataclasses import dataclass, field

import numpy as np

from mmsar.constants import C0
from mmsar.model import Chirp, Geometry, Scan
from mmsar.signal.cylinder import Cylinder, cylinder_path_difference, on_cylinder, round_of, turns_of, unrolled
from mmsar.signal.pitch import AxisSampling, axis_sampling

FULL_CIRCLE = 1.126 / (2 * np.pi)
"""-3 dB width of J0(2 k rho) in wavelengths."""
RADII = (0.025, 0.05, 0.1, 0.2, 0.4)
"""Distances from the axis that the residual phase is reported for, up to 0.6 radii [m]."""
LARGEST_RESIDUAL = np.pi / 4
"""A larger residual phase is worth a warning [rad]."""
POSES = 400
RING = 24


@dataclass(frozen=True, kw_only=True)
class Residual:
    """How far the compensation to one antenna per pair is off on a circle about the axis."""

    rho: float
    """Radius of the circle [m], at the middle height of the phase centres."""
    phase: float
    """Largest magnitude of the residual phase over the circle and the pairs [rad]."""


@dataclass(frozen=True, kw_only=True)
class RoundSampling:
    """The answers of `round_sampling`, SI units and radians."""

    radius: float
    """Mean distance of the phase centres from the axis [m]."""
    deviation: float
    """Largest deviation from it [m]."""
    far_field: bool
    """Whether the samples are referred to the axis and the radius is nominal."""
    closed: bool
    """Whether the angles go all the way round."""
    start: float
    """Where the angles begin, atan2(z, x) [rad]; -pi where they are closed."""
    span: float
    """Angle that is covered [rad]."""
    step: float
    """Median step of the angle within a turn [rad]."""
    height: AxisSampling
    """Sampling along y; its resolution is that at the axis."""
    alias_radius: float
    """Distance from the axis within which nothing aliases: lambda / (4 step) at the highest frequency [m]."""
    resolution_across: float
    """In the plane of rotation, across the middle of the directions seen [m]."""
    resolution_along: float
    """In the plane of rotation, along the middle of the directions seen [m]."""
    residual: tuple[Residual, ...]
    """Residual phase of the multistatic compensation ("reference"); empty for far-field samples."""
    warnings: tuple[str, ...] = field(default=())


def round_sampling(scan: Scan) -> RoundSampling | None:
    """What a scan round the y axis resolves; None for a scan that does not go round it. The signal is not read."""
    geometry = scan.geometry
    cylinder = round_of(geometry)
    if cylinder is None:
        return None
    chirp, wavelength = scan.chirp, scan.chirp.wavelength
    far_field = bool(scan.attrs.get("far_field", False))
    points = unrolled(cylinder)[geometry.weight != 0]
    step, height = _steps(points, cylinder, wavelength)
    half = cylinder.span / 2
    across, along, _ = resolution_of(cylinder, chirp, 0.0)
    rings = [] if far_field else [rho for rho in RADII if rho <= 0.6 * cylinder.radius]
    phases = residual_phase(geometry, cylinder, rings) if rings else []
    report = RoundSampling(
        radius=cylinder.radius,
        deviation=cylinder.deviation,
        far_field=far_field,
        closed=cylinder.closed,
        start=-np.pi if cylinder.closed else _wrapped(cylinder.cut + np.pi - half),
        span=cylinder.span,
        step=step,
        height=height,
        alias_radius=C0 / float(chirp.f.max()) / (4 * step),
        resolution_across=across,
        resolution_along=along,
        residual=tuple(Residual(rho=rho, phase=float(phase)) for rho, phase in zip(rings, phases, strict=True)),
    )
    object.__setattr__(report, "warnings", tuple(_warnings(report, wavelength)))
    return report


def resolution_of(cylinder: Cylinder, chirp: Chirp, height: float) -> tuple[float, float, float]:
    """Resolution in the plane of rotation across and along the middle of the directions seen, and along the axis [m].

    Parameters
    ----------
    cylinder : Cylinder
        The phase centres.
    chirp : Chirp
        The waveform.
    height : float
        Extent of the phase centres along y [m]; 0: infinite resolution along the axis.
    """
    half, k = cylinder.span / 2, (float(chirp.k.min()), float(chirp.k.max()))
    vertical = max(chirp.wavelength / 4, chirp.wavelength * cylinder.radius / (2 * height)) if height > 0 else np.inf
    if cylinder.closed:
        return FULL_CIRCLE * chirp.wavelength, FULL_CIRCLE * chirp.wavelength, vertical
    depth = 2 * k[1] - 2 * (k[0] if half < np.pi / 2 else k[1]) * float(np.cos(half))
    sine = float(np.sin(min(half, np.pi / 2)))
    across = chirp.wavelength / (4 * sine) if sine > 0 else np.inf
    return across, 2 * np.pi / depth if depth > 0 else np.inf, vertical


def _steps(points: np.ndarray, cylinder: Cylinder, wavelength: float) -> tuple[float, AxisSampling]:
    """Step of the angle [rad] and sampling of the height of unrolled phase centres (n, 3) [m]."""
    turns = turns_of(points, wavelength)
    if turns is None:
        along = axis_sampling(points, 0, wavelength, cylinder.radius).pitch
        step = cylinder.step if along is None else along / cylinder.radius
        return step, axis_sampling(points, 1, wavelength, cylinder.radius)
    turn, heights = turns
    order = np.lexsort([points[:, 0], turn])
    steps, same = np.diff(points[order, 0]), np.diff(turn[order]) == 0
    steps = steps[same & (steps > wavelength / 1000)]
    step = float(np.median(steps)) / cylinder.radius if len(steps) else cylinder.step
    ladder = np.stack([0 * heights, heights], axis=1)
    return step, axis_sampling(ladder, 1, wavelength, cylinder.radius)


def residual_phase(
    geometry: Geometry, cylinder: Cylinder, rho: list[float] | np.ndarray, *, phase: str = "reference"
) -> np.ndarray:
    """Largest residual phase of the compensation on circles about the axis, (n,) [rad].

    It is |k (R_T + R_R - phi - 2 R0')| with the exact paths of the pairs of up to 400 poses.

    Parameters
    ----------
    geometry : Geometry
        Positions of the pairs.
    cylinder : Cylinder
        Its phase centres, from `cylinder_of`.
    rho : array_like
        Radii of the circles, at the middle height of the phase centres, (n,) [m].
    phase : "reference" or "taylor"
        Formula of the compensation phi, as of `cylinder_path_difference`, exact for the axis at that height.
    """
    height = cylinder.height[geometry.weight != 0]
    middle = float(height.min() + height.max()) / 2
    phi = cylinder_path_difference(geometry, cylinder, centre=(0.0, middle, 0.0), phase=phase)
    few = np.unique(np.linspace(0, len(phi) - 1, min(len(phi), POSES)).astype(int))
    used = geometry.weight[few] != 0
    tx, rx, v0 = (of[few][used] for of in (geometry.tx_position, geometry.rx_position, on_cylinder(cylinder)))
    k = 2 * np.pi / geometry.chirp.wavelength
    around = np.arange(RING) * 2 * np.pi / RING
    largest = []
    for radius in np.asarray(rho, dtype=float):
        ring = np.stack([radius * np.cos(around), np.full(RING, middle), radius * np.sin(around)], axis=1)
        to_tx, to_rx, to_v0 = (np.linalg.norm(ring[:, None] - of, axis=-1) for of in (tx, rx, v0))
        largest.append(k * np.abs(to_tx + to_rx - phi[few][used] - 2 * to_v0).max())
    return np.array(largest)


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _warnings(report: RoundSampling, wavelength: float) -> list[str]:
    found = []
    height = report.height
    if height.fold_angle is not None:
        limit, name = (wavelength / 2, "lambda/2") if height.ghost_angle is not None else (wavelength / 4, "lambda/4")
        text = (
            f"heights: pitch {height.pitch * 1e3:.2f} mm is above {name} = {limit * 1e3:.2f} mm: echoes from more than "
            f"{np.rad2deg(height.fold_angle):.0f} degrees above or below fold back as ghosts"
        )
        if height.ghost_angle is not None:
            text += f"; a target at the height of the antenna has its ghosts at {np.rad2deg(height.ghost_angle):.0f}"
        found.append(text)
    elif height.widest is not None and height.widest > wavelength / 2:
        found.append(
            f"heights: gaps of {height.widest * 1e3:.2f} mm in the sampling (median {height.pitch * 1e3:.2f} mm): "
            "expect raised sidelobes"
        )
    if not report.far_field and report.alias_radius < report.radius / 5:
        found.append(
            f"angles: a step of {np.rad2deg(report.step):.3g} degrees images without ghosts only what is within "
            f"{report.alias_radius * 1e3:.0f} mm of the axis (step <= lambda / (4 rho))"
        )
    bad = [one for one in report.residual if one.phase > LARGEST_RESIDUAL]
    if bad:
        found.append(
            f"compensating pairs to one antenna leaves {np.rad2deg(bad[0].phase):.0f} degrees of phase at "
            f"{bad[0].rho * 1e3:.0f} mm from the axis: use bpa for what is that far out"
        )
    return found
