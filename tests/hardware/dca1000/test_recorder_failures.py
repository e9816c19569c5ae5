"""What ends a recording badly: no room in the socket, the ring or on the disk; processes that stall or are killed."""

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmsar.errors import CaptureError, FormatError
from mmsar.hardware.dca1000 import recorder as recorder_module
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.card import Card
from mmsar.hardware.dca1000.record import prepare_card
from mmsar.hardware.dca1000.recorder import Recorder
from mmsar.hardware.emulate.faults import FaultPlan


def test_kernel_drops_are_exact_and_the_balance_holds(bench, tmp_path):
    """A receiver that may not run while a burst comes: the socket's buffer overflows, and the kernel says how often."""
    made = bench(frames=150, faults=FaultPlan(drop=0.01, duplicate=0.005, reorder=0.01, seed=4))
    recorder = Recorder(
        tmp_path / "r", made.config, host_ip=made.host_ip, card_ip=made.card_ip, n_frames=150, buffer=256 << 10
    )
    with recorder, Card(made.host_ip, made.card_ip) as card:
        recorder.arm(card=prepare_card(card, made.config, made.link))
        card.start_record()
        os.kill(recorder._receiver.pid, signal.SIGSTOP)
        made.card.start_stream()
        deadline = time.monotonic() + 20
        while made.card.log.sent < 1000 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(recorder._receiver.pid, signal.SIGCONT)
        ended = recorder.wait(silence=1.0)
        card.stop_record()
        report = recorder.finish(ended)
    log = made.card.log
    assert report.kernel_dropped > 100
    assert report.packets_received + report.duplicates + report.kernel_dropped == log.sent
    balance = report.packets_received + report.upstream_lost + report.kernel_dropped - report.kernel_surplus
    assert report.packets_expected == log.packed == balance
    assert 0 <= report.kernel_surplus <= log.duplicated
    made.check(tmp_path / "r")


def test_a_full_ring_is_counted_by_the_kernel(bench, tmp_path, monkeypatch):
    """A disk that stalls: the ring fills, the receiver waits, what is lost then is a kernel drop."""
    monkeypatch.setattr("mmsar.hardware.dca1000.recorder.RING_RANGE", (1 << 18, 1 << 18))
    made = bench(frames=150)
    recorder = Recorder(
        tmp_path / "r", made.config, host_ip=made.host_ip, card_ip=made.card_ip, n_frames=150, buffer=128 << 10
    )
    with recorder, Card(made.host_ip, made.card_ip) as card:
        recorder.arm(card=prepare_card(card, made.config, made.link))
        card.start_record()
        os.kill(recorder._writer.pid, signal.SIGSTOP)
        made.card.start_stream()
        deadline = time.monotonic() + 20
        while made.card.log.sent < 2000 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(recorder._writer.pid, signal.SIGCONT)
        report = recorder.finish(recorder.wait(silence=1.0))
    assert report.ring_full > 0 and report.kernel_dropped > 100 and report.upstream_lost == 0
    assert any("too long for the ring" in message for message in report.messages)
    assert report.packets_received + report.kernel_dropped == made.card.log.sent
    made.check(tmp_path / "r")


def test_a_port_that_is_taken_is_told(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("mmsar.hardware.dca1000.receiver.BIND_PATIENCE", 0.1)
    made = bench(frames=4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((made.host_ip, 4098))
        with pytest.raises(CaptureError, match=r"port .*4098|4098.*port"):
            made.record(tmp_path / "r", 4)
    with pytest.raises(CaptureError, match=r"203\.0\.113\.9"):
        Recorder(tmp_path / "r", made.config, host_ip="203.0.113.9", n_frames=4).bind()


def test_processes_that_die_are_noticed(bench, tmp_path):
    made = bench(frames=4)
    for victim in ("_receiver", "_writer"):
        recorder = Recorder(
            tmp_path / victim, made.config, host_ip=made.host_ip, card_ip=made.card_ip, n_frames=4, buffer=1 << 20
        )
        with recorder:
            recorder.arm()
            getattr(recorder, victim).kill()
            with pytest.raises(CaptureError, match="ended unasked"):
                recorder.wait()
            report = recorder.finish("a process ended", interrupted=True)
        assert report.interrupted and report.frames_complete == 0
        assert Capture.open(tmp_path / victim).n_frames == 0


def test_a_disk_that_refuses_ends_a_valid_recording(bench, tmp_path, monkeypatch):
    made = bench(frames=200)
    spawn = recorder_module._spawn

    def limited(name, *args, **given):
        process = spawn(name, *args, **given)
        if name == "writer":
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
        return process

    monkeypatch.setattr(recorder_module, "_spawn", limited)
    with pytest.raises(CaptureError, match=r"the disk refused to take more .file too large"):
        made.record(tmp_path / "r", 200)
    assert not made.card.recording
    capture, valid = made.check(tmp_path / "r")
    assert capture.report.interrupted and "refused" in capture.report.ended
    assert 0 < capture.report.bytes_received < 1_500_000
    assert valid[: capture.report.frames_complete].all()


@pytest.mark.parametrize(("limit", "code"), [(0, 3), (8_000_000, 4), (34_000_000, 4)])
def test_a_start_that_fails_leaves_nothing(bench, tmp_path, limit, code):
    """A limit on the size of files: too small for the manifest, for the ring of 32 MiB; and large enough."""
    made = bench(frames=4)
    (tmp_path / "c.cfg").write_text(made.config.text)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        folder = tmp_path / name
        command = [sys.executable, "-B", "-m", "mmsar", "hw", "record", str(tmp_path / "c.cfg"), "-o", str(folder)]
        command += ["--no-radar", "--device", "xWR1843", "--start-timeout", "0.2", "--packet-delay", "5"]
        command += ["--host-ip", made.host_ip, "--card-ip", made.card_ip]
        shell = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
        shell += "; os.execv(sys.argv[1], sys.argv[1:])"
        with subprocess.Popen([sys.executable, "-c", shell, *command], stderr=subprocess.PIPE, text=True) as process:
            err = process.communicate(timeout=60)[1]
        assert process.returncode == code and "Traceback" not in err, err
        if limit > 32 << 20:
            assert "no data" in err and (folder / "report.json").exists()
            continue
        assert err.count("\n") == 1 and "file too large" in err and "raise the limit of the size of files" in err
        assert ("ring of packets" if limit else f"{folder}/manifest.json") in err
        assert folder.exists() == (name == "empty") and not list(folder.glob("*"))
    assert not made.card.recording


def test_a_disk_that_refuses_at_once_leaves_nothing(bench, tmp_path, monkeypatch, capfd):
    """The ring is there, but the writer can write nothing; a second try works."""
    made = bench(frames=4)
    spawn = recorder_module._spawn

    def limited(name, *args, **given):
        if name != "writer":
            return spawn(name, *args, **given)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            return spawn(name, *args, **given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with monkeypatch.context() as patch:
        patch.setattr(recorder_module, "_spawn", limited)
        with pytest.raises(CaptureError, match=r"the disk refused to take more .file too large.; raise the limit"):
            made.record(tmp_path / "r", 4)
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr().err == ""
    assert made.record(tmp_path / "r", 4).lossless


def test_a_folder_that_cannot_be_written_to_is_told_before_the_card_is_asked(bench):
    """Nobody may make files in /proc, not even root."""
    made = bench(frames=4)
    for folder in ("/proc/recording", "/proc/self/recording"):
        with pytest.raises(FormatError, match=r"/recording: /proc\S* cannot be written to \(.*\); give another -o"):
            made.record(Path(folder), 4)
    assert made.card.requests == []


def test_no_room_left_is_told(bench, tmp_path):
    """A file system of its own that fills up, where mounting one is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        made = bench(frames=400)
        with pytest.raises(CaptureError, match=os.strerror(errno.ENOSPC).lower() + ".*free some space"):
            made.record(disk / "r", 400)
        capture, _ = made.check(disk / "r")
        assert capture.report.frames_complete > 10 and (disk / "r" / "report.json").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_children_outlive_no_killed_parent(bench, tmp_path):
    """The recording program is killed: receiver and writer finish what there is and go."""
    made = bench(frames=0, sent=0, emulated_period=0.002)
    (tmp_path / "c.cfg").write_text(made.config.text)
    command = [sys.executable, "-m", "mmsar", "hw", "record", str(tmp_path / "c.cfg"), "-o", str(tmp_path / "r")]
    command += ["--frames", "100000", "--no-radar", "--device", "xWR1843"]
    command += ["--host-ip", made.host_ip, "--card-ip", made.card_ip, "--packet-delay", "20"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while "armed" not in (line := process.stderr.readline()):
            assert line, "ended before it was armed"
        made.card.start_stream()
        time.sleep(0.7)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        assert len(children) == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)
    made.card.stop_stream()
    capture, _ = made.check(tmp_path / "r")
    assert capture.report.interrupted and capture.report.ended == "the recording program was killed"
    assert capture.report.frames_complete > 50
