"""Background removal: means over valid channels, references that belong to the scan."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Calibration, Chirp, Raster, Scan, Trajectory
from mmsar.signal.background import remove_mean, subtract_reference

CHIRP = Chirp(f0=77e9, slope=60e12, fs=4e6, n_samples=16)
RNG = np.random.default_rng(8)
LEAK = 20 * np.exp(2j * CHIRP.k * 0.02) * np.array([[1.0], [0.5j]])


def make_scan(*, leak=True, seed=0, **changes) -> Scan:
    rng = np.random.default_rng(seed)
    scene = rng.standard_normal((20, 1, 2, 16)) + 1j * rng.standard_normal((20, 1, 2, 16))
    fields = {
        "signal": scene + (LEAK if leak else 0),
        "chirp": CHIRP,
        "array": AntennaArray(tx=[[0, 0, 0]], rx=[[0, 0, 0], [2e-3, 0, 0]]),
        "trajectory": Trajectory.raster((4, 5), (1e-3, 1e-3)),
        "raster": Raster(n_y=4, n_x=5, step_x=1e-3, step_y=1e-3),
    }
    return Scan(**{**fields, **changes})


class Reader:
    """A signal that only gives slices."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, key: slice) -> np.ndarray:
        assert isinstance(key, slice)
        return self._array[key]


@pytest.mark.parametrize("axis", ["pose", "row"])
@pytest.mark.parametrize("lazy", [False, True])
def test_the_mean_of_the_valid_channels_is_removed(axis: str, lazy: bool) -> None:
    valid = np.ones((20, 1, 2), dtype=bool)
    valid[3, 0, 1] = valid[7] = False
    signal = make_scan().read().copy()
    signal[~valid] = 1e4
    scan = make_scan(signal=Reader(signal) if lazy else signal, valid=valid)
    done = remove_mean(scan, axis=axis).read()
    groups = [slice(0, 20)] if axis == "pose" else [slice(i, i + 5) for i in range(0, 20, 5)]
    masked = np.ma.array(signal, mask=np.broadcast_to(~valid[..., None], signal.shape))
    for group in groups:
        np.testing.assert_allclose(done[group].sum(axis=0), 0, atol=1e-3)
        expected = (masked[group] - masked[group].mean(axis=0)).filled(0)
        np.testing.assert_allclose(done[group], expected, atol=1e-4)
    assert np.all(done[~valid] == 0)
    assert np.abs(done).max() < 10


def test_rows_need_a_raster_and_axes_have_names() -> None:
    with pytest.raises(GeometryError, match="raster layout"):
        remove_mean(make_scan(raster=None), axis="row")
    with pytest.raises(GeometryError, match="one of pose, row"):
        remove_mean(make_scan(), axis="column")
    assert remove_mean(make_scan()).attrs["history"][-1] == {"step": "remove mean", "axis": "pose"}


@pytest.mark.parametrize("lazy", [False, True])
def test_an_empty_scene_is_subtracted_pose_by_pose_or_as_a_mean(lazy: bool) -> None:
    scan, clean = make_scan(seed=1), make_scan(seed=1, leak=False).read()
    empty = np.broadcast_to(LEAK, scan.shape).astype(np.complex64)
    reference = make_scan(signal=Reader(empty) if lazy else empty)
    if lazy:
        scan = scan.with_signal(Reader(scan.read()))
    for mode in ("pose", "mean"):
        np.testing.assert_allclose(subtract_reference(scan, reference, mode=mode).read(), clean, atol=1e-5)
    short = reference.subset(slice(0, 3))
    np.testing.assert_allclose(subtract_reference(scan, short, mode="mean").read(), clean, atol=1e-5)


def test_channels_missing_in_the_reference_become_invalid() -> None:
    valid = np.ones((20, 1, 2), dtype=bool)
    valid[4, 0, 0] = False
    done = subtract_reference(make_scan(), make_scan(valid=valid))
    np.testing.assert_array_equal(done.valid, valid)
    valid[:, 0, 1] = False
    done = subtract_reference(make_scan(), make_scan(valid=valid), mode="mean")
    assert done.valid[:, 0, 0].all()
    assert not done.valid[:, 0, 1].any()


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (lambda: make_scan().subset(rx=[0]), "tx, rx, samples"),
        (lambda: make_scan(chirp=replace(CHIRP, f0=76e9)), "GHz"),
        (lambda: make_scan(calibration=Calibration(gain=[[1, 1]], range_bias=0.1)), "apply_calibration"),
        (lambda: make_scan().subset(slice(0, 10)), "10 poses.*mean"),
        (lambda: make_scan(trajectory=Trajectory.raster((4, 5), (3e-3, 1e-3))), "mm apart.*mean"),
    ],
)
def test_references_that_do_not_belong_are_explained(reference, words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        subtract_reference(make_scan(), reference())
