"""Recipes of training pairs: what scenes, radar, errors and images are drawn from, as TOML and as a frozen value."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.constants import C0
from mmsar.core.checks import finite_number, one_of, positive_int, real_array
from mmsar.core.toml_table import Table, load_table, read_table
from mmsar.enhance.dataset_shapes import HELD_OUT, SHAPES, TRAINED
from mmsar.errors import FormatError, GeometryError

MM = 1e-3
METHODS = ("empm", "nufft")
LEAST_SQUARES = "least-squares"
"""Least squares by `nufft`: what `mmsar reconstruct --least-squares` makes."""
IMAGERS = (*METHODS, "bpa", LEAST_SQUARES)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that makes sample i of a data set, but for i. Shares are probabilities.

    Raises
    ------
    GeometryError
        A value out of range, or a family that is both trained and tested.
    """

    seed: int = 0
    """Seed of the data set."""
    start: float = 77e9
    """First frequency [Hz]."""
    bandwidth: float = 4e9
    """Of the sampled part [Hz]."""
    samples: int = 64
    """Samples of a chirp: what the signal-to-noise ratio is per."""
    frequencies: int = 12
    """Frequencies that are computed: enough for one slice and for clutter within their ambiguous range."""
    rows: int = 25
    """Rows of positions along y, each of `channels` elements."""
    columns: int = 200
    """Positions along x."""
    channels: int = 8
    """Elements of a position, along y."""
    pitch: float = C0 / 79e9 / 4
    """Distance of elements and of columns [m]."""
    tracks: int = 2
    """Nominal tracks: one plane raster, the others by hand."""
    motion: Sequence[float] = (0.3 * MM, 0.3 * MM, 1.5 * MM)
    """RMS wander of the tracks by hand (x, y, z) [m]: known to the imager."""
    pixels: int = 256
    """Pixels of a slice along x and along y."""
    size: float = 0.2
    """Width and height of a slice [m], pixels times their distance."""
    depths: Sequence[float] = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0)
    """Distances of slices [m], equally likely."""
    methods: Sequence[str] = METHODS
    """Imagers, equally likely."""
    reach: float = 0.085
    """Scatterers lie within +- this along x and y [m]."""
    spacing: float = 0.8 * MM
    """Distance of the points that shapes are made of [m]."""
    blob: float = 1.2 * MM
    """sigma of the labels' blobs exp(-d^2 / sigma^2) [m]."""
    objects: Sequence[int] = (1, 5)
    """Fewest and most shapes of a scene."""
    points: Sequence[int] = (0, 12)
    """Fewest and most single points beside shapes; scenes of points have up to four times as many, and at least one."""
    object_size: Sequence[float] = (6 * MM, 40 * MM)
    """Smallest and largest half size of a shape [m]."""
    amplitude_db: float = 30.0
    """Range of amplitudes in a scene, uniform in dB."""
    empty_share: float = 0.03
    """Scenes of noise only."""
    ghost_share: float = 0.15
    """Scenes with multipath copies."""
    clutter_share: float = 0.25
    """Scenes with an object in another range cell."""
    rough_share: float = 0.2
    """Shapes with a random phase at every point."""
    close_share: float = 0.0
    """Groups of single points in which each has a neighbour so close that an image hardly tells them apart."""
    off_plane: float = 8 * MM
    """Objects lie within +- this of the slice [m], in half of the scenes; in the other half, in it."""
    snr_db: Sequence[float] = (-10.0, 50.0)
    """Least and largest signal-to-noise ratio of a sample [dB], uniform."""
    position_error: Sequence[float] = (0.05 * MM, 3.0 * MM)
    """Least and largest RMS position error along each axis [m], uniform in its logarithm."""
    exact_share: float = 0.15
    """Samples without position error."""
    missing_share: float = 0.2
    """Samples that lack rows."""
    missing: float = 0.2
    """Largest part of the rows that is lacking."""
    train: Sequence[str] = TRAINED
    """Families of training and validation."""
    test: Sequence[str] = HELD_OUT
    """Families of the test."""
    validation_share: float = 0.05
    """Samples for validation: trained families, seeds never trained on."""
    test_share: float = 0.1
    """Samples for the test."""

    def __post_init__(self) -> None:
        counts = ("samples", "frequencies", "rows", "columns", "channels", "tracks", "pixels")
        for name in counts:
            positive_int(f"Recipe.{name}", getattr(self, name))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise GeometryError(f"Recipe.seed: got {self.seed!r}, wanted a whole number >= 0")
        for name in ("start", "bandwidth", "pitch", "size", "reach", "spacing", "blob"):
            finite_number(f"Recipe.{name}", getattr(self, name), "SI", above=0.0)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_share") and not 0 <= finite_number(f"Recipe.{field.name}", value, "1") <= 1:
                raise GeometryError(f"Recipe.{field.name}: got {value:g}, wanted a probability from 0 to 1")
            if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
                object.__setattr__(self, field.name, tuple(v.item() if hasattr(v, "item") else v for v in value))
        for name, low in (("objects", 1), ("points", 0), ("object_size", 1e-4), ("position_error", 1e-7)):
            self._check_range(name, low)
        self._check_range("snr_db", -200.0)
        real_array("Recipe.motion", self.motion, (3,), "m")
        real_array("Recipe.depths", self.depths, (None,), "m")
        if min(self.depths) < 0.05:
            raise GeometryError(f"Recipe.depths: got {min(self.depths):g} m, wanted at least 0.05 m")
        if self.object_size[1] >= self.reach or self.reach > self.size / 2:
            raise GeometryError(
                f"Recipe.reach: got {self.reach:g} m, wanted more than the largest object ({self.object_size[1]:g} m) "
                f"and at most half of the slice ({self.size / 2:g} m)"
            )
        if self.spacing > self.blob:
            raise GeometryError(f"Recipe.spacing: got {self.spacing:g} m, wanted at most the blobs' {self.blob:g} m")
        if not 0 <= self.missing <= 0.9:
            raise GeometryError(f"Recipe.missing: got {self.missing:g}, wanted a part of the rows from 0 to 0.9")
        if not (self.amplitude_db >= 0 and self.off_plane >= 0 and self.test_share + self.validation_share <= 1):
            raise GeometryError(
                "Recipe: wanted amplitude_db and off_plane >= 0, and test_share + validation_share at most 1"
            )
        self._check_names()

    def _check_range(self, name: str, least: float) -> None:
        low, high = real_array(f"Recipe.{name}", getattr(self, name), (2,), "SI")
        if not least <= low <= high:
            raise GeometryError(f"Recipe.{name}: got {low:g} to {high:g}, wanted two numbers, {least:g} <= low <= high")

    def _check_names(self) -> None:
        for name, known in (("methods", IMAGERS), ("train", tuple(SHAPES)), ("test", tuple(SHAPES))):
            chosen = getattr(self, name)
            if not chosen:
                raise GeometryError(f"Recipe.{name}: got none, wanted some of {', '.join(known)}")
            for value in chosen:
                one_of(f"Recipe.{name}", value, known)
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise GeometryError(f"Recipe.test: got {', '.join(both)} in train too, wanted families never trained on")

    @property
    def pixel(self) -> float:
        """Pixel distance [m]."""
        return self.size / self.pixels

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for files."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def load_recipe(path: str | PathLike[str]) -> Recipe:
    """Read a recipe file; data/README.md lists its keys.

    Raises
    ------
    FormatError
        Not TOML, a key unknown or of the wrong type, or values the recipe refuses; the message names file and table.
    OSError
        When the file cannot be read.
    """
    path = Path(fspath(path))
    top = load_table(path, "a recipe of training pairs")
    found: dict[str, Any] = {}
    for name, reader in _TABLES.items():
        found |= read_table(top.table(name, required=False), reader)
    found["seed"] = top.whole("seed")
    top.finish()
    try:
        return Recipe(**found)
    except GeometryError as error:
        raise FormatError(f"{path}: {error}") from None


def _take(t: Table, **keys: tuple[str, str, float]) -> dict[str, Any]:
    """Fields of a recipe from keys of a table: field = (key, kind, unit); what is not there keeps its default."""
    found = {}
    for name, (key, kind, unit) in keys.items():
        if not t.has(key):
            continue
        if kind == "number":
            found[name] = t.number(key) * unit
        elif kind == "numbers":
            found[name] = t.numbers(key, unit=unit).tolist()
        elif kind == "whole":
            found[name] = t.whole(key)
        else:
            found[name] = _list(t, key, int if kind == "wholes" else str)
    return found


def _list(t: Table, key: str, kind: type) -> list:
    value = t.take(key)
    if not isinstance(value, list) or not all(type(v) is kind for v in value):
        wanted = "whole numbers" if kind is int else "texts"
        raise FormatError(f"{t.where} {key}: got {value!r}, wanted a list of {wanted}")
    return value


_TABLES = {
    "chirp": lambda t: _take(
        t,
        start=("start_ghz", "number", 1e9),
        bandwidth=("bandwidth_ghz", "number", 1e9),
        samples=("samples", "whole", 1),
        frequencies=("frequencies", "whole", 1),
    ),
    "aperture": lambda t: _take(
        t,
        rows=("rows", "whole", 1),
        columns=("columns", "whole", 1),
        channels=("channels", "whole", 1),
        pitch=("pitch_mm", "number", MM),
        tracks=("tracks", "whole", 1),
        motion=("motion_mm", "numbers", MM),
    ),
    "image": lambda t: _take(
        t,
        pixels=("pixels", "whole", 1),
        size=("size_mm", "number", MM),
        depths=("depths_mm", "numbers", MM),
        methods=("methods", "texts", 1),
        blob=("blob_mm", "number", MM),
    ),
    "scene": lambda t: _take(
        t,
        reach=("reach_mm", "number", MM),
        spacing=("spacing_mm", "number", MM),
        objects=("objects", "wholes", 1),
        points=("points", "wholes", 1),
        object_size=("object_size_mm", "numbers", MM),
        amplitude_db=("amplitude_db", "number", 1),
        empty_share=("empty_share", "number", 1),
        ghost_share=("ghost_share", "number", 1),
        clutter_share=("clutter_share", "number", 1),
        rough_share=("rough_share", "number", 1),
        close_share=("close_share", "number", 1),
        off_plane=("off_plane_mm", "number", MM),
    ),
    "errors": lambda t: _take(
        t,
        snr_db=("snr_db", "numbers", 1),
        position_error=("position_mm", "numbers", MM),
        exact_share=("exact_share", "number", 1),
        missing_share=("missing_share", "number", 1),
        missing=("missing", "number", 1),
    ),
    "splits": lambda t: _take(
        t,
        train=("train", "texts", 1),
        test=("test", "texts", 1),
        validation_share=("validation_share", "number", 1),
        test_share=("test_share", "number", 1),
    ),
}
"""Tables of a recipe file."""
