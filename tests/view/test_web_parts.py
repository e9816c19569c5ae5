"""Parts of the browser's view without a server: the folder, requests from elsewhere, the colour bar, usage."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import FormatError
from mmsar.io.image_h5 import save_image
from mmsar.model import Image, ImageGrid
from mmsar.view.web_colours import HEIGHT, colour_bar_svg
from mmsar.view.web_folder import ImageFolder


@pytest.fixture
def folder(tmp_path):
    """A folder with an image and a link that leads out, beside another image."""
    inside = tmp_path / "in"
    inside.mkdir()
    grid = ImageGrid(shape=(2, 2, 2), origin=(0, 0, 0.1), spacing=(1e-3, 1e-3, 1e-3))
    for place in (inside / "a.h5", inside / ".hidden.h5", tmp_path / "out.h5"):
        save_image(Image(data=np.ones((2, 2, 2), np.float32), grid=grid), place)
    (inside / "link.h5").symlink_to(tmp_path / "out.h5")
    return inside


def test_folder_gives_its_images_only(folder) -> None:
    images = ImageFolder([folder])
    assert images.names() == ["a.h5"] and images.first == "a.h5"
    assert images.load("a.h5").data.shape == (2, 2, 2)
    for name in (
        "../out.h5",
        str(folder.parent / "out.h5"),
        "link.h5",
        ".",
        "..",
        "",
        "a/b.h5",
        "x" * 5000,
        "\0",
        None,
    ):
        with pytest.raises(FormatError, match=r"outside .*only images|no such file"):
            images.load(name)
    with pytest.raises(FormatError, match=r"not in .* wanted images of one folder"):
        ImageFolder([folder / "a.h5", folder.parent / "out.h5"])
    with pytest.raises(FormatError, match="outside"):
        ImageFolder([folder / "link.h5"])
    (folder / "a.h5").unlink()
    with pytest.raises(FormatError, match="no images in it"):
        ImageFolder([folder])


def test_a_folder_may_itself_be_reached_by_a_link(folder, tmp_path) -> None:
    (tmp_path / "way").symlink_to(folder)
    assert ImageFolder([tmp_path / "way"]).load("a.h5").grid.n_voxels == 8
    assert ImageFolder([tmp_path / "way" / "a.h5"]).first == "a.h5"


@pytest.mark.parametrize(
    ("host", "origin", "refused"),
    [
        ("127.0.0.1:8765", None, False),
        ("localhost:9000", "http://localhost:9000", False),
        ("127.0.0.1:8765", "http://127.0.0.1:8766", True),
        ("127.0.0.1:8765", "null", True),
        ("127.0.0.1.example.org:8765", None, True),
        ("[::1]:8765", None, True),
        ("", None, True),
    ],
)
def test_requests_of_other_pages_are_foreign(host, origin, refused) -> None:
    pytest.importorskip("aiohttp", reason="needs trame: pip install 'mmsar[web]'")
    from mmsar.view.web_auth import foreign

    assert bool(foreign(host, origin)) is refused


def test_colour_bar_has_its_ticks_at_their_decibels() -> None:
    drawing = ElementTree.fromstring(colour_bar_svg(-40, [-30, -10]))
    texts = {t.text: float(t.get("y")) for t in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert {"0", "\u221240", "\u221220", "dB re peak"} <= set(texts)
    assert texts["0"] == pytest.approx(16) and texts["\u221240"] == pytest.approx(HEIGHT - 8)
    assert texts["\u221220"] == pytest.approx((texts["0"] + texts["\u221240"]) / 2)
    marks = [float(re.match(r"M\S+ (\S+?)l", p.get("d"))[1]) for p in drawing.iter() if p.get("class") == "level"]
    assert np.allclose(np.array(marks) + 4, np.interp([-30, -10], [-40, 0], [HEIGHT - 8, 16]), atol=0.2)
    colours = [stop.get("stop-color") for stop in drawing.iter("{http://www.w3.org/2000/svg}stop")]
    assert colours[0] == "#fde725" and colours[-1] == "#440154"  # viridis, its end at 0 dB above


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--serve", "--save", "x.png"], "not together with --serve"),
        (["--serve", "--export-html", "x.html"], "not together with --serve"),
        (["--export-html", "x.html", "--save", "x.png"], "not together with --export-html"),
        (["--port", "80"], "give --serve"),
        (["--serve", "--port", "70000"], "from 0 to 65535"),
        (["--serve", "--kind", "mips"], "wanted iso or slices3d or volume"),
        (["--export-html", "x.html", "--kind", "volume"], "wanted iso"),
        (["--export-html", "x.html", "--point=0,0,100"], "only slices"),
        (["--serve", "--kind", "slices3d", "--levels=-3"], "only surfaces have levels"),
        (["--serve", "--title", "t"], "name of the image"),
    ],
)
def test_bad_usage_is_refused(folder, capsys, options, words) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["view", str(folder / "a.h5"), *options])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--serve"], ["--export-html", "x.html"]])
def test_missing_packages_are_one_line(folder, monkeypatch, capsys, option) -> None:
    monkeypatch.setattr("mmsar.view.web.find_spec", lambda name: None if name.startswith("trame") else object())
    assert main(["view", str(folder / "a.h5"), *option]) == 3
    said = capsys.readouterr().err
    assert said == (
        "mmsar view: the browser's view needs trame and trame-vtk, which are not installed; pip install 'mmsar[web]'\n"
    )


def test_wrong_files_are_refused(folder, tmp_path, capsys) -> None:
    pytest.importorskip("trame_vtk", reason="needs trame-vtk: pip install 'mmsar[web]'")
    image = str(folder / "a.h5")
    for arguments, words in (
        ([image, "--export-html", str(tmp_path / "x.pdf")], "wanted .html"),
        ([image, "--export-html", str(tmp_path / "none" / "x.html")], "does not exist"),
        ([image, "--levels=-20,-15,-10,-5", "--export-html", str(tmp_path / "x.html")], "at most 3"),
        ([str(tmp_path / "none.h5"), "--serve"], "no such file"),
    ):
        assert main(["view", *arguments]) == 3
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert not list(tmp_path.glob("*.html"))


def test_a_plane_cannot_be_exported(tmp_path, capsys) -> None:
    pytest.importorskip("trame_vtk", reason="needs trame-vtk: pip install 'mmsar[web]'")
    grid = ImageGrid(shape=(4, 1, 4), origin=(0, 0, 0.1), spacing=(1e-3, 1e-3, 1e-3))
    save_image(Image(data=np.ones((4, 1, 4), np.float32), grid=grid), tmp_path / "plane.h5")
    assert main(["view", str(tmp_path / "plane.h5"), "--export-html", str(tmp_path / "x.html")]) == 3
    assert "one voxel along y" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["plane.h5"]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_image_without_a_surface_is_exported(tmp_path, value) -> None:
    pytest.importorskip("trame_vtk", reason="needs trame-vtk: pip install 'mmsar[web]'")
    from mmsar.view.look import Look
    from mmsar.view.web_export import export_html

    grid = ImageGrid(shape=(4, 4, 4), origin=(0, 0, 0.1), spacing=(1e-3, 1e-3, 1e-3))
    image = Image(data=np.full((4, 4, 4), value, np.float32), grid=grid)
    export_html(image, tmp_path / "x.html", title="<b>&", look=Look(kind="iso"), aperture=np.zeros((2, 3)))
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in text and "<title><b>" not in text
    assert "<p>red: phase centres</p>" in text
    assert "Content-Security-Policy" in text and "kitware.github.io/vtk-js/icon" not in text


def test_very_many_triangles_come_from_fewer_voxels(monkeypatch) -> None:
    pytest.importorskip("trame_vtk", reason="needs trame-vtk: pip install 'mmsar[web]'")
    from mmsar.view import web_scene
    from mmsar.view.look import Look

    grid = ImageGrid(shape=(16, 16, 16), origin=(0, 0, 0.1), spacing=(1e-3, 1e-3, 1e-3))
    data = np.zeros(grid.shape, np.float32)
    data[4:12, 4:12, 4:12] = 1
    scene = web_scene.BrowserScene(Image(data=data, grid=grid), look=Look(kind="iso"))

    def triangles() -> int:
        scene.surfaces[0].mapper.Update()
        return scene.surfaces[0].mapper.dataset.n_cells

    assert scene.draw_surfaces([-10]) == "isosurfaces at -10 dB"
    fine = triangles()
    monkeypatch.setattr(web_scene, "MOST_TRIANGLES", fine - 1)
    monkeypatch.setattr(web_scene, "COARSE", 8**3)
    assert scene.draw_surfaces([-10]) == "isosurfaces at -10 dB, of blocks of 2 x 2 x 2 voxels"
    assert 0 < triangles() < fine / 2
    assert [actor.visibility for actor in scene.surfaces] == [True, False, False]
    scene.close()


def test_documentation_says_what_the_program_does() -> None:
    pytest.importorskip("trame_vtk", reason="needs trame-vtk: pip install 'mmsar[web]'")
    from mmsar.view import web_scene, web_solid
    from mmsar.view.web import HOST, PORT, Address
    from mmsar.view.web_auth import REFUSED
    from mmsar.view.web_page import FILES, STRONGER

    text = (Path(__file__).parents[2] / "docs" / "viewer.md").read_text(encoding="utf-8")
    address = Address(port=PORT, token="...", volume_fault="")
    assert f"open        {address.url}\n" in text
    assert f"from afar   {' '.join(address.tunnel.split()[:3])} USER@HOST\n" in text
    assert f"`port {PORT} of {HOST} is taken`" in text
    assert "`wrong or missing token`" in text and "wrong or missing token" in REFUSED
    assert "`No volume` in the page" in text and "No volume:" in (FILES / "page.html").read_text(encoding="utf-8")
    assert web_scene.MOST_TRIANGLES == 500_000 and "half a million triangles" in text
    assert web_solid.VOXELS == 128**3 and "at most 128^3 voxels" in text
    assert f"({' and '.join(f'{level:g}' for level in STRONGER)} dB)" in text
