"""How a scene in three dimensions is to look: what is drawn of the image, in which range, from where.

Cameras, with y upwards unless said: `oblique` from behind the target, to the right and above; `front` facing the
aperture as in the figures (x to the right); `radar` from the antennas (x to the left); `side` from the left (z to the
right); `top` from above (x to the right, the radar at the upper edge).
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number, one_of, real_array
from mmsar.errors import GeometryError
from mmsar.view.extents import checked_floor

KINDS = ("volume", "iso", "slices3d", "points")
CAMERAS = {
    "oblique": ((0.5, 0.35, 0.8), (0.0, 1.0, 0.0)),
    "front": ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    "radar": ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    "side": ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "top": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}
"""Name -> direction from the middle of the scene to the camera, and which way is up (x, y, z)."""
LEVELS = (-20.0, -10.0, -3.0)
"""Isosurfaces [dB re peak], where the range reaches as low."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is drawn, and from where.

    Raises
    ------
    GeometryError
        An unknown kind or camera, a floor that is not below 0, levels that are not between floor and 0.
    """

    kind: str = "volume"
    """volume, iso, slices3d or points."""
    floor: float = -30.0
    """Lower end of the range [dB re peak]."""
    levels: tuple[float, ...] = ()
    """Isosurfaces [dB re peak]; the lowest is also where points begin. Default: see `iso_levels`, `points_from`."""
    point: tuple[float, float, float] | None = None
    """Where to slice (x, y, z) [m]; default: the brightest voxel."""
    camera: str = "oblique"
    """One of `CAMERAS`."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("camera", self.camera, tuple(CAMERAS))
        checked_floor(self.floor)
        levels = tuple(sorted({finite_number("levels", level, "dB re peak") for level in self.levels}))
        if any(not self.floor < level < 0 for level in levels):
            got = ", ".join(f"{level:g}" for level in levels)
            raise GeometryError(f"levels: got {got} dB, wanted values between the floor ({self.floor:g} dB) and 0")
        object.__setattr__(self, "levels", levels)
        if self.point is not None:
            object.__setattr__(self, "point", tuple(float(v) for v in real_array("point", self.point, (3,), "m")))

    @property
    def iso_levels(self) -> tuple[float, ...]:
        """Isosurfaces [dB re peak], lowest first: those asked for, else -20, -10 and -3 above the floor."""
        return self.levels or tuple(level for level in LEVELS if level > self.floor) or (self.floor / 2,)

    @property
    def points_from(self) -> float:
        """Voxels from here on are points [dB re peak]: the lowest level asked for, else two thirds of the floor."""
        return self.levels[0] if self.levels else self.floor * 2 / 3


def turned(vector: np.ndarray, angle: float) -> np.ndarray:
    """A vector (3,) turned about the y axis by an angle [rad]."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ vector
