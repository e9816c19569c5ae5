"""Who may use the served page: requests to this machine that carry the token, and pages that this server made.

The token stands in the address that is printed. Opening it moves the token out of the address bar into a cookie that
scripts cannot read and that goes along with no request of another site's page (a link there may lead here: Lax).
Every request is checked, the WebSocket's too.
"""

import secrets
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from urllib.parse import urlsplit

from aiohttp import web

HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser reaches this machine, also through a tunnel; another name would be another site's."""
REFUSED = "mmsar: wrong or missing token; open the address that mmsar view --serve has printed\n"
FOREIGN = "mmsar: this page answers to 127.0.0.1 and localhost only\n"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self' ws://127.0.0.1:* ws://localhost:* data: blob:; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Of every answer: the browser itself refuses whatever would leave this machine."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_token() -> str:
    """192 random bits, fit for an address."""
    return secrets.token_urlsafe(24)


def guard(app: web.Application, token: str) -> None:
    """Have an application answer only to requests with the token.

    Parameters
    ----------
    app : aiohttp.web.Application
        Not yet started.
    token : str
        See `new_token`.
    """
    cookie = f"mmsar-{secrets.token_hex(4)}"  # several viewers on one machine share the browser's cookies

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if fault := foreign(request.host, request.headers.get("Origin")):
            return web.Response(status=403, text=fault)
        given = request.query.get("token")
        if given is None:
            if not same(request.cookies.get(cookie, ""), token):
                return web.Response(status=403, text=REFUSED)
            return await handler(request)
        if not same(given, token):
            return web.Response(status=403, text=REFUSED)
        if request.path != "/":
            return await handler(request)
        answer = web.Response(status=303, headers={"Location": "index.html"})
        answer.set_cookie(cookie, token, httponly=True, samesite="Lax", path="/")
        return answer

    async def label(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)

    app.middlewares.append(check)
    app.on_response_prepare.append(label)


def same(given: str, token: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how much of them is."""
    return compare_digest(given.encode(), token.encode())


def foreign(host: str, origin: str | None) -> str:
    """Why a request is not from a page of this server on this machine; empty where it may be.

    Parameters
    ----------
    host : str
        What the browser believes to talk to, with the port.
    origin : str, optional
        The site whose page asks, as https://example.org.
    """
    if urlsplit(f"//{host}").hostname not in HOSTS:
        return FOREIGN
    return FOREIGN if origin is not None and urlsplit(origin).netloc != host else ""
