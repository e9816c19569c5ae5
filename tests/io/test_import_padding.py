"""Bytes of a capture that are no samples: found, explained, and left out only when they are named."""

from pathlib import Path

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.io.importers import import_scan
from mmsar.io.importers.iq_layout import encode
from mmsar.io.importers.raw_frames import record_stride

FRAME = 2 * 16 * 4


def description(**capture) -> dict:
    return {
        "format": "ti-raw",
        "waveform": {
            "start_ghz": 77.0,
            "slope_mhz_us": 60.0,
            "adc_start_us": 5.0,
            "sample_rate_ksps": 9000,
            "samples": 16,
        },
        "capture": {"layout": "2lane-iiqq", "rx": 2, **capture},
        "scan": {"motion": "none"},
        "array": {"tx_mm": [[0, 0, 0]], "rx_mm": [[1, 0, 0], [3, 0, 0]]},
    }


def cube_of(frames: int) -> np.ndarray:
    parts = np.random.default_rng(0).integers(1, 900, (2, frames, 1, 2, 16))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def refusal(path: Path, **capture) -> str:
    with pytest.raises(FormatError) as caught:
        import_scan(path, description(**capture))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("lazy", [True, False])
def test_zeros_before_and_after(tmp_path: Path, lazy: bool) -> None:
    cube = cube_of(9)
    raw = encode(cube, "2lane-iiqq").tobytes()
    path = tmp_path / "a.bin"
    path.write_bytes(raw + bytes(300))
    assert "the last 44 bytes are zeros" in refusal(path)  # two frames of zeros and 44 bytes: only told the number of
    assert "the last 300 bytes are zeros" in refusal(path, frames_per_file=9)  # frames it can know
    scan = import_scan(path, description(ignore_bytes=300), lazy=lazy)
    assert np.array_equal(scan.read()[:, 0], cube[:, 0])
    path.write_bytes(bytes(7000) + raw)
    assert "the first 7000 bytes are zeros, padding of the recorder: skip_bytes = 7000" in refusal(
        path, frames_per_file=9
    )
    scan = import_scan(path, description(skip_bytes=7000), lazy=lazy)
    assert np.array_equal(scan.read()[:, 0], cube[:, 0])
    path.write_bytes(b"\1" * 7000 + raw)
    assert "zeros" not in refusal(path, frames_per_file=9)
    message = refusal(path, skip_bytes=5000, ignore_bytes=4000)
    assert "skip_bytes, ignore_bytes: got 5000 and 4000, more than the 8152 of a.bin" in message


def test_around_split_files_and_in_every_row(tmp_path: Path) -> None:
    cube = cube_of(9)
    raw = encode(cube, "2lane-iiqq").tobytes()
    (tmp_path / "a_0.bin").write_bytes(bytes(11) + raw[:500])
    (tmp_path / "a_1.bin").write_bytes(raw[500:] + bytes(6))
    scan = import_scan(tmp_path, description(files="split", skip_bytes=11, ignore_bytes=6), lazy=True)
    assert np.array_equal(scan.read()[:, 0], cube[:, 0])
    told = description(files="rows", skip_bytes=11, ignore_bytes=6)
    told["scan"] = {"x_step_mm": 1, "y_step_mm": 1, "direction": "forward", "first_row": "top"}
    for row in range(3):
        (tmp_path / f"a_{row}.bin").write_bytes(bytes(11) + raw[row * 3 * FRAME : (row + 1) * 3 * FRAME] + bytes(6))
    scan = import_scan(tmp_path, told)
    assert scan.raster.n_y == 3 and np.array_equal(scan.read()[:, 0], cube[:, 0])


@pytest.mark.parametrize(("head", "size"), [(10, 1456), (4, 100), (14, 1456)])
def test_records_with_numbers_are_no_samples(tmp_path: Path, head: int, size: int) -> None:
    path = tmp_path / "a.bin"
    rng = np.random.default_rng(2)
    record = [(k + 1).to_bytes(4, "little") + bytes(head - 4) + rng.bytes(size) for k in range(40)]
    path.write_bytes(b"".join(record))
    assert record_stride(path) == head + size
    assert f"records with rising numbers every {head + size} bytes" in refusal(path)


def test_plain_samples_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for content in (bytes(9000), b"", b"\1", encode(cube_of(60), "2lane-iiqq").tobytes(), np.arange(5000, dtype="<i2")):
        path.write_bytes(bytes(content))
        assert record_stride(path) is None
    for seed in range(200):
        path.write_bytes(np.random.default_rng(seed).integers(-3, 4, 5000, dtype="<i2").tobytes())
        assert record_stride(path) is None


def test_twelve_bits(tmp_path: Path) -> None:
    cube = cube_of(4) - (400 + 400j)
    raw = encode(cube, "2lane-iiqq")
    path = tmp_path / "a.bin"
    (raw & 0x0FFF).tofile(path)  # upper bits zero
    scan = import_scan(path, description(bits=12))
    assert np.array_equal(scan.read()[:, 0], cube[:, 0])
    assert "wanted 12, 14 or 16" in refusal(path, bits=13)
