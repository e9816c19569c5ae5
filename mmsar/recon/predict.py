"""What each method will cost and how wrong it will be, from the geometry alone.

Every fast method replaces the path R_T + R_R of a voxel by a model path; with eps the difference, the image at that
voxel is the coherent mean of exp(j k eps) over the channels. Its magnitude gamma, averaged over random voxels, is the
coherence: 1 is exact, and -10 log10(1 - gamma^2) the predicted signal-to-error ratio of a point there.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.parallel import threads
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.fourier import path_limits
from mmsar.recon.fronts import product_grid
from mmsar.signal.multistatic import path_difference

METHODS = ("rma", "empm", "nufft", "bpa")
MIN_COHERENCE = 0.98
"""Below this mean coherence `auto` does not trust a method."""
MAX_SINE = 0.93
"""Sine of the angle off the aperture's axis up to which plane waves stand for the sum (about -30 dB there)."""
BPA_RATE = 1e10
"""Voxel-pairs a second and core assumed for bpa (order of magnitude: clusters of poses help large scans more)."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One method's prospects for one geometry and grid."""

    method: str
    """Name."""
    reason: str
    """Why it cannot or should not be used; empty when it may."""
    coherence: float
    """Mean coherence over random voxels, 0 to 1."""
    error_db: float
    """Predicted error relative to exact back-projection [dB]."""
    seconds: float
    """Rough time on this machine's cores [s]."""
    memory: int
    """Rough memory [bytes]."""


def predict(
    geometry: Geometry, grid: ImageGrid, *, phase: str = "reference", z_ref: float | None = None
) -> list[Prediction]:
    """Predictions for every method, fastest family first.

    Parameters
    ----------
    geometry, grid
        What would be imaged where.
    phase, z_ref
        Options of empm and rma.
    """
    out = []
    virtual = geometry.virtual_position.reshape(-1, 3)
    in_front = grid.extent[2][0] - virtual[:, 2].max() >= geometry.chirp.wavelength
    raster = product_grid(virtual, tolerance=geometry.chirp.wavelength / 40)
    sine = largest_sine(virtual, grid)
    for method in METHODS:
        seconds, memory = cost(method, geometry, grid)
        if method == "bpa":
            coherence, reason = 1.0, ""
        else:
            coherence = mean_coherence(method, geometry, grid, phase=phase, z_ref=z_ref)
            reason = ""
            if not in_front:
                reason = "the image is not wholly in front of the aperture"
            elif method == "rma" and isinstance(raster, str):
                reason = raster
            elif coherence < MIN_COHERENCE:
                kept = f"{100 * coherence:.0f} %"
                reason = f"its path model would keep only {kept} of the coherence ({_why(method, geometry)})"
            elif sine > MAX_SINE:
                angle, limit = np.degrees(np.arcsin([sine, MAX_SINE]))
                reason = (
                    f"the image is seen up to {angle:.0f} degrees off the aperture's axis, too steep beyond {limit:.0f}"
                )
        error = 10 * np.log10(max(1 - coherence**2, 1e-5))
        out.append(
            Prediction(
                method=method, reason=reason, coherence=coherence, error_db=float(error), seconds=seconds, memory=memory
            )
        )
    return out


def largest_sine(virtual: np.ndarray, grid: ImageGrid) -> float:
    """Largest sine of the angle to z at which any phase centre (n, 3) sees any voxel."""
    low, high = virtual.min(axis=0), virtual.max(axis=0)
    box = np.array(grid.extent)
    lateral = float(np.linalg.norm(np.maximum(box[:2, 1] - low[:2], high[:2] - box[:2, 0])))
    return lateral / float(np.hypot(lateral, max(box[2, 0] - high[2], 0.0))) if lateral > 0 else 0.0


def mean_coherence(
    method: str, geometry: Geometry, grid: ImageGrid, *, phase: str = "reference", z_ref: float | None = None
) -> float:
    """Mean of |mean_l w_l exp(j k eps_l)| / mean |w| over random voxels of the grid, with seeded samples."""
    rng = np.random.default_rng(0)
    n = geometry.n_channels
    pick = rng.choice(n, size=min(n, 3000), replace=False)
    tx, rx = (p.reshape(-1, 3)[pick] for p in (geometry.tx_position, geometry.rx_position))
    weight = np.abs(geometry.weight.ravel()[pick])
    if not weight.any():
        weight = np.ones(len(pick))
    virtual = (tx + rx) / 2
    model = virtual.copy()
    if method == "nufft":
        path = path_difference(geometry, centre=grid.centre, z_ref=None, phase="reference")
    else:
        plane = geometry.virtual_position[..., 2].mean() if z_ref is None else z_ref
        model[:, 2] = plane
        path = path_difference(geometry, centre=grid.centre, z_ref=float(plane), phase=phase)
    path = path.ravel()[pick]
    low, high = np.array(grid.extent).T
    voxels = low + rng.random((64, 3)) * (high - low)
    k = geometry.chirp.k.mean()
    gains = []
    for voxel in voxels:
        exact = np.linalg.norm(voxel - tx, axis=1) + np.linalg.norm(voxel - rx, axis=1)
        error = exact - path - 2 * np.linalg.norm(voxel - model, axis=1)
        gains.append(np.abs(np.sum(weight * np.exp(1j * k * error))) / weight.sum())
    return float(np.mean(gains))


def cost(method: str, geometry: Geometry, grid: ImageGrid) -> tuple[float, int]:
    """Rough (seconds, bytes) of one method."""
    channels, cores = geometry.n_channels, threads()
    if method == "bpa":
        seconds = 0.3 + channels * grid.n_voxels / (BPA_RATE * cores)
        return seconds, 8 * (grid.n_voxels + channels * geometry.chirp.n_samples)
    low, high = path_limits(geometry, grid)
    span = high - low
    frequencies = min(geometry.chirp.n_samples, int(2 * geometry.chirp.bandwidth * span / 3e8 / 2) + 7)
    lateral = 1.0
    for axis in (0, 1):
        virtual = geometry.virtual_position[..., axis]
        size = np.ptp(virtual) + (grid.extent[axis][1] - grid.extent[axis][0]) + 0.3 * grid.extent[2][1]
        lateral *= size / grid.spacing[axis]
    points = grid.shape[0] * lateral
    per_sample = {"rma": 2e-8, "empm": 1e-7, "nufft": 3e-7}[method]
    per_pair = {"rma": 5e-8, "empm": 5e-8, "nufft": 4e-7}[method]
    work = frequencies * (channels * per_sample + 0.3 * lateral * per_pair) + points * 2e-8
    memory = 8 * (frequencies * (2 * channels + lateral) + points * 0.4 + grid.n_voxels)
    return 0.05 + 2 * work / cores, int(memory)


def _why(method: str, geometry: Geometry) -> str:
    baseline = float(np.linalg.norm(geometry.tx_position - geometry.rx_position, axis=-1).max())
    depth = float(np.ptp(geometry.virtual_position[..., 2]))
    if method == "nufft" or depth < 1e-3:
        return f"the largest TX-RX separation is {1e3 * baseline:.0f} mm, too wide for a monostatic model here"
    return f"the aperture is {1e3 * depth:.0f} mm deep, TX-RX separations reach {1e3 * baseline:.0f} mm"
