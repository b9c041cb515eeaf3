"""A small data set of ours on disk, made without cameras, takes or simulation."""

from pathlib import Path

import numpy as np

from exlcap import __version__
from exlcap.core.labels import Person
from exlcap.core.take import pair_id
from exlcap.dataset.annotations import annotation_files
from exlcap.dataset.data_card.adopted_sheet import write_adopted_sheet
from exlcap.dataset.data_card.card import card
from exlcap.dataset.finish import finish
from exlcap.dataset.images import write_png
from exlcap.dataset.manifest import Manifest, PairEntry

SIZE = (64, 48)
SPLITS = {"train": ("hall",), "val": ("yard",), "test": ("alley", "plaza")}
BASE_GAIN_DB = {"hall": 4.0, "yard": 6.0, "alley": 14.0, "plaza": 0.0}
STANDING = np.array(
    [[38, 12], [26, 12], [40, 20], [24, 20], [41, 27], [23, 27], [36, 28], [28, 28], [36, 36], [28, 36], [36, 44],
     [28, 44], [32, 4], [32, 10]], float,
)  # fmt: skip
"""A person who faces the camera: the left side is on the right of the picture."""


def standing(name: str = "1", shift: float = 0.0, flag: int = 2) -> Person:
    keypoints = np.column_stack([STANDING + np.array([shift, 0]), np.full(14, flag)])
    return Person(name, keypoints, (22.0 + shift, 3.0, 20.0, 42.0), "hand")


def write_small_dataset(folder: Path) -> Manifest:
    """Four scenes in their splits, k = 1 and 12, two people each."""
    entries, people = [], {}
    for number, (scene, base_gain_db) in enumerate(BASE_GAIN_DB.items()):
        for k, rise_db in ((1, 0.0), (12, 21.58)):
            name = pair_id(scene, 1, k, 0)
            rng = np.random.default_rng([number, k])
            made = {}
            for light, bright in (("well", 200), ("low", 12)):
                picture = rng.integers(0, bright, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
                made[light] = write_png(folder / "images" / light / f"{name}.png", picture)
            entries.append(
                PairEntry(
                    pair_id=name, scene=scene, take=1, k=k, index=0, exposure_us=1000.0 / k,
                    well_gain_db=base_gain_db + rise_db, low_gain_db=3.4, alignment="align-001", width=SIZE[0],
                    height=SIZE[1], well_sha256=made["well"].sha256, low_sha256=made["low"].sha256,
                    well_mean_level=made["well"].mean_level, low_mean_level=made["low"].mean_level, key="made by hand",
                )
            )  # fmt: skip
            both = (standing("1"), standing("2", -20.0, 1))
            people[name] = {"well": both, "low": both}
    manifest = Manifest(name=folder.name, status="building", exlcap=__version__, splits=SPLITS, pairs=tuple(entries))
    files = annotation_files(entries, people, SPLITS)
    return finish(folder, manifest, files, lambda manifest: card(manifest, "Drawn.", (), ()), write_adopted_sheet)
