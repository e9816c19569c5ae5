"""First weights taken from a network that was trained before, to train it further on other pairs."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from mmsar.enhance import weights
from mmsar.enhance.model.build import Network
from mmsar.enhance.train.checkpoint import load_network
from mmsar.errors import FormatError, MmsarError


def start_from(network: Network, source: str | os.PathLike[str]) -> None:
    """Give a network the weights of another one of the same kind and size.

    Parameters
    ----------
    source : str or path
        A network of the package by name ("gatenet"), an exported one (.onnx), or a checkpoint of a run (.pt), of which
        the averaged weights are taken.

    Raises
    ------
    FormatError
        No such file, or weights of another network.
    MmsarError
        An unknown name, or an exported network without the package onnx.
    """
    path = Path(source)
    if path.suffix == ".pt":
        given = load_network(path).state_dict()
    else:
        path = weights.find(source)
        given = _exported(path)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in given.items() if name in wanted}
    if there != wanted:
        name = next(name for name in wanted if there.get(name) != wanted[name])
        got = f"{name} {there[name]}" if name in there else f"none for {name}"
        raise FormatError(f"{path}: got weights of another network ({got}), wanted {name} {wanted[name]} as configured")
    network.load_state_dict({name: given[name] for name in wanted})


def _exported(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of an exported network."""
    if find_spec("onnx") is None:
        raise MmsarError("weights of an exported network need onnx, which is not installed; pip install 'mmsar[train]'")
    import onnx

    if not path.is_file():
        raise FormatError(f"{path}: no such file; wanted a network exported by mmsar train-sr")
    try:
        graph = onnx.load(path).graph
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"{path}: not an exported network ({reason})") from None
    return {t.name: torch.from_numpy(np.array(onnx.numpy_helper.to_array(t))) for t in graph.initializer}
