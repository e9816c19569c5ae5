"""The emulated command line: character for character, and the states of the demo behind it."""

import select
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from mmsar.hardware.emulate.radar import RadarPty
from mmsar.hardware.radar_cli import RadarCli

CFG = """% a comment
sensorStop
flushCfg
dfeDataOutputMode 1
channelCfg 15 5 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
lowPower 0 0
profileCfg 0 77 7 6 40 0 0 70.006 1 64 4000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 4
frameCfg 0 1 4 10 20 1 0
guiMonitor -1 0 0 0 0 0 0
cfarCfg -1 0 2 8 4 3 0 15 1
compRangeBiasAndRxChanPhase 0.0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0
calibData 0 0 0
lvdsStreamCfg -1 0 1 0
"""
CONFIGS = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures" / "configs"


@contextmanager
def board(**options):
    """(ask, radar): ask(bytes, wait) gives everything up to a prompt and a moment's silence, or `wait` [s]."""
    radar = RadarPty(**options)
    with radar, serial.Serial(radar.port, 115200, timeout=0.01) as port:

        def ask(data: bytes, wait: float = 5.0) -> bytes:
            port.write(data)
            said, deadline = b"", time.monotonic() + wait
            while time.monotonic() < deadline:
                more = port.read(100_000)
                said += more
                if not more and said.endswith(radar.prompt) and wait >= 5.0:
                    break
            return said

        yield ask, radar


def obeyed(ask, text=CFG) -> list[bytes]:
    return [ask(line.encode() + b"\n") for line in text.splitlines()]


def test_stop_verbatim():
    with board() as (ask, _):
        wanted = b"sensorStop\nIgnored: Sensor is already stopped\n\rDone\n\rmmwDemo:/>"
        assert ask(b"sensorStop\n") == wanted


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"", b"\nmmwDemo:/>"),
        (b"% text", b"% text\nSkipped\n\rmmwDemo:/>"),
        (b"flushCfg", b"flushCfg\nDone\n\rmmwDemo:/>"),
        (b"wrong 1 2", b"wrong 1 2\n'wrong' is not recognized as a CLI command\n\rmmwDemo:/>"),
        (b"# text", b"# text\n'#' is not recognized as a CLI command\n\rmmwDemo:/>"),
        (b"a\tb", b"a\tb\n'a\tb' is not recognized as a CLI command\n\rmmwDemo:/>"),
        (
            b"frameCfg 0 1",
            b"frameCfg 0 1\nError: Invalid usage of the CLI command\n\rError -1\n\rmmwDemo:/>",
        ),
        (b"sensorStart", b"sensorStart\nError -1\n\rmmwDemo:/>"),
        (b"sensorStart 0", b"sensorStart 0\nError -1\n\rmmwDemo:/>"),
        (
            b"version",
            b"version\nPlatform                : xWR18xx\n\r"
            b"mmWave SDK Version      : 03.05.00.04\n\rDone\n\rmmwDemo:/>",
        ),
    ],
)
def test_answers_verbatim(line, answer):
    with board() as (ask, _):
        assert ask(line + b"\n") == answer


def test_whole_life():
    told = []
    with board(on_start=told.append, on_stop=lambda: told.append("stop")) as (ask, radar):
        answers = obeyed(ask)
        assert answers[0] == b"% a comment\nSkipped\n\rmmwDemo:/>"
        assert all(b"Done\n\rmmwDemo:/>" in a for a in answers[1:])
        assert ask(b"sensorStart\n") == b"sensorStart\nDone\n\rmmwDemo:/>"
        (config,) = told
        assert (config.n_frames, config.n_loops, config.tx_order, config.n_samples) == (10, 4, (0, 2), 64)
        assert config.slope == pytest.approx(70.006e12, rel=1e-12)
        assert radar.problem is None
        assert b"Ignored: Sensor is already started\n\rDone" in ask(b"sensorStart\n")
        assert b"Error -1" in ask(b"flushCfg\n")
        assert b"Error -1" in ask(b"frameCfg 0 1 4 10 20 1 0\n")
        assert ask(b"sensorStop\n") == b"sensorStop\nDone\n\rmmwDemo:/>"
        assert told[1] == "stop"
        assert b"Error -1" in ask(b"frameCfg 0 1 4 10 20 1 0\n")  # not before flushCfg
        assert b"Done" in ask(b"sensorStart 0\n")
        assert told[2] == config
        assert b"Done" in ask(b"sensorStop\n")
        obeyed(ask, CFG.replace("frameCfg 0 1 4 10", "frameCfg 0 1 2 7"))
        assert b"Done" in ask(b"sensorStart\n")
        assert (told[4].n_loops, told[4].n_frames) == (2, 7)
        assert radar.starts == 3


def test_channels_cannot_change_before_a_reboot():
    with board(reboot_time=0.1) as (ask, radar):
        obeyed(ask)
        assert b"Done" in ask(b"channelCfg 15 1 0\n")
        ask(b"channelCfg 15 5 0\n")
        ask(b"sensorStart\n")
        ask(b"sensorStop\n")
        ask(b"flushCfg\n")
        assert b"Error -1" in ask(b"channelCfg 15 1 0\n")
        assert b"Done" in ask(b"channelCfg 15 5 0\n")
        radar.reboot()
        assert ask(b"") == b"mmwDemo:/>"
        assert b"Done" in ask(b"channelCfg 15 1 0\n")


def test_power_up_banner():
    """Read without pyserial, which throws away what came before it opened the port."""
    said = b""
    with RadarPty(banner=True) as radar, open(radar.port, "rb", buffering=0) as port:
        while not said.endswith(radar.prompt):
            assert select.select([port], [], [], 5.0)[0], said
            said += port.read(1000)
    assert said.startswith(b"\xfe\x00*****")
    assert said.endswith(b"*\n\rmmwDemo:/>")


def test_reboot_stops_forgets_and_does_not_listen():
    told = []
    with board(on_stop=lambda: told.append("stop"), reboot_time=1.0, banner=True) as (ask, radar):
        obeyed(ask)
        ask(b"sensorStart\n")
        radar.reboot()
        time.sleep(0.05)
        said = ask(b"sensorStop\n")
        assert told == ["stop"]
        assert said.startswith(b"\xfe\x00*****")
        assert b"sensorStop" not in said
        assert b"xWR18xx MMW Demo" in said
        assert b"Error -1" in ask(b"sensorStart\n")


def test_what_sends_no_samples_starts_all_the_same():
    for text, problem in (
        (CFG.replace("lvdsStreamCfg -1 0 1 0", "lvdsStreamCfg -1 0 0 0"), "lvdsStreamCfg"),
        (CFG.replace("lvdsStreamCfg -1 0 1 0\n", ""), "no lvdsStreamCfg: the samples stay on the chip"),
    ):
        told = []
        with board(on_start=told.append) as (ask, radar):
            obeyed(ask, text)
            assert b"Done" in ask(b"sensorStart\n")
            assert told == []
            assert problem in radar.problem


def test_stock_1443_has_no_lvds_and_other_numbers_of_values():
    with board(device="xWR1443", lvds=False) as (ask, _):
        assert b"not recognized" in ask(b"lvdsStreamCfg -1 0 1 0\n")
        assert b"Done" in ask(b"adcbufCfg 0 1 1 1\n")
        assert b"Error -1" in ask(b"adcbufCfg -1 0 1 1 1\n")
        assert b"Platform                : xWR14xx" in ask(b"version\n")


def test_stray_bytes_spoil_the_first_line_only():
    with board(stray=b"?`??~") as (ask, _):
        assert b"'?`??~version' is not recognized as a CLI command" in ask(b"version\n")
        assert b"Done" in ask(b"version\n")


def test_line_ends_and_pieces():
    with board() as (ask, radar):
        for data in (b"flushCfg\r", b"flushCfg\n", b"flushCfg\r\n"):
            assert ask(data) == b"flushCfg\nDone\n\rmmwDemo:/>"
        for byte in b"versio":
            ask(bytes([byte]), 0.01)
        assert b"Done" in ask(b"n\n")
        assert ask(b"x" * 300 + b"\n").count(b"not recognized") == 2
        assert radar.lines[-2:] == ["x" * 255, "x" * 45]


def test_slow_board_loses_what_its_fifo_does_not_hold():
    with board(line_time=0.4, fifo=16) as (ask, radar):
        assert b"Done" not in ask(b"flushCfg\n", 0.01)
        ask(b"dfeDataOutputMode 1\nchannelCfg 15 5 0\n", 1.0)
        assert radar.lost > 0
        assert radar.lines[:1] == ["flushCfg"]
    with board(line_time=0.02) as (ask, radar):
        assert ask(CFG.encode(), 1.0).count(b"mmwDemo:/>") == CFG.count("\n")


def test_prompt_variants():
    with board(prompt="vodDemo:/>") as (ask, _):
        assert ask(b"flushCfg\n") == b"flushCfg\nDone\n\rvodDemo:/>"


def test_with_the_products_command_line():
    told = []
    with RadarPty(on_start=told.append, banner=True, stray=b"\x01") as radar, RadarCli(radar.port) as cli:
        assert "xWR18xx" in cli.probe()
        cli.configure(CFG.replace("% a comment\n", ""))
        cli.start()
        assert len(told) == 1
        assert cli.stop() is None


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("jws_dualradar_profile1.cfg", "xWR6843"),
        ("jws_dualradar_profile2.cfg", "xWR1642"),
        ("xwr_raw_ros_2944_v0.cfg", "xWR2944"),
    ],
)
def test_real_configurations_are_taken(name, device):
    path = CONFIGS / name
    if not path.is_file():
        pytest.skip("measured data ../shared/data is not there")
    with board(device=device) as (ask, radar):
        for line in path.read_text().splitlines():
            if line.strip() and not line.startswith("%"):
                answer = ask(line.strip().encode() + b"\n")
                assert b"Done" in answer, answer
        assert len(radar.lines) > 15
