"""What compensating pairs to one antenna leaves round an axis: |k (R_T + R_R - phi - 2 R0')| over a target's places."""

from dataclasses import dataclass

import numpy as np

from mmsar.model import Geometry
from mmsar.signal.cylinder import Cylinder, cylinder_path_difference, on_cylinder

RADII = (0.025, 0.05, 0.1, 0.2, 0.4)
"""Distances from the axis that the residual phase is reported for, up to 0.6 radii [m]."""
HEIGHTS = 9
"""Heights it is looked at, over those of the phase centres; the middle one is in the middle."""
POSES, PAIRS = 400, 10_000
"""At most so many poses are looked at, and about so many pairs."""
RING = 24


@dataclass(frozen=True, kw_only=True)
class Residual:
    """How far the compensation to one antenna per pair is off on circles about the axis."""

    rho: float
    """Radius of the circles [m]."""
    phase: float
    """Largest magnitude of the residual phase on the circle at the middle height of the phase centres [rad]."""
    most: float
    """The same over all heights of the phase centres [rad]."""
    most_height: float
    """y of the circle where that is [m]."""


def residuals(geometry: Geometry, cylinder: Cylinder) -> tuple[Residual, ...]:
    """The residual phase on circles of some radii, at the middle height and where it is largest."""
    height = cylinder.height[geometry.weight != 0]
    low, high = float(height.min()), float(height.max())
    rho = [r for r in RADII if r <= 0.6 * cylinder.radius]
    if not rho:
        return ()
    half = (high - low) / 2 if high - low > geometry.chirp.wavelength else 0.0
    levels = (low + high) / 2 + half * np.linspace(-1, 1, HEIGHTS if half else 1)
    found = residual_map(geometry, cylinder, rho, levels)
    most = found.argmax(axis=1)
    return tuple(
        Residual(rho=r, phase=float(row[len(levels) // 2]), most=float(row[at]), most_height=float(levels[at]))
        for r, row, at in zip(rho, found, most, strict=True)
    )


def residual_map(
    geometry: Geometry,
    cylinder: Cylinder,
    rho: list[float] | np.ndarray,
    height: list[float] | np.ndarray | None = None,
    *,
    phase: str = "reference",
) -> np.ndarray:
    """Largest residual phase of the compensation on circles about the axis, (n, m) [rad].

    It is |k (R_T + R_R - phi - 2 R0')| with the exact paths of the pairs of up to 400 poses, over the circle.

    Parameters
    ----------
    geometry : Geometry
        Positions of the pairs.
    cylinder : Cylinder
        Its phase centres, from `cylinder_of`.
    rho : array_like
        Radii of the circles, (n,) [m].
    height : array_like, optional
        y of the circles, (m,) [m]; default the middle height of the phase centres.
    phase : "reference" or "taylor"
        Formula of the compensation phi, as of `cylinder_path_difference`, exact for the axis at the middle height.
    """
    heights = cylinder.height[geometry.weight != 0]
    middle = float(heights.min() + heights.max()) / 2
    phi = cylinder_path_difference(geometry, cylinder, centre=(0.0, middle, 0.0), phase=phase)
    poses = min(len(phi), POSES, max(RING, PAIRS // phi[0].size))
    few = np.unique(np.linspace(0, len(phi) - 1, poses).astype(int))
    used = geometry.weight[few] != 0
    tx, rx, v0 = (of[few][used] for of in (geometry.tx_position, geometry.rx_position, on_cylinder(cylinder)))
    k = 2 * np.pi / geometry.chirp.wavelength
    around = np.arange(RING) * 2 * np.pi / RING
    levels = np.array([middle] if height is None else height, dtype=float)
    largest = np.empty((len(rho), len(levels)))
    for i, radius in enumerate(rho):
        for j, level in enumerate(levels):
            ring = np.stack([radius * np.cos(around), np.full(RING, level), radius * np.sin(around)], axis=1)
            to_tx, to_rx, to_v0 = (np.linalg.norm(ring[:, None] - of, axis=-1) for of in (tx, rx, v0))
            largest[i, j] = k * np.abs(to_tx + to_rx - phi[few][used] - 2 * to_v0).max()
    return largest
