"""Where the brightest scatterers are: from coarse to fine in sub-aperture.

A sub-aperture of angle psi and height D shows a point as a spot of lambda / 2 psi across and lambda R / 2 D upwards,
wherever along the line of sight. Powers of many add to a coarse picture that hardly depends on millimetres of where
the antennas were. Then sub-apertures double and the search follows, at half the spacing in a small box around the
best of the level before, until one sub-aperture is left: no level can be off by a lobe of the next.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.kernels_subaperture import subaperture_power
from mmsar.focus.observation import MOVES, Observation

DETECT_WORK = 4e7
"""Channels times voxels of the first, coarse picture."""
FINEST = 1 / 32
"""Last spacing in wavelengths."""
SPAN = 2
"""Half width of the box of a level, in its spacings."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """Sub-apertures and the spacing they ask for."""

    order: np.ndarray
    """Channels, sub-aperture by sub-aperture, (n,)."""
    start: np.ndarray
    """Where each begins, (n_tiles + 1,)."""
    antennas: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Transmitters (3, n), receivers (3, n) and displacements (5, 3, n) in that order."""
    spacing: np.ndarray
    """Spacing along x, y, z [m], (3,)."""


def levels(seen: Observation, first: float, top: float) -> list[Level]:
    """Levels from spots of twice `first` [m] down to all channels at once; `top` is the largest spacing upwards [m]."""
    wavelength = 2 * np.pi / seen.k0
    radius = float(np.hypot(*((seen.tx + seen.rx) / 2)[:, [0, 2]].T).mean())
    span, rise = np.ptp(seen.angle), np.ptp(seen.height)
    found, spacing, finer = [], first, 1.0
    while True:
        psi, size = wavelength / (4 * spacing), wavelength * radius / (4 * spacing)
        whole = psi >= span and size >= rise
        tile_angle, tile_rise = min(psi, span), min(size, rise)
        up = min(wavelength * radius / (4 * tile_rise), top) if tile_rise > 0 else top
        finer = finer / 2 if found and size >= rise else 1.0
        found.append(_level(seen, tile_angle, tile_rise, (spacing, max(up * finer, spacing), spacing)))
        spacing /= 2
        if whole and spacing < FINEST * wavelength:
            return found


def _level(seen: Observation, tile_angle: float, tile_rise: float, spacing: tuple[float, float, float]) -> Level:
    a, h = seen.angle - seen.angle[0], seen.height - seen.height.min()
    column = np.minimum(a / tile_angle if tile_angle > 0 else 0 * a, 1e6).astype(int)
    row = np.minimum(h / tile_rise if tile_rise > 0 else 0 * h, 1e6).astype(int)
    for index, size, total in ((column, tile_angle, a.max()), (row, tile_rise, h.max())):
        if size >= total:
            index[:] = 0
    tile = column * (row.max() + 1) + row
    order = np.argsort(tile, kind="stable")
    start = np.flatnonzero(np.diff(tile[order], prepend=-1))
    antennas = tuple(np.ascontiguousarray(np.moveaxis(part[order], 0, -1)) for part in (seen.tx, seen.rx, seen.basis))
    return Level(order=order, start=np.append(start, len(order)), antennas=antennas, spacing=np.array(spacing))


class Search:
    """Search in one set of samples, (n, q) as `Observation.data`."""

    def __init__(self, seen: Observation, data: np.ndarray, steps: list[Level]) -> None:
        self.seen, self.steps = seen, steps
        self.profile, self.scale = seen.profiles(data)

    def power(self, level: Level, points: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """Power at `points` (n, 3) for displacements (n, 5) or (5,) [m]: (n,)."""
        moves = np.broadcast_to(moves, (len(points), len(MOVES)))
        active = np.any(moves != 0, axis=0)
        candidates = np.concatenate([points, moves[:, active]], axis=1)
        tx, rx, basis = level.antennas
        return subaperture_power(self.profile, self.scale, tx, rx, basis[active], level.order, level.start, candidates)

    def detect(self, extent: float, heights: tuple[float, float], count: int, moves: np.ndarray) -> np.ndarray:
        """Up to `count` brightest spots of the coarse picture for displacements (5,), brightest first: (n, 3) [m]."""
        level = self.steps[0]
        axes = [_axis(-extent, extent, level.spacing[0]), _axis(*heights, level.spacing[1])]
        grid = np.stack(np.meshgrid(axes[0], axes[1], axes[0], indexing="ij"), axis=-1)
        inside = np.hypot(grid[..., 0], grid[..., 2]) <= extent
        power = np.zeros(inside.shape)
        power[inside] = self.power(level, grid[inside], moves)
        found = []
        while len(found) < count and power.max() > 0:
            at = np.unravel_index(int(power.argmax()), power.shape)
            found.append(grid[at])
            power[tuple(slice(max(0, i - 1), i + 2) for i in at)] = 0
        return np.array(found).reshape(-1, 3)

    def follow(self, points: np.ndarray, moves: np.ndarray, *, flat: bool) -> tuple[np.ndarray, np.ndarray]:
        """Follow each of `points` (n, 3) to its best place with the antennas moved by `moves` (5,).

        Returns places (n, 3) and powers (n,) with all channels at once; `flat` keeps y.
        """
        places = points.copy()
        best = np.zeros(len(points))
        for level in self.steps:
            box = _box(level.spacing * (1, 0 if flat else 1, 1))
            around = (places[:, None] + box).reshape(-1, 3)
            power = self.power(level, around, moves).reshape(len(places), -1)
            at = power.argmax(axis=1)
            best = power[np.arange(len(places)), at]
            places = places + box[at]
        return places, best

    def follow_moves(
        self, pins: np.ndarray, moves: np.ndarray, free: list[int], limit: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Follow the displacements `free` (indices of `MOVES`) from `moves` (5,) to where `pins` (n, 3) are brightest.

        Returns the displacements (5,) and the powers of the pins with all channels at once, (n,).
        """
        moves = moves.copy()
        for number, level in enumerate(self.steps):
            spacing = np.zeros(len(MOVES))
            spacing[free] = np.minimum(level.spacing[[1 if MOVES[g] == "height" else 0 for g in free]], limit / SPAN)
            box = _box(spacing) if number else _box(spacing, int(np.ceil(limit / spacing[free].min())))
            tried = np.clip(moves + box, -limit, limit)
            tried = np.where(spacing > 0, tried, moves)
            power = np.array([self.power(level, np.tile(pin, (len(tried), 1)), tried) for pin in pins])
            at = int(power.sum(axis=0).argmax())
            moves = tried[at]
        return moves, power[:, at]


def _axis(low: float, high: float, step: float) -> np.ndarray:
    """Equally spaced numbers about the middle of low to high, at most half a step beyond it."""
    half = int(np.ceil((high - low) / 2 / step - 1e-9))
    return (low + high) / 2 + step * np.arange(-half, half + 1)


def _box(spacing: np.ndarray, half: int = SPAN) -> np.ndarray:
    """Offsets of -half to half spacings along the axes whose spacing is not 0: (n, len(spacing))."""
    sides = [s * np.arange(-half, half + 1) if s > 0 else np.zeros(1) for s in spacing]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(spacing))


def first_spacing(seen: Observation, extent: float, heights: tuple[float, float], top: float) -> float:
    """Spacing of the coarse picture that keeps it within `DETECT_WORK` [m]."""
    rise = heights[1] - heights[0]
    spacing = 0.25 * 2 * np.pi / seen.k0
    while len(seen) * np.pi * (extent / spacing) ** 2 * (1 + rise / min(max(spacing, 1e-9), top)) > DETECT_WORK:
        spacing *= 1.1
    return spacing
