"""Export to ONNX and inference by onnxruntime: the same numbers as torch, any size, tiles, bad input."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'mmsar[train]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'mmsar[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

import torch

from mmsar.enhance.infer import Enhancer
from mmsar.enhance.model.build import build
from mmsar.enhance.statistics import fit_statistics
from mmsar.enhance.train import export
from mmsar.errors import GeometryError, MmsarError

SMALL = {"kind": "gatenet", "widths": (8, 8, 8), "blocks": (1, 1, 1)}
FACTS = {"statistics": fit_statistics(np.random.default_rng(0).rayleigh(size=(30, 16, 16))), "spacing_mm": 0.78125}


def shaken(description):
    network = build(description).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return network


@pytest.mark.parametrize(
    "description", [SMALL, {**SMALL, "inputs": "complex"}, {"kind": "srvit"}, {"kind": "srvit", "paper": True}]
)
def test_exported_network_agrees_with_torch_on_sizes_it_was_not_exported_at(tmp_path, description):
    network = shaken(description)
    difference = export.export_onnx(network, tmp_path / "net.onnx", name="small", extra=FACTS)
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
    assert enhancer.multiple == network.multiple
    assert enhancer.statistics == FACTS["statistics"] and enhancer.spacing == pytest.approx(0.78125e-3)


def test_small_file(tmp_path):
    export.export_onnx(build({"kind": "gatenet"}), tmp_path / "net.onnx", name="whole")
    assert (tmp_path / "net.onnx").stat().st_size < 2_000_000


def test_facts_that_cannot_be_are_refused_before_the_export(tmp_path):
    for extra, complaint in (
        ({"spacing": 1}, "got spacing, wanted statistics, spacing_mm"),
        ({"statistics": {**FACTS["statistics"], "limit": 0}}, "statistics limit: got 0, wanted more than 0"),
        ({"spacing_mm": "wide"}, "spacing_mm: got 'wide'"),
    ):
        with pytest.raises(GeometryError, match=complaint):
            export.export_onnx(build(SMALL), tmp_path / "net.onnx", name="small", extra=extra)
    assert list(tmp_path.iterdir()) == []


def test_export_that_differs_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(MmsarError, match="differs from torch"):
        export.export_onnx(build(SMALL), tmp_path / "net.onnx", name="small")
    assert list(tmp_path.iterdir()) == []
