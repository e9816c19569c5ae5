"""A handful of numbers that say what kind of image it is, and how far they are from those a network was trained on.

None changes with the scale of the image or when it is turned or mirrored. With C the contraharmonic mean
(`robust_scale`) and floors that keep logarithms finite:

    contrast     log10(C / median)                         how far what is bright stands above the ground
    peak         log10(peak / C)                           0 for solids, large for a single spike
    above_10..30 log10(share of pixels above -10, -20, -30 dB of the peak)
    detail       log10(mean squared step between neighbours / variance): fine grain or noise above, blur below
    direction    |log10(the same along x / along y)|: stripes, lost rows, unequal resolution

The distance is Mahalanobis', d^2 = (f - mean)^T covariance^-1 (f - mean); a network file holds mean, covariance and the
99th percentile of d over its training images.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mmsar.core.checks import finite_number, real_array
from mmsar.errors import GeometryError

NAMES = ("contrast", "peak", "above_10", "above_20", "above_30", "detail", "direction")
FLOOR = 1e-4
"""Least median relative to the contraharmonic mean, and least share of pixels: a thresholded image has zeros."""
PERCENTILE = 99.0
"""Share of the training images [%] within the limit."""
LEAST_SPREAD = 0.02
"""Standard deviation that is assumed of every number at least: training images that are alike allow no less."""
LEAST_IMAGES = 20
KEYS = ("names", "mean", "covariance", "limit")


def features(magnitude: np.ndarray) -> np.ndarray:
    """The numbers of NAMES for an image, float64 (7,).

    Parameters
    ----------
    magnitude : (y, x) or (z, y, x) array
        Magnitudes >= 0; of a volume the slice with the most energy counts.

    Raises
    ------
    GeometryError
        Another number of axes, fewer than 2 x 2 pixels, values that are not finite, or an image without any signal.
    """
    magnitude = np.asarray(magnitude)
    if magnitude.ndim not in (2, 3) or min(magnitude.shape[-2:]) < 2 or magnitude.size == 0:
        raise GeometryError(f"statistics: got shape {magnitude.shape}, wanted (y, x) or (z, y, x) of 2 x 2 or more")
    if magnitude.ndim == 3:
        magnitude = loudest(magnitude)
    plane = np.abs(magnitude).astype(np.float64)
    peak = plane.max()
    if not (np.isfinite(peak) and peak > 0):
        raise GeometryError(f"statistics: got a peak of {peak:g}, wanted a finite one above 0")
    plane /= peak
    scale = robust_scale(plane[None])
    shares = [np.mean(plane > 10 ** (level / 20)) for level in (-10, -20, -30)]
    variance = max(float(plane.var()), FLOOR**2)
    x, y = (np.mean(np.diff(plane, axis=axis) ** 2) / variance for axis in (1, 0))
    return np.array(
        [
            -np.log10(max(float(np.median(plane)) / scale, FLOOR)),
            -np.log10(scale),
            *(np.log10(max(float(share), FLOOR)) for share in shares),
            np.log10(max((x + y) / 2, FLOOR)),
            abs(np.log10(max(x, FLOOR) / max(y, FLOOR))),
        ]
    )


def robust_scale(magnitude: np.ndarray) -> float:
    """Contraharmonic mean sum |x|^3 / sum |x|^2 of magnitudes (z, y, x), 0 when they are 0 everywhere."""
    peak = float(magnitude.max())
    if peak == 0:
        return 0.0
    cubes = squares = 0.0
    for plane in magnitude:
        relative = plane / np.float32(peak)
        square = relative * relative
        squares += float(square.sum(dtype=np.float64))
        cubes += float((square * relative).sum(dtype=np.float64))
    return peak * cubes / squares


def loudest(magnitude: np.ndarray) -> np.ndarray:
    """The slice (y, x) of magnitudes (z, y, x) with the most energy."""
    return magnitude[int(np.argmax([np.linalg.norm(plane) for plane in magnitude]))]


def fit_statistics(images: Iterable[np.ndarray]) -> dict[str, Any]:
    """Mean, covariance and limit of the features over images, as JSON values for a network file (`export_onnx` extra).

    Parameters
    ----------
    images : iterable of (y, x) arrays
        Inputs of the training, as the network sees them; images without any signal are left out.

    Raises
    ------
    GeometryError
        Fewer than 20 images with a signal, or one that `features` refuses.
    """
    rows = np.array([features(image) for image in images if np.any(image)])
    if len(rows) < LEAST_IMAGES:
        raise GeometryError(f"fit_statistics: got {len(rows)} images with a signal, wanted at least {LEAST_IMAGES}")
    covariance = np.cov(rows, rowvar=False) + LEAST_SPREAD**2 * np.eye(len(NAMES))
    found = {"names": list(NAMES), "mean": rows.mean(axis=0).tolist(), "covariance": covariance.tolist()}
    distances = [distance(row, found)[0] for row in rows]
    return {**found, "limit": float(np.percentile(distances, PERCENTILE))}


def distance(values: np.ndarray, statistics: dict[str, Any]) -> tuple[float, str]:
    """Mahalanobis distance of features (7,) from the training images, and the name of the number furthest out.

    Furthest out is the largest |f - mean| in its own standard deviations.
    """
    mean, covariance = np.array(statistics["mean"]), np.array(statistics["covariance"])
    away = values - mean
    found = float(np.sqrt(max(away @ np.linalg.solve(covariance, away), 0.0)))
    return found, statistics["names"][int(np.argmax(np.abs(away) / np.sqrt(np.diag(covariance))))]


def check_statistics(statistics: Any) -> dict[str, Any]:
    """Return the "statistics" of a network file when they are what this module measures.

    Raises
    ------
    GeometryError
        Missing keys, other names, or numbers that are no mean, covariance and limit.
    """
    if not isinstance(statistics, dict) or any(key not in statistics for key in KEYS):
        raise GeometryError(f"statistics: got {type(statistics).__name__}, wanted an object with {', '.join(KEYS)}")
    if list(statistics["names"]) != list(NAMES):
        raise GeometryError(f"statistics: got names {statistics['names']}, wanted {', '.join(NAMES)}")
    n = len(NAMES)
    real_array("statistics mean", statistics["mean"], (n,), "1")
    covariance = real_array("statistics covariance", statistics["covariance"], (n, n), "1")
    if np.linalg.eigvalsh(covariance).min() <= 0:
        raise GeometryError("statistics covariance: got one that is not positive definite, wanted that of the inputs")
    finite_number("statistics limit", statistics["limit"], "1", above=0.0)
    return statistics
