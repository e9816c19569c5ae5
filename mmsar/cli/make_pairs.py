"""Make training pairs for enhancement: simulated images, and the labels of what was there.

The recipe (TOML) says what scenes, errors and images are drawn from; data/README.md describes its keys. Sample i
depends on the recipe and i only. The file is valid at every moment: after Ctrl-C, or when the machine was switched
off, --resume goes on where it stopped; with a larger --count it makes more of the same.

Example:
  mmsar make-pairs data/recipes/slices.toml -o pairs.h5 --count 2000
  mmsar make-pairs data/recipes/slices.toml -o pairs.h5 --count 4000 --resume
"""

import argparse
import sys
import time
from pathlib import Path

from mmsar.cli.arguments import count

HELP = "make training pairs for enhancement by a recipe"
DEFAULT = 1000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("recipe", metavar="RECIPE.toml", help="recipe file")
    parser.add_argument("-o", "--output", metavar="PAIRS.h5", required=True, help="file of pairs to write")
    parser.add_argument("--count", type=count, metavar="N", help=f"pairs in the file ({DEFAULT}, or as begun)")
    parser.add_argument("--resume", action="store_true", help="go on with a file that is there")


def run(args: argparse.Namespace) -> int:
    """Read the recipe, make what is missing, say how fast it went."""
    from mmsar.enhance.dataset import write_pairs
    from mmsar.enhance.dataset_recipe import load_recipe
    from mmsar.io.atomic import check_target
    from mmsar.io.pairs_h5 import PairFile

    path = check_target(args.output, sources=(args.recipe,))
    recipe = load_recipe(args.recipe)
    wanted = args.count or (PairFile(path).shape[0] if args.resume and path.exists() else DEFAULT)
    start = time.monotonic()
    try:
        made = write_pairs(recipe, path, count=wanted, resume=args.resume)
    except KeyboardInterrupt:
        if not path.exists():
            raise
        print(f"mmsar make-pairs: stopped; {_state(path)}, go on with --resume", file=sys.stderr)
        return 130
    took = time.monotonic() - start
    rate = f", {3600 * made / took:,.0f} an hour" if made else ""
    print(f"{made} pairs in {took:.1f} s{rate}; {_state(path)}", file=sys.stderr)
    print(args.output)
    return 0


def _state(path: Path) -> str:
    from mmsar.io.pairs_h5 import PairFile

    file = PairFile(path)
    return f"{len(file)} of {file.shape[0]} are in the file"
