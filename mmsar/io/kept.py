"""What took long to find, kept in a folder by what it was found from, so that an interrupted command can go on."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mmsar._version import __version__
from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path

LONG = 20
"""Letters of a name."""


class Kept:
    """Arrays in a folder, one file (.npy) each.

    Another version of mmsar does not take them; what changed code of the same version found must be taken away.

    Parameters
    ----------
    folder : path
        It is made if it is not there.

    Raises
    ------
    FormatError
        A folder that cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FormatError(
                f"{folder}: got {error.strerror}, wanted a folder to keep results in; name another"
            ) from None

    def path(self, of: Iterable[np.ndarray | str]) -> Path:
        """Where the result of some arrays and texts is kept."""
        digest = hashlib.sha256(__version__.encode())
        for part in of:
            data = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
            digest.update(f"{len(data)} ".encode() + data)
        return self.folder / f"{digest.hexdigest()[:LONG]}.npy"

    def get(
        self, of: Iterable[np.ndarray | str], find: Callable[[], np.ndarray], *, shape: tuple[int, ...]
    ) -> np.ndarray:
        """The result of a shape, from its file, or found and written to it.

        Raises
        ------
        FormatError
            A file that holds something else.
        """
        path = self.path(of)
        if not path.exists():
            found = find()
            with atomic_path(path) as part, part.open("wb") as file:
                np.save(file, found)
            return found
        try:
            kept = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            kept = np.empty(0)
        if kept.shape != shape or not np.issubdtype(kept.dtype, np.floating) or not np.isfinite(kept).all():
            raise FormatError(f"{path}: got something else, wanted an array of {shape} that was kept; delete the file")
        return kept
