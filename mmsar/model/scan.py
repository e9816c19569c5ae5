"""A scan: the description of a measurement and its samples; and the geometry an imager needs of it.

With time-division MIMO, transmitter n of a pose fires at time + tx_delay[n]; the whole board has moved by then, so both
phase centres of a pair depend on pose, tx and rx.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number, positive_int, real_array
from mmsar.errors import GeometryError
from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration
from mmsar.model.chirp import Chirp
from mmsar.model.trajectory import Trajectory


@dataclass(frozen=True, kw_only=True)
class Raster:
    """How the poses of a planar scan were laid out: n_y rows of n_x positions. For people and row-wise filters."""

    n_y: int
    """Rows."""
    n_x: int
    """Positions per row."""
    step_x: float
    """Nominal distance along a row [m]."""
    step_y: float
    """Nominal distance between rows [m]."""
    serpentine: bool = False
    """Whether every second row was driven backwards."""

    def __post_init__(self) -> None:
        for name in ("n_y", "n_x"):
            object.__setattr__(self, name, positive_int(f"Raster.{name}", getattr(self, name)))
        for name in ("step_x", "step_y"):
            object.__setattr__(self, name, finite_number(f"Raster.{name}", getattr(self, name), "m"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """What an imager plans with: where every channel was, which frequencies it saw, and how much it counts.

    Raises
    ------
    GeometryError
        Shapes that disagree, values that are not finite, or no channel with weight.
    """

    chirp: Chirp
    """Frequencies of the samples."""
    tx_position: np.ndarray
    """Transmit phase centres in the world [m], (n_pose, n_tx, n_rx, 3)."""
    rx_position: np.ndarray
    """Receive phase centres in the world [m], (n_pose, n_tx, n_rx, 3)."""
    weight: np.ndarray | None = None
    """Real weight of every channel, (n_pose, n_tx, n_rx): 0 invalid, negative for inverted feeds. Default 1."""
    frequency_weight: np.ndarray | None = None
    """Real weight of every frequency sample, (n_samples,). Default 1."""

    def __post_init__(self) -> None:
        tx = _positions("Geometry.tx_position", self.tx_position)
        rx = _positions("Geometry.rx_position", self.rx_position)
        check_shape("Geometry.rx_position", rx.shape, tx.shape)
        weight = np.ones(tx.shape[:3]) if self.weight is None else self.weight
        weight = real_array("Geometry.weight", weight, tx.shape[:3], "1")
        if not np.any(weight):
            raise GeometryError("Geometry.weight: got all zeros, wanted at least one valid channel")
        n = self.chirp.n_samples
        frequency = np.ones(n) if self.frequency_weight is None else self.frequency_weight
        object.__setattr__(self, "tx_position", tx)
        object.__setattr__(self, "rx_position", rx)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "frequency_weight", real_array("Geometry.frequency_weight", frequency, (n,), "1"))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_pose, n_tx, n_rx, n_samples): the shape of the signal this geometry belongs to."""
        return (*self.tx_position.shape[:3], self.chirp.n_samples)

    @property
    def n_channels(self) -> int:
        """Number of pose x tx x rx channels."""
        return math.prod(self.tx_position.shape[:3])

    @cached_property
    def virtual_position(self) -> np.ndarray:
        """Phase centres (tx + rx) / 2 [m], (n_pose, n_tx, n_rx, 3)."""
        return (self.tx_position + self.rx_position) / 2

    @property
    def norm(self) -> float:
        """Sum of |weight| over channels times that over frequencies; images divided by it show sigma = 1 as 1."""
        return float(np.abs(self.weight).sum() * np.abs(self.frequency_weight).sum())

    def replace(self, **changes: Any) -> "Geometry":
        """The same geometry with other fields."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A measurement: waveform, array, trajectory and beat samples.

    `signal` may be anything with shape, dtype and slicing along the first axis (a lazy reader of a file, say); use
    `blocks()` or `read()` to get arrays.

    Raises
    ------
    GeometryError
        Parts that disagree in shape, a signal that is not complex64, or NaN in a signal held in memory.

    Examples
    --------
    >>> import mmsar
    >>> import numpy as np
    >>> chirp = mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=64)
    >>> path, board = mmsar.Trajectory.linear(50, 1e-3), mmsar.AntennaArray.iwr1443()
    >>> samples = np.zeros((50, 2, 4, 64), np.complex64)
    >>> scan = mmsar.Scan(signal=samples, chirp=chirp, array=board, trajectory=path)
    >>> scan.virtual_position.shape
    (50, 2, 4, 3)
    """

    signal: Any
    """Beat samples, complex64, (n_pose, n_tx, n_rx, n_samples)."""
    chirp: Chirp
    """The waveform."""
    array: AntennaArray
    """The antennas."""
    trajectory: Trajectory
    """The poses."""
    tx_delay: np.ndarray | None = None
    """Delay of every transmitter's slot after the pose's time [s], (n_tx,). Default 0."""
    raster: Raster | None = None
    """Layout of a planar raster, if it was one."""
    valid: np.ndarray | None = None
    """False for channels that were lost, (n_pose, n_tx, n_rx) or (n_pose,). Default all True."""
    calibration: Calibration | None = None
    """Channel gains and range bias that have not been applied to `signal` yet."""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Free notes (JSON values), `history` among them."""

    def __post_init__(self) -> None:
        shape = (len(self.trajectory), self.array.n_tx, self.array.n_rx, self.chirp.n_samples)
        signal = self.signal
        if isinstance(signal, np.ndarray) or not hasattr(signal, "shape"):
            signal = np.asarray(signal)
            if signal.dtype == np.complex128:
                signal = signal.astype(np.complex64)
            check_shape("Scan.signal", signal.shape, shape)
            check_signal(signal)
            signal = signal.view()
            signal.flags.writeable = False
        check_shape("Scan.signal", signal.shape, shape)
        if signal.dtype != np.complex64:
            raise GeometryError(f"Scan.signal: got {signal.dtype}, wanted complex64")
        object.__setattr__(self, "signal", signal)
        delay = np.zeros(shape[1]) if self.tx_delay is None else self.tx_delay
        object.__setattr__(self, "tx_delay", real_array("Scan.tx_delay", delay, (shape[1],), "s"))
        if self.raster is not None and self.raster.n_y * self.raster.n_x != shape[0]:
            r = self.raster
            raise GeometryError(f"Scan.raster: got {r.n_y} x {r.n_x} positions, wanted {shape[0]} (one per pose)")
        object.__setattr__(self, "valid", _valid_mask(self.valid, shape[:3]))
        if self.calibration is not None:
            check_shape("Scan.calibration.gain", self.calibration.gain.shape, shape[1:3])
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_pose, n_tx, n_rx, n_samples)."""
        return tuple(self.signal.shape)

    @property
    def nbytes(self) -> int:
        """Size of the signal as complex64 [bytes]."""
        return 8 * math.prod(self.shape)

    @cached_property
    def _tx_rx_positions(self) -> tuple[np.ndarray, np.ndarray]:
        n_pose, n_tx, n_rx, _ = self.shape
        tx, rx = np.empty((n_pose, n_tx, n_rx, 3)), np.empty((n_pose, n_tx, n_rx, 3))
        for t, delay in enumerate(self.tx_delay):
            slot = self.trajectory.after(delay)
            turn = slot.matrices()
            tx[:, t] = (turn @ self.array.tx[t] + slot.position)[:, None, :]
            rx[:, t] = np.einsum("pij,rj->pri", turn, self.array.rx) + slot.position[:, None, :]
        for positions in (tx, rx):
            positions.flags.writeable = False
        return tx, rx

    @property
    def tx_position(self) -> np.ndarray:
        """Transmit phase centres in the world, TDM motion and rotation included [m], (n_pose, n_tx, n_rx, 3)."""
        return self._tx_rx_positions[0]

    @property
    def rx_position(self) -> np.ndarray:
        """Receive phase centres in the world, TDM motion and rotation included [m], (n_pose, n_tx, n_rx, 3)."""
        return self._tx_rx_positions[1]

    @property
    def virtual_position(self) -> np.ndarray:
        """Phase centres (tx + rx) / 2 [m], (n_pose, n_tx, n_rx, 3)."""
        return self.geometry.virtual_position

    @cached_property
    def geometry(self) -> Geometry:
        """What an imager needs: positions, frequencies and weights (valid channels, feed polarity).

        A pose without a valid channel weighs nothing and stands at a valid one's place, so that a wild position of a
        lost pose widens no aperture.
        """
        tx, rx = self.tx_position, self.rx_position
        good = self.valid.any(axis=(1, 2))
        if not good.all():
            donor = int(np.argmax(good))
            tx, rx = (np.where(good[:, None, None, None], p, p[donor]) for p in (tx, rx))
        return Geometry(
            chirp=self.chirp,
            tx_position=tx,
            rx_position=rx,
            weight=self.valid * self.array.polarity,
        )

    def blocks(self, max_bytes: int = 64 * 2**20) -> Iterator[tuple[slice, np.ndarray]]:
        """The signal pose by pose in pieces: (slice of poses, complex64 array), at most about `max_bytes` each.

        Raises
        ------
        GeometryError
            NaN or infinity in a block, with the poses.
        """
        n_pose = self.shape[0]
        step = max(1, int(max_bytes // max(1, self.nbytes // n_pose)))
        for first in range(0, n_pose, step):
            poses = slice(first, min(first + step, n_pose))
            block = np.asarray(self.signal[poses])
            if not isinstance(self.signal, np.ndarray):
                check_signal(block, first)
            yield poses, block

    def read(self) -> np.ndarray:
        """The whole signal in memory, complex64, (n_pose, n_tx, n_rx, n_samples)."""
        if isinstance(self.signal, np.ndarray):
            return self.signal
        out = np.empty(self.shape, dtype=np.complex64)
        for poses, block in self.blocks():
            out[poses] = block
        return out

    def subset(
        self,
        poses: Sequence[int] | slice | np.ndarray | None = None,
        *,
        tx: Sequence[int] | None = None,
        rx: Sequence[int] | None = None,
        samples: slice | None = None,
    ) -> "Scan":
        """A smaller scan: some poses (index, slice or mask), transmitters, receivers, or a slice of samples.

        A slice of samples keeps the frequencies right (step > 1 lowers fs). The raster layout is dropped when poses
        are left out.

        Raises
        ------
        GeometryError
            An index out of range or an empty selection.
        """
        n_pose, n_tx, n_rx, n_samples = self.shape
        pose_index = _index("poses", poses, n_pose)
        tx_index, rx_index = _index("tx", tx, n_tx), _index("rx", rx, n_rx)
        keep = _index("samples", samples, n_samples)
        stride = int(keep[1] - keep[0]) if len(keep) > 1 else 1
        if stride < 1:
            raise GeometryError("Scan.subset samples: got a backward slice, wanted increasing samples")
        chirp = replace(self.chirp, f0=float(self.chirp.f[keep[0]]), fs=self.chirp.fs / stride, n_samples=len(keep))
        part = self.read()[np.ix_(pose_index, tx_index, rx_index, keep)]
        rotation = self.trajectory.rotation[pose_index]
        calibration = self.calibration
        if calibration is not None:
            calibration = calibration.subset(tx_index, rx_index)
        order = np.sort(pose_index)
        array = AntennaArray(
            tx=self.array.tx[tx_index],
            rx=self.array.rx[rx_index],
            polarity=self.array.polarity[np.ix_(tx_index, rx_index)],
            name=self.array.name,
        )
        if not np.array_equal(order, pose_index):
            raise GeometryError("Scan.subset poses: got them out of order, wanted increasing poses")
        return replace(
            self,
            signal=part,
            chirp=chirp,
            array=array,
            trajectory=Trajectory(
                time=self.trajectory.time[pose_index],
                position=self.trajectory.position[pose_index],
                rotation=rotation,
            ),
            tx_delay=self.tx_delay[tx_index],
            raster=self.raster if len(pose_index) == n_pose else None,
            valid=self.valid[np.ix_(pose_index, tx_index, rx_index)],
            calibration=calibration,
        )

    def with_signal(self, signal: Any, **changes: Any) -> "Scan":
        """The same scan with other samples (and other fields, by name)."""
        return replace(self, signal=signal, **changes)

    def with_step(self, **step: Any) -> "Scan":
        """The same scan with one more entry in attrs["history"]."""
        return replace(self, attrs={**self.attrs, "history": [*self.attrs.get("history", ()), step]})


def check_signal(block: np.ndarray, first_pose: int = 0) -> None:
    """Raise GeometryError when a block of samples holds NaN or infinity, naming the first bad pose."""
    total = block.sum(dtype=np.complex128)
    if not (np.isfinite(total.real) and np.isfinite(total.imag)):
        bad = ~np.isfinite(block).reshape(len(block), -1).all(axis=1)
        if bad.any():
            pose = first_pose + int(np.argmax(bad))
            raise GeometryError(
                f"Scan.signal: got NaN or infinite samples in {int(bad.sum())} poses, first pose {pose}; "
                "wanted finite samples (mark lost ones in valid and set them to 0)"
            )


def _positions(name: str, value: object) -> np.ndarray:
    array = np.asarray(value)
    check_shape(name, array.shape, (None, None, None, 3))
    return real_array(name, array, array.shape, "m")


def _valid_mask(value: object, shape: tuple[int, int, int]) -> np.ndarray:
    mask = np.ones(shape, dtype=bool) if value is None else np.array(value)
    if mask.dtype != bool:
        raise GeometryError(f"Scan.valid: got {mask.dtype}, wanted booleans")
    if mask.shape == shape[:1]:
        mask = np.repeat(mask, shape[1] * shape[2]).reshape(shape)
    check_shape("Scan.valid", mask.shape, shape)
    if not mask.any():
        raise GeometryError("Scan.valid: got no valid channel, wanted at least one")
    mask.flags.writeable = False
    return mask


def _index(name: str, choice: Any, n: int) -> np.ndarray:
    wanted = slice(None) if choice is None else choice if isinstance(choice, slice) else np.asarray(choice)
    try:
        index = np.arange(n)[wanted] if isinstance(wanted, slice) or wanted.size else np.empty(0, dtype=int)
    except IndexError:
        raise GeometryError(f"Scan.subset {name}: got {choice!r}, wanted indices below {n}") from None
    index = np.atleast_1d(index)
    if index.size == 0:
        raise GeometryError(f"Scan.subset {name}: got an empty selection, wanted at least one of {n}")
    return index
