"""Held FFT plans against numpy, good sizes, and wisdom on disk."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.core.fft import RowFFT, fast_size, good_size, load_wisdom, row_time, wisdom_path


@given(st.integers(-3, 200_000))
def test_good_size_is_even_smooth_and_not_far_above(n):
    size = good_size(n)
    rest = size
    for factor in (2, 3, 5, 7):
        while rest % factor == 0:
            rest //= factor
    assert rest == 1 and size % 2 == 0 and max(n, 2) <= size <= max(1.3 * n + 2, 2)


@given(st.integers(2, 2000))
def test_good_size_is_the_smallest(n):
    smooth = {2**a * 3**b * 5**c * 7**d for a in range(1, 12) for b in range(8) for c in range(6) for d in range(5)}
    assert good_size(n) == min(v for v in smooth if v >= n)


@given(st.integers(1, 5000), st.floats(1.0, 2.0), st.floats(0, 10))
def test_fast_size_is_a_good_one_in_reach_and_none_is_quicker(n, most, beside):
    size = fast_size(n, most, beside, 2)
    assert size == good_size(size) and n <= size <= max(most * n, good_size(n))
    first = good_size(n)
    assert size**2 * (row_time(size) + beside) <= first**2 * (row_time(first) + beside)
    assert fast_size(n, 1.0, beside, 2) == first


def test_powers_of_two_are_the_quickest_lengths():
    assert row_time(512) < row_time(640) < row_time(576) < row_time(588)
    assert fast_size(630, 1.1, 8.0, 2) == 640


@pytest.mark.parametrize(("rows", "length"), [(1, 2), (5, 12), (3, 70)])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_rows_are_numpys_transform_without_scale(rows, length, direction):
    rng = np.random.default_rng(length)
    data = (rng.standard_normal((rows, length)) + 1j * rng.standard_normal((rows, length))).astype(np.complex64)
    plan = RowFFT(rows, length, direction)
    assert not plan.buffer.any()
    want = np.fft.fft(data) if direction == "forward" else np.fft.ifft(data) * length
    for _ in range(2):  # the second call uses the buffer that holds the first result
        plan.buffer[:] = data
        np.testing.assert_allclose(plan(), want, rtol=1e-5, atol=1e-5 * np.abs(want).max())


def test_directions_are_adjoint():
    rng = np.random.default_rng(0)
    x, y = ((rng.standard_normal((4, 30)) + 1j * rng.standard_normal((4, 30))).astype(np.complex64) for _ in range(2))
    forward, backward = RowFFT(4, 30, "forward"), RowFFT(4, 30, "backward")
    forward.buffer[:], backward.buffer[:] = x, y
    assert np.vdot(y, forward()) == pytest.approx(np.vdot(backward(), x), rel=1e-5)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mmsar"


def test_wisdom_is_stored_and_used(cache):
    import pyfftw

    before = pyfftw.export_wisdom()
    try:
        pyfftw.forget_wisdom()
        RowFFT(3, 22, "forward")
        path = wisdom_path()
        assert path.parent == cache and [p.name for p in cache.iterdir()] == [path.name]
        stored = json.loads(path.read_text())["wisdom"]
        assert any("fftw" in part for part in stored)
        pyfftw.forget_wisdom()
        load_wisdom.cache_clear()
        load_wisdom(path)
        known = pyfftw.export_wisdom()
        assert any(b"fftw" in part for part in known)
        changed = path.stat().st_mtime_ns
        RowFFT(3, 22, "forward")
        assert pyfftw.export_wisdom() == known and path.stat().st_mtime_ns == changed
    finally:
        pyfftw.import_wisdom(before)


BAD_WISDOM = (
    *("", "not json", "[]", "{}", '{"wisdom": 3}', '{"wisdom": [1, 2, 3]}', '{"wisdom": ["x"]}', '{"wisdom": null}'),
    *('{"wisdom": ["garbage", "(", ""]}', '{"wisdom": ["\\u4e2d", "", ""]}', b"\xff\xfe\x00"),
)


@pytest.mark.parametrize("text", BAD_WISDOM)
def test_bad_wisdom_is_no_error(cache, text):
    path = wisdom_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    plan = RowFFT(2, 14, "backward")
    plan.buffer[:] = 1
    np.testing.assert_allclose(plan()[:, 0], 14)


def test_no_place_for_wisdom_is_no_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    plan = RowFFT(2, 26, "forward")
    plan.buffer[:] = 1
    np.testing.assert_allclose(plan()[:, 0], 26)
    assert blocked.read_text() == "in the way"
