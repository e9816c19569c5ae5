r"""Scene and poses found together: weighted least squares, for apertures whose poses are known to a wavelength only.

With the echo e = F x of a scene x at poses d, its derivatives G = de/dd, and phi_p = arg <e_p, s_p>, a step of both,
u of the scene and v_p of a pose, brings the change of the echo, F_p u + G_p v_p, near what is amiss,

    min  sum_p |s_p exp(-j phi_p) - e_p + j phi_p e_p - F_p u - G_p v_p|^2
         + lambda |W^(-1/2) (x + u)|^2 + pulls of the prior on d + v

by a few iterations of conjugate gradients on both at once (phi_p e_p: the phase over its whole range, as in
`autofocus`). A scene that follows after the poses, or poses after the scene, creep along whatever a change of one can
make up in the other: defocus, stretch. W = |x|, smoothed over a voxel and not below a share of its peak, is taken from
the scene so far (reweighted least squares: what is bright is bound less), so that a scene is not biased as by
thresholds, and shapes without any point focus, too.

What scene and poses share, such as a phase of every direction, is told by little; a few iterations bring hardly any of
it. So many steps go on in the direction of those before, y_k = x_k + mu_k (x_k - x_{k-1}), each taken from y_k.
"""

from collections.abc import Callable

import numpy as np

from mmsar.focus.kernels import along, curvatures, slopes
from mmsar.focus.posefield import Looks, PoseField
from mmsar.focus.posestep import Prior, longest, neighbours, products
from mmsar.recon.least_squares import reweighted, weights

DAMPING = 0.01
"""lambda, re the energy that the brightest image of the samples has in its own image."""
INNER, THOROUGH = 6, 20
"""Iterations of conjugate gradients of a step, and of a thorough one: what scene and poses share, they tell last."""
ROUNDS = 3
"""Times that a scene is weighted anew where it is solved for from nothing."""
MOMENTUM, WARM = 0.97, 1
"""Share of the last change that a step goes on by, at most (Nesterov, Sov. Math. Dokl. 27, 1983), and steps until it is
half."""
ERROR_DB = -25.0
"""Accuracy of the transforms that is enough: what errors of positions leave unexplained is more."""
BESIDE = (96, 128)
"""What steps hold beside the field [bytes], of a sample and of a voxel."""


def solve_scene(field: PoseField, move: np.ndarray, *, damping: float = DAMPING) -> np.ndarray:
    """The scene (n_z, n_y, n_x), complex64, that explains the samples of a field, by reweighted least squares."""
    looks = Looks(field, move)
    image = looks.adjoint(field.samples)
    return reweighted(
        lambda scene: looks.adjoint(looks.forward(scene)), image, damping=damping, rounds=ROUNDS, iterations=INNER
    )


def joint_scene_step(
    field: PoseField,
    scene: np.ndarray,
    move: np.ndarray,
    prior: Prior,
    *,
    inner: int = INNER,
    damping: float = DAMPING,
) -> tuple[np.ndarray, np.ndarray]:
    """One Gauss-Newton step of the scene and of the poses together, by `inner` iterations of conjugate gradients.

    Returns
    -------
    (n_z, n_y, n_x) complex64
        The new scene.
    (n, 3) array
        The new displacements [m].
    """
    from scipy.sparse.linalg import LinearOperator, cg

    looks, samples = Looks(field, move), field.samples
    echo, gradient = looks.gradient(scene)
    product = products(echo, samples)
    own = products(echo, echo).real.sum()
    if not own > 0:
        return scene, move.copy()
    beta = np.float32(np.abs(product).sum() / own)
    scene, echo, gradient = beta * scene, beta * echo, beta * gradient
    phase = np.angle(product).astype(np.float32)[None, :, None]
    left = samples * np.exp(-1j * phase) - echo
    toward = left + 1j * phase * echo

    curvature = curvatures(gradient)
    scale = np.trace(curvature.sum(axis=0)) / (3 * len(move))
    bind = (prior.smooth + prior.hold) * scale
    pull = scale * (prior.smooth * (move - neighbours(move, prior.width)) + prior.hold * move)
    free = np.linalg.cholesky(np.linalg.inv(curvature + bind * np.eye(3)))  # poses in units of what they are told by
    root = weights(scene)
    image = root * looks.adjoint(samples)
    energy = _energy(looks, root, image)
    bound = damping * energy
    root = root / np.float32(np.sqrt(energy + bound))  # and the scene in units of the same
    bound = np.float32(bound / (energy + bound))

    n = scene.size

    def taken(v: np.ndarray) -> np.ndarray:
        return np.einsum("pij,pj->pi", free, v.reshape(-1, 3))

    def given(slope: np.ndarray) -> np.ndarray:
        return np.einsum("pji,pj->pi", free, slope)

    def complex_scene(both: np.ndarray) -> np.ndarray:
        return (both[:n] + 1j * both[n : 2 * n]).reshape(scene.shape)

    def packed(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.concatenate([u.real.ravel(), u.imag.ravel(), v.ravel()], dtype=np.float32)

    def normal(both: np.ndarray) -> np.ndarray:
        u, v = complex_scene(both), taken(both[2 * n :])
        change = looks.forward(root * u)
        along(gradient, v.astype(np.float32), change)
        return packed(root * looks.adjoint(change) + bound * u, given(slopes(gradient, change) + bind * v))

    slope = slopes(gradient, toward) - pull
    whole = root * looks.adjoint(toward) - bound * scene / root
    operator = LinearOperator((2 * n + move.size,) * 2, matvec=normal, dtype=np.float32)
    both, _ = cg(operator, packed(whole, given(slope)), rtol=1e-5, maxiter=inner)
    scene = scene + root * complex_scene(both)
    step = np.clip(taken(both[2 * n :]), -longest(field), longest(field))
    return scene, np.clip(move + step, -prior.reach, prior.reach)


def far_scene_steps(
    field: PoseField,
    scene: np.ndarray,
    move: np.ndarray,
    prior: Callable[[np.ndarray, np.ndarray], Prior],
    *,
    steps: int,
    damping: float,
) -> tuple[np.ndarray, np.ndarray]:
    """So many thorough steps of both, each from where the last ones lead: it goes on by `MOMENTUM` of the last change
    first. The prior is asked for at that scene and those displacements."""
    before = scene, move
    for step in range(steps):
        on = min(MOMENTUM, step / (step + WARM))
        ahead = scene + np.float32(on) * (scene - before[0]), move + on * (move - before[1])
        before = scene, move
        scene, move = joint_scene_step(field, *ahead, prior(*ahead), inner=THOROUGH, damping=damping)
    return scene, move


def _energy(looks: Looks, root: np.ndarray, image: np.ndarray) -> float:
    """Energy of the echo of an image, weighted by `root`, re its own."""
    return float(np.sum(np.abs(looks.forward(root * image)) ** 2) / max(np.sum(np.abs(image) ** 2), 1e-30))
