r"""A scan against the ideal echo of a point: the sums that a reflector calibration is fitted to.

With s_ideal the exact multistatic signal of the point (`mmsar.simulate.forward`: true antenna positions, rotation, TDM
slots, feed polarity), the product of a pose and channel

    c(f) = s(f) conj(s_ideal(f)) = g exp(+j 2 k b + j 2 pi (f - f_ref) tau) + clutter

no longer depends on the pose, so its sum over poses is the matched filter for that place: echoes from elsewhere and
TX-RX leakage add up out of step. (Yanik's calibration does the same sum.)
"""

from dataclasses import dataclass

import numpy as np

from mmsar.errors import GeometryError
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Geometry, Scan
from mmsar.signal.window import taper
from mmsar.simulate.forward import SimulationOptions, forward
from mmsar.simulate.scene import Scene

BLOCK_BYTES = 32 * 2**20
FULL_SCALE = 32767.0
"""Largest I or Q of 16-bit samples."""
CLIPPED_SHARE = 1e-5
"""Share of samples at the converter's limit above which a scan counts as saturated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Correlation:
    """Sums of c(f) over poses, and what each pose contributes."""

    chirp: Chirp
    """Frequencies of the samples."""
    halves: np.ndarray
    """Sum of c over the first and the second half of the poses, complex128, (2, n_tx, n_rx, n_samples)."""
    count: np.ndarray
    """Valid poses in each sum, (2, n_tx, n_rx)."""
    power: np.ndarray
    """Mean power of the tapered range profile of c over poses and channels, (n_samples,)."""
    bins: np.ndarray
    """Range profiles of every pose around the reflector, complex64, (n_pose, n_tx, n_rx, n_bin)."""
    bias: np.ndarray
    """One-way range beside the reflector of each of these bins [m], (n_bin,)."""


def correlate(scan: Scan, position: np.ndarray, *, low: float, high: float) -> Correlation:
    """Compare a scan with the ideal echo of a point.

    Parameters
    ----------
    scan : Scan
        Its samples are taken as they are: a calibration it carries is not applied.
    position : array_like
        The point in the world [m], (3,).
    low, high : float
        Range bias to keep range bins for [m].

    Raises
    ------
    GeometryError
        Samples that are not finite or zero throughout, a point on an antenna.
    """
    chirp, (n_pose, n_tx, n_rx, n) = scan.chirp, scan.shape
    cell = chirp.range_max / n
    index = np.arange(int(np.floor(low / cell)), int(np.ceil(high / cell)) + 1)
    if len(index) > n:
        raise GeometryError(
            f"range bias: got {low * 1e3:g} to {high * 1e3:g} mm, wanted less than {chirp.range_max * 1e3:g} mm between"
        )
    window = taper("hann", n) / taper("hann", n).sum()
    halves, count = np.zeros((2, n_tx, n_rx, n), complex), np.zeros((2, n_tx, n_rx))
    power, bins = np.zeros(n), np.zeros((n_pose, n_tx, n_rx, len(index)), np.complex64)
    scene, options = Scene.points([position]), SimulationOptions(progress=False)
    geometry, weight = scan.geometry, scan.valid * scan.array.polarity
    for poses, block in scan.blocks(BLOCK_BYTES):
        if not weight[poses].any():
            continue
        part = Geometry(
            chirp=chirp,
            tx_position=geometry.tx_position[poses],
            rx_position=geometry.rx_position[poses],
            weight=weight[poses],
        )
        product = block * forward(part, scene, options=options).conj()
        profile = np.fft.fft(product * window.astype(np.float32), axis=-1)
        bins[poses] = profile[..., index % n]
        power += (profile.real.astype(float) ** 2 + profile.imag.astype(float) ** 2).sum(axis=(0, 1, 2))
        middle = int(np.clip(n_pose // 2 - poses.start, 0, len(block)))
        for half, rows in enumerate((slice(0, middle), slice(middle, None))):
            halves[half] += product[rows].sum(axis=0, dtype=complex)
            count[half] += scan.valid[poses][rows].sum(axis=0)
    if not power.any():
        raise GeometryError("reflector scan: got samples of zero throughout, wanted echoes")
    return Correlation(chirp=chirp, halves=halves, count=count, power=power / count.sum(), bins=bins, bias=index * cell)


def check_saturation(scan: Scan, full_scale: float | None = None) -> None:
    """Refuse a scan whose samples stand at the converter's limit.

    Parameters
    ----------
    full_scale : float, optional
        Largest I or Q there can be. Default: 32767 times the scale of int16 samples; samples in memory are taken for
        int16 when all are whole numbers. Samples of an unknown scale cannot be checked and pass.

    Raises
    ------
    GeometryError
        More than one sample in 100,000 (and at least two) at the limit.
    """
    limit = full_scale
    if limit is None and (scale := getattr(scan.signal, "int16_scale", None)) is not None:
        limit = FULL_SCALE * abs(scale)
    clipped = total = 0
    for _, block in scan.blocks(BLOCK_BYTES):
        values = np.ascontiguousarray(block).view(np.float32)
        if limit is None and not np.array_equal(values, np.rint(values)):
            return
        clipped += int((np.abs(values) >= (FULL_SCALE if limit is None else limit)).sum())
        total += values.size
    if clipped >= 2 and clipped > CLIPPED_SHARE * total:
        raise GeometryError(
            f"reflector scan: got {clipped} of {total} values at the converter's limit, wanted none; lower the receive "
            "gain or move the reflector away"
        )
