"""What things are made of: functions from positions on a shape to albedo (linear RGB)."""

from __future__ import annotations

import numpy as np

from exlcap.simulate.shapes import Array, Material, Vector

_WEAVE: Array = np.random.default_rng(0).normal(1, 1, (64, 64)).astype(np.float32)
"""Fixed noise that gives every surface a texture of its own."""


def weave(local: Array, amount: float, scale: float = 23.0) -> Array:
    """Factors around 1, (N, 1), that vary finely over a surface."""
    u = (local[:, 0] * scale + local[:, 2] * 1.7 * scale).astype(np.int32) & 63
    v = (local[:, 1] * scale * 1.3).astype(np.int32) & 63
    factors: Array = np.maximum(1 + np.float32(amount) * (_WEAVE[v, u] - 1), 0.2)[:, None]
    return factors


def random_colour(rng: np.random.Generator, brightest: float = 0.85) -> Vector:
    """A colour of cloth: from nearly black to nearly white, grey to vivid."""
    level, vivid = rng.uniform(0.03, brightest) ** 1.3, rng.uniform(0, 0.9)
    tint = rng.uniform(0, 1, 3)
    colour: Vector = level * ((1 - vivid) + vivid * tint / tint.max())
    return colour


def plain(colour: Vector, texture: float = 0.07) -> Material:
    """One colour."""
    flat = np.asarray(colour, np.float32)
    return lambda local: flat * weave(local, texture)


def cloth(rng: np.random.Generator, plain_share: float = 0.4) -> Material:
    """Plain cloth, or stripes, hoops, checks or blotches of two colours."""
    colours = random_colour(rng), random_colour(rng)
    if rng.random() < plain_share:
        return plain(colours[0], 0.12)
    first, second = (colour.astype(np.float32) for colour in colours)
    kind, count = rng.integers(4), rng.uniform(4, 12)

    def material(local: Array) -> Array:
        x, y = local[:, 0] * count * 0.8, local[:, 1] * count
        if kind == 0:
            other = np.sin(2 * x) > 0
        elif kind == 1:
            other = np.sin(2 * y) > 0
        elif kind == 2:
            other = (np.sin(2 * x) > 0) != (np.sin(2 * y) > 0)
        else:
            other = np.sin(1.7 * x + 2 * np.sin(y)) * np.sin(1.3 * y + 2 * np.sin(x)) > 0.15
        return np.where(other[:, None], second, first) * weave(local, 0.08)

    return material


def sleeve(covered: Material, bare: Material, share: float) -> Material:
    """A limb covered along its first part and bare beyond it."""

    def material(local: Array) -> Array:
        return np.where((local[:, 1] < share)[:, None], covered(local), bare(local))

    return material


def print_on_chest(rng: np.random.Generator, top: Material) -> Material:
    """A top whose front differs from its back: a print, a row of buttons or an open jacket."""
    kind, colour, other = rng.integers(3), random_colour(rng, 1.0).astype(np.float32), random_colour(rng)

    def material(local: Array) -> Array:
        x, y, front = local[:, 0], local[:, 1], local[:, 2] > 0.1
        if kind == 0:
            marked = front & (np.abs(x) < 0.5) & (np.abs(y - 0.1) < 0.35) & (np.sin(9 * x) * np.sin(8 * y) > -0.4)
        elif kind == 1:
            marked = front & (np.abs(x) < 0.06)
        else:
            marked = front & (np.abs(x) < 0.18 + 0.25 * np.maximum(y, 0))
        painted = np.where(marked[:, None], colour, top(local))
        label = (local[:, 2] < -0.2) & (np.abs(x) < 0.3) & (np.abs(y - 0.45) < 0.1)
        return np.where(label[:, None], other.astype(np.float32), painted)

    return material


def face(skin: Vector, hair: Vector, long_hair: bool, beard: bool) -> Material:
    """A head: hair on top and behind; eyes, brows, mouth, ears and perhaps a beard in front."""
    skin, hair = skin.astype(np.float32), hair.astype(np.float32)
    dark, lips = np.array([0.02, 0.02, 0.02], np.float32), skin * np.array([0.8, 0.45, 0.45], np.float32)
    white = np.array([0.7, 0.7, 0.7], np.float32)

    def material(local: Array) -> Array:
        x, y, z = local[:, 0], local[:, 1], local[:, 2]
        colour = np.where(((z > 0) & (y < -0.45) & beard)[:, None], hair, skin)
        beside = np.abs(np.abs(x) - 0.42)
        front = z > 0
        colour = np.where((front & (beside < 0.17) & (np.abs(y - 0.10) < 0.08))[:, None], white, colour)
        colour = np.where((front & (beside < 0.08) & (np.abs(y - 0.10) < 0.08))[:, None], dark, colour)
        colour = np.where((front & (beside < 0.22) & (np.abs(y - 0.28) < 0.05))[:, None], hair, colour)
        colour = np.where((front & (np.abs(x) < 0.3) & (np.abs(y + 0.5) < 0.07))[:, None], lips, colour)
        line = -0.9 if long_hair else -0.25
        covered = (y > 0.55 - 0.15 * np.abs(x)) | ((z < 0.05) & (y > line + 0.5 * np.maximum(z + 0.3, 0)))
        return np.where(covered[:, None], hair, colour) * weave(local, 0.06)

    return material
