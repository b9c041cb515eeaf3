"""Everything that the page says in words and numbers, as JSON types."""

from __future__ import annotations

import shutil
from typing import Any

from exlcap.capture.preview.live import LiveRig
from exlcap.capture.preview.look import Looker, Seen
from exlcap.capture.takes.schedule import FRAME_HEAD_BYTES, SPARE_BYTES, check_limits, frame_bytes, steps_for_scene
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Setting


def state_of(live: LiveRig, looker: Looker, seen: Seen | None) -> dict[str, Any]:
    """What is going on and, with `seen`, the numbers of that pair."""
    status, wanted, rhythm = live.status, live.wanted, live.rhythm
    age_s, skew_us = rhythm.age_s(), rhythm.skew_us()
    aligned = looker.alignment(live.workspace)
    return {
        "phase": status.phase,
        "message": status.message,
        "hint": status.hint,
        "wanted": {"scene": wanted.scene, "exposure_us": wanted.exposure_us, "gain_db": wanted.gain_db, "k": wanted.k},
        "age_s": None if age_s is None else round(age_s, 1),
        "rate_hz": round(rhythm.rate_hz(), 1),
        "orphans": rhythm.orphans if status.shooting is None else status.shooting.tally.orphans,
        "last_orphan": None if rhythm.last_orphan is None else rhythm.last_orphan.reason,
        "skew_us": None if skew_us is None else round(skew_us, 2),
        "shooting": _shooting(live),
        "ended": _ended(live),
        "alignment": None if aligned is None else aligned[0],
        "drift": _drift(looker, None if aligned is None else aligned[0]),
        "pair": None if seen is None else _pair(seen),
        **_scene(live),
    }


def _drift(looker: Looker, alignment: str | None) -> dict[str, Any] | None:
    """How far the views lie from the alignment in force; None where that was not measured."""
    drift = looker.drift
    if drift is None or drift.alignment != alignment:
        return None
    return {
        "px": None if drift.px is None else round(drift.px, 3),
        "sd_px": None if drift.corner_sd_px is None else round(drift.corner_sd_px, 3),
        "judgement": drift.judgement,
        "too_far": drift.too_far,
    }


def _shooting(live: LiveRig) -> dict[str, Any] | None:
    """Progress of the take."""
    shooting = live.status.shooting
    if shooting is None:
        return None
    return {
        "what": shooting.what,
        "total": shooting.total,
        "done": shooting.done,
        "k": shooting.k,
        "waiting": shooting.tally.waiting,
    }


def _ended(live: LiveRig) -> dict[str, Any] | None:
    """How the last take ended."""
    ended = live.status.ended
    if ended is None:
        return None
    unfinished = ended.rest is not None
    return {
        "number": ended.number,
        "ok": ended.ok,
        "message": ended.message,
        "hint": ended.hint,
        "unfinished": unfinished,
    }


def _pair(seen: Seen) -> dict[str, Any]:
    """The numbers of the pair whose pictures are sent along."""
    shot = seen.newest.shot
    cameras: dict[str, dict[str, Any]] = {}
    for light in LIGHTS:
        grab, focus = shot.grab(light), seen.focus[light]
        setting, measured = grab.chunk or shot.read_back[light], seen.measured[light]
        cameras[light] = {
            "exposure_us": round(setting.exposure_us, 2),
            "gain_db": round(setting.gain_db, 2),
            "proved": grab.chunk is not None,
            "temperature_c": grab.temperature_c,
            "focus_of_peak": None if focus is None else round(focus, 4),
            **measured.data(),
        }
    return {"number": seen.number, "k": shot.step.k, **cameras}


def _scene(live: LiveRig) -> dict[str, Any]:
    """The scene's base in rig.toml, what each step of its schedule would be, and how many scenes the disk holds."""
    rig, wanted = live.workspace.rig, live.wanted
    divisors = rig.divisors(wanted.scene)
    base = rig.scene_base(wanted.scene)
    pairs = len(divisors) * rig.schedule.pairs_per_step
    scene_bytes = 2 * pairs * (frame_bytes(rig) + FRAME_HEAD_BYTES)
    free = shutil.disk_usage(live.workspace.root).free
    return {
        "base": {
            "exposure_us": base.exposure_us,
            "gain_db": base.gain_db,
            "own": wanted.scene in rig.scenes,
        },
        "steps": [_step(live, k) for k in divisors],
        "pairs_per_step": rig.schedule.pairs_per_step,
        "scenes_left": max(0, free - SPARE_BYTES) // scene_bytes,
        "free_gb": round(free / 1e9, 1),
    }


def _step(live: LiveRig, k: int) -> dict[str, Any]:
    """A step of the schedule at the base that is shown, or why it cannot be shot."""
    base = Setting(exposure_us=live.wanted.exposure_us, gain_db=live.wanted.gain_db)
    try:
        (step,) = steps_for_scene(live.workspace.rig, base, (k,))
        if live.limits:
            check_limits([step], live.workspace.rig, live.limits)
    except ExlcapError as error:
        return {"k": k, "problem": error.message}
    return {"k": k, "problem": None, "well": _numbers(step.well), "low": _numbers(step.low)}


def _numbers(setting: Setting) -> dict[str, float]:
    return {"exposure_us": round(setting.exposure_us, 2), "gain_db": round(setting.gain_db, 2)}
