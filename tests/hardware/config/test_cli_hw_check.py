"""`mmsar hw check`: the table, the findings, JSON and exit codes."""

import json
from pathlib import Path

import pytest

from mmsar.cli import main

TEXTS = Path(__file__).parent / "texts"
GOOD = str(TEXTS / "ok_1843_3tx_visualizer_order.cfg")


def check(*arguments):
    return main(["hw", "check", *map(str, arguments)])


def test_good_configuration(capsys):
    assert check(GOOD) == 0
    out = capsys.readouterr().out
    assert "xWR1843, 3 TX x 4 RX x 256 complex samples x 16 loops, endless" in out
    assert "TX1, TX3, TX2 in turn, a chirp every 67 us" in out
    assert "3.3792 GHz sampled" in out
    assert "196,608 bytes a frame" in out
    assert "order 2lane-qqii" in out
    assert out.endswith("result      0 errors, 0 warnings, 0 notes\n")


def test_too_fast_a_scan(capsys):
    assert check(GOOD, "--speed", 20) == 3
    assert "error       sampling in space: got a frame every 1 mm at 20 mm/s" in capsys.readouterr().out
    assert check(GOOD, "--speed", 18) == 0


@pytest.mark.parametrize("name", sorted(p.name for p in TEXTS.glob("check_*.cfg")))
def test_configuration_to_check_only(name, capsys):
    assert check(TEXTS / name) == 3
    assert "error       " in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(p.name for p in TEXTS.glob("refused_*.cfg")))
def test_refused_configuration(name, capsys):
    assert check(TEXTS / name) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "wanted" in captured.err


def test_json(capsys):
    assert check(GOOD, "--json", "--board", "IWR1843BOOST", "--packet-delay", 5) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert (report["kind"], report["device"], report["board"]) == ("radar", "xWR1843", "IWR1843BOOST")
    assert report["config"]["tx_order"] == [0, 2, 1]
    assert report["derived"]["first_frequency"] == pytest.approx(77.396e9)
    assert report["quantised"]["slope"]["nominal"] == 66e12
    assert [f["severity"] for f in report["findings"]] == ["warning", "note"]


def test_card_configuration(tmp_path, capsys):
    path = tmp_path / "cf.json"
    card = {"dataLoggingMode": "raw", "dataTransferMode": "LVDSCapture", "dataCaptureMode": "ethernetStream"}
    card |= {"lvdsMode": 1, "dataFormatMode": 3, "packetDelay_us": 25}
    path.write_text(json.dumps({"DCA1000Config": card}))
    assert check(path) == 0
    assert "317.1 Mb/s at a packet delay of 25 us" in capsys.readouterr().out
    assert check(path, "--device", "xWR1843", "--json") == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["ok"], report["settings"]["lvds_lanes"]) == ("card", False, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GOOD, "--device", "IWR1"), "device: got 'IWR1', wanted one of"),
        ((GOOD, "--board", "mine"), "board: got 'mine', wanted one of"),
        ((TEXTS / "other_empty.cfg",), "got an empty file, wanted a radar configuration"),
        ((TEXTS / "none.cfg",), "no such file or folder"),
        ((TEXTS,), "check the path"),
    ],
)
def test_wrong_input_is_one_line(arguments, message, capsys):
    assert check(*arguments) == 3
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--speed", "fast", "got 'fast', wanted a number above 0"),
        ("--packet-delay", "fast", "got 'fast', wanted a number above 0"),
        ("--packet-delay", "600", "got 600 us, wanted 5 to 500"),
    ],
)
def test_usage(option, value, message, capsys):
    with pytest.raises(SystemExit) as stop:
        check(GOOD, option, value)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
