"""A data set opened for reading: images as arrays, with their people, alone or as pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exlcap.core.develop import Rgb8, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import Person
from exlcap.core.rig import LIGHTS, Light
from exlcap.dataset.formats.keypoint_file import KeypointFile, Listed, read_keypoint_file
from exlcap.dataset.images import read_image
from exlcap.dataset.manifest import TEST_SPLITS, Manifest, PairEntry, read_complete

ORDER = ("train", "val", *(f"test_{name}" for name in TEST_SPLITS))


def open_dataset(folder: Path | str) -> Dataset:
    """Open a data set that was built, imported or simulated.

    Args:
        folder: The folder that holds ``dataset.json``.

    Returns:
        The data set with its manifest; annotations and images are read when they are asked for.

    Raises:
        ExlcapError: There is no data set in the folder, its manifest is damaged, or it was never finished.

    Examples:
        >>> dataset = exlcap.open_dataset("lab/datasets/main")
        >>> dataset.name, len(list(dataset.pairs()))
        ('main', 6)
    """
    return Dataset(Path(folder), read_complete(Path(folder)))


@dataclass(frozen=True)
class Dataset:
    """A finished data set. Made by `open_dataset` and `Lab.dataset`.

    Attributes:
        folder: The folder that holds ``dataset.json``.
        manifest: What it is made of: parameters, splits, counts, checksums.

    Examples:
        >>> dataset = lab.dataset("main")
        >>> for image in dataset.images("test_WL"):
        ...     print(image.pair_id, image.light, image.srgb().dtype, len(image.people) > 0)
        plaza-t001-k01-000000 well uint8 True
        plaza-t001-k12-000000 well uint8 True
    """

    folder: Path
    manifest: Manifest

    def __repr__(self) -> str:
        manifest = self.manifest
        singles = f", singles={len(manifest.singles)}" if manifest.singles else ""
        return f"Dataset({self.name!r}, pairs={len(manifest.pairs)}{singles})"

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.manifest.name

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the annotation files: train, val and the test splits, those of the paper first."""
        names = {path.stem for path in (self.folder / "annotations").glob("*.json")}
        return (*(name for name in ORDER if name in names), *sorted(names - set(ORDER)))

    def images(self, split: str) -> Iterator[DatasetImage]:
        """The images of one annotation file with their people.

        Args:
            split: One of `splits`. "train" and "val" list both images of a pair, the test splits one.

        Raises:
            ExlcapError: There is no such split, or its annotations are damaged.

        Examples:
            >>> {image.light for image in dataset.images("test_LL-A")}
            {'low'}
        """
        return iter(self._images(split).values())

    def pairs(self, split: str | None = None) -> Iterator[DatasetPair]:
        """The pairs of one split of scenes ("train", "val" or "test"), or of all of them.

        A set without pairs, as ExLPose-OCN, gives none.

        Raises:
            ExlcapError: There is no such split, or its annotations are damaged.

        Examples:
            >>> pair = next(dataset.pairs("test"))
            >>> pair.well.srgb().shape == pair.low.srgb().shape
            True
            >>> [person.id for person in pair.low.people] == [person.id for person in pair.well.people]
            True
        """
        if split is not None and split not in self.manifest.splits:
            raise ExlcapError(
                f"data set {self.name!r} has no pairs of split {split!r}",
                f"its splits are {', '.join(self.manifest.splits) or 'none'}",
            )
        return self._pairs(split)

    def _pairs(self, split: str | None) -> Iterator[DatasetPair]:
        for name in (*self.manifest.splits,) if split is None else (split,):
            entries = [entry for entry in self.manifest.pairs if entry.scene in self.manifest.splits[name]]
            files = ("test_LL-A", "test_WL") if name == "test" else (name,)
            images: dict[str, DatasetImage] = {}
            for file in files if entries else ():
                images |= self._images(file)
            for entry in entries:
                both = [images.get(f"{light}/{entry.pair_id}.png") for light in LIGHTS]
                if both[0] is None or both[1] is None:
                    raise ExlcapError(
                        f"data set {self.name!r}: {' and '.join(files)} do not list both images of {entry.pair_id}",
                        f"`exlcap validate {self.folder}` lists every defect",
                    )
                yield DatasetPair(entry, name, both[0], both[1])

    def _images(self, split: str) -> dict[str, DatasetImage]:
        """The images of an annotation file by name."""
        if split not in self.splits:
            raise ExlcapError(f"data set {self.name!r} has no split {split!r}", f"it has {', '.join(self.splits)}")
        content = read_keypoint_file(self.folder / "annotations" / f"{split}.json")
        if content.broken:
            annotation, reason = content.broken[0]
            raise ExlcapError(
                f"{content.path}: annotation {annotation.get('id', '?')}: {reason}",
                f"`exlcap validate {self.folder}` lists every defect",
            )
        return _images_of(self.folder, content)


def _images_of(folder: Path, content: KeypointFile) -> dict[str, DatasetImage]:
    people: dict[int, list[Person]] = {}
    for listed in content.people:
        people.setdefault(int(listed.image["id"]), []).append(_person(listed, content.name))
    images = {}
    for image in content.images:
        try:
            file = str(image["file_name"])
            own = tuple(people.get(int(image["id"]), ()))
            images[file] = DatasetImage(folder / "images" / file, file, image["lighting"], str(image["pair_id"]), own)
        except (KeyError, TypeError, ValueError) as error:
            raise ExlcapError(
                f"{content.path}: image {image.get('id', '?')}: {type(error).__name__}: {error}",
                "it is no annotation file of exlcap's; build or import the data set again",
            ) from None
    return images


def _person(listed: Listed, split: str) -> Person:
    annotation = listed.annotation
    return Person(
        id=str(annotation.get("person_id", annotation.get("id"))),
        keypoints=listed.keypoints,
        box=listed.box,
        origin=split,
        iscrowd=bool(annotation.get("iscrowd", 0)),
    )


@dataclass(frozen=True)
class DatasetImage:
    """An image of a data set and the people in it.

    Attributes:
        path: The file.
        file: Its name below ``images/``: ``low/plaza-t001-k04-000052.png``.
        light: "well" or "low".
        pair_id: Name of its pair.
        people: Joints in pixel centres of this image, float64 (14, 3) of x, y and flag each; boxes x, y, width, height.

    Examples:
        >>> image = next(dataset.images("test_LL-A"))
        >>> image.srgb().dtype, image.people[0].keypoints.shape
        (dtype('uint8'), (14, 3))
    """

    path: Path
    file: str
    light: Light
    pair_id: str
    people: tuple[Person, ...]

    def __repr__(self) -> str:
        return f"DatasetImage({self.file!r}, people={len(self.people)})"

    def read(self) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """The pixels as they are stored, (H, W, 3), RGB: uint8 sRGB, or uint16 linear light in a set of 16 bits.

        Raises:
            ExlcapError: The file is missing or damaged.
        """
        return read_image(self.path)

    def srgb(self) -> Rgb8:
        """The pixels as 8-bit sRGB, uint8 (H, W, 3), RGB, whatever the set stores.

        Raises:
            ExlcapError: The file is missing or damaged.
        """
        pixels = self.read()
        return (
            to_srgb(pixels.astype(np.float32) / np.float32(65535))
            if pixels.dtype == np.uint16
            else pixels.astype(np.uint8, copy=False)
        )


@dataclass(frozen=True)
class DatasetPair:
    """A pair of a data set.

    Attributes:
        entry: Where it came from: scene, take, step, exposure, gains, checksums.
        split: The split of its scene: "train", "val" or "test".
        well: The well-lit image.
        low: The low-light image. The same person has the same `id` in both.

    Examples:
        >>> pair = next(dataset.pairs("train"))
        >>> pair.id == pair.low.pair_id == pair.well.pair_id, pair.entry.low_gain_db
        (True, 3.4)
    """

    entry: PairEntry
    split: str
    well: DatasetImage
    low: DatasetImage

    def __repr__(self) -> str:
        return f"DatasetPair({self.id!r}, {self.split!r})"

    @property
    def id(self) -> str:
        """Name of the pair, the same as in its take: ``plaza-t001-k04-000052``."""
        return self.entry.pair_id
