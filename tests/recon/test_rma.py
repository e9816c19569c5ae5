"""Planar range migration against the exact sum: points, widths, phases, grids of every kind, weights, blocks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmsar.errors import DeviceError, GeometryError
from mmsar.metrics import point_response
from mmsar.model import AntennaArray, Chirp, Image, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa, nufft, rma
from mmsar.recon.options import ReconOptions
from mmsar.recon.predict import largest_sine, mean_coherence
from mmsar.signal.window import apply_window

POINTS = np.array([[0.010, -0.012, 0.25], [-0.015, 0.010, 0.27], [0.0, 0.020, 0.29]])
SIGMA = np.array([1, 0.8j, -0.9])


@pytest.fixture(scope="module")
def mimo(lab):
    return lab.mimo_scan(POINTS, SIGMA, shape=(8, 40))


@pytest.fixture(scope="module")
def raster(lab):
    return lab.raster_scan(POINTS, SIGMA)


VOLUME = ImageGrid.from_extent((-0.03, 0.03), (-0.036, 0.036), (0.22, 0.32), spacing=(1.5e-3, 1.2e-3, 8e-3))


def test_three_points_of_a_mimo_raster_are_those_of_back_projection(lab, mimo):
    """Checks 4 and 9: NCC >= 0.99, peaks within a voxel, peak loss <= 1 %."""
    image = rma.plan(mimo.geometry, VOLUME)(mimo)
    got = lab.against_oracle(image, mimo.read(), mimo.geometry, VOLUME, POINTS)
    assert got.ncc >= 0.999 and got.error_db < -32
    for point in POINTS:
        at, xyz = lab.voxels(VOLUME, 0, [point])
        exact = bpa.exact(mimo.read(), mimo.geometry, xyz)
        mine = image[at]
        assert abs(np.abs(mine).max() / np.abs(exact).max() - 1) < 0.01
        peak = xyz[np.argmax(np.abs(mine))]
        assert np.all(np.abs(peak - point) <= np.array(VOLUME.spacing) * 1.01)
        assert np.argmax(np.abs(mine)) == np.argmax(np.abs(exact))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_widths_are_those_of_back_projection_and_theory(lab, axis):
    """Checks 4 and 5: each -3 dB width within 5 % of the exact one, laterally 0.85 to 1.05 of lambda z / 2D."""
    point = np.array([0.004, 0.002, 0.3])
    scan = lab.mimo_scan([point], shape=(12, 48))
    size, step = ((0.02, 0.5e-3), (0.02, 0.5e-3), (0.1, 5e-3))[axis]
    extent = [(p - size, p + size) if a == axis else (p, p) for a, p in enumerate(point)]
    grid = ImageGrid.from_extent(*extent, spacing=step)
    exact = point_response(Image(data=bpa.exact_image(scan.read(), scan.geometry, grid), grid=grid))
    mine = point_response(Image(data=rma.plan(scan.geometry, grid)(scan), grid=grid))
    assert mine.width[axis] == pytest.approx(exact.width[axis], rel=0.05)
    assert mine.value == pytest.approx(1.0, abs=0.01)
    assert mine.position[axis] == pytest.approx(point[axis], abs=0.1 * exact.width[axis])
    if axis < 2:
        virtual = np.unique(np.round(scan.geometry.virtual_position[..., axis], 9))
        length = np.ptp(virtual) + np.median(np.diff(virtual))
        assert 0.85 <= mine.width[axis] / (scan.chirp.wavelength * 0.3 / (2 * length)) <= 1.05


def test_a_slice_is_the_plane_of_the_volume(lab, raster):
    """Check 9: one plane, imaged alone, is that plane of the volume."""
    volume = rma.plan(raster, VOLUME)(raster)
    for plane in (0, 5, len(VOLUME.z) - 1):
        alone = ImageGrid(
            shape=(1, *VOLUME.shape[1:]), origin=(*VOLUME.origin[:2], VOLUME.z[plane]), spacing=VOLUME.spacing
        )
        image = rma.plan(raster, alone)(raster)[0]
        assert np.linalg.norm(image - volume[plane]) < 0.01 * np.linalg.norm(volume[plane])


def test_phase_turns_with_range(lab):
    """Check 17: a target moved by lambda/8 in z turns the phase at the voxel by 90 degrees within 5."""
    centre = (0.003, -0.002, 0.3)
    grid = ImageGrid.from_extent(*[(c - 0.01, c + 0.01) for c in centre], spacing=2e-3)
    values = []
    for shift in (0.0, 1.0, 2.0):
        point = np.add(centre, [0, 0, shift * lab.chirp.wavelength / 8])
        scan = lab.raster_scan([point], shape=(24, 24))
        values.append(rma.plan(scan.geometry, grid)(scan)[5, 5, 5])
    turns = np.rad2deg(np.angle(np.divide(values[1:], values[0])))
    assert turns[0] == pytest.approx(90, abs=5) and abs(turns[1]) == pytest.approx(180, abs=8)
    assert np.rad2deg(np.angle(values[0])) == pytest.approx(0, abs=3)


def test_a_target_at_plus_x_y_z_is_bright_at_large_indices(lab):
    scan = lab.raster_scan([[0.012, 0.02, 0.31]], shape=(20, 30))
    grid = ImageGrid.from_extent((-0.02, 0.02), (-0.03, 0.03), (0.23, 0.35), spacing=(2e-3, 3e-3, 10e-3))
    assert grid.shape == (13, 21, 21)
    image = np.abs(rma.plan(scan.geometry, grid)(scan))
    peak = np.unravel_index(np.argmax(image), image.shape)
    assert peak[0] in (7, 8, 9) and peak[1] in (16, 17, 18) and peak[2] in (15, 16, 17)


GRIDS = {
    "fine": ((0.005, 0.015), (-0.018, -0.006), (0.245, 0.255), (0.3e-3, 0.5e-3, 1e-3)),
    "folding": ((-0.03, 0.03), (-0.035, 0.035), (0.23, 0.31), (5e-3, 7e-3, 16e-3)),
    "wide and folding": ((-0.2, 0.2), (-0.25, 0.25), (0.23, 0.31), (15e-3, 17e-3, 16e-3)),
    "off centre": ((0.0, 0.03), (-0.035, -0.005), (0.23, 0.31), (1.5e-3, 2e-3, 8e-3)),
    "to the side": ((0.2, 0.26), (-0.035, 0.035), (0.23, 0.31), (1.5e-3, 2e-3, 8e-3)),
    "to the other side": ((-0.035, 0.035), (-0.26, -0.2), (0.23, 0.31), (2e-3, 1.5e-3, 8e-3)),
    "far to the corner": ((0.3, 0.34), (0.2, 0.26), (0.4, 0.5), (1.5e-3, 2e-3, 8e-3)),
    "near": ((-0.02, 0.02), (-0.02, 0.02), (0.035, 0.065), (1e-3, 1e-3, 5e-3)),
    "far": ((-0.2, 0.2), (-0.2, 0.2), (2.0, 2.3), (10e-3, 10e-3, 10e-3)),
    "line along x": ((-0.03, 0.03), (0.01, 0.01), (0.25, 0.25), (1.5e-3, 1e-3, 1e-3)),
    "line along z": ((0.01, 0.01), (-0.012, -0.012), (0.2, 0.32), (1.5e-3, 1e-3, 4e-3)),
    "one voxel": ((0.01, 0.01), (-0.012, -0.012), (0.25, 0.25), (1e-3, 1e-3, 1e-3)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_grids_of_every_kind_agree_with_the_oracle(lab, raster, name):
    *extent, spacing = GRIDS[name]
    grid = ImageGrid.from_extent(*extent, spacing=spacing)
    low, high = np.array(grid.extent).T
    points = low + (high - low) * np.array([[0.45, 0.55, 0.5], [0.7, 0.2, 0.8]])
    signal = lab.signal_of(raster.geometry, points, [1, 0.7j])
    image = rma.plan(raster.geometry, grid)(signal)
    got = lab.against_oracle(image, signal, raster.geometry, grid, points)
    assert got.error_db < -36, got.error_db


def test_undersampled_arrays_show_the_oracles_ghosts(lab):
    points = [[0.0, 0.01, 0.27]]
    scan = lab.raster_scan(points, shape=(10, 14), step=6e-3)
    grid = ImageGrid.from_extent((-0.15, 0.15), (-0.15, 0.15), (0.27, 0.27), spacing=(2.5e-3, 2.5e-3, 8e-3))
    image = rma.plan(scan.geometry, grid)(scan)
    got = lab.against_oracle(image, scan.read(), scan.geometry, grid, points, n=400)
    assert got.error_db < -40
    away = np.hypot(*np.meshgrid(grid.x, grid.y - 0.01)) > 0.05
    assert np.abs(image[0][away]).max() > 0.5  # the ghosts are there


@pytest.mark.parametrize("axis", ["x", "y"])
def test_linear_array_with_one_column_of_voxels(lab, axis):
    scan = lab.scan_of(AntennaArray.single(), Trajectory.linear(48, 0.95e-3, axis=axis), [[0.005, 0.005, 0.27]])
    extent = [(-0.03, 0.03), (0.005, 0.005)]
    grid = ImageGrid.from_extent(*(extent if axis == "x" else extent[::-1]), (0.22, 0.32), spacing=(1e-3, 1e-3, 5e-3))
    assert 1 in grid.shape[1:]
    image = rma.plan(scan.geometry, grid)(scan)
    got = lab.against_oracle(image, scan.read(), scan.geometry, grid, [[0.005, 0.005, 0.27]])
    assert got.error_db < -36 and np.abs(image).max() == pytest.approx(1, abs=0.02)


def test_one_antenna_is_imaged_too(lab):
    scan = lab.raster_scan([[0.0, 0.0, 0.27]], shape=(1, 1))
    grid = ImageGrid.from_extent((-0.02, 0.02), (-0.02, 0.02), (0.22, 0.32), spacing=(2e-3, 2e-3, 5e-3))
    got = lab.against_oracle(rma.plan(scan.geometry, grid)(scan), scan.read(), scan.geometry, grid)
    assert got.error_db < -36


def test_pieces_of_the_heights_give_the_same_image(raster):
    plan = rma.plan(raster.geometry, VOLUME)
    whole, back = plan(raster), plan.adjoint(plan(raster))
    plan._migration._z_step = 3
    assert np.linalg.norm(plan(raster) - whole) < 3e-3 * np.linalg.norm(whole)
    assert np.linalg.norm(plan.adjoint(whole) - back) < 3e-3 * np.linalg.norm(back)


@pytest.mark.parametrize("module", [rma, nufft])
def test_a_budget_is_met_by_working_in_pieces(raster, module):
    grid = ImageGrid.from_extent((-0.05, 0.05), (-0.05, 0.05), (0.25, 0.40), spacing=(2e-3, 2e-3, 2e-3))
    free = module.plan(raster, grid)
    options = ReconOptions(memory=int(0.65 * free.nbytes))
    plan = module.plan(raster, grid, options=options)
    assert plan.nbytes <= options.memory and plan._migration._z_step > 1
    assert np.linalg.norm(plan(raster) - free(raster)) < 3e-3 * np.linalg.norm(free(raster))


@pytest.mark.parametrize("name", ["hann", "taylor"])
def test_windows_reach_image_and_oracle_alike(lab, mimo, name):
    geometry = apply_window(mimo.geometry, name)
    image = rma.plan(geometry, VOLUME)(mimo)
    got = lab.against_oracle(image, mimo.read(), geometry, VOLUME, POINTS)
    assert got.ncc > 0.999 and got.error_db < -30
    plain = rma.plan(mimo.geometry, VOLUME)(mimo)
    assert np.linalg.norm(image - plain) > 0.1 * np.linalg.norm(plain)


def test_invalid_channels_and_inverted_feeds(lab):
    base = AntennaArray.iwr1443()
    polarity = np.array([[1, -1, 1, 1], [1, 1, 1, -1]])
    array = AntennaArray(tx=base.tx, rx=base.rx, polarity=polarity)
    scan = lab.scan_of(array, Trajectory.raster((5, 32), (1.3e-3, 2 * 299792458 / 79e9)), POINTS, SIGMA)
    valid = np.random.default_rng(0).random(scan.shape[:3]) > 0.2
    signal = np.where(valid[..., None], scan.read(), 1e3).astype(np.complex64)
    scan = Scan(signal=signal, chirp=scan.chirp, array=array, trajectory=scan.trajectory, valid=valid)
    image = rma.plan(scan, VOLUME)(scan)
    got = lab.against_oracle(image, scan.read(), scan.geometry, VOLUME, POINTS)
    assert got.ncc > 0.999 and np.abs(image).max() == pytest.approx(np.abs(got.exact).max(), rel=0.02)
    assert np.abs(image).max() < 1.1


def test_a_scan_read_in_blocks_gives_the_same_image(mimo):
    class Lazy:
        shape, dtype = mimo.shape, np.dtype(np.complex64)

        def __getitem__(self, key):
            return mimo.read()[key]

    lazy = Scan(signal=Lazy(), chirp=mimo.chirp, array=mimo.array, trajectory=mimo.trajectory)
    lazy.__dict__["blocks_of"] = blocks = []
    original = Scan.blocks

    class Small(Scan):
        def blocks(self, max_bytes=0):
            for poses, block in original(self, 40_000):
                blocks.append(poses)
                yield poses, block

    small = Small(signal=Lazy(), chirp=mimo.chirp, array=mimo.array, trajectory=mimo.trajectory)
    plan = rma.plan(mimo.geometry, VOLUME)
    np.testing.assert_allclose(plan(small), plan(mimo.read()), atol=1e-6)
    np.testing.assert_allclose(plan(lazy), plan(mimo.read()), atol=1e-6)
    assert len(blocks) > 3


def test_plan_takes_a_scan_or_its_geometry_and_says_what_it_holds(mimo):
    plan = rma.plan(mimo, VOLUME)
    np.testing.assert_array_equal(plan(mimo), rma.plan(mimo.geometry, VOLUME)(mimo.read()))
    assert plan.method == "rma" and plan.grid is VOLUME and plan.geometry is mimo.geometry
    assert plan.n_frequencies < mimo.chirp.n_samples
    assert plan.nbytes > 8 * VOLUME.n_voxels


def test_what_cannot_be_is_refused(lab, mimo):
    with pytest.raises(GeometryError, match="deep"):
        rma.plan(lab.monostatic(np.random.default_rng(0).uniform(-0.03, 0.03, (50, 3))), VOLUME)
    flat = np.random.default_rng(0).uniform(-0.03, 0.03, (200, 3)) * [1, 1, 0]
    with pytest.raises(GeometryError, match=r"method rma: .*use method nufft"):
        rma.plan(lab.monostatic(flat), VOLUME)
    behind = ImageGrid.from_extent((-0.01, 0.01), (-0.01, 0.01), (-0.3, 0.1), spacing=5e-3)
    with pytest.raises(GeometryError, match="beyond the aperture"):
        rma.plan(mimo, behind)
    with pytest.raises(GeometryError, match="signal"):
        rma.plan(mimo, VOLUME)(mimo.read()[:-1])
    with pytest.raises(GeometryError, match="image"):
        rma.plan(mimo, VOLUME).adjoint(np.zeros((2, 2, 2)))
    with pytest.raises(DeviceError):
        rma.plan(mimo, VOLUME, device="tpu")
    with pytest.raises(GeometryError, match="window"):
        rma.plan(mimo, VOLUME, options=ReconOptions(window="bartlett"))


@settings(max_examples=25)
@given(
    f0=st.floats(20e9, 120e9),
    bandwidth=st.floats(0.005, 0.08),
    shape=st.tuples(st.integers(4, 14), st.integers(4, 14)),
    step=st.tuples(st.floats(0.2, 0.6), st.floats(0.2, 0.6)),
    baseline=st.floats(0.0, 1.0),
    distance=st.floats(20, 200),
    counts=st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9)),
    cell=st.tuples(st.floats(0.1, 3.0), st.floats(0.1, 3.0), st.floats(0.3, 10.0)),
    offset=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_any_planar_scan_and_grid_agrees_with_the_oracle(
    lab, f0, bandwidth, shape, step, baseline, distance, counts, cell, offset
):
    """Any chirp, spacing, distance and grid, in wavelengths: within -30 dB where the path model is exact."""
    chirp = Chirp.stepped(f0, f0 * bandwidth / 8, 8)
    lam = chirp.wavelength
    array = AntennaArray.single(baseline * lam)
    trajectory = Trajectory.raster(shape, tuple(s * lam for s in step))
    extent = [
        (o * 0.4 * distance * lam, o * 0.4 * distance * lam + c * (n - 1) * lam)
        for o, c, n in zip(offset, cell, counts[::-1], strict=False)
    ]
    extent.append((distance * lam, distance * lam + cell[2] * (counts[0] - 1) * lam))
    grid = ImageGrid.from_extent(*extent, spacing=[c * lam for c in cell])
    low, high = np.array(grid.extent).T
    points = low + (high - low) * np.random.default_rng(1).random((3, 3))
    scan = lab.scan_of(array, trajectory, points, [1, 0.5j, -0.7], chirp=chirp)
    geometry = scan.geometry
    assume(largest_sine(geometry.virtual_position.reshape(-1, 3), grid) < 0.8)
    assume(mean_coherence("rma", geometry, grid) > 0.9995)
    got = lab.against_oracle(rma.plan(geometry, grid)(scan), scan.read(), geometry, grid, n=60)
    rms = np.sqrt(np.mean(np.abs(got.exact) ** 2))
    assert np.sqrt(np.mean(np.abs(got.mine - got.exact) ** 2)) < 10 ** (-30 / 20) * max(rms, 0.1)
