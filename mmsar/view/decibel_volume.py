"""The volume that is drawn: decibels in eight bits, small enough for the memory at hand, placed in millimetres.

Level v of 0 to 255 stands for floor (1 - v / 255) dB relative to the peak: 0 is the floor or below it, 255 the peak.
Where an image has more voxels than may be drawn, blocks of voxels are replaced by their largest, so that a point stays
as bright as it is.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmsar.core.checks import positive_int
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.view.panels import checked_floor, extent_mm, wide_axes

if TYPE_CHECKING:
    import pyvista

LARGEST = 512**3
"""Voxels drawn in a picture: 134 MB at one byte each."""
DRAGGED = 128**3
"""Voxels drawn while the camera moves."""
TOP = 255
"""Level of the peak."""
ARRAY = "level"
"""Name of the levels in the pyvista grid."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DecibelVolume:
    """An image as it is drawn."""

    levels: np.ndarray
    """uint8, (n_z, n_y, n_x)."""
    grid: ImageGrid
    """Where these voxels are: the image's, or that of its blocks."""
    bounds: tuple[float, float, float, float, float, float]
    """Outer edges of the image's voxels: x, x, y, y, z, z [mm]."""
    floor: float
    """Lower end of the range [dB], below 0."""

    def to_pyvista(self) -> "pyvista.ImageData":
        """The levels at their points in millimetres; the bytes are shared, not copied."""
        import pyvista

        volume = pyvista.ImageData(
            dimensions=self.grid.shape[::-1],
            spacing=tuple(1e3 * s for s in self.grid.spacing),
            origin=tuple(1e3 * o for o in self.grid.origin),
        )
        volume.point_data.set_array(self.levels.reshape(-1), ARRAY)
        volume.set_active_scalars(ARRAY)
        return volume

    def level(self, decibel: float) -> float:
        """The level, not rounded, of a value in dB relative to the peak."""
        return TOP * (1 - decibel / self.floor)


def decibel_volume(image: Image, *, floor: float = -30.0, max_voxels: int = LARGEST) -> DecibelVolume:
    """The volume to draw of an image, made plane by plane: beside the result it takes the memory of a few planes.

    Parameters
    ----------
    image : Image
        With at least two voxels along each axis. Its peak is 0 dB.
    floor : float
        Lower end of the range [dB], below 0.
    max_voxels : int
        Blocks are made as small as keeps to this number, at least 8.

    Raises
    ------
    GeometryError
        An image with a single voxel along an axis, a floor that is not below 0.
    """
    floor = checked_floor(floor)
    flat = [name for name in "xyz" if name not in wide_axes(image.grid)]
    if flat:
        raise GeometryError(
            f"view in 3-D: got an image with one voxel along {' and '.join(flat)}, wanted two or more; "
            "without --3d it is drawn as a plane"
        )
    steps = block_steps(image.grid.shape, max_voxels)
    shape = tuple(-(-n // step) for n, step in zip(image.grid.shape, steps, strict=True))
    levels = np.zeros(shape, dtype=np.uint8)
    peak = max(float(np.abs(plane).max()) for plane in image.data)
    if peak > 0:
        for i in range(shape[0]):
            block = np.abs(image.data[i * steps[0] : (i + 1) * steps[0]]).max(axis=0)
            for axis in (0, 1):
                if steps[axis + 1] > 1:
                    starts = np.arange(0, block.shape[axis], steps[axis + 1])
                    block = np.maximum.reduceat(block, starts, axis=axis)
            decibel = 20 * np.log10(np.maximum(block / np.float32(peak), np.float32(10 ** (floor / 20))))
            levels[i] = np.rint(TOP * np.clip(1 - decibel / np.float32(floor), 0, 1))
    spacing = tuple(s * step for s, step in zip(image.grid.spacing, steps[::-1], strict=True))
    origin = tuple(
        o + s * (step - 1) / 2 for o, s, step in zip(image.grid.origin, image.grid.spacing, steps[::-1], strict=True)
    )
    bounds = tuple(edge for name in "xyz" for edge in extent_mm(image.grid, name))
    grid = ImageGrid(shape=shape, origin=origin, spacing=spacing)
    return DecibelVolume(levels=levels, grid=grid, bounds=bounds, floor=floor)


def block_steps(shape: tuple[int, int, int], max_voxels: int) -> tuple[int, int, int]:
    """Voxels per block along each axis: the longest axis is thinned first, none to fewer than two blocks."""
    if positive_int("max_voxels", max_voxels) < 8:
        raise GeometryError(f"max_voxels: got {max_voxels}, wanted at least 8")
    steps = [1, 1, 1]

    def blocks() -> list[int]:
        return [-(-n // step) for n, step in zip(shape, steps, strict=True)]

    while np.prod(counts := blocks(), dtype=float) > max_voxels:
        longest = int(np.argmax(counts))
        steps[longest] += 1
        while blocks()[longest] == counts[longest]:
            steps[longest] += 1
    return steps[0], steps[1], steps[2]


def opacity_ramp(low: float = 0.0) -> np.ndarray:
    """Opacity of the 256 levels in one unit of distance, (256,) float in [0, 1].

    Nothing is drawn at the floor; above it opacity rises with the square of the level, from a haze to nearly solid, so
    that weak targets are seen and do not hide strong ones.

    Parameters
    ----------
    low : float
        Level below which nothing is drawn, 0 to 255.
    """
    level = np.arange(TOP + 1)
    share = np.clip((level - low) / (TOP - low), 0, 1)
    ramp = 0.02 * np.minimum(1, 10 * share) + 0.78 * share**2
    ramp[share <= 0] = 0
    return ramp


def unit_distance(grid: ImageGrid) -> float:
    """Distance in which the opacity of the ramp is reached [mm]: two voxels, the width of a resolution cell."""
    return 2e3 * float(np.prod(grid.spacing)) ** (1 / 3)
