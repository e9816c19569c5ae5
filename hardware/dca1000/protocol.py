"""The DCA1000's wire format: commands, answers, status and data packets, as pure functions of bytes.

Everything is little-endian UDP. Host and card exchange on the configuration port

    request   0xA55A u16, command u16, n u16, payload (n bytes, n <= 504), 0xEEAA u16
    answer    0xA55A u16, command u16, status u16, 0xEEAA u16

and the card alone sends on the data port

    packet    sequence u32 (from 1), bytes sent before this packet u48 (from 0), payload (1456 bytes; the last: fewer)

Decoders take any bytes and return None for what is not of that form; encoders raise GeometryError for values the card
does not know. Sources: TI DCA1000EVM user guide (SPRUIJ4A, tables 11-16), TI DCA1000 CLI 1.0 (rf_api.h, globals.h), and
captures of the card's traffic.
"""

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from mmsar.errors import GeometryError

MAGIC = 0xA55A
FOOTER = 0xEEAA
MAX_COMMAND_PAYLOAD = 504

HEADER = 10
"""Bytes of a data packet before its payload."""

PAYLOAD = 1456
"""Payload of every data packet but the last of a recording [bytes]."""

CONFIG_PORT = 4096
DATA_PORT = 4098
HOST_IP = "192.168.33.30"
CARD_IP = "192.168.33.180"

FLUSH = 2.0
"""Silence of the radar after which the card sends the part of a packet that is left [s]; seen with firmware 2.8."""

DELAY_CLOCK = 8e-9
DELAY_RANGE = (5e-6, 500e-6)
WIRE_TIME = (HEADER + PAYLOAD) * DELAY_CLOCK
"""Time the card needs for one full packet beside the delay [s]."""

MAX_SHORTFALL = 1 << 24
"""How far the byte count of a packet may fall behind 1456 bytes for each packet before it [bytes].

Only a packet sent after `FLUSH` is short, so the two counters of a packet agree but for one part of a packet per such
pause: room for more than 11,000 pauses, and yet fewer than three of a million random datagrams pass for a packet.
"""

SEQUENCE_SPAN = 1 << 32
_REQUEST = struct.Struct("<HHH")
_ANSWER = struct.Struct("<HHHH")
_FOOTER = struct.Struct("<H")
_FPGA = struct.Struct("<6B")
_RECORD = struct.Struct("<HHH")
_PACKET = struct.Struct("<IIH")
_BITS = {12: 1, 14: 2, 16: 3}
_LANES = {4: 1, 2: 2}


class Command(IntEnum):
    """What the host can ask; ASYNC_STATUS is what the card says unasked."""

    RESET_FPGA = 0x01
    RESET_RADAR = 0x02
    CONFIG_FPGA = 0x03
    CONFIG_EEPROM = 0x04
    START_RECORD = 0x05
    STOP_RECORD = 0x06
    START_PLAYBACK = 0x07
    STOP_PLAYBACK = 0x08
    ALIVENESS = 0x09
    ASYNC_STATUS = 0x0A
    CONFIG_RECORD = 0x0B
    CONFIG_RADAR = 0x0C
    INIT_PLAYBACK = 0x0D
    READ_VERSION = 0x0E


class AsyncStatus(IntFlag):
    """Bits of an ASYNC_STATUS message."""

    NO_LVDS_DATA = 1 << 0
    NO_HEADER = 1 << 1
    EEPROM_FAILURE = 1 << 2
    SD_DETECTED = 1 << 3
    SD_REMOVED = 1 << 4
    SD_FULL = 1 << 5
    MODE_FAILURE = 1 << 6
    DDR_FULL = 1 << 7
    RECORD_COMPLETED = 1 << 8
    LVDS_BUFFER_FULL = 1 << 9
    PLAYBACK_COMPLETED = 1 << 10
    PLAYBACK_OUT_OF_SEQUENCE = 1 << 11


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as the card receives it."""

    command: Command
    payload: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer of the card: `status` is 0 for done and 1 for failed, a version word, or `AsyncStatus` bits."""

    command: Command
    status: int


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A data packet: its number (u32, from 1), the bytes sent before it (u48), its payload (1 to 1456 bytes)."""

    sequence: int
    offset: int
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class Version:
    """Firmware of the card's FPGA."""

    major: int
    minor: int
    playback: bool

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}" + (" (playback image)" if self.playback else "")


@dataclass(frozen=True, kw_only=True)
class FpgaConfig:
    """The values of a CONFIG_FPGA request: lanes 2 or 4, bits 12, 14 or 16; `timer` has no documented unit."""

    lanes: int
    bits: int
    separated: bool
    timer: int


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """The values of a CONFIG_RECORD request: most bytes of a datagram, pause between datagrams [s]."""

    max_bytes: int
    delay: float


def encode_request(command: Command, payload: bytes = b"") -> bytes:
    """A request as bytes.

    Raises
    ------
    GeometryError
        A payload over 504 bytes, a code that is no request, or CONFIG_EEPROM (see `config_eeprom`).
    """
    if command == Command.CONFIG_EEPROM:
        raise GeometryError("CONFIG_EEPROM: changes the card for good; use config_eeprom() if that is meant")
    return _encode(command, payload)


def _encode(command: Command, payload: bytes) -> bytes:
    if command not in _REQUESTS:
        raise GeometryError(f"command: got {command!r}, wanted a request of Command")
    if len(payload) > MAX_COMMAND_PAYLOAD:
        raise GeometryError(f"{Command(command).name}: payload of {len(payload)} bytes, wanted at most 504")
    return _REQUEST.pack(MAGIC, command, len(payload)) + payload + _FOOTER.pack(FOOTER)


def decode_request(datagram: bytes) -> Request | None:
    """A request from bytes; None when they are none. For the emulator."""
    if not 8 <= len(datagram) <= 8 + MAX_COMMAND_PAYLOAD:
        return None
    magic, code, size = _REQUEST.unpack_from(datagram)
    if magic != MAGIC or len(datagram) != 8 + size or code not in _REQUESTS:
        return None
    if _FOOTER.unpack_from(datagram, 6 + size)[0] != FOOTER:
        return None
    return Request(command=Command(code), payload=bytes(datagram[6 : 6 + size]))


def encode_response(command: Command, status: int = 0) -> bytes:
    """An answer (or an asynchronous status) as bytes. For the emulator."""
    return _ANSWER.pack(MAGIC, command, status, FOOTER)


def decode_response(datagram: bytes) -> Response | None:
    """An answer or an asynchronous status from bytes; None when they are neither."""
    if len(datagram) != _ANSWER.size:
        return None
    magic, code, status, footer = _ANSWER.unpack(datagram)
    if magic != MAGIC or footer != FOOTER or code not in _CODES:
        return None
    return Response(command=Command(code), status=status)


def config_fpga(*, lanes: int, bits: int = 16, separated: bool = False, timer: int = 30) -> bytes:
    """The CONFIG_FPGA request for capture from LVDS to Ethernet.

    Parameters
    ----------
    lanes : int
        LVDS lanes of the radar: 4 (xWR12xx, 14xx, AWR2243) or 2.
    bits : int
        Bits of an ADC sample: 12, 14 or 16.
    separated : bool
        One port for each kind of data instead of everything on the data port ("multi" mode).
    timer : int
        LVDS timeout, 0 to 255; its unit is not documented.

    Raises
    ------
    GeometryError
        A value the card does not know.
    """
    if lanes not in _LANES:
        raise GeometryError(f"lanes: got {lanes!r}, wanted 2 or 4; see the radar's device")
    if bits not in _BITS:
        raise GeometryError(f"bits: got {bits!r}, wanted 12, 14 or 16; see adcCfg")
    if timer not in range(256):
        raise GeometryError(f"timer: got {timer!r}, wanted 0 to 255")
    return _encode(Command.CONFIG_FPGA, _FPGA.pack(2 if separated else 1, _LANES[lanes], 1, 2, _BITS[bits], timer))


def decode_config_fpga(payload: bytes) -> FpgaConfig | None:
    """The values of a CONFIG_FPGA payload; None for what the card would refuse. For the emulator."""
    if len(payload) != _FPGA.size:
        return None
    log, lvds, transfer, capture, form, timer = payload
    if log not in (1, 2) or lvds not in (1, 2) or transfer != 1 or capture != 2 or form not in (1, 2, 3):
        return None
    return FpgaConfig(lanes=4 if lvds == 1 else 2, bits=(12, 14, 16)[form - 1], separated=log == 2, timer=timer)


def config_record(delay: float, *, max_bytes: int = 1470) -> bytes:
    """The CONFIG_RECORD request.

    Parameters
    ----------
    delay : float
        Pause between two datagrams [s], 5e-6 to 500e-6; the card counts it in clocks of 8 ns.
    max_bytes : int
        Most bytes of a datagram; 1470 as TI's command line tool sends (mmWave Studio: 1472).

    Raises
    ------
    GeometryError
        A delay outside the range, or a size that is no u16.
    """
    low, high = DELAY_RANGE
    if not low - 1e-12 <= delay <= high + 1e-12:  # NaN too
        raise GeometryError(f"packet delay: got {delay * 1e6:g} us, wanted 5 us to 500 us")
    if not HEADER + PAYLOAD <= max_bytes <= 0xFFFF:
        raise GeometryError(f"max_bytes: got {max_bytes!r}, wanted 1466 to 65535")
    return _encode(Command.CONFIG_RECORD, _RECORD.pack(max_bytes, round(delay / DELAY_CLOCK), 0))


def decode_config_record(payload: bytes) -> RecordConfig | None:
    """The values of a CONFIG_RECORD payload; None for what is none. For the emulator."""
    if len(payload) != _RECORD.size:
        return None
    max_bytes, clocks, zero = _RECORD.unpack(payload)
    if zero:
        return None
    return RecordConfig(max_bytes=max_bytes, delay=clocks * DELAY_CLOCK)


def config_eeprom(*, host_ip: str, card_ip: str, mac: str, config_port: int, data_port: int) -> bytes:
    """The CONFIG_EEPROM request: addresses the card uses from its next power cycle on (switch SW2.6 on).

    A wrong address makes the card unreachable until SW2.6 is set to the default addresses.

    Parameters
    ----------
    host_ip, card_ip : str
        IPv4 addresses.
    mac : str
        The card's Ethernet address, six hexadecimal bytes separated by - or :.
    config_port, data_port : int
        UDP ports.

    Raises
    ------
    GeometryError
        Something that is no address or port.
    """
    try:
        addresses = [ipaddress.IPv4Address(ip).packed[::-1] for ip in (host_ip, card_ip)]
    except ValueError as error:
        raise GeometryError(f"address: {error}; wanted four numbers as in 192.168.33.30") from None
    parts = mac.replace(":", "-").split("-")
    try:
        octets = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError:
        octets = b""
    if len(parts) != 6 or len(octets) != 6:
        raise GeometryError(f"mac: got {mac!r}, wanted six bytes as in 12-34-56-78-90-12")
    for name, port in (("config_port", config_port), ("data_port", data_port)):
        if port not in range(1, 65536):
            raise GeometryError(f"{name}: got {port!r}, wanted 1 to 65535")
    payload = b"".join(addresses) + octets[::-1] + struct.pack("<HH", config_port, data_port)
    return _encode(Command.CONFIG_EEPROM, payload)


def decode_version(word: int) -> Version:
    """The firmware a READ_VERSION answer's status word names: bits 0-6 major, 7-13 minor, 14 playback image."""
    return Version(major=word & 0x7F, minor=word >> 7 & 0x7F, playback=bool(word >> 14 & 1))


def encode_version(version: Version) -> int:
    """The status word of a READ_VERSION answer. For the emulator."""
    return version.major | version.minor << 7 | version.playback << 14


def encode_packet(sequence: int, offset: int, payload: bytes) -> bytes:
    """A data packet as bytes; the counters wrap at 32 and 48 bits. For the emulator."""
    return _PACKET.pack(sequence & 0xFFFFFFFF, offset & 0xFFFFFFFF, offset >> 32 & 0xFFFF) + payload


def decode_packet(datagram: bytes) -> Packet | None:
    """A data packet from bytes.

    None when the length fits no packet or when sequence number and byte count cannot belong together
    (`MAX_SHORTFALL`); the sequence number may have wrapped, which it does after 20 hours at full rate.
    """
    if not HEADER < len(datagram) <= HEADER + PAYLOAD:
        return None
    sequence, low, high = _PACKET.unpack_from(datagram)
    offset = low | high << 32
    if ((sequence - 1) * PAYLOAD - offset) % (SEQUENCE_SPAN * PAYLOAD) >= MAX_SHORTFALL:
        return None
    return Packet(sequence=sequence, offset=offset, payload=bytes(datagram[HEADER:]))


def packet_interval(delay: float) -> float:
    """Least time between two full packets [s] for a packet delay [s]."""
    return WIRE_TIME + delay


_CODES = frozenset(Command)
_REQUESTS = _CODES - {Command.ASYNC_STATUS}
