"""The migration's band, its wavenumber grid, and its adjoint."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import ImageGrid
from mmsar.recon.band import Band
from mmsar.recon.migration import Migration

K = np.linspace(1600.0, 1690.0, 5)
GRID = ImageGrid.from_extent((-0.02, 0.03), (-0.03, 0.01), (0.2, 0.26), spacing=(2e-3, 3e-3, 6e-3))


def aperture(n=40, seed=0, size=0.05, depth=0.01):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (n, 3)) * [size, size, depth]


def migration(grid=GRID, virtual=None, memory=2**30):
    virtual = aperture() if virtual is None else virtual
    return Migration(K, grid, virtual, z_ref=0.0, scale=1.0, memory=memory)


@given(
    corner=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.05, 1.0)),
    size=st.tuples(st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.2)),
    width=st.floats(0, 0.2),
    seed=st.integers(0, 100),
)
def test_band_holds_every_pair_of_voxel_and_phase_centre(corner, size, width, seed):
    """kx / K = (x_l - x) / R: negative for voxels at larger x. No mask cuts it, at any height."""
    rng = np.random.default_rng(seed)
    grid = ImageGrid.from_extent(*[(c, c + s) for c, s in zip(corner, size, strict=True)], spacing=0.05)
    virtual = aperture(seed=seed, size=width, depth=0.02 * rng.random())
    band = Band(virtual, grid, K)
    plane = rng.integers(0, grid.shape[0], 200)
    voxel = np.stack([rng.choice(grid.x, 200), rng.choice(grid.y, 200), grid.z[plane]], axis=1)
    way = virtual[rng.integers(0, len(virtual), 200)] - voxel
    cosine = way / np.linalg.norm(way, axis=1, keepdims=True)
    assume(np.hypot(cosine[:, 0], cosine[:, 1]).max() < 0.99)  # waves along the aperture are not imaged
    for axis in (0, 1):
        u = cosine[:, axis]
        assert np.all(u >= band.limits[2 * axis] - 1e-9) and np.all(u <= band.limits[2 * axis + 1] + 1e-9)
        mask = band.mask(axis, u)[plane, np.arange(200)]
        np.testing.assert_allclose(mask, 1, atol=1e-6)
        assert band.reach(axis) >= np.abs(way[:, axis]).max() - 1e-9
    assert np.all(np.hypot(cosine[:, 0], cosine[:, 1]) <= band.limits[4] + 1e-9)


@given(
    aside=st.floats(-0.3, 0.3),
    low=st.floats(-0.5, 0.5),
    z=st.floats(0.05, 1.0),
    axis=st.integers(0, 1),
    seed=st.integers(0, 100),
)
def test_the_band_of_a_line_holds_every_pair_in_the_plane_through_both(aside, low, z, axis, seed):
    """ky / K = (y_l - y) / R with the distance from the line in place of z; nothing across."""
    rng = np.random.default_rng(seed)
    extent = [(low, low + 0.2), (low, low + 0.2), (z, z + 0.2)]
    extent[axis] = (aside, aside)
    grid = ImageGrid.from_extent(*extent, spacing=0.05)
    virtual = aperture(seed=seed, size=0.2)
    virtual[:, axis] = 0.0
    band = Band(virtual, grid, K, axis)
    plane, along = rng.integers(0, grid.shape[0], 200), 1 - axis
    voxel = np.stack([rng.choice(grid.x, 200), rng.choice(grid.y, 200), grid.z[plane]], axis=1)
    way = virtual[rng.integers(0, len(virtual), 200)] - voxel
    u = way[:, along] / np.linalg.norm(way, axis=1)
    assume(np.abs(u).max() < 0.99)
    assert np.all(u >= band.limits[2 * along] - 1e-9) and np.all(u <= band.limits[2 * along + 1] + 1e-9)
    assert np.abs(u).max() <= band.limits[4] + 1e-9
    np.testing.assert_allclose(band.mask(along, u)[plane, np.arange(200)], 1, atol=1e-6)
    np.testing.assert_allclose(band.mask(axis, np.zeros(1)), 1, atol=1e-6)
    assert band.reach(along) >= np.abs(way[:, along]).max() - 1e-9


def test_masks_let_each_height_keep_its_own_band():
    grid = ImageGrid.from_extent((-0.05, 0.05), (-0.05, 0.05), (0.1, 1.0), spacing=(5e-3, 5e-3, 0.1))
    mask = Band(aperture(size=0.1), grid, K).mask(0, np.linspace(-1, 1, 401))
    width = (mask > 0.5).sum(axis=1)
    assert np.all(np.diff(width) < 0) and np.all((mask >= 0) & (mask <= 1)) and mask.dtype == np.float32
    np.testing.assert_allclose(mask, mask[:, ::-1], atol=0.1)


def test_few_zones_are_padded_and_many_are_not():
    point = ImageGrid.from_extent((0, 0), (0, 0), (0.3, 0.3), spacing=1e-3)
    small, large = Band(np.zeros((1, 3)), point, K), Band(aperture(size=0.4, depth=0), point, K)
    zone = np.sqrt(np.pi / K.min() / 0.3)
    assert small.limits[1] == pytest.approx(2.5 * zone, rel=1e-6)
    ends = aperture(size=0.4, depth=0)[:, 0]
    assert large.limits[1] == pytest.approx(ends.max() / np.hypot(ends.max(), 0.3), abs=1e-6)


def test_no_band_behind_or_in_the_aperture():
    for z in (-0.1, 0.0, 0.006):
        with pytest.raises(GeometryError, match=r"image grid: starts at z = .*wanted beyond the aperture"):
            migration(ImageGrid.from_extent((0, 0.01), (0, 0.01), (z, 0.3), spacing=5e-3))


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        ImageGrid(shape=(1, 1, 1), origin=(0.01, 0.0, 0.2), spacing=(1e-3, 1e-3, 1e-3)),
        ImageGrid(shape=(4, 7, 5), origin=(-0.1, -0.1, 0.2), spacing=(30e-3, 20e-3, 7e-3)),
        ImageGrid(shape=(3, 6, 6), origin=(0.2, -0.1, 0.2), spacing=(2e-3, 2e-3, 7e-3)),
    ],
    ids=["plain", "one voxel", "folding", "to the side"],
)
@pytest.mark.parametrize("memory", [2**30, 1])
def test_adjoint(grid, memory):
    rng = np.random.default_rng(0)
    step = migration(grid, memory=memory)
    spectrum = (rng.standard_normal((5, step.n_pairs)) + 1j * rng.standard_normal((5, step.n_pairs))).astype(
        np.complex64
    )
    forward = step(spectrum)
    assert forward.shape == grid.shape and forward.dtype == np.complex64
    noise = rng.standard_normal(grid.shape) + 1j * rng.standard_normal(grid.shape)
    image = (forward + noise * np.linalg.norm(forward) / np.linalg.norm(noise)).astype(np.complex64)
    one, two = np.vdot(image, forward), np.vdot(step.adjoint(image), spectrum)
    assert abs(one - two) < 1e-4 * abs(one)


def test_images_are_linear_in_the_spectrum_and_calls_do_not_leak():
    rng = np.random.default_rng(1)
    step = migration()
    a, b = (
        (rng.standard_normal((5, step.n_pairs)) + 1j * rng.standard_normal((5, step.n_pairs))).astype(np.complex64)
        for _ in range(2)
    )
    first = step(a)
    both = step(a + b)
    np.testing.assert_allclose(step(a), first, atol=1e-7 * np.abs(first).max())
    np.testing.assert_allclose(first + step(b), both, atol=1e-5 * np.abs(both).max())


def test_memory_is_counted_and_less_of_it_means_smaller_pieces():
    large, small = migration(), migration(memory=1)
    assert small._z_step == 1 and large._z_step == GRID.shape[0]
    assert large.nbytes - small.nbytes >= 8 * (GRID.shape[0] - 1) * large.n_pairs
    assert [p.planes.stop - p.planes.start for p in small._pieces()] == [1] * GRID.shape[0]
    middle = migration(memory=8 * 4 * large.n_pairs)
    sizes = [p.planes.stop - p.planes.start for p in middle._pieces()]
    assert max(sizes) <= 4 and sum(sizes) == GRID.shape[0]
