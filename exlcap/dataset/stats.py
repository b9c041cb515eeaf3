"""What a data set or a COCO keypoint file holds, in numbers; each person and each pair is counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from exlcap.core.joints import JOINTS
from exlcap.core.light_levels import lighting_split
from exlcap.dataset.formats.exlpose_names import parse_name, well_gain_db
from exlcap.dataset.formats.keypoint_file import Json, KeypointFile, Listed
from exlcap.dataset.manifest import Manifest
from exlcap.dataset.table1 import Row, table1, table1_text

QUARTILES = (0, 25, 50, 75, 100)


@dataclass(frozen=True)
class ImageFacts:
    """An image, once for each pair. Exposure and gain are None where they are unknown."""

    size: tuple[int, int] | None
    people: int
    exposure_us: float | None
    well_gain_db: float | None
    low_mean_level: float | None = None
    well_mean_level: float | None = None


@dataclass(frozen=True)
class Stats:
    """Counts and samples. visibility: by joint, how many have flag 0, 1, 2; box_heights_px: of every person."""

    images: tuple[ImageFacts, ...]
    visibility: dict[str, tuple[int, int, int]]
    box_heights_px: tuple[float, ...]
    box_widths_px: tuple[float, ...]
    table: tuple[Row, ...] = ()


def stats_of(files: Sequence[KeypointFile], manifest: Manifest | None) -> Stats:
    """Numbers of a data set (its train, val and test people, once each) or of foreign files."""
    levels = {e.pair_id: (e.low_mean_level, e.well_mean_level) for e in manifest.pairs} if manifest else {}
    images: dict[str, ImageFacts] = {}
    people: list[Listed] = []
    for file in files:
        by_image = _by_image(file)
        for image in file.images:
            key = str(image.get("pair_id") or image["file_name"])
            if key not in images:
                people_of_image = by_image.get(image["id"], [])
                people += people_of_image
                images[key] = _image(image, len(people_of_image), levels.get(key, (None, None)))
    flags = np.array([one.keypoints[:, 2] for one in people]).reshape(-1, len(JOINTS))
    unlabelled, hidden, visible = ((flags == flag).sum(0).tolist() for flag in (0, 1, 2))
    return Stats(
        images=tuple(images.values()),
        visibility={name: (unlabelled[j], hidden[j], visible[j]) for j, name in enumerate(JOINTS)},
        box_heights_px=tuple(one.box[3] for one in people),
        box_widths_px=tuple(one.box[2] for one in people),
        table=tuple(table1(manifest)) if manifest and manifest.pairs else (),
    )


def _by_image(file: KeypointFile) -> dict[Any, list[Listed]]:
    by_image: dict[Any, list[Listed]] = {}
    for one in file.people:
        by_image.setdefault(one.image["id"], []).append(one)
    return by_image


def _image(image: Json, people: int, levels: tuple[float | None, float | None]) -> ImageFacts:
    """Facts of an image; exposure and gain from its fields, or from its name where it is a published one."""
    name = parse_name(str(image["file_name"]))
    size = (int(image["width"]), int(image["height"])) if "width" in image and "height" in image else None
    exposure_us = image.get("exposure_us", float(name.exposure_us) if name else None)
    gain_db = image.get("well_gain_db", well_gain_db(str(image["file_name"])))
    return ImageFacts(size, people, exposure_us, gain_db, *levels)


def stats_text(stats: Stats) -> str:
    """For people."""
    people = len(stats.box_heights_px)
    sizes = Counter(image.size for image in stats.images)
    parts = [table1_text(stats.table)] if stats.table else []
    lines = [f"{len(stats.images)} images or pairs, {people} people, {len(sizes)} image sizes"]
    lines.append("people per image: " + _counted(Counter(image.people for image in stats.images)))
    for what, values in (("height", stats.box_heights_px), ("width", stats.box_widths_px)):
        if values:
            shown = " ".join(f"{value:.0f}" for value in np.percentile(values, QUARTILES))
            lines.append(f"box {what} (px; minimum, quartiles, maximum): {shown}")
    exposures = Counter(image.exposure_us for image in stats.images if image.exposure_us is not None)
    if exposures:
        lines.append("exposures (us): " + _counted(Counter({round(us, 1): n for us, n in exposures.items()})))
    gains = [image.well_gain_db for image in stats.images if image.well_gain_db is not None]
    if gains:
        levels = Counter(lighting_split(gain) for gain in gains)
        shown = ", ".join(f"{name} {levels[name]}" for name in ("LL-N", "LL-H", "LL-E"))
        lines.append(f"well-lit gain: {min(gains):.2f} to {max(gains):.2f} dB; {shown}")
    parts.append("\n".join(lines))
    rows = [f"{'joint':<16} {'missing':>8} {'hidden':>8} {'visible':>8}"]
    rows += [f"{name:<16} {a:>8} {b:>8} {c:>8}" for name, (a, b, c) in stats.visibility.items()]
    return "\n\n".join([*parts, "\n".join(rows)])


def _counted(counts: Counter[Any]) -> str:
    return ", ".join(f"{value:g} ({count})" for value, count in sorted(counts.items()))


def stats_json(stats: Stats) -> dict[str, Any]:
    """For machines: the samples themselves, and the counts of the text."""
    data = asdict(stats)
    data["people"] = len(stats.box_heights_px)
    data["people_per_image"] = dict(Counter(str(image.people) for image in stats.images))
    return data
