r"""What all poses share and phases leave open: turns of scene and poses, and smooth errors in depth over the aperture.

Poses that fit a scene fit it as well where scene and poses are turned together by a small angle about the middle of the
aperture: every pose moves by that angle times its place, in depth; the scene moves sideways by the angle times its
distance, and tilts. Phases tell depth only to half a wavelength, so that steps of scene and poses never leave such a
turn. Nearly the same holds for any smooth error in depth over the aperture, while the scene is small or smooth: it is
defocused along with the poses. What tells them is what does *not* follow: an echo keeps its delay (bandwidth), the
antennas of a pose their direction, and recorded places are right within `SIGMA`.

So the coefficients t of screens B(x, y) over the aperture (products of Legendre polynomials) are found with every pose
free in its phase and gain and, about its recorded place, in its displacement: residuals r = s exp(-j phi) - beta e,
with the derivatives of the echo by the displacement (G) and by the screens, (B G_z) at every channel, all less their
part along e, which phase and gain of the pose take,

    min  sum_p |r_p - beta (B G_z t + G_p u_p)|^2 / noise + |d_p + u_p|^2 / sigma^2       over t and every u_p

Eliminating u_p leaves as many equations as screens; B t is what the depths are wrong by. Taken away, a new scene goes
with the poses; several rounds of both are needed where the scene has been far aside.
"""

import numpy as np

from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import match, products

SIGMA = 1e-3
"""Position errors that recorded places are taken to have along every axis [m], standard deviation."""
PERIOD = 20.0
"""Half wavelengths of aperture that a degree of the screens is spent on."""
DEGREE = 5
"""Largest degree."""
LONGEST = 0.5
"""A screen is applied in parts of at most so many wavelengths."""
CHUNK = 512
"""Poses that are reckoned with at a time."""


def degree(field: PoseField, poses: slice) -> int:
    """Degree of the screens that an aperture is wide enough for."""
    width = np.ptp(field.place[poses, :2], axis=0).max()
    return int(np.clip(width * field.wavenumber / (np.pi * PERIOD), 1, DEGREE))


def screens(field: PoseField, poses: slice, order: int) -> np.ndarray:
    """Legendre polynomials of up to some order together at the channels of poses, (n_screens, n, channels).

    The first two are those along x and y, -1 to 1 over the aperture.
    """
    virtual = field.geometry.virtual_position.reshape(field.n_poses, -1, 3)[poses, :, :2]
    low, high = virtual.min(axis=(0, 1)), virtual.max(axis=(0, 1))
    at = (virtual - (low + high) / 2) / np.maximum((high - low) / 2, 1e-9)
    along = [np.polynomial.legendre.legvander(at[..., axis], order) for axis in (0, 1)]
    terms = [(total - b, b) for total in range(1, order + 1) for b in range(total + 1)]
    return np.stack([along[0][..., a] * along[1][..., b] for a, b in terms])


def screen_error(
    field: PoseField, scene: np.ndarray, move: np.ndarray, poses: slice, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """How far the depths of poses are wrong, as far as screens go.

    Parameters
    ----------
    field : PoseField
        The samples.
    scene : (n_z, n_y, n_x) complex array
        What the poses are thought to see.
    move : (n_pose, 3) array
        Their displacements [m].
    poses : slice
        The first of them, those of the aperture.
    order : int
        Degree of the screens.

    Returns
    -------
    (n_screens,) array
        Coefficients of `screens` [m].
    (n_screens,) array
        Their standard errors [m], of white noise as strong as what is left.
    """
    waves = field.waves(scene)
    fit = match(field, waves, move, poses)
    beta, phase = fit.gain, np.angle(fit.product)
    left = fit.measured.sum() - 2 * beta * np.abs(fit.product).sum() + beta**2 * fit.own.sum()
    noise = left / max(np.count_nonzero(field.samples[:, poses]), 1)
    shapes = screens(field, poses, order).astype(np.float32)
    if not noise > 0:
        return np.zeros(len(shapes)), np.full(len(shapes), np.inf)
    scaled = beta / np.sqrt(noise)
    least = 1e-3 * fit.own.mean()
    information, toward = np.zeros((len(shapes),) * 2), np.zeros(len(shapes))
    for block, echo, gradient in field.echoes(waves, move, poses):
        for start in range(0, block.stop - block.start, CHUNK):
            here = slice(start, min(start + CHUNK, block.stop - block.start))
            whole = slice(block.start + here.start, block.start + here.stop)
            mine = slice(whole.start - poses.start, whole.stop - poses.start)
            e, g = echo[:, here], gradient[:, here]
            parts = np.concatenate([np.moveaxis(g, -1, 0), shapes[:, None, mine] * g[..., 2]])
            parts -= (np.einsum("mpc,kmpc->kp", e.conj(), parts) / np.maximum(fit.own[mine], least)).astype(
                np.complex64
            )[:, None, :, None] * e
            turned = field.samples[:, whole] * np.exp(-1j * phase[mine]).astype(np.complex64)[None, :, None] - beta * e
            rows = np.moveaxis(parts, 2, 0).reshape(mine.stop - mine.start, len(parts), -1)
            curvature = scaled**2 * (rows.conj() @ rows.transpose(0, 2, 1)).real
            residual = np.moveaxis(turned, 1, 0).reshape(len(rows), -1, 1)
            slope = scaled / np.sqrt(noise) * (rows.conj() @ residual)[..., 0].real
            inner, cross = curvature[:, :3, :3] + np.eye(3) / SIGMA**2, curvature[:, :3, 3:]
            freed = np.linalg.solve(inner, cross)
            pull = slope[:, :3] - move[whole] / SIGMA**2
            information += curvature[:, 3:, 3:].sum(axis=0) - np.einsum("pij,pik->jk", freed, cross)
            toward += slope[:, 3:].sum(axis=0) - np.einsum("pij,pi->j", freed, pull)
    covariance = np.linalg.pinv(information)
    return covariance @ toward, np.sqrt(np.maximum(np.diag(covariance), 0.0))


def without_screen(field: PoseField, scene: np.ndarray, move: np.ndarray, poses: slice) -> np.ndarray:
    """Displacements (n, 3) of the first poses with the screens they are wrong by taken away.

    Depths are taken to within half a half wavelength of the recorded ones, and the mean of what is moved along x and y
    is taken away, as no samples tell it.
    """
    order = degree(field, poses)
    coefficients, _ = screen_error(field, scene, move, poses, order)
    screen = np.tensordot(coefficients, screens(field, poses, order).mean(axis=-1), axes=1)
    half = np.pi / field.wavenumber
    screen *= min(1.0, 2 * half * LONGEST / max(np.abs(screen).max(), 1e-30))
    out = move[poses].copy()
    out[:, 2] -= screen
    out[:, 2] -= half * np.round(out[:, 2] / half)
    out[:, :2] -= out[:, :2].mean(axis=0)
    return out
