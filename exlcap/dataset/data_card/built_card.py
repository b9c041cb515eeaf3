"""The data card of a data set built from takes: rig, alignment, labels and review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from exlcap.core.take import TakeHeader
from exlcap.dataset.data_card.card import card
from exlcap.dataset.labelled_pairs import LabelledPair
from exlcap.dataset.manifest import Manifest, Parameters


def built_card(manifest: Manifest, labelled: Sequence[LabelledPair]) -> str:
    """Text of the card, rewritten by every build."""
    real = "Emulated" if any(item.take.header.rig.emulator for item in labelled) else "Real"
    about = (
        f"{real} low-light / well-lit image pairs of people with 14 CrowdPose joints, made with "
        f"exlcap {manifest.exlcap}. Every `exlcap build` rewrites this page."
    )
    return card(manifest, about, _how(manifest, labelled), _limits(labelled))


def _how(manifest: Manifest, labelled: Sequence[LabelledPair]) -> Iterator[str]:
    yield from map(_rig, {item.take.header.rig.name: item.take.header for item in labelled}.values())
    for name, alignment in sorted({item.alignment_name: item.alignment for item in labelled}.items()):
        if alignment.residual:
            yield f"- {name}: median residual {alignment.residual.held_out_median_px:.3f} px on held-out blocks"
    people = [person for item in labelled for person in item.labels.well]
    for origin, count in Counter(person.origin for person in people).items():
        yield f"- labels from {origin}: {count} people"
    for state, count in Counter(person.review for person in people).items():
        yield f"- review: {count} people {state}"
    if manifest.parameters.accepted_only:
        yield "- only pairs accepted in review"
    yield _images(manifest.parameters)


def _rig(header: TakeHeader) -> str:
    cameras = ", ".join(f"{light} {info.model} {info.serial}" for light, info in header.cameras.items())
    low = header.rig.low
    return (
        f"- rig {header.rig.name!r}: {cameras}; ND filter {100 * low.nd_transmittance:g} %, "
        f"dark gain {low.gain_db:g} dB, sync {header.sync_mode}"
    )


WARPS = {
    "well": "bright image warped onto the dark one, whose pixels are untouched; both cropped to the common area",
    "low": "dark image warped onto the bright one, its noise kept even; both cropped to the common area",
    "none": "neither image resampled: dark one whole, bright one cropped to the common area",
}


def _images(parameters: Parameters) -> str:
    return (
        f"- images: {'8-bit sRGB' if parameters.depth == 8 else '16-bit linear'}, {WARPS[parameters.warp]}, white "
        + f"balance {'from the reference' if parameters.white_balance == 'reference' else 'left as it is'}"
    )


def _limits(labelled: Sequence[LabelledPair]) -> Iterator[str]:
    yield "- Joints were labelled on the bright image, including those that cannot be seen in the dark one."
    if any(item.take.header.rig.emulator for item in labelled):
        yield "- **Shot on an emulated rig: the pictures are simulated.**"
    if any(item.take.header.sync_mode == "software" for item in labelled):
        yield "- Software triggers: on real cameras the shutters open 0.5 to 1 ms apart."
    if any(item.take.header.settings_proof == "assumed" for item in labelled):
        yield "- The cameras did not report exposure and gain of each frame: they are assumed to be as set."
