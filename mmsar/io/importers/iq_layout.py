"""How complex int16 samples lie in a raw TI capture file, and back.

One frame of `chirps` chirps is, in file order (last index fastest):

    4lane        [chirp, sample, IQ, lane 4]      xWR12xx, 14xx, AWR2243: I0 I1 I2 I3 Q0 Q1 Q2 Q3; unused lanes are 0
    4lane-iqiq   [chirp, sample, lane 4, IQ]      the same after the reordering of DCA1000EVM_CLI_Record; TDA2 captures
    2lane-iiqq   [chirp, rx, sample/2, IQ, 2]     xWR16xx, 18xx, 68xx: I[n] I[n+1] Q[n] Q[n+1]
    2lane-qqii   [chirp, rx, sample/2, QI, 2]     the same with SampleSwap = 1 (the usual Demo Visualizer setting)
    iqiq         [chirp, rx, sample, IQ]          two lanes after reordering
    2lane-interleaved  [chirp, sample, rx/2, IQ, 2]  xWR12xx, 14xx with two lanes: I0 I1 Q0 Q1 I2 I3 Q2 Q3; an odd last
                                                  receiver leaves its neighbour 0 (met in a public IWR1443 recording)

Source: TI raw-data capture guides (SWRA581), and files of public projects. int16 is little-endian two's complement;
offset-binary samples have the top bit inverted.
"""

import numpy as np

from mmsar.errors import FormatError

TOP_BIT = np.uint16(0x8000)
PAIRED = ("2lane-iiqq", "2lane-qqii")
"""Layouts that keep two samples of a receiver together."""


def lanes(layout: str, rx: int) -> int:
    """Channels a file of this layout holds per sample: 4 with four lanes, an even number interleaved, else `rx`."""
    return 4 if layout.startswith("4lane") else rx + rx % 2 if layout == "2lane-interleaved" else rx


def frame_bytes(layout: str, *, chirps: int, samples: int, rx: int) -> int:
    """Size of a frame [bytes]."""
    return chirps * samples * lanes(layout, rx) * 4


def check_layout(layout: str, *, samples: int, rx: int) -> None:
    """Raise FormatError for what a layout cannot hold."""
    if layout.startswith("4lane") and rx > 4:
        raise FormatError(f'[capture] rx: got {rx}, wanted at most 4 with layout "{layout}"')
    if layout in PAIRED and samples % 2:
        raise FormatError(f'[waveform] samples: got {samples}, wanted an even number with layout "{layout}"')


def split_iq(raw: np.ndarray, layout: str, *, chirps: int, samples: int, rx: int) -> tuple[np.ndarray, np.ndarray]:
    """I and Q of all lanes as views, int16, each (n_frames, chirps, lanes, samples).

    Parameters
    ----------
    raw : ndarray
        int16 samples in file order, a whole number of frames.
    """
    n = lanes(layout, rx)
    if layout == "4lane":
        cube = raw.reshape(-1, chirps, samples, 2, n).transpose(3, 0, 1, 4, 2)
    elif layout == "4lane-iqiq":
        cube = raw.reshape(-1, chirps, samples, n, 2).transpose(4, 0, 1, 3, 2)
    elif layout == "iqiq":
        cube = raw.reshape(-1, chirps, n, samples, 2).transpose(4, 0, 1, 2, 3)
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
    raw: np.ndarray, layout: str, *, chirps: int, samples: int, rx: int, offset_binary: bool = False
) -> np.ndarray:
    """Samples of a capture as I + jQ, complex64, (n_frames, chirps, rx, samples).

    Parameters
    ----------
    raw : ndarray
        int16 in file order, a whole number of frames.
    layout : str
        See the module.
    chirps, samples, rx : int
        Chirps per frame, samples per chirp, receivers.
    offset_binary : bool
        Whether the top bit is inverted.

    Raises
    ------
    FormatError
        A number of receivers or samples that the layout cannot hold.
    """
    check_layout(layout, samples=samples, rx=rx)
    if offset_binary:
        raw = (raw.view(np.uint16) ^ TOP_BIT).view(np.int16)
    i, q = split_iq(raw, layout, chirps=chirps, samples=samples, rx=rx)
    out = np.empty((len(i), chirps, rx, samples), dtype=np.complex64)
    out.real, out.imag = i[:, :, :rx], q[:, :, :rx]
    return out


def encode(cube: np.ndarray, layout: str, *, offset_binary: bool = False) -> np.ndarray:
    """The inverse of `decode`: int16 in file order for a cube (n_frames, chirps, rx, samples) of whole numbers."""
    n_frames, chirps, rx, samples = cube.shape
    check_layout(layout, samples=samples, rx=rx)
    raw = np.zeros(n_frames * frame_bytes(layout, chirps=chirps, samples=samples, rx=rx) // 2, dtype="<i2")
    if layout == "2lane-interleaved":
        even = np.zeros((n_frames, chirps, rx + rx % 2, samples), dtype=np.complex64)
        even[:, :, :rx] = cube
        pairs = raw.reshape(n_frames, chirps, samples, -1, 2, 2)
        for k, part in enumerate((even.real, even.imag)):
            pairs[..., k, :] = part.transpose(0, 1, 3, 2).reshape(n_frames, chirps, samples, -1, 2)
    elif layout in PAIRED:
        order = (cube.imag, cube.real) if layout == "2lane-qqii" else (cube.real, cube.imag)
        pairs = raw.reshape(n_frames, chirps, rx, samples // 2, 2, 2)
        for k, part in enumerate(order):
            pairs[..., k, :] = part.reshape(n_frames, chirps, rx, samples // 2, 2)
    else:
        i, q = split_iq(raw, layout, chirps=chirps, samples=samples, rx=rx)
        i[:, :, :rx], q[:, :, :rx] = cube.real, cube.imag
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
