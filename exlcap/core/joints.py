"""The 14 CrowdPose joints: names, order, skeleton, left/right pairs and OKS sigmas.

Order and sigmas are those of CrowdPose and ExLPose (Lee et al., CVPR 2023).
"""

from __future__ import annotations

JOINTS: tuple[str, ...] = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
)  # fmt: skip
N_JOINTS = len(JOINTS)

SKELETON_BY_NAME: tuple[tuple[str, str], ...] = (
    ("head", "neck"),
    ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ("left_hip", "right_hip"),
)  # fmt: skip

SIGMA_BY_PART: dict[str, float] = {
    "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089,
    "head": 0.079, "neck": 0.079,
}  # fmt: skip

OKS_AREA_FACTOR = 0.53
"""OKS area of a person without a mask = box width * box height * 0.53 (ExLPose)."""


def joint_index(name: str) -> int:
    """Index of a joint in JOINTS.

    >>> joint_index("head")
    12
    """
    try:
        return JOINTS.index(name)
    except ValueError:
        raise ValueError(f"unknown joint {name!r}; the joints are {', '.join(JOINTS)}") from None


def mirrored(name: str) -> str:
    """Name of the joint on the other side of the body; head and neck map to themselves.

    >>> mirrored("left_wrist"), mirrored("head")
    ('right_wrist', 'head')
    """
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    if name.startswith("right_"):
        return "left_" + name.removeprefix("right_")
    return name


FLIP_INDICES: tuple[int, ...] = tuple(joint_index(mirrored(name)) for name in JOINTS)
"""`keypoints[FLIP_INDICES, :]` swaps left and right."""

SKELETON: tuple[tuple[int, int], ...] = tuple((joint_index(a), joint_index(b)) for a, b in SKELETON_BY_NAME)

OKS_SIGMAS: tuple[float, ...] = tuple(SIGMA_BY_PART[name.split("_")[-1]] for name in JOINTS)
