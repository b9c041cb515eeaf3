"""Drawn people: clothes, skin and hair on a posed body, and their true labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from exlcap.core.joints import JOINTS, N_JOINTS
from exlcap.core.labels import Keypoints, Person, inside
from exlcap.simulate.actions import PlacedPose
from exlcap.simulate.body import SIDES, Physique, Skeleton, posed
from exlcap.simulate.materials import cloth, face, plain, print_on_chest, random_colour, sleeve
from exlcap.simulate.shapes import Bounds, Ellipsoid, Limb, Material, Part, Picture, Vector, draw

FEWEST_JOINTS = 3
"""People with fewer joints in the frame are not labelled."""

HIDING_DISTANCE = {"shoulder": 0.09, "elbow": 0.05, "wrist": 0.045, "hip": 0.115, "knee": 0.06, "ankle": 0.05,
                   "head": 0.06, "neck": 0.08}  # fmt: skip
"""How far under skin or clothes a joint lies at most, as a share of the height; anything further in front hides it."""


SHADOWS_M = {"pelvis": 0.34, "left_ankle": 0.16, "right_ankle": 0.16}
"""Body points that cast a soft shadow on the floor, and its radius."""


@dataclass(frozen=True)
class Look:
    """One person's build and clothes, the same throughout a scene."""

    physique: Physique
    skin: Material
    hair: Material
    face: Material
    top: Material
    chest: Material
    sleeve: tuple[Material, Material]
    trousers: Material
    shank: Material
    shoes: Material
    long_hair: bool


def random_look(rng: np.random.Generator) -> Look:
    """A person: adult or child, slim or stout, in clothes of random colours and patterns."""
    child = rng.random() < 0.12
    height = rng.uniform(1.1, 1.45) if child else rng.normal(1.72, 0.09)
    skin_colour = np.array([0.62, 0.40, 0.28]) * rng.uniform(0.15, 1.3) ** np.array([0.75, 0.95, 1.1])
    hair_colour = np.array([0.30, 0.19, 0.10]) * rng.uniform(0.05, 1.6)
    skin, top = plain(skin_colour), cloth(rng)
    trousers = cloth(rng, plain_share=0.75)
    short_sleeves, shorts = rng.random() < 0.5, rng.random() < 0.3
    long_hair = bool(rng.random() < 0.45)
    return Look(
        physique=Physique(float(np.clip(height, 1.1, 2.0)), float(np.clip(rng.normal(1.0, 0.12), 0.8, 1.35))),
        skin=skin,
        hair=plain(hair_colour, 0.25),
        face=face(skin_colour, hair_colour, long_hair, bool(rng.random() < 0.2)),
        top=top,
        chest=print_on_chest(rng, top),
        sleeve=(sleeve(top, skin, 0.75) if short_sleeves else top, skin if short_sleeves else sleeve(top, skin, 0.9)),
        trousers=trousers,
        shank=sleeve(trousers, skin, 0.12) if shorts else trousers,
        shoes=plain(random_colour(rng, 0.6)),
        long_hair=long_hair,
    )


def body_parts(look: Look, skeleton: Skeleton) -> list[Part]:
    """The shapes that make up a person, in world coordinates."""
    wide, along = look.physique.across_m, look.physique.along_m
    points, turns = skeleton.points, skeleton.turns
    trunk = points["neck"] - points["pelvis"]

    def ball(centre: Vector, turn: str, half: tuple[float, float, float], material: Material) -> Part:
        return Part(Ellipsoid(centre, turns[turn] * np.array(half)), material)

    def limb(start: str, end: str, radii: tuple[float, float], material: Material) -> Part:
        return Part(Limb(points[start], points[end], wide(radii[0]), wide(radii[1])), material)

    parts = [
        ball(points["pelvis"] + 0.70 * trunk, "trunk", (wide(0.100), along(0.105), wide(0.070)), look.chest),
        ball(points["pelvis"] + 0.36 * trunk, "trunk", (wide(0.086), along(0.120), wide(0.064)), look.top),
        ball(points["pelvis"] + 0.04 * trunk, "pelvis", (wide(0.094), along(0.075), wide(0.070)), look.trousers),
        limb("left_shoulder", "right_shoulder", (0.037, 0.037), look.top),
        Part(Limb(points["neck"], points["skull"], wide(0.034), wide(0.030)), look.skin),
        ball(points["skull"], "head", (along(0.046), along(0.066), along(0.057)), look.face),
        ball(points["skull"] + turns["head"] @ (0, -along(0.010), along(0.055)), "head",
             (along(0.009), along(0.014), along(0.012)), look.skin),
    ]  # fmt: skip
    if look.long_hair:
        centre = points["skull"] + turns["head"] @ (0, -along(0.035), -along(0.024))
        parts.append(ball(centre, "head", (along(0.050), along(0.088), along(0.040)), look.hair))
    for side, _ in SIDES:
        parts += [
            limb(f"{side}_shoulder", f"{side}_elbow", (0.034, 0.027), look.sleeve[0]),
            limb(f"{side}_elbow", f"{side}_wrist", (0.027, 0.018), look.sleeve[1]),
            ball(points[f"{side}_hand"], f"{side}_hand", (along(0.013), along(0.050), along(0.024)), look.skin),
            limb(f"{side}_hip", f"{side}_knee", (0.056, 0.037), look.trousers),
            limb(f"{side}_knee", f"{side}_ankle", (0.037, 0.025), look.shank),
            limb(f"{side}_heel", f"{side}_toe", (0.024, 0.019), look.shoes),
        ]
    return parts


def stool(look: Look, skeleton: Skeleton, material: Material) -> list[Part]:
    """What somebody sits on: a seat on one leg."""
    pelvis = skeleton.points["pelvis"]
    seat = pelvis - (0, look.physique.across_m(0.085), 0)
    foot = np.array([pelvis[0], 0.02, pelvis[2]])
    return [
        Part(Ellipsoid(seat, np.diag([0.21, 0.035, 0.21])), material),
        Part(Limb(seat, foot, 0.03, 0.03), material),
        Part(Ellipsoid(foot, np.diag([0.19, 0.03, 0.19])), material),
    ]


@dataclass(frozen=True)
class DrawnPerson:
    """A person as drawn: joints in bright pixels (14, 2), their depths (14,), and the box of the whole outline."""

    owner: int
    look: Look
    places: Vector
    depths: Vector
    outline: Bounds


def draw_people(picture: Picture, cast: Iterable[tuple[Look, PlacedPose]], stools: Material) -> list[DrawnPerson]:
    """Draw people into a picture, shadows first; the pixels of person n (from 1) get n as their owner."""
    posed_cast = [(look, at, posed(look.physique, at.pose, at.x, at.z, at.yaw)) for look, at in cast]
    for _, _, skeleton in posed_cast:
        for name, radius_m in SHADOWS_M.items():
            _shadow(picture, skeleton.points[name], radius_m)
    drawn = []
    for owner, (look, at, skeleton) in enumerate(posed_cast, start=1):
        for part in stool(look, skeleton, stools) if at.sits else ():
            draw(picture, part, 0)
        boxes = np.array([draw(picture, part, owner) for part in body_parts(look, skeleton)])
        outline: Bounds = (boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max())
        places, depths = picture.eye.project(skeleton.joints())
        drawn.append(DrawnPerson(owner, look, places, depths, outline))
    return drawn


def _shadow(picture: Picture, above: Vector, radius_m: float) -> None:
    """Darken the floor under a point."""
    floor = np.array([above[0], 0.0, above[2]])
    place, depth = picture.eye.project(floor[None])
    half = radius_m * picture.eye.focal_px / depth[0]
    flat = half * picture.eye.height_m / depth[0]
    rows, columns = picture.window(
        (place[0, 0] - 2.5 * half, place[0, 1] - 2.5 * flat, place[0, 0] + 2.5 * half, place[0, 1] + 2.5 * flat)
    )
    across = ((picture.canvas.xs[columns] - place[0, 0]) / half) ** 2
    along = ((picture.canvas.ys[rows] - place[0, 1]) / max(flat, 1e-6)) ** 2
    dark = 1 - (0.55 / (1 + 2 * above[1])) * np.exp(-(across[None, :] + along[:, None]))
    lit = picture.irradiance[rows, columns]
    far = picture.depth[rows, columns] > depth[0] - 3 * radius_m
    lit *= np.where(far, dark, 1).astype(np.float32)[..., None]


def label(picture: Picture, drawn: DrawnPerson, size: tuple[int, int]) -> Person | None:
    """The true label of a drawn person in a frame of (width, height) bright pixels; None when too little
    of the person is in it.

    Flags: 2 visible, 1 hidden by another person, a prop or their own body, 0 outside the frame. The box holds the whole
    outline, hidden parts too, cut to the frame, and every labelled joint.
    """
    keypoints: Keypoints = np.column_stack([drawn.places, np.where(_visible(picture, drawn), 2.0, 1.0)])
    keypoints = inside(keypoints, *size)
    if (keypoints[:, 2] > 0).sum() < FEWEST_JOINTS or not (keypoints[:, 2] == 2).any():
        return None
    joints = keypoints[keypoints[:, 2] > 0, :2]  # the top of a head can lie a pixel above what is drawn of it
    left, top = np.minimum(np.maximum(drawn.outline[:2], 0), joints.min(0)).tolist()
    right, bottom = np.maximum(np.minimum(drawn.outline[2:], np.array(size) - 1), joints.max(0)).tolist()
    return Person(
        id=f"p{drawn.owner}",
        keypoints=keypoints,
        box=(left, top, right - left, bottom - top),
        origin="simulation",
    )


def _visible(picture: Picture, drawn: DrawnPerson) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which joints nothing hides: bool (14,); what is outside the canvas counts as hidden."""
    visible = np.zeros(N_JOINTS, bool)
    places = np.rint(picture.canvas.from_well(drawn.places)).astype(int)
    for joint, (column, row) in enumerate(places):
        if not (0 <= column < picture.canvas.width and 0 <= row < picture.canvas.height):
            continue
        under = HIDING_DISTANCE[JOINTS[joint].split("_")[-1]] * drawn.look.physique.height_m
        own = picture.owner[row, column] == drawn.owner
        visible[joint] = picture.depth[row, column] > drawn.depths[joint] - (under if own else 0.0)
    return visible
