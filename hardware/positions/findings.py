"""One thing that a check found in a track."""

from dataclasses import dataclass, field

import numpy as np

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """What, when and how large; with the rows that should not be used because of it."""

    severity: str
    """ "error": wrong as it stands; "warning": doubtful, or poses are lost; "note": worth knowing."""
    what: str
    """Kind: gap, order, norm, place, marker swap, glitch, jump, outlier, rate, units, quaternion order, sign,
    masked."""
    time: float | None = None
    """Start, seconds after the first row; None for the whole track."""
    size: float
    """How large, in `unit`."""
    unit: str
    explanation: str
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    """Numbers of the rows to mask because of it, (n,); empty when none (or when they are masked already)."""

    def __str__(self) -> str:
        at = "" if self.time is None else f" at {self.time:.4f} s"
        return f"{self.severity}: {self.what}{at}: {self.size:.4g} {self.unit}; {self.explanation}"
