"""The training loop: steps, moving average, validation, early stop, checkpoints and curves.

A run lives in a folder: `last.pt` is all it takes to go on, `best.pt` the averaged weights of the best validation, and
`curves.csv` has one line per validation. All that is random comes from a seed and the number of the step, so a run that
was killed and resumed ends, on the CPU and with the same threads, in the same bits as one that was not.
"""

import csv
import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mmsar.core.progress import counter
from mmsar.enhance.model.amplitude import divisor
from mmsar.enhance.model.build import Network, build
from mmsar.enhance.train.average import Average
from mmsar.enhance.train.batches import Batch, stream, tensors, turned
from mmsar.enhance.train.checkpoint import read_checkpoint, save_checkpoint, settings_from_dict, settings_to_dict
from mmsar.enhance.train.loss import loss_terms
from mmsar.enhance.train.settings import TrainSettings
from mmsar.errors import DeviceError, MmsarError
from mmsar.io.atomic import atomic_path

LAST, BEST, CURVES = "last.pt", "best.pt", "curves.csv"


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """How a run ended."""

    step: int
    """Steps done."""
    best_step: int | None
    """Step of the best validation, None without one."""
    best_loss: float
    """Its loss; infinite without one."""
    curves: tuple[dict[str, float], ...]
    """Per validation: step, rate, seconds, loss and its terms (means since the one before), validation loss."""


def train(
    network: Network,
    batches: Iterable[Batch],
    *,
    settings: TrainSettings,
    folder: str | os.PathLike[str],
    validation: Iterable[Batch] | None = None,
) -> TrainResult:
    """Train a network in place, from its present weights.

    Parameters
    ----------
    batches : iterable
        (input, label) arrays, `mmsar.enhance.train.batches.Batch`; iterated over again when it ends.
    folder : path
        Made if need be; it must not hold a run.
    validation : iterable, optional
        Batches to judge the averaged weights by; iterated over at each check.

    Raises
    ------
    MmsarError
        A folder that holds a run, a patience without validation, batches that end or do not fit, or a loss that is
        not finite.
    DeviceError
        A GPU asked for that is not there.
    """
    folder = Path(folder)
    check_start(folder, settings.device)
    folder.mkdir(parents=True, exist_ok=True)
    return _Run(network, settings, folder).go(batches, validation)


def check_start(folder: str | os.PathLike[str], device: str, *, resumed: bool = False) -> None:
    """Refuse what keeps a run from starting or going on, before anything is made for it. Errors: as `train`."""
    if not resumed and (Path(folder) / LAST).exists():
        raise MmsarError(f"{folder}: holds a run already; resume it, or choose another folder")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device: cuda asked for but torch finds no usable GPU; use device='cpu'")


def resume(
    folder: str | os.PathLike[str],
    batches: Iterable[Batch],
    *,
    validation: Iterable[Batch] | None = None,
    device: str | None = None,
) -> TrainResult:
    """Go on with the run in `folder` from its last checkpoint, with the same batches from the start.

    The batches that were used are drawn again and dropped. `device`: another one than before.

    Raises
    ------
    FormatError
        No run in the folder, or a checkpoint that cannot be read.
    MmsarError, DeviceError
        As `train`.
    """
    content = read_checkpoint(Path(folder) / LAST)
    settings = settings_from_dict(content["settings"])
    settings = settings if device is None else replace(settings, device=device)
    run = _Run(build(content["network"]), settings, Path(folder))
    run.restore(content)
    return run.go(batches, validation)


def _precision(device: str) -> AbstractContextManager:
    """bfloat16 where it is safe on a GPU, float32 on the CPU."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if device == "cuda" else nullcontext()


def train_step(
    network: Network, optimizer: torch.optim.Optimizer, batch: Batch, settings: TrainSettings, step: int
) -> dict[str, float]:
    """One update of the weights by one batch; the loss and its terms.

    Raises
    ------
    MmsarError
        A batch that does not fit, or a loss that is not finite; the weights are not changed then.
    """
    image, label, scale = tensors(batch, network)
    if settings.augment:
        image, label = turned(image, label, (settings.seed, step))
    for group in optimizer.param_groups:
        group["lr"] = settings.rate_at(step)
    network.train()
    terms = _terms(network, image, label, scale, settings)
    if not torch.isfinite(terms["loss"]):
        raise MmsarError(
            f"step {step}: the loss is {terms['loss'].item()}; wanted a finite one: are inputs and labels?"
        )
    optimizer.zero_grad()
    terms["loss"].backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
    optimizer.step()
    return {name: term.item() for name, term in terms.items()}


def _terms(
    network: Network, image: torch.Tensor, label: torch.Tensor, scale: torch.Tensor | None, settings: TrainSettings
) -> dict:
    image, label = image.to(settings.device), label.to(settings.device)
    scale = network.scale_of(image, None if scale is None else scale.to(settings.device))
    unit = divisor(scale)
    with _precision(settings.device):
        output = network(image, scale)
    return loss_terms(output / unit, label / unit, settings.loss)


class _Run:
    """A run in progress: everything a checkpoint holds."""

    def __init__(self, network: Network, settings: TrainSettings, folder: Path) -> None:
        check_start(folder, settings.device, resumed=True)
        self.settings, self.folder = settings, folder
        self.network = network.to(settings.device)
        self.average = Average(self.network, settings.average)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
        self.step, self.seconds = 0, 0.0
        self.best_step: int | None = None
        self.best_loss = float("inf")
        self.stale = 0
        self.curves: list[dict[str, float]] = []

    def restore(self, content: dict[str, Any]) -> None:
        """Take over what `_save` wrote."""
        self.network.load_state_dict(content["weights"])
        self.average.network.load_state_dict(content["average"])
        self.average.updates = content["updates"]
        self.optimizer.load_state_dict(content["optimizer"])
        for name in ("step", "seconds", "best_step", "best_loss", "stale", "curves"):
            setattr(self, name, content[name])

    def go(self, batches: Iterable[Batch], validation: Iterable[Batch] | None) -> TrainResult:
        """Train until the steps are done or patience ends."""
        settings = self.settings
        if settings.patience and validation is None:
            raise MmsarError(f"TrainSettings.patience: got {settings.patience} and no validation, wanted both or none")
        source = stream(batches, self.step)
        sums: dict[str, float] = {}
        start = time.monotonic() - self.seconds
        with counter("training", settings.steps) as done:
            while self.step < settings.steps and not self._out_of_patience():
                terms = train_step(self.network, self.optimizer, next(source), settings, self.step)
                self.average.update(self.network)
                self.step += 1
                sums = {name: sums.get(name, 0.0) + value for name, value in terms.items()}
                done(self.step)
                if self.step % settings.check_every == 0 or self.step == settings.steps:
                    self.seconds = time.monotonic() - start
                    self._check(sums, validation)
                    sums = {}
        return TrainResult(
            step=self.step, best_step=self.best_step, best_loss=self.best_loss, curves=tuple(self.curves)
        )

    def _out_of_patience(self) -> bool:
        return 0 < self.settings.patience <= self.stale

    def _check(self, sums: dict[str, float], validation: Iterable[Batch] | None) -> None:
        """Validate, and write curves and checkpoints."""
        n = self.step - (self.curves[-1]["step"] if self.curves else 0)
        line = {"step": self.step, "rate": self.settings.rate_at(self.step - 1), "seconds": round(self.seconds, 3)}
        line |= {name: value / n for name, value in sums.items()}
        if validation is not None:
            line["validation"] = self._validate(validation)
            self.stale += 1
            if line["validation"] < self.best_loss:
                self.best_step, self.best_loss, self.stale = self.step, line["validation"], 0
                save_checkpoint(
                    self.folder / BEST, self.network, self.average.network.state_dict(), step=self.step, best=line
                )
        self.curves.append(line)
        with atomic_path(self.folder / CURVES) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(line))
            writer.writeheader()
            writer.writerows(self.curves)
        self._save()

    @torch.no_grad()
    def _validate(self, validation: Iterable[Batch]) -> float:
        """Mean loss of the averaged weights over the batches."""
        losses = [
            _terms(self.average.network, *tensors(batch, self.network), self.settings)["loss"].item()
            for batch in validation
        ]
        if not losses:
            raise MmsarError("validation: got no batches, wanted at least one that is there at every check")
        return sum(losses) / len(losses)

    def _save(self) -> None:
        save_checkpoint(
            self.folder / LAST,
            self.network,
            self.average.network.state_dict(),
            settings=settings_to_dict(self.settings),
            optimizer=self.optimizer.state_dict(),
            updates=self.average.updates,
            step=self.step,
            seconds=self.seconds,
            best_step=self.best_step,
            best_loss=self.best_loss,
            stale=self.stale,
            curves=self.curves,
        )
