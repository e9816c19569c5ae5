"""Training pairs: scenes at random, echoes from positions that are not quite the recorded ones, the image, labels.

Sample i of a recipe is made from one seed of its own, so that it can be made alone, in any order, and again.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmsar.core.progress import counter
from mmsar.enhance import dataset_track as track
from mmsar.enhance.dataset_recipe import LEAST_SQUARES, SPLITS, Recipe
from mmsar.enhance.dataset_scene import DrawnScene, draw_scene
from mmsar.io.pairs_h5 import open_pairs
from mmsar.model.chirp import Chirp
from mmsar.model.grid import ImageGrid
from mmsar.model.pair import Pair
from mmsar.model.scan import Geometry
from mmsar.recon import bpa, empm, nufft
from mmsar.recon.least_squares import LeastSquaresPlan
from mmsar.recon.options import ReconOptions
from mmsar.simulate.fast_echo import FastEcho
from mmsar.simulate.noise import add_noise
from mmsar.simulate.scene import Scene

ERROR_DB = -40.0
"""Accuracy of the imagers' numerics."""
PLANS = {"empm": empm.plan, "nufft": nufft.plan, "bpa": bpa.plan, LEAST_SQUARES: nufft.plan}


class Observed(NamedTuple):
    """A pair with what its image was made of."""

    pair: Pair
    plan: Any
    """The imager's."""
    signal: np.ndarray
    """Samples, zeros where they were lost, complex64 (n_pose, 1, channels, frequencies)."""
    valid: np.ndarray
    """False where they were, bool (n_pose, 1, channels)."""
    truth: Geometry
    """The antennas where they really were."""


class PairMaker:
    """Makes the pairs of a recipe; plans of the imagers and kernels of the echoes are kept.

    Parameters
    ----------
    recipe : Recipe
        What pairs are drawn from.

    Raises
    ------
    GeometryError
        Depths, areas and pitch that do not go together.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        n = recipe.frequencies
        self.chirp = Chirp(f0=recipe.start, slope=recipe.bandwidth * 1e6, fs=1e6 * n, n_samples=n)
        self._echo = FastEcho(
            self.chirp,
            aperture=track.reach(recipe),
            scene=recipe.reach,
            nearest=min(recipe.depths) - recipe.off_plane,
            pitch=recipe.pitch,
            held=recipe.depths,
        )
        self._nominal = [track.nominal(recipe, number) for number in range(recipe.tracks)]
        self._plans: dict[tuple, Any] = {}

    def seed(self, index: int) -> int:
        """The seed of sample `index`."""
        return int(np.random.SeedSequence([self.recipe.seed, index]).generate_state(1, np.uint64)[0])

    def pair(self, index: int) -> Pair:
        """Sample `index` of the recipe."""
        return self.from_seed(self.seed(index))

    def from_seed(self, seed: int) -> Pair:
        """The pair of a seed."""
        return self._made(seed).pair

    def observed(self, index: int) -> Observed:
        """Sample `index` of the recipe with what its image was made of."""
        return self._made(self.seed(index))

    def _made(self, seed: int) -> Observed:
        recipe = self.recipe
        choice, shapes, motion, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
        split = str(choice.choice(SPLITS, p=_shares(recipe)))
        family = str(choice.choice(recipe.test if split == "test" else recipe.train))
        method, number = str(choice.choice(recipe.methods)), int(choice.integers(recipe.tracks))
        depth, snr_db = float(choice.choice(recipe.depths)), float(choice.uniform(*recipe.snr_db))
        drawn = draw_scene(recipe, family, shapes)
        kind, rms, error = self._error(motion)
        lost = self._lost(motion)
        place = self._nominal[number] + error
        signal = self._signal(drawn, depth, place, snr_db, noise)
        signal.reshape(recipe.rows, -1)[lost] = 0
        valid = np.repeat(~lost, signal[..., 0].size // recipe.rows).reshape(signal.shape[:3])
        plan = self._plan(method, number, depth)
        if method == LEAST_SQUARES:
            image = LeastSquaresPlan(plan, valid=valid, show=False)(signal).image()[0]
        else:
            image = plan(signal)[0] / np.float32(1 - lost.mean())
        peak = float(np.abs(image).max())
        gain = 1 / peak if peak > 0 else 1.0
        ideal, physical = drawn.labels(recipe)
        pair = Pair(
            input=image * np.float32(gain),
            ideal=ideal,
            physical=physical,
            seed=seed,
            family=family,
            split=split,
            method=method,
            error_kind=kind,
            depth=depth,
            track=number,
            gain=gain,
            snr_db=snr_db,
            position_error=rms,
            missing=float(lost.mean()),
            empty=not len(drawn.position),
            ghost=not drawn.real.all(),
            clutter=drawn.clutter,
            rough=bool((drawn.rough & drawn.real).any()),
        )
        return Observed(pair, plan, signal, valid, self._geometry(place))

    def samples_of(
        self, scene: Scene | None, depth: float, rng: np.random.Generator | None = None
    ) -> tuple[Any, np.ndarray]:
        """Plan of the first imager on the first track, and the samples of a scene (n_pose, 1, channels, frequencies),
        positions exact, without noise. Without a scene they are noise of the power 1, drawn from `rng`.
        """
        recipe, position = self.recipe, self._nominal[0]
        shape = (len(position), 1, recipe.channels, recipe.frequencies)
        if scene is None:
            signal = _noise(shape, rng or np.random.default_rng())
        else:
            signal = self._echo(scene, track.elements(recipe, position).reshape(-1, 3)).reshape(shape)
        return self._plan(str(recipe.methods[0]), 0, depth), signal

    def _error(self, rng: np.random.Generator) -> tuple[str, float, np.ndarray]:
        """Kind, RMS [m] and values of the position error."""
        recipe = self.recipe
        kind, rms = str(rng.choice(track.KINDS)), float(np.exp(rng.uniform(*np.log(recipe.position_error))))
        if rng.random() < recipe.exact_share:
            return "none", 0.0, np.zeros((recipe.rows * recipe.columns, 3))
        return kind, rms, track.position_error(recipe, kind, rms, rng)

    def _lost(self, rng: np.random.Generator) -> np.ndarray:
        """Rows that are lost, bool (rows,): scattered or in one piece."""
        rows = self.recipe.rows
        lost = np.zeros(rows, dtype=bool)
        if rng.random() < self.recipe.missing_share:
            n = int(rng.integers(0, int(self.recipe.missing * rows) + 1))
            first = int(rng.integers(0, rows - n + 1))
            lost[first : first + n] = True
            if rng.random() < 0.5:
                rng.shuffle(lost)
        return lost

    def _signal(
        self, drawn: DrawnScene, depth: float, position: np.ndarray, snr_db: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Samples with noise, complex64 (n_pose, 1, channels, frequencies); noise alone has the power 1."""
        recipe = self.recipe
        shape = (len(position), 1, recipe.channels, recipe.frequencies)
        scene = drawn.scene(depth)
        if scene is None:
            return _noise(shape, rng)
        signal = self._echo(scene, track.elements(recipe, position).reshape(-1, 3)).reshape(shape)
        # fewer frequencies than samples average less noise
        return add_noise(signal, snr_db + 10 * np.log10(recipe.samples / recipe.frequencies), rng=rng)

    def _plan(self, method: str, number: int, depth: float) -> Any:
        make = PLANS[method]
        key = (make, number, depth)
        if key not in self._plans:
            geometry = self._geometry(self._nominal[number])
            n, pixel = self.recipe.pixels, self.recipe.pixel
            corner = -(n - 1) / 2 * pixel
            grid = ImageGrid(shape=(1, n, n), origin=(corner, corner, depth), spacing=(pixel, pixel, 1e-3))
            self._plans[key] = make(geometry, grid, options=ReconOptions(error_db=ERROR_DB, progress=False))
        return self._plans[key]

    def _geometry(self, position: np.ndarray) -> Geometry:
        """The antennas of positions (n_pose, 3) [m]."""
        place = track.elements(self.recipe, position)[:, None]
        return Geometry(chirp=self.chirp, tx_position=place, rx_position=place)


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Complex noise of the power 1."""
    noise = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    return noise.view(np.complex64)[..., 0]


def _shares(recipe: Recipe) -> list[float]:
    """Probabilities of `SPLITS`."""
    rest = 1 - recipe.validation_share - recipe.test_share
    return [max(rest, 0.0), recipe.validation_share, recipe.test_share]


def write_pairs(
    recipe: Recipe,
    path: str | os.PathLike[str],
    *,
    count: int,
    resume: bool = False,
    done: Callable[[int], None] | None = None,
) -> int:
    """Make samples 0 .. count - 1 of a recipe and write them to a file of pairs.

    Parameters
    ----------
    resume : bool
        Continue a file: what is done in it is not made again.
    done : callable, optional
        Told the number of samples made so far; by default there is a progress bar on a terminal.

    Returns
    -------
    int
        Samples made now.

    Raises
    ------
    GeometryError, FormatError
        As of `PairMaker` and `mmsar.io.pairs_h5.open_pairs`.
    """
    maker = PairMaker(recipe)
    size = (recipe.pixels, recipe.pixels)
    with open_pairs(path, recipe.to_dict(), count=count, shape=size, spacing=recipe.pixel, resume=resume) as writer:
        todo = writer.todo(count)
        with counter("make pairs", len(todo), False if done else None) as bar:
            for made, index in enumerate(todo):
                writer.write(index, maker.pair(index))
                (done or bar)(made + 1)
    return len(todo)
