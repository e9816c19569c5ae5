"""Faults: what a receiving socket sees is what the log says, exactly, and the seed alone decides."""

import socket
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.emulate.dca import DcaEmulator
from mmsar.hardware.emulate.faults import FaultLane, FaultPlan, StreamLog
from mmsar.hardware.emulate.source import CountingSource, counting_bytes

START = bytes.fromhex("5aa505000000aaee")
FULL = FaultPlan(drop=0.01, burst=0.001, reorder=0.01, duplicate=0.005, seed=7)


def run_lane(plan, n, cuts):
    """Places in the order they leave the lane, and the log; the stream is cut into batches at `cuts`."""
    log = StreamLog()
    lane = FaultLane(plan, log)
    edges = [0, *sorted(cuts), n]
    out = []
    for first, end in pairwise(edges):
        parts = [struct.pack("<I", place) for place in range(first, end)]
        places, datagrams, due = lane.through(first, parts, np.arange(first, end) * 1e-3)
        assert np.all(np.diff(due) >= 0)
        assert [struct.unpack("<I", d)[0] for d in datagrams] == places.tolist()
        log.packed = end
        log.count(places)
        out += places.tolist()
    places, _, _ = lane.idle(np.inf)
    log.count(places)
    return out + places.tolist(), log


@given(
    st.builds(
        FaultPlan,
        drop=st.floats(0, 0.3),
        burst=st.floats(0, 0.05),
        reorder=st.floats(0, 0.5),
        depth=st.integers(1, 40),
        duplicate=st.floats(0, 0.5),
        seed=st.integers(0, 9),
    ),
    st.lists(st.integers(0, 500), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_order_does_not_depend_on_batches_and_counts_are_true(plan, cuts):
    out, log = run_lane(plan, 500, cuts)
    assert out == run_lane(plan, 500, [])[0]
    assert log.sent == len(out)
    assert log.distinct == len(set(out))
    assert log.dropped == 500 - len(set(out))
    assert set(log.missing().tolist()) == set(range(500)) - set(out)
    assert log.sent_order().tolist() == out
    first = {place: i for i, place in reversed(list(enumerate(out)))}
    late = sum(any(p > place for p in out[:i]) for place, i in first.items())
    assert log.late == late
    for i, place in enumerate(out):
        if first[place] == i:  # overtaken by at most `depth` packets
            assert sum(p > place for p in set(out[:i])) <= plan.depth


def test_rates_are_as_asked():
    _, log = run_lane(FaultPlan(drop=0.01, reorder=0.01, duplicate=0.005, seed=1), 100_000, range(0, 100_000, 512))
    assert 900 < log.dropped < 1100
    assert 900 < log.late < 1100
    assert 430 < log.duplicated < 570


def test_bursts_take_packets_in_a_row():
    out, log = run_lane(FaultPlan(burst=0.002, burst_length=30, seed=3), 20_000, [])
    gaps = np.diff(np.array(out)) - 1
    assert log.dropped == gaps[gaps > 0].sum()
    assert gaps[gaps > 0].min() >= 30


def test_held_up_packets_come_later_and_hold_up_nobody():
    log = StreamLog()
    lane = FaultLane(FaultPlan(delay=0.02, delay_s=0.0105, seed=2), log)
    places, _, due = lane.through(0, [b"x"] * 1000, np.arange(1000) * 1e-3)
    order = np.concatenate([places, lane.idle(np.inf)[0]])
    assert sorted(order) == list(range(1000))
    assert log.delayed == 1000 - np.sum(due == places * 1e-3) - (1000 - len(places))
    moved = [p for i, p in enumerate(order) if i and p < order[:i].max()]
    assert len(moved) >= 10
    overtaken = [np.sum(order[: np.flatnonzero(order == p)[0]] > p) for p in moved if p < 980]
    assert set(overtaken) <= {8, 9, 10}  # others held up do not overtake


def test_wire_agrees_with_the_log(addresses):
    host_ip, card_ip = addresses
    frame = 5000
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as config,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as data,
        DcaEmulator(
            card_ip, host_ip, source=CountingSource(frame, n_frames=800), faults=FULL, flush=0.1, pace=1e-4
        ) as card,
    ):
        config.bind((host_ip, 4096))
        config.settimeout(10)
        data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        data.bind((host_ip, 4098))
        data.settimeout(1.0)
        config.sendto(START, (card_ip, 4096))
        config.recv(100)
        card.start_stream()
        got = []
        try:
            while True:
                got.append(data.recv(2000))
        except TimeoutError:
            pass
        log = card.log
    heads = [struct.unpack_from("<IIH", d) for d in got]
    sequence = [h[0] for h in heads]
    assert log.packed == -(-800 * frame // 1456)
    assert (log.sent, log.distinct) == (len(got), len(set(sequence)))
    assert log.duplicated == len(got) - len(set(sequence))
    assert log.dropped == log.packed - log.distinct > 0
    assert (log.sent_order() + 1).tolist() == sequence
    stream = counting_bytes(0, 800 * frame)
    assert all(
        d[10:] == stream[(h[0] - 1) * 1456 : h[0] * 1456] and h[1] == (h[0] - 1) * 1456
        for d, h in zip(got, heads, strict=True)
    )
    good = np.zeros(len(stream), dtype=bool)
    for h, d in zip(heads, got, strict=True):
        good[h[1] : h[1] + len(d) - 10] = True
    damaged = set(np.flatnonzero(~good.reshape(800, frame).all(axis=1)).tolist())
    assert log.damaged_frames(frame) == damaged != set()


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        (FaultPlan(restart_after=10), [*range(1, 11), *range(1, 11)]),
        (FaultPlan(silent_after=7), list(range(1, 8))),
    ],
)
def test_restart_and_silence(addresses, plan, wanted):
    host_ip, card_ip = addresses
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as config,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as data,
        DcaEmulator(card_ip, host_ip, source=CountingSource(1456, n_frames=20), faults=plan, flush=0.1) as card,
    ):
        config.bind((host_ip, 4096))
        data.bind((host_ip, 4098))
        config.settimeout(5)
        data.settimeout(0.5)
        config.sendto(START, (card_ip, 4096))
        config.recv(100)
        card.start_stream()
        got = []
        try:
            while True:
                got.append(struct.unpack_from("<IIH", data.recv(2000)))
        except TimeoutError:
            pass
        assert [h[0] for h in got] == wanted
        assert [h[1] for h in got] == [(n - 1) * 1456 for n in wanted]
        assert card.cut_off == (plan.silent_after is not None)
        if card.cut_off:
            config.settimeout(0.2)
            with pytest.raises(TimeoutError):  # not even "record completed"
                config.recv(100)


def test_truncated_packets_are_cut():
    log = StreamLog()
    lane = FaultLane(FaultPlan(truncate=0.5, seed=1), log)
    _, datagrams, _ = lane.through(0, [b"x" * 1466] * 1000, np.zeros(1000))
    short = [len(d) for d in datagrams if len(d) < 1466]
    assert len(short) == log.truncated
    assert 400 < len(short) < 600


def test_plan_from_text():
    assert FaultPlan.parse("drop=0.01, reorder=0.01,depth=32,seed=1") == FaultPlan(drop=0.01, reorder=0.01, seed=1)
    assert FaultPlan.parse("silent_after=5").silent_after == 5
    assert FaultPlan.parse("") == FaultPlan()
    for text, message in (
        ("dorp=1", "got 'dorp', wanted one of drop"),
        ("drop=2", "wanted a chance from 0 to 1"),
        ("drop=x", "faults drop: got 'x', wanted a number"),
        ("depth=1.5", "wanted a whole number"),
        ("depth=0", "wanted a whole number >= 1"),
        ("delay_s=0", "wanted more than 0"),
    ):
        with pytest.raises(GeometryError, match=message):
            FaultPlan.parse(text)
