"""Run emulated instruments until Ctrl-C: the whole workflow without a bench, on this machine alone.

  bench    radar, capture card, stage or hand, and a scene, as a session file asks for; without one: radar and card
  dca      the capture card alone, with frames that come when a recording is started
  radar    the radar's command line alone
  grbl, amc4030, esp32   a stage controller or the trigger box alone

Faults of the network are drawn from a seed, and what was really sent is printed at the end: compare it with
`mmsar hw report`. Faults: drop, burst, burst_length, reorder, depth, duplicate, delay, delay_s, truncate,
restart_after, silent_after, mute_after, async_before_reply, seed.

Example:
  mmsar hw emulate bench data/sessions/raster.toml
  mmsar hw emulate dca --config profile.cfg --device xWR1843 --faults "drop=0.01,reorder=0.01,duplicate=0.005,seed=1"
"""

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from mmsar.cli.arguments import check_addresses, count, loopback, positive

if TYPE_CHECKING:
    from mmsar.hardware.emulate.dca import DcaEmulator
    from mmsar.simulate.scene import Scene


HELP = "run an emulated instrument"
START_AFTER = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the instruments, each with its options."""
    kinds = parser.add_subparsers(dest="instrument", metavar="INSTRUMENT", required=True)
    bench = kinds.add_parser("bench", help="radar, card, stage or hand, and a scene")
    bench.add_argument("session", nargs="?", metavar="SESSION.toml", help="session to make a bench for")
    bench.add_argument("--tracker-log", metavar="LOG.txt", help="where the tracker of a freehand session writes (TUM)")
    _board(bench, "xWR1642", "IWR1642BOOST")
    _card(bench)
    dca = kinds.add_parser("dca", help="the capture card")
    dca.add_argument("--config", metavar="CONFIG.cfg", help="radar configuration that says what the frames are")
    dca.add_argument("--frames", type=count, metavar="N", help="frames (those of the configuration, or 100)")
    dca.add_argument("--frame-bytes", type=count, metavar="B", help="counting frames of this size, without --config")
    dca.add_argument("--period-ms", type=positive, metavar="MS", help="from frame to frame; without --config: 40")
    dca.add_argument("--file", metavar="RAW.bin", help="send this file instead of computed frames")
    dca.add_argument(
        "--start-after", type=positive, default=START_AFTER, metavar="S", help="radar starts this long after a record"
    )
    _board(dca, None, None)
    _card(dca)
    radar = kinds.add_parser("radar", help="the radar's command line")
    radar.add_argument("--device", default="xWR1843", metavar="CHIP", help="chip (%(default)s)")
    radar.add_argument("--prompt", default="mmwDemo:/>", help="prompt of the firmware (%(default)s)")
    for name, what in (("grbl", "GRBL"), ("amc4030", "AMC4030"), ("esp32", "trigger box")):
        kinds.add_parser(name, help=f"an emulated {what}")


def _board(parser: argparse.ArgumentParser, device: str | None, board: str | None) -> None:
    parser.add_argument("--device", default=device, metavar="CHIP", help=f"chip ({device or 'from the configuration'})")
    parser.add_argument(
        "--board", default=board, metavar="NAME", help=f"antenna board ({board or 'needed for a scene'})"
    )
    parser.add_argument(
        "--scene", metavar="SCENE.toml", help="scene file as of `mmsar simulate`; default: one or three points"
    )
    parser.add_argument("--noise", type=float, default=20.0, metavar="COUNTS", help="RMS noise of the samples (20)")


def _card(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host-ip", type=loopback, default="127.0.0.1", help="address of the recording program (%(default)s)"
    )
    parser.add_argument("--card-ip", type=loopback, default="127.0.0.2", help="address of the card (%(default)s)")
    parser.add_argument("--faults", default="", metavar="LIST", help="what goes wrong, as drop=0.01,seed=1")


def run(args: argparse.Namespace) -> int:
    """Run the instrument until Ctrl-C."""
    if "card_ip" in args:
        check_addresses(args)
    kinds = (signal.SIGINT, signal.SIGTERM)  # a shell starts its background jobs with SIGINT ignored
    before = [signal.signal(kind, signal.default_int_handler) for kind in kinds]
    try:
        {"bench": _run_bench, "dca": _run_dca}.get(args.instrument, _run_pty)(args)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
    return 0


def _run_bench(args: argparse.Namespace) -> None:
    from pathlib import Path

    from mmsar.hardware.emulate.bench import EmulatedBench, Instrument
    from mmsar.hardware.emulate.faults import FaultPlan
    from mmsar.hardware.emulate.session_bench import Before, bench_for, ready_scene, redirected

    addresses = {"host_ip": args.host_ip, "card_ip": args.card_ip}
    common = {**addresses, "faults": FaultPlan.parse(args.faults), "banner": True}
    scene = _scene(args)
    if args.session is None:
        from mmsar.hardware.board import board

        found = board(args.board)
        found.array()  # refuses now, rather than at the first start, where the board is not known well enough
        made = Instrument(device=args.device, array=lambda config: config.array(found), scene=scene, noise=args.noise)
        with EmulatedBench(made, **common) as bench:
            bench.radar.on_problem = _problem
            print(f"radar {args.device} at {bench.radar.port}, card at {args.card_ip}")
            _until_interrupted(
                f"mmsar hw record PROFILE.cfg -o recording/ --frames 20 --device {args.device} --port "
                f"{bench.radar.port} --host-ip {args.host_ip} --card-ip {args.card_ip}"
            )
        _summary(bench.card)
        return
    from mmsar.hardware.session.setup import read_session

    session = read_session(args.session)
    log = Path(args.tracker_log) if args.tracker_log else Path(args.session).with_suffix(".tracker.txt")
    freehand = session.stage is None
    scene = ready_scene(session) if args.scene is None else scene
    stand = Before(scene=scene, noise=args.noise, tracker_log=log if freehand else None)
    with bench_for(session, stand, **common) as bench:
        bench.radar.on_problem = _problem
        values = {"radar": {"port": bench.radar.port}, "card": addresses}
        if bench.stage is not None:
            values["stage"] = {"port": bench.stage.port}
        path = Path(args.session)
        other = path.with_name(f"{path.stem}.emulated.toml")
        other.write_text(redirected(path.read_text(encoding="utf-8"), values), encoding="utf-8")
        try:
            stage = f", {session.stage.kind} stage at {bench.stage.port}" if bench.stage is not None else ""
            print(f"radar at {bench.radar.port}, card at {args.card_ip}{stage}")
            if freehand:
                print(f"tracker writes {log}")
            _until_interrupted(f"mmsar capture {other} -o scan.h5" + (f" --poses {log}" if freehand else ""))
        finally:
            other.unlink(missing_ok=True)
    _summary(bench.card)


def _run_dca(args: argparse.Namespace) -> None:
    import threading

    from mmsar.hardware.emulate.dca import DcaEmulator
    from mmsar.hardware.emulate.faults import FaultPlan

    source = _source(args)
    with DcaEmulator(args.card_ip, args.host_ip, source=source, faults=FaultPlan.parse(args.faults)) as card:
        timers: list[threading.Timer] = []

        def start() -> None:
            timers.append(threading.Timer(args.start_after, card.start_stream))
            timers[-1].daemon = True
            timers[-1].start()

        card.on_start_record = start
        frames = f"{source.n_frames} frames" if source.n_frames else "frames without end"
        print(f"card at {args.card_ip} for {args.host_ip}: {frames} of {source.frame_bytes:,} bytes after each start")
        config = args.config or "PROFILE.cfg"
        _until_interrupted(
            f"mmsar hw record {config} -o recording/ --frames {source.n_frames or 100} --no-radar "
            f"--host-ip {args.host_ip} --card-ip {args.card_ip}" + (f" --device {args.device}" if args.device else "")
        )
        for timer in timers:
            timer.cancel()
            timer.join()
    _summary(card)


def _source(args: argparse.Namespace):
    """The frames `emulate dca` sends."""
    from mmsar.errors import FormatError
    from mmsar.hardware.emulate.source import CountingSource, FileSource

    if args.config is None:
        if args.board is not None:
            raise FormatError("emulate dca: got --board without --config, wanted the radar's configuration too")
        period = (args.period_ms or 40.0) * 1e-3
        if args.file is not None:
            if args.frame_bytes is None:
                raise FormatError("emulate dca: got --file alone, wanted --config or --frame-bytes with it")
            return FileSource(args.file, args.frame_bytes, period=period)
        return CountingSource(args.frame_bytes or 65536, n_frames=args.frames or 100, period=period)
    from mmsar.hardware.config.radar import read_cfg

    config = read_cfg(args.config, device=args.device)
    config = config.with_frames(args.frames or config.n_frames or 100)
    period = args.period_ms * 1e-3 if args.period_ms else config.frame_period
    active = min(config.frame_active, period)
    if args.file is not None:
        return FileSource(args.file, config.frame_bytes, period=period, active=active)
    if args.board is None:
        return CountingSource(config.frame_bytes, n_frames=config.n_frames, period=period, active=active, ahead=0.01)
    from mmsar.hardware.board import board
    from mmsar.hardware.emulate.scene_source import SceneSource

    return SceneSource(config, config.array(board(args.board)), _scene(args), noise=args.noise, ahead=0.01)


def _run_pty(args: argparse.Namespace) -> None:
    if args.instrument == "radar":
        from mmsar.hardware.emulate.radar import RadarPty

        with RadarPty(args.device, prompt=args.prompt, banner=True) as radar:
            radar.on_start = lambda config: print(f"started: {config.n_frames or 'endless'} frames", flush=True)
            radar.on_problem = _problem
            radar.on_stop = lambda: print("stopped", flush=True)
            print(f"radar {args.device} at {radar.port}")
            _until_interrupted(f"mmsar hw doctor --port {radar.port}")
        return
    from importlib import import_module

    name = {"grbl": "GrblPty", "amc4030": "Amc4030Pty", "esp32": "Esp32Pty"}[args.instrument]
    with getattr(import_module(f"mmsar.hardware.emulate.{args.instrument}"), name)() as instrument:
        print(f"{args.instrument} at {instrument.port}")
        _until_interrupted()


def _scene(args: argparse.Namespace) -> "Scene":
    from mmsar.hardware.emulate.session_bench import POINTS
    from mmsar.simulate.scene import Scene

    if args.scene is None:
        return Scene.points(POINTS)
    from mmsar.simulate.setup import load_setup

    return load_setup(args.scene).scene


def _problem(text: str) -> None:
    print(f"radar started, but sends no samples: {text}", flush=True)


def _until_interrupted(command: str = "") -> None:
    """Say what to type in another terminal, and wait for Ctrl-C or SIGTERM, which may come as soon as that is said."""
    try:
        if command:
            print(f"in another terminal: {command}")
        print("Ctrl-C ends it", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print(file=sys.stderr)


def _summary(card: "DcaEmulator") -> None:
    """What was really sent, one line for every recording."""
    for number, log in enumerate(card.logs, 1):
        parts = [
            f"recording {number}: {log.packed:,} packets, {log.sent:,} sent",
            f"{log.dropped:,} dropped, {log.duplicated:,} duplicated, {log.late:,} late",
        ]
        if log.truncated or log.restarts:
            parts.append(f"{log.truncated:,} cut short, {log.restarts} restarts")
        if log.max_lag > 0.05:
            parts.append(f"up to {log.max_lag * 1e3:.0f} ms late: this machine is too slow or too busy for the frames")
        print("; ".join([*parts, *log.notes]))
