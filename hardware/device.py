"""The radar chips: what each can do, as data, every figure with its source.

A limit that was published for another chip of the line, or on which sources disagree, is kept with `sure=False`: the
checker then warns and says why, instead of forbidding. What is not known is None, never a plausible number.

Sources, as named in `Limit.source`: LINK = rl_sensor.h of mmWaveLink DFP 2.2 (written for AWR2243; the data sheet of
the chip is final); RAW = TI SWRA581B; SDK = mmWave SDK demo guides; xwr = constraint tables of the public project xwr.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mmsar.errors import GeometryError

VCO_77 = 3.6e9
"""Reference of the frequency code of 77 GHz chips [Hz]: one code is 3.6e9 / 2^26 = 53.644 Hz [LINK]."""
VCO_60 = 2.7e9
"""The same of 60 GHz chips [Hz]: 40.233 Hz, even codes only [LINK]."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Lowest and highest value allowed, SI units (None: no bound), and who says so."""

    low: float | None = None
    high: float | None = None
    source: str
    sure: bool = True
    """False: published for another chip, or sources disagree; breaking it is a warning."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A radar chip (or the four-chip cascade) and its limits."""

    name: str
    family: str
    """Name of the line as the demo software writes it: "xWR18xx"."""
    lanes: int
    """LVDS lanes to the capture card: 2 or 4."""
    band: tuple[float, float]
    """RF band [Hz]."""
    vco: tuple[tuple[float, float], ...]
    """Ranges of which one must hold the whole sweep [Hz]."""
    n_tx: int
    n_rx: int
    complex_ok: bool
    """Whether it can send complex samples."""
    adc_buffer_bytes: int | None
    """Memory for the samples of a chirp [bytes]; None: not known."""
    has_cli: bool
    """Whether a processor on the chip takes command lines over serial (else SPI or a host board)."""
    l3_bytes: int | None
    """Memory of the stock demo's own processing [bytes]; of no concern for capture; None: not known."""
    frequency_lsb: float
    """Step of the start frequency [Hz]."""
    slope_lsb: float
    """Step of the slope [Hz/s]."""
    limits: Mapping[str, tuple[Limit, ...]]
    """Limits by quantity: slope, fs, idle, adc_start, ramp_end, tx_start, n_loops, n_frames, frame_period, chirp."""
    source: str

    @property
    def interleaved(self) -> bool:
        """Whether the receivers are interleaved sample by sample (four-lane chips) instead of one after the other."""
        return self.lanes == 4


LINK = "LINK"
_TIMES = {
    "idle": (Limit(low=0.0, high=5.24e-3, source=LINK),),
    "adc_start": (Limit(low=0.0, high=40.95e-6, source=LINK),),
    "ramp_end": (Limit(low=0.0, high=5e-3, source=LINK),),
    "tx_start": (Limit(low=-40.96e-6, high=40.96e-6, source=LINK),),
    "n_loops": (Limit(low=1, high=255, source=LINK),),
    "n_frames": (Limit(low=0, high=65535, source=LINK),),
    "chirp": (Limit(low=0, high=511, source=LINK),),
    "frame_period": (Limit(low=300e-6, high=1.342, source=LINK),),
}
_OTHERS = f"{LINK}, written for AWR2243; see the chip's data sheet"
_SLOPE_2243 = Limit(high=266e12, source=LINK)
_SLOPE_OTHER = Limit(high=266e12, source=_OTHERS, sure=False)
_SLOPE_1X43 = Limit(high=100e12, source="xwr (about 100 MHz/us for xWR1x43; LINK gives 266 for AWR2243)", sure=False)
_FS_LOW = Limit(low=2e6, source=LINK)
_FS_OTHER = Limit(high=45e6, source=_OTHERS, sure=False)


def _device(
    name: str,
    *,
    family: str,
    lanes: int,
    n_tx: int = 3,
    n_rx: int = 4,
    slope: tuple[Limit, ...],
    fs: tuple[Limit, ...],
    adc_buffer: int | None,
    l3: int | None = None,
    vco: tuple[tuple[float, float], ...] = ((76e9, 78e9), (77e9, 81e9)),
    complex_ok: bool = True,
    has_cli: bool = True,
    extra: Mapping[str, tuple[Limit, ...]] = MappingProxyType({}),
    source: str,
) -> Device:
    unit = VCO_60 if vco[-1][1] < 70e9 else VCO_77
    return Device(
        name=name,
        family=family,
        lanes=lanes,
        band=(min(low for low, _ in vco), max(high for _, high in vco)),
        vco=vco,
        n_tx=n_tx,
        n_rx=n_rx,
        complex_ok=complex_ok,
        adc_buffer_bytes=adc_buffer,
        has_cli=has_cli,
        l3_bytes=l3,
        frequency_lsb=unit / 2**26 * (2 if unit == VCO_60 else 1),
        slope_lsb=unit * 900 / 2**26 * 1e6,
        limits=MappingProxyType({**_TIMES, "slope": slope, "fs": (_FS_LOW, *fs), **extra}),
        source=source,
    )


_ALL = (
    _device(
        "xWR1243",
        family="xWR12xx",
        lanes=4,
        slope=(_SLOPE_OTHER, _SLOPE_1X43),
        fs=(_FS_OTHER,),
        adc_buffer=16384,
        has_cli=False,
        source="lanes and buffer: RAW, LINK",
    ),
    _device(
        "xWR1443",
        family="xWR14xx",
        lanes=4,
        slope=(_SLOPE_OTHER, _SLOPE_1X43),
        fs=(_FS_OTHER,),
        adc_buffer=16384,
        source="lanes and buffer: RAW, LINK; the stock demo has no LVDS streaming",
    ),
    _device(
        "xWR1642",
        family="xWR16xx",
        lanes=2,
        n_tx=2,
        slope=(_SLOPE_OTHER,),
        fs=(Limit(high=12.5e6, source="xwr"),),
        adc_buffer=32768,
        l3=768 * 1024,
        source="lanes: RAW; buffer: LINK; demo memory: xwr",
    ),
    _device(
        "xWR1843",
        family="xWR18xx",
        lanes=2,
        slope=(_SLOPE_OTHER, _SLOPE_1X43),
        fs=(Limit(high=25e6, source="xwr"),),
        adc_buffer=32768,
        l3=1024 * 1024,
        source="lanes: RAW; buffer: LINK; demo memory: xwr",
    ),
    _device(
        "xWR6843",
        family="xWR68xx",
        lanes=2,
        vco=((57e9, 64e9),),
        slope=(Limit(high=250e12, source=LINK),),
        fs=(_FS_OTHER,),
        adc_buffer=32768,
        extra={
            "start_frequency": (Limit(low=60e9, source="data sheets give 60-64 GHz, LINK from 57 GHz", sure=False),)
        },
        source="lanes: RAW; buffer and band: LINK",
    ),
    _device(
        "xWR2243",
        family="xWR22xx",
        lanes=4,
        vco=((76e9, 78e9), (76e9, 81e9)),
        slope=(_SLOPE_2243,),
        fs=(Limit(high=45e6, source=LINK),),
        extra={"fs_complex1x": (Limit(high=22.5e6, source=f"{LINK} (20 MHz IF)"),)},
        adc_buffer=16384,
        has_cli=False,
        source=LINK,
    ),
    _device(
        "xWR2944",
        family="xWR29xx",
        lanes=2,
        n_tx=4,
        slope=(_SLOPE_OTHER,),
        fs=(_FS_OTHER,),
        adc_buffer=None,
        l3=2560 * 1024,
        complex_ok=False,
        source="lanes, real samples only, demo memory: xwr; size of the ADC buffer not known",
    ),
    _device(
        "MMWCAS",
        family="MMWCAS",
        lanes=4,
        n_tx=12,
        n_rx=16,
        vco=((76e9, 78e9), (76e9, 81e9)),
        slope=(_SLOPE_2243,),
        fs=(Limit(high=45e6, source=LINK),),
        extra={"fs_complex1x": (Limit(high=22.5e6, source=f"{LINK} (20 MHz IF)"),)},
        adc_buffer=16384,
        has_cli=False,
        source="four AWR2243, captured over CSI-2 by the MMWCAS-DSP board: no DCA1000; LINK",
    ),
)

DEVICES: Mapping[str, Device] = MappingProxyType({found.name: found for found in _ALL})
"""Every known chip by name."""

_FAMILIES = {found.family.upper(): found for found in _ALL} | {"XWR294X": DEVICES["xWR2944"]}
_SUFFIX = r"(?:[-_ ]?(?:BOOST|ISK|ISK-?ODS|ODS|AOP|AOPEVM|LEVM|EVM|ARBE)(?:EVM)?)?"
_NAME = re.compile(rf"[XAI]WR(\d\dXX|\d{{3}}X|\d{{4}}){_SUFFIX}")


def device(name: str) -> Device:
    """The chip of a name: "xWR1843", "IWR1843", "AWR1843BOOST", "xWR18xx", in any case.

    Raises
    ------
    GeometryError
        An unknown name; the message lists the known ones.
    """
    text = str(name).strip().upper()
    if text in ("MMWCAS", "MMWCAS-RF", "MMWCAS-RF-EVM"):
        return DEVICES["MMWCAS"]
    match = _NAME.fullmatch(text)
    if match:
        key = f"XWR{match[1]}"
        found = next((d for d in _ALL if d.name.upper() == key), None) or _FAMILIES.get(key)
        if found:
            return found
    raise GeometryError(f"device: got {name!r}, wanted one of {', '.join(DEVICES)} (or its AWR/IWR board)")
