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
bandwidth only, and does no harm to the image. Lateral displacements are told less well than depth, and matter as much
less. From which errors it finds back depends on the scene: docs/autofocus.md has the measured table.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import finite_number, instance, positive_int
from mmsar.core.progress import counter
from mmsar.errors import GeometryError
from mmsar.focus.posefield import PoseField
from mmsar.metrics.focus import entropy
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry, Scan
from mmsar.model.trajectory import Trajectory
from mmsar.recon.sparse import shrunk
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
    """Poses over which the mean of neighbours is taken (standard deviation of the Gaussian weights)."""
    smooth: float = 0.1
    """a: pull to that mean, re the mean information of a pose; 0 for errors that are independent from pose to pose."""
    hold: float = 0.05
    """b: pull to the recorded place, re the mean information of a pose."""
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
        """Whether the brightest parts explain more of the samples, or as much in a far more compact image, of a grid
        that holds a target."""
        if not self.held:
            return False
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
    field = PoseField(geometry, signal, grid, reach=options.reach, memory=options.memory)
    move = np.zeros((field.n_poses, 3))
    image = field.image(move)
    if not np.abs(image).max() > 0:
        raise GeometryError("align autofocus: got an image of zeros on this grid, wanted one that holds a target")
    before = entropy(image), _explained(field, image, move)
    with counter("focus", options.iterations, options.progress) as done:
        for i in range(options.iterations):
            scene = soft_threshold(image, FIRST * (LAST / FIRST) ** min(1.0, i / (SETTLING * options.iterations)))
            move = _step(field, scene, move, options)
            image = field.image(move)
            done(i + 1)
    return Autofocus(
        move=move,
        entropy=(before[0], entropy(image)),
        bright=(before[1], _explained(field, image, move)),
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


def soft_threshold(image: np.ndarray, share: float) -> np.ndarray:
    """Magnitudes less `share` of the largest, at least 0, phases kept; complex64."""
    return shrunk(image, np.float32(share * np.abs(image).max())).astype(np.complex64, copy=False)


def _explained(field: PoseField, image: np.ndarray, move: np.ndarray) -> float:
    """Share of the samples' energy that the echo of the brightest voxels explains, with the best gain."""
    product, own, measured = 0j, 0.0, 0.0
    for poses, echo, _ in field.echoes(soft_threshold(image, BRIGHT), move):
        samples = field.samples[:, poses]
        product += np.vdot(echo, samples)
        own, measured = own + float(np.vdot(echo, echo).real), measured + float(np.vdot(samples, samples).real)
    return float(abs(product) ** 2 / (own * measured)) if own * measured > 0 else 0.0


def _step(field: PoseField, scene: np.ndarray, move: np.ndarray, options: AutofocusOptions) -> np.ndarray:
    """One Gauss-Newton step of all poses."""
    blocks, products = [], []
    for poses, echo, gradient in field.echoes(scene, move):
        samples = field.samples[:, poses]
        product = np.einsum("mpc,mpc->p", echo.conj(), samples)
        turned = samples * np.exp(-1j * np.angle(product)).astype(np.complex64)[None, :, None]
        lag = 1j * np.angle(product).astype(np.float32)[None, :, None] * echo
        toward = [np.einsum("mpci,mpc->pi", gradient.conj(), part).real for part in (turned, lag - echo)]
        blocks.append((toward, np.einsum("mpci,mpcj->pij", gradient.conj(), gradient).real))
        products.append((np.abs(product).sum(), np.vdot(echo, echo).real))
    matched, own = np.sum(products, axis=0)
    beta = matched / own
    slope = np.concatenate([beta * a + beta**2 * b for (a, b), _ in blocks])
    curvature = beta**2 * np.concatenate([h for _, h in blocks])
    scale = np.trace(curvature.sum(axis=0)) / (3 * len(move))
    slope, curvature = slope / scale, curvature / scale
    pull = options.smooth * (move - _neighbours(move, options.neighbours)) + options.hold * move
    normal = curvature + (options.smooth + options.hold) * np.eye(3)
    step = np.linalg.solve(normal, (slope - pull)[..., None])[..., 0]
    longest = np.pi / (2 * field.geometry.chirp.k.max())  # a quarter of a wavelength: half a turn of the phase
    return np.clip(move + np.clip(step, -longest, longest), -options.reach, options.reach)


def _neighbours(move: np.ndarray, width: float) -> np.ndarray:
    """Mean over the neighbours of every pose, itself included, with Gaussian weights."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(move, width, axis=0, mode="nearest")
