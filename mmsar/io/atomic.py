"""Writing files so that they are either whole or not there at all.

The content goes to a temporary name in the same folder, which is renamed when it is complete; on any error, an
interruption included, the temporary file is removed and an older file of the final name stays as it was.
"""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsar.errors import FormatError


def check_target(path: str | os.PathLike[str], *, sources: Iterable[str | os.PathLike[str] | None] = ()) -> Path:
    """Return `path` as a Path that a file can be written to.

    Parameters
    ----------
    sources : iterable of path or None
        What is read to make the file.

    Raises
    ------
    FormatError
        When it is a folder, when its folder does not exist, or when it is one of `sources`.
    """
    target = Path(path)
    if target.is_dir():
        raise FormatError(f"{target}: got a folder, wanted the name of a file to write")
    if not target.parent.is_dir():
        raise FormatError(f"{target}: its folder does not exist; create {target.parent} first")
    for source in sources:
        if source is not None and target.exists() and os.path.exists(source) and target.samefile(source):
            raise FormatError(f"{target}: got the file that is read, wanted another name to write; it would be lost")
    return target


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path`, with the same ending; renamed to `path` when the block ends without an error.

    Raises
    ------
    FormatError
        When `path` cannot be a file.
    """
    target = check_target(path)
    part = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
