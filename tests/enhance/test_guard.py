"""The guard against invention: turns, new blobs on phantoms where the truth is known, statistics of the training."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

from mmsar.enhance import guard
from mmsar.enhance.infer import Enhancer, enhance
from mmsar.enhance.statistics import fit_statistics
from mmsar.errors import GeometryError
from mmsar.model import Image, ImageGrid

NETWORKS = Path(__file__).parent / "networks"
MM = 1e-3
AXIS = (np.arange(128) - 63.5) * 0.8 * MM


def as_image(data, spacing=(0.8 * MM, 0.8 * MM)):
    data = data if data.ndim == 3 else data[None]
    grid = ImageGrid(shape=data.shape, origin=(float(AXIS[0]), float(AXIS[0]), 0.3), spacing=(*spacing, 5 * MM))
    return Image(data=data, grid=grid)


def phantom(noise=0.003, seed=0):
    """Points as a square aperture shows them (sinc, 4 mm wide), 0, -6 and -26 dB, in speckle of noise."""
    rng = np.random.default_rng(seed)
    data = noise * (rng.standard_normal((128, 128)) + 1j * rng.standard_normal((128, 128)))
    for x, y, sigma in ((-20 * MM, 10 * MM, 1.0), (25 * MM, 20 * MM, 0.5j), (5 * MM, -30 * MM, 0.05)):
        data += sigma * np.sinc((AXIS - x) / (4 * MM)) * np.sinc((AXIS[:, None] - y) / (4 * MM))
    return as_image(data.astype(np.complex64))


def changed(image, change):
    """A fake enhancer: the magnitude of an image after `change` in place."""
    data = image.magnitude().copy()
    change(data[0])
    return Image(data=data, grid=image.grid)


@pytest.fixture(scope="module")
def soft():
    return Enhancer(NETWORKS / "soft.onnx")


@pytest.fixture(scope="module")
def lopsided():
    return Enhancer(NETWORKS / "lopsided.onnx")


@pytest.mark.parametrize("seed", range(3))
def test_honest_enhancers_invent_nothing(seed, soft):
    image = phantom(seed=seed)
    assert guard.invented(lambda it: it, image) == []
    assert guard.invented(partial(enhance, enhancer=soft), image) == []

    def thinner(data):  # narrow peaks where the points are; the weak one is lifted from -26 to -6 dB
        data[:] = 0
        for x, y, level in ((-20, 10, 1.0), (25, 20, 0.5), (5, -30, 0.5)):
            there = (AXIS[:, None] - y * MM) ** 2 + (AXIS - x * MM) ** 2
            data += np.float32(level) * np.exp(-there / (1 * MM) ** 2).astype(np.float32)

    assert guard.invented(partial(changed, change=thinner), image) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("level", "size"), [(0.12, 1), (0.5, 1), (0.5, 15)])
def test_blob_out_of_nothing_is_found_where_it_is(seed, level, size):
    image = phantom(seed=seed)
    row, column = 30, 97

    def inventing(data):
        data[row : row + size, column : column + size] = level * data.max()

    (blob,) = guard.invented(partial(changed, change=inventing), image)
    middle = (size - 1) // 2
    assert blob.place == pytest.approx((AXIS[column + middle], AXIS[row + middle], 0.3))
    assert blob.level_db == pytest.approx(20 * np.log10(level), abs=1e-3)
    assert blob.before_db < -30


def test_sidelobe_that_is_lifted_is_found():
    image = phantom(noise=0)
    x = int(np.argmin(np.abs(AXIS - (-20 * MM + 4.5 * 4 * MM))))  # the fourth sidelobe, -23 dB
    y = int(np.argmin(np.abs(AXIS - 10 * MM)))

    def lifting(data):
        data[y, x] = 0.6 * data.max()

    (blob,) = guard.invented(partial(changed, change=lifting), image)
    assert blob.place == pytest.approx((AXIS[x], AXIS[y], 0.3))
    assert -25 < blob.before_db < -20


def test_in_a_volume_a_blob_belongs_to_its_slice():
    plane = phantom().data[0]
    image = as_image(np.stack([plane, plane, plane]))
    after = image.magnitude().copy()
    after[2, 30, 97] = 0.5
    (blob,) = guard.new_blobs(image, Image(data=after, grid=image.grid))
    assert blob.place[2] == pytest.approx(0.31)
    empty = Image(data=np.zeros_like(after), grid=image.grid)
    assert guard.new_blobs(image, empty) == []
    assert len(guard.new_blobs(empty, image)) >= 2
    with pytest.raises(GeometryError, match="enhanced image: got shape"):
        guard.new_blobs(image, phantom())


@pytest.mark.parametrize("side", [128, 117])
def test_network_that_turns_with_its_input_agrees_with_itself(soft, side):
    image = as_image(np.random.default_rng(0).rayleigh(size=(2, 40, side)).astype(np.float32))
    found = guard.disagreement(image, soft)
    inner = found.map.data[:, 6:-6, 6:-6]
    assert inner.max() < 1e-3  # tiles lie differently in the turned image: 1e-3 is what they may differ
    assert found.map.grid == image.grid
    assert found.map.history[-1]["step"] == "disagreement of turns"


def test_network_that_does_not_turn_is_told_by_how_much(lopsided):
    """(own + left neighbour) / 2 of one bright pixel: a quarter of the turns puts the other half on each side."""
    data = np.zeros((1, 40, 60), np.float32)
    data[0, 15, 20] = 2.0
    image = as_image(data, spacing=(MM, MM))
    found = guard.disagreement(image, lopsided)
    deviation = np.zeros((40, 60))
    for row, column in ((15, 19), (15, 21), (14, 20), (16, 20)):
        deviation[row, column] = np.sqrt(0.25 - 0.25**2)  # 1 in two of eight turns, relative to the peak 1
    np.testing.assert_allclose(found.map.data[0], deviation, atol=1e-6)
    assert found.largest == pytest.approx(np.sqrt(3) / 4)
    assert found.relative == pytest.approx(np.sqrt(4 * 3 / 16 / (1 + 4 / 16)), rel=1e-5)
    assert found.place[2] == pytest.approx(0.3)
    half = guard.disagreement(image, lopsided, blend=0.5)
    assert half.largest == pytest.approx(found.largest * 0.5 / 1.5, rel=1e-5)


def test_turns_of_pixels_that_are_not_square(lopsided):
    """Interpolated along x only, in every turn: the same answer as for the image turned beforehand."""
    x, y = np.meshgrid(np.arange(30) * 2 * MM, np.arange(60) * MM)
    data = np.exp(-((x - 28 * MM) ** 2 + (y - 31 * MM) ** 2) / (2 * (5 * MM) ** 2)).astype(np.float32)
    one = guard.disagreement(as_image(data, (2 * MM, MM)), lopsided)
    two = guard.disagreement(as_image(np.ascontiguousarray(data.T), (MM, 2 * MM)), lopsided)
    assert 0.02 < one.relative < 0.2
    np.testing.assert_allclose(two.map.data[0].T, one.map.data[0], atol=1e-4)


def test_image_of_zeros_disagrees_about_nothing(soft):
    found = guard.disagreement(as_image(np.zeros((24, 24), np.float32)), soft)
    assert (found.relative, found.largest) == (0.0, 0.0)


def test_image_unlike_the_training_is_told_with_the_statistic(soft, monkeypatch):
    training = [phantom(noise=0.01, seed=seed).magnitude()[0] for seed in range(40)]
    monkeypatch.setattr(soft, "statistics", fit_statistics(training))
    same = guard.unlike(phantom(noise=0.01, seed=100), soft)
    assert not same.outlying or same.distance < 1.5 * same.limit
    other = guard.unlike(as_image(np.random.default_rng(0).rayleigh(size=(128, 128)).astype(np.float32)), soft)
    assert other.outlying and other.distance > 3 * other.limit
    assert abs(other.value - other.mean) > 3 * other.deviation
    assert other.name in soft.statistics["names"] and asdict(other)["name"] == other.name
    assert guard.unlike(as_image(np.zeros((20, 20), np.float32)), soft) is None
    monkeypatch.setattr(soft, "statistics", None)
    assert guard.unlike(phantom(), soft) is None


def test_statistics_are_taken_at_the_networks_pixels(lopsided, monkeypatch):
    rng = np.random.default_rng(0)
    small = [np.abs(np.fft.ifft2(np.fft.fft2(rng.standard_normal((64, 64))) * _low(64, 8))) for _ in range(30)]
    monkeypatch.setattr(lopsided, "statistics", fit_statistics(small))
    finer = np.abs(np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) * _low(256, 8))).astype(np.float32)
    assert guard.unlike(as_image(finer, (0.25 * MM, 0.25 * MM)), lopsided).distance < 6
    assert guard.unlike(as_image(finer, (MM, MM)), lopsided).distance > 12


def _low(n, kept):
    """Wavenumbers up to `kept` per image."""
    low = np.abs(np.fft.fftfreq(n) * n) <= kept
    return low[:, None] & low


def test_pixels_that_do_not_suit(lopsided, soft, monkeypatch):
    coarse = as_image(np.ones((20, 20), np.float32), (3 * MM, MM))
    text = guard.pixel_warning(coarse, lopsided)
    assert text.startswith("pixels of 3 x 1 mm (x, y) are coarse") and text.endswith("--spacing 1 along x and y")
    assert guard.pixel_warning(as_image(np.ones((20, 20), np.float32), (0.2 * MM, 1.9 * MM)), lopsided) is None
    assert guard.pixel_warning(coarse, soft) is None
    monkeypatch.setattr(lopsided, "inputs", "complex")
    assert "trained on pixels of 1 mm" in guard.pixel_warning(as_image(np.ones((9, 9)), (0.2 * MM, MM)), lopsided)
