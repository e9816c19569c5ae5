"""Frames of a packet capture: losses, copies and late packets counted exactly, everything else bit-identical."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError
from mmsar.hardware.adc import cube_shape, encode_frames
from mmsar.hardware.config.radar import RadarConfig, parse_cfg
from mmsar.hardware.readers.pcap_capture import PcapCapture

PAYLOAD = 1456
START = 1_700_000_000_000_000_000


def config_of(frames: int, kind: str = "xWR1843") -> RadarConfig:
    text = f"""dfeDataOutputMode 1
channelCfg 15 5 0
adcCfg 2 1
adcbufCfg -1 0 {int(kind == "xWR1843")} {int(kind == "xWR1843")} 1
profileCfg 0 77 7 6 60 0 0 60 0 64 5000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 4
frameCfg 0 1 3 {frames} 40 1 0
"""
    return parse_cfg(text, device=kind)


def cube_of(config: RadarConfig, frames: int) -> np.ndarray:
    parts = np.random.default_rng(7).integers(1, 30000, (2, *cube_shape(config, frames)))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def packets_of(raw: bytes) -> list[bytes]:
    """The datagrams of the card: number from 1, bytes before, payload."""
    out = []
    for k, at in enumerate(range(0, len(raw), PAYLOAD), start=1):
        out.append(struct.pack("<IIH", k, at & 0xFFFFFFFF, at >> 32) + raw[at : at + PAYLOAD])
    return out


def write(path: Path, datagrams: list[bytes], port: int = 4098) -> Path:
    out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    for k, datagram in enumerate(datagrams):
        udp = struct.pack(">HHHH", 1024, port, 8 + len(datagram), 0) + datagram
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), k & 0xFFFF, 0, 64, 17, 0) + bytes(
            [10, 0, 0, 2, 10, 0, 0, 1]
        )
        stamp = START + k * 20_000
        out += struct.pack("<IIII", stamp // 10**9, stamp % 10**9, len(ip + udp), len(ip + udp)) + ip + udp
    path.write_bytes(out)
    return path


@pytest.mark.parametrize("kind", ["xWR1843", "xWR1443"])
@pytest.mark.parametrize("told", [0, 5])
def test_whole_capture(tmp_path: Path, kind: str, told: int) -> None:
    config = config_of(told, kind)
    cube = cube_of(config, 5)
    datagrams = packets_of(encode_frames(cube, config).tobytes())
    capture = PcapCapture(write(tmp_path / "a.pcap", datagrams), config)
    assert capture.n_frames == 5 and capture.lost == 0 and capture.frames_complete.all()
    samples, valid = capture.samples()
    assert np.array_equal(samples, cube) and valid.all() and valid.shape == cube.shape
    part, _ = capture.samples(slice(1, 3))
    assert np.array_equal(part, cube[1:3])
    first = [k * config.frame_bytes // PAYLOAD for k in range(5)]
    assert capture.frame_stamps.tolist() == [START + k * 20_000 for k in first]
    assert capture.notes == (f"5 frames, 0 of them damaged; {len(datagrams)} packets, 0 lost, 0 twice, 0 late",)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_faults_are_counted_and_harm_nothing_else(tmp_path: Path, data) -> None:
    frames = 6
    config = config_of(frames, data.draw(st.sampled_from(["xWR1843", "xWR1443"])))
    cube = cube_of(config, frames)
    raw = encode_frames(cube, config).tobytes()
    sent = packets_of(raw)
    n = len(sent)
    lost = data.draw(st.sets(st.integers(0, n - 1), max_size=6))
    twice = data.draw(st.sets(st.integers(0, n - 1), max_size=6)) - lost
    order = [k for k in range(n) if k not in lost]
    for k in sorted(data.draw(st.sets(st.integers(0, len(order) - 2), max_size=5))):
        order[k], order[k + 1] = order[k + 1], order[k]
    order += sorted(twice)
    capture = PcapCapture(write(tmp_path / "a.pcap", [sent[k] for k in order]), config)
    highest, late = -1, 0
    for k in order[: n - len(lost)]:
        late += k < highest
        highest = max(highest, k)
    ledger = capture.ledger
    assert (ledger.received, capture.lost, ledger.duplicates, ledger.late) == (
        n - len(lost),
        len(lost),
        len(twice),
        late,
    )
    gone = np.zeros(len(raw), bool)
    for k in lost:
        gone[k * PAYLOAD : (k + 1) * PAYLOAD] = True
    damaged = gone.reshape(frames, -1).any(axis=1)
    assert np.array_equal(~damaged, capture.frames_complete)
    samples, valid = capture.samples()
    assert np.array_equal(samples[valid], cube[valid]) and not samples[~valid].any()
    assert valid[~damaged].all()
    # a sample is invalid exactly when a byte of it is gone
    mark = np.where(gone.view(np.uint8).reshape(-1, 2).any(axis=1), 0, 1).astype("<i2")
    expected = valid_by_index(config, mark, frames)
    assert np.array_equal(valid, expected)


def valid_by_index(config: RadarConfig, mark: np.ndarray, frames: int) -> np.ndarray:
    """Valid samples by index: 2 lanes [rx, n/2, QI, 2], 4 lanes [n, IQ, 4]."""
    chirps, n = config.chirps_per_frame, config.n_samples
    if config.layout == "4lane":
        words = mark.reshape(frames, chirps, n, 2, 4).min(axis=3).transpose(0, 1, 3, 2)
    else:
        words = mark.reshape(frames, chirps, 4, n // 2, 2, 2).min(axis=4).reshape(frames, chirps, 4, n)
    return words.reshape(cube_shape(config, frames)).astype(bool)


def test_endless_configuration_and_unfinished_frames(tmp_path: Path) -> None:
    config = config_of(0)
    raw = encode_frames(cube_of(config, 4), config).tobytes()
    capture = PcapCapture(write(tmp_path / "a.pcap", packets_of(raw[: -config.frame_bytes // 3])), config)
    assert capture.n_frames == 3 and capture.frames_complete.all()
    assert any("after the last whole frame" in note for note in capture.notes)
    told = config_of(6)
    short = PcapCapture(write(tmp_path / "b.pcap", packets_of(raw)), told)
    assert short.n_frames == 6 and short.frames_complete.tolist() == [True] * 4 + [False] * 2
    assert short.lost == -(-6 * config.frame_bytes // PAYLOAD) - len(packets_of(raw))
    many = PcapCapture(write(tmp_path / "c.pcap", packets_of(raw)), config_of(2))
    assert many.n_frames == 2 and any("reach to frame 4" in note for note in many.notes)


def test_strange_packets_and_a_second_recording(tmp_path: Path) -> None:
    config = config_of(0)
    raw = encode_frames(cube_of(config, 4), config).tobytes()
    first = packets_of(raw)
    other = packets_of(np.random.default_rng(1).bytes(len(raw) * 2))
    capture = PcapCapture(write(tmp_path / "a.pcap", [b"stray", *first, *other]), config)
    samples, valid = capture.samples()
    assert capture.n_frames == 4 and valid.all() and np.array_equal(samples, cube_of(config, 4))
    assert any("began to count anew" in note for note in capture.notes)
    assert any("1 datagrams to the data port are no data packets" in note for note in capture.notes)


def test_too_little(tmp_path: Path) -> None:
    config = config_of(0)
    raw = encode_frames(cube_of(config, 1), config).tobytes()
    path = write(tmp_path / "a.pcap", packets_of(raw)[:2])
    with pytest.raises(FormatError, match="got 2912 bytes of samples, wanted at least a frame of 6144"):
        PcapCapture(path, config)
    with pytest.raises(FormatError, match="a step of 2"):
        PcapCapture(write(path, packets_of(raw)), config).samples(slice(0, 1, 2))
