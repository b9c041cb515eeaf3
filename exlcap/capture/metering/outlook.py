"""`exlcap plan`: what each step of a schedule will give, before anything is shot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exlcap.capture.cameras.contract import CameraLimits, same_setting
from exlcap.capture.metering.expected_levels import (
    Paths,
    Prediction,
    Rates,
    Three,
    dark_mean,
    predict,
    rates_of_frame,
    rates_of_level,
)
from exlcap.capture.takes.plan import Request, planned_steps
from exlcap.capture.takes.schedule import check_limits
from exlcap.core.alignment import alignment_in_force
from exlcap.core.develop import white_keeping
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Rig, Setting
from exlcap.core.take import Raw, Step, Take, read_take
from exlcap.core.workspace import Workspace, numbered
from exlcap.simulate.sensor import SensorModel

LEVEL = 0.18
"""Mean linear level of a well exposed bright frame: the grey card's."""
MODEL = "an IMX255-like sensor (10,700 e- full well, 2.4 e- read noise), not measured on these cameras"
ANY_CAMERA = CameraLimits(exposure_us_min=0.0, exposure_us_max=math.inf, gain_db_max=math.inf)


@dataclass(frozen=True)
class Outlook:
    """A schedule and what it will give. light: where it came from, for people."""

    light: str
    paths: Paths
    steps: tuple[Prediction, ...]

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "light": self.light,
            "transmittance": list(self.paths.transmittance),
            "low_white_balance": list(self.paths.low_balance),
            "transmittance_source": self.paths.source,
            "model": MODEL,
            "steps": [step.data() for step in self.steps],
        }

    def text(self) -> str:
        """As lines for people."""
        shares = " ".join(f"{c} {100 * t:.3f} %" for c, t in zip("RGB", self.paths.transmittance, strict=True))
        lines = [
            f"light: {self.light}",
            f"dark path: {shares} of the light, {self.paths.source}",
            f"sensor model: {MODEL}",
            "   k  exposure us  well dB  low dB  split  low mean  found  low SNR dB  well SNR dB  well clipped",
        ]
        for step in self.steps:
            shot = "-" if step.low_mean_found is None else f"{step.low_mean_found:.2f}"
            lines.append(
                f"  {step.k:>2}  {step.exposure_us:>11.1f}  {step.well_gain_db:>7.2f}  {step.low_gain_db:>6.2f}  "
                f"{step.split:<5}  {step.low_mean:>8.2f}  {shot:>5}  {step.low_snr_db:>10.1f}  "
                f"{step.well_snr_db:>11.1f}  {step.well_clipped_share:>12.2%}"
            )
        lines += [f"cannot be shot: {step.problem}" for step in self.steps if step.problem]
        lines.append("low mean: of the developed dark image, 0..255; SNR: of one raw pixel at the mean level")
        return "\n".join(lines)


def outlook(workspace: Workspace, request: Request, level: float | None, folder: Path | None) -> Outlook:
    """Predict a schedule. level: mean linear level of the bright camera at the base setting. folder: of a take instead.

    request: scene "" asks for the rig's own base. Raises ExlcapError for a bad level, a schedule no camera can do, or a
    take that is not there or holds no pairs.
    """
    model, paths = _model(workspace.rig), _paths(workspace)
    take = None if folder is None else _take(workspace, folder)
    steps = planned_steps(workspace.rig, request if take is None else _as_shot(take, request))
    light, rates = _light_of_level(level, steps[0], model, paths) if take is None else _light_of_take(take, model)
    return _outlook(workspace.rig, light, rates, paths, steps, take)


def outlook_of_frame(workspace: Workspace, raw: Raw, setting: Setting, steps: Sequence[Step]) -> Outlook:
    """Predict steps from one raw bright frame uint16 (H, W) and the setting it was exposed at."""
    rates = rates_of_frame(raw, workspace.rig.dark_level_dn("well"), setting, _model(workspace.rig))
    light = f"bright frame at {setting.exposure_us:g} us, {setting.gain_db:.2f} dB"
    return _outlook(workspace.rig, light, rates, _paths(workspace), steps, None)


def _outlook(rig: Rig, light: str, rates: Rates, paths: Paths, steps: Sequence[Step], take: Take | None) -> Outlook:
    predictions = [
        predict(step, rates, paths, _model(rig), _mean_of_take(take, step, paths.low_balance), _problem(step, rig))
        for step in steps
    ]
    return Outlook(light, paths, tuple(predictions))


def _model(rig: Rig) -> SensorModel:
    return SensorModel(black_level_dn=rig.sensor.black_level_dn)


def _light_of_level(level: float | None, first: Step, model: SensorModel, paths: Paths) -> tuple[str, Rates]:
    level = LEVEL if level is None else level
    if not 0 < level < 1:
        raise ExlcapError(f"--level {level:g} is not between 0 and 1", "it is a share of white: 0.18 for a grey card")
    base = Setting(exposure_us=first.well.exposure_us * first.k, gain_db=_base_gain_db(first))
    light = f"mean level {level:g} of white in the bright camera at {base.exposure_us:g} us, {base.gain_db:.2f} dB"
    return light, rates_of_level(level, base, model, paths.well_balance)


def _light_of_take(take: Take, model: SensorModel) -> tuple[str, Rates]:
    pair = take.pairs[0]
    light = f"bright frame of {take.name}, k = {pair.k} ({pair.well.clipped_share:.2%} clipped)"
    dark_dn = take.header.rig.dark_level_dn("well")
    return light, rates_of_frame(take.raw(pair, "well"), dark_dn, pair.well.read_back, model)


def _mean_of_take(take: Take | None, step: Step, balance: Three) -> float | None:
    """Mean of the dark frames of a step, if the take was shot so."""
    if take is None:
        return None
    shot = next((shot for shot in take.header.steps if shot.k == step.k), None)
    same = shot is not None and all(same_setting(shot.setting(light), step.setting(light)) for light in LIGHTS)
    return dark_mean(take, step.k, balance) if same else None


def _take(workspace: Workspace, folder: Path) -> Take:
    """A take by its folder, as seen from here or from the workspace."""
    take = read_take(folder if folder.exists() else workspace.root / folder)
    if not take.pairs:
        raise ExlcapError(f"{take.name} holds no pairs", "name another take, or give --level")
    return take


def _as_shot(take: Take, request: Request) -> Request:
    """The request with what it leaves open filled in from a take of a scene."""
    if take.header.kind == "reference":
        return request
    first = take.header.steps[0]
    return replace(
        request,
        exposure_us=first.well.exposure_us * first.k if request.exposure_us is None else request.exposure_us,
        gain_db=_base_gain_db(first) if request.gain_db is None else request.gain_db,
        schedule=request.schedule or ",".join(str(step.k) for step in take.header.steps),
    )


def _base_gain_db(step: Step) -> float:
    """Bright gain at k = 1; rounding must not leave it below 0."""
    return max(0.0, step.well.gain_db - 20 * math.log10(step.k))


def _paths(workspace: Workspace) -> Paths:
    """The light of both cameras, as the alignment in force measured it, else by the filter's nominal value."""
    if numbered(workspace.alignments, "align", ".json"):
        name, alignment = alignment_in_force(workspace)
        if alignment.photometry is not None:
            balances = white_keeping(alignment.white_balance("well")), white_keeping(alignment.white_balance("low"))
            return Paths(alignment.photometry.transmittance, f"measured by {name}, with its white balance", *balances)
    nominal = workspace.rig.low.nd_transmittance
    return Paths((nominal, nominal, nominal), "nominal value of rig.toml, without white balance")


def _problem(step: Step, rig: Rig) -> str | None:
    """Why a step cannot be shot by the rig's own limits; None when it can."""
    try:
        check_limits([step], rig, dict.fromkeys(LIGHTS, ANY_CAMERA))
    except ExlcapError as error:
        return error.message
    return None
