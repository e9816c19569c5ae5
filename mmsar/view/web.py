"""The viewer in the browser: a server on 127.0.0.1 that shows images of one folder to whoever has the token.

Surfaces and slices are drawn by the browser, the volume by this machine where it can. Nothing comes from elsewhere.
"""

import asyncio
import errno
import getpass
import os
import platform
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsar.errors import DeviceError, FormatError, MmsarError
from mmsar.view.look import Look
from mmsar.view.rendering import rendering

if TYPE_CHECKING:
    import numpy as np

HOST = "127.0.0.1"
PORT = 8765
NEEDED = {"pyvista": "pyvista", "trame": "trame", "trame_vtk": "trame-vtk"}
"""Package as it is imported -> as it is installed."""
INSTALL = "pip install 'mmsar[web]'"
QUIET = {"WSLINK_READY_MSG": "", "TRAME_ARGS": ""}
"""Environment of the server: it prints nothing of its own, and takes this program's arguments for none of its."""
CHUNK = 1 << 20
"""Bytes of a file that are sent at a time."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the page is."""

    port: int
    token: str
    volume_fault: str
    """Why no volume can be drawn here; empty where it can."""

    @property
    def url(self) -> str:
        """To open in a browser of this machine, or of one with the tunnel."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    @property
    def tunnel(self) -> str:
        """What to type on another machine so that the same address works there."""
        return f"ssh -L {self.port}:{HOST}:{self.port} {getpass.getuser()}@{platform.node()}"


def check_installed() -> None:
    """MmsarError where packages of the extra are missing."""
    missing = [name for package, name in NEEDED.items() if find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MmsarError(f"the browser's view needs {' and '.join(missing)}, which {verb} not installed; {INSTALL}")


def serve(
    given: Sequence[str | os.PathLike[str]],
    *,
    port: int = PORT,
    look: Look,
    aperture: "np.ndarray | None" = None,
    on_ready: Callable[[Address], None],
) -> None:
    """Show images in the browser until Ctrl-C or SIGTERM.

    Parameters
    ----------
    given : sequence of path
        A folder, or images of one folder; all images of it can be chosen.
    port : int
        To listen on; 0: any free one.
    look : Look
        What is shown first.
    aperture : (..., 3) array, optional
        Phase centres [m], drawn with every image.
    on_ready : callable
        Called with the address when the page can be opened.

    Raises
    ------
    MmsarError
        The extra `web` is not installed.
    DeviceError
        The port is taken.
    FormatError, GeometryError
        Images of several folders, or one that cannot be read or drawn.
    """
    check_installed()
    from mmsar.view.web_folder import ImageFolder

    folder = ImageFolder(given)
    with _environment(QUIET):
        asyncio.run(_serve(folder, port, on_ready, look=look, aperture=aperture))


async def _serve(folder: Any, port: int, on_ready: Callable[[Address], None], **shown: Any) -> None:
    await _check_free(port)
    trial = asyncio.create_task(asyncio.to_thread(rendering))  # in a process of its own: imports go on meanwhile
    from trame.app import get_server

    from mmsar.view.web_auth import guard, new_token
    from mmsar.view.web_page import Page
    from mmsar.view.web_scene import use_titled_axes

    token = new_token()
    server = get_server(f"mmsar-{token[:8]}", client_type="vue3")
    image = await asyncio.to_thread(folder.load, folder.first)
    drawing = await trial
    page = Page(server, folder, image, drawing=drawing, **shown)

    def bind(web_server: Any) -> None:
        guard(web_server.app, token)
        _add_downloads(web_server.app, page)
        use_titled_axes()

    def ready(**_: object) -> None:
        on_ready(Address(port=server.port, token=token, volume_fault=drawing.fault))

    server.controller.on_server_bind.add(bind)
    server.controller.on_server_ready.add(ready)
    ended = asyncio.Event()
    with _stopping(ended):
        running = asyncio.create_task(
            server.start(
                exec_mode="coroutine",
                port=port,
                host=HOST,
                thread=True,  # the signals are ours
                open_browser=False,
                show_connection_info=False,
                disable_logging=True,
                timeout=0,
                backend="aiohttp",
            )
        )
        following = asyncio.create_task(page.follow())
        stop = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({running, following, stop}, return_when=asyncio.FIRST_COMPLETED)
            for task in (running, following):
                if task.done():
                    task.result()
        except OSError as error:
            raise _port_error(port, error) from error
        finally:
            if stop.done():
                await server.stop()
            for task in (running, following, stop):
                task.cancel()
            await asyncio.gather(running, following, stop, return_exceptions=True)


async def _check_free(port: int) -> None:
    """DeviceError where a port is taken: said before anything is loaded."""
    try:
        probe = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, port)
    except OSError as error:
        raise _port_error(port, error) from error
    probe.close()
    await probe.wait_closed()


def _port_error(port: int, error: OSError) -> MmsarError:
    if error.errno == errno.EADDRINUSE:
        return DeviceError(f"port {port} of {HOST} is taken, wanted a free one; give another --port, or 0 for any")
    reason = (error.strerror or str(error)).lower()
    return DeviceError(f"port {port} of {HOST} cannot be opened ({reason}); give another --port, or 0 for any")


def _add_downloads(app: Any, page: Any) -> None:
    """Addresses for files: /image.vti?name=... and /picture.png."""
    from aiohttp import web

    async def vti(request: Any) -> Any:
        from mmsar.io.export import export_image

        name = request.query.get("name", "")
        with tempfile.TemporaryDirectory(prefix="mmsar-") as folder:
            target = Path(folder) / "image.vti"
            try:
                image = await asyncio.to_thread(page.folder.load, name)
            except (FormatError, OSError) as error:
                return web.Response(status=404, text=f"mmsar: {error}\n")
            await asyncio.to_thread(export_image, image, target)
            answer = web.StreamResponse(headers=_attachment(Path(name).stem + ".vti"))
            answer.content_length = target.stat().st_size
            await answer.prepare(request)
            with target.open("rb") as file:
                while part := await asyncio.to_thread(file.read, CHUNK):
                    await answer.write(part)
            await answer.write_eof()
            return answer

    async def picture(_: Any) -> Any:
        from mmsar.view.movie import write_picture

        pixels = page.picture()
        if pixels is None:
            return web.Response(status=404, text="mmsar: the server draws nothing now; choose the volume first\n")
        with tempfile.TemporaryDirectory(prefix="mmsar-") as folder:
            target = Path(folder) / "picture.png"
            write_picture(pixels, target)
            return web.Response(body=target.read_bytes(), content_type="image/png")

    async def session(request: Any) -> Any:
        """Where the page's first question, meant for a launcher of many servers, finds this one."""
        return web.json_response({"sessionURL": f"ws://{request.host}/ws", "secret": "wslink-secret"})

    app.router.add_post("/paraview/", session)
    app.router.add_get("/image.vti", vti)
    app.router.add_get("/picture.png", picture)


def _attachment(name: str) -> dict[str, str]:
    """Headers of a file to be saved under a name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name)
    return {"Content-Type": "application/octet-stream", "Content-Disposition": f'attachment; filename="{plain}"'}


@contextmanager
def _environment(values: dict[str, str]) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _stopping(ended: asyncio.Event) -> Any:
    """Ctrl-C and SIGTERM set an event instead of breaking into whatever runs."""
    loop = asyncio.get_running_loop()

    def end(*_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(ended.set)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
