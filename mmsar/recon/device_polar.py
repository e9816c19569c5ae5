"""Migration from a cylinder on a device: azimuth FFTs, NUFFTs of plane waves, and one matrix product over the heights.

As `polar.PolarMigration`, slab by slab along z, height wavenumber by height wavenumber; the weights of the azimuth
orders are moved once where they fit a quarter of the room. The NUFFTs are cufinufft's on a GPU.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core.backend import namespace
from mmsar.core.nufft import Modes
from mmsar.recon.device_plan import fit, landed
from mmsar.recon.polar import PolarMigration

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

TURN = 2 * np.pi


class PolarOnDevice:
    """Spectrum (m, n_pairs) on the device to planes of the image, there or on the host, and the adjoint."""

    def __init__(self, host: PolarMigration, device: "Device", mine: slice) -> None:
        xp = device.xp
        self._host, self._device, self._mine = host, device, mine
        self.n_pairs = host.n_pairs
        self._cosine, self._sine = xp.asarray(host.cosine), xp.asarray(host.sine)
        self._orders = xp.arange(-host.order, host.order + 1)
        self._weights: dict[int, tuple[Any, Any]] | None = None
        self._step = 1

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        return 2 * self._cosine.nbytes + self._orders.nbytes

    def within(self, room: int) -> int:
        """Take slabs along z that `room` bytes hold; returns the bytes they take.

        Raises
        ------
        MmsarError
            When not even one plane fits.
        """
        host, n = self._host, self._mine.stop - self._mine.start
        _, n_y, n_x = host.grid.shape
        waves = len(host.k2) * host.n_angles
        weights = 16 * len(host.pairs) * len(host.k2) * (host.order + 1)
        self._weights = {} if weights <= room // 4 else None
        fixed = host.sides * waves * 96 + (weights if self._weights is not None else 0)
        columns = host.sides * len(host.pairs)
        fixed += 8 * columns * n_y
        per_plane = 8 * n_x * (columns + 3 * n_y) + 64 * host.sides * n_x
        self._step = fit("isar", fixed, per_plane, n, room)
        return fixed + per_plane * self._step

    def __call__(self, spectrum: Any, place: ModuleType) -> Any:
        """(m, n_pairs) on the device to the planes (n, n_y, n_x), arrays of `place`, complex64."""
        host, xp = self._host, self._device.xp
        _, n_y, n_x = host.grid.shape
        out = place.zeros((self._mine.stop - self._mine.start, n_y, n_x), dtype=np.complex64)
        for slab in self._slabs() if host.pairs else ():
            n, middle = slab.stop - slab.start, self._middle(slab)
            planes = xp.empty((len(host.pairs), host.sides, n, n_x), dtype=np.complex64)
            waves = Modes((n, n_x), n_trans=host.sides, eps=host.eps, sign=1)
            for p, pair in enumerate(host.pairs):
                kr, weights = self._weights_of(p)
                rows = xp.stack([self._load(spectrum, c, weights[s]) for s, c in enumerate(pair[: host.sides])])
                rows = self._device.fft(rows, 1, "backward") * self._rays(kr, middle)
                waves.place(*self._places(kr))
                planes[p] = waves(rows.reshape(host.sides, -1))
            image = self._heights() @ planes.reshape(-1, n * n_x)
            out[slab] = landed(xp.ascontiguousarray(image.reshape(n_y, n, n_x).transpose(1, 0, 2)), place)
        return out

    def adjoint(self, image: Any) -> Any:
        """Planes (n, n_y, n_x), there or on the host, to the spectrum (m, n_pairs) on the device, complex64."""
        host, xp = self._host, self._device.xp
        _, n_y, n_x = host.grid.shape
        total = xp.zeros((len(host.k2), self.n_pairs), dtype=np.complex64)
        by_order = total.reshape(len(host.k2), len(self._orders), -1)
        for slab in self._slabs() if host.pairs else ():
            n, middle = slab.stop - slab.start, self._middle(slab)
            part = xp.asarray(namespace(image).ascontiguousarray(image[slab].transpose(1, 0, 2))).reshape(n_y, -1)
            planes = (self._heights().conj().T @ part).reshape(len(host.pairs), host.sides, n, n_x)
            waves = Modes((n, n_x), n_trans=host.sides, eps=host.eps, sign=1)
            for p, pair in enumerate(host.pairs):
                kr, weights = self._weights_of(p)
                waves.place(*self._places(kr))
                rows = waves.adjoint(planes[p]).reshape(host.sides, len(host.k2), host.n_angles)
                rows = self._device.fft(xp.ascontiguousarray(rows * self._rays(kr, middle).conj()), 1, "forward")
                for s, column in enumerate(pair[: host.sides]):
                    values = rows[s][:, self._orders % host.n_angles]
                    by_order[:, :, column] += values * weights[s][:, abs(self._orders)].conj()
        return total

    def _slabs(self) -> list[slice]:
        """Runs of planes, counted from the first of this device's."""
        n = self._mine.stop - self._mine.start
        return [slice(i, min(i + self._step, n)) for i in range(0, n, self._step)]

    def _middle(self, slab: slice) -> tuple[float, float]:
        """x and z of a slab's middle pixel [m]."""
        grid, n = self._host.grid, slab.stop - slab.start
        return float(grid.x[len(grid.x) // 2]), float(grid.z[self._mine.start + slab.start + n // 2])

    def _weights_of(self, p: int) -> tuple[Any, Any]:
        """k_r (m,) and the factors of the orders (2, m, N + 1) of a pair of height wavenumbers."""
        if self._weights is not None and p in self._weights:
            return self._weights[p]
        kr, weights = self._host.weights(self._host.pairs[p])
        found = self._device.xp.asarray(kr), self._device.xp.asarray(weights)
        if self._weights is not None:
            self._weights[p] = found
        return found

    def _load(self, spectrum: Any, column: int, weights: Any) -> Any:
        """Weighted orders of a height wavenumber in rows of an FFT over the angles, (m, n_angles)."""
        host = self._host
        rows = self._device.xp.zeros((len(host.k2), host.n_angles), dtype=np.complex64)
        orders = spectrum.reshape(len(host.k2), len(self._orders), -1)[:, :, column]
        rows[:, self._orders % host.n_angles] = orders * weights[:, abs(self._orders)]
        return rows

    def _rays(self, kr: Any, middle: tuple[float, float]) -> Any:
        """exp(j kr (x cos a + z sin a)) at the middle pixel, complex64 (m, n_angles)."""
        xp = self._device.xp
        turns = kr[:, None] * ((self._cosine * middle[0] + self._sine * middle[1]) / TURN)
        turns -= xp.rint(turns)
        return xp.exp(1j * TURN * turns).astype(np.complex64)

    def _places(self, kr: Any) -> tuple[Any, Any]:
        """Phase steps of the waves per pixel along z and x, float32, -pi to pi."""
        spacing = self._host.grid.spacing
        places = []
        for direction, step in ((self._sine, spacing[2]), (self._cosine, spacing[0])):
            turns = (kr[:, None] * (direction * (step / TURN))).ravel()
            places.append(((turns - self._device.xp.rint(turns)) * TURN).astype(np.float32))
        return places[0], places[1]

    def _heights(self) -> Any:
        """From height wavenumbers to heights: complex64 (n_y, n_columns)."""
        return self._device.xp.asarray(self._host.height_matrix())
