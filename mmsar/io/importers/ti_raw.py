"""Raw TI captures: one .bin, several split .bin, or a folder of row files, with a description.

[capture] files = "rows": every file is one row of the raster, sorted by the number in its name; each holds
frames_per_file frames. files = "split": the files follow one another like one (a recorder starts a new file at 1 GB);
frames_per_file is then the number of frames of all of them together. Sizes have to agree with the description to the
byte: what does not fit is explained, never cut off or filled up.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.io.importers.description import Description
from mmsar.io.importers.geometry import array_of, attrs_of, calibration_of, chirp_of, poses_of, timing_of
from mmsar.io.importers.iq_layout import check_layout, decode, looks_toggled, split_iq
from mmsar.io.importers.layout_check import better_layout
from mmsar.io.importers.raw_frames import Frames, explain_size
from mmsar.io.lazy import FileSignal
from mmsar.model import Scan

PEEK_BYTES = 2**20


class RawSignal(FileSignal):
    """The samples of raw files, decoded pose by pose when asked for."""

    def __init__(self, files: list[Path], frames: Frames, n_frames: int) -> None:
        shape = (n_frames * frames.poses_per_frame, frames.tx, frames.rx, frames.samples)
        whole = not frames.conjugate and frames.poses_per_frame == frames.loops
        super().__init__(shape, 1.0 if whole else None)
        self.files, self.frames = files, frames
        self.ends = np.cumsum([file.stat().st_size for file in files])

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
        )
        if frames.conjugate:
            np.conjugate(cube, out=cube)
        cube = cube.reshape(-1, frames.loops, frames.tx, frames.rx, frames.samples)
        if frames.average:
            return cube.mean(axis=1) if frames.loops > 1 else cube[:, 0]
        start = first - first_frame * per
        return cube.reshape(-1, *self.shape[1:])[start : start + last - first]

    def _bytes(self, first: int, last: int) -> np.ndarray:
        """Bytes first .. last-1 of the files laid end to end."""
        parts, begin = [], 0
        for file, end in zip(self.files, self.ends.tolist(), strict=True):
            low, high = max(first, begin), min(last, end)
            if low < high:
                parts.append(np.fromfile(file, dtype=np.uint8, count=high - low, offset=low - begin))
            begin = end
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if whole.size != last - first:
            raise FormatError(f"{self.files[0].parent}: the files got shorter while they were read; import again")
        return whole


def read_ti_raw(data: Path, description: Description) -> Scan:
    """A scan of raw TI files whose signal is still in them (a `RawSignal`).

    Raises
    ------
    FormatError
        Files missing from the numbering, sizes that disagree with the description, samples of the wrong kind.
    """
    chirp, array = chirp_of(description), array_of(description)
    frames = _frames(description, chirp.n_samples, array.n_tx, array.n_rx)
    files = raw_files(data, description)
    n_frames = _count_frames(files, frames, description)
    _peek(files[0], frames, description)
    if len(files) > 1:
        _peek(files[-1], frames, description)
    signal = RawSignal(files, frames, n_frames)
    timing = timing_of(description, frames.chirps)
    per, n_pose = frames.poses_per_frame, signal.shape[0]
    index = np.arange(n_pose)
    time = index // per * timing.period + index % per * frames.tx * timing.chirp
    if not timing.nominal and per * frames.tx * timing.chirp > timing.period:
        raise description.error(f"[waveform] frame_period_ms: got {timing.period * 1e3:g}, shorter than its chirps")
    if description.get("scan", "positions") is None and _by_rows(description, files):
        _check_rows(description, len(files), n_frames * per)
        n_y = len(files)
        tables = {
            **description.tables,
            "scan": {**description.tables.get("scan", {}), "n_y": n_y, "n_x": n_pose // n_y},
        }
        trajectory, raster = poses_of(Description(tables, description.where, description.folder), n_pose, time)
    else:
        trajectory, raster = poses_of(description, n_pose, time)
    late = frames.tx * (frames.loops - 1) / 2 if frames.average else 0.0
    return Scan(
        signal=signal,
        chirp=chirp,
        array=array,
        trajectory=trajectory,
        tx_delay=(np.arange(frames.tx) + late) * timing.chirp,
        raster=raster,
        calibration=calibration_of(description, array),
        attrs=attrs_of(description, timing),
    )


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


def _frames(description: Description, samples: int, n_tx: int, n_rx: int) -> Frames:
    get = description.get
    layout, rx, tx = description.need("capture", "layout"), get("capture", "rx", n_rx), get("capture", "tx", n_tx)
    for name, got, wanted in (("rx", rx, n_rx), ("tx", tx, n_tx)):
        if got != wanted:
            raise description.error(f"[capture] {name}: got {got}, but [array] has {wanted}; make them agree")
    check_layout(layout, samples=samples, rx=rx)
    chirps = get("capture", "chirps_per_frame", tx)
    if chirps % tx:
        raise description.error(f"[capture] chirps_per_frame: got {chirps}, wanted a multiple of the {tx} transmitters")
    loops = get("capture", "loops")
    if chirps > tx and loops is None:
        raise description.error(
            f"[capture] loops: missing; {chirps} chirps per frame of {tx} transmitters repeat {chirps // tx} times: "
            'wanted "average" (one pose per frame) or "poses" (one pose per repetition)'
        )
    return Frames(
        layout=layout,
        chirps=chirps,
        samples=samples,
        rx=rx,
        tx=tx,
        offset_binary=get("capture", "offset_binary", False),
        average=loops != "poses",
        conjugate=get("waveform", "sign", "positive") == "negative",
    )


def _by_rows(description: Description, files: list[Path]) -> bool:
    return description.get("capture", "files", "rows" if len(files) > 1 else "split") == "rows"


def _check_rows(description: Description, n_files: int, n_pose: int) -> None:
    n_y, n_x = description.get("scan", "n_y", n_files), description.get("scan", "n_x", n_pose // n_files)
    if n_y != n_files:
        raise description.error(
            f"[scan] n_y: got {n_y}, but there are {n_files} row files; wanted one file per row "
            '(or [capture] files = "split" for one capture cut into several files)'
        )
    if n_x * n_files != n_pose:
        raise description.error(f"[scan] n_x: got {n_x}, but every row file has {n_pose // n_files} positions")


def _count_frames(files: list[Path], frames: Frames, description: Description) -> int:
    """Frames of all files together; every disagreement of the sizes with the description is explained."""
    expected = description.get("capture", "frames_per_file")
    key = "[capture] frames_per_file"
    sizes = [file.stat().st_size for file in files]
    if _by_rows(description, files):
        if expected is None and description.get("scan", "n_x") is not None:
            expected, key = description.get("scan", "n_x") / frames.poses_per_frame, "[scan] n_x"
        counts = set()
        for file, size in zip(files, sizes, strict=True):
            if size == 0 or size != (expected or size // frames.nbytes) * frames.nbytes:
                raise FormatError(explain_size(file.name, size, frames, expected, key=key, tail=[file]))
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
            raise FormatError(explain_size(name, sum(sizes), frames, expected, key=key, tail=files))
    return sum(sizes) // frames.nbytes


def _peek(file: Path, frames: Frames, description: Description) -> None:
    """Look at the first frames of a file: right kind of int16, anything there at all, unused lanes empty."""
    n = max(1, PEEK_BYTES // frames.nbytes)
    raw = np.fromfile(file, dtype="<i2", count=min(n * frames.nbytes, file.stat().st_size) // 2)
    raw = raw[: raw.size // (frames.nbytes // 2) * (frames.nbytes // 2)]
    shape = {"chirps": frames.chirps, "samples": frames.samples, "rx": frames.rx}
    if frames.offset_binary:
        raw = (raw.view(np.uint16) ^ np.uint16(0x8000)).view(np.int16)
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
