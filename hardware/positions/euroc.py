"""EuRoC / ASL trajectories: ns, p x y z [m], q w x y z; 8 columns (motion capture) or 17 (with velocity and biases).

Source: the ASL data set format, as in the table of position logs. Stamps are whole Unix nanoseconds.
"""

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.text import nanoseconds, need_rows, numbers, read_text, rows_of
from mmsar.hardware.positions.track import PoseTrack

USES = frozenset(("clock", "frame"))


def read(path: str, told: Declared) -> PoseTrack:
    """The track of an ASL ground-truth file; FormatError for rows of another width or stamps that are not whole."""
    rows, times = [], []
    for line, row in enumerate(rows_of(read_text(path), path), start=1):
        if not any(row) or row[0].startswith("#"):
            continue
        if len(row) not in (8, 17):
            raise FormatError(f"{path}, line {line}: got {len(row)} columns, wanted 8 or 17: ns, position, qw qx qy qz")
        if not row[0].lstrip("+-").isdigit():
            raise FormatError(f"{path}, line {line}: got the stamp {row[0]!r}, wanted whole nanoseconds")
        times.append(nanoseconds(row[0], 0, f"{path}, line {line}"))
        rows.append((line, row))
    need_rows(path, len(rows))
    table = numbers(rows, range(1, 8), path)
    return PoseTrack.from_log(
        np.array(times, dtype=np.int64),
        table[:, :3],
        table[:, [4, 5, 6, 3]],
        clock=told.clock or "unix",
        frame=told.frame or "world",
        sigma=told.sigma,
        source=f"euroc {path}",
    )
