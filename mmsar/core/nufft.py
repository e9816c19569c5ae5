"""Non-uniform FFT plans (finufft) in single precision: geometry once, data many times, with the exact adjoint.

type 1:  F[a, b] = sum_l c_l exp(-j ((a0 + a) x_l + (b0 + b) y_l)),   a = 0..n_x-1, b = 0..n_y-1
"""

import numpy as np

from mmsar.core.checks import positive_int
from mmsar.core.parallel import threads
from mmsar.errors import GeometryError


class Type1:
    """Irregular points in the plane to a block of uniform modes; `n_trans` data sets share the points.

    Parameters
    ----------
    x, y : (n,) arrays
        Coordinates scaled by the mode spacing [rad].
    first : (a0, b0)
        First mode along x and y.
    shape : (n_x, n_y)
        Number of modes.
    n_trans : int
        Data sets transformed together.
    eps : float
        Relative accuracy.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, *, first: tuple[int, int], shape: tuple[int, int], n_trans: int, eps: float
    ) -> None:
        import finufft

        if len(x) != len(y):
            raise GeometryError(f"Type1: got {len(x)} x and {len(y)} y coordinates, wanted as many of each")
        self.n_trans = positive_int("Type1 n_trans", n_trans)
        self.shape = shape
        shift = [a + n // 2 for a, n in zip(first, shape, strict=True)]
        self._shift = np.exp(-1j * (shift[0] * x + shift[1] * y)).astype(np.complex64)
        self._plan = finufft.Plan(
            1, shape, n_trans=self.n_trans, eps=max(eps, 2e-7), isign=-1, dtype="complex64", nthreads=threads()
        )
        points = [np.mod(v + np.pi, 2 * np.pi) - np.pi for v in (np.asarray(x, float), np.asarray(y, float))]
        self._points = [np.ascontiguousarray(v, dtype=np.float32) for v in points]
        self._plan.setpts(*self._points)

    @property
    def nbytes(self) -> int:
        """Memory held, the transform's fine grid (twice the modes each way) included [bytes]."""
        fine = 8 * 4 * self.shape[0] * self.shape[1] * min(self.n_trans, threads())
        return self._shift.nbytes + sum(p.nbytes for p in self._points) + fine

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """(n_trans, n) complex64 to (n_trans, n_x, n_y) complex64."""
        strengths = np.ascontiguousarray(data * self._shift, dtype=np.complex64)
        out = self._plan.execute(strengths if self.n_trans > 1 else strengths[0])
        return out.reshape(self.n_trans, *self.shape)

    def adjoint(self, modes: np.ndarray) -> np.ndarray:
        """(n_trans, n_x, n_y) complex64 to (n_trans, n) complex64."""
        modes = np.ascontiguousarray(modes, dtype=np.complex64)
        out = self._plan.execute_adjoint(modes if self.n_trans > 1 else modes[0])
        return out.reshape(self.n_trans, -1) * self._shift.conj()
