"""Score networks for enhancement on scenes of families they were never trained on, beside what needs no network.

An image of zeros, a threshold, the input and back-projection are scored with the networks, by numbers that an empty
image cannot win, and with --sparse, --least-squares and --autofocus also what the samples allow; probes ask for
amplitudes, close points, noise, scale, tiles and time. The sets are made as they are needed, with seeds that no file of
pairs has. With -o the whole report is written as Markdown, pictures beside it.

Example:
  mmsar evaluate-sr --quick
  mmsar evaluate-sr --model gatenet --model srvit --sigma-mm 0.2,1 -o docs/superres.md
"""

import argparse
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmsar.cli.arguments import count, listed

HELP = "score networks for enhancement"
QUICK = {"images": 16, "few": 3, "seeds": 1, "sweep_images": 3}
FULL = {"images": 200, "few": 20, "seeds": 3, "sweep_images": 24}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="network: a name or a .onnx file; may be repeated (all shipped)",
    )
    parser.add_argument("--recipe", metavar="RECIPE.toml", help="recipe of the pairs (the one of the shipped networks)")
    parser.add_argument("--sigma-mm", type=_millimetres, default=(0.2, 1.0), metavar="A,B", help="errors (0.2,1)")
    parser.add_argument("--label", choices=("physical", "ideal"), default="physical", help="label (physical)")
    parser.add_argument("--images", type=count, metavar="N", help="images per set (200)")
    parser.add_argument("--few", type=count, metavar="N", help="of those, for slow contestants (20)")
    parser.add_argument("--seeds", type=count, metavar="N", help="sets (3)")
    parser.add_argument("--sweep-images", type=count, metavar="N", help="images per point of a sweep (24)")
    parser.add_argument("--quick", action="store_true", help="few images: a look, no evidence")
    parser.add_argument("--protocol", choices=("fair", "paper"), default="fair", help="paper: also as published")
    parser.add_argument("--sparse", action="store_true", help="also sparse reconstruction from the samples (slow)")
    parser.add_argument(
        "--autofocus",
        action="store_true",
        help="also at focused poses, alone and through the first network (slow)",
    )
    parser.add_argument("--blind", action="store_true", help="with --autofocus: as `mmsar align --blind` (slower)")
    parser.add_argument("--keep", metavar="FOLDER", help="with --autofocus: keep what it finds, and go on from there")
    parser.add_argument("--least-squares", action="store_true", help="also least squares from the samples (slow)")
    parser.add_argument("-o", "--output", metavar="REPORT.md", help="report to write, with pictures beside it")
    parser.set_defaults(fail=parser.error)


def _millimetres(text: str) -> tuple[float, ...]:
    values = tuple(listed(text))
    if not values or not all(0 <= v <= 10 for v in values) or len(set(values)) < len(values):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted different numbers from 0 to 10 [mm], as 0.2,1")
    return values


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the main tables, write the report."""
    from mmsar.enhance import weights
    from mmsar.enhance.dataset_recipe import Recipe, load_recipe
    from mmsar.enhance.evaluate import Evaluator
    from mmsar.enhance.infer import Enhancer
    from mmsar.enhance.report import bars, bars_table, chain_bars, main_table, sparse_bars
    from mmsar.errors import FormatError, MmsarError
    from mmsar.io.atomic import check_target
    from mmsar.recon.options import LeastSquaresOptions, SparseOptions

    if args.blind and not args.autofocus:
        args.fail("argument --blind: it belongs to --autofocus, which is not given")
    if args.keep is not None and not args.autofocus:
        args.fail("argument --keep: it belongs to --autofocus, which is not given")
    if args.output is not None:
        import mmsar.view.enhancement
        import mmsar.view.plot  # noqa: F401  # what would fail, should fail before hours of work

        check_target(args.output)
        if Path(args.output).suffix != ".md":
            raise FormatError(f"{args.output}: got another ending, wanted .md for the report")
    networks = [Enhancer(weights.find(model)) for model in args.model or weights.shipped()]
    names = [network.name for network in networks]
    if not networks or len(set(names)) < len(names):
        raise MmsarError(f"--model: got {', '.join(names) or 'none'}, wanted at least one network, each once")
    recipe = load_recipe(args.recipe) if args.recipe else Recipe(seed=1)
    size = {name: getattr(args, name) or (QUICK if args.quick else FULL)[name] for name in FULL}
    sweep_images = size.pop("sweep_images")
    evaluator = Evaluator(recipe, networks, label=args.label, **size)
    sigmas = [value / 1e3 for value in args.sigma_mm]
    sparse = SparseOptions() if args.sparse else None
    result = evaluator(
        sigmas=sigmas,
        paper=args.protocol == "paper",
        sweep_images=sweep_images,
        sparse=sparse,
        refocus=refocused(args.blind, recipe.off_plane, keep=args.keep) if args.autofocus else None,
        squares=LeastSquaresOptions() if args.least_squares else None,
    )
    best, other = names[0], "srvit" if "srvit" in names[1:] else None
    for sigma in sorted(result.main):
        print(f"position error {sigma * 1e3:g} mm\n\n{main_table(result.main[sigma], result.by_seed[sigma])}\n")
    print(bars_table(bars(result, best, other)))
    if chain := chain_bars(result, best):
        print(f"\nbehind autofocus and least squares\n\n{bars_table(chain)}")
    if args.sparse:
        print(f"\nsparse\n\n{bars_table(sparse_bars(result))}")
    if args.quick:
        print("--quick: a look, no evidence", file=sys.stderr)
    if args.output is not None:
        _write(Path(args.output), result, best=best, other=other, label=args.label, runtime=networks[0].runtime)
        print(args.output)
    return 0


def refocused(blind: bool, off_plane: float, *, keep: str | os.PathLike[str] | None = None) -> Any:
    """Finds the geometry with poses by autofocus, or the recorded one where it did not help.

    Focused are three slices: in the plane, and as far before and behind it as objects may lie; with `blind` also
    planes as far behind it as clutter may lie, where they explain more. Displacements go to a
    file of the folder `keep`, named by what they are found from, and come from there if it has them.

    Raises
    ------
    FormatError
        A folder that cannot be made, or a file in it that does not hold displacements.
    """
    from mmsar.enhance.dataset_scene import CLUTTER
    from mmsar.focus.autofocus import AutofocusOptions, focus_samples
    from mmsar.focus.posefield import moved_geometry
    from mmsar.io.kept import Kept

    def found(geometry: Any, signal: Any, grid: Any) -> Any:
        options = AutofocusOptions(progress=False, blind=blind, behind=CLUTTER[1] if blind else 0.0)
        result = focus_samples(geometry, signal, grid, options=options)
        return result.move if result.improved else 0 * result.move

    store = None if keep is None else Kept(keep)

    def focused(plan: Any, signal: Any, valid: Any) -> Any:
        geometry = plan.geometry.replace(weight=plan.geometry.weight * valid)
        grid = plan.grid
        if off_plane > 0:
            (x, y, z), (across, up, _), plane = grid.origin, grid.spacing, grid.shape[1:]
            grid = replace(grid, shape=(3, *plane), origin=(x, y, z - off_plane), spacing=(across, up, off_plane))
        if store is None:
            return moved_geometry(plan.geometry, found(geometry, signal, grid))
        of = (signal, geometry.tx_position, geometry.rx_position, geometry.weight, repr(grid), str(blind))
        shape = (len(geometry.weight), 3)
        return moved_geometry(plan.geometry, store.get(of, lambda: found(geometry, signal, grid), shape=shape))

    return focused


def _write(path: Path, result: Any, *, best: str, other: str | None, label: str, runtime: str) -> None:
    """The report and its pictures; the report last, so that it never speaks of pictures that are not there."""
    from mmsar.enhance.evaluate import INPUT, SIGMAS, SNRS_DB, ZERO
    from mmsar.enhance.report import markdown
    from mmsar.io.atomic import atomic_path
    from mmsar.view.enhancement import samples_figure, sweeps_figure
    from mmsar.view.plot import save_figure

    folder = path.parent / "images"
    folder.mkdir(exist_ok=True)
    rows = [
        (f"{p.family}, {p.error_kind}, {p.depth:g} m, {p.snr_db:.0f} dB", {**images, "label": getattr(p, label)})
        for p, images in result.samples
    ]
    save_figure(samples_figure(rows, spacing=result.recipe.pixel), folder / f"{path.stem}-samples.png")
    curves = [
        ("position error [mm]", [s * 1e3 for s in SIGMAS], result.sweep_sigma),
        ("SNR of a sample [dB]", SNRS_DB, result.sweep_snr),
    ]
    kept = [(title, at, {n: v for n, v in found.items() if n != ZERO}) for title, at, found in curves]
    save_figure(sweeps_figure(kept), folder / f"{path.stem}-sweeps.png")
    command = "mmsar " + shlex.join(sys.argv[1:])
    text = markdown(result, best=best, other=other, label=label, machine=_machine(runtime), command=command)
    names = ", ".join(n for n in result.samples[0][1] if n != INPUT)
    text += "\n".join(
        [
            "",
            "## Pictures",
            "",
            f"Held-out scenes: input, {names}, label; dB re the peak of each.",
            "",
            f"![samples](images/{path.stem}-samples.png)",
            "",
            f"![sweeps](images/{path.stem}-sweeps.png)",
            "",
        ]
    )
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def _machine(runtime: str) -> str:
    import platform

    import numpy as np

    from mmsar._version import __version__
    from mmsar.core.parallel import threads

    system = os.uname().sysname if hasattr(os, "uname") else os.name
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, {runtime}"
    return f"{threads()} cores of {platform.machine()} ({system}), {versions}, mmsar {__version__}"
