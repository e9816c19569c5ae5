"""Sampling of a field whose spatial frequencies lie within +-b: how many nodes, and the weights that interpolate them.

A field on [-1, 1] with frequencies |k| <= b [rad per unit] is held at n equally spaced nodes from end to end; a value
between is a sum over the `TAPS` nearest. The weights minimise the mean square error over plane waves of the band,

    minimise over w   mean over k of  |exp(j k x) - sum_i w_i exp(j k x_i)|^2,      k = b cos(a), all a alike,

so that its edges, where errors are largest, count most; the normal matrix is J0(b (x_i - x_j)). At the ends the stencil
is one-sided; nodes beyond the ends would cost more than they save. For errors of 1e-2 to 1e-3 it takes
less than two nodes for every one that the band has degrees of freedom, 2 b / pi.
"""

from functools import lru_cache

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
        square = 2 - 2 * _mean_wave(band * targets)
        return np.zeros(len(targets), dtype=np.int64), weight, np.sqrt(np.maximum(square, 0))
    nodes, taps = np.linspace(-1, 1, n), min(n, TAPS)
    start = np.clip(np.floor((targets + 1) * (n - 1) / 2 - (taps - 2) / 2).astype(np.int64), 0, n - taps)
    near = nodes[start[:, None] + np.arange(taps)]
    normal = _mean_wave(band * (near[:, :, None] - near[:, None, :])) + RIDGE * np.eye(taps)
    right = _mean_wave(band * (targets[:, None] - near))
    found = np.linalg.solve(normal, right[..., None])[..., 0]
    square = 1 - 2 * np.sum(found * right, axis=1) + np.einsum("ti,tij,tj->t", found, normal, found)
    weight[:, :taps] = found
    return start, weight, np.sqrt(np.maximum(square, 0))


def nodes_needed(band: float, bend: float, error: float, most: int) -> int:
    """Fewest nodes on [-1, 1] that keep the RMS error within `error`, or `most`: then they are the targets themselves.

    Errors are those of the band's plane waves [rad per unit], and of exp(j bend x^2 / 2): where there are few nodes a
    field is not a plane wave yet, and its curvature [rad per unit^2] counts as well.
    """
    if most == 1:
        return 1
    # rounded up to 2 %, so that few are computed
    band, bend = (float(1.02 ** np.ceil(np.log(max(v, 1e-3)) / np.log(1.02))) for v in (band, min(bend, band)))
    low, high = 1, 2
    while high < most and _error(high, band, bend) > error:
        low, high = high, 2 * high
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _error(middle, band, bend) <= error else (middle, high)
    return high


def _error(n: int, band: float, bend: float) -> float:
    if band > np.pi * n:  # more cycles than nodes
        return 1.0
    targets, start, weight, error = _measured(n, band)
    curved = np.concatenate([np.exp(0.5j * bend * np.linspace(-1, 1, n) ** 2), np.zeros(TAPS)])
    found = np.sum(weight * curved[start[:, None] + np.arange(TAPS)], axis=1)
    of_curved = np.mean(np.abs(found - np.exp(0.5j * bend * targets**2)) ** 2)
    return float(np.sqrt(max(np.mean(error**2), of_curved)))


@lru_cache(maxsize=4096)
def _measured(n: int, band: float) -> tuple[np.ndarray, ...]:
    targets = np.linspace(-1, 1, TARGETS)
    return targets, *least_squares(n, targets, band)


def lane_tables(start: np.ndarray, weight: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The weights of `least_squares` for `LANES` targets at a time, as `kernels_ffbp_grids` takes them along x.

    Returns
    -------
    first : (groups,) int64
        First node of every group.
    basis : (groups, nodes, LANES) float32, flat
        Weights of the nodes from there on, a multiple of four; targets that fill up the last group have none.
    """
    groups = -(-len(start) // LANES)
    row = -(-n // LANES) * LANES
    dense = np.zeros((groups * LANES, row + TAPS))
    np.put_along_axis(dense[: len(start)], start[:, None] + np.arange(TAPS), weight, axis=1)
    dense = dense[:, :row].reshape(groups, LANES, row)
    taps = min(TAPS, n)
    low, high = np.minimum.reduceat(start, range(0, len(start), LANES)), np.zeros(groups, dtype=np.int64)
    np.maximum.at(high, np.arange(len(start)) // LANES, start + taps)
    width = -(-int((high - low).max()) // 4) * 4
    first = np.minimum(low, row - width)
    at = np.broadcast_to(first[:, None, None] + np.arange(width), (groups, LANES, width))
    basis = np.take_along_axis(dense, at, axis=2).transpose(0, 2, 1)
    return first, np.ascontiguousarray(basis, dtype=np.float32).ravel()


def _mean_wave(x: np.ndarray) -> np.ndarray:
    """Mean of exp(j cos(a) x) over a."""
    from scipy.special import j0

    return j0(x)
