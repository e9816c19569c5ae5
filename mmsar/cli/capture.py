"""A whole measurement in one command: radar, capture card, and stage or tracker, to scan.h5.

SESSION.toml says what to do; docs/capture.md lists its keys. The recordings of every sweep stay in a folder beside the
scan (SCAN.capture), so that an interrupted measurement goes on with --resume and nothing is driven twice.
--check explains the plan and touches nothing.

Example:
  mmsar capture data/sessions/raster.toml --check
  mmsar capture data/sessions/raster.toml -o scan.h5
  mmsar capture data/sessions/freehand.toml -o scan.h5 --assemble --poses track.csv
"""

import argparse
import sys
from pathlib import Path

from mmsar.cli.notices import say_notes

HELP = "measure: radar, capture card, stage or tracker to one scan"

ENDINGS = (".h5", ".hdf5")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("session", metavar="SESSION.toml", help="what to do")
    parser.add_argument("-o", "--output", metavar="SCAN.h5", help="scan to write")
    parser.add_argument("--check", action="store_true", help="explain the plan and what is wrong with it; move nothing")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted measurement")
    parser.add_argument("--assemble", action="store_true", help="make the scan of what is recorded; move nothing")
    parser.add_argument("--poses", metavar="LOG", help="position log of a freehand scan")
    parser.add_argument("--folder", metavar="FOLDER", help="where the recordings go (default: SCAN.capture)")


def run(args: argparse.Namespace) -> int:
    """Check, drive, assemble."""
    from mmsar.cli.interruptions import Interruptions
    from mmsar.errors import CaptureError, FormatError
    from mmsar.hardware.session.check import errors, findings
    from mmsar.hardware.session.folder import SessionFolder
    from mmsar.hardware.session.setup import read_session
    from mmsar.io.atomic import check_target
    from mmsar.io.scan_h5 import save_scan

    if args.output is None and not args.check:
        args.fail("the following arguments are required: -o/--output SCAN.h5, or --check")
    session = read_session(args.session)
    if args.poses is not None and session.kind != "freehand":
        args.fail(f"argument --poses: is for freehand sessions, {args.session} is a {session.kind}")
    found = findings(session)
    if args.check:
        return _explain(session, found)
    target = check_target(args.output, sources=(args.session, args.poses))
    if target.suffix not in ENDINGS:
        raise FormatError(f"{target}: got the ending {target.suffix!r}, wanted .h5")
    path = Path(args.folder) if args.folder else target.with_suffix(".capture")
    if not args.assemble:
        bad = errors(found)
        if bad:
            raise CaptureError(
                f"{args.session}: {bad[0]}" + (f" (and {len(bad) - 1} more: --check)" if bad[1:] else "")
            )
        for finding in found:
            if finding.severity == "warning":
                print(f"warning: {finding}", file=sys.stderr)
        folder = (SessionFolder.open if args.resume else SessionFolder.create)(path, session)
        with Interruptions() as interruptions:
            try:
                _drive(session, folder, args)
            except KeyboardInterrupt as error:
                print("mmsar capture: stopped; what is recorded is kept", file=sys.stderr)
                say_notes("mmsar capture", error)
                return interruptions.code
        if session.kind == "freehand" and args.poses is None and session.tracker.log is None:
            command = f"mmsar capture {args.session} -o {args.output} --assemble --poses LOG"
            print(f"recorded to {path}; when the tracker's log is there: {command}", file=sys.stderr)
            return 0
    from mmsar.hardware.session.assemble import assemble

    folder = SessionFolder.open(path, session)
    scan, warnings = assemble(session, folder, poses=Path(args.poses) if args.poses else None)
    for text in warnings:
        print(f"warning: {text}", file=sys.stderr)
    save_scan(scan, args.output)
    n_pose, n_tx, n_rx, n = scan.shape
    lost = 1 - scan.valid.mean()
    print(
        f"{n_pose:,} poses x {n_tx} TX x {n_rx} RX x {n} samples ({scan.nbytes / 2**20:.1f} MiB), {lost:.2%} lost",
        file=sys.stderr,
    )
    print(args.output)
    return 0


def _drive(session, folder, args) -> None:
    """Record what is missing, with a progress bar; say how to go on when it ends early."""
    from mmsar.core.progress import counter
    from mmsar.hardware.session.run import SessionRun

    n = max(1, len(session.sweeps))
    done = sum(folder.is_done(index) for index in range(n))
    if done:
        print(f"{done} of {n} sweeps are recorded already", file=sys.stderr)
    with counter("capture", 1000 * n) as count:
        work = SessionRun(
            session,
            folder,
            on_progress=lambda index, part, state: count(round(1000 * (index + min(max(part, 0.0), 1.0)))),
            on_warning=lambda text: print(f"warning: {text}", file=sys.stderr),
        )
        try:
            work.run()
        except BaseException:
            left = len(work.missing()) if session.sweeps else 1
            command = f"mmsar capture {args.session} -o {args.output} --resume"
            print(f"{n - left} of {n} sweeps are recorded in {folder.path}; go on with: {command}", file=sys.stderr)
            raise


def _explain(session, found) -> int:
    """The plan in numbers and everything that was found; exit code 3 when it cannot work."""
    import numpy as np

    from mmsar.hardware.session.check import errors, outline
    from mmsar.hardware.session.sweeps import extent

    plan, config = outline(session), session.radar.config
    rows = [
        ("session", f"{session.name} ({session.kind})"),
        ("radar", f"{config.device}, {config.n_tx} TX x {config.n_rx} RX, {session.radar.array.name}"),
        (
            "frames",
            f"{plan.frames:,} used of {plan.recorded_frames:,} recorded, every {config.frame_period * 1e3:g} ms",
        ),
        ("data", f"{plan.nbytes / 2**20:,.1f} MiB at {config.data_rate * 8e-6:.1f} Mb/s"),
        ("time", f"about {_duration(plan.seconds)}"),
    ]
    if session.sweeps:
        turning = session.kind == "cylinder"
        unit, scale = ("deg", 180 / np.pi) if turning else ("mm", 1e3)
        rows += [
            ("sweeps", f"{session.shape[0]} of {session.shape[1]} positions"),
            ("speed", f"{session.drive.speed * scale:.2f} {unit}/s, run-up {session.drive.run_up * scale:.2f} {unit}"),
            (
                "step",
                f"{plan.step * 1e3:.3f} mm on the aperture ({plan.step / config.chirp().wavelength:.3f} wavelengths)",
            ),
        ]
        for name, (low, high) in extent(session.sweeps).items():
            unit, scale = ("deg", 180 / np.pi) if name == "angle" else ("mm", 1e3)
            rows.append((f"axis {name}", f"{low * scale:.2f} to {high * scale:.2f} {unit}"))
    for name, text in rows:
        print(f"{name:9} {text}")
    for finding in found:
        print(f"{finding.severity}: {finding}")
    return 3 if errors(found) else 0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
