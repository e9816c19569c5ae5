"""The images that the served page may open: those in one folder, and nothing outside it."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmsar.errors import FormatError
from mmsar.io.h5file import file_kind
from mmsar.io.image_h5 import load_image
from mmsar.model.image import Image


class ImageFolder:
    """The images of a folder by name.

    Parameters
    ----------
    given : sequence of path
        A folder, or images that are in one folder; the first is shown first.

    Raises
    ------
    FormatError
        Images of several folders, or a folder without images.
    """

    def __init__(self, given: Sequence[str | os.PathLike[str]]) -> None:
        paths = [Path(path) for path in given]
        self.root = (paths[0] if paths[0].is_dir() else paths[0].parent).resolve()
        """Links resolved."""
        for path in paths[1:]:
            if path.resolve().parent != self.root:
                raise FormatError(f"{path}: not in {self.root}, wanted images of one folder, or the folder alone")
        if paths[0].is_dir():
            names = self.names()
            if not names:
                raise FormatError(f"{paths[0]}: no images in it, wanted .h5 files that mmsar reconstruct wrote")
            self.first = names[0]
        else:
            self.first = paths[0].name
            self.path(self.first)

    def names(self) -> list[str]:
        """Names of the images now in the folder, in order; scans, broken files and links that lead out are left out."""
        found = []
        for entry in sorted(self.root.glob("*.h5")):
            try:
                if not entry.name.startswith(".") and file_kind(self.path(entry.name)) == "image":
                    found.append(entry.name)
            except (FormatError, OSError):
                continue
        return found

    def path(self, name: object) -> Path:
        """The file of that name.

        Raises
        ------
        FormatError
            No name of a file in the folder: it leads out of it, by `..`, a link or from the root, or is none.
        """
        try:
            path = (self.root / str(name)).resolve()
            inside = path.parent == self.root
            path.exists()  # asks the system: a name that it cannot have is refused here
        except (OSError, ValueError):  # too long, or with a zero byte
            inside = False
        if not inside:
            raise FormatError(f"{str(name)[:100]!r}: outside {self.root}; only images of this folder are shown")
        return path

    def load(self, name: object) -> Image:
        """Read an image of the folder.

        Raises
        ------
        FormatError
            As `path` and `mmsar.io.image_h5.load_image`.
        """
        return load_image(self.path(name))
