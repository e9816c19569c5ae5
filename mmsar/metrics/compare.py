r"""An image against a reference on the same grid.

    ncc       |<a, b>| / (|a| |b|),   <a, b> = sum a conj(b)
    error_db  20 log10( min_c |c a - b| / |b| ),   c = <b, a> / <a, a>
    psnr      10 log10( 1 / mean (|a|' - |b|')^2 ),   |a|' = |a| / max |a|
    ssim      mean of (2 m_a m_b + C1)(2 v_ab + C2) / ((m_a^2 + m_b^2 + C1)(v_a + v_b + C2))

with m, v local means and (co)variances under a Gaussian window (Wang et al., IEEE Trans. Image Process. 13, 2004).
"""

from typing import NamedTuple

import numpy as np

from mmsar.core.checks import one_of
from mmsar.errors import GeometryError
from mmsar.model.image import Image

SSIM_RADIUS = 5
"""Half the side of the SSIM window [voxels]: 11 x 11."""
SSIM_SIGMA = 1.5
"""Standard deviation of the SSIM window [voxels]."""


class Fit(NamedTuple):
    """How far an image is from a reference once the best scale is taken out."""

    error_db: float
    """20 log10 of residual norm over reference norm [dB]; -inf for images equal up to a scale."""
    scale: complex
    """The factor of the image that comes nearest to the reference (real for magnitudes)."""


def ncc(image: Image | np.ndarray, reference: Image | np.ndarray, *, kind: str = "complex") -> float:
    """Normalised correlation |sum a conj(b)| / (|a| |b|), 0 to 1; no mean is removed.

    Parameters
    ----------
    image, reference : Image or ndarray
        On the same grid.
    kind : {"complex", "magnitude"}
        Compare complex values (phase counts) or magnitudes.

    Raises
    ------
    GeometryError
        Grids or shapes that differ, an image that is zero everywhere, "complex" with one magnitude image and one
        complex image.

    Examples
    --------
    >>> import numpy as np
    >>> from mmsar.metrics import ncc
    >>> a = np.array([1.0, 2.0, 3.0])
    >>> round(ncc(a, 5 * a), 6), round(ncc(a, np.array([1.0, 0.0, 0.0])), 3)
    (1.0, 0.267)
    """
    a, b = _pair("ncc", image, reference, kind)
    return float(min(abs(np.vdot(b, a)) / (np.linalg.norm(a) * np.linalg.norm(b)), 1.0))


def error_db(image: Image | np.ndarray, reference: Image | np.ndarray, *, kind: str = "complex") -> Fit:
    """Error of an image after the best scale, in dB of the reference's norm; the scale is returned too.

    Parameters and errors as for `ncc`; a magnitude image takes a real scale.

    Examples
    --------
    >>> import numpy as np
    >>> from mmsar.metrics import error_db
    >>> reference = np.ones(100)
    >>> f"{error_db(2 * reference + np.tile([0.02, -0.02], 50), reference).error_db:.1f} dB"
    '-40.0 dB'
    """
    a, b = _pair("error_db", image, reference, kind)
    scale = complex(np.vdot(a, b) / np.vdot(a, a).real)
    residual = float(np.linalg.norm(scale * a - b) / np.linalg.norm(b))
    return Fit(20 * np.log10(residual) if residual > 0 else -np.inf, scale)


def psnr(image: Image | np.ndarray, reference: Image | np.ndarray, *, normalise: str = "peak") -> float:
    """Peak signal-to-noise ratio of magnitudes [dB]; inf for equal images.

    Parameters
    ----------
    image, reference : Image or ndarray
        On the same grid.
    normalise : {"peak", "fit", "none"}
        "peak": each over its own peak. "fit": the image is scaled to the reference by least squares. "none": as they
        are. In the last two the data range is the peak of the reference; in the first it is 1.

    Raises
    ------
    GeometryError
        Grids or shapes that differ, an image that is zero everywhere.
    """
    a, b = _magnitudes("psnr", image, reference, normalise)
    mean_square = float(np.mean((a - b) ** 2))
    return -10 * np.log10(mean_square) if mean_square > 0 else np.inf


def ssim(image: Image | np.ndarray, reference: Image | np.ndarray, *, normalise: str = "peak") -> float:
    """Structural similarity of magnitudes, at most 1.

    Gaussian window of 11 x 11 voxels with sigma 1.5, K1 = 0.01, K2 = 0.03, data range 1 after normalisation. A volume
    is compared slice by slice along z (2-D windows in x and y; with a single x or y the remaining two axes) and
    averaged over all windows that lie inside the image.

    Parameters
    ----------
    image, reference, normalise
        As in `psnr`.

    Raises
    ------
    GeometryError
        As in `psnr`, and slices smaller than the window.
    """
    a, b = _magnitudes("ssim", image, reference, normalise)
    side = 2 * SSIM_RADIUS + 1
    shape = tuple(n for n in a.shape if n > 1)
    if a.ndim > 3 or len(shape) < 2 or min(shape[-2:]) < side:
        raise GeometryError(f"ssim: got images of {a.shape} voxels, wanted slices of at least {side} x {side}")
    a, b = a.reshape(-1, *shape[-2:]), b.reshape(-1, *shape[-2:])
    inner = (slice(SSIM_RADIUS, -SSIM_RADIUS),) * 2
    return float(np.mean([ssim_map(p, q)[inner].mean() for p, q in zip(a, b, strict=True)]))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity round every pixel of two slices (y, x) in units of the data range, in their shape.

    Windows at the rim reach into mirrored pixels; see `ssim`.
    """
    from scipy.ndimage import gaussian_filter

    mean_a, mean_b, square_a, square_b, product = (
        gaussian_filter(v, SSIM_SIGMA, radius=SSIM_RADIUS) for v in (a, b, a * a, b * b, a * b)
    )
    c1, c2 = 0.01**2, 0.03**2
    var_a, var_b, cov = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def _pair(name: str, image: Image | np.ndarray, reference: Image | np.ndarray, kind: str) -> list[np.ndarray]:
    """Both images as flat complex128 or float64, checked to belong together."""
    one_of(f"{name} kind", kind, ("complex", "magnitude"))
    if isinstance(image, Image) and isinstance(reference, Image):
        a, b = image.grid, reference.grid
        apart = np.abs(np.subtract((*a.origin, *a.spacing), (*b.origin, *b.spacing)))
        if a.shape == b.shape and np.any(apart > 0.01 * np.tile(b.spacing, 2)):
            raise GeometryError(f"{name}: got images on different grids, wanted the same origin and spacing")
    arrays = [np.asarray(v.data if isinstance(v, Image) else v) for v in (image, reference)]
    if arrays[0].shape != arrays[1].shape:
        raise GeometryError(f"{name}: got shapes {arrays[0].shape} and {arrays[1].shape}, wanted the same grid")
    if kind == "magnitude":
        arrays = [np.abs(v) for v in arrays]
    elif np.iscomplexobj(arrays[0]) != np.iscomplexobj(arrays[1]):
        raise GeometryError(f'{name}: got one complex and one magnitude image, wanted both alike or kind="magnitude"')
    arrays = [v.astype(np.complex128 if np.iscomplexobj(v) else np.float64).ravel() for v in arrays]
    for v in arrays:
        if not np.isfinite(v).all() or not np.any(v):
            raise GeometryError(f"{name}: got an image that is zero everywhere or not finite, wanted something in it")
    return arrays


def _magnitudes(
    name: str, image: Image | np.ndarray, reference: Image | np.ndarray, normalise: str
) -> tuple[np.ndarray, np.ndarray]:
    """Both magnitudes in units of the data range, in the images' shape."""
    one_of(f"{name} normalise", normalise, ("peak", "fit", "none"))
    a, b = _pair(name, image, reference, "magnitude")
    if normalise == "peak":
        a = a / a.max()
    elif normalise == "fit":
        a = a * (np.dot(a, b) / np.dot(a, a)) / b.max()
    else:
        a = a / b.max()
    shape = np.shape(image.data if isinstance(image, Image) else image)
    return a.reshape(shape), (b / b.max()).reshape(shape)
