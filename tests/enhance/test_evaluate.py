"""The evaluation: an identity network scores as its input, probes of known images, the report and its command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

from mmsar.cli import main
from mmsar.enhance.consistent import Consistent, seen_from
from mmsar.enhance.dataset import PairMaker
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.evaluate import BPA, FIRST_SEED, INPUT, SPARSE, THRESHOLD, ZERO, Evaluator, at_error, contestants
from mmsar.enhance.evaluate import test_recipe as held_out
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.probes import LEVELS_DB, SPACINGS, Probe
from mmsar.enhance.report import bars, chain_bars, markdown, sparse_bars
from mmsar.metrics.compare import ncc
from mmsar.recon.options import LeastSquaresOptions, SparseOptions

MODULUS = Path(__file__).parent / "networks" / "modulus.onnx"
RECIPE = """
seed = 2
[chirp]
frequencies = 4
[aperture]
rows = 6
columns = 48
tracks = 1
[image]
pixels = 64
size_mm = 50
depths_mm = [150]
[scene]
reach_mm = 24
object_size_mm = [3, 8]
off_plane_mm = 2
empty_share = 0.5
"""
SMALL = Recipe(
    frequencies=4,
    rows=6,
    columns=48,
    tracks=1,
    pixels=64,
    size=50e-3,
    depths=(0.15,),
    reach=24e-3,
    object_size=(3e-3, 8e-3),
    off_plane=2e-3,
)


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(SMALL, [Enhancer(MODULUS)], images=4, few=2, seeds=2, show=False)


@pytest.fixture(scope="module")
def result(evaluator):
    return evaluator(sigmas=[0.0, 1e-3], paper=True, sweep_images=1)


def test_identity_scores_as_the_input(result):
    name = Enhancer(MODULUS).name
    for scores in result.main.values():
        assert set(scores) == {ZERO, INPUT, THRESHOLD, BPA, name, "true positions", f"true positions, {name}"}
        for column, values in scores[INPUT].columns.items():
            np.testing.assert_allclose(scores[name].columns[column], values, rtol=1e-4, atol=1e-4)
        assert len(scores[name].gain) == 8 and len(scores[BPA].gain) == 2
        assert np.abs(scores[name].gain).max() < 1e-3
    probes = result.probes[name]
    assert probes.exact == pytest.approx(0, abs=1e-3) and probes.scale < 1e-3 and probes.tiles < 1e-6
    assert probes.amplitude == pytest.approx(result.probes[INPUT].amplitude, abs=1e-2)


def test_what_must_be_so_of_the_baselines(result):
    exact, moved = result.main[0.0], result.main[1e-3]
    assert np.all(exact[ZERO].columns["recall"][np.isfinite(exact[ZERO].columns["recall"])] == 0)
    assert exact[INPUT].mean("psnr")[0] > exact[ZERO].mean("psnr")[0] + 1
    assert exact[INPUT].mean("psnr")[0] > moved[INPUT].mean("psnr")[0]
    # empm and back-projection are the same image where positions are a plane raster
    assert np.abs(exact[BPA].gain).max() < 0.3


def test_sets_hold_families_never_trained_on_and_no_empty_scene(result):
    assert set(result.main[0.0][INPUT].family) <= set(SMALL.test)
    assert set(result.main[0.0][INPUT].kind) == {"none"}
    assert set(result.main[1e-3][INPUT].kind) <= {"white", "rail", "hand", "mixed"}


def test_amplitudes_and_pairs_of_a_true_image():
    probe = Probe(PairMaker(SMALL), 0.15)
    axis = (np.arange(64) - 31.5) * SMALL.pixel
    shown = probe.amplitudes(np.abs)
    assert shown[:3] == pytest.approx(LEVELS_DB[:3], abs=3)  # sidelobes of the strong one add to weaker ones
    assert np.all(np.diff(shown) < -2)
    pairs = probe.two_points(np.abs)
    assert pairs.in_phase[0] > 0.9 > pairs.quadrature[SPACINGS.index(8e-3)]
    assert pairs.quadrature[SPACINGS.index(3e-3)] < pairs.in_phase[SPACINGS.index(3e-3)]

    def ideal(image):
        line = np.exp(-((axis - 4e-3) ** 2) / 1e-6) + np.exp(-((axis + 4e-3) ** 2) / 1e-6)
        return np.exp(-(axis[:, None] ** 2) / 1e-6) * line

    assert probe.two_points(ideal).in_phase[SPACINGS.index(8e-3)] < 0.01
    assert probe.lit(lambda image: np.zeros(image.shape), [probe.noise(0)]) == 0
    assert probe.lit(np.abs, [probe.noise(0)]) > 0.5
    assert probe.lit(np.abs, [probe.speckle(0)]) > 0.2


def test_network_of_complex_input_is_given_the_phase():
    class Phase:
        name, inputs, tile = "phase", "complex", 1024

        def __call__(self, image):
            assert np.iscomplexobj(image)
            return np.abs(image)

    runner = contestants([Phase()])[-1]
    assert runner.run(np.array([[3 + 4j]])) == 5


def test_bars_and_report(result):
    found = {bar.what: bar for bar in bars(result, "modulus", None)}
    assert not found["PSNR over the input, at 1 mm"].met
    assert found["perfect input"].met and found["tiles against the whole"].met
    text = markdown(result, best="modulus", other=None, label="physical", machine="a machine", command="mmsar x")
    assert "## Position error 1 mm" in text and "## By the published protocol" in text
    assert "| PSNR over the input, at 1 mm | >= 7 dB |" in text and "**missed**" in text
    assert "nan" not in text


def test_sparse_reconstruction_is_scored_from_the_samples():
    evaluator = Evaluator(SMALL, [Enhancer(MODULUS)], images=2, few=2, seeds=1, show=False)
    imager = Consistent(SparseOptions(restore=SMALL.blob, iterations=6, rounds=2))
    shown = evaluator.run_set("few", 2, 2, 0, **at_error(0.0))
    made = evaluator.from_samples(
        lambda o: {SPARSE: imager(o.plan, o.signal, o.valid)}, shown[INPUT], 0, **at_error(0.0)
    )
    found = made[SPARSE]
    assert found.family == shown[INPUT].family and len(found.gain) == 2
    np.testing.assert_allclose(found.gain, found.columns["psnr"] - shown[INPUT].columns["psnr"])
    maker = PairMaker(SMALL)
    probe, own = Probe(maker, 0.15), Probe(maker, 0.15, imager)
    place = [[-8e-3, 0.0], [8e-3, 0.0]]
    shown, alone = (np.abs(p.image(place, [1.0, 1j])) > 0.15 for p in (probe, own))
    assert 0 < alone.sum() < 0.5 * shown.sum()  # no sidelobes
    assert own.lit(np.abs, [own.noise(0)]) < 0.005 < probe.lit(np.abs, [probe.noise(0)])
    pair, plan, signal, valid, _ = maker.observed(0)
    np.testing.assert_allclose(
        np.abs(plan(signal)[0]) * pair.gain * signal.size / signal[valid].size, pair.magnitude, rtol=1e-4, atol=1e-5
    )


def test_focused_poses_are_scored_alone_and_through_the_network():
    evaluator = Evaluator(SMALL, [Enhancer(MODULUS)], images=2, few=2, seeds=1, show=False)
    changes = {"methods": ("nufft",), **at_error(0.3e-3)}
    shown = evaluator.run_set("few", 2, 2, 0, **changes)
    network = evaluator.contestants[-1]
    found = evaluator.from_samples(
        lambda o: seen_from("autofocus", o.plan.geometry, o, squares=None, network=network),
        shown[INPUT],
        0,
        **changes,
    )
    assert list(found) == ["autofocus", "autofocus, modulus"]
    np.testing.assert_allclose(found["autofocus"].gain, 0, atol=1e-4)
    np.testing.assert_allclose(found["autofocus, modulus"].columns["psnr"], shown["modulus"].columns["psnr"], atol=1e-4)


def test_the_image_at_true_positions_is_the_ceiling():
    """Nearly the image of a scan without errors, however large they are; through the network as well."""
    evaluator = Evaluator(SMALL, [Enhancer(MODULUS)], images=2, few=2, seeds=1, show=False)
    maker, exact = (PairMaker(held_out(SMALL, seed=FIRST_SEED, **at_error(s))) for s in (2e-3, 0.0))
    observed, wanted = maker.observed(0), exact.pair(0).magnitude
    network = evaluator.contestants[-1]
    made = seen_from("true", observed.truth, observed, squares=None, network=network)
    assert list(made) == ["true", "true, modulus"]
    for image in made.values():
        assert ncc(image, wanted) > 0.97 > 0.9 > ncc(observed.pair.magnitude, wanted)
    squared = seen_from("true", observed.truth, observed, squares=LeastSquaresOptions(), network=network)
    assert sorted(squared) == sorted([*made, "true, least squares", "true, least squares, modulus"])
    label = observed.pair.physical
    assert ncc(squared["true, least squares"], label) > ncc(made["true"], label) + 0.05
    assert np.ptp(observed.truth.tx_position - observed.plan.geometry.tx_position) > 2e-3


def test_autofocus_of_the_command_images_at_focused_poses(tmp_path, monkeypatch):
    from mmsar.cli.evaluate_sr import refocused

    maker = PairMaker(SMALL)
    o = maker.observed(0)
    geometry = refocused(False, SMALL.off_plane)(o.plan, o.signal, o.valid)
    assert geometry.shape == o.plan.geometry.shape and np.isfinite(geometry.tx_position).all()
    np.testing.assert_array_equal(geometry.weight, o.plan.geometry.weight)
    first = refocused(False, SMALL.off_plane, keep=tmp_path)(o.plan, o.signal, o.valid)
    np.testing.assert_array_equal(first.tx_position, geometry.tx_position)
    monkeypatch.setattr("mmsar.focus.autofocus.focus_samples", None)  # what is kept is not found again
    again = refocused(False, SMALL.off_plane, keep=tmp_path)(o.plan, o.signal, o.valid)
    np.testing.assert_array_equal(again.tx_position, geometry.tx_position)
    with pytest.raises(TypeError):
        refocused(True, SMALL.off_plane, keep=tmp_path)(o.plan, o.signal, o.valid)


def test_report_names_sparse_and_its_bars(result):
    probes = {**result.probes, SPARSE: result.probes[INPUT]}
    main = {sigma: {**scores, SPARSE: scores[BPA]} for sigma, scores in result.main.items()}
    both = replace(result, probes=probes, main=main)
    text = markdown(both, best="modulus", other=None, label="physical", machine="a machine", command="mmsar x")
    assert "The same of `sparse`" in text and text.count("| sparse |") == 4
    assert len(sparse_bars(both)) == 5 and not {b.what: b for b in sparse_bars(both)}["noise only, pixels lit"].met


def test_report_says_how_far_enhancement_is_super_resolution(result):
    pair = result.probes["modulus"].two_points
    resolved = replace(result.probes["modulus"], two_points=pair._replace(in_phase=[0.5] * len(SPACINGS)))
    for probes, said in (({}, "It is not super-resolution"), ({"modulus": resolved}, "are taken apart")):
        one = replace(result, probes={**result.probes, **probes})
        text = markdown(one, best="modulus", other=None, label="physical", machine="a machine", command="mmsar x")
        assert said in text


def test_report_says_what_focused_rows_are(result):
    main = {sigma: {**scores, "autofocus": scores[BPA]} for sigma, scores in result.main.items()}
    for one, said in ((result, False), (replace(result, main=main), True)):
        text = markdown(one, best="modulus", other=None, label="physical", machine="a machine", command="mmsar x")
        assert ("(at the recorded ones where it says" in text) is said


def test_bars_of_the_whole_chain_are_on_its_own_images(result):
    """The images of a set beyond the first `few` do not count."""
    assert not chain_bars(result, "modulus")
    sigma, few = max(result.main), result.few
    scores = dict(result.main[sigma])
    first = np.concatenate([s * result.images + np.arange(few) for s in range(result.seeds)])
    given = scores[INPUT]
    chain = scores["autofocus, least squares, modulus"] = replace(
        given,
        columns={name: values[first] + 1 for name, values in given.columns.items()},
        gain=np.full(len(first), 8.0),
        **{name: [getattr(given, name)[i] for i in first] for name in ("family", "kind")},
    )
    found = {bar.what.split(",")[0]: bar for bar in chain_bars(replace(result, main={sigma: scores}), "modulus")}
    over = chain.columns["psnr"].mean() - scores[THRESHOLD].columns["psnr"][first].mean()
    assert found["PSNR over the threshold"].got == f"{over:.2f} dB" and found["PSNR over the input"].met
    wanted = given.columns["false_blobs"][first].mean()
    assert found["false blobs"].wanted == f"< {wanted:.2f} (input)" and not found["false blobs"].met
    assert f"{len(first)} images" in next(iter(found.values())).what
    one = replace(result, main={sigma: scores})
    text = markdown(one, best="modulus", other=None, label="physical", machine="a machine", command="mmsar x")
    assert "The same of `autofocus, least squares, modulus`" in text


def test_report_says_what_rows_of_least_squares_are(result):
    main = {sigma: {**scores, "true positions, least squares": scores[BPA]} for sigma, scores in result.main.items()}
    for one, said in ((result, False), (replace(result, main=main), True)):
        text = markdown(one, best="modulus", other=None, label="physical", machine="a machine", command="mmsar x")
        assert ("no network in it" in text) is said and text.count("| true positions, least squares |") == 2 * said


def test_error_of_the_positions_is_what_was_asked():
    assert at_error(0) == {"exact_share": 1.0}
    maker = PairMaker(SMALL.__class__(**{**SMALL.__dict__, **at_error(5e-4)}))
    assert maker.pair(0).position_error == pytest.approx(5e-4)


def test_command_writes_report_and_pictures(tmp_path, capsys):
    (tmp_path / "r.toml").write_text(RECIPE)
    argv = ["evaluate-sr", "--recipe", str(tmp_path / "r.toml"), "--model", str(MODULUS), "--quick"]
    sizes = ["--images", "2", "--few", "1", "--sweep-images", "1", "--sigma-mm", "0.2"]
    assert main([*argv, *sizes, "--autofocus", "--least-squares", "-o", str(tmp_path / "out.md")]) == 0
    said = capsys.readouterr()
    assert "no evidence" in said.err and "| -20 dB threshold |" in said.out
    for where in ("recorded positions", "autofocus", "true positions"):
        assert all(f"| {where}{more} |" in said.out for more in ("", ", least squares", ", least squares, modulus"))
    assert "behind autofocus and least squares" in said.out
    assert "![samples](images/out-samples.png)" in (tmp_path / "out.md").read_text()
    for name in ("samples", "sweeps"):
        assert (tmp_path / "images" / f"out-{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "nonsense"], "network: got 'nonsense'"),
        (["--model", "missing.onnx"], "missing.onnx"),
        (["--model", str(MODULUS), "--model", str(MODULUS)], "each once"),
        (["--model", str(MODULUS), "-o", "report.txt"], "wanted .md"),
        (["--model", str(MODULUS), "--recipe", "missing.toml"], "missing.toml"),
    ],
)
def test_bad_input_is_one_line(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate-sr", *argv]) == 3
    said = capsys.readouterr().err.strip()
    assert message in said and len(said.splitlines()) == 1
