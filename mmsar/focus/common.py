r"""What depths and lags of poses have in common over the aperture: polynomials of the place, and a slope of lags that
are known but for whole half wavelengths."""

import numpy as np

from mmsar.focus.continuity import beyond_chance, legendre

STEEPEST, FINEST = 6.0, 0.25
"""Slopes that are tried at most and their steps: by half wavelengths over the longer side of the aperture."""
ALIKE = 0.99
"""Slopes on which lags agree as far, re the most: few rows may not tell which, and the least steep is taken."""
BLOCKS = 25
"""Parts of the path whose means tell what errors have in common by chance."""
SPARE = 10
"""Poses that there must be for a coefficient of the polynomial."""
ALIKE_POSES, MEANS, NEAR = 10, 1000, 1 / 15
"""Poses of the path whose mean is one, at least; how many means there are at most; and within which part of the
aperture means are taken together (standard deviation of the weights)."""
PLAIN, FARTHER, SURE = 0.3, 1.2, 10.0
"""How far means must agree on a slope, re whole half wavelengths; how many times as far as without it; and how many
must, by the square of how far they agree. Of errors that are smooth in part, they agree to 0.24 by chance."""


def agreed(place: np.ndarray, lag: np.ndarray, weight: np.ndarray, half: float) -> tuple[np.ndarray, float, float]:
    r"""The slope q over the place beside which lags are nearest to whole half wavelengths h,

        max_q  |sum_p w_p exp(2 pi j (lag_p - q_p) / h)| / sum_p w_p

    Parameters
    ----------
    place : (n, 2) array
        x, y [m].
    lag, weight : (n,) arrays
        lag_p [m] and w_p.
    half : float
        h [m].

    Returns
    -------
    (n,) array
        q at the places [m].
    float
        How far lags agree there: 1 if they are all whole half wavelengths beside it.
    float
        How far they do without a slope.
    """
    tried = np.arange(-STEEPEST, STEEPEST + FINEST, FINEST) * half / max(float(np.ptp(place, axis=0).max()), 1e-9)
    place = place - place.mean(axis=0)
    x, y = (np.exp(-2j * np.pi / half * np.outer(tried, axis)) for axis in place.T)
    agree = x @ ((weight * np.exp(2j * np.pi * lag / half))[:, None] * y.T) / max(float(weight.sum()), 1e-30)
    far, steep = np.abs(agree), np.hypot(tried[:, None], tried)
    a, b = np.unravel_index(np.where(far >= ALIKE * far.max(), steep, np.inf).argmin(), far.shape)
    slope = place @ np.array([tried[a], tried[b]]) + half / (2 * np.pi) * np.angle(agree[a, b])
    return slope, float(far[a, b]), float(far[len(tried) // 2, len(tried) // 2])


def straightened(place: np.ndarray, depth: np.ndarray, weight: np.ndarray, half: float) -> np.ndarray | None:
    """Depths (n,) [m] of independent errors without the slope that only whole half wavelengths h hide, None if none.

    Of independent errors, means of neighbours are near 0. Where scene and poses are turned and poses took the half
    wavelengths nearest to where they were recorded, the means go up by the slope and leap back by h; so they are whole
    half wavelengths beside it (`agreed`). These half wavelengths are taken away, too.
    """
    part = np.arange(len(depth)) // max(ALIKE_POSES, -(-len(depth) // MEANS))
    heavy = np.maximum(np.bincount(part, weight), 1e-30)
    x, y, mean = (np.bincount(part, weight * values) / heavy for values in (*place.T, depth))
    at = np.stack([x, y], axis=1)
    slope, agree, flat = agreed(at, mean, heavy, half)
    if not (agree > max(PLAIN, FARTHER * flat) and agree**2 * effective(heavy) > SURE):
        return None
    wide = NEAR * max(float(np.ptp(place, axis=0).max()), 1e-9)
    near = np.exp(-np.sum((at[:, None] - at[None]) ** 2, axis=2) / (2 * wide**2)) * heavy
    number = np.round(near @ (mean - slope) / near.sum(axis=1) / half)
    depth = depth - half * number[part]
    return depth - polynomial(place, depth, weight, 1)


def effective(weight: np.ndarray) -> float:
    """How many values of one weight tell as much as those of weights (n,)."""
    return float(weight.sum()) ** 2 / float(np.sum(weight**2))


def middle(lag: np.ndarray, weight: np.ndarray, half: float) -> float:
    """Where lags are that agree without a slope [m], within half of half a wavelength."""
    return half / (2 * np.pi) * float(np.angle(weight @ np.exp(2j * np.pi * lag / half)))


def polynomial(place: np.ndarray, values: np.ndarray, weight: np.ndarray, degree: int) -> np.ndarray:
    """The polynomial of x and y, at places (n, 2), that is nearest to values (n,) or (n, m)."""
    while degree and (degree + 1) * (degree + 2) / 2 * SPARE > len(values):
        degree -= 1
    terms = legendre(place, [(a, b) for a in range(degree + 1) for b in range(degree + 1 - a)]).T
    root = np.sqrt(weight)
    return terms @ np.linalg.lstsq(root[:, None] * terms, (root * values.T).T, rcond=None)[0]


def not_by_chance(values: np.ndarray, common: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What values (n,) along a path have in common, less what values as smooth as they have by chance; with the mean.

    By chance, means of `BLOCKS` parts of the path differ as much as their number makes the mean of all uncertain.
    """
    share = weight / max(float(weight.sum()), 1e-30)
    mean = float(share @ common)
    size, rest = float(share @ (common - mean) ** 2), values - common
    parts = np.arange(len(values)) * min(BLOCKS, len(values)) // len(values)
    chance = float(np.sum(np.bincount(parts, share * rest) ** 2))
    return mean + beyond_chance(size, chance) * (common - mean)
