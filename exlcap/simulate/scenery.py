"""Where people stand: a room with textured floor and walls, pictures, windows, furniture and lamps; seeded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from exlcap.core.develop import to_srgb
from exlcap.simulate.canvas import Canvas, Irradiance
from exlcap.simulate.materials import cloth, plain, random_colour, weave
from exlcap.simulate.shapes import Array, Box, Ellipsoid, Eye, Lighting, Limb, Material, Part, Picture, Vector, draw

MEAN_SRGB = 108
"""Mean level of a well-exposed picture of the empty scene, 0..255."""
BRIGHTEST = 0.93
"""Nothing in a scene is brighter, so that noise at white seldom clips."""


@dataclass(frozen=True)
class Place:
    """What determines an empty scene. size: of the bright frame, (width, height). reference: a fuller scene."""

    seed: tuple[int, ...]
    size: tuple[int, int]
    canvas: Canvas
    reference: bool


@lru_cache(maxsize=1)
def empty_scene(place: Place) -> Picture:
    """The scene without people; draw on a copy of it. Its lighting includes the exposure."""
    rng = np.random.default_rng([*place.seed, 1])
    width, height = place.size
    eye = Eye(
        focal_px=float(rng.uniform(1.25, 1.55) * height),
        centre_x=(width - 1) / 2,
        horizon_y=float(rng.uniform(0.30, 0.42) * height),
        height_m=float(rng.uniform(1.45, 1.9)),
    )
    direction = np.array([rng.uniform(-0.8, 0.8), rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.0)])
    lighting = Lighting(direction / np.linalg.norm(direction), key=0.95, ambient=0.5)
    shape = (place.canvas.height, place.canvas.width)
    picture = Picture(
        place.canvas,
        eye,
        lighting,
        np.zeros((*shape, 3), np.float32),
        np.full(shape, np.inf, np.float32),
        np.zeros(shape, np.uint8),
    )
    wall_m = _draw_room(picture, rng)
    for part in _wall_things(rng, eye, wall_m, place) + _furniture(rng, eye, wall_m, width, place.reference):
        draw(picture, part, 0)
    picture.irradiance *= _grain(rng, shape)[..., None]
    picture.irradiance *= _lamps(rng, picture)
    exposure = _exposure(picture.irradiance)
    picture.irradiance *= exposure
    np.minimum(picture.irradiance, BRIGHTEST, out=picture.irradiance)
    picture.lighting = Lighting(lighting.direction, lighting.key * exposure, lighting.ambient * exposure)
    picture.irradiance.setflags(write=False)
    return picture


def _draw_room(picture: Picture, rng: np.random.Generator) -> float:
    """Floor, back wall, side walls and ceiling; returns the distance of the back wall in metres."""
    eye = picture.eye
    wall_m, half_m, ceiling_m = rng.uniform(9, 13), rng.uniform(4.0, 6.5), rng.uniform(3.2, 5.0)
    across = (picture.canvas.xs[None, :] - np.float32(eye.centre_x)) / np.float32(eye.focal_px)
    down = (picture.canvas.ys[:, None] - np.float32(eye.horizon_y)) / np.float32(eye.focal_px)
    tiny = np.float32(1e-6)
    distances = [
        (np.float32(eye.height_m) / np.maximum(down, tiny), _floor(rng), 1.0),
        (np.float32(ceiling_m - eye.height_m) / np.maximum(-down, tiny), _ceiling(rng), 0.7),
        (np.float32(half_m) / np.maximum(np.abs(across), tiny), _wall(rng), 0.75),
        (np.float32(wall_m) + 0 * down, _wall(rng), 1.0),
    ]
    nearest = np.broadcast_to(np.float32(np.inf), picture.depth.shape)
    for distance, _, _ in distances:
        nearest = np.minimum(nearest, distance)
    picture.depth[:] = nearest
    for number, (distance, material, lit) in enumerate(distances):
        row, column = np.nonzero(nearest == np.broadcast_to(distance, nearest.shape))
        depth = nearest[row, column]
        x, y = across[0, column] * depth, eye.height_m - down[row, 0] * depth
        u, v = ((x, depth), (x, depth), (depth, y), (x, y))[number]
        local = np.stack([u, v, np.zeros_like(u)], axis=1).astype(np.float32)
        picture.irradiance[row, column] = material(local) * np.float32(lit)
    return float(wall_m)


def _grid(size: tuple[float, float], joint_m: float, colour: Vector, joint: Vector, vary: float,
          rng: np.random.Generator, bond: float = 0.0) -> Material:  # fmt: skip
    """Tiles, planks or bricks of (length, width) metres with joints; `bond` shifts every second row by a share."""
    shades = rng.normal(1, vary, (1024, 3)) * 0.4 + rng.normal(1, vary, (1024, 1)) * 0.6
    shades = np.clip(shades, 0.35, 1.8).astype(np.float32)
    base, mortar = colour.astype(np.float32), joint.astype(np.float32)

    def material(local: Array) -> Array:
        v = local[:, 1] / np.float32(size[1])
        row = np.floor(v)
        u = local[:, 0] / np.float32(size[0]) + np.float32(bond) * row
        column = np.floor(u)
        cell = (row.astype(np.int64) * 131 + column.astype(np.int64) * 37) & 1023
        edge = np.minimum(np.minimum(u - column, column + 1 - u) * size[0], np.minimum(v - row, row + 1 - v) * size[1])
        tile = base * shades[cell] * weave(local, 0.10, 40)
        return np.where((edge < joint_m)[:, None], mortar, tile)

    return material


def _floor(rng: np.random.Generator) -> Material:
    wood, stone = np.array([0.42, 0.27, 0.15]), np.array([0.40, 0.40, 0.38])
    kind = rng.integers(3)
    if kind == 0:
        return _grid((0.5, 0.5), 0.012, stone * rng.uniform(0.4, 1.3, 3), stone * 0.25, 0.18, rng)
    if kind == 1:
        return _grid((0.16, 1.4), 0.006, wood * rng.uniform(0.5, 1.3), wood * 0.2, 0.22, rng, 0.37)
    return _grid((0.3, 0.15), 0.01, stone * rng.uniform(0.5, 1.2, 3), stone * 0.4, 0.25, rng, 0.5)


def _wall(rng: np.random.Generator) -> Material:
    kind = rng.integers(3)
    paint = np.array([0.5, 0.5, 0.47]) * rng.uniform(0.6, 1.2, 3)
    if kind == 0:
        brick = np.array([0.42, 0.20, 0.13]) * rng.uniform(0.7, 1.4)
        return _grid((0.24, 0.08), 0.007, brick, np.array([0.45, 0.43, 0.40]), 0.2, rng, 0.5)
    if kind == 1:
        return _grid((0.22, 3.0), 0.008, paint * 0.8, paint * 0.35, 0.12, rng)
    return _grid((0.6, 0.6), 0.006, paint, paint * 0.6, 0.06, rng)


def _ceiling(rng: np.random.Generator) -> Material:
    return _grid((0.6, 0.6), 0.015, np.array([0.5, 0.5, 0.5]), np.array([0.2, 0.2, 0.2]), 0.08, rng)


def _picture_on(rng: np.random.Generator) -> Material:
    """What a poster, a shelf of books or a window shows; a box's own axes are metres."""
    if rng.random() < 0.25:
        glass = np.array([0.9, 1.0, 1.15]) * rng.uniform(0.7, 1.3)
        return _grid((0.45, 0.6), 0.035, glass, random_colour(rng, 0.4), 0.12, rng)
    if rng.random() < 0.35:  # books
        return _grid((0.05, 0.33), 0.012, np.array([0.35, 0.3, 0.28]), np.array([0.1, 0.07, 0.05]), 0.55, rng)
    paper, ink, third = (random_colour(rng, 1.0).astype(np.float32) for _ in range(3))
    centres, radii = rng.uniform(0, 1.6, (6, 2)), rng.uniform(0.05, 0.35, 6)
    line = rng.uniform(0.05, 0.12)

    def material(local: Array) -> Array:
        colour = np.where((np.mod(local[:, 1], line) < 0.4 * line)[:, None], ink, paper)
        for centre, radius in zip(centres, radii, strict=True):
            away = np.hypot(local[:, 0] - centre[0], local[:, 1] - centre[1])
            colour = np.where((away < radius)[:, None], third, colour)
            colour = np.where((np.abs(away - radius) < 0.02)[:, None], ink, colour)
        return colour * weave(local, 0.15, 60)

    return material


def _wall_things(rng: np.random.Generator, eye: Eye, wall_m: float, place: Place) -> list[Part]:
    """Posters, windows, bookshelves and doors on the back wall."""
    half = wall_m * place.size[0] / 2 / eye.focal_px
    things = []
    for _ in range(int(rng.integers(14, 20)) * (2 if place.reference else 1)):
        wide, tall = rng.uniform(0.5, 2.0), rng.uniform(0.5, 1.6)
        low = np.array([rng.uniform(-half, half - 0.4), rng.uniform(0.3, 3.4), -wall_m])
        things.append(Part(Box(low, _by(low, wide, tall, 0.06)), _picture_on(rng)))
    return things


def _furniture(rng: np.random.Generator, eye: Eye, wall_m: float, width: int, reference: bool) -> list[Part]:
    """Crates, pillars, tables, balls and plants on the floor."""
    parts: list[Part] = []
    for number in range(int(rng.integers(6, 10)) * (2 if reference else 1)):
        depth = rng.uniform(5.0, wall_m - 0.5) if number > 1 else rng.uniform(3.2, 4.5)
        half = depth * width / 2 / eye.focal_px
        x = rng.uniform(-half, half) if number > 1 else rng.choice([-1, 1]) * rng.uniform(0.75, 1.0) * half
        at = np.array([x, 0.0, -depth])
        parts += _FURNITURE[rng.integers(len(_FURNITURE))](rng, at)
    return parts


def _by(point: Vector, x: float, y: float, z: float) -> Vector:
    """A point (3,), moved."""
    moved: Vector = point + np.array([x, y, z])
    return moved


def _crate(rng: np.random.Generator, at: Vector) -> list[Part]:
    wide, tall, deep = rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.7)
    colour = random_colour(rng, 0.7)
    boards = _grid((wide, tall / 4), 0.012, colour, colour * 0.3, 0.2, rng)
    return [Part(Box(_by(at, -wide / 2, 0, -deep), _by(at, wide / 2, tall, 0)), boards)]


def _table(rng: np.random.Generator, at: Vector) -> list[Part]:
    wide, tall, deep = rng.uniform(0.8, 1.5), rng.uniform(0.7, 0.8), 0.7
    wood = _grid((0.6, 0.12), 0.004, random_colour(rng, 0.6), np.full(3, 0.05), 0.2, rng)
    top = Part(Box(_by(at, -wide / 2, tall - 0.05, -deep), _by(at, wide / 2, tall, 0)), wood)
    legs = [(sx * (wide / 2 - 0.06), -z) for sx in (-1, 1) for z in (0.06, deep - 0.06)]
    return [top] + [
        Part(Limb(_by(at, x, 0.02, z), _by(at, x, tall - 0.03, z), 0.03, 0.03), plain(np.full(3, 0.12)))
        for x, z in legs
    ]


def _pillar(rng: np.random.Generator, at: Vector) -> list[Part]:
    radius = rng.uniform(0.10, 0.2)
    return [Part(Limb(_by(at, 0, 0.1, 0), _by(at, 0, 6.0, 0), radius, radius), cloth(rng, 0.2))]


def _plant(rng: np.random.Generator, at: Vector) -> list[Part]:
    green = plain(np.array([0.12, 0.28, 0.08]) * rng.uniform(0.6, 1.4), 0.3)
    pot = Part(Limb(_by(at, 0, 0.12, 0), _by(at, 0, 0.4, 0), 0.14, 0.2), plain(random_colour(rng, 0.6)))
    leaves = []
    for _ in range(14):
        tip = _by(at, rng.normal(0, 0.25), rng.uniform(0.6, 1.5), rng.normal(0, 0.2))
        leaves.append(Part(Limb(_by(at, 0, 0.45, 0), tip, 0.015, 0.06), green))
    return [pot, *leaves]


def _ball(rng: np.random.Generator, at: Vector) -> list[Part]:
    radius = rng.uniform(0.15, 0.45)
    return [Part(Ellipsoid(_by(at, 0, radius, 0), np.eye(3) * radius), cloth(rng, 0.1))]


_FURNITURE = (_crate, _crate, _table, _pillar, _plant, _ball)


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Fine and coarse irregularity of every surface, factors about 1 (H, W), so that no part of the view is bare."""
    import cv2

    total = np.ones(shape, np.float32)
    for size, amount in ((2, 0.08), (6, 0.08), (24, 0.08), (96, 0.08)):
        coarse = rng.standard_normal((shape[0] // size + 3, shape[1] // size + 3), np.float32)
        fine = cv2.resize(coarse, (shape[1] + 2 * size, shape[0] + 2 * size), interpolation=cv2.INTER_CUBIC)
        total += np.float32(amount) * fine[: shape[0], : shape[1]]
    grain: Array = np.clip(total, 0.4, 1.8)
    return grain


def _lamps(rng: np.random.Generator, picture: Picture) -> Irradiance:
    """Soft pools of light over the view: factors (H, W, 3)."""
    height, width = picture.depth.shape
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)
    total = np.full((height, width, 3), 0.65, np.float32)
    for _ in range(int(rng.integers(2, 5))):
        at, wide = rng.uniform(-0.1, 1.1, 2), rng.uniform(0.25, 0.6)
        tint = (rng.uniform(0.4, 0.9) * np.array([1.0, rng.uniform(0.85, 1), rng.uniform(0.65, 1)])).astype(np.float32)
        pool = np.exp(-(((x - at[0]) / wide) ** 2)[None, :] - (((y - at[1]) / wide) ** 2)[:, None])
        total += pool[..., None].astype(np.float32) * tint
    return total


def _exposure(irradiance: Irradiance) -> float:
    """The factor at which a picture has the mean level MEAN_SRGB: an operator's base exposure."""
    sample = irradiance[::8, ::8]
    low, high = -8.0, 8.0
    for _ in range(24):
        middle = (low + high) / 2
        if to_srgb(np.minimum(sample * np.float32(2**middle), BRIGHTEST)).mean() > MEAN_SRGB:
            high = middle
        else:
            low = middle
    return float(2**low)
