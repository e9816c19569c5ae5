"""Channel calibration: what has to be divided out of a raw measurement."""

from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import check_shape, finite_number
from mmsar.errors import GeometryError


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Complex channel gains and a range bias; a `Scan` that carries one has not had it applied yet.

    Raises
    ------
    GeometryError
        Gains that are zero, not finite or of another shape than (n_tx, n_rx).
    """

    gain: np.ndarray
    """Complex gain of every pair, (n_tx, n_rx): the measured signal is gain times the ideal one."""
    range_bias: float = 0.0
    """One-way range added by the instrument [m]: half its delay times c."""
    source: str = ""
    """Where the numbers come from."""
    residual: float | None = None
    """RMS phase residual of the fit [rad], if known."""

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
