"""The FiftyOne App's server behind a key: ``python -m exlcap.annotate.review.server PORT``, with the key in KEY.

FiftyOne's own server has no login and serves any file that its user can read to whoever reaches the port: to other
users of the machine, and to web pages in their browsers. This one answers only a browser that has opened the address
with the key.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from typing import Any

from exlcap.annotate.review.mongo import ADDRESS

KEY = "EXLCAP_REVIEW_KEY"
"""Environment variable with the key."""


def guarded(app: Any, key: str, port: int) -> Any:
    """An ASGI app that serves `app` to requests with the key: first as `?key=`, then as the cookie that this sets."""
    from starlette.requests import HTTPConnection
    from starlette.responses import PlainTextResponse, RedirectResponse, Response

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await app(scope, receive, send)  # type: ignore[no-any-return]
        asked = HTTPConnection(scope)
        if _same(asked.query_params.get("key", ""), key):
            response: Response = RedirectResponse(str(asked.url.remove_query_params("key")), 303)
            response.set_cookie(cookie_name(port), key, httponly=True, samesite="lax")
        elif _same(asked.cookies.get(cookie_name(port), ""), key):
            return await app(scope, receive, send)  # type: ignore[no-any-return]
        else:
            response = PlainTextResponse("Open the address that `exlcap review` printed.\n", 403)
        await response(scope, receive, send)

    return guard


def cookie_name(port: int) -> str:
    """Name of the cookie, which holds for all ports of a host."""
    return f"exlcap-review-{port}"


def _same(given: str, key: str) -> bool:
    return secrets.compare_digest(given.encode(), key.encode())


def main() -> None:
    """Serve until asked to stop."""
    from fiftyone.server.app import app
    from fiftyone.server.events import set_port
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    port = int(sys.argv[1])
    config = Config()
    config.loglevel = "WARNING"
    config.graceful_timeout = 1  # an open browser never closes its event stream
    config.bind = [f"{ADDRESS}:{port}"]
    set_port(port)
    asyncio.run(serve(guarded(app, os.environ.pop(KEY), port), config))


if __name__ == "__main__":
    os.environ["FIFTYONE_SERVER"] = "1"  # as FiftyOne's own main does, before anything of it is imported
    main()
