"""Imperfections: thermal noise, wandering and jittering positions, drift. All seeded, each with its own stream.

Signal-to-noise ratio: the mean power of the noise-free samples of the whole scan over the mean power of the noise of
one sample, before any compression: SNR = mean |s|^2 / mean |n|^2. Focusing N samples gains a factor N.
"""

import numpy as np

from mmsar.core.checks import finite_number, positive_int, real_array
from mmsar.errors import GeometryError

_BLOCK = 2**20


def add_noise(signal: np.ndarray, snr_db: float, *, rng: np.random.Generator) -> np.ndarray:
    """`signal` plus circular complex Gaussian noise, a new complex64 array.

    Parameters
    ----------
    signal : complex64 array, any shape
        Noise-free samples; their mean power, zeros included, is the reference.
    snr_db : float
        Signal-to-noise ratio per sample [dB], as defined above.
    rng : numpy Generator
        Source of the noise.

    Raises
    ------
    GeometryError
        A signal that is zero everywhere, for which the ratio has no meaning.
    """
    snr_db = finite_number("noise snr_db", snr_db, "dB")
    out = np.array(signal, dtype=np.complex64, order="C")
    flat = out.reshape(-1)
    power = sum(float(np.vdot(part, part).real) for part in np.array_split(flat, max(1, flat.size // _BLOCK)))
    power /= flat.size
    if power == 0:
        raise GeometryError("noise snr_db: got a signal of zeros, wanted some signal; use a scene with reflectivity")
    scale = np.float32(np.sqrt(power / 10 ** (snr_db / 10) / 2))
    parts = flat.view(np.float32)
    for start in range(0, parts.size, _BLOCK):
        part = parts[start : start + _BLOCK]
        part += scale * rng.standard_normal(part.size, dtype=np.float32)
    return out


def smooth_error(n: int, rms: np.ndarray, *, cycles: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth zero-mean wander of `n` poses along x, y, z [m], (n, 3).

    Its spectrum falls as a Gaussian exp(-c^2 / 2 cycles^2), c the number of cycles over all the poses.

    Parameters
    ----------
    n : int
        Poses.
    rms : (x, y, z)
        Root-mean-square error along each axis over the poses [m].
    cycles : float
        How often it wanders to and fro over the scan.
    """
    n = positive_int("smooth_error n", n)
    rms = real_array("smooth_error rms", rms, (3,), "m")
    cycles = finite_number("smooth_error cycles", cycles, "cycles", above=0.0)
    count = np.arange(n // 2 + 1)
    spectrum = rng.standard_normal((3, len(count))) + 1j * rng.standard_normal((3, len(count)))
    spectrum *= np.exp(-0.5 * (count / cycles) ** 2)
    spectrum[:, 0] = 0
    error = np.fft.irfft(spectrum, n, axis=1) if n > 1 else np.zeros((3, 1))
    size = np.sqrt(np.mean(error**2, axis=1, keepdims=True))
    return (error / np.where(size > 0, size, 1.0)).T * rms


def white_error(n: int, rms: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Independent Gaussian errors of `n` poses with `rms` (x, y, z) [m], (n, 3)."""
    n = positive_int("white_error n", n)
    return rng.standard_normal((n, 3)) * real_array("white_error rms", rms, (3,), "m")


def drift_error(time: np.ndarray, total: np.ndarray) -> np.ndarray:
    """A drift growing in proportion to time, from 0 at the first pose to `total` (x, y, z) [m] at the last, (n, 3)."""
    time = real_array("drift_error time", time, (None,), "s")
    span = time[-1] - time[0]
    return np.outer((time - time[0]) / (span if span > 0 else 1.0), real_array("drift_error total", total, (3,), "m"))
