"""The ready scenes of tools and plates, simulated and imaged: what is there is bright, what is not is dark."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmsar.model import ImageGrid, Trajectory
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.simulate.setup import load_setup

SCENES = Path(__file__).resolve().parents[2] / "data" / "scenes"
PIXEL = 1.8e-3


def seen_from_the_front(name, half, depth, *, every=1):
    """Magnitude (y, x) of a scene, largest over z; points' places and reflectivities. Few frequencies."""
    setup = load_setup(SCENES / f"{name}.toml")
    chirp = replace(setup.chirp, n_samples=4, slope=16 * setup.chirp.slope)
    path = setup.trajectory
    path = Trajectory(time=path.time[::every], position=path.position[::every], rotation=path.rotation[::every])
    coarse = replace(setup.options, shadow_angle=np.deg2rad(12.0), progress=False)
    scan = replace(setup, chirp=chirp, trajectory=path, raster=None, options=coarse).simulate()
    grid = ImageGrid.from_extent((-half[0], half[0]), (-half[1], half[1]), depth, spacing=(PIXEL, PIXEL, 2 * PIXEL))
    image = reconstruct(scan, grid, options=ReconOptions(progress=False))
    faces = setup.scene.normal.any(axis=1)
    place = np.rint((setup.scene.position[faces, :2] - grid.origin[:2]) / PIXEL).astype(int)
    return image, image.magnitude().max(axis=0), place.T[::-1], np.abs(setup.scene.reflectivity[faces])


def widened(mask, by):
    """The mask and what is within `by` pixels of it along an axis."""
    out = mask.copy()
    for axis in (0, 1):
        step = [np.roll(out, n, axis=axis) for n in range(-by, by + 1)]
        out = np.any(step, axis=0)
    return out


@pytest.mark.parametrize("name", ["wrench", "scissors"])
def test_tools_are_seen_whole_on_the_turntable(name):
    image, seen, place, _ = seen_from_the_front(name, (0.04, 0.06), (-0.024, 0.024), every=2)
    assert image.history[-1]["method"] == "isar"
    tool = np.zeros(seen.shape, bool)
    tool[tuple(place)] = True
    assert np.ptp(np.flatnonzero(tool.any(axis=1))) * PIXEL > 0.09, "upright, about 100 mm"
    assert np.quantile(seen[tool], 0.1) > 0.25 * seen.max(), "all of it"
    beside = ~widened(tool, 6)
    assert beside.sum() > 500 and np.median(seen[beside]) < 0.1 * seen.max(), "and nothing beside it"


def test_printed_letters_stand_out_from_their_plate():
    image, seen, place, sigma = seen_from_the_front("printed", (0.06, 0.04), 0.3)
    assert image.history[-1]["method"] in ("rma", "empm", "nufft")
    ink, plate = (
        np.median(seen[tuple(place[:, chosen])]) for chosen in (sigma > sigma.max() / 2, sigma < sigma.max() / 2)
    )
    board = np.zeros(seen.shape, bool)
    board[tuple(place)] = True
    assert ink > 2.5 * plate
    assert np.median(seen[~widened(board, 3)]) < 0.1 * ink


def test_cut_out_letters_are_dark_in_a_bright_plate():
    _, seen, place, _ = seen_from_the_front("cut_out", (0.06, 0.04), 0.3)
    plate = np.zeros(seen.shape, bool)
    plate[tuple(place)] = True
    rows, columns = (np.flatnonzero(plate.any(axis=axis)) for axis in (1, 0))
    box = np.zeros_like(plate)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    holes = box & ~plate
    assert 0.1 < holes.sum() / box.sum() < 0.4
    assert np.median(seen[plate]) > 2.5 * np.median(seen[holes])
    assert np.median(seen[~widened(box, 3)]) < 0.1 * np.median(seen[plate])


def test_the_mannequin_stands_whole_before_its_scanner():
    setup = load_setup(SCENES / "mannequin.toml")
    figure, scanned = setup.scene.position[:, 1], setup.trajectory.position[:, 1]
    assert scanned.min() - 4e-3 < figure.min() and figure.max() < scanned.max() + 4e-3
