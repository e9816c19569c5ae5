"""Samples to spectrum: every front against the direct sum, and the test of what is a product grid."""

import numpy as np
import pytest

from mmsar.model import AntennaArray, ImageGrid, Trajectory
from mmsar.recon.fronts import ExactFront, IrregularFront, RectilinearFront, product_grid
from mmsar.recon.migration import Migration

K = np.linspace(1600.0, 1690.0, 4)
GRID = ImageGrid.from_extent((-0.02, 0.03), (-0.03, 0.01), (0.2, 0.26), spacing=(3e-3, 3e-3, 10e-3))
TOLERANCE = 1e-4


def direct(data, points, migration):
    """S_k(kx, ky) = sum_l s_l exp(-j (kx x_l + ky y_l + (2k - kz)(z_l - z_ref))), x and y from the grid's centre."""
    x, y, z = (points - [*migration.centre, migration.z_ref]).T
    out = []
    for row, k2 in zip(data, migration.k2, strict=True):
        kz = np.sqrt(np.maximum(k2**2 - migration.kx**2 - migration.ky**2, 0))
        phase = np.outer(migration.kx, x) + np.outer(migration.ky, y) + np.outer(k2 - kz, z)
        out.append(np.exp(-1j * phase) @ row)
    return np.array(out)


def plane_points(n_x=9, n_y=7):
    x, y = np.meshgrid(np.linspace(-0.02, 0.02, n_x), np.linspace(-0.03, 0.03, n_y))
    return np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)


def scattered(n=60, depth=0.02):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (n, 3)) * [0.05, 0.06, depth]


def make(kind):
    rng = np.random.default_rng(1)
    if kind == "full raster":
        points = plane_points()[rng.permutation(63)]
    elif kind == "raster with gaps":
        points = plane_points()[rng.permutation(63)[:45]]
    elif kind == "raster with repeats":
        points = plane_points()[np.concatenate([np.arange(63), rng.integers(0, 63, 20)])]
    elif kind == "uneven lines":
        x, y = np.meshgrid([-0.02, -0.013, 0.0, 0.019], [-0.03, 0.001, 0.02])
        points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    elif kind == "irregular":
        points = scattered(depth=0)
    else:
        points = scattered()
    migration = Migration(K, GRID, points, z_ref=0.002 if kind == "in depth" else 0.0, scale=1.0, memory=2**30)
    if kind == "irregular":
        return points, migration, IrregularFront(points, migration, n_frequencies=4, eps=1e-5)
    if kind == "in depth":
        return points, migration, ExactFront(points, migration, error=1e-3, memory=2**30)
    raster = product_grid(points, TOLERANCE)
    assert not isinstance(raster, str), raster
    return points, migration, RectilinearFront(raster, migration)


KINDS = ["full raster", "raster with gaps", "raster with repeats", "uneven lines", "irregular", "in depth"]


@pytest.mark.parametrize("kind", KINDS)
def test_spectrum_is_the_direct_sum_and_has_its_adjoint(kind):
    points, migration, front = make(kind)
    rng = np.random.default_rng(2)
    data = (rng.standard_normal((4, len(points))) + 1j * rng.standard_normal((4, len(points)))).astype(np.complex64)
    got, want = front(data), direct(data, points, migration)
    assert got.shape == (4, migration.n_pairs) and got.dtype == np.complex64
    inside = np.hypot(migration.kx, migration.ky) < (migration.band[4] + migration.band[5]) * migration.k2.min()
    error = np.linalg.norm((got - want)[:, inside]) / np.linalg.norm(want[:, inside])
    assert error < (3e-2 if kind == "in depth" else 2e-4), error
    if kind == "in depth":  # the error asked for is that of the image, in which waves at the band's edge are faint
        image, wanted = (migration(v.astype(np.complex64), False).copy() for v in (got, want))
        assert np.linalg.norm(image - wanted) < 1.2e-3 * np.linalg.norm(wanted)
    other = (rng.standard_normal(got.shape) + 1j * rng.standard_normal(got.shape)).astype(np.complex64) + got
    back = front.adjoint(other)
    assert back.shape == data.shape
    assert np.vdot(other, got) == pytest.approx(np.vdot(back, data), rel=1e-4)
    assert front.nbytes > 0


def test_exact_front_in_small_pieces_of_memory():
    points, migration, front = make("in depth")
    rng = np.random.default_rng(3)
    data = (rng.standard_normal((4, len(points))) + 1j * rng.standard_normal((4, len(points)))).astype(np.complex64)
    small = ExactFront(points, migration, error=1e-3, memory=1)
    assert small.nbytes < front.nbytes
    np.testing.assert_allclose(small(data), front(data), atol=1e-5 * np.abs(front(data)).max())


def test_a_mimo_raster_is_a_product_grid():
    array, trajectory = AntennaArray.iwr1443(), Trajectory.raster((5, 11), (1e-3, 2 * 299792458 / 79e9))
    virtual = (trajectory.position[:, None, None] + array.virtual).reshape(-1, 3)
    x, y, index = product_grid(virtual, TOLERANCE)
    assert len(x) == 11 and len(y) == 40 and len(index) == len(virtual)
    np.testing.assert_allclose(x[index // 40], virtual[:, 0], atol=1e-9)
    np.testing.assert_allclose(y[index % 40], virtual[:, 1], atol=1e-9)


def test_small_errors_of_position_stay_a_grid_and_larger_ones_do_not():
    points = plane_points()
    noise = np.random.default_rng(0).uniform(-1, 1, points.shape)
    assert not isinstance(product_grid(points + 0.4e-4 * noise, TOLERANCE), str)
    assert "plane" in product_grid(points + [0, 0, 1] * noise * 3e-4, TOLERANCE)
    assert isinstance(product_grid(points + 5e-4 * noise * [1, 1, 0], TOLERANCE), str)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (scattered(), "deep"),
        (scattered(depth=0), "filled"),
        (scattered(20_000, depth=0), "grid lines"),
        (np.concatenate([plane_points(), [[0.5, 0.5, 0.3]]]), "deep"),
    ],
)
def test_what_is_no_grid_says_why(points, why):
    reason = product_grid(points, TOLERANCE)
    assert isinstance(reason, str) and why in reason and "\n" not in reason


def test_lines_and_points_are_grids():
    line = plane_points(15, 1)
    x, y, index = product_grid(line, TOLERANCE)
    assert len(x) == 15 and len(y) == 1 and sorted(index) == list(range(15))
    assert len(product_grid(line[:1], TOLERANCE)[0]) == 1
