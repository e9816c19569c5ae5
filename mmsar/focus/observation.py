"""What a fit looks at: some channels of a scan round a target, range-gated, and what displacements do to them.

Samples of channel c, d_c = sum_m a_m e(R_c,m) + noise with e_n(R) = exp(j k_n R). For path lengths R within a gate the
vectors e(R) span few dimensions; with U an orthonormal basis of them the coordinates y_c = U^H d_c keep every inner
product with echoes from within the gate, keep white noise white, and leave out what lies elsewhere.
exp(-j k0 R) U^H e(R) varies slowly with R and is tabulated.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmsar.model.scan import Geometry, Scan

MOVES = ("radial", "tangential", "height", "centre_x", "centre_z")
"""Displacements of the antennas: outwards, along growing angle, along +y, along +x, along +z of the target's frame."""

N_SHADES = 6
"""Functions of angle and height that the strength of an echo may follow."""
GATE_TOLERANCE = 1e-3
"""Singular values of the gate below this share of the largest are left out."""
TABLE_DENSITY = 200
"""Entries of the table of U^H e(R) per range cell."""
PROFILE_DENSITY = 16
"""Bins of a range profile per range cell."""


def move_basis(position: np.ndarray) -> np.ndarray:
    """Unit displacements `MOVES` of antennas of poses at `position` (n, 3): (n, 5, 3)."""
    angle = np.arctan2(position[:, 2], position[:, 0])
    cosine, sine = np.cos(angle), np.sin(angle)
    basis = np.zeros((len(position), len(MOVES), 3))
    basis[:, 0, 0], basis[:, 0, 2] = cosine, sine
    basis[:, 1, 0], basis[:, 1, 2] = -sine, cosine
    basis[:, 2, 1] = basis[:, 3, 0] = basis[:, 4, 2] = 1
    return basis


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    """Channels of a scan, sorted by angle, and their samples within the gate."""

    tx: np.ndarray
    """Transmit phase centres [m], (n, 3)."""
    rx: np.ndarray
    """Receive phase centres [m], (n, 3)."""
    basis: np.ndarray
    """Unit displacements of each, (n, 5, 3), as `MOVES`."""
    angle: np.ndarray
    """atan2(z, x) of the phase centre [rad], (n,), increasing."""
    height: np.ndarray
    """y of the phase centre [m], (n,)."""
    data: np.ndarray
    """y = U^H d, complex128 (n, q)."""
    gate: np.ndarray
    """U, complex128 (n_samples, q)."""
    k: np.ndarray
    """Wavenumbers [rad/m], (n_samples,)."""
    low: float
    """Shortest path length of the gate [m]."""
    high: float
    """Longest path length of the gate [m]."""

    @property
    def k0(self) -> float:
        """Wavenumber of the carrier that is taken out [rad/m]."""
        return float(self.k[[0, -1]].mean())

    @property
    def cell(self) -> float:
        """Range cell in path length [m]; the whole gate for a single frequency."""
        width = float(np.ptp(self.k)) * len(self.k) / max(len(self.k) - 1, 1)
        return 2 * np.pi / width if width > 0 else self.high - self.low

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def table(self) -> tuple[np.ndarray, np.ndarray, float]:
        """U^H e exp(-j k0 R) and its derivative over equally spaced R, (n_table, q) each, and their step [m]."""
        count = int(np.ceil((self.high - self.low) / self.cell * TABLE_DENSITY)) + 2
        path = np.linspace(self.low, self.high, count)
        kappa = self.k - self.k0
        turn = np.exp(1j * np.outer(path, kappa))
        return turn @ self.gate.conj(), (1j * kappa * turn) @ self.gate.conj(), float(path[1] - path[0])

    @cached_property
    def shades(self) -> np.ndarray:
        """Two harmonics of the angle and two powers of the height, each -1 to 1 at most: (n, `N_SHADES`)."""
        half = max(float(np.ptp(self.height)) / 2, 1e-9)
        rise = (self.height - self.height.min()) / half - 1 if half > 1e-6 else np.zeros(len(self))
        waves = [wave(h * self.angle) for h in (1, 2) for wave in (np.cos, np.sin)]
        return np.stack([*waves, rise, rise**2], axis=1)

    def echo(self, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U^H e(R) and its derivative by R for one path length per channel (n,): (n, q) complex128 each."""
        value, slope, step = self.table
        place = np.clip((path - self.low) / step, 0, len(value) - 1.001)
        left = place.astype(int)
        share = (place - left)[:, None]
        carrier = np.exp(1j * self.k0 * path)[:, None]
        v = carrier * (value[left] * (1 - share) + value[left + 1] * share)
        w = carrier * (slope[left] * (1 - share) + slope[left + 1] * share) + 1j * self.k0 * v
        return v, w

    def profiles(self, data: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
        """Range profiles of (n, q) samples and their scale, as `kernels_subaperture` takes them."""
        count = int(np.ceil((self.high - self.low) / self.cell * PROFILE_DENSITY)) + 2
        path = np.linspace(self.low, self.high, count)
        turn = np.exp(1j * np.outer(path, self.k - self.k0)) @ self.gate.conj()
        profile = (data @ turn.conj().T).astype(np.complex64)
        return profile, (self.low, 1 / float(path[1] - path[0]), self.k0 / (2 * np.pi))

    def thinned(self, count: int) -> "Observation":
        """About `count` of the channels, evenly over the angles."""
        if count >= len(self):
            return self
        keep = stratified(len(self), count)
        parts = {name: getattr(self, name)[keep] for name in ("tx", "rx", "basis", "angle", "height", "data")}
        same = {name: getattr(self, name) for name in ("gate", "k", "low", "high")}
        return Observation(**parts, **same)


def stratified(n: int, count: int) -> np.ndarray:
    """Indices of `count` of `n` items: one at random from each of as many equal runs (always the same draw)."""
    edges = np.arange(count + 1) * n // count
    return edges[:-1] + (np.random.default_rng(0).random(count) * np.diff(edges)).astype(int)


def observe(scan: Scan, *, extent: float, heights: tuple[float, float], margin: float, channels: int) -> Observation:
    """Gather what a fit needs of a scan, block by block.

    Parameters
    ----------
    scan : Scan
        Calibrated; channels that are not valid are left out.
    extent : float
        Largest distance of the target's parts from the axis [m].
    heights : (low, high)
        Their y [m].
    margin : float
        By how much the antennas may be elsewhere [m].
    channels : int
        About how many channels to keep: whole poses, evenly.
    """
    geometry = scan.geometry
    n_pose, n_tx, n_rx, _ = geometry.shape
    good = np.flatnonzero((geometry.weight != 0).any(axis=(1, 2)))
    poses = good[stratified(len(good), max(1, min(len(good), channels // (n_tx * n_rx))))]
    wanted = np.zeros(n_pose, dtype=bool)
    wanted[poses] = True
    low, high = _gate_limits(geometry, poses, extent, heights, margin)
    gate = _gate(geometry.chirp.k, low, high)
    used = geometry.weight[poses] != 0
    pieces = []
    for part, block in scan.blocks():
        kept = block[wanted[part]]
        if len(kept):
            pieces.append(kept.astype(np.complex128) @ gate.conj())
    data = (np.concatenate(pieces) * geometry.weight[poses][..., None])[used]
    virtual = geometry.virtual_position[poses][used]
    basis = np.broadcast_to(move_basis(scan.trajectory.position[poses])[:, None, None], (*used.shape, len(MOVES), 3))[
        used
    ]
    angle = np.arctan2(virtual[:, 2], virtual[:, 0])
    order = np.argsort(angle, kind="stable")
    return Observation(
        tx=geometry.tx_position[poses][used][order],
        rx=geometry.rx_position[poses][used][order],
        basis=basis[order],
        angle=angle[order],
        height=virtual[order, 1],
        data=data[order],
        gate=gate,
        k=geometry.chirp.k,
        low=low,
        high=high,
    )


def _gate_limits(
    geometry: Geometry, poses: np.ndarray, extent: float, heights: tuple[float, float], margin: float
) -> tuple[float, float]:
    """Shortest and longest path lengths over the target's cylinder [m]."""
    ends = []
    for position in (geometry.tx_position[poses], geometry.rx_position[poses]):
        distance, y = np.hypot(position[..., 0], position[..., 2]), position[..., 1]
        outside = np.maximum(0, np.maximum(heights[0] - y, y - heights[1]))
        far = np.maximum(np.abs(y - heights[0]), np.abs(y - heights[1]))
        ends.append((np.hypot(np.maximum(distance - extent, 0), outside), np.hypot(distance + extent, far)))
    low = float((ends[0][0] + ends[1][0]).min()) - 4 * margin
    return low, float((ends[0][1] + ends[1][1]).max()) + 4 * margin


def _gate(k: np.ndarray, low: float, high: float) -> np.ndarray:
    """U: an orthonormal basis of exp(j k R), R from low to high, (n_samples, q)."""
    path = np.linspace(low, high, 4 * len(k) + 64)
    u, s, _ = np.linalg.svd(np.exp(1j * np.outer(k, path)), full_matrices=False)
    return u[:, s > GATE_TOLERANCE * s[0]]
