"""Image every scan of a folder, night after night: an image, a figure and a row of numbers for each.

What is done and unchanged (by the sha256 of the scan and by the options) is left alone, so the same command goes on
after an interruption and takes up new scans. A bad file is reported and the next one taken; it is tried again the next
time. OUTPUT/metrics.csv has one row per scan and is rewritten, whole, after each. The exit code is 0 when every scan
has its image, 3 when one has not.

What a lab would change: `numbers_of`, the columns that its reports need; the options of `reconstruct` in `image_one`,
a calibration or a background to take out first, say; the figure.

Example:
  python examples/nightly_batch.py scans/ -o images/
  python examples/nightly_batch.py scans/ -o images/ --extent=-60,60,-60,60,250,350 --spacing 1,1,5 --window hann
  0 2 * * * cd /lab && .venv/bin/python examples/nightly_batch.py scans/ -o images/ 2>> nightly.log     # crontab
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mmsar.cli import explain_error, guarded
from mmsar.cli.grids import add_grid_options, check_grid_options, grid_asked_for
from mmsar.cli.parser import Parser, script_parser
from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path
from mmsar.io.h5file import file_kind
from mmsar.io.image_h5 import save_image, scan_digest
from mmsar.io.scan_h5 import load_scan
from mmsar.metrics import contrast, entropy, point_response
from mmsar.model import Image
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.view.plot import figure_mips, save_figure

NUMBERS = (
    *("method", "error_db", "peak", "peak_x_mm", "peak_y_mm", "peak_z_mm", "width_x_mm", "width_y_mm", "width_z_mm"),
    *("pslr_db", "islr_db", "entropy_nat", "contrast"),
)
COLUMNS = ("scan", "state", "message", "finished", "seconds", "image", "figure", *NUMBERS, "settings", "sha256")
SETTINGS = ("method", "window", "floor", "extent", "center", "spacing", "grid")
DONE, FAILED = "done", "failed"


def build_parser() -> Parser:
    """The options."""
    parser = script_parser("nightly_batch.py", __doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the scans are")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT", help="folder for what is made")
    parser.add_argument(
        "--pattern", default="*.h5", help="files to take, '**/*.h5' for folders in it too (%(default)s)"
    )
    parser.add_argument("--method", default="auto", help="of mmsar reconstruct (%(default)s)")
    parser.add_argument("--window", default="none", help="taper over frequency and aperture (%(default)s)")
    parser.add_argument("--floor", type=float, default=-30.0, metavar="DB", help="of the figures (%(default)g)")
    add_grid_options(parser)
    return parser


def numbers_of(image: Image) -> dict[str, object]:
    """The numbers of one row: of the brightest point and of the whole image."""
    step, found = image.history[-1], point_response(image)
    values = {
        "method": step["method"],
        "error_db": step["predicted_error_db"],
        "peak": found.value,
        "pslr_db": found.pslr_3d,
        "islr_db": found.islr_3d,
        "entropy_nat": entropy(image),
        "contrast": contrast(image),
    }
    for axis, at, width in zip("xyz", found.position, found.width, strict=True):
        values |= {f"peak_{axis}_mm": at * 1e3, f"width_{axis}_mm": width * 1e3}
    return {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}


def image_one(source: Path, target: Path, figure: Path, args: argparse.Namespace) -> dict[str, object]:
    """Image a scan to `target` and `figure`; the numbers of its row."""
    scan = load_scan(source)
    grid = grid_asked_for(args, scan)
    options = ReconOptions(window=args.window, progress=False)
    image = reconstruct(scan, grid, method=args.method, options=options)
    numbers = numbers_of(image)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_image(image, target, scan_path=source)
    save_figure(figure_mips(image, floor=args.floor, title=source.name), figure)
    return numbers


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of earlier nights by the name of the scan; none without a table."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise FormatError(f"{path}: got other columns than this script's; move it away, or give another --output")
        return {row["scan"]: row for row in reader}


def write_table(path: Path, rows: dict[str, dict[str, object]]) -> None:
    """All rows, sorted by the name of the scan; the old table stays until the new one is whole."""
    with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def run(args: argparse.Namespace) -> int:
    """Take one scan after the other."""
    check_grid_options(args)
    if not args.folder.is_dir():
        raise FormatError(f"{args.folder}: no such folder, wanted one with scans")
    if args.output.resolve() == args.folder.resolve():
        args.fail("argument -o/--output: got the folder of the scans, wanted another one for the images")
    found = sorted(args.folder.glob(args.pattern))
    sources = [path for path in found if path.is_file() and not path.name.startswith(".")]  # .NAME.part.h5: unfinished
    if not sources:
        raise FormatError(f"{args.folder}: got no file like {args.pattern}, wanted scans; see --pattern")
    args.output.mkdir(parents=True, exist_ok=True)
    table = args.output / "metrics.csv"
    rows: dict[str, dict[str, object]] = {**read_table(table)}
    settings = json.dumps({name: getattr(args, name) for name in SETTINGS})
    count = {DONE: 0, FAILED: 0, "unchanged": 0, "not scans": 0}
    for source in sources:
        name, started = source.relative_to(args.folder), time.monotonic()
        files = {kind: name.with_suffix(end) for kind, end in (("image", ".h5"), ("figure", ".png"))}
        target, figure = (args.output / file for file in files.values())
        row: dict[str, object] = {"scan": str(name), "settings": settings}
        try:
            if file_kind(source) != "scan":
                count["not scans"] += 1
                continue
            row["sha256"] = scan_digest(source)
            before = rows.get(str(name), {})
            same = all(before.get(key) == row[key] for key in ("sha256", "settings"))
            if same and before["state"] == DONE and target.exists() and figure.exists():
                count["unchanged"] += 1
                continue
            row |= {"state": DONE, **files, **image_one(source, target, figure, args)}
        except Exception as error:  # whatever is wrong with one scan, the others are still to be imaged
            if args.debug:
                raise
            message = " ".join(explain_error(error)[0].split()) or type(error).__name__
            row |= {"state": FAILED, "message": message}
        count[str(row["state"])] += 1
        row |= {"seconds": f"{time.monotonic() - started:.1f}", "finished": datetime.now(UTC).isoformat("T", "seconds")}
        rows[str(name)] = row
        write_table(table, rows)
        print(f"{name}: {row['state']}" + (f": {row['message']}" if "message" in row else f" in {row['seconds']} s"))
    print(f"{', '.join(f'{n} {state}' for state, n in count.items())}; see {table}", file=sys.stderr)
    return 3 if count[FAILED] else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    args = build_parser().parse_args(argv)
    return guarded("nightly_batch.py", lambda: run(args), debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
