"""Export of a network to ONNX with any batch and image size, compared with torch before the file is there."""

import json
import logging
import os
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from mmsar.enhance.infer import METADATA, Enhancer, check_extras
from mmsar.enhance.model.build import Network
from mmsar.errors import MmsarError
from mmsar.io.atomic import atomic_path

OPSET = 18
TOLERANCE = 1e-4
"""Largest difference between torch and onnxruntime, relative to the largest output."""
BLEND = 32
"""Edge of a tile that is dropped when every pixel depends on all others, so that no edge is right [pixels]."""


def export_onnx(
    network: Network, path: str | os.PathLike[str], *, name: str, extra: dict[str, Any] | None = None
) -> float:
    """Write a network file for `mmsar.enhance.infer.Enhancer`; the network is left in eval mode.

    Parameters
    ----------
    name : str
        What the network is called in histories.
    extra : dict, optional
        More facts for the file, JSON values: "statistics" of the training images (`statistics.fit_statistics`) and
        "spacing_mm", the size of their pixels [mm].

    Returns
    -------
    float
        Largest difference from torch on two sizes and batches, relative to the largest output.

    Raises
    ------
    MmsarError
        onnx, onnxscript or onnxruntime is missing, or the difference is above TOLERANCE; no file is written then.
    GeometryError
        Other facts, or some that cannot be.
    """
    missing = [package for package in ("onnx", "onnxscript") if find_spec(package) is None]
    if missing:
        raise MmsarError(f"export needs {' and '.join(missing)}, not installed; pip install 'mmsar[train,sr]'")
    check_extras(extra or {})
    network = network.cpu().eval()
    step = network.multiple
    image = _example(network, 2, (3 * step, 4 * step))
    batch = torch.export.Dim("batch", min=1, max=1024)
    sides = (step * torch.export.Dim(side, min=1, max=4096) for side in ("rows", "columns"))
    arguments, shapes = {"image": image}, {"image": {0: batch, **dict(zip((2, 3), sides, strict=True))}}
    scaled = not getattr(network.config, "paper", False)
    if scaled:
        arguments["scale"], shapes["scale"] = torch.ones(2), {0: batch}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter, about its own insides
        exporter = logging.getLogger("torch.onnx")
        level, _ = exporter.level, exporter.setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
        try:
            program = torch.onnx.export(
                network, kwargs=arguments, dynamic_shapes=shapes, opset_version=OPSET, dynamo=True, verbose=False
            )
        finally:
            exporter.setLevel(level)
    model = program.model_proto
    halo = BLEND if network.reach is None else network.reach
    facts = {
        "name": name,
        "inputs": network.inputs,
        "multiple": step,
        "halo": -(-halo // step) * step,
        "tile": network.tile,
        **(extra or {}),
    }
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA, value=json.dumps(facts))
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    with atomic_path(path) as part:
        part.write_bytes(model.SerializeToString())
        difference = _difference(network, Enhancer(part))
        if not difference <= TOLERANCE:
            raise MmsarError(f"{path}: differs from torch by {difference:.1e} of the peak, wanted at most {TOLERANCE}")
    return difference


def _example(network: Network, batch: int, size: tuple[int, int]) -> torch.Tensor:
    noise = np.random.default_rng(0).standard_normal((batch, network.channels, *size))
    return torch.from_numpy(np.abs(noise) if network.channels == 1 else noise).float()


@torch.no_grad()
def _difference(network: Network, enhancer: Enhancer) -> float:
    """Largest difference over the largest output, on a batch of one and of three."""
    worst = 0.0
    for batch, size in ((1, (4, 5)), (3, (5, 2))):
        image = _example(network, batch, tuple(network.multiple * n for n in size))
        expected = network(image).numpy()
        got = enhancer.raw(image.numpy())
        worst = max(worst, float(np.abs(got - expected).max() / np.abs(expected).max()))
    return worst
