"""Azimuth kernels of imaging in rotation: what every order n of the spectrum over the angle is multiplied by.

With k_r = sqrt(4k^2 - ky^2) and R0 the radius of the aperture, the plane wave that leaves at the angle a carries

    P(a) = sum_n W_n S_n exp(jna)

    matched              W_n = j^-n H_n                          the adjoint: the image is that of back-projection
    hankel               W_n = j^-n H_n / |H_n|^2 k_r / K        deconvolution: S_n is divided by the field of a point,
                                                                 with the Jacobian of polar coordinates
    exponential          W_n = 2 j^-n J_n                        transform of exp(-j k_r R0 cos a), the paper's kernel
    exponential-sampled  the same, sampled at the scan's angles  the paper's, with the aliasing of its released code

H_n = H^(2)_n(k_r R0), order by |n|. J_n = (H^(1)_n + H^(2)_n) / 2 holds waves that come in as well as those that go
out, with zeros where they cancel: the exponential kernel leaves a floor that the Hankel kernel does not have. Its
spectrum reaches |n| = k_r R0, far beyond the |n| <= k_r rho of a target of radius rho: sampled at fewer than 2 k_r R0
angles it is aliased. All kernels are cut at |n| = k_r rho and a few, and have about the gain of "matched" at n = 0.
Smith, Torlak: Near-field MIMO-ISAR, arXiv 2305.02030; far_field is the plane-wave limit, W_n = 1.
"""

import numpy as np

from mmsar.core.kernels_polar import hankel_rows

GUARD = 3.5
"""Orders kept beyond k_r rho, in units of (k_r rho)^(1/3): J_n is below -60 dB of its peak there."""


def highest_order(x: np.ndarray | float) -> np.ndarray:
    """The order beyond which J_n(x) does not matter, int."""
    x = np.asarray(x, dtype=float)
    return np.ceil(x + GUARD * np.cbrt(x) + 4).astype(np.int64)


def azimuth_weights(
    kernel: str, kr: np.ndarray, radius: float, last: np.ndarray, *, k2: np.ndarray, n_angles: int
) -> np.ndarray:
    """W_n for n = 0..max(last), complex128 (m, n_orders); W_-n = W_n.

    Parameters
    ----------
    kernel : str
        As above; "far_field" for plane waves.
    kr : (m,) array
        Wavenumbers across the axis [rad/m], above 0.
    radius : float
        R0 [m].
    last : (m,) int array
        Highest order of every row; 0 beyond.
    k2 : (m,) array
        K = 2k of every row [rad/m].
    n_angles : int
        Angles of a full turn; for "exponential-sampled".
    """
    n = np.arange(int(last.max()) + 1)
    inside = n <= last[:, None]
    if kernel == "far_field":
        return inside.astype(complex)
    if kernel == "exponential-sampled":
        angle = 2 * np.pi * np.arange(n_angles) / n_angles
        sampled = np.fft.fft(np.exp(-1j * np.outer(kr * radius, np.cos(angle))), axis=1) / n_angles
        return 2 * sampled[:, n % n_angles] * inside
    from scipy.special import hankel2

    field = np.empty((len(kr), len(n)), dtype=complex)
    hankel_rows(kr * radius, hankel2(0, kr * radius), hankel2(1, kr * radius), last, field)
    if kernel == "exponential":
        field = 2 * field.real
    elif kernel == "hankel":
        power = np.where(inside, np.abs(field) ** 2, 1)
        field = field / power * (2 / (np.pi * radius) / k2)[:, None]
    return field * np.array([1, -1j, -1, 1j])[n % 4]
