"""cf.json of TI's card tools: values, ranges, and a real file."""

import json
from pathlib import Path

import pytest

from mmsar.errors import FormatError
from mmsar.hardware.config.bench_findings import card_findings
from mmsar.hardware.config.dca_json import parse_cf_json, read_cf_json

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures" / "dca1000_1443" / "cf.json"
CARD = {
    "dataLoggingMode": "raw",
    "dataTransferMode": "LVDSCapture",
    "dataCaptureMode": "ethernetStream",
    "lvdsMode": 1,
    "dataFormatMode": 3,
    "packetDelay_us": 25,
}


def cf(**changes):
    entry = {key: value for key, value in {**CARD, **changes}.items() if value is not None}
    return json.dumps({"DCA1000Config": entry})


def test_smallest_file_has_the_documented_defaults():
    found = parse_cf_json(cf())
    assert (found.lvds_lanes, found.format_bits, found.packet_delay_s) == (4, 16, 25e-6)
    assert (found.card_ip, found.host_ip) == ("192.168.33.180", "192.168.33.30")
    assert (found.config_port, found.data_port) == (4096, 4098)
    assert (found.reordered, found.msb_toggle, found.sequence_numbers) == (True, False, False)
    assert found.stop_mode is None
    assert found.text == cf()


@pytest.mark.parametrize(("code", "bits"), [(1, 12), (2, 14), (3, 16)])
def test_bits(code, bits):
    assert parse_cf_json(cf(dataFormatMode=code)).format_bits == bits


@pytest.mark.parametrize(
    ("stop", "after"),
    [
        ({"captureStopMode": "bytes", "bytesToCapture": 4096}, 4096),
        ({"captureStopMode": "frames", "framesToCapture": 40}, 40),
        ({"captureStopMode": "duration", "durationToCapture_ms": 1500}, 1.5),
        ({"captureStopMode": "infinite"}, None),
    ],
)
def test_when_it_stops(stop, after):
    found = parse_cf_json(cf(captureConfig=stop))
    assert (found.stop_mode, found.stop_after) == (stop["captureStopMode"], after)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lvdsMode": 3}, "lvdsMode: got 3, wanted 1 to 2"),
        ({"lvdsMode": None}, "lvdsMode: got None, wanted a number"),
        ({"dataFormatMode": 0}, "dataFormatMode: got 0"),
        ({"packetDelay_us": 4}, r"packetDelay_us: got 4, wanted 5 to 500 \[us\]"),
        ({"packetDelay_us": 501}, "packetDelay_us: got 501"),
        ({"packetDelay_us": True}, "packetDelay_us: got True, wanted a number"),
        ({"dataLoggingMode": "some"}, "dataLoggingMode: got 'some', wanted one of raw, multi"),
        ({"ethernetConfig": {"DCA1000IPAddress": "192.168.33.300"}}, "DCA1000IPAddress: .*wanted an IPv4 address"),
        ({"ethernetConfig": {"DCA1000DataPort": 70000}}, "DCA1000DataPort: got 70000, wanted 1 to 65535"),
        ({"captureConfig": {"captureStopMode": "frames"}}, "framesToCapture: got None"),
        ({"captureConfig": {"captureStopMode": "infinite", "maxRecFileSize_MB": 2048}}, "maxRecFileSize_MB: got 2048"),
        ({"dataFormatConfig": {"reorderEnable": 2}}, "reorderEnable: got 2, wanted 0 to 1"),
        ({"dataFormatConfig": []}, r"dataFormatConfig: got \[\], wanted an object"),
    ],
)
def test_wrong_values_are_refused_in_one_line(changes, message):
    with pytest.raises(FormatError, match=message) as caught:
        parse_cf_json(cf(**changes), name="cf.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"DCA1000Config": 3}', "\ufeff{}", "{'x': 1}"])
def test_what_is_no_such_file(text):
    with pytest.raises(FormatError, match="wanted"):
        parse_cf_json(text)


@pytest.mark.parametrize("delay", range(5, 501, 15))
def test_every_delay_in_range_is_taken(delay):
    assert parse_cf_json(cf(packetDelay_us=delay)).packet_delay_s == pytest.approx(delay * 1e-6, rel=1e-12)


def test_findings():
    assert card_findings(parse_cf_json(cf(dataFormatConfig={"reorderEnable": 0})), "xWR1443") == []
    wrong = cf(dataLoggingMode="multi", dataTransferMode="playback", dataCaptureMode="SDCardStorage")
    errors = [f.limit for f in card_findings(parse_cf_json(wrong)) if f.severity == "error"]
    assert errors == ["dataLoggingMode", "dataTransferMode", "dataCaptureMode"]
    toggled = parse_cf_json(cf(dataFormatConfig={"MSBToggle": 1, "reorderEnable": 1}))
    assert [(f.severity, f.limit) for f in card_findings(toggled)] == [("note", "reorderEnable"), ("note", "MSBToggle")]
    plain = {"dataFormatConfig": {"reorderEnable": 0}}
    assert [f.severity for f in card_findings(parse_cf_json(cf(**plain)), "xWR1843")] == ["error"]
    assert [f.severity for f in card_findings(parse_cf_json(cf(lvdsMode=2, **plain)), "xWR1443")] == ["warning"]
    assert [f.limit for f in card_findings(parse_cf_json(cf(**plain)), "MMWCAS")] == ["device"]


@pytest.mark.skipif(not REAL.is_file(), reason="measured data ../shared/data is not there")
def test_real_file():
    found = read_cf_json(REAL)
    assert (found.lvds_lanes, found.format_bits, found.packet_delay_s) == (2, 16, 50e-6)
    assert (found.host_ip, found.card_ip) == ("192.168.33.42", "192.168.33.180")
    assert (found.reordered, found.msb_toggle, found.sequence_numbers) == (False, False, True)
    assert (found.stop_mode, found.stop_after, found.file_prefix) == ("duration", 15.0, "adc_data")
    assert found.max_file_bytes == 2**30
    assert found.text.encode() == REAL.read_bytes()
