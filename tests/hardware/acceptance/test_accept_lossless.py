"""Frames in, frames out: every layout, with the last packet two seconds late, compared value by value."""

import struct
from contextlib import ExitStack

import numpy as np
import pytest
from card import Card, split
from customer import KEYS, Recording
from wirelayouts import Radar

RADARS = {
    "1443": Radar(device="xWR1443", order="4lane", tx=(1,), samples=100),
    "1443-three-tx": Radar(device="xWR1443", order="4lane", samples=50, loops=2),
    "1443-two-rx": Radar(device="xWR1443", order="4lane", rx_mask=5, tx=(1, 4), samples=50, loops=2),
    "1443-real": Radar(device="xWR1443", order="4lane-real", tx=(1,), samples=200),
    "1843-qqii": Radar(),
    "1843-iiqq": Radar(order="iiqq", tx=(4, 1), rx_mask=6),
    "1843-one-rx": Radar(order="qqii", rx_mask=8, tx=(2,), samples=300),
    "1843-real": Radar(order="real", rx_mask=3, tx=(4, 2, 1), samples=128),
    "1843-12-bit": Radar(order="iiqq", bits=0, tx=(1, 2), samples=100),
    "1843-14-bit": Radar(order="qqii", bits=1, tx=(1, 2), samples=60, loops=5),
    "6843": Radar(device="xWR6843", order="qqii", tx=(1, 4, 2), start=60.0, loops=4),
    "2944": Radar(device="xWR2944", order="real", tx=(1, 4, 8), samples=128),
}
FIRST = ["1443", "1843-qqii"]
_REST = [name for name in RADARS if name not in FIRST]
OTHERS = [_REST[k : k + 5] for k in range(0, len(_REST), 5)]


@pytest.mark.parametrize("names", [FIRST, *(pytest.param(batch, marks=pytest.mark.slow) for batch in OTHERS)])
def test_every_layout(tmp_path, addresses, names):
    """Recordings side by side: each to its own card, and of each every value."""
    base, last = addresses[0].rsplit(".", 1)
    with ExitStack() as stack:
        runs = []
        for name in names:
            radar = RADARS[name]
            assert radar.frame_bytes % 1456, "a frame that divides the payload tests less"
            own = tuple(f"{base}.{100 + len(runs) * 2 + int(last) % 50 + k}" for k in (0, 1))
            samples, wire = radar.measure(radar.frames, seed=len(runs))
            card = stack.enter_context(Card(*own))
            run = stack.enter_context(Recording(tmp_path / name, radar, radar.frames, own))
            runs.append((radar, samples, wire, card, run))
        for *_, wire, card, run in runs:
            run.wait_armed()
            assert card.recording.is_set(), "armed before the card records"
            card.stream(split(wire))
        for radar, samples, wire, card, run in runs:
            assert run.finish() == 0, run.said
            assert "warning" not in run.said
            assert_lossless(run, radar, samples, wire)
            lane_code = 1 if radar.lanes == 4 else 2
            assert card.payload_of(0x03) == bytes([1, lane_code, 1, 2, radar.bits + 1, 30])
            assert struct.unpack("<HHH", card.payload_of(0x0B))[1:] == (3125, 0)
            assert card.stopped.is_set() and card.failure is None


def assert_lossless(run, radar, samples, wire):
    said = run.report()
    packets = -(-len(wire) // 1456)
    wanted = (radar.frames, radar.frames, 0, packets, 0, 0, 0, 0, 0)
    assert [said[key] for key in KEYS] == list(wanted)
    got = run.cube()
    assert got["signal"].dtype == np.complex64 and got["valid"].dtype == bool
    assert np.array_equal(got["signal"], samples)
    assert got["valid"].shape == samples.shape and got["valid"].all()
    assert list(got["tx_order"]) == [mask.bit_length() - 1 for mask in radar.tx]
