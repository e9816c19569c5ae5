"""Benchmarks at reduced length, in the ordinary suite: every packet and sample of the capture ones counts; no time is.

Whether packets are lost depends on what else the machine does; that each of them is accounted for does not. None may
be lost where the socket's buffer holds the whole run: then no stall of the receiver can cost one.
"""

from pathlib import Path

import numpy as np
import pytest
from bench_decode import CHIRPS, MIB, RX, SAMPLES, plain
from full_rate import PAYLOAD, Plan, record

from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.receiver import PACKET_COST
from mmsar.hardware.dca1000.recover import survey
from mmsar.io.importers.iq_layout import LAYOUTS, decode

UDP_MEM = Path("/proc/sys/net/ipv4/udp_mem")


def holds(buffer: int, packets: int) -> bool:
    """Whether a socket's buffer, and the memory that the system gives to all of them, take so many packets."""
    needed = packets * PACKET_COST
    return buffer >= needed and UDP_MEM.exists() and int(UDP_MEM.read_text().split()[0]) * 4096 > 2 * needed


@pytest.mark.parametrize("mib", [64, 192])
def test_60000_packets_a_second_are_all_accounted_for(tmp_path, capsys, mib):
    """With the usual buffer, a second of packets, and with one for the whole run, where the system grants it."""
    plan = Plan(rate=60_000, seconds=2.0)
    run = record(tmp_path / "r", plan, buffer=mib << 20)
    report = run.report
    with capsys.disabled():
        print(f"\nrecording {plan.rate:,} packets/s for {plan.seconds:g} s")
        for label, text in run.facts():
            print(f"  {label}: {text}")
    if holds(run.buffer.granted, run.sent["sent"]):
        assert report.kernel_dropped == report.upstream_lost == 0 and report.lossless
    again = survey(tmp_path / "r").report
    for name in ("packets_received", "bytes_received", "frames_complete", "upstream_lost", "zero_filled_bytes"):
        assert getattr(again, name) == getattr(report, name), name
    assert again.damaged_blocks == again.tail_bytes == 0
    capture = Capture.open(tmp_path / "r")
    body = np.arange(PAYLOAD, dtype=np.uint64).astype(np.uint8)
    size, came = capture.config.frame_bytes, 0
    for frames in capture.pieces():
        raw = capture.raw(frames)
        data, seen = raw.data.reshape(-1).view(np.uint8), raw.seen.reshape(-1)
        truth = np.resize(np.roll(body, -(frames.start * size % PAYLOAD)), data.shape)
        assert (data[seen] == truth[seen]).all() and not data[~seen].any()
        came += int(np.count_nonzero(seen))
    assert came == report.bytes_received == capture.n_frames * size - report.zero_filled_bytes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_decoder_is_right_at_the_benchmarks_size(layout):
    """Large enough for every thread and block of the kernels, against plain numpy; 12 bits against a sign extension."""
    shape = {"chirps": CHIRPS, "samples": SAMPLES, "rx": RX}
    raw = np.random.default_rng(0).integers(-2048, 2048, MIB * 2**19, dtype=np.int16)
    out = decode(raw, layout, **shape)
    truth = np.empty_like(out)
    plain(raw, layout, truth)
    assert np.array_equal(out, truth)
    kept = out.copy()
    raw &= 0x0FFF
    assert decode(raw, layout, **shape, bits=12, out=out) is out
    assert np.array_equal(out, kept)


def test_the_row_of_ffbp_keeps_its_error():
    import benchscenes
    from bench_ffbp import against_bpa

    scan = benchscenes.freehand().subset(poses=slice(0, None, 100))
    rows = dict(against_bpa(scan, benchscenes.volume((8, 16, 16)), -40.0, rounds=1))
    assert rows["samples -> voxels"] == "1,032 x 64 -> 16 x 16 x 8"
    assert float(rows["ffbp"].split(" s, ")[1].split(" dB")[0]) < -40
    assert float(rows["bpa / ffbp (goal >= 10)"]) > 0 and rows["bpa, all voxels at that rate"].endswith(" s")


def test_the_row_of_isar_agrees_with_bpa():
    from bench_rotation import against_bpa

    rows = dict(against_bpa((48, 4), 12, rounds=1))
    assert rows["samples -> voxels"] == "48 angles x 4 heights x 64 frequencies -> 12 x 12 x 12 at 0.5 mm"
    assert float(rows["isar"].split(" s, ")[1].split(" dB")[0]) < -30
    assert all(float(rows[name].split(" s, ")[0]) > 0 for name in ("isar", "bpa"))
    assert {"isar", "bpa", "bpa / isar"} <= rows.keys() and rows["bpa"].endswith(" G voxel-pairs/s")
