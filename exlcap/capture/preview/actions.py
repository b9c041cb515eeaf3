"""The actions of a page that controls the rig: each is checked as the command line would and answered in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from pydantic import Field, ValidationError

from exlcap import __version__
from exlcap.capture.preview.alignment_watch import measure_live_drift
from exlcap.capture.preview.live import LiveRig, Wanted
from exlcap.capture.preview.look import Look, Looker
from exlcap.capture.takes.plan import Request
from exlcap.core.drift import describe_drift
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.files import write_atomic, write_json
from exlcap.core.records import Record
from exlcap.core.rig import LIGHTS, Setting
from exlcap.core.rig_file import store_base
from exlcap.core.take import encode_raw
from exlcap.core.workspace import check_name

Answer = str


class Show(Record):
    """Show a scene with these settings. k: None for those of the static reference."""

    scene: str
    exposure_us: float = Field(ge=1, le=10_000_000)
    gain_db: float = Field(ge=0, le=48)
    k: int | None = Field(ge=1, le=99)


class ShootScene(Record):
    """Shoot the scene that is shown. pairs: per step; None as rig.toml says."""

    pairs: int | None = Field(default=None, ge=1, le=100_000)


class NoParameters(Record):
    """An action without parameters."""


def show(live: LiveRig, looker: Looker, parameters: Show) -> Answer:
    """Show a scene with other settings."""
    live.want(Wanted(check_name(parameters.scene, "scene"), parameters.exposure_us, parameters.gain_db, parameters.k))
    return "shown"


def shoot(live: LiveRig, looker: Looker, parameters: ShootScene) -> Answer:
    """Shoot the scene shown with its settings, all steps of its schedule, as `exlcap shoot` does."""
    wanted = live.wanted
    live.shoot(Request(wanted.scene, wanted.exposure_us, wanted.gain_db, pairs=parameters.pairs))
    return f"shooting {wanted.scene}"


def resume(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """Finish the take that ended early."""
    rest = None if live.status.ended is None else live.status.ended.rest
    if rest is None:
        raise Refused("the last take is complete", "shoot a new one")
    live.shoot(rest)
    return f"finishing {rest.scene or 'the reference'}"


def shoot_reference(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """Shoot a static reference, as `exlcap shoot --reference` does."""
    live.shoot(Request(scene=None))
    return "shooting a reference"


def cancel(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """End the take after the pair in flight."""
    live.cancel()
    return "the take ends after this pair"


def store(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """Write exposure and gain into rig.toml as the scene's base."""
    wanted = live.wanted
    base = Setting(exposure_us=wanted.exposure_us, gain_db=wanted.gain_db)
    store_base(live.workspace.root / "rig.toml", wanted.scene, base)
    live.reread()
    return f"rig.toml: [scenes.{wanted.scene}] is {base.exposure_us:g} us, {base.gain_db:g} dB"


def forget_peaks(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """Forget the peaks of sharpness."""
    looker.forget_peaks()
    return "the peaks of sharpness are reset"


def snapshot(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """Keep the newest pair: both raw frames, and what the page shows of them."""
    newest = live.newest
    if newest is None:
        raise Refused("there is no pair yet", "wait until both views are live")
    shot, rig = newest.shot, live.workspace.rig
    now = datetime.now(timezone.utc)
    folder = live.workspace.root / "snapshots" / now.strftime("%Y%m%d-%H%M%S-%f")[:-3]
    seen = looker.see(newest, Look(marks=False))
    for light in LIGHTS:
        grab = shot.grab(light)
        if grab.raw is None:
            raise Refused(f"the {light} frame has no picture", "try again")
        metadata = {"role": light, "serial": rig.serial(light), "bayer": "RGGB", "bits": 12,
                    "read_back": shot.read_back[light].model_dump()}  # fmt: skip
        write_atomic(folder / f"{light}.tif", encode_raw(grab.raw, metadata))
        write_atomic(folder / f"{light}.jpg", seen.pictures[light])
    write_json(folder / "snapshot.json", {
        "created": now.isoformat(timespec="milliseconds"), "exlcap": __version__, "scene": live.wanted.scene,
        "step": shot.step.model_dump(mode="json"), "sync_mode": rig.sync.mode,
        **{light: {"read_back": shot.read_back[light].model_dump(), **seen.measured[light].data()} for light in LIGHTS},
    })  # fmt: skip
    return f"kept as {folder.relative_to(live.workspace.root).as_posix()}"


def measure_drift(live: LiveRig, looker: Looker, parameters: NoParameters) -> Answer:
    """Measure how far the views lie from the alignment in force."""
    looker.drift = measure_live_drift(live, looker)
    return describe_drift(looker.drift)


Action = Callable[[LiveRig, Looker, Any], Answer]
ACTIONS: dict[str, tuple[type[Record], Action]] = {
    "show": (Show, show),
    "shoot": (ShootScene, shoot),
    "resume": (NoParameters, resume),
    "reference": (NoParameters, shoot_reference),
    "cancel": (NoParameters, cancel),
    "store": (NoParameters, store),
    "forget-peaks": (NoParameters, forget_peaks),
    "snapshot": (NoParameters, snapshot),
    "measure-drift": (NoParameters, measure_drift),
}


def act(live: LiveRig, looker: Looker, name: str, body: bytes) -> Answer:
    """Carry out an action. Raises ExlcapError when it cannot be done or the request is malformed."""
    record, action = ACTIONS[name]
    try:
        parameters = record.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or name
        raise ExlcapError(
            f"{where}: {first['msg']}", "correct that value; times are in microseconds, gains in dB"
        ) from None
    return action(live, looker, parameters)
