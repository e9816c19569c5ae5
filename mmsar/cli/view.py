"""Look at an image or a scan: figures in dB relative to the peak, with millimetre axes.

Of an image: three projections, or slices, phase (faded where it is weak) or the cuts of a point response with widths
and sidelobes. Of a scan: its aperture, the path and how densely it is sampled where, or its power over range.

--save writes .png, .pdf or .svg; without it a window opens where there is a display.
A negative first coordinate needs the = sign: --point=-20,0,335.

Example:
  mmsar view image.h5 --save image.png
  mmsar view image.h5 --kind slices --point 0,20,335 --floor -40 --save slices.pdf
  mmsar view image.h5 --compare image_sr.h5 --save both.png
  mmsar view scan.h5 --save aperture.png
"""

import argparse
from typing import Any

HELP = "show an image or a scan, or save a figure of it"
IMAGE_KINDS = ("mips", "slices", "phase", "psf")
SCAN_KINDS = ("aperture", "range")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    from mmsar.cli.points import parse_point

    parser.add_argument("image", metavar="FILE.h5", help="image or scan to show")
    parser.add_argument("--save", metavar="FILE", help="figure to write: .png, .pdf or .svg")
    parser.add_argument(
        "--kind",
        choices=(*IMAGE_KINDS, *SCAN_KINDS),
        help="of an image: mips (default), slices, phase, psf; of a scan: aperture (default), range",
    )
    parser.add_argument(
        "--compare", metavar="OTHER.h5", help="image to show beside the first one, each re its own peak"
    )
    parser.add_argument(
        "--floor",
        type=_below_zero,
        metavar="DB",
        help="lower end of the range (-30; psf -40, range -60; phase: faded below -20)",
    )
    parser.add_argument("--point", type=parse_point, metavar="X,Y,Z", help="where to cut [mm]; default: the peak")
    parser.add_argument("--title", help="heading")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Draw the figure, then save or show it."""
    from pathlib import Path

    from mmsar.io.h5file import file_kind
    from mmsar.view import plot

    if args.save is None and not plot.can_show():
        args.fail("there is no display to open a window on; give --save FILE.png")
    if args.save is not None and Path(args.save).suffix.lower() not in plot.FORMATS:
        args.fail(f"argument --save: got {args.save!r}, wanted a file ending in {', '.join(plot.FORMATS)}")
    if args.point is not None and args.kind == "mips":
        args.fail("argument --point: projections have no point; give --kind slices")
    style = {"title": args.title or Path(args.image).name} | ({} if args.floor is None else {"floor": args.floor})
    figure = (_scan if file_kind(args.image) == "scan" else _image)(args, style)
    if args.save is None:
        plot.show_figure(figure)
    else:
        plot.save_figure(figure, args.save)
        print(args.save)
    return 0


def _image(args: argparse.Namespace, style: dict[str, Any]) -> Any:
    from pathlib import Path

    from mmsar.io.image_h5 import load_image
    from mmsar.view import plot

    if args.kind in SCAN_KINDS:
        args.fail(f"argument --kind: {args.image} is no scan, wanted one of {', '.join(IMAGE_KINDS)}")
    if args.compare is not None and (args.kind not in (None, "mips") or args.point is not None):
        args.fail("argument --compare: images are compared by projections; leave --kind and --point out")
    image = load_image(args.image)
    if args.compare is not None:
        style["title"] = args.title
        names = [Path(args.image).name, Path(args.compare).name]
        return plot.figure_compare([image, load_image(args.compare)], names, **style)
    kind = args.kind or ("mips" if args.point is None else "slices")
    if kind != "mips":
        style["point"] = args.point
    return plot.KINDS[kind](image, **style)


def _scan(args: argparse.Namespace, style: dict[str, Any]) -> Any:
    from mmsar.io.scan_h5 import load_scan
    from mmsar.signal.rangefft import energy_interval, range_profile
    from mmsar.view import plot

    if args.kind in IMAGE_KINDS or args.point is not None or args.compare is not None:
        what = "--kind" if args.kind in IMAGE_KINDS else "--point" if args.point is not None else "--compare"
        args.fail(f"argument {what}: {args.image} is a scan, which has --kind {' and '.join(SCAN_KINDS)} only")
    if args.kind != "range" and args.floor is not None:
        args.fail("argument --floor: an aperture has no decibels; give --kind range")
    scan = load_scan(args.image, lazy=True)
    if args.kind == "range":
        return plot.figure_range_profile(*range_profile(scan), interval=energy_interval(scan), **style)
    return plot.figure_aperture(scan, **style)


def _below_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not -1000 < value < 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number below 0 [dB re peak]")
    return value
