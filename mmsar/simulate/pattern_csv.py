"""Far-field tables over theta and phi, as HFSS exports them (a data table, or a plot with one column per phi).

A header such as `"Freq [GHz]","Phi [deg]","Theta [deg]","dB(GainTotal) []"`, or `"Theta [deg]","dB(GainTotal) [] -
Freq='79GHz' Phi='0deg'",...`; gain, realised gain and directivity are powers, rE is a field, plain or in dB. Directions
are brought to theta 0 to 180, phi 0 to 360 degrees; the grid must be complete, from theta 0 to at least 90 degrees.
"""

import csv
import re
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError

_QUANTITY = re.compile(
    r"(?:(?P<scale>dB20|dB10|dB|mag|abs)\()?(?P<kind>(?:Peak)?(?:Realized)?Gain|Dir|rE)(?P<part>\w*)\)?", re.I
)
_VALUE = re.compile(r"(?P<name>Freq|Phi|Theta)\s*=\s*'(?P<number>[-+.\deE]+)(?P<unit>[a-zA-Z]*)'", re.I)
_AXIS = re.compile(r"(?P<name>Freq|Phi|Theta)\s*(?:\[(?P<unit>\w*)\])?", re.I)
_UNITS = {"": 1.0, "hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9, "thz": 1e12, "deg": 1.0, "rad": 180 / np.pi}
_STEP = 1.0
"""Largest step of the table made [degrees]."""


def read_pattern_table(
    path: str | PathLike[str], *, frequency: float | None = None, column: str | None = None
) -> np.ndarray:
    """Amplitudes over direction from a CSV file.

    Parameters
    ----------
    path : path
        Comma- or tab-separated, with a header.
    frequency : float, optional
        Which of several frequencies [Hz], to 1 %.
    column : str, optional
        Which of several quantities, as the header has it without the unit; default the total.

    Returns
    -------
    float64 array (n_theta, n_phi)
        At theta from 0 to 180 degrees, both ends included, and phi from 0 to 360, the end left out; 0 beyond the last
        theta of the file.

    Raises
    ------
    FormatError
        Not such a table, no known quantity or several, several frequencies and none chosen, directions missing or
        given twice with different values.
    OSError
        When the file cannot be read.
    """
    name = fspath(path)
    header, rows = _read(Path(name))
    records = _records(name, header, rows, column)
    records = records[_at_frequency(name, records[:, 0], frequency)]
    theta, phi, value = records[:, 1], records[:, 2], records[:, 3]
    if np.abs(theta).max() > 180.001 or np.abs(phi).max() > 720.001:
        raise FormatError(
            f"{name}: got angles up to {np.abs(records[:, 1:3]).max():g}, wanted theta and phi in degrees"
        )
    phi = np.where(theta < 0, phi + 180, phi)
    theta, phi = np.round(np.abs(theta), 5), np.round(phi % 360, 5) % 360
    return _on_grid(name, theta, phi, value)


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise FormatError(f"{path}: not a text file, wanted a CSV table of a far field") from None
    if len(lines) < 2:
        raise FormatError(f"{path}: got {len(lines)} lines, wanted a header and the rows of a far field")
    delimiter = "\t" if "\t" in lines[0] else ","
    header, *rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    header = [text.strip() for text in header]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise FormatError(f"{path}: got {len(row)} values in row {number}, wanted {len(header)}, one per column")
    try:
        values = np.array(rows, dtype=float)
    except ValueError:
        raise FormatError(f"{path}: got a value that is not a number, wanted numbers below the header") from None
    if not np.isfinite(values[:, [i for i, text in enumerate(header) if _AXIS.fullmatch(text)]]).all():
        raise FormatError(f"{path}: got an angle or frequency that is not finite, wanted numbers")
    return header, values


def _records(name: str, header: list[str], rows: np.ndarray, column: str | None) -> np.ndarray:
    """Frequency [Hz, NaN if not said], theta, phi [degrees] and amplitude of every direction, (n, 4)."""
    axes: dict[str, np.ndarray] = {}
    found: dict[str, list[tuple[int, str]]] = {}
    for i, text in enumerate(header):
        axis = _AXIS.fullmatch(text)
        if axis:
            axes[axis["name"].lower()] = rows[:, i] * _unit(name, axis["unit"] or "")
        else:
            quantity, _, rest = text.partition(" - ")
            found.setdefault(re.sub(r"\s*\[.*?\]", "", quantity).strip(), []).append((i, rest))
    known = [q for q in found if _QUANTITY.fullmatch(q)]
    totals = [q for q in known if _QUANTITY.fullmatch(q)["part"].lower() == "total"]
    choice = [column] if column is not None else known if len(known) == 1 else totals
    if len(choice) != 1 or choice[0] not in known:
        raise FormatError(
            f"{name}: got the columns {', '.join(header)}, wanted one of a gain, directivity or rE, "
            "such as dB(GainTotal) or mag(rETotal); name it with column"
        )
    parts = []
    for i, rest in found[choice[0]]:
        fixed = {m["name"].lower(): float(m["number"]) * _unit(name, m["unit"]) for m in _VALUE.finditer(rest)}
        place = {**{k: np.full(len(rows), v) for k, v in fixed.items()}, **axes}
        if "theta" not in place or "phi" not in place:
            raise FormatError(f"{name}: got the columns {', '.join(header)}, wanted Theta and Phi among them")
        frequency = place.get("freq", np.full(len(rows), np.nan))
        amplitude = _amplitude(choice[0], rows[:, i])
        parts.append(np.stack([frequency, place["theta"], place["phi"], amplitude], axis=1))
    records = np.concatenate(parts)
    if not np.isfinite(records[:, 3]).all() or records[:, 3].max() <= 0:
        raise FormatError(f"{name}: got values of {choice[0]} that are no amplitudes, wanted finite ones, not all zero")
    return records


def _unit(name: str, text: str) -> float:
    if text.lower() not in _UNITS:
        raise FormatError(f"{name}: got the unit {text!r}, wanted Hz to THz, deg or rad")
    return _UNITS[text.lower()]


def _amplitude(quantity: str, value: np.ndarray) -> np.ndarray:
    """Field amplitude of a column; NaN for what cannot be one (a negative gain that is not in dB)."""
    parts = _QUANTITY.fullmatch(quantity)
    scale, power = (parts["scale"] or "").lower(), parts["kind"].lower() != "re"
    if scale.startswith("db"):
        per_decade = {"db10": 10.0, "db20": 20.0}.get(scale, 10.0 if power else 20.0)
        value = 10 ** (np.minimum(value, 1e3) / per_decade)
    value = np.where(value >= 0, value, np.nan)
    return np.sqrt(value) if power else value


def _at_frequency(name: str, frequencies: np.ndarray, wanted: float | None) -> np.ndarray:
    """Mask of the rows at the frequency asked for."""
    there = np.unique(frequencies[np.isfinite(frequencies)])
    if len(there) == 0 or (wanted is None and len(there) == 1):
        return np.ones(len(frequencies), dtype=bool)
    listed = ", ".join(f"{f / 1e9:g}" for f in there[:8]) + (" ..." if len(there) > 8 else "")
    if wanted is None:
        raise FormatError(f"{name}: got {len(there)} frequencies ({listed} GHz), wanted one of them chosen")
    nearest = there[np.argmin(np.abs(there - wanted))]
    if abs(nearest - wanted) > 0.01 * wanted:
        raise FormatError(f"{name}: got {listed} GHz, wanted {wanted / 1e9:g} GHz, to 1 %")
    return frequencies == nearest


def _on_grid(name: str, theta: np.ndarray, phi: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The table at even steps by linear interpolation; poles take the mean of what the file has of them."""
    thetas, phis = np.unique(theta), np.unique(phi)
    gap = float(np.diff(np.append(phis, phis[0] + 360)).max())
    if thetas[0] > 0 or thetas[-1] < 90 or gap > 90.001:
        raise FormatError(
            f"{name}: got theta {thetas[0]:g} to {thetas[-1]:g} and gaps of {gap:g} in phi, "
            "wanted theta from 0 to at least 90 degrees all round, phi at least every 90"
        )
    row, column = np.searchsorted(thetas, theta), np.searchsorted(phis, phi)
    total, count = np.zeros((len(thetas), len(phis))), np.zeros((len(thetas), len(phis)))
    np.add.at(total, (row, column), value)
    np.add.at(count, (row, column), 1)
    for pole in np.flatnonzero((thetas == 0) | (thetas == 180)):
        total[pole], count[pole] = total[pole].sum(), count[pole].sum()
    if not count.all():
        raise FormatError(
            f"{name}: got {int((count > 0).sum())} of {len(thetas)} x {len(phis)} directions, "
            "wanted every theta at every phi"
        )
    grid = total / count
    inner = (theta > 0) & (theta < 180)
    if np.abs(value - grid[row, column])[inner].max(initial=0) > 1e-2 * value.max():
        raise FormatError(f"{name}: got a direction twice with different values, wanted each once; check the columns")
    step = max(min(_STEP, float(np.diff(thetas).min()), gap), 0.25)
    n = int(np.ceil(180 / step))
    even, round_ = np.linspace(0, 180, n + 1), np.arange(2 * n) * 180 / n
    by_theta = np.stack([np.interp(even, thetas, c, right=0.0) for c in grid.T], axis=1)
    return np.stack([np.interp(round_, phis, r, period=360) for r in by_theta])
