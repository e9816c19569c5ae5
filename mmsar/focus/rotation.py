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

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import finite_number, one_of, positive_int, real_array
from mmsar.core.progress import progress as bar
from mmsar.errors import GeometryError
from mmsar.focus.observation import MOVES, Observation, move_basis, observe
from mmsar.focus.pointmodel import PointModel, Solution, energy, fit_points
from mmsar.focus.scatterers import Search, first_spacing, levels
from mmsar.model.scan import Scan
from mmsar.model.trajectory import Trajectory
from mmsar.signal.calibrate import apply_calibration
from mmsar.signal.cylinder import cylinder_of

ROUND = 0.05
"""Largest deviation of a phase centre from the mean radius, relative to it."""
SMALLEST_SPAN = np.deg2rad(20)
"""Arcs below this are refused [rad]."""
DETECTION = 30.0
"""A scatterer's energy over the mean energy of a dimension of the residual, at least: noise alone reaches about 20."""
FLOOR = 1e-5
"""Standard error below which nothing is claimed [m]: phase centres and tables are no better."""
SEARCH_CHANNELS = 2048
"""Channels that the search looks at."""
ROUGH = 2.0
"""`settled` of the least squares after every scatterer that is added."""
MISSES = 5
"""Spots in a row that turn out to be none before the search ends."""
CROWDED = 2.0
"""Factor of the stated errors when there is more than the model holds, from clouds of scatterers simulated."""
GUIDES = 4
"""Scatterers that choose the radius to start from."""
NEEDS_PIN = {
    "tangential": "it turns the whole image and blurs nothing; give a pin",
    "height": "it moves the whole image up or down and blurs nothing; give a pin",
    "centre_x": "a shifted circle moves the whole image and blurs nothing; give a pin",
    "centre_z": "a shifted circle moves the whole image and blurs nothing; give a pin",
}
ONE_PIN = {
    "tangential": "one pin cannot tell it from the centre, which is fitted; give a second pin",
    "centre": "one pin cannot tell it from the tangential offset, which is fitted; give a second pin",
}


@dataclass(frozen=True, kw_only=True)
class RotationOptions:
    """How `fit_rotation` looks.

    Raises
    ------
    GeometryError
        A value out of its range.
    """

    search: float = 5e-3
    """Largest displacement looked for [m]."""
    unknown: str = "tangential"
    """What one pin fits beside radius and height: "tangential" (a turntable) or "centre" (poses about a wrong axis)."""
    extent: float | None = None
    """Largest distance of the target's parts from the axis [m]; default 0.4 radii."""
    scatterers: int = 12
    """Scatterers in the model, at most."""
    channels: int = 4096
    """Channels used, about: whole poses, evenly drawn from all."""
    progress: bool | None = None
    """Progress bar: True, False, or only on a terminal."""

    def __post_init__(self) -> None:
        finite_number("RotationOptions.search", self.search, "m", above=0.0)
        one_of("RotationOptions.unknown", self.unknown, ("tangential", "centre"))
        if self.extent is not None:
            finite_number("RotationOptions.extent", self.extent, "m", above=0.0)
        positive_int("RotationOptions.scatterers", self.scatterers)
        positive_int("RotationOptions.channels", self.channels)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its standard error."""

    value: float
    """Value."""
    sigma: float
    """Standard error, one sigma, in the same unit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RotationFit:
    """What `fit_rotation` found; lengths in m."""

    nominal_radius: float
    """Mean distance of the recorded poses from the axis [m]."""
    moves: Mapping[str, Estimate]
    """Displacements that were fitted, by name (see the module): what to add to the recorded poses [m]."""
    not_fitted: Mapping[str, str]
    """The others, each with the reason."""
    sigma_with_bias: float | None
    """Standard error of the radius if the range bias were unknown, not calibrated [m]; None when not fitted."""
    sharpness: tuple[float, float]
    """Share of the energy in the range gate that the scatterers explain, as recorded and as fitted."""
    scatterers: np.ndarray
    """Where the scatterers of the model are in the corrected frame, the pins first [m], (n, 3)."""
    notes: tuple[str, ...] = ()
    """What else to know."""

    @property
    def radius(self) -> Estimate:
        """Distance of the board from the axis [m]."""
        radial, along = (self.moves.get(name, Estimate(value=0.0, sigma=0.0)) for name in ("radial", "tangential"))
        across = self.nominal_radius + radial.value
        total = float(np.hypot(across, along.value))
        sigma = np.hypot(across / total * radial.sigma, along.value / total * along.sigma)
        return Estimate(value=total, sigma=float(sigma))

    @property
    def turn(self) -> Estimate | None:
        """Angle by which the tangential offset turns the image, to be added to the start angle [rad]."""
        if "tangential" not in self.moves:
            return None
        along = self.moves["tangential"]
        radius = self.radius.value
        return Estimate(value=float(np.arcsin(along.value / radius)), sigma=along.sigma / radius)


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
    fitter = _Fitter(seen, pins, options, radius, extent, heights)
    return fitter.result(scan)


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
            f"align extent: got targets out to {max(extent, *far) * 1e3:.1f} mm from the axis, wanted at most "
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


class _Fitter:
    """One fit, step by step: radius to start from, scatterers one by one, all together by least squares."""

    def __init__(
        self,
        seen: Observation,
        pins: np.ndarray,
        options: RotationOptions,
        radius: float,
        extent: float,
        heights: tuple[float, float],
    ) -> None:
        self.seen, self.pins, self.options, self.radius = seen, pins, options, radius
        self.extent = extent
        self.coarse = seen.thinned(SEARCH_CHANNELS)
        rise = float(np.ptp(seen.height))
        self.flat = rise == 0 or np.pi / seen.k0 * radius / rise > radius
        middle = float(seen.height.mean())
        self.heights = (middle, middle) if self.flat else heights
        top = max(extent / 2, 1e-6)
        self.steps = levels(self.coarse, first_spacing(self.coarse, extent, self.heights, top), top)
        names = {"radial"}
        if len(pins):
            names |= {"height", *(("centre_x", "centre_z") if options.unknown == "centre" else ("tangential",))}
        if len(pins) > 1:
            names |= set(MOVES)
        self.free = [g for g, name in enumerate(MOVES) if name in names]

    def result(self, scan: Scan) -> RotationFit:
        """Everything, with the reasons of what is not fitted."""
        moves = self._start()
        model = self._scatterers(moves)
        reasons = self._reasons()
        crowded = self._crowded(model)
        while True:
            solution = self._solve(model)
            if crowded:
                solution = replace(
                    solution, sigma=CROWDED * solution.sigma, sigma_with_bias=CROWDED * solution.sigma_with_bias
                )
            doubtful = [g for g in self.free if not solution.sigma[g] < self.options.search / 2]
            if not doubtful:
                break
            worst = max(doubtful, key=lambda g: solution.sigma[g])
            reasons[MOVES[worst]] = f"this scan does not tell it (standard error {solution.sigma[worst] * 1e3:.2g} mm)"
            self.free.remove(worst)
            if not self.free:
                raise GeometryError(
                    f"align rotation: the radius cannot be told from this scan (standard error "
                    f"{solution.sigma[worst] * 1e3:.2g} mm); wanted scatterers farther from the axis, more heights, or "
                    "less noise"
                )
            start = model.moves.copy()
            start[worst] = 0
            model = replace(model, moves=start)
        left = solution.model.residual(self.seen)
        power = (np.abs(solution.model.amplitude) * left.shape[0] * len(self.seen.k)) ** 2
        self._check_pins(self._strength(power, left))
        self._check_edges(solution)
        return self._describe(solution, reasons, self._notes(scan, crowded))

    # ---- search -----------------------------------------------------------------------------------------------

    def _radii(self) -> np.ndarray:
        """Radial displacements to start from, close enough for least squares to go on from [m]."""
        seen = self.seen
        rise = max(abs(seen.height.max() - self.heights[0]), abs(seen.height.min() - self.heights[1]))
        slant = np.arctan(np.hypot(self.extent, rise) / self.radius)
        step = np.clip(0.7 / (2 * seen.k0 * (1 - np.cos(slant))), self.options.search / 20, self.options.search / 5)
        half = int(np.ceil(self.options.search / step))
        return np.linspace(-self.options.search, self.options.search, 2 * half + 1)

    def _start(self) -> np.ndarray:
        """Displacements for which the pins, or else the brightest scatterers, are sharpest: (5,)."""
        search = Search(self.coarse, self.coarse.data, self.steps)
        guides = self.pins if len(self.pins) else search.detect(self.extent, self.heights, GUIDES, np.zeros(len(MOVES)))
        best, score, power = np.zeros(len(MOVES)), -1.0, np.zeros(len(guides))
        for radial in bar(self._radii(), "align", show=self.options.progress):
            moves = np.zeros(len(MOVES))
            moves[0] = radial
            if len(self.pins):
                moves, found = search.follow_moves(self.pins, moves, self.free[1:], self.options.search)
            else:
                found = search.follow(guides, moves, flat=self.flat)[1]
            if found.sum() > score:
                best, score, power = moves, float(found.sum()), found
        strength = self._strength(power, self.coarse.data)
        if not len(self.pins) and strength.max() < DETECTION:
            raise GeometryError(
                "align rotation: nothing in this scan is sharp at any radius tried, wanted some scatterers above the "
                "noise; check the radius, the angles and the target's extent"
            )
        self._check_pins(strength)
        return best

    def _strength(self, power: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Energy of scatterers over the mean energy of a dimension of the samples `data`."""
        per_scatterer = len(data) * len(self.seen.k)
        return power / per_scatterer / (energy(data) / data.size)

    def _scatterers(self, moves: np.ndarray) -> PointModel:
        """The pins and the brightest scatterers, each found in what those before leave over, fitted in two rounds."""
        model = PointModel.of_pins(self.pins, moves)
        if len(self.pins):
            model = model.with_amplitudes(self.coarse)
            model = fit_points(self.coarse, model, free=self.free, flat=self.flat).model
        for _ in range(2):
            before = len(model.points)
            left = model.residual(self.coarse)
            spots = Search(self.coarse, left, self.steps).detect(
                self.extent, self.heights, 2 * self.options.scatterers, model.moves
            )
            misses = 0
            for spot in spots:
                if len(model.points) >= self.options.scatterers or misses == MISSES:
                    break
                place, power = Search(self.coarse, left, self.steps).follow(spot[None], model.moves, flat=self.flat)
                if self._strength(power, left)[0] < DETECTION or self._is_there(model, place[0]):
                    misses += 1
                    continue
                misses = 0
                model = model.with_point(place).with_amplitudes(self.coarse)
                model = fit_points(self.coarse, model, free=self.free, flat=self.flat, settled=ROUGH).model
                left = model.residual(self.coarse)
            if len(model.points) == before:
                break
            model = fit_points(self.coarse, model, free=self.free, flat=self.flat).model
        return model

    def _is_there(self, model: PointModel, place: np.ndarray) -> bool:
        """Whether the model has a point within half a wavelength and the resolution upwards of `place`."""
        apart = np.abs(model.points - place)
        beside = np.hypot(apart[:, 0], apart[:, 2]) < np.pi / self.seen.k0
        return bool(np.any(beside & (apart[:, 1] < 2 * self.steps[0].spacing[1])))

    def _solve(self, model: PointModel) -> Solution:
        return fit_points(self.seen, model.with_amplitudes(self.seen), free=self.free, flat=self.flat)

    # ---- outcome ----------------------------------------------------------------------------------------------

    def _reasons(self) -> dict[str, str]:
        if not len(self.pins):
            return dict(NEEDS_PIN)
        if len(self.pins) > 1:
            return {}
        centre = dict.fromkeys(("centre_x", "centre_z"), ONE_PIN["centre"])
        return {"tangential": ONE_PIN["tangential"]} if self.options.unknown == "centre" else centre

    def _crowded(self, model: PointModel) -> bool:
        """Whether what the model leaves over still holds scatterers."""
        left = model.residual(self.coarse)
        search = Search(self.coarse, left, self.steps)
        spots = search.detect(self.extent, self.heights, GUIDES, model.moves)
        powers = search.follow(spots, model.moves, flat=self.flat)[1]
        return bool(np.any(self._strength(powers, left) > 2 * DETECTION))

    def _notes(self, scan: Scan, crowded: bool) -> tuple[str, ...]:
        notes = []
        total = int(scan.valid.sum())
        if len(self.seen) < total:
            notes.append(f"{len(self.seen)} of {total} channels used, whole poses evenly drawn from all")
        if self.flat:
            notes.append(
                f"all scatterers taken at y = {self.heights[0] * 1e3:.1f} mm: antennas at one height do not tell; a "
                "scatterer higher or lower by h passes for one farther away, and the radius with it, by h^2 / 2 R"
            )
        if crowded:
            notes.append(
                "there is more in the scan than the model's scatterers: stated errors are doubled and rough; isolated "
                "reflectors, or more of --scatterers, make them better"
            )
        return tuple(notes)

    def _check_pins(self, strength: np.ndarray) -> None:
        """Refuse pins that are no stronger than noise; `strength` begins with theirs."""
        for pin, seen in zip(self.pins, strength, strict=False):
            if seen < DETECTION:
                place = ", ".join(f"{v * 1e3:.1f}" for v in pin)
                raise GeometryError(
                    f"align pin: nothing bright within {self.options.search * 1e3:.1f} mm of {place} mm, wanted a "
                    "point target there; check its place or search farther"
                )

    def _check_edges(self, solution: Solution) -> None:
        for g in self.free:
            if abs(solution.model.moves[g]) > self.options.search:
                raise GeometryError(
                    f"align rotation: {MOVES[g]} got to {solution.model.moves[g] * 1e3:.2f} mm, the edge of the search "
                    f"(+-{self.options.search * 1e3:.1f} mm); search farther or correct the poses"
                )

    def _describe(self, solution: Solution, reasons: dict[str, str], notes: tuple[str, ...]) -> RotationFit:
        recorded = np.zeros(len(MOVES))
        search = Search(self.coarse, self.coarse.data, self.steps)
        model = solution.model
        places = search.follow(model.points, recorded, flat=self.flat)[0]
        start = replace(model, points=places, moves=recorded).with_amplitudes(self.seen)
        before = fit_points(self.seen, start, free=[], flat=self.flat, settled=ROUGH)
        return RotationFit(
            nominal_radius=self.radius,
            moves=MappingProxyType(
                {
                    MOVES[g]: Estimate(value=float(model.moves[g]), sigma=float(np.hypot(solution.sigma[g], FLOOR)))
                    for g in self.free
                }
            ),
            not_fitted=MappingProxyType(reasons),
            sigma_with_bias=float(np.hypot(solution.sigma_with_bias[0], FLOOR)) if 0 in self.free else None,
            sharpness=(before.explained, solution.explained),
            scatterers=model.points,
            notes=notes,
        )
