r"""Range profiles: where along the line of sight the energy is, before any imaging.

For a point at one-way range R a sample is s(k) = exp(+j 2 k R), so the matched sum over the samples,

    p(r) = sum_n w_n s(k_n) exp(-j 2 k_n r) / sum_n w_n,

peaks at r = R with p = 1. With k_n = k_0 + n dk it is a forward FFT over the samples and a phase exp(-j 2 k_0 r);
ranges run from 0 to c / (2 step) = range_max. For separate antennas r is half the path from transmitter to target to
receiver.
"""

from typing import NamedTuple

import numpy as np

from mmsar.core.checks import check_shape, finite_number
from mmsar.errors import GeometryError
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Scan, check_signal
from mmsar.signal.calibrate import calibrate_block
from mmsar.signal.window import taper as band_taper

BLOCK_BYTES = 4 * 2**20
"""Samples transformed at a time [bytes]."""
ENERGY_BYTES = 64 * 2**20
"""Samples that `energy_interval` looks at, at most [bytes]: poses spread evenly over the scan."""


class RangePower(NamedTuple):
    """Mean power of the range profiles of a scan."""

    range_m: np.ndarray
    """One-way ranges [m], (n,)."""
    power: np.ndarray
    """Mean of |p|^2 over the valid channels, (n,)."""
    changing: np.ndarray
    """The part that changes from pose to pose: mean of |p - mean of p over poses|^2, (n,). Leakage is not in it."""
    n_poses: int
    """Poses that were averaged."""


def range_compress(
    signal: np.ndarray, chirp: Chirp, *, pad: float = 2.0, window: str = "hann"
) -> tuple[np.ndarray, np.ndarray]:
    """Complex range profiles of arrays of samples.

    Parameters
    ----------
    signal : ndarray
        Samples, complex, (..., n_samples).
    chirp : Chirp
        Frequencies of the samples.
    pad : float
        Length of the transform over n_samples, at least 1.
    window : str
        Taper over the band, see `mmsar.signal.window`.

    Returns
    -------
    range_m : ndarray
        One-way ranges [m], (n,) from 0.
    profile : ndarray
        Profiles, complex as `signal`, (..., n): a unit point peaks at 1 with phase 0.

    Raises
    ------
    GeometryError
        A last axis other than the chirp's samples, or a pad below 1.
    """
    signal = np.asarray(signal)
    check_shape("range_compress signal", signal.shape[-1:], (chirp.n_samples,))
    n = _length(chirp, pad)
    weight = band_taper(window, chirp.n_samples)
    dtype = np.complex64 if signal.dtype == np.complex64 else np.complex128
    range_m = np.arange(n) * (chirp.range_max / n)
    profile = np.fft.fft(signal * (weight / weight.sum()).astype(dtype), n, axis=-1)
    return range_m, profile * np.exp(-2j * chirp.k[0] * range_m).astype(dtype)


def range_profile(
    source: Scan | tuple[np.ndarray, Chirp], *, pad: float = 2.0, window: str = "hann"
) -> tuple[np.ndarray, np.ndarray]:
    """Mean power over range.

    Parameters
    ----------
    source : Scan or (signal, chirp)
        A scan (read in blocks, its calibration taken into account, invalid channels left out), or samples
        (..., n_samples) and their chirp.
    pad, window
        As in `range_compress`.

    Returns
    -------
    range_m : ndarray
        One-way ranges [m], (n,).
    power : ndarray
        Mean of |p|^2 over all channels, float64, (n,): a unit point in every channel peaks at 1.
    """
    if isinstance(source, Scan):
        found = mean_range_power(source, pad=pad, window=window)
        return found.range_m, found.power
    signal, chirp = source
    signal = np.asarray(signal).reshape(-1, np.shape(signal)[-1])
    check_shape("range_profile signal", signal.shape, (None, chirp.n_samples))
    power = np.zeros(_length(chirp, pad))
    rows = max(1, BLOCK_BYTES // (16 * chirp.n_samples))
    for first in range(0, len(signal), rows):
        range_m, profile = range_compress(signal[first : first + rows], chirp, pad=pad, window=window)
        power += _squares(profile)
    return range_m, power / len(signal)


def mean_range_power(scan: Scan, *, pad: float = 2.0, window: str = "hann", max_bytes: int | None = None) -> RangePower:
    """Mean power over range of a scan, and the part of it that changes from pose to pose.

    The calibration a scan carries is applied on the way (its range bias moves the profile); invalid channels do not
    count. The scan is read in blocks of `BLOCK_BYTES`.

    Parameters
    ----------
    scan : Scan
        In memory or lazy.
    pad, window
        As in `range_compress`.
    max_bytes : int, optional
        Samples to look at, at most [bytes]: blocks of poses spread evenly over the scan. Default: all.

    Raises
    ------
    GeometryError
        NaN in the samples.
    """
    n = _length(scan.chirp, pad)
    n_tx, n_rx = scan.shape[1:3]
    square, mean = np.zeros((n_tx, n_rx, n)), np.zeros((n_tx, n_rx, n), dtype=np.complex128)
    count = np.zeros((n_tx, n_rx))
    range_m = np.arange(n) * (scan.chirp.range_max / n)
    n_poses = 0
    for poses in _pose_slices(scan, max_bytes):
        block = np.asarray(scan.signal[poses])
        check_signal(block, poses.start)
        if scan.calibration is not None:
            block = calibrate_block(block, scan.calibration, scan.chirp)
        valid = scan.valid[poses]
        _, profile = range_compress(block * valid[..., None], scan.chirp, pad=pad, window=window)
        square += (profile.real.astype(np.float64) ** 2 + profile.imag.astype(np.float64) ** 2).sum(axis=0)
        mean += profile.sum(axis=0, dtype=np.complex128)
        count += valid.sum(axis=0)
        n_poses += len(block)
    used = count > 0
    if not used.any():
        raise GeometryError("mean_range_power: got no valid channel in the poses looked at, wanted at least one")
    count = count[used][:, None]
    power = square[used].sum(axis=0) / count.sum()
    changing = square[used] - np.abs(mean[used]) ** 2 / count
    return RangePower(range_m, power, np.maximum(changing.sum(axis=0), 0) / count.sum(), n_poses)


def energy_interval(scan: Scan, *, depth_db: float = 25.0) -> tuple[float, float]:
    """The range interval that holds the scene's echoes: a default depth for an image grid.

    How it decides (power over range with a Hann taper, calibration applied, at most `ENERGY_BYTES` of samples):

    1. TX-RX leakage and echoes of the mount are the same at every pose. With 8 poses or more, ranges where less than
       5 % of the power changes from pose to pose (noise aside) count with the changing part only. Where nothing
       changes (an echo from a plane parallel to the aperture 30 dB above all that does, and no sidelobe of the
       leakage), and with fewer poses, the whole power counts.
    2. A blind zone is left out at both ends of the range axis, because leakage sits at range 0 and wraps around it:
       one cell c/2B with rule 1 in force, else two.
    3. The strongest range is the scene. Echoes within `depth_db` of it (and 10 dB above the noise floor, the 10 %
       quantile of the profile) belong to it, except that beyond 1.8 times its range only those within 6 dB do: the
       rest is taken for the room, or for the second bounce between target and radar, which comes at twice the range.

    Ranges are slant ranges from the phase centres: for a planar aperture at z = 0 a target above the aperture's
    footprint at depth z shows at z and above, so the interval covers its depth. Half a Hann main lobe stands to either
    side of the outermost target.

    Parameters
    ----------
    scan : Scan
        In memory or lazy.
    depth_db : float
        How far below the strongest range an echo still belongs to the scene [dB].

    Returns
    -------
    low, high : float
        One-way ranges [m].

    Raises
    ------
    GeometryError
        Fewer than 8 frequency samples, or no echo that stands 6 dB above the noise floor.
    """
    depth_db = finite_number("energy_interval depth_db", depth_db, "dB", above=0.0)
    chirp = scan.chirp
    if chirp.n_samples < 8:
        raise GeometryError(f"energy_interval: got {chirp.n_samples} frequencies, wanted 8 or more; give the depth")
    found = mean_range_power(scan, pad=4, window="hann", max_bytes=ENERGY_BYTES)
    cell, range_m = chirp.range_resolution, found.range_m

    def outside(cells: float) -> np.ndarray:
        return (range_m > cells * cell) & (range_m < chirp.range_max - cells * cell)

    profile, seen = found.power, outside(2)
    if found.n_poses >= 8:
        steady, leakage = float((profile * seen).max()), float((profile * ~seen).max())
        if steady < 1e3 * float((found.changing * outside(1)).max()) or steady < 1e-3 * leakage:
            noise = float(np.quantile(found.changing, 0.1))
            varied = found.changing - 2 * noise >= 0.05 * found.power
            profile, seen = np.where(varied, found.power, found.changing), outside(1)
    profile, range_m = profile[seen], range_m[seen]
    strongest = int(np.argmax(profile))
    peak, floor = float(profile[strongest]), float(np.quantile(profile, 0.1))
    if peak <= 4 * floor:
        raise GeometryError(
            "energy_interval: no range stands 6 dB above the noise floor, wanted an echo; give the depth of the scene"
        )
    above = np.flatnonzero(profile >= min(max(peak * 10 ** (-depth_db / 10), 10 * floor), peak / 2))
    near = range_m <= 1.8 * range_m[strongest]
    kept = []
    for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
        top = int(run[np.argmax(profile[run])])
        if near[top] or profile[top] >= peak / 4:
            kept.append(run if profile[run[~near[run]]].max(initial=0) >= peak / 4 else run[near[run]])
    inside = np.concatenate(kept)
    return float(range_m[inside.min()]), float(range_m[inside.max()])


def range_gate(signal: np.ndarray, chirp: Chirp, *, low: float, high: float, taper: float | None = None) -> np.ndarray:
    """Samples with only the echoes from some ranges left in.

    The profile (transform twice as long as the band) is multiplied by a gate that is 1 from `low` to `high` and falls
    to 0 as a squared cosine outside. Cutting at the band's ends costs amplitude there; dividing by what an echo from
    the middle of the gate loses restores it, so that such an echo passes unchanged.

    Parameters
    ----------
    signal : ndarray
        Samples, complex, (..., n_samples).
    chirp : Chirp
        Frequencies of the samples.
    low, high : float
        One-way ranges [m]; ranges are cyclic with `chirp.range_max`.
    taper : float, optional
        Width of each edge [m]; default one range cell c/2B.

    Returns
    -------
    ndarray
        Gated samples, of the shape and precision of `signal`.

    Raises
    ------
    GeometryError
        Limits out of order or wider than the unambiguous range, a negative taper.
    """
    signal = np.asarray(signal)
    check_shape("range_gate signal", signal.shape[-1:], (chirp.n_samples,))
    low, high = finite_number("range_gate low", low, "m"), finite_number("range_gate high", high, "m")
    edge = chirp.range_resolution if taper is None else finite_number("range_gate taper", taper, "m")
    if edge < 0:
        raise GeometryError(f"range_gate taper: got {edge:g}, wanted 0 or more [m]")
    if not low < high <= low + chirp.range_max:
        raise GeometryError(
            f"range_gate: got {low:g} to {high:g} m, wanted low < high and at most {chirp.range_max:g} m apart"
        )
    n = 2 * chirp.n_samples
    dtype = np.complex64 if signal.dtype == np.complex64 else np.complex128
    middle = (low + high) / 2
    offset = np.arange(n) * (chirp.range_max / n) - middle
    offset = np.abs(offset - chirp.range_max * np.round(offset / chirp.range_max))
    beyond = np.maximum(offset - (high - low) / 2, 0)
    gate = np.cos(np.pi / 2 * np.minimum(beyond / edge, 1)) ** 2 if edge > 0 else (beyond == 0).astype(float)

    def passed(samples: np.ndarray) -> np.ndarray:
        spectrum = np.fft.fft(samples, n, axis=-1)
        return np.fft.ifft(spectrum * gate.astype(samples.real.dtype), axis=-1)[..., : chirp.n_samples]

    echo = np.exp(2j * chirp.k * middle)
    loss = passed(echo) / echo
    return (passed(signal.astype(dtype, copy=False)) / loss.astype(dtype)).astype(dtype, copy=False)


def _length(chirp: Chirp, pad: float) -> int:
    if not finite_number("range pad", pad, "1") >= 1:
        raise GeometryError(f"range pad: got {pad:g}, wanted 1 or more")
    return round(pad * chirp.n_samples)


def _squares(profile: np.ndarray) -> np.ndarray:
    """Sum of |p|^2 over the first axis in float64."""
    return (profile.real.astype(np.float64) ** 2 + profile.imag.astype(np.float64) ** 2).sum(axis=0)


def _pose_slices(scan: Scan, max_bytes: int | None) -> list[slice]:
    """Slices of poses of about `BLOCK_BYTES`, or smaller ones spread evenly over the scan within `max_bytes`."""
    n_pose = scan.shape[0]
    per_pose = max(1, scan.nbytes // n_pose)
    step = max(1, BLOCK_BYTES // per_pose)
    if max_bytes is None or scan.nbytes <= max_bytes:
        return [slice(i, min(i + step, n_pose)) for i in range(0, n_pose, step)]
    keep = max(1, int(max_bytes) // per_pose)
    pieces = min(keep, 64)
    length = min(step, max(1, keep // pieces))
    starts = np.unique(np.linspace(0, n_pose - length, pieces).round().astype(int))
    return [slice(int(i), int(i) + length) for i in starts]
