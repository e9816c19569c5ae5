"""Few heights that carry an image of many: its waves along z lie in a band, and the band tells how many do.

    p(z) = sum_q P(q) exp(-j k_z z),   |k_z - k_c| <= w    so    p(z_j) = sum_t C[j, t] p(z_t),
    C[j, t] = R[j, t] exp(-j k_c (z_j - z_t)),             R by least squares over the band

A depth D has 2 w D / (2 pi) degrees of freedom along z. A few more heights z_t, evenly spaced and some steps beyond D
to either side, carry such waves to 1e-5 (RMS). The soft edges of the lateral band move with z, so that waves at the
edges come and go: that spreads them along k_z by some cycles per width the edges move, and w is so much more. A grid
finer than z_t (many planes across a range resolution) takes the lateral transforms of z_t only.
"""

from dataclasses import dataclass

import numpy as np

PER_FREEDOM = 1.3
BEYOND = 9
"""Heights are PER_FREEDOM times the degrees of freedom, and so many more."""
STEPS = 3
"""Steps that heights reach beyond the others at either end."""
SAVING = 0.75
"""Most heights, over those they stand for, that are worth it."""
SPREAD = 2.0
"""Cycles along z by which an edge spreads the band while it moves, or grows, by its own width."""


@dataclass(frozen=True, kw_only=True)
class KzBand:
    """Wavenumbers along z that an image has [rad/m]."""

    low: float
    high: float

    def spread(self, pace: float) -> "KzBand":
        """With what soft edges add that move or grow by `pace` of their widths along z [1/m]."""
        more = 2 * np.pi * SPREAD * pace
        return KzBand(low=self.low - more, high=self.high + more)


def n_few(n: int, spacing: float, band: KzBand) -> int:
    """How many heights to make for `n` evenly spaced ones [m]: fewer, or `n`."""
    freedom = (band.high - band.low) * (n - 1) * spacing / (2 * np.pi)
    few = int(np.ceil(PER_FREEDOM * freedom)) + BEYOND
    return few if few <= SAVING * n else n


def few_heights(z: np.ndarray, n: int, band: KzBand) -> tuple[np.ndarray, np.ndarray]:
    """`n` heights (n,) [m] for evenly spaced `z` (n_z,), and C, complex64 (n_z, n)."""
    step = (z[-1] - z[0]) / (n - 1 - 2 * STEPS)
    few = z[0] + step * (np.arange(n) - STEPS)
    middle, centre, half = (z[0] + z[-1]) / 2, (band.low + band.high) / 2, (band.high - band.low) / 2
    kappa = half * np.cos(np.pi * (np.arange(4 * n) + 0.5) / (4 * n))

    def waves(at: np.ndarray) -> np.ndarray:
        phase = np.outer(at - middle, kappa)
        return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)

    made = waves(few)
    gram = made @ made.T
    gram += 1e-13 * np.trace(gram) * np.eye(n)
    weights = np.linalg.solve(gram, made @ waves(z).T).T
    return few, (weights * np.exp(-1j * centre * (z[:, None] - few))).astype(np.complex64)
