"""Antenna boards: where the phase centres are, as data with its source, and what of it is not known.

A board is a JSON file: one of the package's (`boards()`), or your own (`board("my_board.json")`). The drawing's frame
has the azimuth row along x and elevation along y, seen by somebody who faces the board; `tx_m` counts from TX1 and
`rx_m` from RX1. The vector from RX1 to TX1, `tx_rx_gap_m`, is a field of its own, because the tables that makers
publish leave it out: it does not matter in the far field, and near-field imaging is wrong without it. Where it is
null, no array is built: measure it.

The origin of the board's frame is the mean phase centre of the transmitters `centre_tx` with all receivers, whichever
transmitters are used later: so a stage or a tracker can refer to it. Standing upright (the usual way in a scanner) the
row runs along +y: (x, y) -> (-y, x).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.core.checks import finite_number, real_array
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.device import device as find_device
from mmsar.model.array import AntennaArray

FOLDER = Path(__file__).parent / "boards"

KEYS = {
    "name": "a text",
    "aliases": "a list of texts",
    "device": "the name of a radar chip",
    "design_frequency_hz": "a number above 0 [Hz]",
    "tx_m": "a list of [x, y, z] [m]",
    "rx_m": "a list of [x, y, z] [m]",
    "tx_rx_gap_m": "[x, y, z] [m], or null where it is not known",
    "centre_tx": "a list of transmitters from 0",
    "polarity": "a row of +1 and -1 for every transmitter, a column for every receiver",
    "sigma_m": "a number above 0 [m], or null where the source does not tell",
    "source": "a text",
    "unknown": "a list of texts",
    "unsure_tx": "a list of transmitters from 0",
}
LARGEST = 1.0
"""Farthest that an element may be from the origin of its table [m]; beyond, millimetres were taken for metres."""
OPTIONAL = {"aliases": [], "centre_tx": None, "polarity": None, "unknown": [], "unsure_tx": []}


@dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """An antenna board, in the drawing's frame (row along x).

    Raises
    ------
    GeometryError
        Wrong shapes, values that are not finite, or indices that the board does not have.
    """

    name: str
    device: str
    """Name of the chip."""
    tx: np.ndarray
    """Transmit phase centres [m], (n_tx, 3): in the board's frame, or, where the gap is not known, from TX1."""
    rx: np.ndarray
    """Receive phase centres [m], (n_rx, 3): in the board's frame, or, where the gap is not known, from RX1."""
    polarity: np.ndarray
    """+1 or -1 per pair, (n_tx, n_rx): -1 where one feed is inverted."""
    design_frequency: float
    """Frequency whose wavelength the spacings are made for [Hz]."""
    sigma: float | None
    """Standard deviation of the positions [m]; None: the source does not tell."""
    source: str
    tx_rx_gap_known: bool
    centre_tx: tuple[int, ...]
    """Transmitters whose mean phase centre with all receivers is the origin."""
    unknown: tuple[str, ...] = ()
    """What is not known of it, for people."""
    unsure_tx: tuple[int, ...] = ()
    """Transmitters whose place is not certain."""

    def __post_init__(self) -> None:
        chip = find_device(self.device)
        object.__setattr__(self, "device", chip.name)
        object.__setattr__(self, "tx", _near("Board.tx", real_array("Board.tx", self.tx, (None, 3), "m")))
        object.__setattr__(self, "rx", _near("Board.rx", real_array("Board.rx", self.rx, (None, 3), "m")))
        shape = (len(self.tx), len(self.rx))
        if shape[0] > chip.n_tx or shape[1] > chip.n_rx:
            raise GeometryError(
                f"Board {self.name}: got {shape[0]} TX and {shape[1]} RX, wanted at most {chip.n_tx} and {chip.n_rx}, "
                f"as {chip.name} has"
            )
        object.__setattr__(self, "polarity", real_array("Board.polarity", self.polarity, shape, "+1 or -1"))
        if not np.all(np.abs(self.polarity) == 1):
            raise GeometryError("Board.polarity: got other values, wanted +1 or -1 for every pair")
        frequency = finite_number("Board.design_frequency", self.design_frequency, "Hz", above=0.0)
        object.__setattr__(self, "design_frequency", frequency)
        if self.sigma is not None:
            object.__setattr__(self, "sigma", finite_number("Board.sigma", self.sigma, "m", above=0.0))
        for name, empty in (("centre_tx", False), ("unsure_tx", True)):
            object.__setattr__(self, name, _indices(f"Board.{name}", getattr(self, name), shape[0], empty=empty))

    @property
    def n_tx(self) -> int:
        """Number of transmitters."""
        return len(self.tx)

    @property
    def n_rx(self) -> int:
        """Number of receivers."""
        return len(self.rx)

    def with_gap(self, gap: Sequence[float], *, sigma: float | None = None) -> "Board":
        """The same board with the measured vector from RX1 to TX1.

        Parameters
        ----------
        gap : sequence of 3 floats
            From the phase centre of RX1 to that of TX1 in the drawing's frame (row along x) [m].
        sigma : float or None
            Standard deviation of the measurement [m].
        """
        vector = _near("tx_rx_gap", real_array("tx_rx_gap", gap, (3,), "m"))
        tx, rx = self.tx - self.tx[0] + vector, self.rx - self.rx[0]
        centre = (tx[list(self.centre_tx)].mean(axis=0) + rx.mean(axis=0)) / 2
        return replace(
            self, tx=tx - centre, rx=rx - centre, tx_rx_gap_known=True, sigma=self.sigma if sigma is None else sigma
        )

    def array(
        self, *, tx: Sequence[int] | None = None, rx: Sequence[int] | None = None, upright: bool = True
    ) -> AntennaArray:
        """The phase centres for near-field imaging.

        Parameters
        ----------
        tx : sequence of int or None
            Transmitters from 0 in firing order; None: all.
        rx : sequence of int or None
            Receivers from 0; None: all.
        upright : bool
            Whether the board stands with its row along +y; False: lies with its row along +x.

        Raises
        ------
        GeometryError
            A board whose gap between transmitters and receivers is not known, or elements it does not have.
        """
        if not self.tx_rx_gap_known:
            raise GeometryError(
                f"board {self.name}: got no distance between transmitters and receivers, wanted it for near-field "
                "imaging; measure the vector from RX1 to TX1 and give it as tx_rx_gap or in a board file of your own"
            )
        where = f"board {self.name}"
        t = _indices(f"{where}: tx", range(self.n_tx) if tx is None else tx, self.n_tx, empty=False)
        r = _indices(f"{where}: rx", range(self.n_rx) if rx is None else rx, self.n_rx, empty=False)
        unsure = sorted(set(t) & set(self.unsure_tx))
        if unsure:
            raise GeometryError(
                f"board {self.name}: got TX{unsure[0] + 1}, wanted transmitters whose place is certain; "
                f"{'; '.join(self.unknown) or 'write a board file of your own'}"
            )
        places = [points[list(index)] for points, index in ((self.tx, t), (self.rx, r))]
        if upright:
            places = [np.stack([-p[:, 1], p[:, 0], p[:, 2]], axis=1) + 0.0 for p in places]
        return AntennaArray(tx=places[0], rx=places[1], polarity=self.polarity[np.ix_(t, r)], name=self.name)


def boards() -> tuple[str, ...]:
    """Names of the boards that come with the package."""
    return tuple(sorted(entry["name"] for entry in _catalogue()))


def board(name: str | Path, *, tx_rx_gap: Sequence[float] | None = None) -> Board:
    """A board by name or alias (any case), or from a JSON file of your own.

    Parameters
    ----------
    name : str or Path
        Name, or path of a file that ends in .json.
    tx_rx_gap : sequence of 3 floats or None
        Measured vector from RX1 to TX1 [m], instead of the file's; see `Board.with_gap`.

    Raises
    ------
    GeometryError
        An unknown name.
    FormatError
        A file that is wrong.
    OSError
        A file that cannot be read.
    """
    if str(name).lower().endswith(".json"):
        found = _build(_load(Path(name)), str(name))
    else:
        key = _key(str(name))
        entry = next((e for e in _catalogue() if key in map(_key, (e["name"], *e.get("aliases", ())))), None)
        if entry is None:
            raise GeometryError(
                f"board: got {str(name)!r}, wanted one of {', '.join(boards())}, or a .json file of your own"
            )
        found = _build(entry, entry["name"])
    return found if tx_rx_gap is None else found.with_gap(tx_rx_gap)


@cache
def _catalogue() -> tuple[Mapping[str, Any], ...]:
    return tuple(_load(path) for path in sorted(FOLDER.glob("*.json")))


def _key(name: str) -> str:
    return "".join(c for c in name.upper() if c.isalnum())


def _load(path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: got {error}, wanted JSON") from None
    if not isinstance(entry, dict):
        raise FormatError(f"{path}: got {type(entry).__name__}, wanted a JSON object with the keys of a board")
    for key in entry:
        if key not in KEYS:
            raise FormatError(f"{path}: got the key {key!r}, wanted only {', '.join(KEYS)}")
    missing = [key for key in KEYS if key not in entry and key not in OPTIONAL]
    if missing:
        raise FormatError(f"{path}: got no {missing[0]}, wanted {KEYS[missing[0]]}")
    return {**OPTIONAL, **entry}


def _build(entry: Mapping[str, Any], where: str) -> Board:
    for key in ("name", "device", "source"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise FormatError(f"{where}: {key}: got {entry[key]!r}, wanted {KEYS[key]}")
    for key in ("aliases", "unknown"):
        if not isinstance(entry[key], list) or not all(isinstance(v, str) for v in entry[key]):
            raise FormatError(f"{where}: {key}: got {entry[key]!r}, wanted {KEYS[key]}")
    try:
        tx = real_array("tx_m", entry["tx_m"], (None, 3), "m")
        rx = real_array("rx_m", entry["rx_m"], (None, 3), "m")
        frequency = finite_number("design_frequency_hz", entry["design_frequency_hz"], "Hz", above=0.0)
        polarity = np.ones((len(tx), len(rx))) if entry["polarity"] is None else entry["polarity"]
        found = Board(
            name=entry["name"],
            device=entry["device"],
            tx=tx - tx[0],
            rx=rx - rx[0],
            polarity=polarity,
            design_frequency=frequency,
            sigma=entry["sigma_m"],
            source=entry["source"],
            tx_rx_gap_known=False,
            centre_tx=range(len(tx)) if entry["centre_tx"] is None else entry["centre_tx"],
            unknown=tuple(entry["unknown"]),
            unsure_tx=entry["unsure_tx"],
        )
        return found if entry["tx_rx_gap_m"] is None else found.with_gap(entry["tx_rx_gap_m"])
    except GeometryError as error:
        raise FormatError(f"{where}: {error}") from None


def _near(name: str, places: np.ndarray) -> np.ndarray:
    far = float(np.abs(places).max())
    if far > LARGEST:
        raise GeometryError(f"{name}: got {far:g} m, wanted at most {LARGEST:g}; these are metres, not millimetres")
    return places


def _indices(name: str, value: Any, count: int, *, empty: bool) -> tuple[int, ...]:
    try:
        got = tuple(value)
    except TypeError:
        got = (value,)
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and 0 <= v < count for v in got)
    if not whole or (not got and not empty):
        raise GeometryError(f"{name}: got {list(got)}, wanted whole numbers from 0 to {count - 1}")
    return tuple(int(v) for v in got)
