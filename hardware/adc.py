"""Raw frames of a card to samples, as a radar configuration says.

The order of the words is that of `mmsar.io.importers.iq_layout`, the one decoder; here they get the axes of the
measurement: (frame, loop, tx, rx, sample). The tx axis is the firing order (`RadarConfig.tx_order`), the rx axis the
enabled receivers. Inverted feeds are left to `AntennaArray.polarity`.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.radar import RadarConfig
from mmsar.io.importers.iq_layout import decode, encode, frame_bytes
from mmsar.io.importers.sign import DECIDED_DB, one_sided_db

SWAPPED = {"2lane-iiqq": "2lane-qqii", "2lane-qqii": "2lane-iiqq", "iqiq": "qiqi", "qiqi": "iqiq"}
"""The layout in which I and Q have changed places."""


def cube_shape(config: RadarConfig, n_frames: int) -> tuple[int, int, int, int, int]:
    """(frame, loop, tx, rx, sample) of `n_frames` frames."""
    return n_frames, config.n_loops, config.n_tx, config.n_rx, config.n_samples


def decode_frames(
    raw: bytes | bytearray | memoryview | np.ndarray,
    config: RadarConfig,
    *,
    layout: str | None = None,
    offset_binary: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Samples of whole frames, complex64, (frame, loop, tx, rx, sample).

    Parameters
    ----------
    raw : bytes or ndarray
        Frames one after the other, as the card sent them (uint8 or int16).
    layout : str, optional
        Order of the words where it is not the configuration's: files that another program has rewritten.
    offset_binary : bool
        Whether the top bit is inverted.
    out : ndarray, optional
        Where to put the result (complex64, contiguous, of that shape).

    Raises
    ------
    FormatError
        Not a whole number of frames, or a configuration whose samples cannot be decoded.
    GeometryError
        An `out` of another shape or kind.
    """
    if layout is None:
        config.require_capture()
        layout = config.layout
    words = np.frombuffer(raw, dtype=np.uint8) if not isinstance(raw, np.ndarray) else raw.reshape(-1).view(np.uint8)
    size = frame_bytes(layout, chirps=config.chirps_per_frame, samples=config.n_samples, rx=config.n_rx)
    if words.size % size:
        raise FormatError(
            f"raw frames: got {words.size} bytes, wanted a whole number of frames of {size} bytes "
            f"({config.chirps_per_frame} chirps x {config.n_samples} samples, {config.n_rx} RX, {layout})"
        )
    shape = cube_shape(config, len(words) // size)
    if out is not None and (out.shape != shape or out.dtype != np.complex64 or not out.flags.c_contiguous):
        raise GeometryError(f"out: got {out.dtype} of shape {out.shape}, wanted contiguous complex64 {shape}")
    flat = (shape[0], config.chirps_per_frame, config.n_rx, config.n_samples)
    cube = decode(
        words.view("<i2"),
        layout,
        chirps=config.chirps_per_frame,
        samples=config.n_samples,
        rx=config.n_rx,
        offset_binary=offset_binary,
        bits=config.adc_bits,
        out=None if out is None else out.reshape(flat),
    )
    return cube.reshape(shape)


def encode_frames(cube: np.ndarray, config: RadarConfig, *, layout: str | None = None) -> np.ndarray:
    """The inverse of `decode_frames`: int16 in the card's order for whole numbers (frame, loop, tx, rx, sample)."""
    flat = np.asarray(cube).reshape(-1, config.chirps_per_frame, config.n_rx, config.n_samples)
    return encode(flat, config.layout if layout is None else layout)


@dataclass(frozen=True, kw_only=True)
class SignTest:
    """Where the energy of the beat spectrum lies."""

    positive_db: float
    """Energy at positive over negative beat frequencies [dB]; nan without energy, or for real samples."""
    verdict: str
    """"right", "swapped" (I and Q have changed places) or "undecided"."""
    text: str
    """The verdict in one line, with what to do."""


def sign_test(cube: np.ndarray, config: RadarConfig, *, layout: str | None = None) -> SignTest:
    """Are I and Q where the configuration says? With complex samples every echo lies at a positive beat frequency.

    Parameters
    ----------
    cube : ndarray
        Samples (..., n) that were decoded with `layout` (default: the configuration's).
    """
    layout = config.layout if layout is None else layout
    if not config.complex_samples:
        return SignTest(
            positive_db=float("nan"), verdict="undecided", text="real samples have no I and Q to be exchanged"
        )
    if cube.shape[-1] < 8:
        return SignTest(
            positive_db=float("nan"),
            verdict="undecided",
            text=f"{cube.shape[-1]} samples a chirp are too few to tell",
        )
    ratio = one_sided_db(cube)
    numbers = f"positive beat frequencies hold {ratio:+.1f} dB of the energy of negative ones"
    if ratio >= DECIDED_DB:
        return SignTest(positive_db=ratio, verdict="right", text=numbers)
    if ratio <= -DECIDED_DB:
        other = SWAPPED.get(layout)
        advice = f'read as "{layout}"; "{other}" (the other SampleSwap) would be right' if other else "I and Q swapped"
        return SignTest(positive_db=ratio, verdict="swapped", text=f"{numbers}: {advice}")
    if np.isnan(ratio):
        numbers = "no energy beside zero frequency"
    return SignTest(positive_db=ratio, verdict="undecided", text=f"{numbers}: no echoes, or another order of the words")
