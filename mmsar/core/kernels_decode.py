"""Hot loops of the raw decoder: int16 words in file order to interleaved float32 (real, imaginary) in channel order.

Four orders cover every layout of `mmsar.io.importers.iq_layout`:

    stream       I, Q next to each other, receiver after receiver    out[n] = raw[2 n + i], raw[2 n + q]
    pairs        two samples of a receiver together, four words      out[2 m + s] = raw[4 m + i + s], raw[4 m + q + s]
    plain        real samples, receiver after receiver               out[n] = raw[n], 0
    interleaved  all channels of an instant together                 out[c, r, n] = raw[c, n, i_r], raw[c, n, q_r]

A word is made a number by `value`: (word ^ flip) with `shift` unused top bits replaced by the sign. No kernel
allocates; all release the interpreter's lock.
"""

import numpy as np
from numba import njit


@njit(inline="always")
def value(word: int, flip: int, shift: int) -> float:
    """A raw word as a number: `flip` is exclusive-ored, then bit 15 - shift is the sign."""
    return np.float32(np.int16(np.int16(word ^ flip) << shift) >> shift)


@njit(cache=True, nogil=True)
def decode_stream(raw: np.ndarray, q_first: bool, flip: int, shift: int, out: np.ndarray) -> None:
    """raw (2 n,) int16 -> out (2 n,) float32: pairs of words, exchanged when Q comes first."""
    if q_first:
        for n in range(out.size // 2):
            out[2 * n] = value(raw[2 * n + 1], flip, shift)
            out[2 * n + 1] = value(raw[2 * n], flip, shift)
    else:
        for n in range(out.size):
            out[n] = value(raw[n], flip, shift)


@njit(cache=True, nogil=True)
def decode_pairs(raw: np.ndarray, q_first: bool, flip: int, shift: int, out: np.ndarray) -> None:
    """raw (4 m,) int16 as I I Q Q (or Q Q I I) -> out (4 m,) float32 as I Q I Q."""
    if q_first:
        for m in range(out.size // 4):
            out[4 * m] = value(raw[4 * m + 2], flip, shift)
            out[4 * m + 1] = value(raw[4 * m], flip, shift)
            out[4 * m + 2] = value(raw[4 * m + 3], flip, shift)
            out[4 * m + 3] = value(raw[4 * m + 1], flip, shift)
    else:
        for m in range(out.size // 4):
            out[4 * m] = value(raw[4 * m], flip, shift)
            out[4 * m + 1] = value(raw[4 * m + 2], flip, shift)
            out[4 * m + 2] = value(raw[4 * m + 1], flip, shift)
            out[4 * m + 3] = value(raw[4 * m + 3], flip, shift)


@njit(cache=True, nogil=True)
def decode_plain(raw: np.ndarray, flip: int, shift: int, out: np.ndarray) -> None:
    """raw (n,) int16 -> out (2 n,) float32 with zeros as imaginary parts."""
    for n in range(raw.size):
        out[2 * n] = value(raw[n], flip, shift)
        out[2 * n + 1] = np.float32(0.0)


@njit(cache=True, nogil=True)
def decode_interleaved(
    raw: np.ndarray, samples: int, i_at: np.ndarray, q_at: np.ndarray, flip: int, shift: int, out: np.ndarray
) -> None:
    """raw (chirps samples stride,) int16 -> out (chirps rx samples 2,) float32."""
    rx, stride = i_at.size, raw.size * 2 * i_at.size // max(1, out.size)
    for row in range(out.size // (2 * samples)):
        first, r = row // rx * samples * stride, row % rx
        a, b = raw[first + i_at[r] :], raw[first + q_at[r] :]
        target = out[row * samples * 2 : (row + 1) * samples * 2]
        for n in range(samples):
            target[2 * n] = value(a[n * stride], flip, shift)
            target[2 * n + 1] = value(b[n * stride], flip, shift)


@njit(cache=True, nogil=True)
def decode_eights(
    raw: np.ndarray, samples: int, i_at: np.ndarray, q_at: np.ndarray, flip: int, shift: int, out: np.ndarray
) -> None:
    """`decode_interleaved` for a stride of 8 words: knowing it, the compiler loads and converts vectors."""
    rx = i_at.size
    for row in range(out.size // (2 * samples)):
        first, r = row // rx * samples * 8, row % rx
        a, b = raw[first + i_at[r] :], raw[first + q_at[r] :]
        target = out[row * samples * 2 : (row + 1) * samples * 2]
        for n in range(samples):
            target[2 * n] = value(a[n * 8], flip, shift)
            target[2 * n + 1] = value(b[n * 8], flip, shift)


@njit(cache=True, nogil=True)
def decode_real_fours(raw: np.ndarray, samples: int, rx: int, flip: int, shift: int, out: np.ndarray) -> None:
    """raw (chirps samples 4,) int16, a word of every lane per instant -> out (chirps rx samples 2,), imaginary 0."""
    for row in range(out.size // (2 * samples)):
        a = raw[row // rx * samples * 4 + row % rx :]
        target = out[row * samples * 2 : (row + 1) * samples * 2]
        for n in range(samples):
            target[2 * n] = value(a[n * 4], flip, shift)
            target[2 * n + 1] = np.float32(0.0)
