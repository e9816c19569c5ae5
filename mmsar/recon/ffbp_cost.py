"""What factorised back-projection will take, from geometry, grid and budget: its own choice of levels, on few channels.

Bands of clusters, blocks and levels are chosen as the plan will choose them (`ffbp_design`), but of many channels
clusters are made of some only, those that bands are measured on among them: that is quick, and they are about as wide.
"""

from dataclasses import replace

import numpy as np

from mmsar.core.kernels_ffbp import TERMS
from mmsar.core.parallel import threads
from mmsar.errors import GeometryError
from mmsar.model import Geometry, ImageGrid
from mmsar.recon.ffbp_batches import Batches, default_room
from mmsar.recon.ffbp_design import PROFILE_SHARE, Draws, Tree, choose, choose_blocks
from mmsar.recon.ffbp_levels import fixed_bytes
from mmsar.recon.fourier import path_limits

FEW = 32768
"""More channels than this are thinned out."""
FFBP_PLANNING, PER_CHANNEL = 0.1, 4e-6
"""Time of planning, and of planning and compression for every channel [s]."""


def factorised_cost(geometry: Geometry, grid: ImageGrid, allowed: int, error_db: float) -> tuple[float, int, int]:
    """(seconds, bytes, 1) of ffbp within a budget of `allowed` bytes; infinite time where it will refuse."""
    low, high = path_limits(geometry, grid)
    chirp, used = geometry.chirp, np.flatnonzero(geometry.weight)
    if not len(used):
        return np.inf, 0, 1
    tx, rx = (p.reshape(-1, 3)[used] for p in (geometry.tx_position, geometry.rx_position))
    draws = Draws.of(grid, tx, rx, chirp.k, geometry.frequency_weight)
    few = np.union1d(draws.channel, np.arange(0, len(used), -(-len(used) // FEW)))
    draws = replace(draws, channel=np.searchsorted(few, draws.channel))
    tree = Tree(tx[few], rx[few], [0, len(few)], draws.separation())
    centre, half = float(chirp.k[[0, -1]].mean()), float(np.ptp(chirp.k)) / 2
    frequencies = int(half * (high - low) / np.pi) + 7  # as `signal.compress` finds them, a little beyond the band
    reach = 1 + 2 / frequencies if frequencies < 0.75 * chirp.n_samples else 1.0
    frequencies = frequencies if reach > 1 else chirp.n_samples
    k = np.linspace(-half, half, frequencies) * reach
    wanted = 10 ** (float(np.clip(error_db, -70, -20)) / 20)
    try:
        parts, _ = choose_blocks(grid, draws, k, PROFILE_SHARE * wanted)
    except GeometryError:  # too many blocks: the plan refuses with that reason
        return np.inf, 0, 1
    each = len(used) / len(few)
    design = choose(grid, parts, tree, draws.bands(tree, centre), wanted, frequencies, each=each)
    needed = 8 * grid.n_voxels + fixed_bytes(design, len(used)) + (16 * frequencies + 8 * TERMS) * len(used)
    starts = [tree.starts(stage.level) for stage in design.stages]
    sizes = [stage.size for stage in design.stages]
    needed += Batches.of(sizes, starts, min(default_room(), allowed - needed)).nbytes
    return FFBP_PLANNING + PER_CHANNEL * len(used) + design.cost * 1e-9 / threads(), int(needed), 1
