"""The file of a training run: which pairs, which network, how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from mmsar.core.toml_table import Table, load_table, read_table
from mmsar.enhance.train.loss import LossWeights
from mmsar.enhance.train.settings import TrainSettings
from mmsar.errors import FormatError, MmsarError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A run of `mmsar train-sr`.

    Raises
    ------
    MmsarError
        Counts out of range.
    """

    name: str
    """What the network is called in histories, and its file."""
    recipe: Path
    """Recipe of the pairs."""
    count: int
    """Pairs to train from; what the file lacks is made first."""
    label: str = "physical"
    """Label that is learned: "physical" or "ideal"."""
    crop: int = 128
    """Side of the crops that are trained on [pixels]."""
    batch: int = 8
    """Crops per step."""
    validation: int = 200
    """Whole images that the averaged weights are judged by."""
    validation_crop: int = 256
    """Side to which those are cut [pixels]."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Description for `mmsar.enhance.model.build.build`."""
    settings: TrainSettings
    """Steps, rates and loss."""

    def __post_init__(self) -> None:
        for name in ("count", "crop", "batch", "validation", "validation_crop"):
            if getattr(self, name) < 1:
                raise MmsarError(f"TrainConfig.{name}: got {getattr(self, name)}, wanted at least 1")


def load_config(path: str | PathLike[str]) -> TrainConfig:
    """Read a training file; data/README.md lists its keys.

    Raises
    ------
    FormatError
        Not TOML, or a key unknown, missing or out of range; the message names file and table.
    OSError
        When the file cannot be read.
    """
    path = Path(fspath(path))
    top = load_table(path, "a training run")
    data = read_table(top.table("data"), _data)
    if data["label"] not in ("physical", "ideal"):
        raise FormatError(f"{path} [data] label: got {data['label']!r}, wanted physical or ideal")
    network = dict(top.table("network").content)
    loss = read_table(top.table("loss", required=False), _loss)
    settings = read_table(top.table("training"), lambda t: _settings(t, loss, top.whole("seed", 0)))
    name = top.text("name")
    top.finish()
    if not name.isidentifier():
        raise FormatError(f"{path} name: got {name!r}, wanted letters, digits and _, as it names the network's file")
    try:
        return TrainConfig(
            name=name,
            **{**data, "recipe": path.parent / data["recipe"]},
            network={k: tuple(v) if isinstance(v, list) else v for k, v in network.items()},
            settings=settings,
        )
    except MmsarError as error:
        raise FormatError(f"{path}: {error}") from None


def _data(t: Table) -> dict[str, Any]:
    return {
        "recipe": t.text("recipe"),
        "count": t.whole("count"),
        "label": t.text("label", "physical"),
        "crop": t.whole("crop", 128),
        "batch": t.whole("batch", 8),
        "validation": t.whole("validation", 200),
        "validation_crop": t.whole("validation_crop", 256),
    }


def _loss(t: Table) -> LossWeights:
    if t.has("paper") and t.flag("paper", False):
        return LossWeights.paper()
    return LossWeights(**{f.name: t.number(f.name, f.default) for f in fields(LossWeights)})


def _settings(t: Table, loss: LossWeights, seed: int) -> TrainSettings:
    values: dict[str, Any] = {"seed": seed, "loss": loss}
    for f in fields(TrainSettings):
        if f.name in values or not t.has(f.name):
            continue
        kind = {"halve_at": t.take, "augment": lambda k: t.flag(k, True), "device": t.text}
        number = t.number if f.name in ("rate", "decay", "clip", "average") else t.whole
        values[f.name] = kind.get(f.name, number)(f.name)
    if "steps" not in values:
        t.whole("steps")
    halve = values.get("halve_at", [])
    if not isinstance(halve, list) or not all(type(v) is int for v in halve):
        raise FormatError(f"{t.where} halve_at: got {halve!r}, wanted a list of whole numbers")
    return TrainSettings(**values)
