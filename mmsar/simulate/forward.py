"""The exact bistatic Born forward model: what a radar records of a scene of point scatterers.

    s[p, t, r, n] = polarity[t, r] sum_i sigma_i A_i exp(+j k_n (R_tx + R_rx) - j pi K tau^2),   k = 2 pi f / c

R_tx, R_rx are exact distances of the point from the phase centres where they were when that transmitter fired (poses,
rotation and TDM slots included); A = 1 by default, or spreading 1 / (R_tx R_rx), element patterns, the law of a surface
with a normal, and 0 where a triangle of the scene hides the point from either antenna. No approximation other than
Born's: no multiple scattering, and no point is left out by range (one beyond the unambiguous range aliases, as it
would). The last phase is the residual video phase, tau = (R_tx + R_rx) / c, K the slope; off by
default (algorithm papers drop it).

The recorded positions of a `Scan` are the nominal ones of the trajectory; position errors and drift move the antennas
only in the simulated world.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.constants import C0
from mmsar.core.backend import open_devices
from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.core.memory import budget, require
from mmsar.core.progress import progress
from mmsar.errors import GeometryError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Geometry, Scan
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.device_forward import ForwardOnDevice
from mmsar.simulate.noise import add_noise, drift_error, smooth_error, white_error
from mmsar.simulate.pattern import Pattern
from mmsar.simulate.scene import Scene
from mmsar.simulate.shadows import sight

_CHUNK = 5e8
"""Channel x point x frequency terms between two looks at the clock and the keyboard."""
_DEVICE_CHUNK = 2e11
"""The same on devices."""
_ZERO = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class SimulationOptions:
    """What a simulation includes beside the phase of the paths.

    Raises
    ------
    GeometryError
        A value out of range, with its unit.
    """

    tx_delay: Sequence[float] | None = None
    """Delay of every transmitter's TDM slot after the pose's time [s], (n_tx,). Default 0."""
    amplitude: bool = False
    """Spreading loss 1 / (R_tx R_rx), R in metres."""
    pattern: str | float | Pattern = "isotropic"
    """"isotropic", the exponent n >= 0 of a field pattern cos^n about the board's +z, or a `Pattern`, for TX and RX."""
    shadows: bool = True
    """Whether the triangles of a scene that has some hide what is behind them."""
    shadow_angle: float = np.deg2rad(2.0)
    """What is hidden is worked out anew when an antenna has moved by this angle, seen from the scene [rad]."""
    snr_db: float | None = None
    """Thermal noise: mean signal power over mean noise power of one sample [dB]. Default none."""
    position_error: Sequence[float] = _ZERO
    """RMS x, y, z of a smooth wander of the true positions about the recorded ones [m]."""
    error_cycles: float = 20.0
    """How often the smooth wander swings over the whole scan."""
    position_jitter: Sequence[float] = _ZERO
    """RMS x, y, z of an independent error of every true position [m]."""
    drift: Sequence[float] = _ZERO
    """Linear drift of the true position, reached at the last pose [m] (x, y, z)."""
    rvp: bool = False
    """Residual video phase -pi slope tau^2 of a dechirped FMCW sweep."""
    seed: int = 0
    """Seed of everything random; noise, wander and jitter draw from separate streams."""
    progress: bool | None = None
    """Progress bar: True, False, or only on a terminal."""
    memory: int | None = None
    """Memory budget [bytes]; default half of what is free."""
    device: str = "cpu"
    """Where the sum over points is made, see `core.backend.resolve_device`; GPUs sum in single precision (-85 dB)."""

    def __post_init__(self) -> None:
        for name in ("position_error", "position_jitter", "drift"):
            value = real_array(f"SimulationOptions.{name}", getattr(self, name), (3,), "m")
            object.__setattr__(self, name, tuple(float(v) for v in value))
        if self.tx_delay is not None:
            delay = real_array("SimulationOptions.tx_delay", self.tx_delay, (None,), "s")
            object.__setattr__(self, "tx_delay", tuple(float(v) for v in delay))
        if self.snr_db is not None:
            object.__setattr__(self, "snr_db", finite_number("SimulationOptions.snr_db", self.snr_db, "dB"))
        cycles = finite_number("SimulationOptions.error_cycles", self.error_cycles, "cycles", above=0.0)
        object.__setattr__(self, "error_cycles", cycles)
        element = Pattern.of(self.pattern)
        if not isinstance(self.pattern, Pattern | str):
            object.__setattr__(self, "pattern", element.exponent)
        angle = finite_number("SimulationOptions.shadow_angle", self.shadow_angle, "rad", above=0.0)
        object.__setattr__(self, "shadow_angle", angle)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise GeometryError(f"SimulationOptions.seed: got {self.seed!r}, wanted a whole number >= 0")
        object.__setattr__(self, "seed", int(self.seed))

    @property
    def element(self) -> Pattern:
        """The element pattern as a value."""
        return Pattern.of(self.pattern)

    def notes(self) -> dict[str, Any]:
        """The fields that change samples, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("progress", "memory")}
        values["pattern"] = self.pattern.name if isinstance(self.pattern, Pattern) else self.pattern
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


@dataclass(frozen=True)
class _Unwritten:
    """Stands for a signal that is not there yet, so that a `Scan` can work out its geometry."""

    shape: tuple[int, ...]
    dtype: np.dtype = np.dtype(np.complex64)  # noqa: RUF009 - an immutable value


def simulate(
    scene: Scene,
    *,
    chirp: Chirp,
    array: AntennaArray,
    trajectory: Trajectory,
    options: SimulationOptions = SimulationOptions(),
) -> Scan:
    """Record a scene with an array moved along a trajectory.

    Parameters
    ----------
    scene : Scene
        Point scatterers, and the triangles that hide them.
    chirp, array, trajectory
        The measurement; any poses, rotations and arrays. The `Scan` keeps this trajectory as its record.
    options : SimulationOptions
        TDM slots, amplitude, patterns, noise, position errors, seed.

    Returns
    -------
    Scan
        Samples complex64 (n_pose, n_tx, n_rx, n_samples), feed polarity included; the same arguments give the same
        samples.

    Raises
    ------
    GeometryError
        Parts that disagree, or a point on an antenna where the amplitude has no value.
    MmsarError
        More memory needed than the budget allows.

    Examples
    --------
    >>> import mmsar
    >>> from mmsar.simulate.scene import Scene
    >>> chirp = mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=16)
    >>> path, board = mmsar.Trajectory.linear(20, 1e-3), mmsar.AntennaArray.iwr1443()
    >>> scan = mmsar.simulate(Scene.points([[0.0, 0.0, 0.3]]), chirp=chirp, array=board, trajectory=path)
    >>> scan.shape
    (20, 2, 4, 16)
    """
    shape = (len(trajectory), array.n_tx, array.n_rx, chirp.n_samples)
    n_channel = shape[0] * shape[1] * shape[2]
    samples = 8 * n_channel * shape[3] * (1 if options.snr_db is None else 2)
    require(
        "simulate", samples + 200 * n_channel, budget(options.memory), "simulate fewer poses or raise the memory budget"
    )
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3)]
    scan = Scan(signal=_Unwritten(shape), chirp=chirp, array=array, trajectory=trajectory, tx_delay=options.tx_delay)
    true = replace(scan, trajectory=_true_trajectory(trajectory, options, streams[1], streams[2]))
    signal = forward(true.geometry, scene, options=options, board=_board(true))
    if options.snr_db is not None:
        signal = add_noise(signal, options.snr_db, rng=streams[0])
    return scan.with_signal(signal).with_step(
        step="simulate", version=__version__, scene=scene.name, n_points=len(scene), **options.notes()
    )


def forward(
    geometry: Geometry,
    scene: Scene,
    *,
    options: SimulationOptions = SimulationOptions(),
    board: np.ndarray | None = None,
) -> np.ndarray:
    """Noise-free samples of a scene for given antenna positions: the exact sum over points.

    The sign of `geometry.weight` is applied (inverted feeds are negative, invalid channels zero); its size is not.

    Parameters
    ----------
    geometry : Geometry
        Frequencies and the true phase centres of every channel.
    scene : Scene
        Point scatterers.
    options : SimulationOptions
        `amplitude`, `pattern`, `shadows`, `rvp`, `progress`, `memory` and `device` are used.
    board : array_like, optional
        Rotation matrices board to world, (n_pose, n_tx, 3, 3); default no rotation. Used with a pattern.

    Returns
    -------
    complex64 array, (n_pose, n_tx, n_rx, n_samples)

    Raises
    ------
    GeometryError
        A wrong shape, or a point on an antenna where the amplitude has no value.
    DeviceError
        A device that is not there.
    MmsarError
        More memory needed than the budget allows.
    """
    devices = open_devices(options.device)
    n_pose, n_tx, n_rx, n_samples = geometry.shape
    advice = "simulate fewer poses or raise the memory budget"
    require("forward model", 8 * geometry.n_channels * n_samples, budget(options.memory), advice)
    board = np.broadcast_to(np.eye(3), (n_pose, n_tx, 3, 3)) if board is None else np.asarray(board, float)
    check_shape("forward board", board.shape, (n_pose, n_tx, 3, 3))
    element = options.element
    board = element.oriented(board).reshape(-1, 3, 3)
    tx, rx = geometry.tx_position.reshape(-1, 3), geometry.rx_position.reshape(-1, 3)
    gain = np.sign(geometry.weight).reshape(-1)
    points = np.ascontiguousarray(scene.position.T)
    flat = scene.normal is None
    surface = (np.empty((3, 0)) if flat else np.ascontiguousarray(scene.normal.T), np.empty(0) if flat else scene.lobe)
    pattern = (element.exponent, np.empty((0, 0)) if element.table is None else element.table)
    shading = scene if options.shadows else replace(scene, triangles=None)
    view, seen = sight(tx, rx, shading, options.shadow_angle, memory=options.memory, show=options.progress)
    sigma = np.stack([scene.reflectivity.real, scene.reflectivity.imag])
    chirp = geometry.chirp
    cycles = (chirp.f0 / C0, chirp.step / C0, chirp.slope / (2 * C0**2) if options.rvp else 0.0)
    out = np.empty((geometry.n_channels, n_samples), dtype=np.complex64)
    of_scene = (points, surface, sigma, options.amplitude, pattern, seen)
    channels = ForwardOnDevice(devices, of_scene, cycles) if devices else _on_the_cpu(of_scene, cycles)
    size = max(1, int((_DEVICE_CHUNK if devices else _CHUNK) / (len(scene) * n_samples)))
    for start in progress(range(0, len(out), size), "simulate", show=options.progress):
        part = slice(start, min(start + size, len(out)))
        turn = board[np.arange(part.start, part.stop) // n_rx]
        channels((tx[part], rx[part], turn, gain[part], view[part]), out[part])
        if not np.isfinite(out[part]).all():
            raise GeometryError(
                "simulate: got samples that are not finite, wanted every scene point away from the antennas "
                "and moderate reflectivities; move the scene or switch amplitude and pattern off"
            )
    return out.reshape(geometry.shape)


def _on_the_cpu(scene: tuple, cycles: tuple[float, float, float]) -> Callable[[tuple, np.ndarray], None]:
    """The kernel of the CPU, called as `ForwardOnDevice` is."""
    from mmsar.core.kernels_forward import forward_channels

    points, surface, sigma, amplitude, pattern, seen = scene

    def channels(of_channels: tuple, out: np.ndarray) -> None:
        *some, view = of_channels
        forward_channels(*some, points, surface, sigma, cycles, amplitude, pattern, (view, seen), out)

    return channels


def _true_trajectory(
    nominal: Trajectory, options: SimulationOptions, wander: np.random.Generator, jitter: np.random.Generator
) -> Trajectory:
    """Where the board really was: the recorded poses plus the errors of the options."""
    n = len(nominal)
    error = drift_error(nominal.time, options.drift)
    if any(options.position_error):
        error = error + smooth_error(n, options.position_error, cycles=options.error_cycles, rng=wander)
    if any(options.position_jitter):
        error = error + white_error(n, options.position_jitter, rng=jitter)
    return Trajectory(time=nominal.time, position=nominal.position + error, rotation=nominal.rotation)


def _board(scan: Scan) -> np.ndarray:
    """Rotation board to world in every transmit slot, (n_pose, n_tx, 3, 3)."""
    return np.stack([scan.trajectory.after(delay).matrices() for delay in scan.tx_delay], axis=1)
