"""MATLAB and numpy cubes: axes in any order, structs, v7.3, probe division, positions, and the real copper tape."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from mmsar.errors import FormatError
from mmsar.io.importers import import_scan
from mmsar.io.importers.mat import read_mat

REPO_ROOT = Path(__file__).resolve().parents[2]
DATA = REPO_ROOT.parent / "shared" / "data"
DESCRIPTIONS = REPO_ROOT / "tests" / "descriptions"

N_Y, N_X, N_TX, N_RX, N = 3, 4, 2, 2, 8
SIZES = {"y": N_Y, "x": N_X, "tx": N_TX, "rx": N_RX, "sample": N}


def cube() -> np.ndarray:
    """(y, x, tx, rx, sample), complex64."""
    parts = np.random.default_rng(2).standard_normal((2, N_Y, N_X, N_TX, N_RX, N)).astype(np.float32)
    return parts[0] + 1j * parts[1]


def description(fmt: str = "npz", axes: tuple[str, ...] = ("y", "x", "tx", "rx", "sample"), **data: Any) -> dict:
    return {
        "format": fmt,
        "waveform": {"start_ghz": 70.0, "step_mhz": 50.0, "samples": N},
        "data": {"variable": "cube", "axes": list(axes), **data},
        "scan": {"x_step_mm": 1, "y_step_mm": 2, "direction": "forward", "first_row": "bottom", "motion": "step"},
        "array": {"tx_mm": [[0, 1, 0], [0, 2, 0]], "rx_mm": [[0, 0, 0], [0, -1, 0]]},
    }


def refusal(path: Path, description: dict) -> str:
    with pytest.raises(FormatError) as caught:
        import_scan(path, description)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "axes",
    [
        ("y", "x", "tx", "rx", "sample"),
        ("sample", "rx", "tx", "x", "y"),
        ("rx", "x", "sample", "y", "tx"),
    ],
)
def test_axes_in_any_order(tmp_path: Path, axes: tuple[str, ...]) -> None:
    order = [("y", "x", "tx", "rx", "sample").index(axis) for axis in axes]
    np.savez(tmp_path / "a.npz", cube=cube().transpose(order))
    scan = import_scan(tmp_path / "a.npz", description(axes=axes))
    assert np.array_equal(scan.signal, cube().reshape(-1, N_TX, N_RX, N))
    assert (scan.raster.n_y, scan.raster.n_x) == (N_Y, N_X)
    assert np.allclose(scan.trajectory.position[:, 0] * 1e3, np.tile([-1.5, -0.5, 0.5, 1.5], N_Y))
    assert np.allclose(scan.trajectory.position[:, 1] * 1e3, np.repeat([-2, 0, 2], N_X))


def test_channel_iq_and_pose_axes(tmp_path: Path) -> None:
    whole = cube()
    pairs = np.stack([whole.real, whole.imag], axis=-1).reshape(N_Y * N_X, N_TX * N_RX, N, 2)
    np.savez(tmp_path / "a.npz", cube=pairs)
    described = description(axes=("pose", "channel", "sample", "iq"))
    described["scan"] |= {"n_x": N_X}
    assert np.array_equal(import_scan(tmp_path / "a.npz", described).signal, whole.reshape(-1, N_TX, N_RX, N))
    described["scan"] |= {"n_x": 5}
    assert "n_y 2 x n_x 5 = 10 positions, data has 12" in refusal(tmp_path / "a.npz", described)


def test_mat_v5_struct_and_v73_agree(tmp_path: Path) -> None:
    whole = cube().astype(np.complex128)
    savemat(tmp_path / "a.mat", {"m": {"inner": {"cube": whole}}})
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        stored = np.empty(whole.T.shape, dtype=[("real", "f8"), ("imag", "f8")])
        stored["real"], stored["imag"] = whole.T.real, whole.T.imag
        file["m/inner/cube"] = stored
    with open(tmp_path / "b.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    expected = whole.astype(np.complex64).reshape(-1, N_TX, N_RX, N)
    for name in ("a.mat", "b.mat"):
        scan = import_scan(tmp_path / name, description("mat", variable="m.inner.cube"))
        assert np.array_equal(scan.signal, expected)
        assert "no variable m.none; there is inner" in refusal(tmp_path / name, description("mat", variable="m.none"))
        assert "no variable q" in refusal(tmp_path / name, description("mat", variable="q"))
        assert "wanted a numeric array" in refusal(tmp_path / name, description("mat", variable="m.inner"))


def test_probe_division_sign_and_background(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    probe = rng.standard_normal(4 * N - 3) + 1j * rng.standard_normal(4 * N - 3)
    np.savez(tmp_path / "a.npz", cube=cube() * probe[::4])
    np.savez(tmp_path / "probe.npz", p=probe)
    divide = {"file": "probe.npz", "variable": "p", "stride": 4}
    described = description(divide_by=divide, background="mean")
    described["waveform"]["sign"] = "negative"
    scan = import_scan(tmp_path / "a.npz", described)
    expected = cube().conj().reshape(-1, N_TX, N_RX, N)
    assert np.allclose(scan.signal, expected - expected.mean(axis=0), atol=1e-5)
    twice = import_scan(tmp_path / "a.npz", description(divide_by={**divide, "power": 2}))
    assert np.allclose(twice.signal, (cube() / probe[::4]).reshape(-1, N_TX, N_RX, N), rtol=1e-4)
    message = refusal(tmp_path / "a.npz", description(divide_by={**divide, "stride": 3}))
    assert "got 29 values, 10 with stride 3, wanted 8" in message and "stride = 4 would fit" in message
    assert "no such file beside the data" in refusal(
        tmp_path / "a.npz", description(divide_by={**divide, "file": "none.npz"})
    )
    np.savez(tmp_path / "probe.npz", p=0 * probe)
    assert "zeros" in refusal(tmp_path / "a.npz", description(divide_by=divide))


def test_positions_from_variables(tmp_path: Path) -> None:
    x, y = np.meshgrid([1.0, 2, 4, 8], [10.0, 20, 30])
    described = description(axes=("x", "y", "tx", "rx", "sample"))
    described["scan"] = {"x_variable": "X", "y_variable": "Y", "position_unit": "cm", "flip_y": True, "motion": "step"}
    swapped = cube().swapaxes(0, 1)
    for stored in ({"X": x.T, "Y": y.T}, {"X": x[0], "Y": y[:, 0]}):
        np.savez(tmp_path / "a.npz", cube=swapped, **stored)
        scan = import_scan(tmp_path / "a.npz", described)
        assert np.array_equal(scan.signal, cube().reshape(-1, N_TX, N_RX, N))
        assert np.allclose(scan.trajectory.position[:, 0], x.ravel() / 100)
        assert np.allclose(scan.trajectory.position[:, 1], -y.ravel() / 100)
        assert (scan.raster.n_y, scan.raster.n_x) == (N_Y, N_X) and scan.raster.step_y == pytest.approx(0.1)
    np.savez(tmp_path / "a.npz", cube=swapped, X=x, Y=y.T)
    assert "X: got shape (3, 4), wanted (4, 3)" in refusal(tmp_path / "a.npz", described)
    del described["scan"]["position_unit"]
    assert "position_unit: missing" in refusal(tmp_path / "a.npz", described)


def test_wrong_cubes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, cube=cube(), real=cube().real, words=np.array(["a"]))
    assert "no variable q; there is cube, real, words" in refusal(path, description(variable="q"))
    assert "wanted complex samples" in refusal(path, description(variable="real"))
    assert "wanted a numeric array" in refusal(path, description(variable="words"))
    assert "wanted 3 axes" in refusal(path, description(axes=("y", "x", "sample")))
    assert "got 2 along axis rx, wanted 3 ([array] rx)" in refusal(
        path, {**description(), "array": {"tx_mm": [[0, 0, 0]] * 2, "rx_mm": [[0, 0, 0]] * 3}}
    )
    wrong = description()
    wrong["waveform"]["samples"] = 9
    assert "got 8 along axis sample, wanted 9 ([waveform] samples)" in refusal(path, wrong)
    wrong = description()
    wrong["scan"]["n_x"] = 5
    assert "got 4 along axis x, wanted 5" in refusal(path, wrong)
    assert "either pose, or y and x" in refusal(path, description(axes=("pose", "x", "tx", "rx", "sample")))
    bad = cube()
    bad[0, 0, 0, 0, 0] = np.nan
    np.savez(path, cube=bad)
    assert "NaN" in refusal(path, description())
    np.savez(path, cube=np.array([{}], dtype=object))
    assert "cannot be read" in refusal(path, description())
    path.write_bytes(b"PK no zip")
    assert "cannot be read as .npz" in refusal(path, description())
    np.save(tmp_path / "b.npy", cube())
    assert "got a single array" in refusal(tmp_path / "b.npy", description())
    assert "got a folder" in refusal(tmp_path, description())


@pytest.mark.parametrize("content", [b"", b"not a mat file at all", None])
def test_damaged_mat(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"cube": cube()}, do_compression=True)
    path.write_bytes(path.read_bytes()[:600] if content is None else content)
    with pytest.raises(FormatError, match="cannot be read as a MATLAB file") as caught:
        read_mat(path, "cube")
    assert "\n" not in str(caught.value)


def test_the_copper_tape() -> None:
    """An exact sum over the imported samples puts the strip at its 15 cm (file name), near x = 13 mm, y = 0."""
    path = DATA / "vna_copper_tape" / "CopperTape_15cm.mat"
    if not path.is_file():
        pytest.skip("shared data vna_copper_tape not found")
    scan = import_scan(path, DESCRIPTIONS / "copper_tape.toml", check_sign=True)
    assert scan.shape == (144, 1, 1, 101) and scan.chirp.f[-1] == pytest.approx(8.2e9)
    assert scan.attrs["history"][0]["sign_check_db"] > 10
    assert np.allclose(np.abs(scan.signal.mean(axis=0)), 0, atol=1e-6)
    x, y, z = np.meshgrid(np.linspace(-0.1, 0.1, 21), np.linspace(-0.1, 0.1, 21), [0.155], indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    path_length = sum(
        np.linalg.norm(points[:, None] - ends[None, :, 0, 0], axis=-1) for ends in (scan.tx_position, scan.rx_position)
    )
    image = np.einsum("pk,vpk->v", scan.signal[:, 0, 0], np.exp(-1j * path_length[..., None] * scan.chirp.k))
    best = points[np.argmax(np.abs(image))]
    assert abs(best[0] - 0.013) <= 0.015 and abs(best[1]) <= 0.03
    far = np.hypot(points[:, 0] - 0.013, points[:, 1]) > 0.07
    assert np.abs(image[far]).max() < 0.25 * np.abs(image).max()
