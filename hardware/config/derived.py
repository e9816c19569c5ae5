"""What follows from a configuration, and how fast the card's network link is.

    f0 = start + slope adc_start           first sample
    B = slope N / fs                       sampled bandwidth
    lambda = c / (f0 + B / 2)              wavelength at the centre
    dR = c / 2B, R_max = fs c / (2 slope)  range resolution, unambiguous range (all N bins, complex samples)
    T_c = idle + ramp_end                  chirp to chirp
    v_max = lambda / (4 n_tx T_c)          unambiguous radial speed
    active = loops n_tx T_c, duty = active / period
    scan speed = (lambda / 4) / period     one frame every quarter wavelength

The card sends 1456 bytes of samples in 1466 bytes every 1466 x 8 ns + packet delay [TI SPRUIJ4A table 19, recomputed].
"""

from dataclasses import asdict, dataclass

from mmsar.constants import C0
from mmsar.core.checks import finite_number
from mmsar.errors import GeometryError
from mmsar.hardware.config.dca_json import PACKET_DELAY
from mmsar.hardware.config.radar_config import UNKNOWN_LAYOUT, RadarConfig

PACKET_PAYLOAD = 1456
PACKET_BYTES = 1466
DEFAULT_PACKET_DELAY = 25e-6
"""Packet delay of the card after power-up [s]."""
LINK_SHARE = 0.8
"""Share of the link's capacity that the mean data rate may take [xwr]."""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """Derived quantities, SI units."""

    first_frequency: float
    last_frequency: float
    """Frequency of the last sample [Hz]."""
    ramp_stop_frequency: float
    """Frequency at the end of the ramp [Hz]."""
    bandwidth: float
    centre_frequency: float
    wavelength: float
    range_resolution: float
    range_max: float
    chirp_time: float
    adc_time: float
    frame_active: float
    duty: float
    rf_duty: float
    """Share of the time that the ramp is on."""
    velocity_max: float
    scan_speed_max: float
    """Speed along the aperture for one frame every quarter wavelength [m/s]."""
    frame_bytes: int | None
    """None: the layout is not known."""
    data_rate: float | None
    """[bytes/s]"""
    lane_rate: float | None
    """Mean over a chirp, per lane [bit/s]."""
    packets_per_frame: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values."""
        return asdict(self)


def derived(config: RadarConfig) -> Derived:
    """The derived quantities of a configuration (values as asked for, not rounded to the chip's steps)."""
    from mmsar.hardware.device import device

    chirp = config.chirp()
    centre = chirp.f0 + chirp.bandwidth / 2
    wavelength = C0 / centre
    known = config.layout != UNKNOWN_LAYOUT
    frame_bytes = config.frame_bytes if known else None
    chirp_bits = 8 * frame_bytes / config.chirps_per_frame if known else None
    return Derived(
        first_frequency=chirp.f0,
        last_frequency=chirp.f0 + chirp.step * (config.n_samples - 1),
        ramp_stop_frequency=config.start_frequency + config.slope * config.ramp_end,
        bandwidth=chirp.bandwidth,
        centre_frequency=centre,
        wavelength=wavelength,
        range_resolution=chirp.range_resolution,
        range_max=chirp.range_max,
        chirp_time=config.chirp_time,
        adc_time=config.adc_time,
        frame_active=config.frame_active,
        duty=config.frame_active / config.frame_period,
        rf_duty=config.chirps_per_frame * config.ramp_end / config.frame_period,
        velocity_max=wavelength / (4 * config.n_tx * config.chirp_time),
        scan_speed_max=wavelength / 4 / config.frame_period,
        frame_bytes=frame_bytes,
        data_rate=config.data_rate if known else None,
        lane_rate=chirp_bits / config.chirp_time / device(config.device).lanes if known else None,
        packets_per_frame=frame_bytes / PACKET_PAYLOAD if known else None,
    )


def link_capacity(packet_delay: float) -> float:
    """Samples that the card can send [bytes/s] at a packet delay [s].

    Raises
    ------
    GeometryError
        A delay outside 5 to 500 us.
    """
    delay = finite_number("packet_delay", packet_delay, "s")
    if not PACKET_DELAY[0] - 1e-12 <= delay <= PACKET_DELAY[1] + 1e-12:
        raise GeometryError(f"packet_delay: got {delay * 1e6:g} us, wanted 5 to 500 us, as the card takes")
    return PACKET_PAYLOAD / (PACKET_BYTES * 8e-9 + delay)


def delay_for(data_rate: float) -> float | None:
    """Longest packet delay [s] that carries a mean data rate [bytes/s] with the usual reserve; None: there is none."""
    delay = LINK_SHARE * PACKET_PAYLOAD / data_rate - PACKET_BYTES * 8e-9
    return None if delay < PACKET_DELAY[0] else min(delay, PACKET_DELAY[1])
