"""The antenna array: phase centres on the board.

Board frame: right-handed, y up, z the looking direction; so x is to the right for somebody who faces the board. A
transmit-receive pair acts, to first order, like one element at its phase centre (tx + rx) / 2; the separation tx - rx
is what multistatic compensation corrects (Yanik, Torlak, IEEE Access 2019; EMPM paper, section II).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmsar.constants import C0
from mmsar.core.checks import real_array
from mmsar.errors import GeometryError


@dataclass(frozen=True, kw_only=True, eq=False)
class AntennaArray:
    """Transmit and receive phase centres in the board frame.

    Raises
    ------
    GeometryError
        Wrong shape, values that are not finite, or a polarity other than +1 / -1.

    Examples
    --------
    >>> import mmsar
    >>> board = mmsar.AntennaArray.iwr1443()
    >>> board.virtual.shape
    (2, 4, 3)
    >>> f"{board.uniform_pitch() * 1e3:.3f} mm"
    '0.949 mm'
    """

    tx: np.ndarray
    """Transmit phase centres [m], (n_tx, 3)."""
    rx: np.ndarray
    """Receive phase centres [m], (n_rx, 3)."""
    polarity: np.ndarray | None = None
    """+1 or -1 per pair, (n_tx, n_rx): -1 where a feed is inverted. Default all +1."""
    name: str = "array"
    """Name of the board, for people."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tx", real_array("AntennaArray.tx", self.tx, (None, 3), "m"))
        object.__setattr__(self, "rx", real_array("AntennaArray.rx", self.rx, (None, 3), "m"))
        shape = (self.n_tx, self.n_rx)
        given = np.ones(shape) if self.polarity is None else self.polarity
        polarity = real_array("AntennaArray.polarity", given, shape, "+1 or -1")
        if not np.all(np.abs(polarity) == 1):
            raise GeometryError("AntennaArray.polarity: got other values, wanted +1 or -1 for every pair")
        object.__setattr__(self, "polarity", polarity)
        object.__setattr__(self, "name", str(self.name))

    @property
    def n_tx(self) -> int:
        """Number of transmitters."""
        return len(self.tx)

    @property
    def n_rx(self) -> int:
        """Number of receivers."""
        return len(self.rx)

    @cached_property
    def virtual(self) -> np.ndarray:
        """Phase centres (tx + rx) / 2 [m], (n_tx, n_rx, 3)."""
        return (self.tx[:, None, :] + self.rx[None, :, :]) / 2

    @cached_property
    def baseline(self) -> np.ndarray:
        """Separations tx - rx [m], (n_tx, n_rx, 3)."""
        return self.tx[:, None, :] - self.rx[None, :, :]

    def uniform_pitch(self, tolerance: float = 1e-6) -> float | None:
        """Pitch of the virtual array [m] when its elements are equally spaced on a line along x or y, else None.

        Parameters
        ----------
        tolerance : float
            Largest deviation of any step from the mean step [m].
        """
        points = self.virtual.reshape(-1, 3)
        spread = np.ptp(points, axis=0)
        axis = int(np.argmax(spread))
        if len(points) < 2 or np.sum(spread > tolerance) != 1:
            return None
        steps = np.diff(np.sort(points[:, axis]))
        pitch = float(steps.mean())
        return pitch if np.max(np.abs(steps - pitch)) <= tolerance else None

    @classmethod
    def single(cls, baseline: float = 0.0) -> "AntennaArray":
        """One transmitter and one receiver, `baseline` [m] apart along x, centred on the origin."""
        half = baseline / 2
        return cls(tx=[[half, 0, 0]], rx=[[-half, 0, 0]], name="single" if baseline == 0 else "bistatic pair")

    @classmethod
    def _ti_column(cls, name: str, tx_xy: list[tuple[float, float]], lam: float) -> "AntennaArray":
        """Four RX at lambda/2 along +y and the given TX (x, y) [m], recentred on the mean virtual element."""
        rx = np.array([[0.0, n * lam / 2, 0.0] for n in range(4)])
        tx = np.array([[x, y, 0.0] for x, y in tx_xy])
        centre = (tx.mean(axis=0) + rx.mean(axis=0)) / 2
        return cls(tx=tx - centre, rx=rx - centre, name=name)

    @classmethod
    def iwr1443(cls, n_tx: int = 2) -> "AntennaArray":
        """IWR1443BOOST / AWR1443BOOST standing upright: the array along y, 79 GHz design wavelength.

        RX at 0, 1/2, 1, 3/2 wavelengths; TX1 and TX3 5 mm beyond RX4 and two wavelengths apart, which gives 8
        virtual elements at lambda/4. `n_tx=3` adds TX2 (half a wavelength to the side). Source: positions used in
        Yanik and Torlak's scanner and by the EMPM paper's authors (empirical TX-RX gap).

        Raises
        ------
        GeometryError
            `n_tx` other than 1, 2 or 3.
        """
        lam = C0 / 79e9
        gap = 1.5 * lam + 5e-3
        layouts = {
            1: [(0.0, gap)],
            2: [(0.0, gap), (0.0, gap + 2 * lam)],
            3: [(0.0, gap), (-lam / 2, gap + lam), (0.0, gap + 2 * lam)],
        }
        if n_tx not in layouts:
            raise GeometryError(f"AntennaArray.iwr1443 n_tx: got {n_tx!r}, wanted 1, 2 or 3")
        return cls._ti_column("IWR1443BOOST", layouts[n_tx], lam)

    @classmethod
    def iwr1642(cls) -> "AntennaArray":
        """IWR1642BOOST / AWR1642BOOST upright: 2 TX two wavelengths apart, 4 RX at lambda/2, 79 GHz.

        The TX-RX gap (2.25 wavelengths beyond the first RX, plus 1.5) is the one used in Smith's dual-radar scanner.
        """
        lam = C0 / 79e9
        return cls._ti_column("IWR1642BOOST", [(0.0, 3.75 * lam), (0.0, 5.75 * lam)], lam)

    @classmethod
    def iwr6843isk(cls) -> "AntennaArray":
        """IWR6843ISK upright: 2 TX two wavelengths apart, 4 RX at lambda/2, 62 GHz (gap as in Smith's scanner)."""
        lam = C0 / 62e9
        gap = 1.5 * lam + 5e-3
        return cls._ti_column("IWR6843ISK", [(0.0, gap), (0.0, gap + 2 * lam)], lam)
