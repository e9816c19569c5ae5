"""Finished tiles of an image kept beside its file while it is made, so that a killed run goes on where it was.

IMAGE.h5.tiles/
    manifest.json   what is made: scan, grid, method, options, tiles; written last when the folder is set up
    voxels          the image (z, y, x), complex64, its whole size taken from the disk at the start
    done            numbers of the finished tiles, a line each, written when their voxels are on the disk
    sum.npz         in place of both where the image is a sum of tiles: the sum so far and what is in it, replaced whole

The order of writing makes a kill at any moment cost the tile in work and nothing else.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.errors import FormatError
from mmsar.io.atomic import DISK_ADVICE, atomic_path, check_target

MANIFEST, VOXELS, DONE, SUM = "manifest.json", "voxels", "done", "sum.npz"


def tiles_folder(output: str | os.PathLike[str]) -> Path:
    """Where the tiles of an image file are kept."""
    return Path(f"{os.fspath(output)}.tiles")


def read_manifest(output: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What the tiles beside an image file are of, or None where there are none.

    Raises
    ------
    FormatError
        A folder of that name that holds something else.
    """
    folder = tiles_folder(output)
    if not folder.exists():
        return None
    try:
        return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        if folder.is_dir() and {p.name for p in folder.iterdir()} <= {VOXELS, DONE, SUM}:
            return None  # killed while it was set up
        raise FormatError(f"{folder}: is in the way, wanted no such file or folder; move it") from None
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"{folder}: its {MANIFEST} cannot be read ({error}); remove the folder") from None


class TileStore:
    """The tiles of one image file; to be closed, and removed when the image is written.

    Parameters
    ----------
    output : path
        The image that is made.
    manifest : mapping
        Plain values that say what is made. Tiles that are there already are used when theirs is the same.
    shape : (n_z, n_y, n_x)
        Voxels.
    adds : bool
        Whether the image is the sum of the tiles.

    Raises
    ------
    FormatError
        Tiles of something else, or of a run that is still going on.
    OSError
        What the disk refuses, with the folder's name: the space is asked for at the start.
    """

    def __init__(
        self, output: str | os.PathLike[str], manifest: Mapping[str, Any], shape: tuple[int, int, int], *, adds: bool
    ) -> None:
        self.output, self.folder, self._shape, self._adds = check_target(output), tiles_folder(output), shape, adds
        wanted = json.loads(json.dumps(manifest))
        found = read_manifest(output)
        if found is None:
            self._set_up(wanted)
        elif found != wanted:
            raise FormatError(f"{self.folder}: tiles of another run ({_difference(found, wanted)}); {_WAY_OUT}")
        self._lock: int | None = os.open(self.folder / MANIFEST, os.O_RDONLY)
        if not _lock(self._lock):
            self.close()
            raise FormatError(f"{self.folder}: another run writes to it; wait for its end or stop it")
        self.done: set[int] = set()
        """Numbers of the finished tiles."""
        self._sum: np.ndarray | None = None
        self._read_done()
        self.resumed = len(self.done)
        """Tiles that were there already."""

    def _set_up(self, manifest: dict[str, Any]) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            if not self._adds:
                with open(self.folder / VOXELS, "wb") as file:
                    _take_space(file.fileno(), 8 * int(np.prod(self._shape)))
            (self.folder / DONE).unlink(missing_ok=True)
            with atomic_path(self.folder / MANIFEST) as part:
                part.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        except BaseException as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise self._named(error) from error

    def _named(self, error: BaseException) -> BaseException:
        if isinstance(error, OSError) and error.errno in DISK_ADVICE:
            return OSError(error.errno, os.strerror(error.errno), str(self.folder))
        return error

    def _read_done(self) -> None:
        if self._adds:
            self._sum = np.zeros(self._shape, dtype=np.complex64)
            with suppress(FileNotFoundError):
                try:
                    with np.load(self.folder / SUM, allow_pickle=False) as held:
                        self._sum, self.done = held["sum"], set(held["done"].tolist())
                except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                    raise FormatError(f"{self.folder}/{SUM}: damaged ({error}); remove the folder") from None
            return
        size, wanted = (self.folder / VOXELS).stat().st_size, 8 * int(np.prod(self._shape))
        if size != wanted:
            raise FormatError(f"{self.folder}/{VOXELS}: got {size} bytes, wanted {wanted}; remove the folder")
        with suppress(FileNotFoundError):
            *lines, _ = (self.folder / DONE).read_text(encoding="ascii").split("\n")  # a last line may be half one
            self.done = {int(line) for line in lines}

    def put(self, number: int, region: tuple[slice, slice, slice], values: np.ndarray) -> None:
        """Keep a finished tile.

        Raises
        ------
        OSError
            What the disk refuses; the tiles before are kept.
        """
        try:
            if self._adds:
                total = self._sum + values
                with atomic_path(self.folder / SUM) as part, open(part, "wb") as file:
                    np.savez(file, sum=total, done=np.array(sorted(self.done | {number})))
                    file.flush()
                    os.fsync(file.fileno())
                self._sum = total
            else:
                voxels = self._map("r+")
                voxels[region] = values
                voxels.flush()
                with open(self.folder / DONE, "a", encoding="ascii") as file:
                    file.write(f"{number}\n")
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise self._named(error) from error
        self.done.add(number)

    def _map(self, mode: str) -> np.memmap:
        return np.memmap(self.folder / VOXELS, dtype=np.complex64, mode=mode, shape=self._shape)

    def voxels(self) -> np.ndarray:
        """The image as far as it is there, complex64 (n_z, n_y, n_x): in its file, not in memory, but for sums."""
        return self._sum if self._adds else self._map("r")

    def close(self) -> None:
        """Let others use the tiles."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """The image is written: nothing of the tiles stays."""
        (self.folder / MANIFEST).unlink()  # what is left by a kill from here on is nobody's
        self.close()
        shutil.rmtree(self.folder)


_WAY_OUT = "say what was said then, remove the folder, or write another file"


def _lock(file: int) -> bool:
    """Lock an open file until it is closed; False when it is locked. Systems without such locks do without."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_space(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    block = bytes(2**20)
    for start in range(0, size, len(block)):
        os.write(file, block[: size - start])
    os.fsync(file)


def _difference(found: Any, wanted: Any, name: str = "") -> str:
    """The first thing in which two manifests differ: "name: got ..., wanted ..."."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            if found.get(key) != wanted.get(key):
                return _difference(found.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    got, want = (text if len(text := json.dumps(value)) <= 40 else f"{text[:37]}..." for value in (found, wanted))
    return f"{name}: got {got}, wanted {want}"
