"""The scene that a browser draws itself: surfaces or slices of an image, sent as triangles; nothing is drawn here.

The browser knows the parts of a scene by their place in memory, so the same actors stay from beginning to end: only
their contents change. A part that went and another that came at its place would be taken for the same.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyvista
from trame_vtk.modules.vtk.serializers import (
    SynchronizationContext,
    extract_array_hash,
    initialize_serializers,
    reference_id,
    serialize,
)
from trame_vtk.modules.vtk.serializers.actors import cube_axes_serializer
from trame_vtk.modules.vtk.serializers.registry import register_instance_serializer
from vtkmodules.vtkCommonCore import vtkLogger

from mmsar.model.image import Image
from mmsar.view.decibel_volume import ARRAY, TOP, DecibelVolume, decibel_volume
from mmsar.view.look import Look
from mmsar.view.panels import COLOURS
from mmsar.view.rendering import drawing_into
from mmsar.view.solids import (
    bounds_round,
    draw_aperture,
    draw_axes,
    edges_of,
    slices_at,
    surface_at,
    surface_opacities,
    thinned,
)
from mmsar.view.volume import Pane, Scene

VOXELS = 256**3
"""Most voxels of an image that the triangles are made from."""
COARSE = 128**3
"""Most voxels where the triangles would be more than `MOST_TRIANGLES`: what is near its floor fills space with them."""
MOST_TRIANGLES = 500_000
"""Triangles that are sent: about 9 MB."""
SURFACES = 3
OUTERMOST = 0.28
"""Opacity of the surface round others: vtk.js shows faint ones fainter than VTK does."""
WINDOW = (960, 1000)
"""Shape of the browser's view that cameras are aimed for [pixel]."""
NO_SCREEN = "vtkOSOpenGLRenderWindow"
"""A window of VTK that looks for no display; it is never drawn into."""
TITLES = ("x [mm]", "y [mm]", "z [mm]")
FONT = {"fontColor": "#000000", "fontStyle": "normal", "fontFamily": "sans-serif"}
GRID_GREY = 0.72


class BrowserScene:
    """An image as surfaces or slices with axes in millimetres.

    Parameters
    ----------
    image : Image
        Shown first; at least two voxels along each axis.
    look : Look
        Its floor and camera hold for all images.
    aperture : (..., 3) array, optional
        Phase centres [m], drawn as points.
    """

    def __init__(self, image: Image, *, look: Look, aperture: np.ndarray | None = None) -> None:
        self.look = look
        self.plotter = undrawn_plotter()
        self.surfaces = [self._actor(f"surface{i}", smooth_shading=True) for i in range(SURFACES)]
        self.slices = [self._actor(f"slice{i}", lighting=False) for i in range(3)]
        self._bounds: tuple[float, ...] = ()
        self.image, self.volume = image, browser_volume(image, look.floor)
        draw_axes(self.plotter, self.volume.bounds, name="box")
        self._antennas = None if aperture is None else thinned(aperture)
        if self._antennas is not None:
            draw_aperture(self.plotter, self._antennas, name="aperture")
        self._box = self.plotter.actors["box"]
        axes = self.plotter.renderer.cube_axes_actor
        for part in "XYZ":
            getattr(axes, f"Get{part}AxesLinesProperty")().SetColor(GRID_GREY, GRID_GREY, GRID_GREY)
        self.show(image, self.volume)

    def show(self, image: Image, volume: DecibelVolume) -> None:
        """Take another image; the camera stays where both fill the same space."""
        self.image, self.volume = image, volume
        self._coarse_volume: DecibelVolume | None = None
        if volume.bounds != self._bounds:
            self._bounds = volume.bounds
            self._box.mapper.dataset = edges_of(volume.bounds)
            self.plotter.renderer.cube_axes_actor.bounds = volume.bounds
            self.aim(self.look.camera)

    def aim(self, camera: str) -> None:
        """Look from one of `mmsar.view.look.CAMERAS`."""
        pane = Pane(plotter=self.plotter, column=0, image=self.image, volume=self.volume)
        bounds = bounds_round([self._bounds], self._antennas)
        Scene(plotter=self.plotter, panes=(pane,), look=self.look, bounds=bounds).aim(camera)

    def fit(self, aspect: float) -> None:
        """From now on aim for views of another shape, width to height; a margin is left for the letters outside."""
        self.plotter.window_size = (min(round(WINDOW[1] * aspect * 0.9), WINDOW[0]), WINDOW[1])

    def draw_surfaces(self, levels: Sequence[float]) -> str:
        """Draw surfaces at levels [dB re peak], lowest first, at most three; returns what is to be said of them."""
        self._hide(self.slices)
        said = f"isosurfaces at {', '.join(f'{level:g}' for level in levels)} dB"
        surfaces = [surface_at(self.volume, level) for level in levels]
        if sum(surface.n_cells for surface in surfaces) > MOST_TRIANGLES:
            coarse = self._coarse()
            surfaces = [surface_at(coarse, level) for level in levels]
            shapes = zip(self.image.data.shape[::-1], coarse.grid.shape[::-1], strict=True)
            said += f", of blocks of {' x '.join(str(-(-n // m)) for n, m in shapes)} voxels"
        for actor, surface, opacity in zip(
            self.surfaces, surfaces, surface_opacities(len(levels), outermost=OUTERMOST), strict=False
        ):
            actor.visibility = bool(surface.n_points)
            if surface.n_points:
                normals = {"cell_normals": False, "consistent_normals": False, "split_vertices": False}
                actor.mapper.dataset = surface.compute_normals(**normals)
                actor.prop.opacity = opacity
        self._hide(self.surfaces[len(levels) :])
        return said if any(surface.n_points for surface in surfaces) else f"nothing above {levels[0]:g} dB"

    def _coarse(self) -> DecibelVolume:
        """The image in fewer voxels, for surfaces of very many triangles."""
        if self._coarse_volume is None:
            self._coarse_volume = decibel_volume(self.image, floor=self.look.floor, max_voxels=COARSE)
        return self._coarse_volume

    def draw_slices(self, at: Sequence[int]) -> None:
        """Draw the three slices through a voxel of the image (z, y, x)."""
        self._hide(self.surfaces)
        for actor, piece in zip(self.slices, slices_at(self.volume, self.image.data.shape, at), strict=True):
            actor.mapper.dataset = piece.extract_surface(algorithm="geometry")
            actor.visibility = True

    def close(self) -> None:
        """Give back what the scene holds."""
        self.plotter.close()

    @staticmethod
    def _hide(actors: Sequence[pyvista.Actor]) -> None:
        for actor in actors:
            actor.visibility = False

    def _actor(self, name: str, **style: object) -> pyvista.Actor:
        """One that shows levels in colours, with nothing in it yet."""
        mesh = pyvista.PolyData(np.eye(3, dtype=np.float32), [3, 0, 1, 2])
        mesh.point_data[ARRAY] = np.zeros(3, np.uint8)
        actor = self.plotter.add_mesh(
            mesh,
            name=name,
            scalars=ARRAY,
            clim=(0, TOP),
            cmap=COLOURS,
            show_scalar_bar=False,
            reset_camera=False,
            render=False,
            **style,
        )
        actor.visibility = False
        return actor


def undrawn_plotter() -> pyvista.Plotter:
    """One that is never drawn into, so that it may be made where nothing can be drawn."""
    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)  # it would say that no library is there to draw with
    try:
        with drawing_into(NO_SCREEN):
            return pyvista.Plotter(off_screen=True, window_size=WINDOW)
    finally:
        vtkLogger.SetStderrVerbosity(before)


def browser_volume(image: Image, floor: float) -> DecibelVolume:
    """The volume that triangles are made from, of no more than `VOXELS`."""
    return decibel_volume(image, floor=floor, max_voxels=VOXELS)


def use_titled_axes() -> None:
    """Have axes reach the browser with their titles in mm, in the page's letters; after trame has set up its own."""
    register_instance_serializer("vtkCubeAxesActor", _titled_axes)


def _titled_axes(parent: Any, actor: Any, name: str, context: Any, depth: int) -> dict[str, Any] | None:
    found = cube_axes_serializer(parent, actor, name, context, depth)
    if found is not None:
        found["properties"] |= {
            "axisLabels": list(TITLES),
            "dataBounds": actor.GetBounds(),
            "axisTitlePixelOffset": 46.0,
            "axisTextStyle": {**FONT, "fontSize": 17},
            "tickTextStyle": {**FONT, "fontSize": 14},
        }
    return found


def packed(plotter: pyvista.Plotter) -> bytes:
    """A scene as the zip file that vtk.js reads: made without a server, and without drawing."""
    initialize_serializers()
    use_titled_axes()
    context = SynchronizationContext()
    context.set_ignore_last_dependencies(True)
    window = plotter.render_window
    scene = serialize(None, window, reference_id(window), context, 1)
    arrays = {}
    for entry in extract_array_hash(scene):
        arrays[entry["hash"]] = {**entry, "content": context.get_cached_data_array(entry["hash"], False)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", json.dumps({"hashes": arrays, "scene": scene}))
    return file.getvalue()
