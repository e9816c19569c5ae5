"""`RadarConfig`: what a radar was told, in SI units, and what follows from it.

One chirp: idle, then a ramp from `start_frequency` at `slope` for `ramp_end`; the ADC takes `n_samples` at `fs` from
`adc_start` after the ramp began, so the first sample is at f0 = start_frequency + slope adc_start (forgetting
adc_start shifts every wavenumber by up to 0.5 %). A loop is one chirp per entry of `tx_order` (time-division MIMO), a
frame is `n_loops` loops, frames follow each other every `frame_period`.

Source of the derived quantities: TI SWRA553 definitions as used by Yanik's toolbox; sizes: TI SWRA581B.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmsar.core.checks import finite_number, one_of, positive_int
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.cfg_text import CfgText
from mmsar.hardware.config.finding import Finding
from mmsar.hardware.config.quantise import RATE_LSB, Quantised, quantise_all
from mmsar.hardware.device import device as find_device
from mmsar.io.importers.iq_layout import LAYOUTS, REAL
from mmsar.model.chirp import Chirp

if TYPE_CHECKING:
    from mmsar.hardware.board import Board
    from mmsar.model.array import AntennaArray

UNKNOWN_LAYOUT = "unknown"
"""Layout of a configuration whose `obstacles` say why its samples could not be told apart."""

LARGEST = 1e18
"""No value of a configuration is larger, in SI units: slopes come to 1e14 Hz/s."""

_DIGESTED = (
    "device start_frequency slope adc_start fs n_samples rx tx_order complex_samples complex2x adc_bits "
    "tx_start tx_backoff tx_phase hpf rx_gain"
).split()


_NUMBERS = "start_frequency slope fs frame_period ramp_end idle adc_start trigger_delay tx_start".split()


@dataclass(frozen=True, kw_only=True)
class RadarConfig:
    """A radar configuration.

    Raises
    ------
    GeometryError
        A value that no radar can have; limits of the chip are another matter: see `limits.check`.
    """

    device: str
    """Name of the chip, as in `mmsar.hardware.device.DEVICES`."""
    text: str
    """The text it was read from, unchanged."""
    start_frequency: float
    """Frequency at the start of the ramp [Hz]."""
    slope: float
    """Sweep rate [Hz/s]."""
    idle: float
    """Pause before the ramp [s]."""
    adc_start: float
    """From the start of the ramp to the first sample [s]."""
    ramp_end: float
    """Length of the ramp [s]."""
    fs: float
    """Sample rate [Hz]."""
    n_samples: int
    """Samples of a chirp."""
    rx: tuple[int, ...]
    """Enabled receivers, from 0, rising."""
    tx_order: tuple[int, ...]
    """Transmitter (from 0) of every chirp of a loop, in firing order."""
    n_loops: int
    """Loops of a frame."""
    n_frames: int
    """Frames; 0 is endless."""
    frame_period: float
    """From frame to frame [s]."""
    trigger: str
    """"software" or "hardware": what starts a frame."""
    complex_samples: bool
    adc_bits: int
    """12, 14 or 16."""
    sample_swap: bool
    """True: Q before I."""
    layout: str
    """Order of the samples in a capture: a name of mmsar.io.importers.iq_layout, or "unknown"."""
    complex2x: bool = False
    """Complex samples at twice the intermediate frequency's bandwidth."""
    tx_start: float = 0.0
    """Transmitter on, after the start of the ramp [s]; may be negative."""
    tx_backoff: int = 0
    """Transmit power code as in the text."""
    tx_phase: int = 0
    """Phase shifter code as in the text."""
    hpf: tuple[int, int] = (0, 0)
    """Codes of the two high-pass filters."""
    rx_gain: int = 0
    """Receiver gain code."""
    chirp_threshold: int = 1
    """Chirps gathered in the ADC buffer before they are sent on."""
    trigger_delay: float = 0.0
    """Delay of a frame after its trigger [s]."""
    obstacles: tuple[Finding, ...] = ()
    """Why its samples could not be captured or decoded; empty: they can."""

    def __post_init__(self) -> None:
        chip = find_device(self.device)
        object.__setattr__(self, "device", chip.name)
        for name, unit in (("start_frequency", "Hz"), ("slope", "Hz/s"), ("fs", "Hz"), ("frame_period", "s")):
            self._set(name, finite_number(f"RadarConfig.{name}", getattr(self, name), unit, above=0.0))
        if self.fs < RATE_LSB:
            raise GeometryError(f"RadarConfig.fs: got {self.fs:g}, wanted at least {RATE_LSB:g} [Hz], the chip's step")
        self._set("ramp_end", finite_number("RadarConfig.ramp_end", self.ramp_end, "s", above=0.0))
        for name in ("idle", "adc_start", "trigger_delay"):
            value = finite_number(f"RadarConfig.{name}", getattr(self, name), "s")
            if value < 0:
                raise GeometryError(f"RadarConfig.{name}: got {value:g}, wanted 0 or more [s]")
            self._set(name, value)
        self._set("tx_start", finite_number("RadarConfig.tx_start", self.tx_start, "s"))
        for name in ("n_samples", "n_loops", "chirp_threshold"):
            self._set(name, positive_int(f"RadarConfig.{name}", getattr(self, name)))
        if isinstance(self.n_frames, bool) or not isinstance(self.n_frames, (int, np.integer)) or self.n_frames < 0:
            raise GeometryError(f"RadarConfig.n_frames: got {self.n_frames!r}, wanted a whole number >= 0 (0: endless)")
        for name in (*_NUMBERS, "n_samples", "n_loops", "n_frames", "chirp_threshold"):
            if abs(getattr(self, name)) > LARGEST:
                raise GeometryError(
                    f"RadarConfig.{name}: got {getattr(self, name)!s:.12}, wanted what a radar can have"
                )
        self._set("rx", _indices("RadarConfig.rx", self.rx, chip.n_rx))
        self._set("tx_order", _indices("RadarConfig.tx_order", self.tx_order, chip.n_tx))
        if list(self.rx) != sorted(set(self.rx)):
            raise GeometryError(f"RadarConfig.rx: got {self.rx}, wanted rising indices, each once")
        one_of("RadarConfig.trigger", self.trigger, ("software", "hardware"))
        if self.adc_bits not in (12, 14, 16):
            raise GeometryError(f"RadarConfig.adc_bits: got {self.adc_bits!r}, wanted 12, 14 or 16")
        one_of("RadarConfig.layout", self.layout, (*LAYOUTS, UNKNOWN_LAYOUT))
        if self.layout != UNKNOWN_LAYOUT and self.complex_samples == (self.layout in REAL):
            kind = "complex" if self.complex_samples else "real"
            raise GeometryError(f"RadarConfig.layout: got {self.layout!r}, wanted one for {kind} samples")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def n_tx(self) -> int:
        """Transmitter slots of a loop."""
        return len(self.tx_order)

    @property
    def n_rx(self) -> int:
        """Enabled receivers."""
        return len(self.rx)

    @property
    def chirps_per_loop(self) -> int:
        """Chirps of a loop: one for each slot."""
        return len(self.tx_order)

    @property
    def chirps_per_frame(self) -> int:
        """Chirps of a frame."""
        return self.chirps_per_loop * self.n_loops

    @property
    def chirp_time(self) -> float:
        """idle + ramp_end [s]: from chirp to chirp."""
        return self.idle + self.ramp_end

    @property
    def adc_time(self) -> float:
        """Time the samples of a chirp take [s]."""
        return self.n_samples / self.fs

    @property
    def frame_active(self) -> float:
        """Time the chirps of a frame take [s]."""
        return self.chirps_per_frame * self.chirp_time

    @property
    def bytes_per_sample(self) -> int:
        """2 (real) or 4 (complex) [bytes]."""
        return 4 if self.complex_samples else 2

    @property
    def channels_sent(self) -> int:
        """Receivers in the stream, unused lanes included: four lanes always send fours."""
        if self.layout.startswith("4lane"):
            return -(-self.n_rx // 4) * 4
        return self.n_rx + self.n_rx % 2 if self.layout == "2lane-interleaved" else self.n_rx

    @property
    def frame_bytes(self) -> int:
        """Size of a frame as the card sends it, unused lanes included [bytes].

        Raises
        ------
        FormatError
            Where the layout is unknown.
        """
        if self.layout == UNKNOWN_LAYOUT:
            self.require_capture()
        return self.chirps_per_frame * self.n_samples * self.channels_sent * self.bytes_per_sample

    @property
    def data_rate(self) -> float:
        """Mean rate of samples [bytes/s]."""
        return self.frame_bytes / self.frame_period

    @cached_property
    def quantised(self) -> Mapping[str, Quantised]:
        """The values as the chip rounds them, beside those asked for."""
        return quantise_all(self)

    def chirp(self, *, quantised: bool = False) -> Chirp:
        """The sampled sweep; f0 is that of the first sample.

        Parameters
        ----------
        quantised : bool
            Whether to use the values as the chip rounds them (nearest step) instead of those asked for.
        """
        names = ("start_frequency", "slope", "adc_start", "fs")
        values = {name: self.quantised[name].actual if quantised else getattr(self, name) for name in names}
        f0 = values["start_frequency"] + values["slope"] * values["adc_start"]
        return Chirp(f0=f0, slope=values["slope"], fs=values["fs"], n_samples=self.n_samples)

    def tx_delay(self) -> np.ndarray:
        """Start of every transmitter slot after the start of its loop [s], (n_tx,)."""
        return np.arange(self.n_tx) * self.chirp_time

    def array(self, board: "Board") -> "AntennaArray":
        """Phase centres of the slots and enabled receivers on a board, in the order of the samples."""
        return board.array(tx=self.tx_order, rx=self.rx)

    @cached_property
    def digest(self) -> str:
        """sha256 over the values that change the samples once decoded: a calibration expires with it.

        Left out are: timing and number of frames and loops, the idle time, the order of bytes in the stream (layout,
        sample swap), comments and spelling.
        """
        values = [[name, getattr(self, name)] for name in _DIGESTED]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    def require_capture(self) -> None:
        """Raise FormatError with the first reason why the samples could not be decoded."""
        if self.obstacles:
            raise FormatError(str(self.obstacles[0]))

    def with_frames(self, n: int) -> "RadarConfig":
        """The same with another number of frames, in the text too (one word of `frameCfg`); 0 is endless.

        Raises
        ------
        GeometryError
            Not a whole number from 0, or a configuration that was not read from command lines.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise GeometryError(f"with_frames: got {n!r}, wanted a whole number >= 0 (0: endless)")
        lines = CfgText.parse(self.text)
        frames = lines.named("frameCfg")
        if not frames:
            raise GeometryError("with_frames: got a configuration without frameCfg, wanted one of command lines (.cfg)")
        for command in frames:
            lines = lines.with_word(command.line_no, 3, str(int(n)))
        return replace(self, n_frames=int(n), text=str(lines))


def _indices(name: str, value: Sequence[int], count: int) -> tuple[int, ...]:
    got = tuple(value)
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and 0 <= v < count for v in got)
    if not got or not whole:
        raise GeometryError(f"{name}: got {got}, wanted indices from 0 to {count - 1}")
    return tuple(int(v) for v in got)
