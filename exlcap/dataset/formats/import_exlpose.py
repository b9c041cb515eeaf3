"""The published ExLPose as a data set of ours: pairs by the grammar of its file names, labels as published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from exlcap import __version__
from exlcap.core.console import progress, say
from exlcap.core.errors import ExlcapError
from exlcap.core.take import pair_id
from exlcap.dataset.checks.image_files import ImageFile, read_image_file
from exlcap.dataset.finish import begin_adopted, finish_adopted_pairs
from exlcap.dataset.formats.exlpose_files import SPLITS, PublishedImage, published_files, read_published, split_of
from exlcap.dataset.formats.exlpose_names import EXAMPLE, ExlposeName, Key, parse_name
from exlcap.dataset.manifest import Manifest, PairEntry

FOLDERS = {"well": "bright", "low": "dark"}


@dataclass(frozen=True)
class PublishedPair:
    """A pair to import. name: of the annotation. files: the image of each light."""

    name: ExlposeName
    image: PublishedImage
    split: str
    files: Mapping[str, Path]

    @property
    def pair_id(self) -> str:
        """Our name of the pair."""
        return pair_id(self.name.scene, 1, self.name.k, int(self.name.frame))

    def gain_db(self, light: str) -> float | None:
        """Gain of a camera, from the annotation's or the image's name."""
        names = (self.name, parse_name(self.files[light].name))
        gains = [n.gain_db for n in names if n and n.gain_db is not None and n.light in (FOLDERS[light], "img")]
        return float(gains[0]) if gains else None


def import_exlpose(source: Path, folder: Path, licence: str = "") -> Manifest:
    """Import the published ExLPose below `source` into the data set `folder`, with its own splits.

    A pair is taken once, from the largest COCO file that lists it, else from a ``*_trans.json``.
    Raises ExlcapError when annotations or images are missing, of the wrong size, or of an unknown name.
    """
    pairs = list(_find_pairs(source))
    splits = {split: tuple(sorted({p.name.scene for p in pairs if p.split == split})) for split in SPLITS}
    for scene in splits["test"]:
        if scene in (*splits["train"], *splits["val"]):
            raise ExlcapError(
                f"scene {scene} is in the training and in the test annotations", "correct the annotations"
            )
    building = Manifest(name=folder.name, status="building", exlcap=__version__, origin="imported",
                        source="ExLPose (Lee et al., CVPR 2023)", splits=splits, licence=licence)  # fmt: skip
    begin_adopted(folder, building)
    with progress("import", len(pairs)) as step, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        entries = []
        try:
            for entry in pool.map(partial(_import_pair, folder), pairs):
                entries.append(entry)
                step(entry.pair_id)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    people = {pair.pair_id: {"well": pair.image.people, "low": pair.image.people} for pair in pairs}
    return finish_adopted_pairs(folder, building, entries, people)  # type: ignore[arg-type]


def _find_pairs(source: Path) -> Iterator[PublishedPair]:
    """Annotated pairs whose two images are there; the others are counted in a note."""
    images = {light: _index(source, name) for light, name in FOLDERS.items()}
    seen: set[Key] = set()
    missing: list[str] = []
    for path in published_files(source, ocn=False):
        for image in read_published(path):
            name = parse_name(image.name)
            if name is None:
                raise ExlcapError(f"{path}: {image.name!r} is not an ExLPose file name",
                                  f"names look like {EXAMPLE}")  # fmt: skip
            if name.key in seen:
                continue
            seen.add(name.key)
            files = {
                light: files_by_key[name.key] for light, files_by_key in images.items() if name.key in files_by_key
            }
            if len(files) == 2:
                yield PublishedPair(name, image, split_of(path) or "", files)
            else:
                missing.append(image.name)
    if len(missing) == len(seen):
        raise ExlcapError(f"none of the {len(seen)} annotated pairs has its images in bright/ and dark/ below {source}",
                          "give the folder that holds both image folders")  # fmt: skip
    if missing:
        say(f"note: {len(missing)} of {len(seen)} annotated pairs lack an image and are left out, such as {missing[0]}")


def _index(source: Path, folder: str) -> dict[Key, Path]:
    """Images in the folders of that name, by the key of their name."""
    images: dict[Key, Path] = {}
    for path in sorted(source.rglob(f"{folder}/*.png")):
        name = parse_name(path.name)
        if name is not None and images.setdefault(name.key, path) != path:
            raise ExlcapError(f"{path} and {images[name.key]} are the same image by their names", "remove one of them")
    return images


def _import_pair(folder: Path, pair: PublishedPair) -> PairEntry:
    """Copy the images of a pair, unchanged, and return its entry."""
    made: dict[str, ImageFile] = {}
    for light, path in pair.files.items():
        target = folder / "images" / light / f"{pair.pair_id}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        picture = read_image_file(target)
        if picture is None or picture.size is None:
            raise ExlcapError(f"{path} is damaged or cut off", "download the file again")
        expected = pair.image.size or (made["well"].size if made else picture.size)
        if picture.size != expected:
            raise ExlcapError(f"{path} is {picture.size}, expected {expected} (width, height)",
                              "image and annotation are from different releases")  # fmt: skip
        made[light] = picture
    well_gain_db = pair.gain_db("well")
    if well_gain_db is None:
        raise ExlcapError(f"the well-lit gain of {pair.files['well']} is in no file name",
                          "add the annotation files that list the bright images")  # fmt: skip
    width, height = made["well"].size or (0, 0)
    return PairEntry(
        pair_id=pair.pair_id,
        scene=pair.name.scene,
        take=1,
        k=pair.name.k,
        index=int(pair.name.frame),
        exposure_us=float(pair.name.exposure_us),
        well_gain_db=well_gain_db,
        low_gain_db=pair.gain_db("low"),
        alignment="published",
        width=width,
        height=height,
        well_sha256=made["well"].sha256,
        low_sha256=made["low"].sha256,
        well_mean_level=made["well"].mean_level,
        low_mean_level=made["low"].mean_level,
        key=pair.name.long(),
    )
