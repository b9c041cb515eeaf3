"""Serves the page until it is stopped."""

from __future__ import annotations

import secrets
import signal
import socket
from types import FrameType

import uvicorn

from exlcap.capture.preview.app import make_app
from exlcap.capture.preview.guard import Keys, is_loopback
from exlcap.capture.preview.live import LiveRig
from exlcap.core.console import say
from exlcap.core.errors import ExlcapError

PORT = 8150
"""The default; where it is in use, a free one is taken."""
TOKEN_BYTES = 16


def serve(live: LiveRig, address: str, port: int | None) -> None:
    """Show a rig on a page at an address and print where. port: None for the default, or a free one.

    Returns after Ctrl-C or SIGTERM; a take is ended after the pair in flight, the cameras are released.
    """
    listening = listen(address, port)
    port = listening.getsockname()[1]
    access = None if is_loopback(address) else secrets.token_urlsafe(TOKEN_BYTES)
    server = make_server(live, Keys(access, port), address)
    for stop in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again after it has stopped
        signal.signal(stop, _interrupt)
    host = f"[{address}]" if ":" in address else address
    say(f"preview: http://{host}:{port}/" + ("" if access is None else f"?token={access}"))
    if access is None:
        say(f"  from another machine: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE and the same address; Ctrl-C stops")
    else:
        say("  whoever has this address sees and controls the rig, and the network can read along; Ctrl-C stops")
    try:
        with live:
            server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
    say("stopped; the cameras are released")


def make_server(live: LiveRig, keys: Keys, address: str) -> uvicorn.Server:
    """The server, not yet running. Its log is quiet: the page says what goes wrong."""
    config = uvicorn.Config(
        make_app(live, keys, address),
        log_level="error",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def listen(address: str, port: int | None) -> socket.socket:
    """A socket that listens. Raises ExlcapError when the address is not of this machine or the port is taken."""
    for attempt in (PORT, 0) if port is None else (port,):
        try:
            family = socket.getaddrinfo(address, attempt, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((address, attempt), family=family)
        except OSError as error:
            problem = error
    raise ExlcapError(
        f"cannot listen on {address}: {problem.strerror or problem}",
        "choose another --port, or an address of this machine (127.0.0.1 is this machine alone)",
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
