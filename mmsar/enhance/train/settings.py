"""How a network is trained, as one value that a checkpoint holds."""

import math
from dataclasses import dataclass, field

from mmsar.core.checks import finite_number, one_of, positive_int
from mmsar.enhance.train.loss import LossWeights
from mmsar.errors import MmsarError


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Steps, rates, averaging, stopping and seed of one run.

    Raises
    ------
    MmsarError
        Values out of range.
    """

    steps: int
    """Batches to train on."""
    rate: float = 1e-3
    """Highest learning rate of AdamW."""
    warmup: int = 200
    """Steps over which the rate rises from 0; then it falls to 0 along a cosine, unless `halve_at` is given."""
    halve_at: tuple[int, ...] = ()
    """Steps at which a constant rate is halved, in place of the cosine."""
    decay: float = 1e-4
    """Weight decay."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    average: float = 0.999
    """Share of the old value when a step's weights enter their moving average; 0 keeps the last weights."""
    check_every: int = 500
    """Steps from one validation, line of the curves and checkpoint to the next."""
    patience: int = 0
    """Validations without a better loss before the run stops early; 0: never."""
    seed: int = 0
    """Of the augmentation."""
    augment: bool = True
    """Turn and mirror each image of a batch at random."""
    device: str = "cpu"
    """"cpu", or "cuda" with mixed precision."""
    loss: LossWeights = field(default_factory=LossWeights)
    """What is minimised."""

    def __post_init__(self) -> None:
        for name in ("steps", "check_every"):
            positive_int(f"TrainSettings.{name}", getattr(self, name))
        for name in ("rate", "clip"):
            finite_number(f"TrainSettings.{name}", getattr(self, name), "1", above=0.0)
        for name in ("warmup", "patience", "seed", "decay", "average"):
            if not 0 <= finite_number(f"TrainSettings.{name}", getattr(self, name), "1"):
                raise MmsarError(f"TrainSettings.{name}: got {getattr(self, name)}, wanted a number >= 0")
        if not self.average < 1:
            raise MmsarError(f"TrainSettings.average: got {self.average}, wanted a number from 0 to below 1")
        one_of("TrainSettings.device", self.device, ("cpu", "cuda"))
        object.__setattr__(self, "halve_at", tuple(self.halve_at))

    def rate_at(self, step: int) -> float:
        """Learning rate of a step (from 0)."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.halve_at:
            return self.rate * 0.5 ** sum(step >= at for at in self.halve_at)
        left = max(self.steps - self.warmup, 1)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min((step - self.warmup) / left, 1.0)))
