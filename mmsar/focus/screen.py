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
from mmsar.focus.posestep import match

SIGMA = 1e-3
"""Position errors that recorded places are taken to have along every axis [m], standard deviation."""
PERIOD = 20.0
"""Half wavelengths of aperture that a degree of the screens is spent on."""
DEGREE = 5
"""Largest degree."""
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
    return legendre(virtual, [(total - b, b) for total in range(1, order + 1) for b in range(total + 1)])


def legendre(place: np.ndarray, terms: list[tuple[int, int]]) -> np.ndarray:
    """Products P_a(x) P_b(y) for `terms` (a, b) at places (..., 2), x and y from -1 to 1 over these: (n_terms, ...)."""
    every = tuple(range(place.ndim - 1))
    low, high = place.min(axis=every), place.max(axis=every)
    at = (place - (low + high) / 2) / np.maximum((high - low) / 2, 1e-9)
    x, y = (np.polynomial.legendre.legvander(at[..., axis], max(term[axis] for term in terms)) for axis in (0, 1))
    return np.stack([x[..., a] * y[..., b] for a, b in terms])


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
        Those of the aperture, slice(0, n).
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
    gain, turn = fit.gain, np.exp(-1j * np.angle(fit.product)).astype(np.complex64)
    left = fit.measured.sum() - 2 * gain * np.abs(fit.product).sum() + gain**2 * fit.own.sum()
    noise = left / max(np.count_nonzero(field.samples[:, poses]), 1)
    shapes = screens(field, poses, order).astype(np.float32)
    if not noise > 0:
        return np.zeros(len(shapes)), np.full(len(shapes), np.inf)
    own = np.maximum(fit.own, 1e-3 * fit.own.mean())
    information, toward = np.zeros((len(shapes),) * 2), np.zeros(len(shapes))
    for block, echo, gradient in field.echoes(waves, move, poses):
        for start in range(0, block.stop - block.start, CHUNK):
            here, at = (
                slice(start, start + CHUNK),
                slice(block.start + start, min(block.start + start + CHUNK, block.stop)),
            )
            parts = np.concatenate(
                [np.moveaxis(gradient[:, here], -1, 0), shapes[:, None, at] * gradient[:, here, :, 2]]
            )
            parts = _less(gain * parts, echo[:, here], own[at])
            residual = field.samples[:, at] * turn[None, at, None] - gain * echo[:, here]
            curvature = (parts.conj() @ parts.transpose(0, 2, 1)).real / noise
            slope = (parts.conj() @ np.moveaxis(residual, 1, 0).reshape(len(parts), -1, 1))[..., 0].real / noise
            inner, cross = curvature[:, :3, :3] + np.eye(3) / SIGMA**2, curvature[:, :3, 3:]
            freed = np.linalg.solve(inner, cross)
            information += curvature[:, 3:, 3:].sum(axis=0) - np.einsum("pij,pik->jk", freed, cross)
            toward += slope[:, 3:].sum(axis=0) - np.einsum("pij,pi->j", freed, slope[:, :3] - move[at] / SIGMA**2)
    covariance = np.linalg.pinv(information)
    return covariance @ toward, np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _less(parts: np.ndarray, echo: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Derivatives (k, m, n, channels) less what a pose's phase and gain take: (n, k, m * channels)."""
    along = np.einsum("mpc,kmpc->kp", echo.conj(), parts) / own
    parts = parts - along.astype(np.complex64)[:, None, :, None] * echo
    return np.moveaxis(parts, 2, 0).reshape(echo.shape[1], len(parts), -1)


def without_screen(field: PoseField, scene: np.ndarray, move: np.ndarray, poses: slice) -> np.ndarray:
    """Displacements (n, 3) of the first poses with the screens they are wrong by taken away.

    A round takes at most half a wavelength away. Depths are taken to within a quarter of a wavelength of the recorded
    ones, and the mean of what is moved along x and y is taken away, as no samples tell it.
    """
    order = degree(field, poses)
    coefficients, _ = screen_error(field, scene, move, poses, order)
    screen = np.tensordot(coefficients, screens(field, poses, order).mean(axis=-1), axes=1)
    half = np.pi / field.wavenumber
    screen *= min(1.0, half / max(np.abs(screen).max(), 1e-30))  # farther off in several rounds
    out = move[poses].copy()
    out[:, 2] -= screen
    out[:, 2] -= half * np.round(out[:, 2] / half)
    out[:, :2] -= out[:, :2].mean(axis=0)
    return out
