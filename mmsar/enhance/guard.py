"""Checks of an enhanced image against invention: what differs from the input, from turn to turn, from the training.

- `disagreement`: the same image in its eight turns and mirrorings should come out the same; where it does not, the
  network guesses. The standard deviation over the turns, pixel by pixel.
- `invented`: bright blobs where the input has nothing above its own noise and sidelobes.
- `unlike`: the input's statistics against those of the training images, by Mahalanobis distance.

What the measured echoes say of an enhanced image is in `mmsar.enhance.consistency`. None of these proves that an image
is right: a network that turns noise into a likely shape at a likely place passes the first, one that deletes passes
the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import check_shape
from mmsar.core.progress import progress
from mmsar.enhance.infer import Enhancer, enhance, pixel_ratio
from mmsar.enhance.resample import resample, resized
from mmsar.enhance.score import local_maxima
from mmsar.enhance.statistics import distance, features, loudest
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image

TURNS = 8
LOUD = 10 ** (-20 / 20)
"""Amplitude relative to the peak from which a blob of the enhanced image is looked at."""
RAISED = 3.0
"""Up to this factor relative to the peaks a blob is as bright as it was in the input."""
STANDS_OUT = 1.5
"""Amplitude over the ground (see `invented`) from which the input has something at a place."""
GROUND = 95.0
"""The ground is this percentile of the input's magnitude around a place."""
MEDIAN_TO_GROUND = float(np.sqrt(np.log(20) / np.log(2)))
"""From median to 95th percentile of speckle: for strips along x and y, where the sidelobes of an aperture lie."""
NEAR = (1.5e-3, 2)
"""A blob may have moved by this much, the larger of the two [m, pixels]."""
AROUND = (24e-3, 24)
"""Half side of the square in which the ground is measured, the larger of the two [m, pixels]."""
COARSE = 2.0
"""From this ratio of pixel sizes on, what a network draws falls between the pixels of the image."""

Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """How much an enhanced image depends on how the input lies."""

    map: Image
    """Standard deviation over the turns relative to the peak of their mean, on the grid of the image."""
    relative: float
    """RMS of the standard deviation over RMS of the mean, 0 for a network that turns with its input."""
    largest: float
    """Largest value of the map."""
    place: Point
    """Where it is (x, y, z) [m]."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A local maximum of an enhanced image."""

    place: Point
    """Where it is (x, y, z) [m]."""
    level_db: float
    """In the enhanced image, relative to its peak [dB]."""
    before_db: float
    """Largest magnitude of the input there, relative to the input's peak [dB]."""


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """Distance of an image from those a network was trained on."""

    distance: float
    """Mahalanobis distance."""
    limit: float
    """Distance that 99 % of the training images keep."""
    name: str
    """The statistic furthest out, of `mmsar.enhance.statistics`."""
    value: float
    """What it is."""
    mean: float
    """What it was in training, on average."""
    deviation: float
    """And its standard deviation there."""

    @property
    def outlying(self) -> bool:
        """Whether the distance is above the limit."""
        return self.distance > self.limit


def disagreement(image: Image, enhancer: Enhancer, *, blend: float = 1.0, show: bool | None = False) -> Disagreement:
    """Enhance an image in its eight turns and mirrorings in the plane of the slices, and compare.

    Parameters
    ----------
    image, enhancer, blend, show
        As for `mmsar.enhance.infer.enhance`, whose errors it raises.
    """
    total, squares = np.zeros((2, *image.data.shape), dtype=np.float32)
    for turn in progress(range(TURNS), "turns", show=show):
        magnitude = _back(enhance(_turned(image, turn), enhancer, blend=blend).data, turn)
        if turn == 0:
            first = magnitude
        difference = magnitude - first
        total += difference
        squares += difference**2
    mean = first + total / TURNS
    deviation = np.sqrt(np.maximum(squares / TURNS - (total / TURNS) ** 2, 0))
    peak, power = float(mean.max()), float(np.mean(mean**2, dtype=np.float64))
    values = deviation / np.float32(peak) if peak > 0 else deviation
    step = {
        "step": "disagreement of turns",
        "method": enhancer.name,
        "blend": float(blend),
        "version": __version__,
        "sha256": enhancer.sha256,
    }
    return Disagreement(
        map=Image(data=values, grid=image.grid, history=(*image.history, step)),
        relative=float(np.sqrt(np.mean(deviation**2, dtype=np.float64) / power)) if power > 0 else 0.0,
        largest=float(values.max()),
        place=_place(image.grid, np.unravel_index(int(np.argmax(values)), values.shape)),
    )


def invented(enhancer: Callable[[Image], Image], image: Image) -> list[Blob]:
    """Blobs of the enhanced image where the input has nothing, as on a phantom of points where that is known.

    A local maximum above -20 dB of the enhanced peak counts as invented when, within 1.5 mm (and 2 pixels) of it in the
    same slice, the input is neither a third as bright relative to its own peak, nor 1.5 times above its ground, the
    level of noise, speckle and sidelobes there. That is the 95th percentile of its magnitude in the square within 24 mm
    (and 24 pixels), or what speckle of their median would have in the strips along x and y, whichever is most. So a
    true target that the input shows only below its sidelobes counts too, and in an image that is bright all over, as
    with wrong positions, little can be told.

    Parameters
    ----------
    enhancer : callable
        Image to enhanced image on the same grid, as `functools.partial(enhance, enhancer=...)`.
    image : Image
        As reconstructed.

    Returns
    -------
    list of Blob
        The brightest first.
    """
    return new_blobs(image, enhancer(image))


def new_blobs(before: Image, after: Image) -> list[Blob]:
    """What `invented` says of an image and what was made of it.

    Raises
    ------
    GeometryError
        Images of different shape.
    """
    check_shape("enhanced image", after.data.shape, before.data.shape)
    old, new = before.magnitude(), after.magnitude()
    old_peak, new_peak = float(old.max()), float(new.max())
    if new_peak == 0:
        return []
    step = before.grid.spacing[1::-1]
    near, around = ([max(int(np.ceil(size / d)), pixels) for d in step] for size, pixels in (NEAR, AROUND))
    found = []
    for z, y, x in _maxima(new, near, LOUD * new_peak):
        level = float(new[z, y, x]) / new_peak
        there = float(_box(old[z], (y, x), near).max())
        before_level = there / old_peak if old_peak > 0 else 0.0
        if RAISED * before_level >= level:
            continue
        if there > STANDS_OUT * _ground(old[z], (y, x), near, around):
            continue
        level_db, before_db = (20 * float(np.log10(max(v, 1e-6))) for v in (level, before_level))
        found.append(Blob(place=_place(before.grid, (z, y, x)), level_db=level_db, before_db=before_db))
    return sorted(found, key=lambda blob: -blob.level_db)


def unlike(image: Image, enhancer: Enhancer) -> Unlike | None:
    """The distance of an image, as the network sees it, from the training images.

    Returns
    -------
    Unlike or None
        None when the network's file holds no statistics, or the image is zero everywhere.
    """
    magnitude = image.magnitude()
    if enhancer.statistics is None or not magnitude.any():
        return None
    plane = loudest(magnitude)[None]
    ratio = pixel_ratio(image, enhancer)
    values = features(resample(plane, resized(plane.shape[1:], ratio), ratio))
    found, name = distance(values, enhancer.statistics)
    index = enhancer.statistics["names"].index(name)
    return Unlike(
        distance=found,
        limit=float(enhancer.statistics["limit"]),
        name=name,
        value=float(values[index]),
        mean=float(enhancer.statistics["mean"][index]),
        deviation=float(np.sqrt(enhancer.statistics["covariance"][index][index])),
    )


def pixel_warning(image: Image, enhancer: Enhancer) -> str | None:
    """One line when the pixels of an image do not suit a network, None when they do or when its file names no size."""
    if enhancer.spacing is None:
        return None
    trained, sizes = enhancer.spacing * 1e3, [d * 1e3 for d in image.grid.spacing[:2]]
    got = " x ".join(f"{size:.3g}" for size in sizes)
    advice = f"reconstruct with --spacing {trained:.2g} along x and y"
    if max(sizes) > COARSE * trained:
        return (
            f"pixels of {got} mm (x, y) are coarse for {enhancer.name}, which draws in pixels of {trained:.2g} mm: "
            f"peaks fall between them; {advice}"
        )
    if enhancer.inputs == "complex" and not all(1 / COARSE <= size / trained for size in sizes):
        return f"{enhancer.name} was trained on pixels of {trained:.2g} mm, got {got} mm (x, y); {advice}"
    return None


def _turned(image: Image, turn: int) -> Image:
    data = np.rot90(image.data, turn % 4, axes=(1, 2))
    x, y, z = image.grid.spacing
    spacing = (y, x, z) if turn % 2 else (x, y, z)
    data = np.ascontiguousarray(data[:, :, ::-1] if turn >= 4 else data)
    grid = ImageGrid(shape=data.shape, origin=image.grid.origin, spacing=spacing)
    return Image(data=data, grid=grid, history=image.history)


def _back(data: np.ndarray, turn: int) -> np.ndarray:
    return np.rot90(data[:, :, ::-1] if turn >= 4 else data, -(turn % 4), axes=(1, 2))


def _maxima(volume: np.ndarray, near: list[int], least: float) -> list[tuple[int, int, int]]:
    """Indices of local maxima above `least`; a plateau counts once, in its middle."""
    from scipy.ndimage import label

    box = np.ones((3, 2 * near[0] + 1, 2 * near[1] + 1), dtype=bool)
    top = (volume >= least) & local_maxima(volume, box)
    marked, count = label(top, structure=np.ones((3, 3, 3)))
    places, owner = np.argwhere(top), marked[top]
    size_of = np.bincount(owner, minlength=count + 1)[1:]
    middle = np.stack([np.bincount(owner, places[:, axis], count + 1)[1:] / size_of for axis in range(3)], axis=1)
    away = ((places - middle[owner - 1]) ** 2).sum(axis=1)
    order = np.lexsort((away, owner))
    _, first = np.unique(owner[order], return_index=True)
    return [tuple(int(i) for i in places[order[n]]) for n in first]


def _box(plane: np.ndarray, at: tuple[int, int], half: Sequence[int]) -> np.ndarray:
    return plane[tuple(slice(max(i - h, 0), i + h + 1) for i, h in zip(at, half, strict=True))]


def _ground(plane: np.ndarray, at: tuple[int, int], near: list[int], around: list[int]) -> float:
    """Level of noise, speckle and sidelobes around a place, as the 95th percentile, without the place itself."""
    y, x = (np.abs(np.arange(n) - i) for n, i in zip(plane.shape, at, strict=True))
    outside = (y[:, None] > near[0]) | (x[None, :] > near[1])
    strips = ((near[0], around[1]), (around[0], near[1]))
    found = [0.0]
    for half, percent, factor in ((around, GROUND, 1.0), *((strip, 50.0, MEDIAN_TO_GROUND) for strip in strips)):
        values = _box(plane, at, half)[_box(outside, at, half)]
        if values.size:
            found.append(factor * float(np.percentile(values, percent)))
    return max(found)


def _place(grid: ImageGrid, index: tuple[int, ...]) -> Point:
    z, y, x = (int(i) for i in index)
    return (float(grid.x[x]), float(grid.y[y]), float(grid.z[z]))
