"""Scores of enhancement: images whose numbers are known, points that are found or not, empty images that cannot win."""

import numpy as np
import pytest

from mmsar.enhance import score as s

SPACING = 1e-3
AXIS = np.arange(64)


def blobs(places, amplitudes=None, width=1.2):
    amplitudes = np.ones(len(places)) if amplitudes is None else amplitudes
    image = np.zeros((64, 64))
    for (y, x), a in zip(places, amplitudes, strict=True):
        image += a * np.exp(-((AXIS[:, None] - y) ** 2 + (AXIS - x) ** 2) / width**2)
    return image


def test_gain_does_not_count():
    label = blobs([(20, 20), (40, 45)], [1, 0.4])
    found = s.score(0.003 * label, label, SPACING)
    assert found["psnr"] > 100 and found["foreground"] > 100
    assert found["ssim"] == pytest.approx(1) and found["ncc"] == pytest.approx(1)
    assert (found["recall"], found["false_blobs"]) == (1, 0)


def test_psnr_of_known_noise():
    label = blobs([(32, 32)])
    rng = np.random.default_rng(0)
    noisy = label + 0.001 * rng.standard_normal(label.shape)
    found = s.score(noisy, label, SPACING)
    assert found["psnr"] == pytest.approx(60, abs=0.5)
    assert found["foreground"] == pytest.approx(60, abs=1.5)


def test_empty_image_wins_nothing():
    label = blobs([(20, 20), (40, 45)])
    found = s.score(np.zeros_like(label), label, SPACING)
    assert found["recall"] == 0 and found["false_blobs"] == 0
    assert np.isnan(found["ncc"])
    assert found["ssim"] < 0.2
    assert found["psnr"] == pytest.approx(-10 * np.log10(np.mean(label**2)))


def test_place_counts_but_where_it_is_left_open():
    label = blobs([(20, 20), (40, 45)], [1, 0.4])
    aside = blobs([(24, 19), (44, 44)], [1, 0.4])
    found = s.score(aside, label, SPACING)
    assert found["psnr"] < 33 and found["placed"] > 100
    assert s.score(label, label, SPACING)["placed"] > 100
    far = s.score(blobs([(20 + 7, 20), (40 + 7, 45)], [1, 0.4]), label, SPACING)
    assert far["placed"] < 33  # further than 5 mm
    edge = s.score(blobs([(2, 20), (60, 45)]), blobs([(-1, 20), (57, 45)]), SPACING)
    assert edge["placed"] > 40  # what leaves at one edge does not come back at the other


def test_recall_counts_points_and_false_blobs_the_rest():
    label = blobs([(12, 12), (12, 50), (50, 12)], [1, 0.5, 0.2])
    image = blobs([(12, 12), (13, 50), (30, 40), (54, 12)], [1, 0.6, 0.3, 0.2])
    found = s.score(image, label, SPACING)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["false_blobs"] == 2
    assert found["chance"] == pytest.approx(1 / 3)  # (50, 12) mirrored is (13, 51)
    speckle = np.random.default_rng(0).rayleigh(size=label.shape)
    assert s.score(speckle, label, SPACING)["chance"] > 0.3
    assert s.score(blobs([(12, 12), (12, 50)], [1, 0.09]), label, SPACING)["recall"] == pytest.approx(1 / 3)


def test_points_that_touch_something_are_not_single():
    solid = np.zeros((64, 64))
    solid[30:45, 30:45] = 1
    label = np.maximum(solid, blobs([(10, 10), (20, 50), (20, 52)]))
    assert s.single_points(label, SPACING).tolist() == [[10, 10]]
    assert np.isnan(s.score(solid, solid, SPACING)["recall"])


def test_sidelobes_next_to_a_target_are_not_false():
    label = blobs([(32, 32)])
    assert s.score(label + 0.3 * blobs([(34, 32)]), label, SPACING)["false_blobs"] == 0
    assert s.score(label + 0.3 * blobs([(42, 32)]), label, SPACING)["false_blobs"] == 1


def test_threshold():
    assert s.thresholded(np.array([1.0, 0.11, 0.09, 0.0])).tolist() == [1.0, 0.11, 0.0, 0.0]


def test_published_protocol_lets_an_unscaled_input_score_as_zeros():
    label = blobs([(20, 20), (40, 45)])
    noisy, zeros = label + 0.2, np.zeros_like(label)
    first, perfect = s.published([noisy, label], label, 7e-4)
    assert first == pytest.approx(-10 * np.log10(np.mean((zeros - label) ** 2)), abs=0.02)
    assert perfect > 100
