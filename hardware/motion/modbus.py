"""Modbus RTU: frames, their check sum, and a master that asks one device at a time.

A frame is address, function, data and a CRC-16 (polynomial 0xA001 reflected, start 0xFFFF, low byte first); frames are
separated by 3.5 characters of silence, 1.75 ms above 19200 baud. Registers go high byte first. Functions in use: 1 read
coils, 3 read holding registers, 5 write one coil, 16 write registers. A request without an answer may or may not have
been carried out: reads are repeated, writes never. Source: Modbus over serial line, and its application protocol 1.1b.
"""

import struct
import threading
import time
from collections.abc import Sequence

from mmsar.errors import CaptureError
from mmsar.hardware.motion.serial_line import PORT_ERRORS, open_port
from mmsar.hardware.serial_ports import said

READ_COILS, READ_REGISTERS, WRITE_COIL, WRITE_REGISTERS = 1, 3, 5, 16
SILENCE = 2e-3
"""Pause before a request [s]; 3.5 characters, or 1.75 ms above 19200 baud."""
ANSWER = 0.2
"""Longest wait for an answer [s]."""
TRIES = 3

EXCEPTIONS = {
    1: "function not supported",
    2: "address not there",
    3: "value not allowed",
    4: "device failure",
    5: "accepted, takes long",
    6: "device busy",
    8: "memory parity error",
}
"""Exception codes of the standard."""


def crc16(data: bytes) -> int:
    """The check sum of a frame's bytes."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def frame(unit: int, function: int, data: bytes) -> bytes:
    """A whole frame."""
    body = bytes((unit, function)) + data
    return body + struct.pack("<H", crc16(body))


def check_frame(raw: bytes) -> bytes | None:
    """Address, function and data of a frame; None when it is too short or its check sum is wrong."""
    if len(raw) < 4 or crc16(raw[:-2]) != struct.unpack("<H", raw[-2:])[0]:
        return None
    return raw[:-2]


class ModbusMaster:
    """The asking side on a serial port; one request at a time, from any thread."""

    def __init__(self, port: str, *, unit: int = 1, baudrate: int = 115200) -> None:
        """Open the port, 8N1.

        Parameters
        ----------
        unit : int
            Address of the device.

        Raises
        ------
        CaptureError
            A port that cannot be opened.
        """
        self.port = port
        self.unit = unit
        self._serial = open_port(port, baudrate=baudrate, timeout=ANSWER)
        self._lock = threading.Lock()
        self.retries = 0
        """Reads that had to be repeated."""

    def read_registers(self, address: int, count: int) -> list[int]:
        """`count` holding registers from `address`, each 0..65535. Repeated up to three times.

        Raises
        ------
        CaptureError
            No valid answer, an exception of the device, or a port that is gone.
        """
        data = self._read(READ_REGISTERS, address, count, 2 * count)
        return list(struct.unpack(f">{count}H", data))

    def read_coils(self, address: int, count: int) -> list[bool]:
        """`count` coils from `address`. Repeated up to three times; raises as `read_registers`."""
        data = self._read(READ_COILS, address, count, (count + 7) // 8)
        return [bool(data[i // 8] >> i % 8 & 1) for i in range(count)]

    def write_coil(self, address: int, on: bool, *, tries: int = 1) -> None:
        """Switch a coil. Not repeated unless `tries` says so, which is right only where twice does as once.

        Raises
        ------
        CaptureError
            As `read_registers`; without an answer it is not known whether the coil was switched.
        """
        data = struct.pack(">HH", address, 0xFF00 if on else 0)
        self._exchange(WRITE_COIL, data, 8, tries=tries, echo=data)

    def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers from `address`. Never repeated; raises as `write_coil`."""
        data = struct.pack(f">HHB{len(values)}H", address, len(values), 2 * len(values), *values)
        self._exchange(WRITE_REGISTERS, data, 8, tries=1, echo=data[:4])

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def _read(self, function: int, address: int, count: int, size: int) -> bytes:
        answer = self._exchange(function, struct.pack(">HH", address, count), 5 + size, tries=TRIES)
        if answer[0] != size or len(answer) != size + 1:
            raise CaptureError(f"Modbus on {self.port}: got {answer[0]} bytes of data, wanted {size}")
        return answer[1:]

    def _exchange(self, function: int, data: bytes, length: int, *, tries: int, echo: bytes | None = None) -> bytes:
        """Data of the answer to a request of `length` bytes; `echo`: what it has to repeat."""
        fault = ""
        for attempt in range(tries):
            with self._lock:
                raw = self._talk(frame(self.unit, function, data), length)
            self.retries += attempt > 0
            body = check_frame(raw)
            if not raw:
                fault = f"no answer in {ANSWER:g} s"
            elif body is None:
                fault = f"{len(raw)} bytes with a wrong check sum"
            elif body[0] != self.unit:
                fault = f"an answer of device {body[0]}"
            elif body[1] == function | 0x80:
                code = body[2] if len(body) > 2 else 0
                raise CaptureError(
                    f"Modbus on {self.port}: got exception {code} ({EXCEPTIONS.get(code, 'unknown')}) to function "
                    f"{function}, wanted it done"
                )
            elif body[1] != function or (echo is not None and body[2:] != echo):
                fault = f"an answer to another request ({body.hex(' ')})"
            else:
                return body[2:]
        doubt = "" if function in (READ_COILS, READ_REGISTERS) else "; whether it was carried out is not known"
        raise CaptureError(
            f"Modbus on {self.port}: got {fault} ({tries} tries of function {function}), wanted an answer of device "
            f"{self.unit}; check cable, power, 115200 baud and the device's address{doubt}"
        )

    def _talk(self, request: bytes, length: int) -> bytes:
        """Send a request, read its answer of `length` bytes, or of 5 when it is an exception."""
        try:
            time.sleep(SILENCE)
            self._serial.reset_input_buffer()
            self._serial.write(request)
            raw = self._serial.read(5)
            if len(raw) == 5 and not raw[1] & 0x80:
                raw += self._serial.read(length - 5)
            return raw
        except PORT_ERRORS as error:
            raise CaptureError(
                f"Modbus on {self.port}: got {said(error)}, wanted an open port; check the cable"
            ) from None
