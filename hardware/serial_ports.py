"""Which serial port is the radar's command line: by what USB says of it, never by its number, which changes.

Known boards (vendor:product, interface):

    XDS110        0451:BEF3  interface 0 "Application/User UART": command line; interface 3 "Auxiliary Data Port"
    CP2105        10C4:EA70  "Enhanced": command line; "Standard": data
    DevPack FTDI  0451:FD03  four ports to a radar's debug lines: none is a command line

Two boards at once, or ports that USB does not tell apart, are a refusal that lists what there is.
"""

import errno
import grp
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import serial
from serial.tools import list_ports

from mmsar.errors import CaptureError

Role = Literal["cli", "data", "devpack", "unclear", "other"]

XDS110 = (0x0451, 0xBEF3)
CP2105 = (0x10C4, 0xEA70)
DEVPACK = (0x0451, 0xFD03)
BOARDS = {XDS110: "XDS110", CP2105: "CP2105", DEVPACK: "DevPack FTDI"}

READ_TIMEOUT = 0.05
"""How long a read waits for the first byte [s]."""
WRITE_TIMEOUT = 2.0

MEANING = {
    "cli": "the radar's command line",
    "data": "the radar's data port",
    "devpack": "debug lines of the DevPack or the capture card, not a command line: plug USB into the radar board",
    "unclear": "a radar board's port, but USB does not say which: name it with --port",
    "other": "not a radar board's",
}


class PortEntry(Protocol):
    """What is used of pyserial's ListPortInfo."""

    device: str
    description: str
    vid: int | None
    pid: int | None
    serial_number: str | None
    location: str | None
    interface: str | None


@dataclass(frozen=True, kw_only=True)
class Port:
    """A serial port of this machine and what it is."""

    path: str
    role: Role
    board: str
    """USB bridge of the board ("XDS110"); empty when unknown."""
    serial_number: str
    """USB serial number, which tells two boards apart; empty when there is none."""
    description: str

    def __str__(self) -> str:
        number = f", serial {self.serial_number}" if self.serial_number else ""
        return f"{self.path} ({self.board or self.description}{number}: {MEANING[self.role]})"


def find_ports(entries: Iterable[PortEntry] | None = None) -> tuple[Port, ...]:
    """The serial ports of this machine (or of `entries`), sorted by path. Opens none."""
    found = [_classify(entry) for entry in (list_ports.comports() if entries is None else entries)]
    return tuple(sorted(found, key=lambda port: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", port.path)]))


def _classify(entry: PortEntry) -> Port:
    usb = (entry.vid, entry.pid)
    words = f"{entry.interface or ''} {entry.description or ''}"
    number = re.search(r":\d+\.(\d+)$", entry.location or "")
    role: Role = "other"
    if usb == XDS110:
        by_number = {"0": "cli", "3": "data"}.get(number[1] if number else "", "unclear")
        role = "cli" if "User UART" in words else "data" if "Data Port" in words else by_number
    elif usb == CP2105:
        role = "cli" if "Enhanced" in words else "data" if "Standard" in words else "unclear"
    elif usb == DEVPACK:
        role = "devpack"
    return Port(
        path=entry.device,
        role=role,
        board=BOARDS.get(usb, ""),
        serial_number=entry.serial_number or "",
        description=entry.description or "n/a",
    )


def cli_port(*, serial_number: str | None = None, entries: Iterable[PortEntry] | None = None) -> Port:
    """The one port that is a radar's command line.

    Parameters
    ----------
    serial_number : str
        USB serial number of the board, where there are several.

    Raises
    ------
    CaptureError
        None, or more than one; the message lists the ports there are.
    """
    ports = find_ports(entries)
    good = [p for p in ports if p.role == "cli" and serial_number in (None, p.serial_number)]
    if len(good) == 1:
        return good[0]
    of = f" of board {serial_number}" if serial_number is not None else ""
    if good:
        raise CaptureError(
            f"radar port: {len(good)} command lines{of}: {', '.join(map(str, good))}; name one with --port"
        )
    listed = ", ".join(map(str, ports)) or "no serial port at all"
    raise CaptureError(
        f"radar port: found no command line{of} among: {listed}; plug the USB cable into the radar board and switch "
        "it on, or name the port with --port"
    )


def open_port(path: str, *, baud: int) -> serial.Serial:
    """Open a serial port for this program alone, 8N1.

    Raises
    ------
    CaptureError
        A port that is not there, not allowed, or in use, and what to do.
    """
    try:
        return serial.Serial(path, baud, timeout=READ_TIMEOUT, write_timeout=WRITE_TIMEOUT, exclusive=True)
    except (OSError, ValueError) as error:
        raise CaptureError(f"port {path}: {open_advice(path, error)}") from error


def open_advice(path: str, error: Exception) -> str:
    """Why a port could not be opened, and what to do."""
    code = getattr(error, "errno", None)
    if code == errno.ENOENT or not os.path.exists(path):
        return f"not there; ports of this machine: {_listed()}"
    if code in (errno.EACCES, errno.EPERM):
        return f"this user may not open it; {permission_advice(path)}"
    if code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "exclusively lock" in str(error):
        return "in use by another program (a terminal, ModemManager, another mmsar); end that"
    if code == errno.ENOTTY or not stat.S_ISCHR(os.stat(path).st_mode) or "configure port" in str(error):
        return f"something else, wanted a serial port; ports of this machine: {_listed()}"
    return f"{' '.join(str(error).split())}; wanted a serial port"


def said(error: BaseException) -> str:
    """What happened to a port that was open, in a line: unplugged, or what the system says."""
    text = " ".join(str(error).split()) or type(error).__name__
    gone = getattr(error, "errno", None) in (errno.EIO, errno.ENXIO, errno.ENODEV)
    if gone or "returned no data" in text or os.strerror(errno.EIO) in text:
        return "that the device was unplugged or switched off"
    return text


def _listed() -> str:
    return ", ".join(port.path for port in find_ports()) or "none"


def may_open(path: str) -> bool:
    """Whether this user has the right to read and write a port."""
    return os.access(path, os.R_OK | os.W_OK)


def permission_advice(path: str) -> str:
    """How to get the right to a port."""
    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        group = "dialout"
    if group == "root":
        return "give it a udev rule with GROUP=dialout, MODE=0660"
    return f"sudo usermod -aG {group} $USER, then log in again"
