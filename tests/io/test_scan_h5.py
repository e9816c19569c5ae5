"""Scan files: round trips, lazy reading, streaming and atomic writing, and one clear line for every bad file."""

import os
import pickle
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError, GeometryError
from mmsar.io import scan_h5
from mmsar.io.h5file import file_kind, scan_digest
from mmsar.io.lazy import FileSignal
from mmsar.io.scan_h5 import H5Signal, load_scan, save_scan
from mmsar.io.schema import SCAN_FIELDS
from mmsar.model import AntennaArray, Calibration, Chirp, Raster, Scan, Trajectory


def make_scan(n_y: int = 3, n_x: int = 4, n_tx: int = 2, n_rx: int = 4, n: int = 8, *, whole: bool = False) -> Scan:
    rng = np.random.default_rng(5)
    shape = (n_y * n_x, n_tx, n_rx, n)
    parts = rng.integers(-32768, 32767, (*shape, 2)) if whole else rng.standard_normal((*shape, 2))
    valid = np.ones(shape[:3], dtype=bool)
    valid[1, 0, 2] = False
    return Scan(
        signal=(parts[..., 0] + 1j * parts[..., 1]).astype(np.complex64),
        chirp=Chirp(f0=77.38e9, slope=63.343e12, fs=9.121e6, n_samples=n),
        array=AntennaArray(
            tx=rng.normal(size=(n_tx, 3)), rx=rng.normal(size=(n_rx, 3)), polarity=-np.ones((n_tx, n_rx)), name="µ"
        ),
        trajectory=Trajectory.raster((n_y, n_x), (1e-3, 2e-3)),
        tx_delay=np.arange(n_tx) * 7e-5,
        raster=Raster(n_y=n_y, n_x=n_x, step_x=1e-3, step_y=2e-3, serpentine=True),
        valid=valid,
        calibration=Calibration(
            gain=rng.normal(size=(n_tx, n_rx)) + 1j, range_bias=0.0678, source="corner reflector", residual=0.02
        ),
        attrs={"note": "käse", "matrix": np.eye(2), "history": [{"step": "simulate", "seed": np.int64(3)}]},
    )


def assert_same(a: Scan, b: Scan) -> None:
    assert np.array_equal(a.read(), b.read())
    assert a.chirp == b.chirp
    for name in ("tx", "rx", "polarity", "name"):
        assert np.array_equal(getattr(a.array, name), getattr(b.array, name))
    for name in ("time", "position"):
        assert np.array_equal(getattr(a.trajectory, name), getattr(b.trajectory, name))
    assert np.allclose(a.trajectory.rotation, b.trajectory.rotation, rtol=0, atol=1e-15)
    assert np.array_equal(a.tx_delay, b.tx_delay) and np.array_equal(a.valid, b.valid) and a.raster == b.raster
    assert np.array_equal(a.calibration.gain, b.calibration.gain)
    assert a.calibration.range_bias == b.calibration.range_bias and a.calibration.source == b.calibration.source


@pytest.mark.parametrize("lazy", [None, True, False])
@pytest.mark.parametrize("raw_int16", [None, True, False])
def test_round_trip(tmp_path: Path, lazy: bool | None, raw_int16: bool | None) -> None:
    scan = make_scan(whole=raw_int16 is True)
    save_scan(scan, tmp_path / "a.h5", raw_int16=raw_int16)
    back = load_scan(tmp_path / "a.h5", lazy=lazy)
    assert isinstance(back.signal, H5Signal) == (lazy is True)
    assert_same(scan, back)
    assert back.calibration.residual == 0.02
    assert back.attrs == {"note": "käse", "matrix": [[1, 0], [0, 1]], "history": [{"step": "simulate", "seed": 3}]}
    assert file_kind(tmp_path / "a.h5") == "scan"
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["signal"].dtype == (np.int16 if raw_int16 else np.complex64)
        assert file["signal"].compression is None
        for name in (*SCAN_FIELDS, "signal", "calibration/gain"):
            assert len(file[name].attrs["axes"].split(",")) == file[name].ndim and file[name].attrs["units"]


def test_bare_scan_and_long_history(tmp_path: Path) -> None:
    scan = Scan(
        signal=np.ones((1, 1, 1, 4), np.complex64),
        chirp=Chirp.stepped(5.7e9, 25e6, 4),
        array=AntennaArray.single(),
        trajectory=Trajectory(time=[0.0], position=[[0, 0, 0]]),
        attrs={"history": [{"step": "x" * 200_000}]},
    )
    save_scan(scan, tmp_path / "a.h5")
    back = load_scan(tmp_path / "a.h5")
    assert back.raster is None and back.calibration is None and back.chirp == scan.chirp
    assert back.attrs["history"] == scan.attrs["history"]


def test_lazy_indexing_agrees_with_numpy(tmp_path: Path) -> None:
    scan = make_scan()
    save_scan(scan, tmp_path / "a.h5")
    lazy, whole = load_scan(tmp_path / "a.h5", lazy=True).signal, scan.signal
    mask = np.arange(12) % 3 == 0
    keys = [
        3,
        -1,
        slice(2, 5),
        slice(None, None, -2),
        slice(4, 4),
        [7, 1, 2, 2],
        mask,
        np.s_[1:3, 0, :, 2:],
        np.s_[2, 1],
    ]
    for key in [*keys, np.s_[..., 0]]:
        got = lazy[key]
        assert np.array_equal(got, whole[key]) and got.dtype == np.complex64
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(lazy))), whole)
    with pytest.raises(IndexError):
        lazy[12]


def test_lazy_above_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = make_scan()
    save_scan(scan, tmp_path / "a.h5")
    monkeypatch.setattr(scan_h5, "LAZY_ABOVE", scan.nbytes - 1)
    assert isinstance(load_scan(tmp_path / "a.h5").signal, H5Signal)
    monkeypatch.setattr(scan_h5, "LAZY_ABOVE", scan.nbytes)
    assert isinstance(load_scan(tmp_path / "a.h5").signal, np.ndarray)


def test_a_lazy_file_that_changed_or_went_is_refused(tmp_path: Path) -> None:
    save_scan(make_scan(), tmp_path / "a.h5")
    lazy = load_scan(tmp_path / "a.h5", lazy=True)
    save_scan(lazy, tmp_path / "a.h5")  # replacing the file it reads from is fine
    os.utime(tmp_path / "a.h5", ns=(1, 1))
    with pytest.raises(FormatError, match="changed since it was opened"):
        lazy.read()
    (tmp_path / "a.h5").unlink()
    with pytest.raises(FormatError, match="cannot be read any more"):
        lazy.read()


def test_int16_scale_survives_lazy_resaving(tmp_path: Path) -> None:
    save_scan(make_scan(whole=True), tmp_path / "a.h5", raw_int16=True)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["signal"].attrs["scale"] = 0.01
    lazy = load_scan(tmp_path / "a.h5", lazy=True)
    save_scan(lazy, tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["signal"].dtype == np.int16 and file["signal"].attrs["scale"] == 0.01
    assert np.allclose(load_scan(tmp_path / "b.h5").read(), 0.01 * make_scan(whole=True).read(), rtol=1e-6)


@pytest.mark.parametrize("value", [0.5, 32768.0, -32769.0, 1e-9])
def test_int16_never_loses_precision(tmp_path: Path, value: float) -> None:
    scan = make_scan(whole=True)
    signal = scan.read().copy()
    signal[2, 1, 3, 5] = value
    with pytest.raises(FormatError, match="would lose precision"):
        save_scan(scan.with_signal(signal), tmp_path / "a.h5", raw_int16=True)
    assert list(tmp_path.iterdir()) == []


class Generated(FileSignal):
    """A signal made up on the fly, which counts what it was asked for and can fail part way."""

    def __init__(self, shape: tuple[int, int, int, int], fail_at: int | None = None, error: type = OSError) -> None:
        super().__init__(shape)
        self.fail_at, self.error, self.largest = fail_at, error, 0

    def _read(self, first: int, last: int) -> np.ndarray:
        if self.fail_at is not None and last > self.fail_at:
            raise self.error("injected")
        self.largest = max(self.largest, (last - first) * 8 * int(np.prod(self.shape[1:])))
        return np.full((last - first, *self.shape[1:]), first, dtype=np.complex64)


def lazy_scan(n_pose: int, **kwargs: object) -> Scan:
    shape = (n_pose, 1, 4, 256)
    return Scan(
        signal=Generated(shape, **kwargs),
        chirp=Chirp(f0=77e9, slope=60e12, fs=9e6, n_samples=256),
        array=AntennaArray.iwr1443(1),
        trajectory=Trajectory.linear(n_pose, 1e-3),
    )


def test_saving_a_lazy_scan_bounds_memory(tmp_path: Path) -> None:
    scan = lazy_scan(8192)
    assert scan.nbytes == 64 * 2**20
    tracemalloc.start()
    try:
        save_scan(scan, tmp_path / "a.h5")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20 and scan.signal.largest <= scan_h5.BLOCK_BYTES
    back = load_scan(tmp_path / "a.h5", lazy=True)
    assert (tmp_path / "a.h5").stat().st_size > scan.nbytes and back.signal[8191, 0, 0, 0] > 0


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, MemoryError])
def test_an_interrupted_write_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, error: type) -> None:
    good = lazy_scan(2)
    save_scan(good, tmp_path / "a.h5")
    before = scan_digest(tmp_path / "a.h5")
    for name in ("a.h5", "b.h5"):
        with pytest.raises(error, match="injected"):
            save_scan(lazy_scan(6000, fail_at=3000, error=error), tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert scan_digest(tmp_path / "a.h5") == before


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type) -> None:
    def fail(*_: object) -> None:
        raise error("injected")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(error, match="injected"):
        save_scan(make_scan(), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="got a folder"):
        save_scan(make_scan(), tmp_path)
    with pytest.raises(FormatError, match="folder does not exist"):
        save_scan(make_scan(), tmp_path / "none" / "a.h5")
    with pytest.raises(FormatError, match=r"a value a file cannot keep.*plain JSON"):
        save_scan(make_scan().with_step(what=object()), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def refusal(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        load_scan(path)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    return message


def test_files_that_are_no_scans(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    assert "no such file" in refusal(path)
    path.write_bytes(b"")
    assert "not an HDF5 file" in refusal(path)
    path.write_bytes(os.urandom(4096))
    assert "not an HDF5 file" in refusal(path)
    with h5py.File(path, "w") as file:
        file["signal"] = [1, 2]
    assert "not an mmsar file" in refusal(path)
    assert "got a folder" in refusal(tmp_path)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
def test_truncated(tmp_path: Path, part: float) -> None:
    path = tmp_path / "a.h5"
    save_scan(make_scan(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert "truncated" in refusal(path)


def edited(tmp_path: Path, change: object) -> str:
    path = tmp_path / "a.h5"
    save_scan(make_scan(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    return refusal(path)


def test_newer_schema_names_the_version(tmp_path: Path) -> None:
    message = edited(tmp_path, lambda f: f.attrs.modify("mmsar_schema", 7))
    assert "schema 7" in message and "up to 1" in message and "update" in message
    assert "got @mmsar_schema" in edited(tmp_path, lambda f: f.attrs.__setitem__("mmsar_schema", "one"))


def test_an_image_is_no_scan(tmp_path: Path) -> None:
    assert "of kind image, wanted scan" in edited(tmp_path, lambda f: f.attrs.modify("kind", "image"))


@pytest.mark.parametrize("name", [*SCAN_FIELDS, "signal"])
def test_missing_or_misshapen_dataset(tmp_path: Path, name: str) -> None:
    def delete(file: h5py.File) -> None:
        del file[name]

    def shorten(file: h5py.File) -> None:
        data, attrs = file[name][()], dict(file[name].attrs)
        del file[name]
        file[name] = data[: max(0, len(data) - 1)] if name != "array/tx" else data[:, :2]
        file[name].attrs.update(attrs)

    def rename_units(file: h5py.File) -> None:
        file[name].attrs["units"] = "furlong"

    assert f"/{name}" in (message := edited(tmp_path, delete)) and "missing" in message
    assert "got shape" in edited(tmp_path, shorten)
    assert f"/{name}: got @units 'furlong'" in edited(tmp_path, rename_units)


def test_other_damage(tmp_path: Path) -> None:
    def drop_chirp(file: h5py.File) -> None:
        del file["chirp"].attrs["slope"]

    assert "/chirp@slope: missing" in edited(tmp_path, drop_chirp)
    assert "/chirp: missing group" in edited(tmp_path, lambda f: f.__delitem__("chirp"))
    assert "Chirp.fs" in edited(tmp_path, lambda f: f["chirp"].attrs.modify("fs", -1.0))
    assert "not valid JSON" in edited(tmp_path, lambda f: f.attrs.modify("history", "{"))
    assert "wanted list" in edited(tmp_path, lambda f: f.attrs.modify("history", "{}"))


@pytest.mark.parametrize("name", ["signal", "trajectory/position", "trajectory/rotation", "array/tx", "tx_delay"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_poisoned_values_are_refused(tmp_path: Path, name: str, bad: float) -> None:
    def poison(file: h5py.File) -> None:
        file[name][(1,) + (0,) * (file[name].ndim - 1)] = bad

    message = edited(tmp_path, poison)
    assert "NaN" in message or "not finite" in message


def test_poison_in_a_lazy_signal_is_refused_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_scan(make_scan(), path)
    with h5py.File(path, "r+") as file:
        file["signal"][7, 0, 0, 0] = np.nan
    lazy = load_scan(path, lazy=True)
    assert lazy.signal[:7].shape[0] == 7
    with pytest.raises(FormatError, match="first pose 7"):
        lazy.signal[5:9]
    with pytest.raises((FormatError, GeometryError)):
        save_scan(lazy, tmp_path / "b.h5")
    assert not (tmp_path / "b.h5").exists()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(*[st.integers(1, n) for n in (4, 4, 3, 4, 9)]),
    raw=st.booleans(),
    lazy=st.booleans(),
)
def test_any_shape_round_trips(tmp_path: Path, shape: tuple[int, ...], raw: bool, lazy: bool) -> None:
    n_y, n_x, n_tx, n_rx, n = shape
    scan = make_scan(n_y + 1, n_x, n_tx, n_rx + 2, n, whole=raw)
    save_scan(scan, tmp_path / "a.h5", raw_int16=raw)
    assert_same(scan, load_scan(tmp_path / "a.h5", lazy=lazy))
