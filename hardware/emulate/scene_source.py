"""Frames of a radar that looks at a scene of points: physically right samples in the layout the real radar sends.

Every chirp of every loop is computed at the pose the board has in the middle of that chirp (time-division slots
included) with the exact forward model of `mmsar.simulate`; then the instrument's own errors are put in (channel gains,
delays, range bias: what a calibration has to find), the samples are scaled to the ADC's counts, noise is added, and
they are rounded, limited and laid out as on the wire.

    counts = scale * instrument(s) + noise,   s = sum_i sigma_i exp(+j k (R_tx + R_rx));  real sampling keeps Re s
"""

from collections.abc import Callable

import numpy as np
from numba import get_num_threads, set_num_threads

from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.hardware.config.radar import RadarConfig
from mmsar.hardware.device import device
from mmsar.io.importers.iq_layout import encode
from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration
from mmsar.model.scan import Geometry
from mmsar.model.trajectory import Trajectory
from mmsar.signal.calibrate import calibrate_block
from mmsar.simulate.forward import SimulationOptions, forward
from mmsar.simulate.scene import Scene

Poses = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Frame number and times (n,) [CLOCK_REALTIME ns, int64] -> board positions (n, 3) [m], rotations (n, 4) xyzw."""

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])
_HEADROOM = 0.5
_SMALL = 3e7
"""Channel x point x sample terms of a frame below which one thread is faster and steadier than waiting for several."""


def still(position: object = (0.0, 0.0, 0.0), rotation: object = IDENTITY) -> Poses:
    """A board that does not move, at `position` (x, y, z) [m] turned by `rotation` (x, y, z, w)."""
    place = real_array("still position", position, (3,), "m")
    turn = real_array("still rotation", rotation, (4,), "unit quaternion x, y, z, w")
    return lambda k, time_ns: (np.tile(place, (len(time_ns), 1)), np.tile(turn, (len(time_ns), 1)))


def by_frame(trajectory: Trajectory) -> Poses:
    """Pose k of a trajectory for the whole of frame k; the last pose for all frames after it. Its times are not used.

    For scans whose frames are set off by the stage, and for tests that must not depend on the clock.
    """

    def poses(k: int, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i = min(k, len(trajectory) - 1)
        n = len(time_ns)
        return np.tile(trajectory.position[i], (n, 1)), np.tile(trajectory.rotation[i], (n, 1))

    return poses


def by_time(trajectory: Trajectory, start_ns: int) -> Poses:
    """Poses of a trajectory whose time 0 is `start_ns` (CLOCK_REALTIME); it stands still before and after."""
    ends = trajectory.time[0], trajectory.time[-1]

    def poses(k: int, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = trajectory.at(np.clip((time_ns - start_ns) * 1e-9, *ends))
        return at.position, at.rotation

    return poses


class SceneSource:
    """A `FrameSource` with a scene in front of it."""

    def __init__(
        self,
        config: RadarConfig,
        array: AntennaArray,
        scene: Scene,
        *,
        poses: Poses | None = None,
        instrument: Calibration | None = None,
        scale: float | None = None,
        noise: float = 0.0,
        seed: int = 0,
        ahead: float = 0.0,
        options: SimulationOptions = SimulationOptions(progress=False),
    ) -> None:
        """Describe the measurement; the forward model is compiled here, not in the first frame.

        Parameters
        ----------
        config : RadarConfig
            Waveform, loops, layout, timing.
        array : AntennaArray
            Phase centres of the configuration's slots and receivers: `config.array(board)`.
        scene : Scene
            What the radar sees.
        poses : Poses, optional
            Where the board is; default still at the origin.
        instrument : Calibration, optional
            Errors of the instrument to put in: the samples are those that this calibration makes right.
        scale : float, optional
            Counts of a point of reflectivity 1; by default all points together reach half of full scale at most.
        noise : float
            RMS of the noise of I and of Q, or of a real sample [counts].
        seed : int
            Seed of the noise; every frame has its own stream.
        ahead : float
            How long before its start a frame is computed [s]; with a stage behind `poses`, how far ahead it is asked.
        options : SimulationOptions
            `amplitude`, `pattern` and `rvp` of the forward model.

        Raises
        ------
        GeometryError
            An array that does not fit the configuration, or values out of range.
        FormatError
            A configuration whose samples cannot be laid out.
        """
        config.require_capture()
        check_shape("SceneSource.array", (array.n_tx, array.n_rx), (config.n_tx, config.n_rx))
        self.config, self.array, self.scene = config, array, scene
        self.chirp = config.chirp()
        self.frame_bytes, self.n_frames = config.frame_bytes, config.n_frames
        self.period, self.active = config.frame_period, min(config.frame_active, config.frame_period)
        self.lanes = device(config.device).lanes
        self.ahead = finite_number("SceneSource.ahead", ahead, "s")
        self.full_scale = 2 ** (config.adc_bits - 1) - 1
        total = float(np.abs(scene.reflectivity).sum())
        if scale is None and total == 0:
            raise GeometryError("SceneSource.scene: got a scene without reflectivity, wanted some, or a scale")
        self.scale = _HEADROOM * self.full_scale / total if scale is None else finite_number("scale", scale, "counts")
        self.noise = finite_number("SceneSource.noise", noise, "counts")
        self.clipped = 0
        """Sample values limited to full scale so far."""
        self._poses, self._seed, self._options = poses or still(), seed, options
        ones = np.ones((1, config.n_tx, config.n_rx, config.n_samples), dtype=np.complex64)
        self._instrument = 1.0 if instrument is None else 1 / calibrate_block(ones, instrument, self.chirp)[0]
        slot = np.arange(config.n_loops * config.n_tx) + 0.5
        self._slots = np.rint(slot * config.chirp_time * 1e9).astype(np.int64)
        self._samples_at(np.zeros((len(slot), 3)), np.tile(IDENTITY, (len(slot), 1)))

    def samples(self, k: int, time_ns: int) -> np.ndarray:
        """Noise-free samples of frame `k`, in counts but not rounded, complex64 (loop, tx, rx, sample)."""
        return self._samples_at(*self._poses(k, time_ns + self._slots))

    def frame(self, k: int, time_ns: int) -> bytes:
        """Bytes of frame `k`, which starts at `time_ns` (CLOCK_REALTIME)."""
        config = self.config
        counts = self.samples(k, time_ns)
        if self.noise:
            rng = np.random.default_rng([self._seed, k])
            parts = rng.standard_normal((*counts.shape, 2), dtype=np.float32)
            counts = counts + np.float32(self.noise) * parts.view(np.complex64)[..., 0]
        parts = np.ascontiguousarray(counts).view(np.float32).reshape(-1, 2)
        if not config.complex_samples:
            parts[:, 1] = 0
        whole = np.clip(np.rint(parts), -self.full_scale - 1, self.full_scale)
        self.clipped += int(np.count_nonzero(np.abs(parts - whole) > 0.5))
        shape = (1, config.chirps_per_frame, config.n_rx, config.n_samples)
        return encode(whole.view(np.complex64).reshape(shape), config.layout).tobytes()

    def _samples_at(self, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        config, array = self.config, self.array
        where = Trajectory(time=np.arange(len(position)), position=position, rotation=rotation)
        turn = where.matrices().reshape(config.n_loops, config.n_tx, 3, 3)
        place = where.position.reshape(config.n_loops, config.n_tx, 1, 3)
        shape = (config.n_loops, config.n_tx, config.n_rx, 3)
        tx = np.einsum("ltij,tj->lti", turn, array.tx)[:, :, None] + place
        rx = np.einsum("ltij,rj->ltri", turn, array.rx) + place
        geometry = Geometry(
            chirp=self.chirp,
            tx_position=np.broadcast_to(tx, shape),
            rx_position=rx,
            weight=np.broadcast_to(array.polarity, shape[:3]),
        )
        threads = get_num_threads()
        set_num_threads(1 if geometry.n_channels * config.n_samples * len(self.scene) < _SMALL else threads)
        try:
            signal = forward(geometry, self.scene, options=self._options, board=turn)
        finally:
            set_num_threads(threads)
        return (signal * (np.float32(self.scale) * self._instrument)).astype(np.complex64)
