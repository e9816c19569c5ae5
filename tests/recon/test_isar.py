"""Imaging in rotation against exact back-projection, closed forms and the paper's figures."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import j0

from mmsar.errors import DeviceError, GeometryError
from mmsar.metrics import ncc
from mmsar.model import AntennaArray, Chirp, ImageGrid, Trajectory
from mmsar.recon import bpa, isar
from mmsar.recon.operators import dot_test
from mmsar.recon.options import KERNELS, ReconOptions

LAM = 299792458.0 / 79e9
R0 = 0.25
NARROW = Chirp.stepped(79e9, 1e6, 2)
"""One frequency, as good as."""


def slice_grid(half=0.05, spacing=1e-3, y=0.0):
    return ImageGrid.from_extent((-half, half), y, (-half, half), spacing=(spacing, 1e-3, spacing))


def ring(lab, points, n=512, *, sigma=1.0, array=None, **kwargs):
    """A scan of one turn at y = 0."""
    chirp = kwargs.pop("chirp", lab.chirp)
    trajectory = Trajectory.turntable(n, R0, **kwargs)
    return lab.scan_of(array or AntennaArray.single(), trajectory, points, sigma, chirp=chirp)


def image_of(scan, grid, **options):
    return isar.plan(scan, grid, options=ReconOptions(progress=False, **options))(scan)


def exact_image(scan, grid):
    return bpa.plan(scan, grid, options=ReconOptions(progress=False, error_db=-60.0))(scan)


def error_db(mine, exact):
    return 20 * np.log10(np.linalg.norm(mine - exact) / np.linalg.norm(exact))


def peak_of(image, grid):
    z, y, x = np.unravel_index(np.argmax(np.abs(image)), image.shape)
    return np.array([grid.x[x], grid.y[y], grid.z[z]])


def contrast(image):
    return np.abs(image).max() / np.median(np.abs(image))


# ---- where points are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("x", [-0.03, 0.03])
@pytest.mark.parametrize("z", [-0.02, 0.02])
def test_point_in_every_quadrant_unmirrored(lab, kernel, x, z):
    """Check 11."""
    scan, grid = ring(lab, [[x, 0, z]]), slice_grid()
    image = image_of(scan, grid, kernel=kernel)
    assert np.abs(peak_of(image, grid) - [x, 0, z]).max() < 1e-9
    assert abs(image).max() == pytest.approx(1, abs=0.05)


def test_height_and_quadrant_in_three_dimensions(lab):
    points = [[0.03, 0.012, -0.02], [-0.02, -0.008, -0.03]]
    trajectory = Trajectory.turntable(300, R0, heights=(np.arange(40) - 19.5) * LAM / 4)
    scan = lab.scan_of(AntennaArray.single(), trajectory, points, [1, 0.7j])
    grid = ImageGrid.from_extent((-0.04, 0.04), (-0.02, 0.02), (-0.04, 0.04), spacing=(1e-3, 2e-3, 1e-3))
    image = image_of(scan, grid)
    assert np.abs(peak_of(image, grid) - points[0]).max() < 1e-9
    at = tuple(np.round((np.array(points[1]) - grid.origin) / grid.spacing).astype(int)[::-1])
    assert image[at] == pytest.approx(0.7j, abs=0.05)


def test_phase_of_a_moved_target_turns(lab):
    """Check 17, for one look: towards the radar by lambda / 8 is a quarter turn."""
    grid = slice_grid(0.02)
    chirp = Chirp.stepped(79e9, 1e6, 2)
    values = []
    for z in (0.0, -LAM / 8):
        scan = ring(lab, [[0.0, 0, z]], n=40, start=-np.pi / 2 - 0.1, span=0.2, chirp=chirp)
        image = image_of(scan, grid)
        values.append(image[20, 0, 20])
    turn = np.angle(values[1] / values[0])
    assert np.rad2deg(turn) == pytest.approx(-90, abs=5)


# ---- against exact back-projection -----------------------------------------------------------------------------------

LAYOUTS = {
    "full turn": {"n": 400},
    "half a turn": {"n": 300, "start": 0.4, "span": np.pi},
    "short arc over the seam": {"n": 90, "start": np.pi - 0.3, "span": 0.6},
    "coarse": {"n": 64},
    "one angle": {"n": 1},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_one_ring_is_back_projection(lab, name):
    scan = ring(lab, [[0.03, 0, -0.02], [-0.01, 0, 0.04]], sigma=[1, -0.6j], **LAYOUTS[name])
    grid = slice_grid()
    assert error_db(image_of(scan, grid), exact_image(scan, grid)) < -50


GRIDS = {
    "volume": ((-0.04, 0.04), (-0.015, 0.015), (-0.04, 0.04), (1e-3, 3e-3, 1e-3)),
    "off the axis": ((0.02, 0.05), (0.03, 0.05), (-0.05, -0.01), (0.7e-3, 2e-3, 0.9e-3)),
    "above the aperture": ((-0.03, 0.03), (0.06, 0.08), (-0.03, 0.03), (1e-3, 4e-3, 1e-3)),
    "coarser than a quarter wavelength": ((-0.04, 0.04), (-0.02, 0.02), (-0.04, 0.04), (5e-3, 5e-3, 5e-3)),
    "slice": ((-0.04, 0.04), (0.004, 0.004), (-0.04, 0.04), (1e-3, 1e-3, 1e-3)),
    "upright slice": ((-0.04, 0.04), (-0.02, 0.02), (0.01, 0.01), (1e-3, 2e-3, 1e-3)),
    "line along y": ((0.01, 0.01), (-0.02, 0.02), (-0.02, -0.02), (1e-3, 1e-3, 1e-3)),
    "one voxel": ((0.01, 0.01), (0.004, 0.004), (0.02, 0.02), (1e-3, 1e-3, 1e-3)),
    "even number of voxels": ((-0.0395, 0.0395), (-0.015, 0.015), (-0.0395, 0.0395), (1e-3, 3e-3, 1e-3)),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_steps_in_height_are_back_projection(lab, name, jitter):
    """Angles and heights on a product grid, and jittered by 30 % of a step (NUFFT)."""
    *extent, spacing = GRIDS[name]
    grid = ImageGrid.from_extent(*extent, spacing=spacing)
    rng = np.random.default_rng(1)
    angle = 2 * np.pi * (np.arange(200) + jitter * rng.uniform(-0.5, 0.5, (24, 200))) / 200
    height = np.broadcast_to((np.arange(24)[:, None] - 11.5) * LAM / 2, angle.shape)
    if jitter:
        height = height + 0.3 * LAM / 2 * rng.uniform(-0.5, 0.5, angle.shape)
    points = np.stack([R0 * np.cos(angle), height, R0 * np.sin(angle)], axis=-1).reshape(-1, 3)
    geometry = lab.monostatic(points)
    low, high = np.array(grid.extent).T
    targets = low + (high - low) * np.array([[0.4, 0.6, 0.5], [0.75, 0.2, 0.7]])
    signal = lab.signal_of(geometry, targets, [1, 0.8j])
    image = isar.plan(geometry, grid, options=ReconOptions(progress=False))(signal)
    got = lab.against_oracle(image, signal, geometry, grid, targets, n=150)
    assert got.error_db < -46, got.error_db


def test_random_scene_near_the_antennas(lab):
    """Voxels at 60 % of the radius: the amplitude and the many orders count."""
    scan = ring(lab, np.random.default_rng(3).uniform(-0.1, 0.1, (12, 3)) * [1, 0, 1], n=900)
    grid = slice_grid(0.106, 2e-3)
    assert error_db(image_of(scan, grid), exact_image(scan, grid)) < -50


def test_accuracy_is_what_is_asked_for(lab):
    scan, grid = ring(lab, [[0.03, 0, -0.02]], n=300), slice_grid(spacing=4e-3)
    x, z = np.meshgrid(grid.x, grid.z)
    exact = bpa.exact(scan.signal, scan.geometry, np.stack([x, 0 * x, z], axis=-1).reshape(-1, 3)).reshape(grid.shape)
    errors = [error_db(image_of(scan, grid, error_db=e), exact) for e in (-30.0, -50.0, -70.0)]
    assert errors[0] < -30 and errors[1] < -50 and errors[2] < -70


def test_board_with_separated_antennas(lab):
    """What is left is the compensation's: exact at the axis, some degrees at the rim."""
    trajectory = Trajectory.turntable(300, R0, heights=(np.arange(6) - 2.5) * 2 * LAM)
    points = [[0.02, 0.0, -0.01], [0.0, 0.005, 0.0]]
    scan = lab.scan_of(AntennaArray.iwr1443(3), trajectory, points)
    grid = ImageGrid.from_extent((-0.03, 0.03), (-0.01, 0.01), (-0.03, 0.03), spacing=(1e-3, 2.5e-3, 1e-3))
    image, exact = image_of(scan, grid), exact_image(scan, grid)
    assert ncc(image, exact) >= 0.99
    assert error_db(image, exact) < -20
    taylor = image_of(scan, grid, phase="taylor")
    assert ncc(taylor, exact) >= 0.97


def test_motion_between_transmit_slots_counts(lab):
    trajectory = Trajectory.turntable(360, R0)
    scan = lab.scan_of(AntennaArray.iwr1443(), trajectory, [[0.03, 0, -0.02]], tx_delay=(0.0, 2.5e-3))
    grid = slice_grid(0.04)
    assert ncc(image_of(scan, grid), exact_image(scan, grid)) >= 0.99


def test_invalid_channels_and_weights_count(lab):
    scan = ring(lab, [[0.03, 0, -0.02]], n=200)
    weight = np.random.default_rng(0).uniform(0.2, 1, scan.geometry.weight.shape)
    weight[30:70] = 0
    geometry = scan.geometry.replace(weight=weight)
    grid = slice_grid()
    mine = isar.plan(geometry, grid)(scan.signal)
    exact = bpa.plan(geometry, grid, options=ReconOptions(error_db=-60.0))(scan.signal)
    assert error_db(mine, exact) < -50


# ---- the paper's bars ------------------------------------------------------------------------------------------------


def test_contrast_of_the_kernels(lab):
    """Check 11: the Hankel kernel holds 100 at 512 angles; the exponential one does not, sampled or not."""
    scan, grid = ring(lab, [[0.03, 0, -0.02]], chirp=Chirp.stepped(77e9, 4e9 / 64, 64)), slice_grid()
    got = {kernel: contrast(image_of(scan, grid, kernel=kernel)) for kernel in KERNELS}
    assert got["hankel"] >= 100 and got["matched"] >= 100
    assert got["exponential"] < 0.5 * got["hankel"]
    assert got["exponential-sampled"] < 0.3 * got["hankel"]
    dense = ring(lab, [[0.03, 0, -0.02]], n=1024, chirp=Chirp.stepped(77e9, 4e9 / 64, 64))
    assert contrast(image_of(dense, grid, kernel="exponential-sampled")) > 1.3 * got["exponential-sampled"]


def test_width_in_the_plane_is_the_bessel_functions(lab):
    """J0(2 k rho): the -3 dB full width is 0.18 lambda; within 10 %."""
    scan = ring(lab, [[0.0, 0, 0.0]], chirp=NARROW)
    grid = slice_grid(1.5e-3, 20e-6)
    cut = np.abs(image_of(scan, grid)[75, 0])
    above = grid.x[cut >= cut.max() / np.sqrt(2)]
    width = above[-1] - above[0] + 20e-6
    predicted = 2 * brentq(lambda v: j0(v) - 1 / np.sqrt(2), 0.1, 2) / (4 * np.pi / LAM)
    assert predicted == pytest.approx(0.18 * LAM, rel=0.01)
    assert width == pytest.approx(predicted, rel=0.1)


def test_width_along_the_axis(lab):
    """lambda R0 / (2 D_y): here the sinc's 0.886 of it at -3 dB."""
    n = 96
    trajectory = Trajectory.turntable(64, R0, heights=(np.arange(n) - (n - 1) / 2) * LAM / 4)
    scan = lab.scan_of(AntennaArray.single(), trajectory, [[0, 0, 0]], chirp=NARROW)
    grid = ImageGrid.from_extent(0.0, (-0.012, 0.012), 0.0, spacing=(1e-3, 0.1e-3, 1e-3))
    cut = np.abs(image_of(scan, grid)[0, :, 0])
    above = grid.y[cut >= cut.max() / np.sqrt(2)]
    assert (above[-1] - above[0] + 1e-4) / 0.886 == pytest.approx(LAM * R0 / (2 * n * LAM / 4), rel=0.1)


def test_array_against_single_elements(lab):
    """Check 12: 64 steps of 8 virtual elements against 512 heights."""
    points = [[0.03, 0.01, -0.02], [-0.02, -0.02, 0.01], [0.0, 0.0, 0.0]]
    steps = (np.arange(64) - 31.5) * 2 * LAM
    board = lab.scan_of(AntennaArray.iwr1443(), Trajectory.turntable(240, R0, heights=steps), points)
    rows = board.virtual_position[..., 1].ravel()
    heights = np.unique(np.round(rows, 9))
    assert len(heights) == 512
    single = lab.scan_of(AntennaArray.single(), Trajectory.turntable(240, R0, heights=heights), points)
    grid = ImageGrid.from_extent((-0.035, 0.035), (-0.03, 0.03), (-0.035, 0.035), spacing=(1e-3, 2e-3, 1e-3))
    mimo, siso = np.abs(image_of(board, grid)), np.abs(image_of(single, grid))
    assert ncc(mimo, siso) >= 0.98
    block = ImageGrid.from_extent((0.02, 0.035), (0.0, 0.02), (-0.03, -0.01), spacing=(1e-3, 2e-3, 1e-3))
    assert ncc(image_of(board, block), exact_image(board, block)) >= 0.97


def test_logged_angles_make_up_for_jitter(lab):
    """30 % of a step at random: as good as even angles, when the angles are known."""
    rng = np.random.default_rng(5)
    angle = 2 * np.pi * (np.arange(512) + 0.3 * rng.uniform(-1, 1, 512)) / 512
    points = np.stack([R0 * np.cos(angle), 0 * angle, R0 * np.sin(angle)], axis=1)
    even = lab.monostatic(Trajectory.turntable(512, R0).position)
    logged = lab.monostatic(points)
    scene, grid = [[0.03, 0, -0.02], [0.01, 0, 0.015], [-0.035, 0, 0.0]], slice_grid()
    wanted = isar.plan(even, grid)(lab.signal_of(even, scene))
    signal = lab.signal_of(logged, scene)
    assert ncc(isar.plan(logged, grid)(signal), wanted) >= 0.97
    assert ncc(isar.plan(even, grid)(signal), wanted) < 0.9, "the logged angles are worth using"


def test_far_away_it_is_the_plane_wave_sum(lab):
    rng = np.random.default_rng(2)
    angle = 0.3 + np.linspace(0, 0.4, 120)
    geometry = lab.monostatic(np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1))
    grid = slice_grid(0.06, 1.5e-3)
    targets = rng.uniform(-0.05, 0.05, (4, 3)) * [1, 0, 1]
    k = geometry.chirp.k
    along = targets[:, [0]] * np.cos(angle) + targets[:, [2]] * np.sin(angle)
    signal = np.exp(-2j * along[:, :, None] * k).sum(axis=0).astype(np.complex64)
    image = isar.plan(geometry, grid, options=ReconOptions(far_field=True))(signal.reshape(geometry.shape))
    x, z = np.meshgrid(grid.x, grid.z)
    exact = np.zeros(x.shape, complex)
    for a, row in zip(angle, signal, strict=True):
        exact += np.exp(2j * (x * np.cos(a) + z * np.sin(a))[..., None] * k) @ row
    assert error_db(image[:, 0], exact / geometry.norm) < -50


# ---- adjoints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
def test_dot_test_of_a_slice(lab, kernel):
    scan = ring(lab, [[0.03, 0, -0.02]], n=100)
    assert dot_test(isar.plan(scan, slice_grid(0.03, 1.3e-3), options=ReconOptions(kernel=kernel))) < 1e-5


@pytest.mark.parametrize("angles", ["even", "jittered", "board"])
def test_dot_test_of_a_volume(lab, angles, scans):
    grid = ImageGrid.from_extent((-0.02, 0.03), (-0.01, 0.012), (-0.03, 0.02), spacing=(1.2e-3, 2e-3, 1.5e-3))
    geometry = scans["turn"].geometry
    if angles != "board":
        jitter = (angles == "jittered") * np.random.default_rng(0).uniform(-0.01, 0.01, 480)
        angle = np.tile(np.arange(60) * 2 * np.pi / 60, 8) + jitter
        height = np.repeat(np.arange(8) - 3.5, 60) * LAM
        geometry = lab.monostatic(np.stack([R0 * np.cos(angle), height, R0 * np.sin(angle)], axis=1))
    plan = isar.plan(geometry, grid)
    assert dot_test(plan) < 1e-5
    pieces = isar.plan(geometry, grid, options=ReconOptions(memory=int(0.95 * plan.nbytes)))
    assert dot_test(pieces) < 1e-5


def test_dot_test_from_far_away(lab):
    scan = ring(lab, [[0.03, 0, -0.02]], n=100, span=0.5)
    assert dot_test(isar.plan(scan, slice_grid(0.03, 1.3e-3), options=ReconOptions(far_field=True))) < 1e-5


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_refusals(lab):
    scan = ring(lab, [[0.03, 0, -0.02]], n=20)
    cases = [
        (scan.geometry, slice_grid(0.2), {}, "reaches 282.8 mm from the axis"),
        (scan.geometry, slice_grid(0.1765), {}, "reaches 249.6 mm from the axis"),
        (lab.monostatic([[0, 0, 0], [0, 0.1, 0.1]]), slice_grid(), {}, "on the axis of rotation"),
        (lab.monostatic([[0.3, 0, 0], [0, 0, 0.01]]), slice_grid(), {}, "wanted them on a circle"),
        (
            scan.geometry,
            ImageGrid.from_extent((-0.03, 0.03), (0, 0.01), 0.0, spacing=1e-3),
            {"far_field": True},
            "no resolution along the axis",
        ),
    ]
    for geometry, grid, options, said in cases:
        with pytest.raises(GeometryError, match=said):
            isar.plan(geometry, grid, options=ReconOptions(**options))
    with pytest.raises(GeometryError, match="kernel: got 'bessel', wanted one of matched, hankel"):
        ReconOptions(kernel="bessel")
    with pytest.raises(DeviceError, match="cuda"):
        isar.plan(scan, slice_grid(), device="cuda")
