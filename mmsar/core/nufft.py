"""Non-uniform FFT plans (finufft) in single precision: geometry once, data many times, with the exact adjoint.

Type1   F[a, b] = sum_l c_l exp(-j ((a0 + a) x_l + (b0 + b) y_l)),   a = 0..n_x-1, b = 0..n_y-1
Waves   f[p, q] = sum_l c_l exp(+j ((p - n_z // 2) z_l + (q - n_x // 2) x_l)),   p = 0..n_z-1, q = 0..n_x-1
"""

import numpy as np

from mmsar.core.checks import positive_int
from mmsar.core.parallel import threads
from mmsar.errors import GeometryError

SCRATCH = 2**20
"""What a transform of any size takes beside its grids and points, as measured [bytes]."""


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


class Waves:
    """Plane waves to a picture, on one thread: points that are new at every call, and the exact adjoint.

    Parameters
    ----------
    shape : (n_z, n_x)
        Pixels.
    n_trans : int
        Pictures made of the same waves together.
    eps : float
        Relative accuracy.
    """

    def __init__(self, shape: tuple[int, int], *, n_trans: int, eps: float) -> None:
        import finufft

        self.shape, self.n_trans = shape, n_trans
        self._plan = finufft.Plan(
            1, shape, n_trans=n_trans, eps=max(eps, 2e-6), isign=1, dtype="complex64", nthreads=1, upsampfac=1.25
        )

    @staticmethod
    def nbytes(shape: tuple[int, int], n_trans: int, n_points: int) -> int:
        """Memory one of them takes with the places and strengths of `n_points` waves, without the pictures [bytes].

        Inside finufft: the fine grid and the patch of it that is spread to at a time, the order of the points, copies
        of the points of a patch, scratch of the FFT.
        """
        fine = (1.25 * shape[0] + 16) * (1.25 * shape[1] + 16)
        inside = 16 * fine + 8 * n_points + 24 * min(n_points, 100_000) + SCRATCH
        return int(inside + (8 * n_trans + 8) * n_points)

    def place(self, z: np.ndarray, x: np.ndarray) -> None:
        """Take new waves: phase steps per pixel, float32 (n,), -pi to pi."""
        self._plan.setpts(z, x)

    def __call__(self, strengths: np.ndarray, out: np.ndarray) -> None:
        """(n_trans, n) complex64 strengths to `out`, complex64 (n_trans, n_z, n_x)."""
        single = self.n_trans == 1
        self._plan.execute(strengths[0] if single else strengths, out=out[0] if single else out)

    def adjoint(self, pictures: np.ndarray, out: np.ndarray) -> None:
        """(n_trans, n_z, n_x) complex64 to `out`, complex64 (n_trans, n)."""
        single = self.n_trans == 1
        self._plan.execute_adjoint(pictures[0] if single else pictures, out=out[0] if single else out)
