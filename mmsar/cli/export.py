"""Write an image for another program, in the format the output's name ends with.

  .vti  ParaView, 3D Slicer (arrays dB, magnitude, real, imag)
  .npz  numpy                .mat  MATLAB (below 2 GB)
  .png  the figure that mmsar view --save draws

Example:
  mmsar export image.h5 image.vti
"""

import argparse
import sys
from pathlib import Path

HELP = "write an image as .vti, .npz, .mat or .png"

ENDINGS = (".vti", ".npz", ".mat", ".png")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("image", metavar="IMAGE.h5", help="image to read")
    parser.add_argument(
        "output", metavar="OUTPUT", type=_output, help="file to write, ending in .vti, .npz, .mat or .png"
    )


def run(args: argparse.Namespace) -> int:
    """Read the image, write it in the other format."""
    from mmsar.io.atomic import atomic_path, check_target
    from mmsar.io.export import export_image
    from mmsar.io.image_h5 import load_image

    check_target(args.output, sources=(args.image,))
    image = load_image(args.image)
    if args.output.suffix.lower() == ".png":
        from mmsar.view.plot import save_figure

        with atomic_path(args.output) as part:
            save_figure(image, part)
    else:
        export_image(image, args.output)
    print(f"{args.output.stat().st_size / 1e6:.1f} MB written", file=sys.stderr)
    print(args.output)
    return 0


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in ENDINGS:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a name that ends in {', '.join(ENDINGS)}")
    return path
