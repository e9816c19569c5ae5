"""Do rows driven backwards fit the rows driven forwards? A look at the echoes of an assembled serpentine raster."""

import numpy as np
from scipy.interpolate import CubicSpline

from mmsar.errors import GeometryError
from mmsar.hardware.motion.row_offset import RowOffset, row_offset
from mmsar.model import Scan

NOTABLE = 1 / 32
"""A shift of less than this is not worth a word [wavelengths]: it turns the phase by at most 22.5 degrees."""
CERTAIN = 4.0
"""Nor is one of less than this many standard errors."""


def backward_shift(scan: Scan) -> RowOffset | None:
    """The shift of backward rows along x that is left in a serpentine raster; None where the echoes do not tell.

    Positions of the poses are used as they are, so what is known of backlash is out already. A scene without detail,
    rows too far apart or too few of them do not tell.
    """
    raster = scan.raster
    if raster is None or not raster.serpentine or raster.n_y < 4 or raster.n_x < 16:
        return None
    shape = (raster.n_y, raster.n_x)
    x = scan.virtual_position[:, 0, 0, 0].reshape(shape)
    signal = np.concatenate([block[:, 0, 0] for _, block in scan.blocks()]).reshape(*shape, -1)
    backward = x[:, -1] < x[:, 0]
    x = np.where(backward[:, None], x[:, ::-1], x)
    signal = np.where(backward[:, None, None], signal[:, ::-1], signal)
    if backward.all() or not backward.any() or not np.all(np.diff(x, axis=1) > 0):
        return None
    low, high = x[:, 0].max(), x[:, -1].min()
    step = float(np.median(np.diff(x, axis=1)))
    grid = low + step * np.arange(int((high - low) / step) + 1)
    rows = np.stack([CubicSpline(place, row)(grid) for place, row in zip(x, signal, strict=True)])
    try:
        return row_offset(rows, step, backward, largest=min(5e-3, step * (len(grid) // 4)))
    except GeometryError:
        return None


def shift_warning(found: RowOffset, wavelength: float, backlash: float) -> str | None:
    """One line when a shift matters and is certain; `backlash` is the stage's known one [m]."""
    if abs(found.offset) < NOTABLE * wavelength or not abs(found.offset) > CERTAIN * found.spread:
        return None
    wanted = backlash + found.offset
    text = (
        f"rows driven backwards are shifted by {found.offset * 1e3:+.3f} mm against the others (standard error "
        f"{found.spread * 1e3:.3f} mm, {found.n_pairs} pairs of rows)"
    )
    if wanted >= 0:
        return f"{text}; with backlash_mm = {wanted * 1e3:.3f} in the stage's axis, --assemble puts it right"
    return f"{text}; the stage's reports are late: a larger latency_ms in the stage's axis, then --assemble"
