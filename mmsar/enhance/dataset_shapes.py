"""Families of flat shapes: each draws one shape as a question, is (x, y) inside? The unit is half of the shape's size.

Families of `TRAINED` and `HELD_OUT` share no maker, so that a network can be tested on shapes it never saw. "points" is
a family without shapes: scenes of it hold points only.
"""

from collections.abc import Callable

import numpy as np

from mmsar.simulate.outlines import TOOLS, inside_polygon, tool_mask
from mmsar.simulate.phantoms import FONT, letter_mask, siemens_mask, usaf_mask

Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""x, y (n,), shape within the circle of radius 1 -> bool (n,)."""

_LETTERS = sorted(c for c in FONT if c.isalpha())


def _hollow(outer: Inside, rng: np.random.Generator, share: float = 0.5) -> Inside:
    """The shape, or with a probability of `share` its rim."""
    if rng.random() >= share:
        return outer
    inner = rng.uniform(0.55, 0.85)
    return lambda x, y: outer(x, y) & ~outer(x / inner, y / inner)


def _mask(mask: np.ndarray) -> Inside:
    """A picture, first row at the top, that fills the unit circle with its corners."""
    n_y, n_x = mask.shape
    half = np.hypot(n_x, n_y) / 2

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        column, row = np.floor(x * half + n_x / 2).astype(int), np.floor(n_y / 2 - y * half).astype(int)
        there = (column >= 0) & (column < n_x) & (row >= 0) & (row < n_y)
        return there & mask[np.clip(row, 0, n_y - 1), np.clip(column, 0, n_x - 1)]

    return inside


def polygons(rng: np.random.Generator) -> Inside:
    """Three to eight corners round a centre, convex or not, solid or hollow."""
    n = int(rng.integers(3, 9))
    angle = 2 * np.pi * (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n
    radius = rng.uniform(rng.choice([0.35, 0.9]), 1.0, n)
    corners = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _hollow(lambda x, y: inside_polygon(corners, x, y), rng)


def ellipses(rng: np.random.Generator) -> Inside:
    """Ellipses, rings, and halves of them."""
    ratio = rng.uniform(0.3, 1.0)
    whole = _hollow(lambda x, y: x**2 + (y / ratio) ** 2 <= 1, rng)
    cut = rng.uniform(-0.5, 0.5) if rng.random() < 0.3 else 2.0
    return lambda x, y: whole(x, y) & (x <= cut)


def letters(rng: np.random.Generator) -> Inside:
    """One to four capital letters."""
    return _mask(letter_mask("".join(rng.choice(_LETTERS, int(rng.integers(1, 5))))))


def frames(rng: np.random.Generator) -> Inside:
    """Crosses, L and T pieces, and gratings of bars, with bars of one width."""
    width, kind = rng.uniform(0.12, 0.3), int(rng.integers(3))
    if kind == 0:
        at = rng.uniform(-0.6, 0.6)
        return lambda x, y: (
            ((np.abs(y) <= width) & (np.abs(x) <= 0.9)) | ((np.abs(x - at) <= width) & (np.abs(y) <= 0.7))
        )
    if kind == 1:
        return lambda x, y: (
            (np.maximum(np.abs(x), np.abs(y)) <= 0.7) & ((x <= 2 * width - 0.7) | (y <= 2 * width - 0.7))
        )
    period = 2 * width
    return lambda x, y: (np.maximum(np.abs(x), np.abs(y)) <= 0.7) & (np.mod(x, period) <= width)


def tools(rng: np.random.Generator) -> Inside:
    """Knives, wrenches, scissors, and hammers and keys of any proportions."""
    kind = str(rng.choice([*TOOLS, "hammer", "key"]))
    if kind in TOOLS:
        return _mask(tool_mask(kind, 240))
    handle, head = rng.uniform(0.07, 0.14), rng.uniform(0.22, 0.34)

    def grip(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (np.abs(y) <= handle) & (np.abs(x) <= 0.9)

    def hammer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        claw = (np.abs(x - 0.7) <= 0.2 - 0.15 * np.clip(-y / 0.6, 0, 1)) & (np.abs(y) <= 0.6)
        return grip(x, y) & (x <= 0.7) | claw

    def key(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        bow = (np.hypot(x + 0.6, y) <= head) & (np.hypot(x + 0.6, y) >= 0.5 * head)
        bit = (x >= 0.5) & (x <= 0.9) & (y <= 0) & (y >= -0.35) & (np.mod(x - 0.5, 0.16) <= 0.09)
        return bow | bit | (grip(x, y) & (x >= head - 0.6))

    return hammer if kind == "hammer" else key


def stars(rng: np.random.Generator) -> Inside:
    """Siemens stars of 5 to 14 spokes."""
    return _mask(np.pad(siemens_mask(160, int(rng.integers(5, 15))), 34))


def bars(rng: np.random.Generator) -> Inside:
    """Resolution bars of two or three widths."""
    return _mask(usaf_mask(sorted(rng.choice(np.arange(2, 8), int(rng.integers(2, 4)), replace=False))[::-1]))


def gears(rng: np.random.Generator) -> Inside:
    """Toothed wheels with a bore."""
    teeth, depth, bore = int(rng.integers(6, 16)), rng.uniform(0.12, 0.25), rng.uniform(0.2, 0.6)

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        radius = np.hypot(x, y)
        top = np.sin(teeth * np.arctan2(y, x)) > 0
        return (radius <= np.where(top, 1.0, 1.0 - depth)) & (radius >= bore)

    return inside


SHAPES: dict[str, Callable[[np.random.Generator], Inside] | None] = {
    "points": None,
    "polygons": polygons,
    "ellipses": ellipses,
    "letters": letters,
    "frames": frames,
    "tools": tools,
    "stars": stars,
    "bars": bars,
    "gears": gears,
}
"""Every family by name."""

TRAINED = ("points", "polygons", "ellipses", "letters", "frames")
HELD_OUT = ("tools", "stars", "bars", "gears")
"""The families of training and of the test, unless a recipe says otherwise."""
