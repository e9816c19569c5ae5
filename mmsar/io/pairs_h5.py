"""Files of training pairs (layout: `mmsar.io.schema`): written sample by sample, resumed, read lazily.

All space is laid out when the file is made and no structure changes after that: writing a sample overwrites its bytes
in place, and `done` is set after them. So the file is whole at every moment, whatever ends the writing, and samples
that are not done are the ones to make. Images are float16: 11 significant bits, down to 6e-8.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mmsar._version import __version__
from mmsar.core.memory import size_text
from mmsar.errors import FormatError
from mmsar.io.atomic import check_target
from mmsar.io.h5file import attribute, create_h5, find_field, label, open_h5, read_field, read_json, write_json
from mmsar.io.schema import PAIR_COLUMNS, PAIR_DONE, PAIR_IMAGES, Field
from mmsar.model.pair import Pair

_DTYPES = {"f": np.dtype(np.float64), "S": np.dtype("S16"), "u": np.dtype(np.uint64)}
_COLUMN_CHUNK = 1024
_SPARE_BYTES = 64 * 2**20
_FIELDS = {**PAIR_IMAGES, **PAIR_COLUMNS, "done": PAIR_DONE}


class PairWriter:
    """Samples into an open file of pairs; see `open_pairs`."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def todo(self, count: int) -> list[int]:
        """Samples below `count` that are not done, in order."""
        return np.flatnonzero(self._file["done"][:count] == 0).tolist()

    def write(self, index: int, pair: Pair) -> None:
        """Write sample `index` and only then mark it done; an older sample of that number is replaced.

        Raises
        ------
        FormatError
            Images of another size than the file's, or values its numbers cannot hold.
        """
        images = {"input": np.stack([pair.input.real, pair.input.imag]), "ideal": pair.ideal, "physical": pair.physical}
        for name, image in images.items():
            target = self._file[name]
            half = image.astype(np.float16)
            if half.shape != target.shape[1:] or not np.isfinite(half).all():
                raise FormatError(
                    f"{self._file.filename}: /{name}: got shape {half.shape}, largest {np.abs(image).max():g}, "
                    f"wanted {target.shape[1:]} of float16 numbers"
                )
            target[index] = half
        for name in PAIR_COLUMNS:
            self._file[name][index] = getattr(pair, name)
        self._file.flush()
        self._file["done"][index] = 1
        self._file.flush()


@contextmanager
def open_pairs(
    path: str | os.PathLike[str],
    recipe: Mapping[str, Any],
    *,
    count: int,
    shape: tuple[int, int],
    spacing: float,
    resume: bool = False,
) -> Iterator[PairWriter]:
    """A file for `count` pairs, new or (with `resume`) continued, closed when the block ends.

    Parameters
    ----------
    recipe : mapping
        What the pairs are made by (JSON values); a file is continued under the same recipe only.
    shape : (n_y, n_x)
        Pixels of a slice.
    spacing : float
        Pixel distance [m].
    resume : bool
        Continue a file that is there, for `count` samples if it has fewer; start one if there is none.

    Raises
    ------
    FormatError
        A file that is there without `resume`, one of another recipe, size or mmsar version, or too little disk.
    """
    target = check_target(path)
    recipe = json.loads(json.dumps(dict(recipe)))
    if target.exists():
        if not resume:
            raise FormatError(f"{target}: is there already; continue it with --resume, or remove it first")
        had = _check_same(target, recipe, shape)
        _check_disk(target, count - had, shape)
    else:
        _check_disk(target, count, shape)
        with create_h5(target, "pairs") as file:
            file.attrs["spacing"] = float(spacing)
            file.attrs["spacing_units"] = "m"
            write_json(file, "recipe", recipe)
            for name, field in _FIELDS.items():
                _lay_out(file, name, field, count, shape)
    with h5py.File(target, "r+") as file:
        if len(file["done"]) < count:
            for name in sorted(_FIELDS, key="done".__eq__):  # `done` last: it never speaks of samples without room
                file[name].resize(count, axis=0)
            file.flush()
        yield PairWriter(file)


def _sizes(field: Field, shape: tuple[int, int]) -> tuple[int, ...]:
    """Shape of one sample of a dataset."""
    sizes = {"part": 2, "y": shape[0], "x": shape[1]}
    return tuple(sizes[axis] for axis in field.axes[1:])


def _lay_out(file: h5py.File, name: str, field: Field, count: int, shape: tuple[int, int]) -> None:
    """A dataset with all its space; only columns are filled (with zeros)."""
    image = name in PAIR_IMAGES
    sizes = _sizes(field, shape)
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_chunk((1 if image else _COLUMN_CHUNK, *sizes))
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER if image else h5py.h5d.FILL_TIME_ALLOC)
    kind = h5py.h5t.py_create(np.dtype(np.float16) if image else _DTYPES[field.kinds[0]])
    space = h5py.h5s.create_simple((count, *sizes), (h5py.h5s.UNLIMITED, *sizes))
    label(h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, options)), field)


def _check_disk(target: Path, samples: int, shape: tuple[int, int]) -> None:
    needed = max(samples, 0) * 2 * sum(int(np.prod(_sizes(f, shape))) for f in PAIR_IMAGES.values())
    free = shutil.disk_usage(target.parent).free
    if needed + _SPARE_BYTES > free:
        raise FormatError(
            f"{target}: {samples} pairs need {size_text(needed)}, got {size_text(free)} free there; "
            "make fewer pairs or write them elsewhere"
        )


def _check_same(target: Path, recipe: dict[str, Any], shape: tuple[int, int]) -> int:
    """The number of samples of a file that may be continued; its space that is still sparse is not counted."""
    with open_h5(target, "pairs") as file:
        stored, version = read_json(file, "recipe", dict), attribute(file, "mmsar_version")
        got = find_field(file, "ideal", PAIR_IMAGES["ideal"], {}).shape
        written = int((read_field(file, "done", PAIR_DONE, {}) != 0).sum())
    changed = sorted(key for key in stored.keys() | recipe.keys() if stored.get(key) != recipe.get(key))
    if changed:
        raise FormatError(f"{target}: made by another recipe ({', '.join(changed)}); wanted the same one to resume")
    if version != __version__:
        raise FormatError(f"{target}: begun by mmsar {version}, this is {__version__}; wanted the same one to resume")
    if got[1:] != tuple(shape):
        raise FormatError(f"{target}: got slices of {got[1:]}, wanted {tuple(shape)}")
    return written


class PairFile:
    """A file of pairs, read sample by sample; `file[i]` is a `Pair`.

    Nothing is opened until it is needed, and what is open is not pickled: it can be given to worker processes.

    Raises
    ------
    FormatError
        Not a file of pairs, or a sample asked for that was never written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._process = 0
        with open_h5(self.path, "pairs") as file:
            sizes: dict[str, int] = {}
            for name, field in _FIELDS.items():
                find_field(file, name, field, sizes)
            self.shape = (sizes["sample"], sizes["y"], sizes["x"])
            """Samples, finished or not, and pixels of a slice."""
            self.spacing = float(attribute(file, "spacing"))
            """Pixel distance [m]; the slice is centred on x = y = 0."""
            self.recipe = read_json(file, "recipe", dict)
            """What the pairs were made by."""
            self.version = str(attribute(file, "mmsar_version"))
            """The mmsar that made them."""
            self._done = read_field(file, "done", PAIR_DONE, sizes) != 0

    def __len__(self) -> int:
        """Finished samples."""
        return int(self._done.sum())

    def column(self, name: str) -> np.ndarray:
        """A property of all samples, finished or not (see `mmsar.model.pair.Pair`); texts as str."""
        if name not in PAIR_COLUMNS:
            raise FormatError(f"{self.path}: got column {name!r}, wanted one of {', '.join(PAIR_COLUMNS)}")
        values = self._open()[name][()]
        return np.char.decode(values, "ascii") if values.dtype.kind == "S" else values

    def select(self, **wanted: Any) -> np.ndarray:
        """Indices of the finished samples whose properties have the given values, as `split="train"`."""
        keep = self._done.copy()
        for name, value in wanted.items():
            keep &= self.column(name) == value
        return np.flatnonzero(keep)

    def images(self, index: int, label: str, part: tuple[slice, slice] = (slice(None), slice(None))) -> tuple:
        """Input complex64 and one label float32, (n_y, n_x), of a finished sample, or a part of them, unchecked."""
        self._check(index)
        file = self._open()
        stored = file["input"][(index, slice(None), *part)].astype(np.float32)
        image = np.empty(stored.shape[1:], dtype=np.complex64)
        image.real, image.imag = stored
        return image, file[label][(index, *part)].astype(np.float32)

    def _check(self, index: int) -> None:
        if not (0 <= index < self.shape[0] and self._done[index]):
            raise FormatError(f"{self.path}: got sample {index}, wanted a finished one; select() lists them")

    def __getitem__(self, index: int) -> Pair:
        image, ideal = self.images(index, "ideal")
        file = self._open()
        values = {name: file[name][index] for name in PAIR_COLUMNS}
        return Pair(
            input=image,
            ideal=ideal,
            physical=file["physical"][index].astype(np.float32),
            **{name: _plain(name, value) for name, value in values.items()},
        )

    def _open(self) -> h5py.File:
        if self._file is None or self._process != os.getpid():
            self._file, self._process = h5py.File(self.path, "r"), os.getpid()
        return self._file

    def close(self) -> None:
        """Close the file; it is opened again when something is read."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None

    def __enter__(self) -> "PairFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def _plain(name: str, value: Any) -> Any:
    """A stored value as `Pair` wants it."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    return bool(value) if name in ("empty", "ghost", "clutter", "rough") else value.item()
