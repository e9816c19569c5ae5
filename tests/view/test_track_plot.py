"""The figure of a track: what is in its panels, and what is left out of its lines."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.view.track_plot import figure_track

SECONDS = np.arange(100) / 10
POSITION = np.stack([SECONDS, np.sin(SECONDS), 0 * SECONDS + 2], axis=1)


def drawn(figure) -> dict[str, object]:
    """Axes by the label of their vertical axis."""
    FigureCanvasAgg(figure).draw()
    return {axes.get_ylabel(): axes for axes in figure.axes}


def test_components_leave_out_what_does_not_count():
    used = np.ones(100, dtype=bool)
    used[40:45] = False
    position = POSITION.copy()
    position[60] = np.nan
    axes = drawn(figure_track(SECONDS, position, used=used))["position from its median [mm]"]
    line = {each.get_label(): each for each in axes.get_lines()}["x"]
    shown = np.asarray(line.get_ydata())
    assert np.flatnonzero(np.isnan(shown)).tolist() == [40, 41, 42, 43, 44, 60]
    counted = used & np.isfinite(position[:, 0])
    np.testing.assert_allclose(shown[counted], (SECONDS[counted] - np.median(SECONDS[counted])) * 1e3)


def test_a_wild_pose_does_not_set_the_scale():
    position, used = POSITION.copy(), np.ones(100, dtype=bool)
    position[50], used[50] = 1e3, False
    axes = drawn(figure_track(SECONDS, position, used=used))["position from its median [mm]"]
    assert max(np.abs(axes.get_ylim())) < 6e3


def test_paths_have_equal_scales():
    panels = drawn(figure_track(SECONDS, POSITION))
    for label in ("y [m]", "z [m]"):
        assert panels[label].get_aspect() == 1.0
        assert panels[label].get_xlabel() == "x [m]"


def test_rotation_panel_is_in_degrees():
    turn = np.stack([np.radians(SECONDS), 0 * SECONDS, 0 * SECONDS], axis=1)
    axes = drawn(figure_track(SECONDS, POSITION, turn=turn))["rotation from the first pose [deg]"]
    lines = {each.get_label(): each for each in axes.get_lines()}
    np.testing.assert_allclose(lines["x"].get_ydata(), SECONDS)


def test_rotation_past_half_a_turn_is_not_drawn_across():
    angle = np.where(SECONDS < 5, 3.0, -3.0)
    axes = drawn(figure_track(SECONDS, POSITION, turn=np.stack([angle, 0 * angle, 0 * angle], axis=1)))
    (line,) = [each for each in axes["rotation from the first pose [deg]"].get_lines() if each.get_label() == "x"]
    assert np.flatnonzero(np.isnan(np.asarray(line.get_ydata()))).tolist() == [50]


def test_strip_names_and_counts_what_was_found():
    marks = {"gap": [(1.0, 0.5), (3.0, 0.2)], "marker swap": [(5.0, 0.0)]}
    figure = figure_track(SECONDS, POSITION, marks=marks, title="a log")
    FigureCanvasAgg(figure).draw()
    strip = figure.axes[-1]
    assert [text.get_text() for text in strip.get_yticklabels()] == ["gap (2)", "marker swap (1)"]
    first = strip.collections[0].get_paths()
    assert len(first) == 2
    assert first[0].get_extents().x0 == pytest.approx(1.0)
    assert first[0].get_extents().width == pytest.approx(0.5)
    assert strip.collections[1].get_paths()[0].get_extents().width > 0
    assert figure.get_suptitle() == "a log"
    assert [text.get_text() for text in figure_track(SECONDS, POSITION).axes[-1].texts] == ["nothing found"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"position": POSITION[:50]}, "position"),
        ({"position": np.full((100, 3), np.nan)}, "no row that counts"),
        ({"used": np.zeros(100, dtype=bool)}, "no row that counts"),
        ({"turn": np.zeros((100, 2))}, "turn"),
        ({"seconds": np.full(100, np.nan)}, "seconds"),
    ],
)
def test_refuses(values, message):
    arguments = {"seconds": SECONDS, "position": POSITION} | values
    with pytest.raises(GeometryError, match=message):
        figure_track(arguments.pop("seconds"), arguments.pop("position"), **arguments)


def test_track_draws_on_given_axes() -> None:
    figure = Figure()
    axes = figure.subplots(1, 5)
    turn = np.zeros((len(SECONDS), 3))
    assert figure_track(SECONDS, POSITION, turn=turn, title="mine", axes=axes) is figure
    assert axes[0].get_title() == "mine\nfront: x, y"
    assert all(each.get_lines() for each in axes[:4]) and axes[4].texts[0].get_text() == "nothing found"
    with pytest.raises(GeometryError, match=r"axes: got 5, wanted 4 \(front, top, position, findings\)"):
        figure_track(SECONDS, POSITION, axes=axes)
