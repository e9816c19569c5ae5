"""Cascade recordings written by hand: order of receivers, frames from the index, drops aligned by time, refusals."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError
from mmsar.hardware.config.radar_config import RadarConfig
from mmsar.hardware.readers.cascade import CHIPS, is_cascade, open_cascade

PERIOD = 4e-3
SAMPLES, LOOPS, TX = 8, 2, 3


def config_of(n_frames: int = 0, period: float = PERIOD) -> RadarConfig:
    return RadarConfig(
        device="MMWCAS",
        text="",
        start_frequency=77e9,
        slope=60e12,
        idle=5e-6,
        adc_start=6e-6,
        ramp_end=60e-6,
        fs=8e6,
        n_samples=SAMPLES,
        rx=tuple(range(16)),
        tx_order=(11, 10, 9),
        n_loops=LOOPS,
        n_frames=n_frames,
        frame_period=period,
        trigger="software",
        complex_samples=True,
        adc_bits=16,
        sample_swap=False,
        layout="4lane",
    )


def cube_of(frames: int) -> np.ndarray:
    parts = np.random.default_rng(3).integers(-3000, 3000, (2, frames, LOOPS, TX, 16, SAMPLES))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def index_of(times: list[int], size: int, *, count: int | None = None, width: int = SAMPLES) -> bytes:
    count = len(times) if count is None else count
    out = struct.pack("<4sIIIQ", b"bckt", 1, 0, count, size * len(times))
    for k, time in enumerate(times):
        out += struct.pack("<2sHIHH4IIQQ", b"id", 1, 0, width, 1, 0, 0, 0, 0, size, time, k * size)
    return out


def write(
    folder: Path,
    cube: np.ndarray,
    kept: dict[str, list[int]],
    *,
    unit: int = 1,
    jitter: float = 0.0,
    split: int | None = None,
    spare: int = 4096,
) -> Path:
    """The files of a recording of which chip c kept the frames kept[c]; data files are longer than their content."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(4)
    for chip, name in enumerate(CHIPS):
        mine = cube[:, :, :, 4 * chip : 4 * chip + 4].transpose(0, 1, 2, 4, 3)  # frame, loop, chirp, sample, rx
        words = np.stack([mine.real, mine.imag], axis=-1).astype("<i2").reshape(len(cube), -1)
        frames = kept[name]
        times = [int((5e9 + (k + rng.uniform(-jitter, jitter)) * PERIOD * 1e9 + 40_000 * chip) / unit) for k in frames]
        sets = [slice(0, len(frames))] if split is None else [slice(0, split), slice(split, len(frames))]
        for number, part in enumerate(sets):
            data = words[frames[part]].tobytes() + bytes(spare)
            (folder / f"{name}_{number:04d}_data.bin").write_bytes(data)
            (folder / f"{name}_{number:04d}_idx.bin").write_bytes(index_of(times[part], words[0].nbytes))
    return folder


def everything(n: int) -> dict[str, list[int]]:
    return {name: list(range(n)) for name in CHIPS}


@pytest.mark.parametrize(("unit", "name"), [(1, "ns"), (1000, "us")])
@pytest.mark.parametrize("split", [None, 3])
def test_whole_recording(tmp_path: Path, unit: int, name: str, split: int | None) -> None:
    cube = cube_of(7)
    folder = write(tmp_path / "c", cube, everything(7), unit=unit, split=split)
    assert is_cascade(folder) and not is_cascade(tmp_path)
    capture = open_cascade(folder, config_of())
    assert (capture.n_frames, capture.unit) == (7, name) and capture.frames_complete.all()
    samples, valid = capture.samples()
    assert np.array_equal(samples, cube) and valid.shape == cube.shape and valid.all()
    assert np.array_equal(capture.samples(slice(2, 4))[0], cube[2:4])
    steps = np.diff(capture.frame_stamps)
    assert np.allclose(steps, PERIOD * 1e9, rtol=1e-3)
    assert "7 in all four, 0 in some only" in capture.notes[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drops=st.lists(st.sets(st.integers(1, 28), max_size=8), min_size=4, max_size=4),
    jitter=st.sampled_from([0.0, 0.05]),
    unit=st.sampled_from([1, 1000]),
)
def test_drops_of_every_chip_are_aligned_by_time(
    tmp_path: Path, drops: list[set[int]], jitter: float, unit: int
) -> None:
    n = 30  # frames 0 and 29 are kept, so that first and last are known
    cube = cube_of(n)
    kept = {name: [k for k in range(n) if k not in drop] for name, drop in zip(CHIPS, drops, strict=True)}
    folder = write(tmp_path / "c", cube, kept, unit=unit, jitter=jitter)
    capture = open_cascade(folder, config_of())
    whole = np.array([all(k not in drop for drop in drops) for k in range(n)])
    assert capture.n_frames == n and np.array_equal(capture.frames_complete, whole)
    samples, valid = capture.samples()
    assert np.array_equal(samples[whole], cube[whole]) and not samples[~whole].any()
    assert np.array_equal(valid.all(axis=(1, 2, 3, 4)), whole) and np.array_equal(valid.any(axis=(1, 2, 3, 4)), whole)
    nobody = np.array([all(k in drop for drop in drops) for k in range(n)])
    assert np.array_equal(capture.frame_stamps < 0, nobody)


def test_a_long_recording_does_not_lose_count(tmp_path: Path) -> None:
    n = 4000
    cube = np.zeros((1, LOOPS, TX, 16, SAMPLES), np.complex64)
    kept = [k for k in range(n) if k % 53 != 7]
    size = cube[0].size // 4 * 4
    times = [int(k * PERIOD * 1e9 * (1 + 400e-6)) for k in kept]  # the recorder's clock runs 400 ppm off
    folder = tmp_path / "c"
    folder.mkdir()
    for name in CHIPS:
        (folder / f"{name}_0000_data.bin").write_bytes(bytes(size * len(kept)))
        (folder / f"{name}_0000_idx.bin").write_bytes(index_of(times, size))
    capture = open_cascade(folder, config_of(n))
    assert np.flatnonzero(capture.frames_complete).tolist() == kept


def refusal(folder: Path, config: RadarConfig | None = None) -> str:
    with pytest.raises(FormatError) as caught:
        open_cascade(folder, config or config_of())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    cube = cube_of(5)

    def fresh() -> Path:
        return write(tmp_path / "c", cube, everything(5), spare=0)

    folder = fresh()
    size = LOOPS * TX * SAMPLES * 16
    index, data = folder / "slave2_0000_idx.bin", folder / "slave2_0000_data.bin"
    index.write_bytes(index.read_bytes()[:-10])
    assert "got 254 bytes = 4 entries, wanted 5" in refusal(folder)
    index.write_bytes(b"bckt")
    assert "got 4 bytes, wanted an index's header" in refusal(folder)
    index.write_bytes(b"what" + bytes(100))
    assert "wanted the tag 'bckt'" in refusal(folder)
    index.write_bytes(index_of([1, 2], size)[:24] + bytes(96))
    assert "entry 0: got tag" in refusal(folder)
    index.write_bytes(index_of([], size))
    assert "slave2: got no frame" in refusal(folder)
    index.write_bytes(index_of([5, 5, 6], size))
    assert "does not rise at frame 1" in refusal(folder)
    index.write_bytes(index_of([5, 2**60], size))
    assert "wanted less: damaged index" in refusal(folder)
    folder = fresh()
    data.write_bytes(data.read_bytes()[:-1])
    message = refusal(folder)
    assert f"slave2_0000_data.bin: got {5 * size - 1} bytes, wanted {5 * size} for frame 4" in message
    data.unlink()
    assert "got no slave2_0000_data.bin (1 missing)" in refusal(folder)
    folder = fresh()
    index.write_bytes(index_of([0, 4_000_000], 2 * size, width=16))
    message = refusal(folder)
    assert f"got {2 * size} bytes, wanted {size} (6 chirps x 8 samples x 4 RX x 4 bytes); the index says 16" in message
    fresh()
    assert "median step of 4e+06, wanted 1e+08 (ns) or 100000 (us)" in refusal(folder, config_of(period=0.1))
    with pytest.raises(FormatError, match="wanted a cascade recording"):
        open_cascade(tmp_path, config_of())


def test_stamps_that_do_not_belong_together(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", cube_of(6), everything(6))
    size = LOOPS * TX * SAMPLES * 16
    step = int(PERIOD * 1e9)
    index = folder / "slave1_0000_idx.bin"
    index.write_bytes(index_of([5 * 10**9 + k * step + step // 2 for k in (0, 1, 2, 3, 4, 5)], size))
    assert "frame" in refusal(folder)
    stamps = [5 * 10**9 + k * step for k in (0, 1, 2)] + [5 * 10**9 + int((k + 0.45) * step) for k in (3, 4, 5)]
    for name in CHIPS:
        (folder / f"{name}_0000_idx.bin").write_bytes(index_of(stamps, size))
    assert "a step of 1.45 frame periods" in refusal(folder)


def test_configuration_of_another_radar(tmp_path: Path) -> None:
    from dataclasses import replace

    folder = write(tmp_path / "c", cube_of(2), everything(2))
    assert "got a configuration of 4 receivers" in refusal(folder, replace(config_of(), rx=(0, 1, 2, 3)))
    told = open_cascade(folder, config_of(9))
    assert any("the configuration says 9 frames" in note for note in told.notes)


def test_as_a_scan(tmp_path: Path, capsys) -> None:
    """`mmsar import` of a folder with its .mmwave.json of four chips: chirp order of the table, 16 receivers."""
    from mmsar.cli import main
    from mmsar.io.scan_h5 import load_scan

    folder = write(tmp_path / "c", cube := cube_of(6), {**everything(6), "slave3": [0, 1, 2, 4, 5]})
    (folder / "run.mmwave.json").write_text(mmwave_json())
    (folder / "scan.toml").write_text(
        '[capture]\nloops = "average"\n[array]\nboard = "MMWCAS-RF"\ntx_rx_gap_mm = [0, 40, 0]\n'
        '[scan]\nn_x = 6\nn_y = 1\nx_step_mm = 1\ndirection = "forward"\nmotion = "step"\n'
    )
    out = tmp_path / "scan.h5"
    assert main(["import", str(folder), "-o", str(out)]) == 0
    err = capsys.readouterr().err
    assert "5 in all four, 1 in some only" in err and "48 of 288 channels were not captured whole" in err
    scan = load_scan(out)
    good = [0, 1, 2, 4, 5]
    assert scan.shape == (6, TX, 16, SAMPLES) and scan.valid[good].all() and not scan.valid[3].any()
    assert np.allclose(scan.read()[good], cube.mean(axis=1)[good], atol=1e-3)
    # rx of master, slave 1, 2, 3 along the row (half wavelengths): 0, 39, 35, -11; TX12, 11, 10 first
    half = 1.95177e-3
    assert np.allclose((scan.array.rx[::4, 1] - scan.array.rx[0, 1]) / half, [0, 39, 35, -11], atol=1e-3)
    assert np.allclose(np.diff(scan.array.tx[:, 1]) / half, [4, 4], atol=1e-3)


def mmwave_json() -> str:
    import json

    profile = {
        "profileId": 0,
        "startFreqConst_GHz": 77.0,
        "idleTimeConst_usec": 5.0,
        "adcStartTimeConst_usec": 6.0,
        "rampEndTime_usec": 60.0,
        "freqSlopeConst_MHz_usec": 60.0,
        "txStartTime_usec": 0.0,
        "numAdcSamples": SAMPLES,
        "digOutSampleRate": 8000.0,
        "hpfCornerFreq1": 0,
        "hpfCornerFreq2": 0,
        "rxGain_dB": "0x1E",
    }
    devices = []
    for chip in range(4):
        masks = [4, 2, 1] if chip == 3 else [0, 0, 0]
        chirps = [
            {"rlChirpCfg_t": {"chirpStartIdx": k, "chirpEndIdx": k, "profileId": 0, "txEnable": hex(mask)}}
            for k, mask in enumerate(masks)
        ]
        frame = {"chirpStartIdx": 0, "chirpEndIdx": 2, "numLoops": LOOPS, "numFrames": 6, "numAdcSamples": 2 * SAMPLES}
        rf = {
            "waveformType": "legacyFrameChirp",
            "MIMOScheme": "TDM",
            "rlChanCfg_t": {"rxChannelEn": "0xF", "txChannelEn": "0x7", "cascading": 1 if chip == 0 else 2},
            "rlAdcOutCfg_t": {"fmt": {"b2AdcBits": 2, "b2AdcOutFmt": 1}},
            "rlProfiles": [{"rlProfileCfg_t": profile}],
            "rlChirps": chirps,
            "rlFrameCfg_t": {**frame, "framePeriodicity_msec": PERIOD * 1e3, "triggerSelect": 1 if chip == 0 else 2},
        }
        raw = {"rlDevDataFmtCfg_t": {"iqSwapSel": 0, "chInterleave": 0}}
        devices.append({"mmWaveDeviceId": chip, "rfConfig": rf, "rawDataCaptureConfig": raw})
    return json.dumps({"mmWaveDevices": devices})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 24 + 48 * 5 - 1), value=st.integers(0, 255), chip=st.sampled_from(CHIPS))
def test_a_damaged_index_is_refused_or_harmless(tmp_path: Path, at: int, value: int, chip: str) -> None:
    cube = cube_of(5)
    folder = write(tmp_path / "c", cube, everything(5))
    index = folder / f"{chip}_0000_idx.bin"
    content = bytearray(index.read_bytes())
    content[at] = value
    index.write_bytes(content)
    try:
        capture = open_cascade(folder, config_of())
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        samples, valid = capture.samples()
        assert samples.shape == valid.shape and capture.frames_complete.sum() <= 5


def test_samples_of_twelve_bits_have_their_sign(tmp_path: Path) -> None:
    cube = np.clip(cube_of(2).real, -2048, 2047).astype(np.complex64)
    kept = {name: [0, 1] for name in CHIPS}
    folder = write(tmp_path / "c", cube, kept)
    for path in folder.glob("*_data.bin"):
        (np.fromfile(path, "<i2") & 0x0FFF).tofile(path)
    samples, valid = open_cascade(folder, replace(config_of(), adc_bits=12)).samples()
    assert valid.all() and np.array_equal(samples, cube)
