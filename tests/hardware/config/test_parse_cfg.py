"""Command lines to values: what is right, what is refused and how, whose samples are known."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.cfg_text import CfgText
from mmsar.hardware.config.limits import check
from mmsar.hardware.config.radar import UNKNOWN_LAYOUT, device_of, parse_cfg, read_cfg

TEXTS = Path(__file__).parent / "texts"
FOREIGN = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures" / "configs"
foreign = pytest.mark.skipif(not FOREIGN.is_dir(), reason="measured data ../shared/data is not there")

ALL, QQII, IIQQ = (0, 1, 2, 3), "2lane-qqii", "2lane-iiqq"
OK = {
    # device, rx, tx_order, layout, bytes of a frame (receivers sent x samples x bytes x chirps)
    "1443_2rx": ("xWR1443", (0, 1), (0, 2), "4lane", 4 * 256 * 4 * 2),
    "1443_own_firmware": ("xWR1443", ALL, (0, 2, 1), "4lane", 4 * 512 * 4 * 48),
    "1443_real": ("xWR1443", ALL, (0, 2, 1), "4lane-real", 4 * 256 * 2 * 48),
    "1642_2tx": ("xWR1642", ALL, (0, 1), QQII, 4 * 240 * 4 * 32),
    "1642_sdk1_short_adcbuf": ("xWR1642", ALL, (0,), IIQQ, 4 * 128 * 4 * 64),
    "1843_12bit_low_frames": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 64 * 4 * 765),
    "1843_1tx_studio_order": ("xWR1843", ALL, (0,), IIQQ, 4 * 512 * 4),
    "1843_2rx_trailing_spaces": ("xWR1843", (0, 2), (0, 2), QQII, 2 * 256 * 4 * 64),
    "1843_3tx_visualizer_order": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_complex2x_14bit": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_hash_comments_blank_lines": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_hw_trigger_crlf": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 12),
    "1843_many_digits": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_mixed_line_ends": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_negative_tx_start": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_no_final_newline": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_range_of_chirps": ("xWR1843", ALL, (0, 0, 0, 0), QQII, 4 * 256 * 4 * 64),
    "1843_real_samples": ("xWR1843", ALL, (0, 2, 1), "real", 4 * 256 * 2 * 48),
    "1843_second_profile_used": ("xWR1843", ALL, (0, 0, 0), QQII, 4 * 128 * 4 * 48),
    "1843_single_rx": ("xWR1843", (3,), (1,), QQII, 256 * 4 * 128),
    "1843_two_blocks_flush": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 72),
    "1843_unknown_commands": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "1843_utf8_comment": ("xWR1843", ALL, (0, 2, 1), QQII, 4 * 256 * 4 * 48),
    "2944_4tx": ("xWR2944", ALL, (0, 2, 3, 1), "real", 4 * 256 * 2 * 128),
    "6843aop": ("xWR6843", ALL, (0, 1, 2), QQII, 4 * 224 * 4 * 60),
    "6843isk_3tx": ("xWR6843", ALL, (0, 2, 1), QQII, 4 * 128 * 4 * 48),
}


def test_every_readable_text_is_in_the_table():
    assert {p.stem.removeprefix("ok_") for p in TEXTS.glob("ok_*.cfg")} == set(OK)


@pytest.mark.parametrize("name", OK)
def test_readable_texts(name):
    path = TEXTS / f"ok_{name}.cfg"
    config = read_cfg(path)
    assert (config.device, config.rx, config.tx_order, config.layout, config.frame_bytes) == OK[name]
    assert config.text.encode() == path.read_bytes()
    assert config.obstacles == ()
    assert parse_cfg(config.text, device=config.device) == config


CHECKED = {
    "1443_q_first": "Q before I",
    "1443_visualizer": r"receivers one after the other \(1\), wanted interleaved",
    "1843_interleaved": r"receivers interleaved \(0\), wanted one after the other",
    "1843_lvds_cp_cq": "format 4, wanted samples only",
    "1843_lvds_header": "headers on .* write lvdsStreamCfg -1 0 1 0",
    "1843_lvds_off": "no samples",
    "1843_three_rx": "3 receivers, wanted 1, 2 or 4",
    "2944_complex": r"complex samples \(0\), wanted real ones",
}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "adcbufCfg -1 0 0 1 1",
            r"t.cfg: adcbufCfg \(line 3\), fourth value: got receivers one after the other \(1\), wanted",
        ),
        (
            "adcbufCfg 0 0 1 1",
            r"t.cfg: adcbufCfg \(line 3\), third value: got receivers one after the other \(1\), wanted",
        ),
        ("adcbufCfg -1 0 1 0 1", r"t.cfg: adcbufCfg \(line 3\), third value: got Q before I \(1\), wanted I before Q"),
    ],
)
def test_an_order_of_samples_that_is_not_known_names_line_and_value(line, message):
    """Four lanes; the SDKs differ in the number of values of adcbufCfg."""
    lines = (TEXTS / "check_1443_q_first.cfg").read_text().splitlines()
    head = [text for text in lines if text.startswith(("channelCfg", "adcCfg"))]
    rest = [text for text in lines if text.startswith(("profileCfg", "chirpCfg", "frameCfg"))]
    with pytest.raises(FormatError, match=message):
        parse_cfg("\n".join([*head, line, *rest]), device="xWR1443", name="t.cfg")


def test_every_checked_text_is_in_the_table():
    assert {p.stem.removeprefix("check_") for p in TEXTS.glob("check_*.cfg")} == set(CHECKED)


@pytest.mark.parametrize("name", CHECKED)
def test_texts_whose_samples_are_not_known_can_be_checked_only(name):
    path = TEXTS / f"check_{name}.cfg"
    with pytest.raises(FormatError, match=CHECKED[name]):
        read_cfg(path)
    config = read_cfg(path, for_capture=False)
    assert all(finding.severity == "error" for finding in config.obstacles)
    with pytest.raises(FormatError, match=CHECKED[name]):
        config.require_capture()
    if config.layout == UNKNOWN_LAYOUT:
        with pytest.raises(FormatError, match=CHECKED[name]):
            _ = config.frame_bytes
    else:
        assert "lvds" in name


REFUSED = {
    "advanced_frame": r"line 4: dfeDataOutputMode: got 3 \(advanced frames\)",
    "bpm": "line 20: bpmCfg: got BPM on",
    "chirp_missing": "line 12: frameCfg: got chirp 3 not defined",
    "chirp_twice": "line 10: chirpCfg: got chirp 1 again, .* see line 9",
    "chirp_varies": "line 10: chirpCfg: got a change of slope of 0.5, wanted 0",
    "continuous": r"line 4: dfeDataOutputMode: got 2 \(continuous\)",
    "falling_slope": "line 8: profileCfg: got -66 for the slope, wanted more than 0",
    "frame_arity_1843": "line 12: frameCfg: got 8 values, wanted 7",
    "frame_arity_2944": "line 10: frameCfg: got 7 values, wanted 8",
    "frame_samples_2944": "line 10: frameCfg: got 128 samples, wanted 256",
    "nan": "line 8: profileCfg: got 'nan' for the slope",
    "no_frame": "got no frameCfg, wanted one",
    "no_tx": "line 9: chirpCfg: got 0 transmitters in chirp 0",
    "real_against_complex": "line 7: adcbufCfg: got complex, wanted real, as adcCfg says",
    "short_profile": "line 8: profileCfg: got 13 values, wanted 14",
    "subframe_buffer": "line 7: adcbufCfg: got subframe 1",
    "tabs": "line 6: .*got a tab, wanted spaces",
    "third_tx_on_1642": "line 5: channelCfg: got 7 for the transmitter mask, wanted a whole number, 1 to 3",
    "trailing_comment": "line 6: adcCfg: got 5 values, wanted 2",
    "two_channel_cfgs": "line 6: channelCfg: got other values than on line 5",
    "two_profiles": r"line 12: frameCfg: got profiles \[0, 1\] in one frame",
    "two_tx_at_once": "line 9: chirpCfg: got 2 transmitters in chirp 0, wanted one; .*time-division",
    "tx_not_enabled": "line 10: chirpCfg: got transmitters 4, wanted some of channelCfg's 3",
    "word_for_number": "line 8: profileCfg: got 'fast' for the slope",
}


def test_every_refused_text_is_in_the_table():
    assert {p.stem.removeprefix("refused_") for p in TEXTS.glob("refused_*.cfg")} == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_texts(name):
    path = TEXTS / f"refused_{name}.cfg"
    for for_capture in (True, False):
        with pytest.raises(FormatError, match=REFUSED[name]) as caught:
            read_cfg(path, for_capture=for_capture)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_other_radar_line_is_named():
    with pytest.raises(GeometryError, match="got 'xWRL6432', wanted one of xWR1243"):
        read_cfg(TEXTS / "other_6432_low_power.cfg")
    with pytest.raises(FormatError, match="line 4: chirpComnCfg: got a command of an xWRL radar"):
        read_cfg(TEXTS / "other_6432_low_power.cfg", device="xWR6843")
    with pytest.raises(FormatError, match="got no channelCfg"):
        read_cfg(TEXTS / "other_people_tracking.cfg")


@pytest.mark.parametrize("name", ["other_comments_only", "other_empty", "other_newlines_only"])
def test_files_without_a_command(name):
    for device in (None, "xWR1843"):
        with pytest.raises(FormatError, match=r"got (no command|an empty file), wanted a radar configuration"):
            read_cfg(TEXTS / f"{name}.cfg", device=device)


def test_chip_is_never_guessed(tmp_path):
    path = tmp_path / "x.cfg"
    lines = (TEXTS / "ok_1843_3tx_visualizer_order.cfg").read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("%")))
    with pytest.raises(FormatError, match="got no chip named in its comments, wanted one; say --device"):
        read_cfg(path)
    path.write_text('{"robot": 1}')
    with pytest.raises(FormatError, match=r"got JSON with robot, wanted a radar configuration"):
        read_cfg(path)


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("% Platform:xWR18xx", "xWR1843"),
        ("# for the IWR6843ISK-ODS, wall scan", "xWR6843"),
        ("% AWR1843 (also IWR1843BOOST)", "xWR1843"),
        ("% works on IWR1843 and IWR6843", None),
        ("% xWRL6432", None),
        ("% 1843", None),
        ("xWR1843 not a comment", None),
        ("", None),
    ],
)
def test_chip_from_the_comments(comment, found):
    assert device_of(f"{comment}\nsensorStop\n") == found


def test_two_chips_in_the_comments_are_named(tmp_path):
    path = tmp_path / "two.cfg"
    path.write_text(
        "% works on IWR1843 and IWR6843\n" + (TEXTS / "ok_1843_single_rx.cfg").read_text().split("\n", 1)[1]
    )
    with pytest.raises(FormatError, match="got the chips xWR1843, xWR6843 named"):
        read_cfg(path)
    assert read_cfg(path, device="IWR1843").rx == (3,)


def test_flush_starts_again():
    config = read_cfg(TEXTS / "ok_1843_two_blocks_flush.cfg")
    assert (config.n_loops, config.frame_period) == (24, 0.06)


def test_profile_of_the_chirps_is_used():
    config = read_cfg(TEXTS / "ok_1843_second_profile_used.cfg")
    assert (config.start_frequency, config.n_samples, config.hpf, config.rx_gain) == (77.25e9, 128, (1, 1), 36)


def test_values_of_rare_fields():
    config = read_cfg(TEXTS / "ok_1843_negative_tx_start.cfg")
    assert (config.tx_start, config.tx_backoff, config.tx_phase) == (-1.5e-6, 5, 8)
    assert (config.hpf, config.rx_gain) == ((2, 3), 44)
    twice = read_cfg(TEXTS / "ok_1843_complex2x_14bit.cfg")
    assert (twice.complex2x, twice.adc_bits, twice.complex_samples) == (True, 14, True)
    assert read_cfg(TEXTS / "ok_1843_12bit_low_frames.cfg").adc_bits == 12
    assert read_cfg(TEXTS / "ok_1843_hw_trigger_crlf.cfg").trigger == "hardware"


WORDS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "2",
        "511",
        "512",
        "1e3",
        "1e-3",
        "1e999",
        "nan",
        "0x1",
        "1_0",
        "\u0663",
        "",
        "x",
        "%",
        "3.7",
        "1 1",
    ]
)


@given(st.integers(0, 10**6), WORDS)
def test_any_changed_word_is_read_or_refused(place, word):
    """A damaged text never ends in another error, and never in values that are not those of its words."""
    text = (TEXTS / "ok_1843_3tx_visualizer_order.cfg").read_text()
    words = re.split(r"( |\n)", text)
    words[2 * (place % (len(words) // 2))] = word
    try:
        config = parse_cfg("".join(words), device="xWR1843", for_capture=False)
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        first, last = (int(w) for w in CfgText.parse(config.text).named("frameCfg")[0].args[:2])
        assert config.n_tx == last - first + 1
        check(config)


@pytest.mark.parametrize("word", ["1_0", "\u0663", "0x10", "1e2", "inf", "16.5", "+-1"])
def test_numbers_that_the_radar_would_read_otherwise(word):
    text = (TEXTS / "ok_1843_3tx_visualizer_order.cfg").read_text().replace("frameCfg 0 2 16", f"frameCfg 0 2 {word}")
    with pytest.raises(FormatError, match=r"line 13: frameCfg: got .* for the number of loops, wanted a"):
        parse_cfg(text, device="xWR1843")


@foreign
@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("jws_dualradar_profile1", "xWR6843", ((0, 2), 60e9, 124.996e12, 64, "hardware", 0.001)),
        ("jws_dualradar_profile2", "xWR1642", ((0, 1), 77e9, 124.996e12, 64, "hardware", 0.001)),
        ("mmwavelab_iwr1843_best_range", None, ((0,), 77e9, 77.8e12, 256, "software", 0.1)),
        ("xwr_raw_ros_2944_v0", None, ((0, 2, 3), 77e9, 70e12, 256, "software", 0.03333)),
        ("xwr_raw_ros_6843aop_range_v0", None, ((0, 1, 2), 60e9, 35e12, 224, "software", 0.033333)),
    ],
)
def test_foreign_texts(name, device, expected):
    config = read_cfg(FOREIGN / f"{name}.cfg", device=device, for_capture=False)
    got = (config.tx_order, config.start_frequency, config.slope, config.n_samples, config.trigger, config.frame_period)
    assert got == expected
    assert config.rx == ALL


@foreign
def test_foreign_header_mode_is_refused_for_capture():
    with pytest.raises(FormatError, match=r"lvdsStreamCfg \(line 21\): got headers on"):
        read_cfg(FOREIGN / "mmwavelab_iwr1843_best_range.cfg")


@foreign
def test_foreign_pymmw_configuration_names_what_is_missing():
    path = FOREIGN / "pymmw_14_capture-xWR14xx_1-256-30.cfg"
    with pytest.raises(FormatError, match=r"channelCfg\.rxMask: got null, wanted a number; pymmw fills it in"):
        read_cfg(path, device="xWR1443")
    with pytest.raises(FormatError, match="say --device"):
        read_cfg(path)
    text = path.read_text().replace('"rxMask": null', '"rxMask": 15').replace('"txMask": null', '"txMask": 1')
    config = parse_cfg(text, device="xWR1443", for_capture=False)
    assert (config.text, config.n_loops, config.n_samples, config.fs) == (text, 128, 256, 8e6)
    assert (config.slope, config.adc_start, config.complex2x) == (40e12, 5e-6, True)
    assert len(config.obstacles) == 2  # Q first, receivers one after the other
