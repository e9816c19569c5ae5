"""Whether pictures in three dimensions can be drawn here: tried out in a process of its own.

A missing GL library ends the first rendering by a segmentation fault, which cannot be caught; so a sphere is drawn in
a subprocess first. Nothing here imports pyvista.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from mmsar.errors import DeviceError

MESA = "on Debian or Ubuntu: sudo apt install libegl1 libgl1-mesa-dri"
PYVISTA = "pyvista is not installed; pip install 'mmsar[viz]'"
WINDOW = "VTK_DEFAULT_OPENGL_WINDOW"
"""Environment variable by which VTK is told what to draw into."""

SPHERE = """
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
import vtkmodules.vtkRenderingOpenGL2
ball, mapper, actor = vtkSphereSource(), vtkPolyDataMapper(), vtkActor()
renderer, window = vtkRenderer(), vtkRenderWindow()
mapper.SetInputConnection(ball.GetOutputPort())
actor.SetMapper(mapper)
renderer.AddActor(actor)
window.SetOffScreenRendering(True)
window.SetSize(64, 64)
window.AddRenderer(renderer)
window.Render()
pixels = vtkUnsignedCharArray()
window.GetPixelData(0, 0, 63, 63, 1, pixels, 0)
low, high = pixels.GetRange(0)
assert high > low, "the picture is empty"
print(window.GetClassName())
"""
"""Draws with VTK alone, which takes a third of the time that pyvista takes."""


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What the trial found."""

    window: str = ""
    """VTK's class that was drawn into, as vtkEGLRenderWindow; empty where nothing could be drawn."""
    fault: str = ""
    """Why nothing can be drawn, and what to do; empty where it can."""


def try_rendering(code: str = SPHERE, *, timeout: float = 120.0) -> Rendering:
    """Run a drawing in a subprocess.

    Parameters
    ----------
    code : str
        Python that draws and prints what it drew into.
    timeout : float
        Longest time it may take [s].
    """
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return Rendering(fault=f"no picture within {timeout:g} s; {MESA}")
    if done.returncode == 0:
        return Rendering(window=(done.stdout.split() or [""])[-1])
    if done.returncode < 0:
        return Rendering(fault=f"the renderer was ended by signal {-done.returncode}; {MESA}")
    last = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
    return Rendering(fault=f"{last}; {MESA}")


@lru_cache(maxsize=1)
def start_rendering() -> "Future[Rendering]":
    """Begin to try whether this machine draws off screen, once per process, while this process does something else."""
    if not find_spec("pyvista"):
        found: Future[Rendering] = Future()
        found.set_result(Rendering(fault=PYVISTA))
        return found
    pool = ThreadPoolExecutor(1)
    found = pool.submit(try_rendering)
    pool.shutdown(wait=False)
    return found


def rendering() -> Rendering:
    """Whether this machine draws off screen."""
    return start_rendering().result()


def check_rendering(*, wait: bool = True) -> None:
    """DeviceError where nothing can be drawn, with what to do; without waiting only where that is known already."""
    trial = start_rendering()
    if (wait or trial.done()) and (fault := trial.result().fault):
        raise DeviceError(f"3-D cannot be drawn here: {fault}")


@contextmanager
def drawing_into(window: str) -> Iterator[None]:
    """Have VTK draw into a class of window without trying others first, each of which would print a warning."""
    before = os.environ.get(WINDOW)
    if window:
        os.environ[WINDOW] = window
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(WINDOW, None)
        else:
            os.environ[WINDOW] = before


def has_display() -> bool:
    """Whether there is a display to open a window on."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
