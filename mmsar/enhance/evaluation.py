"""What an evaluation of networks for enhancement asks and what it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.probes import Enhance, Pairs
from mmsar.model.pair import Pair


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Something that makes an image of magnitudes from a complex image."""

    name: str
    run: Enhance
    slow: bool = False
    """Sees the first `few` images of a set only."""
    enhancer: Enhancer | None = None
    """The network, if it is one."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one contestant on one set: columns by name, (n,) each, and families."""

    columns: Mapping[str, np.ndarray]
    gain: np.ndarray
    """PSNR over that of the input on the same images [dB], (n,)."""
    family: Sequence[str]
    kind: Sequence[str]
    """Kind of position error."""

    def mean(self, column: str) -> tuple[float, float]:
        """Mean and the half width of its 95 % interval, images without a value left out."""
        values = self.gain if column == "gain" else self.columns[column]
        values = values[np.isfinite(values)]
        if not len(values):
            return float("nan"), float("nan")
        spread = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
        return float(values.mean()), spread


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Answers of the probes for one contestant."""

    amplitude: list[float]
    two_points: Pairs
    noise: float
    speckle: float
    scale: float
    """Largest change of PSNR when the input is multiplied by FACTORS [dB]."""
    exact: float
    """PSNR over the input's where positions are exact and noise is low [dB], mean."""
    tiles: float
    """Largest difference of tiles from the whole, relative to the peak; nan for what is no network."""
    milliseconds: float
    """Least time for 256 x 256 pixels; contestants took turns."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that was measured."""

    recipe: Recipe
    images: int
    few: int
    seeds: int
    main: Mapping[float, Mapping[str, Scores]]
    """By position error [m] and contestant; all seeds together."""
    by_seed: Mapping[float, Mapping[str, list[float]]]
    """Mean gain over the input for every seed [dB]."""
    sweep_sigma: Mapping[str, list[float]]
    """Mean PSNR at SIGMAS."""
    sweep_snr: Mapping[str, list[float]]
    """Mean PSNR at SNRS_DB."""
    sets: Mapping[str, Mapping[str, Scores]]
    """Sets out of the distribution, by what they are."""
    probes: Mapping[str, Probes]
    paper: Mapping[str, float] = field(default_factory=dict)
    """PSNR by the published protocol."""
    samples: Sequence[tuple[Pair, Mapping[str, np.ndarray]]] = ()
    """A few pairs with what everyone made of them."""
    seconds: float = 0.0
