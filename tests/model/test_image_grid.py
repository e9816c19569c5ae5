"""Grids and images: which voxel is where, decibels, projections, cropping, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError, MmsarError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.model.scan import Scan
from mmsar.model.trajectory import Trajectory

GRID = ImageGrid(shape=(2, 3, 4), origin=(-3.0, -1.0, 10.0), spacing=(2.0, 1.0, 5.0))


def test_axes_of_a_grid():
    np.testing.assert_array_equal(GRID.x, [-3, -1, 1, 3])
    np.testing.assert_array_equal(GRID.y, [-1, 0, 1])
    np.testing.assert_array_equal(GRID.z, [10, 15])
    assert GRID.n_voxels == 24
    assert GRID.centre == (0, 0, 12.5)
    assert GRID.extent == ((-3, 3), (-1, 1), (10, 15))
    assert ImageGrid(**GRID.to_dict()) == GRID


@given(
    low=st.tuples(*[st.floats(-1, 1)] * 3),
    size=st.tuples(*[st.floats(0, 0.5)] * 3),
    spacing=st.tuples(*[st.floats(5e-3, 0.1)] * 3),
)
def test_from_extent_covers_it_to_half_a_voxel_and_keeps_its_centre(low, size, spacing):
    limits = [(a, a + s) for a, s in zip(low, size, strict=True)]
    grid = ImageGrid.from_extent(*limits, spacing=spacing)
    for got, want, step in zip(grid.extent, limits, spacing, strict=True):
        assert abs(got[0] - want[0]) <= step / 2 + 1e-9
        assert abs(got[1] - want[1]) <= step / 2 + 1e-9
        assert sum(got) == pytest.approx(sum(want), abs=1e-9)
    assert grid.spacing == spacing


def test_one_number_is_one_plane_and_one_spacing_serves_all():
    grid = ImageGrid.from_extent((-0.1, 0.1), (0, 0.05), 0.3, spacing=0.01)
    assert grid.shape == (1, 6, 21)
    np.testing.assert_allclose(grid.z, [0.3])
    np.testing.assert_allclose(grid.x[[0, -1]], [-0.1, 0.1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ImageGrid(shape=(1, 2), origin=(0, 0, 0), spacing=(1, 1, 1)), r"wanted \(n_z, n_y, n_x\)"),
        (lambda: ImageGrid(shape=(1, 2, 0), origin=(0, 0, 0), spacing=(1, 1, 1)), "n_x: got 0"),
        (lambda: ImageGrid(shape=(1, 1, 1), origin=(0, 0), spacing=(1, 1, 1)), "ImageGrid.origin: got shape"),
        (lambda: ImageGrid(shape=(1, 1, 1), origin=(0, 0, 0), spacing=(1, 0, 1)), r"spacing y: got 0.*\[m\]"),
        (lambda: ImageGrid(shape=(99999, 99999, 999), origin=(0, 0, 0), spacing=(1, 1, 1)), "fewer than 2"),
        (lambda: ImageGrid.from_extent((1, 0), 0, 0, spacing=1), "extent x: got 1 to 0 m, wanted low <= high"),
        (lambda: ImageGrid.from_extent((0, 1), 0, (0, 1, 2), spacing=1), "extent z: got shape"),
        (lambda: ImageGrid.from_extent((0, 1), 0, 0, spacing=-1), "spacing x"),
    ],
)
def test_grid_refusals(call, message):
    with pytest.raises(GeometryError, match=message):
        call()


def test_from_resolution_samples_the_resolution_cell():
    """200 mm aperture at 0.3 m, 3.9 mm wavelength: about lambda z / 2D = 2.9 mm, c / 2B = 37.5 mm."""
    chirp = Chirp.stepped(77e9, 4e9 / 64, 64)
    trajectory = Trajectory.raster((3, 3), (0.1, 0.1))
    scan = Scan(
        signal=np.zeros((9, 1, 1, 64), np.complex64), chirp=chirp, array=AntennaArray.single(), trajectory=trajectory
    )
    grid = ImageGrid.from_resolution(scan, z=(0.3, 0.5))
    fine = 2 * grid.spacing[0]
    assert fine == pytest.approx(chirp.wavelength * np.hypot(0.3, 0.1) / 0.4, rel=1e-6)
    assert grid.spacing[2] == pytest.approx(chirp.range_resolution / 2)
    assert grid.extent[0][0] <= -0.1 and grid.extent[0][1] >= 0.1
    assert grid.extent[2] == pytest.approx((0.3, 0.5), abs=grid.spacing[2] / 2)


@pytest.mark.parametrize(
    ("trajectory", "wide"),
    [
        (Trajectory.linear(300, 1e-3), [True, False]),
        (Trajectory.linear(300, 1e-3, axis="y"), [False, True]),
        (Trajectory.linear(1, 1e-3), [False, False]),
    ],
)
@pytest.mark.parametrize("n_tx", [0, 2, 3])
def test_from_resolution_gives_one_voxel_where_nothing_is_resolved(trajectory, wide, n_tx):
    """TX2 of the IWR1443 is half a wavelength aside: still a line. Its row of antennas alone is an aperture."""
    array = AntennaArray.iwr1443(n_tx) if n_tx else AntennaArray.single()
    chirp = Chirp.stepped(77e9, 4e9 / 16, 16)
    signal = np.zeros((len(trajectory), array.n_tx, array.n_rx, 16), np.complex64)
    scan = Scan(signal=signal, chirp=chirp, array=array, trajectory=trajectory)
    grid = ImageGrid.from_resolution(scan, z=(0.3, 0.4))
    assert [n > 1 for n in grid.shape[:0:-1]] == [wide[0], wide[1] or n_tx > 0]
    for axis, n in enumerate(grid.shape[:0:-1]):
        if n == 1:
            assert grid.centre[axis] == pytest.approx(scan.virtual_position[..., axis].mean(), abs=1e-9)


def image(dtype=np.complex64):
    data = np.zeros(GRID.shape, dtype)
    data[1, 2, 3] = -4
    data[0, 1, 0] = 2
    return Image(data=data, grid=GRID)


def test_magnitude_and_decibels():
    assert image().magnitude().dtype == np.float32
    db = image().db(-30)
    assert db[1, 2, 3] == 0
    assert db[0, 1, 0] == pytest.approx(-6.0206, abs=1e-4)
    assert db[0, 0, 0] == pytest.approx(-30)
    assert (Image(data=np.zeros(GRID.shape, np.float32), grid=GRID).db(-40) == -40).all()


def test_projections_keep_the_other_two_axes():
    im = image()
    assert im.mip("z").shape == (3, 4) and im.mip("y").shape == (2, 4) and im.mip("x").shape == (2, 3)
    assert im.mip("z")[2, 3] == 4 and im.mip("y")[1, 3] == 4 and im.mip("x")[1, 2] == 4
    with pytest.raises(GeometryError, match="mip axis: got 'w', wanted one of x, y, z"):
        im.mip("w")


def test_crop_keeps_voxels_where_they_are():
    part = image().crop(x=(1, 3), y=(0.5, 9), z=(15, 15))
    assert part.data.shape == (1, 1, 2)
    assert part.data[0, 0, 1] == -4
    np.testing.assert_array_equal(part.grid.x, [1, 3])
    assert part.grid.extent[1:] == ((1, 1), (15, 15))
    assert image().crop().grid == GRID
    with pytest.raises(GeometryError, match="crop x: got 4 to 5 m, wanted part of -3 to 3 m"):
        image().crop(x=(4, 5))


def test_precision_and_history():
    assert image(np.complex128).data.dtype == np.complex64
    assert image(np.float64).data.dtype == np.float32
    assert not image().data.flags.writeable
    longer = image().with_step(step="a").with_step(step="b")
    assert [s["step"] for s in longer.history] == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((2, 3, 5), np.float32), r"Image.data: got shape \(2, 3, 5\), wanted \(2, 3, 4\)"),
        (np.zeros((2, 3, 4), np.int16), "Image.data: got int16, wanted complex64 or float32"),
        (np.full((2, 3, 4), np.nan, np.float32), "Image.data: got NaN"),
    ],
)
def test_image_refusals(data, message):
    with pytest.raises(GeometryError, match=message):
        Image(data=data, grid=GRID)


def test_xarray_has_coordinates_or_says_what_is_missing():
    try:
        import xarray  # noqa: F401
    except ImportError:
        with pytest.raises(MmsarError, match="pip install xarray"):
            image().to_xarray()
        return
    array = image().to_xarray()
    assert array.dims == ("z", "y", "x")
    np.testing.assert_array_equal(array.coords["x"], GRID.x)
