"""Descriptions: every wrong key, kind of value or combination is refused by name."""

from pathlib import Path
from typing import Any

import pytest

from mmsar.errors import FormatError
from mmsar.io.importers import import_scan
from mmsar.io.importers.description import KEYS, TABLES, read_description
from mmsar.io.importers.geometry import array_of, chirp_of

WAVE = {"start_ghz": 77, "slope_mhz_us": 60, "adc_start_us": 5, "sample_rate_ksps": 9000, "samples": 64}


def read(tables: dict[str, Any], data: Path = Path("data.bin")) -> Any:
    return read_description(tables, data)


def refusal(tables: dict[str, Any]) -> str:
    with pytest.raises(FormatError) as caught:
        read(tables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({}, "format: missing"),
        ({"format": "csv"}, "format: got 'csv', wanted one of ti-raw, mat, npz"),
        ({"format": "ti-raw", "wavefrom": {}}, "wavefrom: unknown key; did you mean waveform?"),
        (
            {"format": "ti-raw", "waveform": {"start_gz": 77}},
            "[waveform] start_gz: unknown key; did you mean start_ghz?",
        ),
        ({"format": "ti-raw", "waveform": {"layout": "4lane"}}, "layout: unknown key; it belongs to [capture]"),
        ({"format": "ti-raw", "scan": {"zzzz": 1}}, "zzzz: unknown key; known are n_x"),
        ({"format": "ti-raw", "data": {}}, '[data]: does not belong to format "ti-raw"'),
        ({"format": "ti-raw", "scan": 3}, "[scan]: got 3, wanted a table"),
        ({"format": "ti-raw", "waveform": {"start_ghz": "77"}}, "start_ghz: got '77', wanted a number above 0"),
        ({"format": "ti-raw", "waveform": {"start_ghz": -1}}, "wanted a number above 0"),
        ({"format": "ti-raw", "waveform": {"start_ghz": float("nan")}}, "wanted a number above 0"),
        ({"format": "ti-raw", "waveform": {"samples": 64.0}}, "samples: got 64.0, wanted a whole number >= 1"),
        ({"format": "ti-raw", "capture": {"rx": True}}, "rx: got True"),
        ({"format": "ti-raw", "capture": {"layout": "3lane"}}, "wanted one of 4lane, 2lane-iiqq"),
        ({"format": "ti-raw", "capture": {"offset_binary": 1}}, "wanted true or false"),
        ({"format": "ti-raw", "array": {"tx_mm": [[0, 0]]}}, "wanted a list of [x, y, z]"),
        ({"format": "ti-raw", "array": {"use_tx": []}}, "wanted a list of numbers"),
        ({"format": "ti-raw", "calibration": {"gain": ["a"]}}, "wanted a list of numbers"),
        ({"format": "mat", "data": {"axes": ["x", "x"]}}, "wanted a list out of pose"),
        ({"format": "mat", "data": {"divide_by": {"strid": 4}}}, "did you mean stride?"),
        ({"format": "mat", "name": ""}, "name: got '', wanted a text"),
    ],
)
def test_wrong_descriptions(tables: dict[str, Any], expected: str) -> None:
    assert expected in refusal(tables)


def test_every_table_and_key_is_documented_kind() -> None:
    assert all(set(tables) <= set(KEYS) for tables in TABLES.values())
    assert all(isinstance(kind, str | tuple) and kind for keys in KEYS.values() for kind in keys.values())


@pytest.mark.parametrize(
    ("wave", "expected"),
    [
        ({"samples": 4}, "start_ghz: missing"),
        ({"start_ghz": 5, "samples": 4}, "slope_mhz_us: missing"),
        ({**WAVE, "adc_start_us": None}, "adc_start_us: missing"),
        ({**WAVE, "stop_ghz": 81}, "both stop_ghz (stepped) and slope_mhz_us (chirp)"),
        ({"start_ghz": 5, "samples": 4, "stop_ghz": 6, "step_mhz": 1}, "both stop_ghz and step_mhz"),
        ({"start_ghz": 5, "samples": 4, "stop_ghz": 5}, "stop_ghz: got 5 with start_ghz 5, wanted more"),
    ],
)
def test_wrong_waveforms(wave: dict[str, Any], expected: str) -> None:
    wave = {key: value for key, value in wave.items() if value is not None}
    with pytest.raises(FormatError) as caught:
        chirp_of(read({"format": "ti-raw", "waveform": wave}))
    assert expected in str(caught.value)


def test_waveforms() -> None:
    chirp = chirp_of(read({"format": "ti-raw", "waveform": WAVE}))
    assert chirp.f0 == pytest.approx(77.3e9) and chirp.fs == 9e6 and chirp.slope == 60e12
    by_stop = chirp_of(read({"format": "mat", "waveform": {"start_ghz": 5.7, "stop_ghz": 8.2, "samples": 101}}))
    by_step = chirp_of(read({"format": "mat", "waveform": {"start_ghz": 5.7, "step_mhz": 25, "samples": 101}}))
    assert by_stop.f[-1] == pytest.approx(8.2e9) and by_step.f[-1] == pytest.approx(8.2e9)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ({}, "wanted either board or both"),
        ({"board": "single", "tx_mm": [[0, 0, 0]]}, "wanted either board or both"),
        ({"tx_mm": [[0, 0, 0]]}, "rx_mm: missing"),
        ({"board": "iwr1443", "use_rx": [1, 5]}, "wanted different numbers from 1 to 4"),
        ({"board": "iwr1443", "use_tx": [1, 1]}, "wanted different numbers from 1 to 3"),
        ({"tx_mm": [[0, 0, 0]], "rx_mm": [[0, 0, 0]], "use_rx": [1]}, "only with board"),
        (
            {"tx_mm": [[0, 0, 0]], "rx_mm": [[0, 0, 0]], "polarity": [1, -1]},
            "polarity: got shape (2,), wanted 1 numbers",
        ),
    ],
)
def test_wrong_arrays(array: dict[str, Any], expected: str) -> None:
    with pytest.raises(FormatError) as caught:
        array_of(read({"format": "ti-raw", "array": array}))
    assert expected in str(caught.value)


def test_where_the_description_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"1234")
    with pytest.raises(FormatError, match=r"does not describe itself.*a\.toml"):
        import_scan(tmp_path / "a.bin")
    with pytest.raises(FormatError, match=r"does not describe itself.*scan\.toml"):
        import_scan(tmp_path)
    with pytest.raises(FormatError, match=r"no such description"):
        import_scan(tmp_path, tmp_path / "none.toml")
    with pytest.raises(FormatError, match=r"no such file or folder"):
        import_scan(tmp_path / "b.bin", {})
    (tmp_path / "a.toml").write_text("format = \n")
    with pytest.raises(FormatError, match=r"a\.toml: not valid TOML.*line 1"):
        import_scan(tmp_path / "a.bin")
    (tmp_path / "a.toml").write_text('format = "ti-raw"\n')
    with pytest.raises(FormatError, match=r"a\.toml: \[waveform\] start_ghz: missing"):
        import_scan(tmp_path / "a.bin")
