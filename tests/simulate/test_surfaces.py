"""Surfaces: the law of a face with a normal, sheets of metal, tools, plates, and turning them."""

import numpy as np
import pytest

from mmsar.constants import C0
from mmsar.errors import GeometryError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.outlines import TOOLS, mask_edges, mask_triangles, tool_mask
from mmsar.simulate.phantoms import letter_mask
from mmsar.simulate.scene import Scene
from mmsar.simulate.sheets import sheet

CHIRP = Chirp(f0=77e9, slope=4e9 * 2e6 / 16, fs=2e6, n_samples=16)


def size(scene, array, **options):
    """Magnitude of the first sample of one pose at the origin."""
    scan = simulate(
        scene,
        chirp=CHIRP,
        array=array,
        trajectory=Trajectory.linear(1, 1e-3),
        options=SimulationOptions(**options),
    )
    return np.abs(scan.signal[0, 0, 0, 0])


@pytest.mark.parametrize("lobe", [0.0, 0.5, 1.0, 6.0])
@pytest.mark.parametrize("seed", range(5))
def test_amplitude_follows_lobe_and_normal(lobe, seed):
    rng = np.random.default_rng(seed)
    tx, rx, point = rng.uniform(-0.2, 0.2, 3), rng.uniform(-0.2, 0.2, 3), np.array([0.02, -0.03, 0.35])
    normal = rng.standard_normal(3) - (0, 0, 2)
    normal /= np.linalg.norm(normal)
    out, back = ((a - point) / np.linalg.norm(a - point) for a in (tx, rx))
    bisector = (out + back) / np.linalg.norm(out + back)
    faces = out @ normal > 0 and back @ normal > 0
    law = bisector @ normal if lobe else np.sqrt(max(out @ normal, 0) * max(back @ normal, 0))
    want = law ** (lobe or 1) if faces else 0.0
    scene = Scene(position=[point], normal=[normal], lobe=lobe)
    assert size(scene, AntennaArray(tx=[tx], rx=[rx])) == pytest.approx(want, rel=1e-5, abs=1e-7)


def test_a_face_turned_from_one_antenna_is_dark():
    scene = Scene(position=[[0, 0, 0.3]], normal=[[1, 0, 0]], lobe=3.0)
    assert size(scene, AntennaArray(tx=[[0.2, 0, 0]], rx=[[0.2, 0, 0]])) > 0
    assert size(scene, AntennaArray(tx=[[0.2, 0, 0]], rx=[[-0.1, 0, 0]])) == 0


def test_blocks_with_gaps_hold_the_right_points():
    """Faces, backs and points without normals mixed, over several blocks, against the sum of the ones that count."""
    rng = np.random.default_rng(4)
    n = 333
    position = rng.uniform(-0.1, 0.1, (n, 3)) + np.array([0, 0, 0.3])
    kind = rng.integers(0, 3, n)
    normal = np.array([[0, 0, -1.0], [0, 0, 1.0], [0, 0, 0]])[kind]
    sigma = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    array = AntennaArray(tx=[[0, 0, 0]], rx=[[0, 0, 0]])
    whole = Scene(position=position, reflectivity=sigma, normal=normal, lobe=2.0)
    run = lambda s: simulate(s, chirp=CHIRP, array=array, trajectory=Trajectory.linear(3, 0.05)).signal  # noqa: E731
    parts = sum(
        run(Scene(position=position[[i]], reflectivity=sigma[[i]], normal=normal[[i]], lobe=2.0)) for i in range(n)
    )
    np.testing.assert_allclose(run(whole), parts, atol=1e-4)


def test_a_dense_plate_reflects_as_a_mirror():
    """Points with lobe 1 add up to physical optics: bright at normal incidence, sinc-like beside it, dark edge-on."""
    plate = sheet(np.ones((41, 41)), 1e-3, edge=0.0)
    array = AntennaArray.single()
    null = np.arcsin(C0 / CHIRP.f0 / 2 / 41e-3)
    angles = (0, null, 1.43 * null, np.pi / 6, np.pi / 2)
    levels = [size(plate.turned((0, angle, 0)).shifted((0, 0, 5.0)), array) for angle in angles]
    assert levels[0] == pytest.approx(41**2, rel=0.02)
    assert levels[1] < 0.05 * levels[0]  # the first null
    assert levels[2] == pytest.approx(0.217 * levels[0], rel=0.05)  # the first sidelobe of a sinc
    assert levels[3] < 0.04 * levels[0]
    assert levels[4] == pytest.approx(0, abs=1e-3)


def test_a_sheet_has_two_faces_and_weak_edges():
    pixel, edge = 0.5e-3, 2e-4
    metal = sheet(np.ones((8, 20)), pixel, edge=edge)
    flat = np.abs(metal.normal[:, 2]) == 1
    assert flat.sum() == 2 * 160
    np.testing.assert_allclose(metal.normal[flat].sum(axis=0), 0)
    assert metal.reflectivity[flat].real.sum() == pytest.approx(2 * 4 * 10)
    border = metal.position[~flat]
    assert metal.reflectivity[~flat].real.sum() == pytest.approx(2 * (4 + 10) * 0.2)
    on_side = np.isclose(np.abs(border[:, 0]), 5e-3) | np.isclose(np.abs(border[:, 1]), 2e-3)
    assert on_side.all()
    assert metal.triangles.shape == (2, 3, 3)
    turned = metal.turned((0, np.pi / 2, 0)).shifted((0, 0, 0.3))  # edge-on: all that is left is its edge
    only_edges = Scene(position=turned.position[~flat], reflectivity=turned.reflectivity[~flat])
    array = AntennaArray.single()
    want = size(only_edges, array)
    assert size(turned, array, shadows=False) == pytest.approx(want, rel=1e-4)


def test_edges_and_triangles_of_a_mask_are_those_of_the_picture():
    mask = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]], dtype=bool)
    place, jump = mask_edges(mask.astype(float))
    assert len(place) == 12 and set(jump) == {1.0}
    triangles = mask_triangles(mask)
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    assert np.abs(np.cross(a, b)[:, 2]).sum() / 2 == mask.sum()
    assert len(triangles) == 4  # two runs: the upper two rows share one
    middle = triangles.mean(axis=1)
    column, row = np.round(middle[:, 0] + 1).astype(int), np.round(1 - middle[:, 1]).astype(int)
    assert mask[row, column].all()


@pytest.mark.parametrize("kind", sorted(TOOLS))
@pytest.mark.parametrize("length", [60, 200, 401])
def test_tools_are_in_one_piece_and_have_their_length(kind, length):
    from scipy.ndimage import label

    mask = tool_mask(kind, length)
    assert mask.shape[0] == length
    assert mask[: max(2, length // 60)].any() and mask[-2:].any()
    assert mask[:, 0].any() and mask[:, -1].any()
    if length >= 200:
        assert label(mask, np.ones((3, 3)))[1] == 1
    assert 0.05 < mask.mean() < 0.8


def test_rings_have_holes_and_a_knife_has_none():
    from scipy.ndimage import binary_fill_holes

    holes = {kind: int((binary_fill_holes(m) & ~m).sum()) for kind, m in ((k, tool_mask(k, 300)) for k in TOOLS)}
    assert holes["knife"] == 0
    assert holes["wrench"] > 500 and holes["scissors"] > 4000


def test_a_tool_stands_upright_in_its_plane():
    knife = Scene.tool("knife", 0.2, pixel=1e-3, centre=(0.01, 0, 0.4))
    assert np.ptp(knife.position[:, 1]) == pytest.approx(0.2, abs=2e-3)
    assert np.ptp(knife.position[:, 0]) < 0.03
    np.testing.assert_array_equal(knife.position[:, 2], 0.4)
    fine = Scene.tool("knife", 0.2, pixel=0.5e-3)
    assert fine.reflectivity.real.sum() == pytest.approx(knife.reflectivity.real.sum(), rel=0.03)
    with pytest.raises(GeometryError, match="wanted one of knife, wrench, scissors"):
        Scene.tool("spoon", 0.2)


def test_printed_letters_shine_on_a_weak_plate_and_cut_ones_leave_holes():
    cells = letter_mask("LT").sum()
    whole = (7 + 4) * (11 + 4)
    ink = Scene.printed("LT", 70e-3, background=0.2, pixel=5e-3)
    front = ink.normal[:, 2] < 0
    assert ink.reflectivity[front].real.sum() == pytest.approx(100 * (cells + 0.2 * (whole - cells)))
    cut = Scene.cut_out("LT", 70e-3, pixel=5e-3)
    front = cut.normal[:, 2] < 0
    assert cut.reflectivity[front].real.sum() == pytest.approx(100 * (whole - cells))
    assert {ink.name, cut.name} == {"printed LT", "cut-out LT"}
    assert Scene.printed("L", 0.07, background=0.0, pixel=0.01).reflectivity.real.min() > 0


def test_a_knife_on_edge_is_lost_to_a_planar_scan_and_found_by_rotation():
    knife = Scene.tool("knife", 0.06, pixel=1e-3, centre=(0, 0, 0))
    array = AntennaArray.single()

    def energy(scene, trajectory):
        signal = simulate(scene, chirp=CHIRP, array=array, trajectory=trajectory).signal
        return np.sum(np.abs(signal) ** 2, axis=(1, 2, 3))

    planar = Trajectory.raster((3, 41), (5e-3, 20e-3), z=-0.3)
    flat, on_edge = knife, knife.turned((0, np.pi / 2, 0))
    assert energy(on_edge, planar).sum() < 3e-3 * energy(flat, planar).sum()
    round_it = Trajectory.turntable(180, 0.3)
    flat_round, edge_round = energy(flat, round_it), energy(on_edge, round_it)
    assert edge_round.sum() == pytest.approx(flat_round.sum(), rel=0.05)
    assert abs(np.argmax(edge_round) % 90 - 45) <= 2  # two degrees each: broadside is a quarter turn from the start


def test_turning_takes_normals_and_triangles_along():
    plate = sheet(np.ones((3, 5)), 1e-2)
    turned = plate.shifted((0, 0, 0.3)).turned((0, np.pi / 2, 0), about=(0, 0, 0.3))
    np.testing.assert_allclose(turned.position[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(turned.normal[0], (-1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(turned.triangles[..., 0], 0, atol=1e-12)
    np.testing.assert_allclose(turned.triangles[..., 2].min(), 0.3 - 0.025)
    both = Scene.points([[0, 0, 0], [0, 1, 0]]).turned((np.pi / 2, 0, np.pi / 2))
    np.testing.assert_allclose(both.position[1], (0, 0, 1), atol=1e-12)  # x first: y to z; then z leaves it there
    np.testing.assert_allclose(Scene.points([[1, 0, 0]]).turned((0, 0, np.pi / 2)).position, [[0, 1, 0]], atol=1e-12)


def test_unions_and_samples_keep_lobes_and_triangles():
    plate, points = sheet(np.ones((4, 4)), 1e-3), Scene.points([[0, 0, 1]])
    both = plate + points
    assert (both.lobe == 1).sum() == 32
    assert both.triangles.shape == (2, 3, 3)
    assert (points + points).triangles is None
    part = both.subsample(10, seed=2)
    assert len(part.lobe) == 10 and part.triangles.shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Scene(position=[[0, 0, 1]], lobe=-1.0), "Scene.lobe: got -1"),
        (lambda: Scene(position=[[0, 0, 1]], lobe=[1.0, 2.0]), "Scene.lobe: got shape"),
        (lambda: Scene(position=[[0, 0, 1]], triangles=[[0, 0, 1]]), "Scene.triangles: got shape"),
        (lambda: sheet(np.zeros((2, 2)), 1e-3), "without a true pixel"),
        (lambda: Scene.tool("knife", 10.0, pixel=1e-4), "raise the pixel size"),
        (lambda: Scene.mannequin(0.0), "height"),
        (lambda: Scene.points([[0, 0, 1]]).turned((0, 0)), "angles: got shape"),
    ],
)
def test_refusals_are_clear(call, message):
    with pytest.raises(GeometryError, match=message):
        call()
