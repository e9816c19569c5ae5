"""Every way to end: interrupted, terminated, killed at random moments, a disk that fills, a receiver that stalls."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from card import Card, split
from customer import KEYS, Recording, account, cube, mmsar, report
from wirelayouts import Radar

FAST = Radar(samples=256, loops=32, tx=(1, 4), frames=0)
FRAMES = 300


@pytest.fixture(scope="module")
def stream():
    """Samples and datagrams of a long recording (79 MB)."""
    samples, wire = FAST.measure(FRAMES, seed=9)
    return samples, split(wire), len(wire)


def children(pid: int) -> list[int]:
    """Processes below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            text = path.read_text()
            if int(text.rpartition(")")[2].split()[1]) == pid:
                found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def kept(folder, samples, present_frames):
    """All frames sent early enough are there whole, and no sample is wrong; returns the number of whole frames."""
    got = cube(folder)
    assert np.array_equal(got["signal"][got["valid"]], samples[: len(got["valid"])][got["valid"]])
    assert got["valid"][:present_frames].all()
    return got["valid"].all(axis=(1, 2, 3, 4)).sum()


def kill(folder, addresses, stream, after, rate):
    """One recording killed `after` seconds of a stream: recovered, judged."""
    samples, datagrams, _ = stream
    with Card(*addresses) as card, Recording(folder, FAST, FRAMES, addresses, "--packet-delay", 5) as run:
        run.wait_armed()
        thread = card.stream(datagrams, rate=rate)
        time.sleep(after)
        killed = time.monotonic()
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        sent = [index for moment, index in card.sent if moment < killed - 1.5]
    thread.join()
    whole = (sent[-1] * 1456) // FAST.frame_bytes if sent else 0
    before = report(folder)
    done = mmsar("hw", "recover", folder)
    assert done.returncode == 0, done.stderr
    again = mmsar("hw", "recover", folder)
    assert again.returncode == 0, again.stderr
    after_report = report(folder)
    assert {key: before[key] for key in KEYS} == {key: after_report[key] for key in KEYS}
    assert after_report["frames_complete"] == kept(folder, samples, whole)
    assert after_report["frames_expected"] == FRAMES
    return whole


def test_killed_at_a_random_moment(tmp_path, addresses, stream):
    after = random.Random(os.urandom(8)).uniform(1.6, 2.6)
    assert kill(tmp_path / "r", addresses, stream, after, 25000) > 0, after


@pytest.mark.slow
def test_killed_at_twenty_random_moments(tmp_path, addresses, stream):
    rng = random.Random(os.urandom(8))
    for _ in range(20):
        after = rng.uniform(0.05, 2.6)
        kill(tmp_path / "r", addresses, stream, after, 30000)
        subprocess.run(["rm", "-r", tmp_path / "r"], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, addresses, stream, number):
    samples, datagrams, _ = stream
    with Card(*addresses) as card:
        with Recording(tmp_path / "r", FAST, FRAMES, addresses) as run:
            run.wait_armed()
            thread = card.stream(datagrams, rate=10000)
            time.sleep(0.7)
            sent = card.sent[-1][1]
            asked = time.monotonic()
            run.process.send_signal(number)
            code = run.finish()
            assert run.ended - asked < 5
            below = children(run.process.pid)
        assert code in (130, 143) and "Traceback" not in run.said, (code, run.said)
        assert card.stopped.is_set() and not below
    thread.join()
    whole = sent * 1456 // FAST.frame_bytes
    assert kept(run.folder, samples, whole - 1) == run.report()["frames_complete"]


def test_receiver_killed(tmp_path, addresses, stream):
    """Each child of the recorder killed in its turn: the recording ends by itself, is valid, and it is said."""
    samples, datagrams, _ = stream
    turn = 0
    while True:
        folder = tmp_path / f"r{turn}"
        with Card(*addresses) as card:
            with Recording(folder, FAST, FRAMES, addresses) as run:
                run.wait_armed()
                victims = sorted(children(run.process.pid))
                thread = card.stream(datagrams, rate=10000)
                time.sleep(0.8)
                os.kill(victims[turn], signal.SIGKILL)
                killed = time.monotonic()
                code = run.finish()
            assert code in (0, 4) and "Traceback" not in run.said, (code, run.said)
            assert run.ended - killed < 8, run.said
            assert len([line for line in run.lines if line != "recording armed\n"]) >= 1, "not said"
            card._closing.set()
            thread.join()
        done = mmsar("hw", "recover", folder)
        assert done.returncode == 0, done.stderr
        kept(folder, samples, 0)
        turn += 1
        if turn == len(victims):
            return


def test_disk_full(tmp_path, addresses, stream):
    samples, datagrams, _ = stream
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", disk]).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with Card(*addresses) as card:
            with Recording(disk / "r", FAST, FRAMES, addresses) as run:
                run.wait_armed()
                thread = card.stream(datagrams, rate=15000)
                code = run.finish()
            assert code == 4 and "Traceback" not in run.said, (code, run.said)
            assert "disk" in run.said or "space" in run.said, run.said
            assert card.stopped.is_set()
            card._closing.set()
            thread.join()
        said = run.report()
        assert said["frames_complete"] > 10
        target = tmp_path / "cube.npz"
        assert mmsar("hw", "decode", disk / "r", "-o", target).returncode == 0
        with np.load(target) as got:
            valid, signal_ = got["valid"], got["signal"]
        assert np.array_equal(signal_[valid], samples[: len(valid)][valid])
        assert valid.all(axis=(1, 2, 3, 4)).sum() == said["frames_complete"]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
def test_stalled_receiver(tmp_path, addresses, stream):
    """A buffer of 64 KiB and a receiver that stands still for a while: what its socket dropped is told as that."""
    samples, datagrams, _ = stream
    frames = 150
    datagrams = datagrams[: -(-frames * FAST.frame_bytes // 1456)]
    datagrams[-1] = datagrams[-1][: 10 + (frames * FAST.frame_bytes - 1) % 1456 + 1]
    with Card(*addresses) as card:
        with Recording(tmp_path / "r", FAST, frames, addresses, "--buffer", 0.0625) as run:
            run.wait_armed()
            thread = card.stream(datagrams, rate=10000)
            victims = children(run.process.pid)
            for _ in range(2):
                time.sleep(0.7)
                for pid in victims:
                    os.kill(pid, signal.SIGSTOP)
                time.sleep(0.3)
                for pid in victims:
                    os.kill(pid, signal.SIGCONT)
            thread.join()
            assert run.finish() == 0, run.said
    said = run.report()
    assert said["kernel_dropped"] > 1000 and said["upstream_lost"] == 0
    assert said["packets_received"] + said["kernel_dropped"] == len(datagrams)
    assert said["frames_damaged"] > 0 and said["zero_filled_bytes"] >= 1456 * (said["kernel_dropped"] - 1)
    assert kept(run.folder, samples, 0) == said["frames_complete"]
    assert "in its socket" in run.said


@pytest.mark.slow
def test_long_offsets_are_refused_not_wrapped(tmp_path, addresses):
    """A packet far beyond the recording is no data of it."""
    radar = Radar(samples=60, loops=4, tx=(1,))
    samples, wire = radar.measure(5)
    datagrams = split(wire)
    with Card(*addresses) as card:
        with Recording(tmp_path / "r", radar, 5, addresses) as run:
            run.wait_armed()
            far = split(bytes(1456))[0]
            card.raw(b"\x10\0\0\0" + (2**40).to_bytes(6, "little") + far[10:])
            card.emit(datagrams, tail=0.2)
            run.finish()
    got = run.cube()
    assert np.array_equal(got["signal"], samples) and got["valid"].all()
    wanted, _ = account(range(len(datagrams)), len(datagrams), len(wire), radar.frame_bytes)
    assert {key: run.report()[key] for key in KEYS} == wanted
