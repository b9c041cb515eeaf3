"""Does a page that watches slow `exlcap shoot` down, and does it leak?

``python benchmarks/preview.py [--json] [--rounds 20] [--size 960x600]``

Recording: takes of 100 pairs of two emulated cameras (pylon's moving test image) with the code of `shoot`, in turn with
and without a viewer: another process that asks for the newest pair again and again over HTTP, as a page does. Once as
fast as cameras and disk go, which on a small machine means that the emulator, the disk and the pictures share its
cores; once at the 20 pulses a second of rig.toml. Medians of the ratios of neighbouring rounds are compared.
Memory: the live view of two cameras and a viewer, over 10,000 frames; it must not grow in the second half.
Not measured: real cameras, USB, a browser (its page is drawn elsewhere, on a tablet).
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import re
import shutil
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from host import machine, rss_bytes

from exlcap.capture.cameras.pylon import load_pylon, open_pylon_cameras
from exlcap.capture.preview.guard import Keys
from exlcap.capture.preview.live import LiveRig, Wanted
from exlcap.capture.preview.serve import listen, make_server
from exlcap.capture.takes.plan import Request, plan_take
from exlcap.capture.takes.recorder import Recorder
from exlcap.capture.takes.session import Session, shoot_step
from exlcap.capture.takes.shoot import open_writer
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml

AIM = 0.97
PAIRS = 100
FRAMES = 10_000
GROWTH_MB = 20
RATES = {"as_fast_as_it_goes": 1e6, "20_hz": 20.0}


def watch(port: int, looking: Event, ending: Event, seen: Any) -> None:
    """A viewer, in a process of its own: loads the page, then asks for pair after pair while `looking` is set."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/")
    answer = connection.getresponse()
    cookie = answer.headers["set-cookie"].split(";")[0]
    token = re.search(rb'name="exlcap-page" content="([^"]+)"', answer.read())
    assert token is not None
    headers, after = {"cookie": cookie, "x-exlcap-page": token[1].decode()}, 0
    while not ending.is_set():
        if not looking.wait(0.1):
            continue
        try:
            connection.request("GET", f"/api/look?after={after}&width=640", headers=headers)
            body = connection.getresponse().read()
        except http.client.RemoteDisconnected:  # it looked at nothing for a while
            connection.close()
            continue
        state = json.loads(body[4 : 4 + int.from_bytes(body[:4], "big")])
        if state["pair"] is not None and state["pair"]["number"] > after:
            after, seen.value = state["pair"]["number"], seen.value + 1


@contextmanager
def served(live: LiveRig) -> Any:
    """Serve a live rig to a viewer: switch that makes it look, and what counts its pairs."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = make_server(live, Keys(None, port), "127.0.0.1")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    spawn = multiprocessing.get_context("spawn")
    looking, ending, seen = spawn.Event(), spawn.Event(), spawn.Value("i", 0)
    viewer = spawn.Process(target=watch, args=(port, looking, ending, seen))
    viewer.start()
    try:
        yield looking, seen
    finally:
        ending.set()
        viewer.join()
        server.should_exit = True
        thread.join()


def record(workspace: Workspace, live: LiveRig, pulse_hz: float, pairs: int) -> float:
    """Pairs per second of a take, from the first pulse until everything is on the disk."""
    request = Request("plaza", schedule="1", pairs=pairs)
    plan = plan_take(workspace, request)
    cameras = open_pylon_cameras(workspace.rig)
    for camera in cameras.values():
        camera.device.TestImageSelector.Value = "Testimage2"
    sync = workspace.rig.sync.model_copy(update={"pulse_hz": pulse_hz, "guard_frames": 0})
    (work,) = plan.work()
    with Recorder(open_writer(workspace.rig, request, plan, cameras)) as recorder, live.follow(pairs) as operator:
        began = time.perf_counter()
        recorded = lambda shot: operator.recorded(shot, recorder.tally)  # noqa: E731
        shoot_step(Session(cameras, sync, recorder, None, operator.stopping, recorded), work)
    seconds = time.perf_counter() - began
    for camera in cameras.values():
        camera.close()
    shutil.rmtree(plan.folder)
    return pairs / seconds


def rates(workspace: Workspace, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Pairs per second with and without a viewer, in turn."""
    live = LiveRig(workspace.root)  # never started: this benchmark records itself
    live.begin("plaza")
    found: dict[str, dict[str, list[float]]] = {name: {"alone": [], "watched": [], "looks_per_s": []} for name in RATES}
    with served(live) as (looking, seen):
        for name, pulse_hz in RATES.items():
            for turn in range(2 * rounds):
                watched = turn % 4 in (1, 2)  # alone, watched, watched, alone: what drifts cancels
                before, began = seen.value, time.perf_counter()
                (looking.set if watched else looking.clear)()
                rate = record(workspace, live, pulse_hz, PAIRS if pulse_hz > 100 else PAIRS // 4)
                found[name]["watched" if watched else "alone"].append(rate)
                if watched:
                    found[name]["looks_per_s"].append((seen.value - before) / (time.perf_counter() - began))
    return found


def growth_mb(workspace: Workspace) -> tuple[float, int, int]:
    """By how much memory rises from the middle to the end of 10,000 frames, frames seen, and looks at them."""
    rss = {}
    with LiveRig(workspace.root) as live, served(live) as (looking, seen):
        live.wanted = Wanted("plaza", 1000.0, 0.0)
        looking.set()
        for part in (1, 2):
            while live.newest is None or live.newest.number < part * FRAMES // 4:
                time.sleep(0.05)
            rss[part] = rss_bytes() / 1e6
        return rss[2] - rss[1], 2 * live.newest.number, seen.value


def main() -> None:
    """Run both and print rates and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    parser.add_argument("--rounds", type=int, default=20, help="takes with and takes without a viewer, for each rate")
    parser.add_argument("--size", default="960x600", help="width x height of the frames")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    load_pylon(emulated=True)
    began_on = machine()
    with tempfile.TemporaryDirectory() as folder:
        text = rig_toml(emulated=True).replace("width = 960", f"width = {width}")
        text = text.replace("height = 600", f"height = {height}")
        (Path(folder) / "rig.toml").write_text(text, encoding="utf-8")
        found = rates(Workspace(Path(folder)), options.rounds)
        (Path(folder) / "rig.toml").write_text(text.replace("pulse_hz = 20.0", "pulse_hz = 160.0"), encoding="utf-8")
        growth, frames, looks = growth_mb(Workspace(Path(folder)))
    ratios = {
        name: statistics.median(w / a for w, a in zip(one["watched"], one["alone"], strict=True))
        for name, one in found.items()
    }
    print(
        json.dumps(
            {
                "machine": began_on,
                "versions": {name: version(name) for name in ("exlcap", "numpy", "pypylon", "starlette", "uvicorn")},
                "figures": {
                    "size": [width, height],
                    "rounds": options.rounds,
                    "pairs_per_s": {
                        name: {key: round(statistics.median(values), 2) for key, values in one.items()}
                        for name, one in found.items()
                    },
                    "frames_live": frames,
                    "looks_live": looks,
                },
                "bars": {
                    **{
                        f"watched_against_alone_{name}": {"value": round(value, 3), "aim": AIM, "ok": value >= AIM}
                        for name, value in ratios.items()
                    },
                    "growth_mb_over_second_half_of_10000_frames": {
                        "value": round(growth, 1),
                        "aim": GROWTH_MB,
                        "ok": growth <= GROWTH_MB,
                    },
                },
                "not_measured": "real cameras; USB; the browser",
            },
            indent=None if options.json else 1,
        )
    )


if __name__ == "__main__":
    main()
