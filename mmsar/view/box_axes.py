"""Axes round a box in three dimensions: ticks at round numbers, upright labels that do not collide, titles in mm.

For each axis one of the four edges that run along it is ticked: of those on the outline of the box as it is seen, the
lowest, or the leftmost where the edge stands upright. An axis that points at the viewer has no ticks. All of it is
placed anew before every picture, in pixels.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pyvista
from matplotlib.ticker import MaxNLocator
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkCoordinate, vtkPolyDataMapper2D, vtkRenderer, vtkTextActor

from mmsar.view.extents import STEPS
from mmsar.view.solids import INK, edges_of

TICK, GAP = 7.0, 5.0
"""Length of a tick, and its distance from the label [pixel]."""
APART = 75.0
"""Least distance of ticks [pixel]."""
SHORTEST = 40.0
"""Axes that are seen shorter have no ticks [pixel]."""
LETTERS = 17
MOST = 12
"""Labels of an axis."""


class BoxAxes:
    """The twelve edges of a box, of which up to three are ticked.

    Parameters
    ----------
    plotter : pyvista.Plotter
        Drawn into its current part.
    bounds : sequence of 6 float
        x, x, y, y, z, z [mm].
    name : str
        Of the actor of the edges.
    """

    def __init__(self, plotter: pyvista.Plotter, bounds: Sequence[float], *, name: str) -> None:
        plotter.set_background("white")
        plotter.add_mesh(edges_of(bounds), name=name, color="grey", lighting=False, reset_camera=False, render=False)
        self.bounds = np.reshape(bounds, (3, 2))
        self.renderer: vtkRenderer = plotter.renderer
        self._lines = vtkPolyData()
        mapper, pixels = vtkPolyDataMapper2D(), vtkCoordinate()
        pixels.SetCoordinateSystemToDisplay()
        mapper.SetInputData(self._lines)
        mapper.SetTransformCoordinate(pixels)
        actor = vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*pyvista.Color(INK).float_rgb)
        self.renderer.AddViewProp(actor)
        self._texts = [self._text() for _ in range(3 * (MOST + 1))]
        self.renderer.AddObserver("StartEvent", lambda *_: self.place())

    def _text(self) -> vtkTextActor:
        text = vtkTextActor()
        text.GetPositionCoordinate().SetCoordinateSystemToDisplay()
        style = text.GetTextProperty()
        style.SetFontFamilyToArial()
        style.SetFontSize(LETTERS)
        style.SetColor(*pyvista.Color(INK).float_rgb)
        self.renderer.AddViewProp(text)
        return text

    @property
    def labels(self) -> list[tuple[str, tuple[float, float]]]:
        """The texts that are shown, and where: pixels from the lower left corner of the window."""
        return [(text.GetInput(), text.GetPosition()) for text in self._texts if text.GetVisibility()]

    def place(self) -> None:
        """Ticks and labels where the camera sees them."""
        for text in self._texts:
            text.SetVisibility(False)
        free, segments, taken = iter(self._texts), [], []
        middle = self.seen(self.bounds.mean(axis=1))[0]
        edges = [(axis, *edge) for axis in range(3) if (edge := self._edge(axis)) is not None]
        for axis, ends, seen in edges:
            along = (seen[1] - seen[0]) / np.linalg.norm(seen[1] - seen[0])
            outward = np.array([-along[1], along[0]])
            if outward @ (seen.mean(axis=0) - middle) < 0:
                outward = -outward
            values = self._ticks(axis, float(np.linalg.norm(seen[1] - seen[0])))
            places = np.repeat(ends[:1], len(values), axis=0)
            places[:, axis] = values
            reach = 0.0
            for value, at in zip(values, self.seen(places), strict=True):
                segments.append((at, at + TICK * outward))
                box = self._write(next(free), f"{value:g}", at + (TICK + GAP) * outward, outward, taken)
                if box is not None:
                    size = np.array([box[2] - box[0], box[3] - box[1]])
                    reach = max(reach, float(np.abs(outward) @ size))
            title = seen.mean(axis=0) + (TICK + 2.5 * GAP + reach) * outward
            self._write(next(free), f"{'xyz'[axis]} [mm]", title, outward, [])
            segments.append((seen[0], seen[1]))
        self._draw(segments)

    def _edge(self, axis: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Ends of the edge to tick, (2, 3) [mm], and where they are seen, (2, 2) [pixel]."""
        others = [other for other in range(3) if other != axis]
        found = []
        for sides in product((0, 1), repeat=2):
            if self._faces(others[0], sides[0]) == self._faces(others[1], sides[1]):
                continue  # inside the outline, or behind
            ends = np.empty((2, 3))
            ends[:, axis] = self.bounds[axis]
            for other, side in zip(others, sides, strict=True):
                ends[:, other] = self.bounds[other, side]
            seen = self.seen(ends)
            across, up = np.abs(seen[1] - seen[0])
            if np.hypot(across, up) >= SHORTEST:
                low = seen[:, 0 if up > 2 * across else 1].mean()
                found.append((low, ends, seen))
        if not found:
            return None
        _, ends, seen = min(found, key=lambda edge: edge[0])
        return ends, seen

    def _faces(self, axis: int, side: int) -> bool:
        """Whether a face of the box is turned to the camera."""
        camera = self.renderer.GetActiveCamera()
        if camera.GetParallelProjection():
            towards = -camera.GetDirectionOfProjection()[axis]
            towards = 0.0 if abs(towards) < 1e-6 else towards
        else:
            towards = camera.GetPosition()[axis] - self.bounds[axis, side]
        return (towards if side else -towards) > 0

    def seen(self, places: np.ndarray) -> np.ndarray:
        """Where places (n, 3) [mm] are seen, (n, 2) [pixel from the lower left corner of the window]."""
        camera = self.renderer.GetActiveCamera()
        found = camera.GetCompositeProjectionTransformMatrix(self.renderer.GetTiledAspectRatio(), -1, 1)
        matrix = pyvista.array_from_vtkmatrix(found)
        clip = np.column_stack([np.atleast_2d(places), np.ones(len(np.atleast_2d(places)))]) @ matrix.T
        share = (clip[:, :2] / clip[:, 3:] + 1) / 2
        return np.array(self.renderer.GetOrigin()) + share * np.array(self.renderer.GetSize())

    def _ticks(self, axis: int, length: float) -> np.ndarray:
        low, high = self.bounds[axis]
        bins = int(np.clip(length / APART, 2, MOST - 2))
        values = MaxNLocator(nbins=bins, steps=STEPS, min_n_ticks=2).tick_values(low, high)
        return values[(values >= low) & (values <= high)] + 0.0

    def _write(
        self, text: vtkTextActor, words: str, at: np.ndarray, outward: np.ndarray, taken: list[np.ndarray]
    ) -> np.ndarray | None:
        """Show a text beside a place, unless it would cover another; returns its box (x, y, x, y) [pixel]."""
        text.SetInput(words)
        style = text.GetTextProperty()
        across, up = (0 if abs(part) < 0.4 else int(np.sign(part)) for part in outward)
        style.SetJustification((1, 0, 2)[across])
        style.SetVerticalJustification((1, 0, 2)[up])
        size = [0.0, 0.0]
        text.GetSize(self.renderer, size)
        low = at + (np.array([across, up]) - 1) / 2 * size
        box = np.concatenate([low, low + size])
        margin = np.array([-4, -2, 4, 2])
        if any(np.all(box[:2] < other[2:]) and np.all(other[:2] < box[2:]) for other in taken):
            return None
        taken.append(box + margin)
        text.SetPosition(*at)
        text.SetVisibility(True)
        return box

    def _draw(self, segments: list[tuple[np.ndarray, np.ndarray]]) -> None:
        points, cells = vtkPoints(), vtkCellArray()
        for ends in segments:
            cells.InsertNextCell(2)
            for x, y in ends:
                cells.InsertCellPoint(points.InsertNextPoint(x, y, 0.0))
        self._lines.SetPoints(points)
        self._lines.SetLines(cells)
