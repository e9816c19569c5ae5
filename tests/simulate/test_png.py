"""The PNG reader against pictures encoded here, filter by filter, and against matplotlib's writer."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError, GeometryError
from mmsar.simulate.png import read_png
from mmsar.simulate.scene import Scene

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def encode(pixels, colour=0, filters=(0,), depth=8, extra=b"", interlace=0):
    """A PNG of uint8 samples (rows, columns, channels), row r filtered by filters[r % n], by the standard."""
    height, width, step = pixels.shape
    if depth == 8:
        lines = pixels.reshape(height, -1)
    else:
        bits = (pixels[..., 0, None] >> np.arange(depth - 1, -1, -1)) & 1
        lines, step = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1), 1
    out = b""
    for r in range(height):
        kind = filters[r % len(filters)]
        row, above = lines[r].tolist(), (lines[r - 1].tolist() if r else [0] * lines.shape[1])
        coded = []
        for i, value in enumerate(row):
            a, c = (row[i - step], above[i - step]) if i >= step else (0, 0)
            b = above[i]
            coded.append((value - [0, a, b, (a + b) // 2, paeth(a, b, c)][kind]) % 256)
        out += bytes([kind, *coded])
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    packed = zlib.compress(out)
    half = len(packed) // 2
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", packed[:half])
        + chunk(b"IDAT", packed[half:])
        + chunk(b"IEND", b"")
    )


def write(folder, data):
    path = folder / "mask.png"
    path.write_bytes(data)
    return path


@settings(deadline=None, max_examples=40)
@given(
    colour=st.sampled_from([0, 2, 4, 6]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    seed=st.integers(0, 999),
)
def test_every_filter_and_colour_comes_back(tmp_path_factory, colour, size, filters, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, CHANNELS[colour]), dtype=np.uint8)
    path = write(tmp_path_factory.getbasetemp(), encode(pixels, colour, filters))
    brightness, opacity = read_png(path)
    value = pixels / 255
    gray = value[..., :3] @ [0.299, 0.587, 0.114] if colour in (2, 6) else value[..., 0]
    np.testing.assert_allclose(brightness, gray, atol=1e-6)
    np.testing.assert_allclose(opacity, value[..., -1] if colour in (4, 6) else 1.0, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_a_pixel(tmp_path, depth):
    pixels = np.random.default_rng(depth).integers(0, 2**depth, (5, 11, 1), dtype=np.uint8)
    brightness, _ = read_png(write(tmp_path, encode(pixels, depth=depth, filters=(1, 4))))
    np.testing.assert_allclose(brightness, pixels[..., 0] / (2**depth - 1), atol=1e-6)


def test_palette_with_transparency(tmp_path):
    extra = chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255, 255, 0, 0])) + chunk(b"tRNS", bytes([255, 0]))
    pixels = np.array([[[0], [1], [2]]], dtype=np.uint8)
    brightness, opacity = read_png(write(tmp_path, encode(pixels, 3, extra=extra)))
    np.testing.assert_allclose(brightness, [[0, 1, 0.299]], atol=1e-6)
    np.testing.assert_allclose(opacity, [[1, 0, 1]])
    with pytest.raises(FormatError, match="palette of 3"):
        read_png(write(tmp_path, encode(pixels + 1, 3, extra=extra)))


def test_reads_what_matplotlib_writes(tmp_path):
    from matplotlib.image import imread, imsave

    picture = np.random.default_rng(0).random((12, 17, 4))
    imsave(tmp_path / "m.png", picture)
    brightness, opacity = read_png(tmp_path / "m.png")
    theirs = imread(tmp_path / "m.png")
    np.testing.assert_allclose(brightness, theirs[..., :3] @ [0.299, 0.587, 0.114], atol=1e-6)
    np.testing.assert_allclose(opacity, theirs[..., 3], atol=1e-6)
    np.testing.assert_allclose(opacity, picture[..., 3], atol=1 / 255)


def test_a_transparent_colour_is_transparent(tmp_path):
    pixels = np.array([[[7], [8]]], dtype=np.uint8)
    _, opacity = read_png(write(tmp_path, encode(pixels, extra=chunk(b"tRNS", struct.pack(">H", 7)))))
    np.testing.assert_array_equal(opacity, [[0, 1]])


def test_mask_from_png(tmp_path):
    pixels = np.zeros((3, 4, 1), np.uint8)
    pixels[0, 0] = 255
    pixels[2, 3] = 130
    pixels[1, 1] = 100
    path = write(tmp_path, encode(pixels, filters=(2,)))
    bright = Scene.from_png(path, 1e-3, centre=(0, 0, 0.2))
    np.testing.assert_allclose(bright.position, [[-1.5e-3, 1e-3, 0.2], [1.5e-3, -1e-3, 0.2]])
    assert len(Scene.from_png(path, 1e-3, threshold=0.3)) == 3
    assert len(Scene.from_png(path, 1e-3, invert=True)) == 10
    with pytest.raises(GeometryError, match="check the threshold"):
        Scene.from_png(path, 1e-3, threshold=1.0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: b"GIF89a" + d, "another kind of file"),
        (lambda d: d[:-20], "truncated"),
        (lambda d: d[:60] + bytes([d[60] ^ 255]) + d[61:], "damaged"),
        (lambda d: d[:8], "truncated"),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path, spoil, message):
    data = encode(np.arange(64, dtype=np.uint8).reshape(8, 8, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read_png(write(tmp_path, spoil(data)))
    assert "mask.png" in str(caught.value) and "\n" not in str(caught.value)


def test_interlaced_and_deep_pictures_are_refused(tmp_path):
    pixels = np.zeros((2, 2, 1), np.uint8)
    with pytest.raises(FormatError, match="interlaced"):
        read_png(write(tmp_path, encode(pixels, interlace=1)))
    deep = encode(pixels).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 0, 0, 0, 0)),
    )
    with pytest.raises(FormatError, match="16 bits"):
        read_png(write(tmp_path, deep))


def test_short_pixel_data_is_refused(tmp_path):
    data = encode(np.zeros((2, 2, 1), np.uint8))
    taller = data.replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 5, 8, 0, 0, 0, 0)),
    )
    with pytest.raises(FormatError, match="got 6 bytes of pixels, wanted 15"):
        read_png(write(tmp_path, taller))
