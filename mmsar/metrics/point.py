r"""Point response: where a point target peaks, how wide it is, and how high its sidelobes are.

Cuts through the peak are interpolated as the band-limited functions they are. A complex image carries the phase of the
carrier, exp(j 2 k dz) along the range direction, which the voxels alias: before zero-padding, each cut is shifted to
the centre of its band by the phase of its autocorrelation at lag one, and it is continued evenly beyond its ends so
that no jump rings. For a magnitude image the power |I|^2, which is band-limited too, is interpolated instead.

PSLR is the highest sidelobe beyond the first minima next to the peak, ISLR the energy beyond them over that between.
For an unweighted aperture, I = sinc(B x): width 0.886 / B, PSLR -13.26 dB, 1-D ISLR -9.68 dB.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mmsar.core.checks import real_array
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image

UPSAMPLING = 16
"""Samples of an interpolated cut per voxel."""
_REACH = 24
"""Voxels to either side of the peak that the interpolation across a cut uses."""
_SEARCH = 3
"""Voxels to either side of a given point in which its peak is looked for."""
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class PointResponse:
    """What a point target looks like; a number that cannot be told is nan and `notes` says why."""

    position: Triple
    """Sub-voxel peak (x, y, z) [m]."""
    value: float
    """Interpolated magnitude at the peak. (A phase between voxels would depend on how the carrier is aliased.)"""
    width: Triple
    """Full width at -3 dB of the peak magnitude along x, y, z [m]."""
    pslr: Triple
    """Highest sidelobe over peak along x, y, z [dB]."""
    islr: Triple
    """Sidelobe energy over main-lobe energy along x, y, z [dB]."""
    pslr_3d: float
    """Highest sidelobe of the cuts, or voxel outside the box between the first minima, over the peak [dB]."""
    islr_3d: float
    """Energy of the image outside that box over the energy inside [dB]."""
    notes: tuple[str, ...] = ()
    """Why a number is nan, or what it leaves out."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for files and tables."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class PointCut:
    """The line through a point target's peak along one axis, interpolated; a number that cannot be told is nan."""

    name: str
    """The axis, "x", "y" or "z"."""
    position: np.ndarray
    """Where the samples are along the axis [m], (n,), `UPSAMPLING` to a voxel; one sample on an axis of one voxel."""
    magnitude: np.ndarray
    """Magnitude over that at the peak, (n,)."""
    peak: float
    """Sub-voxel place of the peak along the axis [m]."""
    edges: tuple[float, float]
    """Where it falls to -3 dB before and behind the peak [m]."""
    lobe: tuple[float, float]
    """First minima before and behind the peak [m]; the outer edges of the grid where one of them is missing."""
    pslr: float
    """Highest sidelobe over peak [dB]."""
    islr: float
    """Sidelobe energy over main-lobe energy [dB]."""

    @property
    def width(self) -> float:
        """Full width at -3 dB [m]."""
        return self.edges[1] - self.edges[0]


def point_cuts(image: Image, point: Triple | None = None) -> tuple[PointCut, PointCut, PointCut]:
    """The cuts along x, y and z through the peak that `point_response` measures; parameters and errors as there."""
    return _respond(image, point)[0]


def point_response(image: Image, point: Triple | None = None) -> PointResponse:
    """Point response of the brightest voxel, or of the peak at a point.

    Parameters
    ----------
    image : Image
        Complex or magnitude, with at least two voxels to a resolution cell.
    point : (x, y, z), optional
        Where to look [m]: the brightest voxel within 3 voxels of it along each axis. Default: in the whole image.

    Returns
    -------
    PointResponse
        Widths in metres, ratios in dB. 3-D figures take the whole image for the response of this one point.

    Raises
    ------
    GeometryError
        A point outside the grid, an image that is zero (everywhere, or around the point).

    Examples
    --------
    >>> import mmsar
    >>> import numpy as np
    >>> from mmsar.metrics import point_response
    >>> grid = mmsar.ImageGrid.from_extent((-0.03, 0.03), 0.0, 0.3, spacing=1e-3)
    >>> image = mmsar.Image(data=np.sinc(grid.x / 5e-3)[None, None, :], grid=grid)
    >>> found = point_response(image)
    >>> f"{found.width[0] * 1e3:.2f} mm, {found.pslr[0]:.1f} dB"
    '4.43 mm, -13.3 dB'
    """
    cuts, value, notes = _respond(image, point)
    pslr_3d, islr_3d = _box(image, [_voxels(image, cut) for cut in cuts], value, notes)
    pslr = tuple(cut.pslr for cut in cuts)
    return PointResponse(
        position=tuple(cut.peak for cut in cuts),
        value=value,
        width=tuple(cut.width for cut in cuts),
        pslr=pslr,
        islr=tuple(cut.islr for cut in cuts),
        pslr_3d=float(np.fmax(pslr_3d, np.fmax.reduce(pslr))),
        islr_3d=islr_3d,
        notes=tuple(notes),
    )


def _respond(image: Image, point: Triple | None) -> tuple[tuple[PointCut, PointCut, PointCut], float, list[str]]:
    """The cuts along x, y, z, the magnitude at the peak, and notes."""
    power = not np.iscomplexobj(image.data)
    start = _brightest(image, point)
    low = [max(0, i - _REACH) for i in start]
    high = [min(n, i + _REACH + 1) for i, n in zip(start, image.data.shape, strict=True)]
    near = _values(image.data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], power)
    carrier = [0.0 if power else _carrier(near, axis) for axis in range(3)]
    at = [float(i) for i in start]
    for _ in range(3):
        for axis in range(3):
            at[axis] = _refined(_cut(image, at, axis, low, high, carrier, power), at[axis], carrier[axis])
    notes: list[str] = []
    cuts = []
    for axis, name in ((2, "x"), (1, "y"), (0, "z")):
        cut = _upsample(_cut(image, at, axis, low, high, carrier, power), carrier[axis])
        magnitude = np.sqrt(np.maximum(cut.real, 0)) if power else np.abs(cut)
        cuts.append(_measure(magnitude, at[axis], name, image.grid, notes))
    peak = abs(_at(near, [a - b for a, b in zip(at, low, strict=True)], carrier))
    x, y, z = cuts
    return (x, y, z), float(np.sqrt(peak) if power else peak), notes


def _brightest(image: Image, point: Triple | None) -> tuple[int, ...]:
    """Index (z, y, x) of the brightest voxel, near `point` if given."""
    window = [slice(0, n) for n in image.data.shape]
    if point is not None:
        xyz = real_array("point_response point", point, (3,), "m")
        index = np.round((xyz - image.grid.origin) / image.grid.spacing)[::-1].astype(int)
        if np.any(index < 0) or np.any(index >= image.data.shape):
            text = ", ".join(f"{n} {a:g} to {b:g}" for n, (a, b) in zip("xyz", image.grid.extent, strict=True))
            raise GeometryError(f"point_response point: got {tuple(map(float, xyz))} m, wanted it within {text} m")
        window = [slice(max(0, i - _SEARCH), i + _SEARCH + 1) for i in index]
    magnitude = np.abs(image.data[tuple(window)])
    if magnitude.max() == 0:
        raise GeometryError("point_response: got an image that is zero here, wanted a peak")
    found = np.unravel_index(int(np.argmax(magnitude)), magnitude.shape)
    return tuple(int(i) + w.start for i, w in zip(found, window, strict=True))


def _values(data: np.ndarray, power: bool) -> np.ndarray:
    """What is interpolated: the complex image, or the power of a magnitude image, in double precision."""
    return (data.astype(np.float64) ** 2).astype(np.complex128) if power else data.astype(np.complex128)


def _carrier(block: np.ndarray, axis: int) -> float:
    """Centre of the band along an axis [rad per voxel]."""
    block = np.moveaxis(block, axis, 0)
    return float(np.angle(np.vdot(block[:-1], block[1:]))) if len(block) > 1 else 0.0


def _weights(n: int, position: float, carrier: float) -> np.ndarray:
    """Weights (n,) that interpolate a cut at a position [voxels]: Dirichlet kernel of the evenly continued cut."""
    m = np.arange(n)
    kernel = np.zeros(n)
    for offset in (position - m, position - (2 * n - 1 - m)):
        near = np.abs(np.sin(np.pi * offset / (2 * n))) < 1e-12
        tangent = np.where(near, 1.0, np.tan(np.pi * offset / (2 * n)))
        kernel += np.where(near, 1.0, np.sin(np.pi * offset) / (2 * n * tangent))
    return kernel * np.exp(1j * carrier * (position - m))


def _at(block: np.ndarray, position: list[float], carrier: list[float]) -> complex:
    """A block (z, y, x) interpolated at a position [voxels]."""
    for axis in range(3):
        block = np.tensordot(_weights(block.shape[0], position[axis], carrier[axis]), block, axes=(0, 0))
    return complex(block)


def _cut(
    image: Image, at: list[float], axis: int, low: list[int], high: list[int], carrier: list[float], power: bool
) -> np.ndarray:
    """The whole line of voxels along an axis, interpolated across it at the peak's other two coordinates."""
    window = tuple(slice(None) if i == axis else slice(low[i], high[i]) for i in range(3))
    block = np.moveaxis(_values(image.data[window], power), axis, -1)
    for other in (i for i in range(3) if i != axis):
        weight = _weights(block.shape[0], at[other] - low[other], carrier[other])
        block = np.tensordot(weight, block, axes=(0, 0))
    return block


def _upsample(cut: np.ndarray, carrier: float) -> np.ndarray:
    """The cut (n,) at `UPSAMPLING` points per voxel, ((n - 1) * UPSAMPLING + 1,), its carrier taken out."""
    n = len(cut)
    if n == 1:
        return cut
    base = cut * np.exp(-1j * carrier * np.arange(n))
    spectrum = np.fft.fft(np.concatenate([base, base[::-1]]))
    padded = np.zeros(2 * n * UPSAMPLING, dtype=complex)
    padded[:n], padded[-n:] = spectrum[:n], spectrum[n:]
    padded[n] = padded[-n] = spectrum[n] / 2
    return np.fft.ifft(padded)[: (n - 1) * UPSAMPLING + 1] * UPSAMPLING


def _refined(cut: np.ndarray, start: float, carrier: float) -> float:
    """Sub-voxel position of the maximum within one voxel of `start`: upsampled, then a parabola."""
    if len(cut) == 1:
        return 0.0
    magnitude = np.abs(_upsample(cut, carrier))
    first = max(0, round((start - 1) * UPSAMPLING))
    i = first + int(np.argmax(magnitude[first : round((start + 1) * UPSAMPLING) + 1]))
    if not 0 < i < len(magnitude) - 1:
        return i / UPSAMPLING
    left, middle, right = magnitude[i - 1 : i + 2]
    bend = left - 2 * middle + right
    return (i + (0.5 * (left - right) / bend if bend < 0 else 0.0)) / UPSAMPLING


def _measure(magnitude: np.ndarray, at: float, name: str, grid: ImageGrid, notes: list[str]) -> PointCut:
    """Edges, first minima, PSLR and ISLR of an upsampled cut whose peak is at `at` [voxels]."""
    i = "xyz".index(name)
    origin, spacing, n = grid.origin[i], grid.spacing[i], grid.shape[2 - i]
    nan = float("nan")
    top = min(max(round(at * UPSAMPLING), 0), len(magnitude) - 1)
    magnitude = magnitude / magnitude[top]

    def cut(edges: tuple[float, float], lobe: tuple[float, float], pslr: float = nan, islr: float = nan) -> PointCut:
        """From places in voxels."""
        edges, lobe = (tuple(float(origin + spacing * v) for v in pair) for pair in (edges, lobe))
        where = origin + spacing * np.arange(len(magnitude)) / UPSAMPLING
        peak = float(origin + spacing * at)
        return PointCut(
            name=name, position=where, magnitude=magnitude, peak=peak, edges=edges, lobe=lobe, pslr=pslr, islr=islr
        )

    everything = (-0.5, n - 0.5)
    if n == 1:
        notes.append(f"{name}: one voxel, no cut")
        return cut((nan, nan), everything)
    halves, minima = [], []
    for side in (magnitude[top::-1], magnitude[top:]):
        below = np.flatnonzero(side < np.sqrt(0.5))
        i = int(below[0]) if below.size else 0
        halves.append(i - (np.sqrt(0.5) - side[i]) / (side[i - 1] - side[i]) if i else nan)
        rising = np.flatnonzero(np.diff(side[i:]) > 0) if i else np.array([], dtype=int)
        minima.append(i + int(rising[0]) if rising.size else None)
    edges = ((top - halves[0]) / UPSAMPLING, (top + halves[1]) / UPSAMPLING)
    if np.isnan(edges).any():
        notes.append(f"{name}: the cut does not fall to -3 dB on both sides within the grid")
    if None in minima:
        notes.append(f"{name}: no minimum on both sides of the main lobe within the grid")
        return cut(edges, everything)
    left, right = top - minima[0], top + minima[1]
    outside = np.concatenate([magnitude[:left], magnitude[right + 1 :]])
    inside = magnitude[left : right + 1]
    with np.errstate(divide="ignore"):
        pslr, islr = 20 * np.log10(outside.max()), 10 * np.log10((outside**2).sum() / (inside**2).sum())
    return cut(edges, (left / UPSAMPLING, right / UPSAMPLING), float(pslr), float(islr))


def _voxels(image: Image, cut: PointCut) -> tuple[float, float]:
    """The first minima in voxels."""
    i = "xyz".index(cut.name)
    low, high = ((v - image.grid.origin[i]) / image.grid.spacing[i] for v in cut.lobe)
    return round(low * UPSAMPLING) / UPSAMPLING, round(high * UPSAMPLING) / UPSAMPLING  # which they are multiples of


def _box(image: Image, lobes: list[tuple[float, float]], peak: float, notes: list[str]) -> tuple[float, float]:
    """3-D PSLR and ISLR [dB]; `lobes` are the first minima along x, y, z [voxels]."""
    shares = []
    for (low, high), n in zip(lobes, image.data.shape[::-1], strict=True):
        i = np.arange(n)
        shares.append(np.clip(np.minimum(high, i + 0.5) - np.maximum(low, i - 0.5), 0, 1))
    x, y, z = shares
    total = inside = highest = 0.0
    for plane, share in zip(image.data, z, strict=True):
        magnitude = np.abs(plane).astype(np.float64)
        total += float((magnitude**2).sum())
        inside += float(share * (y @ magnitude**2 @ x))
        box = np.outer(y >= 0.5, x >= 0.5) & (share >= 0.5)
        highest = max(highest, float(np.max(np.where(box, 0.0, magnitude))))
    if total - inside <= 0 or highest == 0:
        notes.append("3-D: the main lobe fills the grid")
        return float("nan"), float("nan")
    return 20 * float(np.log10(highest / peak)), 10 * float(np.log10((total - inside) / inside))
