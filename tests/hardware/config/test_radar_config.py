"""Derived quantities against numbers computed by hand; steps of the chip; digest; the number of frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.board import board
from mmsar.hardware.config.derived import delay_for, derived, link_capacity
from mmsar.hardware.config.quantise import quantise
from mmsar.hardware.config.radar import parse_cfg, read_cfg
from mmsar.io.importers.iq_layout import frame_bytes
from mmsar.model.array import AntennaArray

TEXTS = Path(__file__).parent / "texts"
THREE = read_cfg(TEXTS / "ok_1843_3tx_visualizer_order.cfg")
exactly = {"rel": 1e-9, "abs": 0}


def test_derived_quantities_by_hand():
    """77 GHz, 66 MHz/us, ADC from 6 us, 256 samples at 5 Msps; 7 + 60 us; 3 TX, 16 loops, 50 ms."""
    values = derived(THREE)
    assert values.first_frequency == pytest.approx(77.396e9, **exactly)  # 77 GHz + 66 MHz/us x 6 us
    assert values.bandwidth == pytest.approx(3.3792e9, **exactly)  # 66 MHz/us x 51.2 us
    assert values.last_frequency == pytest.approx(80.762e9, **exactly)  # 255 steps of 13.2 MHz on
    assert values.ramp_stop_frequency == pytest.approx(80.96e9, **exactly)
    assert values.centre_frequency == pytest.approx(79.0856e9, **exactly)  # first + half the bandwidth
    assert values.wavelength == pytest.approx(0.003790733812476608, **exactly)
    assert values.range_resolution == pytest.approx(0.04435849579783247, **exactly)
    assert values.range_max == pytest.approx(11.355774924242424, **exactly)
    assert values.chirp_time == pytest.approx(67e-6, **exactly)
    assert values.adc_time == pytest.approx(51.2e-6, **exactly)
    assert values.frame_active == pytest.approx(3.216e-3, **exactly)
    assert values.duty == pytest.approx(0.06432, **exactly)
    assert values.rf_duty == pytest.approx(0.0576, **exactly)
    assert values.velocity_max == pytest.approx(4.714843050344039, **exactly)
    assert values.scan_speed_max == pytest.approx(0.01895366906238304, **exactly)
    assert values.frame_bytes == 196608
    assert values.data_rate == pytest.approx(3932160, **exactly)
    assert values.lane_rate == pytest.approx(4 * 256 * 32 / 67e-6 / 2, **exactly)
    assert values.packets_per_frame == pytest.approx(196608 / 1456, **exactly)


def test_square_plate_waveform():
    """The measured raster's: 77.380 GHz at the first sample, 3.556 GHz sampled."""
    chirp = read_cfg(TEXTS / "ok_1843_1tx_studio_order.cfg").chirp()
    assert chirp.f0 == pytest.approx(77e9 + 63.343e12 * 6e-6, **exactly)
    assert round(chirp.f0 / 1e9, 3) == 77.380
    assert round(chirp.bandwidth / 1e9, 3) == 3.556


def test_chirp_has_the_adc_start_and_slots_have_their_times():
    assert THREE.chirp().f0 == pytest.approx(77.396e9, **exactly)
    np.testing.assert_allclose(THREE.tx_delay(), [0, 67e-6, 134e-6], rtol=1e-12)
    assert (THREE.n_tx, THREE.n_rx, THREE.chirps_per_loop, THREE.chirps_per_frame) == (3, 4, 3, 48)


def test_link_capacity_is_the_published_table():
    for delay, packets, rate in [(5, 59780, 696), (10, 46024, 536), (25, 27227, 317), (50, 16200, 189)]:
        capacity = link_capacity(delay * 1e-6)
        assert capacity / 1456 == pytest.approx(packets, rel=1e-3)
        assert capacity * 8e-6 == pytest.approx(rate, rel=3e-3)
    for wrong in (4.9e-6, 501e-6, 0, -1, float("nan")):
        with pytest.raises(GeometryError, match="packet_delay"):
            link_capacity(wrong)


@given(st.floats(1e3, 2e8))
def test_proposed_delay_carries_the_rate(rate):
    delay = delay_for(rate)
    if delay is None:
        assert 0.8 * link_capacity(5e-6) < rate * (1 + 1e-9)
    else:
        assert 0.8 * link_capacity(delay) >= rate * (1 - 1e-9)


@pytest.mark.parametrize("path", sorted(TEXTS.glob("ok_*.cfg")), ids=lambda path: path.stem)
def test_frame_size_is_the_decoders(path):
    config = read_cfg(path)
    size = frame_bytes(config.layout, chirps=config.chirps_per_frame, samples=config.n_samples, rx=config.n_rx)
    assert config.frame_bytes == size


def test_array_is_in_firing_order():
    array = THREE.array(board("IWR1843BOOST", tx_rx_gap=(0.0107, 0, 0)))
    assert array.tx.shape == (3, 3)
    assert array.tx[1, 1] > array.tx[2, 1] > array.tx[0, 1]  # TX1, TX3, TX2 along the row
    own = read_cfg(TEXTS / "ok_1443_2rx.cfg")
    np.testing.assert_allclose(own.array(board("IWR1443BOOST")).tx, AntennaArray.iwr1443().tx, atol=1e-15)
    assert own.array(board("IWR1443BOOST")).n_rx == 2


def test_steps_of_the_chip():
    rounded = THREE.quantised
    assert rounded["slope"].code == 1367  # 66e12 / 48.2797...e9 = 1367.03
    assert rounded["slope"].nominal == 66e12
    assert rounded["slope"].actual == pytest.approx(1367 * 3.6e9 * 900 / 2**26 * 1e6, rel=1e-12)
    assert rounded["start_frequency"].code == 1435384036  # 77e9 / (3.6e9 / 2^26), nearest
    for name in ("idle", "adc_start", "ramp_end", "tx_start", "fs", "frame_period"):
        assert rounded[name].exact, name
        assert rounded[name].actual == getattr(THREE, name)
    chirp = THREE.chirp(quantised=True)
    assert chirp.slope == rounded["slope"].actual
    assert chirp.f0 == rounded["start_frequency"].actual + chirp.slope * 6e-6
    assert THREE.chirp().slope == 66e12


@given(st.floats(1e-9, 1e15), st.floats(1e-9, 1e9))
def test_nearest_step(value, step):
    found = quantise(value, step)
    assert abs(found.error) <= step / 2 * (1 + 1e-6) + 1e-12 * value


def test_digest_changes_with_what_changes_samples_only():
    same = [
        replace(THREE, n_frames=7),
        replace(THREE, n_loops=1),
        replace(THREE, frame_period=0.1),
        replace(THREE, trigger="hardware"),
        replace(THREE, text="% other words"),
        replace(THREE, idle=20e-6),
        replace(THREE, layout="qiqi"),
        replace(THREE, sample_swap=False, layout="2lane-iiqq"),
        THREE.with_frames(3),
        read_cfg(TEXTS / "ok_1843_utf8_comment.cfg"),
        read_cfg(TEXTS / "ok_1843_no_final_newline.cfg"),
    ]
    assert {config.digest for config in same} == {THREE.digest}
    other = [
        replace(THREE, slope=66.1e12),
        replace(THREE, start_frequency=77.1e9),
        replace(THREE, adc_start=5e-6),
        replace(THREE, fs=4e6),
        replace(THREE, n_samples=128),
        replace(THREE, rx=(0, 1)),
        replace(THREE, tx_order=(0, 1, 2)),
        replace(THREE, hpf=(1, 0)),
        replace(THREE, rx_gain=40),
        replace(THREE, tx_backoff=1),
        replace(THREE, complex2x=True),
        replace(THREE, device="xWR1642", tx_order=(0, 1)),
    ]
    assert len({config.digest for config in other} | {THREE.digest}) == 13
    assert len(THREE.digest) == 64


@pytest.mark.parametrize("path", sorted(TEXTS.glob("ok_*.cfg")), ids=lambda path: path.stem)
def test_other_number_of_frames_changes_one_word(path):
    config = read_cfg(path)
    changed = config.with_frames(4321)
    assert changed.n_frames == 4321
    assert parse_cfg(changed.text, device=config.device) == changed
    before, after = config.text.split("\n"), changed.text.split("\n")
    different = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert all(a.startswith("frameCfg") and b == _fourth(a, "4321") for a, b in different)
    assert changed.with_frames(config.n_frames).n_frames == config.n_frames


def _fourth(line, word):
    words = line.split(" ")
    return " ".join([*words[:4], word, *words[5:]])


@pytest.mark.parametrize("n", [-1, 1.5, True, "3", None])
def test_wrong_number_of_frames(n):
    with pytest.raises(GeometryError, match="with_frames: got"):
        THREE.with_frames(n)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slope": 0}, "slope: got 0, wanted more than 0"),
        ({"fs": float("inf")}, "fs: got inf, wanted a finite number"),
        ({"fs": 900.0}, r"fs: got 900, wanted at least 1000 \[Hz\]"),
        ({"idle": -1e-6}, "idle: got -1e-06, wanted 0 or more"),
        ({"n_samples": 0}, "n_samples: got 0"),
        ({"n_frames": -1}, "n_frames: got -1"),
        ({"n_frames": "many"}, "n_frames: got 'many'"),
        ({"rx": ()}, r"rx: got \(\), wanted indices from 0 to 3"),
        ({"rx": (1, 0)}, "wanted rising indices"),
        ({"rx": (0.5,)}, r"rx: got \(0.5,\), wanted indices"),
        ({"tx_order": (3,)}, r"tx_order: got \(3,\), wanted indices from 0 to 2"),
        ({"trigger": "hand"}, "trigger: got 'hand'"),
        ({"adc_bits": 13}, "adc_bits: got 13"),
        ({"layout": "sideways"}, "layout: got 'sideways'"),
        ({"layout": "real"}, "layout: got 'real', wanted one for complex samples"),
        ({"device": "IWR1"}, "device: got 'IWR1'"),
    ],
)
def test_values_that_no_radar_has(changes, message):
    with pytest.raises(GeometryError, match=message):
        replace(THREE, **changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [("idle", 1e305), ("slope", 1e300), ("tx_start", -1e200), ("n_loops", 10**30), ("n_frames", 10**400)],
)
def test_numbers_that_no_radar_can_have(name, value):
    with pytest.raises(GeometryError, match=f"RadarConfig.{name}: got .*, wanted what a radar can have"):
        replace(THREE, **{name: value})
