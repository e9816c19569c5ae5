"""Scenes in three dimensions as files: a picture, or one turn about the y axis."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmsar.core.progress import progress
from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path
from mmsar.io.image_h5 import ImageFile
from mmsar.model.image import Image
from mmsar.view.decibel_volume import LARGEST
from mmsar.view.look import Look
from mmsar.view.movie import check_movie, write_movie, write_picture
from mmsar.view.volume import Scene, build_scene

PICTURES = (".png",)
MOVIES = (".gif", ".mp4")
MOVIE_VOXELS = 192**3
FRAMES, PER_SECOND = 48, 12


def save_scene(
    images: Sequence[Image | ImageFile],
    path: str | os.PathLike[str],
    *,
    titles: Sequence[str],
    look: Look,
    aperture: np.ndarray | None = None,
) -> None:
    """Write a picture (.png), or one turn about the y axis (.gif; .mp4 with imageio-ffmpeg); complete or not at all.

    Parameters
    ----------
    images, titles, look, aperture
        As for `build_scene`.
    path : path
        Ending in .png, .gif or .mp4.

    Raises
    ------
    FormatError
        Another ending, or a folder that is not there.
    MmsarError
        An .mp4 without imageio-ffmpeg.
    GeometryError, DeviceError
        As `build_scene`.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in PICTURES + MOVIES:
        raise FormatError(f"{target}: got the ending {ending!r}, wanted one of {', '.join(PICTURES + MOVIES)}")
    if ending in MOVIES:
        check_movie(target)
    with atomic_path(target) as part:
        most = MOVIE_VOXELS if ending in MOVIES else LARGEST
        scene = build_scene(images, titles, look=look, aperture=aperture, max_voxels=most)
        try:
            if ending in MOVIES:
                write_movie(turntable(scene), part, per_second=PER_SECOND)
            else:
                write_picture(scene.picture(), part)
        finally:
            scene.close()


def turntable(scene: Scene) -> Iterator[np.ndarray]:
    """Pictures of one turn about the y axis."""
    for i in progress(range(FRAMES), "turning"):
        scene.turn(2 * np.pi * i / FRAMES)
        yield scene.picture()
