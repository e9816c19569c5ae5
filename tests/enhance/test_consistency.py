"""What echoes say of an image: equal to the plain sum over voxels, and falling with what is removed or added."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.enhance import consistency as module
from mmsar.enhance.consistency import consistency
from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Calibration, Chirp, Image, ImageGrid, Trajectory
from mmsar.recon.planner import reconstruct
from mmsar.signal.rangefft import range_gate
from mmsar.simulate.forward import SimulationOptions, forward, simulate
from mmsar.simulate.scene import Scene

MM = 1e-3
CHIRP = Chirp(f0=77e9, slope=70e12, fs=1.25e6, n_samples=32)
TARGETS = [[-20 * MM, 10 * MM, 0.3], [18 * MM, -12 * MM, 0.3], [10 * MM, 22 * MM, 0.3]]
GRID = ImageGrid.from_extent((-0.03, 0.03), (-0.03, 0.03), 0.3, spacing=1.5 * MM)


def scan_of(positions, *, snr_db=20.0, reflectivity=1.0):
    array = AntennaArray.iwr1443()
    path = Trajectory.raster((6, 32), (3 * MM, 8 * array.uniform_pitch()))
    options = SimulationOptions(snr_db=snr_db, progress=False)
    scene = Scene.points(positions, np.broadcast_to(reflectivity, len(positions)))
    return simulate(scene, chirp=CHIRP, array=array, trajectory=path, options=options)


@pytest.fixture(scope="module")
def scan():
    return scan_of(TARGETS)


@pytest.fixture(scope="module")
def image(scan):
    return reconstruct(scan, GRID, method="bpa")


@pytest.fixture(scope="module")
def whole(scan, image):
    """The share that the image itself explains."""
    return consistency(scan, image, image).before


def changed(image, change, gain=1.0):
    data = image.magnitude().copy()
    change(data[0])
    return Image(data=gain * data, grid=image.grid)


def around(place, half=4.5 * MM):
    """The pixels of GRID near a target."""
    return (np.abs(GRID.y - place[1]) < half)[:, None] & (np.abs(GRID.x - place[0]) < half)


def test_the_share_is_that_of_the_plain_sum(scan, image):
    magnitude = np.sqrt(image.magnitude())
    found = consistency(scan, image, Image(data=magnitude, grid=GRID))
    low, high = found.gate
    measured = range_gate(scan.signal, CHIRP, low=low, high=high)
    y, x = np.meshgrid(GRID.y, GRID.x, indexing="ij")
    voxels = np.stack([x, y, np.full(x.shape, 0.3)], axis=-1).reshape(-1, 3)
    for data, got in ((image.data, found.before), (magnitude * np.exp(1j * np.angle(image.data)), found.after)):
        echo = forward(scan.geometry, Scene.points(voxels, data.ravel()), options=SimulationOptions(progress=False))
        echo = range_gate(echo, CHIRP, low=low, high=high)
        share = abs(np.vdot(echo, measured)) ** 2 / (np.vdot(echo, echo).real * np.vdot(measured, measured).real)
        assert got == pytest.approx(share, abs=2e-3)
    assert found.poses == 192 and 0.9 < found.before < 1


def test_the_same_image_at_any_scale_keeps_everything(scan, image):
    found = consistency(scan, image, changed(image, lambda data: None, gain=1e-3))
    assert found.after == pytest.approx(found.before, rel=1e-4)
    assert found.ratio == pytest.approx(1, rel=1e-4) and found.ratio_error < 1e-3


def test_what_is_removed_or_added_costs_its_share(scan, image, whole):
    def remove(data):
        data[around(TARGETS[0], 9 * MM)] = 0

    def add(data):
        data[around((-18 * MM, -18 * MM), 6 * MM)] = 3 * data.max()

    def clean(data):
        data[data < 0.1 * data.max()] = 0

    removed, added, cleaned = (consistency(scan, image, changed(image, change)) for change in (remove, add, clean))
    assert removed.ratio == pytest.approx(2 / 3, abs=0.07)  # one of three equal targets
    assert added.ratio < 0.8  # less than its amplitude would say: it has the phase of noise
    assert cleaned.ratio > 0.97
    assert removed.before == added.before == cleaned.before == whole


def test_echoes_from_other_ranges_do_not_count(scan, image):
    far = scan_of([*TARGETS, [0.0, 0.0, 0.6]], reflectivity=[1, 1, 1, 2])
    assert CHIRP.range_max == pytest.approx(2.68, abs=0.01)
    same = reconstruct(far, GRID, method="bpa")
    share = consistency(far, same, changed(same, lambda data: None)).before
    assert share > 0.85  # of all echoes together it would be below a half


def test_lost_channels_and_calibration(scan, image, whole):
    rubbish, valid = scan.signal.copy(), np.ones(scan.shape[:3], bool)
    rubbish[40:60] = 100
    valid[40:60] = False
    half = (np.arange(192) % 2).astype(bool)
    valid[half, 0, 1] = False
    rubbish[half, 0, 1] = 100
    holes = replace(scan, signal=rubbish, valid=valid)
    found = consistency(holes, image, image)
    assert found.poses == 172 and found.before == pytest.approx(whole, abs=0.02)
    gain = np.exp(1j * np.arange(8)).reshape(2, 4)
    off = replace(
        scan,
        signal=(scan.signal * gain[None, :, :, None]).astype(np.complex64),
        calibration=Calibration(gain=gain, range_bias=0.0, source="test"),
    )
    assert consistency(off, image, image).before == pytest.approx(whole, abs=1e-3)


def test_poses_are_drawn_when_there_are_many(scan, image, monkeypatch):
    after = changed(image, lambda data: data.__setitem__(around(TARGETS[0]), 0))
    every = consistency(scan, image, after)
    monkeypatch.setattr(module, "SAMPLES", 96 * 8 * 32)
    some = consistency(scan, image, after)
    assert some.poses == 96
    assert 0 < some.ratio_error < 0.1
    assert abs(some.ratio - every.ratio) < 4 * some.ratio_error
    monkeypatch.setattr(module, "SAMPLES", 1)
    assert consistency(scan, image, after).poses == module.FEWEST


def test_without_ranges_to_tell_apart_nothing_is_gated(image):
    one = replace(CHIRP, n_samples=1)
    scan = simulate(
        Scene.points(TARGETS),
        chirp=one,
        array=AntennaArray.iwr1443(),
        trajectory=Trajectory.raster((6, 32), (3 * MM, 15 * MM)),
        options=SimulationOptions(progress=False),
    )
    found = consistency(scan, image, image)
    assert found.gate is None and 0.5 < found.after < 1


def test_what_cannot_be_compared(scan, image):
    magnitude = Image(data=image.magnitude(), grid=GRID)
    with pytest.raises(GeometryError, match="got an image of magnitudes, wanted the complex one"):
        consistency(scan, magnitude, magnitude)
    with pytest.raises(GeometryError, match="enhanced image: got shape"):
        consistency(scan, image, image.crop(x=(0, 0.02)))
    with pytest.raises(GeometryError, match="got a far-field scan"):
        consistency(replace(scan, attrs={"far_field": True}), image, image)
    with pytest.raises(GeometryError, match="samples that are zero in the ranges"):
        consistency(scan.with_signal(np.zeros(scan.shape, np.complex64)), image, image)
    empty = Image(data=np.zeros(GRID.shape, np.complex64), grid=GRID)
    assert consistency(scan, empty, empty).ratio == 0
