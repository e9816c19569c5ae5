"""The served page: who may use it, what it lets out, what a browser draws of it; one server and one browser for all."""

import base64
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from PIL import Image as Picture

from mmsar.cli import main
from mmsar.io.export import export_image
from mmsar.io.image_h5 import load_image, save_image
from mmsar.model import Image, ImageGrid
from mmsar.view.rendering import rendering

for package in ("pyvista", "trame", "trame_vtk"):
    pytest.importorskip(package, reason=f"needs {package}: pip install 'mmsar[web]'")

WEB = Path(__file__).with_name("web")
STRONG, WEAK = (9, 16, 19), (3, 4, 5)
"""Middles (z, y, x): towards +x, +y, +z, and 12 dB weaker towards -x, -y, -z."""


def make_image(strong=STRONG) -> Image:
    """Two blocks on nothing."""
    grid = ImageGrid(shape=(12, 20, 24), origin=(-0.023, -0.019, 0.2), spacing=(2e-3, 2e-3, 4e-3))
    data = np.zeros(grid.shape, np.float32)
    for (z, y, x), value in ((strong, 1.0), (WEAK, 10 ** (-12 / 20))):
        data[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = value
    return Image(data=data, grid=grid)


class Server:
    """mmsar view --serve of a folder, beside files that it must not let out."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "images"
        self.folder.mkdir()
        save_image(make_image(), self.folder / "a.h5")
        save_image(make_image(strong=(9, 16, 8)), self.folder / "b.h5")
        save_image(make_image(), home / "secret.h5")
        (self.folder / "link.h5").symlink_to(home / "secret.h5")
        (self.folder / "note.h5").write_text("no image")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmsar", "view", str(self.folder), "--serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = [self.process.stdout.readline() for _ in range(3)]
        if not lines[0].startswith("open"):
            raise RuntimeError(self.process.stderr.read())
        self.url, self.tunnel = lines[0].split()[1], lines[1]
        self.port = urlsplit(self.url).port
        self.token = self.url.partition("token=")[2]
        opened = NoRedirect.open(self.url)
        self.cookie = opened.headers["Set-Cookie"].partition(";")[0]
        self.cookie_says = opened.headers["Set-Cookie"]

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Status and content of an answer; headers with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=named)
        with NoRedirect.open(request) as answer:
            return answer.status, answer.read()

    def shake_hands(self, **headers: str) -> int:
        """Status of the answer to a WebSocket's opening."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = {
            "Host": f"127.0.0.1:{self.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "bW1zYXIgdmlldyAtLXNlcg==",
        } | named
        text = "GET /ws HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in asked.items()) + "\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(text.encode())
            return int(connection.recv(64).split()[1])


class Unfollowed(urllib.request.HTTPRedirectHandler):
    """Answers as they come: no redirection, no exception."""

    def http_error_303(self, request, answer, code, message, headers):
        return answer

    http_error_302 = http_error_403 = http_error_404 = http_error_303


def altered(secret: str) -> str:
    """The same but for the last letter."""
    return secret[:-1] + ("y" if secret.endswith("x") else "x")


NoRedirect = urllib.request.build_opener(urllib.request.ProxyHandler({}), Unfollowed)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    served = Server(tmp_path_factory.mktemp("served"))
    yield served
    if served.process.poll() is None:
        served.process.kill()
    served.process.communicate()


class Browser:
    """The browser of web/browser.cjs."""

    def __init__(self, chromium: str) -> None:
        self.process = subprocess.Popen(
            ["node", "browser.cjs", chromium], cwd=WEB, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, code: str):
        """The result of JavaScript that sees page, context, requests and errors."""
        self.process.stdin.write(json.dumps({"run": code}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, f"{code}\n{answer}"
        return answer["result"]

    def drawn(self, action: str) -> None:
        """Do something and wait until the server has drawn what it asks for, and the page has shown it."""
        self.run(
            "const scene = page.locator('.scene'); const before = await scene.getAttribute('data-drawn');"
            f"{action};"
            "await page.waitForFunction(n => document.querySelector('.scene').dataset.drawn != n, before);"
        )

    def pixels(self, selector: str = ".scene") -> np.ndarray:
        """What an element shows, (height, width, 3) int, without its right edge, where the colour bar is."""
        text = self.run(f"return (await page.locator({selector!r}).screenshot()).toString('base64')")
        with Picture.open(io.BytesIO(base64.b64decode(text))) as picture:
            found = np.asarray(picture.convert("RGB")).astype(int)
        return found[:, : -100 if selector == ".scene" else None]

    def settled(self, seen: np.ndarray | None = None) -> np.ndarray:
        """The scene when it has colours, differs from what was seen before, and stays."""
        end, last = time.monotonic() + 30, None
        while time.monotonic() < end:
            now = self.pixels()
            if last is not None and np.array_equal(now, last) and coloured(now).sum() > 50:
                if seen is None or np.count_nonzero(np.any(now != seen, axis=-1)) > 50:
                    return now
            last = now
            time.sleep(0.1)
        raise AssertionError("the picture did not change as it should" if seen is not None else "nothing was drawn")

    def texts(self) -> list[str]:
        """What was written on canvases."""
        return self.run("return await page.evaluate(() => [...window.drawnTexts])")

    def close(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where a picture is neither white nor grey nor black."""
    return picture.max(axis=-1) - picture.min(axis=-1) > 25


def middle(mask: np.ndarray) -> np.ndarray:
    """(row, column) as shares of the height and width."""
    return np.argwhere(mask).mean(axis=0) / mask.shape


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None or shutil.which("node") is None:
        pytest.skip("needs chromium and node: apt-get install chromium nodejs npm")
    if subprocess.run(["node", "-e", "require('playwright-core')"], cwd=WEB, capture_output=True).returncode:
        pytest.skip("needs playwright-core: npm install --prefix tests/view/web")
    opened = Browser(chromium)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(server, browser):
    """The browser on the served page, with its first picture."""
    browser.run(f"await page.goto({server.url!r}); await page.waitForSelector('.scene[data-drawn] canvas')")
    browser.settled()
    return browser


def test_address_and_tunnel_are_told(server) -> None:
    assert server.url.startswith("http://127.0.0.1:") and len(server.token) == 32
    assert f"ssh -L {server.port}:127.0.0.1:{server.port} " in server.tunnel
    assert "HttpOnly" in server.cookie_says and "SameSite=Lax" in server.cookie_says


@pytest.mark.parametrize("path", ["/", "/index.html", "/mmsar/page.js", "/image.vti?name=a.h5", "/picture.png"])
def test_nothing_without_the_token(server, path) -> None:
    more = "&" if "?" in path else "?"
    for query, headers in (
        ("", {}),
        (f"{more}token=", {}),
        (f"{more}token={altered(server.token)}", {}),
        (f"{more}token=%C3%A9", {}),
        ("", {"Cookie": altered(server.cookie)}),
    ):
        status, text = server.get(path + query, **headers)
        assert status == 403 and b"wrong or missing token" in text
    assert server.get(path, Cookie=server.cookie)[0] != 403


def test_websocket_needs_the_token_and_its_own_page(server) -> None:
    own = f"http://127.0.0.1:{server.port}"
    assert server.shake_hands() == 403
    assert server.shake_hands(Cookie=altered(server.cookie)) == 403
    assert server.shake_hands(Cookie=server.cookie, Origin="http://127.0.0.1:1") == 403
    assert server.shake_hands(Cookie=server.cookie, Origin="https://example.org") == 403
    assert server.shake_hands(Cookie=server.cookie, Host="example.org") == 403
    assert server.shake_hands(Cookie=server.cookie, Origin=own) == 101


def test_another_name_for_this_machine_is_refused(server) -> None:
    assert server.get("/index.html", Cookie=server.cookie, Host="example.org")[0] == 403
    assert server.get("/index.html", Cookie=server.cookie, Host="localhost:99")[0] == 200


def test_only_this_address_is_listened_on(server) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


def test_download_is_the_exported_image(server, tmp_path) -> None:
    export_image(load_image(server.folder / "a.h5"), tmp_path / "a.vti")
    status, content = server.get("/image.vti?name=a.h5", Cookie=server.cookie)
    assert status == 200 and content == (tmp_path / "a.vti").read_bytes()


def test_files_outside_the_folder_stay_there(server) -> None:
    outside = ("../secret.h5", str(server.folder.parent / "secret.h5"), "link.h5", "..", "", "x\0y")
    for name in outside:
        status, text = server.get(f"/image.vti?name={quote(name)}", Cookie=server.cookie)
        assert status == 404 and b"only images of this folder are shown" in text, name
    status, text = server.get("/image.vti?name=note.h5", Cookie=server.cookie)
    assert status == 404 and b"not an HDF5 file" in text
    for path in ("/../web.py", "/mmsar/../web.py", "/mmsar/..%2fweb.py", f"{server.folder}/a.h5"):
        assert server.get(path, Cookie=server.cookie)[0] in (403, 404), path


def test_a_taken_port_is_one_line(server, capsys) -> None:
    assert main(["view", str(server.folder / "a.h5"), "--serve", "--port", str(server.port)]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"port {server.port} of 127.0.0.1 is taken" in said


def test_browser_draws_surfaces_with_axes_in_mm(page) -> None:
    picture = page.settled()
    assert coloured(picture).sum() > 500
    assert {"x [mm]", "y [mm]", "z [mm]"} <= set(page.texts())
    assert not [text for text in page.texts() if "Axis" in text]
    assert page.run("return await page.locator('#caption').innerText()").split("\n")[0] == "a.h5"
    assert page.run("return await page.locator('#image option').allTextContents()") == ["a.h5", "b.h5"]
    assert "dB re peak" in page.run("return await page.locator('#bar svg').textContent()")


TICKS = """
const props = %s.flatMap((renderer) => renderer.getViewProps());
const ticks = props.find((prop) => prop.isA("vtkCubeAxesActor")).getGenerateTicks();
return ticks([-24, 24, -20, 20, 198, 246]).tickStrings;
"""
"""What axes over the box of a.h5 are labelled with."""


def ticks_of(browser, renderers: str) -> list[list[str]]:
    """What the axes of one of the renderers are labelled with."""
    return browser.run(f"return await page.evaluate(() => {{ {TICKS % renderers} }})")


WANTED = [["\u221220", "\u221210", "0", "10", "20"], ["\u221210", "0", "10"], ["210", "220", "230", "240"]]
"""None within 6 % of a corner: -20 and 20 of y, 200 of z."""


def test_axes_leave_the_corners_free(page) -> None:
    assert ticks_of(page, "[window.trame.refs.scene.$.provides.view.renderer]") == WANTED


def test_targets_are_where_they_are(page) -> None:
    page.run("await page.click('#camera-front')")
    time.sleep(0.3)
    both = middle(coloured(page.settled()))
    page.drawn("await page.fill('#level', '-6')")
    row, column = middle(coloured(page.settled()))
    assert column > both[1] + 0.02 and row < both[0] - 0.02  # the strong one: +x to the right, +y up
    page.run("await page.click('#camera-side')")
    time.sleep(0.3)
    assert middle(coloured(page.settled()))[1] > 0.5  # +z to the right


def test_slider_changes_the_picture_and_keeps_camera_and_titles(page) -> None:
    strong = page.settled()
    page.run("await page.evaluate(() => window.drawnTexts.clear())")
    page.drawn("await page.fill('#level', '-20')")
    weak = page.settled(strong)
    assert coloured(weak).sum() > 1.5 * coloured(strong).sum()
    assert page.run("return await page.locator('#caption').innerText()").endswith("isosurfaces at -20, -10, -3 dB")
    assert page.run("return await page.locator('#bar path.level').count()") == 3
    page.drawn("await page.fill('#level', '-6')")
    assert np.abs(page.settled(weak) - strong).mean() < 1  # from the same side as before
    page.run("await page.mouse.move(500, 300); await page.mouse.down(); await page.mouse.move(560, 340, {steps: 4})")
    page.run("await page.mouse.up()")
    page.settled(strong)
    assert not {"X-Axis", "Y-Axis", "Z-Axis"} & set(page.texts())


def test_slices_and_another_image(page) -> None:
    before = page.settled()
    page.drawn("await page.check('input[value=slices3d]')")
    page.run("await page.click('#camera-front')")
    time.sleep(0.3)
    slices = page.settled(before)

    def column(picture: np.ndarray) -> float:
        red, green, blue = np.moveaxis(picture, -1, 0)
        return middle((red > 180) & (green > 180) & (blue < 120))[1]

    place = column(slices)
    assert coloured(slices).sum() > 5000 and place > 0.55
    page.drawn("await page.selectOption('#image', 'b.h5')")
    other = page.settled(slices)
    assert column(other) < place - 0.1
    page.drawn("await page.fill('#cut-z', '200')")
    assert not page.run("return await page.locator('#fault').count()")
    empty = page.settled(other)
    assert not np.any((empty[..., 0] > 180) & (empty[..., 2] < 120))


def test_picture_is_saved_as_seen(page, tmp_path) -> None:
    target = tmp_path / "saved.png"
    name = page.run(
        "const [saved] = await Promise.all([page.waitForEvent('download'), page.click('#save-picture')]);"
        f"await saved.saveAs({str(target)!r}); return saved.suggestedFilename()"
    )
    assert name == "b.png"
    with Picture.open(target) as picture:
        saved = np.asarray(picture.convert("RGB")).astype(int)
    assert coloured(saved[:, :-100]).sum() > 5000
    assert coloured(saved[:, -100:]).sum() > 1000  # the colour bar
    assert np.any(saved[10:30, 10:60].max(axis=-1) < 120)  # the name


def test_volume_is_drawn_by_the_server(page, server) -> None:
    if fault := rendering().fault:
        assert page.run("return await page.isDisabled('input[value=volume]')")
        pytest.skip(f"cannot draw here: {fault}")
    before = page.settled()
    page.drawn("await page.check('input[value=volume]')")
    first = page.settled(before)
    page.drawn("await page.fill('#level', '-25')")
    weak = page.settled(first)
    page.drawn("await page.fill('#level', '-6')")
    strong = page.settled(weak)
    assert coloured(strong).sum() < coloured(weak).sum()
    status, content = server.get("/picture.png", Cookie=server.cookie)
    assert status == 200 and content.startswith(b"\x89PNG")
    page.drawn("await page.check('input[value=iso]')")


def test_a_name_from_outside_is_refused_by_the_page(page) -> None:
    page.run("await page.evaluate(() => window.trame.state.set('image', '../secret.h5'))")
    assert "outside" in page.run("return await page.locator('#fault').innerText()")
    page.drawn("await page.selectOption('#image', 'a.h5')")
    page.run("await page.waitForSelector('#fault', {state: 'detached'})")


def test_no_script_has_failed(page) -> None:
    assert page.run("return errors") == []


def test_wrong_token_shows_no_page(page, server) -> None:
    wrong = f"http://127.0.0.1:{server.port}/?token=wrong"
    code = f"const p = await context.newPage(); await p.goto({wrong!r}); const t = await p.textContent('body');"
    assert "wrong or missing token" in page.run(code + "await p.close(); return t")


def test_exported_page_draws_without_a_server(server, browser, tmp_path, capsys) -> None:
    target = tmp_path / "page.html"
    assert main(["view", str(server.folder / "a.h5"), "--levels=-20,-6", "--export-html", str(target)]) == 0
    assert capsys.readouterr().out.strip() == str(target)
    asked = browser.run(
        "const from = requests.length;"
        f"await page.goto('file://{target}'); await page.waitForSelector('canvas'); await page.waitForTimeout(400);"
        "return requests.slice(from)"
    )
    assert [urlsplit(address).scheme for address in asked if not address.startswith(("data:", "blob:"))] == ["file"]
    assert coloured(browser.pixels("body")[:, :-100]).sum() > 500
    assert {"x [mm]", "y [mm]", "z [mm]"} <= set(browser.texts())
    assert ticks_of(browser, "window.global.renderWindow.getRenderers()") == WANTED
    said = browser.run("return await page.locator('.mmsar').allInnerTexts()")
    assert said[0].split() == "a.h5 isosurfaces at -20, -6 dB".split() and "dB re peak" in said[1]


def test_no_request_has_left_this_machine(page, server) -> None:
    addresses = page.run("return requests")
    hosts = {urlsplit(address).netloc for address in addresses if not address.startswith(("data:", "blob:", "file:"))}
    assert hosts == {f"127.0.0.1:{server.port}"}
    assert any(address.startswith("ws:") for address in addresses)


def test_ctrl_c_ends_it(server) -> None:
    server.process.send_signal(signal.SIGINT)
    _, said = server.process.communicate(timeout=20)
    assert server.process.returncode == 0 and "Traceback" not in said
    with pytest.raises(urllib.error.URLError):
        server.get("/")
