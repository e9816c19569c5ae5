"""Scene files: every example loads and simulates, units are right, and mistakes get one clear line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.model.array import AntennaArray
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.demo import demo_setup
from mmsar.simulate.scene import Scene
from mmsar.simulate.setup import load_setup

SCENES = Path(__file__).resolve().parents[2] / "data" / "scenes"

RADAR = """
[chirp]
start_ghz = 77.0
slope_mhz_us = 100.0
adc_start_us = 5.0
sample_rate_ksps = 2000.0
samples = 8
[array]
board = "single"
baseline_mm = 10.0
"""
LINE = """
[trajectory]
kind = "linear"
positions = 3
step_mm = 2.0
"""
POINTS = """
[[scene]]
kind = "points"
positions_mm = [[0, 0, 300.0]]
"""
BASIC = RADAR + LINE + POINTS


def load(folder, text):
    path = folder / "setup.toml"
    path.write_text(text, encoding="utf-8")
    return load_setup(path)


@pytest.mark.parametrize("path", sorted(SCENES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_example_scene_simulates(path):
    if path.stem == "bracket":
        pytest.importorskip("trimesh", reason="trimesh is not installed")
    setup = load_setup(path)
    assert setup.name == path.stem
    keep = np.linspace(0, len(setup.trajectory) - 1, 25).astype(int)
    t = setup.trajectory
    few = Trajectory(time=t.time[keep], position=t.position[keep], rotation=t.rotation[keep])
    scan = replace(
        setup, trajectory=few, raster=None, scene=setup.scene.subsample(50), chirp=replace(setup.chirp, n_samples=4)
    ).simulate()
    assert scan.shape == (25, 2, 4, 4)
    assert np.abs(scan.signal).mean() > 0.1
    assert scan.attrs["name"] == path.stem


def test_examples_are_there():
    names = {p.stem for p in SCENES.glob("*.toml")}
    assert {
        "letters",
        "freehand",
        "usaf",
        "siemens",
        "point_grid",
        "turntable",
        "knife",
        "wrench",
        "scissors",
        "printed",
        "cut_out",
        "bracket",
        "mannequin",
    } <= names


def test_demo_in_code_is_the_freehand_scene():
    code, file = demo_setup(), load_setup(SCENES / "freehand.toml")
    np.testing.assert_array_equal(code.scene.position, file.scene.position)
    np.testing.assert_array_equal(code.scene.reflectivity, file.scene.reflectivity)
    np.testing.assert_array_equal(code.trajectory.position, file.trajectory.position)
    np.testing.assert_array_equal(code.trajectory.rotation, file.trajectory.rotation)
    np.testing.assert_array_equal(code.array.tx, file.array.tx)
    assert (code.name, code.chirp, code.options) == (file.name, file.chirp, file.options)


def test_demo_wanders_as_described():
    wander = demo_setup().trajectory
    assert np.abs(wander.position[:, 2]).max() == pytest.approx(12e-3)
    assert np.ptp(wander.position[:, :2], axis=0) == pytest.approx([0.199, 26 * 7.589682e-3], abs=3e-3)
    assert wander.is_rotated


def test_units_become_si(tmp_path):
    setup = load(tmp_path, BASIC + "[simulation]\ntdm_slot_us = 60.0\nsnr_db = 12\ndrift_mm = [0, 0, 1.0]\n")
    assert setup.chirp.slope == 100e12
    assert setup.chirp.f0 == pytest.approx(77.5e9)
    assert setup.chirp.fs == 2e6
    np.testing.assert_allclose(setup.array.tx, [[5e-3, 0, 0]])
    np.testing.assert_allclose(setup.trajectory.position[:, 0], [-2e-3, 0, 2e-3])
    np.testing.assert_allclose(setup.scene.position, [[0, 0, 0.3]])
    assert (setup.options.snr_db, setup.options.drift) == (12.0, (0.0, 0.0, 1e-3))
    assert (setup.name, setup.raster) == ("setup", None)


def test_bandwidth_and_own_array(tmp_path):
    text = BASIC.replace("slope_mhz_us = 100.0", "bandwidth_ghz = 4.0").replace("adc_start_us = 5.0", "")
    text = text.replace(
        'board = "single"\nbaseline_mm = 10.0',
        "tx_mm = [[0, 0, 0], [0, 4, 0]]\nrx_mm = [[2, 0, 0]]\npolarity = [[1], [-1]]",
    )
    setup = load(tmp_path, text + "[simulation]\ntdm_slot_us = 50.0\n")
    assert setup.chirp.bandwidth == pytest.approx(4e9)
    np.testing.assert_array_equal(setup.array.polarity, [[1], [-1]])
    assert setup.options.tx_delay == pytest.approx((0, 50e-6))


@pytest.mark.parametrize("board", ["iwr1443", "iwr1642", "iwr6843isk"])
def test_known_boards(tmp_path, board):
    setup = load(tmp_path, BASIC.replace('"single"\nbaseline_mm = 10.0', f'"{board}"'))
    np.testing.assert_array_equal(setup.array.tx, getattr(AntennaArray, board)().tx)


def test_trajectories(tmp_path):
    def with_trajectory(text):
        return load(tmp_path, RADAR + POINTS + "[trajectory]\n" + text)

    grid = "rows = 2\ncolumns = 3\nstep_x_mm = 1.0\nstep_y_mm = 4.0\n"
    raster = with_trajectory('kind = "raster"\nserpentine = false\nz_mm = 7\n' + grid)
    assert (raster.raster.n_y, raster.raster.n_x, raster.raster.step_y) == (2, 3, 4e-3)
    np.testing.assert_allclose(raster.trajectory.position[3], [-1e-3, 2e-3, 7e-3])
    assert raster.simulate().raster == raster.raster
    hand = with_trajectory('kind = "freehand"\nmotion_mm = [0, 0, 3]\nrotation_deg = 5\nseed = 2\n' + grid)
    want = Trajectory.freehand((2, 3), (1e-3, 4e-3), motion=(0, 0, 3e-3), rotation=np.deg2rad(5), seed=2)
    np.testing.assert_allclose(hand.trajectory.position, want.position)
    np.testing.assert_allclose(hand.trajectory.rotation, want.rotation)
    table = with_trajectory('kind = "turntable"\nangles = 4\nradius_mm = 250\nheights_mm = [0, 8]\nspan_deg = 180')
    np.testing.assert_allclose(table.trajectory.position[[0, 4]], [[0, 0, -0.25], [0, 8e-3, -0.25]], atol=1e-12)


def turntable(folder, keys):
    return load(folder, RADAR + POINTS + '[trajectory]\nkind = "turntable"\nradius_mm = 250\n' + keys)


def board_angles(setup):
    return np.rad2deg(np.arctan2(setup.trajectory.position[:, 2], setup.trajectory.position[:, 0]))


def test_turntables_by_their_keys(tmp_path):
    back = turntable(tmp_path, 'angles = 4\nspan_deg = 40\nstart_deg = 10\ndirection = "cw"\nperiod_ms = 20')
    np.testing.assert_allclose(board_angles(back), [10, 0, -10, -20], atol=1e-9)
    np.testing.assert_allclose(np.diff(back.trajectory.time), 20e-3)
    listed = turntable(tmp_path, 'angles_deg = [0, 1, 5]\nheights = 2\nheight_step_mm = 4\nfastest = "height"')
    np.testing.assert_allclose(board_angles(listed), np.repeat([-90, -89, -85], 2))
    np.testing.assert_allclose(listed.trajectory.position[:, 1], np.tile([-2e-3, 2e-3], 3))
    high = turntable(tmp_path, "angles = 3\nheight_mm = 7")
    np.testing.assert_allclose(high.trajectory.position[:, 1], 7e-3)


def test_angle_jitter_moves_every_pose_on_its_own_within_its_part_of_a_step(tmp_path):
    keys = "angles = 36\nheights_mm = [0, 5, 10]\n"
    even = turntable(tmp_path, keys)
    uneven = turntable(tmp_path, keys + "angle_jitter = 0.3\nseed = 5")
    moved = (board_angles(uneven) - board_angles(even) + 180) % 360 - 180
    assert 2.8 < np.abs(moved).max() <= 3.0 and abs(moved.mean()) < 0.6
    assert np.abs(moved[:36] - moved[36:72]).max() > 1
    np.testing.assert_allclose(np.linalg.norm(uneven.trajectory.position[:, [0, 2]], axis=1), 0.25)
    np.testing.assert_array_equal(uneven.trajectory.time, even.trajectory.time)
    again = turntable(tmp_path, keys + "angle_jitter = 0.3\nseed = 5")
    np.testing.assert_array_equal(again.trajectory.position, uneven.trajectory.position)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("angles = 4\nangles_deg = [0, 1]", "either angles .* or angles_deg"),
        ("", "either angles .* or angles_deg"),
        ("angles_deg = [0, 1]\nspan_deg = 4", r"both angles_deg \(a list\) and span_deg"),
        ("angles = 0", r"\[trajectory\] angles: got 0, wanted a whole number >= 1"),
        ("angles_deg = [0, 500]", r"\] angles_deg: got 0 to 500, wanted them within one turn of 360 degrees"),
        ("angles_deg = [[0, 1]]", r"\] angles_deg: got \[\[0.0, 1.0\]\], wanted a plain list"),
        ("angles = 4\nspan_deg = 720", r"\] span_deg: got 720, wanted more than 0 and at most 360 degrees"),
        ("angles = 4\nspan_deg = 0", r"\] span_deg: got 0, wanted more than 0"),
        ("angles = 4\nstart_deg = -800", r"\] start_deg: got -800, wanted -720 to 720 degrees"),
        ('angles = 4\nfastest = "y"', r"\] fastest: got 'y', wanted one of angle, height"),
        ("angles = 4\nangle_jitter = 30", "angle_jitter: got 30, wanted a fraction of a step"),
        ("angles = 4\nheights = 2", "height_step_mm: missing"),
        ("angles = 4\nheights = 0\nheight_step_mm = 1", "heights: got 0"),
        ("angles = 4\nheights = 2\nheights_mm = [1, 2]", "both heights_mm and heights"),
        ('angles = 4\ndirection = "left"', "wanted one of ccw, cw"),
    ],
)
def test_mistakes_in_a_turntable(tmp_path, keys, message):
    with pytest.raises(FormatError, match=message) as caught:
        turntable(tmp_path, keys)
    assert not any(word in str(caught.value) for word in ("\n", "numpy", "Trajectory.", "radians"))


def test_scene_parts_are_joined_and_scaled(tmp_path):
    extra = """
[[scene]]
kind = "two_points"
spacing_mm = 4.0
axis = "y"
reflectivity = [2.0, 3.0]
[[scene]]
kind = "point_grid"
counts = [4, 4, 1]
step_mm = [1, 1, 1]
max_points = 4
reflectivity = 0.5
"""
    scene = load(tmp_path, BASIC + extra).scene
    assert len(scene) == 7
    np.testing.assert_allclose(scene.reflectivity, [1, 2, 3, 2, 2, 2, 2])


def test_png_is_found_beside_the_scene_file(tmp_path):
    from matplotlib.image import imsave

    picture = np.zeros((4, 4))
    picture[0, 1] = 1
    imsave(tmp_path / "mask.png", picture, cmap="gray", vmin=0, vmax=1)
    part = '[[scene]]\nkind = "png"\nfile = "mask.png"\npixel_mm = 2.0\n'
    scene = load(tmp_path, RADAR + LINE + part).scene
    np.testing.assert_allclose(scene.position, [[-1e-3, 3e-3, 0.3]])
    with pytest.raises(FileNotFoundError):
        load(tmp_path, RADAR + LINE + part.replace("mask.png", "other.png"))


def scene_of(folder, text):
    return load(folder, RADAR + LINE + "[[scene]]\n" + text).scene


@pytest.mark.parametrize("kind", ["knife", "wrench", "scissors"])
def test_tools_by_key(tmp_path, kind):
    part = scene_of(
        tmp_path, f'kind = "{kind}"\nlength_mm = 80\nedge_mm = 0.0\nturn_deg = [0, 90, 0]\nlobe = 3\nreflectivity = 2'
    )
    want = Scene.tool(kind, 0.08, edge=0.0).turned((0, np.pi / 2, 0), about=(0, 0, 0.3)).scaled(2)
    np.testing.assert_allclose(part.position, want.position)
    np.testing.assert_allclose(part.triangles, want.triangles)
    np.testing.assert_allclose(part.reflectivity, want.reflectivity)
    np.testing.assert_array_equal(part.lobe, 3.0)


def test_plates_and_a_mannequin_by_key(tmp_path):
    plate = 'text = "T"\nheight_mm = 70\npixel_mm = 5\ncentre_mm = [0, 0, 400]\n'
    ink = scene_of(tmp_path, 'kind = "printed"\nbackground = 0.3\n' + plate)
    np.testing.assert_array_equal(ink.reflectivity, Scene.printed("T", 0.07, background=0.3, pixel=5e-3).reflectivity)
    cut = scene_of(tmp_path, 'kind = "cut_out"\n' + plate)
    np.testing.assert_allclose(cut.position, Scene.cut_out("T", 0.07, pixel=5e-3, centre=(0, 0, 0.4)).position)
    figure = scene_of(tmp_path, 'kind = "mannequin"\nheight_mm = 200\nspacing_mm = 8\nseed = 3')
    np.testing.assert_allclose(figure.position, Scene.mannequin(0.2, 8e-3, seed=3).position)


def test_a_mesh_is_found_beside_the_scene_file(tmp_path):
    pytest.importorskip("trimesh", reason="trimesh is not installed")
    (tmp_path / "bracket.obj").write_bytes((SCENES / "bracket.obj").read_bytes())
    text = 'kind = "mesh"\nfile = "bracket.obj"\nspacing_mm = 4\n'
    part = scene_of(tmp_path, text + "turn_deg = [0, 0, 90]")
    corner = part.triangles.reshape(-1, 3)
    np.testing.assert_allclose(corner.min(axis=0), [-60e-3, 0, 0], atol=1e-9)  # turned about the world's origin
    np.testing.assert_allclose(corner.max(axis=0), [0, 60e-3, 40e-3], atol=1e-9)
    inch = scene_of(tmp_path, text + "unit_mm = 2\ncentre_mm = [0, 0, 300]\nturn_deg = [0, 0, 90]")
    corner = inch.triangles.reshape(-1, 3)
    np.testing.assert_allclose(corner.min(axis=0) + corner.max(axis=0), [0, 0, 0.6], atol=1e-9)
    np.testing.assert_allclose(np.ptp(corner, axis=0), [0.12, 0.12, 0.08])
    assert part.attrs["closed"] is True


def test_patterns_and_shadows_by_key(tmp_path):
    (tmp_path / "horn.csv").write_text(
        "\n".join(
            ["Freq [GHz],Phi [deg],Theta [deg],mag(rETotal)"]
            + [f"79,{p},{t},{np.cos(np.deg2rad(t / 2)):.9g}" for p in range(0, 360, 90) for t in range(0, 181, 10)]
        )
    )

    def options(text):
        return load(tmp_path, BASIC + "[simulation]\n" + text).options

    assert options("").pattern == "isotropic" and options("").shadows is True
    assert options("pattern = 2").pattern == 2.0
    assert options('pattern = "patch"').element.name == "patch 0.5 x 0.5"
    patch = options('pattern = { kind = "patch", width = 0.7, length = 0.4, turn_deg = 90 }').element
    assert (patch.name, patch.turn) == ("patch 0.7 x 0.4", pytest.approx(np.pi / 2))
    table = options('pattern = { kind = "csv", file = "horn.csv", freq_ghz = 79, column = "mag(rETotal)" }').element
    assert table.amplitude([0, 1, 1]) == pytest.approx(np.cos(np.pi / 8), abs=1e-3)
    dark = options("shadows = false\nshadow_angle_deg = 5")
    assert (dark.shadows, dark.shadow_angle) == (False, pytest.approx(np.deg2rad(5)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("samples = 8", "sample = 8", r"\[chirp\] samples: missing.*is `sample` a misspelling"),
        ("adc_start_us", "adc_strat_us", r"\[chirp\]: unknown key `adc_strat_us`; did you mean `adc_start_us`"),
        ("baseline_mm", "colour", r"\[array\]: unknown key `colour`; known keys: board, baseline_mm"),
        ("[trajectory]", "[trajektory]", r"trajectory: missing.*is `trajektory` a misspelling"),
        ("[[scene]]", "[[scenes]]", "scene: missing, wanted one or more tables"),
        ("positions = 3", "positions = 3.5", r"\[trajectory\] positions: got 3.5, wanted a whole number"),
        ("positions = 3", "positions = true", "positions: got True, wanted a whole number"),
        ("positions = 3", "positions = 0", r"\[trajectory\]: Trajectory.linear n: got 0"),
        ("step_mm = 2.0", 'step_mm = "2"', "step_mm: got '2', wanted a number"),
        ('kind = "linear"', 'kind = "lineal"', "got 'lineal', wanted one of raster, linear.*did you mean linear"),
        ('board = "single"', 'board = "iwr1444"', "did you mean iwr1443"),
        ('board = "single"', 'name = "mine"', r"\[array\]: wanted a known board, or tx_mm and rx_mm"),
        ("slope_mhz_us = 100.0", "", "either slope_mhz_us or bandwidth_ghz"),
        ("slope_mhz_us = 100.0", "slope_mhz_us = 100.0\nbandwidth_ghz = 4.0", "and one only"),
        (
            "positions_mm = [[0, 0, 300.0]]",
            "positions_mm = [[0, 300.0]]",
            r"\[\[scene\]\] 1: Scene.position: got shape",
        ),
        ("positions_mm = [[0, 0, 300.0]]", 'positions_mm = ["a"]', "wanted a list of numbers"),
        ("positions_mm = [[0, 0, 300.0]]", "positions_mm = [[0], [1, 2]]", "wanted a list of numbers"),
        ("start_ghz = 77.0", "start_ghz = -77.0", r"\[chirp\]: Chirp.f0: got"),
        ("start_ghz = 77.0", "start_ghz = ", "not a TOML file"),
        (POINTS, POINTS + "reflectivity = [1.0, 2.0]", "wanted one number or 1, one per point"),
        (POINTS, POINTS + "max_points = 1\nseed = -1", "seed: got -1"),
        (POINTS, POINTS + "[simulation]\npattern = true", "pattern: got True"),
        (POINTS, POINTS + "[simulation]\namplitude = 1", "amplitude: got 1, wanted true or false"),
        (POINTS, POINTS + "[simulation]\nsnr = 3", "unknown key `snr`; did you mean `snr_db`"),
        (POINTS, POINTS + "lobe = 2", r"\[\[scene\]\] 1 lobe: got one for points, wanted a kind with surfaces"),
        (POINTS, POINTS + "turn_deg = [1, 2]", r"\[\[scene\]\] 1: Scene.turned angles: got shape"),
        (POINTS, POINTS + "centre_mm = [0, 0, 1]", "unknown key `centre_mm`"),
        (
            POINTS,
            POINTS + "[simulation]\npattern = { kind = 'horn' }",
            "pattern kind: got 'horn', wanted one of patch, csv",
        ),
        (POINTS, POINTS + "[simulation]\npattern = { kind = 'patch', widht = 1 }", "pattern: unknown key `widht`"),
        (POINTS, POINTS + "[simulation]\nshadow_angle_deg = 0", "shadow_angle_deg: got 0, wanted a number above 0"),
        (POINTS, POINTS + "[extra]\n", "unknown key `extra`"),
    ],
)
def test_mistakes_get_one_clear_line(tmp_path, old, new, message):
    assert old in BASIC
    with pytest.raises(FormatError, match=message) as caught:
        load(tmp_path, BASIC.replace(old, new))
    assert "setup.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_file_is_not_toml(tmp_path):
    path = tmp_path / "scan.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe")
    with pytest.raises(FormatError, match="not a TOML file"):
        load_setup(path)
