"""What the benchmarks image, in the sizes of the papers; the samples are noise, since time is all that matters."""

import numpy as np

from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory

CHIRP = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)
PITCH = 2 * 3.7948e-3


def scan_of(trajectory: Trajectory, array: AntennaArray) -> Scan:
    """A scan of seeded noise."""
    rng = np.random.default_rng(0)
    shape = (len(trajectory), array.n_tx, array.n_rx, CHIRP.n_samples)
    signal = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory)


def raster(n: int = 256) -> Scan:
    """n x n monostatic positions at lambda/4."""
    quarter = CHIRP.wavelength / 4
    return scan_of(Trajectory.raster((n, n), (quarter, quarter)), AntennaArray.single())


def freehand() -> Scan:
    """103,168 samples: 12,896 freehand poses of an IWR1443 over 200 x 197 mm, +-15 mm of depth motion."""
    trajectory = Trajectory.freehand((26, 496), (0.2 / 496, PITCH), motion=(2e-3, 2e-3, 15e-3), seed=3)
    return scan_of(trajectory, AntennaArray.iwr1443())


def volume(shape: tuple[int, int, int], half: float = 0.1, z: tuple[float, float] = (0.27, 0.33)) -> ImageGrid:
    """A volume of +-half [m] across."""
    n_z, n_y, n_x = shape
    size = (2 * half / (n_x - 1), 2 * half / (n_y - 1), (z[1] - z[0]) / max(n_z - 1, 1) or 1e-3)
    middle = z if n_z > 1 else (z[0] + z[1]) / 2
    return ImageGrid.from_extent((-half, half), (-half, half), middle, spacing=size)


def turntable(n_angles: int, n_heights: int) -> tuple[Geometry, np.ndarray]:
    """Even angles round an axis 0.25 m away, heights at lambda/4, one antenna: the geometry and noise samples."""
    heights = (np.arange(n_heights) - (n_heights - 1) / 2) * CHIRP.wavelength / 4
    position = Trajectory.turntable(n_angles, 0.25, heights=heights).position[:, None, None, :]
    geometry = Geometry(chirp=CHIRP, tx_position=position, rx_position=position)
    signal = np.random.default_rng(0).standard_normal((*geometry.shape, 2), dtype=np.float32)
    return geometry, signal.view(np.complex64)[..., 0]


def about_axis(n: int, planes: slice = slice(None)) -> ImageGrid:
    """n^3 voxels of 0.5 mm about the origin, or some of their planes of constant z."""
    start, stop, _ = planes.indices(n)
    low = -(n - 1) / 2 * 0.5e-3
    return ImageGrid(shape=(stop - start, n, n), origin=(low, low, low + start * 0.5e-3), spacing=(0.5e-3,) * 3)
