"""What the tests of the imagers share: small geometries, their signals, and comparison with the exact sum."""

from types import SimpleNamespace

import numpy as np
import pytest

from mmsar.metrics import error_db, ncc
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory

CHIRP = Chirp.stepped(77e9, 4e9 / 16, 16)


def scan_of(array, trajectory, points, sigma=1.0, **kwargs):
    """A simulated scan: 16 frequencies unless a chirp is given."""
    from mmsar.simulate.forward import SimulationOptions, simulate
    from mmsar.simulate.scene import Scene

    chirp = kwargs.pop("chirp", CHIRP)
    return simulate(
        Scene.points(points, sigma),
        chirp=chirp,
        array=array,
        trajectory=trajectory,
        options=SimulationOptions(progress=False, **kwargs),
    )


def raster_scan(points, sigma=1.0, *, shape=(36, 36), step=1.3e-3, **kwargs):
    """A monostatic raster centred on the origin."""
    return scan_of(AntennaArray.single(), Trajectory.raster(shape, (step, step)), points, sigma, **kwargs)


def mimo_scan(points, sigma=1.0, *, shape=(6, 36), step_x=1.3e-3, **kwargs):
    """An IWR1443 driven in rows two wavelengths apart: an 8-element array at lambda/4 fills the gaps."""
    lam = 299792458.0 / 79e9
    return scan_of(AntennaArray.iwr1443(), Trajectory.raster(shape, (step_x, 2 * lam)), points, sigma, **kwargs)


def monostatic(points, chirp=CHIRP, **kwargs):
    """Geometry of co-located antennas at `points` (n, 3)."""
    position = np.asarray(points, dtype=float).reshape(-1, 1, 1, 3)
    return Geometry(chirp=chirp, tx_position=position, rx_position=position, **kwargs)


def signal_of(geometry, points, sigma=1.0):
    """Noise-free samples of points for a geometry."""
    from mmsar.simulate.forward import SimulationOptions, forward
    from mmsar.simulate.scene import Scene

    return forward(geometry, Scene.points(points, sigma), options=SimulationOptions(progress=False))


def voxels(grid, n=250, near=(), seed=0):
    """Random voxels of a grid and all within two of given points: index tuple and positions (n, 3)."""
    rng = np.random.default_rng(seed)
    index = np.stack([rng.integers(0, m, n) for m in grid.shape], axis=1)
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for point in near:
        close = around + np.round((np.asarray(point) - grid.origin) / grid.spacing).astype(int)[::-1]
        index = np.concatenate([index, close[np.all((close >= 0) & (close < grid.shape), axis=1)]])
    index = np.unique(index, axis=0)
    return tuple(index.T), np.array(grid.origin) + np.array(grid.spacing) * index[:, ::-1]


def against_oracle(image, signal, geometry, grid, near=(), n=250):
    """NCC, error [dB] after the best scale, that scale, and error without it, on voxels near points and at random."""
    from mmsar.recon import bpa

    at, xyz = voxels(grid, n, near)
    exact, mine = bpa.exact(signal, geometry, xyz), image[at]
    fit = error_db(mine, exact) if len(at[0]) > 1 else None
    residual = np.linalg.norm(mine - exact) / np.linalg.norm(exact)
    return SimpleNamespace(
        ncc=ncc(mine, exact),
        fit_db=fit.error_db if fit else -np.inf,
        error_db=20 * np.log10(residual + 1e-12),
        exact=exact,
        mine=mine,
    )


def noise_of(shape, seed=0):
    """White noise of mean power 1, complex64."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((*shape, 2)) * np.sqrt(0.5)).astype(np.float32).view(np.complex64)[..., 0]


@pytest.fixture(scope="session")
def square():
    """32 x 32 monostatic positions over 47 mm, 6 frequencies."""
    axis = np.linspace(-23.5e-3, 23.5e-3, 32)
    x, y = np.meshgrid(axis, axis)
    return monostatic(np.c_[x.ravel(), y.ravel(), np.zeros(x.size)], CHIRP.__class__.stepped(77e9, 4e9 / 6, 6))


@pytest.fixture(scope="session")
def lab():
    """The functions above."""
    return SimpleNamespace(
        chirp=CHIRP,
        grid=ImageGrid.from_extent,
        scan_of=scan_of,
        raster_scan=raster_scan,
        mimo_scan=mimo_scan,
        monostatic=monostatic,
        signal_of=signal_of,
        noise_of=noise_of,
        voxels=voxels,
        against_oracle=against_oracle,
        Scan=Scan,
    )


PLANNED = [[0.0, 0.0, 0.3], [0.012, -0.008, 0.29]]
"""Where the planner's scans have their points [m]."""
TURNED = [[0.03, 0.0, -0.02], [-0.012, -0.008, 0.01]]
"""Where the points of its turntable scan are [m]."""


@pytest.fixture(scope="session")
def scans():
    """One scan of every kind the planner tells apart."""
    hand = Trajectory.freehand((5, 40), (4e-3, 30e-3), motion=(1e-3, 1e-3, 12e-3), rotation=0.03, seed=2)
    turn = Trajectory.turntable(360, 0.25, heights=np.arange(-3, 4) * 7.59e-3)
    pair = scan_of(AntennaArray.single(0.12), Trajectory.raster((20, 20), (3e-3, 3e-3)), [[0, 0, 0.15]])
    return {
        "raster": raster_scan(PLANNED, shape=(30, 30)),
        "mimo": mimo_scan(PLANNED),
        "hand": scan_of(AntennaArray.iwr1443(), hand, PLANNED),
        "wide": pair,
        "turn": scan_of(AntennaArray.iwr1443(), turn, TURNED),
    }
