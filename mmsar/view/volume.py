"""Images in three dimensions, drawn by pyvista: volume, isosurfaces, orthogonal slices or points, with the aperture.

Ask `mmsar.view.rendering.rendering` first whether this machine can draw: where a GL library is missing, drawing ends
the process. Images stand side by side, each in dB relative to its own peak, under one camera. Axes are in millimetres
over the whole grid, whatever part of it is bright.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvista
from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction

from mmsar.core.progress import progress
from mmsar.errors import FormatError, GeometryError
from mmsar.io.atomic import atomic_path
from mmsar.model.image import Image
from mmsar.view.decibel_volume import ARRAY, TOP, DecibelVolume, decibel_volume, opacity_ramp, unit_distance
from mmsar.view.look import CAMERAS, Look, turned
from mmsar.view.marks import learned_mark
from mmsar.view.movie import check_movie, write_movie, write_picture
from mmsar.view.panels import COLOURS
from mmsar.view.rendering import drawing_into, rendering
from mmsar.view.solids import (
    APERTURE_SAID,
    INK,
    bounds_round,
    draw_aperture,
    draw_axes,
    slices_at,
    surface_at,
    surface_opacities,
    thinned,
)
from mmsar.view.views import voxel_at

PICTURES = (".png",)
MOVIES = (".gif", ".mp4")
SIZE = {1: (1200, 900), 2: (1700, 850)}
"""Picture of so many images [pixel]; more get 700 x 700 each."""
MOVIE_VOXELS = 192**3
FRAMES, PER_SECOND = 48, 12
MOST_POINTS = 100_000
BESIDE_BAR = 0.08
"""How far the scene stands to the left of the middle, to leave the colour bar free [half widths of the view]."""


@dataclass(kw_only=True, eq=False)
class Pane:
    """One image in its part of the window: what is drawn of it can be changed."""

    plotter: pyvista.Plotter
    column: int
    image: Image
    volume: DecibelVolume
    title: str = ""
    actors: tuple[pyvista.Prop3D, ...] = ()
    """What is drawn of the image now."""

    def draw(self, look: Look, *, volume: DecibelVolume | None = None, low: float = 0.0) -> None:
        """Replace what is drawn of the image.

        Parameters
        ----------
        look : Look
            Its floor is that of the volume.
        volume : DecibelVolume, optional
            A smaller one, to draw fast.
        low : float
            For a volume: level below which it is transparent, 0 to 255.
        """
        self.plotter.subplot(0, self.column)
        for actor in self.actors:
            self.plotter.remove_actor(actor, reset_camera=False, render=False)
        volume = volume or self.volume
        grid = volume.to_pyvista()
        if look.kind == "volume":
            self.actors = (self._volume(grid, low),)
        elif look.kind == "iso":
            self.actors = self._surfaces(grid, look.iso_levels)
        elif look.kind == "slices3d":
            self.actors = self._slices(look.point)
        else:
            self.actors = self._points(volume, look.points_from)

    def _volume(self, grid: pyvista.ImageData, low: float) -> pyvista.Prop3D:
        actor = self.plotter.add_volume(
            grid,
            scalars=ARRAY,
            clim=(0, TOP),
            cmap=COLOURS,
            name=self._name(0),
            opacity_unit_distance=unit_distance(self.volume.grid),
            shade=False,
            show_scalar_bar=False,
            reset_camera=False,
            render=False,
        )
        opacity = vtkPiecewiseFunction()  # the table of colours would round it to 255ths
        for level, value in enumerate(opacity_ramp(low)):
            opacity.AddPoint(level, value)
        actor.prop.SetScalarOpacity(opacity)
        actor.prop.interpolation_type = "linear"
        return actor

    def _name(self, i: int) -> str:
        """Of an actor; without one, pyvista takes the address of its mesh, which may be used again."""
        return f"image{self.column}.{i}"

    def _surfaces(self, grid: pyvista.ImageData, levels: Sequence[float]) -> tuple[pyvista.Prop3D, ...]:
        drawn = []
        for i, (decibel, opacity) in enumerate(zip(levels, surface_opacities(len(levels)), strict=True)):
            surface = surface_at(self.volume, decibel, grid=grid)
            if surface.n_points:
                drawn.append(self._mesh(surface, i, opacity=opacity, smooth_shading=True))
        return tuple(drawn)

    def _slices(self, point: tuple[float, float, float] | None) -> tuple[pyvista.Prop3D, ...]:
        cut = slices_at(self.volume, self.image.data.shape, voxel_at(self.image, point))
        return tuple(self._mesh(piece, axis, lighting=False) for axis, piece in enumerate(cut))

    def _points(self, volume: DecibelVolume, low: float) -> tuple[pyvista.Prop3D, ...]:
        levels = volume.levels.reshape(-1)
        index = np.flatnonzero(levels >= np.ceil(self.volume.level(low)))
        if len(index) > MOST_POINTS:
            index = index[np.argpartition(levels[index], -MOST_POINTS)[-MOST_POINTS:]]
        if not len(index):
            return ()
        at = np.unravel_index(index, volume.levels.shape)
        place = np.stack([getattr(volume.grid, n)[i] * 1e3 for n, i in zip("xyz", at[::-1], strict=True)], axis=1)
        cloud = pyvista.PolyData(place.astype(np.float32))
        cloud.point_data[ARRAY] = levels[index]
        return (self._mesh(cloud, 0, style="points", point_size=5, lighting=False),)

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

    def aim(self, camera: str) -> None:
        """Look from one of `CAMERAS`."""
        direction, up = (np.array(v) for v in CAMERAS[camera])
        self._aim(direction, up, parallel=camera != "oblique")

    def turn(self, angle: float) -> None:
        """Look as the look's camera does, with the scene turned about the y axis by an angle [rad]."""
        direction, up = (turned(np.array(v), -angle) for v in CAMERAS[self.look.camera])
        self._aim(direction, up, parallel=self.look.camera != "oblique")

    def _aim(self, direction: np.ndarray, up: np.ndarray, *, parallel: bool) -> None:
        edges = np.reshape(self.bounds, (3, 2))
        middle = edges.mean(axis=1)
        width, height = self.plotter.window_size
        narrow = max(1.0, height * len(self.panes) / width)
        radius = (0.95 if narrow == 1 else 1.02) * narrow * float(np.linalg.norm(edges[:, 1] - edges[:, 0])) / 2
        for pane in self.panes:
            self.plotter.subplot(0, pane.column)
            view = self.plotter.camera
            view.focal_point, view.up = middle, up
            view.parallel_projection = parallel
            view.SetWindowCenter(BESIDE_BAR * narrow, 0.0)
            view.view_angle = 30
            view.parallel_scale = radius
            view.position = middle + direction / np.linalg.norm(direction) * radius / np.sin(np.deg2rad(15))
            self.plotter.renderer.ResetCameraClippingRange()

    def picture(self) -> np.ndarray:
        """Draw, and return the pixels, (height, width, 3) uint8."""
        self.plotter.render()  # a screenshot alone may be of what was drawn before
        return np.array(self.plotter.screenshot(None, return_img=True))

    def close(self) -> None:
        """Give back what the window holds."""
        self.plotter.close()


def build_scene(
    images: Sequence[Image],
    titles: Sequence[str],
    *,
    look: Look,
    aperture: np.ndarray | None = None,
    plotter: pyvista.Plotter | None = None,
    max_voxels: int | None = None,
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
    max_voxels : int, optional
        Most voxels of an image to draw.

    Raises
    ------
    GeometryError
        Numbers that differ, an image with a single voxel along an axis, a point outside.
    """
    if not images or len(images) != len(titles):
        raise GeometryError(f"view in 3-D: got {len(images)} images and {len(titles)} titles, wanted as many, >= 1")
    limit = {} if max_voxels is None else {"max_voxels": max_voxels}
    volumes = [decibel_volume(image, floor=look.floor, **limit) for image in images]
    antennas = None if aperture is None else thinned(aperture)
    if plotter is None:
        size = SIZE.get(len(images), (700 * len(images), 700))
        plotter = pyvista.Plotter(off_screen=True, shape=(1, len(images)), window_size=size, border=False)
    panes = []
    for column, (image, volume, title) in enumerate(zip(images, volumes, titles, strict=True)):
        pane = Pane(plotter=plotter, column=column, image=image, volume=volume, title=title)
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
    draw_axes(plotter, pane.volume.bounds, name=f"box{pane.column}")
    if antennas is not None:
        draw_aperture(plotter, antennas, name=f"aperture{pane.column}")
    lines = [pane.title, caption(look)] + ([APERTURE_SAID] if antennas is not None else [])
    plotter.add_text(
        "\n".join(filter(None, lines)), position="upper_left", font_size=9, color=INK, name=f"t{pane.column}"
    )
    if mark := learned_mark([pane.image]):
        plotter.add_text(mark, position="lower_left", font_size=8, color=INK, name=f"mark{pane.column}")
    if bar:
        mapper = pyvista.DataSetMapper(pyvista.PolyData())
        mapper.lookup_table = pyvista.LookupTable(COLOURS, scalar_range=(look.floor, 0.0))
        plotter.add_scalar_bar(
            title="dB re peak",
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


def save_scene(
    images: Sequence[Image],
    path: str | os.PathLike[str],
    *,
    titles: Sequence[str],
    look: Look,
    aperture: np.ndarray | None = None,
) -> None:
    """Write a picture (.png), or one turn about the y axis (.gif; .mp4 with imageio-ffmpeg); complete or not at all.

    Parameters
    ----------
    images, titles, look, aperture
        As for `build_scene`.
    path : path
        Ending in .png, .gif or .mp4.

    Raises
    ------
    FormatError
        Another ending, or a folder that is not there.
    MmsarError
        An .mp4 without imageio-ffmpeg.
    GeometryError
        As `build_scene`.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in PICTURES + MOVIES:
        raise FormatError(f"{target}: got the ending {ending!r}, wanted one of {', '.join(PICTURES + MOVIES)}")
    if ending in MOVIES:
        check_movie(target)
    with atomic_path(target) as part, drawing_into(rendering().window):
        limit = MOVIE_VOXELS if ending in MOVIES else None
        scene = build_scene(images, titles, look=look, aperture=aperture, max_voxels=limit)
        try:
            if ending in MOVIES:
                write_movie(turntable(scene), part, per_second=PER_SECOND)
            else:
                write_picture(scene.picture(), part)
        finally:
            scene.close()


def turntable(scene: Scene) -> Iterator[np.ndarray]:
    """Pictures of one turn about the y axis."""
    for i in progress(range(FRAMES), "turning"):
        scene.turn(2 * np.pi * i / FRAMES)
        yield scene.picture()
