r"""The echo of an image at antennas that may be moved, and how it changes when they are.

A sample of pose p displaced by d sees the plane waves S_k(kx, ky) of the image as (see `recon.migration`)

    s(d) = sum_q S_k exp(j (kx (x + d_x) + ky (y + d_y) - k_z (z + d_z - z_ref)))

so that the derivatives by d_x, d_y, d_z are the echoes of j kx S, j ky S and -j k_z S: one migration and four
transforms give the echo and its gradient at every channel. Multistatic pairs are taken to the monostatic ones at their
phase centres, as in `recon.nufft`; the compensation follows the displaced antennas.

Samples are compressed to few frequencies (`signal.compress`), y = s D. An echo within the compressed ranges is
conj(D) e for some e, so what compares with y is M e, M = D^T conj(D); with y' = M^(-1/2) y and e' = M^(1/2) e inner
products, residuals and white noise are again those of the samples.
"""

import math
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from mmsar.core.memory import budget, require
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.fourier import path_limits
from mmsar.recon.fronts import ExactFront
from mmsar.recon.migration import Migration
from mmsar.signal.compress import compress, compressed
from mmsar.signal.multistatic import path_difference

ERROR_DB = -35.0
"""Accuracy of the transforms."""
APART = 8e-3
"""Distance of planes behind a grid of one plane [m]."""
SMALLEST = 1e-6
"""Eigenvalues of M below this share of the largest count as that share."""
ADVICE = "allow more memory (--memory) or use a smaller grid"


def moved_geometry(geometry: Geometry, move: np.ndarray) -> Geometry:
    """The geometry with every pose's antennas displaced by `move` (n_pose, 3) [m]."""
    shift = move[:, None, None]
    return geometry.replace(tx_position=geometry.tx_position + shift, rx_position=geometry.rx_position + shift)


def some_poses(geometry: Geometry, index: slice | np.ndarray) -> Geometry:
    """The geometry of some poses, in that order."""
    return geometry.replace(
        tx_position=geometry.tx_position[index],
        rx_position=geometry.rx_position[index],
        weight=geometry.weight[index],
    )


def deeper(grid: ImageGrid, behind: float) -> ImageGrid:
    """The grid with planes behind it, as far as `behind` [m]; as far from each other as its own, or `APART`."""
    (across, up, apart), n_z = grid.spacing, grid.shape[0]
    apart = apart if n_z > 1 else APART
    more = math.ceil(behind / apart)
    return replace(grid, shape=(n_z + more, *grid.shape[1:]), spacing=(across, up, apart))


def places(geometry: Geometry) -> np.ndarray:
    """Middle of every pose's phase centres [m], (n_pose, 3)."""
    return geometry.virtual_position.reshape(len(geometry.weight), -1, 3).mean(axis=1)


class PoseField:
    """Images and echoes of a scan whose poses are displaced.

    Parameters
    ----------
    geometry : Geometry
        Of a planar or freehand scan before the grid.
    signal : (n_pose, n_tx, n_rx, n_samples) complex64, or a Scan
        The samples, calibrated; a Scan is read block by block.
    grid : ImageGrid
        Where the scene is.
    reach : float
        Largest displacement along an axis [m].
    memory : int, optional
        Budget [bytes]; default half of what is free.
    beside : (2,) int
        What the caller will hold at the same time [bytes], of a sample y' and of a voxel; it counts in the budget.

    Raises
    ------
    GeometryError
        A grid that is not wholly in front of the antennas.
    MmsarError
        More memory needed than the budget.
    """

    def __init__(
        self,
        geometry: Geometry,
        signal: Any,
        grid: ImageGrid,
        *,
        reach: float,
        memory: int | None = None,
        beside: tuple[int, int] = (0, 0),
    ) -> None:
        self._error = 10 ** (ERROR_DB / 20)
        allowed = budget(memory)
        self._room = allowed // 4
        virtual = geometry.virtual_position.reshape(-1, 3)
        self._z_ref, self._scale, self._reach = float(virtual[:, 2].mean()), 1 / geometry.norm, reach
        if grid.extent[2][0] <= float(virtual[:, 2].max()) + reach:
            raise GeometryError(
                f"grid: got voxels from z = {grid.extent[2][0]:.4g} m, wanted all of them in front of the antennas, "
                f"which are at up to z = {float(virtual[:, 2].max()):.4g} m"
            )
        low, high = path_limits(geometry, grid)
        chirp = geometry.chirp
        compression = compress(
            chirp.k, geometry.frequency_weight, low=low - 4 * reach, high=high + 4 * reach, error_db=ERROR_DB - 10
        )
        matrix = compression.matrix
        self._k = compression.k
        mass = (matrix.T @ matrix.conj()).astype(complex)
        values, vectors = np.linalg.eigh(mass)
        root = np.sqrt(np.maximum(values, SMALLEST * values.max()))
        self._root = ((vectors * root) @ vectors.conj().T).astype(np.complex64)
        inverse = ((vectors / root) @ vectors.conj().T).astype(np.complex64)
        samples = compressed(signal, geometry.shape, np.ascontiguousarray((inverse @ matrix.T).T))
        samples *= geometry.weight.ravel().astype(np.float32)
        samples = samples.reshape(len(samples), len(geometry.weight), -1)
        self.geometry = geometry.replace(weight=np.ones_like(geometry.weight))
        """All weights are 1, so that poses without any channel are some, too."""
        self.samples = samples
        """y', complex64 (m, n_pose, channels of a pose); zero where a channel is not valid."""
        self._worth = np.ones(len(geometry.weight), dtype=np.float32)
        self._there = np.abs(geometry.weight).reshape(len(geometry.weight), -1).astype(np.float32)
        self._look_at(grid)
        fixed = self._migration.nbytes + self._kz.nbytes + 6 * 8 * self._kz.size
        fixed += (8 + beside[0]) * self.samples.size + (16 + beside[1]) * grid.n_voxels
        require("align autofocus", fixed + self._per_pose, allowed, ADVICE)
        self._block = max(1, (allowed - fixed) // self._per_pose)
        self.left_of_budget = allowed - fixed
        """What of the budget it does not hold [bytes]."""

    def _look_at(self, grid: ImageGrid) -> None:
        """Have the scene on a grid."""
        virtual = self.geometry.virtual_position.reshape(-1, 3)
        everywhere = np.concatenate([virtual + sign * self._reach for sign in (-1, 1)])
        migration = Migration(self._k, grid, everywhere, z_ref=self._z_ref, scale=self._scale, memory=self._room)
        square = migration.kx**2 + migration.ky**2
        self._kx, self._ky = migration.kx.astype(np.float32), migration.ky.astype(np.float32)
        self._kz = np.sqrt(np.maximum(migration.k2[:, None] ** 2 - square, 0)).astype(np.float32)
        self.grid, self._migration = grid, migration

    def plane(self, number: int) -> "PoseField":
        """The same field with the scene in one plane of its grid."""
        if self.grid.shape[0] == 1:
            return self
        other, (x, y, z) = copy(self), self.grid.origin
        shape, origin = (1, *self.grid.shape[1:]), (x, y, z + number * self.grid.spacing[2])
        other._look_at(replace(self.grid, shape=shape, origin=origin))
        return other

    def coarser(self, error_db: float) -> "PoseField":
        """The same field with transforms of another accuracy [dB]."""
        other = copy(self)
        other._error = 10 ** (error_db / 20)
        return other

    def part(self, index: np.ndarray) -> "PoseField":
        """The same field with the poses `index` only, in that order; some may be there more than once."""
        other = copy(self)
        other.geometry = some_poses(self.geometry, index)
        other.samples, other._there = self.samples[:, index], self._there[index]
        other._worth = self._worth[index]
        return other

    def weighed(self, weight: np.ndarray) -> "PoseField":
        """The same field with samples and echo of every pose times a weight (n_pose,)."""
        other, weight = copy(self), weight.astype(np.float32)
        other.samples, other._there = self.samples * weight[None, :, None], self._there * weight[:, None]
        other._worth = self._worth * weight
        return other

    @property
    def n_poses(self) -> int:
        """Poses."""
        return self.samples.shape[1]

    @property
    def energy(self) -> np.ndarray:
        """Energy of the samples of every pose, unweighed, (n_pose,)."""
        return np.sum(np.abs(self.samples) ** 2, axis=(0, 2), dtype=float) / self._worth.astype(float) ** 2

    @property
    def _per_pose(self) -> int:
        """Memory in flight for a pose [bytes]: echo, gradient, and what they are made of."""
        return 8 * 12 * self.samples.shape[0] * self.samples.shape[2]

    @property
    def wavenumber(self) -> float:
        """Mean wavenumber [rad/m]."""
        return float(self._k.mean())

    @property
    def place(self) -> np.ndarray:
        """Recorded middle of every pose's phase centres [m], (n_pose, 3)."""
        return places(self.geometry)

    def image(self, move: np.ndarray) -> np.ndarray:
        """Image of the samples with the poses displaced by `move` (n_pose, 3) [m]: complex64 (n_z, n_y, n_x)."""
        return Looks(self, move).adjoint(self.samples)

    def waves(self, image: np.ndarray) -> np.ndarray:
        """Plane waves of an image, complex64 (m, n_pairs)."""
        return self._migration.adjoint(image.astype(np.complex64, copy=False), False)

    def slopes(self, waves: np.ndarray) -> list[np.ndarray]:
        """Waves whose echoes are the derivatives of that of `waves` by a pose's displacement along x, y, z."""
        return [1j * self._kx * waves, 1j * self._ky * waves, -1j * self._kz * waves]

    def transforms(self, waves: list[np.ndarray], move: np.ndarray):
        """Echoes of several sets of waves, block by block of poses.

        Yields
        ------
        block : slice
            Poses.
        echoes : list of (m, poses, channels) complex64
            e' of displaced antennas, one for every set of waves.
        """
        for block in self._blocks():
            front, phase = self._front(block, move)
            yield block, [self._seen(block, front, phase, part) for part in waves]

    def _seen(self, block: slice, front: ExactFront, phase: np.ndarray, waves: np.ndarray) -> np.ndarray:
        """Echo of waves at the channels of a block, (m, poses, channels)."""
        echo = front.adjoint(waves.astype(np.complex64, copy=False)) * (self._there[block].ravel() * phase.conj())
        return (self._root @ echo).reshape(len(self._k), block.stop - block.start, -1)

    def echoes(self, waves: np.ndarray, move: np.ndarray):
        """Echo and gradient of the waves of an image, block by block of poses.

        Yields
        ------
        block : slice
            Poses.
        echo : (m, poses, channels) complex64
            e' of displaced antennas.
        gradient : (m, poses, channels, 3) complex64
            Its derivative by the displacement [1/m].
        """
        for block, (echo, *gradient) in self.transforms([waves, *self.slopes(waves)], move):
            yield block, echo, np.stack(gradient, axis=-1)

    def _blocks(self) -> list[slice]:
        return [slice(i, min(i + self._block, self.n_poses)) for i in range(0, self.n_poses, self._block)]

    def _front(self, poses: slice, move: np.ndarray) -> tuple[ExactFront, np.ndarray]:
        """The transform of displaced poses, and the phase exp(-j k phi) of their channels."""
        here = some_poses(self.geometry, poses)
        part = moved_geometry(here, move[poses])
        virtual = part.virtual_position.reshape(-1, 3)
        path = path_difference(part, centre=self.grid.centre, z_ref=None).ravel() - 2 * (virtual[:, 2] - self._z_ref)
        phase = np.exp(-1j * np.outer(self._k, path)).astype(np.complex64)
        return ExactFront(virtual, self._migration, error=self._error, memory=self._room), phase


class Looks:
    """The linear map from scenes to the samples y' of poses where they are now, kept for several uses.

    Parameters
    ----------
    field : PoseField
        The scan.
    move : (n_pose, 3) array
        Displacements of its poses [m].
    """

    def __init__(self, field: PoseField, move: np.ndarray) -> None:
        self._field = field
        self._parts = [(block, *field._front(block, move)) for block in field._blocks()]

    def forward(self, scene: np.ndarray) -> np.ndarray:
        """Echo (m, poses, channels) of a scene (n_z, n_y, n_x)."""
        waves = self._field.waves(scene)
        return np.concatenate([self._field._seen(*part, waves) for part in self._parts], axis=1)

    def gradient(self, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """That echo, and its derivative by the displacement of every pose [1/m], (m, poses, channels, 3)."""
        field, waves = self._field, self._field.waves(scene)
        echo, *parts = (
            np.concatenate([field._seen(*part, one) for part in self._parts], axis=1)
            for one in (waves, *field.slopes(waves))
        )
        return echo, np.stack(parts, axis=-1)

    def adjoint(self, samples: np.ndarray) -> np.ndarray:
        """Image (n_z, n_y, n_x) of samples (m, poses, channels)."""
        field, spectrum = self._field, None
        for block, front, phase in self._parts:
            part = front((field._root.conj().T @ samples[:, block].reshape(len(samples), -1)) * phase)
            spectrum = part if spectrum is None else spectrum + part
        return field._migration(spectrum, False)
