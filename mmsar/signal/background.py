r"""Background removal: taking out what does not belong to the scene.

Leakage from transmitter to receiver and echoes of the mount are the same at every pose, s = s_scene + b(tx, rx, k).
`remove_mean` estimates b as the mean over poses, `subtract_reference` measures it with an empty scene.

The mean also removes the part of a scene that is the same at all poses, such as a large plane parallel to the aperture.
"""

import numpy as np

from mmsar.core.checks import one_of
from mmsar.errors import GeometryError
from mmsar.model.scan import Scan
from mmsar.signal.lazy import map_poses


def remove_mean(scan: Scan, *, axis: str = "pose") -> Scan:
    """The scan less its mean over poses, channel by channel and sample by sample.

    Invalid channels do not enter the mean, and come out as 0. Two passes in blocks: besides the result only the means
    are held, (groups, n_tx, n_rx, n_samples). A lazy signal stays lazy (its means are computed at once).

    Parameters
    ----------
    scan : Scan
        In memory or lazy; an unapplied calibration stays on it.
    axis : {"pose", "row"}
        One mean over all poses, or one per row of the raster (against slow drift; also removes what is constant along
        a row).

    Raises
    ------
    GeometryError
        "row" for a scan that has no raster layout, or another axis.
    """
    one_of("remove_mean axis", axis, ("pose", "row"))
    if axis == "row" and scan.raster is None:
        raise GeometryError('remove_mean axis: got "row" for a scan without raster layout, wanted "pose"')
    n_pose = scan.shape[0]
    group = np.zeros(n_pose, dtype=int) if axis == "pose" else np.arange(n_pose) // scan.raster.n_x
    mean = _group_means(scan, group)
    valid = scan.valid

    def subtract(block: np.ndarray, poses: np.ndarray) -> np.ndarray:
        return (block - mean[group[poses]]) * valid[poses][..., None]

    return scan.with_signal(map_poses(scan, subtract)).with_step(step="remove mean", axis=axis)


def subtract_reference(scan: Scan, reference: Scan, *, mode: str = "pose") -> Scan:
    """The scan less a scan of the empty scene.

    A channel is valid only where the reference is valid too; others come out as 0.

    Parameters
    ----------
    scan, reference : Scan
        Same waveform, array and state of calibration.
    mode : {"pose", "mean"}
        "pose": the reference was taken at the same positions and is subtracted pose by pose. "mean": the mean of the
        reference over its poses is subtracted from every pose; it may have been taken anywhere.

    Raises
    ------
    GeometryError
        Scans that do not belong together, with what differs.
    """
    one_of("subtract_reference mode", mode, ("pose", "mean"))
    _check_reference(scan, reference, mode)
    if mode == "pose":
        valid = scan.valid & reference.valid
        source = reference.signal

        def background(poses: np.ndarray) -> np.ndarray:
            first, last = int(poses.min()), int(poses.max())
            return np.asarray(source[first : last + 1])[poses - first]
    else:
        mean = _group_means(reference, np.zeros(reference.shape[0], dtype=int))
        valid = scan.valid & reference.valid.any(axis=0)

        def background(poses: np.ndarray) -> np.ndarray:
            return mean

    if not valid.any():
        raise GeometryError("subtract_reference: no channel is valid in both scans, wanted at least one")

    def subtract(block: np.ndarray, poses: np.ndarray) -> np.ndarray:
        return (block - background(poses)) * valid[poses][..., None]

    return scan.with_signal(map_poses(scan, subtract), valid=valid).with_step(step="subtract reference", mode=mode)


def _group_means(scan: Scan, group: np.ndarray) -> np.ndarray:
    """Mean of the valid samples of every group of poses, complex64, (groups, n_tx, n_rx, n_samples)."""
    n = int(group.max()) + 1
    total = np.zeros((n, *scan.shape[1:]), dtype=np.complex128)
    count = np.zeros((n, *scan.shape[1:3]))
    for poses, block in scan.blocks():
        valid = scan.valid[poses]
        kept = block * valid[..., None]
        index = group[poses]
        for g in np.unique(index):
            total[g] += kept[index == g].sum(axis=0, dtype=np.complex128)
            count[g] += valid[index == g].sum(axis=0)
    return (total / np.maximum(count, 1)[..., None]).astype(np.complex64)


def _check_reference(scan: Scan, reference: Scan, mode: str) -> None:
    """Raise GeometryError, saying what differs, unless the reference may be subtracted from the scan."""
    name = "subtract_reference"
    if reference.shape[1:] != scan.shape[1:]:
        raise GeometryError(
            f"{name}: got a reference of {reference.shape[1:]} (tx, rx, samples), wanted the scan's {scan.shape[1:]}"
        )
    if not np.allclose(reference.chirp.f, scan.chirp.f, rtol=0, atol=0.01 * scan.chirp.step):
        raise GeometryError(
            f"{name}: got a reference from {reference.chirp.f[0] / 1e9:.6g} to {reference.chirp.f[-1] / 1e9:.6g} GHz, "
            f"wanted the scan's {scan.chirp.f[0] / 1e9:.6g} to {scan.chirp.f[-1] / 1e9:.6g} GHz"
        )
    if not _same_calibration(scan, reference):
        raise GeometryError(
            f"{name}: got scans with different calibrations, wanted both raw or both calibrated; use apply_calibration"
        )
    if mode == "mean":
        return
    if reference.shape[0] != scan.shape[0]:
        raise GeometryError(
            f"{name}: got a reference of {reference.shape[0]} poses, wanted the scan's {scan.shape[0]}; "
            'mode="mean" (mmsar calibrate --empty-mean) subtracts the reference\'s mean instead'
        )
    apart = float(np.abs(reference.virtual_position - scan.virtual_position).max())
    limit = scan.chirp.wavelength / 8
    if apart > limit:
        raise GeometryError(
            f"{name}: got positions up to {apart * 1e3:.3g} mm apart, wanted at most {limit * 1e3:.3g} mm (lambda/8); "
            'mode="mean" (mmsar calibrate --empty-mean) subtracts the reference\'s mean instead'
        )


def _same_calibration(a: Scan, b: Scan) -> bool:
    if a.calibration is None or b.calibration is None:
        return a.calibration is b.calibration
    ends = a.chirp.f[[0, -1]]
    return bool(np.allclose(a.calibration.response(ends), b.calibration.response(ends), rtol=1e-5))
