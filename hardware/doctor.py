"""Is this bench ready for a capture? One check after another, each with a verdict and what to do.

`ok`: as it should be. `warn`: a capture works, within the limits the text names. `fail`: a capture would not work.
Nothing is changed: the card is asked for its version, the radar for its own, and with a folder a file is written there
and deleted again.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmsar.errors import CaptureError
from mmsar.hardware import serial_ports
from mmsar.hardware.dca1000 import diagnose, protocol
from mmsar.hardware.dca1000.card import SO_TIMESTAMPNS, Card
from mmsar.hardware.dca1000.receiver import BUFFER, open_data_socket
from mmsar.hardware.radar_cli import RadarCli

RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
FULL_RATE = 1 / protocol.packet_interval(protocol.DELAY_RANGE[0])
"""Most packets per second the card sends."""
JOURNAL_RECORD = 2 + 8 + protocol.HEADER + protocol.PAYLOAD
"""What a recording stores of a packet [bytes]."""
BRIDGED = 0.05
"""Pause of the receiver at full rate that the socket buffer should at least bridge [s]."""
WRITTEN = 128 << 20
"""Size of the file that measures the disk [bytes]."""
CARD_TIMEOUT = 0.5

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the report."""

    name: str
    verdict: Verdict
    text: str
    """What was found."""
    advice: str = ""
    """What to do about it; empty when nothing needs doing."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What to look for: addresses and ports of the card, the radar's serial port, the folder of recordings."""

    host_ip: str = protocol.HOST_IP
    card_ip: str = protocol.CARD_IP
    config_port: int = protocol.CONFIG_PORT
    data_port: int = protocol.DATA_PORT
    port: str | None = None
    """None: the one that USB says is a radar's command line."""
    radar: bool = True
    """False: something else controls the radar."""
    folder: str | None = None
    """None: the disk is not measured."""

    def __post_init__(self) -> None:
        diagnose.check_address("host address", self.host_ip)
        diagnose.check_address("card address", self.card_ip)


def examine(bench: Bench) -> Iterator[Check]:
    """All checks, in the order a capture meets them; one that fails unexpectedly is itself a line."""
    for name, check in CHECKS.items():
        try:
            yield from check(bench)
        except CaptureError as error:
            yield Check(name=name, verdict="fail", text=str(error))
        except OSError as error:
            yield Check(name=name, verdict="warn", text=f"could not be examined: {error}")


def _address(bench: Bench) -> Iterator[Check]:
    if not diagnose.has_address(bench.host_ip):
        text = f"this machine has no {bench.host_ip}"
        yield Check(name="host address", verdict="fail", text=text, advice=diagnose.address_advice(bench.host_ip))
        return
    interface = diagnose.interface_of(bench.host_ip)
    yield Check(name="host address", verdict="ok", text=f"{bench.host_ip} on {interface or 'lo'}")
    fault = diagnose.link_fault(interface) if interface else None
    if fault:
        yield Check(name="link", verdict="warn" if "Mb/s" in fault else "fail", text=fault)
    leaving = diagnose.outgoing_address(bench.card_ip)
    if leaving != bench.host_ip and not (leaving or "").startswith("127."):
        text = f"datagrams to {bench.card_ip} " + (f"leave from {leaving}" if leaving else "have no route")
        advice = f"give {bench.host_ip} the card's network: sudo ip address add {bench.host_ip}/24 dev {interface}"
        yield Check(name="route", verdict="fail", text=text, advice=advice)


def _buffer(_: Bench) -> Iterator[Check]:
    sock, buffer = open_data_socket("127.0.0.1", 0)
    with sock:
        kinds = _message_kinds(sock)
    bridged = buffer.seconds(FULL_RATE)
    text = (
        f"{buffer.granted / 2**20:.1f} MiB granted, {buffer.packets} packets: {bridged * 1e3:.0f} ms at the card's "
        f"full rate"
    )
    enough = buffer.granted >= 2 * BUFFER
    advice = (
        f"sudo sysctl -w net.core.rmem_max={BUFFER} (now {RMEM_MAX.read_text().strip()}); to keep it: put "
        f"net.core.rmem_max={BUFFER} into /etc/sysctl.d/60-mmsar.conf"
    )
    if bridged < BRIDGED:
        advice += "; until then packets get lost unless the radar sends little"
    yield Check(name="socket buffer", verdict="ok" if enough else "warn", text=text, advice="" if enough else advice)
    if SO_TIMESTAMPNS in kinds:
        yield Check(name="kernel", verdict="ok", text="stamps datagrams and counts those it drops")
    else:
        yield Check(name="kernel", verdict="fail", text="gives no arrival times", advice="record on Linux 4 or newer")


def _message_kinds(sock: socket.socket) -> set[int]:
    """Kinds of control messages that come with a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", sock.getsockname())
    return {kind for _, kind, _ in sock.recvmsg(16, 128)[1]}


def _ports(bench: Bench) -> Iterator[Check]:
    if not diagnose.has_address(bench.host_ip):
        return
    for name, port in (("config port", bench.config_port), ("data port", bench.data_port)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((bench.host_ip, port))
            except OSError as error:
                yield Check(name=name, verdict="fail", text=str(diagnose.bind_failed(error, bench.host_ip, port)))
                continue
        yield Check(name=name, verdict="ok", text=f"{port} is free")


def _card(bench: Bench) -> Iterator[Check]:
    if not diagnose.has_address(bench.host_ip):
        yield Check(name="card", verdict="fail", text=f"not asked: the card answers only to {bench.host_ip}")
        return
    with Card(bench.host_ip, bench.card_ip, config_port=bench.config_port, timeout=CARD_TIMEOUT) as card:
        card.aliveness()
        version = card.version()
    text = f"{bench.card_ip} answers, firmware {version}"
    if version.playback:
        advice = "load the recording image: this one is for playback"
        yield Check(name="card", verdict="warn", text=text, advice=advice)
    else:
        yield Check(name="card", verdict="ok", text=text)


def _radar(bench: Bench) -> Iterator[Check]:
    if not bench.radar:
        return
    path = bench.port
    if path is None:
        port = serial_ports.cli_port()
        path = port.path
        yield Check(name="radar port", verdict="ok", text=str(port))
    if os.path.exists(path) and not serial_ports.may_open(path):
        text = f"{path}: this user may not open it"
        yield Check(name="radar port", verdict="fail", text=text, advice=serial_ports.permission_advice(path))
        return
    with RadarCli(path) as radar:
        facts = [" ".join(line.split()) for line in radar.probe().splitlines()]
    yield Check(name="radar", verdict="ok", text=f"{path} answers: {', '.join(facts[:4])}")


def _disk(bench: Bench) -> Iterator[Check]:
    if bench.folder is None:
        return
    if not Path(bench.folder).is_dir():
        yield Check(name="disk", verdict="fail", text=f"{bench.folder}: no such folder", advice="create it")
        return
    free = shutil.disk_usage(bench.folder).free
    if free < 2 * WRITTEN:
        text = f"{bench.folder}: {free / 2**20:.0f} MiB free"
        yield Check(name="disk", verdict="fail", text=text, advice="make room, or record into another folder")
        return
    rate, needed = write_rate(bench.folder), FULL_RATE * JOURNAL_RECORD
    text = (
        f"{bench.folder}: {rate / 1e6:.0f} MB/s, {free / 2**30:.1f} GiB free, which is {free / needed / 60:.0f} min at "
        f"the card's full rate of {needed / 1e6:.0f} MB/s"
    )
    if rate > needed:
        yield Check(name="disk", verdict="ok", text=text)
    else:
        advice = f"record to a faster disk, or keep the radar under {0.8 * rate * 8 / 1e6:.0f} Mb/s"
        yield Check(name="disk", verdict="warn", text=text, advice=advice)


def write_rate(folder: str | Path, *, size: int = WRITTEN) -> float:
    """Rate [bytes/s] of writing a file of `size` [bytes] to a folder until it is on the disk; the file is deleted."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.monotonic()
        for _ in range(max(1, size >> 20)):
            file.write(block)
        file.flush()
        os.fdatasync(file.fileno())
        return max(1, size >> 20) * len(block) / (time.monotonic() - start)


CHECKS: dict[str, Callable[[Bench], Iterator[Check]]] = {
    "host address": _address,
    "socket buffer": _buffer,
    "ports": _ports,
    "card": _card,
    "radar": _radar,
    "disk": _disk,
}
