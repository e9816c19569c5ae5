"""Scenes from pictures: one unit point at every true pixel, in a plane of constant z; see the makers of `Scene`.

Pictures are as seen: the first row is at the top (largest y), columns run towards +x.
"""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, positive_int, real_array
from mmsar.errors import GeometryError
from mmsar.simulate.phantoms import letter_mask, siemens_mask, usaf_mask
from mmsar.simulate.png import read_png
from mmsar.simulate.scene import Scene

MAX_PIXELS = 10_000_000


def mask_scene(mask: Any, pixel: float, *, centre: Any) -> Scene:
    """See `Scene.from_mask`."""
    mask = np.asarray(mask, dtype=bool)
    check_shape("Scene.from_mask mask", mask.shape, (None, None))
    pixel = finite_number("Scene.from_mask pixel", pixel, "m", above=0.0)
    row, column = np.nonzero(mask)
    if row.size == 0:
        raise GeometryError("Scene.from_mask: got a mask without a true pixel, wanted some; check the threshold")
    x = (column - (mask.shape[1] - 1) / 2) * pixel
    y = ((mask.shape[0] - 1) / 2 - row) * pixel
    return Scene(position=np.stack([x, y, 0 * x], axis=1) + place(centre), name="mask")


def png_scene(path: str | PathLike[str], pixel: float, *, threshold: float, invert: bool, centre: Any) -> Scene:
    """See `Scene.from_png`."""
    brightness, opacity = read_png(path)
    mask = (brightness < threshold) & (opacity >= 0.5) if invert else brightness * opacity > threshold
    return replace(mask_scene(mask, pixel, centre=centre), name="png")


def letters_scene(text: str, height: float, *, pixel: float, centre: Any) -> Scene:
    """See `Scene.letters`."""
    mask, pixel = text_mask("Scene.letters", text, height, pixel)
    return replace(mask_scene(mask, pixel, centre=centre), name=f"letters {text}")


def usaf_scene(widths: Sequence[float], *, pixel: float, centre: Any) -> Scene:
    """See `Scene.usaf`."""
    widths = real_array("Scene.usaf widths", widths, (None,), "m")
    pixel = finite_number("Scene.usaf pixel", pixel, "m", above=0.0)
    if widths.min() < pixel:
        raise GeometryError(
            f"Scene.usaf widths: got {widths.min():g} m, wanted at least one pixel ({pixel:g} m); lower pixel"
        )
    counts = [round(w / pixel) for w in widths]
    check_pixels("Scene.usaf", 12.0 * max(counts) * 7.0 * sum(counts))
    return replace(mask_scene(usaf_mask(counts), pixel, centre=centre), name="usaf bars")


def siemens_scene(radius: float, spokes: int, *, pixel: float, centre: Any) -> Scene:
    """See `Scene.siemens`."""
    radius = finite_number("Scene.siemens radius", radius, "m", above=0.0)
    pixel = finite_number("Scene.siemens pixel", pixel, "m", above=0.0)
    spokes = positive_int("Scene.siemens spokes", spokes)
    check_pixels("Scene.siemens", (2 * radius / pixel + 1) ** 2)
    mask = siemens_mask(max(1, round(2 * radius / pixel)), spokes)
    return replace(mask_scene(mask, pixel, centre=centre), name="siemens star")


def lattice_scene(shape: Sequence[int], step: Any, *, centre: Any) -> Scene:
    """See `Scene.grid`."""
    check_shape("Scene.grid shape", np.shape(shape), (3,))
    step = real_array("Scene.grid step", step, (3,), "m")
    counts = [positive_int(f"Scene.grid shape n_{a}", n) for a, n in zip("xyz", shape, strict=True)]
    check_pixels("Scene.grid", float(np.prod([float(n) for n in counts])))
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(counts, step, strict=True)]
    x, y, z = (a.ravel(order="F") for a in np.meshgrid(*axes, indexing="ij"))
    return Scene(position=np.stack([x, y, z], axis=1) + place(centre), name="point grid")


def text_mask(name: str, text: str, height: float, pixel: float, *, margin: int = 0) -> tuple[np.ndarray, float]:
    """A line of letters as a mask with a whole number of pixels in a stroke, and their size [m]; margin in strokes."""
    stroke = finite_number(f"{name} height", height, "m", above=0.0) / 7
    per_stroke = max(1, round(stroke / finite_number(f"{name} pixel", pixel, "m", above=0.0)))
    cells = np.pad(letter_mask(text), margin)
    check_pixels(name, float(cells.size) * per_stroke**2)
    return np.kron(cells, np.ones((per_stroke, per_stroke), dtype=bool)), stroke / per_stroke


def check_pixels(name: str, count: float) -> None:
    """Refuse more than `MAX_PIXELS` of them."""
    if count > MAX_PIXELS:
        raise GeometryError(f"{name}: got {count:.3g} pixels, wanted at most {MAX_PIXELS:.0e}; raise the pixel size")


def place(centre: Any) -> np.ndarray:
    """A centre (x, y, z) [m], checked."""
    return real_array("Scene centre", centre, (3,), "m")
