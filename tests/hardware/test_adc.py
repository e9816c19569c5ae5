"""Frames of a card to samples by configuration: axes, firing order, layouts of every chip, exchanged I and Q."""

import numpy as np
import pytest

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.adc import cube_shape, decode_frames, encode_frames, sign_test
from mmsar.hardware.config.radar import parse_cfg

TEXT = """dfeDataOutputMode 1
channelCfg {rx} 7 0
adcCfg {bits} {kind}
adcbufCfg {form} {swap} {separate} 1
profileCfg 0 77 7 6 60 0 0 60 0 16 5000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 4
chirpCfg 2 2 0 0 0 0 0 2
frameCfg 0 2 4 10 40 1 0
"""


def config_of(device: str = "xWR1843", rx: int = 15, bits: int = 2, kind: int = 1, swap: int = 1):
    four = device in ("xWR1443", "xWR1243")
    form = f"-1 {int(kind == 0)}"
    text = TEXT.format(rx=rx, bits=bits, kind=kind, form=form, swap=swap, separate=int(not four))
    return parse_cfg(text, device=device)


def cube_of(config, frames: int = 3) -> np.ndarray:
    top = 1 << (config.adc_bits - 1)
    parts = np.random.default_rng(1).integers(-top, top, (2, *cube_shape(config, frames)))
    return (parts[0] + 1j * parts[1] * config.complex_samples).astype(np.complex64)


@pytest.mark.parametrize(
    ("device", "kind", "swap", "layout"),
    [
        ("xWR1843", 1, 0, "2lane-iiqq"),
        ("xWR1843", 1, 1, "2lane-qqii"),
        ("xWR6843", 0, 0, "real"),
        ("xWR1443", 1, 0, "4lane"),
        ("xWR1243", 0, 0, "4lane-real"),
    ],
)
@pytest.mark.parametrize("bits", [0, 1, 2])
def test_round_trip_of_every_chip(device: str, kind: int, swap: int, layout: str, bits: int) -> None:
    config = config_of(device, bits=bits, kind=kind, swap=swap)
    assert config.layout == layout
    cube = cube_of(config)
    raw = encode_frames(cube, config)
    assert raw.nbytes == 3 * config.frame_bytes
    back = decode_frames(raw, config)
    assert back.shape == (3, 4, 3, 4, 16) and np.array_equal(back, cube)
    for other in (raw.tobytes(), bytearray(raw.tobytes()), memoryview(raw.tobytes()), raw.view(np.uint8)):
        assert np.array_equal(decode_frames(other, config), cube)
    assert np.array_equal(decode_frames(raw.view(np.uint8).reshape(3, -1), config), cube)  # frames as rows
    out = np.empty(back.shape, np.complex64)
    decode_frames(raw, config, out=out)
    assert np.array_equal(out, cube)


def test_axes_are_loop_then_firing_order_then_receiver() -> None:
    config = config_of()
    assert config.tx_order == (0, 2, 1)
    cube = np.zeros(cube_shape(config, 1), np.complex64)
    cube[0, 2, 1, 3, 5] = 7 - 9j
    raw = encode_frames(cube, config).reshape(4, 3, 4, 8, 2, 2)  # loop, chirp, rx, sample pair, QI, 2
    assert raw[2, 1, 3, 2, 0, 1] == -9 and raw[2, 1, 3, 2, 1, 1] == 7 and np.count_nonzero(raw) == 2


def test_rewritten_files_and_errors() -> None:
    config = config_of()
    cube = cube_of(config)
    raw = encode_frames(cube, config, layout="qiqi")
    assert np.array_equal(decode_frames(raw, config, layout="qiqi"), cube)
    toggled = (raw.view(np.uint16) ^ np.uint16(0x8000)).view(np.int16)
    assert np.array_equal(decode_frames(toggled, config, layout="qiqi", offset_binary=True), cube)
    with pytest.raises(FormatError, match=r"got 100 bytes, wanted a whole number of frames of 3072 bytes \(12 chirps"):
        decode_frames(bytes(100), config)
    with pytest.raises(GeometryError):
        decode_frames(raw, config, out=np.empty((3, 4, 3, 4, 15), np.complex64))


def test_sign_self_test() -> None:
    config = config_of()
    n = np.arange(16)
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 2, cube_shape(config, 2)) + 1j * rng.normal(0, 2, cube_shape(config, 2))
    echo = np.round(1000 * np.exp(2j * np.pi * 3 * n / 16) + noise)
    raw = encode_frames(echo, config)
    right = sign_test(decode_frames(raw, config), config)
    assert right.verdict == "right" and right.positive_db > 20
    mirrored = decode_frames(raw, config, layout="2lane-iiqq")
    wrong = sign_test(mirrored, config, layout="2lane-iiqq")
    assert wrong.verdict == "swapped" and wrong.positive_db < -20 and '"2lane-qqii"' in wrong.text
    assert sign_test(np.round(noise), config).verdict == "undecided"
    assert "no energy" in sign_test(0 * echo, config).text
    assert "too few" in sign_test(echo[..., :4], config).text
    real = config_of("xWR6843", kind=0, swap=0)
    assert sign_test(echo.real + 0j, real).verdict == "undecided"
