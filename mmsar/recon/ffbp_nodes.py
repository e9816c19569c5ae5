"""Sampling of a field whose spatial frequencies lie within +-b: how many nodes, and the weights that interpolate them.

A field on [-1, 1] with frequencies |k| <= b [rad per unit] is held at n equally spaced nodes from end to end; a value
between is a sum over the `TAPS` nearest. The weights minimise the mean square error over all plane waves of the band,

    minimise over w   mean over |k| <= b of  |exp(j k x) - sum_i w_i exp(j k x_i)|^2,

whose normal matrix is sinc(b (x_i - x_j)). At the ends the stencil is one-sided; nodes beyond the ends would cost more
than they save. For -40 to -60 dB it takes 1.5 to 2 nodes for every one that the band has degrees of freedom, where
Chebyshev nodes on separate boxes take 7 to 10.
"""

from functools import cache

import numpy as np

from mmsar.core.kernels_bpa import LANES
from mmsar.core.kernels_ffbp_grids import TAPS

RIDGE = 1e-9
"""Added to the diagonal of the normal matrix: bounds the weights."""
TARGETS = 81
"""Places at which the error is measured."""


def least_squares(n: int, targets: np.ndarray, band: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights from `n` nodes on [-1, 1] to `targets`.

    Parameters
    ----------
    n : int
        Nodes; one node stands for a field that does not change.
    targets : (m,) array
        Places within [-1, 1].
    band : float
        Largest spatial frequency b [rad per unit].

    Returns
    -------
    start : (m,) int64
        First node of each.
    weight : (m, TAPS) float64
        Weights of the nodes from there on, zeros beyond the last.
    error : (m,) float64
        RMS error over the band.
    """
    targets = np.asarray(targets, dtype=float)
    weight = np.zeros((len(targets), TAPS))
    if n == 1:
        weight[:, 0] = 1.0
        return np.zeros(len(targets), dtype=np.int64), weight, np.sqrt(np.maximum(2 - 2 * _sinc(band * targets), 0))
    nodes, taps = np.linspace(-1, 1, n), min(n, TAPS)
    start = np.clip(np.floor((targets + 1) * (n - 1) / 2 - (taps - 2) / 2).astype(np.int64), 0, n - taps)
    near = nodes[start[:, None] + np.arange(taps)]
    normal = _sinc(band * (near[:, :, None] - near[:, None, :])) + RIDGE * np.eye(taps)
    right = _sinc(band * (targets[:, None] - near))
    found = np.linalg.solve(normal, right[..., None])[..., 0]
    square = 1 - 2 * np.sum(found * right, axis=1) + np.einsum("ti,tij,tj->t", found, normal, found)
    weight[:, :taps] = found
    return start, weight, np.sqrt(np.maximum(square, 0))


def nodes_needed(band: float, error: float, most: int) -> int:
    """Fewest nodes on [-1, 1] that keep the RMS error of the band within `error`, `most` at most."""
    if most == 1:
        return 1
    # rounded up to 2 %, so that few are computed
    rounded = float(1.02 ** np.ceil(np.log(max(band, 1e-3)) / np.log(1.02)))
    low, high = 1, 2
    while high < most and _error(high, rounded) > error:
        low, high = high, 2 * high
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _error(middle, rounded) <= error else (middle, high)
    return high


@cache
def _error(n: int, band: float) -> float:
    if band > np.pi * n:  # more cycles than nodes
        return 1.0
    return float(np.sqrt(np.mean(least_squares(n, np.linspace(-1, 1, TARGETS), band)[2] ** 2)))


def lane_tables(start: np.ndarray, weight: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The weights of `least_squares` for `LANES` targets at a time, as `kernels_ffbp_grids` takes them along x.

    Returns
    -------
    first : (groups,) int64
        First node of every group.
    basis : (groups, nodes, LANES) float32
        Weights of the nodes from there on; targets that fill up the last group have none.
    """
    groups = -(-len(start) // LANES)
    dense = np.zeros((groups * LANES, n + TAPS))
    np.put_along_axis(dense[: len(start)], start[:, None] + np.arange(TAPS), weight, axis=1)
    dense = dense[:, :n].reshape(groups, LANES, n)
    taps = min(TAPS, n)
    low, high = np.minimum.reduceat(start, range(0, len(start), LANES)), np.zeros(groups, dtype=np.int64)
    np.maximum.at(high, np.arange(len(start)) // LANES, start + taps)
    width = int((high - low).max())
    first = np.minimum(low, n - width)
    at = np.broadcast_to(first[:, None, None] + np.arange(width), (groups, LANES, width))
    return first, np.ascontiguousarray(np.take_along_axis(dense, at, axis=2).transpose(0, 2, 1), dtype=np.float32)


def _sinc(x: np.ndarray) -> np.ndarray:
    return np.sinc(x / np.pi)
