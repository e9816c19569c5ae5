"""The exact bistatic Born forward model: what a radar records of a scene of point scatterers.

    s[p, t, r, n] = polarity[t, r] sum_i sigma_i A_i exp(+j k_n (R_tx + R_rx) - j pi K tau^2),   k = 2 pi f / c

R_tx, R_rx are exact distances of the point from the phase centres where they were when that transmitter fired (poses,
rotation and TDM slots included); A = 1 by default, or spreading 1 / (R_tx R_rx) and element patterns. No approximation
other than Born's: no shadows, no multiple scattering, and no point is left out by range (one beyond the unambiguous
range aliases, as it would). The last phase is the residual video phase, tau = (R_tx + R_rx) / c, K the slope; off by
default (algorithm papers drop it).

The recorded positions of a `Scan` are the nominal ones of the trajectory; position errors and drift move the antennas
only in the simulated world.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mmsar._version import __version__
from mmsar.constants import C0
from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.core.memory import budget, require
from mmsar.core.progress import progress
from mmsar.errors import GeometryError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Geometry, Scan
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.noise import add_noise, drift_error, smooth_error, white_error
from mmsar.simulate.scene import Scene

_CHUNK = 5e8
"""Channel x point x frequency terms between two looks at the clock and the keyboard."""
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
    pattern: str | float = "isotropic"
    """"isotropic", or the exponent n >= 0 of a field pattern cos^n about the board's +z, for TX and for RX."""
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
        if isinstance(self.pattern, str):
            if self.pattern != "isotropic":
                raise GeometryError(
                    f"SimulationOptions.pattern: got {self.pattern!r}, wanted isotropic or an exponent >= 0"
                )
        elif finite_number("SimulationOptions.pattern", self.pattern, "exponent") < 0:
            raise GeometryError(f"SimulationOptions.pattern: got {self.pattern}, wanted isotropic or an exponent >= 0")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise GeometryError(f"SimulationOptions.seed: got {self.seed!r}, wanted a whole number >= 0")
        object.__setattr__(self, "seed", int(self.seed))
        if not isinstance(self.pattern, str):
            object.__setattr__(self, "pattern", float(self.pattern))

    @property
    def exponent(self) -> float:
        """Exponent of the element pattern; 0 when isotropic."""
        return 0.0 if isinstance(self.pattern, str) else self.pattern


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
        Point scatterers.
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
    signal = forward(true.geometry, scene, options=options, boresight=_boresight(true))
    if options.snr_db is not None:
        signal = add_noise(signal, options.snr_db, rng=streams[0])
    notes = {k: v for k, v in asdict(options).items() if k not in ("progress", "memory")}
    notes = {k: list(v) if isinstance(v, tuple) else v for k, v in notes.items()}
    return scan.with_signal(signal).with_step(
        step="simulate", version=__version__, scene=scene.name, n_points=len(scene), **notes
    )


def forward(
    geometry: Geometry,
    scene: Scene,
    *,
    options: SimulationOptions = SimulationOptions(),
    boresight: np.ndarray | None = None,
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
        `amplitude`, `pattern`, `rvp`, `progress` and `memory` are used.
    boresight : array_like, optional
        Unit looking direction of the elements, (n_pose, n_tx, 3); default +z. Used with a pattern.

    Returns
    -------
    complex64 array, (n_pose, n_tx, n_rx, n_samples)

    Raises
    ------
    GeometryError
        A wrong shape, or a point on an antenna where the amplitude has no value.
    MmsarError
        More memory needed than the budget allows.
    """
    from mmsar.core.kernels_forward import forward_channels

    n_pose, n_tx, n_rx, n_samples = geometry.shape
    advice = "simulate fewer poses or raise the memory budget"
    require("forward model", 8 * geometry.n_channels * n_samples, budget(options.memory), advice)
    look = np.broadcast_to([0.0, 0.0, 1.0], (n_pose, n_tx, 3)) if boresight is None else np.asarray(boresight, float)
    check_shape("forward boresight", look.shape, (n_pose, n_tx, 3))
    look = look.reshape(-1, 3)
    tx, rx = geometry.tx_position.reshape(-1, 3), geometry.rx_position.reshape(-1, 3)
    gain = np.sign(geometry.weight).reshape(-1)
    points = np.ascontiguousarray(scene.position.T)
    normal = np.empty((3, 0)) if scene.normal is None else np.ascontiguousarray(scene.normal.T)
    sigma = np.stack([scene.reflectivity.real, scene.reflectivity.imag])
    chirp = geometry.chirp
    cycles = (chirp.f0 / C0, chirp.step / C0, chirp.slope / (2 * C0**2) if options.rvp else 0.0)
    out = np.empty((geometry.n_channels, n_samples), dtype=np.complex64)
    size = max(1, int(_CHUNK / (len(scene) * n_samples)))
    for start in progress(range(0, len(out), size), "simulate", show=options.progress):
        part = slice(start, min(start + size, len(out)))
        facing = look[np.arange(part.start, part.stop) // n_rx]
        exponent = options.exponent
        forward_channels(
            tx[part],
            rx[part],
            facing,
            gain[part],
            points,
            normal,
            sigma,
            cycles,
            options.amplitude,
            exponent,
            out[part],
        )
        if not np.isfinite(out[part]).all():
            raise GeometryError(
                "simulate: got samples that are not finite, wanted every scene point away from the antennas "
                "and moderate reflectivities; move the scene or switch amplitude and pattern off"
            )
    return out.reshape(geometry.shape)


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


def _boresight(scan: Scan) -> np.ndarray:
    """The board's +z in the world in every transmit slot, (n_pose, n_tx, 3)."""
    return np.stack([scan.trajectory.after(delay).matrices()[:, :, 2] for delay in scan.tx_delay], axis=1)
