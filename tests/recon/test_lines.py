"""Scans along a line, planes and lines of an image: the degenerate axes, against the exact sum and a point."""

import numpy as np
import pytest

from mmsar.metrics import point_response
from mmsar.model import AntennaArray, Image, ImageGrid, Trajectory
from mmsar.recon import bpa, empm, nufft, rma
from mmsar.recon.lines import onto_line
from mmsar.recon.migration import Migration
from mmsar.recon.operators import dot_test
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct

METHODS = {"rma": rma, "empm": empm, "nufft": nufft}
PITCH = 0.95e-3
"""A quarter of the wavelength."""


def turned(points, axis):
    """Points given for a line along y, for a line along `axis`."""
    points = np.array(points, dtype=float)
    return points[:, [1, 0, 2]] if axis == "x" else points


def across(axis, aside, along, z, spacing):
    """The grid of one voxel at `aside` off the line and `along` it."""
    x, y = (aside, along) if axis == "y" else (along, aside)
    return ImageGrid.from_extent(x, y, z, spacing=spacing)


def error_of(image, scan, grid):
    exact = bpa.exact_image(scan.read(), scan.geometry, grid)
    return 20 * np.log10(np.linalg.norm(image - exact) / np.linalg.norm(exact))


SETTINGS = {
    "before it": (0.24, 0.30, 0.0),
    "short": (0.05, 0.30, 0.0),
    "far": (0.24, 1.0, 0.0),
    "near and steep": (0.12, 0.06, 0.0),
    "aside": (0.24, 0.30, 0.1),
    "near and aside": (0.12, 0.06, 0.05),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_plane_of_a_line_is_that_of_back_projection(lab, method, axis, setting):
    """Phase and scale too: nothing is fitted."""
    size, z, aside = SETTINGS[setting]
    points = turned([[aside, 0.0, z], [aside, 0.02, 1.05 * z], [aside, -0.03, 0.9 * z]], axis)
    scan = lab.scan_of(AntennaArray.single(), Trajectory.linear(int(size / PITCH), PITCH, axis=axis), points)
    grid = across(axis, aside, (-0.04, 0.04), (0.8 * z, 1.2 * z), (1.6e-3, 1.6e-3, z / 75))
    image = METHODS[method].plan(scan, grid)(scan)
    assert error_of(image, scan, grid) < -38


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_tx", [2, 3])
def test_a_mimo_line_images_though_its_antennas_are_not_in_one_line(lab, method, n_tx):
    """TX2 of the IWR1443 sits half a wavelength off the others: its phase centres are put on the line of all."""
    points = [[0, 0, 0.3], [0, 0.02, 0.32], [0, -0.03, 0.27]]
    scan = lab.scan_of(AntennaArray.iwr1443(n_tx), Trajectory.linear(24, 8 * PITCH, axis="y"), points)
    grid = ImageGrid.from_extent(scan.virtual_position[..., 0].mean(), (-0.04, 0.04), (0.25, 0.34), spacing=1.6e-3)
    plan = METHODS[method].plan(scan, grid)
    assert plan._migration.line == 0 and error_of(plan(scan), scan, grid) < -33


@pytest.mark.parametrize("along", ["x", "y"])
def test_a_hand_that_wanders_about_a_line(lab, along):
    path = Trajectory.linear(200, 0.8 * PITCH, axis=along)
    wander = np.random.default_rng(3).normal(size=(200, 3)) * [0.4e-3, 0.4e-3, 3e-3]
    wander[:, "xy".index(along)] = 0
    path = Trajectory(time=path.time, position=path.position + wander)
    scan = lab.scan_of(AntennaArray.single(), path, turned([[0, 0, 0.3], [0, 0.02, 0.32], [0, -0.03, 0.27]], along))
    grid = across(along, 0.0, (-0.04, 0.04), (0.25, 0.34), 1.6e-3)
    plan = nufft.plan(scan, grid)
    assert plan._migration.line is not None and error_of(plan(scan), scan, grid) < -38


THIN = {
    "line along y -> line along y": ("line", ImageGrid.from_extent(0.0, (-0.03, 0.03), 0.3, spacing=1e-3), 1),
    "line along y -> line along z": ("line", ImageGrid.from_extent(0.0, 0.01, (0.2, 0.4), spacing=4e-3), 1),
    "line along y -> volume": (
        "line",
        ImageGrid.from_extent((-0.03, 0.03), (-0.03, 0.03), (0.27, 0.33), spacing=3e-3),
        0,
    ),
    "line along y -> slice": ("line", ImageGrid.from_extent((-0.03, 0.03), (-0.03, 0.03), 0.3, spacing=3e-3), 0),
    "line along y -> (x, z)": ("line", ImageGrid.from_extent((-0.03, 0.03), 0.01, (0.27, 0.33), spacing=3e-3), 0),
    "plane -> slice": ("plane", ImageGrid.from_extent((-0.03, 0.03), (-0.03, 0.03), 0.3, spacing=2e-3), 0),
    "plane -> (y, z)": ("plane", ImageGrid.from_extent(0.01, (-0.03, 0.03), (0.27, 0.33), spacing=2e-3), 0),
    "plane -> (x, z)": ("plane", ImageGrid.from_extent((-0.03, 0.03), 0.01, (0.27, 0.33), spacing=2e-3), 0),
    "plane -> line along z": ("plane", ImageGrid.from_extent(0.01, -0.01, (0.2, 0.4), spacing=4e-3), 0),
    "one place -> line along z": ("place", ImageGrid.from_extent(0.0, 0.01, (0.2, 0.4), spacing=4e-3), 1),
    "one place -> (y, z)": ("place", ImageGrid.from_extent(0.0, (-0.03, 0.03), (0.25, 0.33), spacing=3e-3), 1),
}
PATHS = {
    "line": Trajectory.linear(150, PITCH, axis="y"),
    "plane": Trajectory.raster((40, 40), (1.3e-3, 1.3e-3)),
    "place": Trajectory.linear(1, PITCH, axis="y"),
}


@pytest.mark.parametrize("name", THIN)
def test_every_combination_of_missing_axes_agrees_with_the_oracle_and_has_its_adjoint(lab, name):
    kind, grid, on_line = THIN[name]
    scan = lab.scan_of(AntennaArray.single(), PATHS[kind], [[0.01, 0.01, 0.3], [-0.01, -0.02, 0.28]])
    plan = rma.plan(scan, grid)
    assert (plan._migration.line is not None) == bool(on_line)
    assert error_of(plan(scan), scan, grid) < (-30 if kind != "place" else -20)
    assert dot_test(plan) < 1e-4
    assert dot_test(nufft.plan(scan, grid)) < 1e-4


def test_missing_axes_do_not_cost_what_they_would_padded(lab):
    """A line's plan holds one wave across; one column before a plane adds its waves up, then transforms them."""
    scan = lab.scan_of(AntennaArray.single(), PATHS["line"], [[0, 0, 0.3]])
    wide = rma.plan(scan, ImageGrid.from_extent((0, 1e-3), (-0.03, 0.03), (0.2, 0.4), spacing=1e-3))._migration
    thin = rma.plan(scan, ImageGrid.from_extent(0, (-0.03, 0.03), (0.2, 0.4), spacing=1e-3))._migration
    assert thin.count[0] == 1 and thin.n_pairs < wide.n_pairs / 30 and thin.nbytes < wide.nbytes / 5
    scan = lab.scan_of(AntennaArray.single(), PATHS["plane"], [[0, 0, 0.3]])
    column = rma.plan(scan, ImageGrid.from_extent(0, (-0.03, 0.03), (0.2, 0.4), spacing=1e-3))._migration
    assert column.count[0] > 20 and column._modes.lateral_shapes() == [(1, column.period[1])]


def test_a_point_has_its_place_width_and_phase(lab):
    """Width lambda z / 2D at -3 dB (0.886 of it unweighted); lambda / 8 nearer or farther turns it by 90 degrees."""
    point, length = np.array([0.0, 0.012, 0.3]), 160 * PITCH
    path, values = Trajectory.linear(160, PITCH, axis="y"), []
    for shift in (-1, 0, 1):
        scan = lab.scan_of(AntennaArray.single(), path, [np.add(point, [0, 0, shift * lab.chirp.wavelength / 8])])
        grid = ImageGrid.from_extent(0.0, (-0.008, 0.032), (0.24, 0.36), spacing=(1e-3, 0.5e-3, 4e-3))
        image = rma.plan(scan, grid)(scan)
        values.append(image[15, 40, 0])
        if shift == 0:
            response = point_response(Image(data=image, grid=grid))
    np.testing.assert_allclose(np.rad2deg(np.angle(np.array(values) / values[1])), [-90, 0, 90], atol=2)
    assert np.rad2deg(np.angle(values[1])) == pytest.approx(0, abs=2) and abs(values[1]) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(response.position[1:], point[1:], atol=1e-4)
    assert 0.85 < response.width[1] / (lab.chirp.wavelength * 0.3 / (2 * length)) < 1.0


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_scan_along_a_line_images_the_plane_before_it_without_a_word(lab, axis):
    """Default grid and method; positions that wander too."""
    point = turned([[0.0, 0.02, 0.3]], axis)[0]
    path = Trajectory.linear(120, PITCH, axis=axis)
    wander = np.random.default_rng(5).uniform(-1, 1, path.position.shape) * 0.8e-3
    for position in (path.position, path.position + wander):
        moved = Trajectory(time=path.time, position=position)
        image = reconstruct(lab.scan_of(AntennaArray.single(), moved, [point]), options=ReconOptions(progress=False))
        assert image.grid.shape[1 if axis == "x" else 2] == 1
        z, y, x = np.unravel_index(np.argmax(image.magnitude()), image.grid.shape)
        found = np.array([image.grid.x[x], image.grid.y[y], image.grid.z[z]])
        assert np.all(np.abs(found - point) <= image.grid.spacing)
        assert image.magnitude().max() == pytest.approx(1, abs=0.15)


def test_phase_centres_go_onto_a_line_only_where_that_changes_nothing():
    rng, k = np.random.default_rng(0), np.array([1600.0, 1690.0])
    virtual = rng.uniform(-1, 1, (80, 3)) * [0.5e-3, 0.1, 5e-3]
    path = np.zeros((80, 1, 1))
    before = ImageGrid.from_extent(0.0, (-0.05, 0.05), (0.25, 0.35), spacing=2e-3)
    moved, longer = onto_line(virtual, path, before, k)
    assert np.ptp(moved[:, 0]) == 0 and np.array_equal(moved[:, 1:], virtual[:, 1:])
    for point in ([0.0, 0.05, 0.25], [0.0, -0.05, 0.35], [0.0, 0.0, 0.3]):
        exact = 2 * np.linalg.norm(virtual - point, axis=1)
        np.testing.assert_allclose(longer.ravel() + 2 * np.linalg.norm(moved - point, axis=1), exact, atol=1e-5)
    aside = ImageGrid.from_extent(0.1, (-0.05, 0.05), (0.25, 0.35), spacing=2e-3)
    thick = ImageGrid.from_extent((0.0, 2e-3), (-0.05, 0.05), (0.25, 0.35), spacing=2e-3)
    for grid, centres in ((aside, virtual), (thick, virtual), (before, virtual * [20, 1, 1])):
        kept, same = onto_line(centres, path, grid, k)
        assert kept is centres and same is path


def test_pieces_of_a_line_s_heights_are_the_whole_at_uneven_distances_too():
    """A column aside has uneven distances, which are summed directly; one before the line is gridded."""
    rng, k = np.random.default_rng(0), np.linspace(1600.0, 1690.0, 5)
    virtual = rng.uniform(-1, 1, (40, 3)) * [0, 0.05, 0]
    for aside, tolerance in ((0.0, 1e-3), (0.08, 1e-5)):
        grid = ImageGrid.from_extent(aside, (-0.03, 0.03), (0.2, 0.4), spacing=4e-3)
        whole, parts = (Migration(k, grid, virtual, z_ref=0.0, scale=1.0, memory=m) for m in (2**30, 1))
        spectrum = (rng.standard_normal((5, whole.n_pairs)) + 1j * rng.standard_normal((5, whole.n_pairs))).astype(
            np.complex64
        )
        a, b = whole(spectrum), parts(spectrum)
        assert len(list(parts._pieces())) == grid.shape[0] and len(list(whole._pieces())) == 1
        assert np.linalg.norm(a - b) < tolerance * np.linalg.norm(a)
