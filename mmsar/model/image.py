"""The image: complex reflectivity (or magnitude) on an `ImageGrid`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, one_of
from mmsar.errors import GeometryError, MmsarError
from mmsar.model.grid import ImageGrid


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """Samples on a grid, with the story of how they were made.

    Raises
    ------
    GeometryError
        Data of another shape than the grid, of a type other than complex64 or float32, or not finite.

    Examples
    --------
    >>> import mmsar
    >>> import numpy as np
    >>> grid = mmsar.ImageGrid.from_extent((-0.01, 0.01), 0.0, 0.3, spacing=0.01)
    >>> image = mmsar.Image(data=np.array([[[0.1, 1.0, 0.01]]]), grid=grid)
    >>> image.db(floor=-30).round(1)
    array([[[-20.,   0., -30.]]], dtype=float32)
    """

    data: np.ndarray
    """complex64 or float32, (n_z, n_y, n_x). A unit point target peaks at 1 in every imager of this library."""
    grid: ImageGrid
    """Where the voxels are."""
    history: tuple[dict[str, Any], ...] = ()
    """One plain dictionary per processing step: step, method, device, version, parameters."""

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if data.dtype == np.complex128:
            data = data.astype(np.complex64)
        elif data.dtype == np.float64:
            data = data.astype(np.float32)
        if data.dtype not in (np.complex64, np.float32):
            raise GeometryError(f"Image.data: got {data.dtype}, wanted complex64 or float32")
        check_shape("Image.data", data.shape, self.grid.shape)
        for plane in data:
            if not np.isfinite(plane).all():
                raise GeometryError("Image.data: got NaN or infinite voxels, wanted finite numbers")
        data = data.view()
        data.flags.writeable = False
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "history", tuple(self.history))

    def magnitude(self) -> np.ndarray:
        """|data|, float32, (n_z, n_y, n_x)."""
        return np.abs(self.data)

    def db(self, floor: float = -40.0) -> np.ndarray:
        """20 log10 of the magnitude relative to its peak, clipped below at `floor` [dB], float32.

        An all-zero image is `floor` everywhere.
        """
        magnitude = self.magnitude()
        peak = float(magnitude.max())
        if peak == 0:
            return np.full(magnitude.shape, floor, dtype=np.float32)
        return (20 * np.log10(np.maximum(magnitude / np.float32(peak), np.float32(10 ** (floor / 20))))).astype(
            np.float32
        )

    def mip(self, axis: str) -> np.ndarray:
        """Maximum-intensity projection of the magnitude along "x", "y" or "z", 2-D float32 in the remaining order."""
        index = {"z": 0, "y": 1, "x": 2}[one_of("Image.mip axis", axis, ("x", "y", "z"))]
        return self.magnitude().max(axis=index)

    def crop(
        self,
        x: tuple[float, float] | None = None,
        y: tuple[float, float] | None = None,
        z: tuple[float, float] | None = None,
    ) -> "Image":
        """The part whose voxel centres lie in [low, high] [m] along each given axis.

        Raises
        ------
        GeometryError
            When an interval holds no voxel.
        """
        slices, origin = [], []
        for name, limits in (("x", x), ("y", y), ("z", z)):
            axis = getattr(self.grid, name)
            low, high = (-np.inf, np.inf) if limits is None else limits
            half_ulp = 1e-9
            inside = np.flatnonzero((axis >= low - half_ulp) & (axis <= high + half_ulp))
            if inside.size == 0:
                raise GeometryError(
                    f"Image.crop {name}: got {low:g} to {high:g} m, wanted part of {axis[0]:g} to {axis[-1]:g} m"
                )
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1))
            origin.append(float(axis[inside[0]]))
        data = self.data[slices[2], slices[1], slices[0]]
        grid = ImageGrid(shape=data.shape, origin=tuple(origin), spacing=self.grid.spacing)
        return Image(data=data, grid=grid, history=self.history)

    def with_step(self, **step: Any) -> "Image":
        """The same image with one more history entry."""
        return Image(data=self.data, grid=self.grid, history=(*self.history, step))

    def to_xarray(self) -> Any:
        """An `xarray.DataArray` with coordinates z, y, x in metres; needs xarray.

        Raises
        ------
        MmsarError
            When xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise MmsarError("Image.to_xarray needs xarray, which is not installed; pip install xarray") from None
        coords = {name: (name, getattr(self.grid, name), {"units": "m"}) for name in ("z", "y", "x")}
        return xarray.DataArray(self.data, dims=("z", "y", "x"), coords=coords, name="reflectivity")
