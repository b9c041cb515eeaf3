"""Who may see the page, and who may change something.

A web site open in the same browser must not reach the cameras: every request must name this server (DNS rebinding) and
carry a cookie that a foreign site's requests do not get; one that changes something must come from our own page and
carry a token that only the page knows. Beyond loopback the first address opened must hold a secret.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_HEADER = "x-exlcap-page"
GONE_AFTER_S = 10.0
"""A page that has sent no request for this long loses control."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class Gate:
    """ASGI: lets through only requests that name this server, and keeps answers to our own page.

    address: where the server listens. Where that is every address of the machine, any numeric address will do, because
    no foreign site can have one as its name, and so will the machine's own name.
    """

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._app = app
        self._names = {*LOOPBACK, address.lower()}
        self._any_number = address in ("0.0.0.0", "::")
        if self._any_number:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # no web sockets are served here
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            answer = PlainTextResponse("this name is not served here", 421)
        elif scope["method"] not in ("GET", "HEAD") and headers.get("origin") != f"http://{host}":
            answer = PlainTextResponse("changes are accepted only from this server's own page", 403)
        else:
            await self._app(scope, receive, keep)
            return
        await answer(scope, receive, keep)

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.rpartition(":")[0] or host
        name = name.lower()
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_number


class Keys:
    """Signs what browsers and pages carry, so that none need be remembered. access: the secret beyond loopback."""

    def __init__(self, access: str | None, port: int) -> None:
        self._access = access
        self._secret = secrets.token_bytes(32)
        self.cookie = f"exlcap-{port}"  # cookies are shared by all ports of a machine

    def admits(self, secret: str | None) -> bool:
        """Whether a browser that brings this secret gets a cookie."""
        return self._access is None or hmac.compare_digest(self._access.encode(), (secret or "").encode())

    def new_session(self) -> tuple[str, str]:
        """An identifier for a new browser, and the value of its cookie."""
        session = secrets.token_hex(16)
        return session, self._signed(session, "session")

    def session(self, cookies: Mapping[str, str]) -> str | None:
        """Which browser carries these cookies; None where ours is not among them."""
        return self._checked(cookies.get(self.cookie, ""), "session")

    def new_page(self, session: str) -> str:
        """The token of a page that is about to be sent to a browser."""
        return self._signed(secrets.token_hex(8), session)

    def page(self, token: str, session: str) -> str | None:
        """Which page a token belongs to; None where it is not one of this browser's."""
        return self._checked(token, session)

    def _signed(self, name: str, purpose: str) -> str:
        return f"{name}.{hmac.new(self._secret, f'{purpose}:{name}'.encode(), sha256).hexdigest()}"

    def _checked(self, signed: str, purpose: str) -> str | None:
        name = signed.partition(".")[0]
        return name if hmac.compare_digest(self._signed(name, purpose).encode(), signed.encode()) else None


class Control:
    """One page controls, the others watch. The first page has control until it is gone or another one takes over.

    now_s: the clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._page: str | None = None
        self._last_s = 0.0

    def seen(self, page: str) -> bool:
        """Take note of a request of a page. Whether that page controls; it does from now on where no other one does."""
        now = self._now_s()
        if self._page is None or now - self._last_s > GONE_AFTER_S:
            self._page = page
        if page == self._page:
            self._last_s = now
        return page == self._page

    def take_over(self, page: str) -> None:
        """From now on this page controls."""
        self._page, self._last_s = page, self._now_s()
