"""Build a data set: choose pairs, make their images on every core, write the annotation files, and say what came out.

Every finished pair is a line of build.jsonl, keyed by what it was made from. A build that was killed, or runs again
after more takes, makes only what is missing or changed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from exlcap import __version__
from exlcap.core.alignment import Alignment, read_alignment
from exlcap.core.console import progress, say
from exlcap.core.develop import Development, development_of
from exlcap.core.errors import ExlcapError
from exlcap.core.files import append_jsonl, read_jsonl, sha256_bytes, sha256_file, write_json
from exlcap.core.labels import Decision, PairLabels, decision, read_labels
from exlcap.core.records import parse
from exlcap.core.rig import LIGHTS, Light
from exlcap.core.take import Pair, Take, read_take
from exlcap.core.workspace import Workspace
from exlcap.dataset.annotations import REJECTED, annotation_files, people_left_out, people_of
from exlcap.dataset.images import encoded, linear_image, write_png
from exlcap.dataset.manifest import Developed, Manifest, PairEntry, Parameters, read_manifest, write_manifest
from exlcap.dataset.split import split_scenes

RECIPE = "3"
"""Part of every key: raise it when the same inputs would give other pixels."""
UNDECIDED = "not accepted in review"


@dataclass(frozen=True)
class Item:
    """A pair to build: its take, its labels, and the alignment that carried them."""

    take: Take
    pair: Pair
    labels: PairLabels
    alignment_name: str
    alignment: Alignment

    @property
    def pair_id(self) -> str:
        """Name of the pair."""
        return self.take.pair_id(self.pair)

    def development(self, light: Light, parameters: Parameters) -> Development:
        """How the frame of a camera is developed."""
        balanced = parameters.white_balance == "reference"
        return development_of(self.take.header.rig, light, self.alignment if balanced else None)

    def key(self, parameters: Parameters) -> str:
        """SHA-256 of all that its images depend on."""
        alignment = (self.alignment.homography, self.alignment.mirror, self.alignment.crop)
        frames = (self.pair.well.sha256, self.pair.low.sha256)
        developments = tuple(self.development(light, parameters) for light in LIGHTS)
        facts = (RECIPE, parameters.warp, parameters.depth, frames, developments, alignment)
        return sha256_bytes(repr(facts).encode())


def collect(workspace: Workspace, every: int) -> list[Item]:
    """Labelled pairs of all takes, every n-th of each step.

    Takes without labels are left out with a remark. Raises ExlcapError when nothing is left.
    """
    items: list[Item] = []
    alignments: dict[str, Alignment] = {}
    for folder in workspace.takes():
        take = read_take(folder)
        path = workspace.labels(take.header.scene, take.header.number)
        if not path.exists():
            say(f"note: {take.name} has no labels and is left out; label it with `exlcap annotate`")
            continue
        if missing := take.missing():
            say(
                f"note: {take.name} is not whole: {sum(missing.values())} pairs are missing, {len(take.pairs)} are used"
            )
        labels = read_labels(path)
        if labels.alignment not in alignments:
            alignments[labels.alignment] = read_alignment(workspace.alignments / f"{labels.alignment}.json")
        lean = replace(take, pairs=(), orphans=())  # an item goes to another process: not with every pair of its take
        for step in take.header.steps:
            pairs = [pair for pair in take.pairs if pair.k == step.k][::every]
            items += [Item(lean, pair, labels.pairs[take.pair_id(pair)], labels.alignment, alignments[labels.alignment])
                      for pair in pairs if take.pair_id(pair) in labels.pairs]  # fmt: skip
    if not items:
        raise ExlcapError("no labelled pairs in this workspace", "shoot scenes, then label them with `exlcap annotate`")
    return items


def through_review(items: Sequence[Item], accepted_only: bool) -> tuple[list[Item], dict[str, list[str]]]:
    """The pairs that may go into a data set, and the ids of those that may not, by reason.

    Rejected pairs never do. Pairs with an undecided person do unless `accepted_only`: were only the accepted people
    of a pair labelled, the others would count as background. Raises ExlcapError when none is left.
    """
    refused: dict[Decision, str] = {"rejected": REJECTED, **({"undecided": UNDECIDED} if accepted_only else {})}
    kept: list[Item] = []
    left_out: dict[str, list[str]] = {}
    for item in items:
        decided = decision(item.labels.well)
        if decided in refused:
            left_out.setdefault(refused[decided], []).append(item.pair_id)
        else:
            kept.append(item)
    if not kept:
        raise ExlcapError(
            f"{'none' if accepted_only else 'all'} of the {len(items)} labelled pairs "
            f"{'is accepted' if accepted_only else 'are rejected'}",
            "decide in `exlcap review`, then run `exlcap review pull`",
        )
    return kept, left_out


def build(
    workspace: Workspace,
    name: str,
    parameters: Parameters,
    items: list[Item],
    licence: str = "",
    left_out: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Manifest:
    """Build data set `name` from collected items and return its manifest. Without a licence the one it has stays.

    left_out: pairs by the reason why they are not among the items; images an earlier build made of them are deleted.
    Raises ExlcapError when a data set of that name was built with other parameters, or not from takes.
    """
    folder = workspace.dataset(name)
    if (folder / "dataset.json").exists():
        old = read_manifest(folder)
        _same_parameters(old, parameters)
        licence = licence or old.licence
    base_gains = {item.take.header.scene: item.take.header.steps[0].well.gain_db for item in items}
    splits = split_scenes(base_gains, parameters.seed, parameters.test, parameters.val)
    building = Manifest(
        name=name, status="building", exlcap=__version__, parameters=parameters, splits=splits,
        developments=_developments(items, parameters), left_out=_left_out(items),
        pairs_left_out={why: len(pairs) for why, pairs in left_out.items()}, licence=licence,
    )  # fmt: skip
    write_manifest(folder, building)

    _delete_images(folder, [pair_id for pairs in left_out.values() for pair_id in pairs])
    entries = _build_images(folder, items, parameters)
    people = {item.pair_id: people_of(item.labels, item.alignment, parameters.warp) for item in items}
    sums, counts = {}, {}
    for split, content in annotation_files(entries, people, splits).items():
        path = folder / "annotations" / f"{split}.json"
        write_json(path, content)
        sums[split] = sha256_file(path)
        counts[split] = (len(content["images"]), len(content["annotations"]))
    done = building.model_copy(
        update={"status": "complete", "pairs": tuple(entries), "counts": counts, "annotations_sha256": sums}
    )
    write_manifest(folder, done)
    return done


def _developments(items: Sequence[Item], parameters: Parameters) -> tuple[Developed, ...]:
    """How the frames of each take and camera are developed, takes of the same development together."""
    takes: dict[tuple[Light, Development], list[str]] = {}
    for item in {item.take.name: item for item in items}.values():
        for light in LIGHTS:
            takes.setdefault((light, item.development(light, parameters)), []).append(item.take.name)
    return tuple(Developed(light=light, takes=tuple(names), **asdict(how)) for (light, how), names in takes.items())


def _left_out(items: Sequence[Item]) -> dict[str, int]:
    """How many labels of people stay out of the data set, by reason."""
    counts: Counter[str] = Counter()
    for item in items:
        counts.update(people_left_out(item.labels, item.alignment))
    return {why: count for why, count in counts.items() if count}


def _same_parameters(old: Manifest, parameters: Parameters) -> None:
    if old.origin != "built":
        raise ExlcapError(f"data set {old.name!r} was {old.origin}, not built from takes", "give another --name")
    for field in Parameters.model_fields:
        before, now = getattr(old.parameters, field), getattr(parameters, field)
        if before != now:
            raise ExlcapError(f"data set {old.name!r} was built with {field} = {before!r}, not {now!r}",
                              "give the same, or another --name")  # fmt: skip


def _build_images(folder: Path, items: list[Item], parameters: Parameters) -> list[PairEntry]:
    """Images of all pairs, made where they are missing or changed; entries in the order of `items`."""
    log = folder / "build.jsonl"
    done = {entry.pair_id: entry for entry in (parse(PairEntry, line, log, "delete it; all images are then built again")
                                               for line in read_jsonl(log)[0])}  # fmt: skip
    todo = [item for item in items if not _is_built(folder, item, done.get(item.pair_id), parameters)]
    if todo and len(todo) < len(items):
        say(f"{len(items) - len(todo)} of {len(items)} pairs are built already")
    with progress("build", len(todo)) as step:
        for entry in _in_parallel(folder, todo, parameters):
            append_jsonl(log, entry.model_dump(mode="json"))
            done[entry.pair_id] = entry
            step(entry.pair_id)
    return [done[item.pair_id] for item in items]


def _delete_images(folder: Path, pair_ids: Iterable[str]) -> None:
    """Delete the images of pairs that were built before: what was rejected must not be published with the rest."""
    paths = [folder / "images" / light / f"{pair_id}.png" for pair_id in pair_ids for light in LIGHTS]
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink()
    if there:
        say(f"note: {len(there)} images of the earlier build are deleted: their pairs are left out now")


def _is_built(folder: Path, item: Item, entry: PairEntry | None, parameters: Parameters) -> bool:
    return entry is not None and entry.key == item.key(parameters) and all(
        (folder / "images" / light / f"{item.pair_id}.png").is_file() for light in ("well", "low")
    )  # fmt: skip


def _in_parallel(folder: Path, items: list[Item], parameters: Parameters) -> Iterator[PairEntry]:
    """Entries in order, made on every core. Threads do: OpenCV and NumPy let go of the interpreter while they work."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(partial(build_pair, folder, parameters), items)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def build_pair(folder: Path, parameters: Parameters, item: Item) -> PairEntry:
    """Write the two images of a pair and return its entry."""
    take, pair = item.take, item.pair
    images = {}
    for light in LIGHTS:
        how = item.development(light, parameters)
        linear = linear_image(take.raw(pair, light), light, how, item.alignment, parameters.warp)
        images[light] = write_png(folder / "images" / light / f"{item.pair_id}.png", encoded(linear, parameters.depth))
    step = next(step for step in take.header.steps if step.k == pair.k)
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
        width=item.alignment.crop.width,
        height=item.alignment.crop.height,
        low_size=item.alignment.low_size if parameters.warp == "none" else None,
        well_sha256=images["well"].sha256,
        low_sha256=images["low"].sha256,
        well_mean_level=images["well"].mean_level,
        low_mean_level=images["low"].mean_level,
        key=item.key(parameters),
    )
