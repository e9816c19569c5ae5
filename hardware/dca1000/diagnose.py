"""From a failure of the capture card to what to look at: this machine's addresses, who holds a port, status bits.

Everything here reads; nothing is changed and nothing is sent. The lists of causes come from the card's user guide
(switches, LEDs) and from what users of other tools reported (wrong host address, network, firewall, missing stream).
"""

import errno
import fcntl
import ipaddress
import socket
import struct
from array import array
from pathlib import Path

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.dca1000.protocol import AsyncStatus, Command

SIOCGIFCONF = 0x8912
NET = Path("/sys/class/net")
_IFREQ = 40 if struct.calcsize("P") == 8 else 32
_MAX_ADDRESSES = 256


class NoAnswer(CaptureError):
    """The card was asked and said nothing."""


ADVICE = {
    AsyncStatus.NO_LVDS_DATA: "no data came from the radar: is it started, is lvdsStreamCfg -1 0 1 0 set, is the "
    "60-pin cable seated, is the number of lanes right (LED LVDS_PATH_ERR)",
    AsyncStatus.NO_HEADER: "data without the expected header: separated mode needs the radar's header mode "
    "(LED HEADER_ERR)",
    AsyncStatus.EEPROM_FAILURE: "the card could not read or write its EEPROM",
    AsyncStatus.SD_DETECTED: "an SD card was put in",
    AsyncStatus.SD_REMOVED: "the SD card was taken out",
    AsyncStatus.SD_FULL: "the SD card is full",
    AsyncStatus.MODE_FAILURE: "the card's mode could not be set: switch SW2.5 must allow configuration by software, "
    "SW1 16 bit on",
    AsyncStatus.DDR_FULL: "the card's memory is full: the radar sends faster than Ethernet takes it; lower the packet "
    "delay or the radar's data rate (LED DDR_FULL)",
    AsyncStatus.RECORD_COMPLETED: "the recording is complete",
    AsyncStatus.LVDS_BUFFER_FULL: "the card's input buffer overflowed: the radar sends faster than the card takes it; "
    "lower the radar's data rate",
    AsyncStatus.PLAYBACK_COMPLETED: "playback is complete",
    AsyncStatus.PLAYBACK_OUT_OF_SEQUENCE: "playback data came out of sequence",
}

HARMLESS = AsyncStatus.SD_DETECTED | AsyncStatus.SD_REMOVED | AsyncStatus.RECORD_COMPLETED
HARMLESS |= AsyncStatus.PLAYBACK_COMPLETED
"""Bits that do not speak of a failure of a capture over Ethernet."""


def check_address(name: str, ip: str) -> None:
    """Raise GeometryError for what is no IPv4 address: datagrams are told apart by it."""
    try:
        ipaddress.IPv4Address(ip)
    except ValueError:
        raise GeometryError(f"{name}: got {ip!r}, wanted an IPv4 address such as 192.168.33.30") from None


def local_addresses() -> tuple[tuple[str, str], ...]:
    """(interface, IPv4 address) of every address this machine has, in the kernel's order."""
    buffer = array("B", bytes(_IFREQ * _MAX_ADDRESSES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, SIOCGIFCONF, struct.pack("iL", len(buffer), buffer.buffer_info()[0]))
    entries, used = buffer.tobytes(), struct.unpack("iL", answer)[0]
    found = []
    for start in range(0, used, _IFREQ):
        name = entries[start : start + 16].split(b"\0", 1)[0].decode(errors="replace")
        found.append((name, socket.inet_ntoa(entries[start + 20 : start + 24])))
    return tuple(found)


def has_address(ip: str) -> bool:
    """Whether a socket of this machine can be bound to an IPv4 address (all of 127.0.0.0/8 can)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True


def outgoing_address(ip: str) -> str | None:
    """The address of this machine from which datagrams to `ip` leave; None without a route. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ip, 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def interface_of(ip: str) -> str | None:
    """The interface that carries an address, or None."""
    return next((name for name, address in local_addresses() if address == ip), None)


def link_fault(interface: str) -> str | None:
    """What is wrong with an Ethernet interface's link, or None: switched off, no carrier, or slower than 1 Gb/s."""
    folder = NET / interface.split(":")[0]  # an address may have a label behind the interface's name
    if not folder.is_dir():
        return None
    try:
        carrier = (folder / "carrier").read_text().strip()
    except OSError:  # the kernel's answer for an interface that is down
        return f"{folder.name} is switched off; sudo ip link set {folder.name} up"
    if carrier == "0":
        return f"{folder.name} has no link: cable out, or the card without power"
    try:
        speed = int((folder / "speed").read_text())
    except (OSError, ValueError):  # loopback or virtual: it has none
        return None
    return f"{folder.name} runs at {speed} Mb/s, wanted 1000; use another port or cable" if 0 < speed < 1000 else None


def port_holder(ip: str, port: int) -> str | None:
    """Who holds a UDP port of an address ("process 4711 (python)"), as far as this user may see; None: nobody."""
    inode = None
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        number, _, held = fields[1].partition(":")
        address = socket.inet_ntoa(struct.pack("=I", int(number, 16)))
        if (int(held, 16) == port and "0.0.0.0" in (address, ip)) or (address, int(held, 16)) == (ip, port):
            inode = fields[9]
            break
    if inode is None:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) == f"socket:[{inode}]" for link in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:  # gone, or another user's
            continue
    return "a process of another user"


def address_advice(host_ip: str) -> str:
    """What addresses exist and how to give this machine `host_ip`."""
    present = local_addresses()
    listed = ", ".join(f"{ip} on {name}" for name, ip in present) or "none"
    wired = sorted({name for name, _ in present if name != "lo"})
    target = wired[0] if len(wired) == 1 else "INTERFACE"
    return f"it has {listed}; set it: sudo ip address add {host_ip}/24 dev {target}"


def bind_failed(error: OSError, host_ip: str, port: int) -> CaptureError:
    """Why a UDP port of this machine could not be taken."""
    if error.errno == errno.EADDRNOTAVAIL:
        return CaptureError(f"host address: this machine has no {host_ip}; {address_advice(host_ip)}")
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(host_ip, port) or "another program"
        return CaptureError(
            f"port {port} of {host_ip}: held by {holder}; end it (another recorder, mmWave Studio in a virtual "
            "machine?), or use another address"
        )
    if error.errno == errno.EACCES:
        return CaptureError(f"port {port} of {host_ip}: not allowed for this user; use a port over 1023")
    return CaptureError(f"port {port} of {host_ip}: {error.strerror or error}; check the address")


def no_answer(command: Command, *, host_ip: str, card_ip: str, tries: int, seen: str = "") -> NoAnswer:
    """What to look at when the card does not answer; `seen` says what did arrive."""
    causes = []
    leaving = outgoing_address(card_ip)
    if leaving is None:
        causes.append(f"there is no route to {card_ip}")
    elif leaving != host_ip and not leaving.startswith("127."):
        causes.append(
            f"datagrams to {card_ip} leave from {leaving}, not {host_ip}: give {host_ip} the netmask /24 of the "
            "card's network"
        )
    interface = interface_of(host_ip)
    fault = link_fault(interface) if interface else None
    causes += [fault] if fault else []
    if seen:
        causes.append(seen)
    known = "".join(f"{cause}; " for cause in causes)
    times = "1 try" if tries == 1 else f"{tries} tries"
    return NoAnswer(
        f"card {card_ip}: no answer to {command.name} after {times}; {known}look at: 5 V supply and power LED; "
        f"Ethernet cable at the card and both port LEDs; card address (SW2.6 off: 192.168.33.180 and host "
        f"192.168.33.30; on: as in its EEPROM); SW2.5 set to configuration by software; firewall for UDP from {card_ip}"
    )


def refused(command: Command, status: int) -> CaptureError:
    """The card answered that a command failed."""
    hints = {
        Command.CONFIG_FPGA: "SW2.5 must be set to configuration by software, SW1 to 16 bit",
        Command.CONFIG_RECORD: "packet delay must be 5 us to 500 us; is a recording still running?",
        Command.START_RECORD: "is a recording still running, was the card configured? reset it and start again",
        Command.RESET_RADAR: "is the radar connected to the 60-pin connector and powered?",
    }
    hint = hints.get(command, "reset the card and start again")
    return CaptureError(f"card: {command.name} failed, status {status}, wanted 0; {hint}")


def explain_status(status: int) -> str:
    """The bits of an asynchronous status in words."""
    known = [text for bit, text in ADVICE.items() if status & bit]
    rest = status & ~int(sum(AsyncStatus))
    if rest:
        known.append(f"unknown status bits 0x{rest:04x}")
    return "; ".join(known) or "nothing to report"


def is_failure(status: int) -> bool:
    """Whether an asynchronous status speaks of something wrong with a capture."""
    return bool(status & ~int(HARMLESS))
