"""Tell what a scan, an image, a calibration or a file of training pairs holds.

For a scan: waveform, array, aperture, sampling against a quarter wavelength with warnings where ghosts are to be
expected, expected resolution, ranges, motion, memory, history; for one that goes round the y axis also how far from
the axis it is free of ghosts and what phase the compensation of its TX-RX pairs leaves there. For an image: grid,
extent, peak, history. For a calibration: what it was fitted on and is valid for.

Example:
  mmsar info scan.h5 --z 300
  mmsar info image.h5 --json
"""

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import millimetres

if TYPE_CHECKING:
    from mmsar.signal.sampling import SamplingReport

HELP = "tell what a scan, image, calibration or pairs file holds"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("file", metavar="FILE.h5", help="scan, image, calibration or pairs")
    parser.add_argument("--z", type=millimetres, default=300.0, metavar="MM", help="range to give the resolution for")
    parser.add_argument("--json", action="store_true", help="print JSON (SI units and radians) instead")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from mmsar.io.h5file import file_kind

    kind = file_kind(args.file)
    if kind == "scan":
        report, lines = _scan(args.file, args.z * 1e-3)
    else:
        report, lines = {"image": _image, "calibration": _calibration_file, "pairs": _pairs}[kind](args.file)
    print(json.dumps(report, indent=2) if args.json else "\n".join(lines))
    return 0


def _scan(path: str, z: float) -> tuple[dict[str, Any], list[str]]:
    from mmsar.io.scan_h5 import load_scan
    from mmsar.signal.sampling import sampling_report

    scan = load_scan(path, lazy=True)
    sampling = sampling_report(scan, z=z)
    chirp, calibration = scan.chirp, scan.calibration
    history = list(scan.attrs.get("history", ()))
    n_pose, n_tx, n_rx, n = scan.shape
    report: dict[str, Any] = {
        "file": str(path),
        "kind": "scan",
        "shape": {"pose": n_pose, "tx": n_tx, "rx": n_rx, "sample": n},
        "chirp": {
            "f0": chirp.f0,
            "slope": chirp.slope,
            "fs": chirp.fs,
            "n_samples": n,
            "bandwidth": chirp.bandwidth,
            "wavelength": chirp.wavelength,
        },
        "array": {"name": scan.array.name, "tx": scan.array.tx.tolist(), "rx": scan.array.rx.tolist()},
        "duration": float(scan.trajectory.time[-1] - scan.trajectory.time[0]),
        "attrs": {key: value for key, value in scan.attrs.items() if key != "history"},
        "raster": None if scan.raster is None else vars(scan.raster),
        "calibration": None
        if calibration is None
        else {"range_bias": calibration.range_bias, "source": calibration.source, "residual": calibration.residual},
        "sampling": sampling.to_dict(),
        "history": history,
    }
    pitch = scan.array.uniform_pitch(1e-5)
    layout = "" if scan.raster is None else f", raster of {scan.raster.n_y} rows x {scan.raster.n_x}"
    lines = [
        f"{path}: scan of {n_pose:,} poses x {n_tx} TX x {n_rx} RX x {n} samples{layout}",
        f"waveform    {chirp.f0 / 1e9:.3f} GHz at the first sample, {chirp.bandwidth / 1e9:.3f} GHz sampled "
        f"bandwidth, wavelength {chirp.wavelength * 1e3:.3f} mm",
        f"array       {scan.array.name}"
        + (f", virtual pitch {pitch * 1e3:.3f} mm" if pitch else "")
        + f", TX-RX up to {sampling.baseline * 1e3:.1f} mm apart",
        *(_planar(sampling) if sampling.round is None else _round(sampling)),
        f"range       unambiguous to {sampling.range_max:.2f} m",
        "motion      "
        + ("" if sampling.round else f"rotation {math.degrees(sampling.rotation):.2f} degrees, ")
        + f"{sampling.tdm_motion * 1e3:.3f} mm within a pose, "
        + ("pose times not recorded" if scan.attrs.get("nominal_times") else f"{report['duration']:.1f} s in all"),
        "calibration " + ("none" if calibration is None else _calibration(calibration)),
        f"memory      {scan.nbytes / 2**20:.1f} MiB as complex64, {100 * sampling.valid:.4g} % of the channels valid",
        *_history(history),
        *(f"warning     {text}" for text in sampling.warnings),
    ]
    return report, lines


def _planar(sampling: "SamplingReport") -> list[str]:
    return [
        f"aperture    {sampling.x.extent * 1e3:.1f} x {sampling.y.extent * 1e3:.1f} mm (x, y), "
        f"{sampling.depth * 1e3:.2f} mm deep in z",
        f"sampling    {_pitch(sampling.x.pitch)} (x), {_pitch(sampling.y.pitch)} (y); "
        f"lambda/4 = {sampling.quarter * 1e3:.2f} mm",
        f"resolution  {_length(sampling.x.resolution)} (x), {_length(sampling.y.resolution)} (y) at "
        f"{sampling.z * 1e3:.0f} mm, {sampling.range_resolution * 1e3:.1f} mm in range",
    ]


def _round(sampling: "SamplingReport") -> list[str]:
    """Lines about an aperture that goes round the y axis."""
    found = sampling.round
    distance = f"radius {found.radius * 1e3:.1f} mm, within {found.deviation * 1e3:.2f} mm"
    if found.far_field:
        distance = f"far field, referred to the axis (radius {found.radius * 1e3:.0f} mm is nominal)"
    covered = "the whole circle"
    if not found.closed:
        ends = (math.degrees(found.start), math.degrees(found.start + found.span))
        covered = f"{math.degrees(found.span):.4g} degrees ({ends[0]:.1f} to {ends[1]:.1f})"
    plane = f"{_length(found.resolution_across)} in the plane of rotation"
    if not found.closed:
        plane = (
            f"{_length(found.resolution_across)} across and {_length(found.resolution_along)} along the middle angle"
        )
    lines = [
        f"aperture    round the y axis, {distance}; {covered}, {found.height.extent * 1e3:.1f} mm high",
        f"sampling    every {math.degrees(found.step):.4g} degrees: free of ghosts within "
        f"{found.alias_radius * 1e3:.0f} mm of the axis; {_pitch(found.height.pitch)} (y); "
        f"lambda/4 = {sampling.quarter * 1e3:.2f} mm",
        f"resolution  {plane}, {_length(found.height.resolution)} (y) at the axis, "
        f"{sampling.range_resolution * 1e3:.1f} mm in range",
    ]
    if any(one.most > 1e-3 for one in found.residual):
        rings = ", ".join(f"{math.degrees(o.phase):.1f} at {o.rho * 1e3:.0f} mm" for o in found.residual)
        lines.append(f"residual    phase left by compensating pairs to one antenna [degrees]: {rings} from the axis")
    if any(math.degrees(one.most - one.phase) > 0.5 for one in found.residual):
        worst = ", ".join(f"{math.degrees(o.most):.1f} (y = {o.most_height * 1e3:.0f} mm)" for o in found.residual)
        lines.append(f"            at the middle height; over the antennas' heights up to {worst}")
    return lines


def _image(path: str) -> tuple[dict[str, Any], list[str]]:
    import numpy as np

    from mmsar.io.image_h5 import load_image

    image = load_image(path)
    grid = image.grid
    magnitude = image.magnitude()
    at = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
    peak, place = float(magnitude[at]), [float(grid.x[at[2]]), float(grid.y[at[1]]), float(grid.z[at[0]])]
    report = {
        "file": str(path),
        "kind": "image",
        "dtype": str(image.data.dtype),
        "grid": grid.to_dict(),
        "extent": dict(zip("xyz", map(list, grid.extent), strict=True)),
        "peak": {"value": peak, "position": place},
        "nbytes": int(image.data.nbytes),
        "history": list(image.history),
    }
    n_z, n_y, n_x = grid.shape
    extents = ", ".join(f"{a} {lo * 1e3:.1f} to {hi * 1e3:.1f}" for a, (lo, hi) in zip("xyz", grid.extent, strict=True))
    lines = [
        f"{path}: image of {n_x} x {n_y} x {n_z} voxels (x, y, z), {image.data.dtype}",
        f"extent      {extents} mm",
        f"spacing     {' x '.join(f'{s * 1e3:.3g}' for s in grid.spacing)} mm (x, y, z)",
        f"peak        {peak:.4g} at x, y, z = {', '.join(f'{p * 1e3:.1f}' for p in place)} mm",
        f"memory      {image.data.nbytes / 2**20:.1f} MiB",
        *_history(report["history"]),
    ]
    return report, lines


def _calibration_file(path: str) -> tuple[dict[str, Any], list[str]]:
    from mmsar.io.calibration_h5 import load_calibration

    calibration = load_calibration(path)
    n_tx, n_rx = calibration.gain.shape
    report = {
        "file": str(path),
        "kind": "calibration",
        "shape": {"tx": n_tx, "rx": n_rx},
        "gain": [[[g.real, g.imag] for g in row] for row in calibration.gain.tolist()],
        "range_bias": calibration.range_bias,
        "delay": None if calibration.delay is None else calibration.delay.tolist(),
        "delay_frequency": calibration.delay_frequency,
        "residual": calibration.residual,
        "source": calibration.source,
        "attrs": dict(calibration.attrs),
    }
    notes = calibration.attrs
    residual = (
        "" if calibration.residual is None else f", phase residual {math.degrees(calibration.residual):.2f} degrees"
    )
    lines = [
        f"{path}: calibration of {n_tx} TX x {n_rx} RX from {calibration.source or 'an unknown source'}",
        f"range bias  {calibration.range_bias * 1e3:.3f} mm{residual}",
        f"date        {notes.get('date', 'not known')}",
        f"valid for   radar configuration {str(notes.get('config_digest', 'not known'))[:12]}",
    ]
    return report, lines


def _history(history: list[Any]) -> list[str]:
    lines = []
    for step in history:
        values = [f"{k}={v}" for k, v in step.items() if k != "step" and not isinstance(v, dict | list)]
        lines.append(f"history     {step.get('step', '?')}: {', '.join(values)}")
    return lines or ["history     none"]


def _calibration(calibration: Any) -> str:
    bias = f"range bias {calibration.range_bias * 1e3:.2f} mm and channel gains, not applied yet"
    return f"{bias} ({calibration.source})" if calibration.source else bias


def _pitch(value: float | None) -> str:
    return "one position" if value is None else f"every {value * 1e3:.2f} mm"


def _length(value: float | None) -> str:
    return "none" if value is None else f"{value * 1e3:.2f} mm"


def _pairs(path: str) -> tuple[dict[str, Any], list[str]]:
    from collections import Counter

    from mmsar.io.pairs_h5 import PairFile

    with PairFile(path) as file:
        samples, n_y, n_x = file.shape
        done = file.select()
        counted = {name: Counter(file.column(name)[done].tolist()) for name in ("split", "family", "method")}
        report = {
            "file": str(path),
            "kind": "pairs",
            "samples": samples,
            "done": len(file),
            "shape": {"y": n_y, "x": n_x},
            "spacing": file.spacing,
            "version": file.version,
            "recipe": file.recipe,
            **counted,
        }
    lines = [
        f"{path}: {len(done):,} of {samples:,} training pairs of {n_x} x {n_y} pixels, mmsar {report['version']}",
        f"pixel       {report['spacing'] * 1e3:.3f} mm",
        f"seed        {report['recipe'].get('seed')}",
        *(f"{name:<11} {', '.join(f'{k} {v:,}' for k, v in sorted(c.items()))}" for name, c in counted.items()),
    ]
    return report, lines
