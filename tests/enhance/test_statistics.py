"""Statistics of images: what they do not depend on, what each of them tells, and the distance from a training set."""

import json

import numpy as np
import pytest

from mmsar.enhance.statistics import NAMES, check_statistics, distance, features, fit_statistics
from mmsar.errors import GeometryError


def speckle(seed=0, shape=(48, 60)):
    return np.random.default_rng(seed).rayleigh(size=shape)


def named(image):
    return dict(zip(NAMES, features(image), strict=True))


@pytest.fixture(scope="module")
def statistics():
    return fit_statistics([speckle(seed) for seed in range(200)])


@pytest.mark.parametrize("gain", [1e-9, 7.0, 1e12])
def test_scale_does_not_matter(gain):
    np.testing.assert_allclose(features(speckle() * gain), features(speckle()), rtol=1e-9)


@pytest.mark.parametrize("turn", [lambda a: a.T, lambda a: a[::-1], lambda a: np.rot90(a)[:, ::-1]])
def test_turns_do_not_matter(turn):
    image = speckle()
    image[:20] *= 3
    np.testing.assert_allclose(features(turn(image)), features(image), rtol=1e-9)


def test_each_tells_what_it_says():
    plain = named(speckle())
    one = np.zeros((50, 50))
    one[20, 30] = 1
    assert named(one)["contrast"] == pytest.approx(4) and named(one)["peak"] == 0
    assert named(one)["above_20"] == pytest.approx(np.log10(1 / 2500))
    solid = np.full((50, 50), 1e-3)
    solid[10:36] = 1
    assert named(solid)["above_10"] == pytest.approx(np.log10(0.52)) and abs(named(solid)["contrast"]) < 1e-6
    assert named(solid)["detail"] < plain["detail"] - 1 and named(solid)["direction"] > 1
    assert abs(plain["direction"]) < 0.1 and plain["detail"] == pytest.approx(np.log10(2), abs=0.05)
    spike = speckle()
    spike[5, 5] = 1000
    assert named(spike)["peak"] == pytest.approx(0, abs=0.01) and named(spike)["contrast"] > plain["contrast"] + 2


def test_a_volume_counts_by_its_brightest_slice():
    volume = np.stack([0.1 * speckle(1), speckle(2), np.zeros((48, 60))])
    np.testing.assert_array_equal(features(volume), features(volume[1]))


@pytest.mark.parametrize("bad", [np.ones(5), np.ones((1, 5)), np.zeros((5, 5)), np.full((5, 5), np.nan)])
def test_what_has_no_statistics_is_refused(bad):
    with pytest.raises(GeometryError, match="statistics: got"):
        features(bad)


def test_distance_from_the_training(statistics):
    again = json.loads(json.dumps(check_statistics(statistics)))
    inside = [distance(features(speckle(seed)), again)[0] for seed in range(1000, 1100)]
    assert np.mean(np.array(inside) > again["limit"]) < 0.1
    assert distance(np.array(again["mean"]), again)[0] == 0
    stripes = speckle()
    stripes[::2] = 0
    far, name = distance(features(stripes), again)
    assert far > 3 * again["limit"] and name in NAMES
    assert abs(named(stripes)["direction"]) > 0.5
    deviation = np.sqrt(np.array(again["covariance"])[5, 5])
    moved = np.array(again["mean"])
    moved[5] += 50 * deviation
    assert distance(moved, again)[1] == "detail" and distance(moved, again)[0] >= 50


def test_the_limit_holds_99_of_100(statistics):
    distances = [distance(features(speckle(seed)), statistics)[0] for seed in range(200)]
    assert np.sum(np.array(distances) <= statistics["limit"]) == 198


def test_images_alike_allow_for_some_spread():
    alike = fit_statistics([speckle()] * 20)
    assert np.linalg.cond(np.array(alike["covariance"])) < 10
    with pytest.raises(GeometryError, match="got 3 images with a signal, wanted at least 20"):
        fit_statistics([speckle(), np.zeros((5, 5)), speckle(1), speckle(2)])


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"names": ["other"]}, "wanted contrast"),
        ({"mean": [0.0]}, "statistics mean"),
        ({"covariance": np.zeros((7, 7)).tolist()}, "not positive definite"),
        ({"limit": 0}, "statistics limit"),
    ],
)
def test_statistics_that_cannot_be(statistics, change, wanted):
    with pytest.raises(GeometryError, match=wanted):
        check_statistics({**statistics, **change})
    with pytest.raises(GeometryError, match="wanted an object with names"):
        check_statistics({key: value for key, value in statistics.items() if key != next(iter(change))})
