"""Planes along z that carry plane waves of a band: points are spread to many, and a few carry the sum.

Waves are exp(j kappa z), |kappa| <= centre. A point at z is spread by a Kaiser-Bessel kernel phi to fine planes z_p,
step pi / (SIGMA_Z centre). Along a short depth the waves have few degrees of freedom, centre depth / pi and some more:
fewer planes z_r, with weights U by least squares over the band and the points' own depths, stand for the fine ones,

    exp(j kappa z) ~ sum_r exp(j kappa z_r) sum_p U[r, p] phi(z - z_p),

so fewer planes are transformed along x and y. z_r are evenly spaced, so the sum over them is Horner's rule. What a wave
weighs in the image counts in the least squares: those with large kappa come from the corners of the band, are few and
faded out; so centre is less than half of the band, which a few waves exceed.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.gridding import kernel_correction, kernel_table, tap_rows

SIGMA_Z = 1.75
"""Oversampling of the fine planes."""
MOST_FEW = 40
"""More planes than this cost more to combine than to transform."""
SPANS = (0.92, 0.95, 0.97, 0.98, 0.985, 0.99, 1.0)
"""Extents of the few planes that are tried, in depths of the points."""
SHARE = 0.95
"""Of the wanted error, that the planes may make: the rest is for the kernels along x and y."""
TAILS = (1e-3, 1e-5, 0.0)
"""Of the waves' power, that lies beyond the bandwidth that the planes are laid out for: what is tried."""
BINS = 96
"""Of the distribution of lags."""
GAPS = 0.2
"""Weight of even heights beside those of the points."""
FINEST = 3e-4
"""Below this error few planes mostly do not do: their weights grow and single precision shows."""
ROUNDING = 1e-7
"""Error of a sum in single precision for weights of one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lags:
    """How far waves lag behind the one along z, K - k_z: distribution over the waves of a band.

    Attributes
    ----------
    value : (n,) array
        Lags [rad/m], increasing.
    power : (n,) array
        What the waves of such a lag weigh (squared amplitude in the image).
    half : float
        Half of the largest lag [rad/m]: how much the waves turn about their middle, at most.
    """

    value: np.ndarray
    power: np.ndarray
    half: float

    def most(self, tail: float) -> float:
        """The same of all waves but a share `tail` of the power [rad/m]."""
        total = np.cumsum(self.power)
        return float(self.value[np.searchsorted(total, (1 - tail) * total[-1])]) / 2 if tail else self.half


def lags_of(power: np.ndarray, step: float) -> Lags:
    """The distribution of which power[i] (n,) lies at lags i step to (i + 1) step [rad/m]."""
    n = int(np.flatnonzero(power)[-1]) + 1 if np.any(power) else 0
    if n == 0 or step == 0:
        return Lags(value=np.zeros(1), power=np.ones(1), half=0.0)
    return Lags(value=(np.arange(n) + 0.5) * step, power=power[:n], half=n * step / 2)


def flat(depth: float, centre: float) -> bool:
    """Whether points `depth` [m] deep need one plane only."""
    return depth * centre < 1e-4


def depth_width(error: float) -> int:
    """Taps along z, so that the kernel makes less than half of a wanted relative error (in power).

    The error of the kernel is exp(-pi width sqrt(1 - 1 / sigma)) times a factor of some, over the whole band.
    """
    return int(np.clip(np.ceil(np.log(3 / error) / (np.pi * np.sqrt(1 - 1 / SIGMA_Z))), 2, 8))


def n_fine(depth: float, centre: float, width: int) -> int:
    """Fine planes that points `depth` [m] deep reach."""
    return 1 if flat(depth, centre) else int(np.ceil(depth * SIGMA_Z * centre / np.pi)) + width + 1


def n_planes(depth: float, lags: Lags, error: float) -> tuple[int, int]:
    """About as many planes as points are spread to, and as carry the sum, to foresee what they cost."""
    centre = lags.most(TAILS[1])
    width, freedoms = depth_width(error), depth * centre / np.pi
    every, fine = n_fine(depth, lags.half, width), n_fine(depth, centre, width)
    few = int(np.ceil(freedoms - np.log(error) * (0.5 + 0.2 * np.log1p(freedoms)) - 0.5))
    return (fine, few) if few < min(every, MOST_FEW + 1) and (error > FINEST or freedoms < 1) else (every, every)


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthPlanes:
    """The planes for one set of points.

    Attributes
    ----------
    centre : float
        Lag of the waves that do not turn along z [rad/m]; about the largest |kappa|.
    first, step : float
        The planes that are transformed: z [m] of the first, and from one to the next.
    fine_first, fine_step : float
        The same for those that the points are spread to.
    table : (SUBDIVISIONS + 2, width) float32
        The kernel's taps.
    matrix : (n, n_fine) float32, or None
        U; None where the fine planes are transformed themselves.
    n_fine : int
        Planes that points are spread to.
    """

    centre: float
    first: float
    step: float
    fine_first: float
    fine_step: float
    table: np.ndarray
    matrix: np.ndarray | None
    n_fine: int

    @property
    def n(self) -> int:
        """Planes that are transformed."""
        return self.n_fine if self.matrix is None else len(self.matrix)

    def places(self, z: np.ndarray) -> np.ndarray:
        """Heights [m] in units of fine planes."""
        return np.full(len(z), 0.5) if self.n_fine == 1 else (z - self.fine_first) / self.fine_step

    def correction(self, kappa: np.ndarray) -> np.ndarray:
        """What sums over the fine planes are multiplied with; U has it in it."""
        if self.n_fine == 1:
            return np.ones_like(kappa)
        return kernel_correction(self.table.shape[1], SIGMA_Z, kappa * self.fine_step / (2 * np.pi))

    def correction_powers(self) -> np.ndarray:
        """Coefficients (7,) of the correction of what is transformed, in powers of (kappa / centre)^2 upwards."""
        u = np.linspace(0, 1, 200)
        one = self.matrix is not None
        values = np.ones_like(u) if one else self.correction(self.centre * np.sqrt(u))
        return np.polynomial.polynomial.polyfit(u, values, 6)


def depth_planes(z: np.ndarray, lags: Lags, error: float) -> DepthPlanes:
    """The fewest planes for points at heights z [m] that keep a wanted RMS error over the waves and the points."""
    low, high = float(z.min()), float(z.max())
    if flat(high - low, lags.half):
        middle = (low + high) / 2
        table = np.ones_like(kernel_table(2, SIGMA_Z)[:, :1])
        return DepthPlanes(
            centre=lags.half,
            first=middle,
            step=0.0,
            fine_first=middle,
            fine_step=0.0,
            table=table,
            matrix=None,
            n_fine=1,
        )
    least = depth_width(error)

    def planes(centre: float, width: int, few: tuple[float, float, np.ndarray] | None = None) -> DepthPlanes:
        step = np.pi / (SIGMA_Z * centre)
        start = low - width / 2 * step
        first, ratio, matrix = few or (0.0, 1.0, None)
        return DepthPlanes(
            centre=centre,
            first=start + first * step,
            step=ratio * step,
            fine_first=start,
            fine_step=step,
            table=kernel_table(width, SIGMA_Z),
            matrix=matrix,
            n_fine=n_fine(high - low, centre, width),
        )

    best, few_do = planes(lags.half, least), error > FINEST
    for width in (least, least + few_do):  # waves at the edge of the band, where the kernel is worst, may weigh most
        for tail in TAILS if few_do else TAILS[-1:]:
            centre = lags.most(tail)
            few = _few(z, planes(centre, width), lags, error, min(best.n, MOST_FEW + 1))
            best = best if few is None else planes(centre, width, few)
        if best.matrix is not None:
            break
    return best


def _few(
    z: np.ndarray, fine: DepthPlanes, lags: Lags, error: float, most: int
) -> tuple[float, float, np.ndarray] | None:
    """First plane and step in fine planes, and U, of the fewest planes; None where there would be `most` or more."""
    places, table = fine.places(z), fine.table
    low, high = float(places.min()), float(places.max())
    middle, depth, n = (low + high) / 2, high - low, fine.n_fine
    least = int(np.ceil(depth * fine.centre * fine.fine_step / np.pi)) + 1
    if least > MOST_FEW:
        return None
    as_points = np.sort(places)[np.linspace(0, len(places) - 1, 6 * n).astype(int)]
    sample = np.concatenate([as_points, np.linspace(low, high, 3 * n)])  # gaps between few points need some too
    weight = np.sqrt(np.repeat([1.0, GAPS], [6 * n, 3 * n]))
    weight /= np.sqrt(np.mean(weight**2))
    start, taps = tap_rows(sample, table)
    kernel = np.zeros((len(sample), n))
    np.put_along_axis(kernel, start[:, None] + np.arange(table.shape[1]), taps * weight[:, None], axis=1)
    kappa = (lags.value - fine.centre)[:, None] * fine.fine_step
    amplitude = np.sqrt(lags.power / lags.power.mean())[:, None]

    def waves(at: np.ndarray) -> np.ndarray:
        phase = kappa * (at - middle)
        return np.concatenate([amplitude * np.cos(phase), amplitude * np.sin(phase)])

    wanted = waves(sample) * weight
    gram = kernel.T @ kernel
    gram += 1e-9 * np.trace(gram) * np.eye(n)
    of_fine = np.linalg.solve(gram, (wanted @ kernel).T).T
    if np.sqrt(2 * np.mean((of_fine @ kernel.T - wanted) ** 2)) > SHARE * error:
        return None
    for count in range(max(least, 2), most):
        found = []
        for span in SPANS:
            few = waves(middle + depth * span * np.linspace(-0.5, 0.5, count))
            gram = few.T @ few
            gram += 1e-12 * np.trace(gram) * np.eye(count)
            matrix = np.linalg.solve(gram, few.T @ of_fine)
            misfit = np.sqrt(2 * np.mean((few @ matrix @ kernel.T - wanted) ** 2))
            found.append((np.hypot(misfit, ROUNDING * np.linalg.norm(matrix)), span, matrix))
        reached, span, matrix = min(found, key=lambda one: one[0])
        if reached < SHARE * error:
            return middle - depth * span / 2, depth * span / (count - 1), matrix.astype(np.float32)
    return None
