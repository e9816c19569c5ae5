"""Values as the chip keeps them: whole numbers of a step.

A frequency, a slope or a time is sent to the chip as a code; the step of each is a fact of the chip [mmWaveLink DFP
2.2, rl_sensor.h]. Which way a program rounds is its own affair, so `actual` (nearest step) differs from the true value
by at most one step. Both values are kept: the one asked for is what the other tools print.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mmsar.hardware.device import device as find_device

if TYPE_CHECKING:
    from mmsar.hardware.config.radar_config import RadarConfig

TIME_LSB = 10e-9
"""Step of idle, ADC start, ramp end and TX start times [s]."""
PERIOD_LSB = 5e-9
"""Step of the frame period [s]."""
RATE_LSB = 1e3
"""Step of the sample rate [Hz]."""


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A value as asked for, its code, and the value of that code (SI units)."""

    nominal: float
    lsb: float
    code: int

    @property
    def actual(self) -> float:
        """The value of the code."""
        return self.nominal if self.exact else self.code * self.lsb

    @property
    def exact(self) -> bool:
        """Whether the value asked for is a whole number of steps (to 1e-9 of itself or 1e-6 of a step)."""
        return abs(self.code * self.lsb - self.nominal) <= max(1e-12 * abs(self.nominal), 1e-6 * self.lsb)

    @property
    def error(self) -> float:
        """actual - nominal."""
        return self.actual - self.nominal


def quantise(value: float, lsb: float) -> Quantised:
    """The nearest code of a value."""
    return Quantised(nominal=value, lsb=lsb, code=round(value / lsb))


def quantise_all(config: "RadarConfig") -> Mapping[str, Quantised]:
    """Every value of a configuration that has a step."""
    chip = find_device(config.device)
    steps = {
        "start_frequency": chip.frequency_lsb,
        "slope": chip.slope_lsb,
        "idle": TIME_LSB,
        "adc_start": TIME_LSB,
        "ramp_end": TIME_LSB,
        "tx_start": TIME_LSB,
        "fs": RATE_LSB,
        "frame_period": PERIOD_LSB,
    }
    return MappingProxyType({name: quantise(getattr(config, name), lsb) for name, lsb in steps.items()})
