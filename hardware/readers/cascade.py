"""Recordings of the four-chip cascade (MMWCAS-RF with MMWCAS-DSP): data and index files of master and three slaves.

    master_0000_data.bin, master_0000_idx.bin, slave1_0000_data.bin, ...; a new set _0001 starts at about 2 GB

A data file is pre-allocated, so its size says nothing: frames are counted in the index. An index is a 24-byte header
(tag, version, flags, number of frames, bytes of data) and 48 bytes per frame (tag, version, flags, width, height, pitch
or meta size [4], size, time stamp, offset), little-endian. There is no frame counter: a dropped frame shows only as a
gap of time, and the four chips can drop different ones. So stamps of the four chips that lie together are one frame,
steps between frames are counted in frame periods, and only frames that all four have are valid.

The unit of the stamps is not documented (nanoseconds in a comment of TI, microseconds by two users): it is inferred
from the median step and the frame period, and refused where neither fits.

A frame of a chip is [chirp, sample, rx 4, IQ]; receivers are master, slave1, slave2, slave3. Source: TI cascade capture
structures and readBinFile of the public processing scripts.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.config.radar import RadarConfig
from mmsar.io.importers.iq_layout import decode, frame_bytes

CHIPS = ("master", "slave1", "slave2", "slave3")
RX_PER_CHIP = 4
LAYOUT = "4lane-iqiq"
HEADER = np.dtype([("tag", "S4"), ("version", "<u4"), ("flags", "<u4"), ("frames", "<u4"), ("bytes", "<u8")])
ENTRY = np.dtype(
    [
        ("tag", "S2"),
        ("version", "<u2"),
        ("flags", "<u4"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("pitch", "<u4", (4,)),
        ("size", "<u4"),
        ("time", "<u8"),
        ("offset", "<u8"),
    ]
)
UNITS = {"ns": 1, "us": 1000}
"""Candidates for the unit of the stamps, in nanoseconds."""
UNIT_TOLERANCE = 0.1
LATEST = 2**53
"""Stamps beyond this (104 days in nanoseconds) are not believed."""
SPARSE = 100
"""More frame periods than this per frame are no recording with drops."""
AMBIGUOUS = 0.4
"""A step this far from a whole number of periods cannot be counted."""
_NAME = re.compile(rf"({'|'.join(CHIPS)})_(\d+)_(idx|data)\.bin")


@dataclass(frozen=True)
class _Entry:
    """Where one frame of one chip lies."""

    file: Path
    offset: int
    time: int


def is_cascade(folder: Path) -> bool:
    """Whether a folder holds files named like a cascade recording."""
    return folder.is_dir() and any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def read_index(path: Path) -> np.ndarray:
    """The entries of an idx.bin (dtype ENTRY), one per frame.

    Raises
    ------
    FormatError
        Another kind of file, or one that is cut short.
    """
    raw = path.read_bytes()
    if len(raw) < HEADER.itemsize:
        raise FormatError(f"{path.name}: got {len(raw)} bytes, wanted an index's header of {HEADER.itemsize}")
    header = np.frombuffer(raw, HEADER, count=1)[0]
    if header["tag"] not in (b"bckt", b"tkcb"):
        raise FormatError(f"{path.name}: starts with {raw[:4].hex(' ')}, wanted the tag 'bckt' of an index")
    n, held = int(header["frames"]), (len(raw) - HEADER.itemsize) // ENTRY.itemsize
    if held < n:
        raise FormatError(
            f"{path.name}: got {len(raw)} bytes = {held} entries, wanted {n} (its header) x {ENTRY.itemsize} + "
            f"{HEADER.itemsize}; the file is cut short: copy it again"
        )
    entries = np.frombuffer(raw, ENTRY, count=n, offset=HEADER.itemsize)
    if n and not np.isin(entries["tag"], (b"id", b"di")).all():
        bad = int(np.argmin(np.isin(entries["tag"], (b"id", b"di"))))
        raise FormatError(f"{path.name}: entry {bad}: got tag {bytes(entries['tag'][bad])!r}, wanted 'id': damaged")
    return entries


class CascadeCapture:
    """A cascade recording: frames with times and validity, samples when asked for.

    Attributes
    ----------
    config : RadarConfig
    n_frames : int
        Frame slots from the first to the last frame that any chip has.
    frames_complete : ndarray
        Frames that all four chips have, (n_frames,) bool.
    frame_stamps : ndarray
        Time of every frame [ns] on the recorder's clock, -1 where no chip has it, (n_frames,) int64.
    unit : str
        Unit of the stamps as inferred, "ns" or "us".
    notes : tuple of str
        What was found and is worth saying.
    """

    def __init__(
        self, config: RadarConfig, entries: list[list[_Entry]], places: np.ndarray, stamps: np.ndarray
    ) -> None:
        self.config = config
        self._entries, self._places = entries, places
        self.n_frames = places.shape[1]
        self.frames_complete = (places >= 0).all(axis=0)
        self.frame_stamps = stamps
        self.unit = ""
        self.notes: tuple[str, ...] = ()

    def samples(self, frames: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Samples (frame, loop, tx, rx, sample) complex64, and which are valid (bool, same shape).

        A frame that not all chips have is 0 and invalid.
        """
        index = np.arange(self.n_frames)[frames if frames is not None else slice(None)]
        config = self.config
        shape = {"chirps": config.chirps_per_frame, "samples": config.n_samples, "rx": RX_PER_CHIP}
        words = frame_bytes(LAYOUT, **shape) // 2
        cube = np.zeros((len(index), config.chirps_per_frame, config.n_rx, config.n_samples), np.complex64)
        for row, k in enumerate(index):
            if not self.frames_complete[k]:
                continue
            for chip, entries in enumerate(self._entries):
                entry = entries[self._places[chip, k]]
                raw = np.fromfile(entry.file, "<i2", count=words, offset=entry.offset)
                cube[row, :, chip * RX_PER_CHIP : (chip + 1) * RX_PER_CHIP] = decode(
                    raw, LAYOUT, **shape, bits=config.adc_bits
                )[0]
        cube = cube.reshape(len(index), config.n_loops, config.n_tx, config.n_rx, config.n_samples)
        valid = np.broadcast_to(self.frames_complete[index][:, None, None, None, None], cube.shape)
        return cube, valid


def open_cascade(folder: str | Path, config: RadarConfig) -> CascadeCapture:
    """Open a cascade recording.

    Parameters
    ----------
    folder : path
        With the data and idx files of the four chips.
    config : RadarConfig
        16 receivers; its frame period gives the unit of the time stamps.

    Raises
    ------
    FormatError
        Files missing or cut short, frames of another size than the configuration's, stamps that fit no unit.
    """
    folder = Path(folder)
    if config.n_rx != RX_PER_CHIP * len(CHIPS) or not config.complex_samples:
        raise FormatError(
            f"{folder.name}: got a configuration of {config.n_rx} receivers ({config.device}), wanted the 16 of the "
            "four-chip cascade, complex samples"
        )
    entries = [_entries(folder, chip, sets, config) for chip, sets in _sets(folder).items()]
    unit, scale = _unit(entries, config, folder)
    places, stamps = _align(
        [np.array([e.time for e in one], dtype=np.int64) * scale for one in entries], config, folder
    )
    capture = CascadeCapture(config, entries, places, stamps)
    capture.unit = unit
    capture.notes = tuple(_notes(capture, entries, config))
    return capture


def _sets(folder: Path) -> dict[str, list[tuple[Path, Path]]]:
    """(idx, data) files of every chip, in the order of their numbers; every chip has to have the same numbers."""
    found: dict[str, dict[int, dict[str, Path]]] = {chip: {} for chip in CHIPS}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match:
            found[match[1]].setdefault(int(match[2]), {})[match[3]] = path
    numbers = sorted({number for sets in found.values() for number in sets})
    if not numbers:
        raise FormatError(f"{folder}: got no master_0000_data.bin and its like, wanted a cascade recording")
    missing = [
        f"{chip}_{number:04d}_{kind}.bin"
        for chip in CHIPS
        for number in range(numbers[-1] + 1)
        for kind in ("data", "idx")
        if kind not in found[chip].get(number, {})
    ]
    if missing:
        listed = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        raise FormatError(f"{folder}: got no {listed} ({len(missing)} missing), wanted the files of all four chips")
    return {chip: [(found[chip][n]["idx"], found[chip][n]["data"]) for n in numbers] for chip in CHIPS}


def _entries(folder: Path, chip: str, sets: list[tuple[Path, Path]], config: RadarConfig) -> list[_Entry]:
    wanted = frame_bytes(LAYOUT, chirps=config.chirps_per_frame, samples=config.n_samples, rx=RX_PER_CHIP)
    made = f"{config.chirps_per_frame} chirps x {config.n_samples} samples x {RX_PER_CHIP} RX x 4 bytes"
    found: list[_Entry] = []
    for index, data in sets:
        table, size = read_index(index), data.stat().st_size
        for k, entry in enumerate(table):
            if int(entry["size"]) != wanted:
                width = int(entry["width"])
                hint = f"; the index says {width} samples" if width != config.n_samples else ""
                raise FormatError(
                    f"{index.name}: frame {k}: got {int(entry['size'])} bytes, wanted {wanted} ({made}){hint}; check "
                    "the configuration"
                )
            end = int(entry["offset"]) + wanted
            if end > size:
                raise FormatError(
                    f"{data.name}: got {size} bytes, wanted {end} for frame {k} of {index.name}; the file is cut "
                    "short, or belongs to another index: copy it again"
                )
            found.append(_Entry(data, int(entry["offset"]), int(entry["time"])))
    if not found:
        raise FormatError(f"{folder}: {chip}: got no frame in its index, wanted at least one; the capture did not run")
    stamps = np.array([entry.time for entry in found], dtype=np.uint64)
    if int(stamps.max()) > LATEST:
        raise FormatError(f"{folder}: {chip}: got a time stamp of {int(stamps.max())}, wanted less: damaged index")
    if (stamps[1:] <= stamps[:-1]).any():
        bad = int(np.argmax(stamps[1:] <= stamps[:-1])) + 1
        raise FormatError(f"{folder}: {chip}: got a time stamp that does not rise at frame {bad}: damaged index")
    return found


def _unit(entries: list[list[_Entry]], config: RadarConfig, folder: Path) -> tuple[str, int]:
    steps = np.concatenate([np.diff([float(entry.time) for entry in one]) for one in entries])
    if steps.size == 0:
        return "ns", 1  # one frame: its time means nothing beside the others'
    median, period = float(np.median(steps)), config.frame_period * 1e9
    for name, scale in UNITS.items():
        if abs(median * scale / period - 1) <= UNIT_TOLERANCE:
            return name, scale
    raise FormatError(
        f"{folder}: got time stamps with a median step of {median:g}, wanted {period:g} (ns) or {period / 1e3:g} (us) "
        f"for the frame period of {config.frame_period * 1e3:g} ms; check the configuration's frame period"
    )


def _align(stamps: list[np.ndarray], config: RadarConfig, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Which entry of every chip is frame k (-1: none), (chips, n_frames), and the time of frame k [ns] (-1: none)."""
    chip = np.repeat(np.arange(len(stamps)), [len(s) for s in stamps])
    entry = np.concatenate([np.arange(len(s)) for s in stamps])
    time = np.concatenate(stamps)
    order = np.argsort(time, kind="stable")
    chip, entry, time = chip[order], entry[order], time[order]
    period = config.frame_period * 1e9
    group = np.concatenate([[0], np.cumsum(np.diff(time) > period / 2)])
    n_groups = int(group[-1]) + 1
    count = np.zeros((n_groups, len(stamps)), dtype=int)
    np.add.at(count, (group, chip), 1)
    if (count > 1).any():
        which, who = np.argwhere(count > 1)[0]
        raise FormatError(
            f"{folder}: {CHIPS[who]}: got two frames within half a period ({config.frame_period * 1e3:g} ms) near "
            f"frame {which}, wanted one; the time stamps of the four chips do not belong together"
        )
    centre = np.array([np.bincount(group, time - time[0])]) / np.bincount(group)
    steps = np.diff(centre[0])
    near = steps[np.abs(steps / period - 1) < 0.5]
    period = float(np.median(near)) if near.size else period
    whole = np.maximum(np.rint(steps / period), 1).astype(int)
    off = np.abs(steps / period - whole)
    if off.size and off.max() > AMBIGUOUS:
        bad = int(np.argmax(off))
        raise FormatError(
            f"{folder}: got a step of {steps[bad] / period:.2f} frame periods after frame {bad}, wanted about a whole "
            "number; frames cannot be counted across it"
        )
    slot = np.concatenate([[0], np.cumsum(whole)])
    if slot[-1] > SPARSE * n_groups:
        raise FormatError(
            f"{folder}: got {n_groups} frames in {int(slot[-1]) + 1} frame periods, wanted most of them there; "
            "the time stamps are damaged, or of several recordings"
        )
    places = np.full((len(stamps), int(slot[-1]) + 1), -1)
    places[chip, slot[group]] = entry
    times = np.full(places.shape[1], -1, dtype=np.int64)
    times[slot] = np.rint(centre[0]).astype(np.int64) + int(time[0])
    return places, times


def _notes(capture: CascadeCapture, entries: list[list[_Entry]], config: RadarConfig) -> list[str]:
    have = (capture._places >= 0).sum(axis=0)
    counts = ", ".join(f"{chip} {len(one)}" for chip, one in zip(CHIPS, entries, strict=True))
    notes = [
        f"{capture.n_frames} frame periods from first to last (time stamps in {capture.unit}); frames per chip: "
        f"{counts}; {int(capture.frames_complete.sum())} in all four, {int(((have > 0) & (have < 4)).sum())} in some "
        f"only (marked invalid), {int((have == 0).sum())} in none"
    ]
    if config.n_frames and capture.n_frames != config.n_frames:
        notes.append(
            f"the configuration says {config.n_frames} frames: frames lost before the first or after the last one that "
            "was recorded cannot be told apart"
        )
    return notes
