"""Calibrate a board: fit its channel gains, delays and range bias from a known reflector, and take them out of scans.

The reflector is a corner reflector (its apex) or a small sphere (its centre, with --sphere-mm) that outshines all else;
the scan may be any trajectory or a radar that stands still. The distance of the reflector decides the range bias, so
measure it well; --refine corrects where it stands across the line of sight from the scan itself (and along it, with an
aperture large enough). A calibration holds for one board and one radar configuration; --apply refuses others.

Example:
  mmsar calibrate reflector.h5 --target-mm 0,0,300 -o cal.h5
  mmsar calibrate second.h5 --target-mm=-40,10,350 --check cal.h5
  mmsar calibrate scan.h5 --apply cal.h5 --subtract-empty empty.h5 -o scan_cal.h5
  mmsar calibrate scan.h5 --import calData.mat --delays delayOffset.mat -o cal.h5
"""

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import millimetres, number
from mmsar.cli.points import parse_point

if TYPE_CHECKING:
    from mmsar.hardware.calibrate.reflector import ReflectorFit
    from mmsar.model import Calibration, Scan

HELP = "fit channel gains, delays and range bias; apply them"

FIT_ONLY = ("refine", "stationary", "sphere_mm", "no_delays", "bias_mm")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("scan", metavar="SCAN.h5", help="scan of the reflector, or scan to calibrate")
    parser.add_argument("-o", "--output", metavar="FILE.h5", help="calibration or scan to write")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--target-mm", type=parse_point, metavar="X,Y,Z", help="fit: where the reflector is [mm]")
    what.add_argument("--apply", metavar="CAL.h5", help="write the scan with this calibration taken out")
    what.add_argument(
        "--import", dest="foreign", metavar="FILE", help="take over calData .mat, TI cascade .mat or .cfg"
    )
    parser.add_argument("--check", metavar="CAL.h5", help="with --target-mm: what this calibration leaves, fit nothing")
    parser.add_argument("--subtract-empty", metavar="EMPTY.h5", help="scan of the empty scene to subtract first")
    parser.add_argument("--empty-mean", action="store_true", help="subtract its mean over poses, not pose by pose")
    parser.add_argument("--refine", action="store_true", help="move the reflector to where the poses agree best")
    parser.add_argument("--stationary", action="store_true", help="the radar stood still: refuse a scan that moved")
    parser.add_argument(
        "--sphere-mm", type=millimetres, metavar="R", help="the reflector is a sphere of this radius [mm]"
    )
    parser.add_argument("--no-delays", action="store_true", help="one range bias for all channels")
    parser.add_argument("--bias-mm", type=_interval, metavar="LOW,HIGH", help="range bias to look in (-100,250)")
    parser.add_argument("--temperature-c", type=number, metavar="T", help="temperature of the radar, as a note")
    parser.add_argument("--delays", metavar="FILE.mat", help="with --import calData: delayOffset or rangeOffset_mm")
    parser.add_argument("--tx", type=_indices, metavar="I,...", help="with --import: its transmitters, from 0")
    parser.add_argument("--rx", type=_indices, metavar="I,...", help="with --import: its receivers, from 0")
    parser.add_argument("--force", action="store_true", help="apply a calibration of another configuration")
    parser.add_argument("--json", action="store_true", help="print JSON (SI units and radians) instead of a table")


def run(args: argparse.Namespace) -> int:
    """Fit, check, import or apply."""
    _check_usage(args)
    from mmsar.io.atomic import check_target
    from mmsar.io.calibration_h5 import load_calibration, save_calibration
    from mmsar.io.scan_h5 import load_scan, save_scan
    from mmsar.signal.background import subtract_reference
    from mmsar.signal.calibrate import apply_calibration, attach_calibration

    if args.output is not None:
        read = (args.scan, args.apply, args.foreign, args.check, args.subtract_empty, args.delays)
        check_target(args.output, sources=read)
    scan = load_scan(args.scan, lazy=True)
    if args.foreign is not None:
        calibration = _imported(args, scan)
        save_calibration(calibration, args.output)
        _report(args, _gains(calibration))
        cells = calibration.attrs.get("delay_step_s", 0.0) * scan.chirp.bandwidth
        if cells > 0.25:
            print(
                f"mmsar calibrate: warning: its delays come in steps of {cells:.2g} range cells of this scan; a "
                "calibration of your own is finer",
                file=sys.stderr,
            )
    elif args.target_mm is not None:
        _fit_or_check(args, scan)
    else:
        if args.subtract_empty is not None:
            mode = "mean" if args.empty_mean else "pose"
            scan = subtract_reference(scan, load_scan(args.subtract_empty, lazy=True), mode=mode)
        if args.apply is not None:
            scan = apply_calibration(attach_calibration(scan, load_calibration(args.apply), force=args.force))
            compared = next(s for s in reversed(scan.attrs["history"]) if s["step"] == "attach calibration")["compared"]
            if compared == "nothing":
                print(
                    "mmsar calibrate: warning: the calibration does not say which configuration it is for; not checked",
                    file=sys.stderr,
                )
        save_scan(scan, args.output)
    if args.output is not None:
        print(args.output, file=sys.stderr if args.json else sys.stdout)
    return 0


def _fit_or_check(args: argparse.Namespace, scan: "Scan") -> None:
    """Fit the reflector and write the calibration, or check one."""
    from mmsar.errors import GeometryError
    from mmsar.hardware.calibrate.correlate import check_saturation
    from mmsar.hardware.calibrate.reflector import (
        ReflectorOptions,
        check_reflector,
        measure_reflector,
        to_calibration,
    )
    from mmsar.io.calibration_h5 import load_calibration, save_calibration
    from mmsar.io.scan_h5 import load_scan
    from mmsar.signal.background import subtract_reference

    changes: dict[str, Any] = {"refine": args.refine, "delays": not args.no_delays}
    if args.sphere_mm is not None:
        changes["sphere_radius"] = args.sphere_mm / 1e3
    if args.bias_mm is not None:
        changes["bias"] = tuple(v / 1e3 for v in args.bias_mm)
    options = ReflectorOptions(**changes)
    if args.stationary:
        size = _extent(scan)
        if size > scan.chirp.wavelength / 4:
            raise GeometryError(
                f"{args.scan}: got poses {size * 1e3:.2f} mm apart, wanted a radar that stood still; "
                "leave --stationary out"
            )
    if scan.calibration is not None:
        print("mmsar calibrate: note: the calibration that the scan carries is left aside", file=sys.stderr)
    check_saturation(scan, options.full_scale)
    if args.subtract_empty is not None:
        mode = "mean" if args.empty_mean else "pose"
        scan = subtract_reference(scan, load_scan(args.subtract_empty, lazy=True), mode=mode)
    if args.check is not None:
        left = check_reflector(scan, args.target_mm, load_calibration(args.check), options=options)
        good = left["phase_rms"] < math.radians(10) and abs(left["range_bias_cells"]) < 1 / 20
        verdict = "within" if good else "NOT within"
        lines = [
            f"left by {args.check}: phase {math.degrees(left['phase_rms']):.2f} degrees RMS over the channels, range "
            f"{left['range_bias'] * 1e3:+.3f} mm ({left['range_bias_cells']:+.4f} cells)",
            f"{verdict} 10 degrees and 1/20 cell",
        ]
        _report(args, ({**left, "good": good}, lines))
        return
    fit = measure_reflector(scan, args.target_mm, options=options)
    calibration = to_calibration(scan, fit, temperature=args.temperature_c)
    save_calibration(calibration, args.output)
    _report(args, _fitted(fit, calibration, scan.chirp.range_resolution))


def _imported(args: argparse.Namespace, scan: "Scan") -> "Calibration":
    from mmsar.hardware.calibrate.foreign import import_calibration

    return import_calibration(
        args.foreign, scan.array, first_frequency=scan.chirp.f0, delay_path=args.delays, tx=args.tx, rx=args.rx
    )


def _extent(scan: "Scan") -> float:
    import numpy as np

    return float(np.linalg.norm(np.ptp(scan.trajectory.position, axis=0)))


def _fitted(fit: "ReflectorFit", calibration: "Calibration", cell: float) -> tuple[dict[str, Any], list[str]]:
    """The report of a fit: for programs, for people."""
    import numpy as np

    report, table = _gains(calibration, fit)
    report |= {"dominance_db": fit.dominance_db, "held_out_phase": fit.held_out_phase}
    report |= {"held_out_bias": fit.held_out_bias, "notes": list(fit.notes), "target": fit.place.tolist()}
    report["found"] = None if fit.found is None else fit.found.tolist()
    lines = [
        f"reflector   x, y, z = {', '.join(f'{v * 1e3:.2f}' for v in fit.place)} mm, "
        f"{fit.dominance_db:.1f} dB above the next echo",
        f"range bias  {fit.range_bias * 1e3:.3f} mm",
        f"signal      SNR {10 * np.log10(fit.snr.mean()):.1f} dB per sample",
        f"residual    phase {np.degrees(calibration.residual):.2f} degrees RMS over the poses",
    ]
    if fit.held_out_phase is not None:
        lines.append(
            f"held out    one half of the poses against the other: phase {np.degrees(fit.held_out_phase):.2f} degrees "
            f"RMS, range {fit.held_out_bias * 1e3:+.3f} mm ({fit.held_out_bias / cell:+.4f} cells)"
        )
    return report, [*lines, *table, *(f"note        {text}" for text in fit.notes)]


def _gains(calibration: "Calibration", fit: "ReflectorFit | None" = None) -> tuple[dict[str, Any], list[str]]:
    """Gains and delays of every channel: for programs, for people."""
    import numpy as np

    gain = calibration.gain
    delay = np.zeros(gain.shape) if calibration.delay is None else calibration.delay
    report = {
        "gain": [[[g.real, g.imag] for g in row] for row in gain.tolist()],
        "delay": delay.tolist(),
        "delay_frequency": calibration.delay_frequency,
        "range_bias": calibration.range_bias,
        "residual": calibration.residual,
        "source": calibration.source,
        **calibration.attrs,
    }
    header = "tx rx   gain dB  phase deg  delay ps"
    lines = [] if fit is not None else [f"range bias  {calibration.range_bias * 1e3:.3f} mm ({calibration.source})"]
    lines.append(header if fit is None else f"{header}  residual deg  SNR dB")
    relative = gain / gain[0, 0]
    for t, r in np.ndindex(gain.shape):
        line = (
            f"{t:2d} {r:2d}  {20 * np.log10(abs(relative[t, r])):8.2f}  {np.degrees(np.angle(relative[t, r])):9.2f}  "
            f"{delay[t, r] * 1e12:8.2f}"
        )
        if fit is not None:
            line += f"  {np.degrees(fit.phase_rms[t, r]):12.2f}  {10 * np.log10(fit.snr[t, r]):6.1f}"
        lines.append(line)
    return report, lines


def _report(args: argparse.Namespace, report: tuple[dict[str, Any], list[str]]) -> None:
    print(json.dumps(report[0], indent=2) if args.json else "\n".join(report[1]))


def _check_usage(args: argparse.Namespace) -> None:
    """Say which options are missing or do not go together, before anything is read."""
    fitting = args.target_mm is not None
    if args.check is not None and not fitting:
        args.fail("argument --check: wanted --target-mm too, where the reflector is")
    if not (fitting or args.apply or args.foreign or args.subtract_empty):
        args.fail("wanted something to do: --target-mm, --apply, --import or --subtract-empty")
    if args.check is not None and args.output is not None:
        args.fail("argument --check: writes nothing, wanted no -o/--output")
    if args.output is None and args.check is None:
        args.fail("the following arguments are required: -o/--output")
    for name in FIT_ONLY:
        if getattr(args, name) and not fitting:
            args.fail(f"argument --{name.replace('_', '-')}: wanted only with --target-mm")
    if args.temperature_c is not None and (not fitting or args.check is not None):
        args.fail("argument --temperature-c: wanted only when a calibration is fitted, with --target-mm")
    for name in ("delays", "tx", "rx"):
        if getattr(args, name) is not None and args.foreign is None:
            args.fail(f"argument --{name}: wanted only with --import")
    if args.force and args.apply is None:
        args.fail("argument --force: wanted only with --apply")
    if args.subtract_empty is not None and args.foreign is not None:
        args.fail("argument --subtract-empty: not with --import, which reads no samples")
    if args.empty_mean and args.subtract_empty is None:
        args.fail("argument --empty-mean: wanted only with --subtract-empty")


def _interval(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted two numbers, as in -100,250 [mm]")
    low, high = (number(part) for part in parts)
    if low >= high:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted the lower one first [mm]")
    return low, high


def _indices(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted whole numbers from 0, as in 0,2")
    return [int(part) for part in parts]
