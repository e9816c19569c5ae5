"""Networks from plain descriptions, as checkpoints and exported files hold them."""

from dataclasses import asdict
from typing import Any

import torch

from mmsar.core.checks import one_of
from mmsar.enhance.model.gatenet import GateNet, GateNetConfig
from mmsar.enhance.model.srvit import MobileSRViT, SRViTConfig
from mmsar.errors import MmsarError

KINDS = {"gatenet": (GateNet, GateNetConfig), "srvit": (MobileSRViT, SRViTConfig)}

Network = GateNet | MobileSRViT


def build(description: dict[str, Any], *, seed: int = 0) -> Network:
    """A network with first weights drawn from `seed`, whatever was drawn before.

    Parameters
    ----------
    description : dict
        {"kind": "gatenet" or "srvit", and fields of `GateNetConfig` or `SRViTConfig`}; fields may be left out.

    Raises
    ------
    MmsarError
        An unknown kind or field, or a value that the configuration refuses.
    """
    fields = dict(description)
    network, config = KINDS[one_of("network kind", fields.pop("kind", None), tuple(KINDS))]
    unknown = sorted(fields.keys() - config.__dataclass_fields__.keys())
    if unknown:
        raise MmsarError(f"network: got {', '.join(unknown)}, wanted {', '.join(config.__dataclass_fields__)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(config(**fields))


def describe(network: Network) -> dict[str, Any]:
    """What `build` needs to make such a network again."""
    return {"kind": network.kind, **asdict(network.config)}


def parameters(network: Network) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
