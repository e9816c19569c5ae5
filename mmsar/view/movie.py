"""Pictures one after another in a file: .gif by Pillow (comes with matplotlib), .mp4 by imageio-ffmpeg where it is."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from mmsar.errors import MmsarError

ENCODER = "imageio_ffmpeg"


def write_picture(pixels: np.ndarray, path: Path) -> None:
    """Write pixels, (height, width, 3) uint8, as .png."""
    Picture.fromarray(pixels).save(path)


def check_movie(path: Path) -> None:
    """MmsarError where the encoder that a file needs is not installed."""
    if path.suffix.lower() == ".mp4" and find_spec(ENCODER) is None:
        raise MmsarError(
            f"{path}: .mp4 needs imageio-ffmpeg, which is not installed; pip install 'mmsar[movie]', or write .gif"
        )


def write_movie(frames: Iterable[np.ndarray], path: Path, *, per_second: float) -> None:
    """Write the frames.

    Parameters
    ----------
    frames : iterable of (height, width, 3) uint8
        All of one size, at least one.
    path : Path
        Ending in .gif (which starts again at its end) or .mp4.
    per_second : float
        Frames shown in a second.

    Raises
    ------
    MmsarError
        An .mp4 without imageio-ffmpeg.
    """
    check_movie(path)
    if path.suffix.lower() == ".gif":
        pictures = [Picture.fromarray(frame).quantize(256, dither=Picture.Dither.NONE) for frame in frames]
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=round(1e3 / per_second), loop=0, disposal=1
        )
    else:
        _encode(iter(frames), path, per_second)


def _encode(frames: Iterator[np.ndarray], path: Path, per_second: float) -> None:
    import imageio_ffmpeg

    first = next(frames)
    height, width = (n - n % 2 for n in first.shape[:2])  # the encoder takes even sizes only
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=per_second, macro_block_size=2, quality=8)
    writer.send(None)
    try:
        for frame in chain([first], frames):
            writer.send(np.ascontiguousarray(frame[:height, :width]).tobytes())
    finally:
        writer.close()
