"""Inference without torch: padding, tiles against the whole, volumes, one scale, pixel sizes, blend, bad input."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

from scipy.ndimage import uniform_filter

from mmsar.enhance import weights
from mmsar.enhance.infer import Enhancer, enhance, robust_scale
from mmsar.enhance.resample import factors, resample, resized
from mmsar.errors import FormatError, GeometryError, MmsarError
from mmsar.model import Image, ImageGrid

NETWORKS = Path(__file__).parent / "networks"
MM = 1e-3


@pytest.fixture(scope="module")
def soft():
    return Enhancer(NETWORKS / "soft.onnx")


def speckle(*shape, seed=0):
    return np.random.default_rng(seed).rayleigh(size=shape).astype(np.float32)


def expected(image, scale):
    """What soft.onnx is, in numpy, away from the edges."""
    return np.maximum(0, uniform_filter(image.astype(float), 5) - 0.05 * scale)


def as_image(data, spacing=MM, history=()):
    data = data if data.ndim == 3 else data[None]
    grid = ImageGrid(shape=data.shape, origin=(-0.1, -0.1, 0.3), spacing=(spacing, spacing, 5 * MM))
    return Image(data=data, grid=grid, history=history)


def test_sizes_that_the_network_does_not_take_are_padded(soft):
    image = speckle(21, 30)  # one tile, neither side a multiple of 4
    out = soft(image)
    assert out.shape == image.shape and out.dtype == np.float32 and out.min() >= 0
    inner = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(out[inner], expected(image, robust_scale(image))[inner], atol=1e-5)
    padded = np.pad(image, ((0, 3), (0, 2)), mode="symmetric")
    np.testing.assert_allclose(out, soft.raw(padded[None, None], robust_scale(image))[0, 0, :21, :30], atol=1e-6)


def test_tiles_agree_with_the_whole(soft):
    image = speckle(90, 131)
    image[40:60, 20:50] *= 10  # brightness differs from tile to tile: a scale of each tile would show
    whole = Enhancer(NETWORKS / "soft.onnx", tile=256)(image)
    tiled = soft(image)
    assert soft.tile == 32
    assert np.abs(tiled - whole).max() <= 1e-3 * whole.max()
    assert np.abs(tiled - expected(image, robust_scale(image)))[3:-3, 3:-3].max() <= 1e-3 * whole.max()


def test_volume_is_enhanced_slice_by_slice_with_one_scale(soft):
    volume = np.stack([speckle(40, 44), 0.1 * speckle(40, 44, seed=1), np.zeros((40, 44), np.float32)])
    out = soft(volume)
    scale = robust_scale(volume)
    for plane, got in zip(volume, out, strict=True):
        np.testing.assert_allclose(got[3:-3, 3:-3], expected(plane, scale)[3:-3, 3:-3], atol=1e-5)
    alone = soft(volume[1])
    assert np.abs(alone - out[1]).max() > 0.01 * out[1].max()  # alone it has a scale of its own
    assert not out[2].any()


@pytest.mark.parametrize("gain", [1e-6, 3.0, 1e9])
def test_output_scales_with_the_input(soft, gain):
    image = speckle(40, 40)
    np.testing.assert_allclose(soft(image * np.float32(gain)), gain * soft(image), rtol=1e-4, atol=1e-5 * gain)


def test_image_of_zeros_stays_one(soft):
    assert not soft(np.zeros((20, 20))).any()


def test_complex_input():
    modulus = Enhancer(NETWORKS / "modulus.onnx")
    data = (speckle(37, 50) * np.exp(1j * speckle(37, 50, seed=1))).astype(np.complex64)
    np.testing.assert_allclose(modulus(data), np.abs(data), rtol=1e-5)
    np.testing.assert_allclose(enhance(as_image(data), modulus).data[0], np.abs(data), rtol=1e-5)
    with pytest.raises(GeometryError, match="wanted complex numbers; pass the image as reconstructed"):
        modulus(np.abs(data))


def test_progress_counts_the_tiles(soft, capsys):
    soft(speckle(2, 40, 40), show=True)
    assert "enhancing" in (shown := capsys.readouterr().err) and "/8 " in shown
    soft(speckle(40, 40))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (np.ones((3, 50)), "got 3 x 50 pixels .* at least 4 x 4; image a larger grid"),
        (np.ones(50), "wanted numbers"),
        (np.ones((4, 4), dtype=bool), "wanted numbers"),
        (np.full((8, 8), np.nan), "NaN or infinite"),
        (np.full((8, 8), np.inf), "NaN or infinite"),
        (-np.ones((8, 8)), "down to -1, wanted magnitudes"),
        (np.ones((8, 8), dtype=complex), r"wanted magnitudes; pass abs\(image\)"),
    ],
)
def test_bad_input(soft, data, wanted):
    with pytest.raises(GeometryError, match=wanted):
        soft(data)


def test_bad_files(tmp_path):
    with pytest.raises(FormatError, match="wanted a network file"):
        Enhancer(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(FormatError, match="not a network that onnxruntime can load"):
        Enhancer(tmp_path / "text.onnx")
    with pytest.raises(MmsarError, match="got 4 pixels, wanted at least 16"):
        Enhancer(NETWORKS / "soft.onnx", tile=4)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b'"multiple"', b'"multiplf"', "no description of a network"),
        (b'"halo": 4', b'"halo": 3', "a halo in steps"),
        (b'"spacing_mm": 1.0', b'"spacing_mm": -.0', "no description of a network"),
        (b'"spacing_mm": 1.0', b'"spacing_mm": 0.0', "spacing_mm: got 0, wanted more than 0"),
    ],
)
def test_descriptions_that_cannot_be(tmp_path, old, new, complaint):
    content = (NETWORKS / "lopsided.onnx").read_bytes()
    assert old in content and len(old) == len(new)
    (tmp_path / "net.onnx").write_bytes(content.replace(old, new))
    with pytest.raises(FormatError, match=complaint):
        Enhancer(tmp_path / "net.onnx")


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MmsarError, match=r"pip install 'mmsar\[sr\]'"):
        Enhancer(NETWORKS / "soft.onnx")


def test_image_keeps_its_grid_and_says_what_was_done(soft):
    image = as_image(speckle(40, 44) * 1j, history=({"step": "reconstruct"},))
    out = enhance(image, soft)
    assert out.grid == image.grid and out.data.dtype == np.float32
    np.testing.assert_array_equal(out.data[0], soft(image.magnitude()[0]))
    assert [step["step"] for step in out.history] == ["reconstruct", "learned enhancement"]
    digest = hashlib.sha256((NETWORKS / "soft.onnx").read_bytes()).hexdigest()
    assert {"method": "soft", "sha256": digest, "blend": 1.0}.items() <= out.history[-1].items()
    json.dumps(out.history)
    with pytest.raises(GeometryError, match="that soft has enhanced already, wanted it as reconstructed"):
        enhance(out, soft)


def test_blend(soft):
    image = as_image((speckle(40, 44) * np.exp(1j)).astype(np.complex64))
    np.testing.assert_array_equal(enhance(image, soft, blend=0).data, image.magnitude())
    part, whole = enhance(image, soft, blend=0.25), enhance(image, soft)
    np.testing.assert_allclose(part.data, 0.25 * whole.data + 0.75 * image.magnitude(), atol=1e-6)
    assert part.history[-1]["blend"] == 0.25
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(GeometryError, match="blend: got"):
            enhance(image, soft, blend=wrong)


def bump(spacing, sigma=4 * MM, at=(3 * MM, -5 * MM), half=0.06):
    """A Gaussian on a grid of `spacing`, (y, x)."""
    n = round(2 * half / spacing) + 1
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    return np.exp(-((axis - at[0]) ** 2 + (axis[:, None] - at[1]) ** 2) / (2 * sigma**2)).astype(np.float32)


@pytest.mark.parametrize("spacing", [0.4 * MM, 0.7 * MM, 1.5 * MM, 2.0 * MM])
def test_other_pixels_are_interpolated_there_and_back(spacing):
    """lopsided.onnx knows pixels of 1 mm and moves its input by half of one: so much it must move in any image."""
    network = Enhancer(NETWORKS / "lopsided.onnx")
    assert network.spacing == pytest.approx(MM)
    out = enhance(as_image(bump(spacing), spacing), network)
    wanted = (bump(spacing) + bump(spacing, at=(4 * MM, -5 * MM))) / 2
    inner = (slice(4, -4), slice(4, -4))
    assert np.abs(out.data[0] - wanted)[inner].max() < 0.01
    assert out.history[-1]["pixel_mm"] == [1.0, 1.0]
    assert out.data.min() >= 0


def test_pixels_of_nearly_the_trained_size_are_left_alone():
    network = Enhancer(NETWORKS / "lopsided.onnx")
    image = as_image(bump(1.05 * MM), 1.05 * MM)
    out = enhance(image, network)
    np.testing.assert_array_equal(out.data[0], network(image.data[0]))
    assert "pixel_mm" not in out.history[-1]
    assert factors((1.05 * MM, 2 * MM), MM) == (1.0, pytest.approx(2.0))
    assert factors((1.05 * MM, 2 * MM), None) == (1.0, 1.0)


def test_the_networks_grid_covers_the_images():
    assert resized((11, 11), (2.0, 0.5)) == (21, 6)
    assert resized((11, 11), (1.0, 0.37)) == (11, 5)
    ramp = np.tile(np.arange(30, dtype=np.float32), (2, 30, 1))
    finer = resample(ramp, (30, 59), (1.0, 2.0))
    np.testing.assert_allclose(finer[1, 3, 8:-8], np.arange(59)[8:-8] / 2, atol=1e-3)
    np.testing.assert_allclose(resample(finer, (30, 30), (1.0, 0.5))[0, :, 4:-4], ramp[0, :, 4:-4], atol=1e-2)


def test_image_that_is_too_small_in_the_networks_pixels():
    network = Enhancer(NETWORKS / "lopsided.onnx")
    with pytest.raises(GeometryError, match=r"got 3 x 3 pixels \(y, x\) of 1 mm, wanted at least 4 x 4"):
        enhance(as_image(speckle(10, 10), 0.2 * MM), network)


def test_values_of_another_kind_are_named(soft):
    with pytest.raises(GeometryError, match="image: got ndarray, wanted Image"):
        enhance(speckle(1, 16, 16), soft)
    with pytest.raises(GeometryError, match="enhancer: got str, wanted Enhancer"):
        enhance(as_image(speckle(16, 16)), "gatenet")


def test_networks_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(MmsarError, match=r"got 'gatenet', wanted a file .no weights come with"):
        weights.find()
    shutil.copy(NETWORKS / "soft.onnx", tmp_path / "gatenet.onnx")
    assert weights.find() == tmp_path / "gatenet.onnx" and weights.shipped() == ["gatenet"]
    assert Enhancer().sha256 == Enhancer("gatenet").sha256 == Enhancer(NETWORKS / "soft.onnx").sha256
    with pytest.raises(FormatError, match=r"wanted a network file \(\.onnx\) or one of gatenet"):
        Enhancer("other")
    with pytest.raises(MmsarError, match=r"got 'other', wanted one of gatenet, or a file ending in \.onnx"):
        weights.find("other")
    assert weights.find("some/where.onnx") == Path("some/where.onnx")
