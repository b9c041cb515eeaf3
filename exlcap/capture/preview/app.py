"""The page as a web application: the page itself, what it sees, and what it asks for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from html import escape
from importlib.resources import files
from string import Template
from typing import TypeVar, get_args

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from exlcap.capture.preview.actions import ACTIONS, act
from exlcap.capture.preview.guard import TOKEN_HEADER, Control, Gate, Keys
from exlcap.capture.preview.live import LiveRig
from exlcap.capture.preview.look import Look, Looker
from exlcap.capture.preview.state import state_of
from exlcap.capture.preview.views import Amplify, Mode
from exlcap.core.errors import ExlcapError

WIDTHS = (480, 640, 960)
MODES: tuple[Mode, ...] = get_args(Mode)
AMPLIFICATIONS: tuple[Amplify, ...] = get_args(Amplify)
Choice = TypeVar("Choice")
MAX_BODY_BYTES = 4096
"""Every request of the page is shorter."""
FILES = {
    "style.css": "text/css",
    "app.js": "text/javascript",
    "draw.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
EXPIRED = {"message": "this page is unknown here", "hint": "reload the page", "expired": True}


class Site:
    """Answers requests about one live rig."""

    def __init__(self, live: LiveRig, looker: Looker, keys: Keys) -> None:
        self._live = live
        self._looker = looker
        self._keys = keys
        self._control = Control()

    async def page(self, request: Request) -> Response:
        """The page, with a token of its own; beyond loopback, only for a browser that brings the secret."""
        session, cookie = self._keys.session(request.cookies), None
        if session is None:
            if not self._keys.admits(request.query_params.get("token")):
                return Response("open the address that `exlcap preview` printed; it contains a token", 403)
            session, cookie = self._keys.new_session()
        text = Template(_file("index.html")).substitute(
            token=self._keys.new_page(session), rig=escape(self._live.workspace.rig.name)
        )
        answer = HTMLResponse(text)
        if cookie is not None:
            answer.set_cookie(self._keys.cookie, cookie, httponly=True, samesite="strict")
        return answer

    async def file(self, request: Request) -> Response:
        """A part of the page that holds nothing about the rig."""
        name = request.path_params["name"]
        return Response(_file(name), media_type=FILES[name]) if name in FILES else Response(status_code=404)

    async def look(self, request: Request) -> Response:
        """The newest pair and all numbers: length of the JSON in four bytes, the JSON, then the pictures.

        Waits for a pair newer than `after`, or a second.
        """
        page = self._page(request)
        if page is None:
            return JSONResponse(EXPIRED, 403)
        try:
            after, look = int(request.query_params.get("after", 0)), _look(request)
        except ValueError as error:
            return JSONResponse({"message": f"cannot show that: {error}", "hint": "reload the page"}, 400)
        seen = await self._looker.look(after, look)
        state = await run_in_threadpool(state_of, self._live, self._looker, seen)
        state["controls"] = self._control.seen(page)
        pictures = {} if seen is None else seen.pictures
        state["sizes"] = {name: len(jpeg) for name, jpeg in pictures.items()}
        head = json.dumps(state, allow_nan=False).encode()
        return Response(
            b"".join([len(head).to_bytes(4, "big"), head, *pictures.values()]), media_type="application/octet-stream"
        )

    async def do(self, request: Request) -> Response:
        """Carry out an action of the page that controls."""
        page, name = self._page(request), request.path_params["name"]
        if page is None:
            return JSONResponse(EXPIRED, 403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return JSONResponse({"message": "the request is too long", "hint": "reload the page"}, 413)
        if name == "take-over":
            self._control.take_over(page)
            return JSONResponse({"message": "this page controls now"})
        if name not in ACTIONS:
            return JSONResponse({"message": f"no action {name!r}", "hint": "reload the page"}, 404)
        if not self._control.seen(page):
            return JSONResponse({"message": "another page controls the rig", "hint": "take over first"}, 409)
        try:
            return JSONResponse({"message": await run_in_threadpool(act, self._live, self._looker, name, body)})
        except ExlcapError as error:
            return JSONResponse({"message": error.message, "hint": error.hint}, 400)

    def _page(self, request: Request) -> str | None:
        """Which of our pages sent a request; None when it is not one of ours."""
        session = self._keys.session(request.cookies)
        return None if session is None else self._keys.page(request.headers.get(TOKEN_HEADER, ""), session)


def make_app(live: LiveRig, keys: Keys, address: str) -> ASGIApp:
    """The application. address: where it is served."""
    looker = Looker(live)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        looker.close()

    site = Site(live, looker, keys)
    routes = [
        Route("/", site.page),
        Route("/{name}", site.file),
        Route("/api/look", site.look),
        Route("/api/do/{name}", site.do, methods=["POST"]),
    ]
    return Gate(Starlette(routes=routes, lifespan=lifespan, exception_handlers={ExlcapError: _refusal}), address)


async def _refusal(request: Request, error: Exception) -> Response:
    hint = error.hint if isinstance(error, ExlcapError) else ""
    return JSONResponse({"message": str(error), "hint": hint}, 400)


def _look(request: Request) -> Look:
    """How the page wants to see a pair. Raises ValueError for what none of our pages would ask."""
    query = request.query_params
    width = int(query.get("width", 960))
    if width not in WIDTHS:
        raise ValueError(f"width {width}")
    place = None
    if loupe := query.get("loupe"):
        x, y = (float(part) for part in loupe.split(","))
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"loupe {loupe}")
        place = round(x, 3), round(y, 3)
    mode = _one_of(MODES, query.get("mode", "views"))
    amplify = _one_of(AMPLIFICATIONS, query.get("amplify", "mean"))
    return Look(width, mode, amplify, query.get("marks", "1") == "1", place)


def _one_of(choices: Sequence[Choice], value: str) -> Choice:
    for choice in choices:
        if choice == value:
            return choice
    raise ValueError(f"{value!r} is not one of {', '.join(map(str, choices))}")


def _file(name: str) -> str:
    return (files("exlcap.capture.preview") / "page" / name).read_text(encoding="utf-8")
