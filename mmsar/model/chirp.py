"""The waveform: frequencies of the samples of one sweep.

A dechirped FMCW sample n belongs to the frequency f_n = f0 + slope n / fs, so a point at total path length R_tx + R_rx
gives s_n = sigma exp(+j k_n (R_tx + R_rx)) with k_n = 2 pi f_n / c. A stepped-frequency sweep (a network analyser) is
the same list of frequencies.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmsar.constants import C0
from mmsar.core.checks import finite_number, positive_int
from mmsar.errors import GeometryError


@dataclass(frozen=True, kw_only=True)
class Chirp:
    """A linear sweep, sampled.

    Raises
    ------
    GeometryError
        A value that is not finite and positive, with its unit.

    Examples
    --------
    >>> import mmsar
    >>> chirp = mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=256)
    >>> f"{chirp.bandwidth / 1e9:.3f} GHz, {chirp.range_resolution * 1e3:.1f} mm, to {chirp.range_max:.1f} m"
    '3.584 GHz, 41.8 mm, to 10.7 m'
    """

    f0: float
    """Frequency of the first ADC sample [Hz]: the ADC start delay times the slope is already added."""
    slope: float
    """Sweep rate [Hz/s]."""
    fs: float
    """Sample rate [Hz]."""
    n_samples: int
    """Samples of one sweep."""

    def __post_init__(self) -> None:
        for name, unit in (("f0", "Hz"), ("slope", "Hz/s"), ("fs", "Hz")):
            object.__setattr__(self, name, finite_number(f"Chirp.{name}", getattr(self, name), unit, above=0.0))
        object.__setattr__(self, "n_samples", positive_int("Chirp.n_samples", self.n_samples))

    @classmethod
    def stepped(cls, f0: float, step: float, n: int) -> "Chirp":
        """A stepped-frequency sweep: `n` frequencies from `f0` [Hz] in steps of `step` [Hz]."""
        return cls(f0=f0, slope=step, fs=1.0, n_samples=n)

    @cached_property
    def f(self) -> np.ndarray:
        """Frequency of every sample [Hz], (n_samples,)."""
        f = self.f0 + self.slope / self.fs * np.arange(self.n_samples)
        f.flags.writeable = False
        return f

    @cached_property
    def k(self) -> np.ndarray:
        """Wavenumber 2 pi f / c of every sample [rad/m], (n_samples,)."""
        k = 2 * np.pi / C0 * self.f
        k.flags.writeable = False
        return k

    @property
    def step(self) -> float:
        """Frequency step between samples [Hz]."""
        return self.slope / self.fs

    @property
    def bandwidth(self) -> float:
        """Bandwidth of the sampled part, n_samples steps [Hz]."""
        return self.step * self.n_samples

    @property
    def f_centre(self) -> float:
        """Mean frequency of the samples [Hz]."""
        return self.f0 + self.step * (self.n_samples - 1) / 2

    @property
    def wavelength(self) -> float:
        """Wavelength at the centre frequency [m]."""
        return C0 / self.f_centre

    @property
    def range_resolution(self) -> float:
        """c / 2B [m]."""
        return C0 / (2 * self.bandwidth)

    @property
    def range_max(self) -> float:
        """Unambiguous (one-way) range fs c / (2 slope) [m]."""
        return C0 / (2 * self.step)

    def samples_in(self, low: float, high: float) -> slice:
        """The samples whose frequencies lie in [low, high] [Hz], for `Scan.subset(samples=...)`.

        Raises
        ------
        GeometryError
            Fewer than two samples in that band.
        """
        inside = np.flatnonzero((self.f >= low) & (self.f <= high))
        if inside.size < 2:
            raise GeometryError(
                f"Chirp.samples_in: got {low * 1e-9:g} to {high * 1e-9:g} GHz, wanted a band with two samples or more "
                f"of {self.f[0] * 1e-9:.6g} to {self.f[-1] * 1e-9:.6g} GHz"
            )
        return slice(int(inside[0]), int(inside[-1]) + 1)
