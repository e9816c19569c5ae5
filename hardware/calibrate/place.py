r"""Where a strong reflector is, from how its echo's phase changes over the poses.

For echoes y of poses p and channels c, taken at the reflector's range relative to the ideal echo of a point at x_0,

    F(x) = sum_c |sum_p y exp(-j k_c (L(x) - L(x_0)))|^2 / sum_c (sum_p |y|)^2,   L = R_tx + R_rx, k_c at mid band,

is 1 where all poses of a channel agree. Gains of the channels do not matter. Only motion tells: a radar that stands
still has F = 1 everywhere.
"""

import numpy as np
from scipy.optimize import minimize

SEARCH_POSES = 1500
"""Poses the search looks at, spread over the scan."""


def path_length(tx: np.ndarray, rx: np.ndarray, x: np.ndarray) -> np.ndarray:
    """R_tx + R_rx [m] of antennas (..., 3) to a point (3,)."""
    return np.linalg.norm(tx - x, axis=-1) + np.linalg.norm(rx - x, axis=-1)


def agreement(echo: np.ndarray, change: np.ndarray, k: float) -> float:
    """F for echoes (n_pose, n_channel) and path length changes of the same shape [m]; between 0 and 1."""
    total = (np.abs(echo).sum(axis=0) ** 2).sum()
    summed = np.abs((echo * np.exp(-1j * k * change)).sum(axis=0)) ** 2
    return float(summed.sum() / total) if total else 0.0


def phase_residual(echo: np.ndarray) -> np.ndarray:
    """RMS phase about each channel's mean [rad], weighted by power, (n_channel,); echoes (n_pose, n_channel)."""
    mean = echo.sum(axis=0)
    weight = np.abs(echo) ** 2
    phase = np.angle(echo * mean.conj())
    total = np.maximum(weight.sum(axis=0), np.finfo(float).tiny)
    return np.sqrt((weight * phase**2).sum(axis=0) / total)


def observable(tx: np.ndarray, rx: np.ndarray, x: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions in which the phases of a scan tell where a reflector at x is, and how well.

    Parameters
    ----------
    tx, rx : (n_pose, n_channel, 3) arrays
        Antennas in the world [m].

    Returns
    -------
    directions : (3, 3) array
        Unit vectors, one a row, the best observed first.
    sensitivity : (3,) array
        RMS change of phase along each over the poses, each channel's mean taken out [rad/m]. Along the line of sight
        only the wavefront's curvature counts, so a small aperture hardly tells the distance.
    """
    gradient = sum((x - p) / np.linalg.norm(x - p, axis=-1, keepdims=True) for p in (tx, rx)) * k
    gradient = (gradient - gradient.mean(axis=0)).reshape(-1, 3)
    values, vectors = np.linalg.eigh(gradient.T @ gradient / len(gradient))
    return vectors.T[::-1], np.sqrt(np.maximum(values[::-1], 0))


def find_place(
    echo: np.ndarray, tx: np.ndarray, rx: np.ndarray, start: np.ndarray, *, k: float, search: float, least: float
) -> tuple[np.ndarray, float]:
    """The place near `start` where the poses agree best.

    Parameters
    ----------
    echo : (n_pose, n_channel) complex array
        Echoes relative to the ideal ones of a point at `start`.
    tx, rx : (n_pose, n_channel, 3) arrays
        Antennas in the world [m].
    k : float
        Wavenumber at mid band [rad/m].
    search : float
        How far to look along each direction [m].
    least : float
        Sensitivity below which a direction is left as it is [rad/m] (see `observable`).

    Returns
    -------
    (3,) array [m] and F there.
    """
    keep = np.unique(np.linspace(0, len(echo) - 1, min(len(echo), SEARCH_POSES)).round().astype(int))
    echo, tx, rx = echo[keep], tx[keep], rx[keep]
    from_start = path_length(tx, rx, start)
    directions, sensitivity = observable(tx, rx, start, k)
    directions, sensitivity = directions[sensitivity >= least], sensitivity[sensitivity >= least]

    def value(step: np.ndarray) -> float:
        return -agreement(echo, path_length(tx, rx, start + step @ directions) - from_start, k)

    if not len(directions):
        return start, -value(np.zeros(0))
    cell = 1 / sensitivity  # a step that turns the phases by 1 rad RMS
    axes = [np.arange(-n, n + 1) * 0.7 * c for n, c in zip((search / 0.7 / cell).astype(int), cell, strict=True)]
    axes = [axis[np.abs(axis) <= 15 * c] for axis, c in zip(axes, cell, strict=True)]
    axes = [axis if number < 2 else np.zeros(1) for number, axis in enumerate(axes)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(cell))
    origin = min(grid, key=value)
    simplex = np.vstack([origin, origin + np.diag(np.minimum(cell / 2, search / 2))])
    found = minimize(
        value,
        origin,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-10, "maxiter": 600},
    )
    return start + found.x @ directions, -float(found.fun)
