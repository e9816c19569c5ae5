"""Measure a raster in one go: drive the stage, record the radar, make the scan, image it, and judge it.

The session file says what to do (docs/capture.md). With --emulate no instrument is needed: radar, capture card, stage
and scene are emulated in this process, through the same ports and packets, and in real time. OUT.h5, OUT_image.h5 and
OUT.png are written; the recordings stay in OUT.capture, from where --resume goes on after an interruption.

What a lab would change: the session file; `judge`, which scans are good enough; what is done with the scan before it is
imaged, as calibration or subtracting an empty scene.

Example:
  python examples/capture_raster.py data/sessions/raster.toml -o bench --emulate
  python examples/capture_raster.py my_session.toml -o plate
  python examples/capture_raster.py my_session.toml -o plate --resume
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mmsar.cli import guarded
from mmsar.cli.arguments import check_addresses, loopback
from mmsar.cli.grids import add_grid_options, check_grid_options, grid_asked_for
from mmsar.cli.interruptions import Interruptions
from mmsar.cli.notices import say_notes, warn
from mmsar.cli.parser import Parser, script_parser
from mmsar.core.progress import counter
from mmsar.errors import CaptureError
from mmsar.hardware.emulate.session_bench import Before, bench_for, on_bench, ready_scene
from mmsar.hardware.session.assemble import assemble
from mmsar.hardware.session.check import errors, findings
from mmsar.hardware.session.folder import SessionFolder
from mmsar.hardware.session.run import SessionRun
from mmsar.hardware.session.setup import Session, read_session
from mmsar.io.atomic import check_target
from mmsar.io.image_h5 import save_image
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import Scan
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.simulate.setup import load_setup
from mmsar.view.plot import figure_mips, save_figure

NAME = "capture_raster.py"
MOST_LOST = 0.01
"""Part of the channels that may be lost."""
MOST_STRAY = 1.0
"""Steps that a frame may be away from its planned place."""


def build_parser() -> Parser:
    """The options."""
    parser = script_parser(NAME, __doc__)
    parser.add_argument("session", metavar="SESSION.toml", help="what to do")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="begin of the files' names")
    parser.add_argument("--resume", action="store_true", help="record the rows that OUT.capture lacks")
    parser.add_argument("--emulate", action="store_true", help="emulate every instrument")
    parser.add_argument("--scene", metavar="SCENE.toml", help="what the emulated radar sees (three points)")
    parser.add_argument(
        "--noise", type=float, default=2.0, metavar="COUNTS", help="of the emulated samples (%(default)g)"
    )
    parser.add_argument("--host-ip", type=loopback, default="127.0.0.1", help="emulated: this computer (%(default)s)")
    parser.add_argument("--card-ip", type=loopback, default="127.0.0.2", help="emulated: the card (%(default)s)")
    parser.add_argument("--method", default="auto", help="of mmsar reconstruct (%(default)s)")
    add_grid_options(parser)
    return parser


def measure(session: Session, folder: SessionFolder) -> None:
    """Record every row that is missing, with a progress bar."""
    with counter("capture", 1000 * len(session.sweeps)) as count:
        SessionRun(
            session,
            folder,
            on_progress=lambda row, part, state: count(round(1000 * (row + min(max(part, 0.0), 1.0)))),
            on_warning=lambda text: warn(NAME, text),
        ).run()


def judge(scan: Scan) -> list[str]:
    """What speaks against using a scan, one line each."""
    rows = scan.attrs["history"][-1]["sweeps"]
    lost, stray = 1 - float(scan.valid.mean()), max(row["stray_steps"] for row in rows)
    print(f"{scan.shape[0]:,} poses in {len(rows)} rows; {lost:.2%} lost, at most {stray:.2f} steps from their places")
    problems = []
    if lost > MOST_LOST:
        problems.append(f"{lost:.1%} of the channels were lost, wanted {MOST_LOST:.0%} at most")
    if stray > MOST_STRAY:
        problems.append(f"frames are up to {stray:.1f} steps from their places, wanted {MOST_STRAY:g} at most")
    return problems


def run(args: argparse.Namespace) -> int:
    """Measure, image, judge."""
    check_grid_options(args)
    check_addresses(args)
    session = read_session(args.session)
    if session.kind != "raster":
        args.fail(f"{args.session}: a session of kind {session.kind}, wanted a raster; see mmsar capture for others")
    if args.scene is not None and not args.emulate:
        args.fail("argument --scene: is for --emulate, a real radar sees what stands before it")
    if bad := errors(findings(session)):
        raise CaptureError(f"{args.session}: {bad[0]}")
    scan_path, image_path, picture, recordings = (
        args.output.with_name(args.output.name + end) for end in (".h5", "_image.h5", ".png", ".capture")
    )
    for target in (scan_path, image_path, picture):
        check_target(target, sources=[args.session])
    folder = (SessionFolder.open if args.resume else SessionFolder.create)(recordings, session)
    with ExitStack() as stack:
        if args.emulate:
            scene = ready_scene(session) if args.scene is None else load_setup(args.scene).scene
            before = Before(scene=scene, noise=args.noise)
            bench = stack.enter_context(bench_for(session, before, host_ip=args.host_ip, card_ip=args.card_ip))
            session = on_bench(session, bench)
        interruptions = stack.enter_context(Interruptions())
        try:
            measure(session, folder)
        except KeyboardInterrupt as error:
            print(f"{NAME}: stopped; what is recorded is kept, --resume goes on", file=sys.stderr)
            say_notes(NAME, error)
            return interruptions.code
    scan, warnings = assemble(session, folder)
    for text in warnings:
        warn(NAME, text)
    save_scan(scan, scan_path)
    problems = judge(scan)
    scan = load_scan(scan_path)
    image = reconstruct(scan, grid_asked_for(args, scan), method=args.method, options=ReconOptions(progress=False))
    save_image(image, image_path, scan_path=scan_path)
    save_figure(figure_mips(image, title=session.name), picture)
    print(scan_path, image_path, picture, sep="\n")
    if problems:
        raise CaptureError(f"{scan_path}: {'; '.join(problems)}; look at the recordings with `mmsar hw report`")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    args = build_parser().parse_args(argv)
    return guarded(NAME, lambda: run(args), debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
