"""Recordings read while they are made, and ones whose files were damaged later: no wrong sample, and a way out."""

import os
import random
import shutil
import time

import numpy as np
import pytest
from card import Card, split
from customer import Recording, cube, mmsar, report
from wirelayouts import Radar

RADAR = Radar(samples=64, loops=4, tx=(1, 4))
FRAMES = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Samples and folder of a whole recording, read while it was made."""
    samples, wire = RADAR.measure(FRAMES, seed=4)
    folder = tmp_path_factory.mktemp("made") / "r"
    place = os.getpid() // 250 % 120 * 2 + 1
    addresses = tuple(f"127.63.{os.getpid() % 250 + 1}.{last}" for last in (place, place + 1))
    with Card(*addresses) as card, Recording(folder, RADAR, FRAMES, addresses) as run:
        run.wait_armed()
        card.stream(split(wire), rate=150)
        time.sleep(0.7)
        early = report(folder)
        assert 0 < early["frames_complete"] < FRAMES and early["frames_expected"] == FRAMES
        got = cube(folder)
        assert np.array_equal(got["signal"][got["valid"]], samples[: len(got["valid"])][got["valid"]])
        assert run.finish() == 0, run.said
    assert report(folder)["frames_complete"] == FRAMES
    return samples, folder


def damage(path, how, rng):
    data = bytearray(path.read_bytes())
    if how == "flip":
        for _ in range(2):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[rng.randrange(100, len(data)) :]
    else:
        start = rng.randrange(len(data))
        data[start : start + 4096] = bytes(len(data[start : start + 4096]))
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flip", "cut", "zero"])
def test_packets_damaged(tmp_path, made, how):
    """What changed on the disk is refused; recover leaves it out, and what is left is right."""
    samples, folder = made
    copy = tmp_path / "r"
    shutil.copytree(folder, copy)
    damage(copy / "packets-00000.bin", how, random.Random(how))
    done = mmsar("hw", "decode", copy, "-o", tmp_path / "c.npz")
    assert done.returncode == 3 and "hw recover" in done.stderr, done.stderr
    assert not (tmp_path / "c.npz").exists()
    assert mmsar("hw", "recover", copy).returncode == 0
    got = cube(copy)
    assert np.array_equal(got["signal"][got["valid"]], samples[: len(got["valid"])][got["valid"]])
    said = report(copy)
    assert said["frames_complete"] == got["valid"].all(axis=(1, 2, 3, 4)).sum() < FRAMES


@pytest.mark.parametrize("name", ["report.json", "index.npz"])
def test_accounts_damaged(tmp_path, made, name):
    """Report and index can be had again from the packets, as they were."""
    samples, folder = made
    copy = tmp_path / "r"
    shutil.copytree(folder, copy)
    damage(copy / name, "cut", random.Random(1))
    done = mmsar("hw", "decode", copy, "-o", tmp_path / "c.npz")
    assert done.returncode == 3 and "hw recover" in done.stderr, done.stderr
    assert mmsar("hw", "recover", copy).returncode == 0
    assert np.array_equal(cube(copy)["signal"], samples)
    assert report(copy)["frames_complete"] == FRAMES


def test_recording_into_a_recording(made, addresses):
    """A folder that holds something is refused before anything is asked of the card."""
    _, folder = made
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with Recording(folder, RADAR, 3, addresses) as run:
        assert run.finish() == 3
    assert len(run.lines) == 1 and "empty" in run.said
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_chip_is_told_or_said(tmp_path, addresses):
    """Several chips named in the comments are refused without --device; none is the usual one, and a warning."""
    config = tmp_path / "c.cfg"
    config.write_text("% for xWR1843 and xWR6843\n" + RADAR.text)
    line = ["hw", "record", config, "-o", tmp_path / "r", "--frames", 3, "--no-radar"]
    done = mmsar(*line, "--host-ip", addresses[0], "--card-ip", addresses[1])
    assert done.returncode == 3 and "--device" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()
    config.write_text(RADAR.text)
    done = mmsar(*line, "--host-ip", addresses[0], "--card-ip", addresses[1])
    assert done.returncode == 4, "nobody at the address"
    assert "no chip is named" in done.stderr and "taken as xWR1843" in done.stderr
    assert mmsar("hw", "check", config).returncode == 3
    assert mmsar("hw", "check", config, "--device", "xWR1843").returncode == 0
    config.write_text("".join(line for line in RADAR.text.splitlines(True) if not line.startswith("profileCfg")))
    done = mmsar(*line, "--device", "xWR1843")
    assert done.returncode == 3 and "profileCfg" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()
