"""Non-uniform FFT plans in single precision (finufft; cufinufft on a GPU): geometry once, data often, exact adjoints.

Type1   F[a, b] = sum_l c_l exp(-j ((a0 + a) x_l + (b0 + b) y_l)),   a = 0..n_x-1, b = 0..n_y-1
Waves   f[p, q] = sum_l c_l exp(+j ((p - n_z // 2) z_l + (q - n_x // 2) x_l)),   p = 0..n_z-1, q = 0..n_x-1
"""

from types import ModuleType
from typing import Any

import numpy as np

from mmsar.core.backend import namespace
from mmsar.core.checks import positive_int
from mmsar.core.parallel import threads
from mmsar.errors import DeviceError, GeometryError

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
        self.n_trans, self.eps = positive_int("Type1 n_trans", n_trans), eps
        self.shape = shape
        shift = [a + n // 2 for a, n in zip(first, shape, strict=True)]
        self.shift = np.exp(-1j * (shift[0] * x + shift[1] * y)).astype(np.complex64)
        self._plan = finufft.Plan(
            1, shape, n_trans=self.n_trans, eps=max(eps, 2e-7), isign=-1, dtype="complex64", nthreads=threads()
        )
        points = [np.mod(v + np.pi, 2 * np.pi) - np.pi for v in (np.asarray(x, float), np.asarray(y, float))]
        self.points = [np.ascontiguousarray(v, dtype=np.float32) for v in points]
        self._plan.setpts(*self.points)

    @property
    def nbytes(self) -> int:
        """Memory held, the transform's fine grid (twice the modes each way) included [bytes]."""
        fine = 8 * 4 * self.shape[0] * self.shape[1] * min(self.n_trans, threads())
        return self.shift.nbytes + sum(p.nbytes for p in self.points) + fine

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """(n_trans, n) complex64 to (n_trans, n_x, n_y) complex64."""
        strengths = np.ascontiguousarray(data * self.shift, dtype=np.complex64)
        out = self._plan.execute(strengths if self.n_trans > 1 else strengths[0])
        return out.reshape(self.n_trans, *self.shape)

    def adjoint(self, modes: np.ndarray) -> np.ndarray:
        """(n_trans, n_x, n_y) complex64 to (n_trans, n) complex64."""
        modes = np.ascontiguousarray(modes, dtype=np.complex64)
        out = self._plan.execute_adjoint(modes if self.n_trans > 1 else modes[0])
        return out.reshape(self.n_trans, -1) * self.shift.conj()


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


class Modes:
    """Points to a block of uniform modes and back for arrays of either device: one plan each way, made when needed.

    F[a, b] = sum_l c_l exp(sign j ((a - n_a // 2) u_l + (b - n_b // 2) v_l)); the sum's order, and with it the last
    bits, may differ from run to run on a GPU, where cufinufft adds in the order in which its threads get there.

    Parameters
    ----------
    shape : (n_a, n_b)
        Number of modes.
    n_trans : int
        Data sets that share the points.
    eps : float
        Relative accuracy.
    sign : int
        Of the exponent, +1 or -1.
    """

    def __init__(self, shape: tuple[int, int], *, n_trans: int, eps: float, sign: int) -> None:
        self.shape, self.n_trans = tuple(shape), n_trans
        self._options: dict[str, Any] = {"n_trans": n_trans, "eps": max(eps, 2e-6), "dtype": "complex64"}
        self._sign = sign
        self._points: tuple[Any, Any] | None = None
        self._plans: dict[int, Any] = {}
        self._set: set[int] = set()

    def nbytes(self, n_points: int) -> int:
        """Memory of a transform of `n_points` beside its data, the fine grid included [bytes]."""
        return 8 * 4 * self.shape[0] * self.shape[1] * self.n_trans + 24 * n_points + SCRATCH

    def place(self, u: Any, v: Any) -> None:
        """Take new points: phase steps per mode along both axes, float32 (n,), -pi to pi."""
        self._points = (u, v)
        self._set.clear()

    def __call__(self, data: Any) -> Any:
        """(n_trans, n) complex64 to (n_trans, n_a, n_b) complex64."""
        return self._run(1, data).reshape(self.n_trans, *self.shape)

    def adjoint(self, modes: Any) -> Any:
        """(n_trans, n_a, n_b) complex64 to (n_trans, n) complex64."""
        return self._run(2, modes).reshape(self.n_trans, -1)

    def _run(self, kind: int, data: Any) -> Any:
        xp = namespace(data, *self._points)
        if kind not in self._plans:
            sign = self._sign if kind == 1 else -self._sign
            own = {"nthreads": 1} if xp is np else {"gpu_device_id": xp.cuda.Device().id}
            self._plans[kind] = _library(xp).Plan(kind, self.shape, isign=sign, **self._options, **own)
        if kind not in self._set:
            self._plans[kind].setpts(*self._points)
            self._set.add(kind)
        data = xp.ascontiguousarray(data, dtype=np.complex64)
        return self._plans[kind].execute(data if self.n_trans > 1 else data[0])


def _library(xp: ModuleType) -> ModuleType:
    """finufft for numpy, cufinufft for cupy."""
    if xp is np:
        import finufft

        return finufft
    try:
        import cufinufft
    except ImportError as error:
        raise DeviceError(
            f"device: this method needs cufinufft on a GPU, which does not load ({error}); pip install 'mmsar[gpu12]' "
            "or see docs/gpu.md for CUDA 13, or use device='cpu'"
        ) from None
    return cufinufft
