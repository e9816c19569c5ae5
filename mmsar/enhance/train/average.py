"""Exponential moving average of a network's weights, which is what is validated and shipped."""

import copy

import torch

from mmsar.enhance.model.build import Network


class Average:
    """A copy of a network whose weights follow it slowly; in eval mode, without gradients.

    The share of the old value is min(decay, (1 + n) / (10 + n)) after n updates, so that the first weights are
    forgotten early. Running statistics of norms are averaged too, counters are copied.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Move towards the network's weights of now."""
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        new = network.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(new[name], 1 - keep)
            else:
                value.copy_(new[name])
