"""The fronts of rma, empm, nufft and isar on a device: samples of some frequencies to their spectra, and back.

Each is made from the front of the CPU's plan, whose tables it moves once; the arithmetic is that of the namespace of
the arrays (`fronts`, `ringfront`), FFTs and NUFFTs are those of the device.
"""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmsar.core.nufft import Modes
from mmsar.core.stacked_device import StackedOnDevice
from mmsar.recon.fronts import ExactFront, Front, IrregularFront, RectilinearFront
from mmsar.recon.ringfront import RingFront

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device


class DeviceFront(Protocol):
    """Samples (m, n_channels) of the frequencies from `first` on to their spectrum (m, n_pairs), and back."""

    nbytes: int
    per_frequency: int

    def __call__(self, data: Any, first: int) -> Any: ...

    def adjoint(self, spectrum: Any, first: int) -> Any: ...


class RectilinearOnDevice:
    """Samples on a product grid: two matrix products for all frequencies together."""

    def __init__(self, host: RectilinearFront, device: "Device") -> None:
        xp = device.xp
        self._xp, index = xp, host.tables[2]
        self._x, self._y, self._index, self._flat = (xp.asarray(a) for a in host.tables)
        self._rounds = [(xp.asarray(r), xp.asarray(index[r])) for r in _rounds(index)]

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        rounds = sum(a.nbytes + b.nbytes for a, b in self._rounds)
        return self._x.nbytes + self._y.nbytes + self._flat.nbytes + self._index.nbytes + rounds

    @property
    def per_frequency(self) -> int:
        """Memory in flight for a frequency [bytes]."""
        (n_kx, n_x), (n_y, n_ky) = self._x.shape, self._y.shape
        return 8 * (n_x * n_y + n_kx * n_y + n_kx * n_ky)

    def __call__(self, data: Any, first: int) -> Any:
        n_x, n_y = self._x.shape[1], self._y.shape[0]
        planes = self._xp.zeros((len(data), n_x * n_y), dtype=np.complex64)
        for channels, places in self._rounds:
            planes[:, places] += data[:, channels]
        waves = (self._x @ planes.reshape(-1, n_x, n_y)) @ self._y
        return waves.reshape(len(data), -1)[:, self._flat]

    def adjoint(self, spectrum: Any, first: int) -> Any:
        n_kx, n_ky = self._x.shape[0], self._y.shape[1]
        block = self._xp.zeros((len(spectrum), n_kx * n_ky), dtype=np.complex64)
        block[:, self._flat] = spectrum
        planes = self._x.conj().T @ (block.reshape(-1, n_kx, n_ky) @ self._y.conj().T)
        return planes.reshape(len(spectrum), -1)[:, self._index]


def _rounds(index: np.ndarray) -> list[np.ndarray]:
    """Runs of channels none of which go to the same place: the first of every place, the second, and so on."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    start = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    rank = np.arange(len(index)) - np.repeat(start, np.diff(np.append(start, len(index))))
    return [np.sort(order[rank == r]) for r in range(int(rank.max()) + 1)]


class IrregularOnDevice:
    """Any x, y: a 2-D NUFFT of type 1, by cufinufft on a GPU."""

    def __init__(self, host: IrregularFront, device: "Device") -> None:
        xp, (plan, flat) = device.xp, host.tables
        self._xp, self._shape, self._eps = xp, plan.shape, plan.eps
        self._points = [xp.asarray(p) for p in plan.points]
        self._shift, self._flat = xp.asarray(plan.shift), xp.asarray(flat)
        self._modes: Modes | None = None

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        return sum(p.nbytes for p in (*self._points, self._shift, self._flat)) + 24 * len(self._shift)

    @property
    def per_frequency(self) -> int:
        """Memory in flight for a frequency [bytes]: modes, the fine grid, strengths."""
        return 8 * (5 * self._shape[0] * self._shape[1] + len(self._shift))

    def __call__(self, data: Any, first: int) -> Any:
        return self._plan(len(data))(data * self._shift).reshape(len(data), -1)[:, self._flat]

    def adjoint(self, spectrum: Any, first: int) -> Any:
        block = self._xp.zeros((len(spectrum), self._shape[0] * self._shape[1]), dtype=np.complex64)
        block[:, self._flat] = spectrum
        return self._plan(len(spectrum)).adjoint(block.reshape(-1, *self._shape)) * self._shift.conj()

    def _plan(self, m: int) -> Modes:
        """The transform of m frequencies, held until another number is asked for."""
        if self._modes is None or self._modes.n_trans != m:
            self._modes = None
            self._modes = Modes(self._shape, n_trans=m, eps=self._eps, sign=-1)
            self._modes.place(*self._points)
        return self._modes


class ExactOnDevice:
    """Any x, y, z: the stacked transform."""

    def __init__(self, host: ExactFront, device: "Device") -> None:
        self._transform = StackedOnDevice(host.transform, device)
        self.nbytes, self.per_frequency = self._transform.nbytes, self._transform.per_data_set

    def __call__(self, data: Any, first: int) -> Any:
        return self._transform(data, first)

    def adjoint(self, spectrum: Any, first: int) -> Any:
        return self._transform.adjoint(spectrum, first)


class RingOnDevice:
    """An even ring: FFTs over angles and heights."""

    def __init__(self, host: RingFront, device: "Device") -> None:
        xp = device.xp
        self._device, self._ring, self._length = device, host.ring, host.length
        arrays = (host.ring.index, host.order_place, host.height_place, host.turn, host.lift)
        self._index, self._order_place, self._height_place, self._turn, self._lift = (xp.asarray(a) for a in arrays)

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        return self._index.nbytes + self._order_place.nbytes + self._turn.nbytes

    @property
    def per_frequency(self) -> int:
        """Memory in flight for a frequency [bytes]."""
        n_orders, ring = len(self._turn), self._ring
        return 16 * (ring.n_heights * (ring.n_angles + n_orders) + n_orders * (self._length + len(self._lift)))

    def __call__(self, data: Any, first: int) -> Any:
        ring, xp, m = self._ring, self._device.xp, len(data)
        rounds = xp.zeros((m, ring.n_heights * ring.n_angles), dtype=np.complex64)
        rounds[:, self._index] = data
        rounds = self._device.fft(rounds.reshape(m, ring.n_heights, ring.n_angles), 1, "forward")
        up = xp.zeros((m, len(self._turn), self._length), dtype=np.complex64)
        up[:, :, : ring.n_heights] = rounds[:, :, self._order_place].transpose(0, 2, 1) * self._turn
        up = self._device.fft(up, 1, "forward")
        return (up[:, :, self._height_place] * self._lift).reshape(m, -1)

    def adjoint(self, spectrum: Any, first: int) -> Any:
        ring, m = self._ring, len(spectrum)
        blocks = spectrum.reshape(m, len(self._turn), -1) * self._lift.conj()
        up = self._device.fft(self._columns(blocks, self._height_place, self._length), 1, "backward")
        rounds = (up[:, :, : ring.n_heights] * self._turn.conj()).transpose(0, 2, 1)
        rounds = self._device.fft(self._columns(rounds, self._order_place, ring.n_angles), 1, "backward")
        return rounds.reshape(m, -1)[:, self._index]

    def _columns(self, columns: Any, place: Any, length: int) -> Any:
        """Columns added up at their places; places come again a length later only."""
        out = self._device.xp.zeros((*columns.shape[:2], length), dtype=np.complex64)
        for first in range(0, len(place), length):
            out[:, :, place[first : first + length]] += columns[:, :, first : first + length]
        return out


def front_on_device(host: Front, device: "Device") -> DeviceFront:
    """The front of a plan, moved to a device."""
    kinds = {
        RectilinearFront: RectilinearOnDevice,
        IrregularFront: IrregularOnDevice,
        ExactFront: ExactOnDevice,
        RingFront: RingOnDevice,
    }
    return kinds[type(host)](host, device)
