"""Turn a recording into samples."""

import argparse

HELP = "turn a recording into samples"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw decode: not built yet")
