"""A page of an image's surfaces that needs nothing but a browser: no server, no network, opened from the disk."""

import io
import os
import re
from html import escape
from pathlib import Path

from trame_vtk.tools.vtksz2html import write_html

from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path
from mmsar.model.image import Image
from mmsar.view.look import Look
from mmsar.view.marks import learned_mark
from mmsar.view.volume import caption
from mmsar.view.web_colours import colour_bar_svg
from mmsar.view.web_scene import BrowserScene, packed

ENDINGS = (".html", ".htm")
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src data: blob:; worker-src blob:"
)
"""What the page may load: only what is in it."""
STYLE = """
.mmsar { position: fixed; z-index: 10; pointer-events: none; font: 14px/1.4 sans-serif; color: black; }
.mmsar h1 { font-size: 16px; margin: 0; }
.mmsar p { margin: 0; color: #444; }
"""


def export_html(image: Image, path: str | os.PathLike[str], *, title: str, look: Look) -> None:
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

    Raises
    ------
    FormatError
        Another ending, or a folder that is not there.
    GeometryError
        An image with a single voxel along an axis.
    """
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        raise FormatError(f"{target}: got the ending {target.suffix!r}, wanted .html")
    with atomic_path(target) as part:
        scene = BrowserScene(image, look=look)
        try:
            scene.draw_surfaces(look.iso_levels)
            data = packed(scene.plotter)
        finally:
            scene.close()
        part.write_text(page_of(data, image, title=title, look=look), encoding="utf-8")


def page_of(data: bytes, image: Image, *, title: str, look: Look) -> str:
    """The viewer of vtk.js with a packed scene in it, under a heading and beside a colour bar in dB."""
    written = io.StringIO()
    write_html(data, written)
    viewer = re.sub(r"https?://[\w./-]*/favicon-", "data:,", written.getvalue())  # it would ask a server for icons
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />\n    '
        f'<title>{escape(title)}</title>\n    <link rel="icon" href="data:," />\n    <style>{STYLE}</style>'
    )
    viewer, count = re.subn(r"<title>.*?</title>", lambda _: head, viewer, count=1, flags=re.S)
    if count != 1:
        raise FormatError("export of a page: the viewer of trame-vtk is another than known; pip install trame-vtk==2.11")
    lines = "".join(f"<p>{escape(line)}</p>" for line in filter(None, (caption(look), learned_mark([image]))))
    over = (
        '<div class="content"></div>'  # what the viewer fills; it would empty the whole body
        f'<div class="mmsar" style="left: 16px; top: 12px"><h1>{escape(title)}</h1>{lines}</div>'
        '<div class="mmsar" style="right: 12px; top: 50%; transform: translateY(-50%)">'
        f"{colour_bar_svg(look.floor, look.iso_levels)}</div>\n  "
    )
    before, body, after = viewer.rpartition("</body>")
    return f"{before}{over}{body}{after}"
