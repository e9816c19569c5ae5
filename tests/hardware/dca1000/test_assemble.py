"""The accounts of a packet stream: exact for any loss, order and copies; sizes, wraps, restarts, garbage."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.hardware.dca1000 import records as rec
from mmsar.hardware.dca1000.assemble import FrameAssembler, FrameBuffer
from mmsar.hardware.dca1000.ledger import WINDOW, Gaps, Ledger, Verdict
from mmsar.hardware.dca1000.protocol import Packet, encode_packet

SPAN = 1 << 32


def stream(total: int, size: int = 1456, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, total, dtype=np.uint8).tobytes()


def cut(data: bytes, sizes: list[int]) -> list[Packet]:
    """Packets of the given payload sizes, repeated as needed."""
    packets, at = [], 0
    while at < len(data):
        size = sizes[len(packets) % len(sizes)]
        packets.append(Packet(sequence=len(packets) + 1, offset=at, payload=data[at : at + size]))
        at += size
    return packets


def expected_counts(packets: list[Packet], arrivals: list[int]) -> dict[str, int]:
    seen, highest, late, duplicates = set(), -1, 0, 0
    for k in arrivals:
        if k in seen:
            duplicates += 1
            continue
        seen.add(k)
        late += k < highest
        highest = max(highest, k)
    return {"received": len(seen), "late": late, "duplicates": duplicates}


@given(
    frame=st.integers(1, 5000),
    n_frames=st.integers(1, 12),
    sizes=st.lists(st.integers(1, 1462), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_counts_and_bytes_are_exact_for_any_arrival(frame, n_frames, sizes, seed):
    draw = random.Random(seed)
    data = stream(frame * n_frames, seed=seed)
    packets = cut(data, sizes if draw.random() < 0.5 else [1456])
    arrivals = [k for k in range(len(packets)) if draw.random() > 0.2]
    arrivals += [k for k in arrivals if draw.random() < 0.1]
    if draw.random() < 0.8:
        draw.shuffle(arrivals)
    assembler = FrameAssembler(frame, n_frames)
    for order, k in enumerate(arrivals):
        assembler.add(packets[k], 1000 + order)
    ledger = assembler.ledger
    for name, count in expected_counts(packets, arrivals).items():
        assert getattr(ledger, name) == count, name
    mask = np.zeros(len(data), dtype=bool)
    for k in arrivals:
        mask[packets[k].offset : packets[k].offset + len(packets[k].payload)] = True
    truth = np.frombuffer(data, dtype=np.uint8) * mask
    assert (assembler.seen.reshape(-1) == mask).all()
    assert (assembler.data.reshape(-1) == truth).all()
    per_frame = mask.reshape(n_frames, frame).sum(axis=1)
    assert (ledger.covered == per_frame).all()
    assert ledger.complete == (per_frame == frame).sum()
    assert ledger.bytes_received == mask.sum()
    first = {k: 1000 + order for order, k in reversed(list(enumerate(arrivals)))}
    for f in range(n_frames):
        holder = next(k for k, p in enumerate(packets) if p.offset <= f * frame < p.offset + len(p.payload))
        assert ledger.stamps[f] == first.get(holder, -1)
    if not arrivals or max(arrivals) == len(packets) - 1:
        assert ledger.packets_expected() == (len(packets) if arrivals else -(-len(data) // 1456))
    assert ledger.inconsistent == ledger.after_restart == ledger.surplus == 0


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 400), cuts=st.integers(1, 6))
def test_batches_count_as_single_packets_do(seed, n, cuts):
    draw = random.Random(seed)
    frame = draw.choice([700, 1456, 4096, 16384])
    data = stream(n * 1456 - draw.randrange(1456), seed=seed)
    n_frames = max(1, len(data) // frame - draw.randrange(3))  # the rest is surplus
    packets = cut(data, [1456])
    arrivals = [k for k in range(len(packets)) if draw.random() > 0.01]
    if draw.random() < 0.5:
        arrivals = sorted(arrivals, key=lambda k: k + (draw.random() < 0.02) * 32)
        arrivals = [k for k in arrivals for _ in range(1 + (draw.random() < 0.01))]
    wire = [encode_packet(packets[k].sequence, packets[k].offset, packets[k].payload) for k in arrivals]
    single, batch = Ledger(frame, n_frames), Ledger(frame, n_frames)
    verdicts = [
        single.add(packets[k].sequence, packets[k].offset, packets[k].payload, 5 * i) for i, k in enumerate(arrivals)
    ]
    marks = sorted(draw.randrange(len(arrivals) + 1) for _ in range(cuts))
    got = []
    for a, b in zip([0, *marks], [*marks, len(arrivals)], strict=True):
        span = b"".join(rec.pack(wire[i], 5 * i) for i in range(a, b))
        got += batch.add_records(rec.parse(span)).tolist()
    assert got == verdicts
    plain = {k: v for k, v in vars(single).items() if not isinstance(v, np.ndarray | Gaps)}
    assert plain == {k: v for k, v in vars(batch).items() if not isinstance(v, np.ndarray | Gaps)}
    assert (single.covered == batch.covered).all() and (single.stamps == batch.stamps).all()
    assert vars(single._gaps) == vars(batch._gaps)


@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 10), count=st.integers(1, 6))
def test_a_window_of_frames_holds_what_the_whole_does(seed, first, count):
    draw = random.Random(seed)
    frame = draw.choice([300, 1456, 5000])
    data = stream(frame * 17, seed=seed)
    packets = [p for p in cut(data, [draw.choice([1456, 400])]) if draw.random() > 0.1]
    draw.shuffle(packets) if draw.random() < 0.3 else None
    skip = [k for k in range(len(packets)) if draw.random() < 0.05]
    span = b"".join(rec.pack(encode_packet(p.sequence, p.offset, p.payload)) for p in packets)
    window = FrameBuffer(frame, first=first, count=count)
    window.place_records(rec.parse(span), skip)
    mask = np.zeros(len(data), dtype=bool)
    for k, p in enumerate(packets):
        mask[p.offset : p.offset + len(p.payload)] |= k not in skip
    part = slice(first * frame, (first + count) * frame)
    assert (window.seen.reshape(-1) == mask[part]).all()
    assert (window.data.reshape(-1) == (np.frombuffer(data, dtype=np.uint8) * mask)[part]).all()


def test_gaps_stay_bounded():
    gaps = Gaps()
    for k in range(0, 100_000, 2):
        gaps.add(k, k + 1)
        gaps.forget(k - 1000)
    assert len(gaps.starts) < 1010
    assert gaps.take(99_000) and not gaps.take(99_000) and not gaps.take(0)


def test_offsets_go_beyond_four_gigabytes_and_numbers_wrap():
    frame = 1456 * 1000  # frames of 1000 packets
    first = SPAN - 500
    offset = (first - 1) * 1456
    ledger = Ledger(frame, offset // frame + 3)
    ledger.number, ledger.reference = first - 1, (offset - 1456, offset)
    for k in range(1500):
        assert ledger.add((first + k) % SPAN, offset + k * 1456, bytes(1456), k) == Verdict.NEW
    assert ledger.received == 1500 and ledger.late == ledger.duplicates == 0
    assert ledger.number == first + 1499 > SPAN and ledger.reached > 1 << 42
    assert ledger.complete == 1 and ledger.covered[offset // frame + 1] == frame
    assert ledger.add((first + 1200) % SPAN, offset + 1200 * 1456, bytes(1456)) == Verdict.DUPLICATE


def test_a_restart_is_found_and_nothing_after_it_is_placed():
    data, other = stream(200 * 1456, seed=1), stream(200 * 1456, seed=2)
    assembler = FrameAssembler(1456 * 10, 20)
    for p in cut(data, [1456])[:100]:
        assembler.add(p, p.sequence)
    before = assembler.data.copy()
    verdicts = [assembler.add(p, 1000 + p.sequence) for p in cut(other, [1456])[:50]]
    assert set(verdicts) == {Verdict.AFTER_RESTART}
    assert assembler.ledger.restart_ns == 1001 and assembler.ledger.after_restart == 50
    assert (assembler.data == before).all() and assembler.ledger.complete == 10


def test_a_restart_long_after_needs_no_different_bytes():
    ledger = Ledger(1456 * 100, 10_000)
    span = b"".join(rec.pack(encode_packet(k + 1, k * 1456, bytes(1456))) for k in range(1, WINDOW + 3))
    ledger.add_records(rec.parse(span))  # the first packet is missing
    assert ledger.add(1, 0, bytes(1456), 7) == Verdict.AFTER_RESTART
    assert ledger.restart_ns == 7


def test_a_copy_of_the_first_packet_is_no_restart():
    packets = cut(stream(50 * 1456), [1456])
    assembler = FrameAssembler(1456 * 10, 5)
    for p in [*packets, packets[0], packets[1], packets[0]]:
        assembler.add(p)
    assert assembler.ledger.duplicates == 3 and assembler.ledger.restart_ns is None


def test_a_packet_cut_short_costs_its_own_bytes_only():
    packets = cut(stream(40 * 1456), [1456])
    short = Packet(sequence=21, offset=20 * 1456, payload=packets[20].payload[:100])
    for batch in (False, True):
        ledger = Ledger(1456 * 4, 10)
        arrived = [*packets[:20], short, *packets[21:]]
        if batch:
            wire = [rec.pack(encode_packet(p.sequence, p.offset, p.payload)) for p in arrived]
            ledger.add_records(rec.parse(b"".join(wire)))
        else:
            for p in arrived:
                ledger.add(p.sequence, p.offset, p.payload)
        assert (ledger.received, ledger.inconsistent, ledger.complete) == (40, 0, 9)
        assert ledger.bytes_received == 40 * 1456 - 1356


def test_a_part_packet_in_the_middle_moves_nothing():
    """After a pause the card sends what it has: a short packet, and goes on from there."""
    packets = cut(stream(16384 * 3), [1456] * 11 + [368])
    ledger = Ledger(16384, 3)
    for p in packets:
        assert ledger.add(p.sequence, p.offset, p.payload) == Verdict.NEW
    assert ledger.complete == 3 and ledger.packets_expected() == 36


@pytest.mark.parametrize("seed", range(5))
def test_garbage_changes_nothing(seed):
    draw = np.random.default_rng(seed)
    packets = cut(stream(300 * 1456), [1456])
    ledger = Ledger(14560, 30)
    junk = 0
    for p in packets:
        ledger.add(p.sequence, p.offset, p.payload, 1)
        sequence, offset = int(draw.integers(0, SPAN)), int(draw.integers(0, 1 << 48))
        junk += ledger.add(sequence, offset, bytes(20)) == Verdict.INCONSISTENT
    assert (ledger.complete, ledger.duplicates, junk) == (30, 0, 300)


def test_numbers_that_contradict_are_not_used():
    ledger = Ledger(14560, 10)
    for p in cut(stream(20 * 1456), [1456]):
        ledger.add(p.sequence, p.offset, p.payload)
    assert ledger.add(30, 21 * 1456 * 50, bytes(1456)) == Verdict.INCONSISTENT
    assert ledger.add(10, 3 * 1456, bytes(1000)) == Verdict.INCONSISTENT
    assert ledger.add(20, 18 * 1456, bytes(1456)) == Verdict.INCONSISTENT
    assert ledger.add(21, 20 * 1456, bytes(1456)) == Verdict.NEW
    assert ledger.inconsistent == 3


def test_what_lies_beyond_the_wanted_frames_is_surplus():
    ledger = Ledger(5000, 2)
    for p in cut(stream(20 * 1456), [1456]):
        ledger.add(p.sequence, p.offset, p.payload)
    assert (ledger.received, ledger.surplus, ledger.complete) == (7, 13, 2)
    assert ledger.packets_expected() == 7 and ledger.bytes_received == 10_000


def test_size_of_packets_is_learned():
    ledger = Ledger(10_000, 10)
    for p in cut(stream(100_000), [1000])[:60]:
        ledger.add(p.sequence, p.offset, p.payload)
    assert ledger.packets_expected() == 100 and ledger.packets_expected(whole=False) == 60


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 30))
def test_records_of_any_datagrams_are_found_again(datagrams, cut_off):
    span = b"".join(rec.pack(d, -1) for d in datagrams)
    records = rec.parse(span[: len(span) - cut_off] if cut_off else span)
    whole = [d for d in datagrams if len(d) > 10]
    got = [bytes(records.payload(k)) for k in range(len(records))]
    assert got == [d[10:] for d in whole][: len(got)]
    if not cut_off:
        assert len(got) == len(whole) and records.malformed == len(datagrams) - len(whole)
        assert records.end == len(span)
        cuts = rec.boundaries(span, 64)
        pieces = [rec.parse(span[a:b]) for a, b in pairwise(cuts)]
        assert sum(len(p) + p.malformed for p in pieces) == len(datagrams)
        assert all(p.end == b - a for p, (a, b) in zip(pieces, pairwise(cuts), strict=True))
