"""Scans and geometries: shapes, antenna positions with TDM motion and rotation, subsets, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Geometry, Raster, Scan
from mmsar.model.trajectory import Trajectory

CHIRP = Chirp(f0=77e9, slope=100e12, fs=2e6, n_samples=8)


class Lazy:
    """Stands for a signal in a file."""

    def __init__(self, data):
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.reads = []

    def __getitem__(self, index):
        self.reads.append(index)
        return self.data[index]


def make(shape=(2, 3), seed=0, **changes):
    rng = np.random.default_rng(seed)
    trajectory = changes.pop("trajectory", Trajectory.raster(shape, (1e-3, 7e-3)))
    array = changes.pop("array", AntennaArray.iwr1443())
    full = (len(trajectory), array.n_tx, array.n_rx, CHIRP.n_samples)
    signal = (rng.standard_normal(full) + 1j * rng.standard_normal(full)).astype(np.complex64)
    return Scan(**{"signal": signal, "chirp": CHIRP, "array": array, "trajectory": trajectory, **changes})


def test_shape_and_size():
    scan = make()
    assert scan.shape == (6, 2, 4, 8)
    assert scan.nbytes == 8 * 6 * 2 * 4 * 8
    assert scan.geometry.shape == scan.shape
    assert scan.geometry.n_channels == 48
    assert scan.valid.all() and not scan.tx_delay.any()


def test_antennas_are_pose_plus_board():
    scan = make()
    np.testing.assert_allclose(
        scan.tx_position, np.broadcast_to((scan.trajectory.position[:, None] + scan.array.tx)[:, :, None], (6, 2, 4, 3))
    )
    np.testing.assert_allclose(
        scan.rx_position, np.broadcast_to((scan.trajectory.position[:, None] + scan.array.rx)[:, None], (6, 2, 4, 3))
    )
    np.testing.assert_allclose(scan.virtual_position, (scan.tx_position + scan.rx_position) / 2)


@given(st.tuples(*[st.floats(-1, 1)] * 3), st.integers(0, 50))
def test_a_rigid_motion_of_the_board_moves_every_antenna_with_it(shift, seed):
    """Turning and moving the board keeps all distances on it and moves its origin to the pose."""
    hand = Trajectory.freehand((1, 4), (1e-3, 1e-3), rotation=0.7, seed=seed)
    moved = Trajectory(time=hand.time, position=hand.position + np.array(shift), rotation=hand.rotation)
    scan = make(trajectory=moved)
    board = scan.array
    np.testing.assert_allclose(
        np.linalg.norm(scan.tx_position - scan.rx_position, axis=-1),
        np.broadcast_to(np.linalg.norm(board.baseline, axis=-1), (4, 2, 4)),
        atol=1e-12,
    )
    m = moved.matrices()
    for p in range(4):
        np.testing.assert_allclose(scan.tx_position[p, 1, 0], m[p] @ board.tx[1] + moved.position[p], atol=1e-12)
        np.testing.assert_allclose(scan.rx_position[p, 1, 3], m[p] @ board.rx[3] + moved.position[p], atol=1e-12)


def test_tdm_moves_both_ends_of_later_transmitters():
    run = Trajectory.linear(5, 5e-3, period=5e-3)  # 1 m/s
    still = make(trajectory=run)
    tdm = make(trajectory=run, tx_delay=[0, 2e-4])
    for a, b in ((tdm.tx_position, still.tx_position), (tdm.rx_position, still.rx_position)):
        np.testing.assert_allclose(a[:, 0], b[:, 0], atol=1e-15)
        np.testing.assert_allclose(a[:, 1] - b[:, 1], np.broadcast_to([2e-4, 0, 0], (5, 4, 3)), atol=1e-12)


def test_tdm_turns_later_transmitters():
    turn = [[0, np.sin(a / 2), 0, np.cos(a / 2)] for a in (0.0, 0.2)]
    run = Trajectory(time=[0, 1], position=np.zeros((2, 3)), rotation=turn)
    array = AntennaArray(tx=[[1, 0, 0], [1, 0, 0]], rx=[[0, 0, 1]])
    scan = make(trajectory=run, array=array, tx_delay=[0, 0.5])
    np.testing.assert_allclose(scan.tx_position[0, 1, 0], [np.cos(0.1), 0, -np.sin(0.1)], atol=1e-12)
    np.testing.assert_allclose(scan.rx_position[0, 1, 0], [np.sin(0.1), 0, np.cos(0.1)], atol=1e-12)


def test_weight_carries_validity_and_polarity():
    polarity = np.ones((2, 4))
    polarity[0, 1] = -1
    board = AntennaArray.iwr1443()
    valid = np.ones(6, bool)
    valid[2] = False
    scan = make(array=AntennaArray(tx=board.tx, rx=board.rx, polarity=polarity), valid=valid)
    weight = scan.geometry.weight
    assert (weight[2] == 0).all()
    np.testing.assert_array_equal(weight[0], polarity)
    assert scan.geometry.norm == 5 * 8 * 8
    taper = np.linspace(0, 1, 8)
    assert scan.geometry.replace(frequency_weight=taper).norm == pytest.approx(40 * taper.sum())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"signal": np.zeros((6, 2, 4, 7), np.complex64)},
            r"Scan.signal: got shape \(6, 2, 4, 7\), wanted \(6, 2, 4, 8\)",
        ),
        ({"signal": np.zeros((6, 2, 4, 8), np.float32)}, "Scan.signal: got float32, wanted complex64"),
        ({"tx_delay": [0.0]}, r"Scan.tx_delay: got shape \(1,\), wanted \(2\)"),
        ({"tx_delay": [0, np.nan]}, r"tx_delay.*\[s\]"),
        ({"raster": Raster(n_y=2, n_x=4, step_x=1e-3, step_y=1e-3)}, r"Scan.raster: got 2 x 4 positions, wanted 6"),
        ({"valid": np.ones(5, bool)}, r"Scan.valid: got shape \(5,\)"),
        ({"valid": np.ones(6)}, "Scan.valid: got float64, wanted booleans"),
        ({"valid": np.zeros(6, bool)}, "Scan.valid: got no valid channel"),
        ({"calibration": Calibration(gain=np.ones((2, 3)))}, r"calibration.gain: got shape \(2, 3\), wanted \(2, 4\)"),
    ],
)
def test_scan_refusals(changes, message):
    with pytest.raises(GeometryError, match=message):
        make(**changes)


def test_nan_is_refused_with_its_pose():
    signal = np.array(make().signal)
    signal[4, 1, 2, 3] = np.nan
    with pytest.raises(GeometryError, match="NaN or infinite samples in 1 poses, first pose 4"):
        make(signal=signal)
    lazy = make(signal=Lazy(signal))
    with pytest.raises(GeometryError, match="first pose 4"):
        lazy.read()


def test_double_precision_becomes_single_and_is_read_only():
    scan = make(signal=np.ones((6, 2, 4, 8), np.complex128))
    assert scan.signal.dtype == np.complex64
    with pytest.raises(ValueError, match="read-only"):
        scan.signal[:] = 0
    with pytest.raises(TypeError):
        scan.attrs["x"] = 1


def test_blocks_cover_all_poses_once_and_read_lazily():
    data = np.array(make((4, 5)).signal)
    lazy = Lazy(data)
    scan = make((4, 5), signal=lazy)
    assert not lazy.reads
    blocks = list(scan.blocks(max_bytes=3 * data[0].nbytes))
    assert [p.stop - p.start for p, _ in blocks] == [3] * 6 + [2]
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), data)
    np.testing.assert_array_equal(scan.read(), data)
    in_memory = make((4, 5))
    assert in_memory.read() is in_memory.signal


def test_subset_keeps_everything_in_step():
    polarity = np.ones((2, 4))
    polarity[1, 3] = -1
    board = AntennaArray.iwr1443()
    scan = make(
        array=AntennaArray(tx=board.tx, rx=board.rx, polarity=polarity),
        tx_delay=[0, 1e-4],
        raster=Raster(n_y=2, n_x=3, step_x=1e-3, step_y=7e-3),
        calibration=Calibration(gain=np.arange(1, 9).reshape(2, 4)),
    )
    part = scan.subset([1, 3, 4], tx=[1], rx=[0, 3], samples=slice(1, 8, 3))
    assert part.shape == (3, 1, 2, 3)
    np.testing.assert_array_equal(part.signal, scan.signal[np.ix_([1, 3, 4], [1], [0, 3], [1, 4, 7])])
    np.testing.assert_allclose(part.chirp.f, scan.chirp.f[[1, 4, 7]])
    np.testing.assert_array_equal(part.array.polarity, [[1, -1]])
    np.testing.assert_array_equal(part.calibration.gain, [[5, 8]])
    np.testing.assert_array_equal(part.trajectory.position, scan.trajectory.position[[1, 3, 4]])
    np.testing.assert_array_equal(part.tx_delay, [1e-4])
    assert part.raster is None
    assert scan.subset(rx=[0]).raster == scan.raster


def test_subset_by_mask_and_slice():
    scan = make()
    mask = np.array([True, False, True, False, False, True])
    np.testing.assert_array_equal(scan.subset(mask).signal, scan.signal[mask])
    np.testing.assert_array_equal(scan.subset(slice(2, 5)).signal, scan.signal[2:5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"poses": [6]}, r"Scan.subset poses: got \[6\], wanted indices below 6"),
        ({"poses": []}, "empty selection"),
        ({"poses": np.zeros(6, bool)}, "empty selection"),
        ({"poses": [2, 1]}, "out of order"),
        ({"tx": [2]}, "Scan.subset tx"),
        ({"samples": slice(7, 2, -1)}, "backward slice"),
        ({"samples": slice(8, 9)}, "Scan.subset samples: got an empty selection"),
    ],
)
def test_subset_refusals(call, message):
    with pytest.raises(GeometryError, match=message):
        make().subset(call.pop("poses", None), **call)


def test_changes_are_new_scans():
    scan = make(attrs={"operator": "me"})
    twice = scan.with_signal(2 * scan.signal).with_step(step="doubled").with_step(step="kept")
    np.testing.assert_array_equal(twice.signal, 2 * scan.signal)
    assert [s["step"] for s in twice.attrs["history"]] == ["doubled", "kept"]
    assert twice.attrs["operator"] == "me"
    assert "history" not in scan.attrs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rx_position": np.zeros((1, 1, 2, 3))},
            r"Geometry.rx_position: got shape \(1, 1, 2, 3\), wanted \(1, 1, 1, 3\)",
        ),
        ({"tx_position": np.zeros((1, 1, 3))}, "Geometry.tx_position: got shape"),
        ({"tx_position": np.full((1, 1, 1, 3), np.nan)}, "Geometry.tx_position: got 3 of 3 values not finite"),
        ({"weight": np.zeros((1, 1, 1))}, "Geometry.weight: got all zeros"),
        ({"frequency_weight": np.ones(3)}, r"frequency_weight: got shape \(3,\), wanted \(8\)"),
    ],
)
def test_geometry_refusals(changes, message):
    good = Geometry(chirp=CHIRP, tx_position=np.zeros((1, 1, 1, 3)), rx_position=np.zeros((1, 1, 1, 3)))
    with pytest.raises(GeometryError, match=message):
        replace(good, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_x": 0}, "Raster.n_x: got 0"),
        ({"step_y": np.inf}, r"Raster.step_y: got inf.*\[m\]"),
    ],
)
def test_raster_refusals(changes, message):
    with pytest.raises(GeometryError, match=message):
        replace(Raster(n_y=1, n_x=1, step_x=0, step_y=0), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": [1, 2]}, r"Calibration.gain: got shape \(2,\)"),
        ({"gain": [[1, 0]]}, "zero or non-finite"),
        ({"gain": [[1, np.nan]]}, "zero or non-finite"),
        ({"range_bias": np.nan}, r"Calibration.range_bias.*\[m\]"),
        ({"residual": np.inf}, r"Calibration.residual.*\[rad\]"),
    ],
)
def test_calibration_refusals(changes, message):
    with pytest.raises(GeometryError, match=message):
        replace(Calibration(gain=[[1, 1j]]), **changes)


def test_lost_poses_do_not_widen_the_aperture():
    """A pose without valid channels keeps its recorded place in the scan, but not in the geometry imagers plan with."""
    scan = Scan(
        signal=np.zeros((4, 1, 2, 3), np.complex64),
        chirp=Chirp.stepped(77e9, 1e9, 3),
        array=AntennaArray(tx=[[0, 0, 0]], rx=[[0.001, 0, 0], [0.002, 0, 0]]),
        trajectory=Trajectory(time=np.arange(4.0), position=[[0, 0, 0], [50, -7, 9], [0.01, 0, 0], [0.02, 0, 0]]),
        valid=np.array([[[True, True]], [[False, False]], [[False, True]], [[True, True]]]),
    )
    assert scan.tx_position[1, 0, 0, 0] == 50
    geometry = scan.geometry
    assert np.array_equal(geometry.tx_position[1], geometry.tx_position[0])
    assert np.array_equal(geometry.rx_position[1], geometry.rx_position[0])
    for other in (0, 2, 3):
        assert np.array_equal(geometry.tx_position[other], scan.tx_position[other])
    assert not geometry.weight[1].any() and geometry.weight.sum() == 5
    assert replace(scan, valid=None).geometry.tx_position[1, 0, 0, 0] == 50
