"""Recording at the card's full rate, and at half of it with a small buffer, against a loop that only receives.

The sender is a process of its own on this machine, so that two cores carry card, receiver and disk together. Seconds of
every run: MMSAR_BENCH_SECONDS (10; the bar is 60). Nothing is asserted about times or losses, only that every packet
is accounted for.
"""

import os
import struct
import subprocess
import sys
import time

import pytest
from full_rate import HOST, Plan, record

SECONDS = float(os.environ.get("MMSAR_BENCH_SECONDS", "10"))


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of some seconds to minutes; run make bench")


def bare_loop(plan: Plan, buffer: int) -> tuple[int, float]:
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
        with plan.sender() as sending:
            sending.communicate()
        count, seconds = process.communicate()[0].split()
    return int(count), float(seconds)


@pytest.mark.parametrize(("rate", "mib"), [(60_000, 64), (28_000, 4)])
def test_recording_at_full_rate(benchmark, report, tmp_path, rate, mib):
    plan = Plan(rate=rate, seconds=SECONDS)
    baseline, baseline_cpu = bare_loop(plan, mib << 20)
    run = record(tmp_path / "r", plan, buffer=mib << 20)
    benchmark.pedantic(lambda: None, rounds=1)
    lost = run.sent["sent"] - baseline
    bare = f"{lost:,} lost, {baseline_cpu / max(baseline, 1) * 1e6:.2f} us a packet"
    report(f"recording {rate:,} packets/s", [*run.facts(), ("bare recv_into loop, nothing kept", bare)])


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
