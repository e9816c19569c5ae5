"""The served page: its controls, and what is drawn when they change.

All browsers on one server show the same. Controls change the state; a task draws what the state asks for, the latest
only, so that a slider that is dragged does not queue its steps up. The files of the page are in `page/`.
"""

import asyncio
import math
from pathlib import Path
from typing import Any

import numpy as np
from trame.ui.html import DivLayout
from trame.widgets import html, vtk

from mmsar.errors import MmsarError
from mmsar.model.image import Image
from mmsar.view.decibel_volume import DecibelVolume
from mmsar.view.look import CAMERAS, Look
from mmsar.view.marks import learned_mark
from mmsar.view.rendering import Rendering
from mmsar.view.solids import APERTURE_SAID
from mmsar.view.views import voxel_at
from mmsar.view.web_colours import colour_bar_svg
from mmsar.view.web_folder import ImageFolder
from mmsar.view.web_scene import BrowserScene, browser_volume
from mmsar.view.web_solid import SolidView

FILES = Path(__file__).with_name("page")
CONTROLS = ("image", "kind", "level", "nested", "cut_x", "cut_y", "cut_z")
STRONGER = (-10.0, -3.0)
"""Surfaces inside the one whose level is chosen [dB re peak]."""
PAUSE = 0.04
"""Shortest time between two drawings [s]; what changes meanwhile is drawn once."""


class Page:
    """The page of one server.

    Parameters
    ----------
    server : trame server
        Not yet started.
    folder : ImageFolder
        What may be shown.
    image : Image
        The first of the folder.
    look : Look
        Kind, levels and point to begin with; its floor and camera hold throughout.
    drawing : Rendering
        Whether volumes can be drawn here.
    aperture : (..., 3) array or None
        Phase centres [m] to draw with every image.

    Raises
    ------
    GeometryError
        The first image cannot be drawn.
    """

    def __init__(
        self,
        server: Any,
        folder: ImageFolder,
        image: Image,
        *,
        look: Look,
        drawing: Rendering,
        aperture: np.ndarray | None,
    ) -> None:
        self.server, self.state = server, server.state
        self.folder, self.look, self.drawing = folder, look, drawing
        self.image = image
        self.scene = BrowserScene(self.image, look=look, aperture=aperture)
        self.solid = None if drawing.fault else SolidView(look=look, window=drawing.window, aperture=aperture)
        """The volume, where this machine can draw it."""
        self._said = [] if aperture is None else [APERTURE_SAID]
        self._fitted = False
        self._in_solid: Image | None = None
        self._changed = asyncio.Event()
        self._begin()
        self._lay_out()
        self._take(folder.first, self.image, self.scene.volume, look.point)
        self._draw()

    async def follow(self) -> None:
        """Draw what the controls ask for, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(PAUSE)
            self._changed.clear()
            with self.state as state:
                state.busy = True
            await asyncio.sleep(0)
            try:
                await self._load()
                self._draw()
                fault = ""
            except (MmsarError, OSError, ValueError) as error:
                fault = str(error)
            with self.state as state:
                state.busy, state.fault = False, fault

    def picture(self) -> Any:
        """What the server draws, (height, width, 3) uint8; None where that is nothing."""
        return None if self._in_solid is None else self.solid.picture()

    def _begin(self) -> None:
        """State, files and layout-independent parts."""
        look, state = self.look, self.state
        state.trame__title = "mmsar view"
        state.trame__favicon = "data:,"
        state.update(
            {
                "images": self.folder.names(),
                "image": self.folder.first,
                "kind": look.kind if look.kind in ("slices3d", "volume") else "iso",
                "level": look.iso_levels[0],
                "nested": True,
                "floor": look.floor,
                "cameras": list(CAMERAS),
                "volume_fault": self.drawing.fault,
                "fault": "",
                "busy": False,
                "aspect": 0,
                "drawn": 0,
            }
        )
        if self.drawing.fault and state.kind == "volume":
            state.kind = "iso"
        self.server.enable_module(
            {
                "serve": {"mmsar": str(FILES)},
                "scripts": ["mmsar/ticks.js", "mmsar/page.js"],
                "styles": ["mmsar/page.css"],
            }
        )
        self.state.change(*CONTROLS)(lambda **_: self._changed.set())
        self.state.change("aspect")(lambda **_: self._fit())
        self.server.controller.trigger("aim")(self._aim)
        self.server.controller.on_client_connected.add(self._refresh)

    def _lay_out(self) -> None:
        """The page, with the views in it."""
        style = "width: 100%; height: 100%"
        with DivLayout(self.server) as layout:
            self.local = vtk.VtkLocalView(self.scene.plotter.render_window, ref="scene", style=style)
            remote = ""
            if self.solid is not None:
                self.remote = vtk.VtkRemoteView(
                    self.solid.plotter.render_window, ref="solid", style=style, interactive_ratio=1
                )
                self.server.controller.on_server_ready.discard(self.remote.update)
                remote = self.remote.html
            text = (FILES / "page.html").read_text(encoding="utf-8")
            layout.root.clear()
            html.Div(text.replace("LOCAL_VIEW", self.local.html).replace("REMOTE_VIEW", remote))

    def _refresh(self) -> None:
        """Images that came or went since."""
        with self.state as state:
            state.images = self.folder.names()

    def _aim(self, camera: str) -> None:
        """Look from one of the cameras."""
        if camera not in CAMERAS:
            return
        if self.state.kind == "volume" and self._in_solid is not None:
            self.solid.aim(camera, shape=self.scene.plotter.window_size)
            self.remote.update()
        else:
            self.scene.aim(camera)
            self._push_camera()

    def _fit(self) -> None:
        """Aim for the shape of the browser's view; once, or the view would jump whenever a browser changes its size."""
        aspect = self.state.aspect
        if isinstance(aspect, int | float) and 0.1 < aspect < 10:
            self.scene.fit(aspect)
            if not self._fitted:
                self._fitted = True
                self._aim(self.look.camera)

    def _push_camera(self) -> None:
        self.local.push_camera(center_of_rotation=self.scene.plotter.camera.focal_point)

    async def _load(self) -> None:
        """Read the chosen image, where it is another than the one shown."""
        name = self.state.image
        if name == self.state.shown:
            return
        image = await asyncio.to_thread(self.folder.load, name)
        volume = await asyncio.to_thread(browser_volume, image, self.look.floor)
        moved = volume.bounds != self.scene.volume.bounds
        self.image = image
        self._take(str(name), image, volume, None)
        if moved:
            self._push_camera()

    def _take(self, name: str, image: Image, volume: DecibelVolume, point: tuple[float, float, float] | None) -> None:
        """Show another image: its scene, its place to cut, its name."""
        self.scene.show(image, volume)
        at = voxel_at(image, point)
        with self.state as state:
            state.shown = name
            state.span = {
                axis: [1e3 * float(v) for v in (places[0], places[-1], places[1] - places[0])]
                for axis, places in ((axis, getattr(image.grid, axis)) for axis in "xyz")
            }
            for axis, index in zip("zyx", at, strict=True):
                state[f"cut_{axis}"] = 1e3 * float(getattr(image.grid, axis)[index])

    def _draw(self) -> None:
        """Draw the shown image as the controls say."""
        state = self.state
        level = min(max(float(state.level), self.look.floor), -0.5)
        if not math.isfinite(level):
            return
        kind = state.kind if state.kind in ("iso", "slices3d", "volume") else "iso"
        levels: tuple[float, ...] = ()
        if kind == "iso":
            stronger = [value for value in STRONGER if value > level] if state.nested else []
            levels = (level, *stronger)
            captions = [self.scene.draw_surfaces(levels)]
        elif kind == "slices3d":
            self.scene.draw_slices(voxel_at(self.image, self._cut()))
            captions = [f"slices at x = {state.cut_x:.4g}, y = {state.cut_y:.4g}, z = {state.cut_z:.4g} mm"]
        else:
            self._draw_solid(level)
            captions = []
        if kind != "volume":
            self.local.update()
        with state:
            state.captions = [line for line in (*captions, *self._said, learned_mark([self.image])) if line]
            state.colour_bar = colour_bar_svg(self.look.floor, levels)
            state.drawn_kind = kind
            state.drawn += 1

    def _draw_solid(self, level: float) -> None:
        """The volume, drawn by the server with nothing below a level [dB re peak]."""
        if self.solid is None:
            raise MmsarError(f"no volume: {self.drawing.fault}")
        if self._in_solid is not self.image:
            self.solid.show(self.image, self.state.shown, shape=self.scene.plotter.window_size)
            self._in_solid = self.image
        self.solid.draw(level)
        self.remote.update()

    def _cut(self) -> tuple[float, float, float]:
        """Where the controls cut [m], moved into the image."""
        place = []
        for axis, (low, high) in zip("xyz", self.image.grid.extent, strict=True):
            place.append(min(max(1e-3 * float(self.state[f"cut_{axis}"]), low), high))
        return place[0], place[1], place[2]
