"""The checker: every limit is found when broken and only then, and each finding says what to do."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.board import board
from mmsar.hardware.config.bench_findings import board_findings
from mmsar.hardware.config.derived import delay_for, derived, link_capacity
from mmsar.hardware.config.limits import broken, check
from mmsar.hardware.config.radar import parse_cfg, read_cfg
from mmsar.hardware.device import DEVICES

TEXTS = Path(__file__).parent / "texts"
FOREIGN = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures" / "configs"
GOOD = read_cfg(TEXTS / "ok_1843_3tx_visualizer_order.cfg")


def found(config, **options):
    """{limit: severity} of a check."""
    return {finding.limit: finding.severity for finding in check(config, **options)}


def test_a_good_configuration_has_no_findings():
    assert check(GOOD) == []


@pytest.mark.parametrize("path", sorted(TEXTS.glob("ok_*.cfg")), ids=lambda path: path.stem)
def test_readable_texts_break_no_limit(path):
    assert not broken(check(read_cfg(path)))


@pytest.mark.parametrize("path", sorted(TEXTS.glob("check_*.cfg")), ids=lambda path: path.stem)
def test_texts_to_check_only_do_break_one(path):
    assert broken(check(read_cfg(path, for_capture=False)))


@pytest.mark.parametrize(
    ("changes", "limit", "severity"),
    [
        ({"slope": 101e12, "ramp_end": 39e-6, "n_samples": 128}, "slope", "warning"),
        ({"slope": 270e12, "ramp_end": 14e-6, "n_samples": 32}, "slope", "warning"),
        ({"fs": 1.9e6, "n_samples": 64}, "sample rate", "error"),
        ({"fs": 26e6}, "sample rate", "error"),
        ({"idle": 5.3e-3}, "idle", "error"),
        ({"adc_start": 41e-6, "n_samples": 64}, "adc start", "error"),
        ({"ramp_end": 5.1e-3, "slope": 0.7e12}, "ramp end", "error"),
        ({"tx_start": 50e-6}, "tx start", "error"),
        ({"tx_start": -41e-6}, "tx start", "error"),
        ({"n_loops": 256}, "loops", "error"),
        ({"n_frames": 65536}, "frames", "error"),
        ({"frame_period": 1.4}, "frame period", "error"),
        ({"frame_period": 250e-6, "n_loops": 1}, "frame period", "error"),
        ({"start_frequency": 75.9e9}, "sweep", "error"),
        ({"start_frequency": 77.1e9}, "sweep", "error"),  # ends above 81 GHz
        ({"start_frequency": 76.5e9}, "sweep", "error"),  # neither oscillator covers 76.5 to 80.46 GHz
        ({"n_samples": 272}, "sampling window", "error"),
        ({"n_samples": 2052, "fs": 25e6, "ramp_end": 100e-6, "slope": 30e12}, "ADC buffer", "error"),
        ({"chirp_threshold": 9}, "ADC buffer", "error"),
        ({"n_samples": 254}, "number of samples", "error"),
        ({"frame_period": 3.2e-3}, "frame duty", "error"),
        ({"frame_period": 3.24e-3}, "frame duty", "error"),
        ({"frame_period": 3.4e-3}, "frame blanking", "warning"),
        ({"frame_period": 5e-3}, "RF duty", "warning"),
        ({"trigger": "hardware"}, "trigger", "note"),
        ({"tx_order": (0, 0, 1)}, "transmitters", "note"),
        ({"n_loops": 255}, "demo memory", "note"),
        ({"slope": 65.5e12}, "slope", "note"),
    ],
)
def test_broken_limits_are_found(changes, limit, severity):
    config = replace(GOOD, **changes)
    assert found(config).get(limit) == severity
    for finding in check(config):
        assert finding.got
        assert finding.allowed
        assert len(finding.explanation) > 20
        assert "\n" not in str(finding)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"n_loops": 255, "frame_period": 0.1}, "loops"),
        ({"n_frames": 65535}, "frames"),
        ({"fs": 25e6}, "sample rate"),
        ({"tx_start": -40.96e-6}, "tx start"),
        ({"frame_period": 1.342}, "frame period"),
        ({"slope": 60e12, "start_frequency": 77.4e9}, "sweep"),  # ends at 81 GHz
        ({"slope": 30e12, "start_frequency": 76.2e9}, "sweep"),  # within the first oscillator
        ({"n_samples": 268, "fs": 5e6}, "sampling window"),
        ({"chirp_threshold": 8}, "ADC buffer"),
        ({"frame_period": 3.216e-3 + 300e-6}, "frame blanking"),
    ],
)
def test_limits_themselves_are_allowed(changes, limit):
    assert limit not in found(replace(GOOD, **changes))


def test_adc_buffer_of_four_lane_chips_holds_1024_samples():
    base = read_cfg(TEXTS / "ok_1443_own_firmware.cfg")
    wide = replace(base, fs=37.5e6, adc_start=6e-6)
    assert "ADC buffer" not in found(replace(wide, n_samples=1024))
    assert found(replace(wide, n_samples=1025))["ADC buffer"] == "error"


def test_sweeps_of_each_chip():
    def sweep(device, start, stop):
        ramp = (stop - start) / 30e12
        text = read_cfg(TEXTS / "ok_1843_single_rx.cfg")
        config = replace(text, device=device, start_frequency=start, slope=30e12, ramp_end=ramp, n_samples=64, fs=40e6)
        return found(config).get("sweep")

    assert sweep("xWR1843", 77e9, 81e9) is None
    assert sweep("xWR1843", 76e9, 81e9) == "error"
    assert sweep("xWR2243", 76e9, 81e9) is None
    assert sweep("xWR6843", 60e9, 64e9) is None
    assert sweep("xWR6843", 60e9, 64.1e9) == "error"
    assert sweep("xWR6843", 77e9, 78e9) == "error"
    config = replace(read_cfg(TEXTS / "ok_6843isk_3tx.cfg"), start_frequency=58e9)
    assert found(config)["start frequency"] == "warning"  # sources disagree


def test_complex1x_rate_of_2243():
    config = replace(GOOD, device="xWR2243", layout="4lane", sample_swap=False, fs=23e6, text="")
    assert found(config)["sample rate"] == "error"
    assert "sample rate" not in found(replace(config, complex2x=True))


def test_network_link():
    """255 loops of 3 x 4 x 512 samples every 51 ms are 983 Mb/s; at 100 ms 501 Mb/s."""
    config = replace(GOOD, n_loops=255, n_samples=512, fs=10e6, idle=2e-6)
    fast = replace(config, frame_period=51e-3)
    (finding,) = [f for f in check(fast) if f.limit == "network link"]
    assert "no packet delay is short enough" in finding.explanation
    slow = replace(config, frame_period=100e-3)
    (finding,) = [f for f in check(slow) if f.limit == "network link"]
    assert "set a packet delay of 6 us or less" in finding.explanation
    assert "network link" not in found(slow, packet_delay=6e-6)
    assert found(slow, packet_delay=7e-6)["network link"] == "error"


@given(st.floats(1e-3, 1.3), st.integers(1, 255), st.integers(5, 500))
def test_network_link_agrees_with_its_formula(period, loops, delay_us):
    config = replace(GOOD, n_loops=loops, frame_period=period)
    delay = delay_us * 1e-6
    too_much = config.data_rate > 0.8 * link_capacity(delay)
    findings = [f for f in check(config, packet_delay=delay) if f.limit == "network link"]
    assert bool(findings) == too_much
    if too_much and (best := delay_for(config.data_rate)) is not None:
        assert best <= delay


@given(st.floats(1e-4, 2.0), st.floats(1e-3, 1.0))
def test_sampling_in_space_agrees_with_its_formula(speed, period):
    config = replace(GOOD, frame_period=period)
    quarter = derived(config).wavelength / 4
    expected = speed * period > quarter * (1 + 1e-9)
    assert ("sampling in space" in found(config, speed=speed)) == expected


def test_scan_speed():
    at = found(GOOD, speed=0.0189)
    assert "sampling in space" not in at
    assert found(GOOD, speed=0.0190)["sampling in space"] == "error"
    assert found(GOOD, speed=2.0)["TDM motion"] == "note"
    assert found(GOOD, speed=2.0)["motion within a frame"] == "note"
    (finding,) = [f for f in check(GOOD, speed=0.1) if f.limit == "sampling in space"]
    assert "go at most 18.95 mm/s" in finding.explanation
    for wrong in (0, -1, float("nan")):
        with pytest.raises(GeometryError, match="speed: got"):
            check(GOOD, speed=wrong)
    with pytest.raises(GeometryError, match="packet_delay: got 4 us"):
        check(GOOD, packet_delay=4e-6)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "start_frequency": st.floats(1e9, 100e9),
            "slope": st.floats(1e10, 1e15),
            "idle": st.floats(0, 0.01),
            "adc_start": st.floats(0, 1e-4),
            "ramp_end": st.floats(1e-7, 0.01),
            "fs": st.floats(1e5, 1e8),
            "n_samples": st.integers(1, 5000),
            "n_loops": st.integers(1, 400),
            "frame_period": st.floats(1e-4, 2),
            "device": st.sampled_from(["xWR1843", "xWR6843", "xWR2944"]),
        },
    )
)
def test_any_configuration_gets_sentences(changes):
    findings = check(replace(GOOD, **changes), speed=0.02)
    order = [("error", "warning", "note").index(f.severity) for f in findings]
    assert order == sorted(order)
    for finding in findings:
        assert set(finding.to_dict()) == {"severity", "limit", "got", "allowed", "explanation"}
        assert "nan" not in str(finding)


def lines(name, old, new, device=None):
    text = (TEXTS / name).read_text().replace(old, new)
    return found(parse_cfg(text, device=device or "xWR1843", for_capture=False))


def test_what_the_text_lacks():
    name = "ok_1843_3tx_visualizer_order.cfg"
    assert lines(name, "lvdsStreamCfg -1 0 1 0\n", "")["lvdsStreamCfg"] == "warning"
    assert lines(name, "calibData 0 0 0\n", "")["calibData"] == "note"
    assert lines(name, "dfeDataOutputMode 1\n", "")["dfeDataOutputMode"] == "warning"
    assert lines(name, "sensorStop", "# x\nsensorStop")["line 3"] == "note"
    assert lines(name, "sensorStop", "fooBar " + "9" * 249)["line 3"] == "error"
    assert "line 3" not in lines(name, "sensorStop", "fooBar " + "9" * 247)
    assert lines(name, "sensorStop", "fooBar \u00b5")["line 3"] == "warning"
    assert lines(name, "xWR18xx", "xWR2243", device="xWR1243")["command lines"] == "warning"
    assert lines("ok_1642_2tx.cfg", "lowPower 0 1", "lowPower 0 0", device="xWR1642")["lowPower"] == "warning"
    assert lines("ok_1642_2tx.cfg", "frameCfg 0 1 16", "frameCfg 0 1 20", device="xWR1642")["loops"] == "warning"


def test_board_findings():
    assert board_findings(GOOD, board("IWR1843BOOST", tx_rx_gap=(0.01, 0, 0)))[0].severity == "note"
    assert [f.severity for f in board_findings(GOOD, board("IWR1843BOOST"))] == ["warning", "note"]
    wrong = board_findings(GOOD, board("IWR1642BOOST"))
    assert [f.severity for f in wrong[:2]] == ["warning", "error"]
    assert wrong[1].got == "TX3"
    config = read_cfg(TEXTS / "ok_6843isk_3tx.cfg")
    unsure = board_findings(config, board("IWR6843LEVM", tx_rx_gap=(0.01, 0, 0)))
    assert (unsure[0].severity, unsure[0].got) == ("warning", "TX3")


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="measured data ../shared/data is not there")
def test_foreign_texts():
    """The configurations that people use break nothing, but for the one with headers in its stream."""
    for name, device in [("jws_dualradar_profile1", "xWR6843"), ("jws_dualradar_profile2", "xWR1642")]:
        assert not broken(check(read_cfg(FOREIGN / f"{name}.cfg", device=device)))
    for name in ("xwr_raw_ros_2944_v0", "xwr_raw_ros_6843aop_range_v0"):
        assert not broken(check(read_cfg(FOREIGN / f"{name}.cfg")))
    header = read_cfg(FOREIGN / "mmwavelab_iwr1843_best_range.cfg", for_capture=False)
    assert [f.limit for f in check(header) if f.severity == "error"] == ["lvdsStreamCfg (line 21)"]


def test_every_chip_can_be_checked():
    for chip in DEVICES.values():
        config = replace(GOOD, device=chip.name, tx_order=(0,), text="")
        assert isinstance(check(config), list)
