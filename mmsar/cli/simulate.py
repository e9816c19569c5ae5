"""Simulate what a radar would record of a scene.

The scene file (TOML) holds the scatterers, the waveform, the array, the trajectory and the noise; data/README.md
describes its keys, data/scenes has examples. The same file and seed give the same samples.

Example:
  mmsar simulate data/scenes/letters.toml -o scan.h5
  mmsar simulate data/scenes/freehand.toml -o scan.h5 --seed 3 --snr 10
"""

import argparse
import math
import sys

HELP = "simulate a scan of a scene described in a TOML file"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("scene", metavar="SCENE.toml", help="scene file")
    parser.add_argument("-o", "--output", metavar="SCAN.h5", required=True, help="scan to write")
    parser.add_argument("--seed", type=_seed, help="seed of noise and position errors, instead of the file's")
    parser.add_argument("--device", help="where points are summed: cpu (default), cuda:N, cuda:N,M or cuda:all")
    parser.add_argument("--snr", type=_decibel, metavar="DB", help="thermal noise per sample, instead of the file's")


def run(args: argparse.Namespace) -> int:
    """Read the scene, simulate, write the scan."""
    from dataclasses import replace

    from mmsar.io.atomic import check_target
    from mmsar.io.scan_h5 import save_scan
    from mmsar.simulate.setup import load_setup

    check_target(args.output, sources=(args.scene,))
    setup = load_setup(args.scene)
    changes = {"seed": args.seed, "snr_db": args.snr, "device": args.device}
    options = replace(setup.options, **{k: v for k, v in changes.items() if v is not None})
    n_pose, n_points = len(setup.trajectory), len(setup.scene)
    print(f"{setup.name}: {n_points:,} points, {n_pose:,} poses", file=sys.stderr)
    scan = replace(setup, options=options).simulate()
    save_scan(scan, args.output)
    print(args.output)
    return 0


def _seed(text: str) -> int:
    value = int(text) if text.isdigit() else -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a whole number >= 0")
    return value


def _decibel(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number [dB]")
    return value
