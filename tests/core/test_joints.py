from exlcap.core.joints import FLIP_INDICES, JOINTS, OKS_SIGMAS, SKELETON, mirrored


def test_the_order_is_crowdpose():
    assert JOINTS[:2] == ("left_shoulder", "right_shoulder")
    assert JOINTS[12:] == ("head", "neck")
    assert len(JOINTS) == len(set(JOINTS)) == 14


def test_flipping_twice_is_nothing_and_swaps_sides_once():
    assert [FLIP_INDICES[i] for i in FLIP_INDICES] == list(range(14))
    assert JOINTS[FLIP_INDICES[JOINTS.index("left_wrist")]] == "right_wrist"
    assert mirrored("neck") == "neck"


def test_sigmas_are_the_published_ones_in_this_order():
    expected = (.079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089, .079, .079)  # fmt: skip
    assert expected == OKS_SIGMAS


def test_the_skeleton_reaches_every_joint():
    assert {joint for bone in SKELETON for joint in bone} == set(range(14))
