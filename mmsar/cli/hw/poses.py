"""Read a position log, check it, and print, draw or convert its track.

Formats: TUM, EuRoC/ASL, OptiTrack Motive (CSV, JSON), Vicon Nexus CSV, ROS 1 and ROS 2 bags, Intel T265, ARKit,
<<<<<<< HEAD
ARCore, gantry and turntable CSV; text may be gzipped. The format is found by what stands in the file; --kind says it
where that is not clear. What a file does not say must be given: the body of several, the rotation of a Vicon export,
the units of a gantry log, the radius of a turntable. Swaps, glitches, jumps and outliers are masked in what is drawn
and written, nothing is filled in.
=======
ARCore, gantry CSV; text may be gzipped. The format is found by what stands in the file; --kind says it where that is
not clear. What a file does not say must be given: the body of several, the rotation of a Vicon export, the units of a
gantry log. Swaps, glitches, jumps and outliers are masked in what is drawn and written, nothing is filled in. Exit
code 3 when the log is of no use as it is ("error"); "warning" may go wrong, "note" is worth knowing.
>>>>>>> capture

Example:
  mmsar hw poses flight.csv --body drone --plot track.png
  mmsar hw poses nexus.csv --rotation helical --json
  mmsar hw poses gantry.csv --units mm --tum gantry.txt
  mmsar hw poses table.csv --radius 250
"""

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import number, positive
from mmsar.hardware.positions.kinds import KINDS

if TYPE_CHECKING:
    from mmsar.hardware.positions.findings import Finding
    from mmsar.hardware.positions.track import PoseTrack

HELP = "read, check and plot a position log"
SHOWN = 5
"""Times listed of findings of one kind."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("log", metavar="LOG", help="position log: a file, or the folder of a ROS 2 recording")
    parser.add_argument("--kind", choices=KINDS, help="format (found by what stands in the file)")
    parser.add_argument("--body", help="body, child frame or marker of several")
    parser.add_argument(
        "--rotation",
        choices=("helical", "euler-xyz", "euler-xyz-fixed"),
        help="how RX, RY, RZ are meant: a rotation vector, angles about the moving or about the fixed axes x, y, z",
    )
    parser.add_argument("--units", choices=("m", "cm", "mm"), help="lengths of a log that does not say them")
    parser.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="times of a log that does not say them")
    parser.add_argument("--zone", help="time zone of a take's start, as Europe/Berlin or +02:00")
    parser.add_argument("--clock", help="clock of the stamps; device or host for a T265")
    parser.add_argument("--topic", help="topic of a bag")
    parser.add_argument("--frame", help="fixed frame of a bag's transforms")
    parser.add_argument("--radius", type=positive, metavar="MM", help="distance of the board from a turntable's axis")
    parser.add_argument("--start", type=number, metavar="DEG", help="board angle at table angle 0 (-90: along +z)")
    parser.add_argument("--direction", choices=("ccw", "cw"), help="sense of the table's angle, from above (ccw)")
    parser.add_argument("--max-gap", type=positive, default=50.0, metavar="MS", help="longest gap to bridge [ms] (50)")
    parser.add_argument("--smooth", type=positive, metavar="HZ", help="low-pass the track; 15 Hz or more")
    parser.add_argument("--all", action="store_true", help="list every finding on its own")
    parser.add_argument("--json", action="store_true", help="print JSON (SI units) instead of the table")
    parser.add_argument("--plot", metavar="OUT.png", help="draw the track (.png, .pdf or .svg)")
    parser.add_argument("--tum", metavar="OUT.txt", help="write the poses that are used as a TUM file")


def run(args: argparse.Namespace) -> int:
    """Print, draw, write."""
    from mmsar.hardware.positions.check import checked
    from mmsar.hardware.positions.read import read_track
    from mmsar.hardware.positions.smooth import smooth
    from mmsar.hardware.positions.sniff import sniff
    from mmsar.io.atomic import check_target

    for target in (args.plot, args.tum):
        if target is not None:
            check_target(target, sources=(args.log,))
    told = {"rotation": args.rotation, "units": args.units, "time_unit": args.time_unit, "zone": args.zone}
    told |= {"clock": args.clock, "topic": args.topic, "frame": args.frame}
    told |= {"direction": args.direction, "radius": None if args.radius is None else args.radius * 1e-3}
    told |= {"start": None if args.start is None else math.radians(args.start)}
    reason = "as told" if args.kind else sniff(args.log).reason
    raw = read_track(args.log, kind=args.kind, body=args.body, **told)
    track, found = checked(raw, max_gap=args.max_gap / 1e3)
    report = _report(args.log, raw, track, found, reason)
    if args.smooth is not None:
        track, taken = smooth(track, cutoff=args.smooth, max_gap=args.max_gap / 1e3)
        report["smoothing"] = {name: getattr(taken, name) for name in taken.__dataclass_fields__}
    if args.plot is not None:
        _draw(track, raw, found, args)
    if args.tum is not None:
        _write(track, args.tum)
    if args.json:
        print(json.dumps(report | {"findings": [_as_json(one) for one in found]}, indent=2))
    else:
        print("\n".join([*_table(report), *_findings(found, args.all)]))
    for target in (args.plot, args.tum):
        if target is not None:
            print(target, file=sys.stderr if args.json else sys.stdout)
    return 3 if any(one.severity == "error" for one in found) else 0


def _report(path: str, raw: "PoseTrack", track: "PoseTrack", found: "list[Finding]", reason: str) -> dict[str, Any]:
    """Everything but the findings, SI units."""
    import numpy as np

    seen = track.position[track.valid]
    gaps = [one for one in found if one.what == "gap" and one.unit == "ms"]
    return {
        "file": str(path),
        "kind": raw.source.split()[0],
        "reason": reason,
        "source": raw.source,
        "clock": raw.clock,
        "start_ns": int(raw.time_ns[0]),
        "frame": raw.frame,
        "rotation_measured": raw.rotation_measured,
        "rotation_changes": bool(raw.valid.any() and np.ptp(raw.rotation[raw.valid], axis=0).any()),
        "rows": len(raw),
        "lost": int(np.count_nonzero(~raw.valid)),
        "masked": int(np.count_nonzero(raw.valid & ~track.valid)),
        "used": int(np.count_nonzero(track.valid)),
        "rate": None if math.isnan(raw.rate) else raw.rate,
        "duration": float(np.ptp(raw.time_ns[raw.valid])) / 1e9 if raw.valid.any() else 0.0,
        "extent": [[float(low), float(high)] for low, high in zip(seen.min(0), seen.max(0), strict=True)]
        if len(seen)
        else None,
        "gaps": len(gaps),
        "longest_gap": max((one.size for one in gaps), default=0.0) / 1e3,
        "gaps_not_bridged": sum(one.severity != "note" for one in gaps),
    }


def _table(report: dict[str, Any]) -> list[str]:
    """The report as lines."""
    clock = report["clock"]
    if clock == "unix":
        from datetime import UTC, datetime

        whole = datetime.fromtimestamp(report["start_ns"] // 10**9, tz=UTC)
        clock += f", from {whole:%Y-%m-%d %H:%M:%S}.{report['start_ns'] % 10**9 // 10**6:03d} UTC"
    rate = "unknown" if report["rate"] is None else f"{report['rate']:.2f} Hz"
    extent = "nothing"
    if report["extent"] is not None:
        spans = zip("xyz", report["extent"], strict=True)
        extent = ", ".join(f"{axis} {low:.3f} to {high:.3f}" for axis, (low, high) in spans) + " m"
    known = report["rotation_measured"]
    rows = [
        ("file", report["file"]),
        ("format", f"{report['kind']} ({report['reason']})"),
        ("clock", clock),
        ("world", report["frame"]),
        ("rotation", ("measured" if report["rotation_changes"] else "constant") if known else "not in the log"),
        (
            "poses",
            f"{report['rows']}: {report['used']} used, {report['lost']} lost in the log, {report['masked']} masked",
        ),
        ("rate", rate),
        ("duration", f"{report['duration']:.3f} s"),
        ("extent", extent),
        (
            "gaps",
            f"{report['gaps']}, {report['gaps_not_bridged']} not bridged, longest {report['longest_gap'] * 1e3:.4g} ms",
        ),
    ]
    if "smoothing" in report:
        taken = report["smoothing"]
        text = (
            f"below {taken['cutoff']:g} Hz over {taken['window']} poses; taken away "
            f"{taken['position_rms'] * 1e3:.3g} mm and {math.degrees(taken['rotation_rms']):.3g} deg rms, "
            f"at most {taken['position_worst'] * 1e3:.3g} mm; "
            f"{taken['rows_lost']} poses in runs too short"
        )
        rows.append(("smoothed", text))
    return [f"{name:<10}{value}" for name, value in rows]


def _findings(found: "list[Finding]", every: bool) -> list[str]:
    """Findings, gathered by kind unless every one is wanted."""
    if not found:
        return ["findings  none"]
    if every:
        return ["findings", *(f"  {one}" for one in found)]
    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for one in found:
        kinds.setdefault((one.severity, one.what, one.unit), []).append(one)
    lines = ["findings"]
    for severity in ("error", "warning", "note"):
        for (level, what, unit), group in kinds.items():
            if level != severity:
                continue
            worst = max(group, key=lambda one: one.size)
            if len(group) == 1:
                lines.append(f"  {worst}")
                continue
            times = ", ".join(f"{one.time:.4f}" for one in group[:SHOWN]) + (" ..." if len(group) > SHOWN else "")
            lines.append(f"  {level}: {len(group)} x {what} at {times} s; largest {worst.size:.4g} {unit}")
            lines.append(f"    {worst.explanation}")
    return lines


def _as_json(one: "Finding") -> dict[str, Any]:
    return {
        "severity": one.severity,
        "what": one.what,
        "time": one.time,
        "size": one.size,
        "unit": one.unit,
        "rows": one.rows.tolist(),
        "explanation": one.explanation,
    }


def _draw(track: "PoseTrack", raw: "PoseTrack", found: "list[Finding]", args: argparse.Namespace) -> None:
    """Save the figure; rows that are masked are drawn as points."""
    import numpy as np
    from scipy.spatial.transform import Rotation

    from mmsar.view.plot import save_figure
    from mmsar.view.track_plot import figure_track

    turn = None
    if track.rotation_measured and track.valid.any() and np.ptp(track.rotation[track.valid], axis=0).any():
        known = np.isfinite(track.rotation).all(axis=1) & (np.linalg.norm(track.rotation, axis=1) > 0.5)
        turn = np.full((len(track), 3), np.nan)
        first = Rotation.from_quat(track.rotation[track.valid][0])
        turn[known] = (first.inv() * Rotation.from_quat(track.rotation[known])).as_rotvec()
    marks: dict[str, list[tuple[float, float]]] = {}
    for one in found:
        if one.time is not None:
            length = one.size / 1e3 if one.what == "gap" and one.unit == "ms" else 0.0
            if len(one.rows) > 1:
                length = float(raw.time_ns[one.rows[-1]] - raw.time_ns[one.rows[0]]) / 1e9
            marks.setdefault(one.what, []).append((one.time, length))
    seconds = (track.time_ns - raw.time_ns[0]) / 1e9
    title = f"{args.log}\n{track.source.split()[0]}, {raw.rate:.1f} Hz, clock {raw.clock}"
    save_figure(figure_track(seconds, track.position, turn=turn, used=track.valid, marks=marks, title=title), args.plot)


def _write(track: "PoseTrack", target: str) -> None:
    """Write a TUM file, whole or not at all."""
    from mmsar.hardware.positions.tum import text_of
    from mmsar.io.atomic import atomic_path

    with atomic_path(target) as part:
        part.write_text(text_of(track), encoding="utf-8")
