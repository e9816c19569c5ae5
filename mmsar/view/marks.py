"""The line on a figure that names the images which a network has enhanced."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmsar.model.image import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNED = "learned enhancement"
"""The step in an image's history, and what a figure of such an image says."""
OFFSET = 0.027
"""Distance of the line from the edges of the page [inch]."""


def learned_mark(images: Sequence[Image], titles: Sequence[str] = ("",)) -> str:
    """What a figure says of the images which a network has enhanced; empty where there is none."""
    parts = []
    for image, title in zip(images, titles, strict=True):
        steps = [step for step in image.history if step.get("step") == LEARNED]
        if steps:
            blend = float(steps[-1].get("blend", 1))
            share = "" if blend == 1 else f", blend {blend:g}"
            parts.append(f"{title}: {steps[-1].get('method')}{share}".removeprefix(": "))
    return f"{LEARNED}: {'; '.join(parts)}" if parts else ""


def marked(
    figure: "Figure", images: Sequence[Image], titles: Sequence[str] = ("",), axes: "Axes | None" = None
) -> "Figure":
    """The figure, with a small line that names the images which a network has enhanced.

    Parameters
    ----------
    figure : Figure
        Of the images.
    images, titles : sequences
        As many titles as images.
    axes : Axes, optional
        Given by the caller: the line stands in its lower left corner. Default: the lower edge of the page.
    """
    text = learned_mark(images, titles)
    if not text:
        return figure
    style = {"fontsize": 7, "color": "0.25", "ha": "left", "va": "bottom"}
    if axes is not None:
        paper = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        axes.text(0.01, 0.01, text, transform=axes.transAxes, bbox=paper, **style)
        return figure
    figure.text(OFFSET / figure.get_figwidth(), OFFSET / figure.get_figheight(), text, **style)
    if figure.get_layout_engine() is not None:  # a curve: its axes make room for the line
        figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    return figure
