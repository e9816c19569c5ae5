"""Print what blind autofocus, least squares and the network bring on single scenes made to score enhancement.

python docs/figures/blind_scenes.py [0,3 0,4 ...] [--keep FOLDER]

Scenes are SET,NUMBER of those that `mmsar evaluate-sr --sigma-mm 1 --autofocus --blind --least-squares` makes, all of
the first eight of three sets unless some are given: position errors of 1 mm RMS along every axis. Printed are PSNR over
that of the input, where the image lies and where it fits best (by up to 5 mm), at the poses found and at the true
ones; then means with the half widths of their 95 % intervals. A scene takes minutes: --keep keeps what was found in
FOLDER, and goes on from there; what other code found must be taken away.
"""

import argparse

import numpy as np

from mmsar.cli.evaluate_sr import refocused
from mmsar.enhance import weights
from mmsar.enhance.consistent import SQUARES, seen_from
from mmsar.enhance.dataset import Observed, PairMaker
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.evaluate import FIRST_SEED, at_error, contestants, test_recipe
from mmsar.enhance.evaluation import Contestant
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.report import number, table
from mmsar.enhance.score import score
from mmsar.model.scan import Geometry
from mmsar.recon.options import LeastSquaresOptions

RECIPE = Recipe(seed=1)
ERROR = 1e-3
DEVELOPED = {f"{s},{i}" for s in range(3) for i in range(3)}
"""Scenes that the blind start was developed on."""
LAST = {SQUARES: f", {SQUARES}", "network": f", {SQUARES}, gatenet"}


def scene(text: str) -> str:
    """SET,NUMBER of a scene."""
    one, _, index = text.partition(",")
    if one not in ("0", "1", "2") or not index.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a set of 0, 1, 2 and a number from 0, as 0,3")
    return text


def gains(observed: Observed, geometry: Geometry, network: Contestant) -> dict[str, float]:
    """PSNR over that of the input [dB], by what it is of."""
    label, found = observed.pair.physical, {}
    before = score(observed.pair.magnitude, label, RECIPE.pixel)["psnr"]
    for place, at, kinds in (("found", geometry, ("psnr", "placed")), ("true", observed.truth, ("psnr",))):
        images = seen_from(place, at, observed, squares=LeastSquaresOptions(), network=network)
        for what, name in LAST.items():
            columns = score(images[place + name], label, RECIPE.pixel)
            found |= {f"{what}, {place}, {kind}": columns[kind] - before for kind in kinds}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", type=scene, metavar="SET,NUMBER")
    parser.add_argument("--keep", metavar="FOLDER")
    args = parser.parse_args()
    focused = refocused(True, RECIPE.off_plane, keep=args.keep)
    network = contestants([Enhancer(weights.find("gatenet"))])[-1]
    makers = {s: PairMaker(test_recipe(RECIPE, seed=FIRST_SEED + s, **at_error(ERROR))) for s in range(3)}
    rows, found = [], {}
    for text in args.scenes or [f"{s},{i}" for s in range(3) for i in range(8)]:
        one, index = map(int, text.split(","))
        observed = makers[one].observed(index)
        found[text] = gains(observed, focused(observed.plan, observed.signal, observed.valid), network)
        pair = observed.pair
        told = [text, pair.family, pair.error_kind, f"{pair.depth:g}", f"{pair.snr_db:.0f}"]
        rows.append(told + [number(v) for v in found[text].values()])
        print(" ".join(rows[-1]), flush=True)
    names = list(next(iter(found.values())))
    print("\n" + table(["scene", "family", "errors", "m away", "SNR [dB]", *names], rows) + "\n")
    groups = {
        "developed on": [text for text in found if text in DEVELOPED],
        "others": [text for text in found if text not in DEVELOPED],
        "all": list(found),
    }
    means = []
    for group, some in groups.items():
        values = np.array([[found[text][name] for name in names] for text in some])
        if len(values) > 1:
            half = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(len(values))
            cells = [f"{number(m)} +- {number(h)}" for m, h in zip(values.mean(axis=0), half, strict=True)]
            means.append([group, str(len(values)), *cells])
    print(table(["", "scenes", *names], means))


if __name__ == "__main__":
    main()
