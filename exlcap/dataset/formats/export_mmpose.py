"""A data set for MMPose: its COCO files, and a config that names its joints, their sigmas and its splits."""

from __future__ import annotations

from pathlib import Path
from string import Template

from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic
from exlcap.core.joints import JOINTS, OKS_SIGMAS, SKELETON_BY_NAME, mirrored
from exlcap.dataset.formats.export import export_coco
from exlcap.dataset.manifest import read_complete

TEMPLATE = Path(__file__).parent / "templates" / "mmpose.py.txt"


def export_mmpose(folder: Path, out: Path) -> int:
    """Write ``images/``, ``annotations/`` and ``mmpose_config.py``; returns the number of images.

    The config trains an HRNet-W32 on both lights, validates on val and tests on LL-A.
    Raises ExlcapError when the data set has no training images.
    """
    manifest = read_complete(folder)
    if not manifest.counts.get("train", (0, 0))[0]:
        raise ExlcapError(f"{folder} has no training images, so there is nothing to configure", "export it as coco")
    images = export_coco(folder, out)
    has = {name for name, (count, _) in manifest.counts.items() if count}
    config = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=manifest.name,
        metainfo=metainfo(manifest.name),
        val="val" if "val" in has else "train",
        test="test_LL-A" if "test_LL-A" in has else "val" if "val" in has else "train",
    )
    write_atomic(out / "mmpose_config.py", config.encode())
    return images


def metainfo(name: str) -> str:
    """The joints as MMPose's `metainfo`, in Python source."""
    lines = ["dict(", f"    dataset_name={name!r},", "    paper_info=dict(),", "    keypoint_info={"]
    for index, joint in enumerate(JOINTS):
        swap = mirrored(joint) if mirrored(joint) != joint else ""
        part = "lower" if joint.split("_")[-1] in ("hip", "knee", "ankle") else "upper"
        facts = f"name={joint!r}, id={index}, color=[{_colour(joint)}], type={part!r}, swap={swap!r}"
        lines.append(f"        {index}: dict({facts}),")
    lines += ["    },", "    skeleton_info={"]
    for index, (a, b) in enumerate(SKELETON_BY_NAME):
        lines.append(f"        {index}: dict(link=({a!r}, {b!r}), id={index}, color=[{_colour(b)}]),")
    lines += ["    },", f"    joint_weights={[1.0] * len(JOINTS)},", f"    sigmas={list(OKS_SIGMAS)},", ")"]
    return "\n".join(lines)


def _colour(joint: str) -> str:
    """Blue for the left side, orange for the right one, green in the middle."""
    return {"left": "64, 196, 255", "right": "255, 138, 64"}.get(joint.split("_")[0], "150, 240, 120")
