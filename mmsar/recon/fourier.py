"""The plan that rma, empm, nufft and isar share: compress frequencies, compensate, transform, migrate.

    image = 1/norm * Migration( Front( exp(-j k' phi) w (signal @ D) ) )

Each step is linear and has its adjoint; the plan's adjoint is the chain of them in reverse.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmsar.core.backend import resolve_device
from mmsar.core.checks import check_shape
from mmsar.core.memory import MEMORY_ADVICE, budget, release, require
from mmsar.core.parallel import matmul_rows, threads
from mmsar.errors import DeviceError, GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.device_spectral import SpectralShare, Tables
from mmsar.recon.fronts import Front
from mmsar.recon.migration import Migration
from mmsar.recon.options import ReconOptions
from mmsar.signal.compress import FrequencyCompression, compress, compressed

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device


def path_limits(geometry: Geometry, grid: ImageGrid) -> tuple[float, float]:
    """Bounds of R_tx + R_rx over all channels and voxels [m]."""
    box = np.array(grid.extent)
    low = high = 0.0
    for position in (geometry.tx_position, geometry.rx_position):
        flat = position.reshape(-1, 3)
        start, stop = flat.min(axis=0), flat.max(axis=0)
        gap = np.maximum(0, np.maximum(box[:, 0] - stop, start - box[:, 1]))
        far = np.maximum(box[:, 1] - start, stop - box[:, 0])
        low += float(np.linalg.norm(gap))
        high += float(np.linalg.norm(far))
    return low, high


class Migrating(Protocol):
    """Spectrum (m, n_pairs) to image (n_z, n_y, n_x), and back."""

    n_pairs: int
    nbytes: int

    def __call__(self, spectrum: np.ndarray, show: bool | None) -> np.ndarray: ...

    def adjoint(self, image: np.ndarray, show: bool | None) -> np.ndarray: ...

    def shrink(self, excess: int) -> None: ...


class SpectralPlan:
    """An imager that goes through a spectrum, for one geometry and one grid.

    Parameters
    ----------
    geometry, grid
        What is imaged where.
    method : str
        Its name.
    path : (n_pose, n_tx, n_rx) array
        Path difference phi taken out of every channel [m].
    compression : FrequencyCompression
        Of the path lengths that are left.
    make_migration : callable
        (bytes it may take, eps) to a Migrating.
    make_front : callable
        (migration, n_frequencies, eps) to a Front.
    options : ReconOptions
        Accuracy of the numerics (compression, NUFFT; the method's own approximation comes on top), memory, progress.
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: ImageGrid,
        *,
        method: str,
        path: np.ndarray,
        compression: FrequencyCompression,
        make_migration: Callable[[int, float], Any],
        make_front: Callable[[Any, int, float], Front],
        options: ReconOptions,
    ) -> None:
        self.geometry, self.grid, self.method, self.error_db = geometry, grid, method, options.error_db
        self.show = options.progress
        allowed = budget(options.memory)
        self._compression = compression
        k = compression.k
        self._phase = np.empty((len(k), geometry.n_channels), dtype=np.complex64)
        weight = geometry.weight.ravel()
        for row, wavenumber in zip(self._phase, k, strict=True):
            row[:] = weight * np.exp(-1j * wavenumber * path.ravel())
        fixed = compression.nbytes + self._phase.nbytes + 8 * len(k) * geometry.n_channels
        eps = 10 ** ((options.error_db - 5) / 20)
        self._migration: Migrating = make_migration(max(allowed - fixed, 0) // 2, eps)
        self._front = make_front(self._migration, len(k), eps)
        if self._front.by_channel:
            self._phase = np.asfortranarray(self._phase)
        if self.nbytes > allowed:
            self._migration.shrink(self.nbytes - allowed)
        require(f"method {method}", self.nbytes, allowed, MEMORY_ADVICE)
        release()

    @property
    def n_frequencies(self) -> int:
        """Frequencies after compression."""
        return len(self._compression.k)

    @property
    def nbytes(self) -> int:
        """Memory held and in flight, the image included [bytes]."""
        data = 8 * self.n_frequencies * self.geometry.n_channels
        spectrum = 8 * self.n_frequencies * self._migration.n_pairs
        image = 8 * self.grid.n_voxels // self.grid.shape[0] * max(z.stop - z.start for z, _, _ in self.regions)
        centres = 24 * self.geometry.n_channels  # the geometry keeps its phase centres once they were asked for
        held = centres + self._compression.nbytes + self._phase.nbytes + self._front.nbytes + self._migration.nbytes
        blocks = 8 * threads() * 4096 * (self.geometry.shape[3] + self.n_frequencies)
        return held + max(2 * data + blocks, spectrum + max(data, image))  # the samples go when there is a spectrum

    @property
    def n_parts(self) -> int:
        """Planes along z, which devices share out."""
        return self.grid.shape[0]

    def on_device(self, device: "Device", mine: slice, memory: int) -> SpectralShare:
        """Some of the planes on a device."""
        phase = np.ascontiguousarray(self._phase)
        tables = Tables(matrix=self._compression.matrix, phase=phase, front=self._front, migration=self._migration)
        return SpectralShare(self, tables, device, mine, memory)

    def join(self, parts: list[np.ndarray]) -> np.ndarray:
        """The image of all planes in order."""
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def part(self, image: np.ndarray) -> np.ndarray:
        """The transpose of `join`."""
        return image

    def __call__(self, signal: Any) -> np.ndarray:
        """Image the signal.

        Parameters
        ----------
        signal : (n_pose, n_tx, n_rx, n_samples) complex64, or a Scan
            The samples; a Scan is read block by block.

        Returns
        -------
        (n_z, n_y, n_x) complex64
            The image; a unit point peaks at 1.

        Raises
        ------
        GeometryError
            A signal of another shape than the geometry.
        """
        return self._migration(self.prepare(signal), self.show)

    @property
    def regions(self) -> list[tuple[slice, slice, slice]]:
        """The tiles that the image may be made in, one at a time (`ReconOptions.tiles`): voxels (z, y, x) of each."""
        return [tuple(slice(0, n) for n in self.grid.shape)]

    def prepare(self, signal: Any) -> np.ndarray:
        """The spectrum of a signal, (m, n_pairs) complex64: what `tile` takes. Parameters and errors as of a call."""
        data = self._compressed(signal)
        data *= self._phase
        release()
        spectrum = self._front(data)
        del data
        release()
        return spectrum

    def adjoint(self, image: np.ndarray) -> np.ndarray:
        """The exact adjoint of the imaging map: image (n_z, n_y, n_x) to signal (n_pose, n_tx, n_rx, n_samples)."""
        check_shape("image", np.shape(image), self.grid.shape)
        return matmul_rows(self._echo(image).T, self._compression.matrix.conj().T).reshape(self.geometry.shape)

    def gram(self, image: np.ndarray, channel: np.ndarray, frequency: np.ndarray) -> np.ndarray:
        """norm A C F A^H of an image, with C and F given on the diagonal: plan(norm * channel * frequency *
        plan.adjoint(image)) without leaving the compressed frequencies.

        Parameters
        ----------
        channel : (n_pose, n_tx, n_rx) float array
            Factor of every channel.
        frequency : (n_samples,) float array
            Factor of every sample.

        Returns
        -------
        (n_z, n_y, n_x) complex64
        """
        matrix = self._compression.matrix
        mix = (self.geometry.norm * (matrix.T * frequency) @ matrix.conj()).astype(np.complex64)
        data = mix @ (self._echo(image) * channel.ravel())
        data *= self._phase
        return self._migration(self._front(data), self.show)

    def _echo(self, image: np.ndarray) -> np.ndarray:
        """Echo of an image in the compressed frequencies, (m, n_channels) complex64."""
        data = self._front.adjoint(self._migration.adjoint(np.asarray(image, dtype=np.complex64), self.show))
        data *= self._phase.conj()
        return data

    def _compressed(self, signal: Any) -> np.ndarray:
        """signal @ D, transposed: (m, n_channels) complex64."""
        by_channel = self._front.by_channel
        return compressed(signal, self.geometry.shape, self._compression.matrix, by_channel=by_channel)


class FourierPlan(SpectralPlan):
    """An imager of the planar family: rma, empm, nufft.

    Parameters
    ----------
    virtual : (n, 3) array
        Phase centres used [m].
    z_ref : float
        Aperture plane [m].
    others
        As of `SpectralPlan`.
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: ImageGrid,
        *,
        method: str,
        path: np.ndarray,
        virtual: np.ndarray,
        z_ref: float,
        make_front: Callable[[Migration, int, float], Front],
        options: ReconOptions,
    ) -> None:
        low, high = path_limits(geometry, grid)
        compression = compress(
            geometry.chirp.k, geometry.frequency_weight, low=low, high=high, error_db=options.error_db - 10
        )
        self._slabs = slabs(grid.shape[0], options.tiles)
        thickest = max(slab.stop - slab.start for slab in self._slabs)
        super().__init__(
            geometry,
            grid,
            method=method,
            path=path,
            compression=compression,
            make_migration=lambda room, eps: Migration(
                compression.k, grid, virtual, z_ref=z_ref, scale=1 / geometry.norm, memory=room, planes=thickest
            ),
            make_front=make_front,
            options=options,
        )

    @property
    def regions(self) -> list[tuple[slice, slice, slice]]:
        """The tiles that the image may be made in: slabs of planes."""
        return [(slab, *(slice(0, n) for n in self.grid.shape[1:])) for slab in self._slabs]

    def tile(self, prepared: np.ndarray, number: int) -> np.ndarray:
        """The part `regions[number]` of the image from its spectrum; that of the whole to 1e-5, complex64."""
        return self._migration.slab(prepared, self._slabs[number], self.show)


def slabs(n: int, count: int) -> list[slice]:
    """`n` planes in `count` nearly equal slabs, or fewer where there are not as many planes."""
    edges = np.linspace(0, n, min(n, count) + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]


def only_cpu(device: str, method: str) -> None:
    """Raise DeviceError where a method that has no kernels for GPUs is asked for on one."""
    name = resolve_device(device)
    if name != "cpu":
        raise DeviceError(f"device: {name} asked for, but method {method} has no CUDA path yet; use device='cpu'")


def front_of_aperture(geometry: Geometry, z_ref: float | None) -> tuple[np.ndarray, float]:
    """Phase centres (n, 3) and the aperture plane: z_ref, or the mean height of the phase centres [m]."""
    virtual = geometry.virtual_position.reshape(-1, 3)
    plane = float(virtual[:, 2].mean()) if z_ref is None else float(z_ref)
    if not np.isfinite(plane):
        raise GeometryError(f"z_ref: got {z_ref}, wanted a finite height [m]")
    return virtual, plane
