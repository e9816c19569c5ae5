r"""Depths along a path whose position errors are smooth: what recorded places say although phases do not.

Phases tell the depth of a pose to half a wavelength. Errors of a hand or a carriage change little from one pose to the
next, so that depths can be followed along a run of neighbours; only a constant of the run stays open. Recorded places
then say what phases cannot: that errors of many runs, taken together, hardly go with the place in the
aperture. So what found depths have in common as a smooth function of x and y, products of Legendre polynomials

    z_p = c_run + sum_ab t_ab P_a(x_p) P_b(y_p) + rest,    least squares, t_ab about 0 within `SIGMA`

is a turn or a defocus that poses and scene agreed on, and is taken away as far as it exceeds what runs of such a spread
have in common by chance. Runs end where time or place leap, where the
path turns back, and where a depth leaps by more than `LEAP`, as it cannot be followed there.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.focus.posefield import PoseField

ROUGH = 0.2
"""Errors are smooth if depths of neighbours differ by less than this, RMS; in half wavelengths, as `LEAP`."""
LEAP = 0.25
LONG = 4.0
"""A step of the path that leaps, re the median."""
FEWEST, RUNS = 12, 4
"""Poses that tell whether errors are smooth, and runs that tell what is common to them: less tell nothing."""
PERIOD = 6.0
"""Half wavelengths of aperture that a degree of the polynomials is spent on."""
DEGREE, ACROSS = 10, 1
"""Largest degree, and that of the other factor of a product."""
SIGMA = 1e-3
"""Standard deviation of a coefficient [m]."""
CHANCE = 1.5
"""What is left to chance, re what so many runs have in common on average."""
SEEN = 0.1
"""Energy of a pose, re the mean, with which it counts half."""
ALIKE, ERROR = 20, 1e-3
"""Neighbours whose errors are one and the same, and their standard deviation [m]."""


@dataclass(frozen=True, eq=False)
class Followed:
    """Depths followed along runs of neighbours."""

    run: np.ndarray
    """Which run each pose belongs to, (n,) of int."""
    depth: np.ndarray
    """Displacement in depth [m], the mean of each run within a quarter of a wavelength of the recorded, (n,)."""

    def less_mean(self, values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Values (n,) less the mean of their run."""
        return values - self.mean(values, weight)[self.run]

    def mean(self, values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Mean of values (n,) for every run, weighted or not."""
        weight = np.ones(len(values)) if weight is None else weight
        return np.bincount(self.run, weight * values) / np.maximum(np.bincount(self.run, weight), 1e-30)


def followed(field: PoseField, move: np.ndarray) -> Followed | None:
    """Depths of poses displaced by `move` (n_pose, 3) [m], followed along the path; None where their errors are not
    smooth, or where the path has few runs."""
    half = np.pi / field.wavenumber
    if len(move) < FEWEST:
        return None
    step = np.diff(field.place[:, :2], axis=0)
    length = np.hypot(*step.T)
    ends = length > LONG * np.median(length)
    ends[1:] |= np.sum(step[1:] * step[:-1], axis=1) < 0
    depth = move[:, 2]
    leap = np.diff(depth)
    leap -= half * np.round(leap / half)
    within = leap[~ends]
    runs = np.count_nonzero(ends) + 1
    if not RUNS <= runs < len(move) or np.sqrt(np.mean(within**2)) > ROUGH * half:
        return None
    ends |= np.abs(leap) > LEAP * half
    run = np.concatenate([[0], np.cumsum(ends)])
    along = np.concatenate([[0.0], np.cumsum(leap)])
    first = np.flatnonzero(np.concatenate([[True], ends]))
    along += (depth[first] - along[first])[run]
    return _near(Followed(run, along), half)


def without_common(field: PoseField, move: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Displacements (n_pose, 3) without what depths have in common, and its size [m], RMS.

    None as `followed`. The mean of what is moved along x and y is taken away, as no samples tell it.
    """
    path = followed(field, move)
    if path is None:
        return None
    half = np.pi / field.wavenumber
    place = field.place[:, :2]
    degree = np.clip((np.ptp(place, axis=0) / (half * PERIOD)).astype(int), 1, DEGREE)
    pairs = [(a, b) for a in range(degree[0] + 1) for b in range(degree[1] + 1)]
    terms = legendre(place, [(a, b) for a, b in pairs if 0 < a + b <= degree.max() and min(a, b) <= ACROSS])
    seen = np.stack([path.less_mean(term) for term in terms])
    depth = path.less_mean(path.depth)
    bound = ALIKE * (ERROR / SIGMA) ** 2 * np.eye(len(terms))
    common = np.linalg.solve(seen @ seen.T + bound, seen @ depth)
    size, rest = (float(np.sqrt(np.mean(part**2))) for part in (common @ seen, depth - common @ seen))
    share = beyond_chance(size**2, rest**2 / (path.run[-1] + 1))
    out = move.copy()
    out[:, 2] = _near(Followed(path.run, path.depth - share * common @ terms), half).depth
    out[:, :2] -= out[:, :2].mean(axis=0)
    return out, share * size


def without_slope(field: PoseField, move: np.ndarray) -> np.ndarray:
    """Displacements (n_pose, 3) without the slope that depths have along runs of smooth errors, as they are where these
    are not: of a turn of scene and poses nothing else is told. Poses count that are seen, bright or not, as more of
    them are less likely to have a slope by chance."""
    path = followed(field, move)
    if path is None:
        return move
    weight = field.energy / np.maximum(field.energy + SEEN * field.energy.mean(), 1e-30)
    terms = legendre(field.place[:, :2], [(1, 0), (0, 1)])
    seen, depth = np.stack([path.less_mean(term, weight) for term in terms]), path.less_mean(path.depth, weight)
    bound = ALIKE * (ERROR / SIGMA) ** 2 * np.eye(2)
    slope = np.linalg.solve(weight * seen @ seen.T + bound, weight * seen @ depth)
    out = move.copy()
    out[:, 2] -= slope @ (terms - terms.mean(axis=1, keepdims=True))
    return out


def beyond_chance(power: float, chance: float) -> float:
    """Share of something in common to take away, of a mean square `power`, where chance makes it `chance`."""
    return max(0.0, 1 - CHANCE**2 * chance / max(power, 1e-24))


def _near(path: Followed, half: float) -> Followed:
    """Every run by whole half wavelengths to where it was recorded."""
    return Followed(path.run, path.depth - half * np.round(path.mean(path.depth) / half)[path.run])


def legendre(place: np.ndarray, terms: list[tuple[int, int]]) -> np.ndarray:
    """Products P_a(x) P_b(y) for `terms` (a, b) at places (..., 2), x and y from -1 to 1 over these: (n_terms, ...)."""
    every = tuple(range(place.ndim - 1))
    low, high = place.min(axis=every), place.max(axis=every)
    at = (place - (low + high) / 2) / np.maximum((high - low) / 2, 1e-9)
    x, y = (np.polynomial.legendre.legvander(at[..., axis], max(term[axis] for term in terms)) for axis in (0, 1))
    return np.stack([x[..., a] * y[..., b] for a, b in terms])
