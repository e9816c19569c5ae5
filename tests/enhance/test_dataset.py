"""Training pairs: what a seed fixes, splits, the image against the slow way, finite everywhere."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.enhance import dataset_track as track
from mmsar.enhance.dataset import PairMaker, write_pairs
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.dataset_scene import draw_scene
from mmsar.enhance.score import score
from mmsar.errors import GeometryError
from mmsar.io.pairs_h5 import PairFile
from mmsar.metrics import ncc
from mmsar.model import Geometry
from mmsar.simulate.forward import forward

SMALL = Recipe(
    seed=4,
    frequencies=6,
    rows=5,
    columns=40,
    pixels=48,
    size=40e-3,
    depths=(0.15, 0.2),
    reach=18e-3,
    object_size=(3e-3, 9e-3),
    objects=(1, 2),
    points=(0, 4),
    off_plane=4e-3,
    position_error=(0.05e-3, 1e-3),
    test_share=0.3,
)
COLUMNS = ("seed", "family", "split", "method", "depth", "snr_db", "position_error", "missing", "ghost", "rough")


@pytest.fixture(scope="module")
def maker() -> PairMaker:
    return PairMaker(SMALL)


@pytest.fixture(scope="module")
def pairs(maker) -> list:
    return [maker.pair(i) for i in range(24)]


def assert_same(a, b) -> None:
    for name in COLUMNS:
        assert getattr(a, name) == getattr(b, name), name
    np.testing.assert_array_equal(a.ideal, b.ideal)
    np.testing.assert_array_equal(a.physical, b.physical)
    np.testing.assert_allclose(a.input, b.input, atol=1e-5)  # threads may add up in another order


def test_by_least_squares_images_of_exact_positions_are_nearer_to_their_labels():
    exact = replace(SMALL, exact_share=1.0, empty_share=0.0, snr_db=(30.0, 30.0), missing_share=0.5)
    makers = [PairMaker(replace(exact, methods=(method,))) for method in ("nufft", "least-squares")]
    for index in range(4):
        plain, solved = (maker.pair(index) for maker in makers)
        assert (plain.seed, plain.method, solved.method) == (solved.seed, "nufft", "least-squares")
        np.testing.assert_array_equal(plain.physical, solved.physical)
        assert np.abs(solved.input).max() == pytest.approx(1)
        gain = [score(p.magnitude, p.physical, exact.pixel)["psnr"] for p in (plain, solved)]
        assert gain[1] > gain[0] + 1


def test_a_sample_is_the_same_alone_and_in_any_order(pairs):
    other = PairMaker(SMALL)
    for i in (17, 3):
        assert_same(other.pair(i), pairs[i])
        assert_same(other.from_seed(pairs[i].seed), pairs[i])


def test_samples_and_data_sets_differ(pairs):
    assert len({p.seed for p in pairs}) == len(pairs)
    other = PairMaker(replace(SMALL, seed=5)).pair(0)
    assert other.seed != pairs[0].seed and not np.array_equal(other.input, pairs[0].input)


def test_the_imager_does_not_change_the_scene():
    one, other = (PairMaker(replace(SMALL, methods=(m,), tracks=1)).pair(1) for m in ("empm", "nufft"))
    assert (one.method, other.method) == ("empm", "nufft")
    np.testing.assert_array_equal(one.physical, other.physical)
    assert ncc(one.input, other.input) > 0.99


def test_splits_are_disjoint_in_families(maker, pairs):
    assert {p.family for p in pairs if p.split == "test"} <= set(SMALL.test)
    assert {p.family for p in pairs if p.split != "test"} <= set(SMALL.train)
    assert {p.split for p in pairs} >= {"train", "test"}
    with pytest.raises(GeometryError, match="got gears in train too"):
        replace(SMALL, train=("points", "gears"))


def test_every_pair_is_normalised_and_varied(pairs):
    for p in pairs:
        assert p.magnitude.max() == pytest.approx(1, abs=1e-5)
        assert p.input.dtype == np.complex64 and p.ideal.dtype == p.physical.dtype == np.float32
    for name in ("family", "method", "depth", "track", "error_kind"):
        assert len({getattr(p, name) for p in pairs}) > 1, name


def test_image_is_that_of_the_exact_forward_model():
    """The whole chain, echoes by the slow exact sum from the true positions: the same slice."""
    recipe = replace(
        SMALL, snr_db=(80.0, 80.0), empty_share=0.0, missing_share=0.0, exact_share=0.0, points=(2, 4), depths=(0.2,)
    )
    maker = PairMaker(recipe)
    for index in range(4):
        pair = maker.pair(index)
        streams = np.random.SeedSequence(pair.seed).spawn(4)
        drawn = draw_scene(recipe, pair.family, np.random.default_rng(streams[1]))
        _, rms, error = maker._error(np.random.default_rng(streams[2]))
        assert rms == pair.position_error > 0
        place = track.elements(recipe, track.nominal(recipe, pair.track) + error)[:, None]
        true = Geometry(chirp=maker.chirp, tx_position=place, rx_position=place)
        image = maker._plan(pair.method, pair.track, pair.depth)(forward(true, drawn.scene(pair.depth)))[0]
        assert ncc(pair.input / np.float32(pair.gain), image) >= 0.995


def test_position_errors_blur_the_image_and_exact_ones_do_not():
    base = replace(SMALL, snr_db=(60.0, 60.0), empty_share=0.0, rough_share=0.0, missing_share=0.0, depths=(0.2,))
    base = replace(base, train=("points",), test_share=0.0, points=(1, 1), off_plane=0.0, clutter_share=0.0)
    exact, blurred = (
        [p.gain for i in range(6) if (p := m.pair(i))]
        for m in (
            PairMaker(replace(base, exact_share=1.0)),
            PairMaker(replace(base, exact_share=0.0, position_error=(1e-3, 1e-3))),
        )
    )
    assert np.mean(1 / np.array(blurred)) < 0.7 * np.mean(1 / np.array(exact))


def test_noise_only_scenes_are_finite_and_have_empty_labels():
    maker = PairMaker(replace(SMALL, empty_share=1.0))
    for i in range(3):
        pair = maker.pair(i)
        assert pair.empty and not pair.rough and np.isfinite(pair.input).all() and np.isfinite(pair.gain)
        assert not pair.ideal.any() and not pair.physical.any()
        assert pair.magnitude.max() == pytest.approx(1, abs=1e-5)


def test_noise_is_what_was_asked_for(maker):
    """A slice of noise only has the power 1 / (elements x samples); with a signal its size follows the SNR."""
    drawn = draw_scene(replace(SMALL, empty_share=0.0), "letters", np.random.default_rng(1))
    position = track.nominal(SMALL, 0)
    clean, noisy = (maker._signal(drawn, 0.2, position, snr, np.random.default_rng(0)) for snr in (200.0, 10.0))
    ratio = np.mean(np.abs(clean) ** 2) / np.mean(np.abs(noisy - clean) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(10 + 10 * np.log10(64 / 6), abs=0.2)


@pytest.mark.parametrize("kind", track.KINDS)
def test_errors_have_their_rms_and_move_all_channels_of_a_position(kind):
    recipe = Recipe()
    error = track.position_error(recipe, kind, 2e-3, np.random.default_rng(3))
    assert np.sqrt(np.mean(error**2)) == pytest.approx(2e-3, rel=0.2)
    assert np.abs(error).max() <= track.CLIP * 2e-3
    steps = np.sqrt(np.mean(np.diff(error.reshape(recipe.rows, recipe.columns, 3), axis=1) ** 2))
    assert steps > 2e-3 if kind == "white" else steps < (2.2e-3 if kind == "mixed" else 1e-3)
    moved = track.elements(recipe, track.nominal(recipe, 0) + error) - track.elements(recipe, track.nominal(recipe, 0))
    np.testing.assert_allclose(moved, np.broadcast_to(error[:, None], moved.shape), atol=1e-12)


def test_elements_are_a_uniform_raster():
    recipe = Recipe()
    place = track.elements(recipe, track.nominal(recipe, 0)).reshape(-1, 3)
    for axis in (0, 1):
        line = np.unique(np.round(place[:, axis], 9))
        assert len(line) == 200
        np.testing.assert_allclose(np.diff(line), recipe.pitch, atol=1e-8)


def test_lost_rows_are_lost_and_the_point_keeps_its_size():
    base = replace(SMALL, empty_share=0.0, train=("points",), test_share=0.0, points=(1, 1), snr_db=(80.0, 80.0))
    base = replace(base, exact_share=1.0, ghost_share=0.0, clutter_share=0.0, off_plane=0.0, missing=0.6)
    missing, single = [], 0
    maker = PairMaker(replace(base, missing_share=1.0))
    for i in range(16):
        pair = maker.pair(i)
        missing.append(pair.missing)
        blob = np.pi * (SMALL.blob / SMALL.pixel) ** 2
        if pair.ideal.sum() == pytest.approx(blob, rel=0.05):  # one point
            single += 1
            n = pair.physical > 0.999 * pair.physical.max()
            assert np.abs(pair.input[n]).max() / pair.gain == pytest.approx(1, abs=0.25)
    assert max(missing) > 0.3 and single >= 3


def test_a_continued_file_equals_one_written_at_once(tmp_path):
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    assert write_pairs(SMALL, whole, count=6) == 6

    def stop(made: int) -> None:
        if made == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pairs(SMALL, parts, count=4, done=stop)
    assert len(PairFile(parts)) == 2
    assert write_pairs(SMALL, parts, count=6, resume=True) == 4
    with PairFile(whole) as a, PairFile(parts) as b:
        assert len(a) == len(b) == 6
        for i in range(6):
            assert_same(a[i], b[i])
