"""A recording at a steady rate: the card is the paced sender, a process of its own on this machine."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mmsar.hardware.config.radar import RadarConfig, parse_cfg
from mmsar.hardware.dca1000.receiver import Buffer
from mmsar.hardware.dca1000.recorder import Recorder
from mmsar.hardware.dca1000.report import Report

CFG = """\
channelCfg 15 1 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
profileCfg 0 77 7 6 63 0 0 63.343 1 256 9121 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 0 128 0 {period} 1 0
lvdsStreamCfg -1 0 1 0
"""
PAYLOAD = 1456
NET = f"127.77.{os.getpid() % 250 + 1}"
HOST, CARD = f"{NET}.1", f"{NET}.2"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`seconds` of packets at `rate` a second, in whole frames."""

    rate: float
    seconds: float

    @property
    def config(self) -> RadarConfig:
        return parse_cfg(CFG.format(period=1000 * 524_288 / PAYLOAD / self.rate), device="xWR1843")

    @property
    def n_frames(self) -> int:
        return int(self.rate * PAYLOAD * self.seconds) // self.config.frame_bytes

    @property
    def total(self) -> int:
        """Bytes of the stream."""
        return self.n_frames * self.config.frame_bytes

    def sender(self) -> subprocess.Popen:
        """The paced sender, started."""
        options = {"to": [HOST, 4098], "source": CARD, "total": self.total, "rate": self.rate}
        command = [sys.executable, str(Path(__file__).with_name("paced_sender.py")), json.dumps(options)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a run gave."""

    report: Report
    buffer: Buffer
    sent: dict[str, float]
    """What the sender says: packets `sent`, `seconds`, largest `lag` [s]."""
    cpu: dict[str, float]
    """Processor time of receiver and writer [s]."""

    def facts(self) -> list[tuple[str, str]]:
        """What to print, one line a fact."""
        sent, report, buffer = self.sent, self.report, self.buffer
        achieved = sent["sent"] / sent["seconds"]
        return [
            (
                "packets",
                f"{sent['sent']:,} of 1466 bytes in {sent['seconds']:.1f} s, sender at most {sent['lag'] * 1e3:.0f} ms "
                "late",
            ),
            ("rate", f"{achieved:,.0f} packets/s, {achieved * 1456 * 8e-6:.0f} Mb/s recorded to disk with checksums"),
            (
                "socket buffer",
                f"{buffer.requested >> 20} MiB asked for, {buffer.granted / 2**20:.1f} MiB granted: "
                f"{buffer.seconds(achieved):.2f} s of packets",
            ),
            (
                "lost",
                f"{report.kernel_dropped:,} dropped by the kernel, {report.upstream_lost:,} before it (goal 0 and 0)",
            ),
            ("ring full", "; ".join([f"{report.ring_full} times", *report.messages])),
            *(
                (
                    f"{name} CPU",
                    f"{seconds / sent['sent'] * 1e6:.2f} us a packet, {seconds / sent['seconds']:.0%} of a core",
                )
                for name, seconds in self.cpu.items()
            ),
        ]


def record(folder: Path, plan: Plan, *, buffer: int) -> Recorded:
    """Record what the sender sends, with a socket buffer of `buffer` bytes asked for; every packet accounted for."""
    with Recorder(folder, plan.config, host_ip=HOST, card_ip=CARD, n_frames=plan.n_frames, buffer=buffer) as recorder:
        recorder.arm()
        pids = {"receiver": recorder._receiver.pid, "writer": recorder._writer.pid}
        with plan.sender() as process:
            ended = recorder.wait(start_timeout=30, silence=8.0)
            cpu = {name: processor_time(pid) for name, pid in pids.items()}
            sent = json.loads(process.communicate()[0])
        report = recorder.finish(ended)
    assert report.packets_expected == sent["sent"]
    assert sent["sent"] == report.packets_received + report.kernel_dropped + report.upstream_lost
    assert report.kernel_surplus == report.duplicates == report.foreign == report.surplus == 0
    return Recorded(report=report, buffer=recorder.buffer, sent=sent, cpu=cpu)


def processor_time(pid: int) -> float:
    """Processor time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
