"""The networks that come with the package: size, scale, tiles, and that they help on shapes they never saw."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

from mmsar.enhance.dataset import PairMaker
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.probes import SPACINGS, Probe
from mmsar.enhance.weights import DEFAULT, find, shipped

EASY = Recipe(
    seed=911,
    depths=(0.25,),
    methods=("empm",),
    tracks=1,
    test_share=1.0,
    validation_share=0.0,
    empty_share=0.0,
    snr_db=(20.0, 20.0),
    position_error=(2e-4, 2e-4),
    exact_share=0.0,
)


@pytest.fixture(scope="module")
def network():
    return Enhancer(find())


@pytest.fixture(scope="module")
def pairs():
    maker = PairMaker(EASY)
    return [maker.pair(i) for i in range(8)]


def psnr(image, label):
    """Peak signal-to-noise ratio with a least-squares gain [dB]."""
    gain = np.vdot(image, label) / max(np.vdot(image, image), 1e-30)
    return 10 * np.log10(label.max() ** 2 / np.mean((gain * image - label) ** 2))


def test_files_are_small_and_described():
    assert DEFAULT in shipped()
    assert sum(find(name).stat().st_size for name in shipped()) < 2_000_000
    card = (files("mmsar.enhance.weights") / "MODEL_CARD.md").read_text()
    for name in shipped():
        assert f"`{name}`" in card
        assert Enhancer(find(name)).sha256 in card


def test_points_hardly_resolved_are_taken_apart(network):
    """The bar of two points 4 mm apart in phase, 0.25 m away; none is made where the image shows no dip."""
    pair = Probe(PairMaker(EASY), 0.25).two_points(lambda image: network(np.abs(image)))
    before = Probe(PairMaker(EASY), 0.25).two_points(np.abs)
    at = SPACINGS.index(4e-3)
    assert pair.in_phase[at] <= 0.7 < before.in_phase[at]
    assert pair.in_phase[SPACINGS.index(2e-3)] > 0.95


def test_scale_does_not_matter(network, pairs):
    image, label = pairs[0].magnitude, pairs[0].physical
    before = psnr(network(image), label)
    for factor in (0.1, 0.5, 10.0):
        assert psnr(network(image * np.float32(factor)), label) == pytest.approx(before, abs=0.1)


def test_tiles_agree_with_the_whole(pairs):
    image = np.tile(pairs[1].magnitude, (2, 2))
    whole, tiled = Enhancer(find(), tile=512)(image), Enhancer(find(), tile=320)(image)
    assert np.abs(whole - tiled).max() <= 1e-3 * whole.max()


def test_held_out_shapes_come_closer_to_the_truth(network, pairs):
    gains = [psnr(network(p.magnitude), p.physical) - psnr(p.magnitude, p.physical) for p in pairs]
    assert {p.family for p in pairs} <= set(EASY.test)
    assert np.mean(gains) > 1.0
    assert min(gains) > -1.0


def test_noise_stays_dark(network):
    maker = PairMaker(replace(EASY, empty_share=1.0))
    noise = maker.pair(0)
    assert noise.empty
    assert np.mean(network(noise.magnitude) > 0.15 * noise.magnitude.max()) <= 0.02
