"""dataset.json: what a data set consists of. Written first with the status "building", and last with "complete"."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from exlcap.core.develop import Demosaic
from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, write_json
from exlcap.core.records import Record, parse
from exlcap.core.rig import Matrix3, StoredLight

FORMAT = 1
SPLITS = ("train", "val", "test")
REMEDIES = {
    "built": "run the same `exlcap build` again; it continues where it stopped",
    "imported": "run the same `exlcap import` again; it starts over",
    "simulated": "run the same `exlcap simulate` again; it starts over",
}
"""What to do about an unfinished data set, by origin."""
TEST_SPLITS = ("LL-N", "LL-H", "LL-E", "LL-A", "WL")


class Parameters(Record):
    """What determines the content of a data set besides takes, alignments and labels."""

    every: int = Field(default=1, ge=1, description="take every n-th pair of a step")
    warp: Literal["well", "low", "none"] = Field(
        default="low",
        description="the image that is laid onto the other; imported and simulated pairs have the geometry of low",
    )
    depth: Literal[8, 16] = Field(default=8, description="8-bit sRGB, or 16-bit linear")
    white_balance: Literal["reference", "none"] = Field(
        default="reference", description="per camera, from the alignment"
    )
    seed: int = Field(default=0, ge=0)
    test: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    accepted_only: bool = Field(default=False, description="leave out pairs that review has not accepted")


class Developed(Record):
    """How raw frames of a camera became pictures (`exlcap.core.develop.Development`). takes: whose; none means all.

    white_balance: as it was applied. demosaic: not recorded before version 0.2, when it was bilinear for both cameras.
    """

    light: StoredLight
    takes: tuple[str, ...] = ()
    black_level_dn: float
    white_balance: tuple[float, float, float]
    colour_matrix: Matrix3 | None
    demosaic: Demosaic = "bilinear"


class PairEntry(Record):
    """A pair of the data set: where it came from and its two images, 8-bit sRGB, aligned and cropped.

    key: SHA-256 of everything its images were made from; equal keys need no rebuilding.
    mean_level: mean of the values from 0 at black to 255 at white: of 8-bit sRGB, clipped, or of signed linear light.
    low_size: of a dark image that was not warped onto the bright one.
    """

    pair_id: str
    scene: str
    take: int
    k: int
    index: int
    exposure_us: float
    well_gain_db: float
    low_gain_db: float | None
    alignment: str
    width: int
    height: int
    low_size: tuple[int, int] | None = None
    well_sha256: str
    low_sha256: str
    well_mean_level: float
    low_mean_level: float
    key: str


class SingleEntry(Record):
    """An image without a partner, of an imported data set that has no pairs. file: below images/."""

    name: str
    file: str
    width: int
    height: int
    sha256: str
    mean_level: float


class Manifest(Record):
    """dataset.json. splits: scenes of train, val and test; counts: images and people of every annotation file.

    left_out: labels of people, over all pairs, that are not in the data set, by reason; pairs_left_out: whole pairs.
    origin: "built" from takes, "imported", or "simulated" from photographs; source: from what, if it was not built.
    """

    format: Literal[1] = 1
    name: str
    status: Literal["building", "complete"]
    exlcap: str
    origin: Literal["built", "imported", "simulated"] = "built"
    source: str | None = None
    licence: str = ""
    parameters: Parameters = Parameters()
    developments: tuple[Developed, ...] = ()
    pedestal: int = Field(default=0, description="value of black in the images; not 0 where they are 16-bit linear")
    splits: dict[str, tuple[str, ...]] = {}
    counts: dict[str, tuple[int, int]] = {}
    left_out: dict[str, int] = {}
    pairs_left_out: dict[str, int] = {}
    pairs: tuple[PairEntry, ...] = ()
    singles: tuple[SingleEntry, ...] = ()
    annotations_sha256: dict[str, str] = {}


def read_manifest(folder: Path) -> Manifest:
    """Read dataset.json. Raises ExlcapError when there is none or it is damaged."""
    path = folder / "dataset.json"
    if not path.exists():
        raise ExlcapError(f"no data set at {folder}", "build one with `exlcap build`, or check the name")
    return parse(Manifest, read_json(path, "data set", (FORMAT,)), path, "run `exlcap build` again")


def read_complete(folder: Path) -> Manifest:
    """Like `read_manifest`; raises ExlcapError when the data set is not finished."""
    manifest = read_manifest(folder)
    if manifest.status != "complete":
        raise ExlcapError(f"the data set at {folder} is not finished", REMEDIES[manifest.origin])
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write dataset.json, atomically."""
    write_json(folder / "dataset.json", manifest.model_dump(mode="json"))
