"""What a recording holds, and what was lost on the way."""

import argparse

HELP = "what a recording holds, and what was lost on the way"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw report: not built yet")
