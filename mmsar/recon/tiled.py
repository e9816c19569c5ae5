"""Reconstructions in tiles that can be killed: what is finished is kept beside the output, and the rest made later.

A `TiledRun` is one image on its way. Whoever makes tiles (`Here`, or `recon.cluster.Cluster` elsewhere) asks it what
is missing and hands it what is finished, in any order.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

import numpy as np

from mmsar._version import __version__
from mmsar.core.memory import budget
from mmsar.core.progress import counter
from mmsar.errors import FormatError, MmsarError
from mmsar.io.tile_store import TileStore, read_manifest, tiles_folder
from mmsar.model.image import Image
from mmsar.recon.planner import Request, finished
from mmsar.recon.tiles import Bench, good_number, make_job

NOT_KEPT = ("progress", "verify", "memory", "tiles", "sparse", "least_squares")
"""Options that may differ when a run goes on."""


def identity(wanted: Request, told: Mapping[str, Any]) -> dict[str, Any]:
    """What tells an image from others: method, grid, options, and what is `told` of the samples. Plain values."""
    options = {name: value for name, value in asdict(wanted.options).items() if name not in NOT_KEPT}
    grid = wanted.grid.to_dict()
    return {"version": __version__, "method": wanted.chosen.method, "grid": grid, "options": options, **told}


def digest(asked: Mapping[str, Any]) -> str:
    """sha256 of an `identity`, which the history of a tiled image keeps as "asked"."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class TiledRun:
    """One image on its way.

    Parameters
    ----------
    wanted : Request
        What is imaged (`recon.planner.request`); of its options `tiles` is not looked at.
    output : path
        The image file that is to be; its tiles are kept beside it.
    tiles : int, optional
        In about how many; default what is there already, or as many as are sensible.
    told : mapping
        Plain values that tell the samples from others, as the sha256 of their file.
    maker : Maker
        By whom the tiles will be made: how many at a time, and in what memory.
    resume : bool
        Go on with tiles that are there; without, they are an error.

    Raises
    ------
    GeometryError, MmsarError, OSError
        As the plan of the method, and `TileStore`.
    """

    def __init__(
        self,
        wanted: Request,
        output: str | os.PathLike[str],
        *,
        tiles: int | None,
        told: Mapping[str, Any],
        maker: "Maker",
        resume: bool = False,
    ) -> None:
        found = read_manifest(output)
        if found is not None and not resume:
            raise FormatError(
                f"{tiles_folder(output)}: tiles of an earlier run are there; go on with --resume, or remove the folder"
            )
        before = (found or {}).get("made", {})
        memory = wanted.options.memory or before.get("memory") or budget() // maker.share_memory
        n = tiles or before.get("tiles") or good_number(wanted, maker.workers, memory)
        self.wanted, self.output = wanted, output
        self.job = make_job(replace(wanted, options=replace(wanted.options, memory=memory)), n)
        asked = identity(wanted, told)
        self._digest = digest(asked)
        made = {"tiles": n, "of": len(self.job.regions), "memory": memory, "way": self.job.way}
        manifest = asked | {"made": made}
        self.store = TileStore(output, manifest, wanted.grid.shape, adds=self.job.adds)
        self.error: Exception | None = None
        """Why it cannot be finished."""

    @property
    def missing(self) -> list[int]:
        """Numbers of the tiles that are not there yet."""
        return [n for n in range(len(self.job.regions)) if n not in self.store.done]

    def put(self, number: int, values: np.ndarray) -> None:
        """Keep a finished tile. Errors are those of `TileStore.put`."""
        self.store.put(number, self.job.regions[number], values)

    def image(self) -> Image:
        """The finished image, verified where asked for; its voxels stay in their file where they can.

        Raises
        ------
        Exception
            What kept it from being finished.
        """
        if self.error is not None:
            raise self.error
        return finished(self.wanted, self.store.voxels(), tiles=len(self.job.regions), asked=self._digest)

    def abandon(self) -> str:
        """Leave what is finished for later; how to go on, or nothing where nothing was and nothing is left."""
        done = len(self.store.done)
        if not done:
            self.store.remove()
            return ""
        self.store.close()
        return f"{done} of {len(self.job.regions)} tiles are kept in {self.store.folder}; go on with --resume"


class Maker(Protocol):
    """Whoever makes tiles."""

    workers: int
    """Tiles made at a time."""
    share_memory: int
    """Among how many this machine's memory is shared."""

    def finish(self, runs: Iterable[TiledRun], *, total: int | None, show: bool | None) -> Iterator[TiledRun]: ...


class Here:
    """Tiles made in this process, one after the other."""

    workers = 1
    share_memory = 1

    def finish(
        self, runs: Iterable[TiledRun], *, total: int | None = None, show: bool | None = None
    ) -> Iterator[TiledRun]:
        """Make what is missing, run after run.

        Parameters
        ----------
        runs : iterable of TiledRun
            Taken when they are needed.
        total : int, optional
            Tiles that are missing in all of them together, for the time that is left.
        show : bool, optional
            As for `core.progress.progress`.

        Yields
        ------
        TiledRun
            With all its tiles, or with its `error`.
        """
        made = 0
        with counter("tiles", total, show) as count:
            for run in runs:
                try:
                    missing = run.missing
                    bench = Bench(run.job, run.wanted.scan) if missing else None
                    for number in missing:
                        run.put(number, bench.tile(number))
                        made += 1
                        count(made)
                    del bench
                except (MmsarError, OSError) as error:
                    run.error = error
                yield run
