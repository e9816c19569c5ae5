"""Scenes of a data set: objects and points at random in and off the slice, with phases, ghosts and clutter; labels.

Amplitudes are those of the physical label: an object of amplitude A shows A in it, be it a point, a smooth shape
(which adds up in phase) or a rough one (which adds up in power), because all go through one blob,

    physical(r) = sqrt( |sum_smooth a_i g_i|^2 + sum_rough |a_i g_i|^2 ),   g_i = exp(-|r - r_i|^2 / sigma^2)

the root of the mean power over the phases of rough surfaces. Scatterers off the slice count with the range response of
the bandwidth, |sinc(2 B dz / c)| out to its first zero, and not at all beyond.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.constants import C0
from mmsar.core.kernels_blobs import add_blobs
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.dataset_shapes import SHAPES, Inside
from mmsar.simulate.scene import Scene

TILT = np.deg2rad(4.0)
"""Largest tilt of a shape out of the slice, as a phase ramp."""
CLUTTER = (60e-3, 160e-3)
"""How far behind the slice clutter lies [m]."""
GHOST_DB = (-25.0, -6.0)
GHOST_SHIFT = 60e-3
"""Multipath copies: their level, and how far they are moved at most along x and y, and half of it in range [m]."""
CLOSE = (2e-3, 10e-3)
CLOSE_DB = 6.0
IN_PHASE = 0.5
"""Neighbours of points: how far away [m], how much weaker at most, and how many have the same phase, which is harder
to tell apart than any other."""
BLOB_REACH = 4.0
"""Blobs are summed out to this many sigma."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnScene:
    """What was drawn: scatterers of the echo, and what the labels take of them."""

    position: np.ndarray
    """Places, z relative to the slice [m], (n, 3)."""
    reflectivity: np.ndarray
    """Complex, (n,)."""
    rough: np.ndarray
    """Points of rough surfaces, bool (n,)."""
    real: np.ndarray
    """False for multipath copies, bool (n,)."""
    clutter: bool
    """Some object lies behind the slice's range cell."""

    def scene(self, depth: float) -> Scene | None:
        """The scatterers with the slice at z = `depth` [m]; None when there are none."""
        if not len(self.position):
            return None
        return Scene(
            position=self.position + np.array([0.0, 0.0, depth]), reflectivity=self.reflectivity, name="training"
        )

    def labels(self, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
        """(ideal, physical) labels, float32 (pixels, pixels), y upwards; zeros for a scene without scatterers."""
        cells = 2 * recipe.bandwidth * self.position[:, 2] / C0
        response = np.where(np.abs(cells) < 1, np.abs(np.sinc(cells)), 0.0) * self.real
        seen = response > 0
        place, a = self.position[seen, :2], (self.reflectivity * response)[seen]
        rough = self.rough[seen]
        within = np.abs(cells[seen]) < 0.5
        ideal = _blobs(place[within], np.ones(int(within.sum())), recipe)
        smooth = _blobs(place[~rough], a[~rough], recipe)
        power = _blobs(place[rough], np.abs(a[rough]) ** 2, recipe, power=2)
        physical = np.sqrt(np.abs(smooth) ** 2 + power)
        return np.clip(ideal, 0, 1), physical


def _blobs(place: np.ndarray, weight: np.ndarray, recipe: Recipe, *, power: int = 1) -> np.ndarray:
    """sum_i weight_i g_i^power on the pixels, in the weights' type of number, (pixels, pixels)."""
    parts = [weight.real, weight.imag] if np.iscomplexobj(weight) else [weight]
    n, width = recipe.pixels, recipe.blob / recipe.pixel
    order = np.argsort(place[:, 1], kind="stable")
    at = np.zeros((len(place), 3))  # y, nothing, x
    at[:, ::2] = place[order, ::-1] / recipe.pixel + (n - 1) / 2
    sizes = np.array([width, np.inf, width]) / np.sqrt(power)
    reach = np.array([BLOB_REACH * width, 1.0, BLOB_REACH * width])
    sums = np.zeros((len(parts), n, 1, n), dtype=np.float32)
    for part, out in zip(parts, sums, strict=True):
        add_blobs(at, np.ascontiguousarray(part[order], dtype=float), sizes, reach, out)
    return sums[0, :, 0] if len(parts) == 1 else sums[0, :, 0] + 1j * sums[1, :, 0]


def draw_scene(recipe: Recipe, family: str, rng: np.random.Generator) -> DrawnScene:
    """A scene of a family (see `dataset_shapes.SHAPES`), or, by chance, one of noise only."""
    if rng.random() < recipe.empty_share:
        return _joined([], clutter=False)
    flat = rng.random() < 0.5
    heights = [0.0] if flat else rng.uniform(-recipe.off_plane, recipe.off_plane, 2).tolist()
    maker = SHAPES[family]
    low, high = recipe.points
    n_points = int(rng.integers(low, high + 1)) if maker else int(rng.integers(1, max(4 * high, 1) + 1))
    parts = [_points(recipe, n_points, heights, rng)] if n_points else []
    if maker:
        low, high = recipe.objects
        n_objects = int(rng.integers(low, high + 1))
        parts += [_object(recipe, maker(rng), float(rng.choice(heights)), rng) for _ in range(n_objects)]
    strongest = max(float(np.max(part["level"])) for part in parts)
    for part in parts:
        part["a"] = part["a"] / strongest
    if rng.random() < recipe.ghost_share:
        parts += [ghost for part in list(parts) if (ghost := _ghost(recipe, part, rng)) is not None]
    clutter = bool(rng.random() < recipe.clutter_share)
    if clutter:
        shape = (maker or SHAPES[str(rng.choice([f for f in recipe.train if SHAPES[f]] or ["ellipses"]))])(rng)
        parts.append(_object(recipe, shape, float(rng.uniform(*CLUTTER)), rng))
    return _joined(parts, clutter=clutter)


def _level(recipe: Recipe, rng: np.random.Generator, n: int | None = None):
    return 10 ** (-recipe.amplitude_db * rng.random(n) / 20)


def _points(recipe: Recipe, n: int, heights: list[float], rng: np.random.Generator) -> dict:
    """Single points, alone or in a cluster."""
    spread = recipe.reach if rng.random() < 0.7 else rng.uniform(0.1, 0.5) * recipe.reach
    centre = rng.uniform(-1, 1, 2) * (recipe.reach - spread)
    level = _level(recipe, rng, n)
    part = {
        "place": np.c_[centre + rng.uniform(-spread, spread, (n, 2)), rng.choice(heights, n)],
        "a": level * np.exp(2j * np.pi * rng.random(n)),
        "level": level,
        "rough": False,
        "real": True,
    }
    return _with_neighbours(recipe, part, rng) if recipe.close_share and rng.random() < recipe.close_share else part


def _with_neighbours(recipe: Recipe, part: dict, rng: np.random.Generator) -> dict:
    """Points and as many more, each close to one of them."""
    n = len(part["place"])
    away, angle = np.exp(rng.uniform(*np.log(CLOSE), n)), 2 * np.pi * rng.random(n)
    phase = 2 * np.pi * rng.random(n) * (rng.random(n) >= IN_PHASE)
    factor = 10 ** (-CLOSE_DB * rng.random(n) / 20)
    offset = np.c_[away * np.cos(angle), away * np.sin(angle), np.zeros(n)]
    offset[np.abs(part["place"] + offset)[:, :2].max(axis=1) > recipe.reach] *= -1
    place = part["place"] + offset
    place[:, :2] = np.clip(place[:, :2], -recipe.reach, recipe.reach)
    return {
        **part,
        "place": np.concatenate([part["place"], place]),
        "a": np.concatenate([part["a"], part["a"] * factor * np.exp(1j * phase)]),
        "level": np.concatenate([part["level"], part["level"] * factor]),
    }


def _object(recipe: Recipe, inside: Inside, height: float, rng: np.random.Generator) -> dict:
    """A shape of points on a turned lattice, somewhere in the slice."""
    half = float(np.exp(rng.uniform(*np.log(recipe.object_size))))
    n = int(np.ceil(1.5 * half / recipe.spacing)) + 1
    line = np.arange(-n, n + 1) * recipe.spacing
    x, y = (v.ravel() for v in np.meshgrid(line + rng.random() * recipe.spacing, line))
    keep = inside(x / half, y / half) & (np.hypot(x, y) <= half)
    if not keep.any():  # too small for its lattice: its middle
        keep[np.argmin(np.hypot(x, y))] = True
    local = np.stack([x[keep], y[keep]], axis=1)
    turn = rng.uniform(0, 2 * np.pi)
    local = local @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    centre = rng.uniform(-1, 1, 2) * max(recipe.reach - half - recipe.spacing, 0.0)
    rough, level = bool(rng.random() < recipe.rough_share), float(_level(recipe, rng))
    # height of the blob on the lattice: sum of g for a smooth surface, root of the sum of g^2 for a rough one
    gain = np.pi * recipe.blob**2 / recipe.spacing**2
    ramp = 4 * np.pi * recipe.start / C0 * np.sin(rng.uniform(-TILT, TILT, 2)) * (rng.random() < 0.5)
    phase = 2 * np.pi * rng.random() + local @ ramp
    if rough:
        gain, phase = np.sqrt(gain / 2), 2 * np.pi * rng.random(len(local))
    return {
        "place": np.c_[centre + local, np.full(len(local), height)],
        "a": level / gain * np.exp(1j * phase),
        "level": level,
        "rough": rough,
        "real": True,
    }


def _ghost(recipe: Recipe, part: dict, rng: np.random.Generator) -> dict | None:
    """A weaker copy to the side and behind, as a second path makes it; None when it falls outside."""
    shift = rng.uniform(-1, 1, 3) * GHOST_SHIFT
    shift[2] = rng.choice([0.0, abs(shift[2]) / 2])
    place = part["place"] + shift
    keep = np.abs(place[:, :2]).max(axis=1) <= recipe.reach
    factor = 10 ** (rng.uniform(*GHOST_DB) / 20) * np.exp(2j * np.pi * rng.random())
    if not keep.any():
        return None
    return {"place": place[keep], "a": part["a"][keep] * factor, "rough": part["rough"], "real": False}


def _joined(parts: list[dict], *, clutter: bool) -> DrawnScene:
    place = [part["place"] for part in parts]
    sizes = [len(p) for p in place]
    flags = {name: np.repeat(np.array([p[name] for p in parts], dtype=bool), sizes) for name in ("rough", "real")}
    return DrawnScene(
        position=np.concatenate([np.empty((0, 3)), *place]),
        reflectivity=np.concatenate([np.empty(0, complex), *(p["a"] for p in parts)]),
        clutter=clutter,
        **flags,
    )
