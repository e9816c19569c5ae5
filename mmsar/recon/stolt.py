"""The Stolt step on one piece of the heights: the spectrum of every frequency to the spectrum of every plane, and back.

even       uniform heights: the sum over frequencies, phases turned from height to height
gridded    a great many uniform heights: every S_m(kx, ky) is spread along k_z, and one FFT makes all planes
direct     uneven heights: the sum over frequencies of phase times spectrum, plane by plane
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmsar.core import gridding, kernels_heights
from mmsar.core.fft import RowFFT, good_size
from mmsar.core.parallel import Workers

BLOCK = 256
"""Wavenumber pairs that one thread takes together."""
SMALL, MOST = 1024, 8
"""Frequencies times heights of a sum that is so short that more blocks are taken together, and how many at most."""
OVERSAMPLING = 1.5
"""Fine grid points per image plane."""
FEW = 12
"""Up to so many planes direct sums are faster on a GPU."""
MANY = 128
"""More uniform heights than this are gridded."""
STRAIGHT = 1e-3
"""Heights count as uniform when that changes no phase by more than this [rad]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Waves:
    """What the step is to work on."""

    kx: np.ndarray
    """[rad/m], (n_pairs,)."""
    ky: np.ndarray
    """[rad/m], (n_pairs,)."""
    k2: np.ndarray
    """K of every frequency [rad/m], (m,)."""
    band: np.ndarray
    """Limits of the band, as `Band.limits`."""
    phase: np.ndarray
    """Factor on every pair, complex64 (n_pairs,)."""

    @property
    def blocks(self) -> range:
        """First pairs of the blocks that threads take."""
        return range(0, len(self.kx), BLOCK)


def uniform(z: np.ndarray, k2: np.ndarray) -> bool:
    """Whether heights (n,) are equally spaced, as far as waves up to max(k2) can tell."""
    return bool(float(np.max(k2)) * np.max(np.abs(z - np.linspace(z[0], z[-1], len(z)))) < STRAIGHT)


def fine_size(n_z: int) -> int:
    """Points of the fine grid for n_z planes."""
    return good_size(max(int(np.ceil(OVERSAMPLING * n_z)), 2 * gridding.WIDTH))


class Direct:
    """Any heights: sums over frequencies."""

    _kernels: tuple[Callable, Callable] = (gridding.sum_heights, gridding.sum_heights_back)

    def __init__(self, waves: Waves, z: np.ndarray, scale: np.ndarray) -> None:
        self._n, self._step = len(waves.kx), BLOCK * int(np.clip(SMALL // (len(waves.k2) * len(z)), 1, MOST))
        self._args: tuple = (waves.kx, waves.ky, waves.k2, waves.band, z, scale.astype(np.float32), waves.phase)

    def forward(self, spectrum: np.ndarray, planes: np.ndarray, show: bool | None) -> None:
        """(m, n_pairs) to (n_z, n_pairs), overwritten."""
        self._run(self._kernels[0], spectrum, planes, "migrate: range", show)

    def adjoint(self, planes: np.ndarray, spectrum: np.ndarray, show: bool | None) -> None:
        """(n_z, n_pairs) to (m, n_pairs), overwritten."""
        self._run(self._kernels[1], spectrum, planes, "adjoint: range", show)

    def _run(self, kernel: Callable, spectrum: np.ndarray, planes: np.ndarray, label: str, show: bool | None) -> None:
        def one(first: int) -> None:
            kernel(spectrum, first, *self._args, planes, min(first + self._step, self._n))

        Workers().run(one, range(0, self._n, self._step), label=label, show=show)


class Even(Direct):
    """Uniform heights: the same sums, phases turned from height to height."""

    _kernels = (kernels_heights.sum_even, kernels_heights.sum_even_back)

    def __init__(self, waves: Waves, z: np.ndarray, scale: np.ndarray) -> None:
        super().__init__(waves, z, scale)
        step = float(z[-1] - z[0]) / max(len(z) - 1, 1)
        self._args = (*self._args[:4], float(z[0]), step, *self._args[5:])


class Gridded:
    """Uniform heights: a one-dimensional NUFFT along k_z for every pair.

    Parameters
    ----------
    waves : Waves
        What is migrated.
    z, scale : (n_z,) arrays
        Heights [m] and factors of the planes.
    hold : callable, optional
        (key, make) to the `Workers` held under that key: FFT plans outlive this piece. Not needed for the tables only.

    Attributes: `fine` (points of the fine grid), `table` (taps), `middle` and `spacing` (of the heights [m]), `scale`
    (factors of the planes, de-apodisation included).
    """

    def __init__(
        self, waves: Waves, z: np.ndarray, scale: np.ndarray, hold: Callable[..., Workers] | None = None
    ) -> None:
        self.fine = fine_size(len(z))
        self.table, correction = gridding.kaiser_bessel(len(z), self.fine)
        self.middle, self.spacing = float(z[len(z) // 2]), float(z[-1] - z[0]) / (len(z) - 1)
        self._stolt = (waves.kx, waves.ky, waves.k2, waves.band, self.middle, self.spacing, self.table)
        self.scale, self._waves, self._hold = (scale * correction).astype(np.float32), waves, hold

    def forward(self, spectrum: np.ndarray, planes: np.ndarray, show: bool | None) -> None:
        """(m, n_pairs) to (n_z, n_pairs), overwritten."""

        def one(first: int, fft: RowFFT) -> None:
            gridding.spread(spectrum, first, *self._stolt, fft.buffer)
            gridding.rows_to_planes(fft(), first, self.scale, self._waves.phase, planes)

        self._workers("forward").run(one, self._waves.blocks, label="migrate: range", show=show)

    def adjoint(self, planes: np.ndarray, spectrum: np.ndarray, show: bool | None) -> None:
        """(n_z, n_pairs) to (m, n_pairs), overwritten."""

        def one(first: int, fft: RowFFT) -> None:
            gridding.planes_to_rows(planes, first, self.scale, self._waves.phase, fft.buffer)
            gridding.gather(fft(), first, *self._stolt, spectrum)

        self._workers("backward").run(one, self._waves.blocks, label="adjoint: range", show=show)

    def _workers(self, direction: str) -> Workers:
        return self._hold(("stolt", direction, self.fine), lambda: (RowFFT(BLOCK, self.fine, direction),))
