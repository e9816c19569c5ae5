"""Meshes: read, made consistent, spread with points by area, and refused with one line."""

import builtins
import sys

import numpy as np
import pytest

from mmsar.errors import FormatError, GeometryError
from mmsar.simulate.mannequin import mannequin_mesh, surface_net, write_stl
from mmsar.simulate.mesh import outward
from mmsar.simulate.scene import Scene

BOX = (20.0, 30.0, 40.0)
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * BOX
QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
FACES = np.array([corners for a, b, c, d in QUADS for corners in ((a, b, c), (a, c, d))])
AREA = 2 * (20 * 30 + 30 * 40 + 40 * 20)


def point_out(scene, centre):
    """Whether all normals of a box's points lead away from its middle."""
    return np.einsum("ni,ni->n", scene.normal, scene.position - centre).min() > 0


@pytest.mark.parametrize("spacing", [1e-3, 2e-3, 5e-3])
def test_reflectivity_is_area_whatever_the_spacing(spacing):
    box = Scene.from_mesh((CORNERS, FACES), spacing)
    assert box.reflectivity.real.sum() == pytest.approx(AREA)
    assert len(box) == pytest.approx(AREA * 1e-6 / spacing**2, rel=0.15)
    for axis, size in enumerate(BOX):  # and every face has its own share
        face = np.abs(box.normal[:, axis]) > 0.5
        assert box.reflectivity.real[face].sum() == pytest.approx(2 * np.prod(BOX) / size, rel=0.05)


def test_points_lie_on_the_surface_evenly_with_outward_normals():
    spacing = 2e-3
    box = Scene.from_mesh((CORNERS, FACES), spacing, centre=(0, 0, 0.3))
    offset = np.abs(box.position - (0, 0, 0.3)) / (np.array(BOX) / 2e3)
    np.testing.assert_allclose(offset.max(axis=1), 1, atol=1e-9)
    assert point_out(box, (0, 0, 0.3))
    np.testing.assert_array_equal(box.lobe, 1)
    for side in ((0, 1), (0, -1), (1, 1), (2, -1)):
        face = box.position[box.normal[:, side[0]] * side[1] > 0.5]
        apart = np.linalg.norm(face[:, None] - face[None], axis=-1)
        np.fill_diagonal(apart, 1)
        assert apart.min() >= 0.75 * spacing
        assert apart.min(axis=1).max() < 1.6 * spacing


def test_the_same_seed_gives_the_same_points():
    runs = [Scene.from_mesh((CORNERS, FACES), 4e-3, seed=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0].position, runs[1].position)
    assert len(runs[0]) != len(runs[2]) or not np.array_equal(runs[0].position, runs[2].position)


def test_unit_and_centre():
    metres = Scene.from_mesh((CORNERS / 1e3, FACES), 5e-3, unit=1.0, seed=3)
    millimetres = Scene.from_mesh((CORNERS, FACES), 5e-3, seed=3)
    np.testing.assert_allclose(metres.position, millimetres.position)
    assert millimetres.position.min() >= 0  # it stays where the file has it
    moved = Scene.from_mesh((CORNERS, FACES), 5e-3, centre=(1, 2, 3))
    np.testing.assert_allclose(moved.triangles.reshape(-1, 3).min(axis=0), np.array([1, 2, 3]) - np.array(BOX) / 2e3)


@pytest.mark.parametrize("seed", range(3))
def test_triangles_turned_at_random_are_put_right(seed):
    flip = np.random.default_rng(seed).random(len(FACES)) < 0.5
    faces = np.where(flip[:, None], FACES[:, ::-1], FACES)
    fixed, closed = outward(CORNERS, faces)
    assert closed.all()
    corner = CORNERS[fixed]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    assert np.einsum("ni,ni->n", normal, corner.mean(axis=1) - CORNERS.mean(axis=0)).min() > 0
    assert point_out(Scene.from_mesh((CORNERS, faces), 4e-3), np.array(BOX) / 2e3)


def test_two_bodies_are_told_apart():
    both = np.concatenate([CORNERS, CORNERS + np.array([100, 0, 0])])
    faces = np.concatenate([FACES[:, ::-1], FACES[:-1] + 8])
    fixed, closed = outward(both, faces)
    np.testing.assert_array_equal(closed, np.arange(23) < 12)
    np.testing.assert_array_equal(fixed[:12], FACES)


def test_an_open_surface_is_a_sheet_with_two_faces():
    square = (np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]]), np.array([[0, 1, 2], [0, 2, 3]]))
    sheet = Scene.from_mesh(square, 1e-3)
    up = sheet.normal[:, 2] > 0
    assert sheet.reflectivity.real[up].sum() == pytest.approx(100, rel=0.02)
    assert sheet.reflectivity.real[~up].sum() == pytest.approx(100, rel=0.02)
    assert sheet.attrs["closed"] is False
    assert sheet.triangles.shape == (2, 3, 3)


def test_a_moebius_strip_is_a_sheet():
    n = 12
    turn = np.arange(n) * 2 * np.pi / n
    edges = []
    for side in (-1, 1):
        r = 3 + side * np.cos(turn / 2)
        edges.append(np.stack([r * np.cos(turn), r * np.sin(turn), side * np.sin(turn / 2)], axis=1))
    low, high = np.arange(n), np.arange(n) + n
    after_low, after_high = np.append(low[1:], high[0]), np.append(high[1:], low[0])
    faces = np.concatenate([np.stack([low, after_low, high], axis=1), np.stack([high, after_low, after_high], axis=1)])
    _, closed = outward(np.concatenate(edges), faces)
    assert not closed.any()


@pytest.mark.parametrize("suffix", ["stl", "obj", "ply"])
def test_files_are_read(tmp_path, suffix):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    path = tmp_path / f"box.{suffix}"
    trimesh.Trimesh(CORNERS, FACES, process=False).export(path)
    box = Scene.from_mesh(path, 4e-3, seed=1)
    assert box.name == "box"
    assert box.attrs["closed"] is True
    assert box.reflectivity.real.sum() == pytest.approx(AREA)
    assert point_out(box, np.array(BOX) / 2e3)


@pytest.mark.parametrize("kind", ["obj", "off", "stl", "binary stl", "ply", "binary ply"])
def test_names_and_comments_may_have_any_encoding(tmp_path, kind):
    """Latin-1 in a comment, a name or a header, as CAD programs write them, needs no further library."""
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    suffix, mesh, word = kind.split()[-1], trimesh.Trimesh(CORNERS, FACES, process=False), "Größe".encode("latin-1")
    if kind == "stl":
        content = mesh.export(file_type="stl_ascii").encode().replace(b"solid", b"solid " + word, 1)
    elif suffix == "ply":
        content = mesh.export(file_type="ply", encoding="binary" if "binary" in kind else "ascii")
        content = content.replace(b"element", b"comment " + word + b"\nelement", 1)
    else:
        content = mesh.export(file_type=suffix)
        content = content if isinstance(content, bytes) else content.encode()
        comment = b"# " + word + b"\n"
        content = word + content[len(word) :] if kind == "binary stl" else content + b"\n" + comment
    assert word in content
    (tmp_path / f"box.{suffix}").write_bytes(content)
    box = Scene.from_mesh(tmp_path / f"box.{suffix}", 4e-3, seed=1)
    assert box.reflectivity.real.sum() == pytest.approx(AREA)


def test_a_format_that_needs_another_library_says_which(tmp_path, monkeypatch):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")

    def without(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'collada'", name="collada")

    monkeypatch.setattr(trimesh, "load_mesh", without)
    (tmp_path / "a.dae").write_bytes(b"<xml/>")
    with pytest.raises(
        FormatError, match=r"a.dae: got no library collada to read .dae files with, wanted it"
    ) as caught:
        Scene.from_mesh(tmp_path / "a.dae", 1e-3)
    assert "\n" not in str(caught.value)


def test_trimesh_objects_are_taken():
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    box = Scene.from_mesh(trimesh.Trimesh(CORNERS, FACES), 4e-3, seed=1)
    np.testing.assert_allclose(np.ptp(box.triangles.reshape(-1, 3), axis=0), np.array(BOX) / 1e3)


def test_what_is_not_a_mesh_is_said(tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    for name, content in (("a.stl", b"solid nothing"), ("b.ply", b"\x00\x01"), ("c.xyz9", b"1 2 3"), ("d.obj", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=rf"{name}: .*wanted .*STL, OBJ, PLY") as caught:
            Scene.from_mesh(tmp_path / name, 1e-3)
        assert "\n" not in str(caught.value)
    trimesh.PointCloud(CORNERS).export(tmp_path / "cloud.ply")
    with pytest.raises(FormatError, match="wanted"):
        Scene.from_mesh(tmp_path / "cloud.ply", 1e-3)
    with pytest.raises(FileNotFoundError):
        Scene.from_mesh(tmp_path / "none.stl", 1e-3)


def test_a_missing_trimesh_says_what_to_install(tmp_path, monkeypatch):
    find = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "trimesh":
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "trimesh", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FormatError, match=r"pip install 'mmsar\[mesh\]'") as caught:
        Scene.from_mesh(tmp_path / "any.stl", 1e-3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mesh", "options", "message"),
    [
        ((CORNERS, FACES), {"spacing": 0.0}, "spacing: got 0"),
        ((CORNERS, FACES), {"spacing": 1e-6}, "wanted at most 1,000,000 points; raise spacing"),
        ((CORNERS, FACES), {"unit": 1.0, "spacing": 1e-3}, "check the unit"),
        ((CORNERS, FACES), {"unit": -1.0}, "unit"),
        ((CORNERS, FACES + 1), {}, "vertex numbers below 8"),
        ((CORNERS, FACES * 1.5), {}, "vertex numbers"),
        ((CORNERS, FACES[:, :2]), {}, "faces: got shape"),
        ((CORNERS * np.nan, FACES), {}, "vertices.*finite"),
        ((CORNERS * 0, FACES), {}, "one point"),
        ((CORNERS * (1, 0, 0), FACES), {}, "without area"),
        (3, {}, "got int, wanted a path"),
        ((CORNERS, FACES), {"centre": (0, 0)}, "centre"),
    ],
)
def test_bad_meshes_are_refused(mesh, options, message):
    with pytest.raises(GeometryError, match=message):
        Scene.from_mesh(mesh, **{"spacing": 1e-2, **options})


def test_a_surface_net_of_a_ball_is_closed_round_and_faces_out():
    axis = np.linspace(-1.3, 1.3, 27)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    vertices, faces = surface_net(np.sqrt(x**2 + y**2 + z**2) - 1)
    vertices = vertices * 0.1 - 1.3
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1, atol=5e-3)
    fixed, closed = outward(vertices, faces)
    assert closed.all()
    np.testing.assert_array_equal(fixed, faces)


def test_the_mannequin_is_one_closed_figure_of_its_height(tmp_path):
    vertices, faces = mannequin_mesh(60)
    fixed, closed = outward(vertices, faces)
    assert closed.all()
    np.testing.assert_array_equal(fixed, faces)
    assert (vertices[:, 1].min(), vertices[:, 1].max()) == (0, 1)
    np.testing.assert_allclose(np.sort(vertices[:, 0]), -np.sort(vertices[:, 0])[::-1], atol=0.02)
    figure = Scene.mannequin(0.25, 4e-3, centre=(0, 0.1, 0.4))
    assert figure.name == "mannequin"
    np.testing.assert_allclose(np.ptp(figure.triangles.reshape(-1, 3), axis=0)[1], 0.25)
    write_stl(tmp_path / "figure.stl", 250 * vertices, faces)
    assert (tmp_path / "figure.stl").stat().st_size == 84 + 50 * len(faces)
    pytest.importorskip("trimesh", reason="trimesh is not installed")
    back = Scene.from_mesh(tmp_path / "figure.stl", 6e-3)
    assert back.attrs["closed"] is True
    np.testing.assert_allclose(np.ptp(back.triangles.reshape(-1, 3), axis=0)[1], 0.25, rtol=1e-6)
