r"""Where the whole scene is, which poses that are told by phases alone leave open.

Poses that fit a scene fit it as well where scene and poses are turned together by a small angle about the middle of the
aperture: every pose moves by that angle times its place, in depth; the scene moves sideways by the angle times its
distance z0, and tilts. Phases tell depth only to half a wavelength, so that alternating between scene and poses never
leaves such a turn. What tells it is what turning does *not* do: the antennas of a pose keep their direction, an echo
its delay (bandwidth), a scene that lies in the grid stays there, and recorded places are right within `SIGMA`.

So the shift t (along x, y) is found with the poses free, each in its phase and, about the recorded place, in its
displacement: residuals r = s exp(-j phi) - beta e, with the derivatives of the echo by the displacements (G) and by the
shift (E), all less their part along j e and e, which phase and gain of the pose take,

    min  sum_p |r_p - beta (E_p t + G_p u_p)|^2 / noise + |d_p + u_p|^2 / sigma^2       over t and every u_p

Eliminating u_p leaves two equations for t. E is the echo of -dI/dx of the scene I and of its tilt -x I / z0 in depth.
"""

import numpy as np

from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import match, products

SIGMA = 1e-3
"""Position errors that recorded places are taken to have along every axis [m], standard deviation."""
TOLD = 0.1
"""Standard error of a shift, in resolution cells, up to which the samples tell it: what they leave unexplained is no
white noise, and small apertures with little bandwidth would be turned by it."""


def scene_shift(field: PoseField, scene: np.ndarray, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the scene must move along x and y [m], (2,), and the standard error of it, (2,).

    Parameters
    ----------
    field : PoseField
        The samples.
    scene : (n_z, n_y, n_x) complex array
        What stands out of the image at the present poses.
    move : (n_pose, 3) array
        Their displacements [m].
    """
    waves = field.waves(scene)
    fit = match(field, waves, move)
    beta, phase = fit.gain, np.angle(fit.product)
    left = fit.measured.sum() - 2 * beta * np.abs(fit.product).sum() + beta**2 * fit.own.sum()
    noise = left / np.count_nonzero(field.samples)
    if not noise > 0:
        return np.zeros(2), np.full(2, np.inf)
    information, toward = np.zeros((2, 2)), np.zeros(2)
    for block, (echo, *parts) in field.transforms([waves, *field.slopes(waves), *_shifted(field, scene)], move):
        turned = field.samples[:, block] * np.exp(-1j * phase[block]).astype(np.complex64)[None, :, None] - beta * echo
        own = np.maximum(fit.own[block], 1e-3 * fit.own.mean())
        for part in parts:
            part -= (products(echo, part) / own).astype(np.complex64)[None, :, None] * echo
        scaled = beta / np.sqrt(noise)
        curvature = scaled**2 * np.array([[products(a, b).real for b in parts] for a in parts])
        slope = scaled / np.sqrt(noise) * np.array([products(part, turned).real for part in parts])
        inner = np.moveaxis(curvature[:3, :3], -1, 0) + np.eye(3) / SIGMA**2
        cross = np.moveaxis(curvature[:3, 3:], -1, 0)
        freed = np.linalg.solve(inner, cross)
        pull = slope[:3].T - move[block] / SIGMA**2
        information += np.moveaxis(curvature[3:, 3:], -1, 0).sum(axis=0) - np.einsum("pij,pik->jk", freed, cross)
        toward += slope[3:].sum(axis=1) - np.einsum("pij,pi->j", freed, pull)
    covariance = np.linalg.pinv(information)
    return covariance @ toward, np.sqrt(np.diag(covariance))


def turned_back(field: PoseField, scene: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Displacements that let the scene lie where delays, the antennas' directions and recorded places want it.

    Along an axis for which the samples do not tell (`TOLD`), the displacements in depth lose what grows along it.
    Depths are taken to within half a half wavelength of the recorded ones, and the mean of what is moved along x and y
    is taken away, as no samples tell it.
    """
    shift, sigma = scene_shift(field, scene, move)
    distance = _distance(field, scene)
    half = np.pi / field.wavenumber
    arm = field.place[:, :2] - field.place[:, :2].mean(axis=0)
    width = np.ptp(field.geometry.virtual_position.reshape(-1, 3)[:, :2], axis=0)
    cell = half * distance / np.maximum(width, half)
    own = distance * np.linalg.lstsq(arm, move[:, 2], rcond=None)[0]
    shift = np.where(sigma < TOLD * cell, shift, own)
    out = move.copy()
    out[:, 2] -= arm @ shift / distance
    out[:, 2] -= half * np.round(out[:, 2] / half)
    out[:, :2] -= out[:, :2].mean(axis=0)
    return out


def _shifted(field: PoseField, scene: np.ndarray) -> list[np.ndarray]:
    """Waves whose echoes are the derivatives by a turn that moves the scene along x and y, poses kept."""
    grid, distance = field.grid, _distance(field, scene)
    middle = field.place.mean(axis=0)
    out = []
    for axis, places, spacing in ((2, grid.x, grid.spacing[0]), (1, grid.y, grid.spacing[1])):
        shape = [1, 1, 1]
        shape[axis] = -1
        k = 2 * np.pi * np.fft.fftfreq(scene.shape[axis], spacing).reshape(shape)
        sideways = np.fft.ifft(-1j * k * np.fft.fft(scene, axis=axis), axis=axis)
        tilt = (places - middle[2 - axis]).reshape(shape) * scene / distance
        out.append(field.waves(sideways) + field.slopes(field.waves(tilt))[2])
    return out


def _distance(field: PoseField, scene: np.ndarray) -> float:
    """From the middle of the aperture to that of the scene, in depth [m]."""
    energy = (np.abs(scene) ** 2).sum(axis=(1, 2))
    return float(energy @ field.grid.z / energy.sum() - field.place[:, 2].mean())
