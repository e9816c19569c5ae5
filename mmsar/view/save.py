"""Figures to files and windows."""

import os
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from mmsar.core.checks import one_of
from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path
from mmsar.model.image import Image
from mmsar.view.image_plot import figure_mips, figure_slices
from mmsar.view.phase_plot import figure_phase
from mmsar.view.psf_plot import figure_psf
from mmsar.view.rendering import has_display

KINDS = {"mips": figure_mips, "slices": figure_slices, "phase": figure_phase, "psf": figure_psf}
"""Figures of one image by name."""
FORMATS = (".png", ".pdf", ".svg")
DPI, PRINT_DPI = 150, 300
"""Of pictures; of what in pages is pixels."""


def save_figure(
    source: Image | Figure, path: str | os.PathLike[str], *, floor: float = -30.0, kind: str = "mips"
) -> None:
    """Write a figure, or the standard figure of an image; the file appears only when it is complete.

    Parameters
    ----------
    source : Image or Figure
        What to write.
    path : path
        Ending in .png, .pdf or .svg.
    floor, kind
        For an image: lower end of the range [dB], and one of `KINDS`.

    Raises
    ------
    FormatError
        Another ending, or a folder that is not there.
    GeometryError
        An unknown kind.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise FormatError(f"{target}: got the ending {target.suffix!r}, wanted one of {', '.join(FORMATS)}")
    one_of("save_figure kind", kind, tuple(KINDS))
    if isinstance(source, Image):
        source = KINDS[kind](source, floor=floor)
    with atomic_path(target) as part:
        ending = target.suffix.lower()
        with rc_context({"pdf.fonttype": 42}):  # letters that journals take and editors can change
            source.savefig(part, dpi=DPI if ending == ".png" else PRINT_DPI, format=ending[1:])


def can_show() -> bool:
    """Whether a window can be opened: there is a display, and matplotlib has a backend for it."""
    import matplotlib

    if not has_display():
        return False
    return matplotlib.get_backend().lower() not in ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def show_figure(figure: Figure) -> None:
    """Open a window with the figure and wait until it is closed; check `can_show` before."""
    from matplotlib import pyplot

    pyplot.figure(FigureClass=lambda *_, **__: figure)
    pyplot.show()
