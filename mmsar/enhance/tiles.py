"""Covering a long axis with overlapping tiles, and the weights with which their results are added up.

A tile is wrong within `halo` of an edge that is not the end of the axis: the weight is 0 there, then rises linearly
over `ramp` pixels to 1. The weights of all tiles add up to 1 after division by their sum.
"""

import numpy as np

from mmsar.errors import MmsarError


def spans(length: int, *, tile: int, halo: int, ramp: int) -> list[tuple[slice, np.ndarray]]:
    """Tiles along one axis and the weights of their pixels.

    Parameters
    ----------
    length : int
        Pixels of the axis, a multiple of `ramp`.
    tile, halo, ramp : int
        Pixels of a tile, of its edge that is dropped, and of the transition; multiples of `ramp`.

    Returns
    -------
    list of (slice, ndarray)
        One whole tile when `length` is at most `tile`; otherwise all of the length `tile`. Weights float32, summing
        to 1 over the tiles at every pixel.

    Raises
    ------
    MmsarError
        A tile too small to have a middle.
    """
    if length <= tile:
        return [(slice(0, length), np.ones(length, dtype=np.float32))]
    step = tile - 2 * halo - ramp
    if step <= 0:
        raise MmsarError(f"tile: got {tile} pixels, wanted at least {2 * (halo + ramp)} for a halo of {halo}")
    starts = [*range(0, length - tile, step), length - tile]
    inward = np.clip((np.arange(tile) - halo + 0.5) / ramp, 0, 1)
    weights = []
    for start in starts:
        rising = inward if start > 0 else 1.0
        falling = inward[::-1] if start + tile < length else 1.0
        weights.append(np.ones(tile) * rising * falling)
    total = np.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + tile] += weight
    parts = [slice(start, start + tile) for start in starts]
    return [(part, (w / total[part]).astype(np.float32)) for part, w in zip(parts, weights, strict=True)]
