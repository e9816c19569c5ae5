"""From a scan to an image in one call: what is picked, what is refused, what is said, and what memory it takes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mmsar._version import __version__
from mmsar.core.backend import resolve_device
from mmsar.errors import DeviceError, GeometryError, MmsarError
from mmsar.metrics import error_db, ncc
from mmsar.model import Image, ImageGrid
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import choose, explain, make_plan, reconstruct, verify
from mmsar.recon.predict import METHODS, Prediction, predict
from mmsar.recon.speed import store_speed_factors

LAM = 299792458.0 / 79e9
QUIET = ReconOptions(progress=False)


def box(half=0.025, low=0.28, high=0.31, spacing=(2e-3, 2e-3, 5e-3), x=0.0):
    return ImageGrid.from_extent((x - half, x + half), (-half, half), (low, high), spacing=spacing)


def with_options(**options):
    return replace(QUIET, **options)


def last(image):
    return image.history[-1]


# ---- the choice -----------------------------------------------------------------------------------------------------

CHOICES = {
    "raster": ("raster", box(), "rma"),
    "MIMO rows": ("mimo", box(), "rma"),
    "by hand": ("hand", box(0.05), "nufft"),
    "wide-baseline pair": ("wide", box(low=0.13, high=0.17), "bpa"),
    "behind": ("raster", box(low=-0.31, high=-0.28), "bpa"),
    "through the aperture": ("raster", box(low=-0.01, high=0.05), "bpa"),
    "beside": ("raster", box(low=0.02, high=0.05, x=0.3), "bpa"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_auto_picks_by_geometry(case, scans):
    scan, grid, wanted = CHOICES[case]
    picked = choose(predict(scans[scan].geometry, grid), QUIET)
    assert (picked.method, picked.reason) == (wanted, ""), "auto never takes what it would warn of"


def test_demonstration_scan_is_for_the_exact_method():
    from mmsar.simulate.demo import demo_setup, planar_assumption

    setup = demo_setup()
    from mmsar.model import Scan

    shape = (len(setup.trajectory), setup.array.n_tx, setup.array.n_rx, setup.chirp.n_samples)
    scan = Scan(signal=np.zeros(shape, np.complex64), chirp=setup.chirp, array=setup.array, trajectory=setup.trajectory)
    grid = box(0.09, 0.27, 0.33)
    pick = {n: choose(predict(s.geometry, grid), QUIET).method for n, s in (("hand", scan),)}
    pick["plane"] = choose(predict(planar_assumption(scan).geometry, grid), QUIET).method
    assert pick == {"hand": "nufft", "plane": "rma"}


@pytest.mark.parametrize(("scan", "wanted"), [("mimo", "rma"), ("hand", "nufft"), ("wide", "bpa")])
def test_picked_method_images_like_back_projection(scan, wanted, scans):
    grid = box(low=0.13, high=0.17) if scan == "wide" else box(0.05)
    image = reconstruct(scans[scan], grid, options=QUIET)
    step = last(image)
    assert (step["method"], step["requested"], step["device"], "warning" in step) == (wanted, "auto", "cpu", False)
    exact = reconstruct(scans[scan], grid, method="bpa", options=with_options(error_db=-60.0))
    assert ncc(image, exact) > 0.995
    assert image.magnitude().max() == pytest.approx(exact.magnitude().max(), rel=0.02)


def test_of_methods_that_are_as_fast_the_first_is_taken():
    close = [prediction("rma", 1.05, 1), prediction("empm", 1.0, 1), prediction("bpa", 9.0, 1)]
    assert choose(close, QUIET).method == "rma"
    assert choose([prediction("rma", 1.2, 1), *close[1:]], QUIET).method == "empm"


def test_a_gpu_is_not_given_a_method_without_a_path_there(scans, monkeypatch):
    from mmsar.recon import planner

    best = [prediction("ffbp", 1.0, 1), prediction("bpa", 9.0, 1)]
    monkeypatch.setattr(planner, "_predicted", lambda *_: best)
    assert planner.request(scans["wide"], box(0.05), options=QUIET).chosen.method == "ffbp"
    monkeypatch.setattr(planner, "resolve_device", lambda device: "cuda:0")
    assert planner.request(scans["wide"], box(0.05), device="cuda", options=QUIET).chosen.method == "bpa"


def prediction(method, seconds, memory, reason=""):
    return Prediction(method=method, reason=reason, coherence=1.0, error_db=-50.0, seconds=seconds, memory=memory)


def test_choice_is_the_fastest_that_may_and_fits():
    several = [
        prediction("rma", 1, 10 * 2**20, "not plane"),
        prediction("empm", 2, 90 * 2**20),
        prediction("nufft", 3, 20 * 2**20),
        prediction("bpa", 90, 2 * 2**20),
    ]
    for memory, wanted in ((100, "empm"), (90, "empm"), (89, "nufft"), (19, "bpa"), (1, "bpa")):
        assert choose(several, ReconOptions(memory=memory * 2**20)).method == wanted, memory


# ---- explain --------------------------------------------------------------------------------------------------------


def test_explain_names_every_method_with_cost_error_and_reason(scans):
    lines = explain(scans["hand"], box(0.05), options=QUIET).splitlines()
    assert lines[0] == "grid 51 x 51 x 7 voxels, 1600 channels x 16 samples"
    assert [line[2:].split()[0] for line in lines[1:]] == list(METHODS)
    for line in lines[1:4] + lines[5:]:
        assert " predicted error " in line and " dB, about " in line and " s, " in line and " MiB" in line
    assert "not for auto: the aperture is " in lines[1]
    assert "not for auto: its path model would keep only " in lines[2]
    assert lines[4] == "  isar   not for auto: the antennas are not on a circle about the y axis"
    assert "not for auto" not in lines[3] + lines[5] + lines[6]
    assert [line[:1] for line in lines[1:]] == [" ", " ", ">", " ", " ", " "], "the choice of reconstruct"


def test_explain_marks_the_method_asked_for(scans):
    lines = explain(scans["raster"], box(), method="nufft", options=QUIET).splitlines()
    assert [line[:1] for line in lines[1:]] == [" ", " ", ">", " ", " ", " "]


@pytest.mark.parametrize("error_db", [-30.0, -60.0])
def test_back_projection_is_foreseen_with_the_error_asked_for(error_db, scans):
    options = replace(QUIET, error_db=error_db)
    lines = explain(scans["raster"], box(), options=options).splitlines()
    assert [f"predicted error  {error_db:.1f} dB" in line for line in lines[-2:]] == [True, True]
    step = last(reconstruct(scans["raster"], box(), method="bpa", options=options))
    assert step["predicted_error_db"] == error_db


def test_table_and_choice_go_by_the_same_calibration(scans, monkeypatch, tmp_path):
    """Or the mark stands at a method that the table calls slower."""
    before = explain(scans["raster"], box(), options=QUIET).splitlines()
    monkeypatch.setenv("MMSAR_SPEED", str(tmp_path / "speed.json"))
    store_speed_factors(dict.fromkeys(METHODS, 3.0), "0")
    after = explain(scans["raster"], box(), options=QUIET).splitlines()
    for old, new in zip(before[1:], after[1:], strict=True):
        if ", about " in old:
            seconds = [float(line.split("about ")[1].split(" s")[0]) for line in (old, new)]
            assert seconds[1] == pytest.approx(3 * seconds[0], rel=0.02)


@pytest.mark.parametrize("method", ["bpa", "ffbp"])
def test_grid_that_cannot_be_held_is_refused_at_once(method, scans):
    huge = ImageGrid(shape=(4000, 4000, 4000), origin=(-0.1, -0.1, 0.2), spacing=(5e-5, 5e-5, 5e-5))
    with pytest.raises(MmsarError, match=rf"{method}: needs .* GiB, wanted at most .* \(--tiles\)"):
        make_plan(method, scans["raster"].geometry, huge, options=ReconOptions(memory=2**31))
    lines = explain(scans["raster"], huge, options=ReconOptions(memory=2**31)).splitlines()
    assert all("; whole, more than the budget of 2.00 GiB" in line for line in (lines[1], lines[-2], lines[-1]))


def test_explained_time_of_bpa_holds_its_planning(scans):
    """Or the oracle looks faster than what is picked instead."""
    lines = explain(scans["raster"], box(), options=QUIET).splitlines()
    seconds = [float(line.split("about ")[1].split(" s")[0]) for line in lines[1:] if ", about " in line]
    assert seconds[0] == min(seconds) and seconds[-1] >= 0.3


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scan", "grid", "kwargs", "said"),
    [
        ("hand", box(), {"method": "rma"}, ["method rma", "mm deep", "use method nufft"]),
        ("raster", box(low=-0.3, high=-0.2), {"method": "rma"}, ["wanted beyond the aperture", "bpa"]),
        ("raster", box(low=-0.3, high=-0.2), {"method": "empm"}, ["wanted beyond the aperture", "bpa"]),
        ("raster", box(low=-0.3, high=-0.2), {"method": "nufft"}, ["wanted beyond the aperture", "bpa"]),
        ("raster", box(), {"method": "magic"}, ["method: got 'magic'", "auto, rma, empm, nufft, isar, ffbp, bpa"]),
        ("raster", box(), {"method": "isar"}, ["method isar", "on a circle about it", "use method bpa"]),
        ("turn", box(low=-0.3, high=0.3), {"method": "isar"}, ["reaches 301.0 mm from the axis", "circle of 250.0 mm"]),
        ("raster", box(), {"options": ReconOptions(error_db=-90)}, ["error"]),
    ],
)
def test_refusal_is_one_clear_line(scan, grid, kwargs, said, scans):
    if kwargs.get("options"):
        kwargs = {**kwargs, "method": "bpa"}
    with pytest.raises(GeometryError) as caught:
        reconstruct(scans[scan], grid, **kwargs)
    assert "\n" not in str(caught.value)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scan": "scan.h5"}, r"scan: got str, wanted Scan \(mmsar.load_scan"),
        ({"grid": (11, 11, 1)}, r"grid: got tuple, wanted ImageGrid \(ImageGrid.from_extent"),
        ({"options": {"error_db": -40}}, "options: got dict, wanted ReconOptions"),
    ],
)
def test_values_of_another_kind_are_named(change, said, scans):
    given = {"scan": scans["raster"], "grid": box(), "options": QUIET} | change
    for work in (reconstruct, explain):
        with pytest.raises(GeometryError, match=said):
            work(given["scan"], given["grid"], options=given["options"])


def test_a_grid_beyond_the_unambiguous_range_is_warned_of(scans):
    """As of millimetres where metres are wanted."""
    scan = scans["raster"]
    far = ImageGrid.from_extent((-0.02, 0.02), 0.0, 1.01 * scan.chirp.range_max, spacing=0.01)
    step = last(reconstruct(scan, far, method="bpa", options=QUIET))
    assert f"beyond the unambiguous range of {scan.chirp.range_max:.3g} m" in step["warning"]
    assert step["warning"] in explain(scan, far, options=QUIET).splitlines()[-1]
    assert "warning" not in last(reconstruct(scan, box(), options=QUIET))


def test_taylor_phase_does_not_stop_back_projection_of_a_grid_behind(scans):
    image = reconstruct(scans["raster"], box(low=-0.31, high=-0.28), options=with_options(phase="taylor"))
    assert last(image)["method"] == "bpa"


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "CPU", ""])
def test_unknown_device_is_refused(device, scans):
    with pytest.raises(DeviceError, match="wanted auto, cpu, cuda or cuda:N"):
        reconstruct(scans["raster"], box(), device=device)


def test_gpu_that_is_not_there_is_refused_before_any_work(scans, monkeypatch):
    try:
        resolve_device("cuda")
    except DeviceError:
        pass
    else:
        pytest.skip("a GPU is there")
    monkeypatch.setattr("mmsar.recon.planner.default_grid", lambda scan: pytest.fail("worked before refusing"))
    with pytest.raises(DeviceError, match="cuda"):
        reconstruct(scans["raster"], device="cuda")
    for method in METHODS:
        with pytest.raises(DeviceError, match="cuda"):
            make_plan(method, scans["raster"].geometry, box(), device="cuda")


def test_reference_plane_moves_nothing_but_empm(scans):
    """The plane is one of empm's model; elsewhere a unit point stays 1 whatever it is."""
    usual, moved = (
        reconstruct(scans["hand"], box(), method="nufft", options=with_options(z_ref=z)).data for z in (None, -0.3)
    )
    np.testing.assert_array_equal(usual, moved)
    empm = [reconstruct(scans["hand"], box(), method="empm", options=with_options(z_ref=z)) for z in (None, -0.02)]
    assert ncc(*empm) < 0.999


def test_method_that_does_not_suit_warns(scans):
    image = reconstruct(scans["wide"], box(low=0.13, high=0.17), method="nufft", options=QUIET)
    assert "120 mm, too wide" in last(image)["warning"]
    assert last(image)["predicted_error_db"] > -5
    assert "warning" not in last(reconstruct(scans["raster"], box(), method="nufft", options=QUIET))


# ---- verification ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exact(scans):
    """What verification is compared with: the whole image of the hand-held scan by back-projection."""
    grid = box(0.03, 0.28, 0.31, spacing=(1e-3, 1e-3, 5e-3))
    return reconstruct(scans["hand"], grid, method="bpa", options=with_options(error_db=-60.0))


def test_verified_error_is_near_the_whole_one(scans, exact):
    image = reconstruct(scans["hand"], exact.grid, method="empm", options=with_options(verify=True))
    said, whole = last(image)["verify"], error_db(image, exact).error_db
    assert said["error_db"] == pytest.approx(whole, abs=4)
    assert said["ncc"] == pytest.approx(ncc(image, exact), abs=0.03)
    assert whole == pytest.approx(last(image)["predicted_error_db"], abs=8) or whole < -30
    assert 1000 < said["voxels"] <= 4 * 12**3


def test_verification_finds_a_wrong_image(scans):
    scan, grid = scans["raster"], box()
    good = reconstruct(scan, grid, options=QUIET)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, *grid.shape)).astype(np.float32) * good.magnitude().max() * 0.05
    bad = Image(data=good.data + noise[0] + 1j * noise[1], grid=grid)
    exact = reconstruct(scan, grid, method="bpa", options=QUIET)
    assert verify(bad, scan, scan.geometry)["error_db"] == pytest.approx(error_db(bad, exact).error_db, abs=6)


def test_verification_of_back_projection_itself_can_be_kept_in_a_file(scans, tmp_path):
    """Sub-volume and image are the same numbers here: an error of minus infinity is not for JSON."""
    from mmsar.io.image_h5 import save_image

    grid = box(0.006, 0.29, 0.31)
    image = reconstruct(scans["raster"], grid, method="bpa", options=with_options(verify=True, error_db=-60.0))
    assert -120 <= last(image)["verify"]["error_db"] < -100
    save_image(image, tmp_path / "image.h5")


# ---- history --------------------------------------------------------------------------------------------------------


def test_history_says_what_was_done_and_survives_the_file(scans, tmp_path):
    from mmsar.io.image_h5 import load_image, save_image

    scan = scans["hand"].with_step(step="a step before", number=3)
    options = with_options(phase="taylor", window="hann", verify=True)
    image = reconstruct(scan, box(), method="empm", options=options)
    step = last(image)
    assert image.history[:-1] == tuple(scan.attrs["history"]) and image.history[-2]["number"] == 3
    assert {k: step[k] for k in ("step", "version", "method", "requested", "device", "window", "density", "phase")} == {
        "step": "reconstruct",
        "version": __version__,
        "method": "empm",
        "requested": "empm",
        "device": "cpu",
        "window": "hann",
        "density": "on",
        "phase": "taylor",
    }
    assert -50 <= step["predicted_error_db"] < 0 and set(step["verify"]) == {"ncc", "error_db", "voxels"}
    assert json.loads(json.dumps(image.history, allow_nan=False)) == list(image.history)
    save_image(image, tmp_path / "image.h5")
    assert load_image(tmp_path / "image.h5").history == image.history
    for method, has_phase in (("rma", True), ("nufft", False)):
        assert ("phase" in last(reconstruct(scans["raster"], box(), method=method, options=QUIET))) == has_phase


def test_plan_by_name_has_what_every_plan_has(scans):
    for method in METHODS:
        scan, grid = (scans["turn"], box(low=-0.03, high=0.03)) if method == "isar" else (scans["raster"], box())
        geometry = scan.geometry
        plan = make_plan(method, geometry, grid, options=QUIET)
        assert plan.geometry is geometry and plan.grid == grid and plan.nbytes > 0
        assert plan.adjoint(plan(scan)).shape == geometry.shape
    with pytest.raises(GeometryError, match="method: got 'auto', wanted one of rma"):
        make_plan("auto", geometry, box())
