"""Shadows: what a viewpoint sees, against geometry worked out by hand, and what the forward model makes of it."""

import numpy as np
import pytest

from mmsar.core.kernels_visibility import seen_points
from mmsar.errors import GeometryError, MmsarError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene
from mmsar.simulate.shadows import TOLERANCE, sight, viewpoints

CHIRP = Chirp(f0=77e9, slope=4e9 * 2e6 / 8, fs=2e6, n_samples=8)
EYES = [(0.0, 0.0, 0.0), (0.1, 0.05, 0.1), (0.0, 0.02, 0.2), (0.3, 0.0, 0.3), (-0.1, -0.2, 0.5)]


def seen(scene, eye):
    """Which points one viewpoint sees, bool (n,)."""
    out = np.full((1, (len(scene) + 7) // 8), 255, dtype=np.uint8)
    seen_points(np.array([eye], dtype=float), scene.position, scene.triangles, TOLERANCE, out)
    return np.unpackbits(out[0], bitorder="little")[: len(scene)].astype(bool)


def rectangle(centre, half, axis=2):
    """Two triangles across `axis`, (2, 3, 3)."""
    u, v = np.eye(3)[(axis + 1) % 3] * half[0], np.eye(3)[(axis + 2) % 3] * half[1]
    corner = np.array(centre) + np.array([-u - v, u - v, u + v, -u + v])
    return corner[[[0, 1, 2], [0, 2, 3]]]


def sphere(radius=0.05, centre=(0.0, 0.0, 0.3), n=40, spacing=3e-3):
    """A closed ball of latitude and longitude triangles, as points."""
    theta, phi = np.linspace(0, np.pi, n + 1), np.arange(2 * n) * np.pi / n
    ring = np.stack([np.outer(np.sin(theta), f(phi)) for f in (np.cos, np.sin)], axis=-1)
    vertices = np.concatenate([ring, np.broadcast_to(np.cos(theta)[:, None, None], (n + 1, 2 * n, 1))], axis=-1)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(n), np.arange(2 * n), indexing="ij"))
    a, b = i * 2 * n + j, i * 2 * n + (j + 1) % (2 * n)
    c, d = a + 2 * n, b + 2 * n
    faces = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    return Scene.from_mesh((vertices.reshape(-1, 3), faces), spacing, unit=radius, centre=centre)


def facing(scene, eye):
    """Cosine between the normals and the way to the eye."""
    way = np.array(eye) - scene.position
    return np.einsum("ni,ni->n", scene.normal, way) / np.linalg.norm(way, axis=1)


@pytest.mark.parametrize("eye", EYES)
def test_a_closed_sphere_shows_its_near_half(eye):
    ball = sphere()
    cosine = facing(ball, eye)
    view = seen(ball, eye)
    assert view[cosine > 0].all()  # no surface hides itself
    assert not view[cosine < -0.2].any()  # a pixel or so round the limb is a matter of taste
    assert 0.1 < view.mean() < 0.6


@pytest.mark.parametrize("eye", EYES)
def test_a_convex_body_agrees_with_back_face_culling(eye):
    vertices = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * (0.03, 0.05, 0.02)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([q[:3] for q in quads] + [(q[0], q[2], q[3]) for q in quads])
    box = Scene.from_mesh((vertices, faces), 2e-3, unit=1.0, centre=(0, 0, 0.3)).turned(
        (0.3, 0.7, 0), about=(0, 0, 0.3)
    )
    front = facing(box, eye) > 0
    view = seen(box, eye)
    assert view[front].all()
    assert (view & ~front).sum() <= 0.03 * len(box)  # those within a pixel of an edge


def test_a_plate_before_a_sphere_hides_what_lies_in_its_shadow():
    ball = sphere()
    half, depth, eye = (0.012, 0.02), 0.2, np.array([0.01, -0.02, 0.0])
    plate = Scene(
        position=ball.position,
        normal=ball.normal,
        triangles=np.concatenate([ball.triangles, rectangle((0, 0, depth), half)]),
    )
    way = ball.position - eye
    crossing = np.abs(eye + way * ((depth - eye[2]) / way[:, 2:]))[:, :2]
    front, margin = facing(ball, eye) > 0, 4e-4
    inside = (crossing < np.array(half) - margin).all(axis=1)
    outside = (crossing > np.array(half) + margin).any(axis=1)
    view = seen(plate, eye)
    assert (inside & front).sum() > 100 and (outside & front).sum() > 100
    assert not view[inside].any()
    assert view[outside & front].all()


def test_a_viewpoint_among_the_triangles_sees_to_all_sides():
    """In the middle of a ring of points, with a wall on one side: too wide for one view."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False) + 1e-3
    ring = np.stack([np.cos(angle), 0.3 * np.sin(5 * angle), np.sin(angle)], axis=1)
    scene = Scene(position=ring, triangles=rectangle((0.5, 0, 0), (1.0, 0.2), axis=0))
    z_at_wall = 0.5 * ring[:, 2] / ring[:, 0]
    hidden = (ring[:, 0] > 0.5) & (np.abs(z_at_wall) < 0.2)
    clear = (ring[:, 0] < 0.5) | (np.abs(z_at_wall) > 0.21)
    view = seen(scene, (0, 0, 0))
    assert hidden.sum() > 20
    assert not view[hidden & (np.abs(z_at_wall) < 0.19)].any()
    assert view[clear].all()


def test_a_triangle_behind_the_eye_hides_nothing():
    scene = Scene(position=[[0, 0, 0.3], [0.01, 0, 0.3]], triangles=rectangle((0, 0, -0.1), (0.1, 0.1)))
    assert seen(scene, (0, 0, 0)).all()
    through = Scene(position=scene.position, triangles=rectangle((0, 5e-3, 0.0), (1.0, 1.0), axis=1))
    assert seen(through, (0, 0, 0)).all()  # a floor that passes beneath the eye and the points


def test_a_triangle_that_reaches_behind_the_eye_hides_what_is_above_it():
    floor = rectangle((0, 5e-3, 0.0), (1.0, 1.0), axis=1)
    scene = Scene(position=[[0, 0.05, 0.3], [0, -0.05, 0.3]], triangles=floor)
    np.testing.assert_array_equal(seen(scene, (0, 0, 0)), [False, True])


@pytest.mark.parametrize(
    ("trajectory", "z"),
    [
        (Trajectory.raster((11, 30), (5e-3, 8e-3)), 0.3),
        (Trajectory.turntable(800, 0.25, heights=[-0.02, 0.02]), 0.02),
    ],
)
def test_no_antenna_is_far_from_its_viewpoint(trajectory, z):
    scene = Scene.points([[0.03, 0, z]])
    angle = np.deg2rad(2)
    view, group = viewpoints(trajectory.position, scene, angle)
    away = np.linalg.norm(trajectory.position - view[group], axis=1)
    near = np.linalg.norm(trajectory.position - scene.position, axis=1).min()
    assert away.max() <= near * np.tan(angle)
    assert 10 < len(view) < len(trajectory)
    assert len(viewpoints(trajectory.position, scene, 1e-6)[0]) == len(trajectory)


def run(scene, trajectory, array=None, **options):
    array = array or AntennaArray.single()
    return simulate(scene, chirp=CHIRP, array=array, trajectory=trajectory, options=SimulationOptions(**options)).signal


def test_a_turntable_sees_each_side_of_a_wall_from_its_own_half_circle():
    points = np.array([[0.05, 0.0, 0.0], [-0.05, 0.0, 0.01]])
    wall = rectangle((0, 0, 0), (0.3, 0.3), axis=0)
    circle = Trajectory.turntable(36, 0.25, start=np.deg2rad(-85))
    right, left = (run(Scene.points([p]), circle) for p in points)
    got = run(Scene(position=points, triangles=wall), circle)
    side = circle.position[:, 0] > 0
    np.testing.assert_array_equal(got[side], right[side])
    np.testing.assert_array_equal(got[~side], left[~side])
    np.testing.assert_allclose(
        run(Scene(position=points, triangles=wall), circle, shadows=False), right + left, atol=1e-5
    )


def test_a_path_needs_both_its_ends():
    """A post hides the point from the transmitter only; the receiver's view does not help."""
    scene = Scene(position=[[0, 0, 0.3]], triangles=rectangle((-0.05, 0, 0.15), (0.02, 0.02)))
    apart = AntennaArray(tx=[[-0.1, 0, 0], [0.1, 0, 0]], rx=[[0.1, 0.01, 0], [-0.1, 0.01, 0]])
    size = np.abs(run(scene, Trajectory.linear(1, 1e-3), apart)[0, :, :, 0])
    np.testing.assert_allclose(size, [[0, 0], [1, 0]], atol=1e-6)


def test_a_scene_without_triangles_has_no_shadows_and_no_views():
    view, seen_bits = sight(np.zeros((4, 3)), np.zeros((4, 3)), Scene.points([[0, 0, 1]]), 0.1)
    assert view.shape == (0, 2) and seen_bits.shape == (0, 0)


def test_refusals_are_clear():
    scene = Scene(position=[[0, 0, 0.3]], triangles=rectangle((0, 0, 0.2), (0.1, 0.1)))
    with pytest.raises(GeometryError, match="antenna on a scene point"):
        run(scene, Trajectory.linear(1, 1e-3, z=0.3))
    with pytest.raises(MmsarError, match="raise shadow_angle"):
        sight(scene.position - 0.1, scene.position - 0.2, scene, 0.1, memory=0)
    with pytest.raises(GeometryError, match="shadow_angle"):
        SimulationOptions(shadow_angle=0.0)
