"""From samples to the spectrum over the aperture plane: three ways, each with its adjoint.

rectilinear   samples on a product grid x_i, y_j (uniform or not): two small matrix products per frequency
irregular     any x, y on one plane: 2-D type-1 NUFFT, all frequencies share the points
exact         any x, y, z: 3-D type-3 NUFFT at (kx, ky, 2k - kz), per frequency; the carrier exp(2jkz) is already out
"""

from typing import Protocol

import numpy as np

from mmsar.core.nufft import Type1
from mmsar.core.parallel import Workers, matmul_rows, one_blas_thread, threads
from mmsar.core.stacked import StackedNufft, WaveFamily
from mmsar.recon.migration import Migration
from mmsar.signal.pitch import lines


class Front(Protocol):
    """Samples (m, n_channels) to spectrum (m, n_pairs) and back."""

    nbytes: int
    by_channel: bool
    """Whether samples are best laid out in memory channel by channel, not frequency by frequency."""

    def __call__(self, data: np.ndarray) -> np.ndarray: ...

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray: ...


def product_grid(virtual: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | str:
    """Axes and positions of samples that lie on a product grid, or why they do not.

    Parameters
    ----------
    virtual : (n, 3) array
        Phase centres [m].
    tolerance : float
        Largest distance of a sample from its grid line [m].

    Returns
    -------
    (x, y, index) or str
        Axes (n_x,), (n_y,) [m] and the flat index into (n_x, n_y) of every sample; or one clause saying why not.
    """
    depth = float(np.ptp(virtual[:, 2]))
    if depth > 2 * tolerance:
        return f"the aperture is {1e3 * depth:.2f} mm deep, not plane within {2e3 * tolerance:.2f} mm"
    axes, indices = [], []
    for axis, name in ((0, "x"), (1, "y")):
        index, places = lines(virtual[:, axis], tolerance)
        if np.max(np.abs(virtual[:, axis] - places[index])) > tolerance:
            return f"the {name} positions do not fall on grid lines within {1e3 * tolerance:.3f} mm"
        axes.append(places)
        indices.append(index)
    filled = len(virtual) / (len(axes[0]) * len(axes[1]))
    if filled < 0.5:
        return f"only {100 * filled:.2g} % of the {len(axes[0])} x {len(axes[1])} grid through the samples is filled"
    return axes[0], axes[1], indices[0] * len(axes[1]) + indices[1]


class RectilinearFront:
    """Samples on a product grid; several samples on one point add up (they are averaged by the norm)."""

    by_channel = False

    def __init__(self, grid: tuple[np.ndarray, np.ndarray, np.ndarray], migration: Migration) -> None:
        x, y, self._index = grid
        kx, ky = migration.mode_axes
        self._x, self._y = _waves(kx, x - migration.centre[0]), _waves(y - migration.centre[1], ky)
        self._flat = migration.flat
        self._one_each = len(np.unique(self._index)) == len(self._index)
        self._line = next((axis for axis, k in enumerate((kx, ky)) if len(k) == 1 and k[0] == 0), None)

    @property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Waves (n_kx, n_x) and (n_y, n_ky), places of the channels on the grid, in-band pairs."""
        return self._x, self._y, self._index, self._flat

    @property
    def nbytes(self) -> int:
        """Memory held and in flight [bytes]."""
        return (
            self._x.nbytes + self._y.nbytes + self._index.nbytes + 24 * threads() * self._x.shape[0] * self._y.shape[1]
        )

    def __call__(self, data: np.ndarray) -> np.ndarray:
        if self._line is not None:
            return self._of_line(data)
        out = np.empty((len(data), len(self._flat)), dtype=np.complex64)

        def one(m: int) -> None:
            np.take((self._x @ self._plane(data[m])) @ self._y, self._flat, out=out[m])

        with one_blas_thread():
            Workers().run(one, range(len(data)))
        return out

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        if self._line is not None:
            return self._of_line_back(spectrum)
        out = np.empty((len(spectrum), len(self._index)), dtype=np.complex64)

        def one(m: int) -> None:
            block = np.zeros((self._x.shape[0], self._y.shape[1]), dtype=np.complex64)
            block.ravel()[self._flat] = spectrum[m]
            out[m] = (self._x.conj().T @ (block @ self._y.conj().T)).ravel()[self._index]

        with one_blas_thread():
            Workers().run(one, range(len(spectrum)))
        return out

    def _plane(self, samples: np.ndarray) -> np.ndarray:
        """(n_channels,) samples on the product grid, (n_x, n_y)."""
        plane = np.zeros((self._x.shape[1], self._y.shape[0]), dtype=np.complex64)
        if self._one_each:
            plane.ravel()[self._index] = samples
        else:
            np.add.at(plane.ravel(), self._index, samples)
        return plane

    def _of_line(self, data: np.ndarray) -> np.ndarray:
        """All frequencies in one product; the missing axis has the one wave 1."""
        sums = np.array([self._plane(row).sum(axis=self._line) for row in data])
        return np.take(matmul_rows(sums, self._x.T if self._line else self._y), self._flat, axis=1)

    def _of_line_back(self, spectrum: np.ndarray) -> np.ndarray:
        waves = self._x.T if self._line else self._y
        block = np.zeros((len(spectrum), waves.shape[1]), dtype=np.complex64)
        block[:, self._flat] = spectrum
        sums = matmul_rows(block, waves.conj().T)
        place = np.unravel_index(self._index, (self._x.shape[1], self._y.shape[0]))[1 - self._line]
        return sums[:, place]


def _waves(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """exp(-j a_i b_j), complex64, row by row: in double precision all of it would take four times the memory."""
    out = np.empty((len(a), len(b)), dtype=np.complex64)
    for row, value in zip(out, a, strict=True):
        row[:] = np.exp(-1j * value * b)
    return out


class IrregularFront:
    """Any x, y on one plane, by a 2-D type-1 NUFFT."""

    by_channel = False

    def __init__(self, virtual: np.ndarray, migration: Migration, *, n_frequencies: int, eps: float) -> None:
        x, y = ((virtual[:, a] - migration.centre[a]) * migration.dk[a] for a in (0, 1))
        self._flat, self._shape = migration.flat, tuple(migration.count)
        self._plan = Type1(x, y, first=tuple(migration.first), shape=self._shape, n_trans=n_frequencies, eps=eps)

    @property
    def tables(self) -> tuple[Type1, np.ndarray]:
        """The transform and the in-band pairs."""
        return self._plan, self._flat

    @property
    def nbytes(self) -> int:
        """Memory held and in flight [bytes]."""
        return self._plan.nbytes + 8 * self._plan.n_trans * self._shape[0] * self._shape[1]

    def __call__(self, data: np.ndarray) -> np.ndarray:
        modes = self._plan(data).reshape(len(data), -1)
        out = np.empty((len(data), len(self._flat)), dtype=np.complex64)
        Workers().run(lambda m: np.take(modes[m], self._flat, out=out[m]), range(len(data)))
        return out

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        block = np.zeros((len(spectrum), self._shape[0] * self._shape[1]), dtype=np.complex64)
        block[:, self._flat] = spectrum
        return self._plan.adjoint(block.reshape(-1, *self._shape))


class ExactFront:
    """Any x, y, z: the wide-angle spectrum at (kx, ky, kz(kx, ky, k)), all frequencies together."""

    by_channel = True

    def __init__(self, virtual: np.ndarray, migration: Migration, *, error: float, memory: int) -> None:
        points = virtual - np.array([*migration.centre, migration.z_ref])
        waves = WaveFamily(
            dk=tuple(migration.dk),
            first=tuple(migration.first),
            count=tuple(migration.count),
            flat=migration.flat,
            k2=migration.k2,
            lags=migration.lags,
        )
        self._transform = StackedNufft(points, waves, error=error, memory=memory)

    @property
    def transform(self) -> StackedNufft:
        """The transform."""
        return self._transform

    @property
    def nbytes(self) -> int:
        """Memory held and in flight [bytes]."""
        return self._transform.nbytes

    def __call__(self, data: np.ndarray) -> np.ndarray:
        return self._transform(data)

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        return self._transform.adjoint(spectrum)
