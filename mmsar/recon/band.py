"""The band of wavenumbers that scene and aperture can exchange, plane by plane, with soft edges.

A voxel x and a phase centre x_l at distance R see each other by the plane wave k_x = K (x_l - x) / R (K = 2k), so the
offsets between grid and aperture bound k_x / K. An integral over k_x that stops at its stationary point is half of
what it should be; one Fresnel zone beyond, with a soft edge, it is a few per cent off. In direction cosine a zone is
sqrt(lambda / 2R) z / R wide. With many zones across the band only few pairs of voxel and sample are at its edge; with
few zones (a line array, a zoom into one target) all are, and the band is padded.
"""

from functools import cached_property

import numpy as np

from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid

EDGE = 1.2
"""Width of the band's soft edge in Fresnel zones."""
FEW_ZONES = 8.0
"""Fresnel zones across the band below which it is padded."""
GENTLE = 0.05
"""Padding sets in over about such a share of them, without a bend of the band's edges along z."""
PAD = 2.5
"""Zones of padding, to either side, when scene and aperture are single points."""
KAISER = 9.0
"""Of the Kaiser window whose integral the soft edge is: few wavenumbers, so that few heights tell of all."""
SPILL = 0.5
"""Zones that diffraction at a padded band's edge reaches beyond it, to be kept from wrapping around."""
PADDED_SINE = 0.9
"""Largest sine of the angle to z that padding reaches: waves along the aperture do not fade with distance."""
STEEPEST = 0.995
"""Largest sine of the angle to z that is imaged at all."""


class Band:
    """Limits of the direction cosines along x and y for every plane of a grid.

    Parameters
    ----------
    virtual : (n, 3) array
        Phase centres [m].
    grid : ImageGrid
        The image.
    k : (m,) array
        Wavenumbers [rad/m].
    line : int, optional
        Axis (0 x, 1 y) that all phase centres and all voxels have one coordinate on: no waves travel along it, and
        what counts as distance in z is that from the line.

    Raises
    ------
    GeometryError
        When part of the image lies behind or in the aperture.
    """

    def __init__(self, virtual: np.ndarray, grid: ImageGrid, k: np.ndarray, line: int | None = None) -> None:
        low, high = virtual.min(axis=0), virtual.max(axis=0)
        k = np.asarray(k, dtype=float)
        wavelength = 2 * np.pi / float(k.max())
        near = grid.z - high[2]
        if near[0] < wavelength:
            raise GeometryError(
                f"image grid: starts at z = {grid.extent[2][0]:.4g} m, wanted beyond the aperture at "
                f"z = {high[2]:.4g} m by at least a wavelength; move the grid or use method bpa"
            )
        self._spread = float(k.max() / k.mean() - 1) + 1e-9
        self._z, self._ends_z, self._k, self._line = grid.z, (high[2], low[2]), float(k.min()), line
        self.offsets = [(float(low[a] - grid.extent[a][1]), float(high[a] - grid.extent[a][0])) for a in (0, 1)]
        """Least and largest x_l - x and y_l - y [m]."""
        self._aside = 0.0 if line is None else self.offsets[line][0]
        if line is not None:
            self.offsets[line] = (0.0, 0.0)
        near, self._depth = self._distances(grid.z)
        self._ends, self._few = self._at(grid.z)
        self.limits = self._kernel_limits(near)
        """Low and high cosine along x, along y, largest sine of the angle to z, and the width of the soft edge, (6,):
        what holds the bands of all planes."""

    def _distances(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of planes at z from the nearest and the farthest phase centre, (n,) each."""
        near, depth = (np.hypot(self._aside, z - end) if self._line is not None else z - end for end in self._ends_z)
        return near, depth

    def _at(self, z: np.ndarray) -> tuple[list[list[tuple[np.ndarray, np.ndarray]]], list[np.ndarray]]:
        """Limits and widths of the edges, low and high for x and y, at every z (n,), and how few zones there are."""
        near, depth = self._distances(z)
        all_ends, all_few = [], []
        for axis, (ends, other) in enumerate(zip(self.offsets, self.offsets[::-1], strict=True)):
            cosine, zone = [], []
            for end, sign in zip(ends, (-1, 1), strict=True):
                # the outer end is steepest where the rest of the path is shortest, an inner end (both ends on one
                # side) where it is longest
                rest = _nearest(other, near) if sign * end > 0 else np.hypot(max(map(abs, other)), depth)
                cosine.append(end / np.hypot(end, rest))
                zone.append(_zone(end, near, self._k))
            lacking = 1.0 - (cosine[1] - cosine[0]) / (np.mean(zone, axis=0) * FEW_ZONES)
            few = GENTLE * np.logaddexp(0.0, lacking / GENTLE)
            few *= axis != self._line
            pads = [PAD * few * width for width in zone]
            all_ends.append([(cosine[0] - pads[0], EDGE * zone[0]), (cosine[1] + pads[1], EDGE * zone[1])])
            all_few.append(few)
        return all_ends, all_few

    def _kernel_limits(self, near: np.ndarray) -> np.ndarray:
        out, guard = [], 0.0
        for ends in self._ends:
            for sign, (limit, edge) in zip((-1, 1), ends, strict=True):
                out.append(sign * float(np.max(sign * limit)))
                guard = max(guard, float(np.max(sign * limit + edge) - np.max(sign * limit)), float(edge[0]))
        corner = np.hypot(*(max(abs(a), abs(b)) for a, b in self.offsets))
        corner /= np.hypot(corner, near[0])
        pad = np.hypot(*(np.max(PAD * few * ends[0][1]) for few, ends in zip(self._few, self._ends, strict=True)))
        return np.array([*out, max(corner, min(corner + pad, PADDED_SINE - guard)), guard])

    def reach(self, axis: int) -> float:
        """How far to the side the band's waves go from the aperture to any plane [m]."""
        top, other = self._top(axis), self._top(1 - axis)
        steepest2 = min(self.limits[4] + self.limits[5], STEEPEST) ** 2
        sine2 = np.clip(top**2 + self._few[axis] * other**2, 0, steepest2)
        straight = _nearest(self.offsets[1 - axis], self._depth) * top / np.sqrt(1 - np.minimum(top**2, steepest2))
        return float(np.max(np.maximum(straight, self._depth * top / np.sqrt(1 - sine2))))

    def _top(self, axis: int) -> np.ndarray:
        (low, low_edge), (high, high_edge) = self._ends[axis]
        spill = SPILL * self._few[axis]
        return np.minimum(np.maximum((1 + spill) * low_edge - low, high + (1 + spill) * high_edge), STEEPEST)

    def modes(self, axis: int, k2: np.ndarray, dk: float) -> tuple[int, int]:
        """First and last mode n of k_x = n dk that any plane needs at any of the wavenumbers `k2` [rad/m]."""
        low, high = self.limits[2 * axis : 2 * axis + 2]
        guard = self.limits[5]
        first, last = np.min(k2 * max(low - guard, -1.0)), np.max(k2 * min(high + guard, 1.0))
        return int(np.floor(first / dk)), int(np.ceil(last / dk))

    @cached_property
    def pace(self) -> float:
        """How fast the soft edges move and grow along z, in their own widths [1/m]."""
        sides = [side for ends in self._ends for side in ends]
        moved = [(np.abs(np.diff(limit)) + np.abs(np.diff(edge))) / edge[1:] for limit, edge in sides]
        return float(np.max(moved, initial=0.0) / np.diff(self._z[:2]).sum()) if len(self._z) > 1 else 0.0

    def mask(self, axis: int, u: np.ndarray, z: np.ndarray | None = None) -> np.ndarray:
        """Weights of the direction cosines `u` (n,) at the mean wavenumber for every plane, float32 (n_z, n).

        z: planes that are not the grid's [m], between them or a little beyond (n_z,).
        """
        ends = self._ends[axis] if z is None else self._at(z)[0][axis]
        beyond = np.zeros((len(ends[0][0]), len(u)))
        for sign, (limit, edge), (_, width) in zip((-1, 1), ends, self._ends[axis], strict=True):
            edge = np.maximum(edge, width.min() / 4)
            outward = sign * limit
            outward = np.where(outward > 0, outward * (1 + self._spread), 1.0)
            np.maximum(beyond, (sign * u - outward[:, None]) / edge[:, None], out=beyond)
        return _soft(beyond).astype(np.float32)


def _soft(t: np.ndarray) -> np.ndarray:
    """From 1 at t = 0 to 0 at t = 1 and beyond."""
    window = np.kaiser(2049, KAISER)
    total = np.append(0, np.cumsum(window[1:] + window[:-1]))
    return 1 - np.interp(t, np.linspace(0, 1, total.size), total / total[-1])


def _nearest(ends: tuple[float, float], z: np.ndarray) -> np.ndarray:
    """Shortest distance in the plane of z and one axis, over offsets between `ends` [m]."""
    return np.hypot(max(ends[0], -ends[1], 0.0), z)


def _zone(offset: float, z: np.ndarray, k: float) -> np.ndarray:
    """Fresnel zone in direction cosine for voxels at distances z, seen at a lateral offset [m]."""
    distance = np.hypot(offset, z)
    return np.sqrt(np.pi / (k * distance)) * z / distance
