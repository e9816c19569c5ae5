"""Figure of the phase of an image: three slices, hue for the phase, faded where there is no echo to have one."""

from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.model.image import Image
from mmsar.view.extents import axis_of, checked_floor, left_over, place_on, wide_axes
from mmsar.view.given import AxesLike, root_figure
from mmsar.view.marks import marked
from mmsar.view.panels import draw_panel
from mmsar.view.views import View, curve_panel, draw_cross, draw_views, voxel_at

FADE = 10.0
"""What is this much below the floor is not seen at all [dB]."""
TICKS = (-180, -90, 0, 90, 180)
"""Of the colour bar [degrees]."""
LIGHTNESS, SWING, CHROMA = 62.0, 14.0, 38.0
"""CIELAB lightness of the colours, how far it swings round the circle (light green, dark red: so that eyes that do not
tell these apart still tell all phases apart), and their chroma, all of which the screen can show."""


def figure_phase(
    image: Image,
    *,
    point: tuple[float, float, float] | None = None,
    floor: float = -20.0,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """Phase on the three slices through a point.

    The colours go round a circle, as the phase does; they are full where the magnitude is above the floor and fade to
    nothing 10 dB below it, where the phase is that of noise. Across the range direction the phase of a surface tells
    its depth, half a wavelength to a turn; along it the phase of the carrier turns faster than voxels show.

    Parameters
    ----------
    image : Image
        Complex.
    point : (x, y, z), optional
        [m], taken to the nearest voxel. Default: the brightest voxel.
    floor : float
        Magnitude from which on the colours are full [dB re peak], below 0.
    title, axes
        As in `figure_mips`.

    Raises
    ------
    GeometryError
        An image of magnitudes, a point outside the grid, a floor that is not below 0, another number of axes.
    """
    floor = checked_floor(floor)
    if not np.iscomplexobj(image.data):
        raise GeometryError("figure_phase: got an image of magnitudes, wanted a complex one; its phase is not kept")
    index = voxel_at(image, point)
    at = place_on(image.grid, index)
    label = f"phase [degrees], faded below {floor:g} dB re peak"
    peak = float(image.magnitude().max()) or 1.0
    if len(wide_axes(image.grid)) < 2:
        return _curve(image, floor, title, axes, peak)
    colours = ScalarMappable(Normalize(-180, 180), phase_colours())

    def draw(panel: Axes, view: View) -> ScalarMappable:
        name = left_over(view)
        values = np.take(image.data, index[axis_of(name)], axis=axis_of(name))
        draw_panel(
            panel,
            np.degrees(np.angle(values)),
            view,
            image.grid,
            (-180, 180),
            cmap=colours.cmap,
            alpha=_opacity(values, peak, floor),
        )
        panel.set_title(f"{name} = {at[name]:.4g} mm", fontsize=9)
        return colours

    figure, panels = draw_views("figure_phase", image.grid, draw, label, title=title, axes=axes)
    colours.colorbar.set_ticks(TICKS)
    draw_cross(panels, at, "black")
    return marked(figure, [image], axes=None if axes is None else next(iter(panels.values())))


@cache
def phase_colours() -> ListedColormap:
    """A circle of hues in CIELAB (white point D65), by its transformation to sRGB (IEC 61966-2-1)."""
    hue = np.linspace(-np.pi, np.pi, 256, endpoint=False)
    a, b = CHROMA * np.cos(hue), CHROMA * np.sin(hue)
    y = (LIGHTNESS - SWING * np.cos(hue) + 16) / 116
    cubes = np.stack([y + a / 500, y, y - b / 200])
    xyz = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29)) * [[0.9505], [1.0], [1.089]]
    to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    linear = to_rgb @ xyz
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ListedColormap(rgb.T, name="phase")


def _opacity(values: np.ndarray, peak: float, floor: float) -> np.ndarray:
    """1 from the floor up, 0 from `FADE` below it down."""
    with np.errstate(divide="ignore"):
        decibel = 20 * np.log10(np.abs(values) / peak)
    return np.clip(1 + (decibel - floor) / FADE, 0, 1)


def _curve(image: Image, floor: float, title: str | None, axes: AxesLike | None, peak: float) -> Figure:
    """Points where the magnitude is above the floor."""
    panel, _, where = curve_panel("figure_phase", image.grid, "phase [degrees]", title=title, axes=axes)
    values = image.data.ravel()
    shown = np.where(_opacity(values, peak, floor) >= 1, np.degrees(np.angle(values)), np.nan)
    panel.plot(where, shown, ".", markersize=4, label=f"above {floor:g} dB re peak")
    panel.set(ylim=(-185, 185), yticks=TICKS)
    panel.legend(loc="upper right", fontsize=8, frameon=False)
    return marked(root_figure(panel), [image], axes=None if axes is None else panel)
