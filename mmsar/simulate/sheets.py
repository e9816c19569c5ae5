"""Thin sheets: flat metal (tools, plates with letters cut out) and printed plates, from pictures of what they reflect.

A metal face reflects as a mirror does. Its points, closer than half a wavelength, carry the obliquity factor of
physical optics, the cosine of the angle of incidence (lobe 1), and their sum is the specular reflection. A sheet seen
edge-on shows no face; what is left is its edge, a line that scatters weakly to all sides.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mmsar.core.checks import finite_number, real_array
from mmsar.simulate.masks import check_pixels, place, text_mask
from mmsar.simulate.outlines import mask_edges, mask_triangles, tool_mask
from mmsar.simulate.scene import AREA, EDGE, Scene


def sheet(amplitude: np.ndarray, pixel: float, *, edge: float = EDGE) -> Scene:
    """A thin sheet in the plane z = 0, both faces, from a picture of its reflectivity.

    Each face is a layer of points with its normal, lobe 1 and their share of the area in square millimetres; its edges,
    outer and inner, are weak points that scatter to all sides: seen edge-on, they are all that is left of a sheet.

    Parameters
    ----------
    amplitude : array_like (rows, columns)
        Reflectivity; 0 where there is no sheet. As a picture: first row at the top, columns towards +x. From 0.5 on it
        is opaque.
    pixel : float
        Size of a pixel [m].
    edge : float
        An edge of length l scatters like `edge` times l of face [m]; wavelength / 4 pi is 0.3 mm at 79 GHz.

    Raises
    ------
    GeometryError
        Nothing there, or a wrong shape.
    """
    amplitude = real_array("sheet amplitude", np.asarray(amplitude, dtype=float), (None, None), "1")
    edge = finite_number("sheet edge", edge, "m")
    face = Scene.from_mask(amplitude != 0, pixel, centre=(0.0, 0.0, 0.0))
    sigma = amplitude[amplitude != 0] * pixel**2 / AREA
    normal = np.broadcast_to([0.0, 0.0, 1.0], (len(face), 3))
    parts = [replace(face, reflectivity=sigma, normal=n, lobe=1.0) for n in (-normal, normal)]
    place, step = mask_edges(amplitude)
    if edge > 0:
        parts.append(Scene(position=place * pixel, reflectivity=step * edge * pixel / AREA))
    opaque = np.abs(amplitude) >= 0.5
    triangles = mask_triangles(opaque) * pixel if opaque.any() else None
    return replace(Scene.union(*parts), triangles=triangles, name="sheet")


def tool_scene(kind: str, length: float, *, pixel: float, edge: float, centre: Any) -> Scene:
    """See `Scene.tool`."""
    length = finite_number("Scene.tool length", length, "m", above=0.0)
    pixel = finite_number("Scene.tool pixel", pixel, "m", above=0.0)
    check_pixels("Scene.tool", (length / pixel) ** 2)
    return replace(sheet(tool_mask(kind, length / pixel), pixel, edge=edge).shifted(place(centre)), name=kind)


def printed_scene(text: str, height: float, *, background: float, pixel: float, centre: Any) -> Scene:
    """See `Scene.printed`."""
    background = finite_number("Scene.printed background", background, "1")
    letters, pixel = text_mask("Scene.printed", text, height, pixel, margin=2)
    ink = np.where(letters, 1.0, background)
    return replace(sheet(ink, pixel).shifted(place(centre)), name=f"printed {text}")


def cut_out_scene(text: str, height: float, *, pixel: float, centre: Any) -> Scene:
    """See `Scene.cut_out`."""
    letters, pixel = text_mask("Scene.cut_out", text, height, pixel, margin=2)
    return replace(sheet(~letters, pixel).shifted(place(centre)), name=f"cut-out {text}")
