"""Build a data set from the labelled pairs of takes: split the scenes, make the images, and finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from exlcap import __version__
from exlcap.core.develop import Development
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Light
from exlcap.core.workspace import Workspace
from exlcap.dataset.annotations import annotation_files, people_left_out, people_of
from exlcap.dataset.built_images import build_images, delete_images
from exlcap.dataset.data_card.built_card import built_card
from exlcap.dataset.data_card.built_sheet import write_built_sheet
from exlcap.dataset.finish import finish
from exlcap.dataset.images import pedestal_of
from exlcap.dataset.labelled_pairs import LabelledPair
from exlcap.dataset.manifest import Developed, Manifest, Parameters, read_manifest, write_manifest
from exlcap.dataset.split import split_scenes


def build(
    workspace: Workspace,
    name: str,
    parameters: Parameters,
    labelled: Sequence[LabelledPair],
    licence: str = "",
    left_out: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Manifest:
    """Build data set `name` from labelled pairs and return its manifest. Without a licence it keeps the one it has.

    left_out: ids of the pairs that are not in `labelled`, by reason; images an earlier build made of them are deleted.
    Raises ExlcapError when a data set of that name was built with other parameters, or not from takes.
    """
    folder = workspace.dataset(name)
    if (folder / "dataset.json").exists():
        old = read_manifest(folder)
        _same_parameters(old, parameters)
        licence = licence or old.licence
    base_gains = {item.take.header.scene: item.take.header.steps[0].well.gain_db for item in labelled}
    splits = split_scenes(base_gains, parameters.seed, parameters.test, parameters.val)
    building = Manifest(
        name=name, status="building", exlcap=__version__, parameters=parameters, splits=splits,
        developments=_developments(labelled, parameters), left_out=_people_left_out(labelled, parameters),
        pairs_left_out={why: len(pair_ids) for why, pair_ids in left_out.items()}, licence=licence,
        pedestal=pedestal_of(parameters.depth),
    )  # fmt: skip
    write_manifest(folder, building)

    delete_images(folder, [pair_id for pair_ids in left_out.values() for pair_id in pair_ids])
    entries = build_images(folder, labelled, parameters)
    people = {item.pair_id: people_of(item.labels, item.alignment, parameters.warp) for item in labelled}
    return finish(
        folder,
        building.model_copy(update={"pairs": tuple(entries)}),
        annotation_files(entries, people, splits),
        card=lambda manifest: built_card(manifest, labelled),
        write_sheet=lambda path, _: write_built_sheet(path, labelled, parameters),
    )


def _developments(labelled: Sequence[LabelledPair], parameters: Parameters) -> tuple[Developed, ...]:
    """How the frames of each take and camera are developed, takes of the same development together."""
    takes: dict[tuple[Light, Development], list[str]] = {}
    for item in {item.take.name: item for item in labelled}.values():
        for light in LIGHTS:
            takes.setdefault((light, item.development(light, parameters)), []).append(item.take.name)
    return tuple(
        Developed(light=light, takes=tuple(names), **asdict(development))
        for (light, development), names in takes.items()
    )


def _people_left_out(labelled: Sequence[LabelledPair], parameters: Parameters) -> dict[str, int]:
    """How many labels of people stay out of the data set, by reason."""
    counts: Counter[str] = Counter()
    for item in labelled:
        counts.update(people_left_out(item.labels, item.alignment, parameters.warp))
    return {why: count for why, count in counts.items() if count}


def _same_parameters(old: Manifest, parameters: Parameters) -> None:
    if old.origin != "built":
        raise ExlcapError(f"data set {old.name!r} was {old.origin}, not built from takes", "choose another --name")
    for field in Parameters.model_fields:
        before, now = getattr(old.parameters, field), getattr(parameters, field)
        if before != now:
            raise ExlcapError(f"data set {old.name!r} was built with {field} = {before!r}, not {now!r}",
                              "use the same value, or another --name")  # fmt: skip
