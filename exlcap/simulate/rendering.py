"""Frames of an emulated rig: for every pulse the raw frame of each camera and the true labels of the people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exlcap.core.alignment import Alignment
from exlcap.core.labels import COCO_CATEGORY, Person, coco_annotation
from exlcap.core.rig import Rig
from exlcap.core.take import Raw, Step
from exlcap.simulate.actions import random_motion
from exlcap.simulate.canvas import Canvas, Irradiance, canvas_for, focus, sampler
from exlcap.simulate.materials import plain
from exlcap.simulate.optics import emulator_of, name_number, true_alignment
from exlcap.simulate.people import draw_people, label, random_look
from exlcap.simulate.photos import photo_view
from exlcap.simulate.scenery import Place, empty_scene
from exlcap.simulate.sensor import SensorModel, expose

PulseView = Callable[[int], tuple[Irradiance, tuple[Person, ...]]]
"""Maps the number of a pulse to the irradiance on the canvas, in focus, and the people in the bright frame."""


@dataclass(frozen=True)
class Pulse:
    """Both cameras' frames of one pulse, and the true labels.

    well, low: uint16 (H, W), 12-bit RGGB; low as its camera sees it, mirrored where the rig says so. people: joints in
    pixel centres of the bright raw frame.
    """

    index: int
    well: Raw
    low: Raw
    people: tuple[Person, ...]


def render_step(
    rig: Rig, scene: str, take: int, step: Step, first: int, count: int, reference: bool = False
) -> Iterator[Pulse]:
    """Pulses first .. first + count - 1 of a step.

    A pulse depends on the rig's emulator, the scene's name, take, step.k and its index alone, so a resumed take
    continues with the same frames. reference: a static scene without people, with the same light in every frame.
    Raises ExlcapError for a rig without [emulator] or photographs that cannot be used.
    """
    emulator = emulator_of(rig)
    truth = true_alignment(rig)
    canvas = canvas_for(truth)
    size = truth.well_size
    cameras = {"well": sampler(canvas, np.eye(3), size), "low": sampler(canvas, truth.low_to_well, size)}
    view = _view(rig, scene, take, step, canvas, truth, reference)
    model = SensorModel(black_level_dn=rig.sensor.black_level_dn)
    listed = emulator.scenes.get(scene)
    electrons_per_us = model.electrons_per_us(listed.light if listed else 1.0)
    for index in range(first, first + count):
        irradiance, people = view(index)
        seed = [emulator.seed, name_number(scene), take, step.k, index, int(reference)]
        well = expose(
            cameras["well"].mosaic(irradiance),
            electrons_per_us,
            step.well,
            1.0,
            model,
            np.random.default_rng([*seed, 0]),
        )
        low = expose(
            cameras["low"].mosaic(irradiance),
            electrons_per_us,
            step.low,
            rig.low.nd_transmittance,
            model,
            np.random.default_rng([*seed, 1]),
        )
        yield Pulse(index, well, low, people)


def _view(rig: Rig, scene: str, take: int, step: Step, canvas: Canvas, truth: Alignment, reference: bool) -> PulseView:
    """What the cameras look at during a step."""
    emulator = emulator_of(rig)
    if emulator.photos is not None and emulator.labels is not None and not reference:
        return photo_view(emulator, scene, canvas, truth.well_size, _clock(rig, take, step))
    seed = (emulator.seed, name_number(scene))
    place = Place(seed, truth.well_size, canvas, reference)
    if reference:
        irradiance = grey_on_average(focus(empty_scene(place).irradiance))
        return lambda index: (irradiance, ())
    return _drawn_view(place, take, step, emulator.people, _clock(rig, take, step))


def grey_on_average(irradiance: Irradiance) -> Irradiance:
    """A scene whose channels share one mean, like a reference with a grey card, so that its white balance is right.

    irradiance: float32 (H, W, 3). Nothing gets brighter.
    """
    means = irradiance.mean((0, 1))
    grey: Irradiance = irradiance * (means.min() / means)
    return grey


def _clock(rig: Rig, take: int, step: Step) -> Callable[[int], float]:
    """Time of a pulse in seconds; with pauses between takes and steps, as an operator makes them."""
    begin = 600.0 * take + 20.0 * step.k
    return lambda index: begin + index / rig.sync.pulse_hz


def _drawn_view(
    place: Place, take: int, step: Step, people: tuple[int, int], clock: Callable[[int], float]
) -> PulseView:
    """A drawn scene: the same people in the same clothes in all its takes; each step shows another time."""
    empty = empty_scene(place)
    rng = np.random.default_rng([*place.seed, 2])
    looks = [random_look(rng) for _ in range(rng.integers(people[0], people[1] + 1))]
    stools = plain(rng.uniform(0.05, 0.5, 3))
    motions = []
    for number, look in enumerate(looks):
        motion_rng = np.random.default_rng([*place.seed, 3, take, step.k, number])
        # heights spread over the frame from 25 to 85 %, so depths do by their inverse
        share = 0.25 + 0.60 * (number + motion_rng.uniform(0.1, 0.9)) / len(looks)
        depth = max(2.6, look.physique.height_m * empty.eye.focal_px / (share * place.size[1]))
        half_width = depth * place.size[0] / 2 / empty.eye.focal_px
        motions.append(random_motion(motion_rng, depth, half_width, lane_m=0.12 * depth))

    def view(index: int) -> tuple[Irradiance, tuple[Person, ...]]:
        picture = replace(empty, irradiance=empty.irradiance.copy(), depth=empty.depth.copy(), owner=empty.owner.copy())
        time_s = clock(index)
        drawn = draw_people(picture, [(look, m.at(time_s)) for look, m in zip(looks, motions, strict=True)], stools)
        labels = (label(picture, one, place.size) for one in drawn)
        return focus(picture.irradiance), tuple(person for person in labels if person is not None)

    return view


def truth_coco(people: Mapping[str, tuple[Person, ...]], size: tuple[int, int]) -> dict[str, Any]:
    """A COCO keypoint file of the true people by pair id; images are `<pair_id>.png` of (width, height)."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (pair, those) in enumerate(people.items(), start=1):
        images.append({"id": image_id, "file_name": f"{pair}.png", "width": size[0], "height": size[1]})
        for person in those:
            annotations.append(coco_annotation(person, len(annotations) + 1, image_id, pair))
    return {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]}
