"""From stage coordinates to poses of the board in the world.

World: right-handed, y up, planar apertures look along +z; the turntable's axis is y. A planar stage carries the radar:
the board stands at the stage's coordinates, centred, with signs where an axis of the stage runs the other way. A
turntable carries the target: in the target's own frame the radar goes round it, and a target turned by theta about +y
sees the board at the angle a = start + theta, at (R cos a, y, R sin a), looking at the axis.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.model.rotation import poses_round_y


@dataclass(frozen=True, kw_only=True)
class PlanarWorld:
    """A radar carried by a stage with the axes x and, possibly, y and z."""

    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Stage coordinates that are the world's origin [m]."""
    sign: tuple[int, int, int] = (1, 1, 1)
    """+1 or -1 for every axis: -1 where the stage counts the other way than the world."""
    z: float = 0.0
    """World z of the aperture plane [m]."""

    def poses(self, place: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 3) [m] and rotations (n, 4) of the board at stage coordinates, each (n,) [m]."""
        n = _length(place, ("x", "y", "z"))
        position = np.zeros((n, 3))
        for index, axis in enumerate("xyz"):
            if axis in place:
                position[:, index] = self.sign[index] * (np.asarray(place[axis], float) - self.centre[index])
        position[:, 2] += self.z
        return position, np.tile([0.0, 0.0, 0.0, 1.0], (n, 1))


@dataclass(frozen=True, kw_only=True)
class CylinderWorld:
    """A target on a turntable, before a radar that may move up and down."""

    radius: float
    """Distance of the board's origin from the axis [m]."""
    start: float = -np.pi / 2
    """Board angle at stage angle 0 [rad]; -pi/2 looks along +z."""
    direction: int = 1
    """+1 when a growing stage angle turns the target about +y (counter-clockwise seen from above), else -1."""
    height: float = 0.0
    """Stage coordinate y that is the world's y = 0 [m]."""

    def __post_init__(self) -> None:
        finite_number("CylinderWorld.radius", self.radius, "m", above=0.0)
        if self.direction not in (1, -1):
            raise GeometryError(f"CylinderWorld.direction: got {self.direction!r}, wanted +1 or -1")

    def poses(self, place: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 3) [m] and rotations (n, 4) of the board at stage angles [rad] and heights y [m]."""
        n = _length(place, ("angle", "y"))
        a = self.start + self.direction * np.asarray(place["angle"], float)
        y = np.asarray(place.get("y", np.full(n, self.height)), float) - self.height
        return poses_round_y(a, y, self.radius)


def _length(place: Mapping[str, np.ndarray], known: tuple[str, ...]) -> int:
    strange = [axis for axis in place if axis not in known]
    if strange or not place:
        raise GeometryError(f"stage axes: got {', '.join(place) or 'none'}, wanted some of {', '.join(known)}")
    lengths = {len(real_array(f"stage {axis}", value, (None,), "m or rad")) for axis, value in place.items()}
    if len(lengths) != 1:
        raise GeometryError(f"stage axes: got {sorted(lengths)} positions, wanted as many for every axis")
    return lengths.pop()
