"""Writing files so that they are either whole or not there at all.

The content goes to a temporary name in the same folder, which is renamed when it is complete; on any error, an
interruption included, the temporary file is removed and an older file of the final name stays as it was.
"""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsar.errors import FormatError

DISK_ADVICE = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your space, or write to another disk",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f)",
}
"""Errors of the system while a file is written to (it does not name the file then), and what to do."""


def check_target(path: str | os.PathLike[str], *, sources: Iterable[str | os.PathLike[str] | None] = ()) -> Path:
    """Return `path` as a Path that a file can be written to.

    Parameters
    ----------
    sources : iterable of path or None
        What is read to make the file.

    Raises
    ------
    FormatError
        When it is a folder, when its folder does not exist or cannot be written to, or when it is one of `sources`.
    """
    target = Path(path)
    if target.is_dir():
        raise FormatError(f"{target}: got a folder, wanted the name of a file to write")
    if not target.parent.is_dir():
        raise FormatError(f"{target}: its folder does not exist; create {target.parent} first")
    for source in sources:
        if source is not None and target.exists() and os.path.exists(source) and target.samefile(source):
            raise FormatError(f"{target}: got the file that is read, wanted another name to write; it would be lost")
    if fault := write_fault(target.parent):
        raise FormatError(f"{target}: its folder {target.parent} cannot be written to ({fault}); choose another one")
    return target


def write_fault(folder: Path) -> str | None:
    """Why no file can be made in a folder, or None. Tried out: rights alone do not say it of every file system."""
    probe = folder / f".{secrets.token_hex(4)}.part"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path`, with the same ending; renamed to `path` when the block ends without an error.

    Raises
    ------
    FormatError
        When `path` cannot be a file.
    OSError
        What the disk refuses, with the name of `path`.
    """
    target = check_target(path)
    part = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and (
            error.filename in (str(part), part) or (error.filename is None and error.errno in DISK_ADVICE)
        ):
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        raise
