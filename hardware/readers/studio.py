"""Recordings of mmWave Studio: one capture in files <prefix>_Raw_0.bin, _Raw_1.bin, ..., and the JSON beside them.

Studio writes the packets' payload unchanged and begins a new file when one is full; `.mmwave.json` is what the radar
was told, `.setup.json` which files belong to it. Zeros may precede or follow the samples: a size that is no whole
number of frames is explained with what would fit, never cut (`mmsar.io.importers.raw_frames.explain_size`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsar.errors import FormatError
from mmsar.hardware.config.mmwave_json import read_setup

_NAME = re.compile(r"(?P<prefix>.+)_Raw_(?P<number>\d+)\.bin", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class StudioSet:
    """The files of one capture."""

    files: tuple[Path, ...]
    """In the order of the recording; empty: the folder holds other files than one capture's."""
    config: Path | None
    """What the radar was told, usually the `.mmwave.json`; None: not there."""
    device: str | None
    """The chip, where the `.setup.json` names it."""


def parts(files: Sequence[Path]) -> tuple[Path, ...]:
    """`files` in order when they are the parts <prefix>_Raw_<n>.bin of one capture, else nothing.

    Raises
    ------
    FormatError
        A part missing from 0, 1, 2, ...
    """
    matches = [_NAME.fullmatch(path.name) for path in files]
    if not matches or not all(matches) or len({match["prefix"] for match in matches}) > 1:
        return ()
    numbered = sorted(zip((int(match["number"]) for match in matches), files, strict=True))
    numbers = [number for number, _ in numbered]
    missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
    if missing:
        raise FormatError(
            f"{matches[0]['prefix']}_Raw_{missing[0]}.bin: missing beside {numbered[-1][1].name}, wanted every part of "
            "the capture from _Raw_0; copy it again"
        )
    return tuple(path for _, path in numbered)


def studio_set(path: Path, *, config: Path | None = None) -> StudioSet:
    """The capture that a file <prefix>_Raw_0.bin or a folder belongs to.

    Parameters
    ----------
    config : Path, optional
        The radar's configuration, where it is named elsewhere: the JSON beside the files is then left alone.

    Raises
    ------
    FormatError
        Several configurations, parts missing, or files that the `.setup.json` names and that are not there.
    """
    folder = path if path.is_dir() else path.parent
    setup = None if config else _only(folder, "*.setup.json")
    config = config or _only(folder, "*.mmwave.json")
    described = read_setup(setup) if setup else None
    if described and described.config and config and described.config != config.name:
        raise FormatError(
            f"{setup.name}: configUsed: got {described.config}, but the folder holds {config.name}; "
            "put the right one there"
        )
    if path.is_file():
        match = _NAME.fullmatch(path.name)
        if match is None:
            files = (path,)
        else:
            same = [p for p in folder.iterdir() if (m := _NAME.fullmatch(p.name)) and m["prefix"] == match["prefix"]]
            files = parts(same)
    elif described and described.files:
        gone = [name for name in described.files if not (folder / name).is_file()]
        if gone:
            raise FormatError(
                f"{setup.name}: names {gone[0]} ({len(gone)} missing), which is not beside it; copy it there"
            )
        files = tuple(folder / name for name in described.files)
    else:
        files = parts(sorted(folder.glob("*.bin")))
    return StudioSet(files=files, config=config, device=described.device if described else None)


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:4])
        raise FormatError(
            f"{folder}: got {len(found)} files {pattern} ({names}), wanted one; name it: [capture] config"
        )
    return found[0] if found else None
