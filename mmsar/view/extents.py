"""What figures and scenes share of a grid: its views, its outer edges in millimetres, the voxel at a point, the range.

Nothing here imports matplotlib or pyvista.
"""

import numpy as np

from mmsar.core.checks import finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid

VIEWS = (("x", "y"), ("x", "z"), ("z", "y"))
"""Horizontal and vertical axis of the front, top and side view."""
COLOURS = "viridis"
"""Of values in dB, in figures and scenes."""
STEPS = [1, 2, 2.5, 4, 5, 10]
"""Between ticks, times a power of ten."""


def checked_floor(floor: float) -> float:
    floor = finite_number("floor", floor, "dB")
    if floor >= 0:
        raise GeometryError(f"floor: got {floor:g}, wanted less than 0 [dB re peak]")
    return floor


def axis_of(name: str) -> int:
    return "zyx".index(name)


def left_over(view: tuple[str, str]) -> str:
    return next(name for name in "xyz" if name not in view)


def wide_axes(grid: ImageGrid) -> list[str]:
    """The axes with more than one voxel."""
    return [name for name, n in zip("xyz", grid.shape[::-1], strict=True) if n > 1]


def plane_of(wide: list[str]) -> tuple[str, str]:
    """The view that shows two axes."""
    return next(view for view in VIEWS if set(view) == set(wide))


def extent_mm(grid: ImageGrid, name: str) -> tuple[float, float]:
    """Outer edges of the first and last voxel [mm]."""
    low, high = grid.extent["xyz".index(name)]
    half = grid.spacing["xyz".index(name)] / 2
    return (low - half) * 1e3, (high + half) * 1e3


def nearest_voxel(grid: ImageGrid, point: tuple[float, float, float]) -> tuple[int, int, int]:
    """Index (z, y, x) of the voxel nearest to a point [m].

    Raises
    ------
    GeometryError
        A point outside the grid.
    """
    xyz = real_array("point", point, (3,), "m")
    index = np.round((xyz - grid.origin) / grid.spacing)[::-1].astype(int)
    if np.any(index < 0) or np.any(index >= grid.shape):
        limits = zip("xyz", grid.extent, strict=True)
        text = ", ".join(f"{n} {a * 1e3:g} to {b * 1e3:g}" for n, (a, b) in limits)
        got = ", ".join(f"{v * 1e3:g}" for v in xyz)
        raise GeometryError(f"point: got {got} mm, wanted it within {text} mm")
    z, y, x = (int(i) for i in index)
    return z, y, x


def place_on(grid: ImageGrid, index: tuple[int, int, int]) -> dict[str, float]:
    """Where a voxel (z, y, x) is [mm], by axis name."""
    return {name: float(getattr(grid, name)[i]) * 1e3 for name, i in zip("zyx", index, strict=True)}
