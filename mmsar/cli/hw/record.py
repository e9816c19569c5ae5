"""Record frames of a radar from its DCA1000 capture card to a folder.

The card is set up and told to record first, then the radar is configured and started over its serial port; with
--no-radar something else starts it as soon as this command prints "recording armed" on stderr. The recording ends when
all frames are there, or 2.6 s after the last packet. Ctrl-C stops the radar, then the card, and keeps what is there.
What was lost is counted and said (`mmsar hw report FOLDER`). Exit code 4 when card or radar do not work.

Example:
  mmsar hw record profile.cfg -o recording/ --frames 100
  mmsar hw record profile.cfg -o recording/ --frames 100 --no-radar --host-ip 127.0.0.1 --card-ip 127.0.0.2
"""

import argparse
import sys
from typing import TYPE_CHECKING

from mmsar.cli.arguments import address, check_addresses, count, packet_delay, positive
from mmsar.cli.notices import say_notes, warn

if TYPE_CHECKING:
    from mmsar.hardware.config.radar import RadarConfig
    from mmsar.hardware.dca1000.report import Report

HELP = "record frames from a DCA1000 to a folder"

USUAL_DEVICE = "xWR1843"
"""The chip of a configuration that names none."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("config", metavar="CONFIG.cfg", help="configuration of the radar")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="folder to make (new or empty)")
    parser.add_argument("--frames", type=count, metavar="N", help="frames to record (those of frameCfg)")
    parser.add_argument(
        "--device", metavar="CHIP", help="radar chip or board (the one its comments name, else xWR1843)"
    )
    parser.add_argument("--board", metavar="NAME", help="antenna board, noted in the recording")
    parser.add_argument("--no-radar", action="store_true", help="something else starts and stops the radar")
    parser.add_argument("--port", help="the radar's serial command port; default: the one USB names so")
    parser.add_argument(
        "--host-ip", type=address, default="192.168.33.30", help="this machine's address for the card (%(default)s)"
    )
    parser.add_argument("--card-ip", type=address, default="192.168.33.180", help="the card's address (%(default)s)")
    parser.add_argument(
        "--packet-delay", type=packet_delay, default=25.0, metavar="US", help="pause of the card, 5 to 500 [us] (25)"
    )
    parser.add_argument("--buffer", type=positive, default=64.0, metavar="MIB", help="socket buffer to ask for (64)")
    parser.add_argument("--start-timeout", type=positive, metavar="S", help="wait for the first packet (5; 30 alone)")
    parser.add_argument("--idle-timeout", type=positive, metavar="S", help="longest silence (2.6; 60 with trigger 2)")


def run(args: argparse.Namespace) -> int:
    """Record, then say what came."""
    from pathlib import Path

    from mmsar.cli.interruptions import Interruptions
    from mmsar.hardware.config.radar import read_cfg
    from mmsar.hardware.dca1000.journal import check_folder
    from mmsar.hardware.dca1000.record import IDLE_TIMEOUT, START_TIMEOUT, START_TIMEOUT_ALONE, Link, Patience
    from mmsar.hardware.dca1000.recorder import SILENCE

    check_addresses(args)
    folder = Path(args.output)
    check_folder(folder)
    config = read_cfg(args.config, device=args.device or _device(args.config))
    frames = args.frames or config.n_frames
    if not frames:
        from mmsar.errors import FormatError

        raise FormatError(f"{args.config}: got an endless frameCfg, wanted a number of frames; give --frames")
    _say_findings(config, args.packet_delay)
    board = None
    if args.board is not None:
        from mmsar.hardware.board import board as find_board

        board = find_board(args.board).name
    link = Link(
        host_ip=args.host_ip,
        card_ip=args.card_ip,
        packet_delay=args.packet_delay * 1e-6,
        buffer=int(args.buffer * 2**20),
    )
    patience = Patience(
        start=args.start_timeout or (START_TIMEOUT_ALONE if args.no_radar else START_TIMEOUT),
        silence=args.idle_timeout or (IDLE_TIMEOUT if config.trigger == "hardware" else SILENCE),
    )
    with Interruptions() as interruptions:
        try:
            report = _record(args, folder, config, frames, link=link, board=board, patience=patience)
        except KeyboardInterrupt as error:
            interruptions.ignore()
            _say_kept(folder, error)
            return interruptions.code
    _say(report, folder)
    return 0


def _record(args: argparse.Namespace, folder, config: "RadarConfig", frames: int, **options) -> "Report":
    from contextlib import ExitStack

    from mmsar.core.progress import counter
    from mmsar.hardware.dca1000.record import record

    def armed(warnings: list[str]) -> None:
        for warning in warnings:
            _warn(warning)
        print("recording armed", file=sys.stderr, flush=True)

    with ExitStack() as stack:
        radar = None
        if not args.no_radar:
            from mmsar.hardware.radar_cli import RadarCli
            from mmsar.hardware.serial_ports import cli_port

            radar = stack.enter_context(RadarCli(args.port or cli_port().path))
        done = stack.enter_context(counter("frames", frames))
        return record(
            folder,
            config,
            n_frames=frames,
            radar=radar,
            on_armed=armed,
            on_progress=lambda state: done(state.frames_complete),
            **options,
        )


def _device(path: str) -> str | None:
    """The usual chip, which is said, for a configuration whose comments name none; None: they name some."""
    from mmsar.hardware.config.cfg_text import read_text
    from mmsar.hardware.config.radar import chips_named

    if chips_named(read_text(path)):
        return None
    _warn(f"no chip is named in the comments of {path}: taken as {USUAL_DEVICE}; give --device if it is another")
    return USUAL_DEVICE


def _say_findings(config: "RadarConfig", packet_delay: float) -> None:
    from mmsar.hardware.config.limits import check

    for finding in check(config, packet_delay=packet_delay * 1e-6):
        if finding.severity == "error":
            _warn(f"{finding} (mmsar hw check)")


def _say(report: "Report", folder) -> None:
    print(f"{report.frames_complete} of {report.frames_expected} frames complete, {folder}")
    if not report.lossless:
        _warn(
            f"{report.upstream_lost} packets were lost before this machine, {report.kernel_dropped} in its socket: "
            f"{report.frames_damaged} frames are damaged; mmsar hw report {folder}"
        )
    for message in report.messages:
        _warn(message)


def _say_kept(folder, error: KeyboardInterrupt) -> None:
    from mmsar.errors import MmsarError
    from mmsar.hardware.dca1000.recover import read_report

    try:
        report = read_report(folder)
        kept = f"{report.frames_complete} of {report.frames_expected} frames are complete in {folder}"
        kept = "; ".join([kept, *report.messages])
    except (MmsarError, OSError):
        kept = "nothing had been recorded yet"
    print(f"mmsar hw record: stopped; {kept}", file=sys.stderr)
    say_notes("mmsar hw record", error, said=kept)


def _warn(text: str) -> None:
    warn("mmsar hw record", text)
