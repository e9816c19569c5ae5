"""TUM trajectories: `t tx ty tz qx qy qz qw` per line, seconds and metres, `#` comments; commas instead of blanks too.

Source: the format of the TUM RGB-D benchmark, as in the table of position logs.
"""

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.text import epoch_clock, nanoseconds, need_rows, numbers, read_text
from mmsar.hardware.positions.track import PoseTrack

USES = frozenset(("clock", "frame"))


def read(path: str, told: Declared) -> PoseTrack:
    """The track of a TUM file; FormatError for lines that are not eight numbers."""
    rows, times = [], []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        cells = text.split("#", 1)[0].replace(",", " ").split()
        if not cells:
            continue
        if len(cells) != 8:
            raise FormatError(f"{path}, line {line}: got {len(cells)} columns, wanted 8: t tx ty tz qx qy qz qw")
        times.append(nanoseconds(cells[0], 9, f"{path}, line {line}"))
        rows.append((line, cells))
    need_rows(path, len(rows))
    table, time_ns = numbers(rows, range(1, 8), path), np.array(times, dtype=np.int64)
    return PoseTrack.from_log(
        time_ns,
        table[:, :3],
        table[:, 3:],
        clock=told.clock or epoch_clock(time_ns),
        frame=told.frame or "world",
        sigma=told.sigma,
        source=f"tum {path}",
    )


def text_of(track: PoseTrack) -> str:
    """The valid rows of a track as a TUM file: times with nine decimals, so that nothing of them is lost."""
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    for time, position, rotation in zip(
        track.time_ns[track.valid].tolist(),
        track.position[track.valid].tolist(),
        track.rotation[track.valid].tolist(),
        strict=True,
    ):
        whole, part = divmod(abs(time), 10**9)
        values = " ".join(f"{v:.9g}" for v in (*position, *rotation))
        lines.append(f"{'-' if time < 0 else ''}{whole}.{part:09d} {values}")
    return "\n".join(lines) + "\n"
