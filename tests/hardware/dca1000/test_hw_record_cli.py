"""The commands on the emulated card as a user runs them: record, report, recover, decode; and ways to be killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.hardware.dca1000 import journal
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.card import Card
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.radar import RadarPty

KEYS = (
    "frames_expected frames_complete frames_damaged packets_received duplicates late kernel_dropped upstream_lost "
    "zero_filled_bytes"
).split()


def command(bench, folder, n_frames, *more):
    folder.parent.joinpath("c.cfg").write_text(bench.config.text)
    line = [sys.executable, "-m", "mmsar", "hw", "record", str(folder.parent / "c.cfg"), "-o", str(folder)]
    line += ["--frames", str(n_frames), "--device", "xWR1843", "--host-ip", bench.host_ip, "--card-ip", bench.card_ip]
    return [*line, "--packet-delay", "5", *more]


@contextmanager
def recording(bench, folder, n_frames, *more):
    """A recording process in a group of its own, armed and with the stream started."""
    with subprocess.Popen(
        command(bench, folder, n_frames, "--no-radar", *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            lines = []
            while "recording armed\n" not in lines:
                lines.append(process.stderr.readline())
                assert lines[-1], "".join(lines)
            bench.card.start_stream()
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def report_of(folder, capsys):
    assert main(["hw", "report", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def decoded(folder):
    assert main(["hw", "decode", str(folder), "-o", str(folder.parent / "cube.npz")]) == 0
    with np.load(folder.parent / "cube.npz") as values:
        return {name: values[name] for name in values}


def test_record_report_decode(bench, tmp_path, capsys):
    plan = FaultPlan(drop=0.01, reorder=0.01, duplicate=0.005, async_before_reply=1.0, seed=5)
    made = bench(frames=60, faults=plan)
    folder = tmp_path / "r"
    with recording(made, folder, 60) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    log = made.card.log
    damaged = log.damaged_frames(made.config.frame_bytes)
    assert out == f"{60 - len(damaged)} of 60 frames complete, {folder}\n"
    assert err.startswith(f"mmsar hw record: warning: {log.dropped} packets were lost before this machine, 0 in its")
    report = report_of(folder, capsys)
    lost_bytes = sum(min(1456, log.packed_bytes - 1456 * int(k)) for k in log.missing())
    wanted = (60, 60 - len(damaged), len(damaged), log.distinct, log.duplicated, log.late, 0, log.dropped, lost_bytes)
    assert tuple(report[key] for key in KEYS) == wanted
    assert main(["hw", "report", str(folder)]) == 0
    table = capsys.readouterr().out
    assert f"{log.dropped:,} lost before this machine, 0 dropped by its socket" in table
    cube = decoded(folder)
    assert cube["signal"].dtype == np.complex64 and cube["valid"].dtype == bool
    assert cube["signal"].shape == cube["valid"].shape == (60, 4, 2, 4, 256)
    truth = made.truth(60)
    assert (cube["signal"][cube["valid"]] == truth[cube["valid"]]).all() and not cube["signal"][~cube["valid"]].any()
    assert set(np.flatnonzero(~cube["valid"].reshape(60, -1).all(axis=1))) == damaged
    assert cube["tx_order"].tolist() == [0, 2] and cube["frame_time_ns"].shape == (60,)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["hw", "recover", str(folder)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_radar_is_driven_over_its_serial_port(bench, tmp_path, capsys):
    """It still streams from before: that is stopped, and the recording begins with the new start."""
    made = bench(frames=10)
    with RadarPty(on_start=lambda config: made.card.start_stream(), on_stop=made.card.stop_stream) as radar:
        line = [*command(made, tmp_path / "r", 10)[3:], "--port", radar.port, "--board", "IWR1843BOOST"]
        assert main(line) == 0
        assert radar.starts == 1 and not radar.running
        radar.lines.clear()
        line[line.index(str(tmp_path / "r"))] = str(tmp_path / "again")
        assert main(line) == 0
        assert radar.lines[0].startswith("sensorStop") or "sensorStop" in radar.lines
    assert "recording armed\n" in capsys.readouterr().err
    for name in ("r", "again"):
        capture, valid = made.check(tmp_path / name)
        assert valid.all() and capture.report.lossless and capture.manifest["board"]
        names = [event["event"] for event in capture.events]
        assert names.index("start_record") < names.index("radar_started") < names.index("stop_record")


def test_a_radar_that_refuses_is_told_and_the_card_stopped(bench, tmp_path, capsys):
    made = bench(frames=10)
    with RadarPty(lvds=False) as radar:
        assert main([*command(made, tmp_path / "r", 10)[3:], "--port", radar.port]) == 4
    err = capsys.readouterr().err
    assert "lvdsStreamCfg" in err and not made.card.recording
    assert report_of(tmp_path / "r", capsys)["frames_complete"] == 0


class Stubborn(RadarPty):
    """A radar that does not stop once it runs."""

    def _sensorStop(self, args):
        return ["Error -1"] if self.running else super()._sensorStop(args)


def test_a_radar_that_does_not_stop_is_said_also_after_an_error(bench, tmp_path, capsys):
    """The recording ends in an error, and neither radar nor card can be stopped: the user has to know."""
    made = bench(frames=40, faults=FaultPlan(silent_after=300))
    with Stubborn(on_start=lambda config: made.card.start_stream()) as radar:
        assert main([*command(made, tmp_path / "r", 40)[3:], "--port", radar.port, "--idle-timeout", "0.5"]) == 4
    armed, error, *warnings = capsys.readouterr().err.splitlines()
    assert armed == "recording armed" and error.startswith("mmsar hw record: the card fell silent in frame 13 of 40")
    assert warnings[0] == (
        "mmsar hw record: warning: sensorStop: radar said 'Error -1'; it may still run: reset it through the card"
    )
    assert warnings[1].startswith("mmsar hw record: warning: the card could not be stopped: ") and len(warnings) == 2
    kept = report_of(tmp_path / "r", capsys)
    assert [f"mmsar hw record: warning: {message}" for message in kept["messages"]] == warnings


def test_a_radar_that_does_not_stop_is_said_after_no_data(bench, tmp_path, capsys):
    """The same where the error is raised while the data is waited for; and after Ctrl-C."""
    made = bench(frames=4)
    line = [*command(made, tmp_path / "r", 4)[3:], "--start-timeout", "0.3"]
    with Stubborn() as radar:
        assert main([*line, "--port", radar.port]) == 4
        _, error, *warnings = capsys.readouterr().err.splitlines()
        assert "no data" in error and len(warnings) == 1 and "it may still run" in warnings[0]
    line[line.index(str(tmp_path / "r"))] = str(tmp_path / "s")
    line[line.index("--start-timeout") + 1] = "30"
    with Stubborn(on_start=lambda config: os.kill(os.getpid(), signal.SIGINT)) as radar:
        assert main([*line, "--port", radar.port]) == 130
        assert "it may still run" in capsys.readouterr().err


def test_a_large_recording_is_decoded_piece_by_piece(bench, tmp_path, monkeypatch):
    made = bench(frames=30, faults=FaultPlan(drop=0.02, seed=2))
    folder = tmp_path / "r"
    with recording(made, folder, 30) as process:
        process.communicate(timeout=30)
    whole = decoded(folder)
    pieces = Capture.pieces
    monkeypatch.setattr(Capture, "pieces", lambda self: pieces(self, 3 * 8 * 8192))
    assert len(Capture.open(folder).pieces()) == 10
    cut = decoded(folder)
    assert all((whole[name] == cut[name]).all() for name in whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_keeps_what_is_there(bench, tmp_path, capsys, number, code):
    made = bench(frames=0, sent=0, emulated_period=0.002)
    folder = tmp_path / "r"
    with recording(made, folder, 100_000) as process:
        time.sleep(0.6)
        os.killpg(process.pid, number)  # the whole group, as the terminal does
        time.sleep(0.02)
        os.killpg(process.pid, number)  # and once more, from somebody in a hurry
        out, err = process.communicate(timeout=10)
    assert process.returncode == code and out == ""
    assert err.startswith("mmsar hw record: stopped; ") and "frames are complete" in err and "Traceback" not in err
    assert not made.card.recording
    report = report_of(folder, capsys)
    assert report["interrupted"] and report["ended"] == "interrupted" and report["frames_complete"] > 100
    assert report["upstream_lost"] == report["kernel_dropped"] == 0 and report["frames_damaged"] <= 1
    assert main(["hw", "report", str(folder)]) == 0
    assert "ended      interrupted\n" in capsys.readouterr().out
    cube = decoded(folder)
    n = report["frames_complete"]
    assert cube["valid"][:n].all() and (cube["signal"][:n] == made.truth(n)).all()


def kill_and_recover(bench, folder, capsys, delay, *, everything):
    """Kill the recording program, or its whole group, after `delay`; what recover makes of it."""
    with recording(bench, folder, 1_000_000) as process:
        time.sleep(delay)
        sent = bench.card.log.sent
        (os.killpg if everything else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    assert main(["hw", "recover", str(folder)]) == 0
    first = capsys.readouterr().out
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["hw", "recover", str(folder)]) == 0  # again: the same
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
    capsys.readouterr()
    report = report_of(folder, capsys)
    assert report["interrupted"] and ".reserve" not in made
    assert "recovered" in first or "nothing to do" in first
    assert report["frames_expected"] == 1_000_000
    if not report["frames_reached"]:
        return sent, report
    capture = Capture.open(folder)
    samples, valid = capture.samples()
    truth = bench.truth(capture.n_frames)
    assert (samples[valid] == truth[valid]).all() and not samples[~valid].any()
    assert valid[: report["frames_complete"]].all() or report["upstream_lost"] + report["kernel_dropped"]
    return sent, report


@pytest.mark.parametrize("everything", [False, True])
def test_a_kill_costs_no_corrupt_frame_and_little_data(bench, tmp_path, capsys, everything):
    made = bench(frames=0, sent=0, emulated_period=1e-3, pace=1e-4)
    sent, report = kill_and_recover(made, tmp_path / "r", capsys, 0.9, everything=everything)
    assert report["packets_received"] >= sent - 1.5 * 10_000 and report["packets_received"] > 0
    if not everything:  # receiver and writer finished what there was
        assert report["packets_received"] >= sent - report["kernel_dropped"]
        assert report["ended"] == "the recording program was killed"


@pytest.mark.slow
def test_kills_at_random_moments(bench, tmp_path, capsys):
    """Twenty of them with MMSAR_LONG, else six; at nearly 300 Mb/s (the emulated card shares this machine's cores)."""
    made = bench(frames=0, sent=0, emulated_period=8e-4, pace=4e-5)
    draw = random.Random(11)
    for k in range(20 if os.environ.get("MMSAR_LONG") else 6):
        (tmp_path / str(k)).mkdir()
        delay = draw.uniform(0, 0.8)
        sent, report = kill_and_recover(made, tmp_path / str(k) / "r", capsys, delay, everything=bool(k % 2))
        made.card.stop_stream()
        assert report["packets_received"] >= sent - 1.5 * 25_000


def test_a_report_of_a_recording_that_runs(bench, tmp_path, capsys):
    made = bench(frames=0, sent=0, emulated_period=0.005)
    folder = tmp_path / "r"
    with recording(made, folder, 100_000) as process:
        time.sleep(0.5)
        report = report_of(folder, capsys)
        assert report["ended"] == "is being recorded" and report["frames_complete"] > 10
        assert not (folder / "report.json").exists()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)


def test_a_cut_journal_is_recovered_and_said(bench, tmp_path, capsys):
    made = bench(frames=30, emulated_period=0.02)
    folder = tmp_path / "r"
    with recording(made, folder, 30) as process:
        process.communicate(timeout=30)
    chunk = journal.chunk_path(folder, 0)
    chunk.write_bytes(chunk.read_bytes()[:-5000])
    cut = chunk.read_bytes()
    (folder / "report.json").unlink()
    (folder / "index.npz").unlink()
    report = report_of(folder, capsys)
    assert report["interrupted"] and 0 < report["frames_complete"] < 30 and report["tail_bytes"] > 0
    assert report["ended"] == "the journal lacks its end"
    assert main(["hw", "report", str(folder)]) == 0
    assert f"mmsar hw recover {folder}" in capsys.readouterr().out
    assert main(["hw", "recover", str(folder)]) == 0
    assert "a block that was not finished; left out" in capsys.readouterr().out
    assert chunk.read_bytes() == cut and report_of(folder, capsys) == report
    cube = decoded(folder)
    assert (cube["signal"][cube["valid"]] == made.truth(len(cube["valid"]))[cube["valid"]]).all()


def test_a_silent_card_is_told_in_time(bench, tmp_path, capsys):
    """A cable is pulled: nothing comes any more, not even answers."""
    made = bench(frames=40, faults=FaultPlan(silent_after=500))
    folder = tmp_path / "r"
    with recording(made, folder, 40) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 4
    error, warning = err.splitlines()
    assert "fell silent in frame 22 of 40" in error
    assert warning.startswith("mmsar hw record: warning: the card could not be stopped: ")
    assert report_of(folder, capsys)["frames_complete"] == 22


@pytest.mark.parametrize(
    ("edit", "more", "complaint", "code"),
    [
        ("", ["--frames", "0"], "wanted a whole number >= 1", 2),
        ("", ["--packet-delay", "nan"], "wanted a number above 0", 2),
        ("", ["--frames", "21"], "got 21 to record, wanted at most the 20", 3),
        ("", ["--packet-delay", "3"], "got 3 us, wanted 5", 2),
        ("", ["--packet-delay", "501"], "got 501 us, wanted 5 to 500", 2),
        ("", ["--host-ip", "300.1.1.1"], "got '300.1.1.1', wanted an IPv4 address", 2),
        ("", ["--host-ip", "localhost"], "got 'localhost', wanted an IPv4 address", 2),
        ("", ["--host-ip", "127.0.0.9", "--card-ip", "127.0.0.9"], "got 127.0.0.9, this machine's own", 2),
        ("", ["--device", "xWR9999"], "xWR9999", 3),
        ("", ["--board", "nonsense"], "nonsense", 3),
        ("lvdsStreamCfg", [], "lvdsStreamCfg", 3),
    ],
)
def test_bad_input_is_one_line(bench, tmp_path, capsys, edit, more, complaint, code):
    made = bench(frames=20)
    line = [*command(made, tmp_path / "r", 20, "--no-radar")[3:], *more]
    if edit:
        text = made.config.text.replace("lvdsStreamCfg -1 0 1 0", "lvdsStreamCfg -1 1 1 0")
        (tmp_path / "c.cfg").write_text(text)
    try:
        got = main(line)
    except SystemExit as stop:
        got = stop.code
    err = capsys.readouterr().err
    assert got == code and complaint in err and "Traceback" not in err
    assert err.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_no_card_is_a_diagnosis(addresses, small_cfg, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(Card.__init__.__kwdefaults__, "timeout", 0.1)
    (tmp_path / "c.cfg").write_text(small_cfg())
    line = ["hw", "record", str(tmp_path / "c.cfg"), "-o", str(tmp_path / "r"), "--frames", "3", "--no-radar"]
    line += ["--device", "xWR1843", "--host-ip", addresses[0], "--card-ip", addresses[1]]
    assert main(line) == 4
    err = capsys.readouterr().err
    assert f"card {addresses[1]}: no answer to ALIVENESS" in err and not (tmp_path / "r").exists()


def test_empty_and_foreign_folders_are_refused(tmp_path, capsys):
    for part, more in (("report", []), ("recover", []), ("decode", ["-o", str(tmp_path / "c.npz")])):
        assert main(["hw", part, str(tmp_path), *more]) == 3
        assert "got no manifest.json, wanted the folder of a recording" in capsys.readouterr().err
    assert main(["hw", "decode", str(tmp_path), "-o", str(tmp_path / "c.mat")]) == 3
    assert "wanted .npz" in capsys.readouterr().err
