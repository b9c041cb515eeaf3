"""The preview served to a test: cameras, page and a browser that speaks nothing but HTTP."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

from exlcap.capture.cameras.simulated import Clock, Fault, SimulatedCamera
from exlcap.capture.preview.guard import Keys
from exlcap.capture.preview.live import LiveRig
from exlcap.capture.preview.serve import listen, make_server

PATIENCE_S = 480
"""Less than the limit of a test: what did not happen is named."""


def until(condition, what="it"):
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
    return found


def simulated(*unplugged_at, clocks=False, size=(64, 64)):
    """What opens two simulated cameras; the dark one of the nth opening is unplugged at the nth pulse given."""
    pulses = iter(unplugged_at)

    def open_cameras(rig):
        pulse = next(pulses, None)
        faults = () if pulse is None else (Fault(pulse, "unplug"),)
        well = Clock(origin_ns=5, drift_ppm=20) if clocks else None
        low = Clock(origin_ns=10**12, drift_ppm=-30, jitter_ns=300) if clocks else None
        return {"well": SimulatedCamera("0815-0000", size, clock=well),
                "low": SimulatedCamera("0815-0001", size, clock=low, faults=faults)}  # fmt: skip

    return open_cameras


class Page:
    """A page of a browser: loads `/`, keeps cookie and token."""

    def __init__(self, url, cookie=None):
        self.url = url
        self.cookie = cookie
        answer = self.get("/")
        self.html = answer.read().decode()
        self.cookie = self.cookie or answer.headers["set-cookie"].split(";")[0]
        self.token = re.search(r'name="exlcap-page" content="([^"]+)"', self.html)[1]

    def get(self, path, **headers):
        return self.send(urllib.request.Request(self.url + path), headers)

    def post(self, path, body=b"", **headers):
        request = urllib.request.Request(self.url + path, data=body, method="POST")
        return self.send(request, {"origin": self.url, **headers})

    def send(self, request, headers):
        known = {"cookie": self.cookie, "x-exlcap-page": getattr(self, "token", None)}
        for name, value in {**known, **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
            if value is not None:
                request.add_header(name, value)
        return urllib.request.urlopen(request, timeout=PATIENCE_S)

    def do(self, action, **asked):
        """Status and answer of an action."""
        try:
            answer = self.post(f"/api/do/{action}", json.dumps(asked).encode())
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, json.loads(answer.read())

    def look(self, after=0, **asked):
        """State and pictures."""
        query = "&".join(f"{key}={value}" for key, value in {"after": after, "width": 480, **asked}.items())
        body = self.get(f"/api/look?{query}").read()
        at = 4 + int.from_bytes(body[:4], "big")
        state, pictures = json.loads(body[4:at]), {}
        for name, size in state["sizes"].items():
            pictures[name], at = body[at : at + size], at + size
        assert at == len(body)
        return state, pictures

    def until(self, condition, what="it"):
        """Look until something holds of the state."""
        return until(lambda: (state := self.look()[0]) and condition(state) and state, what)


def status_of(call):
    """The status of a request, refused or not."""
    try:
        return call().status
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def served(workspace, open_cameras=None, access=None, port=0):
    """The live rig and the address of its page. port: 0 for a free one."""
    live = LiveRig(workspace.root) if open_cameras is None else LiveRig(workspace.root, open_cameras)
    listening = listen("127.0.0.1", port)
    port = listening.getsockname()[1]
    server = make_server(live, Keys(access, port), "127.0.0.1")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    with live:
        thread.start()
        try:
            yield live, f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
            listening.close()
