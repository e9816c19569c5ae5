"""Turn a recording into samples: an .npz file with `signal` and `valid`.

`signal` is complex64 (frame, loop, tx, rx, sample), `valid` a mask of the same shape. What did not come is 0 in
`signal` and False in `valid`. tx is in firing order (`tx_order` says which transmitter each is), rx are the enabled
receivers; inverted feeds are not corrected. `frame_time_ns` is when the first packet of each frame arrived.

Example:
  mmsar hw decode recording/ -o cube.npz
"""

import argparse

from mmsar.cli.notices import warn

HELP = "turn a recording into samples"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of a recording")
    parser.add_argument("-o", "--output", metavar="CUBE.npz", required=True, help="file to write")


def run(args: argparse.Namespace) -> int:
    """Decode piece by piece."""
    from mmsar.core.progress import counter
    from mmsar.errors import FormatError
    from mmsar.hardware.dca1000.capture import Capture
    from mmsar.hardware.dca1000.export import save_npz
    from mmsar.io.atomic import check_target

    target = check_target(args.output)
    if target.suffix != ".npz":
        raise FormatError(f"{target}: got the ending {target.suffix!r}, wanted .npz")
    capture = Capture.open(args.folder)
    if not capture.n_frames:
        raise FormatError(
            f"{args.folder}: got a recording without packets, wanted one with data; {capture.report.ended}"
        )
    with counter("frames", capture.n_frames) as done:
        save_npz(capture, target, on_progress=done)
    report = capture.report
    if report.frames_damaged:
        _warn(f"{report.frames_damaged} of {capture.n_frames} frames are damaged; see `valid`")
    if report.interrupted:
        _warn(f"{report.ended}: {capture.n_frames} of {report.frames_expected} frames are in it")
        for message in report.messages:
            _warn(message)
    print(target)
    return 0


def _warn(text: str) -> None:
    warn("mmsar hw decode", text)
