r"""Sharpness without a reference: entropy and contrast of |I|^2, and the width of an edge."""

import numpy as np

from mmsar.core.checks import real_array
from mmsar.errors import GeometryError
from mmsar.model.image import Image


def intensity(name: str, image: Image | np.ndarray) -> np.ndarray:
    """|I|^2 relative to its largest value, float64, of the image's shape.

    Raises
    ------
    GeometryError
        An image that is empty, zero everywhere or not finite; `name` is in the message.
    """
    magnitude = np.abs(np.asarray(image.data if isinstance(image, Image) else image)).astype(np.float64)
    if magnitude.size == 0 or not np.isfinite(magnitude).all():
        raise GeometryError(f"{name}: got an image that is empty or not finite, wanted finite voxels")
    peak = magnitude.max()
    if peak == 0:
        raise GeometryError(f"{name}: got an image that is zero everywhere, wanted something in it")
    return (magnitude / peak) ** 2


def entropy(image: Image | np.ndarray) -> float:
    """Shannon entropy -sum p ln p with p = |I|^2 / sum |I|^2 over all voxels [nat].

    0 for a single bright voxel, ln(n) for n equal voxels: low is sharp. Independent of scale and phase; compare only
    images on the same grid.

    Raises
    ------
    GeometryError
        An image that is zero everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from mmsar.metrics import entropy
    >>> round(entropy(np.ones(100)), 2)  # ln(100)
    4.61
    """
    p = intensity("entropy", image)
    p = p[p > 0]
    p = p / p.sum()
    return float(-(p * np.log(p)).sum())


def contrast(image: Image | np.ndarray) -> float:
    """Standard deviation over mean of |I|^2, over all voxels: high is sharp; 0 for a uniform image.

    Raises
    ------
    GeometryError
        An image that is zero everywhere.
    """
    p = intensity("contrast", image)
    return float(p.std() / p.mean())


def edge_width(
    position: np.ndarray,
    profile: np.ndarray,
    *,
    low: float = 0.1,
    high: float = 0.9,
    levels: tuple[float, float] | None = None,
) -> float:
    """Distance over which an edge rises (or falls) from `low` to `high` of the step: the 10-90 % width.

    Parameters
    ----------
    position : array_like
        Positions along the cut [m], (n,), increasing.
    profile : array_like
        Magnitudes along it, (n,), with one edge from a dark to a bright side or back. Where noise crosses a level more
        than once, the crossings next to the middle of the edge count.
    low, high : float
        Fractions of the step.
    levels : (dark, bright), optional
        Magnitudes of the two sides. Default: smallest and largest of the profile.

    Returns
    -------
    float
        Width [m], linear between samples; nan when the profile does not reach both levels.

    Raises
    ------
    GeometryError
        Positions that do not increase, fractions out of order, levels that are equal.
    """
    position = real_array("edge_width position", position, (None,), "m")
    profile = real_array("edge_width profile", np.abs(profile), position.shape, "1")
    dark, bright = (profile.min(), profile.max()) if levels is None else levels
    if len(position) < 2 or np.any(np.diff(position) <= 0):
        raise GeometryError("edge_width position: got positions that do not increase, wanted two or more that do")
    if not 0 <= low < high <= 1:
        raise GeometryError(f"edge_width: got fractions {low:g} and {high:g}, wanted 0 <= low < high <= 1")
    if not bright > dark:
        raise GeometryError(f"edge_width levels: got {dark:g} and {bright:g}, wanted a bright level above the dark one")
    step = (profile - dark) / (bright - dark)
    if np.argmax(step) < np.argmin(step):
        step, position = step[::-1], -position[::-1]
    middle = (low + high) / 2
    rises = np.flatnonzero((step[:-1] < middle) & (step[1:] >= middle))
    if rises.size == 0:
        return float("nan")
    at = int(rises[np.argmax(step[rises + 1] - step[rises])])
    below, above = np.flatnonzero(step[: at + 1] <= low), np.flatnonzero(step[at + 1 :] >= high)
    if below.size == 0 or above.size == 0:
        return float("nan")
    first, last = int(below[-1]), at + 1 + int(above[0])
    return float(_crossing(position, step, last - 1, high) - _crossing(position, step, first, low))


def _crossing(position: np.ndarray, step: np.ndarray, i: int, level: float) -> float:
    """Where the line from sample i to i + 1 crosses the level."""
    fraction = (level - step[i]) / (step[i + 1] - step[i])
    return float(position[i] + fraction * (position[i + 1] - position[i]))
