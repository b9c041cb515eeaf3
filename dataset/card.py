"""The data card: README.md of a data set, written anew by every build from what was built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from exlcap.dataset.build import Item
from exlcap.dataset.manifest import Manifest
from exlcap.dataset.table import Row, table1
from exlcap.take import TakeHeader

GAIN_BIN_DB = 3


def data_card(manifest: Manifest, items: Sequence[Item], licence: str) -> str:
    """Text of the card: Table 1, splits, exposures and gains, rig, alignment, labels, limits, licence."""
    sections = [
        f"# {manifest.name}",
        "Real low-light / well-lit image pairs of people with 14 CrowdPose joints, made with "
        f"exlcap {manifest.exlcap}. This page is written anew by every `exlcap build`.",
        "![Sample pairs](contact_sheet.png)",
        "## Scenes, pairs, people, mean levels (of 255)",
        _table(["split", "scenes", "pairs", "people", "well-lit mean", "low-light mean"], map(_row, table1(manifest))),
        "Test splits by the well-lit gain: LL-N < 15 dB <= LL-H < 24 dB <= LL-E; LL-A is their union, WL the bright "
        "images. No scene is in two of train, val and test.",
        "\n".join(f"- {split}: {', '.join(scenes) or 'none'}" for split, scenes in manifest.splits.items()),
        "## Exposures and gains",
        _table(["exposure (us)", "pairs"], _counted(f"{entry.exposure_us:g}" for entry in manifest.pairs)),
        _table([f"well-lit gain (dB, steps of {GAIN_BIN_DB})", "pairs"], _gains(manifest)),
        "## How it was made",
        _how(manifest, items),
        "## Known limits",
        _limits(manifest, items),
        "## Licence",
        licence or "Not chosen yet: build with `--licence` before you publish.",
        "The people in the pictures must have agreed to its use.",
    ]
    return "\n\n".join(sections) + "\n"


def _row(row: Row) -> list[str]:
    levels = ["" if level is None else f"{level:.1f}" for level in (row.well_mean_level, row.low_mean_level)]
    return [row.split, str(row.scenes), str(row.pairs), str(row.people), *levels]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _counted(values: Iterable[str]) -> list[list[str]]:
    return [[value, str(count)] for value, count in Counter(values).most_common()]


def _gains(manifest: Manifest) -> list[list[str]]:
    """A histogram of the well-lit gain."""
    bins = Counter(int(entry.well_gain_db // GAIN_BIN_DB) * GAIN_BIN_DB for entry in manifest.pairs)
    return [[f"{start} to {start + GAIN_BIN_DB}", str(bins[start])] for start in sorted(bins)]


def _how(manifest: Manifest, items: Sequence[Item]) -> str:
    headers = {item.take.header.rig.name: item.take.header for item in items}
    alignments = {item.alignment_name: item.alignment for item in items}
    aligned = [
        f"- {name}: median residual {residual.held_out_median_px:.3f} px on held-out blocks"
        for name, alignment in sorted(alignments.items())
        if (residual := alignment.residual)
    ]
    people = [person for item in items for person in item.labels.well]
    labels = [f"- labels from {origin}: {count} people" for origin, count in Counter(p.origin for p in people).items()]
    review = [f"- review: {count} people {state}" for state, count in Counter(p.review for p in people).items()]
    shape = (
        f"- images: {'8-bit sRGB' if manifest.parameters.depth == 8 else '16-bit linear'}, dark image "
        + ("laid onto the bright one" if manifest.parameters.warp == "low" else "with its pixels untouched")
        + ", bright one cropped to the common area, white balance "
        + ("of the reference" if manifest.parameters.white_balance == "reference" else "left as it is")
    )
    return "\n".join([*map(_rig, headers.values()), *aligned, *labels, *review, shape])


def _rig(header: TakeHeader) -> str:
    cameras = ", ".join(f"{role} {info.model} {info.serial}" for role, info in header.cameras.items())
    low = header.rig.low
    return (
        f"- rig {header.rig.name!r}: {cameras}; ND filter {100 * low.nd_transmittance:g} %, "
        f"dark gain {low.gain_db:g} dB, sync {header.sync_mode}"
    )


def _limits(manifest: Manifest, items: Sequence[Item]) -> str:
    limits = [
        "- Joints were labelled on the bright image; what cannot be seen in the dark one is labelled all the same."
    ]
    if any(item.take.header.rig.emulator for item in items):
        limits.append("- **Shot on an emulated rig: the pictures are simulated.**")
    if any(item.take.header.sync_mode == "software" for item in items):
        limits.append("- Software triggers: on real cameras the shutters open 0.5 to 1 ms apart.")
    if any(item.take.header.settings_proof == "assumed" for item in items):
        limits.append("- The cameras did not report exposure and gain of each frame: they are assumed to be as set.")
    empty = [row.split for row in table1(manifest) if not row.pairs]
    if empty:
        limits.append(f"- Empty splits: {', '.join(empty)}.")
    return "\n".join(limits)
