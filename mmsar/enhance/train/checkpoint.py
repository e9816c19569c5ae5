"""Checkpoints: tensors, numbers and texts only, read without running any code that a file may hold."""

import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mmsar.enhance.model.build import Network, build, describe
from mmsar.enhance.train.loss import LossWeights
from mmsar.enhance.train.settings import TrainSettings
from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path

VERSION = 1


def save_checkpoint(path: str | os.PathLike[str], network: Network, average: dict[str, Any], **state: Any) -> None:
    """Write a network with its averaged weights and whatever else the run needs, whole or not at all."""
    content = {
        "mmsar_checkpoint": VERSION,
        "network": describe(network),
        "weights": network.state_dict(),
        "average": average,
        **state,
    }
    with atomic_path(path) as part:
        torch.save(content, part)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU.

    Raises
    ------
    FormatError
        No such file, not a checkpoint of this library, or one that holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file; wanted a checkpoint of a training run")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"{path}: not a checkpoint of tensors and plain values ({reason})") from None
    version = content.get("mmsar_checkpoint") if isinstance(content, dict) else None
    if version != VERSION:
        raise FormatError(f"{path}: got checkpoint version {version}, wanted {VERSION}; was it written by mmsar?")
    return content


def load_network(path: str | os.PathLike[str]) -> Network:
    """The network of a checkpoint with its averaged weights, in eval mode.

    Raises
    ------
    FormatError
        As `read_checkpoint`, or weights that do not belong to the network.
    """
    content = read_checkpoint(path)
    network = build(content["network"])
    try:
        network.load_state_dict(content["average"])
    except RuntimeError as error:
        raise FormatError(f"{path}: weights of another network ({str(error).splitlines()[0]})") from None
    return network.eval()


def settings_to_dict(settings: TrainSettings) -> dict[str, Any]:
    """Plain values, for a checkpoint."""
    return {**asdict(settings), "halve_at": list(settings.halve_at)}


def settings_from_dict(values: dict[str, Any]) -> TrainSettings:
    """The settings of a checkpoint."""
    return TrainSettings(**{**values, "loss": LossWeights(**values["loss"])})
