r"""Tapers for frequencies and apertures: lower sidelobes for a wider main lobe, always asked for by name.

A taper is a function w(u) of the position u in [-1/2, 1/2] across the band or the aperture, w(0) = 1:

    none             1
    hann             cos^2(pi u)
    hamming          0.54 + 0.46 cos(2 pi u)
    blackman-harris  sum_m a_m cos(2 pi m u),  a = 0.35875, 0.48829, 0.14128, 0.01168   (Harris, Proc. IEEE 66, 1978)
    taylor           (1 + 2 sum_{m < nbar} F_m cos(2 pi m u)) / (the same at 0)         (Taylor, IRE AP-3, 1955)
    tukey            1 in the middle, cosine over the outer fraction alpha of the length

Functions of position serve irregular apertures as well as regular ones; samples of a band or of a regular aperture are
taken at the middle of their cells, so that no sample has weight zero.
"""

from math import acosh, pi

import numpy as np

from mmsar.core.checks import finite_number, one_of, positive_int, real_array
from mmsar.errors import GeometryError
from mmsar.model.scan import Geometry
from mmsar.signal.cylinder import round_of, unrolled

TAPERS = ("none", "hann", "hamming", "blackman-harris", "taylor", "tukey")
"""The tapers by name."""

_COSINES = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman-harris": (0.35875, 0.48829, 0.14128, 0.01168),
}
_TOLERANCE = 1e-9


def taper(name: str, n: int, *, nbar: int = 4, sll: float = 30.0, alpha: float = 0.25) -> np.ndarray:
    """A taper at the centres of `n` equal cells.

    Parameters
    ----------
    name : str
        One of `TAPERS`.
    n : int
        Number of samples.
    nbar : int
        taylor: number of sidelobes held at the level, >= 1.
    sll : float
        taylor: sidelobe level below the main lobe [dB], more than 0.
    alpha : float
        tukey: fraction of the length that is tapered, 0 to 1.

    Returns
    -------
    ndarray
        Weights, float64, (n,), symmetric, at most 1.

    Raises
    ------
    GeometryError
        An unknown name or a parameter out of range.

    Examples
    --------
    >>> from mmsar.signal.window import taper
    >>> taper("hann", 5).round(2)
    array([0.1 , 0.65, 1.  , 0.65, 0.1 ])
    """
    n = positive_int("taper n", n)
    return taper_at(name, (np.arange(n) + 0.5) / n - 0.5, nbar=nbar, sll=sll, alpha=alpha)


def taper_at(name: str, u: np.ndarray, *, nbar: int = 4, sll: float = 30.0, alpha: float = 0.25) -> np.ndarray:
    """A taper at any positions; 0 outside the interval.

    Parameters
    ----------
    name : str
        One of `TAPERS`.
    u : array_like
        Positions across the aperture, -1/2 to 1/2 [1].
    nbar, sll, alpha
        As in `taper`.

    Returns
    -------
    ndarray
        Weights of the shape of `u`, float64.

    Raises
    ------
    GeometryError
        An unknown name or a parameter out of range.
    """
    one_of("taper name", name, TAPERS)
    u = np.asarray(u, dtype=np.float64)
    if name == "none":
        weight = np.ones_like(u)
    elif name == "tukey":
        alpha = finite_number("taper alpha", alpha, "1")
        if not 0 <= alpha <= 1:
            raise GeometryError(f"taper alpha: got {alpha:g}, wanted a fraction from 0 to 1")
        distance = np.clip(0.5 - np.abs(u), 0, 0.5)
        rising = distance < alpha / 2
        weight = np.where(rising, np.sin(pi * distance / alpha) ** 2 if alpha else 1.0, 1.0)
    else:
        coefficients = _taylor(nbar, sll) if name == "taylor" else _COSINES[name]
        weight = sum(a * np.cos(2 * pi * m * u) for m, a in enumerate(coefficients)) / sum(coefficients)
    return np.where(np.abs(u) <= 0.5 + _TOLERANCE, weight, 0.0)


def apply_window(
    geometry: Geometry, name: str, *, frequency: str | None = None, aperture: str | None = None
) -> Geometry:
    """The same geometry with tapered frequency and channel weights.

    The aperture taper is the product of one along x and one along y, over the extent of the phase centres of the
    channels that count (half a pitch added at each end). A direction in which the aperture has no extent is left alone.
    Round the y axis (`mmsar.signal.cylinder.round_of`) it is one over the angle and one along y; a circle that is
    closed has no ends and is not tapered in angle.

    Parameters
    ----------
    geometry : Geometry
        What to weight; its own weights (validity, polarity, density) stay as factors.
    name : str
        Taper for both, one of `TAPERS`.
    frequency, aperture : str, optional
        Another taper for the band or for the aperture; "none" leaves that one unweighted.

    Raises
    ------
    GeometryError
        An unknown name.
    """
    one_of("apply_window name", name, TAPERS)
    over_band = one_of("apply_window frequency", name if frequency is None else frequency, TAPERS)
    over_aperture = one_of("apply_window aperture", name if aperture is None else aperture, TAPERS)
    changes = {}
    if over_band != "none":
        changes["frequency_weight"] = geometry.frequency_weight * taper(over_band, geometry.chirp.n_samples)
    if over_aperture != "none":
        weight = geometry.weight
        used = weight != 0
        cylinder = round_of(geometry)
        place = geometry.virtual_position if cylinder is None else unrolled(cylinder)
        for axis in (0, 1) if cylinder is None or not cylinder.closed else (1,):
            weight = weight * _axis_taper(over_aperture, place[..., axis], used)
        changes["weight"] = weight
    return geometry.replace(**changes) if changes else geometry


def _axis_taper(name: str, position: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Taper over one coordinate [m] of the phase centres; `used` marks those that give the extent."""
    points = position[used]
    low, high = float(points.min()), float(points.max())
    if high - low < 1e-9:
        return np.ones_like(position)
    steps = np.diff(np.unique(np.round(points, 9)))
    length = (high - low) + float(np.median(steps))
    return taper_at(name, np.clip((position - (low + high) / 2) / length, -0.5, 0.5))


def _taylor(nbar: int, sll: float) -> np.ndarray:
    """Cosine coefficients (1, 2 F_1, ..., 2 F_{nbar-1}) of the Taylor taper."""
    nbar = positive_int("taper nbar", nbar)
    sll = finite_number("taper sll", sll, "dB", above=0.0)
    a2 = (acosh(10 ** (sll / 20)) / pi) ** 2
    sigma2 = nbar**2 / (a2 + (nbar - 0.5) ** 2)
    m = np.arange(1, nbar, dtype=np.float64)
    coefficients = [1.0]
    for i in m:
        top = np.prod(1 - i**2 / sigma2 / (a2 + (m - 0.5) ** 2))
        bottom = np.prod(1 - i**2 / m[m != i] ** 2)
        coefficients.append(float((-1) ** (i + 1) * top / bottom))
    return real_array("taper taylor coefficients", coefficients, (None,), "1")
