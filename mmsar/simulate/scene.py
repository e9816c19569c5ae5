"""Scenes: point scatterers with a complex reflectivity each, and the ways to make them.

A surface is a cloud of points, dense enough that neighbours are within a fraction of the wavelength. Flat phantoms lie
in a plane of constant z, x running right and y up, as images of this library are shown. Meshes, tools and plates have
surfaces: points with normals, whose reflectivity is that of a square millimetre times their share of the area, and
triangles that cast shadows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, one_of, positive_int, real_array
from mmsar.errors import GeometryError

AREA = 1e-6
"""Area of a surface that has the reflectivity 1 [m^2]: a square millimetre, a pixel of the masks."""
EDGE = 1e-4
"""Width of a strip of face that scatters like the edge of a sheet [m], unless said otherwise."""
Point = Sequence[float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Point scatterers. `a + b` is the union of two scenes.

    Raises
    ------
    GeometryError
        Wrong shapes, no points, values that are not finite, normals that are neither unit vectors nor zero, or negative
        exponents.

    Examples
    --------
    >>> from mmsar.simulate.scene import Scene
    >>> word, point = Scene.letters("R", 30e-3), Scene.points([[0.0, 0.05, 0.3]], 8.0)
    >>> len(word + point) - len(word)
    1
    """

    position: np.ndarray
    """Scatterers in the world [m], (n, 3)."""
    reflectivity: np.ndarray | complex = 1.0
    """Complex reflectivity, (n,), or one number for all."""
    normal: np.ndarray | None = None
    """Outward unit surface normals, (n, 3): such a point is seen from the front only and by Lambert's law, with the
    amplitude sqrt(cos_tx cos_rx). A zero row scatters to all sides. Default: all do."""
    lobe: np.ndarray | float = 0.0
    """Exponent n >= 0 of a specular lobe about the normal, (n,) or one number: the amplitude is cos^n of the angle
    between the normal and the bisector of the two legs. 1 is the obliquity factor of physical optics: points closer
    than half a wavelength then add up to a mirror's reflection by themselves. 0: Lambert's law. Unused without
    normals."""
    triangles: np.ndarray | None = None
    """Corners of opaque triangles, (m, 3, 3) [m]: what they hide is not seen (`SimulationOptions.shadows`). Default:
    nothing hides anything."""
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
        lobe = np.full(n, self.lobe) if np.ndim(self.lobe) == 0 else self.lobe
        lobe = real_array("Scene.lobe", lobe, (n,), "exponent")
        if lobe.min() < 0:
            raise GeometryError(f"Scene.lobe: got {lobe.min():g}, wanted exponents >= 0")
        object.__setattr__(self, "lobe", lobe)
        if self.triangles is not None:
            object.__setattr__(self, "triangles", real_array("Scene.triangles", self.triangles, (None, 3, 3), "m"))
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
        triangles = [s.triangles for s in scenes if s.triangles is not None]
        return cls(
            position=np.concatenate([s.position for s in scenes]),
            reflectivity=np.concatenate([s.reflectivity for s in scenes]),
            normal=normal,
            lobe=np.concatenate([s.lobe for s in scenes]),
            triangles=np.concatenate(triangles) if triangles else None,
            name=" + ".join(s.name for s in scenes),
            attrs={key: value for s in scenes for key, value in s.attrs.items()},
        )

    def scaled(self, factor: complex) -> "Scene":
        """The same points with `factor` times the reflectivity."""
        return replace(self, reflectivity=self.reflectivity * complex(factor))

    def shifted(self, offset: Point) -> "Scene":
        """The same scene moved by `offset` (x, y, z) [m]."""
        offset = real_array("Scene.shifted offset", offset, (3,), "m")
        triangles = None if self.triangles is None else self.triangles + offset
        return replace(self, position=self.position + offset, triangles=triangles)

    def turned(self, angles: Point, *, about: Point = (0.0, 0.0, 0.0)) -> "Scene":
        """The same scene turned about the world's x, then y, then z axis through `about` [m] by `angles` [rad]."""
        angles = real_array("Scene.turned angles", angles, (3,), "rad")
        about = real_array("Scene.turned about", about, (3,), "m")
        turn = np.eye(3)
        for axis, angle in enumerate(angles):
            j, k = (axis + 1) % 3, (axis + 2) % 3
            step = np.eye(3)
            step[j, j] = step[k, k] = np.cos(angle)
            step[k, j], step[j, k] = np.sin(angle), -np.sin(angle)
            turn = step @ turn
        return replace(
            self,
            position=(self.position - about) @ turn.T + about,
            normal=None if self.normal is None else self.normal @ turn.T,
            triangles=None if self.triangles is None else (self.triangles - about) @ turn.T + about,
        )

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
            lobe=self.lobe[keep],
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
        return cls(position=offset + real_array("Scene centre", centre, (3,), "m"), name="two points")

    @classmethod
    def grid(
        cls, shape: tuple[int, int, int], step: tuple[float, float, float], *, centre: Point = (0.0, 0.0, 0.3)
    ) -> "Scene":
        """A lattice of unit points: `shape` (n_x, n_y, n_z), `step` (x, y, z) [m], centred on `centre` [m]."""
        from mmsar.simulate.masks import lattice_scene

        return lattice_scene(shape, step, centre=centre)

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
        from mmsar.simulate.masks import mask_scene

        return mask_scene(mask, pixel, centre=centre)

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
        from mmsar.simulate.masks import png_scene

        return png_scene(path, pixel, threshold=threshold, invert=invert, centre=centre)

    @classmethod
    def letters(cls, text: str, height: float, *, pixel: float = 1e-3, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """A line of text in a 5 x 7 font (A-Z, 0-9, space, - and .), `height` [m] tall, in points `pixel` [m] apart.

        The strokes are `height` / 7 wide; they hold a whole number of points, so the distance is rounded to fit.

        Raises
        ------
        GeometryError
            A character the font does not have, or an empty text.
        """
        from mmsar.simulate.masks import letters_scene

        return letters_scene(text, height, pixel=pixel, centre=centre)

    @classmethod
    def usaf(cls, widths: Sequence[float], *, pixel: float = 0.5e-3, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """Resolution bars: for every width w [m] three bars w x 5w at a pitch of 2w, upright and lying side by side.

        The pairs stand below each other in the order of `widths`.
        """
        from mmsar.simulate.masks import usaf_scene

        return usaf_scene(widths, pixel=pixel, centre=centre)

    @classmethod
    def siemens(
        cls, radius: float, spokes: int = 16, *, pixel: float = 1e-3, centre: Point = (0.0, 0.0, 0.3)
    ) -> "Scene":
        """A Siemens star: `spokes` equal sectors within `radius` [m]; the gap at radius r is pi r / spokes."""
        from mmsar.simulate.masks import siemens_scene

        return siemens_scene(radius, spokes, pixel=pixel, centre=centre)

    @classmethod
    def from_mesh(
        cls,
        mesh: Any,
        spacing: float,
        *,
        unit: float = 1e-3,
        centre: Point | None = None,
        seed: int = 0,
    ) -> "Scene":
        """The surface of a mesh as evenly spread points with outward normals, and its triangles; lobe 1.

        The points' reflectivities are their shares of the area in square millimetres: their sum does not depend on
        `spacing`. Closed parts get points outside; an open part is a thin sheet, and gets them on both its faces.

        Parameters
        ----------
        mesh : path, (vertices, faces), or an object with both
            A file that trimesh reads (STL, OBJ, PLY ...; needs `pip install 'mmsar[mesh]'`); or vertices (n, 3) and
            triangles (m, 3) of vertex numbers.
        spacing : float
            Distance of neighbouring points, about [m].
        unit : float
            Metres per unit of the mesh; files do not say.
        centre : (x, y, z), optional
            Where the middle of the mesh's bounding box goes [m]; default: it stays where the mesh has it.
        seed : int
            Seed of the points.

        Raises
        ------
        FormatError
            Not a mesh file, or trimesh is not installed.
        GeometryError
            No triangle with an area, or more points than a scene may have.
        OSError
            When the file cannot be read.
        """
        from mmsar.simulate.mesh import mesh_scene

        return mesh_scene(mesh, spacing, unit=unit, centre=centre, seed=seed)

    @classmethod
    def mannequin(
        cls, height: float, spacing: float | None = None, *, centre: Point = (0.0, 0.0, 0.3), seed: int = 0
    ) -> "Scene":
        """A standing figure, `height` [m] tall along y, facing -z; points `spacing` [m] apart (height / 150)."""
        from mmsar.simulate.mannequin import mannequin_mesh

        height = finite_number("Scene.mannequin height", height, "m", above=0.0)
        spacing = height / 150 if spacing is None else spacing
        points = cls.from_mesh(mannequin_mesh(), spacing, unit=height, centre=centre, seed=seed)
        return replace(points, name="mannequin")

    @classmethod
    def tool(
        cls, kind: str, length: float, *, pixel: float = 1e-3, edge: float = EDGE, centre: Point = (0.0, 0.0, 0.3)
    ) -> "Scene":
        """A "knife", "wrench" or "scissors" of sheet metal, `length` [m] long along y, in the plane z = centre z.

        Parameters
        ----------
        pixel : float
            Distance of points [m]; under half a wavelength the faces reflect as mirrors do.
        edge : float
            Width of a strip of face that scatters like the edges do, to all sides [m].
        """
        from mmsar.simulate.sheets import tool_scene

        return tool_scene(kind, length, pixel=pixel, edge=edge, centre=centre)

    @classmethod
    def printed(
        cls,
        text: str,
        height: float,
        *,
        background: float = 0.1,
        pixel: float = 1e-3,
        centre: Point = (0.0, 0.0, 0.3),
    ) -> "Scene":
        """Letters `height` [m] tall in conductive ink, on a plate that reflects `background` times as much."""
        from mmsar.simulate.sheets import printed_scene

        return printed_scene(text, height, background=background, pixel=pixel, centre=centre)

    @classmethod
    def cut_out(cls, text: str, height: float, *, pixel: float = 1e-3, centre: Point = (0.0, 0.0, 0.3)) -> "Scene":
        """A metal plate with letters `height` [m] tall cut out of it."""
        from mmsar.simulate.sheets import cut_out_scene

        return cut_out_scene(text, height, pixel=pixel, centre=centre)
