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
from mmsar.model import Chirp, Scan
from mmsar.signal.cylinder import Cylinder, round_of, turns_of, unrolled
from mmsar.signal.pitch import AxisSampling, axis_sampling
from mmsar.signal.round_residual import Residual, residuals

FULL_CIRCLE = 1.126 / (2 * np.pi)
"""-3 dB width of J0(2 k rho) in wavelengths."""
LARGEST_RESIDUAL = np.pi / 4
"""A larger residual phase is worth a warning [rad]."""


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
    gaps: tuple[tuple[float, float], ...]
    """Heights between which there is no phase centre: (low, high) of every gap wider than half a wavelength and twice
    the pitch [m]."""
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
        gaps=_gaps(cylinder.height[geometry.weight != 0], wavelength, height.pitch),
        residual=() if far_field else residuals(geometry, cylinder),
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


def _gaps(height: np.ndarray, wavelength: float, pitch: float | None) -> tuple[tuple[float, float], ...]:
    """Where heights [m], of any order, leave gaps."""
    ordered = np.sort(height)
    wide = np.flatnonzero(np.diff(ordered) > max(wavelength / 2, 2 * (pitch or 0.0)))
    return tuple((float(ordered[i]), float(ordered[i + 1])) for i in wide)


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
    if report.gaps:
        low, high = max(report.gaps, key=lambda gap: gap[1] - gap[0])
        several = f"{len(report.gaps)} gaps, the widest" if len(report.gaps) > 1 else "a gap"
        found.append(
            f"heights: {several} of {(high - low) * 1e3:.1f} mm from y = {low * 1e3:.1f} to {high * 1e3:.1f} mm "
            f"between antennas {height.pitch * 1e3:.2f} mm apart: expect raised sidelobes along y"
        )
    elif height.fold_angle is None and height.widest is not None and height.widest > wavelength / 2:
        found.append(
            f"heights: gaps of {height.widest * 1e3:.2f} mm in the sampling (median {height.pitch * 1e3:.2f} mm): "
            "expect raised sidelobes"
        )
    if not report.far_field and report.alias_radius < report.radius / 5:
        found.append(
            f"angles: a step of {np.rad2deg(report.step):.3g} degrees images without ghosts only what is within "
            f"{report.alias_radius * 1e3:.0f} mm of the axis (step <= lambda / (4 rho))"
        )
    bad = [one for one in report.residual if one.most > LARGEST_RESIDUAL]
    if bad:
        found.append(
            f"compensating pairs to one antenna leaves {np.rad2deg(bad[0].most):.0f} degrees of phase at "
            f"{bad[0].rho * 1e3:.0f} mm from the axis, y = {bad[0].most_height * 1e3:.0f} mm: use bpa for what is that "
            "far out"
        )
    return found
