"""The data card of a data set that was imported, or simulated from photographs."""

from __future__ import annotations

from exlcap.dataset.data_card.card import card
from exlcap.dataset.manifest import Manifest


def adopted_card(manifest: Manifest) -> str:
    """Text of the card."""
    made = f"{manifest.origin} with exlcap {manifest.exlcap}"
    if manifest.origin == "imported":
        return card(
            manifest,
            f"{manifest.source}, {made}: people with 14 CrowdPose joints in the dark.",
            ["- images copied as published; labels and splits as published"],
            [f"- Published labels have defects: `exlcap validate {manifest.name}` names them."],
        )
    return card(
        manifest,
        f"Low-light / well-lit pairs of people with 14 CrowdPose joints, {made} from photographs.",
        [f"- from {manifest.source}, seed {manifest.parameters.seed}",
         "- light of each photograph (sRGB undone) seen by both cameras of the rig: filter, geometry, photon and read "
         "noise, gain, 12-bit Bayer; then developed, aligned and cropped as real frames are"],
        ["- **Simulated: nothing here was photographed in the dark.** Noise follows a model of the sensor. The flaws "
         "of the photographs (compression, their own noise, clipped highlights) are in both images.",
         "- Joints that the labels of the photographs lack are not labelled."],
    )  # fmt: skip
