"""A mannequin: ellipsoids and capsules blended into one closed surface, and the writer of STL files.

The figure is the zero level of a signed distance (about), the smooth least one of all parts, sampled on a lattice and
turned into triangles by surface nets: one vertex in every cell that the level passes through, at the mean of its
crossings with the cell's edges, and two triangles across every edge of the lattice that it crosses (S. F. F. Gibson,
"Constrained elastic surface nets", 1998).
"""

from os import PathLike

import numpy as np

_BLEND = 0.012
"""Distance over which parts run into each other [heights]."""

# Capsules: two ends x, y, z and two radii. Ellipsoids: centre and half axes. In heights, y from 0 (the soles) to 1;
# x > 0 only where a part has a mirror image. The figure faces -z.
_CAPSULES = (
    ((0.0, 0.815, 0.005), (0.0, 0.87, 0.0), 0.030, 0.028),
    ((0.0, 0.56, 0.0), (0.0, 0.76, 0.0), 0.068, 0.075),
    ((0.055, 0.765, 0.0), (0.105, 0.785, 0.0), 0.045, 0.036),
    ((0.118, 0.78, 0.0), (0.165, 0.62, 0.01), 0.030, 0.024),
    ((0.165, 0.62, 0.01), (0.200, 0.48, -0.025), 0.023, 0.016),
    ((0.055, 0.50, 0.0), (0.062, 0.28, 0.0), 0.055, 0.037),
    ((0.062, 0.28, 0.0), (0.066, 0.055, 0.01), 0.036, 0.022),
    ((0.066, 0.020, 0.02), (0.078, 0.018, -0.085), 0.022, 0.016),
)
_ELLIPSOIDS = (
    ((0.0, 0.930, -0.005), (0.045, 0.068, 0.055)),
    ((0.0, 0.715, -0.005), (0.105, 0.085, 0.068)),
    ((0.0, 0.525, 0.004), (0.098, 0.070, 0.070)),
    ((0.207, 0.440, -0.035), (0.015, 0.042, 0.024)),
)


def mannequin_mesh(cells: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """The figure as a closed mesh, 1 tall along y from 0, facing -z: vertices (n, 3) and triangles (m, 3), outwards.

    Parameters
    ----------
    cells : int
        Lattice cells to the height; 100 gives about 10,000 triangles.
    """
    step = 1.0 / cells
    low, high = np.array([-0.30, -0.05, -0.16]), np.array([0.30, 1.05, 0.13])
    axes = [a + step * np.arange(int(np.ceil((b - a) / step)) + 1) for a, b in zip(low, high, strict=True)]
    vertices, faces = surface_net(_distance(*np.meshgrid(*axes, indexing="ij")))
    vertices = low + step * vertices
    bottom, top = vertices[:, 1].min(), vertices[:, 1].max()
    return (vertices - (0.0, bottom, 0.0)) / (top - bottom), faces


def surface_net(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles around where a sampled function is negative; it must be positive all over the lattice's border.

    Parameters
    ----------
    level : float array (n_x, n_y, n_z)
        The function.

    Returns
    -------
    (float64 array (n, 3), int64 array (m, 3))
        Vertices in lattice steps; corners of triangles, counter-clockwise seen from outside.
    """
    inside = level < 0
    cells = np.array(level.shape) - 1
    total, count = np.zeros((*cells, 3)), np.zeros(cells)
    crossings = []
    for axis in range(3):
        first = inside[tuple(slice(None, -1) if k == axis else slice(None) for k in range(3))]
        second = inside[tuple(slice(1, None) if k == axis else slice(None) for k in range(3))]
        edge = np.argwhere(first != second)
        end = edge + np.eye(3, dtype=int)[axis]
        a, b = level[tuple(edge.T)], level[tuple(end.T)]
        place = edge.astype(float)
        place[:, axis] += a / (a - b)
        around = np.array(
            [
                edge - p * np.eye(3, dtype=int)[(axis + 1) % 3] - q * np.eye(3, dtype=int)[(axis + 2) % 3]
                for p, q in ((1, 1), (0, 1), (0, 0), (1, 0))
            ]
        )
        for cell in around:
            np.add.at(total, tuple(cell.T), place)
            np.add.at(count, tuple(cell.T), 1)
        crossings.append(np.where((a < 0)[None, :, None], around, around[::-1]))
    used = np.argwhere(count > 0)
    number = np.full(cells, -1)
    number[tuple(used.T)] = np.arange(len(used))
    quads = np.concatenate([number[tuple(np.moveaxis(c, -1, 0))].T for c in crossings])
    vertices = total[tuple(used.T)] / count[tuple(used.T)][:, None]
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def write_stl(path: str | PathLike[str], vertices: np.ndarray, faces: np.ndarray) -> None:
    """A binary STL file of triangles; `vertices` in the unit the file is to have (millimetres, mostly)."""
    corner = np.asarray(vertices, dtype=float)[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    record = np.zeros(len(faces), dtype=[("vectors", "<f4", (4, 3)), ("attributes", "<u2")])
    record["vectors"] = np.concatenate([normal[:, None], corner], axis=1)
    with open(path, "wb") as file:
        file.write(b"mmsar".ljust(80) + np.uint32(len(faces)).tobytes() + record.tobytes())


def _distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """About the distance to the figure's surface [heights], negative inside; mirrored in x."""
    parts = [_capsule(abs(x), y, z, *part) for part in _CAPSULES]
    parts += [_ellipsoid(abs(x), y, z, *part) for part in _ELLIPSOIDS]
    level = parts[0]
    for part in parts[1:]:
        h = np.maximum(_BLEND - np.abs(level - part), 0) / _BLEND
        level = np.minimum(level, part) - h * h * _BLEND / 4
    return level


def _capsule(x, y, z, start, end, r0, r1):
    along = np.subtract(end, start)
    offset = (x - start[0], y - start[1], z - start[2])
    t = np.clip(sum(o * a for o, a in zip(offset, along, strict=True)) / (along @ along), 0, 1)
    return np.sqrt(sum((o - t * a) ** 2 for o, a in zip(offset, along, strict=True))) - (r0 + t * (r1 - r0))


def _ellipsoid(x, y, z, centre, half):
    offset = [(v - c) / h for v, c, h in zip((x, y, z), centre, half, strict=True)]
    k0 = np.sqrt(sum(o * o for o in offset))
    k1 = np.sqrt(sum((o / h) ** 2 for o, h in zip(offset, half, strict=True)))
    return np.where(k1 > 0, k0 * (k0 - 1) / np.where(k1 > 0, k1, 1), -min(half))
