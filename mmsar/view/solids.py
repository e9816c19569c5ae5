"""Pieces of a scene in three dimensions, of pyvista: surfaces and slices of a volume, and the axes round it, in mm."""

from collections.abc import Sequence

import numpy as np
import pyvista

from mmsar.view.decibel_volume import ARRAY, DecibelVolume

INK = "black"
MOST_ANTENNAS = 20_000
APERTURE_COLOUR, APERTURE_SAID = "tab:red", "red: phase centres"


def surface_at(volume: DecibelVolume, decibel: float, *, grid: pyvista.ImageData | None = None) -> pyvista.PolyData:
    """The surface on which a volume has a level [dB re peak]; without points where it has none.

    Parameters
    ----------
    volume : DecibelVolume
        Its levels are bytes: the surface is laid between two of them, so that no plateau lies on it.
    decibel : float
        Between the volume's floor and 0.
    grid : pyvista.ImageData, optional
        Other voxels of the same range to draw it from, as a smaller volume's.
    """
    level = np.floor(volume.level(decibel)) + 0.5
    return (volume.to_pyvista() if grid is None else grid).contour([level], scalars=ARRAY, method="flying_edges")


def surface_opacities(count: int, *, outermost: float = 0.18) -> list[float]:
    """Opacity of so many surfaces inside each other, the outermost first: it hides little of those within."""
    if count == 1:
        return [1.0]
    return [outermost + (1 - outermost) * (i / (count - 1)) ** 1.5 for i in range(count)]


def slices_at(volume: DecibelVolume, full: Sequence[int], at: Sequence[int]) -> list[pyvista.ImageData]:
    """The slices of a volume across x, y and z through a voxel of its image.

    Parameters
    ----------
    volume : DecibelVolume
        Of the image, or of blocks of its voxels.
    full : (3,) int
        Shape of the image (z, y, x).
    at : (3,) int
        Index of the voxel in the image (z, y, x).
    """
    grid = volume.to_pyvista()
    steps = [-(-n // m) for n, m in zip(full, volume.grid.shape, strict=True)]
    found = []
    for axis in range(3):
        extent = [edge for n in grid.dimensions for edge in (0, n - 1)]
        index = at[2 - axis] // steps[2 - axis]
        extent[2 * axis : 2 * axis + 2] = [index, index]
        found.append(grid.extract_subset(extent))
    return found


def edges_of(bounds: Sequence[float]) -> pyvista.PolyData:
    """The twelve edges of a box x, x, y, y, z, z."""
    return pyvista.Box(bounds).extract_all_edges()


def draw_axes(plotter: pyvista.Plotter, bounds: Sequence[float], *, name: str) -> None:
    """A white background, a box and axes in millimetres round it, whatever part of it is bright.

    Parameters
    ----------
    plotter : pyvista.Plotter
        Drawn into its current part.
    bounds : sequence of 6 float
        x, x, y, y, z, z [mm].
    name : str
        Of the box's actor.
    """
    plotter.set_background("white")
    plotter.add_mesh(edges_of(bounds), name=name, color="grey", lighting=False, reset_camera=False, render=False)
    plotter.show_bounds(
        bounds=bounds,
        xtitle="x [mm]",
        ytitle="y [mm]",
        ztitle="z [mm]",
        location="outer",
        use_3d_text=False,
        fmt="%.0f",
        n_xlabels=5,
        n_ylabels=5,
        n_zlabels=5,
        font_size=16,
        color=INK,
        render=False,
    )


def thinned(aperture: np.ndarray) -> np.ndarray:
    """Phase centres (..., 3) [m] as at most `MOST_ANTENNAS` points (n, 3) [mm], evenly left out."""
    places = np.reshape(aperture, (-1, 3)) * 1e3
    return places[:: max(1, -(-len(places) // MOST_ANTENNAS))]


def draw_aperture(plotter: pyvista.Plotter, antennas: np.ndarray, *, name: str) -> None:
    """Phase centres (n, 3) [mm] as red points."""
    plotter.add_mesh(
        pyvista.PolyData(antennas.astype(np.float32)),
        name=name,
        color=APERTURE_COLOUR,
        style="points",
        point_size=2,
        lighting=False,
        reset_camera=False,
        render=False,
    )


def bounds_round(boxes: Sequence[Sequence[float]], antennas: np.ndarray | None) -> tuple[float, ...]:
    """The box x, x, y, y, z, z round boxes of that kind and phase centres (n, 3), all in mm."""
    edges = [np.reshape(box, (3, 2)) for box in boxes]
    if antennas is not None:
        edges.append(np.stack([antennas.min(axis=0), antennas.max(axis=0)], axis=1))
    low, high = np.min([e[:, 0] for e in edges], axis=0), np.max([e[:, 1] for e in edges], axis=0)
    return tuple(np.stack([low, high], axis=1).reshape(-1))
