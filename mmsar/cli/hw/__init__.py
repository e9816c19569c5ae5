"""The parts of a bench, one command each: radar configuration, capture card, recordings, position logs, emulators.

Example:
  mmsar hw check profile.cfg
  mmsar hw record profile.cfg -o recording/ --frames 100
"""

import argparse
from importlib import import_module

from mmsar.cli.parser import add_part

HELP = "work with the parts of the bench: radar, capture card, recordings, position logs, emulators"

PARTS = ("doctor", "check", "record", "report", "recover", "decode", "replay", "emulate", "poses")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the parts, each a module of this package with `HELP`, `configure(parser)` and `run(args)`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    for part in PARTS:
        module = import_module(f"mmsar.cli.hw.{part}")
        add_part(parts, part, module, common).set_defaults(run_part=module.run)


def run(args: argparse.Namespace) -> int:
    """Run one part."""
    return args.run_part(args)
