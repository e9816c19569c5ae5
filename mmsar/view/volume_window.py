"""The window in three dimensions: sliders, clip box and keys round the scene of `mmsar.view.volume`.

While the mouse turns the scene, volumes are drawn with fewer voxels. The clip box cuts whatever is drawn of the images;
axes and aperture stay. All views share one camera.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyvista
from vtkmodules.vtkCommonDataModel import vtkPlane

from mmsar.io.atomic import atomic_path
from mmsar.model.image import Image
from mmsar.view.decibel_volume import DRAGGED, DecibelVolume, decibel_volume
from mmsar.view.look import KINDS, Look
from mmsar.view.movie import write_picture
from mmsar.view.solids import INK
from mmsar.view.volume import SIZE, Scene, build_scene

HELP = """k  next kind: volume, isosurfaces, slices, points
b  clip box on and off: drag its faces
m  phase centres on and off
o  camera oblique     n  front, facing the aperture
d  radar's view       x  from the side     y  from the top
g  picture of the window to mmsar-view-1.png, -2.png, ...
h  this help on and off
r  everything into view     q  close
slider: weakest value drawn [dB re peak]"""
CAMERA_KEYS = {"o": "oblique", "n": "front", "d": "radar", "x": "side", "y": "top"}
"""Keys that VTK itself leaves free."""


class Window:
    """A scene that answers to keys, sliders and a box.

    Parameters
    ----------
    images, titles, look, aperture
        As for `mmsar.view.volume.build_scene`.
    off_screen : bool
        Without a display, for tests.
    """

    def __init__(
        self,
        images: Sequence[Image],
        *,
        titles: Sequence[str],
        look: Look,
        aperture: np.ndarray | None = None,
        off_screen: bool = False,
    ) -> None:
        size = SIZE.get(len(images), (700 * len(images), 700))
        self.plotter = pyvista.Plotter(
            shape=(1, len(images)), window_size=size, border=False, off_screen=off_screen, title="mmsar view"
        )
        self.scene: Scene = build_scene(images, titles, look=look, aperture=aperture, plotter=self.plotter)
        self.look = look
        self.low = look.floor
        """Weakest value drawn [dB re peak]."""
        self.clip: tuple[float, ...] | None = None
        """Edges of the clip box x, x, y, y, z, z [mm]; None: nothing is cut."""
        self._small: list[DecibelVolume] | None = None
        self._boxes: list[object] = []
        self._help = self._dragging = False
        self._pictures = 0
        self._equip()

    def show(self) -> None:
        """Open the window and wait until it is closed."""
        self.plotter.show()

    def draw(self, *, small: bool = False) -> None:
        """Draw the images anew, with few voxels or all."""
        shown = self.look if self.look.kind == "volume" else self._levelled()
        for i, pane in enumerate(self.scene.panes):
            volume = self._reduced()[i] if small else None
            low = max(0.0, pane.volume.level(self.low))
            pane.draw(shown, volume=volume, low=low)
        self._cut()
        self.plotter.render()

    def next_kind(self) -> None:
        """Volume, isosurfaces, slices, points, and round again."""
        self.look = replace(self.look, kind=KINDS[(KINDS.index(self.look.kind) + 1) % len(KINDS)])
        self.draw()

    def set_low(self, decibel: float) -> None:
        """Draw nothing weaker than a value [dB re peak]: where the volume begins, the lowest surface, the points."""
        self.low = float(decibel)
        self.draw()

    def set_clip(self, edges: Sequence[float] | None) -> None:
        """Cut the images to a box x, x, y, y, z, z [mm]; None shows all of them."""
        self.clip = None if edges is None else tuple(float(edge) for edge in edges)
        self._cut()
        self.plotter.render()

    def toggle_box(self) -> None:
        """The box whose faces cut the images, on and off."""
        if self._boxes:
            self.plotter.clear_box_widgets()
            self._boxes = []
            self.set_clip(None)
            return
        for pane in self.scene.panes[:1]:
            self.plotter.subplot(0, pane.column)
            self._boxes.append(
                self.plotter.add_box_widget(
                    lambda box: self.set_clip(box.bounds),
                    bounds=pane.volume.bounds,
                    rotation_enabled=False,
                    color=INK,
                )
            )

    @property
    def has_box(self) -> bool:
        """Whether the clip box is shown."""
        return bool(self._boxes)

    def toggle_aperture(self) -> None:
        """The phase centres, on and off."""
        for renderer in self.plotter.renderers:
            for name, actor in renderer.actors.items():
                if name.startswith("aperture"):
                    actor.SetVisibility(not actor.GetVisibility())
        self.plotter.render()

    def toggle_help(self) -> None:
        """The list of keys, on and off."""
        self._help = not self._help
        self.plotter.subplot(0, 0)
        text = HELP if self._help else "h: help"
        self.plotter.add_text(text, position=(10, 40), font_size=9, color=INK, name="help", font="courier")

    def take_picture(self, folder: Path | None = None) -> Path:
        """Write what the window shows to the first free mmsar-view-1.png, -2.png, ... of a folder (the current one)."""
        folder = folder or Path.cwd()
        while (path := folder / f"mmsar-view-{self._pictures + 1}.png").exists():
            self._pictures += 1
        with atomic_path(path) as part:
            write_picture(self.scene.picture(), part)
        return path

    def start_drag(self) -> None:
        """The camera begins to move: draw volumes with fewer voxels, where they have many."""
        if self.look.kind == "volume" and any(p.volume.grid.n_voxels > DRAGGED for p in self.scene.panes):
            self._dragging = True
            self.draw(small=True)

    def end_drag(self) -> None:
        """The camera stands: all voxels again."""
        if self._dragging:
            self._dragging = False
            self.draw()

    def _equip(self) -> None:
        """Keys, the slider, the first help line, and what happens while the mouse is held."""
        keys: dict[str, Callable[[], object]] = {
            "k": self.next_kind,
            "b": self.toggle_box,
            "m": self.toggle_aperture,
            "h": self.toggle_help,
            "g": self.take_picture,
        }
        keys |= {key: lambda camera=camera: self._aim(camera) for key, camera in CAMERA_KEYS.items()}
        for key, action in keys.items():
            self.plotter.add_key_event(key, action)
        self.plotter.subplot(0, 0)
        self.plotter.add_text("h: help", position=(10, 40), font_size=9, color=INK, name="help", font="courier")
        self.plotter.add_slider_widget(
            self.set_low,
            (self.look.floor, -0.5),
            value=self.look.floor,
            title="weakest drawn [dB]",
            pointa=(0.55, 0.06),
            pointb=(0.95, 0.06),
            color=INK,
            fmt="%.1f",
            interaction_event="end",
        )
        style = self.plotter.iren.interactor.GetInteractorStyle()
        style.AddObserver("StartInteractionEvent", lambda *_: self.start_drag())
        style.AddObserver("EndInteractionEvent", lambda *_: self.end_drag())

    def _aim(self, camera: str) -> None:
        self.scene.aim(camera)
        self.plotter.render()

    def _levelled(self) -> Look:
        """The look with nothing below the slider."""
        if self.low <= self.look.floor:
            return self.look
        higher = tuple(level for level in self.look.iso_levels if level > self.low)
        return replace(self.look, levels=(self.low, *higher))

    def _reduced(self) -> list[DecibelVolume]:
        if self._small is None:
            floor = self.look.floor
            self._small = [decibel_volume(p.image, floor=floor, max_voxels=DRAGGED) for p in self.scene.panes]
        return self._small

    def _cut(self) -> None:
        """The six planes of the clip box, their normals inwards, on everything drawn of the images."""
        for pane in self.scene.panes:
            for actor in pane.actors:
                actor.mapper.RemoveAllClippingPlanes()
                for side, edge in enumerate(self.clip or ()):
                    plane = vtkPlane()
                    plane.SetOrigin(*(edge if axis == side // 2 else 0.0 for axis in range(3)))
                    plane.SetNormal(*((1.0 - 2 * (side % 2)) * (axis == side // 2) for axis in range(3)))
                    actor.mapper.AddClippingPlane(plane)


def show_window(images: Sequence[Image], *, titles: Sequence[str], look: Look, aperture: np.ndarray | None) -> None:
    """Open a window and wait until it is closed; check `mmsar.view.rendering.has_display` before."""
    Window(images, titles=titles, look=look, aperture=aperture).show()
