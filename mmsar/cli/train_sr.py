"""Train a network for enhancement by a training file, and export it.

The training file (TOML) names a recipe of pairs, the network and how long to train; data/README.md describes its keys.
Pairs that the file of pairs lacks are made first. The run folder holds checkpoints, curves (CSV and PNG) and, at the
end, the network (.onnx) that `mmsar enhance --model` takes. After Ctrl-C, or when the machine was switched off,
--resume goes on from the last checkpoint and ends, on the CPU, in the same bits. --start takes the first weights from
a network that was trained before: fewer steps then do, on pairs of your own radar, say.

Example:
  mmsar train-sr data/training/tiny.toml -o run/
  mmsar train-sr data/training/gatenet.toml -o run/ --pairs pairs.h5
  mmsar train-sr data/training/gatenet.toml -o run/ --resume
  mmsar train-sr data/training/gatenet_close.toml -o run/ --start gatenet
"""

import argparse
import sys
from pathlib import Path
from typing import Any

HELP = "train a network for enhancement"
PAIRS = "pairs.h5"
IMAGES = 1000
"""Training images that the statistics of a network are taken over."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("config", metavar="TRAINING.toml", help="training file")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="folder of the run")
    parser.add_argument("--pairs", metavar="PAIRS.h5", help=f"file of pairs to use and complete (FOLDER/{PAIRS})")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    parser.add_argument(
        "--start", metavar="NETWORK", help="first weights: gatenet, a file .onnx, or a checkpoint .pt (drawn at random)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to train (as the training file says)")


def run(args: argparse.Namespace) -> int:
    """Make the pairs that are missing, train, draw the curves, export."""
    from dataclasses import replace
    from importlib.util import find_spec

    from mmsar.errors import FormatError, MmsarError

    if find_spec("torch") is None:
        raise MmsarError("training needs torch, which is not installed; pip install 'mmsar[train]'")
    from mmsar.enhance.train.config import load_config
    from mmsar.io.pairs_h5 import PairFile

    config = load_config(args.config)
    if args.device:
        config = replace(config, settings=replace(config.settings, device=args.device))
    folder = Path(args.output)
    if folder.exists() and not folder.is_dir():
        raise FormatError(f"{folder}: is a file, wanted a folder for the run")
    folder.mkdir(parents=True, exist_ok=True)
    pairs = Path(args.pairs) if args.pairs else folder / PAIRS
    from mmsar.enhance.model.build import build
    from mmsar.enhance.train.loop import LAST, check_start

    resumed = args.resume and (folder / LAST).exists()
    check_start(folder, config.settings.device, resumed=resumed)  # before pairs are made, for hours perhaps
    network = None if resumed else build(config.network, seed=config.settings.seed)
    if args.start and not resumed:
        from mmsar.enhance.train.start import start_from

        start_from(network, args.start)
    try:
        _make_pairs(config, pairs)
        with PairFile(pairs) as file:
            return _train(config, file, folder, network, device=args.device)
    except KeyboardInterrupt:
        print(f"mmsar train-sr: stopped; go on from the last checkpoint in {folder} with --resume", file=sys.stderr)
        return 130


def _make_pairs(config: Any, path: Path) -> None:
    """Complete the file of pairs."""
    from mmsar.enhance.dataset import write_pairs
    from mmsar.enhance.dataset_recipe import load_recipe
    from mmsar.io.pairs_h5 import PairFile

    recipe = load_recipe(config.recipe)
    if path.exists():
        with PairFile(path) as file:
            if len(file) >= config.count and file.recipe == recipe.to_dict():
                return
    made = write_pairs(recipe, path, count=config.count, resume=True)
    print(f"{path}: made {made} pairs", file=sys.stderr)


def _train(config: Any, file: Any, folder: Path, network: Any, *, device: str | None) -> int:
    """Train the network, or go on with the run in the folder where there is none, and export it."""
    from mmsar.enhance.model.build import parameters
    from mmsar.enhance.train.checkpoint import load_network
    from mmsar.enhance.train.export import export_onnx
    from mmsar.enhance.train.loop import BEST, resume, train
    from mmsar.enhance.train.pairs import PairBatches, WholePairs
    from mmsar.view.curves import training_figure
    from mmsar.view.plot import save_figure

    seed = config.settings.seed
    batches = PairBatches(file, label=config.label, crop=config.crop, batch=config.batch, seed=seed)
    validation = WholePairs(file, label=config.label, count=config.validation, crop=config.validation_crop)
    if network is None:
        result = resume(folder, batches, validation=validation, device=device)
    else:
        print(f"{config.name}: {parameters(network):,} parameters", file=sys.stderr)
        result = train(network, batches, settings=config.settings, folder=folder, validation=validation)
    save_figure(training_figure(result.curves, title=config.name), folder / "curves.png")
    target = folder / f"{config.name}.onnx"
    difference = export_onnx(load_network(folder / BEST), target, name=config.name, extra=_facts(file, batches))
    print(
        f"{result.step} steps in {result.curves[-1]['seconds']:.0f} s; best validation loss {result.best_loss:.4g} "
        f"at step {result.best_step}; the exported network differs from torch by {difference:.1e} of the peak",
        file=sys.stderr,
    )
    print(target)
    return 0


def _facts(file: Any, batches: Any) -> dict[str, Any]:
    """What the network's file tells of its training images: their pixels, and what kind of images they are."""
    import numpy as np

    from mmsar.enhance.statistics import LEAST_IMAGES, fit_statistics

    facts: dict[str, Any] = {"spacing_mm": file.spacing * 1e3}
    seen = [np.abs(file.images(index, "ideal")[0]) for index in batches.first(IMAGES)]
    seen = [image for image in seen if image.any()]
    if len(seen) >= LEAST_IMAGES:
        facts["statistics"] = fit_statistics(seen)
    return facts
