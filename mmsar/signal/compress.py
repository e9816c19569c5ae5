"""Frequency compression: the fewest frequencies that carry a range interval.

An image over an interval of path lengths rho in [low, high] only ever asks for

    sum_n v_n s_n exp(-j k_n rho).

Over that interval the exponentials of all sampled wavenumbers k_n lie, to a stated error, in the span of a few:

    v_n exp(-j k_n rho) ~ sum_m D[n, m] exp(-j k'_m rho),   so   sum_n ... = sum_m (sum_n s_n D[n, m]) exp(-j k'_m rho).

The matrix D is found by least squares once per geometry; about 2 B (high - low) / c + 5 frequencies k'_m are enough
(B the bandwidth), 10 to 20 instead of 64 to 512 for a scene some 0.2 m deep. It approximates the imaging kernel, not
the data, so echoes outside the interval keep exactly the sidelobes they would have had.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.core.parallel import matmul_rows
from mmsar.errors import GeometryError

POWER_REACH = 0.75
"""How far beyond the band frequencies may lie that carry a power of the path length too, in units of pi / interval."""
POWER_EDGE = 4.0
"""The same in units of half the band over the number of frequencies: where the fewest are needed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrequencyCompression:
    """Few frequencies and the matrix that maps samples to them."""

    k: np.ndarray
    """Wavenumbers k' [rad/m], (m,)."""
    matrix: np.ndarray
    """D, complex64, (n_samples, m): compressed = signal @ matrix."""
    error_db: float
    """Largest RMS error of the kernel over the interval, relative to its RMS value [dB]; -inf when nothing was done."""

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        return self.k.nbytes + self.matrix.nbytes


def compress(
    k: np.ndarray, weight: np.ndarray, *, low: float, high: float, error_db: float = -60.0, power: float = 0.0
) -> FrequencyCompression:
    """Find the compression for path lengths between `low` and `high`.

    Parameters
    ----------
    k : (n,) array
        Wavenumbers of the samples [rad/m], uniformly spaced.
    weight : (n,) array
        Real weights v of the samples.
    low, high : float
        Interval of R_tx + R_rx [m].
    error_db : float
        Largest error of the kernel wanted [dB].
    power : float
        Frequencies that carry (rho / middle)^power times the kernel instead, the middle being (low + high) / 2: what
        an imager needs whose own kernel falls with the path length. `low` must be above 0 then.

    Returns
    -------
    FrequencyCompression
        With all n samples (and the weights on the diagonal) when fewer would not do; with a `power`, up to a few more.

    Raises
    ------
    GeometryError
        An empty interval, values that are not finite, or a power of path lengths that begin at 0.
    """
    k = real_array("compress k", k, (None,), "rad/m")
    weight = real_array("compress weight", weight, k.shape, "1")
    span = finite_number("compress high", high, "m") - finite_number("compress low", low, "m")
    if span < 0:
        raise GeometryError(f"compress: got path lengths {low:g} to {high:g} m, wanted low <= high")
    if power and low <= 0:
        raise GeometryError(f"compress: got path lengths from {low:g} m with a power, wanted them above 0")
    centre, half = (k[0] + k[-1]) / 2, (k[-1] - k[0]) / 2
    kappa = k - centre
    n_rho = 64 + 4 * int(half * span)
    rho = np.cos(np.pi * (np.arange(n_rho) + 0.5) / n_rho) * span / 2
    middle = (low + high) / 2
    target = np.exp(-1j * np.outer(rho, kappa)) * weight
    if power:
        target *= ((1 + rho / middle) ** power)[:, None]
    rms = np.sqrt(np.mean(np.abs(target) ** 2))
    tolerance = 10 ** (error_db / 20)
    smallest = max(1, int(half * span / np.pi))
    most = 2 * max(smallest, len(k)) + 14 if power else int(0.75 * len(k))
    m = smallest
    while m < most:
        reach = half * (1 + (POWER_EDGE if power else 2) / m)
        if power and span > 0:
            reach = max(reach, half + POWER_REACH * np.pi / span)
        nodes = np.linspace(-1, 1, m) * reach if m > 1 else np.zeros(1)
        basis = np.exp(-1j * np.outer(rho, nodes))
        matrix = np.linalg.lstsq(basis, target, rcond=tolerance * (1e-3 if power else 1e-2))[0]
        error = np.sqrt(np.max(np.mean(np.abs(basis @ matrix - target) ** 2, axis=1))) / rms
        step = 1 if power else max(1, m // 32)  # a few more than the fewest, for fewer attempts
        if error <= tolerance or (power and m + step >= most):
            # back from rho relative to the middle of the interval to absolute rho
            phase = np.exp(1j * (nodes[:, None] - kappa[None, :]) * middle)
            full = (matrix * phase).T
            return FrequencyCompression(
                k=centre + nodes, matrix=full.astype(np.complex64), error_db=float(20 * np.log10(max(error, 1e-12)))
            )
        m += step
    return FrequencyCompression(k=k, matrix=np.diag(weight).astype(np.complex64), error_db=-np.inf)


def compressed(
    signal: Any, shape: tuple[int, int, int, int], matrix: np.ndarray, *, by_channel: bool = False
) -> np.ndarray:
    """signal @ D, transposed.

    Parameters
    ----------
    signal : (n_pose, n_tx, n_rx, n_samples) array, or a Scan
        Samples; those of a Scan are read block by block.
    shape : tuple
        Of the geometry.
    matrix : (n_samples, m) array
        D.
    by_channel : bool
        What lies together in memory: all that belongs to a channel, or to a frequency.

    Returns
    -------
    (m, n_channels) complex64

    Raises
    ------
    GeometryError
        A signal of another shape.
    """
    per_pose = shape[1] * shape[2]
    size = (matrix.shape[1], shape[0] * per_pose)
    out = np.empty(size, dtype=np.complex64, order="F" if by_channel else "C")
    if not hasattr(signal, "blocks"):
        signal = np.asarray(signal)
        check_shape("signal", signal.shape, shape)
        matmul_rows(signal.reshape(-1, shape[3]).astype(np.complex64, copy=False), matrix, out=out.T)
        return out
    check_shape("signal", signal.shape, shape)
    for poses, block in signal.blocks():
        mine = slice(poses.start * per_pose, poses.stop * per_pose)
        matmul_rows(block.reshape(-1, shape[3]), matrix, out=out[:, mine].T)
    return out
