"""Meshes as scenes: triangles made consistent and outward, and their surface as evenly spread points.

Random candidates, eight to a point, are spread over the surface by area and thinned out until none are nearer than 0.75
of the spacing (dart throwing, R. L. Cook 1986). Every kept point stands for the area of the candidates nearest to it on
its side, and its reflectivity is that area in square millimetres.
"""

from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.errors import FormatError, GeometryError
from mmsar.simulate.scene import AREA, Scene

MAX_POINTS = 1_000_000
TEXTS = ("stl", "obj", "ply", "off")
"""Formats with names and comments, in whatever encoding."""
_CANDIDATES = 8
_APART = 0.75
"""Least distance of points over their spacing: as many are then kept as squares of the spacing fit on the surface."""


def mesh_scene(mesh: Any, spacing: float, *, unit: float = 1e-3, centre: Any = None, seed: int = 0) -> Scene:
    """See `Scene.from_mesh`."""
    spacing = finite_number("Scene.from_mesh spacing", spacing, "m", above=0.0)
    unit = finite_number("Scene.from_mesh unit", unit, "m per unit of the mesh", above=0.0)
    if isinstance(mesh, str | PathLike):
        name, (vertices, faces) = Path(fspath(mesh)).stem, read_mesh(mesh)
    else:
        name, (vertices, faces) = "mesh", _parts(mesh)
    vertices, faces = _merged(vertices * unit, faces)
    if centre is not None:
        used = vertices[np.unique(faces)]
        middle = (used.min(axis=0) + used.max(axis=0)) / 2
        vertices = vertices - middle + real_array("Scene centre", centre, (3,), "m")
    faces, closed = outward(vertices, faces)
    shell = np.concatenate([faces, faces[~closed][:, ::-1]])
    position, normal, area = sample(vertices[shell], spacing, seed=seed)
    return Scene(
        position=position,
        reflectivity=area / AREA,
        normal=normal,
        lobe=1.0,
        triangles=vertices[faces],
        name=name,
        attrs={"closed": bool(closed.all())},
    )


def read_mesh(path: str | PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices float64 (n, 3) and triangles int64 (m, 3) of a file, in its own unit; errors as of `Scene.from_mesh`."""
    try:
        import trimesh
    except ImportError:
        raise FormatError(
            f"{fspath(path)}: got no library trimesh to read meshes with, wanted it installed; "
            "run: pip install 'mmsar[mesh]'"
        ) from None
    suffix, content = Path(fspath(path)).suffix[1:].lower(), Path(fspath(path)).read_bytes()
    try:
        if suffix in TEXTS:
            loaded = trimesh.load_mesh(BytesIO(_readable(content, suffix)), file_type=suffix, process=False)
        else:
            loaded = trimesh.load_mesh(fspath(path), process=False)
    except ImportError as error:
        raise FormatError(
            f"{fspath(path)}: got no library {error.name} to read .{suffix} files with, wanted it installed, or the "
            "mesh as STL, OBJ or PLY"
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"{fspath(path)}: not a mesh ({reason}); wanted STL, OBJ, PLY or the like") from None
    if not hasattr(loaded, "faces") or len(loaded.faces) == 0:
        raise FormatError(f"{fspath(path)}: got no triangles, wanted a surface (STL, OBJ, PLY or the like)")
    return _parts(loaded)


def _readable(content: bytes, suffix: str) -> bytes:
    """A file whose texts (names, comments) are UTF-8: other bytes in them are taken for Latin-1."""
    end = len(content)
    if suffix == "stl" and end >= 84 and end == 84 + 50 * int.from_bytes(content[80:84], "little"):
        end = 80  # a binary file: a header of fixed length, then numbers
        return content[:end].decode("ascii", "replace").replace("\ufffd", "?").encode() + content[end:]
    if suffix == "ply":
        end = content.find(b"end_header")
        if end < 0:
            return content
        if b"format ascii" in content[:end]:
            end = len(content)
    try:
        content[:end].decode("utf-8")
    except UnicodeDecodeError:
        return content[:end].decode("latin-1").encode() + content[end:]
    return content


def _parts(mesh: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a pair or of an object that has them, checked."""
    if hasattr(mesh, "vertices") and hasattr(mesh, "faces"):
        mesh = (mesh.vertices, mesh.faces)
    if not isinstance(mesh, tuple | list) or len(mesh) != 2:
        raise GeometryError(f"Scene.from_mesh mesh: got {type(mesh).__name__}, wanted a path or (vertices, faces)")
    vertices = real_array("Scene.from_mesh vertices", mesh[0], (None, 3), "units of the mesh")
    faces = np.array(mesh[1])
    check_shape("Scene.from_mesh faces", faces.shape, (None, 3))
    if faces.dtype.kind not in "iu" or faces.min() < 0 or faces.max() >= len(vertices):
        raise GeometryError(f"Scene.from_mesh faces: got other values, wanted vertex numbers below {len(vertices)}")
    return vertices, faces.astype(np.int64)


def _merged(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in the same place made one (STL files repeat them), triangles without an inside dropped."""
    size = np.ptp(vertices, axis=0).max()
    if not size > 0:
        raise GeometryError("Scene.from_mesh: got a mesh of one point, wanted a surface")
    _, first, number = np.unique(np.round(vertices / (size * 1e-7)), axis=0, return_index=True, return_inverse=True)
    faces = number.reshape(-1)[faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    if len(faces) == 0:
        raise GeometryError("Scene.from_mesh: got triangles without area, wanted a surface; check the unit")
    return vertices[first], faces


def outward(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles turned so that neighbours agree and closed parts face out.

    Parameters
    ----------
    vertices : float64 array (n, 3)
        Each place once.
    faces : int64 array (m, 3)
        Corners.

    Returns
    -------
    (int64 array (m, 3), bool array (m,))
        The triangles, counter-clockwise seen from outside, and whether each belongs to a closed part.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m = len(faces)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    low, high = np.minimum(start, end), np.maximum(start, end)
    _, edge, count = np.unique(low * (len(vertices) + 1) + high, return_inverse=True, return_counts=True)
    edge = edge.reshape(-1)
    order = np.argsort(edge, kind="stable")
    order = order[count[edge[order]] == 2]
    one, two = order[0::2], order[1::2]
    clash = (start[one] < end[one]) == (start[two] < end[two])
    # every triangle twice, as it is and turned: what is joined then is one consistent side of a part
    here, there = one // 3, two // 3
    rows = np.concatenate([here, here + m])
    columns = np.concatenate([there + m * clash, there + m * ~clash])
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(2 * m, 2 * m))
    side = connected_components(graph, directed=False)[1]
    _, first, part = np.unique(np.minimum(side[:m], side[m:]), return_index=True, return_inverse=True)
    part = part.reshape(-1)
    flip = side[:m] != side[first][part]
    uneven = np.bincount(part, weights=(count[edge] % 2).reshape(m, 3).sum(axis=1))
    closed = (uneven == 0) & (side[:m][first] != side[m:][first])
    corner = vertices[faces]
    volume = np.einsum("mi,mi->m", corner[:, 0], np.cross(corner[:, 1], corner[:, 2]))
    inside_out = np.bincount(part, weights=np.where(flip, -volume, volume)) < 0
    flip ^= (closed & inside_out)[part]
    return np.where(flip[:, None], faces[:, ::-1], faces), closed[part]


def sample(corner: np.ndarray, spacing: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evenly spread points of triangles.

    Parameters
    ----------
    corner : float64 array (m, 3, 3)
        Corners [m], counter-clockwise from outside.
    spacing : float
        About the distance of neighbours [m]: a point for every square of it.
    seed : int
        Seed.

    Returns
    -------
    (float64 array (n, 3), float64 array (n, 3), float64 array (n,))
        Points [m], unit normals, and the area each stands for [m^2].

    Raises
    ------
    GeometryError
        No area, or too many points.
    """
    from scipy.spatial import cKDTree

    from mmsar.core.kernels_sampling import thin_out

    across = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    double = np.linalg.norm(across, axis=1)
    total = double.sum() / 2
    if not total > 0:
        raise GeometryError("Scene.from_mesh: got triangles without area, wanted a surface; check the unit")
    if total / spacing**2 > MAX_POINTS:
        raise GeometryError(
            f"Scene.from_mesh spacing: got {spacing:g} m on {total:.3g} m^2, wanted at most {MAX_POINTS:,} points; "
            "raise spacing, or check the unit of the mesh"
        )
    rng = np.random.default_rng(seed)
    n = max(64, int(np.ceil(_CANDIDATES * total / spacing**2)))
    upto = np.cumsum(double)
    face = np.minimum(np.searchsorted(upto, (np.arange(n) + rng.random(n)) / n * upto[-1]), len(corner) - 1)
    face = rng.permutation(face)
    root, u = np.sqrt(rng.random((n, 1))), rng.random((n, 1))
    a, b, c = np.moveaxis(corner[face], 1, 0)
    point = (1 - root) * a + root * (1 - u) * b + root * u * c
    normal = across[face] / double[face, None]
    kept = thin_out(point, normal, _APART * spacing)
    with_side = np.concatenate([point, spacing * normal], axis=1)
    nearest = cKDTree(with_side[kept]).query(with_side, workers=-1)[1]
    return point[kept], normal[kept], np.bincount(nearest, minlength=int(kept.sum())) * (total / n)
