"""The frames of a raw capture: what one holds, and why the size of a file disagrees with its description."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmsar.io.importers.iq_layout import REAL, frame_bytes, lanes, word_bytes

LARGEST_RECORD = 2048
"""Records longer than this are not looked for [bytes]: a datagram of the card has 1466."""
COMMON_SAMPLES = (16, 32, 64, 100, 128, 200, 256, 320, 400, 480, 500, 512, 640, 768, 800, 1000, 1024, 2048)


@dataclass(frozen=True)
class Frames:
    """How the frames of a capture lie in its files."""

    layout: str
    chirps: int
    """Chirps per frame: loops times transmitters."""
    samples: int
    rx: int
    tx: int
    offset_binary: bool
    bits: int
    """Bits of a sample: 12, 14 or 16."""
    average: bool
    """Whether the loops of a frame are averaged to one pose, instead of one pose each."""
    conjugate: bool

    @property
    def loops(self) -> int:
        """Loops of the transmitters per frame."""
        return self.chirps // self.tx

    @property
    def poses_per_frame(self) -> int:
        """1, or the loops."""
        return 1 if self.average else self.loops

    @property
    def nbytes(self) -> int:
        """Size of a frame [bytes]."""
        return frame_bytes(self.layout, chirps=self.chirps, samples=self.samples, rx=self.rx)


class Span(NamedTuple):
    """The part of a file that is samples."""

    file: Path
    offset: int
    size: int
    """[bytes]"""


def record_stride(file: Path) -> int | None:
    """Distance of records that begin with a rising number (u32, little-endian) [bytes]; None: plain samples.

    That is how a recorder stores datagrams with their sequence numbers; four numbers in a row are no coincidence.
    """
    with open(file, "rb") as stream:
        head = stream.read(4 * LARGEST_RECORD)
    if len(head) < 64:
        return None
    first = int.from_bytes(head[:4], "little")
    for stride in range(10, min(LARGEST_RECORD, (len(head) - 4) // 3) + 1):
        numbers = [int.from_bytes(head[k * stride : k * stride + 4], "little") for k in (1, 2, 3)]
        if 0 < first < 2**31 and numbers == [first + 1, first + 2, first + 3]:
            return stride
    return None


def explain_size(
    name: str, size: int, frames: Frames, expected: float | None, *, key: str = "frames", files: Sequence[Path] = ()
) -> str:
    """One line on a size that disagrees: both numbers, what they are made of, and what would fit."""
    unit = frames.nbytes
    held = lanes(frames.layout, frames.rx)
    made = f"{frames.chirps} chirps x {frames.samples} samples x {held} channels x {word_bytes(frames.layout)} bytes"
    whole, rest = divmod(size, unit)
    if expected is None:
        head = f"{name}: got {size} bytes, wanted a whole number of frames of {unit} bytes ({made})"
    else:
        head = f"{name}: got {size} bytes, wanted {round(expected * unit)} = {expected:g} frames ({key}) x {made}"
    reasons = []
    surplus = size - round((expected or whole) * unit)
    if size == 0:
        reasons.append("the file is empty")
    elif rest == 0:
        reasons.append(f"{whole} frames would fit (a capture stopped early or late, or {key} is wrong)")
    else:
        reasons.append(f"that is {whole} frames and {rest} bytes over")
    if surplus > 0 and _ends_in_zeros(files, surplus):
        reasons.append(f"the last {surplus} bytes are zeros, padding of the recorder: ignore_bytes = {surplus} if so")
    elif surplus > 0 and _begins_with_zeros(files, surplus):
        reasons.append(f"the first {surplus} bytes are zeros, padding of the recorder: skip_bytes = {surplus} if so")
    reasons += _alternatives(size, frames, expected)[:3]
    if rest and len(reasons) == 1:
        named = f"ignore_bytes = {rest}" + (f" and frames_per_file = {whole}" if expected is not None else "")
        leave = f" ({named} leave the unfinished frame out)" if whole else ""
        reasons.append(f"a capture cut short{leave}, or other samples, rx or chirps_per_frame")
    return f"{head}: {'; '.join(reasons)}"


def _alternatives(size: int, frames: Frames, expected: float | None) -> list[str]:
    """Single changes of the description that would make the size right."""
    if expected is None or size == 0:
        return []
    found = []
    per_sample = size / (expected * frames.chirps * word_bytes(frames.layout))
    per_channel = per_sample / lanes(frames.layout, frames.rx)
    samples = int(per_channel) if per_channel.is_integer() else 0
    if samples in COMMON_SAMPLES:
        found.append(f"samples = {samples} would fit")
    if not frames.layout.startswith("4lane") and per_sample / frames.samples in (1, 2, 3, 4):
        found.append(f"rx = {int(per_sample / frames.samples)} would fit")
    chirps = size * frames.chirps / (expected * frames.nbytes)
    if chirps.is_integer() and chirps <= 4096:
        found.append(f"chirps_per_frame = {int(chirps)} would fit")
    if frames.layout in REAL and per_sample == 2 * frames.samples * lanes(frames.layout, frames.rx):
        found.append("a layout of complex samples would fit")
    if frames.layout.startswith("4lane") and frames.rx < 4 and per_sample == frames.rx * frames.samples:
        found.append("a two-lane layout would fit")
    return found


def _begins_with_zeros(files: Sequence[Path], surplus: int) -> bool:
    if not files or files[0].stat().st_size < surplus:
        return False
    with open(files[0], "rb") as stream:
        while surplus > 0:
            block = stream.read(min(surplus, 2**20))
            if block.count(0) != len(block):
                return False
            surplus -= len(block)
    return True


def _ends_in_zeros(files: Sequence[Path], surplus: int) -> bool:
    for file in reversed(files):
        take = min(surplus, file.stat().st_size)
        with open(file, "rb") as stream:
            stream.seek(-take, 2)
            left = take
            while left > 0:
                block = stream.read(min(left, 2**20))
                if block.count(0) != len(block):
                    return False
                left -= len(block)
        surplus -= take
        if surplus <= 0:
            break
    return True
