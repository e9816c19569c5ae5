"""Planes along z that carry plane waves of a band: points are spread to many, and a few carry the sum.

Waves are exp(j kappa z), |kappa| <= centre. A point at z is spread by a Kaiser-Bessel kernel phi to fine planes z_p,
step pi / (SIGMA_Z centre). Along a short depth the waves have few degrees of freedom, centre depth / pi and some more:
fewer planes z_r, with weights U by least squares over the band and the points' own depths, stand for the fine ones,

    exp(j kappa z) ~ sum_r exp(j kappa z_r) sum_p U[r, p] phi(z - z_p),

so fewer planes are transformed along x and y. z_r are evenly spaced, so the sum over them is Horner's rule.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.gridding import kernel_correction, kernel_table, tap_rows

SIGMA_Z = 1.75
"""Oversampling of the fine planes."""
MOST_FEW = 40
"""More planes than this cost more to combine than to transform."""
SPANS = (0.92, 0.95, 0.97, 0.98, 0.99, 1.0)
"""Extents of the few planes that are tried, in depths of the points."""
SHARE = 0.95
"""Of the wanted error, that the planes may make: the rest is for the kernels along x and y."""
GAPS = 0.2
"""Weight of even heights beside those of the points."""
FINEST = 3e-4
"""Below this error few planes mostly do not do: their weights grow and single precision shows."""
ROUNDING = 1e-7
"""Error of a sum in single precision for weights of one."""


def middle_kappa(k2: float, sine: float) -> float:
    """Half of the largest K - kz [rad/m] at the largest K and sine of the angle to z."""
    return k2 * (1 - np.sqrt(1 - min(sine, 0.9999) ** 2)) / 2


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


def n_few(depth: float, centre: float, error: float) -> int:
    """About as many planes as carry the sum, to foresee what they cost."""
    fine, freedoms = n_fine(depth, centre, depth_width(error)), depth * centre / np.pi
    few = int(np.ceil(freedoms - np.log(error) * (0.5 + 0.2 * np.log1p(freedoms)) - 0.5))
    return few if few < min(fine, MOST_FEW + 1) and (error > FINEST or freedoms < 1) else fine


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthPlanes:
    """The planes for one set of points.

    Attributes
    ----------
    centre : float
        Largest |kappa| [rad/m].
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


def depth_planes(z: np.ndarray, centre: float, error: float) -> DepthPlanes:
    """The fewest planes for points at heights z [m] that keep a wanted RMS error over band and points."""
    low, high = float(z.min()), float(z.max())
    if flat(high - low, centre):
        middle = (low + high) / 2
        table = np.ones_like(kernel_table(2, SIGMA_Z)[:, :1])
        return DepthPlanes(
            centre=centre,
            first=middle,
            step=0.0,
            fine_first=middle,
            fine_step=0.0,
            table=table,
            matrix=None,
            n_fine=1,
        )
    width, step = depth_width(error), np.pi / (SIGMA_Z * centre)
    fine, start = n_fine(high - low, centre, width), low - width / 2 * step
    table = kernel_table(width, SIGMA_Z)
    few = _few((z - start) / step, table, fine, centre * step, error)
    first, ratio, matrix = few or (0.0, 1.0, None)
    return DepthPlanes(
        centre=centre,
        first=start + first * step,
        step=ratio * step,
        fine_first=start,
        fine_step=step,
        table=table,
        matrix=matrix,
        n_fine=fine,
    )


def _few(
    places: np.ndarray, table: np.ndarray, fine: int, band: float, error: float
) -> tuple[float, float, np.ndarray] | None:
    """First plane and step in fine planes, and U, of the fewest planes; None where they would not be fewer.

    places: of the points, in fine planes; band: largest kappa times the fine step [rad].
    """
    low, high = float(places.min()), float(places.max())
    middle, depth = (low + high) / 2, high - low
    least = int(np.ceil(depth * band / np.pi)) + 1
    if least > MOST_FEW:
        return None
    as_points = np.sort(places)[np.linspace(0, len(places) - 1, 6 * fine).astype(int)]
    sample = np.concatenate([as_points, np.linspace(low, high, 3 * fine)])  # gaps between few points need some too
    weight = np.sqrt(np.repeat([1.0, GAPS], [6 * fine, 3 * fine]))
    weight /= np.sqrt(np.mean(weight**2))
    start, taps = tap_rows(sample, table)
    kernel = np.zeros((len(sample), fine))
    np.put_along_axis(kernel, start[:, None] + np.arange(table.shape[1]), taps * weight[:, None], axis=1)
    kappa = np.linspace(0, band, 4 * fine)[:, None]

    def waves(at: np.ndarray) -> np.ndarray:
        phase = kappa * (at - middle)
        return np.concatenate([np.cos(phase), np.sin(phase)])

    wanted = waves(sample) * weight
    gram = kernel.T @ kernel
    gram += 1e-9 * np.trace(gram) * np.eye(fine)
    of_fine = np.linalg.solve(gram, (wanted @ kernel).T).T
    for n in range(max(least, 2), min(fine, MOST_FEW + 1)):
        found = []
        for span in SPANS:
            few = waves(middle + depth * span * np.linspace(-0.5, 0.5, n))
            gram = few.T @ few
            gram += 1e-12 * np.trace(gram) * np.eye(n)
            matrix = np.linalg.solve(gram, few.T @ of_fine)
            misfit = np.sqrt(2 * np.mean((few @ matrix @ kernel.T - wanted) ** 2))
            found.append((np.hypot(misfit, ROUNDING * np.linalg.norm(matrix)), span, matrix))
        reached, span, matrix = min(found, key=lambda one: one[0])
        if reached < SHARE * error:
            return middle - depth * span / 2, depth * span / (n - 1), matrix.astype(np.float32)
    return None
