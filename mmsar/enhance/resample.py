"""Slices taken to the pixel size a network was trained on, and back, by cubic splines of the magnitude.

The magnitude of an image that resolves its aperture (pixels of at most half a resolution cell) is smooth from pixel to
pixel, while its phase may turn by more than pi; so the magnitude is what can be interpolated. Both grids have the same
centre, and the network's covers the image's.
"""

import numpy as np

NEAR = 1.1
"""Pixel sizes within this ratio count as the same."""


def factors(spacing: tuple[float, float], trained: float | None) -> tuple[float, float]:
    """Pixel size over the trained one along (y, x), 1 where they are nearly the same or the trained one is unknown."""
    if trained is None:
        return (1.0, 1.0)
    y, x = (float(size) / trained for size in spacing)
    return tuple(1.0 if 1 / NEAR <= ratio <= NEAR else ratio for ratio in (y, x))


def resized(shape: tuple[int, int], ratio: tuple[float, float]) -> tuple[int, int]:
    """Pixels (y, x) of a slice of `shape` after its pixel size was divided by `ratio`: what covers all its centres."""
    return tuple(n if r == 1 else int(np.ceil((n - 1) * r - 1e-9)) + 1 for n, r in zip(shape, ratio, strict=True))


def resample(volume: np.ndarray, shape: tuple[int, int], ratio: tuple[float, float]) -> np.ndarray:
    """Slices (z, y, x) of magnitudes on a grid of `shape` pixels (y, x) about the same centre; float32, >= 0.

    Parameters
    ----------
    volume : (z, y, x) array
        Magnitudes.
    shape : (n_y, n_x)
        Pixels wanted.
    ratio : (y, x)
        Old pixel size over the new one.
    """
    if tuple(volume.shape[1:]) == tuple(shape):
        return np.asarray(volume, dtype=np.float32)
    from scipy.ndimage import affine_transform

    old = np.array(volume.shape[1:])
    step = 1 / np.array(ratio)
    offset = (old - 1) / 2 - step * (np.array(shape) - 1) / 2
    out = np.empty((len(volume), *shape), dtype=np.float32)
    for plane, new in zip(volume, out, strict=True):
        affine_transform(plane.astype(np.float32), step, offset, output=new, order=3, mode="nearest")
    return np.maximum(out, 0, out=out)
