"""The shift between rows of opposite direction, found in simulated echoes and in real ones that were shifted."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.motion.row_offset import row_offset, split_offset
from mmsar.io.importers.iq_layout import decode

PLATE = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "dca1000_square_plate"
STEP = 0.9e-3


def serpentine(backlash, latency, speed, *, seed=0, n_y=8, n_x=120, noise=0.05):
    """Echoes of scattered points on a serpentine raster whose table is not where it reports to be."""
    rng = np.random.default_rng(seed)
    points = np.stack([rng.uniform(-0.05, 0.05, 9), rng.uniform(-0.02, 0.02, 9), rng.uniform(0.25, 0.4, 9)], axis=-1)
    sigma = rng.normal(size=9) + 1j * rng.normal(size=9)
    wavenumber = 2 * np.pi * np.linspace(77e9, 80e9, 16) / 299_792_458.0
    backward = np.arange(n_y) % 2 == 1
    rows = np.empty((n_y, n_x, 16), dtype=complex)
    for row in range(n_y):
        velocity = -speed if backward[row] else speed
        x = (np.arange(n_x) - n_x / 2) * STEP + latency * velocity + (backlash if backward[row] else 0.0)
        y = (row - n_y / 2) * 1e-3
        place = np.stack([x, np.full(n_x, y), np.zeros(n_x)], axis=-1)
        distance = np.linalg.norm(place[:, None] - points, axis=-1)
        rows[row] = (sigma[:, None] * np.exp(2j * distance[..., None] * wavenumber)).sum(axis=1)
    rows += noise * np.abs(rows).max() * (rng.normal(size=rows.shape) + 1j * rng.normal(size=rows.shape))
    return rows, backward


@settings(max_examples=12)
@given(
    backlash=st.floats(0, 1.5e-3), latency=st.floats(-0.02, 0.02), speed=st.floats(0.01, 0.08), seed=st.integers(0, 99)
)
def test_the_shift_is_found(backlash, latency, speed, seed):
    rows, backward = serpentine(backlash, latency, speed, seed=seed)
    found = row_offset(rows, STEP, backward)
    assert found.n_pairs == 7
    # 17 um RMS over such draws, 83 um at most of 2,000: a bound that chance does not reach
    assert found.offset == pytest.approx(backlash - 2 * latency * speed, abs=1.2e-4)
    assert found.spread < 5e-5


def test_shifts_are_right_to_a_fiftieth_of_a_step():
    """Root mean square of draws as above, which chance does not move much."""
    rng, off = np.random.default_rng(0), []
    for seed in range(100):
        backlash, latency, speed = rng.uniform(0, 1.5e-3), rng.uniform(-0.02, 0.02), rng.uniform(0.01, 0.08)
        rows, backward = serpentine(backlash, latency, speed, seed=seed)
        off.append(row_offset(rows, STEP, backward).offset - (backlash - 2 * latency * speed))
    assert np.sqrt(np.mean(np.square(off))) < 2e-5


def test_backlash_and_latency_from_two_speeds():
    speeds = [0.02, 0.08]
    offsets = [row_offset(*_shifted(4e-4, 8e-3, speed)).offset for speed in speeds]
    backlash, latency = split_offset(offsets, speeds)
    assert backlash == pytest.approx(4e-4, abs=5e-5)
    assert latency == pytest.approx(8e-3, abs=1e-3)


def _shifted(backlash, latency, speed):
    rows, backward = serpentine(backlash, latency, speed, n_y=12)
    return rows, STEP, backward


@pytest.mark.skipif(not PLATE.is_dir(), reason="measured data dca1000_square_plate is not there")
def test_a_shift_is_found_in_real_echoes():
    """Emulated on a real raster, all of whose rows run one way: every second row is shifted by interpolation.

    The rows of that recording began within about 2 mm of each other, so the shift is found against their own.
    """
    step = 290e-3 / 400
    files = [np.fromfile(PLATE / f"scan{number}_Raw_0.bin", dtype="<i2") for number in range(6, 22)]
    rows = np.array([decode(raw, "4lane", chirps=1, samples=512, rx=4)[:, 0, 0, 60:316] for raw in files])
    backward = np.arange(len(rows)) % 2 == 1
    own = row_offset(rows, step, backward)
    assert abs(own.offset) < 3 * own.spread
    for offset in (0.9e-3, -0.4e-3):
        ramp = np.exp(2j * np.pi * np.fft.fftfreq(rows.shape[1], step) * offset)
        moved = rows.copy()
        moved[backward] = np.fft.ifft(np.fft.fft(rows[backward], axis=1) * ramp[:, None], axis=1)
        assert row_offset(moved, step, backward).offset - own.offset == pytest.approx(offset, abs=0.02e-3)


@pytest.mark.parametrize(
    ("rows", "backward", "complaint"),
    [
        (np.zeros((4, 8)), [0, 1, 0, 1], "shape"),
        (np.zeros((4, 8, 2)), [0, 1], "shape"),
        (np.full((2, 8, 2), np.nan), [0, 1], "finite"),
        (np.ones((3, 8, 2)), [0, 0, 0], "no neighbouring rows"),
        (np.zeros((2, 8, 2)), [0, 1], "got 8 positions"),
        (np.zeros((2, 80, 2)), [0, 1], "do not match"),
    ],
)
def test_rows_that_tell_nothing_are_refused(rows, backward, complaint):
    with pytest.raises(GeometryError, match=complaint):
        row_offset(rows, STEP, backward)


def test_one_speed_does_not_separate():
    with pytest.raises(GeometryError, match="two speeds"):
        split_offset([1e-3, 1e-3], [0.05, 0.05])
