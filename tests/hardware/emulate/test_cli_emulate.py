"""`mmsar hw emulate` and `mmsar hw replay` as a newcomer uses them: two programs on one machine."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmsar.cli import main
from mmsar.cli.hw import emulate

SESSIONS = Path(__file__).resolve().parents[3] / "data" / "sessions"
CFG = (SESSIONS / "iwr1642.cfg").read_text(encoding="utf-8").replace("frameCfg 0 1 16 0 40", "frameCfg 0 1 4 60 5")


@contextmanager
def running(*words: str):
    """The command as a program of its own; gives what it printed up to the line "Ctrl-C ends it"."""
    program = subprocess.Popen(
        [sys.executable, "-m", "mmsar", "hw", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = ""
        for line in program.stdout:
            said += line
            if "Ctrl-C ends it" in line or "waiting for" in line:
                break
        yield program, said
    finally:
        if program.poll() is None:
            program.kill()
        program.communicate()


def interrupted(program: subprocess.Popen, number: int = signal.SIGINT) -> str:
    """What it prints at the end."""
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert program.returncode == 0, err
    return out


def test_ctrl_c_as_soon_as_it_is_spoken_of_ends_it(monkeypatch):
    """And not as the interruption of something unfinished: a program reads the line and sends the signal."""
    said = []

    def said_and_done(*words: str, **_) -> None:
        said.extend(words)
        if "Ctrl-C ends it" in words:
            raise KeyboardInterrupt

    monkeypatch.setattr(emulate, "print", said_and_done, raising=False)
    emulate._until_interrupted("mmsar hw doctor")
    assert said == ["in another terminal: mmsar hw doctor", "Ctrl-C ends it"]


def record(tmp_path: Path, addresses: tuple[str, str], name: str, *options: str) -> int:
    config = tmp_path / "profile.cfg"
    config.write_text(CFG, encoding="utf-8")
    host_ip, card_ip = addresses
    words = ["hw", "record", str(config), "-o", str(tmp_path / name), "--device", "xWR1642", "--host-ip", host_ip]
    return main([*words, "--card-ip", card_ip, *options])


def report(capsys, folder: Path) -> dict:
    capsys.readouterr()
    assert main(["hw", "report", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_card_with_faults_then_its_replay(addresses, tmp_path, capsys):
    where = ("--host-ip", addresses[0], "--card-ip", addresses[1])
    config = tmp_path / "profile.cfg"
    config.write_text(CFG, encoding="utf-8")
    faults = "drop=0.02,reorder=0.02,duplicate=0.02,seed=5"
    with running("emulate", "dca", "--config", str(config), "--device", "xWR1642", *where, "--faults", faults) as (
        program,
        said,
    ):
        assert f"card at {addresses[1]} for {addresses[0]}: 60 frames of 16,384 bytes after each start" in said
        assert "--no-radar" in said
        assert record(tmp_path, addresses, "rec", "--frames", "60", "--no-radar") == 0
        out = interrupted(program)
    numbers = [int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:packets|sent|dropped|duplicated|late)", out)]
    got = report(capsys, tmp_path / "rec")
    packets, sent, dropped, duplicated, late = numbers
    assert packets == -(-60 * 16384 // 1456)
    assert (got["packets_received"], got["upstream_lost"]) == (sent - duplicated, dropped)
    assert (got["duplicates"], got["late"]) == (duplicated, late)
    with running("replay", str(tmp_path / "rec"), *where, "--speed", "3") as (program, said):
        assert "waiting for a recording to be started" in said
        assert record(tmp_path, addresses, "again", "--frames", "60", "--no-radar") == 0
        out, _ = program.communicate(timeout=20)
    assert f"{sent:,} datagrams" in out
    again = report(capsys, tmp_path / "again")
    for key in ("packets_received", "duplicates", "late", "upstream_lost", "frames_damaged", "zero_filled_bytes"):
        assert again[key] == got[key]


def test_bench_without_a_session(addresses, tmp_path, capsys):
    where = ("--host-ip", addresses[0], "--card-ip", addresses[1])
    with running("emulate", "bench", *where) as (program, said):
        port = re.search(r"radar xWR1642 at (\S+),", said)[1]
        assert record(tmp_path, addresses, "rec", "--frames", "60", "--port", port) == 0
        out = interrupted(program, signal.SIGTERM)
    assert "recording 1:" in out and "0 dropped" in out
    got = report(capsys, tmp_path / "rec")
    assert (got["frames_complete"], got["upstream_lost"]) == (60, 0)


def test_bench_of_a_session_writes_a_session_file_for_it_and_takes_it_away(addresses, tmp_path, capsys):
    for name in ("raster.toml", "iwr1642.cfg"):
        (tmp_path / name).write_bytes((SESSIONS / name).read_bytes())
    where = ("--host-ip", addresses[0], "--card-ip", addresses[1])
    other = tmp_path / "raster.emulated.toml"
    with running("emulate", "bench", str(tmp_path / "raster.toml"), *where) as (program, said):
        assert f"mmsar capture {other} -o scan.h5" in said
        assert main(["capture", str(other), "--check"]) == 0
        assert f'card_ip = "{addresses[1]}"' in other.read_text(encoding="utf-8")
        interrupted(program)
    assert not other.exists()


@pytest.mark.parametrize("name", ["grbl", "amc4030", "esp32", "radar"])
def test_single_instruments(name):
    with running("emulate", name) as (program, said):
        assert re.search(rf"{name}.* at /dev/", said)
        time.sleep(0.1)
        interrupted(program)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["emulate", "dca", "--faults", "dorp=1"], 3, "faults: got 'dorp', wanted one of drop, burst"),
        (["emulate", "dca", "--board", "IWR1642BOOST"], 3, "got --board without --config"),
        (["emulate", "dca", "--file", "x.bin"], 3, "got --file alone, wanted --config or --frame-bytes"),
        (["emulate", "bench", "nothing.toml"], 3, "nothing.toml"),
        (["emulate", "bench", "--board", "IWR1843BOOST"], 3, "tx_rx_gap"),
        (["emulate", "radar", "--device", "xWR9"], 3, "xWR9"),
        (["replay", "nothing"], 3, "nothing: no such file or folder"),
        (["replay", str(SESSIONS / "iwr1642.cfg")], 3, "wanted a recording's folder or a packet capture"),
    ],
)
def test_bad_input_is_one_line(words, code, message, capsys):
    assert main(["hw", *words]) == code
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize("words", [["emulate"], ["emulate", "dca", "--frames", "0"], ["replay", "x", "--speed", "0"]])
def test_bad_usage(words):
    with pytest.raises(SystemExit) as stop:
        main(["hw", *words])
    assert stop.value.code == 2
