"""What people do: smooth joint angles over time, and where they stand or walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from exlcap.simulate.body import Arm, Leg, Pose

PoseAt = Callable[[float], Pose]
"""Maps time in seconds to joint angles."""


@dataclass(frozen=True)
class PlacedPose:
    """A pose and its place: hips above (x, z) in metres; at yaw 0 it faces the viewer. sits: on a stool, drawn too."""

    pose: Pose
    x: float
    z: float
    yaw: float
    sits: bool = False


@dataclass(frozen=True)
class Motion:
    """One person's motion within one step: an action along an elliptic path or on the spot, over time."""

    action: str
    pose_at: PoseAt
    centre: tuple[float, float]
    reach: tuple[float, float]
    turns_per_s: float
    start: float
    facing: float

    def at(self, time_s: float) -> PlacedPose:
        """Place and pose of the person at a time."""
        angle = self.start + 2 * pi * self.turns_per_s * time_s
        x = self.centre[0] + self.reach[0] * cos(angle)
        z = self.centre[1] + self.reach[1] * sin(angle)
        yaw = self.facing + 0.35 * sin(0.9 * time_s + self.start)
        if self.action == "walk":  # face where the path leads
            direction = np.sign(self.turns_per_s)
            yaw = float(np.arctan2(-direction * self.reach[0] * sin(angle), direction * self.reach[1] * cos(angle)))
        return PlacedPose(self.pose_at(time_s), x, z, yaw, self.action == "sit")


def random_motion(rng: np.random.Generator, depth_m: float, half_width_m: float, lane_m: float) -> Motion:
    """A random motion, mostly within half_width_m of the middle of the view and lane_m of a depth."""
    action = str(rng.choice(list(ACTIONS), p=WEIGHTS))
    walks = action == "walk"
    across = rng.uniform(0.4, 0.9) * half_width_m if walks else rng.uniform(0.02, 0.06)
    along = min(lane_m, rng.uniform(0.2, 0.8)) if walks else rng.uniform(0.01, 0.04)
    room = max(0.0, 0.92 * half_width_m - (across if walks else 0.3))
    speed = rng.uniform(0.8, 1.5) if walks else 0.1
    around = 2 * pi * np.sqrt((across**2 + along**2) / 2)
    return Motion(
        action=action,
        pose_at=ACTIONS[action](rng),
        centre=(float(rng.uniform(-room, room)), -depth_m),
        reach=(float(across), float(along)),
        turns_per_s=float(rng.choice([-1, 1]) * speed / around),
        start=float(rng.uniform(0, 2 * pi)),
        # facing the viewer more often than not
        facing=float(rng.normal(0, 0.7) if rng.random() < 0.65 else rng.uniform(-pi, pi)),
    )


def _wave(
    rng: np.random.Generator, low: float, high: float, hz: tuple[float, float] = (0.2, 0.8)
) -> Callable[[float], float]:
    """An angle that swings between two random values in low..high."""
    mean, swing = rng.uniform(low, high), rng.uniform(0.15, 0.5) * (high - low) / 2
    rate, phase = 2 * pi * rng.uniform(*hz), rng.uniform(0, 2 * pi)
    return lambda t: float(np.clip(mean + swing * sin(rate * t + phase), low, high))


def _walk(rng: np.random.Generator) -> PoseAt:
    rate, phase = 2 * pi * rng.uniform(0.8, 1.1), rng.uniform(0, 2 * pi)
    stride, swing, elbow = rng.uniform(0.35, 0.55), rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.9)
    turn, lean = _wave(rng, -0.5, 0.5), rng.uniform(0.02, 0.12)

    def leg(angle: float) -> Leg:
        return Leg(flex=0.08 + stride * sin(angle), bend=0.12 + 0.95 * max(0.0, cos(angle)) ** 2)

    def arm(angle: float) -> Arm:
        return Arm(flex=-swing * sin(angle), abduct=0.12, bend=elbow - 0.2 * sin(angle))

    def pose(t: float) -> Pose:
        angle = rate * t + phase
        return Pose(
            left_arm=arm(angle),
            right_arm=arm(angle + pi),
            left_leg=leg(angle),
            right_leg=leg(angle + pi),
            lean=lean,
            twist=0.12 * sin(angle),
            turn=turn(t),
        )

    return pose


def _gesture_arm(rng: np.random.Generator) -> Callable[[float], Arm]:
    """An arm of somebody who stands and talks: hanging, forwards, sideways, on the hip, or bent up."""
    habits = [
        ((-0.2, 0.3), (0.05, 0.3), (0.0, 0.3), (0.1, 0.6)),
        ((0.3, 1.4), (0.0, 0.4), (-0.2, 0.5), (0.5, 1.8)),
        ((-0.2, 0.4), (0.5, 1.5), (-0.3, 0.3), (0.0, 1.0)),
        ((-0.5, -0.2), (0.5, 0.8), (1.1, 1.5), (1.4, 1.8)),
        ((0.2, 0.8), (0.1, 0.5), (0.2, 0.8), (1.6, 2.3)),
    ]
    waves = [_wave(rng, low, high) for low, high in habits[rng.integers(len(habits))]]
    return lambda t: Arm(*(wave(t) for wave in waves))


def _stand(rng: np.random.Generator) -> PoseAt:
    left, right = _gesture_arm(rng), _gesture_arm(rng)
    lean, tilt, twist = _wave(rng, -0.05, 0.2), _wave(rng, -0.12, 0.12), _wave(rng, -0.3, 0.3)
    nod, turn = _wave(rng, -0.2, 0.35), _wave(rng, -0.7, 0.7)
    legs = [[_wave(rng, 0.0, 0.25), _wave(rng, 0.02, 0.2), _wave(rng, 0.02, 0.35)] for _ in range(2)]
    return lambda t: Pose(
        left_arm=left(t),
        right_arm=right(t),
        left_leg=Leg(*(wave(t) for wave in legs[0])),
        right_leg=Leg(*(wave(t) for wave in legs[1])),
        lean=lean(t),
        tilt=tilt(t),
        twist=twist(t),
        nod=nod(t),
        turn=turn(t),
    )


def _sit(rng: np.random.Generator) -> PoseAt:
    left, right = _gesture_arm(rng), _gesture_arm(rng)
    lean, nod, turn = _wave(rng, 0.0, 0.45), _wave(rng, -0.1, 0.4), _wave(rng, -0.7, 0.7)
    apart, bends = rng.uniform(0.05, 0.35), [_wave(rng, 1.2, 1.8) for _ in range(2)]
    return lambda t: Pose(
        left_arm=left(t),
        right_arm=right(t),
        left_leg=Leg(1.45, apart, bends[0](t)),
        right_leg=Leg(1.45, apart, bends[1](t)),
        lean=lean(t),
        nod=nod(t),
        turn=turn(t),
    )


def _crouch(rng: np.random.Generator) -> PoseAt:
    depth, reach, bend = _wave(rng, 0.5, 1.0), _wave(rng, 0.6, 1.3), _wave(rng, 0.2, 1.2)
    apart, turn = rng.uniform(0.1, 0.5), _wave(rng, -0.5, 0.5)

    def pose(t: float) -> Pose:
        low = depth(t)
        leg = Leg(1.8 * low, apart, 2.3 * low)
        arm = Arm(reach(t), 0.15, 0.1, bend(t))
        return Pose(arm, arm._replace(flex=arm.flex * 0.7), leg, leg, lean=0.6 * low, turn=turn(t))

    return pose


def _bend(rng: np.random.Generator) -> PoseAt:
    depth, turn, apart = _wave(rng, 0.5, 1.3), _wave(rng, -0.4, 0.4), rng.uniform(0.05, 0.3)

    def pose(t: float) -> Pose:
        lean = depth(t)
        arm = Arm(flex=0.9 * lean + 0.2, abduct=0.1, bend=0.3)
        leg = Leg(0.25 * lean, apart, 0.4 * lean)
        return Pose(arm, arm._replace(flex=arm.flex * 0.6, bend=0.8), leg, leg, lean=lean, turn=turn(t))

    return pose


def _jump(rng: np.random.Generator) -> PoseAt:
    rate, phase, height = 2 * pi * rng.uniform(0.7, 1.0), rng.uniform(0, 2 * pi), rng.uniform(0.1, 0.35)
    bend = rng.uniform(0.0, 0.5)

    def pose(t: float) -> Pose:
        up = sin(rate * t + phase)
        arm = Arm(flex=0.15, abduct=1.4 + 1.1 * up, bend=0.15 + bend * (1 - up) / 2)
        crouch = max(0.0, -up)
        leg = Leg(0.1 + 0.6 * crouch, 0.22 + 0.18 * up, 0.1 + 1.1 * crouch)
        return Pose(arm, arm, leg, leg, lean=0.3 * crouch, lift_m=height * max(0.0, up))

    return pose


def _raise(rng: np.random.Generator) -> PoseAt:
    arms = [
        [_wave(rng, -0.2, 0.3), _wave(rng, 1.7, 2.9, (0.4, 1.0)), _wave(rng, -0.2, 0.2), _wave(rng, 0.0, 1.0)]
        for _ in range(2)
    ]
    tilt, turn = _wave(rng, -0.15, 0.15), _wave(rng, -0.4, 0.4)
    legs = [Leg(0.05, rng.uniform(0.03, 0.3), 0.1) for _ in range(2)]
    one_only, hanging = rng.random() < 0.5, _gesture_arm(rng)
    return lambda t: Pose(
        left_arm=Arm(*(wave(t) for wave in arms[0])),
        right_arm=hanging(t) if one_only else Arm(*(wave(t) for wave in arms[1])),
        left_leg=legs[0],
        right_leg=legs[1],
        tilt=tilt(t),
        turn=turn(t),
    )


ACTIONS: dict[str, Callable[[np.random.Generator], PoseAt]] = {
    "walk": _walk,
    "stand": _stand,
    "sit": _sit,
    "crouch": _crouch,
    "bend": _bend,
    "jump": _jump,
    "raise": _raise,
}
WEIGHTS = (0.30, 0.30, 0.12, 0.06, 0.05, 0.07, 0.10)
"""How often each action is chosen, in the order of ACTIONS."""
