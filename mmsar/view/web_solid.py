"""The volume of the served page: drawn by this machine, sent as pictures, coarser while the mouse turns it."""

from collections.abc import Sequence

import numpy as np
import pyvista
from vtkmodules.vtkRenderingVolumeOpenGL2 import vtkOpenGLGPUVolumeRayCastMapper

from mmsar.model.image import Image
from mmsar.view.look import Look
from mmsar.view.rendering import drawing_into
from mmsar.view.volume import Scene, build_scene
from mmsar.view.web_scene import WINDOW

VOXELS = 128**3
"""Most voxels drawn: without a graphics card, too, the volume has to follow the mouse."""
STILL, DRAGGED = 2.0, 4.0
"""Pixels from ray to ray; what lies between is interpolated. Axes and letters keep every pixel."""


class SolidView:
    """A window that browsers see the pictures of; made anew for no image, so that they stay connected to it.

    Parameters
    ----------
    look : Look
        Its floor and camera hold for all images.
    window : str
        VTK's class to draw into, of a trial that succeeded.
    aperture : (..., 3) array, optional
        Phase centres [m], drawn as points.
    """

    def __init__(self, *, look: Look, window: str, aperture: np.ndarray | None = None) -> None:
        self._aperture = aperture
        self.look = Look(kind="volume", floor=look.floor, camera=look.camera)
        with drawing_into(window):
            self.plotter = pyvista.Plotter(off_screen=True, window_size=WINDOW)
        self.scene: Scene | None = None
        """None until an image is shown."""
        self._mapper = vtkOpenGLGPUVolumeRayCastMapper()
        self._mapper.SetAutoAdjustSampleDistances(False)
        self._mapper.SetImageSampleDistance(STILL)
        style = self.plotter.iren.interactor.GetInteractorStyle()
        style.AddObserver("StartInteractionEvent", lambda *_: self._mapper.SetImageSampleDistance(DRAGGED))
        style.AddObserver("EndInteractionEvent", lambda *_: self._mapper.SetImageSampleDistance(STILL))

    def show(self, image: Image, title: str, *, shape: Sequence[int]) -> None:
        """Take another image; the camera stays where both fill the same space.

        `shape` is one of the view (width, height) [pixel] for the camera to be aimed for: browsers tell this window
        how large it is only while they show it.
        """
        before = self.scene
        camera = self.plotter.camera.copy() if before is not None else None
        self.plotter.clear()
        self.scene = build_scene(
            [image], [title], look=self.look, aperture=self._aperture, plotter=self.plotter, max_voxels=VOXELS
        )
        if before is not None and before.bounds == self.scene.bounds:
            self.plotter.camera = camera
        else:
            self.aim(self.look.camera, shape=shape)

    def draw(self, level: float) -> None:
        """Draw nothing below a level [dB re peak]."""
        (pane,) = self.scene.panes
        pane.draw(self.look, low=max(0.0, pane.volume.level(level)))
        (actor,) = pane.actors
        self._mapper.SetInputData(actor.GetMapper().GetInput())
        self._mapper.SetSampleDistance(1e3 * min(pane.volume.grid.spacing))
        actor.SetMapper(self._mapper)

    def aim(self, camera: str, *, shape: Sequence[int]) -> None:
        """Look from one of `mmsar.view.look.CAMERAS`; `shape` as in `show`."""
        before = self.plotter.window_size
        self.plotter.window_size = shape
        self.scene.aim(camera)
        self.plotter.window_size = before

    def picture(self) -> np.ndarray:
        """What is drawn, (height, width, 3) uint8."""
        return self.scene.picture()
