"""Figures: what is drawn where, at which scale, in which range; and that nothing overlaps."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Picture

from mmsar.errors import FormatError, GeometryError
from mmsar.model import Image, ImageGrid
from mmsar.view import plot


def make_image(shape=(12, 30, 40), spacing=(2e-3, 2e-3, 10e-3), at=(9, 25, 5)) -> Image:
    """Background at -60 dB, one voxel at (z, y, x) at 0 dB."""
    grid = ImageGrid(shape=shape, origin=(-0.04, -0.02, 0.2), spacing=spacing)
    data = np.full(shape, 1e-3, dtype=np.complex64)
    data[tuple(min(i, n - 1) for i, n in zip(at, shape, strict=True))] = 2j
    return Image(data=data, grid=grid)


def panels(figure: Figure) -> dict[tuple[float, float], object]:
    """Image panels by their place on the page (left, bottom)."""
    found = [a for a in figure.axes if a.get_images()]
    return {(round(a.get_position().x0, 3), round(a.get_position().y0, 3)): a for a in found}


def bright(axes) -> tuple[float, float]:
    """Coordinates [mm] of the brightest pixel of a panel."""
    drawn = axes.get_images()[0]
    data, (left, right, bottom, top) = np.asarray(drawn.get_array()), drawn.get_extent()
    row, column = np.unravel_index(np.argmax(data), data.shape)
    return left + (column + 0.5) * (right - left) / data.shape[1], bottom + (row + 0.5) * (top - bottom) / data.shape[0]


@pytest.mark.parametrize("make", [plot.figure_mips, plot.figure_slices])
def test_three_views_show_the_target_where_it_is(make) -> None:
    image = make_image()
    x, y, z = image.grid.x[5] * 1e3, image.grid.y[25] * 1e3, image.grid.z[9] * 1e3
    figure = make(image, floor=-25)
    views = panels(figure)
    ((left, bottom),) = [p for p in views if p[0] == min(q[0] for q in views) and p[1] == min(q[1] for q in views)]
    front = views.pop((left, bottom))
    top = next(a for p, a in views.items() if p[0] == left)
    side = next(a for p, a in views.items() if p[1] == bottom)
    np.testing.assert_allclose(bright(front), (x, y))
    np.testing.assert_allclose(bright(top), (x, z))
    np.testing.assert_allclose(bright(side), (z, y))
    assert front.get_xlabel() == "x [mm]"
    assert front.get_ylabel() == "y [mm]"
    assert top.get_ylabel() == "z [mm]"
    assert side.get_xlabel() == "z [mm]"
    for axes in (front, top, side):
        assert axes.get_images()[0].get_clim() == (-25, 0)
        assert axes.get_images()[0].origin == "lower"
        (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
        assert x0 < x1
        assert y0 < y1
        box = axes.get_window_extent()
        assert box.width / (x1 - x0) == pytest.approx(box.height / (y1 - y0), rel=1e-3)
    assert any("-25 to 0" in a.get_ylabel() for a in figure.axes)


def test_slices_go_through_the_point_asked_for() -> None:
    image = make_image()
    point = (image.grid.x[7], image.grid.y[3], image.grid.z[2])
    drawn = panels(plot.figure_slices(image, point=point)).values()
    titles = [a.get_title() for a in drawn]
    assert sorted(titles) == sorted(f"{n} = {v * 1e3:.4g} mm" for n, v in zip("xyz", point, strict=True))
    np.testing.assert_allclose([np.max(a.get_images()[0].get_array()) for a in drawn], -30, rtol=1e-6)
    with pytest.raises(GeometryError, match="wanted it within"):
        plot.figure_slices(image, point=(1, 0, 0))
    with pytest.raises(GeometryError, match="less than 0"):
        plot.figure_mips(image, floor=0)


@pytest.mark.parametrize(
    ("shape", "n_panels", "labels"),
    [
        ((1, 30, 40), 1, ("x [mm]", "y [mm]")),
        ((12, 1, 40), 1, ("x [mm]", "z [mm]")),
        ((12, 30, 1), 1, ("z [mm]", "y [mm]")),
        ((1, 1, 40), 0, ("x [mm]",)),
        ((1, 30, 1), 0, ("y [mm]",)),
        ((12, 1, 1), 0, ("z [mm]",)),
        ((1, 1, 1), 0, ("x [mm]",)),
    ],
)
def test_axes_of_one_voxel_have_no_view(shape, n_panels, labels) -> None:
    image = make_image(shape)
    for figure in (plot.figure_mips(image), plot.figure_slices(image), plot.figure_compare([image, image], ["a", "b"])):
        drawn = panels(figure)
        assert len(drawn) in ((n_panels, 2 * n_panels) if n_panels else (0,))
        first = next(iter(drawn.values())) if drawn else figure.axes[0]
        assert first.get_xlabel() == labels[0]
        if n_panels:
            assert first.get_ylabel() == labels[1]
            assert not any(
                "max over" in axes.get_title() for axes in drawn.values()
            )  # one slice: where it is, not a projection
        else:
            curve = first.get_lines()[0]
            assert curve.get_ydata().max() == 0
            assert len(curve.get_xdata()) == max(shape)
        FigureCanvasAgg(figure).draw()


@settings(deadline=None, max_examples=12)
@given(st.tuples(*[st.floats(0.003, 1.0)] * 3), st.sampled_from(["title", None]))
def test_no_text_overlaps_or_leaves_the_page(extent, title) -> None:
    shape = (8, 9, 10)
    spacing = tuple(e / n for e, n in zip(extent, shape[::-1], strict=True))
    figure = plot.figure_mips(make_image(shape, spacing), title=title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.texts]
    for axes in figure.axes:
        texts = [axes.title, axes.xaxis.label, axes.yaxis.label]
        boxes += [t.get_window_extent(renderer) for t in texts if t.get_text()]
    page = figure.bbox
    for box in boxes:
        assert box.x0 >= page.x0 - 1
        assert box.y0 >= page.y0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y1 <= page.y1 + 1
    for a, b in combinations(boxes, 2):
        assert not a.overlaps(b)
    pages = [axes.get_window_extent(renderer) for axes in figure.axes]
    assert not any(a.overlaps(b) for a, b in combinations(pages, 2))


def test_a_thin_volume_says_how_much_it_is_stretched() -> None:
    figure = plot.figure_mips(make_image((4, 60, 80), (2e-3, 2e-3, 1e-3)))
    labels = {a.get_xlabel() for a in figure.axes} | {a.get_ylabel() for a in figure.axes}
    assert any(label.startswith("z [mm] ×") for label in labels)
    assert {"x [mm]", "y [mm]"} <= labels


def test_compare_uses_one_scale_and_the_titles() -> None:
    image = make_image()
    part = image.crop(z=(0.2, 0.26), x=(-0.04, 0.0))
    figure = plot.figure_compare([image, part], ["all", "part"], floor=-20, title="both")
    drawn = list(panels(figure).values())
    assert len(drawn) == 4
    assert len({a.get_xlim() for a in drawn}) == 1
    assert {"all", "part"} <= {a.get_title() for a in drawn}
    assert figure.texts[0].get_text() == "both"
    with pytest.raises(GeometryError, match="2 images and 1 titles"):
        plot.figure_compare([image, part], ["all"])
    with pytest.raises(GeometryError, match="single-voxel"):
        plot.figure_compare([image, make_image((1, 30, 40))], ["a", "b"])


def test_range_profile_is_in_decibels_and_shades_the_interval() -> None:
    power = np.full(50, 1e-9)
    power[20] = 4.0
    figure = plot.figure_range_profile(np.arange(50) * 0.02, power, interval=(0.3, 0.5), floor=-50, title="t")
    (axes,) = figure.axes
    x, y = axes.get_lines()[0].get_data()
    assert x[np.argmax(y)] == pytest.approx(400)
    assert y.max() == 0
    assert y.min() == pytest.approx(-50)
    assert "300 to 500 mm" in axes.get_legend().get_texts()[0].get_text()
    with pytest.raises(GeometryError, match="no power"):
        plot.figure_range_profile(np.arange(5), np.zeros(5))


def test_saving_is_atomic_and_knows_its_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image()
    for name, kind in (("a.png", "mips"), ("b.pdf", "slices"), ("c.SVG", "mips")):
        plot.save_figure(image, tmp_path / name, kind=kind, floor=-20)
        assert (tmp_path / name).stat().st_size > 3000
    page = (tmp_path / "b.pdf").read_bytes()
    assert page.startswith(b"%PDF") and b"/FontFile2" in page and b"/Subtype /Type3" not in page  # TrueType
    assert "<svg" in (tmp_path / "c.SVG").read_text()
    with Picture.open(tmp_path / "a.png") as picture:
        assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    with pytest.raises(FormatError, match=r"\.png, \.pdf, \.svg"):
        plot.save_figure(image, tmp_path / "d.jpg")
    with pytest.raises(FormatError, match="folder"):
        plot.save_figure(image, tmp_path / "none" / "d.png")
    with pytest.raises(GeometryError, match="mips, slices"):
        plot.save_figure(image, tmp_path / "d.png", kind="volume")

    def breaks(self, target, **_):
        Path(target).write_bytes(b"half")
        raise RuntimeError("disk")

    before = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(Figure, "savefig", breaks)
    with pytest.raises(RuntimeError, match="disk"):
        plot.save_figure(image, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_importing_the_module_opens_nothing() -> None:
    code = "import sys, mmsar.view.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


LEARNED = {"step": "learned enhancement", "method": "gatenet", "blend": 1.0}


@pytest.mark.parametrize(
    ("shape", "title"), [((12, 30, 40), "title"), ((1, 30, 40), None), ((12, 1, 3), None), ((1, 1, 40), "title")]
)
def test_figures_of_an_enhanced_image_say_so(shape, title) -> None:
    plain = make_image(shape)
    image = plain.with_step(**LEARNED)
    both = dict(images=[plain, image.with_step(step="later")], titles=["a", "b"])
    for figure, text in (
        (plot.figure_mips(image, title=title), "learned enhancement: gatenet"),
        (plot.figure_slices(image, title=title), "learned enhancement: gatenet"),
        (plot.figure_compare(**both, title=title), "learned enhancement: b: gatenet"),
    ):
        (mark,) = [t for t in figure.texts if "learned" in t.get_text()]
        assert mark.get_text() == text and mark.get_visible()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        box = mark.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1
        for axes in figure.axes:
            tight = [axes.get_window_extent(renderer), axes.xaxis.get_tightbbox(renderer)]
            assert not any(other is not None and box.overlaps(other) for other in tight)
    for figure in (plot.figure_mips(plain), plot.figure_slices(plain), plot.figure_compare([plain], ["a"])):
        assert not any("learned" in t.get_text() for t in figure.texts)


def test_the_mark_is_in_the_saved_picture_and_names_the_blend(tmp_path: Path) -> None:
    image = make_image().with_step(**{**LEARNED, "blend": 0.5})
    plot.save_figure(image, tmp_path / "a.svg")
    plot.save_figure(make_image(), tmp_path / "b.svg")
    said = "<!-- learned enhancement: gatenet, blend 0.5 -->"
    assert said in (tmp_path / "a.svg").read_text()
    assert said not in (tmp_path / "b.svg").read_text()
