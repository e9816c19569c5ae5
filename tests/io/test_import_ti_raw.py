"""Raw TI captures: positions, timing and samples of synthetic files, explained refusals, and the real captures."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsar.constants import C0
from mmsar.errors import FormatError
from mmsar.io.importers import import_scan
from mmsar.io.importers.iq_layout import LAYOUTS, REAL, encode
from mmsar.io.scan_h5 import load_scan, save_scan

REPO_ROOT = Path(__file__).resolve().parents[2]
DATA = REPO_ROOT.parent / "shared" / "data"
DESCRIPTIONS = REPO_ROOT / "tests" / "descriptions"

BASE: dict[str, Any] = {
    "format": "ti-raw",
    "waveform": {
        "start_ghz": 77.0,
        "slope_mhz_us": 60.0,
        "adc_start_us": 5.0,
        "sample_rate_ksps": 9000,
        "samples": 16,
    },
    "capture": {"layout": "2lane-iiqq", "rx": 2},
    "scan": {"x_step_mm": 1.0, "y_step_mm": 2.0, "direction": "forward", "first_row": "top"},
    "array": {"tx_mm": [[0, 0, 0]], "rx_mm": [[1, 0, 0], [3, 0, 0]]},
}


def described(**tables: Any) -> dict[str, Any]:
    """BASE with changes; a value of None removes the key."""
    out = copy.deepcopy(BASE)
    for name, table in tables.items():
        if isinstance(table, dict):
            merged = {**out.get(name, {}), **table}
            out[name] = {key: value for key, value in merged.items() if value is not None}
        else:
            out[name] = table
    return out


def cube_of(frames: int, chirps: int = 1, rx: int = 2, samples: int = 16, seed: int = 0) -> np.ndarray:
    parts = np.random.default_rng(seed).integers(-900, 900, (2, frames, chirps, rx, samples))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def write(path: Path, cube: np.ndarray, layout: str = "2lane-iiqq", **kwargs: Any) -> Path:
    encode(cube, layout, **kwargs).tofile(path)
    return path


def rows(folder: Path, cubes: list[np.ndarray], name: str = "scan{}_Raw_0.bin", first: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for number, cube in enumerate(cubes, start=first):
        write(folder / name.format(number), cube)
    return folder


def refusal(path: Path, description: Any, **kwargs: Any) -> str:
    with pytest.raises(FormatError) as caught:
        import_scan(path, description, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_row_files_in_numeric_order(tmp_path: Path) -> None:
    cubes = [cube_of(5, seed=i) for i in range(12)]
    scan = import_scan(rows(tmp_path / "raw", cubes), described(capture={"frames_per_file": 5}))
    assert scan.shape == (60, 1, 2, 16)
    assert np.array_equal(scan.signal[:, 0], np.concatenate(cubes)[:, 0])
    assert scan.chirp.f0 == pytest.approx(77.3e9) and scan.chirp.slope == pytest.approx(60e12)
    assert (scan.raster.n_y, scan.raster.n_x, scan.raster.serpentine) == (12, 5, False)
    position = scan.trajectory.position.reshape(12, 5, 3) * 1e3
    assert np.allclose(position[0, :, 0], [-2, -1, 0, 1, 2]) and np.allclose(position[7, :, 0], [-2, -1, 0, 1, 2])
    assert np.allclose(position[:, 0, 1], 11 - 2 * np.arange(12)) and not position[..., 2].any()
    assert scan.attrs["nominal_times"] and scan.attrs["history"][0]["step"] == "import"


@pytest.mark.parametrize(
    ("direction", "first_row", "x", "y"),
    [
        ("forward", "bottom", [[-1, 0, 1], [-1, 0, 1]], [-1, 1]),
        ("backward", "top", [[1, 0, -1], [1, 0, -1]], [1, -1]),
        ("serpentine", "top", [[-1, 0, 1], [1, 0, -1]], [1, -1]),
    ],
)
def test_directions(tmp_path: Path, direction: str, first_row: str, x: list, y: list) -> None:
    path = write(tmp_path / "one.bin", cube_of(6))
    scan = import_scan(path, described(scan={"n_x": 3, "n_y": 2, "direction": direction, "first_row": first_row}))
    position = scan.trajectory.position.reshape(2, 3, 3) * 1e3
    assert np.allclose(position[..., 0], x) and np.allclose(position[:, 1, 1], y)
    assert scan.raster.serpentine == (direction == "serpentine")


@pytest.mark.parametrize("lazy", [True, False])
def test_split_files_are_one_stream(tmp_path: Path, lazy: bool) -> None:
    cube = cube_of(10, chirps=4)
    raw = encode(cube, "2lane-iiqq").view(np.uint8)
    for k, part in enumerate(np.split(raw, [333, 334, 2000])):  # cuts that respect no sample
        part.tofile(tmp_path / f"adc_Raw_{k}.bin")
    description = described(
        capture={"files": "split", "chirps_per_frame": 4, "loops": "poses"},
        scan={"n_x": 20, "n_y": 2, "motion": "step"},
    )
    scan = import_scan(tmp_path, description, lazy=lazy)
    assert scan.shape == (40, 1, 2, 16)
    assert np.array_equal(scan.read()[:, 0], cube.reshape(40, 2, 16))
    if lazy:
        assert np.array_equal(scan.signal[3:7, 0], cube.reshape(40, 2, 16)[3:7])
        save_scan(scan, tmp_path / "scan.h5")
        assert np.array_equal(load_scan(tmp_path / "scan.h5").signal, scan.read())
        assert (tmp_path / "scan.h5").stat().st_size < 40 * 2 * 16 * 8 + 20_000  # int16: half of complex64


def test_tdm_chirps_loops_and_times(tmp_path: Path) -> None:
    cube = cube_of(6, chirps=6)
    path = write(tmp_path / "a.bin", cube)
    base = described(
        waveform={"idle_us": 7, "ramp_end_us": 63, "frame_period_ms": 4.0},
        capture={"tx": 2, "chirps_per_frame": 6, "loops": "average"},
        array={"tx_mm": [[0, 0, 0], [0, 8, 0]]},
        scan={"n_x": 3, "n_y": 2},
    )
    scan = import_scan(path, base)
    assert np.allclose(scan.signal, cube.reshape(6, 3, 2, 2, 16).mean(axis=1), atol=1e-3)
    assert np.allclose(scan.tx_delay, [2 * 70e-6, 3 * 70e-6])  # centre of the three loops of two chirps
    assert np.allclose(np.diff(scan.trajectory.time[:3]), 4e-3) and "nominal_times" not in scan.attrs
    assert scan.trajectory.time[3] - scan.trajectory.time[2] > 8e-3  # the pause between rows
    loops = import_scan(
        path, described(**{**base, "capture": {**base["capture"], "loops": "poses"}, "scan": {"n_x": 9}})
    )
    assert np.array_equal(loops.signal, cube.reshape(18, 2, 2, 16))
    assert np.allclose(loops.tx_delay, [0, 70e-6])
    assert np.allclose(loops.trajectory.time[:4], [0, 140e-6, 280e-6, 4e-3])


def test_moving_tdm_needs_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", cube_of(2, chirps=2))
    description = described(array={"tx_mm": [[0, 0, 0], [0, 8, 0]]}, scan={"n_x": 2, "n_y": 1})
    assert "idle_us: missing" in refusal(path, description)
    description["scan"]["motion"] = "step"
    assert not import_scan(path, description).tx_delay.any()


def test_calibration_is_kept_and_not_applied(tmp_path: Path) -> None:
    cube = cube_of(4)
    path = write(tmp_path / "a.bin", cube)
    scan = import_scan(
        path,
        described(
            scan={"n_x": 2}, calibration={"delay_ns": 0.5, "gain": [1.0, 0.5], "phase_deg": [0, 90], "source": "s"}
        ),
    )
    assert np.array_equal(scan.signal[:, 0], cube[:, 0])
    assert np.allclose(scan.calibration.gain, [[1, 0.5j]])
    assert scan.calibration.range_bias == pytest.approx(C0 * 0.25e-9) and scan.calibration.source == "s"
    bad = described(scan={"n_x": 2}, calibration={"gain": [1.0, 0.5, 0.3]})
    assert "gain: got shape (3,), wanted 2 numbers" in refusal(path, bad)


def test_boards(tmp_path: Path) -> None:
    from mmsar import AntennaArray

    path = write(tmp_path / "a.bin", cube_of(4, chirps=2, rx=4), "4lane")
    board = {"array": None, "capture": {"layout": "4lane", "rx": 4, "tx": 2}, "scan": {"n_x": 2, "motion": "step"}}
    base = described(**board)
    base["array"] = {"board": "iwr1443", "use_tx": [1, 3]}
    scan = import_scan(path, base)
    assert np.allclose(scan.array.virtual, AntennaArray.iwr1443(2).virtual)
    base["array"] = {"board": "iwr1443", "use_tx": [3, 1], "rotation_deg": -90}
    turned = import_scan(path, base).array
    assert np.allclose(turned.tx[:, 0], scan.array.tx[::-1, 1]) and np.allclose(turned.rx[:, 0], scan.array.rx[:, 1])
    base["array"] = {"board": "iwr1443"}
    assert "use_tx: missing; board iwr1443 has 3" in refusal(path, base)
    base["array"] = {"board": "iwr1642"}
    assert import_scan(path, base).array.name == "IWR1642BOOST"


def test_offset_binary_both_ways(tmp_path: Path) -> None:
    cube = cube_of(50)
    path = write(tmp_path / "a.bin", cube, offset_binary=True)
    assert "offset_binary = true" in refusal(path, described(scan={"n_x": 50}))
    yes = described(capture={"offset_binary": True}, scan={"n_x": 50})
    assert np.array_equal(import_scan(path, yes).signal[:, 0], cube[:, 0])
    write(path, cube)
    assert "offset_binary = false" in refusal(path, yes)


def test_sizes_that_disagree_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    raw = encode(cube_of(6), "2lane-iiqq")
    unit = raw.nbytes // 6
    raw.tofile(path)
    message = refusal(path, described(capture={"frames_per_file": 5}, scan={"n_x": 5}))
    assert f"got {6 * unit} bytes, wanted {5 * unit} = 5 frames" in message and "6 frames would fit" in message
    message = refusal(path, described(scan={"n_x": 2, "n_y": 4}))
    assert "8 frames ([scan] n_x times n_y)" in message
    message = refusal(path, described(scan={"n_x": 4}))
    assert "4 = 4 positions, data has 6" in message and "n_y = 6" not in message
    assert "n_x, n_y: missing" in refusal(path, described())
    raw[:-3].tofile(path)
    message = refusal(path, described(scan={"n_x": 6, "n_y": 1}))
    assert f"that is 5 frames and {unit - 6} bytes over" in message and "cut short" in message
    np.concatenate([raw, np.zeros(100, raw.dtype)]).tofile(path)
    assert "the last 200 bytes are zeros" in refusal(path, described(scan={"n_x": 6, "n_y": 1}))
    write(path, cube_of(6, samples=32))
    message = refusal(path, described(capture={"frames_per_file": 6}, scan={"n_x": 6}))
    assert "samples = 32 would fit" in message and "rx = 4 would fit" in message and "chirps_per_frame = 2" in message
    path.write_bytes(b"")
    assert "the file is empty" in refusal(path, described(scan={"n_x": 6, "n_y": 1}))


def test_row_files_that_disagree(tmp_path: Path) -> None:
    folder = rows(tmp_path / "raw", [cube_of(4, seed=i) for i in range(3)])
    assert "n_y: got 4, but there are 3 row files" in refusal(folder, described(scan={"n_y": 4}))
    assert "n_x" in refusal(folder, described(scan={"n_x": 5}))
    write(folder / "scan2_Raw_0.bin", cube_of(3))
    assert "row files of 3 to 4 frames" in refusal(folder, described())
    message = refusal(folder, described(capture={"frames_per_file": 4}))
    assert "scan2_Raw_0.bin" in message and "3 frames would fit" in message
    (folder / "scan2_Raw_0.bin").unlink()
    assert "without number 2 (1 missing)" in refusal(folder, described())
    write(folder / "other.bin", cube_of(4))
    assert "named differently" in refusal(folder, described())
    assert "no file that matches *.dat" in refusal(folder, described(capture={"pattern": "*.dat"}))
    (folder / "scan2_Raw_0.bin").write_bytes(b"")
    assert "empty" in refusal(folder, described(capture={"pattern": "scan*.bin"}))


def test_lanes_and_dead_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", cube_of(4, rx=4), "4lane")
    assert "the other lanes of a.bin hold samples" in refusal(
        path, described(capture={"layout": "4lane"}, scan={"n_x": 4})
    )
    write(path, cube_of(4, rx=2), "4lane")
    assert import_scan(path, described(capture={"layout": "4lane"}, scan={"n_x": 2})).shape == (4, 1, 2, 16)
    write(path, 0 * cube_of(4))
    assert "all samples at its start are 0" in refusal(path, described(scan={"n_x": 4}))


def test_sign(tmp_path: Path) -> None:
    n = np.arange(16)
    cube = np.round(3000 * np.exp(2j * np.pi * 4 * n / 16)) * np.ones((4, 1, 2, 1))
    path = write(tmp_path / "a.bin", cube)
    good, wrong = described(scan={"n_x": 4}), described(scan={"n_x": 4}, waveform={"sign": "negative"})
    assert import_scan(path, good, check_sign=True).attrs["history"][0]["sign_check_db"] > 20
    message = refusal(path, wrong, check_sign=True)
    assert 'set [waveform] sign = "positive"' in message and "dB" in message
    assert np.array_equal(import_scan(path, wrong).signal[:, 0], cube[:, 0].conj())
    write(path, cube.real + 0j)
    with pytest.warns(UserWarning, match="undecided"):
        import_scan(path, good, check_sign=True)


def test_positions_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", cube_of(3))
    half = np.sqrt(0.5)
    (tmp_path / "p.csv").write_text(
        f"time, x, y, z, qx, qy, qz, qw\n0,0,0,0,0,0,0,1\n0.1,1,2,3,0,0,{half},{half}\n0.2,4,5,6,0,0,0,1\n"
    )
    description = described()
    description["scan"] = {"positions": "p.csv", "position_unit": "mm"}
    scan = import_scan(path, description)
    assert np.allclose(scan.trajectory.position, np.array([[0, 0, 0], [1, 2, 3], [4, 5, 6]]) * 1e-3)
    assert np.allclose(scan.trajectory.rotation[1], [0, 0, half, half]) and scan.raster is None
    assert np.allclose(scan.trajectory.time, [0, 0.1, 0.2])
    np.savez(tmp_path / "p.npz", time=[0, 1, 2], x=[0, 1, 2], y=[0, 0, 0], z=[5, 5, 5])
    description["scan"] = {"positions": "p.npz"}
    assert np.allclose(import_scan(path, description).trajectory.position[2], [2, 0, 5])
    np.savez(tmp_path / "p.npz", time=[0, 1], x=[0, 1], y=[0, 0], z=[5, 5])
    assert "got 2 positions, the data has 3 poses" in refusal(path, description)
    for text, expected in (
        ("time,x,y\n0,0,0\n", "wanted time,x,y,z"),
        ("time,x,y,z\n0,0,0\n", "line 2: got 3 values"),
        ("time,x,y,z\n0,0,zero,0\n", "line 2"),
        ("time,x,y,z\n0,0,0,0\n2,0,0,0\n1,0,0,0\n", "decreasing times"),
        ("time,x,y,z\n0,0,0,0\n1,nan,0,0\n2,0,0,0\n", "not finite"),
        ("", "wanted time,x,y,z"),
        ("time,x,y,z\n", "got 0 positions"),
    ):
        (tmp_path / "p.csv").write_text(text)
        description["scan"] = {"positions": "p.csv"}
        assert expected in refusal(path, description)
    description["scan"] = {"positions": "none.csv"}
    assert "no such file beside the data" in refusal(path, description)
    description["scan"] = {"positions": "p.npz", "n_x": 3}
    assert "both positions and n_x" in refusal(path, description)


def test_the_square_plate() -> None:
    if not (DATA / "dca1000_square_plate").is_dir():
        pytest.skip("shared data dca1000_square_plate not found")
    scan = import_scan(DATA / "dca1000_square_plate", DESCRIPTIONS / "square_plate.toml", check_sign=True, lazy=True)
    assert scan.shape == (16000, 1, 4, 512) and (scan.raster.n_y, scan.raster.n_x) == (40, 400)
    assert scan.chirp.f0 == pytest.approx(77.380058e9, abs=1e3) and scan.chirp.bandwidth == pytest.approx(
        3.556e9, rel=1e-3
    )
    assert scan.calibration.range_bias == pytest.approx(67.79e-3, abs=1e-5)
    shifts = scan.array.virtual[0, :, 0] - scan.array.virtual[0, 0, 0]
    assert np.allclose(shifts * 1e3, [0, 0.6, 1.6, 2.2])
    assert scan.attrs["history"][0]["sign_check_db"] > 25
    raw = np.fromfile(DATA / "dca1000_square_plate" / "scan3_Raw_0.bin", "<i2").reshape(400, 512, 8)
    expected = raw[7, :, 2].astype(np.float32) + 1j * raw[7, :, 6]
    assert np.array_equal(scan.signal[2 * 400 + 7, 0, 2], expected)


COMPLEX = [layout for layout in LAYOUTS if layout not in REAL]


@pytest.mark.parametrize("written", COMPLEX)
def test_a_wrong_layout_is_told_from_the_samples(written: str, tmp_path: Path) -> None:
    n, rx = 64, 4
    rng = np.random.default_rng(4)
    tone = np.exp(
        2j * np.pi * rng.uniform(0.05, 0.2, (6, 1, rx, 1)) * np.arange(n) + 2j * rng.uniform(0, 3, (6, 1, rx, 1))
    )
    cube = np.round(700 * tone.real) + 1j * np.round(700 * tone.imag)
    path = write(tmp_path / "raw.bin", cube.astype(np.complex64), written)
    four = {"tx_mm": [[0, 0, 0]], "rx_mm": [[i, 0, 0] for i in range(rx)]}
    for named in COMPLEX:
        capture = {"layout": named, "rx": rx}
        still = {**dict.fromkeys(BASE["scan"]), "motion": "none"}
        given = described(waveform={"samples": n}, capture=capture, array=four, scan=still)
        swapped = {written, named} in ({"2lane-iiqq", "2lane-qqii"}, {"iqiq", "qiqi"})
        if written == named or swapped:  # I and Q swapped: one-sided too, the sign check's business
            import_scan(path, given)
        else:
            assert f'set [capture] layout = "{written}"' in refusal(path, given)


def test_a_radar_that_stood_still(tmp_path: Path) -> None:
    path = write(tmp_path / "still.bin", cube_of(6))
    bare = dict.fromkeys(BASE["scan"])
    scan = import_scan(path, described(scan={**bare, "motion": "none", "z_mm": 5.0}))
    assert scan.shape == (6, 1, 2, 16) and scan.raster is None
    assert np.array_equal(scan.trajectory.position, [[0, 0, 5e-3]] * 6)
    assert 'motion = "none"' in refusal(path, described(scan=bare))
    assert 'got both motion = "none" and n_x' in refusal(path, described(scan={**bare, "motion": "none", "n_x": 6}))


def test_real_offset_binary_is_refused_with_the_fix() -> None:
    path = DATA / "fixtures" / "offset_binary" / "adc_data02.bin"
    if not path.is_file():
        pytest.skip("shared data fixtures/offset_binary not found")
    description = described(
        waveform={"samples": 256}, capture={"layout": "4lane", "rx": 4}, scan={"n_x": 256, "n_y": 1}
    )
    description["array"] = {"tx_mm": [[0, 0, 0]], "rx_mm": [[0, i, 0] for i in range(4)]}
    assert "set [capture] offset_binary = true" in refusal(path, description)
    description["capture"]["offset_binary"] = True
    assert 'set [capture] layout = "4lane-iqiq"' in refusal(path, description)
    description["capture"]["layout"] = "4lane-iqiq"
    assert np.abs(import_scan(path, description).read()).max() < 2000


def test_real_capture_with_a_wrong_number_of_chirps() -> None:
    path = DATA / "fixtures" / "dca1000_1443" / "adc_data20251124114014.bin"
    if not path.is_file():
        pytest.skip("shared data fixtures/dca1000_1443 not found")
    description = described(
        waveform={"samples": 256},
        capture={"layout": "4lane", "rx": 4, "frames_per_file": 50},
        scan={"n_x": 50, "n_y": 1, "motion": "step"},
    )
    description["array"] = {"tx_mm": [[0, 0, 0]], "rx_mm": [[0, i, 0] for i in range(4)]}
    message = refusal(path, description)  # params.json says 1 chirp, metadata.json 8
    assert "got 1638400 bytes, wanted 204800" in message and "chirps_per_frame = 8 would fit" in message
    description["capture"] |= {"chirps_per_frame": 8, "loops": "average"}
    message = refusal(path, description)  # samples 0 and 2, 1 and 3, 4 and 6, 5 and 7 of every 8 are I and Q: two lanes
    assert 'set [capture] layout = "2lane-interleaved"' in message
    description["capture"]["layout"] = "2lane-interleaved"
    scan = import_scan(path, description, check_sign=True)
    assert scan.shape == (50, 1, 4, 256) and scan.attrs["history"][0]["sign_check_db"] > 30
