"""The part of `mmsar bench` that guards against regressions: ratios of this run against those of an earlier one."""

import json
from typing import TYPE_CHECKING, Any

from mmsar.errors import FormatError, MmsarError

if TYPE_CHECKING:
    from mmsar.cli.bench import Timing


def earlier(path: str, size: str) -> dict[tuple[str, str], float]:
    """(scan, method) -> times faster than bpa, of a file that `mmsar bench --json` printed for the same size.

    Raises
    ------
    FormatError
        A file that is no such output, or one of another size.
    """
    try:
        with open(path) as file:
            stored: Any = json.load(file)
        ratios = {(row["scan"], row["method"]): float(row["speedup"]) for row in stored["timings"]}
        name = stored["size"]["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path}: not what mmsar bench --json prints ({type(error).__name__}: {error}); make it with --json"
        ) from error
    if name != size:
        raise FormatError(f"{path}: got timings of size {name}, wanted {size}; ratios depend on it")
    return ratios


def guard(timings: "list[Timing]", before: dict[tuple[str, str], float], tolerance: float) -> str:
    """The ratios beside the earlier ones.

    Raises
    ------
    MmsarError
        Where a method is slower, beside bpa in the same run, than before by more than the tolerance.
    """
    lines, worse = [f"{'scan':9} {'method':6} {'x bpa':>8} {'before':>8} {'now/before':>11}"], []
    for timing in timings:
        old = before.get((timing.scan, timing.method))
        if old is None or timing.method == "bpa":
            continue
        lines.append(f"{timing.scan:9} {timing.method:6} {timing.speedup:8.1f} {old:8.1f} {timing.speedup / old:11.2f}")
        if timing.speedup < (1 - tolerance) * old:
            worse.append(f"{timing.method} on the {timing.scan} scan {timing.speedup:.1f} times bpa, before {old:.1f}")
    if len(lines) == 1:
        raise FormatError("mmsar bench --against: the file has none of the methods that were timed")
    if worse:
        raise MmsarError(f"slower than before by more than {100 * tolerance:g} %: {'; '.join(worse)}")
    return "\n".join(lines)
