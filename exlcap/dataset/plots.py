"""One page of plots of what a data set holds."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

from exlcap.core.files import write_atomic
from exlcap.core.light_levels import EXTREME_FROM_DB, HARD_FROM_DB
from exlcap.dataset.stats import Stats

COLOURS = {"missing": "#c9ccd1", "hidden": "#e0a030", "visible": "#3a7ca5"}


def write_plots(path: Path, stats: Stats, title: str) -> None:
    """Write one PNG: joints, people per image, box sizes, exposures, gains, mean levels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), dpi=100, layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2, 3)
    _visibility(axes[0, 0], stats)
    _bars(axes[0, 1], Counter(image.people for image in stats.images), "people per image", "images")
    _boxes(axes[0, 2], stats)
    exposures = Counter(round(i.exposure_us) for i in stats.images if i.exposure_us is not None)
    _bars(axes[1, 0], exposures, "exposure (us)", "images or pairs")
    _gains(axes[1, 1], stats)
    _levels(axes[1, 2], stats)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": ""})
    write_atomic(path, buffer.getvalue())


def _visibility(axes: Any, stats: Stats) -> None:
    """Per joint, the shares that are missing, hidden and visible."""
    names = list(stats.visibility)
    left = [0.0] * len(names)
    for kind, label in enumerate(("missing", "hidden", "visible")):
        shares = [100 * counts[kind] / max(1, sum(counts)) for counts in stats.visibility.values()]
        axes.barh(names, shares, left=left, label=label, color=COLOURS[label])
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("% of people")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)


def _bars(axes: Any, counts: Counter[int], what: str, of: str) -> None:
    """A bar for each value that occurs, evenly spaced."""
    values = sorted(counts)
    axes.bar([str(value) for value in values], [counts[value] for value in values], color=COLOURS["visible"])
    if len(values) > 8:
        axes.tick_params(axis="x", rotation=60)
    axes.set_xlabel(what)
    axes.set_ylabel(of)


def _boxes(axes: Any, stats: Stats) -> None:
    axes.hist([stats.box_heights_px, stats.box_widths_px], bins=30, label=["height", "width"],
              color=[COLOURS["visible"], COLOURS["hidden"]])  # fmt: skip
    axes.set_xlabel("box (px)")
    axes.set_ylabel("people")
    axes.legend(fontsize=8)


def _gains(axes: Any, stats: Stats) -> None:
    """Histogram of the bright camera's gain, with the levels of low light."""
    gains = [image.well_gain_db for image in stats.images if image.well_gain_db is not None]
    axes.hist(gains, bins=[2 * i for i in range(24)], color=COLOURS["visible"])
    _level_lines(axes)
    axes.set_xlabel("well-lit gain (dB)")
    axes.set_ylabel("images or pairs")


def _level_lines(axes: Any) -> None:
    for gain_db in (HARD_FROM_DB, EXTREME_FROM_DB):
        axes.axvline(gain_db, color="#b03030", linewidth=1, linestyle="--")
    middle = ((HARD_FROM_DB / 2, "LL-N"), ((HARD_FROM_DB + EXTREME_FROM_DB) / 2, "LL-H"), (EXTREME_FROM_DB + 6, "LL-E"))
    for gain_db, name in middle:
        axes.text(gain_db, 0.98, name, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=9)


def _levels(axes: Any, stats: Stats) -> None:
    """Mean level of both images of a pair over the gain."""
    known = [i for i in stats.images if i.well_gain_db is not None and i.low_mean_level is not None]
    gains = [image.well_gain_db for image in known]
    axes.set_xlabel("well-lit gain (dB)")
    linear = any(row.linear_levels for row in stats.table)
    axes.set_ylabel("mean linear light (of 255)" if linear else "mean level (of 255)")
    if not known:
        axes.text(0.5, 0.5, "no mean levels: not a data set of pairs", ha="center", transform=axes.transAxes)
        return
    axes.semilogy(gains, [i.well_mean_level for i in known], ".", color=COLOURS["hidden"], label="well-lit")
    axes.semilogy(gains, [i.low_mean_level for i in known], ".", color=COLOURS["visible"], label="low-light")
    _level_lines(axes)
    axes.legend(fontsize=8)
