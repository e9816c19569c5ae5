r"""Autofocus: displacements of every pose along x, y and z, from the samples of a planar or freehand scan themselves.

The scene is taken to be sparse in its image: what stands out of sidelobes and defocus is the scene, the rest is not.
Repeated are (alternating minimisation of |s - F_d x|^2 over scene x and displacements d)

    1  x = soft(F_d^H s, tau)        the image at the present poses, less tau times its peak, at least 0; phase kept
    2  e = F_d x, G = de/dd          its echo at every channel, and how it changes with the pose (`posefield`)
    3  phi_p = arg <e_p, s_p>        the phase by which a pose is off, over its whole range -pi to pi
       d_p += (H_p + a + b)^-1 (Re G_p^H (s_p exp(-j phi_p) - beta e_p + j phi_p beta e_p) - a (d_p - mean) - b d_p)
       H_p = beta^2 Re(G_p^H G_p)

a Gauss-Newton step whose phase is exact where a plain one would linearise it. tau falls from `FIRST` to `LAST`: first
the brightest targets focus, then the weaker ones join. The prior pulls a pose to the mean of its neighbours in time
(a: hands and carriages move smoothly) and to where it was recorded (b), both as shares of the mean information H that
a pose has along an axis; so what the echoes do not tell stays as it was.

It is made for scenes of targets that many poses see: points, edges, rough or small objects. A large smooth plate shows
every pose a glint of its own, fits poses of almost any smooth error, and would be broken into spots; so the result says
how compact the image is (its entropy) and how much of the samples its brightest parts explain, before and after: in
spots they explain less, in focus more, or as much with far fewer voxels; only that counts as improved.

What the samples do not tell: a displacement common to all poses moves the image; one that grows in proportion to x or
y tilts the aperture, which moves it too. A wrong number of half wavelengths along the line of sight is told by the
bandwidth only, and does no harm to the image. With `AutofocusOptions.grow` there is a second start, for errors that
leave nothing to start from: a small aperture that grows (`growth`), its scene by least squares. Lateral displacements
are told less well than depth, and matter as much less. From which errors it finds back depends on the scene:
docs/autofocus.md has the measured tables.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import finite_number, instance, positive_int
from mmsar.core.progress import counter
from mmsar.errors import GeometryError
from mmsar.focus.growth import BESIDE, grow, outward
from mmsar.focus.posefield import PoseField, places
from mmsar.focus.posestep import Prior, joint_step, match, soft_threshold
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
BRIGHTER = 1.03
"""Factor by which the brightest parts must explain more of the samples for the scan to count as improved."""
COMPACTER, KEPT = 0.4, 0.95
"""Or: the entropy falls by this [nat], and the brightest parts explain this share of what they did."""
LEAST = 0.01
"""Share of the samples that they must explain as recorded: poses can be moved until an empty grid is bright, too."""
ENOUGH = 0.95
"""Share of the samples that the voxels above `LAST` explain with which no aperture has to grow."""
LOOSER, LOCAL = 0.4, 0.5
"""Pulls of the prior, and over how many neighbours, while an aperture grows, re the ordinary: errors are larger."""
STILL = 1.1
"""Where one grew, its image is taken if it explains more, or if it is more compact and leaves at most so many times as
much unexplained."""
LEFT, TIMES, FAR = 0.7, 2.0, 1.5
"""Where one grew, at most this share of what was not explained may stay so; or, as nothing explains noise, so many
times as much must be explained, or more by an image whose entropy has fallen by this [nat]."""
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
    """Iterations; each images once and makes four echoes."""
    neighbours: float = 10.0
    """Poses over which the mean of neighbours is taken (standard deviation of the Gaussian weights); half as many while
    an aperture grows."""
    smooth: float = 0.1
    """a: pull to that mean, re the mean information of a pose, `LOOSER` while an aperture grows; 0 for errors that are
    independent from pose to pose."""
    hold: float = 0.05
    """b: pull to the recorded place, re the mean information of a pose."""
    grow: bool = False
    """Where less than `ENOUGH` comes to be explained, start from a small aperture that grows, too, and keep what
    explains more: for errors so large that nothing is seen at the recorded positions. Some ten times as long."""
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
        for name in ("smooth", "hold"):
            if finite_number(f"AutofocusOptions.{name}", getattr(self, name), "1") < 0:
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
    """Share that all voxels above `LAST` explain, as recorded and as focused."""
    grown: bool
    """Whether the displacements come from an aperture that grew."""
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
    def improved(self) -> bool:
        """Whether it is worth having, of a grid that holds a target.

        The brightest parts explain more of the samples, or as much in a far more compact image. Where the aperture
        grew, which can make spots of anything, it is what all voxels explain that must be more.
        """
        if not self.held:
            return False
        if self.grown:
            return _worth(self.entropy, self.fit)
        gain, fall = self.bright[1] / max(self.bright[0], 1e-12), self.entropy[0] - self.entropy[1]
        return (gain >= BRIGHTER and fall >= 0) or (gain >= KEPT and fall >= COMPACTER)


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


def focus_samples(
    geometry: Geometry, signal: Any, grid: ImageGrid, *, options: AutofocusOptions | None = None
) -> Autofocus:
    """The same for a geometry and its samples (n_pose, n_tx, n_rx, n_samples), calibrated."""
    options = options or AutofocusOptions()
    if round_of(geometry) is not None:
        raise GeometryError(
            "align autofocus: got a scan round a target, wanted a planar or freehand one; use --rotation for its axis"
        )
    order = outward(places(geometry)) if options.grow else None
    beside = BESIDE if options.grow else (0, 0)
    field = PoseField(geometry, signal, grid, reach=options.reach, memory=options.memory, order=order, beside=beside)
    move = np.zeros((field.n_poses, 3))
    image = field.image(move)
    if not np.abs(image).max() > 0:
        raise GeometryError("align autofocus: got an image of zeros on this grid, wanted one that holds a target")
    before = _measures(field, image, move)
    prior = Prior(smooth=options.smooth, hold=options.hold, width=options.neighbours, reach=options.reach)
    move, image = _alternate(field, move, image, prior, options)
    after = _measures(field, image, move)
    grown = False
    if options.grow and after[2] < ENOUGH:
        smooth, hold = LOOSER * prior.smooth, LOOSER * prior.hold
        prior = replace(prior, smooth=smooth, hold=hold, width=LOCAL * prior.width)
        with counter("grow", field.n_poses, options.progress) as done:
            other = grow(field, prior, done)
        measures = _measures(field, field.image(other), other)
        worth = _worth((before[0], measures[0]), (before[2], measures[2]))
        if worth and _better(measures, after):
            move, after, grown = other, measures, True
    in_time = np.empty_like(move)
    in_time[field.order] = move
    return Autofocus(
        move=in_time,
        entropy=(before[0], after[0]),
        bright=(before[1], after[1]),
        fit=(before[2], after[2]),
        grown=grown,
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
        iterations=found.iterations,
    )


def _alternate(
    field: PoseField, move: np.ndarray, image: np.ndarray, prior: Prior, options: AutofocusOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate from displacements and their image: new displacements and image."""
    with counter("focus", options.iterations, options.progress) as done:
        for i in range(options.iterations):
            threshold = FIRST * (LAST / FIRST) ** min(1.0, i / (SETTLING * options.iterations))
            move = joint_step(field, image, move, threshold, slice(0, field.n_poses), prior)
            image = field.image(move)
            done(i + 1)
    return move, image


def _worth(entropy: tuple[float, float], fit: tuple[float, float]) -> bool:
    """Whether an aperture that grew explains so much more than before that its image is no mere spots."""
    before, after = fit
    much = 1 - after <= LEFT * (1 - before) or after >= TIMES * before
    return much or (after > before and entropy[0] - entropy[1] >= FAR)


def _better(grown: tuple[float, float, float], plain: tuple[float, float, float]) -> bool:
    """Whether an aperture that grew explains more, or about as much by a more compact image, of `_measures`."""
    return grown[2] > plain[2] or (grown[0] < plain[0] and 1 - grown[2] <= STILL * (1 - plain[2]))


def _measures(field: PoseField, image: np.ndarray, move: np.ndarray) -> tuple[float, float, float]:
    """Entropy of an image, and the shares of the samples that its brightest and that all its parts explain."""
    shares = []
    for threshold in (BRIGHT, LAST):
        fit = match(field, field.waves(soft_threshold(image, threshold)), move)
        own, measured = fit.own.sum(), fit.measured.sum()
        shares.append(float(abs(fit.product.sum()) ** 2 / (own * measured)) if own * measured > 0 else 0.0)
    return entropy(image), shares[0], shares[1]
