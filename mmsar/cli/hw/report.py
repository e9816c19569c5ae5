"""What a recording holds, and exactly what was lost on the way.

Works on an interrupted recording too: its journal is read then, and nothing is written. Lost before this machine
("upstream") and dropped by its socket ("kernel") are told apart; expected = received + upstream lost + kernel dropped,
but for dropped datagrams that were no loss (copies). Exit code 3 when packets that the report counts are gone from the
folder; `mmsar hw recover` accounts for what is left then.

Example:
  mmsar hw report recording/
  mmsar hw report recording/ --json
"""

import argparse

HELP = "what a recording holds, and what was lost on the way"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of a recording")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    import json
    from pathlib import Path

    from mmsar.hardware.dca1000.journal import read_manifest
    from mmsar.hardware.dca1000.recover import read_report

    folder = Path(args.folder)
    report = read_report(folder)
    manifest = read_manifest(folder)
    if args.json:
        print(json.dumps(report.to_json(), indent=2))
        return 0
    buffer = manifest["socket_buffer"]
    rows = [
        ("recorded", f"{manifest['created']}, {manifest['device']}, {manifest['board'] or 'board not named'}"),
        ("ended", report.ended),
        ("frames", f"{report.frames_complete:,} complete of {report.frames_expected:,}"),
        ("", f"{report.frames_damaged:,} damaged, {report.zero_filled_bytes:,} bytes filled with zeros"),
        ("packets", f"{report.packets_received:,} received of {report.packets_expected:,}"),
        ("", f"{report.upstream_lost:,} lost before this machine, {report.kernel_dropped:,} dropped by its socket"),
        ("", f"{report.duplicates:,} duplicates, {report.late:,} late, {report.foreign:,} of other senders"),
        ("socket", f"{buffer['granted'] / 2**20:.1f} MiB granted, {buffer['requested'] / 2**20:.1f} MiB asked for"),
        *(("note", message) for message in report.messages),
    ]
    if report.interrupted and not (folder / "report.json").exists():
        rows.append(("note", f"read from the journal of an unfinished recording; mmsar hw recover {folder}"))
    for name, text in rows:
        print(f"{name:10} {text}")
    return 0
