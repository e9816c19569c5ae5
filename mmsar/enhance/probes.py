"""Probes of an enhancement: scenes made for one question each, at positions known exactly.

Every probe makes images by a `PairMaker`'s own echoes and imager, in units of the input's peak.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmsar.enhance.dataset import PairMaker
from mmsar.simulate.scene import Scene

Enhance = Callable[[np.ndarray], np.ndarray]
"""Complex image (y, x) -> magnitudes (y, x)."""
Imager = Callable[[Any, np.ndarray], np.ndarray]
"""Plan, samples -> image (y, x)."""
APART = 40e-3
LEVELS_DB = (0, -5, -10, -15, -20, -25)
SPACINGS = (2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 8e-3)
LIGHT = 0.15
"""A pixel is lit above this part of the input's peak."""


class Pairs(NamedTuple):
    """Answers of the two-point probe."""

    in_phase: list[float]
    quadrature: list[float]


class Probe:
    """Images of probes at one depth.

    Parameters
    ----------
    maker : PairMaker
        Whose array, chirp and imager are used; its recipe must hold `depth`.
    depth : float
        Distance of the slice [m].
    imager : callable, optional
        Plan and samples to an image (y, x), for what makes its own image of them: all images are its own then, still
        in units of the peak of the maker's.
    """

    def __init__(self, maker: PairMaker, depth: float, imager: Imager | None = None) -> None:
        self._maker, self.depth, self.spacing = maker, depth, maker.recipe.pixel
        self._imager = imager

    def image(self, place: np.ndarray, reflectivity: Sequence[complex] | np.ndarray) -> np.ndarray:
        """Complex image (y, x) of points (n, 2) in the slice [m], in units of the largest magnitude of the input."""
        position = np.c_[np.asarray(place, dtype=float), np.full(len(place), self.depth)]
        return self._made(Scene.points(position, np.asarray(reflectivity)), None)

    def noise(self, seed: int) -> np.ndarray:
        """Image of receiver noise alone."""
        return self._made(None, np.random.default_rng(seed))

    def _made(self, scene: Scene | None, rng: np.random.Generator | None) -> np.ndarray:
        plan, signal = self._maker.samples_of(scene, self.depth, rng)
        image = plan(signal)[0]
        peak = np.float32(np.abs(image).max())
        return (image if self._imager is None else self._imager(plan, signal)) / peak

    def amplitudes(self, enhance: Enhance) -> list[float]:
        """Weak over strong point of an isolated pair as shown [dB], for the true levels LEVELS_DB; -inf where gone."""
        place = np.array([[-APART / 2, 0.0], [APART / 2, 0.0]])
        shown = []
        for level in LEVELS_DB:
            out = enhance(self.image(place, [1.0, 10 ** (level / 20)]))
            strong, weak = (self._peak_near(out, at) for at in place)
            shown.append(20 * float(np.log10(weak / strong)) if weak > 0 and strong > 0 else -np.inf)
        return shown

    def two_points(self, enhance: Enhance) -> Pairs:
        """Middle over the smaller peak of equal points at SPACINGS along x; 1 or more is not resolved."""
        answers = []
        for phase in (0.0, np.pi / 2):
            found = []
            for spacing in SPACINGS:
                place = np.array([[-spacing / 2, 0.0], [spacing / 2, 0.0]])
                out = enhance(self.image(place, [1.0, np.exp(1j * phase)]))
                left, middle, right = self._along(out, spacing)
                found.append(middle / min(left, right) if min(left, right) > 0 else np.inf)
            answers.append(found)
        return Pairs(*answers)

    def lit(self, enhance: Enhance, images: Sequence[np.ndarray]) -> float:
        """Part of the pixels of images with peak 1 that the enhancement leaves or sets above LIGHT."""
        return float(np.mean([np.mean(enhance(image) > LIGHT) for image in images]))

    def speckle(self, seed: int) -> np.ndarray:
        """Image of a rough surface that fills the slice."""
        recipe, rng = self._maker.recipe, np.random.default_rng(seed)
        line = np.arange(-recipe.reach, recipe.reach, recipe.blob)
        place = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        return self.image(place, np.exp(2j * np.pi * rng.random(len(place))))

    def _pixel(self, at: np.ndarray) -> np.ndarray:
        """Column and row, as real numbers, of a place [m]."""
        return at / self.spacing + (self._maker.recipe.pixels - 1) / 2

    def _peak_near(self, image: np.ndarray, at: np.ndarray) -> float:
        x, y = np.round(self._pixel(at)).astype(int)
        return float(image[y - 2 : y + 3, x - 2 : x + 3].max())

    def _along(self, image: np.ndarray, spacing: float) -> tuple[float, float, float]:
        """Largest value on the left, value in the middle, largest on the right of the line through both points."""
        from scipy.ndimage import map_coordinates

        x = np.linspace(-spacing, spacing, 201)
        column, row = self._pixel(x), np.full(x.size, self._pixel(np.zeros(1))[0])
        line = map_coordinates(image.astype(float), [row, column], order=3, mode="nearest")
        return float(line[:100].max()), float(max(line[100], 0.0)), float(line[101:].max())
