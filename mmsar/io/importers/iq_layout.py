"""How int16 samples lie in a raw TI capture, and back: the one decoder of the project.

One frame of `chirps` chirps is, in file order (last index fastest):

    4lane        [chirp, sample, IQ, lane 4]      xWR12xx, 14xx, AWR2243: I0 I1 I2 I3 Q0 Q1 Q2 Q3; unused lanes are 0
    4lane-iqiq   [chirp, sample, lane 4, IQ]      the same after the reordering of DCA1000EVM_CLI_Record; TDA2 captures
    4lane-real   [chirp, sample, lane 4]          real sampling with four lanes
    2lane-iiqq   [chirp, rx, sample/2, IQ, 2]     xWR16xx, 18xx, 68xx: I[n] I[n+1] Q[n] Q[n+1]
    2lane-qqii   [chirp, rx, sample/2, QI, 2]     the same with SampleSwap = 1 (the usual Demo Visualizer setting)
    iqiq         [chirp, rx, sample, IQ]          2lane-iiqq after reordering
    qiqi         [chirp, rx, sample, QI]          2lane-qqii after reordering
    real         [chirp, rx, sample]              real sampling with two lanes, and AWR2944
    2lane-interleaved  [chirp, sample, rx/2, IQ, 2]  xWR12xx, 14xx with two lanes: I0 I1 Q0 Q1 I2 I3 Q2 Q3; an odd last
                                                  receiver leaves its neighbour 0 (met in a public IWR1443 recording)

Source: TI raw-data capture guides (SWRA581), and files of public projects. int16 is little-endian two's complement;
offset-binary samples have the top bit inverted; samples of 12 or 14 bits have their sign in bit 11 or 13.
"""

import numpy as np

from mmsar.errors import FormatError, GeometryError

TOP_BIT = np.uint16(0x8000)
LAYOUTS = (
    "4lane",
    "2lane-iiqq",
    "2lane-qqii",
    "iqiq",
    "qiqi",
    "4lane-iqiq",
    "2lane-interleaved",
    "real",
    "4lane-real",
)
REAL = ("real", "4lane-real")
"""Layouts of real samples."""
PAIRED = ("2lane-iiqq", "2lane-qqii")
"""Layouts that keep two samples of a receiver together."""
REORDERED = {"2lane-iiqq": "iqiq", "2lane-qqii": "qiqi", "4lane": "4lane-iqiq"}
"""What a layout becomes when DCA1000EVM_CLI_Record rewrites the file (reorderEnable = 1)."""


def lanes(layout: str, rx: int) -> int:
    """Channels a file of this layout holds per sample: 4 with four lanes, an even number interleaved, else `rx`."""
    return 4 if layout.startswith("4lane") else rx + rx % 2 if layout == "2lane-interleaved" else rx


def word_bytes(layout: str) -> int:
    """Size of one sample of one channel [bytes]: 4 for I and Q, 2 for real samples."""
    return 2 if layout in REAL else 4


def frame_bytes(layout: str, *, chirps: int, samples: int, rx: int) -> int:
    """Size of a frame [bytes]."""
    return chirps * samples * lanes(layout, rx) * word_bytes(layout)


def check_layout(layout: str, *, samples: int, rx: int) -> None:
    """Raise FormatError for an unknown layout and for what a layout cannot hold."""
    if layout not in LAYOUTS:
        raise FormatError(f'[capture] layout: got "{layout}", wanted one of {", ".join(LAYOUTS)}')
    if layout.startswith("4lane") and rx > 4:
        raise FormatError(f'[capture] rx: got {rx}, wanted at most 4 with layout "{layout}"')
    if layout in PAIRED and samples % 2:
        raise FormatError(f'[waveform] samples: got {samples}, wanted an even number with layout "{layout}"')


def split_iq(raw: np.ndarray, layout: str, *, chirps: int, samples: int, rx: int) -> tuple[np.ndarray, np.ndarray]:
    """I and Q of all lanes as views, int16, each (n_frames, chirps, lanes, samples); Q of real samples is zeros.

    Parameters
    ----------
    raw : ndarray
        int16 samples in file order, a whole number of frames.
    """
    n = lanes(layout, rx)
    if layout in REAL:
        if layout == "real":
            i = raw.reshape(-1, chirps, n, samples)
        else:
            i = raw.reshape(-1, chirps, samples, n).transpose(0, 1, 3, 2)
        return i, np.broadcast_to(np.zeros((), raw.dtype), i.shape)
    if layout == "4lane":
        cube = raw.reshape(-1, chirps, samples, 2, n).transpose(3, 0, 1, 4, 2)
    elif layout == "4lane-iqiq":
        cube = raw.reshape(-1, chirps, samples, n, 2).transpose(4, 0, 1, 3, 2)
    elif layout in ("iqiq", "qiqi"):
        cube = raw.reshape(-1, chirps, n, samples, 2).transpose(4, 0, 1, 2, 3)
        cube = cube[::-1] if layout == "qiqi" else cube
    elif layout == "2lane-interleaved":
        pairs = raw.reshape(-1, chirps, samples, n // 2, 2, 2)
        shape = (len(pairs), chirps, samples, n)
        cube = [pairs[..., part, :].reshape(shape).transpose(0, 1, 3, 2) for part in (0, 1)]
    else:
        pairs = raw.reshape(-1, chirps, n, samples // 2, 2, 2)
        shape = (len(pairs), chirps, n, samples)
        first, second = pairs[..., 0, :].reshape(shape), pairs[..., 1, :].reshape(shape)
        return (second, first) if layout == "2lane-qqii" else (first, second)
    return cube[0], cube[1]


def decode(
    raw: np.ndarray,
    layout: str,
    *,
    chirps: int,
    samples: int,
    rx: int,
    offset_binary: bool = False,
    bits: int = 16,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Samples of a capture as I + jQ, complex64, (n_frames, chirps, rx, samples); real samples have Q = 0.

    Parameters
    ----------
    raw : ndarray
        int16 in file order, one-dimensional, a whole number of frames.
    layout : str
        See the module.
    chirps, samples, rx : int
        Chirps per frame, samples per chirp, receivers.
    offset_binary : bool
        Whether the top bit is inverted.
    bits : int
        12, 14 or 16: bits of a sample; the bits above are replaced by its sign.
    out : ndarray, optional
        Where to put the result (complex64, contiguous, of that shape): spares a fresh array for every call.

    Raises
    ------
    FormatError
        An unknown layout, a number of receivers or samples that it cannot hold, or not a whole number of frames.
    GeometryError
        An `out` of another shape or kind.
    """
    from mmsar.core import kernels_decode

    check_layout(layout, samples=samples, rx=rx)
    if bits not in (12, 14, 16):
        raise FormatError(f"bits of a sample: got {bits}, wanted 12, 14 or 16")
    if raw.dtype != np.dtype("<i2") or raw.ndim != 1 or not raw.flags.c_contiguous:
        raise GeometryError(f"raw samples: got {raw.dtype} of shape {raw.shape}, wanted contiguous int16 (n,)")
    words = frame_bytes(layout, chirps=chirps, samples=samples, rx=rx) // 2
    n_frames, rest = divmod(raw.size, words)
    if rest:
        raise FormatError(
            f"raw samples: got {raw.size * 2} bytes, wanted a whole number of frames of {words * 2} bytes"
        )
    shape = (n_frames, chirps, rx, samples)
    if out is None:
        out = np.empty(shape, dtype=np.complex64)
    elif out.shape != shape or out.dtype != np.complex64 or not out.flags.c_contiguous:
        raise GeometryError(f"out: got {out.dtype} of shape {out.shape}, wanted contiguous complex64 {shape}")
    flip, shift = (-0x8000 if offset_binary else 0), 16 - bits
    flat = out.reshape(-1).view(np.float32)
    if layout in PAIRED:
        kernels_decode.decode_pairs(raw, layout == "2lane-qqii", flip, shift, flat)
    elif layout in ("iqiq", "qiqi"):
        kernels_decode.decode_stream(raw, layout == "qiqi", flip, shift, flat)
    elif layout == "real":
        kernels_decode.decode_plain(raw, flip, shift, flat)
    elif layout == "4lane-real":
        kernels_decode.decode_real_fours(raw, samples, rx, flip, shift, flat)
    else:
        eights = lanes(layout, rx) == 4
        kernel = kernels_decode.decode_eights if eights else kernels_decode.decode_interleaved
        kernel(raw, samples, *_places(layout, rx), flip, shift, flat)
    return out


def _places(layout: str, rx: int) -> tuple[np.ndarray, np.ndarray]:
    """Where I and Q of every receiver lie among the words of one instant; -1: there is no Q."""
    r = np.arange(rx)
    if layout == "4lane":
        return r, r + 4
    if layout == "4lane-iqiq":
        return 2 * r, 2 * r + 1
    if layout == "4lane-real":
        return r, np.full(rx, -1)
    return r // 2 * 4 + r % 2, r // 2 * 4 + r % 2 + 2


def encode(cube: np.ndarray, layout: str, *, offset_binary: bool = False) -> np.ndarray:
    """The inverse of `decode`: int16 in file order for a cube (n_frames, chirps, rx, samples) of whole numbers.

    Raises
    ------
    FormatError
        As `decode`.
    GeometryError
        A cube with imaginary parts for a layout of real samples, or numbers that int16 cannot hold.
    """
    n_frames, chirps, rx, samples = cube.shape
    check_layout(layout, samples=samples, rx=rx)
    i, q = np.asarray(cube.real), np.asarray(cube.imag)
    if layout in REAL and q.any():
        raise GeometryError(f'encode: got imaginary parts, wanted real samples with layout "{layout}"')
    if cube.size and max(i.max(), q.max(), -i.min() - 1, -q.min() - 1) > 32767:
        raise GeometryError("encode: got samples beyond +-32768, wanted ones that int16 holds; scale or clip them")
    shape = (n_frames, chirps, rx, samples)
    if layout == "real":
        raw = i.astype("<i2").ravel()
    elif layout in ("iqiq", "qiqi"):
        raw = np.empty((*shape, 2), dtype="<i2")
        first = int(layout == "qiqi")
        raw[..., first], raw[..., 1 - first] = i, q
    elif layout in PAIRED:
        raw = np.empty((n_frames, chirps, rx, samples // 2, 2, 2), dtype="<i2")
        first = int(layout == "2lane-qqii")
        raw[..., first, :], raw[..., 1 - first, :] = i.reshape(*raw.shape[:-2], 2), q.reshape(*raw.shape[:-2], 2)
    else:
        words = lanes(layout, rx) * word_bytes(layout) // 2
        raw = np.zeros((n_frames, chirps, samples, words), dtype="<i2")
        i_at, q_at = _places(layout, rx)
        raw[..., i_at] = i.transpose(0, 1, 3, 2)
        if layout not in REAL:
            raw[..., q_at] = q.transpose(0, 1, 3, 2)
    raw = raw.ravel()
    return (raw.view(np.uint16) ^ TOP_BIT).view(np.int16) if offset_binary else raw


def looks_toggled(raw: np.ndarray) -> bool:
    """Whether int16 samples seem to have their top bit inverted (offset binary read as two's complement, or back).

    Real samples crowd around 0; with the wrong top bit they crowd around +-32768 instead: almost all lie beyond half
    of full scale, and inverting the bit at least halves their RMS.
    """
    if raw.size == 0:
        return False
    values = raw.astype(np.float64)
    other = (raw.view(np.uint16) ^ TOP_BIT).view(np.int16).astype(np.float64)
    return bool(np.mean(np.abs(values) > 16384) > 0.9 and np.mean(other**2) < 0.25 * np.mean(values**2))
