"""`mmsar reconstruct` in tiles: here, in processes of this machine, or on a cluster; resumable."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsar.cli.reconstruct import each, prepared, write
from mmsar.errors import FormatError

if TYPE_CHECKING:
    from mmsar.model import Scan
    from mmsar.recon.tiled import Maker, TiledRun


def run_tiled(args: argparse.Namespace, pairs: list[tuple[str, str]]) -> int:
    """Image every (scan, image to write)."""
    if args.explain:
        return each(pairs, lambda pair: prepared(args, pair[0]), several=len(pairs) > 1)
    several = len(pairs) > 1
    with _maker(args) as maker:
        work = _Batch(args, maker)
        try:
            if several:
                source, total = work.runs(pairs), None
            else:
                source = [run for run in [work.open(*pairs[0])] if run]
                total = sum(len(run.missing) for run in source)
            code = each(maker.finish(source, total=total, show=None), work.close, several=several)
        except BaseException as error:
            for run, _, _ in work.opened.values():
                if note := run.abandon():
                    error.add_note(note)
            raise
        if args.workers or args.cluster:
            print(f"mmsar reconstruct: note: {maker.workers} workers, {maker.report}", file=sys.stderr)
        return max(code, work.code)


def _maker(args: argparse.Namespace) -> "AbstractContextManager[Maker]":
    if args.workers or args.cluster:
        from mmsar.recon.cluster import cluster

        return cluster(args.cluster, workers=args.workers)
    from mmsar.recon.tiled import Here

    return nullcontext(Here())


class _Batch:
    """The scans of one command line."""

    def __init__(self, args: argparse.Namespace, maker: "Maker") -> None:
        self.args, self.maker, self.code = args, maker, 0
        self.opened: dict[int, tuple[TiledRun, Scan, tuple[str, str]]] = {}

    def open(self, path: str, output: str, tiles: int | None = None) -> "TiledRun | None":
        """A scan on its way to its image; None where --resume finds that as it should be."""
        from mmsar.io.image_h5 import scan_digest
        from mmsar.recon.planner import request
        from mmsar.recon.tiled import TiledRun, digest, identity

        args = self.args
        scan, grid = prepared(args, path)
        told: dict[str, Any] = {"scan": scan_digest(path), "background": args.background}
        if args.reference is not None:
            told["reference"] = scan_digest(args.reference)
        wanted = request(scan, grid, method=args.method, device=args.device, options=args.options)
        if args.resume and _made_as(output, digest(identity(wanted, told))):
            print(f"mmsar reconstruct: note: {output} is made as asked for already", file=sys.stderr)
            print(output)
            return None
        run = TiledRun(
            wanted,
            output,
            tiles=tiles if args.tiles in (None, True) else args.tiles,
            told=told,
            maker=self.maker,
            resume=args.resume,
        )
        self.opened[id(run)] = (run, scan, (path, output))
        if run.store.resumed:
            print(
                f"mmsar reconstruct: note: {run.store.resumed} of {len(run.job.regions)} tiles are there already",
                file=sys.stderr,
            )
        return run

    def runs(self, pairs: list[tuple[str, str]]) -> "Iterator[TiledRun]":
        """All scans, each opened when its turn comes; the ones that cannot be are told of."""
        each_its_own = 1 if len(pairs) >= self.maker.workers else None  # a scan is enough for a worker
        for path, output in pairs:
            found: list[TiledRun] = []

            def begin(pair: tuple[str, str], found: list = found) -> None:
                run = self.open(*pair, tiles=each_its_own)
                if run is not None:
                    found.append(run)

            self.code = max(self.code, each([(path, output)], begin, several=True))
            yield from found

    def close(self, run: "TiledRun") -> None:
        """Write a finished image."""
        _, scan, pair = self.opened.pop(id(run))
        try:
            write(self.args, run.image(), scan, pair)
        except BaseException as error:
            if note := run.abandon():
                error.add_note(note)
            raise
        run.store.remove()


def _made_as(output: str, digest: str) -> bool:
    """Whether an image is there that was made in tiles of the same samples in the same way."""
    from mmsar.io.image_h5 import load_history
    from mmsar.io.tile_store import tiles_folder

    if not Path(output).exists() or tiles_folder(output).exists():
        return False
    try:
        return any(step.get("asked") == digest for step in load_history(output))
    except FormatError:  # an older file, that is replaced
        return False
