"""Solid shapes drawn into a canvas with depth: ellipsoids, round limbs and boxes.

World axes, in metres: x to the right, y up, z towards the viewer; the eye is at (0, height, 0) and looks along -z.
Ellipsoids and limbs are drawn in parallel projection at their own depth, boxes in full perspective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exlcap.simulate.canvas import SUPERSAMPLING, Canvas, Irradiance

Array = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Material = Callable[[Array], Array]
"""Maps positions on a shape, (N, 3) in its own axes, to albedo (N, 3), linear RGB."""
Bounds = tuple[float, float, float, float]
"""left, top, right, bottom in bright pixel centres."""


@dataclass(frozen=True)
class Eye:
    """A pinhole camera that looks straight ahead. Image lengths in bright pixels, height in metres."""

    focal_px: float
    centre_x: float
    horizon_y: float
    height_m: float

    def project(self, points: Vector) -> tuple[Vector, Vector]:
        """World points (N, 3) as bright pixel centres (N, 2) and depths (N,) in metres."""
        depth = -points[:, 2]
        x = self.centre_x + self.focal_px * points[:, 0] / depth
        y = self.horizon_y - self.focal_px * (points[:, 1] - self.height_m) / depth
        return np.column_stack([x, y]), depth


@dataclass(frozen=True)
class Lighting:
    """A distant lamp and ambient light. direction: unit vector towards the lamp."""

    direction: Vector
    key: float
    ambient: float

    def shade(self, albedo: Array, normal: Array) -> Array:
        """Light reflected by surfaces (N, 3) with unit normals (N, 3): Lambert's law, contours slightly darkened."""
        lambert = np.maximum(normal @ self.direction.astype(np.float32), 0)
        facing = np.float32(0.6) + np.float32(0.4) * np.maximum(normal[:, 2], 0)
        shaded: Array = albedo * ((self.ambient + self.key * lambert) * facing).astype(np.float32)[:, None]
        return shaded


@dataclass
class Picture:
    """Irradiance (H, W, 3), depth in metres (H, W) and owner (H, W; 0 is the scenery) of a canvas, as drawn so far."""

    canvas: Canvas
    eye: Eye
    lighting: Lighting
    irradiance: Irradiance
    depth: Array
    owner: npt.NDArray[np.uint8]

    def window(self, bounds: Bounds) -> tuple[slice, slice]:
        """Rows and columns of the canvas within bounds."""
        left, top = self.canvas.from_well(np.array([bounds[:2]]))[0]
        right, bottom = self.canvas.from_well(np.array([bounds[2:]]))[0]
        rows = slice(max(0, int(np.ceil(top))), max(0, min(self.canvas.height, int(bottom) + 1)))
        return rows, slice(max(0, int(np.ceil(left))), max(0, min(self.canvas.width, int(right) + 1)))

    def put(self, rows: slice, columns: slice, hits: Hits, material: Material, owner: int) -> None:
        """Shade the hits in a window, except where something nearer is drawn."""
        depth = self.depth[rows, columns]
        row, column = hits.row, hits.column
        nearer = hits.depth < depth[row, column]
        row, column = row[nearer], column[nearer]
        colour = self.lighting.shade(material(hits.local[nearer]), hits.normal[nearer])
        depth[row, column] = hits.depth[nearer]
        self.irradiance[rows, columns][row, column] = colour
        self.owner[rows, columns][row, column] = owner


@dataclass(frozen=True)
class Hits:
    """Where sight lines hit a shape: row, column and depth (N,), point in its own axes and unit normal (N, 3)."""

    row: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    depth: Array
    local: Array
    normal: Array


@dataclass(frozen=True)
class Ellipsoid:
    """centre (3,), axes (3, 3): its columns are the semi-axes, in metres. Own axes: the unit sphere."""

    centre: Vector
    axes: Vector

    def bounds(self, eye: Eye) -> Bounds:
        """Its outline's box."""
        place, depth = eye.project(self.centre[None])
        half = np.linalg.norm(self.axes[:2], axis=1) * eye.focal_px / depth[0]
        return _box(place - half, place + half)

    def intersect(self, eye: Eye, x: Array, y: Array) -> Hits:
        """Where it is seen among columns x (W,) and rows y (H,) in bright pixels."""
        place, depth = eye.project(self.centre[None])
        metres_per_px = depth[0] / eye.focal_px
        dx = ((x - place[0, 0]) * metres_per_px).astype(np.float32)[None, :]
        dy = ((place[0, 1] - y) * metres_per_px).astype(np.float32)[:, None]
        inverse = np.linalg.inv(self.axes).astype(np.float32)
        towards = inverse[:, 2]
        # the sight line is q = p + w * towards in the unit sphere's axes: |q| = 1
        a = float(towards @ towards)
        p = [inverse[i, 0] * dx + inverse[i, 1] * dy for i in range(3)]
        b = towards[0] * p[0] + towards[1] * p[1] + towards[2] * p[2]
        root = b * b - a * (p[0] * p[0] + p[1] * p[1] + p[2] * p[2] - 1)
        row, column = np.nonzero(root > 0)
        w = (np.sqrt(root[row, column]) - b[row, column]) / a
        local = np.stack([p[i][row, column] + w * towards[i] for i in range(3)], axis=1)
        return Hits(row, column, (depth[0] - w).astype(np.float32), local, _unit(local @ inverse))


@dataclass(frozen=True)
class Limb:
    """A round limb between two points (3,), its radius varying linearly between them, in metres.

    Own axes: y runs from 0 to 1 along it; x and z are the normal's, in the world.
    """

    start: Vector
    end: Vector
    start_radius: float
    end_radius: float

    def bounds(self, eye: Eye) -> Bounds:
        """Its outline's box."""
        place, depth = eye.project(np.stack([self.start, self.end]))
        radius = (np.array([self.start_radius, self.end_radius]) * eye.focal_px / depth)[:, None]
        return _box(place - radius, place + radius)

    def intersect(self, eye: Eye, x: Array, y: Array) -> Hits:
        """Where it is seen among columns x (W,) and rows y (H,) in bright pixels."""
        middle = (self.start + self.end) / 2
        place, depth = eye.project(np.stack([self.start, self.end, middle]))
        metres_per_px = depth[2] / eye.focal_px
        flat = (place[:2] - place[2]) * (metres_per_px, -metres_per_px)
        start, end = (np.append(flat[i], depth[2] - depth[i]) for i in (0, 1))
        length = float(np.linalg.norm(end - start))
        axis = ((end - start) / max(length, 1e-9)).astype(np.float32)
        ex = ((x - place[2, 0]) * metres_per_px - start[0]).astype(np.float32)[None, :]
        ey = ((place[2, 1] - y) * metres_per_px - start[1]).astype(np.float32)[:, None]
        slope = (self.end_radius - self.start_radius) / max(length, 1e-9)
        reach = _outline(ex, ey, (end - start)[:2], self.start_radius, self.end_radius)
        row, column = np.nonzero(reach)
        ex, ey = ex[0, column], ey[row, 0]
        w = np.full(len(row), -np.inf, np.float32)
        for point, radius in ((start - start, self.start_radius), (end - start, self.end_radius)):
            square = radius**2 - (ex - np.float32(point[0])) ** 2 - (ey - np.float32(point[1])) ** 2
            w = np.maximum(w, np.where(square > 0, np.sqrt(np.maximum(square, 0)) + np.float32(point[2]), -np.inf))
        a = 1 - axis[2] ** 2 * (1 + slope**2)
        if a > 1e-3:  # otherwise the view is along the limb, and only an end is visible
            along = ex * axis[0] + ey * axis[1]
            wide = self.start_radius + slope * along
            b = -axis[2] * (along + slope * wide)
            root = b * b - a * (ex * ex + ey * ey - along * along - wide * wide)
            side = (np.sqrt(np.maximum(root, 0)) - b) / a
            t = along + side * axis[2]
            w = np.where((root > 0) & (t >= 0) & (t <= length) & (side > w), side, w)
        kept = np.isfinite(w)
        row, column, ex, ey, w = row[kept], column[kept], ex[kept], ey[kept], w[kept].astype(np.float32)
        point = np.stack([ex, ey, w], axis=1)
        t = np.clip(point @ axis, 0, length)
        normal = _unit(point - t[:, None] * axis)
        local = normal.copy()
        local[:, 1] = t / max(length, 1e-9)
        return Hits(row, column, (depth[0] - w).astype(np.float32), local, normal)


@dataclass(frozen=True)
class Box:
    """An upright box between two corners (3,), in metres. Own axes: metres from the low corner."""

    low: Vector
    high: Vector

    def bounds(self, eye: Eye) -> Bounds:
        """Its outline's box."""
        corners = np.array(np.meshgrid(*np.stack([self.low, self.high], axis=1))).reshape(3, -1).T
        place, _ = eye.project(corners)
        return _box(place)

    def intersect(self, eye: Eye, x: Array, y: Array) -> Hits:
        """Where it is seen among columns x (W,) and rows y (H,) in bright pixels."""
        shape = (len(y), len(x))
        ray = np.empty((3, *shape), np.float32)
        ray[0] = ((x - eye.centre_x) / eye.focal_px)[None, :]
        ray[1] = ((eye.horizon_y - y) / eye.focal_px)[:, None]
        ray[2] = -1
        eye_at = np.array([0, eye.height_m, 0])
        ray[np.abs(ray) < 1e-9] = 1e-9
        near, far = ((corner - eye_at).astype(np.float32)[:, None, None] / ray for corner in (self.low, self.high))
        enter = np.minimum(near, far)
        face = enter.argmax(0)
        depth = enter.max(0)
        row, column = np.nonzero((depth < np.maximum(near, far).min(0)) & (depth > 0))
        depth = depth[row, column]
        way = ray[:, row, column].T
        local = way * depth[:, None] + (eye_at - self.low).astype(np.float32)
        normal = np.zeros_like(way)
        hit = face[row, column]
        each = np.arange(len(hit))
        normal[each, hit] = -np.sign(way[each, hit])
        return Hits(row, column, depth, local, normal)


Shape = Ellipsoid | Limb | Box


@dataclass(frozen=True)
class Part:
    """A shape and what it is made of."""

    shape: Shape
    material: Material = field(repr=False)


def draw(picture: Picture, part: Part, owner: int) -> Bounds:
    """Draw a part; returns the box of its whole outline, hidden or not."""
    bounds = part.shape.bounds(picture.eye)
    rows, columns = picture.window(bounds)
    if rows.start < rows.stop and columns.start < columns.stop:
        hits = part.shape.intersect(picture.eye, picture.canvas.xs[columns], picture.canvas.ys[rows])
        picture.put(rows, columns, hits, part.material, owner)
    return bounds


def _outline(ex: Array, ey: Array, axis: Vector, start_radius: float, end_radius: float) -> npt.NDArray[np.bool_]:
    """Which of the points are within a flat limb's outline, roughly: (H, W)."""
    radius = np.float32(max(start_radius, end_radius))
    along = np.clip((ex * axis[0] + ey * axis[1]) / max(float(axis @ axis), 1e-12), 0, 1).astype(np.float32)
    inside: npt.NDArray[np.bool_] = (ex - along * np.float32(axis[0])) ** 2 + (
        ey - along * np.float32(axis[1])
    ) ** 2 < radius**2
    return inside


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-9)[:, None]
    return unit


def _box(*points: Vector) -> Bounds:
    """Left, top, right and bottom of points (N, 2)."""
    every = np.vstack(points)
    (left, top), (right, bottom) = every.min(0), every.max(0)
    return float(left), float(top), float(right), float(bottom)


__all__ = ["SUPERSAMPLING", "Box", "Ellipsoid", "Eye", "Hits", "Lighting", "Limb", "Part", "Picture", "draw"]
