"""Scenes: point scatterers with a complex reflectivity each, and the ways to make them.

A surface is a cloud of points, dense enough that neighbours are within a fraction of the wavelength. Flat phantoms lie
in a plane of constant z, x running right and y up, as images of this library are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, one_of, positive_int, real_array
from mmsar.errors import GeometryError
from mmsar.simulate.phantoms import letter_mask, siemens_mask, usaf_mask
from mmsar.simulate.png import read_png

MAX_PIXELS = 10_000_000
Point = Sequence[float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Point scatterers. `a + b` is the union of two scenes.

    Raises
    ------
    GeometryError
        Wrong shapes, no points, values that are not finite, or normals that are neither unit vectors nor zero.
    """

    position: np.ndarray
    """Scatterers in the world [m], (n, 3)."""
    reflectivity: np.ndarray | complex = 1.0
    """Complex reflectivity, (n,), or one number for all."""
    normal: np.ndarray | None = None
    """Outward unit surface normals, (n, 3): such a point is seen from the front only and by Lambert's law, with the
    amplitude sqrt(cos_tx cos_rx). A zero row scatters to all sides. Default: all do."""
    name: str = "scene"
    """Name, for people."""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Free notes (JSON values)."""

    def __post_init__(self) -> None:
        position = real_array("Scene.position", self.position, (None, 3), "m")
        n = len(position)
        try:
            sigma = np.array(self.reflectivity, dtype=np.complex128)
        except (TypeError, ValueError):
            raise GeometryError("Scene.reflectivity: got something else, wanted complex numbers") from None
        sigma = np.full(n, sigma) if sigma.ndim == 0 else sigma
        check_shape("Scene.reflectivity", sigma.shape, (n,))
        if not np.isfinite(sigma).all():
            raise GeometryError("Scene.reflectivity: got values that are not finite, wanted finite numbers")
        sigma.flags.writeable = False
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "reflectivity", sigma)
        if self.normal is not None:
            normal = real_array("Scene.normal", self.normal, (n, 3), "unit vector or zero")
            length = np.linalg.norm(normal, axis=1)
            if np.any((length > 0) & (np.abs(length - 1) > 1e-3)):
                raise GeometryError("Scene.normal: got vectors of other lengths, wanted unit vectors or zero rows")
            object.__setattr__(self, "normal", normal)
        object.__setattr__(self, "name", str(self.name))
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))

    def __len__(self) -> int:
        return len(self.position)

    def __add__(self, other: "Scene") -> "Scene":
        return Scene.union(self, other)

    @classmethod
    def union(cls, *scenes: "Scene") -> "Scene":
        """All points of several scenes; the name is theirs joined by " + "."""
        if not scenes:
            raise GeometryError("Scene.union: got no scene, wanted at least one")
        normal = None
        if any(s.normal is not None for s in scenes):
            normal = np.concatenate([np.zeros((len(s), 3)) if s.normal is None else s.normal for s in scenes])
        return cls(
            position=np.concatenate([s.position for s in scenes]),
            reflectivity=np.concatenate([s.reflectivity for s in scenes]),
            normal=normal,
            name=" + ".join(s.name for s in scenes),
            attrs={key: value for s in scenes for key, value in s.attrs.items()},
        )

    def scaled(self, factor: complex) -> "Scene":
        """The same points with `factor` times the reflectivity."""
        return replace(self, reflectivity=self.reflectivity * complex(factor))

    def shifted(self, offset: Point) -> "Scene":
        """The same points moved by `offset` (x, y, z) [m]."""
        return replace(self, position=self.position + real_array("Scene.shifted offset", offset, (3,), "m"))

    def subsample(self, n: int, *, seed: int = 0) -> "Scene":
        """At most `n` points, drawn without replacement and kept in order; the same seed draws the same points.

        The reflectivity is raised so that the sum over points stays about the same.
        """
        n = positive_int("Scene.subsample n", n)
        if n >= len(self):
            return self
        keep = np.sort(np.random.default_rng(seed).choice(len(self), size=n, replace=False))
        return replace(
            self,
            position=self.position[keep],
            reflectivity=self.reflectivity[keep] * (len(self) / n),
            normal=None if self.normal is None else self.normal[keep],
        )

    @classmethod
    def points(cls, position: np.ndarray, reflectivity: np.ndarray | complex = 1.0) -> "Scene":
        """Points at `position` (n, 3) [m] with `reflectivity` (n,) or one number."""
        return cls(position=position, reflectivity=reflectivity, name="points")

    @classmethod
    def two_points(cls, spacing: float, axis: str = "x", *, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """Two unit points `spacing` [m] apart along "x", "y" or "z", centred on `centre` [m]."""
        offset = np.zeros((2, 3))
        half = finite_number("Scene.two_points spacing", spacing, "m", above=0.0) / 2
        offset[:, "xyz".index(one_of("Scene.two_points axis", axis, ("x", "y", "z")))] = (-half, half)
        return cls(position=offset + _centre(centre), name="two points")

    @classmethod
    def grid(
        cls, shape: tuple[int, int, int], step: tuple[float, float, float], *, centre: Point = (0.0, 0.0, 0.3)
    ) -> "Scene":
        """A lattice of unit points: `shape` (n_x, n_y, n_z), `step` (x, y, z) [m], centred on `centre` [m]."""
        check_shape("Scene.grid shape", np.shape(shape), (3,))
        step = real_array("Scene.grid step", step, (3,), "m")
        counts = [positive_int(f"Scene.grid shape n_{a}", n) for a, n in zip("xyz", shape, strict=True)]
        _check_pixels("Scene.grid", float(np.prod([float(n) for n in counts])))
        axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(counts, step, strict=True)]
        x, y, z = (a.ravel(order="F") for a in np.meshgrid(*axes, indexing="ij"))
        return cls(position=np.stack([x, y, z], axis=1) + _centre(centre), name="point grid")

    @classmethod
    def from_mask(cls, mask: np.ndarray, pixel: float, *, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """One unit point at every true pixel of a picture, centred on `centre` [m], in the plane z = centre z.

        Parameters
        ----------
        mask : array_like of bool, (rows, columns)
            As a picture: the first row is at the top (largest y), columns run towards +x.
        pixel : float
            Size of a pixel [m].

        Raises
        ------
        GeometryError
            No true pixel, or a mask that is not two-dimensional.
        """
        mask = np.asarray(mask, dtype=bool)
        check_shape("Scene.from_mask mask", mask.shape, (None, None))
        pixel = finite_number("Scene.from_mask pixel", pixel, "m", above=0.0)
        row, column = np.nonzero(mask)
        if row.size == 0:
            raise GeometryError("Scene.from_mask: got a mask without a true pixel, wanted some; check the threshold")
        x = (column - (mask.shape[1] - 1) / 2) * pixel
        y = ((mask.shape[0] - 1) / 2 - row) * pixel
        return cls(position=np.stack([x, y, 0 * x], axis=1) + _centre(centre), name="mask")

    @classmethod
    def from_png(
        cls,
        path: str | PathLike[str],
        pixel: float,
        *,
        threshold: float = 0.5,
        invert: bool = False,
        centre: Point = (0.0, 0.0, 0.3),
    ) -> "Scene":
        """The bright pixels of a PNG file as unit points; see `from_mask`. Thin a large one out with `subsample`.

        Parameters
        ----------
        path : path
            Gray, RGB or palette PNG of up to 8 bits a channel, with or without alpha, not interlaced.
        pixel : float
            Size of a pixel [m].
        threshold : float
            A pixel counts when its brightness (0 to 1, times its opacity) is above this.
        invert : bool
            Take the dark pixels instead (brightness below `threshold`, opaque).

        Raises
        ------
        FormatError
            Not such a PNG.
        GeometryError
            No pixel passes the threshold.
        """
        brightness, opacity = read_png(path)
        mask = (brightness < threshold) & (opacity >= 0.5) if invert else brightness * opacity > threshold
        return replace(cls.from_mask(mask, pixel, centre=centre), name="png")

    @classmethod
    def letters(cls, text: str, height: float, *, pixel: float = 1e-3, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """A line of text in a 5 x 7 font (A-Z, 0-9, space, - and .), `height` [m] tall, in points `pixel` [m] apart.

        The strokes are `height` / 7 wide; they hold a whole number of points, so the distance is rounded to fit.

        Raises
        ------
        GeometryError
            A character the font does not have, or an empty text.
        """
        height = finite_number("Scene.letters height", height, "m", above=0.0)
        pixel = finite_number("Scene.letters pixel", pixel, "m", above=0.0)
        stroke = height / 7
        per_stroke = max(1, round(stroke / pixel))
        cells = letter_mask(text)
        _check_pixels("Scene.letters", float(cells.size) * per_stroke**2)
        mask = np.kron(cells, np.ones((per_stroke, per_stroke), dtype=bool))
        return replace(cls.from_mask(mask, stroke / per_stroke, centre=centre), name=f"letters {text}")

    @classmethod
    def usaf(cls, widths: Sequence[float], *, pixel: float = 0.5e-3, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """Resolution bars: for every width w [m] three bars w x 5w at a pitch of 2w, upright and lying side by side.

        The pairs stand below each other in the order of `widths`.
        """
        widths = real_array("Scene.usaf widths", widths, (None,), "m")
        pixel = finite_number("Scene.usaf pixel", pixel, "m", above=0.0)
        if widths.min() < pixel:
            raise GeometryError(
                f"Scene.usaf widths: got {widths.min():g} m, wanted at least one pixel ({pixel:g} m); lower pixel"
            )
        counts = [round(w / pixel) for w in widths]
        _check_pixels("Scene.usaf", 12.0 * max(counts) * 7.0 * sum(counts))
        return replace(cls.from_mask(usaf_mask(counts), pixel, centre=centre), name="usaf bars")

    @classmethod
    def siemens(
        cls, radius: float, spokes: int = 16, *, pixel: float = 1e-3, centre: Point = (0.0, 0.0, 0.3)
    ) -> "Scene":
        """A Siemens star: `spokes` equal sectors within `radius` [m]; the gap at radius r is pi r / spokes."""
        radius = finite_number("Scene.siemens radius", radius, "m", above=0.0)
        pixel = finite_number("Scene.siemens pixel", pixel, "m", above=0.0)
        spokes = positive_int("Scene.siemens spokes", spokes)
        _check_pixels("Scene.siemens", (2 * radius / pixel + 1) ** 2)
        mask = siemens_mask(max(1, round(2 * radius / pixel)), spokes)
        return replace(cls.from_mask(mask, pixel, centre=centre), name="siemens star")


def _centre(value: Point) -> np.ndarray:
    return real_array("Scene centre", value, (3,), "m")


def _check_pixels(name: str, count: float) -> None:
    if count > MAX_PIXELS:
        raise GeometryError(f"{name}: got {count:.3g} pixels, wanted at most {MAX_PIXELS:.0e}; raise the pixel size")
