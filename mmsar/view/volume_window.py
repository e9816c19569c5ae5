"""The window in three dimensions: sliders, clip box and keys round the scene of `mmsar.view.volume`.

While the mouse turns the scene or moves a slider, images are drawn with fewer voxels, and so is the first picture. The
clip box cuts whatever is drawn of the images; axes and aperture stay. All views share one camera.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyvista
from vtkmodules.vtkCommonDataModel import vtkPlane

from mmsar.io.atomic import atomic_path
from mmsar.io.image_h5 import ImageFile
from mmsar.model.image import Image
from mmsar.view.decibel_volume import DRAGGED, DecibelVolume
from mmsar.view.extents import place_on
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

mouse:   left turns, middle or shift and left moves,
         wheel or right zooms
sliders: volume and points: weakest value drawn
         isosurfaces: one slider for each surface
         slices: where they cut
         opacity: of all that is drawn of the image"""
HINT = "h: help   k: next kind"
CAMERA_KEYS = {"o": "oblique", "n": "front", "d": "radar", "x": "side", "y": "top"}
"""Keys that VTK itself leaves free."""
STRONGEST = -0.5
"""Upper end of the sliders in dB re peak."""
OPACITY = (0.1, 2.0)
"""Ends of the slider of the opacity, a factor for what is drawn without it."""
BELOW = 0.075
"""Height of the row of sliders [share of the window]."""
RAISED = 0.18
"""How far the scene stands above the middle for them [half heights of the window]."""
SOON = 20
"""When the first picture of few voxels is replaced [ms]."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """A slider to be."""

    title: str
    limits: tuple[float, float]
    value: float
    change: Callable[[float], None]
    """Takes the new value, and draws nothing."""
    format: str = "%.1f"


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
        images: Sequence[Image | ImageFile],
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
        self.scene.raised = RAISED
        self.scene.aim(look.camera)
        self.look = look
        self.low = look.floor
        """Weakest value drawn of a volume [dB re peak]."""
        self.levels = look.iso_levels
        """Isosurfaces [dB re peak], in the order of their sliders."""
        self.points_from = look.points_from
        """Weakest points [dB re peak]."""
        self.opacity = 1.0
        """Factor for that of all that is drawn of the images."""
        self.clip: tuple[float, ...] | None = None
        """Edges of the clip box x, x, y, y, z, z [mm]; None: nothing is cut."""
        self.small = False
        """Whether few voxels are drawn now."""
        self.sliders: dict[str, object] = {}
        """Widgets by title."""
        self._small: list[DecibelVolume] | None = None
        self._boxes: list[object] = []
        self._help = False
        self._pictures = 0
        self._equip()

    def show(self) -> None:
        """Open the window and wait until it is closed."""
        if self._many:
            self._draw(small=True)
            self.plotter.add_timer_event(max_steps=1, duration=SOON, callback=lambda _: self.draw())
        self.plotter.show()

    def draw(self, *, small: bool = False) -> None:
        """Draw the images anew, with few voxels or all."""
        self._draw(small=small)
        self.plotter.render()

    def _draw(self, *, small: bool) -> None:
        self.small = small and self._many
        look = self.look
        if look.kind in ("iso", "points"):
            look = replace(look, levels=self.levels if look.kind == "iso" else (self.points_from,))
        for i, pane in enumerate(self.scene.panes):
            volume = self._reduced()[i] if self.small else None
            pane.draw(look, volume=volume, low=max(0.0, pane.volume.level(self.low)), opacity=self.opacity)
        self._cut()

    @property
    def _many(self) -> bool:
        """Whether all voxels of the images are too many to follow the mouse."""
        return self.look.kind in ("volume", "iso") and any(p.volume.grid.n_voxels > DRAGGED for p in self.scene.panes)

    def next_kind(self) -> None:
        """Volume, isosurfaces, slices, points, and round again."""
        self.look = replace(self.look, kind=KINDS[(KINDS.index(self.look.kind) + 1) % len(KINDS)])
        self._add_sliders()
        self.draw()

    def controls(self) -> list[Control]:
        """The sliders that what is drawn now has."""
        look, weakest = self.look, (self.look.floor + 0.1, STRONGEST)
        found = []
        if look.kind == "volume":
            limits = (look.floor, STRONGEST)
            found.append(Control(title="weakest [dB]", limits=limits, value=self.low, change=self._set_low))
        elif look.kind == "iso":
            for i, level in enumerate(self.levels):
                found.append(
                    Control(
                        title=f"surface {i + 1} [dB]",
                        limits=weakest,
                        value=level,
                        change=lambda value, i=i: self._set_level(i, value),
                    )
                )
        elif look.kind == "slices3d":
            pane, at = self.scene.panes[0], self._place()
            for axis, (low, high) in zip("xyz", pane.image.grid.extent, strict=True):
                found.append(
                    Control(
                        title=f"{axis} [mm]",
                        limits=(low * 1e3, high * 1e3),
                        value=at[axis],
                        change=lambda value, axis=axis: self._set_place(axis, value),
                    )
                )
        else:
            change = self._set_points_from
            found.append(Control(title="weakest [dB]", limits=weakest, value=self.points_from, change=change))
        found.append(
            Control(title="opacity", limits=OPACITY, value=self.opacity, change=self._set_opacity, format="%.2f")
        )
        return found

    def move(self, title: str, value: float, *, small: bool = False) -> None:
        """What moving the slider of a title does; `small` while it is being moved."""
        control = next(c for c in self.controls() if c.title == title)
        if value != control.value or self.small:  # a new slider tells its value
            control.change(float(np.clip(value, *control.limits)))
            self.draw(small=small)

    def _set_low(self, decibel: float) -> None:
        self.low = decibel

    def _set_points_from(self, decibel: float) -> None:
        self.points_from = decibel

    def _set_level(self, i: int, decibel: float) -> None:
        self.levels = (*self.levels[:i], decibel, *self.levels[i + 1 :])

    def _set_place(self, axis: str, millimetres: float) -> None:
        place = self._place() | {axis: millimetres}
        self.look = replace(self.look, point=tuple(place[name] / 1e3 for name in "xyz"))

    def _place(self) -> dict[str, float]:
        """Where slices cut [mm], by axis name."""
        pane = self.scene.panes[0]
        if self.look.point is None:
            return place_on(pane.image.grid, pane.volume.peak)
        return {name: 1e3 * value for name, value in zip("xyz", self.look.point, strict=True)}

    def _set_opacity(self, factor: float) -> None:
        self.opacity = factor

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
                    factor=1.0,
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
        self._write_help()
        self.plotter.render()

    def _write_help(self) -> None:
        self.plotter.subplot(0, 0)
        style = {"font_size": 9, "color": INK, "name": "help", "font": "courier", "render": False}
        text = self.plotter.add_text(HELP if self._help else HINT, position=(12, 6 if not self._help else 110), **style)
        text.prop.background_color, text.prop.background_opacity = "white", 0.9
        text.prop.show_frame = self._help

    def take_picture(self, folder: Path | None = None) -> Path:
        """Write what the window shows to the first free mmsar-view-1.png, -2.png, ... of a folder (the current one)."""
        folder = folder or Path.cwd()
        while (path := folder / f"mmsar-view-{self._pictures + 1}.png").exists():
            self._pictures += 1
        with atomic_path(path) as part:
            write_picture(self.scene.picture(), part)
        return path

    def start_drag(self) -> None:
        """The camera begins to move: draw few voxels, where there are many."""
        if self._many:
            self.draw(small=True)

    def end_drag(self) -> None:
        """The camera stands: all voxels again."""
        if self.small:
            self.draw()

    def _equip(self) -> None:
        """Keys, sliders, the first help line, and what happens while the mouse is held."""
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
        self._write_help()
        self._add_sliders()
        style = self.plotter.iren.interactor.GetInteractorStyle()
        style.AddObserver("StartInteractionEvent", lambda *_: self.start_drag())
        style.AddObserver("EndInteractionEvent", lambda *_: self.end_drag())

    def _add_sliders(self) -> None:
        """One for each control, in a row below the images."""
        self.plotter.clear_slider_widgets()
        self.sliders = {}
        controls = self.controls()
        self.plotter.subplot(0, 0)
        width = 0.9 / len(controls)
        for i, control in enumerate(controls):
            left = 0.05 + i * width
            self.sliders[control.title] = slider = self.plotter.add_slider_widget(
                lambda value, title=control.title: self.move(title, value),
                control.limits,
                value=control.value,
                title=control.title,
                pointa=(left + 0.02, BELOW),
                pointb=(left + width - 0.02, BELOW),
                color=INK,
                fmt=control.format,
                interaction_event="end",
                title_height=0.016,
                slider_width=0.02,
                tube_width=0.003,
            )
            shape = slider.GetRepresentation()
            shape.SetSliderLength(0.012)
            shape.SetLabelHeight(0.016)
            shape.SetEndCapLength(0.004)
            shape.SetEndCapWidth(0.016)
            slider.AddObserver(
                "InteractionEvent",
                lambda widget, _, title=control.title: self.move(
                    title, widget.GetRepresentation().GetValue(), small=True
                ),
            )

    def _aim(self, camera: str) -> None:
        self.scene.aim(camera)
        self.plotter.render()

    def _reduced(self) -> list[DecibelVolume]:
        if self._small is None:
            self._small = [pane.volume.reduced(DRAGGED) for pane in self.scene.panes]
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


def show_window(
    images: Sequence[Image | ImageFile], *, titles: Sequence[str], look: Look, aperture: np.ndarray | None
) -> None:
    """Open a window and wait until it is closed; check `mmsar.view.rendering.has_display` before."""
    Window(images, titles=titles, look=look, aperture=aperture).show()
