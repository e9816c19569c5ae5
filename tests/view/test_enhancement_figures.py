"""Figures of training and evaluation: what is drawn, and drawing on given axes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.view.curves import training_figure
from mmsar.view.enhancement import samples_figure, sweeps_figure

SPACING = 2e-3
SPOT = np.full((5, 8), 0.1, dtype=np.float32)
SPOT[3, 6] = 2.0
"""Magnitudes (y, x): a peak at x = 2.5 pixels, y = 1 pixel from the middle, the rest 26 dB below it."""
ROWS = [("one", {"input": SPOT, "net": SPOT**2}), ("two", {"input": SPOT[::-1], "net": SPOT})]
SWEEPS = [
    ("position error [mm]", (0.0, 1.0), {"input": (20.0, 15.0), "net": (25.0, 24.0)}),
    ("SNR [dB]", (0.0, 10.0), {"input": (10.0, 20.0), "net": (18.0, 25.0)}),
]
CURVES = [
    {"step": 1.0, "rate": 1e-3, "loss": 0.5, "validation": 0.6},
    {"step": 2.0, "rate": 5e-4, "loss": 0.3},
    {"step": 3.0, "rate": 1e-4, "loss": 0.2, "validation": 0.4},
]


def brightest(axes) -> tuple[float, float]:
    """Where the brightest pixel is drawn [mm]."""
    drawn = axes.get_images()[0]
    values, (left, right, bottom, top) = drawn.get_array(), drawn.get_extent()
    row, column = np.unravel_index(int(np.argmax(values)), values.shape)
    return (
        left + (column + 0.5) * (right - left) / values.shape[1],
        bottom + (row + 0.5) * (top - bottom) / values.shape[0],
    )


def test_samples_stand_where_they_are_and_in_one_range() -> None:
    figure = samples_figure(ROWS, spacing=SPACING, floor=-40)
    panels = [axes for axes in figure.axes if axes.get_images()]
    assert brightest(panels[0]) == pytest.approx((5.0, 2.0)) and brightest(panels[2]) == pytest.approx((5.0, -2.0))
    assert all(axes.get_images()[0].get_clim() == (-40, 0) for axes in panels)
    assert panels[0].get_images()[0].get_array().min() == pytest.approx(20 * np.log10(0.05), abs=1e-3)
    assert [axes.get_title() for axes in panels[:2]] == ["input", "net"]
    assert any("(-40 to 0)" in axes.get_ylabel() for axes in figure.axes)


@pytest.mark.parametrize(
    ("draw", "wanted"),
    [
        (lambda **given: samples_figure(ROWS, spacing=SPACING, **given), 4),
        (lambda **given: sweeps_figure(SWEEPS, **given), 2),
        (lambda **given: training_figure(CURVES, **given), 2),
    ],
    ids=["samples", "sweeps", "training"],
)
def test_figures_draw_on_given_axes(draw, wanted) -> None:
    figure = Figure()
    axes = figure.subplots(1, wanted + 1)
    assert draw(axes=axes[:wanted], title="mine") is figure
    assert axes[0].get_title().startswith("mine")
    assert all(each.get_images() or each.get_lines() for each in axes[:wanted])
    assert not axes[wanted].has_data()
    own = draw(title="its own")
    assert own is not figure
    own.draw_without_rendering()
    with pytest.raises(GeometryError, match=rf"axes: got {wanted + 1}, wanted {wanted} \("):
        draw(axes=axes)


def test_training_marks_the_best_validation() -> None:
    above, below = training_figure(CURVES).axes
    best = next(line for line in above.get_lines() if line.get_label().startswith("best"))
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (3.0, 0.4)
    assert below.get_lines()[0].get_ydata().tolist() == [1e-3, 5e-4, 1e-4]


def test_sweeps_have_one_legend() -> None:
    own = sweeps_figure(SWEEPS)
    assert len(own.legends) == 1 and not any(axes.get_legend() for axes in own.axes)
    axes = Figure().subplots(1, 2)
    sweeps_figure(SWEEPS, axes=axes)
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["input", "net"]
    assert axes[1].get_legend() is None


@pytest.mark.parametrize("draw", [lambda: samples_figure([], spacing=1e-3), lambda: sweeps_figure([])])
def test_nothing_to_draw_is_refused(draw) -> None:
    with pytest.raises(GeometryError, match="wanted at least one"):
        draw()


def test_no_step_of_a_training_is_refused() -> None:
    with pytest.raises(GeometryError, match="wanted at least one"):
        training_figure([])
