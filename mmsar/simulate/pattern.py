"""Field patterns of antenna elements: isotropic, cos^n, a rectangular patch, or a table over theta and phi.

Directions are those of the board: theta from its +z (where it looks), phi from its +x towards +y. A pattern is an
amplitude relative to its peak, the same for transmitting and receiving; its phase is that of the phase centre.

The patch lies on an endless ground plane, length L along x between its two radiating slots, width W along y:

    E_theta = cos phi f,   E_phi = -cos theta sin phi f,   theta < pi/2,
    f = sinc(W/lambda sin theta sin phi) cos(pi L/lambda sin theta cos phi),   sinc(t) = sin(pi t) / (pi t)

(C. A. Balanis, Antenna Theory, 14.2.2: the cavity model's two slots, thin substrate); x is its E-plane, y its H-plane.
"""

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.simulate.pattern_csv import read_pattern_table

_STEPS = 180
"""Steps of a tabulated formula from theta 0 to pi: one degree."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pattern:
    """Amplitude of an element over direction: cos^exponent of theta times a table; both may be absent.

    Raises
    ------
    GeometryError
        An exponent below 0; a table that is negative, zero everywhere, or too small.
    """

    name: str = "isotropic"
    """What it is, for people and histories."""
    exponent: float = 0.0
    """Exponent of cos theta, 0 behind the board; 0: none."""
    table: np.ndarray | None = None
    """Amplitudes (n_theta, n_phi) at theta from 0 to pi, both ends included, and phi from 0 to 2 pi, the end left out;
    divided by their peak. Linear in between."""
    turn: float = 0.0
    """Angle from the board's +x to the pattern's, about the board's +z [rad]."""

    def __post_init__(self) -> None:
        exponent = finite_number("Pattern.exponent", self.exponent, "exponent")
        if exponent < 0:
            raise GeometryError(f"Pattern.exponent: got {exponent:g}, wanted an exponent >= 0")
        object.__setattr__(self, "exponent", exponent)
        object.__setattr__(self, "turn", finite_number("Pattern.turn", self.turn, "rad"))
        object.__setattr__(self, "name", str(self.name))
        if self.table is not None:
            table = np.array(real_array("Pattern.table", self.table, (None, None), "amplitude"))
            if min(table.shape) < 2 or table.min() < 0 or table.max() == 0:
                raise GeometryError(
                    f"Pattern.table: got {table.shape} amplitudes of {table.min():g} to {table.max():g}, "
                    "wanted at least 2 x 2, none negative, not all zero"
                )
            table /= table.max()
            table.flags.writeable = False
            object.__setattr__(self, "table", table)

    @classmethod
    def of(cls, value: Any) -> "Pattern":
        """A pattern from itself, "isotropic", "patch" (half a wavelength square), or the exponent of a cosine."""
        if isinstance(value, Pattern):
            return value
        if isinstance(value, bool | str):
            if value not in ("isotropic", "patch"):
                raise GeometryError(f"pattern: got {value!r}, wanted isotropic, patch, an exponent >= 0 or a Pattern")
            return cls() if value == "isotropic" else cls.patch()
        exponent = finite_number("pattern", value, "exponent")
        if exponent < 0:
            raise GeometryError(f"pattern: got {exponent:g}, wanted isotropic or an exponent >= 0")
        return cls(name=f"cosine^{exponent:g}", exponent=exponent)

    @classmethod
    def patch(cls, width: float = 0.5, length: float = 0.5, *, turn: float = 0.0) -> "Pattern":
        """A rectangular microstrip patch, sizes in free-space wavelengths; see the module.

        Parameters
        ----------
        width : float
            Along the slots (the H-plane).
        length : float
            Between the slots (the E-plane); about 0.49 / sqrt(permittivity) at resonance.
        turn : float
            Angle from the board's +x to the patch's length [rad].
        """
        width = finite_number("Pattern.patch width", width, "wavelengths", above=0.0)
        length = finite_number("Pattern.patch length", length, "wavelengths", above=0.0)
        theta = np.linspace(0, np.pi, _STEPS + 1)[:, None]
        phi = np.arange(2 * _STEPS) * np.pi / _STEPS
        along, across = np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi)
        slots = np.abs(np.sinc(width * across) * np.cos(np.pi * length * along))
        table = slots * np.hypot(np.cos(phi), np.cos(theta) * np.sin(phi)) * (theta < np.pi / 2)
        return cls(name=f"patch {width:g} x {length:g}", table=table, turn=turn)

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        *,
        frequency: float | None = None,
        column: str | None = None,
        turn: float = 0.0,
    ) -> "Pattern":
        """A table from a CSV file over theta and phi, as HFSS exports it.

        Parameters
        ----------
        path : path
            The file; its z axis is the board's, its x axis is `turn` from the board's.
        frequency : float, optional
            Which of several frequencies [Hz].
        column : str, optional
            Which of several quantities; default the total.
        turn : float
            [rad].

        Raises
        ------
        FormatError, OSError
            See `mmsar.simulate.pattern_csv.read_pattern_table`.
        """
        table = read_pattern_table(path, frequency=frequency, column=column)
        return cls(name=f"table {Path(fspath(path)).name}", table=table, turn=turn)

    def amplitude(self, direction: np.ndarray) -> np.ndarray:
        """Amplitude towards `direction` in the board's frame, any length: (..., 3) to float64 (...)."""
        from mmsar.core.kernels_forward import lookup

        direction = np.asarray(direction, dtype=float)
        check_shape("Pattern.amplitude direction", direction.shape[-1:], (3,))
        unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        value = np.maximum(unit[..., 2], 0.0) ** self.exponent if self.exponent else np.ones(unit.shape[:-1])
        if self.table is not None:
            theta = np.arccos(np.clip(unit[..., 2], -1, 1))
            phi = np.arctan2(unit[..., 1], unit[..., 0]) - self.turn
            pairs = zip(theta.ravel(), phi.ravel(), strict=True)
            value = value * np.array([lookup(self.table, t, p) for t, p in pairs]).reshape(theta.shape)
        return value

    def oriented(self, board: np.ndarray) -> np.ndarray:
        """Rotations pattern to world for rotations board to world, (..., 3, 3)."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        return np.asarray(board, dtype=float) @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
