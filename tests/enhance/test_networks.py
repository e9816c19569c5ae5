"""The networks: sizes, scale, reach, gradients; their export; and inference on images of any size."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'mmsar[train]'")

from mmsar.enhance.model.amplitude import robust_scale  # noqa: E402
from mmsar.enhance.model.build import build, describe, parameters  # noqa: E402
from mmsar.enhance.model.gatenet import reach_of  # noqa: E402
from mmsar.errors import GeometryError, MmsarError  # noqa: E402

SMALL = {"kind": "gatenet", "widths": (8, 8, 8), "blocks": (1, 1, 1)}


def shaken(description, seed=0):
    """A network whose last layer is not zero, so that something comes out."""
    network = build(description, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return network


def image(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).rayleigh(size=shape).astype(np.float32))


@pytest.mark.parametrize("paper", [False, True])
def test_published_size(paper):
    assert parameters(build({"kind": "srvit", "paper": paper})) == 69_122


def test_fast_network_is_small():
    from torch.utils.flop_counter import FlopCounterMode

    network = build({"kind": "gatenet"}).eval()
    assert parameters(network) <= 300_000
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        network(image(1, 1, 256, 256))
    assert flops.get_total_flops() <= 1e9


@pytest.mark.parametrize("gain", [0.1, 0.5, 10.0, 1e-6, 1e6])
@pytest.mark.parametrize("description", [SMALL, {**SMALL, "inputs": "complex"}, {"kind": "srvit"}])
def test_output_scales_with_the_input(description, gain):
    network = shaken(description)
    one = image(1, network.channels, 32, 48)
    with torch.no_grad():
        first, scaled = network(one), network(one * gain)
    assert first.min() >= 0
    assert first.max() > 0
    assert torch.allclose(scaled, first * gain, rtol=1e-3, atol=1e-4 * gain)


def test_published_variant_does_not():
    network = shaken({"kind": "srvit", "paper": True})
    one = image(2, 1, 32, 32)
    with torch.no_grad():
        assert network(one).min() < 0
        assert not torch.allclose(network(3 * one), 3 * network(one), rtol=0.05)


@pytest.mark.parametrize("description", [SMALL, {"kind": "srvit"}])
def test_empty_image_stays_empty(description):
    network = shaken(description)
    with torch.no_grad():
        out = network(torch.zeros(1, 1, 32, 32))
    assert torch.equal(out, torch.zeros_like(out))


def test_untrained_network_returns_its_input():
    one = image(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(build(SMALL).eval()(one), one, atol=1e-6)


def test_reach_is_where_influence_ends():
    network = shaken(SMALL)
    side, at = 8 * network.multiple, 4 * network.multiple + 3
    one = image(1, 1, side, side)
    other = one.clone()
    other[0, 0, at, at] *= 0.5
    scale = robust_scale(one)
    with torch.no_grad():
        moved = (network(one, scale) - network(other, scale)).abs()[0, 0].numpy() > 0
    assert moved[at, at]
    rows = np.flatnonzero(moved.any(axis=1))
    assert max(at - rows[0], rows[-1] - at) <= network.reach == reach_of((1, 1, 1))


def test_every_parameter_learns():
    for description in (SMALL, {"kind": "srvit"}, {"kind": "srvit", "paper": True}):
        network = shaken(description).train()
        network(image(2, 1, 32, 32)).square().sum().backward()
        silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        assert silent == []


def test_seed_decides_the_weights():
    first, second, third = (build(SMALL, seed=s) for s in (1, 1, 2))
    torch.rand(3)
    assert torch.equal(first.entry.weight, second.entry.weight)
    assert not torch.equal(first.entry.weight, third.entry.weight)
    assert build(describe(first)).config == first.config


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"kind": "resnet"}, "network kind: got 'resnet'"),
        ({"kind": "gatenet", "depth": 3}, "got depth, wanted inputs, widths, blocks"),
        ({"kind": "gatenet", "widths": (8,), "blocks": (1, 1)}, "got 1 widths and 2 blocks"),
        ({"kind": "gatenet", "inputs": "phase"}, "GateNetConfig.inputs: got 'phase'"),
    ],
)
def test_bad_descriptions_are_refused(description, message):
    with pytest.raises((MmsarError, GeometryError), match=message):
        build(description)


@pytest.mark.parametrize("description", [SMALL, {"kind": "srvit"}])
def test_size_that_does_not_fit_is_refused(description):
    with pytest.raises(MmsarError, match=r"wanted .*steps of 16"):
        build(description)(torch.zeros(1, 1, 24, 32))
