"""Pairs to review, and their pictures, developed as `exlcap build` does: the common area of both frames, 8-bit sRGB.

There is also an amplified dark one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from exlcap.core.alignment import Alignment
from exlcap.core.console import progress, say
from exlcap.core.contents import read_alignment_named, read_labels_of, read_takes
from exlcap.core.develop import Development, Rgb8, amplified, develop_aligned, development_of, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_bytes, write_atomic
from exlcap.core.labels import PairLabels
from exlcap.core.rig import LIGHTS, Light
from exlcap.core.take import Pair, Take
from exlcap.core.workspace import Workspace

SLICES = ("well", "low", "low_amplified")
RECIPE = "3"
"""Part of every picture's name. Raise it when the same frames give other pixels."""
QUALITY = 95


@dataclass(frozen=True)
class ReviewPair:
    """A labelled pair, its take, and the alignment that carried its labels."""

    take: Take
    pair: Pair
    labels: PairLabels
    alignment: Alignment

    @property
    def pair_id(self) -> str:
        """Name of the pair."""
        return self.take.pair_id(self.pair)

    def development(self, light: Light) -> Development:
        """How the frame of a camera is developed."""
        return development_of(self.take.header.rig, light, self.alignment)

    def picture(self, folder: Path, part: str) -> Path:
        """Path of the picture of a slice. Its name depends on what it was made from, so an old one is never used."""
        made_from = (RECIPE, self.pair.well.sha256, self.pair.low.sha256, *map(self.development, LIGHTS),
               self.alignment.homography, self.alignment.mirror, self.alignment.crop)  # fmt: skip
        return folder / part / f"{self.pair_id}.{sha256_bytes(repr(made_from).encode())[:8]}.jpg"


def pairs_to_review(workspace: Workspace, scene: str | None) -> list[ReviewPair]:
    """Labelled pairs of all takes, or of those of one scene.

    Raises ExlcapError when there is none.
    """
    items: list[ReviewPair] = []
    for take in read_takes(workspace, scene):
        labels = read_labels_of(workspace, take)
        if labels is None:
            say(f"note: {take.name} has no labels and is skipped; label it with `exlcap annotate`")
            continue
        alignment = read_alignment_named(workspace, labels.alignment)
        items += [ReviewPair(take, pair, labels.pairs[take.pair_id(pair)], alignment)
                  for pair in take.pairs if take.pair_id(pair) in labels.pairs]  # fmt: skip
    if not items:
        raise ExlcapError("no labelled pairs to review", "shoot scenes, then label them with `exlcap annotate`")
    return items


def write_previews(folder: Path, items: list[ReviewPair]) -> None:
    """Write the pictures of all pairs that lack them, on every core; outdated ones are deleted."""
    todo = [item for item in items if not all(item.picture(folder, part).is_file() for part in SLICES)]
    with progress("pictures", len(todo)) as step:
        for pair_id in _in_parallel(folder, todo):
            step(pair_id)
    wanted = {item.picture(folder, part) for item in items for part in SLICES}
    shown = {item.pair_id for item in items}
    for path in folder.glob("*/*.jpg"):
        if path not in wanted and path.name.split(".")[0] in shown:
            path.unlink()


def _in_parallel(folder: Path, items: list[ReviewPair]) -> Iterator[str]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(partial(_write_pictures, folder), items)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_pictures(folder: Path, item: ReviewPair) -> str:
    for part, picture in pictures(item).items():
        _write_jpeg(item.picture(folder, part), picture)
    return item.pair_id


def pictures(item: ReviewPair) -> dict[str, Rgb8]:
    """Pictures of the three slices, uint8 (H, W, 3) sRGB; the amplified one is made from 12 bits."""
    well, low = develop_aligned(item.take, item.pair, item.alignment, "low")
    return {"well": to_srgb(well), "low": to_srgb(low), "low_amplified": to_srgb(amplified(low))}


def _write_jpeg(path: Path, picture: Rgb8) -> None:
    import cv2

    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f"cannot encode a picture of {picture.dtype} {picture.shape} as JPEG")
    write_atomic(path, data.tobytes())
