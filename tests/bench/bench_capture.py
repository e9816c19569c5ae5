"""Recording at the card's full rate, and at half of it with a small buffer, against a loop that only receives.

The sender is a process of its own on this machine, so that two cores carry card, receiver and disk together. Seconds of
every run: MMSAR_BENCH_SECONDS (10; the bar is 60). Nothing is asserted about times or losses, only that every packet
is accounted for.
"""

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

CFG = """\
channelCfg 15 1 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
profileCfg 0 77 7 6 63 0 0 63.343 1 256 9121 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 0 128 0 {period} 1 0
lvdsStreamCfg -1 0 1 0
"""
SECONDS = float(os.environ.get("MMSAR_BENCH_SECONDS", "10"))
HOST, CARD = "127.0.77.1", "127.0.77.2"


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of some seconds to minutes; run make bench")


def sender(total: int, rate: float) -> subprocess.Popen:
    """The paced sender, started."""
    options = {"to": [HOST, 4098], "source": CARD, "total": total, "rate": rate}
    command = [sys.executable, str(Path(__file__).with_name("paced_sender.py")), json.dumps(options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def cpu(pid: int) -> float:
    """Processor time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare_loop(total: int, rate: float, buffer: int) -> tuple[int, float]:
    """(packets received, CPU seconds) of a loop that only calls recv_into, in a process of its own."""
    code = f"""if True:
        import socket, struct, time
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try: s.setsockopt(socket.SOL_SOCKET, 33, {buffer})
        except PermissionError: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, {buffer})
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 1, 0))
        s.bind(({HOST!r}, 4098))
        print("ready", flush=True)
        room, count, take = bytearray(2048), 0, s.recv_into
        try:
            while True:
                try:
                    take(room)
                except BlockingIOError:
                    if count: break
                    continue
                count += 1
        finally:
            print(count, time.process_time())
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        with sender(total, rate) as sending:
            sending.communicate()
        count, seconds = process.communicate()[0].split()
    return int(count), float(seconds)


@pytest.mark.parametrize(("rate", "mib"), [(60_000, 64), (28_000, 4)])
def test_recording_at_full_rate(benchmark, report, tmp_path, rate, mib):
    from mmsar.hardware.config.radar import parse_cfg
    from mmsar.hardware.dca1000.recorder import Recorder

    config = parse_cfg(CFG.format(period=1000 * 524_288 / 1456 / rate), device="xWR1843")
    n_frames = int(rate * 1456 * SECONDS) // config.frame_bytes
    total = n_frames * config.frame_bytes
    baseline, baseline_cpu = bare_loop(total, rate, mib << 20)
    folder = tmp_path / "r"
    with Recorder(folder, config, host_ip=HOST, card_ip=CARD, n_frames=n_frames, buffer=mib << 20) as recorder:
        recorder.arm()
        pids = {"receiver": recorder._receiver.pid, "writer": recorder._writer.pid}
        with sender(total, rate) as process:
            ended = recorder.wait(start_timeout=10, silence=2.0)
            spent = {name: cpu(pid) for name, pid in pids.items()}
            sent = json.loads(process.communicate()[0])
        found = recorder.finish(ended)
    benchmark.pedantic(lambda: None, rounds=1)
    expected = sent["sent"]
    assert found.packets_expected == expected == found.packets_received + found.kernel_dropped + found.upstream_lost
    granted = recorder.buffer.granted
    achieved = expected / sent["seconds"]
    rows = [
        (
            "packets",
            f"{expected:,} of 1466 bytes in {sent['seconds']:.1f} s, sender at most {sent['lag'] * 1e3:.0f} ms late",
        ),
        ("rate", f"{achieved:,.0f} packets/s, {achieved * 1456 * 8e-6:.0f} Mb/s recorded to disk with checksums"),
        (
            "socket buffer",
            f"{mib} MiB asked for, {granted / 2**20:.1f} MiB granted: {granted // 2304 / rate:.2f} s of packets",
        ),
        ("lost", f"{found.kernel_dropped:,} dropped by the kernel, {found.upstream_lost:,} before it (goal 0 and 0)"),
        ("ring full", "; ".join([f"{found.ring_full} times", *found.messages])),
        *(
            (f"{name} CPU", f"{seconds / expected * 1e6:.2f} us a packet, {seconds / sent['seconds']:.0%} of a core")
            for name, seconds in spent.items()
        ),
        (
            "bare recv_into loop, nothing kept",
            f"{expected - baseline:,} lost, {baseline_cpu / max(baseline, 1) * 1e6:.2f} us a packet",
        ),
    ]
    report(f"recording {rate:,} packets/s", rows)


def test_accounts_and_placing(benchmark, report):
    """What a packet costs to read back from the journal: parse, account, place."""
    from mmsar.hardware.dca1000.assemble import FrameBuffer
    from mmsar.hardware.dca1000.ledger import Ledger
    from mmsar.hardware.dca1000.records import pack, parse

    n, frame = 20_000, 131_072
    head = struct.Struct("<IIH")
    span = b"".join(pack(head.pack(k + 1, 1456 * k, 0) + bytes(1456), k) for k in range(n))
    rows = []
    for name, order in (("in order", slice(None)), ("every packet out of order", slice(None, None, -1))):
        records = parse(span)
        records = parse(b"".join(pack(head.pack(k + 1, 1456 * k, 0) + bytes(1456)) for k in range(n)[order]))
        times = []
        for step in (
            lambda: parse(span),
            lambda r=records: Ledger(frame, 1456 * n // frame).add_records(r),
            lambda r=records: FrameBuffer(frame, first=0, count=1456 * n // frame).place_records(r),
        ):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) / n * 1e6)
        rows.append((name, "{:.2f} us a packet to parse, {:.2f} to account for, {:.2f} to place".format(*times)))
    benchmark.pedantic(lambda: None, rounds=1)
    report("reading a journal", rows)
