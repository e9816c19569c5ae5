"""One fit of the axis of rotation, step by step.

A row of radii, each searched from coarse to fine, gives one to start from; scatterers are then added one by one to what
the model explains, and everything is fitted together. See `rotation` for what is observable and why.
"""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mmsar.core.progress import progress as bar
from mmsar.errors import GeometryError
from mmsar.focus.observation import MOVES, Observation
from mmsar.focus.pointmodel import PointModel, Solution, energy, fit_points
from mmsar.focus.rotation_result import Estimate, RotationFit, RotationOptions
from mmsar.focus.scatterers import Search, first_spacing, levels

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


class Fitter:
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

    def result(self, total: int) -> RotationFit:
        """Everything, with the reasons of what is not fitted; `total` channels are in the scan."""
        moves = self._start()
        model = self._scatterers(moves)
        reasons = self._reasons()
        crowded = self._crowded(model)
        while True:
            solution, before = self._solve(model)
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
        return self._describe(solution, before, reasons, self._notes(total, crowded))

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
        for radial in bar(self._radii(), "align: radii", show=self.options.progress):
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
            for spot in bar(spots, "align: scatterers", show=self.options.progress):
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

    def _solve(self, model: PointModel) -> tuple[Solution, Solution]:
        """Everything fitted on all channels, and the same scatterers with the antennas where they were recorded.

        Should the second explain more, the fit was caught beside the best, and is begun again from there.
        """
        solution = fit_points(self.seen, model.with_amplitudes(self.seen), free=self.free, flat=self.flat)
        recorded = np.zeros(len(MOVES))
        search = Search(self.coarse, self.coarse.data, self.steps)
        places = search.follow(solution.model.points, recorded, flat=self.flat)[0]
        places[: model.pins] = self.pins
        start = replace(solution.model, points=places, moves=recorded).with_amplitudes(self.seen)
        before = fit_points(self.seen, start, free=[], flat=self.flat, settled=ROUGH)
        if before.explained > solution.explained:
            again = fit_points(self.seen, before.model, free=self.free, flat=self.flat)
            solution = max(solution, again, key=lambda s: s.explained)
        return solution, before

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

    def _notes(self, total: int, crowded: bool) -> tuple[str, ...]:
        notes = []
        if len(self.seen) < total:
            notes.append(f"{len(self.seen)} of {total} channels used, whole poses evenly drawn from all")
        if self.flat:
            notes.append(
                f"all scatterers taken at y = {self.heights[0] * 1e3:.1f} mm: antennas at one height do not tell; a "
                "scatterer higher or lower by h passes for one farther away, and the radius with it, by h^2 / 2 R: "
                f"{self._off_plane() * 1e3:.2f} mm of the stated error, for {self.options.off_plane * 1e3:.1f} mm"
            )
        if crowded:
            notes.append(
                "there is more in the scan than the model's scatterers: stated errors are doubled and rough; isolated "
                "reflectors, or more of --scatterers, make them better"
            )
        return tuple(notes)

    def _off_plane(self) -> float:
        """Error of the radius from scatterers off the plane of antennas at one height [m]."""
        return self.options.off_plane**2 / (2 * self.radius)

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

    def _describe(
        self, solution: Solution, before: Solution, reasons: dict[str, str], notes: tuple[str, ...]
    ) -> RotationFit:
        model = solution.model
        floor = np.full(len(MOVES), FLOOR)
        if self.flat and len(model.points) > model.pins:
            floor[0] = np.hypot(FLOOR, self._off_plane())
        return RotationFit(
            nominal_radius=self.radius,
            moves=MappingProxyType(
                {
                    MOVES[g]: Estimate(value=float(model.moves[g]), sigma=float(np.hypot(solution.sigma[g], floor[g])))
                    for g in self.free
                }
            ),
            not_fitted=MappingProxyType(reasons),
            sigma_with_bias=float(np.hypot(solution.sigma_with_bias[0], floor[0])) if 0 in self.free else None,
            sharpness=(before.explained, solution.explained),
            scatterers=model.points,
            notes=notes,
        )
