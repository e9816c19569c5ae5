"""From height wavenumbers to heights: sum_q F[q] exp(j ky_q y), a type-1 non-uniform FFT in one dimension.

The wavenumbers lie closer than an image of this height needs (what is above and below must not wrap around into it):
they are spread with a Kaiser-Bessel kernel to a grid that is just fine enough, and a small matrix does the rest. Only
the rows of that grid are kept that a wavenumber reaches, so that a part of the wavenumbers takes a part of the work;
where spreading saves nothing the matrix takes the wavenumbers as they are.
"""

import numpy as np

from mmsar.core.gridding import kernel_correction, kernel_table, tap_rows
from mmsar.core.kernels_polar import gather_lines, spread_lines

SIGMA = 1.5
"""Oversampling of the coarse grid."""
MIN_SAVING = 0.6
"""Coarse over given wavenumbers below which spreading pays."""


def kernel_width(error: float) -> int:
    """Rows of the coarse grid that a wavenumber is spread to, for a relative error."""
    return int(np.clip(np.ceil(-np.log(error) / (np.pi * np.sqrt(1 - 1 / SIGMA))), 2, 8))


def coarse_rows(band: float, y: np.ndarray) -> int:
    """Rows of a coarse grid over a band of wavenumbers [rad/m], for evenly spaced heights [m]."""
    return int(np.ceil(band * SIGMA * len(y) * float(np.ptp(y)) / max(len(y) - 1, 1) / (2 * np.pi))) + 2


class HeightSynthesis:
    """Rows at height wavenumbers to rows at heights about their middle, one slice of pixels at a time.

    Parameters
    ----------
    ky : (n,) array
        Wavenumbers in any order [rad/m].
    y : (n_y,) array
        Evenly spaced heights [m]; they count from (y_0 + y_n) / 2.
    weight : (n,) array
        Factor of every wavenumber.
    error : float
        Relative error of the spreading.
    """

    def __init__(self, ky: np.ndarray, y: np.ndarray, weight: np.ndarray, *, error: float) -> None:
        width = kernel_width(error)
        self.middle = float(y[0] + y[-1]) / 2
        """What the heights count from [m]."""
        offset, low, band = np.asarray(y) - self.middle, float(ky.min()), float(np.ptp(ky))
        self._start: np.ndarray | None = None
        if band > 0:
            n_coarse = coarse_rows(band, y)
            step = band / (n_coarse - 1)
            place = (ky - low) / step + width / 2
            start, taps = tap_rows(place, kernel_table(width, SIGMA))
            used = np.unique(start[:, None] + np.arange(width))
            if len(used) <= MIN_SAVING * len(ky):
                self._start = np.searchsorted(used, start)
        if self._start is None:
            self._matrix = (np.exp(1j * np.outer(offset, ky)) * weight).astype(np.complex64)
        else:
            self._taps = (taps * weight[:, None]).astype(np.float32)
            coarse = low + (used - width / 2) * step
            correction = kernel_correction(width, SIGMA, offset * step / (2 * np.pi))
            self._matrix = (np.exp(1j * np.outer(offset, coarse)) * correction[:, None]).astype(np.complex64)
        self._analysis = np.ascontiguousarray(self._matrix.conj().T)

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        return 2 * self._matrix.nbytes

    def dense(self) -> np.ndarray:
        """The whole map as one matrix, complex64 (n_y, n)."""
        if self._start is None:
            return self._matrix
        spread = np.zeros((self._matrix.shape[1], len(self._start)), dtype=np.float32)
        width = self._taps.shape[1]
        spread[self._start[:, None] + np.arange(width), np.arange(len(self._start))[:, None]] = self._taps
        return self._matrix @ spread

    def buffer(self, n_x: int) -> np.ndarray:
        """Room for one slice on the coarse grid, complex64."""
        return np.empty((self._matrix.shape[1], n_x), dtype=np.complex64)

    def __call__(self, lines: np.ndarray, coarse: np.ndarray, out: np.ndarray) -> None:
        """(n, n_x) complex64 lines to `out` (n_y, n_x); `coarse` is from `buffer`."""
        if self._start is not None:
            spread_lines(lines, self._start, self._taps, coarse)
            lines = coarse
        np.matmul(self._matrix, lines, out=out)

    def adjoint(self, image: np.ndarray, coarse: np.ndarray, out: np.ndarray) -> None:
        """(n_y, n_x) complex64 to `out` (n, n_x), any stride."""
        np.matmul(self._analysis, image, out=coarse)
        if self._start is None:
            out[:] = coarse
        else:
            gather_lines(coarse, self._start, self._taps, out)
