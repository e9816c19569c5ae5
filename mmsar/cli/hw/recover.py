"""Put an interrupted recording right: account for what its journal holds and write report and index.

The packets on disk are never changed; a block that was half written when the recorder was killed is left out, and
said. A recording that ended by itself stays as it is, unless packets that its report counts are gone from the folder:
the loss is said, and the former report is kept beside the new one. Doing it again changes nothing.

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

    found = recover(Path(args.folder))
    report = found.report
    print(f"{args.folder}: {'recovered' if found.done else 'nothing to do'}, {report.ended}")
    print(f"{report.frames_complete} of {report.frames_expected} frames complete, {report.frames_damaged} damaged")
    for message in report.messages:
        print(message)
    if found.former is not None:
        print(f"{found.lost:,} packets are lost that were there before; the report of then is kept in {found.former}")
    return 0
