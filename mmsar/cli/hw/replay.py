"""Send a recording again as the card would: a folder of `mmsar hw record`, or a packet capture (.pcap, .pcapng).

It answers as a capture card does and begins when a recording is started (or at once, with --now), sends every datagram
as it once arrived, and ends. Addresses are this machine's own: nothing leaves it by default.

Example:
  mmsar hw replay recording/ --speed 2
  mmsar hw replay dca.pcap --host-ip 127.0.0.1 --card-ip 127.0.0.2 --now
"""

import argparse

from mmsar.cli.arguments import check_addresses, loopback, positive

HELP = "send a recording again as the card would"
SETTLE = 0.2
"""From the start of a recording to the first datagram [s]."""
STOP_WITHIN = 5.0
"""How long to stay after the last datagram for the host to stop the recording [s]."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("source", metavar="FOLDER|FILE.pcap", help="recording or packet capture")
    parser.add_argument("--host-ip", type=loopback, default="127.0.0.1", help="address to send to (%(default)s)")
    parser.add_argument("--card-ip", type=loopback, default="127.0.0.2", help="address to be the card at (%(default)s)")
    parser.add_argument("--speed", type=positive, default=1.0, metavar="X", help="times faster than recorded (1)")
    parser.add_argument("--port", type=int, default=4098, help="data port in a packet capture (%(default)s)")
    parser.add_argument(
        "--now", action="store_true", help="send at once, without waiting for a recording to be started"
    )


def run(args: argparse.Namespace) -> int:
    """Wait for a recording to be started, send, say what was sent."""
    import threading
    import time

    from mmsar.hardware.dca1000.protocol import AsyncStatus
    from mmsar.hardware.dca1000.replay import Recorded, replay
    from mmsar.hardware.emulate.dca import DcaEmulator

    check_addresses(args)
    recorded = Recorded(args.source, port=args.port)
    started = threading.Event()
    with DcaEmulator(args.card_ip, args.host_ip) as card:
        card.on_start_record = started.set
        if not args.now:
            print(f"card at {args.card_ip} for {args.host_ip}: waiting for a recording to be started", flush=True)
            started.wait()
            time.sleep(SETTLE)
        done = replay(recorded, card.send_data, speed=args.speed)
        card.send_status(AsyncStatus.RECORD_COMPLETED)
        until = time.monotonic() + STOP_WITHIN
        while card.recording and time.monotonic() < until:  # the host says STOP_RECORD to a card that is still there
            time.sleep(0.05)
    rate = done.size * 8e-6 / done.seconds if done.seconds else 0.0
    print(f"{done.datagrams:,} datagrams, {done.size:,} bytes in {done.seconds:.2f} s ({rate:.0f} Mbit/s)")
    if done.max_lag > 0.05:
        print(f"up to {done.max_lag * 1e3:.0f} ms late: the speed is more than this machine manages")
    for note in recorded.notes:
        print(f"note: {note}")
    return 0
