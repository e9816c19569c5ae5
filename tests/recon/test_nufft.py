"""The exact irregular method against the exact sum: depth motion, six degrees of freedom, any grid."""

import numpy as np
import pytest

from mmsar.errors import DeviceError, GeometryError
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa, empm, nufft, rma
from mmsar.recon.density import density_weights
from mmsar.recon.operators import dot_test
from mmsar.recon.options import ReconOptions

POINTS = np.array([[0.010, -0.012, 0.27], [-0.015, 0.010, 0.29], [0.0, 0.020, 0.31]])
VOLUME = ImageGrid.from_extent((-0.03, 0.03), (-0.036, 0.036), (0.24, 0.34), spacing=(1.5e-3, 1.2e-3, 8e-3))


def wavy(seed, n=64, size=0.2, depth=15e-3):
    """Positions (n^2, 3) of a square sweep whose depth swings smoothly between -depth and depth [m]."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(*[np.linspace(-size / 2, size / 2, n)] * 2)
    waves = [(*rng.uniform(-12, 12, 2), rng.uniform(0, 2 * np.pi)) for _ in range(6)]
    z = sum(np.cos(2 * np.pi * (a * x + b * y) + c) for a, b, c in waves)
    z = depth * (2 * (z - z.min()) / np.ptp(z) - 1)
    lateral = np.stack([x, y]) + rng.uniform(-1e-3, 1e-3, (2, n, n))
    return np.stack([*lateral, z], axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("seed", [0, 1])
def test_depth_motion_is_exact_where_the_projection_falls_behind(lab, seed):
    """The gap: +-15 mm over 200 mm at 0.30 m, same weights for all."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(-0.08, 0.08, (8, 2)), rng.uniform(0.285, 0.315, (8, 1))], axis=1)
    geometry = lab.monostatic(wavy(seed), chirp=Chirp.stepped(77e9, 0.3e9, 12))
    signal = lab.signal_of(geometry, points, np.exp(2j * np.pi * rng.random(8)))
    geometry = geometry.replace(weight=geometry.weight * density_weights(geometry))
    grid = ImageGrid.from_extent((-0.085, 0.085), (-0.085, 0.085), (0.28, 0.32), spacing=(1.5e-3, 1.5e-3, 8e-3))

    def score(module, **options):
        image = module.plan(geometry, grid, options=ReconOptions(**options))(signal)
        return lab.against_oracle(image, signal, geometry, grid, points, n=100).ncc

    exact, reference, taylor = score(nufft), score(empm), score(empm, phase="taylor")
    assert exact >= 0.999, exact
    assert reference < 0.94 and taylor < 0.85 and taylor < reference


def six_dof(n, seed, rotation=0.3, depth=0.03):
    """Random poses in a box of 120 x 120 mm x depth, turned up to `rotation` about every axis."""
    rng = np.random.default_rng(seed)
    position = rng.uniform(-0.06, 0.06, (n, 3)) * [1, 1, depth / 0.12]
    vector = rng.uniform(-rotation, rotation, (n, 3))
    angle = np.linalg.norm(vector, axis=1, keepdims=True)
    turn = np.concatenate([vector * 0.5 * np.sinc(angle / 2 / np.pi), np.cos(angle / 2)], axis=1)
    return Trajectory(time=np.arange(n) * 0.1, position=position, rotation=turn)


@pytest.mark.parametrize("seed", [0, 1])
def test_random_poses_in_six_degrees_of_freedom(lab, seed):
    one = lab.scan_of(AntennaArray.iwr1443(), six_dof(200, seed), POINTS[:1])
    assert bpa.exact(one.read(), one.geometry, POINTS[:1])[0] == pytest.approx(1, abs=1e-5)
    scan = lab.scan_of(AntennaArray.iwr1443(), six_dof(200, seed), POINTS, [1, 0.8j, -0.9])
    got = lab.against_oracle(nufft.plan(scan, VOLUME)(scan), scan.read(), scan.geometry, VOLUME, POINTS)
    assert got.ncc >= 0.999 and got.error_db < -30
    worse = lab.against_oracle(empm.plan(scan, VOLUME)(scan), scan.read(), scan.geometry, VOLUME, POINTS)
    assert worse.error_db > got.error_db + 6


def test_motion_between_transmit_slots_counts(lab):
    """The board moves between TX slots; positions that ignore it defocus."""
    trajectory = Trajectory.freehand((12, 24), (1.5e-3, 3e-3), motion=(1e-3, 1e-3, 6e-3), seed=3)
    scan = lab.scan_of(AntennaArray.iwr1443(), trajectory, POINTS, tx_delay=(0.0, 4.5e-3))
    image = nufft.plan(scan, VOLUME)(scan)
    got = lab.against_oracle(image, scan.read(), scan.geometry, VOLUME, POINTS)
    assert got.ncc >= 0.995
    naive = Scan(signal=scan.read(), chirp=scan.chirp, array=scan.array, trajectory=scan.trajectory)
    blurred = nufft.plan(naive, VOLUME)(naive)
    assert np.abs(blurred).max() < 0.9 * np.abs(image).max()


def test_on_a_planar_scan_it_is_range_migration(lab):
    """Check 4."""
    scan = lab.mimo_scan(POINTS, [1, 0.8j, -0.9], shape=(8, 36))
    image = nufft.plan(scan, VOLUME)(scan)
    plain = rma.plan(scan, VOLUME)(scan)
    assert np.linalg.norm(image - plain) < 4e-3 * np.linalg.norm(plain)
    got = lab.against_oracle(image, scan.read(), scan.geometry, VOLUME, POINTS)
    assert got.ncc >= 0.999 and abs(np.abs(got.mine).max() / np.abs(got.exact).max() - 1) < 0.01


GRIDS = {
    "fine": ((0.005, 0.015), (-0.018, -0.006), (0.265, 0.275), (0.4e-3, 0.5e-3, 1e-3)),
    "folding": ((-0.03, 0.03), (-0.035, 0.035), (0.25, 0.33), (5e-3, 7e-3, 16e-3)),
    "to the side": ((0.2, 0.26), (-0.035, 0.035), (0.25, 0.33), (1.5e-3, 2e-3, 8e-3)),
    "slice": ((-0.03, 0.03), (-0.03, 0.03), (0.27, 0.27), (2e-3, 1.5e-3, 1e-3)),
    "line along z": ((0.01, 0.01), (-0.012, -0.012), (0.22, 0.34), (1e-3, 1e-3, 4e-3)),
    "one voxel": ((0.01, 0.01), (-0.012, -0.012), (0.27, 0.27), (1e-3, 1e-3, 1e-3)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_grids_of_every_kind_agree_with_the_oracle(lab, name):
    *extent, spacing = GRIDS[name]
    grid = ImageGrid.from_extent(*extent, spacing=spacing)
    low, high = np.array(grid.extent).T
    points = low + (high - low) * np.array([[0.45, 0.55, 0.5], [0.7, 0.2, 0.8]])
    geometry = lab.monostatic(wavy(4, n=26, size=0.05, depth=8e-3))
    signal = lab.signal_of(geometry, points, [1, 0.7j])
    got = lab.against_oracle(nufft.plan(geometry, grid)(signal), signal, geometry, grid, points)
    assert got.error_db < -36, got.error_db


def test_the_world_may_be_anywhere(lab):
    """Scan and grid moved together give the same image."""
    position = wavy(6, n=20, size=0.05, depth=5e-3)
    images = []
    for shift in (np.zeros(3), np.array([1.7, -2.3, 0.9])):
        geometry = lab.monostatic(position + shift)
        grid = ImageGrid(shape=VOLUME.shape, origin=tuple(VOLUME.origin + shift), spacing=VOLUME.spacing)
        images.append(nufft.plan(geometry, grid)(lab.signal_of(geometry, POINTS + shift)))
    assert np.linalg.norm(images[1] - images[0]) < 1e-3 * np.linalg.norm(images[0])


def test_accuracy_follows_the_option(lab):
    geometry = lab.monostatic(wavy(7, n=26, size=0.06, depth=10e-3))
    signal = lab.signal_of(geometry, POINTS)
    fine = nufft.plan(geometry, VOLUME, options=ReconOptions(error_db=-80))(signal)
    for wanted in (-30.0, -50.0):
        plan = nufft.plan(geometry, VOLUME, options=ReconOptions(error_db=wanted))
        error = np.linalg.norm(plan(signal) - fine) / np.linalg.norm(fine)
        assert 20 * np.log10(error) < wanted + 3


def test_adjoint_with_weights_polarity_and_losses(lab):
    rng = np.random.default_rng(0)
    tx, rx = rng.uniform(-0.03, 0.03, (2, 30, 2, 3, 3)) * [1, 1, 0.2]
    weight = rng.standard_normal((30, 2, 3)) * (rng.random((30, 2, 3)) > 0.2)
    geometry = Geometry(chirp=lab.chirp, tx_position=tx, rx_position=rx, weight=weight, frequency_weight=rng.random(16))
    assert dot_test(nufft.plan(geometry, VOLUME)) < 1e-4


def test_lost_channels_do_not_matter(lab):
    position = wavy(8, n=24, size=0.05, depth=5e-3)
    signal = lab.signal_of(lab.monostatic(position), POINTS)
    lost = np.random.default_rng(0).random(len(position)) < 0.3
    weight = np.where(lost, 0.0, 1.0).reshape(-1, 1, 1)
    geometry = lab.monostatic(position, weight=weight)
    signal[lost] = 50
    image = nufft.plan(geometry, VOLUME)(signal)
    want = nufft.plan(lab.monostatic(position[~lost]), VOLUME)(signal[~lost])
    assert np.linalg.norm(image - want) < 0.02 * np.linalg.norm(want)
    assert lab.against_oracle(image, signal, geometry, VOLUME, POINTS).error_db < -36


def test_what_cannot_be_is_refused(lab):
    geometry = lab.monostatic(wavy(9, n=10))
    with pytest.raises(GeometryError, match="beyond the aperture"):
        nufft.plan(geometry, ImageGrid(shape=(1, 4, 4), origin=(0, 0, 0.01), spacing=(1e-3, 1e-3, 1e-3)))
    with pytest.raises(GeometryError, match="signal"):
        nufft.plan(geometry, VOLUME)(np.zeros((3, 1, 1, 16), dtype=np.complex64))
    with pytest.raises(DeviceError):
        nufft.plan(geometry, VOLUME, device="gpu")
