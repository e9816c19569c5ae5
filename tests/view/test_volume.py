"""Images in three dimensions: what is drawn is the image, in millimetres, in the range asked for, in little memory."""

import tracemalloc

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image as Picture

from mmsar.cli import main
from mmsar.errors import FormatError, GeometryError, MmsarError
from mmsar.io.image_h5 import save_image
from mmsar.model import Image, ImageGrid
from mmsar.view import rendering
from mmsar.view.decibel_volume import block_steps, decibel_volume, opacity_ramp
from mmsar.view.look import CAMERAS, Look, turned
from mmsar.view.plot import figure_volume

AT = (9, 6, 14)
"""The target (z, y, x)."""


def make_image(at=AT, shape=(12, 20, 24), weak=10 ** (-12 / 20)) -> Image:
    """0 dB at one voxel and -12 dB at the first, on nothing."""
    grid = ImageGrid(shape=shape, origin=(-0.02, -0.02, 0.2), spacing=(2e-3, 2e-3, 4e-3))
    data = np.zeros(shape, dtype=np.complex64)
    data[0, 0, 0], data[at] = 2 * weak, 2j
    return Image(data=data, grid=grid)


@pytest.fixture(scope="module")
def drawn():
    """The module that draws, where this machine can."""
    pytest.importorskip("pyvista", reason="needs pyvista: pip install 'mmsar[viz]'")
    if fault := rendering.rendering().fault:
        pytest.skip(f"cannot draw here: {fault}")
    from mmsar.view import volume

    with rendering.drawing_into(rendering.rendering().window):
        yield volume


def test_levels_are_decibels_between_floor_and_peak() -> None:
    volume = decibel_volume(make_image(), floor=-30)
    assert volume.levels.dtype == np.uint8
    assert volume.levels[AT] == 255
    assert volume.levels[0, 0, 0] == 153  # -12 dB of -30: three fifths of 255
    assert volume.level(-12) == pytest.approx(153)
    assert np.count_nonzero(volume.levels) == 2
    assert volume.bounds == pytest.approx((-21, 27, -21, 19, 198, 246))
    zero = Image(
        data=np.zeros((2, 2, 2), np.float32), grid=ImageGrid(shape=(2, 2, 2), origin=(0, 0, 0), spacing=(1, 1, 1))
    )
    assert not decibel_volume(zero).levels.any()


def test_fewer_voxels_keep_the_targets_and_the_edges() -> None:
    image = make_image()
    small = decibel_volume(image, max_voxels=400)
    assert small.grid.n_voxels <= 400
    assert small.levels.max() == 255 and small.levels[0, 0, 0] == 153
    assert small.bounds == decibel_volume(image).bounds
    place = [getattr(small.grid, n)[i] for n, i in zip("zyx", np.argwhere(small.levels == 255)[0], strict=True)]
    want = [getattr(image.grid, n)[i] for n, i in zip("zyx", AT, strict=True)]
    assert np.all(np.abs(np.subtract(place, want)) < np.array(small.grid.spacing[::-1]) / 2)
    assert block_steps((1000, 2, 2), 400) == (10, 1, 1)
    assert block_steps((7, 8, 9), 504) == (1, 1, 1)
    with pytest.raises(GeometryError, match="at least 8"):
        block_steps((9, 9, 9), 7)


def test_memory_is_that_of_the_bytes_drawn() -> None:
    shape = (64, 128, 128)
    grid = ImageGrid(shape=shape, origin=(0, 0, 0), spacing=(1e-3, 1e-3, 1e-3))
    image = Image(data=np.ones(shape, np.complex64), grid=grid)
    tracemalloc.start()
    decibel_volume(image)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < 2 * grid.n_voxels  # a float32 volume would be four


def test_a_plane_is_refused_with_what_to_do() -> None:
    with pytest.raises(GeometryError, match="one voxel along y, wanted two or more; without --3d"):
        decibel_volume(make_image(at=(9, 0, 14), shape=(12, 1, 24)))
    with pytest.raises(GeometryError, match="less than 0"):
        decibel_volume(make_image(), floor=0)


def test_opacity_rises_from_nothing_at_the_floor() -> None:
    ramp = opacity_ramp()
    assert ramp.shape == (256,) and ramp[0] == 0 and np.all(np.diff(ramp) > 0) and 0.5 < ramp[-1] < 1
    assert not opacity_ramp(100)[:101].any() and opacity_ramp(100)[110] > 0


def test_look_checks_itself() -> None:
    assert Look().iso_levels == (-20, -10, -3)
    assert Look(floor=-2).iso_levels == (-1,)
    assert Look(levels=(-6, -15)).iso_levels == (-15, -6)
    assert Look(levels=(-6, -15)).points_from == -15 and Look(floor=-30).points_from == -20
    for bad, words in (
        ({"kind": "mips"}, "volume, iso, slices3d, points"),
        ({"camera": "left"}, "oblique, front, radar, side, top"),
        ({"levels": (-40,)}, "between the floor"),
        ({"floor": 1}, "less than 0"),
    ):
        with pytest.raises(GeometryError, match=words):
            Look(**bad)


def test_cameras_see_the_axes_as_said() -> None:
    right = {"front": (1, 0, 0), "radar": (-1, 0, 0), "side": (0, 0, 1), "top": (1, 0, 0)}
    for name, want in right.items():
        direction, up = (np.array(v) for v in CAMERAS[name])
        np.testing.assert_allclose(np.cross(-direction, up), want)
    np.testing.assert_allclose(turned(np.array([0.0, 2, 1]), np.pi / 2), (1, 2, 0), atol=1e-12)


def test_pyvista_grid_is_in_millimetres_and_shares_the_bytes() -> None:
    pytest.importorskip("pyvista", reason="needs pyvista: pip install 'mmsar[viz]'")
    volume = decibel_volume(make_image())
    grid = volume.to_pyvista()
    assert grid.dimensions == (24, 20, 12)
    assert grid.bounds == pytest.approx((-20, 26, -20, 18, 200, 244))
    index = int(np.argmax(grid["level"]))
    assert grid.points[index] == pytest.approx(
        [getattr(volume.grid, n)[i] * 1e3 for n, i in zip("xyz", AT[::-1], strict=True)]
    )
    assert np.shares_memory(grid["level"], volume.levels)


def bright(picture: np.ndarray) -> np.ndarray:
    """Middle (row, column) of what is coloured as the upper half of the range: more green than blue."""
    green, blue = picture[..., 1].astype(int), picture[..., 2].astype(int)
    coloured = (green > blue + 40) & (green > 90)
    coloured[:, int(0.86 * picture.shape[1]) :] = False  # the colour bar
    assert coloured.any()
    return np.argwhere(coloured).mean(axis=0)


@pytest.mark.parametrize("kind", ["volume", "iso", "slices3d", "points"])
def test_the_target_is_drawn_where_it_is(drawn, kind) -> None:
    found = []
    for at in ((9, 4, 4), (9, 4, 19), (9, 15, 4)):
        data = np.zeros((12, 20, 24), np.float32)
        data[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2, at[2] - 1 : at[2] + 2] = 1
        image = Image(data=data, grid=make_image().grid)
        scene = drawn.build_scene([image], ["t"], look=Look(kind=kind, camera="front", levels=(-6,)))
        scene.plotter.window_size = (320, 240)
        found.append(bright(scene.picture()))
        scene.close()
    origin, right, up = found
    assert right[1] > origin[1] + 15 and abs(right[0] - origin[0]) < 6
    assert up[0] < origin[0] - 15 and abs(up[1] - origin[1]) < 6


def test_images_stand_side_by_side_under_one_camera_and_are_marked(drawn) -> None:
    image = make_image()
    learned = image.with_step(step="learned enhancement", method="gatenet", blend=1.0)
    antennas = np.array([[-0.05, 0, 0], [0.05, 0, 0]])
    scene = drawn.build_scene([image, learned], ["a", "b"], look=Look(kind="points"), aperture=antennas)
    first, second = scene.plotter.renderers
    assert first.camera is second.camera or first.GetActiveCamera() is second.GetActiveCamera()
    assert scene.bounds == pytest.approx((-50, 50, -21, 19, 0, 246))
    assert "mark1" in second.actors and "mark0" not in first.actors
    assert second.actors["mark1"].GetText(0) == "learned enhancement: gatenet"
    for renderer in (first, second):
        assert renderer.cube_axes_actor.bounds == pytest.approx((-21, 27, -21, 19, 198, 246))
    scene.close()
    with pytest.raises(GeometryError, match="2 images and 1 titles"):
        drawn.build_scene([image, image], ["a"], look=Look())


def test_a_turn_is_a_gif_of_different_pictures(drawn, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(drawn, "FRAMES", 3)
    monkeypatch.setattr(drawn, "SIZE", {1: (160, 120)})
    drawn.save_scene([make_image()], tmp_path / "t.gif", titles=["t"], look=Look(kind="points"))
    with Picture.open(tmp_path / "t.gif") as film:
        assert film.n_frames == 3 and film.size == (160, 120)
        frames = []
        for i in range(3):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
    assert np.abs(frames[0] - frames[1]).max() > 100 and np.abs(frames[1] - frames[2]).max() > 100
    with pytest.raises(FormatError, match=r"\.png, \.gif, \.mp4"):
        drawn.save_scene([make_image()], tmp_path / "t.pdf", titles=["t"], look=Look())


def test_mp4_without_its_encoder_is_one_line(drawn, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mmsar.view.movie.find_spec", lambda name: None)
    with pytest.raises(MmsarError, match="imageio-ffmpeg"):
        drawn.save_scene([make_image()], tmp_path / "t.mp4", titles=["t"], look=Look())
    assert not list(tmp_path.iterdir())


def test_window_answers_to_its_controls(drawn, tmp_path, monkeypatch) -> None:
    from mmsar.view import volume_window

    monkeypatch.setattr(volume_window, "SIZE", {1: (320, 240)})
    monkeypatch.setattr(volume_window, "DRAGGED", 400)
    image = make_image()
    window = volume_window.Window(
        [image], titles=["t"], look=Look(kind="points"), aperture=np.zeros((3, 3)), off_screen=True
    )
    (pane,) = window.scene.panes

    def points() -> int:
        return pane.actors[0].mapper.dataset.n_points

    assert points() == 2
    window.set_low(-6)
    assert points() == 1
    window.set_low(-20)
    before = window.scene.picture()
    window.set_clip((0, 20, -21, 19, 220, 246))
    assert pane.actors[0].mapper.GetClippingPlanes().GetNumberOfItems() == 6
    assert np.any(window.scene.picture() != before)  # the weak point at the first voxel is gone
    window.set_clip(None)
    assert np.array_equal(window.scene.picture(), before)
    window.toggle_box()
    assert window.has_box
    window.toggle_box()
    assert not window.has_box and window.clip is None
    window.toggle_help()
    assert np.any(window.scene.picture() != before)
    window.next_kind()
    assert window.look.kind == "volume"
    window.start_drag()
    assert pane.actors[0].mapper.dataset.n_points <= 400
    window.end_drag()
    assert pane.actors[0].mapper.dataset.n_points == image.grid.n_voxels
    assert window.take_picture(tmp_path).name == "mmsar-view-1.png"
    assert window.take_picture(tmp_path).name == "mmsar-view-2.png"
    window.scene.close()


def test_the_figure_holds_the_picture_of_the_scene(drawn) -> None:
    image, look = make_image(), Look(kind="iso", camera="front", levels=(-3,))
    figure = figure_volume(image, look=look, title="one voxel")
    (axes,) = figure.axes
    pixels = axes.images[0].get_array()
    scene = drawn.build_scene([image], ["one voxel"], look=look)
    try:
        np.testing.assert_array_equal(pixels, scene.picture())
    finally:
        scene.close()
    assert pixels.std() > 0 and not axes.axison
    assert np.allclose(figure.get_size_inches() * figure.dpi, pixels.shape[1::-1])


def test_the_figure_holds_projections_where_nothing_is_drawn_and_says_so(monkeypatch) -> None:
    monkeypatch.setattr("mmsar.view.volume_figure.rendering", lambda: rendering.Rendering(fault="no GL; install it"))
    figure = figure_volume(make_image(), title="one voxel")
    assert {"one voxel", "3-D not drawn: no GL; install it"} <= {text.get_text() for text in figure.findobj(Text)}
    assert len([axes for axes in figure.axes if axes.images]) == 3


@pytest.fixture
def image_file(tmp_path) -> str:
    save_image(make_image(), tmp_path / "image.h5")
    return str(tmp_path / "image.h5")


def test_command_without_rendering_writes_projections_and_says_so(image_file, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(rendering, "rendering", lambda: rendering.Rendering(fault="no GL; install it"))
    target = tmp_path / "v.png"
    assert main(["view", image_file, "--3d", "--save", str(target)]) == 4
    assert target.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().err
    assert said == f"mmsar view: 3-D cannot be drawn here, {target} has the projections: no GL; install it\n"
    assert main(["view", image_file, "--save", str(tmp_path / "v.gif")]) == 4
    assert not (tmp_path / "v.gif").exists()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--3d", "--kind", "slices", "--save", "x.png"], "not 3-D"),
        (["--3d", "--save", "x.pdf"], ".png, .gif, .mp4"),
        (["--3d"], "give --save"),
        (["--camera", "top", "--save", "x.png"], "--3d"),
        (["--levels=-3", "--save", "x.png"], "--kind iso"),
        (["--kind", "iso", "--levels=3", "--save", "x.png"], "below 0"),
        (["--kind", "iso", "--point=0,0,210", "--save", "x.png"], "slices3d"),
    ],
)
def test_bad_usage_is_refused(image_file, monkeypatch, capsys, options, words) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mmsar.view.rendering.sys.platform", "linux")
    with pytest.raises(SystemExit) as stop:
        main(["view", image_file, *options])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_several_images_are_compared_in_the_figure(image_file, tmp_path) -> None:
    assert main(["view", image_file, image_file, "--save", str(tmp_path / "both.png")]) == 0
    with Picture.open(tmp_path / "both.png") as one:
        assert one.size[0] > 900


def test_probe_tells_a_crash_from_a_picture() -> None:
    crash = rendering.try_rendering("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert "signal 11" in crash.fault and not crash.window
    assert rendering.try_rendering("print('vtkWindow')") == rendering.Rendering(window="vtkWindow")
    assert "within 0.01 s" in rendering.try_rendering("import time; time.sleep(5)", timeout=0.01).fault


def test_command_draws_where_it_can(drawn, image_file, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(drawn, "SIZE", {1: (200, 150)})
    target = tmp_path / "v.png"
    assert main(["view", image_file, "--kind", "slices3d", "--point=0,0,210", "--save", str(target)]) == 0
    assert capsys.readouterr().out.strip() == str(target)
    with Picture.open(target) as one:
        assert one.size == (200, 150)
