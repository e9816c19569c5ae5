r"""A start for `autofocus` where recorded positions are too wrong to see anything: phases of poses by phase retrieval.

Errors in depth turn all channels of a pose by one phase; what the channels have among themselves stays, and so does
what poses say together: that their samples are the echo of a scene that fills a small part of the grid. The samples
with a phase for every pose, and the echoes of scenes on a support, are two sets; with P_M and P_S the nearest point of
either, a point of both is sought by relaxed averaged alternating reflections (Luke, Inverse Problems 21, 2005), which
leave the traps that steps downhill end in,

    psi <- beta (psi + P_S (2 P_M psi - psi) - P_M psi) + (1 - beta) P_M psi

P_S is one step x <- S (x + F^H (psi - F x) / c) from the scene before; the support S is where the smoothed scene is
above a share of its peak (Marchesini et al., Phys. Rev. B 68, 2003), smoothed less from cycle to cycle.

What columns of the aperture have in common is told least where the scene is narrow: it smears the scene along x. So
after a cycle columns, and rows, are given the phases that make the image b sharpest, sum |b|^3: by repeating
phi = arg <F^H b_column, |b| b>, which makes it larger each time. Wide scenes are sharpened too far: without is tried,
too (`autofocus` keeps what explains more).

Phases leave open a turn of scene and poses by a small angle about the middle of the aperture: poses move by that angle
times their place, in depth; the scene moves sideways by the angle times its distance, and tilts. Delays tell it
(bandwidth), if the scene is in one plane: several make up for a delay. So the scene of one plane is turned by some
angles, phases follow by a few reflections, and the turn that explains most goes on. Then scene and poses take steps
together along all axes (`jointstep`), on all planes; where errors are smooth along the path, recorded places say the
rest of it (`continuity`).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mmsar.focus.continuity import without_common
from mmsar.focus.jointstep import ERROR_DB, INNER, THOROUGH, joint_scene_step, solve_scene
from mmsar.focus.posefield import Looks, PoseField
from mmsar.focus.posestep import Match, Prior, products

BETA = np.float32(0.8)
"""Relaxation."""
CYCLES, STEPS = 4, 60
"""Cycles, and reflections of each."""
WIDE, NARROW = 3.0, 1.0
"""Smoothing of the scene for its support in the first cycle and in the last [voxels]."""
SHARE = 0.1
"""Of the peak of the smoothed scene, above which the support is."""
EVERY = 10
"""Reflections of one support."""
SHARPEN, STILL = 40, 1e-3
"""Rounds of phases of columns at most, and below which change they end [rad]."""
POWER = 4
"""Iterations for the constant c."""
TURNED, TRIED = 20, 10
"""Reflections of a scene that was turned, and of one that is tried."""
FIRST = 1 / 12
"""First turn that is tried, by what it moves the edge of the aperture in depth, re the range cell."""
WIDEST, FINEST, TURNS = 1 / 6, 2, 10
"""The first one moves the scene by this part of the grid at most; the last one [voxels]; how many at most."""
SETTLE, COARSE, COMMON = 20, 3, (3, 6, 9)
"""Steps of scene and poses; those with few inner iterations; those before which recorded places are asked."""
LOOSER = 0.1
"""Pulls of the prior in the steps after the coarse ones, re those."""
STAGES = CYCLES + 2


def retrieve(field: PoseField, prior: Prior, done: Callable[[int], None], *, sharpen: bool) -> np.ndarray:
    """Displacements (n_pose, 3) [m] of the poses of a field; `done` is told how many of `STAGES` are over."""
    field, middle = field.coarser(ERROR_DB), field.grid.shape[0] // 2
    plane = field.plane(middle)
    seen = Retrieval(plane)
    start = scene = seen.start()
    for cycle in range(CYCLES):
        scene = seen.reflected(scene, STEPS, WIDE * (NARROW / WIDE) ** (cycle / (CYCLES - 1)))
        if sharpen:
            scene = seen.sharpened(scene)
        done(cycle + 1)
    scene = _turned(plane, scene, _middle(start) - _middle(scene))  # so that it is not lost where no delay tells
    scene = seen.upright(scene)
    done(CYCLES + 1)
    whole = np.zeros(field.grid.shape, dtype=np.complex64)
    whole[middle] = scene[0]
    move = _settled(field, whole, prior)
    done(STAGES)
    return move


class Retrieval:
    """Phases of poses and a scene in a plane, from samples of poses where they are recorded.

    Parameters
    ----------
    field : PoseField
        The scan, with the scene in one plane.
    """

    def __init__(self, field: PoseField) -> None:
        self._field, self._samples = field, field.samples
        self._looks = Looks(field, np.zeros((field.n_poses, 3)))
        rng, shape = np.random.default_rng(0), field.grid.shape
        some = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
        for _ in range(POWER):
            some = self._looks.adjoint(self._looks.forward(some / np.linalg.norm(some)))
        self._bound = np.float32(np.linalg.norm(some))
        step = np.pi / field.wavenumber / 2
        self._groups = [np.unique(np.round(field.place[:, axis] / step), return_inverse=True)[1] for axis in (0, 1)]

    def start(self) -> np.ndarray:
        """The image at the recorded positions as a scene, complex64 (1, n_y, n_x)."""
        return self._looks.adjoint(self._samples) / self._bound

    def reflected(self, scene: np.ndarray, steps: int, width: float) -> np.ndarray:
        """The scene after some reflections, with a support of a scene smoothed by so many voxels."""
        psi = echo = self._looks.forward(scene)
        for step in range(steps):
            if step % EVERY == 0:
                support = _support(scene, width)
            matched = self._matched(psi)
            scene = support * (scene + self._looks.adjoint(2 * matched - psi - echo) / self._bound)
            echo = self._looks.forward(scene)
            psi = BETA * (psi + echo - matched) + (1 - BETA) * matched
        return scene

    def sharpened(self, scene: np.ndarray) -> np.ndarray:
        """The image of the samples with the phases of a scene, and what columns and rows have in common such that it is
        sharpest."""
        samples = self._matched(self._looks.forward(scene))
        for group in self._groups:
            for _ in range(SHARPEN):
                image = self._looks.adjoint(samples)
                sharper = np.abs(image) * image / max(np.abs(image).max(), 1e-30)
                product = products(samples, self._looks.forward(sharper))
                phase = np.angle(np.bincount(group, product.real) + 1j * np.bincount(group, product.imag))
                samples = samples * np.exp(1j * phase[group]).astype(np.complex64)[None, :, None]
                if np.sqrt(np.mean(phase**2)) < STILL:
                    break
        return self._looks.adjoint(samples) / self._bound

    def explained(self, scene: np.ndarray) -> float:
        """Share of the samples that a scene explains, phases of the poses free."""
        return Match.of(self._looks.forward(scene), self._samples).share

    def upright(self, scene: np.ndarray) -> np.ndarray:
        """The scene after reflections, turned such that it then explains most."""
        field, grid = self._field, self._field.grid
        band, half = np.ptp(field.geometry.chirp.k), np.ptp(field.place[:, :2], axis=0).max() / 2
        if not (band > 0 and half > 0):
            return scene
        size = FIRST * np.pi / band / half * _distance(field) / np.array(grid.spacing[:2])
        size = np.round(np.clip(size, FINEST, np.maximum(WIDEST * np.array(grid.shape[:0:-1]), FINEST))).astype(int)

        def share(scene: np.ndarray, voxels: np.ndarray) -> float:
            return self.explained(self.reflected(_turned(field, scene, voxels), TRIED, NARROW))

        for _ in range(TURNS):
            scene = self.reflected(scene, TURNED, NARROW)
            most = share(scene, np.zeros(2, dtype=int))
            below, above = (
                np.array([share(scene, sign * size * axis) for axis in np.eye(2, dtype=int)]) for sign in (-1, 1)
            )
            bend = np.maximum(2 * most - below - above, 1e-12)
            step = np.round(np.clip((above - below) / (2 * bend), -1, 1) * size).astype(int)
            scene = _turned(field, scene, step)
            if np.all(size <= FINEST):
                break
            if np.all(np.abs(step) < size):
                size = np.maximum(size // 2, FINEST)
        return self.reflected(scene, TURNED, NARROW)

    def _matched(self, psi: np.ndarray) -> np.ndarray:
        """P_M: the samples, every pose with the phase that is nearest."""
        turn = np.exp(-1j * np.angle(products(psi, self._samples))).astype(np.complex64)
        return self._samples * turn[None, :, None]


def _support(scene: np.ndarray, width: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    power = gaussian_filter(np.abs(scene) ** 2, (0, width, width))
    return power > SHARE**2 * power.max()


def _settled(field: PoseField, scene: np.ndarray, prior: Prior) -> np.ndarray:
    """Displacements (n_pose, 3) [m] after steps of scene and poses together, from where they are recorded."""
    move = np.zeros((field.n_poses, 3))
    loose = replace(prior, smooth=LOOSER * prior.smooth, hold=LOOSER * prior.hold)
    for step in range(SETTLE):
        if step in COMMON and (common := without_common(field, move)) is not None:
            move = common[0]
            if common[1] > 0:
                scene = solve_scene(field, move)
        if step < COARSE:
            scene, move = joint_scene_step(field, scene, move, prior, inner=INNER)
        else:
            scene, move = joint_scene_step(field, scene, move, loose, inner=THOROUGH)
    return move


def _distance(field: PoseField) -> float:
    return float(field.grid.centre[2] - field.place[:, 2].mean())


def _turned(field: PoseField, scene: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """The scene that poses see that were turned with it, such that it moves by whole voxels (2,) along x and y; what
    leaves the grid is lost."""
    from scipy.ndimage import shift

    grid = field.grid
    slope = voxels * np.array(grid.spacing[:2]) / _distance(field)
    x, y = (grid.origin[i] + np.arange(grid.shape[2 - i]) * grid.spacing[i] for i in (0, 1))
    phase = -2 * field.wavenumber * (slope[0] * x[None, :] + slope[1] * y[:, None])
    return shift(scene, (0, *voxels[::-1]), order=0) * np.exp(1j * phase).astype(np.complex64)


def _middle(scene: np.ndarray) -> np.ndarray:
    """Where the power of a scene has its middle, whole voxels (2,) along x and y."""
    power = np.sum(np.abs(scene) ** 2, axis=0)
    along = (np.sum(power, axis=axis) for axis in (0, 1))
    return np.array([round(float(np.arange(len(p)) @ p / max(p.sum(), 1e-30))) for p in along])
