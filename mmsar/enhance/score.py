"""How near an image of magnitudes is to what the scene was, in numbers that an empty image cannot win.

With one least-squares gain g = sum x y / sum x^2 for every image x against its label y (L = max y):

    psnr         10 log10 L^2 / mean (g x - y)^2
    placed       the same with the image moved by up to 5 mm to where it fits best: where nothing tells its place
    foreground   the same over the support: label above -30 dB of its peak, and the pixels within 1.5 mm of that
    ssim         structural similarity (11 x 11 Gaussian windows) averaged over the support
    ncc          sum x y / (|x| |y|)
    recall       of the label's single points above -20 dB, the part that has a local maximum of x above -20 dB of the
                 peak of x within 1.5 mm
    chance       the same of the points mirrored in both axes: an image full of speckle hits many, wherever they are
    false_blobs  local maxima of x above -20 dB of its peak, further than 1.5 mm from the label's support at -34 dB
"""

from collections.abc import Sequence

import numpy as np

from mmsar.metrics.compare import ssim_map

NEAR = 1.5e-3
"""How far a maximum may be from its point [m]."""
FURTHEST = 5e-3
"""How far an image may be moved along an axis for `placed` [m]."""
LIT = 0.1
"""A blob counts above this part of the peak."""
SUPPORT = 10 ** (-30 / 20)
WEAK = 0.02
COLUMNS = ("psnr", "placed", "foreground", "ssim", "ncc", "recall", "chance", "false_blobs")
ALONE = 2.6e-3
"""A point is single when the label has fallen to ALONE_LEVEL of it all around at this distance [m]."""
ALONE_LEVEL = 0.35


def scaled(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The image times its least-squares gain against the label."""
    energy = float(np.vdot(image, image))
    return image * (float(np.vdot(image, label)) / energy) if energy > 0 else image


def psnr(image: np.ndarray, label: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio of a scaled image, over the pixels of a mask [dB]."""
    square = (image - label) ** 2
    mean = float(square.mean() if where is None else square[where].mean())
    return 10 * float(np.log10(float(label.max()) ** 2 / max(mean, 1e-30)))


def placed(image: np.ndarray, label: np.ndarray, pixels: int) -> np.ndarray:
    """The image (y, x) moved by whole pixels, at most `pixels` of them along an axis, to where it correlates most."""
    from scipy.ndimage import shift

    both = np.fft.irfft2(np.fft.rfft2(label) * np.fft.rfft2(image).conj(), label.shape)
    steps = np.arange(-pixels, pixels + 1)
    near = both[np.ix_(steps, steps)]
    down, right = np.unravel_index(near.argmax(), near.shape)
    return shift(image, (steps[down], steps[right]), order=0)


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask and all pixels within `pixels` of it."""
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~mask) <= pixels if mask.any() else mask


def local_maxima(values: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Which values no other one exceeds in a neighbourhood (a mask about its middle), as far as that lies inside."""
    from scipy.ndimage import maximum_filter

    return values == maximum_filter(values, footprint=around, mode="nearest")


def maxima(image: np.ndarray, pixels: int) -> np.ndarray:
    """Local maxima above `LIT` of the peak, the largest within `pixels`; (n, 2) rows and columns."""
    axis = np.arange(-pixels, pixels + 1)
    disc = axis[:, None] ** 2 + axis**2 <= pixels**2
    peak = image.max()
    found = local_maxima(image, disc) & (image > LIT * peak)
    return np.argwhere(found) if peak > 0 else np.empty((0, 2), dtype=int)


def single_points(label: np.ndarray, spacing: float) -> np.ndarray:
    """Pixels of the label's points that nothing touches, (n, 2) rows and columns."""
    near, ring = (round(distance / spacing) for distance in (NEAR, ALONE))
    axis = np.arange(-ring - 1, ring + 2)
    radius = np.hypot(*np.meshgrid(axis, axis))
    rim = np.argwhere(np.abs(radius - ring) <= 0.5) - ring - 1
    kept = []
    for y, x in maxima(label, near):
        around = np.clip(rim + np.array([y, x]), 0, np.array(label.shape) - 1)
        if label[around[:, 0], around[:, 1]].max() < ALONE_LEVEL * label[y, x]:
            kept.append((y, x))
    return np.array(kept, dtype=int).reshape(-1, 2)


def score(image: np.ndarray, label: np.ndarray, spacing: float) -> dict[str, float]:
    """The columns of `COLUMNS` for magnitudes (y, x) against a label that is not empty.

    Parameters
    ----------
    spacing : float
        Pixel size [m].

    Returns
    -------
    dict
        `ncc` is nan for an image of zeros, `recall` is nan for a label without single points.
    """
    near = round(NEAR / spacing)
    fitted = scaled(image, label)
    support = grown(label > SUPPORT * label.max(), near)
    points, found = single_points(label, spacing), maxima(image, near)
    away = ~grown(label > WEAK * label.max(), near)
    norms = float(np.linalg.norm(image)) * float(np.linalg.norm(label))
    return {
        "psnr": psnr(fitted, label),
        "placed": psnr(scaled(placed(image, label, round(FURTHEST / spacing)), label), label),
        "foreground": psnr(fitted, label, support),
        "ssim": float(ssim_map(fitted / label.max(), label / label.max())[support].mean()),
        "ncc": float(np.vdot(image, label)) / norms if norms > 0 else float("nan"),
        "recall": _hit(points, found, near),
        "chance": _hit(np.array(label.shape) - 1 - points, found, near),
        "false_blobs": float(away[found[:, 0], found[:, 1]].sum()) if len(found) else 0.0,
    }


def _hit(points: np.ndarray, found: np.ndarray, near: int) -> float:
    """Part of the points (n, 2) that have one of `found` (m, 2) within `near` pixels; nan without points."""
    if not len(points) or not len(found):
        return 0.0 if len(points) else float("nan")
    apart = np.hypot(*(points[:, None] - found).transpose(2, 0, 1))
    return float((apart.min(axis=1) <= near).mean())


def thresholded(image: np.ndarray, level: float = LIT) -> np.ndarray:
    """The image where it is above `level` of its peak, 0 elsewhere."""
    return np.where(image > level * image.max(), image, 0)


def published(images: Sequence[np.ndarray], label: np.ndarray, unscaled: float) -> list[float]:
    """PSNR as published [dB]: all images and the label normalised together by least and largest, the first one (the
    input) at `unscaled` of the label's brightness. See `docs/superres.md` for what is wrong with it.
    """
    given = [images[0] * np.float32(unscaled * label.max() / max(images[0].max(), 1e-30))]
    given += [scaled(image, label) for image in images[1:]]
    low = min(float(part.min()) for part in (*given, label))
    high = max(float(part.max()) for part in (*given, label))
    return [10 * float(np.log10((high - low) ** 2 / max(float(np.mean((g - label) ** 2)), 1e-30))) for g in given]
