"""Watch an image grow while a raster is driven: every row adds its part, and the picture is written anew.

SOURCE is the folder of a measurement that goes on (SCAN.capture of `mmsar capture` and of capture_raster.py, with
--session; it need not be there yet), or a finished scan, whose rows are taken one after the other. Imaging is linear,
so the last picture is the image of the whole scan: with bpa (the default) the two differ by less than -50 dB.
PREVIEW.png always is a whole picture; show it in a viewer that loads changed files again.

What a lab would change: the grid, coarse enough that a row is imaged while the next one is driven; --method nufft for
large ones (then true to about -40 dB); `draw`, another view, or a part of the image that tells whether to go on.

Example:
  python examples/live_preview.py scan.capture --session data/sessions/raster.toml -o preview.png
  python examples/live_preview.py scan.h5 -o preview.png --image preview.h5 --spacing 1.5,1.5,10
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmsar.cli import guarded
from mmsar.cli.arguments import count, positive
from mmsar.cli.grids import add_grid_options, check_grid_options, grid_asked_for
from mmsar.cli.notices import warn
from mmsar.cli.parser import Parser, script_parser
from mmsar.errors import CaptureError, FormatError, GeometryError
from mmsar.hardware.session.assemble import sweep_scan
from mmsar.hardware.session.folder import PLAN, SessionFolder
from mmsar.hardware.session.setup import Session, read_session
from mmsar.io.atomic import check_target
from mmsar.io.image_h5 import save_image
from mmsar.io.scan_h5 import load_scan
from mmsar.model import Image, Scan, Trajectory
from mmsar.recon.growing import GrowingImage
from mmsar.view.plot import figure_mips, save_figure

NAME = "live_preview.py"
POLL = 0.2
"""Pause between two looks at the recordings [s]."""


def build_parser() -> Parser:
    """The options."""
    parser = script_parser(NAME, __doc__)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="SCAN.capture of a measurement, or a scan.h5")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PREVIEW.png", help="picture to rewrite")
    parser.add_argument("--session", metavar="SESSION.toml", help="the session that is measured")
    parser.add_argument("--image", type=Path, metavar="IMAGE.h5", help="write the last image too")
    parser.add_argument("--patience", type=positive, default=120.0, metavar="S", help="longest wait (%(default)g)")
    parser.add_argument("--poses", type=count, metavar="N", help="of a scan without a raster: poses of a part")
    parser.add_argument("--method", default="bpa", choices=("bpa", "nufft", "rma", "empm"), help="(%(default)s)")
    parser.add_argument("--floor", type=float, default=-30.0, metavar="DB", help="of the picture (%(default)g)")
    add_grid_options(parser)
    return parser


def recorded_rows(session: Session, path: Path, patience: float) -> Iterator[tuple[int, int, Scan]]:
    """Number, total, and scan of every row as soon as it is recorded."""
    left, total, since = [sweep.index for sweep in session.sweeps], len(session.sweeps), time.monotonic()
    while left:
        folder = SessionFolder.open(path, session) if (path / PLAN).exists() else None
        new = [index for index in left if folder and folder.is_done(index)]
        for index in new:
            left.remove(index)
            since = time.monotonic()
            try:
                row, warnings = sweep_scan(session, folder, index)
            except GeometryError as error:  # every channel of it was lost: the picture does without
                warn(NAME, f"row {index + 1} is left out: {error}")
                continue
            for text in warnings:
                warn(NAME, text)
            yield total - len(left), total, row
        if not new and time.monotonic() - since > patience:
            raise CaptureError(
                f"{path}: got no new row for {patience:g} s, {total - len(left)} of {total} are there; is the "
                "measurement still going on? The preview has what came"
            )
        time.sleep(0.0 if new else POLL)


def rows_of_scan(scan: Scan, poses: int) -> Iterator[tuple[int, int, Scan]]:
    """Number, total, and every row of a scan."""
    starts = range(0, scan.shape[0], poses)
    for number, first in enumerate(starts, 1):
        if scan.valid[first : first + poses].any():
            yield number, len(starts), scan.subset(slice(first, first + poses))


def outline(session: Session, row: Scan) -> Scan:
    """One row's echoes at the places of the first and of the last row: the default grid follows from it."""
    if "y" not in session.sweeps[0].others:  # a stage with a single axis
        return row
    ends = [session.sweeps[0].others["y"], session.sweeps[-1].others["y"]]
    height = session.world.poses({"y": np.array(ends)})[0][:, 1]
    path, n = row.trajectory, len(row.trajectory)
    position = np.tile(path.position, (2, 1))
    position[:, 1] = np.repeat(height, n)
    time_s = np.concatenate([path.time, path.time + 2 * path.time[-1] + 1])
    twice = Trajectory(time=time_s, position=position, rotation=np.tile(path.rotation, (2, 1)))
    return replace(row, signal=np.tile(row.read(), (2, 1, 1, 1)), trajectory=twice, valid=np.tile(row.valid, (2, 1, 1)))


def draw(image: Image, target: Path, told: str, floor: float) -> None:
    """Write the picture of what there is."""
    save_figure(figure_mips(image, floor=floor, title=told), target)


def run(args: argparse.Namespace) -> int:
    """Add row by row."""
    check_grid_options(args)
    for target in filter(None, (args.output, args.image)):
        check_target(target, sources=[args.source if args.source.is_file() else None, args.session])
    if args.source.is_file():
        whole = load_scan(args.source, lazy=False)
        poses = args.poses or (whole.raster.n_x if whole.raster is not None else 0)
        if not poses:
            raise GeometryError(f"{args.source}: has no raster, wanted one, or --poses N for the poses of a part")
        rows, session = rows_of_scan(whole, poses), None
    elif args.session is None:
        raise FormatError(f"{args.source}: no such scan; for the folder of a measurement name its --session too")
    else:
        session = read_session(args.session)
        if session.kind != "raster":
            args.fail(f"argument --session: {args.session} is a {session.kind}, wanted a raster")
        rows = recorded_rows(session, args.source, args.patience)
        print(f"waiting for rows in {args.source}", flush=True)
    growing = None
    for number, total, row in rows:
        began = time.monotonic()
        if growing is None:
            grid = grid_asked_for(args, whole if session is None else outline(session, row))
            growing = GrowingImage(grid, method=args.method)
        growing.add(row)
        draw(growing.image, args.output, f"row {number} of {total}", args.floor)
        print(f"row {number} of {total}: in the picture after {time.monotonic() - began:.2f} s", flush=True)
    if args.image is not None:
        save_image(growing.image, args.image)
        print(args.image)
    print(args.output)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    args = build_parser().parse_args(argv)
    return guarded(NAME, lambda: run(args), debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
