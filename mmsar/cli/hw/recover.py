"""Put an interrupted recording right: account for what its journal holds and write report and index.

The packets on disk are never changed; a block that was half written when the recorder was killed is left out, and
said. A recording that ended by itself stays as it is. Doing it again changes nothing.

Example:
  mmsar hw recover recording/
"""

import argparse

HELP = "put an interrupted recording right"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of a recording")


def run(args: argparse.Namespace) -> int:
    """Recover, then say what is there."""
    from pathlib import Path

    from mmsar.hardware.dca1000.recover import recover

    report, done = recover(Path(args.folder))
    print(f"{args.folder}: {'recovered' if done else 'nothing to do'}, {report.ended}")
    print(f"{report.frames_complete} of {report.frames_expected} frames complete, {report.frames_damaged} damaged")
    for message in report.messages:
        print(message)
    return 0
