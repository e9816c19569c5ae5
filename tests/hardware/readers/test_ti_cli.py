"""What the card's settings make of a configuration's layout, and the settings that contradict it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.hardware.config.dca_json import parse_cf_json
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.readers.ti_cli import stored
from mmsar.io.importers.iq_layout import decode, encode

TEXT = """dfeDataOutputMode 1
channelCfg {rx} 1 0
adcCfg 2 {kind}
adcbufCfg -1 {real} {swap} {separate} 1
profileCfg 0 77 7 6 60 0 0 60 0 16 5000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 0 4 10 40 1 0
"""


def config_of(device: str, *, rx: int = 15, swap: int = 0, real: int = 0):
    text = TEXT.format(rx=rx, kind=1 - real, real=real, swap=swap, separate=int(device in ("xWR1843", "xWR6843")))
    return parse_cfg(text, device=device)


def settings_of(lanes: int = 4, *, reorder: int = 0, toggle: int = 0, bits: int = 3, mode: str = "raw"):
    card = {
        "dataLoggingMode": mode,
        "dataTransferMode": "LVDSCapture",
        "dataCaptureMode": "ethernetStream",
        "lvdsMode": {4: 1, 2: 2}[lanes],
        "dataFormatMode": bits,
        "packetDelay_us": 25,
        "dataFormatConfig": {"MSBToggle": toggle, "reorderEnable": reorder},
    }
    return parse_cf_json(json.dumps({"DCA1000Config": card}))


@pytest.mark.parametrize(
    ("device", "swap", "lanes", "reorder", "layout"),
    [
        ("xWR1843", 0, 2, 0, "2lane-iiqq"),
        ("xWR1843", 0, 2, 1, "iqiq"),
        ("xWR6843", 1, 2, 0, "2lane-qqii"),
        ("xWR6843", 1, 2, 1, "qiqi"),
        ("xWR1443", 0, 4, 0, "4lane"),
        ("xWR1243", 0, 4, 1, "4lane-iqiq"),
        ("xWR1443", 0, 2, 0, "2lane-interleaved"),
        ("xWR1443", 0, 2, 1, "4lane-iqiq"),
    ],
)
def test_layouts(device: str, swap: int, lanes: int, reorder: int, layout: str) -> None:
    found = stored(settings_of(lanes, reorder=reorder, toggle=reorder), config_of(device, swap=swap))
    assert found.layout == layout and found.offset_binary == bool(reorder)


def test_two_lanes_of_a_four_lane_chip_reordered() -> None:
    """The groups of four words I I Q Q become I Q I Q: the same file as four lanes reordered."""
    rng = np.random.default_rng(0)
    cube = rng.integers(-900, 900, (1, 2, 4, 8)) + 1j * rng.integers(-900, 900, (1, 2, 4, 8))
    raw = encode(cube, "2lane-interleaved").reshape(-1, 4)
    reordered = raw[:, [0, 2, 1, 3]].ravel()
    assert np.array_equal(decode(reordered, "4lane-iqiq", chirps=2, samples=8, rx=4), cube)


def test_contradictions() -> None:
    def refusal(settings, config) -> str:
        with pytest.raises(FormatError) as caught:
            stored(settings, config, name="cf.json")
        assert "\n" not in str(caught.value) and str(caught.value).startswith("cf.json: ")
        return str(caught.value)

    two, four = config_of("xWR1843"), config_of("xWR1443")
    assert "got 4 lanes, but xWR1843 has 2" in refusal(settings_of(4), two)
    assert "got 14 bits, but the configuration says 16" in refusal(settings_of(4, bits=2), four)
    assert "split by headers" in refusal(settings_of(4, mode="multi"), four)
    real = config_of("xWR1443", real=1)
    assert stored(settings_of(4), real).layout == "4lane-real"
    assert "2 of xWR1443's 4 lanes with real samples" in refusal(settings_of(2), real)
    assert "reorderEnable: got 1 for real samples" in refusal(settings_of(4, reorder=1), real)
    few = config_of("xWR1443", rx=3)
    assert "of 2 receivers, wanted 0" in refusal(settings_of(2, reorder=1), few)
    assert stored(settings_of(4), replace(four, adc_bits=16)).layout == "4lane"
