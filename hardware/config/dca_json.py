"""cf.json: how TI's DCA1000 command line (DCA1000EVM_CLI_Control, _Record) was told to set the card and write files.

It decides how a file of that tool is laid out: with `reorderEnable` (on by default) samples of a lane group are put
together, with `MSBToggle` the top bit is inverted, and with sequence numbers in `multi` mode a file is no plain list
of samples. Source: TI DCA1000 CLI user guide 1.01.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from mmsar.errors import FormatError
from mmsar.hardware.config.cfg_lines import scale
from mmsar.hardware.config.cfg_text import read_text
from mmsar.hardware.config.json_values import Node, parse_json

PACKET_DELAY = (5e-6, 500e-6)
"""Packet delays that the card takes [s]."""


@dataclass(frozen=True, kw_only=True)
class DcaSettings:
    """Settings of a DCA1000 and of the recorder that used it."""

    logging_mode: str
    """"raw": every byte on one port; "multi": split by headers."""
    lvds_lanes: int
    """4 or 2."""
    format_bits: int
    """12, 14 or 16."""
    packet_delay_s: float
    """Pause between packets [s]."""
    card_ip: str
    host_ip: str
    config_port: int
    data_port: int
    reordered: bool
    """Whether the recorder rewrites the order of the samples in the file."""
    msb_toggle: bool
    """Whether the recorder inverts the top bit."""
    sequence_numbers: bool
    file_prefix: str | None
    file_folder: str | None
    max_file_bytes: int | None
    stop_mode: str | None
    """"bytes", "frames", "duration" or "infinite"."""
    stop_after: float | None
    """Bytes, frames, or seconds, as `stop_mode` says."""
    ethernet_stream: bool
    """True: data goes to the network; False: to the SD card."""
    playback: bool
    """True: the card plays data back instead of capturing."""
    text: str
    """The text it was read from, unchanged."""


def parse_cf_json(text: str, *, name: str = "cf.json") -> DcaSettings:
    """The settings in the text of a cf.json.

    Raises
    ------
    FormatError
        Not such a file, or a value out of its range.
    """
    if text.startswith("\ufeff"):
        raise FormatError(f"{name}: got a byte order mark, wanted plain UTF-8; TI's tool refuses it too")
    top = Node(parse_json(text, name), name)
    card = top.node("DCA1000Config")
    net = card.node("ethernetConfig") if card.has("ethernetConfig") else Node({}, f"{name}: ethernetConfig")
    update = card.node("ethernetConfigUpdate") if card.has("ethernetConfigUpdate") else Node({}, name)
    record = card.node("captureConfig") if card.has("captureConfig") else Node({}, f"{name}: captureConfig")
    form = card.node("dataFormatConfig") if card.has("dataFormatConfig") else Node({}, f"{name}: dataFormatConfig")
    delay = scale(card.number("packetDelay_us"), -6)
    if not PACKET_DELAY[0] <= delay <= PACKET_DELAY[1]:
        raise card.error("packetDelay_us", "5 to 500 [us]")
    stop = record.text("captureStopMode", ("bytes", "frames", "duration", "infinite")) if record.value else None
    key, unit = {
        "bytes": ("bytesToCapture", 1.0),
        "frames": ("framesToCapture", 1.0),
        "duration": ("durationToCapture_ms", 1e-3),
    }.get(stop, (None, 1.0))
    size = record.number("maxRecFileSize_MB") if record.has("maxRecFileSize_MB") else None
    if size is not None and not 0 < size <= 1024:
        raise record.error("maxRecFileSize_MB", "1 to 1024")
    return DcaSettings(
        logging_mode=card.text("dataLoggingMode", ("raw", "multi")),
        lvds_lanes={1: 4, 2: 2}[card.whole("lvdsMode", low=1, high=2)],
        format_bits={1: 12, 2: 14, 3: 16}[card.whole("dataFormatMode", low=1, high=3)],
        packet_delay_s=delay,
        card_ip=_address(net, "DCA1000IPAddress", "192.168.33.180"),
        host_ip=_address(update, "systemIPAddress", "192.168.33.30"),
        config_port=net.whole("DCA1000ConfigPort", low=1, high=65535, default=4096),
        data_port=net.whole("DCA1000DataPort", low=1, high=65535, default=4098),
        reordered=bool(form.whole("reorderEnable", high=1, default=1)),
        msb_toggle=bool(form.whole("MSBToggle", high=1, default=0)),
        sequence_numbers=bool(record.whole("sequenceNumberEnable", high=1, default=0)),
        file_prefix=record.text("filePrefix") if record.has("filePrefix") else None,
        file_folder=record.text("fileBasePath") if record.has("fileBasePath") else None,
        max_file_bytes=None if size is None else int(size * 2**20),
        stop_mode=stop,
        stop_after=None if key is None else record.number(key) * unit,
        ethernet_stream=card.text("dataCaptureMode", ("ethernetStream", "SDCardStorage")) == "ethernetStream",
        playback=card.text("dataTransferMode", ("LVDSCapture", "playback")) == "playback",
        text=text,
    )


def read_cf_json(path: str | Path) -> DcaSettings:
    """The settings in a cf.json file; see `parse_cf_json`."""
    return parse_cf_json(read_text(path), name=str(path))


def _address(node: Node, key: str, default: str) -> str:
    value = node.text(key, default=default)
    try:
        return str(ipaddress.IPv4Address(value))
    except ipaddress.AddressValueError:
        raise node.error(key, "an IPv4 address") from None
