"""Foreign raw data to a `Scan`: raw TI captures (.bin), MATLAB (.mat) and numpy (.npz), each with a description (TOML).

The keys of a description are listed in `mmsar.io.importers.description`. The signal stays raw: channel gains and range
bias are kept in `Scan.calibration` and not applied. Data with s = exp(-j k R) is conjugated (sign = "negative").
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsar.errors import FormatError, GeometryError

if TYPE_CHECKING:
    from mmsar.io.importers.description import Description
    from mmsar.model import Scan

LAZY_ABOVE = 256 * 2**20
"""Raw TI signals larger than this [bytes as complex64] stay in their files unless asked for."""


def import_scan(
    path: str | os.PathLike[str],
    description: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    check_sign: bool = False,
    lazy: bool | None = None,
) -> "Scan":
    """Import foreign raw data.

    Parameters
    ----------
    path : path
        A .bin, .mat or .npz file, or a folder of .bin files.
    description : path, mapping or None
        The TOML file that describes the data, or its content as a dictionary. Default: the .toml beside the file, or
        scan.toml inside the folder.
    check_sign : bool
        Refuse data whose energy lies at negative beat frequencies (3 dB or more), warn when it is undecided.
    lazy : bool, optional
        True: a raw TI signal stays in its files and is decoded when it is read; False: read it now. Default: lazy above
        256 MiB.

    Returns
    -------
    Scan
        Positions as described: x = x_step * index along the row, first row highest for "top", centred on 0
        (`mmsar.io.importers.geometry`).

    Raises
    ------
    FormatError
        A description with unknown, missing or wrong keys, or data that disagrees with it.
    """
    from mmsar.io.importers.description import read_description

    source = Path(path)
    if not source.exists():
        raise FormatError(f"{source}: no such file or folder; check the path")
    return import_described(source, read_description(description, source), check_sign=check_sign, lazy=lazy)


def import_described(
    source: Path,
    described: "Description",
    *,
    reader: "Callable[[Path, Description], Scan] | None" = None,
    check_sign: bool = False,
    lazy: bool | None = None,
) -> "Scan":
    """`import_scan` for a description that is read already; `reader` makes the scan of other sources than files."""
    import numpy as np

    from mmsar._version import __version__
    from mmsar.io.importers.sign import check_sign as run_check

    try:
        scan = (reader or _read)(source, described)
        if described.format == "ti-raw" and not (scan.nbytes > LAZY_ABOVE if lazy is None else lazy):
            scan = scan.with_signal(np.asarray(scan.signal))
    except GeometryError as error:
        raise FormatError(f"{described.where}: {error}") from error
    step: dict[str, Any] = {"step": "import", "source": source.name, "version": __version__}
    if check_sign:
        step["sign_check_db"] = round(run_check(scan, described.get("waveform", "sign", "positive")), 2)
    step["description"] = described.tables
    return scan.with_step(**step)


def _read(source: Path, described: "Description") -> "Scan":
    if described.format == "ti-raw":
        from mmsar.io.importers.ti_raw import read_ti_raw

        return read_ti_raw(source, described)
    from mmsar.io.importers.cube import cube_scan

    if source.is_dir():
        raise FormatError(f'{source}: got a folder, wanted a file for format "{described.format}"')
    if described.format == "mat":
        from mmsar.io.importers.mat import read_mat

        return cube_scan(source, described, read_mat)
    from mmsar.io.importers.npz import read_npz

    return cube_scan(source, described, read_npz)
