"""Look at an image: three projections or three slices in dB relative to the peak, with millimetre axes.

--save writes .png, .pdf or .svg; without it a window opens where there is a display.
A negative first coordinate needs the = sign: --point=-20,0,335.

Example:
  mmsar view image.h5 --save image.png
  mmsar view image.h5 --kind slices --point 0,20,335 --floor -40 --save slices.pdf
"""

import argparse

HELP = "show an image, or save a figure of it"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    from mmsar.cli.points import parse_point

    parser.add_argument("image", metavar="IMAGE.h5", help="image to show")
    parser.add_argument("--save", metavar="FILE", help="figure to write: .png, .pdf or .svg")
    parser.add_argument("--kind", choices=("mips", "slices"), help="projections (default) or slices")
    parser.add_argument("--floor", type=_below_zero, default=-30.0, metavar="DB", help="lower end of the range (-30)")
    parser.add_argument("--point", type=parse_point, metavar="X,Y,Z", help="where to slice [mm]; default: the peak")
    parser.add_argument("--title", help="heading")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Draw the figure, then save or show it."""
    from pathlib import Path

    from mmsar.io.image_h5 import load_image
    from mmsar.view import plot

    if args.save is None and not plot.can_show():
        args.fail("there is no display to open a window on; give --save FILE.png")
    if args.save is not None and Path(args.save).suffix.lower() not in plot.FORMATS:
        args.fail(f"argument --save: got {args.save!r}, wanted a file ending in {', '.join(plot.FORMATS)}")
    if args.point is not None and args.kind == "mips":
        args.fail("argument --point: projections have no point; give --kind slices")
    image = load_image(args.image)
    title = args.title or Path(args.image).name
    if args.kind == "slices" or args.point is not None:
        figure = plot.figure_slices(image, point=args.point, floor=args.floor, title=title)
    else:
        figure = plot.figure_mips(image, floor=args.floor, title=title)
    if args.save is None:
        plot.show_figure(figure)
    else:
        plot.save_figure(figure, args.save)
        print(args.save)
    return 0


def _below_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not -1000 < value < 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number below 0 [dB re peak]")
    return value
