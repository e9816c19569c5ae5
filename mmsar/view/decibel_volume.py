"""The volume that is drawn: decibels in eight bits, small enough for the memory at hand, placed in millimetres.

Level v of 0 to 255 stands for floor (1 - v / 255) dB relative to the peak: 0 is the floor or below it, 255 the peak.
Where an image has more voxels than may be drawn, blocks of voxels are replaced by their largest, so that a point stays
as bright as it is.

The image is read once, slab by slab. The peak is known at the end only; until then a magnitude is kept as the upper
half of its float32 (sign, exponent and 8 bits of the mantissa, of which the sign is always 0 and shifted out): 16 bits
that rise with it, true to 2^-9 of it or 0.02 dB. A table of 2^16 entries then turns them into levels, without a
logarithm of each voxel.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmsar.core.checks import positive_int
from mmsar.core.progress import progress
from mmsar.errors import FormatError, GeometryError
from mmsar.io.image_h5 import ImageFile
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.view.extents import checked_floor, extent_mm, wide_axes

if TYPE_CHECKING:
    import pyvista

LARGEST = 512**3
"""Voxels drawn in a picture: 134 MB at one byte each."""
DRAGGED = 128**3
"""Voxels drawn while the camera moves."""
TOP = 255
"""Level of the peak."""
SLAB = 1 << 22
"""Bytes of an image that are worked on at once, or one plane of it where that is larger."""
KEPT = 15
"""Bits of a float32 magnitude that are not kept."""
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
    peak: tuple[int, int, int]
    """Where the image is brightest: index (z, y, x) of its voxel."""

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

    def reduced(self, max_voxels: int) -> "DecibelVolume":
        """The same with at most so many voxels, at least 8: blocks of them, each as its largest."""
        steps = block_steps(self.grid.shape, max_voxels)
        return replace(self, levels=largest(self.levels, steps), grid=blocks_of(self.grid, steps))

    def level(self, decibel: float) -> float:
        """The level, not rounded, of a value in dB relative to the peak."""
        return TOP * (1 - decibel / self.floor)

    def decibel(self, level: float) -> float:
        """The value of a level [dB re peak]."""
        return self.floor * (1 - level / TOP)


def decibel_volume(image: Image | ImageFile, *, floor: float = -30.0, max_voxels: int = LARGEST) -> DecibelVolume:
    """The volume to draw of an image; beside the result it takes two bytes a voxel for a while, and a slab.

    Parameters
    ----------
    image : Image or ImageFile
        With at least two voxels along each axis. Its peak is 0 dB; where all of it is zero, so are the levels.
    floor : float
        Lower end of the range [dB], below 0.
    max_voxels : int
        Blocks are made as small as keeps to this number, at least 8.

    Raises
    ------
    GeometryError
        An image with a single voxel along an axis, a floor that is not below 0.
    FormatError
        A file that cannot be read or holds NaN or infinite voxels.
    """
    floor = checked_floor(floor)
    flat = [name for name in "xyz" if name not in wide_axes(image.grid)]
    if flat:
        raise GeometryError(
            f"view in 3-D: got an image with one voxel along {' and '.join(flat)}, wanted two or more; "
            "without --3d it is drawn as a plane"
        )
    steps = block_steps(image.grid.shape, max_voxels)
    kept, peak, at, first = [], -1.0, (0, 0, 0), 0
    slabs = _slabs(image, steps[0])
    for slab in progress(slabs, "reading") if image.grid.n_voxels > LARGEST else slabs:
        magnitude = np.abs(slab)
        brightest = np.unravel_index(int(magnitude.argmax()), slab.shape)
        value = float(magnitude[brightest])
        if not np.isfinite(value):  # NaN counts as the largest
            name = f"{image.path}: Image.data" if isinstance(image, ImageFile) else "Image.data"
            raise FormatError(f"{name}: got NaN or infinite voxels, wanted finite numbers")
        if value > peak:
            peak, at = value, (first + int(brightest[0]), int(brightest[1]), int(brightest[2]))
        first += len(slab)
        kept.append(largest((magnitude.view(np.uint32) >> KEPT).astype(np.uint16), steps))
    table = _levels_of(peak, floor)
    grid = blocks_of(image.grid, steps)
    levels, z = np.empty(grid.shape, dtype=np.uint8), 0
    while kept:
        codes = kept.pop(0)
        np.take(table, codes, out=levels[z : z + len(codes)], mode="wrap")  # without a mode, take works on a copy
        z += len(codes)
    bounds = tuple(edge for name in "xyz" for edge in extent_mm(image.grid, name))
    return DecibelVolume(levels=levels, grid=grid, bounds=bounds, floor=floor, peak=at)


def _slabs(image: Image | ImageFile, step: int) -> Iterator[np.ndarray]:
    """The samples in slabs of whole blocks of `step` planes."""
    n = -(-max(1, SLAB // (8 * image.grid.shape[1] * image.grid.shape[2])) // step) * step
    if isinstance(image, Image):
        return (image.data[first : first + n] for first in range(0, image.grid.shape[0], n))
    return image.slabs(n)


def _levels_of(peak: float, floor: float) -> np.ndarray:
    """The level of every 16-bit magnitude, (2^16,) uint8."""
    codes = np.arange(1 << 16, dtype=np.uint32)
    if peak <= 0:
        return np.zeros(len(codes), dtype=np.uint8)
    with np.errstate(divide="ignore", invalid="ignore"):  # some codes are those of no number
        magnitude = ((codes << KEPT) | (1 << (KEPT - 1))).view(np.float32).astype(np.float64)
        magnitude[0] = 0
        share = 1 - 20 * np.log10(magnitude / peak) / floor
    return np.rint(TOP * np.clip(np.nan_to_num(share, nan=1, posinf=1, neginf=0), 0, 1)).astype(np.uint8)


def largest(values: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
    """The largest of each block of so many values along each axis; the last blocks may be smaller."""
    for axis, step in enumerate(steps):
        if step > 1:
            values = np.maximum.reduceat(values, np.arange(0, values.shape[axis], step), axis=axis)
    return values


def blocks_of(grid: ImageGrid, steps: tuple[int, int, int]) -> ImageGrid:
    """The grid of the middles of blocks of so many voxels along z, y and x."""
    shape = tuple(-(-n // step) for n, step in zip(grid.shape, steps, strict=True))
    spacing = tuple(s * step for s, step in zip(grid.spacing, steps[::-1], strict=True))
    origin = tuple(o + s * (n - 1) / 2 for o, s, n in zip(grid.origin, grid.spacing, steps[::-1], strict=True))
    return ImageGrid(shape=shape, origin=origin, spacing=spacing)


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
