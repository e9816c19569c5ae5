r"""Autofocus: displacements of every pose along x, y and z, from the samples of a planar or freehand scan themselves.

First the scene is taken to be sparse in its image: what stands out of sidelobes and defocus is the scene, the rest is
not. Repeated are (alternating minimisation of |s - F_d x|^2 over scene x and displacements d)

    1  x = soft(F_d^H s, tau)        the image at the present poses, less tau times its peak, at least 0; phase kept
    2  e = F_d x, G = de/dd          its echo at every channel, and how it changes with the pose (`posefield`)
    3  phi_p = arg <e_p, s_p>        the phase by which a pose is off, over its whole range -pi to pi
       d_p += (H_p + a + b)^-1 (Re G_p^H (s_p exp(-j phi_p) - beta e_p + j phi_p beta e_p) - a (d_p - mean) - b d_p)
       H_p = beta^2 Re(G_p^H G_p)

a Gauss-Newton step whose phase is exact where a plain one would linearise it. tau falls from `FIRST` to `LAST`: first
the brightest targets focus, then the weaker ones join. The prior pulls a pose to the mean of its neighbours in time
(a: hands and carriages move smoothly) and to where it was recorded (b), both as shares of the mean information H that
a pose has along an axis; so what the echoes do not tell stays as it was.

Then scene and poses take `SETTLE` steps together, the scene by least squares (`jointstep`): so surfaces without any
point focus, too, which thresholds break into spots. With `AutofocusOptions.blind` there are other starts, for errors
that leave nothing to start from: phases of the poses by phase retrieval (`retrieval`). What is found is refined by
delays (`unwrap`): depths are then known beyond half a wavelength, and with them where the scene lies.

What came of it is judged by samples that were not asked (`holdout`): the scene from half of the poses must explain what
the others saw. Of the starts the one is kept that explains most, and it counts as improved if it explains clearly more
than the recorded positions.

What the samples do not tell: a displacement common to all poses moves the image; one that grows in proportion to x or
y tilts the aperture, which moves it too. A wrong number of half wavelengths along the line of sight is told by the
bandwidth only, and does no harm to the image. Lateral displacements are told less well than depth, and matter as much
less. From which errors it finds back depends on the scene: docs/autofocus.md has the measured tables.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import finite_number, instance, positive_int
from mmsar.core.parallel import one_blas_thread
from mmsar.core.progress import counter
from mmsar.errors import GeometryError
from mmsar.focus.holdout import explained
from mmsar.focus.jointstep import BESIDE, ERROR_DB, joint_scene_step, solve_scene
from mmsar.focus.posefield import PoseField, deeper
from mmsar.focus.posestep import Prior, joint_step, match, soft_threshold
from mmsar.focus.retrieval import STAGES, retrieve
from mmsar.focus.unwrap import PARTS, refined
from mmsar.metrics.focus import entropy
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry, Scan
from mmsar.model.trajectory import Trajectory
from mmsar.signal.calibrate import apply_calibration
from mmsar.signal.cylinder import round_of

FIRST, LAST = 0.08, 0.02
"""Threshold tau in the first iteration and in the last, re the peak of the image."""
SETTLING = 2 / 3
"""Share of the iterations over which it falls."""
SETTLE = 12
"""Steps of scene and poses together after that."""
GAINED, OTHER = 1.3, 1.1
"""By which factor samples must be explained better to count as improved (`_gain`), and for one start, or what is not
refined, to be preferred to another."""
UNSURE = 0.2
"""Share of what a scene does not explain of its own poses that is taken to be there to explain: poses moved to suit
noise explain some hundredths more of it."""
ENOUGH = 0.99
"""Share of the samples with which no other start is tried."""
KEPT = 0.9
"""Share of what the brightest parts explained that they still must."""
CUT = 0.6
"""Mean intensity of the brightest edge of the grid, re the mean of all, from which on the grid cuts the scene."""
LEAST = 0.01
"""Share of the samples that the brightest parts must explain as recorded: poses can be moved until an empty grid is
bright, too."""
LOOSER, LOCAL = 0.1, 0.5
"""Pulls of the prior, and over how many neighbours, of a blind start, re the ordinary: errors are larger."""
BRIGHT = 0.3
"""Voxels above this share of the peak are the brightest."""


@dataclass(frozen=True, kw_only=True)
class AutofocusOptions:
    """How `autofocus` looks.

    Raises
    ------
    GeometryError
        A value out of its range.
    """

    iterations: int = 30
    """Iterations with thresholds; each images once and makes four echoes."""
    neighbours: float = 10.0
    """Poses over which the mean of neighbours is taken (standard deviation of the Gaussian weights); half as many
    from a blind start."""
    smooth: float = 0.1
    """a: pull to that mean, re the mean information of a pose, a tenth from a blind start; 0 for errors that are
    independent from pose to pose."""
    hold: float = 0.05
    """b: pull to the recorded place, re the mean information of a pose."""
    blind: bool = False
    """Where less than `ENOUGH` comes to be explained, retrieve phases from nothing, too, and keep what explains more:
    for errors so large that nothing is seen at the recorded positions. Ten times as long and more."""
    behind: float = 0.0
    """How far behind the grid there may be something else that is bright [m], such as a wall: from a blind start, the
    scene gets planes there if these explain clearly more. It shall not be made up for by moving poses."""
    reach: float = 5e-3
    """Largest displacement along an axis [m]."""
    memory: int | None = None
    """Budget [bytes]; default half of what is free."""
    progress: bool | None = None
    """Progress bar: True, False, or only on a terminal."""

    def __post_init__(self) -> None:
        positive_int("AutofocusOptions.iterations", self.iterations)
        finite_number("AutofocusOptions.neighbours", self.neighbours, "poses", above=0.0)
        finite_number("AutofocusOptions.reach", self.reach, "m", above=0.0)
        for name, unit in (("smooth", "1"), ("hold", "1"), ("behind", "m")):
            if finite_number(f"AutofocusOptions.{name}", getattr(self, name), unit) < 0:
                raise GeometryError(f"AutofocusOptions.{name}: got {getattr(self, name):g}, wanted 0 or more")
        if self.hold == 0 and self.smooth == 0:
            raise GeometryError("AutofocusOptions.hold: got 0 with smooth 0, wanted one of them above 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Autofocus:
    """What `autofocus` found."""

    move: np.ndarray
    """What to add to the recorded position of every pose [m], (n_pose, 3)."""
    entropy: tuple[float, float]
    """Entropy of the image's intensity as recorded and as focused [nat]; exp of it is a number of voxels lit."""
    bright: tuple[float, float]
    """Share of the samples' energy that the voxels above `BRIGHT` explain, as recorded and as focused."""
    fit: tuple[float, float]
    """Share that the scene explains in poses that it was not made of, as recorded and as focused (`holdout`)."""
    edge: float
    """Mean intensity along the brightest edge of the grid, re the mean of all, as focused."""
    blind: bool
    """Whether the displacements come from a blind start."""
    iterations: int
    """Iterations done."""
    grid: ImageGrid
    """Where the scene was looked for."""

    @property
    def rms(self) -> np.ndarray:
        """Root mean square of the displacements along x, y, z [m], (3,)."""
        return np.sqrt(np.mean(self.move**2, axis=0))

    @property
    def held(self) -> bool:
        """Whether the grid holds what the samples are of: its brightest parts explain some of them as recorded."""
        return self.bright[0] >= LEAST

    @property
    def cut(self) -> bool:
        """Whether the grid cuts what is bright: so it is at its edge."""
        return self.edge > CUT

    @property
    def improved(self) -> bool:
        """Whether it is worth having.

        The grid holds a target and does not cut it (what lies beyond is made up for by moving poses), the scene
        explains the samples better by `GAINED`, and its brightest parts no less.
        """
        whole = self.held and not self.cut
        return whole and _gain(*self.fit) >= GAINED and self.bright[1] >= KEPT * self.bright[0]


def autofocus(scan: Scan, grid: ImageGrid, *, options: AutofocusOptions | None = None) -> Autofocus:
    """Find displacements of the poses that focus the image of a planar or freehand scan.

    Parameters
    ----------
    scan : Scan
        Any array; a calibration it carries is applied first. A pose needs some channels or samples to be told by: an
        array of several channels is told best.
    grid : ImageGrid
        A plane or volume that holds the brightest targets, with at most half a resolution cell between voxels; it need
        not be the one to image on.
    options : AutofocusOptions, optional
        Iterations, smoothness, memory.

    Raises
    ------
    GeometryError
        A scan round a target, a far-field scan, a grid that is not in front of the antennas, or samples that are zero
        there.
    MmsarError
        More memory needed than the budget.
    """
    instance("scan", scan, Scan, "mmsar.load_scan reads one from a file")
    instance("grid", grid, ImageGrid, "ImageGrid.from_extent makes one")
    if scan.attrs.get("far_field"):
        raise GeometryError("align autofocus: got a far-field scan, wanted one with the places of its antennas")
    scan = scan if scan.calibration is None else apply_calibration(scan)
    return focus_samples(scan.geometry, scan, grid, options=options)


@one_blas_thread()
def focus_samples(
    geometry: Geometry, signal: Any, grid: ImageGrid, *, options: AutofocusOptions | None = None
) -> Autofocus:
    """The same for a geometry and its samples (n_pose, n_tx, n_rx, n_samples), calibrated."""
    options = options or AutofocusOptions()
    if round_of(geometry) is not None:
        raise GeometryError(
            "align autofocus: got a scan round a target, wanted a planar or freehand one; use --rotation for its axis"
        )
    field = PoseField(geometry, signal, grid, reach=options.reach, memory=options.memory, beside=BESIDE)
    whole = field
    if options.blind and options.behind > 0:  # now, as there may not be the memory for it
        behind, room = deeper(grid, options.behind), field.left_of_budget
        whole = PoseField(geometry, signal, behind, reach=options.reach, memory=room, beside=BESIDE)
    recorded = np.zeros((field.n_poses, 3))
    image = field.image(recorded)
    if not np.abs(image).max() > 0:
        raise GeometryError("align autofocus: got an image of zeros on this grid, wanted one that holds a target")
    before = explained(field, recorded)
    prior = Prior(smooth=options.smooth, hold=options.hold, width=options.neighbours, reach=options.reach)
    with counter("focus", options.iterations + SETTLE, options.progress) as done:
        move = _alternate(field, image, prior, options.iterations, done)
        move = _settled(field, move, prior, lambda step: done(options.iterations + step))
    after, blind = explained(field, move), False
    if options.blind and after < ENOUGH:
        smooth, hold = LOOSER * prior.smooth, LOOSER * prior.hold
        prior = replace(prior, smooth=smooth, hold=hold, width=LOCAL * prior.width)
        with counter("blind", 2 * STAGES + PARTS, options.progress) as done:
            for over, sharpen in ((0, True), (STAGES, False)):
                other = retrieve(field, prior, lambda stage, over=over: done(over + stage), sharpen=sharpen)
                fit = explained(field, other)
                if _gain(after, fit, _own(field, move, other)) >= (1.0 if blind else OTHER):
                    move, after, blind = other, fit, True
            seen = field
            if whole is not field and _gain(after, fit := explained(whole, move)) >= GAINED:
                seen, before, after = whole, explained(whole, recorded), fit
            other = refined(seen, move, prior, lambda part: done(2 * STAGES + part))
            fit = explained(seen, other)
            if _gain(fit, after) < OTHER:
                move, after = other, fit
    focused = field.image(move)
    return Autofocus(
        move=move,
        entropy=(entropy(image), entropy(focused)),
        bright=(_bright(field, image, recorded), _bright(field, focused, move)),
        fit=(before, after),
        edge=_edge(focused),
        blind=blind,
        iterations=options.iterations,
        grid=grid,
    )


def apply_autofocus(scan: Scan, found: Autofocus) -> Scan:
    """The scan with displaced poses, and a step in its history; its samples are not touched.

    Raises
    ------
    GeometryError
        Another number of poses than were focused.
    """
    if len(found.move) != len(scan.trajectory):
        raise GeometryError(
            f"align autofocus: got {len(found.move)} displacements, wanted {len(scan.trajectory)}, one per pose"
        )
    path = scan.trajectory
    moved = Trajectory(time=path.time, position=path.position + found.move, rotation=path.rotation)
    return replace(scan, trajectory=moved).with_step(
        step="align autofocus",
        version=__version__,
        rms=[float(v) for v in found.rms],
        entropy=list(found.entropy),
        bright=list(found.bright),
        fit=list(found.fit),
        iterations=found.iterations,
    )


def _alternate(
    field: PoseField, image: np.ndarray, prior: Prior, iterations: int, done: Callable[[int], None]
) -> np.ndarray:
    """Displacements (n_pose, 3) [m] by thresholds, from the image at the recorded positions."""
    move = np.zeros((field.n_poses, 3))
    for i in range(iterations):
        threshold = FIRST * (LAST / FIRST) ** min(1.0, i / (SETTLING * iterations))
        if i > 0:
            image = field.image(move)
        move = joint_step(field, image, move, threshold, prior)
        done(i + 1)
    return move


def _settled(field: PoseField, move: np.ndarray, prior: Prior, done: Callable[[int], None]) -> np.ndarray:
    """Displacements after steps of scene and poses together."""
    field = field.coarser(ERROR_DB)
    scene = solve_scene(field, move)
    for step in range(SETTLE):
        scene, move = joint_scene_step(field, scene, move, prior)
        done(step + 1)
    return move


def _own(field: PoseField, *moves: np.ndarray) -> float:
    """The share of the samples that a scene explains of its own poses, with the displacements of which it is most: more
    is not to be explained where there is noise."""
    field = field.coarser(ERROR_DB)
    return max(match(field, field.waves(solve_scene(field, move)), move).share for move in moves)


def _gain(before: float, after: float, own: float = 1.0) -> float:
    """How many times as much is explained, or as little is left: the larger; below 1 if less is explained. What is left
    is so of `own`, and of some of the rest, as that is not sure."""
    if after < before:
        return after / before
    own = max(own, after) + UNSURE * (1 - max(own, after))
    return max(after / max(before, 1e-12), (own - before) / max(own - after, 1e-12))


def _edge(image: np.ndarray) -> float:
    """Mean intensity along the brightest edge of an image, re the mean of all; edges that are no small part of it."""
    power = np.sum(np.abs(image) ** 2, axis=0)
    sides = [side for across in (power, power.T) if len(across) >= 16 for side in (across[:2], across[-2:])]
    return float(max((side.mean() for side in sides), default=0.0) / power.mean())


def _bright(field: PoseField, image: np.ndarray, move: np.ndarray) -> float:
    """Share of the samples that the brightest parts of an image explain."""
    fit = match(field, field.waves(soft_threshold(image, BRIGHT)), move)
    own, measured = fit.own.sum(), fit.measured.sum()
    return float(abs(fit.product.sum()) ** 2 / (own * measured)) if own * measured > 0 else 0.0
