"""Rotations as unit quaternions (x, y, z, w), and where a board stands that goes round the y axis."""

import numpy as np


def matrices(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) of unit quaternions (n, 4)."""
    x, y, z, w = q.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def slerp(q0: np.ndarray, q1: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Spherical-linear interpolation (n, 4), the short way round; u may lie a little outside [0, 1]."""
    cosine = np.sum(q0 * q1, axis=1)
    q1 = np.where(cosine[:, None] < 0, -q1, q1)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    small = angle < 1e-8
    sine = np.where(small, 1.0, np.sin(angle))
    a = np.where(small, 1 - u, np.sin((1 - u) * angle) / sine)
    b = np.where(small, u, np.sin(u * angle) / sine)
    q = a[:, None] * q0 + b[:, None] * q1
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def from_rotation_vectors(vector: np.ndarray) -> np.ndarray:
    """Unit quaternions (n, 4) of rotation vectors (n, 3) [rad]."""
    angle = np.linalg.norm(vector, axis=1, keepdims=True)
    return np.concatenate([vector * 0.5 * np.sinc(angle / (2 * np.pi)), np.cos(angle / 2)], axis=1)


def poses_round_y(angle: np.ndarray, height: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 3) [m] and rotations (n, 4) of a board at (R cos a, y, R sin a), upright and looking at the axis.

    Parameters
    ----------
    angle : ndarray
        a [rad], (n,); at -pi/2 the board looks along +z and is not turned.
    height : ndarray
        y [m], (n,).
    radius : float
        R [m].
    """
    position = np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], axis=1)
    half = np.arctan2(-np.cos(angle), -np.sin(angle)) / 2
    return position, np.stack([0 * half, np.sin(half), 0 * half, np.cos(half)], axis=1)
