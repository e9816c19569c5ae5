"""A recording as an .npz file, written piece by piece: memory does not grow with the recording.

signal         (frame, loop, tx, rx, sample) complex64; 0 where nothing came
valid          the same shape, bool
frame_time_ns  (frame,) int64, kernel time of the frame's first packet, CLOCK_REALTIME; -1 where it is lost
tx_order, rx   which transmitter each tx is (in firing order), which receiver each rx is; from 0
"""

import zipfile
from collections.abc import Callable, Iterable
from os import PathLike

import numpy as np

from mmsar.hardware.dca1000.capture import Capture
from mmsar.io.atomic import atomic_path


def save_npz(
    capture: Capture, path: str | PathLike[str], *, on_progress: Callable[[int], None] = lambda frames: None
) -> None:
    """Write the samples of a recording; `on_progress` is called with the frames done.

    Raises
    ------
    FormatError
        A path that cannot be written.
    """
    small = {
        "frame_time_ns": capture.frame_stamps,
        "tx_order": np.array(capture.config.tx_order),
        "rx": np.array(capture.config.rx),
    }
    with atomic_path(path) as part, zipfile.ZipFile(part, "w") as archive:
        _store(archive, "signal", "<c8", capture.shape, _signal(capture, on_progress))
        _store(archive, "valid", "|b1", capture.shape, (capture.valid(frames) for frames in capture.pieces()))
        for name, array in small.items():
            _store(archive, name, array.dtype.str, array.shape, [array])


def _signal(capture: Capture, on_progress: Callable[[int], None]) -> Iterable[np.ndarray]:
    for frames in capture.pieces():
        yield capture.samples(frames)[0]
        on_progress(frames.stop)


def _store(
    archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...], pieces: Iterable[np.ndarray]
) -> None:
    """Write an array to an archive from pieces along its first axis."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, dtype=dtype).data.cast("B") if piece.size else b"")
