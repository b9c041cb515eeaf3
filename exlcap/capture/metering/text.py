"""What `exlcap meter` measured, in words and as JSON."""

from __future__ import annotations

from typing import Any

from exlcap.capture.metering.base_setting import Bounds, Metered
from exlcap.capture.metering.meter import MeteredReference, MeteredScene
from exlcap.core.rig import LIGHTS, Setting


def scene_text(metered: MeteredScene, percentile: float) -> str:
    """A metered scene as lines for people."""
    lines = _lines(metered.scene, metered.before, metered.bounds, metered.metered, percentile)
    return "\n".join([*lines, metered.outlook.text()])


def scene_data(metered: MeteredScene) -> dict[str, Any]:
    """A metered scene as JSON types."""
    facts = _data(metered.before, metered.bounds, metered.metered)
    return {"scene": metered.scene, **facts, "plan": metered.outlook.data()}


def reference_text(metered: MeteredReference, percentile: float) -> str:
    """A metered reference as lines for people."""
    return "\n".join(
        line
        for light in LIGHTS
        for line in _lines(
            f"{light} camera, reference",
            metered.before[light],
            metered.bounds[light],
            metered.metered[light],
            percentile,
        )
    )


def reference_data(metered: MeteredReference) -> dict[str, Any]:
    """A metered reference as JSON types."""
    return {light: _data(metered.before[light], metered.bounds[light], metered.metered[light]) for light in LIGHTS}


def _lines(what: str, before: Setting, bounds: Bounds, metered: Metered, percentile: float) -> list[str]:
    setting, seen = metered.setting, metered.seen
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
        f"{seen.clipped_share:.3%} are clipped; {metered.measurements} measurements",
    ]
    return lines if metered.gives_way is None else [*lines, f"  gives way: {metered.gives_way}"]


def _data(before: Setting, bounds: Bounds, metered: Metered) -> dict[str, Any]:
    return {
        "exposure_us": metered.setting.exposure_us,
        "gain_db": metered.setting.gain_db,
        "before": {"exposure_us": before.exposure_us, "gain_db": before.gain_db},
        "highlights": round(metered.seen.highlights, 4),
        "clipped_share": round(metered.seen.clipped_share, 6),
        "exposure_us_max": round(bounds.exposure_us_max, 1),
        "exposure_limited_by": bounds.longest,
        "gain_db_max": round(bounds.gain_db_max, 2),
        "gives_way": metered.gives_way,
        "measurements": metered.measurements,
    }
