r"""What poses are worth: beside the noise, every pose is amiss by a share of its own energy.

An echo of energy E_p leaves of its samples about

    r_p = N + mu E_p,    N, mu >= 0 nearest to the r of all, re E

the noise, the same for all, and what the scene, the place and the antennas of a pose have not quite right. Least
squares over poses as they are hear the bright ones only, wrong as they are: so poses are divided by sqrt(N + mu E_p),
and one left over means one pose's error.
"""

import numpy as np

from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import match

FAINT = 1e-2
"""Energy of a pose, re the mean, below which it counts no more for N and mu."""
LEAST = 1e-6
"""N is at least this share of the mean energy."""


def amiss(energy: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """N and mu, of the energy of poses (n,) and of what is left of them (n,)."""
    from scipy.optimize import nnls

    mean = float(energy.mean())
    there = energy > 0
    if not there.any():
        return 1.0, 0.0
    share = 1 / (energy[there] + FAINT * mean)
    noise, mu = nnls(np.stack([share, energy[there] * share], axis=1), left[there] * share)[0]
    return max(float(noise), LEAST * mean), float(mu)


def weighed(field: PoseField, scene: np.ndarray, move: np.ndarray) -> PoseField:
    """The field with poses divided by what the echo of a scene is likely to leave of them."""
    fit = match(field, field.waves(scene), move)
    noise, mu = amiss(fit.measured, np.maximum(fit.left(fit.gain), 0))
    return field.weighed(1 / np.sqrt(noise + mu * fit.measured))
