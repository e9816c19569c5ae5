"""Scans along a line, imaged into a plane or a line: phase centres that lie close to one line are put on it.

Where the image has one voxel along an axis (x, say), a phase centre off the line x = x0 by d sees a voxel at

    R = sqrt((x - x0 - d)^2 + r^2) = R_0 - d (x - x0) / R_0 + d^2 / 2 R_0 + ...

so that small d (MIMO arrays with an element to the side, a hand that wanders) is a path difference to be taken out at
the scene's centre, as with every other one (`signal.multistatic`). What remains is small when the voxels are straight
before the line. Then the axis has nothing to be transformed, and `Migration` leaves it out.
"""

import numpy as np

from mmsar.model.grid import ImageGrid

LARGEST_PHASE = 0.02
"""RMS phase over voxels and samples that may remain [rad]: an error of -34 dB."""
SAMPLES = 500
"""Phase centres that are looked at."""


def onto_line(virtual: np.ndarray, path: np.ndarray, grid: ImageGrid, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Phase centres moved onto a line along the axis the image has, and the path difference to them.

    Parameters
    ----------
    virtual : (n, 3) array
        Phase centres [m].
    path : (n_pose, n_tx, n_rx) array
        Path difference to be taken out of every channel, for those phase centres [m].
    grid : ImageGrid
        The image.
    k : (m,) array
        Wavenumbers [rad/m].

    Returns
    -------
    virtual, path
        As given where the grid has no axis with one voxel, or the phase centres are too far from a line for it.
    """
    picked = virtual[np.unique(np.linspace(0, len(virtual) - 1, SAMPLES).astype(int))]
    best, smallest = None, LARGEST_PHASE
    for axis in (0, 1):
        if grid.shape[2 - axis] > 1:
            continue
        place = float(virtual[:, axis].mean())
        phase = 2 * float(np.max(k)) * float(np.sqrt(np.mean(_remaining(picked, axis, place, grid) ** 2)))
        if phase < smallest:
            best, smallest = (axis, place), phase
    if best is None:
        return virtual, path
    moved = _moved(virtual, *best)
    return moved, path + (2 * _nearer(np.array(grid.centre), virtual, moved)).reshape(path.shape)


def _moved(virtual: np.ndarray, axis: int, place: float) -> np.ndarray:
    out = virtual.copy()
    out[:, axis] = place
    return out


def _nearer(point: np.ndarray, virtual: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """By how much the moved phase centres are nearer to a point [m], (n,)."""
    return np.linalg.norm(point - virtual, axis=1) - np.linalg.norm(point - moved, axis=1)


def _remaining(virtual: np.ndarray, axis: int, place: float, grid: ImageGrid) -> np.ndarray:
    """Path difference that is left at corners and middles of the grid when that at its centre is out [m], (27, n)."""
    moved, centre = _moved(virtual, axis, place), np.array(grid.centre)
    corners = np.stack(np.meshgrid(*[(low, (low + high) / 2, high) for low, high in grid.extent]), axis=-1)
    out = _nearer(centre, virtual, moved)
    return np.array([_nearer(point, virtual, moved) - out for point in corners.reshape(-1, 3)])
