r"""Where the axis of rotation is: radius and offsets of a scan round a target, fitted from its own samples.

A turntable's target sees a board at (R0 cos a, y, R0 sin a) of its own frame. Wrong is where the board is in the frame
that turns with a: by dr outwards (the radius), dt along the circle (the radar looks past the axis), dh upwards. The way
to and from a point at distance rho, angle b and height h off the board's plane changes by

    2 dr cos(beta) ~ 2 dr (1 - rho^2 sin^2(a - b) / 2 R0^2 - h^2 / 2 R0^2),    beta: angle between the line of sight
                                                                               and the radius

    radial      Observable. The constant part only moves envelopes, 2 dr against a range cell (and is just what an
                uncalibrated range bias does); the rest blurs, the more the farther points are from the axis and the
                higher the antennas go.
    tangential  A board at (R0 + dr, dt) is one at the radius hypot(R0 + dr, dt), turned by atan(dt / R0): all of the
                image turns and nothing blurs. Needs a pin: a target at a place that is known.
    height      Moves all of the image up or down. Needs a pin.
    centre      A circle about (x_c, z_c) instead of the origin moves all of the image by as much; nothing blurs. Needs
                a pin, and a second one to be told from `tangential` (one pin, two unknowns along the circle).

The fit is one of sharpness: the displacements and the places of the brightest scatterers for which these explain most
of the energy (`pointmodel`), started from a search that goes from coarse to fine in sub-aperture for each of a row of
radii (`scatterers`), so that no lobe is mistaken for another. Isotropic scatterers are assumed; echoes of what is no
point stay in the residual and widen the stated errors.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import real_array
from mmsar.errors import GeometryError
from mmsar.focus.observation import MOVES, move_basis, observe
from mmsar.focus.pointmodel import energy
from mmsar.focus.rotation_fitter import Fitter
from mmsar.focus.rotation_result import RotationFit, RotationOptions
from mmsar.model.scan import Scan
from mmsar.model.trajectory import Trajectory
from mmsar.signal.calibrate import apply_calibration
from mmsar.signal.cylinder import cylinder_of

ROUND = 0.05
"""Largest deviation of a phase centre from the mean radius, relative to it."""
SMALLEST_SPAN = np.deg2rad(20)
"""Arcs below this are refused [rad]."""


def fit_rotation(scan: Scan, *, pin: Any = None, options: RotationOptions | None = None) -> RotationFit:
    """Fit the radius of a scan round the y axis, and with pins the offsets that turn or move the image.

    Parameters
    ----------
    scan : Scan
        Poses on a circle or arc about the y axis, at any heights; a calibration it carries is applied first. A range
        bias that is not calibrated comes out as radius.
    pin : (3,) or (n, 3) array_like, optional
        Known places of point targets in the target's frame [m].
    options : RotationOptions, optional
        How far to look, and at how much.

    Raises
    ------
    GeometryError
        A scan that is not round, nothing in it that is sharp, a pin that is not seen, a radius that the scan does not
        tell, or one at the edge of the search.
    """
    options = options or RotationOptions()
    pins = np.empty((0, 3)) if pin is None else real_array("pin", np.atleast_2d(np.asarray(pin)), (None, 3), "m")
    radius = _check_round(scan, options)
    extent, heights = _target(scan, radius, pins, options)
    calibrated = scan if scan.calibration is None else apply_calibration(scan)
    seen = observe(calibrated, extent=extent, heights=heights, margin=2 * options.search, channels=options.channels)
    if energy(seen.data) == 0:
        raise GeometryError("align: got a scan that is zero within the target's range; check the radius")
    return Fitter(seen, pins, options, radius, extent, heights).result(int(scan.valid.sum()))


def apply_rotation(scan: Scan, fit: RotationFit) -> Scan:
    """The scan with corrected poses, and a step in its history. The board keeps looking where it looked.

    Parameters
    ----------
    scan : Scan
        The scan that was fitted (or another recorded in the same way); its samples are not touched.
    fit : RotationFit
        From `fit_rotation`.
    """
    size = np.array([fit.moves[name].value if name in fit.moves else 0.0 for name in MOVES])
    moved = scan.trajectory.position + np.einsum("ngi,g->ni", move_basis(scan.trajectory.position), size)
    trajectory = Trajectory(time=scan.trajectory.time, position=moved, rotation=scan.trajectory.rotation)
    return replace(scan, trajectory=trajectory).with_step(
        step="align rotation",
        version=__version__,
        moves={name: asdict(found) for name, found in fit.moves.items()},
        not_fitted=dict(fit.not_fitted),
        sharpness=list(fit.sharpness),
    )


def _check_round(scan: Scan, options: RotationOptions) -> float:
    """Mean distance of the recorded poses from the axis; refuses what is no circle or arc about the y axis."""
    cylinder = cylinder_of(scan.geometry)
    if cylinder.deviation > ROUND * cylinder.radius:
        raise GeometryError(
            f"align rotation: got phase centres {cylinder.deviation * 1e3:.1f} mm off a circle of radius "
            f"{cylinder.radius * 1e3:.1f} mm about the y axis, wanted a scan round a target; planar and freehand scans "
            "have no axis"
        )
    if cylinder.span < SMALLEST_SPAN:
        raise GeometryError(
            f"align rotation: got an arc of {np.rad2deg(cylinder.span):.1f} degrees, wanted at least "
            f"{np.rad2deg(SMALLEST_SPAN):.0f}; a shorter one does not tell where the axis is"
        )
    if options.search > cylinder.radius / 4:
        raise GeometryError(
            f"RotationOptions.search: got {options.search:g} m, wanted at most a quarter of the radius, "
            f"{cylinder.radius / 4:.4g} m"
        )
    good = scan.valid.any(axis=(1, 2))
    return float(np.hypot(*scan.trajectory.position[good][:, [0, 2]].T).mean())


def _target(scan: Scan, radius: float, pins: np.ndarray, options: RotationOptions) -> tuple[float, tuple[float, float]]:
    """Largest distance of the target's parts from the axis and the range of their heights [m]."""
    extent = options.extent or 0.4 * radius
    far = np.hypot(pins[:, 0], pins[:, 2])
    limit = 0.9 * radius
    if extent > limit or np.any(far > limit):
        raise GeometryError(
            f"align extent: got targets out to {max([extent, *far]) * 1e3:.1f} mm from the axis, wanted at most "
            f"{limit * 1e3:.1f} mm, inside the circle of the antennas"
        )
    y = scan.virtual_position[scan.valid][:, 1]
    low, high = float(y.min()), float(y.max())
    wider = max(0.0, extent - (high - low) / 2)
    low, high = low - wider, high + wider
    margin = 2 * options.search
    if len(pins):
        extent = max(extent, float(far.max()) + margin)
        low, high = min(low, float(pins[:, 1].min()) - margin), max(high, float(pins[:, 1].max()) + margin)
    return extent, (low, high)
