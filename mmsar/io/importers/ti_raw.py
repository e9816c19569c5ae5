"""Raw TI captures: one .bin, several split .bin, or a folder of row files, with a description.

[capture] files = "rows": every file is one row of the raster, sorted by the number in its name; each holds
frames_per_file frames. files = "split": the files follow one another like one (a recorder starts a new file at 1 GB);
frames_per_file is then the number of frames of all of them together. Sizes have to agree with the description to the
byte: what does not fit is explained, never cut off or filled up (`skip_bytes` and `ignore_bytes` say it is no samples).
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.io.importers.description import BEYOND, Description
from mmsar.io.importers.frames_scan import frames_of, frames_scan
from mmsar.io.importers.geometry import array_of, chirp_of
from mmsar.io.importers.iq_layout import check_layout, decode, looks_toggled, split_iq
from mmsar.io.importers.layout_check import better_layout
from mmsar.io.importers.raw_frames import Frames, Span, explain_size, record_stride
from mmsar.io.lazy import FileSignal
from mmsar.model import Scan

PEEK_BYTES = 2**20


class RawSignal(FileSignal):
    """The samples of raw files, decoded pose by pose when asked for."""

    def __init__(self, spans: list[Span], frames: Frames, n_frames: int) -> None:
        shape = (n_frames * frames.poses_per_frame, frames.tx, frames.rx, frames.samples)
        whole = not frames.conjugate and frames.poses_per_frame == frames.loops
        super().__init__(shape, 1.0 if whole else None)
        self.spans, self.frames = spans, frames
        self.ends = np.cumsum([span.size for span in spans])

    def _read(self, first: int, last: int) -> np.ndarray:
        frames, per = self.frames, self.frames.poses_per_frame
        first_frame, last_frame = first // per, -(-last // per)
        cube = decode(
            self._bytes(first_frame * frames.nbytes, last_frame * frames.nbytes).view("<i2"),
            frames.layout,
            chirps=frames.chirps,
            samples=frames.samples,
            rx=frames.rx,
            offset_binary=frames.offset_binary,
            bits=frames.bits,
        )
        if frames.conjugate:
            np.conjugate(cube, out=cube)
        cube = cube.reshape(-1, frames.loops, frames.tx, frames.rx, frames.samples)
        if frames.average:
            return cube.mean(axis=1) if frames.loops > 1 else cube[:, 0]
        start = first - first_frame * per
        return cube.reshape(-1, *self.shape[1:])[start : start + last - first]

    def _bytes(self, first: int, last: int) -> np.ndarray:
        """Bytes first .. last-1 of the spans laid end to end."""
        parts, begin = [], 0
        for span, end in zip(self.spans, self.ends.tolist(), strict=True):
            low, high = max(first, begin), min(last, end)
            if low < high:
                offset = span.offset + low - begin
                parts.append(np.fromfile(span.file, dtype=np.uint8, count=high - low, offset=offset))
            begin = end
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if whole.size != last - first:
            raise FormatError(f"{self.spans[0].file.parent}: the files got shorter while they were read; import again")
        return whole


def read_ti_raw(data: Path, description: Description) -> Scan:
    """A scan of raw TI files whose signal is still in them (a `RawSignal`).

    Raises
    ------
    FormatError
        Files missing from the numbering, sizes that disagree with the description, samples of the wrong kind.
    """
    for key in ("config", "device", "cf_json", "compare", "port", "source_ip"):
        if description.get("capture", key) is not None:
            raise description.error(f"[capture] {key}: this needs {BEYOND}")
    chirp, array = chirp_of(description), array_of(description)
    frames = frames_of(description, chirp.n_samples, array.n_tx, array.n_rx)
    check_layout(frames.layout, samples=frames.samples, rx=frames.rx)
    files = raw_files(data, description)
    if stride := record_stride(files[0]):
        raise FormatError(
            f"{files[0].name}: got records with rising numbers every {stride} bytes, wanted plain samples; record with "
            "sequenceNumberEnable = 0 (datagrams as they came are read from a .pcap, or recorded by mmsar hw record)"
        )
    spans = _spans(files, description)
    n_frames = _count_frames(spans, frames, description)
    _peek(spans[0], frames, description)
    if len(files) > 1:
        _peek(spans[-1], frames, description)
    signal = RawSignal(spans, frames, n_frames)
    rows = len(files) if _by_rows(description, files) else None
    return frames_scan(description, frames, signal, chirp=chirp, array=array, rows=rows)


def raw_files(data: Path, description: Description) -> list[Path]:
    """The files of a capture in order: the file itself, or those of a folder sorted by the number in their names.

    Raises
    ------
    FormatError
        None there, or a number missing from the sequence.
    """
    if data.is_file():
        return [data]
    pattern = description.get("capture", "pattern", "*.bin")
    files = [path for path in data.glob(pattern) if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise FormatError(f"{data}: got no file that matches {pattern}; check the folder, or set [capture] pattern")
    numbers = {path: [int(n) for n in re.findall(r"\d+", path.name)] for path in files}
    if len({len(n) for n in numbers.values()}) > 1 or len({re.sub(r"\d+", "#", path.name) for path in files}) > 1:
        names = ", ".join(sorted(path.name for path in files)[:4])
        raise FormatError(
            f"{data}: got files named differently ({names} ...); set [capture] pattern to the wanted ones"
        )
    files.sort(key=lambda path: numbers[path])
    varying = [i for i in range(len(numbers[files[0]])) if len({n[i] for n in numbers.values()}) > 1]
    if len(varying) == 1:
        sequence = [numbers[path][varying[0]] for path in files]
        missing = [n for a, b in pairwise(sequence) for n in range(a + 1, min(b, a + 1001))]
        if missing and len(missing) <= len(sequence):
            listed = ", ".join(map(str, missing[:5])) + (" ..." if len(missing) > 5 else "")
            raise FormatError(
                f"{data}: got files {sequence[0]} to {sequence[-1]} without number {listed} ({len(missing)} missing); "
                "add them, or set [capture] pattern"
            )
    return files


def _by_rows(description: Description, files: list[Path]) -> bool:
    return description.get("capture", "files", "rows" if len(files) > 1 else "split") == "rows"


def _spans(files: list[Path], description: Description) -> list[Span]:
    """What of the files is samples: without skip_bytes and ignore_bytes, in every row file or around all split ones."""
    skip, ignore = (description.get("capture", f"{key}_bytes", 0) for key in ("skip", "ignore"))
    rows, spans = _by_rows(description, files), []
    for k, file in enumerate(files):
        before = skip if rows or k == 0 else 0
        after = ignore if rows or k == len(files) - 1 else 0
        size = file.stat().st_size
        if before + after > size:
            raise description.error(
                f"[capture] skip_bytes, ignore_bytes: got {before} and {after}, more than the {size} of {file.name}"
            )
        spans.append(Span(file, before, size - before - after))
    return spans


def _count_frames(spans: list[Span], frames: Frames, description: Description) -> int:
    """Frames of all files together; every disagreement of the sizes with the description is explained."""
    expected = description.get("capture", "frames_per_file")
    key = f"as {description.told} says" if description.told else "[capture] frames_per_file"
    files, sizes = [span.file for span in spans], [span.size for span in spans]
    if _by_rows(description, files):
        if expected is None and description.get("scan", "n_x") is not None:
            expected, key = description.get("scan", "n_x") / frames.poses_per_frame, "[scan] n_x"
        counts = set()
        for file, size in zip(files, sizes, strict=True):
            if size == 0 or size != (expected or size // frames.nbytes) * frames.nbytes:
                raise FormatError(explain_size(file.name, size, frames, expected, key=key, files=[file]))
            counts.add(size // frames.nbytes)
        if len(counts) > 1:
            raise FormatError(
                f"{files[0].parent}: got row files of {min(counts)} to {max(counts)} frames, wanted the same number in "
                "every row; find the incomplete row, or set [capture] frames_per_file"
            )
    else:
        n_x, n_y = description.get("scan", "n_x"), description.get("scan", "n_y")
        if expected is None and n_x and n_y:
            expected, key = n_x * n_y / frames.poses_per_frame, "[scan] n_x times n_y"
        name = files[0].name if len(files) == 1 else f"{len(files)} files"
        if sum(sizes) == 0 or sum(sizes) != (expected or sum(sizes) // frames.nbytes) * frames.nbytes:
            raise FormatError(explain_size(name, sum(sizes), frames, expected, key=key, files=files))
    return sum(sizes) // frames.nbytes


def _peek(span: Span, frames: Frames, description: Description) -> None:
    """Look at the first frames of a file: right kind of int16, anything there at all, unused lanes empty."""
    n, file = max(1, PEEK_BYTES // frames.nbytes), span.file
    raw = np.fromfile(file, dtype="<i2", count=min(n * frames.nbytes, span.size) // 2, offset=span.offset)
    raw = raw[: raw.size // (frames.nbytes // 2) * (frames.nbytes // 2)]
    shape = {"chirps": frames.chirps, "samples": frames.samples, "rx": frames.rx}
    if frames.offset_binary:
        raw = (raw.view(np.uint16) ^ np.uint16(0x8000)).view(np.int16)
    raw = raw << 16 - frames.bits >> 16 - frames.bits
    i, q = split_iq(raw, frames.layout, **shape)
    used = np.concatenate([i[:, :, : frames.rx].ravel(), q[:, :, : frames.rx].ravel()])
    if used.size == 0:
        return
    if looks_toggled(used):
        rms = np.sqrt(np.mean(used.astype(float) ** 2))
        now, wanted = ("offset binary", "false") if frames.offset_binary else ("two's complement", "true")
        raise FormatError(
            f"{file.name}: read as {now}, its samples crowd at full scale (RMS {rms:.0f} of 32768), wanted them around "
            f"0: set [capture] offset_binary = {wanted}"
        )
    if not used.any():
        raise FormatError(
            f"{file.name}: all samples at its start are 0, wanted echoes; the radar did not transmit data"
        )
    spare = np.concatenate([i[:, :, frames.rx :].ravel(), q[:, :, frames.rx :].ravel()])
    if spare.any():
        raise description.error(
            f"[capture] rx: got {frames.rx}, but the other lanes of {file.name} hold samples; "
            "describe all receivers (Scan.subset picks some later), or check layout"
        )
    if reason := better_layout(raw, frames):
        raise FormatError(f"{file.name}: {reason}")
