"""What JSON files beside a capture say about it, held against what it is imported with.

Programs write notes of their own beside a capture (metadata.json, params.json); they are copied from run to run and
often describe another one. They decide nothing here: every number in them that contradicts the description is reported,
with what the size of the files would be under it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsar.errors import FormatError
from mmsar.io.importers.iq_layout import frame_bytes

NAMES = {
    "samples": ("num_samples", "num_adc_samples", "numadcsamples", "adcsamples", "adc_samples", "n_samples"),
    "chirps": ("num_chirps", "chirps_per_frame", "num_chirps_per_frame", "n_chirps"),
    "rx": ("num_rx", "num_rx_antenna", "num_rx_antennas", "numrx", "n_rx"),
    "tx": ("num_tx", "num_tx_antenna", "num_tx_antennas", "numtx", "n_tx"),
    "frames": ("num_frames", "numframes", "n_frames", "framestocapture"),
}
"""Names, in small letters, that other programs give the numbers of a capture."""
WORDS = {"samples": "samples per chirp", "chirps": "chirps per frame", "rx": "RX", "tx": "TX", "frames": "frames"}


@dataclass(frozen=True)
class Statement:
    """One number in a JSON file."""

    place: str
    """Where it stands: params.json: test.num_rx."""
    kind: str
    """One of NAMES."""
    value: int


def statements(path: Path) -> list[Statement]:
    """The numbers of a capture that a JSON file states, wherever they stand in it.

    Raises
    ------
    FormatError
        A file that is not there, or no JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"{path}: got {error.strerror}, wanted a JSON file") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: got {error}, wanted JSON") from None
    kinds = {name: kind for kind, names in NAMES.items() for name in names}
    found = []
    for keys, value in _leaves(content, ()):
        kind = kinds.get(keys[-1].lower()) if keys else None
        if kind and isinstance(value, int) and not isinstance(value, bool):
            found.append(Statement(f"{path.name}: {'.'.join(keys)}", kind, value))
    return found


def _leaves(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*keys, str(key)))
    elif isinstance(value, list):
        for k, inner in enumerate(value):
            yield from _leaves(inner, (*keys, str(k)))
    else:
        yield keys, value


def contradictions(paths: list[Path], facts: dict[str, int], *, layout: str, size: int) -> list[str]:
    """One line for every statement that contradicts the facts.

    Parameters
    ----------
    facts : dict
        samples, chirps, rx, tx and, where it is known, frames of the capture as it is imported.
    layout : str
        Its layout, for what the size would be.
    size : int
        Bytes of the files.
    """
    shape = {key: facts[key] for key in ("samples", "chirps", "rx")}
    is_now = f"{size} bytes are {size / frame_bytes(layout, **shape):g} frames of {_made(shape)}"
    found = []
    for path in paths:
        for said in statements(path):
            fact = facts.get(said.kind)
            if fact is None or fact == said.value:
                continue
            text = f"{said.place} says {said.value} {WORDS[said.kind]}, imported with {fact}; {is_now}"
            if said.kind in shape and said.value > 0:
                other = {**shape, said.kind: said.value}
                text += f", or {size / frame_bytes(layout, **other):g} of {_made(other)}"
            found.append(text)
    return found


def _made(shape: dict[str, int]) -> str:
    return f"{shape['chirps']} chirps x {shape['samples']} samples x {shape['rx']} RX"
