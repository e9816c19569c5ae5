"""Run an emulated instrument."""

import argparse

HELP = "run an emulated instrument"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw emulate: not built yet")
