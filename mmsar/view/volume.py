"""Images in three dimensions, drawn by pyvista: volume, isosurfaces, orthogonal slices or points, with the aperture.

Ask `mmsar.view.rendering.rendering` first whether this machine can draw: where a GL library is missing, drawing ends
the process. Images stand side by side, each in dB relative to its own peak, under one camera. Axes are in millimetres
over the whole grid, whatever part of it is bright.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pyvista
from pyvista.plotting.mapper import OpenGLGPUVolumeRayCastMapper
from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction

from mmsar.errors import GeometryError
from mmsar.io.image_h5 import ImageFile
from mmsar.model.image import Image
from mmsar.view.box_axes import BoxAxes
from mmsar.view.decibel_volume import ARRAY, LARGEST, TOP, DecibelVolume, decibel_volume, opacity_ramp, unit_distance
from mmsar.view.extents import COLOURS, nearest_voxel, place_on
from mmsar.view.look import CAMERAS, Look, turned
from mmsar.view.marks import learned_mark
from mmsar.view.rendering import check_rendering, drawing_into, rendering
from mmsar.view.solids import (
    APERTURE_SAID,
    INK,
    bounds_round,
    draw_aperture,
    slices_at,
    surface_at,
    surface_opacities,
    thinned,
)

SIZE = {1: (1200, 900), 2: (1700, 850)}
"""Picture of so many images [pixel]; more get 700 x 700 each."""
MOST_POINTS = 100_000
POINTS = ((2, 0.25), (4, 0.6), (7, 1.0))
"""Size [pixel] and opacity of the weak, the middle and the strong third of the points: the weak hide nothing."""
BESIDE_BAR = 0.08
"""How far the scene stands to the left of the middle, to leave the colour bar free [half widths of the view]."""
HALF_ANGLE = np.deg2rad(15)
"""Half the angle of a view in perspective."""
ROOM = (1.4, 1.25)
"""Width and height of a view for those of what is in it: labels, captions and colour bar stand beside."""
STEP = 1.5
"""Distance of samples along a line of sight [voxels]: a third of it takes three times as long, for 4 in 255 at most."""
COARSE = 2.0
"""Pixels across to a line of sight through a smaller volume."""
SHINE = {"smooth_shading": True, "ambient": 0.4, "diffuse": 0.7}
"""Of surfaces: their colours stay near those of the bar."""


@dataclass(kw_only=True, eq=False)
class Pane:
    """One image in its part of the window: what is drawn of it can be changed."""

    plotter: pyvista.Plotter
    column: int
    image: Image | ImageFile
    volume: DecibelVolume
    title: str = ""
    notes: tuple[str, ...] = ()
    """Lines below the caption."""
    actors: tuple[pyvista.Prop3D, ...] = ()
    """What is drawn of the image now."""
    axes: BoxAxes | None = None
    volumes: dict[DecibelVolume, pyvista.Volume] = field(default_factory=dict)
    """Volumes drawn so far: kept, so that going from one to the other takes no time."""

    def draw(self, look: Look, *, volume: DecibelVolume | None = None, low: float = 0.0, opacity: float = 1.0) -> None:
        """Replace what is drawn of the image.

        Parameters
        ----------
        look : Look
            Its floor is that of the volume.
        volume : DecibelVolume, optional
            A smaller one, to draw fast.
        low : float
            For a volume: level below which it is transparent, 0 to 255.
        opacity : float
            Factor for that of all that is drawn.
        """
        self.plotter.subplot(0, self.column)
        for actor in self.actors:
            if isinstance(actor, pyvista.Volume):
                actor.visibility = False
            else:
                self.plotter.remove_actor(actor, reset_camera=False, render=False)
        volume = volume or self.volume
        if look.kind == "volume":
            self.actors = (self._volume(volume, low, opacity),)
        elif look.kind == "iso":
            self.actors = self._surfaces(volume.to_pyvista(), look.iso_levels, opacity)
        elif look.kind == "slices3d":
            self.actors = self._slices(look.point, opacity)
        else:
            self.actors = self._points(volume, look.points_from, opacity)

        self._write(look, volume, low)

    def _write(self, look: Look, volume: DecibelVolume, low: float) -> None:
        """The caption: what is drawn."""
        lines = [self.title, caption(look)]
        if look.kind == "volume":
            lines = [self.title, f"volume from {volume.decibel(low):.3g} dB"]
        elif look.kind == "slices3d":
            at = place_on(self.image.grid, self._cut(look.point))
            lines[1] += " at " + ", ".join(f"{name} = {at[name]:.4g}" for name in "xyz") + " mm"
        steps = [-(-n // m) for n, m in zip(self.image.grid.shape, volume.grid.shape, strict=True)]
        if max(steps) > 1:
            lines.append(f"largest of {' x '.join(str(n) for n in steps[::-1])} voxels")
        lines += self.notes
        text, name = "\n".join(filter(None, lines)), f"t{self.column}"
        drawn = self.plotter.add_text(
            text, position=(0.012, 0.985), viewport=True, font_size=10, color=INK, name=name, render=False
        )
        drawn.prop.justification_vertical = "top"

    def _cut(self, point: tuple[float, float, float] | None) -> tuple[int, int, int]:
        """The voxel of the image (z, y, x) that slices go through."""
        return self.volume.peak if point is None else nearest_voxel(self.image.grid, point)

    def _volume(self, volume: DecibelVolume, low: float, opacity: float) -> pyvista.Prop3D:
        if volume not in self.volumes:
            self.volumes[volume] = self._new_volume(volume)
        actor = self.volumes[volume]
        ramp = vtkPiecewiseFunction()  # a table of colours would round it to 255ths
        for level, value in enumerate(np.clip(opacity * opacity_ramp(low), 0, 1)):
            ramp.AddPoint(level, value)
        actor.prop.SetScalarOpacity(ramp)
        actor.visibility = True
        return actor

    def _new_volume(self, volume: DecibelVolume) -> pyvista.Volume:
        grid = volume.to_pyvista()
        actor, mapper = pyvista.Volume(), OpenGLGPUVolumeRayCastMapper()
        mapper.dataset = grid
        mapper.SetAutoAdjustSampleDistances(False)
        mapper.SetSampleDistance(STEP * min(grid.spacing))
        mapper.SetImageSampleDistance(1 if volume is self.volume else COARSE)
        colours = pyvista.LookupTable(COLOURS, scalar_range=(0, TOP)).to_color_tf()
        actor.mapper, actor.prop = mapper, pyvista.VolumeProperty(interpolation_type="linear", shade=False)
        actor.prop.SetColor(colours)
        actor.prop.SetScalarOpacityUnitDistance(unit_distance(self.volume.grid))
        name = f"volume{self.column}.{len(self.volumes)}"
        self.plotter.add_actor(actor, name=name, reset_camera=False, render=False)
        return actor

    def _name(self, i: int) -> str:
        """Of an actor; without one, pyvista takes the address of its mesh, which may be used again."""
        return f"image{self.column}.{i}"

    def _surfaces(self, grid: pyvista.ImageData, levels: Sequence[float], factor: float) -> tuple[pyvista.Prop3D, ...]:
        drawn = []
        for i, (decibel, opacity) in enumerate(zip(levels, surface_opacities(len(levels)), strict=True)):
            surface = surface_at(self.volume, decibel, grid=grid)
            if surface.n_points:
                drawn.append(self._mesh(surface, i, opacity=min(1.0, factor * opacity), **SHINE))
        return tuple(drawn)

    def _slices(self, point: tuple[float, float, float] | None, opacity: float) -> tuple[pyvista.Prop3D, ...]:
        cut = slices_at(self.volume, self.image.grid.shape, self._cut(point))
        style = {"lighting": False, "opacity": min(1.0, opacity)}
        return tuple(self._mesh(piece, axis, **style) for axis, piece in enumerate(cut))

    def _points(self, volume: DecibelVolume, low: float, opacity: float) -> tuple[pyvista.Prop3D, ...]:
        levels = volume.levels.reshape(-1)
        index = np.flatnonzero(levels >= np.ceil(self.volume.level(low)))
        if len(index) > MOST_POINTS:
            index = index[np.argpartition(levels[index], -MOST_POINTS)[-MOST_POINTS:]]
        if not len(index):
            return ()
        at = np.unravel_index(index, volume.levels.shape)
        place = np.stack([getattr(volume.grid, n)[i] * 1e3 for n, i in zip("xyz", at[::-1], strict=True)], axis=1)
        drawn, bright = [], levels[index]
        edges = np.linspace(np.ceil(self.volume.level(low)), TOP + 1, len(POINTS) + 1)
        for i, (size, share) in enumerate(POINTS):
            those = (bright >= edges[i]) & (bright < edges[i + 1])
            cloud = pyvista.PolyData(place[those].astype(np.float32))
            cloud.point_data[ARRAY] = bright[those]
            style = {"style": "points", "point_size": size, "lighting": False, "opacity": min(1.0, share * opacity)}
            if those.any():
                drawn.append(self._mesh(cloud, i, **style))
        return tuple(drawn)

    def _mesh(self, mesh: pyvista.DataSet, i: int, **style: object) -> pyvista.Prop3D:
        return self.plotter.add_mesh(
            mesh,
            name=self._name(i),
            scalars=ARRAY,
            clim=(0, TOP),
            cmap=COLOURS,
            show_scalar_bar=False,
            reset_camera=False,
            render=False,
            **style,
        )


@dataclass(kw_only=True, eq=False)
class Scene:
    """A window, or a picture to be, with its images."""

    plotter: pyvista.Plotter
    panes: tuple[Pane, ...]
    look: Look
    bounds: tuple[float, ...]
    """What the camera looks at: all images and the aperture, x, x, y, y, z, z [mm]."""
    raised: float = 0.0
    """How far it stands above the middle, to leave what is below free [half heights of the view]."""

    def aim(self, camera: str) -> None:
        """Look from one of `CAMERAS`, as near as shows everything."""
        direction, up = (np.array(v) for v in CAMERAS[camera])
        parallel = camera != "oblique"
        self._aim(direction, up, parallel=parallel, half=self._half(direction, up, parallel))

    def turn(self, angle: float) -> None:
        """Look as the look's camera does, with the scene turned about the y axis by an angle [rad]."""
        direction, up = (turned(np.array(v), -angle) for v in CAMERAS[self.look.camera])
        edges = np.reshape(self.bounds, (3, 2))
        diagonal = float(np.linalg.norm(edges[:, 1] - edges[:, 0]))
        self._aim(direction, up, parallel=self.look.camera != "oblique", half=0.55 * self._narrow * diagonal)

    @property
    def _narrow(self) -> float:
        """Height of a view over its width where it is higher than wide, else 1."""
        width, height = self.plotter.window_size
        return max(1.0, height * len(self.panes) / width)

    def _half(self, direction: np.ndarray, up: np.ndarray, parallel: bool) -> float:
        """Half the height of a view in which everything is, with room for labels [mm]."""
        width, height = self.plotter.window_size
        forward = -direction / np.linalg.norm(direction)
        right = np.cross(forward, up) / np.linalg.norm(np.cross(forward, up))
        edges = np.reshape(self.bounds, (3, 2))
        corners = np.array(list(product(*edges))) - edges.mean(axis=1)
        across, high = (np.abs(corners @ axis) for axis in (right, np.cross(right, forward)))
        nearer = 0.0 if parallel else -np.tan(HALF_ANGLE) * corners @ forward
        room = (ROOM[0] + 0.2 * (len(self.panes) > 1)) * height * len(self.panes) / width
        return float(max((high * ROOM[1] * (1 + self.raised) + nearer).max(), (across * room + nearer).max()))

    def _aim(self, direction: np.ndarray, up: np.ndarray, *, parallel: bool, half: float) -> None:
        middle = np.reshape(self.bounds, (3, 2)).mean(axis=1)
        for pane in self.panes:
            self.plotter.subplot(0, pane.column)
            view = self.plotter.camera
            view.focal_point, view.up = middle, up
            view.parallel_projection = parallel
            view.SetWindowCenter(BESIDE_BAR * self._narrow, -self.raised)
            view.view_angle = np.degrees(2 * HALF_ANGLE)
            view.parallel_scale = half
            view.position = middle + direction / np.linalg.norm(direction) * half / np.tan(HALF_ANGLE)
            self.plotter.renderer.ResetCameraClippingRange()

    def picture(self) -> np.ndarray:
        """Draw, and return the pixels, (height, width, 3) uint8."""
        self.plotter.render()  # a screenshot alone may be of what was drawn before
        return np.array(self.plotter.screenshot(None, return_img=True))

    def close(self) -> None:
        """Give back what the window holds."""
        self.plotter.close()


def build_scene(
    images: Sequence[Image | ImageFile],
    titles: Sequence[str],
    *,
    look: Look,
    aperture: np.ndarray | None = None,
    plotter: pyvista.Plotter | None = None,
    max_voxels: int = LARGEST,
) -> Scene:
    """The scene of one or more images beside each other.

    Parameters
    ----------
    images, titles : sequences
        As many titles as images, at least one.
    look : Look
        What is drawn.
    aperture : (..., 3) array, optional
        Phase centres [m], drawn as points: `Scan.virtual_position`.
    plotter : pyvista.Plotter, optional
        Of shape (1, number of images); default: one that draws off screen.
    max_voxels : int
        Most voxels of an image to draw.

    Raises
    ------
    GeometryError
        Numbers that differ, an image with a single voxel along an axis, a point outside.
    DeviceError
        Nothing can be drawn here.
    """
    if not images or len(images) != len(titles):
        raise GeometryError(f"view in 3-D: got {len(images)} images and {len(titles)} titles, wanted as many, >= 1")
    volumes = [decibel_volume(image, floor=look.floor, max_voxels=max_voxels) for image in images]
    antennas = None if aperture is None else thinned(aperture)
    if plotter is None:
        size = SIZE.get(len(images), (700 * len(images), 700))
        check_rendering()
        with drawing_into(rendering().window):
            plotter = pyvista.Plotter(off_screen=True, shape=(1, len(images)), window_size=size, border=False)
    panes = []
    for column, (image, volume, title) in enumerate(zip(images, volumes, titles, strict=True)):
        notes = () if antennas is None else (APERTURE_SAID,)
        pane = Pane(plotter=plotter, column=column, image=image, volume=volume, title=title, notes=notes)
        pane.draw(look)
        panes.append(pane)
        _furnish(plotter, pane, look, antennas, bar=column == len(images) - 1)
    bounds = bounds_round([volume.bounds for volume in volumes], antennas)
    scene = Scene(plotter=plotter, panes=tuple(panes), look=look, bounds=bounds)
    if len(images) > 1:
        plotter.link_views()
    scene.aim(look.camera)
    return scene


def _furnish(plotter: pyvista.Plotter, pane: Pane, look: Look, antennas: np.ndarray | None, *, bar: bool) -> None:
    """Background, axes in mm over the grid, aperture, captions, colour bar."""
    pane.axes = BoxAxes(plotter, pane.volume.bounds, name=f"box{pane.column}")
    if antennas is not None:
        draw_aperture(plotter, antennas, name=f"aperture{pane.column}")
    if mark := learned_mark([pane.image]):
        plotter.add_text(mark, position="lower_left", font_size=8, color=INK, name=f"mark{pane.column}")
    if bar:
        mapper = pyvista.DataSetMapper(pyvista.PolyData())
        mapper.lookup_table = pyvista.LookupTable(COLOURS, scalar_range=(look.floor, 0.0))
        plotter.add_scalar_bar(
            title="dB re peak\n",
            mapper=mapper,
            vertical=True,
            position_x=0.9,
            position_y=0.2,
            width=0.06,
            height=0.6,
            n_labels=6,
            fmt="%.0f",
            title_font_size=16,
            label_font_size=16,
            color=INK,
            render=False,
        )


def caption(look: Look) -> str:
    """What is drawn, in words."""
    if look.kind == "iso":
        return f"isosurfaces at {', '.join(f'{level:g}' for level in look.iso_levels)} dB"
    if look.kind == "points":
        return f"voxels above {look.points_from:.3g} dB"
    return "" if look.kind == "volume" else "slices"
