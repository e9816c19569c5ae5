"""Explain a radar configuration and every limit it breaks."""

import argparse

HELP = "explain a radar configuration and every limit it breaks"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw check: not built yet")
