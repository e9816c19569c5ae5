"""A page of an image's surfaces that needs nothing but a browser: no server, no network, opened from the disk."""

import io
import os
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from trame_vtk.tools.vtksz2html import write_html

from mmsar.errors import FormatError, GeometryError
from mmsar.io.atomic import atomic_path
from mmsar.model.image import Image
from mmsar.view.look import Look
from mmsar.view.marks import learned_mark
from mmsar.view.solids import APERTURE_SAID
from mmsar.view.web_colours import colour_bar_svg
from mmsar.view.web_scene import SURFACES, BrowserScene, packed

ENDING = ".html"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src data: blob:; worker-src blob:"
)
"""What the page may load: only what is in it."""
TICKS = Path(__file__).with_name("page") / "ticks.js"
TIDY = """
const tidying = setInterval(() => {
  const drawn = window.global?.renderWindow; // where the viewer leaves it
  if (!(drawn?.getRenderers() ?? []).some(window.mmsarTidyAxes)) return;
  clearInterval(tidying);
  drawn.render();
}, 50);
"""
STYLE = """
.mmsar { position: fixed; z-index: 10; pointer-events: none; font: 14px/1.4 sans-serif; color: black; }
.mmsar h1 { font-size: 16px; margin: 0; }
.mmsar p { margin: 0; color: #444; }
"""


def export_html(
    image: Image, path: str | os.PathLike[str], *, title: str, look: Look, aperture: np.ndarray | None = None
) -> None:
    """Write the surfaces of an image as one page; complete or not at all.

    Parameters
    ----------
    image : Image
        At least two voxels along each axis.
    path : path
        Ending in .html.
    title : str
        Heading.
    look : Look
        Its levels are the surfaces, at most three.
    aperture : (..., 3) array, optional
        Phase centres [m], drawn as points.

    Raises
    ------
    FormatError
        Another ending, or a folder that is not there.
    GeometryError
        An image with a single voxel along an axis, more than three levels.
    """
    target = Path(path)
    if target.suffix.lower() != ENDING:
        raise FormatError(f"{target}: got the ending {target.suffix!r}, wanted .html")
    if len(look.iso_levels) > SURFACES:
        raise GeometryError(f"surfaces in a page: got {len(look.iso_levels)} levels, wanted at most {SURFACES}")
    with atomic_path(target) as part:
        scene = BrowserScene(image, look=look, aperture=aperture)
        try:
            said = scene.draw_surfaces(look.iso_levels)
            data = packed(scene.plotter)
        finally:
            scene.close()
        lines = [said, learned_mark([image]), "" if aperture is None else APERTURE_SAID]
        bar = colour_bar_svg(look.floor, look.iso_levels)
        part.write_text(page_of(data, title=title, lines=lines, bar=bar), encoding="utf-8")


def page_of(data: bytes, *, title: str, lines: Sequence[str], bar: str) -> str:
    """The viewer of vtk.js with a packed scene in it, under a heading with lines and beside a colour bar, as SVG."""
    written = io.StringIO()
    write_html(data, written)
    viewer = re.sub(r"https?://[\w./-]*/favicon-", "data:,", written.getvalue())  # it would ask a server for icons
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />\n    '
        f'<title>{escape(title)}</title>\n    <link rel="icon" href="data:," />\n    <style>{STYLE}</style>'
    )
    viewer, count = re.subn(r"<title>.*?</title>", lambda _: head, viewer, count=1, flags=re.S)
    if count != 1:
        raise FormatError("export of a page: the viewer of trame-vtk is another than known; pip install 'trame-vtk<3'")
    said = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    over = (
        '<div class="content"></div>'  # what the viewer fills; it would empty the whole body
        f'<div class="mmsar" style="left: 16px; top: 12px"><h1>{escape(title)}</h1>{said}</div>'
        '<div class="mmsar" style="right: 12px; top: 50%; transform: translateY(-50%)">'
        f"{bar}</div>\n<script>{TICKS.read_text(encoding='utf-8')}{TIDY}</script>\n"
    )
    before, body, after = viewer.rpartition("</body>")
    return f"{before}{over}{body}{after}"
