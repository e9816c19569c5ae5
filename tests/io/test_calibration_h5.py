"""Calibration files keep everything, read what older ones lack, and refuse what is broken."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.io.calibration_h5 import load_calibration, save_calibration
from mmsar.io.h5file import file_kind
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import AntennaArray, Calibration, Chirp, Scan, Trajectory

FULL = Calibration(
    gain=[[1.0, 0.5j]],
    range_bias=0.0678,
    source="corner reflector",
    residual=0.02,
    delay=[[1e-12, -1e-12]],
    delay_frequency=78e9,
    attrs={"config_digest": "ab" * 32, "date": "2026-01-02", "target_m": [0, 0, 0.3]},
)
BARE = Calibration(gain=[[1.0, 0.5j]])


def assert_same(a: Calibration, b: Calibration) -> None:
    for name in ("gain", "range_bias", "source", "residual", "delay", "delay_frequency", "attrs"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("calibration", [FULL, BARE], ids=["full", "bare"])
def test_round_trip_alone_and_in_a_scan(tmp_path: Path, calibration: Calibration) -> None:
    save_calibration(calibration, tmp_path / "cal.h5")
    assert file_kind(tmp_path / "cal.h5") == "calibration"
    assert_same(load_calibration(tmp_path / "cal.h5"), calibration)
    scan = Scan(
        signal=np.ones((1, 1, 2, 4), np.complex64),
        chirp=Chirp(f0=77e9, slope=60e12, fs=4e6, n_samples=4),
        array=AntennaArray(tx=[[0, 0, 0]], rx=[[0, 0, 0], [0, 2e-3, 0]]),
        trajectory=Trajectory(time=[0.0], position=[[0, 0, 0]]),
        calibration=calibration,
    )
    save_scan(scan, tmp_path / "scan.h5")
    assert_same(load_scan(tmp_path / "scan.h5").calibration, calibration)


def test_a_file_of_another_kind_or_with_wrong_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cal.h5"
    save_calibration(FULL, path)
    with pytest.raises(FormatError, match="wanted scan"):
        load_scan(path)
    with h5py.File(path, "r+") as file:
        del file["calibration/delay"].attrs["frequency"]
    with pytest.raises(FormatError, match="@frequency"):
        load_calibration(path)
    save_calibration(FULL, path)
    with h5py.File(path, "r+") as file:
        file["calibration"].attrs["attrs"] = "{"
    with pytest.raises(FormatError, match="not valid JSON"):
        load_calibration(path)
    save_calibration(FULL, path)
    with h5py.File(path, "r+") as file:
        file["calibration/gain"][0, 0] = 0
    with pytest.raises(FormatError, match="zero or non-finite"):
        load_calibration(path)
    with pytest.raises(FormatError, match="cannot keep"):
        save_calibration(replace(FULL, attrs={"x": object()}), path)
