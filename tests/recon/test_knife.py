"""The knife of the MIMO-ISAR paper: a blade edge-on is lost to a planar scan and seen by one that goes round it."""

import numpy as np

from mmsar.model import AntennaArray, Chirp, ImageGrid, Trajectory
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene

CHIRP = Chirp.stepped(77e9, 4e9 / 16, 16)
STEP = 2 * CHIRP.wavelength
HEIGHTS = (np.arange(8) - 3.5) * STEP
SLICES = ImageGrid.from_extent((-0.015, 0.015), (-0.04, 0.04), (-0.03, 0.03), spacing=(1e-3, 1e-3, 1e-3))


def pictures_of(scene, path):
    scan = simulate(
        scene,
        chirp=CHIRP,
        array=AntennaArray.iwr1443(),
        trajectory=path,
        options=SimulationOptions(progress=False),
    )
    return reconstruct(scan, SLICES, options=ReconOptions(progress=False)).magnitude()


def test_edge_on_it_is_lost_to_a_planar_scan_and_seen_by_rotation():
    flat = Scene.tool("knife", 0.05, centre=(0.0, 0.0, 0.0))
    edge_on = flat.turned((0.0, np.pi / 2, 0.0))
    plane = Trajectory.raster((len(HEIGHTS), 60), (1.2e-3, STEP), z=-0.25)
    before, aside = (pictures_of(scene, plane).max() for scene in (flat, edge_on))
    assert aside < 0.1 * before, "20 dB less"
    ring = Trajectory.turntable(300, 0.25, heights=HEIGHTS)
    seen = pictures_of(edge_on, ring).max(axis=2)  # over x, the blade's thickness: (z, y)
    place = edge_on.position[:, [2, 1]]
    blade = np.zeros(seen.shape, bool)
    blade[tuple(np.rint((place - [SLICES.origin[2], SLICES.origin[1]]) / 1e-3).astype(int).T)] = True
    clear = np.abs(SLICES.y) > 0.03
    assert np.quantile(seen[blade], 0.2) > 0.35 * seen.max(), "all of it"
    assert seen[:, clear].max() < 0.25 * seen.max(), "and nothing above or below it"
    turned = pictures_of(flat, ring).max()
    assert 0.7 < seen.max() / turned < 1.4, "whatever way it stands"
