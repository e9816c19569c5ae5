"""rma, empm, nufft and isar on a device: the steps of `fourier.SpectralPlan` on arrays of the device.

Samples are fed in blocks of poses and compressed at once. Where all compressed samples do not fit beside the spectrum
they wait on the host, and the front takes the frequencies in blocks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core.backend import namespace, to_host
from mmsar.recon.device_fronts import front_on_device
from mmsar.recon.device_migration import MigrationOnDevice
from mmsar.recon.device_plan import IN_FLIGHT, blocks_on, fit, landed, place_of
from mmsar.recon.device_polar import PolarOnDevice
from mmsar.recon.fronts import Front
from mmsar.recon.migration import Migration
from mmsar.recon.polar import PolarMigration

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device
    from mmsar.recon.fourier import SpectralPlan

_MIGRATIONS = {Migration: MigrationOnDevice, PolarMigration: PolarOnDevice}


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """What the plan of the CPU has made."""

    matrix: np.ndarray
    """Compression of frequencies, complex64 (n_samples, m)."""
    phase: np.ndarray
    """Weights and phases of the compensation, complex64 (m, n_channels)."""
    front: Front
    """Samples to spectrum."""
    migration: Migration | PolarMigration
    """Spectrum to image."""


class SpectralShare:
    """Some planes of a spectral plan on one device.

    Parameters
    ----------
    plan : SpectralPlan
        The plan of the CPU.
    tables : Tables
        Its tables.
    device : Device
        Where.
    mine : slice
        Which planes along z.
    memory : int
        Budget [bytes].
    """

    def __init__(self, plan: "SpectralPlan", tables: Tables, device: "Device", mine: slice, memory: int) -> None:
        self.mine, self._plan, self._tables, self._device = mine, plan, tables, device
        self._matrix = device.xp.asarray(tables.matrix)
        self._front = front_on_device(tables.front, device)
        self._migration = _MIGRATIONS[type(tables.migration)](tables.migration, device, mine)
        self._phase: Any = None
        self._set_pieces(memory)

    def _set_pieces(self, memory: int) -> None:
        """Poses, frequencies and planes at a time, within the budget."""
        m, channels = self._plan.n_frequencies, self._plan.geometry.n_channels
        n_pose, n_tx, n_rx, n_samples = self._plan.geometry.shape
        of_pose = 8 * n_tx * n_rx * n_samples
        held = self._matrix.nbytes + self._front.nbytes + self._migration.nbytes
        spectrum = 16 * m * self._migration.n_pairs  # what the front made of a block is copied into it
        self._poses = int(np.clip(min(IN_FLIGHT, memory // 16) // of_pose, 1, n_pose))
        feed = 3 * of_pose * self._poses
        per_frequency = 8 * 4 * channels + self._front.per_frequency
        block = fit(f"method {self._plan.method}", held + spectrum + feed, per_frequency, m, memory)
        self._block = -(-m // -(-m // block))
        in_front = held + spectrum + feed + per_frequency * self._block
        self._whole = self._block == m
        resident = held + spectrum + (8 * m * channels if self._whole else 0)  # the phases stay where they fit
        self.nbytes = max(in_front, resident + self._migration.within(memory - resident))

    def __call__(self, signal: Any) -> Any:
        """The planes (n, n_y, n_x) complex64 of a signal."""
        xp, geometry = self._device.xp, self._plan.geometry
        space = xp if self._whole else np
        data = space.empty((self._plan.n_frequencies, geometry.n_channels), dtype=np.complex64)
        first = 0
        for block in blocks_on(self._device, signal, self._poses):
            rows = (block.reshape(-1, block.shape[3]) @ self._matrix).T
            data[:, first : first + rows.shape[1]] = rows if self._whole else to_host(rows)
            first += rows.shape[1]
        spectrum = xp.empty((self._plan.n_frequencies, self._migration.n_pairs), dtype=np.complex64)
        for part in self._frequencies():
            some = xp.asarray(data[part]) * self._phases(part)
            spectrum[part] = self._front(some, part.start)
            del some
        del data
        return self._migration(spectrum, place_of(signal))

    def adjoint(self, parts: Any) -> Any:
        """Planes (n, n_y, n_x) to signal (n_pose, n_tx, n_rx, n_samples) complex64."""
        shape, m = self._plan.geometry.shape, self._plan.n_frequencies
        xp = self._device.xp
        spectrum = self._migration.adjoint(parts)
        space = xp if self._whole else np
        data = space.empty((m, self._plan.geometry.n_channels), dtype=np.complex64)
        for part in self._frequencies():
            some = self._front.adjoint(spectrum[part], part.start) * self._phases(part).conj()
            data[part] = some if self._whole else to_host(some)
        del spectrum
        place = namespace(parts)
        out = place.empty((data.shape[1], shape[3]), dtype=np.complex64)
        back = self._matrix.conj().T
        step = self._poses * data.shape[1] // shape[0]
        for first in range(0, len(out), step):
            out[first : first + step] = landed(xp.asarray(data[:, first : first + step]).T @ back, place)
        return out.reshape(shape)

    def _frequencies(self) -> list[slice]:
        n = self._plan.n_frequencies
        return [slice(i, min(i + self._block, n)) for i in range(0, n, self._block)]

    def _phases(self, part: slice) -> Any:
        """Weights and phases of the compensation for some frequencies, (m, n_channels); moved once where they fit."""
        if not self._whole:
            return self._device.xp.asarray(self._tables.phase[part])
        if self._phase is None:
            self._phase = self._device.xp.asarray(self._tables.phase)
        return self._phase[part]
