"""What each method will cost and how wrong it will be, from the geometry alone.

Every fast method replaces the path R_T + R_R of a voxel by a model path; with eps the difference, the image at that
voxel is the coherent mean of exp(j k eps) over the channels. Its magnitude gamma, averaged over random voxels, is the
coherence: 1 is exact, and -10 log10(1 - gamma^2) the predicted signal-to-error ratio of a point there.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.constants import C0
from mmsar.core.memory import budget
from mmsar.core.parallel import threads
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.bpa import ROWS_PER_STEP
from mmsar.recon.ffbp_cost import factorised_cost
from mmsar.recon.fronts import product_grid
from mmsar.recon.isar import MAX_DEVIATION
from mmsar.recon.planar_cost import planar_cost
from mmsar.recon.ring import largest_rho
from mmsar.recon.rotation_cost import rotation_cost
from mmsar.recon.speed import speed_factors
from mmsar.signal.cylinder import cylinder_of, cylinder_path_difference, on_cylinder
from mmsar.signal.multistatic import path_difference

METHODS = ("rma", "empm", "nufft", "isar", "ffbp", "bpa")
CPU_ONLY = ("ffbp",)
"""Methods without a path on a GPU."""
MIN_COHERENCE = 0.99
"""Below this mean coherence `auto` does not trust a method."""
MAX_SINE = 0.93
"""Sine of the angle off the aperture's axis up to which plane waves stand for the sum (about -30 dB there)."""
FAR_FIELD = "the samples are referred to the axis of rotation, seen from far away"
"""Why the other methods cannot image such samples."""
BPA_PLANNING = 0.3
"""Time bpa takes to choose its tiles and clusters [s]."""
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
    """Time on this machine's cores, planning included [s]: measured there once (`recon.speed`), else as elsewhere."""
    memory: int
    """Memory [bytes]."""
    pieces: int = 1
    """Pieces it is worked in to keep within the budget; not counted for bpa."""


def predict(
    geometry: Geometry,
    grid: ImageGrid,
    *,
    phase: str = "reference",
    z_ref: float | None = None,
    far_field: bool = False,
    memory: int | None = None,
    error_db: float = -50.0,
) -> list[Prediction]:
    """Predictions for every method, fastest family first.

    Parameters
    ----------
    geometry, grid
        What would be imaged where.
    phase, z_ref
        Options: `phase` is of rma, empm and isar, `z_ref` of empm.
    far_field : bool
        Samples referred to the axis of rotation: a case for isar only.
    memory : int, optional
        Memory budget [bytes] that the work is cut in pieces for; default half of what is free.
    error_db : float
        Accuracy of the numerics asked for [dB].
    """
    out, factors = [], speed_factors()
    for method in METHODS:
        seconds, needed, pieces = cost(method, geometry, grid, memory=memory, error_db=error_db)
        if far_field:
            coherence, reason = (1.0, "") if method == "isar" else (0.0, FAR_FIELD)
        else:
            coherence, reason = _prospects(method, geometry, grid, phase, z_ref if method == "empm" else None)
        error = 10 * np.log10(max(1 - coherence**2, 10 ** (error_db / 10)))
        out.append(
            Prediction(
                method=method,
                reason=reason,
                coherence=coherence,
                error_db=float(error),
                seconds=seconds * factors.get(method, 1.0),
                memory=needed,
                pieces=pieces,
            )
        )
    return out


def _prospects(method: str, geometry: Geometry, grid: ImageGrid, phase: str, z_ref: float | None) -> tuple[float, str]:
    """(coherence, why the method should not be used): coherence 0 where the method has no model of the geometry."""
    if method in ("ffbp", "bpa"):
        return 1.0, ""
    if method == "isar":
        return _rotation(geometry, grid, phase)
    virtual = geometry.virtual_position.reshape(-1, 3)
    if grid.extent[2][0] - virtual[:, 2].max() < geometry.chirp.wavelength:
        return 0.0, "the image is not wholly in front of the aperture"
    if z_ref is not None and grid.extent[2][0] - z_ref < geometry.chirp.wavelength:
        return 0.0, f"the image is not wholly in front of the plane z_ref = {1e3 * z_ref:g} mm"
    coherence = mean_coherence(method, geometry, grid, phase=phase, z_ref=z_ref)
    raster = product_grid(virtual, tolerance=geometry.chirp.wavelength / 40) if method == "rma" else None
    if isinstance(raster, str):
        return coherence, raster
    if coherence < MIN_COHERENCE:
        kept = f"{100 * coherence:.0f} %"
        return coherence, f"its path model would keep only {kept} of the coherence ({_why(method, geometry)})"
    sine = largest_sine(virtual, grid)
    if sine > MAX_SINE:
        angle, limit = np.degrees(np.arcsin([sine, MAX_SINE]))
        steep = f"the image is seen up to {angle:.0f} degrees off the aperture's axis, too steep beyond {limit:.0f}"
        return coherence, steep
    return coherence, ""


def _rotation(geometry: Geometry, grid: ImageGrid, phase: str) -> tuple[float, str]:
    """(coherence, why isar should not be used)."""
    try:
        cylinder = cylinder_of(geometry)
    except GeometryError:
        return 0.0, "an antenna is on the y axis, not on a circle about it"
    if cylinder.deviation > MAX_DEVIATION * cylinder.radius:
        return 0.0, "the antennas are not on a circle about the y axis"
    if largest_rho(grid) > cylinder.radius - geometry.chirp.wavelength:
        return 0.0, f"the image is not wholly inside the antennas' circle of {1e3 * cylinder.radius:.0f} mm radius"
    coherence = mean_coherence("isar", geometry, grid, phase=phase)
    if coherence < MIN_COHERENCE:
        kept = f"its path model would keep only {100 * coherence:.0f} % of the coherence"
        return coherence, f"{kept} (radii differ by {1e3 * cylinder.deviation:.1f} mm, {_separations(geometry)})"
    return coherence, ""


def largest_sine(virtual: np.ndarray, grid: ImageGrid) -> float:
    """Largest sine of the angle to z at which any phase centre (n, 3) sees any voxel."""
    low, high = virtual.min(axis=0), virtual.max(axis=0)
    box = np.array(grid.extent)
    lateral = float(np.linalg.norm(np.maximum(box[:2, 1] - low[:2], high[:2] - box[:2, 0])))
    return lateral / float(np.hypot(lateral, max(box[2, 0] - high[2], 0.0))) if lateral > 0 else 0.0


def mean_coherence(
    method: str, geometry: Geometry, grid: ImageGrid, *, phase: str = "reference", z_ref: float | None = None
) -> float:
    """Mean of `coherence_at` over 64 random voxels of the grid, seeded."""
    low, high = np.array(grid.extent).T
    points = low + np.random.default_rng(1).random((64, 3)) * (high - low)
    return float(np.mean(coherence_at(points, method, geometry, grid, (phase, z_ref))))


def coherence_at(
    points: np.ndarray, method: str, geometry: Geometry, grid: ImageGrid, model: tuple[str, float | None]
) -> np.ndarray:
    """|sum_l w_l exp(j k eps_l)| / sum |w| at the middle wavenumber, over at most 3000 random channels, seeded.

    Parameters
    ----------
    points : (n, 3) array
        Where [m].
    method, geometry, grid
        As in `predict`.
    model : (phase, z_ref)
        As in `predict`.

    Returns
    -------
    (n,) float64
        What a unit point there shows in the image, where back-projection shows 1.
    """
    rng = np.random.default_rng(0)
    used = np.flatnonzero(geometry.weight)
    pick = rng.choice(used, size=min(len(used), 3000), replace=False)
    tx, rx = (p.reshape(-1, 3)[pick] for p in (geometry.tx_position, geometry.rx_position))
    weight = np.abs(geometry.weight.ravel()[pick])
    base = (tx + rx) / 2
    phase, z_ref = model
    if method == "isar":
        cylinder = cylinder_of(geometry)
        centre = (0.0, grid.centre[1], 0.0)
        path = cylinder_path_difference(geometry, cylinder, centre=centre, phase=phase)
        base = on_cylinder(cylinder).reshape(-1, 3)[pick]
    elif method == "nufft":
        path = path_difference(geometry, centre=grid.centre, z_ref=None, phase="reference")
    else:
        base[:, 2] = geometry.virtual_position[..., 2].mean() if z_ref is None else z_ref
        path = path_difference(geometry, centre=grid.centre, z_ref=float(base[0, 2]), phase=phase)
    path = path.ravel()[pick]
    k = geometry.chirp.k.mean()
    gains = np.empty(len(points))
    for n, point in enumerate(points):
        exact = np.linalg.norm(point - tx, axis=1) + np.linalg.norm(point - rx, axis=1)
        error = exact - path - 2 * np.linalg.norm(point - base, axis=1)
        gains[n] = np.abs(np.sum(weight * np.exp(1j * k * error))) / weight.sum()
    return gains


def cost(
    method: str, geometry: Geometry, grid: ImageGrid, *, memory: int | None = None, error_db: float = -50.0
) -> tuple[float, int, int]:
    """(seconds, bytes, pieces) of one method, cut in pieces for the budget; seconds as on the machine of the constants.

    bpa's time is rough: its plan knows it better.
    """
    channels, cores = geometry.n_channels, threads()
    if method == "bpa":
        seconds = BPA_PLANNING + channels * grid.n_voxels / (BPA_RATE * cores)
        return seconds, _bpa_memory(geometry, grid, budget(memory)), 1
    if method == "ffbp":
        return factorised_cost(geometry, grid, budget(memory), error_db)
    if method == "isar":
        return rotation_cost(geometry, grid, budget(memory))
    try:
        return planar_cost(method, geometry, grid, budget(memory), error_db)
    except GeometryError:  # not wholly in front of the aperture: it is refused anyway, with that reason
        return np.inf, 0, 1


def _bpa_memory(geometry: Geometry, grid: ImageGrid, allowed: int) -> int:
    """Bytes of bpa: the tiles of voxels, a block of samples, and the profiles of all poses or of as many as fit."""
    box = np.array(grid.extent)
    near, far = 0.0, 0.0
    for position in (geometry.tx_position, geometry.rx_position):
        gap = np.maximum(0, np.maximum(box[:, 0] - position, position - box[:, 1]))
        near = near + np.linalg.norm(gap, axis=-1)
        far = far + np.linalg.norm(np.maximum(np.abs(box[:, 0] - position), np.abs(box[:, 1] - position)), axis=-1)
    bins = int(2.9 * geometry.chirp.bandwidth * float(far.max() - near.min()) / C0 + 8.5)  # as bpa takes them at -50 dB
    rows = min(geometry.n_channels, ROWS_PER_STEP)
    fixed = 8 * int(3.1 * grid.n_voxels + rows * (bins + geometry.chirp.n_samples))
    least, profiles = 8 * bins * geometry.weight[0].size, 8 * bins * geometry.n_channels
    return fixed + max(least, min(profiles, allowed - fixed))


def _separations(geometry: Geometry) -> str:
    baseline = float(np.linalg.norm(geometry.tx_position - geometry.rx_position, axis=-1).max())
    return f"TX-RX separations reach {1e3 * baseline:.0f} mm"


def _why(method: str, geometry: Geometry) -> str:
    depth = float(np.ptp(geometry.virtual_position[..., 2]))
    if method == "nufft" or depth < 1e-3:
        return f"{_separations(geometry)}, too wide for a monostatic model here"
    return f"the aperture is {1e3 * depth:.0f} mm deep, {_separations(geometry)}"
