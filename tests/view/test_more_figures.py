"""Aperture, phase and point response: the numbers that are drawn; and drawing on given axes."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.metrics import point_response
from mmsar.model import AntennaArray, Chirp, Image, ImageGrid, Scan, Trajectory
from mmsar.signal.sampling_map import sampling_map
from mmsar.view import plot
from mmsar.view.phase_plot import phase_colours

PEAK = (0.004, -0.006, 0.3)


def make_image() -> Image:
    grid = ImageGrid(shape=(12, 40, 44), origin=(-0.043, -0.039, 0.24), spacing=(2e-3, 2e-3, 10e-3))
    nulls = (4e-3, 5e-3, 40e-3)
    x, y, z = (np.sinc((getattr(grid, a) - p) / n) for a, p, n in zip("xyz", PEAK, nulls, strict=True))
    return Image(data=1j * z[:, None, None] * y[:, None] * x, grid=grid)


def make_scan(trajectory: Trajectory) -> Scan:
    array = AntennaArray(tx=np.zeros((1, 3)), rx=np.zeros((1, 3)), name="one")
    chirp = Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=8)
    return Scan(
        signal=np.zeros((len(trajectory), 1, 1, 8), np.complex64), chirp=chirp, array=array, trajectory=trajectory
    )


def test_psf_draws_the_numbers_of_metrics() -> None:
    image = make_image()
    found = point_response(image)
    figure = plot.figure_psf(image, title="point")
    for i, axes in enumerate(figure.axes):
        lines = {line.get_label(): line for line in axes.get_lines()}
        low, high = lines["width at -3 dB"].get_xdata()
        assert high - low == pytest.approx(found.width[i] * 1e3)
        assert lines["highest sidelobe"].get_ydata()[0] == pytest.approx(found.pslr[i])
        x, y = lines["cut"].get_data()
        assert np.interp([low, high], x, y) == pytest.approx([-3.01, -3.01], abs=0.05)
        assert f"{found.width[i] * 1e3:.2f} mm at -3 dB, sidelobes {found.pslr[i]:.1f} dB" in axes.get_title()


def test_phase_is_full_above_the_floor_and_gone_below() -> None:
    grid = ImageGrid(shape=(1, 2, 3), origin=(0, 0, 0.3), spacing=(1e-3, 1e-3, 1e-3))
    level = 10 ** (np.array([[0, -19.9, -25], [-30.1, -60, -200]]) / 20)
    image = Image(data=(level * np.exp(0.5j))[None], grid=grid)
    drawn = plot.figure_phase(image).axes[0].get_images()[0]
    np.testing.assert_allclose(drawn.get_alpha(), [[1, 1, 0.5], [0, 0, 0]], atol=1e-3)
    np.testing.assert_allclose(drawn.get_array(), np.degrees(0.5), rtol=1e-5)
    with pytest.raises(GeometryError, match="wanted a complex one"):
        plot.figure_phase(Image(data=image.magnitude(), grid=grid))
    colours = phase_colours().colors
    assert colours.min() >= 0 and colours.max() <= 1
    steps = np.linalg.norm(np.diff(colours, axis=0, append=colours[:1]), axis=1)
    assert steps.max() < 0.05  # and no jump from 180 to -180 degrees


def test_phase_shows_the_target_where_it_is_in_every_view() -> None:
    image = make_image()
    place = {
        n: getattr(image.grid, n)[np.abs(getattr(image.grid, n) - p).argmin()] for n, p in zip("xyz", PEAK, strict=True)
    }
    panels = [axes for axes in plot.figure_phase(image).axes if axes.get_images()]
    for axes, (across, up) in zip(panels, ("xy", "xz", "zy"), strict=True):
        assert (axes.get_xlabel() or f"{across} [mm]", axes.get_ylabel() or f"{up} [mm]") == (
            f"{across} [mm]",
            f"{up} [mm]",
        )
        drawn = axes.get_images()[0]
        assert drawn.origin == "lower" and drawn.get_clim() == (-180, 180)
        left, right, bottom, top = drawn.get_extent()
        rows, columns = np.nonzero(drawn.get_alpha() == drawn.get_alpha().max())
        n_up, n_across = drawn.get_array().shape
        x = left + (columns.mean() + 0.5) * (right - left) / n_across
        y = bottom + (rows.mean() + 0.5) * (top - bottom) / n_up
        spacing = {n: 1e3 * s for n, s in zip("xyz", image.grid.spacing, strict=True)}
        assert x == pytest.approx(1e3 * place[across], abs=spacing[across])
        assert y == pytest.approx(1e3 * place[up], abs=spacing[up])
        assert np.sign(x - (left + right) / 2) == np.sign(1e3 * place[across] - (left + right) / 2)


def test_map_tells_the_steps_of_a_plane_and_where_a_row_is_missing() -> None:
    y, x = np.meshgrid(np.delete(np.arange(20), 9) * 2e-3, np.arange(30) * 1e-3, indexing="ij")
    position = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    rotation = np.tile([0.0, 0, 0, 1], (len(position), 1))
    scan = make_scan(Trajectory(time=np.arange(len(position)) * 1e-3, position=position, rotation=rotation))
    found = sampling_map(scan)
    np.testing.assert_allclose(found.step_across, 1e-3, rtol=1e-6)
    wide = np.any(np.isclose(found.step_up, 4e-3), axis=1)
    assert wide.sum() == 1
    assert found.up[np.argmax(wide)] <= 16e-3 <= found.up[np.argmax(wide) + 1]
    np.testing.assert_allclose(found.step_up[~wide], 2e-3, rtol=1e-6)
    figure = plot.figure_aperture(scan, title="plane")
    meshes = [axes.collections[0].get_array() for axes in figure.axes[2:4]]
    np.testing.assert_allclose(meshes[0], 1.0, rtol=1e-6)
    assert np.max(meshes[1]) == pytest.approx(4)


def test_map_of_a_circle_is_in_angles() -> None:
    scan = make_scan(Trajectory.turntable(180, 0.25))
    found = sampling_map(scan)
    assert found.round
    np.testing.assert_allclose(found.step_across, np.radians(2), rtol=1e-6)
    assert np.degrees(found.across[[0, -1]]) == pytest.approx([-180, 180], abs=2.1)
    figure = plot.figure_aperture(scan)
    FigureCanvasAgg(figure).draw()
    free = figure.axes[2].collections[0].get_array()
    wavelength = 299792458 / scan.chirp.f.max()
    np.testing.assert_allclose(free, wavelength / 4 / np.radians(2) * 1e3, rtol=1e-6)


@pytest.mark.parametrize("name", ["mips", "slices", "phase", "psf"])
def test_figures_draw_on_given_axes(name) -> None:
    image = make_image().with_step(step=plot.LEARNED, method="net")
    figure = Figure()
    axes = figure.subplots(1, 3)
    assert plot.KINDS[name](image, axes=axes, title="mine") is figure
    assert axes[0].get_title().startswith("mine\n")
    assert all(each.get_images() or each.get_lines() for each in axes)
    assert [text.get_text() for text in axes[0].texts] == ["learned enhancement: net"]
    with pytest.raises(GeometryError, match="axes: got 2, wanted"):
        plot.KINDS[name](image, axes=axes[:2])
