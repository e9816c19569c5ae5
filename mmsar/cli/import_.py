"""Import recordings of radars and raw data of other programs as a scan.

SOURCE is a recording of `mmsar hw record`, a packet capture (.pcap), .bin files of mmWave Studio or DCA1000EVM_CLI, a
folder of row files or of a four-chip cascade, or MATLAB (.mat) or numpy (.npz) data. The description is a small TOML
file: antennas, positions, and waveform and layout, unless it names the radar's own configuration: [capture] config =
"profile.cfg". Files that disagree with it are refused with the reason; nothing is cut off or filled up. Without
--description, SOURCE's name with .toml is read (scan.toml inside a folder).

Example:
  mmsar import raw/ --description plate.toml -o scan.h5 --check-sign
"""

import argparse
import sys

HELP = "import raw TI, MATLAB or numpy data as a scan"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("source", metavar="SOURCE", help="a recording: .bin, .pcap, .mat or .npz file, or a folder")
    parser.add_argument("-d", "--description", metavar="FILE.toml", help="what the data is")
    parser.add_argument("-o", "--output", metavar="SCAN.h5", required=True, help="scan to write")
    parser.add_argument(
        "--check-sign", action="store_true", help="refuse data whose beat spectrum lies on the negative side"
    )


def run(args: argparse.Namespace) -> int:
    """Read the description and the data, write the scan."""
    import warnings

    from mmsar.hardware.readers import import_recording
    from mmsar.io.atomic import check_target
    from mmsar.io.scan_h5 import save_scan

    check_target(args.output, sources=(args.source, args.description))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        scan = import_recording(args.source, args.description, check_sign=args.check_sign, lazy=True)
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    for note in scan.attrs.get("notes", ()):
        print(f"note: {note}", file=sys.stderr)
    save_scan(scan, args.output)
    n_pose, n_tx, n_rx, n = scan.shape
    lost = int(scan.valid.size - scan.valid.sum())
    print(
        f"{n_pose:,} poses x {n_tx} TX x {n_rx} RX x {n} samples ({scan.nbytes / 2**20:.1f} MiB)"
        + (
            f"; {lost:,} of {scan.valid.size:,} channels were not captured whole and are marked invalid" if lost else ""
        ),
        file=sys.stderr,
    )
    ratio = scan.attrs["history"][-1].get("sign_check_db")
    if ratio is not None:
        print(f"sign check: {ratio:+.1f} dB at positive beat frequencies", file=sys.stderr)
    print(args.output)
    return 0
