"""Metrics against closed forms: sinc responses, known entropies, invariances."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mmsar import metrics
from mmsar.errors import GeometryError
from mmsar.metrics import contrast, edge_width, entropy, error_db, ncc, point_response, psnr, ssim
from mmsar.model import Image, ImageGrid

WIDTH = 0.8859
"""-3 dB width of sinc(x) in its null distance."""


def sinc_image(peak, *, nulls=(4e-3, 5e-3, 40e-3), spacing=(2e-3, 2e-3, 18e-3), shape=(48, 96, 64), carrier=0.0):
    """A sinc in x, y, z around `peak` with the given peak-to-null distances, and a carrier along z [rad/m]."""
    grid = ImageGrid(shape=shape, origin=(-0.06, -0.1, 0.1), spacing=spacing)
    x, y, z = (np.sinc((getattr(grid, a) - p) / n) for a, p, n in zip("xyz", peak, nulls, strict=True))
    z = z * np.exp(1j * carrier * (grid.z - peak[2]))
    return Image(data=z[:, None, None] * y[:, None] * x, grid=grid)


@pytest.mark.parametrize("carrier", [0.0, 3240.0, 1111.0])
def test_point_response_of_a_sinc(carrier: float) -> None:
    peak = (0.0031, -0.0042, 0.5071)
    found = point_response(sinc_image(peak, carrier=carrier))
    np.testing.assert_allclose(np.subtract(found.position, peak) / (2e-3, 2e-3, 18e-3), 0, atol=0.02)
    np.testing.assert_allclose(found.width, WIDTH * np.array([4e-3, 5e-3, 40e-3]), rtol=0.01)
    np.testing.assert_allclose(found.pslr, -13.26, atol=0.1)
    np.testing.assert_allclose(found.islr, -9.9, atol=0.35)
    assert found.value == pytest.approx(1, abs=0.001)
    assert found.pslr_3d == pytest.approx(-13.26, abs=0.1)
    assert found.islr_3d == pytest.approx(10 * np.log10(0.9028**-3 - 1), abs=0.8)
    assert found.notes == ()
    assert json.dumps(found.to_dict())


@settings(deadline=None, max_examples=15)
@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3), st.floats(-4000, 4000))
def test_peaks_between_voxels_are_found_whatever_the_carrier(offset, carrier) -> None:
    peak = np.array([0.004, 0.0, 0.46]) + np.array(offset) * (2e-3, 2e-3, 18e-3)
    found = point_response(sinc_image(peak, shape=(40, 96, 64), carrier=carrier))
    np.testing.assert_allclose((np.array(found.position) - peak) / (2e-3, 2e-3, 18e-3), 0, atol=0.03)
    np.testing.assert_allclose(found.width, WIDTH * np.array([4e-3, 5e-3, 40e-3]), rtol=0.02)


def test_magnitude_images_give_the_same_widths() -> None:
    image = sinc_image((0.0031, -0.0042, 0.5071), carrier=2000.0)
    found, of_magnitude = point_response(image), point_response(Image(data=image.magnitude(), grid=image.grid))
    np.testing.assert_allclose(of_magnitude.position, found.position, atol=2e-4)
    np.testing.assert_allclose(of_magnitude.width, found.width, rtol=0.02)
    np.testing.assert_allclose(of_magnitude.pslr, found.pslr, atol=0.6)
    assert of_magnitude.value == pytest.approx(found.value, abs=0.01)


def test_the_point_chooses_the_peak() -> None:
    strong, weak = (0.031, 0.04, 0.3), (-0.02, -0.05, 0.7)
    data = sinc_image(strong).data + 0.5 * sinc_image(weak).data
    image = Image(data=data, grid=sinc_image(strong).grid)
    np.testing.assert_allclose(point_response(image).position, strong, atol=1e-3)
    found = point_response(image, (-0.022, -0.048, 0.71))
    np.testing.assert_allclose(found.position, weak, atol=1e-3)
    assert found.value == pytest.approx(0.5, abs=0.03)
    with pytest.raises(GeometryError, match="wanted it within x"):
        point_response(image, (0.5, 0, 0.3))


def test_what_cannot_be_told_is_nan_with_a_reason() -> None:
    found = point_response(sinc_image((0.0, 0.0, 0.1), nulls=(4e-3, 5e-3, 10.0), shape=(6, 96, 64)))
    assert np.isnan(found.width[2])
    assert np.isfinite(found.width[:2]).all()
    assert any("-3 dB" in note and note.startswith("z") for note in found.notes)
    flat = point_response(sinc_image((0.0031, 0.0, 0.1), shape=(1, 96, 64)))
    assert np.isnan([flat.width[2], flat.pslr[2], flat.islr[2]]).all()
    assert "z: one voxel, no cut" in flat.notes
    assert flat.width[0] == pytest.approx(WIDTH * 4e-3, rel=0.01)
    assert flat.islr_3d == pytest.approx(10 * np.log10(0.9028**-2 - 1), abs=0.8)
    empty = ImageGrid(shape=(4, 4, 4), origin=(0, 0, 0), spacing=(1, 1, 1))
    with pytest.raises(GeometryError, match="zero"):
        point_response(Image(data=np.zeros((4, 4, 4), np.float32), grid=empty))


def test_entropy_and_contrast_of_known_images() -> None:
    assert entropy(np.ones((4, 5, 6))) == pytest.approx(np.log(120))
    single = np.zeros((3, 3))
    single[1, 1] = -2.0
    assert entropy(single) == 0
    assert entropy(np.array([1.0, 1.0, 0, 0])) == pytest.approx(np.log(2))
    assert contrast(np.ones(7)) == 0
    assert contrast(single) == pytest.approx(np.sqrt(8))
    with pytest.raises(GeometryError, match="zero everywhere"):
        entropy(np.zeros(3))


def random_images(seed: int, shape=(3, 16, 18)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = (gaussian_filter(rng.standard_normal((2, *shape)), (0, 1, 1, 1)) for _ in range(2))
    return a[0] + 1j * a[1], a[0] + 1j * a[1] + 0.3 * (b[0] + 1j * b[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(-3, 3))
def test_scale_and_phase_do_not_matter(seed: int, size: float, phase: float) -> None:
    a, b = random_images(seed)
    c = size * np.exp(1j * phase) * a
    assert entropy(c) == pytest.approx(entropy(a))
    assert contrast(c) == pytest.approx(contrast(a))
    assert ncc(c, b) == pytest.approx(ncc(a, b))
    assert ncc(c, b, kind="magnitude") == pytest.approx(ncc(a, b, kind="magnitude"))
    assert error_db(c, b).error_db == pytest.approx(error_db(a, b).error_db)
    assert psnr(c, b) == pytest.approx(psnr(a, b))
    assert psnr(c, b, normalise="fit") == pytest.approx(psnr(a, b, normalise="fit"))
    assert ssim(c, b) == pytest.approx(ssim(a, b))
    assert ncc(c, a) == pytest.approx(1)
    assert ssim(c, a) == pytest.approx(1)


def test_error_and_correlation_are_two_sides_of_one_number() -> None:
    a, b = random_images(3)
    fit = error_db(a, 2j * b)
    assert 10 ** (fit.error_db / 10) == pytest.approx(1 - ncc(a, b) ** 2)
    assert np.linalg.norm(fit.scale * a - 2j * b) <= np.linalg.norm(1.001 * fit.scale * a - 2j * b)
    assert error_db(3j * b, b).scale == pytest.approx(1 / 3j)
    assert error_db(3j * b, b).error_db < -250
    assert ncc(a, -1j * a) == pytest.approx(1)
    assert ncc(np.array([1, 0j]), np.array([0j, 1])) == 0


def test_psnr_and_ssim_of_hand_made_images() -> None:
    reference = np.ones((20, 20))
    image = reference.copy()
    image[:, 10:] = 0.9
    assert psnr(image, reference, normalise="none") == pytest.approx(10 * np.log10(1 / 0.005))
    assert psnr(reference, reference) == np.inf
    half = np.full((20, 20), 0.5)
    luminance = (2 * 0.5 + 1e-4) / (1 + 0.25 + 1e-4)
    assert ssim(half, reference, normalise="none") == pytest.approx(luminance)
    assert ssim(half, reference) == pytest.approx(1)


def test_ssim_is_that_of_the_definition_summed_by_hand() -> None:
    a, b = (np.abs(v[1]) / np.abs(v[1]).max() for v in random_images(4))
    g = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    g = np.outer(g, g) / g.sum() ** 2
    values = []
    for i in range(16 - 10):
        for j in range(18 - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mp, mq = (g * p).sum(), (g * q).sum()
            vp, vq, c = (g * (p - mp) ** 2).sum(), (g * (q - mq) ** 2).sum(), (g * (p - mp) * (q - mq)).sum()
            values.append((2 * mp * mq + 1e-4) * (2 * c + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert ssim(a, b) == pytest.approx(np.mean(values), rel=1e-6)
    assert ssim(a[:, None], b[:, None]) == pytest.approx(ssim(a, b))


def test_images_that_cannot_be_compared_are_refused() -> None:
    a, b = random_images(0)
    grid = ImageGrid(shape=a.shape, origin=(0, 0, 0), spacing=(1e-3, 1e-3, 1e-2))
    moved = ImageGrid(shape=a.shape, origin=(5e-4, 0, 0), spacing=(1e-3, 1e-3, 1e-2))
    with pytest.raises(GeometryError, match="different grids"):
        ncc(Image(data=a, grid=grid), Image(data=b, grid=moved))
    with pytest.raises(GeometryError, match="same grid"):
        psnr(a, b[:2])
    with pytest.raises(GeometryError, match="magnitude"):
        ncc(a, np.abs(b))
    with pytest.raises(GeometryError, match="zero everywhere"):
        error_db(a, 0 * b)
    with pytest.raises(GeometryError, match="11 x 11"):
        ssim(a[:, :5], b[:, :5])
    with pytest.raises(GeometryError, match="one of peak"):
        psnr(a, b, normalise="max")


@pytest.mark.parametrize("flip", [1, -1])
def test_edge_width_of_a_ramp_and_of_a_blurred_step(flip: int) -> None:
    x = np.arange(200) * 1e-3
    ramp = np.clip((x - 0.05) / 0.04, 0, 1)[::flip]
    assert edge_width(x, ramp) == pytest.approx(0.032, rel=1e-6)
    assert edge_width(x, 5 + 3 * ramp) == pytest.approx(0.032, rel=1e-6)
    assert edge_width(x, ramp, low=0.25, high=0.75) == pytest.approx(0.02, rel=1e-6)
    blurred = gaussian_filter((x > 0.1).astype(float), 8.0)[::flip]
    assert edge_width(x, blurred) == pytest.approx(2 * 1.2816 * 8e-3, rel=0.01)
    assert np.isnan(edge_width(x, ramp, levels=(0.0, 2.0)))
    with pytest.raises(GeometryError, match="increase"):
        edge_width(x[::-1], ramp)


def test_every_number_states_its_normalisation() -> None:
    fields = set(metrics.PointResponse.__dataclass_fields__) - {"notes"}
    assert fields <= set(metrics.NORMALISATION)
    assert {"entropy", "contrast", "ncc", "error", "psnr", "ssim"} <= set(metrics.NORMALISATION)
