"""Raw sample layouts: hand-written bytes, and round trips of every layout on random cubes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError, GeometryError
from mmsar.io.importers.iq_layout import LAYOUTS, REAL, REORDERED, decode, encode, frame_bytes, looks_toggled

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


def by_formula(raw: np.ndarray, layout: str, chirp: int, r: int, n: int, rx: int, samples: int) -> complex:
    """One sample by the index formulas of the vendor's MATLAB scripts, 0-based."""
    if layout == "4lane":  # reshape(adc, 8, []): rows 1-4 are I of RX 1-4, rows 5-8 are Q
        at = 8 * (chirp * samples + n)
        return complex(raw[at + r], raw[at + 4 + r])
    if layout == "4lane-iqiq":  # rows I0 Q0 I1 Q1 ...
        at = 8 * (chirp * samples + n) + 2 * r
        return complex(raw[at], raw[at + 1])
    if layout == "4lane-real":
        return complex(raw[4 * (chirp * samples + n) + r], 0)
    if layout == "real":
        return complex(raw[(chirp * rx + r) * samples + n], 0)
    at = 2 * samples * (chirp * rx + r)
    if layout in ("2lane-iiqq", "2lane-qqii"):  # LVDS(k) = adc(i) + 1j adc(i+2), LVDS(k+1) = adc(i+1) + 1j adc(i+3)
        at += 4 * (n // 2) + n % 2
        first, second = raw[at], raw[at + 2]
        return complex(first, second) if layout == "2lane-iiqq" else complex(second, first)
    if layout in ("iqiq", "qiqi"):
        pair = raw[at + 2 * n], raw[at + 2 * n + 1]
        return complex(*(pair if layout == "iqiq" else pair[::-1]))
    even = rx + rx % 2  # 2lane-interleaved: per instant and pair of receivers I I Q Q
    at = 2 * even * (chirp * samples + n) + 4 * (r // 2) + r % 2
    return complex(raw[at], raw[at + 2])


@pytest.mark.parametrize("rx", [1, 2, 3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_index_formulas_of_the_vendor(layout: str, rx: int) -> None:
    chirps, samples = 3, 10
    words = 2 * frame_bytes(layout, chirps=chirps, samples=samples, rx=rx) // 2
    raw = np.random.default_rng(rx).integers(-32768, 32768, words, dtype=np.int16)  # two frames
    cube = decode(raw, layout, chirps=chirps, samples=samples, rx=rx)
    for frame, chirp, r, n in np.ndindex(2, chirps, rx, samples):
        part = raw.reshape(2, -1)[frame]
        assert cube[frame, chirp, r, n] == by_formula(part, layout, chirp, r, n, rx, samples)


@pytest.mark.parametrize(("layout", "lanes"), [("2lane-iiqq", 2), ("2lane-qqii", 2), ("4lane", 4)])
def test_reordering_of_the_command_line_recorder(layout: str, lanes: int) -> None:
    raw = np.random.default_rng(5).integers(-32768, 32768, 3 * 8 * 4 * 2 * 2, dtype=np.int16)
    out = np.empty_like(raw)
    for k in range(raw.size):  # word k of every group of 2 lanes goes to (k mod lanes) 2 + k div lanes
        group, inside = divmod(k, 2 * lanes)
        out[group * 2 * lanes + inside % lanes * 2 + inside // lanes] = raw[k]
    shape = {"chirps": 3, "samples": 8, "rx": 4}
    assert np.array_equal(decode(raw, layout, **shape), decode(out, REORDERED[layout], **shape))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bits", [12, 14])
def test_short_samples_get_their_sign(layout: str, bits: int) -> None:
    top = 1 << (bits - 1)
    parts = np.random.default_rng(bits).integers(-top, top, (2, 2, 2, 3, 6))
    cube = (parts[0] + 1j * parts[1] * (layout not in REAL)).astype(np.complex64)
    raw = encode(cube, layout)
    shape = {"chirps": 2, "samples": 6, "rx": 3}
    clean = (raw.view(np.uint16) & np.uint16(2 * top - 1)).view(np.int16)  # upper bits zero, as the card may send them
    assert np.array_equal(decode(clean, layout, **shape, bits=bits), cube)
    assert np.array_equal(decode(raw, layout, **shape, bits=bits), cube)  # or already the sign
    noisy = clean | np.int16(np.uint16(0x8000).view(np.int16))
    assert np.array_equal(decode(noisy, layout, **shape, bits=bits), cube)
    toggled = (clean.view(np.uint16) ^ np.uint16(0x8000)).view(np.int16)
    assert np.array_equal(decode(toggled, layout, **shape, bits=bits, offset_binary=True), cube)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_into_an_array_of_the_caller(layout: str) -> None:
    shape = {"chirps": 2, "samples": 4, "rx": 3}
    raw = np.arange(frame_bytes(layout, **shape), dtype=np.int16)
    out = np.full((2, 2, 3, 4), np.nan, np.complex64)
    assert decode(raw, layout, **shape, out=out) is out and np.array_equal(out, decode(raw, layout, **shape))
    raw.flags.writeable = False
    assert np.array_equal(decode(raw, layout, **shape), out)
    empty = decode(raw[:0], layout, **shape)
    assert empty.shape == (0, 2, 3, 4)
    for wrong in (out[:1], out.astype(np.complex128), out[..., ::-1]):
        with pytest.raises(GeometryError, match="out: got"):
            decode(raw, layout, **shape, out=wrong)


def test_what_is_no_capture() -> None:
    raw = np.zeros(34, np.int16)
    with pytest.raises(FormatError, match="got 68 bytes, wanted a whole number of frames of 64 bytes"):
        decode(raw, "iqiq", chirps=2, samples=4, rx=2)
    with pytest.raises(FormatError, match="wanted 12, 14 or 16"):
        decode(raw[:32], "iqiq", chirps=2, samples=4, rx=2, bits=10)
    with pytest.raises(FormatError, match="wanted one of 4lane"):
        decode(raw[:32], "3lane", chirps=2, samples=4, rx=2)
    with pytest.raises(GeometryError, match="wanted contiguous int16"):
        decode(raw.astype(float), "iqiq", chirps=2, samples=4, rx=2)
    with pytest.raises(GeometryError, match="imaginary"):
        encode(np.full((1, 1, 1, 2), 1j), "real")
    with pytest.raises(GeometryError, match="beyond"):
        encode(np.full((1, 1, 1, 2), 40000.0 + 0j), "iqiq")
