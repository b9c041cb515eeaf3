"""The images of a data set built from takes, made on every core.

Every finished pair is a line of build.jsonl, with a key of everything it was made from. A build that was killed, or
that runs again after more takes, makes only what is missing or changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from exlcap.core.console import progress, say
from exlcap.core.develop import low_crop
from exlcap.core.files import append_jsonl, read_jsonl
from exlcap.core.records import parse
from exlcap.core.rig import LIGHTS
from exlcap.dataset.images import encoded, linear_image, pedestal_of, write_png
from exlcap.dataset.labelled_pairs import LabelledPair
from exlcap.dataset.manifest import PairEntry, Parameters


def build_images(folder: Path, labelled: Sequence[LabelledPair], parameters: Parameters) -> list[PairEntry]:
    """Make the images that are missing or changed; returns the entries of all pairs, in the order of `labelled`."""
    log = folder / "build.jsonl"
    done = {entry.pair_id: entry for entry in (parse(PairEntry, line, log, "delete it; all images will be built again")
                                               for line in read_jsonl(log)[0])}  # fmt: skip
    todo = [item for item in labelled if not _is_built(folder, item, done.get(item.pair_id), parameters)]
    if todo and len(todo) < len(labelled):
        say(f"{len(labelled) - len(todo)} of {len(labelled)} pairs are built already")
    with progress("build", len(todo)) as step:
        for entry in _in_parallel(folder, todo, parameters):
            append_jsonl(log, entry.model_dump(mode="json"))
            done[entry.pair_id] = entry
            step(entry.pair_id)
    return [done[item.pair_id] for item in labelled]


def build_pair(folder: Path, parameters: Parameters, item: LabelledPair) -> PairEntry:
    """Write the two images of a pair and return its entry."""
    take, pair = item.take, item.pair
    images = {}
    for light in LIGHTS:
        development = item.development(light, parameters)
        linear = linear_image(take.raw(pair, light), light, development, item.alignment, parameters.warp)
        path = folder / "images" / light / f"{item.pair_id}.png"
        images[light] = write_png(path, encoded(linear, parameters.depth), pedestal_of(parameters.depth))
    step = next(step for step in take.header.steps if step.k == pair.k)
    area = low_crop(item.alignment) if parameters.warp == "well" else item.alignment.crop
    return PairEntry(
        pair_id=item.pair_id,
        scene=take.header.scene,
        take=take.header.number,
        k=pair.k,
        index=pair.index,
        exposure_us=pair.well.read_back.exposure_us,
        well_gain_db=step.well.gain_db,
        low_gain_db=step.low.gain_db,
        alignment=item.alignment_name,
        width=area.width,
        height=area.height,
        low_size=item.alignment.low_size if parameters.warp == "none" else None,
        well_sha256=images["well"].sha256,
        low_sha256=images["low"].sha256,
        well_mean_level=images["well"].mean_level,
        low_mean_level=images["low"].mean_level,
        key=item.key(parameters),
    )


def _is_built(folder: Path, item: LabelledPair, entry: PairEntry | None, parameters: Parameters) -> bool:
    return entry is not None and entry.key == item.key(parameters) and all(
        (folder / "images" / light / f"{item.pair_id}.png").is_file() for light in ("well", "low")
    )  # fmt: skip


def _in_parallel(folder: Path, labelled: Sequence[LabelledPair], parameters: Parameters) -> Iterator[PairEntry]:
    """Entries in order, made on every core. Threads suffice: OpenCV and NumPy release the interpreter lock."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(partial(build_pair, folder, parameters), labelled)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def delete_images(folder: Path, pair_ids: Iterable[str]) -> None:
    """Delete images of an earlier build: what was rejected since must not be published with the rest."""
    paths = [folder / "images" / light / f"{pair_id}.png" for pair_id in pair_ids for light in LIGHTS]
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink()
    if there:
        say(f"note: {len(there)} images of the earlier build were deleted: their pairs are now left out")
