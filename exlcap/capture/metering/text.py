"""What `exlcap meter` found, in words and as JSON."""

from __future__ import annotations

from typing import Any

from exlcap.capture.metering.base_setting import Bounds, Metered
from exlcap.capture.metering.meter import MeteredReference, MeteredScene
from exlcap.core.rig import LIGHTS, Setting


def scene_text(found: MeteredScene, percentile: float) -> str:
    """A metered scene as lines for people."""
    lines = _lines(found.scene, found.before, found.bounds, found.metered, percentile)
    return "\n".join([*lines, found.outlook.text()])


def scene_data(found: MeteredScene) -> dict[str, Any]:
    """A metered scene as JSON types."""
    facts = _data(found.before, found.bounds, found.metered)
    return {"scene": found.scene, **facts, "plan": found.outlook.data()}


def reference_text(found: MeteredReference, percentile: float) -> str:
    """A metered reference as lines for people."""
    return "\n".join(
        line
        for light in LIGHTS
        for line in _lines(
            f"{light} camera, reference", found.before[light], found.bounds[light], found.metered[light], percentile
        )
    )


def reference_data(found: MeteredReference) -> dict[str, Any]:
    """A metered reference as JSON types."""
    return {light: _data(found.before[light], found.bounds[light], found.metered[light]) for light in LIGHTS}


def _lines(what: str, before: Setting, bounds: Bounds, found: Metered, percentile: float) -> list[str]:
    setting, seen = found.setting, found.seen
    exposure = (
        f"shorter than the {bounds.exposure_us_max:.0f} us allowed: without gain the scene is bright enough"
        if setting.exposure_us < bounds.exposure_us_max - 0.1
        else f"as long as may be: {bounds.longest}"
    )
    lines = [
        f"{what}: {setting.exposure_us:g} us, {setting.gain_db:.2f} dB "
        f"(rig.toml: {before.exposure_us:g} us, {before.gain_db:.2f} dB)",
        f"  exposure: {exposure}",
        f"  highlights: {percentile:g} % of the pixels are below {seen.highlights:.2f} of white in every colour, "
        f"{seen.clipped_share:.3%} are clipped; {found.measurements} measurements",
    ]
    return lines if found.gives_way is None else [*lines, f"  gives way: {found.gives_way}"]


def _data(before: Setting, bounds: Bounds, found: Metered) -> dict[str, Any]:
    return {
        "exposure_us": found.setting.exposure_us,
        "gain_db": found.setting.gain_db,
        "before": {"exposure_us": before.exposure_us, "gain_db": before.gain_db},
        "highlights": round(found.seen.highlights, 4),
        "clipped_share": round(found.seen.clipped_share, 6),
        "exposure_us_max": round(bounds.exposure_us_max, 1),
        "exposure_limited_by": bounds.longest,
        "gain_db_max": round(bounds.gain_db_max, 2),
        "gives_way": found.gives_way,
        "measurements": found.measurements,
    }
