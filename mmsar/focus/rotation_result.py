"""What a fit of the axis of rotation is asked and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number, one_of, positive_int

SIGNIFICANT = 2.0
"""A move of fewer standard errors is not told from none."""


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
    off_plane: float = 10e-3
    """How far off the antennas' plane scatterers may be where one height of antennas does not tell [m]."""
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
        finite_number("RotationOptions.off_plane", self.off_plane, "m", above=0.0)
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
    def significant(self) -> bool:
        """Whether any move is at least `SIGNIFICANT` standard errors."""
        return any(abs(found.value) >= SIGNIFICANT * found.sigma for found in self.moves.values())

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
