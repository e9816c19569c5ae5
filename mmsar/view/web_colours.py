"""The colour bar of a page, drawn as SVG: the same in the page, its pictures and exported pages."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from mmsar.view.panels import COLOURS

HEIGHT, WIDTH = 320, 92
"""Size of the drawing [pixel]."""
TOP, LEFT, BAR = 12, 14, 18
"""Where the bar begins, and how wide it is [pixel]."""


def colour_bar_svg(floor: float, levels: Sequence[float] = ()) -> str:
    """A vertical bar from a floor to 0 dB relative to the peak.

    Parameters
    ----------
    floor : float
        Lower end [dB], below 0.
    levels : sequence of float
        Surfaces drawn [dB], marked beside the bar.
    """
    length = HEIGHT - 2 * TOP
    colours = colormaps[COLOURS]
    stops = "".join(f'<stop offset="{i / 32:g}" stop-color="{to_hex(colours(1 - i / 32))}"/>' for i in range(33))

    def down(decibel: float) -> float:
        return TOP + length * decibel / floor

    ticks = "".join(
        f'<path d="M{LEFT + BAR} {down(t):.1f}h5" stroke="black"/>'
        f'<text x="{LEFT + BAR + 9}" y="{down(t) + 4:.1f}">{f"{t:g}".replace("-", "&#8722;")}</text>'
        for t in MaxNLocator(nbins=6, steps=[1, 2, 3, 5, 10]).tick_values(floor, 0)
        if floor <= t <= 0
    )
    marks = "".join(
        f'<path class="level" d="M{LEFT - 2} {down(level):.1f}l-8 -5v10z" fill="black"/>' for level in levels
    )
    x, y = LEFT + BAR + 50, HEIGHT / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="black">'
        f'<defs><linearGradient id="decibel" x1="0" y1="0" x2="0" y2="1">{stops}</linearGradient></defs>'
        f'<rect x="{LEFT}" y="{TOP}" width="{BAR}" height="{length}" fill="url(#decibel)" stroke="black"/>'
        f'{ticks}{marks}<text x="{x}" y="{y}" text-anchor="middle" transform="rotate(-90 {x} {y})">dB re peak</text>'
        "</svg>"
    )
