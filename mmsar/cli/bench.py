"""Time the imagers on this machine, side by side on simulated scans, with their agreement with back-projection.

Three scans of random points are imaged: a planar raster (every planar method), a freehand sweep with depth motion (the
methods for irregular positions) and a turntable (isar). Pairs per second are voxels times transmit-receive pairs of all
poses, the terms a plain sum would have to add, over the time. Times are the best of the repetitions after a first run
that is not counted (it compiles, and measures FFT plans). In a checkout, `make bench` measures the table of
docs/benchmarks.md.

--calibrate measures how long planning and imaging take beside what the planner predicts, on small and medium scans, and
keeps one factor per method for this machine: `mmsar reconstruct --explain` and `auto` go by them from then on.
--scaling grows samples, voxels, frequencies and threads one at a time, prints the slopes and draws the curves.
--against compares how many times faster than bpa each method is with an earlier run's --json, and fails if that fell.

example:
  mmsar bench
  mmsar bench --size small --repeat 5
  mmsar bench --calibrate
  mmsar bench --size small --scaling scaling.png
  mmsar bench --json > before.json; mmsar bench --against before.json
"""

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import count
from mmsar.cli.bench_guard import earlier, guard

if TYPE_CHECKING:
    from mmsar.model.grid import ImageGrid
    from mmsar.model.scan import Scan
    from mmsar.model.trajectory import Trajectory

HELP = "time the imagers on this machine"

METHODS = {
    "planar": ("rma", "empm", "nufft", "bpa"),
    "freehand": ("empm", "nufft", "ffbp", "bpa"),
    "turntable": ("isar", "bpa"),
}
"""Scan -> the methods that accept it; `bpa` last, as the others are compared with it."""


DEPTH = 0.32
"""Most depth of the other grids [m]: more planes are closer."""
RADIUS, AXIS = 0.25, 0.035
"""Of the turntable's scan: distance of the antennas from the axis, and half the width of the grid about it [m]."""


@dataclass(frozen=True)
class Size:
    """How much to compute."""

    poses: tuple[int, int]
    """Rows and positions per row, or heights and angles; each is 8 pairs of an IWR1443."""
    samples: int
    """Frequencies."""
    voxels: tuple[int, int, int]
    """(n_z, n_y, n_x)."""


SIZES = {
    "tiny": Size((2, 16), 8, (4, 16, 16)),
    "small": Size((6, 64), 32, (16, 64, 64)),
    "medium": Size((12, 128), 64, (32, 128, 128)),
    "large": Size((25, 200), 64, (64, 256, 256)),
}


@dataclass(frozen=True)
class Timing:
    """One line of the table."""

    scan: str
    method: str
    plan_s: float
    """Planning, measured once and cold [s]."""
    image_s: float
    """Signal to image, best of the repetitions [s]."""
    pairs_per_s: float
    """Voxels times transmit-receive pairs of all poses, per second: the work of a plain sum, done in whatever way."""
    speedup: float
    """Time of `bpa` over this time, in this run."""
    ncc: float
    """Correlation of the complex image with that of `bpa`, 0 to 1."""
    error_db: float | None
    """What is left of the difference from `bpa` after the best complex scale [dB]; None for `bpa` itself."""
    plan_mib: float
    """Memory of the plan while it is applied [MiB]."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `mmsar bench`."""
    parser.add_argument("--size", choices=tuple(SIZES), help="how much to compute (default: medium)")
    parser.add_argument(
        "--repeat", type=count, default=3, metavar="N", help="repetitions, the best counts (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="print the timings as JSON")
    parser.add_argument(
        "--calibrate", action="store_true", help="measure and keep the planner's factors for this machine"
    )
    parser.add_argument("--scaling", metavar="FIGURE", help="measure how time grows; figure to write: .png, .pdf, .svg")
    parser.add_argument("--against", metavar="FILE.json", help="earlier --json output of the same size to compare with")
    parser.add_argument(
        "--tolerance", type=_share, default=0.4, metavar="F", help="how much of a ratio may be lost (default: 0.4)"
    )
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    import numba
    import numpy as np

    from mmsar._version import __version__

    _check_modes(args)
    if args.calibrate:
        return _calibrate(args)
    if args.scaling:
        return _scaling(args)
    args.size = args.size or "medium"
    size = SIZES[args.size]
    before = earlier(args.against, args.size) if args.against else None
    machine = {
        "mmsar": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
    }
    timings = [t for name in METHODS for t in measure(name, size, args.repeat)]
    if before is not None:
        print(guard(timings, before, args.tolerance))
        return 0
    if args.json:
        sized = {"name": args.size, **asdict(size)}
        print(json.dumps({"machine": machine, "size": sized, "timings": [asdict(t) for t in timings]}, indent=2))
        return 0
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    pairs = 8 * size.poses[0] * size.poses[1]
    print(
        f"{args.size}: {pairs:,} pairs x {size.samples} frequencies into {' x '.join(map(str, size.voxels))} voxels\n"
    )
    titles = ("plan s", 9), ("image s", 9), ("G pairs/s", 10), ("x bpa", 8), ("NCC", 7), ("error dB", 8), ("MiB", 7)
    print(f"{'scan':9} {'method':6} {' '.join(f'{title:>{width}}' for title, width in titles)}")
    for t in timings:
        left = "" if t.error_db is None else f"{t.error_db:.1f}"
        print(
            f"{t.scan:9} {t.method:6} {t.plan_s:9.3f} {t.image_s:9.4f} {t.pairs_per_s / 1e9:10.3f} "
            f"{t.speedup:8.1f} {t.ncc:7.4f} {left:>8} {t.plan_mib:7.1f}"
        )
    return 0


def _check_modes(args: argparse.Namespace) -> None:
    given = [f"--{name}" for name in ("json", "calibrate", "scaling", "against") if getattr(args, name)]
    if len(given) > 1:
        args.fail(f"argument {given[1]}: not together with {given[0]}; leave one of them out")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number between 0 and 1")
    return value


def _scaling(args: argparse.Namespace) -> int:
    """Grow one thing at a time from a base size, print the slopes, draw the curves."""
    from dataclasses import astuple

    from mmsar.cli.bench_scaling import curves, report
    from mmsar.io.atomic import check_target
    from mmsar.view.save import FORMATS, save_figure
    from mmsar.view.scaling_plot import figure_scaling

    if Path(args.scaling).suffix.lower() not in FORMATS:
        args.fail(f"argument --scaling: got {args.scaling!r}, wanted a file ending in {', '.join(FORMATS)}")
    check_target(args.scaling)
    name = args.size or "small"
    found = curves(SIZES[name], METHODS, args.repeat)
    print(report(found))
    title = f"time from signal to image, from size {name}: {platform.machine()}, {os.cpu_count()} cores"
    save_figure(figure_scaling([(*astuple(curve), curve.slope) for curve in found], title=title), args.scaling)
    print(args.scaling)
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    """Measure the planner's factors on two sizes (or the one asked for), print how well they hold, and keep them."""
    from mmsar._version import __version__
    from mmsar.cli.bench_calibrate import check, factors_of, report
    from mmsar.recon.speed import store_speed_factors

    sizes = [args.size] if args.size else ["small", "medium"]
    rows = [
        row
        for size in sizes
        for name, methods in METHODS.items()
        for row in check(size, name, methods, problem(name, SIZES[size]), args.repeat)
    ]
    factors = factors_of(rows)
    print(report(rows, factors))
    print(", ".join(f"{method} {factor:g}" for method, factor in factors.items()))
    print(store_speed_factors(factors, __version__))
    return 0


def measure(name: str, size: Size, repeat: int) -> list[Timing]:
    """Time every method that accepts the scan `name` ("planar", "freehand" or "turntable")."""
    from mmsar.metrics import error_db, ncc

    scan, grid = problem(name, size)
    signal = scan.read()
    measured = {}
    for method in METHODS[name]:
        print(f"mmsar bench: {name} scan, {method}", file=sys.stderr)
        measured[method] = time_method(method, scan, grid, signal, repeat)
    _, reference_s, reference, _ = measured["bpa"]
    work = grid.n_voxels * scan.geometry.n_channels
    return [
        Timing(
            scan=name,
            method=method,
            plan_s=plan_s,
            image_s=image_s,
            pairs_per_s=work / image_s,
            speedup=reference_s / image_s,
            ncc=float(ncc(image, reference)),
            error_db=None if method == "bpa" else float(error_db(image, reference).error_db),
            plan_mib=nbytes / 2**20,
        )
        for method, (plan_s, image_s, image, nbytes) in measured.items()
    ]


def time_method(
    method: str, scan: "Scan", grid: "ImageGrid", signal: Any, repeat: int
) -> tuple[float, float, Any, int]:
    """(planning time, best imaging time, image, bytes of the plan) of one method."""
    start = time.perf_counter()
    plan = import_module(f"mmsar.recon.{method}").plan(scan.geometry, grid)
    plan_s = time.perf_counter() - start
    image = plan(signal)
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        plan(signal)
        best = min(best, time.perf_counter() - start)
    return plan_s, best, image, plan.nbytes


def problem(name: str, size: Size) -> tuple["Scan", "ImageGrid"]:
    """A scan of 40 random points by an IWR1443 that fills the aperture at lambda/4, and a grid.

    They are 0.3 m in front of it, or within 50 mm of the axis that it goes round.
    """
    import numpy as np

    from mmsar.model.array import AntennaArray
    from mmsar.model.chirp import Chirp
    from mmsar.model.grid import ImageGrid
    from mmsar.simulate.forward import simulate
    from mmsar.simulate.scene import Scene

    bandwidth, fs = 4e9, 5e6
    chirp = Chirp(f0=77e9, slope=bandwidth * fs / size.samples, fs=fs, n_samples=size.samples)
    array = AntennaArray.iwr1443()
    trajectory = _trajectory(name, size.poses, array)
    n_z, n_y, n_x = size.voxels
    if name == "turntable":
        spacing, middle = (2 * AXIS / (n_x - 1), 1e-3, 2 * AXIS / (n_z - 1)), 0.0
    else:
        spacing, middle = (1e-3, 1e-3, min(5e-3, DEPTH / n_z)), 0.3
    origin = (-(n_x - 1) / 2 * spacing[0], -(n_y - 1) / 2 * spacing[1], middle - (n_z - 1) / 2 * spacing[2])
    grid = ImageGrid(shape=size.voxels, origin=origin, spacing=spacing)
    inside = np.random.default_rng(0).uniform(-0.4, 0.4, (40, 3))
    position = np.array(grid.centre) + inside * (np.array(size.voxels[::-1]) - 1) * np.array(spacing)
    scan = simulate(Scene.points(position), chirp=chirp, array=array, trajectory=trajectory)
    return scan, grid


def _trajectory(name: str, poses: tuple[int, int], array: Any) -> "Trajectory":
    """Rows as far apart as the eight virtual elements reach, positions 1 mm apart, or angles all the way round."""
    import numpy as np

    from mmsar.model.trajectory import Trajectory

    step = (1e-3, 8 * array.uniform_pitch())
    if name == "turntable":
        return Trajectory.turntable(poses[1], RADIUS, heights=(np.arange(poses[0]) - (poses[0] - 1) / 2) * step[1])
    if name == "planar":
        return Trajectory.raster(poses, step)
    return Trajectory.freehand(poses, step, motion=(1e-3, 1e-3, 12e-3), rotation=0.02, seed=0)
