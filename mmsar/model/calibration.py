r"""Channel calibration: what has to be divided out of a raw measurement.

Of a pair with gain g, delay tau and the range bias b common to all, an instrument records

    s(f) = g s_ideal(f) exp(+j 2 k b) exp(+j 2 pi (f - f_ref) tau),   k = 2 pi f / c.

The delays turn no phase at f_ref, so that g is the response there and a small error of tau leaves it alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mmsar.constants import C0
from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.errors import GeometryError


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Complex channel gains, delays and a range bias; a `Scan` that carries one has not had it applied yet.

    Raises
    ------
    GeometryError
        Gains that are zero, not finite or of another shape than (n_tx, n_rx); delays of another shape, or without
        their frequency.

    Examples
    --------
    >>> import mmsar
    >>> import numpy as np
    >>> calibration = mmsar.Calibration(gain=np.ones((2, 4), complex), range_bias=0.065)
    >>> calibration.gain.shape
    (2, 4)
    """

    gain: np.ndarray
    """Complex gain of every pair, (n_tx, n_rx): the measured signal is gain times the ideal one."""
    range_bias: float = 0.0
    """One-way range added by the instrument [m]: half its delay times c."""
    source: str = ""
    """Where the numbers come from."""
    residual: float | None = None
    """RMS phase residual of the fit [rad], if known."""
    delay: np.ndarray | None = None
    """Delay of every pair beside the range bias [s], (n_tx, n_rx). Default none."""
    delay_frequency: float | None = None
    """Frequency at which the delays turn no phase [Hz]; goes with `delay`."""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Notes (JSON values): date, config_digest and chirp (what it is valid for), target, SNR, residuals by channel."""

    def __post_init__(self) -> None:
        gain = np.array(self.gain, dtype=np.complex128)
        check_shape("Calibration.gain", gain.shape, (None, None))
        if not np.isfinite(gain).all() or (gain == 0).any():
            raise GeometryError("Calibration.gain: got zero or non-finite gains, wanted finite, non-zero numbers")
        gain.flags.writeable = False
        object.__setattr__(self, "gain", gain)
        bias = finite_number("Calibration.range_bias", self.range_bias, "m")
        object.__setattr__(self, "range_bias", bias)
        if self.residual is not None:
            object.__setattr__(self, "residual", finite_number("Calibration.residual", self.residual, "rad"))
        if (self.delay is None) != (self.delay_frequency is None):
            raise GeometryError(
                "Calibration.delay: got only one of delay and delay_frequency, wanted both or neither [s, Hz]"
            )
        if self.delay is not None:
            object.__setattr__(self, "delay", real_array("Calibration.delay", self.delay, gain.shape, "s"))
            frequency = finite_number("Calibration.delay_frequency", self.delay_frequency, "Hz", above=0.0)
            object.__setattr__(self, "delay_frequency", frequency)
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))

    def response(self, f: np.ndarray) -> np.ndarray:
        """What the instrument multiplies the ideal samples with at frequencies `f` (n,) [Hz], (n_tx, n_rx, n)."""
        f = real_array("Calibration.response f", f, (None,), "Hz")
        cycles = np.broadcast_to(2 * self.range_bias / C0 * f, (*self.gain.shape, len(f)))
        if self.delay is not None:
            cycles = cycles + self.delay[..., None] * (f - self.delay_frequency)
        return self.gain[..., None] * np.exp(2j * np.pi * cycles)

    def subset(self, tx: np.ndarray, rx: np.ndarray) -> "Calibration":
        """The same for some transmitters and receivers, by index."""
        pick = np.ix_(tx, rx)
        return replace(self, gain=self.gain[pick], delay=None if self.delay is None else self.delay[pick])
