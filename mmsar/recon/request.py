"""Whether method and options of a reconstruction go together and with the scan, before anything is predicted.

Far-field samples are referred to the axis: their ranges lie about 0, those of a near-field scan about the antennas'
distance R0. Waves count as plane over a target of diameter D from 2 D^2 / lambda on, where the way there and back is
pi / 4 off at its edge.
"""

import numpy as np

from mmsar.core.checks import instance, one_of
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Scan
from mmsar.recon.options import ReconOptions
from mmsar.recon.predict import FAR_FIELD, METHODS
from mmsar.recon.ring import largest_rho
from mmsar.signal.cylinder import Cylinder, round_of
from mmsar.signal.rangefft import ENERGY_BYTES, mean_range_power

BYTES = ENERGY_BYTES // 4
"""Samples looked at for the ranges of the echoes [bytes]."""


def check_request(scan: Scan, method: str, options: ReconOptions) -> None:
    """Refuse what cannot be asked for.

    Parameters
    ----------
    scan : Scan
        Its geometry, what it says of itself, and, when only the options call it far-field, its samples' ranges.
    method : str
        Name or "auto".
    options : ReconOptions
        `kernel`, `far_field` and `verify` are looked at.

    Raises
    ------
    GeometryError
        Something else than a Scan or ReconOptions; a kernel that the method does not know; a far field of a scan that
        does not go round the y axis, whose samples are not referred to it, with another method than isar or with
        verification.
    """
    instance("scan", scan, Scan, "mmsar.load_scan reads one from a file")
    instance("options", options, ReconOptions, "of mmsar.recon.options")
    one_of("method", method, ("auto", *METHODS))
    told = bool(scan.attrs.get("far_field"))
    far = told or options.far_field
    if far and not told:
        cylinder = round_of(scan.geometry)
        if cylinder is None:
            raise GeometryError(
                "far_field: the antennas do not go round the y axis, wanted samples of a turntable that are referred "
                "to its axis; leave far_field (--far-field) out"
            )
        _check_ranges(scan, cylinder)
    if far and (method not in ("auto", "isar") or options.verify):
        what = f"method {method}" if method not in ("auto", "isar") else "verify"
        raise GeometryError(f"{what}: {FAR_FIELD}, wanted method isar without verification")
    if options.kernel == "matched":
        return
    if far:
        raise GeometryError(
            f"kernel: got {options.kernel}, but far-field samples need none, wanted it left out (they are imaged by "
            "plane waves)"
        )
    if method not in ("auto", "isar"):
        raise GeometryError(
            f"kernel: got {options.kernel} with method {method}, which has none, wanted method isar, or the kernel "
            "left out"
        )


def warnings_of(scan: Scan, grid: ImageGrid, options: ReconOptions) -> list[str]:
    """What to say of a grid that can be imaged, but hardly shows what was there: none in the most cases."""
    return [text for text in (near_field_warning(scan, grid, options), range_warning(scan, grid, options)) if text]


def range_warning(scan: Scan, grid: ImageGrid, options: ReconOptions) -> str:
    """What to say when all of the grid is beyond the unambiguous range, as of lengths in another unit; else nothing."""
    if scan.attrs.get("far_field") or options.far_field:
        return ""
    low, high = np.array(grid.extent).T
    antennas = scan.virtual_position.reshape(-1, 3)
    gap = np.maximum(0, np.maximum(low - antennas.max(axis=0), antennas.min(axis=0) - high))
    nearest, farthest = float(np.linalg.norm(gap)), scan.chirp.range_max
    if nearest <= farthest:
        return ""
    return (
        f"all of the grid is {nearest:.4g} m away and more, beyond the unambiguous range of {farthest:.3g} m, where "
        "nearer echoes show again; lengths are in metres in Python, in millimetres on the command line"
    )


def near_field_warning(scan: Scan, grid: ImageGrid, options: ReconOptions) -> str:
    """What to say when the options call a scan far-field whose antennas are not far from the grid; else nothing."""
    cylinder = None if scan.attrs.get("far_field") or not options.far_field else round_of(scan.geometry)
    if cylinder is None:
        return ""
    wavelength, rho = scan.chirp.wavelength, largest_rho(grid)
    least = 8 * rho**2 / wavelength
    if cylinder.radius >= least:
        return ""
    phase = np.rad2deg(2 * np.pi * rho**2 / (wavelength * cylinder.radius))
    return (
        f"far_field: from {cylinder.radius:.4g} m waves are not plane over +-{1e3 * rho:.0f} mm ({phase:.0f} degrees "
        f"off at the edge; far is {least:.3g} m, 2 D^2 / lambda); true only if that radius is nominal"
    )


def _check_ranges(scan: Scan, cylinder: Cylinder) -> None:
    """Refuse samples whose echoes come from the antennas' distance rather than from range 0 (both cyclic)."""
    chirp = scan.chirp
    board = cylinder.radius % chirp.range_max
    if chirp.n_samples < 8 or min(board, chirp.range_max - board) < 2 * chirp.range_resolution:
        return
    found = mean_range_power(scan, pad=4, window="hann", max_bytes=BYTES)
    power = np.maximum(found.power - np.quantile(found.power, 0.25), 0)
    if found.n_poses >= 8:  # leakage and mount, at range 0, are the same at every pose
        moving = power * (found.changing >= 0.05 * found.power)
        power = moving if moving.any() else power
    from_axis, from_board = (_apart(found.range_m, at, chirp.range_max) for at in (0.0, board))
    if power[from_board < from_axis].sum() > power.sum() / 2:
        at = float(found.range_m[np.argmax(power)])
        raise GeometryError(
            f"far_field: the samples are not referred to the axis: the strongest echo is at {1e3 * at:.0f} mm, and the "
            f"antennas are {1e3 * cylinder.radius:.0f} mm from the axis; wanted ranges about 0, seen from "
            "2 D^2 / lambda or farther; leave far_field (--far-field) out"
        )


def _apart(range_m: np.ndarray, at: float, whole: float) -> np.ndarray:
    return np.abs((range_m - at + whole / 2) % whole - whole / 2)
