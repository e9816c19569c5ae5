"""Export to ONNX and inference by onnxruntime: the same numbers as torch, any size, tiles, bad input."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'mmsar[train]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'mmsar[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

import torch

from mmsar.enhance.infer import Enhancer
from mmsar.enhance.model.build import build
from mmsar.enhance.train import export
from mmsar.errors import MmsarError

SMALL = {"kind": "gatenet", "widths": (8, 8, 8), "blocks": (1, 1, 1)}


def shaken(description):
    network = build(description).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return network


@pytest.mark.parametrize("description", [{**SMALL, "inputs": "complex"}, {"kind": "srvit", "paper": True}])
def test_exported_network_agrees_with_torch_on_sizes_it_was_not_exported_at(tmp_path, description):
    network = shaken(description)
    difference = export.export_onnx(network, tmp_path / "net.onnx", name="small")
    assert difference <= export.TOLERANCE
    enhancer = Enhancer(tmp_path / "net.onnx")
    rng = np.random.default_rng(1)
    image = rng.standard_normal((48, 80)) + 1j * rng.standard_normal((48, 80))
    image = image.astype(np.complex64) if enhancer.inputs == "complex" else np.abs(image).astype(np.float32)
    channels = np.stack([image.real, image.imag]) if enhancer.inputs == "complex" else image[None]
    with torch.no_grad():
        expected = network(torch.from_numpy(channels[None]).float())[0, 0].numpy()
    got = enhancer(image)
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
    facts = json.loads(enhancer.description)
    assert facts["multiple"] == network.multiple


def test_export_that_differs_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(MmsarError, match="differs from torch"):
        export.export_onnx(
            build({"kind": "gatenet", "widths": (8,), "blocks": (1,)}), tmp_path / "net.onnx", name="small"
        )
    assert list(tmp_path.iterdir()) == []
