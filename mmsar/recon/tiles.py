"""One image in tiles: what is to be done, by whom it may be done, and how the parts make the whole.

method            tile                                           against the whole image
bpa               run of the kernel's own tiles (a box)          bit for bit
ffbp              slab of planes                                 bit for bit
rma, empm, nufft  slab of planes, from one spectrum              1e-5: the heights that are made are other ones
isar              share of the frequencies, all voxels: a sum    1e-5: order of summation

A `Job` holds no samples and goes anywhere by pickle; a `Bench` is made of it where the work is done, from the samples.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmsar.core.checks import positive_int
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon import bpa, isar
from mmsar.recon.fourier import slabs
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import Request, make_plan

SECONDS = 20.0
"""Predicted time of a tile where nobody says how many."""
MOST = 64
"""Tiles where nobody says how many, at most."""
SHARES = 8
"""The same of isar: every share makes a whole image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """An image to be made in tiles."""

    method: str
    geometry: Geometry
    grid: ImageGrid
    options: ReconOptions
    """`tiles` says in how many tiles."""
    plan: Any
    """Of bpa: its plan, made once, since nodes and clusters depend on the machine that chooses them; else None."""
    regions: tuple[tuple[slice, slice, slice], ...]
    """Voxels (z, y, x) of every tile."""
    adds: bool
    """Whether the image is the sum of all tiles, each with all voxels."""

    @property
    def way(self) -> str:
        """What tells this cut, and bpa's choice of nodes and clusters, from others: tiles of two do not mix."""
        how = (self.regions, self.plan and replace(self.plan.design, cost=0.0))
        return hashlib.sha256(repr(how).encode()).hexdigest()[:16]

    @property
    def nbytes(self) -> int:
        """Size of what a worker needs beside the samples, about [bytes]."""
        return self.geometry.tx_position.nbytes + self.geometry.rx_position.nbytes + self.geometry.weight.nbytes


def make_job(wanted: Request, n: int) -> Job:
    """The job of a request in about `n` tiles, as many as its method and grid have.

    Raises
    ------
    GeometryError, MmsarError
        A sparse reconstruction or least squares, and as the plan of bpa.
    """
    method, geometry, grid = wanted.chosen.method, wanted.geometry, wanted.grid
    wanted.options.refuse_inverse("tiles", "the whole image at once (every voxel explains every sample)")
    options = replace(wanted.options, tiles=positive_int("tiles", n), progress=False)
    plan, full = None, tuple(slice(0, m) for m in grid.shape)
    if method == "bpa":
        plan = bpa.plan(geometry, grid, options=options)
        regions = plan.regions
    elif method == "isar":
        options = replace(options, tiles=min(n, isar.n_frequencies(geometry, grid, options)))
        regions = [full] * options.tiles
    else:
        regions = [(slab, *full[1:]) for slab in slabs(grid.shape[0], n)]
    return Job(
        method=method,
        geometry=geometry,
        grid=grid,
        options=options,
        plan=plan,
        regions=tuple(regions),
        adds=method == "isar",
    )


def good_number(wanted: Request, workers: int, allowed: int) -> int:
    """How many tiles to make where nobody says: of some 20 s, four a worker, each well within the budget [bytes]."""
    n = max(1 + wanted.chosen.seconds / SECONDS, 4.0 * workers)
    if wanted.chosen.method == "isar":
        return int(min(n, SHARES))
    return int(np.clip(max(n, 8 * wanted.grid.n_voxels / (allowed / 8)), 4, max(MOST, 4 * workers)))


class Samples:
    """Samples in pieces, as a plan reads them from a scan, without its description.

    Parameters
    ----------
    blocks : sequence of (n, n_tx, n_rx, n_samples) complex64
        Consecutive poses.
    """

    def __init__(self, blocks: Sequence[np.ndarray]) -> None:
        self._blocks = blocks
        self.shape = (sum(len(block) for block in blocks), *blocks[0].shape[1:])

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """(slice of poses, samples) in order."""
        first = 0
        for block in self._blocks:
            yield slice(first, first + len(block)), block
            first += len(block)


class Bench:
    """Where the tiles of a job are made, one at a time.

    Parameters
    ----------
    job : Job
        What is made.
    signal : Scan, Samples, or (n_pose, n_tx, n_rx, n_samples) complex64
        Its samples, conditioned.

    Raises
    ------
    GeometryError, MmsarError
        As the plan of the method.
    """

    def __init__(self, job: Job, signal: Any) -> None:
        self.job = job
        if job.adds:
            self._plan, self._prepared = None, signal
        else:
            self._plan = job.plan or make_plan(job.method, job.geometry, job.grid, options=job.options)
            self._prepared = self._plan.prepare(signal)

    def tile(self, number: int) -> np.ndarray:
        """The voxels `job.regions[number]`, complex64."""
        if self._plan is not None:
            return self._plan.tile(self._prepared, number)
        return isar.plan(self.job.geometry, self.job.grid, options=self.job.options, share=number)(self._prepared)
