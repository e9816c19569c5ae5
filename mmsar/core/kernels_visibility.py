"""What a viewpoint sees of a cloud of points behind and among triangles: a depth buffer in perspective.

A pixel's ray is d = (a, b, 1) in the frame of the view; a triangle with corners p, q, r, before or behind the eye, is
met where d lies inside all three planes through the viewpoint and an edge, d . (p x q) / det, d . (q x r) / det and
d . (r x p) / det >= 0, det = p . (q x r), at a depth of one over their sum. No triangle needs clipping that way (Olano
and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997). A point is hidden when it lies behind the
depths of all four pixel centres around it, so that slanted surfaces do not hide themselves: over a plane the inverse
depth is linear, and the farthest of four corners is never nearer than what lies between.
"""

import math

import numpy as np
from numba import njit, prange

PIXELS = 256
"""Pixels along each side of a depth buffer."""
WIDE = math.tan(math.radians(60.0))
"""Up to this tangent of the angle from the middle of the scene one view holds all; otherwise a cube of six does."""


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def seen_points(viewpoints, points, triangles, tolerance, out):
    """Write which points each viewpoint sees, one bit a point.

    Parameters
    ----------
    viewpoints : float64 (n_view, 3)
        Where from [m].
    points : float64 (n_point, 3)
        What is looked for [m].
    triangles : float64 (n_triangle, 3, 3)
        Corners of what is opaque, from both sides [m].
    tolerance : float
        A point this many pixels (of its depth) behind a triangle still counts as on it.
    out : uint8 (n_view, ceil(n_point / 8))
        Overwritten: bit i & 7 of byte i >> 3, the lowest first.
    """
    for v in prange(len(viewpoints)):
        out[v] = 0
        depth = np.empty((PIXELS, PIXELS), np.float32)
        frame = _frame(viewpoints[v], points)
        window = _window(viewpoints[v], points, frame)
        faces = 1 if window[1] > window[0] else 6
        for face in range(faces):
            if faces == 6:
                frame = _cube_face(face)
                window = (-1.0, 1.0, -1.0, 1.0)
            _draw(viewpoints[v], triangles, frame, window, depth)
            _compare(viewpoints[v], points, frame, window, faces == 6, depth, tolerance, out[v])


@njit(error_model="numpy")
def _frame(eye, points):
    """Rows right, up and forward of a view towards the middle of the points' bounding box."""
    frame = np.zeros((3, 3))
    size = 0.0
    for k in range(3):
        frame[2, k] = (points[:, k].min() + points[:, k].max()) / 2 - eye[k]
        size += frame[2, k] ** 2
    if size == 0:
        frame[2, 2], size = 1.0, 1.0
    frame[2] /= math.sqrt(size)
    least = 0
    for k in range(1, 3):
        if abs(frame[2, k]) < abs(frame[2, least]):
            least = k
    frame[1, least] = 1.0
    frame[0] = np.cross(frame[1], frame[2])
    frame[0] /= math.sqrt((frame[0] ** 2).sum())
    frame[1] = np.cross(frame[2], frame[0])
    return frame


@njit(error_model="numpy")
def _cube_face(face):
    """Rows right, up and forward of one of six views, along +-x, +-y and +-z."""
    frame = np.zeros((3, 3))
    axis, sign = face >> 1, 1.0 - 2.0 * (face & 1)
    frame[2, axis] = sign
    frame[0, (axis + 1) % 3] = sign
    frame[1, (axis + 2) % 3] = 1.0
    return frame


@njit(error_model="numpy")
def _seen_from(eye, frame, place):
    """A place in the frame of the view: right, up and depth."""
    x, y, z = place[0] - eye[0], place[1] - eye[1], place[2] - eye[2]
    return (
        frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z,
        frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z,
        frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z,
    )


@njit(error_model="numpy")
def _window(eye, points, frame):
    """Limits (a0, a1, b0, b1) of all points on the image plane at depth 1, with a margin; a1 <= a0: too wide."""
    a0, a1, b0, b1 = math.inf, -math.inf, math.inf, -math.inf
    for i in range(len(points)):
        x, y, z = _seen_from(eye, frame, points[i])
        if z <= 0 or abs(x) > WIDE * z or abs(y) > WIDE * z:
            return 0.0, 0.0, 0.0, 0.0
        a0, a1 = min(a0, x / z), max(a1, x / z)
        b0, b1 = min(b0, y / z), max(b1, y / z)
    margin = 0.005 * max(a1 - a0, b1 - b0) + 1e-6
    return a0 - margin, a1 + margin, b0 - margin, b1 + margin


@njit(error_model="numpy")
def _draw(eye, triangles, frame, window, depth):
    """Fill the buffer with the depth of the nearest triangle at every pixel centre, infinite where there is none."""
    depth[:] = np.inf
    a0, b0 = window[0], window[2]
    da, db = (window[1] - a0) / PIXELS, (window[3] - b0) / PIXELS
    corner, edge = np.empty((3, 3)), np.empty((3, 3))
    for t in range(len(triangles)):
        low_a, high_a, low_b, high_b = math.inf, -math.inf, math.inf, -math.inf
        behind = 0
        for k in range(3):
            corner[k, 0], corner[k, 1], corner[k, 2] = _seen_from(eye, frame, triangles[t, k])
            if corner[k, 2] <= 1e-9:
                behind += 1
                continue
            a, b = corner[k, 0] / corner[k, 2], corner[k, 1] / corner[k, 2]
            low_a, high_a = min(low_a, a), max(high_a, a)
            low_b, high_b = min(low_b, b), max(high_b, b)
        if behind == 3:
            continue
        if behind:
            low_a, high_a, low_b, high_b = window
        first, last = _span(low_a, high_a, a0, da)
        bottom, top = _span(low_b, high_b, b0, db)
        if first >= last or bottom >= top:
            continue
        for k in range(3):
            after = (k + 1) % 3
            for m in range(3):
                u, v = (m + 1) % 3, (m + 2) % 3
                edge[k, m] = corner[k, u] * corner[after, v] - corner[k, v] * corner[after, u]
        det = corner[0, 0] * edge[1, 0] + corner[0, 1] * edge[1, 1] + corner[0, 2] * edge[1, 2]
        if det == 0:
            continue
        edge *= 1.0 / det
        for j in range(bottom, top):
            b = b0 + (j + 0.5) * db
            for i in range(first, last):
                a = a0 + (i + 0.5) * da
                p = edge[0, 0] * a + edge[0, 1] * b + edge[0, 2]
                q = edge[1, 0] * a + edge[1, 1] * b + edge[1, 2]
                r = edge[2, 0] * a + edge[2, 1] * b + edge[2, 2]
                if p >= 0 and q >= 0 and r >= 0 and (p + q + r) * depth[j, i] > 1:
                    depth[j, i] = 1 / (p + q + r)


@njit(error_model="numpy")
def _span(low, high, start, step):
    """First and one past the last pixel whose centre lies between `low` and `high`, within the buffer."""
    first = max(math.ceil(min((low - start) / step - 0.5, PIXELS + 1.0)), 0)
    last = min(math.floor(max((high - start) / step - 0.5, -2.0)) + 1, PIXELS)
    return first, last


@njit(error_model="numpy")
def _compare(eye, points, frame, window, partial, depth, tolerance, out):
    """Set the bits of the points that are not behind the four depths around them; `partial`: this view's only."""
    a0, b0 = window[0], window[2]
    da, db = (window[1] - a0) / PIXELS, (window[3] - b0) / PIXELS
    for n in range(len(points)):
        x, y, z = _seen_from(eye, frame, points[n])
        if partial and (z <= 0 or abs(x) > z or abs(y) > z):
            continue
        u, v = (x / z - a0) / da - 0.5, (y / z - b0) / db - 0.5
        i = min(max(math.floor(u), 0), PIXELS - 2)
        j = min(max(math.floor(v), 0), PIXELS - 2)
        far = max(depth[j, i], depth[j, i + 1], depth[j + 1, i], depth[j + 1, i + 1])
        if z - tolerance * max(da, db) * z <= far:
            out[n >> 3] |= np.uint8(1 << (n & 7))
