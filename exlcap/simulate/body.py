"""A human body: proportions, joint angles, and where that puts every joint.

Body axes: x to the person's left, y up, z forward; a person with yaw 0 faces the viewer. Angles in radians. Segment
lengths as shares of the body height follow Drillis & Contini (1966), as tabled in Winter, "Biomechanics and Motor
Control of Human Movement".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from exlcap.core.joints import JOINTS

Vector = npt.NDArray[np.float64]
SIDES: tuple[tuple[str, int], tuple[str, int]] = (("left", 1), ("right", -1))


@dataclass(frozen=True)
class Physique:
    """Size of a person. build widens trunk and limbs: 1 is average."""

    height_m: float
    build: float

    def along_m(self, share: float) -> float:
        """A length along the body in metres, given as a share of its height."""
        return share * self.height_m

    def across_m(self, share: float) -> float:
        """A width or radius in metres, given as a share of the height; it grows with the build."""
        return share * self.height_m * self.build


class Arm(NamedTuple):
    """flex: forwards; abduct: away from the body; spin: of the upper arm about itself, inwards; bend: at the elbow."""

    flex: float = 0.0
    abduct: float = 0.1
    spin: float = 0.0
    bend: float = 0.2


class Leg(NamedTuple):
    """flex: thigh forwards; abduct: away from the other leg; bend: at the knee."""

    flex: float = 0.0
    abduct: float = 0.03
    bend: float = 0.05


HANGING, STRAIGHT = Arm(), Leg()


@dataclass(frozen=True)
class Pose:
    """Joint angles. lean: trunk forwards; tilt: trunk to the left; twist: shoulders against hips; nod and turn: head.

    lift_m: how far the lowest foot is above the ground, as in a jump.
    """

    left_arm: Arm = HANGING
    right_arm: Arm = HANGING
    left_leg: Leg = STRAIGHT
    right_leg: Leg = STRAIGHT
    lean: float = 0.0
    tilt: float = 0.0
    twist: float = 0.0
    nod: float = 0.0
    turn: float = 0.0
    lift_m: float = 0.0


@dataclass(frozen=True)
class Skeleton:
    """Points of a posed body in the world (metres), and the rotations (3, 3) of its parts: own axes to world."""

    points: dict[str, Vector]
    turns: dict[str, Vector]

    def joints(self) -> Vector:
        """The 14 joints (14, 3); `head` is the top of the head, `neck` the base of the neck."""
        return np.stack([self.points[name] for name in JOINTS])


def about_x(angle: float) -> Vector:
    """Rotation about x: y turns towards z."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def about_y(angle: float) -> Vector:
    """Rotation about y: z turns towards x."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def about_z(angle: float) -> Vector:
    """Rotation about z: x turns towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def posed(physique: Physique, pose: Pose, x: float, z: float, yaw: float) -> Skeleton:
    """The skeleton of a person whose hips are above (x, z) on the ground and whose lowest foot touches it."""
    pelvis = about_y(yaw)
    trunk = pelvis @ about_x(pose.lean) @ about_z(pose.tilt) @ about_y(pose.twist)
    head = trunk @ about_y(pose.turn) @ about_x(pose.nod - 0.5 * pose.lean)
    points = {"pelvis": np.zeros(3)}
    turns = {"pelvis": pelvis, "trunk": trunk, "head": head}
    points["neck"] = trunk @ (0, physique.along_m(0.288), 0)
    points["skull"] = points["neck"] + head @ (0, physique.along_m(0.117), physique.along_m(0.012))
    points["head"] = points["skull"] + head @ (0, physique.along_m(0.066), 0)
    for side, sign in SIDES:
        _pose_arm(physique, getattr(pose, f"{side}_arm"), side, sign, points, turns)
        _pose_leg(physique, getattr(pose, f"{side}_leg"), side, sign, points, turns)
    lowest = min(points[f"{side}_{end}"][1] for side, _ in SIDES for end in ("toe", "heel", "knee"))
    shift = np.array([x, physique.along_m(0.02) - lowest + pose.lift_m, z])
    return Skeleton({name: point + shift for name, point in points.items()}, turns)


def _pose_arm(
    physique: Physique, arm: Arm, side: str, sign: int, points: dict[str, Vector], turns: dict[str, Vector]
) -> None:
    upper = turns["trunk"] @ about_x(-arm.flex) @ about_z(sign * arm.abduct) @ about_y(-sign * arm.spin)
    fore = upper @ about_x(-arm.bend)
    shoulder = points["neck"] + turns["trunk"] @ (sign * physique.along_m(0.108), -physique.along_m(0.022), 0)
    elbow = shoulder + upper @ (0, -physique.along_m(0.180), 0)
    wrist = elbow + fore @ (0, -physique.along_m(0.146), 0)
    points.update({f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist})
    points[f"{side}_hand"] = wrist + fore @ (0, -physique.along_m(0.045), 0)
    turns[f"{side}_hand"] = fore


def _pose_leg(
    physique: Physique, leg: Leg, side: str, sign: int, points: dict[str, Vector], turns: dict[str, Vector]
) -> None:
    thigh = turns["pelvis"] @ about_x(-leg.flex) @ about_z(sign * leg.abduct)
    shank = thigh @ about_x(leg.bend)
    foot = turns["pelvis"] @ about_y(sign * 0.15) @ about_x(0.6 * max(0.0, leg.bend - leg.flex))
    hip = points["pelvis"] + turns["pelvis"] @ (sign * physique.along_m(0.055), 0, 0)
    knee = hip + thigh @ (0, -physique.along_m(0.245), 0)
    ankle = knee + shank @ (0, -physique.along_m(0.246), 0)
    points.update({f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle})
    points[f"{side}_heel"] = ankle + foot @ (0, -physique.along_m(0.022), -physique.along_m(0.022))
    points[f"{side}_toe"] = ankle + foot @ (0, -physique.along_m(0.024), physique.along_m(0.105))
