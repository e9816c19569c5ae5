"""Raw sample layouts: hand-written bytes, and round trips of every layout on random cubes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError
from mmsar.io.importers.iq_layout import LAYOUTS, REAL, decode, encode, frame_bytes, looks_toggled

CASES = {
    # two receivers, two samples of one chirp; receiver r, sample n: I = 10 (r + 1) + n, Q = -I
    "4lane": [10, 20, 0, 0, -10, -20, 0, 0, 11, 21, 0, 0, -11, -21, 0, 0],
    "4lane-iqiq": [10, -10, 20, -20, 0, 0, 0, 0, 11, -11, 21, -21, 0, 0, 0, 0],
    "2lane-iiqq": [10, 11, -10, -11, 20, 21, -20, -21],
    "2lane-qqii": [-10, -11, 10, 11, -20, -21, 20, 21],
    "iqiq": [10, -10, 11, -11, 20, -20, 21, -21],
    "qiqi": [-10, 10, -11, 11, -20, 20, -21, 21],
    "2lane-interleaved": [10, 20, -10, -20, 11, 21, -11, -21],
    "real": [10, 11, 20, 21],
    "4lane-real": [10, 20, 0, 0, 11, 21, 0, 0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_written_by_hand(layout: str) -> None:
    raw = np.array(CASES[layout], dtype="<i2")
    cube = decode(raw, layout, chirps=1, samples=2, rx=2)
    i = np.array([[10, 11], [20, 21]])
    assert cube.shape == (1, 1, 2, 2) and cube.dtype == np.complex64
    assert np.array_equal(cube[0, 0], i + 0j if layout in REAL else i - 1j * i)
    assert np.array_equal(encode(cube, layout), raw)
    assert frame_bytes(layout, chirps=1, samples=2, rx=2) == raw.nbytes


@settings(max_examples=50, deadline=None)
@given(
    layout=st.sampled_from(LAYOUTS),
    frames=st.integers(1, 3),
    chirps=st.integers(1, 4),
    rx=st.integers(1, 4),
    half=st.integers(1, 8),
    offset=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_every_layout_round_trips(
    layout: str, frames: int, chirps: int, rx: int, half: int, offset: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = rng.integers(-32768, 32768, (2, frames, chirps, rx, 2 * half))
    cube = (parts[0] + 1j * parts[1] * (layout not in REAL)).astype(np.complex64)
    raw = encode(cube, layout, offset_binary=offset)
    assert raw.dtype == np.int16 and raw.nbytes == frames * frame_bytes(layout, chirps=chirps, samples=2 * half, rx=rx)
    back = decode(raw, layout, chirps=chirps, samples=2 * half, rx=rx, offset_binary=offset)
    assert np.array_equal(back, cube)


def test_what_a_layout_cannot_hold() -> None:
    with pytest.raises(FormatError, match="at most 4"):
        decode(np.zeros(80, "<i2"), "4lane", chirps=1, samples=2, rx=5)
    with pytest.raises(FormatError, match="even number"):
        decode(np.zeros(6, "<i2"), "2lane-iiqq", chirps=1, samples=3, rx=1)


def test_a_wrong_top_bit_is_seen_and_strong_signals_are_not_suspected() -> None:
    rng = np.random.default_rng(0)
    weak = rng.normal(0, 300, 4000).astype("<i2")
    tone = np.round(32767 * np.sin(np.arange(4000) * 0.37)).astype("<i2")
    for good in (weak, tone):
        assert not looks_toggled(good)
    assert looks_toggled((weak.view(np.uint16) ^ np.uint16(0x8000)).view(np.int16))
    assert not looks_toggled(np.empty(0, "<i2"))
