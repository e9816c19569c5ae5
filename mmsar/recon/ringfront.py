"""From samples at even angles and even heights to azimuth orders and height wavenumbers: two FFTs per frequency.

    S[n, q] = sum_ab s[a, b] exp(-j n (phi_0 + a step)) exp(-j ky_q (y_0 + b h)),    step = 2 pi / n_angles

Orders beyond the number of angles are aliases of lower ones, as they are in the sum. The height wavenumbers have to be
multiples of 2 pi / (M h), which `RingAperture.height_step` sees to.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.fft import RowFFT
from mmsar.core.parallel import Workers, threads
from mmsar.recon.polar import PolarMigration


@dataclass(frozen=True, kw_only=True, eq=False)
class EvenRing:
    """Samples on a full turn of even angles times even heights."""

    n_angles: int
    """Angles of the turn."""
    first_angle: float
    """phi_0 [rad]."""
    n_heights: int
    """Heights."""
    first_height: float
    """y_0 [m]."""
    height_step: float
    """h [m]."""
    index: np.ndarray
    """Flat index into (n_heights, n_angles) of every channel, each at most once."""


def even_ring(raster: tuple[np.ndarray, np.ndarray, np.ndarray], tolerance: tuple[float, float]) -> EvenRing | None:
    """The even ring that a product grid of angles and heights is, or None.

    Parameters
    ----------
    raster : (angles, heights, index)
        Lines of the grid, increasing [rad], [m], and the flat index into (n_angles, n_heights) of every channel.
    tolerance : (rad, m)
        How far a line may be from its even place.
    """
    angles, heights, index = raster
    n, m = len(angles), len(heights)
    if m < 2 or n < 2 or len(np.unique(index)) != len(index):
        return None
    step = 2 * np.pi / n
    height_step = float(heights[-1] - heights[0]) / (m - 1)
    off_angle = angles - angles[0] - step * np.arange(n)
    off_height = heights - heights[0] - height_step * np.arange(m)
    if np.ptp(off_angle) > tolerance[0] or np.abs(off_height).max() > tolerance[1]:
        return None
    return EvenRing(
        n_angles=n,
        first_angle=float(angles[0] + (off_angle.max() + off_angle.min()) / 2),
        n_heights=m,
        first_height=float(heights[0]),
        height_step=height_step,
        index=index % m * n + index // m,
    )


class RingFront:
    """Samples of an even ring to the spectrum (m, n_orders * n_ky), and the adjoint."""

    by_channel = False

    def __init__(self, ring: EvenRing, migration: PolarMigration) -> None:
        self.ring = ring
        orders, ky = migration.mode_axes
        self.length = round(2 * np.pi / (migration.dky * ring.height_step))
        if abs(self.length * migration.dky * ring.height_step / (2 * np.pi) - 1) > 1e-9:
            raise ValueError("RingFront: height wavenumbers that are no multiples of 2 pi / (M h)")
        self.order_place = orders % ring.n_angles
        self.height_place = (np.arange(len(ky)) - len(ky) // 2) % self.length
        turn = np.exp(-1j * orders * ring.first_angle)
        lift = np.exp(-1j * ky * (ring.first_height - migration.centre[1]))
        self.turn, self.lift = turn.astype(np.complex64)[:, None], lift.astype(np.complex64)
        self._shape = (len(orders), len(ky))
        self._workers: dict[str, Workers] = {}

    @property
    def nbytes(self) -> int:
        """Memory held and in flight [bytes]."""
        per_thread = self.ring.n_heights * self.ring.n_angles + self._shape[0] * (self.length + self._shape[1])
        return self.ring.index.nbytes + 8 * threads() * (per_thread + self._shape[0] * self.ring.n_heights)

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """(m, n_channels) complex64 to (m, n_orders * n_ky) complex64."""
        out = np.empty((len(data), *self._shape), dtype=np.complex64)
        n = self.ring.n_heights

        def one(m: int, round_: RowFFT, up: RowFFT) -> None:
            round_.buffer.fill(0)
            round_.buffer.ravel()[self.ring.index] = data[m]
            up.buffer[:, n:] = 0
            np.multiply(round_()[:, self.order_place].T, self.turn, out=up.buffer[:, :n])
            np.multiply(up()[:, self.height_place], self.lift, out=out[m])

        self._held("forward").run(one, range(len(data)))
        return out.reshape(len(data), -1)

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        """(m, n_orders * n_ky) complex64 to (m, n_channels) complex64."""
        out = np.empty((len(spectrum), len(self.ring.index)), dtype=np.complex64)
        blocks = spectrum.reshape(len(spectrum), *self._shape)
        n = self.ring.n_heights

        def one(m: int, round_: RowFFT, up: RowFFT) -> None:
            _add_columns(up.buffer, self.height_place, blocks[m] * self.lift.conj())
            _add_columns(round_.buffer, self.order_place, (up()[:, :n] * self.turn.conj()).T)
            np.take(round_().ravel(), self.ring.index, out=out[m])

        self._held("backward").run(one, range(len(spectrum)))
        return out

    def _held(self, direction: str) -> Workers:
        if direction not in self._workers:
            shapes = ((self.ring.n_heights, self.ring.n_angles), (self._shape[0], self.length))
            self._workers[direction] = Workers(lambda: tuple(RowFFT(*shape, direction) for shape in shapes))
        return self._workers[direction]


def _add_columns(buffer: np.ndarray, place: np.ndarray, columns: np.ndarray) -> None:
    """buffer = 0, then buffer[:, place[i]] += columns[:, i]; places may come again, a buffer's length later."""
    length = buffer.shape[1]
    buffer.fill(0)
    for first in range(0, len(place), length):
        part = slice(first, first + length)
        buffer[:, place[part]] += columns[:, part]
