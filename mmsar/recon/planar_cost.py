"""What the planar imagers (rma, empm, nufft) will take, from geometry, grid and budget: time, memory and pieces.

The sizes are those the plan will have (modes, in-band pairs, fine grids, heights taken together) with the number of
frequencies after compression estimated; the heights are cut by the very rule of the plan.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.constants import C0
from mmsar.core.depth_planes import depth_width, n_planes
from mmsar.core.kernels_planes import ROWS
from mmsar.core.kernels_spread import cells
from mmsar.core.parallel import threads
from mmsar.core.stacked import lateral_grid, together_bytes
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.fourier import path_limits
from mmsar.recon.fronts import product_grid
from mmsar.recon.wavegrid import WaveGrid
from mmsar.signal.pitch import lines

# core-seconds as measured on a 2-core server
PER_SAMPLE = 2.5e-10
"""Of the compression of the samples: for every sample and frequency that is left [s]."""
PER_PRODUCT = 4e-11
"""Of the sums over a product grid: for every complex multiply and add [s]."""
PER_TAP = 3e-10
"""Of spreading: for every sample, frequency and tap [s]."""
PER_POINT = 8e-10
"""Of an FFT: for every point and factor of two of its length [s]."""
PER_ROW_POINT = 2e-10
"""The same within rows that stay in the cache, of a quick length [s]."""
PER_WAVE = 6e-9
"""Of the Stolt step: for every pair and frequency [s]."""
PER_HEIGHT = 3e-10
"""Of the same: for every pair, frequency and height [s]."""
PLANNING = 0.02
"""Of planning, the same for all [s]."""
PER_PHASE = 4e-8
"""Of planning: for every sample and frequency [s]."""


@dataclass(frozen=True, kw_only=True)
class _Front:
    """Memory [bytes] and core-seconds of a way from samples to spectrum."""

    nbytes: int
    seconds: float


def planar_cost(
    method: str, geometry: Geometry, grid: ImageGrid, allowed: int, error_db: float
) -> tuple[float, int, int]:
    """Time [s], memory [bytes] and pieces of rma, empm or nufft within a budget of `allowed` bytes.

    Where no pieces are small enough the memory is that of the smallest, more than is allowed.

    Raises
    ------
    GeometryError
        An image that is not wholly in front of the aperture.
    """
    chirp, channels = geometry.chirp, geometry.n_channels
    virtual = geometry.virtual_position.reshape(-1, 3)
    if method != "nufft":
        virtual = np.column_stack([virtual[:, :2], np.full(channels, virtual[:, 2].mean())])
    waves = WaveGrid(virtual, grid, chirp.k)
    low, high = path_limits(geometry, grid)
    m = min(chirp.n_samples, int(chirp.bandwidth * (high - low) / C0) + 6)
    pairs, n_z = waves.n_pairs, grid.shape[0]
    eps = 10 ** ((error_db - 5) / 20)
    data, spectrum, image = 8 * m * channels, 8 * m * pairs, 8 * grid.n_voxels
    compression = 8 * m * chirp.n_samples
    room = max(allowed - 2 * data - compression, 0) // 2
    front = _FRONTS[method](virtual, waves, m, eps, allowed // 4)
    needs = waves.piece_bytes(n_z, uniform=waves.line is None)
    lateral = sum(a * b for a, b in waves.lateral_shapes())
    fixed = 44 * pairs + 4 * n_z * sum(waves.count) + 8 * threads() * lateral
    blocks = 8 * threads() * 4096 * (chirp.n_samples + m)
    held = 24 * channels + compression + data + front.nbytes + fixed
    held += max(2 * data + blocks, spectrum + max(data, image))
    step = int(np.flatnonzero(needs <= max(min(room, allowed - held), needs[0]))[-1]) + 1
    pieces = -(-n_z // step)
    made = pieces * waves.n_heights(-(-n_z // pieces)) if waves.line is None else n_z
    per_plane = sum(a * b * np.log2(max(b, 2)) for a, b in waves.lateral_shapes()) * PER_POINT
    stolt = m * pairs * (PER_WAVE * pieces + PER_HEIGHT * made)
    stolt += 0 if made == n_z else grid.n_voxels * made / pieces * PER_PRODUCT
    work = channels * chirp.n_samples * m * PER_SAMPLE + front.seconds + stolt + made * per_plane
    return work / threads() + PLANNING + m * channels * PER_PHASE, int(held + needs[step - 1]), pieces


def _rectilinear(virtual: np.ndarray, waves: WaveGrid, m: int, eps: float, room: int) -> _Front:
    """Of samples on a product grid."""
    n_x, n_y = (len(lines(virtual[:, a], np.pi / waves.k2.max() / 10)[1]) for a in (0, 1))
    a, b = waves.count
    products = min(a * n_x * n_y + a * n_y * b, len(virtual) * a * b)
    return _Front(
        nbytes=8 * (a * n_x + n_y * b + len(virtual)) + 24 * threads() * a * b, seconds=m * products * PER_PRODUCT
    )


def _irregular(virtual: np.ndarray, waves: WaveGrid, m: int, eps: float, room: int) -> _Front:
    """Of samples anywhere on a plane; on a product grid they are taken as such."""
    if not isinstance(product_grid(virtual, tolerance=np.pi / waves.k2.max() / 10), str):
        return _rectilinear(virtual, waves, m, eps, room)
    modes, n = waves.count[0] * waves.count[1], len(virtual)
    width = int(np.ceil(-np.log10(eps))) + 1
    fine = 4 * modes
    return _Front(
        nbytes=16 * n + 8 * fine * min(m, threads()) + 8 * m * modes,
        seconds=m * (n * width**2 * PER_TAP + fine * np.log2(fine) * PER_POINT / 2),
    )


def _exact(virtual: np.ndarray, waves: WaveGrid, m: int, eps: float, room: int) -> _Front:
    """Of samples anywhere in space."""
    (width, lengths, _), n = lateral_grid(waves.count, eps), len(virtual)
    size = np.ptp(virtual, axis=0)
    n_x, n_y = (
        int(np.ceil(s * d * n_fine / (2 * np.pi))) + width + 1
        for s, d, n_fine in zip(size[:2], waves.dk, lengths, strict=True)
    )
    n_x, n_y = cells(n_x), -(-n_y // ROWS) * ROWS
    fine, few = n_planes(float(size[2]), waves.lags, eps)
    pairs, of_row = waves.n_pairs, width * fine * n_x + ROWS * few * n_x
    buffers = 2 * (ROWS * lengths[0] + few * lengths[1])
    per_set = 8 * (waves.count[0] * few * n_y + threads() * (of_row + buffers))
    block = int(np.clip(room // max(1, per_set), 1, m))
    transform = n_y * lengths[0] * np.log2(lengths[0]) + waves.count[0] * lengths[1] * np.log2(lengths[1])
    taps = n * min(fine, depth_width(eps)) * width**2
    return _Front(
        nbytes=40 * n + 24 * pairs + block * (per_set + 8 * n) + together_bytes(block, few, lengths, room),
        seconds=m
        * (taps * PER_TAP + few * (transform * PER_ROW_POINT + pairs * 5e-10) + fine * few * n_x * n_y * 5e-11),
    )


_FRONTS = {"rma": _rectilinear, "empm": _irregular, "nufft": _exact}
