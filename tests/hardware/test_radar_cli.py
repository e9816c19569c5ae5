"""The radar's command line over a pseudo-terminal: echo, refusals, stray and chopped bytes, wrong ports."""

from pathlib import Path

import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import CaptureError
from mmsar.hardware.emulate.pty_port import PtyPort
from mmsar.hardware.emulate.radar import RadarPty
from mmsar.hardware.radar_cli import DATA_MAGIC, RadarCli, command_of, line_fault

CONFIGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "fixtures" / "configs"
PROMPT = b"mmwDemo:/>"
VERSION = b"Platform                : xWR18xx\n\rmmWave SDK Version      : 03.05.00.04\n\r"
SHORT = """% a comment
sensorStop
flushCfg

channelCfg 15 7 0
profileCfg 0 77 7 6 63 0 0 63.343 1 512 9121 0 0 30
# another comment
sensorStart
"""


class Board(PtyPort):
    """A board that obeys: echo, what `says` has for the command, Done, prompt; sent as `send` likes."""

    def __init__(self, says=(), *, prompt=PROMPT):
        self.says = {b"version": VERSION + b"Done\n\r", **dict(says)}
        self.prompt, self.send, self.spoil = prompt, self.write, 0
        self.heard, self.rest = [], b""
        super().__init__()

    def receive(self, data):
        self.rest += data
        while b"\n" in self.rest:
            line, self.rest = self.rest.split(b"\n", 1)
            if not line:
                self.send(b"\n" + self.prompt)
                continue
            if self.spoil:  # what the radar hears begins with a stray byte
                self.spoil -= 1
                self.send(b"?`" + line + b"\n'?`" + line.split()[0] + b"' is not recognized as a CLI command\n\r")
                self.send(self.prompt)
                continue
            self.heard.append(line.decode())
            said = self.says.get(line.split()[0], b"Done\n\r")
            self.send(line + b"\n" + said + self.prompt)


def test_sends_and_reads_to_the_prompt():
    with Board() as board, RadarCli(board.port) as radar:
        assert radar.send("flushCfg") == ""
        assert radar.probe().splitlines()[0] == "Platform                : xWR18xx"
        assert board.heard == ["flushCfg", "version"]


def test_configuration_goes_out_unchanged_without_comments_and_start():
    with Board() as board, RadarCli(board.port) as radar:
        answers = radar.configure(SHORT)
        assert board.heard == [
            "sensorStop",
            "flushCfg",
            "channelCfg 15 7 0",
            "profileCfg 0 77 7 6 63 0 0 63.343 1 512 9121 0 0 30",
        ]
        assert all(answer.done for answer in answers)
        radar.start()
        assert radar.stop() is None
        assert board.heard[-2:] == ["sensorStart", "sensorStop"]


def test_numbers_are_never_rewritten():
    line = "profileCfg 0 77.000000001 7.10 6 60e0 0 0 70.006 1 256 +12500. 0 0 030"
    with Board() as board, RadarCli(board.port) as radar:
        radar.configure(line + "   \r\n")
        assert board.heard == [line + "   "]


@pytest.mark.parametrize(
    ("text", "reconfigure", "sent"),
    [("sensorStart 0 0 0 0", True, "sensorStart 0 0 0 0"), ("", True, "sensorStart"), ("", False, "sensorStart 0")],
)
def test_start_uses_the_line_of_the_configuration(text, reconfigure, sent):
    with Board() as board, RadarCli(board.port) as radar:
        radar.configure(text)
        radar.start(reconfigure=reconfigure)
        assert board.heard == [sent]


@pytest.mark.parametrize(
    ("said", "why", "hint"),
    [
        (b"Error -1\n\r", "Error -1", "mmsar hw check"),
        (b"Debug: chirp too long\n\rError -1\n\r", "Debug: chirp too long; Error -1", "mmsar hw check"),
        (b"Error: Invalid usage of the CLI command\n\r", "Error: Invalid usage", "number of values"),
        (b"'profileCfg' is not recognized as a CLI command\n\r", "'profileCfg' is not", "another device or SDK"),
        (b"Skipped\n\r", "Skipped", "outside"),
        (b"Ignored: sensor is running\n\rDone\n\r", "Ignored: sensor is running", "already in that state"),
        (b"", "no Done", "outside"),
    ],
)
def test_the_first_refused_line_ends_the_configuration(said, why, hint):
    with Board({b"profileCfg": said}) as board, RadarCli(board.port) as radar:
        with pytest.raises(CaptureError) as caught:
            radar.configure(SHORT + "frameCfg 0 0 1 1 100 1 0\n")
        message = str(caught.value)
        assert message.startswith(
            f"line 6: radar: 'profileCfg 0 77 7 6 63 0 0 63.343 1 512 9121 0 0 30' was refused: {why}"
        )
        assert hint in message
        assert "the lines after it were not sent" in message
        assert "\n" not in message
        assert board.heard[-1].startswith("profileCfg")
        assert radar.send("flushCfg") == ""


def test_words_beside_done_are_kept_and_no_refusal():
    says = {b"sensorStart": b"Debug: Init Calibration Status = 0x1ffe\n\rDone\n\r"}
    with Board(says) as board, RadarCli(board.port) as radar:
        assert radar.start() == "Debug: Init Calibration Status = 0x1ffe"


def test_answer_as_in_the_hardware_log():
    """`sensorStop\\nIgnored: Sensor is already stopped\\n\\rDone\\n\\rmmwDemo:/>`"""
    with Board({b"sensorStop": b"Ignored: Sensor is already stopped\n\rDone\n\r"}) as board:
        with RadarCli(board.port) as radar:
            answer = radar.ask("sensorStop")
            assert (answer.lines, answer.done) == (("Ignored: Sensor is already stopped",), True)
            assert radar.stop() is None


def test_sensor_start_ignored_is_an_error():
    says = {b"sensorStart": b"Ignored: Sensor is already started\n\rDone\n\r"}
    with (
        Board(says) as board,
        RadarCli(board.port) as radar,
        pytest.raises(CaptureError, match="already in that state"),
    ):
        radar.start()


def test_stop_reports_and_never_raises():
    with Board({b"sensorStop": b"Error -1\n\r"}) as board, RadarCli(board.port, timeout=0.2) as radar:
        assert "radar said 'Error -1'; it may still run: reset it through the card" in radar.stop()
        board.send = lambda data: None
        assert "no answer" in radar.stop()
    assert "the port is closed" in radar.stop()


def test_boot_messages_are_thrown_away():
    boot = b"\xff\x80\n\r" + b"*" * 40 + b"\n\rxWR18xx MMW Demo 03.05.00.04\n\r" + b"*" * 40 + b"\n\r" + PROMPT
    with Board() as board, RadarCli(board.port) as radar:
        board.write(boot)
        assert radar.send("flushCfg") == ""


def test_a_line_spoilt_by_stray_bytes_is_sent_once_more():
    with Board() as board, RadarCli(board.port) as radar:
        radar.wake()
        board.spoil = 1
        radar.send("flushCfg")
        assert board.heard == ["flushCfg"]
        board.spoil = 2
        with pytest.raises(CaptureError, match=r"sent 'flushCfg' but the radar heard '\?`flushCfg'"):
            radar.send("flushCfg")


def test_a_line_the_radar_heard_otherwise_and_obeyed_is_an_error():
    with Board() as board, RadarCli(board.port, timeout=0.3) as radar:
        radar.wake()
        board.send = lambda data: board.write(data.replace(b"70.006", b"70.06"))
        with pytest.raises(CaptureError, match=r"sent 'slope 70.006' but the radar heard 'slope 70.06"):
            radar.send("slope 70.006")


@settings(max_examples=25)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    newline=st.sampled_from([b"\n\r", b"\r\n", b"\n", b"\r\r\n"]),
    prompt=st.sampled_from([b"mmwDemo:/>", b"vodDemo:/>", b"mmwDemo:/> ", b"\rA0:/>"]),
    slow=st.booleans(),
)
def test_any_chopping_and_line_end_reads_the_same(cuts, newline, prompt, slow):
    said = b"Ignored: Sensor is already stopped" + newline + b"Done" + newline

    def chopped(data):
        at, n = 0, 0
        while at < len(data):
            size = cuts[n % len(cuts)]
            board.write(data[at : at + size], delay=0.0005 if slow else 0.0)
            at, n = at + size, n + 1

    with Board({b"sensorStop": said, b"bad": b"Error -1" + newline}, prompt=prompt) as board:
        board.send = chopped
        with RadarCli(board.port) as radar:
            answer = radar.ask("sensorStop")
            assert (answer.lines, answer.done) == (("Ignored: Sensor is already stopped",), True)
            assert radar.ask("bad 1 2").refusal == "Error -1"
            assert radar.send("flushCfg") == ""


@settings(max_examples=15)
@given(st.binary(max_size=60))
def test_any_stray_bytes_before_the_first_line(strays):
    with Board() as board, RadarCli(board.port) as radar:
        board.write(strays)
        assert "xWR18xx" in radar.probe()
        assert board.heard == ["version"]


def test_a_slow_prompt_is_waited_for():
    with Board() as board, RadarCli(board.port) as radar:
        radar.wake()
        board.send = lambda data: (board.write(data[:-4]), board.write(data[-4:], delay=0.4))
        assert radar.send("flushCfg") == ""


def test_a_prompt_left_from_before_is_no_answer():
    with Board() as board, RadarCli(board.port) as radar:
        radar.wake()
        board.send = lambda data: (board.write(PROMPT), board.write(data, delay=0.1))
        assert "xWR18xx" in radar.send("version")


@pytest.mark.parametrize(
    ("spoken", "complaint"),
    [
        (b"", "no answer; wanted a prompt.*command port.*SOP 001"),
        (bytes(20) + DATA_MAGIC + bytes(90), "this is the data port"),
        (bytes(range(128, 200)), "unreadable; wrong port"),
        (b"Grbl 1.1h ['$' for help]\r\n", "no prompt, but .Grbl 1.1h .*reset the board"),
    ],
)
def test_no_prompt_is_explained(spoken, complaint):
    with Board() as board, RadarCli(board.port) as radar:
        board.send = lambda data: board.write(spoken)
        with pytest.raises(CaptureError, match=complaint) as caught:
            radar.wake(timeout=0.2)
        assert "\n" not in str(caught.value)


def test_a_radar_that_falls_silent_ends_in_time_and_recovers():
    with Board() as board, RadarCli(board.port, timeout=0.3) as radar:
        radar.wake()
        board.send = lambda data: None
        with pytest.raises(CaptureError, match=r"'flushCfg': .*no answer"):
            radar.send("flushCfg")
        board.send = board.write
        assert radar.send("flushCfg") == ""


def test_an_unplugged_board_is_an_error_not_a_hang():
    board = Board()
    with RadarCli(board.port, timeout=0.3) as radar:
        radar.wake()
        board.close()
        with pytest.raises(CaptureError, match=r"USB cable|no answer"):
            radar.send("flushCfg")
        assert radar.stop() is not None


def test_an_open_port_stays_the_callers():
    with Board() as board, serial.Serial(board.port, 115200, timeout=0.05) as port:
        with RadarCli(port) as radar:
            radar.send("flushCfg")
        assert port.is_open
        assert radar.name == board.port


def test_unknown_version_command_is_another_firmware():
    says = {b"version": b"'version' is not recognized as a CLI command\n\r"}
    with (
        Board(says) as board,
        RadarCli(board.port) as radar,
        pytest.raises(CaptureError, match="flash a demo firmware"),
    ):
        radar.probe()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("a\tb", "tab"), ("caf\u00e9 1", "plain ASCII"), ("x" * 256, "256 bytes, wanted at most 255")],
)
def test_lines_the_firmware_cannot_read_are_refused_before_anything_is_sent(line, complaint):
    assert complaint in line_fault(line)
    with Board() as board, RadarCli(board.port) as radar:
        with pytest.raises(CaptureError, match=f"line 2 .*{complaint}.*nothing was sent"):
            radar.configure(f"sensorStop\n{line}\n")
        with pytest.raises(CaptureError, match=complaint):
            radar.send(line)
        assert board.heard == []


@pytest.mark.parametrize(("line", "command"), [("", ""), ("  ", ""), ("% x", ""), ("#x", ""), (" a 1", "a")])
def test_command_of_a_line(line, command):
    assert command_of(line) == command


@pytest.mark.skipif(not CONFIGS.is_dir(), reason="the shared recordings are not here")
def test_real_configurations_arrive_line_by_line():
    for path in sorted(CONFIGS.glob("*.cfg")):
        text = path.read_text(encoding="utf-8")
        if text.startswith("{"):  # pymmw writes JSON
            continue
        with Board() as board, RadarCli(board.port) as radar:
            radar.configure(text)
            lines = [s for s in text.splitlines() if s.strip() and s.strip()[0] not in "%#"]
            assert board.heard == [s for s in lines if not s.startswith("sensorStart")]


def started(radar):
    radar.configure((CONFIGS / "xwr_raw_ros_6843aop_range_v0.cfg").read_text(encoding="utf-8"))
    radar.start()


@pytest.mark.skipif(not CONFIGS.is_dir(), reason="the shared recordings are not here")
def test_a_slow_board_with_a_small_buffer_loses_nothing():
    options = {"banner": True, "stray": b"\xff?x", "fifo": 16, "line_time": 0.002, "start_time": 0.1}
    with RadarPty("xWR6843", **options) as board, RadarCli(board.port) as radar:
        started(radar)
        assert (board.running, board.lost, board.problem) == (True, 0, None)
        assert radar.stop() is None
        assert not board.running
        radar.start(reconfigure=False)
        assert board.running
        with pytest.raises(
            CaptureError, match="Ignored: Sensor is already started; the radar is already in that state"
        ):
            radar.start(reconfigure=False)


@pytest.mark.skipif(not CONFIGS.is_dir(), reason="the shared recordings are not here")
@pytest.mark.parametrize("banner", [True, False])
def test_a_reset_is_waited_for(banner):
    with RadarPty("xWR6843", banner=banner, reboot_time=0.5) as board, RadarCli(board.port) as radar:
        started(radar)
        board.reboot()
        radar.await_boot()
        with pytest.raises(CaptureError, match="'sensorStart' was refused: Error -1; usual causes"):
            radar.start()
        started(radar)


def test_a_restart_in_the_middle_is_told():
    with Board() as board, RadarCli(board.port, timeout=0.3) as radar:
        radar.wake()
        board.send = lambda data: board.write(b"\xff\x00" + b"*" * 42 + b"\n\rMMW Demo\n\r" + PROMPT)
        with pytest.raises(
            CaptureError, match=r"line 1: .* restarted while 'flushCfg' was sent: its settings are lost"
        ):
            radar.configure("flushCfg")


def test_a_firmware_without_lvds_is_told():
    with RadarPty("xWR1443", lvds=False) as board, RadarCli(board.port) as radar:
        with pytest.raises(CaptureError, match=r"line 1: .*'lvdsStreamCfg' is not recognized.*another device or SDK"):
            radar.configure("lvdsStreamCfg -1 0 1 0")
