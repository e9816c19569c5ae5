"""A small PNG reader for masks: gray, RGB or palette, with or without alpha, up to 8 bits, not interlaced.

Written from the PNG specification (ISO/IEC 15948): chunks, zlib stream, the five row filters.
"""

import struct
import zlib
from os import PathLike, fspath

import numpy as np

from mmsar.errors import FormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 100_000_000
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def read_png(path: str | PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and opacity of a picture, both float32 in [0, 1], (rows, columns), first row at the top.

    Brightness is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Raises
    ------
    FormatError
        Not a PNG, truncated or damaged, interlaced, or 16 bits a channel.
    OSError
        When the file cannot be read.
    """
    name = fspath(path)
    with open(path, "rb") as file:
        data = file.read()
    header, chunks = _chunks(name, data)
    width, height, depth, colour, compression, filtering, interlace = header
    allowed = {0: (1, 2, 4, 8), 2: (8,), 3: (1, 2, 4, 8), 4: (8,), 6: (8,)}.get(colour, ())
    if depth not in allowed or interlace or compression or filtering:
        what = "an interlaced picture" if interlace else f"{depth} bits of colour type {colour}"
        raise FormatError(
            f"{name}: got {what}, wanted gray, RGB or palette of up to 8 bits, not interlaced; save it as a plain PNG"
        )
    if not 0 < width * height <= MAX_PIXELS:
        raise FormatError(f"{name}: got {width} x {height} pixels, wanted 1 to {MAX_PIXELS:.0e}; shrink the picture")
    channels = _CHANNELS[colour]
    row_bytes = (width * channels * depth + 7) // 8
    size = height * (row_bytes + 1)
    try:
        raw = zlib.decompressobj().decompress(chunks["IDAT"], size)
    except zlib.error as error:
        raise FormatError(f"{name}: damaged PNG ({error}), wanted an intact file; save it again") from None
    if len(raw) != size:
        raise FormatError(f"{name}: got {len(raw)} bytes of pixels, wanted {size}; the file is truncated")
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(height, row_bytes + 1)
    samples = _unfilter(name, rows, max(1, channels * depth // 8))
    return _to_brightness(
        name, _unpack(samples, depth, width * channels).reshape(height, width, channels), header, chunks
    )


def _chunks(name: str, data: bytes) -> tuple[tuple[int, ...], dict[str, bytes]]:
    if not data.startswith(SIGNATURE):
        raise FormatError(f"{name}: got another kind of file, wanted a PNG picture")
    found: dict[str, bytes] = {}
    at = len(SIGNATURE)
    while at + 12 <= len(data) and "IEND" not in found:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        check = data[at + 8 + length : at + 12 + length]
        if len(check) < 4 or zlib.crc32(kind + body) != struct.unpack(">I", check)[0]:
            raise FormatError(f"{name}: damaged or truncated PNG, wanted an intact file; save it again")
        key = kind.decode("latin-1")
        found[key] = found.get(key, b"") + body
        at += 12 + length
    if "IEND" not in found or "IDAT" not in found or len(found.get("IHDR", b"")) != 13:
        raise FormatError(f"{name}: truncated PNG, wanted an intact file; save it again")
    return struct.unpack(">IIBBBBB", found["IHDR"]), found


def _unfilter(name: str, rows: np.ndarray, step: int) -> np.ndarray:
    """Undo the row filters; `step` is the number of bytes to the pixel on the left."""
    out = np.zeros((len(rows), rows.shape[1] - 1), dtype=np.uint8)
    above = np.zeros(out.shape[1], dtype=np.uint8)
    for r, row in enumerate(rows):
        kind, line = int(row[0]), row[1:]
        if kind == 0:
            above = line
        elif kind == 1:
            padded = np.pad(line, (0, -len(line) % step)).reshape(-1, step)
            above = np.cumsum(padded, axis=0, dtype=np.uint8).ravel()[: len(line)]
        elif kind == 2:
            above = line + above
        elif kind in (3, 4):
            above = _unfilter_line(kind, line.tolist(), above.tolist(), step)
        else:
            raise FormatError(f"{name}: got row filter {kind}, wanted 0 to 4; the file is damaged")
        out[r] = above
    return out


def _unfilter_line(kind: int, line: list[int], above: list[int], step: int) -> np.ndarray:
    """Average (3) and Paeth (4) filters, whose pixels depend on each other."""
    done = [0] * step
    upper = [0] * step + above
    for i, value in enumerate(line):
        a, b, c = done[i], upper[i + step], upper[i]
        if kind == 3:
            guess = (a + b) // 2
        else:
            p = a + b - c
            pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
            guess = a if pa <= pb and pa <= pc else b if pb <= pc else c
        done.append((value + guess) & 255)
    return np.array(done[step:], dtype=np.uint8)


def _unpack(rows: np.ndarray, depth: int, count: int) -> np.ndarray:
    """Samples of 1, 2, 4 or 8 bits, uint8 (rows, count), high bits first."""
    if depth == 8:
        return rows
    bits = np.unpackbits(rows, axis=1).reshape(len(rows), -1, depth)
    return (bits @ (1 << np.arange(depth - 1, -1, -1))).astype(np.uint8)[:, :count]


def _to_brightness(
    name: str, samples: np.ndarray, header: tuple[int, ...], chunks: dict[str, bytes]
) -> tuple[np.ndarray, np.ndarray]:
    depth, colour = header[2], header[3]
    full = np.float32(2**depth - 1)
    if colour == 3:
        palette = np.frombuffer(chunks.get("PLTE", b""), dtype=np.uint8)
        palette = palette[: len(palette) // 3 * 3].reshape(-1, 3)
        index = samples[..., 0]
        if index.max() >= len(palette):
            raise FormatError(f"{name}: got colour {index.max()} of a palette of {len(palette)}; the file is damaged")
        alpha = np.full(256, 255, dtype=np.uint8)
        alpha[: len(chunks.get("tRNS", b""))] = np.frombuffer(chunks.get("tRNS", b""), dtype=np.uint8)
        return _luma(palette[index].astype(np.float32) / 255), alpha[index].astype(np.float32) / 255
    value = samples.astype(np.float32) / full
    opacity = value[..., -1] if colour in (4, 6) else np.ones(value.shape[:2], dtype=np.float32)
    clear = chunks.get("tRNS", b"")
    if colour in (0, 2) and len(clear) == 2 * samples.shape[2]:
        opacity[(samples == np.frombuffer(clear, dtype=">u2")).all(axis=-1)] = 0
    return (_luma(value[..., :3]) if colour in (2, 6) else value[..., 0]), opacity


def _luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
